"""The rows of `fidelity`, declared in one table: what each asks, and of which kinds of data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np

from arproc.evaluation.synthetic import dynamics, symbols
from arproc.evaluation.synthetic import statistics as numbers
from arproc.evaluation.synthetic.columns import cross_correlation
from arproc.evaluation.synthetic.images import neighbours, sites
from arproc.evaluation.synthetic.neighbours import NEAREST
from arproc.evaluation.synthetic.pool import Pool
from arproc.evaluation.synthetic.relabelling import Moments, p_of
from arproc.evaluation.synthetic.sets import HOLDOUT, SYNTHETIC, TRAIN
from arproc.evaluation.synthetic.study import Finding, Maker, Study
from arproc.evaluation.synthetic.two_sample import area, classified, judged, mean_discrepancy
from arproc.evaluation.synthetic.usefulness import usefulness

__all__ = ["ROWS", "Row"]

Family = Literal["distribution", "dynamics", "together", "diversity", "novelty", "usefulness"]
Run = Callable[[Study], "Finding | str"]

NUMBERS = ("series", "vectors", "table", "images")
SEQUENCES = ("series", "vectors", "symbols", "text")
SERIES = ("series", "vectors")
SYMBOLS = ("symbols", "text")
ALL = ("series", "vectors", "table", "images", "symbols", "text")
NAN = float("nan")
#: Said where what is usual is not known.
NO_HOLDOUT = "needs a hold-out: without one nobody knows what is usual"


@dataclass(frozen=True)
class Row:
    """One question.

    Attributes:
        name: of the row.
        family: what it is about.
        kinds: of data that it is asked of.
        run: gives what was found, or why it can not be asked, in words.
    """

    name: str
    family: Family
    kinds: tuple[str, ...]
    run: Run


def _means(make: Maker) -> Run:
    """A row that compares means over units."""
    return lambda study: study.differs(study.moments(make))


def _of_words(make: Maker) -> Run:
    def run(study: Study) -> Finding | str:
        if study.words is None:
            return "there are no words"
        # a partial of its own: the same function of characters is another row
        return study.differs(study.moments(partial(make), study.words))

    return run


def _ngrams(n: int) -> Maker:
    return partial(symbols.ngrams, n=n)


# ---- seasons, categories ----------------------------------------------------------------------


def _seasonal(study: Study) -> Finding | str:
    season = dynamics.season_of(study.pool) if study.season is None else study.season
    if not season:
        return "no season was found; season= says how many steps it has"
    if study.season is None and season * 2 > int(np.median(study.pool.lengths)):
        return "the units are shorter than two seasons"
    return study.differs(dynamics.seasonal(study.pool, season))


def _gone(study: Study) -> Finding | str:
    pool = study.pool
    if pool.kind == "text":
        pool = study.words or pool
    real, mine = pool.of(*study.real), pool.of(SYNTHETIC)
    found = symbols.gone(pool, real, mine)
    if found is None:
        return "there are no categories"
    name, units, p = found
    held = NAN
    if study.has_holdout:
        zero = symbols.gone(pool, pool.of(TRAIN), pool.of(HOLDOUT))
        held = NAN if zero is None else zero[2]
    share = units / len(real)
    return Finding(
        f"share of units with {name}, which synthetic data lack" if units else "none is gone",
        share, NAN, 0.0 if units else NAN, p, f"{name} never comes", held,
    )  # fmt: skip


# ---- everything together ------------------------------------------------------------------------


def _classifier(study: Study) -> Finding | str:
    pool, times = study.pool, study.permutations
    found = classified(
        study.features, pool.of(SYNTHETIC), pool.of(*study.real), study.rng(4), times
    )
    held, p_holdout = NAN, NAN
    if study.has_holdout:
        zero = classified(study.features, pool.of(HOLDOUT), pool.of(TRAIN), study.rng(5), times)
        held, p_holdout = zero.value, zero.p_value
    return Finding(
        "held-out AUC of a classifier against real data (0.5: can not tell)",
        NAN, held, found.value, found.p_value,
        f"a classifier tells synthetic from real (AUC {found.value:.2f})",
        p_holdout, found.low95, found.high95,
    )  # fmt: skip


def _kernel(study: Study) -> Finding | str:
    pool, x = study.pool, study.points.x
    times = min(study.permutations, 1999)
    value, p = mean_discrepancy(x, pool.of(SYNTHETIC), pool.of(*study.real), study.rng(6), times)
    held, p_holdout = NAN, NAN
    if study.has_holdout:
        held, p_holdout = mean_discrepancy(
            x, pool.of(HOLDOUT), pool.of(TRAIN), study.rng(7), times
        )
    return Finding(
        "squared maximum mean discrepancy from real data (0: none)",
        NAN, held, value, p, "the units as a whole lie elsewhere", p_holdout,
    )  # fmt: skip


def _judge(study: Study) -> Finding | str:
    if study.judge is None:
        return "needs judge=, a fitted model"
    moments = judged(study.judge, study.given, study.pool)
    # the judge may know train by heart, so fresh data are the measure where there are some
    real = HOLDOUT if study.has_holdout else TRAIN
    dealt = study.against_holdout if study.has_holdout else study.against_train
    worst = dealt.largest(moments)
    values = {g: float(moments.of(study.pool.of(g))[worst.at]) for g in (*study.real, SYNTHETIC)}
    mine, theirs = values[SYNTHETIC], values[real]
    name = f"{moments.names[worst.at]} under the judge"
    return Finding(
        name, values[TRAIN], values.get(HOLDOUT, NAN), mine, worst.p_value,
        f"{name} is too {'high' if mine > theirs else 'low'}",
    )  # fmt: skip


# ---- diversity ----------------------------------------------------------------------------------


def _distinct(n: int, words: bool = False) -> Run:
    def run(study: Study) -> Finding | str:
        pool = study.words if words else study.pool
        if pool is None:
            return "there are no words"
        mine, theirs = symbols.distinct(pool, n, study.against_real)
        if mine[0] == 0 and theirs[0] == 0:
            return f"no unit has {n} elements"
        what = "words" if words else "symbols"
        return Finding(
            f"different runs of {n} {what} in equally many units", NAN, NAN, mine[0],
            p_of(theirs - mine), f"too few different runs of {n} {what}",
        )._replace(train=theirs[0])  # fmt: skip

    return run


def _self_similarity(study: Study) -> Finding | str:
    value, p = _alike(study, SYNTHETIC, study.real, 9)
    held, p_holdout = _alike(study, HOLDOUT, (TRAIN,), 10) if study.has_holdout else (NAN, NAN)
    return Finding(
        "share of units whose nearest one is of their own set, over what chance gives",
        NAN, held, value, p, "synthetic units are too like each other", p_holdout,
    )  # fmt: skip


def _alike(study: Study, tested: int, others: tuple[int, ...], stream: int) -> tuple[float, float]:
    graph = study.points.graph(tested, others)
    mine = study.pool.group[graph.units] == tested
    near = graph.near[:, 0]
    dealt = study.dealing(np.flatnonzero(mine), np.flatnonzero(~mine), stream)
    label = np.zeros(dealt.dealt.shape, dtype=np.bool_)
    label[:, dealt.units] = dealt.dealt
    shares = (label & label[:, near]).sum(1) / mine.sum()
    chance = (mine.sum() - 1) / (len(mine) - 1)
    return float(shares[0] / chance), p_of(shares)


def _coverage(study: Study) -> Finding | str:
    value, p = _covered(study, SYNTHETIC, study.real, 11)
    held, p_holdout = _covered(study, HOLDOUT, (TRAIN,), 12) if study.has_holdout else (NAN, NAN)
    return Finding(
        f"share of real units with one of the set among their {NEAREST} nearest, over what chance "
        "gives",
        NAN, held, value, p, "some kinds of real units have no synthetic ones near", p_holdout,
    )  # fmt: skip


def _covered(
    study: Study, tested: int, others: tuple[int, ...], stream: int
) -> tuple[float, float]:
    graph = study.points.graph(tested, others)
    mine = study.pool.group[graph.units] == tested
    dealt = study.dealing(np.flatnonzero(mine), np.flatnonzero(~mine), stream)
    label = np.zeros(dealt.dealt.shape, dtype=np.bool_)
    label[:, dealt.units] = dealt.dealt
    near = np.zeros(label.shape, dtype=np.bool_)
    for k in range(graph.near.shape[1]):
        near |= label[:, graph.near[:, k]]
    shares = (near & ~label).sum(1) / (~mine).sum()
    chance = 1 - (1 - mine.mean()) ** graph.near.shape[1]
    return float(shares[0] / chance), p_of(-shares)


# ---- novelty ------------------------------------------------------------------------------------


def _copies(study: Study) -> Finding | str:
    """Whether copies are longer than the hold-out's, or repeats tie train to synthetic.

    The first asks how much synthetic units copy, the second whom: a few copies are as many as a
    small hold-out may have by chance, but chance would not take all of them from train.
    """
    pool, what = study.pool, _element(study.pool)
    of_train, of_any = study.copies
    longest = int(of_train.length[pool.of(SYNTHETIC)].max())
    if not study.has_holdout:
        return f"{NO_HOLDOUT} (the longest copy of train has {longest} {what})"
    moments = _copied(pool, of_train.length)
    worst = study.against_holdout.largest(moments, side=1)
    held, mine = (float(moments.of(pool.of(g))[worst.at]) for g in (HOLDOUT, SYNTHETIC))
    near = np.where(of_any.source >= 0, pool.unit[of_any.source], 0)
    size = of_any.length[:, None]
    at = np.unique(np.quantile(of_any.length, [0.5, 0.9, 0.98, 0.995], method="lower"))
    chosen = np.concatenate([size > at, size >= pool.lengths[:, None]], axis=1) & (size > 0)
    p = min(1.0, 2 * min(worst.p_value, study.between(near, chosen)))
    return Finding(
        moments.names[worst.at], NAN, held, mine, p,
        f"train is copied: the longest copy has {longest} {what}",
    )  # fmt: skip


def _copied(pool: Pool, length: np.ndarray) -> Moments:
    """How long the longest copies are, and how many units are copied whole."""
    what = _element(pool)
    size = length.astype(float)
    at = numbers.cuts(size, 10)
    at = np.unique(np.append(at, np.quantile(size, 0.99, method="lower")))
    names = [f"mean length of the longest copy of train, {what}", "share of units copied whole"]
    names += [f"share of units with a copy of train longer than {a:g} {what}" for a in at]
    columns = [size, size >= pool.lengths, *(size > a for a in at)]
    return Moments(names, np.stack(columns, axis=1).astype(float), np.ones((pool.n, 1)))


def _element(pool: Pool) -> str:
    return {"text": "characters", "table": "rows", "images": "images"}.get(pool.kind, "elements")


def _distance(study: Study) -> Finding | str:
    if not study.has_holdout:
        return NO_HOLDOUT
    moments = study.points.to_train
    used = np.flatnonzero(moments.counts[:, 0] > 0)
    group = study.pool.group[used]
    dealt = study.dealing(used[group == SYNTHETIC], used[group == HOLDOUT], 14)
    worst = dealt.largest(moments, side=-1)
    held, mine = (float(moments.of(units)[worst.at]) for units in (dealt.others, dealt.tested))
    p = worst.p_value
    pairs = study.points.pairs
    if pairs is not None:  # as for copies
        p = min(1.0, 2 * min(p, study.between(*pairs)))
    return Finding(
        moments.names[worst.at], NAN, held, mine, p,
        "synthetic units lie nearer to single ones of train than fresh ones do",
    )  # fmt: skip


def _membership(study: Study) -> Finding | str:
    if not study.has_holdout:
        return NO_HOLDOUT
    moments = study.points.membership
    used = np.flatnonzero(moments.counts[:, 0] > 0)
    distance, group = moments.sums[used, 0], study.pool.group[used]
    found = area(
        -distance[group == TRAIN], -distance[group == HOLDOUT], study.rng(15), study.permutations
    )
    return Finding(
        "AUC of telling train from hold-out by the nearest synthetic unit (0.5: can not)",
        NAN, 0.5, found.value, found.p_value,
        f"synthetic data tell who was in train (AUC {found.value:.2f})",
        low95=found.low95, high95=found.high95,
    )  # fmt: skip


# ---- usefulness ---------------------------------------------------------------------------------


def _useful(study: Study) -> Finding | str:
    if not study.has_holdout:
        return "needs a hold-out to be tested on"
    found = usefulness(study.pool, study.against_train)
    if isinstance(found, str):
        return found
    return Finding(
        f"loss on the hold-out of what was learnt ({found.unit})",
        found.real, NAN, found.synthetic, found.p_value,
        "what is learnt from synthetic data does worse on real data than what train teaches",
    )  # fmt: skip


#: Every row, in the order in which they are shown.
ROWS: tuple[Row, ...] = (
    Row("lengths", "distribution", SEQUENCES, _means(numbers.lengths)),
    Row("level and spread", "distribution", NUMBERS, _means(numbers.levels)),
    Row("marginal", "distribution", (*SERIES, "table"), _means(numbers.marginal)),
    Row("pixels", "distribution", ("images",), _means(sites)),
    Row("extremes", "distribution", (*SERIES, "table"), _means(numbers.extremes)),
    Row("frequencies", "distribution", SYMBOLS, _means(symbols.frequencies)),
    Row("words", "distribution", ("text",), _of_words(symbols.frequencies)),
    Row("categories gone", "distribution", ("table", *SYMBOLS), _gone),
    Row("autocorrelation", "dynamics", SERIES, _means(dynamics.autocorrelation)),
    Row("partial autocorrelation", "dynamics", SERIES, _means(dynamics.partial_autocorrelation)),
    Row("spectrum", "dynamics", SERIES, _means(dynamics.spectrum)),
    Row("autocorrelation of squares", "dynamics", SERIES, _means(dynamics.squares)),
    Row("transitions", "dynamics", SERIES, _means(dynamics.transitions)),
    Row("runs", "dynamics", SERIES, _means(dynamics.runs)),
    Row("season", "dynamics", SERIES, _seasonal),
    Row("profile", "dynamics", SERIES, _means(dynamics.profile)),
    Row("pairs", "dynamics", SYMBOLS, _means(symbols.bigrams)),
    Row("4-grams", "dynamics", SYMBOLS, _means(_ngrams(4))),
    Row("runs of symbols", "dynamics", SYMBOLS, _means(symbols.repeats)),
    Row("cross-correlation", "dynamics", ("vectors", "table"), _means(cross_correlation)),
    Row("neighbouring pixels", "dynamics", ("images",), _means(neighbours)),
    Row("classifier", "together", ALL, _classifier),
    Row("kernel", "together", ALL, _kernel),
    Row("likelihood", "together", ALL, _judge),
    Row("distinct 4-grams", "diversity", SYMBOLS, _distinct(4)),
    Row("distinct pairs of words", "diversity", ("text",), _distinct(2, words=True)),
    Row("self-similarity", "diversity", ALL, _self_similarity),
    Row("coverage", "diversity", ALL, _coverage),
    Row("longest copy", "novelty", ALL, _copies),
    Row("distance to train", "novelty", ALL, _distance),
    Row("membership", "novelty", ALL, _membership),
    Row("usefulness", "usefulness", ALL, _useful),
)
