"""Mutual information between elements some steps apart: how far the memory of data reaches."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from arproc.errors import DataError, check_choice, check_count, check_integer, check_list
from arproc.evaluation.synthetic.reading import read_one

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["mutual_information"]

#: Whole numbers of at most so many different values are symbols.
_MOST_SYMBOLS = 64
#: How many neighbours the estimate for real numbers looks at.
_NEIGHBOURS = 4
#: Of more pairs than this, some evenly spread ones are looked at for real numbers.
_MOST_PAIRS = 5_000


def mutual_information(
    data: Any,
    *,
    lags: Any = 20,
    kind: str = "auto",
    n_shuffles: int = 10,
    seed: int = 0,
) -> pd.DataFrame:
    """What an element tells about the one some steps later, nats, at each lag.

    Unlike autocorrelation it sees any dependence, and symbols have it too. Of symbols it is the
    plug-in estimate from the counts of pairs, less its bias of the first order (Miller 1955);
    of real numbers that of nearest neighbours (Kraskov, Stögbauer and Grassberger 2004, the first
    estimator), of the ranks' normal scores, ties at random. Both err by chance, also about 0:
    pairs whose second half is shuffled say how far.

    Args:
        data: a series, an array [T] or [N, T], a list of sequences, text (by characters).
        lags: which lags; a number k is 1 ... k.
        kind: "symbols", "numbers", or "auto": whole numbers of at most 64 different values, and
            text, are symbols.
        n_shuffles: how many times pairs are shuffled.
        seed: of that, and of ties.

    Returns:
        A row for each `lag`: `nats`, `n` (pairs), and of the shuffled pairs the mean `baseline`
        and `high`, the highest; information above `high` is no accident. `.attrs` has `kind`.

    Raises:
        DataError: the data can not be read, or are shorter than a lag.

    Example:
        >>> table = mutual_information("ab" * 200, lags=2)
        >>> table["nats"].round(2).tolist()          # log 2: each letter says what comes
        [0.69, 0.69]
    """
    import pandas as pd

    check_choice("kind", kind, ("auto", "symbols", "numbers"))
    n_shuffles = check_count("n_shuffles", n_shuffles, minimum=1)
    asked = _lags(lags)
    values, row, symbolic = _read(data, kind)
    rng, table = np.random.default_rng(seed), []
    estimate = _of_symbols if symbolic else partial(_of_numbers, rng=rng)
    for lag in asked:
        first, second = _pairs(values, row, lag, symbolic)
        shuffled = [estimate(first, rng.permutation(second)) for _ in range(n_shuffles)]
        found = estimate(first, second)
        table.append((lag, found, len(first), float(np.mean(shuffled)), max(shuffled)))
    frame = pd.DataFrame(table, columns=["lag", "nats", "n", "baseline", "high"])
    frame.attrs = {"kind": "symbols" if symbolic else "numbers"}
    return frame


def _lags(lags: Any) -> list[int]:
    if isinstance(lags, (int, np.integer)) and not isinstance(lags, bool):
        return list(range(1, check_count("lags", lags, minimum=1) + 1))
    found = [check_integer("lags", lag, minimum=1) for lag in check_list("lags", lags)]
    if not found:
        raise DataError("lags is empty; expected some whole numbers from 1 on.")
    return sorted(set(found))


def _read(data: Any, kind: str) -> tuple[np.ndarray, np.ndarray, bool]:
    """The elements, the sequence that each is of, and whether they are symbols."""
    raw = read_one(data, "data")
    row = np.repeat(np.arange(len(raw.lengths)), raw.lengths)
    if raw.codes is not None:
        if kind == "numbers":
            raise DataError('data is text or symbols, of which kind="numbers" makes nothing.')
        return raw.codes, row, True
    assert raw.values is not None
    x = raw.values[:, 0]
    known = x[~np.isnan(x)]
    whole = len(known) > 0 and bool((known == np.floor(known)).all())
    if kind == "symbols" and not whole:
        raise DataError('data has fractions; kind="symbols" expects whole numbers or text.')
    few = whole and len(np.unique(known)) <= _MOST_SYMBOLS
    return x, row, kind == "symbols" or (kind == "auto" and few)


def _pairs(
    values: np.ndarray, row: np.ndarray, lag: int, symbolic: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Elements and those `lag` steps later, of one sequence and both observed."""
    fine = row[lag:] == row[: len(row) - lag]
    first, second = values[: len(values) - lag][fine], values[lag:][fine]
    if not symbolic or first.dtype.kind == "f":
        known = ~(np.isnan(first) | np.isnan(second))
        first, second = first[known], second[known]
    if len(first) <= _NEIGHBOURS + 1:
        raise DataError(
            f"data has {len(first)} pairs that are {lag} step(s) apart; expected more than "
            f"{_NEIGHBOURS + 1}. Use smaller lags."
        )
    if not symbolic and len(first) > _MOST_PAIRS:
        some = np.linspace(0, len(first) - 1, _MOST_PAIRS).astype(int)
        first, second = first[some], second[some]
    return first, second


def _of_symbols(first: np.ndarray, second: np.ndarray) -> float:
    a, b = (np.unique(x, return_inverse=True)[1] for x in (first, second))
    width = int(b.max()) + 1
    pairs = np.bincount(np.unique(a * width + b, return_inverse=True)[1])
    ones, others = np.bincount(a), np.bincount(b)
    n = len(a)
    # each entropy is too small by (occupied cells - 1) / 2n on average
    excess = (len(pairs) - len(ones) - len(others) + 1) / (2 * n)
    return _entropy(ones, n) + _entropy(others, n) - _entropy(pairs, n) - excess


def _entropy(counts: np.ndarray, n: int) -> float:
    p = counts / n
    return float(-(p * np.log(p)).sum())


def _of_numbers(first: np.ndarray, second: np.ndarray, rng: np.random.Generator) -> float:
    """psi(k) + psi(n) - mean of psi(n_x + 1) + psi(n_y + 1), of what is nearer than the k-th."""
    from scipy.spatial import cKDTree
    from scipy.special import digamma

    x, y = _scores(first, rng), _scores(second, rng)
    both = np.column_stack([x, y])
    distances = cKDTree(both).query(both, k=_NEIGHBOURS + 1, p=np.inf)[0]
    reach = np.asarray(distances)[:, -1]
    counts = [_nearer(z, reach) for z in (x, y)]
    inner = np.mean([digamma(count + 1) for count in counts], axis=1).sum()
    return float(digamma(_NEIGHBOURS) + digamma(len(x)) - inner)


def _nearer(z: np.ndarray, reach: np.ndarray) -> np.ndarray:
    """How many others lie strictly nearer than each one's reach."""
    ordered = np.sort(z)
    low = np.searchsorted(ordered, z - reach, side="right")
    high = np.searchsorted(ordered, z + reach, side="left")
    return np.maximum(high - low - 1, 0)


def _scores(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Normal quantiles of ranks: information does not change.

    Equal numbers are ranked at random. In their order, that of time, ranks would tell each other.
    """
    from scipy.special import ndtri

    rank = np.argsort(np.lexsort((rng.random(len(x)), x)))
    return ndtri((rank + 0.5) / len(x))
