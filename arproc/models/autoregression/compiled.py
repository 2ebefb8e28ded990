"""Compiled loops of autoregressions. Importing this module imports numba."""

from __future__ import annotations

import numpy as np

from arproc.compiled.arrays import put
from arproc.compiled.jit import jit

__all__ = ["advance"]


# Wichura (1988), Algorithm AS 241: the percentage points of the normal distribution.
_A = (
    3.3871328727963666080e0, 1.3314166789178437745e2, 1.9715909503065514427e3,
    1.3731693765509461125e4, 4.5921953931549871457e4, 6.7265770927008700853e4,
    3.3430575583588128105e4, 2.5090809287301226727e3,
)  # fmt: skip
_B = (
    1.0, 4.2313330701600911252e1, 6.8718700749205790830e2, 5.3941960214247511077e3,
    2.1213794301586595867e4, 3.9307895800092710610e4, 2.8729085735721942674e4,
    5.2264952788528545610e3,
)  # fmt: skip
_C = (
    1.42343711074968357734e0, 4.63033784615654529590e0, 5.76949722146069140550e0,
    3.64784832476320460504e0, 1.27045825245236838258e0, 2.41780725177450611770e-1,
    2.27238449892691845833e-2, 7.74545014278341407640e-4,
)  # fmt: skip
_D = (
    1.0, 2.05319162663775882187e0, 1.67638483018380384940e0, 6.89767334985100004550e-1,
    1.48103976427480074590e-1, 1.51986665636164571966e-2, 5.47593808499534494600e-4,
    1.05075007164441684324e-9,
)  # fmt: skip
_E = (
    6.65790464350110377720e0, 5.46378491116411436990e0, 1.78482653991729133580e0,
    2.96560571828504891230e-1, 2.65321895265761230930e-2, 1.24266094738807843860e-3,
    2.71155556874348757815e-5, 2.01033439929228813265e-7,
)  # fmt: skip
_F = (
    1.0, 5.99832206555887937690e-1, 1.36929880922735805310e-1, 1.48753612908506148525e-2,
    7.86869131145613259100e-4, 1.84631831751005468180e-5, 1.42151175831644588870e-7,
    2.04426310338993978564e-15,
)  # fmt: skip


_CHUNK = 4096  # elements that are turned from uniforms into draws while they lie in the cache


@jit
def _ratio(x: float, a: tuple[float, ...], b: tuple[float, ...]) -> float:
    over = ((((((a[7] * x + a[6]) * x + a[5]) * x + a[4]) * x + a[3]) * x + a[2]) * x + a[1]) * x
    under = ((((((b[7] * x + b[6]) * x + b[5]) * x + b[4]) * x + b[3]) * x + b[2]) * x + b[1]) * x
    return (over + a[0]) / (under + b[0])


@jit
def _quantiles(u: np.ndarray, z: np.ndarray, far: np.ndarray, tail: np.ndarray) -> None:
    """Standard normal quantiles z of uniforms u.

    `far` and `tail` are room for one number more than there are uniforms. Every loop but the one
    with the logarithms is vectorised.
    """
    count = len(u)
    for k in range(count):  # the middle 85% of them
        q = u[k] - 0.5
        z[k] = q * _ratio(0.180625 - q * q, _A, _B)
    found = 0
    for k in range(count):
        far[found] = k
        tail[found] = min(u[k], 1.0 - u[k])
        found += abs(u[k] - 0.5) > 0.425
    for j in range(found):
        tail[j] = -np.log(tail[j])
    for j in range(found):
        tail[j] = np.sqrt(tail[j])
    for j in range(found):
        r = tail[j]
        size = _ratio(r - 1.6, _C, _D)
        z[far[j]] = size if u[far[j]] > 0.5 else -size
    for j in range(found):
        if tail[j] > 5.0:
            size = _ratio(tail[j] - 5.0, _E, _F)
            z[far[j]] = size if u[far[j]] > 0.5 else -size


@jit
def _recur(y: np.ndarray, z: np.ndarray, w: np.ndarray, start: int, stop: int) -> None:
    """y[p + k] = z[k] + sum_i w[i - 1] y[p + k - i], the oldest of the sum first."""
    p, k = len(w), start
    if p > 2:  # four at a time: each of the elements before is read once for all of them
        for k in range(start, stop - 3, 4):
            a = z[k] + w[p - 1] * y[k]
            a += w[p - 2] * y[k + 1]
            b = z[k + 1] + w[p - 1] * y[k + 1]
            a += w[p - 3] * y[k + 2]
            b += w[p - 2] * y[k + 2]
            c = z[k + 2] + w[p - 1] * y[k + 2]
            d = z[k + 3]
            for i in range(p - 4, -1, -1):
                before = y[p + k - 1 - i]
                a += w[i] * before
                b += w[i + 1] * before
                c += w[i + 2] * before
                d += w[i + 3] * before
            b += w[0] * a
            c += w[1] * a
            c += w[0] * b
            d += w[2] * a
            d += w[1] * b
            d += w[0] * c
            y[p + k], y[p + k + 1], y[p + k + 2], y[p + k + 3] = a, b, c, d
        k = start + 4 * (max(stop - start, 0) // 4)
    while k < stop:
        value = z[k]
        for i in range(p, 0, -1):
            value += w[i - 1] * y[p + k - i]
        y[p + k] = value
        k += 1


@jit
def advance(
    uniforms: np.ndarray,
    before: np.ndarray,
    positions: np.ndarray,
    weights: np.ndarray,
    scales: np.ndarray,
    constants: np.ndarray,
    drive: np.ndarray,
) -> np.ndarray:
    """Draw elements by their inverse cdf, one after the other.

    Args:
        uniforms: in (0, 1), [N, K], C-contiguous.
        before: the last p elements of every row less their levels, oldest first, [N, p].
        positions: how many elements came before, [N].
        weights: [p + 1, p]; see `likelihood.Recursion`.
        scales: standard deviations of the innovations, [p + 1].
        constants: [p + 1].
        drive: what is added to every element besides, [N, K], or [N, 0] where nothing is.

    Returns:
        Elements less their levels, [N, K].
    """
    rows, steps = uniforms.shape
    p = weights.shape[1]
    x = np.empty((rows, steps))
    z, y = np.empty(_CHUNK), np.empty(p + _CHUNK)
    far, tail = np.empty(_CHUNK + 1, np.int64), np.empty(_CHUNK + 1)
    for n in range(rows):
        put(before[n], y)
        for start in range(0, steps, _CHUNK):
            count = min(_CHUNK, steps - start)
            _quantiles(uniforms[n, start : start + count], z, far, tail)
            first = positions[n] + start
            early = min(max(p - first, 0), count)
            for k in range(early):
                row = first + k
                value = scales[row] * z[k] + constants[row]
                for i in range(row, 0, -1):
                    value += weights[row, i - 1] * y[p + k - i]
                y[p + k] = value
            for k in range(early, count):
                z[k] = scales[p] * z[k]
            if drive.shape[1]:
                for k in range(early, count):
                    z[k] += drive[n, start + k]
            _recur(y, z, weights[p], early, count)
            for k in range(count):
                x[n, start + k] = y[p + k]
            for i in range(p):  # upwards: a part of what is read may be written
                y[i] = y[count + i]
    return x
