"""MADE: drawing, the likelihood and a training step; `python -m benchmarks made`.

A draw of D sites is compared with the usual way to make it, one whole pass of the network for
each site, and with our own states without the compiled loop.
"""

from __future__ import annotations

import time

import numpy as np
import torch
import torch.nn.functional as F

import arproc
from arproc.neural.masks import MaskedNetwork
from arproc.randomness import Uniforms
from arproc.states import State
from benchmarks.timing import side_by_side

SITES, DRAWS = 784, 64
HIDDEN = ((1000, 1000), (8000,))


def model_of(hidden: tuple[int, ...]) -> arproc.MADE:
    """A MADE of binary vectors with random weights, so that it draws zeros and ones."""
    x = np.random.default_rng(0).integers(0, 2, (64, SITES))
    model = arproc.MADE(hidden, training=arproc.Training(steps=1, batch_size=16)).fit(x)
    torch.nn.init.normal_(model.network_.head.weight, std=0.05)
    return model


@torch.no_grad()
def pass_by_pass(network: MaskedNetwork, uniforms: torch.Tensor) -> torch.Tensor:
    """The usual way: one pass of the whole network for each site."""
    x = torch.zeros(uniforms.shape[0], SITES)
    for j in range(SITES):
        x[:, j] = (uniforms[:, j] >= torch.sigmoid(-network(x)[:, j, 0].double())).float()
    return x


@torch.no_grad()
def site_by_site(model: arproc.MADE, uniforms: torch.Tensor) -> torch.Tensor:
    """Our states, which compute what each site settles, without the compiled loop."""
    state = model.start(len(uniforms))
    return State.advance(state, uniforms)[0]


@torch.no_grad()
def compiled(model: arproc.MADE, uniforms: torch.Tensor) -> torch.Tensor:
    """Our states as `sample` uses them."""
    return model.start(len(uniforms)).advance(uniforms)[0]


def drawing(hidden: tuple[int, ...]) -> None:
    """Draws of 64 vectors, three ways."""
    model = model_of(hidden)
    network = model.network_
    assert isinstance(network, MaskedNetwork)
    uniforms = Uniforms(0).block(range(DRAWS), 0, SITES)
    begin = time.perf_counter()
    drawn = compiled(model, uniforms)
    first = time.perf_counter() - begin
    name = "-".join(map(str, (SITES, *hidden, SITES)))
    apart = (drawn != pass_by_pass(network, uniforms)).any(1).sum()
    print(f"{name}, {DRAWS} draws; {apart} differ by rounding; with compiling {first:.2f} s")
    ratio = side_by_side(
        lambda: compiled(model, uniforms), lambda: pass_by_pass(network, uniforms), rounds=3
    )
    print(f"  against a pass for each site: {ratio}")
    ratio = side_by_side(
        lambda: compiled(model, uniforms), lambda: site_by_site(model, uniforms), rounds=3
    )
    print(f"  against our states, not compiled: {ratio}")


def throughput(hidden: tuple[int, ...]) -> None:
    """Vectors a second of `log_prob`, and a step of training."""
    model = model_of(hidden)
    x = np.random.default_rng(1).integers(0, 2, (512, SITES))
    begin = time.perf_counter()
    for _ in range(5):
        model.log_prob(x)
    rate = 5 * len(x) / (time.perf_counter() - begin)
    network, batch = model.network_.requires_grad_(), torch.from_numpy(x[:64]).float()
    begin = time.perf_counter()
    for _ in range(20):
        F.binary_cross_entropy_with_logits(network(batch)[..., 0], batch).backward()
    step = (time.perf_counter() - begin) / 20
    print(f"  log_prob {rate:,.0f} vectors/s; a gradient of 64 {1e3 * step:.1f} ms")


def main() -> None:
    for hidden in HIDDEN:
        drawing(hidden)
        throughput(hidden)


if __name__ == "__main__":
    main()
