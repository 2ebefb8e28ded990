"""MADE of many orders: one set of weights under many masks, and a MADE in each of them."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from helpers import shake

import arproc
from arproc import MADE, OrderEnsemble, Training
from arproc.errors import ParameterError, UnsupportedError
from arproc.testing import check_process

QUICK = Training(steps=2, batch_size=4)
LEVELS = (2, 3, 1, 2)
EVERY = np.array(list(itertools.product(*[range(k) for k in LEVELS])))
FORMS = {
    "binary": {"hidden": (7, 6)},
    "mixed": {"levels": LEVELS, "direct": True, "hidden": (9,)},
    "residual": {"levels": LEVELS, "residual": True, "hidden": (8, 8, 8)},
    "shallow": {"hidden": (), "direct": True},
}


def model_of(form: str, **parameters) -> MADE:
    settings = FORMS[form] | {"order_agnostic": True, "training": QUICK} | parameters
    return shake(MADE(**settings).fit(EVERY if form in ("mixed", "residual") else bits()))


def bits() -> np.ndarray:
    return np.array(list(itertools.product([0, 1], repeat=4)))


def vectors(model: MADE) -> np.ndarray:
    return bits() if model.space.size == 2 else EVERY


@pytest.mark.parametrize("form", FORMS)
def test_every_order_is_a_law(form):
    model = model_of(form, ordering=(3, 1, 0, 2))
    x = vectors(model)
    for order in ((0, 1, 2, 3), (2, 3, 1, 0), (1, 0, 3, 2)):
        other = model.in_order(order)
        assert other.layout.order in (order, None)
        assert np.exp(other.log_prob(x)).sum() == pytest.approx(1, abs=1e-5)
        again = other.in_order((2, 0, 3, 1)).in_order((3, 1, 0, 2))
        np.testing.assert_allclose(again.log_prob(x), model.log_prob(x), atol=1e-5)
    assert not np.allclose(model.in_order("natural").log_prob(x), model.log_prob(x))


@pytest.mark.parametrize("form", FORMS)
def test_the_loss_in_an_order_is_that_orders_law(form):
    model = model_of(form)
    x = model.sequences(vectors(model)).padded()[0]
    order = (2, 0, 3, 1)
    loss = model.network_.loss_in(order, x, None)
    want = -model.in_order(order).log_prob(vectors(model)).mean() / 4
    assert float(loss) == pytest.approx(want, abs=1e-5)


def test_an_order_keeps_what_belongs_to_each_site():
    x = np.random.default_rng(0).normal(size=(20, 3)) * [1, 9, 0.1] + [0, 50, 3]
    label = np.eye(2)[np.arange(20) % 2]
    settings = {"components": 2, "conditioned": True, "training": QUICK}
    model = shake(MADE((6,), order_agnostic=True, **settings).fit(x, context=label))
    other = model.in_order((1, 2, 0))
    assert other.network_.values.shift.tolist() == pytest.approx(x.mean(0)[[1, 2, 0]])
    again = other.in_order("natural")
    np.testing.assert_allclose(
        again.log_prob(x, context=label), model.log_prob(x, context=label), rtol=1e-5
    )
    assert check_process(other, context=np.eye(2), only=["normalisation", "terms_sum"])


def test_another_order_has_other_masks_too():
    """Which hidden unit sees a site depends on the order: mask sampling."""
    model = model_of("binary", hidden=(40,))
    network = model.network_
    first, second = (
        network.reordered(range(4), network.masks.units(order, [40]))["layers.0.bias"]
        for order in ((0, 1, 2, 3), (0, 1, 3, 2))
    )
    assert not torch.equal(first, second)


def test_so_many_orders_are_those_of_the_seed():
    model = model_of("binary", order_agnostic=3, ordering=(3, 1, 0, 2))
    assert len(model.orders) == 3
    assert model.orders[0] == (3, 1, 0, 2)
    assert model.orders == model_of("binary", order_agnostic=3, ordering=(3, 1, 0, 2)).orders
    assert model_of("binary").orders == []
    ensemble = OrderEnsemble(model)
    assert ensemble.orders == model.orders
    x = bits()
    single = [model.in_order(order).log_prob(x) for order in model.orders]
    np.testing.assert_allclose(ensemble.log_prob(x), np.log(np.exp(single).mean(0)), atol=1e-5)


@pytest.mark.parametrize("count", [True, 3])
def test_learns_the_law_of_its_data_in_every_order(count, tmp_path):
    rows = np.array([[0, 0, 1], [1, 1, 0], [1, 0, 1]])
    x = rows[np.repeat([0, 1, 2], [40, 40, 20])]
    entropy = -(0.8 * np.log(0.4) + 0.2 * np.log(0.2))
    plan = Training(steps=800, lr=0.02, weight_decay=0.0)
    model = MADE((24,), order_agnostic=count, training=plan).fit(x, validation=x)
    for order in model.orders or list(itertools.permutations(range(3))):
        assert -model.in_order(order).log_prob(x).mean() == pytest.approx(entropy, abs=0.05)
    model.save(tmp_path / "model")
    again = arproc.load(tmp_path / "model").in_order((2, 0, 1))
    np.testing.assert_allclose(again.log_prob(x), model.in_order((2, 0, 1)).log_prob(x), atol=1e-6)


def test_what_is_not_asked_for_is_refused():
    with pytest.raises(UnsupportedError, match="order_agnostic=True"):
        MADE((4,), training=QUICK).fit(EVERY).in_order("random")
    with pytest.raises(ParameterError, match="order_agnostic must be at least 2"):
        MADE((4,), order_agnostic=1, training=QUICK).fit(EVERY)
