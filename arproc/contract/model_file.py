"""The file itself: tensors under names, and a JSON header, in one safetensors file.

Every size that the header speaks of is checked against the file before anything is allocated, and
a file is written whole or not at all. Its last tensor holds checksums (CRC-32) of all that stands
before it: of the header, and of each `_PIECE` bytes of tensors. So a bit that has flipped is found
wherever it is, the header alone can be checked without reading the rest, and any program that
reads safetensors reads the file.
"""

from __future__ import annotations

import json
import math
import mmap
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch

from arproc.contract.places import as_path, replacing
from arproc.errors import FileFormatError, ParameterError

__all__ = ["FORMAT_VERSION", "Stored", "read_file", "write_file"]

FORMAT_VERSION = 2
_BYTES = {
    "BOOL": 1, "U8": 1, "I8": 1, "F8_E4M3": 1, "F8_E5M2": 1, "U16": 2, "I16": 2, "F16": 2,
    "BF16": 2, "U32": 4, "I32": 4, "F32": 4, "U64": 8, "I64": 8, "F64": 8,
}  # fmt: skip
_NAMES = {
    torch.bool: "BOOL", torch.uint8: "U8", torch.int8: "I8", torch.uint16: "U16",
    torch.int16: "I16", torch.float16: "F16", torch.bfloat16: "BF16", torch.uint32: "U32",
    torch.int32: "I32", torch.float32: "F32", torch.uint64: "U64", torch.int64: "I64",
    torch.float64: "F64", torch.float8_e4m3fn: "F8_E4M3", torch.float8_e5m2: "F8_E5M2",
}  # fmt: skip
#: What a file holds: tensors, and arrays of files on disk, which are copied in pieces.
Stored = torch.Tensor | np.memmap
_PIECE = 1 << 24
#: safetensors reads no larger header.
_MAX_HEADER = 100_000_000
#: The tensor of checksums: bytes, since what stands last need not be aligned.
_CHECKSUMS = "arproc.crc32"
#: How many numbers one entry along the empty axes of a tensor without numbers may stand for.
_MAX_EMPTY = 1 << 32


def write_file(path: str | Path, header: dict[str, Any], tensors: Mapping[str, Stored]) -> None:
    """Write tensors and a JSON header to `path`, whole or not at all.

    Raises:
        ParameterError: there is no such folder, it can not be written to, or the header does not
            fit into a file.
        StorageError: the disk is full.
    """
    whole = {"format": "arproc", "version": FORMAT_VERSION, **header}
    described, ordered = _layout(tensors)
    text = json.dumps(whole, allow_nan=False)
    head = json.dumps({"__metadata__": {"arproc": text}, **described}).encode()
    head += b" " * (-len(head) % 8)
    if len(head) > _MAX_HEADER:
        raise ParameterError(
            f"the description of the model takes {len(head)} bytes; a file holds at most "
            f"{_MAX_HEADER}."
        )
    with replacing(path) as temporary, temporary.open("wb") as file:
        first = len(head).to_bytes(8, "little") + head
        file.write(first)
        checked = _Checked(file)
        for tensor in ordered:
            _append(checked, tensor)
        file.write(np.array([zlib.crc32(first), *checked.ended()], "<u4").data)


class _Checked:
    """A file that is written through this, which makes a checksum of each piece on the way."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._whole: list[int] = []
        self._crc, self._room = 0, _PIECE

    def write(self, data: memoryview) -> None:
        """Write bytes."""
        self._file.write(data)
        while len(data):
            part = data[: self._room]
            data = data[self._room :]
            self._crc = zlib.crc32(part, self._crc)
            self._room -= len(part)
            if self._room == 0:
                self._whole.append(self._crc)
                self._crc, self._room = 0, _PIECE

    def ended(self) -> list[int]:
        """The checksums of all pieces; the last may be short."""
        return self._whole if self._room == _PIECE else [*self._whole, self._crc]


def _append(file: _Checked, tensor: Stored) -> None:
    """Write the bytes of a tensor; those of a file on disk in pieces, which do not stay."""
    if isinstance(tensor, np.memmap):
        flat = tensor.reshape(-1).view(np.uint8)
        for begin in range(0, len(flat), _PIECE):
            file.write(flat[begin : begin + _PIECE].data)
            mapping = getattr(tensor, "_mmap", None)
            if mapping is not None and hasattr(mmap, "MADV_DONTNEED"):
                mapping.madvise(mmap.MADV_DONTNEED)
        return
    flat_tensor = tensor.detach().cpu().reshape(-1)
    if flat_tensor.stride() != (1,):
        kind = torch.contiguous_format
        flat_tensor = torch.empty_like(flat_tensor, memory_format=kind).copy_(flat_tensor)
    file.write(flat_tensor.view(torch.uint8).numpy().data)


def _layout(tensors: Mapping[str, Stored]) -> tuple[dict[str, Any], list[Stored]]:
    """Where each tensor lies in the file, the widest elements first so that all are aligned."""
    described: dict[str, Any] = {}
    ordered = []
    position = 0
    for name, tensor in sorted(tensors.items(), key=lambda item: -item[1].itemsize):
        end = position + tensor.nbytes
        kind = tensor.dtype if isinstance(tensor, torch.Tensor) else _torch_type(tensor.dtype)
        described[name] = {
            "dtype": _NAMES[kind],
            "shape": list(tensor.shape),
            "data_offsets": [position, end],
        }
        ordered.append(tensor)
        position = end
    size = 4 * (1 + -(-position // _PIECE))
    described[_CHECKSUMS] = {
        "dtype": "U8",
        "shape": [size],
        "data_offsets": [position, position + size],
    }
    return described, ordered


def _torch_type(dtype: np.dtype) -> torch.dtype:
    return torch.from_numpy(np.empty(0, dtype)).dtype


def read_file(
    path: str | Path, *, trust: bool = False
) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """Read a file of arproc's: its JSON header and its tensors, sizes and checksums first.

    Args:
        path: the file.
        trust: look at the header alone. The tensors are then read when they are used, and one that
            is damaged is not noticed.

    Raises:
        FileFormatError: it is damaged, of another kind, or of another version.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    path = as_path(path)
    if path.is_dir():
        raise FileFormatError(f"{str(path)!r} is a folder; give the name of a file.")
    if not path.is_file():
        raise FileFormatError(f"there is no file {str(path)!r}.")
    try:
        header = _checked_header(path, trust)
        tensors = load_file(path)
    except OSError as error:
        raise FileFormatError(f"{str(path)!r} can not be read: {error.strerror}.") from error
    except (SafetensorError, ValueError, TypeError, KeyError) as error:
        if isinstance(error, FileFormatError):
            raise
        raise FileFormatError(f"{str(path)!r} is damaged: {error}.") from None
    del tensors[_CHECKSUMS]
    return header, tensors


def _checked_header(path: Path, trust: bool) -> dict[str, Any]:
    """The JSON header, once every size it speaks of, and every checksum, agrees with the file."""
    size = path.stat().st_size
    with path.open("rb") as file:
        first = file.read(8)
        length = int.from_bytes(first, "little")
        if len(first) < 8 or length > min(size - 8, _MAX_HEADER):
            raise FileFormatError(
                f"{str(path)!r} is not a model of arproc's, or is cut short: its header would "
                f"have {length} bytes, the file has {size}."
            )
        raw = file.read(length)
        entries, header = _parsed(path, raw)
        _check_version(path, header)
        _check_sizes(path, entries, size - 8 - length)
        _check_sums(path, file, first + raw, entries, trust)
    return header


def _parsed(path: Path, raw: bytes) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the file says of its tensors, and arproc's own header."""
    try:
        entries = json.loads(raw, object_pairs_hook=_once)
        metadata = entries.pop("__metadata__", {})
        header = json.loads(metadata.get("arproc", "null"), parse_constant=_no_number)
    except (ValueError, AttributeError, TypeError, RecursionError):
        raise FileFormatError(f"{str(path)!r} is damaged: its header is not JSON.") from None
    if not isinstance(header, dict) or header.get("format") != "arproc":
        raise FileFormatError(f"{str(path)!r} is a safetensors file, but not of arproc's.")
    return entries, header


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object whose names are there once: of two, every reader takes another."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name is there twice")
    return found


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


def _check_version(path: Path, header: dict[str, Any]) -> None:
    version = header.get("version")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise FileFormatError(f"{str(path)!r} is damaged: its version is {version!r}.")
    if version != FORMAT_VERSION:
        newer = version > FORMAT_VERSION
        what = "Upgrade arproc." if newer else "Fit the model again and save it."
        raise FileFormatError(
            f"{str(path)!r} has format version {version}; this arproc reads {FORMAT_VERSION}. "
            f"{what}"
        )


def _check_sizes(path: Path, entries: dict[str, Any], available: int) -> None:
    position = 0
    try:
        spans = sorted((e["data_offsets"], e["dtype"], e["shape"], k) for k, e in entries.items())
        for (begin, end), dtype, shape, name in spans:
            wanted = math.prod(int(d) for d in shape) * _BYTES[dtype]
            if begin != position or end - begin != wanted or min(shape, default=0) < 0:
                raise FileFormatError(
                    f"{str(path)!r} is damaged: tensor {name!r} of shape {shape} and type {dtype} "
                    f"needs {wanted} bytes, the header gives it {begin} to {end}."
                )
            if math.prod(d or 1 for d in shape) > _MAX_EMPTY and wanted == 0:
                raise FileFormatError(
                    f"{str(path)!r} is damaged: tensor {name!r} is empty, and of shape {shape}."
                )
            position = end
    except FileFormatError:
        raise
    except (KeyError, TypeError, ValueError, ArithmeticError):
        raise FileFormatError(f"{str(path)!r} is damaged: its header is not in order.") from None
    if position != available:
        raise FileFormatError(
            f"{str(path)!r} is damaged: its tensors need {position} bytes, it has {available}."
        )


def _check_sums(
    path: Path, file: BinaryIO, head: bytes, entries: dict[str, Any], trust: bool
) -> None:
    """Compare the checksum of the header, and unless it is trusted those of all tensors.

    Args:
        path: for messages.
        file: the file, where the tensors begin.
        head: all that stands before.
        entries: what the header says of the tensors, in agreement with the file's size.
        trust: whether the tensors are left alone.
    """
    begin, end = entries.get(_CHECKSUMS, {}).get("data_offsets", (0, 0))
    last = max((entry["data_offsets"][1] for entry in entries.values()), default=0)
    if end != last or end - begin != 4 * (1 + -(-begin // _PIECE)):
        raise FileFormatError(f"{str(path)!r} is damaged: it has no checksums at its end.")
    file.seek(len(head) + begin)
    expected = np.frombuffer(file.read(end - begin), "<u4")
    if zlib.crc32(head) != expected[0]:
        raise FileFormatError(f"{str(path)!r} is damaged: its header has another checksum.")
    if trust:
        return
    file.seek(len(head))
    for number, wanted in enumerate(expected[1:]):
        at = number * _PIECE
        if zlib.crc32(file.read(min(_PIECE, begin - at))) != wanted:
            raise FileFormatError(
                f"{str(path)!r} is damaged: its tensors have another checksum, between the bytes "
                f"{len(head) + at} and {len(head) + min(at + _PIECE, begin)}. Copy the file again."
            )
