"""Kernels compiled ahead."""

from __future__ import annotations

import pytest

import arproc
from arproc.warming import CALLS


def test_it_makes_the_calls_that_are_named(capfd):
    seconds = arproc.warm_up(["AR.sample", "CountAR.fit"])
    assert list(seconds) == ["AR.sample", "CountAR.fit"]
    assert all(value > 0 for value in seconds.values())
    assert capfd.readouterr().err == ""
    assert list(arproc.warm_up("AR.sample")) == ["AR.sample"]


def test_an_unknown_name_is_said():
    with pytest.raises(arproc.errors.ParameterError, match=r"'ARX.fit'; it takes some of AR.fit"):
        arproc.warm_up(["ARX.fit"])


@pytest.mark.slow
@pytest.mark.parametrize("name", CALLS)
def test_every_call_runs(name):
    arproc.warm_up(name)
