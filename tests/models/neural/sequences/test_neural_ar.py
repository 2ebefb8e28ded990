"""NeuralAR: its units by hand, how far back it looks, what it learns of linear series."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers import shake

import arproc
from arproc.errors import DataError, ParameterError
from arproc.models.neural.sequences.elements import SymbolElement
from arproc.models.neural.sequences.window_network import WindowNetwork
from arproc.training import Training

QUICK = Training(steps=2, batch_size=4)
RNG = np.random.default_rng(0)
REALS = RNG.normal(size=(3, 40))


def fitted(data, order=3, context=None, **parameters) -> arproc.NeuralAR:
    model = arproc.NeuralAR(order, width=6, training=QUICK, block=16, **parameters)
    return shake(model.fit(data, context=context))


@torch.no_grad()
def test_units_by_hand():
    network = WindowNetwork(SymbolElement(5, 4), order=2, layers=1, entry=4)
    for weight in network.parameters():
        weight.copy_(
            torch.randn(weight.shape, generator=torch.Generator().manual_seed(len(weight)))
        )
    x = network.element.embed(torch.tensor([[3, 1]]), None)[0]
    units = network.run(x[None], network.begin(1))[0][0]
    for t, window in enumerate([[0 * x[0], x[0]], [x[0], x[1]]]):
        found = network.window.weight @ torch.cat(window) + network.window.bias
        found = found + network.last.weight @ x[t]
        inner = torch.nn.functional.gelu(network.inner[0](found))
        want = found + network.back[0].weight @ inner + network.back[0].bias
        want = want / torch.sqrt(1 + want.square().mean() / 64)
        torch.testing.assert_close(units[t], want)


@pytest.mark.parametrize(
    ("data", "parameters"),
    [
        (REALS, {"head": "normal"}),
        (REALS, {"head": "student_t", "scaling": 4}),
        (np.arange(60) % 4, {"tokens": 4}),
        (RNG.poisson(3, (3, 40)), {"head": "poisson"}),
    ],
)
def test_it_looks_at_the_last_elements_and_at_no_others(data, parameters):
    model = fitted(data, order=3, **parameters)
    given = parameters.get("scaling", 0)
    x = np.atleast_2d(data)[:1, :20].copy()
    before = np.asarray(model.log_prob_terms(x)[0])
    x[0, 10] = (x[0, 10] + 1) % 4
    changed = np.flatnonzero(np.asarray(model.log_prob_terms(x)[0]) != before) + given
    assert set(changed) == {10, 11, 12, 13}


def test_labels_reach_numbers_by_the_last_input_alone():
    model = fitted(REALS, classes=3, context=np.arange(3), scaling=4)
    added = model.network_.added(torch.eye(3), 2)
    assert added.shape == (3, 2, 6)
    assert bool((added[..., 0] == 0).all())
    assert bool((added[..., 1:] != 0).all())


def test_without_layers_it_is_a_linear_autoregression():
    x = np.zeros(1000)
    noise = np.random.default_rng(1).normal(size=1000)
    for t in range(2, 1000):
        x[t] = 0.6 * x[t - 1] - 0.5 * x[t - 2] + noise[t]
    training = Training(steps=150, batch_size=16, lr=0.01)
    model = arproc.NeuralAR(2, 0, 4, head="normal", block=64, training=training).fit(x)
    best = arproc.AR(2).fit(x)
    assert abs(model.score(x) - best.score(x)) / len(x) < 0.01
    state = model.conditional([1.0, 2.0, -1.0])
    want = best.conditional([1.0, 2.0, -1.0])
    assert float(state.mean) == pytest.approx(float(want.mean), abs=0.15)


def test_parameters_are_checked():
    with pytest.raises(ParameterError, match="order"):
        arproc.NeuralAR(0).fit(REALS)
    with pytest.raises(ParameterError, match="layers"):
        arproc.NeuralAR(layers=-1).fit(REALS)
    with pytest.raises(ParameterError, match="width"):
        arproc.NeuralAR(width=1).fit(REALS)
    with pytest.raises(DataError, match="too short"):
        arproc.NeuralAR(scaling=50).fit(REALS)
    bad = WindowNetwork(SymbolElement(5, 4), order=2, layers=1, entry=4)
    bad.order = 3
    assert list(bad.problems(None, None))
