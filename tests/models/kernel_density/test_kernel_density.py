"""Kernel density estimation: the sum of kernels it says it is, in every order, and its fit."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import stats
from sklearn.neighbors import KernelDensity as Reference

import arproc
from arproc import KernelDensity
from arproc.errors import DataError, ParameterError

RNG = np.random.default_rng(0)
REAL = RNG.normal(size=(50, 3)) * [1, 5, 0.1] + [0, 20, -1]
LEVELS = RNG.integers(0, 3, (25, 4))
EVERY = np.array(list(itertools.product(range(3), repeat=4)))


def test_normal_kernels_give_scikit_learns_density():
    model = KernelDensity(0.7).fit(REAL)
    reference = Reference(bandwidth=0.7).fit(REAL)
    np.testing.assert_allclose(model.log_prob(REAL[:9]), reference.score_samples(REAL[:9]))


def test_a_bandwidth_a_site_and_weights():
    width, weights = np.array([0.5, 2.0, 0.05]), RNG.random(50)
    model = KernelDensity(list(width)).fit(REAL, sample_weight=weights)
    x = REAL[:7] + 0.01
    each = stats.norm.pdf(x[:, None], REAL, width).prod(2)
    expected = np.log(each @ weights / weights.sum())
    np.testing.assert_allclose(model.log_prob(x), expected)


def test_a_redraw_of_levels_by_hand():
    model = KernelDensity(0.4).fit(LEVELS)
    shares = np.stack([(k == LEVELS).sum(0) + 1.0 for k in range(3)], 1)
    shares /= shares.sum(1, keepdims=True)
    kernel = 0.6 * (EVERY[:, None] == LEVELS) + 0.4 * shares[np.arange(4), EVERY][:, None]
    np.testing.assert_allclose(np.exp(model.log_prob(EVERY)), kernel.prod(2).mean(1), rtol=1e-6)
    assert np.exp(model.log_prob(EVERY)).sum() == pytest.approx(1)


@pytest.mark.parametrize("x", [REAL, LEVELS, LEVELS > 1], ids=["reals", "levels", "bits"])
def test_every_order_gives_one_law(x, tmp_path):
    model = KernelDensity().fit(x)
    other = model.in_order("random")
    assert other.layout.order != model.layout.order
    np.testing.assert_allclose(other.log_prob(x), model.log_prob(x))
    terms = [float(np.sum(t)) for t in other.log_prob_terms(x)]
    np.testing.assert_allclose(terms, model.log_prob(x), rtol=1e-5)
    ensemble = arproc.OrderEnsemble(model, orderings=3)
    np.testing.assert_allclose(ensemble.log_prob(x), model.log_prob(x), rtol=1e-6)
    other.save(tmp_path / "model")
    np.testing.assert_allclose(arproc.load(tmp_path / "model").log_prob(x), model.log_prob(x))


def left_out(x: np.ndarray, bandwidth: np.ndarray) -> float:
    """The mean log-density of each vector, left out of its own density."""
    each = stats.norm.logpdf(x[:, None], x, bandwidth).sum(2)
    np.fill_diagonal(each, -np.inf)
    return float((np.logaddexp.reduce(each, axis=1) - np.log(len(x) - 1)).mean())


def test_bandwidths_have_the_greatest_likelihood_of_what_is_left_out():
    model = KernelDensity(iterations=500, tolerance=1e-10).fit(REAL)
    best = model.bandwidth_.numpy()
    for site, factor in itertools.product(range(3), (0.9, 1.1)):
        other = best.copy()
        other[site] *= factor
        assert left_out(REAL, best) > left_out(REAL, other)


def test_what_stands_twice_is_kept_once_and_counts_twice():
    twice = KernelDensity(0.3).fit(np.concatenate([LEVELS, LEVELS[:5]]))
    once = KernelDensity(0.3).fit(LEVELS, sample_weight=[2.0] * 5 + [1.0] * 20)
    assert len(twice.values_) == len(np.unique(LEVELS, axis=0))
    np.testing.assert_allclose(twice.log_prob(EVERY), once.log_prob(EVERY), atol=0.02)
    # a vector with a twin is expected again: little is redrawn
    learnt = KernelDensity().fit(np.repeat(LEVELS, 2, axis=0))
    assert float(learnt.bandwidth_.max()) < 0.05


def test_rounded_data_have_a_floor():
    x = np.round(REAL, 1).repeat(2, axis=0)
    floor = [0.05, 0.05, 0.05]
    assert float(KernelDensity(min_scale=0.05).fit(x).bandwidth_.min()) == pytest.approx(0.05)
    assert (KernelDensity(min_scale=floor).fit(x).bandwidth_ >= 0.05 - 1e-12).all()


@pytest.mark.filterwarnings("ignore:data are taken for real numbers")
def test_one_vector_constant_sites_and_shapes():
    assert np.isfinite(KernelDensity().fit(REAL[:1]).log_prob(REAL[:1])).all()
    flat = np.column_stack([REAL[:, 0], np.full(50, 3.0)])
    assert np.isfinite(KernelDensity().fit(flat).log_prob(flat)).all()
    pictures = KernelDensity(0.2).fit(LEVELS.reshape(-1, 2, 2))
    assert pictures.sample(5, seed=0).shape == (5, 2, 2)


def test_a_refused_refit_and_other_parameters_change_nothing():
    model = KernelDensity(0.4).fit(LEVELS)
    before, draws = model.log_prob(EVERY), model.sample(4, seed=0)
    with pytest.raises(DataError, match="one vector"):
        model.fit(REAL[:, 0])
    model.set_params(bandwidth=0.1, ordering="random", levels=7)
    np.testing.assert_array_equal(model.log_prob(EVERY), before)
    np.testing.assert_array_equal(model.sample(4, seed=0), draws)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bandwidth": -1.0}, "bandwidth must be a number, 0 or more"),
        ({"bandwidth": [0.1, 0.2]}, "or 3 of them"),
        ({"bandwidth": "scott"}, "bandwidth can not be read as numbers"),
        ({"min_scale": float("nan")}, "min_scale must be"),
        ({"min_scale": "half step"}, "min_scale can not be read as numbers"),
        ({"tolerance": "small"}, "tolerance must be"),
        ({"iterations": 0}, "iterations"),
        ({"tolerance": -1.0}, "tolerance"),
        ({"ordering": [0, 0, 1]}, "permutation"),
    ],
)
def test_wrong_parameters_are_refused(change, message):
    with pytest.raises(ParameterError, match=message):
        KernelDensity(**change).fit(REAL)


def test_wrong_data_are_refused():
    with pytest.raises(DataError, match=r"levels|symbols"):
        KernelDensity(levels=3).fit(LEVELS).log_prob([0, 1, 2, 3])
    with pytest.raises(DataError, match=r"finite|missing|NaN"):
        KernelDensity().fit(np.where(REAL > 21, np.nan, REAL))
    with pytest.raises(DataError, match="values up to inf"):
        KernelDensity().fit([[1.0, np.inf]])
    with pytest.raises(DataError, match=r"at most 65536 levels"):
        KernelDensity().fit([[1, 10**9]])
    with pytest.raises(DataError, match=r"from -1 to"):
        KernelDensity().fit([[1, -1]])
    with pytest.raises(DataError, match=r"one vector of 50 numbers.*data\[:, None\]"):
        KernelDensity().fit(REAL[:, 0])
    with pytest.raises(ParameterError, match="takes no validation"):
        KernelDensity().fit(REAL, validation=REAL)


def test_any_part_is_completed_exactly_given_any_other():
    model = KernelDensity(0.3).fit(LEVELS)
    known = np.array([False, True, False, True])
    found = arproc.sampling.complete(model, LEVELS[0], known, n=4000, seed=0, return_info=True)
    assert found.method == "reordered"
    fits = (EVERY[:, known] == LEVELS[0][known]).all(1)
    weight = np.exp(model.log_prob(EVERY[fits]))
    assert found.log_prob_known == pytest.approx(np.log(weight.sum()), abs=1e-5)
    share = np.array([(found.x == row).all(1).mean() for row in EVERY[fits]])
    np.testing.assert_allclose(share, weight / weight.sum(), atol=0.03)
