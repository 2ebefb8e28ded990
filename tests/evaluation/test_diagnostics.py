"""Tests of residuals, against statsmodels' own and at their level."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.diagnostic import acorr_ljungbox
from statsmodels.stats.stattools import jarque_bera

import arproc
from arproc import AR, NGram
from arproc.errors import DataError, ParameterError, UnsupportedError
from arproc.transforms import Standardize


def series(n: int = 300, seed: int = 0) -> np.ndarray:
    return AR.from_parameters([0.6, -0.3], mean=2.0).sample(1, n, seed=seed)[0]


def test_the_statistics_are_those_of_the_standardised_residuals():
    x = series()
    model = AR(2).fit(x)
    z = model.residuals(x, standardised=True)
    table = arproc.diagnose(model, x)
    box = acorr_ljungbox(z, lags=[12], model_df=2)
    assert table.loc["Ljung-Box"].tolist() == [
        box["lb_stat"].iloc[0], 10, box["lb_pvalue"].iloc[0],
    ]  # fmt: skip
    assert table.loc["Jarque-Bera", "p_value"] == jarque_bera(z)[1]
    # the Lagrange multiplier test by hand: n R^2 of squares on their lags
    squares = z**2
    rows = np.column_stack([np.ones(290), *[squares[10 - k : 300 - k] for k in range(1, 11)]])
    left = squares[10:] - rows @ np.linalg.lstsq(rows, squares[10:], rcond=None)[0]
    r2 = 1 - left @ left / ((squares[10:] - squares[10:].mean()) ** 2).sum()
    assert table.loc["ARCH-LM", "statistic"] == pytest.approx((290 - 2) * r2, rel=1e-9)
    assert table.loc["ARCH-LM", "df"] == 10
    assert arproc.diagnose(model, x, lags=6).loc["Ljung-Box", "df"] == 4
    assert arproc.diagnose(model, x, lags=6, dof=0).loc["Ljung-Box", "df"] == 6


def test_a_right_model_passes_at_the_level_and_a_wrong_one_does_not():
    right = np.array(
        [arproc.diagnose(AR(2).fit(x), x)["p_value"] for x in (series(seed=s) for s in range(60))]
    )
    assert (right > 0).all()
    assert (right[:, 0] < 0.05).mean() < 0.2  # 60 draws of a share of 0.05
    x = series()
    assert arproc.diagnose(AR(0).fit(x), x).loc["Ljung-Box", "p_value"] < 1e-6
    heavy = np.random.default_rng(0).standard_t(3, 300)
    assert arproc.diagnose(AR(1).fit(heavy), heavy).loc["Jarque-Bera", "p_value"] < 1e-6
    noise = np.random.default_rng(1).normal(size=400)
    for t in range(1, 400):
        noise[t] *= np.sqrt(0.3 + 0.7 * noise[t - 1] ** 2)
    assert arproc.diagnose(AR(1).fit(noise), noise).loc["ARCH-LM", "p_value"] < 1e-3


def test_residuals_come_from_pit_values_where_a_model_has_none():
    x = series()
    model = AR(2).fit(x)
    plain = arproc.diagnose(model, x)
    mixed = arproc.Mixture([model, model]).fit(x)
    pd.testing.assert_frame_equal(arproc.diagnose(mixed, x, dof=2), plain, rtol=1e-6)
    wrapped = arproc.Transformed(AR(2), Standardize()).fit(x)
    pd.testing.assert_frame_equal(arproc.diagnose(wrapped, x, dof=2), plain, rtol=1e-5)


def test_missing_elements_are_left_out():
    x = series()
    x[[3, 50, 51, 200]] = np.nan
    model = AR(2).fit(x)
    z = model.residuals(x, standardised=True)
    box = acorr_ljungbox(z[~np.isnan(z)], lags=[12], model_df=2)
    assert arproc.diagnose(model, x).iloc[0, 0] == box["lb_stat"].iloc[0]


def test_several_series_have_a_table_each():
    frame = pd.DataFrame({"a": series(seed=1), "b": series(seed=2)})
    model = AR(2).fit(frame)
    table = arproc.diagnose(model, frame)
    pd.testing.assert_frame_equal(
        table.loc["b"], arproc.diagnose(model, frame["b"]), check_names=False
    )


def test_what_can_not_be_tested_is_refused():
    model = AR(2).fit(series())
    with pytest.raises(DataError, match="residual"):
        arproc.diagnose(model, series(6))
    with pytest.raises(ParameterError, match="lags"):
        arproc.diagnose(model, series(), lags=2)
    with pytest.raises(UnsupportedError, match="real scalars"):
        arproc.diagnose(NGram(2, smoothing="additive", tokens="char").fit("abcabc"), "abc")
    with pytest.raises(DataError, match="expected one series"):
        arproc.plot.diagnostics(model, np.stack([series(), series(seed=1)]))


@pytest.mark.parametrize("lags", [3, 5])
def test_the_fewest_residuals_are_twice_the_lags_and_two(lags):
    model, n = AR(1).fit(series()), 2 * lags + 2
    with pytest.raises(DataError, match=f"tests with {lags} lags need at least {n}, not all"):
        arproc.diagnose(model, series(n - 1), lags=lags)
    assert np.isfinite(arproc.diagnose(model, series(n), lags=lags)["statistic"]).all()
