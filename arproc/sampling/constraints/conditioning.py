"""Draws of a process given that they keep a constraint: exact, by rejection, or with particles."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor

from arproc.contract.holder import Holder, require_chain
from arproc.contract.law import ChainLaw
from arproc.contract.randomness import RowUniforms, Uniforms, derived_seed, resolve_seed
from arproc.data.form import Form, restore
from arproc.errors import DataError, ParameterError, UnsupportedError, check_choice, check_count
from arproc.sampling.ancestral import check_length, draw
from arproc.sampling.constraints.acceptor import DEAD, ENDED, Acceptor
from arproc.sampling.constraints.constraint import Constraint
from arproc.sampling.constraints.masking import kept
from arproc.sampling.constraints.terms import AcceptorTerms
from arproc.sampling.particles import Filter
from arproc.sampling.policies import PolicyLaw
from arproc.sampling.stopping import Watched
from arproc.sampling.weights import estimated, systematic

__all__ = ["Constrained", "constrained"]

#: Filters that run beside each other, so that the error of their mean is known.
_FILTERS = 10


class Constrained(NamedTuple):
    """Draws that keep a constraint, and how probable that is under the process.

    Attributes:
        x: the draws, as `sample` gives them.
        method: "backward" and "rejection", which are exact, or "particles".
        log_evidence: log of the probability that the process keeps the constraint by itself, nats:
            exact with "backward", of an unbiased estimate otherwise.
        evidence_error: the standard error of that probability as a share of it; 0 where exact.
        effective_sample_size: how many independent draws these are worth: n where they are exact.
    """

    x: Any
    method: str
    log_evidence: float
    evidence_error: float
    effective_sample_size: float


class _Found(NamedTuple):
    x: Tensor
    lengths: Tensor
    log_evidence: float
    evidence_error: float
    size: float


@torch.no_grad()
def constrained(
    process: Holder,
    constraint: Constraint,
    n: int = 1,
    length: int | None = None,
    *,
    method: str = "auto",
    seed: int | torch.Generator | None = None,
    most_attempts: int = 100_000,
    n_particles: int = 1000,
) -> Constrained:
    """Draw from the law of a process given that whole sequences keep a constraint.

    This is conditioning, not masking (see `Constrain`): the draws have the proportions that the
    process itself gives to the sequences that keep the constraint.

    Args:
        process: a process of symbols without a context.
        constraint: what is kept.
        n: how many draws.
        length: how many elements sequences have at most; of streams, which need it, exactly.
        method: "backward" is exact where process and constraint have finitely many states;
            "rejection" is exact for all, and draws until n draws keep the constraint; "particles"
            draws from the masked process, weighs by what the masks cost, and resamples: the draws
            approach the law as `n_particles` grows and are not independent. "auto" takes the
            first of these that can be done.
        seed: an int or a `torch.Generator`.
        most_attempts: with "rejection", how many draws are made at most.
        n_particles: with "particles", how many there are in all.

    Returns:
        A `Constrained`; with "rejection" `log_evidence` is that of (n - 1) / (attempts - 1), which
        is unbiased (Haldane 1945) and needs n >= 2: minus infinity comes of n = 1.

    Raises:
        ParameterError: a stream has no length, or the constraint can not be kept.
        DataError: too few of the attempts keep the constraint, or all particles were lost.

    Example:
        >>> import arproc
        >>> from math import exp
        >>> from arproc.sampling import Regex, constrained
        >>> text = arproc.NGram(2, "witten_bell", tokens="char").fit(["ab", "aab", "b", "abba"])
        >>> exact = constrained(text, Regex("a+b"), 3, seed=0)
        >>> exact.method, exact.x
        ('backward', ['ab', 'aab', 'aaab'])
        >>> tried = constrained(text, Regex("a+b"), 200, method="rejection", seed=0)
        >>> off = abs(exp(tried.log_evidence - exact.log_evidence) - 1)
        >>> bool(off < 4 * tried.evidence_error)
        True
    """
    law = require_chain(process, "constrained")
    if not isinstance(constraint, Constraint):
        raise ParameterError(f"constraint must be a Constraint; got {constraint!r}.")
    check_choice("method", method, ("auto", "backward", "rejection", "particles"))
    n = check_count("n", n, minimum=1)
    check_count("most_attempts", most_attempts, minimum=1)
    check_count("n_particles", n_particles, minimum=_FILTERS)
    if law.context is not None or law.n_given:
        raise UnsupportedError(
            "constrained is for processes without a context and without given first elements; "
            "condition on these first: model.condition(prefix, context=...)."
        )
    limit = check_length(law.space, length, torch.zeros(1, dtype=torch.int64))
    most = None if limit is None else int(limit)
    job = _Job(law, constraint.acceptor(law), n, most, resolve_seed(seed))
    if method in ("auto", "backward"):
        try:
            return _told(process, job.backward(constraint), "backward")
        except UnsupportedError:
            if method == "backward":
                raise
    if method in ("auto", "rejection"):
        tried = job.rejection(most_attempts, refuse=method == "rejection")
        if tried is not None:
            return _told(process, tried, "rejection")
    return _told(process, job.particles(n_particles), "particles")


def _told(process: Holder, found: _Found, method: str) -> Constrained:
    law = process.law_
    form = Form("tensor" if process.fit_.form == "tensor" else "numpy")
    x = restore(found.x, found.lengths, law.space, form, law.layout)
    return Constrained(x, method, *found[2:])


class _Job:
    """What is drawn: n sequences of a law that an acceptor accepts, of at most some length."""

    def __init__(
        self, law: ChainLaw, acceptor: Acceptor, n: int, length: int | None, seed: int
    ) -> None:
        self.law, self.acceptor, self.n, self.length, self.seed = law, acceptor, n, length, seed
        self.space = law.space

    def backward(self, constraint: Constraint) -> _Found:
        policy = kept(constraint, self.law, self.length)
        state = PolicyLaw.under(self.law, policy).fresh(self.n, None)
        x, lengths, _ = draw(state, Uniforms(self.seed), self.length, None, self.space)
        return _Found(x, lengths, policy.ahead().log_evidence, 0.0, float(self.n))

    # ---- rejection -------------------------------------------------------------------------

    def rejection(self, most: int, refuse: bool) -> _Found | None:
        """Draw each row anew until it keeps the constraint; None where that takes too long."""
        kept: list[Tensor | None] = [None] * self.n
        attempts, waiting, round_ = 0, torch.arange(self.n), 0
        # one step more, in which the end of those of the full length must come
        limit = None if self.length is None else self.length + int(self.space.terminates)
        while len(waiting):
            if attempts + len(waiting) > most:
                if refuse:
                    self._refuse(most, self.n - len(waiting))
                return None
            attempts += len(waiting)
            uniforms = RowUniforms(Uniforms(derived_seed(self.seed, round_)), waiting)
            dead = Watched(self.acceptor, lambda state: state is DEAD)
            start = self.law.fresh(len(waiting), None)
            x, lengths, complete = draw(start, uniforms, limit, dead, self.space)
            good = self._accepted(dead, complete)
            for i in good.nonzero()[:, 0].tolist():
                kept[int(waiting[i])] = x[i, : int(lengths[i])]
            waiting, round_ = waiting[~good], round_ + 1
        rows = [row for row in kept if row is not None]
        lengths = torch.tensor([len(row) for row in rows])
        x = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
        share = (self.n - 1) / (attempts - 1) if attempts > 1 else 1.0
        # of the negative binomial number of attempts
        error = math.sqrt(max(1 - self.n / attempts, 0.0) / self.n)
        log_share = math.log(share) if share else -math.inf
        return _Found(x, lengths, log_share, error, float(self.n))

    def _accepted(self, watched: Watched, complete: Tensor) -> Tensor:
        """Which rows kept the constraint to their end, or to their last element, bool [n]."""
        found = []
        for i, ended in enumerate(complete.tolist()):
            state = watched.states.get(i, self.acceptor.start)
            fine = state is not DEAD and state is not ENDED and self.acceptor.accepts(state)
            found.append(fine and (ended or not self.space.terminates))
        return torch.tensor(found)

    def _refuse(self, most: int, kept: int) -> None:
        raise DataError(
            f"of {most:,} attempts {kept} of the {self.n} draws kept {self.acceptor.name}. Allow "
            'more (most_attempts=), or take method="particles".'
        )

    # ---- particles -------------------------------------------------------------------------

    def particles(self, count: int) -> _Found:
        """Filters of masked draws, weighed by the masses that the masks leave."""
        # one step more, in which the end of those of the full length must come
        steps = None if self.length is None else self.length + int(self.space.terminates)
        terms = AcceptorTerms(self.acceptor, self.law, steps)
        resampling = Uniforms(self.seed, "resample")
        cloud = Filter(
            self.law.fresh(_FILTERS, None), terms, steps, max(count // _FILTERS, 1),
            Uniforms(self.seed), resampling,
        ).run()  # fmt: skip
        if bool((cloud.died >= 0).all()):
            raise DataError(
                f"all {cloud.lineage.numel():,} particles came to where {self.acceptor.name} can "
                "not be kept; take more n_particles."
            )
        found = estimated(cloud.log_weights, cloud.log_evidence, cloud.lineage)
        u = resampling.block([_FILTERS], cloud.x.shape[2], self.n + 1)
        rows = systematic(found.log_weights.reshape(1, -1), u[:, :1], self.n)[0]
        rows = rows[u[0, 1:].argsort()]  # in an order that says nothing
        x, lengths = cloud.x.flatten(0, 1)[rows], cloud.lengths.flatten()[rows]
        return _Found(x, lengths, found.log_evidence, found.error, found.size)
