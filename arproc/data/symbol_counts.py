"""How often each symbol appears in a text, and which of them make a vocabulary."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from arproc.data import word_table as words
from arproc.data.symbols import UNKNOWN, code_points, reserved, shorten, special_message, to_key
from arproc.errors import DataError

__all__ = ["count_symbols"]


def count_symbols(texts: Iterable[Any], kind: str, special: str) -> dict[str, int]:
    """How often each symbol appears, in the order of first appearance."""
    if kind == "char":
        return _count_chars(texts)
    if kind == "word":
        texts = list(texts)
        counted = _count_words(texts)
        if counted is not None:
            return _named(counted, special)
    counts: Counter[Any] = Counter()
    for text in texts:
        if isinstance(text, (str, bytes)) and kind == "symbols":
            raise DataError(f"Expected lists of symbols; got the text {shorten(text)}.")
        if isinstance(text, (str, bytes)):
            counts.update((to_key(text) if isinstance(text, str) else text).split())
        else:
            counts.update(map(to_key, text) if kind == "word" else text)
    return counts if kind == "symbols" else _named(counts, special)


def _count_words(texts: list[Any]) -> dict[bytes, int] | None:
    """How often each word appears in a large text, by compiled loops; None for a small one."""
    if len(texts) == 1 and isinstance(texts[0], words.WordTable):
        return _counted(texts[0])
    if len(texts) == 1 and isinstance(texts[0], np.ndarray):
        if len(texts[0]) < words.LARGE:
            return Counter(texts[0].tobytes().split())
        raw = texts[0]
    elif words.all_text(texts) and sum(map(len, texts)) >= words.LARGE:
        raw = words.joined(texts)
    elif len(texts) == 1 and isinstance(texts[0], bytes) and len(texts[0]) >= words.LARGE:
        raw = np.frombuffer(texts[0], np.uint8)
    else:
        return None
    return _counted(words.count_words(raw))


def _counted(table: words.WordTable) -> dict[bytes, int]:
    """How often each word of a table occurred."""
    found = table.words
    return dict(zip(found, table.count[: len(found)].tolist(), strict=True))


def _named(counts: Mapping[Any, int], special: str) -> dict[str, int]:
    """Words in UTF-8 as strings, with their counts; special ones are refused, or let through."""
    try:
        named = {word.decode("utf-8", "surrogatepass"): count for word, count in counts.items()}
    except UnicodeDecodeError as error:
        raise DataError(f"The word {error.object!r} is not UTF-8; re-encode the text.") from None
    for symbol in reserved(special):
        if symbol in named:
            raise DataError(special_message(symbol, None))
    if special == "unknown":
        named.pop(UNKNOWN, None)
    return named


def _count_chars(texts: Iterable[Any]) -> dict[str, int]:
    totals = np.zeros(0, dtype=np.int64)
    for text in texts:
        text = text.decode("utf-8") if isinstance(text, bytes) else text
        counts = np.bincount(code_points(text if isinstance(text, str) else "".join(text)))
        if len(counts) < len(totals):
            counts, totals = totals, counts
        counts[: len(totals)] += totals
        totals = counts
    return {chr(point): int(totals[point]) for point in np.flatnonzero(totals)}
