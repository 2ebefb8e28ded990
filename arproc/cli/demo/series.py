"""Time series: sunspot numbers and CO2."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from arproc.cli.demo.judging import Drawn, Subject
from arproc.cli.demo.report import Report
from arproc.contract.places import write_text

if TYPE_CHECKING:
    import pandas as pd

    from arproc.process import Process

__all__ = ["co2", "sunspots"]


def sunspots(report: Report) -> Subject:
    """AR of the order that AIC chooses, against two small ones; a forecast of 30 years."""
    import pandas as pd

    import arproc
    from arproc import plot

    train, valid, test = arproc.datasets.sunspots()
    history = pd.concat([train, valid])
    report.heading("Sunspot numbers, 1700-2008: AR, its order by AIC")
    chosen = arproc.select_order(history, max_order=20)
    aic = chosen.table["aic"]
    near = ", ".join(f"{p}: {aic[p]:.1f}" for p in aic.nsmallest(3).index)
    report.say(f"AIC of the orders 0 to 20 on {len(history)} years is least at p = {near}.")
    models: dict[str, Process] = {f"AR({p})": arproc.AR(p).fit(history) for p in (1, 2)}
    name = f"AR({chosen.order}) by AIC"
    models[name] = best = chosen.model
    whole = pd.concat([history, test])
    report.compared(
        arproc.compare(models, whole, given=len(history)),
        f"Next-year forecasts of {len(test)} held-out years (1979-2008)",
        _scores(models, history, test),
    )
    forecast = best.forecast(history, horizon=len(test))
    report.say(f"Forecast of all {len(test)} years at once: {_coverage(forecast, test)}.")
    report.picture(
        plot.forecast_fan(history.iloc[-70:], forecast, test),
        "sunspots-forecast.png",
        "30 years ahead, with intervals, and what came",
        f"{name}: sunspot numbers, forecast from 1978",
    )
    report.picture(
        plot.pit_histogram(arproc.evaluation.pit(best, whole)),
        "sunspots-pit.png",
        "calibration: level if the forecasts' widths are right",
        f"{name}: PIT of next-year forecasts, 1700-2008",
    )
    write_text(report.folder / "sunspots-forecast.csv", forecast.to_csv())
    report.files.append(("sunspots-forecast.csv", "the forecast's mean and quantiles"))
    report.took()
    drawn = Drawn(
        f"{name}: a drawn series", best.sample(1, len(history), seed=4)[0], history, None
    )
    title, options = "Sunspot numbers", {"given": len(history)}
    return Subject("sunspots-report", title, models, whole, options, drawn)


def co2(report: Report) -> Subject:
    """A trend and a season: three laws of the same values, each on the user's own scale."""
    import pandas as pd

    import arproc
    from arproc import plot
    from arproc.transforms import Difference, Transformed

    train, valid, test = arproc.datasets.co2()
    history = pd.concat([train, valid])
    report.heading("CO2 at Mauna Loa, monthly, 1964-2001: a trend and a season")
    yearly = Transformed(arproc.AR(24), Difference(12))
    models: dict[str, Process] = {
        "AR(25) about a line": arproc.AR(25, trend="ct"),
        "AR(24) of monthly differences": Transformed(arproc.AR(24), Difference(1)),
        "AR(24) of both differences": Transformed(yearly, Difference(1)),
    }
    for model in models.values():
        model.fit(history)
    whole = pd.concat([history, test])
    report.compared(
        arproc.compare(models, whole, given=len(history)),
        f"Next-month forecasts of {len(test)} held-out months (1997-2001)",
        _scores(models, history, test),
    )
    report.say("Five years ahead, the mean absolute error of the forecast's mean:")
    forecasts = {
        name: model.forecast(history, len(test), seed=0) for name, model in models.items()
    }
    errors = {name: float((f["mean"] - test).abs().mean()) for name, f in forecasts.items()}
    for name, error in errors.items():
        report.say(f"  {name}: {error:.2f} ppm")
    best = min(errors, key=lambda name: errors[name])
    report.picture(
        plot.forecast_fan(history.iloc[-96:], forecasts[best], test),
        "co2-forecast.png",
        "five years ahead, with intervals, and what came",
        f"{best}: CO2 at Mauna Loa, forecast from 1996",
    )
    report.took()
    options = {"given": len(history)}
    return Subject("co2-report", "CO2 at Mauna Loa", models, whole, options)


def _scores(models: dict[str, Process], history: pd.Series, test: pd.Series) -> pd.DataFrame:
    """The mean CRPS of the next-step forecasts of `test`, in the data's unit."""
    import pandas as pd

    from arproc import evaluation

    whole = pd.concat([history, test])
    means = {
        name: float(np.asarray(evaluation.crps(model, whole))[-len(test) :].mean())
        for name, model in models.items()
    }
    return pd.DataFrame({"mean CRPS": means})


def _coverage(forecast: pd.DataFrame, test: pd.Series) -> str:
    inside = int(((test >= forecast[0.05]) & (test <= forecast[0.95])).sum())
    error = float((forecast["mean"] - test).abs().mean())
    return f"{inside} lie in the 90% intervals; the mean absolute error is {error:.1f}"
