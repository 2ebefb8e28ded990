"""What a training run shows, and how it takes an interrupt."""

from __future__ import annotations

import math
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

__all__ = ["Interrupts", "ProgressBar"]


class Interrupts:
    """Holds an interrupt (Ctrl-C) back where a step must stay whole; a second one goes through.

    As a context manager it takes the signal; within it `held()` marks what must not be cut.

    Args:
        shared: whether other processes must stop at the same step: then an interrupt is noted as
            `asked`, and whoever reads it tells them and raises.
    """

    def __init__(self, *, shared: bool = False) -> None:
        self.shared = shared
        self.asked = self._taken = False
        self._depth = 0

    @property
    def holding(self) -> bool:
        """Whether something that must not be cut was begun, and did not come to its end."""
        return self._depth > 0

    def __enter__(self) -> Interrupts:
        main = threading.current_thread() is threading.main_thread()
        self._taken = main and signal.getsignal(signal.SIGINT) is signal.default_int_handler
        if self._taken:
            signal.signal(signal.SIGINT, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        if self._taken:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if (self.holding or self.shared) and not self.asked:
            self.asked = True
        else:
            signal.default_int_handler(number, frame)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Run what is inside to its end, then let an interrupt that came meanwhile through.

        `holding` stays true if what is inside fails, so it tells whether a step is broken.
        """
        self._depth += 1
        yield
        self._depth -= 1
        if self.asked and not self.holding and not self.shared:
            self.asked = False
            raise KeyboardInterrupt


class ProgressBar:
    """Steps, the time left, the loss averaged over the last ones, and the validation loss.

    Args:
        steps: how many there will be.
        shown: whether it is shown; None shows it where standard error is a terminal.
    """

    def __init__(self, steps: int, shown: bool | None) -> None:
        self.steps, self.mean, self.validation = steps, math.nan, ""
        self.shown = sys.stderr.isatty() if shown is None else shown
        self.bar: Any = None

    def begin(self, step: int) -> None:
        """Show the bar, `step` steps being done already."""
        if self.shown:
            from tqdm import tqdm

            self.bar = tqdm(total=self.steps, initial=step, unit="step", desc="training")

    def update(self, loss: float) -> None:
        """One more step is done."""
        if self.bar is not None:
            self.mean = loss if math.isnan(self.mean) else 0.95 * self.mean + 0.05 * loss
            self.bar.set_postfix_str(f"loss {self.mean:.3f} nats{self.validation}", refresh=False)
            self.bar.update()

    def note(self, validation: float, best: float) -> None:
        """The validation data have been scored."""
        self.validation = f", validation {validation:.3f} (best {best:.3f})"

    def close(self) -> None:
        """Leave the bar as it is."""
        if self.bar is not None:
            self.bar.close()
