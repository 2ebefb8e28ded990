"""Entries of a table that the checks try, each of its column's space."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch

from arproc.data.tables import Column
from arproc.testing.material import line_of

__all__ = ["bad_entries", "entries", "other_entries", "sizes_of"]


def entries(
    columns: Sequence[Column],
    sites: torch.Tensor,
    shape: tuple[int, ...],
    observed: torch.Tensor | None,
    rng: np.random.Generator,
) -> np.ndarray:
    """Random entries [*shape], the last axis along `sites`: unlikely and missing ones included.

    Args:
        columns: all columns, in the order of generation.
        sites: which of them, int64 [shape[-1]].
        shape: how many.
        observed: examples of rows [M, T], which tell the place and size of numbers.
        rng: what is random.
    """
    x = np.empty(shape)
    for j, site in enumerate(sites.tolist()):
        column = columns[site]
        x[..., j] = _numbers(column, *_centre(observed, site, column), shape[:-1], rng)
        if column.atoms:
            atoms = rng.choice(column.atoms, shape[:-1])
            x[..., j] = np.where(rng.random(shape[:-1]) < 0.25, atoms, x[..., j])
        if column.missing:
            x[..., j] = np.where(rng.random(shape[:-1]) < 0.25, np.nan, x[..., j])
    return x


def sizes_of(columns: Sequence[Column], observed: torch.Tensor | None) -> list[float]:
    """How far the entries of each column lie apart on the line, if they are real; else 0."""
    return [
        _centre(observed, site, column)[1] if column.space.measure == "density" else 0.0
        for site, column in enumerate(columns)
    ]


def _centre(observed: torch.Tensor | None, site: int, column: Column) -> tuple[float, float]:
    """Mean and standard deviation of the entries of a column that are there, on the line."""
    x = torch.zeros(0) if observed is None else observed[:, site].double().cpu()
    values = line_of(column.space).inv(x).numpy()
    values = values[~np.isnan(values)]
    if len(values) < 2:
        return 0.0, 1.0
    return float(values.mean()), max(float(values.std()), 1e-6)


def _numbers(
    column: Column, centre: float, scale: float, shape: tuple[int, ...], rng: np.random.Generator
) -> np.ndarray:
    if column.space.size is not None:
        return rng.integers(0, column.space.size, shape).astype(np.float64)
    x = centre + 1.5 * scale * rng.standard_normal(shape)
    if column.space.measure == "density":
        placed: np.ndarray = line_of(column.space)(torch.as_tensor(x)).numpy()
        return placed
    whole = np.round(x)
    return np.maximum(whole, 0) if column.space.kind == "count" else whole


def other_entries(
    columns: Sequence[Column], sites: torch.Tensor, now: torch.Tensor, other: torch.Tensor
) -> torch.Tensor:
    """`other` [n], moved on where it equals the entries `now` of the columns `sites`."""
    sizes = torch.tensor([columns[site].space.size or 0 for site in sites.tolist()])
    after = torch.where(sizes > 0, (other + 1) % sizes.clamp(min=1), other + 1)
    after = torch.where(torch.isnan(other), 0.0, after)
    for j, site in enumerate(sites.tolist()):
        if columns[site].space.measure == "density":  # there may be ends
            line, gone = line_of(columns[site].space), bool(torch.isnan(other[j]))
            z = torch.zeros(1).double() if gone else line.inv(other[j : j + 1].double()) + 1
            after[j] = line(z.nan_to_num(0.0, 0.0, 0.0))[0].to(after)
    same = (now == other) | (torch.isnan(now) & torch.isnan(other))
    return torch.where(same, after, other)


def bad_entries(columns: Sequence[Column]) -> Iterator[tuple[str, int, float, Any]]:
    """What is wrong, the column's place, an entry that it can not have, and its name."""
    for place, column in enumerate(columns):
        wrong: list[tuple[str, float]] = [("an infinite entry", np.inf)]
        if not column.missing:
            wrong.append(("a missing entry where training had none", np.nan))
        if column.space.size is not None:
            wrong += [("a category beyond the last", column.space.size), ("half of one", 0.5)]
        elif column.space.measure == "mass":
            wrong.append(("a fraction among whole numbers", 0.5))
        if column.space.kind == "count":
            wrong.append(("a count below zero", -1))
        for what, value in wrong:
            yield what, place, float(value), column.name
