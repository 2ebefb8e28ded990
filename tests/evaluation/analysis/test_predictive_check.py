"""Predictive checks: replicates of the data's shape, and p-values that are as stated."""

import numpy as np
import pandas as pd
import pytest
from evaluation.toys import Chain, CorrelatedPairs, GaussianAR, PoissonAR, Steps

import arproc
from arproc.errors import DataError, ParameterError, UnsupportedError
from arproc.evaluation import predictive_check
from arproc.evaluation.analysis.replicates import as_drawn, replicates
from arproc.evaluation.analysis.statistics import STATISTICS


def sets_of(model, data, count=3, context=None):
    sequences = model.sequences(data, missing=model.law_.takes_missing)
    prepared = model.read_context(context, sequences, int(sequences.lengths.max()))
    return as_drawn(model, sequences), list(replicates(model, sequences, prepared, count, 0))


def test_replicates_have_the_shape_of_the_data():
    own, drawn = sets_of(GaussianAR(), [1.0, 2.0, 3.0])
    assert own.tolist() == [1.0, 2.0, 3.0]
    assert [x.shape for x in drawn] == [(3,)] * 3
    assert len({x.tobytes() for x in drawn}) == 3
    _, ragged = sets_of(GaussianAR(), [[1.0, 2.0], [3.0]])
    assert [[len(row) for row in x] for x in ragged] == [[2, 1]] * 3
    _, even = sets_of(CorrelatedPairs(), np.zeros((4, 5, 2)))
    assert even[0].shape == (4, 5, 2)
    text = arproc.PPM(order=2, tokens="char").fit(["ab", "aab", "ab"])
    own, texts = sets_of(text, ["ab", "b"])
    assert own == ["ab", "b"]
    assert all(len(x) == 2 and all(isinstance(t, str) for t in x) for x in texts)


def test_given_values_gaps_and_contexts_are_the_datas_own():
    _, drawn = sets_of(GaussianAR(0.5, given=2), [7.0, 8.0, 9.0, 1.0])
    assert all(x[:2].tolist() == [7.0, 8.0] for x in drawn)
    gappy = np.array([1.0, np.nan, 2.0, 3.0])
    _, drawn = sets_of(arproc.AR.from_parameters([0.5]), gappy)
    assert all(np.isnan(x).tolist() == np.isnan(gappy).tolist() for x in drawn)
    means = np.array([[0.0, 100.0, 0.0], [100.0, 0.0, 0.0]])
    _, drawn = sets_of(Steps(), np.zeros((2, 3)), context=means[..., None])
    assert all(np.abs(x - means).max() < 10 for x in drawn)


def test_tables_and_laws_without_conditionals():
    frame = pd.DataFrame({"a": [1.5, 2.5, 0.5, 4.25, 3.5, 0.5], "b": list("xyxyxy")})
    training = arproc.Training(steps=5, batch_size=6)
    model = arproc.MADE(hidden=(8,), training=training).fit(frame)
    found = predictive_check(model, frame, {"x": lambda f: (f["b"] == "x").mean()}, n_draws=20)
    assert found.table.loc["x", "observed"] == 0.5
    assert found.draws["x"].between(0, 1).all()
    with pytest.raises(UnsupportedError, match="no usual statistics; give statistics="):
        predictive_check(model, frame)
    x = np.random.default_rng(0).normal(size=(30, 2))
    flow = arproc.MAF((8,), 1, training=training).fit(x)
    assert len(predictive_check(flow, x, "mean", n_draws=20).draws) == 20


@pytest.mark.slow
def test_p_values_are_uniform_under_the_model():
    """40 data sets: 4 below 0.1 on average, deviation 1.9; and the interval holds 36."""
    x = GaussianAR(0.5).sample(40, 12, seed=1)
    low, inside = 0, 0
    for row in x:
        table = predictive_check(GaussianAR(0.5), row, "max", n_draws=59).table
        low += table["p_value"].iloc[0] <= 0.1
        inside += table["low"].iloc[0] <= table["observed"].iloc[0] <= table["high"].iloc[0]
    assert 0 < low <= 11
    assert 29 <= inside < 40


def test_a_model_that_lacks_something_is_found():
    x = np.random.default_rng(2).standard_t(3, size=400)
    table = predictive_check(arproc.AR(1).fit(x), x).table
    assert table.loc["kurtosis", "p_holm"] < 0.05
    assert table.loc["mean", "p_value"] > 0.2
    assert (table["p_holm"] >= table["p_value"]).all()
    clumped = np.repeat(np.random.default_rng(3).integers(0, 2, 60), 5)
    found = predictive_check(Chain([[0.5, 0.5]] * 2), clumped)
    assert found.table.loc["repeats", "p_holm"] < 0.05


def test_statistics_by_hand():
    x = np.array([1.0, 3.0, 0.0, np.nan, 4.0])
    known = x[~np.isnan(x)]
    away = known - known.mean()
    power = (away**2).mean()
    want = {
        "mean": 2.0, "std": known.std(), "min": 0.0, "max": 4.0, "zeros": 0.25,
        "skewness": (away**3).mean() / power**1.5, "kurtosis": (away**4).mean() / power**2,
        "steps": 2.5, "acf1": ((-1 * 1) + (1 * -2)) / 2 / power, "length": 5.0,
    }  # fmt: skip
    for name, value in want.items():
        assert STATISTICS[name](x) == pytest.approx(value), name
    squares = away**2 - power
    assert STATISTICS["acf1_squared"](x) == pytest.approx(
        (squares[0] * squares[1] + squares[1] * squares[2]) / 2 / (squares**2).mean()
    )
    assert STATISTICS["distinct"](["abb", "c"]) == 3
    assert STATISTICS["repeats"](["abb", "c"]) == 0.5
    assert STATISTICS["length"](["abb", "c"]) == 2
    assert STATISTICS["repeats"](np.array([[1, 1, 2], [2, 2, 2]])) == 0.75
    assert STATISTICS["distinct"](np.zeros((2, 3, 2))) == 1


def test_names_functions_and_dicts():
    x = [1, 0, 3, 2]
    model = PoissonAR()

    def most(data):
        return data.max()

    assert predictive_check(model, x, most, n_draws=20).table.index.tolist() == ["most"]
    mixed = predictive_check(model, x, ["mean", most], n_draws=20)
    assert list(mixed.draws) == ["mean", "most"]
    named = predictive_check(model, x, {"m": most, "n": "zeros"}, n_draws=20)
    assert named.table["observed"].tolist() == [3.0, 0.25]
    assert predictive_check(model, x, "mean", n_draws=20, seed=1).draws.equals(
        predictive_check(model, x, "mean", n_draws=20, seed=1).draws
    )


def test_what_is_wrong_is_told():
    model, x = GaussianAR(), [0.0, 1.0]
    with pytest.raises(ParameterError, match=r"names among mean, std.*got 'median'"):
        predictive_check(model, x, "median")
    with pytest.raises(ParameterError, match="statistics must be a function, a name"):
        predictive_check(model, x, 3)
    with pytest.raises(DataError, match="'<lambda>' gave ndarray; expected one number"):
        predictive_check(model, x, lambda data: data)
    with pytest.raises(UnsupportedError, match="this statistic is of numbers"):
        predictive_check(arproc.PPM(1, tokens="char").fit(["ab"]), ["ab"], "mean")


def test_no_statistic_takes_the_name_of_another():
    x = np.arange(9.0)
    with pytest.raises(ParameterError, match=r"statistics has two of one name.*dict"):
        predictive_check(GaussianAR(), x, [lambda y: y.min(), lambda y: y.max()])
    with pytest.raises(ParameterError, match="statistics has two of one name"):
        predictive_check(GaussianAR(), x, {1: "mean", "1": "max"})
