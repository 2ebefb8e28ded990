"""Regular expressions, read as Python reads them, as automata without the choice of a path yet.

Only what is regular is read: what looks around, refers back or takes possession is refused, for it
could not be dropped without changing which texts match.
"""

from __future__ import annotations

import functools
import re
import warnings
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import numpy as np

from arproc.errors import ParameterError

__all__ = ["Nondeterministic", "nondeterministic"]

#: The parser of `re` itself: what it reads is what is meant.
codes: Any = import_module("re._constants")
parser: Any = import_module("re._parser")
_POINTS = 0x110000
#: No expression is unrolled to more states.
_MOST = 50_000
_CATEGORIES = {
    codes.CATEGORY_DIGIT: r"\d", codes.CATEGORY_NOT_DIGIT: r"\D",
    codes.CATEGORY_SPACE: r"\s", codes.CATEGORY_NOT_SPACE: r"\S",
    codes.CATEGORY_WORD: r"\w", codes.CATEGORY_NOT_WORD: r"\W",
}  # fmt: skip
_REFUSED = {
    codes.ASSERT: "looks around itself, (?=...)",
    codes.ASSERT_NOT: "looks around itself, (?!...)",
    codes.GROUPREF: "refers back to a group",
    codes.GROUPREF_EXISTS: "refers back to a group",
    codes.ATOMIC_GROUP: "has an atomic group, (?>...)",
    codes.POSSESSIVE_REPEAT: "repeats possessively, as a*+",
}
_BEGINS = tuple((codes.AT, at) for at in (codes.AT_BEGINNING, codes.AT_BEGINNING_STRING))
_ENDS = tuple((codes.AT, at) for at in (codes.AT_END, codes.AT_END_STRING))
#: The lengths of UTF-8: up to which code point so many bytes are enough.
_LENGTHS = ((0x7F, 1), (0x7FF, 2), (0xFFFF, 3), (0x10FFFF, 4))


class Nondeterministic:
    """States that read a byte within a range or nothing; 0 is the first, `last` accepts.

    Attributes:
        silent: of each state, where it goes without reading.
        reads: of each state, (low, high, target) of the bytes that it reads.
        last: the state that accepts.
    """

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self.silent: list[list[int]] = []
        self.reads: list[list[tuple[int, int, int]]] = []
        self.last = 0

    def new(self) -> int:
        """The number of one more state."""
        if len(self.silent) >= _MOST:
            raise ParameterError(
                f"pattern {_short(self.pattern)} unrolls to more than {_MOST:,} states; repeat "
                "fewer times."
            )
        self.silent.append([])
        self.reads.append([])
        return len(self.silent) - 1


def nondeterministic(pattern: str) -> Nondeterministic:
    """The automaton of a regular expression over the bytes of UTF-8, which whole texts match.

    Raises:
        ParameterError: it is no expression of Python's, or more than a regular one.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = parser.parse(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise ParameterError(
            f"pattern {_short(pattern)} is no regular expression: {error}."
        ) from None
    found = Nondeterministic(pattern)
    first = found.new()
    items = list(tree)
    while items and items[0] in _BEGINS:  # a whole text is matched: its ends are where they are
        items = items[1:]
    while items and items[-1] in _ENDS:
        items = items[:-1]
    try:
        found.last = _sequence(found, items, first, tree.state.flags)
    except RecursionError:
        raise ParameterError(f"pattern {_short(pattern)} is nested too deeply.") from None
    return found


def _sequence(to: Nondeterministic, items: Any, at: int, flags: int) -> int:
    for code, value in items:
        at = _item(to, code, value, at, flags)
    return at


def _item(to: Nondeterministic, code: Any, value: Any, at: int, flags: int) -> int:
    """Add one part of an expression after state `at`; the state after it."""
    if code in _REFUSED:
        _refuse(to.pattern, _REFUSED[code])
    if code is codes.AT:
        _refuse(to.pattern, "asks where it is (^, $ or \\b) within the text")
    if code is codes.SUBPATTERN:
        _, added, removed, inner = value
        return _sequence(to, inner, at, (flags | added) & ~removed)
    if code is codes.BRANCH:
        return _branches(to, value[1], at, flags)
    if code in (codes.MAX_REPEAT, codes.MIN_REPEAT):  # which is longer does not matter to a whole
        least, most, inner = value
        return _repeated(to, least, most, inner, at, flags)
    if code is codes.FAILURE:
        return to.new()
    return _characters(to, code, value, at, flags)


def _branches(to: Nondeterministic, branches: Any, at: int, flags: int) -> int:
    end = to.new()
    for branch in branches:
        begin = to.new()
        to.silent[at].append(begin)
        to.silent[_sequence(to, branch, begin, flags)].append(end)
    return end


def _repeated(to: Nondeterministic, least: int, most: Any, inner: Any, at: int, flags: int) -> int:
    for _ in range(least):
        at = _sequence(to, inner, at, flags)
    if most is codes.MAXREPEAT:
        loop, begin = to.new(), to.new()
        to.silent[at].append(loop)
        to.silent[loop].append(begin)
        to.silent[_sequence(to, inner, begin, flags)].append(loop)
        return loop
    end = to.new()
    for _ in range(most - least):
        to.silent[at].append(end)
        begin = to.new()
        to.silent[at].append(begin)
        at = _sequence(to, inner, begin, flags)
    to.silent[at].append(end)
    return end


def _characters(to: Nondeterministic, code: Any, value: Any, at: int, flags: int) -> int:
    """Add the reading of one character of a set."""
    end = to.new()
    parts = tuple(value) if isinstance(value, list) else value
    for low, high in _points(to.pattern, code, parts, flags):
        for path in utf8_ranges(low, high):
            state = at
            for i, (least, most) in enumerate(path):
                target = end if i == len(path) - 1 else to.new()
                to.reads[state].append((least, most, target))
                state = target
    return end


@functools.lru_cache(256)
def _points(pattern: str, code: Any, value: Any, flags: int) -> list[tuple[int, int]]:
    """The code points of a set, as ranges; a repeated one is looked at once."""
    if code is codes.LITERAL and not flags & re.IGNORECASE:
        return [(value, value)]
    inside = np.zeros(_POINTS, bool)
    _fill(inside, pattern, code, value, flags)
    inside[0xD800:0xE000] = False  # halves of a pair are no text
    edges = np.flatnonzero(np.diff(np.concatenate([[False], inside, [False]]).astype(np.int8)))
    return [(int(a), int(b) - 1) for a, b in edges.reshape(-1, 2)]


def _fill(inside: np.ndarray, pattern: str, code: Any, value: Any, flags: int) -> None:
    """Mark the code points of a set."""
    if code is codes.ANY:
        inside[:] = True
        if not flags & re.DOTALL:
            inside[ord("\n")] = False
    elif code in (codes.LITERAL, codes.NOT_LITERAL):
        _fill_range(inside, value, value, flags)
        if code is codes.NOT_LITERAL:
            np.logical_not(inside, out=inside)
    elif code is codes.RANGE:
        _fill_range(inside, value[0], value[1], flags)
    elif code is codes.CATEGORY:
        for low, high in _matching(_CATEGORIES[value], flags & re.ASCII):
            inside[low : high + 1] = True
    elif code is codes.IN:
        negated = value[0][0] is codes.NEGATE
        for part, of in value[negated:]:
            _fill(inside, pattern, part, of, flags)
        if negated:
            np.logical_not(inside, out=inside)
    else:
        _refuse(pattern, f"has a part ({str(code).lower()}) that is not regular")


def _fill_range(inside: np.ndarray, low: int, high: int, flags: int) -> None:
    inside[low : high + 1] = True
    if flags & re.IGNORECASE:
        chosen = f"[{re.escape(chr(low))}-{re.escape(chr(high))}]"
        for first, last in _matching(chosen, flags & (re.ASCII | re.IGNORECASE)):
            inside[first : last + 1] = True


@functools.lru_cache(256)
def _matching(chosen: str, flags: int) -> tuple[tuple[int, int], ...]:
    """The ranges of code points that a set of Python's matches."""
    runs = re.finditer(f"{chosen}+", _every_character(), flags)
    return tuple((run.start(), run.end() - 1) for run in runs)


@functools.cache
def _every_character() -> str:
    return np.arange(_POINTS, dtype="<u4").tobytes().decode("utf-32-le", "surrogatepass")


def utf8_ranges(low: int, high: int) -> Iterator[list[tuple[int, int]]]:
    """The UTF-8 of the code points low to high, as sequences of ranges of bytes.

    Example:
        >>> list(utf8_ranges(0x41, 0x5A)), list(utf8_ranges(0x80, 0x7FF))
        ([[(65, 90)]], [[(194, 223), (128, 191)]])
    """
    begin = 0
    for last, length in _LENGTHS:
        if low <= last and high >= begin:
            yield from _of_length(max(low, begin), min(high, last), length)
        begin = last + 1


def _of_length(low: int, high: int, length: int) -> Iterator[list[tuple[int, int]]]:
    """The same of code points of so many bytes."""
    for i in range(1, length):
        block = (1 << (6 * i)) - 1  # code points that differ in their last i bytes alone
        if low & ~block == high & ~block:
            continue
        if low & block:
            yield from _of_length(low, low | block, length)
            yield from _of_length((low | block) + 1, high, length)
            return
        if high & block != block:
            yield from _of_length(low, (high & ~block) - 1, length)
            yield from _of_length(high & ~block, high, length)
            return
    yield list(zip(chr(low).encode("utf-8", "surrogatepass"),
                   chr(high).encode("utf-8", "surrogatepass"), strict=True))  # fmt: skip


def _refuse(pattern: str, why: str) -> None:
    raise ParameterError(
        f"pattern {_short(pattern)} {why}: it is not regular, and nothing of it may be dropped. "
        "Write it without, or as a Grammar or a Constraint of your own."
    )


def _short(pattern: str) -> str:
    return repr(pattern) if len(pattern) < 60 else repr(pattern[:57] + "...")
