"""Draws follow the likelihood: the process's own, and under a policy."""

from __future__ import annotations

from collections import Counter

import numpy as np
import torch
from torch.distributions import Distribution

from arproc.distributions import index
from arproc.errors import UnsupportedError
from arproc.sampling import Policy, Temperature, TopP
from arproc.testing.drawing import drawn
from arproc.testing.material import Batch
from arproc.testing.normalisation import longest_listed, outcomes, scored_outcomes, total_mass
from arproc.testing.report import NotApplicable, fail
from arproc.testing.sizes import long_draws
from arproc.testing.statistics import berkowitz, g_test, kolmogorov_smirnov, pit, two_samples
from arproc.testing.subject import Subject
from arproc.testing.transforms import INTEGRATED, believed, by_density

__all__ = ["policies", "policy", "samples"]

_CAUSE = (
    "a sampler that changes the conditionals (a temperature, a truncation), an inverse cdf that "
    "does not belong to the density, or a likelihood of another law"
)


# ---- samples and likelihood ---------------------------------------------------------------------


def samples(subject: Subject) -> str:
    """Samples follow the likelihood.

    A G-test of sampled sequences against their enumerated probabilities (small discrete spaces),
    and of every element the probability integral transform given those before it: that they are
    uniform (Kolmogorov-Smirnov), of the right scale and independent (Berkowitz). A distribution
    function of the conditional's own is believed where the log-probabilities say the same; else
    these are integrated. Each of the tests refuses a right process at one seed in a million. A
    draw of many elements is as long as was asked for, and drawn from its conditionals to its end.
    """
    return f"{samples_follow(subject)}; {long_draws(subject)}"


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
    try:
        return f"{tried[0]!r}: {total_mass(under)}; {samples_follow(under)}"
    except UnsupportedError as error:  # after some elements there is no such law
        raise NotApplicable(str(error)) from None
