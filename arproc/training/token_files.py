"""Files of a text's tokens, to train on texts that are larger than the memory."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from arproc.contract.places import replacing
from arproc.data.text_files import read_lines
from arproc.data.tokenizer_kinds import is_tokenizer
from arproc.data.tokenizers import TokenizerVocabulary
from arproc.data.vocabulary import Vocabulary
from arproc.errors import DataError, ParameterError

__all__ = ["write_tokens"]

#: About how many characters are encoded at once.
_PIECE = 1 << 22


def write_tokens(
    source: str | os.PathLike[str], tokens: Any, path: str | os.PathLike[str]
) -> np.memmap:
    r"""Write the numbers of a text's tokens to a file, and map it: text of any size to train on.

    The text is encoded a few megabytes at a time, cut at ends of lines, and the file appears
    whole or not at all. A `Transformer(tokens=tokens)` takes the result as one text, and its draws
    are text again.

    Args:
        source: a text file, plain or compressed.
        tokens: a `Vocabulary`, or a tokenizer (of tokenizers, transformers, sentencepiece ...).
        path: where the numbers go: two bytes each, four for more than 65,536 symbols.

    Returns:
        The numbers [T], uint16 or uint32, mapped and read-only; `np.memmap(path, dtype, "r")`
        maps them again.

    Raises:
        ParameterError: tokens is neither.
        DataError: the text is empty or not UTF-8, or the vocabulary lacks a character.

    Example:
        >>> import arproc, tempfile
        >>> from arproc.data.vocabulary import Vocabulary
        >>> folder = tempfile.TemporaryDirectory()
        >>> _ = Path(folder.name, "a.txt").write_text("a rose is a rose\n" * 20)
        >>> letters = Vocabulary.build("a rose is\n", "char")
        >>> numbers = write_tokens(f"{folder.name}/a.txt", letters, f"{folder.name}/a.bin")
        >>> plan = arproc.Training(steps=2, batch_size=2)
        >>> model = arproc.Transformer(1, 2, 8, block=8, tokens=letters, training=plan)
        >>> len(numbers), len(model.fit(numbers).sample(1, length=5, seed=0)[0])
        (340, 5)
        >>> folder.cleanup()
    """
    if not isinstance(tokens, Vocabulary):
        if not is_tokenizer(tokens):
            raise ParameterError(
                f"tokens must be a Vocabulary or a tokenizer; got {tokens!r}. Vocabulary.build("
                'text, "char") makes one of a text.'
            )
        tokens = TokenizerVocabulary.of(tokens)
    kind = np.dtype(np.uint16 if len(tokens) <= 1 << 16 else np.uint32)
    with replacing(Path(path)) as temporary, temporary.open("wb") as file:
        total = 0
        for text in _texts(source):
            numbers = np.asarray(tokens.encode(text)).astype(kind)
            total += len(numbers)
            file.write(numbers.data)
        if not total:
            raise DataError(f"the file {str(source)!r} has no tokens; expected some text.")
    return np.memmap(Path(path), kind, "r")


def _texts(source: Any) -> Iterator[str]:
    """The text in pieces that end with lines."""
    lines: list[str] = []
    held = 0
    for line in read_lines(source):
        lines.append(line + "\n")
        held += len(line) + 1
        if held >= _PIECE:
            yield "".join(lines)
            lines, held = [], 0
    if lines:
        yield "".join(lines)
