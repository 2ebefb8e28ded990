"""State spaces of ARMA processes, and how they begin, compiled. Importing this imports numba."""

from __future__ import annotations

import numpy as np

from arproc.compiled.jit import jit
from arproc.gaussian.small_kernels import autocovariances, step_down

__all__ = ["STEP", "expand", "spaces", "stationary_start"]

STEP = 1e-5  # of the differences that tell how a state space moves with z


@jit
def _raise(pacf: np.ndarray, begin: int, end: int, coef: np.ndarray) -> None:
    """The coefficients of the partial autocorrelations pacf[begin:end], into the same places."""
    for k in range(end - begin):
        r = pacf[begin + k]
        for i in range(k // 2):
            head, tail = coef[begin + i], coef[begin + k - 1 - i]
            coef[begin + i] = head - r * tail
            coef[begin + k - 1 - i] = tail - r * head
        if k % 2:
            coef[begin + k // 2] *= 1.0 - r
        coef[begin + k] = r


@jit
def _multiply(
    coef: np.ndarray, at: int, count: int, far: int, many: int, s: int, out: np.ndarray
) -> None:
    """-(1 - sum_i a_i B^i)(1 - sum_j b_j B^(s j)) but for its first 1, into out, padded with 0."""
    for i in range(len(out)):
        out[i] = 0.0
    for i in range(count):
        out[i] += coef[at + i]
    for j in range(many):
        out[s * (j + 1) - 1] += coef[far + j]
        for i in range(count):
            out[s * (j + 1) + i] -= coef[at + i] * coef[far + j]


@jit
def _coefficients(
    pacf: np.ndarray, blocks: np.ndarray, coef: np.ndarray, phi: np.ndarray, noise: np.ndarray
) -> None:
    """The state space of partial autocorrelations.

    Args:
        pacf: those of AR, MA, seasonal AR and seasonal MA polynomials, [k].
        blocks: how many each has, and the period, int64 [5].
        coef: where the polynomials' coefficients go, the moving average's with minus signs, [k].
        phi: see `Representation`, [r].
        noise: the same, [r].
    """
    begin = 0
    for b in range(4):
        _raise(pacf, begin, begin + blocks[b], coef)
        begin += blocks[b]
    expand(coef, blocks, phi, noise)


@jit
def expand(coef: np.ndarray, blocks: np.ndarray, phi: np.ndarray, noise: np.ndarray) -> None:
    """The polynomials multiplied out: phi and noise [r] of coefficients; see `_coefficients`."""
    p, q, seasonal_p, seasonal_q, s = blocks[0], blocks[1], blocks[2], blocks[3], blocks[4]
    _multiply(coef, 0, p, p + q, seasonal_p, s, phi)
    _multiply(coef, p, q, p + q + seasonal_p, seasonal_q, s, noise[1:])
    for i in range(1, len(noise)):
        noise[i] = -noise[i]
    noise[0] = 1.0


@jit
def stationary_start(
    phi: np.ndarray, noise: np.ndarray, n_phi: int, n_theta: int, room: np.ndarray, p: np.ndarray
) -> bool:
    """The stationary covariance of the ARMA state into p [r, r]; False where there is none.

    Its first row follows from the autocovariances, the others from the first.

    Args:
        phi: [r].
        noise: [r].
        n_phi: the order of the autoregression, multiplied out.
        n_theta: that of the moving average.
        room: is overwritten, [n_phi + 3, r + n_theta + 1].
        p: the result.
    """
    r = len(phi)
    if n_phi:
        levels = room[:n_phi, :n_phi]
        if not step_down(phi[:n_phi], levels) < 1.0:
            return False
        most = r + n_theta + 1
        c, gamma, psi = room[n_phi], room[n_phi + 1], room[n_phi + 2]
        autocovariances(levels, n_phi, 1.0, c)
        for h in range(n_phi, most):
            total = 0.0
            for i in range(n_phi):
                total += phi[i] * c[abs(h - 1 - i)]
            c[h] = total
        for h in range(r + 1):
            gamma[h] = 0.0
        for lag in range(n_theta + 1):
            both = 0.0
            for i in range(n_theta + 1 - lag):
                both += noise[i] * noise[i + lag]
            for h in range(r + 1):
                gamma[h] += both * c[abs(h - lag)]
                if lag:
                    gamma[h] += both * c[h + lag]
        for h in range(r):
            psi[h] = noise[h]
            for i in range(min(h, n_phi)):
                psi[h] += phi[i] * psi[h - 1 - i]
        p[0, 0] = gamma[0]
        for j in range(1, r):
            total = 0.0
            for i in range(j, r):
                total += phi[i] * gamma[i + 1 - j] + noise[i] * psi[i - j]
            p[0, j] = p[j, 0] = total
    for i in range(r - 1, -1 if n_phi == 0 else 0, -1):
        for j in range(i, -1 if n_phi == 0 else 0, -1):
            value = noise[i] * noise[j]
            if n_phi:
                value += phi[i] * phi[j] * p[0, 0]
                if j + 1 < r:
                    value += phi[i] * p[0, j + 1]
                if i + 1 < r:
                    value += phi[j] * p[0, i + 1]
            if i + 1 < r:
                value += p[i + 1, j + 1]
            p[i, j] = p[j, i] = value
    return True


@jit
def spaces(
    z: np.ndarray, blocks: np.ndarray, phis: np.ndarray, noises: np.ndarray, starts: np.ndarray
) -> bool:
    """The state spaces at z and, one after the other, a step more and less in each of its numbers.

    Args:
        z: [k].
        blocks: how many numbers each polynomial has, and the period, int64 [5].
        phis: result, [S, r]; as many of them as it has room for.
        noises: result, [S, r].
        starts: the stationary covariances, [S, r, r].

    Returns:
        Whether there is a stationary start at each.
    """
    k, r = len(z), phis.shape[1]
    n_phi, n_theta = blocks[0] + blocks[4] * blocks[2], blocks[1] + blocks[4] * blocks[3]
    coef, room = np.zeros(k), np.empty((n_phi + 3, r + n_theta + 1))
    base, found = np.tanh(z), True
    pacf = base.copy()
    for side in range(len(phis)):
        i = (side - 1) // 2
        if side:
            pacf[i] = np.tanh(z[i] + (STEP if side % 2 else -STEP))
        _coefficients(pacf, blocks, coef, phis[side], noises[side])
        found = found and stationary_start(
            phis[side], noises[side], n_phi, n_theta, room, starts[side]
        )
        if side:
            pacf[i] = base[i]
    return found
