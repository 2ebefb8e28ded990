"""PIT values: where each element falls in its own conditional; uniform if the model is right.

For a real element u_t = F(x_t | x_<t) (Rosenblatt 1952; Dawid 1984, "Statistical theory: the
prequential approach"). For a discrete one u_t is uniform between F(x_t - 1 | x_<t) and
F(x_t | x_<t) (randomised PIT: Brockwell 2007, "Universal residuals"). Under the true model the
values are independent and uniform on (0, 1), whatever the family.
"""

from __future__ import annotations

from dataclasses import replace
from functools import singledispatch
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import distributions as td
from torch.distributions import Distribution

from arproc.contract.randomness import Uniforms
from arproc.contract.sequences import Sequences
from arproc.data.frames import native
from arproc.distributions import MaybeMissing, Spiked, Varied, atom, cdf, observed_scores, to
from arproc.errors import DataError, ParameterError, check_array, check_count
from arproc.evaluation.walk import Block, per_term, stand_in
from arproc.process.process import Process, require_process

__all__ = ["Uniformity", "pit", "pit_terms", "uniformity"]


def pit(
    model: Process,
    data: Any,
    *,
    context: Any = None,
    offset: Any = None,
    seed: int | torch.Generator | None = None,
) -> Any:
    """The probability integral transform of every element, given those before it.

    Args:
        model: a fitted process.
        data: sequences in any form the model takes.
        context: what the sequences are conditioned on, for models that take it.
        offset: at which step the sequences begin, for models with a trend or seasons, as for
            `log_prob`.
        seed: of the randomisation for discrete elements (and missing entries of tables); an
            element's value depends on the seed, its sequence's number and its position alone.
            Real elements need none.

    Returns:
        As `log_prob_terms`: an array [T] for one sequence (a Series keeps its index), a list of
        them for several; the end of a sequence has a value too, given elements have none. Vector
        elements have one for each component given the components before it, [T, d]. What is
        missing (NaN, where the model takes it) has NaN.

    Example:
        >>> import arproc
        >>> model = arproc.AR(0, trend="n").fit([1.0, -1.0, 1.0, -1.0])    # standard normal
        >>> pit(model, [0.0, 1.0]).round(4)
        array([0.5   , 0.8413])
    """
    process = require_process(model, "pit")
    sequences = process.sequences(data, missing=process.law_.takes_missing)
    prepared = process.read_context(context, sequences, int(sequences.n_terms.max()), offset)
    values = pit_terms(process, sequences, prepared, seed)
    counts = sequences.n_terms - process.n_given
    offsets = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
    form = sequences.form
    if values.ndim > 1 and form.kind in ("series", "frame"):
        form = replace(form, kind="list")
    return form.per_element(values, offsets, skip=process.n_given)


def pit_terms(
    process: Process,
    sequences: Sequences,
    prepared: torch.Tensor | None,
    seed: int | torch.Generator | None,
) -> torch.Tensor:
    """The values of all terms, flat, float64 [terms] or, of vectors, [terms, d]."""
    discrete = sequences.space.measure != "density"
    uniforms = Uniforms(seed, "pit") if discrete else None

    def function(block: Block) -> torch.Tensor:
        conditionals = to(block.conditionals, dtype=torch.float64)
        if uniforms is None:
            return _transform(conditionals, block.x.double(), None)
        k, event = block.x.shape[1], tuple(block.x.shape[2:])
        u = uniforms.block(block.rows, block.positions.cpu().numpy(), k, event)
        return _transform(conditionals, block.x.double(), u.to(block.x.device))

    return per_term(process, sequences, prepared, function)


@singledispatch
def _transform(
    distribution: Distribution, x: torch.Tensor, u: torch.Tensor | None
) -> torch.Tensor:
    """The PIT of x [*batch, *event] under each conditional; u randomises discrete ones."""
    x, gone = stand_in(x)
    value = cdf(distribution, x)
    if u is not None:
        value = value - (1 - u) * distribution.log_prob(x).exp()
    return value.clamp(0.0, 1.0).masked_fill(gone, torch.nan)


@_transform.register(Varied)
@_transform.register(MaybeMissing)
@_transform.register(Spiked)
def _(
    distribution: Varied | MaybeMissing | Spiked, x: torch.Tensor, u: torch.Tensor | None
) -> torch.Tensor:
    value = cdf(distribution, x)
    return value if u is None else (value - (1 - u) * atom(distribution, x)).clamp(0.0, 1.0)


@_transform.register
def _(distribution: td.Independent, x: torch.Tensor, u: torch.Tensor | None) -> torch.Tensor:
    return _transform(distribution.base_dist, x, u)


@_transform.register
def _(
    distribution: td.MultivariateNormal, x: torch.Tensor, u: torch.Tensor | None
) -> torch.Tensor:
    # the rows of the Cholesky factor give each component's law given those before it
    del u  # a density needs no randomisation
    if bool(torch.isnan(x).any()):
        return torch.special.ndtr(observed_scores(distribution, x))
    tril = distribution.scale_tril
    deviation = (x - distribution.loc)[..., None]
    return torch.special.ndtr(torch.linalg.solve_triangular(tril, deviation, upper=False)[..., 0])


class Uniformity(NamedTuple):
    """How far PIT values are from independent and uniform.

    The p-values are for a model that is fully known; parameters fitted on the same data make
    them too large.

    Attributes:
        ks: the Kolmogorov-Smirnov distance to the uniform distribution.
        ks_p_value: the probability of a larger distance under the right model (exact).
        ljung_box: Ljung and Box's (1978) statistic of the normal scores of the values.
        ljung_box_p_value: the probability of a larger one under the right model.
        lags: how many lags the statistic is over.
        n: how many values there were.
    """

    ks: float
    ks_p_value: float
    ljung_box: float
    ljung_box_p_value: float
    lags: int
    n: int


def uniformity(values: Any, lags: int | None = None) -> Uniformity:
    """Test PIT values for uniformity and, along each sequence, for independence.

    Args:
        values: what `pit` returned; NaN (of missing elements) is left out, and leaves no gap.
        lags: how many lags the test of independence is over; 10, or fewer in short sequences.

    Example:
        >>> result = uniformity((np.arange(100) * 0.618 + 0.5) % 1)
        >>> result.ks < 0.02, result.ks_p_value > 0.99, result.ljung_box_p_value < 1e-6
        (True, True, True)
    """
    rows = flatten(values)
    joined = np.concatenate(rows)
    if len(joined) < 2:
        raise DataError(f"values has {len(joined)} PIT value(s); expected at least 2.")
    from scipy import special, stats

    test = stats.kstest(joined, "uniform")
    longest = max(len(row) for row in rows)
    lags = min(10, max(1, longest // 5)) if lags is None else check_count("lags", lags, minimum=1)
    if lags > max(longest, 1):
        raise ParameterError(f"lags must be at most {longest}, the longest sequence's length.")
    statistic = _ljung_box([special.ndtri(np.clip(row, 1e-15, 1 - 1e-15)) for row in rows], lags)
    return Uniformity(
        float(test.statistic),
        float(test.pvalue),
        statistic,
        float(special.chdtrc(lags, statistic)),
        lags,
        len(joined),
    )


def _ljung_box(rows: list[np.ndarray], lags: int) -> float:
    """Q = sum_k (n (n + 2) / (n - k)) r_k^2, products within sequences pooled (mean 0 known)."""
    total = sum(float((z**2).sum()) for z in rows)
    n = sum(len(z) for z in rows)
    statistic = 0.0
    for k in range(1, lags + 1):
        pairs = sum(max(len(z) - k, 0) for z in rows)
        if pairs:
            product = sum(float((z[k:] * z[:-k]).sum()) for z in rows if len(z) > k)
            # var(r_k) is pairs / (n (n + 2)): (n - k) of them in one sequence
            statistic += n * (n + 2) / pairs * (product / total) ** 2
    return statistic


def _is_row(item: Any) -> bool:
    return isinstance(item, (list, tuple)) or getattr(item, "ndim", 0) > 0


def flatten(values: Any) -> list[np.ndarray]:
    """PIT values of any form as a list of float64 arrays [T], one a series (and component).

    Those of missing elements, NaN, are left out.
    """
    values = native(values, "values")
    if hasattr(values, "columns"):
        values = [values.iloc[:, i] for i in range(values.shape[1])]
    several = isinstance(values, (list, tuple)) and any(map(_is_row, values))
    rows = [check_array("values", row, DataError) for row in (values if several else [values])]
    if not rows:
        raise DataError("values is empty; expected PIT values, as pit(model, data) gives them.")
    split = [
        column for row in map(np.atleast_1d, rows) for column in (row.T if row.ndim > 1 else [row])
    ]
    split = [row[~np.isnan(row)] if row.ndim == 1 else row for row in split]
    for row in split:
        if row.ndim != 1:
            raise DataError(f"values has an array of shape {row.shape}; expected [T] or [T, d].")
        if not ((row >= 0) & (row <= 1)).all():
            raise DataError("values must be PIT values in [0, 1], as pit(model, data) gives them.")
    return split
