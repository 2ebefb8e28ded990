"""From a text file to the levels of its trie on disk: sorted runs, then one merge of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from arproc.data.vocabulary import Vocabulary
from arproc.models.ngram.counting.counts import (
    Alphabet,
    check_size,
    newest,
    symbol_type,
    windows_of,
    word_widths,
)
from arproc.models.ngram.streaming.text import piece_edges, read_piece
from arproc.models.ngram.streaming.workspace import Column, Workspace

__all__ = ["Job", "count_runs", "merge_runs"]

#: Bytes of memory for each window of a piece while runs are merged, its n-grams included.
_PER_WINDOW = 80
#: How many symbols' windows are located in the runs at a time.
_SYMBOLS = 1 << 14


@dataclass(frozen=True)
class Job:
    """What is computed, where, and with how much memory.

    Attributes:
        work: the folder.
        alphabet: the symbols' numbers.
        order: the highest order N.
        budget: bytes that arrays may take at a time.
    """

    work: Workspace
    alphabet: Alphabet
    order: int
    budget: int

    @property
    def bits(self) -> int:
        """The bits of a symbol in a window."""
        return self.alphabet.size.bit_length()

    @property
    def widths(self) -> np.ndarray:
        """How many symbols each word of a window holds, int64 [words]."""
        return word_widths(self.order - 1, self.bits)

    @property
    def sizes(self) -> np.ndarray:
        """How many n-grams of each order 0 to N there are, int64 [N + 1]."""
        return self.work.column("sizes", np.int64).read(0, self.order + 1)

    def symbol(self, k: int) -> Column:
        """The last symbols of the k-grams."""
        return self.work.column(f"symbol-{k}", symbol_type(self.alphabet.size))

    def count(self, k: int) -> Column:
        """How often the k-grams occur."""
        return self.work.column(f"count-{k}", np.uint32)

    def child(self, k: int) -> Column:
        """Where the continuations of the k-grams begin among the (k+1)-grams; one more."""
        return self.work.column(f"child-{k}", np.uint32)

    def link(self, k: int) -> Column:
        """Each k-gram without its first symbol, as a number among the (k-1)-grams."""
        return self.work.column(f"link-{k}", np.uint32)


def count_runs(job: Job, path: Path, vocabulary: Vocabulary, tokens: float) -> int:
    """Count the windows of the file in pieces, each sorted and written as a run.

    Args:
        job: what is computed.
        path: the text.
        vocabulary: of the text.
        tokens: about how many bytes of the file a symbol takes.

    Returns:
        How many runs there are.
    """
    per_token = 8 * tokens + 26 + 10 * len(job.widths)
    kind = vocabulary.kind
    edges = piece_edges(path, kind, max(int(job.budget / per_token * tokens), 1 << 10))
    work = job.work
    seen = np.full(job.alphabet.size, -1, np.int64)
    for i in tqdm(range(len(edges) - 1), desc="counting", disable=None):
        if work.has("sizes"):
            break
        if work.has(f"run-{i}-kept"):
            seen = work.column(f"run-{i}-seen", np.int64).read(0, len(seen))
        else:
            text, own = read_piece(
                path, edges[i], edges[i + 1], vocabulary, job.alphabet, job.order
            )
            _write_run(job, i, text, own, seen, edges[i])
    return len(edges) - 1


def _write_run(
    job: Job, i: int, text: np.ndarray, own: int, seen: np.ndarray, before: int
) -> None:
    """Write the windows of a piece, and where each symbol was first seen: `seen` is moved on."""
    from arproc.models.ngram.counting.level_kernels import first_seen
    from arproc.models.ngram.streaming import kernels

    work = job.work
    here = first_seen(text, job.alphabet.size)
    fresh = (seen < 0) & (here >= 0)
    seen[fresh] = here[fresh] + 4 * before  # a byte of text gives at most three symbols
    with work.writer(f"run-{i}-seen", np.int64) as file:
        file.append(seen)
    if job.alphabet.terminates:
        with work.writer(f"run-{i}-newest", np.int64) as file:
            file.append(np.stack(newest(text, seen, job.order, job.alphabet)).ravel())
    elif i == 0:
        with work.writer("beginning", np.int32) as file:
            file.append(text[: job.order])
    windows = windows_of(text, own, job.order, job.alphabet.size)
    del text
    kept = windows.kept
    if len(job.widths):
        n = kernels.compact(windows.keys, windows.times, windows.starts, kept)
        for j in range(len(job.widths)):
            with work.writer(f"run-{i}-keys-{j}", np.uint64) as file:
                file.append(windows.keys[j, :n])
        with work.writer(f"run-{i}-times", np.uint32) as file:
            file.append(windows.times[:n])
    with work.writer(f"run-{i}-kept", np.uint32) as file:
        file.append(kept)


class _Run:
    """One run, read from its beginning on."""

    def __init__(self, job: Job, i: int) -> None:
        work, words = job.work, len(job.widths)
        self.keys = [work.column(f"run-{i}-keys-{j}", np.uint64) for j in range(words)]
        self.times = work.column(f"run-{i}-times", np.uint32)
        self.kept = work.column(f"run-{i}-kept", np.uint32)

    def find(self, low: int, high: int, pivot: np.uint64) -> int:
        """The first window of low ... high-1 whose first word is at least `pivot`."""
        while low < high:
            middle = (low + high) >> 1
            if self.keys[0].read(middle, middle + 1)[0] < pivot:
                low = middle + 1
            else:
                high = middle
        return low


@dataclass
class _Piece:
    """Some windows of all runs: those of whole symbols, or a part of one symbol's.

    Attributes:
        first: the first symbol.
        goes_on: whether an earlier piece had other windows of this symbol.
        edges: int64 [runs, symbols + 1], where each symbol's windows begin in each run.
    """

    first: int
    goes_on: bool
    edges: np.ndarray


def merge_runs(job: Job, runs: int) -> None:
    """Merge the runs and write the levels of the trie: symbols, counts, first continuations."""
    if job.work.has("sizes"):
        return
    if job.order == 1:
        _single_level(job, runs)
        return
    found = [_Run(job, i) for i in range(runs)]
    limit = max(job.budget // (_PER_WINDOW + 12 * job.order + 8 * len(job.widths)), 1 << 10)
    with tqdm(total=job.alphabet.size, desc="merging", disable=None) as bar:
        _write_levels(job, found, limit, bar)
    if job.alphabet.terminates:
        columns = [job.work.column(f"run-{i}-newest", np.int64) for i in range(runs)]
        grams = [c.read(0, len(c)).reshape(2, -1).tolist() for c in columns]
        with job.work.writer("newest", np.int64) as file:
            file.append(np.array(max(grams)[1]))
    with job.work.writer("sizes", np.int64) as file:
        levels = [len(job.count(k)) for k in range(1, job.order + 1)]
        check_size(1 + sum(levels))
        file.append(np.array([1, *levels]))
    for i in range(runs):
        names = [f"keys-{j}" for j in range(len(job.widths))]
        job.work.remove(
            *(f"run-{i}-{name}" for name in [*names, "times", "kept", "newest", "seen"])
        )


def _single_level(job: Job, runs: int) -> None:
    """The level of a model of order 1."""
    kept = [job.work.column(f"run-{i}-kept", np.uint32) for i in range(runs)]
    total = np.sum([c.read(0, len(c)).astype(np.int64) for c in kept], axis=0)
    for name, numbers in (("symbol-1", np.arange(len(total))), ("count-1", total)):
        with job.work.writer(name, job.symbol(1).dtype if "sym" in name else np.uint32) as file:
            file.append(numbers)
    with job.work.writer("sizes", np.int64) as file:
        file.append(np.array([1, len(total)]))


def _pieces(job: Job, runs: list[_Run], limit: int) -> Iterator[_Piece]:
    """The windows of all runs in pieces of at most about `limit`, in the order of the trie."""
    at = np.zeros(len(runs), np.int64)
    for begin in range(0, job.alphabet.size, _SYMBOLS):
        end = min(begin + _SYMBOLS, job.alphabet.size)
        kept = np.stack([run.kept.read(begin, end) for run in runs]).astype(np.int64)
        edges = at[:, None] + np.concatenate([np.zeros((len(runs), 1), int), kept.cumsum(1)], 1)
        at = edges[:, -1]
        total = np.concatenate([[0], kept.sum(0).cumsum()])
        low = 0
        while low < end - begin:
            high = int(np.searchsorted(total, total[low] + limit, side="right")) - 1
            if high > low:
                yield _Piece(begin + low, False, edges[:, low : high + 1])
            else:
                high = low + 1
                yield from _parts(begin + low, runs, edges[:, low : high + 1], limit)
            low = high


def _parts(w: int, runs: list[_Run], edges: np.ndarray, limit: int) -> Iterator[_Piece]:
    """The windows of one symbol in parts, cut where a sample of them says."""
    total = int((edges[:, 1] - edges[:, 0]).sum())
    step = max(total // 4096, 1)
    sample = np.sort(
        [run.keys[0].read(i, i + 1)[0] for run, (a, b) in zip(runs, edges, strict=True)
         for i in range(int(a), int(b), step)]
    )  # fmt: skip
    parts = -(-2 * total // limit)
    pivots = np.unique(sample[len(sample) * np.arange(1, parts) // parts])
    low = edges[:, 0]
    for number, pivot in enumerate([*pivots, None]):
        high = edges[:, 1]
        if pivot is not None:
            ends = zip(runs, low.tolist(), high.tolist(), strict=True)
            high = np.array([run.find(a, b, pivot) for run, a, b in ends])
        yield _Piece(w, number > 0, np.stack([low, high], 1))
        low = high


def _write_levels(job: Job, runs: list[_Run], limit: int, bar: tqdm) -> None:
    order, work = job.order, job.work
    before, used = np.zeros(order + 1, np.int64), np.zeros(order + 1, np.int64)
    previous = np.zeros((len(job.widths), 1), np.uint64)
    singles = np.zeros((job.alphabet.size, 2), np.int64)
    kinds = {"symbol": job.symbol(1).dtype, "count": np.uint32, "child": np.uint32}
    names = [(n, k) for k in range(2, order + 1) for n in kinds if n != "child" or k < order]
    held: dict[str, np.ndarray] = {}
    with ExitStack() as stack:
        files = {(n, k): stack.enter_context(work.writer(f"{n}-{k}", kinds[n])) for n, k in names}
        for piece in _pieces(job, runs, limit):
            _append(job, runs, piece, before, used, previous, singles, held)
            # the last n-gram of each order stays: the next piece may go on with it
            for n, k in names:
                files[n, k].append(held[n][k, : max(used[k] - 1, 0)])
                if used[k]:
                    held[n][k, 0] = held[n][k, used[k] - 1]
            before += np.maximum(used - 1, 0)
            np.minimum(used, 1, out=used)
            bar.update(piece.first - bar.n)
        for n, k in names:
            if n in held:
                files[n, k].append(held[n][k, : used[k]])
        totals = before + used
        for k in range(2, order):
            files["child", k].append(np.array([totals[k + 1]]))
    _write_singles(job, singles, int(totals[2]))


def _append(
    job: Job,
    runs: list[_Run],
    piece: _Piece,
    before: np.ndarray,
    used: np.ndarray,
    previous: np.ndarray,
    singles: np.ndarray,
    held: dict[str, np.ndarray],
) -> None:
    """Merge one piece and add its n-grams to those that are held."""
    from arproc.models.ngram.streaming import kernels

    widths = np.diff(piece.edges)
    starts = np.concatenate([[0], np.cumsum(widths.sum(0))])
    keys = np.empty((len(job.widths), starts[-1]), np.uint64)
    times = np.empty(starts[-1], np.uint32)
    fill = starts[:-1].copy()
    for run, width, edges in zip(runs, widths, piece.edges, strict=True):
        block = np.stack([c.read(int(edges[0]), int(edges[-1])) for c in run.keys])
        kernels.distribute(block, run.times.read(int(edges[0]), int(edges[-1])), width, fill,
                           keys, times)  # fmt: skip
    kept = np.zeros(widths.shape[1], np.int64)
    kernels.merge(keys, times, starts, job.widths, job.bits, kept)
    room = int(kept.sum()) + 1
    if not held or held["symbol"].shape[1] < room:
        for n, kind in (("symbol", np.int32), ("count", np.uint32), ("child", np.uint32)):
            wider = np.zeros((job.order + 1, room), kind)
            if n in held:
                wider[:, 0] = held[n][:, 0]
            held[n] = wider
    found = np.zeros((len(kept), 2), np.int64)
    kernels.append_levels(
        keys, times, starts, kept, job.widths, job.bits, piece.goes_on, previous, before, used,
        held["symbol"], held["count"], held["child"], found,
    )  # fmt: skip
    if piece.goes_on:
        singles[piece.first, 1] += found[0, 1]
    else:
        singles[piece.first : piece.first + len(found)] = found


def _write_singles(job: Job, singles: np.ndarray, pairs: int) -> None:
    """The level of single symbols."""
    numbers = {
        "symbol-1": (np.arange(len(singles)), job.symbol(1).dtype),
        "count-1": (singles[:, 1], np.uint32),
        "child-1": (np.append(singles[:, 0], pairs), np.uint32),
    }
    for name, (column, kind) in numbers.items():
        with job.work.writer(name, kind) as file:
            file.append(column)
