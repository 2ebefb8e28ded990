"""How long `import arproc` takes once torch is imported, and what it brings in.

python -m benchmarks import_time
"""

from __future__ import annotations

import statistics
import subprocess
import sys

from benchmarks.timing import REDUCED

HEAVY = ("matplotlib", "numba", "pandas", "scipy", "sklearn", "statsmodels", "typer")
CODE = """
import sys, time, torch
before = set(sys.modules)
begin = time.perf_counter()
import arproc
print(time.perf_counter() - begin)
print(" ".join(sorted({name.partition(".")[0] for name in set(sys.modules) - before})))
"""


def main() -> None:
    seconds, modules = [], ""
    for _ in range(2 if REDUCED else 9):
        done = subprocess.run(
            [sys.executable, "-c", CODE], capture_output=True, text=True, check=True
        )
        first, modules = done.stdout.strip().split("\n")
        seconds.append(float(first))
    quartiles = statistics.quantiles(seconds, n=4)
    heavy = [name for name in HEAVY if name in modules.split()]
    print(
        f"import arproc after torch: {quartiles[1]:.3f} s (quartiles {quartiles[0]:.3f} to "
        f"{quartiles[2]:.3f}; to reach: under 0.4); heavy packages imported: {heavy or 'none'}"
    )
