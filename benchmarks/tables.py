"""Tables of all kinds of columns, beside mostlyai-engine's TabularARGN: `... benchmarks tables`.

The peer is compared where it is installed. Both are fitted to the same made table with their own
defaults of training but for ours, which are said here; likelihoods are of different measures, so
what is compared is what users see: marginals, pairs, the rule between two columns, imputation.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

import arproc
from benchmarks.timing import REDUCED

SIZES = (60,) if REDUCED else (2_000, 50_000)
HELD_OUT = 60 if REDUCED else 5_000
STEPS = {60: 5, 2_000: 1_500, 50_000: 6_000}
IMPUTED = 60 if REDUCED else 300  # rows: the peer takes minutes for more
DRAWS = 2 if REDUCED else 20
CITIES = {"Oslo": "north", "Bergen": "north", "Rome": "south", "Bari": "south", "Kyiv": "east"}
_BINS = 10


def people(n: int, seed: int) -> pd.DataFrame:
    """A made table: real, atom, cents, rates, counts, labels, truth, dates, gaps, and a rule."""
    rng = np.random.default_rng(seed)
    age = np.minimum(18 + rng.gamma(2.5, 12, n), 95).astype(int)
    city = rng.choice(list(CITIES), n, p=[0.35, 0.15, 0.25, 0.05, 0.2])
    region = pd.Series(city).map(CITIES)  # determined
    student = rng.random(n) < 0.7 / (1 + np.exp((age - 25) / 2))
    north = (region == "north").to_numpy()
    income = np.exp(7 + 0.02 * np.minimum(age, 55) + 0.3 * north + rng.normal(0, 0.4, n))
    balance = np.where(rng.random(n) < 0.31 + 0.3 * student, 0.0, income * rng.normal(1, 0.4, n))
    frame = pd.DataFrame(
        {
            "age": age,
            "city": city,
            "region": region,
            "student": student,
            "income": income,
            "balance": balance,
            "rate": np.where(balance > income, 0.1, rng.choice([0.1, 0.25, 0.5], n)),
            "price": (rng.gamma(2, 8, n) * (1 + north)).round(2),
            "kids": np.where(age < 22, 0, rng.binomial(6, np.minimum(age, 45) / 200)),
            "since": pd.Timestamp("2015-01-01")
            + pd.to_timedelta(rng.integers(0, 3000, n) * (age > 20), unit="D"),
        }
    )
    frame.loc[rng.random(n) < np.where(age > 60, 0.4, 0.1), "income"] = np.nan
    frame.loc[rng.random(n) < 0.05, "city"] = None
    frame.loc[rng.random(n) < 0.1, "since"] = pd.NaT
    return frame


# ---- figures --------------------------------------------------------------------------------


def coded(column: pd.Series, like: pd.Series) -> np.ndarray:
    """A column as few categories: labels, or tenths of `like`; -1 where missing."""
    gone = column.isna().to_numpy()
    if column.dtype.kind in "bO" or not pd.api.types.is_numeric_dtype(numbers(like)):
        known = {label: k for k, label in enumerate(sorted(map(str, like.dropna().unique())))}
        found = column.astype(object).map(lambda v: known.get(str(v), len(known))).to_numpy()
        return np.where(gone, -1, found).astype(int)
    edges = np.unique(np.quantile(numbers(like).dropna(), np.linspace(0, 1, _BINS + 1)[1:-1]))
    values = numbers(column).to_numpy(np.float64)
    both = np.searchsorted(edges, values, "left") + np.searchsorted(edges, values, "right")
    return np.where(gone, -1, both)  # an edge is a category of its own: atoms lie there


def numbers(column: pd.Series) -> pd.Series:
    """Dates as days."""
    if column.dtype.kind == "M":
        return (column - pd.Timestamp("2015-01-01")) / pd.Timedelta(days=1)
    return column.astype(float) if column.dtype.kind in "iuf" else column


def distance(a: np.ndarray, b: np.ndarray) -> float:
    """The total variation between two samples of categories."""
    every, where = np.unique(np.concatenate([a, b]), return_inverse=True)
    p, q = (np.bincount(w, minlength=len(every)) / len(w) for w in np.split(where, [len(a)]))
    return float(np.abs(p - q).sum() / 2)


def fidelity(drawn: pd.DataFrame, true: pd.DataFrame) -> dict[str, float]:
    """How far draws are from true rows: 0 is best."""
    ours = {name: coded(drawn[name], true[name]) for name in true}
    theirs = {name: coded(true[name], true[name]) for name in true}
    pairs = [
        distance(ours[a] * 1000 + ours[b], theirs[a] * 1000 + theirs[b])
        for a, b in itertools.combinations(true, 2)
    ]
    whole = drawn.dropna(subset=["city"])
    zero = (drawn.balance == 0).mean() - (true.balance == 0).mean()
    off = ~np.isclose(drawn.price * 100, (drawn.price * 100).round())
    return {
        "marginals": float(np.mean([distance(ours[name], theirs[name]) for name in true])),
        "pairs": float(np.mean(pairs)),
        "rule broken": float((whole.city.map(CITIES) != whole.region).mean()),
        "zeros": float(abs(zero)),
        "no cents": float(off.mean()),
    }


def hidden(true: pd.DataFrame, seed: int) -> tuple[pd.DataFrame, np.ndarray]:
    """Rows with a third of what is there taken away, and where that is."""
    away = (np.random.default_rng(seed).random(true.shape) < 1 / 3) & true.notna().to_numpy()
    given = true.copy()
    for j, name in enumerate(true):
        if true[name].dtype.kind in "bi":
            given[name] = given[name].astype(object if true[name].dtype.kind == "b" else float)
        given.loc[away[:, j], name] = None
    return given, away


def imputed(draws: list[pd.DataFrame], true: pd.DataFrame, away: np.ndarray) -> dict[str, float]:
    """Errors of the median (in mean absolute deviations) and of the likeliest label."""
    wrong, far = [], []
    for j, name in enumerate(true):
        rows = away[:, j]
        if not rows.any():
            continue
        column = numbers(true[name])
        if column.dtype.kind == "f":
            every = np.stack([numbers(d[name]).to_numpy(np.float64)[rows] for d in draws])
            truth = column.to_numpy()[rows]
            spread = np.abs(column - column.median()).mean()
            far.append(np.abs(np.median(every, axis=0) - truth).mean() / spread)
        else:
            table = pd.DataFrame({k: d[name].astype(str)[rows] for k, d in enumerate(draws)})
            likeliest = table.mode(axis=1)[0]
            wrong.append(float((likeliest != true[name].astype(str)[rows]).mean()))
    return {"numbers imputed": float(np.mean(far)), "labels imputed": float(np.mean(wrong))}


# ---- the two --------------------------------------------------------------------------------

Sample = Callable[[int], pd.DataFrame]
Impute = Callable[[pd.DataFrame], list[pd.DataFrame]]


def ours(train: pd.DataFrame) -> tuple[Sample, Impute]:
    """arproc's model, fitted."""
    plan = arproc.Training(steps=STEPS[len(train)], batch_size=256, lr=2e-3, patience=5)
    cut = len(train) // 10
    columns = {"age": {"low": "data"}}
    model = arproc.MADE((256, 256), residual=True, order_agnostic=True, columns=columns,
                        training=plan)  # fmt: skip
    model.fit(train[cut:], validation=train[:cut])

    def impute(given: pd.DataFrame) -> list[pd.DataFrame]:
        found = model.impute(given, n=DRAWS, seed=2)
        return [found.loc[k] for k in range(DRAWS)]

    return lambda n: model.sample(n, seed=1), impute


def peer(train: pd.DataFrame) -> tuple[Sample, Impute]:
    """The peer's model, fitted."""
    from mostlyai.engine import TabularARGN

    model: Any = TabularARGN()
    model.fit(train)

    def impute(given: pd.DataFrame) -> list[pd.DataFrame]:
        # Its cost is by the pattern of gaps, so all draws in one call are its fastest way.
        found = model.impute(pd.concat([given] * DRAWS, ignore_index=True))
        parts = (found.iloc[k * len(given) : (k + 1) * len(given)] for k in range(DRAWS))
        return [part.reset_index(drop=True) for part in parts]

    return lambda n: model.sample(n_samples=n), impute


def measured(name: str, fit: Callable[[pd.DataFrame], tuple[Sample, Impute]], n: int) -> None:
    """Print the figures of one system on one table."""
    train, true = people(n, 0), people(HELD_OUT, 1)
    begin = time.perf_counter()
    sample, impute = fit(train)
    fitted = time.perf_counter()
    drawn = sample(HELD_OUT)[list(true.columns)]
    done = time.perf_counter()
    given, away = hidden(true[:IMPUTED], 2)
    figures = fidelity(drawn, true)
    again = time.perf_counter()
    figures |= imputed(impute(given), true[:IMPUTED], away)
    listed = ", ".join(f"{key} {value:.3f}" for key, value in figures.items())
    print(
        f"  {name}: {listed}; fit {fitted - begin:.1f} s, {HELD_OUT} draws {done - fitted:.2f} s, "
        f"{DRAWS} imputations of {IMPUTED} rows {time.perf_counter() - again:.1f} s",
        flush=True,
    )


def main() -> None:
    try:
        import mostlyai.engine  # noqa: F401

        there = True
    except ImportError:
        there = False
        print("mostlyai-engine is not installed, so there is nothing to compare with")
    floor = fidelity(people(HELD_OUT, 3), people(HELD_OUT, 1))
    print(f"other true rows: {', '.join(f'{k} {v:.3f}' for k, v in floor.items())}")
    for n in SIZES:
        print(f"{n} rows")
        measured("arproc", ours, n)
        if there:
            measured("TabularARGN", peer, n)
