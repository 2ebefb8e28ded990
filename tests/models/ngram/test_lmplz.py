"""Estimation against KenLM's `lmplz`, n-gram by n-gram: probabilities and back-offs."""

from __future__ import annotations

import gzip
import itertools
import warnings

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from models.ngram.peers import assert_same_ngrams, lmplz

import arproc
from arproc import Tokens
from arproc.errors import ParameterError
from arproc.models.ngram.smoothing.discounts import DiscountWarning
from arproc.testing import check_process

FALLBACK = (0.5, 1, 1.5)
PRUNE = ([0], [0, 0, 1], [0, 1], [0, 1, 1, 2], [0, 2, 5])


def check(folder, lines, order, *options, **params):
    text = folder / "text.txt"
    text.write_text("\n".join(lines) + "\n", encoding="utf-8")
    model = arproc.NGram(order, **params).fit(text)
    model.to_arpa(folder / "ours.arpa")
    theirs = lmplz(text, order, folder / "theirs.arpa", *options)
    assert_same_ngrams(folder / "ours.arpa", theirs)
    again = arproc.NGram.from_arpa(theirs).log_prob(lines)
    np.testing.assert_allclose(again, model.log_prob(lines), rtol=1e-5)
    return model


@pytest.fixture(scope="session", params=["tinyshakespeare", "presidents"])
def whole(request, shared_data):
    """A real text as lines, empty ones too."""
    raw = gzip.decompress((shared_data / f"{request.param}.txt.gz").read_bytes())
    return raw.decode().replace("\f", "").split("\n")


@pytest.fixture(scope="session")
def corpus(whole):
    """Lines of about 20,000 words."""
    words = itertools.accumulate(len(line.split()) for line in whole)
    return whole[: sum(n < 20000 for n in words)]


@pytest.mark.parametrize("order", [1, 2, 3, 4, 5])
def test_real_text(corpus, order, tmp_path):
    model = check(tmp_path, corpus, order)
    assert set(model.discount_source_) == {"closed form"}


@pytest.mark.slow
@pytest.mark.parametrize("order", [3, 5])
def test_the_whole_of_a_real_text(whole, order, tmp_path):
    check(tmp_path, whole, order)


@pytest.mark.parametrize("prune", PRUNE[1:])
def test_cut_offs(corpus, prune, tmp_path):
    check(tmp_path, corpus, 4, "--prune", *prune, prune=prune)


@pytest.mark.parametrize("order", [3, 5])
def test_characters(corpus, order, tmp_path):
    # characters are numbered by code point, and lmplz numbers words as they first appear
    lines = corpus[:200]
    model = arproc.NGram(
        order, tokens=Tokens("char", unknown=True), discount_fallback=FALLBACK
    ).fit(lines)
    model.to_arpa(tmp_path / "ours.arpa")
    spelt = [" ".join("<U+0020>" if c == " " else c for c in line) for line in lines]
    (tmp_path / "text.txt").write_text("\n".join(spelt) + "\n", encoding="utf-8")
    out = tmp_path / "theirs.arpa"
    theirs = lmplz(tmp_path / "text.txt", order, out, "--discount_fallback")
    assert_same_ngrams(tmp_path / "ours.arpa", theirs)


def test_all_mass_of_the_unseen_to_the_unknown_word(corpus, tmp_path):
    options = ("--interpolate_unigrams", 0)
    check(tmp_path, corpus, 3, *options, interpolate_unigrams=False)


def test_special_words_are_skipped_by_taking_them_out(corpus, tmp_path):
    lines = corpus[:500]
    with_them = [
        f"{line} <s> {line} </s> <unk>" if i % 3 else line for i, line in enumerate(lines)
    ]
    without = [" ".join(w for w in line.split() if w[0] != "<") for line in with_them]
    text = tmp_path / "special.txt"
    text.write_text("\n".join(with_them) + "\n", encoding="utf-8")
    theirs = lmplz(text, 3, tmp_path / "special.arpa", "--skip_symbols")
    check(tmp_path, without, 3)
    assert_same_ngrams(tmp_path / "ours.arpa", theirs)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.lists(st.sampled_from("aaabbcdef"), max_size=8).map(" ".join), max_size=60),
    st.integers(1, 5),
    st.sampled_from(PRUNE),
    st.sampled_from([(0.5, 1, 1.5), (0.7,), (0, 2)]),
    st.booleans(),
)
def test_small_text(tmp_path, lines, order, prune, discounts, interpolate):
    options = ["--discount_fallback", *discounts, "--prune", *prune[:order]]
    params = {"prune": prune[: max(order, 1)], "discount_fallback": discounts}
    check(
        tmp_path, [*lines, "a"], order, *options, "--interpolate_unigrams", int(interpolate),
        interpolate_unigrams=interpolate, **params,
    )  # fmt: skip


@pytest.mark.parametrize("order", [1, 2, 4])
@pytest.mark.parametrize(
    "lines",
    [
        ["a"],
        ["", "a", "", ""],
        ["a a a a a a"],
        ["a b c d"] * 40,
        ["one"] * 3 + ["two"] * 2 + ["three"],
        ["a b", "b a\t", "  c  ", "d\r", "é 你好 \u00a0x\u3000y", "a\u2028b"],
    ],
)
def test_odd_text(tmp_path, lines, order):
    check(tmp_path, lines, order, "--discount_fallback", discount_fallback=FALLBACK)


def test_the_fallback_is_taken_only_where_it_must_be():
    lines = ["a b c"]
    with warnings.catch_warnings():
        warnings.simplefilter("error", DiscountWarning)
        model = arproc.NGram(2, discount_fallback=(0.5, 1, 1.5)).fit(lines)
    assert model.discount_source_ == ("fallback", "fallback")
    assert model.discounts_.tolist() == [[0.5, 1.0, 1.5]] * 2
    one = arproc.NGram(2, "kneser_ney", discount_fallback=0.25).fit(["a b"])
    assert one.discounts_.tolist() == [[0.25], [0.25]]


def test_a_model_of_these_options_is_a_proper_process():
    lines = ["a b c", "a b", "b c a b", "a"]
    check_process(
        arproc.NGram(3, discount_fallback=(0.5, 1, 1.5), interpolate_unigrams=False).fit(lines)
    )


def test_refusals():
    for bad in ("kenlm", None, (), (1, 1, 1, 1), ("a",), (1.5,), (-0.5,), (1, 2.5)):
        with pytest.raises(ParameterError, match="discount_fallback"):
            arproc.NGram(2, discount_fallback=bad).fit(["a b"])
    with pytest.raises(ParameterError, match="interpolate_unigrams=False is for modified_kneser"):
        arproc.NGram(2, "katz", interpolate_unigrams=False).fit(["a b"])
    with pytest.raises(ParameterError, match="closed vocabulary"):
        arproc.NGram(2, tokens=Tokens(unknown=False), interpolate_unigrams=False).fit(["a b"])
