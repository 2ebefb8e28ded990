"""The one training loop of every neural model."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from arproc.contract.randomness import seed_of
from arproc.errors import ArprocError, FileFormatError, StorageError, TrainingError, warn
from arproc.training.checkpoint import read_checkpoint, write_checkpoint
from arproc.training.optimizers import build_optimizers
from arproc.training.progress import Interrupts, ProgressBar
from arproc.training.settings import Training

__all__ = ["History", "Loss", "train"]

#: The loss of one batch, a scalar tensor: `loss(step, generator)`.
Loss = Callable[[int, torch.Generator], Tensor]
#: What happened, by name; see `train`.
History = dict[str, list[float]]

_STREAM = 0
# Settings that do not change the weights a run arrives at, so they may differ on resuming.
_FREE = ("checkpoint", "checkpoint_every", "resume", "progress", "patience")
# How many looks at validation data say that the first was the best of all by no chance.
_ENOUGH = 4
# How many steps' losses are fetched from an accelerator at once, which lets it run ahead.
_FETCH = 16


def train(
    module: nn.Module,
    loss: Loss,
    training: Training,
    *,
    validation: Callable[[], float] | None = None,
    epoch: int | None = None,
    fingerprint: str = "",
) -> History:
    """Train a module, in place.

    Args:
        module: what is trained; after the call it is in evaluation mode.
        loss: gives the mean loss (nats per element) of the batch of a step. Its batch must be a
            function of the step and of draws from the generator, which is seeded from (seed,
            step); torch's global generator is seeded likewise, for dropout.
        training: the settings.
        validation: gives the loss on held-out data; called without gradients, in evaluation mode.
            With it, the weights with the lowest one are kept at the end.
        epoch: how many steps see all of the data, which says how often held-out data are scored
            at first; None where that is not known.
        fingerprint: identifies data and model, so that a checkpoint of others is refused.

    Returns:
        "loss" of each step, and where there are validation data "validation" and the
        "validation_step" (number of updates made) of each.

    Raises:
        TrainingError: A loss is not finite, or the checkpoint belongs to another run.

    A KeyboardInterrupt ends the training, keeps the best weights so far and warns; so does a
    training whose first weights that were scored are its best.

    Example:
        >>> line = nn.Linear(1, 1)
        >>> x = torch.linspace(-1, 1, 20)[:, None]
        >>> history = train(line, lambda step, generator: (line(x) - 3 * x).square().mean(),
        ...                 Training(steps=300, lr=0.1, weight_decay=0.0))
        >>> round(line.weight.item(), 2), len(history["loss"])
        (3.0, 300)
    """
    run = _Run(module, loss, training, validation, epoch, fingerprint)
    if training.resume and Path(training.checkpoint or "").exists():
        run.restore()
    devices = [p.device for p in module.parameters() if p.is_cuda][:1]
    # whoever asks may have turned gradients off for what he does with the model
    with torch.random.fork_rng(devices), torch.enable_grad(), run.interrupts:
        try:
            run.go()
        except KeyboardInterrupt:
            run.interrupted()
    run.finish()
    return run.history


class _Run:
    """The state of one training run; every method leaves it at a whole number of steps."""

    def __init__(
        self,
        module: nn.Module,
        loss: Loss,
        training: Training,
        validation: Callable[[], float] | None,
        epoch: int | None,
        fingerprint: str,
    ) -> None:
        self.module, self.loss, self.training, self.validation = module, loss, training, validation
        self.device = next(module.parameters()).device
        self.looks = set() if validation is None else set(training.looks(epoch or training.steps))
        self.optimizers = build_optimizers(module, training)
        self.step, self.stale, self.best_loss = 0, 0, math.inf
        self.best: dict[str, Tensor] | None = None
        self.history: History = {"loss": []}
        if validation is not None:
            self.history |= {"validation": [], "validation_step": []}
        self.pending: list[Tensor] = []
        self.interrupts = Interrupts()
        self.generator = torch.Generator()
        settings = {k: v for k, v in training.identity().items() if k not in _FREE}
        shapes = {name: list(value.shape) for name, value in module.state_dict().items()}
        self.identity = json.loads(
            json.dumps({"settings": settings, "shapes": shapes, "fingerprint": fingerprint})
        )
        self.bar = ProgressBar(training.steps, training.progress)

    def go(self) -> None:
        """Train until the last step or until patience runs out."""
        training = self.training
        self.module.train()
        self.bar.begin(self.step)
        while True:
            last = self.step == training.steps
            if self.step in self.looks:
                self._validate()
            if last or self._out_of_patience():
                break
            self._update()
            if training.checkpoint is not None and self.step % training.checkpoint_every == 0:
                self.save()
        self._fetch()
        if training.checkpoint is not None:
            self.save()

    def _out_of_patience(self) -> bool:
        if self.training.patience is None or self.best is None:
            return False
        return self.step - self._best_step >= (
            self.training.patience * self.training.validation_interval
        )

    @property
    def _best_step(self) -> int:
        """After which step the weights were the best on the validation data."""
        return int(self.history["validation_step"][-1 - self.stale])

    def _update(self) -> None:
        seed = seed_of(self.training.seed, _STREAM, self.step)
        torch.manual_seed(seed)
        self.generator.manual_seed(seed ^ 1)
        with torch.autocast(
            self.device.type, torch.bfloat16, enabled=self.training.precision == "bfloat16"
        ):
            loss = self.loss(self.step, self.generator)
        loss.backward()
        norm = loss.detach()
        if self.training.clip is not None:
            norm = nn.utils.clip_grad_norm_(self.module.parameters(), self.training.clip)
        # The check comes before the weights are touched (on an accelerator: a few steps later).
        self.pending.append(torch.stack([loss.detach().float(), norm.float()]))
        if self.device.type == "cpu" or len(self.pending) == _FETCH:
            self._fetch()
        with self.interrupts.held():
            for optimizer in self.optimizers:
                optimizer.step(self.step + 1, self.training.scale(self.step))
            self.module.zero_grad()
            self.step += 1

    def _fetch(self) -> None:
        """Move the losses of the last steps into the history; refuse any that is not finite."""
        pending, self.pending = self.pending, []
        for loss, norm in torch.stack(pending).tolist() if pending else []:
            step = len(self.history["loss"])
            if not (math.isfinite(loss) and math.isfinite(norm)):
                what = "loss" if not math.isfinite(loss) else "norm of the gradient"
                raise TrainingError(
                    f"the {what} is {loss if what == 'loss' else norm} at step {step}; a lower lr "
                    f"(now {self.training.peak_lr:g}), more warm-up, or clip= may help. The last "
                    "checkpoint, if one was asked for, is unharmed."
                )
            self.history["loss"].append(loss)
            self.bar.update(loss)

    def _validate(self) -> None:
        assert self.validation is not None
        if self.history["validation_step"][-1:] == [self.step]:
            return  # a resumed run that had already scored this step
        self._fetch()
        self.module.eval()
        with torch.no_grad():
            value = float(self.validation())
        self.module.train()
        if not math.isfinite(value):
            raise TrainingError(
                f"the validation loss is {value} after {self.step} steps: the validation data "
                "have probability zero under the model, or the weights diverged (lower lr)."
            )
        with self.interrupts.held():
            self.history["validation"].append(value)
            self.history["validation_step"].append(self.step)
            self.stale += 1
            if value < self.best_loss:
                self.best_loss, self.stale = value, 0
                self.best = {k: v.detach().clone() for k, v in self.module.state_dict().items()}
        self.bar.note(value, self.best_loss)

    def interrupted(self) -> None:
        """Keep what there is, and say so."""
        self._fetch()
        del self.history["loss"][self.step :]  # of a step that was not finished
        if self.training.checkpoint is not None and not self.interrupts.holding:
            self._save_if_possible()
        kept = "the weights of the last step"
        if self.best is not None:
            kept = f"the weights of step {self._best_step}, the best on the validation data,"
        warn(
            f"training was interrupted at step {self.step} of {self.training.steps}; {kept} are "
            "kept.",
            UserWarning,
        )

    def finish(self) -> None:
        """Put the best weights in place; the module is then ready for use."""
        self.bar.close()
        if self.best is not None:
            self.module.load_state_dict(self.best)
        for p in self.module.parameters():
            p.grad = None
            if not bool(torch.isfinite(p).all()):
                raise TrainingError(
                    "the weights are no longer finite after the last step; lower lr."
                )
        self.module.eval()
        self._warn_of_worse()

    def _warn_of_worse(self) -> None:
        """Say so where training made the model worse from the first look on."""
        scored = self.history.get("validation", [])
        if len(scored) < _ENOUGH or self.stale < len(scored) - 1:
            return
        warn(
            f"the validation loss was lowest when it was first looked at, after {self._best_step} "
            f"of {self.step} steps ({scored[0]:.4g}, at the end {scored[-1]:.4g}): the model "
            "learns the training data by heart, or the learning rate is too high. These weights "
            "are kept; a lower lr, a smaller network, more weight_decay, or a smaller "
            "validate_every may do better.",
            UserWarning,
        )

    # ---- checkpoints --------------------------------------------------------------------------

    def save(self) -> None:
        """Write the whole state of the run."""
        self._fetch()
        tensors = {f"module.{k}": v for k, v in self.module.state_dict().items()}
        tensors |= {f"best.{k}": v for k, v in (self.best or {}).items()}
        tensors |= {f"optimizer.{k}": v for k, v in self._averages().items()}
        run: dict[str, Any] = {
            "identity": self.identity,
            "step": self.step,
            "stale": self.stale,
            "best_loss": self.best_loss if self.best is not None else None,
            "history": self.history,
        }
        write_checkpoint(str(self.training.checkpoint), tensors, run)

    def _save_if_possible(self) -> None:
        """Write the state; where the disk refuses it, the weights in memory must not be lost."""
        try:
            self.save()
        except StorageError as error:
            warn(f"the checkpoint is that of an earlier step: {error}", UserWarning)

    def restore(self) -> None:
        """Go back to the state in the checkpoint."""
        path = str(self.training.checkpoint)
        tensors, run = read_checkpoint(path)
        try:
            self._restore(path, tensors, run)
        except (LookupError, TypeError, AttributeError, ValueError, RuntimeError) as error:
            if isinstance(error, ArprocError):
                raise
            raise FileFormatError(
                f"{path!r} is not a checkpoint of this training ({type(error).__name__}: {error})."
            ) from error

    def _restore(self, path: str, tensors: dict[str, Tensor], run: dict[str, Any]) -> None:
        self._check_identity(path, run["identity"])
        self.module.load_state_dict(_under("module.", tensors))
        self.best = _under("best.", tensors) or None
        for name, average in self._averages().items():
            average.copy_(tensors[f"optimizer.{name}"])
        self.step, self.stale, self.history = run["step"], run["stale"], run["history"]
        if type(self.step) is not int or not 0 <= self.step == len(self.history["loss"]):
            raise ValueError(f"step {self.step!r}, with the losses of other steps")
        self.best_loss = math.inf if run["best_loss"] is None else run["best_loss"]

    def _averages(self) -> dict[str, Tensor]:
        """The optimizers' running averages, by name."""
        return {
            f"{i}.{j}.{name}": average
            for i, optimizer in enumerate(self.optimizers)
            for j, state in enumerate(optimizer.state)
            for name, average in state.items()
        }

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
