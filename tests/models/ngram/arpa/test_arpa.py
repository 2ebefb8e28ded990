"""ARPA files: round trips, other writers' habits, and malformed files."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from models.ngram.reference import as_written

import arproc
from arproc.errors import DataError, FileFormatError, ParameterError, UnsupportedError
from arproc.models.ngram.smoothing.smoothings import DiscountWarning

LINES = ["the cat sat", "the cat ate the rat", "", "a rat sat", "the rat ate"]

SMALL = """\

\\data\\
ngram 1=5
ngram 2=3
ngram 3=1

\\1-grams:
-1.0\t<unk>
-99\t<s>\t-0.3
-0.6\t</s>
-0.5\ta\t-0.2
-0.7\tb\t-0.1

\\2-grams:
-0.4\t<s> a\t-0.25
-0.3\ta b
-0.8\tb </s>

\\3-grams:
-0.15\t<s> b a

\\end\\
"""


def fitted(order, tokens="word", data=None):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DiscountWarning)
        return arproc.NGram(order, tokens=tokens).fit(LINES if data is None else data)


def write(folder, text, name="model.arpa"):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("order", [1, 2, 4])
@pytest.mark.parametrize("suffix", [".arpa", ".arpa.gz"])
def test_a_file_of_ours_reads_back_the_same(tmp_path, order, suffix):
    model = fitted(order)
    path = tmp_path / f"model{suffix}"
    model.to_arpa(path)
    again = arproc.NGram.from_arpa(path)
    assert again.space == model.space
    assert again.n_ngrams_ == model.n_ngrams_
    tests = [*LINES, "the dog sat", "zebra"]
    np.testing.assert_allclose(again.log_prob(tests), model.log_prob(tests), rtol=1e-7)


@pytest.mark.parametrize("tokens", ["char", "byte"])
def test_blanks_and_bytes_are_spelt(tmp_path, tokens):
    text = "a b\nb a\ta <unk> é a b a\0b"
    model = fitted(3, tokens, text)
    path = tmp_path / "model.arpa"
    model.to_arpa(path)
    again = arproc.NGram.from_arpa(path, tokens)
    assert again.space == model.space
    assert again.log_prob(text) == pytest.approx(model.log_prob(text), rel=1e-7)
    assert not again.space.terminates


def test_numbers_are_their_own_names(tmp_path):
    model = fitted(2, None, [[0, 1, 2], [2, 1]])
    model.to_arpa(tmp_path / "model.arpa")
    again = arproc.NGram.from_arpa(tmp_path / "model.arpa")
    assert again.log_prob(["0 1 2"])[0] == pytest.approx(model.log_prob([[0, 1, 2]])[0], rel=1e-7)


def test_missing_beginnings_and_back_offs(tmp_path):
    model = as_written(write(tmp_path, SMALL))
    # "<s> b" is not in the file: its probability is that of backing off, -0.3 - 0.7
    terms = model.log_prob_terms(["b a b"])[0] / math.log(10)
    # after "<s> b" comes a: the trigram; then "b a" is no bigram, so b after a; then the end
    np.testing.assert_allclose(terms, [-1.0, -0.15, -0.3, -0.8], atol=1e-12)
    # after a: "a a" backs off, then b after a
    terms = model.log_prob_terms(["a a b zoo"])[0] / math.log(10)
    expected = [-0.4, -0.25 - 0.2 - 0.5, -0.3, -0.1 - 1.0, -0.6]
    np.testing.assert_allclose(terms, expected, atol=1e-12)


def test_windows_line_ends_spaces_and_a_byte_order_mark(tmp_path):
    text = SMALL.replace("\t", " ").replace("\n", "\r\n")
    one = as_written(write(tmp_path, "\ufeff" + text.lstrip()))
    two = as_written(write(tmp_path, SMALL, "two.arpa"))
    assert one.log_prob("a b") == two.log_prob("a b")


def test_without_unk_the_vocabulary_is_closed(tmp_path):
    text = SMALL.replace("-1.0\t<unk>\n", "").replace("1=5", "1=4")
    model = as_written(write(tmp_path, text))
    with pytest.raises(arproc.errors.DataError, match="'zoo' at position 1"):
        model.log_prob("a zoo")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("\\data\\", "data", "no line"),
        ("ngram 2=3", "ngram two=3", "line 4: expected 'ngram 2=count'"),
        ("ngram 2=3", "ngram 3=3", "line 4: expected 'ngram 2=count'"),
        ("ngram 1=5\nngram 2=3\nngram 3=1\n", "", "no 'ngram 1=count'"),
        (
            "ngram 1=5",
            "ngram 1=6",
            "line 14: expected 6 1-grams as the header says; got 5, then .*2-grams",
        ),
        ("ngram 2=3", "ngram 2=2", "line 17: expected .*3-grams"),
        ("-0.5\ta", "0.5\ta", "line 11: expected log10 p of at most 0"),
        ("-0.5\ta", "nan\ta", "line 11: expected log10 p of at most 0"),
        ("-0.5\ta", "x\ta", "line 11: expected numbers"),
        ("-0.5\ta", "-0.5\tb", "line 12: the word 'b' appears twice"),
        ("-0.3\ta b", "-0.3\ta c", "line 16: the word 'c' is not among the 1-grams"),
        ("-0.3\ta b", "-0.3\t<s> a", "line 16: the 2-gram '<s> a' appears twice"),
        ("-0.3\ta b", "-0.3\ta b b b", "line 16: expected log10 p and 2 word"),
        ("\\3-grams:", "\\4-grams:", "line 19: expected .*3-grams"),
        ("-0.15\t<s> b a", "-0.15\t<s> b a\t-0.1", "line 20: expected log10 p and 3 word"),
        ("\\end\\\n", "", "expected .*end"),
        ("\n\\3-grams:\n-0.15\t<s> b a\n\n\\end\\\n", "", "expected .*3-grams"),
    ],
)
def test_malformed_files(tmp_path, old, new, message):
    assert old in SMALL
    with pytest.raises(FileFormatError, match=message):
        arproc.NGram.from_arpa(write(tmp_path, SMALL.replace(old, new)))


def test_other_broken_files(tmp_path):
    with pytest.raises(FileFormatError, match="no file"):
        arproc.NGram.from_arpa(tmp_path / "none.arpa")
    (tmp_path / "cut.gz").write_bytes(b"\x1f\x8b\x08\x00")
    with pytest.raises(FileFormatError, match="damaged gzip"):
        arproc.NGram.from_arpa(tmp_path / "cut.gz")
    (tmp_path / "latin.arpa").write_bytes(SMALL.replace("\tb", "\té").encode("latin-1"))
    with pytest.raises(FileFormatError, match=r"not UTF-8|not among"):
        arproc.NGram.from_arpa(tmp_path / "latin.arpa")
    with pytest.raises(FileFormatError, match="no char"):
        arproc.NGram.from_arpa(write(tmp_path, SMALL.replace("b", "bb")), tokens="char")


def test_what_can_not_be_written(tmp_path):
    model = arproc.NGram(2, smoothing="additive").fit(LINES)
    with pytest.raises(UnsupportedError, match="backs off"):
        model.to_arpa(tmp_path / "model.arpa")
    with pytest.raises(ParameterError, match="does not exist"):
        fitted(2).to_arpa(tmp_path / "nowhere" / "model.arpa")
    assert not any(tmp_path.iterdir())


def test_special_symbols_of_a_text_can_be_escaped(tmp_path):
    lines = ["a <s> b", "a <unk> </s>", "b <s> a"]
    with pytest.raises(DataError, match='special="escape"'):
        arproc.NGram(2, "witten_bell").fit(lines)
    model = arproc.NGram(2, "witten_bell", arproc.Tokens(special="escape")).fit(lines)
    model.to_arpa(tmp_path / "model.arpa")
    again = arproc.NGram.from_arpa(tmp_path / "model.arpa", special="escape")
    np.testing.assert_allclose(again.log_prob(lines), model.log_prob(lines), rtol=1e-6)
    assert model.log_prob("a <s>") > model.log_prob("a unheard")
    model.save(tmp_path / "model")
    assert arproc.load(tmp_path / "model").vocabulary == model.vocabulary
    assert "<s>" in " ".join(model.sample(50, seed=0)).split()


@pytest.mark.parametrize("renormalise", [False, True])
@pytest.mark.parametrize("floor", [-100, -7.5, -1.0])
def test_without_unk_a_stated_floor_scores_unknown_words(tmp_path, floor, renormalise):
    text = as_closed(tmp_path)
    closed = arproc.NGram.from_arpa(text)
    model = arproc.NGram.from_arpa(text, floor=floor, renormalise=renormalise)
    assert model.vocabulary.symbols == (*closed.vocabulary.symbols, "<unk>")
    p = 10.0**floor
    assert model.conditional().probs.sum() == pytest.approx(1, abs=1e-12)
    for words in (["the", "cat"], ["dog"], ["the", "dog"], ["sat"]):  # every context adds up
        row = model.conditional(" ".join(words)).probs
        assert row.sum() == pytest.approx(1, abs=1e-12)
        if "dog" not in words:
            before = closed.conditional(" ".join(words)).probs.numpy()
            kept = np.delete(row.numpy(), len(closed.vocabulary))
            np.testing.assert_allclose(kept / kept.sum(), before, rtol=0.2 if p > 1e-3 else 1e-5)
    # after an unknown word nothing is known, so single words are asked
    assert model.conditional("dog").probs[-2] == pytest.approx(p, rel=1e-6)
    known = "the cat sat"
    assert model.log_prob(known) == pytest.approx(closed.log_prob(known), abs=4.5 * p + 1e-12)
    terms = model.log_prob_terms("the dog sat")
    assert terms.sum() == pytest.approx(model.log_prob("the dog sat"), abs=1e-9)
    seen = arproc.evaluation.word_perplexity(model, ["the dog sat"])
    assert (seen.unknown, seen.terms) == (1, 4)
    model.save(tmp_path / "m.arproc")
    assert arproc.load(tmp_path / "m.arproc").log_prob("the dog") == model.log_prob("the dog")


def test_with_a_floor_it_can_be_interpolated(tmp_path):
    one = arproc.NGram.from_arpa(as_closed(tmp_path), floor=-6)
    two = arproc.NGram(2, "witten_bell").fit(["the dog sat", "a dog"])
    both = arproc.ngram.interpolate([one, two], [0.5, 0.5])
    assert {"dog", "rat"} < set(both.vocabulary.symbols)
    assert both.log_prob("the dog ate") > one.log_prob("the dog ate")


def test_a_floor_needs_a_file_without_unk(tmp_path):
    path = tmp_path / "small.arpa"
    path.write_text(SMALL)
    with pytest.raises(ParameterError, match="the file has <unk> already"):
        arproc.NGram.from_arpa(path, renormalise=True, floor=-100)
    for floor in (0, 0.5, float("nan"), "low"):
        with pytest.raises(ParameterError, match="floor must be"):
            arproc.NGram.from_arpa(as_closed(tmp_path), floor=floor)


def as_closed(folder):
    """An ARPA file of a model without `<unk>`."""
    path = folder / "closed.arpa"
    arproc.NGram(3, "witten_bell", arproc.Tokens(unknown=False)).fit(LINES).to_arpa(path)
    assert "<unk>" not in path.read_text()
    return path
