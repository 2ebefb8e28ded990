"""Networks of files, constructed anew: within what the file's tensors have room for.

A file says with which arguments a network was constructed, and a small one may say 100,000
layers. So the network is planned first, on torch's meta device, where nothing is allocated; and
while it is planned no more parameters may be registered than the file holds.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.nn.modules import module as hooks

from arproc.contract.checked import check_arguments
from arproc.contract.storable import StorableModule
from arproc.errors import FileFormatError, ParameterError

__all__ = ["built"]

#: A whole number among a network's arguments may be this large whatever the file holds.
_ORDINARY = 2**20
#: Parameters may be registered under several names, and replaced, while a network is made.
_TIMES, _SPARE = 4, 64

Decode = Callable[[Any], Any]
ClassOf = Callable[[dict[str, Any]], type]


def built(tree: dict[str, Any], decode: Decode, class_of: ClassOf) -> StorableModule:
    """The network that a file describes, filled with the file's tensors, in evaluation mode.

    Args:
        tree: the description: a class, its arguments, and a state.
        decode: what reads other parts of the file.
        class_of: what finds a class by its name.

    Raises:
        FileFormatError: the tensors are not those of such a network.
    """
    state = decode(tree["state"])
    if not isinstance(state, dict) or not all(isinstance(v, torch.Tensor) for v in state.values()):
        raise FileFormatError(f"the file's {tree['class']} has no tensors.")
    _check_sizes(tree, state)
    try:
        with torch.device("meta"), _within(_short(tree), state):  # where nothing is allocated
            plan = _constructed(tree, decode, class_of)
    except FileFormatError:
        raise
    except ParameterError as wrong:
        raise FileFormatError(f"the file's network is none: {wrong}") from wrong
    except Exception:  # a network that computes while it is built can only be built in earnest
        plan = None
    if plan is not None:
        _check_shapes(plan, state)
    with (
        torch.random.fork_rng([]),
        _within(tree["class"], state),
    ):  # it begins with weights by chance
        module = _constructed(tree, decode, class_of)
    _check_shapes(module, state)
    module.load_state_dict(state)
    return module.eval()


def _constructed(tree: dict[str, Any], decode: Decode, class_of: ClassOf) -> StorableModule:
    """A network as it was constructed."""
    cls = class_of(tree)
    if not issubclass(cls, StorableModule):
        raise FileFormatError(f"{tree['class']} is not a network that files hold.")
    arguments = {
        k: _constructed(v, decode, class_of) if _is_part(v) else decode(v)
        for k, v in tree["arguments"].items()
    }
    check_arguments(cls, arguments)
    return cls(**arguments)


def _short(tree: dict[str, Any]) -> str:
    """The name of a network's class, without its module's."""
    return str(tree["class"]).rpartition(".")[2]


def _is_part(tree: Any) -> bool:
    """Whether this describes a network among the arguments of another, which has its tensors."""
    return isinstance(tree, dict) and tree["!"] == "module" and "state" not in tree


def _check_sizes(tree: dict[str, Any], state: Mapping[str, torch.Tensor]) -> None:
    """Refuse arguments that no network with so many numbers has, before any is made of them."""
    most = max(_ORDINARY, sum(tensor.numel() for tensor in state.values()))
    for name, number in _whole_numbers(tree["arguments"], ""):
        if not -most <= number <= most:
            raise FileFormatError(
                f"the tensors of {_short(tree)} do not fit the model: it has {name} = {number}, "
                f"and they hold fewer than {most + 1} numbers."
            )


def _whole_numbers(tree: Any, name: str) -> Iterator[tuple[str, int]]:
    """The whole numbers of an encoded value that stand for sizes, with where they stand."""
    if isinstance(tree, int) and not isinstance(tree, bool):
        yield name, tree
    elif isinstance(tree, list):
        for item in tree:
            yield from _whole_numbers(item, name)
    elif isinstance(tree, dict) and tree.get("!") in ("module", "tuple", None):
        for key, item in tree.get("arguments", tree).items():
            yield from _whole_numbers(item, name if key in ("items", "!") else key)


@contextmanager
def _within(name: str, state: Mapping[str, torch.Tensor]) -> Iterator[None]:
    """While it lasts, refuse more parameters and numbers than a file's tensors allow for."""
    count = _TIMES * len(state) + _SPARE
    numbers = _TIMES * sum(tensor.numel() for tensor in state.values()) + _ORDINARY
    seen, here = [0, 0], threading.get_ident()

    def more(_module: nn.Module, _name: str, value: torch.Tensor | None) -> None:
        if threading.get_ident() != here:  # who makes a network elsewhere is not meant
            return
        seen[0] += 1
        seen[1] += 0 if value is None else value.numel()
        if seen[0] > count or seen[1] > numbers:
            raise FileFormatError(
                f"the tensors of {name} do not fit the model: there are {len(state)} in the file, "
                f"and the model has {seen[0]} or more, of {seen[1]} numbers."
            )

    handles = [
        hooks.register_module_parameter_registration_hook(more),
        hooks.register_module_buffer_registration_hook(more),
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _check_shapes(module: StorableModule, state: Mapping[str, torch.Tensor]) -> None:
    want = {key: _kind(v) for key, v in module.state_dict().items()}
    have = {key: _kind(v) for key, v in state.items()}
    if want != have:
        wrong = min(key for key in want.keys() | have.keys() if want.get(key) != have.get(key))
        raise FileFormatError(
            f"the tensors of {type(module).__name__} do not fit the model: {wrong} is "
            f"{_shown(have.get(wrong))} in the file, {_shown(want.get(wrong))} in the model."
        )


def _kind(tensor: torch.Tensor) -> tuple[tuple[int, ...], str]:
    whole = "bool" if tensor.dtype == torch.bool else "whole"
    return tuple(tensor.shape), "real" if tensor.is_floating_point() else whole


def _shown(kind: tuple[tuple[int, ...], str] | None) -> str:
    return "not there" if kind is None else f"{kind[0]} of {kind[1]} numbers"
