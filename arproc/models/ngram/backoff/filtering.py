"""An n-gram model of fewer words: what the others had goes to `<unk>`."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from arproc.data.vocabulary import UNKNOWN, Vocabulary
from arproc.errors import ParameterError, UnsupportedError, check_list
from arproc.models.ngram.backoff.assembling import assemble, parents
from arproc.models.ngram.backoff.trie import Trie
from arproc.models.ngram.counting.counts import Alphabet

__all__ = ["filtered", "fold"]

_KINDS = ("word", "char", "symbols")


def filtered(
    trie: Trie, vocabulary: Vocabulary | None, words: Vocabulary | Iterable[str]
) -> tuple[Vocabulary, Trie]:
    """See `NGram.filtered`."""
    if not isinstance(vocabulary, Vocabulary) or vocabulary.kind not in _KINDS:
        kind = "numbers" if vocabulary is None else f"a vocabulary of kind {vocabulary.kind!r}"
        raise UnsupportedError(
            f"Only models of words, characters or symbols can be filtered; this one has {kind}."
        )
    if not trie.interpolated and trie.order > 1:
        raise UnsupportedError(
            "Additive smoothing does not back off, so what a filtered n-gram leaves is not given "
            "by shorter ones; fit with another smoothing to filter."
        )
    keep = _known(vocabulary, words)
    if keep.all():
        return vocabulary, trie
    fewer, numbers = _without(vocabulary, keep)
    alphabet = trie.alphabet
    new = Alphabet(len(fewer) + int(alphabet.terminates), alphabet.terminates, fewer.unknown)
    ends = [len(fewer), len(fewer) + 1] if alphabet.terminates else []
    return fewer, fold(trie, np.append(numbers, ends).astype(np.int64), new)


def _known(vocabulary: Vocabulary, words: Vocabulary | Iterable[str]) -> np.ndarray:
    """Which symbols of the vocabulary are among the words, bool [V]; `<unk>` always is."""
    listed = words.symbols if isinstance(words, Vocabulary) else words
    if isinstance(listed, (str, bytes)) and vocabulary.kind != "char":
        raise ParameterError(f"words must be a list of words or a Vocabulary; got {words!r}.")
    listed = listed if isinstance(listed, (str, bytes)) else check_list("words", listed)
    wanted = {word for word in listed if isinstance(word, str)}
    keep = np.array([symbol in wanted for symbol in vocabulary.symbols])
    if vocabulary.unknown is not None:
        keep[vocabulary.unknown] = False
    if not keep.any():
        raise ParameterError(
            f"None of the {len(wanted)} words is in the model's vocabulary of {len(vocabulary)}; "
            "expected some that are."
        )
    if vocabulary.unknown is not None:
        keep[vocabulary.unknown] = True
    return keep


def _without(vocabulary: Vocabulary, keep: np.ndarray) -> tuple[Vocabulary, np.ndarray]:
    """The open vocabulary of the symbols that are kept, and each old symbol's number there."""
    kept = [symbol for symbol, stays in zip(vocabulary.symbols, keep, strict=True) if stays]
    numbers = np.cumsum(keep) - 1
    if vocabulary.unknown is not None:
        unknown = int(numbers[vocabulary.unknown])
    elif vocabulary.kind == "char":
        kept, unknown = [*kept, UNKNOWN], len(kept)
    else:
        kept, unknown = [UNKNOWN, *kept], 0
        numbers = numbers + 1
    fewer = Vocabulary(tuple(kept), vocabulary.kind, unknown, vocabulary.special)
    return fewer, np.where(keep, numbers, unknown)


def fold(trie: Trie, numbers: np.ndarray, alphabet: Alphabet) -> Trie:
    """The model in which several symbols, together, are `<unk>`.

    Args:
        trie: a back-off model.
        numbers: the new number of each symbol, begin and end included, int64 [size]; those that
            become `<unk>`, and it itself, have the number `alphabet.unknown`.
        alphabet: the new symbols' numbers.
    """
    from arproc.models.ngram.backoff import edit_kernels as kernels

    own, unknown = trie.alphabet, alphabet.unknown
    assert unknown is not None
    lost = numbers == unknown
    goes = lost.copy()  # what may stand in no n-gram
    if own.unknown is not None:
        goes[own.unknown] = False
    above = parents(trie)
    kept = np.ones(len(trie.symbol), bool)
    for k in range(1, trie.order + 1):
        level = slice(int(trie.levels[k]), int(trie.levels[k + 1]))
        kept[level] = kept[above[level]] & ~goes[trie.symbol[level]]
    mass, told = kernels.folded(trie.arrays, kept, lost)
    return _with_unknown(trie, numbers, alphabet, above, kept, mass, told)


def _with_unknown(
    trie: Trie,
    numbers: np.ndarray,
    alphabet: Alphabet,
    above: np.ndarray,
    kept: np.ndarray,
    mass: np.ndarray,
    told: np.ndarray,
) -> Trie:
    """The kept n-grams, and `<unk>` with its mass after each context that tells it."""
    with np.errstate(divide="ignore"):
        log_mass = np.log(mass)
    back_offs = np.zeros(len(trie.symbol), trie.back_off.dtype)
    back_offs[: len(trie.back_off)] = trie.back_off
    place = np.zeros(len(trie.symbol), np.int64)  # of a kept n-gram, in the new trie
    levels = [0, 1]
    columns: list[list[np.ndarray]] = [[np.zeros(1, np.int64)], [np.zeros(1, np.int64)],
                                       [trie.log_prob[:1]], [trie.back_off[:1]]]  # fmt: skip
    for k in range(1, trie.order + 1):
        low, high = int(trie.levels[k]), int(trie.levels[k + 1])
        old = low + np.flatnonzero(kept[low:high])
        symbol = numbers[trie.symbol[old]]
        log_prob = trie.log_prob[old].astype(np.float64)
        says = (symbol == alphabet.unknown) & told[above[old]]
        log_prob[says] = log_mass[above[old][says]]
        contexts = int(trie.levels[k - 1]) + np.flatnonzero(
            told[trie.levels[k - 1] : low] & kept[trie.levels[k - 1] : low]
        )
        fresh = np.setdiff1d(contexts, above[old][says])
        parent = np.concatenate([place[above[old]], place[fresh]])
        symbol = np.concatenate([symbol, np.full(len(fresh), alphabet.unknown)])
        order = np.lexsort((symbol, parent))
        where = np.empty(len(order), np.int64)
        where[order] = levels[-1] + np.arange(len(order))
        place[old] = where[: len(old)]
        levels.append(levels[-1] + len(order))
        columns[0].append(parent[order])
        columns[1].append(symbol[order])
        columns[2].append(np.concatenate([log_prob, log_mass[fresh]])[order])
        columns[3].append(np.concatenate([back_offs[old], np.zeros(len(fresh))])[order])
    parent, symbol, log_prob, back_off = [np.concatenate(parts) for parts in columns]
    return assemble(alphabet, levels, parent, symbol, log_prob, back_off, like=trie)
