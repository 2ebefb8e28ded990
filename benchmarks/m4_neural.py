"""One network for all 414 series of M4 Hourly: `python -m benchmarks m4_neural [--held-out]`.

A `NeuralAR` of the series' logarithms sees two weeks, on the scale of their first values, and
which series it is, and learns from half of its stretches with its own draws in them; the forecast
is the median of paths. The recipe was chosen on ends of the training parts (`--held-out` scores
their last 48 values, and reads no test part). Beside it stand `AutoPanel()`, which is told nothing
either, an `AutoPanel` that is told the seasons, and means of them, quantile by quantile.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence

import numpy as np

import arproc
from arproc.evaluation import msis, owa
from arproc.models.panel import seasonal_candidates
from benchmarks.m4 import DATA, HORIZON, SEASON, naive_2, point_scores, series
from benchmarks.timing import REDUCED

ORDER, PATHS, LEVELS = 336, 200, (0.025, 0.5, 0.975)
PUBLISHED = {  # OWA, MSIS; networks trained on these series alone, and the best zero-shot models
    "N-BEATS": (0.606, None),
    "DeepAR": (1.183, None),
    "best zero-shot models": (0.364, 5.45),
}


def network_of(count: int) -> arproc.NeuralAR:
    """The recipe for so many series."""
    steps, batch = (2, 2) if REDUCED else (6000, 32)
    training = arproc.Training(steps=steps, batch_size=batch, lr=0.003, ema=0.99, optimizer="muon")
    return arproc.NeuralAR(
        ORDER, 2, 128, head="student_t", scaling=ORDER, block=HORIZON, own_draws=0.5,
        classes=count, training=training,
    )  # fmt: skip


def neural(train: list[np.ndarray]) -> np.ndarray:
    """Quantiles at `LEVELS` of each series and step, [3, N, H]."""
    logs, labels = [np.log(x) for x in train], np.arange(len(train))
    model = network_of(len(train)).fit(logs, context=labels)
    histories = np.array([x[-ORDER:] for x in logs])
    paths = model.sample_paths(histories, HORIZON, n_paths=PATHS, context=labels, seed=0)
    paths = np.exp(np.asarray(paths)).reshape(len(train), HORIZON, PATHS)
    return np.quantile(paths, LEVELS, axis=2)


def automatic(train: list[np.ndarray], told: bool) -> np.ndarray:
    """The same of `AutoPanel()`; or, told the seasons, of it and autoregressions of logarithms."""
    candidates = ["auto", *seasonal_candidates([24, 168], log=True)] if told else None
    table = arproc.AutoPanel(candidates, validation=HORIZON).fit(train).forecast(HORIZON, LEVELS)
    return table[list(LEVELS)].to_numpy().reshape(len(train), HORIZON, 3).transpose(2, 0, 1)


def main(arguments: Sequence[str] = ()) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks m4_neural", description=__doc__)
    parser.add_argument("--held-out", action="store_true", help="score the training parts' ends")
    held_out = parser.parse_args(arguments).held_out
    if not (DATA / "m4_hourly_train.csv.gz").exists():
        print(f"no M4 data in {DATA} (ARPROC_DATA names another folder)")
        return
    train = series("train")[: 6 if REDUCED else None]
    if held_out:
        actual, train = np.array([x[-HORIZON:] for x in train]), [x[:-HORIZON] for x in train]
    else:
        actual = np.array(series("test")[: len(train)])
    begin = time.perf_counter()
    found = {"NeuralAR": neural(train)}
    seconds = time.perf_counter() - begin
    found["AutoPanel()"] = automatic(train, told=False)
    found["the mean of both"] = (found["NeuralAR"] + found["AutoPanel()"]) / 2
    found["AutoPanel, told the seasons"] = automatic(train, told=True)
    both = (found["NeuralAR"], found["AutoPanel, told the seasons"])
    found["1/3 NeuralAR, 2/3 of that"] = np.average(both, axis=0, weights=[1, 2])
    naive = point_scores(np.array([naive_2(x) for x in train]), train, actual)
    print(f"{'':34}{'sMAPE':>8}{'MASE':>8}{'OWA':>8}{'MSIS':>8}")
    for name, (low, median, high) in found.items():
        scores = point_scores(median, train, actual)
        ends = zip(low, high, actual, train, strict=True)
        width = np.mean([msis(a, b, y, x, SEASON) for a, b, y, x in ends])
        values = (scores[0].mean(), scores[1].mean(), owa(*scores, *naive), width)
        print(f"{name:34}" + "".join(f"{value:8.3f}" for value in values))
    for name, row in PUBLISHED.items():
        cells = "".join(f"{'' if value is None else format(value, '.3f'):>8}" for value in row)
        print(f"{name + ' (published)':34}{'':16}{cells}")
    print(f"{len(train)} series, the network in {seconds:.0f} s")
