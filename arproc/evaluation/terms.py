"""Terms of the chain rule as rows of a table: of which series and step, and when."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from arproc.contract.sequences import Sequences
from arproc.forecasting.tables import series_names
from arproc.process.process import Process, require_process

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Reading", "read_terms"]


class Reading(NamedTuple):
    """A process, and data as it reads them.

    Attributes:
        process: a fitted process.
        sequences: the data.
        context: as the law takes it.
    """

    process: Process
    sequences: Sequences
    context: torch.Tensor | None

    @property
    def counts(self) -> np.ndarray:
        """How many terms each sequence has, int64 [N]."""
        return (self.sequences.n_terms - self.process.n_given).numpy()

    @property
    def bounds(self) -> np.ndarray:
        """Where each sequence's terms begin and end among all, int64 [N + 1]."""
        return np.append(0, self.counts.cumsum())

    @property
    def rows(self) -> np.ndarray:
        """The sequence that each term is of, int64 [terms]."""
        return np.repeat(np.arange(len(self.counts)), self.counts)

    @property
    def steps(self) -> np.ndarray:
        """The place of each term in its sequence, from 0, int64 [terms]."""
        first = np.repeat(self.bounds[:-1], self.counts)
        return np.arange(int(self.counts.sum())) - first + self.process.n_given

    def frame(self, columns: dict[str, np.ndarray]) -> pd.DataFrame:
        """Columns [terms] after those that say which term a row is: `series`, `step`, `time`.

        `time` is the label of the user's index, where the data have one.
        """
        import pandas as pd

        names = pd.Series(series_names(self.sequences), dtype=object)
        where = {"series": names.iloc[self.rows].reset_index(drop=True), "step": self.steps}
        times = self._times()
        return pd.DataFrame(where | ({} if times is None else {"time": times}) | columns)

    def _times(self) -> Any:
        """The labels of all terms; None where the data have none."""
        import pandas as pd

        form = self.sequences.form
        if form.kind not in ("series", "frame") or not form.indexes:
            return None
        each = [form.indexes[0 if len(form.indexes) == 1 else i] for i in range(len(self.counts))]
        ends = self.counts + self.process.n_given
        if any(len(own) != end for own, end in zip(each, ends, strict=True)):
            return None  # an end has no label
        parts = [own[self.process.n_given :] for own in each]
        return parts[0] if len(parts) == 1 else pd.Series(list(chain.from_iterable(parts)))


def read_terms(model: Any, data: Any, context: Any, offset: Any, call: str) -> Reading:
    """The data as `call` reads them for a fitted process."""
    process = require_process(model, call)
    sequences = process.sequences(data, missing=process.law_.takes_missing)
    steps = int(sequences.n_terms.max())
    return Reading(process, sequences, process.read_context(context, sequences, steps, offset))
