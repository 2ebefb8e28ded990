"""The unigrams of an ARPA file: a table of its words, and the vocabulary that they make."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from arproc.data.symbols import UNKNOWN
from arproc.data.vocabulary import Vocabulary
from arproc.errors import FileFormatError, ParameterError
from arproc.models.ngram.arpa.source import Source, open_source, read_header
from arproc.models.ngram.arpa.write import BEGIN, END
from arproc.models.ngram.counting.counts import Alphabet

__all__ = ["Words", "decode", "enlarged", "numbers_of", "vocabulary_of"]


class Words:
    """The words of the unigrams, as compiled code looks them up; see `arpa_scan_kernels`."""

    def __init__(self) -> None:
        self.slots = np.zeros((1, 2), np.uint64)
        self.starts = np.zeros(1, np.int64)
        self.letters = np.empty(0, np.uint8)

    @property
    def table(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What the kernels take."""
        return self.slots, self.starts, self.letters

    def spelling(self, row: int) -> bytes:
        """The row-th word."""
        return self.letters[self.starts[row] : self.starts[row + 1] - 1].tobytes()

    def make_room(self, words: int, used: int, more: int) -> None:
        """Room for so many words, and for `more` bytes behind those used."""
        from arproc.compiled.interpreted import suited
        from arproc.models.ngram.arpa import scan_kernels

        kernels = suited(scan_kernels, 8 * len(self.slots))
        if used + more > len(self.letters):
            self.letters = enlarged(self.letters, 2 * (used + more))
        if words + 1 > len(self.starts):
            self.starts = enlarged(self.starts, words + 1)
        if 2 * words > len(self.slots):
            self.slots = kernels.rehashed(self.slots, 1 << (2 * words).bit_length())


def decode(source: Source, words: Words, n: int, kind: str) -> list[str]:
    """The words as text, in the file's order."""
    raw = words.letters[: words.starts[n]].tobytes()
    try:
        names = raw.decode("utf-8", "surrogatepass").split("\n")[:-1]
    except UnicodeDecodeError as error:
        row = int(np.searchsorted(words.starts[: n + 1], error.start, side="right")) - 1
        message = f"the word {words.spelling(row)!r} is not UTF-8 text; re-encode the file."
        raise source.error(message, _line_of_unigram(source.path, row)) from None
    if kind != "word":
        names = [_spelt_out(name, kind) for name in names]
    if UNKNOWN not in names and UNKNOWN.upper() in names:
        names[names.index(UNKNOWN.upper())] = UNKNOWN
    if len(set(names)) < len(names):  # spelt in two ways
        row = next(row for row, name in enumerate(names) if name in names[:row])
        message = f"the {kind} {names[row]!r} appears twice."
        raise source.error(message, _line_of_unigram(source.path, row))
    return names


def _spelt_out(name: str, kind: str) -> str:
    """`<U+0020>` is the blank in a file of characters, `<0x0A>` a byte in one of bytes."""
    prefix = "<U+" if kind == "char" else "<0x"
    if not (name.startswith(prefix) and name.endswith(">")):
        return name
    try:
        return chr(int(name[3:-1], 16))
    except (ValueError, OverflowError):
        return name


def vocabulary_of(source: Source, names: list[str], kind: str, special: str) -> Vocabulary:
    """The vocabulary of a file's words, without <s> and </s>."""
    if kind == "byte":
        return Vocabulary.of_bytes()
    kept = [name for name in names if name not in (BEGIN, END)]
    unknown = kept.index(UNKNOWN) if UNKNOWN in kept else None
    try:
        return Vocabulary(tuple(kept), kind, unknown, special)
    except ParameterError as error:
        for row, name in enumerate(names):
            bad = (
                len(name.encode("utf-8", "surrogatepass").split()) != 1
                if kind == "word"
                else len(name) != 1
            )
            if bad and name not in (BEGIN, END, UNKNOWN):
                message = f"the 1-gram {name!r} is no {kind}: {error}"
                raise source.error(message, _line_of_unigram(source.path, row)) from None
        raise FileFormatError(
            f"{str(source.path)!r} has unigrams that are no {kind}: {error}"
        ) from None


def numbers_of(
    source: Source, names: list[str], vocabulary: Vocabulary, alphabet: Alphabet, kind: str
) -> np.ndarray:
    """The number of each of the file's words, int32; -1 of <s> and </s> in a stream."""
    number = {name: i for i, name in enumerate(vocabulary.symbols)}
    number |= {BEGIN: alphabet.begin, END: alphabet.end}
    for row, name in enumerate(names):
        if name not in number:
            line = _line_of_unigram(source.path, row)
            raise source.error(f"the 1-gram {name!r} is no {kind}.", line)
    renumber = np.array([number[name] for name in names], np.int32)
    if len(names) < len(vocabulary) + (BEGIN in names) + (END in names):
        raise FileFormatError(
            f"{str(source.path)!r} has no 1-gram for some symbols that it uses: a model of bytes "
            "has all 256."
        )
    return renumber


def _line_of_unigram(path: Path, row: int) -> int:
    """The line of a file's row-th unigram, counted from 0; the file is read again."""
    with open_source(path) as source:
        read_header(source)
        for line in source:
            row -= bool(line)
            if row < 0:
                break
        return source.number


def enlarged(array: np.ndarray, length: int) -> np.ndarray:
    """The array with more rows, zeros, behind its own."""
    out = np.zeros((length, *array.shape[1:]), array.dtype)
    out[: len(array)] = array
    return out
