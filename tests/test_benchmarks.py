"""Each benchmark runs at its smallest size, by the one harness."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.__main__ import main

ROOT = Path(__file__).resolve().parents[1]
NAMES = sorted(
    path.stem if path.is_file() else path.name
    for path in (ROOT / "benchmarks").iterdir()
    if (path.suffix == ".py" or (path / "__init__.py").is_file())
    and path.stem not in ("__init__", "__main__", "__pycache__", "peers", "timing")
)

#: Those that take longer even so.
LONG = ["mnist", "ngram_growth", "quality", "text_models"]


def harness(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if k != "BENCH_REDUCED"}
    command = [sys.executable, "-m", "benchmarks", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)


def test_the_harness_knows_every_benchmark():
    done = harness("--help")
    assert done.returncode == 0
    assert all(name in done.stdout for name in NAMES)


@pytest.mark.parametrize("arguments", [["nothing"], ["ar", "--rounds", "2"], ["--rounds", "2"]])
def test_what_it_can_not_run_is_said(arguments, capsys):
    with pytest.raises(SystemExit) as left:
        main(arguments)
    said = capsys.readouterr().err
    assert left.value.code == 2
    assert "there is no benchmark" in said or "option" in said


@pytest.mark.parametrize("name", [n for n in NAMES if n not in LONG])
def test_each_runs_at_its_smallest_size(name):
    done = harness("--smallest", name)
    assert done.returncode == 0, done.stderr[-2000:]
    assert f"== {name}" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("name", LONG)
def test_long_ones_too(name):
    done = harness("--smallest", name)
    assert done.returncode == 0, done.stderr[-2000:]
