"""Words counted and numbered by compiled loops: against bytes.split and dictionaries."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from arproc.data import word_table as words
from arproc.data.text_files import text_bytes
from arproc.data.vocabulary import Vocabulary
from arproc.errors import DataError

TEXTS = st.text(st.sampled_from("ab \n\t\r\x0b\x0cé\u2003"), max_size=200)


@pytest.fixture
def in_parts(monkeypatch):
    """Small texts by the compiled loops too, in two parts."""
    monkeypatch.setattr(words, "LARGE", 8)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_words_are_counted_in_order_of_appearance(in_parts):
    @given(TEXTS)
    def check(text):
        raw = np.frombuffer(text.encode(), np.uint8)
        table = words.count_words(raw)
        expected = Counter(text.encode().split())
        assert table.words == list(expected)
        assert table.count[: len(expected)].tolist() == list(expected.values())

    check()


def test_numbers_and_lines_are_those_of_splitting(in_parts):
    known = [b"a", b"b", b"ab", "é".encode(), b"aa"]

    @given(TEXTS)
    def check(text):
        raw = np.frombuffer(text.encode(), np.uint8)
        found, lengths = words.WordTable.of(known).look_up(raw, np.arange(5, dtype=np.int32), -1)
        lines = [line.split() for line in text.encode().split(b"\n")]
        index = {word: number for number, word in enumerate(known)}
        assert lengths.tolist() == [len(line) for line in lines]
        assert found.tolist() == [index.get(word, -1) for line in lines for word in line]

    check()


def test_a_table_grows_with_many_and_long_words():
    text = " ".join(f"{'x' * (i % 300)}{i}" for i in range(5000)) + " " + "y" * 100_000
    table = words.count_words(np.frombuffer(text.encode(), np.uint8))
    assert table.words == text.encode().split()


@given(st.lists(TEXTS, min_size=1, max_size=8))
def test_newlines_within_texts_do_not_part_them(texts):
    lines = words.joined(texts).tobytes().split(b"\n")
    assert [line.split() for line in lines] == [text.encode().split() for text in texts]


def test_the_two_ways_of_reading_agree(in_parts, monkeypatch, tmp_path):
    path = tmp_path / "text.txt"

    @given(TEXTS.filter(lambda text: text.split()), st.integers(1, 3))
    def check(text, min_count):
        path.write_bytes(text.encode())
        raw = text_bytes(path)
        large = Vocabulary.build(raw, "word", min_count=min_count)
        coded = large.encode_lines(raw)
        monkeypatch.setattr(words, "LARGE", 1 << 20)
        small = Vocabulary.build(raw, "word", min_count=min_count)
        other = small.encode_lines(raw)
        monkeypatch.setattr(words, "LARGE", 8)
        assert large == small
        for a, b in zip(coded, other, strict=True):
            np.testing.assert_array_equal(a, b)

    check()


@pytest.mark.parametrize("large", [8, 1 << 20])
def test_errors_name_line_and_position(monkeypatch, large):
    monkeypatch.setattr(words, "LARGE", large)
    raw = np.frombuffer(b"a b\n\na c b a\na", np.uint8)
    closed = Vocabulary(("a", "b"), "word")
    with pytest.raises(DataError, match=r"In text 2: The word 'c' at position 1"):
        closed.encode_lines(raw)
    with pytest.raises(DataError, match=r"In text 1: The special symbol '<s>'.*position 2"):
        closed.encode_lines(np.frombuffer(b"a b a b a b\na b <s>", np.uint8))
