"""Of what kind each column of the user's data is: told by hand, or from dtypes and values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from arproc.data.arrays import to_tensor, unmasked
from arproc.data.tables.kinds import Kind, kinds_of
from arproc.data.tables.lattice import Lattice, lattice_of
from arproc.data.tables.numeric import ENOUGH, Held, held_numbers, is_whole
from arproc.data.tables.space import Column, Table
from arproc.data.tables.times import is_time, numbers_of_times, unit_of
from arproc.errors import DataError, ParameterError
from arproc.spaces import Categorical

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Asked", "table_of"]

#: What a user may say of the kinds of columns.
Asked = Mapping[Any, Any] | Sequence[Any] | None
_MOST_CATEGORIES = 2**16
#: The last second (or fewer) of a day, by the unit of times of day.
_DAYS = {"h": 24, "min": 24 * 60, "s": 86_400, "ms": 86_400_000, "us": 86_400_000_000}


def table_of(data: Any, asked: Asked = None) -> Table:
    """The space of the rows of a table, as its training data show it.

    Args:
        data: a DataFrame; or an array or a tensor [N, D] of numbers, NaN where missing, in which
            a category is its number 0, 1, 2 ...
        asked: the kinds of columns by name (by position for an array), or a list with one for
            each: a word, "real", "count" (0, 1, 2 ...), "integer" (negative ones too), "lattice"
            (numbers at equal steps, such as prices in cents), "categorical", "time" or "auto"; or
            a `Kind`, or a dict of its arguments, which says more.

    Left to themselves, columns of text, truth values and pandas categories are categorical, and
    so are zeros and ones. Other whole numbers (in floats too) are counts, or integers where some
    are negative. Fractions are a lattice in a DataFrame where fifty or more have at most four
    decimals, and real elsewhere. Dates and times (datetime64, timedelta64, periods, and Python's
    own) are counted in the coarsest unit of which they are whole numbers. A value that one row in
    a hundred has among real ones (in fifty among whole ones, and ten rows) is an atom. Named by a
    word, "count" and "integer" have no atoms, and "real" is no lattice.

    Example:
        >>> import pandas as pd
        >>> frame = pd.DataFrame({"height": [1.7, None, 1.82], "smokes": [True, False, True]})
        >>> [column.describe() for column in table_of(frame).columns]
        ['real, or missing', 'categorical (False, True)']
        >>> frame = pd.DataFrame({"price": np.arange(100) % 40 * 0.25})
        >>> table_of(frame, {"price": Kind(atoms=None)}).columns[0].describe()
        'count in steps of 0.25 from 0'
    """
    import pandas as pd

    if not isinstance(data, pd.DataFrame):
        return _of_array(data, asked)
    if not data.columns.is_unique:
        twice = data.columns[data.columns.duplicated()][0]
        raise DataError(f"data has more than one column named {twice!r}; rename or drop one.")
    _check_rows(len(data), data.shape[1])
    kinds = kinds_of(list(data.columns), asked)
    return Table(tuple(_of_series(data[name], name, kind) for name, kind in kinds.items()))


def _check_rows(rows: int, columns: int) -> None:
    if not rows or not columns:
        raise DataError(
            f"data has {rows} rows and {columns} columns; expected at least one of each."
        )


# ---- arrays -------------------------------------------------------------------------------


def _of_array(data: Any, asked: Asked) -> Table:
    x = to_tensor(unmasked(data), "data")
    if x.ndim != 2:
        raise DataError(f"data has shape {tuple(x.shape)}; expected a table [N, D].")
    _check_rows(*x.shape)
    numbers = x.detach().cpu().numpy().astype(np.float64)
    kinds = kinds_of(list(range(x.shape[1])), asked)
    return Table(tuple(_of_numbers(numbers[:, j], j, kind) for j, kind in kinds.items()))


def _of_numbers(values: np.ndarray, name: Any, kind: Kind) -> Column:
    gone = np.isnan(values)
    there = _some(values[~gone], name)
    word = _word_of_numbers(there, kind, fine=False)
    if word == "time" or kind.other is not None:
        raise ParameterError(
            f"column {name!r} of an array is numbers alone; give a DataFrame for labels and times."
        )
    if word != "categorical":
        held = held_numbers(there, kind, word, name, plain=True)
        return Column(name, held.space, bool(gone.any()), atoms=held.atoms)
    if not is_whole(there) or there.min() < 0:
        raise DataError(
            f"column {name!r} of data is to be categorical; in an array a category is its number "
            "0, 1, 2 ..., and these are others. Give a DataFrame for categories with labels."
        )
    symbols = _checked_count(int(there.max()) + 1, name)
    return Column(name, Categorical(symbols), bool(gone.any()))


# ---- DataFrames ---------------------------------------------------------------------------


def _of_series(series: pd.Series, name: Any, kind: Kind) -> Column:
    gone = series.isna()
    there = series[~gone]
    _some(there, name)
    missing, times = bool(gone.any()), is_time(series)
    word = "time" if times and kind.kind == "auto" else kind.kind
    if word == "time":
        return _of_times(series, name, kind, missing)
    if times and word != "categorical":
        raise DataError(
            f"column {name!r} of data has dtype {series.dtype}, and is asked for as {word!r}; "
            'expected "time" or "categorical". Leave it to itself, or convert it.'
        )
    if word == "auto":
        word = "categorical" if kind.other is not None else _word_of_series(there, kind)
    if word != "categorical":
        held = held_numbers(numbers(there, name, word), kind, word, name, plain=False)
        dtype = _dtype_back(series, word, missing)
        return Column(
            name, held.space, missing, lattice=held.lattice, atoms=held.atoms, dtype=dtype
        )
    return _of_labels(series, there, name, kind, missing)


def _of_times(series: pd.Series, name: Any, kind: Kind, missing: bool) -> Column:
    """A column of dates or times: whole numbers of a unit."""
    times = is_time(series)
    if times is None:
        raise DataError(
            f"column {name!r} of data is to be times, and has dtype {series.dtype}; convert it "
            "first, as with pd.to_datetime."
        )
    if kind.step is not None:
        raise ParameterError(f"step of column {name!r}: times are counted in their own unit.")
    unit = unit_of(series, times, name)
    values = numbers_of_times(series, times, unit, name)
    there = values[~np.isnan(values)]
    ends: dict[str, Any] = {}
    for end in ("low", "high"):
        given = getattr(kind, end)
        if given is not None and given != "data":
            given = _time_end(given, series, times, unit, name)
        ends[end] = given
    if times == "object time":
        ends = {"low": ends["low"] or 0.0, "high": ends["high"] or _DAYS[unit] - 1.0}
    plain = replace(kind, kind="auto", **ends)
    held = held_numbers(there, plain, "integer", name, plain=False)
    lattice = held.lattice or Lattice(0, 1)
    if times != "object time" and not kind.bounded:
        # counted from the first one: numbers near 0 keep their digits
        first = int(lattice.values(lattice.numbers(there).min()))
        held = Held(held.space, Lattice(first, lattice.step), tuple(
            (lattice.values(np.array(held.atoms)) - first) / lattice.step
        ))  # fmt: skip
        lattice = held.lattice or lattice
    return Column(
        name, held.space, missing, lattice=lattice, unit=unit, atoms=held.atoms, dtype=times
    )


def _time_end(given: Any, series: pd.Series, times: str, unit: str, name: Any) -> float:
    """The end of a column of times, which the user named, in its unit."""
    import pandas as pd

    try:
        if times.startswith("period["):
            one: Any = pd.Series([pd.Period(given, freq=unit)], dtype=times)
        elif times.startswith("object"):
            own = {type(value) for value in series.dropna()}.pop()
            one = pd.Series([own.fromisoformat(given)], dtype=object)
        else:
            plain: Any = pd.Series([given])
            one = plain.astype(times)
        return float(numbers_of_times(one, times, unit, name)[0])
    except (ValueError, TypeError, AttributeError) as error:
        raise ParameterError(
            f"an end of column {name!r} must be such a time as the column holds; got {given!r} "
            f"({error})."
        ) from None


def _of_labels(
    series: pd.Series, there: pd.Series, name: Any, kind: Kind, missing: bool
) -> Column:
    """A column of labels."""
    dtype = str(series.dtype)
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
    if kind.other is not None:
        labels = _with_other(there, labels, kind)
        if dtype.startswith("category") and kind.other not in found:
            dtype = "category[object]"
        elif kind.other not in found and there.dtype.kind in "iufb":
            dtype = "object"
    _checked_count(len(labels), name)
    return Column(
        name, Categorical(len(labels)), missing, labels, kind.other, dtype=dtype, ordered=ordered
    )


def _with_other(there: pd.Series, labels: tuple[Any, ...], kind: Kind) -> tuple[Any, ...]:
    """The labels that are frequent enough, and the one that stands for all others."""
    counts = there.value_counts()
    kept = [
        label for label in labels if counts.get(label, 0) >= kind.min_count and label != kind.other
    ]
    return (*kept, kind.other)


def _dtype_back(series: pd.Series, kind: str, missing: bool) -> str:
    """The dtype in which numbers go back: the series' own if it can hold all of the kind."""
    dtype = series.dtype
    nullable = hasattr(dtype, "na_value") and dtype.kind in "iuf"
    fractions = kind in ("real", "lattice")
    if dtype.kind == "f" or (dtype.kind in "iu" and not fractions):
        return str(dtype)
    if str(dtype) == "object" and not any(isinstance(value, str) for value in series):
        return "object"
    if fractions:
        return "Float64" if nullable else "float64"
    return "Int64" if missing else "int64"  # categories or text that are numbers


def _word_of_series(there: pd.Series, kind: Kind) -> str:
    dtype = there.dtype
    if str(dtype) == "category" or dtype.kind == "b":
        return "categorical"
    if dtype.kind in "iuf":
        values = there.to_numpy(np.float64)
        rounded = dtype.kind == "f" and kind.kind == "auto" and kind.step is None
        if rounded and _is_rounding(values, dtype):
            return "real"
        return _word_of_numbers(values, kind, fine=True)
    plain = (int, float, np.integer, np.floating)
    if all(isinstance(v, plain) and not isinstance(v, bool) for v in there):
        return _word_of_numbers(there.to_numpy(np.float64), kind, fine=True)
    return "categorical"


def _word_of_numbers(there: np.ndarray, kind: Kind, *, fine: bool) -> str:
    """Of what kind numbers are; fractions of a `fine` column may be a lattice."""
    if kind.kind != "auto":
        return kind.kind
    if kind.step is not None:
        return "lattice"
    if not is_whole(there):
        finite = np.isfinite(there).all()
        short = fine and finite and len(there) >= ENOUGH and lattice_of(there) is not None
        return "lattice" if short else "real"
    if not kind.bounded and (np.isin(there, (0, 1)).all() or _is_constant(there, fine)):
        return "categorical"
    return "count" if there.min() >= 0 else "integer"


def _is_rounding(values: np.ndarray, dtype: Any) -> bool:
    """Whether numbers lie on a lattice as all numbers of their size in this dtype do.

    Large numbers in float32 are multiples of an eighth, or whole, wherever they come from.

    Example:
        >>> millions = np.array([2.1e6, 3.25e6 + 0.125])
        >>> _is_rounding(millions, np.dtype(np.float32)), _is_rounding(millions, np.dtype(float))
        (True, False)
    """
    largest = np.abs(values).max()
    if not np.isfinite(largest) or not largest:
        return False
    own = np.dtype(f"f{dtype.itemsize}").type(largest)
    found = lattice_of(values)
    step = abs(found.step) / found.per if found else 1.0 if is_whole(values) else np.inf
    return bool(step <= np.spacing(own))


def _is_constant(there: np.ndarray, labelled: bool) -> bool:
    return labelled and bool((there == there[0]).all())


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

    if is_time(series):
        raise DataError(
            f"column {name!r} is of the kind {kind!r}, and holds times (dtype {series.dtype}), "
            "which are no numbers; convert it as for fit."
        )
    try:
        plain = series.astype(object) if str(series.dtype) == "category" else series
        return pd.to_numeric(plain).to_numpy(np.float64, na_value=np.nan)
    except (TypeError, ValueError) as error:
        raise DataError(
            f"column {name!r} is of the kind {kind!r}, and can not be read as numbers: {error}."
        ) from None
