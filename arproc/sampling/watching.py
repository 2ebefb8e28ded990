"""A stop condition that is asked about each element as it comes, before a block is whole."""

from __future__ import annotations

from torch import Tensor

from arproc.sampling.rows import Store
from arproc.sampling.stopping import Stopper

__all__ = ["Watch", "always"]


def always(_: Tensor) -> bool:
    """Enough, after any element."""
    return True


class Watch:
    """Asks a condition of rows that have equally many elements; enough is what meets it.

    Args:
        stop: the condition.
        store: what the rows have so far.
        rows: which rows are drawn, int64 [m].
        done: which of all rows are finished, bool [N].
        end: the symbol that ends a row, or None; no row is asked after its end.

    Attributes:
        met: the rows that met it with the last element.
    """

    def __init__(
        self, stop: Stopper, store: Store, rows: Tensor, done: Tensor, end: int | None
    ) -> None:
        self.stop, self.store, self.rows, self.end = stop, store, rows, end
        self.place = int(store.counts[rows[0]])
        self.open = ~done[rows]
        self.every = bool(self.open.all())
        self.met = rows[:0]

    def __call__(self, x: Tensor) -> bool:
        self.store.write(self.rows, self.place, x)
        self.place += 1
        begin = 0 if self.stop.window is None else max(self.place - self.stop.window, 0)
        rows = self._asked(x)
        if rows is None:
            return False
        seen = self.store.seen(rows, begin, self.place)
        met = self.stop.met(seen, rows, None)
        if not bool(met.any()):
            return False
        self.met = rows[met]
        return True

    def _asked(self, x: Tensor) -> Tensor | None:
        """The rows that go on after this element, or None."""
        if self.end is not None:
            ends = x.cpu() == self.end
            if bool(ends.any()):
                self.open = self.open & ~ends
                self.every = False
        if self.every:
            return self.rows
        rows = self.rows[self.open]
        return rows if len(rows) else None
