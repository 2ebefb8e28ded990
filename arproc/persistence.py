"""One file for every model: safetensors with a JSON header. No code runs on loading.

The header's metadata hold the class's name, its parameters and what it learnt; every array is a
tensor of the file, named by its path. Sizes are checked against the file before anything is
allocated, and a file is written whole or not at all.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from arproc.errors import FileFormatError, NotFittedError, ParameterError
from arproc.parameters import Parameters
from arproc.storable import STORABLE

__all__ = ["FORMAT_VERSION", "load", "read_file", "save", "write_file"]

FORMAT_VERSION = 1
_BYTES = {
    "BOOL": 1, "U8": 1, "I8": 1, "F8_E4M3": 1, "F8_E5M2": 1, "U16": 2, "I16": 2, "F16": 2,
    "BF16": 2, "U32": 4, "I32": 4, "F32": 4, "U64": 8, "I64": 8, "F64": 8,
}  # fmt: skip
_MAX_HEADER = 100_000_000

# ---- models --------------------------------------------------------------------------------


def save(law: Any, path: str | Path) -> None:
    """Write a fitted law to one file, atomically.

    Raises:
        NotFittedError: the law has learnt nothing yet.
        ParameterError: a parameter is of a kind that files do not hold (a function, say).
    """
    if not law.__sklearn_is_fitted__():
        raise NotFittedError(f"this {type(law).__name__} is not fitted yet; fit it before saving.")
    _ = law.space  # a wrapper around an unfitted law is refused as well
    tensors: dict[str, torch.Tensor] = {}
    tree = _encode(law, "model", tensors)
    write_file(path, {"kind": "model", "model": tree}, tensors)


def load(path: str | Path) -> Any:
    """Read a model that `save` wrote.

    Args:
        path: the file.

    Returns:
        The model, on the CPU, giving the same numbers as the one that was saved.

    Raises:
        FileFormatError: the file is damaged, not a model of arproc's, or from a newer version.
    """
    header, tensors = read_file(path)
    if header.get("kind") != "model":
        raise FileFormatError(f"{str(path)!r} holds a {header.get('kind')!r}, not a model.")
    try:
        return _decode(header["model"], tensors)
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise FileFormatError(
            f"{str(path)!r} does not describe a model ({type(error).__name__}: {error})."
        ) from error


def _encode(value: Any, path: str, tensors: dict[str, torch.Tensor]) -> Any:
    """The value as JSON, its arrays put into `tensors` under their path."""
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, (int, np.integer)):
        return int(value)
    if isinstance(value, (float, np.floating)):
        number = float(value)
        return number if math.isfinite(number) else {"!": "float", "value": repr(number)}
    if isinstance(value, torch.Tensor):
        tensors[path] = value.detach().cpu().contiguous()
        return {"!": "tensor", "at": path}
    if isinstance(value, np.ndarray):
        return _encode_array(value, path, tensors)
    if isinstance(value, (list, tuple)):
        items = [_encode(v, f"{path}.{i}", tensors) for i, v in enumerate(value)]
        return items if isinstance(value, list) else {"!": "tuple", "items": items}
    if isinstance(value, dict):
        pairs = [[_encode(k, f"{path}.{i}k", tensors), _encode(v, f"{path}.{k}", tensors)]
                 for i, (k, v) in enumerate(value.items())]  # fmt: skip
        return {"!": "dict", "items": pairs}
    if isinstance(value, os.PathLike):
        return {"!": "path", "value": os.fspath(value)}
    if isinstance(value, torch.nn.Module):
        state = {k: v.detach().cpu() for k, v in value.state_dict().items()}
        return {"!": "module", "state": _encode(state, path, tensors)}
    if isinstance(value, torch.distributions.MultivariateNormal):
        inside = {"loc": value.loc, "scale_tril": value.scale_tril}
        return {"!": "MultivariateNormal", "fields": _encode(inside, path, tensors)}
    if isinstance(value, Parameters):
        return _encode_parameters(value, path, tensors)
    if type(value).__name__ in STORABLE:
        return _encode_storable(value, path, tensors)
    raise ParameterError(
        f"{path} is a {type(value).__name__}, which a model file can not hold; files hold "
        "numbers, strings, arrays, tensors, lists, dicts and arproc's own objects."
    )


def _encode_array(value: np.ndarray, path: str, tensors: dict[str, torch.Tensor]) -> Any:
    if value.dtype.kind in "US":
        return {"!": "strings", "items": value.tolist()}
    if value.dtype.kind == "O":
        raise ParameterError(f"{path} is an object array, which a model file can not hold.")
    contiguous = np.ascontiguousarray(value)
    tensors[path] = torch.from_numpy(contiguous.copy())
    return {"!": "array", "at": path}


def _encode_parameters(value: Any, path: str, tensors: dict[str, torch.Tensor]) -> Any:
    learnt = {
        name: v
        for name, v in vars(value).items()
        if name.endswith("_") and not name.startswith("_")
    }
    params = value.get_params(deep=False)
    return {
        "!": "object",
        "class": _name(type(value)),
        "own": _is_own(type(value)),
        "params": {k: _encode(v, f"{path}.{k}", tensors) for k, v in params.items()},
        "learnt": {k: _encode(v, f"{path}.{k}", tensors) for k, v in learnt.items()},
    }


def _encode_storable(value: Any, path: str, tensors: dict[str, torch.Tensor]) -> Any:
    if hasattr(value, "to_dict"):
        fields = value.to_dict()
    else:
        fields = {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
    return {
        "!": "data",
        "class": type(value).__name__,
        "fields": {k: _encode(v, f"{path}.{k}", tensors) for k, v in fields.items()},
    }


def _decode(tree: Any, tensors: dict[str, torch.Tensor]) -> Any:
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
        return np.array(tree["items"])
    if kind == "tuple":
        return tuple(_decode(item, tensors) for item in tree["items"])
    if kind == "dict":
        return {_decode(k, tensors): _decode(v, tensors) for k, v in tree["items"]}
    if kind == "path":
        return Path(tree["value"])
    if kind == "module":
        return _ModuleState(_decode(tree["state"], tensors))
    if kind == "MultivariateNormal":
        fields = _decode(tree["fields"], tensors)
        return torch.distributions.MultivariateNormal(**fields, validate_args=False)
    if kind == "object":
        return _decode_parameters(tree, tensors)
    if kind == "data":
        return _decode_storable(tree, tensors)
    raise FileFormatError(f"the file holds a {kind!r}, which this version does not know.")


class _ModuleState(dict[str, torch.Tensor]):
    """A network's tensors, waiting for the model to build the network."""


def _decode_parameters(tree: dict[str, Any], tensors: dict[str, torch.Tensor]) -> Any:
    cls = _find(tree["class"], tree["own"])
    if cls is None:
        raise FileFormatError(
            f"the file holds a {tree['class']}, which is not known here. If it is a model of your "
            "own, import its class before loading."
        )
    params = {k: _decode(v, tensors) for k, v in tree["params"].items()}
    value = cls(**params)
    for name, encoded in tree["learnt"].items():
        if not name.endswith("_") or name.startswith("_"):
            raise FileFormatError(f"{name!r} is not the name of something learnt.")
        learnt = _decode(encoded, tensors)
        if isinstance(learnt, _ModuleState):
            module = value._build_module(name)
            _fill(module, learnt, f"{tree['class']}.{name}")
            learnt = module
        setattr(value, name, learnt)
    restored = getattr(value, "_after_load", None)
    if restored is not None:
        restored()
    return value


def _fill(module: torch.nn.Module, state: dict[str, torch.Tensor], name: str) -> None:
    want = {key: tuple(v.shape) for key, v in module.state_dict().items()}
    have = {key: tuple(v.shape) for key, v in state.items()}
    if want != have:
        wrong = sorted(key for key in want.keys() | have.keys() if want.get(key) != have.get(key))
        raise FileFormatError(
            f"the tensors of {name} do not fit the model: {wrong[0]} is {have.get(wrong[0])} in "
            f"the file, {want.get(wrong[0])} in the model."
        )
    module.load_state_dict(state)
    module.eval()


def _decode_storable(tree: dict[str, Any], tensors: dict[str, torch.Tensor]) -> Any:
    import arproc.spaces
    import arproc.text

    if tree["class"] == "Training":
        import arproc.training  # noqa: F401
    cls = STORABLE.get(tree["class"])
    if cls is None:
        raise FileFormatError(f"the file holds a {tree['class']}, which is not known here.")
    fields = {k: _decode(v, tensors) for k, v in tree["fields"].items()}
    return cls.from_dict(fields) if hasattr(cls, "from_dict") else cls(**fields)


def _find(name: str, own: bool) -> type | None:
    """The class of this name among arproc's own, or among the classes a user has defined.

    Only classes that exist already, or that the package itself offers, are ever considered. A
    user's class is known by its module too; where that has changed, the only one of its name does.
    """
    import arproc
    import arproc.conditioned
    import arproc.transforms

    if own and name in arproc.__all__:
        getattr(arproc, name)
    known: list[type] = []
    todo: list[type] = [Parameters]
    while todo:
        current = todo.pop()
        todo.extend(current.__subclasses__())
        if _is_own(current) == own:
            known.append(current)
    exact = [cls for cls in known if _name(cls) == name]
    if exact or own:
        return exact[-1] if exact else None
    alike = [cls for cls in known if cls.__name__ == name.rpartition(".")[2]]
    return alike[0] if len(alike) == 1 else None


def _name(cls: type) -> str:
    return cls.__name__ if _is_own(cls) else f"{cls.__module__}.{cls.__qualname__}"


def _is_own(cls: type) -> bool:
    return cls.__module__.partition(".")[0] == "arproc"


# ---- files --------------------------------------------------------------------------------


def write_file(path: str | Path, header: dict[str, Any], tensors: dict[str, torch.Tensor]) -> None:
    """Write tensors and a JSON header to `path`, whole or not at all."""
    from safetensors.torch import save as to_bytes

    path = Path(path)
    if not path.parent.is_dir():
        raise ParameterError(f"the folder {str(path.parent)!r} does not exist; create it first.")
    if path.is_dir():
        raise ParameterError(f"{str(path)!r} is a folder; give the name of a file.")
    text = json.dumps({"format": "arproc", "version": FORMAT_VERSION, **header}, allow_nan=False)
    shared = {name: tensor.clone() for name, tensor in tensors.items()}
    payload = to_bytes(shared, metadata={"arproc": text})
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(payload)
            file.flush()
            os.fsync(file.fileno())
        umask = os.umask(0)
        os.umask(umask)
        Path(temporary).chmod(0o666 & ~umask)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def read_file(path: str | Path) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """Read a file of arproc's: its JSON header and its tensors, sizes checked first."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    path = Path(path)
    if not path.is_file():
        raise FileFormatError(f"there is no file {str(path)!r}.")
    header = _checked_header(path)
    try:
        return header, load_file(path)
    except SafetensorError as error:
        raise FileFormatError(f"{str(path)!r} is damaged: {error}.") from None


def _checked_header(path: Path) -> dict[str, Any]:
    """The JSON header, once every size it speaks of agrees with the size of the file."""
    size = path.stat().st_size
    with path.open("rb") as file:
        first = file.read(8)
        length = int.from_bytes(first, "little")
        if len(first) < 8 or length > min(size - 8, _MAX_HEADER):
            raise FileFormatError(
                f"{str(path)!r} is not a model of arproc's, or is cut short: its header would "
                f"have {length} bytes, the file has {size}."
            )
        raw = file.read(length)
    try:
        entries = json.loads(raw)
        metadata = entries.pop("__metadata__", {})
        header = json.loads(metadata.get("arproc", "null"))
    except (ValueError, AttributeError, TypeError, RecursionError):
        raise FileFormatError(f"{str(path)!r} is damaged: its header is not JSON.") from None
    if not isinstance(header, dict) or header.get("format") != "arproc":
        raise FileFormatError(f"{str(path)!r} is a safetensors file, but not of arproc's.")
    if not isinstance(header.get("version"), int) or header["version"] > FORMAT_VERSION:
        raise FileFormatError(
            f"{str(path)!r} has format version {header.get('version')}; this arproc reads up to "
            f"{FORMAT_VERSION}. Upgrade arproc."
        )
    _check_sizes(path, entries, size - 8 - length)
    return header


def _check_sizes(path: Path, entries: dict[str, Any], available: int) -> None:
    position = 0
    try:
        spans = sorted((e["data_offsets"], e["dtype"], e["shape"], k) for k, e in entries.items())
        for (begin, end), dtype, shape, name in spans:
            wanted = math.prod(int(d) for d in shape) * _BYTES[dtype]
            if begin != position or end - begin != wanted or min(shape, default=0) < 0:
                raise FileFormatError(
                    f"{str(path)!r} is damaged: tensor {name!r} of shape {shape} and type {dtype} "
                    f"needs {wanted} bytes, the header gives it {begin} to {end}."
                )
            position = end
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, FileFormatError):
            raise
        raise FileFormatError(f"{str(path)!r} is damaged: its header is not in order.") from None
    if position != available:
        raise FileFormatError(
            f"{str(path)!r} is damaged: its tensors need {position} bytes, it has {available}."
        )
