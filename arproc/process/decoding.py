"""What a model's description in a file says, made again; anything else in its place is refused."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch

from arproc.contract.checked import annotation_of, check_fields, is_own
from arproc.contract.law import Law
from arproc.contract.parameters import Parameters, is_learnt
from arproc.contract.storable import find
from arproc.errors import FileFormatError
from arproc.process.fit import Fit
from arproc.process.networks import built
from arproc.process.tags import MAX_DEPTH, kind_of, multivariate_normal, strings_of
from arproc.process.views import check_learnt

__all__ = ["Tensors", "decode"]


class Tensors(dict[str, Any]):
    """A file's tensors by name, and its laws by number: one that many hold is stored once.

    Attributes:
        trust: whether large tables are taken as they are.
    """

    def __init__(self, tensors: Mapping[str, Any] | None = None, trust: bool = False) -> None:
        super().__init__(tensors or {})
        self.laws: dict[int, Law] = {}
        self.trust = trust
        self._taken: set[str] = set()

    def take(self, name: str) -> torch.Tensor:
        """The tensor of this name, as the description asks for it."""
        tensor: torch.Tensor | None = self.get(name)
        if tensor is None:
            raise FileFormatError(f"the file has no tensor {name!r}.")
        if tensor.dtype == torch.bool and bool((tensor.view(torch.uint8) > 1).any()):
            raise FileFormatError(f"tensor {name!r} has what is neither true nor false.")
        self._taken.add(name)
        return tensor

    def require_all_taken(self) -> None:
        """Refuse a file with tensors that nothing asked for."""
        rest = sorted(self.keys() - self._taken)
        if rest:
            raise FileFormatError(f"the file has a tensor that belongs to nothing: {rest[0]!r}.")


def decode(tree: Any, tensors: Tensors, depth: int = 0) -> Any:
    """The value that `_encode` wrote; anything else in its place is refused."""
    if depth > MAX_DEPTH:
        raise FileFormatError(f"the file's description is more than {MAX_DEPTH} deep.")
    depth += 1
    if isinstance(tree, list):
        return [decode(item, tensors, depth) for item in tree]
    if not isinstance(tree, dict):
        return tree
    kind = kind_of(tree)
    if kind == "float":
        return _special(tree["value"])
    if kind == "tensor":
        return tensors.take(tree["at"])
    if kind == "array":
        return tensors.take(tree["at"]).numpy()
    if kind == "strings":
        return strings_of(tree["items"], tree["shape"])
    if kind == "tuple":
        return tuple(decode(item, tensors, depth) for item in tree["items"])
    if kind == "dict":
        return _decode_dict(tree["items"], tensors, depth)
    if kind == "path":
        return Path(tree["value"])
    if kind == "module":
        return built(tree, lambda part: decode(part, tensors, depth), _class_of)
    if kind == "MultivariateNormal":
        return multivariate_normal(decode(tree["fields"], tensors, depth))
    if kind == "object":
        return _decode_parameters(tree, tensors, depth)
    if kind == "law":
        return tensors.laws[tree["number"]]
    return _decode_storable(tree, tensors, depth)


def _special(name: str) -> float:
    """A number that JSON has no word for."""
    if name not in ("nan", "inf", "-inf"):
        raise FileFormatError(f"the file holds a number {name!r}.")
    return float(name)


def _decode_dict(items: list[Any], tensors: Tensors, depth: int) -> dict[Any, Any]:
    pairs = [(decode(k, tensors, depth), decode(v, tensors, depth)) for k, v in items]
    found = dict(pairs)
    if len(found) < len(pairs):
        raise FileFormatError("a key of the file's is there twice.")
    return found


def _decode_parameters(tree: dict[str, Any], tensors: Tensors, depth: int) -> Any:
    cls = _class_of(tree)
    if not issubclass(cls, Parameters):
        raise FileFormatError(f"{tree['class']} is not a class with parameters.")
    params = {k: v for k, v in tree["params"].items() if k not in cls.local}
    _require_names(tree["class"], params, set(cls._parameter_names()) - set(cls.local))
    value = cls(**{k: decode(v, tensors, depth) for k, v in params.items()})
    for name, encoded in tree.get("learnt", {}).items():
        known = annotation_of(cls, name) is not None or not is_own(cls)
        if not is_learnt(name) or not known or (is_own(cls) and hasattr(cls, "law_")):
            raise FileFormatError(
                f"{name!r} is not the name of something a {cls.__name__} learns."
            )
        setattr(value, name, decode(encoded, tensors, depth))
    check_fields(value)
    if "law" in tree:
        law, fit = decode(tree["law"], tensors, depth), decode(tree["fit"], tensors, depth)
        if not isinstance(law, Law) or not isinstance(fit, Fit):
            raise FileFormatError(f"the {tree['class']} of the file holds no law.")
        vars(value)["_held"] = check_learnt(cls, law, fit)
    return value


def _require_names(owner: str, have: Iterable[str], want: Iterable[str]) -> None:
    """Refuse what has other names than its class: a default would stand in without a word."""
    wrong = sorted(set(have) ^ set(want))
    if wrong:
        raise FileFormatError(
            f"the {owner} of the file has other names than {owner}: {', '.join(wrong)}."
        )


def _class_of(tree: dict[str, Any]) -> type:
    """The class that part of a file names."""
    cls = find(tree["class"])
    if cls is None:
        raise FileFormatError(
            f"the file holds a {tree['class']}, which is not known here. If it is a class of your "
            "own, import its class before loading."
        )
    return cls


def _decode_storable(tree: dict[str, Any], tensors: Tensors, depth: int) -> Any:
    cls = _class_of(tree)
    made: Any = cls
    local = getattr(cls, "local", ())
    fields = {k: decode(v, tensors, depth) for k, v in tree["fields"].items() if k not in local}
    if hasattr(cls, "from_dict"):
        value = made.from_dict(fields)
    elif dataclasses.is_dataclass(cls):
        _require_names(tree["class"], fields, [f.name for f in dataclasses.fields(cls)])
        value = made(**fields)
    else:
        raise FileFormatError(f"{tree['class']} is not a class of data.")
    if not isinstance(value, Fit):  # which looked at itself just now
        check_fields(value, deep=not tensors.trust)
    if isinstance(value, Law) != ("number" in tree) or tree.get("number") in tensors.laws:
        raise FileFormatError(f"the laws of the file are not numbered: {tree.get('number')!r}.")
    if "number" in tree:
        tensors.laws[tree["number"]] = value
    return value
