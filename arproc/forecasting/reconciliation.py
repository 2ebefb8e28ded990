r"""Forecasts that must add up: totals and their parts, made to agree.

The m series are sums of b bottom ones, :math:`y = S \, y_{bottom}`. Forecasts :math:`\hat y` made
one by one do not add up; the reconciled ones are the nearest that do, in the metric of the
covariance W of the forecast errors:

.. math:: \tilde y = S (S^\top W^{-1} S)^{-1} S^\top W^{-1} \hat y
    = \hat y - W C^\top (C W C^\top)^{-1} C \hat y,

C being the constraints, :math:`C S = 0`. Unbiased forecasts stay unbiased, and W as it truly is
gives the least variance of all that do (Wickramasuriya, Athanasopoulos and Hyndman 2019, Optimal
forecast reconciliation for hierarchical and grouped time series through trace minimization, JASA
114). The map is linear, so sample paths are reconciled one by one, and each adds up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from arproc.data.calendar import is_plain
from arproc.data.frames import native
from arproc.errors import DataError, ParameterError, check_array, check_choice

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "METHODS",
    "in_order",
    "reconcile",
    "reconciliation_matrix",
    "shrunk_covariance",
    "summing_matrix",
]

#: The metrics in which forecasts are changed as little as makes them add up.
METHODS = ("ols", "wls", "mint-shrink", "bottom-up")


def reconcile(forecasts: Any, summing: Any, method: str = "ols", *, residuals: Any = None) -> Any:
    """Forecasts of all series of a hierarchy, changed as little as makes them add up.

    Args:
        forecasts: means [m] or [horizon, m], or joint sample paths [n_paths, horizon, m], the
            series in the order of the rows of `summing`; a Series with a row, or a DataFrame with
            a column, for each series by name; or the table of `forecast` (whose means are
            reconciled: quantiles do not add up, take sample paths for these) or of `sample_paths`
            for several series.
        summing: the summing matrix S [m, b] (a DataFrame's index names all series, its columns the
            bottom ones), or a dict from each total to its parts, as in {"all": ["north",
            "south"], "north": ["n1", "n2"]}; groups may cross.
        method: the metric. "ols": the plain distance; "wls": each series by the variance of its
            residuals; "mint-shrink": by their covariance, shrunk to its diagonal; "bottom-up":
            the forecasts of the bottom series are added up, all others are ignored.
        residuals: one-step-ahead errors of the forecasts [T, m], for "wls" and "mint-shrink";
            columns as for `forecasts`. Rows with a missing value are left out.

    Returns:
        The reconciled forecasts, as `forecasts` came.

    Example:
        >>> reconcile(np.array([10.0, 4.0, 3.0]), {0: [1, 2]}).tolist()
        [9.0, 5.0, 4.0]
    """
    check_choice("method", method, METHODS)
    forecasts, summing = native(forecasts, "forecasts"), native(summing, "summing")
    residuals = native(residuals, "residuals")
    values, names, restore = _read(forecasts)
    if names is None and hasattr(summing, "columns") and len(summing) == values.shape[-1]:
        names = list(summing.index)  # in whose order the forecasts are
    s, bottom = in_order(summing, names, values.shape[-1])
    errors = None if residuals is None else _errors(residuals, names, len(s))
    if errors is None and method in ("wls", "mint-shrink"):
        raise ParameterError(
            f"method {method!r} needs residuals=, the one-step-ahead errors [T, {len(s)}] of the "
            "forecasts; method='ols' needs none."
        )
    return restore(values @ reconciliation_matrix(s, method, errors, bottom).T)


def reconciliation_matrix(
    summing: np.ndarray,
    method: str,
    errors: np.ndarray | None = None,
    bottom: np.ndarray | None = None,
) -> np.ndarray:
    """The matrix [m, m] that takes forecasts to reconciled ones.

    Args:
        summing: S [m, b], with a row of the identity for each bottom series.
        method: see `reconcile`.
        errors: residuals [T, m], where the method needs some.
        bottom: which rows are the bottom series, [b]; by default the last that could be.
    """
    m, b = summing.shape
    bottom = _bottom_rows(summing) if bottom is None else bottom
    if method == "bottom-up":
        matrix = np.zeros((m, m))
        matrix[:, bottom] = summing
        return matrix
    upper = np.setdiff1d(np.arange(m), bottom)
    constraints = np.zeros((m - b, m))
    constraints[np.arange(m - b), upper] = 1.0
    constraints[:, bottom] -= summing[upper]
    if method == "ols":
        spread = np.eye(m)
    elif method == "wls":
        assert errors is not None
        spread = np.diag((errors**2).mean(axis=0))
    else:
        assert errors is not None
        spread = shrunk_covariance(errors)[0]
    # without the inverse of W, which need not exist
    pulled = spread @ constraints.T
    inner = constraints @ pulled
    size = np.sqrt(np.diag(inner))
    if not (size > 0).all():
        total = int(upper[np.argmin(size)])
        raise DataError(
            f"residuals of series {total} and of its parts are all 0, so their forecasts can not "
            "be weighed; use method='ols'."
        )
    scaled = np.linalg.lstsq(inner / np.outer(size, size), constraints / size[:, None], rcond=None)
    return np.eye(m) - (pulled / size) @ scaled[0]


def shrunk_covariance(errors: np.ndarray) -> tuple[np.ndarray, float]:
    """The covariance of errors [T, m] about 0, its correlations drawn towards 0, and by how much.

    The share is the one that Schaefer and Strimmer (2005), A shrinkage approach to large-scale
    covariance matrix estimation, section 2.4 estimate to be best.
    """
    n = len(errors)
    covariance = errors.T @ errors / n
    scale = np.sqrt(np.diag(covariance))
    unit = errors / np.where(scale > 0, scale, 1.0)
    correlation = unit.T @ unit / n
    noise = ((unit**2).T @ unit**2 - n * correlation**2) / (n * (n - 1))
    off = ~np.eye(errors.shape[1], dtype=bool)
    signal = float((correlation[off] ** 2).sum())
    share = min(max(float(noise[off].sum()) / signal, 0.0), 1.0) if signal > 0 else 1.0
    return np.where(off, (1 - share) * covariance, covariance), share


def summing_matrix(parts: Mapping[Any, Any], series: Any = None) -> pd.DataFrame:
    """The summing matrix of a hierarchy or of groups.

    Args:
        parts: from each total to the list of its parts, which may be totals themselves.
        series: the order of all series; by default the totals as they come, then the bottom ones.

    Returns:
        S [m, b]; its index names all series, its columns the bottom ones.

    Example:
        >>> summing_matrix({"all": ["a", "rest"], "rest": ["b", "c"]}).loc["all"].to_dict()
        {'a': 1.0, 'b': 1.0, 'c': 1.0}
    """
    import pandas as pd

    if not isinstance(parts, Mapping) or not parts:
        raise ParameterError(f"summing must be a matrix or a dict of parts; got {parts!r}.")
    listed = {name: _listed(name, inner) for name, inner in parts.items()}
    mentioned = [name for inner in listed.values() for name in inner]
    known = list(dict.fromkeys([*listed, *mentioned]))
    order = known if series is None else list(series)
    if set(order) != set(known) or len(order) != len(known):
        odd = sorted(set(order) ^ set(known), key=str)
        raise DataError(f"summing and the forecasts do not name the same series: {odd} differ.")
    bottom = [name for name in order if name not in listed]
    place = {name: j for j, name in enumerate(bottom)}
    rows: dict[Any, np.ndarray] = {}

    def row(name: Any, above: tuple[Any, ...]) -> np.ndarray:
        if name in above:
            raise ParameterError(f"summing makes {name!r} a part of itself.")
        if name not in rows:
            if name in place:
                rows[name] = np.eye(len(bottom))[place[name]]
            else:
                rows[name] = sum(
                    (row(inner, (*above, name)) for inner in listed[name]), np.zeros(len(bottom))
                )
        return rows[name]

    table = np.stack([row(name, ()) for name in order])
    return pd.DataFrame(table, index=order, columns=bottom)


def _listed(name: Any, inner: Any) -> list[Any]:
    if isinstance(inner, (str, bytes)) or not hasattr(inner, "__iter__") or not len(list(inner)):
        raise ParameterError(f"summing[{name!r}] must be a list of parts; got {inner!r}.")
    return list(inner)


def in_order(summing: Any, names: list[Any] | None, m: int) -> tuple[np.ndarray, np.ndarray]:
    """S [m, b] with its rows in the order of the forecasts' series, and the bottom ones' rows [b].

    The names of its columns tell these; a total of one part has a row like that of the part.
    """
    if isinstance(summing, Mapping):
        summing = summing_matrix(summing, list(range(m)) if names is None else names)
        names = list(summing.index)
    if names is not None and hasattr(summing, "columns"):
        odd = sorted(set(summing.index) ^ set(names), key=str)
        if odd or len(summing) != m:
            raise DataError(
                f"summing and the forecasts do not name the same series: {odd} differ."
            )
        summing = summing.loc[names]
    columns = list(getattr(summing, "columns", ()))
    try:
        s = check_array("summing", summing)
    except (TypeError, ValueError):
        s = np.zeros(0)
    if s.ndim != 2 or s.shape[0] != m or not 1 <= s.shape[1] <= m or not np.isfinite(s).all():
        raise DataError(
            f"summing has shape {s.shape}; expected finite numbers of shape ({m}, b), a row for "
            f"each of the {m} series of forecasts, or a dict of parts."
        )
    return s, _bottom_rows(s, names, columns)


def _bottom_rows(
    s: np.ndarray, names: Sequence[Any] | None = None, columns: Sequence[Any] = ()
) -> np.ndarray:
    """For each column of S the row that is its bottom series: the one of its name, or the last."""
    found = []
    place = {name: i for i, name in enumerate(names or ())}
    for j, unit in enumerate(np.eye(s.shape[1])):
        rows = np.flatnonzero((s == unit).all(axis=1))
        own = place.get(columns[j], -1) if len(columns) else -1
        if own in rows:
            rows = np.array([own])
        if not len(rows):
            raise DataError(
                f"summing has no row for the bottom series of column {j} (1 there, 0 elsewhere)."
            )
        found.append(int(rows[-1]))
    return np.array(found)


def _read(forecasts: Any) -> tuple[np.ndarray, list[Any] | None, Any]:
    """Forecasts as numbers [..., m], the series' names, and how results go back."""
    if hasattr(forecasts, "to_frame") and not is_plain(forecasts.index):
        values, names, restore = _read(forecasts.to_frame().T)
        return values, names, lambda x: restore(x).iloc[0].rename(forecasts.name)
    if not hasattr(forecasts, "columns"):
        values = _finite(forecasts, "forecasts")
        if not 1 <= values.ndim <= 3:
            raise DataError(
                f"forecasts has shape {values.shape}; expected [m], [horizon, m] or "
                "[n_paths, horizon, m]."
            )
        return values, None, lambda x: x
    import pandas as pd

    table: pd.DataFrame = forecasts
    if isinstance(table.index, pd.MultiIndex):
        return _read_long(table)
    names = list(table.columns)
    return (
        _finite(table, "forecasts"),
        names,
        lambda x: pd.DataFrame(x, index=table.index, columns=table.columns),
    )


def _read_long(table: pd.DataFrame) -> tuple[np.ndarray, list[Any], Any]:
    """The table of `forecast` or `sample_paths` of several series, rows (series, step)."""
    import pandas as pd

    if table.columns.name != "path":
        if "mean" not in table.columns:
            raise DataError(
                "forecasts is a table by series and step without the column 'mean'; expected what "
                "forecast or sample_paths gives."
            )
        table = table[["mean"]]
    index = table.index
    keys = [key[0] if index.nlevels == 2 else key[:-1] for key in index]
    names = list(dict.fromkeys(keys))
    steps = len(table) // len(names)
    expected = [name for name in names for _ in range(steps)]
    if keys != expected:
        raise DataError(
            "forecasts has series of unequal horizons, or rows that are not series by series."
        )
    cube = _finite(table, "forecasts").reshape(len(names), steps, -1)  # [m, horizon, paths]

    def restore(x: np.ndarray) -> pd.DataFrame:
        flat = np.moveaxis(x, -1, 0).reshape(len(table), -1)
        return pd.DataFrame(flat, index=index, columns=table.columns)

    return np.moveaxis(cube, 0, -1), names, restore


def _errors(residuals: Any, names: list[Any] | None, m: int) -> np.ndarray:
    if names is not None and hasattr(residuals, "columns"):
        absent = [name for name in names if name not in residuals.columns]
        if absent:
            raise DataError(f"residuals has no column for {absent}.")
        residuals = residuals[names]
    try:
        errors = check_array("residuals", residuals, DataError)
    except (TypeError, ValueError):
        errors = np.zeros(0)
    if errors.ndim != 2 or errors.shape[1] != m or np.isinf(errors).any():
        raise DataError(f"residuals has shape {errors.shape}; expected numbers [T, {m}].")
    errors = errors[~np.isnan(errors).any(axis=1)]
    if len(errors) < 2:
        raise DataError(
            f"residuals has {len(errors)} row(s) without a missing value; expected 2 or more."
        )
    return errors


def _finite(values: Any, name: str) -> np.ndarray:
    try:
        array = check_array("forecasts", values, DataError)
    except (TypeError, ValueError):
        array = np.array(np.nan)
    if not np.isfinite(array).all() or array.size == 0:
        raise DataError(f"{name} must be finite numbers, and some.")
    return array
