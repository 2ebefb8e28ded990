"""Vocabularies: text to numbers and back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arproc.data import vocabulary as text
from arproc.data import word_table
from arproc.data.symbols import UNKNOWN
from arproc.data.vocabulary import Vocabulary
from arproc.errors import DataError, FileFormatError, ParameterError

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


def test_words_are_numbered_as_they_first_appear():
    vocabulary = Vocabulary.build(["b a b", "c\ta"], "word")
    assert vocabulary.symbols == (UNKNOWN, "b", "a", "c")
    assert vocabulary.encode(" b  zoo\nc ").tolist() == [1, 0, 3]
    assert vocabulary.decode([1, 0, 3]) == "b <unk> c"
    assert "a" in vocabulary
    assert "zoo" not in vocabulary


def test_words_are_cut_at_ascii_white_space_alone():
    # a no-break space and a next-line character belong to the word, as in KenLM
    assert Vocabulary.build("a\u00a0b c\u0085d e", "word").symbols[1:] == (
        "a\u00a0b",
        "c\u0085d",
        "e",
    )


def test_the_most_frequent_symbols():
    text = "d b b c c a a a e"
    assert Vocabulary.build(text, max_size=3).symbols == ("<unk>", "b", "c", "a")
    # b, c have two each, and d, e one: of these the first
    assert Vocabulary.build(text, max_size=2).symbols == ("<unk>", "b", "a")
    assert Vocabulary.build(text, max_size=4).symbols == ("<unk>", "d", "b", "c", "a")
    assert Vocabulary.build(text, max_size=4, min_count=2).symbols == ("<unk>", "b", "c", "a")
    assert Vocabulary.build(text, max_size=99) == Vocabulary.build(text)
    chars = Vocabulary.build("ccbbad", "char", max_size=2)
    assert (chars.symbols, chars.unknown) == (("b", "c", "<unk>"), 2)
    listed = Vocabulary.build([["x", "y"], ["y"]], "symbols", max_size=1)
    assert listed.symbols == ("<unk>", "y")
    with pytest.raises(ParameterError, match="max_size=1 leaves symbols out"):
        Vocabulary.build(text, max_size=1, unknown=False)
    with pytest.raises(ParameterError, match="max_size must be at least 1"):
        Vocabulary.build(text, max_size=0)


def test_a_cut_off_leaves_out_rare_words():
    vocabulary = Vocabulary.build("a b a c b a", "word", min_count=2)
    assert vocabulary.symbols == (UNKNOWN, "a", "b")
    assert vocabulary.encode("c a").tolist() == [0, 1]
    chars = Vocabulary.build("aabbc", "char", min_count=2)
    assert chars.symbols == ("a", "b", UNKNOWN)
    assert chars.decode(chars.encode("abc")) == "ab\ufffd"


@given(texts.filter(bool))
def test_characters_come_back(text):
    vocabulary = Vocabulary.build(text, "char")
    numbers = vocabulary.encode(text)
    assert numbers.dtype == np.int64
    assert vocabulary.decode(numbers) == text
    assert list(vocabulary.symbols) == sorted(set(text))


@given(texts)
def test_bytes_come_back(text):
    vocabulary = Vocabulary.of_bytes()
    assert vocabulary.encode(text).tolist() == list(text.encode())
    assert vocabulary.decode(vocabulary.encode(text)) == text


@given(texts, texts.filter(bool))
def test_open_characters_equal_a_dictionary(text, seen):
    vocabulary = Vocabulary.build(seen, "char", unknown=True)
    index = {symbol: i for i, symbol in enumerate(vocabulary.symbols) if symbol != UNKNOWN}
    expected = [index.get(symbol, vocabulary.unknown) for symbol in text]
    assert vocabulary.encode(text).tolist() == expected


def test_lists_of_symbols():
    vocabulary = Vocabulary.build([["up", "left left"], ["up"]], "symbols")
    assert vocabulary.encode(["left left", "up"]).tolist() == [1, 0]
    assert vocabulary.decode([1, 0]) == ["left left", "up"]
    assert Vocabulary.build([["a", "b"], "a b"], "word").encode(["b", "a"]).tolist() == [2, 1]
    assert Vocabulary.build("ab", "char").encode(["b", "a"]).tolist() == [1, 0]


def test_what_is_not_in_a_closed_vocabulary_is_named():
    with pytest.raises(
        DataError, match="character 'é' at position 2 is not in the vocabulary of 2"
    ):
        Vocabulary.build("ab", "char").encode("abé")
    with pytest.raises(DataError, match="word 'zoo' at position 1"):
        Vocabulary.build("a b", "word", unknown=False).encode("a zoo")
    with pytest.raises(DataError, match="symbol 'c' at position 0"):
        Vocabulary.build([["a"]], "symbols").encode(["c"])
    with pytest.raises(DataError, match="0 to 1; got 0 to 2"):
        Vocabulary.build("ab", "char").decode([0, 2])


@pytest.mark.parametrize("symbol", ["<unk>", "<s>", "</s>"])
def test_special_words_in_the_text_are_refused(symbol):
    with pytest.raises(DataError, match=f"'{symbol}' stands in the text"):
        Vocabulary.build(f"a {symbol}", "word")
    with pytest.raises(DataError, match=f"'{symbol}' stands in the text as a word at position 1"):
        Vocabulary.build("a b", "word").encode(f"a {symbol}")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (((), "word"), "at least one symbol"),
        ((("a", "a"), "word"), "got 'a' 2 times"),
        ((("a", "b c"), "word"), "no white space and is not empty; got 'b c'"),
        ((("a", ""), "word"), "got ''"),
        ((("a", "<s>"), "word"), "special symbol"),
        ((("a", "bc"), "char"), "single characters; got 'bc'"),
        ((("a", 1), "symbols"), r"got 1 \(int\), number 1"),
        ((("a",), "letters"), "kind must be one of"),
        ((("a",), "word", 1), "0 to 0; got 1"),
        ((("a",), "byte"), "of_bytes"),
    ],
)
def test_what_is_no_vocabulary(arguments, message):
    with pytest.raises(ParameterError, match=message):
        Vocabulary(*arguments)


def test_text_of_the_wrong_kind():
    with pytest.raises(DataError, match="list of symbols"):
        Vocabulary(("a",), "symbols").encode("a")
    with pytest.raises(DataError, match="no word"):
        Vocabulary.build(" \n", "word")
    with pytest.raises(DataError, match="not UTF-8"):
        Vocabulary.build(b"a \xff", "word")
    with pytest.raises(ParameterError, match="closed vocabulary"):
        Vocabulary.build("a", "word", min_count=2, unknown=False)


@pytest.mark.parametrize(
    "vocabulary",
    [
        Vocabulary.build("a b", "word"),
        Vocabulary.build("añb", "char", unknown=True),
        Vocabulary.of_bytes(),
        Vocabulary(("x", "y z"), "symbols"),
    ],
)
def test_equal_by_content_and_through_a_description(vocabulary, monkeypatch):
    again = Vocabulary.from_dict(vocabulary.to_dict())
    assert again == vocabulary
    monkeypatch.setattr(text, "_AT_ONCE", 0)  # read when first used
    again = Vocabulary.from_dict(vocabulary.to_dict())
    assert len(again) == len(vocabulary)
    assert again == vocabulary
    assert hash(again) == hash(vocabulary)
    assert again != Vocabulary(("other",), "symbols")
    assert vocabulary != vocabulary.symbols


def spelt(symbols, **rest):
    ends = np.cumsum([len(s) for s in symbols]).astype(np.int64)
    joined = np.frombuffer("".join(symbols).encode(), np.uint8)
    return {"kind": "word", "text": joined, "ends": ends, **rest}


@pytest.mark.parametrize(
    "value",
    [
        None,
        {},
        {"kind": "word", "text": "ab", "ends": [1, 2]},
        spelt(["a", "a"]),
        spelt(["a"], unknown=5),
        spelt(["a"], unknown=True),
        spelt(["a"], kind="sentence"),
        spelt(["a", "b"], ends=np.array([1, 3])),
        spelt(["a", "b"], ends=np.array([3, 2])),
        spelt(["a"], text=np.array([0xFF], np.uint8)),
    ],
)
def test_damaged_descriptions(value):
    with pytest.raises(FileFormatError):
        Vocabulary.from_dict(value)


@pytest.mark.parametrize("kind", ["word", "char", "byte"])
def test_many_texts_at_once(kind):
    lines = ["a b", "", "b  é a", "c"]
    vocabulary = Vocabulary.build(lines[:3], kind, unknown=True)
    values, lengths = vocabulary.encode_all(lines)
    parts = [vocabulary.encode(line) for line in lines]
    assert lengths.tolist() == [len(part) for part in parts]
    assert values.tolist() == np.concatenate(parts).tolist()
    assert vocabulary.encode_all([])[0].dtype == np.int64


def test_an_error_in_many_texts_says_where():
    with pytest.raises(DataError, match="In text 2: The character 'é' at position 1"):
        Vocabulary.build("ab", "char").encode_all(["ab", "", "aé"])
    with pytest.raises(DataError, match=r"In text 1: .*'<s>'"):
        Vocabulary.build("a b", "word").encode_all(["a", "b <s>"])


def test_special_symbols_are_words_like_others_when_escaped():
    text = "a <s> b </s> <unk> \\<s> \\\\<s>"
    words = Vocabulary.build([text], "word", special="escape")
    assert words.symbols[1:] == (
        "a", "\\<s>", "b", "\\</s>", "\\<unk>", "\\\\<s>", "\\\\\\<s>"
    )  # fmt: skip
    numbers = words.encode(text)
    assert numbers.tolist() == [1, 2, 3, 4, 5, 6, 7]
    assert words.decode(numbers) == text
    assert words.encode(["<s>", "none", "<unk>"]).tolist() == [2, 0, 5]
    fewer = Vocabulary.build(["a b"], "word", special="escape")
    assert fewer.encode("a <unk> </s>").tolist() == [1, 0, 0]
    assert Vocabulary.from_dict(words.to_dict()) == words
    assert words != Vocabulary(words.symbols, "word", 0)
    closed = Vocabulary.build(["a <s>"], "word", unknown=False, special="escape")
    assert closed.encode("<s> a").tolist() == [1, 0]
    with pytest.raises(DataError, match="'</s>' at position 0 is not in the vocabulary"):
        closed.encode("</s>")
    with pytest.raises(ParameterError, match="special must be"):
        Vocabulary.build(["a"], "word", special="ignore")


@pytest.mark.parametrize("large", [8, 1 << 20])
def test_unk_in_a_text_may_be_an_unknown_word(monkeypatch, large):
    monkeypatch.setattr(word_table, "LARGE", large)
    text = "<unk> a <unk> b a"
    with pytest.raises(DataError, match=r"'<unk>' stands.*special=\"unknown\""):
        Vocabulary.build(text)
    words = Vocabulary.build(text, special="unknown")
    assert words.symbols == (UNKNOWN, "a", "b")
    assert words.encode(text).tolist() == [0, 1, 0, 2, 1]
    assert words.encode(["a", "<unk>", "c"]).tolist() == [1, 0, 0]
    assert [x.tolist() for x in words.encode_all([text, "c <unk>"])] == [
        [0, 1, 0, 2, 1, 0, 0],
        [5, 2],
    ]
    assert words.decode(words.encode(text)) == text
    again = Vocabulary.from_dict(words.to_dict())
    assert again == words
    assert again.encode(text).tolist() == [0, 1, 0, 2, 1]
    other = Vocabulary(("a", UNKNOWN, "b"), "word", 1, "unknown")
    assert other.encode(text).tolist() == [1, 0, 1, 2, 0]
    lines = np.frombuffer(b"b <unk>\nc", np.uint8)
    assert [x.tolist() for x in other.encode_lines(lines)] == [[2, 1, 1], [2, 1]]
    for symbol in ("<s>", "</s>"):
        with pytest.raises(DataError, match=f"The special symbol '{symbol}' stands in the text"):
            words.encode(f"a {symbol}")
        with pytest.raises(DataError, match="stands in the text as a word"):
            Vocabulary.build(f"a {symbol}", special="unknown")
    with pytest.raises(ParameterError, match=r"special=\"unknown\".*closed"):
        Vocabulary.build(text, special="unknown", unknown=False)
    with pytest.raises(DataError, match="holds no word"):
        Vocabulary.build("<unk> <unk>", special="unknown")
