"""Text that was repeated is told, and does not spoil what is learnt by leaving one out."""

from __future__ import annotations

import random
import re
import warnings

import numpy as np
import pytest

import arproc
from arproc.models.ngram.smoothing import repeats
from arproc.models.ngram.smoothing.discounts import DiscountWarning
from arproc.models.ngram.smoothing.repeats import MUCH, share_of

WORDS = [f"w{i}" for i in range(60)]


def lines(n, seed=0):
    """Sentences of a chain: each word has a few successors, unequally frequent."""
    rng = random.Random(seed)
    out = []
    for _ in range(n):
        word, sentence = rng.randrange(60), []
        for _ in range(rng.randrange(5, 14)):
            sentence.append(WORDS[word])
            word = (7 * word + int(rng.expovariate(0.25))) % 60
        out.append(" ".join(sentence))
    return out


TRAIN, TEST = lines(300), lines(200, seed=1)


def laid(rows):
    return np.array([x for row in rows for x in (*row, -1)], np.int32)


@pytest.mark.parametrize(
    ("copies", "share"), [(1, 0.0), (2, 0.5), (3, 2 / 3), (1.25, 0.2), (1.5, 1 / 3)]
)
def test_the_share_of_copies(copies, share, monkeypatch):
    rng = np.random.default_rng(0)
    rows = [rng.integers(0, 30, 10).tolist() for _ in range(400)]
    text = laid([*rows, *rows, *rows][: int(400 * copies)])
    assert share_of(text, stream=False) == pytest.approx(share, abs=0.01)
    stream = np.concatenate([text[text >= 0], [-1]])
    assert share_of(stream.astype(np.int32), stream=True) == pytest.approx(share, abs=0.08)
    monkeypatch.setattr(repeats, "_ROOM", 100)  # of a sample
    assert share_of(text, stream=False) == pytest.approx(share, abs=0.15)


def test_pieces_say_what_the_whole_says():
    rng = np.random.default_rng(1)
    rows = [rng.integers(0, 5, rng.integers(0, 12)).tolist() for _ in range(500)]
    whole, pieces = repeats.Repeats(False), repeats.Repeats(False)
    whole.add(laid(rows))
    for begin in range(0, 500, 37):
        pieces.add(laid(rows[begin : begin + 37]))
    assert pieces.share == whole.share


def test_short_and_few_lines_do_not_count():
    assert share_of(laid([[1, 2, 3]] * 500), stream=False) == 0.0
    assert share_of(laid([[1, 2, 3, 4, 5, 6]] * 40), stream=False) == 0.0
    assert share_of(laid([[1, 2, 3, 4, 5, 6]] * 400), stream=False) > 0.99


@pytest.mark.parametrize("order", [2, 3])
@pytest.mark.parametrize(
    "smoothing",
    ["modified_kneser_ney", "kneser_ney", "absolute_discounting", "backoff_kneser_ney", "katz"],
)
def test_repeated_text_is_said_and_costs_little(smoothing, order):
    with pytest.warns(DiscountWarning, match=r"67% of the text .*was repeated.*dict\.fromkeys"):
        thrice = arproc.NGram(order, smoothing).fit(TRAIN * 3)
    assert thrice.discount_source_[-1] in ("closed form of one copy", "fallback")
    # what leaving one out takes of copies is next to nothing
    spoilt = fit(TRAIN * 3, order, smoothing, discount_fallback=(0.05, 0.1, 0.15))
    assert thrice.score(TEST) > spoilt.score(TEST) + 0.05
    with warnings.catch_warnings():
        warnings.simplefilter("error", DiscountWarning)
        arproc.NGram(order, smoothing).fit(list(dict.fromkeys(TRAIN * 3)))


def test_of_english_little_is_lost():
    texts = arproc.datasets.english()[0]
    found = [s for text in texts for s in re.split(r"(?<=[.!?])\s", text) if len(s.split()) > 3]
    train, test = found[:300], found[400:700]
    once, thrice = fit(train, 3, "modified_kneser_ney"), fit(train * 3, 3, "modified_kneser_ney")
    spoilt = fit(train * 3, 3, "modified_kneser_ney", discount_fallback=(0.05, 0.1, 0.15))
    assert thrice.score(test) > once.score(test) - 0.02
    assert spoilt.score(test) < once.score(test) - 0.4


@pytest.mark.parametrize("smoothing", ["absolute_discounting", "katz", "jelinek_mercer"])
@pytest.mark.parametrize("copies", [2, 3])
def test_of_plain_counts_copies_change_nothing(smoothing, copies):
    texts = arproc.datasets.english()[0]
    found = [s for text in texts for s in re.split(r"(?<=[.!?])\s", text) if len(s.split()) > 3]
    train, test = found[:300], found[400:500]
    once = fit(train, 3, smoothing).score(test)
    # Katz discounts but the first counts, and Jelinek-Mercer's buckets are by powers of two
    near = 1e-12 if smoothing == "absolute_discounting" else 0.01
    assert fit(train * copies, 3, smoothing).score(test) == pytest.approx(once, abs=near)


def test_a_stream_of_characters_that_was_repeated():
    text = "\n".join(TRAIN[:150])
    model = arproc.NGram(5, tokens="char")
    with pytest.warns(DiscountWarning, match="was repeated"):
        found = model.fit(text * 3)
    assert found.discount_source_[-1] in ("closed form of one copy", "fallback")


def test_on_disk_as_in_memory(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("\n".join(TRAIN * 3) + "\n")
    with pytest.warns(DiscountWarning, match="67% of the text .*was repeated"):
        one = arproc.NGram(3).fit(path)
    with pytest.warns(DiscountWarning, match="67% of the text .*was repeated"):
        other = arproc.NGram(3, memory="64MB").fit(path)
    assert other.discount_source_ == one.discount_source_
    np.testing.assert_allclose(other.discounts_, one.discounts_, rtol=1e-6)


def test_other_models_that_leave_out_say_so_too(tmp_path, monkeypatch):
    with pytest.warns(DiscountWarning, match=r"67% of the text .*give validation="):
        arproc.NGram(2, "jelinek_mercer").fit(TRAIN * 3)
    with pytest.warns(DiscountWarning, match=r"67% of the text .*give validation="):
        thrice = arproc.InfiniGram().fit(TRAIN * 3)
    assert thrice.discount_source_ == "fallback"
    thrice.save(tmp_path / "m")
    assert arproc.load(tmp_path / "m").log_prob(TEST[0]) == thrice.log_prob(TEST[0])
    held = arproc.InfiniGram().fit(TRAIN * 3, validation=TEST[:50])
    assert held.discount_source_ == "validation"
    monkeypatch.setattr("arproc.models.ngram.suffix.infinigram.MUCH", 2.0)
    spoilt = arproc.InfiniGram().fit(TRAIN * 3)
    assert spoilt.discount_source_ == "leave-one-out"
    assert thrice.score(TEST) > spoilt.score(TEST) + 0.05


def test_nothing_is_said_of_text_that_is_not_repeated():
    assert share_of(arproc_text(arproc.datasets.english()[0]), stream=False) < MUCH / 5


def arproc_text(texts):
    vocabulary = arproc.kit.Vocabulary.build(texts)
    return laid([vocabulary.encode(text).tolist() for text in texts])


def fit(data, order, smoothing, **settings):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DiscountWarning)
        return arproc.NGram(order, smoothing, **settings).fit(data)
