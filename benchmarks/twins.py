"""Test rows of the density tables that have a twin in the training part: `... benchmarks twins`.

For each data set of `quality`'s recipes: the share of test rows that stand in the training part as
they are, and of those that nearly do (in binary rows one place differs, real columns are within a
twentieth of their deviation); and what a memory, `KernelDensity`, scores with them and without:
of binary rows its bandwidths are learnt from 1,000 at most; of real ones half the rounding step,
beside wide kernels, weighted on the validation part. What the recipes' own models score without
twins is in the lines of `quality --test`.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

import arproc
from benchmarks.quality.data import Fold, load
from benchmarks.timing import REDUCED

BINARY = ("dna_nade", "mushrooms", "nltcs", "plants")
REAL = ("winequality-red", "parkinsons_updrs")
#: How far apart real numbers are that are nearly equal, in standard deviations.
NEARLY = 0.05
_LEARNT_FROM = 1_000
_WIDE = 0.4  # standard deviations


class Shares(NamedTuple):
    """Of one split: shares of test rows, and mean log-likelihoods of a memory, nats a row."""

    equal: float
    near: float
    score: float
    without: float
    without_near: float


def shares(fold: Fold) -> Shares:
    """The twins of one split, and what they are worth to a memory."""
    binary = fold.train.dtype.kind != "f"
    train, test = (part.astype(np.int64) if binary else part for part in (fold.train, fold.test))
    memory = _of_binary(train) if binary else _of_reals(fold)
    near = 1 / train.shape[1] if binary else NEARLY
    exact, nearly = (arproc.evaluate(memory, test, train=train, near=k) for k in (0.0, near))
    width, n = train.shape[1], len(test)
    costs = [r.nats_per_element_without_twins for r in (exact, nearly)]
    without = [np.nan if cost is None else -cost * width for cost in costs]
    found = [(r.n_twins or 0) / n for r in (exact, nearly)]
    return Shares(*found, exact.log_prob_nats / n, *without)


def _of_binary(train: np.ndarray) -> arproc.KernelDensity:
    """Kernels around all rows, as wide as some of them say."""
    some = train[np.unique(np.linspace(0, len(train) - 1, _LEARNT_FROM).astype(int))]
    bandwidth = arproc.KernelDensity().fit(some).bandwidth_.tolist()
    return arproc.KernelDensity(bandwidth=bandwidth).fit(train)


def _of_reals(fold: Fold) -> arproc.OrderEnsemble:
    """Kernels as narrow as the rounding, beside wide ones, weighted on the validation part."""
    widths = (fold.half_step, _WIDE)
    kernels = [arproc.KernelDensity(bandwidth=width).fit(fold.train) for width in widths]
    return arproc.OrderEnsemble(kernels).fit(fold.valid)


def main(arguments: Sequence[str] = ()) -> None:
    """Print a row for each data set, the mean over its folds."""
    names = list(arguments) or [*BINARY, *REAL]
    print("| data | equal | nearly | memory | without equal ones | without near ones |")
    for name in names[:1] if REDUCED else names:
        begin, folds = time.process_time(), load(name)
        if REDUCED:
            folds = [Fold(*(part[:30] for part in folds[0][:3]), folds[0].half_step)]
        mean = Shares(*np.nanmean([shares(fold) for fold in folds], axis=0).tolist())
        scores = " | ".join(f"{score:.2f}" for score in mean[2:])
        spent = time.process_time() - begin
        print(f"| {name} | {mean.equal:.1%} | {mean.near:.1%} | {scores} |  {spent:.0f} s")
