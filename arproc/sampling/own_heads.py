"""A network's heads for the symbols after the next, as a draft for the network itself."""

from __future__ import annotations

import torch
from torch import Tensor

from arproc.contract.law import ChainLaw
from arproc.contract.machine import log_probs
from arproc.contract.randomness import Uniforms
from arproc.distributions import Categorical, from_uniform
from arproc.errors import UnsupportedError
from arproc.sampling.drafts import Asked, Draft, before_end, uniforms_of
from arproc.sampling.verification import Guess, RowStream

__all__ = ["HeadsDraft", "OwnHeads"]


class OwnHeads:
    """Drafts by what the target itself foresees of the symbols after the next.

    A `Transformer(ahead=k)` has heads for the k symbols after the next, which guess from what its
    last pass said; nothing else runs. A policy of the target is laid on their guesses as well.

    Source: Gloeckle et al. 2024; Ankner et al. 2024.

    Example:
        >>> import arproc
        >>> model = arproc.Transformer(1, 2, 16, block=8, tokens=3, end=False, ahead=2,
        ...                            training=arproc.Training(steps=60, batch_size=8))
        >>> _ = model.fit([0, 1, 2] * 40)
        >>> drawn, report = arproc.sampling.speculative(
        ...     model, arproc.sampling.OwnHeads(), 1, length=30, seed=0)
        >>> report.elements_per_pass > 1.5
        True
    """

    def __repr__(self) -> str:
        return "OwnHeads()"


class HeadsDraft(Draft):
    """`OwnHeads` at work: it keeps nothing, since all is in the law's state.

    Args:
        law: the law that verifies, under its policy.
        uniforms: its own; None draws from the law's own uniforms.
        n: how many rows there are.
    """

    name = "own heads"

    def __init__(self, law: ChainLaw, uniforms: Uniforms | None, n: int) -> None:
        if not law.foresight:
            raise UnsupportedError(
                f"OwnHeads drafts for processes that foresee elements after the next; {law!r} "
                "does not. Fit a Transformer(ahead=1), or draft by another process."
            )
        self.stream = None if uniforms is None else RowStream(uniforms, n)

    def propose(self, asked: Asked) -> Guess:
        state, wide = asked.state, asked.own.shape[1]
        end, device = state.law.space.end, asked.state.law.device
        known = asked.own.new_zeros((state.n, 0), dtype=torch.int64)
        if asked.held is not None:
            known = asked.held[:, None]
        most = min(wide, state.law.foresight + 1 - known.shape[1])
        counts = asked.wanted.clamp(max=most)
        u, x, scores = uniforms_of(asked, self.stream, counts), known, []
        for k in range(most):
            found = log_probs(state.foresee(x.to(device))).cpu()
            scores.append(found)
            drawn = from_uniform(Categorical(found), u[:, k]).to(x.dtype)
            x = torch.cat([x, drawn[:, None]], dim=1)
        x = x[:, known.shape[1] :]
        counts = before_end(x, counts, end) if most else counts
        missing = wide - most
        x = torch.nn.functional.pad(x, (0, missing))
        if self.stream is None:
            return Guess(x, counts)
        blank = [torch.zeros((state.n, state.law.space.size or 0), dtype=torch.float64)] * missing
        return Guess(x, counts, Categorical(torch.stack([*scores, *blank], dim=1)))

    def follow(self, x: Tensor, counts: Tensor) -> None:
        return

    def select(self, rows: Tensor) -> None:
        return
