"""Covariates that are known already of steps after a series' last value."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

import numpy as np

from arproc.contract.checked import Array, sentences
from arproc.contract.storable import storable

__all__ = ["Beyond"]


@storable
@dataclass(frozen=True, eq=False)
class Beyond:
    """What is known beside the steps that follow the last known value of a series.

    Attributes:
        names: of the series that have some, [n].
        counts: of how many steps each has them, int64 [n].
        values: the series one after the other, [total, c].
    """

    names: Sequence[Any] = ()
    counts: Annotated[np.ndarray, Array("n", kind="int64", low=1)] = field(
        default_factory=lambda: np.zeros(0, np.int64)
    )
    values: Annotated[np.ndarray, Array("total", "c")] = field(
        default_factory=lambda: np.zeros((0, 0))
    )

    def problems(self) -> Iterator[str]:
        """What does not fit together; see `arproc.contract.checked`."""
        yield from sentences(
            (len(self.names) != len(self.counts), "its names and counts are of other series"),
            (int(self.counts.sum()) != len(self.values), "its counts are not those of its values"),
        )

    @classmethod
    def of(
        cls, names: Sequence[Any], values: np.ndarray, offsets: np.ndarray, covariates: np.ndarray
    ) -> Beyond:
        """Those of series whose last values are missing.

        Args:
            names: of the series, [N].
            values: the series one after the other, nan where a value is missing, [total].
            offsets: where each begins, int64 [N + 1].
            covariates: beside the values, nan where one is missing, [total, c].
        """
        known = np.flatnonzero(~np.isnan(values))
        if not len(known):
            return cls()
        at = np.searchsorted(known, offsets[1:]) - 1
        last, some = known[at.clip(min=0)], (at >= 0)
        found: dict[Any, np.ndarray] = {}
        for i in np.flatnonzero(some & (last >= offsets[:-1]) & (last + 1 < offsets[1:])).tolist():
            rows = covariates[last[i] + 1 : offsets[i + 1]]
            whole = np.isfinite(rows).all(axis=1)
            rows = rows if whole.all() else rows[: int(whole.argmin())]
            if len(rows):
                found[names[i]] = rows
        return cls.by_name(found)

    @classmethod
    def by_name(cls, found: Mapping[Any, np.ndarray]) -> Beyond:
        """Those of series by their names, [steps, c] each."""
        if not found:
            return cls()
        counts = np.array([len(rows) for rows in found.values()], np.int64)
        return cls(list(found), counts, np.concatenate(list(found.values())))

    def rows(self) -> dict[Any, np.ndarray]:
        """Those of each series by its name, [steps, c]."""
        parts = np.split(self.values, np.cumsum(self.counts)[:-1]) if len(self.counts) else []
        return dict(zip(self.names, parts, strict=True))
