"""What every neural law and model shares: the law holds a network, and the model trains it.

A family writes

- its networks and heads as `StorableModule`s, whose constructors' arguments go into files; one of
  examples of one size (vectors, images) as an `ExampleNetwork`, which says what it is trained by;
  a context enters by `Given`, which learns its place and size before the first step;
- its law, `@storable @dataclass(frozen=True, eq=False, repr=False) class XLaw(NetworkLaw)`, with
  `network` annotated more closely, more fields if it has any, `start`, and fast ways;
- its model, `class X(NeuralProcess)`, which annotates `law_: XLaw` and `network_`, stores
  `training`, and `conditioned` and `classes` if it takes a context (then it calls
  `_check_context_parameters`), and whose `_fit` is about

      form, layout = self._learnt_form(context), self._layout_of(sequences.space)
      network, fit = self._trained_on_examples(
          lambda: XNetwork(..., context=form.size if form else 0),
          sequences, validation, context,
      )
      return XLaw(network, sequences.space, form, layout), fit

  (or `_trained`, with an objective of its own.) A law drawn from as a whole derives from
  `NeuralLaw` and `WholeLaw`, and its model from `NeuralModel`.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, Self, TypeVar

import numpy as np
import torch
from torch import Tensor

from arproc.contract.checked import Number, check_attributes, is_own, sentences
from arproc.contract.context import ContextForm
from arproc.contract.law import ChainLaw, Law
from arproc.contract.sequences import Sequences
from arproc.contract.storable import StorableModule, storable
from arproc.data import intake
from arproc.data.form import Layout
from arproc.errors import (
    NotEstimatedError,
    ParameterError,
    check_array,
    check_device,
    check_integer,
)
from arproc.models.neural.examples import ExampleNetwork, Examples, examples_objective
from arproc.models.neural.given import learn_contexts
from arproc.models.neural.rates import LearningRates, swept
from arproc.process import Fit, Model, Process
from arproc.process.fit import Learnt
from arproc.spaces import Space
from arproc.training import History, Objective, Training, Weights, joined, seed_of, train

__all__ = ["NetworkLaw", "NeuralLaw", "NeuralModel", "NeuralProcess"]

_STREAM = 2
_EXTREME = 1e8

N = TypeVar("N", bound=StorableModule)
E = TypeVar("E", bound=ExampleNetwork)


@storable
@dataclass(frozen=True, eq=False, repr=False)
class NeuralLaw(Law):
    """Base of the laws that a network gives.

    Attributes:
        network: the network, which the law takes over: it is in evaluation mode, and its
            parameters ask for no gradients (`network.requires_grad_()` makes `log_prob` of a
            tensor differentiable in them).
        space: what one element is.
        context: what the law is conditioned on, or None; the network sees vectors of its size.
        layout: of the user's arrays, for laws of fixed size.
    """

    network: StorableModule
    space: Space
    context: ContextForm | None = None
    layout: Layout | None = None

    #: Of which kinds its context may be.
    context_kinds: ClassVar[tuple[str, ...]] = ("static",)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.network.eval().requires_grad_(False)

    def problems(self) -> Iterator[str]:
        network, space = self.network, self.space
        if self.device.type == "meta":  # where there are no numbers
            return
        given = context_size(network)
        sizes = {length for length in (space.length, self._sites) if length is not None}
        if self.layout is not None:
            sizes.add(self.layout.length)
        bad = [k for k, v in network.named_parameters() if not _moderate(v)]
        bad += [k for k, v in network.named_buffers() if Number(infinite=True).problem(v)]
        for part in network.modules():
            if is_own(type(part)):
                check_attributes(part)
        yield from sentences(
            (bool(bad), f"the network's {', '.join(bad[:1])} has numbers that are not finite, or "
             f"are beyond {_EXTREME:g}"),
            (given is not None and given != self.n_context,
             f"the network is conditioned on {given} numbers, the law on {self.n_context}"),
            (self.context is not None and self.context.kind not in self.context_kinds,
             "context is by steps"),
            (len(sizes) > 1, f"space, layout and network have different lengths, {sorted(sizes)}"),
        )  # fmt: skip
        yield from network_problems(network, space, self.layout)

    @property
    def _sites(self) -> int | None:
        """Of how many elements the network's examples are, if of one size."""
        return self.network.sites if isinstance(self.network, ExampleNetwork) else None

    @property
    def device(self) -> torch.device:
        return next(self.network.parameters()).device

    @property
    def n_context(self) -> int:
        """How many numbers the network is conditioned on; as many as there are classes."""
        return 0 if self.context is None else self.context.size or 0

    @property
    def shape(self) -> tuple[int, ...] | None:
        """The shape of one example as the user gave it, for laws of fixed size."""
        return None if self.layout is None else self.layout.shape

    def to(self, device: torch.device | str) -> Self:
        """The same law on another device; this one stays where it is."""
        law = replace(self, network=copy.deepcopy(self.network).to(device))
        for new, old in zip(law.network.parameters(), self.network.parameters(), strict=True):
            new.requires_grad_(old.requires_grad)
        return law

    def rounded(self) -> Self:
        """The law of the same network with weights rounded to bfloat16."""
        law = self.to(self.device)
        with torch.no_grad():
            for p in law.network.parameters():
                p.copy_(p.bfloat16())
        return law


@storable
@dataclass(frozen=True, eq=False, repr=False)
class NetworkLaw(NeuralLaw, ChainLaw):
    """Base of the laws whose conditionals a network gives."""


def context_size(network: StorableModule) -> int | None:
    """How many numbers a network is conditioned on; None where it does not say."""
    for part in network.modules():
        if isinstance(part, StorableModule) and "context" in part.arguments:
            return int(part.arguments["context"])
    return None


def network_problems(
    network: StorableModule, space: Space, layout: Layout | None
) -> Iterator[str]:
    """What the network and its parts say does not fit; each may write `problems`."""
    for part in network.modules():
        told: Any = getattr(part, "problems", None)
        if told is not None:
            yield from told(space, layout)


def _with(law: NeuralLaw, weights: Weights) -> NeuralLaw:
    """The same law with other weights."""
    network = copy.deepcopy(law.network)
    network.load_state_dict(weights)
    return replace(law, network=network)


def _counted(context: Tensor, sequences: Sequences) -> Tensor:
    """The contexts [n, c] of the sequences that have a weight, or of their steps."""
    weights, device = sequences.weights, context.device
    counts = None if weights is None else weights.to(device) > 0
    if context.ndim == 2:
        return context if counts is None else context[counts]
    step = torch.arange(context.shape[1], device=device)
    inside = step < sequences.lengths.to(device)[:, None]
    return context[inside if counts is None else inside & counts[:, None]]


def _moderate(x: Tensor) -> bool:
    # a weight beyond this makes sums that float32 does not hold
    return x.numel() == 0 or bool(x.detach().abs().max() < _EXTREME)


class NeuralModel(Model):
    """Base of the models that train a network.

    Attributes:
        network_: the network of the law; see `NeuralLaw`.
        history_: the course of the training, a DataFrame; see `arproc.training.History.table`.
        snapshots_: models with the weights that `Training(snapshots=)` kept.
        shape_: the shape of one example, as the user gave it.
        n_context_: how many numbers an example is conditioned on; as many as there are classes
            where these are labels.
    """

    takes_weights = True

    training: Training | None
    conditioned: bool = False
    classes: int | None = None

    network_: StorableModule
    _course_: History
    _snapshots_: list[dict[str, Tensor]]
    shape_: tuple[int, ...] | None
    n_context_: int
    law_: NeuralLaw

    def to(self, device: torch.device | str) -> Self:
        """Hold the law on another device; data that are no tensors follow it."""
        self._held = Learnt(self.law_.to(check_device("device", device)), self.fit_)
        return self

    def rounded(self) -> Self:
        """A model of the same network with its weights rounded to bfloat16, of eight digits.

        It is a law of its own, as exact as the other: it computes in float32 what the rounded
        weights say. A transformer's draws of few rows read half as much memory. Weights that were
        published in bfloat16 are such already.

        Example:
            >>> import arproc
            >>> data, training = [[0, 1, 1, 0]] * 9, arproc.Training(steps=3)
            >>> model = arproc.MADE((4,), training=training).fit(data)
            >>> round(model.rounded().log_prob([0, 1, 1, 0]) - model.log_prob([0, 1, 1, 0]), 1)
            0.0
        """
        model = copy.copy(self)
        model._held = Learnt(self.law_.rounded(), self.fit_)
        return model

    @property
    def history_(self) -> Any:
        """The course of the training, a DataFrame with a row for each update.

        Its columns are "step" (updates made), "epoch" (how often all data have been seen), "loss"
        (of the step's batch, nats per element: minus what `score` gives), "validation" (the same
        of held-out data; nan where they were not scored), "seconds" and "learning_rate".

        Raises:
            NotEstimatedError: the model was not trained here: it was made of a law.

        Example:
            >>> import arproc
            >>> model = arproc.MADE((4,), training=arproc.Training(steps=3)).fit([[0, 1]] * 9)
            >>> model.history_["step"].tolist()
            [1, 2, 3]
        """
        return self._note("course", "history_").table()

    @property
    def snapshots_(self) -> list[Self]:
        """Models with the weights at the ends of equal stretches of the training.

        Raises:
            NotEstimatedError: the model was not trained here: it was made of a law.

        Example:
            >>> import arproc
            >>> x = [[0, 1], [1, 1], [0, 0]] * 9
            >>> plan = arproc.Training(steps=30, snapshots=3, schedule="cyclic")
            >>> model = arproc.MADE((4,), training=plan).fit(x)
            >>> [len(model.snapshots_), len(arproc.Mixture(model.snapshots_).fit(x).weights_)]
            [3, 3]
        """
        law, fit = self.law_, self.fit_
        kept: list[Weights] = self._note("snapshots", "snapshots_")
        fit = replace(fit, notes={k: v for k, v in fit.notes.items() if k != "snapshots"})
        return [
            type(self).of(_with(law, weights), fit, **self.get_params(False)) for weights in kept
        ]

    def find_lr(
        self,
        data: Any,
        *,
        context: Any = None,
        steps: int = 100,
        low: float = 1e-6,
        high: float = 1.0,
    ) -> LearningRates:
        """Train a copy while its learning rate rises from step to step, and look at the loss.

        The model itself is not changed. The sweep ends early where the loss has risen above where
        it began. The suggestion suits a short warm-up; it is a place to start from.

        Args:
            data: as `fit` takes them.
            context: likewise.
            steps: how many updates it takes at most.
            low: where the learning rate of AdamW begins; Muon's keeps its proportion to it.
            high: where it would end.

        Raises:
            ParameterError: the rates are not in order.
            TrainingError: the loss never fell.

        Source: Smith 2017, section 3.3 (arXiv 1506.01186); the suggestion is fastai's.

        Example:
            >>> import arproc
            >>> x = np.random.default_rng(0).integers(0, 2, (200, 6))
            >>> x[:, 3:] = x[:, :3]
            >>> found = arproc.MADE((16,)).find_lr(x, steps=60)
            >>> 0.0005 < found.suggestion < 0.5, list(found.curve)
            (True, ['learning_rate', 'loss', 'smoothed'])
            >>> model = arproc.MADE((16,), training=found.training)
        """
        return swept(self, self._settings, data, context, steps, low, high)

    def _note(self, name: str, public: str) -> Any:
        if name not in self.fit_.notes:
            raise NotEstimatedError(
                f"this {type(self).__name__} has no {public}: it was made of a law, not trained."
            )
        return self.fit_.notes[name]

    # ---- parameters ---------------------------------------------------------------------------

    @property
    def _settings(self) -> Training:
        if self.training is None:
            return Training()
        if not isinstance(self.training, Training):
            raise ParameterError(
                f"training must be an arproc.Training or None; got {self.training!r}."
            )
        check_device("device", self.training.device)
        return self.training

    @property
    def context_kind(self) -> Literal["static", "steps"] | None:  # type: ignore[override]
        return "static" if self.conditioned or self.classes is not None else None

    def _context_form(self) -> ContextForm | None:
        kind = self.context_kind
        return None if kind is None else ContextForm(kind, classes=self.classes)

    def _learnt_form(self, context: Tensor | None) -> ContextForm | None:
        """What the law is conditioned on, with the size of the training data's context."""
        form = self._context_form()
        return None if form is None else form.learnt(context)

    def _check_context_parameters(self) -> None:
        """Raise `ParameterError` unless it is clear what the context is."""
        if self.classes is None:
            return
        check_integer("classes", self.classes, minimum=2)
        if self.conditioned:
            raise ParameterError(
                "classes says that the context is a label, conditioned=True that it is a vector; "
                "use one of them."
            )

    # ---- learning -----------------------------------------------------------------------------

    def _spreads(self) -> bool:
        floor = check_array("min_scale", vars(self).get("min_scale", 0.0))
        return self._settings.augment is not None or bool(np.any(floor > 0))

    def _opened(self, data: Any) -> Any:
        return intake.opened(data)

    def _trained_on_examples(
        self,
        build: Callable[[], E],
        sequences: Sequences,
        validation: Sequences | None,
        context: Tensor | None,
    ) -> tuple[E, Fit]:
        """A new network, trained on examples of one size; see `_trained`."""
        layout = self._layout_of(sequences.space)
        assert layout is not None
        examples = Examples(sequences, context, self._settings, layout)
        network, fit = self._trained(
            build,
            sequences.given(context),
            lambda network: examples_objective(network, examples, validation),
            augments=True,
        )
        return network, fit

    def _trained(
        self,
        build: Callable[[], N],
        sequences: Sequences,
        objective: Callable[[N], Objective],
        *,
        augments: bool = False,
        epoch: int | None = None,
    ) -> tuple[N, Fit]:
        """A new network, trained, and the fit with its history.

        Args:
            build: gives the network, with weights from torch's global generator.
            sequences: the training data, whose fingerprint a checkpoint carries.
            objective: gives what the network is trained by.
            augments: whether `Training(augment=)` is taken.
            epoch: how many steps see all of the data; None where a step sees whole sequences.
        """
        settings = self._settings
        if settings.augment is not None and not augments:
            raise ParameterError(
                f"{type(self).__name__} takes no Training(augment=...): it is for models of "
                "examples of a fixed size (images, vectors); leave it out."
            )
        team = joined(settings)
        with torch.random.fork_rng([]):
            torch.manual_seed(seed_of(settings.seed, _STREAM))
            network = build().to(settings.device)
        if sequences.context is not None:
            learn_contexts(network, _counted(sequences.context, sequences).to(settings.device))
        fingerprint = "" if settings.checkpoint is None else self._fingerprint(sequences)
        epoch = -(-len(sequences) // settings.batch_size) if epoch is None else epoch
        history, snapshots = train(
            network, objective(network), settings, epoch=epoch, fingerprint=fingerprint, team=team
        )
        return network, Fit(notes={"course": history, "snapshots": snapshots})

    def _fingerprint(self, sequences: Sequences) -> str:
        params = {k: v for k, v in self.get_params(deep=False).items() if k != "training"}
        digest = hashlib.blake2b(repr((type(self).__name__, params)).encode(), digest_size=16)
        parts = (sequences.values, sequences.offsets)
        optional = (sequences.weights, sequences.context, sequences.seen)
        for tensor in (*parts, *(part for part in optional if part is not None)):
            digest.update(np.ascontiguousarray(tensor.detach().cpu().numpy()).data)
        return digest.hexdigest()


class NeuralProcess(NeuralModel, Process):
    """Base of the processes whose conditionals a network gives."""

    law_: NetworkLaw
