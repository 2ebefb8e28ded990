"""From the sections of an ARPA file, in any order, to the trie of its n-grams."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from arproc.errors import FileFormatError
from arproc.models.ngram.arpa.source import BLANKS, open_source, show
from arproc.models.ngram.arpa.vocabulary import Words
from arproc.models.ngram.arpa.write import LN10, NEVER
from arproc.models.ngram.backoff.trie import Trie
from arproc.models.ngram.counting.counts import Alphabet

__all__ = ["Section", "assemble", "in_order"]


@dataclass
class Section:
    """A file's k-grams in its order: numbers [n, k], log10 p [n], log10 back-off [n]."""

    ids: np.ndarray
    log_prob: np.ndarray
    back_off: np.ndarray


def in_order(
    path: Path, section: Section, size: int, words: Words, renumber: np.ndarray
) -> Section:
    """The section with its n-grams in ascending order."""
    from arproc.compiled.interpreted import suited
    from arproc.models.ngram.arpa import sort_kernels

    kernels = suited(sort_kernels, 2 * section.ids.size)
    if kernels.first_fault(section.ids) < 0:
        return section
    order = kernels.sort_rows(section.ids, size)
    ids, log_prob, back_off = kernels.taken(order, section.ids, section.log_prob, section.back_off)
    again = kernels.first_fault(ids)
    if again >= 0:
        gram = [words.spelling(int(np.argmax(renumber == w))) for w in ids[again]]
        raise _repeated(path, gram)
    return Section(ids, log_prob, back_off)


def _repeated(path: Path, gram: list[bytes]) -> FileFormatError:
    """What to raise about an n-gram that stands twice in a file, which is read again."""
    k, times = len(gram), 0
    with open_source(path) as source:
        for line in source:
            if line == f"\\{k}-grams:".encode():
                break
        for line in source:
            times += BLANKS.split(line)[1 : k + 1] == gram
            if times == 2:
                break
        return source.error(f"the {k}-gram {show(b' '.join(gram))} appears twice.")


def assemble(sections: list[Section], alphabet: Alphabet) -> Trie:
    """The trie of sorted sections, with the beginnings that the file leaves out filled in."""
    from arproc.compiled.interpreted import suited
    from arproc.models.ngram.arpa import sort_kernels

    kernels = suited(sort_kernels, 2 * sum(part.ids.size for part in sections))
    from arproc.models.ngram.backoff import query_kernels

    first = sections[0]
    single = Section(
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
            sections[k - 1] = Section(rows[:0], rows[:0], rows[:0])  # its memory is free
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
    suited(query_kernels, 8 * len(trie.symbol)).connect(trie.arrays)
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
