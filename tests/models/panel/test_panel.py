"""A panel equals its series fitted one by one, in every call, and is one object in one file."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

import arproc
from arproc import AR, AutoPanel, Panel
from arproc.errors import DataError, NotFittedError, ParameterError
from arproc.testing import check_process
from arproc.transforms import Log, Transformed


def simulated(n: int = 6, length: int = 150, seed: int = 0) -> np.ndarray:
    """Series of AR(2) with roots, levels and sizes of their own."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, length))
    a, b = rng.uniform(0.2, 0.9, n), rng.uniform(-0.6, 0.0, n)
    for t in range(2, length):
        x[:, t] += a * x[:, t - 1] + b * x[:, t - 2]
    return x * rng.uniform(0.1, 9, (n, 1)) + rng.normal(0, 20, (n, 1))


X = simulated()
RAGGED = [row[: 60 + 15 * i] for i, row in enumerate(X)]


def one_by_one(order, data, **settings) -> list[AR]:
    return [AR(order, **settings).fit(np.asarray(row)) for row in data]


def assert_same_fit(panel: Panel, models: list[AR]) -> None:
    """Every number of the fit; differences of estimates are counted in standard errors."""
    for i, want in enumerate(models):
        got = panel[i]
        assert got.names_ == want.names_
        error = np.sqrt(np.diag(want.covariance_))
        error = np.where(error > 0, error, 1)
        assert np.abs((got.estimates_ - want.estimates_) / error).max() < 1e-6
        size = np.outer(error, error)
        np.testing.assert_allclose(got.covariance_ / size, want.covariance_ / size, atol=1e-4)
        np.testing.assert_allclose(got.log_likelihood_, want.log_likelihood_, rtol=1e-9, atol=1e-8)
        assert got.n_observations_ == want.n_observations_


@pytest.mark.parametrize("initial", ["stationary", "given"])
@pytest.mark.parametrize("trend", ["n", "c", "ct"])
@pytest.mark.parametrize("method", ["ols", "mle"])
@pytest.mark.parametrize("order", [0, 1, 3])
def test_equals_the_fits_one_by_one(order, method, trend, initial):
    settings = {"method": method, "trend": trend, "initial": initial}
    models = one_by_one(order, RAGGED, **settings)
    panel = Panel(AR(order, **settings)).fit(RAGGED)
    assert_same_fit(panel, models)
    want = [model.log_likelihood_ for model in models]
    np.testing.assert_allclose(panel.log_prob(RAGGED), want, rtol=1e-9)
    forecast = panel.forecast(horizon=7, quantiles=(0.1, 0.9), history=RAGGED)
    for i, model in enumerate(models):
        want = model.forecast(RAGGED[i], horizon=7, quantiles=(0.1, 0.9))
        np.testing.assert_allclose(forecast.loc[i], want, rtol=1e-5, atol=1e-6)
        assert list(forecast.loc[i].index) == list(want.index)
    pd.testing.assert_frame_equal(forecast, panel.forecast(horizon=7, quantiles=(0.1, 0.9)))


def test_least_squares_agrees_to_the_last_digits():
    panel = Panel(AR(3, method="ols")).fit(X)
    for i, want in enumerate(one_by_one(3, X, method="ols")):
        np.testing.assert_allclose(panel[i].estimates_, want.estimates_, rtol=1e-10)
        np.testing.assert_allclose(panel[i].covariance_, want.covariance_, rtol=1e-8)


@pytest.mark.parametrize("order", [[1, 7], [2], [1, 2, 12]])
def test_left_out_lags(order):
    models = one_by_one(order, X, method="ols")
    panel = Panel(AR(order, method="ols")).fit(X)
    assert_same_fit(panel, models)
    want = models[2].forecast(X[2], horizon=15)
    np.testing.assert_allclose(panel.forecast(horizon=15).loc[2], want, rtol=1e-9)


def test_exact_likelihood_is_at_its_maximum():
    # the gradient of the exact likelihood, by autograd, vanishes beside the standard errors
    panel = Panel(AR(3)).fit(X)
    for i, row in enumerate(X):
        model = panel[i]
        parts = [
            torch.tensor(v, requires_grad=True, dtype=torch.float64)
            for v in (model.mean_, model.coef_, model.sigma2_)
        ]
        AR.from_parameters(parts[1], parts[0], parts[2]).log_prob(torch.tensor(row)).backward()
        slope = np.concatenate([part.grad.numpy().reshape(-1) for part in parts])
        assert np.abs(slope * np.sqrt(np.diag(model.covariance_))).max() < 1e-6


@pytest.mark.parametrize("scale", [1e-12, 1e12])
@pytest.mark.parametrize("method", ["ols", "mle"])
def test_any_scale_and_level(scale, method):
    plain = Panel(AR(2, method=method)).fit(X).coefficients_
    got = Panel(AR(2, method=method)).fit((X + 1e4) * scale).coefficients_
    for name in ("ar.L1", "ar.L2"):
        np.testing.assert_allclose(got[name], plain[name], rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(got["sigma2"] / scale**2, plain["sigma2"], rtol=1e-6)


def test_every_form_of_data_is_the_same_panel():
    names = list("abcdef")
    days = pd.date_range("2024-03-01", periods=X.shape[1], freq="D")
    wide = pd.DataFrame(X.T, index=days, columns=names)
    long = wide.melt(ignore_index=False, var_name="unique_id", value_name="y")
    long = long.reset_index(names="ds").sample(frac=1, random_state=0)
    dated = [wide, {k: wide[k] for k in names}, long]
    want = Panel(AR(2)).fit(X).coefficients_.reset_index(drop=True)
    for data in (X, list(X), torch.tensor(X), dict(zip(names, X, strict=True)), *dated):
        got = Panel(AR(2)).fit(data).coefficients_
        if data is not long:  # whose names come in the order of their sorting, the same here
            pd.testing.assert_frame_equal(got.reset_index(drop=True), want)
    want = AR(2).fit(wide["c"]).forecast(wide["c"], horizon=3)
    for data in dated:
        panel = Panel(AR(2)).fit(data)
        for history in (None, data):
            forecast = panel.forecast(horizon=3, history=history).loc["c"]
            assert list(forecast.index) == list(want.index)
            np.testing.assert_allclose(forecast, want, rtol=1e-6)


def test_series_begin_and_end_where_their_values_do():
    wide = pd.DataFrame(X.T, index=pd.period_range("2000-01", periods=X.shape[1], freq="M"))
    wide.iloc[:20, 1] = np.nan
    wide.iloc[-7:, 2] = np.nan
    panel = Panel(AR(2, trend="ct")).fit(wide)
    assert panel.lengths_.tolist() == [150, 130, 143, 150, 150, 150]
    assert_same_fit(panel, one_by_one(2, [X[0], X[1, 20:], X[2, :-7]], trend="ct"))
    for history in (None, wide):
        forecast = panel.forecast(horizon=2, history=history)
        assert forecast.loc[2].index[0] == wide.index[-7]
        assert forecast.loc[1].index[0] == wide.index[-1] + 1


def with_gaps() -> np.ndarray:
    x = X.copy()
    rng = np.random.default_rng(5)
    for i in range(5):
        x[i, rng.choice(np.arange(4, 146), 5 * i, replace=False)] = np.nan
    x[3, -3:-1] = np.nan
    return x


def test_least_squares_drops_the_rows_that_lack_something():
    x = with_gaps()
    panel = Panel(AR(2, method="ols", initial="given")).fit(x)
    for i, row in enumerate(x):
        rows = np.column_stack([row[2:], np.ones(148), row[1:-1], row[:-2]])
        rows = rows[~np.isnan(rows).any(axis=1)]
        theta, squares, *_ = np.linalg.lstsq(rows[:, 1:], rows[:, 0], rcond=None)
        got = [panel[i].intercept_, *panel[i].coef_]
        np.testing.assert_allclose(got, theta, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(panel[i].sigma2_, squares[0] / len(rows), rtol=1e-9)


@pytest.mark.parametrize("method", ["ols", "mle"])
def test_gaps_one_by_one(method):
    x = with_gaps()
    panel = Panel(AR(2, method=method)).fit(x)
    got, forecast = panel.log_prob(x), panel.forecast(horizon=4, history=x)
    assert panel.score(x) == pytest.approx(got.sum() / (~np.isnan(x)).sum())
    for i, row in enumerate(x):
        model = panel[i]
        np.testing.assert_allclose(got[i], model.log_prob(row), rtol=1e-9)
        np.testing.assert_allclose(model.log_likelihood_, got[i], rtol=1e-9)
        np.testing.assert_allclose(forecast.loc[i], model.forecast(row, horizon=4), rtol=1e-9)
    pd.testing.assert_frame_equal(forecast, panel.forecast(horizon=4))
    if method == "mle":
        assert_same_fit(panel, one_by_one(2, x))


def test_a_given_start_must_be_there():
    x = with_gaps()
    x[1, 1] = np.nan
    with pytest.raises(DataError, match="1 of 6 series have no fit, 1: some of its first 2"):
        Panel(AR(2, method="ols", initial="given")).fit(x)


@pytest.mark.parametrize("method", ["ols", "mle"])
def test_series_without_a_fit_are_named_and_do_not_harm_the_others(method):
    data = {"good": X[0], "flat": np.ones(50), "short": X[1][:2], "line": np.arange(90.0),
            "empty": np.full(9, np.nan)}  # fmt: skip
    with pytest.raises(DataError, match=r"4 of 5 series have no fit, 'flat': data are const"):
        Panel(AR(2, method=method)).fit(data)
    panel = Panel(AR(2, method=method), errors="keep").fit(data)
    assert_same_fit(panel, one_by_one(2, [X[0]], method=method))
    table = panel.coefficients_
    assert table["status"].eq("ok").tolist() == [True, False, False, False, False]
    assert table["ar.L1"].isna().tolist() == [False, True, True, True, True]
    ahead = panel.forecast(horizon=2)
    assert ahead.groupby(level=0, sort=False).size().to_dict() == dict.fromkeys(data, 2)
    assert ahead.loc["good"].notna().all(axis=None)
    assert ahead[ahead.index.get_level_values(0) != "good"].isna().all(axis=None)
    with pytest.raises(DataError, match="'flat' has no fit: data are constant"):
        panel["flat"]
    with pytest.raises(DataError, match="'flat' has no fit"):
        panel.log_prob(data | {"empty": X[1]})


def test_ill_conditioned_series_are_fitted_with_care():
    smooth = np.sin(np.arange(400.0) / 40) + 1e-6 * np.random.default_rng(0).normal(size=400)
    data, settings = [X[0], smooth], {"method": "ols", "initial": "given"}
    assert_same_fit(Panel(AR(3, **settings)).fit(data), one_by_one(3, data, **settings))
    assert_same_fit(Panel(AR(2)).fit(data), one_by_one(2, data))


def test_unit_and_explosive_roots():
    walks = np.random.default_rng(1).normal(size=(20, 80)).cumsum(axis=1)
    data = [*walks, np.exp(0.1 * np.arange(80.0)) + 0.1 * walks[0]]
    with pytest.raises(DataError, match="stationary"):
        Panel(AR(1, method="ols")).fit(data)
    settings = {"method": "ols", "initial": "given"}
    assert_same_fit(Panel(AR(1, **settings)).fit(data), one_by_one(1, data, **settings))
    assert_same_fit(Panel(AR(1)).fit(walks), one_by_one(1, walks))


def test_short_series_by_exact_likelihood():
    data = np.random.default_rng(2).normal(size=(40, 14))
    assert_same_fit(Panel(AR(3)).fit(data), one_by_one(3, data))


class Poisson(arproc.Process):
    """Independent counts: any process may be of a panel."""

    window_length = 0

    def _infer_space(self, data):
        return arproc.spaces.Count()

    def _fit(self, sequences, *, validation, context):
        self.rate_ = float(sequences.values.double().mean())

    def window(self, ctx, position):
        rate = torch.full(position.shape, self.rate_, dtype=torch.float64)
        return torch.distributions.Poisson(rate, validate_args=False)


COUNTS = {"a": np.array([1, 2, 0, 3]), "b": np.array([9, 7, 8])}


def test_any_process():
    panel = Panel(Poisson()).fit(COUNTS)
    assert panel["b"].rate_ == 8
    assert panel.log_prob(COUNTS)["b"] == pytest.approx(panel["b"].log_prob(COUNTS["b"]))
    assert panel.forecast(horizon=2, seed=1, history=COUNTS).shape == (4, 4)
    assert panel.sample(3, length=5, seed=1).shape == (2, 3, 5)
    ahead = panel.forecast(horizon=2, seed=1)
    pd.testing.assert_frame_equal(ahead, panel.forecast(horizon=2, seed=1, history=COUNTS))


def test_one_file(tmp_path):
    hours = pd.date_range("2024-03-25", periods=150, freq="h", tz="Europe/Berlin")
    panel = Panel(AR([1, 3], method="ols")).fit(pd.DataFrame(X.T, hours, columns=list("abcdef")))
    panel.save(tmp_path / "panel")
    again = arproc.load(tmp_path / "panel")
    pd.testing.assert_frame_equal(again.coefficients_, panel.coefficients_)
    pd.testing.assert_frame_equal(again.forecast(horizon=3), panel.forecast(horizon=3))
    assert again["b"].log_prob(X[1]) == panel["b"].log_prob(X[1])
    other = Panel(Poisson()).fit(COUNTS)
    other.save(tmp_path / "other")
    got = arproc.load(tmp_path / "other").log_prob(COUNTS)
    assert got.tolist() == other.log_prob(COUNTS).tolist()


def test_a_series_keeps_the_contract():
    check_process(Panel(AR(2)).fit(X)[3])
    check_process(Panel(AR(2, method="ols", initial="given")).fit(X)[0])


def test_samples_depend_on_seed_and_series_alone():
    panel = Panel(AR(2)).fit(X)
    draws = panel.sample(4, length=9, seed=3)
    assert draws.shape == (6, 4, 9)
    assert (draws[:, :2] == panel.sample(2, length=9, seed=3)).all()
    assert not (draws[0] == draws[1]).any()
    after = panel.sample(4000, length=2, prefix=X, seed=3)
    forecast = panel.forecast(horizon=2, history=X)["mean"].to_numpy().reshape(6, 2)
    assert (np.abs(after.mean(axis=1) - forecast) < 5 * after.std(axis=1) / 4000**0.5).all()


def test_names_and_numbers():
    panel = Panel(AR(1)).fit({"a": X[0], 7: X[1], ("b", 1): X[2]})
    assert panel["a"].log_likelihood_ == panel[0].log_likelihood_
    assert panel[7].log_likelihood_ == panel[1].log_likelihood_
    assert panel["b", 1].log_likelihood_ == panel[-1].log_likelihood_
    assert panel.log_prob({7: X[1]}).tolist() == [pytest.approx(panel[7].log_likelihood_)]
    assert len(panel) == 3
    assert list(panel) == ["a", 7, ("b", 1)]
    with pytest.raises(ParameterError, match="no series 'z'; the panel has 3"):
        panel["z"]
    with pytest.raises(ParameterError, match="no series"):
        panel[[0]]
    with pytest.raises(DataError, match=r"2 series without names; expected 3"):
        panel.log_prob(X[:2])
    with pytest.raises(DataError, match=r"not fitted: ..zz"):
        panel.forecast(horizon=1, history={"zz": X[0]})


@pytest.mark.parametrize("model", [Panel(AR(1)), AutoPanel()])
def test_horizon_comes_first_in_both_panels(model):
    x = np.random.default_rng(0).normal(size=(2, 30))
    panel = model.fit(x)
    table = panel.forecast(2, (0.1, 0.9), 3, history=x)
    pd.testing.assert_frame_equal(table, panel.forecast(horizon=2, quantiles=(0.1, 0.9), seed=3))
    with pytest.raises(ParameterError, match=r"integer; got .*named: forecast\(3, history=data\)"):
        panel.forecast(x)


def test_bad_input():
    with pytest.raises(NotFittedError):
        Panel(AR(1)).forecast(horizon=1)
    with pytest.raises(DataError, match="infinit"):
        Panel(AR(1)).fit([[1.0, np.inf, 2.0, 4.0, 3.0], X[0]])
    with pytest.raises(ParameterError, match="must be a Process"):
        Panel(3).fit(X)
    with pytest.raises(ParameterError, match="pooling must be one of"):
        Panel(AR(1), pooling="some").fit(X)
    with pytest.raises(ParameterError, match="name the columns"):
        Panel(AR(1, regressors="mean")).fit(X)
    twice = pd.DataFrame({"unique_id": ["a", "a"], "ds": [1, 1], "y": [1.0, 2.0]})
    with pytest.raises(DataError, match="more than one row for unique_id 'a' at ds 1"):
        Panel(AR(1)).fit(twice)
    with pytest.raises(DataError, match="no column called 'ds' and 'y'"):
        Panel(AR(1)).fit(pd.DataFrame({"unique_id": [1]}))
    with pytest.raises(DataError, match="empty dict"):
        Panel(AR(1)).fit({})


@pytest.mark.parametrize("ridge", [0.7, 20, "marginal", "oos"])
@pytest.mark.parametrize("trend", ["n", "c", "ct"])
def test_ridge(ridge, trend):
    settings = {"method": "ols", "trend": trend, "initial": "given", "ridge": ridge}
    panel = Panel(AR([1, 2, 7], **settings)).fit(RAGGED)
    models = one_by_one([1, 2, 7], RAGGED, **settings)
    assert_same_fit(panel, models)
    for i, model in enumerate(models):
        assert panel[i].ridge_ == pytest.approx(model.ridge_, rel=1e-4)
        assert panel[i].n_effective_ == pytest.approx(model.n_effective_, rel=1e-4)


@pytest.mark.parametrize("initial", ["stationary", "given"])
@pytest.mark.parametrize("shift", [0.0, 2.5])
def test_logarithms(initial, shift, tmp_path):
    data = [np.exp(row / 30) for row in with_gaps()]
    process = Transformed(AR(2, method="ols", initial=initial), Log(shift))
    panel = Panel(process).fit(data)
    panel.save(tmp_path / "panel")
    forecast, got = arproc.load(tmp_path / "panel").forecast(horizon=3), panel.log_prob(data)
    for i, row in enumerate(data):
        np.testing.assert_allclose(got[i], panel[i].log_prob(row), rtol=1e-9)
        np.testing.assert_allclose(forecast.loc[i], panel[i].forecast(row, horizon=3), rtol=1e-9)
    whole = process.clone().fit(data[0])
    np.testing.assert_allclose(panel[0].process_.coef_, whole.process_.coef_, rtol=1e-9)
    with pytest.raises(DataError, match="1 of 3 series have no fit, 1: a logarithm needs"):
        Panel(process).fit([data[0], -9 * data[0], data[5]])
    kept = Panel(process, errors="keep").fit([data[0], -9 * data[0], data[5]])
    assert kept.coefficients_["sigma2"].isna().tolist() == [False, True, False]
    with pytest.raises(DataError, match="series 2 has values of -shift or less"):
        panel.log_prob([*data[:2], -9 * data[0], *data[3:]])


def test_covariances_may_be_forgotten(tmp_path):
    panel = Panel(AR(2)).fit(X)
    table = panel.forecast(horizon=2)
    panel.forget_covariances()
    panel.save(tmp_path / "panel")
    again = arproc.load(tmp_path / "panel")
    assert np.isnan(again[0].covariance_).all()
    assert again[0].covariance_.shape == (4, 4)
    pd.testing.assert_frame_equal(again.forecast(horizon=2), table)


@pytest.mark.parametrize("process", [AR(2), Poisson()])
def test_what_was_learnt_is_replaced_whole_or_not_at_all(process):
    data = dict(enumerate(X)) if isinstance(process, AR) else COUNTS
    panel = Panel(process).fit(data)
    learnt, table = panel.learnt_, panel.coefficients_
    likelihoods, forecast = panel.log_prob(data), panel.forecast(horizon=2, seed=0, history=data)
    with pytest.raises(DataError, match="1 of 2 series have no fit"):
        panel.fit({"a": next(iter(data.values())), "b": np.array([0.5, -1.0])})
    assert panel.learnt_ is learnt
    panel.set_params(process=AR(1, method="ols"), pooling="partial", errors="keep")
    pd.testing.assert_frame_equal(panel.coefficients_, table)
    pd.testing.assert_series_equal(panel.log_prob(data), likelihoods)
    pd.testing.assert_frame_equal(panel.forecast(horizon=2, seed=0, history=data), forecast)
    panel.names_.append("z")
    assert len(panel.names_) == len(panel) == len(data)
    with pytest.raises(ValueError, match="read-only"):
        panel.lengths_[0] = 3
    with pytest.raises(AttributeError, match="names_ was learnt and is read-only"):
        panel.names_ = []
    assert not hasattr(panel, "prior_mean_")
    assert not hasattr(panel, "colours_")


def test_hyper_parameters_are_scikit_learns():
    from sklearn.base import clone

    panel = Panel(AR(2), errors="keep")
    assert panel.get_params()["process__order"] == 2
    copy = clone(panel).set_params(process__order=3)
    assert copy.fit(X).coefficients_.shape[1] == panel.fit(X).coefficients_.shape[1] + 1
    assert copy.score(X) > panel.score(X)


def test_threads_make_no_difference():
    x = simulated(n=900, length=300, seed=8)  # large enough to be shared out
    before, tables = torch.get_num_threads(), []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            for method in ("ols", "mle"):
                panel = Panel(AR(2, method=method)).fit(x)
                tables.append((panel.coefficients_, panel.forecast(horizon=2, history=x)))
    finally:
        torch.set_num_threads(before)
    for one, two in zip(tables[:2], tables[2:], strict=True):
        pd.testing.assert_frame_equal(one[0], two[0], check_exact=True)
        pd.testing.assert_frame_equal(one[1], two[1], check_exact=True)
