"""The rows of a draw: what each has so far, and which of them are being drawn."""

from __future__ import annotations

import torch

from arproc.sampling.drawers import Drawer
from arproc.spaces import Space

__all__ = ["Queue", "Store"]


class Store:
    """The elements drawn so far, [N, width, *event], in a buffer that doubles as it fills.

    Attributes:
        counts: how many of them each row has, int64 [N].
    """

    def __init__(self, n: int, space: Space, device: torch.device, capacity: int) -> None:
        self.capacity = capacity
        shape = (n, 0, *space.event_shape)
        self.buffer = torch.zeros(shape, dtype=space.dtype, device=device)
        self.counts = torch.zeros(n, dtype=torch.int64)

    @property
    def values(self) -> torch.Tensor:
        return self.buffer[:, : int(self.counts.max())]

    def put(self, rows: torch.Tensor, x: torch.Tensor, counts: torch.Tensor | None = None) -> None:
        """The next elements x [n, K, *event] of some rows, of which `counts` count, or all."""
        begin = self.counts[rows]
        taken = torch.full_like(begin, x.shape[1]) if counts is None else counts
        first, stop = int(begin.min()), int((begin + taken).max())
        x = x.to(self.buffer.dtype)
        if x.shape == (len(self.buffer), self.capacity, *x.shape[2:]) and stop == self.capacity:
            self.buffer, self.counts[rows] = x, taken  # all there is to come, at once
            return
        if stop > self.buffer.shape[1]:
            width = max(2 * stop, 16, self.capacity) if self.counts.any() else self.capacity
            self._widen(max(width, stop))
        self.counts[rows] = begin + taken
        if stop - first == x.shape[1] and int(taken.min()) == x.shape[1]:
            if len(rows) == len(self.buffer):
                self.buffer[:, first:stop] = x
            else:
                self.buffer[rows.to(x.device), first:stop] = x
            return
        row, column = (torch.arange(x.shape[1]) < taken[:, None]).nonzero(as_tuple=True)
        places = rows[row].to(x.device), (begin[row] + column).to(x.device)
        self.buffer[places] = x[row.to(x.device), column.to(x.device)]

    def write(self, rows: torch.Tensor, place: int, x: torch.Tensor) -> None:
        """Element `place` of some rows, x [n, *event], ahead of the `put` that makes it count."""
        if place >= self.buffer.shape[1]:
            self._widen(max(2 * place, 16, self.capacity))
        if len(rows) == len(self.buffer):
            self.buffer[:, place] = x
        else:
            self.buffer[rows.to(x.device), place] = x

    def seen(self, rows: torch.Tensor, begin: int, stop: int) -> torch.Tensor:
        """A copy of the elements `begin` to before `stop` of some rows, [n, stop - begin]."""
        if len(rows) == len(self.buffer):
            return self.buffer[:, begin:stop].clone()
        return self.buffer[rows.to(self.buffer.device), begin:stop]

    def _widen(self, width: int) -> None:
        larger = self.buffer.new_zeros((len(self.buffer), width, *self.buffer.shape[2:]))
        larger[:, : self.buffer.shape[1]] = self.buffer
        self.buffer = larger


class Queue:
    """The rows that are being drawn, and those that wait for a place.

    Args:
        n: how many rows there are in all.
        at_once: how many are drawn at a time; None for all.
        drawer: which draws them, and holds all of them at first.
    """

    def __init__(self, n: int, at_once: int | None, drawer: Drawer) -> None:
        every = torch.arange(n)
        self.places = n if at_once is None else min(at_once, n)
        self.alive, self.waiting, self.drawer = every[: self.places], every[self.places :], drawer
        if len(self.waiting):
            drawer.select(self.alive)

    def go_on(
        self,
        alive: torch.Tensor,
        done: torch.Tensor,
        limits: torch.Tensor | None,
        counts: torch.Tensor,
    ) -> torch.Tensor:
        """Which rows are drawn next: full ones leave at once, finished ones when they are many.

        Since a batch is made anew then, that is when they are half of it, or a quarter where
        others wait.
        """
        finished = done[alive]
        full = None if limits is None else limits[alive] <= counts[alive]
        over = finished if full is None else finished | full
        if bool(over.all()) and not len(self.waiting):
            return alive[:0]
        share = 4 if len(self.waiting) else 2
        gone = finished & (share * int(finished.sum()) >= len(alive))
        gone = gone if full is None else gone | full
        if not bool(gone.any()):
            return alive
        keep = (~gone).nonzero()[:, 0]
        self.drawer.select(keep)
        alive = alive[keep]
        new, self.waiting = self.waiting.split([
            min(self.places - len(alive), len(self.waiting)),
            max(len(self.waiting) - self.places + len(alive), 0),
        ])  # fmt: skip
        if len(new):
            self.drawer.admit(new)
            # what is full before it begins leaves again
            return self.go_on(torch.cat([alive, new]), done, limits, counts)
        return alive
