"""Cache: against its definition, and as part of the classical mixture."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from helpers import edit
from hypothesis import given
from hypothesis import strategies as st

import arproc
from arproc import Tokens
from arproc.errors import DataError, FileFormatError, ParameterError

parameters = st.tuples(
    st.sampled_from([None, 1, 2, 5]),
    st.sampled_from([1.0, 0.9, 0.3]),
    st.sampled_from([0.1, 1.0, 7.0]),
    st.sampled_from(["unigram", "uniform"]),
    st.booleans(),
)


def row(x, base, window, decay, alpha, end):
    """The equations of the docstring, word for word."""
    m = len(x) if window is None else min(len(x), window)
    weights, n = np.zeros(len(base)), 0.0
    for i in range(m):
        weights[x[len(x) - 1 - i]] += decay**i
        n += decay**i
    p = np.empty(len(base))
    stay = 1.0 if end is None else 1.0 - base[end]
    for w in range(len(base)):
        p[w] = base[w] if w == end else stay * (weights[w] + alpha * base[w] / stay) / (n + alpha)
    return p


@given(
    st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=20), min_size=1, max_size=4),
    parameters,
)
def test_equals_its_definition(sequences, given):
    window, decay, alpha, base, ends = given
    model = arproc.Cache(window, decay, alpha, base, Tokens(4, end=ends)).fit(sequences)
    counts = np.ones(4 + ends)
    if base == "unigram":
        for s in sequences:
            np.add.at(counts, s, 1)
        if ends:
            counts[4] += len(sequences)
    np.testing.assert_allclose(model.base_, counts / counts.sum())
    end = 4 if ends else None
    terms = model.log_prob_terms(sequences)
    for s, got in zip(sequences, terms, strict=True):
        x = [*s, end] if ends else s
        rows = [row(x[:t], model.base_, window, decay, alpha, end) for t in range(len(x) + 1)]
        assert rows[len(s)].sum() == pytest.approx(1)
        np.testing.assert_allclose(got, [math.log(rows[t][w]) for t, w in enumerate(x)])
        np.testing.assert_allclose(model.conditional(s).probs, rows[len(s)])


def test_a_long_history_keeps_its_digits():
    x = np.random.default_rng(0).integers(0, 3, 20_000)
    model = arproc.Cache(50, 0.8, tokens=3).fit(x)  # units of 0.8^-t are beyond any float here
    for t in (3_000, 19_999):
        expected = row(x[:t], model.base_, 50, 0.8, 1.0, None)
        np.testing.assert_allclose(model.conditional(x[:t]).probs, expected, rtol=1e-12)
    late = np.log(
        [row(x[:t], model.base_, 50, 0.8, 1.0, None)[x[t]] for t in range(19_900, 20_000)]
    )
    np.testing.assert_allclose(model.log_prob_terms(x)[-100:], late, rtol=1e-11)


def documents(n, seed, length=60):
    """Documents of words: half follow from the word before, half are of the document's topic."""
    rng = np.random.default_rng(seed)
    out = []
    for _ in range(n):
        words, topic = [int(rng.integers(0, 40))], rng.integers(0, 40, 2)
        for _ in range(length):
            follows = (7 * words[-1] + 3) % 40
            words.append(follows if rng.random() < 0.5 else int(rng.choice(topic)))
        out.append(" ".join(f"w{i}" for i in words))
    return out


def test_the_classical_cache_model():
    train, valid, test = documents(60, 0), documents(20, 1), documents(20, 2)
    ngram = arproc.NGram(2, "witten_bell").fit(train)
    cache = arproc.Cache(30, tokens=ngram.vocabulary).fit(train)
    mixture = arproc.Mixture([ngram, cache]).fit(valid)
    assert 0.1 < float(mixture.weights_[1]) < 0.9
    assert mixture.score(test) > max(ngram.score(test), cache.score(test)) + 0.02
    # EM's weight is the best one
    step = np.array([0.02, -0.02])
    for change in (step, -step):
        other = arproc.Mixture([ngram, cache], (mixture.weights_.numpy() + change).tolist())
        assert other.score(valid) <= mixture.score(valid)
    own = np.logaddexp(
        ngram.log_prob_terms(test[0]) + math.log(mixture.weights_[0]),
        cache.log_prob_terms(test[0]) + math.log(mixture.weights_[1]),
    )
    np.testing.assert_allclose(mixture.log_prob(test[0]), own.sum())
    drawn, log_prob = mixture.sample(3, seed=0, return_log_prob=True)[:2]
    np.testing.assert_allclose(mixture.log_prob(list(drawn)), np.asarray(log_prob), rtol=1e-9)


def test_the_cache_reaches_as_far_as_the_sequence():
    words = "alpha beta gamma delta"
    model = arproc.Cache(tokens=Tokens(end=True), base="uniform").fit([words])
    apart = model.log_prob(["alpha beta", "alpha beta"])
    assert apart[0] == apart[1]  # the second knows nothing of the first
    together = model.log_prob_terms("alpha beta alpha beta")
    assert together[2] > together[0]
    after = model.condition("alpha beta")
    assert after.log_prob("alpha beta") > apart[0]


def test_save_and_load(tmp_path):
    model = arproc.Cache(5, 0.9).fit(["a b a", "b c"])
    model.save(tmp_path / "model")
    again = arproc.load(tmp_path / "model")
    assert again.log_prob("a b b a") == model.log_prob("a b b a")
    edit(tmp_path / "model", '"size": 5', '"size": -5')
    with pytest.raises(FileFormatError, match="size"):
        arproc.load(tmp_path / "model")
    with pytest.raises(ParameterError, match="base does not sum to one"):
        replace(model.law_, base=model.base_ * 2)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"size": 0}, "size must be at least 1"),
        ({"decay": 0}, "decay must be a number above 0 and at most 1"),
        ({"decay": 1.5}, "decay must be a number above 0 and at most 1"),
        ({"alpha": 0}, "alpha must be a number above 0"),
        ({"base": "bigram"}, "base must be one of"),
    ],
)
def test_refusals(wrong, message):
    with pytest.raises(ParameterError, match=message):
        arproc.Cache(**wrong).fit(["a b"])
    with pytest.raises(DataError):
        arproc.Cache(tokens=2).fit([0, 1, 2])
