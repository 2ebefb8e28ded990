"""The head of a table: columns of several kinds, each with its own inputs and outputs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.distributions import Distribution

from arproc.contract.checked import Array, sentences
from arproc.data.form import Layout
from arproc.data.robust import quantiles
from arproc.data.tables.space import Column, Table
from arproc.distributions import Categorical, MaybeMissing, Spiked, Varied, from_uniform
from arproc.models.neural.vectors.heads import Head, MixtureHead
from arproc.models.neural.vectors.table_columns import CATEGORY, REAL, WHOLE, Kind, Parts
from arproc.spaces import Space

__all__ = ["TableHead"]

#: A scale far below a bin's width changes nothing but the gradients.
_LEAST_LOG_SCALE = -5.0


class TableHead(Head):
    """Columns of a table: real, counts, whole numbers and categories, any of them maybe missing.

    A real column has the density of `reals`, cut to the column's ends where it has some. Counts
    and whole numbers are a mixture of discretised logistics (Salimans et al. 2017, eq. 2); the
    first bin of those with a lower end takes all below, and the last of those with an upper end
    all above. A category has a logit each. Atoms have a score each, beside 0 for all other values.
    Where entries may be missing, one more output is the log-odds of that.

    Entries enter the network standardised, or as one input a category, with one more input for
    each atom, and where they may be missing with one that says so; a missing value's others are
    zero. Numbers are standardised by the training data's place and size, and scores are counted
    from the training data's frequencies, places from its quantiles, so that learning begins near
    the law of independent columns.

    No column is padded to another where rows are scored or drawn. Finished parameters, from which
    conditionals of several columns at once are made, are: a site's number, the log-odds of
    missing, the scores of atoms and of the rest, and those of its kind, in one width for all.

    Args:
        columns: the columns, in the order of generation.
        reals: the densities of real columns, a head for as many sites as there are columns.
        components: how many logistics are mixed in a column of whole numbers.
    """

    offset: Annotated[Tensor, Array("blocks")]
    spikes: Tensor
    maybe: Tensor
    which: Tensor

    def __init__(self, columns: Sequence[Column], reals: MixtureHead, components: int) -> None:
        super().__init__()
        self.columns = tuple(columns)
        self.reals, self.components = reals, components
        self.parts = Parts(columns, reals.outputs, components)
        parts, most = self.parts, max(self.parts.atoms)
        self.channels, self.most = max(parts.inputs), most
        #: One site's finished parameters: number, missing, atoms and the rest, own.
        self.outputs = self._begin + max(parts.own)
        self.kinds: list[Kind] = list(dict.fromkeys(parts.kinds))
        spikes = [[*column.atoms, *[math.inf] * (most - len(column.atoms))] for column in columns]
        self._buffer(
            "spikes", torch.tensor(spikes, dtype=torch.float64).reshape(len(spikes), most)
        )
        self._buffer("maybe", torch.tensor(parts.gone) > 0)
        self._buffer("which", torch.tensor([self.kinds.index(kind) for kind in parts.kinds]))
        # in float64, as the data and the other parameters are
        self.register_buffer("offset", torch.zeros(parts.begins[-1], dtype=torch.float64))

    def _buffer(self, name: str, value: Tensor) -> None:
        self.register_buffer(name, value, persistent=False)

    def problems(self, space: Space, layout: Layout | None) -> Iterator[str]:
        order = None if layout is None else layout.order
        own = tuple(self.arguments["columns"])
        yield from sentences(
            (not isinstance(space, Table) or space.ordered(order) != own,
             "the network's columns are not those of the table"),
        )  # fmt: skip

    def in_order(self, order: Sequence[int]) -> TableHead:
        """The head of the same columns in another order, with what it has learnt."""
        sites, parts = list(order), self.parts
        floors = self.reals.floor[sites].tolist()
        reals = MixtureHead(len(sites), self.reals.kind, self.reals.components, floors)
        reals.load_state_dict({k: v[sites] for k, v in self.reals.state_dict().items()})
        other = TableHead(tuple(self.columns[site] for site in sites), reals, self.components)
        blocks = [self.offset[parts.begins[k] : parts.begins[k + 1]] for k in sites]
        other.offset.copy_(torch.cat(blocks))
        return other.to(self.offset.device)

    # ---- what a network asks ------------------------------------------------------------------

    def widths(self, sites: int) -> tuple[list[int], list[int]]:
        return self.parts.inputs, self.parts.sizes

    def biases(self, sites: int) -> Tensor:
        width = math.log(1.0 if self.components < 3 else 0.5) + torch.zeros(self.components)
        whole = torch.cat([torch.zeros(2 * self.components), width])
        own = {REAL: self.reals.bias(), WHOLE: whole}
        found = []
        for kind, size, k in zip(self.parts.kinds, self.parts.sizes, self.parts.own, strict=True):
            found += [torch.zeros(size - k), own.get(kind.family, torch.zeros(k))]
        return torch.cat(found)

    def learn(self, x: Tensor) -> None:
        x, parts = x.double(), self.parts
        for site, kind in enumerate(parts.kinds):
            gone = torch.isnan(x[:, site])
            there = x[~gone, site]
            if parts.gone[site]:
                odds = (gone.sum().double() + 0.5) / (len(there) + 0.5)
                self.offset[parts.begins[site]] = odds.log()
            begin, end = parts.owns[site], parts.begins[site + 1]
            others = self._learn_atoms(there, site)
            if kind.family == CATEGORY:
                counts = torch.bincount(there.long(), minlength=end - begin).double() + 0.5
                self.offset[begin:end] = (counts / counts.sum()).log()
            elif len(there):
                # whole numbers near atoms are what atoms are among; of densities they say nothing
                kept = others if kind.family == REAL and len(others) else there
                self.reals.learn_sites(kept[:, None], slice(site, site + 1))
                if kind.family == WHOLE:
                    self._learn_whole(kept, site, begin)

    def _learn_atoms(self, there: Tensor, site: int) -> Tensor:
        """Let the scores of a column's atoms begin at their frequencies; the other values."""
        count = self.parts.atoms[site]
        if not count:
            return there
        equal = there[:, None] == self.spikes[site, :count]
        others = there[~equal.any(1)]
        begin = self.parts.owns[site] - count
        rest = len(others) + 0.5
        self.offset[begin : begin + count] = ((equal.sum(0).double() + 0.5) / rest).log()
        return others

    def _learn_whole(self, x: Tensor, site: int, begin: int) -> None:
        """Let the logistics of a column of whole numbers begin at the data's own quantiles."""
        n = self.components
        if n > 1:
            shares = [(k + 0.5) / n for k in range(n)]
            found = quantiles(x[:, None], shares)[:, 0] - self.reals.shift[site]
            self.offset[begin + n : begin + 2 * n] = found / self.reals.size[site]

    def encode(self, x: Tensor, first: int | Tensor = 0) -> Tensor:
        if isinstance(first, Tensor):
            raise NotImplementedError("a table's columns are read one after another")
        parts, sites = self.parts, range(first, first + x.shape[1])
        start = parts.enters[first]
        width = parts.enters[first + x.shape[1]] - start
        entered = x.new_zeros((len(x), width), dtype=torch.get_default_dtype())
        gone = torch.isnan(x)
        filled = x.masked_fill(gone, 0.0)
        numbers = [j for j, site in enumerate(sites) if parts.kinds[site].family != CATEGORY]
        if numbers:
            chosen = [first + j for j in numbers]
            at = torch.tensor(chosen, device=x.device)
            z = self.reals.standardised(filled[:, numbers], at)
            z = z.masked_fill(gone[:, numbers], 0.0)
            entered[:, [parts.values[site] - start for site in chosen]] = z.to(entered)
        for j, site in enumerate(sites):
            begin, count = parts.values[site] - start, parts.atoms[site]
            if parts.gone[site]:
                entered[:, parts.enters[site] - start] = gone[:, j].to(entered)
            if count:
                equal = x[:, j, None] == self.spikes[site, :count]
                entered[:, begin - count : begin] = equal.to(entered)
            if parts.kinds[site].family == CATEGORY:
                # behind the ends of rows of unequal length stands rubbish, which no output sees
                symbol = begin + filled[:, j].clamp(0, parts.own[site] - 1).long()
                entered.scatter_(1, symbol[:, None], (~gone[:, j, None]).to(entered))
        return entered

    def split(self, raw: Tensor, site: int | None = None) -> Tensor:
        """Outputs with the offsets, float64: of all sites, flat still, or of one."""
        begin, end = 0, self.parts.begins[-1]
        if site is not None:
            begin, end = self.parts.begins[site], self.parts.begins[site + 1]
        return raw.double() + self.offset[begin:end]

    # ---- rows, each column in its own width ---------------------------------------------------

    def terms(self, raw: Tensor, x: Tensor) -> Tensor:
        shifted, gone = self.split(raw), torch.isnan(x)
        filled = x.masked_fill(gone, 0.0)
        found = torch.empty_like(filled, dtype=torch.float64)
        for kind, sites, spikes, own in self.parts.groups:
            at = sites.to(x.device)
            values = filled[:, at]
            finished = self._own(kind, shifted[:, own.to(x.device)], at)
            inside = self._log_prob(kind, finished, values)
            if spikes.shape[1]:
                inside = self._with_atoms(
                    kind, shifted[:, spikes.to(x.device)], at, values, inside
                )
            found[:, at] = inside
        if not any(self.parts.gone):
            return found
        logit = shifted[:, [self.parts.begins[j] for j, g in enumerate(self.parts.gone) if g]]
        maybe = self.maybe.nonzero()[:, 0]
        missing = torch.where(
            gone[:, maybe], F.logsigmoid(logit), found[:, maybe] + F.logsigmoid(-logit)
        )
        return found.index_copy(1, maybe, missing)

    def _with_atoms(
        self, kind: Kind, scores: Tensor, sites: Tensor, values: Tensor, inside: Tensor
    ) -> Tensor:
        """Log-probabilities where atoms stand beside the law of the others' [N, g]."""
        weights = torch.log_softmax(F.pad(scores, (0, 1)), dim=-1)
        equal = values[..., None] == self.spikes[sites, : scores.shape[-1]]
        there = equal.any(-1)
        spike = weights[..., :-1].masked_fill(~equal, 0.0).sum(-1)
        rest = inside + weights[..., -1]
        if kind.family == REAL:
            return torch.where(there, spike, rest)
        return torch.where(there, torch.logaddexp(spike, rest), rest)

    def _log_prob(self, kind: Kind, own: Tensor, values: Tensor) -> Tensor:
        if kind.family == REAL and math.isinf(kind.low) and math.isinf(kind.high):
            return self.reals.log_prob(own, values)
        return self._of_kind(kind, own).log_prob(values)

    def draw(self, raw: Tensor, site: int, u: Tensor, *, given_present: bool = False) -> Tensor:
        parameters = self.finish(self.split(raw, site), site)
        count, kind = self.parts.atoms[site], self.parts.kinds[site]
        law = self._of_kind(kind, parameters[..., self._begin :])
        if count:
            scores = F.pad(parameters[..., 2 : 2 + count], (0, 1))
            law = Spiked(law, self.spikes[site, :count].expand(len(u), -1), scores)
        if self.parts.gone[site] and not given_present:
            law = MaybeMissing(law, parameters[..., 1])
        return from_uniform(law, u).double()

    # ---- distributions ------------------------------------------------------------------------

    def finish(self, raw: Tensor, site: int | Tensor | None = None) -> Tensor:
        """Finished parameters: [..., sites, outputs] of all, or [..., width] of one site."""
        if isinstance(site, int):
            return self._finished(raw, site, self.parts.own[site])
        if site is None:
            return self._every(raw)
        sites = site.tolist()
        found, begin = [], 0
        for j in sites:
            end = begin + self.parts.sizes[j]
            found.append(self._finished(raw[..., begin:end], j, max(self.parts.own)))
            begin = end
        return torch.stack(found, dim=-2)

    def _every(self, raw: Tensor) -> Tensor:
        """Finished parameters [..., sites, outputs] of all sites, group by group."""
        sites, begin = len(self.columns), self._begin
        found = raw.new_full((*raw.shape[:-1], sites, self.outputs), -torch.inf)
        found[..., 0] = torch.arange(sites, device=raw.device).to(raw)
        maybe = [site for site, gone in enumerate(self.parts.gone) if gone]
        if maybe:
            found[..., maybe, 1] = raw[..., [self.parts.begins[site] for site in maybe]]
        if self.most:
            found[..., begin - 1] = 0.0
        for kind, chosen, spikes, own in self.parts.groups:
            at = chosen.to(raw.device)
            finished = self._own(kind, raw[..., own.to(raw.device)], at)
            found[..., at, begin : begin + own.shape[1]] = finished
            if spikes.shape[1]:
                found[..., at, 2 : 2 + spikes.shape[1]] = raw[..., spikes.to(raw.device)]
        return found

    def padded(self, finished: Tensor) -> Tensor:
        """One site's finished parameters in the width of all sites'."""
        return F.pad(finished, (0, self.outputs - finished.shape[-1]), value=-torch.inf)

    def _finished(self, raw: Tensor, site: int, width: int) -> Tensor:
        gone, atoms = self.parts.gone[site], self.parts.atoms[site]
        kind, size = self.parts.kinds[site], self.parts.own[site]
        missing = raw[..., :1] if gone else raw.new_full((*raw.shape[:-1], 1), -torch.inf)
        number = raw.new_full((*raw.shape[:-1], 1), float(site))
        at = torch.tensor([site], device=raw.device)
        own = self._own(kind, raw[..., gone + atoms :].unsqueeze(-2), at)[..., 0, :]
        parts = [number, missing]
        if self.most:
            scores = F.pad(raw[..., gone : gone + atoms], (0, self.most - atoms), value=-torch.inf)
            parts.append(F.pad(scores, (0, 1)))
        parts.append(F.pad(own, (0, width - size), value=-torch.inf))
        return torch.cat(parts, dim=-1)

    def _own(self, kind: Kind, raw: Tensor, sites: Tensor) -> Tensor:
        """Parameters of a kind [..., sites, K] from raw ones."""
        if kind.family == CATEGORY:
            return raw
        if kind.family == REAL:
            return self.reals.finish(raw, sites, (kind.low, kind.high))
        shift, size = self.reals.shift[sites][:, None], self.reals.size[sites][:, None]
        logits, loc, width = raw.unflatten(-1, (3, self.components)).unbind(-2)
        log_scale = (width + size.log()).clamp(min=_LEAST_LOG_SCALE)
        return torch.cat([logits, shift + size * loc, log_scale], dim=-1)

    def distribution(self, parameters: Tensor) -> Distribution:
        parameters = self.padded(parameters)
        site = parameters[..., 0].long()
        which, begin = self.which[site], self._begin
        scores, own = parameters[..., 2:begin], parameters[..., begin:]
        parts: list[Distribution] = []
        for number, kind in enumerate(self.kinds):
            # other kinds' parameters would be out of a kind's bounds
            mine = own if len(self.kinds) == 1 else own.where((which == number)[..., None], 1.0)
            part = self._of_kind(kind, mine)
            if self._has_atoms(kind):
                part = Spiked(part, self.spikes[site], scores)
            parts.append(part)
        base = parts[0] if len(parts) == 1 else Varied(parts, which)
        return MaybeMissing(base, parameters[..., 1]) if any(self.parts.gone) else base

    @property
    def _begin(self) -> int:
        """Where the parameters of a site's own kind begin."""
        return 2 + (self.most + 1 if self.most else 0)

    def _has_atoms(self, kind: Kind) -> bool:
        return any(
            count for other, count in zip(self.parts.kinds, self.parts.atoms, strict=True)
            if other == kind
        )  # fmt: skip

    def log_prob(self, parameters: Tensor, x: Tensor) -> Tensor:
        return self.distribution(parameters).log_prob(x)

    def _of_kind(self, kind: Kind, own: Tensor) -> Distribution:
        if kind.family == REAL:
            return kind.cut(self.reals.distribution(own[..., : self.reals.outputs]))
        if kind.family == CATEGORY:
            return Categorical(own)
        return kind.whole(own, self.components)
