"""Broken processes whose mistake is about missing values."""

from __future__ import annotations

import torch
from torch import distributions as td

from .healthy_windows import Gapped, GappedState, Noise, Partial


class StandingState(GappedState):
    """Missing elements do not move the state on: time stands still."""

    def _append(self, x):
        after = super()._append(x)
        gone = torch.isnan(x)
        mean = torch.where(gone, self.mean, after.mean)
        return type(self)(mean, torch.where(gone, self.variance, after.variance))


class OneGapState(GappedState):
    """Right for one missing element; of two in a row the variance of the second is forgotten."""

    def known(self, x):
        mean, variance = super().known(x)
        return mean, variance.clamp(max=1.0 / (1 - self.process.phi**2) if self.started else 1.0)

    @property
    def started(self):
        return not bool((self.lengths > 0).any())


class FirstGapState(GappedState):
    """A gap at the very start is taken for a first value of 0."""

    def known(self, x):
        mean, variance = super().known(x)
        return mean, torch.where((self.lengths == 0) & torch.isnan(x), 0.0, variance)


class SharedGapState(GappedState):
    """Where the first row misses an element, all rows do."""

    def known(self, x):
        gone = torch.isnan(x) | (torch.isnan(x[:1]) & (len(x) > 1))
        return torch.where(gone, self.mean, x), torch.where(gone, self.variance, 0.0)


class LongGapState(GappedState):
    """After eight missing elements the variance is no longer followed."""

    def _append(self, x):
        after = super()._append(x)
        seen = self.history.tail(8, 0.0)
        lost = torch.isnan(seen).all(1) & torch.isnan(x)
        return type(self)(after.mean, torch.where(lost, self.variance, after.variance))


def _with(state):
    def start(self, n, context):
        fresh = Gapped._start(self, n, context)
        return state(fresh.mean, fresh.variance)

    return start


class StandingStill(Gapped):
    """A gap is skipped."""

    _start = _with(StandingState)


class OneGap(Gapped):
    """Two missing in a row are wrong."""

    _start = _with(OneGapState)


class FirstGap(Gapped):
    """A gap at the start is wrong."""

    _start = _with(FirstGapState)


class SharedGap(Gapped):
    """Gaps of one row are taken for those of all."""

    _start = _with(SharedGapState)


class LongGap(Gapped):
    """Gaps longer than eight are wrong."""

    _start = _with(LongGapState)


class ScoredFill(Noise):
    """Missing elements are scored at their mean."""

    def _log_prob_terms(self, sequences, context):
        terms = self._derived_log_prob_terms(sequences, context)
        return torch.where(torch.isnan(sequences.values), -0.91, terms)


class IndependentParts(Partial):
    """Of a vector observed in part the rest is scored as if its mean had been seen."""

    def of_seen(self, x, seen):
        whole = td.MultivariateNormal(
            torch.zeros(2, dtype=torch.float64), scale_tril=self.root_, validate_args=False
        )
        return whole.log_prob(torch.where(seen, x, 0.0))


class PartTakenForAll(Partial):
    """A vector of which a part is missing is taken for missing."""

    def of_seen(self, x, seen):
        return super().of_seen(x, seen) if bool(seen.all()) else torch.zeros(len(x)).double()
