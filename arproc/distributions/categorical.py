"""A categorical distribution over raw scores, normalised only when asked."""

from __future__ import annotations

import torch
from torch import distributions as td

from arproc.errors import UnsupportedError

__all__ = ["Categorical", "Restricted", "as_categorical"]


class Categorical(td.Categorical):
    """`torch.distributions.Categorical` over unnormalised scores, each step lazy.

    Building one costs nothing (torch's normalises at once), which matters at one element a
    step; and minus infinity means probability zero (torch's `probs=` gives -15.9 instead).

    Args:
        scores: unnormalised log-probabilities, [*batch, K]; -inf where impossible.

    Example:
        >>> Categorical(torch.tensor([0.0, 0.0, -torch.inf])).probs
        tensor([0.5000, 0.5000, 0.0000])
    """

    def __init__(self, scores: torch.Tensor) -> None:
        self.scores = self._param = scores  # by the other name torch's own methods ask
        self._num_events = scores.shape[-1]
        self._validate_args = False
        self._batch_shape = scores.shape[:-1]
        self._event_shape = torch.Size()

    @property
    def logits(self) -> torch.Tensor:
        """Normalised log-probabilities, [*batch, K]."""
        logits = self.__dict__.get("_logits")
        if logits is None:
            logits = self.__dict__["_logits"] = torch.log_softmax(self.scores, dim=-1)
        return logits

    @property
    def probs(self) -> torch.Tensor:
        """Probabilities, [*batch, K]."""
        return torch.softmax(self.scores, dim=-1)

    @property
    def param_shape(self) -> torch.Size:
        return self.scores.shape

    @property
    def mode(self) -> torch.Tensor:
        return self.scores.argmax(dim=-1)

    @property
    def mean(self) -> torch.Tensor:
        """The mean of the number that stands for the symbol (meaningful for ordered levels)."""
        return (self.probs * torch.arange(self._num_events, device=self.scores.device)).sum(-1)

    @property
    def variance(self) -> torch.Tensor:
        values = torch.arange(self._num_events, device=self.scores.device)
        return (self.probs * (values - self.mean[..., None]) ** 2).sum(-1)

    def __repr__(self) -> str:
        return f"Categorical(symbols: {self._num_events}, batch_shape: {tuple(self.batch_shape)})"

    def expand(
        self, batch_shape: torch.Size | list[int] | tuple[int, ...], _instance: object = None
    ) -> Categorical:
        return Categorical(self.scores.expand(*batch_shape, self._num_events))

    def log_prob(self, value: torch.Tensor) -> torch.Tensor:
        """Log-probability of the symbols `value` [*batch], in nats, float64 for float64 scores."""
        value = value.long()
        shape = torch.broadcast_shapes(value.shape, self._batch_shape)
        scores = self.scores.expand(*shape, self._num_events)
        chosen = scores.gather(-1, value.expand(shape)[..., None])[..., 0]
        logits = self.__dict__.get("_logits")
        if logits is not None:
            return logits.expand(*shape, -1).gather(-1, value.expand(shape)[..., None])[..., 0]
        return chosen - torch.logsumexp(self.scores, dim=-1)

    def entropy(self) -> torch.Tensor:
        """Entropy in nats, [*batch]; impossible symbols contribute nothing."""
        return -torch.special.xlogy(self.probs, self.probs).sum(-1)

    def sample(self, sample_shape: torch.Size | list[int] | tuple[int, ...] = ()) -> torch.Tensor:
        shape = torch.Size(sample_shape)
        flat = self.probs.reshape(-1, self._num_events)
        draws = torch.multinomial(flat, max(shape.numel(), 1), replacement=True)
        return draws.T[: shape.numel()].reshape((*shape, *self._batch_shape))


class Restricted(Categorical):
    """A categorical of which a restriction may have left nothing: then all are impossible.

    Scores that are minus infinity throughout (or NaN, which comes of moving such scores) say so.

    Example:
        >>> Restricted(torch.full((2,), -torch.inf)).log_prob(torch.tensor(0))
        tensor(-inf)
    """

    def expand(
        self, batch_shape: torch.Size | list[int] | tuple[int, ...], _instance: object = None
    ) -> Restricted:
        return Restricted(self.scores.expand(*batch_shape, self._num_events))

    @property
    def emptied(self) -> torch.Tensor:
        """Where nothing is left, bool [*batch]."""
        return ~(self.scores > -torch.inf).any(-1)

    def log_prob(self, value: torch.Tensor) -> torch.Tensor:
        return super().log_prob(value).masked_fill(self.emptied, -torch.inf)


def as_categorical(distribution: td.Distribution) -> Categorical:
    """The distribution as a `Categorical` over 0 ... K-1, if it has finitely many values.

    Raises:
        UnsupportedError: for any other distribution.
    """
    if isinstance(distribution, Categorical):
        return distribution
    if isinstance(distribution, td.Categorical):
        return Categorical(distribution.logits)
    if isinstance(distribution, td.Bernoulli):
        logits = distribution.logits
        return Categorical(torch.stack([torch.zeros_like(logits), logits], dim=-1))
    if hasattr(distribution, "log_masses"):
        return Categorical(distribution.log_masses)
    raise UnsupportedError(
        f"{type(distribution).__name__} is not a distribution over finitely many symbols, as "
        "this operation needs."
    )
