"""The continuous ranked probability score, in the unit of the data; lower is better.

CRPS(F, y) = E|X - y| - E|X - X'| / 2 (Gneiting and Raftery 2007, eq. 21): the absolute error of a
point forecast, made proper for distributions.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import distributions as td

from arproc.data.arrays import to_tensor
from arproc.distributions import to
from arproc.errors import DataError, ParameterError, UnsupportedError, check_flag
from arproc.evaluation.closed_forms import scored
from arproc.evaluation.walk import Block, per_term, stand_in
from arproc.process.process import Process, require_process
from arproc.spaces import Binary, Count, Ordinal, Real

__all__ = ["crps", "crps_of"]


def crps(
    model: Process,
    data: Any,
    *,
    context: Any = None,
    offset: Any = None,
    return_error: bool = False,
) -> Any:
    """The CRPS of every element under its conditional, one step ahead.

    Args:
        model: a fitted process of real, count, ordinal or binary scalars.
        data: sequences in any form the model takes.
        context: what the sequences are conditioned on, for models that take it.
        offset: at which step the sequences begin, for models with a trend or seasons, as for
            `log_prob`.
        return_error: give the absolute numerical error of each value as well: 0 where there is
            a closed form, an estimate where it is integrated (see `quadrature`).

    Returns:
        As `log_prob_terms`: an array [T] for one sequence (a Series keeps its index), a list of
        them for several; given elements have none, and missing ones (where the model takes them)
        NaN. With `return_error` a pair of these.

    Example:
        >>> import arproc
        >>> model = arproc.AR(0, trend="n").fit([1.0, -1.0, 1.0, -1.0])    # standard normal
        >>> crps(model, [0.0, 1.0]).round(4)
        array([0.2337, 0.6024])
    """
    process = require_process(model, "crps")
    space = process.space
    if space.event_shape or not isinstance(space, (Real, Count, Ordinal, Binary)):
        raise UnsupportedError(
            f"the CRPS is for ordered scalars; this process has {space.describe()} elements. Its "
            "log_prob is a proper score for any."
        )
    check_flag("return_error", return_error)
    sequences = process.sequences(data, missing=process.law_.takes_missing)
    prepared = process.read_context(context, sequences, int(sequences.n_terms.max()), offset)

    def function(block: Block) -> torch.Tensor:
        conditionals = to(block.conditionals, dtype=torch.float64)
        x, gone = stand_in(block.x.double())
        values = torch.stack(scored(conditionals, x), dim=-1)
        return values.masked_fill(gone[..., None], torch.nan)

    values = per_term(process, sequences, prepared, function)
    counts = sequences.n_terms - process.n_given
    offsets = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
    value, error = (
        sequences.form.per_element(values[:, i], offsets, skip=process.n_given) for i in (0, 1)
    )
    return (value, error) if return_error else value


def crps_of(distribution: td.Distribution, x: Any) -> torch.Tensor:
    """The CRPS of the observations x [*batch] under a scalar distribution, float64.

    It is the integral of (F(z) - 1{z >= x})^2 over all z, and so defined for any real x, that of
    a law of whole numbers as well.

    Example:
        >>> round(float(crps_of(td.Normal(0.0, 1.0), 0.0)), 6)
        0.233695
    """
    if not isinstance(distribution, td.Distribution) or distribution.event_shape:
        raise ParameterError(
            f"distribution must be a torch Distribution of scalars; got {distribution!r}."
        )
    x = to_tensor(x, "x").double()
    with torch.no_grad():
        wide = to(distribution, dtype=torch.float64)
        try:
            shape = torch.broadcast_shapes(x.shape, wide.batch_shape)
        except RuntimeError:
            raise DataError(
                f"x has shape {list(x.shape)}; expected one that goes with the distribution's "
                f"batch shape {list(wide.batch_shape)}."
            ) from None
        return scored(wide, x.expand(shape))[0]
