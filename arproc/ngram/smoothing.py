"""From counts to a back-off model: additive smoothing and interpolated modified Kneser-Ney."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np

from arproc.ngram.counts import Counts
from arproc.ngram.discounts import DiscountWarning, closed_form, maximise
from arproc.ngram.trie import Trie

__all__ = ["DiscountWarning", "Discounts", "additive", "modified_kneser_ney"]


@dataclass(frozen=True)
class Discounts:
    """The discounts of each order and where they come from.

    Attributes:
        values: float64 [N, 3]: of order k (row k - 1) for the counts 1, 2, 3 and more.
        source: for each order "closed form", "leave-one-out" or "given".
    """

    values: np.ndarray
    source: tuple[str, ...]


def modified_kneser_ney(counts: Counts, given: np.ndarray | None = None) -> tuple[Trie, Discounts]:
    """Interpolated modified Kneser-Ney as KenLM's `lmplz` defines it.

    Chen and Goodman (1998), with adjusted counts, three discounts an order, and the single
    symbols interpolated with the uniform distribution over all that can be predicted, `<unk>`
    and the end included (Heafield et al. 2013, "Scalable Modified Kneser-Ney Language Model
    Estimation"). Where `lmplz` stops because the closed-form discounts do not exist, the
    discounts maximise the leave-one-out likelihood instead, with a `DiscountWarning`.

    Args:
        counts: the n-grams.
        given: discounts [N, 3] to use instead of estimating them.
    """
    from arproc.ngram import smoothing_kernels as kernels

    alphabet, levels, first_child = counts.alphabet, counts.levels, counts.first_child
    skip = 1 + alphabet.begin if alphabet.terminates else -1
    uniform = 1.0 / alphabet.symbols
    p = np.zeros(levels[-1])
    weight = np.ones(len(first_child) - 1)
    values, source = np.zeros((counts.order, 4)), []
    for k in range(1, counts.order + 1):
        first, last = (0, 1) if k == 1 else (levels[k - 1], levels[k])

        def log_likelihood(d: np.ndarray, first: int = first, last: int = last) -> float:
            return kernels.leave_one_out(
                first, last, first_child, counts.adjusted, counts.link, skip, d, uniform, p
            )

        discount = closed_form(_count_counts(counts, k, skip))
        source.append("leave-one-out" if discount is None else "closed form")
        if given is not None:
            discount, source[-1] = np.concatenate([[0.0], given[k - 1]]), "given"
        elif discount is None:
            discount = maximise(log_likelihood)
        values[k - 1] = discount
        kernels.kneser_ney(
            first, last, first_child, counts.adjusted, counts.link, skip, discount, uniform,
            p, weight,
        )  # fmt: skip
    discounts = Discounts(values[:, 1:], tuple(source))
    _warn(discounts)
    return Trie.of(counts, p, weight, interpolated=True), discounts


def additive(counts: Counts, alpha: float) -> Trie:
    """p(w | h) = (c(hw) + alpha) / (c(h) + alpha V), with V symbols; 1 / V for a context not seen.

    The context h is always the last N-1 symbols (all there are, near the beginning).
    """
    from arproc.ngram import smoothing_kernels as kernels

    alphabet = counts.alphabet
    p = np.zeros(counts.levels[-1])
    weight = np.ones(len(counts.first_child) - 1)
    skip = 1 + alphabet.begin if alphabet.terminates else -1
    kernels.additive(
        len(weight), counts.first_child, counts.count, skip, alpha, alphabet.symbols, p, weight
    )
    return Trie.of(counts, p, weight, interpolated=False)


def _count_counts(counts: Counts, k: int, skip: int) -> np.ndarray:
    from arproc.ngram import smoothing_kernels as kernels

    n = kernels.tally(counts.levels[k], counts.levels[k + 1], counts.adjusted, skip)
    newest = counts.newest[k]
    if newest >= 0 and k < counts.order:
        adjusted, plain = counts.adjusted[newest], counts.count[newest]
        n[min(adjusted, 4)] -= adjusted < 5
        n[min(plain, 4)] += plain < 5
    return n


def _warn(discounts: Discounts) -> None:
    orders = [k for k, source in enumerate(discounts.source, 1) if source == "leave-one-out"]
    if not orders:
        return
    listed = "; ".join(
        f"order {k}: " + ", ".join(f"{d:.3f}" for d in discounts.values[k - 1]) for k in orders
    )
    warnings.warn(
        "Kneser-Ney's closed-form discounts do not exist for some orders, because too few n-grams "
        "have counts of 1, 2 and 3 (a small alphabet, or little or repetitive data); they were "
        f"chosen by leave-one-out likelihood instead: {listed}.",
        DiscountWarning,
        stacklevel=4,
    )
