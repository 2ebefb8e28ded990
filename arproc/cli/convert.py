"""Models from one file format to another, for the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from arproc.cli import models
from arproc.errors import ParameterError, UnsupportedError

__all__ = ["read_model", "write_model"]


def read_model(
    path: Path,
    tokens: str | None,
    special: str | None,
    renormalise: bool = False,
    floor: float | None = None,
) -> Any:
    """The model in a file: arproc's own by its first bytes, else ARPA.

    Args:
        path: the file.
        tokens: what the words of an ARPA file are; None is "word".
        special: what special symbols in texts are; None is "error".
        renormalise: whether an ARPA file whose probabilities do not add up is made to.
        floor: log10 p of unknown words, for an ARPA file without `<unk>`.
    """
    import arproc

    if not path.is_file():
        return models.load(path)  # which says so
    if not _is_own(path):
        return arproc.NGram.from_arpa(
            path, tokens or "word", special or "error", renormalise=renormalise, floor=floor
        )
    if any(option is not None for option in (tokens, special, floor)) or renormalise:
        raise ParameterError(
            "--tokens, --special, --floor and --renormalise say how to read an ARPA file; "
            f"{path} is a model of arproc's and holds its own."
        )
    return arproc.load(path)


def write_model(law: Any, out: Path) -> str:
    """Write a model as its file's name says; what kind of file it is."""
    if not models.is_arpa(out):
        if out.suffix in models.COMPRESSED:
            raise ParameterError(
                f"{out} would be a compressed file of arproc's, which there is none of; leave "
                f"out {out.suffix}, or name an ARPA file (.arpa{out.suffix})."
            )
        law.save(out)
        return "arproc"
    if not hasattr(law, "to_arpa"):
        raise UnsupportedError(
            f"an ARPA file holds n-grams with back-offs, and {type(law).__name__} is no such "
            "model; only NGram can be written as one."
        )
    law.to_arpa(out)
    return "ARPA"


def _is_own(path: Path) -> bool:
    """Whether a file begins as safetensors do: the length of a JSON header, and the header."""
    with path.open("rb") as file:
        first = file.read(9)
    return first[8:] == b"{" and int.from_bytes(first[:8], "little") <= path.stat().st_size
