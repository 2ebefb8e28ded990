"""The data of the recipes, split as the papers split them; `../shared/data` beside the project."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import NamedTuple

import numpy as np

import arproc

__all__ = ["FOLDS", "Fold", "load"]

FOLDS = 10
_FOLDER = Path(__file__).parents[3] / "shared" / "data"
_DISCRETE = {"winequality-red": {"quality"}, "parkinsons_updrs": {"subject#", "age", "sex"}}
_CORRELATED = 0.98


class Fold(NamedTuple):
    """One split of a data set.

    Attributes:
        train: what models are fitted on, [N, *shape].
        valid: what settings, stopping times and weights are chosen on.
        test: what figures are reported on, once.
        half_step: of real columns, half the step they are rounded to, [D].
    """

    train: np.ndarray
    valid: np.ndarray
    test: np.ndarray
    half_step: list[float]


def load(name: str) -> list[Fold]:
    """The folds of a data set (one, where the data come with their split).

    Args:
        name: of a file in the folder, such as "plants"; or "digits", 17 levels of grey.
    """
    if name == "digits":
        parts = [part.reshape(-1, 8, 8) for part in arproc.datasets.digits(threshold=None)]
        return [Fold(*parts, [])]
    if name in _DISCRETE:
        table = _table(name)
        return [_fold(table, k) for k in range(FOLDS)]
    with np.load(_FOLDER / f"{name}.npz") as found:
        if name == "freyfaces":  # in order of time: neighbouring frames are nearly alike
            return [Fold(*np.split(found["images"], [1565, 1765]), [])]
        parts = [found[part] for part in ("train", "valid", "test")]
    if name.startswith("caltech101"):  # stored by columns, the object dark
        parts = [part.reshape(-1, 28, 28).swapaxes(1, 2) for part in parts]
    return [Fold(*parts, [])]


def _table(name: str) -> np.ndarray:
    """RNADE's preprocessing (Uria et al. 2013): no discrete and no doubled columns, [N, D]."""
    with open(_FOLDER / "uci" / f"{name}.csv", newline="") as file:
        head, *rows = csv.reader(file)
    keep = [j for j, column in enumerate(head) if column not in _DISCRETE[name]]
    x = np.array(rows, dtype=np.float64)[:, keep]
    while True:
        alike = np.argwhere(np.triu(np.abs(np.corrcoef(x.T)), 1) > _CORRELATED)
        if not len(alike):
            return x
        x = np.delete(x, alike[0, 0], axis=1)


def _fold(x: np.ndarray, k: int) -> Fold:
    """Fold k of ten: a tenth is tested, a ninth of the rest validates; both parts standardise."""
    parts = np.array_split(np.random.default_rng(0).permutation(len(x)), FOLDS)
    rest = x[np.concatenate([parts[i] for i in range(FOLDS) if i != k])]
    centre, size = rest.mean(0), rest.std(0)
    z = (rest - centre) / size
    count = len(z) // (FOLDS - 1)
    half_step = (_steps(x) / size / 2).tolist()
    return Fold(z[count:], z[:count], (x[parts[k]] - centre) / size, half_step)


def _steps(x: np.ndarray) -> np.ndarray:
    """The step 1, 0.5, 0.2, 0.1 ... that each column is rounded to, but for odd values, [D]."""
    steps = [factor * 10.0**-digits for digits in range(10) for factor in (1, 0.5, 0.2)]
    found = []
    for column in x.T:
        whole = (np.mean(np.abs(column / s - np.round(column / s)) < 1e-4) for s in steps)
        found.append(next(s for s, share in zip(steps, whole, strict=True) if share > 0.95))
    return np.array(found)
