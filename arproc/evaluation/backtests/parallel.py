"""The parts of a backtest on several processes, each with a copy of the model and the data."""

from __future__ import annotations

import os
import pickle
import warnings
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import Any

import torch

from arproc.errors import ParameterError, TrainingError, check_integer
from arproc.evaluation.backtests.origins import Made, Work

__all__ = ["check_jobs", "in_parallel"]


def check_jobs(n_jobs: Any) -> int:
    """How many processes are asked for: -1 is as many as there are cores.

    Raises:
        ParameterError: it is no such number.
    """
    asked = check_integer("n_jobs", n_jobs, minimum=-1)
    if asked == 0:
        raise ParameterError("n_jobs must be 1 or more, or -1 for as many as cores; got 0.")
    if asked > 0:
        return asked
    usable = getattr(os, "sched_getaffinity", None)  # Linux alone tells which are allowed
    return len(usable(0)) if usable is not None else os.cpu_count() or 1


def in_parallel(work: Work, numbers: list[int], jobs: int) -> Iterator[tuple[list[Made], int]]:
    """What `work.do` gives, part by part as they are finished, with how many origins it is of.

    Processes are started anew rather than forked, so that threads of this one do no harm. Where
    one fit is for all origins it is made here, once.

    Raises:
        ParameterError: the model can not be sent to other processes.
        TrainingError: one of them has died.
    """
    if len({work.plan.fits_at(k) for k in numbers}) == 1:
        work.fit(numbers[0])
    parts = work.parts(numbers, jobs)
    jobs = min(jobs, len(parts))
    try:
        sent = pickle.dumps(work)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise ParameterError(
            f"n_jobs={jobs} needs a model and data that can be pickled; this can not: {error}. "
            "Use n_jobs=1, or define the model's class at the top of a module."
        ) from error
    threads = max(1, torch.get_num_threads() // jobs)
    pool = ProcessPoolExecutor(jobs, get_context("spawn"), _receive, (sent, threads))
    try:
        running = {pool.submit(_do, part): len(part) for part in parts}
        for finished in as_completed(running):
            made, said = finished.result()
            for text, kind in said:
                warnings.warn(text, kind, stacklevel=2)
            yield made, running[finished]
    except BrokenProcessPool as error:
        raise TrainingError(
            "a process of this backtest died: killed, out of memory (use fewer n_jobs, and "
            "folder= so that what is finished is kept), or started by a script that does not make "
            'this call under `if __name__ == "__main__":`.'
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


_received: list[Any] = []  # of a worker: what it was sent, or why it could not be read


def _receive(sent: bytes, threads: int) -> None:
    torch.set_num_threads(threads)
    try:
        _received.append(pickle.loads(sent))
    except Exception as error:  # a class that only the first process knows
        _received.append(error)


def _do(part: list[int]) -> tuple[list[Made], list[tuple[str, type[Warning]]]]:
    """In a worker: some origins, and what was warned of."""
    work = _received[0]
    if not isinstance(work, Work):
        raise ParameterError(
            f"n_jobs: another process can not read the model: {work}. Use n_jobs=1, or define the "
            "model's class at the top of a module."
        )
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("default")
        made = list(work.do(part))
    return made, [(str(one.message), one.category) for one in heard]
