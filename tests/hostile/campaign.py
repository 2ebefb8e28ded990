"""The campaign: children for every kind of model, watched, and started again where they fall."""

from __future__ import annotations

import json
import os
import selectors
import signal
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .child import Task, case, serve
from .kinds import KINDS, make
from .mutations import MUTATIONS, Content, Others

__all__ = ["FAULTS", "Case", "campaign", "saved"]

#: What no file may bring about. The other outcomes are "fine", "refused" and "refused in use".
FAULTS = ("crash", "foreign", "nan", "time", "memory", "event")


@dataclass(frozen=True)
class Case:
    """How one file ended."""

    kind: str
    number: int
    mutation: str
    outcome: str
    what: str = ""
    where: str = ""


@dataclass
class _Worker:
    """A child at work on one kind."""

    task: Task
    share: float
    until: float = float("inf")
    next: int = 0
    process: int = 0
    pipe: int = -1
    buffer: bytes = b""
    busy: int | None = None
    since: float = 0.0
    spent: float = 0.0
    stopping: str = ""
    cases: list[Case] = field(default_factory=list)

    def start(self, others: Others) -> None:
        """Fork a child that goes on with the next case."""
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(read)
            serve(self.task, others, self.next, write)
        os.close(write)
        self.process, self.pipe, self.buffer, self.busy = child, read, b"", None
        self.since, self.spent, self.stopping = time.monotonic(), 0.0, ""

    def hear(self) -> bool:
        """Read what the child tells; False once it has ended."""
        data = os.read(self.pipe, 1 << 16)
        self.buffer += data
        *lines, self.buffer = self.buffer.split(b"\n")
        for line in lines:
            self._note(json.loads(line))
        return bool(data)

    def _note(self, told: dict[str, Any]) -> None:
        self.since, self.spent = time.monotonic(), self._used()
        if "broken" in told:
            raise RuntimeError(f"{self.task.kind}: {told['broken']}")
        if "ready" in told and self.until == float("inf"):
            self.until = self.since + self.share
        if "begin" in told:
            self.busy, self.next = told["begin"], told["begin"] + 1
        elif "end" in told:
            self._add(told["outcome"], told.get("what", ""), told.get("where", ""))
            self.busy = None

    def _used(self) -> float:
        """Seconds of processor time that the child has taken."""
        try:
            fields = Path(f"/proc/{self.process}/stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            return self.spent
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def impatient(self, patience: float) -> bool:
        """Whether a file has taken too long: of the processor, or ten times that by the clock."""
        if self.busy is None:
            return False
        waited = time.monotonic() - self.since
        return waited > patience and (
            self._used() - self.spent > patience or waited > 10 * patience
        )

    def _add(self, outcome: str, what: str = "", where: str = "") -> None:
        number = self.next - 1
        mutation = case(self.task, number)[0]
        self.cases.append(Case(self.task.kind, number, mutation, outcome, what, where))

    def stop(self, why: str) -> None:
        """Kill the child, which `reap` then finds ended."""
        if not self.stopping:
            self.stopping = why
            os.kill(self.process, signal.SIGKILL)

    def reap(self) -> None:
        """Note how a child ended that fell over a file."""
        _, status = os.waitpid(self.process, 0)
        os.close(self.pipe)
        if self.stopping == "time":
            self._add("time")
        elif not self.stopping and self.busy is not None:
            ended = os.waitstatus_to_exitcode(status)
            name = signal.Signals(-ended).name if ended < 0 else f"exit {ended}"
            self._add("memory" if ended == 3 else "crash", name)


def saved(kinds: Iterable[str], folder: Path) -> dict[str, Path]:
    """The files of fitted models of these kinds; those that are there are taken as they are."""
    paths = {}
    for number, kind in enumerate(kinds):
        stem = "".join(c if c.isalnum() else "-" for c in kind)
        paths[kind] = folder / f"{stem}.arproc"
        if not paths[kind].exists():
            child = os.fork()
            if child == 0:
                _save(kind, paths[kind])
            _, status = os.waitpid(child, 0)
            if status:
                raise RuntimeError(f"kind {number}, {kind!r}, can not be made and saved")
    return paths


def _save(kind: str, path: Path) -> None:
    code = 1
    try:
        make(kind).save(path)
        code = 0
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        os._exit(code)


def campaign(
    paths: dict[str, Path],
    folder: Path,
    seconds: float,
    seed: int = 0,
    mutations: tuple[str, ...] = tuple(MUTATIONS),
    workers: int = 2,
    patience: float = 15.0,
    cases: int | None = None,
) -> list[Case]:
    """Try files of every kind for so long, shared out evenly.

    Args:
        paths: the files as they should be, by kind.
        folder: where the children write.
        seconds: for all kinds together.
        seed: decides every change: the same seed tries the same files, as far as it comes.
        mutations: names of those to try.
        workers: how many children at once.
        patience: seconds of processor time that one file may take.
        cases: how many files of each kind at most.

    Returns:
        The cases, in the order in which they ended.
    """
    others = [Content.of(path) for path in paths.values()]
    share = seconds * workers / max(len(paths), 1)
    waiting, found = list(paths), []
    working: list[_Worker] = []
    with selectors.DefaultSelector() as selector:
        while waiting or working:
            while waiting and len(working) < workers:
                kind = waiting.pop(0)
                own = folder / f"child-{len(waiting)}"
                own.mkdir(exist_ok=True)
                task = Task(kind, paths[kind], KINDS[kind][1], own, seed, mutations)
                worker = _Worker(task, share)
                _begin(worker, others, selector)
                working.append(worker)
            for key, _ in selector.select(0.2):
                worker = key.data
                if not worker.hear():
                    selector.unregister(worker.pipe)
                    worker.reap()
                    if worker.stopping == "over" or _over(worker, cases):
                        working.remove(worker)
                        found += worker.cases
                    else:
                        _begin(worker, others, selector)
            for worker in working:
                if _over(worker, cases):
                    worker.stop("over")
                elif worker.impatient(patience):
                    worker.stop("time")
    return found if cases is None else [c for c in found if c.number < cases]


def _begin(worker: _Worker, others: Others, selector: selectors.BaseSelector) -> None:
    worker.start(others)
    selector.register(worker.pipe, selectors.EVENT_READ, worker)


def _over(worker: _Worker, cases: int | None) -> bool:
    """Whether a kind has had its time, or its cases; a begun case may end."""
    late = time.monotonic() > worker.until and worker.busy is None and bool(worker.cases)
    return late or (cases is not None and worker.next >= cases and worker.busy is None)
