"""A text file in pieces: its vocabulary, and its symbols laid out as counting wants them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from arproc.data.text_files import BOM, beginning, check_utf8, compression, decompressed
from arproc.data.tokens import Tokens
from arproc.data.vocabulary import Vocabulary
from arproc.data.word_table import WordTable
from arproc.errors import DataError
from arproc.models.ngram.counting.counts import Alphabet, lay_out
from arproc.models.ngram.smoothing.repeats import Repeats
from arproc.models.ngram.streaming.workspace import Workspace

__all__ = ["piece_edges", "pieces", "plain", "read_piece", "share_on_disk", "vocabulary_of"]

_NEWLINE = ord("\n")
_CHUNK = 1 << 20
#: The name of the decompressed text in the folder of a job.
COPY = "text"


def vocabulary_of(path: Path, tokens: Tokens, piece: int) -> Vocabulary:
    """The vocabulary of a file, read in pieces of so many bytes.

    Args:
        path: the text.
        tokens: words, characters or bytes, and which are kept.
        piece: bytes.

    Raises:
        DataError: the file is empty or not UTF-8.
    """
    kind, special = tokens.kind, tokens.special
    if kind == "byte":
        return Vocabulary.of_bytes()
    check_utf8(path)
    if kind == "char":
        texts = (_lines(raw.tobytes().decode()) for raw in pieces(path, kind, piece))
        return Vocabulary.build(texts, kind, special=special, **tokens.limits)
    table = WordTable.empty()
    for raw in pieces(path, kind, piece):
        table.collect(raw, 0, len(raw))
    return Vocabulary.build(table, kind, special=special, **tokens.limits)


def piece_edges(path: Path, tokens: str, piece: int) -> list[int]:
    """Where the pieces of a file begin, and its size: words are cut at ends of lines."""
    size = path.stat().st_size
    edges = [0]
    with path.open("rb") as file:
        for at in range(piece, size, piece):
            edge = _next_edge(file, max(at, edges[-1]), tokens)
            if edges[-1] < edge < size:
                edges.append(edge)
    return [*edges, size]


def _next_edge(file: Any, at: int, tokens: str) -> int:
    """The first place from `at` on where a piece may begin."""
    if tokens == "byte":
        return at
    file.seek(at)
    if tokens == "char":
        while (byte := file.read(1)) and (byte[0] & 0xC0 == 0x80 or byte == b"\n"):
            at += 1  # not within a character, nor between the two of a line end
        return at
    file.readline()
    return int(file.tell())


def pieces(path: Path, tokens: str, piece: int) -> Iterator[np.ndarray]:
    """The bytes of a file in pieces, uint8."""
    edges = piece_edges(path, tokens, piece)
    for begin, end in pairwise(edges):
        yield np.fromfile(path, np.uint8, end - begin, offset=begin)


def read_piece(
    path: Path, begin: int, end: int, vocabulary: Vocabulary, alphabet: Alphabet, ahead: int
) -> tuple[np.ndarray, int]:
    """The symbols of a piece of a file, as `lay_out` lays them out, and some that follow.

    Args:
        path: the text.
        begin: the piece's first byte.
        end: one beyond its last.
        vocabulary: of the text.
        alphabet: the symbols' numbers.
        ahead: how many symbols of what follows are wanted, where it belongs to the same sequence.

    Returns:
        int32 symbols, and how many of them are the piece's own.
    """
    if vocabulary.kind == "word":
        raw = np.fromfile(path, np.uint8, end - begin, offset=begin)
        if len(raw) and raw[-1] == _NEWLINE:
            raw = raw[:-1]
        values, lengths = vocabulary.encode_lines(raw)
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        text = lay_out(values, offsets, np.ones(len(lengths), bool), alphabet)
        return text, len(text)
    size = path.stat().st_size
    stop = min(end + 4 * ahead, size)
    raw = np.fromfile(path, np.uint8, stop - begin, offset=begin)
    own = vocabulary.encode(_decoded(raw[: end - begin], vocabulary))
    later = raw[end - begin :]
    if vocabulary.kind == "char" and stop < size and later[-1:].tobytes() == b"\r":
        later = later[:-1]  # half of an end of a line, perhaps, and more than is wanted
    rest = vocabulary.encode(_decoded(later, vocabulary))[:ahead]
    text = np.concatenate([own, rest, [-1] if stop == size and len(rest) < ahead + 1 else []])
    return text.astype(np.int32), len(own)


def share_on_disk(path: Path, vocabulary: Vocabulary, alphabet: Alphabet, budget: int) -> float:
    """How much of a file's text is copies of what it has before; see `smoothing.repeats`."""
    repeats = Repeats(stream=not alphabet.terminates)
    edges = piece_edges(path, vocabulary.kind, max(budget // 64, 1 << 10))
    for begin, end in pairwise(edges):
        text, own = read_piece(path, begin, end, vocabulary, alphabet, 0)
        repeats.add(text[:own])
    return repeats.share


def _decoded(raw: np.ndarray, vocabulary: Vocabulary) -> str | bytes:
    """Bytes as what the vocabulary encodes; a last character that is cut is left out."""
    if vocabulary.kind == "byte":
        return raw.tobytes()
    return _lines(raw.tobytes().decode("utf-8", "ignore"))


def _lines(text: str) -> str:
    """The text with its line ends as `arproc.data.text_files` reads them."""
    return text.replace("\r\n", "\n")


def plain(path: Path, tokens: str, work: Workspace) -> Path:
    """The file, which can be read from any place on; of a compressed one a copy on disk.

    So of one with a byte order mark, unless its bytes are what is modelled.
    """
    first = beginning(path)
    marked = first.startswith(BOM) and tokens != "byte"
    if compression(first) is None and not marked:
        return path
    if not work.has(COPY):
        with work.writer(COPY, np.uint8) as out, decompressed(path) as file:
            piece = file.read(_CHUNK)
            if tokens != "byte":
                piece = piece.removeprefix(BOM)
            while piece:
                out.append(np.frombuffer(piece, np.uint8))
                piece = file.read(_CHUNK)
    return work.folder / COPY


def check_not_empty(path: Path) -> None:
    """Refuse a file that is not there or has nothing in it."""
    if not path.is_file():
        raise DataError(f"data: there is no file {str(path)!r}.")
    if path.stat().st_size == 0:
        raise DataError(f"data: the file {str(path)!r} is empty.")
