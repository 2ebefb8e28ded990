"""Model: what a user holds. Parameters, the law that `fit` learns from data, and the user's forms.

The law is a value (`arproc.contract.law`): `fit` replaces it whole on its last line, and nothing
else changes it. A fit works on a copy of the model, so that one that is refused leaves no trace.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NoReturn, Self

import numpy as np
import torch

from arproc.contract.context import ContextForm, with_clock
from arproc.contract.law import Draws, Law, WholeLaw, numbers_of
from arproc.contract.parameters import Parameters, is_learnt
from arproc.contract.randomness import Uniforms
from arproc.contract.sequences import Sequences
from arproc.data.form import Form, Layout, restore
from arproc.data.frames import native
from arproc.data.labels import Labels, aligned, labels_of, names_of
from arproc.data.texts import listed
from arproc.errors import (
    DataError,
    NotEstimatedError,
    NotFittedError,
    ParameterError,
    ReadOnlyError,
    UnsupportedError,
    check_count,
)
from arproc.process.fit import Fit, Learnt
from arproc.process.reading import (
    anchored,
    check_continues,
    pair,
    refuse_later,
    require_one_each,
    stepped,
    warn_of_columns,
    weights_of,
)
from arproc.process.views import check_learnt, declared, seen
from arproc.sampling.ancestral import check_drawn
from arproc.spaces import Space

if TYPE_CHECKING:
    from arproc.process.torch_view import SequenceDistribution

__all__ = ["Model", "require_fitted"]


class Model(Parameters):
    """A distribution over sequences that is learnt from data: exact `log_prob` and `sample`.

    A subclass's constructor stores its arguments and nothing else. It writes `_infer_space` and
    `_fit`, which gives the fitted `Law`; and it declares as class annotations what users may read
    of the law and the fit (`coef_: np.ndarray` is the law's `coef`, or the fit's).

    Every call but `fit` reads the law alone: parameters that are changed after a fit, as by
    `set_params`, count from the next fit on.

    Attributes:
        law_: the fitted law, an immutable value.
        fit_: the circumstances of the fit, see `Fit`.
        space_: the law's space.
        form_: the form of the data of `fit`.

    Example:
        >>> import arproc
        >>> model = arproc.AR(order=1).fit([0.0, 1.0, 0.0, 2.0, 1.0, 0.0])
        >>> model.law_.space, model.fit_.form, model.coef_.shape
        (Real(length=None, precision='float64'), 'numpy', (1,))
        >>> held = model.law_
        >>> model.fit([3.0, 2.0, 3.0, 1.0]).law_ is held      # a fit makes a law of its own
        False
    """

    #: What `fit` takes as `context`: nothing, one vector a sequence, or one a step.
    context_kind: Literal["static", "steps"] | None = None
    #: Whether `fit` takes NaN among real numbers for an element that was not observed.
    takes_missing: bool = False
    #: Whether `fit` takes the rows of a DataFrame whole, as those of a table.
    takes_tables: bool = False
    #: Why it takes no missing values, and what to do instead; shown to who has some.
    no_missing: ClassVar[str] = ""
    #: Whether `fit` takes weights of the sequences.
    takes_weights: ClassVar[bool] = False
    #: Why there are no tractable conditionals; shown when somebody asks for one.
    no_conditional: ClassVar[str] = Law.no_conditional

    space_: Space
    form_: str

    # ---- what a subclass writes ------------------------------------------------------------

    def _infer_space(self, data: Any) -> Space:
        """The space of the data that `fit` got; called before the data are read."""
        raise UnsupportedError(f"{type(self).__name__} can not be fitted.")

    def _fit(
        self,
        sequences: Sequences,
        *,
        validation: Sequences | None,
        context: torch.Tensor | None,
    ) -> Law | tuple[Law, Fit] | None:
        """Learn from `sequences`: the law, with the fit where there is more to tell.

        It runs on a copy of the model that is thrown away, so it may note things on `self`. A
        model written in one class (see `arproc.process.written`) sets attributes that end in an
        underscore and returns nothing: that copy is then the law.
        """
        raise UnsupportedError(f"{type(self).__name__} can not be fitted.")

    def _opened(self, data: Any) -> Any:
        """The data that `fit` got; read, where they are a path that `_infer_space` can not."""
        return data

    def _layout_of(self, space: Space) -> Layout | None:
        """The layout of the data of `space` that `fit` reads; the law has its own."""
        return None if space.length is None else Layout((space.length,))

    def _spreads(self) -> bool:
        """Whether `fit` spreads equal real values out, so that few different ones are no peaks."""
        return False

    def _context_form(self) -> ContextForm | None:
        """What `fit` takes as context; the law has its own."""
        return None if self.context_kind is None else ContextForm(self.context_kind)

    def _read_training(self, data: Any, space: Space, name: str) -> Sequences:
        """What `fit` reads of the data, or of the validation data."""
        return self._read(data, space, name, missing=self.takes_missing)

    # ---- what it holds ---------------------------------------------------------------------

    @classmethod
    def of(cls, law: Law, fit: Fit | None = None, **parameters: Any) -> Self:
        """A model that holds this law; one that was not fitted, where no fit is told.

        Args:
            law: the law. `Process.of` takes any `ChainLaw`; a model takes those of its own class.
            fit: its circumstances, such as the form in which draws go back.
            parameters: what the constructor takes.

        Returns:
            A model with all calls of a fitted one. That of `Process.of` can not be fitted itself.

        Example:
            >>> import arproc
            >>> walk = arproc.AR.from_parameters([0.5])
            >>> again = arproc.Process.of(walk.law_)
            >>> again.log_prob([1.0, 2.0]) == walk.log_prob([1.0, 2.0])
            True
        """
        if not isinstance(law, Law):
            raise ParameterError(f"law must be a Law, as model.law_ is; got {law!r}.")
        if fit is not None and not isinstance(fit, Fit):
            raise ParameterError(f"fit must be a Fit, as model.fit_ is; got {fit!r}.")
        model = cls._constructed(parameters)
        model._held = check_learnt(cls, law, Fit() if fit is None else fit)
        return model

    @classmethod
    def _constructed(cls, parameters: dict[str, Any]) -> Self:
        """A model with these parameters, or an error that names those that `of` lacks."""
        try:
            inspect.signature(cls).bind(**parameters)
        except TypeError as wrong:
            raise ParameterError(
                f"{cls.__name__}.of takes what its constructor takes beside the law: {wrong}."
            ) from None
        return cls(**parameters)

    _held: Learnt
    #: The labels of the data that are being learnt from; for a copy that learns.
    _labels: Labels = Labels()

    @property
    def _counts_time(self) -> bool:
        """Whether the law that `fit` learns is to be `clocked`."""
        return False

    @property
    def _counts_from_zero(self) -> bool:
        """Whether the law that `fit` learns is to count time from each sequence's beginning."""
        return False

    def _known_labels(self) -> Labels:
        """Labels that count before the data of `fit` are seen: of what a model is made of."""
        return Labels()

    @property
    def law_(self) -> Law:
        """The fitted law; `NotFittedError` before there is one."""
        learnt: Learnt | None = vars(self).get("_held")
        if learnt is None:
            raise self._not_fitted()
        return learnt.law

    @property
    def fit_(self) -> Fit:
        """The circumstances of the fit; `NotFittedError` before there was one."""
        learnt: Learnt | None = vars(self).get("_held")
        if learnt is None:
            raise self._not_fitted()
        return learnt.fit

    def _not_fitted(self) -> NotFittedError:
        return NotFittedError(
            f"this {type(self).__name__} is not fitted yet; call fit(data) first, or load a "
            "saved model with arproc.load(path)."
        )

    def __sklearn_is_fitted__(self) -> bool:
        return "_held" in vars(self)

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """What was learnt, `coef_` and the like: read-only views of `law_` and `fit_`."""
            found = getattr(type(self), name, None)
            if isinstance(found, property):  # one that raised AttributeError: let it say so
                return found.fget(self)
            bare = "_held" not in vars(self) and "space_" not in vars(self)
            if is_learnt(name) and bare and self.__sklearn_is_fitted__():
                _ = self.law_  # of a model that is a law as it was constructed
            learnt = vars(self).get("_held")
            if is_learnt(name) and learnt is not None:
                return seen(learnt, name, type(self))
            if name in declared(type(self)):
                raise self._not_fitted()
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __setattr__(self, name: str, value: Any) -> None:
        if is_learnt(name) and "_held" in vars(self):
            raise ReadOnlyError(
                f"{name} was learnt and is read-only; fit the model again, or make another of a "
                "law of its own with of(law)."
            )
        super().__setattr__(name, value)

    @property
    def feature_names_in_(self) -> np.ndarray:
        """The names of the columns that `fit` saw, as scikit-learn has them; if there were any."""
        names = self.fit_.labels.features or getattr(self.space, "names", ())
        if not names:
            raise NotEstimatedError("the data of fit had no names of columns.")
        return np.array(names, dtype=object)

    @property
    def parameters_are_given(self) -> bool:
        """Whether its parameters, which are estimated in other cases, were given."""
        return False

    @property
    def space(self) -> Space:
        """What one element is; known after `fit`."""
        return self.law_.space

    @property
    def layout(self) -> Layout | None:
        """For laws of fixed size, how the user's array is laid out in the order of generation."""
        return self.law_.layout

    @property
    def device(self) -> torch.device:
        """Where the model computes."""
        return self.law_.device if self.__sklearn_is_fitted__() else torch.device("cpu")

    @property
    def n_given(self) -> int:
        """How many first elements of a sequence are given, not scored (`initial="given"`)."""
        return self.law_.n_given

    # ---- the public calls ------------------------------------------------------------------

    def fit(
        self,
        data: Any,
        y: None = None,
        *,
        context: Any = None,
        validation: Any = None,
        sample_weight: Any = None,
        freq: Any = None,
    ) -> Self:
        """Learn the law from `data`; a fit that is refused leaves the model as it was.

        Args:
            data: sequences in any form that `Sequences.of` takes: an array [T] or [N, T] ([T, d]
                or [N, T, d] where an element is a vector, [N, *shape] where examples have one
                size), a list of arrays, a Series, a DataFrame (time down, columns across), text,
                tensors.
            y: not used (scikit-learn passes it second).
            context: what the sequences are conditioned on, for models that take it: [N, c], one
                vector a sequence, or [N, T, c], one a step.
            validation: more sequences, on which neural models choose when to stop; for a model
                that takes a context a pair `(data, context)`.
            sample_weight: how much each sequence counts, [N], none negative, for models that
                take it: a weight of 2 stands for a sequence that is there twice.
            freq: the step of labelled series where their labels do not tell, as of dates many of
                which are absent: "D", "B", "MS" ... in pandas' words. A step that the labels
                leave out is a missing value.

        The labels of the data count from here on: later data, contexts and histories are taken
        by the names of columns that `fit` saw, and trends and seasons go on by its dates.

        Returns:
            The model itself.

        Raises:
            DataError: the data are not what the model is for; the message says what to change.
            ParameterError: an argument of the constructor or of this call has a wrong value.

        Example:
            >>> import arproc
            >>> arproc.AR(order=1).fit([[0.0, 1.0, 0.0], [2.0, 1.0, 1.0]]).n_observations_
            6
            >>> arproc.AR(order=1).fit("text")  # doctest: +ELLIPSIS
            Traceback (most recent call last):
            arproc.errors.DataError: data is text; expected numbers: the model's elements are ...
        """
        self.check_kinds()
        learner = self._learner()
        if freq is not None:
            data = stepped(data, freq, self.takes_missing)
        held = learner._read_and_learn(data, y, context, validation, sample_weight)
        for name in [name for name in vars(self) if is_learnt(name)]:  # set by hand before
            del vars(self)[name]
        self._held = held
        return self

    def _learner(self) -> Self:
        """A copy that has learnt nothing, on which a fit may note what it likes."""
        learner = copy(self)
        for name in [name for name in vars(learner) if name == "_held" or is_learnt(name)]:
            del vars(learner)[name]
        for name, value in learner.get_params(deep=False).items():
            vars(learner)[name] = _apart(value)
        return learner

    def _read_and_learn(
        self, data: Any, y: None, context: Any, validation: Any, sample_weight: Any
    ) -> Learnt:
        data, context, validation = map(_detached, (data, context, validation))
        if y is not None:
            raise ParameterError("fit takes no y: a process models the sequences themselves.")
        data = self._opened(listed(native(data)))
        space = self._infer_space(data)
        fixed = space.length is not None or bool(space.event_shape)
        known = self._known_labels()
        self._labels = known.over(Labels(names_of(data) if fixed else ()))
        sequences = self._read_training(data, space, "data")
        found = labels_of(self._labels.features, context, sequences.form, _first(sequences))
        self._labels = known.over(found)
        steps = int(sequences.n_terms.max())  # the end of a sequence has a step too
        prepared = self._context(context, sequences, steps, self._labels)
        held_out = None if validation is None else self._held_out(validation, space, prepared)
        prepared = self._timed(prepared, sequences, "data")
        sequences = sequences.weighted(self._sample_weight(sample_weight, len(sequences)))
        if self.context_kind == "static":
            require_one_each(context, len(sequences))
        static = prepared if self.context_kind == "static" else None
        warn_of_columns(
            sequences, self._layout_of(space), static, self._labels, peaks=not self._spreads()
        )
        return self._learnt_from(sequences, held_out, prepared)

    def _learnt_from(
        self,
        sequences: Sequences,
        validation: Sequences | None = None,
        context: torch.Tensor | None = None,
    ) -> Learnt:
        """The law of sequences that are read, and its circumstances; for a copy to do."""
        found = self._fit(sequences, validation=validation, context=context)
        if found is None:
            found = self._written(sequences.space)
        law, fit = found if isinstance(found, tuple) else (found, Fit())
        labels = self._labels
        names = None if fit.names is None else labels.renamed(fit.names)
        return Learnt(law, replace(fit, form=sequences.form.kind, names=names, labels=labels))

    def fitted_to(
        self,
        sequences: Sequences,
        validation: Sequences | None = None,
        context: torch.Tensor | None = None,
    ) -> Self:
        """A clone, fitted to sequences that are read already; the model stays as it is."""
        clone = self.clone()
        clone._held = clone._learnt_from(sequences, validation, context)
        return clone

    def _written(self, space: Space) -> Law:
        """This copy, in which `_fit` set what it learnt, as the law; for models in one class."""
        raise UnsupportedError(f"_fit of {type(self).__name__} gave no law.")

    def log_prob(
        self, data: Any, *, context: Any = None, offset: Any = None, complete: bool | None = None
    ) -> Any:
        """The exact log-probability (mass) or log-density of each sequence, in nats.

        That of the whole sequence, with its end where sequences end; of a model whose first
        `n_given` values are given, that of the others given these; of missing values (NaN, where
        the law takes them), the marginal of what was observed.

        Args:
            data: sequences in any form that `fit` takes.
            context: what they are conditioned on, for models that take it, as in `fit`.
            offset: for models with a trend or seasons, how many steps after the first of the data
                of `fit` the sequences begin, one for all or [N]; where their labels do not tell.
            complete: False for pieces cut out of longer sequences: their ends have no terms.

        Returns:
            A float for one sequence, a float64 array [N] for several; a tensor for a tensor,
            differentiable in the data and the parameters where they ask for gradients. A density
            has the unit of the data: nats may be above 0.

        Raises:
            NotFittedError: there is no law yet.
            DataError: the data are not elements of the model's space, or shorter than what is
                given, or so far out that the law's arithmetic gives no number; or the context is
                not what the law takes.
            ParameterError: a context is lacking, or there should be none.

        Example:
            >>> import arproc
            >>> model = arproc.AR.from_parameters([0.5])       # x_t = 0.5 x_{t-1} + e_t
            >>> model.log_prob([[0.0, 0.0], [0.0, 1.0]])
            array([-1.981718, -2.481718])
            >>> model.log_prob([0.0, 1.0])
            -2.481718
        """
        law, sequences = self.law_, self._scored(data, complete)
        prepared = self.read_context(context, sequences, _longest(sequences), offset)
        with torch.set_grad_enabled(torch.is_grad_enabled() and sequences.form.kind == "tensor"):
            scores = numbers_of(law.log_prob(sequences, prepared), law)
            return sequences.form.per_row(scores)

    def score(
        self,
        data: Any,
        y: None = None,
        *,
        context: Any = None,
        offset: Any = None,
        complete: bool | None = None,
    ) -> float:
        """Mean log-probability per element in nats, higher is better (scikit-learn's rule).

        A term of ending counts as an element; values that are given or missing do not.
        """
        law, sequences = self.law_, self._scored(data, complete)
        prepared = self.read_context(context, sequences, _longest(sequences), offset)
        with torch.no_grad():
            total = numbers_of(law.log_prob(sequences, prepared), law).sum()
        # where a given value is missing, a later one stands in for it
        terms = int((sequences.n_scored(0) - law.n_given).clamp(min=0).sum())
        if terms == 0:
            rest = " (all others are missing)" if sequences.missing else ""
            raise DataError(
                f"data has no element to score beyond the first {law.n_given} given{rest}."
            )
        return float(total) / terms

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
        offset: Any = None,
        known: Any = None,
    ) -> Any:
        """Draw n examples of a law that is drawn from as a whole.

        Row i depends on the seed and on i alone: the same in any batch.

        Args:
            n: how many examples.
            length: the examples' length, if anything.
            prefix: not taken: there are no conditionals to go on from.
            policy: not taken, for the same reason.
            stop: not taken, since a draw is whole.
            seed: an int or a `torch.Generator`.
            return_log_prob: give `Draws(x, log_prob, policy_log_prob, complete)`.
            context: what the draws are conditioned on.
            offset: of no meaning for examples.
            known: not taken, as prefix is not.

        Returns:
            Draws [n, *shape] in the form `fit` got.

        Raises:
            NotFittedError: there is no law yet.
            ParameterError: n or length has a wrong value.
            UnsupportedError: something is asked for that needs conditionals.
        """
        whole = (n, length, prefix, policy, stop, seed, return_log_prob, context, known)
        return self.draw_whole(lambda law, *how: law.draw(*how), *whole)

    def draw_whole(
        self,
        draw: Callable[[WholeLaw, int, Uniforms, torch.Tensor | None], torch.Tensor],
        n: int,
        length: int | None,
        prefix: Any,
        policy: Any,
        stop: Any,
        seed: int | torch.Generator | None,
        return_log_prob: bool,
        context: Any,
        known: Any = None,
    ) -> Any:
        """`sample` by some way to draw from the law; what algorithms over laws call."""
        law = self.law_
        if not isinstance(law, WholeLaw):
            raise UnsupportedError(f"{law!r} is not drawn from as a whole; ask a Process of it.")
        n = check_count("n", n, minimum=0)
        size = law.space.length
        if length is not None and check_count("length", length) != size:
            raise ParameterError(f"length is {length}; this law has {size} elements.")
        for name, value in (
            ("prefix", prefix), ("policy", policy), ("stop", stop), ("known", known),
        ):  # fmt: skip
            if value is not None:
                raise UnsupportedError(
                    f"sample of {type(self).__name__} takes no {name}: {self.no_conditional}."
                )
        prepared = self.read_context(context, n, 0)
        with torch.no_grad():
            x = draw(law, n, Uniforms(seed), prepared).to(law.space.dtype)
        check_drawn(x, law, law.space)
        kind = self.fit_.form
        form = Form(kind if kind in ("tensor", "table") else "numpy")
        if kind == "rows" and self.fit_.labels.features:
            order = None if law.layout is None else law.layout.order
            form = Form("rows", names=self.fit_.labels.in_order(order))
        lengths = torch.full((n,), x.shape[1])
        result = restore(x, lengths, law.space, form, law.layout)
        if not return_log_prob:
            return result
        offsets = torch.arange(n + 1) * x.shape[1]
        with torch.no_grad():
            whole = Sequences(x.flatten(0, 1), offsets, law.space)
            score = form.per_row(law.log_prob(whole, prepared))
        return Draws(result, score, score, form.per_row(torch.ones(n, dtype=torch.bool)))

    def distribution(self, length: int | None = None) -> SequenceDistribution:
        """The law of a sequence as a `torch.distributions.Distribution`.

        Args:
            length: the number of elements; may be left out where the space fixes it.

        Returns:
            A distribution with `event_shape` (length, *element) whose `log_prob` and `sample`
            are this law's.
        """
        from arproc.process.torch_view import SequenceDistribution

        return SequenceDistribution(self.law_, length)

    def save(self, path: str | Path) -> None:
        """Write the model to one file (safetensors with a JSON header), atomically."""
        from arproc.process.persistence import save

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

    def sample_paths(self, *data: Any, **more: Any) -> Any:
        """Paths of what follows a history; a law without conditionals says why it has none."""
        self._refuse("sample_paths")

    def in_order(self, ordering: Any) -> Any:
        """The law in another order; a law without conditionals says why it has none."""
        self._refuse("in_order")

    # ---- reading the user's data -----------------------------------------------------------

    def sequences(
        self,
        data: Any,
        *,
        name: str = "data",
        complete: bool | None = None,
        missing: bool = False,
    ) -> Sequences:
        """The data as `Sequences` of the fitted law's space.

        Args:
            data: in any form that `Sequences.of` takes.
            name: what error messages call them.
            complete: whether they came to their end.
            missing: whether NaN is let through as a missing value. Pass the law's `takes_missing`
                where you know what to do about it.
        """
        law = self.law_
        labels = self.fit_.labels
        found = _sequences(
            data, law.space, law.layout, law.device, name, complete=complete, missing=missing,
            labels=labels, refusal=self.no_missing,
        )  # fmt: skip
        law.check(found)
        check_continues(labels, found, name)
        return found

    def read_context(
        self,
        context: Any,
        of: Sequences | int,
        length: int,
        offset: Any = None,
        name: str = "data",
    ) -> torch.Tensor | None:
        """The context of a call, as the fitted law takes it: [N, c] or [N, T, c].

        Args:
            context: what the user gave; aligned by its labels with those of `fit` and of the
                sequences.
            of: the sequences, or how many there are.
            length: how many steps a context by steps must at least have.
            offset: at which t the sequences begin, for laws that count time.
            name: what messages call the sequences.
        """
        law, labels = self.law_, self.fit_.labels
        prepared = self._context_in(law.context, context, of, length, law.device, labels)
        return anchored(prepared, law, labels, of, offset, name)

    def _scored(self, data: Any, complete: bool | None = None) -> Sequences:
        """Data whose likelihood is asked for."""
        found = self.sequences(data, complete=complete, missing=self.law_.takes_missing)
        read = isinstance(data, Sequences) and complete is not None
        return found.ended(bool(complete)) if read else found

    def _read(
        self,
        data: Any,
        space: Space,
        name: str,
        complete: bool | None = None,
        missing: bool = False,
    ) -> Sequences:
        """Data as sequences of a space that is about to be learnt."""
        layout = self._layout_of(space)
        return _sequences(
            data, space, layout, self.device, name, complete=complete, missing=missing,
            labels=self._labels, refusal=self.no_missing,
        )  # fmt: skip

    def _context(
        self, context: Any, of: Sequences | int, length: int, labels: Labels
    ) -> torch.Tensor | None:
        """The context that `fit` got."""
        return self._context_in(self._context_form(), context, of, length, self.device, labels)

    def _context_in(
        self,
        form: ContextForm | None,
        context: Any,
        of: Sequences | int,
        length: int,
        device: torch.device,
        labels: Labels,
    ) -> torch.Tensor | None:
        if form is None:
            if context is not None:
                hint = ", or construct it with regressors=" * ("regressors" in self.get_params())
                raise ParameterError(
                    f"{type(self).__name__} takes no context; leave it out{hint}."
                )
            return None
        if context is None:
            raise ParameterError(f"{type(self).__name__} needs a context ({form.kind}).")
        n = of if isinstance(of, int) else len(of)
        lengths = np.zeros(n, np.int64) if isinstance(of, int) else of.lengths.numpy()
        of_form = None if isinstance(of, int) else of.form
        given = aligned(context, labels.regressors, form.kind, of_form, lengths, length)
        return form.read(given, n, length, device)

    def _timed(
        self, prepared: torch.Tensor | None, sequences: Sequences, name: str
    ) -> torch.Tensor | None:
        """The context of sequences that are learnt from, with t in it where that is needed."""
        if not self._counts_time and not self._counts_from_zero:
            return prepared
        found = self._labels.positions(sequences.form, len(sequences), name)
        if self._counts_from_zero:
            refuse_later(None if found is None else torch.from_numpy(found), name)
        if not self._counts_time:
            return prepared
        first = torch.zeros(len(sequences)) if found is None else torch.from_numpy(found)
        return with_clock(prepared, first)

    def _held_out(self, validation: Any, space: Space, context: torch.Tensor | None) -> Sequences:
        """The validation data, with their context where the training data have one."""
        data, given = validation, None
        if context is not None:
            data, given = pair(validation, type(self).__name__)
        sequences = self._read_training(data, space, "validation")
        if context is None:
            return sequences.given(self._timed(None, sequences, "validation"))
        try:
            longest = int(sequences.lengths.max())
            found = self._context(given, sequences, longest, self._labels)
        except DataError as error:
            raise DataError(f"validation's {error}") from None
        assert found is not None
        if found.shape[-1] != context.shape[-1]:
            raise DataError(
                f"validation's context has {found.shape[-1]} numbers for each sequence or step; "
                f"expected {context.shape[-1]}, as in the context of the training data."
            )
        return sequences.given(self._timed(found, sequences, "validation"))

    def _sample_weight(self, weights: Any, n: int) -> torch.Tensor | None:
        """The weights of n sequences, checked, float64 [n]."""
        if weights is not None and not self.takes_weights:
            raise ParameterError(f"{type(self).__name__} takes no sample_weight; leave it out.")
        return None if weights is None else weights_of(weights, n)


def require_fitted(model: Model) -> None:
    """Raise `NotFittedError` unless the model has a law."""
    _ = model.law_


def _sequences(
    data: Any,
    space: Space,
    layout: Layout | None,
    device: torch.device,
    name: str,
    *,
    complete: bool | None,
    missing: bool,
    labels: Labels,
    refusal: str,
) -> Sequences:
    partial = name in ("prefix", "history")
    return Sequences.of(
        data, space, layout=layout, name=name, complete=complete, device=device, partial=partial,
        missing=missing, labels=labels, refusal=refusal,
    )  # fmt: skip


def _first(sequences: Sequences) -> float | None:
    """The first value of a series alone; several series all begin at t = 0."""
    first = sequences.values[:1].reshape(-1)
    alone = len(sequences) == 1 and not sequences.space.terminates
    return float(first[0]) if len(first) and alone else None


def _apart(value: Any) -> Any:
    """A parameter that the user may change, or a fit refit, as one that the user does not hold."""
    if isinstance(value, (list, tuple)):
        return type(value)(map(_apart, value)) if type(value) in (list, tuple) else value
    return copy(value) if isinstance(value, (Parameters, dict, set, np.ndarray)) else value


def _detached(data: Any) -> Any:
    """The same without its gradients, which learning does not go back to."""
    return data.detach() if isinstance(data, torch.Tensor) else data


def _longest(sequences: Sequences) -> int:
    return int(sequences.n_terms.max())
