"""Tokenizers of several libraries, each called as its own documentation has it.

`adapted` finds by an object's methods which library it is of; none is imported before a file that
holds one of its tokenizers is loaded. Special tokens are never added, and text is never cut short:
what is modelled is the text, and a model's own begin and end are not the tokenizer's.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from importlib import import_module
from itertools import pairwise
from typing import Any, Protocol

import numpy as np

from arproc.errors import DataError, FileFormatError, MissingDependencyError, ParameterError

__all__ = ["Adapter", "adapted", "is_tokenizer", "restored", "words_of"]

#: Where each token lies in its text, in characters: the first, and one beyond the last.
Spans = list[tuple[int, int]]


class Adapter(Protocol):
    """What is asked of a tokenizer.

    Attributes:
        size: how many tokens there are.
    """

    @property
    def size(self) -> int: ...

    def encode(self, text: str) -> Sequence[int]:
        """The numbers of a text's tokens."""

    def decode(self, numbers: list[int]) -> str:
        """The text of some tokens."""

    def spans(self, text: str, numbers: list[int]) -> Spans | None:
        """Where the tokens of `encode(text)` lie in the text; None where that can not be told."""

    def saved(self) -> dict[str, Any] | None:
        """The tokenizer as plain values, which `restored` takes; None where there is no way."""


def is_tokenizer(value: Any) -> bool:
    """Whether this is an object with `encode` and `decode`, and no text or class."""
    if isinstance(value, (str, bytes, type)):
        return False
    return all(callable(getattr(value, name, None)) for name in ("encode", "decode"))


def adapted(tokenizer: Any) -> Adapter:
    """The tokenizer behind what all of them are asked.

    Raises:
        ParameterError: it is no tokenizer, or its size can not be told.
    """
    for method in ("encode", "decode"):
        if not callable(getattr(tokenizer, method, None)):
            raise ParameterError(
                f"tokens is no tokenizer, which has the methods encode and decode; "
                f"{type(tokenizer).__name__} has no {method}."
            )
    inner = getattr(tokenizer, "backend_tokenizer", None)
    if inner is not None and hasattr(inner, "to_str"):  # transformers' fast ones hold one of these
        tokenizer = inner
    if hasattr(tokenizer, "encode_ordinary") and hasattr(tokenizer, "decode_single_token_bytes"):
        return _Tiktoken(tokenizer)
    if hasattr(tokenizer, "serialized_model_proto"):
        return _SentencePiece(tokenizer)
    if hasattr(tokenizer, "to_str"):
        return _HuggingFace(tokenizer)
    return _Plain(tokenizer)


def restored(value: dict[str, Any]) -> Any:
    """The tokenizer that `saved` described.

    Raises:
        FileFormatError: it is no such description.
        MissingDependencyError: its library is not here.
    """
    library = value.get("library", "tokenizers")
    made = _RESTORED.get(library) if isinstance(library, str) else None
    if made is None:
        raise FileFormatError(f"The file holds a tokenizer of {library!r}, which is not known.")
    try:
        module = import_module(library)
    except ImportError:
        raise MissingDependencyError(
            f"The file holds a tokenizer of the package {library}; bring it with "
            f"pip install {'arproc[text]' if library == 'tokenizers' else library}."
        ) from None
    try:
        return made(module, value)
    except Exception as error:  # whatever the library raises
        raise FileFormatError(f"The file's tokenizer can not be made again: {error}") from None


# ---- the libraries ------------------------------------------------------------------------------


class _Plain:
    """Any object with `encode` and `decode`: transformers' slow tokenizers, and the user's own."""

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        self.size = _size(tokenizer)
        self._encoding = _taken(tokenizer.encode, add_special_tokens=False)
        self._decoding = _taken(
            tokenizer.decode, skip_special_tokens=False, clean_up_tokenization_spaces=False
        )

    def encode(self, text: str) -> Sequence[int]:
        found = self.tokenizer.encode(text, **self._encoding)
        return getattr(found, "ids", found)

    def decode(self, numbers: list[int]) -> str:
        return self.tokenizer.decode(numbers, **self._decoding)

    def spans(self, text: str, numbers: list[int]) -> Spans | None:
        """By what the first tokens give, which must be the beginning of the text."""
        if self.decode(numbers) != text:
            return None
        ends = [0]
        for i in range(1, len(numbers) + 1):
            ends.append(max(ends[-1], _shared(self.decode(numbers[:i]), text)))
        return list(pairwise(ends))

    def saved(self) -> dict[str, Any] | None:
        return None


class _HuggingFace(_Plain):
    """A `Tokenizer` of the package tokenizers."""

    def __init__(self, tokenizer: Any) -> None:
        if getattr(tokenizer, "truncation", None) or getattr(tokenizer, "padding", None):
            tokenizer = type(tokenizer).from_str(tokenizer.to_str())
            tokenizer.no_truncation()
            tokenizer.no_padding()
        super().__init__(tokenizer)

    def spans(self, text: str, numbers: list[int]) -> Spans | None:
        offsets = getattr(self.tokenizer.encode(text, **self._encoding), "offsets", None)
        if offsets is None:
            return super().spans(text, numbers)
        return [(int(begin), int(end)) for begin, end in offsets]

    def saved(self) -> dict[str, Any] | None:
        return {"tokenizer": self.tokenizer.to_str()}


class _SentencePiece:
    """A `SentencePieceProcessor` of the package sentencepiece."""

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        self.size = int(tokenizer.get_piece_size())
        self._encoding = _taken(
            tokenizer.encode, add_bos=False, add_eos=False, reverse=False, enable_sampling=False
        )

    def encode(self, text: str) -> Sequence[int]:
        return self.tokenizer.encode(text, out_type=int, **self._encoding)

    def decode(self, numbers: list[int]) -> str:
        return self.tokenizer.decode(numbers)

    def spans(self, text: str, numbers: list[int]) -> Spans | None:
        if hasattr(self.tokenizer, "encode_as_offset_mapping"):  # from version 0.2.2 on
            found = self.tokenizer.encode(text, return_type="offset_mapping", **self._encoding)
            return [(int(begin), int(end)) for begin, end in found["offsets"]]
        found = self.tokenizer.encode(text, out_type="immutable_proto")
        return [(int(piece.begin), int(piece.end)) for piece in found.pieces]

    def saved(self) -> dict[str, Any] | None:
        raw = self.tokenizer.serialized_model_proto()
        return {"library": "sentencepiece", "model": np.frombuffer(raw, np.uint8)}


class _Tiktoken:
    """An `Encoding` of the package tiktoken."""

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        self.size = int(tokenizer.n_vocab)

    def encode(self, text: str) -> Sequence[int]:
        return self.tokenizer.encode_ordinary(text)

    def decode(self, numbers: list[int]) -> str:
        return self.tokenizer.decode(numbers)

    def spans(self, text: str, numbers: list[int]) -> Spans | None:
        """By the bytes of each; a token that is part of a character has all of it."""
        widths = [len(self.tokenizer.decode_single_token_bytes(number)) for number in numbers]
        ends = np.concatenate([[0], np.cumsum(widths)]).astype(np.int64)
        letters = [len(letter.encode("utf-8", "surrogatepass")) for letter in text]
        begins = np.concatenate([[0], np.cumsum(letters)]).astype(np.int64)
        if ends[-1] != begins[-1]:
            return None
        first = np.searchsorted(begins, ends[:-1], side="right") - 1
        last = np.searchsorted(begins, ends[1:], side="left")
        return list(zip(first.tolist(), last.tolist(), strict=True))

    def saved(self) -> dict[str, Any] | None:
        parts: list[Any] = [
            getattr(self.tokenizer, name, None)
            for name in ("name", "_pat_str", "_mergeable_ranks", "_special_tokens")
        ]
        if any(part is None for part in parts):
            return None
        name, pattern, ranks, special = parts
        tokens = sorted(ranks, key=ranks.__getitem__)
        return {
            "library": "tiktoken",
            "name": name,
            "pattern": pattern,
            "bytes": np.frombuffer(b"".join(tokens), np.uint8),
            "ends": np.cumsum([len(token) for token in tokens]).astype(np.int64),
            "ranks": np.array([ranks[token] for token in tokens], np.int64),
            "special": dict(special),
        }


def _hugging_face(module: Any, value: dict[str, Any]) -> Any:
    if not isinstance(value.get("tokenizer"), str):
        raise FileFormatError("it holds no text.")
    return module.Tokenizer.from_str(value["tokenizer"])


def _sentencepiece(module: Any, value: dict[str, Any]) -> Any:
    return module.SentencePieceProcessor(model_proto=value["model"].tobytes())


def _tiktoken(module: Any, value: dict[str, Any]) -> Any:
    raw, ends = value["bytes"].tobytes(), [0, *value["ends"].tolist()]
    tokens = [raw[a:b] for a, b in pairwise(ends)]
    if not isinstance(value["name"], str) or not isinstance(value["pattern"], str):
        raise FileFormatError("its name and pattern are strings.")
    return module.Encoding(
        value["name"],
        pat_str=value["pattern"],
        mergeable_ranks=dict(zip(tokens, value["ranks"].tolist(), strict=True)),
        special_tokens=dict(value["special"]),
    )


_RESTORED = {
    "tokenizers": _hugging_face, "sentencepiece": _sentencepiece, "tiktoken": _tiktoken,
}  # fmt: skip


# ---- parts --------------------------------------------------------------------------------------


def _size(tokenizer: Any) -> int:
    """How many tokens there are, those that were added to a trained vocabulary included."""
    get_size = getattr(tokenizer, "get_vocab_size", None)
    size = get_size() if callable(get_size) else None
    if size is None and hasattr(tokenizer, "added_tokens_encoder"):  # whose vocab_size lacks them
        size = len(tokenizer)
    for name in ("vocab_size", "n_vocab"):
        found = getattr(tokenizer, name, None) if size is None else size
        size = found() if callable(found) else found
    if size is None and hasattr(tokenizer, "__len__"):
        size = len(tokenizer)
    if size is None:
        raise ParameterError(
            f"The size of the tokenizer {type(tokenizer).__name__} can not be told: it has none "
            "of get_vocab_size(), vocab_size, n_vocab, len()."
        )
    return int(size)


def _taken(call: Any, **options: Any) -> dict[str, Any]:
    """Those of the options that a method says it takes; all where it is of a known library."""
    try:
        parameters = inspect.signature(call).parameters
    except (TypeError, ValueError):  # compiled code that does not say
        owner = type(getattr(call, "__self__", None)).__module__.partition(".")[0]
        return options if owner in _RESTORED else {}
    if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        return options
    return {name: value for name, value in options.items() if name in parameters}


def _shared(a: str, b: str) -> int:
    """How many characters two texts begin with alike."""
    n = min(len(a), len(b))
    return next((i for i in range(n) if a[i] != b[i]), n)


def words_of(text: str, spans: Spans) -> tuple[list[str], np.ndarray]:
    """The words of a text at ASCII white space, and which of them each token belongs to.

    White space goes with the word after it, at the end of the text with the last; a token that
    holds letters of one word belongs to that, wherever it begins.

    Raises:
        DataError: a token holds letters of two words, or a word has no token.

    Example:
        >>> words_of("a naive cafe", [(0, 1), (1, 3), (3, 7), (7, 12)])
        (['a', 'naive', 'cafe'], array([0, 1, 1, 2]))
    """
    found = _words(text)
    owner = np.zeros(len(text) + 1, np.int64)  # of each character, its word
    letter = np.zeros(len(text), bool)
    before = 0
    for number, (begin, end) in enumerate(found):
        owner[before:end], letter[begin:end], before = number, True, end
    owner[before:] = max(len(found) - 1, 0)
    group = np.zeros(len(spans), np.int64)
    for i, (begin, end) in enumerate(spans):
        own = owner[begin:end][letter[begin:end]]
        if len(own) and own[0] != own[-1]:
            raise DataError(f"The token {text[begin:end]!r} belongs to two words")
        group[i] = own[0] if len(own) else owner[begin]
    group = np.maximum.accumulate(group) if len(group) else group
    for number, (begin, end) in enumerate(found):
        if not (group == number).any():
            raise DataError(f"The word {text[begin:end]!r} has no token of its own")
    return [text[begin:end] for begin, end in found], group


def _words(text: str) -> Spans:
    """Where the words of a text lie, in characters."""
    spans, begin = [], None
    for at, letter in enumerate(text):
        space = letter in " \t\n\v\f\r"
        if space and begin is not None:
            spans.append((begin, at))
            begin = None
        elif not space and begin is None:
            begin = at
    return spans if begin is None else [*spans, (begin, len(text))]
