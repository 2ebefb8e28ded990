"""Completing half-known examples of a fixed size: the unknown part drawn given the known one."""

from __future__ import annotations

import math
from typing import Any, Literal, overload

import numpy as np
import torch

from arproc.contract.holder import Holder, require_chain
from arproc.contract.law import ChainLaw
from arproc.contract.randomness import resolve_seed
from arproc.contract.sequences import Sequences
from arproc.data.arrays import unmasked
from arproc.data.form import Form, Layout
from arproc.data.frames import native
from arproc.data.intake import opened
from arproc.data.labels import by_name
from arproc.data.tables import Table, frames
from arproc.errors import (
    DataError,
    ParameterError,
    UnsupportedError,
    check_array,
    check_choice,
    check_count,
)
from arproc.sampling.completing import Completion, Job
from arproc.sampling.gapped_text import gapped_text, vocabulary_of, written
from arproc.spaces import check_values

__all__ = ["Completion", "complete", "sample_known"]


@overload
def complete(
    model: Holder,
    data: Any,
    known: Any = ...,
    n: int = ...,
    seed: int | torch.Generator | None = ...,
    *,
    context: Any = ...,
    method: str = ...,
    n_particles: int = ...,
    present: bool = ...,
    return_info: Literal[False] = ...,
) -> Any: ...


@overload
def complete(
    model: Holder,
    data: Any,
    known: Any = ...,
    n: int = ...,
    seed: int | torch.Generator | None = ...,
    *,
    context: Any = ...,
    method: str = ...,
    n_particles: int = ...,
    present: bool = ...,
    return_info: Literal[True],
) -> Completion: ...


def complete(
    model: Holder,
    data: Any,
    known: Any = None,
    n: int = 1,
    seed: int | torch.Generator | None = None,
    *,
    context: Any = None,
    method: str = "auto",
    n_particles: int = 1000,
    present: bool = True,
    return_info: bool = False,
) -> Any:
    """Draw what is unknown of images (or other examples of a fixed size) given what is known.

    It is exact where the known elements come first in the order of generation (for an image the
    rows from the top and the pixels from the left), and so it is for a model that knows every
    order, under the order that has them first. Elsewhere it is sequential importance resampling:
    particles draw the unknown elements one after another and are weighed by the known ones. That
    approaches the exact law as `n_particles` grows, and the draws of one example, which may share
    what they have drawn early, are not independent.

    The draws of an example depend on the seed, on its number and on n alone.

    Args:
        model: a fitted process whose sequences have a fixed size.
        data: examples [N, *shape], or one [*shape]; rows of a table as a DataFrame, in which
            columns may be left out, one as a Series or a dict. Texts as strings, or as lists of
            symbols with None where one is not known. What stands at unknown places is not read.
        known: which elements are known, bool, of the shape of one example or of all; None takes
            what is neither NaN nor masked. Of a table, in the order of the columns of data or
            with their names; an entry that is known to be missing is NaN and known.
        n: how many completions of each example.
        seed: an int or a `torch.Generator`.
        context: of each example, for models that take one.
        method: "auto" draws each example exactly where it can; "exact" is an error where it can
            not; "importance" takes particles in any case.
        n_particles: how many particles an example has.
        present: for tables, whether an entry that is drawn is drawn given that it is not missing
            (from its conditional given that, see `arproc.sampling.Present`); False draws from the
            law as it is, in which it may be missing again.
        return_info: give a `Completion`, which says how each example was completed.

    Returns:
        [N, n, *shape] for several examples and [n, *shape] for one: the known elements as they
        are, the others drawn; of a DataFrame one with an index of draw and row, of texts lists of
        n texts. Or a `Completion` of these.

    Raises:
        UnsupportedError: with method="exact", an element is known that comes after one that is
            not, and the model knows one order alone.
        DataError: what is known has probability zero.

    A warning says where fewer than 10 particles carried the weight.

    Example:
        >>> import arproc
        >>> x = np.tile(np.arange(2).repeat(6), (30, 1)).reshape(30, 4, 3)
        >>> training = arproc.Training(steps=60, lr=0.05)
        >>> model = arproc.MADE((8,), training=training).fit(x)
        >>> known = np.arange(4)[:, None] < [2, 2, 2]        # the two upper rows
        >>> complete(model, x[0], known, seed=0)[0].tolist()
        [[0, 0, 0], [0, 0, 0], [1, 1, 1], [1, 1, 1]]
        >>> found = complete(model, x[0], ~known, seed=0, return_info=True)
        >>> found.x.shape, found.method, found.effective_sample_size > 10
        ((1, 4, 3), 'importance', True)
    """
    law = require_chain(model, "complete")
    layout, n = law.layout, check_count("n", n, minimum=1)
    check_choice("method", method, ("auto", "exact", "importance"))
    n_particles = check_count("n_particles", n_particles, minimum=1)
    if layout is None:
        raise UnsupportedError(
            f"complete is for examples of a fixed size; the sequences of this "
            f"{type(model).__name__} have none. sample(prefix=...) goes on from a prefix."
        )
    given, text = native(data), None
    table = law.space if isinstance(law.space, Table) and frames.is_rows(given) else None
    if table is not None:
        rows = frames.read_some(given, table, "data")
        x, single, index = rows.x.numpy(), rows.single, rows.rows
        mask = _mask_of_rows(known, given, rows, table)
    else:
        if hasattr(given, "iloc") and given.ndim == 2:
            data = by_name(given, model.fit_.labels.features, "data")
        text = gapped_text(data, law, layout, "data")
        x, single = text or _examples(data, layout)
        mask = _mask(known, x, layout)
    prepared = model.read_context(context, _labelled(data, x, law), layout.length)
    job = _job(law, layout, x, mask, prepared, n, n_particles, resolve_seed(seed), present)
    with torch.no_grad():
        found = job.run(method)
    if table is not None:
        whole = layout.from_sites(found.sites.flatten(0, 1)).unflatten(0, (len(x), n))
        frame = frames.drawn(whole.transpose(0, 1), table, index, single)
        return found.told(frame, single) if return_info else frame
    if text is not None:
        texts = [written(drawn, law, layout) for drawn in found.sites]
        told = texts[0] if single else texts
        return found.told(told, single) if return_info else told
    if return_info:
        return found.first() if single else found.given()
    drawn = found.given().x
    if hasattr(data, "iloc") and not single:
        columns = tuple(data.columns)
        form = Form("rows", indexes=(data.index,), names=columns)
        return form.drawn(np.asarray(drawn).swapaxes(0, 1), None)
    return drawn[0] if single else drawn


def sample_known(
    model: Holder, n: int, known: Any, seed: int | torch.Generator | None, context: Any
) -> Any:
    """Draws of whole examples given what is known of them; see `Process.sample`."""
    law = require_chain(model, "sample(known=...)")
    layout = law.layout
    if layout is None:
        raise UnsupportedError(
            f"known is of examples of a fixed size; the sequences of this {type(model).__name__} "
            "have none. prefix= goes on from first elements."
        )
    given, n = native(known, "known"), check_count("n", n, minimum=0)
    table = law.space if isinstance(law.space, Table) and frames.is_rows(given) else None
    index: Any = None
    if table is not None:
        rows = frames.read_some(given, table, "known")
        x, single, index = rows.x.numpy(), rows.single, rows.rows
    else:
        if hasattr(given, "iloc") and given.ndim == 2:
            known = by_name(given, model.fit_.labels.features, "known")
        text = gapped_text(known, law, layout, "known")
        x, single = text or _examples(known, layout, "known")
    if len(x) == 1:
        x, index = np.repeat(x, n, axis=0), index if n == 1 and not single else None
    elif n not in (1, len(x)):
        raise ParameterError(
            f"known has {len(x)} examples and n is {n}; expected one example for all draws, or "
            f"one for each (n=1 and n={len(x)} both draw each of these once)."
        )
    prepared = model.read_context(context, len(x), layout.length)
    mask = ~np.isnan(x)
    job = _job(law, layout, x, mask, prepared, 1, 1000, resolve_seed(seed), False, "known")
    with torch.no_grad():
        found = job.run("auto")
    if vocabulary_of(law) is not None:
        return written(found.sites[:, 0], law, layout)
    whole = layout.from_sites(found.sites[:, 0])
    if table is not None:
        return frames.restore(whole, table, table.names, index, False)
    return whole.numpy().astype(law.space.user_dtype)


def _job(
    law: Any,
    layout: Layout,
    x: np.ndarray,
    mask: np.ndarray,
    context: torch.Tensor | None,
    n: int,
    n_particles: int,
    seed: int,
    present: bool,
    name: str = "data",
) -> Job:
    """The work of completing examples x [N, *shape], of which `mask` is known."""
    sites = layout.to_sites(torch.from_numpy(np.where(mask, x, 0.0)))
    seen = layout.to_sites(torch.tensor(mask))
    order = torch.tensor(layout.order or range(layout.length))
    check_values(sites[seen], law.space, name, place=order.expand_as(seen)[seen])
    return Job(law, layout, sites, seen, context, n, n_particles, seed, present)


# ---- what the user gave -------------------------------------------------------------------------


def _labelled(data: Any, x: np.ndarray, law: ChainLaw) -> Sequences:
    """The examples with the labels of their rows, by which their contexts are found."""
    length = math.prod(x.shape[1:])
    values = torch.zeros(len(x) * length, dtype=law.space.dtype)
    indexes = (data.index,) if hasattr(data, "iloc") and data.ndim == 2 else ()
    form = Form("rows", indexes=indexes)
    return Sequences(values, torch.arange(len(x) + 1) * length, law.space, form=form)


def _examples(data: Any, layout: Layout, name: str = "data") -> tuple[np.ndarray, bool]:
    """The examples as float64 [N, *shape], NaN where masked; whether one alone was given."""
    data = opened(data, name)
    x = check_array(name, unmasked(data), DataError)
    if x.shape == layout.shape:
        return x[None], True
    if x.shape[1:] != layout.shape or not len(x):
        expected = ", ".join(map(str, layout.shape))
        raise DataError(
            f"{name} has shape {x.shape}; expected [{expected}] for one example or [N, "
            f"{expected}] for several."
        )
    return x, False


def _mask_of_rows(known: Any, data: Any, rows: frames.Some, table: Table) -> np.ndarray:
    """Which entries of a table's rows are known, in the table's own order."""
    x, given = rows.x.numpy(), rows.given.numpy()
    if known is None:
        return ~np.isnan(x)
    names = list(data.index if rows.single and hasattr(data, "iloc") else data)
    if hasattr(known, "iloc"):
        labels = list(known.index if known.ndim == 1 else known.columns)
        strange = [label for label in labels if label not in names]
        if strange or len(labels) < len(names):
            raise ParameterError(
                f"known has the columns {labels}; expected those of data, {names}."
            )
        names, known = labels, known.to_numpy()
    here = _mask(known, np.zeros((len(x), len(names))), Layout((len(names),)))
    mask = np.zeros(x.shape, dtype=bool)
    for j, name in enumerate(table.names):
        if given[j]:
            mask[:, j] = here[:, names.index(name)]
    return mask


def _mask(known: Any, x: np.ndarray, layout: Layout) -> np.ndarray:
    """Which elements are known, bool of the shape of x."""
    if known is None:
        return ~np.isnan(x)
    try:
        mask = np.asarray(known.detach().cpu() if isinstance(known, torch.Tensor) else known)
    except Exception:  # no array at all: a ragged list, a tensor without numbers
        mask = np.zeros(0)
    if mask.dtype != np.bool_ or mask.shape not in (layout.shape, x.shape):
        raise ParameterError(
            f"known has dtype {mask.dtype} and shape {mask.shape}; expected truth values of shape "
            f"{layout.shape} (the same for all) or {x.shape}."
        )
    return np.broadcast_to(mask, x.shape)
