"""Panels: 10,000 series of length 500, an AR(5) of its own for each: `python -m benchmarks panel`.

statsmodels and statsforecast fit one series after the other, so their time is taken on a few
series, alternating with ours on all of them, and given in series a second. statsforecast needs an
older pandas: ARPROC_STATSFORECAST_PYTHON names the interpreter of an environment that has it, such
as the one of `make statsforecast`; it is left out otherwise.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from arproc import AR, Panel
from arproc.gaussian.levinson import pacf_to_coef
from benchmarks.timing import REDUCED

N, LENGTH, ORDER = (20, 60, 2) if REDUCED else (10_000, 500, 5)
ROUNDS = 2 if REDUCED else 7

_PEER = """
import sys, time
import numpy as np
from statsforecast.models import ARIMA, AutoRegressive

x = np.load(sys.argv[1])["x"]
for name, make in [("AutoRegressive", lambda: AutoRegressive(lags=5)),
                   ("ARIMA CSS-ML", lambda: ARIMA(order=(5, 0, 0), method="CSS-ML"))]:
    make().fit(x[0])  # compiles
    begin = time.perf_counter()
    for row in x:
        make().fit(row)
    print(f"{name};{len(x) / (time.perf_counter() - begin)}")
"""


def panel() -> np.ndarray:
    """Draws of AR(5) processes, each with coefficients and a level of its own."""
    rng = np.random.default_rng(0)
    coef = pacf_to_coef(rng.uniform(-0.6, 0.6, (N, ORDER)))
    x = rng.normal(size=(N, LENGTH + 200))
    for t in range(ORDER, x.shape[1]):
        x[:, t] += (coef * x[:, t - ORDER : t][:, ::-1]).sum(axis=1)
    return np.ascontiguousarray(x[:, 200:] + rng.normal(0, 5, (N, 1)))


def seconds(call: Callable[[], object]) -> float:
    """How long one call takes."""
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


def statsmodels_fit(x: np.ndarray) -> None:
    """AutoReg in a loop."""
    from statsmodels.tsa.ar_model import AutoReg

    for row in x:
        AutoReg(row, ORDER).fit()


def statsforecast_rates(x: np.ndarray) -> dict[str, float]:
    """Series a second of statsforecast's models, timed inside its own interpreter."""
    python = os.environ.get("ARPROC_STATSFORECAST_PYTHON")
    if python is None:
        print("statsforecast: not measured (set ARPROC_STATSFORECAST_PYTHON)")
        return {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "panel.npz"
        np.savez(path, x=x)
        done = subprocess.run(
            [python, "-c", _PEER, str(path)], capture_output=True, text=True, check=True
        )
    pairs = (line.split(";") for line in done.stdout.splitlines() if ";" in line)
    return {name: float(rate) for name, rate in pairs}


def main() -> None:
    """Print series a second of every fit, and how far ours is from one reading of the data."""
    x = panel()
    ols, exact = Panel(AR(ORDER, method="ols", initial="given")), Panel(AR(ORDER))
    for name, model in (("least squares", ols), ("exact likelihood", exact)):
        print(f"{name}: compiling and a first fit {seconds(lambda m=model: m.fit(x[:10])):.2g} s")
    few = x[:300]
    statsmodels_fit(few[:2])
    ours: dict[str, list[float]] = {"least squares": [], "exact likelihood": []}
    ratios = []
    reading = min(seconds(x.sum) for _ in range(ROUNDS))
    for _ in range(ROUNDS):
        ours["least squares"].append(seconds(lambda: ols.fit(x)))
        peer = seconds(lambda: statsmodels_fit(few)) / len(few)
        ratios.append(peer / (ours["least squares"][-1] / N))
        ours["exact likelihood"].append(seconds(lambda: exact.fit(x)))
    time_of = {name: statistics.median(values) for name, values in ours.items()}
    print(f"{N} series of {LENGTH} values, AR({ORDER}), {torch.get_num_threads()} thread(s)")
    for name, value in time_of.items():
        print(f"  {name}: {1e3 * value:.1f} ms, {N / value:,.0f} series/s")
    print(
        f"  reading the {x.nbytes / 1e6:.0f} MB once: {1e3 * reading:.1f} ms, of which least "
        f"squares takes {time_of['least squares'] / reading:.1f} times as long"
    )
    low, middle, high = statistics.quantiles(ratios, n=4)
    print(
        f"  statsmodels AutoReg ({len(few)} series): least squares is {middle:.0f} times as fast "
        f"(quartiles {low:.0f} to {high:.0f})"
    )
    rates = statsforecast_rates(x[:100])
    peers = {"AutoRegressive": "least squares", "ARIMA CSS-ML": "exact likelihood"}
    for name, ours_name in peers.items():
        if name in rates:
            rate = N / time_of[ours_name]
            print(
                f"  statsforecast {name} (100 series): {rates[name]:.1f} series/s; "
                f"{ours_name} is {rate / rates[name]:,.0f} times as fast"
            )
