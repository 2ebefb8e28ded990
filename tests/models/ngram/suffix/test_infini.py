"""InfiniGram against its definition, written with loops over all suffixes of a history."""

from __future__ import annotations

import gzip
import math
from dataclasses import replace

import numpy as np
import pytest
from helpers import edit
from hypothesis import given, settings
from hypothesis import strategies as st

import arproc
from arproc import Tokens
from arproc.errors import DataError, FileFormatError, ParameterError
from arproc.models.ngram.suffix import discounts as infini_discounts
from arproc.models.ngram.suffix import law as infini
from arproc.models.ngram.suffix.chain_kernels import row_of

MARK = "mark"
corpora = st.lists(st.lists(st.integers(0, 2), max_size=14), min_size=1, max_size=5).filter(any)


class SlowInfiniGram:
    """All occurrences by looking everywhere, and the equations word for word."""

    def __init__(self, sequences, symbols, ends, discounts):
        self.rows = [(MARK, *s, *([symbols - 1] if ends else [])) for s in sequences]
        self.symbols, self.ends, self.discounts = symbols, ends, discounts

    def places(self, u):
        """Where u ends: (row, place) of what follows it."""
        k = len(u)
        return {
            (r, p + k)
            for r, row in enumerate(self.rows)
            for p in range(len(row) - k + 1)
            if row[p : p + k] == u
        }

    def contexts(self, history, without=None):
        """The suffixes of the history that occur, the longest of each set of places."""
        whole = (MARK, *history) if self.ends else tuple(history)
        found = {}
        for k in range(len(whole) + 1):
            u = whole[len(whole) - k :]
            places = frozenset(self.places(u) - {without})
            if places:
                found[places if k else "empty"] = (u, places)
        return list(found.values())

    def counts(self, u, places):
        """N1+(. u w) of each w; the plain count where u begins with the mark."""
        before = {}
        for r, p in places:
            if p < len(self.rows[r]) and self.rows[r][p] != MARK:
                start = p - len(u)
                left = (r, p) if u[:1] == (MARK,) else self.rows[r][start - 1]
                before.setdefault(self.rows[r][p], set()).add(left)
        return {w: len(left) for w, left in before.items()}

    def row(self, history, without=None):
        p = np.full(self.symbols, 1 / self.symbols)
        for u, places in self.contexts(history, without):
            counts = self.counts(u, places)
            n = sum(counts.values())
            if n == 0:
                continue
            taken = {
                w: self.discounts[row_of(len(u), len(counts))][min(c, 3) - 1]
                for w, c in counts.items()
            }
            p = p * sum(taken.values()) / n
            for w, c in counts.items():
                p[w] += (c - taken[w]) / n
        return p

    def match(self, history, w):
        """Length and count of the longest suffix that is followed, and how often by w."""
        for u, places in reversed(self.contexts(history)):
            after = [self.rows[r][p] for r, p in places if p < len(self.rows[r])]
            after = [v for v in after if v != MARK]
            if after:
                return len(u), len(after), after.count(w)
        return 0, 0, 0


def fit(sequences, ends, symbols=4):
    return arproc.InfiniGram(Tokens(symbols, end=ends)).fit(sequences)


def slow(model, sequences):
    space = model.space
    return SlowInfiniGram(sequences, space.size, space.terminates, model.discounts_)


@given(corpora, corpora, st.booleans())
def test_equals_its_definition(sequences, new, ends):
    if not ends:
        sequences = [s for s in sequences if s]
    model = fit(sequences, ends)
    reference = slow(model, sequences)
    new = [s for s in new if s] + sequences[:1]
    expected, raw, orders = [], [], []
    for s in new:
        x = [*s, model.space.end] if ends else s
        for t, w in enumerate(x):
            row = reference.row(x[:t])
            assert row.sum() == pytest.approx(1)
            assert row.min() > 0
            expected.append(math.log(row[w]))
            raw.append(reference.match(x[:t], w))
            orders.append(max(len(u) for u, _ in reference.contexts(x[: t + 1])))
    terms = model.log_prob_terms(new)
    np.testing.assert_allclose(np.concatenate([np.ravel(t) for t in terms]), expected, rtol=1e-9)
    got = model.matches(new)
    fields = got.length.tolist(), got.count.tolist(), got.followed.tolist()
    assert list(zip(*fields, strict=True)) == raw
    assert model.matched_orders(new).tolist() == orders
    for s in new:
        np.testing.assert_allclose(model.conditional(s).probs, reference.row(s), rtol=1e-9)


@settings(max_examples=25)
@given(corpora, st.booleans())
def test_discounts_are_those_of_the_leave_one_out_likelihood(sequences, ends):
    # several streams may begin alike, and what is before their first symbols is one mark
    sequences = sequences if ends else [max(sequences, key=len)]
    model = fit(sequences, ends)
    reference = slow(model, sequences)
    left_out = []
    for r, s in enumerate(sequences):
        x = [*s, model.space.end] if ends else s
        for t, w in enumerate(x):
            left_out.append(math.log(reference.row(x[:t], without=(r, t + 1))[w]))
    assert model.discount_source_ == "leave-one-out"
    assert model.discount_score_ == pytest.approx(np.mean(left_out))


def text(seed, n=4000):
    """Words of a small language, one after the other."""
    words = ["the", "then", "than", "cat", "catch", "sat", "on", "one", "mat"]
    return " ".join(np.random.default_rng(seed).choice(words, n // 4))


def test_validation_chooses_its_own_discounts():
    train, valid = text(0), text(1)
    model = arproc.InfiniGram("char").fit(train)
    other = arproc.InfiniGram("char").fit(train, validation=valid)
    assert other.discount_source_ == "validation"
    assert other.discount_score_ == pytest.approx(other.score(valid))
    assert other.score(valid) >= model.score(valid) - 1e-4
    # the slope of the penalised likelihood is zero there, by differences
    rng = np.random.default_rng(2)
    most = np.arange(1.0, 4.0)

    def penalised(discounts):
        moved = arproc.InfiniGram.of(replace(other.law_, discounts=discounts), tokens="char")
        share = discounts / most
        return moved.log_prob(valid) + np.log(share * (1 - share)).sum()

    best = penalised(other.discounts_)
    for _ in range(5):
        share = other.discounts_ / most
        nearby = share + 0.05 * share * (1 - share) * rng.normal(size=share.shape)
        assert penalised(most * nearby) < best


def test_no_match_crosses_a_boundary():
    model = fit([[0, 1], [2, 3]], False)
    assert model.matches([[0, 1, 2]]).length.tolist() == [0, 1, 0]  # nothing followed 0 1
    assert model.matched_orders([[0, 1, 2]]).tolist() == [1, 2, 1]
    model = fit([[0, 1], [2, 3]], True)
    assert model.matches([[0, 1, 2]]).length.tolist() == [1, 2, 3, 1]


def test_long_repeats_are_followed_to_the_end():
    long = np.random.default_rng(0).integers(0, 50, 3000)
    model = arproc.InfiniGram(50).fit(long)
    again = long[500:2500]
    assert model.matches(again).length.tolist() == list(range(2000))
    # from here the chance to go on is high, and the state knows it wherever it begins
    terms = model.log_prob_terms(again)
    assert terms[100:].mean() > math.log(0.5)
    late = model.start([again[:1900]])
    assert late.conditional.probs[0, again[1900]].item() == pytest.approx(np.exp(terms[1900]))
    early = late.truncate(1000)
    assert early.conditional.probs[0, again[1000]].item() == pytest.approx(np.exp(terms[1000]))


def test_a_run_of_one_symbol_leaves_no_zero():
    # there are as many contexts as symbols in the run, and each halves what is left for others
    model = arproc.InfiniGram(3).fit([0] * 1200, validation=[0, 1])
    x = [0] * 1150 + [1]
    logits = model.conditional([0] * 1150).logits.numpy()
    assert np.isfinite(logits).all()
    assert model.log_prob_terms(x)[-1] == pytest.approx(logits[1])
    assert logits[1] < -600


def test_parts_and_threads_change_nothing(monkeypatch):
    import torch

    data = text(0)
    model = arproc.InfiniGram("char").fit(data)
    several = arproc.InfiniGram("char").fit(data.split(" cat "))
    new = [text(s, 300) for s in range(5)]
    expected, lines = model.log_prob_terms(data), several.log_prob(new)
    monkeypatch.setattr(infini, "_PART", 50)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    np.testing.assert_array_equal(model.log_prob_terms(data), expected)
    np.testing.assert_allclose(several.log_prob(new), lines, rtol=1e-12)


def test_spread_positions_are_where_they_should(monkeypatch):
    monkeypatch.setattr(infini_discounts, "MOST", 400)
    monkeypatch.setattr(infini_discounts, "_BLOCK", 50)
    monkeypatch.setattr(infini_discounts, "_WARM_UP", 20)
    steps = np.random.default_rng(0).integers(0, 60, 100)
    begin = np.cumsum(steps) - steps
    first, warm, last, fresh = infini_discounts.spread(begin, steps)
    taken = np.concatenate([np.arange(a, b) for a, b in zip(warm, last, strict=True)])
    assert len(taken) == len(np.unique(taken)) == 400
    assert taken[0] == 0
    assert taken[-1] == steps.sum() - 1
    row = np.searchsorted(begin + steps, first, side="right")
    assert (begin[row] <= first).all()
    assert (last <= (begin + steps)[row]).all()
    assert ((first == begin[row]) == fresh).all()
    assert ((warm - first == 20) | fresh).all()


class Halves:
    """A tokenizer of the letters a and b."""

    vocab_size = 2

    def encode(self, text):
        return ["ab".index(letter) for letter in text]

    def decode(self, ids):
        return "".join("ab"[i] for i in ids)


def test_every_form_of_data(tmp_path):
    lines = ["the cat sat", "a cat sat", "the rat ate"]
    words = arproc.InfiniGram().fit(lines)
    assert words.vocabulary.kind == "word"
    assert words.log_prob("the cat sat") > words.log_prob("sat the cat")
    assert np.isfinite(words.log_prob("the dog"))  # <unk>
    for tokens in ("char", "byte"):
        model = arproc.InfiniGram(tokens).fit("".join(lines))
        assert isinstance(model.sample(1, 10, seed=0)[0], str)
    file = tmp_path / "text.txt"
    file.write_text("\n".join(lines))
    assert arproc.InfiniGram().fit(file).log_prob(lines).tolist() == pytest.approx(
        words.log_prob(lines).tolist()
    )
    symbols = arproc.InfiniGram(None).fit([["a", "b"], ["b"]])
    assert symbols.space.terminates
    tokenized = arproc.InfiniGram(Halves()).fit("abbab" * 3)
    assert tokenized.matches("abba").length.tolist() == [0, 1, 2, 3]


def test_save_and_load(tmp_path):
    lines = ["the cat sat", "a cat sat", "the rat ate"]
    model = arproc.InfiniGram("char").fit(lines)
    path = tmp_path / "model"
    model.save(path)
    again = arproc.load(path)
    np.testing.assert_array_equal(again.log_prob(lines), model.log_prob(lines))
    assert again.sample(3, seed=0) == model.sample(3, seed=0)
    symbols = model.space.size
    edit(path, f'"symbols": {symbols}', f'"symbols": {symbols + 1}')
    with pytest.raises(FileFormatError):
        arproc.load(path)


def test_damaged_discounts_are_refused():
    model = arproc.InfiniGram("char").fit("the cat sat on the mat")
    for wrong in (np.full((26, 3), 1.0), model.discounts_[:5], np.full((26, 3), np.nan)):
        with pytest.raises(ParameterError, match="discounts"):
            replace(model.law_, discounts=wrong)


def test_refusals():
    with pytest.raises(ParameterError, match="min_count"):
        arproc.InfiniGram(Tokens("char", min_count=0)).fit("abc")
    with pytest.raises(DataError):
        arproc.InfiniGram(2).fit([0, 1, 2])


@pytest.mark.slow
def test_tiny_shakespeare_by_characters(shared_data):
    with gzip.open(shared_data / "tinyshakespeare.txt.gz", "rt", encoding="utf-8") as file:
        text = file.read()
    cut = int(0.9 * len(text))
    model = arproc.InfiniGram("char").fit(text[:cut])
    seventh = arproc.NGram(7, tokens="char").fit(text[:cut])  # the best of its kind, 2.188
    assert model.score(text[cut:]) > seventh.score(text[cut:])
    assert -model.score(text[cut:]) / math.log(2) == pytest.approx(2.159, abs=2e-3)
