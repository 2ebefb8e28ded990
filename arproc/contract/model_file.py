"""The file itself: tensors under names, and a JSON header, in one safetensors file.

Every size that the header speaks of is checked against the file before anything is allocated,
the header carries a checksum of itself, and a file is written whole or not at all.
"""

from __future__ import annotations

import json
import math
import mmap
import os
import tempfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch

from arproc.errors import FileFormatError, ParameterError

__all__ = ["FORMAT_VERSION", "Stored", "as_path", "read_file", "replacing", "write_file"]

FORMAT_VERSION = 1
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


def write_file(path: str | Path, header: dict[str, Any], tensors: Mapping[str, Stored]) -> None:
    """Write tensors and a JSON header to `path`, whole or not at all.

    Raises:
        ParameterError: there is no such folder, it can not be written to, or the header does not
            fit into a file.
    """
    whole = {"format": "arproc", "version": FORMAT_VERSION, **header}
    text = json.dumps(whole | {"crc32": _checksum(whole)}, allow_nan=False)
    described, ordered = _layout(tensors)
    head = json.dumps({"__metadata__": {"arproc": text}, **described}).encode()
    head += b" " * (-len(head) % 8)
    if len(head) > _MAX_HEADER:
        raise ParameterError(
            f"the description of the model takes {len(head)} bytes; a file holds at most "
            f"{_MAX_HEADER}."
        )
    with replacing(path) as temporary, temporary.open("wb") as file:
        file.write(len(head).to_bytes(8, "little"))
        file.write(head)
        for tensor in ordered:
            _append(file, tensor)


def _append(file: BinaryIO, tensor: Stored) -> None:
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
    return described, ordered


def _torch_type(dtype: np.dtype) -> torch.dtype:
    return torch.from_numpy(np.empty(0, dtype)).dtype


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """A temporary file to write, which becomes `path` when all went well; else nothing is left.

    Raises:
        ParameterError: `path` is no path, is a folder, or can not be written to.
    """
    path = as_path(path)
    if not path.parent.is_dir():
        raise ParameterError(f"the folder {str(path.parent)!r} does not exist; create it first.")
    if path.is_dir():
        raise ParameterError(f"{str(path)!r} is a folder; give the name of a file.")
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise ParameterError(f"{str(path)!r} can not be written: {error.strerror}.") from error
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("r+b") as file:  # on the disk before the old file goes
            os.fsync(file.fileno())
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def as_path(path: Any) -> Path:
    """`path` as a `Path`, or an error that says what came instead."""
    if not isinstance(path, (str, os.PathLike)):
        raise ParameterError(f"path must be a str or a Path; got {path!r}.")
    return Path(path)


def read_file(path: str | Path) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """Read a file of arproc's: its JSON header and its tensors, sizes checked first.

    Raises:
        FileFormatError: it is damaged, of another kind, or from a newer version.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    path = as_path(path)
    if path.is_dir():
        raise FileFormatError(f"{str(path)!r} is a folder; give the name of a file.")
    if not path.is_file():
        raise FileFormatError(f"there is no file {str(path)!r}.")
    header = _checked_header(path)
    try:
        return header, load_file(path)
    except (SafetensorError, ValueError, TypeError, KeyError) as error:
        raise FileFormatError(f"{str(path)!r} is damaged: {error}.") from None


def _checksum(header: dict[str, Any]) -> str:
    return f"{zlib.crc32(json.dumps(header).encode()):08x}"


def _checked_header(path: Path) -> dict[str, Any]:
    """The JSON header, once every size it speaks of agrees with the size of the file."""
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
    try:
        entries = json.loads(raw)
        metadata = entries.pop("__metadata__", {})
        header = json.loads(metadata.get("arproc", "null"))
    except (ValueError, AttributeError, TypeError, RecursionError):
        raise FileFormatError(f"{str(path)!r} is damaged: its header is not JSON.") from None
    if not isinstance(header, dict) or header.get("format") != "arproc":
        raise FileFormatError(f"{str(path)!r} is a safetensors file, but not of arproc's.")
    version = header.get("version")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise FileFormatError(f"{str(path)!r} is damaged: its version is {version!r}.")
    if version > FORMAT_VERSION:
        raise FileFormatError(
            f"{str(path)!r} has format version {version}; this arproc reads up to "
            f"{FORMAT_VERSION}. Upgrade arproc."
        )
    if header.pop("crc32", None) != _checksum(header):
        raise FileFormatError(f"{str(path)!r} is damaged: its header has another checksum.")
    _check_sizes(path, entries, size - 8 - length)
    return header


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
            position = end
    except FileFormatError:
        raise
    except (KeyError, TypeError, ValueError, ArithmeticError):
        raise FileFormatError(f"{str(path)!r} is damaged: its header is not in order.") from None
    if position != available:
        raise FileFormatError(
            f"{str(path)!r} is damaged: its tensors need {position} bytes, it has {available}."
        )
