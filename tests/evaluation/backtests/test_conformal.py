"""Conformal intervals by hand, their coverage, and the warning where it can not be trusted."""

import warnings

import numpy as np
import pandas as pd
import pytest

from arproc import AR, backtest
from arproc.errors import DataError, ParameterError
from arproc.evaluation import conformal_intervals
from arproc.evaluation.backtests.conformal import exchangeability


def _table(x: np.ndarray, sigma2: float = 0.25, horizon: int = 1, start: int = 20) -> pd.DataFrame:
    law = AR.from_parameters([0.0], sigma2=sigma2)
    return backtest(law, x, start=start, refit="never", horizon=horizon)


def _synthetic(x: np.ndarray, sigma: float) -> pd.DataFrame:
    """The same of N(0, sigma^2), without the backtest."""
    origin, reach = np.arange(len(x)), 1.645 * sigma
    columns = {"series": 0, "origin": origin, "step": 1, "time": origin + 1, "actual": x}
    return pd.DataFrame(columns | {0.05: -reach, 0.95: reach})


def _noise(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=n)


@pytest.mark.parametrize("horizon", [1, 3])
def test_they_are_the_ranks_of_what_was_known(horizon: int):
    table = _table(np.stack([_noise(50, 2), _noise(50, 3)]), horizon=horizon)
    found = conformal_intervals(table, 0.8)
    score = np.maximum(table[0.05] - table["actual"], table["actual"] - table[0.95])
    for row in (5, 40, len(table) - 1):
        one = table.iloc[row]
        past = score[
            (table["series"] == one["series"])
            & (table["step"] == one["step"])
            & (table["time"] <= one["origin"])
        ].sort_values()
        rank = int(np.ceil((len(past) + 1) * 0.8))
        assert found["n_scores"][row] == len(past)
        if not len(past):
            assert np.isnan(found["high"][row])
            continue
        reach = np.inf if rank > len(past) else past.iloc[rank - 1]
        assert found["high"][row] == pytest.approx(one[0.95] + reach)
        assert found["low"][row] == pytest.approx(one[0.05] - reach)


def test_the_future_moves_no_interval():
    x = _noise(60)
    changed = x.copy()
    changed[45:] += 50.0
    found, other = (conformal_intervals(_table(z, horizon=2), gamma=0.01) for z in (x, changed))
    known = found["origin"] <= 44
    np.testing.assert_array_equal(found["high"][known], other["high"][known])
    assert not np.array_equal(found["high"], other["high"])


@pytest.mark.parametrize("sigma2", [0.1, 1.0, 9.0])
def test_they_cover_what_they_say_whatever_the_model(sigma2: float):
    found = conformal_intervals(_synthetic(_noise(1500), sigma2**0.5), 0.9, least=20)
    assert found.attrs["coverage"] == pytest.approx(0.9, abs=0.025)
    assert found["inside"].mean() == found.attrs["coverage"]


def test_drift_is_warned_of_and_adapted_to():
    x = _noise(600) * np.linspace(0.5, 4.0, 600)
    table = _synthetic(x, 1.0)
    with pytest.warns(UserWarning, match="not exchangeable over time"):
        split = conformal_intervals(table, 0.9, least=20)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        adaptive = conformal_intervals(table, 0.9, gamma=0.03, least=20)
    assert split.attrs["coverage"] < 0.86
    assert adaptive.attrs["coverage"] == pytest.approx(0.9, abs=0.02)
    assert adaptive.attrs["exchangeability_p_value"] < 0.01


def test_the_test_of_exchangeability_holds_its_level_and_sees_dependence():
    origin = np.arange(60)
    frame = {"origin": origin, "step": 1}
    p_values = [
        exchangeability(pd.DataFrame(frame | {"score": _noise(60, seed)}), 99)
        for seed in range(150)
    ]
    assert np.mean(np.array(p_values) < 0.1) < 0.16
    slow = np.convolve(_noise(67), np.ones(8), "valid")
    assert exchangeability(pd.DataFrame(frame | {"score": slow})) < 0.01
    assert exchangeability(pd.DataFrame(frame | {"score": slow})[:7]) == 1.0


def test_missing_outcomes_and_bad_arguments():
    x = _noise(60)
    x[40] = np.nan
    found = conformal_intervals(_table(x, start=30))
    assert found["inside"].isna().sum() == 2  # the first, which nothing came before, and that one
    table = _table(_noise(60))
    for wrong in ({"level": 1.0}, {"gamma": -1.0}, {"least": 0}):
        with pytest.raises(ParameterError, match=next(iter(wrong))):
            conformal_intervals(table, **wrong)
    with pytest.raises(DataError, match="table has the quantiles"):
        conformal_intervals(table.drop(columns=[0.05, 0.5]))


def test_scores_that_are_all_equal_may_come_in_any_order():
    table = pd.DataFrame({"origin": range(20), "step": 1, "score": 2.5})
    assert exchangeability(table) == 1
