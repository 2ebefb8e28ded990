"""The tree of contexts that a `ContextTree` finds most probable."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from arproc.errors import DataError, ParameterError, check_count
from arproc.plot.canvas import BLUE, GREY, INK, axes_for

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["context_tree"]

_START = "start"
_SHOWN = {" ": "␣", "\n": "↵", "\t": "→", None: _START}


class _Branch(NamedTuple):
    """A leaf, or a branch that is not drawn further.

    Attributes:
        path: the symbols from the last one back.
        law: of what follows; None for a branch.
        leaves: how many leaves there are.
    """

    path: tuple[Any, ...]
    law: np.ndarray | None
    leaves: int


def context_tree(model: Any, ax: Axes | None = None, *, limit: int = 40, symbols: int = 3) -> Axes:
    """The most probable tree of contexts: at each leaf, what follows it.

    From the left the tree asks for the last symbol, then for the one before it, and so on; ␣ is a
    space, ↵ a line's end, and "start" a sequence's beginning. The bars are probabilities of the
    most probable symbols.

    Args:
        model: a fitted `ContextTree`.
        ax: where to draw; a new figure by default.
        limit: how many leaves are drawn; a larger tree is cut at a depth, and the branches that go
            on say how many leaves they have.
        symbols: how many symbols are told at each leaf.

    Returns:
        The Axes.

    Example:
        >>> import arproc
        >>> ax = context_tree(arproc.ContextTree(3).fit(["abab" * 40]))
        >>> ax.get_title(loc="left")
        '3 contexts, up to 1 symbol long'
    """
    limit = check_count("limit", limit, minimum=1)
    symbols = check_count("symbols", symbols, minimum=1)
    if not hasattr(model, "map_tree"):
        raise ParameterError(f"model must be a fitted ContextTree; got {type(model).__name__}.")
    leaves = {tuple(reversed(context)): law for context, law in model.map_tree().items()}
    if not leaves:
        raise DataError("model has seen nothing; expected a ContextTree fitted to data.")
    branches, left_out = _cut(leaves, limit)
    names = _names(model)
    ax = axes_for(ax, (8.0, 1.0 + 0.3 * len(branches)))
    height = {branch.path: float(place) for place, branch in enumerate(branches)}
    deepest = max(len(branch.path) for branch in branches)
    _edges(ax, height)
    for place, branch in enumerate(branches):
        ax.plot([len(branch.path), deepest + 0.15], [place, place], color=GREY, lw=0.6, ls=":")
        if branch.law is None:
            told = f"{branch.leaves} longer contexts"
            ax.text(deepest + 0.2, place, told, va="center", fontsize=8, color=GREY)
        else:
            _follows(ax, place, deepest + 0.2, branch.law, names, symbols)
    longest = max(map(len, leaves))
    title = f"{len(leaves):,} contexts, up to {longest} symbol{'s' if longest != 1 else ''} long"
    title += f"; {left_out} branches are not shown" if left_out else ""
    ax.set_title(title, fontsize="medium", loc="left")
    ax.set_ylim(len(branches) - 0.4, -0.6)
    ax.set_xlim(-0.15, deepest + 0.2 + 0.55 * symbols)
    ax.set_xticks(range(deepest + 1))
    ax.set_xlabel("symbols known, from the last one back; then what follows")
    ax.set_yticks([])
    ax.spines[["top", "right", "left"]].set_visible(False)
    return ax


def _cut(leaves: dict[tuple[Any, ...], np.ndarray], limit: int) -> tuple[list[_Branch], int]:
    """The leaves in order, put together below the greatest depth at which there are few enough.

    Where there are too many symbols, those with most contexts are kept, and the others counted.
    """
    order = sorted(leaves, key=lambda path: tuple(map(str, path)))
    kept: dict[tuple[Any, ...], list[tuple[Any, ...]]] = {}
    for depth in range(max(1, *map(len, order)), 0, -1):
        kept = {}
        for path in order:
            kept.setdefault(path[:depth], []).append(path)
        if len(kept) <= limit:
            break
    largest = set(sorted(kept, key=lambda path: -len(kept[path]))[:limit])
    branches = [
        _Branch(path, leaves[path] if below == [path] else None, len(below))
        for path, below in kept.items()
        if path in largest
    ]
    return branches, len(kept) - len(branches)


def _names(model: Any) -> list[str]:
    """What the symbols are called."""
    space = model.space
    known = [] if space.vocabulary is None else list(space.vocabulary.symbols)
    more = ["end"] if space.terminates else []
    return [_name(one) for one in [*(known or range(space.size)), *more]]


def _name(symbol: Any) -> str:
    return _SHOWN.get(symbol, str(symbol))


def _edges(ax: Axes, height: dict[tuple[Any, ...], float]) -> None:
    """Nodes from the leaves to the root, each as high as the middle of its children."""
    depth = max(map(len, height))
    for level in range(depth, 0, -1):
        above: dict[tuple[Any, ...], list[tuple[Any, ...]]] = {}
        for path in [path for path in height if len(path) == level]:
            above.setdefault(path[:-1], []).append(path)
        for parent, children in above.items():
            ends = [height[child] for child in children]
            height[parent] = (min(ends) + max(ends)) / 2
            ax.plot([level - 0.75] * 2, [min(ends), max(ends)], color=GREY, linewidth=1.0)
            ax.plot([level - 1, level - 0.75], [height[parent]] * 2, color=GREY, linewidth=1.0)
            for child in children:
                ax.plot([level - 0.75, level], [height[child]] * 2, color=GREY, linewidth=1.0)
                _write(ax, level - 0.4, height[child], _name(child[-1]))


def _write(ax: Axes, x: float, y: float, name: str) -> None:
    """The name of a symbol on its line."""
    ground = {"fc": "white", "ec": "none", "pad": 1.0}
    ax.text(x, y, name, ha="center", va="center", fontsize=9, color=INK, bbox=ground,
            parse_math=False)  # fmt: skip


def _follows(
    ax: Axes, place: int, left: float, law: np.ndarray, names: list[str], count: int
) -> None:
    """The most probable symbols, each with a bar as long as its probability."""
    for number, k in enumerate(np.argsort(-law, kind="stable")[:count].tolist()):
        x = left + 0.55 * number
        ax.barh(place, 0.5 * law[k], 0.62, left=x, color=BLUE, alpha=0.3)
        ax.text(x + 0.02, place, f"{names[k]} {law[k]:.2f}", va="center", fontsize=8, color=INK,
                parse_math=False)  # fmt: skip
