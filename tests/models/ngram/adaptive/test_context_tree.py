"""Context-tree weighting: against the sum over all trees, and sources of known shape."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import gammaln

import arproc
from arproc import Tokens
from arproc.errors import DataError, ParameterError, UnsupportedError

START = None


def all_trees(depth, symbols):
    """Every tree of contexts up to a depth, as (its leaves, how many nodes chose to go on)."""

    def below(context):
        if len(context) == depth:
            return [((context,), 0)]
        options = [((context,), 0)]
        for parts in itertools.product(*[below((a, *context)) for a in range(symbols)]):
            leaves = tuple(leaf for part in parts for leaf in part[0])
            options.append((leaves, 1 + sum(part[1] for part in parts)))
        return options

    return below(())


def evidence(sequences, leaves, alpha, symbols):
    """The Dirichlet-multinomial probability of all that followed each leaf, in nats."""
    counts = {}
    for x in sequences:
        for t, w in enumerate(x):
            past = (START, *x[:t])
            own = [leaf for leaf in leaves if leaf == past[len(past) - len(leaf) :]]
            # a context that the beginning cuts short is a leaf of its own
            key = own[0] if own else past
            counts.setdefault(key, np.zeros(symbols))[w] += 1
    total = 0.0
    for n in counts.values():
        total += gammaln(alpha * symbols) - gammaln(n.sum() + alpha * symbols)
        total += (gammaln(n + alpha) - gammaln(alpha)).sum()
    return total


def log_prior(leaves, went_on, depth, stop):
    stopped = sum(len(leaf) < depth for leaf in leaves)
    return stopped * math.log(stop) + went_on * math.log(1 - stop)


def mixture(sequences, depth, symbols, alpha, stop):
    return np.logaddexp.reduce(
        [
            log_prior(leaves, on, depth, stop) + evidence(sequences, leaves, alpha, symbols)
            for leaves, on in all_trees(depth, symbols)
        ]
    )


@given(
    st.lists(st.integers(0, 1), min_size=1, max_size=30),
    st.integers(0, 3),
    st.sampled_from([(0.5, 0.5), (0.2, 0.7)]),
)
def test_equals_the_mixture_of_all_trees(x, depth, parameters):
    alpha, stop = parameters
    model = arproc.ContextTree.untrained(depth, 2, alpha=alpha, stop=stop)
    assert model.log_prob(x) == pytest.approx(mixture([tuple(x)], depth, 2, alpha, stop))
    fitted = arproc.ContextTree(depth, 2, alpha=alpha, stop=stop).fit(x)
    assert fitted.log_evidence_ == pytest.approx(model.log_prob(x))


@settings(max_examples=15)
@given(
    st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=12), min_size=1, max_size=4),
    st.lists(st.integers(0, 2), min_size=1, max_size=8),
)
def test_after_fitting_it_is_what_the_mixture_says_of_the_rest(seen, new):
    model = arproc.ContextTree(2, Tokens(3, end=False)).fit(seen)
    before = mixture([tuple(s) for s in seen], 2, 3, 0.5, 0.5)
    assert model.log_evidence_ == pytest.approx(before)
    after = mixture([*[tuple(s) for s in seen], tuple(new)], 2, 3, 0.5, 0.5)
    assert model.log_prob(new) == pytest.approx(after - before)
    # each sequence begins with what fitting left, whatever its neighbours
    np.testing.assert_allclose(model.log_prob([new, new, [0]])[:2], after - before)


def test_krichevsky_and_trofimov_by_hand():
    coin = arproc.ContextTree.untrained(0, 2)
    # "the probability of a zeros and b ones": P(2, 3) = 3/256 (Willems et al. 1995)
    assert math.exp(coin.log_prob([0, 1, 0, 1, 1])) == pytest.approx(3 / 256)


@given(st.lists(st.integers(0, 1), min_size=5, max_size=60), st.integers(1, 3))
def test_the_map_tree_is_the_best_of_all(x, depth):
    model = arproc.ContextTree(depth, 2).fit(x)
    values = {
        leaves: log_prior(leaves, on, depth, 0.5) + evidence([tuple(x)], leaves, 0.5, 2)
        for leaves, on in all_trees(depth, 2)
    }
    best = max(values.values())
    assert model.map_log_posterior == pytest.approx(best - model.log_evidence_, abs=1e-9)
    found = {leaf for leaf in model.map_tree() if START not in leaf}
    for leaves, value in values.items():
        if value > best - 1e-9 and found <= set(leaves):
            return
    raise AssertionError(f"{found} are not the leaves of a best tree")


def after(source, x):
    """What follows x by a tree source {context: probabilities}."""
    own = [p for context, p in source.items() if tuple(x[len(x) - len(context) :]) == context]
    assert len(own) == 1
    return own[0]


def draw(source, n, symbols, seed):
    """n symbols of a tree source."""
    rng = np.random.default_rng(seed)
    x = rng.integers(0, symbols, 10).tolist()
    while len(x) < n + 10:
        x.append(int(rng.choice(symbols, p=after(source, x))))
    return x[10:]


SOURCES = {
    # Willems, Shtarkov and Tjalkens (1995), figure 1: the suffix set {00, 10, 1}
    "Willems": {(0, 0): [0.5, 0.5], (1, 0): [0.7, 0.3], (1,): [0.9, 0.1]},
    # Buehlmann and Wyner (1999), example 2.1: contexts 0; 1,0,0; 1,0,1; 1,1 (the last one first)
    "Buehlmann": {
        (0,): [0.3, 0.7],
        (0, 0, 1): [0.9, 0.1],
        (1, 0, 1): [0.2, 0.8],
        (1, 1): [0.5, 0.5],
    },
    # the R package BCT 1.2 (Kontoyiannis et al. 2022), example d2 of generate_data: b; ab; aa
    "BCT": {(1,): [0.8, 0.2], (1, 0): [0.3, 0.7], (0, 0): [0.5, 0.5]},
    # and two of our own
    "five leaves": {
        (0, 0): [0.8, 0.2],
        (0, 1, 0): [0.2, 0.8],
        (1, 1, 0): [0.7, 0.3],
        (0, 1): [0.4, 0.6],
        (1, 1): [0.7, 0.3],
    },
    "ternary": {
        (0,): [0.1, 0.1, 0.8],
        (1,): [0.4, 0.3, 0.3],
        (0, 2): [0.2, 0.7, 0.1],
        (1, 2): [0.7, 0.2, 0.1],
        (2, 2): [0.1, 0.3, 0.6],
    },
}


@pytest.mark.parametrize("name", SOURCES)
def test_sources_are_recovered(name):
    source = SOURCES[name]
    symbols = len(next(iter(source.values())))
    x = draw(source, 8000, symbols, seed=1)
    model = arproc.ContextTree(6, symbols, adaptive=False).fit(x)
    found = {leaf: p for leaf, p in model.map_tree().items() if START not in leaf}
    assert found.keys() == source.keys()
    for leaf, p in source.items():
        np.testing.assert_allclose(found[leaf], p, atol=0.04)
    fresh = draw(source, 4000, symbols, seed=2)
    true = np.mean([math.log(after(source, fresh[:t])[fresh[t]]) for t in range(10, 4000)])
    assert model.log_prob_terms(fresh)[10:].mean() == pytest.approx(true, abs=0.003)


# ---- the bound on the redundancy --------------------------------------------------------------


def gamma(z):
    """What one parameter costs at most after z symbols, in bits (Willems et al. 1995)."""
    return z if z < 1 else 0.5 * math.log2(z) + 1


def most_bits(x, leaves, depth, ideal):
    """Theorem 2 of theirs without the arithmetic coder's 2 bits, for a source with these leaves.

    The tree costs |S| - 1 bits and one for each leaf above the depth, the parameters
    |S| gamma(T / |S|). There the symbols before the first are known; here contexts that the
    beginning cuts short are leaves of their own, which are met once and cost 1 bit a symbol.

    Args:
        x: the symbols.
        leaves: the contexts.
        depth: D.
        ideal: the bits of a symbol by the source, given its leaf, and where it stands.
    """
    bits, whole = 0.0, 0
    for t in range(len(x)):
        own = [s for s in leaves if len(s) <= t and tuple(x[t - len(s) : t]) == s]
        bits += ideal(own[0], t) if own else 1.0
        whole += len(own)
    tree = len(leaves) - 1 + sum(len(s) != depth for s in leaves)
    return bits + tree + len(leaves) * gamma(whole / len(leaves))


@given(st.lists(st.integers(0, 1), min_size=1, max_size=80), st.integers(0, 3))
def test_no_sequence_costs_more_than_the_bound(x, depth):
    bits = -arproc.ContextTree.untrained(depth, 2).log_prob(x) / math.log(2)
    for leaves, _ in all_trees(depth, 2):
        counts = {s: [0, 0] for s in leaves}
        for t, w in enumerate(x):
            for s in leaves:
                if len(s) <= t and tuple(x[t - len(s) : t]) == s:
                    counts[s][w] += 1

        def best(s, t, counts=counts):  # the source whose parameters suit this sequence best
            return -math.log2(counts[s][x[t]] / sum(counts[s]))

        assert bits <= most_bits(x, leaves, depth, best) + 1e-9


@pytest.mark.parametrize("name", ["Willems", "Buehlmann", "BCT", "five leaves"])
def test_sources_cost_no_more_than_the_bound(name):
    source, depth = SOURCES[name], 8
    for n in (10, 300, 5000):
        x = draw(source, n, 2, seed=n)
        bits = -arproc.ContextTree.untrained(depth, 2).log_prob(x) / math.log(2)
        true = most_bits(x, tuple(source), depth, lambda s, t: -math.log2(source[s][x[t]]))  # noqa: B023
        assert bits <= true
    # and the bound is not empty: half a logarithm a parameter is really paid (Rissanen 1984)
    entropy = sum(-math.log2(after(source, x[:t])[x[t]]) for t in range(3, n))
    assert bits - entropy > 0.25 * len(source) * math.log2(n)


# ---- adaptive and frozen ---------------------------------------------------------------------


def test_adaptive_learns_and_frozen_does_not():
    x = [0, 1, 1, 2] * 30
    frozen = arproc.ContextTree(3, 3, adaptive=False).fit(np.zeros(20, int))
    adaptive = arproc.ContextTree(3, 3).fit(np.zeros(20, int))
    assert adaptive.log_prob(x) > frozen.log_prob(x) + 50
    terms = frozen.log_prob_terms(x)
    np.testing.assert_allclose(terms[8:60:4], terms[8])
    with pytest.raises(UnsupportedError, match="adaptive=False"):
        adaptive.law_.window_length  # noqa: B018


def test_an_old_state_stays_what_it_was():
    model = arproc.ContextTree(3, 3).fit([0, 1, 2, 0, 1, 2, 2])
    state = model.start([[0, 1], [2, 2]])
    before = state.conditional.probs.clone()
    one = state.append([0, 1])
    two = state.append([2, 2])  # `state` is behind by now, and is made again
    again = state.append([0, 1])
    np.testing.assert_array_equal(one.conditional.probs, again.conditional.probs)
    assert not np.allclose(one.conditional.probs, two.conditional.probs)
    state._cached = None
    np.testing.assert_array_equal(state.conditional.probs, before)
    for row, prefix in enumerate(([0, 1, 0], [2, 2, 1])):
        np.testing.assert_allclose(one.conditional.probs[row], model.conditional(prefix).probs)


def test_text_names_its_contexts():
    model = arproc.ContextTree(2, alpha=0.1).fit("abcabcabcabcabcabc")
    leaves = model.map_tree()
    assert set(leaves) >= {("a",), ("b",), ("c",)}
    assert leaves["a",].argmax() == 1


@pytest.mark.parametrize("adaptive", [True, False])
def test_save_and_load(tmp_path, adaptive):
    lines = ["the cat sat", "a cat sat", "the rat ate"]
    model = arproc.ContextTree(4, alpha=0.1, adaptive=adaptive).fit(lines)
    model.save(tmp_path / "model")
    again = arproc.load(tmp_path / "model")
    np.testing.assert_array_equal(again.log_prob(lines), model.log_prob(lines))
    assert again.sample(3, seed=0) == model.sample(3, seed=0)
    assert again.map_tree().keys() == model.map_tree().keys()


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"depth": -1}, "depth must be at least 0"),
        ({"alpha": 0}, "alpha must be a number above 0"),
        ({"stop": 1.0}, "stop must be a number above 0 and below 1"),
    ],
)
def test_refusals(params, message):
    with pytest.raises(ParameterError, match=message):
        arproc.ContextTree(**{"depth": 2, "tokens": 2, **params}).fit([0, 1])
    with pytest.raises(ParameterError, match=message):
        arproc.ContextTree.untrained(**{"depth": 2, "tokens": 2, **params})
    with pytest.raises(ParameterError, match="tokens must be an integer"):
        arproc.ContextTree.untrained(2)
    with pytest.raises(DataError):
        arproc.ContextTree.untrained(2, 2).log_prob([0, 2])
