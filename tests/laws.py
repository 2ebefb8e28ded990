"""Is it the law? Tests of draws against a process, of stated power, over families of processes."""

from __future__ import annotations

import itertools
from functools import cache
from typing import Any

import numpy as np
import torch
from helpers import shake
from scipy import stats

import arproc
from arproc.distributions import cdf

QUICK = arproc.Training(steps=2, batch_size=4)
TEXT = ["abcab", "bca", "cabca", "aab", "bcc", "c"] * 3
#: Rows that a test draws, and elements of each.
ROWS, LENGTH = 4000, 4
#: What a test of these rows refuses; with these seeds nothing healthy comes near.
LEVEL = 1e-5
#: A law at this chi-square distance (or Kolmogorov distance) is refused with probability 0.99.
DISTANCE, GAP = 0.04, 0.065


def _ngram(order: int) -> arproc.NGram:
    return arproc.NGram(order, "witten_bell", tokens="char").fit(TEXT)


def _made(seed: int) -> arproc.MADE:
    x = np.random.default_rng(1).integers(0, 3, (30, LENGTH))
    return shake(arproc.MADE((6,), levels=3, training=QUICK).fit(x), seed)


def _symbols() -> np.ndarray:
    return np.random.default_rng(2).integers(0, 3, 200)


def _transformer(ahead: int = 0) -> arproc.Transformer:
    model = arproc.Transformer(1, 2, 8, block=8, tokens=3, end=False, ahead=ahead, training=QUICK)
    return shake(model.fit(_symbols()))


def _chain_of_symbols() -> arproc.NGram:
    return arproc.NGram(2, "witten_bell", tokens=3).fit(_symbols())


def _mixture() -> arproc.Mixture:
    parts = [_ngram(3), arproc.Cache(5, tokens=_ngram(2).vocabulary).fit(TEXT)]
    return arproc.Mixture(parts, weights=[0.6, 0.4])


#: name -> (the process that is drawn from, a draft for it)
FAMILIES = {
    "AR": lambda: (
        arproc.AR.from_parameters([0.6, -0.3]),
        arproc.AR.from_parameters([0.2], sigma2=1.5),
    ),
    "n-gram": lambda: (_ngram(3), _ngram(1)),
    "MADE": lambda: (_made(1), _made(2)),
    "Transformer": lambda: (_transformer(), _chain_of_symbols()),
    "Mixture": lambda: (_mixture(), _ngram(2)),
    "Transformer, by its own heads": lambda: (
        _transformer(ahead=2),
        arproc.sampling.OwnHeads(),
    ),
}


@cache
def family(name: str) -> tuple[Any, Any]:
    """A process and a draft for it."""
    return FAMILIES[name]()


def length_of(process: Any, wanted: int = LENGTH) -> int | None:
    """The length to draw, which processes of a fixed size do not take."""
    return None if process.law_.space.length else wanted


def p_value(process: Any, draws: Any) -> float:
    """How likely draws of `LENGTH` elements as unlike the process's law as these are."""
    if process.law_.space.size is None:
        return _ks(process, draws)
    return _chi_square(process, draws)


def _ks(process: Any, x: np.ndarray) -> float:
    """Kolmogorov and Smirnov on what should be uniform, and on whether it hangs together."""
    columns = process.conditionals(x)
    u = cdf(columns, torch.as_tensor(x)).numpy()
    both = np.concatenate([(u[:, 1:] + u[:, :-1]) % 1, (u[:, 2:] + u[:, :-2]) % 1], axis=1)
    assert _ks_power(len(x)) > 0.99
    tests = [stats.kstest(column, "uniform").pvalue for column in (*u.T, *both.T)]
    return float(min(tests) * len(tests))


def _ks_power(n: int) -> float:
    """The least probability to refuse a column at the distance `GAP` (Massey 1950)."""
    critical = stats.kstwo.isf(LEVEL / 9, n)
    return float(stats.norm.sf((critical - GAP) * 2 * np.sqrt(n)))


def _chi_square(process: Any, draws: Any) -> float:
    outcomes, log_prob = _outcomes(process)
    found = [tuple(row) if not isinstance(row, str) else row for row in draws]
    found = [tuple(int(v) for v in row) if isinstance(row, tuple) else row for row in found]
    counts = np.bincount([outcomes[row] for row in found], minlength=len(outcomes))
    expected = np.exp(log_prob) * len(found)
    np.testing.assert_allclose(expected.sum(), len(found), rtol=1e-5)
    assert not counts[expected == 0].any(), "what is impossible was drawn"
    counts, expected = counts[expected > 0], expected[expected > 0]
    rare = expected < 5
    if rare.any():
        counts = np.append(counts[~rare], counts[rare].sum())
        expected = np.append(expected[~rare], expected[rare].sum())
    assert _chi_square_power(len(found), len(expected)) > 0.99
    statistic = ((counts - expected) ** 2 / expected).sum()
    return float(stats.chi2.sf(statistic, len(expected) - 1))


def _chi_square_power(n: int, cells: int) -> float:
    critical = stats.chi2.isf(LEVEL, cells - 1)
    return float(stats.ncx2.sf(critical, cells - 1, n * DISTANCE))


def _outcomes(process: Any) -> tuple[dict[Any, int], np.ndarray]:
    """All draws there are, by number, and their log-probabilities."""
    space = process.law_.space
    size = space.size - int(space.terminates)
    every = list(itertools.product(range(size), repeat=LENGTH))
    if not space.terminates:
        return {x: i for i, x in enumerate(every)}, np.asarray(process.log_prob(np.array(every)))
    shorter = [x for count in range(LENGTH) for x in itertools.product(range(size), repeat=count)]
    cut, whole = (
        [space.vocabulary.decode(np.array(x, dtype=np.int64)) for x in rows]
        for rows in (every, shorter)
    )
    log_prob = [process.log_prob(cut, complete=False), process.log_prob(whole)]
    return {x: i for i, x in enumerate([*cut, *whole])}, np.concatenate(log_prob)
