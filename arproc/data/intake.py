"""Reading the user's data: every form that `Sequences.of` takes, turned into flat values.

`read` returns `(values [total, *event], lengths [N], form)`; sites of fixed-size laws are already
in the order of generation. Nothing here checks values against the space: `check_values` does.
"""

from __future__ import annotations

import os
import warnings
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from arproc.data.arrays import numbers_of, to_tensor
from arproc.data.calendar import regular
from arproc.data.form import Form, Layout
from arproc.data.frames import by_series, native
from arproc.data.labels import Labels, by_name
from arproc.data.tables import frames
from arproc.data.tables.space import Table
from arproc.data.text_files import (
    Held,
    beginning,
    compression,
    decompressed,
    text_bytes,
    text_of,
)
from arproc.data.texts import is_file, listed, no_text, require_no_file
from arproc.data.times import by_times
from arproc.data.word_table import all_text
from arproc.errors import DataError
from arproc.spaces import Categorical, Space

if TYPE_CHECKING:
    from arproc.data.vocabulary import Vocabulary

__all__ = ["is_text", "opened", "read"]

Read = tuple[torch.Tensor, torch.Tensor, Form]


def is_text(data: Any) -> bool:
    """Whether the data is text: a `str`, a path or an open file, or a list of strings."""
    if isinstance(data, str) or is_file(data):
        return True
    return isinstance(data, (list, tuple)) and bool(data) and all_text(data)


def read(
    data: Any,
    space: Space,
    layout: Layout | None,
    name: str,
    partial: bool = False,
    missing: bool = False,
    labels: Labels | None = None,
) -> Read:
    """The user's data as flat values, lengths and form.

    Args:
        data: what the user gave.
        space: what one element is.
        layout: for laws of fixed size, the order of generation.
        name: what error messages call the data.
        partial: whether these are first elements of sequences.
        missing: whether steps that an index leaves out may be NaN.
        labels: of the data of `fit`, with which columns and dates are aligned.

    Raises:
        DataError: the form is not one that this space can be read from.
    """
    labels, data = labels or Labels(), listed(native(data, name), name, space)
    vocabulary = space.vocabulary if isinstance(space, Categorical) else None
    if vocabulary is not None:
        if not partial:
            require_no_file(data, name)
        if isinstance(data, (list, tuple)) and not data and not partial:
            raise DataError(f"{name} is empty; expected at least one text.")
    if vocabulary is None and layout is not None:
        data = opened(data, name)
    if is_text(data):
        if vocabulary is None:
            raise DataError(
                f"{name} is text; expected numbers: the model's elements are {space.describe()}. "
                "Make numbers of what is written as text, with .astype(float), say."
            )
        return _placed(_read_text(data, vocabulary, name), layout, name, partial)
    if vocabulary is not None and _is_symbols(data):
        return _placed(_read_symbols(data, vocabulary, name), layout, name, partial)
    if vocabulary is not None and (told := no_text(data)) is not None:
        raise DataError(f"{name} is {told}. Expected a string, or strings in a list or a column.")
    module = type(data).__module__.partition(".")[0]
    if module == "pandas":
        return _read_pandas(data, space, layout, name, partial, missing, labels)
    if isinstance(data, (list, tuple)) and _is_nested(data, space):
        return _read_list(data, space, layout, name, partial, missing, labels)
    kind = "tensor" if isinstance(data, torch.Tensor) else "numpy"
    return _read_plain_array(to_tensor(data, name), space, layout, kind, name, partial)


def _read_plain_array(
    x: torch.Tensor, space: Space, layout: Layout | None, kind: str, name: str, partial: bool
) -> Read:
    if layout is not None and partial and not _is_whole(x, space, layout):
        # a prefix holds the first elements in the order of generation, flat
        if x.ndim == 2 + len(space.event_shape) and x.shape[1] > layout.length:
            raise DataError(
                f"{name} has shape {tuple(x.shape)}; the model's sequences have {layout.length} "
                "elements."
            )
        layout = None
    return _read_array(x, space, layout, kind, name)


def opened(data: Any, name: str = "data") -> Any:
    """The pictures of a folder, or the one in a file, whose path the data are; others as they are.

    For laws of a fixed size, which have no use for text.
    """
    if not isinstance(data, (str, os.PathLike)):
        return data
    if not os.path.exists(data):
        from arproc.data.symbols import shorten

        raise DataError(
            f"{name} is text; expected numbers, or the path of a folder of pictures (there is no "
            f"file or folder {shorten(data)})."
        )
    from arproc.data.images import image_array

    return image_array(data)


# ---- text ---------------------------------------------------------------------------------


def _placed(found: Read, layout: Layout | None, name: str, partial: bool) -> Read:
    """Texts of a fixed-size law with their symbols in the order of generation.

    First elements of a text are in that order already.
    """
    if layout is None:
        return found
    values, lengths, form = found
    whole = lengths == layout.length
    if not partial and not bool(whole.all()):
        row = int((~whole).nonzero()[0])
        raise DataError(
            f"{name} has a text of {int(lengths[row])} symbols (text {row}); the model's examples "
            f"have {layout.length}."
        )
    if layout.order is None or not bool(whole.any()):
        return found
    rows = [
        layout.to_sites(row[None])[0] if len(row) == layout.length else row
        for row in values.split(lengths.tolist())
    ]
    return torch.cat(rows), lengths, form


def _read_text(data: Any, vocabulary: Vocabulary, name: str) -> Read:
    if is_file(data):
        return _read_file(data, vocabulary, name)
    if isinstance(data, str):
        return (*_flat([_encode(data, vocabulary, name)]), Form("text", single=True))
    if vocabulary.kind == "symbols":
        return _read_symbols(data, vocabulary, name)
    return (*_encode_all(data, vocabulary, name), Form("text"))


def _read_file(source: Any, vocabulary: Vocabulary, name: str) -> Read:
    """A file of bytes or characters is one sequence; of words, a sequence a line."""
    try:
        if vocabulary.kind == "byte":
            return _read_bytes(source, vocabulary, name)
        if vocabulary.kind == "word":
            raw = text_bytes(source)
            if len(raw):
                numbers, lengths = vocabulary.encode_lines(raw)
                return torch.from_numpy(numbers), torch.from_numpy(lengths), Form("text")
            text = ""
        else:
            text = text_of(source)
    except DataError as error:
        raise DataError(f"{name}: {error}") from None
    if not text:
        raise DataError(f"{name}: {_told(source)} is empty.")
    return (*_flat([_encode(text, vocabulary, name)]), Form("text", single=True))


def _read_bytes(source: Any, vocabulary: Vocabulary, name: str) -> Read:
    """The bytes of a file as they are (decompressed), mapped where they are numbers already."""
    path = Path(source) if isinstance(source, os.PathLike) else None
    form = Form("text", single=True)
    plain = path is not None and path.is_file() and compression(beginning(path)) is None
    if path is not None and plain and path.stat().st_size and len(vocabulary) == 256:
        values = _mapped(path)
        return values, torch.tensor([len(values)]), form
    raw = _bytes_of(source)
    if not raw:
        raise DataError(f"{_told(source)} is empty.")
    return (*_flat([_encode(raw, vocabulary, name)]), form)


def _bytes_of(source: Any) -> bytes:
    if not isinstance(source, os.PathLike):
        return Held.of(source).getvalue()
    path = Path(source)
    if not path.is_file():
        raise DataError(f"there is no file {str(path)!r}.")
    with decompressed(path) as file:
        return file.read()


def _told(source: Any) -> str:
    return f"the file {str(source)!r}" if isinstance(source, os.PathLike) else "the stream"


def _mapped(path: Path) -> torch.Tensor:
    """The bytes of a file, read when they are used.

    The mapping is read-only (a private one of a file larger than the memory is refused), and so
    torch warns; nothing here ever writes into the elements of sequences.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return torch.from_numpy(np.memmap(path, dtype=np.uint8, mode="r"))


def _encode_all(
    texts: Any, vocabulary: Vocabulary, name: str
) -> tuple[torch.Tensor, torch.Tensor]:
    try:
        values, lengths = vocabulary.encode_all(texts)
    except DataError as error:
        raise DataError(f"{name}: {error}") from None
    return torch.from_numpy(values), torch.from_numpy(lengths)


def _encode(text: Any, vocabulary: Vocabulary, name: str) -> np.ndarray:
    try:
        return vocabulary.encode(text)
    except DataError as error:
        raise DataError(f"{name}: {error}") from None


def _flat(rows: list[np.ndarray]) -> tuple[torch.Tensor, torch.Tensor]:
    values = torch.from_numpy(np.concatenate(rows) if len(rows) != 1 else rows[0])
    return values, torch.tensor([len(row) for row in rows], dtype=torch.int64)


def _is_symbols(data: Any) -> bool:
    """Lists (of lists) of strings, already split into symbols."""
    if not isinstance(data, (list, tuple)) or not data:
        return False
    return all(
        isinstance(row, (list, tuple)) and all(isinstance(symbol, str) for symbol in row)
        for row in data
    ) and any(len(row) for row in data)


def _read_symbols(data: Any, vocabulary: Vocabulary, name: str) -> Read:
    single = isinstance(data[0], str)
    rows = [data] if single else data
    return (
        *_flat([_encode(list(row), vocabulary, name) for row in rows]),
        Form("text", single=single),
    )


# ---- numbers ------------------------------------------------------------------------------


def _is_whole(x: torch.Tensor, space: Space, layout: Layout) -> bool:
    whole = (*layout.shape, *space.event_shape)
    return tuple(x.shape) == whole or tuple(x.shape[1:]) == whole


def _is_nested(data: Any, space: Space) -> bool:
    """A list of sequences, perhaps of unequal lengths; a list of elements is one sequence."""
    return any(_axes(item) > len(space.event_shape) for item in data)


def _axes(item: Any) -> float:
    """The number of axes of an array or nested list; infinite for a ragged one."""
    if hasattr(item, "ndim"):
        return item.ndim
    try:
        return np.ndim(item)
    except ValueError:
        return float("inf")


def _read_list(
    data: Any,
    space: Space,
    layout: Layout | None,
    name: str,
    partial: bool,
    missing: bool,
    labels: Labels,
) -> Read:
    """Sequences of unequal lengths: each item is one, in whatever form."""
    named = any(hasattr(item, "iloc") for item in data)
    if not named and layout is not None and all(0 < _axes(item) < np.inf for item in data):
        shapes = {tuple(np.shape(item)) for item in data}
        if len(shapes) == 1 and not isinstance(data[0], torch.Tensor):
            return read(to_tensor(data, name).numpy(), space, layout, name, partial)
    plain = None if layout is not None else _read_plain_lists(data, space, name)
    if plain is not None:
        return plain
    parts: list[torch.Tensor] = []
    indexes: list[Any] = []
    names: list[Any] = []
    components: tuple[Any, ...] = ()
    for i, item in enumerate(data):
        values, lengths, form = read(item, space, layout, f"{name}[{i}]", partial, missing, labels)
        if len(lengths) != 1:
            raise DataError(
                f"{name}[{i}] holds {len(lengths)} sequences; expected each item of the list to "
                "be one sequence."
            )
        parts.append(values)
        indexes.extend(form.indexes)
        names.extend(form.names)
        components = components or form.components
    lengths = torch.tensor([len(part) for part in parts], dtype=torch.int64)
    kinds = {type(item).__module__.partition(".")[0] for item in data}
    kind = "tensor" if kinds == {"torch"} else "series" if kinds == {"pandas"} else "list"
    return torch.cat(parts), lengths, Form(kind, False, tuple(indexes), tuple(names), components)


def _read_plain_lists(data: Any, space: Space, name: str) -> Read | None:
    """Lists of nothing but numbers, all at once; None where it takes a closer look."""
    if space.event_shape or not all(type(item) in (list, tuple) for item in data):
        return None
    try:
        array = np.asarray(list(chain.from_iterable(data)))
    except (ValueError, TypeError, RuntimeError):
        return None
    if array.ndim != 1 or array.dtype.kind not in "biuf":
        return None
    lengths = torch.tensor([len(item) for item in data], dtype=torch.int64)
    return to_tensor(array, name), lengths, Form("list")


def _read_array(
    x: torch.Tensor, space: Space, layout: Layout | None, kind: str, name: str
) -> Read:
    if x.is_complex():
        raise DataError(f"{name} is complex ({x.dtype}); expected real numbers.")
    if layout is not None:
        return _read_fixed(x, space, layout, kind, name)
    event = space.event_shape
    if event and (x.ndim < len(event) + 1 or tuple(x.shape[x.ndim - len(event) :]) != event):
        raise DataError(
            f"{name} has shape {tuple(x.shape)}; expected [T, {', '.join(map(str, event))}] for "
            f"one sequence or [N, T, {', '.join(map(str, event))}] for "
            f"several ({space.describe()})."
        )
    axes = x.ndim - len(event)
    if axes == 0:
        return x.reshape(1), torch.tensor([1]), Form(kind, single=True)
    if axes == 1:
        return x, torch.from_numpy(np.array([x.shape[0]])), Form(kind, single=True)
    if axes == 2:
        lengths = torch.full((x.shape[0],), x.shape[1], dtype=torch.int64)
        return x.reshape(-1, *event), lengths, Form(kind)
    raise DataError(
        f"{name} has shape {tuple(x.shape)}, {axes} axes before the element's own; expected [T] "
        "for one sequence or [N, T] for several."
    )


def _read_fixed(x: torch.Tensor, space: Space, layout: Layout, kind: str, name: str) -> Read:
    """Examples of a fixed-size law, or a shorter prefix in the order of generation."""
    event, shape = space.event_shape, layout.shape
    single = tuple(x.shape) == (*shape, *event)
    if single or tuple(x.shape[1:]) == (*shape, *event):
        batch = x[None] if single else x
        sites = layout.to_sites(batch)
        lengths = torch.full((len(batch),), layout.length, dtype=torch.int64)
        return sites.reshape(-1, *event), lengths, Form(kind, single=single)
    expected = ", ".join(str(s) for s in (*shape, *event))
    raise DataError(
        f"{name} has shape {tuple(x.shape)}; expected [{expected}] for one example or "
        f"[N, {expected}] for several."
    )


# ---- pandas -------------------------------------------------------------------------------


def _read_pandas(
    data: Any,
    space: Space,
    layout: Layout | None,
    name: str,
    partial: bool,
    missing: bool,
    labels: Labels,
) -> Read:
    import pandas as pd

    frame = isinstance(data, (pd.Series, pd.DataFrame))
    if isinstance(space, Table) and frame:
        order = None if layout is None else layout.order
        x, index, names = frames.read(data, space, order, name, partial)
        lengths = torch.full((len(x),), len(names), dtype=torch.int64)
        form = Form("table", isinstance(data, pd.Series), (index,), names)
        return x.reshape(-1), lengths, form
    if frame and layout is not None:
        return _read_examples(data, space, layout, name, partial, labels)
    if frame and isinstance(data.index, pd.MultiIndex) and _is_time_down(data, space, name):
        parts, keys = by_series(data, name)
        values, lengths, form = _read_list(parts, space, layout, name, partial, missing, labels)
        return values, lengths, replace(form, names=tuple(keys))
    if frame:
        data = by_times(data, name)
        data = regular(data, name, missing, labels.freq_of(data.index))
    if isinstance(data, pd.Series):
        values, lengths, form = _read_array(
            to_tensor(numbers_of(data, name), name), space, layout, "series", name
        )
        return values, lengths, Form("series", form.single, (data.index,), (data.name,))
    if isinstance(data, pd.DataFrame):
        return _read_frame(data, space, name, labels)
    if isinstance(data, pd.Index) or hasattr(data, "to_numpy"):
        return _read_array(to_tensor(data.to_numpy(), name), space, layout, "numpy", name)
    raise DataError(f"{name} is a {type(data).__name__}; expected a Series or a DataFrame.")


def _is_time_down(data: Any, space: Space, name: str) -> bool:
    """Whether an index of several levels is that of one column, or of vectors."""
    if data.ndim == 2 and not space.event_shape and data.shape[1] != 1:
        raise DataError(
            f"{name} has an index of {data.index.nlevels} levels and {data.shape[1]} columns; "
            "expected one column of values where the index says series and time, or a column for "
            "each series and an index of time alone (.unstack(level=0))."
        )
    return True


def _read_examples(
    data: Any, space: Space, layout: Layout, name: str, partial: bool, labels: Labels
) -> Read:
    """Rows of a DataFrame that are examples of a fixed size; a Series is one example."""
    single = data.ndim == 1
    frame = data.to_frame().T if single else data
    order = layout.order or range(layout.length)
    whole = frame.shape[1] == layout.length
    names = labels.features
    if names and partial and not whole:
        names = labels.in_order(layout.order)
    frame = by_name(frame, names, name, partial and not whole)
    table = to_tensor(numbers_of(frame, name), name)
    table = table[0] if single else table
    values, lengths, form = _read_plain_array(table, space, layout, "numpy", name, partial)
    columns = tuple(frame.columns[site] for site in order) if whole else tuple(frame.columns)
    if len(layout.shape) != 1 or space.event_shape or form.single != single:
        return values, lengths, form
    return values, lengths, Form("rows", single, () if single else (data.index,), columns)


def _read_frame(data: Any, space: Space, name: str, labels: Labels) -> Read:
    """Time down, columns across: series for scalar elements, components for vector elements."""
    if space.event_shape:
        data = by_name(data, labels.features, name)
    table = to_tensor(numbers_of(data, name), name)
    if space.event_shape:
        values, lengths, _ = _read_array(table, space, None, "numpy", name)
        names = tuple(data.columns)
        return values, lengths, Form("series", True, (data.index,), (None,), names)
    lengths = torch.full((table.shape[1],), table.shape[0], dtype=torch.int64)
    form = Form("frame", False, (data.index,), tuple(data.columns))
    return table.T.reshape(-1), lengths, form
