"""Sequences of several parts in one alphabet: a caption and its pixels, a text and another.

Each part has symbols of its own, so a symbol's number says which part it is of, and a part of
text that is not the last ends by a symbol of its own. Any model of symbols can so learn all parts
together, as one law with one likelihood (so are texts and images laid out by DALL-E, Ramesh et
al. 2021).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from arproc.contract.storable import storable
from arproc.data.arrays import to_tensor
from arproc.data.tokens import Tokens
from arproc.data.vocabulary import Vocabulary
from arproc.errors import DataError, ParameterError, check_integer, check_list

__all__ = ["Levels", "Part", "Parts", "Text"]


class Part(ABC):
    """What one part of a sequence is."""

    @property
    @abstractmethod
    def symbols(self) -> int:
        """How many symbols it has, without one that ends it."""

    @property
    @abstractmethod
    def sites(self) -> int | None:
        """How many symbols it always has; None where it ends by a symbol of its own."""

    @abstractmethod
    def encode(self, item: Any, whole: bool) -> np.ndarray:
        """The numbers of an item, int64 [T]; one that is not whole holds the first symbols."""

    @abstractmethod
    def decode(self, numbers: np.ndarray) -> Any:
        """The item of these numbers; of an item of fixed size perhaps the first alone, flat."""


@storable
@dataclass(frozen=True)
class Text(Part):
    """A text, cut into the symbols of a vocabulary.

    Args:
        vocabulary: the symbols; `Text.of(texts)` makes one.
    """

    vocabulary: Vocabulary

    @classmethod
    def of(cls, texts: Sequence[str], tokens: str = "char") -> Text:
        """The part that has the symbols of some texts: "char", "word" or "byte"."""
        return cls(Vocabulary.build(texts, tokens))

    @property
    def symbols(self) -> int:
        return len(self.vocabulary)

    @property
    def sites(self) -> None:
        return None

    def encode(self, item: Any, whole: bool) -> np.ndarray:
        return self.vocabulary.encode(item)

    def decode(self, numbers: np.ndarray) -> Any:
        return self.vocabulary.decode(numbers)


@storable
@dataclass(frozen=True)
class Levels(Part):
    """An array of one shape of levels 0 ... levels-1, in raster order; `()` is a single label.

    Args:
        shape: of the array, (8, 8) of an image.
        levels: how many levels there are.
    """

    shape: tuple[int, ...]
    levels: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", tuple(check_list("shape", self.shape)))
        for side in self.shape:
            check_integer("a side of shape", side, minimum=1)
        check_integer("levels", self.levels, minimum=1)

    @property
    def symbols(self) -> int:
        return self.levels

    @property
    def sites(self) -> int:
        return math.prod(self.shape)

    def encode(self, item: Any, whole: bool) -> np.ndarray:
        x = to_tensor(item, "the levels").cpu().numpy()
        x = x.reshape(()) if np.ndim(item) == 0 else x
        if x.shape != self.shape and (whole or x.ndim != 1 or len(x) > self.sites):
            raise DataError(
                f"The levels have shape {x.shape}; expected {self.shape}"
                + ("." if whole else f", or the first of them, [T] of at most {self.sites}.")
            )
        wrong = (x != np.floor(x)) | (x < 0) | (x >= self.levels)
        if wrong.any():
            raise DataError(
                f"The levels have {x[wrong].ravel()[0]:g}; expected whole numbers from 0 to "
                f"{self.levels - 1}."
            )
        return x.reshape(-1).astype(np.int64)

    def decode(self, numbers: np.ndarray) -> np.ndarray | int:
        if len(numbers) != self.sites:
            return numbers
        return numbers.reshape(self.shape) if self.shape else int(numbers[0])


@storable
@dataclass(frozen=True)
class Parts:
    """Several parts, one after another, in one alphabet.

    Args:
        parts: what they are, by name, in their order.

    Example:
        >>> parts = Parts({"caption": Text.of(["one", "two"]), "image": Levels((2, 2), 3)})
        >>> row = parts.encode([("two", [[0, 1], [2, 0]])])[0]
        >>> row.tolist()
        [3, 4, 2, 5, 6, 7, 8, 6]
        >>> parts.decode([row[:5]])
        [('two', array([0]))]
    """

    parts: Mapping[str, Part]

    def __post_init__(self) -> None:
        if not isinstance(self.parts, Mapping) or not self.parts:
            raise ParameterError(f"parts must be a dict of parts by name; got {self.parts!r}.")
        for name, part in self.parts.items():
            if not isinstance(part, Part):
                raise ParameterError(f"the part {name!r} must be a Text or Levels; got {part!r}.")

    # ---- the alphabet -------------------------------------------------------------------------

    @property
    def names(self) -> list[str]:
        """The parts' names, in their order."""
        return list(self.parts)

    @cached_property
    def offsets(self) -> list[int]:
        """The number of each part's first symbol, and after the last part how many there are."""
        found, last = [0], len(self.parts) - 1
        for i, part in enumerate(self.parts.values()):
            found.append(found[-1] + part.symbols + (part.sites is None and i < last))
        return found

    @property
    def size(self) -> int:
        """How many symbols there are, without the end of sequences."""
        return self.offsets[-1]

    @property
    def tokens(self) -> Tokens:
        """What models of symbols take as `tokens`: so many numbers, and sequences that end."""
        return Tokens(self.size, end=True)

    # ---- items to numbers and back ------------------------------------------------------------

    def encode(self, items: Any) -> list[np.ndarray]:
        """The numbers of some items, int64 [T] each.

        Args:
            items: tuples of the parts, in their order.

        Raises:
            DataError: an item lacks a part, or a part is not what it should be; the message says
                which.
        """
        return [self._encoded(item, i, whole=True) for i, item in enumerate(_tuples(items))]

    def prefix(self, *known: Any) -> np.ndarray:
        """The numbers of the first parts of an item, int64 [T].

        Args:
            known: the first parts. The last of them is as far as it is known, empty (or None)
                where nothing of it is; those before are whole. So `prefix("three", None)` is a
                whole caption, and `prefix("thr")` the beginning of one.
        """
        return self._encoded(known, None, whole=False)

    def _encoded(self, item: Sequence[Any], row: int | None, whole: bool) -> np.ndarray:
        where = "known" if row is None else f"items[{row}]"
        count = len(self.parts)
        if (whole and len(item) != count) or len(item) > count:
            raise DataError(
                f"{where} has {len(item)} parts; expected {count}, {', '.join(self.names)}."
            )
        found: list[np.ndarray] = []
        for i, (name, given) in enumerate(zip(self.names, item, strict=False)):
            part, given_all = self.parts[name], whole or i + 1 < len(item)
            try:
                none = given is None and not given_all
                numbers = np.empty(0, np.int64) if none else part.encode(given, given_all)
            except DataError as error:
                raise DataError(f"{where}, {name}: {error}") from None
            found.append(numbers + self.offsets[i])
            if part.sites is None and given_all and i + 1 < count:
                found.append(np.array([self.offsets[i] + part.symbols]))
        return np.concatenate([np.empty(0, np.int64), *found])

    def decode(self, rows: Any, prefix: Any = ()) -> list[tuple[Any, ...]]:
        """The items of some rows of numbers, such as draws: tuples of the parts that have begun.

        Of a row that was cut the last part is as far as it goes.

        Args:
            rows: numbers [T] each.
            prefix: those before each row, where these are draws after a prefix.

        Raises:
            DataError: a row is not of these parts in their order.
        """
        before = np.asarray(prefix, dtype=np.int64)
        whole = [np.concatenate([before, np.asarray(row, dtype=np.int64)]) for row in rows]
        return [self._decoded(row, i) for i, row in enumerate(whole)]

    def _decoded(self, row: np.ndarray, number: int) -> tuple[Any, ...]:
        item: list[Any] = []
        for i, part in enumerate(self.parts.values()):
            symbol = row - self.offsets[i]
            own = (symbol >= 0) & (symbol < part.symbols)
            length = len(row) if own.all() else int(np.argmin(own))
            length = length if part.sites is None else min(length, part.sites)
            item.append(part.decode(symbol[:length]))
            closed = part.sites is None and i + 1 < len(self.parts) and length < len(row)
            ended = closed and symbol[length] == part.symbols
            row = row[length + ended :]
            if not ended and (part.sites is None or length < part.sites):
                break
        if len(row):
            raise DataError(
                f"rows[{number}] has the symbol {row[0]} where none of "
                f"{self.names[len(item) - 1]!r} may stand; expected what encode gives."
            )
        return tuple(item)

    # ---- which symbols may come ---------------------------------------------------------------

    @cached_property
    def states(self) -> tuple[np.ndarray, np.ndarray]:
        """Where a sequence can be: what may come next there, and where each symbol leads.

        State 0 is the beginning; the last state is that of sequences that are none of these parts,
        after which anything may come: they have no probability as it is.

        Returns:
            bool [states, size + 1] and int64 [states, size + 1]; the last symbol is the end.
        """
        counts = [part.sites if part.sites is not None else 1 for part in self.parts.values()]
        firsts = np.concatenate([[0], np.cumsum(counts)]).tolist()
        dead, last, end = firsts[-1] + 1, len(counts) - 1, self.size
        allowed = np.zeros((dead + 1, end + 1), dtype=bool)
        leads = np.full((dead + 1, end + 1), dead)
        for i, part in enumerate(self.parts.values()):
            own = slice(self.offsets[i], self.offsets[i] + part.symbols)
            for state in range(firsts[i], firsts[i + 1]):
                allowed[state, own] = True
                leads[state, own] = state if part.sites is None else state + 1
            if part.sites is None:
                closing = self.offsets[i] + part.symbols if i < last else end
                allowed[firsts[i], closing] = True
                leads[firsts[i], closing] = firsts[i + 1]
        whole = firsts[-1]
        allowed[whole, end] = allowed[dead] = True
        leads[whole, end] = whole
        return allowed, leads


def _tuples(items: Any) -> list[Sequence[Any]]:
    listed = check_list("items", items)
    for i, item in enumerate(listed):
        if not isinstance(item, (tuple, list)):
            raise DataError(
                f"items[{i}] is a {type(item).__name__}; expected a tuple of its parts."
            )
    return listed
