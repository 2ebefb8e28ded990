"""What is told of a training while it runs: rows for callbacks, to CSV files and TensorBoard."""

from __future__ import annotations

import math
import os
import socket
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from arproc.contract.places import as_path, can_not_write, replacing, storing
from arproc.errors import ParameterError, check_integer
from arproc.training.history import Row

__all__ = ["CSVLog", "Callback", "StopTraining", "TensorBoardLog"]

#: What `Training(callbacks=)` takes: a function that gets the row of each update.
Callback = Callable[[Row], Any]


class StopTraining(Exception):
    """A callback raises it to end the training; the best weights so far are kept.

    Example:
        >>> import arproc
        >>> def enough(row):
        ...     if row["step"] == 3:
        ...         raise arproc.training.StopTraining
        >>> plan = arproc.Training(steps=50, callbacks=(enough,))
        >>> len(arproc.MADE((4,), training=plan).fit([[0, 1], [1, 1]] * 9).history_)
        3
    """


class CSVLog:
    """Writes the rows of a training to a CSV file, as they come.

    A run that is resumed goes on in the same file: rows that were written after the checkpoint
    are replaced, so that it is the file of a run without a break.

    Args:
        path: the file; one that is there is replaced when a run begins at its first step.
        every: after how many updates a row is written; those with a validation loss always are.

    Raises:
        ParameterError: the file can not be written there.

    Example:
        >>> import arproc, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     log = arproc.training.CSVLog(f"{folder}/log.csv", every=2)
        ...     plan = arproc.Training(steps=4, callbacks=(log,))
        ...     _ = arproc.MADE((4,), training=plan).fit([[0, 1], [1, 1]] * 9)
        ...     print([line.split(",")[0] for line in log.path.read_text().splitlines()])
        ['step', '2', '4']
    """

    def __init__(self, path: str | os.PathLike[str], every: int = 1) -> None:
        self.path = as_path(path)
        self.every = check_integer("every", every, minimum=1)
        self._last: float | None = None

    def __call__(self, row: Row) -> None:
        if self._last is None or row["step"] <= self._last:
            self._begin(row)
        self._last = row["step"]
        if row["step"] % self.every == 0 or not math.isnan(row["validation"]):
            with storing(self.path), self.path.open("a", encoding="utf-8") as file:
                file.write(_line(row.values()))

    def _begin(self, row: Row) -> None:
        """Keep what an earlier part of this run wrote, and no more."""
        head, kept = _line(row), []
        if row["step"] > 1 and self.path.is_file():
            lines = self.path.read_text(encoding="utf-8").splitlines(keepends=True)
            if lines[:1] == [head]:
                kept = [line for line in lines[1:] if _step(line) < row["step"]]
        with replacing(self.path) as temporary:
            temporary.write_text(head + "".join(kept), encoding="utf-8")


def _line(values: Any) -> str:
    written = ("" if value != value else str(value) for value in values)  # nan is no number
    return ",".join(written) + "\n"


def _step(line: str) -> float:
    """The step of a line that was written; of one that was cut short none to be kept."""
    first = line.partition(",")[0]
    return float(first) if line.endswith("\n") and first.isdigit() else math.inf


class TensorBoardLog:
    """Writes the rows of a training as events, which TensorBoard draws; it need not be installed.

    A run that is resumed tells TensorBoard to forget what came after its checkpoint.

    Args:
        folder: where event files are written; made if it is not there.
        every: after how many updates scalars are written; validation losses always are.

    Raises:
        ParameterError: nothing can be written there.

    Example:
        >>> import arproc, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     log = arproc.training.TensorBoardLog(folder)
        ...     plan = arproc.Training(steps=4, callbacks=(log,))
        ...     _ = arproc.MADE((4,), training=plan).fit([[0, 1], [1, 1]] * 9)
        ...     print(len(list(log.folder.glob("events.out.tfevents.*"))))
        1
    """

    def __init__(self, folder: str | os.PathLike[str], every: int = 1) -> None:
        self.folder = as_path(folder)
        self.every = check_integer("every", every, minimum=1)
        self._last: float | None = None
        self._file: Path | None = None

    def __call__(self, row: Row) -> None:
        if self._last is None or row["step"] <= self._last:
            self._begin(row)
        self._last = row["step"]
        due = row["step"] % self.every == 0
        told = [
            (f"training/{name}", value)
            for name, value in row.items()
            if name != "step" and not math.isnan(value) and (due or name == "validation")
        ]
        if told:
            self._write(_scalars(int(row["step"]), told))

    def _begin(self, row: Row) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise can_not_write("", self.folder, error) from error
        number, host = time.time_ns(), socket.gethostname()
        self._file = self.folder / f"events.out.tfevents.{number}.{host}.{os.getpid()}"
        self._write(_event(3, b"brain.Event:2"))
        if row["step"] > 1:  # a session that starts here: what is later was of the one before
            self._write(_event(7, _field(1, 1), int(row["step"])))

    def _write(self, event: bytes) -> None:
        assert self._file is not None
        with storing(self._file), self._file.open("ab") as file:
            file.write(_record(event))


# ---- TensorBoard's files: records of protocol buffers ---------------------------------------


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


def _field(number: int, value: int | float | bytes, *, double: bool = False) -> bytes:
    """A field of a protocol buffer: a whole number, a real one, or bytes."""
    if isinstance(value, bytes):
        return _varint(number << 3 | 2) + _varint(len(value)) + value
    if isinstance(value, float):
        kind, form = (1, "<d") if double else (5, "<f")
        return _varint(number << 3 | kind) + struct.pack(form, value)
    return _varint(number << 3) + _varint(value)


def _event(number: int, what: bytes, step: int = 0) -> bytes:
    """tensorflow.Event: its time, its step, and one thing that it tells."""
    return _field(1, time.time(), double=True) + _field(2, step) + _field(number, what)


def _scalars(step: int, values: list[tuple[str, float]]) -> bytes:
    summary = (_field(1, _field(1, tag.encode()) + _field(2, float(v))) for tag, v in values)
    return _event(5, b"".join(summary), step)


def _record(data: bytes) -> bytes:
    """A TFRecord: the length and the data, each with its masked CRC-32C."""
    length = struct.pack("<Q", len(data))
    return length + _masked(length) + data + _masked(data)


def _masked(data: bytes) -> bytes:
    crc = crc32c(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def _table() -> list[int]:
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
        table.append(byte)
    return table


_CRC = _table()


def crc32c(data: bytes) -> int:
    """The CRC-32C (Castagnoli) of some bytes.

    Example:
        >>> hex(crc32c(b"123456789"))
        '0xe3069283'
    """
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _CRC[(crc ^ byte) & 255]
    return crc ^ 0xFFFFFFFF


def check_callbacks(callbacks: Any) -> None:
    """Raise `ParameterError` unless these are functions."""
    if not isinstance(callbacks, (tuple, list)) or not all(callable(f) for f in callbacks):
        raise ParameterError(
            "callbacks must be a tuple of functions of a row, such as "
            f"(arproc.training.CSVLog('log.csv'),); got {callbacks!r}."
        )
