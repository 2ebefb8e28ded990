"""What partitions are made of, one by one, and the folder in which finished ones wait."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from arproc.contract.places import replacing
from arproc.data.calendar import Calendar
from arproc.errors import DataError
from arproc.models.panel.coming import InOrder
from arproc.process.persistence import load
from arproc.scale.parts import Part, following, panel_of, rows_of
from arproc.scale.source import Source, arrow

__all__ = ["Job", "Work", "forecast_part"]

_FORMAT = 1


@dataclass(frozen=True)
class Job:
    """One partition, in words that another process understands.

    Attributes:
        source: all rows.
        starts: where each series begins, and where the last ends, int64 [n + 1].
        first_series: the number of the first series among all.
        horizon: how many steps.
        levels: of the quantiles.
        calendar: the steps of the times.
        model: the file of the fitted model.
        path: where the forecasts go.
        future: the covariates of the steps to come, if there are any.
        ranges: where the rows of each series begin and end there, int64 [n, 2]; -1 where it has
            none.
    """

    source: Source
    starts: np.ndarray
    first_series: int
    horizon: int
    levels: tuple[float, ...]
    calendar: Calendar
    model: str
    path: str
    future: Source | None = None
    ranges: np.ndarray | None = None

    @property
    def last_series(self) -> int:
        """The number of the last series, plus one."""
        return self.first_series + len(self.starts) - 1

    @property
    def done(self) -> bool:
        """Whether its forecasts are there."""
        return Path(self.path).is_file()

    def failed(self) -> list[dict[str, Any]]:
        """The series without forecasts, as the file of the others tells."""
        _, parquet = arrow()
        with parquet.ParquetFile(self.path) as file:
            found = file.schema_arrow.metadata or {}
        return json.loads(found[b"failed"])


def forecast_part(job: Job) -> None:
    """Forecast a partition, and write it; one that is there already is not forecast again."""
    if job.done:  # a scheduler that lost a worker asks for what this had finished, too
        return
    _, parquet = arrow()
    first, last = int(job.starts[0]), int(job.starts[-1])
    table = job.source.read(first, last)
    columns = job.source.columns
    part = panel_of(table, job.starts - first, columns, job.calendar)
    after = None
    if job.future is not None:
        part, after = _after(job, part)
    kind = table.schema.field(columns[1]).type
    del table
    values = np.empty((0, job.horizon, 1 + len(job.levels)))
    reasons = dict(part.reasons)
    if len(part.panel):
        stamp = Path(job.model).stat().st_mtime_ns
        model = _model(job.model, stamp).others(part.panel)
        made = model.forecast(horizon=job.horizon, quantiles=job.levels, future=after)
        values = made.to_numpy().reshape(len(part.panel), *values.shape[1:])
        for i, status in enumerate(model.status_):
            if status != "ok":
                reasons[int(part.rows[i])] = status
    found = rows_of(part, values, job.levels, columns, job.calendar, kind)
    names = part.names
    failed = [{"series": names[i].as_py(), "reason": why} for i, why in sorted(reasons.items())]
    words = json.dumps(failed, default=str)
    with replacing(job.path) as temporary:
        parquet.write_table(found.replace_schema_metadata({"failed": words}), temporary)


def _after(job: Job, part: Part) -> tuple[Part, InOrder]:
    """The covariates of the steps to come, and the series of which they are known."""
    assert job.future is not None
    assert job.ranges is not None
    owner = np.flatnonzero(job.ranges[:, 0] >= 0)
    owner = owner[np.argsort(job.ranges[owner, 0])]
    first, last = job.ranges[owner].T
    table = job.future.read_all(first, last)
    starts = np.concatenate([[0], np.cumsum(last - first)])
    return following(part, table, starts, owner, job.future.columns, job.calendar, job.horizon)


@lru_cache(maxsize=2)
def _model(path: str, stamp: int) -> Any:  # noqa: ARG001  (a file that changed is another one)
    return load(path)


class Work:
    """The folder of finished partitions, and the plan of the call that it is of."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._plan = folder / "plan.json"
        self._starts = folder / "starts.npy"
        self._model = folder / "model.arproc"
        self._ranges = folder / "ranges.npy"

    def begun(self, model: Any, asked: Sequence[Any]) -> bool:
        """Whether a call of the same arguments was here before.

        Raises:
            DataError: one of others was.
        """
        if not self._plan.is_file():
            return False
        plan = json.loads(self._plan.read_text(encoding="utf-8"))
        if plan["asked"] != self._asked(model, asked):
            raise DataError(
                f"out: {str(self.folder)!r} holds the partitions of a call with another source, "
                "model or other arguments. Delete that folder, or name another out."
            )
        return True

    def begin(
        self,
        model: Any,
        asked: Sequence[Any],
        leader: Any,
        calendar: Calendar,
        starts: np.ndarray,
        cuts: np.ndarray,
        ranges: np.ndarray | None,
    ) -> None:
        """Write down what partitions there will be; the plan last."""
        if self.folder.exists():
            shutil.rmtree(self.folder)
        self.folder.mkdir()
        leader.save(self._model)
        for place, numbers in ((self._starts, starts), (self._ranges, ranges)):
            if numbers is not None:
                with replacing(place) as temporary, temporary.open("wb") as file:
                    np.save(file, numbers)
        plan = {
            "asked": self._asked(model, asked),
            "calendar": asdict(calendar),
            "cuts": cuts.tolist(),
        }
        with replacing(self._plan) as temporary:
            temporary.write_text(json.dumps(plan), encoding="utf-8")

    def jobs(
        self, source: Source, horizon: int, levels: tuple[float, ...], future: Source | None
    ) -> list[Job]:
        """All partitions of the plan."""
        plan = json.loads(self._plan.read_text(encoding="utf-8"))
        starts, cuts = np.load(self._starts), plan["cuts"]
        ranges = None if future is None else np.load(self._ranges)
        calendar = Calendar(**plan["calendar"])
        found = []
        for k, (a, b) in enumerate(pairwise(cuts)):
            rows = source.between(int(starts[a]), int(starts[b]))
            said = (horizon, levels, calendar, str(self._model))
            path = self.folder / f"part-{k:06d}.parquet"
            own = None if ranges is None else ranges[a:b].copy()
            job = Job(rows, starts[a : b + 1].copy(), a, *said, str(path), future, own)
            found.append(job)
        return found

    def remove(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.folder)

    @staticmethod
    def _asked(model: Any, asked: Sequence[Any]) -> list[Any]:
        """What makes two calls the same, as JSON has it."""
        learnt = None
        if model.__sklearn_is_fitted__():
            learnt = _digest(model)
        return json.loads(json.dumps([_FORMAT, repr(model), learnt, *asked]))


def _digest(model: Any) -> str:
    """What tells one fitted model from another: a digest of its file."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.arproc"
        model.save(path)
        return sha256(path.read_bytes()).hexdigest()
