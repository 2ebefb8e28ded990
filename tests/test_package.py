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


def test_importing_arproc_brings_nothing_heavy():
    code = "import sys, arproc; print(*(set(sys.modules) & set(sys.argv[1:])))"
    heavy = ["statsmodels", "matplotlib", "sklearn", "numba", "pandas", "scipy", "typer", "rich"]
    found = subprocess.run(
        [sys.executable, "-c", code, *heavy], capture_output=True, text=True, check=True
    )
    assert found.stdout.split() == []


def test_the_tests_that_take_long_are_there():
    """A test of that name no more would be among the quick ones, in silence."""
    root = Path(__file__).parent
    for name in LONG:
        file, function = name.split("::")
        assert f"def {function.partition('[')[0]}(" in (root / file).read_text(), name
