"""The space of symbolic data, and tokenizers as vocabularies."""

from __future__ import annotations

import sys
import types

import numpy as np
import pandas as pd
import pytest
import tokenizer_stand_ins as stand_ins

import arproc
from arproc.contract.sequences import Sequences
from arproc.data.tokenizer_kinds import words_of
from arproc.data.tokenizers import TokenizerVocabulary, categorical_space
from arproc.errors import DataError, FileFormatError, MissingDependencyError, ParameterError
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


# ---- tokenizers of the libraries ------------------------------------------------------------

KINDS = {
    "tokenizers": stand_ins.Tokenizer,
    "truncating": lambda: _truncating(),
    "transformers": lambda: stand_ins.PreTrainedTokenizerFast(stand_ins.Tokenizer()),
    "sentencepiece": lambda: stand_ins.SentencePieceProcessor(add_bos=True),
    "tiktoken": stand_ins.tiktoken,
}
kinds = pytest.mark.parametrize("kind", KINDS)


def _truncating():
    found = stand_ins.Tokenizer()
    found.enable_truncation(max_length=3)
    return found


@pytest.fixture
def libraries(monkeypatch):
    """The packages that a file's tokenizers are made again with."""
    modules = {
        "tokenizers": types.SimpleNamespace(Tokenizer=stand_ins.Tokenizer),
        "sentencepiece": types.SimpleNamespace(
            SentencePieceProcessor=stand_ins.SentencePieceProcessor
        ),
        "tiktoken": types.SimpleNamespace(Encoding=stand_ins.TiktokenEncoding),
    }
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)


@kinds
def test_tokenizers_are_taken_as_they_are_and_add_nothing(kind):
    vocabulary = TokenizerVocabulary.of(KINDS[kind]())
    for text in ("a naïve café", "naïve 🙂 cafés, a", "é" * 9):
        assert vocabulary.decode(vocabulary.encode(text)) == text
    assert vocabulary.encode("").tolist() == []
    size = {"sentencepiece": 20, "tiktoken": 270}.get(kind, 268)
    assert len(vocabulary) == size or kind == "sentencepiece"
    if kind == "tiktoken":  # special tokens in a text are text
        assert vocabulary.decode(vocabulary.encode("<|endoftext|>")) == "<|endoftext|>"


@kinds
def test_words_by_offsets(kind):
    model = arproc.NGram(2, "additive", KINDS[kind]()).fit(stand_ins.TEXT)
    table = arproc.surprisal_table(model, stand_ins.TEXT, unit="nats")
    assert table.word.tolist() == " ".join(stand_ins.TEXT).split()
    assert (table.tokens >= 1).all()
    terms = model.log_prob_terms(stand_ins.TEXT)
    for i, own in enumerate(terms):
        found = table[table.sentence == i + 1].surprisal.sum()
        assert found == pytest.approx(-own[:-1].sum())  # without the end
    ended = arproc.surprisal_table(model, stand_ins.TEXT, unit="nats", ends=True)
    sums = ended.groupby("sentence").surprisal.sum().to_numpy()
    np.testing.assert_allclose(sums, -model.log_prob(stand_ins.TEXT))
    column = pd.Series(stand_ins.TEXT)
    assert arproc.surprisal_table(model, column, unit="nats").equals(table)
    whole = arproc.evaluate(model, stand_ins.TEXT)
    lossy = kind == "sentencepiece"  # runs of blanks are one there, and the last is lost
    assert (whole.n_bytes is None) == lossy or whole.bits_per_byte is None


@kinds
def test_tokenizers_are_saved_with_the_model(kind, tmp_path, libraries):
    model = arproc.NGram(2, "additive", KINDS[kind]()).fit(stand_ins.TEXT)
    model.save(tmp_path / "model")
    again = arproc.load(tmp_path / "model")
    np.testing.assert_array_equal(again.log_prob(stand_ins.TEXT), model.log_prob(stand_ins.TEXT))
    assert again.space == model.space
    assert again.sample(3, 9, seed=0) == model.sample(3, 9, seed=0)
    assert again.fit(stand_ins.TEXT[:2]).space == model.space
    tokens = arproc.Tokens(KINDS[kind](), end=False)
    model = arproc.NGram(2, "additive", tokens).fit(stand_ins.TEXT)
    model.save(tmp_path / "model")
    assert arproc.load(tmp_path / "model").tokens.end is False
    other = TokenizerVocabulary.of(KINDS["tiktoken" if kind != "tiktoken" else "tokenizers"]())
    assert other != model.vocabulary


@pytest.mark.parametrize("library", ["tokenizers", "sentencepiece", "tiktoken"])
def test_a_missing_library_is_named_and_a_damaged_tokenizer_refused(
    library, tmp_path, libraries, monkeypatch
):
    vocabulary = TokenizerVocabulary.of(KINDS[library]())
    value = vocabulary.to_dict()
    assert TokenizerVocabulary.from_dict(value) == vocabulary
    for name in value.keys() - {"kind", "library"}:
        with pytest.raises(FileFormatError, match="can not be made again"):
            TokenizerVocabulary.from_dict({**value, name: None})
    with pytest.raises(FileFormatError, match="of 'other', which is not known"):
        TokenizerVocabulary.from_dict({**value, "library": "other"})
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(MissingDependencyError, match="pip install"):
        TokenizerVocabulary.from_dict(value)


def test_a_tokenizer_of_no_library_gives_words_too_and_says_that_it_can_not_be_saved(tmp_path):
    class Bytes:
        vocab_size = 256

        def encode(self, text):
            return list(text.encode())

        def decode(self, ids):
            return bytes(ids).decode("utf-8", "replace")

    model = arproc.NGram(2, "additive", Bytes()).fit(stand_ins.TEXT)
    table = arproc.surprisal_table(model, stand_ins.TEXT)
    assert table.word.tolist() == " ".join(stand_ins.TEXT).split()
    with pytest.raises((DataError, ParameterError), match="can not be saved"):
        model.save(tmp_path / "m")


def test_a_token_of_two_words_is_refused():
    with pytest.raises(DataError, match="'e c' belongs to two words"):
        words_of("one cat", [(0, 2), (2, 5), (5, 7)])
    with pytest.raises(DataError, match="'cat' has no token of its own"):
        words_of("one cat", [(0, 4)])
    words, group = words_of(
        "  one \n cat  ", [(0, 1), (1, 6), (6, 8), (8, 11), (11, 11), (11, 13)]
    )
    assert words == ["one", "cat"]
    assert group.tolist() == [0, 0, 1, 1, 1, 1]
    assert words_of("  ", [(0, 2)])[0] == []


# ---- the libraries themselves, where they are -------------------------------------------------


def _check_library(tokenizer, tmp_path):
    model = arproc.NGram(2, "additive", tokenizer).fit(stand_ins.TEXT)
    table = arproc.surprisal_table(model, stand_ins.TEXT)
    assert table.word.tolist() == " ".join(stand_ins.TEXT).split()
    model.save(tmp_path / "model")
    again = arproc.load(tmp_path / "model")
    np.testing.assert_array_equal(again.log_prob(stand_ins.TEXT), model.log_prob(stand_ins.TEXT))


@pytest.mark.parametrize("level", ["byte", "metaspace"])
@pytest.mark.parametrize("fast", [False, True])
def test_the_package_tokenizers_itself(tmp_path, level, fast):
    tokenizers = pytest.importorskip("tokenizers")
    from tokenizers import decoders, models, pre_tokenizers, processors, trainers

    found = tokenizers.Tokenizer(models.BPE(unk_token="[UNK]"))
    kind = "ByteLevel" if level == "byte" else "Metaspace"
    found.pre_tokenizer = getattr(pre_tokenizers, kind)()
    found.decoder = getattr(decoders, kind)()
    trainer = trainers.BpeTrainer(special_tokens=["[UNK]", "[CLS]", "[SEP]"], vocab_size=300)
    found.train_from_iterator(stand_ins.TEXT, trainer)
    found.post_processor = processors.TemplateProcessing(
        "[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    found.enable_truncation(max_length=3)
    if fast:
        transformers = pytest.importorskip("transformers")
        found = transformers.PreTrainedTokenizerFast(tokenizer_object=found)
    _check_library(found, tmp_path)


def test_the_package_sentencepiece_itself(tmp_path):
    sentencepiece = pytest.importorskip("sentencepiece")
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(stand_ins.TEXT * 20), model_prefix=str(tmp_path / "sp"),
        vocab_size=30, hard_vocab_limit=False, character_coverage=1.0,
    )  # fmt: skip
    _check_library(
        sentencepiece.SentencePieceProcessor(model_file=str(tmp_path / "sp.model")), tmp_path
    )


def test_the_package_tiktoken_itself(tmp_path):
    tiktoken = pytest.importorskip("tiktoken")
    own = stand_ins.tiktoken()
    found = tiktoken.Encoding(
        "small", pat_str=r"\s?\S+|\s+", mergeable_ranks=own._mergeable_ranks,
        special_tokens=own._special_tokens,
    )  # fmt: skip
    _check_library(found, tmp_path)
