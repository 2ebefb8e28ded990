"""Interpolated models: exact on every n-gram that a part has, and one distribution everywhere."""

from __future__ import annotations

import itertools
import math
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import arproc
from arproc import Tokens
from arproc.data.symbols import UNKNOWN
from arproc.data.vocabulary import Vocabulary
from arproc.errors import NotComparableError, ParameterError, UnsupportedError
from arproc.models.ngram.smoothing import smoothings as estimation
from arproc.models.ngram.smoothing.discounts import DiscountWarning
from arproc.ngram import interpolate
from arproc.testing import check_process

SMOOTHINGS = [s for s in estimation.SMOOTHINGS if s != "additive"]
NEWS = ["the king is dead", "the king rules the land", "a land is a land"] * 2
TALK = ["you are the best", "are you the king", "you best are dead"] * 2


def corpora(letters):
    lines = st.lists(st.sampled_from(letters), min_size=1, max_size=10).map(" ".join)
    return st.lists(lines, min_size=1, max_size=5)


def fit(data, *arguments, **parameters):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DiscountWarning)
        return arproc.NGram(*arguments, **parameters).fit(data)


def row(model, history):
    """{symbol: probability} of what follows a list of words."""
    x = model.vocabulary.encode(history) if history else np.zeros(0, np.int64)
    probs = model.start([x]).conditional.probs[0].numpy()
    return dict(zip([*model.vocabulary.symbols, "end"], probs.tolist(), strict=False))


def grams(model):
    """The n-grams of a model, as tuples of words (`<s>` and the end by name)."""
    trie = model.trie_
    names = [*model.vocabulary.symbols, "end", "begin"]
    every = [()]
    for h in range(len(trie.back_off)):
        for i in range(trie.first_child[h], trie.first_child[h + 1]):
            every.append((*every[h], names[trie.symbol[i]]))
    return set(every)


def tolerance(*models):
    return 1e-9 if all(m.trie_.log_prob.dtype == np.float64 for m in models) else 1e-5


@given(
    corpora("abc"),
    corpora("bcd"),
    st.tuples(st.integers(1, 3), st.integers(1, 3)),
    st.tuples(st.sampled_from(SMOOTHINGS), st.sampled_from(SMOOTHINGS)),
    st.booleans(),
    st.sampled_from([0.0, 0.3, 0.5, 1.0]),
)
def test_every_ngram_of_a_part_is_mixed_exactly(one, two, orders, smoothings, ends, weight):
    a, b = (
        fit(data, order, smoothing, Tokens(end=ends))
        for data, order, smoothing in zip((one, two), orders, smoothings, strict=True)
    )
    mixed = interpolate([a, b], [weight, 1 - weight])
    exact = tolerance(a, b, mixed)
    assert grams(mixed) == grams(a) | grams(b)
    assert mixed.trie_.order == max(orders)
    symbols = mixed.vocabulary.symbols
    assert set(symbols) == set(a.vocabulary.symbols) | set(b.vocabulary.symbols)
    known = grams(mixed)
    for length in range(max(orders) + 1):
        for history in itertools.product(["a", "b", "d", "nobody"], repeat=length):
            p, q = row(a, list(history)), row(b, list(history))
            got = row(mixed, list(history))
            if abs(sum(p.values()) - 1) < 1e-6 and abs(sum(q.values()) - 1) < 1e-6:
                assert sum(got.values()) == pytest.approx(1, abs=exact)
            seen = ["begin", *history] if ends else list(history)
            seen = [w if w in {*symbols, "begin"} else UNKNOWN for w in seen]
            context = tuple(seen[len(seen) - min(len(seen), max(orders) - 1) :])
            for word, value in got.items():
                if (*context, word) in known:
                    want = weight * p.get(word, 0) + (1 - weight) * q.get(word, 0)
                    assert value == pytest.approx(want, abs=exact)


def test_a_model_with_itself_is_itself():
    for smoothing in ("witten_bell", "katz", "kneser_ney"):
        model = fit(NEWS, 3, smoothing)
        twice = interpolate([model, model], [0.3, 0.7])
        np.testing.assert_allclose(twice.log_prob(NEWS + TALK), model.log_prob(NEWS + TALK))
        assert twice.n_ngrams_ == model.n_ngrams_
        alone = interpolate([model, fit(TALK, 2)], [1.0, 0.0])
        np.testing.assert_allclose(alone.log_prob(NEWS), model.log_prob(NEWS))


def test_of_one_order_it_is_the_mixture():
    vocabulary = Vocabulary.build(NEWS + TALK)
    a, b = (fit(data, 1, tokens=vocabulary) for data in (NEWS, TALK))
    mixture = arproc.Mixture([a, b], [0.4, 0.6])
    data = [*NEWS, *TALK, "nobody is dead"]
    np.testing.assert_allclose(interpolate([a, b], [0.4, 0.6]).log_prob(data),
                               mixture.log_prob(data))  # fmt: skip


def test_weights_by_em_are_those_of_the_mixture():
    vocabulary = Vocabulary.build(NEWS + TALK)
    held_out = ["the king is the best", "you are dead"]
    a, b = (fit(data, 2, "witten_bell", tokens=vocabulary) for data in (NEWS, TALK))
    mixture = arproc.Mixture([a, b]).fit(held_out)
    model = interpolate([a, b], validation=held_out)
    np.testing.assert_allclose(model.mixture_weights_, mixture.weights_, rtol=1e-6)
    assert model.score(held_out) == pytest.approx(mixture.score(held_out), abs=0.2)


def test_em_of_different_vocabularies():
    a, b = fit(NEWS, 2, "witten_bell"), fit(TALK, 2, "witten_bell")
    held_out = ["the king is the best", "nobody rules you"]
    model = interpolate([a, b], validation=held_out)

    def exact(weight):
        total = 0.0
        for line in held_out:
            words = line.split()
            for t, w in enumerate([*words, "end"]):
                w = w if w in {*model.vocabulary.symbols, "end"} else UNKNOWN
                p, q = row(a, words[:t]).get(w, 0), row(b, words[:t]).get(w, 0)
                total += math.log(weight * p + (1 - weight) * q)
        return total

    best = float(model.mixture_weights_[0])
    assert 0 < best < 1
    assert exact(best) > max(exact(best - 0.02), exact(best + 0.02))
    model.vocabulary.encode("king best")  # each known to one of them


def test_it_is_a_model_like_others(tmp_path):
    a, b = fit(NEWS, 3, "witten_bell"), fit(TALK, 2, "katz")
    model = interpolate([a, b], [0.5, 0.5])
    check_process(model)
    model.to_arpa(tmp_path / "both.arpa")
    again = arproc.NGram.from_arpa(tmp_path / "both.arpa")
    np.testing.assert_allclose(again.log_prob(NEWS + TALK), model.log_prob(NEWS + TALK), rtol=1e-6)
    model.save(tmp_path / "model")
    loaded = arproc.load(tmp_path / "model")
    np.testing.assert_array_equal(loaded.log_prob(NEWS), model.log_prob(NEWS))
    np.testing.assert_array_equal(loaded.mixture_weights_, [0.5, 0.5])
    assert sum(model.pruned(0.05).n_ngrams_) < sum(model.n_ngrams_)
    smaller = model.filtered(["the", "king", "you", "are"])
    assert smaller.log_prob("you are the king") == pytest.approx(
        model.log_prob("you are the king")
    )
    one = arproc.NGram(2, "witten_bell", 3).fit([0, 1, 2, 1])
    two = arproc.NGram(3, "witten_bell", 3).fit([2, 2, 0, 1])
    check_process(interpolate([one, two], validation=[0, 1, 0, 2]))


def test_refusals():
    a, b = fit(NEWS, 2, "witten_bell"), fit(TALK, 2, "witten_bell")
    for weights in ([0.5], [0.7, 0.7], [-0.5, 1.5]):
        with pytest.raises(ParameterError, match="weights must be 2 numbers"):
            interpolate([a, b], weights)
    with pytest.raises(ParameterError, match="either weights or validation"):
        interpolate([a, b])
    with pytest.raises(ParameterError, match="either weights or validation"):
        interpolate([a, b], [0.5, 0.5], validation=NEWS)
    with pytest.raises(ParameterError, match="a list of NGram models"):
        interpolate([], [1.0])
    with pytest.raises(ParameterError, match="a list of NGram models"):
        interpolate([a, arproc.PPM(2).fit("ab")], [0.5, 0.5])
    with pytest.raises(UnsupportedError, match=r"arproc\.Mixture"):
        interpolate([a, fit(TALK, 2, "additive")], [0.5, 0.5])
    closed = fit(TALK, 2, "witten_bell", Tokens(unknown=False))
    stream = fit(TALK, 2, "witten_bell", Tokens(end=False))
    for other in (closed, stream, fit(TALK, 2, "witten_bell", "char")):
        with pytest.raises(NotComparableError, match="symbols of one kind"):
            interpolate([a, other], [0.5, 0.5])
