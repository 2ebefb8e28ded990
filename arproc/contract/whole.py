"""Laws of whole vectors: an exact density and draws, and no conditionals in any one order."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import torch

from arproc.contract.law import Draws, Law, require_fitted
from arproc.contract.randomness import Uniforms
from arproc.contract.sequences import Form, Sequences, restore
from arproc.errors import ParameterError, UnsupportedError, check_integer

__all__ = ["WholeLaw"]


class WholeLaw(Law):
    """A law of fixed size that is drawn from as a whole.

    A subclass writes `_fit`, `_log_prob` and `_draw`, and says in `no_conditional` why it has no
    tractable conditionals.
    """

    @abstractmethod
    def _draw(self, n: int, uniforms: Uniforms, context: torch.Tensor | None) -> torch.Tensor:
        """Elements [n, length, *event] in the order of the layout.

        Row i is a function of the uniforms of row i alone.
        """

    def sample(
        self,
        n: int = 1,
        length: int | None = None,
        prefix: Any = None,
        policy: Any = None,
        stop: Any = None,
        seed: int | torch.Generator | None = None,
        return_log_prob: bool = False,
        *,
        context: Any = None,
    ) -> Any:
        """Draw n vectors.

        Row i depends on the seed and on i alone: the same in any batch.

        Args:
            n: how many.
            length: the vectors' length, if anything.
            prefix: not taken: there are no conditionals to go on from.
            policy: not taken, for the same reason.
            stop: not taken, since a draw is whole.
            seed: an int or a `torch.Generator`.
            return_log_prob: give `Draws(x, log_prob, policy_log_prob, complete)`.
            context: what the draws are conditioned on.
        """
        require_fitted(self)
        n = check_integer("n", n, minimum=0)
        size = self.space.length
        if length is not None and check_integer("length", length) != size:
            raise ParameterError(f"length is {length}; this law has {size} elements.")
        for name, value in (("prefix", prefix), ("policy", policy), ("stop", stop)):
            if value is not None:
                raise UnsupportedError(
                    f"sample of {type(self).__name__} takes no {name}: {self.no_conditional}."
                )
        prepared = self._context(context, n, 0)
        with torch.no_grad():
            x = self._draw(n, Uniforms(seed), prepared).to(self.space.dtype)
        kind = getattr(self, "form_", None)
        form = Form(kind if kind in ("tensor", "table") else "numpy")
        lengths = torch.full((n,), x.shape[1])
        result = restore(x, lengths, self.space, form, self.layout)
        if not return_log_prob:
            return result
        offsets = torch.arange(n + 1) * x.shape[1]
        with torch.no_grad():
            whole = Sequences(x.flatten(0, 1), offsets, self.space)
            score = form.per_row(self._log_prob(whole, prepared))
        return Draws(result, score, score, form.per_row(torch.ones(n, dtype=torch.bool)))
