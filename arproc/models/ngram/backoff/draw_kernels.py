"""Compiled draws by inverse distribution function: from a row, and without one from a trie.

`model` is always the tuple `Trie.arrays`.
"""

from __future__ import annotations

import numpy as np

from arproc.compiled.arrays import put
from arproc.compiled.jit import Int, jit
from arproc.models.ngram.backoff.query_kernels import level_of, step


@jit
def invert(row: np.ndarray, u: float) -> Int:
    """The smallest symbol whose distribution function exceeds u times the row's sum."""
    total = 0.0
    for i in range(len(row)):
        total += row[i]
    target = u * total
    w, reached = 0, row[0]
    while reached <= target and w < len(row) - 1:
        w += 1
        reached += row[w]
    return w


@jit
def cumulate(model: tuple) -> np.ndarray:
    """What each node adds to the distribution function of its context, summed over its siblings.

    F(w | h) = weight(h) F(w | h') + A_h(w), where A_h sums p(v | h) - weight(h) p(v | h') over
    the continuations v <= w of h. So an inverse needs no row of the whole vocabulary.
    """
    symbol, link, first_child, log_prob, back_off = model[1:6]
    interpolated, symbols = model[6], model[7]
    out = np.empty(len(symbol), np.float64)
    out[0] = 0.0
    for h in range(len(back_off)):
        total = 0.0
        for i in range(first_child[h], first_child[h + 1]):
            if symbol[i] < symbols:
                total += np.exp(log_prob[i])
                if not interpolated:
                    total -= np.exp(back_off[h])
                elif h > 0:
                    total -= np.exp(back_off[h] + step(model, np.int64(link[h]), symbol[i])[0])
            out[i] = total
    return out


@jit
def masses(model: tuple) -> np.ndarray:
    """The sum of p(w | h) over all symbols w, for each context h: float64 [contexts].

    mass(h) = weight(h) mass(h') + A_h as in `cumulate`, short contexts first. What p(w | h') comes
    from is the link of hw, and the weights on the way there: nothing is searched for.
    """
    symbol, link, first_child, log_prob, back_off = model[1:6]
    interpolated, symbols = model[6], model[7]
    out = np.empty(len(back_off))
    for h in range(len(back_off)):
        others: int = symbols
        total = 0.0
        weight = np.exp(np.float64(back_off[h]))
        shorter = weight > 0.0 and interpolated and h > 0
        for i in range(first_child[h], first_child[h + 1]):
            if symbol[i] >= symbols:
                continue
            others -= 1
            total += np.exp(np.float64(log_prob[i]))
            if shorter:
                found, s = np.int64(link[i]), np.int64(link[h])
                q = np.float64(log_prob[found])
                while s > 0 and not first_child[s] <= found < first_child[s + 1]:
                    q += back_off[s]
                    s = np.int64(link[s])
                total -= weight * np.exp(q)
        if not interpolated:
            total += others * weight
        elif shorter:
            total += weight * out[link[h]]
        out[h] = total
    return out


@jit
def _draw_one(
    model: tuple,
    cumulated: np.ndarray,
    s: Int,
    u: float,
    low: np.ndarray,
    high: np.ndarray,
    begin: np.ndarray,
    where: np.ndarray,
    scale: np.ndarray,
) -> Int:
    """The smallest symbol whose distribution function at state s exceeds u (times its total).

    The chain of contexts is laid out once: for each, the range of continuations that can still
    matter and the factor in front. Bisecting on the symbol narrows all of them together.
    """
    symbol, link, first_child, back_off = model[1], model[2], model[3], model[5]
    interpolated, symbols = model[6], model[7]
    depth = 0
    factor = 1.0
    flat = 0.0  # probability of each symbol from the uniform distribution
    if s < 0:
        flat = 1.0 / symbols
    elif not interpolated:
        low[0], high[0], scale[0] = first_child[s], first_child[s + 1], 1.0
        flat = np.exp(back_off[s])
        depth = 1 if low[0] < high[0] else 0
    else:
        while s > 0:
            if first_child[s] < first_child[s + 1]:
                low[depth], high[depth], scale[depth] = first_child[s], first_child[s + 1], factor
                depth += 1
            factor *= np.exp(back_off[s])
            s = np.int64(link[s])
        low[depth], high[depth], scale[depth] = 1, 1 + symbols, factor
        depth += 1
    total = flat * symbols
    for d in range(depth):
        last = high[d] - 1
        total += scale[d] * cumulated[last]
    target = u * total
    put(low[:depth], begin)
    w_low, w_high = 0, symbols - 1
    while w_low < w_high:
        w = (w_low + w_high) >> 1
        value = flat * (w + 1)
        for d in range(depth):
            a, b = low[d], high[d]
            while a < b:  # a becomes the first continuation beyond w
                middle = (a + b) >> 1
                if symbol[middle] <= w:
                    a = middle + 1
                else:
                    b = middle
            where[d] = a
            if a > begin[d]:
                value += scale[d] * cumulated[a - 1]
        if value > target:
            w_high = w
            for d in range(depth):
                high[d] = where[d]
        else:
            w_low = w + 1
            for d in range(depth):
                low[d] = where[d]
    return w_low


@jit
def draw(
    model: tuple,
    cumulated: np.ndarray,
    first: int,
    last: int,
    states: np.ndarray,
    known: np.ndarray,
    uniforms: np.ndarray,
    end_symbol: int,
    x: np.ndarray,
    final: np.ndarray,
) -> None:
    """Draw K symbols for the rows first ... last-1 by inverting the distribution function.

    What comes after the end symbol is the end symbol again: nobody reads it.

    Args:
        model: `Trie.arrays`.
        cumulated: what `cumulate` gave.
        first: the first row.
        last: one beyond the last.
        states: int64 [N].
        known: int64 [N], how many symbols came before, `<s>` counted.
        uniforms: float64 [N, K].
        end_symbol: the end's number, or -1.
        x: int64 [N, K], gets the symbols.
        final: int64 [N], gets the states after them.
    """
    levels, interpolated = model[0], model[6]
    orders = len(levels)
    low, high = np.empty(orders, np.int64), np.empty(orders, np.int64)
    begin, where = np.empty(orders, np.int64), np.empty(orders, np.int64)
    scale = np.empty(orders, np.float64)
    for n in range(first, last):
        s = states[n]
        for k in range(uniforms.shape[1]):
            asked = s
            if not interpolated and level_of(levels, s) < min(orders - 3, known[n] + k):
                asked = np.int64(-1)
            w = _draw_one(model, cumulated, asked, uniforms[n, k], low, high, begin, where, scale)
            x[n, k] = w
            s = step(model, s, w)[1]
            if w == end_symbol:
                x[n, k + 1 :] = w
                break
        final[n] = s
