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
from arproc.errors import ParameterError, check_array, check_device, check_integer
from arproc.models.neural.examples import ExampleNetwork, Examples, examples_objective
from arproc.models.neural.given import learn_contexts
from arproc.process import Fit, Model, Process
from arproc.process.fit import Learnt
from arproc.spaces import Space
from arproc.training import History, Loss, Training, seed_of, train

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


def _counted(context: Tensor, sequences: Sequences) -> Tensor:
    """The contexts of the sequences that have a weight."""
    weights = sequences.weights
    return context if weights is None else context[weights.to(context.device) > 0]


def _moderate(x: Tensor) -> bool:
    # a weight beyond this makes sums that float32 does not hold
    return x.numel() == 0 or bool(x.detach().abs().max() < _EXTREME)


class NeuralModel(Model):
    """Base of the models that train a network.

    Attributes:
        network_: the network of the law; see `NeuralLaw`.
        history_: the losses along the training, see `arproc.training.train`.
        shape_: the shape of one example, as the user gave it.
        n_context_: how many numbers an example is conditioned on; as many as there are classes
            where these are labels.
    """

    takes_weights = True

    training: Training | None
    conditioned: bool = False
    classes: int | None = None

    network_: StorableModule
    history_: History
    shape_: tuple[int, ...] | None
    n_context_: int
    law_: NeuralLaw

    def to(self, device: torch.device | str) -> Self:
        """Hold the law on another device; data that are no tensors follow it."""
        self._held = Learnt(self.law_.to(check_device("device", device)), self.fit_)
        return self

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
    def context_kind(self) -> Literal["static"] | None:  # type: ignore[override]
        return "static" if self.conditioned or self.classes is not None else None

    def _context_form(self) -> ContextForm | None:
        return None if self.context_kind is None else ContextForm("static", classes=self.classes)

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
        network.refresh(examples)
        return network, fit

    def _trained(
        self,
        build: Callable[[], N],
        sequences: Sequences,
        objective: Callable[[N], tuple[Loss, Callable[[], float] | None]],
        *,
        augments: bool = False,
        epoch: int | None = None,
    ) -> tuple[N, Fit]:
        """A new network, trained, and the fit with its history.

        Args:
            build: gives the network, with weights from torch's global generator.
            sequences: the training data, whose fingerprint a checkpoint carries.
            objective: gives, for the network, the loss of a step and the validation loss.
            augments: whether `Training(augment=)` is taken.
            epoch: how many steps see all of the data; None where a step sees whole sequences.
        """
        settings = self._settings
        if settings.augment is not None and not augments:
            raise ParameterError(
                f"{type(self).__name__} takes no Training(augment=...): it is for models of "
                "examples of a fixed size (images, vectors); leave it out."
            )
        with torch.random.fork_rng([]):
            torch.manual_seed(seed_of(settings.seed, _STREAM))
            network = build().to(settings.device)
        if sequences.context is not None:
            learn_contexts(network, _counted(sequences.context, sequences).to(settings.device))
        loss, validation = objective(network)
        fingerprint = "" if settings.checkpoint is None else self._fingerprint(sequences)
        epoch = -(-len(sequences) // settings.batch_size) if epoch is None else epoch
        history = train(
            network, loss, settings, validation=validation, epoch=epoch, fingerprint=fingerprint
        )
        return network, Fit(notes={"history": history})

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
