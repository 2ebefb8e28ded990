"""No file can hurt: the campaign in short, and that the campaign itself sees what it looks for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
#: Networks, compiled tables, a mixture of both, a series with a design, a panel, a tree.
FEW = ("NGram that was streamed", "NADE of mixed levels")


def campaign(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "ignore", "-m", "tests.hostile", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_a_few_files_of_every_mutation_do_no_harm():
    done = campaign("--kinds", *FEW, "--cases", "6", "--seconds", "300")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "refused" in done.stdout


@pytest.mark.slow
def test_no_file_of_any_kind_does_harm():
    done = campaign("--seconds", "900", "--seed", "7")
    assert done.returncode == 0, done.stdout + done.stderr


#: Instead of loading a file, what each case would bring about.
HARM = """
import os, signal, sys, time
sys.path.insert(0, "tests")
from pathlib import Path
from tests.hostile import child
from tests.hostile.campaign import campaign, saved

real, count = child.arproc.load, iter(range(100))
def load(path):
    if path.name != "mutant.arproc":
        return real(path)
    number = int(os.environ["ONE"])
    if number == 0: os.kill(os.getpid(), signal.SIGSEGV)
    if number == 1: raise KeyError("not one of ours")
    if number == 2: return type("Model", (), {"log_prob": lambda *_, **__: float("nan")})()
    if number == 3:
        while True: pass
    if number == 4: bytearray(1 << 33)
    if number == 5: open("/tmp/hostile", "a").close()
    if number == 6: os.system("true")
    if number == 7: raise child.arproc.errors.FileFormatError("no")
    return real(sys.argv[1] + "/AR-2-.arproc")

child.arproc.load = load
paths = saved(["AR(2)"], Path(sys.argv[1]))
for number in range(9):
    os.environ["ONE"] = str(number)
    settings = {"mutations": ("raw bytes",), "patience": 0.5, "cases": 1}
    (case,) = campaign(paths, Path(sys.argv[1]), 60, **settings)
    print(case.outcome)
"""


def test_the_campaign_sees_every_fault(tmp_path):
    command = [sys.executable, "-W", "ignore", "-c", HARM, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    want = ["crash", "foreign", "nan", "time", "memory", "event", "event", "refused", "fine"]
    assert done.stdout.split() == want, done.stdout + done.stderr
