"""The table of surprisals: against the model's own terms, by hand, and joined to times."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

import arproc
from arproc.errors import DataError, UnsupportedError
from arproc.evaluation import join_times, next_table, surprisal_table, word_perplexity
from arproc.evaluation.surprisal import _words_of

LINES = ["the cat sat", "the cat ate the rat", "a rat sat", "the rat ate", "a cat"]
ASKED = ["the dog sat", "", "a cat ate"]


@pytest.fixture(scope="module")
def words():
    return arproc.NGram(3, "witten_bell").fit(LINES)


def test_a_row_a_word(words):
    table = surprisal_table(words, ASKED, unit="nats", ends=True)
    assert table["word"].tolist() == [
        "the",
        "dog",
        "sat",
        "</s>",
        "</s>",
        "a",
        "cat",
        "ate",
        "</s>",
    ]
    assert table["sentence"].tolist() == [1, 1, 1, 1, 2, 3, 3, 3, 3]
    assert table["position"].tolist() == [1, 2, 3, 4, 1, 1, 2, 3, 4]
    assert table["unknown"].tolist() == [False, True, *[False] * 7]
    np.testing.assert_allclose(-table["surprisal"], np.concatenate(words.log_prob_terms(ASKED)))
    without = surprisal_table(words, ASKED)
    kept = table[table["word"] != "</s>"].reset_index(drop=True)
    np.testing.assert_allclose(without["surprisal"] * math.log(2), kept["surprisal"])
    assert without["word"].tolist() == kept["word"].tolist()


def test_matched_orders_by_hand(words):
    # <s> the: seen; <s> the dog: no, nor "dog" at all; sat after dog: only "sat" itself; the end
    # after "sat": "sat </s>" is a bigram, with an unknown word before it
    table = surprisal_table(words, "the dog sat", ends=True)
    assert table["matched_order"].tolist() == [2, 1, 1, 2]
    assert surprisal_table(words, "the cat sat")["matched_order"].tolist() == [2, 3, 3]


def test_entropies_are_those_of_the_conditionals(words):
    table = surprisal_table(words, ASKED, unit="nats", ends=True)
    rows = [["the", "dog", "sat"], [], ["a", "cat", "ate"]]
    expected = []
    for row in rows:
        expected += [
            float(words.conditional(" ".join(row[:t])).entropy()) for t in range(len(row) + 1)
        ]
    np.testing.assert_allclose(table["entropy"], expected)
    after = [*expected[1:4], 0.0, 0.0, *expected[6:9], 0.0]
    np.testing.assert_allclose(table["next_entropy"], after)
    np.testing.assert_allclose(table["entropy_reduction"], table["entropy"] - after)
    assert "entropy" not in surprisal_table(words, ASKED, entropy=False)
    stream = arproc.NGram(2, "witten_bell").fit(" ".join(LINES))
    last = surprisal_table(stream, "a cat", unit="nats").iloc[-1]
    assert last["next_entropy"] == pytest.approx(float(stream.conditional("a cat").entropy()))


@pytest.mark.parametrize("tokens", ["char", "byte"])
def test_words_of_smaller_pieces(tokens):
    lines = ["  the cät  sat ", "rat"]
    model = arproc.NGram(3, "witten_bell", arproc.Tokens(tokens, end=True)).fit(lines)
    table = surprisal_table(model, lines, unit="nats", ends=True)
    assert table["word"].tolist() == ["the", "cät", "sat", "</s>", "rat", "</s>"]
    extra = tokens == "byte"
    assert table["tokens"].tolist() == [5, 4 + extra, 6, 1, 3, 1]
    terms = model.log_prob_terms(lines)[0]
    assert table["surprisal"][1] == pytest.approx(-terms[5 : 9 + extra].sum())
    sums = table.groupby("sentence")["surprisal"].sum()
    np.testing.assert_allclose(sums, -model.log_prob(lines))
    single = surprisal_table(model, lines, by="token")
    assert len(single) == sum(len(s.encode() if extra else s) for s in lines)
    assert {"entropy", "matched_order"} <= set(single)


def test_a_tokenizer_must_keep_words_apart():
    class Threes:
        vocab_size = 27**3
        letters = " abcdefghijklmnopqrstuvwxyz"

        def encode(self, text):
            at = self.letters.index
            parts = [text[i : i + 3] for i in range(0, len(text), 3)]
            return [at(a) * 729 + at(b) * 27 + at(c) for a, b, c in parts]

        def decode(self, ids):
            return "".join(
                self.letters[i // 729] + self.letters[i // 27 % 27] + self.letters[i % 27]
                for i in ids
            )

    model = arproc.NGram(2, "additive", Threes()).fit("a cat sat on")
    fine = surprisal_table(model, " as at", unit="nats")
    assert fine[["word", "tokens"]].to_numpy().tolist() == [["as", 1], ["at", 1]]
    with pytest.raises(UnsupportedError, match="'a c' belongs to two words"):
        surprisal_table(model, "a cat at ")


def test_other_processes_and_numbers():
    model = arproc.PPM(2, tokens=3).fit([0, 1, 2, 0, 1, 2, 0])
    table = surprisal_table(model, [0, 1, 1], unit="nats")
    assert table["word"].tolist() == [0, 1, 1]
    np.testing.assert_allclose(-table["surprisal"], model.log_prob_terms([0, 1, 1]))
    with pytest.raises(UnsupportedError, match="Words are symbols"):
        surprisal_table(arproc.AR(1).fit(np.random.default_rng(0).normal(size=50)), [1.0, 2.0])


def test_regions_and_names(words):
    regions = [["subject", "subject", "verb"], [], ["subject", "subject", "verb"]]
    table = surprisal_table(words, ASKED, regions=regions, sentences=["s1", "s2", "s3"], ends=True)
    by_region = table.groupby(["sentence", "region"])["surprisal"].sum()
    assert list(by_region.index) == [(s, r) for s in ("s1", "s3") for r in ("subject", "verb")]
    assert by_region["s1", "subject"] == pytest.approx(table["surprisal"][:2].sum())
    with pytest.raises(DataError, match=r"regions\[0\] has 1 labels; sentence 0 has 3 words"):
        surprisal_table(words, ASKED, regions=[["x"], [], []])
    with pytest.raises(DataError, match="for each of 3 sentences"):
        surprisal_table(words, ASKED, regions=[[]])
    with pytest.raises(DataError, match="sentences has 1 names"):
        surprisal_table(words, ASKED, sentences=["s1"])


def test_reading_times_are_joined_by_sentence_and_word_number(words):
    table = surprisal_table(words, ASKED)
    times = pd.DataFrame(
        {
            "item": [3, 1, 1, 3],
            "zone": [1, 2, 2, 3],
            "word": ["a", "dog", "dog", "ate"],
            "rt": [300, 512, 498, 350],
        },
        index=[10, 20, 30, 40],
    )
    joined = join_times(table, times, sentence="item", position="zone", word="word")
    assert joined.index.tolist() == [10, 20, 30, 40]
    assert joined["word_model"].tolist() == times["word"].tolist()
    np.testing.assert_allclose(joined["surprisal"], table["surprisal"].to_numpy()[[3, 1, 1, 5]])
    wrong = times.assign(word=["a", "cat", "dog", "ate"])
    with pytest.raises(DataError, match="row 20 of times has the word 'cat'"):
        join_times(table, wrong, sentence="item", position="zone", word="word")
    with pytest.raises(DataError, match="word 9 of sentence 3"):
        join_times(table, times.assign(zone=[9, 2, 2, 3]), sentence="item", position="zone")
    with pytest.raises(DataError, match="no column 'sentence'"):
        join_times(table, times)


def test_perplexity_with_and_without_unknown_words(words):
    terms = np.concatenate(words.log_prob_terms(ASKED))
    found = word_perplexity(words, ASKED)
    assert found["perplexity"] == pytest.approx(math.exp(-terms.mean()))
    assert found["perplexity_without_unknown"] == pytest.approx(
        math.exp(-np.delete(terms, 1).mean())
    )
    assert (found["terms"], found["unknown"]) == (9, 1)


def test_the_next_word_as_a_table(words):
    table = next_table(words, "the cat")
    assert table["probability"].sum() == pytest.approx(1)
    assert table["probability"].is_monotonic_decreasing
    assert set(table.index) == {*words.vocabulary.symbols, "</s>"}
    p = words.conditional("the cat").probs[words.vocabulary.encode("sat")]
    assert table.loc["sat", "probability"] == pytest.approx(float(p[0]))
    assert len(next_table(words, top=2)) == 2
    with pytest.raises(DataError, match="one prefix; got 2"):
        next_table(words, ["a", "the"])


@pytest.mark.parametrize(
    ("pieces", "words"),
    [
        (["ab", " cd"], [0, 1]),
        (["ab", " ", "cd"], [0, 1, 1]),
        ([" ab", " ", " cd", "e"], [0, 1, 1, 1]),
        (["ab", " cd", " "], [0, 1, 1]),
        (["ab", " cd "], [0, 1]),
        ([" ", "\n"], [0, 0]),
        ([], []),
        (["a ", "b"], None),
        (["ab ", "c"], None),
        (["abc ", " ", "d"], None),
        (["a b"], None),
    ],
)
def test_pieces_make_words(pieces, words):
    """White space begins the next word; a piece of two words is refused, whatever its length."""
    if words is None:
        with pytest.raises(UnsupportedError, match="belongs to two words"):
            _words_of(pieces)
    else:
        assert _words_of(pieces).tolist() == words
