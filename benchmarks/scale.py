"""Very many series from Parquet to Parquet by `AutoPanel()`: `python -m benchmarks scale`.

The monthly series, of 100 to 200 values, are made here: in turn positive ones with a season and a
trend, random walks with a drift, counts, and levels with a season of their own. An argument says
how many there are (100,000 by default; more are the same again under other names), another the
ceiling on memory; its peak is that of the process.
statsforecast published 36 minutes on 2,000 CPUs of a Ray cluster for auto_arima on a million.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np

from benchmarks.timing import REDUCED, machine
from benchmarks.timing import memory as bytes_of

BATCH = 5_000  # series that are made at once
DISTINCT = 100_000  # from there on they come again, under other names
_CALL = """
import sys, time
import arproc
from benchmarks.timing import memory as bytes_of
memory, source, out = sys.argv[1:]
begin, spent = time.perf_counter(), time.process_time()
done = arproc.forecast_file(arproc.AutoPanel(), source, 12, out, memory=memory)
peak = bytes_of() / 1e9
print(f"{done.n_series} {time.perf_counter() - begin} {time.process_time() - spent} {peak} "
      f"{len(done.failed)}")
"""


@cache
def rows(first: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Values and lengths of some series, the same however they are asked for."""
    values, lengths = [], []
    for i in range(first, first + count):
        rng = np.random.default_rng(i)
        n = int(rng.integers(100, 201))
        t, noise = np.arange(n), rng.standard_normal(n)
        kind = i % 4
        if kind == 0:
            season = rng.uniform(0, 0.4) * np.sin(2 * np.pi * (t + rng.integers(12)) / 12)
            x = np.exp(5 + 0.003 * t + season + 0.05 * noise)
        elif kind == 1:
            x = np.exp(6 + np.cumsum(0.002 + 0.04 * noise))
        elif kind == 2:
            x = rng.poisson(rng.uniform(0.5, 8), n).astype(float)
        else:
            season = np.cos(2 * np.pi * (t + rng.integers(12)) / 12)
            x = 3 * season + noise + 0.1 * np.cumsum(rng.standard_normal(n))
        values.append(x)
        lengths.append(n)
    return np.concatenate(values), np.array(lengths)


def write(path: Path, count: int) -> int:
    """Write a long table of so many series; the number of its rows."""
    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet as pq

    months = pa.array(pd.date_range("2000-01-01", periods=200, freq="MS").as_unit("ms"))
    total, writer = 0, None
    for first in range(0, count, BATCH):
        x, lengths = rows(first % DISTINCT, min(BATCH, count - first))
        numbers = range(first, first + len(lengths))
        names = pa.array([f"series {i:07d}" for i in numbers]).take(
            pa.array(np.repeat(np.arange(len(numbers)), lengths))
        )
        at = np.concatenate([np.arange(200 - n, 200) for n in lengths])
        table = pa.table({"unique_id": names, "ds": months.take(pa.array(at)), "y": x})
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(table)
        total += len(table)
    if writer is not None:
        writer.close()
    return total


def main(arguments: Sequence[str] = ()) -> None:
    """Print seconds and memory for a number of series and a ceiling on memory."""
    count = int(arguments[0]) if arguments else 400 if REDUCED else 100_000
    memory = arguments[1] if len(arguments) > 1 else "3GB"
    print(machine())
    with tempfile.TemporaryDirectory() as folder:
        source, out = Path(folder) / "panel.parquet", Path(folder) / "forecasts.parquet"
        begin = time.perf_counter()
        total = write(source, count)
        print(
            f"made {count} series, {total} values, {source.stat().st_size / 1e6:.0f} MB "
            f"({time.perf_counter() - begin:.0f} s)"
        )
        found = subprocess.run(
            [sys.executable, "-c", _CALL, memory, str(source), str(out)],
            check=True, capture_output=True, text=True,
        )  # fmt: skip
        series, seconds, spent, peak, failed = found.stdout.split()[-5:]
        per = float(seconds) / count
        print(
            f"{series} series in {float(seconds):.1f} s ({float(spent):.1f} s of CPU, "
            f"{1e3 * float(spent) / count:.2f} ms a series), {failed} without a forecast; memory "
            f"{float(peak):.2f} GB at most (memory={memory!r}); a million at this pace: "
            f"{per * 1e6 / 60:.0f} min; written {out.stat().st_size / 1e6:.0f} MB"
        )
        print(f"this process: {bytes_of() / 1e9:.2f} GB")
