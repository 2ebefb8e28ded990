"""Laws whose sites are drawn in steps: exact likelihoods, and the best steps there are."""

import itertools
from functools import cache

import numpy as np
import pytest
import torch
from helpers import shake

import arproc
from arproc.contract.law import ChainLaw
from arproc.errors import ParameterError, UnsupportedError
from arproc.sampling import Temperature, step_curve
from arproc.sampling.steps import each_next
from arproc.testing import check_process

QUICK = arproc.Training(steps=3, batch_size=8)
SITES = 5
X = np.random.default_rng(3).integers(0, 2, (40, SITES))
EVERY = np.array(list(itertools.product([0, 1], repeat=SITES)))


@cache
def made(name):
    model = {
        "NADE": lambda: shake(arproc.NADE(7, order_agnostic=True, training=QUICK).fit(X)),
        "NADE in another order": lambda: shake(
            arproc.NADE(7, order_agnostic=True, ordering=[3, 0, 4, 1, 2], training=QUICK).fit(X)
        ),
        "MADE": lambda: shake(arproc.MADE((9,), order_agnostic=True, training=QUICK).fit(X)),
        "KernelDensity": lambda: arproc.KernelDensity().fit(X),
        "Transformer": lambda: shake(
            arproc.Transformer(1, 2, 8, order_agnostic=True, training=QUICK).fit(X)
        ),
    }[name]
    return model()


every = pytest.mark.parametrize(
    "name", ["NADE", "NADE in another order", "MADE", "KernelDensity", "Transformer"]
)


@every
@pytest.mark.parametrize("sizes", [(5,), (2, 3), (1, 3, 1)])
def test_steps_are_a_law_and_its_draws_follow_it(name, sizes):
    steps = made(name).in_steps(sizes)
    p = np.exp(steps.log_prob(EVERY))
    assert p.sum() == pytest.approx(1, abs=1e-5)
    draws = steps.sample(4000, seed=0)
    counts = np.bincount(draws @ 2 ** np.arange(SITES)[::-1], minlength=len(EVERY))
    assert ((counts - 4000 * p) ** 2 / (4000 * p)).sum() < 80  # of 31 degrees of freedom


@every
def test_a_site_a_step_is_the_model_and_one_step_is_a_product(name):
    model = made(name)
    alone = model.in_steps([1] * SITES)
    np.testing.assert_allclose(alone.log_prob(X), model.log_prob(X), atol=1e-5)
    np.testing.assert_array_equal(alone.sample(9, seed=1), model.sample(9, seed=1))
    at_once = model.in_steps([SITES])
    order = model.law_.layout.order or range(SITES)
    first = {
        site: model.in_order([site, *(s for s in range(SITES) if s != site)]).conditional()
        for site in order
    }
    want = sum(first[site].log_prob(torch.as_tensor(X[:, site] * 1.0)) for site in order)
    np.testing.assert_allclose(at_once.log_prob(X), want, atol=1e-5)


@pytest.mark.parametrize("name", ["NADE", "NADE in another order", "Transformer"])
@pytest.mark.parametrize("known", [0, 2, 4])
def test_all_conditionals_at_once_are_those_of_each_order(name, known, monkeypatch):
    law = made(name).law_
    x = torch.as_tensor(X[:6, :known])
    fast = each_next(law, x, SITES, None)
    monkeypatch.setattr(type(law), "each_next", ChainLaw.each_next)
    slow = each_next(law, x, SITES, None)
    torch.testing.assert_close(fast.logits, slow.logits, atol=1e-5, rtol=1e-5)


@every
def test_the_curve_is_exact_and_its_steps_are_the_best(name):
    model = made(name)
    curve = step_curve(model, X)
    assert curve.nats[-1] == pytest.approx(-model.log_prob(X).mean(), abs=1e-5)
    for steps in (1, 2, 3):
        nats = {
            sizes: -model.in_steps(sizes).log_prob(X).mean()
            for sizes in itertools.product(range(1, SITES + 1), repeat=steps)
            if sum(sizes) == SITES
        }
        assert curve.nats[steps - 1] == pytest.approx(min(nats.values()), abs=1e-5)
        assert nats[curve.sizes(steps)] == pytest.approx(min(nats.values()), abs=1e-5)
    assert sum(curve.sizes(SITES)) == len(curve.sizes(SITES)) == SITES


@pytest.mark.slow
def test_a_step_process_keeps_the_contract():
    check_process(made("NADE").in_steps((2, 3)))


def test_steps_go_with_prefixes_policies_and_files(tmp_path):
    steps = made("NADE").in_steps((2, 2, 1))
    rest = steps.sample(4, prefix=[1], seed=0)
    assert rest.shape == (4, SITES - 1)
    sharp = steps.with_policy(Temperature(0.5))
    assert np.exp(sharp.log_prob(EVERY)).sum() == pytest.approx(1, abs=1e-5)
    steps.save(tmp_path / "s.arproc")
    np.testing.assert_array_equal(
        arproc.load(tmp_path / "s.arproc").log_prob(X), steps.log_prob(X)
    )


def test_what_can_not_be_is_refused():
    model = made("NADE")
    with pytest.raises(ParameterError, match="sizes sum to 4; the process has 5"):
        model.in_steps([2, 2])
    with pytest.raises(ParameterError, match="sizes must be"):
        model.in_steps([5, 0])
    with pytest.raises(ParameterError, match="steps must be"):
        step_curve(model, X).sizes(6)
    for other in (arproc.MADE((4,), training=QUICK).fit(X), arproc.AR.from_parameters([0.5])):
        with pytest.raises(UnsupportedError, match="one order"):
            other.in_steps([SITES])
        with pytest.raises(UnsupportedError, match="one order"):
            step_curve(other, X)
