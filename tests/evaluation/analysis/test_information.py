"""Mutual information against closed forms, for symbols and numbers."""

import numpy as np
import pandas as pd
import pytest
from evaluation.toys import Chain, GaussianAR

from arproc.errors import DataError, ParameterError
from arproc.evaluation import mutual_information


def of_chain(matrix, lag):
    p = np.linalg.matrix_power(matrix.T, 200)[:, 0]
    joint = p[:, None] * np.linalg.matrix_power(matrix, lag)
    return (joint * np.log(joint / (p[:, None] * p))).sum()


def test_symbols_of_a_chain():
    matrix = np.array([[0.8, 0.1, 0.1], [0.2, 0.6, 0.2], [0.1, 0.3, 0.6]])
    x = Chain(matrix).sample(20, 400, seed=0)
    table = mutual_information(x, lags=[1, 2, 5, 60])
    assert table.attrs["kind"] == "symbols"
    for lag, nats in zip(table["lag"][:3], table["nats"][:3], strict=True):
        assert nats == pytest.approx(of_chain(matrix, lag), abs=0.015)
        assert nats > table.loc[table["lag"] == lag, "high"].iloc[0]
    assert abs(table["nats"].iloc[-1]) < 0.003
    assert table["baseline"].abs().max() < 0.001  # the bias of the plug-in estimate is gone
    assert table["n"].tolist() == [20 * (400 - lag) for lag in (1, 2, 5, 60)]


def test_numbers_of_an_autoregression():
    x = GaussianAR(0.8).sample(4, 800, seed=1)
    table = mutual_information(x, lags=[1, 3, 40], n_shuffles=5)
    assert table.attrs["kind"] == "numbers"
    want = -0.5 * np.log(1 - 0.8 ** (2 * np.array([1, 3])))
    np.testing.assert_allclose(table["nats"][:2], want, atol=0.06)
    assert table["nats"].iloc[2] < table["high"].iloc[2] + 0.02
    grown = mutual_information(np.exp(3 * x), lags=[1], n_shuffles=5)
    assert grown["nats"][0] == pytest.approx(table["nats"][0])  # no map of the values changes it


def test_what_correlation_does_not_see():
    rng = np.random.default_rng(2)
    x = rng.choice([-1.0, 1.0], 4000) * np.repeat(np.abs(rng.normal(size=1000)) + 0.1, 4)
    assert abs(np.corrcoef(x[1:], x[:-1])[0, 1]) < 0.05
    row = mutual_information(x, lags=1, n_shuffles=5).iloc[0]
    assert row["nats"] > 0.3 > row["high"]


def test_text_words_gaps_and_series():
    text = mutual_information(["abcabcabc", "bcabcabc"], lags=3)
    assert text["nats"].iloc[0] == pytest.approx(np.log(3), abs=0.25)
    words = mutual_information([["a", "b"] * 20, ["b", "a"] * 15], lags=1)
    assert words.attrs["kind"] == "symbols"
    x = pd.Series(np.arange(300) % 3 * 1.0)
    x[::7] = np.nan
    table = mutual_information(x, lags=1)
    assert table["n"][0] == 299 - 43 - 42
    numbers = mutual_information(x, lags=1, kind="numbers", n_shuffles=2)
    assert numbers.attrs["kind"] == "numbers"


def test_what_is_wrong_is_told():
    with pytest.raises(DataError, match="data has 3 pairs that are 6 step"):
        mutual_information(np.arange(9.0), lags=[6])
    with pytest.raises(DataError, match="vectors for elements"):
        mutual_information(np.zeros((2, 30, 2)))
    with pytest.raises(DataError, match='kind="numbers" makes nothing'):
        mutual_information("abab" * 9, kind="numbers")
    with pytest.raises(DataError, match="data has fractions"):
        mutual_information(np.linspace(0, 1, 50), kind="symbols")
    with pytest.raises(ParameterError, match="lags must be at least 1"):
        mutual_information("abab" * 9, lags=0)


def test_equal_numbers_tell_nothing_by_their_order():
    constant = mutual_information(np.full(200, 1.5), lags=[1, 5])
    assert constant.attrs["kind"] == "numbers"
    assert (constant["nats"].abs() < 0.2).all()
    matrix = np.array([[0.8, 0.1, 0.1], [0.2, 0.6, 0.2], [0.1, 0.3, 0.6]])
    x = Chain(matrix).sample(4, 500, seed=0)
    halves = mutual_information(x / 2, lags=[1, 40], n_shuffles=4)
    assert halves.attrs["kind"] == "numbers"
    assert halves["nats"][0] == pytest.approx(of_chain(matrix, 1), abs=0.08)
    assert abs(halves["nats"][1]) < 0.06
    assert halves["baseline"].abs().max() < 0.06
