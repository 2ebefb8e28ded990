"""Known laws of every kind of data, drawn afresh as often as a test asks."""

from __future__ import annotations

import numpy as np
import pandas as pd

WORDS = [
    "the",
    "cat",
    "sat",
    "on",
    "a",
    "mat",
    "and",
    "dog",
    "ran",
    "to",
    "house",
    "then",
    "it",
    "slept",
    "well",
    "under",
    "tree",
    "blue",
    "sky",
    "zebra",
]


def ar(rng, n, steps=40, coef=0.6):
    x = np.zeros((n, steps + 30))
    noise = rng.normal(size=x.shape)
    for i in range(1, steps + 30):
        x[:, i] = coef * x[:, i - 1] + noise[:, i]
    return x[:, 30:]


def seasonal(rng, n):
    return ar(rng, n, 48) + np.sin(2 * np.pi * np.arange(48) / 12)


def single(rng, n):
    return ar(rng, 1, 40 * n)[0]


def vectors(rng, n):
    a, b = ar(rng, n, 30), ar(rng, n, 30)
    return np.stack([a, 0.7 * a + 0.5 * b, b], axis=-1)


def table(rng, n):
    a = rng.normal(size=n)
    b = np.exp(0.7 * a + rng.normal(size=n))
    b[rng.random(n) < 0.1] = np.nan
    kind = rng.choice(list("abcde"), n, p=[0.4, 0.3, 0.15, 0.08, 0.07])
    return pd.DataFrame({"a": a, "b": b, "kind": kind, "visits": rng.poisson(2, n)})


def images(rng, n):
    grid = np.arange(8)
    waves = [np.outer(np.sin(grid * k / 3), np.cos(grid * (k + 1) / 2)) for k in range(1, 5)]
    noise = 0.3 * rng.normal(size=(n, 8, 8))
    return (np.stack(waves)[rng.integers(0, 4, n)] + noise > 0.2).astype(np.uint8)


def symbols(rng, n):
    law = np.random.default_rng(1).dirichlet(np.full(6, 0.6), 6).cumsum(1)
    state = rng.integers(0, 6, n)
    found = [state]
    for _ in range(39):
        state = (rng.random((n, 1)) > law[state]).sum(1).clip(0, 5)
        found.append(state)
    return [["abcdef"[s] for s in row] for row in np.stack(found, 1)]


def text(rng, n):
    weight = 1 / np.arange(1, len(WORDS) + 1)
    sizes = rng.integers(5, 20, n)
    return [" ".join(rng.choice(WORDS, size, p=weight / weight.sum())) for size in sizes]


LAWS = {
    "series": ar,
    "one long series": single,
    "vectors": vectors,
    "table": table,
    "images": images,
    "symbols": symbols,
    "text": text,
}


def picked(data, rows):
    """Some sequences (or rows) of a set."""
    if isinstance(data, pd.DataFrame):
        return data.iloc[rows].reset_index(drop=True)
    return [data[i] for i in rows] if isinstance(data, list) else data[rows]


def together(a, b):
    """Two sets as one."""
    if isinstance(a, pd.DataFrame):
        return pd.concat([a, b], ignore_index=True)
    return a + b if isinstance(a, list) else np.concatenate([a, b])
