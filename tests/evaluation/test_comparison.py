from __future__ import annotations

import math
import re

import numpy as np
import pandas as pd
import pytest
import torch
from evaluation.toys import (
    BYTES,
    CHARS,
    Chain,
    CorrelatedPairs,
    GaussianAR,
    MeanShift,
    PoissonAR,
    Steps,
    unigram,
)
from scipy import stats

from arproc import compare
from arproc.contract.sequences import Sequences
from arproc.data.tables import table_of
from arproc.data.vocabulary import Vocabulary
from arproc.errors import DataError, NotComparableError, NotFittedError, ParameterError
from arproc.evaluation.comparable import _check_elements, same_elements
from arproc.evaluation.standard_errors import of_series
from arproc.spaces import (
    Binary,
    Categorical,
    Count,
    Ordinal,
    Positive,
    Real,
    RealVector,
    UnitInterval,
)

WORDS = Vocabulary.build(["a bé cab"], "word")


def texts(n, seed=0):
    rng = np.random.default_rng(seed)
    return [" ".join(rng.choice(["a", "bé", "cab"], rng.integers(1, 9))) for _ in range(n)]


def test_paired_differences_over_sequences():
    x = GaussianAR(0.6).sample(25, 8, seed=1)
    models = {"white": GaussianAR(0.0), "true": GaussianAR(0.6), "near": GaussianAR(0.55)}
    table = compare(models, x)
    each = {name: model.log_prob(x) for name, model in models.items()}
    base = table.index[0]
    assert table.index.tolist() == sorted(models, key=lambda name: -each[name].sum())
    assert table.loc[base].filter(regex="difference|low95|high95|se_").tolist() == [0.0] * 4
    for name in table.index[1:]:
        d = (each[base] - each[name]) / 8
        row = table.loc[name]
        assert row["difference_nats_per_element"] == pytest.approx(d.mean())
        assert row["se_nats_per_element"] == pytest.approx(stats.sem(d))
        low, high = stats.t.interval(0.95, 24, d.mean(), stats.sem(d))
        assert row["low95_nats_per_element"] == pytest.approx(low)
        assert row["high95_nats_per_element"] == pytest.approx(high)
        assert row["log_prob_nats"] == pytest.approx(each[name].sum())
        assert row["nats_per_element"] == pytest.approx(-each[name].sum() / 200)
    assert table.loc["white", "verdict"] == "worse"
    assert table["verdict"].iloc[0] == "best"
    assert table.attrs["n_elements"] == 200


def test_one_series_is_compared_along_itself():
    x = GaussianAR(0.6).sample(1, 300, seed=2)[0]
    table = compare({"true": GaussianAR(0.6), "white": GaussianAR(0.0)}, pd.Series(x))
    d = GaussianAR(0.6).log_prob_terms(x) - GaussianAR(0.0).log_prob_terms(x)
    assert table.loc["white", "difference_nats_per_element"] == pytest.approx(d.mean())
    assert table.loc["white", "se_nats_per_element"] == pytest.approx(of_series(d).se)
    assert table.loc["white", "verdict"] == "worse"
    assert table.attrs["errors"] == "along the sequences"


def test_a_reference_of_ones_own():
    x = GaussianAR(0.6).sample(1, 300, seed=2)[0]
    models = {"true": GaussianAR(0.6), "white": GaussianAR(0.0), "same": GaussianAR(0.0)}
    table = compare(models, x, reference="white")
    assert table["verdict"].to_dict() == {
        "true": "better",
        "white": "reference",
        "same": "no clear difference",
    }
    assert table.loc["true", "difference_nats_per_element"] < 0


@pytest.mark.parametrize(("n", "length"), [(20, 5), (1, 200)])
def test_false_alarms_are_as_rare_as_stated(n, length):
    """Two models equally far from white noise: 5% of 250 verdicts within 4 deviations (0.055)."""
    models = {"up": GaussianAR(0.2), "down": GaussianAR(-0.2)}
    rng = np.random.default_rng(3)
    clear = 0
    for _ in range(250):
        table = compare(models, rng.normal(size=(n, length)), reference="up")
        clear += table.loc["down", "verdict"] != "no clear difference"
    assert clear / 250 <= 0.105


# ---- text --------------------------------------------------------------------------------


def test_tokenisations_meet_in_bits_per_byte():
    data = texts(40)
    models = {
        "byte": unigram(Vocabulary.of_bytes(), end=True),
        "char": unigram(CHARS, end=True),
        "word": unigram(WORDS, end=True),
    }
    table = compare(models, data)
    size = sum(len(text.encode()) for text in data)
    terms = {
        "byte": (size + 40) * math.log2(257),
        "char": sum(len(text) + 1 for text in data) * math.log2(len(CHARS) + 1),
        "word": sum(len(text.split()) + 1 for text in data) * math.log2(5),
    }
    for name, bits in terms.items():
        assert table.loc[name, "bits_per_byte"] == pytest.approx(bits / size)
        assert table.loc[name, "log_prob_nats"] == pytest.approx(-bits * math.log(2))
    assert table.index.tolist() == ["word", "char", "byte"]
    assert table["verdict"].tolist() == ["best", "worse", "worse"]


def test_one_text_is_compared_byte_by_byte():
    text = " ".join(texts(60))
    models = {"byte": unigram(BYTES), "char": unigram(CHARS), "word": unigram(WORDS)}
    table = compare(models, text)
    raw = text.encode()
    # a character's term lies on its last byte, a word's on the space after it
    char = np.array([(b & 0xC0) == 0x80 or b < 0x80 for b in raw]) * math.log2(len(CHARS))
    word = np.array([b == 32 for b in raw[:-1]] + [True]) * math.log2(len(WORDS))
    assert table.loc["char", "se_bits_per_byte"] == pytest.approx(of_series(char - word).se)
    assert table.loc["byte", "se_bits_per_byte"] == pytest.approx(of_series(8 - word).se)
    assert table.loc["byte", "difference_bits_per_byte"] == pytest.approx((8 - word).mean())
    assert table["verdict"].tolist() == ["best", "worse", "worse"]


def test_ends_lie_on_the_last_byte():
    data = ["aé", "", "b"]
    models = {"byte": unigram(Vocabulary.of_bytes(), end=True), "char": unigram(CHARS, end=True)}
    table = compare(models, data)
    n, m = math.log2(len(CHARS) + 1), math.log2(257)
    # the empty text's end is with the end of the text before it
    d = np.array([m - n, m, (3 * m) - (3 * n), 2 * m - 2 * n])
    assert table.loc["byte", "difference_bits_per_byte"] == pytest.approx(d.sum() / 4)
    assert table.loc["byte", "se_bits_per_byte"] == pytest.approx(of_series(d).se)


def test_streams_and_ends_meet_without_ends():
    data = ["ab", "abc"] * 6
    models = {"stream": unigram(BYTES), "ending": unigram(BYTES, end=True)}
    with pytest.raises(NotComparableError, match="Pass complete=False"):
        compare(models, data)
    table = compare(models, data, complete=False)
    assert table.loc["stream", "bits_per_byte"] == pytest.approx(8)
    assert table.loc["ending", "bits_per_byte"] == pytest.approx(math.log2(257))


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (["a dog", "a"], "1 of 3 words are unknown"),
        (["a  cab", "a"], "white space is lost"),
    ],
)
def test_words_that_lose_text_are_refused(data, problem):
    models = {"char": unigram(CHARS, end=True), "word": unigram(WORDS, end=True)}
    with pytest.raises(NotComparableError, match=problem):
        compare(models, data)


def test_words_of_one_vocabulary_compare_all_the_same():
    models = {"even": unigram(WORDS), "odd": unigram(WORDS, weights=[5.0, 1.0, 1.0, 1.0])}
    table = compare(models, ["a dog  dog", "dog"])
    assert "nats_per_element" in table
    assert table.index[0] == "odd"


def test_a_file_read_as_lines_and_as_one_text(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("a cab\na\n", encoding="utf-8")
    models = {"word": unigram(WORDS, end=True), "byte": unigram(BYTES, end=True)}
    with pytest.raises(NotComparableError, match="pass the lines"):
        compare(models, path)
    windows = tmp_path / "windows.txt"
    windows.write_bytes(b"ab\r\nab\r\n")
    chars = Vocabulary.build("ab\n", "char")
    with pytest.raises(NotComparableError, match="line ends are read differently"):
        compare({"char": unigram(chars), "byte": unigram(BYTES)}, windows)


# ---- what does not compare -----------------------------------------------------------------


def refused(models, data, match, **options):
    with pytest.raises(NotComparableError, match=match):
        compare(models, data, **options)


def test_mass_and_density_are_refused():
    refused({"g": GaussianAR(), "p": PoissonAR()}, [1, 2, 3], "density depends on the unit")


def test_other_spaces_are_refused():
    pairs, counts = CorrelatedPairs(), PoissonAR()
    refused({"a": GaussianAR(), "b": pairs}, [[1.0, 2.0]], "likelihoods of different things")
    chain = Chain([[0.5, 0.5], [0.5, 0.5]])
    refused({"a": chain, "b": counts}, [0, 1], "likelihoods of different things")
    wide = Chain(torch.full((3, 3), 1 / 3))
    refused({"a": chain, "b": wide}, [0, 1], "2 symbols elements and 'b' over categorical with 3")
    with_end = Chain([[0.5, 0.5], [0.5, 0.5]], end=True)
    refused({"a": chain, "b": with_end}, [0, 0], "vocabularies, ends or shapes differ")


def test_other_starts_are_refused():
    x = GaussianAR(0.5).sample(1, 60, seed=5)[0]
    models = {"given": GaussianAR(0.5, given=1), "whole": GaussianAR(0.5)}
    refused(models, x, r"Pass given=1")
    table = compare(models, x, given=1)
    assert table["nats_per_element"].iloc[0] == pytest.approx(table["nats_per_element"].iloc[1])
    assert table["verdict"].iloc[1] == "no clear difference"
    assert table.attrs["n_given"] == 1
    refused(models, x, "pass given=1 or more", given=0)


def test_other_prefixes_are_refused():
    a, b = GaussianAR(0.5), GaussianAR(0.2)
    x = [0.5, 0.4]
    refused({"a": a.condition([1.0]), "b": b}, x, "follows a prefix of 1 and 'b' has no prefix")
    refused({"a": a.condition([1.0]), "b": b.condition([2.0])}, x, "after different starts")
    table = compare({"a": a.condition([1.0]), "b": b.condition(np.array([1.0]))}, x)
    assert table.loc["a", "log_prob_nats"] == pytest.approx(stats.norm.logpdf([0.0, 0.15]).sum())
    char, byte = unigram(CHARS), unigram(BYTES)
    table = compare({"c": char.condition("é "), "b": byte.condition("é ")}, "abc cab")
    assert table.loc["b", "bits_per_byte"] == pytest.approx(8.0)
    refused({"c": char.condition("é "), "b": byte.condition("e ")}, "abc", "different starts")


def test_fixed_and_free_lengths_compare():
    x = np.random.default_rng(0).normal(size=(30, 3)) + 1
    table = compare({"shift": MeanShift(), "white": GaussianAR(0.0)}, x)
    assert table.index[0] == "shift"
    assert table.loc["white", "verdict"] == "worse"


def test_an_impossible_text_is_worse():
    never = Chain([[1.0, 0.0], [1.0, 0.0]])
    even = Chain([[0.5, 0.5], [0.5, 0.5]])
    table = compare({"never": never, "even": even}, [[0, 1], [0, 0]])
    assert table.loc["never", "verdict"] == "worse"
    assert table.loc["never", "log_prob_nats"] == -math.inf
    table = compare({"never": never, "even": even, "nor": never}, [[0, 1]], reference="never")
    assert table.loc["even", "verdict"] == "better"
    assert table.loc["nor", "verdict"] == "no clear difference"


def test_context_goes_to_those_that_take_it():
    means = np.tile([0.0, 3.0], 30)
    x = means + np.random.default_rng(1).normal(size=60)
    models = {"knows": Steps(), "blind": GaussianAR(0.0, 2.0)}
    table = compare(models, x, context=means)
    assert table.loc["knows", "log_prob_nats"] == pytest.approx(stats.norm.logpdf(x, means).sum())
    assert table.loc["blind", "verdict"] == "worse"
    with pytest.raises(ParameterError, match="takes no context"):
        compare({"a": GaussianAR(), "b": GaussianAR(0.1)}, x, context=means)
    with pytest.raises(DataError, match="context has 1 steps"):
        compare(models, x, context=means[:1])


def test_units_can_be_chosen():
    x = np.array([[0, 1], [1, 1], [0, 0]])
    models = {"a": Chain([[0.5, 0.5], [0.1, 0.9]], length=2), "b": Chain([[0.5, 0.5]] * 2)}
    table = compare(models, x)
    assert table.columns[1] == "bits_per_dim"
    nats = compare(models, x, unit="nats_per_sequence")
    assert nats["nats_per_sequence"].iloc[0] == pytest.approx(
        table["bits_per_dim"].iloc[0] * 2 * math.log(2)
    )
    with pytest.raises(ParameterError, match="have no bits_per_byte"):
        compare(models, x, unit="bits_per_byte")


def test_what_is_wrong_is_told():
    with pytest.raises(ParameterError, match="at least two models"):
        compare({"a": GaussianAR()}, [1.0])
    with pytest.raises(ParameterError, match="at least two models"):
        compare([GaussianAR(), GaussianAR()], [1.0])
    with pytest.raises(ParameterError, match="'b' must be an arproc model"):
        compare({"a": GaussianAR(), "b": 3}, [1.0])
    with pytest.raises(ParameterError, match="reference must be one of 'a', 'b'"):
        compare({"a": GaussianAR(), "b": GaussianAR()}, [1.0], reference="c")
    from arproc import AR

    with pytest.raises(NotFittedError):
        compare({"a": GaussianAR(), "b": AR(1)}, [1.0])


def test_sequences_cut_by_a_sampler_keep_their_ends():
    chain = Chain([[0.4, 0.4, 0.2]] * 3, end=True)
    values, offsets = torch.tensor([0, 1, 1]), torch.tensor([0, 2, 3])
    data = Sequences(values, offsets, chain.space, torch.tensor([True, False]))
    table = compare({"a": chain, "b": Chain([[0.3, 0.3, 0.4]] * 3, end=True)}, data)
    assert table.attrs["n_ends"] == 1
    assert table.loc["a", "log_prob_nats"] == pytest.approx(3 * math.log(0.4) + math.log(0.2))


def test_tables_and_other_elements_say_in_what_they_differ():
    """The order is that of the models, and either may be the table."""
    frame = pd.DataFrame({"a": [0.5, 1.5, 2.5] * 4, "b": [1, 2, 3] * 4})
    pair, counted = table_of(frame), table_of(frame, {"a": "real", "b": "real"})
    one, other = (each.columns[1].describe() for each in (pair, counted))
    assert one != other
    message = re.escape(f"column 'b' is {one} in one and {other} in the other")
    with pytest.raises(NotComparableError, match=message):
        _check_elements("x", pair, "y", counted)
    for first, second in ((pair, Count()), (Count(), pair)):
        with pytest.raises(NotComparableError, match=r"one is a table of 2 columns.*, the other"):
            _check_elements("x", first, "y", second)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (Binary(), Ordinal(levels=2), True),
        (Binary(), Categorical(2), True),
        (Ordinal(levels=5), Categorical(5), True),
        (Ordinal(levels=5), Categorical(4), False),
        (Categorical(3), Categorical(3, end_symbol=2), False),
        (Categorical(4), Categorical(4, WORDS), False),
        (Count(), Ordinal(levels=5), False),
        (Binary(length=3), Categorical(2), True),
        (Real(), UnitInterval(), True),
        (Real(length=4), Positive(), True),
        (Real(), RealVector(dimension=1), False),
        (Real(), Count(), False),
    ],
    ids=str,
)
def test_which_elements_are_the_same(one, other, same):
    assert same_elements(one, other) is same_elements(other, one) is same


def test_two_models_of_one_name():
    with pytest.raises(ParameterError, match="models has two of one name"):
        compare({1: GaussianAR(0.1), "1": GaussianAR(0.9)}, [0.0, 1.0])
