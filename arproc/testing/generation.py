"""Draws follow the likelihood: the process's own, and under a policy."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.distributions import Distribution

from arproc.contract.law import Draws
from arproc.contract.randomness import Uniforms
from arproc.contract.sequences import Sequences
from arproc.distributions import index
from arproc.errors import DataError, UnsupportedError
from arproc.sampling import Policy, Temperature, TopP
from arproc.sampling.ancestral import draw
from arproc.spaces import check_values
from arproc.testing.material import Batch, numbers_of
from arproc.testing.normalisation import longest_listed, outcomes, scored_outcomes, total_mass
from arproc.testing.report import NotApplicable, fail
from arproc.testing.statistics import berkowitz, g_test, kolmogorov_smirnov, pit, two_samples
from arproc.testing.subject import Subject
from arproc.testing.transforms import INTEGRATED, believed, by_density

__all__ = ["Drawn", "drawn", "policies", "policy", "samples"]

_CAUSE = (
    "a sampler that changes the conditionals (a temperature, a truncation), an inverse cdf that "
    "does not belong to the density, or a likelihood of another law"
)


# ---- drawing ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Drawn:
    """What `sample` drew: the prefix, the new elements of each row in numbers, and the draws."""

    prefix: Batch
    new: list[torch.Tensor]
    complete: torch.Tensor
    draws: Draws

    def whole(self, subject: Subject) -> Sequences:
        """The prefix and what followed, as sequences."""
        parts = [torch.cat([p, x.to(p)]) for p, x in zip(self.prefix.x, self.new, strict=True)]
        offsets = torch.zeros(len(parts) + 1, dtype=torch.int64)
        offsets[1:] = torch.tensor([len(part) for part in parts]).cumsum(0)
        return Sequences(torch.cat(parts), offsets, subject.space, self.complete)


def drawn(
    subject: Subject, prefix: Batch, length: int, seed: int = 0, policy: Policy | None = None
) -> Drawn:
    """Draws of `length` more elements by the public `sample`, with their probabilities.

    Text may not read back to the symbols that made it (unknown words): then the numbers are those
    that the engine draws from the same uniforms.
    """
    try:
        draws = subject.process.sample(
            prefix.n,
            length,
            subject.user_prefix(prefix),
            policy,
            seed=seed,
            return_log_prob=True,
            context=prefix.context,
        )
        if subject.is_text:
            new = _by_engine(subject, prefix, length, seed, policy)
        else:
            new = _in_order(subject, draws.x, prefix)
            _check_drawn(subject, new, prefix.length)
    except DataError as error:
        fail(
            "every draw to be an element of the space",
            f"it was refused: {str(error).rstrip('.')}",
            "an inverse cdf that is not finite near 0 or 1, or a conditional that reaches beyond "
            "the space",
        )
    return Drawn(prefix, new, torch.as_tensor(np.asarray(draws.complete)), draws)


def _check_drawn(subject: Subject, new: list[torch.Tensor], known: int) -> None:
    """Raise `DataError` where what was drawn after `known` elements is not of the space."""
    place = None
    if subject.space.varies:
        layout = subject.process.layout
        order = (
            torch.arange(subject.length)
            if layout is None
            else torch.tensor(layout.order or range(layout.length))
        )
        place = torch.cat([order[known : known + len(row)] for row in new])
    check_values(torch.cat(new), subject.space, "what sample drew", place=place)


def _by_engine(
    subject: Subject, prefix: Batch, length: int, seed: int, policy: Policy | None
) -> list[torch.Tensor]:
    process = subject.process if policy is None else subject.process.with_policy(policy)
    state = process.start(prefix.n, context=prefix.context)
    if prefix.length:
        state = state.extend(prefix.x)[1]
    x, lengths, _ = draw(state, Uniforms(seed), length, None, subject.space)
    return [row[:k] for row, k in zip(x, lengths.tolist(), strict=True)]


def _in_order(subject: Subject, x: Any, prefix: Batch) -> list[torch.Tensor]:
    """The rows that `sample` gave, in the order of generation."""
    layout = subject.process.layout
    rows = numbers_of(subject.process, x)
    if layout is None or prefix.length or hasattr(x, "iloc"):
        return rows
    full = (*layout.shape, *subject.space.event_shape)
    return [layout.to_sites(row[None])[0] if row.shape == full else row for row in rows]


# ---- samples and likelihood ---------------------------------------------------------------------


def samples(subject: Subject) -> str:
    """Samples follow the likelihood.

    A G-test of sampled sequences against their enumerated probabilities (small discrete spaces),
    and of every element the probability integral transform given those before it: that they are
    uniform (Kolmogorov-Smirnov), of the right scale and independent (Berkowitz). A distribution
    function of the conditional's own is believed where the log-probabilities say the same; else
    these are integrated. Each of the tests refuses a right process at one seed in a million.
    """
    return samples_follow(subject)


def samples_follow(subject: Subject) -> str:
    """See `samples`; also used for the process under a policy."""
    found = []
    longest = longest_listed(subject, 120)
    if longest:
        p = _frequencies(subject, longest)
        found.append(f"G-test of sequences of {longest} p = {p:.2g}")
    found.append(f"transforms p = {_transformed(subject):.2g}")
    return "; ".join(found)


def _frequencies(subject: Subject, length: int) -> float:
    n = 2000
    prefix = subject.prefix(n, length + subject.given, "frequencies", same=True)
    given = drawn(subject, prefix, length, subject.seed)
    ends = given.complete if subject.space.terminates else torch.zeros(n, dtype=torch.bool)
    rows = zip(given.new, ends.tolist(), strict=True)
    seen = Counter((tuple(row.long().tolist()), end) for row, end in rows)
    listed = outcomes(subject, length)
    unknown = sorted(set(seen) - set(listed))
    if unknown:
        fail(
            f"sample(length={length}) to draw {length} elements, or fewer and complete",
            f"it drew {unknown[0]} (elements, complete)",
            "an end element that is not told from the others",
        )
    counts = np.array([seen[x] for x in listed], dtype=float)
    probabilities = scored_outcomes(subject, length, prefix.rows([0]))
    return g_test(counts, probabilities, "draws to come as often as log_prob says", _CAUSE)


def _transformed(subject: Subject) -> float:
    n, length = 250, subject.short(12)
    if length == subject.given:
        raise NotApplicable("a sequence has a single element")
    given = drawn(
        subject, subject.prefix(n, length, "transform"), length - subject.given, subject.seed
    )
    x, lengths = given.whole(subject).padded(ends=True)
    x = x.to(subject.process.device)
    columns = subject.columns(Batch(x[:, :-1], given.prefix.context))
    inside = torch.arange(x.shape[1]) < lengths[:, None]
    rows, places = inside[:, subject.given :].nonzero(as_tuple=True)
    conditional, values = index(columns, (rows, places)), x[rows, places + subject.given]
    expected = "every draw to be a draw from its conditional"
    if not believed(subject, conditional, values, places):
        # the conditional's own distribution function is of another law: as many as are integrated
        rows, places, values = rows[:INTEGRATED], places[:INTEGRATED], values[:INTEGRATED]
        conditional = index(conditional, slice(0, INTEGRATED))
        u = by_density(subject, conditional, values, places)
    else:
        u = pit(conditional, values, subject.rng("randomised"))
    if u is None:
        return _scores_alike(conditional, values, expected)
    parts = (u, u[places == 0], u[places == places.max()])
    follows = (rows[1:] == rows[:-1]).nonzero()[:, 0]  # rows are in order, elements within them
    flat = u.flatten(1) if u.ndim > 1 else u[:, None]
    pairs = torch.stack([flat[follows], flat[follows + 1]], dim=-1).reshape(-1, 2)
    by_scores = berkowitz(u.flatten(), pairs, expected, _CAUSE)
    return min(by_scores, *(kolmogorov_smirnov(part, expected, _CAUSE) for part in parts))


def _scores_alike(conditional: Distribution, values: torch.Tensor, expected: str) -> float:
    """Vectors without a distribution function: the scores of draws, ours and torch's own."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        other = conditional.sample()
    return two_samples(conditional.log_prob(values), conditional.log_prob(other), expected, _CAUSE)


# ---- policies -----------------------------------------------------------------------------------


def policies(subject: Subject) -> list[Policy]:
    """The policy that a process is tried under; none where it can not change its kind."""
    tried: Policy = Temperature(0.6)
    if subject.space.measure == "mass":
        tried = Temperature(1.4) | TopP(0.8)
    under = subject.under(tried)
    try:
        conditional = under.begin(under.batch(1, subject.given, "policy")).conditional
        conditional.log_prob(under.probes[:1])
    except UnsupportedError:
        return []
    return [tried]


def policy(subject: Subject) -> str:
    """The process under a policy normalises, and its samples follow its own likelihood."""
    tried = policies(subject)
    if not tried:
        raise NotApplicable("no policy changes conditionals of this kind")
    under = subject.under(tried[0])
    return f"{tried[0]!r}: {total_mass(under)}; {samples_follow(under)}"
