"""Filtered models: kept words keep their probability, and the rest is `<unk>`'s."""

from __future__ import annotations

import itertools
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import arproc
from arproc.data.symbols import UNKNOWN
from arproc.data.vocabulary import Vocabulary
from arproc.errors import ParameterError, UnsupportedError
from arproc.models.ngram.smoothing import smoothings as estimation
from arproc.models.ngram.smoothing.discounts import DiscountWarning

LINES = ["the cat sat", "the cat ate the rat", "a rat sat", "the rat ate", "a cat"] * 2
SMOOTHINGS = [s for s in estimation.SMOOTHINGS if s != "additive"]
corpora = st.lists(
    st.lists(st.sampled_from("abcd"), max_size=12).map(" ".join), min_size=1, max_size=6
).filter(lambda lines: any(line.strip() for line in lines))


def fit(data, *arguments, **parameters):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DiscountWarning)
        return arproc.NGram(*arguments, **parameters).fit(data)


def row(model, history):
    """{symbol: probability} of what follows a list of words."""
    vocabulary = model.vocabulary
    x = vocabulary.encode(history) if history else np.zeros(0, np.int64)
    probs = model.start([x]).conditional.probs[0].numpy()
    names = [*vocabulary.symbols, "end"]
    return dict(zip(names, probs.tolist(), strict=False))


@given(
    corpora,
    st.integers(1, 4),
    st.sampled_from(SMOOTHINGS),
    st.sets(st.sampled_from("abcde"), min_size=1),
    st.booleans(),
    st.sampled_from([True, False]),
    st.integers(1, 2),
    st.integers(0, 1),
)
def test_kept_words_keep_their_probability(
    lines, order, smoothing, words, ends, opened, rare, prune
):
    tokens = arproc.Tokens(end=ends, unknown=opened, min_count=rare if opened else 1)
    lines = lines if ends else [line for line in lines if line.strip()]
    model = fit(lines, order, smoothing, tokens, prune=prune)
    known = set(model.vocabulary.symbols) - {UNKNOWN}
    if not known & words:
        with pytest.raises(ParameterError, match="is in the model's vocabulary"):
            model.filtered(words)
        return
    smaller = model.filtered(words)
    assert set(smaller.vocabulary.symbols) - {UNKNOWN} == known & words
    if known <= words:
        assert smaller.vocabulary == model.vocabulary
    kept = sorted(known & words)
    digits = 1e-9 if model.trie_.log_prob.dtype == np.float64 else 1e-5
    for length in range(order + 1):
        for history in itertools.product(kept, repeat=length):
            before, after = row(model, list(history)), row(smaller, list(history))
            total = sum(before.values())
            assert sum(after.values()) == pytest.approx(1 if total > 0.5 else total, abs=digits)
            for word in {*kept, "end"} & before.keys():
                assert after[word] == pytest.approx(before[word], rel=1e-9, abs=1e-15)
            rest = sum(p for word, p in before.items() if word not in kept and word != "end")
            assert after.get(UNKNOWN, 0.0) == pytest.approx(rest, rel=1000 * digits, abs=digits)
    for history in itertools.product([*kept, "nobody"], repeat=min(order, 2)):
        if smaller.vocabulary.unknown is not None:
            total = sum(row(smaller, list(history)).values())
            assert total == pytest.approx(1, abs=digits)


def test_ngrams_are_those_that_kenlm_keeps(tmp_path):
    model = arproc.NGram(3, "witten_bell").fit(LINES)
    smaller = model.filtered(["the", "cat", "sat"])
    grams = {}
    for name, each in (("all", model), ("few", smaller)):
        each.to_arpa(tmp_path / name)
        lines = (tmp_path / name).read_text().splitlines()
        grams[name] = {parts[1]: parts for line in lines if len(parts := line.split("\t")) > 1}
    allowed = {"the", "cat", "sat", "<s>", "</s>", "<unk>"}
    kept = {gram for gram in grams["all"] if set(gram.split()) <= allowed}
    added = set(grams["few"]) - kept
    assert kept <= set(grams["few"])
    assert added
    assert all(gram.endswith("<unk>") for gram in added)
    for gram in kept:
        if not gram.endswith("<unk>"):  # probability and back-off weight, as they were
            assert grams["few"][gram] == grams["all"][gram]
    again = arproc.NGram.from_arpa(tmp_path / "few")
    np.testing.assert_allclose(again.log_prob(LINES), smaller.log_prob(LINES), rtol=1e-6)


def test_scores_of_kept_words():
    model = arproc.NGram(3, "witten_bell").fit(LINES)
    smaller = model.filtered(Vocabulary.build(["the cat sat dog"], "word"))
    assert smaller.log_prob("the cat sat") == pytest.approx(model.log_prob("the cat sat"))
    assert smaller.log_prob("the rat sat") == smaller.log_prob("the dog sat")  # <unk> both
    assert smaller.n_ngrams_[0] < model.n_ngrams_[0]
    assert model.log_prob("a rat sat") != smaller.log_prob("a rat sat")
    assert smaller.sample(3, seed=0) == smaller.sample(3, seed=0)


def test_characters_and_files(tmp_path):
    model = arproc.NGram(3, "witten_bell", "char").fit("abracadabra" * 3)
    smaller = model.filtered("abr")
    assert smaller.vocabulary.symbols == ("a", "b", "r", UNKNOWN)
    assert smaller.log_prob("abra") == pytest.approx(model.log_prob("abra"))
    smaller.save(tmp_path / "model")
    assert arproc.load(tmp_path / "model").log_prob("abracadabra") == smaller.log_prob(
        "abracadabra"
    )


def test_refusals():
    model = arproc.NGram(2, "witten_bell").fit(LINES)
    with pytest.raises(ParameterError, match="None of the 1 words"):
        model.filtered(["dog"])
    with pytest.raises(ParameterError, match="words must be a list"):
        model.filtered("the")
    with pytest.raises(UnsupportedError, match="Only models of words"):
        arproc.NGram(2, tokens=3, smoothing="witten_bell").fit([0, 1, 2]).filtered(["a"])
    with pytest.raises(UnsupportedError, match="does not back off"):
        arproc.NGram(2, "additive").fit(LINES).filtered(["the"])


@pytest.mark.parametrize("smoothing", ["modified_kneser_ney", "katz", "witten_bell"])
@pytest.mark.parametrize("words", [["rat", "the", "a"], ["sat", "rat", "cat", "the", "ate", "a"]])
@pytest.mark.parametrize("unk", [None, 0, 2])
def test_the_vocabulary_has_the_order_of_the_list(smoothing, words, unk):
    if unk is not None:
        words = [*words[:unk], UNKNOWN, *words[unk:]]
    one, two = fit(LINES, 3, smoothing), fit([*LINES[1:], "dog cat"], 2, smoothing)
    small = [model.filtered([*words, "never", words[0]]) for model in (one, two)]
    want = tuple(words) if unk is not None else (UNKNOWN, *words)
    for model, own in zip((one, two), small, strict=True):
        assert own.vocabulary.symbols == want
        assert own.vocabulary.unknown == want.index(UNKNOWN)
        own.verify()
        for history in ([], ["the"], ["the", "rat"], ["a"], ["rat", "a"]):
            before, after = row(model, history), row(own, history)
            assert sum(after.values()) == pytest.approx(1, abs=1e-9)
            for word in {*words, "end"} - {UNKNOWN}:
                assert after[word] == pytest.approx(before[word], rel=1e-9)
    assert small[0].space == small[1].space
    again = small[0].filtered(small[1].vocabulary)
    assert again.space == small[0].space
    text = ["the rat", "a rat a the"]
    mixed = arproc.Mixture(small).fit(text)
    assert np.isfinite(mixed.log_prob(text)).all()
    table = arproc.compare({"one": small[0], "two": small[1]}, text * 6)
    assert len(table) == 2


def test_a_closed_vocabulary_of_which_all_is_kept_stays_closed():
    model = fit(LINES, 3, "witten_bell", arproc.Tokens(unknown=False))
    words = sorted(model.vocabulary.symbols, reverse=True)
    other = model.filtered(words)
    assert other.vocabulary == Vocabulary(tuple(words), "word")
    other.verify()
    np.testing.assert_allclose(other.log_prob(LINES), model.log_prob(LINES), rtol=1e-12)
    assert other.n_ngrams_ == model.n_ngrams_
    same = model.filtered(model.vocabulary)
    assert same.trie_ is model.trie_
