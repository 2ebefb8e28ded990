"""Pictures on disk as arrays, through Pillow; and how images are laid out in raster order."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from arproc.data.form import Layout
from arproc.errors import (
    DataError,
    MissingDependencyError,
    ParameterError,
    check_choice,
    check_integer,
    check_list,
)

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["image_array", "image_axes", "image_layout", "images"]

#: What a file in a folder must end with to be read.
SUFFIXES = (
    ".bmp", ".gif", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp",
)  # fmt: skip
_GREY = ("1", "L", "LA")
_DEEP = ("I", "F")
#: How many channels images usually have.
_CHANNELS = (1, 3, 4)


def images(
    source: str | Path | Sequence[str | Path],
    size: int | tuple[int, int] | None = None,
    grey: bool | None = None,
) -> np.ndarray:
    """The pictures of a folder, or of some files, as one array for the models of images.

    Files in a folder are read in the order of their names, those in folders within it are not.
    Of an animation the first picture is read; a picture's own note of how it was held (EXIF) is
    heeded. Pictures of black and white alone (one bit) are zeros and ones.

    Args:
        source: a folder, or files in the order in which they are wanted.
        size: rows and columns (one number for both) that each picture is brought to; by default
            all must have the same.
        grey: whether pictures become grey (True) or coloured (False); by default they stay as
            they are, and must all be of one kind.

    Returns:
        uint8 [N, H, W] of grey pictures, [N, H, W, 3] of coloured ones (red, green, blue).

    Raises:
        DataError: there are no pictures, one can not be read, or they differ in kind or size; the
            message names the file.
        MissingDependencyError: Pillow is not installed.

    Example:
        >>> import tempfile
        >>> from PIL import Image
        >>> folder = Path(tempfile.mkdtemp())
        >>> for name, level in [("b.png", 200), ("a.png", 7)]:
        ...     Image.new("L", (3, 2), level).save(folder / name)
        >>> x = images(folder)
        >>> x.shape, x[:, 0, 0].tolist()
        ((2, 2, 3), [7, 200])
    """
    shape = _shape(size)
    if grey is not None and not isinstance(grey, bool):
        raise ParameterError(f"grey must be True, False or None; got {grey!r}.")
    files = _files(source)
    kinds, arrays = [], []
    for file in files:
        picture = _read(file)
        kinds.append(_kind(picture, grey))
        arrays.append(_array(picture, kinds[-1], shape))
        _check_alike(files[0], kinds[0], arrays[0], file, kinds[-1], arrays[-1])
    if set(kinds) == {"1", "L"}:  # black is 0 and white 255 among pictures of more levels
        arrays = [
            array * 255 if kind == "1" else array
            for array, kind in zip(arrays, kinds, strict=True)
        ]
    return np.stack(arrays)


def image_array(path: str | os.PathLike[str]) -> np.ndarray:
    """The pictures of a folder, [N, H, W] or [N, H, W, 3]; of a file the one picture."""
    path = Path(path)
    return images(path) if path.is_dir() else images([path])[0]


# ---- what is read ---------------------------------------------------------------------------


def _shape(size: Any) -> tuple[int, int] | None:
    if size is None:
        return None
    both = (size, size) if isinstance(size, (int, np.integer)) else size
    try:
        rows, columns = both
    except (TypeError, ValueError):
        raise ParameterError(
            f"size must be (rows, columns) or one number for both; got {size!r}."
        ) from None
    return check_integer("size", rows, minimum=1), check_integer("size", columns, minimum=1)


def _files(source: Any) -> list[Path]:
    if not isinstance(source, (str, os.PathLike)):
        files = check_list("source", source)
        if not all(isinstance(file, (str, os.PathLike)) for file in files):
            raise ParameterError(f"source must be a folder or a list of files; got {source!r}.")
        files = [Path(file) for file in files]
        if not files:
            raise DataError("source names no files; expected at least one picture.")
        return files
    folder = Path(source)
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "does not exist"
        raise DataError(
            f"the folder {str(folder)!r} {what}; expected a folder of pictures or a list of files."
        )
    within = sorted(folder.iterdir(), key=lambda file: file.name)
    files = [
        file
        for file in within
        if file.suffix.lower() in SUFFIXES and file.is_file() and not file.name.startswith(".")
    ]
    if not files:
        folders = ", ".join(repr(file.name) for file in within[:100] if file.is_dir())
        hint = f" Folders within it are not read ({folders})." if folders else ""
        raise DataError(
            f"the folder {str(folder)!r} has no pictures: no file ends with one of "
            f"{' '.join(SUFFIXES)}.{hint}"
        )
    return files


def _read(file: Path) -> Image:
    """The picture in a file, upright, without an alpha channel."""
    try:
        from PIL import Image, ImageOps
    except ImportError:
        raise MissingDependencyError(
            'pictures are read by Pillow, which is not installed: pip install "arproc[images]"'
        ) from None
    try:
        with Image.open(file) as opened:
            picture = ImageOps.exif_transpose(opened)
            picture.load()
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        reason = "there is no such file" if isinstance(error, FileNotFoundError) else error
        raise DataError(f"the picture {str(file)!r} can not be read: {reason}.") from None
    if picture.mode.partition(";")[0] in _DEEP:
        raise DataError(
            f"the picture {str(file)!r} has levels of more than 8 bits (Pillow's mode "
            f"{picture.mode!r}); expected 8 bits. Convert it, or read it yourself and pass an "
            "array."
        )
    return _opaque(picture, file)


def _opaque(picture: Image, file: Path) -> Image:
    """The picture without its alpha channel, which must hide nothing."""
    if picture.mode not in ("LA", "PA", "RGBA", "La", "RGBa") and "transparency" not in (
        picture.info
    ):
        return picture
    alpha = picture.convert("RGBA").getchannel("A")
    if alpha.getextrema()[0] != 255:
        raise DataError(
            f"the picture {str(file)!r} has transparent pixels, which have no colour of their "
            "own; put it on a background first."
        )
    return picture.convert("L" if picture.mode in ("1", "L", "LA", "La") else "RGB")


def _kind(picture: Image, grey: bool | None) -> str:
    """The mode that a picture is brought to: "1", "L" or "RGB"."""
    if grey is None:
        grey = picture.mode in _GREY
    if not grey:
        return "RGB"
    return "1" if picture.mode == "1" else "L"


def _coloured(kind: str) -> bool:
    return kind == "RGB"


def _word(kind: str) -> str:
    return "coloured" if _coloured(kind) else "grey"


def _array(picture: Image, kind: str, shape: tuple[int, int] | None) -> np.ndarray:
    from PIL.Image import Resampling

    resized = shape is not None and picture.size != shape[::-1]
    if kind == "1" and not resized:
        return np.asarray(picture, dtype=np.uint8)
    picture = picture.convert("L" if kind == "1" else kind)
    if shape is not None and resized:
        picture = picture.resize(shape[::-1], Resampling.BICUBIC)
    array = np.asarray(picture, dtype=np.uint8)
    return (array >= 128).astype(np.uint8) if kind == "1" else array


def _check_alike(
    first: Path, kind: str, array: np.ndarray, file: Path, its_kind: str, its_array: np.ndarray
) -> None:
    """Raise `DataError` unless a picture has the colours and the size of the first one."""
    if _coloured(kind) != _coloured(its_kind):
        raise DataError(
            f"{first.name!r} is {_word(kind)} and {file.name!r} is {_word(its_kind)}; say "
            "grey=True or grey=False to make all alike."
        )
    if array.shape != its_array.shape:
        raise DataError(
            f"{first.name!r} has {_by(array)} pixels and {file.name!r} {_by(its_array)}; say "
            "size=(rows, columns) to bring all to one size."
        )


def _by(array: np.ndarray) -> str:
    return f"{array.shape[0]} by {array.shape[1]}"


# ---- arrays of images -----------------------------------------------------------------------


def image_axes(shape: tuple[int, ...], channel_axis: str | None, name: str = "data") -> int | None:
    """Which axis of one image [H, W], [C, H, W] or [H, W, C] holds the channels; None for none.

    Args:
        shape: of one image.
        channel_axis: "first", "last" or None, which takes the axis of 1, 3 or 4 entries.
        name: what error messages call the data.
    """
    if channel_axis is not None:
        check_choice("channel_axis", channel_axis, ("first", "last"))
    if len(shape) == 2:
        return None
    if len(shape) != 3:
        raise DataError(
            f"{name} has shape (N, {', '.join(map(str, shape))}); expected images [N, H, W], "
            "[N, C, H, W] or [N, H, W, C]."
        )
    usual = [axis for axis in (0, 2) if shape[axis] in _CHANNELS]
    if channel_axis is None and len(usual) != 1:
        raise DataError(
            f"{name} has images of shape {shape}, whose channels may be the first or the last "
            'axis; say which by channel_axis="first" or "last".'
        )
    return {"first": 0, "last": 2}[channel_axis] if channel_axis is not None else usual[0]


def image_layout(shape: tuple[int, ...], axis: int | None) -> Layout:
    """Raster order, row by row, and within each pixel channel by channel."""
    if axis != 0:
        return Layout(shape)
    channels, pixels = shape[0], shape[1] * shape[2]
    return Layout(shape, tuple(c * pixels + p for p in range(pixels) for c in range(channels)))
