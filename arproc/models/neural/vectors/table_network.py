"""The network of tables that is asked for any columns given any others."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from arproc.models.neural.given import Given
from arproc.models.neural.vectors.networks import RevealingNetwork, subsets
from arproc.models.neural.vectors.table_head import TableHead

__all__ = ["TableNetwork"]

#: In how many orders each held-out row is scored, which makes the estimate less noisy.
_ORDERS_HELD_OUT = 4


class TableNetwork(RevealingNetwork):
    r"""Every column of a table given any others (Uria, Murray and Larochelle 2014).

    The input of the first hidden layer is :math:`a = c + \sum_j (W_j e(x_j) + m_j)` over the known
    columns j: the network sees what is known and which columns these are, and so serves every
    order. Each column has as many inputs and outputs as it needs.

    Args:
        head: how an entry enters the network, and what its outputs say of it.
        hidden: sizes of the hidden layers, at least one.
        residual: whether each hidden layer but the first adds to the one before it; they must
            have equal sizes.
        direct: whether the outputs also depend on a directly.
        context: how many numbers each row is conditioned on; they reach the first hidden layer
            and the outputs.
    """

    values: TableHead
    knows_orders = takes_any_order = True

    def __init__(
        self,
        head: TableHead,
        hidden: Sequence[int],
        *,
        residual: bool = False,
        direct: bool = False,
        context: int = 0,
    ) -> None:
        super().__init__()
        self.values, self.residual = head, residual
        self.sites = sites = len(head.columns)
        enters, outputs = head.parts.enters[-1], head.parts.begins[-1]
        first, last = hidden[0], hidden[-1]
        # a sum over about half of the columns has size one
        width = (2.0 / max(sites, 1)) ** 0.5
        self.weight = nn.Parameter(torch.randn(enters, first) * width)
        self.mask = nn.Parameter(torch.randn(sites, first) * width)
        self.bias = nn.Parameter(torch.zeros(first))
        self.layers = nn.ModuleList(
            nn.Linear(before, after) for before, after in itertools.pairwise(hidden)
        )
        self.out = nn.Parameter(torch.zeros(outputs, last))
        self.out_bias = nn.Parameter(head.biases(sites))
        self.direct = nn.Parameter(torch.zeros(outputs, first)) if direct else None
        sizes = [first, outputs] if context else []
        self.given = nn.ModuleList(Given(context, size) for size in sizes)

    def hidden_weights(self) -> list[nn.Parameter]:
        """The matrices between hidden layers, which Muon trains."""
        return [layer.weight for layer in self.layers]  # type: ignore[misc]

    # ---- other orders -------------------------------------------------------------------------

    def reordered(self, order: Sequence[int]) -> dict[str, Tensor]:
        sites = list(order)
        parts = self.values.parts
        enters = _blocks(parts.enters, sites)
        begins = _blocks(parts.begins, sites)
        tensors = {k: v for k, v in self.state_dict().items() if not k.startswith("values.")}
        tensors["weight"], tensors["mask"] = self.weight[enters], self.mask[sites]
        for name in ("out", "out_bias", "direct", "given.1.weight"):
            if name in tensors:
                tensors[name] = tensors[name][begins]
        head = self.values.in_order(sites).state_dict()
        return tensors | {f"values.{name}": value for name, value in head.items()}

    def in_order(self, order: Sequence[int]) -> Self:
        arguments = self.arguments | {"head": self.values.in_order(order)}
        with torch.random.fork_rng([]):  # it begins with weights by chance
            other = type(self)(**arguments)
        other.load_state_dict(self.reordered(order))
        return other.to(self.bias.device)

    # ---- what it is trained by ----------------------------------------------------------------

    def loss(self, x: Tensor, context: Tensor | None, generator: torch.Generator) -> Tensor:
        """An unbiased estimate of the mean nats a site over all orders; see `NADENetwork.loss`.

        A missing entry is an event like others, which is given and scored.
        """
        seen, count = subsets(len(x), self.sites, generator)
        x, seen, count = (v.to(self.bias.device) for v in (x, seen, count))
        context = None if context is None else context.to(self.bias.device)
        raw = self.raw(self.known(x, seen, context), context)
        terms = self.values.terms(raw, x).masked_fill(seen, 0.0)
        return -(terms.sum(1) / (self.sites - count)).mean()

    def held_out_loss(
        self, x: Tensor, context: Tensor | None, generator: torch.Generator
    ) -> float:
        given = None if context is None else context.repeat(_ORDERS_HELD_OUT, 1)
        return super().held_out_loss(x.repeat(_ORDERS_HELD_OUT, 1), given, generator)

    # ---- what is known ------------------------------------------------------------------------

    def begin(self, n: int, context: Tensor | None = None) -> Tensor:
        base = self.bias.expand(n, -1)
        return base if context is None else base + self.given[0](context)

    def _column(self, site: int) -> slice:
        return slice(self.values.parts.enters[site], self.values.parts.enters[site + 1])

    def reveal(self, a: Tensor, x: Tensor, site: int | Tensor) -> Tensor:
        if isinstance(site, int):
            encoded = self.values.encode(x[:, None], site)
            return a + (encoded @ self.weight[self._column(site)] + self.mask[site])
        added = torch.zeros_like(a)
        for j, rows in _by_site(site):
            encoded = self.values.encode(x[rows, None], j)
            column = encoded @ self.weight[self._column(j)] + self.mask[j]
            added = added.index_copy(0, rows, column)
        return a + added

    def known(self, x: Tensor, seen: Tensor, context: Tensor | None = None) -> Tensor:
        encoded = self.values.encode(x)
        widths = torch.tensor(self.values.parts.inputs, device=seen.device)
        shown = seen.repeat_interleave(widths, dim=1, output_size=encoded.shape[1])
        a = self.begin(len(x), context) + (encoded * shown) @ self.weight
        return a + seen.to(a.dtype) @ self.mask

    # ---- what follows from it -----------------------------------------------------------------

    def units(self, a: Tensor) -> Tensor:
        """The last hidden layer from the inputs a [..., H] of the first."""
        units = F.relu(a)
        for layer in self.layers:
            after = F.relu(layer(units))
            units = units + after if self.residual else after
        return units

    def raw(self, a: Tensor, context: Tensor | None = None) -> Tensor:
        """The outputs [N, K] of every column, each as if it came next."""
        raw = F.linear(self.units(a), self.out, self.out_bias)
        if self.direct is not None:
            raw = raw + F.linear(a, self.direct)
        return raw if context is None else raw + self.given[1](context)

    def site_raw(self, units: Tensor, a: Tensor, site: int, context: Tensor | None) -> Tensor:
        """The outputs [N, size] of one column."""
        rows = slice(self.values.parts.begins[site], self.values.parts.begins[site + 1])
        raw = F.linear(units, self.out[rows], self.out_bias[rows])
        if self.direct is not None:
            raw = raw + F.linear(a, self.direct[rows])
        if context is None:
            return raw
        return raw + self.given[1](context)[..., rows]

    def at(
        self,
        a: Tensor,
        site: int | Tensor,
        context: Tensor | None = None,
        count: Tensor | None = None,
    ) -> Tensor:
        units, head = self.units(a), self.values
        if isinstance(site, int):
            raw = self.site_raw(units, a, site, context)
            return head.padded(head.finish(head.split(raw, site), site))
        found = a.new_zeros((len(a), head.outputs), dtype=torch.float64)
        for j, rows in _by_site(site):
            given = None if context is None else context[rows]
            raw = self.site_raw(units[rows], a[rows], j, given)
            found = found.index_copy(0, rows, head.padded(head.finish(head.split(raw, j), j)))
        return found

    def terms_at(
        self, a: Tensor, site: Tensor, values: Tensor, context: Tensor | None, count: Tensor
    ) -> Tensor:
        return self.values.log_prob(self.at(a, site, context), values).double()

    def draws_at(
        self,
        a: Tensor,
        site: int | Tensor,
        u: Tensor,
        context: Tensor | None,
        count: Tensor,
        *,
        given_present: bool = False,
    ) -> Tensor:
        units = self.units(a)
        if isinstance(site, int):
            raw = self.site_raw(units, a, site, context)
            return self.values.draw(raw, site, u, given_present=given_present)
        found = u.clone()
        for j, rows in _by_site(site):
            given = None if context is None else context[rows]
            raw = self.site_raw(units[rows], a[rows], j, given)
            found[rows] = self.values.draw(raw, j, u[rows], given_present=given_present)
        return found

    # ---- whole rows ---------------------------------------------------------------------------

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        return self.along(self.begin(len(x), context), x, 0, context)[0]

    def terms(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        raw = self._raw_along(self.begin(len(x), context), x, 0, context)[0]
        return self.values.terms(torch.cat(raw, dim=-1), x)

    def along(
        self, a: Tensor, x: Tensor, first: int, context: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        raw, last = self._raw_along(a, x, first, context)
        head = self.values
        found = [
            head.padded(head.finish(head.split(one, first + j), first + j))
            for j, one in enumerate(raw)
        ]
        if not found:
            return a.new_zeros((len(x), 0, head.outputs), dtype=torch.float64), last
        return torch.stack(found, dim=1), last

    def _raw_along(
        self, a: Tensor, x: Tensor, first: int, context: Tensor | None
    ) -> tuple[list[Tensor], Tensor]:
        """The outputs of the columns from `first` on, given those before, and the inputs after."""
        found = []
        for j in range(x.shape[1]):
            found.append(self.site_raw(self.units(a), a, first + j, context))
            a = self.reveal(a, x[:, j], first + j)
        return found, a


def _blocks(begins: Sequence[int], sites: Sequence[int]) -> Tensor:
    """Where the parts of some sites lie, one site's after the other's."""
    return torch.cat([torch.arange(begins[site], begins[site + 1]) for site in sites])


def _by_site(site: Tensor) -> list[tuple[int, Tensor]]:
    """The rows of each site that some rows have."""
    return [(j, (site == j).nonzero()[:, 0]) for j in site.unique().tolist()]
