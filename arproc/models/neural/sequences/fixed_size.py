"""Examples of one size for networks of every order: what data they are, and what goes with them.

Text has a fixed size where each text is cut into equally many tokens: characters, bytes, words or
a tokenizer's pieces. A long text is cut into such pieces by whoever has it: a law of pieces is no
law of the text.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch

from arproc.contract.sequences import Sequences
from arproc.data.tokenizers import categorical_space
from arproc.errors import DataError, ParameterError
from arproc.spaces import Space

__all__ = ["check_fixed_size", "fixed_size_space"]


def check_fixed_size(model: Any, by_elements: bool) -> None:
    """Raise `ParameterError` where a parameter does not go with `order_agnostic=True`.

    Args:
        model: whose parameters they are.
        by_elements: whether its elements are others than plain symbols.
    """
    if by_elements:
        raise ParameterError(
            "order_agnostic=True is for symbols; leave it out where head is not 'categorical', or "
            "with covariates (NADE(order_agnostic=True) is for vectors of real numbers)."
        )
    if model.end:
        raise ParameterError(
            "order_agnostic=True is for examples of one size, which have no end; leave end=True "
            "out."
        )
    for name, none in (("block", None), ("ahead", 0), ("ngrams", 1)):
        if getattr(model, name) != none:
            raise ParameterError(
                f"order_agnostic=True is trained on whole examples, whose elements come in any "
                f"order; leave {name}={getattr(model, name)!r} out."
            )


def fixed_size_space(data: Any, tokens: Any) -> Space:
    """The space of several sequences of equally many symbols.

    Raises:
        DataError: it is a single sequence, or their lengths differ.
    """
    space = categorical_space(data, tokens, end=False)
    lengths = _lengths(data, space)
    if len(lengths) < 2:
        raise DataError(
            "data is one sequence, and order_agnostic=True learns from several of one length. Cut "
            "it into pieces, [text[i : i + 64] for i in range(0, len(text) - 63, 64)] for "
            "example; numbers are an array [N, T]."
        )
    longest = int(lengths.max())
    if bool((lengths != longest).any()):
        row = int((lengths != longest).nonzero()[0])
        raise DataError(
            f"data has sequences of unequal lengths: sequence {row} has {int(lengths[row])} "
            f"symbols and another {longest}. order_agnostic=True is for examples of one size: cut "
            "them to equal lengths, or leave it out."
        )
    if not longest:
        raise DataError("data is empty: none of its sequences has an element.")
    return replace(space, length=longest)


def _lengths(data: Any, space: Space) -> torch.Tensor:
    """How many symbols each sequence has, int64 [N]; rows of a DataFrame are sequences."""
    if getattr(data, "ndim", 0) == 2:
        return torch.full((data.shape[0],), data.shape[1])
    return Sequences.of(data, space).lengths
