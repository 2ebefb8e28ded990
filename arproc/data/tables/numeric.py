"""How the numbers of a table's column are held: their space, their lattice, their atoms."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from arproc.data.tables.kinds import Kind
from arproc.data.tables.lattice import Lattice, lattice_of, lattice_of_step
from arproc.errors import DataError, ParameterError, check_number
from arproc.spaces import Count, Integer, Interval, Ordinal, Real, Space

__all__ = ["ENOUGH", "Held", "held_numbers", "is_whole"]

#: From how many values on their decimals, steps and frequent values are taken for the column's.
ENOUGH = 50
#: How frequent a single value is at least to be an atom: among real numbers, and whole ones.
_SHARES = {False: 0.01, True: 0.02}
_LEAST = {False: 5, True: 10}
#: How many times as frequent as the median one of many values an atom is.
_OUT = 4
#: How many atoms a column has at most.
_MOST = 24


class Held(NamedTuple):
    """How a column of numbers is held.

    Attributes:
        space: of the held numbers.
        lattice: the numbers that whole ones stand for, or None.
        atoms: of the held numbers.
    """

    space: Space
    lattice: Lattice | None
    atoms: tuple[float, ...]


def is_whole(there: np.ndarray) -> bool:
    """Whether these are finite whole numbers."""
    return bool(np.isfinite(there).all() and (there == np.floor(there)).all())


def held_numbers(there: np.ndarray, kind: Kind, word: str, name: Any, *, plain: bool) -> Held:
    """How the numbers of a column are held.

    Args:
        there: its values in training, float64, none missing.
        kind: what the user said of it.
        word: of what kind it is, "auto" being decided: "real", "count", "integer" or "lattice".
        name: of the column, for messages.
        plain: whether the data are an array, whose numbers are held as they are.
    """
    infinite = int(np.isinf(there).sum())
    if infinite:
        raise DataError(
            f"column {name!r} of data has {infinite} infinite value(s); expected finite numbers, "
            "or NaN for what is missing."
        )
    low, high = (_end(there, getattr(kind, end), f"{end} of column {name!r}", end)
                 for end in ("low", "high"))  # fmt: skip
    _check_ends(there, low, high, name)
    lattice = None if plain else _lattice(there, kind, word, name)
    if word == "real":
        bounded = math.isfinite(low) or math.isfinite(high)
        space: Space = Interval(low=low, high=high) if bounded else Real()
        return Held(space, None, _atoms(there, kind, whole=False))
    if plain and (kind.bounded or word == "lattice"):
        raise ParameterError(
            f"column {name!r} of an array is held as it is; steps, and ends of whole numbers, are "
            "of DataFrames. Give one."
        )
    lattice, space = _whole_space(there, lattice or Lattice(0, 1), word, low, high, name)
    held = lattice.numbers(there)
    if kind.atoms is not None and not isinstance(kind.atoms, str):
        given = np.array(kind.atoms)
        if lattice.off(given).any():
            raise ParameterError(
                f"atoms of column {name!r} must be values of it, which are whole numbers "
                f"{lattice.describe()}; got {list(kind.atoms)}."
            )
        atoms = tuple(lattice.numbers(given).tolist())
    else:
        atoms = _atoms(held, kind, whole=True)
    known = lattice.describe() != ""
    return Held(space, lattice if known else None, atoms)


# ---- ends -----------------------------------------------------------------------------------


def _end(there: np.ndarray, given: Any, name: str, end: str) -> float:
    if given is None:
        return -math.inf if end == "low" else math.inf
    if isinstance(given, str) and given == "data":
        return float(there.min() if end == "low" else there.max())
    return check_number(name, given)


def _check_ends(there: np.ndarray, low: float, high: float, name: Any) -> None:
    if not low < high:
        raise ParameterError(
            f"low of column {name!r} must be below high; got {low:g} and {high:g}."
        )
    if there.min() < low or there.max() > high:
        raise DataError(
            f"column {name!r} of data has values from {there.min():g} to {there.max():g}, beyond "
            f"its ends {low:g} and {high:g}; correct the values, or the ends."
        )


def _lattice(there: np.ndarray, kind: Kind, word: str, name: Any) -> Lattice | None:
    if kind.step is not None:
        start = 0.0
        if isinstance(kind.low, (int, float)) and not isinstance(kind.low, bool):
            start = float(kind.low)
        found: Lattice | None = lattice_of_step(kind.step, start, f"step of column {name!r}")
        assert found is not None
        off = found.off(there)
        if off.any():
            raise DataError(
                f"column {name!r} of data has the value {there[off][0]:g}, which is none of the "
                f"numbers {found.describe()}; correct it, or step."
            )
        return found
    if word == "lattice":
        found = lattice_of(there)
        if found is None:
            raise DataError(
                f"column {name!r} of data is to be a lattice, and its values have more than four "
                "decimals; round them, or let it be real."
            )
        return found
    # whole numbers in thousands are drawn in thousands, where many values say that they are
    return lattice_of(there) if is_whole(there) and kind.kind == "auto" else None


def _whole_space(
    there: np.ndarray, lattice: Lattice, word: str, low: float, high: float, name: Any
) -> tuple[Lattice, Space]:
    """The lattice counted from its end, if it has one, and the space of its numbers."""
    if word == "count" and math.isinf(low):
        if not is_whole(there) or there.min() < 0:
            raise DataError(
                f"column {name!r}: expected counts 0, 1, 2 ..., got values from {there.min():g} "
                f"to {there.max():g}" + ("." if is_whole(there) else " with fractions.")
            )
        low = (lattice.start % abs(lattice.step)) / lattice.per
    if word in ("count", "integer") and not is_whole(there):
        raise DataError(f"column {name!r}: expected whole numbers, got some with fractions.")
    if word == "lattice" and math.isinf(low) and there.min() >= 0:
        low = (lattice.start % abs(lattice.step)) / lattice.per  # prices are none below 0
    step, per = abs(lattice.step), lattice.per
    first = _inside(lattice, low, math.ceil) if math.isfinite(low) else None
    last = _inside(lattice, high, math.floor) if math.isfinite(high) else None
    if first is not None and last is not None:
        return Lattice(first, step, per), Ordinal((last - first) // step + 1)
    if first is not None:
        return Lattice(first, step, per), Count()
    if last is not None:
        return Lattice(last, -step, per), Count()
    return lattice, Integer()


def _inside(lattice: Lattice, end: float, rounded: Any) -> int:
    """The point of a lattice, times `per`, that is next to an end and not beyond it."""
    exact = (end * lattice.per - lattice.start) / lattice.step
    near = round(exact)
    number = (
        near if abs(exact - near) <= min(1e-9 * max(1.0, abs(exact)), 1e-3) else rounded(exact)
    )
    return lattice.start + lattice.step * int(number)


# ---- atoms ----------------------------------------------------------------------------------


def _atoms(held: np.ndarray, kind: Kind, *, whole: bool) -> tuple[float, ...]:
    """Single values that have a mass of their own, as they are held."""
    if kind.atoms is None:
        return ()
    if not isinstance(kind.atoms, str):
        return kind.atoms
    if len(held) < ENOUGH:
        return ()
    values, counts = np.unique(held, return_counts=True)
    enough = counts >= max(_LEAST[whole], _SHARES[whole] * len(held))
    if len(values) > _MOST:  # of many values those alone that stand out
        enough &= counts >= _OUT * np.median(counts)
    chosen = np.flatnonzero(enough)
    if len(chosen) > _MOST:
        chosen = np.sort(chosen[np.argsort(-counts[chosen], kind="stable")[:_MOST]])
    return tuple((values[chosen] + 0.0).tolist())
