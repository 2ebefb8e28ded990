"""What a panel learns of its series: at once, as far as its process lets it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from arproc.errors import ArprocError
from arproc.models.panel.data import PanelData
from arproc.models.panel.fitted import FittedSeries
from arproc.models.panel.kept import FittedEach
from arproc.models.panel.moving import FittedMoving, moving_of
from arproc.models.panel.settings import settings_of
from arproc.models.panel.terms import of_terms, terms_together
from arproc.models.panel.together import FittedTogether
from arproc.models.transformed.process import Transformed, TransformedLaw, mapped
from arproc.process import Process
from arproc.process.fit import Fit

__all__ = ["learn"]


def learn(process: Process, table: PanelData, pooled: bool = False) -> FittedSeries:
    """Fit a process to every series.

    Args:
        process: the process, which stays as it is.
        table: the series.
        pooled: whether their coefficients are drawn towards one another.
    """
    settings = settings_of(process)
    if settings is not None:
        return FittedTogether.fit(process, settings, table, pooled)
    moving = moving_of(process)
    if moving is not None:
        return FittedMoving.fit(process, moving, table)
    ready: dict[int, Process] = {}
    if terms_together(process):
        ready = of_terms(process, table)
    elif type(process) is Transformed and _at_once(process):
        ready = _transformed(process, table)
    return FittedEach.fit(process, table, ready)


def _at_once(process: Process) -> bool:
    """Whether a process is fitted to all series in one computation."""
    if type(process) is not Transformed or settings_of(process) or moving_of(process):
        return bool(settings_of(process) or moving_of(process) or terms_together(process))
    first, inner = process.layers()
    return first.learns_alone and _at_once(inner)


def _transformed(process: Transformed, table: PanelData) -> dict[int, Process]:
    """The fitted processes of the series, by their numbers, but of those that need more care.

    Each series is mapped by a transform of its own, and what comes of them is one panel.
    """
    first, inner = process.layers()
    maps, rows, which = [], [], []
    beside: list[np.ndarray] = []
    for i in range(len(table)):
        y, given = table.row(i), first.given
        if i in table.faults or (bool(np.isnan(y).any()) and not process.takes_missing):
            continue
        try:
            transform, x = mapped(first, y)
        except ArprocError:  # said by the series' own fit
            continue
        part = np.empty((len(x), 0))
        if table.covariates is not None:
            part = table.covariates[table.offsets[i] + given : table.offsets[i + 1]]
        if not len(x) or np.isinf(x).any() or not np.isfinite(part).all():
            continue
        maps.append(transform)
        rows.append(x)
        which.append(i)
        beside.append(part)
    if not which:
        return {}
    offsets = np.concatenate([[0], np.cumsum([len(x) for x in rows])]).astype(np.int64)
    values = np.concatenate(rows)
    inward = replace(
        table, values=values, offsets=offsets, names=list(range(len(which))), indexes=(),
        gaps=bool(np.isnan(values).any()), faults={},
        covariates=None if table.covariates is None else np.concatenate(beside),
    )  # fmt: skip
    learnt, parameters = learn(inner, inward), process.get_params(deep=False)
    ready: dict[int, Process] = {}
    for j, i in enumerate(which):
        if learnt.status[j] == "ok":
            one = learnt.fitted(j)
            law = TransformedLaw(one.law_, maps[j])
            ready[i] = Transformed.of(law, Fit(notes={"process": one}), **parameters)
    return ready
