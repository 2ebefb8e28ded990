"""Models of images against pytorch-generative's at its published sizes, in one run.

PYTORCH_GENERATIVE_DIR=<a checkout> python -m benchmarks images

Gated PixelCNN (10 layers, width 128) draws 16 images of 28 x 28 and makes training steps of 64;
ImageGPT (8 layers, 2 heads, width 64) draws 4. The peer's own `sample` is timed whole, which takes
minutes; with --smallest everything is smaller, to see that it runs. PixelCNN++ and PixelSNAIL
are timed alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import torch
from torch.nn import functional as F

import arproc
from arproc import PixelCNN, PixelCNNPP, PixelSNAIL, Training, Transformer
from benchmarks.peers import pytorch_generative
from benchmarks.timing import REDUCED, side_by_side

SIDE, BATCH = (6, 4) if REDUCED else (28, 64)
LAYERS, WIDTH = (2, 16) if REDUCED else (10, 128)
BLOCKS = 2 if REDUCED else 8


def seconds(call: Callable[[], object]) -> float:
    """How long one call takes."""
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


def images(n: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 2, (n, SIDE, SIDE))


def scattered(model: arproc.Process) -> arproc.Process:
    """The model with a head that is not zero, so that it draws zeros and ones."""
    for name, p in model.network_.named_parameters():
        if name.startswith("head"):
            torch.nn.init.normal_(p, std=0.05)
    return model


def drawing(name: str, model: arproc.Process, n: int, peer: torch.nn.Module | None) -> None:
    """Draws of n images, ours and the peer's."""
    model.sample(n, seed=0)
    ours = min(seconds(lambda: model.sample(n, seed=0)) for _ in range(3))
    print(f"{name}, {n} images of {SIDE} x {SIDE}: ours {ours:.3g} s", flush=True)
    if peer is None:
        return
    with torch.no_grad():
        peer(torch.zeros(n, 1, SIDE, SIDE))  # it remembers the images' shape
    theirs = seconds(lambda: peer.sample(n))
    print(f"  pytorch-generative {theirs:.3g} s: {theirs / ours:.0f} times as fast")


def our_step(precision: str) -> float:
    """A whole step of our training loop: the difference of two runs of unequal length."""
    x = images(4 * BATCH)

    def fit(steps: int) -> float:
        training = Training(steps=steps, batch_size=BATCH, precision=precision, progress=False)
        return seconds(lambda: PixelCNN(LAYERS, WIDTH, training=training).fit(x))

    return (fit(5) - fit(1)) / 4


def their_step(peer: torch.nn.Module) -> Callable[[], object]:
    """A step as pytorch-generative's own recipe makes it."""
    x = torch.from_numpy(images(BATCH)).float()[:, None]
    optimizer = torch.optim.Adam(peer.parameters(), lr=1e-3)

    def step() -> None:
        optimizer.zero_grad()
        loss = F.binary_cross_entropy_with_logits(peer(x), x, reduction="none")
        loss.flatten(1).sum(1).mean().backward()
        optimizer.step()

    return step


def pixelcnn_step(peer: torch.nn.Module | None) -> None:
    """A training step of the gated PixelCNN."""
    steps = {precision: our_step(precision) for precision in ("bfloat16", "float32")}
    line = ", ".join(f"{precision} {step:.3g} s" for precision, step in steps.items())
    print(f"Gated PixelCNN, a training step of {BATCH}: ours {line}", flush=True)
    if peer is None:
        return
    step = their_step(peer)
    step()
    theirs = min(seconds(step) for _ in range(2))
    print(
        f"  pytorch-generative {theirs:.3g} s: {theirs / steps['bfloat16']:.2f} and "
        f"{theirs / steps['float32']:.2f} times as fast"
    )


def scoring(model: arproc.Process, peer: torch.nn.Module | None) -> None:
    """The likelihood of a batch, both in float32."""
    x = images(BATCH)
    inputs = torch.from_numpy(x).float()[:, None]

    @torch.no_grad()
    def theirs() -> torch.Tensor:
        assert peer is not None
        return F.binary_cross_entropy_with_logits(peer(inputs), inputs, reduction="none")

    if peer is None:
        print(f"  log_prob of {BATCH}: {seconds(lambda: model.log_prob(x)):.3g} s")
    else:
        ratio = side_by_side(lambda: model.log_prob(x), theirs, rounds=3)
        print(f"  log_prob of {BATCH}: {ratio}")


def main() -> None:
    models = pytorch_generative()
    quick, x = Training(steps=1, batch_size=2, progress=False), images(4)
    n = 2 if REDUCED else 16
    gated = gpt = None
    if models is not None:
        gated = models.GatedPixelCNN(n_gated=LAYERS, gated_channels=WIDTH, head_channels=32)
        gpt = models.ImageGPT(
            in_size=SIDE, n_transformer_blocks=BLOCKS, n_attention_heads=2, n_embedding_channels=64
        )
    ours = scattered(PixelCNN(LAYERS, WIDTH, training=quick).fit(x))
    pixelcnn_step(gated)
    scoring(ours, gated)
    drawing("Gated PixelCNN", ours, n, gated)
    transformer = Transformer(BLOCKS, 2, 64, training=quick).fit(x)
    drawing("ImageGPT", scattered(transformer), 4, gpt)
    snail = PixelSNAIL(BLOCKS, WIDTH // 2, training=quick).fit(x)
    drawing("PixelSNAIL", scattered(snail), n, None)
    plus = PixelCNNPP(1 if REDUCED else 5, WIDTH // 2, training=quick).fit(x)
    drawing("PixelCNN++, half its width", scattered(plus), n, None)
