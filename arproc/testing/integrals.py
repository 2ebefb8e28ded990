"""What log-probabilities alone say of numbers: masses, distribution functions, moments.

Nothing here believes a conditional's own distribution function. Densities are integrated by
adaptive Gauss-Legendre panels, masses are summed. Places that the conditional names itself (its
quantiles, draws, mean) are only hints where panels begin: wrong ones cost panels, not digits.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from arproc.distributions import MaybeMissing, Spiked, Varied, from_uniform, index, quantile
from arproc.spaces import Space
from arproc.testing.material import line_of

__all__ = ["Scored", "integrated", "scored", "summed"]

#: Levels of the hints, far into both tails.
_TAIL = torch.logspace(-9, -2, 8, dtype=torch.float64)
LEVELS = torch.cat([_TAIL, torch.linspace(0.04, 0.96, 24, dtype=torch.float64), 1 - _TAIL.flip(0)])
_PANELS = 3000  # panels at most
_WHOLE = 2**18  # whole numbers over which one conditional is summed at most
_BLOCK = 2**21  # log-probabilities asked for at once


@dataclass(frozen=True)
class Scored:
    """What the log-probabilities of conditionals [*batch] say.

    Attributes:
        mass: all of it, that of a missing value left out, [*batch].
        missing: the mass of a missing value, which comes before all others, [*batch].
        below: P(X <= x) at the points asked for, [P, *batch].
        above: P(X > x) there; small ones have their digits.
        atom: P(X = x) there; 0 of densities.
        mean: of values that are there.
        variance: of values that are there; NaN where its tails are not integrated well.
        entropy: in nats; NaN where there is a missing value.
        highest: the largest log-probability met.
        how: "sum" or "quadrature".
        cut: whether the masses lie too wide for all of them to be summed.
    """

    mass: torch.Tensor
    missing: torch.Tensor
    below: torch.Tensor
    above: torch.Tensor
    atom: torch.Tensor
    mean: torch.Tensor
    variance: torch.Tensor
    entropy: torch.Tensor
    highest: torch.Tensor
    how: str
    cut: bool = False

    @property
    def lost(self) -> torch.Tensor:
        """What lacks of one, [*batch]: of densities what lies at the very ends of floats."""
        return (1 - self.mass - self.missing).clamp(min=0)

    def close(self, dtype: torch.dtype) -> float:
        """How near to one the mass of a law comes that a model computes in this precision."""
        if dtype != torch.float64:
            return 5e-6
        return 2e-11 if self.how == "sum" else 1e-6

    def adds_up(self, dtype: torch.dtype) -> bool:
        """Whether each conditional's mass is one; where not, nothing else is worth asking."""
        return bool(((self.mass + self.missing - 1).abs() <= self.close(dtype)).all())


def each(function: Callable[..., torch.Tensor], d: Any, x: torch.Tensor) -> torch.Tensor:
    """`function` of conditionals at x [n, *batch, *event]: each conditional repeated n times."""
    n, b = x.shape[:2]
    found = function(index(d, torch.arange(b).repeat(n)), x.flatten(0, 1).to(_device(d)))
    return found.reshape(x.shape)


def scored(d: Any, space: Space, points: torch.Tensor | None = None) -> Scored:
    """What the log-probabilities of scalar conditionals say, by sum or by quadrature.

    Args:
        d: conditionals [*batch] of scalars.
        space: what one element is.
        points: finite elements [P, *batch] at which the distribution function is asked for.
    """
    shape = (0, *d.batch_shape)
    points = torch.zeros(shape, dtype=torch.float64) if points is None else points.double().cpu()
    if space.measure != "density":
        return summed(d, space, points)
    atoms = _atoms(d)
    return integrated(d, space, points) if atoms is None else _spiked(d, space, points, atoms)


def _missing(d: Any) -> torch.Tensor:
    if not isinstance(d, MaybeMissing):
        return torch.zeros(d.batch_shape, dtype=torch.float64)
    gone = torch.full(d.batch_shape, torch.nan, dtype=torch.float64)
    return d.log_prob(gone.to(_device(d))).double().exp().cpu()


# ---- densities with atoms -----------------------------------------------------------------------


def _atoms(d: Any) -> torch.Tensor | None:
    """Single values [M, *batch] that may have a mass beside a density; None where there are none.

    They are hints: a mass at another place is lost, and the sum tells.
    """
    base = d.base if isinstance(d, MaybeMissing) else d
    if isinstance(base, Varied) and len(base.which.unique()) == 1:
        base = base.parts[int(base.which.flatten()[0])]
    if not isinstance(base, Spiked) or base.is_discrete:
        return None
    return base.values.double().cpu().movedim(-1, 0)


class _Beside:
    """The density beside the atoms: asked at an atom, it answers for the next number."""

    def __init__(self, d: Any, atoms: torch.Tensor) -> None:
        self.d, self.atoms = d, atoms

    def __getattr__(self, name: str) -> Any:
        return getattr(self.d, name)

    def log_prob(self, x: torch.Tensor) -> torch.Tensor:
        at = (x[..., None] == self.atoms.movedim(0, -1).to(x)).any(-1)
        return self.d.log_prob(torch.where(at, x.nextafter(torch.full_like(x, torch.inf)), x))


def _spiked(d: Any, space: Space, points: torch.Tensor, atoms: torch.Tensor) -> Scored:
    """See `scored`, for densities beside which single values have a mass."""
    law = integrated(_Beside(d, atoms), space, points, hinted=d)
    real = atoms.isfinite()
    place = torch.where(real, atoms, 0.0)
    p = d.log_prob(place.to(_device(d))).double().exp().cpu() * real
    missing = _missing(d)
    upto = (p * (atoms <= points[:, None])).sum(1)
    mass, entropy = law.mass + p.sum(0), law.entropy - torch.special.xlogy(p, p).sum(0)
    mean = (law.mass * law.mean + (p * place).sum(0)) / mass
    second = law.mass * (law.variance + law.mean**2) + (p * place**2).sum(0)
    return Scored(
        mass=mass,
        missing=missing,
        below=missing + law.below + upto,
        above=law.above + p.sum(0) - upto,
        atom=(p * (atoms == points[:, None])).sum(1),
        mean=mean,
        variance=second / mass - mean**2,
        entropy=torch.where(missing > 0, torch.nan, entropy),
        highest=torch.maximum(law.highest, p.amax(0).log()),
        how="quadrature",
    )


# ---- densities ----------------------------------------------------------------------------------


def integrated(d: Any, space: Space, points: torch.Tensor, hinted: Any = None) -> Scored:
    """See `scored`, for densities: on the whole line, whatever part of it the space is.

    Args:
        d: as for `scored`.
        space: as for `scored`.
        points: as for `scored`.
        hinted: which conditionals say where the mass may lie, if others than `d`.
    """
    line = line_of(space)
    scores = _Scores(d, space)
    marks = torch.cat([line.inv(points), _hints(d if hinted is None else hinted, space)])
    order = marks.sort(dim=0)
    knots, rank = order.values, order.indices.argsort(dim=0)[: len(points)]
    panels, keys = _panels(scores, knots)
    left, right = _tails(scores, knots)
    before = torch.cat([left[:, None], left[:, None] + panels.cumsum(1)], dim=1)
    behind = right[:, None] + panels.flip(1).cumsum(1).flip(1)
    behind = torch.cat([behind, right[:, None]], dim=1)
    total = before[:, -1] + right
    at = torch.searchsorted(keys, rank.double())  # how many panels lie before each point
    missing = _missing(d)
    share = total[0]
    mean = total[1] / share
    second = total[2] / share - mean**2
    far = (left[2] + right[2]).abs() > 1e-6 * total[2].abs()
    return Scored(
        mass=share,
        missing=missing,
        below=missing + before[0].gather(0, at),
        above=behind[0].gather(0, at),
        atom=torch.zeros_like(points),
        mean=torch.where(far, torch.nan, mean + scores.centre),
        variance=torch.where(far, torch.nan, second),
        entropy=torch.where(missing > 0, torch.nan, total[3]),
        highest=scores.highest,
        how="quadrature",
    )


class _Scores:
    """The integrands of one batch of densities: p, (x - c) p, (x - c)^2 p and -p log p."""

    def __init__(self, d: Any, space: Space) -> None:
        self.d, self.space, self.line = d, space, line_of(space)
        self.centre = torch.zeros(d.batch_shape, dtype=torch.float64)
        self.highest = torch.full(d.batch_shape, -torch.inf, dtype=torch.float64)

    def __call__(self, z: torch.Tensor, log_weight: torch.Tensor) -> torch.Tensor:
        """The four integrands at z [n, *batch] on the line, times exp(log_weight)."""
        x = self.line(z)
        element = x.to(self.space.dtype)
        score = self.d.log_prob(element.to(_device(self.d))).double().cpu()
        # beyond the ends of floats, and outside of the support, there is nothing
        inside = (self.line.inv(element.double()) - z).abs() <= 1e-2 * (1 + z.abs())
        with suppress(NotImplementedError):
            if self.d.support is not None:
                inside &= self.d.support.check(element).cpu()
        score = torch.where(inside, score, -torch.inf)
        self.highest = torch.maximum(self.highest, score.amax(0))
        mass = score + self.line.log_abs_det_jacobian(z, x) + log_weight
        mass = torch.where(score.isneginf(), -torch.inf, mass)
        away = x - self.centre
        size = 2 * away.abs().log()
        p = mass.exp()
        parts = [p, (mass + size / 2).exp() * away.sign(), (mass + size).exp()]
        return torch.stack([*parts, torch.where(p > 0, -score * p, 0.0)])


def _device(d: Any) -> torch.device:
    for name in d.arg_constraints:
        value = getattr(d, name, None)
        if isinstance(value, torch.Tensor):
            return value.device
    return torch.device("cpu")


def _hints(d: Any, space: Space) -> torch.Tensor:
    """Places on the line where the mass may lie, [K, *batch], and some around them."""
    line, found = line_of(space), []
    column = (-1, *[1] * len(d.batch_shape))
    levels = LEVELS[::4].reshape(column).expand(-1, *d.batch_shape)
    deviations = torch.linspace(-9, 9, 13).reshape(column)
    base = d.base if isinstance(d, MaybeMissing) else d
    for ask in (
        lambda: each(quantile, base, levels),
        lambda: each(from_uniform, base, levels),
        lambda: base.mean + base.stddev * deviations,
    ):
        with suppress(Exception):  # only hints; whether they are right is another question
            found.append(line.inv(ask().double().cpu()))
    with suppress(NotImplementedError):
        for name in ("lower_bound", "upper_bound"):  # a density may jump where its support ends
            if (end := getattr(d.support, name, None)) is not None:
                place = torch.as_tensor(end, dtype=torch.float64).cpu()
                found.append(line.inv(place.expand(1, *d.batch_shape)))
    every = torch.cat([*found, torch.zeros(1, *d.batch_shape, dtype=torch.float64)])
    known = every.isfinite() & (every.abs() < 1e290)
    known[-1] = ~known[:-1].any(0)
    middle = torch.where(known, every, torch.nan).nanmedian(dim=0).values
    every = torch.where(known, every, middle)
    low, high = every.amin(0), every.amax(0)
    spread = (high - low).clamp(min=1e-9 * (1 + middle.abs()))
    steps = torch.logspace(-9, 2, 23, dtype=torch.float64).reshape(column)
    return torch.cat([every, low - steps * spread, high + steps * spread])


def _panels(scores: _Scores, knots: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Integrals [4, panels, *batch] between the knots, and how many knots lie before each."""
    scores.centre = knots.median(dim=0).values
    scores.centre = scores.line(scores.centre)
    low, high = knots[:-1], knots[1:]
    keys, width = torch.arange(len(low), dtype=torch.float64), 1.0
    done, done_keys = [], []
    close = 1e-9 if scores.space.dtype == torch.float64 else 1e-7
    count = len(low)
    while True:
        fine, coarse = _gauss(scores, low, high, 10), _gauss(scores, low, high, 6)
        off = (fine[0] - coarse[0]).abs().flatten(1).amax(1)
        narrow = ((high - low) <= 1e-15 * (low.abs() + high.abs())).flatten(1).all(1)
        bad = (off > close) & ~narrow
        count += int(bad.sum())
        if not bool(bad.any()) or count > _PANELS or width < 1e-12:
            done.append(fine)
            done_keys.append(keys)
            break
        done.append(fine[:, ~bad])
        done_keys.append(keys[~bad])
        width /= 2
        middle = (low[bad] + high[bad]) / 2
        low, high = torch.cat([low[bad], middle]), torch.cat([middle, high[bad]])
        keys = torch.cat([keys[bad], keys[bad] + width])
    keys, order = torch.cat(done_keys).sort()
    return torch.cat(done, dim=1)[:, order], keys


def _gauss(scores: _Scores, low: torch.Tensor, high: torch.Tensor, nodes: int) -> torch.Tensor:
    places, weights = (torch.as_tensor(a) for a in np.polynomial.legendre.leggauss(nodes))
    half = (high - low) / 2
    total = torch.zeros(4, *low.shape, dtype=torch.float64)
    for place, weight in zip(places, weights, strict=True):
        total += scores(low + (1 + place) * half, (weight * half).log())
    return total


def _tails(scores: _Scores, knots: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """What lies beyond the outermost knots, [4, *batch], to the ends of floats.

    Substituted x = a + w sinh(t); coarse where only a density without an end still has mass.
    """
    t = torch.cat([torch.arange(0, 28, 0.05), torch.arange(28, 700, 4.0)]).double()
    step = torch.cat([t[1:] - t[:-1], t.new_zeros(1)])
    step = (step + torch.cat([t.new_zeros(1), t[1:] - t[:-1]])) / 2
    column = (-1, *[1] * (knots.ndim - 1))
    t, log_step = t.reshape(column), step.log().reshape(column)
    found = []
    for edge, side in ((knots[0], -1), (knots[-1], 1)):
        width = (knots[-1] - knots[0]) / 8
        slope = t + torch.log1p(torch.exp(-2 * t)) - np.log(2)  # log cosh t
        # sinh overflows where its logarithm does not
        z = edge + side * width * torch.sinh(t.clamp(max=690))
        found.append(scores(z, log_step + slope + width.log()).sum(1))
    return found[0], found[1]


# ---- masses -------------------------------------------------------------------------------------


def summed(d: Any, space: Space, points: torch.Tensor) -> Scored:
    """See `scored`, for masses; whole numbers without an end as far as they have any mass."""
    low, high, cut = whole_range(d, space)
    values = torch.arange(low, high + 1, dtype=torch.float64)
    score = _log_masses(d, values, space)
    column = values.reshape(-1, *[1] * len(d.batch_shape))
    missing, masses = _missing(d), score.exp()
    inner = masses.sum(0)
    beyond = _beyond(d, space, low, high)
    below = torch.cat([masses.new_zeros(1, *d.batch_shape), masses.cumsum(0)])
    above = torch.cat([masses.flip(0).cumsum(0).flip(0), masses.new_zeros(1, *d.batch_shape)])
    place = (points - low + 1).clamp(0, len(values)).long()
    own = torch.cat([masses.new_zeros(1, *d.batch_shape), masses])
    mean = (masses * column).sum(0) / inner
    variance = (masses * (column - mean) ** 2).sum(0) / inner
    entropy = -torch.where(masses > 0, masses * score, 0.0).sum(0)
    return Scored(
        mass=inner + beyond,
        missing=missing,
        below=missing + below.gather(0, place),
        above=above.gather(0, place),
        atom=own.gather(0, place) * ((points >= low) & (points <= high)),
        mean=mean,
        variance=variance,
        entropy=torch.where(missing > 0, torch.nan, entropy),
        highest=score.amax(0),
        how="sum",
        cut=cut,
    )


def whole_range(d: Any, space: Space) -> tuple[int, int, bool]:
    """The first and the last whole number that are summed, and whether mass lies beyond them.

    All but 1e-12 of the mass is summed, unless it lies too wide.
    """
    if space.size is not None:
        return 0, space.size - 1, False
    base, ends = (d.base if isinstance(d, MaybeMissing) else d), []
    for level in (1e-12, 1 - 1e-12):
        with suppress(Exception):  # only hints
            ends.append(quantile(base, torch.full(d.batch_shape, level, dtype=torch.float64)))
    with suppress(Exception):
        ends += [base.mean - 9 * base.stddev, base.mean + 9 * base.stddev]
    known = torch.cat([e.double().cpu().flatten() for e in ends] + [torch.zeros(0).double()])
    known = known[known.isfinite() & (known.abs() < 2**53)]
    low, high = (int(known.min()) - 10, int(known.max()) + 10) if len(known) else (-10, 10)
    if space.kind == "count":
        low, high = 0 if high < _WHOLE else max(low, 0), max(high, 10)
    if high - low > _WHOLE:
        return low, low + _WHOLE, True
    edges = torch.tensor([low, high], dtype=torch.float64)
    while high - low < _WHOLE:  # hints may be short
        ends_mass = _log_masses(d, edges, space).exp().flatten(1).amax(1)
        grow = [float(m) > 1e-15 for m in ends_mass]
        grow[0] = grow[0] and not (space.kind == "count" and low == 0)
        if not any(grow):
            return low, high, False
        reach = high - low
        low, high = low - reach * grow[0], high + reach * grow[1]
        low = max(low, 0) if space.kind == "count" else low
        edges = torch.tensor([low, high], dtype=torch.float64)
    return low, high, True


def _log_masses(d: Any, values: torch.Tensor, space: Space) -> torch.Tensor:
    """Log-probabilities [n, *batch] of values [n], asked for in blocks."""
    rows = max(1, _BLOCK // max(1, d.batch_shape.numel()))
    parts = []
    for some in values.split(rows):
        spread = some.reshape(-1, *[1] * len(d.batch_shape)).expand(-1, *d.batch_shape)
        parts.append(d.log_prob(spread.to(_device(d), space.dtype)).double().cpu())
    return torch.cat(parts)


def _beyond(d: Any, space: Space, low: int, high: int) -> torch.Tensor:
    """A lower bound of the mass beyond a range of whole numbers, from a few far ones.

    Nothing for a mass that falls; much for one that is held at a level.
    """
    if space.size is not None:
        return torch.zeros(d.batch_shape, dtype=torch.float64)
    total = torch.zeros(d.batch_shape, dtype=torch.float64)
    sides = [(high, 1)] + [(low, -1)] * (space.kind != "count")
    for edge, side in sides:
        far = torch.tensor([float(max(abs(edge), 16)) * 2**j for j in range(1, 54)]).double()
        far = far[far <= 2**53]
        masses = _log_masses(d, side * far, space).exp()
        gaps = torch.diff(far, prepend=far[:1] / 2).reshape(-1, *[1] * len(d.batch_shape))
        total += (masses * gaps)[1:].sum(0)
    return total
