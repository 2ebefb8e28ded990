"""The child process: it loads and uses changed files, one after the other, under guard."""

from __future__ import annotations

import json
import os
import random
import resource
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import arproc
from arproc.errors import ArprocError

from .mutations import Content, Others, Unchanged, write_mutant
from .uses import Given, given_of, has_nan, uses

__all__ = ["Task", "case", "run"]

_HERE = str(Path(__file__).parent)
_PACKAGE = str(Path(arproc.__file__).parent)
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_FORBIDDEN = (
    "subprocess.", "socket.", "os.system", "os.exec", "os.fork", "os.posix_spawn", "shutil.",
    "os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.chmod", "os.chown", "os.link",
    "os.symlink", "os.truncate", "ftplib.", "urllib.", "webbrowser.",
)  # fmt: skip
#: Torch makes this folder when a network is first built; it does so for sound files too.
_INDUCTOR = str(Path(tempfile.gettempdir()) / "torchinductor_")
_PLACES = ("/etc/passwd", "hostile.out", "/tmp/hostile")
#: What may be asked of a model of another class than the one whose calls these are.
_ANY = ("repr", "log_prob", "score", "sample", "save")


@dataclass(frozen=True)
class Task:
    """The files of one kind of model that a child is to try.

    Attributes:
        kind: the kind's name.
        origin: its file, as it should be.
        examples: what its calls need.
        folder: where the child writes.
        seed: decides every change.
        mutations: the names of those to try, in turn.
        memory: bytes that it may take more than it has at the start.
    """

    kind: str
    origin: Path
    examples: dict[str, Any]
    folder: Path
    seed: int
    mutations: tuple[str, ...]
    memory: int = 1 << 31


def case(task: Task, number: int) -> tuple[str, random.Random]:
    """The mutation of one case, and what decides it."""
    name = task.mutations[number % len(task.mutations)]
    return name, random.Random(f"{task.seed}/{task.kind}/{number}")


def run(task: Task, others: Others, numbers: Iterator[int], tell: Callable[[Any], None]) -> None:
    """Try cases, and tell of each before and after.

    Args:
        task: what is tried.
        others: what the files of other kinds hold.
        numbers: of the cases.
        tell: is given `{"begin": number}` and `{"end": number, ...}`.
    """
    warnings.simplefilter("ignore")
    watch = _Watch(task.folder)
    sound = arproc.load(task.origin)
    given = given_of(sound, task.examples)
    calls, known = _reference(sound, given, task.folder)
    content, path = Content.of(task.origin), task.folder / "mutant.arproc"
    _limit(task.memory)
    sys.addaudithook(watch)
    tell({"ready": sorted(calls)})
    for number in numbers:
        name, rng = case(task, number)
        try:
            write_mutant(task.origin, content, path, name, rng, others)
        except Unchanged:
            continue
        except Exception as error:
            tell({"begin": number})
            tell({"end": number, "outcome": "not written", "what": f"{error!r:.200}"})
            continue
        tell({"begin": number})
        watch.seen.clear()
        found = _tried(path, type(sound), calls, known)
        if watch.seen:
            found = {"outcome": "event", "what": watch.seen[0], "where": ""}
        tell({"end": number, **found})


def _reference(
    sound: Any, given: Given, folder: Path
) -> tuple[dict[str, Callable[[Any], Any]], set[str]]:
    """The calls that the model as it should be takes, and those that give NaN even then."""
    calls, known = {}, set()
    for name, call in uses(given, folder).items():
        try:
            value = call(sound)
        except Exception:
            continue
        calls[name] = call
        if has_nan(value):
            known.add(name)
    return calls, known


def _tried(
    path: Path, kind: type, calls: dict[str, Callable[[Any], Any]], known: set[str]
) -> dict[str, str]:
    """Load a file and use what comes: how it ended."""
    try:
        model = arproc.load(path)
    except Exception as error:
        return _judged(error, "load") or {"outcome": "refused"}
    names = [n for n in calls if type(model) is kind or n in _ANY]
    outcome = "fine"
    for name in names:
        try:
            value = calls[name](model)
        except Exception as error:
            fault = _judged(error, name)
            if fault is not None:
                return fault
            outcome = "refused in use"
            continue
        if name not in known and has_nan(value):
            return {"outcome": "nan", "what": name, "where": type(model).__name__}
    return {"outcome": outcome}


def _judged(error: BaseException, call: str) -> dict[str, str] | None:
    """What is wrong with an exception; nothing, where it is one of arproc's."""
    chain, cause = [error], error.__cause__ or error.__context__
    while cause is not None and cause not in chain:
        chain.append(cause)
        cause = cause.__cause__ or cause.__context__
    text = f"{type(error).__name__}: {str(error)[:160]}"
    for link in chain:
        if isinstance(link, MemoryError) or "allocate memory" in str(link):
            return {"outcome": "memory", "what": f"{call}: {text}", "where": _place(link)}
    if isinstance(error, ArprocError):
        return None
    frames = traceback.extract_tb(error.__traceback__)
    if frames and frames[-1].filename.startswith(_HERE):  # the call is not one of this model's
        return None
    return {"outcome": "foreign", "what": f"{call}: {text}", "where": _place(error)}


def _place(error: BaseException) -> str:
    """The innermost line of arproc's."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if f.filename.startswith(_PACKAGE)]
    return f"{own[-1].filename[len(_PACKAGE) + 1 :]}:{own[-1].lineno}" if own else ""


def _limit(memory: int) -> None:
    """So much more memory than there is now, and no core files."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + memory
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


class _Watch:
    """An audit hook that notes what no file may cause."""

    def __init__(self, folder: Path) -> None:
        self.folder = str(folder)
        self.seen: list[str] = []

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            path, _mode, flags = arguments
            path = str(path) if isinstance(path, (str, os.PathLike)) else ""
            writes = isinstance(flags, int) and flags & _WRITING
            if (writes and not self._allowed(path)) or path in _PLACES:
                self.seen.append(f"open {path}")
        elif event.startswith(_FORBIDDEN):
            path = str(arguments[0]) if arguments else ""
            if not self._allowed(path):
                self.seen.append(f"{event} {path[:80]}")

    def _allowed(self, path: str) -> bool:
        own = path.startswith((self.folder, _INDUCTOR)) or "__pycache__" in path
        return own or path in ("", "/dev/null")


def serve(task: Task, others: Others, first: int, pipe: int) -> None:
    """In a forked child: try cases from `first` on until it is killed; never returns."""

    def tell(message: Any) -> None:
        os.write(pipe, json.dumps(message).encode() + b"\n")

    def onwards() -> Iterator[int]:
        number = first
        while True:
            yield number
            number += 1

    try:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.dup2(null, 2)
        os.chdir(task.folder)
        run(task, others, onwards(), tell)
    except MemoryError:  # between two cases there is no file to blame: the parent sees which
        pass
    except BaseException as error:
        tell({"broken": "".join(traceback.format_exception(error))[-2000:]})
    finally:
        os._exit(3)
