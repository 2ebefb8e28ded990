"""Rows that a process holds possible, for processes under which some are not."""

from __future__ import annotations

import numpy as np
import torch

from arproc.contract.state import State
from arproc.distributions import as_categorical
from arproc.errors import ArprocError

__all__ = ["possible"]


def possible(state: State, x: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Rows of symbols in which nothing has probability zero, [N, T].

    From the first impossible symbol on, a row goes on with any of those that are possible, all
    alike, so that unlikely contexts are visited still.

    Args:
        state: where the rows begin, N of them.
        x: symbols [N, T].
        rng: what chooses.
    """
    if not len(x) or not x.shape[1]:
        return x
    columns = as_categorical(state.extend(x[:, :-1])[0])
    fine = columns.log_prob(x) > -torch.inf
    if bool(fine.all()):
        return x
    x, end = x.clone(), state.law.space.end
    for t in range(x.shape[1]):
        try:
            open_ = as_categorical(state.conditional).logits > -torch.inf
        except ArprocError:  # a row can not go on at all
            return x
        if end is not None:
            open_[:, end] = False
        chosen = (torch.from_numpy(rng.random(open_.shape)) * open_).argmax(1).to(x)
        bad = ~fine[:, : t + 1].all(1) & open_.any(1)
        x[:, t] = torch.where(bad, chosen, x[:, t])
        state = state.append(x[:, t])
    return x
