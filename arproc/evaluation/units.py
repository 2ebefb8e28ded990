r"""Exact probabilities of units of text (words, say) under a model of smaller pieces.

A unit has been read once it is closed: once what comes next can not belong to it. So with
:math:`t_{\le j}` the pieces up to the end of the k-th unit and :math:`B_k` those that close it,
the end of the text among them,

.. math:: P(E_k) = p(t_{\le j}) \sum_{s \in B_k} p(s | t_{\le j}),\qquad
          p(u_k | u_{<k}) = P(E_k) / P(E_{k-1}),

with :math:`P(E_0) = 1` (Pimentel and Meister 2024, arXiv 2406.14561; the blank that begins a word
closes the one before). Over all units that can come next, the end of the text among them, these
add up to one, as far as the model spells each text in one way; and the surprisals of a text's
units and of its end add up to its own.
"""

from __future__ import annotations

import re
import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from arproc.errors import DataError, ParameterError, UnsupportedError, check_integer, check_list

__all__ = ["Characters", "Pattern", "Segmenter", "Spans", "Words", "segmenter_of"]

Cuts = list[int]


class Segmenter(ABC):
    """How texts are cut into units, and what closes one."""

    name: str

    @abstractmethod
    def cuts(self, text: str, row: int) -> Cuts:
        """Where in the text units end, ascending; the rest is no unit."""

    @abstractmethod
    def kind(self, text: str, begin: int, end: int) -> Any:
        """What decides how the unit `text[begin:end]` is closed; None where nothing has to."""

    @abstractmethod
    def closes(self, kind: Any, first: str) -> bool:
        """Whether a next piece that begins with this character closes such a unit."""


class Words(Segmenter):
    """Words, and runs of punctuation marks, each with the white space before it.

    A word is a run of letters, digits and accents; an apostrophe (') belongs to what it touches.
    """

    name = "word"

    def cuts(self, text: str, row: int) -> Cuts:
        inner = [i for i in range(1, len(text)) if _apart(text[i - 1], text[i])]
        return [*inner, len(text)] if text else []

    def kind(self, text: str, begin: int, end: int) -> Any:
        return _class_of(text[end - 1])

    def closes(self, kind: str, first: str) -> bool:
        return _pair(kind, _class_of(first))


class Characters(Segmenter):
    """Single characters."""

    name = "character"

    def cuts(self, text: str, row: int) -> Cuts:
        return list(range(1, len(text) + 1))

    def kind(self, text: str, begin: int, end: int) -> str:
        return ""

    def closes(self, kind: str, first: str) -> bool:
        return True


class Pattern(Segmenter):
    """Matches of a regular expression, one after the other.

    A unit is closed by a character with which it would end where it does: one more character has
    to decide.
    """

    def __init__(self, pattern: re.Pattern[str]) -> None:
        self.pattern, self.name = pattern, pattern.pattern

    def cuts(self, text: str, row: int) -> Cuts:
        found, at = [], 0
        while at < len(text):
            match = self.pattern.match(text, at)
            if match is None or match.end() == at:
                raise DataError(
                    f"units={self.name!r} matches nothing at character {at} of text {row}, "
                    f"{text[at : at + 10]!r}; expected a pattern that covers the texts."
                )
            begin, at = at, match.end()
            if at < len(text) and not self.closes(text[begin:at], text[at]):
                raise UnsupportedError(
                    f"units={self.name!r} needs more than one character after "
                    f"{text[begin:at]!r} to end it (in text {row}), so what closes a unit can not "
                    "be told; expected a pattern that looks one character ahead at most."
                )
            found.append(at)
        return found

    def kind(self, text: str, begin: int, end: int) -> str:
        return text[begin:end]

    def closes(self, kind: str, first: str) -> bool:
        match = self.pattern.match(kind + first)
        return match is not None and match.end() == len(kind)


class Spans(Words):
    """Spans of characters that the user gives, with the white space before each.

    One that ends where a word does is closed as a word is; one that ends within a word is not.
    """

    name = "spans"

    def __init__(self, spans: Sequence[Any], texts: Sequence[str]) -> None:
        if len(spans) != len(texts):
            raise DataError(f"units has spans for {len(spans)} texts; the data are {len(texts)}.")
        self.ends = [_ends(own, text, row) for row, (own, text) in
                     enumerate(zip(spans, texts, strict=True))]  # fmt: skip

    def cuts(self, text: str, row: int) -> Cuts:
        return self.ends[row]

    def kind(self, text: str, begin: int, end: int) -> Any:
        inside = end < len(text) and not _apart(text[end - 1], text[end])
        return None if inside else super().kind(text, begin, end)


def segmenter_of(units: Any, texts: Sequence[str]) -> Segmenter:
    """What the user gave as `units`.

    Raises:
        ParameterError: it is no kind of units.
        DataError: spans do not lie in the texts.
    """
    named: dict[str, type[Segmenter]] = {"word": Words, "character": Characters}
    if isinstance(units, str) and units in named:
        return named[units]()
    if isinstance(units, re.Pattern) and isinstance(units.pattern, str):
        return Pattern(units)
    if isinstance(units, (list, tuple)):
        return Spans(units, texts)
    if isinstance(units, str) and not units.isalpha():
        try:
            return Pattern(re.compile(units))
        except re.error as error:
            raise ParameterError(f"units={units!r} is no regular expression ({error}).") from None
    raise ParameterError(
        'units must be "word", "character", a regular expression, or a list of spans '
        f"(begin, end) for each text; got {units!r}."
    )


def _ends(spans: Any, text: str, row: int) -> Cuts:
    """Where the spans of one text end."""
    found, before = [], 0
    for span in check_list(f"units[{row}]", spans):
        pair = check_list(f"units[{row}]", span)
        if len(pair) != 2:
            raise ParameterError(f"units[{row}] must hold pairs (begin, end); got {span!r}.")
        begin, end = (check_integer(f"units[{row}]", value, minimum=0) for value in pair)
        between = text[before:begin]
        if not before <= begin < end <= len(text) or (between and not between.isspace()):
            raise DataError(
                f"units[{row}] has the span ({begin}, {end}) after character {before} of "
                f"{len(text)}; expected spans that follow each other, with nothing but white "
                "space between them."
            )
        found.append(end)
        before = end
    return found


def _class_of(character: str) -> str:
    if character.isspace():
        return "space"
    if character == "'":
        return "apostrophe"
    return "letter" if unicodedata.category(character)[0] in "LMN" else "mark"


def _pair(before: str, after: str) -> bool:
    """Whether a unit ends between characters of these classes."""
    if after == "space":
        return before != "space"
    return {before, after} == {"letter", "mark"}


def _apart(before: str, after: str) -> bool:
    return _pair(_class_of(before), _class_of(after))


def spans_of(cuts: Cuts) -> list[tuple[int, int]]:
    """Units as (begin, end), white space before one with it."""
    return list(pairwise([0, *cuts]))
