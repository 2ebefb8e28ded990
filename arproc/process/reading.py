"""What calls are given beside the data: a validation pair, contexts, weights, places in time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from arproc.contract.context import with_clock
from arproc.contract.law import Law
from arproc.contract.sequences import Sequences
from arproc.data.calendar import is_plain, regular
from arproc.data.form import Layout
from arproc.data.frames import by_series, native
from arproc.data.labels import Labels
from arproc.data.robust import warn_of_few, warn_of_wild
from arproc.data.tables import Table
from arproc.data.times import by_times
from arproc.errors import (
    DataError,
    ParameterError,
    PlaceWarning,
    UnsupportedError,
    check_array,
    check_integer,
    warn,
)

__all__ = [
    "anchored",
    "check_continues",
    "first_steps",
    "pair",
    "require_one_each",
    "stepped",
    "warn_of_columns",
    "weights_of",
]

Of = Sequences | int


def stepped(data: Any, freq: Any, missing: bool) -> Any:
    """The data of `fit` with a row for each step of `freq`."""
    data = by_times(native(data), "data")
    if isinstance(data, (list, tuple)):
        return [stepped(item, freq, missing) for item in data]
    if not hasattr(data, "iloc") or is_plain(data.index):
        raise ParameterError(
            "freq is the step of labelled data, a Series or DataFrame with an index of dates or "
            f"numbers; got {type(data).__name__} without one. Leave freq out."
        )
    if data.index.nlevels > 1:
        return stepped(by_series(data, "data")[0], freq, missing)
    return regular(data, "data", missing, freq)


def first_steps(offset: Any, n: int) -> torch.Tensor:
    """The user's `offset`, the t at which sequences begin, int64 [n]."""
    listed = [
        check_integer("offset", one, minimum=-(2**53), maximum=2**53) for one in _listed(offset)
    ]
    if np.ndim(offset) == 0 and len(listed) == 1:
        return torch.full((n,), listed[0])
    if len(listed) != n:
        raise ParameterError(f"offset has {len(listed)} numbers; expected one, or {n}.")
    return torch.tensor(listed, dtype=torch.int64)


def warn_of_columns(
    sequences: Sequences,
    layout: Layout | None,
    context: torch.Tensor | None,
    labels: Labels,
    *,
    peaks: bool,
) -> None:
    """Warn of values of `fit`'s vectors and contexts that a density does not fit well.

    These are values far from all others, and (where a density of them has `peaks`) real columns
    that have few different values.
    """
    space = sequences.space
    if layout is not None and space.measure != "mass" and not space.event_shape:
        x = sequences.padded()[0].detach().double()
        if sequences.seen is not None:
            x = x.masked_fill(~sequences.seen.to(x.device), math.nan)
        x = layout.from_sites(x).flatten(1)
        names, kinds, tabular = _names(labels.features, layout.shape), ["real"], False
        if isinstance(space, Table):
            names, tabular = space.names, True
            kinds = [column.space.kind for column in space.columns]
            x = x.masked_fill(torch.tensor([kind == "categorical" for kind in kinds]), math.nan)
            for j, column in enumerate(space.columns):
                if column.atoms and column.space.measure == "density":
                    x[:, j] = _beside(x[:, j], column.atoms)
        warn_of_wild(x, names, "data")
        if peaks:
            x = x.masked_fill(torch.tensor([kind != "real" for kind in kinds]), math.nan)
            warn_of_few(x, names, tabular=tabular)
    if context is not None:
        warn_of_wild(context.double(), _names(labels.regressors, context.shape[1:]), "context")


def _beside(x: torch.Tensor, atoms: Sequence[float]) -> torch.Tensor:
    """Values [N] with NaN for those that have a mass of their own."""
    equal = (x[:, None] == torch.tensor(atoms, dtype=x.dtype)).any(1)
    return x.masked_fill(equal, math.nan)


def _names(known: Sequence[Any], shape: Sequence[int]) -> Sequence[Any]:
    """What the columns are called: by their labels, or by their places in an array."""
    if len(known) == math.prod(shape):
        return known
    if len(shape) == 1:
        return range(shape[0])
    return list(np.ndindex(*shape))


def _listed(offset: Any) -> list[Any]:
    try:
        if isinstance(offset, torch.Tensor):
            offset = offset.detach().cpu()
        return np.asarray(offset).reshape(-1).tolist()
    except Exception:  # of tensors of other layouts and devices, too
        return [offset]


def check_continues(labels: Labels, sequences: Sequences, name: str) -> None:
    """Raise `DataError` for labelled data that do not follow the prefix of a conditioned law."""
    if not labels.continues or labels.calendar is None:
        return
    found = labels.positions(sequences.form, len(sequences), name)
    if found is None or not found.any():
        return
    index = sequences.form.indexes[0]
    raise DataError(
        f"{name} begins at {index[0]}; expected {labels.calendar.origin}, the label that follows "
        "the prefix of this conditioned process."
    )


def anchored(
    prepared: torch.Tensor | None, law: Law, labels: Labels, of: Of, offset: Any, name: str
) -> torch.Tensor | None:
    """The context of a call with t in it, for a law that counts time.

    By the labels of the sequences where they and the data of `fit` have some, else by `offset`.
    """
    n = of if isinstance(of, int) else len(of)
    given = None if offset is None else first_steps(offset, n)
    if not law.clocked and not law.counts_from_zero:
        return prepared
    if given is None and isinstance(of, Sequences):
        found = labels.positions(of.form, n, name)
        if found is None:
            _warn_unlabelled(labels, of, name)
        else:
            given = torch.from_numpy(found)
    if law.counts_from_zero:
        refuse_later(given, name)
    if not law.clocked:
        return prepared
    return with_clock(prepared, torch.zeros(n) if given is None else given)


def refuse_later(first: torch.Tensor | None, name: str) -> None:
    """Raise `UnsupportedError` for sequences that begin elsewhere than at t = 0.

    Args:
        first: the t at which each begins, int64 [N], or None where nothing says.
        name: what messages call the sequences.
    """
    if first is not None and bool(first.any()):
        begins = int(first[first != 0][0])
        raise UnsupportedError(
            f"{name} begins at step {begins} of the data of fit, by its labels or offset=; this "
            "model counts the t of its trend from the first element of each sequence. Give each "
            "sequence from its beginning (and score what follows by condition), or take the trend "
            "out of the data."
        )


def _warn_unlabelled(labels: Labels, sequences: Sequences, name: str) -> None:
    """Warn where sequences may begin elsewhere than the data of `fit` did."""
    if labels.begins is None or not len(sequences.values):
        return
    first = float(sequences.values[0].detach().reshape(-1)[0])
    if first == labels.begins or (math.isnan(first) and math.isnan(labels.begins)):
        return  # the data of fit, or a part of it
    warn(
        f"the model has a trend or seasons, and nothing says at which step {name} begins: it is "
        "taken to begin at t = 0, as the data of fit did. Say offset= (the number of steps since "
        "then; 0 where it is right), or give both a labelled index.",
        PlaceWarning,
    )


def pair(validation: Any, model: str) -> tuple[Any, Any]:
    """The validation data and their context, or `ParameterError`."""
    if isinstance(validation, tuple) and len(validation) == 2 and validation[1] is not None:
        data, context = validation
        return data, context
    came = type(validation).__name__
    if isinstance(validation, tuple):
        came = f"a tuple of {len(validation)}"
        came = "(data, None)" if len(validation) == 2 else came
    raise ParameterError(
        f"validation must be a pair (data, context), since this {model} takes a context; got "
        f"{came}."
    )


def require_one_each(context: Any, n: int) -> None:
    """Raise `DataError` for a row of another length than n, which would be one vector for all.

    Nothing can be learnt of a vector that all sequences share; labels of other data look like one.
    """
    shape = tuple(np.shape(context))
    if n > 1 and len(shape) == 1 and shape[0] != n:
        raise DataError(
            f"context has {shape[0]} entries for {n} sequences; fit expects one for each: [{n}], "
            f"or [{n}, c] for vectors."
        )


def _range(found: torch.Tensor) -> str:
    return f" from {float(found.min()):g} to {float(found.max()):g}" if found.numel() else ""


def weights_of(weights: Any, n: int) -> torch.Tensor:
    """The user's weights of n sequences, checked, float64 [n]."""
    found = torch.from_numpy(check_array("sample_weight", weights, DataError))
    sound = bool(torch.isfinite(found).all()) and bool((found >= 0).all())
    if tuple(found.shape) != (n,) or not sound or not float(found.sum()) > 0:
        raise DataError(
            f"sample_weight must be {n} finite numbers, one a sequence, none negative and not "
            f"all zero; got an array of shape {list(found.shape)}"
            f"{_range(found)}."
        )
    return found
