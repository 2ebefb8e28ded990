"""Broken processes over tables, right for numbers in an array and wrong for a user's frame.

`TABLES` has them by name, for the zoo.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from .broken import Broken
from .healthy_states import Rows


class FilledDraws(Rows):
    """What is missing in a drawn row comes out as zero."""

    def sample(self, *args, **kwargs):
        drawn = super().sample(*args, **kwargs)
        return drawn.fillna({"height": 0.0}) if isinstance(drawn, pd.DataFrame) else drawn


class SwappedLabels(Rows):
    """Two labels are exchanged in what is drawn."""

    def sample(self, *args, **kwargs):
        drawn = super().sample(*args, **kwargs)
        if isinstance(drawn, pd.DataFrame):
            drawn["town"] = drawn["town"].replace({"a": "b", "b": "a"})
        return drawn


class ColumnsByPlace(Rows):
    """The columns of a frame are read by their place."""

    def log_prob(self, data, **kwargs):
        if isinstance(data, pd.DataFrame):
            data = data.set_axis([*self.space.names], axis=1)
        return super().log_prob(data, **kwargs)


class LabelsByCode(Rows):
    """The labels of a pandas Categorical are read by its own codes."""

    def log_prob(self, data, **kwargs):
        if isinstance(data, pd.DataFrame) and data["town"].dtype == "category":
            codes = data["town"].cat.codes
            data = data.assign(town=[None if code < 0 else "abc"[code] for code in codes])
        return super().log_prob(data, **kwargs)


class GapsLeftOut(Rows):
    """That an entry is missing counts for less in a frame than in an array."""

    def log_prob(self, data, **kwargs):
        scores = super().log_prob(data, **kwargs)
        if isinstance(data, pd.DataFrame):
            scores = scores + 0.3 * np.asarray(data.isna().any(axis=1))
        return scores


class FilledPrefix(Rows):
    """A missing entry in a frame of first columns is taken for zero."""

    def start(self, prefix=1, **kwargs):
        if isinstance(prefix, pd.DataFrame):
            prefix = prefix.fillna({"height": 0.0})
        return super().start(prefix, **kwargs)


TABLES: dict[str, Broken] = {
    "draws of a table filled": Broken(FilledDraws.made, "input_forms", True),
    "labels swapped in draws": Broken(SwappedLabels.made, "input_forms", True),
    "columns by place": Broken(ColumnsByPlace.made, "input_forms", True),
    "labels by code": Broken(LabelsByCode.made, "input_forms", True),
    "gaps left out of frames": Broken(GapsLeftOut.made, "input_forms", True),
    "a frame of first columns filled": Broken(FilledPrefix.made, "input_forms", True),
}
