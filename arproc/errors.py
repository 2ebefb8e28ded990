"""The errors of arproc. All share one base class, `ArprocError`.

Each also derives from the built-in error that Python users expect (`ValueError`, `ImportError`
...), so that both `except arproc.ArprocError` and `except ValueError` work.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np


class ArprocError(Exception):
    """Base class of every error that arproc raises on purpose."""


class DataError(ArprocError, ValueError):
    """The data (or prefix, context, history) can not be used: the message says what to change."""


class ParameterError(ArprocError, ValueError):
    """A constructor's or a call's argument has a wrong value or type."""


class NotFittedError(ArprocError, ValueError, AttributeError):
    """The model has not been fitted yet (or loaded); call `fit` first."""


class UnsupportedError(ArprocError, NotImplementedError):
    """The operation does not exist for this law, and the message says why."""


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


def warn(message: str, category: type[Warning]) -> None:
    """A warning that shows the line which called into this package, however deep we are in it."""
    import sys
    import warnings

    frame, level = sys._getframe(), 1
    while frame.f_back is not None and frame.f_globals["__name__"].partition(".")[0] == "arproc":
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)


def check_integer(name: str, value: object, *, minimum: int | None = None) -> int:
    """Return `value` as an int, or raise `ParameterError` naming it."""
    import operator

    try:
        number = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        number = None
    if number is None or isinstance(value, bool):
        raise ParameterError(f"{name} must be an integer; got {value!r} ({type(value).__name__}).")
    if minimum is not None and number < minimum:
        raise ParameterError(f"{name} must be at least {minimum}; got {number}.")
    return number


def check_choice(name: str, value: object, choices: tuple[str, ...]) -> str:
    """Return `value` if it is one of `choices`, or raise `ParameterError` listing them."""
    if not isinstance(value, str) or value not in choices:
        listed = ", ".join(repr(choice) for choice in choices)
        raise ParameterError(f"{name} must be one of {listed}; got {value!r}.")
    return value


def check_numbers(name: str, values: Any, *, regimes: int | None = None) -> np.ndarray:
    """Return `values` as finite float64 numbers [k], or raise `ParameterError` naming them.

    Args:
        name: what the message calls them.
        values: a number or a list of numbers.
        regimes: how many there must be, one for each regime; a single number serves for all.
    """
    import numpy as np

    try:
        array = np.atleast_1d(np.array(values, dtype=np.float64))
    except (TypeError, ValueError):
        array = np.full((1, 1), np.nan)
    if array.ndim != 1 or not np.isfinite(array).all():
        raise ParameterError(f"{name} must be a list of finite numbers; got {values!r}.")
    if regimes is not None and len(array) not in (1, regimes):
        raise ParameterError(f"{name} must be one finite number or {regimes}; got {values!r}.")
    return array if regimes is None else np.broadcast_to(array, (regimes,)).copy()
