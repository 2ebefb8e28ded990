"""Run benchmarks, one after another: `python -m benchmarks [--smallest] [NAME ...] [options]`.

All of them, if none is named; options after a single name are that benchmark's own. With
`--smallest` everything is as small as it can be and measured once, to see that it runs.
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import os
import pkgutil
from collections.abc import Callable, Sequence

import benchmarks

SHARED = {"__main__", "peers", "timing"}


def names() -> list[str]:
    """The benchmarks there are."""
    return [m.name for m in pkgutil.iter_modules(benchmarks.__path__) if m.name not in SHARED]


def main(arguments: Sequence[str] | None = None) -> None:
    found = names()
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(found)}")
    parser.add_argument("--smallest", action="store_true", help="as small as it can be, once")
    asked, options = parser.parse_known_args(arguments)
    unknown = [name for name in asked.names if name not in found]
    # what follows the one name may be words of its own, as recipes are
    if unknown and asked.names[0] in found and "arguments" in _parameters(asked.names[0]):
        asked.names, options = asked.names[:1], [*asked.names[1:], *options]
    elif unknown:
        parser.error(f"there is no benchmark {unknown[0]!r}; there are {', '.join(found)}")
    if options and len(asked.names) != 1:
        parser.error(f"{options[0]} is an option of one benchmark; name it alone")
    if asked.smallest:
        os.environ["BENCH_REDUCED"] = "1"  # before the benchmarks read it
    from benchmarks.timing import machine

    print(machine())
    for name in asked.names or found:
        if options and "arguments" not in _parameters(name):
            parser.error(f"{name} takes no options; got {options[0]}")
        print(f"\n== {name}", flush=True)
        run = _main_of(name)
        if "arguments" in _parameters(name):
            run(options)
        else:
            run()


def _main_of(name: str) -> Callable[..., None]:
    return importlib.import_module(f"benchmarks.{name}").main


def _parameters(name: str) -> set[str]:
    """What the benchmark's `main` takes."""
    return set(inspect.signature(_main_of(name)).parameters)


if __name__ == "__main__":
    main()
