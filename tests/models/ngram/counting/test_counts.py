"""Counting: against dictionaries, and the shape of the trie."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from models.ngram.reference import BEGIN, SlowCounts, alphabet, count

from arproc.errors import DataError
from arproc.models.ngram.counting import counts as counting

corpora = st.lists(st.lists(st.integers(0, 2), max_size=12), min_size=1, max_size=6).filter(any)


def spelled(counts):
    """Each n-gram's symbols, by number, following the parents."""
    grams = [()]
    for h in range(len(counts.first_child) - 1):
        for i in range(counts.first_child[h], counts.first_child[h + 1]):
            w = int(counts.symbol[i])
            begin = counts.alphabet.terminates and w == counts.alphabet.begin
            grams.append((*grams[h], BEGIN if begin else w))
    return grams


def check(sequences, order, letters):
    counts = count(sequences, order, letters)
    slow = SlowCounts(sequences, order, letters)
    grams = spelled(counts)
    assert len(grams) == len(counts.symbol) == counts.levels[-1]
    for k in range(1, order + 1):
        level = range(counts.levels[k], counts.levels[k + 1])
        seen = {grams[i]: (counts.count[i], counts.adjusted[i]) for i in level if counts.count[i]}
        expected = {gram: (c, slow.adjusted[k].get(gram, 0)) for gram, c in slow.plain[k].items()}
        assert seen == expected
        assert len(seen) == len(level) if k > 1 else len(level) == letters.size
    for i in range(1, len(grams)):
        assert grams[counts.link[i]] == grams[i][1:]
    return counts


@given(corpora, st.integers(1, 4), st.booleans())
def test_counts_equal_those_of_dictionaries(sequences, order, ends):
    check(sequences, order, alphabet(3, ends))


@pytest.mark.parametrize("symbols", [5, 70, 1000, 70000])
def test_large_groups_and_alphabets(symbols):
    # more than 64 positions in a group are sorted by radix, in one to three passes
    rng = np.random.default_rng(symbols)
    text = np.minimum(rng.zipf(1.3, 3000) - 1, symbols - 1).tolist()
    counts = check([text[:2000], text[2000:]], 3, alphabet(symbols, True))
    assert counts.count[counts.levels[1] : counts.levels[2]].max() > 64


def test_a_sequence_cut_short_has_no_end():
    letters = alphabet(2, True)
    values, offsets = np.array([0, 1, 0]), np.array([0, 2, 3])
    text = counting.lay_out(values, offsets, np.array([True, False]), letters)
    begin, end = letters.begin, letters.end
    assert text.tolist() == [begin, 0, 1, end, -1, begin, 0, -1]


def test_too_much_text_is_refused():
    offsets = np.array([0, 2**31])
    with pytest.raises(DataError, match="2,147,483,649 symbols"):
        counting.lay_out(np.zeros(0), offsets, np.array([True]), alphabet(2, False))
