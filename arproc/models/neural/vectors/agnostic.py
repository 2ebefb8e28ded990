"""Networks of every order of their sites, and what they are trained by."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor

from arproc.models.neural.vectors.networks import RevealingNetwork

__all__ = ["AgnosticNetwork"]

#: In how many orders each held-out vector is scored, which makes the estimate less noisy.
_ORDERS_HELD_OUT = 4


class AgnosticNetwork(RevealingNetwork):
    """A network that tells of every site what it says if that comes next, in one pass."""

    @abstractmethod
    def every(self, a: Tensor, count: Tensor, context: Tensor | None = None) -> Tensor:
        """The finished parameters [N, sites, outputs] of every site, each as if it came next.

        Args:
            a: the inputs [N, H] from the sites that are known.
            count: how many these are, int64 [N].
            context: what the vectors are conditioned on.
        """

    def loss(self, x: Tensor, context: Tensor | None, generator: torch.Generator) -> Tensor:
        """An unbiased estimate of the mean nats a site, over all orders if it knows them.

        Then (Uria et al. 2014) each vector gets an order and a number d of known sites by chance;
        the D - d others are all scored as if each came next, and stand for the D terms by the
        weight D / (D - d). Where some values are missing, D is the number of those that are not,
        and the orders are theirs: the terms are then of the marginal law of what was observed,
        and the mean is still one of all sites, a missing one being worth 0 nats.

        Args:
            x: vectors [N, sites]; NaN (-1 in whole numbers) is missing.
            context: what they are conditioned on.
            generator: of the orders.
        """
        if not self.takes_any_order:
            return super().loss(x, context, generator)
        n, sites = x.shape
        observed = ~x.isnan() if x.is_floating_point() else x >= 0
        whole = bool(observed.all())
        chance = torch.rand((n, sites), generator=generator)
        # one number in each n-th of the range, which makes the estimate less noisy
        spread = torch.randperm(n, generator=generator) + torch.rand(n, generator=generator)
        if whole:
            size = torch.full((n,), sites)
            place = chance.argsort(1)
        else:  # the observed ones come first, in an order by chance
            size = observed.sum(1).cpu()
            place = (chance + 2.0 * ~observed.cpu()).argsort(1).argsort(1)
        count = (spread * (size / n)).long().minimum((size - 1).clamp(min=0))
        device = next(self.parameters()).device
        x, count, size = x.to(device), count.to(device), size.to(device)
        seen = place.to(device) < count[:, None]
        context = None if context is None else context.to(device)
        x = x if whole else x.masked_fill(~observed, 0)
        parameters = self.every(self.known(x, seen, context), count, context)
        hidden = seen if whole else seen | ~observed
        terms = self.values.log_prob(parameters, x).masked_fill(hidden, 0.0)
        return -(terms.sum(1) / (size - count).clamp(min=1) * (size / sites)).mean()

    def held_out_loss(
        self, x: Tensor, context: Tensor | None, generator: torch.Generator
    ) -> float:
        times = _ORDERS_HELD_OUT if self.takes_any_order else 1
        given = None if context is None else context.repeat(times, 1)
        return super().held_out_loss(x.repeat(times, 1), given, generator)
