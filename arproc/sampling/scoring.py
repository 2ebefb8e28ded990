"""The log-probabilities of draws, by the parallel side."""

from __future__ import annotations

import torch

from arproc.contract.law import ChainLaw
from arproc.contract.sequences import Sequences
from arproc.contract.state import State
from arproc.distributions import index

__all__ = ["scores_after", "scores_of"]

#: How many numbers a block of conditionals may hold while draws are scored.
_SCORED = 2**22


def scores_after(
    state: State, x: torch.Tensor, lengths: torch.Tensor, complete: torch.Tensor
) -> torch.Tensor:
    """The log-probabilities of draws by the state that they began in, nats, float64 [n]."""
    space, total = state.law.space, torch.zeros(len(x), dtype=torch.float64, device=x.device)
    ends = complete & (space.end is not None)
    steps = (lengths + ends).to(x.device)
    if bool(ends.any()):
        x = torch.cat([x, x.new_full((len(x), 1), space.end)], dim=1)
        x[ends.nonzero()[:, 0], lengths[ends]] = space.end
    chunk = max(1, _SCORED // (max(len(x), 1) * state.law.numbers))
    for begin in range(0, x.shape[1], chunk):
        part = x[:, begin : begin + chunk]
        last = begin + part.shape[1] == x.shape[1]
        columns, state = state.extend(part[:, :-1] if last else part)
        columns = columns if last else index(columns, (slice(None), slice(0, -1)))
        inside = begin + torch.arange(part.shape[1], device=x.device) < steps[:, None]
        total += torch.where(inside, columns.log_prob(part).double(), 0.0).sum(1)
    return total


def scores_of(
    law: ChainLaw,
    known: Sequences | None,
    x: torch.Tensor,
    lengths: torch.Tensor,
    complete: torch.Tensor,
    context: torch.Tensor | None,
) -> torch.Tensor:
    """The draws' log-probabilities given the prefix, by the parallel side."""
    n = len(lengths)
    if n == 0:
        return torch.zeros(0, dtype=torch.float64)
    parts = [x[i, : int(lengths[i])] for i in range(n)]
    before = torch.zeros(n, dtype=torch.int64)
    if known is not None:
        before = known.lengths
        parts = [torch.cat([known.row(i), part]) for i, part in enumerate(parts)]
    offsets = torch.zeros(n + 1, dtype=torch.int64)
    offsets[1:] = (before + lengths).cumsum(0)
    gaps = known is not None and known.missing
    whole = Sequences(torch.cat(parts), offsets, law.space, complete, missing=gaps)
    terms = law.log_prob_terms(whole, context)
    counts = whole.n_terms - law.n_given
    row = torch.repeat_interleave(torch.arange(n), counts)
    place = torch.arange(len(row)) - (counts.cumsum(0) - counts)[row]
    new = place >= (before - law.n_given)[row]
    # a policy may forbid what the prefix holds: its minus infinity does not count here
    kept = torch.where(new.to(terms.device), terms, 0.0)
    return torch.zeros(n, dtype=torch.float64, device=terms.device).index_add(0, row, kept)
