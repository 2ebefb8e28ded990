"""Several n-gram models as one: a linear interpolation that is again a back-off model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from arproc.contract.sequences import Sequences
from arproc.data.vocabulary import Vocabulary
from arproc.errors import (
    NotComparableError,
    ParameterError,
    UnsupportedError,
    check_array,
    check_list,
)
from arproc.inference.weights import fit_weights
from arproc.models.ngram.backoff.assembling import assemble, parents
from arproc.models.ngram.backoff.pruning import renormalised
from arproc.models.ngram.backoff.trie import Trie
from arproc.models.ngram.counting.counts import Alphabet
from arproc.models.ngram.law import NGramLaw, alphabet_of
from arproc.models.ngram.model import NGram, notes_of
from arproc.process import Fit
from arproc.spaces import Categorical

__all__ = ["interpolate"]


def interpolate(
    models: Sequence[NGram],
    weights: Sequence[float] | None = None,
    *,
    validation: Any = None,
    tolerance: float = 1e-9,
) -> NGram:
    """Mix n-gram models into one back-off model, as SRILM's `ngram -mix-lm` does.

    The result has the n-grams of all models. Each has the probability sum_k w_k p_k(w | h), where
    a model that does not have it backs off; the back-off weights are those that make every context
    add up to one (Stolcke 2002, "SRILM: an extensible language modeling toolkit"). That is one
    model, as fast as any, which can be saved, written as an ARPA file, pruned or filtered.

    Where it differs from `arproc.Mixture([...])`, which mixes at every step: an n-gram that *no*
    model has gets weight(h) p(w | h') here, one weight for all of these, and sum_k w_k p_k(w | h)
    there, each model with its own weight of backing off. N-grams that a model has, and everything
    of order 1, have the same probability in both.

    The vocabularies may differ if they are open: the result's is their union, in the order of the
    models; a word that a model does not know has probability 0 there (not that of `<unk>`, which
    is mixed with the other models' `<unk>`), and where it is in the history that model sees
    `<unk>`.

    Args:
        models: fitted models of one kind of symbols, that all end or all do not.
        weights: one a model, positive and summing to one; None to fit them.
        validation: data that no model was fitted on, for weights by EM, as `Mixture` does; of
            words that no model knows they have `<unk>`.
        tolerance: EM stops when an iteration gains less than this, in nats per element.

    Returns:
        A model of the highest order among them, with `mixture_weights_`, float64 [M].

    Raises:
        ParameterError: neither weights nor validation, or both; or wrong weights.
        NotComparableError: models of different kinds of symbols or ends, or closed vocabularies
            that differ.
        UnsupportedError: additive smoothing beyond order 1.

    Example:
        >>> import arproc
        >>> news = arproc.NGram(2, "witten_bell").fit(["a b", "a b b"])
        >>> talk = arproc.NGram(2, "witten_bell").fit(["a c", "c c"])
        >>> both = arproc.ngram.interpolate([news, talk], [0.5, 0.5])
        >>> both.vocabulary.symbols
        ('<unk>', 'a', 'b', 'c')
    """
    models = check_list("models", models)
    space = _union(models)
    numbers = [_numbers(model, space) for model in models]
    if (weights is None) == (validation is None):
        raise ParameterError(
            "Give either weights or validation data to fit them on, and not both."
        )
    if weights is None:
        sequences = Sequences.of(validation, space, name="validation")
        terms = [_terms(m, sequences, own) for m, own in zip(models, numbers, strict=True)]
        start = torch.full((len(models),), 1 / len(models), dtype=torch.float64)
        found = fit_weights(torch.stack(terms), start, tolerance)[0].numpy()
    else:
        found = _checked(weights, len(models))
    trie = renormalised(_mixed(models, numbers, found, space))
    first, notes = models[0], notes_of() | {"mixture_weights": found}
    fit = Fit(first.fit_.form, notes=notes)
    return NGram.of(NGramLaw(space, trie), fit, order=trie.order, tokens=first.tokens)


def _checked(weights: Sequence[float], count: int) -> np.ndarray:
    found = check_array("weights", weights)
    if found.shape != (count,) or not (found >= 0).all() or abs(found.sum() - 1) > 1e-6:
        raise ParameterError(
            f"weights must be {count} numbers, none negative, that sum to 1; got {weights!r}."
        )
    return found / found.sum()


# ---- one space ----------------------------------------------------------------------------------


def _union(models: Sequence[NGram]) -> Categorical:
    """The space of all models' symbols, the models checked."""
    if not models or not all(isinstance(model, NGram) for model in models):
        kinds = ", ".join(type(model).__name__ for model in models) or "nothing"
        raise ParameterError(f"models must be a list of NGram models; got {kinds}.")
    for model in models:
        trie = model.law_.trie
        if not trie.interpolated and trie.order > 1:
            raise UnsupportedError(
                "A model with additive smoothing does not back off, so it can not be part of one "
                "that does; mix it at every step with arproc.Mixture."
            )
    first = models[0].law_.space
    if all(model.space == first for model in models):
        return first
    vocabularies = [model.vocabulary for model in models]
    open_ones = all(type(v) is Vocabulary and v.unknown is not None for v in vocabularies)
    alike = open_ones and len({(v.kind, v.special) for v in vocabularies}) == 1
    if not alike or len({model.law_.space.terminates for model in models}) > 1:
        described = "; ".join(f"{m.vocabulary!r}, {_ending(m)}" for m in models)
        raise NotComparableError(
            "The models need symbols of one kind, all with or all without an end, and "
            f"vocabularies that differ must be open (unknown=True); got {described}."
        )
    base = vocabularies[0]
    symbols = dict.fromkeys(base.symbols)
    for v in vocabularies[1:]:
        symbols.update(dict.fromkeys(s for i, s in enumerate(v.symbols) if i != v.unknown))
    union = Vocabulary(tuple(symbols), base.kind, base.unknown, base.special)
    end = len(union) if first.terminates else None
    return Categorical(len(union) + int(first.terminates), union, end)


def _ending(model: NGram) -> str:
    return "which end" if model.law_.space.terminates else "without an end"


def _numbers(model: NGram, space: Categorical) -> np.ndarray:
    """The model's number of each symbol of the space, `<s>` included, int64; -1 for none."""
    alphabet = model.trie_.alphabet
    if model.space == space:
        return np.arange(alphabet.size)
    vocabulary = space.vocabulary
    assert vocabulary is not None
    assert vocabulary.unknown is not None
    assert alphabet.unknown is not None
    own = {symbol: number for number, symbol in enumerate(model.vocabulary.symbols)}
    found = [own.get(symbol, -1) for symbol in vocabulary.symbols]
    found[vocabulary.unknown] = alphabet.unknown
    return np.array([*found, alphabet.end, alphabet.begin][: space.size + alphabet.terminates])


def _terms(model: NGram, sequences: Sequences, numbers: np.ndarray) -> torch.Tensor:
    """The model's terms of sequences of the joint space, minus infinity at what it lacks."""
    values = numbers[sequences.values.numpy()]
    alphabet = model.trie_.alphabet
    known = np.where(values < 0, -1 if alphabet.unknown is None else alphabet.unknown, values)
    offsets, complete = sequences.offsets.numpy(), sequences.complete.numpy()
    terms = model.trie_.terms(known, offsets, complete)
    ends = complete & alphabet.terminates
    place = np.arange(len(values)) + np.repeat(np.cumsum(ends) - ends, np.diff(offsets))
    terms[place[values < 0]] = -np.inf
    return torch.from_numpy(terms)


# ---- one trie -----------------------------------------------------------------------------------


def _mixed(
    models: Sequence[NGram], numbers: Sequence[np.ndarray], weights: np.ndarray, space: Categorical
) -> Trie:
    """All models' n-grams with their mixed probabilities; the back-off weights are not set."""
    from arproc.models.ngram.backoff import edit_kernels as kernels

    alphabet = alphabet_of(space)
    tries = [model.trie_ for model in models]
    levels, parent, symbol = _joined(tries, numbers, alphabet)
    mixed = np.zeros(len(symbol))
    for trie, own, weight in zip(tries, numbers, weights, strict=True):
        stand_in = -1 if trie.alphabet.unknown is None else trie.alphabet.unknown
        kernels.add(trie.arrays, parent, symbol, own, stand_in, weight, mixed)
    with np.errstate(divide="ignore"):
        log_prob = np.log(mixed)
    log_prob[0] = 0.0
    widest = max(tries, key=lambda trie: trie.symbol.dtype.itemsize)
    return assemble(alphabet, levels, parent, symbol, log_prob, np.zeros(len(symbol)), widest)


def _joined(
    tries: Sequence[Trie], numbers: Sequence[np.ndarray], alphabet: Alphabet
) -> tuple[list[int], np.ndarray, np.ndarray]:
    """The n-grams of all tries: where their orders begin, their parents and their symbols."""
    names = []  # each trie's symbols in the joint numbers
    for trie, own in zip(tries, numbers, strict=True):
        joint = np.zeros(trie.alphabet.size, np.int64)
        joint[own[own >= 0]] = np.flatnonzero(own >= 0)
        names.append(joint)
    above = [parents(trie) for trie in tries]
    place = [np.zeros(len(trie.symbol), np.int64) for trie in tries]
    levels, parent, symbol = [0, 1], [np.zeros(1, np.int64)], [np.zeros(1, np.int64)]
    for k in range(1, max(trie.order for trie in tries) + 1):
        keys, slices = [], []
        for i, trie in enumerate(tries):
            inside = slice(*trie.levels[k : k + 2].tolist()) if k <= trie.order else slice(0, 0)
            above_it, last = place[i][above[i][inside]], names[i][trie.symbol[inside]]
            keys.append(above_it * alphabet.size + last)
            slices.append(inside)
        every = np.unique(np.concatenate(keys))
        for i, inside in enumerate(slices):
            place[i][inside] = levels[-1] + np.searchsorted(every, keys[i])
        levels.append(levels[-1] + len(every))
        parent.append(every // alphabet.size)
        symbol.append(every % alphabet.size)
    return levels, np.concatenate(parent), np.concatenate(symbol)
