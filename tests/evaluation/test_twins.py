"""Scores of the test sequences that did not stand in the training data."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import arproc
from arproc.errors import DataError


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
