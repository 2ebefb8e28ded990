"""Holding a fitted law: what is seen of it, and how the user's data are read for it."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import torch

from arproc.contract.context import ContextForm
from arproc.contract.law import Law
from arproc.contract.parameters import Parameters, is_learnt
from arproc.contract.sequences import Sequences
from arproc.data.form import Layout
from arproc.data.labels import Labels, aligned
from arproc.errors import NotEstimatedError, NotFittedError, ParameterError, ReadOnlyError
from arproc.process.fit import Fit, Learnt
from arproc.process.reading import anchored, check_continues
from arproc.process.views import check_learnt, declared, seen
from arproc.spaces import Space

__all__ = ["LawHolder", "read_sequences"]


class LawHolder(Parameters):
    """Parameters, and what was learnt under them: a law and the circumstances of its fit.

    Both are replaced whole, together; what is shown of them (`coef_` and the like) is read-only.
    """

    #: Why it takes no missing values, and what to do instead; shown to who has some.
    no_missing: ClassVar[str] = ""

    space_: Space
    form_: str
    _held: Learnt

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

    # ---- reading the user's data for the law ---------------------------------------------------

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
        found = read_sequences(
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

    def _context_in(
        self,
        form: ContextForm | None,
        context: Any,
        of: Sequences | int,
        length: int,
        device: torch.device,
        labels: Labels,
    ) -> torch.Tensor | None:
        """The context of a call or of a fit, as `form` says that it is to be."""
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


def read_sequences(
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
    """The user's data as `Sequences` of a space; see `Sequences.of`."""
    partial = name in ("prefix", "history")
    return Sequences.of(
        data, space, layout=layout, name=name, complete=complete, device=device, partial=partial,
        missing=missing, labels=labels, refusal=refusal,
    )  # fmt: skip
