"""Some sites of vectors, or columns of tables, given some others: the calls of a user."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from arproc.contract.randomness import resolve_seed
from arproc.contract.sequences import Sequences
from arproc.data.arrays import to_tensor, unmasked
from arproc.data.form import Form, Layout, restore
from arproc.data.frames import native
from arproc.data.intake import opened
from arproc.data.tables import Table, frames
from arproc.errors import DataError, UnsupportedError, check_count
from arproc.models.neural.base import NeuralProcess
from arproc.models.neural.vectors.nade_given import Gaps, draws, log_prob, read_gaps, read_given
from arproc.models.neural.vectors.networks import RevealingNetwork, VectorLaw
from arproc.spaces import check_values

__all__ = ["AnyGivenAny"]


class AnyGivenAny(NeuralProcess):
    """Any sites given any others, of models of vectors and tables that know every order."""

    law_: VectorLaw

    def _network_of(self, call: str) -> RevealingNetwork:
        """The network, which sees what is known."""
        self.law_.require_orders(call)
        network = self.law_.network
        if not isinstance(network, RevealingNetwork):
            raise UnsupportedError(
                f"{call} asks a network that sees which values are known; this "
                f"{type(self).__name__} of plain vectors is trained by masks. "
                "arproc.sampling.complete draws from it given any values, as does NADE("
                "order_agnostic=True)."
            )
        return network

    def _gaps(self, data: Any) -> Gaps:
        """Vectors in a call, of which some values may be missing."""
        law = self.law_
        if isinstance(law.space, Table) and not isinstance(data, Sequences):
            return self._rows(data, law.space, law.layout)
        names = self.fit_.labels.features
        return read_gaps(self.sequences, data, law.layout, law.space.measure == "mass", names)

    def _rows(self, data: Any, space: Table, layout: Layout) -> Gaps:
        """Rows of a table, of which some entries may be missing, and columns left out."""
        given = native(data)
        if frames.is_rows(given):
            rows = frames.read_some(given, space, "data")
            x, form = rows.x, Form("table", rows.single, (rows.rows,), space.names)
        else:
            x = to_tensor(unmasked(opened(given)), "data").detach().double()
            single = x.ndim == 1
            x = x[None] if single else x
            form = Form("tensor" if isinstance(given, Tensor) else "numpy", single)
            if x.ndim != 2 or x.shape[1] != layout.length:
                raise DataError(
                    f"data has shape {tuple(x.shape)}; expected rows [N, {layout.length}]."
                )
        sites, seen = layout.to_sites(x), layout.to_sites(~torch.isnan(x))
        order = torch.tensor(layout.order or range(layout.length)).expand_as(seen)
        check_values(sites[seen], space, "data", place=order[seen])
        filled = sites.masked_fill(~seen, 0.0)
        offsets = torch.arange(len(x) + 1) * layout.length
        return Gaps(Sequences(filled.flatten(), offsets, space, form=form), seen)

    def conditional_log_prob(self, data: Any, given: Any = None, *, context: Any = None) -> Any:
        """The log-probability of some values of each vector given some others, nats.

        Exact in the order that has the given values first and then the others, in the model's
        own order; values that are missing in `data` are integrated out. Without `given` it is the
        marginal log-probability of what is there.

        Args:
            data: vectors, in which NaN is missing; of discrete values -1 is as well.
            given: a mask, true where a value is given: of one vector, for all, or of each.
            context: what the vectors are conditioned on.

        Returns:
            A float for one vector, a float64 array [N] for several; a tensor for a tensor.

        Example:
            >>> import arproc, numpy as np
            >>> x = np.array([[0, 0, 1], [1, 1, 0]] * 20)
            >>> plan = arproc.Training(steps=200, lr=0.02)
            >>> model = arproc.NADE(8, order_agnostic=True, training=plan).fit(x)
            >>> last = np.array([False, False, True])
            >>> first = model.conditional_log_prob(np.array([1, -1, 0]), given=last)
            >>> round(float(np.exp(first)), 1)
            1.0
        """
        network, law = self._network_of("conditional_log_prob"), self.law_
        gaps = self._gaps(data)
        known = read_given(given, gaps, law.layout, law.space)
        form, prepared = gaps.sequences.form, self.read_context(context, gaps.sequences, 0)
        with torch.set_grad_enabled(torch.is_grad_enabled() and form.kind == "tensor"):
            x = gaps.sequences.padded()[0].to(law.device)
            return form.per_row(log_prob(network, x, known, gaps.seen & ~known, prepared))

    def impute(
        self,
        data: Any,
        n: int = 1,
        seed: int | torch.Generator | None = None,
        *,
        context: Any = None,
    ) -> Any:
        """Fill the missing values of vectors by draws given the values that are there.

        The draws of a vector depend on the seed, on its row and on their number alone.

        Args:
            data: vectors, in which NaN is missing; of discrete values -1 is as well.
            n: how many draws of each vector.
            seed: an int or a `torch.Generator`.
            context: what the vectors are conditioned on.

        Returns:
            The vectors n times, [n, N, ...] ([n, ...] for a single vector), those values filled;
            of a DataFrame one with an index of draw and row.
        """
        network, law = self._network_of("impute"), self.law_
        n = check_count("n", n, minimum=0)
        gaps = self._gaps(data)
        form, rows, layout = gaps.sequences.form, len(gaps.seen), law.layout
        prepared = self.read_context(context, gaps.sequences, 0)
        x = gaps.sequences.padded()[0].detach().to(law.device)
        with torch.no_grad():
            whole = draws(
                network, x, gaps.seen, n, resolve_seed(seed), prepared, given_present=True
            )
        if form.kind == "table" and isinstance(law.space, Table):
            rest = layout.from_sites(whole).unflatten(0, (n, rows))
            return frames.drawn(rest, law.space, form.indexes[0], form.single)
        lengths = torch.full((n * rows,), layout.length)
        kind = Form("tensor", device=form.device) if form.kind == "tensor" else Form()
        filled = restore(whole, lengths, law.space, kind, layout)
        if form.kind == "rows" and not form.single:
            return form.drawn(filled.reshape(n, rows, -1), layout.order)
        return filled if form.single else filled.reshape(n, rows, *layout.shape)
