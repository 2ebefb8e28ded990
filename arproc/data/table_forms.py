"""How a user's table was made, so that tables of forecasts are made the same way."""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from arproc.contract.storable import storable
from arproc.errors import MissingDependencyError, UnusedWarning, warn

__all__ = ["TableForm", "in_kind", "narrowed", "tell_unused", "unused_numbers"]

_LIBRARIES = ("polars", "pyarrow")
#: How the types of numbers and truth values begin, in the words of all three libraries.
_NUMBER = re.compile(r"u?int\d|half|float|double|decimal|bool", re.IGNORECASE)


@storable
@dataclass(frozen=True)
class TableForm:
    """The library of a table, and what its columns of names and times are.

    Attributes:
        library: "pandas" (which also stands for every form that is no table), "polars" or
            "pyarrow".
        key: the column of the series' names in a long table; None where it was none.
        time: the column of the times.
        kinds: the types of these two columns in words of Arrow, where the library has such.
        unused: the columns of numbers that are not used, of which the user was told.
    """

    library: str = "pandas"
    key: str | None = None
    time: str | None = None
    kinds: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()

    @classmethod
    def of(cls, data: Any, columns: Sequence[str]) -> TableForm:
        """The form of what a user gave; nothing of it is read."""
        key, time = columns[:2]
        library = type(data).__module__.partition(".")[0]
        if library not in _LIBRARIES:
            levels = getattr(getattr(data, "index", None), "names", ())
            long = key in getattr(data, "columns", ()) or key in levels
            return cls(key=key, time=time) if long and isinstance(key, str) else cls()
        names = _names(data)
        if key not in names or time not in names:
            return cls(library)
        schema = data.schema
        kinds = (schema[key], schema[time]) if library == "polars" else ()
        if library == "pyarrow":
            kinds = (schema.field(key).type, schema.field(time).type)
        return cls(library, key, time, tuple(map(str, kinds)))

    def restore(self, table: Any) -> Any:
        """A table of forecasts, indexed by series and step, in this form.

        Of pandas it keeps its index, which has the names of the user's columns. Polars and Arrow
        have no indexes: there they are the first two columns, of the types that they came in.
        """
        if self.library == "pandas":
            return (
                table
                if self.key is None
                else table.rename_axis(index=[self.key, self._step(table)])
            )
        key, time = self.key or str(table.index.names[0]), self._step(table)
        columns: dict[str, Any] = {
            key: table.index.get_level_values(0),
            time: table.index.get_level_values(1),
        }
        columns |= {str(name): table.iloc[:, j].to_numpy() for j, name in enumerate(table.columns)}
        return _made(self.library, columns, dict(zip((key, time), self.kinds, strict=False)))

    def _step(self, table: Any) -> str:
        return str(table.index.names[1] if self.time is None else self.time)


def in_kind(data: Any, table: Any) -> Any:
    """A table of pandas that says something of the user's series, in the library of these.

    Polars and Arrow have no indexes: the labels are the first columns there, times of the type
    that the data have; and a column of a component is called as "a mean".

    Args:
        data: what the user gave: of polars or Arrow, or of any other kind, which pandas answers.
        table: a DataFrame indexed by steps, or by series and steps.
    """
    library = type(data).__module__.partition(".")[0]
    if library not in _LIBRARIES:
        return table
    names = ["series", "step"][-table.index.nlevels :]
    names = [own or usual for own, usual in zip(table.index.names, names, strict=True)]
    columns = {name: table.index.get_level_values(k) for k, name in enumerate(names)}
    for j, label in enumerate(table.columns):
        parts = label if isinstance(label, tuple) else (label,)
        columns[" ".join(map(str, parts))] = table.iloc[:, j].to_numpy()
    kinds = _kinds(data)
    return _made(library, columns, {name: str(kinds[name]) for name in names if name in kinds})


def _made(library: str, columns: dict[str, Any], kinds: Mapping[str, str]) -> Any:
    """A table of these columns, some of the types that they came in where they can be so."""
    made = (_polars if library == "polars" else _arrow)(columns)
    for name, word in kinds.items():
        made = (_cast_polars if library == "polars" else _cast_arrow)(made, name, word)
    return made


def narrowed(data: Any, columns: Sequence[str]) -> Any:
    """A long table of polars or Arrow with no columns but those that are read."""
    library = type(data).__module__.partition(".")[0]
    if library not in _LIBRARIES or not hasattr(data, "select") or hasattr(data, "collect"):
        return data
    names = _names(data)
    if all(names.count(name) == 1 for name in columns):
        return data.select(list(columns))
    return data


def unused_numbers(data: Any, columns: Sequence[str]) -> list[str]:
    """The columns of numbers in a long table (or in a schema of Arrow) beside those that are read.

    Example:
        >>> import pandas as pd
        >>> table = pd.DataFrame({"id": ["a"], "t": [1], "y": [0.5], "price": [2], "town": ["x"]})
        >>> unused_numbers(table, ["id", "t", "y"])
        ['price']
    """
    kinds = _kinds(data)
    have = [*kinds, *getattr(getattr(data, "index", None), "names", ())]
    if any(name not in have for name in columns):
        return []
    return [
        name
        for name, kind in kinds.items()
        if name not in columns
        and _NUMBER.match(str(kind))
        and not str(name).startswith("__index_level_")  # where pandas keeps an index in Parquet
    ]


def tell_unused(unused: Sequence[str], columns: Sequence[str]) -> None:
    """Warn that columns of numbers are not used, where there are any."""
    if not unused:
        return
    shown = ", ".join(map(repr, unused[:5])) + (" ..." if len(unused) > 5 else "")
    warn(
        f"{len(unused)} column(s) of numbers beside the series are not used: {shown}. If they are "
        "regressors, fit a Panel of a process that takes these, as Panel(AR(1, regressors='mean'),"
        f" covariates={list(unused[:5])!r}); if not, give the columns {list(columns)!r} alone.",
        UnusedWarning,
    )


def _kinds(data: Any) -> dict[str, Any]:
    """The types of a table's columns by their names, of any of the three libraries."""
    if hasattr(data, "iloc") and hasattr(data, "columns"):
        return dict(zip(data.columns, data.dtypes, strict=True))
    if type(data).__module__.partition(".")[0] not in _LIBRARIES or hasattr(data, "collect"):
        return {}
    schema = getattr(data, "schema", data)
    if hasattr(schema, "types"):  # of Arrow
        return dict(zip(schema.names, schema.types, strict=True))
    return dict(schema) if isinstance(schema, Mapping) else {}


def _names(data: Any) -> list[str]:
    if hasattr(data, "collect_schema"):  # of polars, whose lazy frames would warn otherwise
        return list(data.collect_schema().names()) if hasattr(data, "columns") else []
    found = getattr(getattr(data, "schema", None), "names", None)
    return list(found) if found is not None else []


def _polars(columns: dict[str, Any]) -> Any:
    polars = _imported("polars")
    return polars.DataFrame({name: _plain(values) for name, values in columns.items()})


def _plain(values: Any) -> Any:
    """Labels as both libraries read them without a third: NumPy's arrays, or lists."""
    import pandas as pd

    if isinstance(values, pd.PeriodIndex):
        values = values.to_timestamp()
    if isinstance(values, pd.DatetimeIndex):
        values = values.tz_convert("UTC").tz_localize(None) if values.tz is not None else values
        return values.to_numpy()
    if isinstance(values, np.ndarray):
        return values
    return values.to_numpy() if values.dtype.kind in "biuf" else values.tolist()


def _cast_polars(made: Any, name: str, word: str) -> Any:
    polars = _imported("polars")
    kind, _, rest = word.partition("(")
    column = polars.col(name)
    try:
        if kind == "Datetime":
            unit, zone = re.findall(r"=(?:'([^']*)'|None)", rest)
            column = column.cast(polars.Datetime(unit))
            if zone:
                column = column.dt.replace_time_zone("UTC").dt.convert_time_zone(zone)
        elif kind == "Enum":
            listed = ast.literal_eval(rest.removeprefix("categories=").removesuffix(")"))
            column = column.cast(polars.Enum(listed))
        else:
            column = column.cast(getattr(polars, kind))
        return made.with_columns(column)
    except Exception:  # labels that are steps, not times; categories that words do not hold
        return made


def _arrow(columns: dict[str, Any]) -> Any:
    arrow = _imported("pyarrow")
    return arrow.table(
        {
            name: arrow.array(values if getattr(values, "tz", None) else _plain(values))
            for name, values in columns.items()
        }
    )


def _cast_arrow(made: Any, name: str, word: str) -> Any:
    arrow = _imported("pyarrow")
    place = made.schema.names.index(name)
    try:
        column = made.column(name).cast(_arrow_type(arrow, word))
    except Exception:  # labels that are steps, not times
        return made
    return made.set_column(place, name, column)


def _arrow_type(arrow: Any, word: str) -> Any:
    if found := re.fullmatch(r"timestamp\[(\w+), tz=(.+)\]", word):
        return arrow.timestamp(found[1], found[2])
    if found := re.fullmatch(r"dictionary<values=(.+), indices=(\w+), ordered=(\d)>", word):
        values, indices = (arrow.type_for_alias(one) for one in found.groups()[:2])
        return arrow.dictionary(indices, values, found[3] == "1")
    return arrow.type_for_alias(word)


def _imported(library: str) -> Any:
    try:
        return importlib.import_module(library)
    except ImportError:
        raise MissingDependencyError(
            f"the data came as a table of {library}, and forecasts are given in that form; "
            f"pip install {library}, or give a history of pandas."
        ) from None
