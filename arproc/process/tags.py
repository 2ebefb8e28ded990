"""What the parts of a model's description look like: their tags, and what stands beside each."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from arproc.contract.checked import normal_problems
from arproc.errors import FileFormatError

__all__ = ["MAX_DEPTH", "MAX_STRINGS", "kind_of", "multivariate_normal", "strings_of"]

#: How deep a description may be: far less than Python's own limit, far more than models need.
MAX_DEPTH = 120
#: Bytes of an array of strings, which all take as much room as the longest.
MAX_STRINGS = 1 << 28

_TAGS: dict[str, tuple[dict[str, type], ...]] = {
    "float": ({"value": str},),
    "tensor": ({"at": str},),
    "array": ({"at": str},),
    "strings": ({"items": list, "shape": list},),
    "tuple": ({"items": list},),
    "dict": ({"items": list},),
    "path": ({"value": str},),
    "MultivariateNormal": ({"fields": dict},),
    "module": (
        {"class": str, "arguments": dict, "state": dict},
        {"class": str, "arguments": dict},  # an argument of another, whose state it is part of
    ),
    "object": (
        {"class": str, "params": dict, "law": dict, "fit": dict},
        {"class": str, "params": dict, "learnt": dict},
    ),
    "law": ({"number": int},),
    "data": ({"class": str, "fields": dict}, {"class": str, "fields": dict, "number": int}),
}


def kind_of(tree: dict[str, Any]) -> str:
    """The tag of a part, once what stands beside it is what belongs there."""
    kind = tree.get("!")
    forms = _TAGS.get(kind) if isinstance(kind, str) else None
    if forms is None:
        raise FileFormatError(f"the file holds a {kind!r}, which this version does not know.")
    have = {name: type(value) for name, value in tree.items() if name != "!"}
    if have not in forms:
        listed = ", ".join(f"{name}: {got.__name__}" for name, got in have.items())
        raise FileFormatError(f"the file holds a {kind!r} of {listed or 'nothing'}.")
    return str(kind)


def strings_of(items: list[Any], shape: list[Any]) -> np.ndarray:
    """An array of strings.

    Raises:
        FileFormatError: what the file holds are no strings, or need absurd room.
    """
    if not all(isinstance(item, str) for item in items):
        raise FileFormatError("the file holds an array of strings with what is no string in it.")
    if 4 * len(items) * max(map(len, items), default=0) > MAX_STRINGS:
        raise FileFormatError(f"the file holds {len(items)} strings, some of absurd length.")
    if not all(type(size) is int and size >= 0 for size in shape):
        raise FileFormatError(f"the file holds an array of strings of shape {shape}.")
    return np.array(items, dtype=np.str_).reshape(shape)


def multivariate_normal(fields: dict[Any, Any]) -> torch.distributions.MultivariateNormal:
    """The law of first values that a user gave, its arrays looked at.

    Raises:
        FileFormatError: they are not a mean [p] and the Cholesky factor [p, p] of a covariance.
    """
    try:
        law = torch.distributions.MultivariateNormal(
            fields["loc"], scale_tril=fields["scale_tril"], validate_args=True
        )
        wrong = next(normal_problems(law), None)
    except (LookupError, TypeError, ValueError, RuntimeError, AttributeError):
        wrong = "is not in order"
    if wrong is not None:
        raise FileFormatError(f"the file's law of the first values {wrong}.")
    return law
