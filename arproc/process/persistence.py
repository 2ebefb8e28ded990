"""One file for every model: safetensors with a JSON header. No code runs on loading.

The header holds the class's name, its parameters and what it learnt; every array is a tensor of
the file, named by its path. See `arproc.contract.model_file` for the file itself.
"""

from __future__ import annotations

import dataclasses
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import torch

from arproc.contract.law import Law
from arproc.contract.model_file import Stored, read_file, write_file
from arproc.contract.parameters import Parameters, is_learnt
from arproc.contract.storable import StorableModule, find, name_of
from arproc.data.tokenizer_kinds import is_tokenizer
from arproc.data.tokenizers import TokenizerVocabulary
from arproc.errors import (
    FileFormatError,
    MissingDependencyError,
    NotFittedError,
    ParameterError,
)
from arproc.process.decoding import Tensors, decode
from arproc.process.fit import Learnt

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
    tensors = Tensors()
    tree = _encode(model, "model", tensors)
    write_file(path, {"kind": "model", "model": tree}, tensors)


def load(path: str | Path, *, trust: bool = False) -> Any:
    """Read a model that `save` wrote.

    All that the file says is looked at before it is used: checksums, types, shapes, ranges, and
    whether the parts fit each other. No parameter that names a place to write to
    (`Training.checkpoint`, `NGram.scratch`) is held by a file, or comes back from one.

    Args:
        path: the file.
        trust: the file is one's own and sound, so large tables need not be read through, neither
            for their checksums nor for what they point at. A large n-gram model is then open in
            milliseconds, and a file damaged on its disk gives wrong numbers.

    Returns:
        The model, on the CPU, giving the same numbers as the one that was saved.

    Raises:
        FileFormatError: the file is damaged, not a model of arproc's, or from another version.

    Example:
        >>> import arproc
        >>> arproc.AR.from_parameters([0.5]).save("walk.arproc")
        >>> arproc.load("walk.arproc").coef_
        array([0.5])
    """
    header, tensors = read_file(path, trust=trust)
    if header.get("kind") != "model":
        raise FileFormatError(f"{str(path)!r} holds a {header.get('kind')!r}, not a model.")
    try:
        held = Tensors(tensors, trust)
        model = decode(header["model"], held)
        held.require_all_taken()
        fitted = isinstance(model, Parameters) and _is_fitted(model)
    except (FileFormatError, MissingDependencyError):
        raise
    except Exception as error:  # whatever a constructor finds in what a file gives it
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


def _is_fitted(model: Any) -> bool:
    asked = getattr(model, "__sklearn_is_fitted__", None)
    return asked is None or bool(asked())


def _encode(value: Any, path: str, tensors: Tensors) -> Any:
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
        _require_own_parts(value, path)
        state = {k: v.detach().cpu() for k, v in value.state_dict().items()}
        return _plan(value, path, tensors) | {"state": _encode(state, path, tensors)}
    if isinstance(value, torch.distributions.MultivariateNormal):
        inside = {"loc": value.loc, "scale_tril": value.scale_tril}
        return {"!": "MultivariateNormal", "fields": _encode(inside, path, tensors)}
    if find(name_of(type(value))) is not type(value) and is_tokenizer(value):
        value = TokenizerVocabulary.of(value)
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


def _store(value: Stored, path: str, tensors: Tensors) -> str:
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


def _encode_array(value: np.ndarray, path: str, tensors: Tensors) -> Any:
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


def _encode_parameters(value: Any, path: str, tensors: Tensors) -> Any:
    """Parameters and what was learnt: a law and its fit, or the attributes ending in "_"."""
    params = {k: v for k, v in value.get_params(deep=False).items() if k not in value.local}
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


def _encode_law(law: Law, path: str, tensors: Tensors) -> Any:
    """A law where it is met first; then its number alone."""
    for number, known in tensors.laws.items():
        if known is law:
            return {"!": "law", "number": number}
    number = len(tensors.laws)
    tensors.laws[number] = law
    return _encode_storable(law, path, tensors) | {"number": number}


def _encode_storable(value: Any, path: str, tensors: Tensors) -> Any:
    if hasattr(value, "to_dict"):
        fields = value.to_dict()
    else:
        fields = {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
    return {
        "!": "data",
        "class": name_of(type(value)),
        "fields": {k: _encode(v, f"{path}.{k}", tensors) for k, v in fields.items()},
    }


def _require_own_parts(module: StorableModule, path: str) -> None:
    """Refuse a network whose parts were replaced: the file could not be read."""
    if any(isinstance(part, StorableModule) for part in module.arguments.values()):
        return
    try:
        with torch.device("meta"):  # where nothing is allocated
            own = type(module)(**module.arguments).state_dict().keys()
    except Exception:  # one that computes while it is built
        return
    other = sorted(own ^ module.state_dict().keys())
    if other:
        raise ParameterError(
            f"{path} has other parts than it was made with ({other[0]}), which a file does not "
            "hold; take adapters out first, or merge them into the weights."
        )


def _plan(module: StorableModule, path: str, tensors: Tensors) -> dict[str, Any]:
    """How a network was constructed; of the modules among its arguments likewise."""
    arguments = {
        k: _plan(v, f"{path}.{k}", tensors)
        if isinstance(v, StorableModule)
        else _encode(v, f"{path}.{k}", tensors)
        for k, v in module.arguments.items()
    }
    return {"!": "module", "class": name_of(type(module)), "arguments": arguments}
