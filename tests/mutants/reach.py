"""Which tests enter which function, and what they cost: found once, by running them all.

A mutant need be shown only to the tests that run its code. For that every function of a copy of
the package writes its name down on entry.
"""

from __future__ import annotations

import ast
import json
import os
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

from .bench import ROOT, Job, Watch, run_tests, work
from .operators import functions

SET_UP = 'import builtins as _b; _rf = _b.__dict__.setdefault("_reached_functions", set())'


def instrument(path: str, source: str) -> str:
    """The file with a note at the head of each function."""
    tree = ast.parse(source)
    lines = source.splitlines(keepends=True)
    heads = [(node, f"_rf.add({f'{path}::{name}'!r})") for name, node in functions(tree)]
    blocks = [(node.body, text) for node, text in heads if _is_block(node.body, lines)]
    places = {_head(body): text for body, text in blocks}
    places[_after_imports_of_future(tree)] = SET_UP
    for line in sorted(places, reverse=True):
        following = lines[line - 1] if line <= len(lines) else ""
        indent = following[: len(following) - len(following.lstrip())]
        lines.insert(line - 1, f"{indent}{places[line]}\n")
    return "".join(lines)


def _is_block(body: list[ast.stmt], lines: list[str]) -> bool:
    """Whether it starts on a line of its own, not behind the colon."""
    return not lines[body[0].lineno - 1].encode()[: body[0].col_offset].strip()


def _head(body: list[ast.stmt]) -> int:
    """The line of the first statement that is no docstring, with its decorators."""
    first = body[1] if _is_text(body[0]) and len(body) > 1 else body[0]
    decorators = getattr(first, "decorator_list", [])
    return min([first.lineno, *(d.lineno for d in decorators)])


def _after_imports_of_future(tree: ast.Module) -> int:
    for node in tree.body:
        future = isinstance(node, ast.ImportFrom) and node.module == "__future__"
        if not future and not _is_text(node):
            return node.lineno
    return 1


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


class Reach:
    """What each test reaches, kept in a file and renewed where a file of tests has changed.

    Args:
        kept: where it is kept.
        groups: files of tests, by name; those of one group run in one process.
    """

    def __init__(self, kept: Path, groups: dict[str, list[str]]) -> None:
        self.kept, self.groups = kept, groups
        self.known: dict[str, Any] = json.loads(kept.read_text()) if kept.exists() else {}

    def renew(self, sources: list[str], copies: list[Path]) -> None:
        """Run what is new or changed, unmutated; raise where it fails."""
        stale = [g for g, files in self.groups.items() if self._hash(g) != _hash(files)]
        if not stale:
            return
        for copy in copies:
            for path in sources:
                text = instrument(path, (ROOT / path).read_text(encoding="utf-8"))
                (copy / path).write_text(text, encoding="utf-8")
        work(self._jobs(stale), copies)
        for copy in copies:
            for path in sources:
                restore(copy, path)

    def _hash(self, group: str) -> str:
        return self.known.get(group, {}).get("hash", "")

    def _jobs(self, stale: list[str]) -> Iterator[Job]:
        for group in stale:
            version = _hash(self.groups[group])
            yield Job(
                3600.0,
                lambda copy: None,
                lambda copy, group=group: _map(copy, self.groups[group]),
                lambda copy, code, g=group, v=version: self._take(copy, code, g, v),
            )

    def _take(self, copy: Path, code: int, group: str, version: str) -> None:
        note = json.loads((copy / ".map").read_text()) if code == 0 else {"failed": f"exit {code}"}
        if note["failed"]:
            log = (copy / ".log").read_text()[-3000:]
            raise SystemExit(f"{note['failed']} fails without any mutant: {log}")
        self.known[group] = {"hash": version, "tests": note["tests"]}
        self.kept.write_text(json.dumps(self.known))
        print(f"  {len(note['tests']):4d} tests of {group}", flush=True)

    def tests(self) -> list[tuple[str, float, frozenset[str]]]:
        """(test, seconds, the functions entered)."""
        return [
            (test, seconds, frozenset(reached))
            for group in self.groups
            for test, (seconds, reached) in self.known[group]["tests"].items()
        ]


def restore(copy: Path, path: str) -> None:
    """Put the file as it is in the working tree back, with its time."""
    (copy / path).write_bytes((ROOT / path).read_bytes())
    times = (ROOT / path).stat()
    os.utime(copy / path, ns=(times.st_atime_ns, times.st_mtime_ns))


def _map(copy: Path, files: list[str]) -> None:
    watch: Watch = run_tests(files, None, copy / ".note")
    shared = watch.shared if len(files) == 1 else set()
    tests = {t: [s, sorted({*reached, *shared})] for t, (s, reached) in watch.reached.items()}
    (copy / ".map").write_text(json.dumps({"failed": watch.failed, "tests": tests}))


def _hash(files: list[str]) -> str:
    return sha256(b"".join((ROOT / file).read_bytes() for file in files)).hexdigest()[:16]
