"""Trains models in several processes, and writes what each ended with; for `test_together`.

torchrun --nproc-per-node=2 -m tests.training.together FOLDER KIND ...
python -m tests.training.together FOLDER KIND ...    # forks two processes itself, which is faster
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch

import arproc
from arproc.training import CSVLog, StopTraining, Training

X = np.random.default_rng(0).integers(0, 2, (45, 6))
REAL = np.random.default_rng(1).normal(size=(45, 4))
IMAGES = np.random.default_rng(2).integers(0, 3, (27, 4, 4))
TEXTS = ["a rose is a rose", "is", "a rose", "so they say, a rose is"] * 3
PLAN = Training(steps=6, batch_size=9, lr=1e-3, validate_every=3)


def _transformer(plan: Training, **more: Any) -> Any:
    model = arproc.Transformer(2, 2, 8, block=8, tokens="char", training=plan, **more)
    return model.fit(TEXTS, validation=TEXTS[:3])


#: How each kind is fitted.
KINDS: dict[str, Any] = {
    "made": lambda plan: arproc.MADE((6,), training=plan).fit(X, validation=X[:9]),
    "ema": lambda plan: arproc.MADE((6,), training=plan.set_params(ema=0.5, snapshots=2)).fit(X),
    "transformer": _transformer,
    "muon": lambda plan: _transformer(plan.set_params(optimizer="muon", accumulate=2)),
    "dropout": lambda plan: _transformer(plan, dropout=0.3),
    "orders": lambda plan: arproc.MADE((6,), order_agnostic=True, training=plan).fit(X),
    "nade": lambda plan: arproc.NADE(5, training=plan).fit(X),
    "maf": lambda plan: arproc.MAF((6,), layers=2, normalisation="none", training=plan).fit(REAL),
    "pixelcnn": lambda plan: arproc.PixelCNN(1, 4, training=plan).fit(IMAGES),
    "sharded": lambda plan: _transformer(plan.set_params(sharded=True, ema=0.5)),
    "sharded made": lambda plan: KINDS["made"](plan.set_params(sharded=True)),
    "sharded pixelcnn": lambda plan: KINDS["pixelcnn"](plan.set_params(sharded=True)),
}


def numbers(model: Any) -> dict[str, torch.Tensor]:
    """What a fit ended with, but for seconds."""
    found = dict(model.network_.state_dict())
    found["course"] = torch.from_numpy(model.history_.drop(columns="seconds").to_numpy(float))
    for i, snapshot in enumerate(model.snapshots_):
        found |= {f"{i}.{k}": v for k, v in snapshot.network_.state_dict().items()}
    return found


def _resumed(folder: Path, rank: int, kind: str) -> dict[str, torch.Tensor]:
    """A fit that one process asks to stop, with a checkpoint and a log of the first one alone."""
    path = folder / f"{kind}.run".replace(" ", "-")
    log = CSVLog(path.with_suffix(".csv"))

    def enough(row: dict[str, float]) -> None:
        if row["step"] == 2 and not stopped:
            stopped.append(row)
            raise StopTraining

    stopped: list[dict[str, float]] = []
    plan = PLAN.set_params(checkpoint=str(path), callbacks=(log, enough), resume=True)
    first = KINDS[kind](plan)
    again = KINDS[kind](plan.set_params(callbacks=(log,)))
    cut = torch.tensor([len(first.history_), len(stopped), rank])
    return numbers(again) | {"cut": cut}


def _interrupted(rank: int) -> dict[str, torch.Tensor]:
    """A fit of which one process gets an interrupt."""

    def interrupt(row: dict[str, float]) -> None:
        if row["step"] == 2:
            os.kill(os.getpid(), signal.SIGINT)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    callbacks = (interrupt,) if rank == 0 else ()
    model = KINDS["made"](PLAN.set_params(callbacks=callbacks, steps=500))
    signal.signal(signal.SIGINT, before)
    return numbers(model)


def ours(folder: Path, kinds: list[str]) -> None:
    """Fit as one process of those that the environment names."""
    rank = int(os.environ["RANK"])
    for kind in kinds:
        task, _, name = kind.partition(": ")
        if task == "resumed":
            found = _resumed(folder, rank, name)
        elif task == "interrupted":
            found = _interrupted(rank)
        else:
            found = numbers(KINDS[kind](PLAN))
        torch.save(found, folder / f"{kind}.{rank}")


def main() -> None:
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    folder, kinds = Path(sys.argv[1]), sys.argv[2:]
    if "RANK" in os.environ:
        ours(folder, kinds)
        torch.distributed.destroy_process_group()
        return
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    children = []
    for rank in range(2):
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                os.environ |= {
                    "RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2",
                    "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port),
                }  # fmt: skip
                ours(folder, kinds)
                status = 0
            finally:
                sys.stderr.flush()
                os._exit(status) if status == 0 else _fail()
        children.append(pid)
    print(json.dumps([os.waitpid(pid, 0)[1] for pid in children]))


def _fail() -> None:
    import traceback

    traceback.print_exc()
    sys.stderr.flush()
    os._exit(1)


if __name__ == "__main__":
    main()
