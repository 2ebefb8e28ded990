"""Policies against repetition, which remember what came: penalties and blocked n-grams.

All that came counts, a prefix too, since the law under a policy is one of whole sequences.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.distributions import Distribution

from arproc.contract.law import ChainLaw
from arproc.contract.track import Track
from arproc.distributions import Categorical, as_categorical
from arproc.errors import check_integer, check_number
from arproc.sampling.biases import symbols_of
from arproc.sampling.policies import Policy

__all__ = ["FrequencyPenalty", "NoRepeatNGram", "PresencePenalty", "RepetitionPenalty"]


class _Counting(Policy):
    """A policy whose state is how often each symbol came, [N, symbols]."""

    stateful = True
    empties = False

    def changed(self, scores: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
        """The new scores [*batch, symbols] from log-probabilities and counts of that shape."""
        raise NotImplementedError

    def bound(self, law: ChainLaw) -> Policy:
        symbols_of(law, type(self).__name__)
        return self

    def start(self, n: int, law: ChainLaw) -> torch.Tensor:
        size = symbols_of(law, type(self).__name__)
        return torch.zeros(n, size, dtype=torch.int32, device=law.device)

    def append(self, state: Any, x: torch.Tensor, active: torch.Tensor | None = None) -> Any:
        one = torch.ones_like(x, dtype=state.dtype) if active is None else active.to(state.dtype)
        return state.scatter_add(1, x.long()[:, None], one[:, None])

    def select(self, state: Any, rows: torch.Tensor) -> Any:
        return state[rows]

    def apply(self, conditional: Distribution, state: Any = None) -> Distribution:
        return Categorical(self.changed(as_categorical(conditional).logits, state))

    def extend(
        self,
        columns: Distribution,
        state: Any,
        x: torch.Tensor,
        lengths: torch.Tensor | None,
    ) -> tuple[Distribution, Any]:
        scores = as_categorical(columns).logits
        steps = scores.new_zeros(scores.shape, dtype=state.dtype)
        steps[:, 1:].scatter_(2, x.long()[..., None], 1)
        counts = state[:, None] + steps.cumsum(1).to(state.dtype)
        rows = torch.arange(len(x), device=x.device)
        after = counts[:, -1] if lengths is None else counts[rows, lengths]
        return Categorical(self.changed(scores, counts)), after


class RepetitionPenalty(_Counting):
    """p(x)^penalty for symbols that came before, renormalised (Keskar et al. 2019).

    The logarithm of the probability of each such symbol is multiplied by the penalty. (Where a
    network's raw scores are taken instead, as elsewhere, the result depends on a constant that
    changes no probability; on log-probabilities the two agree.)

    Args:
        penalty: above 0; above 1 against repetition, below 1 for it.
    """

    def __init__(self, penalty: float) -> None:
        check_number("penalty", penalty, above=0)
        self.penalty = penalty

    def changed(self, scores: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
        return torch.where(counts > 0, scores * self.penalty, scores)


class PresencePenalty(_Counting):
    """Takes nats from the score of each symbol that came before, however often.

    Args:
        penalty: in nats; below 0 for repetition.
    """

    def __init__(self, penalty: float) -> None:
        check_number("penalty", penalty)
        self.penalty = penalty

    def changed(self, scores: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
        return scores - self.penalty * (counts > 0)


class FrequencyPenalty(_Counting):
    """Takes nats from the score of each symbol for every time that it came before.

    Args:
        penalty: in nats; below 0 for repetition.
    """

    def __init__(self, penalty: float) -> None:
        check_number("penalty", penalty)
        self.penalty = penalty

    def changed(self, scores: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
        return scores - self.penalty * counts


class NoRepeatNGram(Policy):
    """No n symbols in a row come twice (Paulus, Xiong and Socher 2018).

    With few symbols there may come a place where nothing is left: drawing there is an error.

    Args:
        n: how many symbols in a row, at least 1.

    Example:
        >>> import arproc
        >>> text = arproc.PPM(order=2, tokens="char").fit(["abcabc", "acb"])
        >>> drawn = text.sample(1, length=6, policy=NoRepeatNGram(2), seed=1)[0]
        >>> pairs = [drawn[i : i + 2] for i in range(len(drawn) - 1)]
        >>> len(pairs) == len(set(pairs))
        True
    """

    stateful = True

    def __init__(self, n: int) -> None:
        self.n = check_integer("n", n, minimum=1)

    def bound(self, law: ChainLaw) -> Policy:
        symbols_of(law, "NoRepeatNGram")
        return self

    def start(self, n: int, law: ChainLaw) -> Track:
        return Track.empty(n, (), torch.int64, law.device)

    def append(self, state: Any, x: torch.Tensor, active: torch.Tensor | None = None) -> Any:
        if active is None:
            return state.append(x.long())
        return state.extend(x.long()[:, None], active.long())

    def select(self, state: Any, rows: torch.Tensor) -> Any:
        return state.select(rows)

    def apply(self, conditional: Distribution, state: Any = None) -> Distribution:
        scores = as_categorical(conditional).scores
        if state.stop < self.n:
            return Categorical(scores)
        seen = state.tail(state.stop, padding=-1)
        grams = seen.unfold(1, self.n, 1)  # [N, stop - n + 1, n]
        last = seen[:, seen.shape[1] - (self.n - 1) :]
        again = (grams[..., :-1] == last[:, None]).all(-1) & (grams >= 0).all(-1)
        hits = torch.zeros_like(scores, dtype=torch.int32)
        hits.scatter_add_(1, grams[..., -1].clamp(min=0), again.int())
        return Categorical(scores.masked_fill(hits > 0, -torch.inf))
