"""Proper scores of forecasts in any form: quantiles, intervals, probabilities, sample paths.

Lower is better. Each is the smaller on average the nearer the forecast is to the truth (Gneiting
and Raftery 2007, "Strictly proper scoring rules, prediction, and estimation"). Forecasts and what
came are broadcast against each other as NumPy does; where nothing came (NaN) the score is NaN.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from arproc.data.labels import require_same_labels
from arproc.errors import DataError, check_array, check_number

__all__ = [
    "brier_score",
    "energy_score",
    "interval_score",
    "pinball_loss",
    "variogram_score",
]

#: How many numbers are held at once.
_NUMBERS = 2**23


def pinball_loss(forecast: Any, actual: Any, level: Any) -> Any:
    """The loss of a quantile: level (y - q) above it, (1 - level) (q - y) below.

    Args:
        forecast: quantiles, [...].
        actual: what came, [...].
        level: whose quantiles they are, in (0, 1): one for all, or [...].

    Returns:
        The losses [...]; a float for single numbers.

    Example:
        >>> pinball_loss([1.0, 1.0], [3.0, 0.0], 0.9).tolist()
        [1.8, 0.1]
    """
    require_same_labels(forecast=forecast, actual=actual, level=level)
    q, y = check_array("forecast", forecast, DataError), check_array("actual", actual, DataError)
    levels = check_array("level", level)
    if not ((levels > 0) & (levels < 1)).all():
        raise DataError(f"level must lie in (0, 1); got {level!r}.")
    q, y, levels = _together(("forecast", q), ("actual", y), ("level", levels))
    return _plain(np.where(y >= q, levels, levels - 1) * (y - q))


def interval_score(lower: Any, upper: Any, actual: Any, level: float) -> Any:
    """The score of central intervals: their width, and 2 / (1 - level) by how far y lies outside.

    Args:
        lower: the lower ends, [...].
        upper: the upper ends, [...].
        actual: what came, [...].
        level: the intervals' probability, in (0, 1).

    Returns:
        The scores [...]; a float for single numbers.

    Example:
        >>> interval_score(0.0, 2.0, [1.0, 3.0], 0.5).tolist()
        [2.0, 6.0]
    """
    level = check_number("level", level, above=0, below=1)
    given = (("lower", lower), ("upper", upper), ("actual", actual))
    require_same_labels(**dict(given))
    low, high, y = _together(*((name, check_array(name, x, DataError)) for name, x in given))
    if (low > high).any():
        raise DataError("lower must not be above upper; some are.")
    missed = np.maximum(low - y, 0.0) + np.maximum(y - high, 0.0)
    return _plain(high - low + 2 / (1 - level) * missed)


def brier_score(probabilities: Any, outcomes: Any) -> Any:
    """The squared error of probabilities.

    Args:
        probabilities: of an event, [...]; or of K classes, [..., K], each row adding up to one.
        outcomes: whether it happened, 0 or 1, [...]; or the classes that came, whole numbers from
            0 on with one axis less than the probabilities.

    Returns:
        The scores [...]: of an event in [0, 1], of classes the sum over these, in [0, 2].

    Example:
        >>> brier_score([0.8, 0.5], [1, 0]).round(2).tolist()
        [0.04, 0.25]
        >>> brier_score([[0.5, 0.25, 0.25]], [0]).tolist()
        [0.375]
    """
    require_same_labels(probabilities=probabilities, outcomes=outcomes)
    p = check_array("probabilities", probabilities, DataError)
    y = check_array("outcomes", outcomes, DataError)
    known = p[~np.isnan(p)]
    if not ((known >= 0) & (known <= 1)).all():
        raise DataError("probabilities must lie in [0, 1]; some do not.")
    if p.ndim == y.ndim + 1:
        return _plain(_of_classes(p, y))
    p, y = _together(("probabilities", p), ("outcomes", y))
    if not np.isin(y[~np.isnan(y)], (0, 1)).all():
        raise DataError("outcomes must be 0 (it did not happen) or 1 (it did); some are not.")
    return _plain((p - y) ** 2)


def _of_classes(p: np.ndarray, y: np.ndarray) -> np.ndarray:
    k = p.shape[-1]
    if p.shape[:-1] != y.shape:
        raise DataError(
            f"probabilities have shape {p.shape} and outcomes {y.shape}; expected a class for "
            "each row of probabilities."
        )
    if not np.allclose(p.sum(-1)[~np.isnan(p).any(-1)], 1.0, atol=1e-6):
        raise DataError("probabilities of classes must add up to one along the last axis.")
    known = ~np.isnan(y)
    if not (np.isin(y[known], np.arange(k))).all():
        raise DataError(f"outcomes must be classes, whole numbers from 0 to {k - 1}.")
    came = np.arange(k) == np.where(known, y, 0)[..., None]
    return np.where(known, ((p - came) ** 2).sum(-1), np.nan)


def energy_score(paths: Any, actual: Any, *, weights: Any = None) -> float:
    """The energy score of joint forecasts: the CRPS of vectors.

    sum_i w_i |x_i - y| - 1/2 sum_ij w_i w_j |x_i - x_j| (Gneiting and Raftery 2007, eq. 22);
    without weights the second sum is over unlike pairs, w_i w_j = 1 / (M (M - 1)), which makes the
    score unbiased for that of the law that paths are drawn from. It sees levels and spreads well
    and dependence between steps hardly: `variogram_score` is for that.

    Args:
        paths: draws [M, ...] of what is to come, such as `model.sample(M, length=T,
            prefix=history)`; two or more.
        actual: what came, [...]; steps without (NaN) are left out, as in all paths.
        weights: how much each path counts, [M], as those of particles; equal by default.

    Example:
        >>> energy_score([[0.0, 0.0], [3.0, 4.0]], [0.0, 0.0])
        0.0
    """
    x, y, w = _paths(paths, actual, weights)
    far = np.sqrt(((x - y) ** 2).sum(1)) @ (np.full(len(x), 1 / len(x)) if w is None else w)
    spread, m = 0.0, len(x)
    step = max(1, _NUMBERS // (m * x.shape[1]))
    own = np.full(m, 1 / np.sqrt(m * (m - 1))) if w is None else w
    for begin in range(0, m, step):
        part = x[begin : begin + step]
        apart = np.sqrt(((part[:, None] - x) ** 2).sum(-1))
        spread += float(own[begin : begin + step] @ apart @ own)
    return float(far - spread / 2)


def variogram_score(
    paths: Any, actual: Any, *, power: float = 0.5, pair_weights: Any = None, weights: Any = None
) -> float:
    """The variogram score of joint forecasts: whether steps (or components) move together.

    sum_ij v_ij (|y_i - y_j|^p - E|X_i - X_j|^p)^2 (Scheuerer and Hamill 2015). It is blind to a
    level that is wrong everywhere, so it stands beside another score.

    Args:
        paths: draws [M, ...] of what is to come.
        actual: what came, [...]; steps without (NaN) are left out, as in all paths.
        power: p.
        pair_weights: v, [d, d] for d numbers in `actual`; ones by default.
        weights: how much each path counts, [M], as those of particles; equal by default.

    Example:
        >>> variogram_score([[0.0, 1.0], [1.0, 0.0]], [5.0, 6.0])
        0.0
    """
    power = check_number("power", power, above=0)
    size = check_array("actual", actual, DataError).size
    v = (
        np.ones((size, size))
        if pair_weights is None
        else check_array("pair_weights", pair_weights)
    )
    if v.shape != (size, size) or not (v >= 0).all():
        raise DataError(
            f"pair_weights has shape {v.shape}; expected [{size}, {size}], none below 0."
        )
    known = ~np.isnan(check_array("actual", actual, DataError).ravel())
    v = v[np.ix_(known, known)]
    x, y, w = _paths(paths, actual, weights)
    w = np.full(len(x), 1 / len(x)) if w is None else w
    total = 0.0
    for i in range(len(y)):
        expected = w @ (np.abs(x[:, i, None] - x) ** power)
        total += float(v[i] @ (np.abs(y[i] - y) ** power - expected) ** 2)
    return total


def _paths(
    paths: Any, actual: Any, weights: Any
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Paths [M, d] and what came [d], where something came; and weights that add up to one."""
    x, y = check_array("paths", paths, DataError), check_array("actual", actual, DataError)
    if x.ndim < 2 or len(x) < 2 or x.shape[1:] != y.shape:
        raise DataError(
            f"paths has shape {x.shape} and actual {y.shape}; expected [M, ...] with at least 2 "
            "paths of what came, [...]."
        )
    x, y = x.reshape(len(x), -1), y.ravel()
    known = ~np.isnan(y)
    if not known.any():
        raise DataError("actual has nothing that came; expected a number at least.")
    x, y = x[:, known], y[known]
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise DataError("paths and actual must be finite numbers; some are not.")
    return x, y, path_weights(weights, len(x))


def path_weights(weights: Any, count: int) -> np.ndarray | None:
    """Weights of paths that add up to one, [count]; None where they are equal."""
    if weights is None:
        return None
    w = check_array("weights", weights, DataError)
    sound = w.shape == (count,) and np.isfinite(w).all() and (w >= 0).all() and w.sum() > 0
    if not sound:
        raise DataError(
            f"weights has shape {w.shape}; expected [{count}], one for each path, none below 0, "
            "not all 0."
        )
    return np.asarray(w / w.sum())


def _together(*named: tuple[str, np.ndarray]) -> list[np.ndarray]:
    try:
        return [np.array(x) for x in np.broadcast_arrays(*(x for _, x in named))]
    except ValueError:
        shapes = ", ".join(f"{name} {list(x.shape)}" for name, x in named)
        raise DataError(f"these have shapes that do not go together: {shapes}.") from None


def _plain(value: np.ndarray) -> Any:
    return float(value) if value.ndim == 0 else value
