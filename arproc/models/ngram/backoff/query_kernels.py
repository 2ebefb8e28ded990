"""Compiled loops of asking: states, terms and rows of a back-off model.

`model` is always the tuple `Trie.arrays`. A state is a node that is a context; -1 stands for a
context that a model without interpolation has never seen, and so for the uniform distribution.
"""

from __future__ import annotations

import numpy as np

from arproc.compiled.jit import Int, jit, prefetch


@jit
def logarithms(x: np.ndarray, out: np.ndarray) -> None:
    """The natural logarithms of x, of 0 minus infinity."""
    for i in range(len(x)):
        out[i] = np.log(x[i]) if x[i] > 0.0 else -np.inf


#: Nodes with more continuations than this are looked up in the hash table `index`.
WIDE = 64


@jit
def slot_of(s: Int, w: Int, slots: Int) -> Int:
    """Where the search for symbol w after node s begins in `index`."""
    key = (np.uint64(s) << np.uint64(32)) | np.uint64(w)
    key = (key ^ (key >> np.uint64(29))) * np.uint64(0x9E3779B97F4A7C15)
    return np.int64(((key >> np.uint64(32)) * np.uint64(slots)) >> np.uint64(32))


@jit
def fill_index(symbol: np.ndarray, first_child: np.ndarray, index: np.ndarray) -> None:
    """Put the continuations of wide nodes into the hash table: int32 [slots], -1 where free."""
    for s in range(1, len(first_child) - 1):
        if first_child[s + 1] - first_child[s] > WIDE:
            for i in range(first_child[s], first_child[s + 1]):
                at = slot_of(s, symbol[i], len(index))
                while index[at] >= 0:
                    at = at + 1 if at + 1 < len(index) else 0
                index[at] = i


@jit
def search(symbol: np.ndarray, index: np.ndarray, s: Int, low: Int, width: Int, w: Int) -> Int:
    """Where w stands among the `width` continuations of node s, from `low` on, or -1."""
    if width > WIDE:
        at = slot_of(s, w, len(index))
        while True:
            c = np.int64(index[at])
            if c < 0 or (low <= c < low + width and symbol[c] == w):
                return c
            at = at + 1 if at + 1 < len(index) else 0
    if width == 0:
        return np.int64(-1)
    while width > 1:  # halving without a branch: the processor can not guess which half
        half = width >> 1
        low += half * (symbol[low + half] <= w)
        width -= half
    return low if symbol[low] == w else np.int64(-1)


@jit
def all_found(symbol: np.ndarray, first_child: np.ndarray, index: np.ndarray) -> bool:
    """Whether every continuation of a wide node is found in the hash table, which has a gap."""
    for s in range(1, len(first_child) - 1):
        low = np.int64(first_child[s])
        width = np.int64(first_child[s + 1]) - low
        if width > WIDE:
            for i in range(low, low + width):
                if search(symbol, index, s, low, width, np.int64(symbol[i])) != i:
                    return False
    return True


@jit
def child(model: tuple, s: Int, w: Int) -> Int:
    """The n-gram of node s followed by symbol w, or -1."""
    if s == 0:
        return np.int64(w) + 1
    first_child = model[3]
    low = np.int64(first_child[s])
    return search(model[1], model[8], s, low, np.int64(first_child[s + 1]) - low, w)


@jit
def follow_one(
    symbol: np.ndarray,
    link: np.ndarray,
    first_child: np.ndarray,
    log_prob: np.ndarray,
    back_off: np.ndarray,
    index: np.ndarray,
    s: Int,
    w: Int,
) -> tuple[float, Int]:
    """`step` with the model's arrays apart: taking them out of the tuple takes time."""
    total = 0.0
    while s > 0:
        low = np.int64(first_child[s])
        c = search(symbol, index, s, low, np.int64(first_child[s + 1]) - low, w)
        if c >= 0:
            return total + log_prob[c], (c if c < len(back_off) else np.int64(link[c]))
        total += back_off[s]
        s = np.int64(link[s])
    c = np.int64(w) + 1
    return total + log_prob[c], (c if c < len(back_off) else np.int64(link[c]))


@jit
def step(model: tuple, s: Int, w: Int) -> tuple[float, Int]:
    """Follow symbol w from state s: its log-probability by backing off, and the next state."""
    symbol, link, first_child, log_prob, back_off = model[1:6]
    return follow_one(symbol, link, first_child, log_prob, back_off, model[8], s, w)


@jit
def links_hold(model: tuple, begin: Int, end: Int) -> bool:
    """Whether the link of each n-gram that continues contexts `begin` to before `end` is right.

    It is the longest proper suffix that is an n-gram: where the context's own link, followed by
    the symbol, leads. Mostly that n-gram is there, and nothing need be searched for.
    """
    symbol, link, first_child = model[1], model[2], model[3]
    for h in range(begin, end):
        s = np.int64(link[h])
        low, high = np.int64(first_child[s]), np.int64(first_child[s + 1])
        for i in range(first_child[h], first_child[h + 1]):
            found = np.int64(link[i])
            if low <= found < high and symbol[found] == symbol[i]:
                continue
            if found != step(model, s, np.int64(symbol[i]))[1]:
                return False
    return True


@jit
def level_of(levels: np.ndarray, s: Int) -> Int:
    """The order of node s."""
    k = 0
    while levels[k + 1] <= s:
        k += 1
    return k


@jit
def plain_term(model: tuple, s: Int, w: Int, known: Int) -> float:
    """Log-probability without interpolation; the context is min(N-1, known) symbols."""
    levels, log_prob, back_off, symbols = model[0], model[4], model[5], model[7]
    if level_of(levels, s) < min(len(levels) - 3, known):
        return -np.log(symbols)
    c = child(model, s, w)
    return log_prob[c] if c >= 0 else back_off[s]


@jit
def plain_terms(
    model: tuple,
    values: np.ndarray,
    begin: np.ndarray,
    end: np.ndarray,
    first_term: np.ndarray,
    complete: np.ndarray,
    states: np.ndarray,
    known: np.ndarray,
    end_symbol: Int,
    out: np.ndarray,
) -> None:
    """The chain rule's terms, without interpolation, of some sequences or parts of them.

    Args:
        model: `Trie.arrays`.
        values: flat symbols of all sequences.
        begin: int64 [rows], where each part begins in `values`.
        end: int64 [rows], where it ends.
        first_term: int64 [rows], where its terms begin in `out`.
        complete: bool [rows], whether the end symbol is a term too.
        states: int64 [rows], the state before the first symbol.
        known: int64 [rows], how many symbols came before, `<s>` counted.
        end_symbol: the end's number, or -1.
        out: float64, gets the terms.
    """
    for row in range(len(begin)):
        s = states[row]
        o = first_term[row]
        length = end[row] - begin[row]
        for t in range(length + (1 if complete[row] else 0)):
            w = np.int64(values[begin[row] + t]) if t < length else np.int64(end_symbol)
            out[o + t] = plain_term(model, s, w, known[row] + t)
            s = step(model, s, w)[1]


#: How many sequences are scored at a time.
_LANES = 16


@jit
def interleaved_terms(
    model: tuple,
    values: np.ndarray,
    begin: np.ndarray,
    end: np.ndarray,
    first_term: np.ndarray,
    complete: np.ndarray,
    states: np.ndarray,
    end_symbol: Int,
    out: np.ndarray,
) -> None:
    """The chain rule's terms of a model with interpolation, of several sequences at a time.

    A search waits for memory most of its time. So a few sequences take turns: each asks for what
    it will read next, and it is there when its turn comes (Chen et al. 2007, "Improving hash join
    performance through prefetching"). Arguments: `plain_terms`.
    """
    symbol, link, first_child, log_prob, back_off = model[1:6]
    index = model[8]
    contexts = len(back_off)
    rows = len(begin)
    lanes = 0
    following = 0
    at = np.empty(_LANES, np.int64)  # where the symbol stands in `values`
    stop = np.empty(_LANES, np.int64)
    place = np.empty(_LANES, np.int64)  # where its term goes in `out`
    ends = np.empty(_LANES, np.bool_)
    s = np.empty(_LANES, np.int64)
    low = np.empty(_LANES, np.int64)
    high = np.empty(_LANES, np.int64)
    found = np.empty(_LANES, np.int64)
    total = np.empty(_LANES, np.float64)
    while True:
        while lanes < _LANES and following < rows:
            row = following
            following += 1
            if begin[row] == end[row] and not complete[row]:
                continue
            at[lanes], stop[lanes], place[lanes] = begin[row], end[row], first_term[row]
            ends[lanes] = complete[row]
            s[lanes], total[lanes] = states[row], 0.0
            prefetch(first_child, s[lanes])
            lanes += 1
        if lanes == 0:
            break
        for i in range(lanes):
            low[i], high[i] = first_child[s[i]], first_child[s[i] + 1]
            if high[i] - low[i] > WIDE:
                w = np.int64(values[at[i]]) if at[i] < stop[i] else np.int64(end_symbol)
                prefetch(index, slot_of(s[i], w, len(index)))
            else:
                prefetch(symbol, low[i])
                prefetch(symbol, low[i] + ((high[i] - low[i]) >> 1))
            prefetch(back_off, s[i])
            prefetch(link, s[i])
        for i in range(lanes):
            w = np.int64(values[at[i]]) if at[i] < stop[i] else np.int64(end_symbol)
            if s[i] == 0:
                c = w + 1
            else:
                c = search(symbol, index, s[i], low[i], high[i] - low[i], w)
            found[i] = c
            if c < 0:
                total[i] += back_off[s[i]]
                s[i] = link[s[i]]
                prefetch(first_child, s[i])
            else:
                prefetch(log_prob, c)
                prefetch(link, c)
        i = 0
        while i < lanes:
            c = found[i]
            if c < 0:
                i += 1
                continue
            out[place[i]] = total[i] + log_prob[c]
            total[i] = 0.0
            place[i] += 1
            at[i] += 1
            if at[i] < stop[i] or (at[i] == stop[i] and ends[i]):
                s[i] = c if c < contexts else np.int64(link[c])
                prefetch(first_child, s[i])
                i += 1
            else:  # this sequence is done; the last lane takes its place
                lanes -= 1
                at[i], stop[i], place[i] = at[lanes], stop[lanes], place[lanes]
                ends[i], s[i], total[i] = ends[lanes], s[lanes], total[lanes]
                found[i] = found[lanes]


@jit
def matches(
    model: tuple,
    values: np.ndarray,
    offsets: np.ndarray,
    complete: np.ndarray,
    start: Int,
    end_symbol: Int,
    out: np.ndarray,
) -> None:
    """The longest n-gram that ends with each symbol of the sequences, the ends included.

    Args:
        model: `Trie.arrays`.
        values: flat symbols of all sequences.
        offsets: int64 [N + 1], where each begins.
        complete: bool [N], whether the end symbol is asked too.
        start: the state before the first symbol.
        end_symbol: the end's number, or -1.
        out: int64, gets the n-grams.
    """
    link, contexts = model[2], len(model[5])
    o = 0
    for row in range(len(complete)):
        s = np.int64(start)
        length = offsets[row + 1] - offsets[row]
        for t in range(length + (1 if complete[row] else 0)):
            w = np.int64(values[offsets[row] + t]) if t < length else np.int64(end_symbol)
            c = child(model, s, w)
            while c < 0:
                s = np.int64(link[s])
                c = child(model, s, w)
            out[o] = c
            o += 1
            s = c if c < contexts else np.int64(link[c])


@jit
def follow(model: tuple, states: np.ndarray, x: np.ndarray) -> np.ndarray:
    """The states after the symbols x [N, K], column by column: int64 [N, K]."""
    symbol, link, first_child, log_prob, back_off = model[1:6]
    index = model[8]
    out = np.empty(x.shape, np.int64)
    for n in range(x.shape[0]):
        s = states[n]
        for k in range(x.shape[1]):
            w = x[n, k]
            s = follow_one(symbol, link, first_child, log_prob, back_off, index, s, w)[1]
            out[n, k] = s
    return out


@jit
def states_after(model: tuple, ctx: np.ndarray, position: np.ndarray, start: Int) -> np.ndarray:
    """The states after windows of symbols.

    Args:
        model: `Trie.arrays`.
        ctx: int64 [M, p], the last symbols; where position is less than p the first are missing.
        position: int64 [M], how many symbols came before.
        start: the state before the first symbol.
    """
    m, p = ctx.shape
    out = np.empty(m, np.int64)
    for i in range(m):
        s = np.int64(start) if position[i] < p else np.int64(0)
        for j in range(p - min(position[i], p), p):
            s = step(model, s, ctx[i, j])[1]
        out[i] = s
    return out


@jit
def unseen(model: tuple, states: np.ndarray, known: np.ndarray) -> None:
    """Without interpolation, put -1 for states shorter than min(N-1, known) symbols, in place."""
    levels = model[0]
    for i in range(len(states)):
        if level_of(levels, states[i]) < min(len(levels) - 3, known[i]):
            states[i] = -1


@jit
def rows(model: tuple, states: np.ndarray, out: np.ndarray) -> None:
    """Log-probabilities of every next symbol: out [M, V].

    The single symbols first, then what continues each longer context overwrites its entries: as
    many writes as there are symbols and continuations.
    """
    symbol, link, first_child, log_prob, back_off = model[1:6]
    interpolated, symbols = model[6], model[7]
    chain = np.empty(len(model[0]), np.int64)
    paid = np.empty(len(model[0]), np.float64)
    for m in range(len(states)):
        s = states[m]
        if s < 0:
            out[m, :] = -np.log(symbols)
            continue
        if not interpolated:
            out[m, :] = back_off[s]
            for i in range(first_child[s], first_child[s + 1]):
                if symbol[i] < symbols:
                    out[m, symbol[i]] = log_prob[i]
            continue
        depth = 0
        total = 0.0
        while True:
            chain[depth], paid[depth] = s, total
            depth += 1
            if s == 0:
                break
            total += back_off[s]
            s = np.int64(link[s])
        for w in range(symbols):
            out[m, w] = total + log_prob[1 + w]
        for d in range(depth - 2, -1, -1):
            for i in range(first_child[chain[d]], first_child[chain[d] + 1]):
                out[m, symbol[i]] = paid[d] + log_prob[i]


@jit
def connect(model: tuple) -> None:
    """Fill each node's link, and the log-probability (NaN so far) where the file has none.

    The longest suffix of an n-gram hw that is here continues by w one of the suffixes of h, the
    longest that can; a probability that the file leaves out is that of backing off.
    """
    symbol, link, first_child, log_prob, back_off = model[1:6]
    for h in range(len(back_off)):
        for i in range(first_child[h], first_child[h + 1]):
            if h == 0:
                link[i] = 0
                continue
            total = back_off[h]
            s = np.int64(link[h])
            c = child(model, s, symbol[i])
            while c < 0:
                total += back_off[s]
                s = np.int64(link[s])
                c = child(model, s, symbol[i])
            link[i] = c
            if np.isnan(log_prob[i]):
                log_prob[i] = total + log_prob[c]
