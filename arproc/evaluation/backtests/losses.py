"""The loss of each forecast of a backtest: lower is better."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from arproc.errors import DataError, ParameterError, check_choice, check_integer, check_table
from arproc.evaluation.forecast_scores import crps_quantiles

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["LOSSES", "keys_of", "losses", "per_origin"]

#: By name; "log" is the negative log score, nats.
LOSSES = ("squared", "absolute", "crps", "log")

_COLUMNS = ("series", "origin", "step", "time", "actual", "mean", "log_score")


def losses(table: pd.DataFrame, loss: str) -> np.ndarray:
    """The loss of each row, [rows]; NaN where nothing came.

    Args:
        table: what `backtest` gives.
        loss: "squared", of the mean; "absolute", of the median (the best forecast under it);
            "crps", from the quantiles, so approximately (see `crps_quantiles`); "log", -log p.
    """
    check_table("table", table, _COLUMNS)
    check_choice("loss", loss, LOSSES)
    y = table["actual"].to_numpy(dtype=float)
    if loss == "squared":
        return (y - table["mean"].to_numpy(dtype=float)) ** 2
    if loss == "log":
        return -table["log_score"].to_numpy(dtype=float)
    if loss == "absolute":
        if 0.5 not in table.columns:
            raise DataError(
                "table has no median, of which absolute errors are taken; backtest with 0.5 among "
                "the quantiles."
            )
        return np.abs(y - table[0.5].to_numpy(dtype=float))
    return crps_quantiles(table.reset_index(drop=True), y)


def keys_of(table: pd.DataFrame) -> list[str]:
    """The columns that say which forecast a row is."""
    return ["series", "origin", "step"] + ["component"] * ("component" in table.columns)


def per_origin(models: Any, loss: str, step: int | None) -> pd.DataFrame:
    """The mean loss of each origin under each model, over all its series and steps.

    The series of one origin share its surprises, and so do its steps: the origins are the draws.

    Args:
        models: backtests by name, of the same forecasts.
        loss: see `losses`.
        step: of this step alone; of all, by default.

    Returns:
        A row for each origin, in time, and a column for each model.

    Raises:
        DataError: they are of other series, origins, steps or values; or forecasts are lacking.
    """
    import pandas as pd

    if not hasattr(models, "items") or not hasattr(models, "values") or len(models) < 2:
        raise ParameterError(
            "models must be a dict of at least two backtests by name; got a "
            f"{type(models).__name__}."
        )
    columns, base, first = {}, None, next(iter(models))
    for name, table in models.items():
        check_table(f"the backtest {name!r}", table, _COLUMNS)
        rows = table.assign(loss=losses(table, loss)).set_index(keys_of(table))
        base = rows if base is None else base
        _check_alike(base, rows, first, name)
        rows = rows.loc[base.index]
        lacking = rows["loss"].isna() & base["actual"].notna()
        if lacking.any():
            raise DataError(
                f"{int(lacking.sum())} forecasts of {name!r} have no {loss} loss, the first of "
                f"{rows.index[lacking.to_numpy()][0]}; choose another loss, or leave those series "
                "out of all."
            )
        columns[name] = rows["loss"].to_numpy()
    assert base is not None
    wide = pd.DataFrame(columns, index=base.index).reset_index()
    if step is not None:
        wide = wide[wide["step"] == check_integer("step", step)]
        if not len(wide):
            raise ParameterError(f"step must be one of the backtests'; got {step!r}.")
    kept = wide.dropna(subset=list(columns))
    return kept.groupby("origin", sort=True)[list(columns)].mean()


def _check_alike(base: pd.DataFrame, rows: pd.DataFrame, first: Any, name: Any) -> None:
    """Raise `DataError` unless two backtests are of the same forecasts."""
    if rows.index.has_duplicates:
        raise DataError(f"the backtest {name!r} has two rows for {rows.index[0]}.")
    if len(rows) != len(base) or not rows.index.isin(base.index).all():
        raise DataError(
            f"the backtests {first!r} and {name!r} are not of the same series, origins and steps: "
            f"{len(base)} and {len(rows)} forecasts, {int(rows.index.isin(base.index).sum())} in "
            "both. Run both with the same horizon, step and start."
        )
    if not np.array_equal(base["actual"], rows.loc[base.index, "actual"], equal_nan=True):
        raise DataError(f"the backtests {first!r} and {name!r} are of other values (actual).")
