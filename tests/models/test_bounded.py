"""BetaAR: its density written out, its estimates by another's optimiser, simulated recovery."""

import numpy as np
import pytest
from scipy import optimize, special, stats

import arproc
from arproc import BetaAR
from arproc.errors import DataError, ParameterError

TRUE = BetaAR.from_parameters(0.3, [0.5, -0.2], 25.0)
SHARE = TRUE.sample(1, 300, prefix=[0.5, 0.6], seed=1)[0]


def log_likelihood(theta: np.ndarray, y: np.ndarray) -> float:
    """Rocha and Cribari-Neto 2009, equations 1 and 5, written out with SciPy."""
    p, n = len(theta) - 2, len(y)
    lags = [special.logit(y[p - i : n - i]) for i in range(1, p + 1)]
    mean = special.expit(theta[0] + sum(c * lag for c, lag in zip(theta[1:-1], lags, strict=True)))
    a, b = mean * theta[-1] * np.ones(n - p), (1 - mean) * theta[-1] * np.ones(n - p)
    return stats.beta.logpdf(y[p:], a, b).sum()


def test_the_likelihood_is_the_written_one():
    theta = np.array([0.3, 0.5, -0.2, 25.0])
    assert TRUE.log_prob(SHARE) == pytest.approx(log_likelihood(theta, SHARE), rel=1e-12)
    conditional = TRUE.conditional(SHARE)
    mean = special.expit(0.3 + 0.5 * special.logit(SHARE[-1]) - 0.2 * special.logit(SHARE[-2]))
    assert float(conditional.mean) == pytest.approx(mean, rel=1e-12)
    assert float(conditional.variance) == pytest.approx(mean * (1 - mean) / 26.0, rel=1e-12)


@pytest.mark.parametrize("order", [0, 1, 2])
def test_the_estimates_are_those_of_another_optimiser(order):
    model = BetaAR(order).fit(SHARE)

    def loss(z: np.ndarray) -> float:
        return -log_likelihood(np.append(z[:-1], np.exp(z[-1])), SHARE)

    found = optimize.minimize(loss, [0.0] * (order + 1) + [2.0], method="BFGS")
    theta = np.append(found.x[:-1], np.exp(found.x[-1]))
    np.testing.assert_allclose(model.estimates_, theta, rtol=1e-3, atol=1e-4)
    assert model.converged_
    assert model.log_likelihood_ == pytest.approx(model.log_prob(SHARE), rel=1e-12)
    assert model.log_likelihood_ >= -found.fun - 1e-9
    assert model.n_observations_ == len(SHARE) - order
    # the covariance: the observed information by differences of the written likelihood
    size = 1e-3 * np.sqrt(np.diag(model.covariance_))
    k = len(size)
    steps = np.diag(size)

    def at(step: np.ndarray) -> float:
        return log_likelihood(model.estimates_ + step, SHARE)

    information = -np.array([
        [at(a + b) - at(a - b) - at(b - a) + at(-a - b) for b in steps] for a in steps
    ]) / (4 * np.outer(size, size))  # fmt: skip
    np.testing.assert_allclose(model.covariance_ @ information, np.eye(k), atol=2e-3)


def test_the_parameters_of_long_series_are_found_again():
    several = TRUE.sample(8, 500, prefix=[0.5, 0.5], seed=2)
    model = BetaAR(2).fit(several)
    off = model.estimates_ - [0.3, 0.5, -0.2, 25.0]
    assert (np.abs(off) < 3.5 * np.sqrt(np.diag(model.covariance_))).all()
    assert model.n_given == 2
    robust = np.diag(model.covariance("robust", several)) / np.diag(model.covariance_)
    assert ((robust > 0.8) & (robust < 1.25)).all()


def test_what_users_see(tmp_path):
    model = BetaAR(2).fit(SHARE)
    assert model.names_ == ["intercept", "ar.L1", "ar.L2", "precision"]
    assert "BetaAR(2)" in model.summary()
    text = "BetaAR(2) with given parameters: intercept 0.3, coef [0.5, -0.2], precision 25.0"
    assert TRUE.summary() == text
    assert model.wald_test("ar.L1 = 0").p_value < 1e-6
    assert model.information_criterion("aic") == pytest.approx(8 - 2 * model.log_likelihood_)
    model.save(tmp_path / "m.arproc")
    again = arproc.load(tmp_path / "m.arproc")
    assert again.log_prob(SHARE) == model.log_prob(SHARE)
    assert again.summary() == model.summary()
    forecast = model.forecast(SHARE, 4, seed=0)
    assert ((forecast > 0) & (forecast < 1)).all(axis=None)
    wider = model.forecast(SHARE, 1, seed=0, parameter_uncertainty="bootstrap", n_bootstrap=20)
    assert ((wider > 0) & (wider < 1)).all(axis=None)
    compared = arproc.compare({"beta": model, "normal": arproc.AR(2, initial="given").fit(SHARE)},
                              SHARE)  # fmt: skip
    assert "beta" in str(compared)


@pytest.mark.parametrize(
    ("data", "order", "message"),
    [
        ([0.2, 1.0, 0.4], 1, r"expected numbers above 0 and below 1, got values from 0.2 to 1"),
        ([0.2, np.nan, 0.4], 1, "not finite"),
        ([0.5] * 9, 1, "data is constant"),
        ([0.5], 0, "data is constant"),
        ([0.2, 0.3, 0.4], 1, r"2 element\(s\) to score; expected more than the 3 parameters"),
        ([0.2, 0.3], 2, "data is too short"),
    ],
)
def test_data_that_it_can_not_be_fitted_to(data, order, message):
    with pytest.raises(DataError, match=message):
        BetaAR(order).fit(data)


def test_parameters_that_can_not_be():
    for arguments in ((np.nan, [0.5], 1.0), (0.1, [np.inf], 1.0), (0.1, [[0.5]], 1.0),
                      (0.1, [0.5], 0.0)):  # fmt: skip
        with pytest.raises(ParameterError, match=r"intercept|coef|precision"):
            BetaAR.from_parameters(*arguments)
    with pytest.raises(ParameterError, match="order must be"):
        BetaAR(-1).fit(SHARE)
