"""What probabilities add up to: counted by rows, in files of arproc's and of others."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from models.ngram.arpa.arpa_texts import arpa_texts
from models.ngram.reference import as_written

import arproc
from arproc.errors import FileFormatError
from arproc.models.ngram.arpa.read import read_arpa
from arproc.models.ngram.backoff.sums import adding_up, furthest, masses
from arproc.models.ngram.smoothing.smoothings import DiscountWarning

LINES = ["the cat sat", "the cat ate the rat", "", "a rat sat", "the rat ate", "a cat"]
SMOOTHINGS = (
    "modified_kneser_ney", "kneser_ney", "absolute_discounting", "backoff_kneser_ney", "katz",
    "witten_bell", "jelinek_mercer", "maximum_likelihood", "additive",
)  # fmt: skip


def fitted(smoothing="witten_bell", tokens="word"):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DiscountWarning)
        return arproc.NGram(3, smoothing, tokens).fit(LINES)


def by_rows(trie):
    """The sums of the rows of probabilities at all contexts that can be met."""
    contexts = np.arange(len(trie.back_off))
    open_ = trie.symbol[: len(contexts)] != trie.alphabet.end
    open_[0] = True
    rows = np.ones(len(contexts))
    rows[open_] = np.exp(trie.rows(contexts[open_], np.full(open_.sum(), 9))).sum(-1)
    return rows


def changed(model, **numbers):
    """The model with one number of each named array another."""
    trie = model.trie_
    arrays = {name: getattr(trie, name).copy() for name in numbers}
    for name, (place, value) in numbers.items():
        arrays[name][place] = value
    law = replace(model.law_, trie=replace(trie, stored_index=trie.index, **arrays))
    return arproc.NGram.of(law, order=3)


@pytest.mark.parametrize("smoothing", SMOOTHINGS)
@pytest.mark.parametrize("tokens", ["word", "char"])
def test_every_smoothing_adds_up(smoothing, tokens):
    trie = fitted(smoothing, tokens).trie_
    np.testing.assert_allclose(masses(trie), 1.0, atol=1e-12)
    np.testing.assert_allclose(by_rows(trie), 1.0, atol=1e-12)
    assert furthest(trie) is None


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(arpa_texts())
def test_masses_are_those_of_the_rows(tmp_path, text):
    (tmp_path / "any.arpa").write_text(text)
    trie, _ = read_arpa(tmp_path / "any.arpa")
    np.testing.assert_allclose(masses(trie), by_rows(trie), rtol=1e-9, atol=1e-12)


def test_of_a_stream_without_a_vocabulary_the_symbols_are_named():
    model = arproc.NGram(2, "witten_bell", tokens=3).fit([0, 1, 2, 0, 1, 1, 2])
    trie = model.trie_
    spoilt = replace(trie, back_off=trie.back_off + np.log(2), stored_index=trie.index)
    law = replace(model.law_, trie=spoilt)
    (problem,) = law.inner_problems()
    assert "no distribution" in problem
    assert "add up to" in problem


@pytest.mark.parametrize(
    "numbers",
    [
        {"log_prob": (3, np.log(0.9))},  # single words
        {"log_prob": (-1, 0.0)},  # the last trigram
        {"back_off": (4, np.log(3.0))},  # positive: log_prob would be, too
        {"back_off": (4, -np.inf)},
    ],
)
@pytest.mark.parametrize("smoothing", ["witten_bell", "backoff_kneser_ney", "additive"])
def test_a_file_that_is_no_distribution_is_refused_unless_trusted(tmp_path, smoothing, numbers):
    model = fitted(smoothing)
    model.save(tmp_path / "sound.arproc")
    assert arproc.load(tmp_path / "sound.arproc").log_prob("a rat") == model.log_prob("a rat")
    changed(model, **numbers).save(tmp_path / "other.arproc")
    with pytest.raises(FileFormatError, match=r"probabilities .* add up to"):
        arproc.load(tmp_path / "other.arproc")
    opened = arproc.load(tmp_path / "other.arproc", trust=True)
    with pytest.raises(FileFormatError, match="no distribution"):
        opened.verify()


# ---- ARPA files ------------------------------------------------------------------------------


def arpa_of(folder, edit):
    """The ARPA file of a fitted model, its lines edited: the n-gram and its numbers come."""
    fitted("kneser_ney").to_arpa(folder / "sound.arpa")
    lines = (folder / "sound.arpa").read_text().splitlines()
    path = folder / "edited.arpa"
    path.write_text("\n".join(edit(line) for line in lines) + "\n")
    return path


def without_weights(line):
    """All back-off weights left out, as some filters leave them: each is then one."""
    return "\t".join(line.split("\t")[:2])


def test_an_arpa_file_that_does_not_add_up_is_refused_with_its_worst_context(tmp_path):
    path = arpa_of(tmp_path, without_weights)
    sums = masses(as_written(path).trie_)
    assert np.abs(sums - 1).max() > 0.1
    worst = f"{sums[np.abs(sums - 1).argmax()]:.4g}"
    with pytest.raises(FileFormatError, match=f"after '.+' add up to {worst} .*renormalise=True"):
        arproc.NGram.from_arpa(path)


def test_renormalised_it_is_a_law_whose_explicit_probabilities_stay(tmp_path):
    path = arpa_of(tmp_path, without_weights)
    written, model = as_written(path), arproc.NGram.from_arpa(path, renormalise=True)
    np.testing.assert_allclose(by_rows(model.trie_), 1.0, atol=1e-9)
    np.testing.assert_allclose(model.trie_.log_prob, written.trie_.log_prob, atol=1e-6)
    # weights follow from the probabilities, so those that were left out are what they were
    sound = arproc.NGram.from_arpa(tmp_path / "sound.arpa")
    np.testing.assert_allclose(model.log_prob(LINES), sound.log_prob(LINES), rtol=1e-5)
    model.save(tmp_path / "model.arproc")
    again = arproc.load(tmp_path / "model.arproc")
    np.testing.assert_array_equal(again.log_prob(LINES), model.log_prob(LINES))


def test_single_words_are_divided_by_their_sum(tmp_path):
    def less(line):
        fields = line.split("\t")
        single = len(fields) > 1 and " " not in fields[1] and fields[0] != "-99"
        return "\t".join([f"{float(fields[0]) - 1}", *fields[1:]]) if single else line

    path = arpa_of(tmp_path, less)
    with pytest.raises(FileFormatError, match=r"of single words add up to 0\.1 "):
        arproc.NGram.from_arpa(path)
    model = arproc.NGram.from_arpa(path, renormalise=True)
    sound = arproc.NGram.from_arpa(tmp_path / "sound.arpa")
    np.testing.assert_allclose(model.log_prob(LINES), sound.log_prob(LINES), rtol=1e-5)


def test_a_sound_file_is_the_same_with_and_without(tmp_path):
    path = arpa_of(tmp_path, str)
    plain = arproc.NGram.from_arpa(path)
    same = arproc.NGram.from_arpa(path, renormalise=True)
    np.testing.assert_array_equal(same.trie_.back_off, plain.trie_.back_off)
    np.testing.assert_array_equal(same.trie_.log_prob, plain.trie_.log_prob)


def test_no_probability_at_all_can_not_be_renormalised(tmp_path):
    def never(line):
        fields = line.split("\t")
        return "\t".join(["-99", *fields[1:]]) if len(fields) > 1 else line

    path = arpa_of(tmp_path, never)
    with pytest.raises(FileFormatError, match="another model is needed"):
        arproc.NGram.from_arpa(path, renormalise=True)


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(arpa_texts())
def test_what_is_renormalised_adds_up_or_is_refused(tmp_path, text):
    (tmp_path / "any.arpa").write_text(text)
    trie, vocabulary = read_arpa(tmp_path / "any.arpa")
    try:
        trie = adding_up(trie, vocabulary, renormalise=True)
    except FileFormatError:
        assert np.isneginf(trie.log_prob).any()  # what is certain leaves nothing for the others
        return
    np.testing.assert_allclose(by_rows(trie), 1.0, atol=2e-3)
    assert trie.rows(np.arange(1), np.array([9])).max() <= 1e-3
