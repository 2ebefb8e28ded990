"""Fitting an n-gram model to a text file within a given amount of memory."""

from __future__ import annotations

import os
import re
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from arproc.data.tokenizers import categorical_space
from arproc.data.vocabulary import Vocabulary
from arproc.errors import DataError, ParameterError, UnsupportedError, check_choice
from arproc.models.ngram.backoff import discounts
from arproc.models.ngram.backoff.counts import Alphabet
from arproc.models.ngram.backoff.pruning import cut_offs
from arproc.models.ngram.backoff.smoothing import DISCOUNTED, Discounts
from arproc.models.ngram.backoff.trie import Trie
from arproc.models.ngram.streaming.counting import Job, count_runs, merge_runs
from arproc.models.ngram.streaming.estimation import assemble, connect, probabilities
from arproc.models.ngram.streaming.text import check_not_empty, vocabulary_of
from arproc.models.ngram.streaming.workspace import Workspace
from arproc.spaces import Categorical

if TYPE_CHECKING:
    from arproc.models.ngram.model import NGram

__all__ = ["estimate", "parse_memory"]

_UNITS = {"": 1, "k": 1e3, "m": 1e6, "g": 1e9, "t": 1e12}
#: What a job needs whatever its data are: buffers of files, the vocabulary, compiled code.
_LEAST = 64_000_000


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


def estimate(model: NGram, data: Any) -> tuple[Categorical, Trie, Discounts, Workspace]:
    """The space, n-grams and discounts of a text file, estimated within `model.memory`.

    Raises:
        ParameterError: a setting that only works in memory; the scratch folder is another job's.
        DataError: the data are not a file, or not a good one.
    """
    budget = budget_of(parse_memory(model.memory))
    path = _checked(model, data)
    work = Workspace(model.scratch, _description(model, path))
    vocabulary = _vocabulary(model, path, budget // 8)
    space = categorical_space(path, vocabulary, end=model.end)
    if vocabulary.kind == "word" and not space.terminates:
        raise UnsupportedError(
            "With memory= a file of words is read line by line, and its lines end; end=False "
            "works without memory=."
        )
    job = Job(
        work, Alphabet(space.size, space.terminates, vocabulary.unknown), model.order, budget
    )
    runs = count_runs(job, path, vocabulary, _bytes_per_symbol(vocabulary))
    merge_runs(job, runs)
    connect(job)
    otherwise = discounts.fallback(model.discount_fallback)
    found = probabilities(job, model.smoothing, otherwise, model.interpolate_unigrams)
    return space, assemble(job), found, work


def budget_of(memory: int) -> int:
    """How many bytes arrays may take at a time, of those that a job may take in all."""
    return int((memory - _LEAST / 2) * 0.55)


def _checked(model: NGram, data: Any) -> Path:
    """The file, once every setting is one that works with a bounded memory."""
    if not isinstance(data, os.PathLike):
        raise DataError(
            f"With memory={model.memory!r} the data are a text file, given as a pathlib.Path; got "
            f"{type(data).__name__}. Leave memory out to fit data that are in memory already."
        )
    if model.smoothing not in DISCOUNTED:
        raise UnsupportedError(
            f"smoothing={model.smoothing!r} is estimated in memory; with memory= there are "
            f"{', '.join(DISCOUNTED)}."
        )
    if any(cut_offs(model.prune, model.order)):
        raise UnsupportedError("prune works in memory; leave memory= out, or use prune=0.")
    if not isinstance(model.tokens, Vocabulary):
        check_choice("tokens", model.tokens, ("word", "char", "byte"))
    path = Path(data)
    check_not_empty(path)
    return path


def _description(model: NGram, path: Path) -> dict[str, Any]:
    """What the job is: its file as it stands, and every setting that matters."""
    status = path.stat()
    tokens = model.tokens
    kind = tokens if isinstance(tokens, str) else f"a vocabulary, {_checksum(tokens)}"
    names = ("order", "smoothing", "min_count", "max_size", "unknown", "end", "special", "memory",
             "interpolate_unigrams")  # fmt: skip
    settings = {name: getattr(model, name) for name in names}
    fallback = discounts.fallback(model.discount_fallback)
    return {
        "file": str(path.resolve()),
        "bytes": status.st_size,
        "changed": status.st_mtime_ns,
        "tokens": kind,
        "discount_fallback": None if fallback is None else fallback.tolist(),
        **settings,
    }


def _checksum(vocabulary: Vocabulary) -> str:
    """Tells vocabularies apart, the same in every session."""
    whole = "\n".join([vocabulary.kind, str(vocabulary.unknown), *vocabulary.symbols])
    return f"{zlib.crc32(whole.encode('utf-8', 'surrogatepass')):08x}"


def _vocabulary(model: NGram, path: Path, piece: int) -> Vocabulary:
    if isinstance(model.tokens, Vocabulary):
        return model.tokens
    limits = {
        "min_count": model.min_count,
        "max_size": model.max_size,
        "unknown": model.unknown,
        "special": model.special,
    }
    return vocabulary_of(path, model.tokens, piece, limits)


def _bytes_per_symbol(vocabulary: Vocabulary) -> float:
    """About how many bytes of text a symbol takes, rather too few than too many."""
    return 4.0 if vocabulary.kind == "word" else 1.0
