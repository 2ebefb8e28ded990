"""Several elements for one pass: speculative and fixed-point draws against one at a time.

python -m benchmarks speculation [MODEL]

The target is a transformer of 6 layers and width 384 on the characters of tiny Shakespeare (in
shared/data, or the folder that ARPROC_DATA names; else English text that comes with the package),
trained for some hundred steps first, or read from the file MODEL. Each row compares draws of
equal length, alternated in one run, with the target's own
`sample`, which keeps its keys and values.
"""

from __future__ import annotations

import gzip
import os
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

import arproc
from arproc import Tokens
from arproc.sampling import Costs, OwnHeads, PromptLookup, parallel, speculative
from benchmarks.timing import REDUCED, side_by_side

LENGTH, ROUNDS = (12, 1) if REDUCED else (256, 5)
STEPS = 2 if REDUCED else 320
LAYERS, WIDTH = (1, 16) if REDUCED else (6, 384)


def shakespeare() -> tuple[str, str]:
    """The text, nine tenths to learn from and the rest."""
    folder = Path(os.environ.get("ARPROC_DATA", Path(__file__).parents[2] / "shared" / "data"))
    path = folder / "tinyshakespeare.txt.gz"
    if not path.is_file():
        print(f"    {path} is not there (ARPROC_DATA names another folder): English text instead")
        text = " ".join(arproc.datasets.english()[0])
    else:
        text = gzip.decompress(path.read_bytes()).decode()
    text = text[:5000] if REDUCED else text
    cut = 9 * len(text) // 10
    return text[:cut], text[cut:]


def trained(text: str, ahead: int = 0) -> arproc.Transformer:
    """The target, trained for a short while, with so many heads for later symbols."""
    training = arproc.Training(steps=STEPS, batch_size=8, optimizer="muon")
    model = arproc.Transformer(
        LAYERS, 2 if REDUCED else 6, WIDTH, block=16 if REDUCED else 128,
        attention_window=16 if REDUCED else 256, tokens="char", end=False, ahead=ahead,
        training=training,
    )  # fmt: skip
    return model.fit(text)


def pass_costs(target: Any, batch: int) -> Costs:
    """What one more element in a pass costs, as a share of a pass over one."""
    seconds = {}
    for width in (1, 5, 9):
        state = target.start(np.zeros((batch, 64), np.int64))
        x, times = torch.zeros((batch, width), dtype=torch.int64), []
        for _ in range(3 if REDUCED else 20):
            begin = time.perf_counter()
            state = state.extend(x)[1]
            times.append(time.perf_counter() - begin)
        seconds[width] = float(np.median(times))
    more = max(seconds[9] / seconds[1] - 1, 0.0) / 8
    print(f"    batch {batch}: a pass over 1 takes {1e3 * seconds[1]:.1f} ms, over 5 "
          f"{seconds[5] / seconds[1]:.2f} times as much, over 9 {seconds[9] / seconds[1]:.2f}",
          flush=True)  # fmt: skip
    return Costs(draft=0.02, verify=more)


def row(label: str, target: Any, draft: Any, batch: int, prefix: str, **options: Any) -> None:
    """One line: a draft against one at a time."""
    policy = options.pop("policy", None)
    ours = partial(speculative, target, draft, batch, LENGTH, prefix, policy, seed=0, **options)
    peer = partial(target.sample, batch, LENGTH, prefix, policy, seed=0)
    ratio = side_by_side(ours, peer, rounds=ROUNDS)
    print(f"{label}, batch {batch}: {ratio}\n    {ours().report}", flush=True)


def speculation(target: Any, text: str, rest: str) -> None:
    """Drafts for the transformer."""
    tokens = Tokens(target.space.vocabulary, end=False)
    ngram = arproc.NGram(6, tokens=tokens).fit(text)
    prefix = rest[: LENGTH // 2]
    for batch in (1,) if REDUCED else (1, 8):
        costs = pass_costs(target, batch)
        for verify in ("token", "block"):
            row(
                f"6-gram draft, {verify}", target, ngram, batch, prefix, verify=verify, costs=costs
            )
        row("6-gram draft, coupled", target, ngram, batch, prefix, coupled=True, costs=costs)
        if batch == 1:
            row("look-up on plain prose", target, PromptLookup(4), 1, prefix, costs=costs)


def own_heads(text: str, rest: str) -> None:
    """A model that drafts for itself, by heads for the symbols after the next."""
    for ahead in (1, 2):
        target = trained(text, ahead)
        costs = pass_costs(target, 1)
        for verify in ("token", "block"):
            row(f"own heads, {ahead} ahead, {verify}", target, OwnHeads(), 1, rest[: LENGTH // 2],
                verify=verify, costs=costs)  # fmt: skip


def copies(text: str) -> None:
    """A model that copies: an n-gram of high order over a text that repeats itself."""
    verse = (text[:80] + "\n") * 40
    target = arproc.Transformer(
        LAYERS, 2 if REDUCED else 6, WIDTH, block=16 if REDUCED else 128, tokens="char", end=False,
        training=arproc.Training(steps=2 if REDUCED else 40, batch_size=4, optimizer="muon"),
    ).fit(verse)  # fmt: skip
    row("look-up on verbatim copies", target, PromptLookup(4), 1, verse[:243],
        costs=pass_costs(target, 1))  # fmt: skip


def fixed_points() -> None:
    """Images by fixed point against one element after another."""
    rng = np.random.default_rng(0)
    side = 6 if REDUCED else 16
    images = (rng.random((60, side, side)) < 0.5).astype(int)
    images[:, : side // 2] = 0
    steps = arproc.Training(steps=2 if REDUCED else 60, batch_size=8)
    models = {
        "PixelCNN": arproc.PixelCNN(training=steps).fit(images),
        "MADE": arproc.MADE((64,), training=steps).fit(images.reshape(60, -1)),
        "AR(1), 0.3": arproc.AR.from_parameters([0.3]),
    }
    for name, model in models.items():
        length = None if model.law_.space.length else side * side
        for window in (8, 32):
            ours = partial(parallel, model, 1, length, seed=0, window=window)
            ratio = side_by_side(ours, partial(model.sample, 1, length, seed=0), rounds=ROUNDS)
            report = ours().report
            print(f"{name}, window {window}: {ratio}; {report.passes} passes for "
                  f"{report.elements} elements", flush=True)  # fmt: skip


def many(target: Any, text: str) -> None:
    """Sequences of unequal length: where one is finished another begins."""
    n, places = (8, 4) if REDUCED else (128, 16)
    stop = "e"  # about one character in ten: lengths as unequal as those of a geometric law
    options = {"length": 8 if REDUCED else 60, "stop": stop}

    def batches() -> list[int]:
        """One batch after another, each until its last row is done; the longest of each."""
        parts = (target.sample(places, **options, prefix=text[:50], seed=k)
                 for k in range(n // places))  # fmt: skip
        return [max(map(len, part)) for part in parts]

    longest = batches()

    def padded() -> None:
        """The same where a row that has ended is computed on, as padded batches are."""
        for k, length in enumerate(longest):
            target.sample(places, length, prefix=text[:50], seed=k)

    ours = partial(target.sample, n, **options, prefix=text[:50], seed=0, at_once=places)
    for name, peer in (("padded batches", padded), ("own batches, whose rows leave", batches)):
        print(f"{n} texts up to {stop!r}, {places} at a time, against {name}: "
              f"{side_by_side(ours, peer, rounds=ROUNDS)}", flush=True)  # fmt: skip


def main(arguments: Sequence[str] = ()) -> None:
    torch.set_num_threads(1)
    text, rest = shakespeare()
    target = arproc.load(arguments[0]) if arguments else trained(text)
    print(f"    target: {target.log_prob(rest[:2000]) / len(rest[:2000]):.3f} nats a character")
    speculation(target, text, rest)
    own_heads(text, rest)
    many(target, rest)
    copies(text)
    fixed_points()
