"""Bytes of text behind a model's elements: the unit that tokenisations share."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from arproc.contract.sequences import Sequences
from arproc.data.form import Layout
from arproc.data.text_files import read_lines, text_of
from arproc.data.texts import is_file, listed
from arproc.data.vocabulary import Vocabulary
from arproc.spaces import Categorical, Space

__all__ = ["TextSize", "byte_ends", "text_size", "texts_of", "vocabulary_of"]

#: Kinds of vocabulary whose symbols are pieces of text.
TEXT_KINDS = ("word", "char", "byte", "tokenizer")


class TextSize(NamedTuple):
    """How many bytes of UTF-8 each text has, or why that is not the size of what was scored.

    Attributes:
        sizes: int64 [N]; None where the texts can not be known.
        problem: None where the elements hold all of the text, so that `log_prob` is that of
            the text itself; otherwise what was lost, as a clause.
    """

    sizes: np.ndarray | None
    problem: str | None


def vocabulary_of(space: Space) -> Vocabulary | None:
    """The vocabulary of a space of text; None where the elements are no text."""
    vocabulary = space.vocabulary if isinstance(space, Categorical) else None
    return vocabulary if vocabulary is not None and vocabulary.kind in TEXT_KINDS else None


def text_size(data: Any, sequences: Sequences, layout: Layout | None = None) -> TextSize | None:
    """The bytes of the texts in `data`, which were read as `sequences`; None for no text.

    Bytes and characters are counted from the elements themselves. Words are compared with the
    text they were cut from: unknown words, and white space other than one space between words,
    are lost in the cutting, and the probability is then that of all texts that read alike.
    The layout is the law's, where it generates symbols in another order than they are read in.
    """
    vocabulary = vocabulary_of(sequences.space)
    if vocabulary is None:
        return None
    if vocabulary.kind == "byte":
        return TextSize(sequences.lengths.numpy(), None)
    if vocabulary.kind == "char":
        ends = byte_ends(sequences)
        assert ends is not None
        totals = np.concatenate([[0], ends])
        sizes = np.diff(totals[sequences.offsets.numpy()])
        return TextSize(sizes, _unknown_problem(vocabulary, sequences))
    texts = texts_of(data, sequences)
    if texts is None:
        return TextSize(None, "the data came cut into tokens, so the text's bytes are not known")
    sizes = np.array([len(text.encode("utf-8", "surrogatepass")) for text in texts])
    problem = _unknown_problem(vocabulary, sequences)
    return TextSize(sizes, problem or _cutting_problem(sequences, texts, layout))


def byte_ends(sequences: Sequences) -> np.ndarray | None:
    """Where in the texts, joined, each element's last byte lies, counted from 1; int64 [total].

    None where that can not be told (a tokenizer's tokens may share characters). Words carry the
    space after them.
    """
    vocabulary = vocabulary_of(sequences.space)
    if vocabulary is None or vocabulary.kind == "tokenizer":
        return None
    values = sequences.values.cpu().numpy()
    if vocabulary.kind == "byte":
        return np.arange(1, len(values) + 1)
    between = 1 if vocabulary.kind == "word" else 0
    widths = np.array([len(s.encode("utf-8", "surrogatepass")) for s in vocabulary.symbols])
    ends = (widths + between)[values].cumsum()
    if between:
        # no space follows a sequence's last word
        lengths = sequences.lengths.numpy()
        ends -= np.repeat((lengths > 0).cumsum() - 1, lengths)
        ends[sequences.offsets[1:].numpy()[lengths > 0] - 1] -= 1
    return ends


def _unknown_problem(vocabulary: Vocabulary, sequences: Sequences) -> str | None:
    if vocabulary.unknown is None:
        return None
    unknown = int((sequences.values == vocabulary.unknown).sum())
    if not unknown:
        return None
    noun = "words" if vocabulary.kind == "word" else "characters"
    return f"{unknown} of {len(sequences.values)} {noun} are unknown to the model"


def _cutting_problem(sequences: Sequences, texts: list[str], layout: Layout | None) -> str | None:
    vocabulary = vocabulary_of(sequences.space)
    assert vocabulary is not None
    values, bounds = sequences.values.cpu().numpy(), sequences.offsets.tolist()
    order = None if layout is None or layout.order is None else np.argsort(layout.order)
    for i, text in enumerate(texts):
        row = values[bounds[i] : bounds[i + 1]]
        if vocabulary.decode(row if order is None else row[order]) != text:
            lost = "its white space" if vocabulary.kind == "word" else "parts of it"
            return f"the tokens do not give text {i} back ({lost} is lost in the cutting)"
    return None


def texts_of(data: Any, sequences: Sequences) -> list[str] | None:
    """The strings that were read, one a sequence; None where the data were no strings."""
    texts: list[str] | None = None
    data = listed(data)
    if isinstance(data, str):
        texts = [data]
    elif is_file(data):  # as it was read: a file of words is a sequence a line
        kind = None if (found := vocabulary_of(sequences.space)) is None else found.kind
        texts = list(read_lines(data)) if kind == "word" else [text_of(data)]
    elif isinstance(data, (list, tuple)) and all(isinstance(text, str) for text in data):
        texts = list(data)
    return texts if texts is not None and len(texts) == len(sequences) else None
