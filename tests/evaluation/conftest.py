"""Fixtures of the tests of evaluation."""

import sys
import warnings

import pytest


@pytest.fixture(scope="session")
def sr():
    """scoringrules on NumPy: with numba it compiles for ten seconds when it is imported."""
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        patch.setitem(sys.modules, "numba", None)
        return pytest.importorskip("scoringrules")
