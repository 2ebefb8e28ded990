"""Where files are written: whole or not at all, and what went wrong with its place said."""

from __future__ import annotations

import errno
import os
import re
import shutil
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from arproc.errors import ArprocError, ParameterError, StorageError, shown

try:
    import fcntl
except ImportError:  # no such locks here (Windows): what a killed program left is then left
    fcntl = None  # type: ignore[assignment]

__all__ = [
    "as_path",
    "can_not_write",
    "check_place",
    "held",
    "replacing",
    "storing",
    "temporary_folder",
    "write_text",
]

_PART = ".arproc-part"
_SCRATCH = "arproc-scratch-"
_CHANCE = r"[a-z0-9_]{8}"  # what `tempfile` puts into a name
#: What the device refuses; the rest are names and rights, which the caller may change.
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EMFILE, errno.ENFILE)
#: The longest name of a file in bytes, less what is put around it.
_LONGEST = 200


def as_path(path: Any) -> Path:
    """`path` as a `Path`, or an error that says what came instead."""
    if not isinstance(path, (str, os.PathLike)):
        raise ParameterError(f"path must be a str or a Path; got {shown(path)}.")
    return Path(path)


@contextmanager
def storing(path: str | Path) -> Iterator[None]:
    """While `path` is written: what the disk refuses becomes a `StorageError` that names it.

    Example:
        >>> with storing("table.csv"):
        ...     raise OSError(28, "No space left on device")
        Traceback (most recent call last):
        arproc.errors.StorageError: 'table.csv' can not be written: No space left on device. ...
    """
    try:
        yield
    except OSError as error:
        if isinstance(error, (ArprocError, BrokenPipeError)):
            raise
        raise _full(path, error) from error


def _full(path: str | Path, error: OSError) -> StorageError:
    return StorageError(
        f"{str(path)!r} can not be written: {error.strerror or error}. Make room there, or name "
        "another place, and try again."
    )


def can_not_write(name: str, path: Path, error: OSError) -> ArprocError:
    """The error for a place where nothing can be made: that of the disk, or of the argument.

    Args:
        name: what the argument is called, with a colon; or nothing.
        path: the place.
        error: what the system says.
    """
    if error.errno in _FULL:
        return _full(path, error)
    return ParameterError(f"{name}{str(path)!r} can not be written: {error.strerror}.")


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """A temporary file to write, which becomes `path` when all went well; else nothing is left.

    What a program that was killed left of an earlier file for `path` is removed: it is known by
    its name, and by its lock, which ends with the program.

    Raises:
        ParameterError: `path` is no path, is a folder, or can not be written to.
        StorageError: the disk is full, or fails; what `path` held before is there still.
    """
    path = as_path(path)
    check_place(path)
    _remove_leftovers(path)
    with storing(path):
        handle, temporary = _temporary(path)
        try:
            yield temporary
            with temporary.open("r+b") as file:  # on the disk before the old file goes
                os.fsync(file.fileno())
            umask = os.umask(0)
            os.umask(umask)
            temporary.chmod(0o666 & ~umask)
            if fcntl is None:  # there, a file that is open can not be renamed
                os.close(handle)
                handle = -1
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        finally:
            if handle >= 0:
                os.close(handle)


def check_place(path: Path) -> None:
    """Raise `ParameterError` where no file can be written."""
    try:
        if not path.parent.is_dir():
            raise ParameterError(
                f"the folder {str(path.parent)!r} does not exist; create it first."
            )
        if path.is_dir():
            raise ParameterError(f"{str(path)!r} is a folder; give the name of a file.")
        if path.exists() and not path.is_file():
            raise ParameterError(
                f"{str(path)!r} is a device, which nothing may replace; name a file."
            )
    except OSError as error:  # a name that no file can have
        raise can_not_write("", path, error) from error


def write_text(path: str | Path, text: str) -> None:
    """Write text in UTF-8, whole or not at all; into a device or a pipe, as far as it goes.

    Raises:
        ParameterError: there is no such place.
        StorageError: the disk is full, or fails.
    """
    path = as_path(path)
    if os.path.exists(path) and not path.is_file() and not path.is_dir():
        with storing(path):
            path.write_text(text, encoding="utf-8")
        return
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _temporary(path: Path) -> tuple[int, Path]:
    """A new file beside `path`, locked for as long as it is open."""
    while True:
        try:
            handle, name = tempfile.mkstemp(dir=path.parent, prefix=_prefix(path), suffix=_PART)
        except OSError as error:
            raise can_not_write("", path, error) from error
        if not _locked(handle) or os.path.exists(name):
            return handle, Path(name)
        os.close(handle)  # taken for a leftover before it was locked


def _prefix(path: Path) -> str:
    name = os.fsencode(path.name)
    return f".{path.name if len(name) <= _LONGEST else format(zlib.crc32(name), '08x')}."


def _locked(handle: int) -> bool:
    """Whether an open file could be locked: nobody else is writing it."""
    if fcntl is None:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # somebody has it, or there are no locks on this file system
        return False
    return True


def _remove_leftovers(path: Path) -> None:
    """Delete what programs that were killed had begun to write for `path`."""
    if fcntl is None:
        return
    ours = re.compile(re.escape(_prefix(path)) + _CHANCE + re.escape(_PART))
    for name in filter(ours.fullmatch, os.listdir(path.parent)):
        left = path.parent / name
        try:
            handle = os.open(left, os.O_RDWR | os.O_NOFOLLOW)
        except OSError:  # of somebody else, or gone
            continue
        try:
            if _locked(handle):
                left.unlink(missing_ok=True)
        finally:
            os.close(handle)


# ---- folders ------------------------------------------------------------------------------------


def held(folder: Path) -> int | None:
    """A handle that holds a folder while it is open; None where another program holds it.

    Where there are no locks the handle is -1, which need not be closed.
    """
    if fcntl is None:
        return -1
    handle = os.open(folder, os.O_RDONLY)
    if _locked(handle):
        return handle
    os.close(handle)
    return None


def temporary_folder() -> tuple[Path, int]:
    """A new folder for temporary files, and the handle that holds it.

    Those of programs that were killed are removed: they are known by their names, and nobody
    holds them.

    Raises:
        StorageError: there is no room for it.
    """
    root = Path(tempfile.gettempdir())
    _remove_folders(root)
    with storing(root):
        while True:
            folder = Path(tempfile.mkdtemp(prefix=_SCRATCH))
            handle = held(folder)
            if handle is not None and folder.is_dir():  # else it was taken for a leftover
                return folder, handle


def _remove_folders(root: Path) -> None:
    if fcntl is None:
        return
    ours = re.compile(re.escape(_SCRATCH) + _CHANCE)
    for name in filter(ours.fullmatch, os.listdir(root)):
        folder = root / name
        try:
            if folder.is_symlink() or folder.stat().st_uid != os.getuid():
                continue
            handle = held(folder)
        except OSError:  # gone meanwhile
            continue
        if handle is not None:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(handle)
