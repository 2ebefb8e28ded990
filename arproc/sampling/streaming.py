"""Streams: the elements of one draw as they come, and the state to go on from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Self

import numpy as np
import torch

from arproc.contract.holder import Holder
from arproc.contract.law import ChainLaw
from arproc.contract.randomness import Uniforms
from arproc.contract.reading import require_reading_order
from arproc.contract.state import State
from arproc.errors import ParameterError
from arproc.sampling.ancestral import (
    Drawing,
    begun,
    check_drawn,
    check_length,
    require_end,
    require_no_steps,
)
from arproc.sampling.stopping import stopper
from arproc.spaces import Categorical

__all__ = ["Stream", "stream"]

#: What stands where bytes are no character yet.
_REPLACEMENT = "\ufffd"


class Stream(Iterator[Any]):
    """One draw, element by element: an iterator that can be left at any place.

    For text each item is what the last symbols added to it, a string, which is never empty: a
    token that begins a character waits for the rest of it. Joined they are the text that `sample`
    gives for the same seed. For others an item is an element as the data have it.

    Attributes:
        state: after all that was drawn; `stream(state=...)` goes on from it.
        reason: why there is no more: "end" (the sequence's own), "length", "stop", "cancelled";
            None while there is.
        log_prob: of what was drawn, under the model, nats; an end counts.
        policy_log_prob: the same under the law that draws.
    """

    def __init__(self, law: ChainLaw, run: Drawing) -> None:
        self.law, self._run = law, run
        self.state: State = run.state
        self.reason: str | None = None if len(run.alive) else "length"
        self.log_prob = self.policy_log_prob = 0.0
        vocabulary = law.space.vocabulary if isinstance(law.space, Categorical) else None
        require_reading_order(law, "stream")
        self._text = None if vocabulary is None else _Text(vocabulary)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:
        while self.reason is None:
            x = self._drawn()
            if x is None:
                continue
            if self._text is None:
                return _element(x)
            piece = self._text.add(int(x))
            if piece:
                return piece
        rest = None if self._text is None else self._text.rest()
        if rest:
            return rest
        raise StopIteration

    def cancel(self) -> None:
        """Draw no more; the state stays, to go on from."""
        if self.reason is None:
            self.reason = "cancelled"

    @torch.no_grad()
    def _drawn(self) -> torch.Tensor | None:
        """One more element; None where the end came instead."""
        run, before = self._run, self._run.state
        run.advance(single=True)
        x = run.store.values[:, -1]
        check_drawn(x[:, None], self.law, self.law.space, run.before + run.store.counts - 1)
        self.policy_log_prob += float(before.conditional.log_prob(x))
        own: Any = before if before.law is self.law else vars(before)["inner"]
        self.log_prob += float(own.conditional.log_prob(x))
        self.state = run.state
        if bool(run.complete[0]):
            self.reason = "end"
            return None
        if not len(run.alive):
            self.reason = "stop" if bool(run.stopped[0]) else "length"
        return x[0]


def stream(
    process: Holder,
    drawn_from: ChainLaw,
    length: int | None,
    prefix: Any,
    stop: Any,
    seed: int | torch.Generator | None,
    context: Any,
    offset: Any,
    state: State | None,
) -> Stream:
    """See `Process.stream`."""
    law = process.law_
    with torch.no_grad():
        if state is None:
            known = None if prefix is None else process.known(prefix)
            if known is not None and len(known) != 1:
                raise ParameterError(f"a stream is of one draw; prefix has {len(known)}.")
            had = 0 if known is None else int(known.lengths[0])
            law_needs = law.n_given
            if had < law_needs:
                raise ParameterError(
                    f"stream needs prefix= with at least the first {law_needs} values: this law "
                    "begins after them."
                )
            steps = had + (length or 0)
            of = 1 if known is None else known
            prepared = process.read_context(context, of, steps, offset, "prefix")
            state = begun(drawn_from, 1, known, prepared, False)
        else:
            _check_state(state, law, (prefix, context, offset))
        limits = check_length(law.space, length, state.lengths.cpu(), stops=stop is not None)
        if limits is None and not law.space.terminates:
            require_no_steps(law)
        if limits is None and stop is None:
            require_end(state.law)
        run = Drawing(state, Uniforms(seed), limits, stopper(stop, law), law.space)
    return Stream(law, run)


def _check_state(state: Any, law: ChainLaw, others: tuple[Any, ...]) -> None:
    if not isinstance(state, State) or state.n != 1:
        raise ParameterError(
            f"state must be a State of one row, as Stream.state is; got {state!r}."
        )
    if state.law is not law and getattr(state.law, "law", None) is not law:
        raise ParameterError(
            "state is of another law than this process's: go on with the process it came of."
        )
    if any(other is not None for other in others):
        raise ParameterError(
            "state holds what came before, its context and its policy; leave prefix, context, "
            "offset and policy out."
        )


def _element(x: torch.Tensor) -> Any:
    value = x.cpu().numpy()
    return value.item() if value.ndim == 0 else np.array(value)


class _Text:
    """The text of symbols as they come, in pieces that nothing later changes.

    What a symbol adds is told by decoding it after the ones before it, of which those of the last
    piece are enough.
    """

    def __init__(self, vocabulary: Any) -> None:
        self.vocabulary = vocabulary
        self.numbers: list[int] = []
        self.begin = self.read = 0

    def add(self, number: int) -> Any:
        """What one more symbol adds; None where that is not certain yet."""
        self.numbers.append(number)
        if self.vocabulary.kind == "symbols":
            return self.vocabulary.decode([number])[0]
        before, after = self._texts()
        if after.endswith(_REPLACEMENT) or not after.startswith(before):
            return None
        self.begin, self.read = self.read, len(self.numbers)
        return after[len(before) :]

    def rest(self) -> str | None:
        """What waited for more, once nothing more comes."""
        if self.vocabulary.kind == "symbols" or self.read == len(self.numbers):
            return None
        before, after = self._texts()
        self.begin, self.read = self.read, len(self.numbers)
        return after[len(before) :] or None

    def _texts(self) -> tuple[str, str]:
        decode = self.vocabulary.decode
        return decode(self.numbers[self.begin : self.read]), decode(self.numbers[self.begin :])
