"""Few long sequences cut into blocks, long enough to have little to do with each other."""

from __future__ import annotations

import numpy as np

from arproc.errors import DataError
from arproc.evaluation.synthetic.sets import NAMES, Raw

__all__ = ["LEAST_BLOCKS", "LIKE", "block_length", "cut", "likeness"]

#: With fewer sequences than this, long ones are cut.
FEW = 20
#: How many blocks the shortest and the longest set are cut into, at least and at most.
LEAST_BLOCKS, USUAL_BLOCKS, MOST_BLOCKS = 8, 24, 128
#: The shortest block, and the shortest where there is enough to cut.
SHORTEST, USUAL_LENGTH = 16, 64
#: A correlation of neighbouring blocks that is too much.
LIKE = 0.25


def block_length(sets: dict[int, Raw]) -> int:
    """How long blocks are; 0 where sequences are many, or too short to be cut."""
    if min(len(raw.lengths) for raw in sets.values()) >= FEW:
        return 0
    totals = [int(raw.lengths.sum()) for raw in sets.values()]
    length = max(min(totals) // USUAL_BLOCKS, max(totals) // MOST_BLOCKS, USUAL_LENGTH)
    length = min(length, min(totals) // LEAST_BLOCKS)
    length = min(length, *(int(raw.lengths.max()) for raw in sets.values()))
    while length >= SHORTEST and likeness(sets, length) > LIKE and _enough(sets, 2 * length):
        length *= 2
    if length >= SHORTEST and _enough(sets, length):
        return length
    least = min(int((raw.lengths // SHORTEST).sum()) for raw in sets.values())
    if least >= LEAST_BLOCKS:
        return SHORTEST
    if min(len(raw.lengths) for raw in sets.values()) >= LEAST_BLOCKS:
        return 0
    short = min(sets, key=lambda group: int(sets[group].lengths.sum()))
    raise DataError(
        f"{NAMES[short]} has {len(sets[short].lengths)} sequence(s) of {min(totals)} steps in "
        f"all; expected at least {LEAST_BLOCKS} sequences, or {LEAST_BLOCKS * SHORTEST} steps."
    )


def _enough(sets: dict[int, Raw], length: int) -> bool:
    """Whether every set has enough blocks of this length."""
    return all(int((raw.lengths // length).sum()) >= LEAST_BLOCKS for raw in sets.values())


def likeness(sets: dict[int, Raw], length: int) -> float:
    """How neighbouring blocks' means or mean squares correlate; 0 for symbols."""
    products: list[np.ndarray] = []
    for raw in sets.values():
        if raw.values is None:
            return 0.0
        ends = np.cumsum(raw.lengths)
        for end, steps in zip(ends.tolist(), raw.lengths.tolist(), strict=True):
            number = steps // length
            if number < 2:
                continue
            x = np.nan_to_num(raw.values[end - steps : end - steps + number * length])
            blocks = x.reshape(number, length, -1)
            found = np.concatenate([blocks.mean(1), (blocks**2).mean(1)], axis=1)
            found = found - found.mean(0)
            products.append(np.stack([(found[1:] * found[:-1]).sum(0), (found**2).sum(0)]))
    if not products:
        return 0.0
    across, within = np.sum(products, axis=0)
    return float((across / np.maximum(within, 1e-300)).max())


def cut(lengths: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sequences in units: the sequence of each, its length, and the place of each element.

    What is left over at a sequence's end goes to its last block.
    """
    starts = np.cumsum(lengths) - lengths
    place = np.arange(int(lengths.sum())) - np.repeat(starts, lengths)
    if not length:
        return np.arange(len(lengths)), lengths, place
    number = np.maximum(lengths // length, 1)
    rows = np.repeat(np.arange(len(lengths)), number)
    steps = np.full(len(rows), length)
    steps[np.cumsum(number) - 1] = lengths - (number - 1) * length
    return rows, steps, place
