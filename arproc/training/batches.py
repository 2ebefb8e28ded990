"""The order of the data, as a function of the seed and the step alone."""

from __future__ import annotations

import torch

from arproc.contract.randomness import seed_of

__all__ = ["Batches"]


class Batches:
    """The rows of each batch: shuffled epochs, one after the other, cut into batches.

    Every row is seen once an epoch; a batch may span two epochs. Nothing is consumed: the same
    step gives the same rows whenever it is asked, which is what makes a run resumable.

    Args:
        n: how many rows there are.
        batch_size: how many rows a batch has.
        seed: of the shuffles.
        weights: how much each row counts, [n]: it is then seen that often in an epoch of n rows,
            rounded up or down by chance.

    Example:
        >>> batches = Batches(n=5, batch_size=2, seed=0)
        >>> sorted(torch.cat([batches(0), batches(1), batches(2)[:1]]).tolist())
        [0, 1, 2, 3, 4]
    """

    _STREAM = 1

    def __init__(
        self, n: int, batch_size: int, seed: int, weights: torch.Tensor | None = None
    ) -> None:
        self.n, self.batch_size, self.seed, self.weights = n, batch_size, seed, weights
        self._epochs: dict[int, torch.Tensor] = {}

    def __call__(self, step: int) -> torch.Tensor:
        """The rows of the batch at `step`, int64 [batch_size]."""
        first = step * self.batch_size
        last = first + self.batch_size
        parts = []
        for epoch in range(first // self.n, (last - 1) // self.n + 1):
            begin, end = first - epoch * self.n, last - epoch * self.n
            parts.append(self._epoch(epoch)[max(begin, 0) : end])
        return torch.cat(parts)

    def _epoch(self, epoch: int) -> torch.Tensor:
        if epoch not in self._epochs:
            generator = torch.Generator().manual_seed(seed_of(self.seed, self._STREAM, epoch))
            self._epochs = {k: v for k, v in self._epochs.items() if k == epoch - 1}
            order = torch.randperm(self.n, generator=generator)
            if self.weights is not None:
                order = self.rows(float(torch.rand((), generator=generator)))[order]
            self._epochs[epoch] = order
        return self._epochs[epoch]

    def rows(self, offset: float = 0.5) -> torch.Tensor:
        """N rows' numbers in proportion to the weights, rising (systematic sampling), int64 [n].

        Args:
            offset: in [0, 1); one drawn by chance makes the numbers unbiased.
        """
        if self.weights is None:
            return torch.arange(self.n)
        cumulated = self.weights.double().cumsum(0)
        place = (torch.arange(self.n) + offset) * (cumulated[-1] / self.n)
        last = int(self.weights.nonzero()[-1])  # rounding must not reach a weight of zero
        return torch.searchsorted(cumulated, place, right=True).clamp(max=last)
