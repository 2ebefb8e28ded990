from __future__ import annotations

import math

import numpy as np
import pytest

from arproc.criteria import information_criterion
from arproc.errors import DataError, ParameterError
from arproc.linear.ar import AR
from arproc.linear.mean import Terms
from arproc.linear.moments import moments, restrict, scale
from arproc.linear.selection import select_order


@pytest.fixture(scope="module")
def sunspots():
    import statsmodels.api as sm

    return sm.datasets.sunspots.load_pandas().data["SUNACTIVITY"].to_numpy(copy=True)


@pytest.mark.parametrize("criterion", ["aic", "bic", "hqic"])
@pytest.mark.parametrize("trend", ["n", "c", "ct"])
def test_least_squares_selection_is_statsmodels(sunspots, criterion, trend):
    from statsmodels.tsa.ar_model import AutoReg, ar_select_order

    found = select_order(sunspots, 13, criterion, trend, method="ols", initial="given")
    theirs = ar_select_order(sunspots, 13, ic=criterion, trend=trend)
    assert found.order == len(theirs.ar_lags or [])
    table = found.table
    for order in (0, 1, 9, 13):
        same = AutoReg(sunspots, order, trend=trend, hold_back=13).fit()
        assert table["log_likelihood"][order] == pytest.approx(same.llf, rel=1e-10)
        assert table[criterion][order] == pytest.approx(getattr(same, criterion), rel=1e-10)


def test_exact_selection_is_the_fits_themselves(sunspots):
    found = select_order(sunspots, 4)
    for order in range(5):
        model = AR(order).fit(sunspots)
        assert found.log_likelihoods[order] == pytest.approx(model.log_likelihood_, rel=1e-10)
        for name in ("aic", "aicc", "bic", "hqic"):
            want = model.information_criterion(name)
            assert found.table[name][order] == pytest.approx(want, rel=1e-10)
    assert found.n_observations == 309


def test_aic_on_the_sunspots(sunspots):
    found = select_order(sunspots, 12)
    assert found.order == 9
    assert found.model.order == 9
    assert found.model.log_likelihood_ == pytest.approx(found.log_likelihoods[9])
    assert "OrderSelection(order=9, criterion='aic'" in repr(found)


def test_yule_walker_picks_the_textbook_order_for_the_lynx(shared_data):
    import pandas as pd

    x = np.log(pd.read_csv(shared_data / "rdatasets" / "lynx.csv")["value"].to_numpy(dtype=float))
    assert select_order(x, 20, method="yule-walker").order == 11


def test_pooled_sequences():
    model = AR.from_parameters([0.6, -0.5], mean=3.0)
    data = [model.sample(length=n, seed=n)[0] for n in (5, 200, 300)]
    for method in ("mle", "ols", "yule-walker", "yule-walker-adjusted", "burg"):
        found = select_order(data, 6, "bic", method=method)
        assert found.order == 2
        assert found.n_observations == (505 if method != "ols" else 488)


def test_criteria():
    assert information_criterion("aic", -10.0, 3, 20) == 26.0
    assert information_criterion("bic", -10.0, 3, 20) == pytest.approx(20 + 3 * math.log(20))
    assert information_criterion("aicc", -10.0, 3, 20) == pytest.approx(26 + 24 / 16)
    assert information_criterion("hqic", -10, 3, 20) == pytest.approx(
        20 + 6 * math.log(math.log(20))
    )
    with pytest.raises(DataError, match="aicc"):
        information_criterion("aicc", -10.0, 3, 4)


def test_wrong_arguments_are_named(sunspots):
    with pytest.raises(ParameterError, match="criterion"):
        select_order(sunspots, 3, "fpe")
    with pytest.raises(ParameterError, match="max_order"):
        select_order(sunspots, -1)
    with pytest.raises(ParameterError, match="method"):
        select_order(sunspots, 3, method="newton")
    with pytest.raises(DataError, match="too short"):
        select_order(sunspots[:5], 8)


def test_statistics_of_a_lower_order_are_part_of_a_higher_ones():
    rng = np.random.default_rng(0)
    lengths = np.array([30, 4, 2, 6, 1, 12])
    data = scale(rng.normal(size=lengths.sum()), lengths, Terms("ct"))
    whole = moments(data, 8)
    for order in range(9):
        part, want = restrict(whole, order), moments(data, order)
        assert part.levels.keys() == want.levels.keys()
        np.testing.assert_array_equal(part.weights, want.weights)
        for level, quadratic in want.levels.items():
            np.testing.assert_allclose(part.levels[level], quadratic, atol=1e-12)
