"""`backtest`: forecasts from many origins, each made of what was known there, beside what came."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from arproc.contract.randomness import resolve_seed
from arproc.data.frames import native
from arproc.data.texts import listed
from arproc.errors import (
    DataError,
    ParameterError,
    UnsupportedError,
    check_count,
    check_table,
    warn,
)
from arproc.evaluation.backtests.contexts import covariates
from arproc.evaluation.backtests.forecaster import Forecaster, OfProcess
from arproc.evaluation.backtests.of_panel import OfPanel
from arproc.evaluation.backtests.origins import Made, Work
from arproc.evaluation.backtests.parallel import check_jobs, in_parallel
from arproc.evaluation.backtests.plan import Refit, check_refit, plan
from arproc.evaluation.backtests.store import digest, opened
from arproc.evaluation.backtests.timeline import Timeline, lay_out
from arproc.forecasting.forecast import levels_of
from arproc.models.panel import AutoPanel, Panel
from arproc.models.panel.covariates import check_covariates
from arproc.models.panel.data import LONG, check_columns
from arproc.process import Model, Process

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["backtest"]


def backtest(
    model: Process | Panel | AutoPanel,
    data: Any,
    *,
    horizon: int = 1,
    step: int = 1,
    start: Any = None,
    window: int | None = None,
    refit: Refit = 1,
    context: Any = None,
    quantiles: Sequence[float] = (0.05, 0.5, 0.95),
    n_paths: int = 1000,
    seed: int | torch.Generator | None = None,
    columns: Sequence[str] | None = None,
    done: pd.DataFrame | None = None,
    folder: str | Path | None = None,
    n_jobs: int = 1,
    progress: bool | None = None,
) -> pd.DataFrame:
    """Forecast from many origins, each time from what was known there alone, beside what came.

    At each origin the model is fitted anew, or goes on with the law of an earlier origin and the
    longer history (`refit`), and forecasts the next `horizon` steps. It is handed copies that end
    at the origin, and is a fresh clone at each fit, so nothing of the future can reach it; the
    model that you gave stays as it is. (The parts of a `Mixture` are fitted before and stay so,
    which a warning recalls: what they were fitted to must end before the first origin.)

    Several series are cut at the same moment: by their labels where these are dates or numbers,
    else by their positions. A process is one law for all of them, a `Panel` has one for each. A
    series takes part from where it has `start` values to where it ends; of the last origins of a
    series that ends earlier, the steps that came are kept. Without refit a panel forecasts the
    series that it was fitted to, and others wait for the next fit. Covariates of a panel are cut
    like a `context`: those of the horizon are what would have been known at the origin.

    Args:
        model: a process of numbers that has `forecast`, fitted or not; or a `Panel`, an
            `AutoPanel`.
        data: a series; several as a wide DataFrame (time down), an array [N, T], a list, a dict
            by name or a long DataFrame (unique_id, ds, y); of vectors [T, d], a DataFrame with a
            column for each component, or several of these.
        horizon: how many steps are forecast from each origin.
        step: how many steps lie between origins.
        start: how many values are known at the first origin, or the date of the last of them;
            half of all steps if left out.
        window: give a fit no more than this many of the last values (rolling origins); all
            before the origin otherwise (expanding).
        refit: every how many origins the model is fitted anew; "once" (or False) at the first
            alone; "never" if it is fitted already, to data that you know to lie before the first
            origin.
        context: what the series are conditioned on, for processes that take it, as for `fit`: one
            vector each, or a table by steps for all or for each. A fit gets its steps before the
            origin and a forecast those of its horizon as well, which must be what would have been
            known at the origin (a calendar, a plan).
        quantiles: which quantiles, each in (0, 1).
        n_paths: how many paths are simulated where a model has no closed form.
        seed: of the simulations.
        columns: what a long table calls its columns of names, times and values.
        done: an earlier result of the same call, on these or fewer data: origins that are in it
            are not computed again, and its rows come first.
        folder: where what was made at each origin is kept, numbers alone. A run that was killed
            goes on from there when the same call is made again, and gives the same table; another
            call is refused. Without a `seed`, that of the first run is kept too.
        n_jobs: how many processes share the origins, those of one fit together; -1 is one for each
            core. Each has to start (seconds) and gets a copy of the data, so this is for backtests
            of minutes. The numbers are those of one process but for rounding; scripts need
            `if __name__ == "__main__":`, as whenever Python starts processes.
        progress: whether a bar is shown; None shows it where standard error is a terminal.

    Returns:
        A DataFrame with a row for each series, origin and step (and component of vectors) that
        something came at, in the order of the origins: `series`; `origin`, the label of the last
        step known; `step`, 1 to `horizon`; `time`, its label; `component`, of vectors; `actual`;
        `mean`; a column for each quantile, named by its level; and `log_score`, the log-density
        (or mass) of `actual` under the forecast of that step, in nats, higher is better (NaN for
        an `AutoPanel` of given candidates of logarithms: averages of their quantiles have none).
        Labels are positions, from 0, where the data have none. How it was made is in `.attrs`.

    Raises:
        ParameterError: an argument has a wrong value.
        DataError: the data are no series of numbers, too short, or have no fit at some origin,
            which the message names.
        UnsupportedError: the process is one of symbols, or of examples of a fixed size.

    Example:
        >>> import arproc
        >>> x = np.random.default_rng(0).normal(size=60).cumsum()
        >>> table = backtest(arproc.AR(1), x, horizon=2, step=5, start=40)
        >>> table.columns.tolist()
        ['series', 'origin', 'step', 'time', 'actual', 'mean', 0.05, 0.5, 0.95, 'log_score']
        >>> table["origin"].unique().tolist()
        [39, 44, 49, 54]
    """
    if not isinstance(model, (Process, Panel, AutoPanel)):
        raise ParameterError(
            f"model must be a process, a Panel or an AutoPanel; got {type(model).__name__}."
        )
    refit = check_refit(refit)
    levels, n_paths = levels_of(quantiles), check_count("n_paths", n_paths, minimum=2)
    if columns is None:
        columns = LONG if isinstance(model, Process) else model.columns
    columns = check_columns(columns)
    series = _series(model, data, columns, refit)
    if refit != "never":
        _warn_of_parts(model)
    asked = plan(series, horizon, step, start, window, refit)
    one = _forecaster(model, series, context, n_paths, refit)
    attrs = {
        "model": repr(model), "horizon": asked.horizon, "step": step, "window": asked.window,
        "refit": refit, "quantiles": levels,
    }  # fmt: skip
    jobs, number = check_jobs(n_jobs), resolve_seed(seed)
    store = None
    if folder is not None:
        sizes = (asked.horizon, len(series), len(levels))
        facts = {name: repr(value) for name, value in attrs.items()}
        facts |= {"n_paths": str(n_paths), "data": _of_data(series, asked.origins)}
        facts |= {"context": _of_context(context), "law": _of_law(model, refit)}
        store, number = opened(folder, facts, number, seed is not None, sizes)
    work = Work(one, series, asked, levels, number, _finished(done, attrs), store)
    found = [
        _table(series, made, int(asked.origins[made.k]), asked.horizon, levels)
        for made in _all(work, jobs, progress)
    ]
    return _joined(found, done, attrs)


def _series(model: Any, data: Any, columns: Sequence[str], refit: Any) -> Timeline:
    """The data on one axis."""
    if refit == "never" and not model.__sklearn_is_fitted__():
        raise ParameterError("refit='never' is for a fitted model; this one is not fitted yet.")
    data = listed(native(data))
    if not isinstance(model, Process):
        beside = check_covariates(model.covariates, columns)
        return lay_out(
            data, columns, vectors=False, whole=False, freq=model.freq, covariates=beside
        )
    space = (
        model.law_.space
        if refit == "never"
        else model.clone()._infer_space(_elements(data, columns))
    )
    if space.length is not None or space.terminates:
        raise UnsupportedError(
            f"backtest is for endless series of numbers; {model!r} has {space.describe()} "
            "elements in sequences that end."
        )
    vectors, whole = bool(space.event_shape), space.measure == "mass"
    counts = bool(model._counts_time)
    return lay_out(data, columns, vectors=vectors, whole=whole, together=counts)


def _warn_of_parts(model: Any) -> None:
    """Say so where parts of a model keep what they were fitted to, which may be the future."""
    given = model.get_params(deep=False).values() if isinstance(model, Process) else ()
    listed = [part for value in given if isinstance(value, (list, tuple)) for part in value]
    if any(isinstance(part, Model) and part.__sklearn_is_fitted__() for part in listed):
        warn(
            f"the parts of this {type(model).__name__} were fitted before and are not fitted anew "
            "at the origins: see that what they were fitted to ends before the first of them, or "
            "their forecasts know the future.",
            UserWarning,
        )


def _elements(data: Any, columns: Sequence[str]) -> Any:
    """The data without the names of the series, in a form that `fit` of a process takes."""
    if isinstance(data, Mapping):
        return list(data.values())
    long = hasattr(data, "columns") and columns[2] in data.columns
    return data[columns[2]].to_numpy() if long and columns[0] in data.columns else data


def _forecaster(
    model: Any, series: Timeline, context: Any, n_paths: int, refit: Any
) -> Forecaster:
    if isinstance(model, Process):
        kind = model.law_.context and model.law_.context.kind if refit == "never" else None
        cut = covariates(context, kind or model.context_kind, series)
        return OfProcess(model, series, cut, n_paths, model)
    if context is not None:
        raise ParameterError(
            "a panel takes no context; name columns of a long table as its covariates=."
        )
    return OfPanel(model, series, n_paths, model)


def _all(work: Work, jobs: int, progress: bool | None) -> list[Made]:
    """What is made at all open origins, in their order."""
    numbers = work.open()
    from tqdm import tqdm

    made: list[Made] = []
    alone = jobs == 1 or len(numbers) < 2
    parts = (
        ((list(work.do([k])), 1) for k in numbers) if alone else in_parallel(work, numbers, jobs)
    )
    hidden = not (sys.stderr.isatty() if progress is None else progress)
    with tqdm(total=len(numbers), desc="backtest", unit="origin", disable=hidden) as bar:
        for part, count in parts:
            made += part
            bar.update(count)
    return sorted(made, key=lambda one: one.k)


def _of_data(series: Timeline, origins: np.ndarray) -> str:
    """What tells data, and the origins in them, from others."""
    parts: tuple[Any, ...] = (
        series.values, series.offsets, series.begins, series.shift, origins,
    )  # fmt: skip
    if series.covariates is not None:
        parts = (*parts, series.covariates)
    return digest(*parts, series.names, [None if i is None else str(i[0]) for i in series.indexes])


def _of_context(context: Any) -> str:
    """What tells a context from others."""
    tables = context if isinstance(context, (list, tuple)) else [context]
    return digest(*(np.asarray(x.detach() if hasattr(x, "detach") else x) for x in tables))


def _of_law(model: Any, refit: Refit) -> str:
    """What tells a fitted law from others, where none is fitted here."""
    if refit != "never":
        return "fitted at the origins"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "law"
        model.save(path)
        return digest(np.frombuffer(path.read_bytes(), np.uint8))


def _table(
    series: Timeline, found: Made, origin: int, horizon: int, levels: list[float]
) -> pd.DataFrame:
    """One row for each series, step (and component) that something came at."""
    import pandas as pd

    rows, made = found.rows, found.predicted
    actual, d = series.outcomes(rows, origin, horizon), len(series.components)
    steps = np.tile(np.arange(1, horizon + 1), len(rows))
    number = np.repeat(rows, horizon)
    there = origin + steps <= series.ends[number]
    steps, number = steps[there], number[there]
    times = series.labels(number, origin + steps - 1)
    last = series.labels(number, np.full(len(number), origin - 1))
    names = pd.Index(series.names, tupleize_cols=False).take(number)
    columns: dict[Any, Any] = {"series": names, "origin": last, "step": steps, "time": times}
    if d:
        columns = {name: values.repeat(d) for name, values in columns.items()}
        columns["component"] = list(series.components) * len(number)

    def flat(x: np.ndarray) -> np.ndarray:
        return x.reshape(len(rows) * horizon, -1)[there].reshape(-1)

    columns |= {"actual": flat(actual), "mean": flat(made.mean)}
    columns |= {level: flat(made.quantiles[..., j]) for j, level in enumerate(levels)}
    return pd.DataFrame(columns | {"log_score": flat(made.log_score)})


def _finished(done: Any, attrs: dict[str, Any]) -> set[Any]:
    """The series and origins that an earlier result holds."""
    if done is None:
        return set()
    check_table("done", done, ("series", "origin", "step", "log_score"))
    for name, value in attrs.items():
        if done.attrs.get(name) != value:
            raise ParameterError(
                f"done was made with {name} {done.attrs.get(name)!r}, this call has {value!r}; "
                "expected the result of the same call."
            )
    whole = done.groupby(["series", "origin"], sort=False)["step"].max() == attrs["horizon"]
    return set(whole.index[whole])


def _joined(found: list[pd.DataFrame], done: Any, attrs: dict[str, Any]) -> pd.DataFrame:
    import pandas as pd

    if done is not None and found:  # origins of which more has come since are made again
        new = set(pd.concat([part["origin"] for part in found]))
        done = done[~done["origin"].isin(new)]
    tables = found if done is None else [done, *found]
    if not tables:
        raise DataError("no series has enough values at any origin; choose an earlier start.")
    table = pd.concat([part.reset_index(drop=True) for part in tables], ignore_index=True)
    table.attrs = attrs
    return table
