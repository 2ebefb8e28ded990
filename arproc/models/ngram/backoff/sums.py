"""What the probabilities after each context add up to, in a model that was not made here."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from arproc.data.vocabulary import Vocabulary
from arproc.errors import FileFormatError
from arproc.models.ngram.backoff.assembling import parents
from arproc.models.ngram.backoff.pruning import renormalised
from arproc.models.ngram.backoff.trie import Trie

__all__ = ["adding_up", "furthest", "made_to_add_up", "masses", "told"]

#: How far from one a sum may be: files write logarithms with few digits.
TOLERANCE = 1e-3


def masses(trie: Trie) -> np.ndarray:
    """The sum of p(w | h) over all w, for each context h: float64 [contexts].

    What comes after the end is 1: nobody asks.
    """
    from arproc.compiled.interpreted import suited
    from arproc.models.ngram.backoff import draw_kernels

    kernels = suited(draw_kernels, 8 * len(trie.symbol))
    out = kernels.masses(trie.arrays)
    ended = trie.symbol[: len(out)] == trie.alphabet.end
    ended[0] = False
    out[ended] = 1.0
    return out


def furthest(trie: Trie) -> tuple[int, float] | None:
    """The context whose sum is furthest from one, and the sum; None where all add up."""
    sums = masses(trie)
    off = np.abs(np.nan_to_num(sums, nan=np.inf) - 1)
    worst = int(off.argmax())
    return None if off[worst] <= TOLERANCE else (worst, float(sums[worst]))


def spelt(trie: Trie, node: int) -> list[int]:
    """The symbols of an n-gram, the first one first."""
    above, found = parents(trie), []
    while node:
        found.append(int(trie.symbol[node]))
        node = int(above[node])
    return found[::-1]


def adding_up(trie: Trie, vocabulary: Vocabulary, renormalise: bool) -> Trie:
    """The trie, whose probabilities must add up to one after each context, or are made to.

    To renormalise, single symbols' probabilities are divided by their sum, and back-off weights
    follow from what is left.

    Raises:
        FileFormatError: they do not, or can not be made to; it names the worst context.
    """
    worst = furthest(trie)
    if worst is not None and renormalise:
        trie = made_to_add_up(trie)
        worst = furthest(trie)
    if worst is None:
        return trie
    advice = "that can not be helped by renormalise=True: another model is needed"
    if not renormalise:
        advice = "renormalise=True sets back-off weights anew, so that all do"
    raise FileFormatError(
        f"the n-grams are no distribution: {told(trie, vocabulary, worst)} (was a list of words "
        f"filtered, or a number changed?), and log_prob would differ from sample; {advice}."
    )


def told(trie: Trie, vocabulary: Vocabulary | None, worst: tuple[int, float]) -> str:
    """What `furthest` found, in words."""
    alphabet, (node, total) = trie.alphabet, worst
    names = {alphabet.begin: "<s>", alphabet.end: "</s>"} if alphabet.terminates else {}
    symbols = range(alphabet.symbols) if vocabulary is None else vocabulary.symbols
    words = " ".join(names.get(w) or str(symbols[w]) for w in spelt(trie, node))
    after = f"after {words!r}" if node else "of single words"
    return f"the probabilities {after} add up to {total:.4g}"


def made_to_add_up(trie: Trie) -> Trie:
    """Single symbols' probabilities divided by their sum, and the back-off weights set anew."""
    singles = slice(1, 1 + trie.alphabet.symbols)
    total = np.exp(trie.log_prob[singles], dtype=np.float64).sum()
    log_prob, back_off = trie.log_prob.copy(), trie.back_off.copy()
    if total > 0:
        log_prob[singles] -= np.log(total)
    back_off[0] = 0.0
    return renormalised(replace(trie, log_prob=log_prob, back_off=back_off))
