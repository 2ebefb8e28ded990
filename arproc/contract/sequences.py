"""Sequences: a ragged batch of elements of one space, remembering the form the user gave.

Storage is flat values plus offsets (Arrow's list layout): a million short strings, or one
memory-mapped file of a billion bytes, without padding. Padded batches are made on demand.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from copy import copy
from dataclasses import replace
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import torch

from arproc.data.arrays import unmasked
from arproc.data.form import Form, Layout, restore
from arproc.data.intake import read
from arproc.data.labels import Labels
from arproc.data.mapped import check_symbols, is_mapped, read_mapped
from arproc.errors import DataError, check_flag
from arproc.spaces import Categorical, Space, check_values

__all__ = ["Sequences"]

_ZERO = np.zeros(1, dtype=np.int64)


class Sequences:
    """A ragged batch of N sequences.

    Args:
        values: the elements of all sequences, one after another, [total, *event].
        offsets: int64 [N + 1]; sequence i is `values[offsets[i]:offsets[i + 1]]`.
        space: what the elements are.
        complete: bool [N], whether sequence i came to its end. Only a terminating space asks:
            there, a complete sequence has one more term, the probability of ending. The end
            symbol itself is not stored. By default all are complete.
        form: how results go back to the user.
        missing: whether NaN may stand among the values, for an element that was not observed.

    Attributes:
        weights: how much each sequence counts in fitting, float64 [N]; None is one each.
        context: what the sequences are conditioned on while a model is fitted, or None.
        seen: for examples of one size, which sites were observed, bool [N, sites]; the values of
            the others say nothing. None is all.

    Example:
        >>> from arproc.spaces import Real
        >>> batch = Sequences.of([[1.0, 2.0], [3.0]], Real())
        >>> batch.lengths.tolist(), batch.padded()[0].tolist()
        ([2, 1], [[1.0, 2.0], [3.0, 0.0]])
    """

    def __init__(
        self,
        values: torch.Tensor,
        offsets: torch.Tensor,
        space: Space,
        complete: torch.Tensor | None = None,
        form: Form | None = None,
        missing: bool = False,
    ) -> None:
        self.values = values
        self.offsets = offsets
        self.space = space
        n = len(offsets) - 1
        # NumPy's calls cost a fraction of torch's
        self.complete = torch.from_numpy(np.ones(n, np.bool_)) if complete is None else complete
        self.form = form or Form()
        self.missing = missing
        self.weights: torch.Tensor | None = None
        self.context: torch.Tensor | None = None
        self.seen: torch.Tensor | None = None

    @classmethod
    def of(
        cls,
        data: Any,
        space: Space,
        *,
        layout: Layout | None = None,
        complete: bool | torch.Tensor | None = None,
        name: str = "data",
        device: torch.device | str | None = None,
        partial: bool = False,
        missing: bool = False,
        labels: Labels | None = None,
        refusal: str = "",
    ) -> Sequences:
        """The user's data as elements of `space`.

        Args:
            data: a number, list, NumPy array, tensor, Series, DataFrame, `str`, list of `str`, or
                a `Path` (memory-mapped where the vocabulary is bytes). For scalar elements a
                2-D array is [N, T] and each column of a DataFrame is a series; for vector
                elements it is [T, d] and the columns are components.
            space: what one element is.
            layout: for laws of fixed size, the order of generation.
            complete: whether the sequences came to their end; by default they did.
            name: what error messages call the data.
            device: where the values go; results for a tensor go back to where it was.
            partial: whether these are the first elements of sequences (a prefix), in the order of
                generation, rather than whole ones; they may be empty.
            missing: whether NaN (and pandas' NA, and a masked value) is let through, for an
                element that was not observed; steps that an index of dates leaves out are such.
            labels: of the data of `fit`: columns are taken by their names, and dates go on by
                their step.
            refusal: why the model takes no missing values, and what to do; a sentence.

        Raises:
            DataError: what came is not elements of the space; the message says what was expected.
        """
        rows = isinstance(complete, torch.Tensor) and complete.ndim == 1
        flags = isinstance(complete, torch.Tensor) and complete.dtype == torch.bool
        if complete is not None and not (flags and rows):
            complete = check_flag("complete", complete)
        if isinstance(data, Sequences):
            _check_same_space(data.space, space, name)
            if data.missing and not missing:
                check_values(data.values, space, name, refusal=refusal)
            return data
        if missing or space.holds_missing:
            data = unmasked(data)
        gaps = missing or space.holds_missing
        mapped = layout is None and is_mapped(data)
        if mapped and isinstance(space, Categorical):
            check_symbols(data, space, name)
            values, lengths, form = read_mapped(data, space)
        else:
            mapped = False
            values, lengths, form = read(data, space, layout, name, partial, gaps, labels)
        if form.kind == "tensor":
            form = replace(form, device=values.device)
        if device is not None:
            values = values.to(device)
        if not len(lengths):
            raise DataError(f"{name} is empty; expected at least one sequence.")
        if not partial and not space.terminates and int(lengths.numpy().min()) == 0:
            row = int((lengths == 0).nonzero()[0])
            raise DataError(f"{name} has no elements (sequence {row} is empty); expected some.")
        if space.length is not None and int(lengths.max()) > space.length:
            row = int(lengths.argmax())
            raise DataError(
                f"{name} is too long: sequence {row} has {int(lengths[row])} elements, and the "
                f"model's have {space.length}."
            )
        if (
            form.kind != "text" and not mapped
        ):  # text comes from the vocabulary, so it is right, and may be huge
            place = _places(lengths, layout) if space.varies else None
            missing = check_values(values, space, name, missing, place, refusal)
            values = values if values.dtype == space.dtype else values.to(space.dtype)
        else:
            missing = False
        offsets = torch.from_numpy(np.concatenate([_ZERO, lengths.numpy().cumsum()]))
        if isinstance(complete, bool):
            complete = torch.full((len(lengths),), complete)
        if complete is not None and len(complete) != len(lengths):
            raise DataError(f"complete has {len(complete)} flags for {len(lengths)} sequences.")
        if layout is not None:
            full = lengths == layout.length
            complete = full if complete is None else complete & full
        found = cls(values, offsets, space, complete, form, missing)
        vars(found)["lengths"] = lengths.long()  # they need not be computed again
        return found

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __repr__(self) -> str:
        return f"Sequences(n={len(self)}, elements={len(self.values)}, {self.space.describe()})"

    @cached_property
    def lengths(self) -> torch.Tensor:
        """The number of elements of each sequence, int64 [N]."""
        return self.offsets.diff()

    @property
    def n_terms(self) -> torch.Tensor:
        """The number of terms of each sequence's log-probability, int64 [N]: its ends included."""
        if not self.space.terminates:
            return self.lengths
        return self.lengths + self.complete.to(torch.int64)

    @property
    def gone(self) -> torch.Tensor:
        """Which elements were not observed at all, bool [total]."""
        if not self.missing:
            return torch.zeros(len(self.values), dtype=torch.bool)
        numbers = math.prod(self.values.shape[1:])
        nan = torch.isnan(self.values.detach()).reshape(len(self.values), numbers)
        return nan.all(dim=1).cpu()

    def n_scored(self, given: int) -> torch.Tensor:
        """How many terms of each sequence are of something that was observed, int64 [N].

        Those of the first `given` elements do not count, and those of ends do.
        """
        counts = (self.n_terms - given).clamp(min=0)
        if not self.missing:
            return counts
        kept = self.scored(given)
        offsets = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
        before = torch.cat([counts.new_zeros(1), kept.cumsum(0)])
        return before[offsets].diff()

    def scored(self, given: int) -> torch.Tensor:
        """Which terms after the first `given` elements are of something observed, bool, flat."""
        counts = self.n_terms
        place = torch.repeat_interleave(self.term_offsets[:-1] - self.offsets[:-1], self.lengths)
        seen = torch.ones(int(counts.sum()), dtype=torch.bool)
        seen[torch.arange(len(self.values)) + place] = ~self.gone
        starts = torch.repeat_interleave(self.term_offsets[:-1], counts)
        return seen[torch.arange(len(seen)) - starts >= given]

    @property
    def term_offsets(self) -> torch.Tensor:
        """Where each sequence's terms begin in a flat tensor of all terms, int64 [N + 1]."""
        offsets = torch.zeros(len(self) + 1, dtype=torch.int64)
        offsets[1:] = self.n_terms.cumsum(0)
        return offsets

    def weighted(self, weights: torch.Tensor | None) -> Sequences:
        """The same sequences with weights [N]."""
        if weights is None:
            return self
        same = copy(self)
        same.weights = weights
        return same

    def ended(self, complete: bool) -> Sequences:
        """The same sequences, which all came to their end or all did not."""
        same = copy(self)
        same.complete = torch.full((len(self),), check_flag("complete", complete))
        return same

    def given(self, context: torch.Tensor | None) -> Sequences:
        """The same sequences with a context: [N, c] where static, [N, T, c] where per step."""
        same = copy(self)
        same.context = context
        return same

    def observed(self, seen: torch.Tensor) -> Sequences:
        """The same examples of one size, of which only some sites were observed, [N, sites]."""
        same = copy(self)
        same.seen = None if bool(seen.all()) else seen
        return same

    def row(self, i: int) -> torch.Tensor:
        """The elements of sequence i, [T, *event]."""
        return self.values[self.offsets[i] : self.offsets[i + 1]].to(self.space.dtype)

    def select(self, rows: torch.Tensor) -> Sequences:
        """The sequences with these numbers, in this order."""
        parts = [self.values[self.offsets[i] : self.offsets[i + 1]] for i in rows.tolist()]
        offsets = torch.zeros(len(rows) + 1, dtype=torch.int64)
        offsets[1:] = self.lengths[rows].cumsum(0)
        values = torch.cat(parts) if parts else self.values[:0]
        kind = (
            self.form.kind
            if self.form.kind not in ("series", "frame", "rows", "table")
            else "numpy"
        )
        form = Form(kind, device=self.form.device)
        return Sequences(values, offsets, self.space, self.complete[rows], form, self.missing)

    def padded(
        self,
        rows: torch.Tensor | None = None,
        ends: bool = False,
        columns: tuple[int, int] | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """A left-aligned batch [n, longest, *event], padded with zeros, and the lengths [n].

        Args:
            rows: which sequences; all by default.
            ends: append the end symbol to complete sequences of a terminating space.
            columns: only the columns from the first to before the second of these positions.
        """
        lengths = self.lengths if rows is None else self.lengths[rows]
        starts = self.offsets[:-1] if rows is None else self.offsets[:-1][rows]
        n, longest = len(lengths), int(lengths.max()) if len(lengths) else 0
        every = rows is None and columns is None
        if every and bool((lengths == longest).all()) and not (ends and self._any_end()):
            x = self.values.reshape(n, longest, *self.values.shape[1:]).to(self.space.dtype)
            return x, lengths
        complete = self.complete if rows is None else self.complete[rows]
        extra = complete.to(torch.int64) if ends and self.space.terminates else lengths * 0
        column = torch.arange(*(columns or (0, int((lengths + extra).max()) if n else 0)))
        inside = column < lengths[:, None]
        index = (starts[:, None] + column).where(inside, torch.zeros((), dtype=torch.int64))
        device = self.values.device
        if len(self.values):
            x = self.values[index.to(device)].to(self.space.dtype)
        else:
            shape = (*inside.shape, *self.values.shape[1:])
            x = torch.zeros(shape, dtype=self.space.dtype, device=device)
        inside_of = inside.to(device).view(*inside.shape, *[1] * (x.ndim - 2))
        # a missing value times zero would stay missing
        gaps = self.missing or self.space.holds_missing
        x = x.masked_fill(~inside_of, 0) if gaps else x * inside_of
        if ends and self.space.end is not None:
            x = x.masked_fill(
                ((column == lengths[:, None]) & (extra[:, None] > 0)).to(device), self.space.end
            )
        return x, lengths + extra

    def batches(self, max_elements: int = 2**16, max_rows: int = 2**16) -> Iterator[torch.Tensor]:
        """Rows' numbers in batches of similar length, each padded to at most `max_elements`.

        A sequence longer than that is a batch of its own.
        """
        terms = self.n_terms
        order = torch.argsort(terms, stable=True)
        begin = 0
        sizes = terms[order].tolist()
        for end in range(1, len(sizes) + 1):
            # sorted by length, so the last of a batch is its longest
            full = end - begin == max_rows
            if end == len(sizes) or full or sizes[end] * (end + 1 - begin) > max_elements:
                yield order[begin:end]
                begin = end

    def require_length(self, count: int, name: str = "data") -> None:
        """Raise `DataError` unless every sequence has `count` elements."""
        if count and len(self) and int(self.lengths.min()) < count:
            row = int(self.lengths.argmin())
            raise DataError(
                f"{name} is too short: sequence {row} has {int(self.lengths[row])} element(s); "
                f"expected at least {count}."
            )

    def split_prefix(self, count: int, name: str = "data") -> tuple[torch.Tensor, Sequences]:
        """The first `count` elements of every sequence [N, count, *event], and what follows."""
        self.require_length(count, name)
        column = torch.arange(count)
        head = self.values[(self.offsets[:-1, None] + column).to(self.values.device)]
        keep = torch.cat([torch.arange(a + count, b) for a, b in self._bounds()])
        offsets = self.offsets - count * torch.arange(len(self) + 1)
        rest = Sequences(
            self.values[keep], offsets, self.space, self.complete, self.form, self.missing
        )
        return head.to(self.space.dtype), rest

    def _bounds(self) -> Sequence[tuple[int, int]]:
        bounds = self.offsets.tolist()
        return list(pairwise(bounds))

    def _any_end(self) -> bool:
        return self.space.terminates and bool(self.complete.any())

    def restore(self, layout: Layout | None = None) -> Any:
        """The elements in the user's form: text for text, arrays for arrays.

        Sequences of one length are one array [N, T, *event]; ragged ones a list of arrays.
        """
        x, lengths = self.padded()
        return restore(x, lengths, self.space, self.form, layout)


def _places(lengths: torch.Tensor, layout: Layout | None) -> torch.Tensor:
    """Where in the user's example each of the sequences' elements stands, int64 [total]."""
    starts = torch.repeat_interleave(lengths.cumsum(0) - lengths, lengths)
    site = torch.arange(len(starts)) - starts
    order = None if layout is None else layout.order
    return site if order is None else torch.tensor(order)[site]


def _check_same_space(have: Space, want: Space, name: str) -> None:
    if have != want:
        raise DataError(
            f"{name} is made of {have.describe()} elements, but the model's are {want.describe()}."
        )
