"""Scores of points and intervals: closed forms, and the M4 competition's published figures."""

from __future__ import annotations

import numpy as np
import pytest

from arproc.errors import DataError, ParameterError
from arproc.evaluation import mase, msis, owa, seasonal_scale, smape
from benchmarks import m4

needs_data = pytest.mark.skipif(
    not (m4.DATA / "m4_hourly_test.csv.gz").exists(), reason="the shared data are not here"
)


@needs_data
def test_published_figures_of_the_naive_methods():
    train, test = m4.series("train"), np.array(m4.series("test"))
    scores = {}
    for name, method in (("seasonal naive", m4.seasonal_naive), ("Naive 2", m4.naive_2)):
        scores[name] = m4.point_scores(np.array([method(x) for x in train]), train, test)
        smapes, mases = scores[name]
        published = m4.PUBLISHED[name]
        assert smapes.mean() == pytest.approx(published[0], abs=6e-4)
        assert mases.mean() == pytest.approx(published[1], abs=6e-4)
    assert owa(*scores["seasonal naive"], *scores["Naive 2"]) == pytest.approx(0.627, abs=6e-4)
    last = np.array([np.full(48, x[-1]) for x in train])
    assert smape(last, test).mean() == pytest.approx(43.003, abs=6e-4)


def test_interval_score_is_proper():
    # the quantiles of the law itself score best, narrower and wider ones worse
    x = np.random.default_rng(0).normal(size=20_000)
    scores = [msis(np.full(len(x), -z), np.full(len(x), z), x, x[:50]) for z in (1.7, 1.96, 2.25)]
    assert scores[1] < min(scores[0], scores[2])


def test_one_series_or_many():
    f, y = np.array([[1.0, 2.0], [0.0, 0.0]]), np.array([[1.0, 3.0], [0.0, 0.0]])
    assert smape(f, y).tolist() == [pytest.approx(20.0), 0.0]
    assert smape(f[0], y[0]) == pytest.approx(20.0)
    assert mase(f[0], y[0], [1.0, 2.0, 4.0], season=2) == pytest.approx(0.5 / 3)


def test_bad_input():
    with pytest.raises(DataError, match=r"shape \(2,\) and what came \(3,\)"):
        smape([1.0, 2.0], [1.0, 2.0, 3.0])
    with pytest.raises(DataError, match="not finite"):
        smape([np.nan], [1.0])
    with pytest.raises(DataError, match="above season 24"):
        seasonal_scale(np.arange(24.0), 24)
    with pytest.raises(DataError, match="repeats itself"):
        seasonal_scale(np.ones(10), 1)
    with pytest.raises(ParameterError, match="level must be a number above 0 and below 1"):
        msis([0.0], [1.0], [0.5], [1.0, 2.0], level=95)
