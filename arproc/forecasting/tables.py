"""Tables of forecasts and of sample paths: the dates carried on, series and components named."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from arproc.contract.sequences import Sequences
from arproc.data.future import future_index

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["component_names", "future_indexes", "of_elements", "of_marginals", "of_paths"]


def of_marginals(
    history: Sequences, mean: torch.Tensor, values: torch.Tensor, levels: list[float]
) -> pd.DataFrame:
    """The means and quantiles as a table.

    Args:
        history: what came before.
        mean: [N, horizon] or [N, horizon, d].
        values: the quantiles, [levels, N, horizon] or [levels, N, horizon, d].
        levels: which quantiles these are.
    """
    together = torch.cat([mean[None], values]).movedim(0, -1)
    return _table(history, together, ["mean", *levels], "statistic")


def of_paths(history: Sequences, paths: torch.Tensor) -> pd.DataFrame:
    """Sample paths [N, n_paths, horizon] or [N, n_paths, horizon, d] as a table."""
    return _table(history, paths.movedim(1, -1), range(paths.shape[1]), "path")


def of_elements(sequences: Sequences, values: list[np.ndarray], draws: int = 0) -> pd.DataFrame:
    """What is known of every element: a row for each, under its series for several.

    Args:
        sequences: whose elements.
        values: of each sequence, its means and standard deviations [T, 2], or draws [T, draws].
        draws: how many draws there are, 0 for means and standard deviations.
    """
    import pandas as pd

    form = sequences.form
    columns = pd.RangeIndex(draws, name="draw") if draws else pd.Index(["mean", "std"])
    tables = []
    for i, table in enumerate(values):
        shared = form.indexes[0 if len(form.indexes) == 1 else i] if form.indexes else None
        index = pd.RangeIndex(len(table), name="step") if shared is None else shared
        tables.append(pd.DataFrame(table, index=index, columns=columns))
    if form.single:
        return tables[0]
    return pd.concat(tables, keys=series_names(sequences), names=["series", tables[0].index.name])


def _table(
    history: Sequences, values: torch.Tensor, columns: Sequence[Any], name: str
) -> pd.DataFrame:
    """Numbers [N, horizon, columns] or [N, horizon, d, columns] as one table."""
    import pandas as pd

    vectors = values.ndim == 4
    array = values.cpu().numpy().reshape(*values.shape[:2], -1)
    labels: Any = pd.Index(columns, name=name if name == "path" else None)
    if vectors:
        names = component_names(history, values.shape[2])
        labels = pd.MultiIndex.from_product([names, columns], names=["component", name])
    tables: list[Any] = [
        pd.DataFrame(array[i], index=index, columns=labels)
        for i, index in enumerate(future_indexes(history, values.shape[1]))
    ]
    if history.form.single:
        return tables[0]
    keys = series_names(history)
    levels_of_names = len(keys[0]) if isinstance(keys[0], tuple) else 1
    names_ = ["series"] if levels_of_names == 1 else [None] * levels_of_names
    return pd.concat(tables, keys=keys, names=[*names_, tables[0].index.name or "step"])


def future_indexes(history: Sequences, horizon: int) -> list[Any]:
    """The labels of each series' future steps."""
    import pandas as pd

    form, shared = history.form, len(history.form.indexes) == 1
    indexes: list[Any] = []
    for i, length in enumerate(history.lengths.tolist()):
        if not form.indexes:
            index: Any = pd.RangeIndex(length)
        elif shared and indexes:
            indexes.append(indexes[0])  # one index for all columns of a DataFrame
            continue
        else:
            index = form.indexes[0 if shared else i]
        indexes.append(future_index(index, horizon))
    return indexes


def series_names(history: Sequences) -> list[Any]:
    """What the series are called: by their names if these are as many and distinct."""
    names = list(history.form.names)
    return names if len(set(names)) == len(names) == len(history) else list(range(len(history)))


def component_names(history: Sequences, d: int) -> list[Any]:
    """What the components of vectors are called."""
    names = list(history.form.components)
    return names if len(set(names)) == len(names) == d else list(range(d))
