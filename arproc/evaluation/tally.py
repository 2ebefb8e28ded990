"""What a law gives some data: log-probabilities, and how many of which units they are over."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch

from arproc.contract.sequences import Sequences
from arproc.data.texts import listed
from arproc.errors import DataError, NotComparableError, ParameterError, check_flag, check_integer
from arproc.evaluation.standard_errors import MANY_SEQUENCES
from arproc.evaluation.text_units import TextSize, text_size, vocabulary_of
from arproc.process import Model, Process

__all__ = ["Tally", "count"]


@dataclass(frozen=True)
class Tally:
    """The score of one law on some data.

    Attributes:
        law: the law.
        sequences: the data as the law reads them.
        context: as the law takes it.
        given: how many first elements of each sequence are given, not scored.
        text: the bytes of text behind the elements; None for data that are no text.
    """

    law: Model
    sequences: Sequences
    context: torch.Tensor | None
    given: int
    text: TextSize | None

    @cached_property
    def counts(self) -> np.ndarray:
        """How many terms of each sequence are of something observed, int64 [N]."""
        return self.sequences.n_scored(self.given).numpy()

    @cached_property
    def sizes(self) -> np.ndarray | None:
        """How many bytes of text each sequence's terms are over; None where that is not known."""
        if self.text is None or self.text.problem or self.given:
            return None
        return self.text.sizes

    @property
    def is_bound(self) -> bool:
        """Whether texts are more probable than their tokens, one of many ways to spell them."""
        vocabulary = vocabulary_of(self.sequences.space)
        return vocabulary is not None and vocabulary.kind == "tokenizer"

    @property
    def ends(self) -> int:
        """How many of the terms are those of a sequence's end."""
        space = self.sequences.space
        return int(self.sequences.complete.sum()) if space.terminates else 0

    @property
    def dims(self) -> np.ndarray | None:
        """How many scalars each sequence's terms are over; None for sequences of free length."""
        space = self.sequences.space
        if space.length is None:
            return None
        return self.counts * int(np.prod(space.event_shape, dtype=np.int64))

    @cached_property
    def terms(self) -> np.ndarray | None:
        """The chain rule's terms of what was observed, nats, flat.

        None where the law has no conditionals.
        """
        if not isinstance(self.law, Process):
            return None
        with torch.no_grad():
            terms = self.law.law_.checked_terms(self.sequences, self.context)
        flat = terms.double().cpu().numpy()
        extra = self.given - self.law.n_given
        if extra:
            counts = (self.sequences.n_terms - self.law.n_given).numpy()
            position = np.arange(len(flat)) - np.repeat(counts.cumsum() - counts, counts)
            flat = flat[position >= extra]
        return flat[self.sequences.scored(self.given).numpy()] if self.missing else flat

    @cached_property
    def missing(self) -> int:
        """How many elements that would be scored were not observed."""
        return int((self.sequences.n_terms - self.given).sum()) - int(self.counts.sum())

    @cached_property
    def log_prob(self) -> np.ndarray:
        """The log-probability of each sequence, nats, float64 [N]."""
        if self.given == self.law.n_given and "terms" not in self.__dict__:
            with torch.no_grad():
                return self.law.law_.log_prob(self.sequences, self.context).double().cpu().numpy()
        terms = self.terms
        assert terms is not None
        row = np.repeat(np.arange(len(self.counts)), self.counts)
        return np.bincount(row, weights=terms, minlength=len(self.counts))

    def along(self, by: str) -> bool:
        """Whether errors are taken along the sequences (`by` "element") or over them."""
        if by == "auto":
            return len(self.sequences) < MANY_SEQUENCES and isinstance(self.law, Process)
        return by == "element"


def count(
    law: Model,
    data: Any,
    *,
    context: Any = None,
    offset: Any = None,
    given: int | None = None,
    complete: bool | None = None,
    name: str = "the model",
) -> Tally:
    """Read `data` as `law` does, and check that there is something to score."""
    if not isinstance(law, Model):
        raise ParameterError(f"{name} must be a fitted arproc model; got {type(law).__name__}.")
    if complete is not None:
        complete = check_flag("complete", complete)
    data = listed(data, space=law.space)
    sequences = law.sequences(data, complete=complete, missing=law.law_.takes_missing)
    if complete is not None and isinstance(data, Sequences):
        sequences = sequences.ended(complete)
    own = law.n_given
    first = own if given is None else check_integer("given", given, minimum=0)
    if first < own:
        raise NotComparableError(
            f"{name} begins after its first {own} (given) values, so it can not score what "
            f"follows the first {first}; pass given={own} or more."
        )
    if first > own and not isinstance(law, Process):
        raise ParameterError(
            f"given={first} needs the terms of the chain rule, and {name} "
            f"({type(law).__name__}) is not a Process: {law.no_conditional}."
        )
    prepared = law.read_context(context, sequences, int(sequences.n_terms.max()), offset)
    tally = Tally(law, sequences, prepared, first, text_size(data, sequences, law.law_.layout))
    _check_enough(tally)
    return tally


def _check_enough(tally: Tally) -> None:
    lengths = tally.sequences.lengths
    if int(lengths.min()) < tally.given:
        row = int(lengths.argmin())
        raise DataError(
            f"data is too short: sequence {row} has {int(lengths[row])} element(s), and the first "
            f"{tally.given} are given."
        )
    if tally.counts.sum() == 0:
        rest = " (all others are missing)" if tally.missing else ""
        raise DataError(
            f"data has no element to score beyond the first {tally.given} given{rest}."
        )
