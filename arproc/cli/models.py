"""Models by name, with their constructors' arguments from the command line."""

from __future__ import annotations

import difflib
import inspect
import json
from pathlib import Path
from typing import Any, NoReturn

from arproc.errors import ParameterError

__all__ = ["COMPRESSED", "build", "find", "is_arpa", "load", "load_named"]

#: What the names of compressed ARPA files end in.
COMPRESSED = (".gz", ".bz2", ".xz", ".zst")

#: Base classes, and laws that are made of other laws.
NOT_FITTED_FROM_OPTIONS = ("Model", "Process", "Mixture", "Transformed")


def find(name: str) -> type:
    """The model class with this name, in whatever case."""
    import arproc

    for known in arproc.__all__:
        if known.lower() == name.lower() and _is_model(known):
            return getattr(arproc, known)
    models = [known.lower() for known in arproc.__all__ if _is_model(known)]
    raise ParameterError(
        f"there is no model {name!r}{_did_you_mean(name.lower(), models)} The models are "
        f"{', '.join(sorted(models))}."
    )


def _is_model(name: str) -> bool:
    import arproc
    from arproc.process import Model

    if not name[0].isupper() or name in NOT_FITTED_FROM_OPTIONS:
        return False
    value = getattr(arproc, name)
    return inspect.isclass(value) and issubclass(value, Model)


def build(name: str, options: list[str]) -> Any:
    """The model `name`, its arguments taken from options like `--order 9`.

    A value is read as JSON (9, 0.5, true, null, [64, 64]), as a list where it has commas (64,64),
    and as text otherwise. What the model's constructor does not take goes to its `Tokens` or its
    `Training`.
    """
    import arproc

    model = find(name)
    own = _parameters(model)
    parts = {"tokens": arproc.Tokens, "training": arproc.Training}
    settings = {key: part for part in parts if part in own for key in _parameters(parts[part])}
    settings.pop("kind", None)  # which is `--tokens` itself
    arguments: dict[str, Any] = {}
    inner: dict[str, dict[str, Any]] = {}
    for key, value in _pairs(options):
        if key in own and key != "training":
            arguments[key] = value
        elif key in settings:
            inner.setdefault(settings[key], {})[key] = value
        else:
            known = [k for k in own if k != "training"]
            _refuse(model, key, known + [k for k in settings if k not in own])
    if "tokens" in inner:
        default = inspect.signature(model).parameters["tokens"].default
        inner["tokens"]["kind"] = arguments.get("tokens", default)
    arguments |= {part: parts[part](**values) for part, values in inner.items()}
    required = _required(model, arguments)
    if required:
        raise ParameterError(
            f"{model.__name__} needs {', '.join(map(_option, required))} (for example "
            f"{_option(required[0])} 3)."
        )
    return model(**arguments)


def _refuse(model: type, key: str, known: list[str]) -> NoReturn:
    options = [_option(name) for name in known]
    raise ParameterError(
        f"{model.__name__} has no option {_option(key)}{_did_you_mean(_option(key), options)} "
        f"Its options are {', '.join(options)}."
    )


def _option(parameter: str) -> str:
    return "--" + parameter.replace("_", "-")


def _parameters(cls: type) -> list[str]:
    return list(inspect.signature(cls).parameters)


def _required(model: type, given: dict[str, Any]) -> list[str]:
    """The arguments without a default that are missing."""
    return [
        name
        for name, parameter in inspect.signature(model).parameters.items()
        if parameter.default is inspect.Parameter.empty and name not in given
    ]


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


def is_arpa(path: Path) -> bool:
    """Whether a file's name is that of an ARPA file, plain or compressed."""
    return (path.with_suffix("") if path.suffix in COMPRESSED else path).suffix == ".arpa"


def load(path: Path) -> Any:
    """A saved model; a plain message where there is no such file."""
    import arproc

    if not path.is_file():
        raise ParameterError(f"there is no model file {str(path)!r}; make one with arproc fit.")
    if is_arpa(path):
        raise ParameterError(
            f"{str(path)!r} is an ARPA file by its name; make a model of it with arproc convert "
            f"{path} {path.name.partition('.arpa')[0]}.arproc."
        )
    return arproc.load(path)


def load_named(paths: list[Path]) -> dict[str, Any]:
    """Saved models by the names of their files, with folders where two are called alike."""
    if len(set(paths)) < len(paths):
        twice = next(path for path in paths if paths.count(path) > 1)
        raise ParameterError(f"the model file {str(twice)!r} is named twice.")
    stems = [path.stem for path in paths]
    names = [str(path) for path in paths] if len(set(stems)) < len(stems) else stems
    return {name: load(path) for name, path in zip(names, paths, strict=True)}
