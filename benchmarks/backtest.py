"""A backtest of AR(5), 1,000 series, 10 origins, refit at each: `python -m benchmarks backtest`.

statsforecast's `cross_validation` does the same with its AR(5), on a few of the series, each one
after the other as it does, so its time is given for as many as ours. Both run on one core, in
turns, and make intervals; ours gives each outcome's log score too. ARPROC_STATSFORECAST_PYTHON
names the interpreter of an environment that has it, such as the one of `make statsforecast`.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from arproc import AR, Panel, backtest
from arproc.gaussian.levinson import pacf_to_coef
from benchmarks.timing import REDUCED

N, LENGTH, ORIGINS, FEW = (6, 60, 2, 2) if REDUCED else (1000, 200, 10, 10)
ROUNDS = 1 if REDUCED else 3

_PEER = """
import json, sys, time
import numpy as np, pandas as pd
from statsforecast import StatsForecast
from statsforecast.models import ARIMA, AutoRegressive
x, origins = np.load(sys.argv[1]), int(sys.argv[2])
def frame(x):
    return pd.concat([pd.DataFrame({"unique_id": f"{i:05d}", "ds": range(len(y)), "y": y})
                      for i, y in enumerate(x)])
kinds = {"AutoRegressive": lambda: AutoRegressive(lags=5, include_mean=True),
         "ARIMA CSS-ML": lambda: ARIMA(order=(5, 0, 0), method="CSS-ML")}
out = {}
for name, make in kinds.items():
    def run(x):
        StatsForecast([make()], freq=1, n_jobs=1).cross_validation(
            df=frame(x), h=1, step_size=1, n_windows=origins, refit=True, level=[90])
    run(x[:1])  # compiles
    begin = time.process_time()
    run(x)
    out[name] = time.process_time() - begin
print(json.dumps(out))
"""


def series() -> np.ndarray:
    """Draws of AR(5) processes, each with coefficients and a level of its own."""
    rng = np.random.default_rng(0)
    coef = pacf_to_coef(rng.uniform(-0.6, 0.6, (N, 5)))
    x = rng.normal(size=(N, LENGTH + 200))
    for t in range(5, x.shape[1]):
        x[:, t] += (coef * x[:, t - 5 : t][:, ::-1]).sum(axis=1)
    return np.ascontiguousarray(x[:, 200:] + rng.normal(0, 5, (N, 1)))


def ours(x: np.ndarray, method: str) -> float:
    """CPU seconds of our backtest."""
    begin = time.process_time()
    initial = "given" if method == "ols" else "stationary"
    model = Panel(AR(5, method=method, initial=initial))
    made = backtest(model, x, start=x.shape[1] - ORIGINS)
    assert len(made) == len(x) * ORIGINS
    return time.process_time() - begin


def peers(x: np.ndarray) -> dict[str, float]:
    """CPU seconds of statsforecast's."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.npy"
        np.save(path, x)
        python = os.environ["ARPROC_STATSFORECAST_PYTHON"]
        command = [python, "-W", "ignore", "-c", _PEER, str(path), str(ORIGINS)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    """Print how long both take."""
    x, methods = series(), ("mle", "ols")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    has_peer = "ARPROC_STATSFORECAST_PYTHON" in os.environ
    rounds: dict[str, list[float]] = {}
    for method in methods:
        ours(x[:5], method)  # compiles
    for _ in range(ROUNDS):
        for method in methods:
            rounds.setdefault(f"arproc, {method}", []).append(ours(x, method))
        for name, spent in (peers(x[:FEW]) if has_peer else {}).items():
            rounds.setdefault(f"statsforecast, {name}", []).append(spent * N / FEW)
    torch.set_num_threads(threads)
    print(f"{N} series of {LENGTH}, {ORIGINS} origins, refit at each, CPU seconds (medians)")
    base = statistics.median(rounds["arproc, mle"])
    for name, spent in rounds.items():
        middle = statistics.median(spent)
        print(f"{name:34} {middle:10.2f} s  {middle / base:8.1f} times arproc's mle")
    if not has_peer:
        print("statsforecast: not measured (set ARPROC_STATSFORECAST_PYTHON)")
