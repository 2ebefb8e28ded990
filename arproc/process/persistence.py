"""One file for every model: safetensors with a JSON header. No code runs on loading.

The header holds the class's name, its parameters and what it learnt; every array is a tensor of
the file, named by its path. See `arproc.contract.model_file` for the file itself.
"""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from arproc.contract.checked import Array, annotation_of, check_fields, check_value, is_own
from arproc.contract.law import Law
from arproc.contract.model_file import Stored, read_file, write_file
from arproc.contract.parameters import Parameters, is_learnt
from arproc.contract.storable import StorableModule, find, name_of
from arproc.errors import (
    ArprocError,
    FileFormatError,
    MissingDependencyError,
    NotFittedError,
    ParameterError,
)
from arproc.process.fit import Fit, Learnt
from arproc.process.networks import built

__all__ = ["load", "save"]

# ---- models --------------------------------------------------------------------------------


def save(model: Parameters, path: str | Path) -> None:
    """Write a fitted model to one file, atomically: its parameters, and what it has learnt.

    Raises:
        NotFittedError: the model has learnt nothing yet.
        ParameterError: a parameter is of a kind that files do not hold (a function, say).
    """
    if not _is_fitted(model):
        raise NotFittedError(
            f"this {type(model).__name__} is not fitted yet; fit it before saving."
        )
    held: Any = model
    if hasattr(type(model), "law_"):  # a wrapper of unfitted parts says so here
        _require_storable(held.law_)
    tensors = _Tensors()
    tree = _encode(model, "model", tensors)
    write_file(path, {"kind": "model", "model": tree}, tensors)


def load(path: str | Path, *, trust: bool = False) -> Any:
    """Read a model that `save` wrote.

    All that the file says is looked at before it is used: types, shapes, ranges, and whether the
    parts fit each other. No parameter that names a place to write to (`Training.checkpoint`,
    `NGram.scratch`) comes back.

    Args:
        path: the file.
        trust: whether the file is one's own, so that the numbers in large tables need not be read
            at once: tables of n-grams are then opened as they are.

    Returns:
        The model, on the CPU, giving the same numbers as the one that was saved.

    Raises:
        FileFormatError: the file is damaged, not a model of arproc's, or from a newer version.
    """
    header, tensors = read_file(path)
    if header.get("kind") != "model":
        raise FileFormatError(f"{str(path)!r} holds a {header.get('kind')!r}, not a model.")
    try:
        model = _decode(header["model"], _Tensors(tensors, trust))
        fitted = isinstance(model, Parameters) and _is_fitted(model)
    except (FileFormatError, MissingDependencyError):
        raise
    except (
        ArprocError,
        LookupError,
        TypeError,
        AttributeError,
        ValueError,
        RuntimeError,
        ArithmeticError,
        AssertionError,
        MemoryError,
    ) as error:
        raise FileFormatError(
            f"{str(path)!r} does not describe a model ({type(error).__name__}: {error})."
        ) from error
    if not isinstance(model, Parameters) or not hasattr(model, "save"):
        raise FileFormatError(f"{str(path)!r} describes a {type(model).__name__}, not a model.")
    if not fitted:
        raise FileFormatError(f"{str(path)!r} holds a {type(model).__name__} without a law.")
    return model


def _require_storable(law: Any) -> None:
    """Raise `ParameterError` for a model in one class that keeps what files do not hold."""
    model = getattr(law, "model", None)
    if not isinstance(model, Parameters):
        return
    new = type(model)(**model.get_params(deep=False))  # what a constructor sets comes again
    known = {*vars(new), *dir(type(model))}
    lost = [n for n in vars(model) if not (n in known or n.startswith("_") or is_learnt(n))]
    if lost:
        raise ParameterError(
            f"{type(model).__name__}.{lost[0]} was set by _fit, and a file holds only what ends "
            f"in an underscore: call it {lost[0]}_."
        )


class _Tensors(dict[str, Any]):
    """A file's tensors by name, and its laws by number: one that many hold is stored once.

    Attributes:
        trust: whether large tables are taken as they are.
    """

    def __init__(self, tensors: Mapping[str, Any] | None = None, trust: bool = False) -> None:
        super().__init__(tensors or {})
        self.laws: dict[int, Law] = {}
        self.trust = trust


def _is_fitted(model: Any) -> bool:
    asked = getattr(model, "__sklearn_is_fitted__", None)
    return asked is None or bool(asked())


def _encode(value: Any, path: str, tensors: _Tensors) -> Any:
    """The value as JSON, its arrays put into `tensors` under their path."""
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, np.bool_):
        return bool(value)
    if isinstance(value, (int, np.integer)):
        return int(value)
    if isinstance(value, (float, np.floating)):
        number = float(value)
        return number if math.isfinite(number) else {"!": "float", "value": repr(number)}
    if isinstance(value, torch.Tensor):
        return {"!": "tensor", "at": _store(value, path, tensors)}
    if isinstance(value, np.ndarray):
        return _encode_array(value, path, tensors)
    if isinstance(value, range):
        value = tuple(value)
    if isinstance(value, (list, tuple)):
        items = [_encode(v, f"{path}.{i}", tensors) for i, v in enumerate(value)]
        return items if isinstance(value, list) else {"!": "tuple", "items": items}
    if isinstance(value, dict):
        pairs = [[_encode(k, f"{path}.{i}k", tensors), _encode(v, f"{path}.{k}", tensors)]
                 for i, (k, v) in enumerate(value.items())]  # fmt: skip
        return {"!": "dict", "items": pairs}
    if isinstance(value, os.PathLike):
        return {"!": "path", "value": os.fspath(value)}
    if isinstance(value, StorableModule):
        state = {k: v.detach().cpu() for k, v in value.state_dict().items()}
        return _plan(value, path, tensors) | {"state": _encode(state, path, tensors)}
    if isinstance(value, torch.distributions.MultivariateNormal):
        inside = {"loc": value.loc, "scale_tril": value.scale_tril}
        return {"!": "MultivariateNormal", "fields": _encode(inside, path, tensors)}
    if find(name_of(type(value))) is not type(value):
        raise ParameterError(
            f"{path} is a {type(value).__name__}, which a model file can not hold; files hold "
            "numbers, strings, arrays, tensors, lists, dicts, arproc's own objects, and classes "
            "of your own that are registered with arproc.storable."
        )
    if isinstance(value, Parameters):
        return _encode_parameters(value, path, tensors)
    if isinstance(value, Law):
        return _encode_law(value, path, tensors)
    return _encode_storable(value, path, tensors)


def _store(value: Stored, path: str, tensors: _Tensors) -> str:
    """Put a tensor among those of the file, under its path or one like it; gives the name."""
    if isinstance(value, torch.Tensor):
        _check_plain(value, path)
        value = value.detach().cpu().contiguous()
    name, number = path, 2
    while name in tensors:  # {"a.b": x, "a": {"b": y}} has two values of one path
        name, number = f"{path}~{number}", number + 1
    tensors[name] = value
    return name


def _check_plain(value: torch.Tensor, path: str) -> None:
    """Refuse a tensor that is not just numbers one after the other."""
    if value.layout != torch.strided or value.is_quantized or value.is_complex():
        kind = value.dtype if value.is_complex() else value.layout
        raise ParameterError(f"{path} is a {kind} tensor, which a model file can not hold.")


def _encode_array(value: np.ndarray, path: str, tensors: _Tensors) -> Any:
    if value.dtype.kind == "U":
        return {"!": "strings", "items": value.ravel().tolist(), "shape": list(value.shape)}
    if value.dtype.kind not in "biuf" or value.dtype.itemsize > 8:
        raise ParameterError(
            f"{path} is an array of dtype {value.dtype}, which a model file can not hold."
        )
    kind = np.dtype(f"{value.dtype.kind}{value.dtype.itemsize}")
    if isinstance(value, np.memmap) and value.dtype == kind and value.flags.c_contiguous:
        return {"!": "array", "at": _store(value, path, tensors)}
    plain = np.empty(value.shape, dtype=kind)
    plain[...] = value
    return {"!": "array", "at": _store(torch.from_numpy(plain), path, tensors)}


def _encode_parameters(value: Any, path: str, tensors: _Tensors) -> Any:
    """Parameters and what was learnt: a law and its fit, or the attributes ending in "_"."""
    params = value.get_params(deep=False)
    params = {name: v for name, v in params.items() if name not in value.local}
    tree = {
        "!": "object",
        "class": name_of(type(value)),
        "params": {k: _encode(v, f"{path}.{k}", tensors) for k, v in params.items()},
    }
    held = vars(value).get("_held")
    if isinstance(held, Learnt):
        at = path if hasattr(held.law, "model") else f"{path}.law"  # the law of a copy
        tree["law"] = _encode(held.law, at, tensors)
        tree["fit"] = _encode(held.fit, f"{path}.fit", tensors)
    else:
        learnt = {name: v for name, v in vars(value).items() if is_learnt(name)}
        tree["learnt"] = {k: _encode(v, f"{path}.{k}", tensors) for k, v in learnt.items()}
    return tree


def _encode_law(law: Law, path: str, tensors: _Tensors) -> Any:
    """A law where it is met first; then its number alone."""
    for number, known in tensors.laws.items():
        if known is law:
            return {"!": "law", "number": number}
    number = len(tensors.laws)
    tensors.laws[number] = law
    return _encode_storable(law, path, tensors) | {"number": number}


def _encode_storable(value: Any, path: str, tensors: _Tensors) -> Any:
    if hasattr(value, "to_dict"):
        fields = value.to_dict()
    else:
        fields = {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
    return {
        "!": "data",
        "class": name_of(type(value)),
        "fields": {k: _encode(v, f"{path}.{k}", tensors) for k, v in fields.items()},
    }


def _plan(module: StorableModule, path: str, tensors: _Tensors) -> dict[str, Any]:
    """How a network was constructed; of the modules among its arguments likewise."""
    arguments = {
        k: _plan(v, f"{path}.{k}", tensors)
        if isinstance(v, StorableModule)
        else _encode(v, f"{path}.{k}", tensors)
        for k, v in module.arguments.items()
    }
    return {"!": "module", "class": name_of(type(module)), "arguments": arguments}


def _decode(tree: Any, tensors: _Tensors) -> Any:
    if isinstance(tree, list):
        return [_decode(item, tensors) for item in tree]
    if not isinstance(tree, dict):
        return tree
    kind = tree["!"]
    if kind == "float":
        return float(tree["value"])
    if kind == "tensor":
        return tensors[tree["at"]]
    if kind == "array":
        return tensors[tree["at"]].numpy()
    if kind == "strings":
        return np.array(tree["items"], dtype=np.str_).reshape(tree["shape"])
    if kind == "tuple":
        return tuple(_decode(item, tensors) for item in tree["items"])
    if kind == "dict":
        return {_decode(k, tensors): _decode(v, tensors) for k, v in tree["items"]}
    if kind == "path":
        return Path(tree["value"])
    if kind == "module":
        return built(tree, lambda part: _decode(part, tensors), _class_of)
    if kind == "MultivariateNormal":
        return _normal_law(**_decode(tree["fields"], tensors))
    if kind == "object":
        return _decode_parameters(tree, tensors)
    if kind == "law":
        return tensors.laws[tree["number"]]
    if kind == "data":
        return _decode_storable(tree, tensors)
    raise FileFormatError(f"the file holds a {kind!r}, which this version does not know.")


def _decode_parameters(tree: dict[str, Any], tensors: _Tensors) -> Any:
    cls = _class_of(tree)
    if not issubclass(cls, Parameters):
        raise FileFormatError(f"{tree['class']} is not a class with parameters.")
    params = {k: _decode(v, tensors) for k, v in tree["params"].items() if k not in cls.local}
    value = cls(**params)
    for name, encoded in tree.get("learnt", {}).items():
        known = annotation_of(cls, name) is not None or not is_own(cls)
        if not is_learnt(name) or not known or (is_own(cls) and hasattr(cls, "law_")):
            raise FileFormatError(
                f"{name!r} is not the name of something a {cls.__name__} learns."
            )
        setattr(value, name, _decode(encoded, tensors))
    check_fields(value)
    if "law" in tree:
        law, fit = _decode(tree["law"], tensors), _decode(tree["fit"], tensors)
        if not isinstance(law, Law) or not isinstance(fit, Fit):
            raise FileFormatError(f"the {tree['class']} of the file holds no law.")
        check_value(f"{cls.__name__}.law_", law, _law_type(cls))
        vars(value)["_held"] = Learnt(law, fit)
    return value


def _law_type(cls: type) -> Any:
    """What the law of a model of this class must be, where the class says so."""
    return annotation_of(cls, "law_") or Law


def _normal_law(loc: torch.Tensor, scale_tril: torch.Tensor) -> torch.distributions.Distribution:
    """A normal law of a file, checked."""
    sizes: dict[str, int] = {}
    for name, value, rule in (
        ("loc", loc, Array("...", "d", kind="real")),
        ("scale_tril", scale_tril, Array("...", "d", "d", kind="real")),
    ):
        problem = rule.fit(value, None, sizes)
        if problem is not None:
            raise FileFormatError(f"{name} of a normal law {problem}.")
    if scale_tril.ndim != loc.ndim + 1 or scale_tril.shape[:-2] != loc.shape[:-1]:
        raise FileFormatError("loc and scale_tril of a normal law are of different batches.")
    if bool((scale_tril.triu(1) != 0).any()) or bool((scale_tril.diagonal(0, -2, -1) <= 0).any()):
        raise FileFormatError("scale_tril of a normal law is no factor of a covariance.")
    return torch.distributions.MultivariateNormal(loc, scale_tril=scale_tril, validate_args=False)


def _class_of(tree: dict[str, Any]) -> type:
    """The class that part of a file names."""
    cls = find(tree["class"])
    if cls is None:
        raise FileFormatError(
            f"the file holds a {tree['class']}, which is not known here. If it is a class of your "
            "own, import its class before loading."
        )
    return cls


def _decode_storable(tree: dict[str, Any], tensors: _Tensors) -> Any:
    cls: Any = _class_of(tree)
    local = getattr(cls, "local", ())
    fields = {k: _decode(v, tensors) for k, v in tree["fields"].items() if k not in local}
    value = cls.from_dict(fields) if hasattr(cls, "from_dict") else cls(**fields)
    check_fields(value, deep=not tensors.trust)
    if "number" in tree:
        tensors.laws[tree["number"]] = value
    return value
