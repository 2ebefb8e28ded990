"""Fitting an n-gram model to a text file within a given amount of memory."""

from __future__ import annotations

import os
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from arproc.data.tokenizers import categorical_space
from arproc.data.tokens import Tokens
from arproc.data.vocabulary import Vocabulary
from arproc.errors import DataError, ParameterError, UnsupportedError, check_choice
from arproc.models.ngram.backoff.pruning import cut_offs
from arproc.models.ngram.backoff.trie import Trie
from arproc.models.ngram.counting.counts import Alphabet
from arproc.models.ngram.smoothing import discounts
from arproc.models.ngram.smoothing.smoothings import DISCOUNTED, Discounts
from arproc.models.ngram.streaming.counting import Job, count_runs, merge_runs
from arproc.models.ngram.streaming.estimation import assemble, connect, probabilities
from arproc.models.ngram.streaming.text import (
    COPY,
    check_not_empty,
    plain,
    share_on_disk,
    vocabulary_of,
)
from arproc.models.ngram.streaming.workspace import Workspace
from arproc.spaces import Categorical

__all__ = ["Task", "estimate", "parse_memory"]

_UNITS = {"": 1, "k": 1e3, "m": 1e6, "g": 1e9, "t": 1e12}
#: What a job needs whatever its data are: buffers of files, the vocabulary, compiled code.
_LEAST = 64_000_000


@dataclass(frozen=True)
class Task:
    """What is to be fitted, as the parameters of the same names of `NGram` say it."""

    order: int
    smoothing: str
    tokens: Tokens
    prune: int | Sequence[int]
    discount_fallback: Any
    interpolate_unigrams: bool
    memory: int | str
    scratch: str | Path | None


def parse_memory(memory: Any) -> int:
    """Bytes from a number of them, or from words like "500MB" and "2 GB".

    Raises:
        ParameterError: it is neither, or too little to work with.
    """
    found: float = -1.0
    if isinstance(memory, (int, float)) and not isinstance(memory, bool):
        found = float(memory)
    elif isinstance(memory, str):
        match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?)b?\s*", memory.lower())
        if match is not None:
            found = float(match[1]) * _UNITS[match[2]]
    if not found >= 0:
        raise ParameterError(
            f'memory must be a number of bytes, or e.g. "500MB" or "2GB"; got {memory!r}.'
        )
    if found < _LEAST:
        raise ParameterError(
            f"memory={memory!r} is too little: a job needs at least {_LEAST // 10**6} MB."
        )
    return int(found)


def estimate(task: Task, data: Any) -> tuple[Categorical, Trie, Discounts]:
    """The space, n-grams and discounts of a text file, estimated within `task.memory`.

    Raises:
        ParameterError: a setting that only works in memory; the scratch folder is another job's.
        DataError: the data are not a file, or not a good one.
    """
    budget = budget_of(parse_memory(task.memory))
    path = _checked(task, data)
    with Workspace(task.scratch, _description(task, path)) as work:
        tokens = task.tokens
        known = isinstance(tokens.kind, Vocabulary)
        path = plain(path, tokens.kind.kind if known else tokens.kind, work)
        vocabulary = tokens.kind if known else vocabulary_of(path, tokens, budget // 8)
        space = categorical_space(path, vocabulary, end=tokens.end)
        if vocabulary.kind == "word" and not space.terminates:
            raise UnsupportedError(
                "With memory= a file of words is read line by line, and its lines end; end=False "
                "works without memory=."
            )
        alphabet = Alphabet(space.size, space.terminates, vocabulary.unknown)
        job = Job(work, alphabet, task.order, budget)
        runs = count_runs(job, path, vocabulary, _bytes_per_symbol(vocabulary))
        merge_runs(job, runs)
        connect(job)
        otherwise = discounts.fallback(task.discount_fallback)
        repeated = cache(lambda: share_on_disk(path, vocabulary, alphabet, budget))
        found = probabilities(job, task.smoothing, otherwise, task.interpolate_unigrams, repeated)
        work.remove(COPY)
        trie = assemble(job)
        work.lives_with(trie)
        return space, trie, found


def budget_of(memory: int) -> int:
    """How many bytes arrays may take at a time, of those that a job may take in all."""
    return int((memory - _LEAST / 2) * 0.55)


def _checked(task: Task, data: Any) -> Path:
    """The file, once every setting is one that works with a bounded memory."""
    if not isinstance(data, os.PathLike):
        raise DataError(
            f"With memory={task.memory!r} the data are a text file, given as a pathlib.Path; got "
            f"{type(data).__name__}. Leave memory out to fit data that are in memory already."
        )
    if task.smoothing not in DISCOUNTED:
        raise UnsupportedError(
            f"smoothing={task.smoothing!r} is estimated in memory; with memory= there are "
            f"{', '.join(DISCOUNTED)}."
        )
    if any(cut_offs(task.prune, task.order)):
        raise UnsupportedError("prune works in memory; leave memory= out, or use prune=0.")
    if not isinstance(task.tokens.kind, Vocabulary):
        check_choice("tokens", task.tokens.kind, ("word", "char", "byte"))
    path = Path(data)
    check_not_empty(path)
    return path


def _description(task: Task, path: Path) -> dict[str, Any]:
    """What the job is: its file as it stands, and every setting that matters."""
    status = path.stat()
    settings = task.tokens.get_params()
    kind = settings.pop("kind")
    names = ("order", "smoothing", "memory", "interpolate_unigrams")
    settings |= {name: getattr(task, name) for name in names}
    fallback = discounts.fallback(task.discount_fallback)
    return {
        "file": str(path.resolve()),
        "bytes": status.st_size,
        "changed": status.st_mtime_ns,
        "tokens": kind if isinstance(kind, str) else f"a vocabulary, {_checksum(kind)}",
        "discount_fallback": None if fallback is None else fallback.tolist(),
        **settings,
    }


def _checksum(vocabulary: Vocabulary) -> str:
    """Tells vocabularies apart, the same in every session."""
    whole = "\n".join([vocabulary.kind, str(vocabulary.unknown), *vocabulary.symbols])
    return f"{zlib.crc32(whole.encode('utf-8', 'surrogatepass')):08x}"


def _bytes_per_symbol(vocabulary: Vocabulary) -> float:
    """About how many bytes of text a symbol takes, rather too few than too many."""
    return 4.0 if vocabulary.kind == "word" else 1.0
