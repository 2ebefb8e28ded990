"""M4 Hourly, 414 series, horizon 48: accuracy beside the competition's: `python -m benchmarks m4`.

Autoregressions are weighted by their errors in the last 48 values of each training part, and
fitted again to all of it; the test part is read for the scores alone. The competition's rows are
those of its published evaluation; the naive ones are computed here as well, and must equal them.
"""

from __future__ import annotations

import csv
import gzip
import os
import time
from pathlib import Path

import numpy as np

from arproc.evaluation import mase, msis, owa, smape
from arproc.models.panel import AutoPanel, seasonal_candidates
from benchmarks.timing import REDUCED

HORIZON, SEASON = 48, 24

DATA = Path(os.environ.get("ARPROC_DATA", Path(__file__).parents[2] / "shared" / "data"))
PUBLISHED = {  # sMAPE, MASE, OWA, MSIS
    "seasonal naive": (13.912, 1.193, 0.627, None),
    "Naive 2": (18.383, 2.395, 1.000, None),
    "Theta": (18.138, 2.455, 1.006, None),
    "ARIMA": (None, None, None, 7.538),
    "238, best intervals": (None, None, None, 6.139),
    "245 Montero-Manso": (11.506, 0.819, 0.484, 18.509),
    "118 Smyl, the winner": (9.328, 0.893, 0.440, 7.928),
}


def series(part: str) -> list[np.ndarray]:
    """The series of the part "train" or "test"."""
    with gzip.open(DATA / f"m4_hourly_{part}.csv.gz", "rt") as file:
        rows = list(csv.reader(file))[1:]
    return [np.array([float(value) for value in row[1:] if value]) for row in rows]


def seasonal_naive(x: np.ndarray) -> np.ndarray:
    """The last season, repeated."""
    return np.tile(x[-SEASON:], HORIZON // SEASON)


def naive_2(x: np.ndarray) -> np.ndarray:
    """The last value, seasonally adjusted where the autocorrelation at the season is significant.

    As the competition has it: classical multiplicative decomposition, a test at 90%.
    """
    n, y = len(x), x - x.mean()
    acf = np.array([y[k:] @ y[: n - k] for k in range(SEASON + 1)]) / (y @ y)
    if abs(acf[SEASON]) <= 1.645 * np.sqrt((1 + 2 * (acf[1:SEASON] ** 2).sum()) / n):
        return np.full(HORIZON, x[-1])
    half = SEASON // 2
    weights = np.r_[0.5, np.ones(SEASON - 1), 0.5] / SEASON
    ratio = np.full(n, np.nan)
    ratio[half : n - half] = x[half : n - half] / np.convolve(x, weights, "valid")
    index = np.array([np.nanmean(ratio[k::SEASON]) for k in range(SEASON)])
    index /= index.mean()
    return x[-1] / index[(n - 1) % SEASON] * index[(n + np.arange(HORIZON)) % SEASON]


def point_scores(
    forecasts: np.ndarray, train: list[np.ndarray], test: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """sMAPE and MASE of each series."""
    scaled = [mase(f, y, x, SEASON) for f, y, x in zip(forecasts, test, train, strict=True)]
    return smape(forecasts, test), np.array(scaled)


def main() -> None:
    """Print the table."""
    if not (DATA / "m4_hourly_train.csv.gz").exists():
        print(f"no M4 data in {DATA} (ARPROC_DATA names another folder)")
        return
    train = series("train")[: 6 if REDUCED else None]
    AutoPanel(seasonal_candidates([3, 6], log=True), 6).fit(
        [x[:80] for x in train[:3]]
    )  # compiles
    begin = time.perf_counter()
    model = AutoPanel(seasonal_candidates([24, 168], log=True), validation=HORIZON).fit(train)
    table = model.forecast(HORIZON, quantiles=(0.025, 0.5, 0.975))
    seconds = time.perf_counter() - begin
    low, median, high = table[[0.025, 0.5, 0.975]].to_numpy().reshape(len(train), HORIZON, 3).T
    told = AutoPanel(validation=HORIZON).fit(train).forecast(HORIZON, (0.025, 0.5, 0.975))
    told = told[[0.025, 0.5, 0.975]].to_numpy().reshape(len(train), HORIZON, 3).T
    test = np.array(series("test")[: len(train)])
    naive = point_scores(np.array([naive_2(x) for x in train]), train, test)
    ours = {
        "arproc, autoregressions": point_scores(median.T, train, test),
        "arproc, AutoPanel()": point_scores(told[1].T, train, test),
        "seasonal naive": point_scores(np.array([seasonal_naive(x) for x in train]), train, test),
        "Naive 2": naive,
    }
    intervals = {
        name: np.mean([
            msis(a, b, y, x, SEASON) for a, b, y, x in zip(*ends, test, train, strict=True)
        ])
        for name, ends in zip(ours, ((low.T, high.T), (told[0].T, told[2].T)), strict=False)
    }  # fmt: skip
    coverage = float(((test >= low.T) & (test <= high.T)).mean())
    print(f"{'':34}{'sMAPE':>8}{'MASE':>8}{'OWA':>8}{'MSIS':>8}")
    for name, scores in ours.items():
        values = (scores[0].mean(), scores[1].mean(), owa(*scores, *naive))
        last = f"{intervals[name]:8.3f}" if name in intervals else ""
        print(f"{name:34}{values[0]:8.3f}{values[1]:8.3f}{values[2]:8.3f}{last}")
    for name, row in PUBLISHED.items():
        cells = "".join(f"{'' if v is None else format(v, '.3f'):>8}" for v in row)
        print(f"{name + ' (published)':34}{cells}")
    print(f"{len(train)} series in {seconds:.1f} s; 95% intervals hold {100 * coverage:.1f}%")
