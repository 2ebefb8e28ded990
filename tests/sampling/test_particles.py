"""Completion where the known elements do not come first: against enumeration and quadrature."""

from __future__ import annotations

import itertools
import warnings

import numpy as np
import pytest
import torch
from helpers import shake

from arproc import MADE, NADE, Mixture, PixelCNN, Training, Transformer
from arproc.errors import DataError, ParameterError, UnsupportedError
from arproc.sampling import Completion, Temperature, complete

QUICK = Training(steps=2, batch_size=4)
KNOWN = np.array([False, True, False, True, True])
X = np.array([0, 1, 0, 0, 1])


def binary(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 2, shape)


def strong(model, seed: int = 3):
    """Large weights, under which what comes later says much about what came before."""
    shake(model, seed)
    with torch.no_grad():
        for p in model.network_.parameters():
            p.mul_(4 if p.ndim > 1 else 1)
    return model


def made() -> MADE:
    return strong(MADE((8,), training=QUICK).fit(binary(20, 5)))


def every(known: np.ndarray, x: np.ndarray, levels: int = 2) -> np.ndarray:
    """The vector x with all values of what is not known, [levels^u, D]."""
    found = np.repeat(x[None], levels ** int((~known).sum()), axis=0)
    found[:, ~known] = list(itertools.product(range(levels), repeat=int((~known).sum())))
    return found


def conditional(model, known: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, float]:
    """The law of what is unknown, [2^u], and p(known), by enumeration."""
    p = np.exp(model.log_prob(every(known, x)))
    return p / p.sum(), p.sum()


def shares(drawn: np.ndarray, known: np.ndarray) -> np.ndarray:
    """How often each value of the unknown was drawn."""
    unknown = drawn.reshape(-1, drawn.shape[-1])[:, ~known]
    code = unknown @ 2 ** np.arange(unknown.shape[1])[::-1]
    return np.bincount(code, minlength=2 ** unknown.shape[1]) / len(code)


def distance(p: np.ndarray, q: np.ndarray) -> float:
    return 0.5 * float(np.abs(p - q).sum())


# ---- the estimate and the law -----------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:the weight of example")
@pytest.mark.parametrize("particles", [1, 3, 8])
def test_the_estimate_of_p_known_is_unbiased(particles):
    """The mean over many runs of few particles, which are resampled on the way."""
    model = made()
    runs = 6000
    found = complete(
        model, np.repeat(X[None], runs, 0), KNOWN, seed=particles, n_particles=particles,
        return_info=True,
    )  # fmt: skip
    estimates = np.exp(found.log_prob_known)
    want = conditional(model, KNOWN, X)[1]
    error = estimates.std() / runs**0.5
    assert error < 0.05 * want
    assert abs(estimates.mean() - want) < 4 * error
    assert estimates.std() > 0.05 * want  # each is an estimate, and not the number itself


@pytest.mark.filterwarnings("ignore:the weight of example")
def test_draws_come_to_the_conditional_law():
    model = made()
    law, _ = conditional(model, KNOWN, X)
    runs = np.repeat(X[None], 4000, 0)
    away = []
    for particles in (1, 4, 64):
        drawn = complete(model, runs, KNOWN, seed=1, n_particles=particles)
        away.append(distance(shares(drawn, KNOWN), law))
    assert away[0] > 0.15  # one particle draws without regard to what comes after
    assert away[1] < away[0]
    assert away[2] < 0.02
    # and so do the draws of one set of many particles
    found = complete(model, X, KNOWN, n=20_000, seed=1, n_particles=20_000, return_info=True)
    assert distance(shares(found.x, KNOWN), law) < 0.02
    assert found.log_prob_known == pytest.approx(np.log(conditional(model, KNOWN, X)[1]), abs=0.02)


def test_each_draw_of_an_example_has_the_same_law():
    """No draw is the first of the particles by its place."""
    model = made()
    law, _ = conditional(model, KNOWN, X)
    drawn = complete(model, np.repeat(X[None], 3000, 0), KNOWN, n=3, seed=2, n_particles=64)
    for k in range(3):
        assert distance(shares(drawn[:, k], KNOWN), law) < 0.03


def test_where_the_known_come_first_particles_are_exact():
    model = made()
    first = np.arange(5) < 3
    exact = complete(model, X, first, n=3000, seed=0, return_info=True)
    rough = complete(
        model, X, first, n=3000, seed=0, method="importance", n_particles=3000, return_info=True
    )
    assert (exact.method, rough.method) == ("exact", "importance")
    assert rough.effective_sample_size == 3000
    assert rough.log_prob_known == pytest.approx(exact.log_prob_known, abs=1e-6)
    law, mass = conditional(model, first, X)
    assert exact.log_prob_known == pytest.approx(np.log(mass), abs=1e-5)
    for found in (exact, rough):
        assert distance(shares(found.x, first), law) < 0.03


@pytest.mark.parametrize("kind", ["NADE", "MADE"])
@pytest.mark.parametrize("ordering", ["natural", (3, 1, 0, 4, 2)])
def test_a_model_of_every_order_is_asked_in_the_one_that_fits(kind, ordering):
    parameters = {"order_agnostic": True, "ordering": ordering, "training": QUICK}
    fresh = NADE(8, **parameters) if kind == "NADE" else MADE((8,), **parameters)
    model = strong(fresh.fit(binary(20, 5)))
    own = range(5) if ordering == "natural" else ordering
    member = model.in_order([*(j for j in own if KNOWN[j]), *(j for j in own if not KNOWN[j])])
    found = complete(model, X, KNOWN, n=4000, seed=0, return_info=True)
    law, mass = conditional(member, KNOWN, X)
    assert found.method == "reordered"
    assert found.log_prob_known == pytest.approx(np.log(mass), abs=1e-5)
    assert distance(shares(found.x, KNOWN), law) < 0.03
    assert (found.x[:, KNOWN] == X[KNOWN]).all()
    if kind == "NADE":
        gaps = np.where(KNOWN, X, -1)
        assert found.log_prob_known == pytest.approx(model.conditional_log_prob(gaps), abs=1e-5)
        np.testing.assert_array_equal(found.x, model.impute(gaps, 4000, seed=0))
        # of several examples each has what is known first
        x, known = binary(3, 5), np.array([np.arange(5) < 5, KNOWN, ~KNOWN])
        some = complete(model, x, known, n=2, seed=0, return_info=True)
        wanted = model.conditional_log_prob(np.where(known, x, -1))
        np.testing.assert_allclose(some.log_prob_known, wanted, atol=1e-5)
        assert (some.x[:, 0][known] == x[known]).all()
    # particles of the same model keep to its own order
    rough = complete(
        model, X, KNOWN, n=4000, seed=0, method="importance", n_particles=8000, return_info=True
    )
    law, mass = conditional(model, KNOWN, X)
    assert rough.log_prob_known == pytest.approx(np.log(mass), abs=0.05)
    assert distance(shares(rough.x, KNOWN), law) < 0.04


def test_exact_and_particles_agree_where_the_order_says_nothing():
    """Without hidden units and weights the sites are independent: every order is one law."""
    model = MADE((4,), order_agnostic=True, training=QUICK).fit(binary(20, 5))
    with torch.no_grad():
        for name, p in model.network_.named_parameters():
            if "weight" in name:
                p.zero_()
    exact = complete(model, X, KNOWN, n=4000, seed=0, return_info=True)
    rough = complete(
        model, X, KNOWN, n=4000, seed=0, method="importance", n_particles=4000, return_info=True
    )
    assert exact.log_prob_known == pytest.approx(rough.log_prob_known, abs=1e-6)
    assert rough.effective_sample_size == pytest.approx(4000)
    assert distance(shares(exact.x, KNOWN), shares(rough.x, KNOWN)) < 0.03


def test_densities_against_quadrature():
    x = np.random.default_rng(0).normal(size=(60, 2)) @ [[1.0, 0.8], [0.0, 0.6]]
    model = shake(MADE((6,), head="normal_mixture", components=2, training=QUICK).fit(x), seed=5)
    grid = np.linspace(-40, 40, 40_001)
    points = np.stack([grid, np.full_like(grid, 0.7)], axis=1)
    p = np.exp(model.log_prob(points))
    mass = np.trapezoid(p, grid)
    mean = np.trapezoid(p * grid, grid) / mass
    deviation = np.sqrt(np.trapezoid(p * (grid - mean) ** 2, grid) / mass)
    found = complete(model, [np.nan, 0.7], n=20_000, seed=0, n_particles=20_000, return_info=True)
    assert found.log_prob_known == pytest.approx(np.log(mass), abs=0.05)
    assert found.x[:, 0].mean() == pytest.approx(mean, abs=0.05 * deviation + 0.02)
    assert found.x[:, 0].std() == pytest.approx(deviation, rel=0.05)
    assert (found.x[:, 1] == np.float32(0.7)).all() or (found.x[:, 1] == 0.7).all()


def test_the_effective_sample_size_is_that_of_the_weights():
    """Two sites, the second known: the particles' weights are p(x_2 | x_1) of what they drew."""
    model = strong(MADE((8,), training=QUICK).fit(binary(20, 2)))
    found = complete(model, [0, 1], np.array([False, True]), n_particles=50_000, seed=0, n=2,
                     return_info=True)  # fmt: skip
    p = np.exp(model.log_prob(np.array([[0, 0], [0, 1], [1, 0], [1, 1]]))).reshape(2, 2)
    first = p.sum(1)
    weight = p[:, 1] / first
    want = (first @ weight) ** 2 / (first @ weight**2)
    assert found.effective_sample_size / 50_000 == pytest.approx(want, rel=0.02)


# ---- forms ------------------------------------------------------------------------------------


def test_each_example_is_completed_in_its_own_way():
    model = made()
    x = binary(4, 5)
    known = np.array([np.arange(5) < 2, KNOWN, np.ones(5, bool), ~KNOWN])
    found = complete(model, x, known, n=2, seed=0, return_info=True)
    assert isinstance(found, Completion)
    assert found.method.tolist() == ["exact", "importance", "exact", "importance"]
    assert found.x.shape == (4, 2, 5)
    for i in range(4):
        assert (found.x[i][:, known[i]] == x[i, known[i]]).all()
    assert found.log_prob_known[2] == pytest.approx(model.log_prob(x[2]), abs=1e-5)
    assert found.effective_sample_size[0] == 2
    assert found.effective_sample_size[1] > 10
    np.testing.assert_array_equal(found.x, complete(model, x, known, n=2, seed=0))
    # an example's draws are its own affair: the others may be anything
    other = known.copy()
    other[0], other[2] = KNOWN, ~KNOWN
    again = complete(model, x, other, n=2, seed=0, return_info=True)
    np.testing.assert_array_equal(again.x[[1, 3]], found.x[[1, 3]])
    one = complete(model, x[0], known[0], n=2, seed=0, return_info=True)
    assert one.method == "exact"
    assert one.log_prob_known == pytest.approx(found.log_prob_known[0])


@pytest.mark.parametrize("shape", [(3, 4), (3, 2, 5), (2, 5, 3)])
def test_images_keep_what_is_known(shape):
    model = shake(PixelCNN(1, 4, levels=4, training=QUICK).fit(
        np.random.default_rng(0).integers(0, 4, (12, *shape))))  # fmt: skip
    x = np.random.default_rng(1).integers(0, 4, (2, *shape))
    known = np.random.default_rng(2).random(shape) < 0.5
    found = complete(model, x, known, n=3, seed=0, n_particles=200, return_info=True)
    assert found.x.dtype == np.uint8
    assert (found.x[:, :, known] == x[:, None, known]).all()
    assert len(np.unique(found.x[0][:, ~known], axis=0)) > 1
    assert found.method.tolist() == ["importance"] * 2


def test_any_process_of_a_fixed_size_is_completed():
    x = binary(20, 2, 3)
    known = np.array([[False, False, True], [True, True, False]])
    transformer = Transformer(1, 2, 8, training=QUICK).fit(x)
    mades = [shake(MADE((6,), training=QUICK).fit(x), seed=k) for k in (1, 2)]
    for model in (transformer, Mixture(mades, weights=[0.5, 0.5]),
                  mades[0].with_policy(Temperature(0.5))):  # fmt: skip
        found = complete(model, x[0], known, n=4, seed=0, n_particles=100)
        assert (found[:, known] == x[0][known]).all()


def test_labels_are_those_of_the_examples():
    label = np.arange(60) % 2
    x = np.repeat(label[:, None], 4, axis=1)
    plan = Training(steps=100, lr=0.05, batch_size=32)
    model = MADE((8,), classes=2, training=plan).fit(x, context=label)
    known = np.array([False, False, False, True])
    drawn = complete(model, x[:4], known, n=5, seed=0, context=label[:4])
    assert (drawn == x[:4, None]).mean() > 0.9


# ---- warnings and errors ------------------------------------------------------------------------


def test_few_particles_under_the_weight_are_told_of():
    model = made()
    with pytest.warns(UserWarning, match=r"example 0 came to rest on \d.\d of its 4 particles"):
        complete(model, X, KNOWN, n_particles=4, seed=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        complete(model, X, KNOWN, seed=0)


def test_what_can_not_be_is_an_error():
    model = MADE((4,), levels=(2, 3), training=QUICK).fit(binary(20, 2))
    with pytest.raises(DataError, match="known of example 1 has probability zero"):
        complete(model, np.array([[0, 1], [2, 1]]), np.array([True, False]), method="importance")


def test_wrong_arguments_are_refused():
    model = made()
    with pytest.raises(UnsupportedError, match=r"\(1,\) of example 0 is known, and \(0,\)"):
        complete(model, X, KNOWN, method="exact")
    with pytest.raises(ParameterError, match="method must be"):
        complete(model, X, KNOWN, method="gibbs")
    with pytest.raises(ParameterError, match="n_particles must be"):
        complete(model, X, KNOWN, n_particles=0)
    with pytest.raises(UnsupportedError, match="has one order of sites"):
        PixelCNN(0, 4, training=QUICK).fit(binary(4, 3, 3)).in_order("natural")
