"""The command line in process: what a command left, wrote and said."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

__all__ = ["Result", "Run", "fitted"]


class Result(NamedTuple):
    code: int
    out: str
    err: str


Run = Callable[..., Result]


def fitted(run: Run, series: Path, order: int = 2) -> Path:
    """The file of an autoregression that the command fitted to the series."""
    out = Path(f"ar{order}.arproc")
    result = run("fit", "ar", series, "-c", "value", "--order", order, "--out", out)
    assert result.code == 0, result.err
    return out
