"""DataFrames as numbers, by the labels and dtypes that a table's space knows, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from arproc.data.tables.columns import numbers
from arproc.data.tables.space import Column, Table
from arproc.data.tables.times import numbers_of_times, times_of_numbers
from arproc.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Some", "drawn", "is_rows", "read", "read_some", "restore"]


class Some(NamedTuple):
    """Rows of which some entries are known.

    Attributes:
        x: the entries [N, D] in the table's own order, float64; NaN where there is none.
        given: which columns came, bool [D].
        rows: the index of the rows.
        single: whether one row came.
    """

    x: torch.Tensor
    given: torch.Tensor
    rows: pd.Index
    single: bool


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


def is_rows(data: Any) -> bool:
    """Whether data are labelled rows: a DataFrame, a Series, a dict of one row or of columns."""
    return isinstance(data, Mapping) or (hasattr(data, "iloc") and data.ndim in (1, 2))


def read_some(data: Any, space: Table, name: str) -> Some:
    """Rows of a table of which some columns may be left out; see `is_rows`."""
    import pandas as pd

    single = not hasattr(data, "ndim") or data.ndim == 1
    if isinstance(data, Mapping):
        single = not any(isinstance(value, (list, tuple, np.ndarray)) for value in data.values())
        frame = pd.DataFrame([dict(data)] if single else dict(data))
    else:
        frame = data.to_frame().T.infer_objects() if single else data
    given = list(frame.columns)
    whole = [name for name in space.names if name in given]
    _check_names(given, tuple(c for c in space.columns if c.name in whole), name, False)
    entries = np.full((len(frame), len(space.columns)), np.nan)
    for j, column in enumerate(space.columns):
        if column.name in given:
            entries[:, j] = _entries(frame[column.name], column, name)
    came = torch.tensor([column.name in given for column in space.columns])
    return Some(torch.from_numpy(entries), came, frame.index, single)


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
    if column.unit:
        return _held(
            numbers_of_times(series, column.dtype, column.unit, column.name), column, name
        )
    if column.labels is None:
        return _held(numbers(series, column.name, column.space.kind), column, name)
    plain = series.astype(object)
    codes = plain.map({label: code for code, label in enumerate(column.labels)})
    found = codes.to_numpy(np.float64, na_value=np.nan)
    unknown = np.isnan(found) & ~series.isna().to_numpy()
    if column.other is not None:
        return np.where(unknown, float(column.labels.index(column.other)), found)
    if unknown.any():
        labels = list(dict.fromkeys(plain[unknown]))
        raise DataError(
            f"{name} has the unknown label(s) {', '.join(map(repr, labels[:3]))} in column "
            f"{column.name!r}; known are {column.listed()}. A label that training did not see has "
            "no probability: fit a pandas Categorical that lists it, name a label that stands for "
            "all such (columns=, arproc.tables.Kind(other=...)), or replace it"
            + ("" if isinstance(labels[0], str) else ", or make the column a count (columns=)")
            + "."
        )
    return found


def _held(values: np.ndarray, column: Column, name: str) -> np.ndarray:
    """Numbers as the column holds them, on its lattice."""
    lattice = column.lattice
    if lattice is None:
        return values
    off = lattice.off(values)
    if off.any():
        raise DataError(
            f"{name} has the value {values[off][0]:g} in column {column.name!r}, which is none of "
            f"the numbers {lattice.describe()} that training saw, and so has no probability; "
            "round it, or fit with another kind of column (columns=, as 'real' or Kind(step=...))."
        )
    held = lattice.numbers(values)
    problem = column.space.problem(torch.from_numpy(held[~np.isnan(held)]))
    if problem is not None and not column.unit:
        first, last = _ends(column)
        raise DataError(
            f"{name} does not fit the model's table: column {column.name!r}: expected numbers "
            f"{lattice.describe()}{first}{last}; got values from {np.nanmin(values):g} to "
            f"{np.nanmax(values):g}."
        )
    return held


def _ends(column: Column) -> tuple[str, str]:
    assert column.lattice is not None
    size = column.space.size
    first = float(column.lattice.values(np.zeros(1))[0])
    if size is not None:
        last = float(column.lattice.values(np.array([size - 1.0]))[0])
        return "", f" to {last:g}"
    return ("", "") if column.lattice.step > 0 else (f", at most {first:g}", "")


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


def drawn(x: torch.Tensor, space: Table, index: pd.Index, single: bool) -> pd.DataFrame:
    """Draws of rows [n, N, D], with an index of draw and row; of one row, of draws."""
    import pandas as pd

    n, rows, width = x.shape
    labels: pd.Index = pd.RangeIndex(n, name="draw")
    if not single:
        labels = pd.MultiIndex.from_arrays(
            [np.repeat(np.arange(n), rows), index[np.tile(np.arange(rows), n)]],
            names=["draw", index.name],
        )
    frame: Any = restore(x.reshape(n * rows, width), space, space.names, labels, False)
    return frame


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
    if column.lattice is not None:
        values = column.lattice.values(values)
    if column.unit:
        return times_of_numbers(values, column.dtype, column.unit, index)
    gone = np.isnan(values)
    if column.labels is not None:
        codes = np.where(gone, 0, values).astype(np.int64)
        found = np.array([*column.labels, None], dtype=object)[:-1][codes]
        plain = pd.Series(found, index, dtype=object).mask(gone, np.nan)
    elif column.dtype == "object" and column.space.measure == "mass" and _is_whole(column):
        whole = pd.Series(values, index).astype("Int64")
        plain = whole.astype(object).mask(gone, np.nan)  # whole numbers, not floats
    else:
        plain = pd.Series(values, index)
    return _as(plain, column.dtype)


def _is_whole(column: Column) -> bool:
    return column.lattice is None or column.lattice.per == 1


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
