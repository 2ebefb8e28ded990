"""scikit-learn's parameter protocol, without importing scikit-learn.

A constructor only stores its arguments, under their own names; so `get_params`, `set_params`,
`sklearn.base.clone`, `GridSearchCV` and `Pipeline` work on every model.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import lru_cache
from typing import Any, ClassVar, Self

import numpy as np

from arproc.contract.storable import storable
from arproc.errors import ParameterError, check_flag

__all__ = ["Parameters", "is_learnt"]

#: The annotations of settings that are one thing each, and no array.
_SETTINGS = {"bool", "float", "int", "str", "None", "MultivariateNormal", "Path"}


def is_learnt(name: str) -> bool:
    """Whether an attribute of this name is something learnt, as `coef_` is."""
    return name.endswith("_") and not name.startswith("_")


@lru_cache(maxsize=1024)
def _names_of(constructor: Callable[..., None]) -> tuple[str, ...]:
    """The names of a constructor's arguments, which are asked for again and again."""
    return tuple(
        name
        for name, parameter in inspect.signature(constructor).parameters.items()
        if name != "self"
        and parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL)
    )


class Parameters:
    """Base of everything whose constructor's arguments are its parameters.

    Attributes:
        local: the parameters that name places on this machine, to write to. A file does not hold
            them, and one that does is not listened to: what was loaded has their defaults.
    """

    local: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        storable(cls)

    @classmethod
    def _parameter_names(cls) -> list[str]:
        return list(_names_of(cls.__init__))

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The constructor's arguments by name; with `deep`, nested models' as `name__x`."""
        params = {name: getattr(self, name) for name in self._parameter_names()}
        if deep:
            for name, value in list(params.items()):
                if hasattr(value, "get_params") and not isinstance(value, type):
                    params |= {f"{name}__{key}": v for key, v in value.get_params().items()}
        return params

    def set_params(self, **params: Any) -> Self:
        """Change parameters; `name__x` reaches the parameter x of the nested model `name`."""
        names = self._parameter_names()
        # whole values first, so that a nested one reaches the value that is to stay
        for key, value in sorted(params.items(), key=lambda item: "__" in item[0]):
            name, _, rest = key.partition("__")
            if name not in names:
                raise ParameterError(
                    f"{type(self).__name__} has no parameter {name!r}; it has {', '.join(names)}."
                )
            if rest:
                if not hasattr(getattr(self, name), "set_params"):
                    raise ParameterError(
                        f"{key} can not be set: {name} is {getattr(self, name)!r}, which has no "
                        "parameters."
                    )
                # an immutable nested value (Training) gives a changed copy, a model itself
                setattr(self, name, getattr(self, name).set_params(**{rest: value}))
            else:
                setattr(self, name, value)
        return self

    def check_kinds(self) -> None:
        """Raise `ParameterError` for a flag that is none, and for data in a setting's place.

        Every other value is looked at by whoever uses it; an array can not even be compared.
        """
        for name, parameter in inspect.signature(type(self).__init__).parameters.items():
            kinds = {kind.strip() for kind in str(parameter.annotation).split("|")}
            if name == "self" or not kinds <= _SETTINGS:
                continue
            value = getattr(self, name)
            if kinds <= {"bool", "None"} and not (value is None and "None" in kinds):
                check_flag(name, value)
            if hasattr(value, "__array__") and not isinstance(value, np.generic):
                raise ParameterError(
                    f"{name} must be a {' or '.join(sorted(kinds))}; got a {type(value).__name__}."
                )

    def clone(self) -> Self:
        """A copy with the same parameters (nested ones cloned too) that has learnt nothing."""
        params = self.get_params(deep=False)
        copies = {k: v.clone() if isinstance(v, Parameters) else v for k, v in params.items()}
        return type(self)(**copies)

    def __sklearn_clone__(self) -> Self:
        """What scikit-learn's `clone` calls; parts that were fitted before (Mixture) stay so."""
        return self.clone()

    def __repr__(self) -> str:
        signature = inspect.signature(type(self).__init__)
        shown = []
        for name in self._parameter_names():
            value, default = getattr(self, name), signature.parameters[name].default
            if default is inspect.Parameter.empty:
                shown.append(f"{value!r}" if len(repr(value)) < 60 else f"{name}=...")
            elif value is not default and repr(value) != repr(default):
                shown.append(f"{name}={value!r}")
        return f"{type(self).__name__}({', '.join(shown)})"

    def __sklearn_tags__(self) -> Any:
        """What scikit-learn asks of an estimator (only it calls this)."""
        from sklearn.utils import InputTags, Tags, TargetTags

        return Tags(
            estimator_type=None,
            target_tags=TargetTags(required=False),
            input_tags=InputTags(one_d_array=True, two_d_array=True, string=True),
            requires_fit=True,
        )
