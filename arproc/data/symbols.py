"""The symbols of texts: how they are spelt, which are special, how they go into files and back."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

import numpy as np

from arproc.errors import ParameterError

__all__ = [
    "BYTES", "NOUNS", "SPECIAL", "UNKNOWN", "check_symbols", "code_points", "escape",
    "is_spelling", "reserved", "shorten", "special_message", "to_key", "unescape", "unspelt",
]  # fmt: skip

UNKNOWN = "<unk>"
SPECIAL = (UNKNOWN, "<s>", "</s>")
BYTES = tuple(map(chr, range(256)))
#: What one symbol of each kind of vocabulary is called.
NOUNS = {"word": "word", "char": "character", "byte": "byte", "symbols": "symbol"}
_LIKE_SPECIAL = re.compile(r"\\*(?:" + "|".join(SPECIAL) + ")")


def check_symbols(symbols: tuple[str, ...], kind: str, unknown: int | None) -> None:
    """Raise `ParameterError` unless a vocabulary of this kind can have these symbols."""
    for number, symbol in enumerate(symbols):
        if not isinstance(symbol, str):
            raise ParameterError(
                f"Symbols are strings; got {symbol!r} ({type(symbol).__name__}), number {number}."
            )
        if number == unknown:
            continue
        if kind == "char" and len(symbol) != 1:
            raise ParameterError(f"Expected single characters; got {symbol!r} as number {number}.")
        if kind == "word" and symbol in SPECIAL:
            raise ParameterError(
                f"{symbol!r} is a special symbol and can be no ordinary word (number {number})."
            )
    if kind == "word":
        _check_words(symbols)


def _check_words(symbols: tuple[str, ...]) -> None:
    if len(to_key(" ".join(symbols)).split()) == len(symbols):
        return
    bad = next(symbol for symbol in symbols if len(to_key(symbol).split()) != 1)
    raise ParameterError(f"A word holds no white space and is not empty; got {bad!r}.")


def to_key(symbol: str) -> bytes:
    """A symbol in UTF-8, as words are looked up."""
    return symbol.encode("utf-8", "surrogatepass")


def code_points(text: str) -> np.ndarray:
    """The code points of a text, uint32 [T]."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")


def escape(word: str) -> str:
    """A word of a text as a symbol: one more backslash before special ones, escaped or not."""
    return "\\" + word if _LIKE_SPECIAL.fullmatch(word) else word


def unescape(symbol: str) -> str:
    """The word that `escape` made a symbol of."""
    return symbol[1:] if symbol[0] == "\\" and _LIKE_SPECIAL.fullmatch(symbol) else symbol


def is_spelling(text: Any, ends: Any) -> bool:
    """Whether these are symbols one after the other, and where they end."""
    return (
        isinstance(text, np.ndarray)
        and isinstance(ends, np.ndarray)
        and (text.dtype, ends.dtype, text.ndim, ends.ndim) == (np.uint8, np.int64, 1, 1)
        and len(ends) > 0
        and int(ends[-1]) == len(text)
    )


def unspelt(text: np.ndarray, ends: np.ndarray) -> tuple[str, ...]:
    """The symbols of `Vocabulary._spelt`."""
    if ends[0] < 0 or (np.diff(ends) < 0).any():
        raise ParameterError("its symbols do not follow each other")
    raw, edges = text.tobytes(), [0, *ends.tolist()]
    try:
        return tuple(raw[a:b].decode("utf-8", "surrogatepass") for a, b in pairwise(edges))
    except UnicodeDecodeError as error:
        raise ParameterError(f"a symbol is not UTF-8 ({error})") from None


def reserved(special: str) -> tuple[str, ...]:
    """The special symbols that may not stand in a text as words."""
    return {"error": SPECIAL, "unknown": SPECIAL[1:]}.get(special, ())


def special_message(symbol: str, position: int | None) -> str:
    """Why a special symbol may not stand in a text, and what to do about it."""
    where = "" if position is None else f" at position {position}"
    return (
        f"The special symbol {symbol!r} stands in the text as a word{where}. It is reserved "
        f"({', '.join(SPECIAL)}): begin and end are added to each sequence by themselves, and "
        "unknown words are found by looking them up. Remove it, replace it by another word, or "
        'take it for a word like others with special="escape"'
        + (' (or for an unknown word with special="unknown").' if symbol == UNKNOWN else ".")
    )


def shorten(value: Any) -> str:
    """The value's repr, cut where it is long, for error messages."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
