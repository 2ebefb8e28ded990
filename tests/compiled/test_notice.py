"""The line that says why a first call waits."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from arproc.compiled.arrays import put, put_table
from arproc.compiled.notice import Notice


def event(module: str) -> SimpleNamespace:
    function = SimpleNamespace(__module__=module)
    return SimpleNamespace(data={"dispatcher": SimpleNamespace(py_func=function)})


OURS, NUMBAS, THEIRS = event("arproc.models.x"), event("numba.np.arrayobj"), event("other")


@pytest.fixture(autouse=True)
def _loud(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("ARPROC_QUIET", raising=False)


def waited(notice: Notice, *events: SimpleNamespace, long: bool = True) -> None:
    """Something compiles: for so long that the timer, if one runs, comes to its end; or not."""
    for one in events:
        notice.on_start(one)
    if long and notice._timer is not None:
        notice._timer.join(30.0)
    for one in reversed(events):
        notice.on_end(one)


def test_a_long_wait_is_told_once(capfd):
    notice = Notice(after=0.01)
    waited(notice, OURS, NUMBAS, OURS)
    waited(notice, OURS)
    told = capfd.readouterr()
    assert told.err == "arproc: compiling, once per machine; `arproc warm-up` does it ahead\n"
    assert told.out == ""


def test_short_waits_add_up(capfd):
    times = iter([0.0, 29.9, 40.0, 50.0])
    notice = Notice(after=30.0, clock=lambda: next(times))
    waited(notice, OURS, long=False)
    assert capfd.readouterr().err == ""
    waited(notice, OURS)
    assert "compiling" in capfd.readouterr().err


@pytest.mark.parametrize("quiet", ["1", "yes"])
def test_nothing_where_quiet(capfd, monkeypatch, quiet):
    monkeypatch.setenv("ARPROC_QUIET", quiet)
    waited(Notice(after=0.0), OURS)
    assert capfd.readouterr().err == ""


def test_nothing_for_other_peoples_kernels_nor_when_muted(capfd):
    notice = Notice(after=0.0)
    waited(notice, THEIRS, NUMBAS)
    with notice.muted():
        waited(notice, OURS)
    assert capfd.readouterr().err == ""
    waited(notice, OURS)
    assert capfd.readouterr().err


def test_without_a_cache_it_says_so(capfd):
    notice = Notice(after=0.0)
    notice.kept = False
    waited(notice, OURS)
    assert "in every process" in capfd.readouterr().err


def test_put_writes_the_first_elements_and_whole_tables():
    target = np.zeros(5)
    put(np.array([1.0, 2.0]), target)
    np.testing.assert_array_equal(target, [1, 2, 0, 0, 0])
    source, table = np.arange(6.0).reshape(2, 3), np.zeros((2, 3))
    put_table(source, table)
    np.testing.assert_array_equal(table, source)
