"""Asking the trie: terms, rows and draws agree with one another."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from models.ngram.reference import alphabet, count

from arproc.distributions import Categorical, from_uniform
from arproc.errors import FileFormatError
from arproc.models.ngram.backoff import trie as tries
from arproc.models.ngram.backoff.trie import Trie
from arproc.models.ngram.smoothing.smoothings import DiscountWarning, additive, discounted

corpora = st.lists(st.lists(st.integers(0, 4), max_size=15), min_size=1, max_size=5).filter(any)


def fit(sequences, order, ends, smoothing, symbols=6):
    counts = count(sequences, order, alphabet(symbols, ends))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DiscountWarning)
        return additive(counts, 0.5) if smoothing == "additive" else discounted(counts)[0]


models = st.builds(
    fit, corpora, st.integers(1, 4), st.booleans(), st.sampled_from(["additive", "kneser_ney"])
)


def rows_along(trie, x):
    """The rows before each of the symbols x [N, T], by states found anew from windows."""
    n, length = x.shape
    window = trie.order - 1
    wide = np.concatenate([np.zeros((n, window), np.int64), x], axis=1)
    ctx = np.stack([wide[:, t : t + window] for t in range(length)], axis=1)
    position = np.tile(np.arange(length), n)
    states = trie.states(ctx.reshape(n * length, window), position)
    return trie.rows(states, position).reshape(n, length, -1)


@given(
    models, st.lists(st.lists(st.integers(0, 5), min_size=9, max_size=9), min_size=1, max_size=4)
)
def test_terms_are_entries_of_rows(trie, sequences):
    x = np.array(sequences)
    n, length = x.shape
    if trie.alphabet.terminates:
        x = np.concatenate([x, np.full((n, 1), trie.alphabet.end)], axis=1)
    expected = np.take_along_axis(rows_along(trie, x), x[..., None], axis=2)[..., 0]
    offsets = np.arange(n + 1) * length
    found = trie.terms(np.array(sequences).reshape(-1), offsets, np.ones(n, bool))
    np.testing.assert_allclose(found, expected.reshape(-1), rtol=1e-12)


@given(models, st.integers(0, 2**32 - 1))
def test_draws_invert_the_rows(trie, seed):
    uniforms = np.random.default_rng(seed).random((3, 12))
    start = np.full(3, trie.start)
    x, states = trie.draw(start, np.zeros(3, np.int64), uniforms)
    scores = torch.from_numpy(rows_along(trie, x))
    expected = from_uniform(Categorical(scores), torch.from_numpy(uniforms)).numpy()
    ended = np.cumsum(x == trie.alphabet.end, axis=1)
    drawn = ended - (x == trie.alphabet.end) == 0  # up to the end, which stands there ever after
    np.testing.assert_array_equal(x[drawn], expected[drawn])
    assert (x[~drawn] == trie.alphabet.end).all()
    goes_on = ended[:, -1] == 0
    np.testing.assert_array_equal(states[goes_on], trie.follow(start, x)[goes_on, -1])


def test_draws_invert_the_rows_of_a_large_vocabulary():
    rng = np.random.default_rng(0)
    text = np.minimum(rng.zipf(1.2, 20000) - 1, 2999)
    trie = fit([text.tolist()], 3, False, "kneser_ney", symbols=3000)
    uniforms = rng.random((4, 200))
    x, _ = trie.draw(np.zeros(4, np.int64), np.zeros(4, np.int64), uniforms)
    scores = torch.from_numpy(rows_along(trie, x))
    expected = from_uniform(Categorical(scores), torch.from_numpy(uniforms)).numpy()
    # the two sum in different orders: a uniform within rounding of a boundary may flip
    assert (x != expected).sum() <= 1


@pytest.mark.parametrize("smoothing", ["additive", "kneser_ney"])
@pytest.mark.parametrize("ends", [True, False])
def test_parts_and_threads_give_the_same_terms(monkeypatch, smoothing, ends):
    rng = np.random.default_rng(1)
    sequences = [rng.integers(0, 5, size).tolist() for size in (700, 3, 0, 64, 129, 1)]
    trie = fit(sequences, 4, ends, smoothing)
    values = np.concatenate([np.array(s, np.int64) for s in sequences])
    offsets = np.concatenate([[0], np.cumsum([len(s) for s in sequences])])
    complete = np.array([True, True, True, False, True, True])
    whole = trie.terms(values, offsets, complete)
    monkeypatch.setattr(tries, "_PART", 64)
    for threads in (1, 3):
        np.testing.assert_array_equal(trie.terms(values, offsets, complete, threads), whole)
    small = trie.terms(values.astype(np.uint8), offsets, complete)
    np.testing.assert_array_equal(small, whole)


def test_symbols_after_the_end_are_allowed():
    # rows that have ended stay in a batch for a while
    trie = fit([[0, 1, 2], [1, 2]], 3, True, "kneser_ney")
    end = trie.alphabet.end
    p = np.exp(rows_along(trie, np.array([[0, end, 1, end, end, 2]])))
    np.testing.assert_allclose(p.sum(axis=-1), 1.0, atol=1e-12)


@given(models)
def test_a_trie_survives_its_description(trie):
    again = Trie.from_dict(trie.to_dict())
    for mine, theirs in zip(trie.arrays, again.arrays, strict=True):
        np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("link", lambda a: a + 1000),
        ("link", lambda a: a - 1),
        ("symbol", lambda a: a + 100),
        ("symbol", lambda a: a[::-1].copy()),
        ("first_child", lambda a: a[::-1].copy()),
        ("first_child", lambda a: a[:-1]),
        ("levels", lambda a: a + 1),
        ("log_prob", lambda a: a * np.nan),
        ("log_prob", lambda a: a.astype(np.float32)),
        ("back_off", lambda a: a[:-1]),
    ],
)
def test_damaged_arrays_are_refused(name, damage):
    described = fit([[0, 1, 2, 0, 1], [1, 2]], 3, True, "kneser_ney").to_dict()
    described[name] = damage(described[name])
    with pytest.raises(FileFormatError, match="n-grams are damaged"):
        Trie.from_dict(described).verify()


def test_every_link_that_leads_elsewhere_is_found():
    """Each of all n-grams, linked to each shorter one but its longest suffix."""
    described = fit([[0, 1, 2, 0, 1], [1, 2, 2], [0, 1, 1, 2]], 3, True, "kneser_ney").to_dict()
    right, levels = described["link"], described["levels"]
    tried = 0
    for place in range(1, len(right)):
        level = int(np.searchsorted(levels, place, side="right")) - 1
        for other in set(range(int(levels[level]))) - {int(right[place])}:
            wrong = right.copy()
            wrong[place] = other
            with pytest.raises(FileFormatError, match="n-grams are damaged"):
                Trie.from_dict({**described, "link": wrong}).verify()
            tried += 1
    assert tried > 250
