"""Models estimated from disk are those estimated in memory, however little memory there is."""

from __future__ import annotations

import bz2
import gzip
import lzma
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import arproc
from arproc import Tokens
from arproc.data.vocabulary import Vocabulary
from arproc.errors import DataError, ParameterError, UnsupportedError
from arproc.models.ngram.smoothing.discounts import DiscountWarning
from arproc.models.ngram.streaming import counting, fitting
from arproc.testing import check_process

ARRAYS = ("levels", "symbol", "link", "first_child")


@pytest.fixture
def little(monkeypatch):
    """So little memory that there are many runs, parts of symbols, and blocks."""
    monkeypatch.setattr(fitting, "budget_of", lambda memory: 1500)


def fit(path, order, **settings):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DiscountWarning)
        return arproc.NGram(order, **settings).fit(path)


def check_equal(found, expected):
    for name in ARRAYS:
        np.testing.assert_array_equal(getattr(found.trie_, name), getattr(expected.trie_, name))
    for name in ("log_prob", "back_off"):
        mine, theirs = getattr(found.trie_, name), getattr(expected.trie_, name)
        np.testing.assert_allclose(mine[1:], theirs[1:], rtol=2e-6, atol=2e-6)
    mine, theirs = found.trie_.index, expected.trie_.index
    np.testing.assert_array_equal(np.sort(mine), np.sort(theirs))  # the places may differ
    found.trie_.verify()
    assert found.space == expected.space
    assert found.n_ngrams_ == expected.n_ngrams_
    assert found.discount_source_ == expected.discount_source_
    np.testing.assert_allclose(found.discounts_, expected.discounts_, rtol=1e-4, atol=1e-5)


def zipf(lines, words, seed=0):
    rng = np.random.default_rng(seed)
    rows = [rng.zipf(1.3, rng.integers(0, 12)) for _ in range(lines)]
    return "\n".join(" ".join(f"w{min(i, words)}" for i in row) for row in rows) + "\n"


@pytest.mark.parametrize("order", [1, 2, 3, 5])
@pytest.mark.parametrize(
    "smoothing", ["modified_kneser_ney", "kneser_ney", "absolute_discounting"]
)
def test_lines_of_words(tmp_path, little, order, smoothing):
    path = tmp_path / "text.txt"
    path.write_text(zipf(800, 60))
    settings = {"smoothing": smoothing}
    check_equal(fit(path, order, memory="64MB", **settings), fit(path, order, **settings))


def test_the_parts_of_a_common_symbol_are_put_together(tmp_path, little, monkeypatch):
    seen = []
    whole = counting._parts
    monkeypatch.setattr(counting, "_parts", lambda w, *rest: [*whole(w, *rest)])
    original = counting._append

    def spy(job, runs, piece, *rest):
        seen.append(piece.goes_on)
        original(job, runs, piece, *rest)

    monkeypatch.setattr(counting, "_append", spy)
    path = tmp_path / "text.txt"
    path.write_text(zipf(6000, 12, seed=1))
    check_equal(fit(path, 6, memory="64MB"), fit(path, 6))
    assert sum(seen) > 3


@pytest.mark.parametrize("tokens", ["char", "byte"])
@pytest.mark.parametrize("order", [1, 4, 12])
def test_one_stream_of_characters_or_bytes(tmp_path, little, tokens, order):
    path = tmp_path / "text.txt"
    path.write_bytes("".join(np.random.default_rng(2).choice([*"abé \n", "\r\n"], 3000)).encode())
    check_equal(fit(path, order, tokens=tokens, memory="64MB"), fit(path, order, tokens=tokens))


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.lists(st.sampled_from("abcd"), max_size=8), min_size=1, max_size=40).filter(any),
    st.integers(1, 4),
    st.booleans(),
)
def test_any_text(tmp_path, monkeypatch, rows, order, ends_with_newline):
    monkeypatch.setattr(fitting, "budget_of", lambda memory: 400)
    path = tmp_path / "text.txt"
    path.write_text("\n".join(map(" ".join, rows)) + "\n" * ends_with_newline)
    check_equal(fit(path, order, memory="64MB"), fit(path, order))


def test_settings_are_heeded(tmp_path, little):
    path = tmp_path / "text.txt"
    path.write_text(zipf(400, 40) + "<s> once\n")
    tokens = Tokens(min_count=3, special="escape")
    settings = {"tokens": tokens, "discount_fallback": (0.5, 1.0, 1.5)}
    check_equal(fit(path, 3, memory=10**8, **settings), fit(path, 3, **settings))
    tokens = Tokens(max_size=5, special="escape")
    settings = {"tokens": tokens, "interpolate_unigrams": False}
    check_equal(fit(path, 3, memory=10**8, **settings), fit(path, 3, **settings))


@pytest.mark.parametrize("budget", [240, 1000, 4000])
def test_the_hash_table_of_wide_contexts_is_made_in_blocks(tmp_path, monkeypatch, budget):
    path = tmp_path / "text.txt"
    path.write_text(zipf(3000, 900, seed=3))
    expected = fit(path, 2)
    assert (expected.trie_.index >= 0).sum() > 500
    monkeypatch.setattr(fitting, "budget_of", lambda memory: budget)
    check_equal(fit(path, 2, memory="64MB"), expected)


@pytest.mark.parametrize("seed", range(5))
def test_a_vocabulary_may_be_in_any_order(tmp_path, little, seed):
    path = tmp_path / "text.txt"
    path.write_text(zipf(150, 30, seed))
    known = Vocabulary.build(path.read_text(), "word").symbols[1:]
    shuffled = [known[i] for i in np.random.default_rng(seed).permutation(len(known))]
    vocabulary = Vocabulary(("<unk>", *shuffled[3:]), "word", 0)
    check_equal(fit(path, 3, tokens=vocabulary, memory="64MB"), fit(path, 3, tokens=vocabulary))


def test_the_model_is_one_like_any_other(tmp_path, little):
    path = tmp_path / "text.txt"
    path.write_text(zipf(200, 6))
    model = fit(path, 3, memory="64MB")
    check_process(model)
    model.save(tmp_path / "model.arproc")
    again = arproc.load(tmp_path / "model.arproc")
    assert again.log_prob("w1 w2 w9") == model.log_prob("w1 w2 w9")
    folder = Path(model.trie_.symbol.filename).parent
    assert folder.is_dir()
    del model
    assert not folder.exists()


@pytest.mark.parametrize("stop", [1, 2, 3, 5, 8, 12, 20, 30, 40])
def test_a_job_that_was_stopped_goes_on(tmp_path, little, monkeypatch, stop):
    path, scratch = tmp_path / "text.txt", tmp_path / "scratch"
    path.write_text(zipf(120, 20))
    written = []
    whole = fitting.Workspace.replacing

    def failing(self, target):
        written.append(target.name)
        if len(written) == stop:
            raise KeyboardInterrupt
        return whole(self, target)

    monkeypatch.setattr(fitting.Workspace, "replacing", failing)
    with pytest.raises(KeyboardInterrupt):
        fit(path, 3, memory="64MB", scratch=scratch)
    before = set(written[:-1])
    monkeypatch.setattr(fitting.Workspace, "replacing", whole)
    again = []
    monkeypatch.setattr(
        fitting.Workspace,
        "replacing",
        lambda self, target: again.append(target.name) or whole(self, target),
    )
    check_equal(fit(path, 3, memory="64MB", scratch=scratch), fit(path, 3))
    runs = [name for name in before if name.startswith("run-") and name.endswith("kept")]
    assert not set(runs) & set(again)
    assert not list(scratch.glob("*.part"))


def test_a_second_fit_in_the_same_folder_is_done_at_once(tmp_path, little):
    path, scratch = tmp_path / "text.txt", tmp_path / "scratch"
    path.write_text(zipf(120, 20))
    first = fit(path, 3, memory="64MB", scratch=scratch)
    stamps = {p.name: p.stat().st_mtime_ns for p in scratch.iterdir()}
    second = fit(path, 3, memory="64MB", scratch=scratch)
    assert stamps == {p.name: p.stat().st_mtime_ns for p in scratch.iterdir()}
    check_equal(second, first)


def test_what_can_not_be_done_is_refused(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text(zipf(20, 5))
    with pytest.raises(ParameterError, match='"500MB" or "2GB"; got \'lots\''):
        arproc.NGram(2, memory="lots").fit(path)
    with pytest.raises(ParameterError, match="too little"):
        arproc.NGram(2, memory="1MB").fit(path)
    with pytest.raises(DataError, match=r"text file, given as .* got list"):
        arproc.NGram(2, memory="64MB").fit(["a b"])
    with pytest.raises(UnsupportedError, match="smoothing='katz' is estimated in memory"):
        arproc.NGram(2, "katz", memory="64MB").fit(path)
    with pytest.raises(UnsupportedError, match="prune works in memory"):
        arproc.NGram(2, prune=1, memory="64MB").fit(path)
    with pytest.raises(DataError, match="there is no file"):
        arproc.NGram(2, memory="64MB").fit(tmp_path / "nothing.txt")
    (tmp_path / "empty.txt").touch()
    with pytest.raises(DataError, match="is empty"):
        arproc.NGram(2, memory="64MB").fit(tmp_path / "empty.txt")
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9\n")
    with pytest.raises(DataError, match=r"not UTF-8 text \(byte 3\)"):
        arproc.NGram(2, memory="64MB").fit(tmp_path / "latin.txt")
    with pytest.raises(ParameterError, match="holds other files"):
        arproc.NGram(2, memory="64MB", scratch=tmp_path).fit(path)


def test_a_folder_of_another_job_is_refused(tmp_path, little):
    path, scratch = tmp_path / "text.txt", tmp_path / "scratch"
    path.write_text(zipf(50, 5))
    fit(path, 2, memory="64MB", scratch=scratch)
    with pytest.raises(ParameterError, match="another job: its order is 2, not 3"):
        fit(path, 3, memory="64MB", scratch=scratch)
    path.write_text(zipf(60, 5))
    with pytest.raises(ParameterError, match="another job: its bytes"):
        fit(path, 2, memory="64MB", scratch=scratch)


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress, bytes])
@pytest.mark.parametrize("tokens", ["word", "char", "byte"])
def test_compressed_and_marked_files_are_read_from_a_copy_that_goes(
    tmp_path, little, pack, tokens
):
    text = "\ufeffa rose\x0cis\r\n\n a\x0b \x1cb\x85c\u2028d\re \n" + zipf(200, 9)
    path, folder = tmp_path / "text.txt", tmp_path / "scratch"
    path.write_bytes(pack(text.encode()))
    found = fit(path, 3, tokens=tokens, memory="64MB", scratch=folder)
    check_equal(found, fit(path, 3, tokens=tokens))
    assert not (folder / "text").exists()
    check_equal(fit(path, 3, tokens=tokens, memory="64MB", scratch=folder), found)
