"""Small inputs are interpreted while nothing is compiled, and give what compiled code gives."""

import types

import numba
import numpy as np
import pytest

from arproc.compiled import interpreted as module
from arproc.compiled.interpreted import nothing_interpreted, suited


def _add(x, out):
    for i in range(len(x)):
        out[i] = x[i] + 1.0


@pytest.fixture
def kernels(monkeypatch):
    """A module with one function that nobody compiled yet."""
    made = types.ModuleType("kernels_of_a_test")
    plain = types.FunctionType(_add.__code__, dict(_add.__globals__), "add")
    plain.__module__ = made.__name__
    made.add = numba.njit(plain)
    monkeypatch.setattr(module, "_done", {})
    monkeypatch.setattr(module, "_known", {})
    return made


def test_what_is_small_is_interpreted_until_it_is_compiled(kernels):
    x, out = np.arange(3.0), np.empty(3)
    suited(kernels, 3).add(x, out)
    assert not kernels.add.signatures
    np.testing.assert_array_equal(out, x + 1)
    suited(kernels, module.FEW + 1).add(x, out)
    assert kernels.add.signatures
    assert suited(kernels, 3) is kernels


def test_who_calls_again_and_again_gets_it_compiled(kernels):
    assert suited(kernels, module.FEW) is not kernels
    for _ in range(module.ALL // module.FEW):
        last = suited(kernels, module.FEW)
    assert last is kernels


def test_nothing_is_interpreted_where_all_is_to_be_compiled(kernels):
    with nothing_interpreted():
        assert suited(kernels, 1) is kernels
    assert suited(kernels, 1) is not kernels


def test_what_python_calls_beside_the_kernels_is_interpreted_too(kernels):
    source = "def twice(x, out):\n    add(x, out)\n    add(out, out)\n"
    source += "def outer(x, out):\n    twice(x, out)"
    exec(source, vars(kernels))  # functions whose globals are the module's
    x, out = np.arange(3.0), np.empty(3)
    suited(kernels, 3).outer(x, out)
    assert not kernels.add.signatures
    np.testing.assert_array_equal(out, x + 2)
