"""The folder of a job on disk: columns of numbers, whole or absent, and what the job is."""

from __future__ import annotations

import json
import os
import shutil
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Self

import numpy as np

from arproc.contract.places import can_not_write, held, storing, temporary_folder
from arproc.errors import ParameterError

__all__ = ["Column", "Workspace", "Writer"]

_JOB = "job.json"
_PART = ".part"


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


def _remove(folder: Path, handle: int) -> None:
    """Delete a temporary folder, and let go of it."""
    shutil.rmtree(folder, ignore_errors=True)
    if handle >= 0:
        os.close(handle)


class Workspace:
    """The folder of one job; what is there is complete, so a job that was stopped goes on.

    Args:
        folder: where; made if it is not there. None takes a temporary one, which goes with this
            object, or with what it `lives_with`.
        job: what is computed, as plain values; a folder with another job is refused.

    Raises:
        ParameterError: the folder holds another job's files, or something else, or another
            program is at work in it.
        StorageError: the disk is full.
    """

    def __init__(self, folder: str | Path | None, job: dict[str, Any]) -> None:
        self._owner: weakref.finalize[..., Any] | None = None
        self._handle: int | None = None
        if folder is None:
            self.folder, handle = temporary_folder()
            self._owner = weakref.finalize(self, _remove, self.folder, handle)
        else:
            self.folder = Path(folder)
            self._handle = self._hold()
        try:
            self._check(json.loads(json.dumps(job)))
        except BaseException:
            self.release()
            raise

    def _hold(self) -> int:
        """Make the folder, and hold it against other programs."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            handle = held(self.folder)
        except OSError as error:
            raise can_not_write("scratch: the folder ", self.folder, error) from error
        if handle is None:
            raise ParameterError(
                f"scratch: another fit is at work in the folder {str(self.folder)!r}; wait for "
                "it, or give another folder."
            )
        return handle

    def release(self) -> None:
        """Let other programs use the folder, where it is not a temporary one."""
        if self._handle is not None and self._handle >= 0:
            os.close(self._handle)
        self._handle = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def _check(self, job: dict[str, Any]) -> None:
        path = self.folder / _JOB
        if not path.is_file():
            begun = self.folder / (_JOB + _PART)  # of a job that was killed at its first step
            if any(path != begun for path in self.folder.iterdir()):
                raise ParameterError(
                    f"scratch: the folder {str(self.folder)!r} holds other files; give one that "
                    "is empty or does not exist."
                )
            self.note(_JOB, job)
            return
        there = self._job_of(path)
        if there != job:
            keys = sorted(there.keys() | job.keys())
            key = next(key for key in keys if there.get(key) != job.get(key))
            raise ParameterError(
                f"scratch: the folder {str(self.folder)!r} holds another job: its {key} is "
                f"{there.get(key)!r}, not {job.get(key)!r}. Give an empty folder, or delete it."
            )

    def _job_of(self, path: Path) -> dict[str, Any]:
        try:
            there = self.noted(path.name)
        except ValueError:
            there = None
        if not isinstance(there, dict):
            raise ParameterError(
                f"scratch: {str(path)!r} is damaged, so that nobody knows whose the other files "
                "are. Give an empty folder, or delete this one."
            )
        return there

    def lives_with(self, result: object) -> None:
        """A temporary folder stays as long as this object, which reads its files."""
        if self._owner is not None:
            found = self._owner.detach()
            assert found is not None
            self._owner = weakref.finalize(result, _remove, *found[2])

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
        """A file beside `path`, which takes its place in the end; else nothing is left of it.

        Raises:
            StorageError: the disk is full.
        """
        part = path.with_name(path.name + _PART)
        with storing(path):
            try:
                with part.open("w+b") as file:
                    yield file
                part.replace(path)
            except BaseException:
                part.unlink(missing_ok=True)
                raise

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
