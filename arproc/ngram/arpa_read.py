"""Reading ARPA files, plain or gzip, as KenLM and SRILM write them."""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from arproc.errors import FileFormatError, ParameterError
from arproc.ngram.arpa_write import BEGIN, END, LN10, NEVER
from arproc.ngram.counts import Alphabet
from arproc.ngram.trie import Trie
from arproc.text import UNKNOWN, Vocabulary

__all__ = ["read_arpa"]


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


def read_arpa(
    path: str | Path, kind: str = "word", special: str = "error"
) -> tuple[Trie, Vocabulary]:
    """Read an ARPA file into a trie and its vocabulary.

    The distribution is the file's own: an n-gram whose beginning is missing in the file is put
    in with what backing off gives. A file without `</s>`, or with log10 p = -99 for it, is a
    stream without ends.

    Args:
        path: the file, plain or gzip.
        kind: what a word of the file is: "word", "char" or "byte".
        special: what special symbols in texts are; see `Vocabulary`.

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
    return _assemble(path, words, sections, kind, special)


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
    path: Path, words: list[bytes], sections: list[_Section], kind: str, special: str
) -> tuple[Trie, Vocabulary]:
    """The vocabulary, and the sections renumbered and sorted into a trie."""
    names = [_decode_word(word, kind, path) for word in words]
    upper = UNKNOWN.upper()
    if UNKNOWN not in names and upper in names:
        names[names.index(upper)] = UNKNOWN
    ends = END in names and sections[0].log_prob[names.index(END)] > NEVER
    kept = [name for name in names if name not in (BEGIN, END)]
    if kind == "byte":
        vocabulary = Vocabulary.of_bytes()
    else:
        unknown = kept.index(UNKNOWN) if UNKNOWN in kept else None
        try:
            vocabulary = Vocabulary(tuple(kept), kind, unknown, special)
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
    from arproc.ngram import query_kernels as kernels

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
        p[own], weight[own] = section.log_prob * LN10, section.back_off * LN10
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
    every[every <= NEVER * LN10] = -np.inf
    weights = np.concatenate(back_off[:-1])
    weights[weights <= NEVER * LN10] = -np.inf
    trie = Trie(
        alphabet, np.array(levels, np.int64), np.concatenate(symbol),
        np.zeros(levels[-1], np.int32), np.concatenate(first_child), every,
        weights,
    )  # fmt: skip
    kernels.connect(trie.arrays)
    return trie


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
