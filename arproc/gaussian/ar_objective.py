r"""The exact likelihood of an autoregression and its derivatives, compiled.

Of n values, or of several sequences of n values on average, all longer than the order p. With S
the sum of squares at the best mean,

.. math::
    f(\phi) = \log S(\phi) - \frac{1}{n} \sum_k k \log(1 - r_k^2),

S is a quadratic form in (1, -phi) and in (1, -beta), so its first two derivatives are sums over E,
and beta goes out by a Schur complement. The second part keeps a search among stationary
processes, as it grows without bound towards their edge; its derivatives come from the Levinson
recursion run down and back, the second ones by the complex step. Importing this imports numba.
"""

from __future__ import annotations

import numpy as np

from arproc.compiled.jit import jit
from arproc.gaussian.small_kernels import (
    backwards,
    cholesky,
    dot,
    forwards,
    log_determinant,
    step_down,
)

__all__ = ["derivatives", "statistics", "value_at"]

_STEP = 1e-40  # of the complex step: nothing is subtracted


@jit
def statistics(table: np.ndarray, n: int, p: int, e: np.ndarray) -> None:
    """E of one series: e[i, a, j, b], of which i >= j is filled first and the rest mirrored.

    Args:
        table: the series and the columns of the mean, [m, at least n].
        n: the length.
        p: the order.
        e: where E goes, [p + 1, m, p + 1, m].
    """
    m = len(table)
    for k in range(p + 1):
        for a in range(m):
            for b in range(m):
                value = dot(table[a], k, table[b], 0, n - k)
                e[0, a, k, b] = value
                e[k, b, 0, a] = value
    for i in range(1, p + 1):
        for j in range(1, i + 1):
            for a in range(m):
                for b in range(m):
                    lost = table[a, i - 1] * table[b, j - 1] + table[a, n - i] * table[b, n - j]
                    value = e[i - 1, a, j - 1, b] - lost
                    e[i, a, j, b] = value
                    e[j, b, i, a] = value


@jit
def _determinant_gradient(phi: np.ndarray, levels: np.ndarray, pull: np.ndarray) -> None:
    """The gradient of sum_k k log(1 - r_k^2) in phi, complex: `pull` [p]; `levels` is room."""
    p = len(phi)
    step_down(phi, levels)
    pull[:] = 0.0
    for k in range(1, p + 1):  # from order k - 1 to order k: what r and the rest carry
        r = levels[k - 1, k - 1]
        inverse = 1.0 / (1.0 - r * r)
        last = -2.0 * k * r * inverse
        for i in range(k - 1):
            last += pull[i] * (levels[k - 1, k - 2 - i] + 2.0 * r * levels[k - 2, i]) * inverse
        for i in range(k // 2):
            head, tail = pull[i], pull[k - 2 - i]
            pull[i] = (head + r * tail) * inverse
            pull[k - 2 - i] = (tail + r * head) * inverse
        pull[k - 1] = last


@jit
def value_at(
    e: np.ndarray,
    n: float,
    phi: np.ndarray,
    levels: np.ndarray,
    star: np.ndarray,
    half: np.ndarray,
    form: np.ndarray,
    left: np.ndarray,
    c: np.ndarray,
) -> tuple[float, float]:
    """The objective and the sum of squares; infinite where the process is not stationary.

    Leaves E contracted with (1, -phi) once in `half` [m, p + 1, m] and twice in `form` [m, m], and
    (1, -beta) in `c` [m].
    """
    p, m = len(phi), len(c)
    if p and not step_down(phi, levels) < 1.0:
        return np.inf, np.inf
    star[0] = 1.0
    for i in range(p):
        star[i + 1] = -phi[i]
    for a in range(m):
        for j in range(p + 1):
            for b in range(m):
                value = 0.0
                for i in range(p + 1):
                    value += star[i] * e[i, a, j, b]
                half[a, j, b] = value
        for b in range(m):
            value = 0.0
            for j in range(p + 1):
                value += half[a, j, b] * star[j]
            form[a, b] = value
    c[0] = 1.0
    q = m - 1
    for a in range(q):
        for b in range(a + 1):
            left[a, b] = form[a + 1, b + 1]
    if q and not cholesky(left, q, 0.0):
        return np.inf, np.inf
    for a in range(q):  # the mean by generalised least squares
        c[a + 1] = -form[0, a + 1]
    forwards(left, q, c[1:])
    backwards(left, q, c[1:])
    squares = 0.0
    for b in range(m):
        squares += form[0, b] * c[b]
    if not squares > 0:
        return np.inf, np.inf
    return np.log(squares) - log_determinant(levels, p) / n, squares


@jit
def derivatives(
    e: np.ndarray,
    n: float,
    phi: np.ndarray,
    squares: float,
    half: np.ndarray,
    left: np.ndarray,
    c: np.ndarray,
    probe: np.ndarray,
    complex_levels: np.ndarray,
    pull: np.ndarray,
    slope: np.ndarray,
    mixed: np.ndarray,
    moved: np.ndarray,
    hessian: np.ndarray,
    gradient: np.ndarray,
) -> None:
    """Gradient and Hessian of the objective where `value_at` was taken last.

    Leaves the gradient of the sum of squares in `slope` [p] and d beta / d phi in `moved` [q, p].
    """
    p, m = len(phi), len(c)
    q = m - 1
    for j in range(p):
        value = 0.0
        for a in range(m):
            for b in range(m):
                value += c[a] * c[b] * half[a, j + 1, b]
        slope[j] = -2.0 * value
        for a in range(q):
            value = 0.0
            for b in range(m):
                value += c[b] * (half[b, j + 1, a + 1] + half[a + 1, j + 1, b])
            mixed[a, j] = 2.0 * value
    for j in range(p):  # d beta / d phi = -(2 form)^-1 mixed, by the factor in `left`
        for a in range(q):
            value = -0.5 * mixed[a, j]
            for b in range(a):
                value -= left[a, b] * moved[b, j]
            moved[a, j] = value / left[a, a]
        for a in range(q - 1, -1, -1):
            value = moved[a, j]
            for b in range(a + 1, q):
                value -= left[b, a] * moved[b, j]
            moved[a, j] = value / left[a, a]
    for j in range(p):
        for i in range(j + 1):
            value = 0.0
            for a in range(m):
                for b in range(m):
                    value += c[a] * c[b] * e[i + 1, a, j + 1, b]
            value *= 2.0
            for a in range(q):
                value += mixed[a, i] * moved[a, j]
            hessian[j, i] = value / squares - slope[i] * slope[j] / (squares * squares)
    for j in range(p):
        for i in range(p):
            probe[i] = phi[i]
        probe[j] += _STEP * 1j
        _determinant_gradient(probe, complex_levels, pull)
        gradient[j] = slope[j] / squares - pull[j].real / n
        for i in range(j, p):
            hessian[i, j] -= pull[i].imag / (_STEP * n)
