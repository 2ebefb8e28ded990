"""Law: anything with an exact `log_prob` and `sample`; the base of every model."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, NoReturn, Self

import numpy as np
import torch

from arproc.contract.parameters import Parameters
from arproc.contract.sequences import Layout, Sequences
from arproc.data.intake import column_of_text
from arproc.errors import DataError, NotFittedError, ParameterError, UnsupportedError
from arproc.spaces import Space

if TYPE_CHECKING:
    from arproc.contract.torch_view import SequenceDistribution

__all__ = ["Draws", "Law", "require_fitted"]


class Draws(NamedTuple):
    """Samples with their probabilities, what `sample(..., return_log_prob=True)` returns.

    Attributes:
        x: the samples, as `sample` gives them.
        log_prob: their log-probability under the model, nats, [n].
        policy_log_prob: under the process that drew them (model and policy); the same without one.
        complete: whether each came to its end by itself rather than by a length or a stop, [n].
    """

    x: Any
    log_prob: Any
    policy_log_prob: Any
    complete: Any


class Law(Parameters, ABC):
    """A distribution over sequences with exact `log_prob` and `sample`.

    A subclass's constructor stores its arguments and nothing else. It writes `_fit`, `_log_prob`
    and `_sample`; a `Process` (tractable conditionals) writes less, see there.
    """

    #: Why there are no tractable conditionals; shown when somebody asks for one.
    no_conditional: ClassVar[str] = "this law does not factor into tractable conditionals"
    #: What the law takes as `context`: nothing, one vector a sequence, or one a step.
    context_kind: Literal["static", "steps"] | None = None
    #: Whether NaN among real numbers is an element that was not observed: `log_prob` is then the
    #: marginal of what was. A property where it depends on the parameters.
    takes_missing: bool = False
    #: Whether `fit` takes weights of the sequences.
    takes_weights: ClassVar[bool] = False

    space_: Space
    form_: str

    # ---- what a subclass writes ------------------------------------------------------------

    @abstractmethod
    def _fit(
        self,
        sequences: Sequences,
        *,
        validation: Sequences | None,
        context: torch.Tensor | None,
    ) -> None:
        """Learn from `sequences`, setting attributes that end in an underscore."""

    @abstractmethod
    def _log_prob(self, sequences: Sequences, context: torch.Tensor | None) -> torch.Tensor:
        """The log-probability of each sequence, nats, [N]."""

    @abstractmethod
    def sample(
        self,
        n: int = 1,
        length: int | None = None,
        prefix: Any = None,
        policy: Any = None,
        stop: Any = None,
        seed: int | torch.Generator | None = None,
        return_log_prob: bool = False,
        *,
        context: Any = None,
    ) -> Any:
        """Draw n sequences."""

    def _opened(self, data: Any) -> Any:
        """The data that `fit` got; read, where they are a path that `_infer_space` can not."""
        return data

    def _infer_space(self, data: Any) -> Space:
        """The space of the data that `fit` got; called before the data are read."""
        raise UnsupportedError(f"{type(self).__name__} can not be fitted.")

    # ---- shape and place -------------------------------------------------------------------

    @property
    def space(self) -> Space:
        """What one element is; known after `fit`."""
        space = self.__dict__.get("space_")
        if space is None:
            raise NotFittedError(
                f"this {type(self).__name__} is not fitted yet; call fit(data) first, or load a "
                "saved model with arproc.load(path)."
            )
        return space

    @property
    def layout(self) -> Layout | None:
        """For laws of fixed size, how the user's array is laid out in the order of generation."""
        return self._layout_of(self.space)

    @property
    def device(self) -> torch.device:
        """Where the model computes."""
        return torch.device("cpu")

    @property
    def n_given(self) -> int:
        """How many first elements of a sequence are given, not scored (`initial="given"`)."""
        return 0

    # ---- the public calls ------------------------------------------------------------------

    def fit(
        self,
        data: Any,
        y: None = None,
        *,
        context: Any = None,
        validation: Any = None,
        sample_weight: Any = None,
    ) -> Self:
        """Learn the parameters from `data`.

        Args:
            data: sequences in any form that `Sequences.of` takes.
            y: not used (scikit-learn passes it second).
            context: what the sequences are conditioned on, for models that take it.
            validation: more sequences, on which neural models choose when to stop; for a model
                that takes a context a pair `(data, context)`.
            sample_weight: how much each sequence counts, [N], none negative, for models that
                take it: a weight of 2 stands for a sequence that is there twice.

        Returns:
            The model itself.
        """
        data, context, validation = map(_detached, (data, context, validation))
        if y is not None:
            raise ParameterError("fit takes no y: a process models the sequences themselves.")
        data = self._opened(column_of_text(data))
        space = self._infer_space(data)
        sequences = self._read_training(data, space, "data")
        prepared = self._context(context, len(sequences), int(sequences.lengths.max()))
        held_out = None if validation is None else self._held_out(validation, space, prepared)
        sequences = sequences.weighted(self._sample_weight(sample_weight, len(sequences)))
        if self.context_kind == "static":
            _require_one_each(context, len(sequences))
        self._fit(sequences, validation=held_out, context=prepared)
        self.space_ = space
        self.form_ = sequences.form.kind
        return self

    def log_prob(self, data: Any, *, context: Any = None) -> Any:
        """The exact log-probability (mass) or log-density of each sequence, in nats.

        Returns:
            A float for one sequence, a float64 array [N] for several; a tensor for a tensor,
            differentiable in the data and the parameters where they ask for gradients.
        """
        sequences = self.sequences(data, missing=self.takes_missing)
        prepared = self._context(context, len(sequences), _longest(sequences))
        with torch.set_grad_enabled(torch.is_grad_enabled() and sequences.form.kind == "tensor"):
            return sequences.form.per_row(self._log_prob(sequences, prepared))

    def score(self, data: Any, y: None = None, *, context: Any = None) -> float:
        """Mean log-probability per element in nats, higher is better (scikit-learn's rule).

        A term of ending counts as an element; values that are given or missing do not.
        """
        sequences = self.sequences(data, missing=self.takes_missing)
        prepared = self._context(context, len(sequences), _longest(sequences))
        with torch.no_grad():
            total = self._log_prob(sequences, prepared).sum()
        terms = int((sequences.n_terms - self.n_given - sequences.n_missing).sum())
        if terms == 0:
            raise DataError(f"data has no element to score beyond the first {self.n_given} given.")
        return float(total) / terms

    def distribution(self, length: int | None = None) -> SequenceDistribution:
        """The law of a sequence as a `torch.distributions.Distribution`.

        Args:
            length: the number of elements; may be left out where the space fixes it.

        Returns:
            A distribution with `event_shape` (length, *element) whose `log_prob` and `sample`
            are this law's.
        """
        from arproc.contract.torch_view import SequenceDistribution

        return SequenceDistribution(self, length)

    def save(self, path: str | Path) -> None:
        """Write the model to one file (safetensors with a JSON header), atomically."""
        from arproc.contract.persistence import save

        save(self, path)

    # ---- what a law without conditionals says ----------------------------------------------

    def _refuse(self, call: str) -> NoReturn:
        raise UnsupportedError(
            f"{type(self).__name__} has no {call}: {self.no_conditional}. It has log_prob and "
            "sample."
        )

    def conditional(self, prefix: Any = None, *, context: Any = None) -> Any:
        """The next element's distribution; a law without conditionals says why it has none."""
        self._refuse("conditional")

    def conditionals(self, data: Any, *, context: Any = None) -> Any:
        """All next-element distributions; a law without conditionals says why it has none."""
        self._refuse("conditionals")

    def condition(self, prefix: Any, *, context: Any = None) -> Any:
        """The law of what follows; a law without conditionals says why it has none."""
        self._refuse("condition")

    def log_prob_terms(self, data: Any, *, context: Any = None) -> Any:
        """The chain rule's terms; a law without conditionals says why it has none."""
        self._refuse("log_prob_terms")

    def start(self, prefix: Any = 1, *, context: Any = None) -> Any:
        """The state at the start; a law without conditionals says why it has none."""
        self._refuse("start")

    def with_policy(self, policy: Any) -> Any:
        """This law under a policy; a law without conditionals says why it has none."""
        self._refuse("with_policy")

    def forecast(self, *data: Any, **more: Any) -> Any:
        """What follows a history; a law without conditionals says why it has none."""
        self._refuse("forecast")

    # ---- shared inner parts ----------------------------------------------------------------

    def sequences(
        self,
        data: Any,
        *,
        name: str = "data",
        complete: bool | None = None,
        missing: bool = False,
    ) -> Sequences:
        """The data as `Sequences` of this law's space.

        Args:
            data: in any form that `Sequences.of` takes.
            name: what error messages call them.
            complete: whether they came to their end.
            missing: whether NaN is let through as a missing value. Pass `takes_missing` where you
                know what to do about it.
        """
        return self._read(data, self.space, name, complete, missing)

    def _read(
        self,
        data: Any,
        space: Space,
        name: str,
        complete: bool | None = None,
        missing: bool = False,
    ) -> Sequences:
        return Sequences.of(
            data,
            space,
            layout=self._layout_of(space),
            name=name,
            complete=complete,
            device=self.device,
            partial=name in ("prefix", "history"),
            missing=missing,
        )

    def _read_training(self, data: Any, space: Space, name: str) -> Sequences:
        """What `fit` reads of the data, or of the validation data."""
        return self._read(data, space, name, missing=self.takes_missing)

    def _held_out(self, validation: Any, space: Space, context: torch.Tensor | None) -> Sequences:
        """The validation data, with their context where the training data have one."""
        data, given = validation, None
        if context is not None:
            data, given = _pair(validation, type(self).__name__)
        sequences = self._read_training(data, space, "validation")
        if context is None:
            return sequences
        try:
            found = self._context(given, len(sequences), int(sequences.lengths.max()))
        except DataError as error:
            raise DataError(f"validation's {error}") from None
        assert found is not None
        if found.shape[-1] != context.shape[-1]:
            raise DataError(
                f"validation's context has {found.shape[-1]} numbers for each sequence or step; "
                f"expected {context.shape[-1]}, as in the context of the training data."
            )
        return sequences.given(found)

    def _sample_weight(self, weights: Any, n: int) -> torch.Tensor | None:
        """The weights of n sequences, checked, float64 [n]."""
        if weights is None:
            return None
        if not self.takes_weights:
            raise ParameterError(f"{type(self).__name__} takes no sample_weight; leave it out.")
        try:
            found = torch.from_numpy(np.array(weights, dtype=np.float64))
        except (TypeError, ValueError) as error:
            raise DataError(f"sample_weight can not be read as numbers: {error}.") from None
        sound = bool(torch.isfinite(found).all()) and bool((found >= 0).all())
        if tuple(found.shape) != (n,) or not sound or not float(found.sum()) > 0:
            raise DataError(
                f"sample_weight must be {n} finite numbers, one a sequence, none negative and not "
                f"all zero; got an array of shape {list(found.shape)}"
                + (
                    f" from {float(found.min()):g} to {float(found.max()):g}."
                    if len(found)
                    else "."
                )
            )
        return found

    def _layout_of(self, space: Space) -> Layout | None:
        """The layout of the data of `space`; `fit` asks before the space is learnt."""
        return None if space.length is None else Layout((space.length,))

    def _context(self, context: Any, n: int, length: int) -> torch.Tensor | None:
        """The context as a float tensor: [N, c] where static, [N, T, c] where per step."""
        if self.context_kind is None:
            if context is not None:
                hint = ", or construct it with regressors=" * ("regressors" in self.get_params())
                raise ParameterError(
                    f"{type(self).__name__} takes no context; leave it out{hint}."
                )
            return None
        if context is None:
            raise ParameterError(f"{type(self).__name__} needs a context ({self.context_kind}).")
        return self._read_context(context, n, length)

    def _read_context(self, context: Any, n: int, length: int) -> torch.Tensor:
        """What `_context` makes of a context that is there, for a law that takes one."""
        assert self.context_kind is not None
        return prepare_context(context, self.context_kind, n, length, self.device)


def _pair(validation: Any, model: str) -> tuple[Any, Any]:
    """The validation data and their context, or `ParameterError`."""
    if isinstance(validation, tuple) and len(validation) == 2 and validation[1] is not None:
        data, context = validation
        return data, context
    came = type(validation).__name__
    if isinstance(validation, tuple):
        came = f"a tuple of {len(validation)}"
        came = "(data, None)" if len(validation) == 2 else came
    raise ParameterError(
        f"validation must be a pair (data, context), since this {model} takes a context; got "
        f"{came}."
    )


def prepare_context(
    context: Any, kind: str, n: int, length: int, device: torch.device
) -> torch.Tensor:
    """Bring a user's context to [N, c] (static) or [N, T, c] (steps), T at least `length`."""
    x = _context_numbers(context).to(device)
    axes = 2 if kind == "static" else 3
    if kind == "static" and x.ndim == 0:
        x = x.expand(n)
    if kind == "static" and x.ndim == 1:
        x = x[:, None] if len(x) == n else x[None]
    if kind == "steps" and x.ndim == 1:
        x = x[:, None]
    if x.ndim == axes - 1:
        x = x[None]
    if x.ndim == axes and len(x) == 1:
        x = x.expand(n, *x.shape[1:])
    shape = "[N, c]" if kind == "static" else "[N, T, c]"
    if x.ndim != axes or len(x) != n:
        raise DataError(f"context has shape {tuple(x.shape)}; expected {shape} with N = {n}.")
    if kind == "steps" and x.shape[1] < length:
        raise DataError(
            f"context has {x.shape[1]} steps; expected at least {length}, one for each element "
            "(the future ones included where one samples or forecasts)."
        )
    if not bool(torch.isfinite(x.double()).all()):
        raise DataError("context has values that are not finite; remove or fill them first.")
    return x


def _require_one_each(context: Any, n: int) -> None:
    """Raise `DataError` for a row of another length than n, which would be one vector for all.

    Nothing can be learnt of a vector that all sequences share; labels of other data look like one.
    """
    shape = tuple(np.shape(context))
    if n > 1 and len(shape) == 1 and shape[0] != n:
        raise DataError(
            f"context has {shape[0]} entries for {n} sequences; fit expects one for each: [{n}], "
            f"or [{n}, c] for vectors."
        )


def _detached(data: Any) -> Any:
    """The same without its gradients, which learning does not go back to."""
    return data.detach() if isinstance(data, torch.Tensor) else data


def _context_numbers(context: Any) -> torch.Tensor:
    """The numbers of a context, floating."""
    if isinstance(context, torch.Tensor):
        x = context
    else:
        values = context.to_numpy() if hasattr(context, "to_numpy") else context
        try:
            array = np.asarray(values)
            array = array if array.dtype.kind == "c" else array.astype(np.float64)
        except (TypeError, ValueError) as error:
            raise DataError(f"context can not be read as numbers: {error}.") from None
        x = torch.as_tensor(array)
    if x.is_complex():
        raise DataError(f"context is complex ({x.dtype}); expected real numbers.")
    return x if x.is_floating_point() else x.double()


def _longest(sequences: Sequences) -> int:
    return int(sequences.n_terms.max())


def require_fitted(law: Law) -> None:
    """Raise `NotFittedError` unless the law knows its space."""
    _ = law.space
