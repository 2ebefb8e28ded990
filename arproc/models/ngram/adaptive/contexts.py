"""A tree of contexts with what followed each, which grows symbol by symbol."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np

from arproc.contract.checked import Array, Number, check_fields, sentences
from arproc.contract.storable import storable

__all__ = ["Contexts", "StoredContexts"]

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
        self._deepest = 0  # of a file, which says so

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
        from arproc.compiled.interpreted import suited
        from arproc.models.ngram.adaptive import context_kernels

        kernels = suited(context_kernels, 4 * len(self.keys))
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

    @property
    def deepest(self) -> int:
        """How many symbols the longest context has."""
        return self._deepest

    @staticmethod
    def from_dict(value: dict[str, Any]) -> Contexts:
        """The contexts that `to_dict` described, checked: compiled code trusts its numbers.

        Raises:
            ParameterError: the arrays do not make a tree of contexts.
        """
        from arproc.compiled.interpreted import suited
        from arproc.models.ngram.adaptive import context_kernels

        kernels = suited(context_kernels, 8 * len(value["keys"]))
        stored = StoredContexts(**value)
        check_fields(stored)
        contexts, keys = Contexts(stored.symbols), stored.keys
        for name in _NAMES:
            if name not in ("keys", "nodes", "size"):
                setattr(contexts, name, getattr(stored, name).copy())
        contexts.size = np.array([len(contexts.total), len(contexts.symbol)])
        contexts._deepest = int(stored.depths.max(initial=0))
        capacity = 1 << max(6, (4 * len(keys)).bit_length())
        contexts.keys = np.full(capacity, -1, np.int64)
        contexts.nodes = np.zeros(capacity, np.int32)
        numbers = np.arange(1, len(keys) + 1, dtype=np.int32)
        kernels.rehash(keys, numbers, contexts.keys, contexts.nodes)
        return contexts


@dataclass(frozen=True, eq=False)
class StoredContexts:
    """What a file says of `Contexts`, whose attributes these are; of the table the keys alone.

    Attributes:
        keys: of the nodes but the first, in their order.
    """

    symbols: Annotated[int, Number(low=1, high=2**31 - 2)]
    keys: Annotated[np.ndarray, Array("keys", kind="int64", low=0)]
    total: Annotated[np.ndarray, Array("nodes", kind="int64", low=0)]
    head: Annotated[np.ndarray, Array("nodes", kind="int32", low=-1)]
    ratio: Annotated[np.ndarray, Array("nodes")]
    evidence: Annotated[np.ndarray, Array("nodes")]
    symbol: Annotated[np.ndarray, Array("entries", kind="int32", low=0)]
    count: Annotated[np.ndarray, Array("entries", kind="int64", low=1)]
    next: Annotated[np.ndarray, Array("entries", kind="int32", low=-1)]

    def problems(self) -> Iterator[str]:
        """What does not fit together; see `arproc.contract.checked`."""
        keys, nodes, entries = self.keys, len(self.total), len(self.symbol)
        here = np.arange(1, len(keys) + 1)
        parent, earlier = np.divmod(keys, self.symbols + 1)
        yield from sentences(
            (len(keys) != max(nodes - 1, 0) or len(np.unique(keys)) != len(keys), "the contexts "
             "do not make a tree"),
            (bool((parent >= here).any()), "a context comes before the one it continues"),
        )  # fmt: skip
        marked = np.concatenate([[False], earlier == self.symbols])
        yield from sentences((bool(marked[parent].any()), "something is before a beginning"))
        head, following = self.head, self.next
        leads = np.concatenate([head[head >= 0], following[following >= 0]])
        yield from sentences(
            (leads.max(initial=-1) >= entries, "head or next leads nowhere"),
            (len(np.unique(leads)) != entries or len(leads) != entries, "a list of what followed "
             "is not a list"),
            (bool(((following >= 0) & (following <= np.arange(entries))).any()), "a list of what "
             "followed goes in a circle"),
            (bool((self.symbol >= self.symbols).any()), "a symbol is not in the alphabet"),
        )  # fmt: skip
        owner = self._owners
        sums = np.bincount(owner, weights=self.count.astype(np.float64), minlength=nodes)
        twice = len(np.unique(owner * self.symbols + self.symbol)) != entries
        yield from sentences(
            (twice, "a symbol stands twice in a list of what followed"),
            (bool((sums != self.total).any()), "total is not the sum of a context's counts"),
        )

    @property
    def _owners(self) -> np.ndarray:
        """The node of each entry, int64: the beginning of its list, by doubling steps."""
        first = np.arange(len(self.next))
        linked = np.flatnonzero(self.next >= 0)
        first[self.next[linked]] = linked
        while not np.array_equal(first[first], first):
            first = first[first]
        owner = np.empty(len(self.next), np.int64)
        nodes = np.flatnonzero(self.head >= 0)
        owner[self.head[nodes]] = nodes
        return owner[first]

    @property
    def depths(self) -> np.ndarray:
        """How many symbols each context has, int64, by doubling steps."""
        above = np.concatenate([[0], self.keys // (self.symbols + 1)])
        depth = np.ones(len(above), np.int64)
        depth[0] = 0
        while above.any():
            depth, above = depth + depth[above], above[above]
        return depth


def _longer(array: np.ndarray, size: int) -> np.ndarray:
    longer = np.zeros(size, array.dtype)
    longer[: len(array)] = array
    return longer
