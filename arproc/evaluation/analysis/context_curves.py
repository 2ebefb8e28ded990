"""Context curves: what elements cost by where they stand, and by how much of the past is known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from arproc.contract.law import ChainLaw
from arproc.contract.sequences import Sequences
from arproc.errors import (
    DataError,
    ParameterError,
    UnsupportedError,
    check_choice,
    check_count,
    check_integer,
    check_list,
)
from arproc.evaluation.standard_errors import of_terms
from arproc.evaluation.terms import Reading, read_terms
from arproc.process import Process

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["context_curve"]


def context_curve(
    model: Process,
    data: Any,
    *,
    by: str = "length",
    lengths: Any = None,
    n_targets: int = 1000,
    context: Any = None,
    offset: Any = None,
) -> pd.DataFrame:
    """How much the past helps: -log p per element against position or the length of the context.

    `by="length"` scores the same elements again and again, each given only so many elements before
    it, as if the sequence had begun there (an n-gram model's as within a text, `midway`). Where
    the curve goes flat, the model makes nothing of more. A model that is not stationary, or marks
    the beginning of texts, is told here of beginnings that are none.

    `by="position"` takes each element given all before it and averages over bands of positions:
    early elements have less past, but may differ in other ways too.

    Args:
        model: a fitted process.
        data: sequences in any form the model takes.
        by: "length" or "position".
        lengths: numbers of elements known, for "length"; where bands of positions begin, for
            "position". By default 0, 1, 2, 4, 8 ... as far as the data go, at most 1,024.
        n_targets: of how many elements the costs are averaged for "length", evenly spread over
            the data; all have as many elements before them as the greatest length.
        context: what the sequences are conditioned on, for models that take it.
        offset: at which step the sequences begin, as for `log_prob`.

    Returns:
        For "length" a row for each: `length`, `n`, `nats_per_element`, its standard error `se`,
        and `difference` (this less that of the greatest length, of the same elements) with
        `se_difference`. For "position" a row for each band: `first`, `last`, `n`,
        `nats_per_element`, `se`. Errors allow for dependence, as those of `evaluate`.

    Example:
        >>> import arproc
        >>> model = arproc.AR.from_parameters([0.9])
        >>> x = model.sample(1, length=400, seed=0)[0]
        >>> curve = context_curve(model, x, lengths=[0, 1, 5])
        >>> (curve["difference"].round(2).abs() > 0).tolist()  # one element before says it all
        [True, False, False]
    """
    check_choice("by", by, ("length", "position"))
    n_targets = check_count("n_targets", n_targets, minimum=2)
    reading = read_terms(model, data, context, offset, "context_curve")
    found = _by_position if by == "position" else _by_length
    table = found(reading, lengths, n_targets)
    table.attrs = {"by": by, "unit": "nats_per_element"}
    return table


def _grid(lengths: Any, least: int, most: int) -> list[int]:
    if lengths is None:
        doubled = [0, *(2**k for k in range(11))]
        return sorted({max(k, least) for k in doubled if k <= most})
    found = {check_integer("lengths", k, minimum=least) for k in check_list("lengths", lengths)}
    if not found:
        raise ParameterError("lengths is empty; expected some whole numbers.")
    return sorted(found)


# ---- by position ----------------------------------------------------------------------------


def _by_position(reading: Reading, lengths: Any, n_targets: int) -> pd.DataFrame:
    import pandas as pd

    del n_targets  # every element is looked at
    process, sequences, context = reading
    with torch.no_grad():
        terms = process.law_.checked_terms(sequences, context).double().cpu().numpy()
    steps, rows = reading.steps, reading.rows
    seen = sequences.scored(process.n_given).numpy()
    cost, steps, rows = -terms[seen], steps[seen], rows[seen]
    if not len(cost):
        raise DataError("data has no element to score.")
    firsts = _grid(lengths, process.n_given, int(steps.max()))
    band = np.searchsorted(firsts, steps, side="right") - 1
    table = []
    for k, first in enumerate(firsts):
        inside = band == k
        if not inside.any():
            continue
        last = firsts[k + 1] - 1 if k + 1 < len(firsts) else int(steps.max())
        error = of_terms(cost[inside], rows[inside])
        table.append((first, last, int(inside.sum()), float(cost[inside].mean()), error.se))
    return pd.DataFrame(table, columns=["first", "last", "n", "nats_per_element", "se"])


# ---- by length ------------------------------------------------------------------------------


def _by_length(reading: Reading, lengths: Any, n_targets: int) -> pd.DataFrame:
    import pandas as pd

    process, sequences, context = reading
    if sequences.space.length is not None:
        raise UnsupportedError(
            f"{sequences.space.describe()} examples have a fixed size, so no part of one is a "
            'sequence; by="position" is for these.'
        )
    law = _anywhere(process.law_)
    longest = int(sequences.lengths.max())
    grid = _grid(lengths, law.n_given, max((longest - 1) // 2, law.n_given))
    if grid[-1] >= longest:
        raise DataError(
            f"lengths has {grid[-1]}; expected less than {longest}, the length of the longest "
            "sequence."
        )
    rows, at = _targets(sequences, grid[-1], n_targets)
    costs = np.stack([_costs(law, sequences, context, rows, at, k) for k in grid])
    table = []
    for k, cost in zip(grid, costs, strict=True):
        apart = cost - costs[-1]
        error = of_terms(cost, rows).se
        table.append((k, len(cost), cost.mean(), error, apart.mean(), of_terms(apart, rows).se))
    columns = ["length", "n", "nats_per_element", "se", "difference", "se_difference"]
    return pd.DataFrame(table, columns=columns)


def _anywhere(law: ChainLaw) -> ChainLaw:
    """The law of pieces that begin anywhere, where it is known; else the law."""
    try:
        return law.midway()
    except UnsupportedError:
        return law


def _targets(sequences: Sequences, before: int, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Elements that have enough before them and were observed: their sequences and places."""
    lengths, starts = sequences.lengths.numpy(), sequences.offsets[:-1].numpy()
    rows = np.repeat(np.arange(len(lengths)), lengths)
    at = np.arange(len(rows)) - np.repeat(starts, lengths)
    fine = np.flatnonzero((at >= before) & ~sequences.gone.numpy())
    if not len(fine):
        raise DataError(f"data has no observed element with {before} before it; use fewer.")
    some = fine[np.linspace(0, len(fine) - 1, min(most, len(fine))).astype(int)]
    return rows[some], at[some]


def _costs(
    law: ChainLaw,
    sequences: Sequences,
    context: torch.Tensor | None,
    rows: np.ndarray,
    at: np.ndarray,
    before: int,
) -> np.ndarray:
    """-log p of each target given so many elements before it, [n]."""
    start = torch.from_numpy(sequences.offsets[:-1].numpy()[rows] + at - before)
    index = (start[:, None] + torch.arange(before + 1)).flatten()
    values = sequences.values[index.to(sequences.values.device)]
    offsets = torch.arange(len(rows) + 1) * (before + 1)
    ended = torch.zeros(len(rows), dtype=torch.bool)
    pieces = Sequences(values, offsets, sequences.space, ended, missing=sequences.missing)
    own = None if context is None else context[torch.from_numpy(rows)]
    if own is not None and own.ndim == 3:
        column = torch.from_numpy(at - before)[:, None] + torch.arange(before + 1)
        own = own.gather(1, column[..., None].expand(-1, -1, own.shape[2]).to(own.device))
    with torch.no_grad():
        terms = law.checked_terms(pieces, own).double().cpu().numpy()
    return -terms.reshape(len(rows), -1)[:, -1]
