"""Data sets that a law might have given in the place of the data, of their shape."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch

from arproc.contract.law import ChainLaw, WholeLaw
from arproc.contract.randomness import Uniforms, derived_seed
from arproc.contract.sequences import Sequences
from arproc.data.form import restore
from arproc.errors import UnsupportedError
from arproc.process import Model
from arproc.sampling.ancestral import draw

__all__ = ["as_drawn", "replicates"]

#: How many elements are drawn at once.
_ELEMENTS = 2**20


def as_drawn(model: Model, sequences: Sequences) -> Any:
    """The data themselves in the form in which replicates come."""
    x, lengths = sequences.padded()
    return _restored(model, sequences, x, lengths)


def replicates(
    model: Model, sequences: Sequences, context: torch.Tensor | None, count: int, seed: int
) -> Iterator[Any]:
    """Draws of whole data sets, under the context of the data.

    Sequences have the data's lengths, or where they end by themselves lengths of their own; they
    begin with the values that are given, and miss what the data miss.

    Args:
        model: a fitted model.
        sequences: the data.
        context: of these, as the law takes it.
        count: how many data sets.
        seed: of the draws; a data set depends on it and on its number alone, up to the size of the
            data.
    """
    n, longest = len(sequences), max(int(sequences.lengths.max()), 1)
    together = max(1, _ELEMENTS // (n * longest))
    for begin in range(0, count, together):
        sets = min(together, count - begin)
        uniforms = Uniforms(derived_seed(seed, begin))
        known = None if context is None else context.repeat(sets, *[1] * (context.ndim - 1))
        with torch.no_grad():
            x, lengths = _drawn(model, sequences, known, sets, uniforms)
        for number in range(sets):
            own = slice(number * n, (number + 1) * n)
            most = int(lengths[own].max())
            yield _restored(model, sequences, x[own, :most], lengths[own])


def _drawn(
    model: Model,
    sequences: Sequences,
    context: torch.Tensor | None,
    sets: int,
    uniforms: Uniforms,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Sequences [sets * N, T, *event] and their lengths."""
    law, n = model.law_, sets * len(sequences)
    if isinstance(law, WholeLaw):
        x = law.draw(n, uniforms, context).to(law.space.dtype)
        return x, torch.full((n,), x.shape[1])
    if not isinstance(law, ChainLaw):
        raise UnsupportedError(f"{type(model).__name__} can not be drawn from.")
    state = law.fresh(n, context)
    given = sequences.padded(columns=(0, law.n_given))[0] if law.n_given else None
    if given is not None:
        given = given.repeat(sets, *[1] * (given.ndim - 1))
        state = state.extend(given.to(law.device))[1]
    limit = None if law.space.terminates else sequences.lengths.repeat(sets) - law.n_given
    x, lengths, _ = draw(state, uniforms, limit, None, law.space)
    if given is not None:
        x, lengths = torch.cat([given.to(x), x], dim=1), lengths + law.n_given
    return x, lengths


def _restored(model: Model, sequences: Sequences, x: torch.Tensor, lengths: torch.Tensor) -> Any:
    """In the user's form: arrays, text, or the rows of a table."""
    law, x = model.law_, x.detach().cpu()
    if sequences.missing and not law.space.terminates:
        gone = torch.isnan(sequences.padded()[0].detach().cpu().double())
        x = x.masked_fill(gone, torch.nan)
    kind = sequences.form.kind if sequences.form.kind == "table" else "numpy"
    form = replace(sequences.form, kind=kind, indexes=(), device=None)
    return restore(x, lengths, law.space, form, law.layout)
