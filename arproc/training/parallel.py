"""Several processes that train one module together, on torch's own engine.

`torchrun` starts them, each runs the same script, and each computes its part of every batch. What
must be equal in all of them (the weights, the loss, when to stop) is made so here.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from arproc.errors import ParameterError
from arproc.training.settings import Training

__all__ = ["Team", "joined"]


class Team:
    """The processes that train together.

    Args:
        size: how many there are.
        rank: which of them this is, from 0.

    Example:
        >>> alone = Team()
        >>> alone.size, list(alone.parts(2)), alone.summed([1.5])
        (1, [0, 1], [1.5])
    """

    def __init__(self, size: int = 1, rank: int = 0, device: str = "cpu") -> None:
        self.size, self.rank, self.device = size, rank, device

    def parts(self, each: int) -> range:
        """Which parts of a batch this process computes, of `each` times as many as it has."""
        return range(self.rank * each, (self.rank + 1) * each)

    def summed(self, values: list[float]) -> list[float]:
        """The sums of some numbers over all processes."""
        if self.size == 1:
            return values
        tensor = torch.tensor(values, dtype=torch.float64, device=self.device)
        dist.all_reduce(tensor)
        return tensor.tolist()

    def first(self, value: float) -> float:
        """The number that the first process has."""
        return self.summed([value if self.rank == 0 else 0.0])[0]

    def wait(self) -> None:
        """Until all have come as far as this."""
        self.summed([0.0])

    def whole(self, tensor: Tensor) -> Tensor:
        """A tensor that may be sharded, whole; all processes must ask."""
        gathered: Callable[[], Tensor] | None = getattr(tensor, "full_tensor", None)
        return tensor if gathered is None else gathered()

    @torch.no_grad()
    def fill(self, tensor: Tensor, whole: Tensor) -> None:
        """Copy a whole tensor into one that may be sharded."""
        if tuple(tensor.shape) != tuple(whole.shape):
            raise ValueError(f"shape {list(whole.shape)} where {list(tensor.shape)} is expected")
        if hasattr(tensor, "device_mesh"):
            from torch.distributed.tensor import distribute_tensor

            held: Any = tensor
            whole = distribute_tensor(whole.to(tensor.device), held.device_mesh, held.placements)
        tensor.copy_(whole)


def joined(training: Training) -> Team:
    """The team that `torchrun` started this process in; alone where there is none.

    Raises:
        ParameterError: the settings do not go with as many processes.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    started = dist.is_available() and dist.is_initialized()
    if size == 1 and not started:
        if training.sharded:
            raise ParameterError(
                "sharded=True is for several processes; start the script with torchrun "
                "--nproc-per-node=2, say, or leave it out."
            )
        return Team()
    kind = torch.device(training.device).type
    if kind == "cuda":
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    if not started:
        dist.init_process_group("nccl" if kind == "cuda" else "gloo")
    team = Team(dist.get_world_size(), dist.get_rank(), kind)
    if training.batch_size < team.size * training.accumulate:
        raise ParameterError(
            f"batch_size={training.batch_size} rows are for all processes and parts together, of "
            f"which there are {team.size * training.accumulate}; expected at least a row for each."
        )
    return team
