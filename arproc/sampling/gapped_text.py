"""Texts of which some symbols are not known, and completed ones as text again."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from arproc.contract.law import ChainLaw
from arproc.contract.sequences import Sequences
from arproc.data.form import Form, Layout, restore
from arproc.data.intake import is_text
from arproc.data.texts import is_file, listed
from arproc.errors import DataError
from arproc.spaces import Categorical

__all__ = ["gapped_text", "vocabulary_of", "written"]


def vocabulary_of(law: ChainLaw) -> Any:
    """What a law's symbols are called, or None."""
    return law.space.vocabulary if isinstance(law.space, Categorical) else None


def gapped_text(
    data: Any, law: ChainLaw, layout: Layout, name: str
) -> tuple[np.ndarray, bool] | None:
    """Texts as the numbers of their symbols, NaN where nothing is known; None for other data.

    Args:
        data: strings; or lists of symbols, None where one is not known, `["a", None, "c"]`.
        law: whose vocabulary has the symbols.
        layout: of the law.
        name: what error messages call the data.

    Returns:
        float64 [N, length] as they are read, and whether one text alone was given.
    """
    data = listed(data)
    if vocabulary_of(law) is None or is_file(data):
        return None
    if isinstance(data, (list, tuple)) and data:
        single = _is_gapped(data)
        rows = [data] if single and any(item is None for item in data) else data
        if all(isinstance(row, (list, tuple)) and _is_gapped(row) for row in rows):
            numbers = [_numbers(row, law, layout, name) for row in rows]
            return np.stack(numbers), single
    if not is_text(data):
        return None
    sequences = Sequences.of(data, law.space, layout=layout, name=name)
    return layout.from_sites(sequences.padded()[0]).double().numpy(), sequences.form.single


def _is_gapped(row: Any) -> bool:
    return all(symbol is None or isinstance(symbol, (str, bytes)) for symbol in row)


def _numbers(row: Any, law: ChainLaw, layout: Layout, name: str) -> np.ndarray:
    numbers = np.full(len(row), np.nan)
    for place, symbol in enumerate(row):
        if symbol is not None:
            numbers[place] = _number(symbol, vocabulary_of(law), f"{name}, item {place}")
    if len(row) != layout.length:
        raise DataError(
            f"{name} has a text of {len(row)} symbols; the model's examples have {layout.length}."
        )
    return numbers


def _number(symbol: str | bytes, vocabulary: Any, name: str) -> int:
    try:
        found = vocabulary.encode([symbol] if vocabulary.kind == "symbols" else symbol)
    except DataError as error:
        raise DataError(f"{name}: {error}") from None
    if len(found) != 1:
        raise DataError(
            f"{name} is {symbol!r}, which is {len(found)} symbols of the vocabulary; expected "
            "one, or None where it is not known."
        )
    return int(found[0])


def written(sites: torch.Tensor, law: ChainLaw, layout: Layout) -> list[Any]:
    """Whole examples [n, sites] in the order of generation as texts."""
    lengths = torch.full((len(sites),), layout.length)
    found: list[Any] = restore(sites.long(), lengths, law.space, Form("text"), layout)
    return found
