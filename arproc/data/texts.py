"""Text in every form that people hold it in: strings, columns, arrays, iterators, files."""

from __future__ import annotations

import os
from collections.abc import ItemsView, Iterator, KeysView, ValuesView
from typing import Any

import numpy as np
import torch

from arproc.data.symbols import shorten
from arproc.data.tables import Table
from arproc.data.text_files import Held, is_stream
from arproc.errors import DataError
from arproc.spaces import Space

__all__ = ["is_file", "listed", "no_text", "require_no_file"]

#: The longest path that a system takes, about.
_LONGEST_PATH = 4096


def is_file(data: Any) -> bool:
    """Whether the data are what a file holds: its path, or the file itself, open."""
    return isinstance(data, os.PathLike) or is_stream(data)


def listed(data: Any, name: str = "data", space: Space | None = None) -> Any:
    """Strings in a column, an array, an iterator or a view of a dict, as a list; else as they are.

    An iterator can be gone through once, and so can an open file, which is read into memory:
    whoever reads data twice calls this first. For the space of a table, a row in a Series is one.

    Raises:
        DataError: some of a column's items are strings and others are none (missing values too).

    Example:
        >>> import numpy as np
        >>> listed(np.array(["a rose", "a daisy"]))
        ['a rose', 'a daisy']
        >>> listed(line for line in ["a rose", "a daisy"])
        ['a rose', 'a daisy']
    """
    if is_stream(data):
        return Held.of(data)
    if isinstance(data, (Iterator, KeysView, ValuesView, ItemsView)):
        return list(data)
    dtype = getattr(data, "dtype", None)
    if isinstance(space, Table):
        return data
    if dtype is None or isinstance(data, torch.Tensor) or getattr(data, "ndim", 0) != 1:
        return data
    if dtype.kind not in "OUT":
        return data
    items = data.tolist() if hasattr(data, "tolist") else list(data)
    strings = [isinstance(item, str) for item in items]
    if not any(strings):
        return data
    if not all(strings):
        at = strings.index(False)
        label = data.index[at] if hasattr(data, "iloc") else at
        raise DataError(
            f"{name} is a column of text, and its item {label!r} is none: {shorten(items[at])} "
            f"({type(items[at]).__name__}). Expected strings alone; leave it out (dropna()), or "
            'put the text in that it stands for (fillna("")).'
        )
    return items


def require_no_file(data: Any, name: str = "data") -> None:
    """Refuse a text that is the name of a file: nobody knows which of the two is meant.

    Raises:
        DataError: there is a file of this name; the message says how to mean either.
    """
    if type(data) is not str or not 0 < len(data) < _LONGEST_PATH or "\0" in data:
        return
    try:
        found = os.path.isfile(data)
    except ValueError:  # surrogates, which are in no name
        return
    if found:
        raise DataError(
            f"{name} is the text {shorten(data)}, which is also the name of a file. For what the "
            f"file holds give pathlib.Path({shorten(data)}); for these {len(data)} characters "
            f"themselves, as one text of a list, [{shorten(data)}]."
        )


def no_text(data: Any) -> str | None:
    """What data are that hold text in no form that is read, and what to do; None for others.

    Example:
        >>> no_text(["a rose", None])
        'a list whose item 1 is None (NoneType); leave it out, or put the text in'
        >>> no_text(["a rose"]), no_text([1, 2])
        (None, None)
    """
    kind = type(data).__name__
    if isinstance(data, (set, frozenset)):
        return f"a {kind}, which has no order; give a list, sorted(data)"
    if isinstance(data, dict):
        return "a dict; give its texts, data.values()"
    if isinstance(data, (bytes, bytearray)):
        return f"{kind}; give text, data.decode()"
    if hasattr(data, "columns") and hasattr(data, "dtypes"):
        texts = [name for name, dtype in data.dtypes.items() if dtype.kind in "OUT"]
        return f"a {kind}; give its column of texts, data[{texts[0]!r}]" if texts else None
    if isinstance(data, np.ndarray) and data.dtype.kind in "UTS":
        bare = "bytes" if data.dtype.kind == "S" else "text"
        return f"an array of {bare} of shape {list(data.shape)}; give a list of strings"
    if not isinstance(data, (list, tuple)):
        return None
    strings = [isinstance(item, str) for item in data]
    other = strings.index(False) if not all(strings) else None
    if other is None:
        return None
    item = data[other]
    if any(strings) and not isinstance(item, (list, tuple)):
        told = f"{shorten(item)} ({type(item).__name__})"
        return f"a {kind} whose item {other} is {told}; leave it out, or put the text in"
    if isinstance(item, (bytes, bytearray)):
        return f"a {kind} of bytes; give text, [x.decode() for x in data]"
    return None
