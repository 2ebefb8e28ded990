"""Scenarios: sample paths of the future given that some of its values are known.

For laws that are not normal: the particles of `arproc.sampling.particles`. A known value takes the
place of a draw, and its conditional probability weighs the path.
"""

from __future__ import annotations

from typing import Any

import torch

from arproc.contract.randomness import Uniforms
from arproc.contract.state import State
from arproc.errors import DataError
from arproc.sampling.facts import KnownTerms
from arproc.sampling.particles import Filter
from arproc.sampling.weights import chosen, families

__all__ = ["weighted_paths"]

#: Fewer equally weighted paths than this do not tell a quantile.
_FEWEST = 30


def weighted_paths(
    state: State, known: torch.Tensor, n_paths: int, seed: Any
) -> tuple[torch.Tensor, torch.Tensor]:
    """Sample paths of which some values are known, weighted and resampled.

    Args:
        state: the state to begin from, one row a series.
        known: the known values [N, horizon, *event], NaN where unknown.
        n_paths: how many paths a series has.
        seed: of the draws.

    Returns:
        Equally weighted paths [N, n_paths, horizon, *event], float64; and how many independent
        ones they are worth, [N], n_paths where nothing is known.
    """
    horizon = known.shape[1]
    draws = Uniforms(seed)
    resampling = Uniforms(draws.seed, "resample")
    cloud = Filter(
        state, KnownTerms(known, state.law), horizon, n_paths, draws, resampling
    ).run()  # fmt: skip
    if bool((cloud.died >= 0).any()):
        row = int((cloud.died >= 0).nonzero()[0])
        raise DataError(
            f"known has values at step {int(cloud.died[row])} (series {row}) that are impossible "
            "under this model given what comes before."
        )
    effective = families(cloud.log_weights, cloud.lineage)
    if float(effective.min()) < min(_FEWEST, n_paths / 2):
        raise DataError(
            f"known is so unlikely under this model that the {n_paths} sample paths are worth "
            f"{float(effective.min()):.1f}; expected at least {_FEWEST}. Raise n_paths, "
            "or give values nearer to what the model expects."
        )
    uneven = (cloud.log_weights != cloud.log_weights[:, :1]).any(1)
    picked = torch.arange(n_paths).repeat(state.n, 1)
    picked[uneven] = chosen(cloud.log_weights, uneven, resampling, horizon, n_paths)
    rows = torch.arange(state.n)[:, None]
    return cloud.x[rows, picked].double(), effective
