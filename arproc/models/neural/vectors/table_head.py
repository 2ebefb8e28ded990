"""The head of a table: columns of several kinds, each with its own inputs and outputs."""

from __future__ import annotations

import itertools
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
from arproc.distributions import Categorical, DiscretisedLogisticMixture, MaybeMissing, Varied
from arproc.models.neural.vectors.heads import Head, MixtureHead
from arproc.spaces import Space

__all__ = ["TableHead"]

_REAL, _COUNT, _INTEGER, _CATEGORY = range(4)
_CODES = {"real": _REAL, "count": _COUNT, "integer": _INTEGER, "categorical": _CATEGORY}
#: A scale far below a bin's width changes nothing but the gradients.
_LEAST_LOG_SCALE = -5.0


class TableHead(Head):
    """Columns of a table: real, counts, whole numbers and categories, any of them maybe missing.

    A real column has the density of `reals`. Counts and whole numbers are a mixture of discretised
    logistics (Salimans et al. 2017, eq. 2) without an upper end; of counts the first bin, 0, takes
    all below. A category has a logit each. Where entries may be missing, one more output is the
    log-odds of that.

    Entries enter the network standardised, or as one input a category, and where they may be
    missing with one more input that says so; a missing value's others are zero. Numbers are
    standardised by the training data's place and size, and logits are counted from the training
    data's frequencies, places from its quantiles, so that learning begins near the law of
    independent columns.

    The parameters of a site are the number of its kind, the log-odds of missing and those of its
    kind, padded to one width.

    Args:
        columns: the columns, in the order of generation.
        reals: the densities of real columns, a head for as many sites as there are columns.
        components: how many logistics are mixed in a column of whole numbers.
    """

    offset: Annotated[Tensor, Array("sites")]
    codes: Tensor
    maybe: Tensor
    known: Tensor
    used: Tensor
    place: Tensor

    def __init__(self, columns: Sequence[Column], reals: MixtureHead, components: int) -> None:
        super().__init__()
        self.reals, self.components = reals, components
        codes = [_CODES[column.space.kind] for column in columns]
        levels = [column.space.size or 0 for column in columns]
        numbers = {_REAL: reals.outputs, _COUNT: 3 * components, _INTEGER: 3 * components}
        own = [numbers.get(code, k) for code, k in zip(codes, levels, strict=True)]
        gone = [int(column.missing) for column in columns]
        self.inputs = [m + max(k, 1) for m, k in zip(gone, levels, strict=True)]
        self.sizes = [m + k for m, k in zip(gone, own, strict=True)]
        self.channels, self.outputs = 1 + max(*levels, 1), 1 + max(own)
        self.kinds, self.kind_of, self.gone = sorted(set(codes)), codes, gone
        #: Where each site's outputs begin among those of all.
        self.begins = [0, *itertools.accumulate(self.sizes)]
        self._buffer("codes", torch.tensor(codes))
        self._buffer("maybe", torch.tensor(gone) > 0)
        self._buffer("known", torch.arange(max(own)) < torch.tensor(levels)[:, None])
        self._buffer("used", _used(gone, [max(k, 1) for k in levels], self.channels))
        self._buffer("place", _places(gone, own, self.outputs))
        # in float64, as the data and the other parameters are
        self.register_buffer("offset", torch.zeros(self.begins[-1], dtype=torch.float64))

    def _buffer(self, name: str, value: Tensor) -> None:
        self.register_buffer(name, value, persistent=False)

    def problems(self, space: Space, layout: Layout | None) -> Iterator[str]:
        order = None if layout is None else layout.order
        own = tuple(self.arguments["columns"])
        yield from sentences(
            (not isinstance(space, Table) or space.ordered(order) != own,
             "the network's columns are not those of the table"),
        )  # fmt: skip

    # ---- what a network asks ------------------------------------------------------------------

    def widths(self, sites: int) -> tuple[list[int], list[int]]:
        return self.inputs, self.sizes

    def biases(self, sites: int) -> Tensor:
        width = math.log(1.0 if self.components < 3 else 0.5) + torch.zeros(self.components)
        whole = torch.cat([torch.zeros(2 * self.components), width])
        own = {_REAL: self.reals.bias(), _COUNT: whole, _INTEGER: whole}
        parts = []
        for code, maybe, size in zip(self.kind_of, self.gone, self.sizes, strict=True):
            parts += [torch.zeros(maybe), own.get(code, torch.zeros(size - maybe))]
        return torch.cat(parts)

    def learn(self, x: Tensor) -> None:
        x = x.double()
        for site, (code, begin, end) in enumerate(
            zip(self.kind_of, self.begins[:-1], self.begins[1:], strict=True)
        ):
            gone = torch.isnan(x[:, site])
            there = x[~gone, site]
            if self.gone[site]:
                odds = (gone.sum().double() + 0.5) / (len(there) + 0.5)
                self.offset[begin] = odds.log()
                begin += 1
            if code == _CATEGORY:
                counts = torch.bincount(there.long(), minlength=end - begin).double() + 0.5
                self.offset[begin:end] = (counts / counts.sum()).log()
            elif len(there):
                self.reals.learn_sites(there[:, None], slice(site, site + 1))
                if code != _REAL:
                    self._learn_whole(there, site, begin)

    def _learn_whole(self, x: Tensor, site: int, begin: int) -> None:
        """Let the logistics of a column of whole numbers begin at the data's own quantiles."""
        n = self.components
        if n > 1:
            shares = [(k + 0.5) / n for k in range(n)]
            found = quantiles(x[:, None], shares)[:, 0] - self.reals.shift[site]
            self.offset[begin + n : begin + 2 * n] = found / self.reals.size[site]

    def encode(self, x: Tensor, first: int | Tensor = 0) -> Tensor:
        sites = first
        if not isinstance(sites, Tensor):
            sites = torch.arange(sites, sites + x.shape[1], device=self.codes.device)
        codes, gone = self.codes[sites], torch.isnan(x)
        padded = x.new_zeros((*x.shape, self.channels))
        padded[..., 0] = gone
        number = (codes != _CATEGORY).nonzero()[:, 0]
        category = (codes == _CATEGORY).nonzero()[:, 0]
        filled = x.masked_fill(gone, 0.0)
        if len(number):
            z = self.reals.standardised(filled[:, number], sites[number])
            padded[:, number, 1] = z.masked_fill(gone[:, number], 0.0).to(padded)
        if len(category):
            # behind the ends of rows of unequal length stands rubbish, which no output sees
            symbols = filled[:, category].clamp(0, self.channels - 2).long()
            one_hot = F.one_hot(symbols, self.channels - 1)
            padded[:, category, 1:] = one_hot.masked_fill(gone[:, category, None], 0).to(padded)
        return padded[:, self.used[sites]].to(torch.get_default_dtype())

    def split(self, raw: Tensor, site: int | None = None) -> Tensor:
        place, begin, end = self.place, 0, self.begins[-1]
        if site is not None:
            begin, end = self.begins[site], self.begins[site + 1]
            place = torch.where(place[site] < 0, -1, place[site] - begin)
        shifted = raw.double() + self.offset[begin:end]
        return F.pad(shifted, (0, 1))[..., place]  # the last, 0, is where there is no output

    # ---- distributions ------------------------------------------------------------------------

    def finish(self, raw: Tensor, site: int | Tensor | None = None) -> Tensor:
        every = torch.arange(len(self.codes), device=self.codes.device)
        if isinstance(site, int):
            return self._finish(raw[..., None, :], every[site : site + 1])[..., 0, :]
        return self._finish(raw, every if site is None else site)

    def _finish(self, raw: Tensor, sites: Tensor) -> Tensor:
        """Parameters [..., sites, 1 + outputs] from raw ones [..., sites, outputs]."""
        codes = self.codes[sites]
        done = raw.new_ones((*raw.shape[:-1], 1 + raw.shape[-1]))
        done[..., 0] = codes.to(raw)
        done[..., 1] = raw[..., 0].masked_fill(~self.maybe[sites], -torch.inf)
        for code in codes.unique().tolist():
            chosen = (codes == code).nonzero()[:, 0]
            own, at = raw[..., chosen, 1:], sites[chosen]
            if code == _REAL:
                own = self.reals.finish(own[..., : self.reals.outputs], at)
            elif code == _CATEGORY:
                own = own.masked_fill(~self.known[at], -torch.inf)
            else:
                own = self._whole(own[..., : 3 * self.components], at)
            done[..., chosen, 2 : 2 + own.shape[-1]] = own
        return done

    def _whole(self, raw: Tensor, sites: Tensor) -> Tensor:
        """Logits, places and log-scales of discretised logistics, in the unit of the data."""
        shift, size = self.reals.shift[sites][:, None], self.reals.size[sites][:, None]
        logits, loc, width = raw.unflatten(-1, (3, self.components)).unbind(-2)
        log_scale = (width + size.log()).clamp(min=_LEAST_LOG_SCALE)
        return torch.cat([logits, shift + size * loc, log_scale], dim=-1)

    def distribution(self, parameters: Tensor) -> Distribution:
        which = parameters[..., 0].long()
        base: Distribution
        if len(self.kinds) == 1:
            base = self._of_kind(self.kinds[0], parameters[..., 2:])
        else:
            # other kinds' parameters would be out of a kind's bounds
            parts = [
                self._of_kind(kind, parameters[..., 2:].where((which == kind)[..., None], 1.0))
                for kind in self.kinds
            ]
            base = Varied(parts, torch.bucketize(which, torch.tensor(self.kinds).to(which)))
        return MaybeMissing(base, parameters[..., 1]) if any(self.gone) else base

    def log_prob(self, parameters: Tensor, x: Tensor) -> Tensor:
        """See `Head`; for whole rows, x [N, sites], kind by kind: what training asks for."""
        gone = torch.isnan(x)
        filled, logit = x.masked_fill(gone, 0.0), parameters[..., 1]
        found = torch.empty_like(filled)
        for kind in self.kinds:
            chosen = (self.codes == kind).nonzero()[:, 0]
            own, values = parameters[..., chosen, 2:], filled[..., chosen]
            if kind == _REAL:
                found[..., chosen] = self.reals.log_prob(own[..., : self.reals.outputs], values)
            else:
                found[..., chosen] = self._of_kind(kind, own).log_prob(values)
        if not any(self.gone):
            return found
        return torch.where(gone, F.logsigmoid(logit), found + F.logsigmoid(-logit))

    def _of_kind(self, kind: int, own: Tensor) -> Distribution:
        if kind == _REAL:
            return self.reals.distribution(own[..., : self.reals.outputs])
        if kind == _CATEGORY:
            return Categorical(own[..., : self.channels - 1])
        logits, loc, log_scale = (
            own[..., : 3 * self.components].unflatten(-1, (3, self.components)).unbind(-2)
        )
        lowest = 0.0 if kind == _COUNT else -math.inf
        return DiscretisedLogisticMixture(logits, loc, log_scale, math.inf, lowest)


def _used(gone: Sequence[int], values: Sequence[int], channels: int) -> Tensor:
    """Which of a site's padded channels are inputs, bool [sites, channels]: first of missing."""
    channel = torch.arange(channels)
    missing = torch.tensor(gone)[:, None] > 0
    return (channel <= torch.tensor(values)[:, None]) & ((channel > 0) | missing)


def _places(gone: Sequence[int], own: Sequence[int], outputs: int) -> Tensor:
    """Which output each padded one of a site is, [sites, outputs]; -1 where it is none."""
    place = torch.full((len(own), outputs), -1)
    begin = 0
    for site, (missing, size) in enumerate(zip(gone, own, strict=True)):
        first = 1 - missing
        place[site, first : 1 + size] = torch.arange(begin, begin + missing + size)
        begin += missing + size
    return place
