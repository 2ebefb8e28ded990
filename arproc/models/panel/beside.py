"""The automatic recipe as one of the candidates that a user names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from arproc.contract.storable import storable
from arproc.models.panel.automatic.learnt import Automatic
from arproc.models.panel.coming import Known
from arproc.models.panel.data import PanelData
from arproc.models.panel.labels import restore_end
from arproc.models.panel.tables import forecast_table
from arproc.models.panel.updating import Series, continued

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["AUTO", "Recipe", "with_later"]

#: What the automatic recipe is called among candidates.
AUTO = "auto"


@storable
@dataclass(frozen=True, eq=False)
class Recipe:
    """What the automatic recipe learnt, asked as a candidate is.

    Attributes:
        inner: what it learnt.
    """

    inner: Automatic

    @property
    def names(self) -> Sequence[Any]:
        """What the series are called, [N]."""
        return self.inner.names

    @property
    def status(self) -> list[str]:
        """Why there is no fit, or "ok" where there is one, [N]."""
        return list(self.inner.status)

    def forecast(
        self, history: PanelData | None, horizon: int, levels: Sequence[float], seed: Any,
        future: Known | None = None,
    ) -> pd.DataFrame:  # fmt: skip
        """A table of what follows."""
        values = self.inner.ahead(history, horizon, levels, seed, future)
        labels = self.inner.labels(history, horizon)
        return forecast_table(list(self.names), labels, values, ["mean", *levels])

    def labels(self, history: PanelData | None, rows: np.ndarray, horizon: int) -> list[Any]:
        """The labels of the future steps of all series."""
        return self.inner.labels(history, horizon)

    @property
    def takes_covariates(self) -> bool:
        """Whether it needs those of the steps to come."""
        return self.inner.covariates is not None

    @property
    def series(self) -> Series:
        """What the series are called, how long they are, how their labels end."""
        return self.inner.series

    def updated(self, later: PanelData) -> Recipe:
        """The same with what came later."""
        return replace(self, inner=with_later(self.inner, later))

    def without_covariances(self) -> Recipe:
        """The same; it has none."""
        return self


def with_later(learnt: Automatic, later: PanelData) -> Automatic:
    """What was learnt, of series with what came later of some of them."""
    series = learnt.series
    table = continued(learnt.own_data, series, later)
    ends = tuple(restore_end(end) for end in series.ends_after(table.lengths))
    return learnt.of_data(replace(table, indexes=ends))
