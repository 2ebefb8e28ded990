"""Statistical tests of draws: the G-test of counts, and Kolmogorov-Smirnov of PIT values.

Every test fails a right process with probability `LEVEL` at a seed drawn at random; the seed is
fixed, so a process that passes once passes always.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import distributions as td

from arproc.distributions import MaybeMissing, Spiked, Varied, atom, cdf
from arproc.errors import UnsupportedError
from arproc.testing.report import fail

__all__ = ["LEVEL", "berkowitz", "g_test", "kolmogorov_smirnov", "pit", "two_samples"]

#: The false-alarm rate of one statistical test.
LEVEL = 1e-6


def g_test(counts: np.ndarray, probabilities: np.ndarray, expected: str, cause: str) -> float:
    """The p-value of counts against probabilities, which add up to one; fails below `LEVEL`.

    G = 2 sum O log(O / E), chi-squared (Sokal and Rohlf 1981, ch. 17); cells of fewer than five
    expected counts are pooled.
    """
    from scipy.stats import chi2

    if not abs(probabilities.sum() - 1) < 1e-4:
        came = f"the probabilities of all outcomes add up to {probabilities.sum():.6g}"
        fail(expected, came, "a likelihood that is not normalised, or not over these outcomes")
    impossible = (probabilities <= 0) & (counts > 0)
    if impossible.any():
        came = f"{int(counts[impossible].sum())} draws have probability zero"
        fail(expected, came, cause)
    wanted = counts.sum() * probabilities
    small = wanted < 5
    observed = np.append(counts[~small], counts[small].sum())
    wanted = np.append(wanted[~small], wanted[small].sum())
    observed, wanted = observed[wanted > 0], wanted[wanted > 0]
    if len(wanted) < 2:
        return 1.0
    terms = observed * np.log(np.maximum(observed, 1) / wanted)
    p = float(chi2.sf(2 * terms.sum(), len(wanted) - 1))
    if p < LEVEL:
        worst = int(np.argmax(np.abs(observed - wanted) / np.sqrt(wanted)))
        came = (
            f"the G-test over {len(wanted)} outcomes has p = {p:.1e} (one outcome came "
            f"{int(observed[worst])} times, {wanted[worst]:.1f} were expected)"
        )
        fail(expected, came, cause)
    return p


def kolmogorov_smirnov(u: torch.Tensor, expected: str, cause: str) -> float:
    """The p-value of values being uniform on (0, 1); fails below `LEVEL`."""
    from scipy.stats import kstest

    result = kstest(u.double().cpu().numpy().ravel(), "uniform")
    if not result.pvalue >= LEVEL:
        came = (
            f"the distribution function at the draws is not uniform: Kolmogorov-Smirnov distance "
            f"{result.statistic:.3f} over {u.numel()} values, p = {result.pvalue:.1e}"
        )
        fail(expected, came, cause)
    return float(result.pvalue)


def berkowitz(u: torch.Tensor, pairs: torch.Tensor, expected: str, cause: str) -> float:
    """The p-value of ndtri(u) being standard normal and independent; fails below `LEVEL`.

    The likelihood-ratio test of Berkowitz (2001): far stronger than Kolmogorov-Smirnov against a
    wrong scale. Mean and variance are tested over all values, the lag-one correlation over pairs.

    Args:
        u: values that should be uniform, [n].
        pairs: values that follow each other, [m, 2].
        expected: what should have held, for the message.
        cause: what usually breaks it, for the message.
    """
    from scipy.stats import chi2

    z, pair = (torch.special.ndtri(t.double().clamp(1e-15, 1 - 1e-15)) for t in (u, pairs))
    mean, variance = float(z.mean()), float(z.var(correction=0))
    ratio = len(z) * (mean**2 + variance - 1 - np.log(variance))
    if len(pair) > 2:
        ratio += len(pair) * float((pair[:, 0] * pair[:, 1]).mean()) ** 2
    p = float(chi2.sf(ratio, 3))
    if not p >= LEVEL:
        came = (
            f"in standard deviations from what was forecast the draws have mean {mean:.3f} and "
            f"variance {variance:.3f} over {len(z)} values (Berkowitz' test: p = {p:.1e})"
        )
        fail(expected, came, cause)
    return p


def two_samples(a: torch.Tensor, b: torch.Tensor, expected: str, cause: str) -> float:
    """The p-value of two samples being from one distribution; fails below `LEVEL`."""
    from scipy.stats import ks_2samp

    # to rounding, so that equal values of mixed atoms count as ties
    with np.errstate(over="ignore"):
        first, second = (np.round(t.double().cpu().numpy().ravel(), 6) for t in (a, b))
    result = ks_2samp(first, second, method="asymp")
    if not result.pvalue >= LEVEL:
        came = f"the two-sample Kolmogorov-Smirnov test has p = {result.pvalue:.1e}"
        fail(expected, came, cause)
    return float(result.pvalue)


def pit(
    conditional: td.Distribution, x: torch.Tensor, rng: np.random.Generator
) -> torch.Tensor | None:
    """The probability integral transform of x [*batch, *event]: uniform where x is a draw.

    Masses are randomised, F(x - 1) + v (F(x) - F(x - 1)) with v uniform. None where there is no
    distribution function: for dependent components other than a multivariate normal's.
    """
    if isinstance(conditional, td.MultivariateNormal):
        centred = (x - conditional.loc)[..., None]
        white = torch.linalg.solve_triangular(conditional.scale_tril, centred, upper=False)
        return torch.special.ndtr(white[..., 0])
    if isinstance(conditional, td.Independent):
        return pit(conditional.base_dist, x, rng)
    if conditional.event_shape:
        return None
    try:
        upper = cdf(conditional, x).double()
    except UnsupportedError:
        return None
    mixed = isinstance(conditional, (Varied, MaybeMissing, Spiked))
    if not mixed and not _is_mass(conditional):
        return upper
    v = torch.as_tensor(rng.random(tuple(upper.shape)), device=upper.device)
    if mixed:
        return upper - v * atom(conditional, x).double()
    lower = cdf(conditional, x - 1).double()
    return lower + v * (upper - lower)


def _is_mass(conditional: td.Distribution) -> bool:
    if isinstance(conditional, (td.Categorical, td.Bernoulli)):
        return True
    support = getattr(conditional, "support", None)
    return support is not None and support.is_discrete
