"""Surprisals of units of text under a model of smaller pieces; see `arproc.evaluation.units`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch

from arproc.contract.sequences import Sequences
from arproc.data.symbols import shorten
from arproc.data.token_texts import TokenTexts, token_texts
from arproc.data.vocabulary import Vocabulary
from arproc.errors import UnsupportedError
from arproc.evaluation.units import Segmenter, spans_of
from arproc.process.process import Process
from arproc.spaces import Categorical

__all__ = ["UnitRow", "unit_rows"]

_MOST_ROWS = 2**12  # of texts that are walked together

#: How many numbers a block of conditionals may hold: enough for large products of matrices.
_BLOCK_NUMBERS = 2**24


class UnitRow(NamedTuple):
    """The units of one text.

    Attributes:
        words: as they stand in the text, without white space at their ends (white space alone
            stays as it is).
        surprisal: of each, nats; one more for the text's end, where it has one.
        tokens: how many pieces each has; likewise.
    """

    words: list[str]
    surprisal: np.ndarray
    tokens: np.ndarray


def unit_rows(
    process: Process, sequences: Sequences, texts: list[str], segmenter: Segmenter
) -> list[UnitRow]:
    """The units of each text and their exact surprisals."""
    space = sequences.space
    assert isinstance(space, Categorical)
    assert space.vocabulary is not None
    pieces = _pieces_of(space.vocabulary)
    closing = _Closing(segmenter, _firsts(pieces.later, space))
    plans = [_plan(segmenter, closing, pieces, space.vocabulary, sequences, text, row)
             for row, text in enumerate(texts)]  # fmt: skip
    terms, closed = _walked(process, sequences, plans, closing)
    return [_row(plan, own, after) for plan, own, after in zip(plans, terms, closed, strict=True)]


class _Plan(NamedTuple):
    """Which pieces of a text make its units: where they end, and what closes them."""

    words: list[str]
    ends: np.ndarray  # after how many pieces each unit ends
    masks: np.ndarray  # which of the closing masks; -1 where nothing has to close it


@dataclass
class _Closing:
    """Which symbols close a unit, for each kind of unit; equal ones share a mask."""

    segmenter: Segmenter
    firsts: list[tuple[str | None, np.ndarray]]
    known: dict[Any, int] = field(default_factory=dict)
    numbers: dict[tuple[bool, ...], int] = field(default_factory=dict)

    def mask_of(self, kind: Any) -> int:
        """The number of the mask for units of a kind; -1 where nothing closes them."""
        if kind is None:
            return -1
        if kind not in self.known:
            # what continues a character (first = "") closes nothing, what is no text closes all
            chosen = tuple(
                first is None or (first != "" and self.segmenter.closes(kind, first))
                for first, _ in self.firsts
            )
            nothing = not any(chosen)
            self.known[kind] = -1 if nothing else self.numbers.setdefault(
                chosen, len(self.numbers)
            )  # fmt: skip
        return self.known[kind]

    def masks(self, size: int, device: torch.device) -> torch.Tensor:
        """All masks so far as columns, float64 [size, masks]."""
        found = torch.zeros(size, len(self.numbers), dtype=torch.float64)
        for chosen, number in self.numbers.items():
            for (_, symbols), closes in zip(self.firsts, chosen, strict=True):
                if closes:
                    found[torch.from_numpy(symbols), number] = 1.0
        return found.to(device)


# ---- pieces -------------------------------------------------------------------------------


def _pieces_of(vocabulary: Vocabulary) -> TokenTexts:
    """What each symbol adds to the text, in UTF-8; None for those that are no text."""
    if vocabulary.kind not in ("byte", "char", "tokenizer"):
        raise UnsupportedError(
            f"units= is for models of characters, bytes or a tokenizer's tokens; this one is of "
            f"kind {vocabulary.kind!r}, whose elements are whole already. Leave units out."
        )
    found = token_texts(vocabulary)
    if found.unclear:
        raise UnsupportedError(
            f"What token {found.unclear[0]} of {vocabulary!r} adds to a text can not be told from "
            'what its decode gives, so neither can whether it closes a unit; use by="token".'
        )
    if vocabulary.kind == "char" and vocabulary.unknown is not None:
        later = list(found.later)
        later[vocabulary.unknown] = "\ufffd".encode()
        return TokenTexts(later, later)
    return found


def _firsts(pieces: list[bytes | None], space: Categorical) -> list[tuple[str | None, np.ndarray]]:
    """The symbols by the character that they begin with.

    "" is that of those that continue a character, None of those that are no text: special tokens
    and the end. One that begins with a part of a character stands for the last that it can be.
    """
    groups: dict[str | None, list[int]] = {}
    for number in range(space.symbols):
        piece = pieces[number] if number < len(pieces) else None
        if number == space.end:
            piece = None
        groups.setdefault(None if piece is None else _first(piece), []).append(number)
    return [(first, np.array(symbols)) for first, symbols in groups.items()]


def _first(piece: bytes) -> str:
    if not piece or 0x80 <= piece[0] < 0xC0:
        return ""
    size = 1 if piece[0] < 0x80 else 2 if piece[0] < 0xE0 else 3 if piece[0] < 0xF0 else 4
    whole = piece[:size].ljust(size, b"\xbf")
    return whole.decode("utf-8", "replace")[0]


# ---- texts --------------------------------------------------------------------------------


def _plan(
    segmenter: Segmenter,
    closing: _Closing,
    pieces: TokenTexts,
    vocabulary: Vocabulary,
    sequences: Sequences,
    text: str,
    row: int,
) -> _Plan:
    numbers = sequences.row(row).long().cpu().numpy()
    edges = _edges(pieces, vocabulary, numbers, text, row)
    cuts = segmenter.cuts(text, row)
    spans = spans_of(cuts)
    at = {edge: count + 1 for count, edge in enumerate(edges)}  # several: after the last of them
    sizes = np.cumsum([0, *(len(c.encode("utf-8", "surrogatepass")) for c in text)])
    for begin, end in spans:
        if int(sizes[end]) not in at:
            raise UnsupportedError(
                f"A token of text {row} belongs to two units: {text[begin:end]!r} ends within "
                "it. Choose units that end where tokens do."
            )
    return _Plan(
        [text[begin:end].strip() or text[begin:end] for begin, end in spans],
        np.array([at[int(sizes[end])] for _, end in spans], dtype=np.int64),
        np.array([closing.mask_of(segmenter.kind(text, b, e)) for b, e in spans], dtype=np.int64),
    )


def _edges(
    pieces: TokenTexts, vocabulary: Vocabulary, numbers: np.ndarray, text: str, row: int
) -> list[int]:
    """After how many bytes of the text each of its pieces ends."""
    if vocabulary.kind == "char":  # those that it does not know have their own size
        return np.cumsum([len(c.encode("utf-8", "surrogatepass")) for c in text]).tolist()
    own = [pieces.later[number] or b"" for number in numbers.tolist()]
    if own:  # where some tokenizers leave a blank out
        own[0] = pieces.first[int(numbers[0])] or b""
    joined, raw = b"".join(own), text.encode("utf-8", "surrogatepass")
    lead = 1 if joined == b" " + raw else 0  # a blank that some tokenizers put before a text
    if joined[lead:] != raw:
        raise UnsupportedError(
            f"The tokens of text {row} do not add up to it, so they can not be put together to "
            f"units: they read {shorten(joined[lead:].decode('utf-8', 'replace'))}. Give texts as "
            'the tokenizer writes them, or use by="token".'
        )
    return (np.cumsum([len(piece) for piece in own]) - lead).tolist() if own else []


# ---- the model ----------------------------------------------------------------------------


def _walked(
    process: Process, sequences: Sequences, plans: list[_Plan], closing: _Closing
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Of each text: the log-probability of each term, and of each unit's being closed, nats."""
    terms: list[np.ndarray] = [np.zeros(0)] * len(plans)
    closed = [np.zeros(len(plan.ends)) for plan in plans]
    size = process.space.size or 1
    masks = closing.masks(size, process.device)
    with torch.no_grad():
        # whole texts where they fit, so that they take one pass
        for rows in sequences.batches(max(1, _BLOCK_NUMBERS // size), _MOST_ROWS):
            found = []
            own_plans = [(plans[row], closed[row]) for row in rows.tolist()]
            for first, logits, x in _blocks(process, sequences, rows, size):
                own = logits[:, : x.shape[1]].gather(-1, x[..., None])[..., 0]
                found.append(own.double().cpu().numpy())
                _close(own_plans, logits, first, masks)
            whole = np.concatenate(found, axis=1) if found else np.zeros((len(rows), 0))
            for i, count in enumerate(sequences.n_terms[rows].tolist()):
                terms[int(rows[i])] = whole[i, :count]
    return terms, closed


def _blocks(
    process: Process, sequences: Sequences, rows: torch.Tensor, size: int
) -> Iterator[tuple[int, torch.Tensor, torch.Tensor]]:
    """The log-probabilities [n, k, size] of positions `first` to `first + k - 1`, and x.

    The last block has that of the element after the longest text as well.
    """
    x, _ = sequences.padded(rows, ends=True)
    x = x.to(process.device).long()
    state = process.law_.fresh(len(x), None)
    chunk = max(1, _BLOCK_NUMBERS // (len(x) * size))
    for first in range(0, max(x.shape[1], 1), chunk):
        part = x[:, first : first + chunk]
        last = first + chunk >= x.shape[1]
        ended = process.space.terminates and last  # nothing comes after the end symbol
        fed = part[:, :-1] if ended else part
        columns, state = state.extend(fed)
        logits: torch.Tensor = columns.logits  # type: ignore[attr-defined]
        yield first, logits if last else logits[:, :-1], part


def _close(
    plans: list[tuple[_Plan, np.ndarray]], logits: torch.Tensor, first: int, masks: torch.Tensor
) -> None:
    """Fill in how probable it is that units are closed which end at these positions.

    Args:
        plans: of each text, and where its logarithms go.
        logits: log-probabilities [n, k, size] of the positions from `first` on.
        first: the first of them.
        masks: the closing symbols of each kind, [size, masks].
    """
    stop, which, places = first + logits.shape[1], [], []
    for i, (plan, _) in enumerate(plans):
        inside = (plan.ends >= first) & (plan.ends < stop) & (plan.masks >= 0)
        which.append(np.flatnonzero(inside))
        places.append(i * logits.shape[1] + plan.ends[which[-1]] - first)
    at = torch.from_numpy(np.concatenate(places)).to(logits.device)
    if not len(at):
        return
    mass = logits.flatten(0, 1)[at].exp_() @ masks.to(logits.dtype)  # [units, masks]
    kinds = [plan.masks[own] for (plan, _), own in zip(plans, which, strict=True)]
    chosen = torch.from_numpy(np.concatenate(kinds)).to(logits.device)
    found = mass.gather(1, chosen[:, None])[:, 0].double().log().clamp(max=0.0).cpu().numpy()
    ends = np.cumsum([len(own) for own in which])[:-1]
    for (_, closed), own, part in zip(plans, which, np.split(found, ends), strict=True):
        closed[own] = part


def _row(plan: _Plan, terms: np.ndarray, closed: np.ndarray) -> UnitRow:
    total = np.concatenate([[0.0], terms.cumsum()])
    n = int(plan.ends[-1]) if len(plan.ends) else 0
    reached = total[plan.ends] + closed
    counts = np.diff(plan.ends, prepend=0)
    before = np.concatenate([[0.0], reached])
    whole = np.append(reached, total[-1])
    with np.errstate(invalid="ignore"):
        surprisal = before - whole
    return UnitRow(plan.words, 0.0 + surprisal, np.append(counts, len(terms) - n))
