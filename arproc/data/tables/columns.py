"""Of what kind each column of the user's data is: told by hand, or from dtypes and values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from arproc.data.arrays import to_tensor, unmasked
from arproc.data.tables.space import Column, Table
from arproc.errors import DataError, ParameterError, check_choice
from arproc.spaces import Categorical, Count, Integer, Real, Space

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["KINDS", "table_of"]

#: The kinds of columns that one may ask for.
KINDS = ("auto", "real", "count", "integer", "categorical")
#: Whole numbers with at most so many values are categories, unless one says otherwise.
FEW = 10
_MOST_CATEGORIES = 2**16
_NUMERIC: dict[str, type[Space]] = {"real": Real, "count": Count, "integer": Integer}


def table_of(data: Any, asked: Mapping[Any, str] | Sequence[str] | None = None) -> Table:
    """The space of the rows of a table, as its training data show it.

    Args:
        data: a DataFrame; or an array or a tensor [N, D] of numbers, NaN where missing, in which
            a category is its number 0, 1, 2 ...
        asked: the kinds of columns by name (by position for an array), or a list with one for
            each: "real", "count" (0, 1, 2 ...), "integer" (negative ones too), "categorical", or
            "auto". Left to themselves, columns of text, truth values and pandas categories are
            categorical, and so are whole numbers (in floats too) of at most ten values; other
            whole numbers are counts, or integers where some are negative; fractions are real.

    Example:
        >>> import pandas as pd
        >>> frame = pd.DataFrame({"height": [1.7, None, 1.82], "smokes": [True, False, True]})
        >>> [column.describe() for column in table_of(frame).columns]
        ['real, or missing', 'categorical (False, True)']
    """
    import pandas as pd

    if not isinstance(data, pd.DataFrame):
        return _of_array(data, asked)
    if not data.columns.is_unique:
        twice = data.columns[data.columns.duplicated()][0]
        raise DataError(f"data has more than one column named {twice!r}; rename or drop one.")
    _check_rows(len(data), data.shape[1])
    kinds = _kinds(list(data.columns), asked)
    return Table(tuple(_of_series(data[name], name, kind) for name, kind in kinds.items()))


def _check_rows(rows: int, columns: int) -> None:
    if not rows or not columns:
        raise DataError(
            f"data has {rows} rows and {columns} columns; expected at least one of each."
        )


def _kinds(names: list[Any], asked: Mapping[Any, str] | Sequence[str] | None) -> dict[Any, str]:
    """What was asked for each column."""
    if asked is None:
        asked = {}
    if isinstance(asked, str) or not isinstance(asked, (Mapping, Sequence)):
        raise ParameterError(
            f"columns must be a dict of names to kinds, or a list of kinds; got {asked!r}."
        )
    if not isinstance(asked, Mapping):
        if len(asked) != len(names):
            raise ParameterError(
                f"columns has {len(asked)} kinds; the data have {len(names)} columns."
            )
        asked = dict(zip(names, asked, strict=True))
    unknown = [name for name in asked if name not in names]
    if unknown:
        raise ParameterError(
            f"columns names {unknown[0]!r}, which the data do not have; they have {names}."
        )
    for name, kind in asked.items():
        check_choice(f"columns[{name!r}]", kind, KINDS)
    return {name: asked.get(name, "auto") for name in names}


# ---- arrays -------------------------------------------------------------------------------


def _of_array(data: Any, asked: Mapping[Any, str] | Sequence[str] | None) -> Table:
    x = to_tensor(unmasked(data), "data")
    if x.ndim != 2:
        raise DataError(f"data has shape {tuple(x.shape)}; expected a table [N, D].")
    _check_rows(*x.shape)
    numbers = x.detach().cpu().numpy().astype(np.float64)
    kinds = _kinds(list(range(x.shape[1])), asked)
    return Table(tuple(_of_numbers(numbers[:, j], j, kind) for j, kind in kinds.items()))


def _of_numbers(values: np.ndarray, name: Any, kind: str) -> Column:
    gone = np.isnan(values)
    there = _some(values[~gone], name)
    kind = _kind_of_numbers(there, kind, labelled=False)
    if kind != "categorical":
        return Column(name, _NUMERIC[kind](), bool(gone.any()))
    if not _whole(there) or there.min() < 0:
        raise DataError(
            f"column {name!r} of data is to be categorical; in an array a category is its number "
            "0, 1, 2 ..., and these are others. Give a DataFrame for categories with labels."
        )
    symbols = _checked_count(int(there.max()) + 1, name)
    return Column(name, Categorical(symbols), bool(gone.any()))


# ---- DataFrames ---------------------------------------------------------------------------


def _of_series(series: pd.Series, name: Any, kind: str) -> Column:
    gone = series.isna()
    there = series[~gone]
    _some(there, name)
    if kind == "auto":
        kind = _kind_of_series(there, name)
    dtype, missing = str(series.dtype), bool(gone.any())
    if kind != "categorical":
        numbers(there, name, kind)  # or an error
        return Column(name, _NUMERIC[kind](), missing, dtype=_dtype_back(series, kind, missing))
    try:
        ordered, found = False, list(there.unique())
    except TypeError:
        raise DataError(
            "data has a column of lists or other things that can not be told apart; expected "
            "numbers, text, truth values or categories."
        ) from None
    if dtype == "category":
        categories = series.cat.categories
        found, ordered = list(categories), bool(series.cat.ordered)
        dtype = f"category[{categories.dtype}]"
    labels = _labels(found, name, sort=not dtype.startswith("category"))
    if set(labels) <= {False, True} and all(isinstance(label, bool) for label in labels):
        labels = (False, True)
    _checked_count(len(labels), name)
    return Column(name, Categorical(len(labels)), missing, labels, dtype, ordered)


def _dtype_back(series: pd.Series, kind: str, missing: bool) -> str:
    """The dtype in which numbers go back: the series' own if it can hold all of the kind."""
    dtype = series.dtype
    nullable = hasattr(dtype, "na_value") and dtype.kind in "iuf"
    if dtype.kind == "f" or (dtype.kind in "iu" and kind != "real"):
        return str(dtype)
    if str(dtype) == "object" and not any(isinstance(value, str) for value in series):
        return "object"
    if kind == "real":
        return "Float64" if nullable else "float64"
    return "Int64" if missing else "int64"  # categories or text that are numbers


def _kind_of_series(there: pd.Series, name: Any) -> str:
    dtype = there.dtype
    if str(dtype) == "category" or dtype.kind == "b":
        return "categorical"
    if dtype.kind in "iuf":
        return _kind_of_numbers(there.to_numpy(np.float64), "auto", labelled=True)
    if dtype.kind in "mM":
        raise DataError(
            f"column {name!r} of data has dtype {dtype}; expected numbers, text, truth values or "
            "categories. Turn times into numbers first, such as days since some day."
        )
    plain = (int, float, np.integer, np.floating)
    if all(isinstance(v, plain) and not isinstance(v, bool) for v in there):
        return _kind_of_numbers(there.to_numpy(np.float64), "auto", labelled=True)
    return "categorical"


def _kind_of_numbers(there: np.ndarray, kind: str, labelled: bool) -> str:
    if kind != "auto":
        return kind
    if not _whole(there):
        return "real"
    lowest = there.min()
    if len(np.unique(there)) <= FEW and (labelled or (lowest >= 0 and there.max() < FEW)):
        return "categorical"
    return "count" if lowest >= 0 else "integer"


def _whole(there: np.ndarray) -> bool:
    return bool(np.isfinite(there).all() and (there == np.floor(there)).all())


def _some(there: Any, name: Any) -> Any:
    if not len(there):
        raise DataError(f"column {name!r} of data has no value at all; drop it.")
    return there


def _checked_count(count: int, name: Any) -> int:
    if count > _MOST_CATEGORIES:
        raise DataError(
            f"column {name!r} of data has {count} categories; expected at most "
            f"{_MOST_CATEGORIES}. Drop it if it only names the rows, or group its values."
        )
    return count


def _labels(found: Any, name: Any, sort: bool) -> tuple[Any, ...]:
    """The labels of categories as plain Python values, which files can hold."""
    labels = [v.item() if isinstance(v, np.generic) else v for v in found]
    wrong = [v for v in labels if not isinstance(v, (str, int, float, bool))]
    if wrong:
        raise DataError(
            f"column {name!r} of data has the category {wrong[0]!r}, a {type(wrong[0]).__name__};"
            " expected text, numbers or truth values. Convert it, as with .astype(str)."
        )
    if sort:
        labels.sort(key=lambda v: (isinstance(v, str), v))
    return tuple(labels)


def numbers(series: pd.Series, name: Any, kind: str) -> np.ndarray:
    """The entries of a numeric column, float64, NaN where missing."""
    import pandas as pd

    try:
        plain = series.astype(object) if str(series.dtype) == "category" else series
        return pd.to_numeric(plain).to_numpy(np.float64, na_value=np.nan)
    except (TypeError, ValueError) as error:
        raise DataError(
            f"column {name!r} is of the kind {kind!r}, and can not be read as numbers: {error}."
        ) from None
