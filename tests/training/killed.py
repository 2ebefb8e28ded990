"""Trains models in processes that are killed at random, until they end; run by `test_killed`.

python -m tests.training.killed FOLDER KILLS KIND ...

One process loads the library and forks: what is killed is a child that fits, and writes a
checkpoint after every step. It prints a line of JSON: for each kind how often a child was killed,
how often one left a checkpoint, and whether weights and course are those of the fit that nobody
disturbed.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

import arproc
from arproc.training import Binarise, Training

STEPS = 24
X = np.random.default_rng(0).integers(0, 2, (40, 6))
REAL = np.random.default_rng(1).normal(size=(40, 4))
IMAGES = np.random.default_rng(2).integers(0, 3, (20, 4, 4))
TEXTS = ["a rose is a rose", "is", "a rose", "so they say, a rose is"] * 3
PLAN = Training(steps=STEPS, batch_size=6, lr=0.01, checkpoint_every=1, validate_every=5)


def _user(x: torch.Tensor, rows: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """An augmentation that draws from wherever it can."""
    coins = [random.random(), np.random.rand(), float(torch.rand(()))]  # noqa: NPY002
    coins.append(float(torch.rand((), generator=generator)))
    return x.flip(1) if sum(coins) > 2 else x


def _transformer(plan: Training, **more: Any) -> Any:
    model = arproc.Transformer(1, 2, 8, block=8, tokens="char", dropout=0.2, training=plan, **more)
    return model.fit(TEXTS, validation=TEXTS[:3])


def _vectors(cls: Any, data: np.ndarray, *given: Any, **more: Any) -> Callable[[Training], Any]:
    return lambda plan: cls(*given, training=plan, **more).fit(data, validation=data[:9])


#: A kind's settings beside `PLAN`, and how it is fitted.
KINDS: dict[str, tuple[dict[str, Any], Callable[[Training], Any]]] = {
    "transformer": ({"optimizer": "muon", "ema": 0.9, "snapshots": 3}, _transformer),
    "made": (
        {"augment": _user, "accumulate": 2, "swa": 0.5},
        _vectors(arproc.MADE, X, (6,), order_agnostic=True),
    ),
    "bucketed": ({"bucket": 4, "schedule": "trapezoid"}, _transformer),
    "binarised": (
        {"augment": Binarise(X * 0.8 + 0.1), "patience": 3},
        _vectors(arproc.MADE, X, (6,)),
    ),
    "nade": ({"schedule": "cyclic", "snapshots": 2}, _vectors(arproc.NADE, X, 5)),
    "orders": ({}, _vectors(arproc.NADE, X, 5, order_agnostic=True)),
    "maf": ({}, _vectors(arproc.MAF, REAL, (6,), layers=2)),
    "maf, batch": (
        {"ema": 0.5},
        _vectors(arproc.MAF, REAL, (6,), layers=2, normalisation="batch"),
    ),
    "pixelcnn": ({}, _vectors(arproc.PixelCNN, IMAGES, 1, 4)),
    "pixelcnn++": ({"snapshots": 2}, _vectors(arproc.PixelCNNPP, IMAGES, 1, 8)),
    "pixelsnail": ({}, _vectors(arproc.PixelSNAIL, IMAGES, 1, 8)),
}


def outcome(model: Any) -> dict[str, torch.Tensor]:
    """All numbers that a fit ends with, but for seconds."""
    found = dict(model.network_.state_dict())
    found["course"] = torch.from_numpy(model.history_.drop(columns="seconds").to_numpy(float))
    for i, snapshot in enumerate(model.snapshots_):
        found |= {f"{i}.{k}": v for k, v in snapshot.network_.state_dict().items()}
    return found


def child(kind: str, folder: Path) -> int:
    """Fork a process that fits, resuming if it can, and writes what it ended with."""
    pid = os.fork()
    if pid == 0:
        try:
            more, fit = KINDS[kind]
            plan = PLAN.set_params(checkpoint=str(folder / "run"), resume=True, **more)
            torch.save(outcome(fit(plan)), folder / "outcome.part")
            (folder / "outcome.part").replace(folder / "outcome")
        finally:
            os._exit(0)
    return pid


def trial(kind: str, folder: Path, kills: int, chance: random.Random) -> dict[str, Any]:
    """Kill fits of a kind at random moments, then let one end."""
    begin = time.perf_counter()
    more, fit = KINDS[kind]
    want = outcome(fit(PLAN.set_params(checkpoint=str(folder / "whole"), **more)))
    seconds = time.perf_counter() - begin
    killed = left = 0
    for attempt in range(kills + 1):
        pid = child(kind, folder)
        if attempt < kills:
            time.sleep(chance.uniform(0.0, seconds))
            os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        killed += os.WIFSIGNALED(status)
        left += (folder / "run").exists()
        if (folder / "outcome").exists() and attempt < kills:
            for name in ("outcome", "run"):  # it came to its end: from the start again
                (folder / name).unlink()
    got = torch.load(folder / "outcome")
    same = want.keys() == got.keys() and all(
        torch.equal(v.nan_to_num(-1), got[k].nan_to_num(-1)) for k, v in want.items()
    )
    rubbish = [p.name for p in folder.iterdir() if p.name not in ("run", "whole", "outcome")]
    rubbish = [name for name in rubbish if name != "outcome.part"]
    return {"killed": killed, "left": left, "same": same, "rubbish": rubbish}


def main() -> None:
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)  # a process with threads can not be forked
    folder, kills, chance = Path(sys.argv[1]), int(sys.argv[2]), random.Random(0)
    found = {}
    for number, kind in enumerate(sys.argv[3:]):
        (folder / str(number)).mkdir()
        found[kind] = trial(kind, folder / str(number), kills, chance)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
