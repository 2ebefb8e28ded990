"""Networks in panels (`compiled.few_rows`), kept beside them for passes over few inputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor, nn

__all__ = ["MOST", "fits", "kept_panels", "numbers"]

#: So many inputs, of all rows together, are few; a library's products are as fast for more.
MOST = 16

T = TypeVar("T")
#: Of each network in use its panels, and what its modules and weights were when they were made.
_KEPT: WeakKeyDictionary[nn.Module, tuple[tuple[Any, ...], Any]] = WeakKeyDictionary()


def fits(network: nn.Module) -> bool:
    """Whether a network computes here and now as plain loops over its weights would."""
    if torch.is_autocast_enabled("cpu"):
        return False
    plainly = all(p.dtype == torch.float32 and p.is_cpu for p in network.parameters())
    hooked = any(m._forward_hooks or m._forward_pre_hooks for m in network.modules())
    return plainly and not network.training and not hooked


@torch.no_grad()
def kept_panels(network: nn.Module, make: Callable[[], T | None]) -> T | None:
    """A network's panels, made anew where a weight or a module is another than it was.

    They take as much memory as the weights, for as long as the network is there.

    Args:
        network: whose they are.
        make: makes them; None where there are none, which is not kept. What it returns does not
            hold the network.
    """
    from arproc.compiled.few_rows import fingerprint

    parts = tuple(type(module) for module in network.modules())
    now = parts + tuple(
        fingerprint(numbers(p).reshape(-1).view(np.int32)) for p in network.parameters()
    )
    known = _KEPT.get(network)
    if known is not None and known[0] == now:
        found: T = known[1]
        return found
    made = make()
    if made is not None:
        _KEPT[network] = now, made
    return made


def numbers(x: Tensor) -> np.ndarray:
    """A tensor as float32, contiguous."""
    return np.ascontiguousarray(x.detach().numpy(), np.float32)
