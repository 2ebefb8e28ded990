"""The compiled loop of filtering: how much probability some symbols have after each context.

`model` is always the tuple `Trie.arrays`.
"""

from __future__ import annotations

import numpy as np

from arproc.compiled.jit import jit
from arproc.models.ngram.backoff.query_kernels import step

#: Where less than this share is left of a difference, it is added up instead.
_CANCELLING = 1e-6


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
