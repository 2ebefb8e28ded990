"""Density models of vectors: NADE, and MAF beside zuko; `python -m benchmarks vectors`.

zuko (probabilists/zuko) is compared where it is installed; both flows have the same widths.
"""

from __future__ import annotations

import time

import numpy as np
import torch

import arproc
from arproc.contract.randomness import Uniforms
from arproc.contract.state import State
from benchmarks.timing import REDUCED, side_by_side

SITES, UNITS, DRAWS = (16, 8, 4) if REDUCED else (784, 500, 64)
FEATURES, ROWS, LAYERS, HIDDEN = (6, 8, 2, (8,)) if REDUCED else (64, 1024, 3, (64, 64))


def nade() -> None:
    """Draws of NADE by the compiled loop and by its states, and its likelihood."""
    x = np.random.default_rng(0).integers(0, 2, (128, SITES))
    model = arproc.NADE(UNITS, training=arproc.Training(steps=1, batch_size=16)).fit(x)
    uniforms = Uniforms(0).block(range(DRAWS), 0, SITES)
    ratio = side_by_side(
        lambda: model.start(DRAWS).advance(uniforms),
        lambda: State.advance(model.start(DRAWS), uniforms),
        rounds=3,
    )
    print(f"NADE {SITES}-{UNITS}, {DRAWS} draws, against our states, not compiled: {ratio}")
    begin = time.perf_counter()
    for _ in range(3):
        model.log_prob(x)
    print(f"  log_prob {3 * len(x) / (time.perf_counter() - begin):,.0f} vectors/s")


def maf() -> None:
    """Draws and densities of MAF beside zuko's."""
    x = np.random.default_rng(0).normal(size=(2000, FEATURES))
    plan = arproc.Training(steps=1, batch_size=64)
    model = arproc.MAF(HIDDEN, LAYERS, training=plan).fit(x)
    begin = time.perf_counter()
    model.sample(ROWS, seed=0)
    first = time.perf_counter() - begin
    print(f"MAF of {FEATURES} sites, {ROWS} draws; with compiling {first:.2f} s")
    try:
        import zuko
    except ImportError:
        print("  zuko is not installed, so there is nothing to compare with")
        return
    peer = zuko.flows.MAF(features=FEATURES, transforms=LAYERS, hidden_features=HIDDEN)
    seen = torch.as_tensor(x[:ROWS], dtype=torch.float32)
    with torch.no_grad():
        ratio = side_by_side(lambda: model.sample(ROWS, seed=0), lambda: peer().sample((ROWS,)))
        print(f"  draws, against zuko: {ratio}")
        ratio = side_by_side(lambda: model.log_prob(seen), lambda: peer().log_prob(seen))
        print(f"  log_prob, against zuko: {ratio}")


def main() -> None:
    nade()
    maf()
