"""The folder of a job on disk: columns of numbers, whole or absent, and what the job is."""

from __future__ import annotations

import json
import shutil
import tempfile
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from arproc.errors import ParameterError

__all__ = ["Column", "Workspace", "Writer"]

_JOB = "job.json"


class Column:
    """Numbers in a file, read in pieces.

    Args:
        path: the file.
        dtype: of the numbers.
    """

    def __init__(self, path: Path, dtype: Any) -> None:
        self.path, self.dtype = path, np.dtype(dtype)

    def __len__(self) -> int:
        return self.path.stat().st_size // self.dtype.itemsize

    def read(self, begin: int, end: int) -> np.ndarray:
        """The numbers begin ... end-1."""
        offset = begin * self.dtype.itemsize
        return np.fromfile(self.path, self.dtype, end - begin, offset=offset)

    def __getitem__(self, i: int) -> int:
        return int(self.read(i, i + 1)[0])

    def mapped(self) -> np.ndarray:
        """All of them, read when they are used."""
        if len(self) == 0:
            return np.zeros(0, self.dtype)
        return np.memmap(self.path, self.dtype, "r")


class Writer:
    """A column that is being written: at its end, or over what is there."""

    def __init__(self, file: BinaryIO, dtype: Any) -> None:
        self.file, self.dtype = file, np.dtype(dtype)
        self.written = 0

    def append(self, numbers: np.ndarray) -> None:
        """Write numbers at the end."""
        self.file.write(np.ascontiguousarray(numbers, self.dtype).data)
        self.written += len(numbers)

    def read(self, begin: int, end: int) -> np.ndarray:
        """Numbers that have been written."""
        self.file.seek(begin * self.dtype.itemsize)
        raw = self.file.read((end - begin) * self.dtype.itemsize)
        return np.frombuffer(raw, self.dtype).copy()

    def write(self, begin: int, numbers: np.ndarray) -> None:
        """Write over what is there."""
        self.file.seek(begin * self.dtype.itemsize)
        self.file.write(np.ascontiguousarray(numbers, self.dtype).data)


class Workspace:
    """The folder of one job; what is there is complete, so a job that was stopped goes on.

    Args:
        folder: where; made if it is not there. None takes a temporary one, which goes with this
            object, or with what it `lives_with`.
        job: what is computed, as plain values; a folder with another job is refused.

    Raises:
        ParameterError: the folder holds another job's files, or something else.
    """

    def __init__(self, folder: str | Path | None, job: dict[str, Any]) -> None:
        self._owner: weakref.finalize[..., Any] | None = None
        if folder is None:
            self.folder = Path(tempfile.mkdtemp(prefix="arproc-"))
            self._owner = weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)
        else:
            self.folder = Path(folder)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ParameterError(
                f"scratch: {str(self.folder)!r} can not be made: {error}."
            ) from None
        self._check(json.loads(json.dumps(job)))

    def _check(self, job: dict[str, Any]) -> None:
        path = self.folder / _JOB
        if not path.is_file():
            if any(self.folder.iterdir()):
                raise ParameterError(
                    f"scratch: the folder {str(self.folder)!r} holds other files; give one that "
                    "is empty or does not exist."
                )
            self.note(_JOB, job)
            return
        there = self.noted(_JOB)
        if there != job:
            keys = sorted(there.keys() | job.keys())
            key = next(key for key in keys if there.get(key) != job.get(key))
            raise ParameterError(
                f"scratch: the folder {str(self.folder)!r} holds another job: its {key} is "
                f"{there.get(key)!r}, not {job.get(key)!r}. Give an empty folder, or delete it."
            )

    def lives_with(self, result: object) -> None:
        """A temporary folder stays as long as this object, which reads its files."""
        if self._owner is not None:
            self._owner.detach()
            self._owner = weakref.finalize(result, shutil.rmtree, self.folder, ignore_errors=True)

    def has(self, name: str) -> bool:
        """Whether this column was written to its end."""
        return (self.folder / name).is_file()

    def column(self, name: str, dtype: Any) -> Column:
        """A column that was written."""
        return Column(self.folder / name, dtype)

    @contextmanager
    def writer(self, name: str, dtype: Any) -> Iterator[Writer]:
        """A column to write, which is there once all went well."""
        with self.replacing(self.folder / name) as file:
            yield Writer(file, dtype)

    @contextmanager
    def replacing(self, path: Path) -> Iterator[BinaryIO]:
        """A file beside `path`, which takes its place in the end."""
        part = path.with_name(path.name + ".part")
        with part.open("w+b") as file:
            yield file
        part.replace(path)

    def note(self, name: str, value: Any) -> None:
        """Write down plain values."""
        with self.replacing(self.folder / name) as file:
            file.write(json.dumps(value).encode())

    def noted(self, name: str) -> Any:
        """What `note` wrote down."""
        return json.loads((self.folder / name).read_text())

    def remove(self, *names: str) -> None:
        """Delete columns that are no longer needed."""
        for name in names:
            (self.folder / name).unlink(missing_ok=True)
