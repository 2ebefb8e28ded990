"""Compiled loops that make one back-off model of another: renormalised, pruned, filtered, mixed.

`model` is always the tuple `Trie.arrays`.
"""

from __future__ import annotations

import numpy as np

from arproc.compiled.jit import Int, jit
from arproc.models.ngram.backoff.query_kernels import step

#: Where less than this (or this share) is left of a difference, it is added up instead.
_CANCELLING = 1e-6
#: What is missing to one by rounding alone.
_ROUNDING = 1e-12


@jit
def _outside(model: tuple, h: Int) -> tuple[float, float, int]:
    """The mass of h's continuations, the shorter context's mass of all others, how many others."""
    symbol, link, first_child, log_prob = model[1], model[2], model[3], model[4]
    symbols = model[7]
    own, below = 0.0, 0.0
    others: int = symbols
    shorter = np.int64(link[h])
    for i in range(first_child[h], first_child[h + 1]):
        if symbol[i] < symbols:
            own += np.exp(log_prob[i])
            below += np.exp(step(model, shorter, symbol[i])[0])
            others -= 1
    outside = 1.0 - below
    if outside < _CANCELLING and others > 0:
        outside = 0.0
        at: Int = np.int64(first_child[h])
        for w in range(symbols):
            if at < first_child[h + 1] and symbol[at] == w:
                at += 1
            else:
                outside += np.exp(step(model, shorter, w)[0])
    return own, outside, others


@jit
def renormalise(model: tuple) -> None:
    """Set every back-off weight so that its context adds up to one; in place, short ones first.

    weight(h) = (1 - sum of p(w | h)) / (1 - sum of p(w | h')), both over what follows h. Where
    all symbols follow h, or nothing may follow but what does, p(. | h) is scaled up instead.
    """
    symbol, first_child, log_prob, back_off = model[1], model[3], model[4], model[5]
    symbols = model[7]
    for h in range(1, len(back_off)):
        if first_child[h] == first_child[h + 1]:
            back_off[h] = 0.0
            continue
        own, outside, others = _outside(model, h)
        missing = 1.0 - own
        if others > 0 and outside > 0.0 and missing > _ROUNDING:
            back_off[h] = np.log(missing) - np.log(outside)
            continue
        back_off[h] = -np.inf if own > 0.0 else 0.0
        if own > 0.0:
            for i in range(first_child[h], first_child[h + 1]):
                if symbol[i] < symbols:
                    log_prob[i] -= np.log(own)


@jit
def histories(model: tuple, begin: Int, end: Int) -> np.ndarray:
    """Log-probability of each context as a history, by the chain rule: float64 [contexts].

    `<s>`, which is never predicted, has the end's: a history begins as often as one ends.
    """
    first_child, log_prob, back_off = model[3], model[4], model[5]
    out = np.zeros(len(back_off))
    for h in range(len(back_off)):
        for i in range(first_child[h], first_child[h + 1]):
            if i >= len(back_off):
                return out
            out[i] = out[h] + (log_prob[1 + end] if i == 1 + begin else log_prob[i])
    return out


@jit
def losses(
    model: tuple, first: Int, last: Int, history: np.ndarray, kept: np.ndarray, out: np.ndarray
) -> None:
    """What removing each single n-gram would cost: the relative entropy in nats.

    Stolcke (1998), "Entropy-based pruning of backoff language models", equations 3 to 6:
    -p(h) (p(w|h) (log p(w|h') + log a' - log p(w|h)) + (1 - sum p(.|h)) (log a' - log a)), where
    a is the weight of h and a' what it becomes. N-grams that still begin longer ones cost
    infinity.

    Args:
        model: `Trie.arrays`.
        first: the first context whose continuations are looked at.
        last: one beyond the last.
        history: what `histories` gave.
        kept: bool [n], which n-grams are still there.
        out: float64 [n], gets the costs.
    """
    symbol, link, first_child, log_prob, back_off = model[1:6]
    symbols = model[7]
    for h in range(first, last):
        if first_child[h] == first_child[h + 1]:
            continue
        own, outside, others = _outside(model, h)
        missing = max(1.0 - own, 0.0)
        for i in range(first_child[h], first_child[h + 1]):
            out[i] = np.inf
            if symbol[i] >= symbols or (
                i < len(back_off) and kept[first_child[i] : first_child[i + 1]].any()
            ):
                continue
            q = step(model, np.int64(link[h]), symbol[i])[0]
            if q == -np.inf:
                continue
            new = np.log(missing + np.exp(log_prob[i])) - np.log(outside + np.exp(q))
            change = np.exp(log_prob[i]) * (q + new - log_prob[i])
            if missing > _ROUNDING and others > 0 and outside > 0.0:
                change += missing * (new - np.log(missing) + np.log(outside))
            out[i] = -np.exp(history[h]) * change


@jit
def folded(model: tuple, kept: np.ndarray, lost: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mass of the lost symbols after each context of kept ones.

    With L(h) the lost symbols that continue h here, and h' the shorter context,
    mass(h) = sum_{L(h)} p(w | h) + weight(h) (mass(h') - sum_{L(h)} p(w | h')).

    Args:
        model: `Trie.arrays`.
        kept: bool [n], which n-grams are of kept symbols.
        lost: bool [size], which symbols are put together.

    Returns:
        The mass, float64 [contexts]; and whether it has to be told, bool: elsewhere it is what
        backing off gives.
    """
    symbol, link, first_child, log_prob, back_off = model[1:6]
    symbols = model[7]
    mass, told = np.zeros(len(back_off)), np.zeros(len(back_off), np.bool_)
    for h in range(len(back_off)):
        if not kept[h]:
            continue
        own, below = 0.0, 0.0
        shorter = np.int64(link[h])
        for i in range(first_child[h], first_child[h + 1]):
            if symbol[i] < symbols and lost[symbol[i]]:
                told[h] = True
                own += np.exp(log_prob[i])
                if h > 0:
                    below += np.exp(step(model, shorter, symbol[i])[0])
        mass[h] = own
        if h == 0:
            continue
        rest = mass[shorter] - below
        if told[h] and rest < _CANCELLING * mass[shorter]:
            rest = 0.0
            at = np.int64(first_child[h])
            for w in range(symbols):
                if at < first_child[h + 1] and symbol[at] == w:
                    at += 1
                elif lost[w]:
                    rest += np.exp(step(model, shorter, w)[0])
        mass[h] += np.exp(back_off[h]) * rest
    told[0] = True
    return mass, told


@jit
def add(
    model: tuple,
    parent: np.ndarray,
    symbol: np.ndarray,
    numbers: np.ndarray,
    unknown: Int,
    weight: float,
    mixed: np.ndarray,
) -> None:
    """Add weight * p(w | h) of one model to each n-gram hw.

    Args:
        model: `Trie.arrays`.
        parent: int64 [n], the n-gram h that each continues; it comes before it.
        symbol: int64 [n], the last symbol w.
        numbers: int64 [size], the model's number of each symbol; -1 where it has none, and the
            probability is zero.
        unknown: what such a symbol is in a history.
        weight: of the model.
        mixed: float64 [n], is added to.
    """
    states = np.zeros(len(parent), np.int64)
    for i in range(1, len(parent)):
        w = numbers[symbol[i]]
        log_p, after = step(model, states[parent[i]], w if w >= 0 else unknown)
        states[i] = after
        if w >= 0:
            mixed[i] += weight * np.exp(log_p)
