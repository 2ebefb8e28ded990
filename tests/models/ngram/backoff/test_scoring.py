"""The ways of scoring agree: one text, many at a time, in parts, on threads, wide nodes or not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import arproc
from arproc.data.vocabulary import Vocabulary
from arproc.errors import DataError, FileFormatError
from arproc.models.ngram.backoff import query_kernels, trie

WORDS = [f"w{i}" for i in range(300)]


@pytest.fixture(scope="module")
def model():
    rng = np.random.default_rng(0)
    ranks = np.minimum(rng.zipf(1.2, 30_000) - 1, len(WORDS) - 1)
    lines = [" ".join(WORDS[i] for i in row) for row in ranks.reshape(-1, 10)]
    return arproc.NGram(4).fit(lines)


def by_steps(model, text):
    """The log-probability by conditionals, symbol by symbol."""
    state, total = model.start(1), 0.0
    for w in [*model.vocabulary.encode(text), model.space.end]:
        total += float(state.conditional.log_prob(torch.tensor([w])))
        state = state.append(torch.tensor([w]))
    return total


@given(st.lists(st.sampled_from([*WORDS[:40], "other", WORDS[299]]), max_size=12))
def test_one_text_many_and_steps_agree(model, words):
    text = " ".join(words)
    expected = by_steps(model, text)
    assert model.log_prob(text) == pytest.approx(expected, rel=1e-12)
    many = model.log_prob([text] * 40 + [WORDS[0], text])
    np.testing.assert_allclose(many, [expected] * 40 + [many[40], expected], rtol=1e-12)


def test_some_contexts_have_many_continuations(model):
    widths = np.diff(model.trie_.first_child.astype(np.int64))
    assert (widths[1:] > query_kernels.WIDE).sum() > 5
    assert (model.trie_.index >= 0).sum() == widths[1:][widths[1:] > query_kernels.WIDE].sum()


def test_search_finds_what_is_there_and_nothing_else(model):
    arrays, first_child = model.trie_.arrays, model.trie_.first_child
    for s in [1, 2, 3, 50, 300, int(model.trie_.levels[2]), int(model.trie_.levels[3])]:
        children = range(first_child[s], first_child[s + 1])
        expected = {int(model.trie_.symbol[i]): i for i in children}
        for w in range(model.trie_.alphabet.size):
            assert query_kernels.child(arrays, s, w) == expected.get(w, -1)


@pytest.mark.parametrize("threads", [1, 2])
def test_parts_and_threads_give_the_same_terms(model, monkeypatch, threads):
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        texts = [" ".join(WORDS[:n]) for n in (0, 1, 250, 3, 90)] * 5
        whole = model.log_prob_terms(texts)
        monkeypatch.setattr(trie, "_PART", 16)
        parted = model.log_prob_terms(texts)
    finally:
        torch.set_num_threads(before)
    np.testing.assert_array_equal(np.concatenate(whole), np.concatenate(parted))


def test_what_a_closed_vocabulary_lacks_is_refused_with_its_name(model):
    letters = Vocabulary(("a", "b"), "word")
    closed = arproc.NGram(2, "witten_bell", arproc.Tokens(letters, end=True)).fit(["a b", "b"])
    assert closed.log_prob("a b") == pytest.approx(by_steps(closed, "a b"), rel=1e-12)
    with pytest.raises(DataError, match="The word 'c' at position 1"):
        closed.log_prob("a c")
    with pytest.raises(DataError, match="special symbol '<s>'"):
        model.log_prob("w1 <s>")


def test_a_model_fitted_again_scores_by_what_it_learnt_last():
    model = arproc.NGram(2, "witten_bell").fit(["a b", "a a"])
    first = model.log_prob("a b")
    model.fit(["a b", "a b", "c"])
    assert model.log_prob("a b") != first
    assert model.log_prob("a b") == pytest.approx(by_steps(model, "a b"), rel=1e-12)


def test_large_models_hold_single_precision_and_lose_little(monkeypatch):
    lines = [" ".join(WORDS[:n]) for n in range(1, 60)]
    exact = arproc.NGram(3, "witten_bell").fit(lines)
    monkeypatch.setattr(trie, "_PRECISE", 10)
    single = arproc.NGram(3, "witten_bell").fit(lines)
    assert exact.trie_.log_prob.dtype == np.float64
    assert single.trie_.log_prob.dtype == np.float32
    np.testing.assert_allclose(single.log_prob(lines), exact.log_prob(lines), rtol=2e-7)
    rows = single.conditionals(lines[10])
    np.testing.assert_allclose(rows.probs.sum(-1), 1.0, atol=1e-6)


@pytest.mark.parametrize("name", ["link", "first_child", "symbol", "index", "log_prob"])
def test_a_large_file_is_looked_through_unless_it_is_trusted(model, monkeypatch, tmp_path, name):
    monkeypatch.setattr(trie, "_PRECISE", 10)
    array = getattr(model.trie_, name).copy()
    array[len(array) // 2] = {"log_prob": np.nan, "link": -5}.get(name, array.max())
    trie_ = replace(model.trie_, **{"stored_index" if name == "index" else name: array})
    damaged = arproc.NGram.of(replace(model.law_, trie=trie_), order=4)
    model.save(tmp_path / "sound.arproc")
    damaged.save(tmp_path / "damaged.arproc")
    assert arproc.load(tmp_path / "sound.arproc").verify().log_prob("w1") == model.log_prob("w1")
    with pytest.raises(FileFormatError, match=r"NGram.*does not describe|Trie: "):
        arproc.load(tmp_path / "damaged.arproc")
    opened = arproc.load(tmp_path / "damaged.arproc", trust=True)
    with pytest.raises(FileFormatError, match="n-grams are damaged"):
        opened.verify()
