"""Each conditional is one law: its distribution function, quantiles, draws and moments agree.

What is compared with is `scored`: sums and integrals of the log-probabilities alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import torch
from torch import distributions as td

from arproc.distributions import (
    MaybeMissing,
    Mixture,
    Spiked,
    Varied,
    cdf,
    from_uniform,
    mean,
    quantile,
)
from arproc.errors import UnsupportedError
from arproc.testing.compare import agree
from arproc.testing.integrals import LEVELS, Scored, each, scored
from arproc.testing.places import Scalars, scalars, vectors
from arproc.testing.report import NotApplicable, fail
from arproc.testing.statistics import berkowitz, kolmogorov_smirnov
from arproc.testing.subject import Subject
from arproc.testing.vectors import draws_of_vectors, moments_of_vectors, normal_density

__all__ = ["distribution_function", "draws_of_conditionals", "moments", "quantiles"]

_GRID = 1024  # uniforms by which a draw that is no inverse is looked at
_DRAWS = 300  # draws of each conditional by torch's own sample
_UNKNOWN = (UnsupportedError, NotImplementedError)


def distribution_function(subject: Subject) -> str:
    """The distribution function of every conditional is its density's integral, its masses' sum.

    At values far into both tails, of conditionals after likely and unlikely elements, of each
    column of a table and each component of an independent vector.
    """
    worst, seen = 0.0, 0
    if isinstance(together := vectors(subject), td.MultivariateNormal):
        return normal_density(subject, together)
    for group in scalars(subject):
        x = _values(group)
        try:
            got = each(cdf, group.d, _as_given(x, group)).double().cpu()
        except _UNKNOWN:
            continue
        seen += x.numel()
        law = _law(subject, group, x)
        expected = f"the distribution function{group.where} to be the {_of(law)}"
        cause = "a cdf with parameters, an end or a precision of its own"
        # what the ends of floats hold is not integrated
        want = torch.minimum(torch.maximum(got, law.below), law.below + law.lost)
        worst = max(worst, agree(got, want, _close(subject), expected, cause, _AXES))
        low = (law.below < 0.01) & (law.below > 1e-10)
        worst = max(
            worst,
            agree(
                got[low].clamp(min=1e-300).log(),
                want[low].log(),
                _close_in_tails(subject),
                f"{expected}, in the lower tail too (logarithms are compared)",
                cause,
            ),
        )
    return _found(seen, f"{worst:.1e} over {seen} values", "a distribution function")


def quantiles(subject: Subject) -> str:
    """Every quantile is the smallest value at which the summed or integrated law is enough."""
    seen = 0
    for group in scalars(subject):
        q = _levels(group)
        try:
            x = each(quantile, group.d, q)
        except _UNKNOWN:
            continue
        seen += x.numel()
        cause = "quantiles of other parameters than the density's, or cut in the tails"
        _same_levels(subject, group, x, q, "quantiles", cause)
    return _found(seen, f"{seen} quantiles", "quantiles")


def draws_of_conditionals(subject: Subject) -> str:
    """What uniforms draw follows the log-probabilities, as far as one draw in 10^9 reaches.

    Where draws rise with their uniform they are quantiles; where not, as of mixtures, the draws
    of a fine grid of uniforms are counted. Draws of torch's own `sample` and `rsample` are put
    through the integrated law.
    """
    seen, tests = 0, []
    if (together := vectors(subject)) is not None:
        return draws_of_vectors(subject, together)
    for group in scalars(subject):
        cause = "a sampler that cuts tails, or has other parameters than the density"
        grid = (torch.arange(_GRID, dtype=torch.float64) + 0.5) / _GRID
        fine = _elements(group, each(from_uniform, group.d, _spread(grid, group.d)), "draws")
        if _rises(fine):
            q = _levels(group)
            _same_levels(subject, group, each(from_uniform, group.d, q), q, "draws", cause)
            seen += q.numel()
        else:
            seen += _counted(subject, group, fine, cause)
        tests += list(_by_torch(subject, group))
    by_torch = f"; {len(tests)} of torch's own, p = {min(tests):.2g}" if tests else ""
    return _found(seen, f"{seen} uniforms{by_torch}", "draws of numbers")


def moments(subject: Subject) -> str:
    """Mean, variance, mode and entropy of every conditional, where it has them, are its density's.

    Those that are not finite, or that the tails do not let integrate, are left out.
    """
    seen: set[str] = set()
    if (together := vectors(subject)) is not None:
        return moments_of_vectors(subject, together)
    for group in scalars(subject):
        if group.space.kind == "categorical":
            continue  # numbers that stand for symbols
        law, close = _law(subject, group, None), 1e-5 if _fine(subject) else 2e-3
        spread = law.variance.sqrt().clamp(min=1e-9)
        for name, want, unit in (
            ("mean", law.mean, spread),
            ("variance", law.variance, law.variance.clamp(min=1e-12)),
            ("stddev", law.variance.sqrt(), spread),
            ("entropy", law.entropy, torch.ones_like(spread)),
        ):
            got = _figure(group.d, name)
            if got is None or (isinstance(group.d, MaybeMissing) and name == "entropy"):
                continue
            known = got.isfinite() & want.isfinite() & unit.isfinite()
            unit = unit + (1e-7 if _fine(subject) else 1e-5) * want.abs()
            agree(
                (got / unit)[known],
                (want / unit)[known],
                close,
                f"the {name}{group.where} to be the {_of(law)} (in units of its spread)",
                "moments of another law than the density",
            )
            seen |= {name} if bool(known.any()) else set()
        seen |= _mode(group, law)
    return _found(len(seen), ", ".join(sorted(seen)), "moments")


# ---- inner parts --------------------------------------------------------------------------------

_AXES = ("value", "conditional")


def _found(seen: int, figure: str, what: str) -> str:
    if not seen:
        raise NotApplicable(f"its conditionals have no {what}")
    return figure


def _of(law: Scored) -> str:
    return "sum of the masses" if law.how == "sum" else "integral of the density"


def _fine(subject: Subject) -> bool:
    return subject.dtype == torch.float64


def _close(subject: Subject) -> float:
    return 1e-6 if _fine(subject) else 2e-5


def _close_in_tails(subject: Subject) -> float:
    return 1e-3 if _fine(subject) else 2e-2


def _spread(values: torch.Tensor, d: Any) -> torch.Tensor:
    """Values [n] for each conditional, [n, *batch]."""
    return values.reshape(-1, *[1] * len(d.batch_shape)).expand(-1, *d.batch_shape)


def _levels(group: Scalars) -> torch.Tensor:
    return _spread(LEVELS, group.d)


def _as_given(x: torch.Tensor, group: Scalars) -> torch.Tensor:
    return x if isinstance(group.d, MaybeMissing) else x.to(group.space.dtype)


def _values(group: Scalars) -> torch.Tensor:
    """Finite elements [P, *batch], far into the tails, wherever anything says that these are."""
    d, found = group.d, []
    for ask in (from_uniform, quantile):
        with suppress(Exception):  # whether these are right other checks say
            found.append(each(ask, d, _levels(group)).double().cpu())
    if group.space.size is not None:
        every = torch.arange(group.space.size, dtype=torch.float64)
        found.append(_spread(every[:: max(1, len(every) // 64)], d))
    if not found:
        law = scored(d, group.space)
        steps = _spread(torch.linspace(-6, 6, 25).double(), d)
        found.append(law.mean + steps * law.variance.sqrt())
    x = _as_given(torch.cat(found), group).double()
    return torch.where(x.isfinite(), x, x[len(LEVELS) // 2].nan_to_num(0.5, 0.5, 0.5))


def _elements(group: Scalars, x: torch.Tensor, what: str) -> torch.Tensor:
    """Values as elements of the space, float64; fails where they are none."""
    x = _as_given(x.cpu(), group).double()
    there = x[~torch.isnan(x)] if isinstance(group.d, MaybeMissing) else x
    problem = None if bool(there.isfinite().all()) else "some are not finite"
    end = group.space.end
    problem = problem or group.space.problem(there if end is None else there[there != end])
    if problem:
        fail(
            f"{what}{group.where} to be elements of the space ({group.space.describe()})",
            problem,
            "an inverse cdf that is not finite near 0 or 1, or a conditional that reaches beyond "
            "the space",
        )
    return x


def _law(subject: Subject, group: Scalars, x: torch.Tensor | None) -> Scored:
    """What the log-probabilities say, of a law whose masses add up."""
    law = scored(group.d, group.space, x)
    if not law.adds_up(subject.dtype):
        raise NotApplicable("its conditionals' masses are not 1: see normalisation and defined")
    return law


def _scored_at(
    subject: Subject, group: Scalars, x: torch.Tensor
) -> tuple[Scored, torch.Tensor, torch.Tensor]:
    """The law at elements x that may be missing, with P(X <= x) and P(X = x)."""
    gone = torch.isnan(x)
    filled = x.nan_to_num(0.5 if group.space.measure == "density" else 0.0)
    law = _law(subject, group, filled)
    missing = law.missing.expand(x.shape)
    return law, torch.where(gone, missing, law.below), torch.where(gone, missing, law.atom)


def _same_levels(
    subject: Subject, group: Scalars, x: torch.Tensor, q: torch.Tensor, what: str, cause: str
) -> None:
    """Fail unless x is the generalised inverse of the summed law at the levels q."""
    x = _elements(group, x, what)
    law, below, atom = _scored_at(subject, group, x)
    above = torch.where(torch.isnan(x), law.mass, law.above)
    rest, near = 1 - q, torch.full_like(q, 1e-5 if _fine(subject) else 1e-3)
    slack = torch.where((q < 0.01) | (rest < 0.01), _close_in_tails(subject), near)
    # what the ends of floats hold is not integrated
    tiny = law.lost + (1e-11 if law.how == "sum" else 1e-10)
    lower = (below < q * (1 - slack) - tiny) | (below - atom > q * (1 + slack) + tiny)
    upper = (above > rest * (1 + slack) + tiny) | (above + atom < rest * (1 - slack) - tiny)
    wrong = torch.where(q <= 0.5, lower, upper) | torch.isnan(below)
    if bool(wrong.any()):
        at = tuple(int(i) for i in wrong.nonzero()[len(wrong.nonzero()) // 2])
        fail(
            f"{what}{group.where} to be the inverse of the {_of(law)}",
            f"at {float(q[at]):.9g} came {float(x[at]):.6g}, below or at which the law has "
            f"{float(below[at]):.6g} and above which {float(above[at]):.6g} "
            f"({int(wrong.sum())} of {wrong.numel()} levels are wrong)",
            cause,
        )


def _rises(x: torch.Tensor) -> bool:
    """Whether draws [n, *batch] rise with their uniforms; missing ones come first."""
    return bool((x.nan_to_num(-torch.inf).diff(dim=0).nan_to_num(0.0) >= 0).all())


def _counted(subject: Subject, group: Scalars, x: torch.Tensor, cause: str) -> int:
    """Fail unless draws x [n, *batch] of evenly spaced uniforms are as many as the law says.

    Draws rise piece by piece; in each piece at most one draw may be counted wrongly at an end.
    """
    n = len(x)
    ordered = x.nan_to_num(-torch.inf)
    pieces = (ordered.diff(dim=0) < 0).sum(0) + 1
    points = ordered.sort(dim=0).values[:: n // 64]
    points = torch.where(points.isfinite(), points, torch.nan)
    law, below, _ = _scored_at(subject, group, points)
    upto = torch.searchsorted(
        ordered.sort(dim=0).values.movedim(0, -1).contiguous(),
        points.nan_to_num(-torch.inf).movedim(0, -1).contiguous(),
        right=True,
    ).movedim(-1, 0)
    share = upto.double() / n
    slack = (pieces + 1) / n + _close(subject)
    off = (share - below).abs() - slack
    if bool((off > 0).any()) or bool(torch.isnan(below).any()):
        at = tuple(int(i) for i in (off == off.max()).nonzero()[0])
        fail(
            f"draws{group.where} to be as frequent as the {_of(law)} says",
            f"{float(share[at]):.5f} of the draws of evenly spaced uniforms are at most "
            f"{float(points[at]):.6g}, where the law has {float(below[at]):.5f}",
            cause,
        )
    _reach(subject, group, cause)
    return x.numel()


def _reach(subject: Subject, group: Scalars, cause: str) -> None:
    """Fail where draws that are made piece by piece do not reach into the tails of the law."""
    lower, width = _pieces(group.d)
    inside = torch.tensor([1e-8, 1e-5, 1 - 1e-5, 1 - 1e-8], dtype=torch.float64)
    u = lower + width * inside.reshape(-1, *[1] * lower.ndim)
    x = each(from_uniform, group.d, u.flatten(0, 1).clamp(2.0**-53, 1 - 2.0**-53))
    law, below, atom = _scored_at(subject, group, _elements(group, x, "draws"))
    short = torch.maximum((below - atom).amin(0) - law.missing, 1 - below.amax(0))
    if bool((short > 1e-6).any()):
        fail(
            f"draws{group.where} to reach into both tails of their law",
            f"beyond the outermost draws lies a probability of {float(short.max()):.3g}",
            cause,
        )


def _pieces(d: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """Intervals of uniforms, lower ends and widths [K, *batch], each of which draws one part."""
    if isinstance(d, MaybeMissing):
        lower, width = _pieces(d.base)
        there = 1 - d.missing.double()
        return 1 - there + there * lower, there * width
    if isinstance(d, Varied) and len(d.which.unique()) == 1:
        return _pieces(d.parts[int(d.which.flatten()[0])])
    if isinstance(d, td.TransformedDistribution):
        return _pieces(d.base_dist)
    if isinstance(d, Spiked):
        weights = d.log_weights.double().exp().movedim(-1, 0)
        begin, (low, wide) = weights.cumsum(0) - weights, _pieces(d.base)
        lower = torch.cat([begin[:-1], begin[-1] + weights[-1] * low])
        return lower, torch.cat([weights[:-1], weights[-1] * wide])
    if isinstance(d, Mixture):
        weights, parts = d.weights, [_pieces(part) for part in d.components]
    elif isinstance(d, td.MixtureSameFamily):
        weights, parts = d.mixture_distribution.probs, None
    else:
        return torch.zeros(1, *d.batch_shape).double(), torch.ones(1, *d.batch_shape).double()
    weights = weights.double().expand(*d.batch_shape, weights.shape[-1]).movedim(-1, 0)
    begin = weights.cumsum(0) - weights
    if parts is None:
        return begin, weights
    placed = zip(begin, weights, parts, strict=True)
    inner = [(b + w * low, w * wide) for b, w, (low, wide) in placed]
    return torch.cat([low for low, _ in inner]), torch.cat([wide for _, wide in inner])


def _by_torch(subject: Subject, group: Scalars) -> Iterator[float]:
    """The p-values of draws by `sample` and `rsample` put through the law."""
    names = ["sample"] + ["rsample"] * bool(getattr(group.d, "has_rsample", False))
    for name in names:
        try:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(subject.seed)
                x = getattr(group.d, name)((_DRAWS,))
        except _UNKNOWN:
            continue
        x = _elements(group, x, f"the draws of {name}()")
        _, below, atom = _scored_at(subject, group, x)
        v = torch.as_tensor(subject.rng("randomised").random(tuple(below.shape)))
        u = below - v * atom
        expected = f"draws of {name}(){group.where} to follow log_prob"
        cause = f"a {name} of another law than the density"
        yield kolmogorov_smirnov(u, expected, cause)
        yield berkowitz(u.flatten(), torch.zeros(0, 2), expected, cause)


def _figure(d: Any, name: str) -> torch.Tensor | None:
    """A figure of a conditional, float64 [*batch]; None where it has none."""
    try:
        if name == "entropy":
            value = d.entropy()
        else:
            value = mean(d) if name == "mean" else getattr(d, name)
    except (*_UNKNOWN, AttributeError):
        return None
    return value.double().cpu()


def _mode(group: Scalars, law: Scored) -> set[str]:
    """Fail where a value is likelier than the mode."""
    mode = _figure(group.d, "mode")
    if mode is None or isinstance(group.d, MaybeMissing):
        return set()
    known = mode.isfinite()
    with suppress(NotImplementedError):
        if group.d.support is not None:
            known &= group.d.support.check(mode)
    if not bool(known.any()):
        return set()
    filled = torch.where(known, mode, law.mean)
    score = group.d.log_prob(_as_given(filled, group).to(filled.device)).double().cpu()
    agree(
        torch.maximum(score, law.highest)[known],
        score[known],
        1e-4,
        f"no value{group.where} to be likelier than the mode",
        "a mode of another law than the density",
        ("conditional",),
    )
    return {"mode"}
