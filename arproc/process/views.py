"""What was learnt as a model shows it: `coef_` and the like, read-only views of law and fit."""

from __future__ import annotations

from copy import copy
from functools import cache
from typing import Any

import numpy as np
import torch

from arproc.contract.checked import Sizes, annotation_of, check_value, is_own
from arproc.contract.law import Law
from arproc.contract.parameters import Parameters, is_learnt
from arproc.errors import NotEstimatedError
from arproc.process.fit import Fit, Learnt

__all__ = ["check_learnt", "declared", "seen"]


@cache
def declared(cls: type) -> frozenset[str]:
    """The names of what a class says may be read of its law and fit."""
    every = (name for base in cls.__mro__ for name in vars(base).get("__annotations__", {}))
    return frozenset(filter(is_learnt, every))


def check_learnt(cls: type, law: Law, fit: Fit) -> Learnt:
    """A law and a fit as what a model of this class holds, once both are what its class says.

    The law is of the type of `law_`; and every note of the fit is what is annotated under its
    name with an underscore, `lags_: np.ndarray` of the note "lags", as `check_value` looks at it.
    Sizes in annotations may be of the law and the fit: `Array("law.n_regimes")`.

    Raises:
        ParameterError: names what is not.
    """
    check_value("law", law, annotation_of(cls, "law_") or Law)
    learnt, sizes, own = Learnt(law, fit), Sizes(), is_own(cls)
    for stem, value in fit.notes.items():
        hint = annotation_of(cls, f"{stem}_") or annotation_of(cls, f"_{stem}_")
        if hint is not None:
            check_value(f"{cls.__name__}'s {stem} of the fit", value, hint, learnt, sizes, own)
    return learnt


def seen(learnt: Learnt, name: str, cls: type) -> Any:
    """What a law or a fit holds under a name; arrays are given as read-only views."""
    own = getattr(learnt.law, "model", None)
    if isinstance(own, Parameters) and name in vars(own):
        value = vars(own)[name]
    elif name not in declared(cls):
        raise AttributeError(f"{cls.__name__!r} object has no attribute {name!r}")
    else:
        value = _found(learnt, name.removesuffix("_"), cls)
    if isinstance(value, torch.Tensor) and not value.requires_grad:
        return value.clone()
    if type(value) in (list, dict):
        return copy(value)
    if isinstance(value, np.ndarray):
        value = value.view()
        value.flags.writeable = False
    return value


def _found(learnt: Learnt, stem: str, cls: type) -> Any:
    for source in learnt:
        if hasattr(source, stem):
            value = getattr(source, stem)
            if value is not None:
                return value
    if stem in learnt.fit.notes:
        return learnt.fit.notes[stem]
    raise NotEstimatedError(f"this {cls.__name__} has no {stem}_: it was not estimated.")
