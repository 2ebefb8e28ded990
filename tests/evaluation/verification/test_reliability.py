"""CORP reliability diagrams: the decomposition, isotonic rates by brute force, calibration."""

import numpy as np
import pandas as pd
import pytest
from evaluation.toys import Chain, CorrelatedPairs, GaussianAR, PoissonAR
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

import arproc
from arproc.errors import DataError, ParameterError, UnsupportedError
from arproc.evaluation import event_forecasts, reliability

PAIRS = st.lists(st.tuples(st.integers(0, 8), st.booleans()), min_size=1, max_size=40)


def pooled(p, y):
    """Isotonic rates by the max-min formula, one for each forecast."""
    rates = []
    for one in p:
        lows = [a for a in np.unique(p) if a <= one]
        highs = [b for b in np.unique(p) if b >= one]
        rates.append(max(min(y[(p >= a) & (p <= b)].mean() for b in highs) for a in lows))
    return np.array(rates)


@given(pairs=PAIRS)
@settings(max_examples=25)
def test_the_score_is_its_parts(pairs):
    p, y = np.array([a / 8 for a, _ in pairs]), np.array([float(b) for _, b in pairs])
    found = reliability(p, y, n_resamples=50)
    assert found.brier == pytest.approx(np.mean((p - y) ** 2))
    whole = found.miscalibration - found.discrimination + found.uncertainty
    assert found.brier == pytest.approx(whole)
    assert min(found.miscalibration, found.discrimination, found.uncertainty) >= -1e-12
    rates = pooled(p, y)
    assert found.brier - found.miscalibration == pytest.approx(np.mean((rates - y) ** 2))
    at = np.interp(p, found.table["probability"], found.table["rate"])
    np.testing.assert_allclose(at, rates, atol=1e-12)


def test_the_diagram_of_a_few():
    p = [0.1, 0.2, 0.3, 0.3, 0.9, np.nan, 0.5]
    y = [0.0, 1.0, 0.0, 0.0, 1.0, 1.0, np.nan]
    found = reliability(p, y)
    assert found.n == 5
    assert found.table["probability"].tolist() == [0.1, 0.2, 0.3, 0.9]
    assert found.table["rate"].tolist() == pytest.approx([0, 1 / 3, 1 / 3, 1])
    assert found.table["n"].tolist() == [1, 3, 3, 1]
    assert reliability(p, y, bins=1).ece == pytest.approx(abs(np.mean([0.1, -0.8, 0.6, -0.1])
                                                              * 4 / 5))  # fmt: skip


def test_calibrated_forecasts_pass_at_the_stated_rate():
    """60 sets: 6 below 0.1 on average, deviation 2.3; and the band holds 90% of rates."""
    rng, low, inside, errors = np.random.default_rng(0), 0, [], []
    for number in range(60):
        p = rng.beta(1.0, 2.0, size=100)
        found = reliability(p, rng.random(100) < p, n_resamples=59, seed=number)
        low += found.p_value <= 0.1
        table = found.table
        inside.append(table["rate"].between(table["low"] - 1e-9, table["high"] + 1e-9).mean())
        errors.append(found.ece - found.ece_if_calibrated)
    assert 1 <= low <= 14
    assert 0.8 < np.mean(inside) <= 1
    assert abs(np.mean(errors)) < 3 * np.std(errors) / 60**0.5


def test_sure_forecasts_are_found():
    rng = np.random.default_rng(1)
    true = rng.random(2000)
    came = rng.random(2000) < true
    said = true**2 / (true**2 + (1 - true) ** 2)  # too sure of themselves
    wrong, right = reliability(said, came), reliability(true, came)
    assert wrong.p_value < 0.01 < right.p_value
    assert wrong.discrimination == pytest.approx(right.discrimination)  # the order is the same
    assert wrong.miscalibration > 0.01 > 0.005 > right.miscalibration
    assert wrong.ece > 0.05 > right.ece


def test_probabilities_of_a_process():
    x = GaussianAR(0.5).sample(3, 40, seed=0)
    table = event_forecasts(GaussianAR(0.5), x, above=0.3)
    assert table["series"].tolist() == [0] * 40 + [1] * 40 + [2] * 40
    assert table["step"].tolist() == list(range(40)) * 3
    mean, scale = np.zeros((3, 40)), np.ones((3, 40))
    mean[:, 1:], scale[:, 0] = 0.5 * x[:, :-1], 1 / 0.75**0.5
    want = stats.norm.sf(0.3, mean, scale).ravel()
    np.testing.assert_allclose(table["probability"], want, rtol=1e-9)
    assert (table["outcome"] == (x > 0.3).ravel()).all()


def test_symbols_and_the_likeliest_one():
    chain = Chain([[0.2, 0.8], [0.7, 0.3]], start=[0.5, 0.5])
    data = [[0, 1, 1]]
    table = event_forecasts(chain, data, symbol=1)
    assert table["probability"].tolist() == pytest.approx([0.5, 0.8, 0.3])
    assert table["outcome"].tolist() == [0, 1, 1]
    top = event_forecasts(chain, data)
    assert top["probability"].tolist() == pytest.approx([0.5, 0.8, 0.7])
    assert top["outcome"].tolist() == [1, 1, 0]
    text = arproc.PPM(order=1, tokens="char").fit(["abab", "aab"])
    assert event_forecasts(text, ["ab"], symbol="b")["outcome"].tolist() == [0, 1, 0]


def test_dates_given_values_and_gaps():
    series = pd.Series([1.0, np.nan, 2.0], pd.date_range("2020", periods=3))
    model = arproc.AR.from_parameters([0.5], initial="given")
    table = event_forecasts(model, series, above=0.0)
    assert table["step"].tolist() == [1, 2]
    assert table["time"].tolist() == series.index[1:].tolist()
    assert np.isnan(table["outcome"]).tolist() == [True, False]
    assert reliability(table["probability"], table["outcome"]).n == 1
    counts = event_forecasts(PoissonAR(2.0, 0.0), [0, 3], above=0)
    assert counts["probability"].tolist() == pytest.approx([1 - np.exp(-2)] * 2)


def test_what_is_wrong_is_told():
    with pytest.raises(DataError, match=r"probabilities must lie in \[0, 1\]"):
        reliability([1.5], [1])
    with pytest.raises(DataError, match="outcomes must be 0"):
        reliability([0.5], [2])
    with pytest.raises(DataError, match=r"shape \(1,\) and outcomes \(2,\)"):
        reliability([0.5], [1, 0])
    with pytest.raises(DataError, match="no forecast whose outcome is known"):
        reliability([0.5], [np.nan])
    with pytest.raises(ParameterError, match="give one of them"):
        event_forecasts(PoissonAR(), [1], above=0, symbol=1)
    with pytest.raises(ParameterError, match="above must be a number"):
        event_forecasts(PoissonAR(), [1])
    with pytest.raises(ParameterError, match="Give symbol="):
        event_forecasts(Chain([[0.5, 0.5]] * 2), [0], above=0.5)
    with pytest.raises(ParameterError, match=r"one of the model's 2 symbols; got 'x'"):
        event_forecasts(Chain([[0.5, 0.5]] * 2), [0], symbol="x")
    with pytest.raises(UnsupportedError, match="for scalars"):
        event_forecasts(CorrelatedPairs(), [[0.0, 1.0]], above=0)


def test_the_calibration_error_of_equal_forecasts_is_that_of_their_rate():
    """Whatever the order of the rows."""
    y = np.repeat([1.0, 0.0], [6, 14])
    p = np.full(20, 0.3)
    assert reliability(p, y).ece == pytest.approx(0)
    two, came = np.append(p, np.full(10, 0.8)), np.append(y, np.tile([1.0, 0.0], 5))
    order = np.random.default_rng(0).permutation(30)
    for rows in (np.arange(30), order):
        assert reliability(two[rows], came[rows]).ece == pytest.approx(10 / 30 * 0.3)
