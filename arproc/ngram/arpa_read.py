"""Reading ARPA files, as KenLM, SRILM and others write them, plain or compressed.

The lines go through compiled code, a buffer at a time, into flat arrays; the n-grams may stand
in any order. What is wrong with a line that the compiled code will not take is said by
`_diagnose`, which looks at it again at leisure.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from arproc.errors import FileFormatError, ParameterError
from arproc.ngram.arpa_source import Source, open_source, show
from arproc.ngram.arpa_write import BEGIN, END, LN10, NEVER
from arproc.ngram.counts import Alphabet
from arproc.ngram.trie import Trie
from arproc.text import UNKNOWN, Vocabulary

__all__ = ["read_arpa"]

_BLANKS = re.compile(rb"[ \t\r]+")
_NUMBER = re.compile(rb"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?|[+-]?(inf|infinity|nan)", re.IGNORECASE)
#: What other files of n-grams begin with, and what to do about them.
_FOREIGN = {
    b"mmap lm http": "a binary file of KenLM's; read the ARPA file that it was built from",
    b"blmt": "a binary file of IRSTLM's; write an ARPA file with compile-lm --text yes",
    b"iARPA": "IRSTLM's iARPA, which holds no probabilities; convert it by compile-lm --text yes",
    b"qARPA": "IRSTLM's quantised qARPA; convert it by compile-lm --text yes",
}
_ROOM = 2**16  # of a table at first; the header's counts are not trusted with more


@dataclass
class _Section:
    """A file's k-grams in its order: numbers [n, k], log10 p [n], log10 back-off [n]."""

    ids: np.ndarray
    log_prob: np.ndarray
    back_off: np.ndarray


class _Words:
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
        from arproc.ngram import arpa_scan_kernels as kernels

        if used + more > len(self.letters):
            self.letters = _enlarged(self.letters, 2 * (used + more))
        if words + 1 > len(self.starts):
            self.starts = _enlarged(self.starts, words + 1)
        if 2 * words > len(self.slots):
            self.slots = kernels.rehashed(self.slots, 1 << (2 * words).bit_length())


def read_arpa(
    path: str | Path, kind: str = "word", special: str = "error"
) -> tuple[Trie, Vocabulary]:
    """Read an ARPA file into a trie and its vocabulary.

    The distribution is the file's own: an n-gram whose beginning is missing in the file is put
    in with what backing off gives. A file without `</s>`, or with log10 p = -99 for it, is a
    stream without ends. A log10 of at most -99 is that of zero.

    Args:
        path: the file, plain or compressed by gzip, bzip2 or xz.
        kind: what a word of the file is: "word", "char" or "byte".
        special: what special symbols in texts are; see `Vocabulary`.

    Raises:
        FileFormatError: the file is malformed; the message names the line.
    """
    with open_source(path) as source:
        sizes = _read_header(source)
        words = _Words()
        first = _read_unigrams(source, words, sizes[0], len(sizes) == 1)
        names = _decode(source, words, len(first.log_prob), kind)
        ends = END in names and first.log_prob[names.index(END)] > NEVER
        vocabulary = _vocabulary(source, names, kind, special)
        alphabet = Alphabet(len(vocabulary) + int(ends), ends, vocabulary.unknown)
        renumber = _renumber(source, names, vocabulary, alphabet, kind)
        first.ids = renumber[:, None]
        sections = [first]
        for k, size in enumerate(sizes[1:], 2):
            _check_title(source, f"\\{k}-grams:", next((line for line in source if line), b""))
            section = _read_ngrams(source, words, renumber, size, k, k == len(sizes))
            sections.append(_sorted(source, section, alphabet.size, words, renumber))
        _check_title(source, "\\end\\", next((line for line in source if line), b""))
    return _trie(sections, alphabet), vocabulary


# ---- the parts of a file ---------------------------------------------------------------------


def _read_header(source: Source) -> list[int]:
    for line in source:
        if line.removeprefix(b"\xef\xbb\xbf") == b"\\data\\":
            break
        known = next((what for start, what in _FOREIGN.items() if line.startswith(start)), None)
        if known is not None:
            raise source.error(f"this is no ARPA file but {known}.")
    else:
        raise source.error("the file has no line \\data\\, so it is not an ARPA file.")
    sizes: list[int] = []
    for line in source:
        if not line:
            continue
        if line == b"\\1-grams:":
            break
        left, equals, right = line.partition(b"=")
        fields = left.split()
        ok = equals and len(fields) == 2 and fields[0] == b"ngram" and right.strip().isdigit()
        if not ok or fields[1] != b"%d" % (len(sizes) + 1):
            raise source.error(
                f"expected 'ngram {len(sizes) + 1}=count' or \\1-grams:; got {show(line)}."
            )
        sizes.append(int(right))
        if sum(sizes) >= 2**31:
            raise source.error(f"this reads up to 2,147,483,647 n-grams; got {show(line)}.")
    else:
        raise source.error("the file ends before \\1-grams:.")
    if not sizes:
        raise source.error("no 'ngram 1=count' stands between \\data\\ and \\1-grams:.")
    return sizes


def _check_title(source: Source, expected: str, line: bytes) -> None:
    if line != expected.encode():
        raise source.error(f"expected {expected}; got {show(line)}.")


def _read_unigrams(source: Source, words: _Words, size: int, last: bool) -> _Section:
    from arproc.ngram import arpa_scan_kernels as kernels

    room = min(size, _ROOM)
    log_prob, back_off = np.empty(room), np.empty(room)
    progress = np.zeros(4, np.int64)
    while progress[2] < size:
        progress[:2] = source.begin, 0
        words.make_room(room, int(progress[3]), source.end - source.begin)
        why = kernels.unigrams(
            source.text, source.end, last, words.table, size, log_prob, back_off, progress
        )
        if why in (kernels.TWICE, kernels.COLLISION):
            word = show(_BLANKS.split(_next_line(source, progress))[1])
            told = "appears twice" if why == kernels.TWICE else "can not be told from another one"
            raise source.error(f"the word {word} {told}.")
        _go_on(source, progress, why, 1, size, last, words)
        if why == kernels.FULL:
            room = min(size, 2 * room)
            log_prob, back_off = _enlarged(log_prob, room), _enlarged(back_off, room)
    return _Section(np.empty((0, 1), np.int32), log_prob, back_off)


def _read_ngrams(
    source: Source, words: _Words, renumber: np.ndarray, size: int, k: int, last: bool
) -> _Section:
    from arproc.ngram import arpa_scan_kernels as kernels

    room = min(size, _ROOM)
    ids, log_prob = np.empty((room, k), np.int32), np.empty(room)
    back_off = np.empty(0 if last else room)
    progress = np.zeros(4, np.int64)
    while progress[2] < size:
        progress[:2] = source.begin, 0
        why = kernels.ngrams(
            source.text, source.end, last, words.slots, renumber, size, ids, log_prob, back_off,
            progress,
        )  # fmt: skip
        _go_on(source, progress, why, k, size, last, words)
        if why == kernels.FULL and progress[2] < size:
            room = min(size, 2 * room)
            ids, log_prob = _enlarged(ids, room), _enlarged(log_prob, room)
            back_off = back_off if last else _enlarged(back_off, room)
    kept = int(progress[3])  # a stream has no use for <s> and </s>
    return _Section(ids[:kept], log_prob[:kept], back_off[:kept])


def _go_on(
    source: Source, progress: np.ndarray, why: int, k: int, size: int, last: bool, words: _Words
) -> None:
    """Take what a kernel has read; get more, or raise what is wrong."""
    from arproc.ngram import arpa_scan_kernels as kernels

    source.begin, source.number = int(progress[0]), source.number + int(progress[1])
    if why == kernels.BAD:
        raise source.error(_diagnose(_next_line(source, progress), k, last, words))
    ended = why == kernels.MORE and progress[2] < size and not source.refill()
    if ended or why == kernels.TITLE:
        then = "the end of the file" if ended else show(source.line() or b"")
        raise source.error(
            f"expected {size} {k}-grams as the header says; got {progress[2]}, then {then}."
        )


def _next_line(source: Source, progress: np.ndarray) -> bytes:
    """The line that a kernel stopped at, taken."""
    if source.begin != progress[0]:
        source.begin, source.number = int(progress[0]), source.number + int(progress[1])
    return source.line() or b""


def _diagnose(line: bytes, k: int, last: bool, words: _Words) -> str:
    """What is wrong with a line of k-grams."""
    fields = _BLANKS.split(line)
    if len(fields) not in (k + 1, k + 2):
        more = "" if last else ", then perhaps a back-off"
        return f"expected log10 p and {k} word(s){more}; got {show(line)}."
    if not all(_NUMBER.fullmatch(field) for field in (fields[0], *fields[k + 1 :])):
        return f"expected numbers around the words; got {show(line)}."
    back_off = float(fields[k + 1]) if len(fields) == k + 2 else 0.0
    if last and back_off != 0.0:
        return f"expected log10 p and {k} word(s), for no longer n-grams follow; got {show(line)}."
    if not float(fields[0]) <= 0.0:
        return f"expected log10 p of at most 0; got {show(line)}."
    if not back_off < np.inf:
        return f"expected a finite back-off; got {show(line)}."
    known = set(words.letters.tobytes().split(b"\n"))
    unknown = next((word for word in fields[1 : k + 1] if word not in known), b"")
    return f"the word {show(unknown)} is not among the 1-grams."


# ---- the vocabulary --------------------------------------------------------------------------


def _decode(source: Source, words: _Words, n: int, kind: str) -> list[str]:
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


def _vocabulary(source: Source, names: list[str], kind: str, special: str) -> Vocabulary:
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


def _renumber(
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
        _read_header(source)
        for line in source:
            row -= bool(line)
            if row < 0:
                break
        return source.number


# ---- the n-grams -----------------------------------------------------------------------------


def _sorted(
    source: Source, section: _Section, size: int, words: _Words, renumber: np.ndarray
) -> _Section:
    """The section with its n-grams in ascending order."""
    from arproc.ngram import arpa_sort_kernels as kernels

    if kernels.first_fault(section.ids) < 0:
        return section
    order = kernels.sort_rows(section.ids, size)
    ids, log_prob, back_off = kernels.taken(order, section.ids, section.log_prob, section.back_off)
    again = kernels.first_fault(ids)
    if again >= 0:
        gram = [words.spelling(int(np.argmax(renumber == w))) for w in ids[again]]
        raise _repeated(source.path, gram)
    return _Section(ids, log_prob, back_off)


def _repeated(path: Path, gram: list[bytes]) -> FileFormatError:
    """What to raise about an n-gram that stands twice in a file, which is read again."""
    k, times = len(gram), 0
    with open_source(path) as source:
        for line in source:
            if line == f"\\{k}-grams:".encode():
                break
        for line in source:
            times += _BLANKS.split(line)[1 : k + 1] == gram
            if times == 2:
                break
        return source.error(f"the {k}-gram {show(b' '.join(gram))} appears twice.")


def _trie(sections: list[_Section], alphabet: Alphabet) -> Trie:
    """The trie of sorted sections, with the beginnings that the file leaves out filled in."""
    from arproc.ngram import arpa_sort_kernels as kernels
    from arproc.ngram import query_kernels

    first = sections[0]
    single = _Section(
        np.arange(alphabet.size, dtype=np.int32)[:, None],
        np.full(alphabet.size, -np.inf),
        np.zeros(alphabet.size),
    )
    inside = first.ids[:, 0] >= 0
    own = first.ids[inside, 0]
    single.log_prob[own], single.back_off[own] = first.log_prob[inside], first.back_off[inside]
    single.log_prob[alphabet.symbols :] = -np.inf  # <s> is never predicted
    sections[0] = single
    symbol, log_prob, back_off, first_child = [], [], [], []
    rows = sections[-1].ids
    source = np.arange(len(rows), dtype=np.int32)
    for k in range(len(sections), 0, -1):
        section = sections[k - 1]
        symbol.append(rows[:, -1].copy())
        log_prob.append(_filled(section.log_prob, source, np.nan))
        if k < len(sections):
            back_off.append(_filled(section.back_off, source, 0.0))
        if k > 1:
            source, rows, children = kernels.join(sections[k - 2].ids, rows)
            first_child.append(children[:-1])
            sections[k - 1] = _Section(rows[:0], rows[:0], rows[:0])  # its memory is free
    levels = np.cumsum([0, 1, *map(len, reversed(symbol))])
    starts = [np.ones(1, np.int64)]
    starts += [c + levels[k] for k, c in enumerate(reversed(first_child), 2)]
    trie = Trie(
        alphabet,
        levels.astype(np.int64),
        np.concatenate([np.array([-1], np.int32), *reversed(symbol)]),
        np.zeros(levels[-1], np.int32),
        np.concatenate([*starts, levels[-1:]]).astype(np.int32),
        _natural(np.concatenate([np.zeros(1), *reversed(log_prob)])),
        _natural(np.concatenate([np.zeros(1), *reversed(back_off)])),
    )
    query_kernels.connect(trie.arrays)
    return trie


def _filled(values: np.ndarray, source: np.ndarray, missing: float) -> np.ndarray:
    """values[source], with what is missing where source is -1."""
    if len(source) == len(values):  # nothing is missing, so all are in order
        return values
    out, here = np.full(len(source), missing), source >= 0
    out[here] = values[source[here]]
    return out


def _natural(log10: np.ndarray) -> np.ndarray:
    """Natural logarithms of what has log10; at most -99 is zero."""
    log10[log10 <= NEVER] = -np.inf
    log10 *= LN10
    return log10


def _enlarged(array: np.ndarray, length: int) -> np.ndarray:
    out = np.zeros((length, *array.shape[1:]), array.dtype)
    out[: len(array)] = array
    return out
