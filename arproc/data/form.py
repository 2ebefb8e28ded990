"""The form of the user's data, and how results go back in it.

`Form` says what the user gave; `Layout` how examples of a fixed size lie in the user's array;
`restore` is the way back, the inverse of `arproc.data.intake.read`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from arproc.contract.storable import storable
from arproc.data.tables import frames
from arproc.data.tables.space import Table
from arproc.errors import ParameterError, check_integer
from arproc.spaces import Categorical, Space

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["FORMS", "Form", "Layout", "restore"]

#: The kinds of `Form`.
FORMS = ("numpy", "tensor", "text", "list", "series", "frame", "rows", "table")


@dataclass(frozen=True)
class Form:
    """How the user gave the data, and so how results go back.

    Attributes:
        kind: "numpy", "tensor", "text", "list", "series", "frame" (columns are series), "rows" (of
            a DataFrame, which are examples) or "table" (rows too, of columns of several kinds).
        single: whether it was one sequence rather than several.
        indexes: the pandas index of each sequence (one, shared, for a DataFrame; of the rows, for
            a table or of examples).
        names: the Series' or columns' names, of rows in the order of generation.
        components: the names of the components of vector elements, where they have any.
        device: where a tensor was, and where results go.
    """

    kind: str = "numpy"
    single: bool = False
    indexes: tuple[Any, ...] = ()
    names: tuple[Any, ...] = ()
    components: tuple[Any, ...] = ()
    device: torch.device | None = None

    def per_row(self, values: torch.Tensor) -> Any:
        """One number a sequence: a float for one, an array [N], a tensor for a tensor.

        Of a DataFrame's rows a Series with their index.
        """
        if self.kind == "tensor":
            values = values.to(self.device)
            return values[0] if self.single else values
        array = values.detach().cpu().numpy()
        if self.single:
            return float(array[0])
        return self.labelled(array) if self.kind in ("rows", "table") else array

    def labelled(self, array: np.ndarray) -> Any:
        """Numbers of a DataFrame's rows, [N], with their index."""
        import pandas as pd

        fits = len(self.indexes) == 1 and len(self.indexes[0]) == len(array)
        return pd.Series(array, self.indexes[0]) if fits else array

    def drawn(self, draws: np.ndarray, order: Sequence[int] | None) -> pd.DataFrame:
        """Draws of a DataFrame's rows [n, N, D], `order` being that of the sites in `names`."""
        import pandas as pd

        n, rows, width = draws.shape
        names: list[Any] = list(self.names)
        if order is not None:
            names = [names[place] for place in np.argsort(order)]
        labels = self.indexes[0]
        index = pd.MultiIndex.from_arrays(
            [np.repeat(np.arange(n), rows), labels[np.tile(np.arange(rows), n)]],
            names=["draw", labels.name],
        )
        return pd.DataFrame(draws.reshape(n * rows, width), index, pd.Index(names))

    def per_element(self, values: torch.Tensor, offsets: torch.Tensor, skip: int = 0) -> Any:
        """Numbers a term, flat with offsets: an array (Series, tensor), or a list of them.

        Args:
            values: flat numbers.
            offsets: int64 [N + 1], where each sequence's begin.
            skip: how many first elements of a sequence have no term.
        """
        bounds = offsets.tolist()
        values = values.to(self.device) if self.kind == "tensor" else values
        parts = [values[a:b] for a, b in pairwise(bounds)]
        if self.kind == "tensor":
            return parts[0] if self.single else parts
        arrays = [part.detach().cpu().numpy() for part in parts]
        if self.kind in ("frame", "rows", "table"):
            return self._frame(arrays, skip)
        if self.kind == "series":
            series = [self._series(i, a, skip) for i, a in enumerate(arrays)]
            return series[0] if self.single else series
        return arrays[0] if self.single else arrays

    def _frame(self, arrays: list[np.ndarray], skip: int) -> pd.Series | pd.DataFrame:
        import pandas as pd

        names = pd.Index(self.names)  # of tuples where there are several levels
        if self.kind in ("rows", "table"):
            rows = self.indexes[0] if self.indexes else None
            terms = pd.DataFrame(np.stack(arrays), rows, names)
            return terms.iloc[0] if self.single else terms
        index = self.indexes[0][skip:]
        # the term of an end has no label of the user's
        index = index if len(index) == len(arrays[0]) else None
        return pd.DataFrame(np.stack(arrays, axis=1), index=index, columns=names)

    def _series(self, i: int, values: np.ndarray, skip: int) -> pd.Series | pd.DataFrame:
        import pandas as pd

        index = self.indexes[i][skip:]
        index = index if len(index) == len(values) else None
        if values.ndim == 2:  # vectors: a column for each component
            return pd.DataFrame(values, index=index, columns=pd.Index(self.components))
        return pd.Series(values, index=index, name=self.names[i])


@storable
@dataclass(frozen=True)
class Layout:
    """The bijection between the user's array and the order of generation of a fixed-size law.

    Args:
        shape: the shape of one example in the user's array, its element shape left out.
        order: `order[j]` is the flat position of the j-th generated element; None is the natural
            (raster) order.

    Example:
        >>> layout = Layout((3,), order=(2, 0, 1))
        >>> layout.to_sites(torch.tensor([[10, 20, 30]])).tolist()
        [[30, 10, 20]]
    """

    shape: tuple[int, ...]
    order: tuple[int, ...] | None = field(default=None)

    def __post_init__(self) -> None:
        for side in self.shape:
            check_integer("a side of shape", side, minimum=0)
        order, length = self.order, self.length
        if order is not None and (len(order) != length or sorted(order) != list(range(length))):
            raise ParameterError(
                f"order must be a permutation of 0 ... {length - 1}; got {order!r}."
            )

    @property
    def length(self) -> int:
        return math.prod(self.shape)

    def to_sites(self, x: torch.Tensor) -> torch.Tensor:
        """[N, *shape, *event] to [N, length, *event], in the order of generation."""
        flat = x.reshape(x.shape[0], self.length, *x.shape[1 + len(self.shape) :])
        return flat if self.order is None else flat[:, list(self.order)]

    def from_sites(self, x: torch.Tensor) -> torch.Tensor:
        """[N, length, *event] in the order of generation back to [N, *shape, *event]."""
        if self.order is not None:
            x = x[:, np.argsort(self.order).tolist()]
        return x.reshape(x.shape[0], *self.shape, *x.shape[2:])


def restore(
    x: torch.Tensor, lengths: torch.Tensor, space: Space, form: Form, layout: Layout | None = None
) -> Any:
    """A padded batch [N, T, *event] as the user's form; see `Sequences.restore`."""
    vocabulary = space.vocabulary if isinstance(space, Categorical) else None
    if isinstance(space, Table) and form.kind == "table":
        names = form.names
        if layout is not None and x.shape[1] == layout.length:  # whole rows: the user's order
            x, names = layout.from_sites(x), space.names
        index = form.indexes[0] if form.indexes else None
        return frames.restore(x, space, names, index, form.single)
    rows = [x[i, :length] for i, length in enumerate(lengths.tolist())] if x.ndim else []
    if vocabulary is not None:
        if layout is not None and layout.order is not None:  # whole texts, as they are read
            rows = [
                layout.from_sites(row[None])[0] if len(row) == layout.length else row
                for row in rows
            ]
        decoded = [vocabulary.decode(row.cpu().numpy()) for row in rows]
        return decoded[0] if form.single else decoded
    even = len(set(lengths.tolist())) <= 1
    if layout is not None and even and x.shape[1] == layout.length:
        x = layout.from_sites(x)
        rows = list(x)
    if form.kind == "tensor":
        rows = [row.to(form.device) for row in rows]
        return rows[0] if form.single else (x.to(form.device) if even else rows)
    arrays = [row.detach().cpu().numpy().astype(space.user_dtype, copy=False) for row in rows]
    if form.kind == "rows" and even and x.ndim == 2:
        columns = np.array([*form.names, None], dtype=object)[:-1]
        if layout is not None and x.shape[1] == layout.length == len(columns):
            columns = columns if layout.order is None else columns[np.argsort(layout.order)]
        if x.shape[1] == len(columns):
            return _rows(arrays, form, columns.tolist())
    if form.single:
        return arrays[0]
    return x.detach().cpu().numpy().astype(space.user_dtype, copy=False) if even else arrays


def _rows(arrays: list[np.ndarray], form: Form, names: list[Any]) -> Any:
    """Examples as the rows of a DataFrame, or one as a Series."""
    import pandas as pd

    columns = pd.Index(names, tupleize_cols=False)
    if form.single:
        return pd.Series(arrays[0], columns)
    index = form.indexes[0] if form.indexes else None
    index = index if index is not None and len(index) == len(arrays) else None
    return pd.DataFrame(np.stack(arrays) if arrays else None, index, columns)
