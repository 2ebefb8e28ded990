from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import metadata, version
from pathlib import Path

from long_tests import LONG

import arproc


def test_version_is_the_distributions_own():
    assert arproc.__version__ == version("arproc")


def test_every_extra_that_an_error_names_exists():
    package = Path(arproc.__file__).parent
    named = {
        extra
        for source in package.rglob("*.py")
        for extra in re.findall(r"arproc\[(\w+)\]", source.read_text(encoding="utf-8"))
    }
    assert named >= {"cli", "data", "plot"}
    assert named <= set(metadata("arproc").get_all("Provides-Extra"))


#: One user's steps, and what none of them may bring along: seconds of waiting, and of compiling.
STEPS = {
    "the package": (
        "import arproc",
        "statsmodels matplotlib sklearn numba pandas scipy typer rich",
    ),
    "a model of text": ("arproc.NGram(2)", "numba"),
    "a function of pictures": ("arproc.plot.sample_grid", "matplotlib"),
    "scikit-learn's protocol": ("arproc.AR(1).clone().set_params(order=2)", "sklearn"),
    "training": (
        """
import torch
line = torch.nn.Linear(1, 1)
fit = arproc.training.Objective(lambda s, g: torch.ones(1), lambda x, g: line(x).square().sum())
arproc.training.train(line, fit, arproc.Training(steps=2, optimizer="muon"))
""",
        "torch._dynamo",  # every class of torch.optim would
    ),
}  # fmt: skip


def test_nothing_heavy_is_imported_before_it_is_used():
    """In one fresh interpreter, which takes seconds to start."""
    code = "import sys\n"
    for name, (step, heavy) in STEPS.items():
        code += f"{step}\nprint({name!r}, *(set(sys.modules) & {set(heavy.split())}), sep=': ')\n"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
    assert found.stdout.splitlines() == list(STEPS)


def test_the_tests_that_take_long_are_there():
    """A test of that name no more would be among the quick ones, in silence."""
    root = Path(__file__).parent
    for name in LONG:
        file, function = name.split("::")
        assert f"def {function.partition('[')[0]}(" in (root / file).read_text(), name
