from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import torch
from evaluation.toys import BYTES, CHARS, Chain, GaussianAR, MeanShift, Steps, unigram
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

import arproc
from arproc import evaluate
from arproc.data.vocabulary import Vocabulary
from arproc.errors import DataError, NotComparableError, NotFittedError, ParameterError
from arproc.evaluation.standard_errors import of_ratio, of_series

LN2 = math.log(2)


def test_one_series_against_a_dense_normal():
    x = GaussianAR(0.7).sample(1, 40, seed=1)[0]
    lags = np.abs(np.subtract.outer(np.arange(40), np.arange(40)))
    exact = stats.multivariate_normal(np.zeros(40), 0.7**lags / (1 - 0.49)).logpdf(x)
    result = evaluate(GaussianAR(0.7), x)
    assert result.log_prob_nats == pytest.approx(exact, rel=1e-12)
    assert result.nats_per_element == pytest.approx(-exact / 40)
    assert result.bits_per_element == pytest.approx(-exact / 40 / LN2)
    assert (result.measure, result.n_elements, result.n_sequences) == ("density", 40, 1)
    assert result.perplexity is None
    assert result.bits_per_byte is None
    assert result.bits_per_dim is None
    assert result.nats_per_element_se == of_series(-GaussianAR(0.7).log_prob_terms(x)).se


def test_errors_are_over_sequences_where_there_are_many():
    model, x = GaussianAR(0.7), GaussianAR(0.7).sample(12, 5, seed=1)
    result = evaluate(model, x)
    over = of_ratio(-model.log_prob(x), np.full(12, 5))
    assert result.nats_per_element_se == pytest.approx(over.se)
    assert result.error_from == "over 12 sequences"
    along = evaluate(model, x, by="element")
    assert along.nats_per_element == pytest.approx(result.nats_per_element)
    flat = np.concatenate([-terms for terms in model.log_prob_terms(x)])
    assert along.nats_per_element_se == pytest.approx(of_series(flat).se)
    alone = evaluate(model, x[0], by="sequence")
    assert math.isnan(alone.nats_per_element_se)


def test_uniform_bytes_are_eight_bits_each():
    texts = ["abc é", "日.", "", "x"]
    result = evaluate(unigram(BYTES), texts[:2] + texts[3:])
    assert result.bits_per_byte == pytest.approx(8.0)
    assert result.n_bytes == len("abc é日.x".encode())
    assert result.perplexity == pytest.approx(256)
    assert not result.notes


def test_characters_are_counted_in_bytes_and_ends_are_elements():
    texts = ["abé", "日", ""]
    result = evaluate(unigram(CHARS, end=True), texts)
    symbols = len(CHARS) + 1
    assert result.n_elements == 4 + 3
    assert result.n_ends == 3
    assert result.n_bytes == 4 + 3
    assert result.log_prob_nats == pytest.approx(-7 * math.log(symbols))
    assert result.bits_per_byte == pytest.approx(7 * math.log2(symbols) / 7)
    assert "3 end term(s) are counted among the elements" in result.notes
    cut = evaluate(unigram(CHARS, end=True), texts[:2], complete=False)
    assert (cut.n_elements, cut.n_ends) == (4, 0)


def test_a_file_of_bytes(tmp_path):
    path = tmp_path / "text.txt"
    path.write_bytes("één dag\n".encode() * 30)
    result = evaluate(unigram(BYTES), path)
    assert result.n_bytes == 300
    assert result.bits_per_byte == pytest.approx(8.0)


def test_a_file_of_words_is_its_lines(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("a b\nb a b\n", encoding="utf-8")
    words = Vocabulary.build(["a b"], "word", unknown=False)
    result = evaluate(unigram(words, end=True), path)
    assert (result.n_sequences, result.n_bytes) == (2, 8)
    path.write_text("b a b\n", encoding="utf-8")
    assert evaluate(unigram(words, end=True), path).n_bytes == 5


@pytest.mark.parametrize(
    ("texts", "problem"),
    [
        (["a b", "a c b"], "1 of 5 words are unknown to the model"),
        (["a b", "a  b"], "the tokens do not give text 1 back (its white space is lost"),
        (["a\tb"], "the tokens do not give text 0 back (its white space is lost"),
        ([["a", "b"], ["b"]], "the data came cut into tokens"),
    ],
)
def test_lost_text_has_no_bits_per_byte(texts, problem):
    model = unigram(Vocabulary.build(["a b"], "word"), end=True)
    result = evaluate(model, texts)
    assert result.bits_per_byte is None
    assert result.n_bytes is None
    assert any(problem in note for note in result.notes)
    assert problem in str(result)


def test_whole_words_have_bits_per_byte():
    model = unigram(Vocabulary.build(["a b"], "word"), end=True)  # a, b, <unk>, end
    result = evaluate(model, ["a b a", "b"])
    assert result.bits_per_byte == pytest.approx((4 + 2) * 2 / (5 + 1))


def test_bits_per_dim_of_fixed_sizes():
    x = np.array([[0, 1, 0], [1, 1, 1]])
    result = evaluate(Chain([[0.5, 0.5], [0.25, 0.75]], length=3), x)
    exact = -(math.log2(0.5 * 0.5 * 0.25) + math.log2(0.5 * 0.75 * 0.75))
    assert result.bits_per_dim == pytest.approx(exact / 6)


def test_given_values_are_not_scored():
    x = GaussianAR(0.5).sample(1, 30, seed=3)[0]
    later = evaluate(GaussianAR(0.5), x, given=4)
    assert later.log_prob_nats == pytest.approx(GaussianAR(0.5).log_prob_terms(x)[4:].sum())
    assert later.n_elements == 26
    own = evaluate(GaussianAR(0.5, given=1), x)
    assert own.log_prob_nats == pytest.approx(stats.norm.logpdf(x[1:], 0.5 * x[:-1]).sum())
    assert own.notes[0] == "the first 1 element(s) of each sequence are given, not scored"
    several = evaluate(GaussianAR(0.5), [x[:5], x[3:20]], given=2)
    terms = [GaussianAR(0.5).log_prob_terms(part)[2:].sum() for part in (x[:5], x[3:20])]
    assert several.log_prob_nats == pytest.approx(sum(terms))
    with pytest.raises(NotComparableError, match="pass given=1 or more"):
        evaluate(GaussianAR(0.5, given=1), x, given=0)
    with pytest.raises(DataError, match="too short"):
        evaluate(GaussianAR(0.5), x, given=31)
    with pytest.raises(DataError, match="no element to score"):
        evaluate(GaussianAR(0.5), x, given=30)


def test_laws_without_conditionals():
    x = np.random.default_rng(0).normal(size=(20, 3))
    result = evaluate(MeanShift(), x)
    assert result.log_prob_nats == pytest.approx(MeanShift().log_prob(x).sum())
    assert result.error_from == "over 20 sequences"
    assert math.isnan(evaluate(MeanShift(), x[0]).nats_per_element_se)
    with pytest.raises(ParameterError, match="mixture of whole sequences"):
        evaluate(MeanShift(), x, given=1)


def test_probability_zero_is_told():
    model = Chain([[1.0, 0.0], [0.5, 0.5]])
    result = evaluate(model, [[0, 0], [0, 1], [1]])
    assert result.log_prob_nats == -math.inf
    assert result.perplexity == math.inf
    assert "2 sequence(s) have probability zero, the first is 1" in result.notes


def test_context_goes_to_the_model():
    means = np.array([1.0, 2.0, 3.0])
    result = evaluate(Steps(), means + 0.5, context=means)
    assert result.nats_per_element == pytest.approx(-stats.norm.logpdf(0.5))
    with pytest.raises(ParameterError, match="needs a context"):
        evaluate(Steps(), means)


def test_a_row_of_a_table():
    result = evaluate(GaussianAR(), pd.Series([0.1, 0.2], name="x"))
    row = result.to_frame("toy")
    assert row.index.tolist() == ["toy"]
    assert row.loc["toy", "log_prob_nats"] == result.log_prob_nats
    assert "notes" not in row


def test_what_is_wrong_is_told():
    with pytest.raises(ParameterError, match="fitted arproc model"):
        evaluate("model", [1.0])
    with pytest.raises(ParameterError, match="by must be one of"):
        evaluate(GaussianAR(), [1.0], by="row")
    with pytest.raises(NotFittedError):
        evaluate(arproc.AR(1), [1.0, 2.0])


@given(st.lists(st.text("ab é日.", max_size=8), min_size=1, max_size=14))
def test_ragged_texts_sum_up(texts):
    if not any(texts):
        texts = [*texts, "a"]
    result = evaluate(unigram(CHARS, end=True), texts)
    assert result.n_bytes == sum(len(text.encode()) for text in texts)
    nats = math.log(len(CHARS) + 1) * sum(len(text) + 1 for text in texts)
    assert result.bits_per_byte == pytest.approx(nats / LN2 / result.n_bytes)


def test_tensors_that_ask_for_gradients_are_fine():
    x = torch.zeros(4, dtype=torch.float64, requires_grad=True)
    assert evaluate(GaussianAR(0.0), x).nats_per_element == pytest.approx(
        0.5 * math.log(2 * math.pi)
    )
