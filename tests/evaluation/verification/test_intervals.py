"""Coverage and width of central intervals, by closed forms."""

import numpy as np
import pytest
from evaluation.toys import Chain, CorrelatedPairs, GaussianAR, PoissonAR
from scipy import stats

import arproc
from arproc.errors import DataError, ParameterError, UnsupportedError
from arproc.evaluation import coverage, interval_score


def test_normal_intervals_by_hand():
    x = GaussianAR(0.6).sample(12, 30, seed=0)
    table = coverage(GaussianAR(0.6), x, [0.5, 0.9])
    mean, scale = np.zeros_like(x), np.ones_like(x)
    mean[:, 1:], scale[:, 0] = 0.6 * x[:, :-1], 1 / 0.8
    for level in (0.5, 0.9):
        low, high = (stats.norm.ppf((1 + s * level) / 2, mean, scale) for s in (-1, 1))
        inside, row = (low <= x) & (x <= high), table.loc[level]
        assert row["coverage"] == pytest.approx(inside.mean())
        assert row["nominal"] == pytest.approx(level)
        assert row["mean_width"] == pytest.approx((high - low).mean())
        assert row["median_width"] == pytest.approx(np.median(high - low))
        assert row["interval_score"] == pytest.approx(interval_score(low, high, x, level).mean())
        assert row["se"] == pytest.approx(stats.sem(inside.mean(1)))
        assert row["low95"] < row["coverage"] < row["high95"]
    assert table.attrs["n"] == 360


def test_counts_have_the_intervals_that_they_can():
    """Of whole numbers an interval holds more than its level, and the model says how much."""
    x = PoissonAR(2.0, 0.0).sample(100, 20, seed=2)
    row = coverage(PoissonAR(2.0, 0.0), x, [0.8]).loc[0.8]
    law = stats.poisson(2.0)
    low, high = law.ppf(0.1), law.ppf(0.9)
    assert row["nominal"] == pytest.approx(law.cdf(high) - law.cdf(low - 1))
    assert row["nominal"] > 0.8
    assert row["low95"] < row["nominal"] < row["high95"]
    assert row["mean_width"] == high - low


def test_a_wide_model_covers_too_much():
    x = GaussianAR(0.0).sample(1, 500, seed=2)[0]
    wide, right = (coverage(GaussianAR(0.0, s), x).loc[0.8] for s in (2.0, 1.0))
    assert wide["low95"] > 0.8
    assert right["low95"] < 0.8 < right["high95"]
    assert wide["interval_score"] > right["interval_score"]


def test_gaps_and_given_values_do_not_count():
    x = [0.1, np.nan, 0.3, -0.2, 5.0]
    model = arproc.AR.from_parameters([0.0], initial="given")
    table = coverage(model, x, [0.9])
    assert table.attrs["n"] == 3
    assert table["coverage"].tolist() == pytest.approx([2 / 3])


def test_what_is_wrong_is_told():
    with pytest.raises(UnsupportedError, match="coverage is for ordered scalars"):
        coverage(CorrelatedPairs(), [[0.0, 1.0]])
    with pytest.raises(UnsupportedError, match="coverage is for ordered scalars"):
        coverage(Chain([[0.5, 0.5]] * 2), [0, 1])
    with pytest.raises(ParameterError, match="levels must be a number above 0"):
        coverage(GaussianAR(), [0.0], [1.0])
    with pytest.raises(DataError, match="levels is empty"):
        coverage(GaussianAR(), [0.0], [])


def test_an_interval_of_the_coverage_where_all_are_inside():
    """Wilson's, which 49 of 49 do not make a point of."""
    x = np.where(np.arange(49) % 2, 0.1, -0.1)
    row = coverage(GaussianAR(0.0), x, [0.95]).loc[0.95]
    assert (row["coverage"], row["se"], row["high95"]) == (1, 0, 1)
    t = stats.t.ppf(0.975, int(0.4 * 49 ** (2 / 3)))
    assert row["low95"] == pytest.approx(49 / (49 + t**2))


def test_the_interval_of_a_share_is_wilsons():
    """Of independent sequences of one element, whose error is that of a binomial share."""
    x = GaussianAR(0.0).sample(200, 1, seed=0)
    row = coverage(GaussianAR(0.0), x, [0.9]).loc[0.9]
    want = stats.binomtest(round(200 * row["coverage"]), 200).proportion_ci(method="wilson")
    assert (row["low95"], row["high95"]) == pytest.approx((want.low, want.high), abs=1e-3)
