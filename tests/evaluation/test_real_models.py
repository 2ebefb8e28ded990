"""The package's own models under evaluation, on data that ship with the dependencies."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

import arproc
from arproc import datasets, evaluation
from arproc.errors import NotComparableError
from arproc.models.ngram.smoothing.discounts import DiscountWarning


@pytest.fixture(scope="module")
def spots():
    pytest.importorskip("statsmodels")
    train, valid, test = datasets.sunspots()
    return pd.concat([train, valid]), test


@pytest.fixture(scope="module")
def texts():
    def words(parts):
        return [" ".join(line.split()) for text in parts for line in text.splitlines() if line]

    train, _, test = datasets.english()
    return words(train), words(test)


def fitted(order, tokens, data):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DiscountWarning)
        return arproc.NGram(order, tokens=tokens).fit(data)


def test_held_out_years_after_a_history(spots):
    past, test = spots
    models = {f"AR({p})": arproc.AR(p).fit(past).condition(past) for p in (0, 1, 9)}
    table = arproc.compare(models, test)
    assert table.index.tolist() == ["AR(9)", "AR(1)", "AR(0)"]
    assert table.loc["AR(0)", "verdict"] == "worse"
    both = pd.concat([past, test])
    whole = arproc.AR(9).fit(past).log_prob_terms(both)[len(past) :].sum()
    assert table.loc["AR(9)", "log_prob_nats"] == pytest.approx(whole, rel=1e-9)


def test_starts_of_all_orders_meet_after_the_longest(spots):
    past, test = spots
    models = {f"AR({p})": arproc.AR(p, initial="given").fit(past) for p in (1, 2, 9)}
    with pytest.raises(NotComparableError, match="Pass given=9"):
        arproc.compare(models, test)
    table = arproc.compare(models, test, given=9)
    assert table.attrs["n_elements"] == len(test) - 9
    terms = models["AR(2)"].log_prob_terms(test)[7:]
    assert table.loc["AR(2)", "log_prob_nats"] == pytest.approx(terms.sum())


def test_scores_agree_on_which_forecast_is_better(spots):
    past, test = spots
    models = [arproc.AR(p).fit(past) for p in (0, 9)]
    scores = [np.mean(evaluation.crps(m.condition(past), test)) for m in models]
    levels = tuple(np.arange(1, 100) / 100)
    ahead = [
        evaluation.crps_quantiles(m.forecast(past, len(test), quantiles=levels), test).mean()
        for m in models
    ]
    paths = [
        evaluation.crps_paths(m.sample(2000, len(test), past, seed=1), test).mean() for m in models
    ]
    assert scores[1] < scores[0]
    assert ahead[1] < ahead[0]
    assert ahead == pytest.approx(paths, rel=0.03)


def test_a_scale_of_ones_own_is_undone(spots):
    past, test = spots
    from arproc.transforms import Standardize, Transformed

    plain = arproc.AR(2).fit(past)
    scaled = Transformed(arproc.AR(2), Standardize()).fit(past)
    table = arproc.compare({"plain": plain, "scaled": scaled}, test)
    gap = table["difference_nats_per_element"].abs().max()
    assert gap < 1e-6


def test_three_tokenisations_of_english(texts):
    train, test = texts
    models = {tokens: fitted(n, tokens, train) for tokens, n in
              (("byte", 6), ("char", 6), ("word", 3))}  # fmt: skip
    with pytest.raises(NotComparableError, match="words are unknown to the model"):
        arproc.compare(models, test)
    known = [text for text in test if all(w in models["word"].vocabulary for w in text.split())]
    table = arproc.compare(models, known)
    size = sum(len(text.encode()) for text in known)
    for name, model in models.items():
        bits = -model.log_prob(known).sum() / np.log(2) / size
        assert table.loc[name, "bits_per_byte"] == pytest.approx(bits)
    # ASCII: characters are bytes, and the 6-grams differ only in symbols never seen
    assert table.loc["byte", "bits_per_byte"] == pytest.approx(
        table.loc["char", "bits_per_byte"], rel=1e-3
    )


def test_a_text_model_is_nearly_calibrated(texts):
    train, test = texts
    values = evaluation.pit(fitted(6, "char", train), test, seed=1)
    result = evaluation.uniformity(values)
    assert result.n == sum(len(text) + 1 for text in test)
    assert result.ks < 0.03
