"""`python -m tests.hostile`: see the package's docstring."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import argparse

import torch

from .campaign import campaign, saved
from .child import Task, case
from .kinds import KINDS
from .mutations import MUTATIONS, Content, write_mutant
from .report import faults_of, report


def main() -> int:
    """Run it; the exit status says whether there was a fault."""
    torch.set_num_threads(1)
    options = _options()
    kinds = options.kinds or list(KINDS)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(options.models or temporary)
        folder.mkdir(exist_ok=True)
        paths = saved(kinds, folder)
        if options.case is not None:
            return _write_one(options, paths)
        cases = campaign(
            paths,
            Path(temporary),
            options.seconds,
            options.seed,
            tuple(options.mutations or MUTATIONS),
            options.workers,
            cases=options.cases,
        )
    print(report(cases))
    return bool(faults_of(cases))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.hostile", description=__doc__)
    parser.add_argument("--seconds", type=float, default=300.0, help="for all kinds together")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kinds", nargs="*", choices=list(KINDS), metavar="KIND")
    parser.add_argument("--mutations", nargs="*", choices=list(MUTATIONS), metavar="MUTATION")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--models", help="a folder that keeps the sound files for the next time")
    parser.add_argument("--cases", type=int, help="at most so many files of each kind")
    parser.add_argument(
        "--case",
        metavar="KIND:NUMBER",
        help="write this file to --out, and stop; its grafts are of the other --kinds",
    )
    parser.add_argument("--out", default="mutant.arproc")
    return parser.parse_args()


def _write_one(options: argparse.Namespace, paths: dict[str, Path]) -> int:
    kind, _, number = options.case.rpartition(":")
    origin = paths[kind]
    task = Task(kind, origin, {}, Path(), options.seed, tuple(options.mutations or MUTATIONS))
    name, rng = case(task, int(number))
    others = [Content.of(path) for path in paths.values()]
    write_mutant(origin, Content.of(origin), Path(options.out), name, rng, others)
    print(f"{options.out}: {kind}, {name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
