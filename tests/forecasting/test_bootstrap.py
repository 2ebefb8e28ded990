"""Forecasts that carry the uncertainty of the parameters, against exact predictive laws."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from forecasting.test_forecasting import Blind
from scipy import stats
from toys import Counter, Walk

import arproc
from arproc import AR
from arproc.errors import ParameterError, UnsupportedError
from arproc.transforms import Log, Standardize, Transformed

LEVELS = (0.025, 0.1, 0.5, 0.9, 0.975)


def calibrated(model, history, horizon=1, n_bootstrap=300, **more):
    return model.forecast(
        history, horizon, LEVELS, seed=0, parameter_uncertainty="bootstrap",
        n_bootstrap=n_bootstrap, **more
    )  # fmt: skip


def series(n, coef=(0.6,), seed=0, **parameters):
    return AR.from_parameters(coef, **parameters).sample(1, length=n, seed=seed)[0]


def test_independent_values_are_predicted_by_students_t():
    """The exact predictive law: pivotal, and the Bayesian one under the flat prior."""
    x = series(12, [0.0], mean=3.0, sigma2=2.0, seed=1)
    table = calibrated(AR(0).fit(x), x, n_bootstrap=1500).loc[:, list(LEVELS)]
    scale = np.sqrt(x.var(ddof=1) * (1 + 1 / 12))
    want = x.mean() + scale * stats.t(11).ppf(LEVELS)
    np.testing.assert_allclose(table.to_numpy()[0], want, atol=0.03 * scale)


def test_an_ar1_is_predicted_about_as_under_the_flat_prior():
    x = series(30, seed=3)
    model = AR(1, method="ols", initial="given").fit(x)
    design = np.column_stack([np.ones(29), x[:-1]])
    rest = x[1:] - design @ np.linalg.lstsq(design, x[1:], rcond=None)[0]
    last = np.array([1.0, x[-1]])
    spread = 1 + last @ np.linalg.solve(design.T @ design, last)
    scale = np.sqrt(rest @ rest / 27 * spread)
    want = scale * (stats.t(27).ppf(0.975) - stats.t(27).ppf(0.025))
    table = calibrated(model, x, n_bootstrap=600)
    assert float((table[0.975] - table[0.025]).iloc[0]) == pytest.approx(want, rel=0.04)


def test_the_error_of_the_coefficient_spreads_with_the_horizon():
    """Yamamoto 1976: the mean's variance from the estimate, h² φ^(2h-2) x_T² (1 - φ²) / n."""
    phi, n, last = 0.7, 400, 30.0
    x = np.append(series(n, [phi], seed=2), last)
    model = AR(1, trend="n", method="ols", initial="given").fit(x[:-1])
    phi, sigma2 = float(model.coef_[0]), model.sigma2_
    table = calibrated(model, x, 5, n_bootstrap=800)
    for h in range(1, 6):
        own = sigma2 * (1 - phi ** (2 * h)) / (1 - phi**2)
        error = (h * phi ** (h - 1) * last) ** 2 * (1 - phi**2) / n
        width = table[0.975].iloc[h - 1] - table[0.025].iloc[h - 1]
        want = 2 * 1.96 * np.sqrt(own + error)
        assert width == pytest.approx(want, rel=0.05)
        assert want > 1.2 * 2 * 1.96 * np.sqrt(own)


def test_simulated_forecasts_are_calibrated_alike():
    x = series(30, seed=5)
    exact = calibrated(AR(1).fit(x), x, 3, n_bootstrap=40)
    drawn = calibrated(Blind(1).fit(x), x, 3, n_bootstrap=40, n_paths=8_000)
    width = (exact[0.975] - exact[0.025]).to_numpy()[:, None]
    assert np.abs((drawn - exact).to_numpy() / width).max() < 0.03
    pd.testing.assert_series_equal(exact["mean"], AR(1).fit(x).forecast(x, 3)["mean"])


def test_a_model_that_learns_nothing_is_as_certain_as_it_is():
    walk, x = Walk().fit([0.0]), [0.3, -0.2, 1.0]
    got = calibrated(walk, x, 2, n_bootstrap=3, n_paths=500)
    want = walk.forecast(x, 2, LEVELS, seed=0, n_paths=500)
    np.testing.assert_allclose(got, want, atol=2e-3)
    counts = Counter().fit([1])
    np.testing.assert_array_equal(
        calibrated(counts, [3, 1], 2, n_bootstrap=3), counts.forecast([3, 1], 2, LEVELS, seed=0)
    )


def test_transforms_panels_scenarios_and_paths_go_together():
    x = np.exp(series(25, seed=7) / 4)
    model = Transformed(AR(1), Log()).fit(x)
    inner = calibrated(AR(1).fit(np.log(x)), np.log(x), 2, n_bootstrap=20)
    got = calibrated(model, x, 2, n_bootstrap=20)
    np.testing.assert_allclose(np.log(got[list(LEVELS)]), inner[list(LEVELS)], rtol=1e-9)
    table = calibrated(model, x, 2, n_bootstrap=10, known=[np.nan, 1.5])
    assert (table.iloc[1] == 1.5).all()
    panel = AR(1).fit([x[:10], x[10:]])
    both = calibrated(panel, [x[:10], x[10:]], 2, n_bootstrap=10)
    assert both.shape == (4, 6)
    assert (both[0.975] - both[0.025] > 0).all()


def test_simulated_series_have_the_gaps_of_the_history():
    x = series(40, seed=9)
    x[5:25] = np.nan
    gaps = AR(1).fit(x)
    seen = []

    class Watched(AR):
        def _fit(self, sequences, *, validation, context):
            seen.append(sequences.values.isnan())
            return super()._fit(sequences, validation=validation, context=context)

    calibrated(Watched(1).fit(x), x, n_bootstrap=3)
    assert all(torch.equal(mask, seen[0]) for mask in seen)
    assert int(seen[0].sum()) == 20
    wide, full = (calibrated(model, v, 1, n_bootstrap=40)
                  for model, v in ((gaps, x), (AR(1).fit(x[25:]), x[25:])))  # fmt: skip
    assert wide.notna().all(axis=None)
    assert full.notna().all(axis=None)


FAMILIES = {
    "ARIMA": lambda: arproc.ARIMA((1, 1, 0)),
    "SETAR": lambda: arproc.SETAR(1),
    "MarkovSwitchingAR": lambda: arproc.MarkovSwitchingAR(1),
    "VAR": lambda: arproc.VAR(1),
    "CountAR": lambda: arproc.CountAR(1),
}


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_is_refitted(name):
    x = series(60, seed=8)
    x = np.round(np.exp(x / 2) * 8) if name == "CountAR" else x
    data = np.column_stack([x, x[::-1]]) if name == "VAR" else x
    model = FAMILIES[name]().fit(data)
    plain = model.forecast(data, 2, LEVELS, seed=0)
    table = calibrated(model, data, 2, n_bootstrap=12)
    assert table.shape == plain.shape
    assert list(table.columns) == list(plain.columns)
    width = [t.to_numpy().reshape(2, -1, 6) for t in (table, plain)]
    wider = (width[0][..., 5] - width[0][..., 1]) / (width[1][..., 5] - width[1][..., 1])
    assert (wider > 0.95).all()
    assert wider.max() > 1.02
    assert wider.max() < 2


def test_one_series_is_simulated_as_long_as_what_was_fitted():
    x = series(400, seed=1)
    model = AR(1).fit(x)
    short = calibrated(model, x[-5:], 1, n_bootstrap=40)
    whole = calibrated(model, x, 1, n_bootstrap=40)
    np.testing.assert_allclose(short, whole, rtol=1e-6)


def test_the_same_seed_gives_the_same_and_the_model_is_left_alone():
    x = series(30)
    model = AR(1).fit(x)
    before = model.coef_.copy()
    pd.testing.assert_frame_equal(
        calibrated(model, x, 2, n_bootstrap=5), calibrated(model, x, 2, n_bootstrap=5)
    )
    np.testing.assert_array_equal(model.coef_, before)


def test_a_refit_that_fails_is_drawn_anew_and_many_are_an_error():
    x = series(8, [0.95], seed=2)

    class Fussy(AR):
        def _fit(self, sequences, *, validation, context):
            if float(sequences.values[0]) > self.limit:
                raise ParameterError("too large for me")
            return super()._fit(sequences, validation=validation, context=context)

    Fussy.limit = np.inf
    model = Fussy(0).fit(x)
    Fussy.limit = x.mean()
    assert calibrated(model, x, n_bootstrap=20).notna().all(axis=None)
    Fussy.limit = -np.inf
    with pytest.raises(ParameterError, match=r"refits to simulated series failed.*too large"):
        calibrated(model, x, n_bootstrap=3)


def test_what_can_not_be_refitted_is_named():
    x = series(30)
    model = AR(1).fit(x)
    with pytest.raises(ParameterError, match="needs parameters that were estimated"):
        calibrated(AR.from_parameters([0.5]), x)
    with pytest.raises(UnsupportedError, match="made of a law and is not fitted"):
        calibrated(model.condition(x[:5]), x)
    with pytest.raises(ParameterError, match="parameter_uncertainty must be one of"):
        model.forecast(x, 1, parameter_uncertainty="delta")
    with pytest.raises(ParameterError, match="n_bootstrap must be at least 2"):
        calibrated(model, x, n_bootstrap=1)

    for bayesian in (arproc.BayesianAR(1), Transformed(arproc.BayesianAR(1), Standardize())):
        with pytest.raises(ParameterError, match="carry the uncertainty of its parameters alr"):
            calibrated(bayesian.fit(x), x)


@pytest.mark.slow
def test_the_intervals_of_short_series_cover_better():
    """n = 30 from an AR(2) with a mean: 90% intervals, plain and calibrated, to four ahead."""
    n, trials, horizon = 30, 300, 4
    truth = AR.from_parameters([1.1, -0.4], mean=2.0)
    draws = truth.sample(trials, length=n + horizon, seed=11)
    inside = np.zeros((2, horizon))
    for x in draws:
        model = AR(2).fit(x[:n])
        for kind, how in enumerate((None, "bootstrap")):
            table = model.forecast(
                x[:n], horizon, (0.05, 0.95), seed=0, parameter_uncertainty=how, n_bootstrap=40
            )
            inside[kind] += (table[0.05] < x[n:]) & (x[n:] < table[0.95])
    plain, bootstrap = inside / trials
    assert (plain < 0.84).all()
    # what is left comes from the estimate's own bias, which the simulated series inherit
    assert (0.9 - bootstrap < 0.55 * (0.9 - plain)).all()
    assert bootstrap[0] > 0.9 - 2 * np.sqrt(0.09 / trials)


def test_whole_numbers_are_calibrated_as_if_their_mass_were_spread():
    from arproc.forecasting.bootstrap import Calibrated
    from arproc.forecasting.marginals import Closed

    def poisson(rate):
        rates = torch.full((1, 1), rate, dtype=torch.float64)
        return Closed(torch.distributions.Poisson(rates), mass=True)

    levels = np.linspace(0.02, 0.98, 49)
    q = torch.as_tensor(levels)[:, None, None]
    fitted = poisson(4.0)
    same = Calibrated(fitted, [poisson(4.0)] * 2).quantile(q)[:, 0, 0]
    np.testing.assert_array_equal(same, stats.poisson(4.0).ppf(levels))
    rates = stats.gamma(16, scale=0.25).ppf((np.arange(200) + 0.5) / 200)
    wide = Calibrated(fitted, [poisson(rate) for rate in rates]).quantile(q)[:, 0, 0].numpy()
    assert (wide[levels > 0.9] >= stats.poisson(4.0).ppf(levels[levels > 0.9])).all()
    assert (wide[levels < 0.1] <= stats.poisson(4.0).ppf(levels[levels < 0.1])).all()
    # as wide as the Bayesian law of the same uncertainty, a negative binomial, to one count
    bayes = stats.nbinom(16, 16 / (16 + 4)).ppf(levels)
    assert np.abs(wide - bayes).max() <= 1
    assert (wide == bayes).mean() > 0.7
    x = torch.tensor([0.3, 1.0, 2.7, 9.2], dtype=torch.float64)[:, None, None]
    np.testing.assert_allclose(fitted.spread_quantile(fitted.spread_cdf(x)), x, rtol=1e-9)


def test_the_coverage_ladder_is_exact_for_a_scaled_law():
    """If refits are too narrow by a factor, quantiles are widened by just that factor."""
    from arproc.forecasting.bootstrap import Calibrated
    from arproc.forecasting.marginals import Closed

    def normal(scale):
        one = torch.ones(1, 2, dtype=torch.float64)
        return Closed(torch.distributions.Normal(0 * one, scale * one))

    table = Calibrated(normal(1.0), [normal(0.8)])
    q = torch.tensor([0.001, 0.3, 0.95], dtype=torch.float64)[:, None, None]
    want = stats.norm.ppf(q.numpy()[:, 0, 0]) / 0.8
    np.testing.assert_allclose(table.quantile(q)[:, 0, 0], want, rtol=1e-10)
