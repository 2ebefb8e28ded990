"""Fit what a recipe says: `python -m benchmarks.quality [--test] recipe ...`.

A recipe (`recipes/NAME.json`) names the data, and the members of an ensemble with all of their
settings and seeds. Settings are chosen by the validation figures, which are all that is printed;
`--test` reads the test data as well, once the recipe is settled.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

import arproc
from benchmarks.quality.data import Fold, load

RECIPES = Path(__file__).parent / "recipes"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality")
    parser.add_argument("recipes", nargs="*", help="all, if none is named")
    parser.add_argument("--test", action="store_true", help="read the test data too")
    found = parser.parse_args()
    for name in found.recipes or sorted(path.stem for path in RECIPES.glob("*.json")):
        run(name, found.test)


def run(name: str, with_test: bool) -> None:
    """Fit a recipe on each fold of its data and print the mean log-likelihoods, nats."""
    recipe = json.loads((RECIPES / f"{name}.json").read_text())
    begin, figures = time.perf_counter(), []
    for number, fold in enumerate(load(recipe["data"])):
        print(f"{name}, fold {number}: {len(fold.train)} to fit on", flush=True)
        law = fit(recipe, fold)
        parts = [fold.valid, fold.test] if with_test else [fold.valid]
        figures.append([[_mean(each, x) for x in parts] for each in (law, without_memory(law))])
    dims = math.prod(fold.train.shape[1:])
    for kind, row in zip(("whole", "without kernels"), np.mean(figures, axis=0), strict=True):
        line = f"{name}, {kind}: validation {row[0]:.3f} nats"
        if with_test:
            line += f", test {row[1]:.3f} nats ({-row[1] / dims / math.log(2):.4f} bits/dim)"
        print(line)
    print(f"  {time.perf_counter() - begin:.0f} s", flush=True)


def without_memory(law: arproc.OrderEnsemble) -> arproc.OrderEnsemble:
    """The members that are no kernel density, counted alike."""
    return arproc.OrderEnsemble(
        [member for member in law.members if not isinstance(member, arproc.KernelDensity)]
    )


def fit(recipe: dict[str, Any], fold: Fold) -> arproc.OrderEnsemble:
    """The ensemble of a recipe's members, each fitted on the training part."""
    members = []
    for model in _members(recipe, fold):
        begin = time.perf_counter()
        alone = isinstance(model, arproc.KernelDensity)
        model.fit(fold.train, validation=None if alone else fold.valid)
        spent = time.perf_counter() - begin
        print(f"  {_mean(model, fold.valid):9.3f}  {spent:4.0f} s  {model}", flush=True)
        members.append(model)
    ensemble = arproc.OrderEnsemble(members)
    if recipe.get("weights") == "validation":
        ensemble.fit(fold.valid)
        print("  weights", ensemble.weights_.numpy().round(3))
    return ensemble


def _members(recipe: dict[str, Any], fold: Fold) -> Iterator[Any]:
    """The models of a recipe, one for each seed, not fitted."""
    for entry in recipe["members"]:
        settings = {
            name: fold.half_step if value == "half step" else value
            for name, value in entry.items()
            if name not in ("model", "training", "seeds")
        }
        for seed in entry.get("seeds", [0]):
            if "training" in entry:
                plan = {"progress": False, "seed": seed} | entry["training"]
                settings["training"] = arproc.Training(**plan)
            yield getattr(arproc, entry["model"])(**settings)


def _mean(law: Any, x: np.ndarray) -> float:
    return float(np.mean(law.log_prob(x)))


if __name__ == "__main__":
    main()
