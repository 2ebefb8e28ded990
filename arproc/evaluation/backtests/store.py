"""What a backtest has made so far, in a folder: numbers alone, a file for each origin."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from arproc.contract.places import as_path, can_not_write, replacing, write_text
from arproc.errors import ParameterError
from arproc.forecasting.scored import Predicted

__all__ = ["Store", "digest", "opened"]

_NAMES = ("rows", "mean", "quantiles", "log_score")


@dataclass(frozen=True)
class Store:
    """The folder of one backtest.

    Attributes:
        folder: which is there.
        sizes: how many steps, series and levels there are; what a file has to hold.
    """

    folder: Path
    sizes: tuple[int, int, int]

    def _path(self, k: int) -> Path:
        return self.folder / f"origin-{k:06d}.npz"

    def read(self, k: int) -> tuple[np.ndarray, Predicted] | None:
        """What was made at an origin; None where nothing was, or the file is broken."""
        try:
            with self._path(k).open("rb") as opened, np.load(opened, allow_pickle=False) as file:
                rows, *values = (file[name] for name in _NAMES)
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            return None
        found = Predicted(*values)
        horizon, n, levels = self.sizes
        fits = rows.dtype.kind == "i" and rows.ndim == 1 and bool(((rows >= 0) & (rows < n)).all())
        fits &= found.mean.shape[:2] == (len(rows), horizon)
        fits &= not len(rows) or found.quantiles.shape == (*found.mean.shape, levels)
        fits &= found.log_score.shape == found.mean.shape
        return (rows, found) if fits and all(v.dtype == np.float64 for v in values) else None

    def write(self, k: int, rows: np.ndarray, found: Predicted) -> None:
        """Keep what was made at an origin, whole or not at all."""
        arrays: dict[str, Any] = dict(zip(_NAMES, (rows, *found), strict=True))
        with replacing(self._path(k)) as path, path.open("wb") as file:
            np.savez(file, **arrays)


def opened(
    place: Any, facts: Mapping[str, Any], seed: int, given: bool, sizes: tuple[int, int, int]
) -> tuple[Store, int]:
    """The store in a folder, new or of an earlier run of the same call; and the seed of that.

    Args:
        place: the folder.
        facts: what the call is, by name, as strings.
        seed: of this call.
        given: whether the user gave it; otherwise that of the earlier run is taken.
        sizes: see `Store`.

    Raises:
        ParameterError: the folder holds another backtest, or can not be made.
    """
    folder = as_path(place)
    if folder.exists() and not folder.is_dir():
        raise ParameterError(f"folder is {str(folder)!r}, which is a file; give a folder.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise can_not_write("folder ", folder, error) from None
    about = folder / "backtest.json"
    if not about.exists():
        if any(folder.iterdir()):
            raise ParameterError(
                f"folder {str(folder)!r} holds other files; give a new folder, or that of an "
                "earlier run of this call."
            )
        write_text(about, json.dumps({**facts, "seed": seed}, indent=1) + "\n")
        return Store(folder, sizes), seed
    try:
        known = json.loads(about.read_text(encoding="utf-8"))
        before = int(known.pop("seed"))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ParameterError(f"{str(about)!r} is broken; remove the folder.") from None
    wanted = {**facts, "seed": seed} if given else dict(facts)
    known = {**known, "seed": before} if given else known
    for name, value in wanted.items():
        if known.get(name) != value:
            raise ParameterError(
                f"folder {str(folder)!r} holds a backtest with another {name}: "
                f"{known.get(name)!r}, this call has {value!r}. Give a new folder."
            )
    return Store(folder, sizes), before


def digest(*parts: Any) -> str:
    """A name for values: arrays by their bytes, all else by how it is written.

    Example:
        >>> digest(np.arange(3), "a") == digest(np.arange(3), "a")
        True
    """
    found = hashlib.sha256()
    for part in parts:
        if isinstance(part, np.ndarray) and part.dtype == object:
            part = part.tolist()
        if isinstance(part, np.ndarray):
            found.update(f"{part.dtype}{part.shape}".encode())
            found.update(np.ascontiguousarray(part).tobytes())
        else:
            found.update(repr(part).encode())
        found.update(b"\0")
    return found.hexdigest()[:32]
