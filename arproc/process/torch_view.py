"""A law as a `torch.distributions.Distribution`, for code that is written for those."""

from __future__ import annotations

import torch
from torch.distributions import Distribution, constraints

from arproc.contract.law import ChainLaw, Law, WholeLaw, numbers_of
from arproc.contract.randomness import Uniforms
from arproc.contract.sequences import Sequences
from arproc.data.arrays import to_tensor
from arproc.errors import DataError, ParameterError, check_count
from arproc.sampling.ancestral import draw

__all__ = ["SequenceDistribution"]


class SequenceDistribution(Distribution):
    """The law of the first `length` elements of a process; made by `Model.distribution`.

    Args:
        law: a fitted law.
        length: the number of elements, or None where the law's size is fixed.

    `event_shape` is (length, *element), or the user's own shape where the law has a layout. A
    process that terminates has none: see its `log_prob` and `sample`.
    """

    arg_constraints: dict[str, constraints.Constraint] = {}
    has_rsample = False

    def __init__(self, law: Law, length: int | None = None) -> None:
        fixed = law.space.length
        length = fixed if length is None else check_count("length", length)
        if length is None:
            raise ParameterError("length is needed: sequences of this law have no fixed length.")
        if fixed is not None and length != fixed:
            raise ParameterError(
                f"length is {length}; this law's sequences have {fixed} elements."
            )
        if law.space.terminates:
            raise ParameterError(
                "a process whose sequences end by themselves has no event_shape; use its "
                "log_prob and sample."
            )
        if law.context is not None:
            raise ParameterError("a law that takes a context has no distribution(); use log_prob.")
        if law.n_given:
            raise ParameterError(
                f"this law begins after its first {law.n_given} given values; use "
                "condition(prefix).distribution(length)."
            )
        self.law = law
        self.length = length
        shape = (length,) if law.layout is None else law.layout.shape
        event = torch.Size((*shape, *law.space.event_shape))
        super().__init__(torch.Size(), event, validate_args=False)

    @property
    def support(self) -> constraints.Constraint:
        return constraints.independent(self.law.space.support, len(self.event_shape))

    def expand(
        self, batch_shape: torch.Size | list[int] | tuple[int, ...], _instance: object = None
    ) -> Distribution:
        expanded = SequenceDistribution(self.law, self.length)
        expanded._batch_shape = torch.Size(batch_shape)
        return expanded

    def log_prob(self, value: torch.Tensor) -> torch.Tensor:
        """Log-probability of value [*sample, *batch, length, *element], nats."""
        event = self.event_shape
        value = to_tensor(value, "value")
        if value.shape[max(value.ndim - len(event), 0) :] != event:
            raise DataError(
                f"value has shape {list(value.shape)}; expected [..., "
                f"{', '.join(map(str, event))}], this distribution's event_shape."
            )
        batch = torch.broadcast_shapes(value.shape[: value.ndim - len(event)], self.batch_shape)
        if not value.numel():
            return torch.zeros(batch, dtype=torch.float64, device=value.device)
        x = value.reshape(-1, *event)
        law = self.law
        sequences = Sequences.of(
            x, law.space, layout=law.layout, name="value", device=law.device,
            missing=law.takes_missing,
        )  # fmt: skip
        flat = numbers_of(law.log_prob(sequences, None), law, "value").to(value.device)
        return flat.reshape(value.shape[: value.ndim - len(event)]).expand(batch)

    def sample(self, sample_shape: torch.Size | list[int] | tuple[int, ...] = ()) -> torch.Tensor:
        """Draws [*sample_shape, *batch, length, *element], by torch's global generator."""
        shape = torch.Size(sample_shape) + self.batch_shape
        n = shape.numel()
        law = self.law
        # the engine's own numbers: text would not bring every symbol back
        with torch.no_grad():
            if isinstance(law, ChainLaw):
                x, _, _ = draw(law.fresh(n, None), Uniforms(None), self.length, None, law.space)
            else:
                assert isinstance(law, WholeLaw)
                x = law.draw(n, Uniforms(None), None)
        x = x if self.law.layout is None else self.law.layout.from_sites(x)
        return x.reshape(*shape, *self.event_shape)
