"""Scores of quantiles, intervals, probabilities and paths: by others' numbers, and proper."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from arproc import evaluation
from arproc.errors import DataError, ParameterError
from arproc.evaluation import (
    brier_score,
    crps_paths,
    energy_score,
    interval_score,
    pinball_loss,
    variogram_score,
)

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(40, 5)), RNG.normal(size=5)
W = RNG.gamma(1.0, size=40)


def test_against_scoringrules(sr):
    options = {"backend": "numpy"}
    y, q = RNG.normal(size=30), RNG.normal(size=30)
    mine = pinball_loss(q, y, 0.3)
    np.testing.assert_allclose(mine, sr.quantile_score(y, q, 0.3, **options))
    low, high = q - 1, q + 0.5
    mine = interval_score(low, high, y, 0.8)
    np.testing.assert_allclose(mine, sr.interval_score(y, low, high, 0.2, **options))
    p, came = RNG.random(30), RNG.random(30) < 0.5
    np.testing.assert_allclose(
        brier_score(p, came), sr.brier_score(came.astype(float), p, **options)
    )
    even = np.ones(40)
    assert energy_score(X, Y, weights=even) == pytest.approx(
        float(sr.es_ensemble(Y, X, **options)), rel=1e-12
    )
    assert energy_score(X, Y) == pytest.approx(
        float(sr.es_ensemble(Y, X, estimator="fair", **options)), rel=1e-12
    )
    for power in (0.5, 1.0):
        theirs = float(sr.vs_ensemble(Y, X, p=power, **options))
        assert variogram_score(X, Y, power=power) == pytest.approx(theirs, rel=1e-12)


def test_weighted_paths_are_copies():
    """Whole weights are paths that are there so many times."""
    weights = RNG.integers(0, 4, 40)
    many = np.repeat(X, weights, axis=0)
    even = np.ones(len(many))
    for score in (energy_score, variogram_score):
        assert score(X, Y, weights=weights) == pytest.approx(score(many, Y, weights=even))
    np.testing.assert_allclose(
        crps_paths(X, Y, weights=weights), crps_paths(many, Y, weights=even), rtol=1e-12
    )


def test_weighted_crps_by_its_double_sum():
    w = W / W.sum()
    apart = np.abs(X[:, None] - X)
    want = (w[:, None] * np.abs(X - Y)).sum(0) - np.einsum("i,j,ijt->t", w, w, apart) / 2
    np.testing.assert_allclose(crps_paths(X, Y, weights=W), want, rtol=1e-12)


def test_energy_of_one_number_is_the_crps():
    assert energy_score(X[:, :1], Y[:1]) == pytest.approx(crps_paths(X[:, :1], Y[:1])[0])


def test_pairs_have_weights():
    v = np.zeros((5, 5))
    v[1, 3] = 2.0
    apart = np.sqrt(np.abs(X[:, 1] - X[:, 3])).mean()
    want = 2 * (np.sqrt(abs(Y[1] - Y[3])) - apart) ** 2
    assert variogram_score(X, Y, pair_weights=v) == pytest.approx(want)


@pytest.mark.parametrize("score", [energy_score, variogram_score])
def test_what_did_not_come_is_left_out(score):
    gone = np.where(np.arange(5) == 2, np.nan, Y)
    kept = np.delete(np.arange(5), 2)
    assert score(X, gone) == pytest.approx(score(X[:, kept], Y[kept]))


def test_what_did_not_come_has_no_score():
    assert np.isnan(pinball_loss([1.0, 2.0], [np.nan, 1.0], 0.5)).tolist() == [True, False]
    assert np.isnan(interval_score(0.0, 1.0, [np.nan, 1.0], 0.5)).tolist() == [True, False]
    assert np.isnan(brier_score([0.5, 0.5], [np.nan, 1.0])).tolist() == [True, False]
    assert np.isnan(brier_score([[0.5, 0.5]] * 2, [np.nan, 1])).tolist() == [True, False]


def test_the_truth_scores_best():
    """Properness, by the exact expectation of each score under a known law."""
    grid = stats.norm.ppf((np.arange(4000) + 0.5) / 4000)
    quantiles = {q: np.mean(pinball_loss(q, grid, 0.8)) for q in stats.norm.ppf([0.7, 0.8, 0.9])}
    assert min(quantiles, key=quantiles.get) == stats.norm.ppf(0.8)
    ends = {z: np.mean(interval_score(-z, z, grid, 0.9)) for z in (1.2, stats.norm.ppf(0.95), 2.2)}
    assert min(ends, key=ends.get) == stats.norm.ppf(0.95)
    expected = {p: 0.3 * brier_score(p, 1) + 0.7 * brier_score(p, 0) for p in (0.2, 0.3, 0.4)}
    assert min(expected, key=expected.get) == 0.3
    law = np.array([0.5, 0.3, 0.2])
    rows = {
        other: sum(law @ [brier_score([list(other)], [k])[0] for k in range(3)] for _ in (0,))
        for other in ((0.5, 0.3, 0.2), (0.6, 0.2, 0.2), (0.4, 0.4, 0.2))
    }
    assert min(rows, key=rows.get) == tuple(law)


def test_joint_scores_see_what_they_should():
    """Of a law of two numbers with correlation 0.9: against none, and against a shift."""
    rng = np.random.default_rng(1)
    covariance = np.array([[1.0, 0.9], [0.9, 1.0]])
    true, other = (rng.multivariate_normal([0, 0], c, 200) for c in (covariance, np.eye(2)))
    came = rng.multivariate_normal([0, 0], covariance, 100)
    energy = [np.mean([energy_score(x, y) for y in came]) for x in (true, other, true + 1)]
    variogram = [np.mean([variogram_score(x, y) for y in came]) for x in (true, other, true + 1)]
    assert energy[0] < energy[1] < energy[2]
    assert variogram[0] < 0.8 * variogram[1]
    assert variogram[2] == pytest.approx(variogram[0])  # a shift of all it can not see


def test_what_is_wrong_is_told():
    with pytest.raises(DataError, match=r"level must lie in \(0, 1\)"):
        pinball_loss(1.0, 1.0, 1.0)
    with pytest.raises(DataError, match="shapes that do not go together: forecast"):
        pinball_loss([1.0, 2.0], [1.0, 2.0, 3.0], 0.5)
    with pytest.raises(DataError, match="lower must not be above upper"):
        interval_score(1.0, 0.0, 0.5, 0.9)
    with pytest.raises(ParameterError, match="level must be a number above 0"):
        interval_score(0.0, 1.0, 0.5, 1.0)
    with pytest.raises(DataError, match=r"probabilities must lie in \[0, 1\]"):
        brier_score(1.5, 1)
    with pytest.raises(DataError, match="outcomes must be 0"):
        brier_score(0.5, 2)
    with pytest.raises(DataError, match="add up to one"):
        brier_score([[0.5, 0.4]], [0])
    with pytest.raises(DataError, match="classes, whole numbers from 0 to 1"):
        brier_score([[0.5, 0.5]], [2])
    with pytest.raises(DataError, match=r"outcomes \(2,\); expected a class for each row"):
        brier_score([[0.5, 0.5]], [0, 1])
    with pytest.raises(DataError, match="at least 2 paths"):
        energy_score([[1.0]], [1.0])
    with pytest.raises(DataError, match="actual has nothing that came"):
        energy_score(X, np.full(5, np.nan))
    with pytest.raises(DataError, match="paths and actual must be finite"):
        variogram_score(np.where(X > 2, np.inf, X + 0 * X), [np.inf] + [0.0] * 4)
    with pytest.raises(DataError, match=r"weights has shape \(3,\); expected \[40\]"):
        energy_score(X, Y, weights=[1, 2, 3])
    with pytest.raises(DataError, match="none below 0, not all 0"):
        crps_paths(X, Y, weights=np.zeros(40))
    with pytest.raises(DataError, match=r"pair_weights has shape \(2, 2\)"):
        variogram_score(X, Y, pair_weights=np.ones((2, 2)))
    with pytest.raises(ParameterError, match="power must be a number above 0"):
        variogram_score(X, Y, power=0.0)


@pytest.mark.parametrize(
    "score",
    [
        lambda f, y: evaluation.smape(f, y),
        lambda f, y: evaluation.mase(f, y, [1.0, 2.0, 4.0]),
        lambda f, y: evaluation.msis(f - 1, f + 1, y, [1.0, 2.0, 4.0]),
        lambda f, y: evaluation.pinball_loss(f, y, 0.3),
        lambda f, y: evaluation.interval_score(f - 1, f + 1, y, 0.5),
        lambda f, y: evaluation.brier_score(f > 0.5, y > 0.4),
        lambda f, y: evaluation.reliability(f, y > 0.4).brier,
        lambda f, y: evaluation.murphy({"f": f}, y).sum(axis=0),
        lambda f, y: evaluation.crps_quantiles(f.to_frame(0.5), y),
    ],
)
def test_numbers_that_are_labelled_unlike_are_never_paired_by_position(score):
    days = pd.date_range("2024-01-01", periods=3)
    f, y = pd.Series([0.2, 0.9, 0.6], days), pd.Series([0.5, 0.1, 0.9], days)
    found = np.asarray(score(f, y))
    np.testing.assert_array_equal(np.asarray(score(f, y.reset_index(drop=True))), found)
    with pytest.raises(DataError, match="in another order; score the same steps"):
        score(f, y[::-1])
    with pytest.raises(DataError, match="is labelled from 2024-01-0"):
        score(f, y.set_axis(days + pd.Timedelta(days=1)))
