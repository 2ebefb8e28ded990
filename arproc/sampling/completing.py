"""How half-known examples are completed: each in the way that what is known of it allows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from arproc.contract.law import ChainLaw
from arproc.contract.randomness import RowUniforms, Uniforms
from arproc.data.form import Layout
from arproc.errors import DataError, UnsupportedError, warn
from arproc.sampling.ancestral import draw
from arproc.sampling.facts import KnownTerms
from arproc.sampling.particles import Filter, score
from arproc.sampling.policies import PolicyLaw, Present
from arproc.sampling.weights import chosen

__all__ = ["Completion", "Job"]

#: Fewer particles than this carry the weight: there is a warning.
_FEW = 10
#: How many rows a state of particles has at most, of one example at least.
_ROWS = 2**14


class Completion(NamedTuple):
    """Completions and how they were made, what `complete(..., return_info=True)` returns.

    The fields but the first are arrays [N] for several examples, and single values for one.

    Attributes:
        x: the completions, as `complete` gives them.
        method: "exact", from the model's own law; "reordered", exact under the model's law in the
            order that has the known elements first; or "importance", from weighted particles.
        effective_sample_size: how many particles carried the weight where they were fewest; of
            exact draws, which are independent, n.
        log_prob_known: log p(known), nats: exact under the law drawn from, or the logarithm of an
            unbiased estimate of the probability.
    """

    x: Any
    method: Any
    effective_sample_size: Any
    log_prob_known: Any


class Found:
    """What is found of all examples, filled in group by group."""

    def __init__(self, n: int, draws: int, layout: Layout, dtype: Any) -> None:
        self.layout, self.dtype = layout, dtype
        self.sites = torch.zeros((n, draws, layout.length), dtype=torch.float64)
        self.method = np.full(n, "exact", dtype="<U10")
        self.size = np.full(n, float(draws))
        self.log_prob = np.zeros(n)

    def put(self, rows: Tensor, method: str, sites: Tensor, size: Any, log_prob: Tensor) -> None:
        """The completions [E, n, sites] of some examples."""
        self.sites[rows] = sites.detach().cpu().double()
        at = rows.numpy()
        self.method[at], self.log_prob[at] = method, log_prob.cpu().numpy()
        self.size[at] = size.cpu().numpy() if isinstance(size, Tensor) else size

    def given(self) -> Completion:
        n, draws, length = self.sites.shape
        whole = self.layout.from_sites(self.sites.reshape(-1, length)).numpy().astype(self.dtype)
        x = whole.reshape(n, draws, *self.layout.shape)
        return Completion(x, self.method, self.size, self.log_prob)

    def told(self, x: Any, single: bool) -> Completion:
        """How completions in the user's own form were made."""
        found = self.first() if single else self.given()
        return found._replace(x=x)

    def first(self) -> Completion:
        found = self.given()
        size, log_prob = float(self.size[0]), float(self.log_prob[0])
        return Completion(found.x[0], str(self.method[0]), size, log_prob)


class Job:
    """The examples [N, sites] to complete, float64 in the order of generation, and how often."""

    def __init__(
        self,
        law: ChainLaw,
        layout: Layout,
        sites: Tensor,
        seen: Tensor,
        context: Tensor | None,
        n: int,
        n_particles: int,
        seed: int,
        present: bool = False,
    ) -> None:
        self.present = present
        self.law, self.layout, self.sites, self.seen = law, layout, sites, seen
        self.context, self.n, self.n_particles, self.seed = context, n, n_particles, seed
        self.found = Found(len(sites), n, layout, law.space.user_dtype)

    def run(self, method: str) -> Found:
        """Complete all examples, those with the same elements known together."""
        leading = self.seen.sum(1) == self.seen.long().cumprod(1).sum(1)
        exact = leading if method != "importance" else torch.zeros_like(leading)
        rest = ~exact
        if method != "importance" and self.law.takes_any_order:
            self._in_fitting_orders(rest)
            rest = torch.zeros_like(rest)
        elif method == "exact" and bool(rest.any()):
            self._refuse(int(rest.nonzero()[0]))
        self._by_pattern(exact, self._exact)
        self._by_pattern(rest, self._importance)
        return self.found

    def _by_pattern(self, which: Tensor, complete_rows: Callable[[Tensor], None]) -> None:
        """Call a method for each set of examples of which the same sites are known."""
        rows = which.nonzero()[:, 0]
        if not len(rows):
            return
        _, group = self.seen[rows].unique(dim=0, return_inverse=True)
        for k in range(int(group.max()) + 1):
            complete_rows(rows[group == k])

    def _given(self, rows: Tensor) -> Tensor | None:
        return None if self.context is None else self.context[rows.to(self.context.device)]

    def _exact(self, rows: Tensor) -> None:
        count = int(self.seen[rows[0]].sum())
        drawn, log_prob = _continued(
            self.law, self.sites[rows, :count], self._given(rows), self.n, self.seed, rows,
            self.present,
        )  # fmt: skip
        self.found.put(rows, "exact", drawn, float(self.n), log_prob)

    def _in_fitting_orders(self, which: Tensor) -> None:
        """Complete some examples each in an order that has what is known first."""
        rows, law = which.nonzero()[:, 0], self.law
        if not len(rows):
            return
        x = self.sites[rows].to(law.space.dtype).to(law.device)
        seen = self.seen[rows].to(law.device)
        found = law.given_seen(
            x, seen, self._given(rows), self.n, self.seed, rows, given_present=self.present
        )
        if found is None:
            self._by_pattern(which, self._reordered)
        else:
            self.found.put(rows, "reordered", found[0], float(self.n), found[1])

    def _reordered(self, rows: Tensor) -> None:
        known = self.seen[rows[0]]
        own = self.layout.order or tuple(range(self.layout.length))
        # the known sites first, and the others after them, each in the model's own order
        path = torch.argsort(~known, stable=True)
        member = self.law.in_order([own[site] for site in path.tolist()])
        drawn, log_prob = _continued(
            member, self.sites[rows][:, path][:, : int(known.sum())], self._given(rows),
            self.n, self.seed, rows, self.present,
        )  # fmt: skip
        self.found.put(rows, "reordered", drawn[..., path.argsort()], float(self.n), log_prob)

    def _importance(self, rows: Tensor) -> None:
        for some in rows.split(max(1, _ROWS // self.n_particles)):
            self._by_particles(some)
        size = torch.from_numpy(self.found.size)[rows]
        if float(size.min()) < _FEW:
            few = rows[int(size.argmin())]
            warn(
                f"the weight of example {int(few)} came to rest on {float(size.min()):.1f} of its "
                f"{self.n_particles} particles, so its completions are rough and alike; more "
                "n_particles, or a model of every order (NADE(order_agnostic=True)), completes "
                "it better.",
                UserWarning,
            )

    @torch.no_grad()
    def _by_particles(self, rows: Tensor) -> None:
        """Complete examples with the same elements known; a draw is a function of its number."""
        law, known = self.law, self.seen[rows[0]]
        inner = torch.arange(self.n_particles)
        uniforms = RowUniforms(
            Uniforms(self.seed), (rows[:, None] * self.n_particles + inner).flatten()
        )
        resampling = RowUniforms(Uniforms(self.seed, "resample"), rows)
        cloud = Filter(
            law.fresh(len(rows), self._given(rows)), KnownTerms(self.sites[rows], law, known),
            len(known), self.n_particles, uniforms, resampling, given_present=self.present,
        ).run()  # fmt: skip
        if bool((cloud.died >= 0).any()):
            raise DataError(
                f"what is known of example {int(rows[cloud.died >= 0][0])} has probability zero "
                f"under the model, or after what each of its {self.n_particles} particles drew; "
                "check data and known, or take more n_particles."
            )
        # some by their weights, in an order that says nothing
        every = torch.ones(len(rows), dtype=torch.bool)
        picked = chosen(cloud.log_weights, every, resampling, len(known), self.n)
        mixing = resampling.block(torch.arange(len(rows)), len(known) + 1, self.n)
        picked = picked.gather(1, mixing.argsort(1)).to(cloud.x.device)
        drawn = cloud.x.gather(1, picked[..., None].expand(-1, -1, len(known)))
        self.found.put(rows, "importance", drawn, cloud.least, cloud.log_evidence)

    def _refuse(self, row: int) -> None:
        gap = int((~self.seen[row]).nonzero()[0])
        late = gap + int(self.seen[row, gap:].nonzero()[0])
        places = [_place(self.layout, site) for site in (late, gap)]
        raise UnsupportedError(
            f"the element {places[0]} of example {row} is known, and {places[1]}, which the model "
            "generates before it, is not. A completion is exact only where the known elements "
            'come first in the order of generation; method="importance" takes particles, and a '
            "model of another order (MADE's ordering=) or of every order "
            "(NADE(order_agnostic=True)) completes it exactly."
        )


def _continued(
    law: ChainLaw,
    head: Tensor,
    context: Tensor | None,
    n: int,
    seed: int,
    numbers: Tensor,
    given_present: bool = False,
) -> tuple[Tensor, Tensor]:
    """Whole examples [E, n, sites] that begin with head [E, K], and log p(head), nats [E].

    Args:
        law: the law.
        head: the first sites of each example.
        context: of each example, prepared.
        n: how many draws of each.
        seed: of the draws.
        numbers: of the examples; draw k of number i is that of row i * n + k.
        given_present: whether entries are drawn given that they are not missing.
    """
    head = head.to(law.space.dtype).to(law.device)
    count, length = head.shape[1], law.space.length or 0
    log_prob, state = score(law.fresh(len(head), context), head)
    whole = head.repeat_interleave(n, 0)
    if count < length:
        if given_present:
            drawn_from = PolicyLaw.under(law, Present())
            state = drawn_from.fresh(len(head), context).extend(head)[1]
        again = torch.arange(len(head)).repeat_interleave(n)
        rows = (numbers[:, None] * n + torch.arange(n)).flatten()
        state = state.select(again.to(head.device))
        uniforms = RowUniforms(Uniforms(seed), rows)
        drawn, _, _ = draw(state, uniforms, length - count, None, law.space)
        whole = torch.cat([whole, drawn], dim=1)
    return whole.reshape(len(head), n, length), log_prob


def _place(layout: Layout, site: int) -> tuple[int, ...]:
    """Where a site of the order of generation lies in the user's array."""
    flat = site if layout.order is None else layout.order[site]
    return tuple(int(i) for i in np.unravel_index(flat, layout.shape))
