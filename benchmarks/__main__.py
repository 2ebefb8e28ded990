"""Run every benchmark, one after another: `python -m benchmarks [name ...]`."""

from __future__ import annotations

import importlib
import pkgutil
import sys

import benchmarks
from benchmarks.timing import machine

SHARED = {"__main__", "peers", "quality", "timing"}


def main(names: list[str]) -> None:
    found = [m.name for m in pkgutil.iter_modules(benchmarks.__path__) if m.name not in SHARED]
    unknown = [name for name in names if name not in found]
    if unknown:
        sys.exit(f"there is no benchmark {unknown[0]!r}; there are {', '.join(found)}")
    print(machine())
    for name in names or found:
        print(f"\n== {name}", flush=True)
        importlib.import_module(f"benchmarks.{name}").main()


if __name__ == "__main__":
    main(sys.argv[1:])
