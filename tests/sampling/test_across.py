"""Values known in any places, of models of every order: each answer against its own law."""

from __future__ import annotations

import functools
import itertools
import warnings

import numpy as np
import pytest
import torch
from helpers import shake

import arproc
from arproc.errors import DataError, ParameterError, UnsupportedError
from arproc.sampling import Known, Likelihood, condition
from arproc.sampling.across import across_orders, known_first
from arproc.sampling.evidence import Setting

QUICK = arproc.Training(steps=40, lr=0.02)
EVERY = np.array(list(itertools.product((0, 1), repeat=5)))
KNOWN = {3: 1, 1: 0}
KEPT = (EVERY[:, 3] == 1) & (EVERY[:, 1] == 0)


@functools.cache
def model(name):
    rng = np.random.default_rng(0)
    x = rng.integers(0, 2, (60, 5))
    x[:, 3:] = x[:, :2]
    ordering = (2, 0, 4, 1, 3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if name == "NADE":
            return arproc.NADE(6, order_agnostic=True, ordering=ordering, training=QUICK).fit(x)
        if name == "MADE":
            return arproc.MADE((8,), order_agnostic=True, training=QUICK).fit(x)
        if name == "labels":
            labelled = arproc.NADE(4, classes=2, order_agnostic=True, training=QUICK)
            return labelled.fit(x, context=x[:, 0])
        if name == "KernelDensity":
            return arproc.KernelDensity().fit(x)
        return shake(arproc.MADE((6,), training=QUICK).fit(x))


def masses(process, **context):
    return np.exp(process.log_prob(EVERY, **context))


@pytest.mark.parametrize("name", ["NADE", "MADE", "labels"])
def test_reordered_is_exact_under_the_law_that_it_names(name):
    process, labels = model(name), name == "labels"
    how = {"context": 1} if labels else {}
    found = condition(process, KNOWN, n=2000, method="reordered", seed=0, **how)
    assert (found.method, found.log_evidence_error) == ("reordered", 0.0)
    order = [1, 3, 2, 0, 4] if name == "NADE" else [1, 3, 0, 2, 4]  # the rest as they came
    member = process.in_order(order)
    mass = masses(member, **({"context": np.ones(32, dtype=int)} if labels else {}))
    assert found.log_evidence == pytest.approx(np.log(mass[KEPT].sum()), abs=1e-5)
    assert (found.x[:, [1, 3]] == [0, 1]).all()
    want = (EVERY[KEPT].T * mass[KEPT]).sum(1) / mass[KEPT].sum()
    assert (abs(found.x.mean(0) - want) < 5 * (want * (1 - want) / 2000) ** 0.5 + 1e-6).all()
    told = found.in_order.log_prob(EVERY)  # of the very law, its context with it
    np.testing.assert_allclose(told, np.log(mass), atol=1e-5)
    if not labels:
        known = [np.nan, 0, np.nan, 1, np.nan]
        info = arproc.sampling.complete(process, known, n=2, seed=0, return_info=True)
        assert found.log_evidence == pytest.approx(float(info.log_prob_known), abs=1e-5)


@pytest.mark.parametrize("name", ["NADE", "MADE"])
def test_the_law_that_the_process_names_is_kept(name):
    process = model(name)
    mass = masses(process)
    found = condition(process, KNOWN, n=4000, seed=0)
    want = np.log(mass[KEPT].sum())
    assert found.method == "particles"
    assert found.in_order is None
    assert abs(found.log_evidence - want) < 6.6 * found.log_evidence_error
    other = condition(process, KNOWN, method="reordered", n=10).log_evidence
    assert abs(other - want) > 6.6 * found.log_evidence_error  # they are two laws
    mean = (EVERY[KEPT].T * mass[KEPT]).sum(1) / mass[KEPT].sum()
    spread = (mean * (1 - mean) / found.effective_sample_size) ** 0.5
    assert (abs(found.mean - mean) < 5 * spread + 1e-6).all()


@pytest.mark.parametrize("name", ["NADE", "MADE"])
def test_weights_across_orders_are_unbiased(name):
    """Many small estimates; and planted: without the weights it would be the other order's."""
    law = model(name).law_
    terms = Known(KNOWN).bound(Setting(law, 5, lambda x: x))
    path, _ = known_first(terms, 5)
    own = law.layout.order or range(5)
    member = law.in_order([own[site] for site in path])
    with torch.no_grad():
        cloud = across_orders(law, member, terms, 400, 10, 3)
    estimates = cloud.log_evidence.exp().numpy()
    want, error = masses(model(name))[KEPT].sum(), estimates.std() / 20
    assert abs(estimates.mean() - want) < 4 * error
    assert error < 0.02 * want
    sites = cloud.x.flatten(0, 1)
    assert bool((law.layout.from_sites(sites)[:, [1, 3]] == torch.tensor([0, 1])).all())


def test_a_law_that_is_one_in_every_order_is_exact():
    process = model("KernelDensity")
    mass = masses(process)
    found = condition(process, KNOWN, n=500, seed=0)
    assert (found.method, found.log_evidence_error) == ("exact", 0.0)
    assert found.log_evidence == pytest.approx(np.log(mass[KEPT].sum()))
    assert condition(process, KNOWN, n=1, method="exact").log_evidence == found.log_evidence


@pytest.mark.parametrize("name", ["one order", "NADE"])
def test_first_elements_are_exact_under_every_law(name):
    process = model(name)
    first = {2: 1, 0: 0} if name == "NADE" else {0: 0, 1: 1}
    kept = np.all([EVERY[:, place] == value for place, value in first.items()], axis=0)
    found = condition(process, first, n=200, seed=0, method="exact")
    assert (found.method, found.log_evidence_error) == ("exact", 0.0)
    assert found.log_evidence == pytest.approx(np.log(masses(process)[kept].sum()), abs=1e-5)
    two = Known(dict(list(first.items())[:1])) & Known(first)
    assert condition(process, two, n=3).log_evidence == pytest.approx(found.log_evidence)


def test_the_rest_of_the_evidence_is_weighed_under_the_same_law():
    tilt = Likelihood(lambda x: 0.7 * x.sum(1))
    found = condition(model("NADE"), Known(KNOWN) & tilt, n=4000, method="reordered", seed=0)
    mass = masses(found.in_order) * np.exp(0.7 * EVERY.sum(1))
    assert abs(found.log_evidence - np.log(mass[KEPT].sum())) < 6.6 * found.log_evidence_error


def test_what_does_not_fit_is_refused():
    with pytest.raises(UnsupportedError, match="know every order of their sites"):
        condition(model("one order"), KNOWN, method="reordered")
    with pytest.raises(UnsupportedError, match="know every order of their sites"):
        condition(model("NADE"), {1: 0}, prefix=[1, 0], method="reordered")
    with pytest.raises(ParameterError, match="no Known values"):
        condition(model("NADE"), Likelihood(lambda x: x.sum(1)), method="reordered")
    with pytest.raises(UnsupportedError, match='method="reordered" is of that law'):
        condition(model("NADE"), KNOWN, method="exact")
    with pytest.raises(DataError, match="two values for one element"):
        condition(model("NADE"), Known({1: 0}) & Known({1: 1}))
