"""Series that are kept, and those that were fitted one after the other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, Self

import numpy as np

from arproc.contract.checked import Array, sentences
from arproc.contract.randomness import derived_seed, resolve_seed
from arproc.contract.storable import storable
from arproc.errors import (
    ArprocError,
)
from arproc.models.panel.coming import (
    Known,
    about_constants,
)
from arproc.models.panel.data import PanelData
from arproc.models.panel.labels import end_of
from arproc.models.panel.tables import forecast_table
from arproc.models.panel.updating import continued
from arproc.process import Process

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["FittedEach", "Kept"]


from arproc.models.panel.fitted import FittedSeries


class Kept(FittedSeries):
    """Series that are kept, from which forecasts go on.

    Attributes:
        values: one after the other, nan where one is missing, [total].
        covariates: what is known beside them, [total, c]; None where there is nothing.
        covariate_names: what they are called, [c].
    """

    values: np.ndarray
    covariates: np.ndarray | None
    covariate_names: tuple[str, ...]

    def problems(self) -> Iterator[str]:
        yield from super().problems()
        total = sum(self.lengths.tolist())  # of Python, which does not overflow
        width = 0 if self.covariates is None else self.covariates.shape[1]
        yield from sentences(
            (total != len(self.values), f"the series are of {total} values by their lengths; "
             f"there are {len(self.values)}"),
            (width != len(self.covariate_names), f"there are {width} columns of covariates for "
             f"{len(self.covariate_names)} names"),
        )  # fmt: skip

    @property
    def own(self) -> PanelData:
        """The series that were fitted; they begin where their processes' data did."""
        return PanelData.kept(
            self.values, self.lengths, self.names, self.covariates, self.covariate_names
        )

    def known(self, history: Any, horizon: int) -> tuple[PanelData, np.ndarray, list[Any]]:
        """The series that a forecast continues, which of those of `fit` they are, and labels."""
        if history is None:
            rows = self.fitted_rows()
            return self.own.select(rows), rows, self.labels(None, rows, horizon)
        data, rows = self.matched(history)
        return data, rows, self.labels(data, rows, horizon)

    def updated(self, later: PanelData) -> Self:
        table = continued(self.own, self.series, later)
        ends = self.series.ends_after(table.lengths)
        same: Any = self  # of a dataclass that has the values
        return replace(
            same, values=table.values, lengths=table.lengths, ends=ends,
            covariates=table.covariates,
        )  # fmt: skip


@storable
@dataclass(frozen=True, eq=False)
class FittedEach(Kept):
    """Series with a process each, that were fitted one after the other or together.

    Attributes:
        processes: of the series, [N]; where there is no fit, one that is not fitted.
        values: the series one after the other, from which forecasts go on, [total].
        covariates: what is known beside them, [total, c]; None where there is nothing.
        covariate_names: what they are called, [c].
    """

    processes: Sequence[Process]
    values: Annotated[np.ndarray, Array("v", nan=True)]
    covariates: Annotated[np.ndarray | None, Array("v", "c")] = None
    covariate_names: tuple[str, ...] = ()

    def problems(self) -> Iterator[str]:
        yield from super().problems()
        pairs = zip(self.processes, self.status, strict=False)
        bare = any(s == "ok" and not p.__sklearn_is_fitted__() for p, s in pairs)
        yield from sentences(
            (len(self.processes) != len(self.names), f"there are {len(self.processes)} processes"),
            (bare, "the process of a series that has a fit has none"),
        )  # fmt: skip

    @classmethod
    def fit(
        cls, process: Process, data: PanelData, ready: Mapping[int, Process] | None = None
    ) -> FittedEach:
        """Fit a process to each series.

        Args:
            process: the process.
            data: the series.
            ready: by their numbers the processes of series that are fitted already.
        """
        known = {} if ready is None else ready
        processes, status = [], []
        for i in range(len(data)):
            model, outcome = process.clone(), data.faults.get(i, "ok")
            try:
                if outcome == "ok" and i not in known:
                    model.fit(data.series(i), context=data.context(i))
            except ArprocError as error:
                outcome = f"{error}{about_constants(data, i)}"
            processes.append(model)
            status.append(outcome)
        ends = [end_of(index) for index in data.indexes]
        named = (data.names, data.named, data.lengths, status, ends)
        beside = data.covariates, data.covariate_names
        found = cls(process, *named, processes, data.values, *beside, form=data.form)
        for i, one in known.items():
            first = float(data.row(i)[0])
            processes[i] = found.placed_at(one, i, first, data.covariate_names)
        return found

    def _fitted(self, i: int) -> Process:
        return self.processes[i]

    def rows(self) -> list[dict[str, Any]]:
        found = []
        for model, status in zip(self.processes, self.status, strict=True):
            known: Any = model if status == "ok" and hasattr(model, "estimates_") else None
            row = {} if known is None else dict(zip(known.names_, known.estimates_, strict=True))
            found.append(row | {"status": status})
        return found

    def likelihoods(self, data: PanelData, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        values, counts = np.empty(len(rows)), np.empty(len(rows), np.int64)
        placed = self.placed(data, rows)
        for j, i in enumerate(rows.tolist()):
            model, (x, offset) = self.processes[i], placed[j]
            values[j] = model.log_prob(x, context=data.context(j), offset=offset)
            counts[j] = (~np.isnan(data.row(j))).sum() - model.n_given
        return values, counts

    def forecast(
        self, history: Any, horizon: int, levels: Sequence[float], seed: Any,
        future: Known | None = None,
    ) -> pd.DataFrame:  # fmt: skip
        data, rows, labels = self.known(history, horizon)
        base, parts, placed = resolve_seed(seed), [], self.placed(data, rows)
        for j, i in enumerate(rows.tolist()):
            own, (x, offset) = derived_seed(base, i), placed[j]
            after = None if future is None else future.at(data.names[j], labels[j])
            made = self.processes[i].forecast(
                x, horizon, tuple(levels), own, context=data.context(j, after), offset=offset
            )
            parts.append(made)
        values = np.stack([part.to_numpy() for part in parts])
        return forecast_table(data.names, labels, values, ["mean", *levels])
