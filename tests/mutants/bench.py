"""Copies of the repository, in which forked processes run chosen tests under limits.

Whoever starts has loaded torch, numba and pytest once; a fork gets them for nothing, and imports
this package and its tests anew from its copy. The working tree is never written to.
"""

from __future__ import annotations

import compileall
import json
import os
import resource
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from py_compile import PycInvalidationMode
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
LEFT_OUT = shutil.ignore_patterns(".git", ".venv*", ".mutants", "demo-output", ".*_cache")
SLOW_TO_LOAD = ("torch", "numba", "pandas", "scipy.stats", "scipy.optimize", "sklearn.base",
                "hypothesis.stateful", "statsmodels.api")  # fmt: skip
MEMORY = 8 << 30
#: A process is given this many times the seconds that its tests took.
SLACK = 4.0


def warm() -> None:
    """Load what is slow to load and is none of ours."""
    for name in SLOW_TO_LOAD:
        import_module(name)
    sys.modules["torch"].set_num_threads(1)


def copy_trees(folder: Path, count: int) -> list[Path]:
    """Copies whose compiled files are valid by their source's hash, not by its time."""
    copies = [folder / str(i) for i in range(count)]
    shutil.copytree(ROOT, copies[0], ignore=LEFT_OUT, symlinks=True)
    # a mutant of the same size, written within the same second, would pass for the file before it
    mode = PycInvalidationMode.CHECKED_HASH
    compileall.compile_dir(copies[0] / "arproc", quiet=2, force=True, invalidation_mode=mode)
    for copy in copies[1:]:
        shutil.copytree(copies[0], copy, symlinks=True)
    return copies


@dataclass(eq=False)
class Watch:
    """A pytest plugin: keeps the chosen tests, cheapest first, and notes what they do."""

    order: dict[str, int] | None
    note: Path
    ran: list[str] = field(default_factory=list)
    failed: str = ""
    reached: dict[str, list[Any]] = field(default_factory=dict)
    shared: set[str] = field(default_factory=set)

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        if self.order is not None:
            order = self.order
            items[:] = sorted(
                (i for i in items if i.nodeid in order), key=lambda i: order[i.nodeid]
            )
        self.shared = set(_reached())

    def pytest_collectreport(self, report: Any) -> None:
        if report.failed:
            self.tell(report.nodeid or "collection")

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.failed:
            self.tell(report.nodeid)

    def pytest_runtest_protocol(self, item: Any) -> None:
        _reached().clear()
        self.began = time.process_time()
        self.ran.append(item.nodeid)
        self.note.write_text(json.dumps({"last": item.nodeid}))

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: Any) -> Any:
        """What a fixture of many tests reaches, each of them stands on."""
        before = set(_reached())
        result = yield
        if fixturedef.scope != "function":
            self.shared |= _reached() - before
        return result

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        took = time.process_time() - self.began
        self.reached[nodeid] = [round(took, 3), sorted(_reached())]

    def tell(self, nodeid: str) -> None:
        self.failed = self.failed or nodeid


def _reached() -> set[str]:
    """The functions entered since it was emptied, in a copy made by `reach.instrument`."""
    import builtins

    return builtins.__dict__.setdefault("_reached_functions", set())


def run_tests(files: list[str], order: dict[str, int] | None, note: Path) -> Watch:
    """Run tests in this process; only for a fork."""
    watch = Watch(order, note)
    stop = ["-x"] if order is not None else []
    # hypothesis is loaded long since, and pytest would warn of it
    quiet = ["-W", "ignore::pytest.PytestAssertRewriteWarning"]
    plugins = ["-p", "no:cacheprovider", "-p", "no:xdist", *quiet]
    status = pytest.main(["-q", "--no-header", "--tb=short", *stop, *plugins, *files], [watch])
    if status not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
        watch.tell(f"pytest's status {int(status)}")
    return watch


def fork(copy: Path, seconds: float, task: Callable[[], None]) -> int:
    """Run `task` in a fork that stands in `copy`; the number of the process."""
    pid = os.fork()
    if pid:
        return pid
    try:
        os.setsid()
        log = os.open(copy / ".log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for stream in (1, 2):
            os.dup2(log, stream)
        _limit(seconds)
        _move(copy)
        task()
        sys.stdout.flush()
        os._exit(0)
    except BaseException:
        import traceback

        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(1)


def _limit(seconds: float) -> None:
    whole = int(seconds) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (whole, whole))
    # not the address space: files are mapped that are larger than the memory
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    signal.alarm(20 * whole)  # for what waits instead of working


def _move(copy: Path) -> None:
    os.chdir(copy)
    here = {"", str(ROOT), str(ROOT / "tests")}
    sys.path[:] = [str(copy)] + [p for p in sys.path if p not in here]
    os.environ["PYTHONPATH"] = str(copy)
    for name in [n for n in sys.modules if n.partition(".")[0] in ("tests", "arproc", "conftest")]:
        del sys.modules[name]


@dataclass
class Job:
    """Something to do in a copy: `prepare` in this process, `task` in a fork, then `done`.

    The fork is stopped when it has worked for so many seconds.
    """

    seconds: float
    prepare: Callable[[Path], None]
    task: Callable[[Path], None]
    done: Callable[[Path, int], None]


def work(jobs: Iterator[Job], copies: list[Path]) -> None:
    """Do all jobs, as many at once as there are copies."""
    free, running = list(copies), {}
    try:
        for job in jobs:
            if not free:
                _finish(running, free)
            copy = free.pop()
            job.prepare(copy)
            running[fork(copy, job.seconds, lambda j=job, c=copy: j.task(c))] = (job, copy)
        while running:
            _finish(running, free)
    finally:
        for pid in running:
            os.killpg(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def _finish(running: dict[int, tuple[Job, Path]], free: list[Path]) -> None:
    pid, status = os.wait()
    job, copy = running.pop(pid)
    with suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)  # what a test of the command line left behind
    job.done(copy, os.waitstatus_to_exitcode(status))
    free.append(copy)
