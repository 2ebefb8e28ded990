"""DataFrames as numbers, by the labels and dtypes that a table's space knows, and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from arproc.data.tables.columns import numbers
from arproc.data.tables.space import Column, Table
from arproc.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["read", "restore"]


# ---- reading ------------------------------------------------------------------------------


def read(
    data: Any, space: Table, order: Sequence[int] | None, name: str, partial: bool
) -> tuple[torch.Tensor, pd.Index, tuple[Any, ...]]:
    """A DataFrame's rows, or a Series as one row, in the order of generation.

    Args:
        data: with the table's columns, in any order.
        space: the table.
        order: the order of generation; None is the table's own.
        name: what error messages call the data.
        partial: whether the first columns in the order of generation are enough.

    Returns:
        The entries [N, D], float64; the rows' index; and the columns' names.
    """
    import pandas as pd

    frame = data.to_frame().T.infer_objects() if isinstance(data, pd.Series) else data
    columns = space.ordered(order)
    _check_names(list(frame.columns), columns, name, partial)
    columns = columns[: frame.shape[1]]
    entries = [_entries(frame[column.name], column, name) for column in columns]
    x = torch.from_numpy(np.stack(entries, axis=1)) if entries else torch.zeros(len(frame), 0)
    return x.double(), frame.index, tuple(column.name for column in columns)


def _check_names(given: list[Any], columns: tuple[Column, ...], name: str, partial: bool) -> None:
    """The columns are all of the table's, or the first ones, each once."""
    wanted = [column.name for column in columns]
    extra = [n for n in given if n not in wanted]
    if extra:
        raise DataError(
            f"{name} has the column(s) {extra}, which the model's table does not have; it has "
            f"{wanted}. Drop them."
        )
    if len(set(given)) < len(given):
        twice = next(n for n in given if given.count(n) > 1)
        raise DataError(f"{name} has more than one column named {twice!r}.")
    lacking = [n for n in (wanted[: len(given)] if partial else wanted) if n not in given]
    if lacking and partial:
        raise DataError(
            f"{name} has the columns {given}, which are not the first in the order of generation, "
            f"{wanted}; add {lacking}."
        )
    if lacking:
        raise DataError(
            f"{name} lacks the column(s) {lacking} of the model's table, which has {wanted}."
        )


def _entries(series: pd.Series, column: Column, name: str) -> np.ndarray:
    """The entries of one column, float64, NaN where missing."""
    if column.labels is None:
        return numbers(series, column.name, column.space.kind)
    plain = series.astype(object)
    codes = plain.map({label: code for code, label in enumerate(column.labels)})
    found = codes.to_numpy(np.float64, na_value=np.nan)
    unknown = np.isnan(found) & ~series.isna().to_numpy()
    if unknown.any():
        labels = list(dict.fromkeys(plain[unknown]))
        raise DataError(
            f"{name} has the unknown label(s) {', '.join(map(repr, labels[:3]))} in column "
            f"{column.name!r}; known are {column.listed()}. A label that training did not see has "
            "no probability: fit a pandas Categorical that lists it, or replace it"
            + ("" if isinstance(labels[0], str) else ", or make the column a count (columns=)")
            + "."
        )
    return found


# ---- giving back --------------------------------------------------------------------------


def restore(
    x: torch.Tensor, space: Table, names: Sequence[Any], index: pd.Index | None, single: bool
) -> pd.DataFrame | pd.Series:
    """Rows [N, D] as a DataFrame with the table's dtypes, or one as a Series.

    Args:
        x: the entries.
        space: the table.
        names: which of its columns these are, [D].
        index: of the rows.
        single: whether it is one row.
    """
    import pandas as pd

    table = x.detach().cpu().numpy()
    known = {column.name: column for column in space.columns}
    index = pd.RangeIndex(len(table)) if index is None else index
    columns = [_back(table[:, j], known[name], index) for j, name in enumerate(names)]
    frame = pd.concat(columns, axis=1) if columns else pd.DataFrame(index=index)
    frame.columns = pd.Index([*names])
    return frame.iloc[0] if single else frame


def _back(values: np.ndarray, column: Column, index: Any) -> pd.Series:
    """One column's entries in the dtype in which they came, which must be able to hold them."""
    try:
        return _series(values, column, index)
    except (TypeError, ValueError, OverflowError) as wrong:
        raise DataError(
            f"column {column.name!r} can not go back in the dtype {column.dtype!r} that the "
            f"table's space has for it ({wrong}); expected a dtype of pandas that holds "
            f"{column.describe()}."
        ) from wrong


def _series(values: np.ndarray, column: Column, index: Any) -> pd.Series:
    """One column's entries in the dtype in which they came."""
    import pandas as pd

    if column.dtype.startswith("category["):
        labels = pd.Index(list(column.labels or ()), dtype=column.dtype[9:-1])
        codes = np.where(np.isnan(values), -1, values).astype(np.int64)
        kind = pd.CategoricalDtype(labels, column.ordered)
        return pd.Series(pd.Categorical.from_codes(codes, dtype=kind), index)
    gone = np.isnan(values)
    if column.labels is not None:
        codes = np.where(gone, 0, values).astype(np.int64)
        found = np.array([*column.labels, None], dtype=object)[:-1][codes]
        plain = pd.Series(found, index, dtype=object).mask(gone, np.nan)
    elif column.dtype == "object" and column.space.measure == "mass":
        whole = pd.Series(values, index).astype("Int64")
        plain = whole.astype(object).mask(gone, np.nan)  # whole numbers, not floats
    else:
        plain = pd.Series(values, index)
    return _as(plain, column.dtype)


def _as(values: pd.Series, dtype: str) -> pd.Series:
    """The values in a dtype, or in a wider one of its kind where they do not fit."""
    import pandas as pd

    kind = pd.api.types.pandas_dtype(dtype)
    if kind.kind in "iu":
        bounds = np.iinfo(getattr(kind, "numpy_dtype", kind))
        there = values.dropna().astype(np.float64)
        if len(there) and (there.min() < bounds.min or there.max() > bounds.max):
            kind = pd.Int64Dtype() if hasattr(kind, "numpy_dtype") else np.dtype(np.int64)
    return values.astype(kind)
