"""Drawing by guesses: a draft guesses, one pass of the law verifies, what may stay is kept.

Speculative decoding in its exact and its coupled form, and fixed-point decoding, are this one
loop; they differ in who guesses (`drafts`) and by which rule a guess is kept (`verification`).
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor
from torch.distributions import Distribution

from arproc.contract.randomness import Uniforms
from arproc.contract.state import State
from arproc.distributions import Categorical, from_uniform, index, to
from arproc.errors import UnsupportedError
from arproc.sampling.ahead import Ahead
from arproc.sampling.drafts import Asked, Draft, Own
from arproc.sampling.drawers import Drawer, Enough
from arproc.sampling.policies import emptied
from arproc.sampling.verification import Guess, Noise, RowStream, Rule, Verdict

__all__ = ["Guessing", "Report"]

#: How many elements are drawn at once while no draft is asked.
_BLOCK = 16


@dataclass
class Report:
    """What drawing by guesses did.

    Attributes:
        elements: how many elements were drawn, of all rows together.
        rows: how many rows a pass had, summed over the passes.
        passes: how many passes of the law were made.
        tested: of each place of a guess, how often it came to be tested, int64 [places].
        kept: how often the element there was kept, int64 [places].
        sources: by the name of each draft, how many guesses it made and how many were kept.
        seconds: wall time of all.
        seconds_in_passes: of the law's passes.
        seconds_drafting: of the drafts.
        widths: by the number of elements in a pass: how many such passes, and their seconds.
    """

    elements: int = 0
    rows: int = 0
    passes: int = 0
    tested: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    kept: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    sources: dict[str, tuple[int, int]] = field(default_factory=dict)
    seconds: float = 0.0
    seconds_in_passes: float = 0.0
    seconds_drafting: float = 0.0
    widths: dict[int, tuple[int, float]] = field(default_factory=dict)

    @property
    def acceptance(self) -> np.ndarray:
        """The share of tested guesses that were kept, by their place in the guess, [places]."""
        return self.kept / np.maximum(self.tested, 1)

    @property
    def elements_per_pass(self) -> float:
        """How many elements a pass brought each row: 1 without guesses."""
        return self.elements / max(self.rows, 1)

    @property
    def share_of_possible(self) -> float:
        """The share of the time that the law's passes took: 1 if all else were free."""
        return self.seconds_in_passes / max(self.seconds, 1e-12)

    def __repr__(self) -> str:
        rates = ", ".join(f"{rate:.2f}" for rate in self.acceptance)
        drafts = ", ".join(f"{name} {kept}/{made}" for name, (made, kept) in self.sources.items())
        return (
            f"Report({self.elements} elements in {self.passes} passes, "
            f"{self.elements_per_pass:.2f} a pass and row; kept by place: [{rates}]; {drafts}; "
            f"{self.share_of_possible:.0%} of the time in passes)"
        )

    def count(self, guess: Guess, kept: Tensor, names: list[str]) -> None:
        """Enter the fate of a guess."""
        width = guess.x.shape[1]
        if width > len(self.kept):
            more = width - len(self.kept)
            self.kept, self.tested = np.pad(self.kept, (0, more)), np.pad(self.tested, (0, more))
        place = torch.arange(width)
        self.kept[:width] += (place < kept[:, None]).sum(0).numpy()
        tested = torch.minimum(kept + 1, guess.counts)
        self.tested[:width] += (place < tested[:, None]).sum(0).numpy()
        for number, name in enumerate(names):
            own = slice(None) if guess.sources is None else guess.sources == number
            made, stayed = self.sources.get(name, (0, 0))
            self.sources[name] = made + int(guess.counts[own].sum()), stayed + int(kept[own].sum())

    def time_pass(self, width: int, rows: int, seconds: float) -> None:
        """Enter a pass over `width` elements of some rows."""
        self.passes, self.rows = self.passes + 1, self.rows + rows
        self.seconds_in_passes += seconds
        passes, total = self.widths.get(width, (0, 0.0))
        self.widths[width] = passes + 1, total + seconds


class Guessing(Drawer):
    """Rows that are drawn by guesses.

    The element behind a guess is known before the law has seen it; so it is held back and goes
    into the next pass with the next guess, and each pass brings at least one element.

    Args:
        state: the law's, after what is known, m rows.
        uniforms: the law's own.
        draft: who guesses, after the same elements.
        rule: by which a guess is kept.
        ahead: how far the draft runs.
        report: is filled.
    """

    def __init__(
        self,
        state: State,
        uniforms: Uniforms,
        draft: Draft,
        rule: Rule,
        ahead: Ahead,
        report: Report,
    ) -> None:
        self.law, self.state, self.uniforms = state.law, state, uniforms
        self.draft, self.rule, self.ahead, self.report = draft, rule, ahead, report
        self.rows, self.positions = torch.arange(state.n), state.positions.cpu()
        self.held: Tensor | None = None
        self.ended = torch.zeros(state.n, dtype=torch.bool)
        seed = uniforms.seed
        self.accept = RowStream(Uniforms(seed, "accept"), state.n)
        self.residual = RowStream(Uniforms(seed, "residual"), state.n)
        self.names = [one.name for one in getattr(draft, "drafts", [draft])]

    def advance(self, left: Tensor | None, enough: Enough | None) -> tuple[Tensor, Tensor | None]:
        begin = time.perf_counter()
        x, counts = self._advance(left)
        self.positions = self.positions + (x.shape[1] if counts is None else counts)
        drawn = len(x) * x.shape[1] if counts is None else int(counts.sum())
        self.report.elements += drawn
        self.report.seconds += time.perf_counter() - begin
        return x, counts

    def _advance(self, left: Tensor | None) -> tuple[Tensor, Tensor | None]:
        if self.ahead.idle:
            return self._plain(left, min(self.ahead.idle, _BLOCK))
        wanted = self._wanted(left)
        own = self._own(1 + int(wanted.max()))
        guess = self._guess(wanted, own)
        width = int(guess.counts.max())
        if not width:
            return self._plain(left, 1)
        guess, own = _narrow(guess, width), own[:, : width + 1]
        columns, full, fed = self._pass(guess)
        columns, gone = self._without_gaps(columns)
        noise = Noise(self.rows, own, self.accept, self.residual)
        verdict = self.rule(columns, guess, noise)
        kept = verdict.kept
        if gone is not None:
            self._require_something(gone, kept, full, fed - width)
        self.state = self._back_to(full, fed - width + kept)
        x = self._drawn(guess, verdict)
        self.report.count(guess, kept, self.names)
        self._tell_draft(columns, verdict, guess, x)
        self.ahead.learn(guess.counts, kept, kept + 1)
        return x, kept + 1

    def _drawn(self, guess: Guess, verdict: Verdict) -> Tensor:
        """What is kept of a guess and the element behind it, which is held, [m, K + 1, *event]."""
        self.held = verdict.following.to(guess.x.dtype)
        x = torch.cat([guess.x, self.held[:, None]], dim=1)
        if x.shape[1] > 1:
            x[torch.arange(len(x)), verdict.kept] = self.held
        end = self.law.space.end
        if end is not None:  # a row that has ended is nobody's: nothing comes but ends
            inside = torch.arange(x.shape[1]) <= verdict.kept[:, None]
            self.ended = self.ended | ((x == end) & inside).any(1)
            self.held = torch.where(self.ended, end, self.held)
        return x

    def _wanted(self, left: Tensor | None) -> Tensor:
        """How many guesses each row gets: one element comes behind them."""
        wanted = torch.where(self.ended, 0, self.ahead.wanted())
        if left is None:
            return wanted
        if self.law.space.length is not None:  # no row may be read beyond its end
            left = left.clamp(max=int(left.min()))
        return torch.minimum(wanted, left - 1)

    def _own(self, count: int) -> Tensor:
        shape = self.law.space.event_shape
        return self.uniforms.block(self.rows, self.positions.numpy(), count, shape)

    def _guess(self, wanted: Tensor, own: Tensor) -> Guess:
        if not bool(wanted.any()):
            space = self.law.space
            empty = torch.zeros((len(wanted), 0, *space.event_shape), dtype=space.dtype)
            return Guess(empty, wanted)
        begin = time.perf_counter()
        asked = Asked(wanted, own[:, :-1], self.rows, self.state, self.held)
        guess = self.draft.propose(asked)
        self.report.seconds_drafting += time.perf_counter() - begin
        return guess

    def _pass(self, guess: Guess) -> tuple[Distribution, State, int]:
        """The law's conditionals along a guess, batch [m, K + 1], and its state after all of it.

        The last is how many elements went in, the held one included.
        """
        x = guess.x if self.held is None else torch.cat([self.held[:, None], guess.x], dim=1)
        begin = time.perf_counter()
        columns, full = self.state.extend(x.to(self.law.device))
        self.report.time_pass(x.shape[1], len(x), time.perf_counter() - begin)
        if self.held is not None:
            columns = index(columns, (slice(None), slice(1, None)))
        if self.law.device.type != "cpu":
            columns = to(columns, device="cpu")
        return columns, full, x.shape[1]

    def _without_gaps(self, columns: Distribution) -> tuple[Distribution, Tensor | None]:
        """Conditionals of which none is empty, and where a policy left nothing, bool [m, K + 1].

        Any will do there, since a row that comes to such a place is refused.
        """
        gone = emptied(columns)
        if gone is None or not bool(gone.any()):
            return columns, None
        if isinstance(columns, Categorical):
            return Categorical(columns.scores.masked_fill(gone[..., None], 0.0)), gone
        self._require_something(gone[:, :1], torch.zeros(len(gone)), self.state, 0)
        place = torch.where(gone, 0, torch.arange(gone.shape[1]))
        return index(columns, (torch.arange(len(gone))[:, None], place)), gone

    def _require_something(self, gone: Tensor, kept: Tensor, full: State, before: int) -> None:
        """Raise for a row that has come to a place where a policy leaves nothing."""
        come = torch.arange(gone.shape[1]) <= kept[:, None]
        reached = gone & come & ~self.ended[:, None]
        if bool(reached.any()):
            place = torch.where(reached.any(1), reached.int().argmax(1), kept).long()
            # the policy's own state tells which policy it was
            _ = self._back_to(full, place + before).conditional

    def _back_to(self, full: State, taken: Tensor) -> State:
        """The state after the first `taken` [m] of the elements that went into the pass."""
        return full.truncate(self.state.lengths + taken.to(self.law.device))

    def _tell_draft(
        self, columns: Distribution, verdict: Verdict, guess: Guess, x: Tensor
    ) -> None:
        begin = time.perf_counter()
        if isinstance(self.draft, Own) and verdict.drawn is not None:
            self.draft.learn(columns, verdict.drawn, verdict.kept, guess.counts)
        self.draft.follow(x, verdict.kept + 1)
        self.report.seconds_drafting += time.perf_counter() - begin

    def _plain(self, left: Tensor | None, count: int) -> tuple[Tensor, Tensor | None]:
        """So many elements one after another, while no draft is asked or none has a guess.

        The last is held as after a guess: what a draft sees is a row's own, whatever others do.
        """
        count = count if left is None else min(count, int(left.min()))
        own = self._own(count).to(self.law.device)
        begin = time.perf_counter()
        if self.held is not None:
            self.state = self.state.append(self.held.to(self.law.device))
        x, self.state = self.state.advance(own[:, :-1])
        last = from_uniform(self.state.conditional, own[:, -1]).to(x.dtype)
        self.held = last.cpu()
        x = torch.cat([x, last[:, None]], dim=1)
        seconds = time.perf_counter() - begin
        for _ in range(count):
            self.report.time_pass(1, len(x), seconds / count)
        if self.law.space.end is not None:
            self.ended = self.ended | (x.cpu() == self.law.space.end).any(1)
        self.draft.follow(x.cpu(), torch.full((len(x),), count))
        self.ahead.rested(count)
        return x.cpu(), None

    def select(self, rows: Tensor) -> None:
        self.state = self.state.select(rows)
        self.draft.select(rows)
        self.ended = self.ended[rows]
        self.ahead.select(rows)
        self.rows, self.positions = self.rows[rows], self.positions[rows]
        self.held = None if self.held is None else self.held[rows]

    def admit(self, rows: Tensor) -> None:
        raise UnsupportedError("rows that are drawn by guesses are all drawn at once.")


def _narrow(guess: Guess, width: int) -> Guess:
    """A guess of this many elements, as many as the longest that counts."""
    if guess.x.shape[1] == width:
        return guess
    columns = guess.columns
    if columns is not None:
        columns = index(columns, (slice(None), slice(0, width)))
    return Guess(guess.x[:, :width], guess.counts, columns, guess.sources)
