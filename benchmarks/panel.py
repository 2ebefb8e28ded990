"""Panels: 10,000 series of length 500, an AR(5) of its own for each: `python -m benchmarks panel`.

Then 10,000 of length 200, an ARIMA(1, 1, 1) of its own for each, by exact likelihood.

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

from arproc import AR, ARIMA, Panel
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


_MOVING_PEER = """
import sys, time
import numpy as np
from statsforecast.models import ARIMA

x = np.load(sys.argv[1])["x"]
ARIMA(order=(1, 1, 1), method="CSS-ML").fit(x[0])  # compiles
begin, used = time.perf_counter(), time.process_time()
for row in x:
    ARIMA(order=(1, 1, 1), method="CSS-ML").fit(row)
print(f"wall;{(time.perf_counter() - begin) / len(x)}")
print(f"processor;{(time.process_time() - used) / len(x)}")
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


def moving_panel() -> np.ndarray:
    """Draws of ARIMA(1, 1, 1), the same law for each, [N, 200]."""
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(N, 300))
    w = noise.copy()
    for t in range(1, 300):
        w[:, t] += 0.6 * w[:, t - 1] + 0.4 * noise[:, t - 1]
    return np.cumsum(w, axis=1)[:, 100:]


def moving() -> None:
    """Print the time of ARIMA(1, 1, 1), exact, beside statsforecast's on 200 of the series."""
    x, model, few = moving_panel(), Panel(ARIMA((1, 1, 1))), 5 if REDUCED else 200
    model.fit(x)  # compiles
    begin, used = time.perf_counter(), time.process_time()
    model.fit(x)
    wall, processor = time.perf_counter() - begin, time.process_time() - used
    print(f"{N} series of {x.shape[1]} values, ARIMA(1, 1, 1): {wall:.2f} s, {processor:.2f} s of")
    print(f"  processors; {1e6 * processor / N:.0f} microseconds of these a series")
    peer = statsforecast_rates(x[:few], _MOVING_PEER)
    for name, ours in (("wall", wall), ("processor", processor)):
        if name in peer:
            ratio = peer[name] * N / ours
            print(f"  statsforecast ARIMA CSS-ML ({few} series): {ratio:.0f} times ({name} time)")


def statsforecast_rates(x: np.ndarray, program: str = _PEER) -> dict[str, float]:
    """What a program with statsforecast prints of its times, in its own interpreter."""
    python = os.environ.get("ARPROC_STATSFORECAST_PYTHON")
    if python is None:
        print("statsforecast: not measured (set ARPROC_STATSFORECAST_PYTHON)")
        return {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "panel.npz"
        np.savez(path, x=x)
        done = subprocess.run(
            [python, "-c", program, str(path)], capture_output=True, text=True, check=True
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
    moving()
