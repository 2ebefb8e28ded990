"""Candidates of an order that are fitted one by one: to data with gaps, or to first parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from arproc.contract.context import with_clock
from arproc.contract.law import ChainLaw
from arproc.contract.sequences import Sequences
from arproc.data.labels import labels_of
from arproc.errors import DataError
from arproc.process import Process

__all__ = ["Placed", "first_parts", "later_score", "later_scores", "observed_log_likelihoods"]

_LATER = 0.2  # the share of elements, the last of each sequence, that "oos" predicts


@dataclass(frozen=True)
class Placed:
    """Sequences with what goes with them.

    Attributes:
        sequences: the data.
        context: the regressors of every step [N, T, c], or None.
        first: the t at which each sequence begins, int64 [N].
    """

    sequences: Sequences
    context: torch.Tensor | None
    first: torch.Tensor

    @classmethod
    def of(cls, sequences: Sequences, model: Process, context: Any) -> Placed:
        """The sequences with their regressors as `model` reads them, and where they begin."""
        labels = labels_of((), context, sequences.form, None)
        prepared = model._context(context, sequences, int(sequences.lengths.numpy().max()), labels)
        begins = labels.positions(sequences.form, len(sequences), "data")
        first = np.zeros(len(sequences), np.int64) if begins is None else begins
        return cls(sequences, prepared, torch.from_numpy(first).long())

    def part(self, start: int, stops: torch.Tensor) -> Placed:
        """The elements from `start` on to before `stops` [N], of what is that long."""
        lengths = (stops - start).clamp(min=0)
        kept = (lengths > 0).nonzero()[:, 0]
        whole, lengths = self.sequences, lengths[kept]
        if not len(kept):
            raise DataError(
                f"data are too short: no sequence has more than {start} elements, which are given."
            )
        begins = torch.repeat_interleave(whole.offsets[:-1][kept] + start, lengths)
        ends = lengths.cumsum(0)
        within = torch.arange(int(ends[-1])) - torch.repeat_interleave(ends - lengths, lengths)
        offsets = torch.cat([ends.new_zeros(1), ends])
        values, flags = whole.values[begins + within], whole.complete[kept]
        cut = Sequences(values, offsets, whole.space, flags, missing=whole.missing)
        context = None if self.context is None else self.context[kept, start:]
        return Placed(cut, context, self.first[kept] + start)

    def timed(self, model: Process) -> torch.Tensor | None:
        """The context as the law of `model` takes it."""
        return with_clock(self.context, self.first) if model._counts_time else self.context

    def fitted(self, model: Process) -> Process:
        """A clone of `model`, fitted to these."""
        return model.fitted_to(self.sequences, None, self.timed(model))


def observed_log_likelihoods(
    models: Sequence[Process], orders: Sequence[int], data: Placed, given: bool
) -> tuple[np.ndarray, int]:
    """The maxima of the likelihood of candidates, all of the same elements, nats.

    Args:
        models: the candidates, not fitted.
        orders: how many elements each looks back.
        data: what they are fitted to, where elements may be missing.
        given: whether first values are given: then the likelihood is of what was observed after
            as many as the longest candidate needs, else of all that was observed.

    Returns:
        [candidates], and of how many elements they are.
    """
    most, found, count = max(orders), [], 0
    for model, order in zip(models, orders, strict=True):
        stops = data.sequences.lengths
        fitted: Any = data.part(most - order if given else 0, stops).fitted(model)
        found.append(fitted.log_likelihood_)
        count = fitted.n_observations_
    return np.array(found), count


def first_parts(lengths: np.ndarray, order: int) -> np.ndarray:
    """How many elements the first part of each sequence has, [N]."""
    return lengths - np.ceil(_LATER * (lengths - order).clip(min=0)).astype(np.int64)


def later_scores(models: Sequence[Process], data: Placed, kept: torch.Tensor) -> np.ndarray:
    """Negative mean log-scores of what was observed later, by models of the first parts.

    Args:
        models: the candidates, not fitted.
        data: the whole sequences.
        kept: how many elements the first part of each has, int64 [N].
    """
    first, scores = data.part(0, kept), []
    for model in models:
        law = first.fitted(model).law_
        scores.append(-later_score(law, data, kept, data.timed(model)))
    return np.array(scores)


def later_score(
    law: ChainLaw, data: Placed, kept: torch.Tensor, context: torch.Tensor | None
) -> float:
    """The mean log-score of what was observed after the first part of each sequence, nats.

    Args:
        law: of the first parts.
        data: the whole sequences.
        kept: how many elements the first part of each has, int64 [N].
        context: as the law takes it, see `Placed.timed`.

    Raises:
        DataError: nothing was observed there.
    """
    sequences, given = data.sequences, law.n_given
    with torch.no_grad():
        terms = law.checked_terms(sequences, context)
    counts = sequences.n_terms - given
    starts = torch.repeat_interleave(counts.cumsum(0) - counts, counts)
    later = torch.arange(len(terms)) - starts >= torch.repeat_interleave(kept - given, counts)
    seen = later & sequences.scored(given)
    if not bool(seen.any()):
        raise DataError(
            "data have nothing observed in the last fifth of any sequence, which criterion='oos' "
            "predicts; use 'aic'."
        )
    return float(terms[seen].mean())
