"""Which classes a model file may hold, and how they are found again by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import Any, Self, TypeVar

from torch import nn

__all__ = ["StorableModule", "find", "name_of", "offer", "storable"]

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
    name = name_of(cls)
    other = _KNOWN.get(name, cls)
    if other.__module__ != cls.__module__:  # the latter would be read as the former
        raise TypeError(
            f"files know {other.__module__}.{name}; {cls.__module__} needs another name"
        )
    _KNOWN[name] = cls
    return cls


class StorableModule(nn.Module):
    """A network, or part of one, that files can hold: it knows what it was constructed with.

    A file holds the class's name, the constructor's arguments (anything that files hold, modules
    of this kind among them) and the `state_dict`; loading constructs the module anew and fills
    it. So the constructor must make of equal arguments a module of equal shapes, and keep the
    modules that it is given as parts of itself.

    Attributes:
        arguments: what the constructor was given, by name.

    Example:
        >>> import torch
        >>> class Scale(StorableModule):
        ...     def __init__(self, size: int) -> None:
        ...         super().__init__()
        ...         self.weight = nn.Parameter(torch.ones(size))
        >>> Scale(3).arguments
        {'size': 3}
    """

    arguments: dict[str, Any]

    def __init_subclass__(cls, **more: Any) -> None:
        super().__init_subclass__(**more)
        storable(cls)

    def __new__(cls, *given: Any, **named: Any) -> Self:
        module = super().__new__(cls)
        # a copy is made without arguments, and gets those of the original with the rest
        bound = inspect.signature(cls.__init__).bind_partial(module, *given, **named)
        own = dict(list(bound.arguments.items())[1:])
        module.__dict__["arguments"] = own
        return module


def name_of(cls: type) -> str:
    """The name of a class in files: short for arproc's own, with the module for others."""
    own = cls.__module__.partition(".")[0] == "arproc"
    return cls.__name__ if own else f"{cls.__module__}.{cls.__qualname__}"


def find(name: str) -> type | None:
    """The class that was registered under a name, or None.

    Only classes that exist already, or that the package itself offers, are ever considered. Where
    the module of a user's class has changed, the only one of its name is meant.
    """
    model = name if name in _OFFERED else name.removesuffix("Law")  # they share a module
    if name not in _KNOWN and model in _OFFERED:
        _OFFERED[model](model)  # importing it registers it
    if name in _KNOWN or "." not in name:
        return _KNOWN.get(name)
    last = name.rpartition(".")[2]
    alike = [cls for known, cls in _KNOWN.items() if known.rpartition(".")[2] == last]
    own = [cls for cls in alike if "." in name_of(cls)]
    return own[0] if len(own) == 1 else None


def offer(names: Iterable[str], load: Callable[[str], object]) -> None:
    """Say how classes that are imported when they are first used can be had by their names."""
    _OFFERED.update(dict.fromkeys(names, load))
