"""One line on standard error when a call has to wait for its kernels to be compiled.

A silent second is as long as anybody should wonder. The line comes once in a process, and never
where the environment variable ARPROC_QUIET is set (to anything but 0).
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from numba.core import event

__all__ = ["NOTICE", "Notice"]

_KEPT = "once per machine; `arproc warm-up` does it ahead"
_LOST = "in every process: there is no folder to keep it in (NUMBA_CACHE_DIR names one)"


class Notice(event.Listener):
    """Counts the time for which this package's kernels compile, and says so when it is long.

    Args:
        after: how many seconds of compiling go by in silence.
        clock: says the time, in seconds.
    """

    def __init__(self, after: float = 1.0, clock: Callable[[], float] = time.perf_counter) -> None:
        self.after = after
        self._clock = clock
        self.kept = True  # whether what is compiled is cached on disk
        self._spent, self._depth, self._since = 0.0, 0, 0.0
        self._said = False
        self._timer: threading.Timer | None = None
        self._lock = threading.Lock()

    def on_start(self, event: Any) -> None:
        with self._lock:
            self._depth += _ours(event)
            if self._depth != 1 or not _ours(event) or self._said or _quiet():
                return
            self._since = self._clock()
            self._timer = threading.Timer(max(self.after - self._spent, 0.0), self._say)
            self._timer.daemon = True
            self._timer.start()

    def on_end(self, event: Any) -> None:
        with self._lock:
            self._depth -= _ours(event)
            if self._depth or self._timer is None:
                return
            self._timer.cancel()
            self._timer = None
            self._spent += self._clock() - self._since

    def _say(self) -> None:
        with self._lock:
            if self._said or self._timer is None or sys.stderr is None:
                return
            self._said = True
        sys.stderr.write(f"arproc: compiling, {_KEPT if self.kept else _LOST}\n")
        sys.stderr.flush()

    @contextmanager
    def muted(self) -> Iterator[None]:
        """Say nothing meanwhile: the caller shows what happens."""
        said, self._said = self._said, True
        try:
            yield
        finally:
            self._said = said


def _ours(event: Any) -> bool:
    """Whether it is a kernel of this package; what numba compiles for it lies inside."""
    function = getattr((event.data or {}).get("dispatcher"), "py_func", None)
    return getattr(function, "__module__", "").partition(".")[0] == "arproc"


def _quiet() -> bool:
    return os.environ.get("ARPROC_QUIET", "") not in ("", "0")


NOTICE = Notice()
event.register("numba:compile", NOTICE)
