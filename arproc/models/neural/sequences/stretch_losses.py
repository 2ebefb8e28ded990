"""The losses of networks over elements on stretches: of a training step, and of held-out data."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from arproc.models.neural.sequences.element_network import ElementNetwork
from arproc.models.neural.sequences.scaling import Scale, context_scale, prefix_scale
from arproc.models.neural.sequences.stretches import Stretch, Stretches
from arproc.spaces import Count, Real
from arproc.training import Training, seed_of

__all__ = ["held_out_loss", "placed", "scale_of", "scored", "with_own_draws"]

_STREAM = 3


def placed(drawn: Stretch, device: torch.device) -> Stretch:
    """The same stretches on a device."""
    return Stretch(*(None if part is None else part.to(device) for part in drawn))  # type: ignore[arg-type]


def scale_of(network: ElementNetwork, drawn: Stretch, given: int) -> Scale | None:
    """The scale of each stretch, as the law finds it."""
    if network.scaled:
        assert drawn.context is not None
        return context_scale(drawn.context)
    if not given:
        return None
    return prefix_scale(drawn.x[:, 1 : 1 + given], network.element.fits(Count()))


def scored(
    network: ElementNetwork, drawn: Stretch, given: int, own_draws: float = 0.0
) -> tuple[Tensor, int]:
    """The log-probability of all terms of some stretches, nats, and how many these are.

    Args:
        network: which says what comes next.
        drawn: the stretches.
        given: how many first elements of each are given.
        own_draws: see `with_own_draws`.
    """
    drawn = placed(drawn, network.start.device)
    scale, chosen = scale_of(network, drawn, given), drawn.counted
    seen = with_own_draws(network, drawn, scale, own_draws) if own_draws else drawn.x
    own = None if scale is None else scale.masked(chosen)
    units = _units(network, drawn, seen, scale)
    terms = network.element.log_prob(units, drawn.x[:, 1:][chosen], own)
    return terms.sum(), int(chosen.sum())


def with_own_draws(
    network: ElementNetwork, drawn: Stretch, scale: Scale | None, share: float
) -> Tensor:
    """The elements of stretches, in some of which the network's own draws stand for the terms.

    Each is drawn given the true elements before it, all in one pass, and real numbers and counts
    not further from the stretch than its elements are from one another.

    Args:
        network: which draws, by torch's global generator.
        drawn: the stretches.
        scale: theirs.
        share: of the stretches, on average.

    Returns:
        Elements [n, 1 + T, *event].

    Source: Bengio et al. 2015 (scheduled sampling), in two passes (Mihaylova and Martins 2019).
    """
    x, chosen, element = drawn.x, drawn.counted, network.element
    rows = torch.rand(len(x), device=x.device) < share
    with torch.no_grad():
        own = None if scale is None else scale.masked(chosen)
        made = element.distribution(_units(network, drawn, x, scale), own).sample().to(x.dtype)
        found = x.clone()
        found[:, 1:][chosen] = made
        counts = element.fits(Count())
        if counts or element.fits(Real()):
            low, high = x.amin(1, keepdim=True), x.amax(1, keepdim=True)
            least = torch.zeros_like(low) if counts else 2 * low - high
            found = found.clamp(least, 2 * high - low)
        return torch.where(rows.view(-1, *[1] * (x.ndim - 1)), found, x)


def _units(network: ElementNetwork, drawn: Stretch, x: Tensor, scale: Scale | None) -> Tensor:
    """What the network says of the terms of stretches after elements x: [terms, width]."""
    shifted = scale
    if scale is not None and scale.size.shape[1] > 1:  # an element has the scale of its own step
        shifted = Scale(*(torch.cat([part[:, :1], part[:, :-1]], dim=1) for part in scale))
    entered = network.element.embed(x[:, :-1], shifted)
    first = torch.where(drawn.fresh[:, None], network.start, entered[:, 0])
    entered = torch.cat([first[:, None], entered[:, 1:]], dim=1)
    return network.described(network.inputs(entered, drawn.context), drawn.counted)


def held_out_loss(
    network: ElementNetwork, held_out: Stretches, settings: Training
) -> Callable[[], float]:
    """The mean loss on a fixed set of stretches of the validation data."""
    generator = torch.Generator().manual_seed(seed_of(settings.seed, _STREAM))
    batches = min(-(-held_out.count // settings.batch_size), settings.validation_batches)
    drawn = [held_out(settings.batch_size, generator) for _ in range(max(batches, 1))]

    def score() -> float:
        total, terms = 0.0, 0
        for part in drawn:
            found, count = scored(network, part, held_out.given)
            total, terms = total - float(found), terms + count
        return total / max(terms, 1)

    return score
