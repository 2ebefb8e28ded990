"""`arproc forecast`: what follows a series, by a saved model; or every series of a table."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from arproc.cli.options import Column, Index, Offset, Out, Seed
from arproc.errors import ParameterError

if TYPE_CHECKING:
    from arproc import AutoPanel, Panel
    from arproc.models.panel.coming import Future
    from arproc.models.panel.data import PanelData

__all__ = ["forecast"]


def forecast(
    source: Annotated[
        list[Path],
        typer.Argument(
            metavar="[MODEL] DATA",
            help="A model that `arproc fit` saved and its data; or a table of many series alone: "
            ".parquet, .arrow, .csv, .tsv.",
        ),
    ],
    horizon: Annotated[int, typer.Option("--horizon", help="How many steps ahead.")],
    column: Column = None,
    index: Index = None,
    quantile: Annotated[
        list[float] | None, typer.Option("--quantile", "-q", help="Repeat for several.")
    ] = None,
    offset: Offset = None,
    id_: Annotated[
        str | None, typer.Option("--id", help="Of many series, the column of names. [unique_id]")
    ] = None,
    time: Annotated[str | None, typer.Option(help="The column of times. [ds]")] = None,
    value: Annotated[str | None, typer.Option(help="The column of values. [y]")] = None,
    freq: Annotated[
        str | None, typer.Option(help="The step of the times, as D, MS or h. [as they go]")
    ] = None,
    period: Annotated[
        list[int] | None,
        typer.Option(help="The length of a season in steps; repeat for several. [found]"),
    ] = None,
    covariates: Annotated[
        str | None,
        typer.Option(
            help="Columns that are known at every step and at those to come, by commas: "
            "price,promo. Their values to come are in --future."
        ),
    ] = None,
    future: Annotated[
        Path | None,
        typer.Option(help="A table of names, times and covariates of the steps to come."),
    ] = None,
    save: Annotated[
        Path | None, typer.Option(help="Save the model of many series here, for later data.")
    ] = None,
    memory: Annotated[
        str | None,
        typer.Option(
            help="Of a Parquet table that is larger than this: forecast it part by part, into "
            "--out; such as 2GB."
        ),
    ] = None,
    seed: Seed = None,
    out: Out = None,
) -> None:
    """Forecast what follows: the mean and the quantiles of each step, as CSV or Parquet.

    One series, by a saved model:

    arproc forecast ar.arproc series.csv --column value --index date --horizon 12

    arproc forecast ar.arproc series.csv -c value --horizon 12 -q 0.1 -q 0.9 --out next.csv

    Every series of a table, each by what AutoPanel finds for it. The table has a row for each
    value and the columns unique_id, ds and y (or others), or a column for each series:

    arproc forecast panel.parquet --horizon 13 --out forecasts.parquet

    arproc forecast sales.csv --id shop --time week --value sold --horizon 13 --out next.csv

    arproc forecast panel.parquet --horizon 13 --memory 2GB --out forecasts.parquet

    arproc forecast sales.csv --covariates price,promo --future plan.csv --horizon 13

    Series that can not be read or forecast have empty rows, and are named on standard error.
    """
    from arproc.cli import files, models

    quantiles = tuple(quantile) if quantile else (0.05, 0.5, 0.95)
    columns = (id_, time, value)
    if len(source) > 2:
        raise ParameterError(f"forecast takes a model and its data; got {len(source)} files.")
    data = source[-1]
    law: Any = None if len(source) == 1 else models.load(source[0])
    if law is None or not hasattr(law, "law_"):
        _refuse({"--column": column, "--index": index})
        panel = _panel(source[0], law, columns, freq, period, covariates)
        if memory is not None:
            refused = {"--save": save, "--offset": offset, "--seed": seed}
            _refuse(refused, "does not go with --memory, which forecasts part by part")
            _forecast_parts(panel, data, horizon, quantiles, memory, freq, out, future)
            return
        _forecast_panel(panel, data, horizon, quantiles, seed, offset, save, out, future)
        return
    many = {"--id": id_, "--time": time, "--value": value, "--freq": freq, "--period": period,
            "--save": save, "--memory": memory, "--covariates": covariates,
            "--future": future}  # fmt: skip
    _refuse(many, "is for tables of many series; one series has --column and --index")
    history = files.read(data, column, index, lines=False)
    made = law.forecast(history, horizon, quantiles=quantiles, seed=seed, offset=offset)
    files.write_table(made, out)


def _refuse(given: dict[str, Any], why: str = "") -> None:
    wrong = [name for name, one in given.items() if one is not None]
    if wrong:
        why = why or (
            "is for one series and a saved model; the columns of a table of many are named by "
            "--id, --time and --value"
        )
        raise ParameterError(f"{wrong[0]} {why}.")


def _panel(
    source: Path, law: Any, columns: tuple[str | None, ...], freq: str | None, period: Any,
    covariates: str | None,
) -> AutoPanel | Panel:  # fmt: skip
    """The panel that forecasts: the saved one, or a new one for the table."""
    import arproc
    from arproc.data.long_tables import LONG
    from arproc.models.panel.files import check_suffix

    if law is None:
        if source.suffix == ".arproc":
            raise ParameterError(f"forecast takes the data too: arproc forecast {source} DATA ...")
        check_suffix(source)
        names = [given or usual for given, usual in zip(columns, LONG, strict=True)]
        beside = None if covariates is None else [one.strip() for one in covariates.split(",")]
        return arproc.AutoPanel(
            columns=names, freq=freq, period=period, errors="keep", covariates=beside
        )
    if not isinstance(law, (arproc.AutoPanel, arproc.Panel)):
        raise ParameterError(
            f"{source.name} holds a {type(law).__name__}, which forecasts nothing."
        )
    settled = {"--period": period, "--covariates": covariates}
    _refuse(settled, "was settled when this model was fitted")
    names = [given or own for given, own in zip(columns, law.columns, strict=True)]
    law.set_params(columns=names, errors="keep", **({} if freq is None else {"freq": freq}))
    return law


def _forecast_panel(
    panel: AutoPanel | Panel, data: Path, horizon: int, quantiles: tuple[float, ...],
    seed: int | None, offset: int | None, save: Path | None, out: Path | None,
    future: Path | None,
) -> None:  # fmt: skip
    from arproc.cli import files
    from arproc.models.panel.coming import Future
    from arproc.models.panel.covariates import check_covariates
    from arproc.models.panel.data import check_columns, read
    from arproc.models.panel.files import check_suffix, separated, write_columns

    for place in (out, save):
        if place is not None:
            files.check_out(place)
    if out is not None:
        check_suffix(out, written=True)
    fitted = panel.__sklearn_is_fitted__()
    beside = check_covariates(panel.covariates, check_columns(panel.columns))
    table = read(data, columns=panel.columns, freq=panel.freq, keep=True, covariates=beside)
    if not fitted:
        _refuse({"--offset": offset}, "is for a saved model")
        panel.fit(table)
        if save is not None:
            panel.save(save)
    history, after = (table if fitted else None), None
    if beside and future is not None:
        after = Future.of(future, check_columns(panel.columns), beside, panel.freq)
    made = panel.forecast(
        horizon=horizon, history=history, quantiles=quantiles, seed=seed, offset=offset,
        future=future if after is None else after,
    )  # fmt: skip
    if out is None:
        sys.stdout.write(separated(made))
    else:
        write_columns(made, out)
    _name_the_others(panel, table, {} if after is None else _lacking(made, after))


def _forecast_parts(
    panel: AutoPanel | Panel, data: Path, horizon: int, quantiles: tuple[float, ...], memory: str,
    freq: str | None, out: Path | None, future: Path | None,
) -> None:  # fmt: skip
    """From a Parquet file to another, in partitions of whole series."""
    import arproc
    from arproc.cli import files

    if out is None or out.suffix != ".parquet" or data.suffix not in (".parquet", ""):
        raise ParameterError(
            "--memory is for tables of Parquet, from a file (or a folder of such) to a file: give "
            f"--out forecasts.parquet; got {data.name} and {'no --out' if out is None else out}."
        )
    files.check_out(out)
    done = arproc.forecast_file(
        panel, data, horizon, out, quantiles, memory=memory, freq=freq, future=future
    )
    failed = zip(done.failed["series"], done.failed["reason"], strict=True)
    _name(dict(failed), done.n_series)


def _lacking(made: Any, future: Future) -> dict[Any, str]:
    """The series that have no forecasts because of covariates of their next steps, and why."""
    import pandas as pd

    frame = made.reset_index() if hasattr(made, "reset_index") else made.to_pandas()
    name, time = frame.columns[:2]
    found = {}
    for one, rows in frame[frame["mean"].isna()].groupby(name):
        if wrong := future.fault(one, pd.Index(rows[time])):
            found[one] = wrong
    return found


def _name_the_others(panel: AutoPanel | Panel, table: PanelData, lacking: dict[Any, str]) -> None:
    """The series that have no forecasts."""
    named = zip(panel.names_, panel.status_, strict=True)
    reasons = lacking | {name: reason for name, reason in named if reason != "ok"}
    reasons |= {table.names[i]: reason for i, reason in table.faults.items()}
    wrong = {name: reasons[name] for name in table.names if reasons.get(name, "ok") != "ok"}
    _name(wrong, len(table))


def _name(wrong: dict[Any, str], count: int) -> None:
    """Say on standard error which of so many series have no forecasts, and why."""
    if wrong:
        lines = [f"{name}: {' '.join(reason.split())}" for name, reason in wrong.items()]
        head = f"{len(wrong)} of {count} series have no forecast:"
        sys.stderr.write("\n".join([head, *lines]) + "\n")
