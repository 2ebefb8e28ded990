"""`python -m tests.mutants`: do the tests notice small faults in the code?

A seeded sample of mutants of the contract, the engine, the spaces and the scores is shown to the
tests that run the mutated function: first those that mirror its file, then the zoo of
`check_process` and a few models. What no test notices is written down as equivalent, with the
reason, in `equivalent.toml`, or it is a hole in the tests. The exit status is 1 where survivors
have no name, fewer than nine in ten are killed, or a name has lost its mutant.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
import tomllib
from collections import Counter
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

from .bench import ROOT, SLACK, Job, copy_trees, run_tests, warm, work
from .operators import Mutant, find
from .reach import Reach, restore

CODE = (
    "arproc/contract", "arproc/process", "arproc/sampling", "arproc/evaluation",
    "arproc/distributions", "arproc/spaces", "arproc/data/form", "arproc/data/arrays",
    "arproc/data/vectors", "arproc/data/intake",
)  # fmt: skip
MIRRORED = (
    "tests/contract", "tests/sampling", "tests/evaluation", "tests/distributions",
    "tests/test_spaces", "tests/test_values", "tests/data/test_arrays",
    "tests/data/test_intake", "tests/data/tables/test_frames",
)  # fmt: skip
#: What survivors are shown at last: the suite of checks, over its healthy and broken processes.
LAST = ("tests/testing/test_zoo.py",)
KEPT = ROOT / ".mutants"
#: A mutant's tests are taken by rank and cost until they cost this many seconds.
BUDGET = 25.0
LEAST_KILLED = 0.9


def paths(prefixes: tuple[str, ...], pattern: str = "*.py") -> list[str]:
    """The files that lie under these, or whose names begin so, from the root of the repository."""
    found = []
    for prefix in prefixes:
        folder, name = ROOT / prefix, Path(prefix).name
        within = folder.rglob(pattern) if folder.is_dir() else []
        beside = folder.parent.glob(f"{name}.py") if folder.suffix != ".py" else [folder]
        found += [str(p.relative_to(ROOT)) for p in [*within, *beside] if p.is_file()]
    return sorted(set(found))


def sample(seed: int, count: int, only: str) -> list[Mutant]:
    """The first `count` mutants in the seed's order."""
    files = [path for path in paths(CODE) if path.startswith(only)]
    mutants = [m for path in files for m in find(path, (ROOT / path).read_bytes())]
    return sorted(mutants, key=lambda m: m.rank(seed))[:count]


def equivalents() -> dict[str, str]:
    """The mutants that no test can kill, with the reason."""
    with (Path(__file__).parent / "equivalent.toml").open("rb") as file:
        return tomllib.load(file)


def choose(mutant: Mutant, known: list[tuple[str, float, frozenset[str]]]) -> dict[str, float]:
    """The tests that are run for a mutant, in their order, and their seconds.

    Those of the file of the same name come first, then those of the same folder.
    """
    key, path = f"{mutant.path}::{mutant.function}", Path(mutant.path)
    no_function = not any(key in reached for *_, reached in known)
    ranked: list[tuple[int, float, str]] = []
    for test, seconds, reached in known:
        file = Path(test.partition("::")[0])
        same = file.stem.removeprefix("test_") == path.stem
        rank = 0 if same else 1 if file.parent.name == path.parent.name else 2
        # what stands in a class or a module is run by whoever imports it
        if key in reached or (no_function and rank < 2):
            ranked.append((rank, seconds, test))
    chosen: dict[str, float] = {}
    for _, seconds, test in sorted(ranked):
        if not chosen or sum(chosen.values()) + seconds <= BUDGET:
            chosen[test] = seconds
    return chosen


class Campaign:
    """The run over a sample: what is known of each mutant is kept, and not asked again."""

    def __init__(self, kept: Path, retry: bool, start: float) -> None:
        self.kept, self.start = kept, start
        lines = kept.read_text().splitlines() if kept.exists() else []
        known = {r["identity"]: r for r in map(json.loads, lines)}
        self.known = {k: r for k, r in known.items() if not (retry and r["state"] == "survived")}

    def jobs(self, mutants: list[Mutant], stage: str, reach: Reach) -> Iterator[Job]:
        known = reach.tests()
        for mutant in mutants:
            before = self.known.get(mutant.identity, {})
            same = before.get("hash") == _hash(mutant.path)
            if same and (before["state"] != "survived" or stage in before["stages"]):
                continue
            chosen = choose(mutant, known)
            stages = [*(before["stages"] if same else []), stage]
            yield Job(
                SLACK * sum(chosen.values()) + self.start,
                lambda copy, m=mutant: _write(copy, m),
                lambda copy, chosen=list(chosen): _try(copy, chosen),
                lambda copy, code, m=mutant, s=stages: self.take(copy, code, m, s),
            )

    def take(self, copy: Path, code: int, mutant: Mutant, stages: list[str]) -> None:
        restore(copy, mutant.path)
        result = verdict(copy, code) | {"identity": mutant.identity, "stages": stages}
        if len(stages) > 1 and "ran" in result:
            result["ran"] += self.known[mutant.identity]["ran"]
        result |= {"hash": _hash(mutant.path), "line": mutant.line}
        self.known[mutant.identity] = result
        with self.kept.open("a") as file:
            file.write(json.dumps(result) + "\n")
        print(f"{result['state']:9s} {mutant.identity} (line {mutant.line})", flush=True)


def _write(copy: Path, mutant: Mutant) -> None:
    (copy / mutant.path).write_bytes(mutant.apply((ROOT / mutant.path).read_bytes()))
    (copy / ".note").write_text(json.dumps({"last": "import"}))


def _try(copy: Path, chosen: list[str]) -> None:
    files = list(dict.fromkeys(test.partition("::")[0] for test in chosen))
    by, ran = "", 0
    if chosen:
        watch = run_tests(files, {test: i for i, test in enumerate(chosen)}, copy / ".note")
        ran = len(watch.ran)
        by = watch.failed or ("" if ran == len(chosen) else "a run cut short")
    (copy / ".note").write_text(json.dumps({"by": by, "ran": ran}))


def verdict(copy: Path, code: int) -> dict[str, Any]:
    """What the fork left behind: killed, timed out or survived, and by which test."""
    note = json.loads((copy / ".note").read_text())
    if code in (-signal.SIGXCPU, -signal.SIGALRM, -signal.SIGKILL):
        return {"state": "timed out", "by": note.get("last", "")}
    if code or "by" not in note:
        return {"state": "killed", "by": f"{note.get('last', 'import')} (exit {code})"}
    return {"state": "killed" if note["by"] else "survived", "by": note["by"], "ran": note["ran"]}


def report(mutants: list[Mutant], known: dict[str, Any]) -> int:
    """Print the table; the exit status."""
    named = equivalents()
    results = [known[m.identity] for m in mutants]
    states = Counter(r["state"] for r in results)
    kinds = Counter((m.operator, known[m.identity]["state"]) for m in mutants)
    print(f"\n{'kind of fault':24s} {'killed':>9s} {'timed out':>9s} {'survived':>9s}")
    for operator in sorted({m.operator for m in mutants}):
        cells = [f"{kinds[operator, s]:9d}" for s in ("killed", "timed out", "survived")]
        print(f"{operator:24s}", *cells)
    survivors = [m for m in mutants if known[m.identity]["state"] == "survived"]
    print("\nsurvivors:" if survivors else "\nno survivors")
    for mutant in survivors:
        reason = named.get(mutant.identity, "NOT NAMED: write a test, or say why none can be")
        ran = known[mutant.identity].get("ran", 0)
        print(f"  {mutant.identity} (line {mutant.line}, {ran} tests)\n      {reason}")
    unnamed = [m for m in survivors if m.identity not in named]
    killed = states["killed"] + states["timed out"]
    share = killed / max(len(mutants), 1)
    lost = stale()
    for identity in lost:
        print(f"named, but no such mutant is left: {identity}")
    print(f"\n{killed} of {len(mutants)} killed ({share:.1%}), {len(survivors)} survived, "
          f"{len(unnamed)} of them without a name")  # fmt: skip
    return int(bool(unnamed or lost or share < LEAST_KILLED))


def stale() -> list[str]:
    """Names in `equivalent.toml` whose code has changed: they are to be looked at again."""
    files = {identity.partition("::")[0] for identity in equivalents()}
    sources = {path: (ROOT / path).read_bytes() for path in files if (ROOT / path).is_file()}
    there = {m.identity for path, source in sources.items() for m in find(path, source)}
    return sorted(set(equivalents()) - there)


def _hash(path: str) -> str:
    return sha256((ROOT / path).read_bytes()).hexdigest()[:16]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("--seed", type=int, default=0, help="which sample")
    parser.add_argument("--count", type=int, default=200, help="how many mutants")
    parser.add_argument("--only", default="", help="only files whose path begins so")
    parser.add_argument("--workers", type=int, default=2, help="processes at once")
    parser.add_argument("--retry", action="store_true", help="show survivors to the tests again")
    parser.add_argument("--list", action="store_true", help="print the sample and stop")
    help_start = "what a run may take beside four times what its tests took"
    parser.add_argument("--start", type=float, default=30.0, metavar="SECONDS", help=help_start)
    given = parser.parse_args()
    mutants = sample(given.seed, given.count, given.only)
    if given.list:
        print(*(m.identity for m in mutants), sep="\n")
        return 0
    os.environ["OMP_NUM_THREADS"] = "1"
    KEPT.mkdir(exist_ok=True)
    warm()
    campaign = Campaign(KEPT / "results.jsonl", given.retry, given.start)
    mirrored = {file: [file] for file in paths(MIRRORED, "test_*.py")}
    stages = {
        "mirrored": mirrored | {"the examples in docstrings": paths(CODE)},
        "last": {file: [file] for file in LAST},
    }
    with tempfile.TemporaryDirectory(prefix="mutants-", ignore_cleanup_errors=True) as folder:
        copies = copy_trees(Path(folder), given.workers)
        for stage, groups in stages.items():
            reach = Reach(KEPT / f"{stage}.json", groups)
            reach.renew(paths(CODE), copies)
            print(f"{len(mutants)} mutants, {stage} tests", flush=True)
            work(campaign.jobs(mutants, stage, reach), copies)
    return report(mutants, campaign.known)


if __name__ == "__main__":
    sys.exit(main())
