"""Coverage and sharpness: how often central intervals hold what came, and how wide they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from arproc.distributions import atom, cdf, quantile, to
from arproc.errors import DataError, UnsupportedError, check_list, check_number
from arproc.evaluation.standard_errors import MeanError, of_terms, t_quantile
from arproc.evaluation.terms import read_terms
from arproc.evaluation.verification.scores import interval_score
from arproc.evaluation.walk import Block, per_term, stand_in
from arproc.process import Process
from arproc.spaces import Categorical

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["coverage"]


def coverage(
    model: Process,
    data: Any,
    levels: Sequence[float] = (0.5, 0.8, 0.9, 0.95),
    *,
    context: Any = None,
    offset: Any = None,
) -> pd.DataFrame:
    """How often the central intervals of the conditionals hold what came, one step ahead.

    Calibration is that coverage is as nominal; sharpness, given that, that widths are small
    (Gneiting, Balabdaoui and Raftery 2007). Neither says more without the other; the interval
    score has both.

    Args:
        model: a fitted process of ordered scalars.
        data: sequences in any form the model takes.
        levels: the intervals' probabilities.
        context: what the sequences are conditioned on, for models that take it.
        offset: at which step the sequences begin, as for `log_prob`.

    Returns:
        A row for each level: `coverage`, the share that is inside, with its standard error `se`;
        `nominal`, what the model itself gives its intervals (the level, or more where elements are
        discrete and no interval has it); `low95` to `high95`, an interval of the coverage
            (Wilson 1927, of as many independent elements as have this error; of all, where every
            one or none is inside);
        `mean_width`, `median_width` and `interval_score`, in the unit of the data. Missing
        elements are left out; `.attrs["n"]` are counted.

    Example:
        >>> import arproc
        >>> model = arproc.AR.from_parameters([0.5])
        >>> x = model.sample(1, length=2000, seed=0)[0]
        >>> coverage(model, x, [0.9])[["coverage", "nominal", "mean_width"]].round(2).values
        array([[0.91, 0.9 , 3.29]])
    """
    import pandas as pd

    asked = [check_number("levels", q, above=0, below=1) for q in check_list("levels", levels)]
    if not asked:
        raise DataError("levels is empty; expected some probabilities, such as 0.9.")
    reading = read_terms(model, data, context, offset, "coverage")
    process, sequences, prepared = reading
    space = process.space
    if space.event_shape or isinstance(space, Categorical) or space.measure == "mixed":
        raise UnsupportedError(
            f"coverage is for ordered scalars; this process has {space.describe()} elements."
        )
    found = per_term(process, sequences, prepared, lambda block: _intervals(block, asked)).numpy()
    y, found = found[:, 0], found[:, 1:].reshape(len(found), len(asked), 3)
    known = ~np.isnan(y)
    y, found, rows = y[known], found[known], reading.rows[known]
    if not len(y):
        raise DataError("data has no observed element to look at.")
    table = []
    for k, level in enumerate(asked):
        low, high, nominal = found[:, k].T
        inside = ((y >= low) & (y <= high)).astype(float)
        error = of_terms(inside, rows)
        share = float(inside.mean())
        score = float(np.mean(interval_score(low, high, y, level)))
        widths = high - low
        middle = (float(widths.mean()), float(np.median(widths)))
        ends = _wilson(share, len(y), error)
        table.append((share, error.se, float(nominal.mean()), *ends, *middle, score))
    columns = ["coverage", "se", "nominal", "low95", "high95", "mean_width", "median_width",
               "interval_score"]  # fmt: skip
    frame = pd.DataFrame(table, index=pd.Index(asked, name="level"), columns=columns)
    frame.attrs = {"n": len(y)}
    return frame


def _wilson(share: float, n: int, error: MeanError) -> tuple[float, float]:
    """The interval of a share of n, by the error that it has; it has a width at 0 and 1 too."""
    spread = share * (1 - share)
    alike = spread / error.se**2 if spread > 0 and error.se != 0 else n
    pull = t_quantile(error.df) ** 2 / alike
    centre = (share + pull / 2) / (1 + pull)
    reach = np.sqrt(pull * (spread + pull / 4)) / (1 + pull)
    return float(max(centre - reach, 0.0)), float(min(centre + reach, 1.0))


def _intervals(block: Block, levels: list[float]) -> torch.Tensor:
    """The element, and of each level the ends and the probability of the interval, [n, k, ...]."""
    conditionals = to(block.conditionals, dtype=torch.float64)
    x, gone = stand_in(block.x.double())
    found = [x.masked_fill(gone, torch.nan)]
    for level in levels:
        tails = (torch.full_like(x, (1 - level) / 2), torch.full_like(x, (1 + level) / 2))
        low, high = (quantile(conditionals, q) for q in tails)
        below = cdf(conditionals, low) - atom(conditionals, low)
        found += [low, high, cdf(conditionals, high) - below]
    return torch.stack(found, dim=-1)
