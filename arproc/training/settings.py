"""How a neural model is trained, as one immutable value."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from numbers import Real
from typing import Any, ClassVar

from arproc.contract.storable import storable
from arproc.errors import ParameterError, check_choice, check_integer
from arproc.training.augmentation import Augment, augment_name

__all__ = ["Training"]


@storable
@dataclass(frozen=True, repr=False)
class Training:
    """How a neural model is trained.

    Batches are a function of `seed` and the step, so two runs with equal settings on the same
    data give the same weights, and a run resumed from a checkpoint gives the weights that it
    would have had without the break.

    Args:
        steps: how many updates of the weights.
        batch_size: how many sequences (or crops of sequences) each update sees.
        lr: the peak learning rate of AdamW; None takes 0.003, or 0.01 beside Muon.
        warmup: over which share of the steps the learning rates rise linearly to their peaks.
        schedule: how they fall after that: "cosine"; "trapezoid", which holds the peak for two
            fifths of the steps and then falls in a straight line (Hägele et al. 2024); or
            "constant".
        final_lr: where they end, as a share of the peak; not used by "constant".
        optimizer: "adamw" (Loshchilov and Hutter 2019), or "muon" (Jordan et al. 2024), which
            orthogonalises the updates of the hidden matrices and leaves the rest to AdamW. On
            networks with hidden matrices Muon needs about half as many steps.
        matrix_lr: the peak learning rate of Muon's matrices.
        betas: AdamW's decay rates of the mean and of the mean square of the gradients.
        weight_decay: decoupled weight decay of matrices; vectors and embeddings have none.
        clip: the gradient's norm is scaled down to this; None leaves it.
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

    Example:
        >>> quick = Training(steps=200)
        >>> quick.set_params(seed=1), quick.seed
        (Training(steps=200, seed=1), 0)
    """

    #: Settings that name places on this machine: no file of a model holds them.
    local: ClassVar[tuple[str, ...]] = ("checkpoint", "resume")

    steps: int = 2000
    batch_size: int = 32
    lr: float | None = None
    warmup: float = 0.05
    schedule: str = "cosine"
    final_lr: float = 0.0
    optimizer: str = "adamw"
    matrix_lr: float = 0.02
    betas: tuple[float, float] = (0.9, 0.99)
    weight_decay: float = 0.1
    clip: float | None = 1.0
    validate_every: int | None = None
    patience: int | None = None
    checkpoint: str | None = None
    checkpoint_every: int = 500
    resume: bool = False
    device: str = "cpu"
    precision: str = "float32"
    seed: int = 0
    progress: bool | None = None
    augment: Augment | None = None

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "checkpoint_every"):
            check_integer(name, getattr(self, name), minimum=1)
        for name in ("validate_every", "patience"):
            if getattr(self, name) is not None:
                check_integer(name, getattr(self, name), minimum=1)
        check_integer("seed", self.seed, minimum=0)
        check_choice("schedule", self.schedule, ("cosine", "trapezoid", "constant"))
        check_choice("optimizer", self.optimizer, ("adamw", "muon"))
        check_choice("precision", self.precision, ("float32", "bfloat16"))
        for name in ("lr", "matrix_lr", "clip"):
            if getattr(self, name) is not None or name == "matrix_lr":
                _check_real(name, getattr(self, name), 0.0, float("inf"), open_low=True)
        for name in ("warmup", "final_lr"):
            _check_real(name, getattr(self, name), 0.0, 1.0)
        _check_real("weight_decay", self.weight_decay, 0.0, float("inf"))
        _check_betas(self.betas)
        if self.augment is not None and not callable(self.augment):
            raise ParameterError(
                "augment must be a function f(x, rows, generator) -> x, such as "
                f"arproc.training.Binarise(intensities), or None; got {self.augment!r}."
            )
        if self.resume and self.checkpoint is None:
            raise ParameterError("resume=True needs checkpoint=, the file to go on from.")

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
        """What a model's file holds: all settings but `augment`, which is no data, and `local`."""
        left_out = ("augment", *self.local)
        return {name: v for name, v in self.get_params().items() if name not in left_out}

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> Training:
        """The settings that `to_dict` gave."""
        return cls(**fields)

    def identity(self) -> dict[str, Any]:
        """The settings as a checkpoint compares them: `augment` by its name."""
        return self.get_params() | {"augment": augment_name(self.augment)}

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

    def scale(self, step: int) -> float:
        """The learning rates at `step` (0, 1, ...), as a share of their peaks.

        Example:
            >>> plan = Training(steps=100, warmup=0.1)
            >>> plan.scale(4), plan.scale(10), plan.scale(55)
            (0.5, 1.0, 0.5)
        """
        rising = round(self.warmup * self.steps)
        if step < rising:
            return (step + 1) / rising
        if self.schedule == "constant":
            return 1.0
        if self.schedule == "trapezoid":
            left = min(1.0, (self.steps - step) / (0.6 * self.steps))
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
