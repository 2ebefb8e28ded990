"""How long first calls take on a new machine: `python -m benchmarks first_call [NAME ...]`.

Each call runs in a process of its own with an empty cache of compiled loops: cold, when small
inputs are interpreted; compiling, when everything is compiled, as `arproc warm-up` has it; warm,
once more after that; and in a next process, which finds the loops in the cache. Seconds of the
clock, and of the processor in brackets, which other programs on the machine disturb less. What
imports take is printed apart and is not in the figures.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile

from benchmarks.timing import REDUCED

#: The largest a first call may take, and these eight together.
LIMIT, TOGETHER = 2.0, 10.0
EIGHT = (
    "ARIMA.fit", "Panel.fit", "NGram.fit", "NGram.sample", "NGram.log_prob", "PPM.fit",
    "MADE.sample", "MarkovSwitchingAR.fit",
)  # fmt: skip
CODE = """
import sys, time

def timed(call, *given):
    begin = time.perf_counter(), time.process_time()
    found = call(*given)
    print(time.perf_counter() - begin[0], time.process_time() - begin[1])
    return found

def load():
    import numba
    import arproc.compiled.jit

from arproc.warming import CALLS

prepare, run = CALLS[sys.argv[1]]
given = prepare()
timed(load)
timed(run, given)
from arproc.compiled.interpreted import nothing_interpreted
with nothing_interpreted():
    for _ in range(2):
        given = prepare()
        timed(run, given)
"""


def measure(name: str, cache: str) -> list[tuple[float, float]]:
    """Wall and processor seconds of importing numba; of the call first, compiling and warm."""
    environment = {**os.environ, "NUMBA_CACHE_DIR": cache, "ARPROC_QUIET": "1"}
    done = subprocess.run(
        [sys.executable, "-c", CODE, name],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    lines = [line.split() for line in done.stdout.strip().splitlines()[-4:]]
    return [(float(wall), float(cpu)) for wall, cpu in lines]


def main(arguments: list[str] | None = None) -> None:
    from arproc.warming import CALLS

    names = arguments or (["AR.sample"] if REDUCED else list(CALLS))
    unknown = [name for name in names if name not in CALLS]
    if unknown:
        raise SystemExit(f"there is no call {unknown[0]!r}; there are {', '.join(CALLS)}")
    print(
        f"{'seconds (of the processor)':28}{'cold':>16}{'compiling':>16}"
        f"{'next process':>16}{'warm':>16}"
    )
    cold: dict[str, tuple[float, float]] = {}
    for name in names:
        with tempfile.TemporaryDirectory() as cache:
            _, cold[name], compiling, warm = measure(name, cache)
            imports, kept, _, _ = measure(name, cache)
        late = "" if cold[name][0] <= LIMIT else f"  over {LIMIT:.0f} s"
        figures = "".join(map(_pair, (cold[name], compiling, kept, warm)))
        print(f"{name:28}{figures}{late}", flush=True)
    print(f"{'import numba':28}{'':32}{_pair(imports)}")
    eight = [cold[name] for name in EIGHT if name in cold]
    if len(eight) == len(EIGHT):
        wall, cpu = (sum(column) for column in zip(*eight, strict=True))
        print(f"the eight together: {wall:.1f} ({cpu:.1f}); to reach: {TOGETHER:.0f}")


def _pair(seconds: tuple[float, float]) -> str:
    wall, cpu = (f"{s:.2f}" if s >= 0.1 else f"{s:.3f}" for s in seconds)
    return f"{wall + f' ({cpu})':>16}"
