"""What the engine costs a step, in microseconds of CPU time: `python -m benchmarks overhead`.

The process costs nothing: its conditional is one fixed tensor of scores. So all that is measured
is the way from a conditional to the next one: uniforms, the draw, the state, the history, who has
ended, and whether to stop. Beside it, in turns, torch builds a `Categorical` of the same scores
and draws from it.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np
import torch

import arproc
from arproc.distributions import Categorical
from arproc.sampling import Budget, MinP, Temperature
from arproc.spaces import Categorical as Symbols
from benchmarks.timing import REDUCED

SYMBOLS = 27
STEPS, ROUNDS = (100, 1) if REDUCED else (4_000, 9)
SCORES = torch.randn(1, SYMBOLS, generator=torch.Generator().manual_seed(0))


class FixedState(arproc.State):
    """It knows nothing, and keeps nothing."""

    def _conditional(self) -> Categorical:
        return Categorical(SCORES.expand(self.n, SYMBOLS))

    def _append(self, x: torch.Tensor) -> arproc.State:
        return FixedState()

    def _select(self, rows: torch.Tensor) -> arproc.State:
        return FixedState()


class Fixed(arproc.ChainLaw):
    """Symbols drawn from the same scores, by a state of its own."""

    def __init__(self, end: int | None = None) -> None:
        self.space = Symbols(SYMBOLS, end_symbol=end)

    def start(self, n: int, context: torch.Tensor | None) -> arproc.State:
        return FixedState()


class Windowed(arproc.Process):
    """The same written in one class, with a window of one element."""

    window_length = 1

    def _infer_space(self, data: object) -> Symbols:
        return Symbols(SYMBOLS)

    def _fit(self, sequences: object, *, validation: object, context: object) -> None:
        """There is nothing to learn."""

    def window(self, ctx: torch.Tensor, position: torch.Tensor) -> Categorical:
        return Categorical(SCORES.expand(*ctx.shape[:2], SYMBOLS))


def torch_draws() -> int:
    """What torch does alone."""
    for _ in range(STEPS):
        torch.distributions.Categorical(logits=SCORES).sample()
    return STEPS


def cases() -> dict[str, Callable[[], int]]:
    """Calls by name; each returns how many steps it made."""
    fixed, ends = arproc.Process.of(Fixed()), arproc.Process.of(Fixed(end=SYMBOLS - 1))
    windowed = Windowed().fit(np.arange(2 * SYMBOLS) % SYMBOLS)

    def drawn(process: arproc.Process, n: int = 1, **options: object) -> Callable[[], int]:
        def call() -> int:
            x = process.sample(n, length=STEPS, seed=0, **options)
            return max(map(len, x))

        return call

    def lines() -> int:
        found = ends.sample(STEPS // 25, length=1_000, seed=0, at_once=1)
        return sum(len(line) + 1 for line in found)

    never = lambda seen: torch.zeros(len(seen), dtype=torch.bool)  # noqa: E731
    return {
        "a state of its own": drawn(fixed),
        "a window, written in one class": drawn(windowed),
        "16 rows at once": drawn(fixed, 16),
        "rows that end, one at a time": lines,
        "after a prefix": drawn(fixed.condition([1, 2])),
        "under a temperature": drawn(fixed, policy=Temperature(0.8)),
        "under min-p": drawn(fixed, policy=MinP(0.1)),
        "with a stop function": drawn(fixed, stop=never),
        "with a budget of seconds": drawn(fixed, stop=Budget(seconds=1e6)),
    }


def main() -> None:
    """All rows; a minute on two cores."""
    torch.set_num_threads(1)
    every = {"torch's Categorical": torch_draws, **cases()}
    for call in every.values():
        for _ in range(1 if REDUCED else 3):  # the compiled loop comes after many draws
            call()
    costs: dict[str, list[float]] = {name: [] for name in every}
    for _ in range(ROUNDS):
        for name, call in every.items():
            begin = time.process_time()
            steps = call()
            costs[name].append((time.process_time() - begin) / max(steps, 1) * 1e6)
    peer = costs["torch's Categorical"]
    for name, values in costs.items():
        share = statistics.median(a / b for a, b in zip(values, peer, strict=True))
        print(
            f"{name}: {statistics.median(values):.0f} microseconds a step, {share:.2f} of torch's "
            "draw (to reach: 25 of 40, 0.62)"
        )
