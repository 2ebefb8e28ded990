"""The bytes of a text file, plain or compressed, through a buffer that holds whole lines."""

from __future__ import annotations

import bz2
import gzip
import lzma
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from arproc.errors import FileFormatError
from arproc.files import as_path

__all__ = ["Source", "compressed_writer", "open_source", "show"]

_CHUNK = 2**20
_LONGEST_LINE = 2**26
_READERS: dict[bytes, Any] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ\x00": lzma.open}
_DAMAGE = (EOFError, gzip.BadGzipFile, zlib.error, lzma.LZMAError, OSError)


class Source:
    """Lines of a file, one by one as bytes, or by the buffer for compiled code.

    Attributes:
        text: uint8, the buffer; `begin` to `end` are whole lines that were not yet taken.
        number: how many lines were taken.
    """

    def __init__(self, path: Path, file: Any) -> None:
        self.path, self._file = path, file
        self._bytes = bytearray(_CHUNK)
        self.text = np.frombuffer(self._bytes, np.uint8)
        self.begin = self.end = self._filled = 0
        self.number = 0

    def refill(self) -> bool:
        """Slide the buffer on, to hold whole lines behind `begin`; False where the file ends."""
        while True:
            rest = self._bytes[self.begin : self._filled]
            if len(rest) + 1 >= len(self._bytes):
                self._enlarge()
            self._bytes[: len(rest)] = rest
            self.begin, searched = 0, self.end - self.begin
            got = self._file.readinto(memoryview(self._bytes)[len(rest) : -1])
            self._filled = len(rest) + got
            if got == 0 and self._filled > searched:  # the last line has no end
                self._bytes[self._filled] = ord("\n")
                self._filled += 1
            self.end = self._bytes.rfind(b"\n", 0, self._filled) + 1
            if got == 0 or self.end > searched:
                return self.end > searched

    def _enlarge(self) -> None:
        if len(self._bytes) >= _LONGEST_LINE:
            raise self.error(f"the line is longer than {_LONGEST_LINE:,} bytes.", self.number + 1)
        self._bytes = self._bytes + bytes(len(self._bytes))
        self.text = np.frombuffer(self._bytes, np.uint8)

    def line(self) -> bytes | None:
        """The next line without blanks at its ends, or None."""
        if self.begin == self.end and not self.refill():
            return None
        stop = self._bytes.index(b"\n", self.begin, self.end)
        line = bytes(self._bytes[self.begin : stop])
        self.begin, self.number = stop + 1, self.number + 1
        return line.strip(b" \t\r")

    def __iter__(self) -> Iterator[bytes]:
        while (line := self.line()) is not None:
            yield line

    def error(self, message: str, line: int | None = None) -> FileFormatError:
        """What to raise about a line, the last one taken if none is given."""
        return FileFormatError(f"{str(self.path)!r}, line {line or self.number}: {message}")


@contextmanager
def open_source(path: str | Path) -> Iterator[Source]:
    """Read a file; gzip, bzip2 and xz are known by their first bytes.

    Raises:
        FileFormatError: there is no such file, or it is damaged.
    """
    path = as_path(path)
    if not path.is_file():
        raise FileFormatError(f"There is no file {str(path)!r}.")
    with path.open("rb") as probe:
        first = probe.read(6)
    opener = next((opener for magic, opener in _READERS.items() if first.startswith(magic)), None)
    if opener is None:
        with path.open("rb", buffering=0) as plain:
            yield Source(path, plain)
        return
    try:
        with opener(path, "rb") as file:
            yield Source(path, file)
    except _DAMAGE as error:
        kind = opener.__module__.lstrip("_")
        raise FileFormatError(f"{str(path)!r} is a damaged {kind} file: {error}.") from None


def compressed_writer(path: Path, suffix: str) -> Any:
    """A file to write to, compressed as the suffix says: .gz, .bz2, .xz, or plain."""
    if suffix == ".gz":
        return gzip.open(path, "wb", 6)
    if suffix == ".bz2":
        return bz2.open(path, "wb")
    return lzma.open(path, "wb") if suffix == ".xz" else path.open("wb")


def show(line: bytes) -> str:
    """A line for an error message, cut where it is long."""
    text = line.decode("utf-8", "replace")
    return repr(text if len(text) <= 60 else text[:57] + "...")
