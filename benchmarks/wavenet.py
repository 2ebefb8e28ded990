"""WaveNet: speed of generation, and bits a sample of spoken digits beside AR and n-grams.

python -m benchmarks wavenet [--digits] [--steps N] [--model FILE]

Generation: 30 layers with their queues against computing what a sample depends on anew. With
`--digits` a WaveNet of classes is trained on the Free Spoken Digit Dataset's speaker jackson
(8 kHz, 8-bit mu-law; recordings 10-49 of each digit to train on, 5-9 to stop on, 0-4 to test, read
once), all models are scored in one table, and digits are recognised by Bayes' rule.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch

import arproc
from benchmarks.timing import REDUCED

DATA = Path(os.environ.get("ARPROC_DATA", Path(__file__).parents[2] / "shared" / "data"))
LAYERS, WIDTH = (6, 8) if REDUCED else (30, 32)
SAMPLES = 20 if REDUCED else 8000
CLASSES = 10


def generation() -> None:
    """Samples a second with queues, and by a pass over the receptive field for each sample."""
    quick = arproc.Training(steps=1, batch_size=1)
    codes = np.random.default_rng(0).integers(0, 256, 4000)
    for head in ("categorical", "discretised_logistic"):
        model = arproc.WaveNet(LAYERS, WIDTH, head=head, block=64, training=quick).fit(codes)
        model.sample(1, length=600, seed=0)  # compiles
        speeds = {}
        for rows in (1, 16):
            begin = time.perf_counter()
            model.sample(rows, length=SAMPLES, seed=0)
            speeds[rows] = rows * SAMPLES / (time.perf_counter() - begin)
        anew = recomputed(model.law_.network, 2 if REDUCED else 10)
        print(
            f"{LAYERS} layers of width {WIDTH}, {head}: {speeds[1]:,.0f} samples/s "
            f"({speeds[16]:,.0f} in 16 rows); computed anew {anew:,.1f}: "
            f"{speeds[1] / anew:,.0f} times (to reach: 100)",
            flush=True,
        )


def recomputed(network: torch.nn.Module, count: int) -> float:
    """Samples a second where all that a sample depends on is computed for each."""
    inputs = torch.randint(0, network.levels, (1, network.receptive))
    begin = time.perf_counter()
    with torch.no_grad():
        for _ in range(count):
            parameters = network(inputs)[:, -1]
            drawn = network.values.distribution(parameters).sample()
            inputs = torch.cat([inputs[:, 1:], drawn[:, None].long()], dim=1)
    return count / (time.perf_counter() - begin)


def spoken_digits() -> dict[str, tuple[list[np.ndarray], np.ndarray]]:
    """Codes and labels of the parts."""
    data = np.load(DATA / "fsdd_jackson.npz")
    bounds = np.r_[0, np.cumsum(data["lengths"])]
    every = [arproc.audio.encode(data["samples"][a:b]) for a, b in pairwise(bounds)]
    index, test = data["index"], data["is_test"]
    parts = {"train": index >= 10, "valid": (index >= 5) & (index < 10), "test": test}
    if REDUCED:
        every = [codes[:300] for codes in every]
        parts = {name: rows & (index % 5 == 0) for name, rows in parts.items()}
    return {
        name: ([every[i] for i in np.flatnonzero(rows)], data["digit"][rows].astype(int))
        for name, rows in parts.items()
    }


def trained(parts: dict[str, tuple[list[np.ndarray], np.ndarray]], steps: int) -> arproc.WaveNet:
    """A WaveNet of the ten digits."""
    plan = arproc.Training(
        steps=steps, batch_size=2, optimizer="muon", validate_every=max(1, steps // 3), seed=0
    )
    sizes = {"layers": 4, "width": 8} if REDUCED else {"layers": 16, "width": 32, "skip": 64}
    model = arproc.WaveNet(
        **sizes, cycle=8, head="discretised_logistic", block=1536, classes=CLASSES, training=plan
    )
    (train, labels), valid = parts["train"], parts["valid"]
    begin = time.perf_counter()
    model.fit(train, context=labels, validation=valid)
    looks = model.history_["validation"].dropna().tolist()
    print(f"trained in {time.perf_counter() - begin:,.0f} s: {looks}")
    return model


def baselines(train: list[np.ndarray]) -> dict[str, arproc.Process]:
    """Autoregressions of waveforms and of the companded scale, and n-grams of codes."""
    orders = (2,) if REDUCED else (16, 32)
    found: dict[str, arproc.Process] = {}
    for order in orders:
        for scale, companded in (("waveform", False), ("companded", True)):
            ar = arproc.AR(order, method="ols", initial="given")
            found[f"AR({order}), {scale}"] = arproc.Coded(ar, companded=companded).fit(train)
    for order in (2,) if REDUCED else (2, 3, 4):
        for smoothing in ("witten_bell", "modified_kneser_ney")[: 1 if REDUCED else 2]:
            model = arproc.NGram(order, smoothing, tokens=arproc.Tokens(256, end=False))
            found[f"{order}-gram, {smoothing}"] = model.fit(train)
    return found


def digits(steps: int, path: str | None) -> None:
    """The table of bits a sample, and the digits that are recognised."""
    parts = spoken_digits()
    if path is not None and Path(path).exists():
        model = arproc.load(path)
    else:
        model = trained(parts, steps)
        if path is not None:
            model.save(path)
    test, labels = parts["test"]
    models = {"WaveNet of classes": model, **baselines(parts["train"][0])}
    table = arproc.compare(
        models, test, context=labels, given=2 if REDUCED else 32, unit="bits_per_element"
    )
    print(table.drop(columns="log_prob_nats").to_string(), table.attrs, sep="\n")
    scores = np.stack(
        [model.log_prob(test, context=np.full(len(test), c)) for c in range(CLASSES)], axis=1
    )
    right = (scores.argmax(1) == labels).mean()
    own = scores[np.arange(len(test)), labels]
    bits = np.log(2) * sum(map(len, test))
    alone = np.logaddexp.reduce(scores, axis=1) - np.log(CLASSES)
    print(f"recognised by Bayes' rule: {right:.1%} of {len(test)}")
    print(
        f"bits a sample given the label {-own.sum() / bits:.3f}, without {-alone.sum() / bits:.3f}"
    )


def main(arguments: Sequence[str] = ()) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks wavenet", description=__doc__)
    parser.add_argument("--digits", action="store_true", help="train on spoken digits as well")
    parser.add_argument("--steps", type=int, default=3 if REDUCED else 480)
    parser.add_argument("--model", help="a file to keep the trained model in, or to read it from")
    chosen = parser.parse_args(arguments)
    if not chosen.digits or REDUCED:
        generation()
    if (chosen.digits or REDUCED) and (DATA / "fsdd_jackson.npz").exists():
        digits(chosen.steps, chosen.model)
