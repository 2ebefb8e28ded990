"""Which plain classes a model file may hold; see `arproc.contract.persistence`."""

from __future__ import annotations

from typing import TypeVar

__all__ = ["STORABLE", "storable"]

C = TypeVar("C", bound=type)
STORABLE: dict[str, type] = {}


def storable(cls: C) -> C:
    """Register a dataclass, or a class with `to_dict` and `from_dict`, that files may hold."""
    STORABLE[cls.__name__] = cls
    return cls
