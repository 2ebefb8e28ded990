"""Estimation: against the formulas written out, KenLM's lmplz, and by hand."""

from __future__ import annotations

import gzip
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from models.ngram.reference import SlowAdditive, SlowKneserNey, alphabet, count, histories

import arproc
from arproc.models.ngram.smoothing import smoothing_kernels
from arproc.models.ngram.smoothing.discounts import FALLBACK, closed_form, maximise
from arproc.models.ngram.smoothing.smoothings import DiscountWarning, additive, discounted

DATA = Path(__file__).parents[1] / "data"

corpora = st.lists(st.lists(st.integers(0, 2), max_size=12), min_size=1, max_size=6).filter(any)


def rows(trie, letters, order):
    """The model's probabilities after each history, [histories, V]."""
    every = list(histories(letters, order))
    width = order - 1
    ctx = np.zeros((len(every), width), np.int64)
    for i, h in enumerate(every):
        ctx[i, width - len(h) :] = h
    position = np.array([len(h) for h in every])
    return every, np.exp(trie.rows(trie.states(ctx, position), position))


@given(corpora, st.integers(1, 4), st.booleans())
def test_kneser_ney_equals_its_definition_and_normalises(sequences, order, ends):
    letters = alphabet(4, ends)  # symbol 3 is never seen
    counts = count(sequences, order, letters)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DiscountWarning)
        trie, discounts = discounted(counts)
    slow = SlowKneserNey(sequences, order, letters, discounts.values)
    every, p = rows(trie, letters, order)
    expected = [[slow.probability(h, w) for w in range(letters.symbols)] for h in every]
    np.testing.assert_allclose(p, expected, rtol=1e-10)
    np.testing.assert_allclose(p.sum(axis=1), 1.0, atol=1e-12)
    assert p.min() > 0 or (discounts.values == 0).any()  # lmplz lets a discount be zero


@given(corpora, st.integers(1, 4), st.booleans(), st.sampled_from([0.1, 1.0, 2.5]))
def test_additive_equals_its_definition_and_normalises(sequences, order, ends, alpha):
    letters = alphabet(4, ends)
    trie = additive(count(sequences, order, letters), alpha)
    slow = SlowAdditive(sequences, order, letters, alpha)
    every, p = rows(trie, letters, order)
    expected = [[slow.probability(h, w) for w in range(letters.symbols)] for h in every]
    np.testing.assert_allclose(p, expected, rtol=1e-12)
    np.testing.assert_allclose(p.sum(axis=1), 1.0, atol=1e-12)


def test_a_small_example_by_hand():
    # "a b a c" and "b a", order 2; symbols <unk> a b c and the end; discounts 1/2, 1, 3/2.
    # Different symbols before: a {<s> b}, b {a <s>}, c {a}, end {c a}: 7 in all.
    # Mass to the uniform distribution: (1 + 1 + 1/2 + 1) / 7 = 1/2 over 5 symbols.
    unk, a, b, c, end = range(5)
    counts = count([[a, b, a, c], [b, a]], 2, alphabet(4, True))
    trie, _ = discounted(counts, given=np.array([[0.5, 1.0, 1.5]] * 2))
    after = {h: np.exp(trie.rows(trie.states(np.array([[h]]), one), one)[0]) for h in range(4)}
    uni = np.array([0.1, 1 / 7 + 0.1, 1 / 7 + 0.1, 0.5 / 7 + 0.1, 1 / 7 + 0.1])
    np.testing.assert_allclose(after[unk], uni)
    # b is followed by a twice: (2 - 1) / 2, and 1 / 2 goes to the single symbols
    assert after[b][a] == pytest.approx(0.5 + 0.5 * uni[a])
    assert after[b][end] == pytest.approx(0.5 * uni[end])
    # a is followed by b, c and the end, once each: (1 - 1/2) / 3, and 1.5 / 3 below
    assert after[a][c] == pytest.approx(0.5 / 3 + 0.5 * uni[c])


one = np.array([1])


def arpa_entries(lines):
    entries = {}
    for line in lines:
        fields = line.rstrip("\n").split("\t")
        if len(fields) > 1:
            entries[fields[1]] = [float(fields[0]), float(fields[2]) if len(fields) > 2 else 0.0]
    return entries


def test_equal_to_lmplz_ngram_by_ngram(tmp_path):
    # lmplz.arpa.gz is what KenLM's `lmplz -o 3` made of lmplz.txt. Its last new word occurs more
    # often than it has different words before it, which lmplz tallies in its own way.
    text = DATA / "lmplz.txt"
    model = arproc.NGram(3).fit(text)
    assert model.discount_source_ == ("closed form",) * 3
    model.to_arpa(tmp_path / "ours.arpa")
    with gzip.open(DATA / "lmplz.arpa.gz", "rt", encoding="utf-8") as file:
        theirs = arpa_entries(file)
    ours = arpa_entries((tmp_path / "ours.arpa").read_text(encoding="utf-8").splitlines())
    assert ours.keys() == theirs.keys()
    difference = np.array([np.subtract(ours[gram], theirs[gram]) for gram in theirs])
    assert np.abs(difference).max() < 1e-6  # log10, float32 in lmplz


def test_closed_form_discounts():
    # n1 = 10, n2 = 5, n3 = 3, n4 = 2: Y = 1/2, D = 1 - 2 Y 5/10, 2 - 3 Y 3/5, 3 - 4 Y 2/3
    found = closed_form(np.array([0, 10, 5, 3, 2]))
    np.testing.assert_allclose(found, [0, 0.5, 1.1, 5 / 3])


@pytest.mark.parametrize("n", [[0, 0, 5, 3, 2], [0, 9, 0, 3, 2], [0, 9, 5, 0, 2], [0, 3, 3, 9, 9]])
def test_closed_form_refuses_what_lmplz_refuses(n):
    assert closed_form(np.array(n)) is None


@given(corpora, st.integers(1, 3), st.booleans())
def test_leave_one_out_equals_taking_events_away_one_by_one(sequences, order, ends):
    letters = alphabet(4, ends)
    counts = count(sequences, order, letters)
    discount = np.array([0.0, 0.4, 0.9, 1.3])
    trie, _ = discounted(counts, given=np.tile(discount[1:], (order, 1)))
    p = np.exp(trie.log_prob)
    skip = 1 + letters.begin if ends else -1
    first, last = (0, 1) if order == 1 else counts.levels[order - 1 : order + 1]
    uniform = 1 / letters.symbols
    found = smoothing_kernels.leave_one_out(
        first, last, counts.first_child, counts.adjusted, counts.link, skip, discount, uniform, p
    )
    expected = 0.0
    for h in range(first, last):
        children = [i for i in range(*counts.first_child[h : h + 2]) if i != skip]
        for i in children:
            for _ in range(counts.adjusted[i]):
                left = {j: counts.adjusted[j] - (j == i) for j in children}
                total = sum(left.values())
                if total == 0:
                    continue
                weight = sum(discount[min(c, 3)] for c in left.values()) / total
                below = p[counts.link[i]] if h else uniform
                expected += np.log((left[i] - discount[min(left[i], 3)]) / total + weight * below)
    assert found == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_discounts_without_a_closed_form_are_chosen_with_a_warning():
    sequences = [[0, 1, 0, 1, 0, 1, 2, 0, 1] * 3]
    counts = count(sequences, 2, alphabet(3, False))
    with pytest.warns(DiscountWarning, match="for order 1, 2: .* leave-one-out likelihood"):
        _, discounts = discounted(counts)
    assert "leave-one-out" in discounts.source


def test_the_search_finds_the_largest_likelihood():
    found = maximise(lambda d: -((d[1] - 0.8) ** 2))
    np.testing.assert_allclose(found, 1.6 * FALLBACK, atol=1e-3)
    np.testing.assert_array_equal(maximise(lambda d: 0.0), FALLBACK)  # nothing to choose by
