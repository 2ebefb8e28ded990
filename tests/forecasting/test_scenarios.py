"""Forecasts given known future values: exact for normal laws, by weighted paths elsewhere."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from forecasting.test_forecasting import MODEL, SERIES, VECTORS, JointLinear, Particle
from scipy import stats
from toys import Counter, Linear

import arproc
from arproc.errors import DataError, UnsupportedError
from arproc.transforms import Log, Transformed

NAN = float("nan")
KNOWN = np.array([NAN, 6.5, NAN, NAN, 3.0, NAN])


def brute_force(law, known):
    """Means and standard deviations of a normal vector given some of its numbers."""
    loc, cov = law.mean[0].numpy(), law.covariance_matrix[0].numpy()
    fixed = ~np.isnan(known)
    gain = cov[:, fixed] @ np.linalg.inv(cov[np.ix_(fixed, fixed)])
    mean = loc + gain @ (known[fixed] - loc[fixed])
    return mean, cov - gain @ cov[fixed]


def test_a_linear_model_is_conditioned_exactly() -> None:
    table = MODEL.forecast(SERIES, 6, quantiles=(0.1, 0.9), known=KNOWN)
    mean, cov = brute_force(MODEL.law_.joint(MODEL.start(SERIES), 6), KNOWN)
    deviation = np.sqrt(np.diag(cov).clip(0))
    np.testing.assert_allclose(table["mean"], mean, rtol=1e-10)
    np.testing.assert_allclose(table[0.9], mean + stats.norm.ppf(0.9) * deviation, rtol=1e-7)
    fixed = ~np.isnan(KNOWN)
    assert (table.to_numpy()[fixed] == KNOWN[fixed, None]).all()
    assert not table.attrs


@pytest.mark.parametrize("order", [(2, 0, 0), (1, 1, 1)])
def test_the_conditional_law_is_that_of_statsmodels_smoother(order) -> None:
    """A scenario is a series with gaps: the Kalman smoother's law of what is missing."""
    from statsmodels.tsa.statespace.sarimax import SARIMAX

    y = SERIES if order[1] == 0 else SERIES.cumsum()
    model = arproc.ARIMA(order, trend="n").fit(y)
    known = KNOWN + y[-1]
    table = model.forecast(y, 6, quantiles=(stats.norm.cdf(1.0),), known=known)
    whole = SARIMAX(np.concatenate([y, known]), order=order, use_exact_diffuse=True)
    smoothed = whole.smooth(model.estimates_)
    design = whole.ssm["design"][0]
    states = smoothed.smoother_results.smoothed_state[:, -6:]
    covariances = smoothed.smoother_results.smoothed_state_cov[:, :, -6:]
    variance = np.einsum("i,ijt,j->t", design, covariances, design).clip(0)
    np.testing.assert_allclose(table["mean"], design @ states, rtol=1e-6)
    width = table.iloc[:, 1] - table["mean"]
    np.testing.assert_allclose(width, np.sqrt(variance), rtol=1e-5, atol=1e-5)


def test_a_known_beginning_is_a_longer_history() -> None:
    known = np.array([6.0, 4.0, NAN, NAN])
    given = MODEL.forecast(SERIES, 4, known=known)
    later = MODEL.forecast(np.concatenate([SERIES, known[:2]]), 2)
    np.testing.assert_allclose(given.iloc[2:], later, rtol=1e-10)


def test_nothing_known_is_the_forecast() -> None:
    plain = MODEL.forecast(SERIES, 3)
    pd.testing.assert_frame_equal(MODEL.forecast(SERIES, 3, known=[NAN] * 3), plain)


def test_paths_of_a_scenario_have_its_law() -> None:
    paths = MODEL.sample_paths(SERIES, 6, n_paths=20_000, seed=0, known=KNOWN).to_numpy()
    mean, cov = brute_force(MODEL.law_.joint(MODEL.start(SERIES), 6), KNOWN)
    error = np.sqrt((np.outer(*[np.diag(cov)] * 2) + cov**2).clip(0) / 20_000)
    assert (np.abs(np.cov(paths) - cov) <= 5 * error + 1e-12).all()
    np.testing.assert_allclose(paths.mean(1), mean, atol=5 * np.diag(cov).max() ** 0.5 / 141)
    fixed = ~np.isnan(KNOWN)
    assert (paths[fixed] == KNOWN[fixed, None]).all()


def test_weighted_paths_come_to_the_exact_law() -> None:
    exact = MODEL.forecast(SERIES, 6, known=KNOWN)
    model = Particle(1).fit(SERIES)
    drawn = model.forecast(SERIES, 6, known=KNOWN, n_paths=40_000, seed=2)
    assert 1_000 < drawn.attrs["effective_sample_size"] <= 40_000
    width = (exact[0.95] - exact[0.05]).to_numpy()[np.isnan(KNOWN), None]
    off = (drawn - exact).to_numpy()[np.isnan(KNOWN)] / width
    assert np.abs(off).max() < 5 / np.sqrt(drawn.attrs["effective_sample_size"])
    paths = model.sample_paths(SERIES, 6, 500, seed=1, known=KNOWN)
    assert (paths.iloc[1] == 6.5).all()
    again = model.sample_paths(SERIES, 6, 500, seed=1, known=KNOWN)
    pd.testing.assert_frame_equal(paths, again)


def test_a_scenario_of_a_series_does_not_depend_on_its_company() -> None:
    model = Particle(1).fit(SERIES)
    histories, known = [SERIES[:50], SERIES[:90]], [NAN, 6.0, NAN]
    both = model.forecast(histories, 3, seed=4, known=[known, [NAN] * 3])
    alone = model.forecast(SERIES[:50], 3, seed=4, known=known)
    np.testing.assert_allclose(both.loc[0], alone)
    effective = both.attrs["effective_sample_size"]
    assert effective == {0: alone.attrs["effective_sample_size"], 1: pytest.approx(1000)}


def test_counts_are_conditioned_by_bayes_rule() -> None:
    process, later = Counter().fit([1, 2]), 9
    paths = process.sample_paths([2, 1], 2, 40_000, seed=0, known=[NAN, later]).to_numpy()[0]
    k = np.arange(30)
    before = stats.poisson(1 + 3 / 12).pmf(k) * stats.poisson(1 + (3 + k) / 13).pmf(later)
    want = before / before.sum()
    got = np.bincount(paths.astype(int), minlength=30)[:30] / len(paths)
    effective = process.forecast([2, 1], 2, seed=0, n_paths=40_000, known=[NAN, later]).attrs
    error = np.sqrt(want * (1 - want) / effective["effective_sample_size"])
    assert (np.abs(got - want) <= 5 * error + 1e-4).all()


def test_the_scenario_of_logarithms_is_that_of_the_values() -> None:
    data = np.exp(SERIES / 5)
    model = Transformed(arproc.AR(1), Log()).fit(data)
    inner = arproc.AR(1).fit(np.log(data))
    known = np.array([NAN, 3.0, NAN])
    table = model.forecast(data, 3, quantiles=(0.2,), known=known)
    inside = inner.forecast(np.log(data), 3, quantiles=(0.2,), known=np.log(known))
    np.testing.assert_allclose(table[0.2], np.exp(inside[0.2]))
    paths = model.sample_paths(data, 3, 5, seed=0, known=known)
    within = inner.sample_paths(np.log(data), 3, 5, seed=0, known=np.log(known))
    np.testing.assert_allclose(paths, np.exp(within))


def test_what_the_paths_can_not_reach_is_an_error() -> None:
    model = Transformed(arproc.AR(1), Log()).fit(np.exp(SERIES / 5))

    with pytest.raises(DataError, match="Raise n_paths"):
        Particle(1).fit(SERIES).forecast(SERIES, 3, known=[NAN, 60.0, NAN], seed=0)
    with pytest.raises(DataError, match="value -1, which is impossible"):
        model.forecast(np.exp(SERIES / 5), 2, known=[NAN, -1.0])
    with pytest.raises(DataError, match="known: expected"):
        Counter().fit([1]).forecast([1], 2, known=[NAN, -1.0])


# ---- vectors ---------------------------------------------------------------------------------


def test_some_components_known() -> None:
    model = JointLinear().fit(VECTORS)
    index = model.forecast(VECTORS, 3).index
    known = pd.DataFrame({"gap": [0.5, 1.0]}, index=index[:2])
    table = model.forecast(VECTORS, 3, known=known)
    filled = np.array([NAN, 0.5, NAN, 1.0, NAN, NAN])
    mean, cov = brute_force(model.law_.joint(model.start(VECTORS), 3), filled)
    got = table.xs("mean", axis=1, level=1).to_numpy().reshape(-1)
    np.testing.assert_allclose(got, mean, rtol=1e-10)
    width = table.xs(0.95, axis=1, level=1).to_numpy().reshape(-1) - got
    np.testing.assert_allclose(width, stats.norm.ppf(0.95) * np.sqrt(np.diag(cov).clip(0)))


@pytest.mark.parametrize("joint", [True, False])
def test_some_components_known_by_weighted_paths(joint: bool) -> None:
    known = np.array([[NAN, 0.5], [1.0, NAN], [NAN, NAN], [2.0, 0.1]])
    exact = JointLinear().fit(VECTORS).forecast(VECTORS, 4, known=known)
    model = Linear(joint=joint).fit(VECTORS)
    drawn = model.forecast(VECTORS, 4, known=known, n_paths=30_000, seed=0)
    effective = drawn.attrs["effective_sample_size"]
    assert effective > 3_000
    assert np.abs((drawn - exact).to_numpy()).max() < 8 / np.sqrt(effective)


def test_a_component_of_a_law_that_can_not_be_conditioned() -> None:
    class Mixed(Linear):
        def window(self, ctx, position):
            part = super().window(ctx, position)
            return arproc.distributions.Mixture([part, part], torch.tensor([0.5, 0.5]).log())

    model = Mixed().fit(VECTORS)
    with pytest.raises(UnsupportedError, match="whose law is a Mixture"):
        model.forecast(VECTORS, 2, known=[[0.1, NAN], [NAN, NAN]])
    table = model.forecast(VECTORS, 2, known=[[0.1, 0.3], [NAN, NAN]], n_paths=20_000, seed=0)
    mean = table.xs("mean", axis=1, level=1).to_numpy()[1]
    np.testing.assert_allclose(mean, [0.15, 0.05], atol=0.05)


# ---- how known values are given --------------------------------------------------------------


def test_the_forms_of_known() -> None:
    dates = pd.date_range("2020-01-01", periods=200)
    history = pd.Series(SERIES, index=dates)
    want = MODEL.forecast(history, 6, known=KNOWN)
    known = pd.Series(KNOWN, index=want.index)
    for form in (known, known.dropna(), known[::-1], known.to_frame("x"), torch.tensor(KNOWN),
                 KNOWN.tolist()):  # fmt: skip
        pd.testing.assert_frame_equal(MODEL.forecast(history, 6, known=form), want)


def test_known_values_of_a_panel() -> None:
    panel = pd.DataFrame({"a": SERIES[:50], "b": SERIES[50:100]})
    alone = MODEL.forecast(panel["b"], 3, known=[NAN, 2.0, NAN])
    wide = pd.DataFrame({"b": {51: 2.0}})
    both = np.array([[NAN] * 3, [NAN, 2.0, NAN]])
    long = pd.Series([2.0], index=pd.MultiIndex.from_tuples([("b", 51)]))
    for known in (wide, both, long, [[NAN] * 3, [NAN, 2.0, NAN]]):
        table = MODEL.forecast(panel, 3, known=known)
        pd.testing.assert_frame_equal(table.loc["b"], alone, check_names=False)
        plain = MODEL.forecast(panel["a"], 3)
        pd.testing.assert_frame_equal(table.loc["a"], plain, check_names=False)


@pytest.mark.parametrize(
    ("known", "message"),
    [
        ([1.0, 2.0], r"known has shape \(2,\).*expected real numbers \[3\]"),
        ([1.0, "b", 2.0], "known can not be read as numbers"),
        ([1.0, np.inf, 2.0], "known has infinite values"),
        (pd.Series([1.0], index=[7]), "index has 7, which is no future step"),
        (pd.Series([1.0, 2.0], index=[201, 201]), "index has 201 twice"),
        (pd.DataFrame({"a": [1.0], "b": [2.0]}), "known has 2 columns"),
    ],
)
def test_known_values_that_are_wrong(known: object, message: str) -> None:
    with pytest.raises(DataError, match=message):
        MODEL.forecast(SERIES, 3, known=known)


def test_wrong_labels_of_vectors_and_panels() -> None:
    vectors = JointLinear().fit(VECTORS)
    with pytest.raises(DataError, match="columns has other, which is no component"):
        vectors.forecast(VECTORS, 2, known=pd.DataFrame({"other": [1.0]}))
    with pytest.raises(DataError, match="expected a DataFrame whose columns are components"):
        vectors.forecast(VECTORS, 2, known=pd.Series([1.0]))
    panel = pd.DataFrame({"a": SERIES[:50], "b": SERIES[50:100]})
    with pytest.raises(DataError, match="columns has c, which is no series"):
        MODEL.forecast(panel, 2, known=pd.DataFrame({"c": [1.0]}))
    with pytest.raises(DataError, match="does not say which series"):
        MODEL.forecast(panel, 2, known=pd.Series([1.0], index=[50]))
