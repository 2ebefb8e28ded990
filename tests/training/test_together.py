"""Several processes that train together end like one process with the same batches."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.training.together import KINDS, PLAN, numbers

#: What a loss draws is drawn for each part of a batch: one process makes it in two parts as well.
DRAWN = ("dropout", "orders")
SHARDED = {"sharded": "ema transformer", "sharded made": "made", "sharded pixelcnn": "pixelcnn"}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="processes can not be forked here"),
]


def trained(folder: Path, kinds: list[str], launcher: tuple[str, ...] = ()) -> None:
    """Run `tests.training.together`."""
    command = [sys.executable, *launcher, "-m", "tests.training.together", str(folder), *kinds]
    alone = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=alone)
    assert done.returncode == 0, done.stderr[-3000:]
    if not launcher:
        assert json.loads(done.stdout.splitlines()[-1]) == [0, 0], done.stderr[-3000:]


def distance(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> float:
    assert first.keys() == second.keys()
    both = [
        (v.double().nan_to_num(-1), second[k].double().nan_to_num(-1)) for k, v in first.items()
    ]
    return max(float((a - b).abs().max()) for a, b in both)


def alone(kind: str) -> dict[str, torch.Tensor]:
    """What one process ends with."""
    if kind == "sharded":
        return numbers(KINDS["transformer"](PLAN.set_params(ema=0.5)))
    plan = PLAN.set_params(accumulate=2) if kind in DRAWN else PLAN
    return numbers(KINDS[SHARDED.get(kind, kind)](plan))


def compare(folder: Path, kinds: list[str]) -> None:
    for kind in kinds:
        first, second = (torch.load(folder / f"{kind}.{rank}") for rank in range(2))
        assert distance(first, second) == 0, kind
        assert distance(first, alone(kind)) < 1e-4, kind  # a tenth of an update


def test_two_processes_end_like_one(tmp_path):
    kinds = [kind for kind in KINDS if kind not in SHARDED]
    trained(tmp_path, kinds)
    compare(tmp_path, kinds)


def test_two_processes_that_share_the_weights_end_like_one(tmp_path):
    trained(tmp_path, list(SHARDED))
    compare(tmp_path, list(SHARDED))


def test_torchrun_starts_them(tmp_path):
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2")
    trained(tmp_path, ["made"], launcher)
    compare(tmp_path, ["made"])


@pytest.mark.parametrize("kind", ["made", "sharded made"])
def test_one_may_stop_them_all_and_they_resume(kind, tmp_path):
    trained(tmp_path, [f"resumed: {kind}", kind])
    for rank in range(2):
        resumed = torch.load(tmp_path / f"resumed: {kind}.{rank}")
        cut, stopped, _ = resumed.pop("cut").tolist()
        assert cut == 3  # the step after the one that asked
        assert stopped == (rank == 0)
        assert distance(resumed, torch.load(tmp_path / f"{kind}.{rank}")) == 0
    (log,) = tmp_path.glob("*.csv")
    steps = [line.split(",")[0] for line in log.read_text().splitlines()]
    assert steps == ["step", *map(str, range(1, 7))]


def test_an_interrupt_of_one_ends_all_at_the_same_step(tmp_path):
    trained(tmp_path, ["interrupted"])
    first, second = (torch.load(tmp_path / f"interrupted.{rank}") for rank in range(2))
    assert len(first["course"]) == 3
    assert distance(first, second) == 0
