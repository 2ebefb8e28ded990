"""Three sets of sequences as one pool of units, in one coding, with the set that each came from.

A unit is what is relabelled in the permutation tests: a sequence, a row of a table, an image, or,
where there are few long sequences, a block of one.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from arproc.errors import DataError
from arproc.evaluation.synthetic.blocks import LEAST_BLOCKS, LIKE, block_length, cut, likeness
from arproc.evaluation.synthetic.relabelling import ranks
from arproc.evaluation.synthetic.sets import NAMES, TRAIN, Raw

__all__ = ["Pool", "pooled"]


@dataclass(frozen=True)
class Pool:
    """All units, those of train first.

    Attributes:
        kind: "series", "vectors", "table", "images", "symbols" or "text".
        group: which set each unit is of, int8 [N].
        offsets: unit i is what lies from `offsets[i]` to `offsets[i + 1]`, int64 [N + 1].
        values: numbers [total, d], NaN where missing; or None.
        codes: symbols [total], or None.
        place: at which step of its sequence each element stands, int64 [total].
        end: where in the flat arrays the sequence of each element ends, int64 [total].
        names: what the columns are called.
        labels: for each column that is categorical what its numbers stand for; None for others.
        symbols: what the codes stand for.
        shape: of an image.
        blocks: the length of the blocks; 0 where units are whole.
        rows: which sequence of its set each unit is of, int64 [N].
        notes: how the data were read.
        kept: what was computed once; see `once`.
    """

    kind: str
    group: np.ndarray
    offsets: np.ndarray
    values: np.ndarray | None
    codes: np.ndarray | None
    place: np.ndarray
    end: np.ndarray
    names: tuple[Any, ...] = ()
    labels: tuple[Sequence[Any] | None, ...] = ()
    symbols: Sequence[Any] = ()
    shape: tuple[int, ...] = ()
    blocks: int = 0
    rows: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    notes: tuple[str, ...] = ()
    kept: dict[Hashable, Any] = field(default_factory=dict, compare=False, repr=False)

    def once(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """What `make` gives, computed when it is first asked for."""
        if key not in self.kept:
            self.kept[key] = make()
        return self.kept[key]

    @property
    def n(self) -> int:
        """How many units there are."""
        return len(self.group)

    @cached_property
    def lengths(self) -> np.ndarray:
        """Of the units, int64 [N]."""
        return np.diff(self.offsets)

    @cached_property
    def unit(self) -> np.ndarray:
        """The unit of each element, int64 [total]."""
        return np.repeat(np.arange(self.n), self.lengths)

    @property
    def dependent(self) -> bool:
        """Whether a unit's elements follow each other."""
        return self.kind not in ("table", "images")

    @property
    def even(self) -> bool:
        """Whether all units have one length."""
        return bool((self.lengths == self.lengths[0]).all())

    @cached_property
    def numeric(self) -> tuple[int, ...]:
        """The columns that are numbers."""
        width = 0 if self.values is None else self.values.shape[1]
        labels = self.labels or (None,) * width
        return tuple(j for j in range(width) if labels[j] is None)

    @cached_property
    def centred(self) -> np.ndarray:
        """The columns that are numbers, less their means and over their standard deviations."""
        assert self.values is not None
        x = self.values[:, list(self.numeric)]
        with np.errstate(all="ignore"):
            mean, scale = _nan(np.nanmean, x), _nan(np.nanstd, x)
        return (x - mean) / np.where(scale > 0, scale, 1.0)

    @cached_property
    def scores(self) -> np.ndarray:
        """The columns that are numbers by the normal quantiles of their ranks."""
        from scipy.special import ndtri

        x = self.centred
        found = np.stack([ranks(x[:, j]) for j in range(x.shape[1])], 1) if x.size else x
        return ndtri((found - 0.5) / np.maximum(np.isfinite(x).sum(0), 1))

    def follows(self, lag: int) -> np.ndarray:
        """Whether the element `lag` steps before each one, from the lag-th on, is of its unit."""
        return self.unit[lag:] == self.unit[: len(self.unit) - lag]

    def of(self, *groups: int) -> np.ndarray:
        """The units of these sets, int64."""
        return np.flatnonzero(np.isin(self.group, groups))

    def has(self, group: int) -> bool:
        """Whether there is such a set."""
        return bool((self.group == group).any())

    def column(self, j: int) -> str:
        """A column in words; empty where there is only one."""
        return f" of {self.names[j]}" if len(self.names) > 1 else ""


def _nan(function: Any, x: np.ndarray) -> np.ndarray:
    import warnings

    with warnings.catch_warnings():  # of a column that is missing everywhere
        warnings.simplefilter("ignore", RuntimeWarning)
        return np.nan_to_num(function(x, axis=0))


def pooled(kind: str, sets: dict[int, Raw], *, notes: Sequence[str] = (), **about: Any) -> Pool:
    """The sets, cut into blocks where there are few long sequences.

    Raises:
        DataError: there are too few or too short sequences, or lengths that can not be compared.
    """
    notes = list(notes)
    dependent = kind not in ("table", "images")
    length = block_length(sets) if dependent else 0
    if dependent and not length:
        _check_lengths(sets, kind)
    found: dict[str, list[np.ndarray]] = {
        name: [] for name in ("group", "lengths", "place", "end", "rows")
    }
    start = 0
    for group, raw in sets.items():
        rows, steps, place = cut(raw.lengths, length)
        ends = start + np.cumsum(raw.lengths)
        found["group"].append(np.full(len(steps), group, np.int8))
        found["lengths"].append(steps)
        found["place"].append(place)
        found["end"].append(np.repeat(ends, raw.lengths))
        found["rows"].append(rows)
        start += int(raw.lengths.sum())
    if length:
        notes.append(
            f"few long sequences: cut into blocks of {length} steps, which are taken for "
            "independent; p-values hold as far as what lies a block apart is"
        )
        alike = likeness(sets, length)
        if alike > LIKE:
            notes.append(
                f"neighbouring blocks are alike (correlation {alike:.2f}): the sequences drift or "
                "remember too long for their length, and p-values are too small"
            )
    joined: dict[str, Any] = {name: np.concatenate(parts) for name, parts in found.items()}
    lengths = joined.pop("lengths")
    raws = list(sets.values())
    values = None if raws[0].values is None else np.concatenate([r.values for r in raws])
    codes = None if raws[0].codes is None else np.concatenate([r.codes for r in raws])
    pool = Pool(
        kind=kind,
        offsets=np.concatenate([[0], np.cumsum(lengths)]),
        values=values,
        codes=codes,
        blocks=length,
        notes=tuple(notes),
        **joined,
        **about,
    )
    for group in sets:
        n = int((pool.group == group).sum())
        if n < LEAST_BLOCKS:
            what = "sequences" if dependent else "rows" if kind == "table" else "images"
            raise DataError(
                f"{NAMES[group]} has {n} {what}; expected at least {LEAST_BLOCKS}"
                + (", or a long one." if dependent else ".")
            )
    return pool


def _check_lengths(sets: dict[int, Raw], kind: str) -> None:
    """Raise where every set has one length of its own, and they differ."""
    if kind in ("text", "symbols"):
        return
    own = {group: set(np.unique(raw.lengths).tolist()) for group, raw in sets.items()}
    if any(len(lengths) > 1 for lengths in own.values()):
        return
    of = own[TRAIN]
    for group, lengths in own.items():
        if lengths != of:
            raise DataError(
                f"{NAMES[group]} has sequences of {lengths.pop()} steps, and train of "
                f"{of.pop()}: they would differ by that alone. Cut or draw all to one length."
            )
