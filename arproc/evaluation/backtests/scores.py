"""What a backtest shows of one model: scores by horizon, and how stable its forecasts are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from arproc.errors import ParameterError, check_choice, check_table
from arproc.evaluation.backtests.losses import losses
from arproc.evaluation.standard_errors import of_series

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["backtest_scores", "flip_flop"]


def backtest_scores(table: pd.DataFrame, by: str | None = "step") -> pd.DataFrame:
    """The scores of a backtest, by horizon or otherwise.

    Standard errors are those of the mean over origins, which depend on each other
    (`standard_errors.of_series`): the series of one origin are no independent draws. They are NaN
    where there is but one origin.

    Args:
        table: what `backtest` gives.
        by: "step", "series", "origin", "component", another column of yours; None for all at once.

    Returns:
        A row for each step (series ...): `n`, how many values came; `bias`, the mean of
        actual - mean; `mse` and `rmse` of the mean; `mae` of the median; `crps`, from the
        quantiles; `log_score`, nats, higher is better; `coverage`, the share of values within the
        widest pair of quantiles that lie as far from both ends, `nominal`, what it should be, and
        `width`, their mean distance. `se_<score>` is the standard error. What needs a median or a
        pair of quantiles that the table has not is left out.

    Example:
        >>> import arproc
        >>> x = np.random.default_rng(0).normal(size=300)
        >>> table = arproc.backtest(arproc.AR(0), x, horizon=2, start=100, refit="once")
        >>> backtest_scores(table).loc[1, ["n", "coverage", "nominal"]].tolist()
        [199.0, 0.91, 0.9]
    """
    import pandas as pd

    check_table("table", table, ("series", "origin", "step", "actual", "mean", "log_score"))
    if by is not None:
        check_choice("by", by, tuple(name for name in table.columns if isinstance(name, str)))
    terms = _terms(table)
    groups = (
        [("all", slice(None))] if by is None else table.groupby(by, sort=False).indices.items()
    )
    rows = {key: _row(terms.iloc[where], table["origin"].iloc[where]) for key, where in groups}
    found = pd.DataFrame.from_dict(rows, orient="index").rename_axis(by)
    pair = _middle(table)[1]
    if pair is not None:
        found["nominal"] = pair[1] - pair[0]
    return found if by != "step" else found.sort_index()


def _middle(table: pd.DataFrame) -> tuple[bool, tuple[float, float] | None]:
    """Whether there is a median; and the widest pair of quantiles as far from both ends."""
    columns: list[Any] = list(table.columns)
    levels = sorted(name for name in columns if isinstance(name, float))
    for low in levels:
        high = next((q for q in levels if abs(low + q - 1) < 1e-9), None)
        if high is not None and high > low:
            return 0.5 in levels, (low, high)
    return 0.5 in levels, None


def _terms(table: pd.DataFrame) -> pd.DataFrame:
    """Each row's contribution to the scores."""
    y = table["actual"]
    median, pair = _middle(table)
    terms: dict[str, Any] = {"bias": y - table["mean"], "mse": losses(table, "squared")}
    if median:
        terms["mae"] = losses(table, "absolute")
    if any(isinstance(name, float) for name in table.columns):
        terms["crps"] = losses(table, "crps")
    terms["log_score"] = table["log_score"]
    if pair is not None:
        low, high = table[pair[0]], table[pair[1]]
        inside = ((y >= low) & (y <= high)).astype(float)
        terms["coverage"] = inside.where(y.notna() & low.notna())
        terms["width"] = (high - low).where(y.notna())
    import pandas as pd

    return pd.DataFrame({name: np.asarray(x, dtype=float) for name, x in terms.items()})


def _row(terms: pd.DataFrame, origins: pd.Series) -> dict[str, float]:
    by_origin = terms.groupby(origins.to_numpy(), sort=True).mean()
    row: dict[str, float] = {"n": int(terms["bias"].notna().sum())}
    for name in terms.columns:
        row[name] = float(terms[name].mean())
        row[f"se_{name}"] = of_series(by_origin[name].dropna().to_numpy()).se
        if name == "mse":
            row["rmse"] = float(np.sqrt(row["mse"]))
    return row


def flip_flop(table: pd.DataFrame) -> pd.DataFrame:
    """How much successive forecasts of the same moment go to and fro.

    Of the forecasts f_1 ... f_n of one moment from successive origins, the index is

        (sum_i |f_(i+1) - f_i| - (max f - min f)) / (n - 2),

    in the unit of the data: 0 where they only ever move one way, whatever the distance, and large
    where they are taken back. It says nothing of how good they are (Griffiths, Foley, Ioannou and
    Leeuwenburg 2019, Flip-flop index: quantifying revision stability for fixed-event forecasts).

    Args:
        table: what `backtest` gives, with a step between origins of at most a third of the
            horizon, so that a moment has three forecasts.

    Returns:
        A row for each series: `flip_flop`, the mean index over its moments; `revision`, the mean
        of |f_(i+1) - f_i|; `n_moments`. The forecasts are the means; moments with fewer than three
        forecasts are left out.

    Example:
        >>> import pandas as pd
        >>> one = pd.DataFrame({"series": "a", "origin": [1, 2, 3], "step": [3, 2, 1], "time": 4,
        ...                     "mean": [5.0, 7.0, 6.0]})
        >>> flip_flop(one)["flip_flop"].tolist()
        [1.0]
    """
    import pandas as pd

    check_table("table", table, ("series", "origin", "step", "time", "mean"))
    parts = ["series"] + ["component"] * ("component" in table.columns)
    kept = table[table["mean"].notna()].sort_values("step", ascending=False, kind="stable")
    groups = kept.groupby([*parts, "time"], sort=False)["mean"]
    moved = groups.diff().abs()
    found = pd.DataFrame({"n": groups.size(), "range": groups.max() - groups.min()})
    found["path"] = moved.groupby([kept[name] for name in [*parts, "time"]], sort=False).sum()
    found = found[found["n"] >= 3]
    if not len(found):
        raise ParameterError(
            "no moment has three forecasts, between which there could be turns; backtest with a "
            "step of at most a third of the horizon."
        )
    found["flip_flop"] = ((found["path"] - found["range"]) / (found["n"] - 2)).clip(lower=0)
    by = found.groupby(level=list(range(len(parts))), sort=False)
    return pd.DataFrame(
        {
            "flip_flop": by["flip_flop"].mean(),
            "revision": by["path"].sum() / (by["n"].sum() - by.size()),
            "n_moments": by.size(),
        }
    )
