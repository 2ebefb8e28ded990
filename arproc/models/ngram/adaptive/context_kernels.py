"""Compiled loops of the adaptive context models: trees of contexts that learn symbol by symbol.

A *tree* is the tuple `Contexts.arrays`: a hash table from (node, earlier symbol) to node, and for
each node how often each symbol followed, as a linked list. Two trees are asked together: the
`own` one, which may learn, over the `base` one, which stays as fitting left it; a node that is in
both is the own one's, which began as a copy. Node -1 is none.

Methods: 0 is context-tree weighting, 1 and 2 are PPM by methods C and D.
"""

from __future__ import annotations

import numpy as np

from arproc.compiled.arrays import put
from arproc.compiled.jit import Int, jit
from arproc.models.ngram.backoff.draw_kernels import invert


@jit
def place(keys: np.ndarray, key: Int) -> Int:
    """Where a key is in the hash table, or the free place where it belongs."""
    mask = len(keys) - 1
    mixed = np.uint64(key) * np.uint64(0x9E3779B97F4A7C15)
    at = np.int64(mixed >> np.uint64(20)) & mask
    while keys[at] != -1 and keys[at] != key:
        at = (at + 1) & mask
    return at


@jit
def rehash(
    keys: np.ndarray, nodes: np.ndarray, new_keys: np.ndarray, new_nodes: np.ndarray
) -> None:
    """Put the entries of one hash table into a larger, empty one."""
    for i in range(len(keys)):
        if keys[i] != -1:
            at = place(new_keys, keys[i])
            new_keys[at], new_nodes[at] = keys[i], nodes[i]


@jit
def _child(tree: tuple, node: Int, symbol: Int, width: Int) -> Int:
    if node < 0:
        return np.int64(-1)
    at = place(tree[0], node * width + symbol)
    return np.int64(tree[1][at]) if tree[0][at] != -1 else np.int64(-1)


@jit
def _count_of(tree: tuple, node: Int, symbol: Int) -> Int:
    entry = tree[3][node]
    while entry >= 0:
        if tree[6][entry] == symbol:
            return np.int64(tree[7][entry])
        entry = tree[8][entry]
    return np.int64(0)


@jit
def _add(tree: tuple, node: Int, symbol: Int, amount: Int) -> None:
    tree[2][node] += amount
    entry = tree[3][node]
    last = entry
    while entry >= 0:
        if tree[6][entry] == symbol:
            tree[7][entry] += amount
            return
        last = entry
        entry = tree[8][entry]
    new = tree[9][1]
    tree[9][1] += 1
    tree[6][new], tree[7][new], tree[8][new] = symbol, amount, -1
    if last < 0:
        tree[3][node] = new
    else:
        tree[8][last] = new


@jit
def _new_node(tree: tuple, base: tuple, like: Int) -> Int:
    """A new node, a copy of the base's node `like` or empty."""
    node = tree[9][0]
    tree[9][0] += 1
    tree[2][node], tree[3][node], tree[4][node], tree[5][node] = 0, -1, 0.0, 0.0
    if like >= 0:
        tree[2][node], tree[4][node], tree[5][node] = base[2][like], base[4][like], base[5][like]
        entry = base[3][like]
        if entry >= 0:
            tree[3][node] = tree[9][1]
        while entry >= 0:
            new = tree[9][1]
            tree[9][1] += 1
            tree[6][new], tree[7][new] = base[6][entry], base[7][entry]
            entry = base[8][entry]
            tree[8][new] = new + 1 if entry >= 0 else -1
    return node


@jit
def _find(
    own: tuple,
    base: tuple,
    root: Int,
    values: np.ndarray,
    at: Int,
    known: Int,
    depth: Int,
    symbols: Int,
    own_path: np.ndarray,
    base_path: np.ndarray,
) -> tuple[Int, Int]:
    """The contexts of position `at`, the empty one first.

    Before the first symbol of a sequence stands a mark of its own, number `symbols`, and nothing
    before that.

    Returns:
        How many of the contexts there are in the trees, and the length of the longest possible.
    """
    longest = min(depth, known + 1)
    own_path[0], base_path[0] = root, 0 if base[9][0] > 0 else -1
    if own_path[0] < 0 and base_path[0] < 0:
        return 0, longest
    for d in range(1, longest + 1):
        symbol = np.int64(values[at - d]) if d <= known else np.int64(symbols)
        own_path[d] = _child(own, own_path[d - 1], symbol, symbols + 1)
        base_path[d] = _child(base, base_path[d - 1], symbol, symbols + 1)
        if own_path[d] < 0 and base_path[d] < 0:
            return d, longest
    return longest + 1, longest


@jit
def _grow(
    own: tuple,
    base: tuple,
    values: np.ndarray,
    at: Int,
    known: Int,
    first: Int,
    found: Int,
    longest: Int,
    symbols: Int,
    own_path: np.ndarray,
    base_path: np.ndarray,
) -> None:
    """Make the missing own nodes on a path, from `first` down to the longest context."""
    for d in range(first, longest + 1):
        if d < found and own_path[d] >= 0:
            continue
        node = _new_node(own, base, base_path[d] if d < found else np.int64(-1))
        own_path[d] = node
        if d > 0:
            symbol = np.int64(values[at - d]) if d <= known else np.int64(symbols)
            key = own_path[d - 1] * (symbols + 1) + symbol
            where = place(own[0], key)
            own[0][where], own[1][where] = key, node


# ---- context-tree weighting ---------------------------------------------------------------------


@jit
def _weigh(ratio: float, stop: float) -> float:
    """The posterior weight of stopping at a node; `stop` is the prior's log-odds."""
    return 1.0 / (1.0 + np.exp(-(ratio + stop)))


@jit
def _weighted_row(
    own: tuple,
    base: tuple,
    found: Int,
    longest: Int,
    symbols: Int,
    alpha: float,
    stop: float,
    own_path: np.ndarray,
    base_path: np.ndarray,
    out: np.ndarray,
) -> None:
    """Probabilities of every symbol: the estimates along the path, mixed with their weights."""
    rest = 1.0
    flat = 0.0
    out[:] = 0.0
    for d in range(found):
        tree, node = (own, own_path[d]) if own_path[d] >= 0 else (base, base_path[d])
        share = rest if d == longest else rest * _weigh(tree[4][node], stop)
        rest -= share
        scale = share / (tree[2][node] + alpha * symbols)
        flat += alpha * scale
        entry = tree[3][node]
        while entry >= 0:
            out[tree[6][entry]] += tree[7][entry] * scale
            entry = tree[8][entry]
    if found <= longest:
        flat += rest / symbols
    for w in range(symbols):
        out[w] += flat


@jit
def _weighted_term(
    own: tuple,
    base: tuple,
    found: Int,
    longest: Int,
    symbols: Int,
    alpha: float,
    stop: float,
    own_path: np.ndarray,
    base_path: np.ndarray,
    symbol: Int,
    learn: bool,
) -> float:
    """The probability of one symbol; where it learns, all own nodes are there and take it in."""
    p = 1.0 / symbols
    for d in range(found - 1, -1, -1):
        tree, node = (own, own_path[d]) if own_path[d] >= 0 else (base, base_path[d])
        here = (_count_of(tree, node, symbol) + alpha) / (tree[2][node] + alpha * symbols)
        below = p
        if d == longest:
            p = here
        else:
            weight = _weigh(tree[4][node], stop)
            p = weight * here + (1.0 - weight) * below
        if learn:
            if d < longest:
                own[4][node] += np.log(here) - np.log(below)
            own[5][node] += np.log(here)
            _add(own, node, symbol, 1)
    return p


# ---- prediction by partial matching -------------------------------------------------------------


@jit
def _open_counts(tree: tuple, node: Int, excluded: np.ndarray, stamp: Int) -> tuple[int, int, int]:
    """How often symbols that are not excluded followed, how many of them, and how many in all."""
    total, fresh, distinct = 0, 0, 0
    entry = tree[3][node]
    while entry >= 0:
        distinct += 1
        if excluded[tree[6][entry]] != stamp:
            total += tree[7][entry]
            fresh += 1
        entry = tree[8][entry]
    return total, fresh, distinct


@jit
def _shares(
    method: Int, total: Int, fresh: Int, distinct: Int, left: Int
) -> tuple[float, float, float]:
    """What one count gives a symbol, what is taken off it, and what escapes.

    Escapes are counted as in the context without exclusion (Cleary and Teahan 1997).
    """
    escapes = distinct if left > 0 else 0
    if method == 1:
        whole = float(total + escapes)
        return 1.0 / whole, 0.0, escapes / whole
    whole = float(2 * total - fresh + escapes)
    return 2.0 / whole, 1.0 / whole, escapes / whole


@jit
def _matched_row(
    own: tuple,
    base: tuple,
    found: Int,
    symbols: Int,
    method: Int,
    own_path: np.ndarray,
    base_path: np.ndarray,
    excluded: np.ndarray,
    stamp: Int,
    out: np.ndarray,
) -> None:
    """Probabilities of every symbol: longest context first, and escapes to shorter ones."""
    rest = 1.0
    left = symbols
    for d in range(found - 1, -1, -1):
        tree, node = (own, own_path[d]) if own_path[d] >= 0 else (base, base_path[d])
        total, fresh, distinct = _open_counts(tree, node, excluded, stamp)
        if fresh == 0:
            continue
        left -= fresh
        factor, less, escape = _shares(method, total, fresh, distinct, left)
        entry = tree[3][node]
        while entry >= 0:
            w = tree[6][entry]
            if excluded[w] != stamp:
                out[w] = rest * (factor * tree[7][entry] - less)
                excluded[w] = stamp
            entry = tree[8][entry]
        if left == 0:
            return
        rest *= escape
    for w in range(symbols):
        if excluded[w] != stamp:
            out[w] = rest / left


@jit
def _matched_term(
    own: tuple,
    base: tuple,
    found: Int,
    symbols: Int,
    method: Int,
    own_path: np.ndarray,
    base_path: np.ndarray,
    excluded: np.ndarray,
    stamp: Int,
    symbol: Int,
) -> tuple[float, int]:
    """The probability of one symbol, and the length of the context where it was found (or 0)."""
    p = 1.0
    left = symbols
    for d in range(found - 1, -1, -1):
        tree, node = (own, own_path[d]) if own_path[d] >= 0 else (base, base_path[d])
        total, fresh, distinct = _open_counts(tree, node, excluded, stamp)
        if fresh == 0:
            continue
        left -= fresh
        factor, less, escape = _shares(method, total, fresh, distinct, left)
        count = _count_of(tree, node, symbol)
        if count > 0:
            return p * (factor * count - less), d
        p *= escape
        entry = tree[3][node]
        while entry >= 0:
            excluded[tree[6][entry]] = stamp
            entry = tree[8][entry]
    return p / left, 0


# ---- one loop for all ---------------------------------------------------------------------------


@jit
def run(
    method: Int,
    own: tuple,
    base: tuple,
    roots: np.ndarray,
    values: np.ndarray,
    begin: np.ndarray,
    steps: np.ndarray,
    known: np.ndarray,
    depth: Int,
    symbols: Int,
    settings: tuple,
    learn: bool,
    uniforms: np.ndarray,
    terms: np.ndarray,
    table: np.ndarray,
    progress: np.ndarray,
) -> bool:
    """Go through some sequences: their terms, their rows, draws, and learning.

    Args:
        method: 0, 1 or 2, see above.
        own: the tree that learns.
        base: the tree that was fitted.
        roots: int64 [R], each row's root in `own`, -1 where there is none yet; written where it
            learns. One root for all rows where R is 1.
        values: int64, flat symbols; draws are written into it.
        begin: int64 [N], where each row's next symbol stands in `values`; symbols that came before
            stand before it.
        steps: int64 [N], how many symbols are taken.
        known: int64 [N], how many symbols came before.
        depth: the longest context.
        symbols: how many symbols there are.
        settings: alpha and the log-odds of stopping (method 0), whether PPM's counts are updated
            with exclusion.
        learn: whether `own` takes in what it sees.
        uniforms: float64 [N, K] to draw from, or [0, 0] where the symbols are given.
        terms: float64 [total] for the log-probabilities, or [0].
        table: float64 [N, K + 1, V] for the rows (the last one is what comes next), or [0, 0, 0].
        progress: int64 [3], zeros at first: the row, step and term where to go on.

    Returns:
        Whether all is done; if not, `own` is full, and a call with a larger one goes on.
    """
    alpha, stop, exclusion = settings
    own_path = np.full(depth + 2, -1, np.int64)
    base_path = np.full(depth + 2, -1, np.int64)
    excluded = np.zeros(symbols, np.int64)
    row = np.empty(symbols)
    stamp = 0
    n0, k0, o = progress[0], progress[1], progress[2]
    entries = (depth + 1) * (symbols + 1)
    for n in range(n0, len(begin)):
        slot = n if len(roots) > 1 else 0
        last = steps[n] + (1 if table.shape[0] > 0 else 0)
        for k in range(k0 if n == n0 else 0, last):
            if learn and (
                own[9][0] + depth + 1 > len(own[2])
                or 2 * (own[9][0] + depth + 1) > len(own[0])
                or own[9][1] + entries > len(own[6])
            ):
                progress[0], progress[1], progress[2] = n, k, o
                return False
            at, before = begin[n] + k, known[n] + k
            found, longest = _find(
                own, base, roots[slot], values, at, before, depth, symbols, own_path, base_path
            )
            if table.shape[0] > 0 or uniforms.shape[0] > 0:
                if method == 0:
                    _weighted_row(
                        own, base, found, longest, symbols, alpha, stop, own_path, base_path, row
                    )
                else:
                    stamp += 1
                    _matched_row(
                        own, base, found, symbols, method, own_path, base_path, excluded, stamp,
                        row,
                    )  # fmt: skip
                if table.shape[0] > 0:
                    put(row, table[n, k])
            if k == steps[n]:
                break
            if uniforms.shape[0] > 0:
                values[at] = invert(row, uniforms[n, k])
            symbol = np.int64(values[at])
            if method == 0:
                if learn:
                    _grow(
                        own, base, values, at, before, 0, found, longest, symbols, own_path,
                        base_path,
                    )  # fmt: skip
                    roots[slot], found = own_path[0], longest + 1
                if learn or len(terms) > 0:
                    p = _weighted_term(
                        own, base, found, longest, symbols, alpha, stop, own_path, base_path,
                        symbol, learn,
                    )  # fmt: skip
                    if len(terms) > 0:
                        terms[o] = np.log(p)
            elif learn or len(terms) > 0:
                stamp += 1
                p, where = _matched_term(
                    own, base, found, symbols, method, own_path, base_path, excluded, stamp, symbol
                )
                if len(terms) > 0:
                    terms[o] = np.log(p)
                if learn:
                    _grow(
                        own, base, values, at, before, 0, found, longest, symbols, own_path,
                        base_path,
                    )  # fmt: skip
                    roots[slot] = own_path[0]
                    for d in range(where if exclusion else 0, longest + 1):
                        _add(own, own_path[d], symbol, 1)
            o += 1
    return True


# ---- the most probable tree ---------------------------------------------------------------------


@jit
def most_probable(
    tree: tuple, depth: Int, symbols: Int, stop: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The maximum a posteriori tree: at each node the better of stopping and going on.

    Nodes are numbered after their parents, so one pass from the last to the first decides.

    Returns:
        For each node its parent and its symbol int64 (-1 for the root), its value float64 (log
        of the best tree's prior times its evidence), and whether it stops, bool.
    """
    size = tree[9][0]
    parent, symbol = np.full(size, -1, np.int64), np.full(size, -1, np.int64)
    for i in range(len(tree[0])):
        if tree[0][i] != -1:
            parent[tree[1][i]] = tree[0][i] // (symbols + 1)
            symbol[tree[1][i]] = tree[0][i] % (symbols + 1)
    level = np.zeros(size, np.int64)
    for node in range(1, size):
        level[node] = level[parent[node]] + 1
    below, children = np.zeros(size), np.zeros(size, np.int64)
    value, stops = np.zeros(size), np.ones(size, np.bool_)
    log_stop, log_on = np.log(stop), np.log1p(-stop)
    for node in range(size - 1, -1, -1):
        value[node] = tree[5][node]
        if level[node] < depth and symbol[node] != symbols:
            unseen = (symbols - children[node]) * (log_stop if level[node] + 1 < depth else 0.0)
            on = log_on + below[node] + unseen
            value[node] += log_stop
            if on > value[node]:
                value[node], stops[node] = on, False
        if node > 0:
            below[parent[node]] += value[node]
            children[parent[node]] += symbol[node] != symbols
    return parent, symbol, value, stops
