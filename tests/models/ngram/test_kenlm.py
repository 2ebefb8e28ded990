"""Scores against the Python module `kenlm`, word by word: of our files, and of KenLM's own."""

from __future__ import annotations

import gzip
import itertools
import math
import subprocess
import warnings

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from models.ngram.arpa.arpa_texts import arpa_texts, texts
from models.ngram.peers import kenlm, lmplz, program
from models.ngram.reference import as_written

import arproc
from arproc.models.ngram.smoothing.smoothings import SMOOTHINGS, DiscountWarning

# KenLM has no models of order 1, and the format holds no additive smoothing beyond
WRITABLE = [smoothing for smoothing in SMOOTHINGS if smoothing != "additive"]


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


def fit(lines, order, smoothing="modified_kneser_ney", **params):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DiscountWarning)
        return arproc.NGram(order, smoothing, **params).fit(lines)


def load(path):
    module = kenlm()
    config = module.Config()
    config.show_progress = False
    return module.Model(str(path), config)


def binary(path, *options):
    """KenLM's binary file of an ARPA file."""
    out = path.with_suffix(".binary")
    command = [program("build_binary"), "-T", f"{path.parent}/", *options, path, out]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return out


def check(model, other, lines, matched=True):
    """Every word's log10 p, the order that was found, and whether it is unknown."""
    theirs = [row for line in lines for row in other.full_scores(line)]
    log_prob, length, unknown = map(np.array, zip(*theirs, strict=True))
    ours = np.concatenate(model.log_prob_terms(lines)) / math.log(10)
    # minus infinity is -99 in the file, plus back-offs
    atol = 1e-5 * np.maximum(1, np.abs(log_prob) / 20)  # KenLM adds in float32
    both = np.maximum(ours, -90), np.maximum(log_prob, -90)
    assert (np.abs(np.subtract(*both)) < atol).all()
    rows = np.repeat(np.arange(len(lines)), [len(line.split()) + 1 for line in lines])
    total, sums = model.log_prob(lines) / math.log(10), np.bincount(rows, log_prob)
    finite = total > -np.inf
    np.testing.assert_allclose(total[finite], sums[finite], rtol=1e-6, atol=1e-5)
    scores = np.array([other.score(line) for line in lines])  # added in float32
    np.testing.assert_allclose(total[finite], scores[finite], rtol=2e-5, atol=1e-5)
    if matched:
        np.testing.assert_array_equal(model.matched_orders(lines), length)
    known = set(model.vocabulary.symbols)
    words = [w for line in lines for w in (*line.split(), "</s>")]
    assert [w not in known and w != "</s>" for w in words] == unknown.tolist()


@pytest.mark.parametrize("smoothing", WRITABLE)
def test_our_files_in_kenlm(corpus, smoothing, tmp_path):
    model = fit(corpus[::2], 4, smoothing, prune=[0, 0, 1])
    model.to_arpa(tmp_path / "ours.arpa")
    check(model, load(tmp_path / "ours.arpa"), corpus)


@pytest.mark.slow
@pytest.mark.parametrize("smoothing", WRITABLE)
def test_our_files_in_kenlm_on_every_sentence(whole, smoothing, tmp_path):
    model = fit(whole[::2], 5, smoothing)
    model.to_arpa(tmp_path / "ours.arpa")
    check(model, load(tmp_path / "ours.arpa"), whole)


def test_our_files_after_pruning_by_entropy(corpus, tmp_path):
    model = fit(corpus[::2], 3).pruned(1e-6)
    model.to_arpa(tmp_path / "ours.arpa")
    # KenLM counts what it puts in for a missing end of an n-gram as found
    check(model, load(tmp_path / "ours.arpa"), corpus, matched=False)


@pytest.mark.parametrize("order", [2, 3, 5])
@pytest.mark.parametrize("prune", [[0], [0, 1], [0, 0, 2]])
def test_lmplz_files_in_ours(corpus, order, prune, tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("\n".join(corpus[::2]) + "\n", encoding="utf-8")
    path = lmplz(text, order, tmp_path / "theirs.arpa", "--prune", *prune[:order],
                 "--discount_fallback")  # fmt: skip
    check(arproc.NGram.from_arpa(path), load(path), corpus)


@pytest.mark.slow
@pytest.mark.parametrize("order", [3, 5])
def test_lmplz_files_in_ours_on_every_sentence(whole, order, tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("\n".join(whole[::2]) + "\n", encoding="utf-8")
    path = lmplz(text, order, tmp_path / "theirs.arpa", "--discount_fallback")
    check(arproc.NGram.from_arpa(path), load(path), whole)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(arpa_texts(lowest=2), st.lists(texts, min_size=1, max_size=8))
def test_any_set_of_ngrams(tmp_path, text, lines):
    # KenLM wants what begins an n-gram to be there, and the file that we write has it
    (tmp_path / "model.arpa").write_text(text.replace("0.125", "-0.125").replace("-99", "-42"))
    model = as_written(tmp_path / "model.arpa")
    model.to_arpa(tmp_path / "ours.arpa")
    check(model, load(binary(tmp_path / "ours.arpa", "trie")), lines, matched=False)


def test_a_stream_of_characters(tmp_path):
    text = "the cat sat on the mat\nthe rat ate the cat " * 20
    model = fit(text, 4, "witten_bell", tokens="char")
    model.to_arpa(tmp_path / "chars.arpa")
    other = load(tmp_path / "chars.arpa")
    spelt = " ".join({" ": "<U+0020>", "\n": "<U+000A>"}.get(c, c) for c in text)
    theirs = [row[0] for row in other.full_scores(spelt, bos=False, eos=False)]
    np.testing.assert_allclose(model.log_prob_terms(text) / math.log(10), theirs, atol=1e-5)


def test_a_closed_vocabulary(tmp_path):
    lines = ["a b a", "b a", "a a b"]
    model = fit(lines, 3, "witten_bell", tokens=arproc.Tokens(unknown=False))
    model.to_arpa(tmp_path / "closed.arpa")
    check(model, load(tmp_path / "closed.arpa"), lines)


@pytest.mark.parametrize("kind", ["probing", "trie"])
def test_kenlm_builds_its_binary_files_of_ours(corpus, kind, tmp_path):
    fit(corpus, 5).pruned(1e-7).to_arpa(tmp_path / "ours.arpa")
    model, other = (
        arproc.NGram.from_arpa(tmp_path / "ours.arpa"),
        load(binary(tmp_path / "ours.arpa", kind)),
    )
    check(model, other, corpus[:200], matched=False)
