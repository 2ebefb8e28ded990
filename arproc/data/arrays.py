"""Arrays of the user's as plain numbers, or an error that says why they are none."""

from __future__ import annotations

from decimal import Decimal
from numbers import Real
from typing import Any

import numpy as np
import torch

from arproc.errors import DataError

__all__ = [
    "as_given",
    "decimals_of",
    "floats_of",
    "numbers_of",
    "plain_tensor",
    "to_tensor",
    "unmasked",
]


def unmasked(data: Any) -> Any:
    """Masked numbers as plain ones with NaN for what is masked; anything else as it is."""
    if isinstance(data, np.ma.MaskedArray) and data.dtype.kind in "biuf":
        kept = data.dtype if data.dtype.kind == "f" else np.dtype(np.float64)
        return np.where(np.ma.getmaskarray(data), np.nan, np.ma.getdata(data).astype(kept))
    if isinstance(data, (list, tuple)):
        masked = any(isinstance(item, np.ma.MaskedArray) for item in data)
        return [unmasked(item) for item in data] if masked else data
    return data


def as_given(values: Any, device: torch.device | None = None) -> torch.Tensor:
    """Numbers as a tensor that holds them as they came.

    Torch alone would round Python's floats, which are float64, to its default of float32.

    Example:
        >>> as_given(16777217.0).item(), as_given([1, 2]).dtype
        (16777217.0, torch.int64)
    """
    if isinstance(values, (list, tuple)) and any(isinstance(v, np.ndarray) for v in values):
        values = np.asarray(values)
    found = torch.as_tensor(values, device=device)
    if isinstance(values, (torch.Tensor, np.ndarray)) or not found.is_floating_point():
        return found
    return torch.as_tensor(values, dtype=torch.float64, device=device)


def to_tensor(data: Any, name: str) -> torch.Tensor:
    """Numbers of any kind as a tensor, refusing what is not a plain number."""
    if isinstance(data, torch.Tensor):
        return plain_tensor(data, name)
    if isinstance(data, np.ma.MaskedArray) and np.ma.is_masked(data):
        raise DataError(
            f"{name} has {int(np.ma.getmaskarray(data).sum())} masked value(s); fill or drop them "
            "first."
        )
    try:
        array = np.asarray(data)
    except Exception as error:  # lists of tensors, and what else says it is an array
        raise DataError(f"{name} can not be read as numbers: {error}.") from None
    if array.dtype.kind == "O" and array.size and all(_is_decimal(v) for v in array.flat):
        array = array.astype(np.float64)
    if array.dtype.kind == "O":
        kinds = sorted({type(v).__name__ for v in array.ravel()[:1000].tolist()})
        raise DataError(
            f"{name} is an object array (of {', '.join(kinds) or 'nothing'}); expected numbers. "
            "Convert it with .astype(float) or drop the rows that are not numbers."
        )
    if array.dtype.kind == "c":
        raise DataError(f"{name} is complex ({array.dtype}); expected real numbers.")
    if array.dtype.kind not in "biuf":
        raise DataError(f"{name} has dtype {array.dtype}; expected numbers.")
    if array.dtype == np.uint64 and array.size and array.max() > np.iinfo(np.int64).max:
        array = array.astype(np.float64)
    if array.dtype.kind == "u" and array.dtype.itemsize > 1:
        array = array.astype(np.int64)
    if array.dtype.kind == "f" and array.dtype.itemsize not in (4, 8):
        array = array.astype(np.float64)
    array = np.ascontiguousarray(array.astype(array.dtype.newbyteorder("="), copy=False))
    if not array.flags.writeable:
        array = array.copy()
    return torch.from_numpy(array)


def plain_tensor(x: torch.Tensor, name: str) -> torch.Tensor:
    """A tensor of plain numbers, refusing other layouts and what holds no numbers."""
    if x.is_quantized or x.is_nested or x.layout != torch.strided:
        kind = "quantised" if x.is_quantized else "nested" if x.is_nested else str(x.layout)
        raise DataError(
            f"{name} is a {kind} tensor; expected a dense one (x.to_dense(), x.dequantize(), "
            "x.to_padded_tensor(nan))."
        )
    if x.is_meta:
        raise DataError(f"{name} is a tensor on the device meta, which has no numbers.")
    if x.dtype in (torch.uint16, torch.uint32, torch.uint64):  # torch computes little with these
        x = x.to(torch.int64)
        if x.numel() and int(x.min()) < 0:
            raise DataError(f"{name} has whole numbers of 2^63 or more; expected smaller ones.")
    return x


def numbers_of(data: Any, name: str, hint: str = "") -> np.ndarray:
    """The numbers of a Series or a DataFrame as an array, NaN where there is none.

    Args:
        data: with a pandas `dtype` or `dtypes`.
        name: what error messages call it.
        hint: what the message about columns of other kinds ends with.
    """
    data = decimals_of(data)
    kinds = [data.dtype] if data.ndim == 1 else list(data.dtypes)
    wrong = [str(kind) for kind in kinds if kind.kind not in "biuf"]
    if wrong:
        raise DataError(
            f"{name} has columns of dtype {', '.join(sorted(set(wrong)))}; expected numbers. "
            "Choose the numeric columns, or convert them with .astype(float)." + hint
        )
    try:
        array = data.to_numpy(dtype=None)
        return array if array.dtype != object else data.to_numpy(dtype=float, na_value=np.nan)
    except (TypeError, ValueError) as error:
        raise DataError(f"{name} can not be read as numbers: {error}.") from None


def decimals_of(data: Any) -> Any:
    """A Series or a DataFrame with its columns of decimals (and gaps) as float64."""
    if data.ndim == 1:
        return data.astype(float) if _holds_decimals(data) else data
    exact = [i for i in range(data.shape[1]) if _holds_decimals(data.iloc[:, i])]
    if not exact:
        return data
    import pandas as pd

    parts = [data.iloc[:, i] for i in range(data.shape[1])]
    table = pd.concat([x.astype(float) if i in exact else x for i, x in enumerate(parts)], axis=1)
    return table.set_axis(data.columns, axis=1)


def _holds_decimals(column: Any) -> bool:
    import pandas as pd

    return column.dtype.kind == "O" and pd.api.types.infer_dtype(column, skipna=True) == "decimal"


def _is_decimal(value: Any) -> bool:
    return isinstance(value, Decimal) or (isinstance(value, float) and value != value)


def floats_of(column: Any) -> tuple[np.ndarray, np.ndarray]:
    """The values of a Series of any dtype as float64 [n], nan where there is none.

    Returns:
        The values, and which of them are there and are no real numbers, bool [n].

    Example:
        >>> import pandas as pd
        >>> floats_of(pd.Series([1, Decimal("2.5"), None, "x"]))[1].tolist()
        [False, False, False, True]
    """
    if column.dtype.kind in "biuf":
        found = column.to_numpy(dtype=np.float64, na_value=np.nan)
        return found, np.zeros(len(found), np.bool_)
    values = column.to_numpy(dtype=object)
    missing = column.isna().to_numpy(dtype=np.bool_)
    good = np.array([isinstance(v, (Real, Decimal)) for v in values], dtype=np.bool_) & ~missing
    found = np.full(len(values), np.nan)
    found[good] = values[good].astype(np.float64)
    return found, ~good & ~missing
