"""Compiled loops of the Kalman filter. Importing this module imports numba.

What the filter does to variances depends on which elements are there, not on their values; so the
gains are computed once for a pattern (`gains`), and the means of any number of rows run through
them (`run`, `draw`). Arrays are float64 and C-contiguous; see `representation` for the state.
"""

from __future__ import annotations

import numpy as np

from arproc.compiled.arrays import put, put_table
from arproc.compiled.jit import jit
from arproc.gaussian.representation import NOTHING

__all__ = ["complete", "draw", "gains", "known", "load_of", "run", "step"]

_SETTLED = 1e-14  # by how little, against its largest number, a settled covariance still moves


@jit
def _transition(p: np.ndarray, out: np.ndarray, delta: np.ndarray, phi: np.ndarray) -> None:
    """Write (T p)' into out: the transition applied to the columns of p [k, k], transposed."""
    m, k = len(delta), p.shape[0]
    for c in range(k):
        if m:
            total = p[m, c]
            for j in range(m):
                if delta[j] != 0.0:
                    total += delta[j] * p[j, c]
            out[c, 0] = total
            for j in range(1, m):
                out[c, j] = p[j - 1, c]
        head = p[m, c]
        for i in range(m, k - 1):
            out[c, i] = phi[i - m] * head + p[i + 1, c]
        out[c, k - 1] = phi[k - 1 - m] * head


@jit
def load_of(p: np.ndarray, out: np.ndarray, delta: np.ndarray) -> float:
    """Write p z, the covariance of state and element [k], into out; gives z' p z, its variance."""
    m, k = len(delta), p.shape[0]
    for i in range(k):
        total = p[i, m]
        for j in range(m):
            if delta[j] != 0.0:
                total += p[i, j] * delta[j]
        out[i] = total
    total = out[m]
    for j in range(m):
        total += delta[j] * out[j]
    return total


@jit
def step(
    p: np.ndarray, work: np.ndarray, delta: np.ndarray, phi: np.ndarray, noise: np.ndarray
) -> None:
    """The next covariance, T p T' + R R', in place."""
    _transition(p, work, delta, phi)
    _transition(work, p, delta, phi)
    m = len(delta)
    for i in range(len(phi)):
        for j in range(len(phi)):
            p[m + i, m + j] += noise[i] * noise[j]


@jit
def _move(gain: np.ndarray, delta: np.ndarray, phi: np.ndarray) -> None:
    """Turn a gain of this state [k] into one of the next, T gain, in place."""
    m, k = len(delta), len(gain)
    head, lead = gain[m], gain[m]
    for j in range(m):
        lead += delta[j] * gain[j]
    for j in range(m - 1, 0, -1):
        gain[j] = gain[j - 1]
    if m:
        gain[0] = lead
    for i in range(m, k - 1):
        gain[i] = phi[i - m] * head + gain[i + 1]
    gain[k - 1] = phi[k - 1 - m] * head


@jit
def _pin(
    p: np.ndarray,
    q: np.ndarray,
    g: np.ndarray,
    load: np.ndarray,
    load_inf: np.ndarray,
    f: float,
    f_inf: float,
) -> None:
    """An element whose variance is infinite pins down one direction of the state, in place."""
    k = len(g)
    for i in range(k):
        g[i] = load_inf[i] / f_inf
    for i in range(k):
        for j in range(k):
            p[i, j] += g[i] * g[j] * f - g[i] * load[j] - load[i] * g[j]
            q[i, j] -= load_inf[i] * g[j]


@jit
def _same(p: np.ndarray, old: np.ndarray) -> bool:
    top, moved = 0.0, 0.0
    for i in range(p.shape[0]):
        for j in range(p.shape[0]):
            top = max(top, abs(p[i, j]))
            moved = max(moved, abs(p[i, j] - old[i, j]))
    return moved <= _SETTLED * top


@jit
def known(
    p: np.ndarray, m: int, active: int, phi: np.ndarray, noise: np.ndarray, load: np.ndarray,
    gain: np.ndarray,
) -> bool:  # fmt: skip
    """An element is there, and all that the lags of the state hold: the next covariance, in place.

    Then the head of the ARMA part is known after it, and the covariance of the rest moves on by
    one place: nothing is multiplied by the transition.

    Args:
        p: the state's covariance, [m + r, m + r], of which but the ARMA part is 0.
        m: how many lags there are.
        active: how many of the ARMA part's rows may still move, at most r: row i moves no more
            after r - i steps, but for as many as the moving average has lags.
        phi: [r].
        noise: [r].
        load: room, [r].
        gain: result, [m + r].

    Returns:
        Whether the covariance stays what it was.
    """
    k = len(phi)
    top, moved, inverse = 0.0, 0.0, 1.0 / p[m, m]
    for i in range(k):
        load[i] = p[m + i, m]
    for i in range(k):
        gain[m + i] = phi[i] + load[i + 1] * inverse if i + 1 < k else phi[i]
    for i in range(active):
        share = load[i + 1] * inverse if i + 1 < k else 0.0
        for j in range(i + 1):
            value = noise[i] * noise[j]
            if i + 1 < k:
                value += p[m + i + 1, m + j + 1] - share * load[j + 1]
            moved = max(moved, abs(value - p[m + i, m + j]))
            p[m + i, m + j] = p[m + j, m + i] = value
        top = max(top, p[m + i, m + i])
    return moved <= _SETTLED * top


@jit
def gains(
    seen: np.ndarray,
    counts: np.ndarray,
    spread: np.ndarray,
    diffuse: np.ndarray,
    rank: np.ndarray,
    delta: np.ndarray,
    phi: np.ndarray,
    noise: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Gains and variances of the filter for patterns of what is there.

    The start is exact (Durbin and Koopman 2012, section 5.2): where an element's variance has an
    infinite part, the element only pins down a part of the state, whose rank falls by one.

    Args:
        seen: whether an element is there, bool [N, K].
        counts: how many of a row's elements count, int64 [N].
        spread: the finite part of the state's covariance, [N, k, k]; overwritten by what it is
            after the elements that count.
        diffuse: the infinite part, [N, k, k]; overwritten too.
        rank: its rank, int64 [N]; overwritten too.
        delta: [m]; see `Representation`.
        phi: [r].
        noise: [r].

    Returns:
        The gains [N, K, k] with which an innovation moves the next state, the elements' variances
        [N, K + 1] (infinite where they are not determined), and from which column on both have
        settled, [N] (K where they have not).
    """
    rows, steps = seen.shape
    m, k = len(delta), len(delta) + len(phi)
    gain, variance = np.empty((rows, steps, k)), np.empty((rows, steps + 1))
    settled = np.empty(rows, np.int64)
    p, q = np.empty((k, k)), np.empty((k, k))
    work, old = np.empty((k, k)), np.empty((k, k))
    load, load_inf = np.empty(k), np.empty(k)
    for n in range(rows):
        put_table(spread[n], p)
        put_table(diffuse[n], q)
        free, settled[n] = rank[n], steps
        steady, quiet = False, 0
        row = m if free == 0 and not p[:m].any() else 0  # how many elements in a row are known
        for t in range(steps + 1):
            if t == counts[n]:
                put_table(p, spread[n])
                put_table(q, diffuse[n])
                rank[n] = free
            if steady and (t == steps or seen[n, t]):
                variance[n, t] = variance[n, t - 1]
                if t < steps:
                    put(gain[n, t - 1], gain[n, t])
                continue
            steady = False
            settled[n] = steps
            if row >= m and free == 0 and t < steps and seen[n, t] and p[m, m] > 0.0:
                variance[n, t] = p[m, m]
                gain[n, t, :m] = 0.0
                if m:
                    gain[n, t, 0] = 1.0
                quiet = quiet + 1 if known(p, m, len(phi), phi, noise, load, gain[n, t]) else 0
                if quiet == len(phi):
                    steady = True
                    settled[n] = t
                continue
            f = load_of(p, load, delta)
            unknown = False
            if free:
                f_inf = load_of(q, load_inf, delta)
                top = 0.0
                for i in range(k):
                    top = max(top, q[i, i])
                unknown = f_inf > NOTHING * top
            variance[n, t] = np.inf if unknown else f
            if t == steps:
                break
            g = gain[n, t]
            g[:] = 0.0
            may_settle = free == 0 and seen[n, t]
            if may_settle:
                put_table(p, old)
            if seen[n, t] and unknown:
                _pin(p, q, g, load, load_inf, f, f_inf)
                free -= 1
                if free == 0:
                    q[:] = 0.0
            elif seen[n, t] and f > 0.0:
                for i in range(k):
                    g[i] = load[i] / f
                for i in range(k):
                    for j in range(k):
                        p[i, j] -= g[i] * load[j]
            _move(g, delta, phi)
            step(p, work, delta, phi, noise)
            if free:
                _transition(q, work, delta, phi)
                _transition(work, q, delta, phi)
            if seen[n, t] and len(delta):  # the newest lag is known, without rounding
                g[0] = 1.0
                for i in range(k):
                    p[0, i] = p[i, 0] = q[0, i] = q[i, 0] = 0.0
            row = row + 1 if seen[n, t] else 0
            # a seasonal process may stand still for less than a season
            quiet = quiet + 1 if may_settle and _same(p, old) else 0
            if quiet == len(phi):
                steady = True
                settled[n] = t
    return gain, variance, settled


def _complete(
    steps: int, p: np.ndarray, phi: np.ndarray, noise: np.ndarray
) -> tuple[np.ndarray, np.ndarray, int]:
    """`gains` of an ARMA process none of whose elements is missing.

    Args:
        steps: how many elements, K.
        p: the state's covariance before the first, [r, r]; overwritten by that after the last.
        phi: [r].
        noise: [r].

    Returns:
        Gains [K, r], variances [K + 1], and from which column on both have settled: what comes
        after that column is not filled in. It is K where they have not.
    """
    k, quiet, settled = len(phi), 0, steps
    gain, variance, load = np.empty((steps, k)), np.empty(steps + 1), np.empty(k)
    for t in range(steps):
        if quiet == k:  # a seasonal process may stand still for less than a season
            break
        variance[t] = p[0, 0]
        quiet = quiet + 1 if known(p, 0, k, phi, noise, load, gain[t]) else 0
        if quiet == k:
            settled = t
    variance[steps] = p[0, 0]
    return gain, variance, settled


def _plain_complete(
    steps: int, p: np.ndarray, phi: np.ndarray, noise: np.ndarray
) -> tuple[np.ndarray, np.ndarray, int]:
    if len(phi) < 5:  # where the loops are faster
        return _complete(steps, p, phi, noise)
    k, quiet, settled = len(phi), 0, steps
    gain, variance = np.zeros((steps, k)), np.empty(steps + 1)
    added = noise[:, None] * noise
    for t in range(steps):
        if quiet == k:
            break
        f, load, after = p[0, 0], p[1:, 0], added.copy()
        variance[t] = f
        share = load / f
        gain[t, : k - 1] = share
        after[: k - 1, : k - 1] += p[1:, 1:] - load[:, None] * share
        moved, top = abs(after[0, 0] - f), after.trace()
        if moved <= _SETTLED * top:  # else the whole has not settled either
            moved, top = np.abs(after - p).max(), after.diagonal().max()
        quiet = quiet + 1 if moved <= _SETTLED * top else 0
        p[:] = after
        if quiet == k:
            settled = t
    variance[steps] = p[0, 0]
    return gain + phi, variance, settled


complete = jit(_complete, plain=_plain_complete)


@jit
def run(
    y: np.ndarray,
    counts: np.ndarray,
    mean: np.ndarray,
    gain: np.ndarray,
    start: np.ndarray,
    delta: np.ndarray,
    phi: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Run the state's means along given elements.

    Args:
        y: elements less their level, nan where none is there, [N, K].
        counts: how many of a row's elements count, int64 [N].
        mean: the states before them, [N, k].
        gain: gains [S, k] for all rows, the last being that of all later ones; or [N, K, k].
        start: the row of `gain` that the first element takes, int64 [N].
        delta: [m].
        phi: [r].

    Returns:
        The elements' means given those before, [N, K + 1] (the last given all), and the states
        after the elements that count, [N, k].
    """
    rows, steps = y.shape
    m, k = len(delta), mean.shape[1]
    loc, after = np.empty((rows, steps + 1)), mean.copy()
    last = gain.shape[1] - 1
    state = np.empty(k)
    for n in range(rows):
        put(mean[n], state)
        table = gain[min(n, gain.shape[0] - 1)]
        for t in range(steps + 1):
            total = state[m]
            for j in range(m):
                if delta[j] != 0.0:
                    total += delta[j] * state[j]
            loc[n, t] = total
            if t == counts[n]:
                put(state, after[n])
            if t == steps:
                break
            rest = y[n, t] - total
            if np.isnan(rest):
                rest = 0.0
            _follow(state, total, rest, table[min(start[n] + t, last)], phi, m)
    return loc, after


@jit
def draw(
    z: np.ndarray,
    mean: np.ndarray,
    gain: np.ndarray,
    scale: np.ndarray,
    start: np.ndarray,
    delta: np.ndarray,
    phi: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Draw elements less their level from standard normal z [N, K]; see `run`.

    Args:
        z: standard normal draws.
        mean: the states before, [N, k].
        gain: [S, k].
        scale: the elements' standard deviations, [S].
        start: int64 [N].
        delta: [m].
        phi: [r].

    Returns:
        Elements [N, K], and the states after them [N, k].
    """
    rows, steps = z.shape
    m, last = len(delta), len(gain) - 1
    x, after = np.empty((rows, steps)), mean.copy()
    for n in range(rows):
        state = after[n]
        for t in range(steps):
            total = state[m]
            for j in range(m):
                if delta[j] != 0.0:
                    total += delta[j] * state[j]
            place = min(start[n] + t, last)
            rest = scale[place] * z[n, t]
            x[n, t] = total + rest
            _follow(state, total, rest, gain[place], phi, m)
    return x, after


@jit
def _follow(
    state: np.ndarray, total: float, rest: float, gain: np.ndarray, phi: np.ndarray, m: int
) -> None:
    """The state's mean after an element that was `rest` more than its mean `total`, in place."""
    k, head = len(state), state[m]
    for j in range(m - 1, 0, -1):
        state[j] = state[j - 1] + gain[j] * rest
    if m:
        state[0] = total + gain[0] * rest
    for i in range(m, k - 1):
        state[i] = phi[i - m] * head + state[i + 1] + gain[i] * rest
    state[k - 1] = phi[k - 1 - m] * head + gain[k - 1] * rest
