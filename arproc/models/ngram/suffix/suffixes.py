"""The suffix array of a corpus, and what is counted with it."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from arproc.contract.storable import storable
from arproc.errors import DataError, FileFormatError

__all__ = ["Suffixes", "suffix_array"]


def suffix_array(text: np.ndarray) -> np.ndarray:
    """The positions of a text in the order of the suffixes that begin there.

    SA-IS (Nong, Zhang and Chan 2009): linear in the length, whatever the alphabet. A suffix that
    another one begins with comes first.

    Args:
        text: symbols 0, 1, 2 ..., integers [n].

    Returns:
        int32 [n].

    Example:
        >>> suffix_array(np.frombuffer(b"banana", np.uint8)).tolist()
        [5, 3, 1, 0, 4, 2]
    """
    if len(text) >= 2**31 - 1:
        raise DataError(f"The text has {len(text):,} symbols; a suffix array holds 2,147,483,646.")
    closed = np.zeros(len(text) + 1, np.int32)
    closed[:-1] = text
    closed[:-1] += 1
    return _sorted(closed)[1:]


def _sorted(text: np.ndarray) -> np.ndarray:
    """The suffix array of a text whose last symbol is 0, and the only 0."""
    from arproc.compiled.interpreted import suited
    from arproc.models.ngram.suffix import suffix_kernels

    if len(text) == 1:
        return np.zeros(1, np.int32)
    kernels = suited(suffix_kernels, 20 * len(text))
    bounds = np.concatenate([[0], np.cumsum(np.bincount(text))])
    small = kernels.types(text)
    lms = kernels.leftmost(small)
    order = kernels.induce(text, small, bounds, lms)
    names, count = kernels.name(text, small, order, lms)
    if count == len(lms):
        ranked = np.empty(count, np.int32)
        ranked[names] = lms
    else:
        ranked = lms[_sorted(names)]
    return kernels.induce(text, small, bounds, ranked)


@storable
class Suffixes:
    """A text of sequences between marks, and the tables that answer what followed what in it.

    Only the text goes into a file; the tables are made again from it, so that compiled code never
    trusts what a file says of them.

    Args:
        text: int32 [n]; each sequence stands between two marks, the number `symbols`.
        symbols: how many symbols there are.

    Raises:
        DataError: the text does not begin and end with a mark, or holds other numbers.
    """

    def __init__(self, text: np.ndarray, symbols: int) -> None:
        fine = text.ndim == 1 and len(text) > 1 and text.dtype == np.int32
        if not fine or text[0] != symbols or text[-1] != symbols:
            raise DataError("Expected a text that begins and ends with the mark.")
        if text.min() < 0 or text.max() > symbols:
            raise DataError(f"Expected symbols 0 to {symbols}; got {text.min()} to {text.max()}.")
        self.text = text
        self.symbols = symbols

    @staticmethod
    def of(values: np.ndarray, steps: np.ndarray, symbols: int) -> Suffixes:
        """Sequences of lengths `steps` [N] that lie in `values` one after the other."""
        size = int(steps.sum()) + len(steps) + 1
        text = np.full(size, symbols, np.int32)
        place = np.arange(len(values)) + 1 + np.repeat(np.arange(len(steps)), steps)
        text[place] = values
        return Suffixes(text, symbols)

    @cached_property
    def arrays(self) -> tuple[np.ndarray, ...]:
        """What the kernels take.

        The text; its suffix array; common prefixes; preceding symbols and followers of each
        interval (see `suffix_kernels.followers`); and where the suffixes of each first symbol
        begin, int64 [symbols + 2].
        """
        from arproc.compiled.interpreted import suited
        from arproc.models.ngram.suffix import suffix_kernels

        kernels = suited(suffix_kernels, 20 * len(self.text))
        order = suffix_array(self.text)
        common = kernels.common_prefixes(self.text, order)
        before, after = kernels.followers(self.text, order, common, self.symbols)
        counts = np.bincount(self.text, minlength=self.symbols + 1)
        return self.text, order, common, before, after, np.concatenate([[0], np.cumsum(counts)])

    def __len__(self) -> int:
        return len(self.text)

    def to_dict(self) -> dict[str, Any]:
        """The text; `from_dict` is the inverse."""
        return {"text": self.text, "symbols": self.symbols}

    @staticmethod
    def from_dict(value: dict[str, Any]) -> Suffixes:
        """What `to_dict` described, checked.

        Raises:
            FileFormatError: it is no text of sequences.
        """
        try:
            return Suffixes(value["text"], value["symbols"])
        except (DataError, AttributeError, TypeError) as error:
            raise FileFormatError(f"The file's text is damaged: {error}") from None
