"""The network of NADE: hidden units whose inputs are summed up site by site."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from arproc.models.neural.given import given_by
from arproc.models.neural.vectors.agnostic import AgnosticNetwork
from arproc.models.neural.vectors.heads import Head
from arproc.models.neural.vectors.nade_recurrence import Recurrence

__all__ = ["NADENetwork"]

#: How many hidden units are held at once while whole vectors are scored: about what caches hold.
_CHUNK = 2**19


class NADENetwork(AgnosticNetwork):
    r"""All conditionals of a vector at the cost of one (Larochelle and Murray 2011).

    The input of the first hidden layer before site d is :math:`a_d = c + \sum_{j<d} W_j e(x_j)`,
    so :math:`a_{d+1} = a_d + W_d e(x_d)` costs H additions, and so does the output
    :math:`V_d f(\rho_d a_d) + b_d`: in all O(D H). The scales :math:`\rho_d` are RNADE's (Uria,
    Murray and Larochelle 2013): sums of many terms are large, and each site may
    shrink them. Only sigmoids have them; before a rectifier they would say what V says. Further
    hidden layers (Uria, Murray and Larochelle 2014) are shared by all sites.

    With `masks` the network also sees which sites are known, :math:`a += M_j` for each, and can
    so tell a zero from a value that is not known; it then serves every order.

    Args:
        sites: how many sites there are.
        head: how a site's value enters the network, and what its outputs say of it.
        hidden: sizes of the hidden layers, at least one.
        activation: "relu" or "sigmoid".
        masks: whether the network sees which sites are known.
        context: how many numbers each vector is conditioned on; they reach the first hidden
            layer and the outputs.
        driven: whether these are another network's units, rather than a user's context.

    Example:
        >>> from arproc.models.neural.vectors.heads import BernoulliHead
        >>> network = NADENetwork(3, BernoulliHead(), (4,))
        >>> network(torch.tensor([[0.0, 1.0, 1.0]])).shape
        torch.Size([1, 3, 1])
    """

    def __init__(
        self,
        sites: int,
        head: Head,
        hidden: Sequence[int],
        *,
        activation: str = "relu",
        masks: bool = False,
        context: int = 0,
        driven: bool = False,
    ) -> None:
        super().__init__()
        self.sites, self.values, self.activation = sites, head, activation
        self.knows_orders = self.takes_any_order = masks
        first, last, channels, outputs = hidden[0], hidden[-1], head.channels, head.outputs
        # a sum over about half of the sites has size one
        width = (2.0 / max(sites, 1)) ** 0.5
        self.weight = nn.Parameter(torch.randn(sites, channels, first) * width)
        self.mask = nn.Parameter(torch.randn(sites, first) * width) if masks else None
        self.bias = nn.Parameter(torch.zeros(first))
        self.scale = nn.Parameter(torch.ones(sites)) if activation == "sigmoid" else None
        self.layers = nn.ModuleList(
            nn.Linear(before, after) for before, after in itertools.pairwise(hidden)
        )
        self.out = nn.Parameter(torch.zeros(sites, outputs, last))
        start = head.bias()
        start = torch.zeros(outputs) if start is None else start
        self.out_bias = nn.Parameter(start.repeat(sites, 1))
        sizes = [first, sites * outputs] if context else []
        self.given = nn.ModuleList(given_by(context, size, driven) for size in sizes)

    def hidden_weights(self) -> list[nn.Parameter]:
        """The matrices between hidden layers, which Muon trains."""
        return [layer.weight for layer in self.layers]  # type: ignore[misc]

    # ---- other orders -------------------------------------------------------------------------

    def reordered(self, order: Sequence[int]) -> dict[str, Tensor]:
        # the scales stay in their places, since they belong to the number of known sites
        index = list(order)
        tensors = dict(self.named_parameters()) | dict(self.named_buffers())
        for name in ("weight", "mask", "out", "out_bias"):
            if name in tensors:
                tensors[name] = tensors[name][index]
        if self.given:
            rows = tensors["given.1.weight"].unflatten(0, (self.sites, -1))[index]
            tensors["given.1.weight"] = rows.flatten(0, 1)
        return self.reordered_values(tensors, index)

    # ---- what is known ------------------------------------------------------------------------

    def begin(self, n: int, context: Tensor | None = None) -> Tensor:
        base = self.bias.expand(n, -1)
        return base if context is None else base + self.given[0](context)

    def reveal(self, a: Tensor, x: Tensor, site: int | Tensor) -> Tensor:
        place = site[:, None] if isinstance(site, Tensor) else site
        encoded = self.values.encode(x[:, None], place)
        if isinstance(site, Tensor):
            added = torch.bmm(encoded[:, None], self.weight[site])[:, 0]
        else:
            added = encoded @ self.weight[site]
        return a + added if self.mask is None else a + added + self.mask[site]

    def known(self, x: Tensor, seen: Tensor, context: Tensor | None = None) -> Tensor:
        encoded = self.values.encode(x).unflatten(1, (self.sites, -1)) * seen[..., None]
        a = self.begin(len(x), context) + encoded.flatten(1) @ self.weight.flatten(0, 1)
        return a if self.mask is None else a + seen.to(a.dtype) @ self.mask

    # ---- what follows from it -----------------------------------------------------------------

    def units(self, a: Tensor, scale: Tensor | None) -> Tensor:
        """The last hidden layer from the inputs a [..., H] of the first."""
        units = self._activate(a if scale is None else a * scale)
        for layer in self.layers:
            units = self._activate(layer(units))
        return units

    def _scale(self, count: int | Tensor) -> Tensor | None:
        """The scales [..., 1] where so many sites are known."""
        return None if self.scale is None else self.scale[count][..., None]

    def _activate(self, x: Tensor) -> Tensor:
        return F.relu(x) if self.activation == "relu" else torch.sigmoid(x)

    def offsets(self, context: Tensor | None) -> Tensor | None:
        """What a context adds to the outputs, [N, sites, outputs]."""
        if context is None:
            return None
        return self.given[1](context).unflatten(-1, self.out_bias.shape)

    def at(
        self,
        a: Tensor,
        site: int | Tensor,
        context: Tensor | None = None,
        count: Tensor | None = None,
    ) -> Tensor:
        units = self.units(a, self._scale(site if count is None else count))
        offsets = self.offsets(context)
        if isinstance(site, Tensor):
            raw = torch.bmm(self.out[site], units[..., None])[..., 0] + self.out_bias[site]
            given = None if offsets is None else offsets[torch.arange(len(a)), site]
        else:
            raw = F.linear(units, self.out[site], self.out_bias[site])
            given = None if offsets is None else offsets[:, site]
        return self.values.finish(raw if given is None else raw + given, site)

    def every(self, a: Tensor, count: Tensor, context: Tensor | None = None) -> Tensor:
        units = self.units(a, self._scale(count.clamp(max=self.sites - 1)))
        raw = F.linear(units, self.out.flatten(0, 1), self.out_bias.flatten())
        raw = raw.unflatten(-1, self.out_bias.shape)
        offsets = self.offsets(context)
        return self.values.finish(raw if offsets is None else raw + offsets)

    # ---- whole vectors ------------------------------------------------------------------------

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        return self.along(self.begin(len(x), context), x, 0, context)[0]

    def along(
        self, a: Tensor, x: Tensor, first: int, context: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """See `RevealingNetwork`.

        By a compiled loop where it is one layer of rectifiers on a processor. Otherwise a few
        sites are taken at once: sums give their inputs [N, sites, H], and backward passes compute
        these anew. Either way the memory for hidden units does not grow with the sites.
        """
        n, count = x.shape
        if not count:
            return self._finish(a.new_zeros((n, 0, self.values.outputs)), first), a
        encoded = self.values.encode(x, first).unflatten(1, (count, self.values.channels))
        if self._compiles(a):
            own = (self.weight, self.mask, self.out, self.out_bias)
            raw, a = Recurrence.apply(a, encoded, first, *own)
        else:
            raw, a = self._chunks(a, encoded, first)
        offsets = self.offsets(context)
        if offsets is not None:
            raw = raw + offsets[:, first : first + count]
        return self._finish(raw, first), a

    def _compiles(self, a: Tensor) -> bool:
        """Whether the compiled loop knows this network: one layer of rectifiers."""
        one = not len(self.layers) and self.activation == "relu"
        return one and a.device.type == "cpu" and a.dtype == self.weight.dtype == torch.float32

    def _chunks(self, a: Tensor, encoded: Tensor, first: int) -> tuple[Tensor, Tensor]:
        """Raw outputs [N, T, outputs] of the sites from `first` on, and the inputs after them.

        Args:
            a: the inputs [N, H] before them.
            encoded: their values [N, T, channels].
            first: the first site.
        """
        n, count, _ = encoded.shape
        step = max(1, _CHUNK // max(n * a.shape[1], 1))
        # split once: the gradients of many slices would each be as large as the whole
        sites = slice(first, first + count)
        own = {name: p[sites].split(step) for name, p in self._of_sites().items()}
        parts = []
        for k, block in enumerate(encoded.transpose(0, 1).split(step)):
            chunk = {name: pieces[k] for name, pieces in own.items()}
            if torch.is_grad_enabled():
                raw, a = checkpoint(self._chunk, a, block, use_reentrant=False, **chunk)
            else:
                raw, a = self._chunk(a, block, **chunk)
            parts.append(raw)
        return torch.cat(parts).transpose(0, 1), a

    def _of_sites(self) -> dict[str, Tensor]:
        """The parameters of which each site has its own."""
        names = ("weight", "out", "out_bias", "mask", "scale")
        return {name: p for name in names if (p := getattr(self, name)) is not None}

    def _chunk(
        self,
        a: Tensor,
        encoded: Tensor,
        *,
        weight: Tensor,
        out: Tensor,
        out_bias: Tensor,
        mask: Tensor | None = None,
        scale: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Raw outputs [S, N, outputs] of S sites, and the inputs [N, H] after them.

        Args:
            a: the inputs before them.
            encoded: their values [S, N, channels].
            weight: their part of the parameter of this name, as are all that follow.
            out: likewise.
            out_bias: likewise.
            mask: likewise.
            scale: likewise.
        """
        added = torch.bmm(encoded, weight)  # [S, N, H]
        if mask is not None:
            added = added + mask[:, None]
        # a sum at a time: torch's cumsum over a first axis takes twice as long
        *inputs, last = itertools.accumulate(added.unbind(0), initial=a)
        units = self.units(torch.stack(inputs), None if scale is None else scale[:, None, None])
        return torch.bmm(units, out.transpose(1, 2)) + out_bias[:, None], last

    def _finish(self, raw: Tensor, first: int) -> Tensor:
        """Finished parameters of the sites from `first` on, [N, T, outputs]."""
        if raw.shape[1] == self.sites:
            return self.values.finish(raw)
        sites = torch.arange(first, first + raw.shape[1], device=raw.device)
        return self.values.finish(raw, sites)
