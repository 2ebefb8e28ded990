"""What a categorical model's elements are: the space of its data under a choice of tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from arproc.contract.storable import storable
from arproc.data.intake import read
from arproc.data.mapped import extremes, is_mapped
from arproc.data.symbols import shorten
from arproc.data.text_files import text_bytes, text_of
from arproc.data.texts import is_file, listed, no_text, require_no_file
from arproc.data.tokenizer_kinds import Adapter, adapted, restored, words_of
from arproc.data.tokens import Tokens
from arproc.data.vocabulary import Vocabulary
from arproc.errors import DataError
from arproc.spaces import Categorical, Count, Space, check_values

__all__ = ["TokenizerVocabulary", "categorical_space"]


def categorical_space(data: Any, tokens: Any, *, end: bool | None = None) -> Categorical:
    """The space of `data`: its symbols and their vocabulary, and whether sequences end.

    Args:
        data: what `fit` got: text in any form, lists of symbols, or numbers 0, 1, 2 ...
        tokens: a `Tokens`, or one of its kinds alone.
        end: whether a sequence has an end, where the model says so itself; None leaves it to the
            tokens (and they, by default, take one text for a stream and several for sequences
            that end; the lines of a file are several).

    Raises:
        ParameterError: tokens is none of these.
        DataError: the data do not go with the tokens.
    """
    data = listed(data)
    require_no_file(data)
    known = getattr(data, "space", None)
    if isinstance(known, Space):  # `Sequences`, which are read already
        if not isinstance(known, Categorical):
            raise DataError(f"Expected symbols; the data are {known.describe()} elements.")
        return known
    given = Tokens.of(tokens)
    vocabulary = _vocabulary(data, given)
    end = given.end if end is None else end
    ends = not _is_single(data, vocabulary) if end is None else bool(end)
    if vocabulary is not None:
        size = len(vocabulary)
    elif is_mapped(data) and given.kind is None:
        low, high = extremes(data)
        if low < 0:
            raise DataError(f"data has numbers from {low} to {high}; expected symbols from 0 on.")
        size = high + 1
    elif isinstance(given.kind, int) and not isinstance(given.kind, bool):
        size = given.kind
    else:
        numbers = read(data, Count(), None, "data", ends)[0]
        check_values(numbers, Count(), "data")
        if not len(numbers):
            raise DataError("data is empty: it has no elements; expected some.")
        size = int(numbers.max()) + 1
    return Categorical(size + int(ends), vocabulary, size if ends else None)


def _vocabulary(data: Any, tokens: Tokens) -> Vocabulary | None:
    kind, textual = tokens.kind, _is_textual(data)
    if kind is None or (isinstance(kind, int) and not isinstance(kind, bool)):
        if not textual:
            return None
        if isinstance(data, str) or is_file(data) or kind is not None:
            raise DataError(
                f"The data are text, but tokens is {kind!r}, which goes with numbers or lists "
                'of symbols; use tokens="word", "char" or "byte".'
            )
        rows = [data] if isinstance(data[0], str) else data
        return Vocabulary.build(rows, "symbols", **tokens.limits)
    if is_mapped(data) and not isinstance(kind, str):  # the numbers of its tokens
        return kind if isinstance(kind, Vocabulary) else TokenizerVocabulary.of(kind)
    if not textual:
        told = no_text(data) or f"{type(data).__name__}; for numbers use tokens=None"
        raise DataError(f"tokens={_name(kind)} is for text, and the data are {told}.")
    if isinstance(kind, Vocabulary):
        return kind
    if not isinstance(kind, str):
        return TokenizerVocabulary.of(kind)
    texts = _file(data, kind) if is_file(data) else data
    return Vocabulary.build(texts, kind, special=tokens.special, **tokens.limits)


def _is_textual(data: Any) -> bool:
    if isinstance(data, str) or is_file(data):
        return True
    if not isinstance(data, (list, tuple)) or not data:
        return False
    return all(
        isinstance(item, str)
        or (isinstance(item, (list, tuple)) and all(isinstance(symbol, str) for symbol in item))
        for item in data
    ) and any(len(item) for item in data)


def _is_single(data: Any, vocabulary: Vocabulary | None) -> bool:
    """Whether the data are one sequence."""
    kind = None if vocabulary is None else vocabulary.kind
    if isinstance(data, str):
        return True
    if is_file(data):
        return kind != "word"
    if is_mapped(data):
        return data.ndim == 1
    if kind is not None:
        return kind == "symbols" and isinstance(data[0], str)
    if hasattr(data, "ndim"):
        return data.ndim < 2
    if not isinstance(data, (list, tuple)):
        return True  # whoever reads it says what is wrong
    return not any(isinstance(item, (list, tuple)) or getattr(item, "ndim", 0) for item in data)


def _file(source: Any, tokens: str) -> str | np.ndarray:
    if tokens == "byte":
        return ""
    return text_bytes(source) if tokens == "word" else text_of(source)


def _name(tokens: Any) -> str:
    return repr(tokens) if isinstance(tokens, str) else type(tokens).__name__


@storable
@dataclass(frozen=True, eq=False, repr=False)
class TokenizerVocabulary(Vocabulary):
    """A tokenizer of the user's, with `encode(str)` and `decode(ids)`, as a vocabulary.

    Args:
        tokenizer: the object, of tokenizers, transformers, sentencepiece or tiktoken as it is.
            Of any other the `encode` gives the ids or an object with `.ids`; its size is
            `get_vocab_size()`, `vocab_size`, `n_vocab` or `len()`, whichever it has.

    Raises:
        ParameterError: the object lacks one of these.
    """

    symbols: tuple[str, ...] = ()
    kind: str = "tokenizer"
    unknown: int | None = None
    tokenizer: Any = None

    def __post_init__(self) -> None:
        self._adapter  # noqa: B018  (what is no tokenizer is an error now, not later)

    @classmethod
    def of(cls, tokenizer: Any) -> TokenizerVocabulary:
        """The vocabulary of a tokenizer."""
        return cls(tokenizer=tokenizer)

    @cached_property
    def _adapter(self) -> Adapter:
        return adapted(self.tokenizer)

    def __len__(self) -> int:
        return self._adapter.size

    def __contains__(self, symbol: object) -> bool:
        return False

    def __repr__(self) -> str:
        return f"TokenizerVocabulary({type(self.tokenizer).__name__}, {len(self)} tokens)"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, TokenizerVocabulary):
            return NotImplemented
        mine, theirs = self._saved, other._saved
        return self.tokenizer is other.tokenizer or (mine is not None and _alike(mine, theirs))

    def __hash__(self) -> int:
        return hash((self.kind, len(self)))

    @cached_property
    def _saved(self) -> dict[str, Any] | None:
        return self._adapter.saved()

    def encode(self, text: str | bytes | Sequence[str]) -> np.ndarray:
        if not isinstance(text, str):
            raise DataError(f"Expected a string for the tokenizer; got {shorten(text)}.")
        numbers = np.asarray(self._adapter.encode(text), dtype=np.int64).reshape(-1)
        if numbers.size and not 0 <= numbers.min() <= numbers.max() < len(self):
            raise DataError(
                f"The tokenizer gave the number {numbers.max()}, but its size is {len(self)}."
            )
        return numbers

    def decode(self, numbers: Any) -> Any:
        return self._adapter.decode(np.asarray(numbers, dtype=np.int64).reshape(-1).tolist())

    def words_in(self, text: str, numbers: np.ndarray) -> tuple[list[str], np.ndarray]:
        """The words of a text, and to which of them each of its tokens belongs, int64 [T].

        By the tokens' offsets in the text, as the tokenizer itself tells them.

        Raises:
            DataError: that can not be told, or a token belongs to two words, or a word to none.
        """
        spans = self._adapter.spans(text, np.asarray(numbers).tolist())
        if spans is None or len(spans) != len(numbers):
            raise DataError("The tokenizer's pieces do not add up to the text")
        return words_of(text, spans)

    def to_dict(self) -> dict[str, Any]:
        if self._saved is None:
            raise DataError(
                f"The tokenizer {type(self.tokenizer).__name__} can not be saved: it is none of "
                "tokenizers (with to_str), transformers' fast ones, sentencepiece or tiktoken. "
                "Use one of these, or encode the text yourself and fit the numbers (tokens=None)."
            )
        return {"kind": self.kind, **self._saved}

    @staticmethod
    def from_dict(value: Any) -> TokenizerVocabulary:
        return TokenizerVocabulary(tokenizer=restored(value))


def _alike(a: dict[str, Any], b: dict[str, Any] | None) -> bool:
    """Whether two descriptions of tokenizers are the same."""
    if b is None or a.keys() != b.keys():
        return False
    return all(np.array_equal(a[key], b[key]) for key in a)
