"""Scores of the test sequences that did not stand in the training data."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import arproc
from arproc.errors import DataError, ParameterError


def _memory(seed=0):
    """A density that remembers, beside one that can not; and data of which half are twins."""
    rng = np.random.default_rng(seed)
    train, fresh = (rng.normal(size=(n, 2)).round(3) for n in (60, 30))
    memory = arproc.KernelDensity(bandwidth=0.01).fit(train)
    smooth = arproc.KernelDensity(bandwidth=0.5).fit(train)
    return train, fresh, memory, smooth


def test_evaluate_tells_twins_and_scores_the_others():
    train, fresh, memory, _ = _memory()
    data = np.concatenate([train[:30], fresh])
    found = arproc.evaluate(memory, data, train=train)
    assert found.n_twins == 30
    alone = arproc.evaluate(memory, fresh)
    assert found.nats_per_element_without_twins == pytest.approx(alone.nats_per_element)
    assert found.bits_per_dim_without_twins == pytest.approx(alone.bits_per_dim)
    assert found.nats_per_element == arproc.evaluate(memory, data).nats_per_element
    assert "30 of 60 sequences stand in the training data too" in found.notes
    assert "without twins" in str(found)
    assert found.to_frame().loc["model", "n_twins"] == 30


def test_a_memory_is_best_on_its_twins_alone():
    train, fresh, memory, smooth = _memory()
    data = np.concatenate([train[:50], fresh[:5]])
    models = {"memory": memory, "smooth": smooth}
    table = arproc.compare(models, data, reference="smooth", train=train, unit="nats_per_sequence")
    assert table.attrs["n_twins"] == 50
    alone = arproc.compare(models, fresh[:5], reference="smooth", unit="nats_per_sequence")
    for name in models:
        shown = table.loc[name, "nats_per_sequence_without_twins"]
        assert shown == pytest.approx(alone.loc[name, "nats_per_sequence"])
    assert table.loc["memory", "verdict_without_twins"] in ("worse", "no clear difference")


def test_twins_of_texts_in_bits_per_byte():
    train = ["the cat sat", "a dog ran", "the end"]
    data = ["the cat sat", "a cat ran", "the dog sat on a cat"]
    models = {
        n: arproc.NGram(n, tokens="char", smoothing="witten_bell").fit(train) for n in (1, 2)
    }
    models = {str(n): model for n, model in models.items()}
    table = arproc.compare(models, data, train=train)
    alone = arproc.compare(models, data[1:])
    for name in models:
        found = table.loc[name, "bits_per_byte_without_twins"]
        assert found == pytest.approx(alone.loc[name, "bits_per_byte"])
    one = arproc.evaluate(models["2"], data, train=train)
    assert one.n_twins == 1
    assert one.bits_per_byte_without_twins == pytest.approx(alone.loc["2", "bits_per_byte"])
    # the beginning of a text that stands there is no twin
    assert arproc.evaluate(models["2"], ["the cat", "a dog ran!"[:-1]], train=train).n_twins == 1


def test_all_may_be_twins_and_missing_values_are_equal():
    frame = pd.DataFrame({"a": [1.5, 2.5, None, 4.25, 3.5, 0.5], "b": list("xyxyxy")})
    training = arproc.Training(steps=5, batch_size=6)
    model = arproc.MADE(hidden=(8,), training=training).fit(frame)
    found = arproc.evaluate(model, frame.iloc[[2, 0]], train=frame)
    assert found.n_twins == 2
    assert found.nats_per_element_without_twins is None
    models = {"one": model, "two": model}
    table = arproc.compare(models, frame.iloc[[2, 0, 3]], train=frame)
    assert set(table.verdict_without_twins) == {"all sequences are twins"}


def test_a_single_training_series_is_refused():
    x = np.cos(np.arange(60.0) ** 2)
    model = arproc.AR(1).fit(x)
    with pytest.raises(DataError, match="train is a single sequence; twins are whole sequences"):
        arproc.evaluate(model, x, train=x)
    with pytest.raises(DataError, match="train"):
        arproc.evaluate(model, x, train=["text"])


# ---- near twins ----------------------------------------------------------------------------


def test_near_twins_differ_by_so_many_deviations_at_most():
    rng = np.random.default_rng(1)
    train, fresh = rng.normal(size=(200, 6)) * np.arange(1, 7), rng.normal(size=(50, 6)) * 9
    spread = train.std(0)
    shaken = train[:40] + 0.01 * spread * rng.uniform(-1, 1, size=(40, 6))
    model = arproc.KernelDensity(bandwidth=0.1).fit(train)
    data = np.concatenate([shaken, fresh, train[:3]])
    exact, near = (arproc.evaluate(model, data, train=train, near=k) for k in (0.0, 0.0101))
    assert (exact.n_twins, near.n_twins) == (3, 43)
    alone = arproc.evaluate(model, fresh)
    assert near.nats_per_element_without_twins == pytest.approx(alone.nats_per_element)
    assert "as near as 0.0101" in str(near)
    far = np.abs((data[:, None] - train) / spread).max(-1).min(1)  # by brute force
    for k in (0.004, 0.3, 1.0):
        assert arproc.evaluate(model, data, train=train, near=k).n_twins == (far <= k).sum()


def test_near_twins_of_long_rows_are_found_without_a_tree():
    rng = np.random.default_rng(2)
    train, data = rng.normal(size=(2, 60, 20))
    data[:7] = train[:7] + 0.001
    model = arproc.KernelDensity(bandwidth=0.5).fit(train)
    far = np.abs((data[:, None] - train) / train.std(0)).max(-1).min(1)
    for k in (0.01, 2.5):
        assert arproc.evaluate(model, data, train=train, near=k).n_twins == (far <= k).sum()


def test_near_twins_of_binary_rows_differ_in_few_places():
    rng = np.random.default_rng(3)
    train, data = rng.integers(0, 2, (2, 50, 20))
    data[:9] = train[:9]
    data[np.arange(9), np.arange(9)] ^= 1  # one of twenty
    model = arproc.KernelDensity().fit(train)
    differ = (data[:, None] != train).mean(-1).min(1)
    for k in (0.0, 0.04, 0.05, 0.3):
        assert arproc.evaluate(model, data, train=train, near=k).n_twins == (differ <= k).sum()


def test_near_twins_of_tables_have_equal_labels_and_gaps():
    train = pd.DataFrame(
        {"a": [1.5, 2.5, None, 4.25, 3.5, 0.5] * 3, "b": list("xyxyxy") * 3, "c": range(18)}
    )
    model = arproc.MADE(hidden=(8,), training=arproc.Training(steps=5, batch_size=6)).fit(train)
    rows = train.iloc[[0, 2, 4, 5]].copy()
    rows.iloc[0, 0] = 1.51  # near
    rows.iloc[2, 1] = "y"  # another label
    rows.iloc[3, 0] = None  # a gap where there was none
    models = {"one": model, "two": model}
    assert arproc.compare(models, rows, train=train).attrs["n_twins"] == 1
    assert arproc.compare(models, rows, train=train, near=0.05).attrs["n_twins"] == 2


def test_near_twins_of_texts_share_their_runs():
    one = "the quick brown fox jumps over the lazy dog and runs away into the dark wood"
    train = [one, "a text of other words, all of its own", "tiny"]
    data = [one.replace("lazy", "idle"), one[:40], "another text of no likeness", "tiny", "tin"]
    model = arproc.NGram(2, tokens="char", smoothing="witten_bell").fit(train + data)

    def runs(text):
        return {text[i : i + 5] for i in range(len(text) - 4)}

    apart = [
        min(1 - len(runs(x) & runs(y)) / max(len(runs(x) | runs(y)), 1) for y in train)
        for x in data[:3]
    ]
    for k in (0.0, 0.2, 0.6, 0.99):
        want = sum(a <= k for a in apart) + 1  # and "tiny", which is equal
        assert arproc.evaluate(model, data, train=train, near=k).n_twins == want
    with pytest.raises(ParameterError, match="near must be a number at least 0"):
        arproc.evaluate(model, data, train=train, near=-1)


def test_near_twins_of_series_of_many_lengths():
    rng = np.random.default_rng(4)
    train = [rng.normal(size=n) for n in (5, 5, 8)]
    data = [train[0] + 0.001, train[2][:5], train[2] - 0.001, rng.normal(size=8)]
    model = arproc.AR(1).fit(train)
    assert arproc.evaluate(model, data, train=train, near=0.01).n_twins == 2


def test_near_without_what_it_is_near_to():
    model = arproc.AR.from_parameters([0.5])
    with pytest.raises(ParameterError, match=r"near=0\.1 .* those of train="):
        arproc.evaluate(model, [0.1, 0.2], near=0.1)
    with pytest.raises(ParameterError, match=r"near=0\.1 .* those of train="):
        arproc.compare({"a": model, "b": model}, [0.1, 0.2], near=0.1)
