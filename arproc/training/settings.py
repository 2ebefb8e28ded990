"""How a neural model is trained, as one immutable value."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from numbers import Real
from typing import Any, ClassVar

from arproc.contract.storable import storable
from arproc.errors import ParameterError, check_choice, check_flag, check_integer
from arproc.training.augmentation import Augment, augment_name
from arproc.training.callbacks import Callback, check_callbacks

__all__ = ["Training"]

_SCHEDULES = ("cosine", "trapezoid", "constant", "cyclic", "sweep")


@storable
@dataclass(frozen=True, repr=False)
class Training:
    """How a neural model is trained.

    Batches are a function of `seed` and the step, so two runs with equal settings on the same
    data give the same weights, and a run resumed from a checkpoint gives the weights that it
    would have had without the break.

    Args:
        steps: how many updates of the weights.
        batch_size: how many sequences (or crops of sequences) each update sees, all processes and
            parts together.
        accumulate: in how many parts a batch goes through the network, one after another, where
            it needs too much memory whole; the update is the same but for rounding (where the
            loss draws, as dropout and random orders do, each part has draws of its own; batch
            normalisation sees parts).
        lr: the peak learning rate of AdamW; None takes 0.003, or 0.01 beside Muon.
        warmup: over which share of the steps the learning rates rise linearly to their peaks.
        schedule: how they fall after that: "cosine"; "trapezoid", which holds the peak for two
            fifths of the steps and then falls in a straight line (Hägele et al. 2024);
            "constant"; "cyclic", a cosine for each of the `snapshots` (Huang et al. 2017); or
            "sweep", which rises exponentially to the peak, as `model.find_lr` has it.
        final_lr: where they end, as a share of the peak; not used by "constant". A sweep begins
            there.
        optimizer: "adamw" (Loshchilov and Hutter 2019), or "muon" (Jordan et al. 2024), which
            orthogonalises the updates of the hidden matrices and leaves the rest to AdamW. On
            networks with hidden matrices Muon needs about half as many steps.
        matrix_lr: the peak learning rate of Muon's matrices.
        betas: AdamW's decay rates of the mean and of the mean square of the gradients.
        weight_decay: decoupled weight decay of matrices; vectors and embeddings have none.
        clip: the gradient's norm is scaled down to this; None leaves it.
        ema: decay of an exponential moving average of the weights, such as 0.999, which is scored,
            kept and used instead of them; None has none.
        swa: over which last share of the steps the weights are averaged, such as 0.25, to the
            same end (Izmailov et al. 2018); None has none.
        snapshots: how many times the weights are kept, at the ends of as many equal stretches of
            the steps; `model.snapshots_` has a model of each, as for an `arproc.Mixture`.
        bucket: how many batches of crops are drawn at once and cut by length, each of about as
            many terms, so that sequences of unequal lengths need less padding. It counts for
            models of sequences; 1 draws each batch by itself.
        validate_every: after how many steps the validation data are scored, if there are any.
            None scores them after each of the first epochs, then ever more rarely, until it is
            after each twentieth of the steps.
        patience: training stops where there has been no new best in `patience * validate_every`
            steps (`patience` twentieths of them by default); None never stops early. With
            validation data the best of all weights scored are kept in either case.
        checkpoint: a file to write the state of the run to, atomically; None writes none.
        checkpoint_every: after how many steps the checkpoint is written; it is also written when
            the run ends or is interrupted.
        resume: go on from the checkpoint if the file exists (an error if it is of another model,
            other settings or other data); otherwise a run begins anew and replaces it.
        sharded: where `torchrun` has started several processes, whether each keeps only its share
            of the weights, gradients and averages (torch's `fully_shard`), the weights being
            gathered for each pass; otherwise each has them all (`DistributedDataParallel`). AdamW
            only.
        compile: whether the loss goes through `torch.compile`, which takes a compiler of C++, and
            minutes at first: it is for long runs, on a GPU.
        device: where the network is trained and computes afterwards, such as "cuda".
        precision: "float32", or "bfloat16" for matrix products where the device is fast at them
            (weights, their averages and log-probabilities stay in float32).
        seed: of the initial weights, the batches and dropout.
        progress: whether a progress bar is shown; None shows it in a terminal only.
        augment: changes the examples of each training batch, `f(x, rows, generator) -> x`, for
            models of examples of a fixed size (images, vectors): flips, shifts, noise, or
            `arproc.training.Binarise`. x [n, *shape] is a tensor on the CPU in the shape of the
            user's array, rows int64 [n] which examples of the training data these are, generator
            a function of the seed and the step. The result must fit the model's space. Validation
            data are not changed. A function is not data: a saved model, and so a loaded one, has
            the other settings without it, and a checkpoint knows it by its name (a `Binarise` by
            its intensities).
        callbacks: functions that get a row of `model.history_` after each update, a dict: "step",
            "epoch", "loss", "validation" (nan where held-out data were not scored), "seconds",
            "learning_rate"; such as `arproc.training.CSVLog` and `TensorBoardLog`. One that raises
            `arproc.training.StopTraining` ends the training. They are no data either.

    Several processes that `torchrun` starts train one model together, each with a part of every
    batch, and end with the same weights; the script is that for one process.

    Example:
        >>> quick = Training(steps=200)
        >>> quick.set_params(seed=1), quick.seed
        (Training(steps=200, seed=1), 0)
    """

    #: Settings that name places on this machine: no file of a model holds them.
    local: ClassVar[tuple[str, ...]] = ("checkpoint", "resume")

    steps: int = 2000
    batch_size: int = 32
    accumulate: int = 1
    lr: float | None = None
    warmup: float = 0.05
    schedule: str = "cosine"
    final_lr: float = 0.0
    optimizer: str = "adamw"
    matrix_lr: float = 0.02
    betas: tuple[float, float] = (0.9, 0.99)
    weight_decay: float = 0.1
    clip: float | None = 1.0
    ema: float | None = None
    swa: float | None = None
    snapshots: int = 0
    bucket: int = 1
    validate_every: int | None = None
    patience: int | None = None
    checkpoint: str | None = None
    checkpoint_every: int = 500
    resume: bool = False
    sharded: bool = False
    compile: bool = False
    device: str = "cpu"
    precision: str = "float32"
    seed: int = 0
    progress: bool | None = None
    augment: Augment | None = None
    callbacks: tuple[Callback, ...] = ()

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "accumulate", "bucket", "checkpoint_every"):
            check_integer(name, getattr(self, name), minimum=1)
        for name in ("validate_every", "patience"):
            if getattr(self, name) is not None:
                check_integer(name, getattr(self, name), minimum=1)
        for name in ("seed", "snapshots"):
            check_integer(name, getattr(self, name), minimum=0)
        for name in ("resume", "sharded", "compile"):
            check_flag(name, getattr(self, name))
        check_choice("schedule", self.schedule, _SCHEDULES)
        check_choice("optimizer", self.optimizer, ("adamw", "muon"))
        check_choice("precision", self.precision, ("float32", "bfloat16"))
        for name in ("lr", "matrix_lr", "clip"):
            if getattr(self, name) is not None or name == "matrix_lr":
                _check_real(name, getattr(self, name), 0.0, float("inf"), open_low=True)
        for name in ("warmup", "final_lr"):
            _check_real(name, getattr(self, name), 0.0, 1.0)
        _check_real("weight_decay", self.weight_decay, 0.0, float("inf"))
        _check_betas(self.betas)
        self._check_averages()
        check_callbacks(self.callbacks)
        object.__setattr__(self, "callbacks", tuple(self.callbacks))
        self._check_together()
        if self.augment is not None and not callable(self.augment):
            raise ParameterError(
                "augment must be a function f(x, rows, generator) -> x, such as "
                f"arproc.training.Binarise(intensities), or None; got {self.augment!r}."
            )

    def _check_averages(self) -> None:
        for name in ("ema", "swa"):
            value = getattr(self, name)
            if value is not None:
                _check_real(name, value, 0.0, 1.0, open_low=True)
        if self.ema is not None and self.ema >= 1:
            raise ParameterError(f"ema must be below 1, such as 0.999; got {self.ema!r}.")
        if self.ema is not None and self.swa is not None:
            raise ParameterError("ema and swa are two averages of the weights; choose one.")

    def _check_together(self) -> None:
        """Raise `ParameterError` for settings that contradict each other."""
        if self.resume and self.checkpoint is None:
            raise ParameterError("resume=True needs checkpoint=, the file to go on from.")
        if self.accumulate > self.batch_size:
            raise ParameterError(
                f"accumulate={self.accumulate} parts of batch_size={self.batch_size} rows: some "
                "would be empty; expected at most a part a row."
            )
        if self.schedule == "cyclic" and not self.snapshots:
            raise ParameterError(
                'schedule="cyclic" has a cycle for each snapshot; give snapshots=, such as 5.'
            )
        if self.sharded and self.optimizer == "muon":
            raise ParameterError(
                'sharded=True is for optimizer="adamw": Muon needs each matrix whole.'
            )

    def __repr__(self) -> str:
        changed = []
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            # a function by its name, since its repr is another one in every session
            if value != field.default:
                changed.append(f"{field.name}={getattr(value, '__name__', repr(value))}")
        return f"Training({', '.join(changed)})"

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The settings by name (scikit-learn's protocol)."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}

    def set_params(self, **params: Any) -> Training:
        """A copy with these settings changed; this one stays as it is."""
        names = [field.name for field in dataclasses.fields(self)]
        for name in params:
            if name not in names:
                raise ParameterError(
                    f"Training has no setting {name!r}; it has {', '.join(names)}."
                )
        return dataclasses.replace(self, **params)

    def to_dict(self) -> dict[str, Any]:
        """What a model's file holds: all settings but functions, no data, and `local`."""
        left_out = ("augment", "callbacks", *self.local)
        return {name: v for name, v in self.get_params().items() if name not in left_out}

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> Training:
        """The settings that `to_dict` gave."""
        return cls(**fields)

    def identity(self) -> dict[str, Any]:
        """The settings as a checkpoint compares them: `augment` by its name, no callbacks."""
        settings = self.get_params() | {"augment": augment_name(self.augment)}
        del settings["callbacks"]
        return settings

    @property
    def peak_lr(self) -> float:
        """The peak learning rate of AdamW."""
        default = 0.01 if self.optimizer == "muon" else 0.003
        return default if self.lr is None else self.lr

    @property
    def validation_interval(self) -> int:
        """After how many steps the validation data are scored, the first epochs apart."""
        return self.validate_every or max(1, self.steps // 20)

    def looks(self, epoch: int) -> list[int]:
        """After which numbers of steps the validation data are scored.

        Small data are learnt by heart within few epochs, however many the recipe has: the gaps
        begin at one epoch, and grow by an eighth of the steps done.

        Args:
            epoch: how many steps see all of the data.

        Example:
            >>> Training(steps=100).looks(epoch=2)[:14], Training(steps=100).looks(epoch=50)[:4]
            ([2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 27, 30], [5, 10, 15, 20])
        """
        every, found, step = self.validation_interval, [], 0
        while step < self.steps:
            early = every if self.validate_every else max(epoch, step // 8, 1)
            step = min(step + min(every, early), self.steps)
            found.append(step)
        return found

    @property
    def validation_batches(self) -> int:
        """How many batches are scored at most, so that it takes a tenth of the time or so."""
        return max(8, self.validation_interval // 4)

    @property
    def snapshot_steps(self) -> list[int]:
        """After how many updates the weights are kept; at most once a step.

        Example:
            >>> Training(steps=10, snapshots=3).snapshot_steps
            [3, 7, 10]
        """
        count = min(self.snapshots, self.steps)
        return [round(self.steps * (i + 1) / count) for i in range(count)]

    def scale(self, step: int) -> float:
        """The learning rates at `step` (0, 1, ...), as a share of their peaks.

        Example:
            >>> plan = Training(steps=100, warmup=0.1)
            >>> plan.scale(4), plan.scale(10), plan.scale(55)
            (0.5, 1.0, 0.5)
        """
        if self.schedule == "sweep":
            low = self.final_lr or 1e-6
            return low ** (1 - step / max(self.steps - 1, 1))
        rising = round(self.warmup * self.steps)
        if step < rising:
            return (step + 1) / rising
        if self.schedule == "constant":
            return 1.0
        if self.schedule == "trapezoid":
            left = min(1.0, (self.steps - step) / (0.6 * self.steps))
        elif self.schedule == "cyclic":
            ends = [rising, *(end for end in self.snapshot_steps if end > rising)]
            begin = max(end for end in ends if end <= step)
            done = (step - begin) / (min(end for end in ends if end > begin) - begin)
            left = (1 + math.cos(math.pi * done)) / 2
        else:
            done = (step - rising) / max(self.steps - rising, 1)
            left = (1 + math.cos(math.pi * done)) / 2
        return self.final_lr + (1 - self.final_lr) * left


def _check_real(
    name: str, value: object, low: float, high: float, *, open_low: bool = False
) -> None:
    real = isinstance(value, Real) and not isinstance(value, bool)
    if not real or not (low < value if open_low else low <= value) or not value <= high:  # type: ignore[operator]
        bound = f"above {low:g}" if open_low else f"at least {low:g}"
        upper = f" and at most {high:g}" if high < float("inf") else ""
        raise ParameterError(f"{name} must be a number {bound}{upper}; got {value!r}.")


def _check_betas(betas: Any) -> None:
    try:
        first, second = (float(beta) for beta in betas)
    except (TypeError, ValueError):
        first = second = -1.0
    if not (0 <= first < 1 and 0 <= second < 1):
        raise ParameterError(f"betas must be two numbers in [0, 1); got {betas!r}.")
