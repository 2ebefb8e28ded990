"""The ensemble over orders: the exact mixture, drawn from and saved, and nothing it is not."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from helpers import shake

import arproc
from arproc import MADE, NADE, OrderEnsemble, Training
from arproc.errors import NotComparableError, NotFittedError, ParameterError, UnsupportedError
from arproc.sampling import TopK

QUICK = Training(steps=2, batch_size=4)
LEVELS = (2, 3, 1, 2)
EVERY = np.array(list(itertools.product(*[range(k) for k in LEVELS])))


def agnostic(**parameters) -> NADE:
    settings = {"hidden": 7, "levels": LEVELS, "training": QUICK} | parameters
    return shake(NADE(order_agnostic=True, **settings).fit(EVERY))


def mades() -> list[MADE]:
    orders = [(0, 1, 2, 3), (3, 1, 0, 2), (2, 3, 1, 0)]
    plan = {"levels": LEVELS, "training": QUICK}
    return [shake(MADE((6,), ordering=o, **plan).fit(EVERY), s) for s, o in enumerate(orders)]


@pytest.fixture(params=["orders", "permutations", "list"])
def ensemble(request) -> OrderEnsemble:
    if request.param == "list":
        return OrderEnsemble(mades())
    orderings = 3 if request.param == "orders" else [(1, 0, 3, 2), (3, 2, 1, 0)]
    return OrderEnsemble(agnostic(ordering=(2, 0, 1, 3)), orderings)


def test_it_is_the_log_of_the_mean_likelihood(ensemble):
    single = np.stack([member.log_prob(EVERY) for member in ensemble.members])
    assert len(single) == len(ensemble.orders)
    assert [member.layout.order or tuple(range(4)) for member in ensemble.members] == (
        ensemble.orders
    )
    np.testing.assert_allclose(ensemble.log_prob(EVERY), np.log(np.exp(single).mean(0)), atol=1e-6)
    assert np.exp(ensemble.log_prob(EVERY)).sum() == pytest.approx(1, abs=1e-5)
    assert (ensemble.log_prob(EVERY) >= single.mean(0) - 1e-9).all()
    assert ensemble.score(EVERY) == pytest.approx(ensemble.log_prob(EVERY).mean() / 4)


def test_draws_follow_it_and_know_their_probability(ensemble):
    draws = ensemble.sample(4000, seed=0, return_log_prob=True)
    share = np.array([(draws.x == row).all(1).mean() for row in EVERY])
    assert np.abs(share - np.exp(ensemble.log_prob(EVERY))).max() < 0.04
    np.testing.assert_allclose(draws.log_prob, ensemble.log_prob(draws.x), atol=1e-5)
    assert draws.complete.all()


def test_a_row_is_the_same_in_any_batch(ensemble):
    many = ensemble.sample(50, seed=3)
    np.testing.assert_array_equal(many[:7], ensemble.sample(7, seed=3))
    assert ensemble.sample(0, seed=3).shape == (0, 4)
    assert not np.array_equal(many, ensemble.sample(50, seed=4))


def test_it_is_saved_with_its_model(ensemble, tmp_path):
    ensemble.save(tmp_path / "ensemble")
    again = arproc.load(tmp_path / "ensemble")
    np.testing.assert_allclose(again.log_prob(EVERY), ensemble.log_prob(EVERY), atol=1e-6)
    np.testing.assert_array_equal(again.sample(9, seed=0), ensemble.sample(9, seed=0))


def test_real_vectors_of_any_shape_with_a_context():
    x = np.random.default_rng(0).normal(size=(20, 3, 1)) * [[1], [5], [0.1]]
    label = np.eye(2)[np.arange(20) % 2]
    model = NADE(6, order_agnostic=True, conditioned=True, training=QUICK, components=2)
    shake(model.fit(x, context=label))
    ensemble = OrderEnsemble(model, 3)
    single = [member.log_prob(x, context=label) for member in ensemble.members]
    got = ensemble.log_prob(x, context=label)
    np.testing.assert_allclose(got, np.log(np.exp(single).mean(0)), rtol=1e-4)
    draws = ensemble.sample(5, seed=0, context=label[:5], return_log_prob=True)
    assert draws.x.shape == (5, 3, 1)
    np.testing.assert_allclose(
        draws.log_prob, ensemble.log_prob(draws.x, context=label[:5]), rtol=1e-4
    )
    moving = torch.tensor(x[:2], requires_grad=True)
    ensemble.log_prob(moving, context=label[:2]).sum().backward()
    assert bool((moving.grad != 0).all())


def test_it_says_what_it_has_not(ensemble):
    for call in (
        "conditional", "conditionals", "condition", "log_prob_terms", "start", "with_policy",
        "forecast",
    ):  # fmt: skip
        with pytest.raises(UnsupportedError, match="mixture over orders"):
            getattr(ensemble, call)([0])
    for wrong in ({"prefix": [0]}, {"policy": TopK(1)}, {"stop": lambda x: x}):
        with pytest.raises(UnsupportedError, match="takes no"):
            ensemble.sample(1, **wrong)
    with pytest.raises(ParameterError, match="length is 3; this law has 4"):
        ensemble.sample(1, length=3)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: OrderEnsemble(arproc.AR(1)), NotFittedError, "not fitted"),
        (
            lambda: OrderEnsemble(mades()[0].with_policy(TopK(1))),
            ParameterError,
            "can be asked in any order",
        ),
        (lambda: OrderEnsemble([]), ParameterError, "list of laws"),
        (lambda: OrderEnsemble(mades(), 3), ParameterError, "has its own"),
        (lambda: OrderEnsemble(agnostic(), 0), ParameterError, "orderings must be at least 1"),
        (lambda: OrderEnsemble(agnostic(), []), ParameterError, "orderings is empty"),
        (
            lambda: OrderEnsemble(agnostic(), [(0, 1)]),
            ParameterError,
            "no permutation of the site",
        ),
        (lambda: OrderEnsemble(NADE(order_agnostic=True)), NotFittedError, "not fitted"),
        (
            lambda: OrderEnsemble([*mades(), MADE((3,), training=QUICK).fit(EVERY[:, :3])]),
            NotComparableError,
            "same vectors",
        ),
        (
            lambda: OrderEnsemble(NADE(4, training=QUICK).fit(EVERY)),
            UnsupportedError,
            "order_agnostic=True",
        ),
    ],
)
def test_what_can_not_be_averaged_is_refused(make, error, message):
    with pytest.raises(error, match=message):
        make().log_prob(EVERY)


def test_weights_are_learnt_from_held_out_vectors():
    parts = mades()
    truth = np.array([0.7, 0.0, 0.3])
    x = OrderEnsemble(parts, weights=truth).sample(20_000, seed=1)
    fitted = OrderEnsemble(parts).fit(x)
    np.testing.assert_allclose(fitted.weights_, truth, atol=0.06)
    for other in (OrderEnsemble(parts), OrderEnsemble(parts, weights=[0.2, 0.3, 0.5])):
        assert fitted.score(x) >= other.score(x)  # the likelihood is concave in them
    single = np.stack([part.log_prob(EVERY) for part in parts])
    expected = np.log(fitted.weights_.numpy() @ np.exp(single))
    np.testing.assert_allclose(fitted.log_prob(EVERY), expected, atol=1e-6)


def test_given_weights_are_those_of_the_draws(tmp_path):
    ensemble = OrderEnsemble(mades(), weights=[0.1, 0.2, 0.7])
    x = ensemble.sample(4000, seed=0)
    share = np.array([(x == row).all(1).mean() for row in EVERY])
    assert np.abs(share - np.exp(ensemble.log_prob(EVERY))).max() < 0.04
    ensemble.save(tmp_path / "ensemble")
    np.testing.assert_allclose(
        arproc.load(tmp_path / "ensemble").log_prob(EVERY), ensemble.log_prob(EVERY), atol=1e-6
    )
    with pytest.raises(ParameterError, match="weights= has fixed them"):
        ensemble.fit(EVERY)
    with pytest.raises(ParameterError, match="3 numbers"):
        OrderEnsemble(mades(), weights=[0.5, 0.5]).log_prob(EVERY)
    with pytest.raises(ParameterError, match="takes no validation"):
        OrderEnsemble(mades()).fit(EVERY, validation=EVERY)


def test_flows_and_ensembles_may_be_members():
    x = np.random.default_rng(0).normal(size=(60, 3)) * [1, 5, 0.1]
    flow = shake(arproc.MAF((5,), layers=2, training=QUICK).fit(x))
    kernels = arproc.KernelDensity().fit(x)
    inner = OrderEnsemble([kernels, flow], weights=[0.25, 0.75])
    outer = OrderEnsemble([inner, NADE(4, training=QUICK).fit(x)])
    parts = [kernels.log_prob(x), flow.log_prob(x), outer.members[1].log_prob(x)]
    expected = np.log(np.array([0.125, 0.375, 0.5]) @ np.exp(parts))
    np.testing.assert_allclose(outer.log_prob(x), expected, rtol=1e-6)
    draws = outer.sample(40, seed=0, return_log_prob=True)
    np.testing.assert_allclose(draws.log_prob, outer.log_prob(draws.x), rtol=1e-6)
    np.testing.assert_allclose(outer.sample(7, seed=0), draws.x[:7], rtol=1e-5)
