"""MADE: drawing, the likelihood and a training step; `python -m benchmarks made`.

A draw of D sites is compared with the usual way to make it, one whole pass of the network for
each site, and with our own states without the compiled loop. With PYTORCH_GENERATIVE_DIR naming a
checkout of pytorch-generative, its MADE of the same layers is timed beside ours; with
--smallest everything is smaller, to see that it runs.
"""

from __future__ import annotations

import statistics
import time
from types import ModuleType

import numpy as np
import torch
import torch.nn.functional as F

import arproc
from arproc.contract.randomness import Uniforms
from arproc.contract.state import State
from arproc.models.neural.vectors.masks import MaskedNetwork
from benchmarks.peers import pytorch_generative
from benchmarks.timing import REDUCED, side_by_side

SITES, DRAWS = (36, 4) if REDUCED else (784, 64)
HIDDEN = ((20, 20), (30,)) if REDUCED else ((1000, 1000), (8000,))


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


def against(models: ModuleType, hidden: tuple[int, ...]) -> None:
    """Draws, likelihoods and training steps beside pytorch-generative's MADE of these layers."""
    model, peer = model_of(hidden), models.MADE(SITES, list(hidden), n_masks=1)
    rows = torch.from_numpy(np.random.default_rng(1).integers(0, 2, (512, SITES)))
    side = round(SITES**0.5)
    x = rows.float().view(-1, 1, side, side)

    @torch.no_grad()
    def their_score() -> torch.Tensor:
        return F.binary_cross_entropy_with_logits(peer(x), x, reduction="none")

    their_score()  # it remembers the images' shape
    uniforms = Uniforms(0).block(range(DRAWS), 0, SITES)
    ratio = side_by_side(
        lambda: compiled(model, uniforms), lambda: peer.sample(DRAWS), 1 if len(hidden) == 1 else 3
    )
    print(f"  {DRAWS} draws against pytorch-generative: {ratio}")
    data = rows.numpy()
    print(f"  log_prob of 512: {side_by_side(lambda: model.log_prob(data), their_score)}")
    steps(hidden, peer, x[:64])


def steps(hidden: tuple[int, ...], peer: torch.nn.Module, x: torch.Tensor) -> None:
    """A whole step of training on 64 vectors, ours and as the peer's own recipe makes it."""
    optimizer = torch.optim.Adam(peer.parameters())

    def theirs() -> None:
        optimizer.zero_grad()
        loss = F.binary_cross_entropy_with_logits(peer(x), x, reduction="none")
        loss.flatten(1).sum(1).mean().backward()
        optimizer.step()

    rows = np.random.default_rng(1).integers(0, 2, (256, SITES))
    for precision in ("float32", "bfloat16"):

        def fit(count: int, precision: str = precision) -> float:
            plan = arproc.Training(steps=count, batch_size=64, precision=precision, progress=False)
            begin = time.perf_counter()
            arproc.MADE(hidden, training=plan).fit(rows)
            return time.perf_counter() - begin

        theirs(), fit(2)
        ratios, ours = [], []
        for _ in range(5):
            ours.append((fit(42) - fit(2)) / 40)
            begin = time.perf_counter()
            for _ in range(40):
                theirs()
            ratios.append((time.perf_counter() - begin) / 40 / ours[-1])
        low, middle, high = statistics.quantiles(ratios, n=4)
        print(
            f"  a training step of 64, ours in {precision}: {1e3 * min(ours):.1f} ms, "
            f"{middle:.1f} times as fast (quartiles {low:.1f} to {high:.1f})"
        )


def main() -> None:
    models = pytorch_generative()
    for hidden in HIDDEN:
        drawing(hidden)
        throughput(hidden)
        if models is not None:
            against(models, hidden)
