"""What is said of images: single pixels, levels, and pixels beside each other."""

from __future__ import annotations

import numpy as np

from arproc.evaluation.synthetic.pool import Pool
from arproc.evaluation.synthetic.relabelling import Moments
from arproc.evaluation.synthetic.statistics import cuts

__all__ = ["neighbours", "sites"]

#: How many pixels are looked at one by one.
MOST_SITES = 400


def sites(pool: Pool) -> Moments:
    """The distribution function of all pixels, and the means of single ones."""
    assert pool.values is not None
    x = np.nan_to_num(pool.values)
    at = cuts(x.ravel(), 12)
    below = np.stack([(x <= a).mean(1) for a in at], 1) if len(at) else np.zeros((pool.n, 0))
    some = np.linspace(0, x.shape[1] - 1, min(x.shape[1], MOST_SITES)).round().astype(int)
    names = [f"share of pixels at or below {a:.4g}" for a in at]
    names += [f"mean of pixel {_told(pool, j)}" for j in some]
    return Moments(names, np.concatenate([below, x[:, some]], 1), np.ones((pool.n, 1)))


def _told(pool: Pool, j: int) -> str:
    place = pool.names[j]
    return str(place[:2] if pool.shape[2] == 1 else place)


def neighbours(pool: Pool) -> Moments | str:
    """Correlations of pixels with those to the right, below and across, and of channels."""
    assert pool.values is not None
    height, width, channels = pool.shape
    x = np.nan_to_num(pool.values)
    x = ((x - x.mean()) / (x.std() or 1.0)).reshape(-1, height, width, channels)
    names, sums = [], [(x**2).mean((1, 2, 3))]
    for down, right in ((0, 1), (1, 0), (1, 1), (0, 2), (2, 0), (0, 4), (4, 0)):
        if down < height and right < width:
            pair = x[:, down:, right:] * x[:, : height - down, : width - right]
            sums.append(pair.mean((1, 2, 3)))
            names.append(f"correlation of pixels {down} rows and {right} columns apart")
    for a in range(channels):
        for b in range(a):
            sums.append((x[..., a] * x[..., b]).mean((1, 2)))
            names.append(f"correlation of channels {b} and {a}")
    if not names:
        return "the images are single pixels"

    def made(means: np.ndarray) -> np.ndarray:
        return means[..., 1:] / np.maximum(means[..., :1], 1e-12)

    return Moments(names, np.stack(sums, 1), np.ones((pool.n, 1)), made)
