"""How long and how wide the checks go: sizes drawn at random, within a limit of work.

A fault may begin at any size: behind the blocks, crops and windows of a fast path (40, 64, 1024,
2000 elements; 8, 64, 256 rows), or only in batches that are a multiple of one. So sizes are drawn,
and the limit is counted in numbers that are touched, never in seconds: what is checked is the same
on every machine.
"""

from __future__ import annotations

import numpy as np

from arproc.testing.subject import Subject

__all__ = ["late", "rows_to_look_at", "widths"]


def late(subject: Subject, purpose: str, rows: int = 1) -> int:
    """A length far behind every block and window, the given elements included.

    Beyond 2,100 elements where such a pass is cheap (thorough: up to 5,000); all of a fixed size.
    """
    if subject.space.length is not None:
        return subject.length
    rng = subject.rng(f"late lengths of {purpose}")
    drawn = int(rng.integers(2100, 5000 if subject.thorough else 2400))
    return subject.given + subject.budget.longest(drawn, rows)


def widths(subject: Subject, length: int, purpose: str) -> list[int]:
    """Numbers of rows to try: a multiple of every block up to 64 or more, and an odd one.

    Thorough: one of a multiple of 256, and one of more than a thousand too.
    """
    rng, budget = subject.rng(f"widths of {purpose}"), subject.budget
    drawn = [64 * int(rng.integers(2, 6)), 2 * int(rng.integers(40, 150)) + 1]
    if subject.thorough:
        drawn += [256 * int(rng.integers(2, 6)), int(rng.integers(1100, 2200))]
        drawn += [int(k) for k in rng.integers(9, 700, 3)]
    most = budget.widest(max(drawn), length)
    return sorted({min(k, most) for k in drawn if min(k, most) > 8})


def rows_to_look_at(n: int, rng: np.random.Generator) -> list[int]:
    """Some of n rows: about the edges of blocks, the last ones, and others at random."""
    edges = [2**k + d for k in range(3, 12) for d in (-1, 0)]
    found = {0, n - 1, n - 2, *edges, *rng.integers(0, n, 6).tolist()}
    return sorted(i for i in found if 0 <= i < n)
