"""Some sites of a vector given some others, by an order-agnostic NADE: likelihood and draws.

The network is asked in the order that fits each vector: first what is given, then what is asked
for. What is neither is left out, which integrates over it exactly.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from arproc.contract.randomness import Uniforms, derived_seed
from arproc.contract.sequences import Sequences
from arproc.contract.storable import storable
from arproc.data.arrays import to_tensor, unmasked
from arproc.data.form import Layout
from arproc.data.frames import native
from arproc.data.intake import opened
from arproc.data.labels import by_name
from arproc.data.tables import Table
from arproc.errors import DataError
from arproc.models.neural.vectors.networks import RevealingNetwork, VectorLaw
from arproc.spaces import Space

__all__ = ["Gaps", "RevealingLaw", "draws", "log_prob", "read_gaps", "read_given", "without_gaps"]

#: How many vectors are worked on at once.
_ROWS = 1024


class Gaps(NamedTuple):
    """Vectors with missing values.

    Attributes:
        sequences: the vectors in the order of the sites, with zeros for what is missing.
        seen: which values are there, bool [N, sites].
    """

    sequences: Sequences
    seen: Tensor


@storable
@dataclass(frozen=True, eq=False, repr=False)
class RevealingLaw(VectorLaw):
    """A law of a network that, where it sees what is known, gives any sites given any others."""

    def given_seen(
        self,
        x: Tensor,
        seen: Tensor,
        context: Tensor | None,
        n: int,
        seed: int,
        numbers: Tensor,
        *,
        given_present: bool = False,
    ) -> tuple[Tensor, Tensor] | None:
        network = self.network
        if not isinstance(network, RevealingNetwork):
            return None
        self.require_orders("complete")
        drawn = draws(network, x, seen, n, seed, context, numbers, given_present)
        known = log_prob(network, x, torch.zeros_like(seen), seen, context)
        return drawn.unflatten(0, (n, len(x))).transpose(0, 1), known


def without_gaps(data: Any, whole: bool) -> tuple[Any, Tensor]:
    """The user's vectors with zeros for what is missing, and where that is.

    Args:
        data: NaN is a missing value (and pandas' NA, and a masked value).
        whole: whether the values are discrete: as no array of whole numbers can hold NaN, -1 is
            then missing too.
    """
    # NaN stands for pandas' NA and for masked values in what the reading of gaps gives back
    data = unmasked(opened(data))
    if hasattr(data, "to_numpy"):
        data = data.to_numpy(dtype=np.float64, na_value=np.nan)
    x = to_tensor(data, "data")
    missing = torch.isnan(x) if x.is_floating_point() else torch.zeros_like(x, dtype=torch.bool)
    if whole and x.dtype not in (torch.bool, torch.uint8):  # to which -1 is 255
        missing = missing | (x == -1)
    filled = torch.where(missing, torch.zeros((), dtype=x.dtype, device=x.device), x)
    return filled if isinstance(data, torch.Tensor) else filled.numpy(), missing


def read_gaps(
    read: Callable[[Any], Sequences],
    data: Any,
    layout: Layout,
    whole: bool,
    names: tuple[Any, ...] = (),
) -> Gaps:
    """The user's vectors, of which some values may be missing; see `without_gaps`.

    Args:
        read: reads vectors without gaps.
        data: the vectors.
        layout: of the law.
        whole: whether the values are discrete.
        names: of a DataFrame's columns, as in `fit`.
    """
    if isinstance(data, Sequences):
        return Gaps(read(data), torch.ones(len(data), layout.length, dtype=torch.bool))
    data = native(data)
    frame = hasattr(data, "iloc") and data.ndim == 2
    data = by_name(data, names, "data") if frame else data
    kept, missing = without_gaps(data, whole)
    if frame:
        kept = type(data)(kept, data.index, data.columns)
    sequences = read(kept)  # refuses what has not the shape of vectors
    seen = ~layout.to_sites(missing[None] if sequences.form.single else missing)
    return Gaps(sequences, seen.to(sequences.values.device))


def read_given(given: Any, gaps: Gaps, layout: Layout, space: Space) -> Tensor:
    """Which values are given, bool [N, sites], from the user's mask of one vector or of all."""
    seen = gaps.seen
    if given is None:
        return torch.zeros_like(seen)
    if isinstance(space, Table) and isinstance(given, (list, tuple)) and given:
        names = list(space.names)
        if all(name in names for name in given):
            given = torch.tensor([name in given for name in names])
    try:
        mask = torch.as_tensor(np.asarray(given) if not isinstance(given, Tensor) else given)
    except Exception:  # no mask at all: text, a ragged list
        mask = torch.zeros(0)
    shape = layout.shape
    if mask.dtype != torch.bool or tuple(mask.shape) not in (shape, (len(seen), *shape)):
        expected = ", ".join(map(str, shape))
        raise DataError(
            f"given must be a mask, bool [{expected}] for all vectors or [{len(seen)}, "
            f"{expected}]; got {mask.dtype} of shape {list(mask.shape)}."
        )
    mask = layout.to_sites(mask[None] if tuple(mask.shape) == shape else mask)
    mask = mask.to(seen.device).expand_as(seen)
    if bool((mask & ~seen).any()):
        row, site = (int(i) for i in (mask & ~seen).nonzero()[0])
        raise DataError(
            f"given names a value that is missing in data (vector {row}, site {site} of the "
            "order); give only what is there."
        )
    return mask


def log_prob(
    network: RevealingNetwork, x: Tensor, given: Tensor, asked: Tensor, context: Tensor | None
) -> Tensor:
    """Log p(x where asked | x where given), nats, float64 [N].

    Args:
        network: an order-agnostic network.
        x: vectors [N, sites].
        given: bool [N, sites].
        asked: bool [N, sites], apart from `given`.
        context: what the vectors are conditioned on.
    """
    parts = []
    for rows in torch.arange(len(x), device=x.device).split(_ROWS):
        walk = _Walk(network, x[rows], given[rows], asked[rows], _rows(context, rows))
        total = torch.zeros(len(rows), dtype=torch.float64, device=x.device)
        while walk.sites is not None:
            values = walk.x[torch.arange(len(walk.sites), device=x.device), walk.sites]
            terms = walk.terms(values)
            total = total + torch.cat([terms, total.new_zeros(len(total) - len(terms))])
            walk.go_on(values)
        parts.append(total[walk.rank])
    return torch.cat(parts)


def draws(
    network: RevealingNetwork,
    x: Tensor,
    seen: Tensor,
    n: int,
    seed: int,
    context: Tensor | None,
    numbers: Tensor | None = None,
    given_present: bool = False,
) -> Tensor:
    """The vectors x [N, sites] n times, with draws where they are not seen: [n * N, sites].

    Draw k of row i depends on the seed, on k and on i alone, or on the number that the row has.
    """
    rows, parts = torch.arange(len(x)), [x[:0]]
    numbers = rows if numbers is None else numbers
    together = max(1, _ROWS // max(len(x), 1))  # as many draws as make a batch
    for first in range(0, n, together):
        count = min(together, n - first)
        blocks = [
            Uniforms(derived_seed(seed, first + k)).block(numbers, 0, x.shape[1])
            for k in range(count)
        ]
        again = rows.repeat(count).to(x.device)
        uniforms = torch.cat(blocks).to(x.device)
        given = _rows(context, again)
        parts.append(_draw(network, x[again], seen[again], uniforms, given, given_present))
    return torch.cat(parts)


def _draw(
    network: RevealingNetwork,
    x: Tensor,
    seen: Tensor,
    uniforms: Tensor,
    context: Tensor | None,
    given_present: bool = False,
) -> Tensor:
    """The vectors x [N, sites] with draws, given what is seen, where it is not.

    Args:
        network: an order-agnostic network.
        x: vectors [N, sites].
        seen: bool [N, sites].
        uniforms: float64 [N, sites], one for each site.
        context: what the vectors are conditioned on.
        given_present: whether entries are drawn given that they are not missing.
    """
    parts = []
    for rows in torch.arange(len(x), device=x.device).split(_ROWS):
        walk = _Walk(network, x[rows], seen[rows], ~seen[rows], _rows(context, rows))
        found, u = x[rows][walk.order_of_rows].clone(), uniforms[rows][walk.order_of_rows]
        while walk.sites is not None:
            place = torch.arange(len(walk.sites), device=x.device), walk.sites
            values = walk.draws(u[place], given_present).to(x.dtype)
            found[place] = values
            walk.go_on(values)
        parts.append(found[walk.rank])
    return torch.cat(parts)


def _rows(context: Tensor | None, rows: Tensor) -> Tensor | None:
    return None if context is None else context[rows]


class _Walk:
    """Goes through the asked sites of some vectors, each in its own order.

    The rows stand in the order of how many sites they ask for, most first; so those that still
    have one to come are the first ones.

    Attributes:
        x: the rows that go on, [n, sites].
        sites: the next site of each, int64 [n]; None when all are through.
        order_of_rows: which row stands at each place.
        rank: at which place each row stands.
    """

    def __init__(
        self,
        network: RevealingNetwork,
        x: Tensor,
        given: Tensor,
        asked: Tensor,
        context: Tensor | None,
    ) -> None:
        self.network = network
        counts = asked.sum(1)
        self.order_of_rows = torch.argsort(counts, descending=True, stable=True)
        self.rank = self.order_of_rows.argsort()
        rows = self.order_of_rows
        self.x, self.context = x[rows], _rows(context, rows)
        self.counts, self.known = counts[rows], given[rows].sum(1)
        self.inputs = network.known(self.x, given[rows], self.context)
        # the asked sites first, in the order of the sites
        self.path = torch.argsort(~asked[rows], dim=1, stable=True)
        self.step = 0
        self._keep()

    def _keep(self) -> None:
        """Leave out the rows that are through."""
        n = int((self.counts > self.step).sum())
        if n < len(self.counts):
            self.x, self.inputs, self.counts = self.x[:n], self.inputs[:n], self.counts[:n]
            self.known, self.path = self.known[:n], self.path[:n]
            self.context = None if self.context is None else self.context[:n]
        self.sites = self.path[:, self.step] if n else None

    def terms(self, values: Tensor) -> Tensor:
        """The log-probabilities of the next sites' values [n], nats."""
        assert self.sites is not None
        count = self.known + self.step
        return self.network.terms_at(self.inputs, self.sites, values, self.context, count)

    def draws(self, u: Tensor, given_present: bool) -> Tensor:
        """The next sites' values [n] that uniforms stand for."""
        assert self.sites is not None
        count, given = self.known + self.step, {"given_present": given_present}
        return self.network.draws_at(self.inputs, self.sites, u, self.context, count, **given)

    def go_on(self, values: Tensor) -> None:
        """Take the next sites' values [n] for known."""
        assert self.sites is not None
        self.inputs = self.network.reveal(self.inputs, values, self.sites)
        self.step += 1
        self._keep()
