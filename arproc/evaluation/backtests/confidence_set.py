"""The models that can not be told from the best: the model confidence set."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from arproc.contract.randomness import resolve_seed
from arproc.errors import DataError, check_count, check_number
from arproc.evaluation.backtests.losses import per_origin
from arproc.evaluation.backtests.significance import overlap

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["model_confidence_set"]


def model_confidence_set(
    tables: Mapping[str, pd.DataFrame],
    *,
    loss: str = "squared",
    step: int | None = None,
    level: float = 0.1,
    n_bootstrap: int = 1000,
    block: int | None = None,
    seed: int | None = None,
) -> pd.DataFrame:
    """The set of models that holds the best with a chance of 1 - level.

    As long as the hypothesis that all models left are as good is rejected, the worst of them goes.
    The statistic is T_max, the largest of the t-statistics of each model's mean loss less the mean
    of all left; its law and the variances come from a circular block bootstrap of the origins
    (Hansen, Lunde and Nason 2011, The model confidence set, section 3.1.2). A model's p-value is
    the largest of the tests up to the one that it went by, that of the last one 1.

    Args:
        tables: what `backtest` gives, by name, of the same data, origins and horizon.
        loss: "squared", "absolute", "crps" or "log" (the negative log score).
        step: of this step of the horizon alone.
        level: models with a p-value of this or more are in the set.
        n_bootstrap: how many samples of origins.
        block: how many successive origins are drawn together; as many as dependence spans. By
            default the overlap of the forecasts, and no less than the cube root of the number of
            origins.
        seed: of the bootstrap.

    Returns:
        A row for each model, best first: its mean loss, `p_value`, and `in_set`.

    Example:
        >>> import arproc
        >>> x = arproc.AR.from_parameters([0.9]).sample(1, length=300, seed=0)[0]
        >>> options = {"start": 100, "refit": "once"}
        >>> tables = {f"AR({p})": arproc.backtest(arproc.AR(p), x, **options) for p in (0, 1)}
        >>> model_confidence_set(tables, seed=0)["in_set"].sort_index().tolist()
        [False, True]
    """
    import pandas as pd

    check_number("level", level, above=0, below=1)
    n_bootstrap = check_count("n_bootstrap", n_bootstrap, minimum=100)
    wide = per_origin(tables, loss, step)
    values, n = wide.to_numpy(dtype=float), len(wide)
    if not np.isfinite(values).all():
        raise DataError("a loss is infinite: a model held what came impossible. Use another loss.")
    if block is None:
        block = max(overlap(tables, step), int(np.ceil(n ** (1 / 3))))
    block = check_count("block", block, minimum=1)
    if n < 2 * block:
        raise DataError(
            f"there are {n} origins; expected at least {2 * block}, two blocks of {block}."
        )
    drawn = _bootstrap_means(values, block, n_bootstrap, resolve_seed(seed))
    p_values = dict(zip(wide.columns, _eliminate(values.mean(axis=0), drawn), strict=True))
    means = wide.mean().sort_values(kind="stable")
    found = pd.DataFrame({f"{loss}_loss": means, "p_value": pd.Series(p_values)[means.index]})
    found["in_set"] = found["p_value"] >= level
    found.index.name = "model"
    found.attrs = {"level": level, "block": block, "n_origins": n, "n_bootstrap": n_bootstrap}
    return found


def _bootstrap_means(values: np.ndarray, block: int, count: int, seed: int) -> np.ndarray:
    """Means of bootstrap samples of the rows, of circular blocks, [count, models]."""
    n = len(values)
    pieces = -(-n // block)
    starts = np.random.default_rng(seed).integers(0, n, size=(count, pieces))
    counts = np.zeros((count, n))
    row = np.arange(count)[:, None]
    for ahead in range(block):
        kept = starts if ahead < n - (pieces - 1) * block else starts[:, :-1]
        np.add.at(counts, (row, (kept + ahead) % n), 1)
    return counts @ values / n


def _eliminate(means: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """The p-value of each model, [models]."""
    left, p_values, so_far = list(range(len(means))), np.ones(len(means)), 0.0
    while len(left) > 1:
        relative = means[left] - means[left].mean()
        moved = drawn[:, left] - drawn[:, left].mean(axis=1, keepdims=True) - relative
        deviation = np.sqrt((moved**2).mean(axis=0))
        # a difference that is the same at every origin is none of chance, unless it is none
        tiny = 1e-12 * np.abs(means[left]).max()
        varies = deviation > tiny
        safe = np.where(varies, deviation, 1.0)
        certain = np.where(relative > tiny, np.inf, np.where(relative < -tiny, -np.inf, 0.0))
        t = np.where(varies, relative / safe, certain)
        most = np.where(varies, moved / safe, 0.0).max(axis=1)
        so_far = max(so_far, float((most >= t.max()).mean()))
        worst = left[int(t.argmax())]
        p_values[worst] = so_far
        left.remove(worst)
    return p_values
