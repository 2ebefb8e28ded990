"""Models by name, with their constructors' arguments from the command line."""

from __future__ import annotations

import difflib
import inspect
import json
from pathlib import Path
from typing import Any

from arproc.errors import ParameterError

__all__ = ["build", "load", "names"]

#: Base classes, and laws that are made of other laws.
NOT_FITTED_FROM_OPTIONS = ("Law", "Process", "Mixture", "Transformed")


def names() -> dict[str, type]:
    """The models that `arproc fit` can make, by lower-case name."""
    import arproc
    from arproc.law import Law

    found = {}
    for name in arproc.__all__:
        if not name[0].isupper() or name in NOT_FITTED_FROM_OPTIONS:
            continue
        value = getattr(arproc, name)
        if inspect.isclass(value) and issubclass(value, Law):
            found[name.lower()] = value
    return found


def build(name: str, options: list[str]) -> Any:
    """The model `name`, its arguments taken from options like `--order 9`.

    A value is read as JSON (9, 0.5, true, null, [64, 64]), as a list where it has commas (64,64),
    and as text otherwise. What the model's constructor does not take goes to its `Training`.
    """
    import arproc

    classes = names()
    if name.lower() not in classes:
        raise ParameterError(
            f"there is no model {name!r}{_did_you_mean(name.lower(), list(classes))} The models "
            f"are {', '.join(sorted(classes))}."
        )
    model = classes[name.lower()]
    own = _parameters(model)
    trained = _parameters(arproc.Training) if "training" in own else []
    arguments: dict[str, Any] = {}
    training: dict[str, Any] = {}
    for key, value in _pairs(options):
        if key in own and key != "training":
            arguments[key] = value
        elif key in trained:
            training[key] = value
        else:
            known = [k for k in own if k != "training"] + trained
            listed = ", ".join("--" + k.replace("_", "-") for k in known)
            raise ParameterError(
                f"{model.__name__} has no option --{key.replace('_', '-')}"
                f"{_did_you_mean(key, known)} Its options are {listed}."
            )
    if training:
        arguments["training"] = arproc.Training(**training)
    try:
        return model(**arguments)
    except TypeError as error:  # a required argument is missing
        raise ParameterError(_missing(model, arguments, error)) from None


def _parameters(cls: type) -> list[str]:
    return list(inspect.signature(cls).parameters)


def _missing(model: type, arguments: dict[str, Any], error: TypeError) -> str:
    required = [
        "--" + name.replace("_", "-")
        for name, parameter in inspect.signature(model).parameters.items()
        if parameter.default is inspect.Parameter.empty and name not in arguments
    ]
    if not required:
        return str(error)
    return f"{model.__name__} needs {', '.join(required)} (for example {required[0]} 3)."


def _pairs(options: list[str]) -> list[tuple[str, Any]]:
    """`["--order", "9", "--method=ols"]` as names and values."""
    pairs = []
    rest = list(options)
    while rest:
        option = rest.pop(0)
        if not option.startswith("--") or option == "--":
            raise ParameterError(
                f"got {option!r} where an option like --order 9 was expected; the data file comes "
                "right after the model's name."
            )
        key, equals, text = option[2:].partition("=")
        if not equals:
            if not rest or rest[0].startswith("--"):
                raise ParameterError(f"option {option} needs a value (true and false are values).")
            text = rest.pop(0)
        pairs.append((key.replace("-", "_"), _value(text)))
    return pairs


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        pass
    if "," in text:
        return [_value(part.strip()) for part in text.split(",") if part.strip()]
    words = {"none": None, "true": True, "false": False}
    return words.get(text.lower(), text)


def _did_you_mean(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f" (did you mean {near[0]!r}?)." if near else "."


def load(path: Path) -> Any:
    """A saved model; a plain message where there is no such file."""
    import arproc

    if not path.is_file():
        raise ParameterError(f"there is no model file {str(path)!r}; make one with arproc fit.")
    return arproc.load(path)
