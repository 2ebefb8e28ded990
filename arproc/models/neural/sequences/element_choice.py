"""Which elements data have, and which head describes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from arproc.contract.sequences import Sequences
from arproc.data.texts import is_file, listed
from arproc.data.tokenizers import categorical_space
from arproc.errors import DataError, ParameterError
from arproc.models.neural.sequences.elements import (
    BitsElement,
    CountElement,
    Element,
    FrameElement,
    RealElement,
    SymbolElement,
)
from arproc.models.neural.vectors.heads import BernoulliHead, MixtureHead
from arproc.models.neural.vectors.masks import MaskedNetwork
from arproc.models.neural.vectors.nade_network import NADENetwork
from arproc.models.neural.vectors.vectors import hidden_sizes
from arproc.spaces import BinaryVector, Categorical, Count, Real, Space

__all__ = ["HEADS", "check_frame_sizes", "element_of", "space_of"]

_COUNTS = ("poisson", "negative_binomial")
_REALS = ("normal", "student_t", "normal_mixture", "logistic_mixture")
_FRAMES = ("bernoulli", "nade", "made")
HEADS = ("auto", "categorical", *_COUNTS, *_REALS, *_FRAMES)

_UNITS = 128  # of a frame's hidden layer


def space_of(data: Any, head: str, tokens: Any, end: bool | None) -> Space:
    """The space of the data that `fit` got, under a head.

    Raises:
        DataError: they are none that the head describes.
        ParameterError: tokens or end are given for elements that are no symbols.
    """
    data = listed(data)
    chosen = _auto(data, tokens) if head == "auto" else head
    if chosen == "categorical":
        return categorical_space(data, tokens, end=end)
    for name, value in (("tokens", tokens), ("end", end)):
        if value is not None:
            raise ParameterError(
                f"{name} is for symbols, and head is {head!r}"
                + (f" (the data are for {chosen!r})" if head == "auto" else "")
                + "; leave it out."
            )
    if isinstance(data, Sequences):
        return data.space
    if chosen in _FRAMES:
        return BinaryVector(dimension=_frame_size(data))
    return Count() if chosen in _COUNTS else Real()


def element_of(
    space: Space,
    head: str,
    width: int,
    *,
    components: int,
    hidden: int | Sequence[int] | None,
    min_scale: float,
) -> Element:
    """A new element of a space, by a head; see `RNN`."""
    if isinstance(space, Categorical):
        return SymbolElement(space.symbols, width)
    if isinstance(space, BinaryVector):
        return _frame(space.dimension, "nade" if head == "auto" else head, width, hidden)
    if isinstance(space, Count):
        return CountElement("poisson" if head == "poisson" else "negative_binomial", width)
    kind: Any = "student_t" if head == "auto" else head.removesuffix("_mixture")
    parts = components if head.endswith("_mixture") else 1
    return RealElement(MixtureHead(1, kind, parts), width, min_scale)


def check_frame_sizes(hidden: Any) -> tuple[int, ...]:
    """The sizes of a frame's hidden layers, checked."""
    if hidden is None:
        return (_UNITS,)
    sizes = hidden_sizes(hidden)
    if not sizes:
        raise ParameterError(f"hidden must have at least one size; got {hidden!r}.")
    return sizes


def _frame(sites: int, head: str, width: int, hidden: int | Sequence[int] | None) -> Element:
    if head == "bernoulli":
        return BitsElement(sites, width)
    kind = NADENetwork if head == "nade" else MaskedNetwork
    sizes = check_frame_sizes(hidden)
    network = kind(sites, BernoulliHead(), sizes, context=width, driven=True)
    return FrameElement(network, width)


def _auto(data: Any, tokens: Any) -> str:
    """The head of data that say themselves what they are."""
    if isinstance(data, Sequences):
        kinds = {"categorical": "categorical", "count": "negative_binomial",
                 "binary vector": "nade", "real": "student_t"}  # fmt: skip
        if data.space.kind not in kinds:
            raise DataError(
                f"data are {data.space.describe()} elements, for which RNN has no head."
            )
        return kinds[data.space.kind]
    if tokens is not None or isinstance(data, str) or is_file(data):
        return "categorical"
    numbers = _sample(data)
    if numbers is None:
        return "categorical"
    if numbers.ndim == 3 or (isinstance(data, (list, tuple)) and numbers.ndim == 2):
        return "nade"
    fractions = numbers.dtype.kind == "f" and bool((numbers != np.floor(numbers)).any())
    return "student_t" if fractions or bool((numbers < 0).any()) else "categorical"


def _sample(data: Any) -> np.ndarray | None:
    """The numbers of data, or those of its first sequence with some; None where they are none."""
    if isinstance(data, (list, tuple)) and len(data) and hasattr(data[0], "__len__"):
        parts = [_sample(part) for part in data if hasattr(part, "__len__") and len(part)]
        if not parts or any(part is None for part in parts):
            return None
        found = [part for part in parts if part is not None]
        if any(part.ndim > 1 for part in found):
            return found[0]
        return np.concatenate([part.reshape(-1) for part in found])
    if isinstance(data, torch.Tensor):
        data = data.detach().cpu().numpy()
    try:
        found_numbers = np.asarray(data, dtype=np.float64)
    except (TypeError, ValueError):
        return None
    return found_numbers


def _frame_size(data: Any) -> int:
    """How many sites the frames of the data have."""
    if isinstance(data, (list, tuple)) and len(data) and np.ndim(data[0]) == 2:
        data = data[0]
    shape = tuple(data.shape) if hasattr(data, "shape") else np.shape(data)
    if len(shape) not in (2, 3) or not shape[-1]:
        raise DataError(
            f"data have the shape {shape}; expected frames over time: an array [T, d] of zeros "
            "and ones, [N, T, d], or a list of such arrays."
        )
    return int(shape[-1])
