"""The state of a training run, at a whole number of updates; and its checkpoints."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from arproc.contract.model_file import read_file, write_file
from arproc.errors import ArprocError, FileFormatError, TrainingError
from arproc.training.averages import Average
from arproc.training.history import Recorder
from arproc.training.optimizers import Optimizer
from arproc.training.parallel import Team
from arproc.training.settings import Training

__all__ = ["RunState", "Weights"]

#: A module's parameters and buffers by name, copies that nothing changes.
Weights = dict[str, Tensor]

_KIND = "training checkpoint"
# Settings that do not change the weights a run arrives at, so they may differ on resuming.
_FREE = ("checkpoint", "checkpoint_every", "resume", "progress", "patience")


class RunState:
    """What a run is after some updates: all that decides how it goes on.

    The order of the data and all random draws are functions of the seed and the step, so the
    number of updates stands for them.

    Args:
        module: what is trained.
        training: the settings.
        optimizers: with their running averages.
        team: the processes that train together.
        epoch: how many steps see all of the data, if that is known.
        fingerprint: identifies data and model.

    Attributes:
        step: how many updates were made.
        average: of the weights, where the settings ask for one.
        best: the best weights on held-out data so far, which were those after `best_step`.
        snapshots: weights that are to be kept.
        recorder: the history so far.
    """

    def __init__(
        self,
        module: nn.Module,
        training: Training,
        optimizers: list[Optimizer],
        team: Team,
        epoch: int | None,
        fingerprint: str,
    ) -> None:
        self.module, self.training, self.optimizers = module, training, optimizers
        self.team = team
        self.average = Average(module, training)
        self.recorder = Recorder(epoch)
        self.step = self.best_step = 0
        self.best_loss = math.inf
        self.best: Weights | None = None
        self.snapshots: list[Weights] = []
        settings = {k: v for k, v in training.identity().items() if k not in _FREE}
        shapes = {name: list(value.shape) for name, value in module.state_dict().items()}
        self.identity = json.loads(
            json.dumps({"settings": settings, "shapes": shapes, "fingerprint": fingerprint})
        )

    def weights(self) -> Weights:
        """A copy of the module's parameters and buffers as they are."""
        held = self.module.state_dict()
        return {name: self.team.whole(value).detach().clone() for name, value in held.items()}

    def load(self, weights: Weights) -> None:
        """Put weights in place."""
        held = self.module.state_dict()
        if held.keys() != weights.keys():
            raise LookupError(f"it lacks {sorted(held.keys() ^ weights.keys())[0]!r}")
        for name, value in held.items():
            self.team.fill(value, weights[name])

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """While inside, the average of the weights stands in their place, if there is one."""
        with self.average.in_place(self.step):
            yield

    # ---- checkpoints --------------------------------------------------------------------------

    def save(self, path: str) -> None:
        """Write all of it to one file, whole or not at all; the team's first process does."""
        tensors = {f"module.{k}": v for k, v in self.weights().items()}
        tensors |= {f"best.{k}": v for k, v in (self.best or {}).items()}
        for group, values in self._running().items():
            tensors |= {f"{group}.{k}": self.team.whole(v) for k, v in values.items()}
        for i, weights in enumerate(self.snapshots):
            tensors |= {f"snapshot.{i}.{k}": v for k, v in weights.items()}
        tensors |= {f"history.{k}": v for k, v in self.recorder.tensors().items()}
        run: dict[str, Any] = {
            "identity": self.identity,
            "step": self.step,
            "best_step": self.best_step,
            "best_loss": self.best_loss if self.best is not None else None,
            "snapshots": len(self.snapshots),
        }
        if self.team.rank == 0:
            on_cpu = {k: v.detach().cpu().contiguous() for k, v in tensors.items()}
            write_file(path, {"kind": _KIND, "run": run}, on_cpu)
        self.team.wait()

    def restore(self, path: str) -> None:
        """Go back to the state in a checkpoint.

        Raises:
            FileFormatError: the file is no checkpoint of this training.
            TrainingError: it is that of another run.
        """
        header, tensors = read_file(path)
        if header.get("kind") != _KIND:
            raise FileFormatError(
                f"{path!r} holds a {header.get('kind')!r}; expected a training checkpoint. Name "
                "another file as checkpoint=."
            )
        try:
            self._restore(path, tensors, header["run"])
        except (LookupError, TypeError, AttributeError, ValueError, RuntimeError) as error:
            if isinstance(error, ArprocError):
                raise
            raise FileFormatError(
                f"{path!r} is not a checkpoint of this training ({type(error).__name__}: {error})."
            ) from error

    def _restore(self, path: str, tensors: dict[str, Tensor], run: dict[str, Any]) -> None:
        self._check_identity(path, run["identity"])
        self.load(_under("module.", tensors))
        best = _under("best.", tensors)
        self.best = {k: v.to(self._device) for k, v in best.items()} or None
        for group, values in self._running().items():
            for name, value in values.items():
                self.team.fill(value, tensors[f"{group}.{name}"])
        self.snapshots = [_under(f"snapshot.{i}.", tensors) for i in range(run["snapshots"])]
        self.recorder.restore(_under("history.", tensors))
        self.step, self.best_step = run["step"], run["best_step"]
        if type(self.step) is not int or not 0 <= self.step == len(self.recorder.loss):
            raise ValueError(f"step {self.step!r}, with the losses of other steps")
        self.best_loss = math.inf if run["best_loss"] is None else run["best_loss"]

    @property
    def _device(self) -> torch.device:
        return next(self.module.parameters()).device

    def _running(self) -> dict[str, dict[str, Tensor]]:
        """The running averages, of the optimizers and of the weights, by name."""
        inside = {
            f"{i}.{j}.{name}": average
            for i, optimizer in enumerate(self.optimizers)
            for j, state in enumerate(optimizer.state)
            for name, average in state.items()
        }
        return {"optimizer": inside, "average": self.average.values}

    def _check_identity(self, path: str, theirs: dict[str, Any]) -> None:
        mine = self.identity
        changed = [
            f"{name}={theirs['settings'].get(name)!r} (now {value!r})"
            for name, value in mine["settings"].items()
            if theirs["settings"].get(name) != value
        ]
        if changed:
            what = "other settings: " + ", ".join(changed)
        elif theirs["shapes"] != mine["shapes"]:
            what = "a model of another shape"
        elif theirs["fingerprint"] != mine["fingerprint"]:
            what = "other data, or another model"
        else:
            return
        raise TrainingError(
            f"the checkpoint {path} is of {what}. Resume with what it was made with, name another "
            "file, or pass resume=False to begin anew."
        )


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {k[len(prefix) :]: v for k, v in tensors.items() if k.startswith(prefix)}
