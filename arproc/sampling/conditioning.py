"""Conditioning on anything: what a process draws given evidence, exactly or by particles."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from arproc.contract.conditioned import ConditionedLaw
from arproc.contract.holder import Holder, require_chain
from arproc.contract.law import ChainLaw
from arproc.contract.randomness import Uniforms, derived_seed, resolve_seed
from arproc.data.form import Form, restore
from arproc.errors import (
    DataError,
    ParameterError,
    UnsupportedError,
    check_choice,
    check_count,
    warn,
)
from arproc.sampling.across import across_orders, known_first, merged, other_order_pays
from arproc.sampling.conditioned import Conditioned
from arproc.sampling.evidence import Both, Evidence, Setting, Terms, joined, parts_of
from arproc.sampling.facts import KnownTerms, as_evidence
from arproc.sampling.given import given
from arproc.sampling.guides import Guide
from arproc.sampling.noise import FARTHEST
from arproc.sampling.normal import BridgeLaw, bridge
from arproc.sampling.particles import Cloud, Filter
from arproc.sampling.tempering import Plan, is_sharp, planned, tempered
from arproc.sampling.weights import estimated

__all__ = ["condition"]

#: In how many sets the particles are, whose estimates tell the error.
_SETS = 10
#: Fewer draws than this carry the weight, or the error is larger: there is a warning.
_FEW, _WIDE = 10, 0.25
_METHODS = ("auto", "exact", "particles", "tempered", "reordered")
#: How many draws a trial has, at least and at most.
_TRIAL = 200, 1000


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
    part is exact; so are values of the first elements under every law, and of any under laws that
    are one in every order (`KernelDensity`). For all else the draws are particles (sequential
    Monte Carlo), weighed by the evidence as they are drawn and resampled where few carry the
    weight.

    A model of every order of its sites (`order_agnostic=True`) is a law for each order, and
    `process` names one. What is drawn is of that one; known values of such a model are drawn in
    the order that has them first, and weighed. `method="reordered"` is of that other order's law
    instead, and exact under it; so are `complete` and `sample(known=)`.

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
            particles in any case; "tempered" lets the evidence in by and by, which is for what is
            much sharper than the process ("auto" tries whether particles would come to rest on
            few, where the evidence says all at once); "reordered" takes another law, that of the
            same model in the order of sites which has the known ones first and then the others as
            they were: draws and evidence are exact if nothing else is known.
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
        UnsupportedError: evidence of this kind does not fit the process; method="exact", and
            there is no closed form; or method="reordered" of a model of one order.

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
    check_choice("method", method, _METHODS)
    given = as_evidence(evidence)
    steps = _steps(law, length)
    own = _alone(process, prefix, steps, context, offset)
    job = _Job(own, given, steps, n, resolve_seed(seed))
    with torch.no_grad():
        if method != "reordered":
            return job.run(method, proposal)
        job = job.reordered()
        return replace(job.run("auto", proposal), in_order=job.process)


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
        self,
        process: Holder,
        evidence: Evidence | None,
        steps: int | None,
        n: int,
        seed: int,
        first: KnownTerms | None = None,
    ) -> None:
        self.process, self.n, self.seed = process, n, seed
        self.reorders = first is not None
        law = process.law_
        self.steps = steps if law.space.length is None else law.space.length
        self.setting = Setting(law, self.steps, self._shown)
        self.parts = () if evidence is None else parts_of(evidence)
        bound = tuple(part.bound(self.setting) for part in self.parts)
        self.terms = bound if first is None else (first, *bound)

    def reordered(self) -> _Job:
        """The same of the law in the order that has the known sites first."""
        law = self.setting.law
        if not law.takes_any_order:
            raise UnsupportedError(
                'method="reordered" is for whole examples of models that know every order of '
                f"their sites (order_agnostic=True; KernelDensity); {law!r} has one. (A prefix "
                "of such a model is given as known values.)"
            )
        pairs = list(zip(self.parts, self.terms, strict=True))
        known = merged(tuple(term for _, term in pairs if isinstance(term, KnownTerms)))
        if known is None:
            raise ParameterError(
                'method="reordered" draws what is known first, and evidence has no Known values.'
            )
        path, values = known_first(known, law.space.length or 0)
        member = self._member(path)
        rest = [part for part, term in pairs if not isinstance(term, KnownTerms)]
        first = KnownTerms(values, member)
        own = self.process.derived(member)
        return _Job(own, joined(rest) if rest else None, self.steps, self.n, self.seed, first)

    def _member(self, path: list[int]) -> ChainLaw:
        """The law in another order of its sites, named by their places in its own."""
        law = self.setting.law
        own = range(len(path)) if law.layout is None else law.layout.order or range(len(path))
        return law.in_order([own[site] for site in path])

    def run(self, method: str, proposal: Holder | None) -> Conditioned:
        """Exactly as far as that goes, and by particles from there on."""
        guide = None if proposal is None else self._guide(proposal)
        law, rest, log_evidence = self.setting.law, self.terms, 0.0
        if guide is not None and method == "tempered":
            raise ParameterError(
                'proposal is what particles are drawn from, and method="tempered" learns its own; '
                "leave one of them out."
            )
        if method == "particles" or guide is not None:
            return self._by_particles(law, Both(rest), guide, 0.0, method)
        if not self.reorders:
            law, rest, log_evidence = self._exact_part()
        if not rest:
            return self._exact(law, log_evidence)
        known = merged(rest)
        if known is not None and known.known_until(0) == known.horizon:
            return self._begun(law, known, log_evidence)
        if known is not None and law.takes_any_order and law.orders_agree:
            return self.reordered().run(method, None)
        if method == "exact":
            raise UnsupportedError(self._no_closed_form())
        return self._by_particles(law, Both(rest), None, log_evidence, method)

    def _no_closed_form(self) -> str:
        law = self.setting.law
        other = (
            " The same model in the order that has what is known first has one: "
            'method="reordered" is of that law.'
            if law.takes_any_order and any(isinstance(t, KnownTerms) for t in self.terms)
            else ""
        )
        return (
            f"there is no closed form of {law!r} given all of this evidence. Linear-Gaussian laws "
            "have one for known values and sums, laws of finitely many states (n-grams) for all "
            "but functions, and every law for the values of its first elements; "
            f'method="auto" takes particles.{other}'
        )

    def _begun(self, law: ChainLaw, known: KnownTerms, log_evidence: float) -> Conditioned:
        """Independent draws of a law given its first elements."""
        cloud = self._filtered(law, known, 1, None)
        if bool((cloud.died >= 0).any()):
            raise DataError("evidence has probability zero under this model.")
        method = "reordered" if self.reorders and not law.orders_agree else "exact"
        return Conditioned(
            self._given(cloud), np.full(self.n, -math.log(self.n)),
            log_evidence + float(cloud.log_evidence[0]), 0.0, float(self.n), method,
        )  # fmt: skip

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
            self._given(cloud),
            weights,
            log_evidence,
            0.0,
            float(self.n),
            "exact",
            process,
            _law=law,
        )

    def _filtered(self, law: ChainLaw, terms: Terms, sets: int, guide: Any) -> Cloud:
        return Filter(
            law.fresh(sets, None), terms, self.steps, self.n // sets, Uniforms(self.seed),
            Uniforms(self.seed, "resample"), guide=guide,
        ).run()  # fmt: skip

    def _by_particles(
        self,
        law: ChainLaw,
        terms: Both,
        guide: ChainLaw | None,
        log_evidence: float,
        method: str,
    ) -> Conditioned:
        """Weighted draws of a law; if method is "auto" not by a filter where others pay."""
        if self.n % _SETS or self.n < 2 * _SETS:
            raise ParameterError(
                f"n is {self.n}; expected a multiple of {_SETS} and at least {2 * _SETS}, for the "
                f"particles come in {_SETS} sets, whose estimates tell the error."
            )
        plan = self._plan(law, terms, method) if guide is None else None
        if plan is not None:
            return self._tempered(law, terms, plan, log_evidence)
        cloud = self._across(law, terms) if method == "auto" and guide is None else None
        if cloud is None:
            led = None if guide is None else self._led(guide)
            cloud = self._filtered(law, terms, _SETS, led)
        if bool((cloud.died >= 0).all()):
            raise DataError(
                f"evidence is impossible under this model, or after what its {self.n} particles "
                f"drew: none fits what is known after element {int(cloud.died.max())}. Take more "
                "(n=), a proposal, or a twist."
            )
        return self._weighed(cloud, log_evidence, "particles")

    def _weighed(
        self, cloud: Cloud, log_evidence: float, method: str, size: float | None = None
    ) -> Conditioned:
        """Sets of weighted draws as one; with a warning where they are few."""
        found = estimated(cloud.log_weights, cloud.log_evidence, cloud.lineage)
        found = found if size is None else found._replace(size=size)
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
            log_evidence + found.log_evidence, found.error, found.size, method,
        )  # fmt: skip

    def _plan(self, law: ChainLaw, terms: Both, method: str) -> Plan | None:
        """How the evidence is let in by and by, where that is asked for or pays."""
        wanted, trial = method == "tempered", min(max(self.n // 4, _TRIAL[0]), _TRIAL[1])
        about = law, terms, self.steps, trial
        if not wanted:
            tried = method == "auto" and terms.at_once and not terms.twisted
            if not tried or not is_sharp(*about, derived_seed(self.seed, 1)):
                return None
        plan = planned(*about, derived_seed(self.seed, 2))
        if plan is None and wanted:
            raise DataError(
                f"evidence is impossible for nearly all of {trial} draws of this model, so that "
                'it can not be let in by and by. Take method="auto", a proposal, or more (n=).'
            )
        return plan

    def _tempered(
        self, law: ChainLaw, terms: Both, plan: Plan, log_evidence: float
    ) -> Conditioned:
        each = self.n // _SETS
        seed = derived_seed(self.seed, 3)
        found = tempered(law, terms, self.steps, plan, _SETS, each, seed)
        if found.far > 0.01:
            warn(
                f"{found.far:.0%} of the weight lies where single elements are more than "
                f"{FARTHEST} standard deviations from what the process expects: draws are too "
                "coarse there, and the evidence is more probable than log_evidence says. Take a "
                "process that is nearer to the evidence, or a proposal.",
                UserWarning,
            )
        return self._weighed(found.cloud, log_evidence, "tempered", found.size)

    def _across(self, law: ChainLaw, terms: Both) -> Cloud | None:
        """By the order that has what is known first, where the law knows it and that pays."""
        known = merged(terms.parts) if law.takes_any_order else None
        if known is None:
            return None
        member = self._member(known_first(known, law.space.length or 0)[0])
        each, trial = self.n // _SETS, derived_seed(self.seed, 0)
        if not other_order_pays(law, member, known, max(each, 2 * _SETS), trial):
            return None
        return across_orders(law, member, known, _SETS, each, self.seed)

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
