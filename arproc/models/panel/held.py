"""What an `AutoPanel` holds: what it learnt, and the series that could not be read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from arproc.contract.checked import sentences
from arproc.contract.storable import storable
from arproc.data.table_forms import TableForm
from arproc.errors import DataError
from arproc.models.panel.beside import with_later
from arproc.models.panel.beyond import Beyond
from arproc.models.panel.combination import Combination
from arproc.models.panel.coming import Known, faults_of, without_faults
from arproc.models.panel.data import PanelData, require_values
from arproc.models.panel.tables import forecast_table
from arproc.models.panel.updating import Series

if TYPE_CHECKING:
    import pandas as pd

    from arproc.models.panel.automatic.learnt import Automatic

__all__ = ["Held", "readable"]


#: Values of this size have no squares, nor have its inverses.
_LARGEST = 1e75


@storable
@dataclass(frozen=True, eq=False)
class Held:
    """What was learnt of the series that could be read, and why others could not.

    Attributes:
        inner: what was learnt.
        names: what all series are called, [N].
        reasons: why a series could not be read; "ok" where it could, [N].
        form: how the user's table was made.
        beyond: covariates of steps after the last values.
    """

    inner: Combination | Automatic
    names: Sequence[Any]
    reasons: Sequence[str]
    form: TableForm = field(default_factory=TableForm)
    beyond: Beyond = field(default_factory=Beyond)

    def problems(self) -> Iterator[str]:
        """What does not fit together; see `arproc.contract.checked`."""
        alike = len(self.names) == len(self.reasons)
        read = [self.names[i] for i in self.rows] if alike else []
        yield from sentences((read != list(self.inner.names), "other series were read"))

    @cached_property
    def rows(self) -> np.ndarray:
        """The numbers of the series that could be read."""
        return np.flatnonzero([reason == "ok" for reason in self.reasons])

    @property
    def status(self) -> list[str]:
        """Why there is no fit, or "ok" where there is one, [N]."""
        found = list(self.reasons)
        for i, status in zip(self.rows.tolist(), self.inner.status, strict=True):
            found[i] = status
        return found

    @property
    def weights(self) -> np.ndarray:
        """Of the candidates in each series, 0 where it was not read, [N, K]."""
        return self.spread(self.inner.weights, 0.0)

    @property
    def stretch(self) -> np.ndarray | None:
        """By how much intervals are wider than given candidates say, [N]."""
        found = getattr(self.inner, "stretch", None)
        return None if found is None else self.spread(found, np.nan)

    @property
    def periods(self) -> list[int] | None:
        """The seasons' lengths, of an automatic fit."""
        found = getattr(self.inner, "periods", None)
        return None if found is None else list(found)

    @property
    def series(self) -> Series:
        """What the series that were read are called, how long they are, how their labels end."""
        return self.inner.series

    def spread(self, values: np.ndarray, other: float) -> np.ndarray:
        """Values of the series that were read among those of all."""
        found = np.full((len(self.names), *values.shape[1:]), other)
        found[self.rows] = values
        return found

    def ordered(self, table: PanelData, name: str) -> PanelData:
        """A user's series, those of `fit` that were read, in their order."""
        place = {one: i for i, one in enumerate(table.names)}
        every = set(self.names)
        strange = [one for one in table.names if one not in every]
        if strange:
            raise DataError(f"{name} has the series {strange[0]!r}, which was not fitted.")
        lacking = [one for one in self.inner.names if one not in place]
        if lacking:
            raise DataError(f"{name} has no series {lacking[0]!r}; expected all those of fit.")
        found = table.select(np.array([place[one] for one in self.inner.names]))
        for j, reason in found.faults.items():
            raise DataError(f"{name}, series {found.names[j]!r}: {reason}")
        return found

    def updated(self, later: PanelData) -> Held:
        """The same with what came later of the series that were read."""
        known = set(self.inner.names) | (set(later.names) - set(self.names))
        rows = np.array([i for i, name in enumerate(later.names) if name in known], np.int64)
        inner, later = self.inner, later.select(rows)
        if isinstance(inner, Combination):
            return replace(self, inner=inner.updated(later))
        return replace(self, inner=with_later(inner, later))

    def forecast(
        self, known: PanelData | None, horizon: int, levels: Sequence[float], seed: Any,
        future: Known | None = None, keep: bool = False,
    ) -> pd.DataFrame:  # fmt: skip
        """A table of what follows, nan for series without a fit; see `AutoPanel.forecast`.

        With `keep` series without covariates of their next steps have nan too.
        """
        import pandas as pd

        labels, status = self.inner.labels(known, horizon), self.status
        wrong: dict[int, str] = {}
        if future is not None and keep and (
            wrong := faults_of(future, self.inner.names, labels)
        ):  # fmt: skip
            future = without_faults(future, self.inner.names, labels, wrong)
        made = self.inner.ahead(known, horizon, levels, seed, future)
        made[list(wrong)] = np.nan
        for j, reason in wrong.items():
            status[self.rows[j]] = reason
        values = self.spread(made, np.nan)
        if len(self.rows) < len(self.names):
            every: list[Any] = [pd.RangeIndex(1, horizon + 1, name="step")] * len(self.names)
            shared = len(labels) == 1
            for j, i in enumerate(self.rows.tolist()):
                every[i] = labels[0 if shared else j]
            labels = every
        table = forecast_table(list(self.names), labels, values, ["mean", *levels])
        named = zip(self.names, status, strict=True)
        if reasons := {name: status for name, status in named if status != "ok"}:
            table.attrs["status"] = reasons
        return table


def readable(table: PanelData, keep: bool) -> tuple[PanelData, list[str]]:
    """The series that can be read, and of all whether and why not, "ok" or a reason [N].

    Raises:
        DataError: some can not, and `keep` is false; or none can.
    """
    strange = _of_no_size(table)
    if not keep:
        require_values(table)
        for i, reason in strange.items():
            raise DataError(f"series {table.names[i]!r}: {reason}.")
        return table, ["ok"] * len(table)
    reasons = [table.faults.get(i, strange.get(i, "ok")) for i in range(len(table))]
    good = np.flatnonzero([reason == "ok" for reason in reasons])
    if not len(good):
        raise DataError(
            f"none of the {len(table)} series can be read; the first, {table.names[0]!r}: "
            f"{reasons[0]}"
        )
    return (table if len(good) == len(table) else table.select(good)), reasons


def _of_no_size(table: PanelData) -> dict[int, str]:
    """Of which series squares have no size that numbers can say, and why, by their numbers."""
    sizes = np.abs(table.values)
    found = {}
    for k in np.flatnonzero((sizes >= _LARGEST) | ((sizes > 0) & (sizes <= 1 / _LARGEST))):
        i = int(np.searchsorted(table.offsets, k, side="right") - 1)
        largest = float(np.nanmax(sizes[table.offsets[i] : table.offsets[i + 1]]))
        if not 1 / _LARGEST < largest < _LARGEST:
            found[i] = (
                f"its values are up to {largest:.3g} in size; expected between 1e-75 and 1e75. "
                "Express it in another unit"
            )
    return found
