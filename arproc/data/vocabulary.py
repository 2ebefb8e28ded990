"""Vocabularies: the symbols behind a categorical process's numbers, text to numbers and back.

A `Vocabulary` is an immutable value. It knows how text is cut (words at ASCII white space,
characters, bytes of UTF-8), what number each symbol has, and what becomes of symbols that it
does not hold: in an open vocabulary they turn into `<unk>`, in a closed one they are an error.
The end of a sequence is not a symbol of the vocabulary: it belongs to the space.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, repeat
from typing import Any

import numpy as np

from arproc.contract.storable import storable
from arproc.data import word_table as words
from arproc.data.symbol_counts import count_symbols
from arproc.data.symbols import (
    BYTES,
    NOUNS,
    SPECIAL,
    UNKNOWN,
    check_symbols,
    code_points,
    escape,
    is_spelling,
    reserved,
    shorten,
    special_message,
    to_key,
    unescape,
    unspelt,
)
from arproc.errors import DataError, FileFormatError, ParameterError, check_choice, check_integer

__all__ = ["CHOICES", "Vocabulary"]

#: The forms of one whole text.
Whole = str | bytes | np.ndarray | words.WordTable
KINDS = ("word", "char", "byte", "symbols")
#: What becomes of special symbols that stand in the text as words.
CHOICES = ("error", "escape", "unknown")

_MISSING, _RESERVED = -1, -2
#: The symbols of a vocabulary of up to so many are read from a file at once.
_AT_ONCE = 1 << 16


@storable
@dataclass(frozen=True, eq=False)
class Vocabulary:
    """Symbols and their numbers: symbol i of `symbols` is number i.

    Args:
        symbols: the symbols, all different; for bytes the 256 characters of Latin-1.
        kind: "word" (text is cut at ASCII white space), "char", "byte" (UTF-8), or "symbols"
            (no text: lists of symbols).
        unknown: the number of the symbol that stands for all symbols not held, or None for a
            closed vocabulary.
        special: what `<unk>`, `<s>` and `</s>` in the text are: an "error"; or ordinary words,
            whose symbols are written with a backslash in front ("escape"); or `<unk>` is an
            unknown word, and the others are an error ("unknown", for open vocabularies).

    Raises:
        ParameterError: symbols repeat, a character is longer than one, or the like.

    Example:
        >>> words = Vocabulary.build(["a rose is a rose"], "word")
        >>> words.symbols
        ('<unk>', 'a', 'rose', 'is')
        >>> words.encode("a daisy is a rose").tolist()
        [1, 0, 3, 1, 2]
        >>> words.decode([1, 0, 3])
        'a <unk> is'
    """

    symbols: tuple[str, ...]
    kind: str = "word"
    unknown: int | None = None
    special: str = "error"

    def __post_init__(self) -> None:
        object.__setattr__(self, "symbols", tuple(self.symbols))
        check_choice("kind", self.kind, KINDS)
        check_choice("special", self.special, CHOICES)
        if not self.symbols:
            raise ParameterError("A vocabulary needs at least one symbol; got none.")
        if len(set(self.symbols)) != len(self.symbols):
            symbol, times = Counter(self.symbols).most_common(1)[0]
            raise ParameterError(
                f"The symbols of a vocabulary differ; got {symbol!r} {times} times."
            )
        if self.unknown is not None and not 0 <= self.unknown < len(self.symbols):
            raise ParameterError(
                f"unknown must be the number of a symbol, 0 to {len(self.symbols) - 1}; "
                f"got {self.unknown}."
            )
        if self.kind == "word" and self.special == "unknown" and self.unknown is None:
            raise ParameterError(
                'special="unknown" reads <unk> as an unknown word, which a closed vocabulary does '
                'not have; use an open one (unknown=True), or special="error" or "escape".'
            )
        if self.kind == "byte" and self.symbols != BYTES:
            raise ParameterError(
                "A vocabulary of bytes has the 256 bytes; use Vocabulary.of_bytes()."
            )
        check_symbols(self.symbols, self.kind, self.unknown)

    # ---- making one ------------------------------------------------------------------------

    @classmethod
    def build(
        cls,
        texts: str
        | bytes
        | np.ndarray
        | words.WordTable
        | Iterable[str]
        | Iterable[Sequence[str]],
        kind: str = "word",
        *,
        min_count: int = 1,
        max_size: int | None = None,
        unknown: bool | None = None,
        special: str = "error",
    ) -> Vocabulary:
        """The vocabulary of some text.

        Words are numbered in the order in which they first appear, after `<unk>`; characters by
        code point, and `<unk>` after them.

        Args:
            texts: a string (or its UTF-8 bytes, of words also as an array of uint8, or already
                counted), strings, or lists of symbols.
            kind: "word", "char", "byte" or "symbols".
            min_count: leave out symbols that appear less often (this needs an open vocabulary).
            max_size: keep only so many symbols, the most frequent ones, and of those that are
                equally frequent the first (in the order of the numbers); `<unk>` is not counted.
            unknown: open (True) or closed (False); None opens words, and whatever has a
                min_count above 1 or a max_size.
            special: what a special symbol in the text is: an "error", or a word like others
                ("escape"), or, of `<unk>`, an unknown word ("unknown").

        Raises:
            ParameterError: a cut-off with a closed vocabulary.
            DataError: there is no symbol in the text, or a special one.

        Example:
            >>> Vocabulary.build("hello", "char").symbols
            ('e', 'h', 'l', 'o')
        """
        check_choice("kind", kind, KINDS)
        check_integer("min_count", min_count, minimum=1)
        if max_size is not None:
            check_integer("max_size", max_size, minimum=1)
        check_choice("special", special, CHOICES)
        if kind == "byte":
            return cls.of_bytes()
        if unknown is None:
            unknown = kind == "word" or min_count > 1 or max_size is not None
        if min_count > 1 and not unknown:
            raise ParameterError(
                f"min_count={min_count} leaves symbols out of a closed vocabulary; "
                "use unknown=True or min_count=1."
            )
        if max_size is not None and not unknown:
            raise ParameterError(
                f"max_size={max_size} leaves symbols out of a closed vocabulary; "
                "use unknown=True or max_size=None."
            )
        listed = [texts] if isinstance(texts, Whole) else texts
        counts = count_symbols(listed, kind, special)
        kept = [symbol for symbol, count in counts.items() if count >= min_count]
        if max_size is not None and len(kept) > max_size:
            most = set(sorted(kept, key=counts.__getitem__, reverse=True)[:max_size])
            kept = [symbol for symbol in kept if symbol in most]
        if not counts:
            raise DataError(f"The text holds no {kind}: it is empty or only white space.")
        if kind == "char":
            kept.sort()
        if kind == "word" and special == "escape":
            kept = [escape(symbol) for symbol in kept]
        if not unknown:
            return cls(tuple(kept), kind, None, special)
        if kind == "char":
            return cls((*kept, UNKNOWN), kind, len(kept), special)
        return cls((UNKNOWN, *kept), kind, 0, special)

    @classmethod
    def of_bytes(cls) -> Vocabulary:
        """The 256 bytes; text is encoded as UTF-8."""
        return cls(BYTES, "byte")

    # ---- text to numbers and back ----------------------------------------------------------

    def encode(self, text: str | bytes | Sequence[str]) -> np.ndarray:
        """The numbers of a text's symbols, int64 [T].

        Args:
            text: a string, to be cut; or a list of symbols, already cut.

        Raises:
            DataError: a symbol that a closed vocabulary does not hold, or a special symbol among
                the words; the message names it and its position.
        """
        if isinstance(text, (str, bytes)):
            if self.kind == "symbols":
                raise DataError(
                    "Expected a list of symbols, for the vocabulary is one of symbols; got the "
                    f"text {shorten(text)}."
                )
            return self._encode_text(text)
        if self.kind == "byte":
            raise DataError("Expected a string or bytes, for the vocabulary is one of bytes.")
        return self._look_up(text if self.kind == "symbols" else [to_key(s) for s in text])

    def encode_all(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """The numbers of many texts at once: flat int64 [total], and each text's length int64 [N].

        Several times as fast as one `encode` a text, for short ones.

        Raises:
            DataError: as `encode`; the message also says in which text.
        """
        try:
            return self._encode_all(texts)
        except DataError:
            for i, text in enumerate(texts):
                try:
                    self.encode(text)
                except DataError as error:
                    raise DataError(f"In text {i}: {error}") from None
            raise

    def _encode_all(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        if self.kind == "char" and words.all_text(texts):
            lengths = np.fromiter(map(len, texts), np.int64, len(texts))
            return self._encode_chars("".join(texts)), lengths
        if self.kind == "word" and words.all_text(texts):
            if sum(map(len, texts)) >= words.LARGE:
                return self.encode_lines(words.joined(texts))
            rows = [to_key(text).split() for text in texts]
            lengths = np.fromiter(map(len, rows), np.int64, len(rows))
            return self._look_up(list(chain.from_iterable(rows))), lengths
        parts = [self.encode(text) for text in texts]
        lengths = np.fromiter(map(len, parts), np.int64, len(parts))
        return np.concatenate(parts) if parts else np.empty(0, np.int64), lengths

    def encode_lines(self, raw: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The numbers of the words of a large text, and how many each of its lines has.

        Args:
            raw: uint8, UTF-8; its lines are parted by newlines.

        Returns:
            int64 [words] and int64 [lines].

        Raises:
            DataError: as `encode`, and says in which line.
        """
        if len(raw) < words.LARGE:
            return self.encode_all(raw.tobytes().decode("utf-8", "surrogatepass").split("\n"))
        table, numbers = self._word_table
        default = _MISSING if self.unknown is None else self.unknown
        found, lengths = table.look_up(raw, numbers, default)
        if found.size and found.min() < 0:
            at = int(np.argmax(found < 0))
            line = int(np.searchsorted(np.cumsum(lengths), at, side="right"))
            position = at - int(lengths[:line].sum())
            word = words.word_at(raw, line, position).decode("utf-8", "replace")
            try:
                self._refuse(word, position)
            except DataError as error:
                raise DataError(f"In text {line}: {error}") from None
        return found, lengths

    def _encode_text(self, text: str | bytes) -> np.ndarray:
        if self.kind == "char":
            return self._encode_chars(text.decode("utf-8") if isinstance(text, bytes) else text)
        raw = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
        if self.kind == "byte":
            return np.frombuffer(raw, dtype=np.uint8).astype(np.int64)
        return self._look_up(raw.split())

    def _encode_chars(self, text: str) -> np.ndarray:
        points = code_points(text)
        table = self._char_table
        if points.size and points.max() >= len(table):
            points = np.minimum(points, len(table) - 1)
        numbers = table[points]
        if self.unknown is None and (numbers < 0).any():
            position = int(np.argmax(numbers < 0))
            self._refuse(text[position], position)
        return numbers

    def _look_up(self, keys: Sequence[Any]) -> np.ndarray:
        default = _MISSING if self.unknown is None else self.unknown
        index = self._index
        numbers = np.fromiter(map(index.get, keys, repeat(default)), np.int64, len(keys))
        if (numbers < 0).any():
            position = int(np.argmax(numbers < 0))
            key = keys[position]
            self._refuse(
                key.decode("utf-8", "replace") if isinstance(key, bytes) else key, position
            )
        return numbers

    def _refuse(self, symbol: str, position: int) -> None:
        if self.kind == "word" and symbol in reserved(self.special):
            raise DataError(special_message(symbol, position))
        raise DataError(
            f"The {NOUNS[self.kind]} {symbol!r} at position {position} is not in the vocabulary "
            f"of {len(self)} {NOUNS[self.kind]}s, which is closed. Fit with an open vocabulary "
            "(unknown=True), or remove it from the text."
        )

    def decode(self, numbers: Any) -> Any:
        """The text of some numbers [T]: a string (a list of symbols for kind "symbols").

        Words are joined by one space. Bytes that are no UTF-8, and unknown characters, become
        the replacement character U+FFFD.
        """
        numbers = np.asarray(numbers, dtype=np.int64).reshape(-1)
        if numbers.size and not 0 <= numbers.min() <= numbers.max() < len(self):
            raise DataError(
                f"Expected numbers of symbols, 0 to {len(self) - 1}; got {numbers.min()} to "
                f"{numbers.max()}."
            )
        if self.kind == "byte":
            return numbers.astype(np.uint8).tobytes().decode("utf-8", "replace")
        if self.kind == "char":
            points = self._code_points[numbers]
            return points.tobytes().decode("utf-32-le", "surrogatepass")
        texts = self._texts
        symbols = [texts[number] for number in numbers.tolist()]
        return " ".join(symbols) if self.kind == "word" else symbols

    # ---- value -----------------------------------------------------------------------------

    def __len__(self) -> int:
        spelt = self.__dict__.get("_spelt")
        return len(self.symbols) if spelt is None else len(spelt[1])

    def __contains__(self, symbol: object) -> bool:
        return symbol in self._members

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if not isinstance(other, Vocabulary) or type(self) is not type(other):
            return NotImplemented
        same = (self.kind, self.unknown, self.special, len(self)) == (
            other.kind, other.unknown, other.special, len(other)
        )  # fmt: skip
        return same and self.symbols == other.symbols

    def __hash__(self) -> int:
        return self._hash

    def __repr__(self) -> str:
        openness = "closed" if self.unknown is None else "open"
        return f"Vocabulary({len(self)} {NOUNS[self.kind]}s, {openness})"

    def to_dict(self) -> dict[str, Any]:
        """The vocabulary as plain values and arrays; `from_dict` is the inverse."""
        rest = {"kind": self.kind, "unknown": self.unknown, "special": self.special}
        if self.kind == "byte":
            return rest
        text, ends = self._spelt
        return {**rest, "text": text, "ends": ends}

    @staticmethod
    def from_dict(value: Any) -> Vocabulary:
        """The vocabulary that `to_dict` described.

        Symbols of a large one are read when they are first used.

        Raises:
            FileFormatError: it is not such a description.
        """
        kind = value.get("kind") if isinstance(value, dict) else None
        if kind == "byte":
            return Vocabulary.of_bytes()
        if kind not in KINDS or not is_spelling(value.get("text"), value.get("ends")):
            raise FileFormatError(
                f"Expected a vocabulary with kind, text and ends; got {shorten(value)}."
            )
        text, ends = value["text"], value["ends"]
        unknown, special = value.get("unknown"), value.get("special", "error")
        if unknown is not None and (isinstance(unknown, bool) or not isinstance(unknown, int)):
            raise FileFormatError(f"A vocabulary's unknown is a number or null; got {unknown!r}.")
        if len(ends) <= _AT_ONCE:
            return _checked(lambda: Vocabulary(unspelt(text, ends), kind, unknown, special))
        lazy = object.__new__(Vocabulary)
        for name, field in (("kind", kind), ("unknown", unknown), ("special", special)):
            object.__setattr__(lazy, name, field)
        object.__setattr__(lazy, "_spelt", (text, ends))
        return lazy

    def __getattr__(self, name: str) -> Any:
        """The symbols of a large vocabulary that came from a file, at their first use."""
        if name != "symbols" or "_spelt" not in self.__dict__:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        read = _checked(
            lambda: Vocabulary(unspelt(*self._spelt), self.kind, self.unknown, self.special)
        )
        object.__setattr__(self, "symbols", read.symbols)
        return read.symbols

    # ---- tables, made when first needed ----------------------------------------------------

    @cached_property
    def _hash(self) -> int:
        return hash((self.kind, self.unknown, self.symbols))

    @cached_property
    def _texts(self) -> tuple[str, ...]:
        """What stands in a text for each symbol."""
        if self.kind != "word" or self.special != "escape":
            return self.symbols
        return tuple(map(unescape, self.symbols))

    @cached_property
    def _members(self) -> frozenset[str]:
        return frozenset(self.symbols)

    @cached_property
    def _index(self) -> dict[Any, int]:
        """Symbol (words as UTF-8 bytes) to number; special words to a number below 0."""
        if self.kind == "symbols":
            return {symbol: number for number, symbol in enumerate(self.symbols)}
        index = {to_key(text): number for number, text in enumerate(self._texts)}
        if self.kind == "word" and self.special != "escape":
            index.update((to_key(symbol), _RESERVED) for symbol in reserved(self.special))
        if self.kind == "word" and self.special == "error":
            pass  # it is refused, rather than found
        elif self.unknown is not None and index[to_key(UNKNOWN)] == self.unknown:
            del index[to_key(UNKNOWN)]  # it is found by not being found
        return index

    @cached_property
    def _spelt(self) -> tuple[np.ndarray, np.ndarray]:
        """The symbols in UTF-8 one after the other, uint8, and where each ends, int64."""
        listed = list(map(to_key, self.symbols))
        ends = np.cumsum(np.fromiter(map(len, listed), np.int64, len(listed)))
        return np.frombuffer(b"".join(listed), np.uint8), ends

    @property
    def word_table(self) -> tuple[tuple[np.ndarray, ...], int]:
        """The words for compiled loops, and the number of words that are not among them.

        The arrays are slots, tags, offsets and blob of a `WordTable`, and its words' numbers;
        a number below 0 is that of a word that may not stand in a text.
        """
        table, numbers = self._word_table
        missing = _MISSING if self.unknown is None else self.unknown
        return (table.slots, table.tags, table.offsets, table.blob, numbers), missing

    @cached_property
    def _word_table(self) -> tuple[words.WordTable, np.ndarray]:
        """The words as a table for compiled loops, and their numbers int32."""
        if self.special == "escape":
            numbers = np.fromiter(self._index.values(), np.int32, len(self._index))
            return words.WordTable.of(list(self._index)), numbers
        text, ends = self._spelt
        known = words.WordTable.of_blob(text, np.concatenate([[0], ends]))
        numbers = np.arange(len(self) + len(SPECIAL), dtype=np.int32)
        own = np.frombuffer(" ".join(SPECIAL).encode(), np.uint8)
        known.collect(own, 0, len(own))
        numbers[known.look_up(own, numbers, _MISSING)[0]] = _RESERVED
        if self.special == "unknown" and self.unknown is not None:
            mark = np.frombuffer(UNKNOWN.encode(), np.uint8)
            places = np.arange(len(numbers), dtype=np.int32)
            numbers[known.look_up(mark, places, _MISSING)[0]] = self.unknown
        return known, numbers

    @cached_property
    def _code_points(self) -> np.ndarray:
        return np.array(
            [0xFFFD if i == self.unknown else ord(s) for i, s in enumerate(self.symbols)], "<u4"
        )

    @cached_property
    def _char_table(self) -> np.ndarray:
        """Code point to number; one more entry stands for all code points beyond."""
        known = np.arange(len(self)) != (-1 if self.unknown is None else self.unknown)
        points = self._code_points[known]
        default = _MISSING if self.unknown is None else self.unknown
        table = np.full(int(points.max(initial=0)) + 2, default, dtype=np.int64)
        table[points] = np.flatnonzero(known)
        return table


def _checked(make: Callable[[], Vocabulary]) -> Vocabulary:
    """A vocabulary of a file, or an error that speaks of the file."""
    try:
        return make()
    except (ParameterError, TypeError) as error:
        raise FileFormatError(f"The file's vocabulary is damaged: {error}") from None
