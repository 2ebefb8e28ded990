"""Fit what a recipe says: `python -m benchmarks quality [--test] recipe ...`.

A recipe (`recipes/NAME.json`) names the data, and the members of an ensemble, or models for a
table, with all of their settings and seeds. Settings are chosen by the validation figures, which
are all that is printed; `--test` reads the test data as well, once the recipe is settled.

An ensemble's networks are fitted first. `KernelDensity`, which may take half of the time and be
given no weight, joins them where a cheap look says that it is worth its while: kernels around all
training vectors, with bandwidths learnt from a third of them (2,000 at most; so the look is on the
low side), are weighted beside the networks (counted alike) on 1,000 validation vectors; they are
left out where that gains less than 0.005 nats a vector.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import arproc
from arproc.spaces import Real
from arproc.training import Dequantise
from benchmarks.quality.data import Fold, load
from benchmarks.timing import REDUCED

RECIPES = Path(__file__).parent / "recipes"

# the look at kernels: from how many vectors at most their bandwidths are learnt, on how many they
# are weighted, and what they must gain
_BANDWIDTHS_OF, _WEIGHED_ON, _LEAST_GAIN = 2000, 1000, 0.005


def main(arguments: Sequence[str] = ()) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks quality")
    parser.add_argument("recipes", nargs="*", help="all, if none is named")
    parser.add_argument("--test", action="store_true", help="read the test data too")
    found = parser.parse_args(arguments)
    every = ["digits"] if REDUCED else sorted(path.stem for path in RECIPES.glob("*.json"))
    for name in found.recipes or every:
        run(name, found.test)


def run(name: str, with_test: bool) -> None:
    """Fit a recipe on each fold of its data and print the mean log-likelihoods, nats."""
    recipe = json.loads((RECIPES / f"{name}.json").read_text())
    folds, begin = load(recipe["data"]), time.perf_counter()
    if REDUCED:
        folds = [Fold(*(part[:20] for part in folds[0][:3]), folds[0].half_step)]
    if recipe["ensemble"]:
        figures = [_ensembles(recipe, fold, with_test) for fold in folds]
        for title in figures[0]:
            mean = np.mean([row[title] for row in figures], axis=0)
            print(f"{name}, {title}: {_line(mean, folds[0])}")
    else:  # a table of models, of which each stands by itself
        for fold in folds:
            for entry, seed in _entries(recipe):
                law = fitted(entry, seed, fold)
                print(f"    {_line(_means(law, fold, with_test), fold)}", flush=True)
    print(f"  {time.perf_counter() - begin:.0f} s", flush=True)


def _means(law: Any, fold: Fold, with_test: bool) -> list[float]:
    """The mean log-likelihoods of the validation part and, where it is read, of the test part.

    And of the test rows that do not stand in the training part; NaN where all do.
    """
    if not with_test:
        return [_mean(law, fold.valid)]
    known = {row.tobytes() for row in fold.train}
    fresh = np.array([row.tobytes() not in known for row in fold.test.astype(fold.train.dtype)])
    alone = _mean(law, fold.test[fresh]) if fresh.any() else math.nan
    return [_mean(law, fold.valid), _mean(law, fold.test), alone]


def _line(means: Sequence[float], fold: Fold) -> str:
    valid, *test = means
    line, dims = f"validation {valid:.3f} nats", math.prod(fold.train.shape[1:])
    for part, value in zip(("test", "without twins"), test, strict=False):
        line += f", {part} {value:.3f} nats ({-value / dims / math.log(2):.4f} bits/dim)"
    return line


def _ensembles(recipe: dict[str, Any], fold: Fold, with_test: bool) -> dict[str, list[float]]:
    """Figures of all members, weighted by the validation data; and of the networks alone."""
    print(f"  {len(fold.train)} to fit on", flush=True)
    entries: dict[bool, list[Any]] = {False: [], True: []}  # whether they are kernels
    for entry, seed in _entries(recipe):
        entries[entry["model"] == "KernelDensity"].append((entry, seed))
    networks = [fitted(entry, seed, fold) for entry, seed in entries[False]]
    alike = arproc.OrderEnsemble(networks)
    kernels = [
        fitted(entry, seed, fold) for entry, seed in entries[True] if _worth_it(entry, fold, alike)
    ]
    whole = arproc.OrderEnsemble([*networks, *kernels]).fit(fold.valid)
    print("  weights", whole.weights_.numpy().round(3))
    laws = {"all": whole, "without kernels, counted alike": alike}
    return {title: _means(law, fold, with_test) for title, law in laws.items()}


def _worth_it(entry: dict[str, Any], fold: Fold, networks: Any) -> bool:
    """Whether kernels gain something beside the networks, by the look that is described above."""
    begin, settings = time.perf_counter(), _settings(entry, fold)
    if settings.get("bandwidth") is None:
        count = min(len(fold.train) // 3, _BANDWIDTHS_OF)
        few = arproc.KernelDensity(**settings).fit(_some(fold.train, count))
        settings["bandwidth"] = few.bandwidth_.tolist()
    kernels = arproc.KernelDensity(**settings).fit(fold.train)
    x = _some(fold.valid, _WEIGHED_ON)
    both = arproc.OrderEnsemble([networks, kernels]).fit(x)
    gain, spent = _mean(both, x) - _mean(networks, x), time.perf_counter() - begin
    print(f"  kernels look as if they gained {gain:.3f} nats ({spent:.0f} s)", flush=True)
    return gain >= _LEAST_GAIN


def _some(x: np.ndarray, count: int) -> np.ndarray:
    """At most so many vectors, evenly spread."""
    return x[np.unique(np.linspace(0, len(x) - 1, count).astype(int))]


def _settings(entry: dict[str, Any], fold: Fold) -> dict[str, Any]:
    """What the entry says of its model."""
    return {
        name: fold.half_step if value == "half step" else value
        for name, value in entry.items()
        if name not in ("model", "seeds")
    }


def fitted(entry: dict[str, Any], seed: int, fold: Fold) -> Any:
    """The model of a recipe's entry, fitted on the training part."""
    settings = _settings(entry, fold)
    if "columns" in settings:
        settings["ordering"] = _shuffled(settings.pop("columns"), seed)
    train, valid = fold.train, fold.valid
    if "training" in entry:
        plan = {"progress": False, "seed": seed} | entry["training"]
        plan |= {"steps": 1, "batch_size": 2} if REDUCED else {}
        if plan.get("augment") == "dequantise":
            plan["augment"] = Dequantise()
            train, valid = _noisy(train), _noisy(valid)
        settings["training"] = arproc.Training(**plan)
    model = getattr(arproc, entry["model"])(**settings)
    begin = time.perf_counter()
    model.fit(train, validation=valid if "training" in entry else None)
    spent = time.perf_counter() - begin
    shown = ("model", "hidden", "layers", "width", "bandwidth", "head")
    parameters = {k: v for k, v in entry.items() if k in shown and v != "half step"}
    print(f"  {_mean(model, fold.valid):9.3f}  {spent:4.0f} s  {parameters}", flush=True)
    return model


def _shuffled(columns: list[int], seed: int) -> list[int]:
    """An order of the sites that keeps together those of a column, so many for each."""
    ends = np.cumsum(columns)
    order = np.random.default_rng(seed).permutation(len(columns))
    return [site for k in order for site in range(ends[k] - columns[k], ends[k])]


def _entries(recipe: dict[str, Any]) -> list[tuple[dict[str, Any], int]]:
    """The recipe's entries, one for each seed."""
    return [(entry, seed) for entry in recipe["members"] for seed in entry.get("seeds", [0])]


def _mean(law: Any, x: np.ndarray) -> float:
    """The mean log-likelihood; of levels under a law of reals, with noise, a lower bound of it."""
    levels = np.issubdtype(x.dtype, np.integer)
    return float(np.mean(law.log_prob(_noisy(x) if _real(law) and levels else x)))


def _real(law: Any) -> bool:
    return isinstance(law.space, Real)


def _noisy(levels: np.ndarray) -> np.ndarray:
    """Levels with noise from [0, 1), always the same."""
    return levels + np.random.default_rng(0).random(levels.shape)
