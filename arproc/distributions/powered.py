"""A density to a power and renormalised, by quadrature where there is no closed form."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property, singledispatch
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import distributions as td

from arproc.distributions.calculus import cdf, quantile
from arproc.distributions.logistic import Logistic
from arproc.distributions.mixture import Mixture
from arproc.distributions.shape import index, map_parameters, to
from arproc.errors import UnsupportedError

__all__ = ["Powered", "anchors", "limits"]

_NODES, _WEIGHTS = (torch.from_numpy(a) for a in np.polynomial.legendre.leggauss(8))
#: How many numbers are held at once while a batch is integrated.
_BLOCK = 2**22
#: The largest share of the mass in the outermost panels for which the tails count as integrated.
_TAIL = 1e-7
#: The largest power: beyond it peaks are narrower than the panels.
_STEEPEST = 100.0


class _Table(NamedTuple):
    """The integral by panels: ends [*batch, P + 1], distribution function there, log of all."""

    ends: torch.Tensor
    below: torch.Tensor
    log_mass: torch.Tensor


class Powered(td.Distribution):
    """The law with the density p(x)^power / Z, p being the density of `base`.

    Z is computed by Gauss-Legendre quadrature with 8 nodes in each of some hundred panels about
    the centres of the base's parts, finer near them and by powers of two far out: for mixtures of
    normal, logistic, Laplace and Student-t laws to about 1e-8 of itself.

    Args:
        base: a continuous law of scalars.
        power: above 0; at most 100.

    Raises:
        UnsupportedError: the power is larger, or p^power does not decay fast enough for Z.

    Example:
        >>> halves = torch.tensor([0.5, 0.5]).log()
        >>> two = Mixture([td.Normal(-2.0, 1.0), td.Normal(2.0, 0.5)], halves)
        >>> flat = Powered(two, 0.5)
        >>> x = torch.tensor([-1.0, 2.0], dtype=torch.float64)
        >>> gap = flat.log_prob(x) - 0.5 * two.log_prob(x)
        >>> bool((gap[0] - gap[1]).abs() < 1e-6)
        True
    """

    arg_constraints: dict[str, td.constraints.Constraint] = {}

    def __init__(self, base: Any, power: float) -> None:
        if power > _STEEPEST:
            raise UnsupportedError(
                f"a temperature of {1 / power:g} is too low for a {type(base).__name__}, whose "
                f"power has to be integrated numerically; take at least {1 / _STEEPEST:g}."
            )
        self.base, self.power = base, power
        super().__init__(base.batch_shape, validate_args=False)

    @property
    def support(self) -> td.constraints.Constraint | None:
        return self.base.support

    def expand(
        self, batch_shape: torch.Size | list[int] | tuple[int, ...], _instance: object = None
    ) -> Powered:
        return Powered(self.base.expand(torch.Size(batch_shape)), self.power)

    def log_prob(self, value: torch.Tensor) -> torch.Tensor:
        return self.power * self.base.log_prob(value) - self.log_mass

    def sample(self, sample_shape: torch.Size | list[int] | tuple[int, ...] = ()) -> torch.Tensor:
        shape = (*sample_shape, *self.batch_shape)
        with torch.no_grad():
            return quantile(self, torch.rand(shape, dtype=torch.float64).clamp(min=2.0**-53))

    @property
    def log_mass(self) -> torch.Tensor:
        """Log of the integral of p^power, [*batch], float64."""
        return self._table.log_mass

    @cached_property
    def _exact(self) -> Any:
        return to(self.base, dtype=torch.float64)

    @cached_property
    def _table(self) -> _Table:
        """The integral of each entry of the batch, in blocks."""
        shape = self.batch_shape
        flat = _flat(self._exact, shape)
        size = max(1, _BLOCK // _size(flat, self.power))
        rows = range(0, max(shape.numel(), 1), size)
        parts = [_integrated(index(flat, slice(i, i + size)), self.power) for i in rows]
        ends, below, mass = (torch.cat(part) for part in zip(*parts, strict=True))
        return _Table(ends.reshape(*shape, -1), below.reshape(*shape, -1), mass.reshape(shape))

    def _mass(self, low: torch.Tensor, high: torch.Tensor) -> torch.Tensor:
        """The mass from low to high, which lie in one panel."""
        middle, half = (low + high) / 2, (high - low) / 2
        nodes = middle + half * _NODES.to(low).view(-1, *[1] * low.ndim)
        density = self.power * _log_prob(self._exact, nodes) - self.log_mass
        weights = _WEIGHTS.to(low).view(-1, *[1] * low.ndim)
        return (weights * half * density.exp()).masked_fill(half <= 0, 0.0).sum(0)

    def _panel(self, values: torch.Tensor, edges: torch.Tensor) -> torch.Tensor:
        """The number of the panel that each value falls in by its edges, [*shape, 1]."""
        edges = edges.expand(*values.shape, -1).contiguous()
        found = torch.searchsorted(edges, values[..., None].contiguous(), right=True) - 1
        return found.clamp(0, edges.shape[-1] - 2)


def _flat(base: Any, shape: torch.Size) -> Any:
    """The law with its batch as one axis."""
    if len(shape) == 0:
        return index(base, None)
    numbers = torch.arange(shape.numel())
    return index(base, tuple(torch.unravel_index(numbers, shape)))


def _log_prob(law: Any, x: torch.Tensor) -> torch.Tensor:
    """The log-density, minus infinity where it has no value or no meaning (edges of a support)."""
    return law.log_prob(x).nan_to_num(nan=-math.inf, posinf=math.inf, neginf=-math.inf)


def _size(flat: Any, power: float) -> int:
    """How many numbers the integral of one entry takes, about."""
    centres = anchors(index(flat, slice(0, 1)))[0].shape[-1]
    return int(centres * len(_offsets(power)) * len(_NODES) * centres) or 1


def _offsets(power: float) -> torch.Tensor:
    """Where panels end about a centre, in units of its scale."""
    step = 0.5 / max(1.0, math.sqrt(power))
    near = torch.arange(0.0, 4.0 + step / 2, step, dtype=torch.float64)
    far = 4.0 * 2.0 ** torch.arange(1, 42, dtype=torch.float64)
    # an exponential tail takes more room the flatter it is
    between = torch.arange(5.0, 41.0, 1.0, dtype=torch.float64) * max(1.0, 0.25 / power)
    side = torch.cat([near, far, between]).unique()
    return torch.cat([-side.flip(0)[:-1], side])


def _integrated(law: Any, power: float) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Ends of panels [n, P + 1], the distribution function there, and log of the integral [n]."""
    ends = _ends(law, power)
    low, high = ends[:, :-1], ends[:, 1:]
    half = (high - low) / 2
    nodes = (low + half)[..., None] + half[..., None] * _NODES.to(ends)
    scores = power * _log_prob(law, nodes.permute(1, 2, 0)).permute(2, 0, 1)
    top = scores.amax((1, 2), keepdim=True)
    inner = ((scores - top).exp() * _WEIGHTS.to(ends)).sum(-1) * half
    panels = inner.masked_fill(half <= 0, 0.0)
    total = panels.sum(-1)
    below = torch.nn.functional.pad(panels.cumsum(-1), (1, 0)) / total[:, None]
    _check_tails(law, panels, total, power)
    return ends, below / below[:, -1:], total.log() + top[:, 0, 0]


def _check_tails(law: Any, panels: torch.Tensor, total: torch.Tensor, power: float) -> None:
    """Refuse what has mass in the last panels: there is more beyond them, perhaps no end to it."""
    lows, highs = limits(law)
    outer = torch.zeros_like(total)
    if min(lows) == -math.inf:
        outer = outer + panels[:, :2].sum(-1)
    if max(highs) == math.inf:
        outer = outer + panels[:, -2:].sum(-1)
    wrong = ~(outer <= _TAIL * total)
    if bool(wrong.any()):
        raise UnsupportedError(
            f"a {type(law).__name__} to the power {power:g} (temperature {1 / power:g}) has no "
            f"integral that can be computed, in entry {int(wrong.nonzero()[0, 0])} of the batch: "
            "its tails are too heavy; take a lower temperature."
        )


def _ends(law: Any, power: float) -> torch.Tensor:
    """Where the panels of each entry end, rising, within the support, [n, P + 1]."""
    centres, scales = anchors(law)
    places = centres[..., None] + scales[..., None] * _offsets(power).to(centres)
    places = places.flatten(1)
    lows, highs = limits(law)
    fine = 2.0 ** torch.arange(-60, 3, dtype=torch.float64, device=places.device)
    widest = scales.amax(-1, keepdim=True)
    for edge in {*lows, *highs}:
        if math.isfinite(edge):
            both = torch.cat([-fine, torch.zeros_like(fine[:1]), fine])
            places = torch.cat([places, edge + widest * both], 1)
    return places.clamp(min(lows), max(highs)).sort(-1).values


@singledispatch
def limits(law: Any) -> tuple[list[float], list[float]]:
    """The lower and the upper ends of the supports of a law's parts."""
    if isinstance(law, Mixture):
        parts = [limits(part) for part in law.components]
        return [low for part in parts for low in part[0]], [high for p in parts for high in p[1]]
    if isinstance(law, td.MixtureSameFamily):
        return limits(law.component_distribution)
    support = law.support
    low, high = getattr(support, "lower_bound", None), getattr(support, "upper_bound", None)
    return [-math.inf if low is None else float(low)], [math.inf if high is None else float(high)]


@singledispatch
def anchors(law: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """Centres and scales of the parts of a law of batch [n], each [n, M]."""
    levels = torch.tensor([0.25, 0.5, 0.75], dtype=torch.float64)
    low, middle, high = (quantile(law, level.expand(law.batch_shape)) for level in levels)
    return middle.double()[:, None], ((high - low) / 1.349).double()[:, None]


@anchors.register(td.Normal)
@anchors.register(td.Laplace)
@anchors.register(td.StudentT)
@anchors.register(Logistic)
def _(law: Any) -> tuple[torch.Tensor, torch.Tensor]:
    return law.loc[:, None], law.scale[:, None]


@anchors.register
def _(law: Mixture) -> tuple[torch.Tensor, torch.Tensor]:
    parts = [anchors(component) for component in law.components]
    centres, scales = (torch.cat(part, dim=1) for part in zip(*parts, strict=True))
    return centres, scales


@anchors.register
def _(law: td.MixtureSameFamily) -> tuple[torch.Tensor, torch.Tensor]:
    shape = law.component_distribution.batch_shape
    centres, scales = anchors(_flat(law.component_distribution, shape))
    return centres.reshape(shape[0], -1), scales.reshape(shape[0], -1)


@cdf.register
def _(distribution: Powered, x: torch.Tensor) -> torch.Tensor:
    ends, below, mass = distribution._table
    x = x.double().expand(torch.broadcast_shapes(x.shape, mass.shape))
    panel = distribution._panel(x, ends)
    left = ends.expand(*x.shape, -1).gather(-1, panel)[..., 0]
    start = below.expand(*x.shape, -1).gather(-1, panel)[..., 0]
    inside = x.clamp(ends[..., 0], ends[..., -1])
    return (start + distribution._mass(left, inside)).clamp(0, 1)


@quantile.register
def _(distribution: Powered, q: torch.Tensor) -> torch.Tensor:
    ends, below, mass = distribution._table
    q = q.double().expand(torch.broadcast_shapes(q.shape, mass.shape))
    panel = distribution._panel(q, below)
    left, start = (t.expand(*q.shape, -1).gather(-1, panel)[..., 0] for t in (ends, below))
    low, high = left, ends.expand(*q.shape, -1).gather(-1, panel + 1)[..., 0]
    x, width = (low + high) / 2, high - low
    for _ in range(60):  # Newton's steps where they stay inside, halving where they do not
        over = start + distribution._mass(left, x) - q
        low, high = torch.where(over < 0, x, low), torch.where(over < 0, high, x)
        step = x - over / distribution.log_prob(x).exp()
        new = torch.where((step > low) & (step < high), step, (low + high) / 2)
        settled = (new - x).abs() <= 1e-14 * new.abs() + 1e-15 * width
        x = new
        if bool(settled.all()):
            break
    return x


@map_parameters.register
def _(first: Powered, rest: Sequence[Any], change: Any) -> Powered:
    return Powered(map_parameters(first.base, [p.base for p in rest], change), first.power)
