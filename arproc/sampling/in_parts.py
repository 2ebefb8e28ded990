"""Sequences of several parts: only what may come where, with all of the probability."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.distributions import Distribution

from arproc.contract.law import ChainLaw
from arproc.data.parts import Parts
from arproc.distributions import Restricted, as_categorical
from arproc.errors import ParameterError
from arproc.sampling.policies import Policy

__all__ = ["InParts"]


class InParts(Policy):
    """The law of symbols, given that each stands where its part does.

    A model of symbols gives some probability to pixels in the middle of a caption. Under this
    policy none is left there: at each step the symbols that may come have all of it, so the law
    under the policy (`with_policy`) is one of whole items, exact and with no mass elsewhere.

    Args:
        parts: what the sequences are made of.

    Example:
        >>> import arproc
        >>> from arproc.parts import Levels, Parts, Text
        >>> pairs = [("ab", [0, 1]), ("b", [1, 1])] * 4
        >>> parts = Parts({"name": Text.of(["ab"]), "code": Levels((2,), 2)})
        >>> model = arproc.NGram(3, "witten_bell", parts.tokens).fit(parts.encode(pairs))
        >>> law = model.with_policy(InParts(parts))
        >>> known = parts.prefix("b", None)
        >>> name, code = parts.decode(law.sample(1, prefix=known, seed=0), known)[0]
        >>> scores = law.log_prob(parts.encode([("ab", [1, 1]), ("b", [1, 1])]))
        >>> bool(scores[1] > scores[0])      # which name has this code?
        True
    """

    stateful = True

    def __init__(self, parts: Parts) -> None:
        self.parts = parts

    def bound(self, law: ChainLaw) -> Policy:
        if not isinstance(self.parts, Parts):
            raise ParameterError(f"parts must be arproc.parts.Parts; got {self.parts!r}.")
        space, size = law.space, self.parts.size
        if space.end != size or space.size != size + 1:
            raise ParameterError(
                f"parts have {size} symbols and an end behind them; the law is over "
                f"{space.describe()}. Fit the model with tokens=parts.tokens."
            )
        return self

    def start(self, n: int, law: ChainLaw) -> Any:
        return torch.zeros(n, dtype=torch.int64, device=law.device)

    def apply(self, conditional: Distribution, state: Any = None) -> Distribution:
        allowed = torch.from_numpy(self.parts.states[0]).to(state.device)
        scores = as_categorical(conditional).scores
        return Restricted(scores.masked_fill(~allowed[state], -torch.inf))

    def append(self, state: Any, x: Tensor, active: Tensor | None = None) -> Any:
        leads = torch.from_numpy(self.parts.states[1]).to(state.device)
        after = leads[state, x.long()]
        return after if active is None else torch.where(active, after, state)

    def select(self, state: Any, rows: Tensor) -> Any:
        return state[rows]

    def extend(
        self, columns: Distribution, state: Any, x: Tensor, lengths: Tensor | None
    ) -> tuple[Distribution, Any]:
        states = [state]
        for symbol in x.unbind(1):
            states.append(self.append(states[-1], symbol))
        every = torch.stack(states, dim=1)
        if lengths is None:
            return self.apply(columns, every), states[-1]
        rows = torch.arange(len(every), device=every.device)
        return self.apply(columns, every), every[rows, lengths]
