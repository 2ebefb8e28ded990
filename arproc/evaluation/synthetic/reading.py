"""What the user gave as train, holdout and synthetic, read alike; or an error in words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from arproc.contract.sequences import Sequences
from arproc.data.arrays import to_tensor, unmasked
from arproc.data.frames import native
from arproc.data.intake import is_text, opened
from arproc.data.text_files import text_of
from arproc.data.texts import is_file, listed, require_no_file
from arproc.errors import DataError, check_choice
from arproc.evaluation.synthetic.pool import Pool, pooled
from arproc.evaluation.synthetic.sets import HOLDOUT, NAMES, SYNTHETIC, TRAIN, Raw
from arproc.spaces import Real, RealVector

__all__ = ["KINDS", "plain", "read_one", "read_sets"]

KINDS = ("auto", "series", "vectors", "table", "images", "symbols", "text")

Sets = dict[int, Any]


def read_sets(train: Any, holdout: Any, synthetic: Any, kind: str) -> Pool:
    """The pool of the three sets; `holdout` may be None.

    Raises:
        DataError: one of them can not be read as train is; the message names it.
    """
    check_choice("kind", kind, KINDS)
    given = {TRAIN: train, HOLDOUT: holdout, SYNTHETIC: synthetic}
    sets = {
        g: plain(data, NAMES[g]) for g, data in given.items() if g != HOLDOUT or data is not None
    }
    told = kind
    if kind == "auto":
        kind = _kind_of(sets[TRAIN])
        told = f'read as {kind} (kind="{kind}")'
        for group, data in sets.items():
            if (found := _kind_of(data)) != kind and {found, kind} & {"text", "symbols", "table"}:
                raise DataError(
                    f"{NAMES[group]} looks like {found}, and train like {kind}; give both in one "
                    "form, or say kind=."
                )
    return _READERS[kind](sets, (told,) if told != kind else ())


def read_one(data: Any, name: str) -> Raw:
    """Sequences of scalars, as numbers (NaN where missing) or, of text and symbols, as codes.

    Raises:
        DataError: they are of vectors, rows or images, or no data at all.
    """
    data = plain(data, name)
    kind = _kind_of(data)
    if kind == "text":
        return _codes(data, name)
    if kind == "symbols":
        rows = _rows(data, name)
        codes = np.unique(np.concatenate(rows), return_inverse=True)[1]
        return Raw(np.array([len(row) for row in rows], dtype=np.int64), codes=codes)
    if kind in ("vectors", "images"):
        raise DataError(f"{name} has {kind} for elements; expected sequences of single numbers.")
    return _numbers({TRAIN: data}, lambda _data, _name: 0)[TRAIN]


def plain(data: Any, name: str) -> Any:
    """Data in the form that pandas, NumPy or Python have for it; text by its characters."""
    if data is None:
        raise DataError(f"{name} is None; expected data.")
    data = listed(unmasked(native(data, name)), name)
    require_no_file(data, name)
    return data


def _kind_of(data: Any) -> str:
    if is_text(data):
        return "text"
    if isinstance(data, (list, tuple)) and data and _all_strings(data[0]):
        return "symbols"
    if hasattr(data, "columns"):
        return _kind_of_frame(data)
    if hasattr(data, "iloc"):
        return "series"
    axes = _axes(data)
    if axes == 4:
        return "images"
    if axes == 3:
        whole = getattr(data, "dtype", None) is not None and "int8" in str(data.dtype)
        return "images" if whole else "vectors"
    if isinstance(data, (list, tuple)) and len(data) and _axes(data[0]) == 2:
        return "vectors"
    return "series"


def _kind_of_frame(frame: Any) -> str:
    """Rows of a table where columns are of other kinds, or the index is no time."""
    import pandas as pd

    if any(kind.kind not in "iuf" for kind in frame.dtypes):
        return "table"
    if isinstance(frame.index, pd.MultiIndex):
        return "series" if frame.shape[1] == 1 else "vectors"
    dated = isinstance(frame.index, (pd.DatetimeIndex, pd.PeriodIndex))
    return "series" if dated else "table"


def _all_strings(row: Any) -> bool:
    return isinstance(row, (list, tuple)) and bool(row) and all(isinstance(s, str) for s in row)


def _axes(data: Any) -> int:
    axes = getattr(data, "ndim", None)
    if axes is not None:
        return int(axes)
    try:
        return int(np.ndim(data))
    except ValueError:  # ragged
        return 2


# ---- numbers ------------------------------------------------------------------------------


def _series(sets: Sets, notes: Sequence[str]) -> Pool:
    return pooled("series", _numbers(sets, lambda _data, _name: 0), notes=notes, names=("value",))


def _vectors(sets: Sets, notes: Sequence[str]) -> Pool:
    width = _width(sets[TRAIN], "train")
    names = tuple(getattr(sets[TRAIN], "columns", range(width)))
    sets = {group: _in_order(data, names, NAMES[group]) for group, data in sets.items()}
    return pooled("vectors", _numbers(sets, _width), notes=notes, names=names)


def _width(data: Any, name: str) -> int:
    first = data[0] if isinstance(data, (list, tuple)) and len(data) else data
    try:
        shape = np.shape(first)
    except ValueError:  # ragged
        shape = ()
    if len(shape) < 2:
        raise DataError(
            f"{name} is no sequence of vectors; expected [T, d] for one, [N, T, d] or a list of "
            "[T, d] for several."
        )
    return int(shape[-1])


def _numbers(sets: Sets, width: Callable[[Any, str], int]) -> dict[int, Raw]:
    found = {}
    first = width(sets[TRAIN], "train")
    for group, data in sets.items():
        name, own = NAMES[group], width(data, NAMES[group])
        if own != first:
            raise DataError(f"{name} has vectors of {own} components, and train of {first}.")
        space = RealVector(dimension=own) if own else Real()
        read = Sequences.of(data, space, name=name, missing=True)
        values = read.values.detach().cpu().numpy().astype(np.float64)
        found[group] = Raw(read.lengths.numpy(), values.reshape(len(values), -1))
    return found


def _in_order(data: Any, names: Sequence[Any], name: str) -> Any:
    """A DataFrame with train's columns in train's order; anything else as it is."""
    if not hasattr(data, "columns"):
        return data
    _check_columns(list(data.columns), list(names), name)
    return data[list(names)]


def _check_columns(given: list[Any], wanted: list[Any], name: str) -> None:
    twice = next((column for column in given if given.count(column) > 1), None)
    if twice is not None:
        raise DataError(f"{name} has more than one column named {twice!r}.")
    lacking = [column for column in wanted if column not in given]
    extra = [column for column in given if column not in wanted]
    if lacking or extra:
        parts = [f"lacks {lacking}"] * bool(lacking) + [f"has {extra} besides"] * bool(extra)
        raise DataError(f"{name} {' and '.join(parts)}; expected train's columns, {wanted}.")


def _images(sets: Sets, notes: Sequence[str]) -> Pool:
    found, shape = {}, None
    for group, data in sets.items():
        name = NAMES[group]
        x = to_tensor(opened(data, name), name).detach().cpu().double().numpy()
        if x.ndim not in (3, 4):
            raise DataError(
                f"{name} has shape {x.shape}; expected images [N, H, W] or [N, H, W, channels]."
            )
        x = x[..., None] if x.ndim == 3 else x
        shape = x.shape[1:] if shape is None else shape
        if x.shape[1:] != shape:
            raise DataError(f"{name} has images of shape {x.shape[1:]}, and train of {shape}.")
        values = x.reshape(len(x), -1)
        found[group] = Raw(np.ones(len(x), np.int64), values)
    assert shape is not None
    names = tuple(np.ndindex(*shape))
    return pooled("images", found, notes=notes, names=names, shape=shape)


# ---- tables -------------------------------------------------------------------------------


def _table(sets: Sets, notes: Sequence[str]) -> Pool:
    import pandas as pd

    frames = {group: _frame(data, NAMES[group]) for group, data in sets.items()}
    names = list(frames[TRAIN].columns)
    for group, frame in frames.items():
        _check_columns(list(frame.columns), names, NAMES[group])
        frames[group] = frame[names]
    columns: list[np.ndarray] = []
    labels: list[tuple[Any, ...] | None] = []
    for name in names:
        parts = [frame[name] for frame in frames.values()]
        kinds = {group: _is_number(frame[name]) for group, frame in frames.items()}
        other = next((group for group, number in kinds.items() if number != kinds[TRAIN]), None)
        if other is not None:
            raise DataError(
                f"{NAMES[other]} has column {name!r} of dtype {frames[other][name].dtype}, and "
                f"train of {frames[TRAIN][name].dtype}; expected both numbers or both labels."
            )
        if kinds[TRAIN]:
            columns.append(np.concatenate([_column_numbers(part) for part in parts]))
            labels.append(None)
            continue
        codes, found = pd.factorize(pd.concat([part.astype(object) for part in parts]))
        columns.append(np.where(codes < 0, np.nan, codes.astype(np.float64)))
        labels.append(tuple(found))
    values = np.stack(columns, axis=1)
    ends = np.cumsum([len(frame) for frame in frames.values()])[:-1]
    raws = {
        group: Raw(np.ones(len(part), np.int64), part)
        for group, part in zip(frames, np.split(values, ends), strict=True)
    }
    return pooled("table", raws, notes=notes, names=tuple(names), labels=tuple(labels))


def _frame(data: Any, name: str) -> Any:
    import pandas as pd

    if isinstance(data, pd.DataFrame):
        return data
    x = to_tensor(data, name).detach().cpu().double().numpy()
    if x.ndim != 2:
        raise DataError(f"{name} has shape {x.shape}; expected a table [N, D] or a DataFrame.")
    return pd.DataFrame(x)


def _is_number(column: Any) -> bool:
    return column.dtype.kind in "iufmM" and str(column.dtype) != "category"


def _column_numbers(column: Any) -> np.ndarray:
    if column.dtype.kind in "mM":
        gone = column.isna().to_numpy()
        return np.where(gone, np.nan, column.astype("int64").to_numpy().astype(np.float64))
    return column.to_numpy(np.float64, na_value=np.nan)


# ---- symbols ------------------------------------------------------------------------------


def _symbols(sets: Sets, notes: Sequence[str]) -> Pool:
    rows = {group: _rows(data, NAMES[group]) for group, data in sets.items()}
    flat = np.concatenate([np.asarray(row) for part in rows.values() for row in part if len(row)])
    symbols, codes = np.unique(flat, return_inverse=True)
    lengths = {group: np.array([len(row) for row in part]) for group, part in rows.items()}
    ends = np.cumsum([int(own.sum()) for own in lengths.values()])[:-1]
    raws = {
        group: Raw(own, codes=part)
        for (group, own), part in zip(lengths.items(), np.split(codes, ends), strict=True)
    }
    return pooled("symbols", raws, notes=notes, symbols=symbols.tolist())


def _rows(data: Any, name: str) -> list[Any]:
    """Sequences of symbols: lists of strings, or arrays of whole numbers."""
    if isinstance(data, (list, tuple)) and len(data) and _all_strings(data[0]):
        return [np.asarray(row, dtype=str) for row in data]
    if isinstance(data, (list, tuple)) and data and all(isinstance(s, str) for s in data):
        return [np.asarray(data, dtype=str)]
    read = Sequences.of(data, Real(), name=name)
    values = read.values.detach().cpu().numpy()
    if (values != np.floor(values)).any():
        raise DataError(
            f"{name} has numbers with fractions; expected symbols, whole numbers or strings."
        )
    return np.split(values.astype(np.int64), read.offsets.numpy()[1:-1])


def _text(sets: Sets, notes: Sequence[str]) -> Pool:
    raws = {group: _codes(data, NAMES[group]) for group, data in sets.items()}
    found = np.unique(np.concatenate([np.unique(raw.codes) for raw in raws.values()]))  # type: ignore[arg-type]
    table = np.zeros(int(found.max()) + 1 if len(found) else 1, np.int64)
    table[found] = np.arange(len(found))
    coded = {group: Raw(raw.lengths, codes=table[raw.codes]) for group, raw in raws.items()}
    return pooled("text", coded, notes=notes, symbols=[chr(c) for c in found.tolist()])


def _codes(data: Any, name: str) -> Raw:
    """The characters of texts by their numbers."""
    if is_file(data):
        data = text_of(data)
    texts = [data] if isinstance(data, str) else data
    if not isinstance(texts, (list, tuple)) or not all(isinstance(t, str) for t in texts):
        raise DataError(f"{name} is no text; expected a string or a list of strings.")
    if not any(texts):
        raise DataError(f"{name} is empty; expected text.")
    joined = "".join(texts).encode("utf-32-le", "surrogatepass")
    lengths = np.array([len(text) for text in texts], dtype=np.int64)
    return Raw(lengths, codes=np.frombuffer(joined, np.uint32))


_READERS: dict[str, Callable[[Sets, Sequence[str]], Pool]] = {
    "series": _series,
    "vectors": _vectors,
    "table": _table,
    "images": _images,
    "symbols": _symbols,
    "text": _text,
}
