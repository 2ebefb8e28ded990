"""The part of the package zstandard that arproc calls, over the C library, where it is missing.

Documented at https://python-zstandard.readthedocs.io: a decompressobj decompresses one frame;
`eof` says that it has ended and `unused_data` holds what came behind it.
"""

from __future__ import annotations

import ctypes
import ctypes.util
from pathlib import Path

_NAME = ctypes.util.find_library("zstd")
library = None if _NAME is None else ctypes.CDLL(_NAME)


class ZstdError(Exception):
    """What the C library refuses."""


class _Buffer(ctypes.Structure):
    _fields_ = (("at", ctypes.c_void_p), ("size", ctypes.c_size_t), ("pos", ctypes.c_size_t))


def _call(name, kind, *arguments):
    function = getattr(library, name)
    function.restype = kind
    return function(*arguments)


def _checked(code):
    if _call("ZSTD_isError", ctypes.c_uint, ctypes.c_size_t(code)):
        name = _call("ZSTD_getErrorName", ctypes.c_char_p, ctypes.c_size_t(code))
        raise ZstdError(f"zstd decompressor error: {name.decode()}")
    return code


class _DecompressObj:
    def __init__(self):
        self._stream = ctypes.c_void_p(_call("ZSTD_createDStream", ctypes.c_void_p))
        self.eof, self.unused_data = False, b""

    def __del__(self):
        _call("ZSTD_freeDStream", ctypes.c_size_t, self._stream)

    def decompress(self, data):
        if self.eof:
            raise ZstdError("cannot use a decompressobj multiple times")
        given = ctypes.create_string_buffer(bytes(data), len(data))
        source = _Buffer(ctypes.addressof(given), len(data), 0)
        room = ctypes.create_string_buffer(1 << 17)
        out = []
        while True:
            target = _Buffer(ctypes.addressof(room), len(room), 0)
            left = _checked(
                _call(
                    "ZSTD_decompressStream", ctypes.c_size_t, self._stream,
                    ctypes.byref(target), ctypes.byref(source),
                )
            )  # fmt: skip
            out.append(room.raw[: target.pos])
            if left == 0:
                self.eof, self.unused_data = True, bytes(data)[source.pos :]
                return b"".join(out)
            if source.pos == source.size and target.pos < target.size:
                return b"".join(out)


class ZstdDecompressor:
    """Makes decompressobjs."""

    def decompressobj(self):
        return _DecompressObj()


def compress(data):
    """One frame."""
    size = _call("ZSTD_compressBound", ctypes.c_size_t, ctypes.c_size_t(len(data)))
    room = ctypes.create_string_buffer(size)
    n = _checked(
        _call(
            "ZSTD_compress", ctypes.c_size_t, room, ctypes.c_size_t(size), bytes(data),
            ctypes.c_size_t(len(data)), ctypes.c_int(3),
        )
    )  # fmt: skip
    return room.raw[:n]


class _Writer:
    def __init__(self, path):
        self.path, self.parts = Path(path), []

    def write(self, data):
        self.parts.append(bytes(data))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.path.write_bytes(compress(b"".join(self.parts)))


def open(path, mode):
    """A file to write, as `zstandard.open(path, "wb")`."""
    assert mode == "wb"
    return _Writer(path)
