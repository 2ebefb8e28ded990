"""Near copies: sequences that hardly differ from one of the training data."""

from __future__ import annotations

import numpy as np

from arproc.contract.sequences import Sequences
from arproc.data.tables import Table
from arproc.process import Model
from arproc.spaces import Binary, BinaryVector, Categorical, Ordinal

__all__ = ["near_twins"]

#: How many symbols there are in the runs by which sequences of free length are compared.
_RUN = 5
#: How many numbers are held at once.
_NUMBERS = 2**23
#: With more numbers a sequence than this a tree is no help.
_MOST_BY_TREE = 16
#: What is as far as anything from all numbers, and from nothing that is missing too.
_MISSING = 1e30


def near_twins(model: Model, test: Sequences, train: Sequences, near: float) -> np.ndarray:
    """Which test sequences have a near copy in train, bool [N].

    Args:
        model: whose space says what elements are.
        test: the sequences that are scored.
        train: those that it was fitted on, of the same space.
        near: how near, as `twins_of` says.
    """
    if model.space.length is None and isinstance(model.space, Categorical):
        return _by_runs(test, train, near)
    found = np.zeros(len(test), dtype=bool)
    mine, theirs = test.lengths.numpy(), train.lengths.numpy()
    scale = _scale(model, train)
    for length in np.unique(mine):
        rows, others = np.flatnonzero(mine == length), np.flatnonzero(theirs == length)
        if not len(others) or not length:
            continue
        a, b = (_stacked(s, which) for s, which in ((test, rows), (train, others)))
        if scale is None:
            found[rows] = _few_differ(a, b, near)
        else:
            own = scale if scale.ndim == 1 and len(scale) == a.shape[1] else np.tile(scale, length)
            found[rows] = _all_near(a / own, b / own, near)
    return found


def _stacked(sequences: Sequences, rows: np.ndarray) -> np.ndarray:
    """Sequences of one length as float64 [n, numbers], what is missing far from all."""
    values, bounds = sequences.values.detach().cpu().numpy(), sequences.offsets.numpy()
    length = int(sequences.lengths[int(rows[0])])
    x = values[(bounds[rows][:, None] + np.arange(length)).ravel()].astype(np.float64)
    x = x.reshape(len(rows), -1)
    gone = np.isnan(x)
    if sequences.seen is not None:
        gone |= ~sequences.seen.cpu().numpy()[rows]
    return np.where(gone, _MISSING, x)


def _scale(model: Model, train: Sequences) -> np.ndarray | None:
    """By what numbers are divided: of each site of a fixed size, or of each component.

    None where elements are symbols, which are equal or not.
    """
    space = model.space
    if isinstance(space, (Binary, BinaryVector, Categorical)):
        return None
    if isinstance(space, Ordinal) and (space.size or 0) <= 2:
        return None
    x = train.values.detach().cpu().double().numpy().reshape(len(train.values), -1)
    if space.length is not None:
        x = x.reshape(len(train), -1)
    with np.errstate(all="ignore"):
        count = (~np.isnan(x)).sum(0)
        mean = np.nansum(x, 0) / np.maximum(count, 1)
        deviation = np.sqrt(np.nansum((x - mean) ** 2, 0) / np.maximum(count, 1))
    scale = np.where(deviation > 0, deviation, 1e-9)  # what never varies has to be equal
    if isinstance(space, Table):
        layout = model.layout
        order = range(x.shape[1]) if layout is None or layout.order is None else layout.order
        symbolic = [isinstance(space.columns[place].space, Categorical) for place in order]
        scale = np.where(symbolic, 1e-9, scale)
    return scale


def _all_near(a: np.ndarray, b: np.ndarray, near: float) -> np.ndarray:
    """Which rows of a [n, k] are at most so far from one of b in every number."""
    if a.shape[1] <= _MOST_BY_TREE:
        from scipy.spatial import cKDTree

        reach = near * (1 + 1e-9)
        distance = cKDTree(b).query(a, p=np.inf, distance_upper_bound=np.nextafter(reach, np.inf))
        return np.isfinite(np.asarray(distance[0]))
    found = np.zeros(len(a), dtype=bool)
    step = max(1, _NUMBERS // max(len(b), 1))
    for begin in range(0, len(a), step):
        part = a[begin : begin + step]
        left = np.ones((len(part), len(b)), dtype=bool)
        for j in range(a.shape[1]):
            left &= np.abs(part[:, j, None] - b[:, j]) <= near * (1 + 1e-9)
            if not left.any():
                break
        found[begin : begin + step] = left.any(1)
    return found


def _few_differ(a: np.ndarray, b: np.ndarray, near: float) -> np.ndarray:
    """Which rows of symbols a [n, k] differ from one of b in at most this share of places."""
    symbols = np.union1d(np.unique(a), np.unique(b))
    agree = [((a == s).astype(np.float32), (b == s).astype(np.float32)) for s in symbols]
    found = np.zeros(len(a), dtype=bool)
    step = max(1, _NUMBERS // max(len(b), 1))
    least = (1 - near) * a.shape[1] - 1e-6
    for begin in range(0, len(a), step):
        same = sum(mine[begin : begin + step] @ theirs.T for mine, theirs in agree)
        found[begin : begin + step] = np.asarray(same).max(1) >= least
    return found


def _by_runs(test: Sequences, train: Sequences, near: float) -> np.ndarray:
    """Which sequences share nearly all their runs of five symbols with one of train.

    Jaccard's distance of the two sets is at most `near` (Broder 1997, "On the resemblance and
    containment of documents"). Sequences shorter than a run have none.
    """
    from scipy import sparse

    owner, run = zip(*(_runs(sequences) for sequences in (test, train)), strict=True)
    codes = np.unique(np.concatenate(run), axis=0, return_inverse=True)[1].reshape(-1)
    width = int(codes.max()) + 1 if len(codes) else 1
    parts = np.split(codes, [len(run[0])])
    held = []
    for sequences, rows, own in zip((test, train), owner, parts, strict=True):
        ones = np.ones(len(own), dtype=np.float32)
        table = sparse.csr_matrix((ones, (rows, own)), shape=(len(sequences), width))
        table.data[:] = 1.0  # a run that comes twice is one of the set
        held.append(table)
    sizes = [np.asarray(table.sum(1)).ravel() for table in held]
    found, other = np.zeros(len(test), dtype=bool), held[1].T.tocsc()
    for begin in range(0, len(test), 256):
        shared = (held[0][begin : begin + 256] @ other).tocoo()
        rows = shared.row + begin
        union = sizes[0][rows] + sizes[1][shared.col] - shared.data
        found[rows[shared.data >= (1 - near) * union - 1e-6]] = True
    return found


def _runs(sequences: Sequences) -> tuple[np.ndarray, np.ndarray]:
    """The sequence that each run of symbols is of, and the runs, int64 [runs, 5]."""
    values = sequences.values.detach().cpu().numpy().astype(np.int64)
    rows = np.repeat(np.arange(len(sequences)), sequences.lengths.numpy())
    if len(values) < _RUN:
        return np.zeros(0, np.int64), np.zeros((0, _RUN), np.int64)
    windows = np.lib.stride_tricks.sliding_window_view(values, _RUN)
    inside = rows[: len(windows)] == rows[_RUN - 1 :]
    return rows[: len(windows)][inside], windows[inside]
