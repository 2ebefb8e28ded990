"""From counts to a back-off model: the smoothings, by name.

All of them give single symbols their probabilities by mixing with the uniform distribution over
all that can be predicted, `<unk>` and the end included (maximum likelihood excepted).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from arproc.compiled.threads import shares, threaded
from arproc.errors import warn
from arproc.models.ngram.backoff.pruning import kept_by_count, renormalised, without
from arproc.models.ngram.backoff.trie import Trie
from arproc.models.ngram.counting.counts import Counts
from arproc.models.ngram.smoothing import discounts as formulas
from arproc.models.ngram.smoothing.discounts import DiscountWarning
from arproc.models.ngram.smoothing.jelinek_mercer import (
    deleted_events,
    held_out_events,
    weights_by_em,
)
from arproc.models.ngram.smoothing.repeats import MUCH

__all__ = [
    "BACKED_OFF",
    "DISCOUNTED",
    "MIXED",
    "SMOOTHINGS",
    "DiscountWarning",
    "Discounts",
    "additive",
    "backed_off",
    "discounted",
    "mixed",
]


@dataclass(frozen=True)
class Discounts:
    """The discounts of each order and where they come from.

    Attributes:
        values: float64 [N, m]: of order k (row k - 1) for the counts 1, 2 ..., the last also for
            all counts beyond.
        source: for each order "closed form", "closed form of one copy", "leave-one-out",
            "fallback" or "given".
    """

    values: np.ndarray
    source: tuple[str, ...]

    @classmethod
    def of(cls, values: Sequence[np.ndarray], source: Sequence[str]) -> Discounts:
        """Those of orders whose tables are of unlike lengths: the last entry holds on."""
        longest = max(map(len, values))
        table = [np.concatenate([v, np.full(longest - len(v), v[-1])]) for v in values]
        return cls(np.array(table), tuple(source))


@dataclass(frozen=True)
class _Rule:
    """How discounts are found: from which counts, by which formula, and which shape is scaled."""

    adjusted: bool
    formula: Callable[[np.ndarray], np.ndarray | None]
    shape: np.ndarray


#: How much of a text is copies, found out when it is asked.
Share = Callable[[], float]


def never() -> float:
    """Of what can not be told: that nothing is a copy."""
    return 0.0


DISCOUNTED = {
    "modified_kneser_ney": _Rule(True, formulas.closed_form, formulas.FALLBACK),
    "kneser_ney": _Rule(True, formulas.absolute, formulas.ONE),
    "absolute_discounting": _Rule(False, formulas.absolute, formulas.ONE),
}
BACKED_OFF = ("backoff_kneser_ney", "katz")
MIXED = ("witten_bell", "jelinek_mercer", "maximum_likelihood")
SMOOTHINGS = (*DISCOUNTED, *BACKED_OFF, *MIXED, "additive")


def discounted(
    counts: Counts,
    smoothing: str = "modified_kneser_ney",
    cuts: list[int] | None = None,
    given: np.ndarray | None = None,
    fallback: np.ndarray | None = None,
    interpolate_unigrams: bool = True,
    repeated: Share = never,
) -> tuple[Trie, Discounts]:
    """Interpolation with discounts: Kneser-Ney with three or one, and absolute discounting.

    "modified_kneser_ney" is as KenLM's `lmplz` defines it: Chen and Goodman (1998), with adjusted
    counts, three discounts an order, and the single symbols interpolated with the uniform
    distribution (Heafield et al. 2013, "Scalable Modified Kneser-Ney Language Model
    Estimation"). "kneser_ney" has one discount an order, n_1 / (n_1 + 2 n_2), and
    "absolute_discounting" (Ney, Essen and Kneser 1994) takes it from the plain counts. Where a
    closed form does not exist, the discounts are the fallback's, or else maximise the
    leave-one-out likelihood.

    Args:
        counts: the n-grams.
        smoothing: one of `DISCOUNTED`.
        cuts: the cut-off of each order, as `lmplz --prune` has it; discounts are estimated from
            all n-grams, and what is cut off goes to the shorter context.
        given: discounts [N, m] to use instead of estimating them.
        fallback: discounts, float64 [4] with entry 0 zero, for orders without a closed form.
        interpolate_unigrams: whether what is taken from single symbols is shared by all; else
            `<unk>`, which there must be, has all of it.
        repeated: how much of the text is copies; asked where that matters.
    """
    from arproc.compiled.interpreted import suited
    from arproc.models.ngram.smoothing import smoothing_kernels

    kernels = suited(smoothing_kernels, counts.order * len(counts.symbol))
    rule, cuts = DISCOUNTED[smoothing], cuts or [0] * counts.order
    count = counts.adjusted if rule.adjusted else counts.count
    levels, first_child, skip = counts.levels, counts.first_child, _skip(counts)
    uniform = 1.0 / counts.alphabet.symbols if interpolate_unigrams else 0.0
    p = np.zeros(levels[-1])
    weight = np.ones(len(first_child) - 1)
    values, source = [], []
    for k in range(1, counts.order + 1):
        first, last = _contexts(counts, k)
        if given is not None:
            discount, origin = np.concatenate([[0.0], given[k - 1]]), "given"
        else:
            discount, origin = _find(
                counts, k, count, rule, p, fallback=fallback, repeated=repeated
            )
        values.append(discount[1:])
        source.append(origin)
        # a cut-off of -1 keeps the single symbols, those that were never seen included
        cut = cuts[k - 1] if k > 1 else -1
        given_counts = (first_child, count, counts.count, cut, counts.link, skip)
        threaded(
            lambda a, b, rest=(*given_counts, discount, uniform, p, weight): kernels.discounted(
                a, b, *rest
            ),
            _context_shares(counts, first, last),
        )
        if k == 1 and not interpolate_unigrams:
            assert counts.alphabet.unknown is not None
            p[1 + counts.alphabet.unknown] += weight[0]
    found = Discounts.of(values, source)
    warn_of(found, repeated)
    trie = Trie.of(counts, p, weight, interpolated=True)
    return (without(trie, kept_by_count(counts, cuts)) if any(cuts) else trie), found


def backed_off(
    counts: Counts,
    smoothing: str,
    cuts: list[int] | None = None,
    largest: int = 5,
    fallback: np.ndarray | None = None,
    repeated: Share = never,
) -> tuple[Trie, Discounts]:
    """Back-off: what was seen has its discounted frequency, and only the rest looks further back.

    "katz" (Katz 1987) discounts counts up to `largest` as Good and Turing would; where their
    formula gives no discount between 0 and 1, a smaller limit is taken, and where none will do,
    one discount: the fallback's first, or that of largest leave-one-out likelihood.
    "backoff_kneser_ney" (Kneser and Ney 1995) takes one discount from the adjusted counts. What
    is cut off goes to the shorter context.
    """
    from arproc.compiled.interpreted import suited
    from arproc.models.ngram.smoothing import smoothing_kernels

    kernels = suited(smoothing_kernels, counts.order * len(counts.symbol))
    katz = smoothing == "katz"

    def formula(n: np.ndarray) -> np.ndarray | None:
        return formulas.good_turing(n, largest) if katz else formulas.absolute(n)

    rule = _Rule(not katz, formula, formulas.ONE)
    count = counts.adjusted if rule.adjusted else counts.count
    first_child, skip, symbols = counts.first_child, _skip(counts), counts.alphabet.symbols
    p = np.zeros(counts.levels[-1])
    values, source = [], []
    for k in range(1, counts.order + 1):
        discount, origin = _find(counts, k, count, rule, p, largest + 1, fallback, repeated)
        values.append(discount[1:])
        source.append(origin)
        first, last = _contexts(counts, k)
        kernels.seen(first, last, first_child, count, skip, discount, symbols, p)
        if k == 1:
            own = slice(1, 1 + symbols)
            p[own] += (1.0 - p[own].sum()) / symbols
    found = Discounts.of(values, source)
    warn_of(found, repeated)
    trie = Trie.of(counts, p, np.ones(len(first_child) - 1), interpolated=True)
    if cuts and any(cuts):
        trie = without(trie, kept_by_count(counts, cuts))
    return renormalised(trie), found


def mixed(
    counts: Counts,
    smoothing: str,
    cuts: list[int] | None = None,
    held_out: np.ndarray | None = None,
    repeated: Share = never,
) -> tuple[Trie, np.ndarray | None]:
    """p(w | h) = lambda(h) c(hw) / c(h) + (1 - lambda(h)) p(w | h'), on plain counts.

    - "witten_bell" (Witten and Bell 1991, method C): 1 - lambda(h) = T(h) / (c(h) + T(h)), with
      T(h) the number of different symbols that followed h;
    - "jelinek_mercer": lambda by EM, see `weights_by_em`, on `held_out` (as `lay_out` gives it),
      or on the counts themselves with each event taken away before it is predicted (with its
      copies, of a text that is `repeated`);
    - "maximum_likelihood": lambda is 1 wherever h was seen before another symbol.

    What is cut off goes to the shorter context, and the probabilities of the rest stay.

    Returns:
        The model, and of "jelinek_mercer" the weights lambda [N, B], else None.
    """
    from arproc.compiled.interpreted import suited
    from arproc.models.ngram.smoothing import smoothing_kernels

    kernels = suited(smoothing_kernels, 4 * len(counts.symbol))
    skip, levels = _skip(counts), counts.levels
    total, distinct = kernels.totals(
        len(counts.first_child) - 1, counts.first_child, counts.count, skip
    )
    learnt = None
    weight = np.zeros(len(total))
    if smoothing == "witten_bell":
        weight = distinct / np.maximum(total + distinct, 1)
    elif smoothing == "jelinek_mercer":
        deleted = _copies(repeated()) if held_out is None else 0
        events = deleted_events(counts) if held_out is None else held_out_events(counts, held_out)
        learnt, _ = weights_by_em(counts, total, events, deleted)
        length = np.repeat(np.arange(counts.order), np.diff(levels[: counts.order + 1]))
        bucket = np.frexp(np.maximum(total, 1))[1] - 1
        weight = 1.0 - learnt[length, bucket]
    weight[total == 0] = 1.0
    p = np.zeros(levels[-1])
    kernels.interpolate(
        counts.first_child, counts.count, total, counts.link, skip,
        1.0 / counts.alphabet.symbols, p, weight,
    )  # fmt: skip
    trie = Trie.of(counts, p, weight, interpolated=True)
    if cuts and any(cuts):
        trie = renormalised(without(trie, kept_by_count(counts, cuts)))
    return trie, learnt


def additive(counts: Counts, alpha: float) -> Trie:
    """p(w | h) = (c(hw) + alpha) / (c(h) + alpha V), with V symbols; 1 / V for a context not seen.

    The context h is always the last N-1 symbols (all there are, near the beginning).
    """
    from arproc.compiled.interpreted import suited
    from arproc.models.ngram.smoothing import smoothing_kernels

    kernels = suited(smoothing_kernels, 4 * len(counts.symbol))
    p = np.zeros(counts.levels[-1])
    weight = np.ones(len(counts.first_child) - 1)
    kernels.additive(
        len(weight), counts.first_child, counts.count, _skip(counts), alpha,
        counts.alphabet.symbols, p, weight,
    )  # fmt: skip
    return Trie.of(counts, p, weight, interpolated=False)


def _skip(counts: Counts) -> int:
    """The n-gram that is never predicted, `<s>`; -1 for a stream."""
    return 1 + counts.alphabet.begin if counts.alphabet.terminates else -1


def _contexts(counts: Counts, k: int) -> tuple[int, int]:
    """The contexts of the k-grams: the first, and one beyond the last."""
    return (0, 1) if k == 1 else (int(counts.levels[k - 1]), int(counts.levels[k]))


def _context_shares(counts: Counts, first: int, last: int) -> list[tuple[int, int]]:
    """The contexts first ... last-1 shared out to threads by how many continuations they have."""
    ends = counts.first_child[first + 1 : last + 1].astype(np.int64) - counts.first_child[first]
    return [(first + a, first + b) for a, b in shares(ends)]


def _find(
    counts: Counts,
    k: int,
    count: np.ndarray,
    rule: _Rule,
    p: np.ndarray,
    most: int = 4,
    fallback: np.ndarray | None = None,
    repeated: Share = never,
) -> tuple[np.ndarray, str]:
    """The discounts of order k, and where they come from; p holds the lower orders."""
    from arproc.compiled.interpreted import suited
    from arproc.models.ngram.smoothing import smoothing_kernels

    # some looks at each n-gram of this order, for the best discounts
    kernels = suited(smoothing_kernels, 25 * int(counts.levels[k + 1] - counts.levels[k]))
    skip, (first, last) = _skip(counts), _contexts(counts, k)

    def tally(most: int) -> np.ndarray:
        found: np.ndarray = kernels.tally(
            counts.levels[k], counts.levels[k + 1], count, skip, most
        )
        return found

    n = tally(max(most, 4))
    newest = counts.newest[k]
    if rule.adjusted and newest >= 0 and k < counts.order:
        n = tallied(n, int(counts.adjusted[newest]), int(counts.count[newest]))
    uniform = 1.0 / counts.alphabet.symbols

    def log_likelihood(d: np.ndarray) -> float:
        return kernels.leave_one_out(
            first, last, counts.first_child, count, counts.link, skip, d, uniform, p
        )

    plain = not rule.adjusted or k == counts.order
    share = repeated if plain else never
    return choose_discount(n, rule, fallback, log_likelihood, tally, share)


def tallied(n: np.ndarray, adjusted: int, plain: int) -> np.ndarray:
    """How many n-grams have each count, when one is tallied by its plain count (as in KenLM)."""
    n = n.copy()
    n[min(adjusted, 4)] -= adjusted < 5
    n[min(plain, 4)] += plain < 5
    return n


def choose_discount(
    n: np.ndarray,
    rule: _Rule,
    fallback: np.ndarray | None,
    log_likelihood: Callable[[np.ndarray], float],
    tally: Callable[[int], np.ndarray],
    repeated: Share = never,
) -> tuple[np.ndarray, str]:
    """The discounts in closed form, or the fallback's, or of largest leave-one-out likelihood.

    Where one of several copies is left out the others tell what it was, so the discounts of a text
    that is `repeated` are those of one copy. (What is counted by different neighbours, as the
    adjusted counts are, copies do not change.)

    Args:
        n: how many n-grams have count 1, 2 ...
        rule: how discounts are found.
        fallback: the user's, or None.
        log_likelihood: leaving one out, of discounts.
        tally: `n` for counts up to a given one.
        repeated: how much of the text is copies.
    """
    discount = rule.formula(n)
    if discount is not None:
        return discount, "closed form"
    if fallback is not None:
        return fallback[: len(rule.shape)], "fallback"
    if repeated() >= MUCH:
        most = len(n) - 1
        return formulas.of_one_copy(tally, _copies(repeated()), most, rule.formula, rule.shape)
    return formulas.maximise(log_likelihood, rule.shape), "leave-one-out"


def _copies(share: float) -> int:
    """How often a text stands there of which so much is copies; once where that is little."""
    return 1 if share < MUCH else max(round(1 / (1 - share)), 1)


def warn_of(discounts: Discounts, repeated: Share = never) -> None:
    """One warning for all orders; order 1 alone, as in most models of characters, is none."""
    missing = [k for k, source in enumerate(discounts.source, 1) if source != "closed form"]
    if missing and missing != [1] and repeated() >= MUCH:
        _warn_of_copies(discounts, repeated())
        return
    orders = [k for k, source in enumerate(discounts.source, 1) if source == "leave-one-out"]
    if not orders or orders == [1]:
        return
    warn(
        f"The closed-form discounts do not exist for order {', '.join(map(str, orders))}: too few "
        "n-grams have counts of 1, 2 and 3. They were chosen by leave-one-out likelihood "
        "(discount_source_, discounts_).",
        DiscountWarning,
    )


def _warn_of_copies(discounts: Discounts, share: float) -> None:
    kinds = ("closed form of one copy", "fallback")
    sources = list(enumerate(discounts.source, 1))
    orders = [[str(k) for k, source in sources if source == kind] for kind in kinds]
    one, fallen = (", ".join(own) or "none" for own in orders)
    warn(
        f"{share:.0%} of the text stands in lines (or parts of a stream) that it has before: it "
        "was repeated. Discounts are told by how many n-grams were seen once, and of copies none "
        f"were; of order {one} those of one copy were taken, and of order {fallen} the fallback's "
        "(discount_source_, discounts_). Fit each line once, as with dict.fromkeys(lines), or say "
        "discount_fallback=.",
        DiscountWarning,
    )


def warn_of_deletion(share: float) -> None:
    """Say that weights were learnt by deletion from a text of which that much is copies."""
    if share < MUCH:
        return
    warn(
        f"{share:.0%} of the text stands in lines (or parts of a stream) that it has before, and "
        "the interpolation weights are learnt by deleting each event before it is predicted: "
        f"{_copies(share)} at once were taken for copies of one. If they are not, long contexts "
        "are trusted too much or too little. Fit each line once, as with dict.fromkeys(lines), or "
        "give validation=.",
        DiscountWarning,
    )
