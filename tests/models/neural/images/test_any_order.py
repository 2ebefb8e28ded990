"""PixelCNN trained for every order of its elements, by enumeration and by what it learns."""

import functools
import itertools

import numpy as np
import pytest
import torch
from helpers import shake

import arproc
from arproc.errors import ParameterError, UnsupportedError
from arproc.sampling import complete, step_curve

QUICK = arproc.Training(steps=2, batch_size=8)


@functools.cache
def small(head="auto", levels=2, shape=(2, 3), **more):
    x = np.random.default_rng(0).integers(0, levels, (12, *shape))
    settings = {"head": head, "levels": levels, "order_agnostic": True, "training": QUICK} | more
    context = np.random.default_rng(1).normal(size=(12, 2)) if more else None
    return shake(arproc.PixelCNN(1, 4, first_kernel=3, **settings).fit(x, context=context))


def every(levels, shape):
    sites = int(np.prod(shape))
    return np.array(list(itertools.product(range(levels), repeat=sites))).reshape(-1, *shape)


@pytest.mark.parametrize(
    ("head", "levels", "shape"),
    [("auto", 2, (2, 3)), ("auto", 3, (2, 2)), ("discretised_logistic", 4, (2, 2)),
     ("auto", 2, (3, 1, 2))],
    ids=["zeros and ones", "levels", "ordered levels", "colours"],
)  # fmt: skip
def test_each_order_is_a_law_of_its_own(head, levels, shape):
    model, images = small(head, levels, shape), every(levels, shape)
    sites = int(np.prod(shape))
    order = tuple(int(k) for k in np.random.default_rng(2).permutation(sites))
    laws = [model, model.in_order(order), model.in_order("natural")]
    masses = [np.exp(np.asarray(law.log_prob(images))) for law in laws]
    for mass in masses:
        assert mass.sum() == pytest.approx(1, abs=1e-4)
    assert np.abs(masses[0] - masses[1]).max() > 1e-4  # it is not trained, so they differ
    again = laws[1].in_order(tuple(model.layout.order or range(sites)))
    np.testing.assert_allclose(again.log_prob(images), model.log_prob(images), rtol=1e-5)


def test_it_learns_that_half_of_a_picture_follows_from_the_other():
    x = np.random.default_rng(0).integers(0, 2, (60, 2, 4))
    x[:, :, 2:] = x[:, :, :2]
    plan = arproc.Training(steps=200, lr=0.02)
    model = arproc.PixelCNN(1, 8, first_kernel=5, order_agnostic=True, training=plan).fit(x)
    for order in ("natural", tuple(range(8))[::-1]):
        assert -model.in_order(order).score(x) == pytest.approx(np.log(2) / 2, abs=0.04)
    curve = step_curve(model, x)
    assert -model.log_prob(x).mean() == pytest.approx(curve.nats[-1], rel=1e-5)
    assert -model.in_steps(curve.sizes(2)).log_prob(x).mean() == pytest.approx(
        curve.nats[1], rel=1e-5
    )
    assert curve.nats[1] < curve.nats[0] - 1  # the two halves, one after the other
    halves = np.tile([False, False, True, True], (2, 1))
    filled = complete(model, x[0], halves, 50, seed=0, return_info=True)
    assert filled.method == "reordered"
    assert (np.asarray(filled.x) == x[0]).mean() > 0.9


def test_completions_given_any_pixels_have_the_law():
    model, images = small(), every(2, (2, 3))
    known = np.array([[False, True, False], [True, False, True]])
    order = [*np.flatnonzero(known), *np.flatnonzero(~known)]
    first = model.in_order([int(k) for k in order])
    x = images[37]
    fits = (images[:, known] == x[known]).all(1)
    mass = np.exp(np.asarray(first.log_prob(images[fits])))
    info = complete(model, x, known, 4000, seed=0, return_info=True)
    assert info.log_prob_known == pytest.approx(np.log(mass.sum()), rel=1e-5)
    drawn = np.asarray(info.x).reshape(4000, 6) @ 2 ** np.arange(6)
    codes = images[fits].reshape(-1, 6) @ 2 ** np.arange(6)
    share = np.array([(drawn == code).mean() for code in codes])
    want = mass / mass.sum()
    assert (np.abs(share - want) < 5 * np.sqrt(want / 4000)).all()


def test_a_context_reaches_it_and_files_keep_it(tmp_path):
    model, images = small(conditioned=True), every(2, (2, 3))
    one, two = np.zeros((64, 2)), np.full((64, 2), 1.5)
    a, b = (np.asarray(model.log_prob(images, context=c)) for c in (one, two))
    assert np.abs(a - b).max() > 1e-3
    member = model.in_order("random")
    member.save(tmp_path / "model.arproc")
    again = arproc.load(tmp_path / "model.arproc")
    np.testing.assert_array_equal(
        again.log_prob(images, context=two), member.log_prob(images, context=two)
    )
    assert member.sample(2, context=two[:2], seed=0).shape == (2, 2, 3)
    states = model.law_.fresh(2, torch.zeros(2, 2)).extend(torch.tensor([[0, 1], [1, 1]]))
    assert states[0].batch_shape == (2, 3)


def test_what_it_can_not_be_asked():
    x = np.random.default_rng(0).integers(0, 2, (12, 2, 3))
    with pytest.raises(ParameterError, match="order_agnostic must be True or False"):
        arproc.PixelCNN(1, 4, order_agnostic=3, training=QUICK).fit(x)
    plain = arproc.PixelCNN(1, 4, first_kernel=3, training=QUICK).fit(x)
    with pytest.raises(UnsupportedError, match="one order"):
        plain.in_order("random")
    with pytest.raises(UnsupportedError, match="order"):
        plain.in_steps([3, 3])
