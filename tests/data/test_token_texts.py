"""What tokens read as, for tokenizers of several libraries, against their own `decode`."""

import random

import numpy as np
import pytest
import tokenizer_stand_ins as stand_ins

from arproc.data.token_texts import joined, token_texts
from arproc.data.tokenizers import TokenizerVocabulary
from arproc.data.vocabulary import Vocabulary
from arproc.errors import UnsupportedError

TEXTS = ["the cat sat on the mat", "a naïve café", "🙂 cats and mats", "the  the"] * 3


def byte_level():
    tokenizers = pytest.importorskip("tokenizers")
    made = tokenizers.Tokenizer(tokenizers.models.BPE())
    made.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=300, special_tokens=["<s>"], show_progress=False,
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
    )  # fmt: skip
    made.train_from_iterator(TEXTS, trainer)
    return made


def metaspace():
    tokenizers = pytest.importorskip("tokenizers")
    made = tokenizers.Tokenizer(tokenizers.models.BPE(unk_token="<unk>"))
    made.pre_tokenizer = tokenizers.pre_tokenizers.Metaspace()
    made.decoder = tokenizers.decoders.Metaspace()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=60, special_tokens=["<unk>"], show_progress=False
    )
    made.train_from_iterator(TEXTS, trainer)
    return made


def word_pieces(cleanup=False):
    tokenizers = pytest.importorskip("tokenizers")
    words = ["[UNK]", "the", "cat", "##s", "mat", "sat", "on", ".", ",", "a"]
    model = tokenizers.models.WordPiece(
        {word: i for i, word in enumerate(words)}, unk_token="[UNK]"
    )
    made = tokenizers.Tokenizer(model)
    made.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    made.decoder = tokenizers.decoders.WordPiece(cleanup=cleanup)
    return made


def tiktoken_bytes():
    tiktoken = pytest.importorskip("tiktoken")
    ranks = {bytes([i]): i for i in range(256)} | {b"th": 256, b"the": 257, b" c": 258}
    return tiktoken.Encoding(
        "small", pat_str=r"\S+|\s+", mergeable_ranks=ranks, special_tokens={"<end>": 260}
    )


@pytest.mark.parametrize(
    "make",
    [byte_level, metaspace, word_pieces, tiktoken_bytes, stand_ins.SentencePieceProcessor],
)
def test_texts_are_what_decode_says(make):
    vocabulary = TokenizerVocabulary.of(make())
    texts = token_texts(vocabulary)
    rng = random.Random(1)
    known = [i for i, text in enumerate(texts.later) if text]
    begins = [i for i in known if texts.first[i]]
    assert len(known) > 0.8 * min(len(vocabulary), 50)
    for _ in range(200):
        numbers = [rng.choice(begins), *rng.choices(known, k=rng.randint(0, 12))]
        want = joined(texts, numbers).decode("utf-8", "replace")
        got = vocabulary.decode(np.array(numbers))
        if "\ufffd" not in want:
            assert got == want


def test_parts_of_characters_are_their_bytes():
    texts = token_texts(TokenizerVocabulary.of(byte_level()))
    assert {bytes([i]) for i in range(256)} <= set(texts.later)
    assert texts.later[0] is None  # a special token


def test_vocabularies_without_a_tokenizer():
    assert token_texts(Vocabulary.of_bytes()).first[65] == b"A"
    chars = token_texts(Vocabulary.build("né", "char", unknown=True))
    assert chars.later == [b"n", "é".encode(), None]
    words = token_texts(Vocabulary.build(["a rose"], "word"))
    assert (words.first, words.later) == ([None, b"a", b"rose"], [None, b" a", b" rose"])


class Cleaning:
    """Its decode drops a blank before a comma, whichever tokens they came of."""

    vocab_size = 3

    def encode(self, text):
        return ["a ,".index(letter) for letter in text]

    def decode(self, ids):
        return "".join("a ,"[i] for i in ids).replace(" ,", ",")


def test_what_has_no_texts():
    with pytest.raises(UnsupportedError, match="symbols without a text"):
        token_texts(None)
    with pytest.raises(UnsupportedError, match="symbols without a text"):
        token_texts(Vocabulary.build([["up"], ["down"]], "symbols"))
    with pytest.raises(UnsupportedError, match="does not follow from them one by one"):
        token_texts(TokenizerVocabulary.of(Cleaning()))
