"""An ARPA file's bytes, plain or compressed, through a buffer of whole lines; and its header."""

from __future__ import annotations

import bz2
import gzip
import lzma
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from arproc.contract.places import as_path
from arproc.data.text_files import decompressed, zstd
from arproc.errors import FileFormatError

__all__ = ["BLANKS", "Source", "compressed_writer", "open_source", "read_header", "show"]

BLANKS = re.compile(rb"[ \t\r]+")
#: What other files of n-grams begin with, and what to do about them.
_FOREIGN = {
    b"mmap lm http": "a binary file of KenLM's; read the ARPA file that it was built from",
    b"blmt": "a binary file of IRSTLM's; write an ARPA file with compile-lm --text yes",
    b"iARPA": "IRSTLM's iARPA, which holds no probabilities; convert it by compile-lm --text yes",
    b"qARPA": "IRSTLM's quantised qARPA; convert it by compile-lm --text yes",
}

_CHUNK = 2**20
_LONGEST_LINE = 2**26


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
    """Read a file; gzip, bzip2, xz and zstd are known by their first bytes.

    Raises:
        FileFormatError: there is no such file, or it is damaged.
    """
    path = as_path(path)
    if not path.is_file():
        raise FileFormatError(f"There is no file {str(path)!r}.")
    with decompressed(path, FileFormatError) as file:
        yield Source(path, file)


def compressed_writer(path: Path, suffix: str) -> Any:
    """A file to write to, compressed as the suffix says: .gz, .bz2, .xz, .zst, or plain."""
    if suffix == ".zst":
        return zstd().open(path, "wb")
    if suffix == ".gz":
        return gzip.open(path, "wb", 6)
    if suffix == ".bz2":
        return bz2.open(path, "wb")
    return lzma.open(path, "wb") if suffix == ".xz" else path.open("wb")


def show(line: bytes) -> str:
    """A line for an error message, cut where it is long."""
    text = line.decode("utf-8", "replace")
    return repr(text if len(text) <= 60 else text[:57] + "...")


def read_header(source: Source) -> list[int]:
    """How many n-grams of each order an ARPA file says it has; its unigrams come next.

    Raises:
        FileFormatError: it is no ARPA file, or its header is not in order.
    """
    for line in source:
        if line.removeprefix(b"\xef\xbb\xbf") == b"\\data\\":
            break
        known = next((what for start, what in _FOREIGN.items() if line.startswith(start)), None)
        if known is not None:
            raise source.error(f"this is no ARPA file but {known}.")
    else:
        raise source.error("the file has no line \\data\\, so it is not an ARPA file.")
    sizes: list[int] = []
    for line in source:
        if not line:
            continue
        if line == b"\\1-grams:":
            break
        left, equals, right = line.partition(b"=")
        fields = left.split()
        ok = equals and len(fields) == 2 and fields[0] == b"ngram" and right.strip().isdigit()
        if not ok or fields[1] != b"%d" % (len(sizes) + 1):
            raise source.error(
                f"expected 'ngram {len(sizes) + 1}=count' or \\1-grams:; got {show(line)}."
            )
        sizes.append(int(right))
        if sum(sizes) >= 2**31:
            raise source.error(f"this reads up to 2,147,483,647 n-grams; got {show(line)}.")
    else:
        raise source.error("the file ends before \\1-grams:.")
    if not sizes:
        raise source.error("no 'ngram 1=count' stands between \\data\\ and \\1-grams:.")
    return sizes
