"""`log_prob` of a tensor is differentiable in the parameters."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import torch

from arproc.contract.law import Law
from arproc.contract.parameters import is_learnt
from arproc.process import Model, Process
from arproc.process.fit import Learnt
from arproc.testing.compare import agree
from arproc.testing.material import holds_network
from arproc.testing.report import NotApplicable, fail
from arproc.testing.subject import Subject

__all__ = ["parameter_gradient"]


def parameter_gradient(subject: Subject) -> str:
    """The gradient of `log_prob` in the parameters is what finite differences say.

    Of all tensors of numbers that the law holds, and of its networks, in one random direction
    and, if they are few, each of them alone; laws without any are not asked.
    """
    process = copy.copy(subject.process)
    law = _apart(process.law_)
    vars(process)["_held"] = Learnt(law, process.fit_)
    tensors = dict(_tensors(law, "law"))
    if not tensors:
        raise NotApplicable("it holds no tensors of real numbers")
    data = torch.as_tensor(subject.user_data(subject.batch(3, subject.whole(8), "slopes")))
    batch = subject.batch(3, subject.whole(8), "slopes")
    data = data.to(process.device)

    def value() -> torch.Tensor:
        found: torch.Tensor = process.log_prob(data, context=batch.context).double().sum()
        return found

    fine = subject.dtype == torch.float64
    rng = subject.rng("slopes")
    directions = {
        name: torch.as_tensor(rng.standard_normal(tuple(t.shape))).to(t) for name, t in tensors.items()
    }
    slopes = _by_autograd(tensors, directions, value)
    step, off = (1e-6 if fine else 3e-3), 0.0
    groups = [[name] for name in tensors] if len(tensors) <= 8 else []
    for names in [list(tensors), *groups]:
        ends = [_moved(tensors, directions, names, sign * step, value) for sign in (1, -1)]
        want = (ends[0] - ends[1]) / (2 * step)
        known = [slopes[name] for name in names]
        if all(slope is None for slope in known):
            if not holds_network(law) or abs(float(want)) < 1e-3:
                continue  # a law of compiled code gives numbers alone
            fail(
                f"log_prob of a tensor to have a gradient in {_short(names)}",
                "it has none",
                "a compiled or NumPy path taken for tensors too, or a detach()",
            )
        got = sum((slope for slope in known if slope is not None), torch.zeros((), dtype=torch.float64))
        off = max(
            off,
            agree(
                got / (1 + want.abs()),
                want / (1 + want.abs()),
                1e-4 if fine else 5e-2,
                f"the gradient of log_prob in {_short(names)} to be what finite differences give",
                "a detach() inside, or a path through NumPy for a part of the formula",
            ),
        )
    if all(slope is None for slope in slopes.values()):
        raise NotApplicable("its log_prob records no gradient in what it holds")
    return f"{off:.1e} from finite differences, {len(tensors)} tensors"


def _short(names: list[str]) -> str:
    return names[0] if len(names) == 1 else "all that the law holds"


def _by_autograd(
    tensors: dict[str, torch.Tensor], directions: dict[str, torch.Tensor], value: Any
) -> dict[str, torch.Tensor | None]:
    """The slope along each direction; None where there is no gradient."""
    with torch.enable_grad():
        for tensor in tensors.values():
            tensor.requires_grad_()
        try:
            total = value()
            if not total.requires_grad:
                return dict.fromkeys(tensors)
            found = torch.autograd.grad(total, list(tensors.values()), allow_unused=True)
        finally:
            for tensor in tensors.values():
                tensor.requires_grad_(False)
    return {
        name: None if g is None else (g * directions[name]).sum().double()
        for (name, g) in zip(tensors, found, strict=True)
    }


def _moved(
    tensors: dict[str, torch.Tensor],
    directions: dict[str, torch.Tensor],
    names: list[str],
    step: float,
    value: Any,
) -> torch.Tensor:
    kept = {name: tensors[name].clone() for name in names}
    for name in names:
        tensors[name].copy_(kept[name] + step * directions[name])
    try:
        return value().detach()
    finally:
        for name in names:
            tensors[name].copy_(kept[name])


def _apart(value: Any) -> Any:
    """A law whose tensors and networks are its own, and which has computed nothing yet."""
    if isinstance(value, torch.nn.Module):
        return copy.deepcopy(value).requires_grad_(False)
    if isinstance(value, torch.Tensor):
        return value.detach().clone()
    if isinstance(value, (list, tuple)) and type(value) in (list, tuple):
        return type(value)(map(_apart, value))
    if not isinstance(value, (Law, Model)):
        return value
    other = copy.copy(value)
    computed = {name for name in vars(other) if hasattr(getattr(type(other), name, None), "func")}
    for name, part in list(vars(other).items()):
        if name in computed:
            del vars(other)[name]
        else:
            vars(other)[name] = _apart(part)
    return other


def _tensors(value: Any, path: str) -> Iterator[tuple[str, torch.Tensor]]:
    """The tensors of real numbers in a law, by where they are."""
    if isinstance(value, torch.nn.Module):
        for name, parameter in value.named_parameters():
            yield f"{path}.{name}", parameter
    elif isinstance(value, torch.Tensor):
        if value.is_floating_point() and value.numel():
            yield path, value
    elif isinstance(value, (list, tuple)):
        for k, part in enumerate(value):
            yield from _tensors(part, f"{path}[{k}]")
    elif isinstance(value, Law):
        for name, part in vars(value).items():
            yield from _tensors(part, f"{path}.{name}")
    elif isinstance(value, Model):
        for name, part in vars(value).items():
            if is_learnt(name) or isinstance(part, Process):
                yield from _tensors(part, name)
