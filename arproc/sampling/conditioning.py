"""Conditioning on anything: what a process draws given evidence, exactly or by particles."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from arproc.contract.conditioned import ConditionedLaw
from arproc.contract.holder import Holder, require_chain
from arproc.contract.law import ChainLaw
from arproc.contract.randomness import Uniforms, resolve_seed
from arproc.data.form import Form, restore
from arproc.distributions import component_marginals, mean, quantile
from arproc.errors import (
    DataError,
    ParameterError,
    UnsupportedError,
    check_array,
    check_choice,
    check_count,
    warn,
)
from arproc.sampling.evidence import Both, Evidence, Setting, Terms, joined, parts_of
from arproc.sampling.facts import as_evidence
from arproc.sampling.given import given
from arproc.sampling.guides import Guide
from arproc.sampling.normal import BridgeLaw, bridge
from arproc.sampling.particles import Cloud, Filter
from arproc.sampling.weights import estimated

__all__ = ["Conditioned", "condition"]

#: In how many sets the particles are, whose estimates tell the error.
_SETS = 10
#: Fewer draws than this carry the weight, or the error is larger: there is a warning.
_FEW, _WIDE = 10, 0.25


@dataclass(frozen=True, eq=False, repr=False)
class Conditioned:
    """Weighted draws of a process given evidence, what `condition` returns.

    Attributes:
        x: the draws, in the form that `sample` gives: what comes after the prefix.
        log_weights: the logarithms of their weights, which sum to one, nats, float64 [n].
        log_evidence: the log-probability (of real numbers the log-density) of the evidence, nats;
            exact, or the logarithm of an unbiased estimate.
        log_evidence_error: the standard error of that logarithm, 0 where it is exact.
        effective_sample_size: how many independent draws the weighted ones are worth, counted at
            their first element.
        method: "exact" or "particles".
        process: the law given the evidence as a process, with a likelihood and draws of its own,
            where that is exact and of symbols; else None.
    """

    x: Any
    log_weights: np.ndarray
    log_evidence: float
    log_evidence_error: float
    effective_sample_size: float
    method: str
    process: Any = None
    _law: ChainLaw | None = field(default=None)

    @property
    def weights(self) -> np.ndarray:
        """The draws' weights, which sum to one, [n]."""
        return np.exp(self.log_weights)

    @property
    def mean(self) -> Any:
        """The mean of each element, [T] or [T, d]; in closed form for a normal law."""
        if isinstance(self._law, BridgeLaw):
            return mean(self._law.marginals()).numpy()
        return self.expectation()

    def expectation(self, function: Callable[[Any], Any] | None = None) -> Any:
        """The weighted mean of a function of the draws.

        Args:
            function: gets all draws and returns an array [n, ...]; None is the draws themselves.
        """
        values = self.x if function is None else function(self.x)
        array = check_array("the value of function" if function else "x", values, DataError)
        if array.shape[:1] != self.log_weights.shape:
            raise DataError(
                f"function must return an array with a row for each of {len(self.log_weights)} "
                f"draws; got shape {list(array.shape)}."
            )
        return np.tensordot(self.weights, array, axes=1)

    def quantiles(self, levels: Any) -> np.ndarray:
        """Quantiles of each element, [L, T] or [L, T, d]; in closed form for a normal law.

        Args:
            levels: each in (0, 1).
        """
        wanted = np.atleast_1d(check_array("levels", levels))
        if wanted.ndim != 1 or not ((wanted > 0) & (wanted < 1)).all():
            raise ParameterError(f"levels must lie in (0, 1); got {levels!r}.")
        if isinstance(self._law, BridgeLaw):
            each = component_marginals(self._law.marginals())
            shape = each.batch_shape
            found = [quantile(each, torch.full(shape, q, dtype=torch.float64)) for q in wanted]
            return torch.stack(found).numpy()
        x = check_array("x", self.x, DataError)
        order = x.argsort(axis=0)
        shares = np.cumsum(self.weights[order], axis=0)
        at = (shares[None] < wanted.reshape(-1, *[1] * x.ndim)).sum(axis=1, keepdims=True)
        ranked = np.take_along_axis(x, order, axis=0)
        return np.take_along_axis(ranked[None], at.clip(max=len(x) - 1), axis=1)[:, 0]

    def resample(self, n: int, seed: int | torch.Generator | None = None) -> Any:
        """So many draws of equal weight, chosen from these by their weights.

        Args:
            n: how many; beyond the effective sample size they repeat one another.
            seed: an int or a `torch.Generator`.
        """
        n = check_count("n", n)
        u = Uniforms(seed, "resample").block([0], 0, n)[0].numpy()
        at = np.searchsorted(np.cumsum(self.weights), u).clip(max=len(self.weights) - 1)
        return [self.x[i] for i in at] if isinstance(self.x, list) else self.x[at]

    def __repr__(self) -> str:
        error = f" +- {self.log_evidence_error:.2g}" if self.log_evidence_error else ""
        return (
            f"Conditioned({len(self.log_weights)} draws, method={self.method!r}, log_evidence="
            f"{self.log_evidence:.6g}{error}, effective_sample_size="
            f"{self.effective_sample_size:.0f})"
        )


def condition(
    process: Holder,
    evidence: Any,
    n: int = 1000,
    length: int | None = None,
    *,
    prefix: Any = None,
    method: str = "auto",
    proposal: Holder | None = None,
    seed: int | torch.Generator | None = None,
    context: Any = None,
    offset: Any = None,
) -> Conditioned:
    """What a process draws given any evidence about the whole sequence.

    Exact, with independent draws, where there is a closed form: values and (noisy) sums under
    linear-Gaussian laws, such as `AR`, `VAR` and `ARIMA`, and all kinds of evidence but functions
    under laws of finitely many states, such as `NGram`. Where a part of the evidence has one, that
    part is exact. For all else the draws are particles (sequential Monte Carlo), weighed by the
    evidence as they are drawn and resampled where few carry the weight.

    Args:
        process: a fitted process.
        evidence: `Known`, `Sum`, `Barrier`, `EndsAt`, `Likelihood` or a `Constraint` (`Regex`,
            `Grammar` ...), joined by `&`; a dict of values by position, or an array with NaN
            where nothing is known, is `Known`, and a function is `Likelihood`. Positions are
            counted from 0 after the prefix.
        n: how many weighted draws; of particles a multiple of 10.
        length: how many elements come at most; needed where a process is an endless stream, but
            not where it has a fixed size or ends by itself.
        prefix: what comes before, one sequence.
        method: "auto" is exact where it can be; "exact" is an error elsewhere; "particles" takes
            particles in any case.
        proposal: a process over the same elements, of what comes after the prefix, that particles
            are drawn from instead, each weighed by what the process says of it. A fifth of them
            is drawn from the process all the same, so that no weight is above 5 and a bad
            proposal costs little. One of finitely many states (an n-gram model) is drawn from
            given what it can be given of the evidence: its messages are a twist.
        seed: an int or a `torch.Generator`.
        context: of the prefix and of what comes, for processes that take one.
        offset: at which step the prefix (or the first element) begins, as for `log_prob`.

    Returns:
        The draws, their weights and the evidence's probability, see `Conditioned`. A warning says
        where fewer than 10 draws carry the weight, or the standard error is above 0.25.

    Raises:
        DataError: the evidence has probability zero, or all particles came to be impossible.
        UnsupportedError: evidence of this kind does not fit the process; or method="exact", and
            there is no closed form.

    Example:
        >>> import arproc
        >>> walk = arproc.AR.from_parameters([0.9])
        >>> both = arproc.sampling.Known({4: 3.0}) & arproc.sampling.Barrier(low=-0.5)
        >>> found = condition(walk, both, length=5, prefix=[0.0], seed=0)
        >>> found.method, bool((found.x[:, 4] == 3.0).all() and (found.x >= -0.5).all())
        ('particles', True)
    """
    law = require_chain(process, "condition")
    n = check_count("n", n, minimum=1)
    check_choice("method", method, ("auto", "exact", "particles"))
    given = as_evidence(evidence)
    steps = _steps(law, length)
    own = _alone(process, prefix, steps, context, offset)
    job = _Job(own, given, steps, n, resolve_seed(seed))
    with torch.no_grad():
        return job.run(method, proposal)


def _steps(law: ChainLaw, length: Any) -> int | None:
    """How many elements come at most; None where sequences end by themselves."""
    if length is not None:
        length = check_count("length", length, minimum=1)
    fixed = law.space.length
    if fixed is not None:
        if length is not None:
            raise ParameterError(
                f"length is {length}, and sequences of this process have {fixed} elements; leave "
                "it out."
            )
        return fixed
    if length is None and not law.space.terminates:
        raise ParameterError(
            "length is needed: this process is a stream without an end. Pass length=, the number "
            "of elements to draw."
        )
    return length


def _alone(process: Holder, prefix: Any, steps: int | None, context: Any, offset: Any) -> Holder:
    """The process of what comes, which has neither prefix nor context of its own."""
    if prefix is not None:
        return process.condition(prefix, context=context, offset=offset)
    law = process.law_
    if law.n_given:
        raise DataError(
            f"condition needs prefix= with at least the first {law.n_given} values: this law "
            "begins after them."
        )
    prepared = process.read_context(context, 1, steps or 0, offset)
    if prepared is None:
        return process
    nothing = torch.zeros((0, *law.space.event_shape), dtype=law.space.dtype)
    return process.derived(ConditionedLaw(law, nothing, prepared))


class _Job:
    """One process, what is known of its sequences, and how many of these are drawn."""

    def __init__(
        self, process: Holder, evidence: Evidence, steps: int | None, n: int, seed: int
    ) -> None:
        self.process, self.n, self.seed = process, n, seed
        law = process.law_
        self.steps = steps if law.space.length is None else law.space.length
        self.setting = Setting(law, self.steps, self._shown)
        self.parts = parts_of(evidence)
        self.terms = tuple(part.bound(self.setting) for part in self.parts)

    def run(self, method: str, proposal: Holder | None) -> Conditioned:
        """Exactly as far as that goes, and by particles from there on."""
        guide = None if proposal is None else self._guide(proposal)
        law, rest, log_evidence = self.setting.law, self.terms, 0.0
        if method != "particles" and guide is None:
            law, rest, log_evidence = self._exact_part()
        if not rest:
            return self._exact(law, log_evidence)
        if method == "exact":
            raise UnsupportedError(
                f"there is no closed form of {self.setting.law!r} given all of this evidence. "
                "Linear-Gaussian laws have one for known values and sums, laws of finitely many "
                'states (n-grams) for all but functions; method="auto" takes particles.'
            )
        return self._by_particles(law, Both(rest), guide, log_evidence)

    def _exact_part(self) -> tuple[ChainLaw, tuple[Terms, ...], float]:
        """The law given what has a closed form; what is left; the log-probability of the first."""
        law, steps = self.setting.law, self.steps
        pairs = list(zip(self.parts, self.terms, strict=True))
        linear = [steps is not None and term.linear(steps) is not None for term in self.terms]
        if any(linear):
            told = tuple(term for term, is_so in zip(self.terms, linear, strict=True) if is_so)
            found = bridge(self.setting, told, law.fresh(1, None))
            if found is not None:
                rest = tuple(t for t, is_so in zip(self.terms, linear, strict=True) if not is_so)
                return found, rest, found.log_evidence
        finite = [part for part, term in pairs if term.finite]
        known = given(law, joined(finite), steps) if finite else None
        if known is None:
            return law, self.terms, 0.0
        under, log_evidence = known
        if not log_evidence > -math.inf:
            raise DataError(
                "evidence has probability zero under this model: no sequence fits all of it."
            )
        return under, tuple(t for _, t in pairs if not t.finite), log_evidence

    def _guide(self, proposal: Holder) -> ChainLaw:
        """The law of the proposal, checked."""
        law, own = require_chain(proposal, "proposal"), self.setting.law
        if law.space != own.space or law.layout != own.layout or law.n_given:
            raise ParameterError(
                "proposal must be a process of the same elements, which begins where the draws do "
                f"(after the prefix); it has {law.space.describe()} elements, the process "
                f"{own.space.describe()}."
            )
        return law

    def _led(self, guide: ChainLaw) -> Guide:
        """The proposal at the start; given the evidence, where it can be."""
        holder: Any = self.process.derived(guide)
        prepared = holder.read_context(None, _SETS, self.steps or 0)
        finite = [p for p, term in zip(self.parts, self.terms, strict=True) if term.finite]
        known = given(guide, joined(finite), self.steps) if finite else None
        if known is None or known[1] == -math.inf:
            return Guide(guide.fresh(_SETS, prepared))
        return Guide(known[0].fresh(_SETS, prepared), foresees=True)

    def _exact(self, law: ChainLaw, log_evidence: float) -> Conditioned:
        """Independent draws of a law."""
        cloud = self._filtered(law, Terms(), 1, None)
        weights = np.full(self.n, -math.log(self.n))
        process = None if isinstance(law, BridgeLaw) else self.process.derived(law)
        return Conditioned(
            self._given(cloud), weights, log_evidence, 0.0, float(self.n), "exact", process, law
        )

    def _filtered(self, law: ChainLaw, terms: Terms, sets: int, guide: Any) -> Cloud:
        return Filter(
            law.fresh(sets, None), terms, self.steps, self.n // sets, Uniforms(self.seed),
            Uniforms(self.seed, "resample"), guide=guide,
        ).run()  # fmt: skip

    def _by_particles(
        self, law: ChainLaw, terms: Terms, guide: ChainLaw | None, log_evidence: float
    ) -> Conditioned:
        if self.n % _SETS or self.n < 2 * _SETS:
            raise ParameterError(
                f"n is {self.n}; expected a multiple of {_SETS} and at least {2 * _SETS}, for the "
                f"particles come in {_SETS} sets, whose estimates tell the error."
            )
        cloud = self._filtered(law, terms, _SETS, None if guide is None else self._led(guide))
        if bool((cloud.died >= 0).all()):
            raise DataError(
                f"evidence is impossible under this model, or after what its {self.n} particles "
                f"drew: none fits what is known after element {int(cloud.died.max())}. Take more "
                "(n=), a proposal, or a twist."
            )
        found = estimated(cloud.log_weights, cloud.log_evidence, cloud.lineage)
        if found.size < _FEW or found.error > _WIDE:
            warn(
                f"the weight came to rest on {found.size:.1f} of {self.n} particles, and the "
                f"{_SETS} independent sets of these tell the evidence's log-probability to "
                f"{found.error:.2g} nats: the draws are rough and alike, and the error may be "
                "larger than it seems. Take more (n=), a proposal, or a twist.",
                UserWarning,
            )
        return Conditioned(
            self._given(cloud), found.log_weights.flatten().numpy(),
            log_evidence + found.log_evidence, found.error, found.size, "particles",
        )  # fmt: skip

    # ---- forms -----------------------------------------------------------------------------

    def _shown(self, x: Tensor) -> Any:
        """Elements [N, t, *event] as `sample` gives them."""
        return self._restored(x, torch.full((len(x),), x.shape[1]))

    def _given(self, cloud: Cloud) -> Any:
        lengths = cloud.lengths.flatten()
        return self._restored(cloud.x.flatten(0, 1)[:, : int(lengths.max())], lengths)

    def _restored(self, x: Tensor, lengths: Tensor) -> Any:
        law = self.setting.law
        kind = "tensor" if self.process.fit_.form == "tensor" else "numpy"
        return restore(x, lengths, law.space, Form(kind, device=x.device), law.layout)
