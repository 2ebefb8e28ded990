"""`log_prob` of a tensor is differentiable in the parameters."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np
import torch

from arproc.contract.law import Law
from arproc.contract.parameters import is_learnt
from arproc.errors import ArprocError
from arproc.process import Model, Process
from arproc.process.fit import Learnt
from arproc.testing.compare import agree
from arproc.testing.material import Batch, holds_network
from arproc.testing.report import NotApplicable, fail
from arproc.testing.subject import Subject

__all__ = ["parameter_gradient"]


def parameter_gradient(subject: Subject) -> str:
    """The gradient of `log_prob` in the parameters is what finite differences say.

    Of all tensors of numbers that the law holds, and of its networks, together and each alone; a
    law of compiled code alone, which records none, is not asked.
    """
    process = copy.copy(subject.process)
    law = _apart(process.law_)
    vars(process)["_held"] = Learnt(law, process.fit_)
    tensors = dict(_tensors(law, "law"))
    if not tensors:
        raise NotApplicable("it holds no tensors of real numbers")
    batch = subject.batch(6, subject.whole(8), "slopes")
    likely = process.log_prob(subject.user_data(batch), context=batch.context)
    possible = np.flatnonzero(np.isfinite(likely)).tolist()[:3]
    if not possible:
        raise NotApplicable("no sequence that was tried is possible")
    batch = batch.rows(possible)
    data = torch.as_tensor(subject.user_data(batch)).to(process.device)

    def value() -> torch.Tensor:
        _forget(law)
        found: torch.Tensor = process.log_prob(data, context=batch.context).double().sum()
        return found

    slopes = _by_autograd(tensors, value)
    known = [name for name, slope in slopes.items() if slope is not None]
    if not known and not holds_network(law):
        if _conditionals_have_one(subject, process, tensors, batch):
            fail(
                "log_prob of a tensor to have a gradient in what the law holds",
                "it records none, and the conditionals do",
                "a detach(), or a path through NumPy that the conditionals do not take",
            )
        raise NotApplicable("its log_prob records no gradient in what it holds")
    rng, fine = subject.rng("slopes"), subject.dtype == torch.float64
    for name in tensors:
        if slopes[name] is None:
            _require_flat(name, tensors[name], value, rng, fine)
    if not known:
        raise NotApplicable("log_prob depends on none of the tensors that it holds")
    alone = [[name] for name in known] if fine and len(known) <= 8 else []
    found = [_along(names, tensors, slopes, value, rng, fine) for names in [known, *alone]]
    off = [x for x in found if x is not None]
    if not off:
        raise NotApplicable("next to what it holds there is no law")
    return f"{max(off):.1e} from finite differences, {len(known)} tensors"


def _conditionals_have_one(
    subject: Subject, process: Process, tensors: dict[str, torch.Tensor], batch: Batch
) -> bool:
    """Whether the conditionals' log-probabilities record a gradient in some tensor."""
    law = process.law_
    with torch.enable_grad():
        for tensor in tensors.values():
            tensor.requires_grad_()
        try:
            _forget(law)
            other = subject.with_process(process)
            total = other.columns(batch).log_prob(batch.x[:, :1]).sum()
            return bool(total.requires_grad)
        finally:
            for tensor in tensors.values():
                tensor.requires_grad_(False)


def _along(
    names: list[str],
    tensors: dict[str, torch.Tensor],
    slopes: dict[str, torch.Tensor | None],
    value: Any,
    rng: np.random.Generator,
    fine: bool,
) -> float | None:
    """Compare the slope along one direction of some tensors with a difference of values.

    None where there is no law on both sides: weights of zero, data that are of a finite space.
    """
    directions, slope = {}, 0.0
    for name in names:
        gradient = slopes[name]
        assert gradient is not None
        random = torch.as_tensor(rng.standard_normal(tuple(gradient.shape))).to(gradient)
        # in float32 uphill, where the values differ by more than their rounding
        directions[name] = random if fine else gradient * (0.5 + random.abs())
        slope += float((gradient.double() * directions[name].double()).sum())
    # in float32 a step that is seen may go over a kink, or round a bend: then a shorter one counts
    steps = [1e-6] if fine else [s / max(abs(slope), 0.1) for s in (0.1, 0.01)]
    found = []
    for step in steps:
        try:
            ends = [_moved(tensors, directions, sign * step, value) for sign in (1, -1)]
        except ArprocError:
            return None
        found.append(float(ends[0] - ends[1]) / (2 * step))
    want = min(found, key=lambda difference: abs(difference - slope))
    size = 1 + abs(want)
    return agree(
        torch.tensor(slope / size, dtype=torch.float64),
        torch.tensor(want / size, dtype=torch.float64),
        1e-4 if fine else 5e-2,
        f"the gradient of log_prob in {_short(names)} to be what finite differences give",
        "a detach() inside, or a path through NumPy for a part of the formula",
    )


def _require_flat(
    name: str, tensor: torch.Tensor, value: Any, rng: np.random.Generator, fine: bool
) -> None:
    """A tensor without a gradient must be one that log_prob does not move with.

    What moves it by a jump has no gradient to give: numbers that are asked whether they are equal.
    """
    before, step = value(), 1e-3 if fine else 0.1
    moved = torch.as_tensor(rng.standard_normal(tuple(tensor.shape))).to(tensor)
    try:
        after = [_moved({name: tensor}, {name: moved}, size, value) for size in (step, step / 2)]
    except ArprocError:
        return
    far, near = (float(x - before) for x in after)
    if abs(far) > 1e-5 * (1 + float(before.abs())) and 1.4 * abs(near) < abs(far) < 6 * abs(near):
        fail(
            f"log_prob of a tensor to have a gradient in {name}",
            f"it has none, and moving {name} moves it from {float(before):.6g} by {far:.3g}",
            "a compiled or NumPy path taken for tensors too, or a detach()",
        )


def _short(names: list[str]) -> str:
    return names[0] if len(names) == 1 else "all that the law holds"


def _by_autograd(tensors: dict[str, torch.Tensor], value: Any) -> dict[str, torch.Tensor | None]:
    """The gradient in each tensor; None where there is none."""
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
    return dict(zip(tensors, found, strict=True))


def _moved(
    tensors: dict[str, torch.Tensor],
    directions: dict[str, torch.Tensor],
    step: float,
    value: Any,
) -> torch.Tensor:
    """The value where tensors are moved along their directions; they are put back."""
    kept = {name: tensors[name].clone() for name in directions}
    for name, direction in directions.items():
        tensors[name].copy_(kept[name] + step * direction)
    try:
        found: torch.Tensor = value().detach()
        return found
    finally:
        for name, was in kept.items():
            tensors[name].copy_(was)


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
    for name, part in vars(other).items():
        vars(other)[name] = _apart(part)
    return other


def _forget(value: Any) -> None:
    """Drop what laws computed once of their tensors, which are about to be moved."""
    if isinstance(value, (list, tuple)):
        for part in value:
            _forget(part)
    elif isinstance(value, (Law, Model)):
        for name in list(vars(value)):
            if isinstance(getattr(type(value), name, None), cached_property):
                del vars(value)[name]
            else:
                _forget(vars(value)[name])


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
