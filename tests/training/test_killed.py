"""A training that is killed at any moment and resumed ends with the same weights, to the bit."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.training.killed import KINDS

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="processes can not be forked here")


def trials(folder: Path, kills: int, kinds: list[str]) -> dict[str, dict]:
    """What `tests.training.killed` found."""
    command = [sys.executable, "-m", "tests.training.killed", str(folder), str(kills), *kinds]
    alone = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=alone)
    return json.loads(done.stdout)


def check(found: dict[str, dict], least: int) -> None:
    for kind, trial in found.items():
        assert trial["same"], kind
        assert trial["rubbish"] == [], kind  # a next run clears what was begun
        assert trial["killed"] >= least, kind
        assert trial["left"] > 1, kind  # some were killed with a checkpoint behind them


def test_killed_and_resumed_it_ends_with_the_same_weights(tmp_path):
    check(trials(tmp_path, 4, ["transformer", "made"]), least=1)


@pytest.mark.slow
def test_every_kind_of_model_killed_many_times_ends_with_the_same_weights(tmp_path):
    check(trials(tmp_path, 20, list(KINDS)), least=4)
