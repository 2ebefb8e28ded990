"""BFGS for many small problems at once, each with iterations of its own."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

__all__ = ["minimise"]

_MOST_STEPS = 300
_ENOUGH = 1e-11  # the descent that is left
_LEAST = 1e-11  # the length of a step that is not worth a try
_FLAT = 1e-3  # against the mean of a Hessian's diagonal, what is added to it
_NEAR = 0.1  # of where another search ended, where this one is given up

Function = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray, np.ndarray]]


def minimise(
    function: Function,
    start: np.ndarray,
    far: float,
    other: tuple[np.ndarray, np.ndarray] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """The minima of n functions of k numbers, and their values there.

    Args:
        function: values [m], gradients [m, k] and about the Hessians [m, k, k] at points [m, k]
            of the functions with the numbers [m]; values are infinite where there is none.
        start: [n, k].
        far: no number's modulus goes beyond it.
        other: where earlier searches ended, [n, k], and the values there; a search that would
            come near from above is given up.

    Example:
        >>> def bowls(x, rows):
        ...     away = x - rows[:, None]
        ...     return (away**2).sum(1), 2 * away, np.tile(2 * np.eye(2), (len(x), 1, 1))
        >>> minimise(bowls, np.zeros((3, 2)), 10.0)[0].round(6).tolist()
        [[0.0, 0.0], [1.0, 1.0], [2.0, 2.0]]
    """
    n, z = len(start), start.copy()
    value, gradient, bend = function(z, np.arange(n))
    inverse = _inverse(bend)
    direction, promised = _directed(inverse, gradient)
    step, fresh = np.ones(n), np.ones(n, dtype=bool)
    rows = np.flatnonzero(np.isfinite(value) & (promised > _ENOUGH))
    for _ in range(_MOST_STEPS):
        if not len(rows):
            break
        longest = np.abs(direction[rows]).max(axis=1)
        length = step[rows] * np.minimum(1.0, 1.0 / longest)
        trial = np.clip(z[rows] + length[:, None] * direction[rows], -far, far)
        if other is not None:
            away = np.abs(trial - other[0][rows]).max(axis=1) >= _NEAR
            away |= value[rows] < other[1][rows]
            rows, trial, length, longest = rows[away], trial[away], length[away], longest[away]
        after, turned, bent = function(trial, rows)
        good = after <= value[rows] - 1e-4 * length * promised[rows]
        taken, left = rows[good], rows[~good]
        change, turn = trial[good] - z[taken], turned[good] - gradient[taken]
        learnt = _learn(inverse, taken, change, turn)
        fresh[learnt] = False
        z[taken], value[taken], gradient[taken] = trial[good], after[good], turned[good]
        bend[taken] = bent[good]
        direction[taken], promised[taken] = _directed(inverse[taken], gradient[taken])
        step[taken] = 1.0
        step[left] *= 0.4
        over = np.zeros(n, dtype=bool)  # the search goes no further this way
        over[taken] = ~(promised[taken] > _ENOUGH)
        over[left] = ~(length[~good] * longest[~good] > _LEAST)
        again = over & ~fresh  # once more with what is known here, to be sure
        if again.any():
            inverse[again], fresh[again], step[again] = _inverse(bend[again]), True, 1.0
            direction[again], promised[again] = _directed(inverse[again], gradient[again])
            over = (over & ~again) | (again & ~(promised > _ENOUGH))
        rows = rows[~over[rows]]
    return z, value


def _inverse(bend: np.ndarray) -> np.ndarray:
    """Inverse Hessians, one direction of which is not much flatter than another, [n, k, k]."""
    bend = np.where(np.isfinite(bend), bend, 0.0)
    k = bend.shape[1]
    size = np.trace(bend, axis1=1, axis2=2) / max(k, 1)
    size[~(size > _FLAT)] = 1.0
    return np.linalg.inv(bend + _FLAT * size[:, None, None] * np.eye(k))


def _directed(inverse: np.ndarray, gradient: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where to go, and the descent that is promised; nowhere where a gradient is not finite."""
    gradient = np.where(np.isfinite(gradient), gradient, 0.0)
    direction = -(inverse @ gradient[..., None])[..., 0]
    return direction, -(direction * gradient).sum(axis=1)


def _learn(
    inverse: np.ndarray, rows: np.ndarray, change: np.ndarray, turn: np.ndarray
) -> np.ndarray:
    """The BFGS updates of the inverse Hessians of `rows`, in place; gives the rows that had one.

    A function must bend upwards between the two points.
    """
    bend, span = (change * turn).sum(axis=1), (turn * turn).sum(axis=1)
    some = bend > 1e-14 * span
    rows, change, turn, bend = rows[some], change[some], turn[some], bend[some]
    own = inverse[rows]
    load = (own @ turn[..., None])[..., 0]
    size = (1 + (load * turn).sum(axis=1) / bend) / bend
    own += size[:, None, None] * change[:, :, None] * change[:, None, :]
    cross = load[:, :, None] * change[:, None, :] / bend[:, None, None]
    inverse[rows] = own - cross - np.swapaxes(cross, 1, 2)
    return rows
