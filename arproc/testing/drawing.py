"""What `sample` draws, in numbers, with its probabilities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from arproc.contract.law import Draws
from arproc.contract.randomness import Uniforms
from arproc.contract.sequences import Sequences
from arproc.data.form import Form, restore
from arproc.errors import DataError
from arproc.sampling import Policy
from arproc.sampling.ancestral import draw
from arproc.spaces import check_values
from arproc.testing.material import Batch, numbers_of
from arproc.testing.report import fail
from arproc.testing.subject import Subject

__all__ = ["Drawn", "drawn", "drawn_of_one", "engine_rows", "same_text"]


_FEW = 40  # elements by which it is seen whether draws explode


@dataclass(frozen=True)
class Drawn:
    """What `sample` drew: the prefix, the new elements of each row in numbers, and the draws."""

    prefix: Batch
    new: list[torch.Tensor]
    complete: torch.Tensor
    draws: Draws

    def whole(self, subject: Subject) -> Sequences:
        """The prefix and what followed, as sequences."""
        parts = [torch.cat([p, x.to(p)]) for p, x in zip(self.prefix.x, self.new, strict=True)]
        offsets = torch.zeros(len(parts) + 1, dtype=torch.int64)
        offsets[1:] = torch.tensor([len(part) for part in parts]).cumsum(0)
        return Sequences(torch.cat(parts), offsets, subject.space, self.complete)


def drawn(
    subject: Subject, prefix: Batch, length: int, seed: int = 0, policy: Policy | None = None
) -> Drawn:
    """Draws of `length` more elements by the public `sample`, with their probabilities.

    Text may not read back to the symbols that made it (unknown words): then the numbers are those
    that the engine draws from the same uniforms.
    """
    try:
        draws = subject.process.sample(
            prefix.n,
            length,
            subject.user_prefix(prefix),
            policy,
            seed=seed,
            return_log_prob=True,
            context=prefix.context,
        )
        if subject.is_text:
            new = _by_engine(subject, prefix, length, seed, policy)
        else:
            new = _in_order(subject, draws.x, prefix)
            _check_drawn(subject, new, prefix.length)
    except DataError as error:
        fail(
            "every draw to be an element of the space",
            f"it was refused: {str(error).rstrip('.')}",
            "an inverse cdf that is not finite near 0 or 1, or a conditional that reaches beyond "
            "the space",
        )
    return Drawn(prefix, new, torch.as_tensor(np.asarray(draws.complete)), draws)


def drawn_of_one(
    subject: Subject, rows: Batch, length: int, policy: Policy, seed: int = 19
) -> Drawn:
    """Draws after one prefix that is given once for all, where all rows are the same."""
    one = None if rows.length == 0 else subject.as_user(rows.x[0])
    draws = subject.process.sample(
        rows.n, length, one, policy, seed=seed, return_log_prob=True, context=rows.context
    )
    return Drawn(rows, [], torch.as_tensor(np.asarray(draws.complete)), draws)


def _check_drawn(subject: Subject, new: list[torch.Tensor], known: int) -> None:
    """Raise `DataError` where what was drawn after `known` elements is not of the space."""
    place = None
    if subject.space.varies:
        layout = subject.process.layout
        order = (
            torch.arange(subject.length)
            if layout is None
            else torch.tensor(layout.order or range(layout.length))
        )
        place = torch.cat([order[known : known + len(row)] for row in new])
    check_values(torch.cat(new), subject.space, "what sample drew", place=place)


def _by_engine(
    subject: Subject, prefix: Batch, length: int, seed: int, policy: Policy | None
) -> list[torch.Tensor]:
    process = subject.process if policy is None else subject.process.with_policy(policy)
    state = process.start(prefix.n, context=prefix.context)
    if prefix.length:
        state = state.extend(prefix.x)[1]
    x, lengths, _ = draw(state, Uniforms(seed), length, None, subject.space)
    return [row[:k] for row, k in zip(x, lengths.tolist(), strict=True)]


def engine_rows(
    subject: Subject, batch: Batch, lengths: list[int], length: int, seed: int
) -> list[torch.Tensor]:
    """What the engine draws after the first `lengths[i]` elements of each row."""
    law, space = subject.process.law_, subject.space
    known = subject.ragged(batch, lengths, False)
    context = subject.process.read_context(batch.context, batch.n, max(lengths) + length)
    x, counts, _ = draw(law.after(known, context), Uniforms(seed), length, None, space)
    return [row[:k] for row, k in zip(x, counts.tolist(), strict=True)]


def _in_order(subject: Subject, x: Any, prefix: Batch) -> list[torch.Tensor]:
    """The rows that `sample` gave, in the order of generation."""
    layout = subject.process.layout
    rows = numbers_of(subject.process, x)
    if layout is None or prefix.length or hasattr(x, "iloc"):
        return rows
    full = (*layout.shape, *subject.space.event_shape)
    return [layout.to_sites(row[None])[0] if row.shape == full else row for row in rows]


def explodes(subject: Subject) -> bool:
    """Whether draws grow so fast that after some hundreds floats hold none of their differences.

    As with a root inside the unit circle, or with parameters that are known no better.
    """
    if subject.space.measure != "density":
        return False
    prefix = subject.prefix(8, subject.given + _FEW, "growth")
    try:
        x = subject.process.sample(
            8, _FEW, subject.user_prefix(prefix), seed=20, context=prefix.context
        )
    except DataError:  # too large for the law's own arithmetic
        return True
    new = numbers_of(subject.process, x)
    sizes = torch.stack([row.double().abs().reshape(len(row), -1).amax(1) for row in new])
    early, late = sizes[:, : _FEW // 4].amax(1), sizes[:, -_FEW // 4 :].amax(1)
    return bool((late > 30 * early.median()).any())


def same_text(subject: Subject, first: Drawn) -> None:
    """Raise `CheckFailed` unless `sample` gives the text of the symbols that the engine draws."""
    lengths = torch.tensor([len(row) for row in first.new])
    padded = torch.nn.utils.rnn.pad_sequence(first.new, batch_first=True)
    text = restore(padded, lengths, subject.space, Form("text"))
    if list(text) != list(first.draws.x):
        fail(
            "sample to give the text of the symbols that the engine draws",
            f"{first.draws.x[0]!r} came instead of {text[0]!r}",
            "a sampler of its own, or a vocabulary that decodes otherwise",
        )
