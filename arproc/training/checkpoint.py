"""Checkpoints: the whole state of a run in one file, written whole or not at all."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from arproc.contract.model_file import read_file, write_file
from arproc.errors import FileFormatError

__all__ = ["read_checkpoint", "write_checkpoint"]

_KIND = "training checkpoint"


def write_checkpoint(path: str, tensors: dict[str, Tensor], run: dict[str, Any]) -> None:
    """Write tensors, and what describes the run (anything JSON can hold), to one file."""
    on_cpu = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    write_file(path, {"kind": _KIND, "run": run}, on_cpu)


def read_checkpoint(path: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors and the description that `write_checkpoint` wrote."""
    header, tensors = read_file(path)
    if header.get("kind") != _KIND:
        raise FileFormatError(
            f"{path!r} holds a {header.get('kind')!r}; expected a training checkpoint. Name "
            "another file as checkpoint=."
        )
    return tensors, header["run"]
