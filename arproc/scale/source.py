"""Long tables in Parquet files: where each series is, and the rows of some of them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from arproc.contract.places import as_path
from arproc.data.table_forms import tell_unused, unused_numbers
from arproc.errors import DataError, MissingDependencyError, ParameterError

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Group", "Source", "arrow"]


def arrow() -> tuple[Any, Any]:
    """The modules pyarrow and pyarrow.parquet."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise MissingDependencyError(
            "Parquet files are read by pyarrow, which is not installed: "
            'pip install "arproc[arrow]"'
        ) from None
    return pyarrow, pyarrow.parquet


@dataclass(frozen=True)
class Group:
    """A row group of a file.

    Attributes:
        path: the file.
        number: which of its groups.
        first: the number of its first row among all rows of all files.
        rows: how many it has.
    """

    path: str
    number: int
    first: int
    rows: int


@dataclass(frozen=True)
class Source:
    """The rows of one or more Parquet files, the rows of each series together.

    Attributes:
        groups: their row groups, in order.
        columns: what is read: the names, the times, then the values and covariates that are asked
            for.
        called: what error messages call it.
    """

    groups: tuple[Group, ...]
    columns: tuple[str, ...]
    called: str = "source"

    @classmethod
    def of(
        cls, source: Any, columns: Sequence[str], called: str = "source", told: Sequence[str] = ()
    ) -> Source:
        """Look at the files.

        Args:
            source: a file, a folder of files (taken in the order of their names) or a list of
                files.
            columns: see the class.
            called: see the class.
            told: columns of which the user knows that they are not used.

        Raises:
            DataError: there are none, or one has other columns.
        """
        _, parquet = arrow()
        groups, rows, kinds = [], 0, None
        for path in _files(source, called):
            try:
                file = parquet.ParquetFile(path)
            except Exception as error:  # of many kinds
                raise DataError(f"{called} {str(path)!r} is no Parquet file ({error}).") from None
            with file:
                if kinds is None:
                    tell_unused(unused_numbers(file.schema_arrow, [*columns, *told]), columns)
                kinds = _kinds(file.schema_arrow, columns, path, kinds, called)
                for number in range(file.metadata.num_row_groups):
                    size = file.metadata.row_group(number).num_rows
                    groups.append(Group(str(path), number, rows, size))
                    rows += size
        if not rows:
            raise DataError(f"{called} has no rows; expected some.")
        return cls(tuple(groups), tuple(columns), called)

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return self.groups[-1].first + self.groups[-1].rows

    @property
    def fingerprint(self) -> list[list[Any]]:
        """What changes when the files do."""
        paths = sorted({one.path for one in self.groups})
        stats = [Path(path).stat() for path in paths]
        return [[path, s.st_size, s.st_mtime_ns] for path, s in zip(paths, stats, strict=True)]

    def between(self, first: int, last: int) -> Source:
        """The row groups in which the rows from `first` to `last`, excluded, are."""
        some = [one for one in self.groups if one.first < last and first < one.first + one.rows]
        return Source(tuple(some), self.columns, self.called)

    def series(self) -> tuple[np.ndarray, Any]:
        """Where each series begins, and the number of rows, int64 [N + 1]; and their names.

        Raises:
            DataError: a row has no name, or the rows of a series are not together.
        """
        pa, _ = arrow()
        key, found, names, last = self.columns[0], [], [], None
        for group in self.groups:
            column = self._group(group, [key]).column(0).combine_chunks()
            if column.null_count:
                raise DataError(
                    f"{self.called} {group.path!r} has rows without a name in {key!r}."
                )
            if not len(column):
                continue
            codes = np.asarray(column.dictionary_encode().indices)
            new = np.concatenate([[True], codes[1:] != codes[:-1]])
            new[0] = column[0] != last
            last = column[-1]
            place = np.flatnonzero(new)
            found.append(place + group.first)
            names.append(column.take(pa.array(place)))
        every = pa.chunked_array(names).combine_chunks()
        _require_together(every, key, self.called)
        return np.concatenate([*found, [self.rows]]).astype(np.int64), every

    def read(self, first: int, last: int) -> pa.Table:
        """The rows from `first` to `last`, excluded."""
        return self.read_all(np.array([first]), np.array([last]))

    def read_all(self, first: np.ndarray, last: np.ndarray) -> pa.Table:
        """The rows of several ranges, one after the other; the ranges increase."""
        pa, _ = arrow()
        parts, columns = [], list(self.columns)
        for group in self.groups:
            low = np.maximum(first, group.first) - group.first
            high = np.minimum(last, group.first + group.rows) - group.first
            some = np.flatnonzero(high > low)
            if not len(some):
                continue
            table = self._group(group, columns)
            parts += [table.slice(low[i], high[i] - low[i]) for i in some.tolist()]
            if len(some) > 1:  # a copy, so that the whole group need not be held
                parts[-len(some) :] = [_copied(pa.concat_tables(parts[-len(some) :]))]
        return pa.concat_tables(parts or [self._group(self.groups[0], columns).slice(0, 0)])

    def _group(self, group: Group, columns: list[str]) -> Any:
        _, parquet = arrow()
        with parquet.ParquetFile(group.path) as file:
            table = file.read_row_group(group.number, columns=columns).select(columns)
        for k, field in enumerate(table.schema):
            if str(field.type).startswith("dictionary"):  # each group has a dictionary of its own
                table = table.set_column(k, field.name, table[k].cast(field.type.value_type))
        return table


def _copied(table: Any) -> Any:
    pa, _ = arrow()
    return table.take(pa.array(np.arange(len(table))))


def _files(source: Any, called: str) -> list[Path]:
    listed = list(source) if isinstance(source, (list, tuple)) else [source]
    found: list[Path] = []
    for one in listed:
        if not isinstance(one, (str, os.PathLike)):
            raise ParameterError(
                f"{called} must be a Parquet file, a folder of them or a list; got a "
                f"{type(one).__name__}. What is in memory a panel's own fit and forecast take."
            )
        path = as_path(one)
        inside = sorted(path.glob("*.parquet")) if path.is_dir() else [path]
        if not inside or not all(file.is_file() for file in inside):
            raise DataError(
                f"{called} has no Parquet file at {str(path)!r}; expected a file, a folder with "
                "*.parquet files or a list of files."
            )
        found += inside
    if not found:
        raise DataError(f"{called} is an empty list; expected Parquet files.")
    return found


def _kinds(schema: Any, columns: Sequence[str], path: Path, before: Any, called: str) -> Any:
    """The types of the columns; those of all files are the same."""
    missing = [name for name in columns if name not in schema.names]
    if missing:
        raise DataError(
            f"{called} {str(path)!r} has no column called {' and '.join(map(repr, missing))}; a "
            f"long table has a row for each step and the columns {', '.join(map(repr, columns))}"
            f" (say columns= for others); this one has {schema.names[:6]}."
        )
    kinds = [schema.field(name).type for name in columns]
    if before is not None and kinds != before:
        raise DataError(
            f"{called} {str(path)!r} has the types {[str(kind) for kind in kinds]}; those of the "
            f"files before are {[str(kind) for kind in before]}."
        )
    return kinds


def _require_together(names: Any, key: str, called: str) -> None:
    """Raise `DataError` unless each name is there once."""
    codes = np.asarray(names.dictionary_encode().indices)
    if len(codes) and int(codes.max()) + 1 < len(codes):
        seen = np.unique(codes, return_index=True)[1]
        again = np.setdiff1d(np.arange(len(codes)), seen)[0]
        raise DataError(
            f"{called} has rows of {key} {names[int(again)].as_py()!r} in more than one place; "
            "expected the rows of each series together. Sort the file by that column first, as "
            f"polars.scan_parquet(...).sort({key!r}).sink_parquet(...) does for files of any size."
        )
