"""Impulse responses, variance shares and causality tests against statsmodels and by simulation."""

from __future__ import annotations

import numpy as np
import pytest

from arproc import VAR
from arproc.errors import ParameterError
from arproc.models.autoregression.vector import impulse
from arproc.plot import impulse_response

NAMES = ["realgdp", "realcons", "realinv"]


@pytest.fixture(scope="module")
def growth():
    import statsmodels.api as sm

    return np.log(sm.datasets.macrodata.load_pandas().data[NAMES]).diff().dropna()


@pytest.fixture(scope="module")
def model(growth):
    return VAR(2, method="ols", initial="given").fit(growth)


@pytest.fixture(scope="module")
def reference(growth):
    """statsmodels' results, with the maximum likelihood sigma as ours."""
    from statsmodels.tsa.vector_ar.var_model import VAR as Reference
    from statsmodels.tsa.vector_ar.var_model import VARResults

    fit = Reference(growth).fit(2)
    return VARResults(
        fit.endog, fit.endog_lagged, fit.params.to_numpy(), fit.sigma_u_mle.to_numpy(), 2,
        model=fit.model, trend="c", names=NAMES,
    )  # fmt: skip


def cube(table, column):
    """A column as [step, response, impulse]."""
    return table[column].to_numpy().reshape(3, 3, -1).transpose(2, 1, 0)


@pytest.mark.parametrize("cumulative", [False, True])
@pytest.mark.parametrize("orthogonal", [False, True])
def test_responses_and_their_errors_are_statsmodels(model, reference, orthogonal, cumulative):
    table = model.impulse_response(9, orthogonal=orthogonal, cumulative=cumulative, level=0.9)
    irf = reference.irf(9)
    if cumulative:
        want = irf.orth_cum_effects if orthogonal else irf.cum_effects
        error = irf.cum_effect_stderr(orth=orthogonal)
    else:
        want = irf.orth_irfs if orthogonal else irf.irfs
        error = irf.stderr(orth=orthogonal)
    np.testing.assert_allclose(cube(table, "effect"), want, rtol=1e-9, atol=1e-14)
    np.testing.assert_allclose(cube(table, "std_error"), error, rtol=1e-6, atol=1e-10)
    wide = (table["upper"] - table["lower"]) / 2
    np.testing.assert_allclose(wide, 1.6448536269514722 * table["std_error"], rtol=1e-12)
    assert list(table.index.names) == ["impulse", "response", "step"]
    one = table.loc[("realcons", "realgdp", 1), "effect"]
    if not orthogonal and not cumulative:
        assert one == pytest.approx(model.coef_[0, 0, 1])


def test_the_jacobian_is_the_difference_quotient():
    rng = np.random.default_rng(0)
    coef, root = 0.3 * rng.normal(size=(2, 2, 2)), np.array([[1.0, 0.0], [0.4, 0.7]])
    sigma = root @ root.T
    change = impulse.jacobian(coef, sigma, 5, True, True)
    for j, (a, i, b) in enumerate(np.ndindex(2, 2, 2)):
        step = np.zeros_like(coef)
        step[i, a, b] = 1e-6
        up, down = (impulse.effects(coef + s * step, sigma, 5, True, True) for s in (1, -1))
        np.testing.assert_allclose(change[..., j], (up - down) / 2e-6, atol=1e-8)
    for j, (a, b) in enumerate(zip(*np.tril_indices(2), strict=True)):
        step = np.zeros_like(sigma)
        step[a, b] = step[b, a] = 1e-6
        up, down = (impulse.effects(coef, sigma + s * step, 5, True, True) for s in (1, -1))
        np.testing.assert_allclose(change[..., 8 + j], (up - down) / 2e-6, atol=1e-8)


@pytest.mark.parametrize("bands", ["monte-carlo", "bootstrap"])
@pytest.mark.parametrize("orthogonal", [False, True])
def test_simulated_bands_are_the_asymptotic_ones_in_large_samples(bands, orthogonal):
    truth = VAR.from_parameters([[[0.5, 0.2], [-0.1, 0.3]]], sigma=[[1.0, 0.3], [0.3, 2.0]])
    x = truth.sample(length=2000, seed=3)[0] * [1.0, 100.0]
    fitted = VAR(1, method="ols", initial="given").fit(x)
    asymptotic = fitted.impulse_response(3, orthogonal=orthogonal)
    drawn = fitted.impulse_response(3, orthogonal=orthogonal, bands=bands, data=x, seed=1)
    again = fitted.impulse_response(3, orthogonal=orthogonal, bands=bands, data=x, seed=1)
    assert drawn.equals(again)
    error = asymptotic["std_error"].to_numpy()
    size = np.where(error > 0, error, 1.0)
    # 1000 draws: a standard error is known to 2.2%, a quantile at 2.5% to 8% of it
    np.testing.assert_allclose(drawn["std_error"] / size, error / size, atol=0.12)
    for side in ("lower", "upper"):
        np.testing.assert_allclose(drawn[side] / size, asymptotic[side] / size, atol=0.4)


def test_bootstrap_refits_lie_about_the_fit(growth):
    from arproc.models.autoregression.vector import resampling

    model = VAR(2, "ct", method="ols", initial="given").fit(growth)
    parts = [growth.to_numpy()[:120], growth.to_numpy()[120:]]
    lines = [model.intercept_ + np.outer(np.arange(len(x)), model.drift_) for x in parts]
    none = [np.zeros((len(x), 0)) for x in parts]
    coef, sigma = resampling.bootstrap(parts, model.coef_, lines, none, "ct", 400, 5)
    assert coef.shape == (400, 2, 3, 3)
    spread = coef.std(axis=0)
    assert (np.abs(coef.mean(axis=0) - model.coef_) < 0.5 * spread).all()
    assert (np.linalg.eigvalsh(sigma) > 0).all()


@pytest.mark.parametrize("order", [0, 2])
def test_variance_shares_are_statsmodels(growth, reference, order):
    model = VAR(order, method="ols", initial="given").fit(growth)
    table = model.variance_decomposition(8)
    np.testing.assert_allclose(table.sum(axis=1), 1.0, rtol=1e-12)
    assert table.index.names == ["component", "step"]
    if order:
        want = reference.fevd(8).decomp
        np.testing.assert_allclose(table.to_numpy().reshape(3, 8, 3), want, rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize("test", ["f", "wald"])
def test_causality_is_statsmodels(growth, model, test):
    from statsmodels.tsa.api import VAR as Reference

    fit = Reference(growth).fit(2)
    table = model.granger_causality(test=test)
    assert len(table) == 6
    for (caused, causing), row in table.iterrows():
        want = fit.test_causality(caused, causing, kind=test)
        # their Wald statistic too is of the larger covariance
        shrink = fit.df_resid / fit.nobs if test == "wald" else 1.0
        assert row["statistic"] * shrink == pytest.approx(want.test_statistic, rel=1e-8)
        if test == "f":
            assert row["p_value"] == pytest.approx(want.pvalue, rel=1e-7)
            assert (row["df"], row["df_residual"]) == want.df
    both = model.granger_causality(["realgdp"], ["realcons", "realinv"], test="f")
    want = fit.test_causality(["realgdp"], ["realcons", "realinv"], kind="f")
    assert both["statistic"].iloc[0] == pytest.approx(want.test_statistic, rel=1e-8)


def test_instantaneous_causality_is_statsmodels(growth, model):
    from statsmodels.tsa.api import VAR as Reference

    fit = Reference(growth).fit(2)
    table = model.instantaneous_causality()
    for (_, causing), row in table.iterrows():
        want = fit.test_inst_causality(causing)
        assert row["statistic"] == pytest.approx(want.test_statistic, rel=1e-8)
        assert row["p_value"] == pytest.approx(want.pvalue, rel=1e-6, abs=1e-300)


def test_the_exact_fit_has_all_analyses(growth):
    model = VAR(1, "ct").fit(growth)
    assert model.impulse_response(4, orthogonal=True)["std_error"].gt(0).sum() > 30
    assert model.granger_causality().shape == (6, 4)
    roots = np.abs(model.roots)
    assert (np.diff(roots) <= 0).all()
    assert roots[0] < 1


def test_what_can_not_be_answered_is_refused(growth, model):
    known = VAR.from_parameters([np.eye(2) / 2])
    assert known.impulse_response(3, bands=None).shape == (16, 1)
    with pytest.raises(ParameterError, match="not estimated"):
        known.impulse_response(3)
    with pytest.raises(ParameterError, match="not estimated"):
        known.granger_causality()
    with pytest.raises(ParameterError, match="needs data="):
        model.impulse_response(3, bands="bootstrap")
    with pytest.raises(ParameterError, match="no component 'gdp'"):
        model.granger_causality("gdp")
    with pytest.raises(ParameterError, match="level"):
        model.impulse_response(level=95)
    with pytest.raises(ParameterError, match="no past"):
        VAR(0).fit(growth).granger_causality()


def test_the_picture_has_a_panel_for_each_pair(model):
    import matplotlib.pyplot as plt

    table = model.impulse_response(6)
    grid = impulse_response(table)
    assert len(grid.child_axes) == 9
    one = impulse_response(table.loc[[("realgdp", "realinv", h) for h in range(7)]])
    np.testing.assert_allclose(
        one.lines[1].get_ydata(), table.xs(("realgdp", "realinv"), level=[0, 1])["effect"]
    )
    plt.close("all")
