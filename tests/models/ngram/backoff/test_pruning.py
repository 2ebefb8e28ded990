"""Fewer n-grams: what remains is a distribution, and what goes is what costs least."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from models.ngram.reference import BEGIN, SlowCounts, SlowKneserNey, alphabet, count, histories

import arproc
from arproc.errors import ParameterError, UnsupportedError
from arproc.models.ngram.backoff.pruning import cut_offs, kept_by_entropy, renormalised, without
from arproc.models.ngram.smoothing import smoothings as estimation
from arproc.models.ngram.smoothing.discounts import DiscountWarning

corpora = st.lists(st.lists(st.integers(0, 2), max_size=14), min_size=1, max_size=6).filter(any)
LINES = ["the cat sat", "the cat ate the rat", "a rat sat", "the rat ate", "a cat"] * 2
SMOOTHINGS = [s for s in estimation.SMOOTHINGS if s != "additive"]


def estimate(counts, smoothing, cuts=None):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DiscountWarning)
        if smoothing in estimation.DISCOUNTED:
            return estimation.discounted(counts, smoothing, cuts)
        if smoothing in estimation.BACKED_OFF:
            return estimation.backed_off(counts, smoothing, cuts)
        return estimation.mixed(counts, smoothing, cuts)


def rows(trie, letters, order):
    every = list(histories(letters, order))
    width = order - 1
    ctx = np.zeros((len(every), width), np.int64)
    for i, h in enumerate(every):
        ctx[i, width - len(h) :] = h
    position = np.array([len(h) for h in every])
    return every, np.exp(trie.rows(trie.states(ctx, position), position))


def names(trie):
    """Each node's n-gram, {n-gram: node}."""
    grams, where = [()], {(): 0}
    for h in range(len(trie.back_off)):
        for i in range(trie.first_child[h], trie.first_child[h + 1]):
            grams.append((*grams[h], int(trie.symbol[i])))
            where[grams[-1]] = i
    return where


class SlowPrunedKneserNey(SlowKneserNey):
    """As KenLM: an n-gram that is cut off is discounted by its whole count."""

    def __init__(self, sequences, order, letters, discounts, cuts):
        super().__init__(sequences, order, letters, discounts)
        self.plain, self.cuts = SlowCounts(sequences, order, letters).plain, cuts

    def _recurse(self, h, w):
        k = len(h) + 1
        after = {g[-1]: c for g, c in self.counts[k].items() if g[:-1] == h}
        lower = self._recurse(h[1:], w) if h else 1.0 / self.letters.symbols
        total = sum(after.values())
        if total == 0:
            return lower
        taken = {
            v: c if k > 1 and self.plain[k][(*h, v)] <= self.cuts[k - 1] else self._discount(k, c)
            for v, c in after.items()
        }
        c = after.get(w, 0)
        return (c - taken.get(w, 0)) / total + sum(taken.values()) / total * lower


@given(corpora, st.integers(2, 4), st.booleans(), st.sampled_from([[0, 0, 1], [0, 1], [0, 1, 2]]))
def test_cut_offs_equal_their_definition(sequences, order, ends, prune):
    letters = alphabet(4, ends)
    cuts = cut_offs(prune[:order], order)
    trie, found = estimate(count(sequences, order, letters), "modified_kneser_ney", cuts)
    slow = SlowPrunedKneserNey(sequences, order, letters, found.values, cuts)
    every, p = rows(trie, letters, order)
    expected = [[slow.probability(h, w) for w in range(letters.symbols)] for h in every]
    np.testing.assert_allclose(p, expected, rtol=1e-9)
    np.testing.assert_allclose(p.sum(axis=1), 1.0, atol=1e-12)
    plain = SlowCounts(sequences, order, letters).plain
    kept = {tuple(letters.begin if w == BEGIN else w for w in g) for k in range(2, order + 1)
            for g, c in plain[k].items() if c > cuts[k - 1]}  # fmt: skip
    assert {g for g in names(trie) if len(g) > 1} == kept


@given(corpora, st.integers(2, 4), st.booleans(), st.sampled_from(SMOOTHINGS), st.integers(1, 2))
def test_every_smoothing_normalises_when_cut(sequences, order, ends, smoothing, cut):
    letters = alphabet(4, ends)
    counts = count(sequences, order, letters)
    trie, _ = estimate(counts, smoothing, cut_offs(cut, order))
    _, p = rows(trie, letters, order)
    np.testing.assert_allclose(p.sum(axis=1), 1.0, atol=1e-9)


def test_what_is_kept_by_count_keeps_its_probability():
    letters = alphabet(4, True)  # symbol 3 is never seen, so something is left in each context
    sequences = [[0, 1, 0, 1, 2], [0, 1, 1], [2, 0, 1]]
    counts = count(sequences, 3, letters)
    for smoothing in ("katz", "witten_bell", "backoff_kneser_ney"):
        whole, cut = (estimate(counts, smoothing, cuts)[0] for cuts in (None, [0, 1, 1]))
        before, after = names(whole), names(cut)
        assert 1 + letters.size < len(after) < len(before)
        for gram, node in after.items():
            if gram and gram != (letters.begin,):
                assert cut.log_prob[node] == pytest.approx(whole.log_prob[before[gram]])


# ---- relative entropy ------------------------------------------------------------------------


@settings(max_examples=25)
@given(corpora, st.integers(2, 3), st.sampled_from(["modified_kneser_ney", "katz", "witten_bell"]))
def test_the_cost_is_the_relative_entropy(sequences, order, smoothing):
    from arproc.models.ngram.backoff import edit_kernels as kernels

    letters = alphabet(4, False)
    trie, _ = estimate(count(sequences, order, letters), smoothing)
    where = names(trie)
    history = kernels.histories(trie.arrays, -1, -1)
    kept, cost = np.ones(len(trie.symbol), bool), np.zeros(len(trie.symbol))
    levels = trie.levels
    kernels.losses(trie.arrays, levels[order - 1], levels[order], history, kept, cost)
    every, p = rows(trie, letters, order)
    at = {h: i for i, h in enumerate(every)}
    chance = lambda h: math.prod(p[at[h[:j]], h[j]] for j in range(len(h)))  # noqa: E731
    for gram, node in where.items():
        if len(gram) < order:
            continue
        remaining = np.arange(len(trie.symbol)) != node
        _, q = rows(renormalised(without(trie, remaining)), letters, order)
        h = at[gram[:-1]]
        expected = chance(gram[:-1]) * (p[h] * np.log(p[h] / q[h])).sum()
        assert cost[node] == pytest.approx(expected, rel=1e-6, abs=1e-12)


@given(
    corpora, st.integers(2, 4), st.booleans(), st.sampled_from(SMOOTHINGS),
    st.sampled_from([0.0, 1e-4, 1e-2, 1.0]),
)  # fmt: skip
def test_what_remains_normalises(sequences, order, ends, smoothing, threshold):
    letters = alphabet(4, ends)
    trie, _ = estimate(count(sequences, order, letters), smoothing)
    smaller = renormalised(without(trie, kept_by_entropy(trie, threshold)))
    _, p = rows(smaller, letters, order)
    np.testing.assert_allclose(p.sum(axis=1), 1.0, atol=1e-9)


def fit(data, order=3, **params):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DiscountWarning)
        return arproc.NGram(order, **params).fit(data)


def test_the_more_goes_the_more_it_costs(tmp_path):
    model = fit(LINES, 4)
    sizes, scores = [], []
    for threshold in (0.0, 2e-2, 5e-2, 10.0):
        pruned = model.pruned(threshold)
        sizes.append(sum(pruned.n_ngrams_))
        scores.append(pruned.score(LINES))
    assert sizes == sorted(sizes, reverse=True)
    assert scores == sorted(scores, reverse=True)
    assert scores[0] == pytest.approx(model.score(LINES))
    assert pruned.n_ngrams_[1:] == [0, 0, 0]
    assert sum(model.n_ngrams_) > sizes[1]  # the model itself is as it was
    pruned.save(tmp_path / "model")
    assert arproc.load(tmp_path / "model").score(LINES) == scores[-1]


def test_a_pruned_model_survives_its_arpa_file(tmp_path):
    model = fit(LINES, 4).pruned(1e-2)
    model.to_arpa(tmp_path / "pruned.arpa")
    again = arproc.NGram.from_arpa(tmp_path / "pruned.arpa")
    lines = [*LINES, "rat rat the", "a dog sat the"]
    np.testing.assert_allclose(again.log_prob(lines), model.log_prob(lines), rtol=1e-6)


def test_refusals():
    model = fit(LINES)
    with pytest.raises(ParameterError, match="threshold"):
        model.pruned(-1)
    with pytest.raises(UnsupportedError, match="does not back off"):
        fit(LINES, smoothing="additive").pruned(1e-6)
    assert cut_offs(2, 4) == [0, 2, 2, 2]
    assert cut_offs([0, 0, 1], 4) == [0, 0, 1, 1]
    assert cut_offs(3, 1) == [0]
