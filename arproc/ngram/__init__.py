"""n-gram models: counts, smoothing, the trie that answers, ARPA files."""

from __future__ import annotations

from typing import Any

__all__ = ["interpolate"]


def __getattr__(name: str) -> Any:
    if name == "interpolate":  # imported when first used, so that its neighbours stay light
        from arproc.ngram.interpolation import interpolate

        return interpolate
    raise AttributeError(f"module 'arproc.ngram' has no attribute {name!r}")
