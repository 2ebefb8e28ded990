"""Reading ARPA files, as KenLM, SRILM and others write them, plain or compressed.

The lines go through compiled code, a buffer at a time, into flat arrays; the n-grams may stand
in any order. What is wrong with a line that the compiled code will not take is said by
`_diagnose`, which looks at it again at leisure.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from arproc.data.vocabulary import Vocabulary
from arproc.models.ngram.arpa.assemble import Section, assemble, in_order
from arproc.models.ngram.arpa.source import BLANKS, Source, open_source, read_header, show
from arproc.models.ngram.arpa.vocabulary import Words, decode, enlarged, numbers_of, vocabulary_of
from arproc.models.ngram.arpa.write import END, NEVER
from arproc.models.ngram.backoff.trie import Trie
from arproc.models.ngram.counting.counts import Alphabet

__all__ = ["read_arpa"]

_NUMBER = re.compile(rb"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?|[+-]?(inf|infinity|nan)", re.IGNORECASE)
_ROOM = 2**16  # of a table at first; the header's counts are not trusted with more


def read_arpa(
    path: str | Path, kind: str = "word", special: str = "error"
) -> tuple[Trie, Vocabulary]:
    """Read an ARPA file into a trie and its vocabulary.

    The numbers are the file's own, whether they add up or not: an n-gram whose beginning is
    missing in the file is put in with what backing off gives. A file without `</s>`, or with
    log10 p = -99 for it, is a
    stream without ends. A log10 of at most -99 is that of zero.

    Args:
        path: the file, plain or compressed by gzip, bzip2 or xz.
        kind: what a word of the file is: "word", "char" or "byte".
        special: what special symbols in texts are; see `Vocabulary`.

    Raises:
        FileFormatError: the file is malformed; the message names the line.
    """
    with open_source(path) as source:
        sizes = read_header(source)
        words = Words()
        first = _read_unigrams(source, words, sizes[0], len(sizes) == 1)
        names = decode(source, words, len(first.log_prob), kind)
        ends = END in names and first.log_prob[names.index(END)] > NEVER
        vocabulary = vocabulary_of(source, names, kind, special)
        alphabet = Alphabet(len(vocabulary) + int(ends), ends, vocabulary.unknown)
        renumber = numbers_of(source, names, vocabulary, alphabet, kind)
        first.ids = renumber[:, None]
        sections = [first]
        for k, size in enumerate(sizes[1:], 2):
            _check_title(source, f"\\{k}-grams:", next((line for line in source if line), b""))
            section = _read_ngrams(source, words, renumber, size, k, k == len(sizes))
            sections.append(in_order(source.path, section, alphabet.size, words, renumber))
        _check_title(source, "\\end\\", next((line for line in source if line), b""))
    return assemble(sections, alphabet), vocabulary


def _check_title(source: Source, expected: str, line: bytes) -> None:
    if line != expected.encode():
        raise source.error(f"expected {expected}; got {show(line)}.")


def _read_unigrams(source: Source, words: Words, size: int, last: bool) -> Section:
    from arproc.compiled.interpreted import suited
    from arproc.models.ngram.arpa import scan_kernels

    kernels = suited(scan_kernels, source.end - source.begin)
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
            word = show(BLANKS.split(_next_line(source, progress))[1])
            told = "appears twice" if why == kernels.TWICE else "can not be told from another one"
            raise source.error(f"the word {word} {told}.")
        _go_on(source, progress, why, 1, size, last, words)
        if why == kernels.FULL:
            room = min(size, 2 * room)
            log_prob, back_off = enlarged(log_prob, room), enlarged(back_off, room)
    return Section(np.empty((0, 1), np.int32), log_prob, back_off)


def _read_ngrams(
    source: Source, words: Words, renumber: np.ndarray, size: int, k: int, last: bool
) -> Section:
    from arproc.compiled.interpreted import suited
    from arproc.models.ngram.arpa import scan_kernels

    kernels = suited(scan_kernels, source.end - source.begin)
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
            ids, log_prob = enlarged(ids, room), enlarged(log_prob, room)
            back_off = back_off if last else enlarged(back_off, room)
    kept = int(progress[3])  # a stream has no use for <s> and </s>
    return Section(ids[:kept], log_prob[:kept], back_off[:kept])


def _go_on(
    source: Source, progress: np.ndarray, why: int, k: int, size: int, last: bool, words: Words
) -> None:
    """Take what a kernel has read; get more, or raise what is wrong."""
    from arproc.models.ngram.arpa import scan_kernels as kernels

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


def _diagnose(line: bytes, k: int, last: bool, words: Words) -> str:
    """What is wrong with a line of k-grams."""
    fields = BLANKS.split(line)
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
