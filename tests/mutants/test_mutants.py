"""The faults that are tried, and the command on a package of one file."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from .__main__ import equivalents, paths, stale
from .bench import ROOT
from .operators import find, functions
from .reach import instrument

QUIET = '''
"""A docstring with 1 number."""
from typing import Protocol, overload

__all__ = ["a"] + ["b"]


class Shape(Protocol):
    n: int = 3


@overload
def f(x: int = 1) -> int: ...


class Loud:
    size: "list[1 + 2]"

    def __repr__(self):
        return "-" * 3


def g(x):
    """Not 2 either."""
    warnings.warn(f"{x + 1}", stacklevel=2)
'''


def changes(source: str) -> set[str]:
    return {f"{m.operator}: {m.change}" for m in find("a.py", source.encode())}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("x = a < b", {"comparison: a < b -> a <= b", "comparison: a < b -> a >= b"}),
        ("x = a + b", {"arithmetic: a + b -> a - b"}),
        ("x = a and b", {"and/or: a and b -> a or b"}),
        ("x = not a", {"sign or not removed: not a -> a"}),
        ("x = 3", {"constant: 3 -> 4", "constant: 3 -> 2"}),
        ("def f(a=True): pass", {"constant: True -> False"}),
        ("def f(): return a", {"returns nothing: return a -> return None"}),
        ("x += y", {"statement deleted: x += y -> pass", "arithmetic: x += y -> x -= y"}),
        ("x.y = z", {"statement deleted: x.y = z -> pass"}),
        ("if a: b", {"condition negated: a -> not a"}),
        ("y = x.double()", {"conversion removed: x.double() -> x"}),
        ("y = t.promote_types(a)", {"promotion removed: t.promote_types(a) -> a"}),
        ("y = torch.float64", {"twin: torch.float64 -> torch.float32"}),
        ("y = min(x)", {"twin: min -> max"}),
        ("y = f(a, b)", {"argument dropped: f(..., b) without it"}),
        ("y = f(a=b)", {"keyword dropped: f(a=b) without it"}),
        ("y = x[a:b]", {"slice bound dropped: x[a:b] -> x[:b]",
                        "slice bound dropped: x[a:b] -> x[a:]"}),
        ("raise E(f'{1 + 1}')", {"statement deleted: raise E(f'{1 + 1}') -> pass"}),
        ("y: int = f[a]", set()),
        (QUIET, {"statement deleted: warnings.warn(f'{x + 1}', stacklevel=2) -> pass"}),
    ],
)  # fmt: skip
def test_each_kind_of_fault(source, expected):
    tried = changes(source if "\n" in source else f"{source}\n")
    assert tried == expected


def test_a_mutant_is_its_file_with_one_change():
    source = 'é = "é"\ndef f(x):\n    # a note\n    return (x +\n            1)  # and another\n'
    for mutant in find("a.py", source.encode()):
        changed = mutant.apply(source.encode()).decode()
        assert ast.dump(ast.parse(changed)) != ast.dump(ast.parse(source))
        assert "# a note" in changed
        assert "# and another" in changed
        assert mutant.function == "f"


def test_every_mutant_is_python_and_has_a_name_of_its_own():
    some = paths(("arproc/spaces", "arproc/sampling/ancestral", "arproc/contract/track"))
    files = {path: (ROOT / path).read_bytes() for path in some}
    mutants = [(m, source) for path, source in files.items() for m in find(path, source)]
    assert len({m.identity for m, _ in mutants}) == len(mutants) > 300
    for mutant, source in sorted(mutants, key=lambda pair: pair[0].rank(1))[:40]:
        assert ast.parse(mutant.apply(source))


def test_an_order_of_mutants_stays_when_others_come():
    old, new = (
        b"def f(x):\n    return x < 1\n",
        b"def g(x): return 5\ndef f(x):\n    return x < 1\n",
    )
    names = [m.identity for m in sorted(find("a.py", old), key=lambda m: m.rank(0))]
    after = [m.identity for m in sorted(find("a.py", new), key=lambda m: m.rank(0))]
    assert [name for name in after if name in names] == names


def test_a_copy_that_notes_what_is_entered_is_the_same_code():
    source = (ROOT / "arproc/contract/track.py").read_text(encoding="utf-8")
    noted = ast.parse(instrument("arproc/contract/track.py", source))
    names = [name for name, _ in functions(ast.parse(source))]
    assert [name for name, _ in functions(noted)] == names
    for name, node in functions(noted):
        assert any(f"track.py::{name}'" in ast.unparse(statement) for statement in node.body[:2])


def test_each_equivalent_mutant_is_still_there_and_says_why():
    assert not stale()
    assert all(len(reason) > 20 for reason in equivalents().values())


TINY = """
def clipped(x: int, most: int = 9) -> int:
    if x > most:
        return most
    return x


def forever(x: int) -> int:
    while x > 0:
        x -= 1
    return x
"""
TINY_TESTS = """
from arproc.spaces import clipped, forever


def test_it_is_clipped():
    assert [clipped(x) for x in (3, 9, 12)] == [3, 9, 9]


def test_it_ends():
    assert forever(3) == 0
"""


@pytest.mark.slow
def test_the_command_on_a_package_of_one_file(tmp_path: Path):
    """What is wrong is killed, a loop is stopped, what is equal survives, and a name is asked."""
    shutil.copytree(ROOT / "tests" / "mutants", tmp_path / "tests" / "mutants")
    named = tmp_path / "tests" / "mutants" / "equivalent.toml"
    named.write_text("")
    for path, text in {
        "arproc/__init__.py": "",
        "arproc/spaces.py": TINY,
        "tests/test_spaces.py": TINY_TESTS,
        "tests/testing/test_zoo.py": "def test_nothing():\n    pass\n",
        "pyproject.toml": '[tool.pytest.ini_options]\naddopts = "--import-mode=importlib"\n',
    }.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)

    def run(*flags: str) -> tuple[int, str]:
        command = [sys.executable, "-m", "tests.mutants", "--workers", "1", "--start", "2", *flags]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr

    code, text = run()
    tag = "arproc/spaces.py::"
    assert f"killed    {tag}clipped::comparison: x > most -> x <= most" in text
    assert f"killed    {tag}clipped::returns nothing: return most -> return None" in text
    assert f"timed out {tag}forever::statement deleted: x -= 1 -> pass" in text
    equal = f"{tag}clipped::comparison: x > most -> x >= most"
    assert f"survived  {equal}" in text
    assert "NOT NAMED" in text
    assert code == 1
    assert (tmp_path / "arproc/spaces.py").read_text() == TINY
    survivors = [line.split("  ", 1)[1] for line in text.splitlines() if line[:8] == "survived"]
    names = {line.rpartition(" (line")[0] for line in survivors}
    named.write_text(
        "".join(f'"{n}" = "equal for every number that is given"\n' for n in sorted(names))
    )
    code, text = run("--only", "arproc/spaces")
    assert "killed    " not in text  # what is known is not tried again
    assert "0 of them without a name" in text
    named.write_text('"arproc/spaces.py::clipped::gone" = "the code was another one"\n')
    assert "no such mutant is left: arproc/spaces.py::clipped::gone" in run()[1]
