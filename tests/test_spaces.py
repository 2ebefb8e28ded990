"""Spaces: equality by kind, vocabulary, end and shape; what fits them; what they refuse to be."""

import math

import numpy as np
import pandas as pd
import pytest
import torch
from testing.healthy import HEALTHY

import arproc
from arproc import spaces
from arproc.data.tables import table_of
from arproc.data.vocabulary import Vocabulary
from arproc.errors import DataError, ParameterError
from arproc.spaces import (
    Binary,
    BinaryVector,
    Categorical,
    Count,
    Integer,
    Ordinal,
    Positive,
    Real,
    RealVector,
    UnitInterval,
    check_values,
)

WORDS = Vocabulary.build(["a b c"], "word")
ALL = [
    Binary(), Binary(length=3), BinaryVector(dimension=2), BinaryVector(dimension=3),
    Categorical(4), Categorical(5), Categorical(4, end_symbol=3), Categorical(4, end_symbol=2),
    Categorical(4, WORDS), Categorical(4, Vocabulary.build(["a b d"], "word")), Count(), Integer(),
    Ordinal(), Ordinal(levels=4), Real(), Real(length=2), RealVector(dimension=1),
    RealVector(dimension=2), UnitInterval(), Positive(), Positive(length=2), spaces.Space(),
]  # fmt: skip


def test_no_two_different_spaces_are_equal_and_equal_ones_are():
    for i, a in enumerate(ALL):
        assert [j for j, b in enumerate(ALL) if a == b] == [i]
        assert len({a, a}) == 1
    again = Categorical(4, Vocabulary.build(["a b c"], "word"))
    assert again == Categorical(4, WORDS)
    assert hash(again) == hash(Categorical(4, WORDS))
    assert Real(precision="float32") == Real()


def test_what_each_says_of_its_elements():
    assert {s.kind: s.measure for s in ALL} == {
        "binary": "mass", "binary vector": "mass", "categorical": "mass", "count": "mass",
        "integer": "mass", "ordinal": "mass", "real": "density", "real vector": "density",
        "abstract": "mass", "unit interval": "density", "positive": "density",
    }  # fmt: skip
    assert Categorical(4, end_symbol=3).terminates
    assert not Categorical(4).terminates
    assert Categorical(4).size == 4
    assert Ordinal(levels=3).size == 3
    assert Binary().size == 2
    assert BinaryVector(dimension=2).size is Real().size is Count().size is None
    assert RealVector(dimension=3).event_shape == (3,)
    assert Real(precision="float32").dtype == torch.float32
    assert Ordinal(levels=256).user_dtype is np.uint8
    assert Ordinal(levels=257).user_dtype is np.int64


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Categorical(0), "symbols must be at least 1; got 0"),
        (lambda: Categorical(2.5), "symbols must be an integer"),
        (lambda: Categorical(3, end_symbol=3), "end_symbol must be one of the symbols 0 to 2"),
        (lambda: Categorical(3, end_symbol=-1), "end_symbol must be at least 0"),
        (lambda: Categorical(2, WORDS), "the vocabulary has 4 symbols, the space 2"),
        (lambda: Ordinal(levels=0), "levels must be at least 1"),
        (lambda: RealVector(dimension=0), "dimension must be at least 1"),
        (lambda: BinaryVector(dimension=True), "dimension must be an integer"),
        (lambda: Real(length=-1), "length must be at least 0"),
        (lambda: Real(precision="float16"), "precision must be one of 'float32', 'float64'"),
    ],
)  # fmt: skip
def test_spaces_that_can_not_be(make, message):
    with pytest.raises(ParameterError, match=message):
        make()


def test_values_are_checked_at_their_bounds():
    for space, good, bad in (
        (Categorical(3), [0, 2], [3]),
        (Categorical(3, end_symbol=2), [0, 1], [2]),
        (Ordinal(levels=3), [0, 2], [-1]),
        (Binary(), [0, 1], [2]),
        (Count(), [0, 2**53], [2**53 + 2]),
        (Integer(), [-(2**53), 3], [2**53 + 2]),
        (Positive(), [1, 2**53], [0]),
    ):
        for dtype in (torch.int64, torch.float64):
            check_values(torch.tensor(good, dtype=dtype), space, "x")
            with pytest.raises(DataError, match="x does not fit the model's space"):
                check_values(torch.tensor(bad, dtype=dtype), space, "x")
    check_values(torch.zeros(0), Categorical(3), "x")
    with pytest.raises(DataError, match="fractional part"):
        check_values(torch.tensor([-1.0, 0.5]), Integer(), "x")
    infinite_sum = torch.tensor([1e308, 1e308], dtype=torch.float64)
    check_values(infinite_sum, Real(), "x")
    check_values(torch.tensor([3e38, 3e38]), Real(precision="float32"), "x")


def test_intervals_are_open():
    tiny, most = 5e-324, 1 - 2.0**-53
    check_values(torch.tensor([tiny, 0.5, most], dtype=torch.float64), UnitInterval(), "x")
    check_values(torch.tensor([tiny, 1e308], dtype=torch.float64), Positive(), "x")
    for space, bad, message in (
        (UnitInterval(), [0.0, 0.5], r"real in \(0, 1\)\): expected numbers above 0 and below 1, got values from 0 to 0.5"),  # noqa: E501
        (UnitInterval(), [0.5, 1.0], "got values from 0.5 to 1"),
        (UnitInterval(precision="float32"), [0.5, most], "got values from 0.5 to 1"),
        (Positive(), [3.0, -1.0], "positive real.: expected numbers above 0, got values from -1"),
        (Positive(), [3.0, math.nan], "x has 1 value.* not finite .*expected finite numbers"),
    ):  # fmt: skip
        with pytest.raises(DataError, match=message):
            check_values(torch.tensor(bad, dtype=torch.float64), space, "x")
    with pytest.raises(DataError) as error:  # AR takes NaN; models of shares do not
        check_values(torch.tensor([math.nan]), UnitInterval(), "x")
    assert "takes_missing" not in str(error.value)


@pytest.mark.parametrize("space", ALL, ids=repr)
def test_elements_lie_in_the_support(space):
    value = {"positive": 2.5, "unit interval": 0.5, "real": -2.5, "real vector": -2.5}
    x = torch.full((3, *space.event_shape), value.get(space.kind, 1.0)).double()
    assert space.problem(x) is None
    assert bool(space.support.check(x).all())
    assert isinstance(space, Real) == (space.measure == "density")


@pytest.mark.parametrize("name", ["Shares", "Durations"])
def test_processes_on_intervals_do_what_others_do(name, tmp_path):
    process = HEALTHY[name][0]()
    process.save(tmp_path / "m.arproc")
    again = arproc.load(tmp_path / "m.arproc")
    assert again.space == process.space
    x = process.sample(3, length=40, seed=1)
    check_values(torch.from_numpy(x), process.space, "draws")
    forecast = process.forecast(x[0], 4, quantiles=(0.01, 0.5), seed=2)
    check_values(torch.tensor(forecast.to_numpy()), process.space, "forecast")
    half = np.full(2, np.nan)
    half[1] = 0.5
    known = process.forecast(x[0], 2, known=half, seed=2)
    assert known["mean"].iloc[1] == 0.5
    with pytest.raises(DataError, match="known: expected numbers above 0"):
        process.forecast(x[0], 2, known=np.array([np.nan, -0.5]))
    found = arproc.evaluate(process, x)
    assert found.measure == "density"
    assert found.log_prob_nats == pytest.approx(process.log_prob(x).sum())
    compared = arproc.compare({"own": process, "normal": arproc.AR(1).fit(x)}, x)
    assert "own" in str(compared)  # densities of the same numbers
    uniform = arproc.evaluation.pit(process, x[0])
    assert ((uniform > 0) & (uniform < 1)).all()
    assert (arproc.evaluation.crps(process, x[0]) > 0).all()
    with pytest.raises(ParameterError, match="Transformed is for processes of real scalars"):
        arproc.Transformed(process, arproc.transforms.Log()).fit(x)
    with pytest.raises(DataError, match="data does not fit the model's space"):
        process.log_prob(-x)


def test_a_check_records_no_gradient():
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    check_values(x, Real(), "x")
    assert x.grad_fn is None


def test_values_of_a_table_are_checked_in_their_own_columns():
    """A part of a row, or a row in another order, is told by the places of its values."""
    space = table_of(
        pd.DataFrame({"height": [1.5, 2.5, 0.5] * 9, "smokes": [True, False, True] * 9})
    )
    values = torch.tensor([1.0, 1.75, 0.0], dtype=torch.float64)
    assert check_values(values, space, "x", place=torch.tensor([1, 0, 1])) is False
    assert check_values(values[:2].flip(0), space, "x") is False  # whole rows
    with pytest.raises(DataError, match="x does not fit the model's table: column 'smokes'"):
        check_values(values, space, "x", place=torch.tensor([0, 1, 0]))
    with pytest.raises(DataError, match="column 'smokes'"):
        check_values(values[:2], space, "x")
