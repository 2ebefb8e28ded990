"""Data files in, results out, for the command line."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

import numpy as np

from arproc.contract.places import write_text
from arproc.data.calendar import regular
from arproc.data.tables import Table
from arproc.data.tables.files import SEPARATORS, read_table, suffix_of
from arproc.data.text_files import read_lines
from arproc.data.texts import listed
from arproc.data.times import times_of
from arproc.errors import DataError, ParameterError

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "check_out",
    "holds_table",
    "known_rows",
    "read",
    "rows_table",
    "terms_table",
    "write_samples",
    "write_table",
]

#: The name of standard input on the command line.
STDIN = "-"


def read(
    path: Path, columns: list[str] | None, index: str | None, lines: bool, *, whole: bool = False
) -> Any:
    """The data in a file, in a form that models take.

    `.csv` and `.tsv` (also compressed): a Series for one column, a DataFrame for several. `.npy`:
    an array. Anything else, and "-" for standard input, is UTF-8 text, which may be compressed:
    the path itself (what was read, of standard input), or a list of its lines.

    Args:
        path: the file.
        columns: of a table, the columns to use; None takes all numeric ones.
        index: of a table, the column with dates or numbers of steps.
        lines: of text, whether each line is a sequence of its own.
        whole: whether a table goes whole, text and truth values among its columns, as models of
            tables take it; else it is read as numbers.
    """
    piped = str(path) == STDIN
    if not piped and not path.is_file():
        raise DataError(f"there is no file {str(path)!r}.")
    suffix = suffix_of(path)
    if suffix in SEPARATORS:
        if lines:
            raise DataError(f"--lines is for text; {path.name} is a table.")
        return _read_table(path, columns, index, whole)
    if columns or index:
        raise DataError(f"--column and --index are for .csv and .tsv files; got {path.name}.")
    if suffix == ".npy":
        return _read_array(path)
    source = listed(sys.stdin.buffer) if piped else path
    return list(read_lines(source)) if lines else source


def holds_table(law: Any) -> bool:
    """Whether a fitted model is one of tables."""
    return isinstance(law.space, Table)


def known_rows(text: str) -> Any:
    """What is known of a table's rows: a JSON object, or a table in a file."""
    if text.lstrip().startswith("{"):
        try:
            return json.loads(text)
        except json.JSONDecodeError as error:
            raise ParameterError(f"--known is no JSON object: {error}.") from None
    return read_table(text)


def _read_array(path: Path) -> np.ndarray:
    try:
        with path.open("rb") as file:  # which NumPy leaves open where it is no array
            found = np.load(file, allow_pickle=False)
    except (ValueError, EOFError, BadZipFile) as error:
        raise DataError(f"{path.name} can not be read as an array: {error}") from None
    if not isinstance(found, np.ndarray):
        raise DataError(f"{path.name} holds several arrays; expected one, as np.save writes it.")
    return found


def _read_table(path: Path, columns: list[str] | None, index: str | None, whole: bool) -> Any:
    table = read_table(path)
    wanted = [*(columns or []), *([index] if index else [])]
    for name in wanted:
        if name not in table.columns:
            raise DataError(f"{path.name} has no column {name!r}; it has {_listed(table)}.")
    if index:
        table = table.set_index(_steps(table[index], path.name))
    rest = table.drop(columns=index or [])
    if whole:
        return table[columns] if columns else rest
    if not index:
        _tell_dates(table.drop(columns=columns or []), path.name)
    chosen = table[columns] if columns else rest.select_dtypes("number")
    left = [repr(str(name)) for name in rest if name not in chosen and not columns]
    if left and chosen.shape[1]:
        sys.stderr.write(
            f"{path.name}: left out, for they hold no numbers: {', '.join(left)}. Name columns "
            "with --column; arproc fit made takes tables whole.\n"
        )
    if chosen.shape[1] == 0:
        raise DataError(f"{path.name} has no numeric column; its columns are {_listed(table)}.")
    return chosen.iloc[:, 0] if chosen.shape[1] == 1 else chosen


def _tell_dates(table: pd.DataFrame, name: str) -> None:
    """Say so where rows are counted whose dates tell of other steps."""
    import pandas as pd

    dates = [column for column in table if table[column].dtype.kind == "M"]
    if len(dates) != 1:
        return
    rows = pd.Series(0.0, pd.DatetimeIndex(table[dates[0]]))
    try:
        one_each = len(regular(rows, name, missing=True)) == len(rows)
    except DataError:
        one_each = False
    if not one_each:
        sys.stderr.write(
            f"warning: {name}: its rows count as consecutive steps, and the dates in "
            f"{str(dates[0])!r} are none (some are absent, double or out of order). "
            f"--index {dates[0]} goes by them.\n"
        )


def _steps(column: pd.Series, name: str) -> pd.Index:
    """A column of numbers or dates as an index, with its frequency where it has one."""
    import pandas as pd

    if pd.api.types.is_numeric_dtype(column):
        return pd.Index(column)
    try:
        dates = pd.DatetimeIndex(times_of(column, name))
    except (ValueError, TypeError) as error:
        raise DataError(f"column {column.name!r} can not be read as dates: {error}") from None
    return dates if len(dates) < 3 else pd.DatetimeIndex(dates, freq="infer")


def _listed(table: pd.DataFrame) -> str:
    names = [repr(str(name)) for name in table.columns]
    return ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")


def rows_table(
    law: Any, data: Any, offset: int | None = None, complete: bool | None = None
) -> pd.DataFrame:
    """The log-probability of each sequence, and how many elements were observed."""
    import pandas as pd

    sequences = law.sequences(data, complete=complete, missing=law.law_.takes_missing)
    ends = sequences.n_terms - sequences.lengths
    elements = (sequences.n_scored(0) - ends).numpy()
    scores = law.log_prob(data, offset=offset, complete=complete)
    table = {"log_prob": np.atleast_1d(scores), "elements": elements}
    return pd.DataFrame(table).rename_axis("sequence")


def terms_table(
    law: Any, data: Any, offset: int | None = None, complete: bool | None = None
) -> pd.DataFrame:
    """The chain rule's terms, a row for each, numbered within each sequence."""
    import pandas as pd

    terms = law.log_prob_terms(data, offset=offset, complete=complete)
    if isinstance(terms, pd.DataFrame):
        return terms
    if not isinstance(terms, list):
        terms = [terms]
    frames = [pd.DataFrame({"sequence": i, "log_prob": row}) for i, row in enumerate(terms)]
    return pd.concat(frames).rename_axis("element")


def check_out(out: Path) -> None:
    """Refuse a place that can not be written to, before the long work and not after."""
    if out.is_dir() or not out.parent.is_dir():
        what = "a folder" if out.is_dir() else "in a folder that does not exist"
        raise ParameterError(f"--out {out} is {what}; give the name of a file in one that does.")


def write_table(table: pd.DataFrame, out: Path | None) -> None:
    """A table as CSV, to a file or to standard output."""
    write(table.to_csv(lineterminator="\n"), out)


def write_samples(samples: Any, out: Path | None, as_json: bool) -> None:
    """Samples, one after another.

    Text: one sample after another, each ended by a newline. Numbers: a CSV with a row for each
    sample, and for rows of a table one with their names. JSON: one sample a line, whatever it is.
    """
    if hasattr(samples, "to_csv"):
        text = (
            samples.to_json(orient="records", lines=True, double_precision=15, date_format="iso")
            if as_json
            else samples.to_csv(index=False, lineterminator="\n")
        )
        write(text, out)
        return
    lists_of_symbols = len(samples) > 0 and isinstance(samples[0], list)
    if as_json or lists_of_symbols:
        text = "".join(json.dumps(_plain(sample)) + "\n" for sample in samples)
    elif len(samples) > 0 and isinstance(samples[0], str):
        text = "".join(sample + "\n" for sample in samples)
    else:
        text = "".join(_row(sample) + "\n" for sample in samples)
    write(text, out)


def write(text: str, out: Path | None) -> None:
    """Text to a file, whole or not at all, or to standard output."""
    if out is None:
        sys.stdout.write(text)
    else:
        write_text(out, text)


def _plain(sample: Any) -> Any:
    return sample.tolist() if hasattr(sample, "tolist") else sample


def _row(sample: Any) -> str:
    return ",".join(f"{value:.10g}" for value in np.asarray(sample).reshape(-1).tolist())
