"""`forecast_file`: forecasts of every series of a long table on disk, part by part."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from arproc.contract.places import as_path, check_place, replacing, storing
from arproc.errors import DataError, ParameterError, check_count
from arproc.models.panel import AutoPanel, Panel
from arproc.models.panel.covariates import check_covariates
from arproc.models.panel.data import check_columns
from arproc.scale.memory import rows_at_once, size_of
from arproc.scale.parts import panel_of, times_in
from arproc.scale.source import Source, arrow
from arproc.scale.work import Job, Work, forecast_part

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Forecasted", "forecast_file"]

#: Rows of a group of the file that is written, whatever the partitions were.
GROUP = 1 << 20


@dataclass(frozen=True)
class Forecasted:
    """What `forecast_file` did.

    Attributes:
        path: the file that it wrote.
        n_series: how many series there were.
        failed: those without forecasts, with the columns "series" and "reason".
        seconds: how long it took, of this call alone.
    """

    path: Path
    n_series: int
    failed: pd.DataFrame
    seconds: float


def forecast_file(
    model: AutoPanel | Panel,
    source: Any,
    horizon: int,
    out: str | Path,
    quantiles: tuple[float, ...] = (0.05, 0.5, 0.95),
    *,
    memory: int | str = "2GB",
    sample: int = 10_000,
    freq: Any = None,
    client: Any = None,
    progress: bool | None = None,
    future: Any = None,
) -> Forecasted:
    """Forecast all series of a long table in Parquet files, which need not fit into memory.

    The rows of each series lie together (a file that is sorted by their names is so), and
    partitions of whole series are forecast one after the other. What the series have in common
    (seasons, weights, the size of errors) is learnt first, from `sample` of them, evenly spaced;
    then each is forecast by itself, so that nothing depends on the partitions: the file that is
    written is the same to the byte. With no more series than `sample` its numbers are those of
    `fit` and `forecast` of them all. A model that is fitted already is taken as it is.

    Finished partitions wait in the folder `out` + ".parts". After a kill the same call goes on
    where it was; the folder goes when `out` is complete.

    Args:
        model: an `AutoPanel` without given candidates, or a `Panel` of autoregressions, each
            series alone; its `columns` name the columns of the table, and its `covariates` those
            that are known beside the values.
        source: a Parquet file, a folder with such or a list of them; each with a column of names,
            one of times (dates, ISO text or numbers) and one of values. Null and NaN are missing
            values, and so is a step that a series leaves out.
        horizon: how many steps.
        out: the Parquet file to write, with a row for each series and step: name, time, "mean"
            and one column for each quantile. A series that can not be read has rows of nulls.
        quantiles: which quantiles, each in (0, 1).
        memory: what this process may hold in all, in bytes or such as "2GB"; partitions are as
            large as that allows. Of a client's workers it is that of each task.
        sample: of how many series the common part is learnt.
        freq: the step of the times, in pandas' words or a number; None finds it in the sample.
        client: a `dask.distributed.Client`, or any executor with `submit`, whose workers see
            `source` and `out` under the same paths; None for threads of this process.
        progress: whether a bar shows the time left; None where there is a terminal.
        future: the covariates of the steps to come, in Parquet files with a row for each series
            and step; each series' rows lie together, in any order, and others may be there. A
            series that lacks some has rows of nulls.

    Returns:
        A `Forecasted`, with the series that have no forecast and why.

    Raises:
        DataError: the files are no long tables, the rows of a series are in several places, or
            the folder of partitions is of another call.
        MissingDependencyError: pyarrow is not installed.
        UnsupportedError: a model whose forecasts of a series depend on the others.

    Example:
        >>> import os, tempfile
        >>> import pandas as pd
        >>> rng, folder = np.random.default_rng(0), tempfile.mkdtemp()
        >>> names, days = np.repeat(["a", "b", "c"], 40), np.tile(np.arange(40), 3)
        >>> table = pd.DataFrame({"unique_id": names, "ds": days, "y": rng.normal(size=120)})
        >>> table.to_parquet(os.path.join(folder, "panel.parquet"))
        >>> out = os.path.join(folder, "forecasts.parquet")
        >>> forecast_file(AutoPanel(), os.path.join(folder, "panel.parquet"), 2, out).n_series
        3
        >>> pd.read_parquet(out)[["unique_id", "ds"]].head(3).values.tolist()
        [['a', 40], ['a', 41], ['b', 40]]
    """
    from arproc.forecasting.forecast import levels_of

    begin = time.perf_counter()
    if not isinstance(model, (AutoPanel, Panel)):
        raise ParameterError(f"model must be an AutoPanel or a Panel; got {model!r}.")
    model.check_parts()
    horizon = check_count("horizon", horizon, minimum=1)
    sample = check_count("sample", sample, minimum=1)
    levels, ceiling = tuple(levels_of(quantiles)), size_of(memory)
    _require_submit(client)
    columns = check_columns(model.columns)
    beside = check_covariates(model.covariates, columns)
    found = Source.of(source, (*columns, *beside))
    ahead = _future(future, columns, beside)
    path = as_path(out)
    check_place(path)
    for one in (found, ahead):
        if one and str(path.resolve()) in {str(Path(x.path).resolve()) for x in one.groups}:
            raise ParameterError(f"out {str(path)!r} is the {one.called} itself; name another.")
    work = Work(path.with_name(path.name + ".parts"))
    asked = [found.fingerprint, horizon, list(levels), sample, repr(freq)]
    asked += [] if ahead is None else [ahead.fingerprint]
    if not work.begun(model, asked):
        starts, names = found.series()
        ranges = None if ahead is None else _ranges(ahead, names)
        leader, calendar = _learnt(model, found, starts, sample, freq)
        workers = torch.get_num_threads() if client is None else 1
        cuts = rows_at_once(starts, horizon, ceiling, workers, client is None, len(beside))
        with storing(path):
            work.begin(model, asked, leader, calendar, starts, cuts, ranges)
    jobs = work.jobs(found, horizon, levels, ahead)
    failed = _forecast(jobs, client, progress)
    _join(jobs, path)
    work.remove()
    return Forecasted(path, jobs[-1].last_series, failed, time.perf_counter() - begin)


def _future(
    future: Any, columns: tuple[str, str, str], covariates: tuple[str, ...]
) -> Source | None:
    """The covariates of the steps to come, where the model has some."""
    if not covariates:
        if future is not None:
            raise ParameterError(
                "future is for a model with covariates; this one has none. Their columns "
                "are named by covariates=, as AutoPanel(covariates=['price'])."
            )
        return None
    if future is None:
        raise ParameterError(
            f"the model has the covariates {list(covariates)!r}, and forecasts need those of the "
            "steps to come: give future=, Parquet files with them."
        )
    return Source.of(future, (*columns[:2], *covariates), "future", columns[2:])


def _ranges(future: Source, names: Any) -> np.ndarray:
    """Where the rows of each series begin and end in `future`, int64 [N, 2]; -1 where none are."""
    pa, _ = arrow()
    import pyarrow.compute

    starts, theirs = future.series()
    try:
        theirs = theirs.cast(names.type)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise DataError(
            f"future has names of type {theirs.type}, the source of {names.type} ({error})."
        ) from None
    at = pyarrow.compute.index_in(names, value_set=theirs).fill_null(-1).to_numpy()
    found = np.stack([starts[at], starts[at + 1]], axis=1)
    return np.where(at[:, None] >= 0, found, -1)


def _require_submit(client: Any) -> None:
    if client is not None and not callable(getattr(client, "submit", None)):
        raise ParameterError(
            "client must be a dask.distributed.Client, or an executor with submit(function, ...); "
            f"got {client!r}."
        )


def _learnt(
    model: AutoPanel | Panel, source: Source, starts: np.ndarray, sample: int, freq: Any
) -> tuple[Any, Any]:
    """The fitted model, and the calendar of the times, both learnt of the sample."""
    from arproc.data.grid import calendar_of_series

    count = len(starts) - 1
    chosen = np.unique(np.linspace(0, count - 1, min(sample, count)).astype(np.int64))
    table = source.read_all(starts[chosen], starts[chosen + 1])
    sizes = starts[chosen + 1] - starts[chosen]
    edges = np.concatenate([[0], np.cumsum(sizes)])
    calendar = calendar_of_series(times_in(table, source.columns[1]), edges, "source", freq)
    part = panel_of(table, edges, source.columns, calendar)
    if not len(part.panel):
        i, reason = next(iter(part.reasons.items()))
        raise DataError(
            f"no series of source can be read; of {part.names[i].as_py()!r}, for one, {reason}."
        )
    keeping = model.get_params(deep=False) | {"errors": "keep"}  # none stops the others
    if model.__sklearn_is_fitted__():
        return type(model).of(model.learnt_, **keeping), calendar
    return type(model)(**keeping).fit(part.panel), calendar


def _forecast(jobs: Sequence[Job], client: Any, progress: bool | None) -> pd.DataFrame:
    """All partitions that are not there yet; the series that have no forecast."""
    import pandas as pd
    from tqdm import tqdm

    failed: list[dict[str, Any]] = []
    total = jobs[-1].last_series
    hidden = None if progress is None else not progress
    with ExitStack() as stack, tqdm(total=total, unit="series", disable=hidden) as bar:
        # Dask takes equal calls for one, whose end it remembers; its file may be gone since
        own = getattr(client, "get_executor", None)
        pool: Executor | Any = client if own is None else own(pure=False)
        if client is None:
            pool = stack.enter_context(ThreadPoolExecutor(torch.get_num_threads()))
        waiting = [(job, None if job.done else pool.submit(forecast_part, job)) for job in jobs]
        try:
            for job, future in waiting:
                if future is not None:
                    future.result()
                failed += job.failed()
                bar.update(job.last_series - job.first_series)
        except BaseException:
            for _, future in waiting:
                if future is not None:
                    future.cancel()
            raise
    return pd.DataFrame(failed, columns=["series", "reason"])


def _join(jobs: Sequence[Job], path: Path) -> None:
    """One file of all partitions, in groups of rows that do not depend on them."""
    pa, parquet = arrow()
    held, count, writer = [], 0, None
    with replacing(path) as temporary, ExitStack() as stack:
        for job in jobs:
            table = parquet.read_table(job.path)
            if writer is None:
                writer = stack.enter_context(parquet.ParquetWriter(temporary, table.schema))
            held.append(table)
            count += len(table)
            while count >= GROUP:
                whole = pa.concat_tables(held)
                writer.write_table(whole.slice(0, GROUP).combine_chunks(), GROUP)
                held, count = [whole.slice(GROUP)], count - GROUP
        if count and writer is not None:
            writer.write_table(pa.concat_tables(held).combine_chunks(), GROUP)
