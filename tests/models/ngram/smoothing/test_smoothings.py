"""The other smoothings: each against its formula written out, and what is known of it."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from models.ngram.reference import (
    BEGIN,
    SlowBackOff,
    SlowCounts,
    SlowKneserNey,
    SlowMixed,
    alphabet,
    count,
    histories,
)
from scipy.optimize import minimize

import arproc
from arproc.errors import ParameterError, UnsupportedError
from arproc.models.ngram.counting.counts import lay_out
from arproc.models.ngram.smoothing import smoothings as estimation
from arproc.models.ngram.smoothing.discounts import DiscountWarning, absolute, good_turing
from arproc.models.ngram.smoothing.jelinek_mercer import (
    deleted_events,
    held_out_events,
    weights_by_em,
)

corpora = st.lists(st.lists(st.integers(0, 2), max_size=14), min_size=1, max_size=6).filter(any)
LINES = ["the cat sat", "the cat ate the rat", "a rat sat", "the rat ate", "a cat"] * 2


def rows(trie, letters, order):
    """The model's probabilities after each history, [histories, V]."""
    every = list(histories(letters, order))
    width = order - 1
    ctx = np.zeros((len(every), width), np.int64)
    for i, h in enumerate(every):
        ctx[i, width - len(h) :] = h
    position = np.array([len(h) for h in every])
    return every, np.exp(trie.rows(trie.states(ctx, position), position))


def check(trie, slow, letters, order, rtol=1e-9):
    every, p = rows(trie, letters, order)
    expected = [[slow.probability(h, w) for w in range(letters.symbols)] for h in every]
    np.testing.assert_allclose(p, expected, rtol=rtol, atol=1e-14)
    np.testing.assert_allclose(p.sum(axis=1), 1.0, atol=1e-9)


def quiet(call, *arguments, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DiscountWarning)
        return call(*arguments, **options)


def fit(data, order=3, validation=None, **params):
    return quiet(arproc.NGram(order, **params).fit, data, validation=validation)


# ---- each equals its definition --------------------------------------------------------------


@given(corpora, st.integers(1, 4), st.booleans())
def test_witten_bell(sequences, order, ends):
    letters = alphabet(4, ends)  # symbol 3 is never seen
    trie, _ = estimation.mixed(count(sequences, order, letters), "witten_bell")
    slow = SlowMixed(sequences, order, letters, lambda k, n, t: n / (n + t))
    check(trie, slow, letters, order)


@given(corpora, st.integers(1, 4), st.booleans())
def test_maximum_likelihood(sequences, order, ends):
    letters = alphabet(4, ends)
    trie, _ = estimation.mixed(count(sequences, order, letters), "maximum_likelihood")
    check(trie, SlowMixed(sequences, order, letters, lambda k, n, t: 1.0), letters, order)


@given(corpora, st.integers(1, 4), st.booleans(), st.booleans())
def test_kneser_ney_and_absolute_discounting(sequences, order, ends, adjusted):
    letters = alphabet(4, ends)
    name = "kneser_ney" if adjusted else "absolute_discounting"
    trie, found = quiet(estimation.discounted, count(sequences, order, letters), name)
    assert found.values.shape == (order, 1)
    slow = SlowKneserNey(sequences, order, letters, np.repeat(found.values, 3, axis=1))
    if not adjusted:
        slow.counts = {
            k: {g: c for g, c in grams.items() if g != (BEGIN,)}
            for k, grams in SlowCounts(sequences, order, letters).plain.items()
        }
    check(trie, slow, letters, order)


def seen_by(found, symbols):
    def seen(after, length):
        d = found.values[length]
        taken = {w: d[min(c, len(d)) - 1] for w, c in after.items()}
        total = sum(after.values())
        if sum(taken.values()) == 0 and len(after) < symbols:
            total += 1
        return {w: (c - taken[w]) / total for w, c in after.items()}

    return seen


@given(corpora, st.integers(1, 4), st.booleans(), st.sampled_from(["katz", "backoff_kneser_ney"]))
def test_back_off(sequences, order, ends, name):
    letters = alphabet(4, ends)
    counts = count(sequences, order, letters)
    trie, found = quiet(estimation.backed_off, counts, name)
    slow = SlowBackOff(sequences, order, letters, seen_by(found, letters.symbols))
    if name != "katz":
        slow.counts = SlowCounts(sequences, order, letters).adjusted
    check(trie, slow, letters, order)


@given(corpora, corpora, st.integers(1, 4), st.booleans(), st.booleans())
def test_jelinek_mercer(sequences, held_out, order, ends, deleted):
    letters = alphabet(4, ends)
    counts = count(sequences, order, letters)
    text = None if deleted else laid_out(held_out, letters)
    trie, weights = estimation.mixed(counts, "jelinek_mercer", held_out=text)
    slow = SlowMixed(sequences, order, letters, lambda k, n, t: weights[k, n.bit_length() - 1])
    check(trie, slow, letters, order)
    assert (weights > 0).all()
    assert (weights < 1).all()


def laid_out(sequences, letters):
    offsets = np.concatenate([[0], np.cumsum([len(s) for s in sequences])])
    values = np.array([w for s in sequences for w in s], dtype=np.int64)
    return lay_out(values, offsets, np.ones(len(sequences), bool), letters)


# ---- discounts -------------------------------------------------------------------------------


def test_good_turing_by_hand():
    # n_1 ... n_4 = 100, 40, 20, 8, k = 2: t = 3 n_3 / n_1 = 0.6; 1* = 2 n_2 / n_1 = 0.8,
    # d_1 = (0.8 - 0.6) / 0.4 = 1/2; 2* = 3 n_3 / n_2 = 3/2, d_2 = (0.75 - 0.6) / 0.4 = 3/8
    found = good_turing(np.array([0, 100, 40, 20, 8]), 2)
    np.testing.assert_allclose(found, [0, 0.5, 2 * (1 - 0.375), 0])
    # with k = 3, 3*/3 = 32/60 and t = 0.32: d_1 = (0.8 - 0.32) / 0.68 ...
    np.testing.assert_allclose(1 - good_turing(np.array([0, 100, 40, 20, 8]), 3)[1], 0.48 / 0.68)
    # Katz's condition: what is taken in all is what Good and Turing leave for the unseen, n_1
    n = np.array([0, 100, 40, 20, 8])
    taken = good_turing(n, 3)
    assert (taken[1:4] * n[1:4]).sum() == pytest.approx(n[1])


def test_good_turing_takes_a_smaller_limit_where_it_must():
    n = np.array([0, 100, 40, 20, 30])  # 3* = 6: no discount
    assert len(good_turing(n, 3)) == len(good_turing(n, 2))
    assert good_turing(np.array([0, 0, 5, 3]), 2) is None
    assert good_turing(np.array([0, 5, 9, 3]), 2) is None


def test_absolute_discount():
    np.testing.assert_allclose(absolute(np.array([0, 10, 5, 0, 0])), [0, 0.5])
    assert absolute(np.array([0, 0, 5, 0, 0])) is None
    assert absolute(np.array([0, 3, 0, 0, 0])) is None


def test_one_warning_a_fit_and_none_for_single_symbols_alone():
    with pytest.warns(DiscountWarning, match="for order 1, 2, 3: ") as caught:
        arproc.NGram(3).fit(["a b c"])
    assert len(caught) == 1
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = arproc.NGram(1, tokens="char").fit("abababab")
    assert model.discount_source_ == ("leave-one-out",)


# ---- Jelinek-Mercer's weights ----------------------------------------------------------------


@pytest.mark.parametrize("deleted", [True, False])
def test_the_weights_are_where_the_likelihood_is_largest(deleted):
    rng = np.random.default_rng(0)
    letters = alphabet(3, True)
    draw = lambda n: [rng.integers(0, 3, rng.integers(1, 9)).tolist() for _ in range(n)]  # noqa: E731
    sequences, held_out = draw(20), draw(20)
    counts = count(sequences, 2, letters)
    plain = SlowCounts(sequences, 2, letters).plain
    tested = sequences if deleted else held_out
    away = int(deleted)
    events = []
    for row in tested:
        for h, w in zip([BEGIN, *row], [*row, letters.end], strict=True):
            ratio = []
            for gram, length in (((w,), 0), ((h, w), 1)):
                follows = {
                    g: c
                    for g, c in plain[length + 1].items()
                    if g[:-1] == gram[:-1] and g != (BEGIN,)
                }
                n = sum(follows.values()) - away
                c = follows.get(gram, 0) - away if n else 0
                ratio.append((n.bit_length() - 1, c / n if n else 0.0))
            events.append(ratio)

    def probability(weights):
        total = 0.0
        for (b1, f1), (b2, f2) in events:
            p = weights[0, b1] * f1 + (1 - weights[0, b1]) / letters.symbols
            if b2 >= 0:
                p = weights[1, b2] * f2 + (1 - weights[1, b2]) * p
            total += math.log(p)
        return total

    context_total = np.array([sum(c for g, c in plain[1].items() if g != (BEGIN,))])
    used = sorted({(k, b) for e in events for k, (b, _) in enumerate(e) if b >= 0})
    from arproc.models.ngram.smoothing import smoothing_kernels as kernels

    total, _ = kernels.totals(
        len(counts.first_child) - 1, counts.first_child, counts.count, 1 + letters.begin
    )
    assert total[0] == context_total[0]
    text = laid_out(held_out, letters)
    given_events = deleted_events(counts) if deleted else held_out_events(counts, text)
    weights, log_likelihood = weights_by_em(counts, total, given_events, int(deleted))
    assert log_likelihood == pytest.approx(probability(weights), rel=1e-9)

    def objective(x):
        trial = np.full_like(weights, 0.5)
        trial[tuple(np.array(used).T)] = 1 / (1 + np.exp(-x))
        own = trial[tuple(np.array(used).T)]
        return -probability(trial) - np.log(own * (1 - own)).sum()

    best = minimize(objective, np.zeros(len(used)))
    np.testing.assert_allclose(
        weights[tuple(np.array(used).T)], 1 / (1 + np.exp(-best.x)), atol=2e-3
    )


def test_held_out_text_chooses_how_far_to_look_back():
    rng = np.random.default_rng(1)
    noise = rng.integers(0, 4, 4000)
    flat = fit(noise[:2000], 3, smoothing="jelinek_mercer", tokens=4, validation=noise[2000:])
    assert flat.interpolation_weights_[1, :10].max() < 0.7
    cycle = np.arange(4000) % 4
    sure = fit(cycle[:2000], 3, smoothing="jelinek_mercer", tokens=4, validation=cycle[2000:])
    assert sure.score(cycle) > -0.01
    assert flat.score(noise[2000:]) == pytest.approx(-math.log(4), abs=0.01)


# ---- stupid back-off -------------------------------------------------------------------------


def test_stupid_backoff_by_hand():
    model = fit(["a b a c", "b a"], 2, smoothing="maximum_likelihood")
    # <s> b: once in two; b a: twice in two; a d: not seen, and d not at all
    assert model.stupid_backoff_score("b a") == pytest.approx(math.log(0.5 * 1 * 1 / 3))
    assert model.stupid_backoff_score("b a d") == -math.inf
    # c was last: its end was seen; then "c c": 0.4 c(c) / 8, and <s> c: 0.4 / 8
    scores = model.stupid_backoff_score(["c", "c c"])
    np.testing.assert_allclose(scores, np.log([0.4 / 8, 0.4 / 8 * 0.4 / 8]))
    assert model.stupid_backoff_score("c", alpha=1.0) == pytest.approx(math.log(1 / 8))


def test_stupid_backoff_pays_for_each_symbol_of_the_context():
    model = fit([0, 1, 2, 0, 1, 2, 2], 3, smoothing="maximum_likelihood", tokens=None)
    # 1 1 was never seen: the third term goes two steps back, from 1 1 over 1 to nothing
    expected = math.log(2 / 7) + math.log(0.4 * 2 / 7) + math.log(0.4**2 * 2 / 7)
    assert model.stupid_backoff_score([1, 1, 1]) == pytest.approx(expected)


def test_stupid_backoff_is_no_likelihood():
    with pytest.raises(ParameterError, match="a score and no likelihood"):
        arproc.NGram(2, "stupid_backoff").fit(LINES)
    with pytest.raises(UnsupportedError, match="relative frequencies"):
        fit(LINES).stupid_backoff_score("a cat")
    model = fit(LINES, smoothing="maximum_likelihood")
    with pytest.raises(ParameterError, match="alpha"):
        model.stupid_backoff_score("a cat", alpha=0)


# ---- the model -------------------------------------------------------------------------------


@pytest.mark.parametrize("smoothing", [s for s in estimation.SMOOTHINGS if s != "additive"])
def test_arpa_and_files_keep_every_smoothing(tmp_path, smoothing):
    model = fit(LINES, smoothing=smoothing, prune=[0, 1])
    lines = ["the cat ate", "a dog", "", "rat rat rat"]
    model.save(tmp_path / "model")
    np.testing.assert_array_equal(
        arproc.load(tmp_path / "model").log_prob(lines), model.log_prob(lines)
    )
    model.to_arpa(tmp_path / "model.arpa")
    again = arproc.NGram.from_arpa(tmp_path / "model.arpa")
    np.testing.assert_allclose(again.log_prob(lines), model.log_prob(lines), rtol=1e-6)


def test_what_was_never_seen_has_probability_zero_by_maximum_likelihood():
    model = fit(LINES, 2, smoothing="maximum_likelihood")
    assert model.log_prob("the cat sat") == pytest.approx(
        math.log(6 / 10) + math.log(4 / 8) + math.log(2 / 6) + math.log(4 / 4)
    )
    assert model.log_prob("cat the") == -math.inf
