"""Set-up shared by the tests and by the examples in docstrings."""

from __future__ import annotations

import os
import sys

os.environ.setdefault("OMP_NUM_THREADS", "1")  # two test processes on two cores
os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("ARPROC_QUIET", "1")  # what compiles now says nothing of the code

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import settings

from arproc.compiled import interpreted

# The suite compiles nearly every kernel, and calls it on: what waits for that is interpreted less.
interpreted.ALL = interpreted.FEW
torch.set_num_threads(1)
settings.register_profile("arproc", deadline=None, derandomize=True, max_examples=25)
settings.load_profile("arproc")


def pytest_collection_finish() -> None:
    """What is imported by now stays: the collector need not go over it again and again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


@pytest.fixture(autouse=True)
def _doctests_write_elsewhere(request: pytest.FixtureRequest) -> Iterator[None]:
    """An example that saves a file does so in a temporary folder."""
    if not isinstance(request.node, pytest.DoctestItem):
        yield
        return
    folder: Path = request.getfixturevalue("tmp_path")
    here = Path.cwd()
    os.chdir(folder)
    yield
    os.chdir(here)
    if "matplotlib.pyplot" in sys.modules:  # figures stay open until they are closed
        sys.modules["matplotlib.pyplot"].close("all")
