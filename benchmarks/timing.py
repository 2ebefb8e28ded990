"""Timing two things side by side: alternated in one run, reported as a ratio with its spread."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

__all__ = ["REDUCED", "Ratio", "machine", "memory", "side_by_side"]

#: Whether everything is to be as small as it can be, to see that it runs.
REDUCED = bool(os.environ.get("BENCH_REDUCED"))


class Ratio(NamedTuple):
    """What `side_by_side` measured: seconds (medians), and peer time over ours."""

    ours: float
    peer: float
    median: float
    low: float
    high: float

    def __str__(self) -> str:
        return (
            f"ours {_duration(self.ours)}, peer {_duration(self.peer)}: {self.median:.1f} times "
            f"as fast (quartiles {self.low:.1f} to {self.high:.1f})"
        )


def side_by_side(
    ours: Callable[[], object],
    peer: Callable[[], object],
    rounds: int = 9,
    repeat_ours: int = 1,
    repeat_peer: int = 1,
) -> Ratio:
    """Alternate the two and compare each round, so that a slow moment hits both.

    Args:
        ours: the call of arproc's.
        peer: the call it is compared with.
        rounds: how many pairs are measured, after one that warms up.
        repeat_ours: calls a measurement, for short ones.
        repeat_peer: likewise.
    """
    if REDUCED:
        rounds = repeat_ours = repeat_peer = 1
    ours(), peer()
    pairs = [(_seconds(ours, repeat_ours), _seconds(peer, repeat_peer)) for _ in range(rounds)]
    ratios = sorted(b / a for a, b in pairs)
    quartiles = statistics.quantiles(ratios, n=4) if len(ratios) > 1 else [ratios[0]] * 3
    return Ratio(
        statistics.median(a for a, _ in pairs),
        statistics.median(b for _, b in pairs),
        quartiles[1],
        quartiles[0],
        quartiles[2],
    )


def machine() -> str:
    """The machine in a line: cores, threads, versions."""
    import platform

    import torch

    return (
        f"{platform.machine()}, {os.cpu_count()} cores, torch {torch.__version__} with "
        f"{torch.get_num_threads()} threads, Python {platform.python_version()}"
    )


def memory(name: str = "VmHWM") -> int:
    """Bytes of this process: the most that it had ("VmHWM"), or what it has now ("VmRSS").

    Linux's own table; `getrusage` begins a new process with the peak of the one that started it.
    """
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(dict(line.split(":") for line in lines)[name].split()[0])


def _seconds(call: Callable[[], object], repeat: int) -> float:
    begin = time.perf_counter()
    for _ in range(repeat):
        call()
    return (time.perf_counter() - begin) / repeat


def _duration(seconds: float) -> str:
    for unit, scale in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if seconds >= scale:
            return f"{seconds / scale:.3g} {unit}"
    return f"{seconds / 1e-9:.3g} ns"
