"""The one training loop of every neural model."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from arproc.errors import StorageError, TrainingError, warn
from arproc.training.callbacks import StopTraining
from arproc.training.engine import Engine
from arproc.training.history import History
from arproc.training.objective import Objective
from arproc.training.optimizers import build_optimizers
from arproc.training.parallel import Team, joined
from arproc.training.progress import Interrupts, ProgressBar
from arproc.training.seeding import generators_kept
from arproc.training.settings import Training
from arproc.training.state import RunState, Weights

__all__ = ["Trained", "train"]

# How many looks at validation data say that the first was the best of all by no chance.
_ENOUGH = 4
# How many steps' losses are fetched from an accelerator at once, which lets it run ahead.
_FETCH = 16


class Trained(NamedTuple):
    """What a training leaves beside the module.

    Attributes:
        history: what happened.
        snapshots: the weights that were kept along the way, by name.
    """

    history: History
    snapshots: list[Weights]


def train(
    module: nn.Module,
    objective: Objective,
    training: Training,
    *,
    epoch: int | None = None,
    fingerprint: str = "",
    team: Team | None = None,
) -> Trained:
    """Train a module, in place.

    Args:
        module: what is trained; after the call it is in evaluation mode.
        objective: the batch of a step and the loss of a batch, and the held-out loss if there is
            one: the weights with the lowest are then kept at the end.
        training: the settings.
        epoch: how many steps see all of the data, which says how often held-out data are scored
            at first; None where that is not known.
        fingerprint: identifies data and model, so that a checkpoint of others is refused.
        team: the processes that train together; None asks who started this one.

    Returns:
        The history and the snapshots.

    Raises:
        TrainingError: A loss is not finite, or the memory is full, before there are weights worth
            keeping; or the checkpoint belongs to another run.

    An interrupt, a loss that is not finite, and a full memory end the training with a warning,
    and the best weights so far are kept; so does a training whose first weights that were scored
    are its best.

    Example:
        >>> line = nn.Linear(1, 1)
        >>> x = torch.linspace(-1, 1, 20)[:, None]
        >>> fit = Objective(lambda step, generator: x,
        ...                 lambda x, generator: (line(x) - 3 * x).square().mean())
        >>> history, _ = train(line, fit, Training(steps=300, lr=0.1, weight_decay=0.0))
        >>> round(line.weight.item(), 2), len(history)
        (3.0, 300)
    """
    team = joined(training) if team is None else team
    run = _Run(module, objective, training, team, epoch, fingerprint)
    if training.resume and Path(training.checkpoint or "").exists():
        run.restore()
    devices = [p.device for p in module.parameters() if p.is_cuda][:1]
    # whoever asks may have turned gradients off for what he does with the model
    with generators_kept(devices), torch.enable_grad(), run.interrupts:
        try:
            run.go()
        except KeyboardInterrupt:
            run.rescue(f"was interrupted at step {run.state.step} of {training.steps}")
        except _Diverged as trouble:
            hint = f"A lower lr (now {training.peak_lr:g}), more warm-up, or clip= may help"
            run.rescue(f"stopped: {trouble}", hint, spoilt=True)
        except (MemoryError, RuntimeError) as trouble:
            if not _is_out_of_memory(trouble):
                raise
            run.rescue(
                f"ran out of memory at step {run.state.step}, with batch_size="
                f"{training.batch_size} and accumulate={training.accumulate}",
                f"accumulate={2 * training.accumulate} makes the same updates with half of it",
            )
        run.finish()
    return Trained(run.state.recorder.history(), run.state.snapshots)


class _Diverged(Exception):
    """A loss or a gradient is not finite."""


class _Run:
    """A training run; every method leaves its state at a whole number of updates."""

    def __init__(
        self,
        module: nn.Module,
        objective: Objective,
        training: Training,
        team: Team,
        epoch: int | None,
        fingerprint: str,
    ) -> None:
        self.module, self.objective, self.training, self.team = module, objective, training, team
        self.device = next(module.parameters()).device
        self.engine = Engine(module, objective, training, team)
        optimizers = build_optimizers(module, training)
        self.state = RunState(module, training, optimizers, team, epoch, fingerprint)
        scored = objective.validation is not None
        self.looks = set(training.looks(epoch or training.steps)) if scored else set()
        self.good: Weights | None = None  # the last weights whose losses were as low as any
        self.good_step, self.good_loss = 0, math.inf
        self.pending: list[Tensor] = []
        self.reported = self.saved = 0
        self.stopping = self.over = self.stopped_by_signal = False
        self.before = 0.0  # seconds of an earlier part of this run
        self.begin = time.perf_counter()
        self.interrupts = Interrupts(shared=team.size > 1)
        self.bar = ProgressBar(training.steps, training.progress if team.rank == 0 else False)

    def restore(self) -> None:
        """Go on from the checkpoint."""
        self.state.restore(str(self.training.checkpoint))
        self.saved = self.reported = self.state.step
        self.before = self.state.recorder.seconds[-1] if self.state.step else 0.0

    def go(self) -> None:
        """Train until the last step, or until patience runs out or a callback has enough."""
        self.module.train()
        self.bar.begin(self.state.step)
        while True:
            self._look()
            self._keep()
            self._report()
            if self.over or self._is_over():
                break
            if self.training.checkpoint and self.state.step % self.training.checkpoint_every == 0:
                self.save()
            self._update()
        self._fetch()
        self.save()

    def _is_over(self) -> bool:
        training, state = self.training, self.state
        if state.step == training.steps:
            return True
        if training.patience is None or state.best is None:
            return False
        return state.step - state.best_step >= training.patience * training.validation_interval

    # ---- one update ---------------------------------------------------------------------------

    def _update(self) -> None:
        training, state = self.training, self.state
        loss = norm = self.engine.gradients(state.step)
        if self.team.size > 1:
            asked = [float(self.stopping), float(self.interrupts.asked)]
            over, signals = self.team.summed(asked)
            self.over, self.stopped_by_signal = over > 0, signals > 0
        if training.clip is not None:
            norm = nn.utils.clip_grad_norm_(self.module.parameters(), training.clip)
        # The check comes before the weights are touched (on an accelerator: a few steps later).
        self.pending.append(torch.stack([loss, self.team.whole(norm).float()]))
        if self.device.type == "cpu" or len(self.pending) == _FETCH:
            self._fetch()
        with self.interrupts.held():
            scale = training.scale(state.step)
            for optimizer in state.optimizers:
                optimizer.step(state.step + 1, scale)
            state.average.update(state.step + 1)
            self.module.zero_grad()
            state.recorder.rates.append(training.peak_lr * scale)
            state.recorder.seconds.append(self.before + time.perf_counter() - self.begin)
            state.step += 1
        if self.stopped_by_signal:
            raise KeyboardInterrupt

    def _fetch(self) -> None:
        """Move the losses of the last steps into the history; refuse any that is not finite."""
        trouble = ""
        with self.interrupts.held():
            pending, self.pending = self.pending, []
            for loss, norm in torch.stack(pending).tolist() if pending else []:
                if not (math.isfinite(loss) and math.isfinite(norm)):
                    what = "loss" if not math.isfinite(loss) else "norm of the gradient"
                    value = loss if what == "loss" else norm
                    trouble = f"the {what} is {value} at step {len(self.state.recorder.loss)}"
                    break
                self.state.recorder.loss.append(loss)
                self.bar.update(loss)
        if trouble:
            raise _Diverged(trouble)

    # ---- between updates ----------------------------------------------------------------------

    @contextmanager
    def _ready(self) -> Iterator[None]:
        """While inside, the module is as it would be used: averaged, refreshed, evaluating."""
        self._fetch()
        with self.state.averaged(), self.engine.scored(), torch.no_grad():
            self.module.eval()
            try:
                if self.objective.refresh is not None:
                    self.objective.refresh()
                yield
            finally:
                self.module.train()

    def _look(self) -> None:
        """Score the held-out data where it is time, and keep the weights if they are the best."""
        state, validation = self.state, self.objective.validation
        if validation is None or state.step not in self.looks:
            return
        if state.step in state.recorder.validation:
            return  # a resumed run that had already scored this step
        with self._ready():
            value = self.team.first(float(validation()))
            if not math.isfinite(value):
                raise _Diverged(
                    f"the validation loss is {value} after {state.step} steps: the validation "
                    "data have probability zero under the model, or the weights diverged"
                )
            best = state.weights() if value < state.best_loss else None
            with self.interrupts.held():
                state.recorder.validation[state.step] = value
                if best is not None:
                    state.best_loss, state.best, state.best_step = value, best, state.step
        self.bar.note(value, state.best_loss)

    def _keep(self) -> None:
        """Keep the weights where a snapshot is due, and in case that the next ones are bad."""
        state = self.state
        due = self.training.snapshot_steps
        if state.step in due and len(state.snapshots) == due.index(state.step):
            with self._ready():
                state.snapshots.append({k: v.cpu() for k, v in state.weights().items()})
        interval = self.training.validation_interval
        if self.objective.validation is None and state.step and state.step % interval == 0:
            self._fetch()
            recent = state.recorder.loss[-interval:]
            if sum(recent) / len(recent) <= self.good_loss:
                self.good, self.good_step = state.weights(), state.step
                self.good_loss = sum(recent) / len(recent)

    def _report(self) -> None:
        """Tell the callbacks of the updates whose losses are known."""
        recorder = self.state.recorder
        while self.reported < len(recorder.loss):
            self.reported += 1
            if self.team.rank == 0:
                row = recorder.row(self.reported)
                try:
                    for callback in self.training.callbacks:
                        callback(row)
                except StopTraining:
                    self.stopping = True
        if self.team.size == 1:  # else all must agree first, see `_update`
            self.over = self.stopping

    def save(self) -> None:
        """Write a checkpoint, if one is asked for and this step's is not there."""
        if self.training.checkpoint is not None and self.saved != self.state.step:
            self._fetch()
            self.state.save(self.training.checkpoint)
            self.saved = self.state.step

    # ---- the end ------------------------------------------------------------------------------

    def rescue(self, what: str, hint: str = "", *, spoilt: bool = False) -> None:
        """Keep the last good weights and say so, or raise where there are none.

        Args:
            what: happened to the training.
            hint: what may be done.
            spoilt: whether the weights of the last step are not to be used.
        """
        state = self.state
        broken = self.interrupts.holding  # a step was cut in its middle
        if spoilt:  # on an accelerator some updates were made before it was noticed
            self.pending, state.step = [], min(state.step, len(state.recorder.loss))
        else:
            self._fetch()
        state.recorder.cut(state.step)
        self.module.zero_grad()
        advice = f" {hint}." if hint else ""
        if not spoilt and not broken:
            self._save_if_possible()
        if state.best is not None:
            kept = f"the weights of step {state.best_step}, the best on the validation data,"
        elif not spoilt and not broken and (state.step or not hint):
            kept = "the weights of the last step"
        elif self.good is not None:
            kept = f"the weights of step {self.good_step}, the last with a low loss,"
            state.best, state.best_step = self.good, self.good_step
        else:
            raise TrainingError(
                f"training {what}, before there were weights worth keeping;{advice} The "
                "last checkpoint, if one was asked for, is unharmed."
            )
        warn(f"training {what}; {kept} are kept.{advice}", UserWarning)

    def _save_if_possible(self) -> None:
        """Write the state; where the disk refuses it, the weights in memory must not be lost."""
        try:
            self.save()
        except StorageError as error:
            warn(f"the checkpoint is that of an earlier step: {error}", UserWarning)

    def finish(self) -> None:
        """Put the best weights in place; the module is then ready for use."""
        self.bar.close()
        state = self.state
        if state.best is not None:
            state.load(state.best)
        else:
            state.average.settle(state.step)
        self.engine.release()
        self.module.eval()
        for p in self.module.parameters():
            p.grad = None
            if not bool(torch.isfinite(p).all()):
                raise TrainingError(
                    "the weights are no longer finite after the last step; lower lr."
                )
        if self.objective.refresh is not None:
            with torch.no_grad():
                self.objective.refresh()
        self._warn_of_worse()

    def _warn_of_worse(self) -> None:
        """Say so where training made the model worse from the first look on."""
        scored = list(self.state.recorder.validation.items())
        if len(scored) < _ENOUGH or self.state.best_step != scored[0][0]:
            return
        warn(
            f"the validation loss was lowest when it was first looked at, after {scored[0][0]} "
            f"of {self.state.step} steps ({scored[0][1]:.4g}, at the end {scored[-1][1]:.4g}): "
            "the model learns the training data by heart, or the learning rate is too high. These "
            "weights are kept; a lower lr, a smaller network, more weight_decay, or a smaller "
            "validate_every may do better.",
            UserWarning,
        )


def _is_out_of_memory(error: BaseException) -> bool:
    told = str(error)
    return isinstance(error, (MemoryError, torch.OutOfMemoryError)) or (
        "allocate memory" in told or "out of memory" in told
    )
