"""Writing ARPA files, the n-gram models' common format, plain or gzip.

A line is `log10 p <tab> the n-gram's words <tab> log10 back-off`; the last order has no back-off.
Words hold no white space, so characters and bytes are spelt where they would: `<U+0020>` is the
blank, `<0x0A>` a byte.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from arproc.errors import UnsupportedError
from arproc.files import as_path, replacing
from arproc.ngram.counts import Alphabet
from arproc.ngram.trie import Trie
from arproc.text import Vocabulary

__all__ = ["BEGIN", "END", "LN10", "NEVER", "write_arpa"]

BEGIN, END = "<s>", "</s>"
LN10 = float(np.log(10.0))
NEVER = -99.0  # the logarithm of zero in ARPA files


def write_arpa(trie: Trie, vocabulary: Vocabulary | None, path: str | Path) -> None:
    """Write a back-off model as an ARPA file, whole or not at all; gzip if the name ends in .gz.

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
    compressed = as_path(path).suffix == ".gz"
    with (
        replacing(path) as temporary,
        gzip.open(temporary, "wb", 6) if compressed else temporary.open("wb") as file,
    ):
        for block in _blocks(trie, names):
            file.write(block)


def _blocks(trie: Trie, names: list[bytes]) -> Iterator[bytes]:
    sizes = np.diff(trie.levels)[1:].tolist()
    if not trie.alphabet.terminates:
        sizes[0] += 2
    header = "".join(f"ngram {k}={size}\n" for k, size in enumerate(sizes, 1))
    yield b"\\data\\\n" + header.encode()
    columns = np.zeros((1, 0), np.int32)
    for k in range(1, trie.order + 1):
        low, high = int(trie.levels[k]), int(trie.levels[k + 1])
        above = slice(int(trie.levels[k - 1]), int(trie.levels[k]) + 1)
        children = np.diff(trie.first_child[above])
        columns = np.column_stack([np.repeat(columns, children, axis=0), trie.symbol[low:high]])
        yield b"\n\\%d-grams:\n" % k
        if k == 1 and not trie.alphabet.terminates:
            yield b"-99\t<s>\t0\n-99\t</s>\t0\n"
        for begin in range(0, high - low, 65536):
            rows = slice(begin, min(begin + 65536, high - low))
            yield _format(trie, names, columns[rows], low + begin, k)
    yield b"\n\\end\\\n"


def _format(trie: Trie, names: list[bytes], columns: np.ndarray, first: int, k: int) -> bytes:
    nodes = slice(first, first + len(columns))
    log_prob = np.maximum(trie.log_prob[nodes] / LN10, NEVER)
    if k == 1 and trie.alphabet.terminates:
        # as KenLM's lmplz has it; no reader predicts <s>
        log_prob = np.where(columns[:, 0] == trie.alphabet.begin, 0.0, log_prob)
    words = [b" ".join([names[w] for w in row]) for row in columns.tolist()]
    if k == trie.order:
        pairs = zip(log_prob.tolist(), words, strict=True)
        return b"".join([b"%.9g\t%b\n" % pair for pair in pairs])
    back_off = np.maximum(trie.back_off[nodes] / LN10, NEVER)
    triples = zip(log_prob.tolist(), words, (back_off + 0.0).tolist(), strict=True)
    return b"".join([b"%.9g\t%b\t%.9g\n" % triple for triple in triples])


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
