"""Tables in files of separated values, read whole: for Python and the command line."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from arproc.data.text_files import decompressed
from arproc.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["SEPARATORS", "read_table", "suffix_of"]

SEPARATORS = {".csv": ",", ".tsv": "\t"}
_COMPRESSED = (".gz", ".bz2", ".xz", ".zst")
_MARK = "_"
_ISO = r"\d{4}-\d\d-\d\d(?:[ T]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?)?(?:Z|[+-]\d\d:?\d\d)?"


def suffix_of(path: Path) -> str:
    """What a file's name ends in, without what says that it is compressed."""
    return path.with_suffix("").suffix if path.suffix in _COMPRESSED else path.suffix


def read_table(path: str | os.PathLike[str], *, text: Sequence[str] = ()) -> pd.DataFrame:
    r"""A table from a file, with all of its columns.

    Numbers, truth values and text are told as pandas tells them, an empty field is missing, and
    columns of ISO dates and times (2024-05-17, 2024-05-17T08:30) are dates and times.

    Args:
        path: a `.csv` or `.tsv` file, plain or compressed (.gz, .bz2, .xz, .zst), in UTF-8.
        text: columns that are text as it stands there, whatever it looks like.

    Raises:
        DataError: there is no such file, or it can not be read as a table.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder) / "people.csv"
        ...     _ = file.write_text("age,city,since\n41,Oslo,2020-01-03\n,Rome,2021-05-05\n")
        ...     frame = read_table(file)
        >>> frame.shape, frame.since.dt.year.tolist()
        ((2, 3), [2020, 2021])
    """
    import pandas as pd

    path = Path(path)
    separator = SEPARATORS.get(suffix_of(path))
    if separator is None:
        raise DataError(f"{path.name} is no table by its name; expected .csv or .tsv.")
    if not path.is_file():
        raise DataError(f"there is no file {str(path)!r}.")
    try:
        with decompressed(path) as file:
            # a mark before it, or pandas takes the texts "NA" and "null" for missing
            marked = dict.fromkeys(text, _MARK.__add__)
            table = pd.read_csv(file, sep=separator, encoding="utf-8-sig", converters=marked)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise DataError(f"{path.name} can not be read as a table: {error}") from None
    for key in [name for name in text if name in table]:
        table[key] = table[key].str[1:].where(table[key] != _MARK, None)
    for name in [name for name in table if name not in text]:
        times = _times(table[name])
        if times is not None:
            table[name] = times
    return table


def _times(column: pd.Series) -> pd.Series | None:
    """A column of ISO dates or times as such; None where it is none."""
    import pandas as pd

    if column.dtype.kind in "biufcmM":
        return None
    there = column.dropna()
    if not len(there) or not all(isinstance(value, str) for value in there):
        return None
    if not there.str.fullmatch(_ISO).all():
        return None
    try:
        found = pd.to_datetime(column, format="ISO8601")
    except (ValueError, OverflowError):  # a 31st of February; zones that differ
        return None
    return found if found.dtype.kind == "M" else None
