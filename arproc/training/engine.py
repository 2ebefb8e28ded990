"""The gradients of a step's batch: in parts, in many processes, compiled, as the settings say."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from copy import copy
from typing import Any

import torch
from torch import Tensor, nn

from arproc.contract.randomness import seed_of
from arproc.training.objective import Objective, part_of
from arproc.training.parallel import Team
from arproc.training.seeding import seed_all
from arproc.training.settings import Training

__all__ = ["Engine"]

_STREAM, _STREAM_PART = 0, 9


class Engine:
    """Computes a loss and its gradients, which are the sums over all parts and processes.

    Args:
        module: whose gradients.
        objective: the batch of a step, and the loss of a part of it.
        training: the settings.
        team: the processes.
    """

    def __init__(
        self, module: nn.Module, objective: Objective, training: Training, team: Team
    ) -> None:
        self.module, self.objective, self.training, self.team = module, objective, training, team
        self.device = next(module.parameters()).device
        self.sharded = training.sharded and team.size > 1
        self.generator = torch.Generator()
        loss: Any = torch.compile(objective.loss) if training.compile else objective.loss
        self.loss = loss
        self._wrapped: Any = None
        self._hooks = _hooks_of(module) if self.sharded else []
        if team.size > 1:
            self.loss = self._wrapped = _wrapped(_Whole(module, loss), self.sharded)

    def gradients(self, step: int) -> Tensor:
        """Compute the gradients of the batch of a step; gives its mean loss, float32 []."""
        training, seed = self.training, seed_of(self.training.seed, _STREAM, step)
        self._seed(seed)
        batch = self.objective.batch(step, self.generator)
        parts = self.team.size * training.accumulate
        if parts == 1:
            return self._backward(batch, 1.0)
        terms, mine, total = self.objective.terms(batch), self.team.parts(training.accumulate), 0.0
        for index in mine:
            self._seed(seed_of(training.seed, _STREAM_PART, step, parts, index))
            part, any_rows = part_of(batch, index, parts)
            share = self.objective.terms(part) / terms if any_rows else 0.0
            with self._summed(index == mine[-1]):
                total += float(self._backward(part, share))
        return torch.tensor(self.team.summed([total])[0], device=self.device)

    def _backward(self, part: Any, share: float) -> Tensor:
        """Add the gradients of a part, which counts for a share of the batch; gives its loss."""
        half = self.training.precision == "bfloat16"
        with torch.autocast(self.device.type, torch.bfloat16, enabled=half):
            loss: Tensor = self.loss(part, self.generator)
        loss = loss if share == 1.0 else loss * share
        # torch's wrappers take the mean over the processes, and the shares add up to one
        (loss if self.team.size == 1 else loss * self.team.size).backward()
        return loss.detach().float()

    def _seed(self, seed: int) -> None:
        """Make all that is drawn a function of this seed."""
        seed_all(seed, users=self.training.augment is not None)
        self.generator.manual_seed(seed ^ 1)

    @contextmanager
    def _summed(self, last: bool) -> Iterator[None]:
        """While inside a pass: the processes' gradients are summed up if it is the `last`."""
        wait = self._wrapped is not None and not last
        if self.sharded:
            self._wrapped.set_requires_gradient_sync(last)
        with self._wrapped.no_sync() if wait and not self.sharded else nullcontext():
            yield

    @contextmanager
    def scored(self) -> Iterator[None]:
        """While inside, the module has all of its weights, as for a pass without gradients."""
        if self.sharded:
            self._wrapped.unshard()
        try:
            yield
        finally:
            if self.sharded:
                self._wrapped.reshard()

    def release(self) -> None:
        """Make the module a plain one again, with all of its weights in every process."""
        if not self.sharded:
            return
        self._wrapped.reshard()
        for part, hooks in zip(self.module.modules(), self._hooks, strict=True):
            for name, p in list(part.named_parameters(recurse=False)):
                whole = nn.Parameter(self.team.whole(p.detach()), p.requires_grad)
                part.register_parameter(name, whole)
            for name, own in hooks.items():
                setattr(part, name, own)
        self.sharded = False


def _hooks_of(module: nn.Module) -> list[dict[str, Any]]:
    """The hooks of each part of a module, to which `fully_shard` adds its own."""
    names = [name for name in vars(module) if name.endswith("_hooks")]
    return [{name: copy(vars(part)[name]) for name in names} for part in module.modules()]


class _Whole(nn.Module):
    """A module under its loss, so that torch's wrappers see one forward pass."""

    def __init__(self, module: nn.Module, loss: Callable[..., Tensor]) -> None:
        super().__init__()
        self.module, self.loss = module, loss

    def forward(self, batch: Any, generator: torch.Generator) -> Tensor:
        return self.loss(batch, generator)


def _wrapped(whole: _Whole, sharded: bool) -> Any:
    """The loss with its gradients summed over the processes; each has all weights, or a share.

    What is sharded is gathered as one for each pass: our networks use the weights of their blocks
    directly, so that no block could gather its own.
    """
    if sharded:
        from torch.distributed.fsdp import fully_shard

        return fully_shard(whole)
    from torch.nn.parallel import DistributedDataParallel

    return DistributedDataParallel(whole, broadcast_buffers=False, find_unused_parameters=True)
