"""Roots, responses, moments and the spectrum of an AR, against statsmodels and by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.tsa.arima_process import ArmaProcess

from arproc import AR
from arproc.errors import ArprocError, DataError, NotFittedError, ParameterError
from arproc.gaussian.levinson import pacf_to_coef

PACFS = st.lists(st.floats(-0.9, 0.9), min_size=1, max_size=6)


@pytest.fixture(scope="module")
def sunspots():
    import statsmodels.api as sm

    return sm.datasets.sunspots.load_pandas().data.set_index("YEAR")["SUNACTIVITY"]


@given(PACFS, st.floats(0.1, 10.0))
def test_moments_and_spectrum_are_those_of_statsmodels(pacf, sigma2):
    coef = pacf_to_coef(np.array(pacf))
    model, process = (
        AR.from_parameters(coef, mean=5.0, sigma2=sigma2),
        ArmaProcess.from_coeffs(coef, nobs=100),
    )
    assert model.is_stationary
    np.testing.assert_allclose(model.psi_weights(12), process.impulse_response(13), atol=1e-10)
    effect = model.impulse_response(12)["effect"]
    np.testing.assert_allclose(effect, process.impulse_response(13), atol=1e-10)
    total = model.impulse_response(12, cumulative=True)["effect"]
    np.testing.assert_allclose(total, effect.cumsum(), atol=1e-10)
    # statsmodels' own autocovariances come from a linear system: compare relative to the variance
    gamma = model.autocovariance(10).to_numpy()
    np.testing.assert_allclose(gamma, sigma2 * process.acovf(11), rtol=1e-6, atol=1e-6 * gamma[0])
    np.testing.assert_allclose(model.autocorrelation(10), process.acf(11), atol=1e-6)
    np.testing.assert_allclose(model.partial_autocorrelation(10), process.pacf(11), atol=1e-5)
    angle, power = process.periodogram(64)
    density = model.spectral_density(angle / (2 * np.pi))["density"]
    # theirs is of unit innovations, with a factor of its own
    np.testing.assert_allclose(density, sigma2 * power * np.sqrt(2 * np.pi), rtol=1e-9)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.floats(-0.8, 0.8), min_size=1, max_size=4))
def test_the_spectrum_integrates_to_the_variance(pacf):
    model = AR.from_parameters(pacf_to_coef(np.array(pacf)), sigma2=2.0)
    at = (np.arange(4096) + 0.5) / 4096 - 0.5
    mean = model.spectral_density(at)["density"].mean()
    assert mean == pytest.approx(model.autocovariance(0)[0], rel=1e-9)


@given(PACFS)
def test_roots_are_those_of_the_recursion(pacf):
    coef = pacf_to_coef(np.array(pacf))
    roots = AR.from_parameters(coef).roots
    assert len(roots) == len(coef)
    assert (np.abs(roots) < 1).all()
    assert (np.diff(np.abs(roots)) <= 1e-12).all()
    np.testing.assert_allclose(np.poly(roots), np.append(1.0, -coef), atol=1e-8)


def test_roots_at_zero_and_beyond_one():
    assert AR.from_parameters([0.5, 0.0]).roots.tolist() == [0.5, 0.0]
    walk = AR.from_parameters([1.5, -0.5], initial="given")
    np.testing.assert_allclose(walk.roots, [1.0, 0.5], atol=1e-12)
    assert not walk.is_stationary
    np.testing.assert_allclose(walk.impulse_response(3)["effect"], [1, 1.5, 1.75, 1.875])
    for call in (walk.autocovariance, walk.partial_autocorrelation, walk.spectral_density):
        with pytest.raises(ParameterError, match="stationary"):
            call()


def test_bands_follow_from_the_parameters_by_the_delta_method(sunspots):
    """Against numerical derivatives by the reported parameters."""
    for settings_ in ({"order": 4}, {"order": [1, 2, 9], "trend": "ct"}):
        model = AR(**settings_).fit(sunspots)
        at = np.array([0.01, 0.09, 0.3, 0.5])

        def answers(coef, sigma2, at=at):
            other = AR.from_parameters(coef, sigma2=sigma2)
            density = np.log(other.spectral_density(at)["density"])
            effect = other.impulse_response(8)["effect"]
            total = other.impulse_response(8, cumulative=True)["effect"]
            return np.concatenate([effect, total, density])

        count = len(model.lags_)
        change = np.zeros((9 + 9 + 4, count + 1))
        for j in range(count + 1):
            coef, sigma2, step = model.coef_.copy(), model.sigma2_, 1e-6
            if j < count:
                ends = []
                for sign in (1, -1):
                    moved = coef.copy()
                    moved[model.lags_[j] - 1] += sign * step
                    ends.append(answers(moved, sigma2))
            else:
                step *= sigma2
                ends = [answers(coef, sigma2 + sign * step) for sign in (1, -1)]
            change[:, j] = (ends[0] - ends[1]) / (2 * step)
        covariance = model.covariance_[-count - 1 :, -count - 1 :]
        error = np.sqrt(np.einsum("ki,ij,kj->k", change, covariance, change))
        response = model.impulse_response(8)
        np.testing.assert_allclose(response["std_error"], error[:9], rtol=1e-5, atol=1e-9)
        total = model.impulse_response(8, cumulative=True, level=0.8)
        np.testing.assert_allclose(total["std_error"], error[9:18], rtol=1e-5, atol=1e-9)
        np.testing.assert_allclose(
            total["upper"] - total["effect"], 1.2815515655446 * total["std_error"], rtol=1e-9
        )
        table = model.spectral_density(at)
        np.testing.assert_allclose(
            np.log(table["upper"] / table["density"]), 1.959963984540054 * error[18:], rtol=1e-5
        )
        np.testing.assert_allclose(table["lower"] * table["upper"], table["density"] ** 2)


def test_impulse_responses_have_the_errors_that_statsmodels_gives_a_vector_of_one(sunspots):
    from statsmodels.tsa.api import VAR

    two = np.column_stack([sunspots, np.random.default_rng(0).normal(size=len(sunspots))])
    reference = VAR(two).fit(3, trend="n")  # its first component alone, where the other is noise
    model = AR(3, "n", method="ols", initial="given").fit(sunspots)
    assert reference.coefs[:, 0, 0] == pytest.approx(model.coef_, abs=0.05)
    errors = reference.irf(5).stderr()[:, 0, 0]
    np.testing.assert_allclose(model.impulse_response(5)["std_error"][1:3], errors[1:3], rtol=0.1)


def test_given_parameters_have_no_bands_and_tensors_are_numbers():
    coef = torch.tensor([0.5, 0.2], dtype=torch.float64, requires_grad=True)
    model = AR.from_parameters(coef, sigma2=torch.tensor(2.0, requires_grad=True))
    assert list(model.impulse_response(3).columns) == ["effect"]
    assert list(model.spectral_density([0.1]).columns) == ["density"]
    np.testing.assert_allclose(model.psi_weights(2), [1, 0.5, 0.45])
    white = AR.from_parameters([], sigma2=3.0)
    assert white.roots.size == 0
    assert white.is_stationary
    assert white.autocovariance(2).tolist() == [3.0, 0.0, 0.0]
    np.testing.assert_allclose(white.spectral_density()["density"], 3.0)


def test_wrong_arguments_are_named():
    model = AR.from_parameters([0.5])
    wrong = [
        (lambda: model.psi_weights(-1), "horizon"),
        (lambda: model.autocovariance(1.5), "max_lag"),
        (lambda: model.spectral_density(["a"]), "frequencies"),
        (lambda: model.spectral_density(level=1.0), "level"),
        (lambda: model.impulse_response(level=2), "level"),
        (lambda: model.impute([1.0], n_draws=0), "n_draws"),
    ]
    for call, name in wrong:
        with pytest.raises(ArprocError, match=name):
            call()
    with pytest.raises(DataError, match="frequencies"):
        model.spectral_density([np.nan])
    with pytest.raises(NotFittedError):
        _ = AR(1).roots
