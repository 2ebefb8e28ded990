"""MNIST, dynamically binarised: ours and pytorch-generative's after as many images, and the time.

PYTORCH_GENERATIVE_DIR=<a checkout> python -m benchmarks mnist

The same models at the peer's published sizes are trained on as many batches of the same images,
binarised afresh each time; the peer with the optimizer and learning rate of its own recipe. Both
are scored on the same test images, binarised once. --smallest is there to see that it runs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

import arproc
from arproc.training import Binarise
from benchmarks.peers import pytorch_generative
from benchmarks.timing import REDUCED

DATA = Path(__file__).parents[2] / "shared" / "data" / "mnist.npz"


class Entry(NamedTuple):
    """One model in both libraries.

    Attributes:
        ours: makes ours from its training settings.
        peer: makes theirs from their module of models.
        lr: of the peer's Adam, and the factor by which each step shrinks it.
        plan: settings of our training.
        steps: how many batches both see.
        batch: images of a batch.
        scored: how many test images are scored.
    """

    ours: Callable[[arproc.Training], Any]
    peer: Callable[[Any], torch.nn.Module]
    lr: tuple[float, float]
    plan: dict[str, Any]
    steps: int
    batch: int
    scored: int


MODELS = {
    "MADE 784-8000-784": Entry(
        lambda plan: arproc.MADE((8000,), training=plan),
        lambda models: models.MADE(input_dim=784, hidden_dims=[8000], n_masks=1),
        (1e-3, 1.0),
        {"lr": 0.002, "weight_decay": 0.01},
        2 * 938,
        64,
        10_000,
    ),
    "gated PixelCNN": Entry(
        lambda plan: arproc.PixelCNN(10, 128, training=plan),
        lambda models: models.GatedPixelCNN(
            in_channels=1, out_channels=1, n_gated=10, gated_channels=128, head_channels=32
        ),
        (1e-3, 0.9999),
        {"lr": 0.002, "precision": "bfloat16"},
        150,
        16,
        1_000,
    ),
    "ImageGPT": Entry(
        lambda plan: arproc.Transformer(layers=8, heads=2, width=64, block=None, training=plan),
        lambda models: models.ImageGPT(
            in_channels=1,
            out_channels=1,
            in_size=28,
            n_transformer_blocks=8,
            n_attention_heads=2,
            n_embedding_channels=64,
        ),
        (5e-3, 0.999977),
        {"lr": 0.004},
        150,
        16,
        1_000,
    ),
}


def main(arguments: Sequence[str] = ()) -> None:
    if not DATA.exists():
        print("  (../shared/data/mnist.npz is not there: nothing to train on)")
        return
    with np.load(DATA) as found:
        grey, held_out = (found[part].astype(np.float32) / 255 for part in ("x_train", "x_test"))
    test = np.random.default_rng(0).random(held_out.shape) < held_out
    models = pytorch_generative()
    for name in arguments or MODELS:
        entry = MODELS[name]
        if REDUCED:
            entry = entry._replace(steps=2, scored=8)
        compare(name, entry, models, grey, test[: entry.scored])


def compare(name: str, entry: Entry, models: Any, grey: np.ndarray, test: np.ndarray) -> None:
    """Train both and print what they reach, and in which time."""
    print(f"{name}: {entry.steps} batches of {entry.batch}; {len(test)} test images", flush=True)
    plan = arproc.Training(
        steps=entry.steps,
        batch_size=entry.batch,
        augment=Binarise(grey),
        progress=False,
        **entry.plan,
    )
    model = entry.ours(plan)
    begin = time.perf_counter()
    model.fit(grey > 0.5)
    spent = time.perf_counter() - begin
    print(f"  ours {np.mean(model.log_prob(test)):.2f} nats, {spent:.0f} s", flush=True)
    if models is None:
        return
    begin = time.perf_counter()
    peer = trained(entry, models, torch.as_tensor(grey)[:, None])
    spent = time.perf_counter() - begin
    images = torch.as_tensor(test, dtype=torch.float32)[:, None]
    with torch.no_grad():
        losses = torch.cat([nats(peer, part) for part in images.split(100)])
    print(f"  peer {-float(losses.mean()):.2f} nats, {spent:.0f} s", flush=True)


def trained(entry: Entry, models: Any, grey: Tensor) -> torch.nn.Module:
    """The peer's model after its training, with the optimizer of its own recipe."""
    torch.manual_seed(0)
    peer = entry.peer(models)
    optimizer = torch.optim.Adam(peer.parameters(), lr=entry.lr[0])
    decay = torch.optim.lr_scheduler.ExponentialLR(optimizer, entry.lr[1])
    order = torch.cat(
        [torch.randperm(len(grey)) for _ in range(entry.steps * entry.batch // len(grey) + 1)]
    )
    for rows in order[: entry.steps * entry.batch].split(entry.batch):
        optimizer.zero_grad()
        nats(peer, torch.bernoulli(grey[rows])).mean().backward()
        optimizer.step()
        decay.step()
    return peer.eval()


def nats(peer: torch.nn.Module, x: Tensor) -> Tensor:
    """The peer's loss of images x [n, 1, 28, 28]: nats an image, [n]."""
    scores = peer(x).reshape(len(x), -1)
    return F.binary_cross_entropy_with_logits(scores, x.reshape(len(x), -1), reduction="none").sum(
        1
    )
