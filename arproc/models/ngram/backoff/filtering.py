"""An n-gram model of fewer words: what the others had goes to `<unk>`."""

from __future__ import annotations

from collections.abc import Iterable, Set
from itertools import pairwise

import numpy as np

from arproc.data.symbols import UNKNOWN
from arproc.data.vocabulary import Vocabulary
from arproc.errors import ParameterError, UnsupportedError, check_list
from arproc.models.ngram.backoff.assembling import assemble, parents
from arproc.models.ngram.backoff.trie import Trie
from arproc.models.ngram.counting.counts import Alphabet

__all__ = ["filtered", "fold", "renumbered", "with_unknown"]

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
    wanted = _wanted(vocabulary, words)
    fewer = _without(vocabulary, wanted)
    place = {symbol: number for number, symbol in enumerate(fewer.symbols)}
    lost = -1 if fewer.unknown is None else fewer.unknown
    numbers = [place.get(symbol, lost) for symbol in vocabulary.symbols]
    if vocabulary.unknown is not None:
        numbers[vocabulary.unknown] = lost
    alphabet = trie.alphabet
    new = Alphabet(len(fewer) + int(alphabet.terminates), alphabet.terminates, fewer.unknown)
    ends = [len(fewer), len(fewer) + 1] if alphabet.terminates else []
    found = np.array([*numbers, *ends], np.int64)
    if len(fewer) == len(vocabulary):  # all of them, in another order perhaps
        same = bool((np.diff(found) == 1).all())
        return fewer, trie if same else renumbered(trie, found, new)
    return fewer, fold(trie, found, new)


def _wanted(vocabulary: Vocabulary, words: Vocabulary | Iterable[str]) -> list[str]:
    """The symbols that are wanted, each once, in their order; `<unk>` where they say where."""
    listed = words.symbols if isinstance(words, Vocabulary) else words
    if isinstance(listed, (str, bytes)) and vocabulary.kind != "char":
        raise ParameterError(f"words must be a list of words or a Vocabulary; got {words!r}.")
    listed = listed if isinstance(listed, (str, bytes)) else check_list("words", listed)
    wanted = dict.fromkeys(word for word in listed if isinstance(word, str))
    unknown = None if vocabulary.unknown is None else vocabulary.symbols[vocabulary.unknown]
    if not any(symbol in wanted for symbol in vocabulary.symbols if symbol != unknown):
        raise ParameterError(
            f"None of the {len(wanted)} words is in the model's vocabulary of {len(vocabulary)}; "
            "expected some that are."
        )
    if isinstance(words, Set):  # which has no order: the model's own
        return [symbol for symbol in vocabulary.symbols if symbol in wanted or symbol == unknown]
    return list(wanted)


def _without(vocabulary: Vocabulary, wanted: list[str]) -> Vocabulary:
    """The vocabulary of the wanted symbols in their order, open unless there are no others.

    `<unk>` is where the list has it; else, as everywhere, before words and behind characters.
    """
    known = set(vocabulary.symbols)
    kept = [symbol for symbol in wanted if symbol in known]
    if vocabulary.unknown is None and len(kept) == len(known):
        return Vocabulary(tuple(kept), vocabulary.kind, None, vocabulary.special)
    mark = UNKNOWN if vocabulary.unknown is None else vocabulary.symbols[vocabulary.unknown]
    if mark in wanted:
        before = set(wanted[: wanted.index(mark)])
        kept = [symbol for symbol in kept if symbol != mark]
        at = sum(symbol in before for symbol in kept)
    else:
        at = len(kept) if vocabulary.kind == "char" else 0
    kept.insert(at, mark)
    return Vocabulary(tuple(kept), vocabulary.kind, at, vocabulary.special)


def renumbered(trie: Trie, numbers: np.ndarray, alphabet: Alphabet) -> Trie:
    """The same model with other numbers for its symbols.

    Args:
        trie: a back-off model.
        numbers: the new number of each symbol, begin and end included, int64 [size].
        alphabet: the new symbols' numbers.
    """
    above = parents(trie)
    place = np.zeros(len(trie.symbol), np.int64)
    order = [np.zeros(1, np.int64)]
    for low, high in pairwise(trie.levels[1:].tolist()):
        new = low + np.lexsort((numbers[trie.symbol[low:high]], place[above[low:high]]))
        place[new] = np.arange(low, high)
        order.append(new)
    old = np.concatenate(order)
    back_off = np.zeros(len(old), trie.back_off.dtype)
    back_off[: len(trie.back_off)] = trie.back_off
    symbol = numbers[trie.symbol[old]]
    symbol[0] = 0
    return assemble(
        alphabet, trie.levels, place[above[old]], symbol, trie.log_prob[old], back_off[old], trie
    )


def with_unknown(trie: Trie, vocabulary: Vocabulary, log_prob: float) -> tuple[Trie, Vocabulary]:
    """A model of a closed vocabulary, with `<unk>` put in as one more single symbol.

    Args:
        trie: a back-off model; what its probabilities add up to afterwards is for the caller.
        vocabulary: its symbols, closed.
        log_prob: of `<unk>`, nats.
    """
    own, number = trie.alphabet, len(vocabulary)
    opened = Vocabulary(
        (*vocabulary.symbols, UNKNOWN), vocabulary.kind, number, vocabulary.special
    )
    at = 1 + number  # single symbols stand in the order of their numbers
    levels = np.concatenate([trie.levels[:2], trie.levels[2:] + 1])
    above, symbol = parents(trie), trie.symbol.astype(np.int64)
    back_off = np.zeros(len(symbol))
    back_off[: len(trie.back_off)] = trie.back_off
    symbol[1:] += symbol[1:] >= number
    columns = (
        (above + (above >= at), 0), (symbol, number), (trie.log_prob, log_prob), (back_off, 0.0),
    )  # fmt: skip
    parent, symbol, log_probs, back_off = [np.insert(old, at, new) for old, new in columns]
    alphabet = Alphabet(own.symbols + 1, own.terminates, number)
    return assemble(alphabet, levels, parent, symbol, log_probs, back_off, trie), opened


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
