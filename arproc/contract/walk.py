"""One element after another: the loop that draws from any state, without what is only for users.

A state that is given an element looks at what came. Here the elements come of the law itself, so
they are written straight into the history's own memory, and nothing is looked at again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from arproc.contract.track import Room
from arproc.distributions import draw_into, from_uniform
from arproc.errors import DataError

__all__ = ["walk"]


def walk(
    state: Any,
    uniforms: torch.Tensor,
    enough: Callable[[torch.Tensor], bool] | None = None,
) -> tuple[torch.Tensor, Any]:
    """Draw K elements from a state, or fewer where the caller has enough.

    Args:
        state: where to begin, N rows.
        uniforms: float64 in (0, 1), [N, K, *event], K at least 1.
        enough: is asked after each element [N, *event].

    Returns:
        The elements [N, K or fewer, *event] and the state after them.
    """
    if torch.is_grad_enabled():
        return _walk_with_gradients(state, uniforms, enough)
    context, count = state.context, uniforms.shape[1]
    room = state.history.room(count)
    put = _writer(room, uniforms)
    done = 0
    while done < count:
        put(state.conditional, done)
        x = room.columns[done]
        done += 1
        try:
            after = state._append(x)
        except (RuntimeError, IndexError) as error:
            state._blame(x, error)
            raise
        state = state._carry(after, room.grown(done), context)
        if enough is not None and enough(x):
            break
    room.close(done)
    # a copy: who gets it may write into it, and states are values
    return room.memory[:, room.begin : room.begin + done].clone(), state


def _walk_with_gradients(
    state: Any, uniforms: torch.Tensor, enough: Callable[[torch.Tensor], bool] | None
) -> tuple[torch.Tensor, Any]:
    """`walk`, of elements that may have gradients: nothing is written where it was read."""
    drawn: list[torch.Tensor] = []
    for u in uniforms.unbind(1):
        x = from_uniform(state.conditional, u).to(state.history.dtype)
        state = state.append(x)
        drawn.append(x)
        if enough is not None and enough(x):
            break
    return torch.stack(drawn, dim=1), state


def _writer(room: Room, uniforms: torch.Tensor) -> Callable[[Any, int], None]:
    """What draws from a conditional into the k-th slot of the room."""
    each = uniforms.unbind(1)
    memory, begin, columns = room.memory, room.begin, room.columns

    def put(conditional: Any, k: int) -> None:
        x, column = from_uniform(conditional, each[k]), columns[k]
        if x.shape != column.shape:
            raise DataError(
                f"{type(conditional).__name__} drew elements of shape {list(x.shape)}, for "
                f"{list(column.shape)}: a conditional must have batch shape [N], here "
                f"{list(column.shape[:1])}, and the elements' event shape."
            )
        column.copy_(x)

    if not memory.is_cpu or memory.dtype is not torch.int64 or memory.ndim != 2:
        return put
    u, out = np.ascontiguousarray(uniforms.detach().numpy()), memory.numpy()

    def put_symbol(conditional: Any, k: int) -> None:
        if not draw_into(conditional, u, k, out, begin + k):
            put(conditional, k)

    return put_symbol
