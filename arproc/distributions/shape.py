"""Indexing, joining and moving the batch of any conditional.

The generic rule reads a distribution's parameters by the names in its `arg_constraints` and
builds a new one of the same class; kinds whose parameters are distributions have rules of their
own. A user's distribution that follows torch's convention needs nothing more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import singledispatch
from typing import Any

import torch
from torch import distributions as td

from arproc.distributions.categorical import Categorical, Restricted
from arproc.distributions.logistic import DiscretisedLogisticMixture
from arproc.distributions.mixture import Mixture
from arproc.errors import UnsupportedError

__all__ = ["concatenate", "index", "map_parameters", "to"]

Change = Callable[[list[torch.Tensor]], torch.Tensor]


@singledispatch
def map_parameters(first: td.Distribution, rest: Sequence[Any], change: Change) -> Any:
    """A distribution like `first` whose every parameter is `change` of all those parameters.

    `change` gets the list of one parameter's tensors, the batch dimensions in front.
    """
    return _by_constructor(first, rest, change)


def _by_constructor(first: td.Distribution, rest: Sequence[Any], change: Change) -> Any:
    parts = (first, *rest)
    names = _parameter_names(first)
    batch = first.batch_shape
    parameters = {}
    for name in names:
        tensors = [torch.as_tensor(getattr(part, name)) for part in parts]
        if tensors[0].ndim < len(batch):
            tensors = [t.expand(part.batch_shape) for t, part in zip(tensors, parts, strict=True)]
        parameters[name] = change(tensors)
    kind: Any = type(first)
    return kind(**parameters, validate_args=False)


def _parameter_names(distribution: td.Distribution) -> list[str]:
    names = [str(name) for name in distribution.arg_constraints]
    if "logits" in names and "probs" in names:
        names.remove("probs")
    if "scale_tril" in names:
        names = [n for n in names if n not in ("covariance_matrix", "precision_matrix")]
    return names


@map_parameters.register
def _(first: Categorical, rest: Sequence[Any], change: Change) -> Categorical:
    return Categorical(change([part.scores for part in (first, *rest)]))


@map_parameters.register
def _(first: Restricted, rest: Sequence[Any], change: Change) -> Restricted:
    return Restricted(change([part.scores for part in (first, *rest)]))


@map_parameters.register
def _(
    first: DiscretisedLogisticMixture, rest: Sequence[Any], change: Change
) -> DiscretisedLogisticMixture:
    parts = (first, *rest)
    return DiscretisedLogisticMixture(
        change([part.logits for part in parts]),
        change([part.loc for part in parts]),
        change([part.log_scale for part in parts]),
        first.levels,
        first.lowest,
    )


@map_parameters.register
def _(first: Mixture, rest: Sequence[Any], change: Change) -> Mixture:
    parts = (first, *rest)
    components = [
        map_parameters(part[0], part[1:], change)
        for part in zip(*(p.components for p in parts), strict=True)
    ]
    shared = first.log_weights
    if shared.ndim == 1 and all(torch.equal(part.log_weights, shared) for part in rest):
        return Mixture(components, shared)
    count = first.log_weights.shape[-1]
    return Mixture(
        components, change([p.log_weights.expand(*p.batch_shape, count) for p in parts])
    )


@map_parameters.register
def _(first: td.Independent, rest: Sequence[Any], change: Change) -> td.Independent:
    base = map_parameters(first.base_dist, [part.base_dist for part in rest], change)
    return td.Independent(base, first.reinterpreted_batch_ndims, validate_args=False)


@map_parameters.register
def _(first: td.MixtureSameFamily, rest: Sequence[Any], change: Change) -> td.MixtureSameFamily:
    mixing = map_parameters(
        first.mixture_distribution, [p.mixture_distribution for p in rest], change
    )
    components = map_parameters(
        first.component_distribution, [p.component_distribution for p in rest], change
    )
    return td.MixtureSameFamily(mixing, components, validate_args=False)


@map_parameters.register
def _(
    first: td.TransformedDistribution, rest: Sequence[Any], change: Change
) -> td.TransformedDistribution:
    if type(first) is not td.TransformedDistribution:
        return _by_constructor(first, rest, change)  # LogNormal, Gumbel ...: by their own names
    base = map_parameters(first.base_dist, [part.base_dist for part in rest], change)
    columns = zip(*(part.transforms for part in (first, *rest)), strict=True)
    shapes = [part.batch_shape + part.event_shape for part in (first, *rest)]
    dtype = _dtype(first)
    transforms = [_map_transform(column, shapes, change, dtype) for column in columns]
    return td.TransformedDistribution(base, transforms, validate_args=False)


def _map_transform(
    parts: Sequence[Any], shapes: Sequence[torch.Size], change: Change, dtype: torch.dtype
) -> td.Transform:
    first = parts[0]
    if isinstance(first, td.AffineTransform):
        loc, scale = (_map_value([getattr(p, name) for p in parts], shapes, change, dtype)
                      for name in ("loc", "scale"))  # fmt: skip
        return td.AffineTransform(loc, scale, event_dim=first.event_dim)
    if isinstance(first, td.PowerTransform):
        return td.PowerTransform(_map_value([p.exponent for p in parts], shapes, change, dtype))
    if isinstance(first, td.ComposeTransform):
        columns = zip(*(part.parts for part in parts), strict=True)
        return td.ComposeTransform([_map_transform(c, shapes, change, dtype) for c in columns])
    inverse = getattr(first, "_inv", None)
    if type(first).__name__ == "_InverseTransform" and inverse is not None:
        return _map_transform([p.inv for p in parts], shapes, change, dtype).inv
    if any(isinstance(v, torch.Tensor) and v.ndim for v in vars(first).values()):
        raise UnsupportedError(
            f"a {type(first).__name__} with tensors of its own can not be indexed or joined; "
            "register a rule with arproc.distributions.shape.map_parameters."
        )
    return first


def _dtype(distribution: Any) -> torch.dtype:
    """The floating dtype of a distribution's first parameter that has one."""
    while isinstance(distribution, (td.TransformedDistribution, td.Independent)):
        distribution = distribution.base_dist
    for name in distribution.arg_constraints:
        value = getattr(distribution, name)
        if isinstance(value, torch.Tensor) and value.is_floating_point():
            return value.dtype
    return torch.get_default_dtype()


def _map_value(
    values: Sequence[Any], shapes: Sequence[torch.Size], change: Change, dtype: torch.dtype
) -> Any:
    """One parameter of a transform: a number all share stays one; others join in `dtype`."""
    tensors = [v if isinstance(v, torch.Tensor) else torch.tensor(v, dtype=dtype) for v in values]
    if all(t.ndim == 0 and bool(t == tensors[0]) for t in tensors):
        return values[0]
    return change([t.expand(shape) for t, shape in zip(tensors, shapes, strict=True)])


def index(distribution: td.Distribution, key: Any) -> Any:
    """The distribution of part of the batch: what `key` picks from a tensor [*batch].

    Example:
        >>> index(td.Normal(torch.zeros(3), torch.ones(3)), slice(0, 2)).batch_shape
        torch.Size([2])
    """
    if type(distribution) is Categorical:  # at every step of a draw
        return Categorical(distribution.scores[key])
    return map_parameters(distribution, (), lambda tensors: tensors[0][key])


def concatenate(distributions: Sequence[td.Distribution], dim: int = 0) -> Any:
    """One distribution whose batch is the given ones' batches joined along `dim` >= 0."""
    return map_parameters(
        distributions[0], distributions[1:], lambda tensors: torch.cat(tensors, dim=dim)
    )


def to(distribution: td.Distribution, **kwargs: Any) -> Any:
    """The distribution with its parameters moved as by `Tensor.to(**kwargs)`."""
    return map_parameters(distribution, (), lambda tensors: tensors[0].to(**kwargs))
