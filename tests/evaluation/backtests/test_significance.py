"""Diebold-Mariano, Holm, and comparisons of backtests, against their formulas and each other."""

import functools

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.regression.linear_model import OLS
from statsmodels.stats.multitest import multipletests

from arproc import AR, backtest
from arproc.errors import DataError, ParameterError
from arproc.evaluation import compare_backtests, diebold_mariano, holm
from arproc.evaluation.backtests.significance import overlap


def _moving(n: int, order: int, seed: int, mean: float = 0.0) -> np.ndarray:
    e = np.random.default_rng(seed).normal(size=n + order)
    return np.convolve(e, np.ones(order + 1), "valid") + mean


def _by_formula(d: np.ndarray, h: int) -> tuple[float, float]:
    """The statistic and its p-value, written out."""
    n, mean = len(d), d.mean()
    variance = 0.0
    for k in range(-(h - 1), h):
        for t in range(abs(k), n):
            variance += (d[t] - mean) * (d[t - abs(k)] - mean) / n
    plain = mean / np.sqrt(variance / n)
    corrected = plain * np.sqrt((n + 1 - 2 * h + h * (h - 1) / n) / n)
    return corrected, 2 * stats.t.sf(abs(corrected), n - 1)


@pytest.mark.parametrize("h", [1, 2, 5])
def test_it_is_the_formula_of_harvey_leybourne_and_newbold(h: int):
    d = _moving(50, h - 1, seed=h, mean=0.3)
    found = diebold_mariano(d, h)
    np.testing.assert_allclose((found.statistic, found.p_value), _by_formula(d, h))
    assert (found.kernel, found.n, found.overlap) == ("rectangular", 50, h)
    assert found.difference / found.se == pytest.approx(found.statistic)


def test_one_step_ahead_it_is_the_t_test():
    d = np.random.default_rng(0).normal(0.2, 1.0, size=30)
    wanted = stats.ttest_1samp(d, 0.0)
    found = diebold_mariano(d)
    assert found.statistic == pytest.approx(wanted.statistic)
    assert found.p_value == pytest.approx(wanted.pvalue)


def test_where_the_variance_is_negative_bartletts_weights_are_told_of():
    d = np.tile([1.0, -1.0], 10) + 0.01 * np.arange(20)
    found = diebold_mariano(d, 2)
    assert found.kernel == "bartlett"
    robust = OLS(d, np.ones(20)).fit(
        cov_type="HAC", cov_kwds={"maxlags": 1, "use_correction": False}
    )
    wanted = robust.tvalues[0] * np.sqrt((20 + 1 - 4 + 2 / 20) / 20)
    assert found.statistic == pytest.approx(wanted)


def test_equal_and_always_unequal_losses_need_no_variance():
    same = diebold_mariano(np.zeros(10))
    assert (same.statistic, same.p_value) == (0.0, 1.0)
    worse = diebold_mariano(np.full(10, 0.1), 3)
    assert (worse.statistic, worse.p_value, worse.se) == (np.inf, 0.0, 0.0)


def test_its_level_holds_for_overlapping_forecasts_and_is_lost_without():
    draws = [_moving(80, 3, seed) for seed in range(600)]
    rate = np.mean([diebold_mariano(d, 4).p_value < 0.05 for d in draws])
    naive = np.mean([diebold_mariano(d, 1).p_value < 0.05 for d in draws])
    assert 0.03 < rate < 0.09
    assert naive > 0.25


@pytest.mark.parametrize(
    ("differences", "h"),
    [([1.0], 1), (np.ones((3, 3)), 1), (np.arange(4.0), 4), ([1.0, np.inf], 1)],
)
def test_what_can_not_be_tested_is_refused(differences: object, h: int):
    with pytest.raises(DataError, match="differences has"):
        diebold_mariano(differences, h)


def test_holm_is_that_of_statsmodels():
    p = np.random.default_rng(0).uniform(0, 0.2, size=12)
    np.testing.assert_allclose(holm(p), multipletests(p, method="holm")[1])
    assert holm([]).tolist() == []
    assert np.isnan(holm([np.nan, 0.5])).tolist() == [True, False]
    for wrong in ([1.2], [[0.1]], ["a"]):
        with pytest.raises(ParameterError, match="p_values"):
            holm(wrong)


# ---- comparisons of backtests -------------------------------------------------------------------


@functools.cache
def _tables() -> dict[str, pd.DataFrame]:
    x = AR.from_parameters([0.9]).sample(2, length=160, seed=0)
    given = {"horizon": 3, "start": 60, "refit": "once"}
    return {f"AR({p})": backtest(AR(p), x, **given) for p in (0, 1)}


def test_the_origins_are_what_is_tested_over():
    tables = _tables()
    found = compare_backtests(tables)
    loss = {
        name: ((t["actual"] - t["mean"]) ** 2).groupby(t["origin"]).mean()
        for name, t in tables.items()
    }
    wanted = diebold_mariano(loss["AR(1)"] - loss["AR(0)"], 3)
    row = found.loc["AR(1)"]
    assert row["statistic"] == pytest.approx(wanted.statistic)
    assert row["p_holm"] == row["p_value"] == pytest.approx(wanted.p_value)
    assert found.index.tolist() == ["AR(1)", "AR(0)"]
    assert found["verdict"].tolist() == ["better", "reference"]
    assert found["squared_loss"]["AR(0)"] == pytest.approx(loss["AR(0)"].mean())
    assert found.attrs["n_origins"] == 98


def test_one_step_and_other_losses():
    tables = _tables()
    for loss in ("absolute", "crps", "log"):
        found = compare_backtests(tables, loss=loss, step=1, reference="AR(1)")
        assert found["verdict"].tolist() == ["reference", "worse"]
        assert found.attrs["overlap"] == 1
    one = tables["AR(1)"]
    wanted = -one["log_score"][one["step"] == 1].mean()
    assert found["log_loss"]["AR(1)"] == pytest.approx(wanted)


def test_the_overlap_is_in_origins():
    tables = {name: table.copy() for name, table in _tables().items()}
    assert overlap(tables, None) == 3
    assert overlap(tables, 2) == 2
    for step, wanted in ((2, 2), (3, 1), (4, 1)):
        for table in tables.values():
            table.attrs["step"] = step
        assert overlap(tables, None) == wanted
    tables["AR(0)"].attrs["step"] = 2
    with pytest.raises(DataError, match="unlike steps between origins"):
        overlap(tables, None)


def test_only_the_same_forecasts_are_compared():
    tables = _tables()
    one = tables["AR(1)"]
    with pytest.raises(DataError, match="not of the same series, origins and steps"):
        compare_backtests(tables | {"AR(1)": one[one["step"] < 3]})
    with pytest.raises(DataError, match="are of other values"):
        compare_backtests(tables | {"AR(1)": one.assign(actual=one["actual"] + 1)})
    with pytest.raises(DataError, match="has two rows for"):
        compare_backtests(tables | {"AR(1)": pd.concat([one, one])})
    with pytest.raises(DataError, match="have no squared loss"):
        compare_backtests(tables | {"AR(1)": one.assign(mean=np.nan)})
    for wrong, message in (
        ({"reference": "AR(2)"}, "reference must be one of"),
        ({"loss": "cubic"}, "loss must be one of"),
        ({"step": 9}, "step must be one of"),
        ({"level": 1.0}, "level must be a number above 0"),
    ):
        with pytest.raises(ParameterError, match=message):
            compare_backtests(tables, **wrong)
    with pytest.raises(ParameterError, match="at least two backtests"):
        compare_backtests({"AR(1)": one})


def test_missing_outcomes_are_left_out_of_all():
    x = np.random.default_rng(0).normal(size=60)
    x[45] = np.nan
    tables = {f"AR({p})": backtest(AR(p), x, start=40, refit="once") for p in (0, 1)}
    assert compare_backtests(tables).attrs["n_origins"] == 19
