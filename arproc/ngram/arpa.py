"""ARPA files, the n-gram models' common format: read and write, plain or gzip.

A line is `log10 p <tab> the n-gram's words <tab> log10 back-off`; the last order has no back-off.
Words hold no white space, so characters and bytes are spelt where they would: `<U+0020>` is the
blank, `<0x0A>` a byte.
"""

from __future__ import annotations

import gzip
import os
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from arproc.errors import FileFormatError, ParameterError, UnsupportedError
from arproc.ngram.counts import Alphabet
from arproc.ngram.trie import Trie
from arproc.text import UNKNOWN, Vocabulary

__all__ = ["read_arpa", "write_arpa"]

BEGIN, END = "<s>", "</s>"
_LN10 = float(np.log(10.0))
_NEVER = -99.0  # the logarithm of zero in ARPA files


# ---- reading ---------------------------------------------------------------------------------


@dataclass
class _Section:
    """A file's k-grams in its order: ids [n, k], log10 p, back-off [n], the first one's line."""

    ids: np.ndarray
    log_prob: np.ndarray
    back_off: np.ndarray
    line: int


class _Lines:
    """The lines of a file as bytes without their ends, counted for error messages."""

    def __init__(self, path: Path, file: Iterable[bytes]) -> None:
        self.path, self.file, self.number = path, file, 0

    def __iter__(self) -> Iterator[bytes]:
        for line in self.file:
            self.number += 1
            yield line.strip(b" \t\r\n")

    def error(self, message: str, line: int | None = None) -> FileFormatError:
        return FileFormatError(f"{str(self.path)!r}, line {line or self.number}: {message}")


def read_arpa(path: str | Path, kind: str = "word") -> tuple[Trie, Vocabulary]:
    """Read an ARPA file into a trie and its vocabulary.

    The distribution is the file's own: an n-gram whose beginning is missing in the file is put
    in with what backing off gives. A file without `</s>`, or with log10 p = -99 for it, is a
    stream without ends.

    Args:
        path: the file, plain or gzip.
        kind: what a word of the file is: "word", "char" or "byte".

    Raises:
        FileFormatError: the file is malformed; the message names the line.
    """
    path = Path(path)
    if not path.is_file():
        raise FileFormatError(f"There is no file {str(path)!r}.")
    with path.open("rb") as probe:
        compressed = probe.read(2) == b"\x1f\x8b"
    with gzip.open(path, "rb") if compressed else path.open("rb") as file:
        try:
            words, sections = _parse(_Lines(path, file))
        except (EOFError, gzip.BadGzipFile) as error:
            raise FileFormatError(f"{str(path)!r} is a damaged gzip file: {error}.") from None
    return _assemble(path, words, sections, kind)


def _parse(lines: _Lines) -> tuple[list[bytes], list[_Section]]:
    feed = iter(lines)
    sizes = _read_header(lines, feed)
    words: dict[bytes, int] = {}
    sections: list[_Section] = []
    for k, size in enumerate(sizes, 1):
        sections.append(_read_section(lines, feed, k, size, words, k == len(sizes)))
    line = next((line for line in feed if line), b"")
    if line != b"\\end\\":
        raise lines.error(f"expected \\end\\ after the {len(sizes)}-grams; got {_show(line)}.")
    return list(words), sections


def _read_header(lines: _Lines, feed: Iterator[bytes]) -> list[int]:
    if not any(line.removeprefix(b"\xef\xbb\xbf") == b"\\data\\" for line in feed):
        raise lines.error("the file has no line \\data\\, so it is not an ARPA file.")
    sizes: list[int] = []
    for line in feed:
        if not line:
            continue
        if line == b"\\1-grams:":
            break
        left, equals, right = line.partition(b"=")
        fields = left.split()
        ok = equals and len(fields) == 2 and fields[0] == b"ngram" and right.strip().isdigit()
        if not ok or fields[1] != b"%d" % (len(sizes) + 1):
            raise lines.error(
                f"expected 'ngram {len(sizes) + 1}=count' or \\1-grams:; got {_show(line)}."
            )
        sizes.append(int(right))
    else:
        raise lines.error("the file ends before \\1-grams:.")
    if not sizes:
        raise lines.error("no 'ngram 1=count' stands between \\data\\ and \\1-grams:.")
    return sizes


def _read_section(
    lines: _Lines, feed: Iterator[bytes], k: int, size: int, words: dict[bytes, int], last: bool
) -> _Section:
    if k > 1:
        title = next((line for line in feed if line), b"")
        if title != b"\\%d-grams:" % k:
            raise lines.error(f"expected \\{k}-grams:; got {_show(title)}.")
    first = lines.number + 1
    ids: list[int] = []
    log_prob: list[float] = []
    back_off: list[float] = []
    while len(log_prob) < size:
        line = next(feed, None)
        if line is None or line.startswith((b"\\end\\", b"\\%d-grams:" % (k + 1))):
            raise lines.error(
                f"expected {size} {k}-grams as the header says; got {len(log_prob)}."
            )
        fields = line.split()
        if not fields and not log_prob:
            first += 1
            continue
        if len(fields) not in ((k + 1,) if last else (k + 1, k + 2)):
            raise lines.error(
                f"expected log10 p and {k} word(s){'' if last else ', then perhaps a back-off'}; "
                f"got {_show(line)}."
            )
        try:
            log_prob.append(float(fields[0]))
            back_off.append(float(fields[k + 1]) if len(fields) == k + 2 else 0.0)
        except ValueError:
            raise lines.error(f"expected numbers around the words; got {_show(line)}.") from None
        if not log_prob[-1] <= 0.0 or back_off[-1] != back_off[-1]:
            raise lines.error(f"expected log10 p of at most 0; got {_show(line)}.")
        if k == 1:
            if words.setdefault(fields[1], len(words)) != len(words) - 1 or len(words) != len(
                log_prob
            ):
                raise lines.error(f"the word {_show(fields[1])} appears twice.")
            ids.append(len(words) - 1)
        else:
            try:
                ids.extend([words[word] for word in fields[1 : k + 1]])
            except KeyError as error:
                raise lines.error(
                    f"the word {_show(error.args[0])} is not among the 1-grams."
                ) from None
    return _Section(
        np.array(ids, np.int64).reshape(-1, k), np.array(log_prob), np.array(back_off), first
    )


def _show(line: bytes) -> str:
    text = line.decode("utf-8", "replace")
    return repr(text if len(text) <= 60 else text[:57] + "...")


def _assemble(
    path: Path, words: list[bytes], sections: list[_Section], kind: str
) -> tuple[Trie, Vocabulary]:
    """The vocabulary, and the sections renumbered and sorted into a trie."""
    names = [_decode_word(word, kind, path) for word in words]
    upper = UNKNOWN.upper()
    if UNKNOWN not in names and upper in names:
        names[names.index(upper)] = UNKNOWN
    ends = END in names and sections[0].log_prob[names.index(END)] > _NEVER
    kept = [name for name in names if name not in (BEGIN, END)]
    if kind == "byte":
        vocabulary = Vocabulary.of_bytes()
    else:
        unknown = kept.index(UNKNOWN) if UNKNOWN in kept else None
        try:
            vocabulary = Vocabulary(tuple(kept), kind, unknown)
        except ParameterError as error:
            raise FileFormatError(
                f"{str(path)!r} has unigrams that are no {kind}: {error}"
            ) from None
    alphabet = Alphabet(len(vocabulary) + int(ends), ends, vocabulary.unknown)
    number = {name: i for i, name in enumerate(vocabulary.symbols)}
    number |= {BEGIN: alphabet.begin, END: alphabet.end}
    if any(name not in number for name in kept):
        name = next(name for name in kept if name not in number)
        raise FileFormatError(f"{str(path)!r} has the unigram {name!r}, which is no {kind}.")
    renumber = np.array([number[name] for name in names], np.int64)
    for section in sections:
        section.ids = renumber[section.ids]
        inside = (section.ids >= 0).all(axis=1)  # a stream has no use for <s> and </s>
        section.ids = section.ids[inside]
        section.log_prob, section.back_off = section.log_prob[inside], section.back_off[inside]
    return _sort(path, sections, alphabet), vocabulary


def _sort(path: Path, sections: list[_Section], alphabet: Alphabet) -> Trie:
    """Sort the n-grams breadth-first, filling in the beginnings that the file leaves out."""
    from arproc.ngram import arpa_kernels as kernels

    order = len(sections)
    code = [np.zeros(len(s.ids), np.int64) for s in sections]
    levels, symbol = [0, 1], [np.array([-1], np.int32)]
    log_prob, back_off, first_child = [np.zeros(1)], [np.zeros(1)], []
    for k in range(1, order + 1):
        keys = [code[j] * alphabet.size + sections[j].ids[:, k - 1] for j in range(k - 1, order)]
        wanted = np.arange(alphabet.size) if k == 1 else np.zeros(0, np.int64)
        unique, inverse = np.unique(np.concatenate([*keys, wanted]), return_inverse=True)
        bounds = np.cumsum([len(key) for key in keys])[:-1].tolist()
        code[k - 1 :] = np.split(inverse[: sum(map(len, keys))], bounds)
        own, section = code[k - 1], sections[k - 1]
        if len(np.unique(own)) < len(own):
            order_of = np.argsort(own, kind="stable")
            again = order_of[1:][np.diff(own[order_of]) == 0].min()
            raise FileFormatError(
                f"{str(path)!r}, near line {section.line + again}: a {k}-gram appears twice."
            )
        p, weight = np.full(len(unique), np.nan), np.zeros(len(unique))
        p[own], weight[own] = section.log_prob * _LN10, section.back_off * _LN10
        parents = levels[-1] - levels[-2]
        starts = np.searchsorted(unique, np.arange(parents) * alphabet.size)
        first_child.append((levels[-1] + starts).astype(np.int32))
        symbol.append((unique % alphabet.size).astype(np.int32))
        levels.append(levels[-1] + len(unique))
        log_prob.append(p)
        back_off.append(weight)
    first_child.append(np.array([levels[-1]], np.int32))
    if np.isnan(log_prob[1][: alphabet.symbols]).any():
        raise FileFormatError(f"{str(path)!r} has no 1-gram for some symbols that it uses.")
    log_prob[1][alphabet.symbols :] = -np.inf  # <s> is never predicted
    every = np.concatenate(log_prob)
    every[every <= _NEVER * _LN10] = -np.inf
    trie = Trie(
        alphabet, np.array(levels, np.int64), np.concatenate(symbol),
        np.zeros(levels[-1], np.int32), np.concatenate(first_child), every,
        np.concatenate(back_off[:-1]),
    )  # fmt: skip
    kernels.connect(trie.arrays)
    return trie


# ---- writing ---------------------------------------------------------------------------------


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
    path = Path(path)
    if not path.parent.is_dir():
        raise ParameterError(f"The folder {str(path.parent)!r} does not exist; create it first.")
    names = _names(trie.alphabet, vocabulary)
    compressed = path.suffix == ".gz"
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    try:
        with gzip.open(temporary, "wb", 6) if compressed else open(temporary, "wb") as file:
            for block in _blocks(trie, names):
                file.write(block)
        umask = os.umask(0)
        os.umask(umask)
        Path(temporary).chmod(0o666 & ~umask)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


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
    log_prob = np.maximum(trie.log_prob[nodes] / _LN10, _NEVER)
    if k == 1 and trie.alphabet.terminates:
        # as KenLM's lmplz has it; no reader predicts <s>
        log_prob = np.where(columns[:, 0] == trie.alphabet.begin, 0.0, log_prob)
    words = [b" ".join([names[w] for w in row]) for row in columns.tolist()]
    if k == trie.order:
        pairs = zip(log_prob.tolist(), words, strict=True)
        return b"".join([b"%.9g\t%b\n" % pair for pair in pairs])
    back_off = np.maximum(trie.back_off[nodes] / _LN10, _NEVER)
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


def _decode_word(word: bytes, kind: str, path: Path) -> str:
    try:
        name = word.decode("utf-8")
    except UnicodeDecodeError:
        raise FileFormatError(
            f"{str(path)!r} is not UTF-8 text: the word {word!r}; re-encode the file."
        ) from None
    try:
        if kind == "char" and name.startswith("<U+") and name.endswith(">"):
            return chr(int(name[3:-1], 16))
        if kind == "byte" and name.startswith("<0x") and name.endswith(">"):
            return chr(int(name[3:-1], 16))
    except ValueError:
        pass
    return name
