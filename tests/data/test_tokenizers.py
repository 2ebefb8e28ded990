"""The space of symbolic data, and tokenizers as vocabularies."""

from __future__ import annotations

import numpy as np
import pytest

import arproc
from arproc.contract.sequences import Sequences
from arproc.data.tokenizers import TokenizerVocabulary, categorical_space
from arproc.errors import DataError, ParameterError
from arproc.spaces import Categorical, Real


class Halves:
    """A tokenizer of the letters a and b."""

    def __init__(self, size_name="vocab_size"):
        setattr(self, size_name, (lambda: 2) if size_name == "get_vocab_size" else 2)

    def encode(self, text):
        return ["ab".index(letter) for letter in text]

    def decode(self, ids):
        return "".join("ab"[i] for i in ids)


@pytest.mark.parametrize(
    ("data", "tokens", "symbols", "terminates"),
    [
        ("a b a", "word", 3, False),
        (["a b", "a"], "word", 4, True),
        ("abc", "char", 3, False),
        (["ab", "c"], "char", 4, True),
        ("abc", "byte", 256, False),
        ([["a", "b"], ["b"]], "word", 4, True),
        (["up", "down"], None, 2, False),
        ([["up"], ["up", "down"]], None, 3, True),
        ([0, 3, 1], None, 4, False),
        ([[0, 3], [1]], None, 5, True),
        (np.array([[0, 1], [1, 1]]), None, 3, True),
        (np.array([0, 1]), 7, 7, False),
        ("abba", Halves(), 2, False),
    ],
)
def test_spaces(data, tokens, symbols, terminates):
    space = categorical_space(data, tokens)
    assert (space.symbols, space.terminates) == (symbols, terminates)
    assert space.end == (symbols - 1 if terminates else None)


def test_sequences_bring_their_space():
    space = Categorical(4, None, 3)
    batch = Sequences.of([[0, 1], [2]], space)
    assert categorical_space(batch, "word") == space
    with pytest.raises(DataError, match="Expected symbols"):
        categorical_space(Sequences.of([1.0, 2.0], Real()), None)


@pytest.mark.parametrize("name", ["vocab_size", "n_vocab", "get_vocab_size"])
def test_the_size_of_a_tokenizer(name):
    vocabulary = TokenizerVocabulary.of(Halves(name))
    assert len(vocabulary) == 2
    assert vocabulary.decode(vocabulary.encode("abba")) == "abba"


def test_ids_may_come_in_an_object():
    class Encoding:
        ids = (1, 0)

    class Rich(Halves):
        def encode(self, text):
            return Encoding()

    assert TokenizerVocabulary.of(Rich()).encode("ba").tolist() == [1, 0]


def test_what_is_no_tokenizer():
    class Sizeless:
        encode = decode = staticmethod(lambda x: x)

    with pytest.raises(ParameterError, match="size of the tokenizer"):
        TokenizerVocabulary.of(Sizeless())
    with pytest.raises(ParameterError, match="object has no encode"):
        TokenizerVocabulary.of(object())

    class Liar(Halves):
        def encode(self, text):
            return [5]

    with pytest.raises(DataError, match="gave the number 5, but its size is 2"):
        TokenizerVocabulary.of(Liar()).encode("a")


def test_equality_and_description():
    class Written(Halves):
        def to_str(self):
            return "halves"

    one, two = TokenizerVocabulary.of(Written()), TokenizerVocabulary.of(Written())
    assert one == two
    assert hash(one) == hash(two)
    assert one.to_dict() == {"kind": "tokenizer", "tokenizer": "halves"}
    plain = TokenizerVocabulary.of(Halves())
    assert plain != TokenizerVocabulary.of(Halves())
    with pytest.raises(DataError, match="can not be saved"):
        plain.to_dict()


@pytest.mark.parametrize(
    "make",
    [
        lambda **limits: arproc.NGram(2, "witten_bell", arproc.Tokens(**limits)),
        lambda **limits: arproc.InfiniGram(arproc.Tokens(**limits)),
        lambda **limits: arproc.PPM(2, tokens=arproc.Tokens(**limits)),
        lambda **limits: arproc.ContextTree(1, arproc.Tokens(**limits)),
        lambda **limits: arproc.Cache(tokens=arproc.Tokens(**limits)),
    ],
)
def test_models_of_symbols_limit_their_vocabulary(make):
    lines = ["the cat sat on the mat", "the cat ate", "the rat sat"]
    model = make(max_size=3).fit(lines)
    assert model.vocabulary.symbols == ("<unk>", "the", "cat", "sat")
    assert model.log_prob("the rat sat") == model.log_prob("the dog sat")
    assert len(make(max_size=3, min_count=3).fit(lines).vocabulary) == 2
    with pytest.raises(ParameterError, match="max_size must be at least 1"):
        make(max_size=0).fit(lines)
