"""Suffix arrays and what is counted with them, against plain sorting and dictionaries."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arproc.errors import DataError, FileFormatError
from arproc.models.ngram.suffix import suffix_kernels as kernels
from arproc.models.ngram.suffix.suffixes import Suffixes, suffix_array

texts = st.integers(1, 4).flatmap(
    lambda symbols: st.lists(st.integers(0, symbols - 1), min_size=1, max_size=60)
)


def lay_out(sequences, symbols):
    steps = np.array([len(s) for s in sequences])
    values = np.array([w for s in sequences for w in s], np.int64)
    return Suffixes.of(values, steps, symbols)


@given(texts)
def test_the_array_sorts_the_suffixes(text):
    order = suffix_array(np.array(text))
    assert order.dtype == np.int32
    assert order.tolist() == sorted(range(len(text)), key=lambda i: text[i:])


@pytest.mark.parametrize("symbols", [1, 2, 200, 100_000])
def test_long_texts_of_any_alphabet(symbols):
    text = np.random.default_rng(0).integers(0, symbols, 30_000)
    text[7_000:14_000] = text[20_000:27_000]  # a long repeat
    order = suffix_array(text)
    assert np.bincount(order, minlength=len(text)).tolist() == [1] * len(text)
    # neighbours in the array: by first symbols, and if these are equal by what comes after
    rank = np.full(len(text) + 1, -1)
    rank[order] = np.arange(len(text))
    a, b = order[:-1], order[1:]
    smaller = text[a] < text[b]
    assert (smaller | ((text[a] == text[b]) & (rank[a + 1] < rank[b + 1]))).all()


@given(texts)
def test_common_prefixes(text):
    order = suffix_array(np.array(text))
    got = kernels.common_prefixes(np.array(text, np.int32), order)
    for i in range(1, len(text)):
        a, b = text[order[i - 1] :], text[order[i] :]
        k = 0
        while k < min(len(a), len(b)) and a[k] == b[k]:
            k += 1
        assert got[i] == k
    assert got[0] == got[-1] == -1


@given(st.lists(st.lists(st.integers(0, 2), max_size=12), min_size=1, max_size=5))
def test_what_precedes_and_what_follows(sequences):
    symbols = 3
    suffixes = lay_out(sequences, symbols)
    text, order, common, before, after, first = suffixes.arrays
    whole = text.tolist()
    intervals = {}
    for i in range(len(whole)):
        for length in range(len(whole) - order[i] + 1):
            intervals.setdefault(tuple(whole[order[i] : order[i] + length]), []).append(i)
    for string, rows in intervals.items():
        low, high = rows[0], rows[-1] + 1
        assert rows == list(range(low, high))  # equal beginnings are neighbours
        if len(rows) == 1 or symbols in string[1:]:
            continue
        at = kernels.slot(common, low, high)
        places = [order[i] for i in rows]

        def preceding(places):
            alone = [p for p in places if p == 0 or whole[p] == symbols]
            return len(alone) + len({whole[p - 1] for p in places if p not in alone})

        assert before[at] == preceding(places)
        follows = {whole[p + len(string)] for p in places if p + len(string) < len(whole)}
        if len(follows) < 2:
            continue  # the interval is that of a longer string
        counts = [
            preceding([p for p in places if whole[p + len(string) :][:1] == [w]])
            for w in follows - {symbols}
        ]
        ones, twos = counts.count(1), counts.count(2)
        assert after[at].tolist() == [sum(counts), ones, twos, len(counts)]
    for w in range(symbols):
        assert first[w + 1] - first[w] == whole.count(w)


def test_slots_are_their_own():
    text = np.random.default_rng(3).integers(0, 2, 400).astype(np.int32)
    order = suffix_array(text)
    common = kernels.common_prefixes(text, order)
    slots = {}
    for low in range(len(text)):
        for high in range(low + 2, len(text) + 1):
            inner = common[low + 1 : high].min()
            if inner > common[low] and inner > common[high]:
                slots.setdefault(kernels.slot(common, low, high), []).append((low, high))
    assert len(slots) > 300
    assert all(len(intervals) == 1 for intervals in slots.values())


def test_damaged_texts_are_refused():
    fine = lay_out([[0, 1], [2]], 3).to_dict()
    assert Suffixes.from_dict(fine).text.tolist() == [3, 0, 1, 3, 2, 3]
    for text in ([3, 0, 4, 3], [3, -1, 3], [0, 1, 3], [3, 0, 1], [3]):
        with pytest.raises(FileFormatError, match="text is damaged"):
            Suffixes.from_dict({**fine, "text": np.array(text, np.int32)})
    with pytest.raises(FileFormatError, match="text is damaged"):
        Suffixes.from_dict({**fine, "text": fine["text"].astype(np.float64)})
    with pytest.raises(DataError, match="begins and ends with the mark"):
        Suffixes(np.zeros(3, np.int32), 3)
