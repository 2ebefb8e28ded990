from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.signal import lfilter

from arproc.evaluation.standard_errors import of_ratio, of_series, t_quantile


def test_ratio_of_equal_sizes_is_the_mean_of_independent_values():
    x = np.array([3.0, -1.0, 4.0, 1.0, 5.0])
    error = of_ratio(x, np.full(5, 2.0))
    assert error.se == pytest.approx(stats.sem(x) / 2)
    assert error.df == 4


def test_ratio_agrees_with_the_bootstrap():
    rng = np.random.default_rng(0)
    sizes = rng.integers(1, 40, 400)
    totals = 0.7 * sizes + rng.normal(0, np.sqrt(sizes))
    draws = rng.integers(0, 400, (4000, 400))
    ratios = totals[draws].sum(1) / sizes[draws].sum(1)
    assert of_ratio(totals, sizes).se == pytest.approx(ratios.std(), rel=0.05)


def test_series_is_the_mean_square_of_cosine_transforms():
    x = np.random.default_rng(1).normal(size=50).cumsum()
    error = of_series(x)
    t = np.arange(1, 51) - 0.5
    waves = [np.sqrt(2 / 50) * (x * np.cos(np.pi * j * t / 50)).sum() for j in range(1, 6)]
    assert error.df == 5  # 0.4 * 50^(2/3) = 5.4
    assert error.se == pytest.approx(np.sqrt(np.mean(np.square(waves)) / 50))


@pytest.mark.parametrize(("coef", "length"), [(0.0, 30), (0.5, 200), (-0.5, 200)])
def test_intervals_along_a_series_cover(coef, length):
    """95% of 2000 intervals within 4 standard errors (0.0195; two-sided rate 6e-5 if exact)."""
    rng = np.random.default_rng(2)
    paths = lfilter([1.0], [1.0, -coef], rng.normal(size=(2000, length + 100)), axis=1)[:, 100:]
    inside = 0
    for x in paths:
        error = of_series(x)
        inside += abs(x.mean()) <= t_quantile(error.df) * error.se
    assert inside / 2000 == pytest.approx(0.95, abs=0.0195)


@given(st.integers(1, 200), st.floats(0.01, 0.99))
def test_t_quantile_is_that_of_scipy(df, level):
    assert t_quantile(df, level) == pytest.approx(stats.t.ppf(0.5 + level / 2, df))


def test_unknown_errors_are_not_numbers():
    assert np.isnan(of_ratio(np.ones(1), np.ones(1)).se)
    assert np.isnan(of_ratio(np.array([1.0, -np.inf]), np.ones(2)).se)
    assert np.isnan(of_series(np.ones(1)).se)
    assert np.isnan(t_quantile(0))
