"""The command line in process: what a command left, wrote and said."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

__all__ = ["Result", "Run"]


class Result(NamedTuple):
    code: int
    out: str
    err: str


Run = Callable[..., Result]
