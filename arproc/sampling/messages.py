"""Messages from the future to the past, over graphs of all that can come.

The backward half of the forward-backward recursion (Baum et al. 1970; Rabiner 1989): the message
of a node is the log-probability of all evidence that is still to come. With maxima in place of
sums it is that of the most probable way on (Viterbi 1967).
"""

from __future__ import annotations

import numpy as np

from arproc.errors import UnsupportedError
from arproc.sampling.finite import Graph, Layer

__all__ = ["messages"]


def messages(graph: Graph, best: bool = False) -> list[np.ndarray]:
    """The messages of each step's nodes, nats, [M].

    Args:
        graph: what can come.
        best: take the most probable way, not the sum of all.

    Returns:
        Those of steps 0, 1 ... up to the graph's last; where it has none up to the first step of
        its core, whose messages are those of all later steps.

    Raises:
        UnsupportedError: the sum over endlessly many ways is beyond the reach of floats.
    """
    rows, join = (_row_maxima, np.maximum) if best else (_row_log_sums, np.logaddexp)
    count, found = graph.steps, [graph.last]
    if count is None:
        assert graph.core is not None
        count, found = len(graph.layers), [(_best if best else _sums)(graph.core)]
    for step in range(count - 1, -1, -1):
        layer = graph.at(step)
        through = rows(layer.score + found[-1][layer.target], layer.offsets)
        found.append(join(through, layer.end))
    return found[::-1]


def _row_log_sums(values: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Log sum exp of the values of each row, [rows]; minus infinity of rows without any."""
    peaks = _row_maxima(values, offsets)
    counts = np.diff(offsets)
    base = np.where(np.isfinite(peaks), peaks, 0.0)
    sums = np.zeros(len(counts))
    some = counts > 0
    if some.any():
        raised = np.exp(values - np.repeat(base, counts))
        sums[some] = np.add.reduceat(raised, offsets[:-1][some])
    with np.errstate(divide="ignore"):
        return np.log(sums) + base


def _row_maxima(values: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """The greatest value of each row, [rows]; minus infinity of rows without any."""
    found = np.full(len(offsets) - 1, -np.inf)
    some = np.diff(offsets) > 0
    if some.any():
        found[some] = np.maximum.reduceat(values, offsets[:-1][some])
    return found


# ---- ways without a last step ------------------------------------------------------------------


def _best(core: Layer) -> np.ndarray:
    """The log-probability of the most probable way from each node to an end, [M]."""
    best = core.end
    while True:
        through = _row_maxima(core.score + best[core.target], core.offsets)
        better = np.maximum(core.end, through)
        if (better == best).all():
            return best
        best = better


def _sums(core: Layer) -> np.ndarray:
    """The log-probability of all ways from each node to an end, [M].

    Strongly connected components are solved one after another, those from which no other is
    reached first, so that nothing is lost where probabilities are too small for floats; within one
    the linear system is scaled by the most probable path from each node.
    """
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import connected_components

    ones = np.ones(len(core.target), np.int8)
    links = csr_array((ones, core.target, core.offsets), shape=(core.nodes,) * 2)
    _, label = connected_components(links, connection="strong")
    found = np.full(core.nodes, -np.inf)
    members = np.split(np.argsort(label, kind="stable"), np.cumsum(np.bincount(label))[:-1])
    for component in _sinks_first(core, label):
        found[members[component]] = _component(core, members[component], label, found)
    _check(core, found)
    return found


def _sinks_first(core: Layer, label: np.ndarray) -> list[int]:
    """The components, each after all that it leads to."""
    pairs = np.column_stack([label[core.source], label[core.target]])
    pairs = np.unique(pairs[pairs[:, 0] != pairs[:, 1]], axis=0)
    count = int(label.max()) + 1
    open_ = np.bincount(pairs[:, 0], minlength=count)
    pairs = pairs[np.argsort(pairs[:, 1], kind="stable")]
    offsets = np.concatenate([[0], np.bincount(pairs[:, 1], minlength=count).cumsum()])
    ready, order = np.flatnonzero(open_ == 0).tolist(), []
    while ready:
        component = ready.pop()
        order.append(component)
        for before in pairs[offsets[component] : offsets[component + 1], 0].tolist():
            open_[before] -= 1
            if open_[before] == 0:
                ready.append(before)
    return order


def _component(core: Layer, nodes: np.ndarray, label: np.ndarray, found: np.ndarray) -> np.ndarray:
    """The messages of one strongly connected component, all later ones being found."""
    counts = core.offsets[nodes + 1] - core.offsets[nodes]
    offsets = np.concatenate([[0], counts.cumsum()])
    edges = np.arange(offsets[-1]) + np.repeat(core.offsets[nodes] - offsets[:-1], counts)
    inside = label[core.target[edges]] == label[nodes[0]]
    values = np.where(inside, -np.inf, core.score[edges] + found[core.target[edges]])
    exits = np.logaddexp(_row_log_sums(values, offsets), core.end[nodes])
    if not inside.any():
        return exits
    source = np.repeat(np.arange(len(nodes)), counts)[inside]
    place = np.empty(core.nodes, np.int64)
    place[nodes] = np.arange(len(nodes))
    target, log_prob = place[core.target[edges[inside]]], core.score[edges[inside]]
    return _solved(exits, source, target, log_prob)


def _solved(
    exits: np.ndarray, source: np.ndarray, target: np.ndarray, log_prob: np.ndarray
) -> np.ndarray:
    """Log h of h = exp(exits) + A h, A having the entries exp(log_prob)."""
    from scipy.sparse import csc_array, eye_array
    from scipy.sparse.linalg import spsolve

    offsets = np.concatenate([[0], np.bincount(source, minlength=len(exits)).cumsum()])
    best = exits
    while True:  # the most probable way out
        better = np.maximum(exits, _row_maxima(log_prob + best[target], offsets))
        if (better == best).all():
            break
        best = better
    if not np.isfinite(best).any():
        return best
    entries = np.exp(log_prob + best[target] - best[source])
    system = csc_array((entries, (source, target)), shape=(len(exits),) * 2)
    right = np.exp(exits - best)
    with np.errstate(divide="ignore", invalid="ignore"):
        return best + np.log(spsolve((eye_array(len(exits)) - system).tocsc(), right))


def _check(core: Layer, found: np.ndarray) -> None:
    """Raise where the messages do not solve their own equations."""
    again = _row_log_sums(core.score + found[core.target], core.offsets)
    again = np.logaddexp(again, core.end)
    live = np.isfinite(again)
    wrong = ~np.isclose(again[live], found[live], rtol=1e-9, atol=1e-8)
    if wrong.any() or np.isnan(found).any():
        raise UnsupportedError(
            "the probability that what follows keeps the constraint is beyond the reach of floats "
            "here; give sequences a most length (length=)."
        )
