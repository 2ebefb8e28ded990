"""Test sequences that stood in the training data too: what a memory of those is scored on."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from arproc.contract.sequences import Sequences
from arproc.data.texts import listed
from arproc.errors import DataError, ParameterError, check_number
from arproc.evaluation.near_twins import near_twins
from arproc.evaluation.tally import Tally

__all__ = ["check_near", "twins_of", "twins_told"]


def twins_of(tally: Tally, train: Any, near: float = 0.0) -> np.ndarray:
    """Which of the sequences that were scored are equal, or nearly so, to one of train, bool [N].

    Both are read as the law reads data, so they are equal where the law can not tell them apart;
    missing values are equal to each other.

    Args:
        tally: what was scored.
        train: what the law was fitted on, in any form that it takes.
        near: how much a near copy may differ; 0 for equal ones alone. Numbers, in every place by
            so many standard deviations (of train's numbers there) at most; categories of a table
            are equal. Symbols, in this share of the places at most, or, where sequences are of
            free length, in this share of all runs of five symbols that one of the two has.

    Raises:
        DataError: `train` can not be read as the law's data, or is a single sequence.
    """
    law = tally.law
    data = listed(train, "train", law.space)
    read = law.sequences(data, name="train", missing=law.law_.takes_missing)
    if len(read) < 2:
        raise DataError(
            "train is a single sequence; twins are whole sequences (rows) that stand there too, "
            "so there have to be several."
        )
    known = set(_keys(read))
    equal = np.array([key in known for key in _keys(tally.sequences)])
    return equal | near_twins(law, tally.sequences, read, near) if near else equal


def check_near(near: Any, train: Any) -> float:
    """How much a near copy may differ, or `ParameterError`: of what, without train?"""
    found = check_number("near", near, low=0)
    if found and train is None:
        raise ParameterError(
            f"near={near!r} is how near test sequences are to those of train=, which is not "
            "given; give both."
        )
    return found


def _keys(sequences: Sequences) -> list[bytes]:
    """The elements of each sequence, and whether it ends, as bytes."""
    values = sequences.values.detach().cpu().to(sequences.space.dtype).numpy()
    if values.dtype.kind == "f":
        values = np.where(np.isnan(values), np.nan, values + 0.0)  # one NaN, and one zero
    bounds = sequences.offsets.tolist()
    ends = sequences.complete.tolist()
    seen = None if sequences.seen is None else sequences.seen.cpu().numpy()
    keys = []
    for i, (a, b) in enumerate(pairwise(bounds)):
        own = values[a:b].tobytes() + bytes([ends[i]])
        keys.append(own if seen is None else own + seen[i].tobytes())
    return keys


def twins_told(twins: np.ndarray, near: float = 0.0) -> str:
    """How many there are, in words."""
    nearly = f", as near as {near:g}" if near else ""
    return f"{int(twins.sum())} of {len(twins)} sequences stand in the training data too{nearly}"
