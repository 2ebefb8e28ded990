"""Arrays of the user's as plain numbers, or an error that says why they are none."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from arproc.errors import DataError

__all__ = ["as_given", "numbers_of", "plain_tensor", "to_tensor", "unmasked"]


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
