"""Which classes a model file may hold, and how they are found again by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

__all__ = ["find", "name_of", "offer", "storable"]

C = TypeVar("C", bound=type)
_KNOWN: dict[str, type] = {}
_OFFERED: dict[str, Callable[[str], object]] = {}


def storable(cls: C) -> C:
    """Register a class that model files may hold: a law, a space, part of one.

    It is a dataclass, whose fields are stored; or it has `to_dict()`, and `from_dict(fields)` as
    a class method or static method. The file holds its name: a class of your own has to be
    imported before such a file is loaded.

    Example:
        >>> from dataclasses import dataclass
        >>> @storable
        ... @dataclass(frozen=True)
        ... class Rate:
        ...     per_day: float
        >>> find(name_of(Rate)) is Rate
        True
    """
    _KNOWN[name_of(cls)] = cls
    return cls


def name_of(cls: type) -> str:
    """The name of a class in files: short for arproc's own, with the module for others."""
    own = cls.__module__.partition(".")[0] == "arproc"
    return cls.__name__ if own else f"{cls.__module__}.{cls.__qualname__}"


def find(name: str) -> type | None:
    """The class that was registered under a name, or None.

    Only classes that exist already, or that the package itself offers, are ever considered. Where
    the module of a user's class has changed, the only one of its name is meant.
    """
    if name not in _KNOWN and name in _OFFERED:
        _OFFERED[name](name)  # importing it registers it
    if name in _KNOWN or "." not in name:
        return _KNOWN.get(name)
    last = name.rpartition(".")[2]
    alike = [cls for known, cls in _KNOWN.items() if known.rpartition(".")[2] == last]
    own = [cls for cls in alike if "." in name_of(cls)]
    return own[0] if len(own) == 1 else None


def offer(names: Iterable[str], load: Callable[[str], object]) -> None:
    """Say how classes that are imported when they are first used can be had by their names."""
    _OFFERED.update(dict.fromkeys(names, load))
