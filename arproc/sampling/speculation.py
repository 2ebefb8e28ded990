"""Speculative and fixed-point decoding: several elements for one pass of a process.

The calls that users make; the loop is in `guessing`, the rules and where they come from in
`verification`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch

from arproc.contract.holder import Holder, require_chain
from arproc.contract.law import ChainLaw, WholeLaw
from arproc.contract.randomness import Uniforms
from arproc.contract.sequences import Sequences
from arproc.contract.state import State
from arproc.errors import (
    NotComparableError,
    ParameterError,
    check_choice,
    check_flag,
    check_integer,
    check_number,
)
from arproc.sampling.ahead import Ahead, Costs, check_ahead
from arproc.sampling.ancestral import sample
from arproc.sampling.drafts import Draft, FirstOf, Own, ProcessDraft, PromptLookup, RowLookup
from arproc.sampling.guessing import Guessing, Report
from arproc.sampling.own_heads import HeadsDraft, OwnHeads
from arproc.sampling.policies import Policy, PolicyLaw
from arproc.sampling.verification import RULES, coupled

__all__ = ["Guessed", "parallel", "speculative"]

#: Guesses at most where their number adapts.
_MOST = 16


class Guessed(NamedTuple):
    """Draws, and how they came about.

    Attributes:
        draws: as `Process.sample` gives them.
        report: what the guesses did.
    """

    draws: Any
    report: Report


def speculative(
    target: Holder,
    draft: Any,
    n: int = 1,
    length: int | None = None,
    prefix: Any = None,
    policy: Policy | None = None,
    stop: Any = None,
    seed: int | torch.Generator | None = None,
    return_log_prob: bool = False,
    *,
    verify: str = "token",
    coupled: bool = False,
    ahead: int | None = None,
    costs: Costs | None = None,
    tolerance: float = 1e-6,
    context: Any = None,
    offset: Any = None,
) -> Guessed:
    """Draw from a process with the help of a cheaper one, which guesses several elements at once.

    The draws have exactly the law of `target` (under its policy), whatever the draft; only their
    speed depends on it. One pass of the target verifies all guesses of a row. The draft may be any
    process over the same space, of symbols, counts, numbers or vectors. With a `seed`, row i is
    the same in any batch (of examples of a fixed size up to how far rows get, since no row is read
    beyond its end).

    Args:
        target: the process that is drawn from.
        draft: a process over the same space, a `PromptLookup`, `OwnHeads()` (of a target that has
            heads for later symbols), or a list of them, of which each row takes the first that
            has a guess (for symbols). A policy of its own is part of it:
            `draft.with_policy(...)`; the nearer it is to the target, the more is kept.
        n: how many sequences; this and what follows as for `Process.sample`.
        length: how many new elements at most.
        prefix: what the draws continue.
        policy: a policy to draw under.
        stop: what cuts a draw.
        seed: of the draws.
        return_log_prob: whether the draws are `Draws` with their log-probabilities in nats.
        verify: "token" or "block", by which rule guesses are kept; see
            `arproc.sampling.verification`. Block keeps as many or more.
        coupled: let target and draft share their uniforms: the draws are those of
            `target.sample` with this seed (but for rare flips where a uniform lies within rounding
            of a boundary; numbers to `tolerance`). Usually fewer guesses are kept than without.
        ahead: how many elements are guessed at a time; None adapts it to what is kept, row by row,
            down to none where a draft does not pay.
        costs: what drafting and verifying cost, by which that adapts.
        tolerance: how far, as a share of 1 + its size, a guessed real number may lie from what the
            target draws to be kept with `coupled`.
        context: what the draws are conditioned on; a draft that takes a context gets the same.
        offset: at which step the draws (or their prefix) begin.

    Returns:
        `Guessed(draws, report)`: what `Process.sample` gives, and a `Report`.

    Raises:
        NotComparableError: target and draft are not over the same space.
        ParameterError: an argument has a wrong value.
        DataError: the prefix is not of the space, or too short for one of the two.

    Example:
        >>> import arproc
        >>> texts = ["the cat sat on the mat", "a cat ate the rat"] * 5
        >>> target = arproc.PPM(order=4, tokens="char").fit(texts)
        >>> draft = arproc.PPM(order=2, tokens="char").fit(texts)
        >>> drawn, report = arproc.sampling.speculative(target, draft, 2, length=20, seed=0)
        >>> len(drawn), report.elements_per_pass > 1
        (2, True)
    """
    law = _drawn_from(target, policy, "speculative")
    rule = RULES[check_choice("verify", verify, tuple(RULES))]
    if check_flag("coupled", coupled):
        rule = _coupled_rule(tolerance)
    ahead, report = check_ahead(ahead), Report()
    listed = draft if isinstance(draft, (list, tuple)) else [draft]
    if not listed:
        raise ParameterError("draft is an empty list; expected at least one draft.")
    if costs is not None and not isinstance(costs, Costs):
        raise ParameterError(f"costs must be an arproc.sampling.Costs; got {costs!r}.")

    def drawer(
        state: State, uniforms: Uniforms, known: Sequences | None, given: torch.Tensor | None
    ) -> Guessing:
        made = [
            _draft(one, target, state, uniforms, known, given, coupled, number)
            for number, one in enumerate(listed)
        ]
        pace = Ahead(state.n, ahead, _MOST, costs or Costs())
        guesser = made[0] if len(made) == 1 else FirstOf(made)
        return Guessing(state, uniforms, guesser, rule, pace, report)

    draws = sample(
        target, law, n, length, prefix, stop, seed, return_log_prob, context, offset, drawer
    )
    return Guessed(draws, report)


def parallel(
    process: Holder,
    n: int = 1,
    length: int | None = None,
    prefix: Any = None,
    policy: Policy | None = None,
    stop: Any = None,
    seed: int | torch.Generator | None = None,
    return_log_prob: bool = False,
    *,
    window: int = 32,
    tolerance: float = 1e-6,
    context: Any = None,
    offset: Any = None,
) -> Guessed:
    """Draw what `process.sample` draws with this seed, by iteration to a fixed point.

    The uniforms behind all elements are known beforehand, so each element is a function of those
    before it. One pass computes all elements of a window from a guess of them, the next from what
    came out, until nothing changes (Song et al. 2021). An element is settled when all before it
    are; each pass settles at least one, and where elements depend little on their nearest
    neighbours, many. It pays where passes over many elements cost hardly more than over one and
    most elements are sure: images; a text gains nothing. A `MAF`, which has no conditionals, is
    iterated layer by layer, all sites at once; its passes are those of single layers.

    Args:
        process: what is drawn from.
        n: how many sequences; this and what follows as for `Process.sample`.
        length: how many new elements at most.
        prefix: what the draws continue.
        policy: a policy to draw under.
        stop: what cuts a draw.
        seed: of the draws.
        return_log_prob: whether the draws are `Draws` with their log-probabilities in nats.
        window: how many elements are iterated at a time (Gauss-Seidel between windows, Jacobi
            within).
        tolerance: by how much, as a share of 1 + its size, a settled real number may change.
        context: what the draws are conditioned on.
        offset: at which step the draws (or their prefix) begin.

    Returns:
        `Guessed(draws, report)`; the report tells the passes.

    Raises:
        ParameterError: an argument has a wrong value.
        DataError: the prefix is not of the space, or too short.

    Example:
        >>> import arproc
        >>> model = arproc.AR.from_parameters([0.5])
        >>> drawn, report = arproc.sampling.parallel(model, 1, length=64, seed=0)
        >>> bool(abs(drawn - model.sample(1, length=64, seed=0)).max() < 1e-5)
        True
        >>> report.passes < 64
        True
    """
    window = check_integer("window", window, minimum=1, maximum=2**20)
    rule, report = _coupled_rule(tolerance), Report()
    if isinstance(getattr(process, "law_", None), WholeLaw):
        whole = (n, length, prefix, policy, stop, seed, return_log_prob, context)
        return Guessed(_iterated(process, whole, tolerance, report), report)
    law = _drawn_from(process, policy, "parallel")

    def drawer(state: State, uniforms: Uniforms, *_: Any) -> Guessing:
        pace = Ahead(state.n, window, window, Costs())
        return Guessing(state, uniforms, Own(state), rule, pace, report)

    draws = sample(
        process, law, n, length, prefix, stop, seed, return_log_prob, context, offset, drawer
    )
    return Guessed(draws, report)


def _iterated(process: Any, whole: tuple[Any, ...], tolerance: float, report: Report) -> Any:
    """Draws of a law that is drawn from as a whole, by its own fixed point."""

    def draw(law: WholeLaw, n: int, uniforms: Uniforms, context: torch.Tensor | None) -> Any:
        begin = last = time.perf_counter()

        def passed(width: int, rows: int) -> None:
            nonlocal last
            now = time.perf_counter()
            report.time_pass(width, rows, now - last)
            last = now

        x = law.iterate(n, uniforms, context, tolerance, passed)
        report.elements += x.shape[0] * x.shape[1]
        report.seconds += time.perf_counter() - begin
        return x

    return process.draw_whole(draw, *whole)


def _drawn_from(process: Holder, policy: Policy | None, call: str) -> ChainLaw:
    law = require_chain(process, call)
    return law if policy is None else PolicyLaw.under(law, policy)


def _coupled_rule(tolerance: float) -> Callable[..., Any]:
    return partial(coupled, tolerance=check_number("tolerance", tolerance, low=0.0, high=0.1))


def _draft(
    draft: Any,
    target: Holder,
    state: State,
    uniforms: Uniforms,
    known: Sequences | None,
    given: torch.Tensor | None,
    shared: bool,
    number: int,
) -> Draft:
    """A draft at work, after what is known.

    Args:
        draft: what the user gave.
        target: the process that verifies.
        state: its state.
        uniforms: its own.
        known: what the rows have already.
        given: the target's context.
        shared: whether the draft uses the target's uniforms.
        number: which of several drafts it is.
    """
    # a stream for each of several drafts
    own_uniforms = None if shared else Uniforms(uniforms.seed + number, "draft")
    if isinstance(draft, OwnHeads):
        return HeadsDraft(state.law, own_uniforms, state.n)
    if isinstance(draft, PromptLookup):
        before = [np.zeros(0, np.int64)] * state.n
        if known is not None:
            before = [known.row(i).cpu().numpy() for i in range(state.n)]
        rows = []
        if draft.corpus is not None:
            corpus = target.sequences(draft.corpus, name="corpus")
            rows = [corpus.row(i).cpu().numpy() for i in range(len(corpus))]
        return RowLookup(draft, target.law_, before, rows, shared)
    law = require_chain(draft, "speculative's draft")
    own, other = target.law_.space, law.space
    if own != other:
        raise NotComparableError(
            f"the draft is over {other.describe()}, the target over {own.describe()}: a guess of "
            "the one is no element of the other. Fit both with the same tokens= (or vocabulary)."
        )
    if law.context is None and not law.clocked:
        given = None
    elif law.context != target.law_.context or law.clocked != target.law_.clocked:
        raise ParameterError(
            f"the draft {law!r} takes a context that the target does not take; use a draft "
            "without a context, or with the same."
        )
    begun = law.fresh(state.n, given) if known is None else law.after(known, given)
    if law.n_given and (known is None or int(known.lengths.min()) < law.n_given):
        raise ParameterError(
            f"the draft begins after {law.n_given} given values; pass a prefix= of as many."
        )
    return ProcessDraft(begun, own_uniforms, state.n, type(draft).__name__)
