"""What each symbol of a vocabulary adds to a text, as bytes.

A token may be a part of a character, and may read otherwise at the beginning of a text than after
something: words are joined by blanks, and some tokenizers drop the blank that a text begins with.
What is found out about a tokenizer is held against its own `decode` before it is believed.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from arproc.data.tokenizers import TokenizerVocabulary
from arproc.data.vocabulary import Vocabulary
from arproc.errors import UnsupportedError

__all__ = ["TokenTexts", "token_texts"]

Texts = list[bytes | None]
_REPLACEMENT = "\ufffd"
#: So many texts of so many tokens are decoded to see whether they are what their tokens say.
_TRIED, _LENGTH = 64, 9


@dataclass(frozen=True, eq=False)
class TokenTexts:
    """The bytes of symbols.

    Attributes:
        first: of each symbol, what it reads as where a text begins; None where it has no text.
        later: the same after another symbol.
        unclear: those that are no special tokens, and of which it is not known.
    """

    first: Texts
    later: Texts
    unclear: tuple[int, ...] = ()


def token_texts(vocabulary: Vocabulary | None) -> TokenTexts:
    """What the symbols of a vocabulary read as; found out once.

    Raises:
        UnsupportedError: they have no texts, or these do not follow from the tokens one by one.

    Example:
        >>> token_texts(Vocabulary(("a", "rose"), "word")).later
        [b' a', b' rose']
    """
    if vocabulary is None or vocabulary.kind == "symbols":
        raise UnsupportedError(
            "this process is of symbols without a text (numbers, or lists of symbols); a "
            "constraint of texts is for models of text. Use an Automaton, AllowedAt or a "
            "Constraint of your own, which are over symbols."
        )
    found = vocabulary.__dict__.get("_token_texts")
    if found is None:
        found = _texts_of(vocabulary)
        object.__setattr__(vocabulary, "_token_texts", found)
    return found


def _texts_of(vocabulary: Vocabulary) -> TokenTexts:
    if isinstance(vocabulary, TokenizerVocabulary):
        found = _of_tokenizer(vocabulary)
        _check(vocabulary, found)
        return found
    if vocabulary.kind == "byte":
        single: Texts = [bytes([number]) for number in range(256)]
        return TokenTexts(single, single)
    texts: Texts = [text.encode("utf-8", "surrogatepass") for text in vocabulary._texts]
    if vocabulary.unknown is not None:
        texts[vocabulary.unknown] = None
    if vocabulary.kind == "char":
        return TokenTexts(texts, texts)
    return TokenTexts(texts, [None if text is None else b" " + text for text in texts])


def _of_tokenizer(vocabulary: TokenizerVocabulary) -> TokenTexts:
    adapter: Any = vocabulary._adapter
    tokenizer, size = adapter.tokenizer, len(vocabulary)
    if hasattr(tokenizer, "decode_single_token_bytes"):
        return _of_tiktoken(tokenizer, size)
    saved = vocabulary._saved or {}
    described = json.loads(saved["tokenizer"]) if isinstance(saved.get("tokenizer"), str) else {}
    special = {t["id"] for t in described.get("added_tokens", ()) if t.get("special")}
    special |= set(getattr(tokenizer, "all_special_ids", ()))
    if _is_byte_level(described.get("decoder") or {}):
        back = {letter: byte for byte, letter in enumerate(_byte_letters())}
        added = {t["id"] for t in described["added_tokens"]}
        single: Texts = [
            None if i in special else _spelt(tokenizer.id_to_token(i), i, added, back)
            for i in range(size)
        ]
        return TokenTexts(single, single)
    return _probed(vocabulary, special)


def _is_byte_level(decoder: dict[str, Any]) -> bool:
    """Whether a decoder, or one of a sequence of them, reads letters as bytes."""
    parts = decoder.get("decoders") or [decoder]
    return any(part.get("type") == "ByteLevel" for part in parts)


def _spelt(token: str | None, number: int, added: set[int], back: dict[str, int]) -> bytes | None:
    if not token:
        return None
    if number in added:
        return token.encode()
    return bytes(back[letter] for letter in token) if all(c in back for c in token) else None


def _of_tiktoken(tokenizer: Any, size: int) -> TokenTexts:
    special = {tokenizer.encode_single_token(s) for s in tokenizer.special_tokens_set}
    single: Texts = []
    for number in range(size):
        try:
            text = tokenizer.decode_single_token_bytes(number)
        except KeyError:  # a hole between the numbers
            text = b""
        single.append(text if text and number not in special else None)
    return TokenTexts(single, single)


def _byte_letters() -> list[str]:
    """The letters that stand for the 256 bytes in byte-level tokenizers (GPT-2's)."""
    shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
    letters, more = [], 256
    for byte in range(256):
        letters.append(chr(byte if byte in shown else more))
        more += byte not in shown
    return letters


def _probed(vocabulary: TokenizerVocabulary, special: set[int]) -> TokenTexts:
    """What `decode` gives for each token alone, and after another one."""
    adapter: Any = vocabulary._adapter
    anchor, before = _anchor(vocabulary)
    first: Texts = []
    later: Texts = []
    unclear = []
    for number in range(len(vocabulary)):
        byte = _single_byte(adapter.tokenizer, number)
        if byte is not None:
            first.append(byte)
            later.append(byte)
            continue
        known = number not in special and not _without_text(adapter.tokenizer, number)
        alone = adapter.decode([number]) if known else ""
        after = adapter.decode([anchor, number]) if known else before
        fine = after.startswith(before) and _REPLACEMENT not in alone + after
        later.append(after[len(before) :].encode() or None if fine else None)
        if known and later[-1] is None:
            unclear.append(number)
        # what adds nothing at the beginning (a blank, which is dropped there) may not come there
        first.append(alone.encode() or None if fine else None)
    return TokenTexts(first, later, tuple(unclear))


def _anchor(vocabulary: TokenizerVocabulary) -> tuple[int, str]:
    """A token of letters to put before others, and what it reads as."""
    adapter = vocabulary._adapter
    for number in range(len(vocabulary)):
        text = adapter.decode([number])
        if text.isascii() and text.isalpha() and adapter.decode([number] * 2).startswith(text):
            return number, text
    raise _unclear(vocabulary)


def _single_byte(tokenizer: Any, number: int) -> bytes | None:
    """The byte that a token stands for, where it is one of <0x00> ... <0xFF>."""
    for name in ("id_to_piece", "id_to_token", "convert_ids_to_tokens"):
        get = getattr(tokenizer, name, None)
        if get is not None:
            token = get(number)
            if isinstance(token, str) and len(token) == 6 and token.startswith("<0x"):
                return bytes([int(token[3:5], 16)])
            return None
    return None


def _without_text(tokenizer: Any, number: int) -> bool:
    """Whether sentencepiece has a token for a sign of its own."""
    asked = ("is_control", "is_unknown", "is_unused")
    return any(getattr(tokenizer, name, lambda _: False)(number) for name in asked)


def _check(vocabulary: TokenizerVocabulary, found: TokenTexts) -> None:
    """Raise where a text is not what its tokens say one by one."""
    known = [i for i, text in enumerate(found.later) if text is not None and _is_text(text)]
    begins = [i for i in known if found.first[i] is not None]
    if not begins:
        raise _unclear(vocabulary)
    rng = random.Random(0)
    for _ in range(_TRIED):
        numbers = [rng.choice(begins), *(rng.choice(known) for _ in range(_LENGTH))]
        if vocabulary.decode(np.array(numbers)) != joined(found, numbers).decode():
            raise _unclear(vocabulary)


def joined(texts: TokenTexts, numbers: Sequence[int]) -> bytes:
    """The text of some symbols."""
    parts = [texts.first[numbers[0]], *(texts.later[number] for number in numbers[1:])]
    return b"".join(part or b"" for part in parts)


def _is_text(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def _unclear(vocabulary: Vocabulary) -> UnsupportedError:
    return UnsupportedError(
        f"what the tokens of {vocabulary!r} read as does not follow from them one by one (its "
        "decode changes a text when more comes, as cleaning up blanks does), so no constraint "
        "of texts can be kept with it, and no unit of text told to be closed. Work with its "
        "symbols, or take a tokenizer whose decode joins its tokens."
    )
