"""Learning a law from the user's data: what `fit` does, and what a subclass writes for it.

A fit works on a copy of the model, so that one that is refused leaves no trace.
"""

from __future__ import annotations

from copy import copy
from dataclasses import replace
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch

from arproc.contract.context import ContextForm, with_clock
from arproc.contract.law import Law
from arproc.contract.parameters import Parameters, is_learnt
from arproc.contract.sequences import Sequences
from arproc.data.form import Layout
from arproc.data.frames import native
from arproc.data.labels import Labels, labels_of, names_of
from arproc.data.texts import listed
from arproc.errors import DataError, ParameterError, UnsupportedError
from arproc.process.fit import Fit, Learnt
from arproc.process.holding import LawHolder, read_sequences
from arproc.process.reading import (
    pair,
    refuse_later,
    require_one_each,
    stepped,
    warn_of_columns,
    weights_of,
)
from arproc.spaces import Space

__all__ = ["Learner"]


class Learner(LawHolder):
    """What holds a law that it can learn.

    A subclass writes `_infer_space` and `_fit`; what else is here has defaults.
    """

    #: What `fit` takes as `context`: nothing, one vector a sequence, or one a step.
    context_kind: Literal["static", "steps"] | None = None
    #: Whether `fit` takes NaN among real numbers for an element that was not observed.
    takes_missing: bool = False
    #: Whether `fit` takes the rows of a DataFrame whole, as those of a table.
    takes_tables: bool = False
    #: Whether `fit` takes weights of the sequences.
    takes_weights: ClassVar[bool] = False

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

    # ---- learning --------------------------------------------------------------------------

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

    # ---- reading what is learnt from -------------------------------------------------------

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
        return read_sequences(
            data, space, layout, self.device, name, complete=complete, missing=missing,
            labels=self._labels, refusal=self.no_missing,
        )  # fmt: skip

    def _context(
        self, context: Any, of: Sequences | int, length: int, labels: Labels
    ) -> torch.Tensor | None:
        """The context that `fit` got."""
        return self._context_in(self._context_form(), context, of, length, self.device, labels)

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
