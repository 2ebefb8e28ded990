"""Writing ARPA files, the n-gram models' common format, plain or compressed.

A line is `log10 p <tab> the n-gram's words <tab> log10 back-off`; the last order has no back-off.
Words hold no white space, so characters and bytes are spelt where they would: `<U+0020>` is the
blank, `<0x0A>` a byte.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from arproc.contract.places import as_path, replacing
from arproc.data.vocabulary import Vocabulary
from arproc.errors import UnsupportedError
from arproc.models.ngram.arpa.source import compressed_writer
from arproc.models.ngram.backoff.trie import Trie
from arproc.models.ngram.counting.counts import Alphabet

__all__ = ["BEGIN", "END", "LN10", "NEVER", "write_arpa"]

BEGIN, END = "<s>", "</s>"
LN10 = float(np.log(10.0))
NEVER = -99.0  # the logarithm of zero in ARPA files
_BUFFER = 2**20


def write_arpa(trie: Trie, vocabulary: Vocabulary | None, path: str | Path) -> None:
    """Write a back-off model as an ARPA file, whole or not at all.

    It is compressed where the name ends in .gz, .bz2 or .xz. Numbers have nine digits, and
    n-grams stand in the order of their symbols' numbers.

    A stream has no begin and end: its file gives `<s>` and `</s>` log10 p = -99, for readers
    that insist on them.

    Raises:
        UnsupportedError: the model does not back off, so the format can not hold it.
    """
    if not trie.interpolated and trie.order > 1:
        raise UnsupportedError(
            "Additive smoothing gives unseen symbols one probability in each context, whatever "
            "the shorter context says; the ARPA format, which backs off, can not express that."
        )
    names = _names(trie.alphabet, vocabulary)
    suffix = as_path(path).suffix
    with replacing(path) as temporary, compressed_writer(temporary, suffix) as file:
        for block in _blocks(trie, names):
            file.write(block)


def _blocks(trie: Trie, names: list[bytes]) -> Iterator[Any]:
    sizes = np.diff(trie.levels)[1:].tolist()
    if not trie.alphabet.terminates:
        sizes[0] += 2
    header = "".join(f"ngram {k}={size}\n" for k, size in enumerate(sizes, 1))
    yield b"\\data\\\n" + header.encode()
    history = np.zeros((1, 0), np.int32)
    for k in range(1, trie.order + 1):
        yield b"\n\\%d-grams:\n" % k
        if k == 1 and not trie.alphabet.terminates:
            yield b"-99\t<s>\t0\n-99\t</s>\t0\n"
        yield from _lines(trie, names, history, k)
        if k < trie.order:
            contexts = slice(int(trie.levels[k - 1]), int(trie.levels[k]) + 1)
            children = np.diff(trie.first_child[contexts])
            own = trie.symbol[trie.levels[k] : trie.levels[k + 1]].astype(np.int32)
            history = np.column_stack([np.repeat(history, children, axis=0), own])
    yield b"\n\\end\\\n"


def _lines(trie: Trie, names: list[bytes], history: np.ndarray, k: int) -> Iterator[Any]:
    """The lines of the k-grams, a buffer at a time; history is int32 [contexts, k - 1]."""
    from arproc.models.ngram.arpa import format_kernels as kernels

    letters = np.frombuffer(b"".join(names), np.uint8)
    starts = np.cumsum([0, *map(len, names)])
    longest = 2 * kernels.WIDEST + 4 + k * (int(np.diff(starts).max()) + 1)
    out = np.empty(_BUFFER + longest, np.uint8)
    # as KenLM's lmplz has it, <s> is certain; no reader predicts it
    certain = 1 + trie.alphabet.begin if k == 1 and trie.alphabet.terminates else -1
    place = np.array([0, trie.levels[k - 1], 0])
    while place[0] < len(history):
        used = kernels.lines(trie.arrays, history, letters, starts, NEVER, certain, place, out)
        yield out[:used]


def _names(alphabet: Alphabet, vocabulary: Vocabulary | None) -> list[bytes]:
    """What each number is called in the file."""
    if vocabulary is None or vocabulary.kind in ("symbols", "tokenizer"):
        size = alphabet.symbols - int(alphabet.terminates)
        names = [str(number) for number in range(size)]
        if vocabulary is not None and vocabulary.kind == "symbols":
            names = list(vocabulary.symbols)
            bad = [name for name in names if len(name.encode().split()) != 1]
            if bad:
                raise UnsupportedError(
                    f"The symbol {bad[0]!r} is empty or holds white space, which an ARPA file can "
                    "not express."
                )
    else:
        names = [_encode_symbol(s, vocabulary, i) for i, s in enumerate(vocabulary.symbols)]
    if alphabet.terminates:
        names += [END, BEGIN]
    return [name.encode("utf-8", "surrogatepass") for name in names]


def _encode_symbol(symbol: str, vocabulary: Vocabulary, number: int) -> str:
    if vocabulary.kind == "byte":
        return f"<0x{number:02X}>"
    plain = vocabulary.kind == "word" or number == vocabulary.unknown or not symbol.isspace()
    return symbol if plain and symbol != "\0" else f"<U+{ord(symbol):04X}>"
