"""Text as it lies on disk: plain or compressed, and where its lines end, by one rule for all.

Text is UTF-8; a byte order mark at its beginning is no part of it. A line ends with a newline, or
with a carriage return and a newline, and with nothing else: form feeds, vertical tabs, U+0085 and
U+2028 stand within lines. What follows the last newline is a line if it is not empty. An empty
line is a line: a sequence without elements, as KenLM and SRILM count it.

Files compressed by gzip, bzip2, xz or zstd are known by their first bytes, whatever their names.
"""

from __future__ import annotations

import bz2
import codecs
import gzip
import io
import lzma
import os
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from arproc.errors import DataError, MissingDependencyError

__all__ = [
    "BOM",
    "Held",
    "beginning",
    "check_utf8",
    "compression",
    "decompressed",
    "is_stream",
    "read_lines",
    "text_bytes",
    "text_of",
    "zstd",
]

BOM = codecs.BOM_UTF8
_CHUNK = 1 << 20
_MAGIC = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ\x00": "xz", b"\x28\xb5\x2f\xfd": "zstd"}
_OTHER_BOMS = {
    codecs.BOM_UTF32_LE: "UTF-32", codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16", codecs.BOM_UTF16_BE: "UTF-16",
}  # fmt: skip
_DAMAGE = (EOFError, gzip.BadGzipFile, zlib.error, lzma.LZMAError)


# ---- bytes of files, decompressed -----------------------------------------------------------


def compression(first: bytes) -> str | None:
    """What a file whose first six bytes these are is compressed by; None for a plain one."""
    return next((name for magic, name in _MAGIC.items() if first.startswith(magic)), None)


@contextmanager
def decompressed(path: Path, failure: Callable[[str], Exception] = DataError) -> Iterator[Any]:
    """The bytes of a file, plain or compressed, as an open binary file.

    Args:
        path: the file.
        failure: what to raise, from a message, where the file is damaged.

    Raises:
        MissingDependencyError: it is a zstd file, and nothing here reads these.
    """
    with path.open("rb") as raw:
        kind = compression(raw.read(6))
        raw.seek(0)
        if kind is None:
            yield raw
            return
        with _damage_of(repr(str(path)), kind, failure), _OPENERS[kind](raw) as file:
            yield file


@contextmanager
def _damage_of(name: str, kind: str | None, failure: Callable[[str], Exception]) -> Iterator[None]:
    """While a compressed file is read: what is wrong with it becomes the library's error."""
    try:
        yield
    except (*_DAMAGE, OSError) as error:
        if kind is None or getattr(error, "errno", None) is not None:  # of the disk
            raise
        raise failure(f"{name} is a damaged {kind} file: {error}.") from None


class _Zstd(io.RawIOBase):
    """A zstd file, of one frame or of several, as its bytes; one that is cut off is an error."""

    def __init__(self, raw: Any) -> None:
        self._raw, self._new, self._errors = raw, *_frames()
        self._frame = self._new()
        self._begun, self._out = False, memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._out:
            piece = self._frame.unused_data if self._frame.eof else b""
            if self._frame.eof:
                self._frame, self._begun = self._new(), False
            piece = piece or self._raw.read(1 << 15)
            if not piece:
                if self._begun:
                    raise EOFError("it ends within a frame")
                return 0
            self._begun = True
            try:
                self._out = memoryview(self._frame.decompress(piece))
            except self._errors as error:
                raise EOFError(str(error)) from None
        n = min(len(buffer), len(self._out))
        buffer[:n], self._out = self._out[:n], self._out[n:]
        return n


def zstd() -> Any:
    """The module that knows zstd: Python's own from 3.14 on, or the package zstandard."""
    for name in ("compression.zstd", "zstandard"):
        with suppress(ImportError):
            return import_module(name)
    raise MissingDependencyError(
        "The file is compressed by zstd, which Python knows from 3.14 on, and the package "
        "zstandard before: bring it with pip install zstandard, or take gzip or xz."
    )


def _frames() -> tuple[Callable[[], Any], type[Exception]]:
    """What makes a decompressor of one frame of zstd, and the error that it raises."""
    module = zstd()
    if module.__name__ == "zstandard":
        return lambda: module.ZstdDecompressor().decompressobj(), module.ZstdError
    return module.ZstdDecompressor, module.ZstdError


_OPENERS: dict[str, Callable[[Any], Any]] = {
    "gzip": lambda raw: gzip.GzipFile(fileobj=raw, mode="rb"),
    "bzip2": bz2.BZ2File,
    "xz": lzma.LZMAFile,
    "zstd": lambda raw: io.BufferedReader(_Zstd(raw), _CHUNK),
}


# ---- text -----------------------------------------------------------------------------------


def is_stream(data: Any) -> bool:
    """Whether this is an open file or a pipe, such as `sys.stdin`."""
    return not isinstance(data, (str, os.PathLike)) and callable(getattr(data, "read", None))


class Held(io.BytesIO):
    """What an open file held, in memory, to be read as often as need be: UTF-8, or as it was."""

    @classmethod
    def of(cls, stream: Any) -> Held:
        """All that comes from a stream; one that is held already as it is."""
        if isinstance(stream, cls):
            return stream
        if isinstance(stream, io.TextIOBase):
            text = "".join(_of_text(stream, _called(stream)))
            return cls(text.encode("utf-8", "surrogatepass"))
        whole = stream.read()
        if not isinstance(whole, bytes):
            raise DataError(
                f"{_called(stream)} gives {type(whole).__name__} on reading; expected text or "
                "bytes."
            )
        return cls(whole)

    @property
    def name(self) -> str:
        """What messages call it."""
        return "data"


def _called(stream: Any) -> str:
    return f"the stream {str(getattr(stream, 'name', type(stream).__name__))!r}"


def read_lines(source: Any) -> Iterator[str]:
    r"""The lines of a text file, one by one, without what ends them.

    They come a megabyte at a time, so that a file of any size takes the same memory. UTF-8; a byte
    order mark is passed over. A line ends with a newline (a carriage return before it included)
    and with nothing else; an empty line is a line, and nothing follows the last newline.

    Args:
        source: a path (the file may be compressed by gzip, bzip2, xz or zstd), or an open file,
            such as `sys.stdin`.

    Raises:
        DataError: there is no such file, or it is damaged or not UTF-8; the message says where.
        MissingDependencyError: it is a zstd file, and the package that reads these is missing.

    Example:
        >>> import io
        >>> list(read_lines(io.BytesIO(b"a rose\r\n\nis a\x0crose\n")))
        ['a rose', '', 'is a\x0crose']
    """
    rest = ""
    for text in _texts(source):
        whole = rest + text
        lines = whole.split("\n")
        rest = lines.pop()
        yield from (line[:-1] if line[-1:] == "\r" else line for line in lines)
    if rest:
        yield rest


def text_of(source: Any) -> str:
    """A text file whole: its lines, each that a newline ended with one newline behind it."""
    return "".join(_texts(source)).replace("\r\n", "\n")


def text_bytes(source: Any) -> np.ndarray:
    """A text file whole, as the bytes of UTF-8 that it holds: uint8, without a last newline.

    A plain file is mapped and read when it is used; any other is read into memory.

    Raises:
        DataError: the file is not UTF-8; the message says where.
    """
    if isinstance(source, os.PathLike):
        path = _existing(source)
        first = beginning(path)
        if compression(first) is None:
            check_utf8(path)
            skip = len(BOM) if first.startswith(BOM) else 0
            size = path.stat().st_size - skip
            raw = np.memmap(path, np.uint8, "r", skip) if size else np.zeros(0, np.uint8)
            return _without_newline(raw)
    whole = "".join(_texts(source)).encode("utf-8", "surrogatepass")
    return _without_newline(np.frombuffer(whole, np.uint8))


def check_utf8(path: Path) -> None:
    """Refuse a file that is not UTF-8.

    Raises:
        DataError: with the place of the first byte that is not.
    """
    for _ in _texts(path):
        pass


def _without_newline(raw: np.ndarray) -> np.ndarray:
    return raw[:-1] if len(raw) and raw[-1] == ord("\n") else raw


def beginning(path: Path) -> bytes:
    """A file's first bytes, which tell what it is."""
    with path.open("rb") as file:
        return file.read(6)


def _existing(path: Any) -> Path:
    path = Path(path)
    if not path.is_file():
        rest = " (it is a folder)" if path.is_dir() else ""
        raise DataError(f"there is no file {str(path)!r}{rest}.")
    return path


def _texts(source: Any) -> Iterator[str]:
    """The text of a file, decoded, a megabyte at a time."""
    if not is_stream(source):
        path = _existing(source)
        with decompressed(path) as file:
            yield from _decoded(file, f"the file {str(path)!r}")
        return
    name = _called(source)
    if isinstance(source, Held):
        source.seek(0)
    if isinstance(source, io.TextIOBase):
        yield from _of_text(source, name)
        return
    first = source.read(6)
    if not isinstance(first, bytes):
        raise DataError(f"{name} gives {type(first).__name__} on reading; expected text or bytes.")
    kind = compression(first)
    whole = io.BufferedReader(_Joined(first, source), _CHUNK)
    with _damage_of(name, kind, DataError):
        yield from _decoded(whole if kind is None else _OPENERS[kind](whole), name)


def _of_text(source: Any, name: str) -> Iterator[str]:
    """The text of a file that is open as text: in its own encoding, from where it stands."""
    with suppress(AttributeError, OSError):  # nothing translates line ends, if it is not too late
        source.reconfigure(newline="\n")
    first = True
    try:
        while text := source.read(_CHUNK):
            yield text.removeprefix("\ufeff") if first else text
            first = False
    except UnicodeDecodeError as error:
        raise DataError(f"{name} can not be read in its encoding: {error}.") from None


class _Joined(io.RawIOBase):
    """Bytes that were read from a stream, and the rest of it."""

    def __init__(self, first: bytes, rest: Any) -> None:
        self._first, self._rest = first, rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        piece = self._first[: len(buffer)] or self._rest.read(len(buffer)) or b""
        self._first = self._first[len(piece) :]
        buffer[: len(piece)] = piece
        return len(piece)


def _decoded(file: Any, name: str) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder("utf-8")()
    at, first = 0, True
    while True:
        piece = file.read(max(_CHUNK, 4))  # a mark has up to four bytes
        if first:
            _refuse_other(piece, name)
            skip = len(BOM) if piece.startswith(BOM) else 0
            piece, at, first = piece[skip:], skip, False
            if skip and not piece:
                continue
        held = len(decoder.getstate()[0])
        try:
            text = decoder.decode(piece, not piece)
        except UnicodeDecodeError as error:
            raise DataError(
                f"{name} is not UTF-8 text (byte {at - held + error.start}); re-encode it or use "
                'tokens="byte".'
            ) from None
        if text:
            yield text
        if not piece:
            return
        at += len(piece)


def _refuse_other(piece: bytes, name: str) -> None:
    """Refuse what says itself that it is not UTF-8."""
    for mark, kind in _OTHER_BOMS.items():
        if piece.startswith(mark):
            raise DataError(
                f"{name} is {kind} text by its byte order mark; re-encode it as UTF-8."
            )
