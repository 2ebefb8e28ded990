"""The errors of arproc. All share one base class, `ArprocError`.

Each also derives from the built-in error that Python users expect (`ValueError`, `ImportError`
...), so that both `except arproc.ArprocError` and `except ValueError` work.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    import numpy as np


class ArprocError(Exception):
    """Base class of every error that arproc raises on purpose."""


class DataError(ArprocError, ValueError):
    """The data (or prefix, context, history) can not be used: the message says what to change."""


class ParameterError(ArprocError, ValueError):
    """A constructor's or a call's argument has a wrong value or type."""


class NothingLeftError(ParameterError):
    """A policy left nothing that could come next in a row.

    Args:
        row: the row, a number of the state's.
        length: how many elements the row has.
        policy: what the policy is called.
    """

    def __init__(self, row: int, length: int, policy: str) -> None:
        self.row, self.length, self.policy = row, length, policy
        super().__init__(
            f"policy {policy} leaves nothing that could come next in row {row}, after {length} "
            "elements: all that the law gives a probability there is forbidden. Draw under a "
            "policy that forbids less, or pass a smaller length=."
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return NothingLeftError, (self.row, self.length, self.policy)

    def of_row(self, row: int) -> NothingLeftError:
        """The same of a row that has another number to the user."""
        return NothingLeftError(row, self.length, self.policy)


class NotFittedError(ArprocError, ValueError, AttributeError):
    """The model has not been fitted yet (or loaded); call `fit` first.

    Where scikit-learn was imported, `except sklearn.exceptions.NotFittedError` catches it too.
    """

    def __new__(cls, *args: Any) -> Self:
        return super().__new__(_known_to_sklearn(cls), *args)

    def __reduce__(self) -> tuple[Any, ...]:  # the class that is made below has no address
        return NotFittedError, self.args


def _known_to_sklearn(cls: Any) -> Any:
    """A class of errors of which scikit-learn's is a base too; who catches that has imported it.

    Python compares the classes themselves in `except`, so it must be a base in earnest.
    """
    module = sys.modules.get("sklearn.exceptions")
    theirs = getattr(module, "NotFittedError", None)
    if cls is not NotFittedError or theirs is None:
        return cls
    if theirs not in _JOINED:
        names = {"__module__": cls.__module__, "__qualname__": cls.__qualname__}
        _JOINED[theirs] = type(cls.__name__, (cls, theirs), names)
    return _JOINED[theirs]


_JOINED: dict[type, type] = {}


class UnsupportedError(ArprocError, NotImplementedError):
    """The operation does not exist for this law, and the message says why."""


class NotEstimatedError(UnsupportedError, AttributeError):
    """What was asked for under a name that ends in "_" was not estimated, or not kept.

    `hasattr` is False of it.
    """


class ReadOnlyError(ArprocError, AttributeError):
    """What was learnt can not be set: `fit` learns it, and `of` makes a model of another law."""


class NotComparableError(ArprocError, ValueError):
    """Two likelihoods that are not about the same thing (mass and density, other elements)."""


class FileFormatError(ArprocError, ValueError):
    """A file is not what it should be: damaged, of another kind, or of a newer version."""


class StorageError(ArprocError, OSError):
    """A file can not be written: the disk is full, or fails; what was there before stays."""


class TrainingError(ArprocError, RuntimeError):
    """Training can not go on (a loss that is not finite, a checkpoint of another model)."""


class MissingDependencyError(ArprocError, ImportError):
    """An optional package is not installed; the message names the pip command that brings it."""


class PlaceWarning(UserWarning):
    """Nothing says at which step a series begins, and the model has a trend or seasons."""


class UnusedWarning(UserWarning):
    """Something of the data that looks as if it were meant to matter is not used."""


def warn(message: str, category: type[Warning]) -> None:
    """A warning that shows the line which called into this package, however deep we are in it."""
    import warnings

    frame, level = sys._getframe(), 1
    while frame.f_back is not None and frame.f_globals["__name__"].partition(".")[0] == "arproc":
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)


def shown(value: object, typed: bool = False) -> str:
    """A value in an error message, `typed` with its type; of a long one, a table say, that alone.

    Example:
        >>> shown("7"), shown(7.5, typed=True), shown([0] * 500)
        ("'7'", '7.5 (float)', 'a list')
    """
    text, kind = repr(value), type(value).__name__
    if len(text) > 200 or "\n" in text:
        return f"a {kind}"
    return f"{text} ({kind})" if typed else text


def check_integer(
    name: str, value: object, *, minimum: int | None = None, maximum: int = 2**63 - 1
) -> int:
    """Return `value` as an int, or raise `ParameterError` naming it."""
    import operator

    try:
        number = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        number = None
    if number is None or isinstance(value, bool):
        raise ParameterError(f"{name} must be an integer; got {shown(value, typed=True)}.")
    if minimum is not None and number < minimum:
        raise ParameterError(f"{name} must be at least {minimum}; got {number}.")
    if number > maximum:
        raise ParameterError(f"{name} must be at most {maximum}; got {number}.")
    return number


def check_count(name: str, value: object, *, minimum: int = 0) -> int:
    """Return a number of rows, steps or paths as an int, or raise `ParameterError` naming it.

    There are at most 2^31 - 1, since more would not fit into any memory.
    """
    return check_integer(name, value, minimum=minimum, maximum=2**31 - 1)


_BYTES = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


def check_bytes(name: str, value: object) -> int:
    """A number of bytes: a whole number, or text such as "2GB" (units of 1000).

    Example:
        >>> check_bytes("memory", "1.5 GB")
        1500000000
    """
    import re

    if isinstance(value, str):
        match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?)B?\s*", value, re.IGNORECASE)
        if match is not None:
            return int(float(match[1]) * _BYTES[match[2].upper()])
    elif hasattr(value, "__index__") and not isinstance(value, bool):
        return check_integer(name, value)
    raise ParameterError(f"{name} must be a number of bytes or such as '2GB'; got {shown(value)}.")


def check_number(
    name: str,
    value: object,
    *,
    low: float | None = None,
    high: float | None = None,
    above: float | None = None,
    below: float | None = None,
) -> float:
    """Return `value` as a float, or raise `ParameterError` naming it: a finite number in a range.

    Args:
        name: what the message calls it.
        value: what came.
        low: the least it may be.
        high: the greatest.
        above: what it must be above.
        below: what it must be below.

    Example:
        >>> check_number("level", 0.95, above=0, below=1)
        0.95
        >>> check_number("level", "0.95", above=0, below=1)
        Traceback (most recent call last):
        arproc.errors.ParameterError: level must be a number above 0 and below 1; got '0.95'.
    """
    import math
    import numbers

    try:
        plain = isinstance(value, numbers.Real) and not isinstance(value, bool)
        number = float(value) if plain else math.nan  # type: ignore[arg-type]
    except OverflowError:
        number = math.inf
    inside = (
        math.isfinite(number)
        and (low is None or number >= low)
        and (high is None or number <= high)
        and (above is None or number > above)
        and (below is None or number < below)
    )
    if not inside:
        bounds = {"at least": low, "above": above, "at most": high, "below": below}
        told = " and ".join(f"{word} {at:g}" for word, at in bounds.items() if at is not None)
        raise ParameterError(
            f"{name} must be a {'' if told else 'finite '}number{' ' * bool(told)}{told}; "
            f"got {shown(value)}."
        )
    return number


def check_choice(name: str, value: object, choices: tuple[str, ...]) -> str:
    """Return `value` if it is one of `choices`, or raise `ParameterError` listing them."""
    if not isinstance(value, str) or value not in choices:
        listed = ", ".join(repr(choice) for choice in choices)
        raise ParameterError(f"{name} must be one of {listed}; got {shown(value)}.")
    return value


def check_device(name: str, value: Any) -> Any:
    """Return `value` as a `torch.device` that is here, or raise `ParameterError` naming it."""
    import torch

    try:
        device = torch.device(value)
        torch.empty(0, device=device)
        if device.type == "meta":
            raise RuntimeError("which holds no numbers")
    except Exception as wrong:  # torch raises errors of all kinds where there is no such device
        why = str(wrong).partition("\n")[0].rstrip(".")
        raise ParameterError(
            f"{name} must be a device that torch has here, such as 'cpu' or 'cuda'; got "
            f"{shown(value)} ({why})."
        ) from None
    return device


def check_flag(name: str, value: Any) -> bool:
    """Return `value` if it is True or False, or raise `ParameterError` naming it."""
    axes: int = getattr(value, "ndim", 0)
    if type(value).__name__ not in ("bool", "bool_") or axes:
        raise ParameterError(f"{name} must be True or False; got {shown(value)}.")
    return bool(value)


def check_table(name: str, value: Any, columns: tuple[str, ...] = ()) -> None:
    """Raise `DataError` unless `value` is a pandas DataFrame that has these columns."""
    if not hasattr(value, "iloc") or not hasattr(value, "columns"):
        raise DataError(f"{name} must be a pandas DataFrame; got a {type(value).__name__}.")
    lacking = [column for column in columns if column not in value.columns]
    if lacking:
        raise DataError(f"{name} has no column {lacking[0]!r}; it has {list(value.columns)}.")


def check_list(name: str, value: Any) -> list[Any]:
    """Return the items of `value` as a list, or raise `ParameterError` naming it; text is none."""
    if isinstance(value, (str, bytes, dict)) or not hasattr(value, "__iter__"):
        raise ParameterError(f"{name} must be a list; got {shown(value, typed=True)}.")
    try:
        return list(value)
    except Exception as wrong:  # an array or a tensor of no axes, say
        raise ParameterError(f"{name} must be a list; got {shown(value)} ({wrong}).") from None


def check_names(name: str, values: Mapping[Any, Any]) -> dict[str, Any]:
    """Return what is called by names with these as text, or raise `ParameterError` for equals."""
    found = {str(key): value for key, value in values.items()}
    if len(found) < len(values):
        raise ParameterError(f"{name} has two of one name; got {list(values)!r}.")
    return found


def check_array(name: str, values: Any, error: type[ArprocError] | None = None) -> np.ndarray:
    """Return `values`, numbers of any shape, as a float64 array, or raise an error naming them.

    Args:
        name: what the message calls them.
        values: a number, nested lists of numbers, an array, a tensor, a Series; None is NaN.
        error: what is raised; `ParameterError` where none is told.
    """
    import numpy as np

    try:
        if hasattr(values, "detach"):  # a tensor, which may have gradients, or be half a float
            values = values.detach().cpu().double().numpy()
        array = np.array(values)
        if array.dtype.kind == "O":
            listed = [_number_or_nan(value) for value in array.ravel().tolist()]
            return np.array(listed, dtype=np.float64).reshape(array.shape)
        if array.dtype.kind not in "biuf":
            raise TypeError(f"its dtype is {array.dtype}")
        return array.astype(np.float64)
    except Exception as wrong:  # of any kind, for tensors of other layouts and devices
        plain = isinstance(values, (str, bytes, int, float, complex))
        shown = repr(values) if plain else f"a {type(values).__name__}"
        why = str(wrong).partition("\n")[0].rstrip(".")
        raise (error or ParameterError)(
            f"{name} can not be read as numbers: got {shown} ({why}); expected a number or an "
            "array of numbers."
        ) from None


def _number_or_nan(value: Any) -> float:
    """A number among objects; `float` would read text as well."""
    import numbers

    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return float("nan")
    if not isinstance(value, numbers.Number):
        raise TypeError(f"a {type(value).__name__} is among them")
    return float(value)  # type: ignore[arg-type]


def check_numbers(name: str, values: Any, *, regimes: int | None = None) -> np.ndarray:
    """Return `values` as finite float64 numbers [k], or raise `ParameterError` naming them.

    Args:
        name: what the message calls them.
        values: a number or a list of numbers.
        regimes: how many there must be, one for each regime; a single number serves for all.
    """
    import numpy as np

    array = np.atleast_1d(check_array(name, values))
    if array.ndim != 1 or not np.isfinite(array).all():
        raise ParameterError(f"{name} must be a list of finite numbers; got {values!r}.")
    if regimes is not None and len(array) not in (1, regimes):
        raise ParameterError(f"{name} must be one finite number or {regimes}; got {values!r}.")
    return array if regimes is None else np.broadcast_to(array, (regimes,)).copy()
