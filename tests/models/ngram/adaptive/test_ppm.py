"""PPM: against the published example, and a model written with dictionaries."""

from __future__ import annotations

import string
from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import arproc
from arproc import Tokens
from arproc.data.vocabulary import Vocabulary
from arproc.errors import ParameterError

START = "start"


class SlowPPM:
    """Counts in dictionaries of tuples, and the formulas word for word."""

    def __init__(self, order, method, symbols, exclusion):
        self.order, self.method, self.symbols, self.exclusion = order, method, symbols, exclusion
        self.counts = defaultdict(Counter)

    def contexts(self, past):
        whole = (START, *past)
        return [whole[len(whole) - d :] for d in range(min(self.order, len(whole)), -1, -1)]

    def probability(self, past, w):
        p, excluded = 1.0, set()
        for context in self.contexts(past):
            after = self.counts[context]
            fresh = {a: c for a, c in after.items() if a not in excluded}
            if not fresh:
                continue
            share = {a: c if self.method == "C" else c - 0.5 for a, c in fresh.items()}
            escape = len(after) * (1 if self.method == "C" else 0.5)
            if len(excluded) + len(fresh) == self.symbols:
                escape = 0
            whole = sum(share.values()) + escape
            if w in fresh:
                return p * share[w] / whole
            p *= escape / whole
            excluded |= set(fresh)
        return p / (self.symbols - len(excluded))

    def learn(self, past, w):
        for context in self.contexts(past):
            known = w in self.counts[context]
            self.counts[context][w] += 1
            if known and self.exclusion:
                break


@given(
    st.lists(st.integers(0, 2), min_size=1, max_size=40),
    st.integers(0, 4),
    st.sampled_from("CD"),
    st.booleans(),
    st.sampled_from([3, 5]),
)
def test_equals_its_definition(x, order, method, exclusion, symbols):
    slow = SlowPPM(order, method, symbols, exclusion)
    expected = []
    for t, w in enumerate(x):
        expected.append(np.log(slow.probability(tuple(x[:t]), w)))
        slow.learn(tuple(x[:t]), w)
    model = arproc.PPM.untrained(order, method, symbols, update_exclusion=exclusion)
    np.testing.assert_allclose(model.log_prob_terms(x), expected)
    fitted = arproc.PPM(order, method, symbols, update_exclusion=exclusion).fit(x)
    assert fitted.log_prequential_ == pytest.approx(sum(expected))
    row = [slow.probability((0, 1, 1, 0), w) for w in range(symbols)]
    assert sum(row) == pytest.approx(1)
    frozen = arproc.PPM(order, method, symbols, update_exclusion=exclusion, adaptive=False).fit(x)
    got = frozen.conditional([0, 1, 1, 0]).probs
    np.testing.assert_allclose(got, row)


def test_the_published_example():
    # Cleary and Teahan (1997), tables 1 and 2: after "abracadabra", order 2, method C; c, d and t
    # with exclusion have 1/2, 1/2 1/6, and 1/2 3/6 5/12 1/(|A| - 5)
    letters = Vocabulary(tuple(string.ascii_lowercase), "char")
    frozen = arproc.PPM(2, "C", letters, update_exclusion=False, adaptive=False).fit("abracadabra")
    row = dict(zip(string.ascii_lowercase, frozen.conditional("abra").probs.tolist(), strict=True))
    assert row["c"] == pytest.approx(1 / 2)
    assert row["d"] == pytest.approx(1 / 2 * 1 / 6)
    assert row["t"] == pytest.approx(1 / 2 * 3 / 6 * 5 / 12 / 21)


def test_it_learns_while_it_reads():
    text = "she sells sea shells by the sea shore " * 5
    model = arproc.PPM(4).fit("the quick brown fox jumps over the lazy dog ")
    open_model = arproc.PPM(4, tokens=Tokens("char", unknown=True)).fit("by the sea")
    assert open_model.log_prob("xyz") < 0
    terms = arproc.PPM(4).fit(text).log_prob_terms(text)
    assert terms[-38:].mean() > terms[:38].mean()
    assert model.n_contexts_ > 50


@pytest.mark.parametrize("adaptive", [True, False])
def test_save_and_load(tmp_path, adaptive):
    model = arproc.PPM(3, adaptive=adaptive).fit(["the cat sat", "a cat sat", "the rat ate"])
    model.save(tmp_path / "model")
    again = arproc.load(tmp_path / "model")
    np.testing.assert_array_equal(again.log_prob(["a rat", ""]), model.log_prob(["a rat", ""]))
    assert again.sample(3, seed=0) == model.sample(3, seed=0)


def test_refusals():
    with pytest.raises(ParameterError, match="method must be one of"):
        arproc.PPM(2, "A").fit("ab")
    with pytest.raises(ParameterError, match="order must be at least 0"):
        arproc.PPM(-1).fit("ab")
