"""A tree of contexts with what followed each, which grows symbol by symbol."""

from __future__ import annotations

from typing import Any

import numpy as np

from arproc.contract.storable import storable
from arproc.errors import FileFormatError

__all__ = ["Contexts"]

_NAMES = ("keys", "nodes", "total", "head", "ratio", "evidence", "symbol", "count", "next", "size")


@storable
class Contexts:
    """Contexts and the symbols that followed them, as growing flat arrays.

    A node is a context; its children have one more, earlier symbol. What followed a node is a
    linked list of (symbol, count).

    Args:
        symbols: how many symbols there are.

    Attributes:
        keys: int64, an open hash table of (node * (symbols + 1) + earlier symbol), -1 where free;
            the symbol `symbols` is the mark before the beginning.
        nodes: int32, the child of each key.
        total: int64 [nodes], how many symbols followed.
        head: int32 [nodes], the first entry of its list, or -1.
        ratio: float64 [nodes], log of the evidence here over that of going on (CTW).
        evidence: float64 [nodes], log-evidence of one estimator for all that followed (CTW).
        symbol: int32 [entries], which symbol followed.
        count: int64 [entries], how often.
        next: int32 [entries], the next entry, or -1.
        size: int64 [2], how many nodes and entries there are.
    """

    def __init__(self, symbols: int) -> None:
        self.symbols = symbols
        self.keys, self.nodes = np.full(64, -1, np.int64), np.zeros(64, np.int32)
        self.total, self.head = np.zeros(16, np.int64), np.zeros(16, np.int32)
        self.ratio, self.evidence = np.zeros(16), np.zeros(16)
        self.symbol, self.count = np.zeros(16, np.int32), np.zeros(16, np.int64)
        self.next, self.size = np.zeros(16, np.int32), np.zeros(2, np.int64)

    @property
    def arrays(self) -> tuple[np.ndarray, ...]:
        """What the kernels take."""
        return tuple(getattr(self, name) for name in _NAMES)

    @property
    def n_contexts(self) -> int:
        """How many contexts there are, the empty one included."""
        return int(self.size[0])

    def enlarge(self, depth: int) -> None:
        """Make room for at least one more symbol of contexts up to `depth`."""
        from arproc.models.ngram.adaptive import context_kernels as kernels

        nodes, entries = int(self.size[0]) + depth + 1, int(self.size[1])
        entries += (depth + 1) * (self.symbols + 1)
        if nodes > len(self.total):
            for name in ("total", "head", "ratio", "evidence"):
                setattr(self, name, _longer(getattr(self, name), 2 * nodes))
        if entries > len(self.symbol):
            for name in ("symbol", "count", "next"):
                setattr(self, name, _longer(getattr(self, name), 2 * entries))
        if 2 * nodes > len(self.keys):
            capacity = 1 << (4 * nodes).bit_length()
            keys, table = np.full(capacity, -1, np.int64), np.zeros(capacity, np.int32)
            kernels.rehash(self.keys, self.nodes, keys, table)
            self.keys, self.nodes = keys, table

    def to_dict(self) -> dict[str, Any]:
        """The arrays without their spare room; `from_dict` is the inverse."""
        used = self.keys >= 0
        order = np.argsort(self.nodes[used])
        nodes, entries = self.size.tolist()
        return {
            "symbols": self.symbols,
            "keys": self.keys[used][order],
            "total": self.total[:nodes],
            "head": self.head[:nodes],
            "ratio": self.ratio[:nodes],
            "evidence": self.evidence[:nodes],
            "symbol": self.symbol[:entries],
            "count": self.count[:entries],
            "next": self.next[:entries],
        }

    @staticmethod
    def from_dict(value: dict[str, Any]) -> Contexts:
        """The contexts that `to_dict` described, checked: compiled code trusts its numbers.

        Raises:
            FileFormatError: the arrays do not make a tree of contexts.
        """
        from arproc.models.ngram.adaptive import context_kernels as kernels

        contexts = Contexts(value["symbols"])
        fresh = Contexts(1)
        for name in ("keys", "total", "head", "ratio", "evidence", "symbol", "count", "next"):
            array = value[name]
            if array.dtype != getattr(fresh, name).dtype or array.ndim != 1:
                raise FileFormatError(f"The file's contexts are damaged: {name} is {array.dtype}.")
            if name != "keys":
                setattr(contexts, name, array.copy())
        keys = value["keys"]
        contexts.size = np.array([len(contexts.total), len(contexts.symbol)])
        problem = _problem(contexts, keys)
        if problem is not None:
            raise FileFormatError(f"The file's contexts are damaged: {problem}.")
        capacity = 1 << max(6, (4 * len(keys)).bit_length())
        contexts.keys, contexts.nodes = (
            np.full(capacity, -1, np.int64),
            np.zeros(capacity, np.int32),
        )
        kernels.rehash(
            keys, np.arange(1, len(keys) + 1, dtype=np.int32), contexts.keys, contexts.nodes
        )
        return contexts


def _longer(array: np.ndarray, size: int) -> np.ndarray:
    longer = np.zeros(size, array.dtype)
    longer[: len(array)] = array
    return longer


def _problem(contexts: Contexts, keys: np.ndarray) -> str | None:
    """What is wrong with the arrays of a file, or None."""
    nodes, entries = contexts.size.tolist()
    if not isinstance(contexts.symbols, int) or contexts.symbols < 1:
        return "there are no symbols"
    if len({len(contexts.total), len(contexts.head), len(contexts.ratio)}) != 1 or len(
        contexts.evidence
    ) != len(contexts.total):
        return "the contexts' arrays differ in length"
    if not len(contexts.symbol) == len(contexts.count) == len(contexts.next):
        return "the entries' arrays differ in length"
    if len(keys) != max(nodes - 1, 0) or len(np.unique(keys)) != len(keys):
        return "the contexts do not make a tree"
    parent = keys // (contexts.symbols + 1)
    if (keys < 0).any() or (parent >= np.arange(1, len(keys) + 1)).any():
        return "a context comes before the one it continues"
    head, following = contexts.head, contexts.next
    for name, array in (("head", head), ("next", following)):
        if ((array < -1) | (array >= entries)).any():
            return f"{name} leads nowhere"
    leads = np.concatenate([head[head >= 0], following[following >= 0]])
    if len(np.unique(leads)) != entries or len(leads) != entries:
        return "a list of what followed is not a list"
    if ((following >= 0) & (following <= np.arange(entries))).any():
        return "a list of what followed goes in a circle"
    if ((contexts.symbol < 0) | (contexts.symbol >= contexts.symbols)).any():
        return "a symbol is not in the alphabet"
    if (contexts.total < 0).any() or (contexts.count < 1).any():
        return "a count is not positive"
    if not (np.isfinite(contexts.ratio).all() and np.isfinite(contexts.evidence).all()):
        return "a number is not finite"
    return None
