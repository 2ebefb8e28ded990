"""Compiled steps of recurrent layers say what torch's say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import arproc
from arproc.compiled.interpreted import nothing_interpreted
from arproc.models.neural.sequences import recurrent
from arproc.models.neural.sequences.few_cells import FewCells, few_cells
from arproc.models.neural.sequences.recurrent import CELLS, RecurrentNetwork

KINDS: dict[str, dict[str, Any]] = {
    "symbols": {"tokens": 5},
    "texts that end": {"tokens": 5, "end": True},
    "numbers": {},
    "numbers with a scale": {"scaling": 4},
}


@pytest.fixture(autouse=True)
def _compiled() -> Any:
    with nothing_interpreted():
        yield


def network_of(cell: str, layers: int = 2, width: int = 12) -> RecurrentNetwork:
    """A network whose every parameter is random."""
    torch.manual_seed(0)
    training = arproc.Training(steps=1)
    network = arproc.RNN(cell, layers, width, tokens=7, training=training).fit([0, 3, 6]).network_
    with torch.no_grad():
        for p in network.core.parameters():
            p.normal_(0, 0.8 / width**0.5)  # no more: units of chaos magnify rounding
    return network


@pytest.mark.parametrize("n", [1, 9])
@pytest.mark.parametrize("width", [12, 40])
@pytest.mark.parametrize("cell", CELLS)
@torch.no_grad()
def test_steps_are_those_of_torch(cell, width, n):
    network = network_of(cell, width=width)
    cells, memory = FewCells(network.core), network.begin(n)
    parts = [np.array(part.numpy()) for part in memory]
    for seed in range(12):
        x = 3 * torch.randn((n, width), generator=torch.Generator().manual_seed(seed))
        units, memory = network.step(x, memory)
        torch.testing.assert_close(cells.step(x, parts), units, atol=3e-6, rtol=1e-5)
    for part, wanted in zip(parts, memory, strict=True):
        torch.testing.assert_close(torch.from_numpy(part), wanted, atol=3e-6, rtol=1e-5)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("kind", KINDS)
def test_draws_are_those_of_steps_by_torch(cell, kind, monkeypatch):
    rng = np.random.default_rng(0)
    options = dict(KINDS[kind])
    end = options.pop("end", None)
    if "tokens" in options:
        data: Any = [rng.integers(0, 5, 30) for _ in range(3)]
        options |= {} if end is None else {"end": end}
    else:
        data = [10 + rng.standard_normal(30) for _ in range(3)]
    model = arproc.RNN(cell, 1, 8, training=arproc.Training(steps=20), **options).fit(data)
    more = {} if end else {"length": 20}
    prefix = data[0][: model.law_.n_given] if model.law_.n_given else None
    drawn = model.sample(3, prefix=prefix, seed=1, **more)
    monkeypatch.setattr(recurrent, "MOST", 0)
    again = model.sample(3, prefix=prefix, seed=1, **more)
    for one, other in zip(drawn, again, strict=True):
        np.testing.assert_allclose(np.asarray(one, float), np.asarray(other, float), rtol=1e-4)


def test_weights_that_changed_are_read_anew():
    core = network_of("lstm").core
    before = few_cells(core, 10)
    assert before is not None
    assert few_cells(core, 10) is before
    core.weight_hh_l1.data[0, 0] += 1
    assert few_cells(core, 10) is not before
    core.register_forward_hook(lambda *_: None)
    assert few_cells(core, 10) is None


def test_what_is_no_number_is_not_hidden():
    for cell in CELLS:
        core = network_of(cell).core
        core.weight_ih_l0.data[0, 0] = float("nan")
        cells = few_cells(core, 10)
        assert cells is not None
        parts = [np.zeros((2, 1, 12), np.float32) for _ in range(2)]
        assert bool(cells.step(torch.ones(1, 12), parts).isnan().any())
