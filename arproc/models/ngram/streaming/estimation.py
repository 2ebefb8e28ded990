"""From the levels on disk to a model on disk: links, adjusted counts, discounts, probabilities.

Where an n-gram's shorter ones are looked up, a block of those is held in memory while all of the
longer ones stream past; so memory bounds the block, and a smaller one makes more passes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from tqdm import tqdm

from arproc.models.ngram.backoff.index import slots_for
from arproc.models.ngram.backoff.trie import Trie
from arproc.models.ngram.smoothing.smoothings import (
    DISCOUNTED,
    Discounts,
    Share,
    choose_discount,
    never,
    tallied,
    warn_of,
)
from arproc.models.ngram.streaming.counting import Job
from arproc.models.ngram.streaming.workspace import Column

#: Room for what is carried from one block of a hash table to the next, at least.
_SPILT = 1 << 16

__all__ = ["assemble", "connect", "probabilities"]


def connect(job: Job) -> None:
    """Write the links of all orders, and the adjusted counts of all but the highest."""
    for k in tqdm(range(2, job.order + 1), desc="linking", disable=None):
        if not job.work.has(f"link-{k}"):
            _write_links(job, k)
        if not job.work.has(f"adjusted-{k - 1}"):
            _write_adjusted(job, k - 1)


def _write_links(job: Job, k: int) -> None:
    from arproc.models.ngram.streaming import kernels

    with job.work.writer(f"link-{k}", np.uint32) as file:
        if k == 2:
            for a, b in _spans(int(job.sizes[2]), job.budget // 16):
                file.append(job.symbol(2).read(a, b))
            return
        n = int(job.sizes[k - 2])
        for number, (low, high, block_child) in enumerate(
            _contexts(job.child(k - 2), 0, n, job.budget // 32)
        ):
            block_symbol = job.symbol(k - 1).read(int(block_child[0]), int(block_child[-1]))
            for a, b, child in _contexts(
                job.child(k - 1), 0, int(job.sizes[k - 1]), job.budget // 64
            ):
                first, last = int(child[0]), int(child[-1])
                link = file.read(first, last) if number else np.zeros(last - first, np.uint32)
                kernels.connect_block(
                    low, high, block_child, block_symbol, job.link(k - 1).read(a, b),
                    child - first, job.symbol(k).read(first, last), link,
                )  # fmt: skip
                file.write(first, link)


def _write_adjusted(job: Job, k: int) -> None:
    """Kneser-Ney's counts of order k, below the highest."""
    from arproc.models.ngram.streaming import kernels

    begins = _beginnings(job, k)
    with job.work.writer(f"adjusted-{k}", np.uint32) as file:
        for low, high in _spans(int(job.sizes[k]), job.budget // 8):
            count = np.zeros(high - low, np.uint32)
            for a, b in _spans(int(job.sizes[k + 1]), job.budget // 8):
                kernels.count_block(job.link(k + 1).read(a, b), low, count)
            a, b = (min(max(edge, low), high) for edge in begins)
            if a < b and not job.alphabet.terminates:
                count[a - low : b - low] += 1
            elif a < b:
                count[a - low : b - low] = job.count(k).read(a, b) if k > 1 else 0
            file.append(count)


def _beginnings(job: Job, k: int) -> tuple[int, int]:
    """The k-grams at the beginning of a text: all that begin with `<s>`, or a stream's first."""
    if job.alphabet.terminates:
        low, high = job.alphabet.begin, job.alphabet.begin + 1
        for j in range(1, k):
            low, high = job.child(j)[low], job.child(j)[high]
        return low, high
    column = job.work.column("beginning", np.int32)
    gram = column.read(0, min(k, len(column)))
    at = _descend(job, gram) if len(gram) == k and (gram >= 0).all() else None
    return (0, 0) if at is None else (at, at + 1)


def _descend(job: Job, gram: np.ndarray) -> int | None:
    """The number of an n-gram within its order, or None."""
    at = int(gram[0])
    for k, w in enumerate(gram[1:].tolist(), 1):
        low, high = job.child(k)[at], job.child(k)[at + 1]
        symbols = job.symbol(k + 1).read(low, high)
        place = int(np.searchsorted(symbols, w))
        if place == len(symbols) or symbols[place] != w:
            return None
        at = low + place
    return at


def probabilities(
    job: Job,
    smoothing: str,
    fallback: np.ndarray | None,
    interpolate_unigrams: bool,
    repeated: Share,
) -> Discounts:
    """Write log-probabilities and back-off weights of all orders; see `smoothing.discounted`."""
    values, source = [], []
    for k in tqdm(range(1, job.order + 1), desc="smoothing", disable=None):
        if not job.work.has(f"backoff-{k - 1}"):
            if k > 1 and not job.work.has(f"below-{k}"):
                _gather(job, k)
            discount, origin = _discount(job, k, smoothing, fallback, repeated)
            job.work.note(f"discount-{k}", [discount.tolist(), origin])
            _interpolate(job, k, smoothing, discount, interpolate_unigrams)
            job.work.remove(f"below-{k}", f"p-{k - 1}")
        found, origin = job.work.noted(f"discount-{k}")
        values.append(found[1:])
        source.append(origin)
    job.work.remove(f"p-{job.order}")
    discounts = Discounts.of(values, source)
    warn_of(discounts, repeated)
    return discounts


def _gather(job: Job, k: int) -> None:
    """Write for each k-gram the probability of its link."""
    from arproc.models.ngram.streaming import kernels

    n = int(job.sizes[k])
    with job.work.writer(f"below-{k}", np.float32) as file:
        lower = job.work.column(f"p-{k - 1}", np.float32)
        for low, high in _spans(int(job.sizes[k - 1]), job.budget // 8):
            values = lower.read(low, high)
            for a, b in _spans(n, job.budget // 24):
                out = file.read(a, b) if low else np.zeros(b - a, np.float32)
                kernels.gather_block(job.link(k).read(a, b), low, values, out)
                file.write(a, out)


def _counted(job: Job, k: int, smoothing: str) -> Column:
    """The counts that are discounted."""
    if DISCOUNTED[smoothing].adjusted and k < job.order:
        return job.work.column(f"adjusted-{k}", np.uint32)
    return job.count(k)


def _discount(
    job: Job, k: int, smoothing: str, fallback: np.ndarray | None, repeated: Share
) -> tuple[np.ndarray, str]:
    """The discounts of order k, and where they come from."""
    from arproc.models.ngram.smoothing import smoothing_kernels as kernels

    rule, counted = DISCOUNTED[smoothing], _counted(job, k, smoothing)

    def tally(most: int) -> np.ndarray:
        n = np.zeros(most + 1, np.int64)
        for a, b in _spans(int(job.sizes[k]), job.budget // 8):
            skip = _skip(job, k) - a if a <= _skip(job, k) < b else -1
            n += kernels.tally(0, b - a, counted.read(a, b), skip, most)
        return n

    n = tally(4)
    if rule.adjusted and job.alphabet.terminates and k < job.order:
        column = job.work.column("newest", np.int64)
        newest = column.read(0, len(column))
        at = _descend(job, newest[:k][::-1]) if k <= len(newest) else None
        if at is not None:
            n = tallied(n, counted[at], job.count(k)[at])

    def log_likelihood(d: np.ndarray) -> float:
        total = 0.0
        for piece in _chunks(job, k, counted):
            count, _, link, p, first, last, child = piece
            total += kernels.leave_one_out(
                first, last, child, count, link, _skip(job, k), d, _uniform(job), p
            )
        return total

    plain = not rule.adjusted or k == job.order
    share = repeated if plain else never
    return choose_discount(n, rule, fallback, log_likelihood, tally, share)


def _interpolate(
    job: Job, k: int, smoothing: str, discount: np.ndarray, interpolate_unigrams: bool
) -> None:
    from arproc.models.ngram.backoff import query_kernels
    from arproc.models.ngram.smoothing import smoothing_kernels as kernels

    work, alphabet = job.work, job.alphabet
    low = _uniform(job) if interpolate_unigrams else 0.0
    with (
        work.writer(f"backoff-{k - 1}", np.float32) as back_off,
        work.writer(f"logp-{k}", np.float32) as log_prob,
        work.writer(f"p-{k}", np.float32) as kept,
    ):
        for count, plain, link, p, first, last, child in _chunks(
            job, k, _counted(job, k, smoothing)
        ):
            weight = np.ones(last)
            kernels.discounted(
                first, last, child, count, plain, -1, link, _skip(job, k), discount, low, p, weight
            )
            if k == 1 and not interpolate_unigrams:
                p[alphabet.unknown] += weight[0]
            n = int(child[-1])
            kept.append(p[:n])
            logs = np.empty(n, np.float32)
            query_kernels.logarithms(p[:n], logs)
            log_prob.append(logs)
            weights = np.zeros(last - first, np.float32)
            if k > 1:  # the single symbols' own uniform part is in their probabilities
                query_kernels.logarithms(weight[first:last], weights)
            back_off.append(weights)


def _chunks(job: Job, k: int, counted: Column) -> Iterator[tuple]:
    """The k-grams in pieces, as the kernels of smoothing take them.

    Gives counts, plain counts, links, probabilities (room for those of the piece, then those
    below), the first context, one beyond the last, and where continuations begin. Contexts are
    numbered from 1 on, 0 being that of single symbols, which alone has nothing below.
    """
    if k == 1:
        n = int(job.sizes[1])
        child, plain = np.array([0, n]), job.count(1).read(0, n)
        yield counted.read(0, n), plain, np.zeros(n, np.int32), np.zeros(n), 0, 1, child
        return
    below = job.work.column(f"below-{k}", np.float32)
    contexts = _contexts(job.child(k - 1), 0, int(job.sizes[k - 1]), job.budget // 64)
    for _, _, child in contexts:
        a, b = int(child[0]), int(child[-1])
        n = b - a
        p = np.zeros(2 * n)
        p[n:] = below.read(a, b)
        link = np.arange(n, 2 * n, dtype=np.int32)
        ends = np.concatenate([[0], child - a])
        plain = job.count(k).read(a, b)
        yield counted.read(a, b), plain, link, p, 1, len(child), ends


def assemble(job: Job) -> Trie:
    """Write the model's arrays, each whole, and open them."""
    work, sizes, order = job.work, job.sizes, job.order
    levels = np.concatenate([[0], np.cumsum(sizes)])
    kinds: dict[str, Any] = {
        "symbol": job.symbol(1).dtype, "link": np.int32, "first_child": np.int32,
        "log_prob": np.float32, "back_off": np.float32,
    }  # fmt: skip
    if not work.has("index"):
        for name, kind in kinds.items():
            if work.has(name):
                continue
            with work.writer(name, kind) as file:
                if name in ("symbol", "link", "log_prob"):
                    file.append(np.zeros(1))
                for k in range(order + 1):
                    for part in _parts_of(job, name, k, levels):
                        file.append(part)
                if name == "first_child":
                    file.append(levels[-1:])
        _write_index(job, levels)
    opened = {name: work.column(name, kind).mapped() for name, kind in kinds.items()}
    opened["stored_index"] = work.column("index", np.int32).mapped()
    return Trie(job.alphabet, levels, **opened)  # type: ignore[arg-type]


def _parts_of(job: Job, name: str, k: int, levels: np.ndarray) -> Iterator[np.ndarray]:
    """What the k-grams, as nodes of the trie, have in one of its arrays."""
    n, step = int(job.sizes[k]), job.budget // 32
    work = job.work
    if name == "first_child":
        if k == 0:
            yield levels[1:2]
        elif k < job.order:
            for a, b in _spans(n, step):
                yield job.child(k).read(a, b).astype(np.int64) + levels[k + 1]
    elif name == "back_off":
        if k < job.order:
            for a, b in _spans(n, step):
                yield work.column(f"backoff-{k}", np.float32).read(a, b)
    elif k > 0:
        for a, b in _spans(n, step):
            if name == "symbol":
                yield job.symbol(k).read(a, b)
            elif name == "log_prob":
                yield work.column(f"logp-{k}", np.float32).read(a, b)
            elif k == 1:
                yield np.zeros(b - a, np.int32)
            else:
                yield job.link(k).read(a, b).astype(np.int64) + levels[k - 1]


def _write_index(job: Job, levels: np.ndarray) -> None:
    """The hash table of the continuations of wide nodes."""
    from arproc.models.ngram.streaming import kernels

    orders = [(k, job.child(k), int(job.sizes[k])) for k in range(1, job.order)]
    step = job.budget // 64
    wide = sum(
        kernels.count_wide(child)
        for _, column, n in orders
        for _, _, child in _contexts(column, 0, n, step)
    )
    slots, room = slots_for(wide), max(job.budget // 12, 1)
    spilt, spills = np.empty(max(_SPILT, slots // max(slots // room, 1)), np.int32), 0
    with job.work.writer("index", np.int32) as file:
        for low, high in _spans(slots, room):
            block = np.full(high - low, -1, np.int32)
            # a search that runs over the end of one block goes on at the beginning of the next
            taken = kernels.place_first(block, spilt[:spills])
            spilt[: spills - taken] = spilt[taken:spills].copy()
            spills -= taken
            for k, column, n in orders:
                for a, _, child in _contexts(column, 0, n, step):
                    first, last = int(child[0]), int(child[-1])
                    symbol = job.symbol(k + 1).read(first, last)
                    base = int(levels[k + 1]) + first
                    spills = kernels.fill_index_block(
                        int(levels[k]) + a, base, child - first, symbol, slots, low, block,
                        spilt, spills,
                    )  # fmt: skip
            file.append(block)
        for low, high in _spans(slots, room):  # and beyond the last block at the first
            if not spills:
                break
            block = file.read(low, high)
            taken = kernels.place_first(block, spilt[:spills])
            spilt[: spills - taken] = spilt[taken:spills].copy()
            spills -= taken
            file.write(low, block)


def _spans(n: int, step: int) -> Iterator[tuple[int, int]]:
    """0 ... n-1 in spans of at most `step`."""
    step = max(step, 1)
    for a in range(0, n, step):
        yield a, min(a + step, n)


def _contexts(
    column: Column, first: int, last: int, limit: int
) -> Iterator[tuple[int, int, np.ndarray]]:
    """Contexts in spans with at most about `limit` continuations each, and where these begin.

    Gives the first context, one beyond the last, and int64 [contexts + 1].
    """
    at, limit = first, max(limit, 1)
    while at < last:
        stop = min(at + limit, last)
        child = column.read(at, stop + 1).astype(np.int64)
        taken = max(int(np.searchsorted(child, child[0] + limit, side="right")) - 1, 1)
        yield at, at + taken, child[: taken + 1]
        at += taken


def _skip(job: Job, k: int) -> int:
    """The single symbol that is never predicted, `<s>`; -1 where there is none."""
    return job.alphabet.begin if k == 1 and job.alphabet.terminates else -1


def _uniform(job: Job) -> float:
    return 1.0 / job.alphabet.symbols
