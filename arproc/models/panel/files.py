"""Tables of series in files: Parquet and Arrow by their columns, separated values as text."""

from __future__ import annotations

import importlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from arproc.contract.places import replacing, storing, write_text
from arproc.data.table_forms import unused_numbers
from arproc.data.tables.files import SEPARATORS, read_table, suffix_of
from arproc.errors import DataError, MissingDependencyError, ParameterError

__all__ = ["ARROW", "check_suffix", "columns_of_file", "write_columns"]

#: The endings of the files that Arrow's library reads and writes.
ARROW = (".parquet", ".arrow", ".feather")


def columns_of_file(path: str | os.PathLike[str], columns: Sequence[str]) -> tuple[Any, list[str]]:
    """The table in a file; of a long one no columns but those that are asked for.

    Args:
        path: .parquet, .arrow or .feather (read with pyarrow, and mapped where that goes), .csv
            or .tsv, the latter perhaps compressed.
        columns: of a long table the series' names, the times, the values, and others that are
            wanted.

    Returns:
        A `pyarrow.Table`; of separated values a DataFrame, the names of whose series are text as
        it stands there ("007" is no number). And the columns of numbers of a long table that are
        not wanted.

    Raises:
        DataError: there is no such file, or it is no such table.
        MissingDependencyError: it takes pyarrow.
    """
    path = Path(path)
    suffix = check_suffix(path)
    if suffix in SEPARATORS:
        found = _numbers(read_table(path, text=columns[:1]), columns[2])
        return found, unused_numbers(found, columns)
    if not path.exists():
        raise DataError(f"there is no file {str(path)!r}.")
    arrow = _arrow("pyarrow")
    try:
        if suffix == ".parquet":
            parquet = _arrow("pyarrow.parquet")
            schema = parquet.ParquetDataset(path).schema
            found = parquet.read_table(path, columns=_wanted(schema.names, columns))
            return found, unused_numbers(schema, columns)
        found = _arrow("pyarrow.feather").read_table(path, columns=None, memory_map=True)
        return found, unused_numbers(found, columns)
    except (arrow.ArrowException, OSError, ValueError) as error:
        if isinstance(error, MissingDependencyError):
            raise
        raise DataError(f"{path.name} can not be read as a table: {error}") from None


def check_suffix(path: Path, *, written: bool = False) -> str:
    """What the name of a table's file ends in; `ParameterError` where that is none of these.

    What is `written` is not compressed, or not by its name.
    """
    suffix = path.suffix if written else suffix_of(path)
    if suffix in ARROW or suffix in SEPARATORS:
        return suffix
    raise ParameterError(
        f"{path.name} is no table by its name; expected {', '.join([*ARROW, *SEPARATORS])}."
    )


def write_columns(table: Any, path: str | os.PathLike[str]) -> None:
    """Write a table of forecasts, whole or not at all, in the format that the name says.

    Args:
        table: of pandas (indexed by series and step), polars or Arrow.
        path: .parquet, .arrow, .feather, .csv or .tsv.
    """
    path = Path(path)
    suffix = check_suffix(path, written=True)
    if suffix in SEPARATORS:
        write_text(path, separated(table, SEPARATORS[suffix]))
        return
    made = _as_arrow(table)
    with replacing(path) as temporary, storing(path):
        if suffix == ".parquet":
            _arrow("pyarrow.parquet").write_table(made, temporary)
        else:
            _arrow("pyarrow.feather").write_feather(
                made, str(temporary), compression="uncompressed"
            )


def separated(table: Any, separator: str = ",") -> str:
    """A table of forecasts as separated values.

    Example:
        >>> import pandas as pd
        >>> index = pd.MultiIndex.from_tuples([("a", 1)], names=["unique_id", "ds"])
        >>> print(separated(pd.DataFrame({"mean": [0.5]}, index)), end="")
        unique_id,ds,mean
        a,1,0.5
    """
    flat = not hasattr(table, "iloc")
    frame = table.to_pandas() if flat else table
    return str(frame.to_csv(sep=separator, index=not flat, lineterminator="\n"))


def _as_arrow(table: Any) -> Any:
    arrow = _arrow("pyarrow")
    if isinstance(table, arrow.Table):
        return table
    if not hasattr(table, "iloc"):
        return arrow.table(table)
    frame = table.reset_index()
    frame.columns = [str(name) for name in frame.columns]
    for name, kind in frame.dtypes.items():
        if hasattr(kind, "freq"):  # of periods, which Arrow has none of
            frame[name] = frame[name].dt.to_timestamp()
    try:
        return arrow.Table.from_pandas(frame, preserve_index=False)
    except arrow.ArrowException as error:
        raise DataError(f"the forecasts can not be written as a table of Arrow: {error}") from None


def _wanted(names: Sequence[str], columns: Sequence[str]) -> list[str] | None:
    return list(columns) if all(name in names for name in columns) else None


def _numbers(table: Any, name: str) -> Any:
    """The same with numbers in a column of values that has some other text as well."""
    import pandas as pd

    if name not in table.columns or table[name].dtype.kind in "biufc":
        return table
    found = pd.to_numeric(table[name], errors="coerce")
    if not found.notna().any():
        return table
    mixed = found.astype(object).where(found.notna() | table[name].isna(), table[name])
    return table.assign(**{name: mixed})


def _arrow(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError:
        raise MissingDependencyError(
            'files of Parquet and Arrow take pyarrow: pip install "arproc[arrow]", or write CSV.'
        ) from None
