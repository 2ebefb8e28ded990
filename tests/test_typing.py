"""What type checkers see: of the package no mistake, of a user's file those that are there."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import arproc

ROOT = Path(arproc.__file__).parents[1]

#: A user's file; a line that ends in "# error: ..." holds the mistake that is named there.
USERS = """
import numpy as np

import arproc
from arproc.spaces import Real

x = np.sin(np.arange(50.0))
model = arproc.AR(order=2).fit(x)
arproc.AR(order=2, typo=3)  # error: call-arg
first: float = model.coef_[0] + model.sigma2_
model.forcast(x, 3)  # error: attr-defined
model.forecast(x, horizon="three")  # error: arg-type
model.forecast(x, horizon=3, quantiles=(0.1, 0.9)).mean()
model.with_policy(arproc.sampling.Temperature(0.5)).sample(3, length=2, seed=1)
arproc.Sequences.of(x, Real()).lengths.tolist()
arproc.evaluate(model, x)
arproc.compare({"one": model, "two": arproc.VAR(order=1)}, x)
arproc.testing.check_process(model, only=["seeds"]).passed.append("")
arproc.Mixture([model, model], weights=[0.5, 0.5]).fit(x).condition(x).log_prob(x)
"""


@pytest.mark.slow
def test_a_users_mistakes_are_found_and_nothing_else(tmp_path):
    """The whole package in the same run, two minutes from an empty cache; `make lint` too."""
    pytest.importorskip("mypy")
    path = tmp_path / "a_users_file.py"
    path.write_text(USERS)
    command = [sys.executable, "-m", "mypy", "--config-file", "pyproject.toml", "--no-pretty"]
    paths = ["arproc", str(path)]
    done = subprocess.run([*command, *paths], cwd=ROOT, capture_output=True, text=True)
    errors = [line for line in done.stdout.splitlines() if ": error: " in line]
    assert all(f"{path.name}:" in line for line in errors), done.stdout  # none in the package
    found = {(int(line.split(":")[1]), line.rpartition("[")[2].rstrip("]")) for line in errors}
    planted = {
        (number, line.rpartition("# error: ")[2])
        for number, line in enumerate(USERS.splitlines(), 1)
        if "# error: " in line
    }
    assert len(planted) == 3
    assert found == planted, done.stdout + done.stderr


def test_type_checkers_are_told_every_lazy_name():
    tree = ast.parse(Path(arproc.__file__).read_text(encoding="utf-8"))
    told = {}
    for node in tree.body:
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            for line in node.body:
                assert isinstance(line, ast.ImportFrom)
                told |= {name.name: line.module for name in line.names}
    assert told == arproc._LAZY | dict.fromkeys(arproc._MODULES, "arproc")
    assert set(told) <= set(arproc.__all__)
    assert len(set(arproc.__all__)) == len(arproc.__all__)
    assert all(getattr(arproc, name) is not None for name in arproc.__all__)
