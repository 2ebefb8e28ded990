"""BayesianAR against multivariate t laws, numerical integration, and its prior's calibration."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy.stats import kstest, multivariate_t, norm
from scipy.stats import t as student

import arproc
from arproc import AR, BayesianAR
from arproc.distributions import cdf
from arproc.errors import DataError, ParameterError
from arproc.models.autoregression import bayesian_law

# parts of a series, and others, are scored as if each began where that of fit did
pytestmark = pytest.mark.filterwarnings("ignore::arproc.errors.PlaceWarning")

UNIT = {"location": 0.0, "scale": 1.0, "noise": 0.8}


def series(n: int, seed: int = 0) -> np.ndarray:
    return AR.from_parameters([0.7, -0.3], mean=2.0).sample(length=n, seed=seed)[0]


def regression(x, order, largest, trend, model):
    """(Z, y, prior variances) in the model's units, over the elements after the given ones."""
    y = (x - model.location_) / model.scale_
    t = np.arange(largest, len(y))
    columns = [np.ones(len(t)), t / model.span_][: len(trend.replace("n", ""))]
    columns += [y[largest - i : len(y) - i] for i in range(1, order + 1)]
    z = np.stack(columns, axis=1) if columns else np.zeros((len(t), 0))
    noise2 = (model.noise_ / model.scale_) ** 2
    lags = (model.tightness * np.arange(1.0, order + 1) ** -model.decay) ** 2
    trend_variances = [100.0] * len(trend.replace("n", ""))
    return z, y[largest:], np.concatenate([trend_variances, lags]) / noise2, noise2


def log_marginal(sequences, order, largest, trend, model):
    """The multivariate t law of all values, the parameters integrated out by hand."""
    parts = [regression(x, order, largest, trend, model) for x in sequences]
    z, y = np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts])
    variances, noise2 = parts[0][2:]
    shape = noise2 * (np.eye(len(y)) + (z * variances) @ z.T)
    value = multivariate_t.logpdf(y, np.zeros(len(y)), shape, df=2 * model.shape)
    return value - len(y) * math.log(model.scale_)


# ---- the marginal likelihood --------------------------------------------------------------------


@pytest.mark.parametrize("trend", ["n", "c", "ct"])
def test_the_marginal_likelihood_is_the_multivariate_t(trend):
    train, new = [series(30), series(3, 5), series(2, 6)], series(25, seed=1)
    model = BayesianAR((0, 2, 3), trend, shape=1.5, decay=0.5, tightness=0.6).fit(train)
    used = [x for x in train if len(x) > 3]
    each = [log_marginal(used, p, 3, trend, model) for p in (0, 2, 3)]
    np.testing.assert_allclose(model.log_marginal_likelihoods_, each, rtol=1e-9)
    weights = np.exp(each - np.logaddexp.reduce(each))
    np.testing.assert_allclose(model.order_probabilities_, weights, rtol=1e-7)
    total = np.logaddexp.reduce(each) - math.log(3)
    assert model.log_marginal_likelihood_ == pytest.approx(total, rel=1e-10)
    # new data: the marginal likelihood of all over that of the training sequences
    both = [log_marginal([*used, new], p, 3, trend, model) for p in (0, 2, 3)]
    want = np.logaddexp.reduce(both) - np.logaddexp.reduce(each)
    assert model.log_prob(new) == pytest.approx(want, rel=1e-9)
    assert model.n_observations_ == 27


def test_the_marginal_likelihood_is_the_integral_over_the_parameters():
    x, new = np.array([0.5, 1.2, -0.3]), np.array([0.4, -0.2, 0.9, 0.1])
    model = BayesianAR(1, "n", tightness=0.7, shape=2.0, **UNIT).fit(x)

    # trapezia over log variance and the coefficient in units of its deviation, which decay fast
    log_variance, unit = np.linspace(-6, 12, 1201)[:, None], np.linspace(-9, 9, 601)
    variance = np.exp(log_variance)
    phi = unit * 0.7 * np.sqrt(variance) / 0.8
    rate = 2.0 * 0.8**2
    prior = rate**2 * variance**-3 * np.exp(-rate / variance) * variance  # Gamma(2) = 1
    cell = (18 / 1200) * (18 / 600) * prior * norm.pdf(unit)

    def integral(*sequences):
        pairs = [pair for data in sequences for pair in pairwise(data)]
        density = [norm.pdf(b, phi * a, np.sqrt(variance)) for a, b in pairs]
        return float((cell * np.prod(density, axis=0)).sum())

    first = integral(x)
    assert model.log_marginal_likelihood_ == pytest.approx(math.log(first), abs=1e-7)
    assert model.log_prob(new) == pytest.approx(math.log(integral(x, new) / first), abs=1e-7)


def test_the_chain_rule_of_students_t():
    """Each term is the t density of the posterior updated by the elements before."""
    x, new = series(12), series(9, seed=2)
    model = BayesianAR(1, "c", **UNIT).fit(x)
    z, y, variances, noise2 = regression(x, 1, 1, "c", model)
    precision, mean = np.diag(1 / variances), np.zeros(2)
    a, b = 1.0, noise2

    def update(row, target):
        nonlocal precision, mean, a, b
        later = precision + np.outer(row, row)
        after = np.linalg.solve(later, precision @ mean + row * target)
        b += 0.5 * (target**2 + mean @ precision @ mean - after @ later @ after)
        precision, mean, a = later, after, a + 0.5

    for row, target in zip(z, y, strict=True):
        update(row, target)
    terms = model.log_prob_terms(new)
    z, y, *_ = regression(new, 1, 1, "c", model)
    for i, (row, target) in enumerate(zip(z, y, strict=True)):
        scale = math.sqrt(b / a * (1 + row @ np.linalg.solve(precision, row)))
        assert terms[i] == pytest.approx(student.logpdf(target, 2 * a, row @ mean, scale))
        law = model.conditional(new[: i + 1])
        assert float(law.df) == 2 * a
        assert float(law.loc) == pytest.approx(row @ mean)
        update(row, target)


# ---- the training sequence going on -------------------------------------------------------------


def test_a_training_sequence_that_goes_on_is_counted_once(tmp_path):
    x, more = series(40), series(10, seed=3)
    model = BayesianAR((1, 2)).fit([x, series(20, seed=9)])
    once = BayesianAR((1, 2), location=model.location_, scale=model.scale_, noise=model.noise_)
    law = model.conditional(x)
    assert law.component_distribution.df[0] == 2 + model.n_observations_
    again = model.conditional(np.append(x[:-1], x[-1] + 1e-9))
    assert again.component_distribution.df[0] == 2 + model.n_observations_ + 38
    # what follows has the density of the longer sequence over that of the training
    longer = np.append(x, more)
    both = once.fit([longer, series(20, seed=9)])
    want = both.log_marginal_likelihood_ - model.log_marginal_likelihood_
    assert model.condition(x).log_prob(more) == pytest.approx(want, rel=1e-9)
    # however its elements came
    state = model.start(x[None, :15])
    for value in x[15:]:
        state = state.append(torch.tensor([value]))
    many = model.start(2).extend(np.stack([x, x + 1]))[1].select([1, 0])
    deeper = model.start(longer).truncate(40)
    model.save(tmp_path / "model")
    loaded = arproc.load(tmp_path / "model").start(x)
    probe = torch.linspace(-2, 5, 9)[:, None].double()
    want = model.start(x).conditional.log_prob(probe)
    for other in (state, deeper, loaded):
        torch.testing.assert_close(other.conditional.log_prob(probe), want)
    torch.testing.assert_close(many.conditional.log_prob(probe)[:, 1:], want)


def test_long_sequences_are_read_in_blocks(monkeypatch):
    x = [series(70), series(30, seed=4), series(3, seed=5)]
    model = BayesianAR(range(3), "ct").fit(x[0])
    whole = model.log_prob_terms(x)
    state = model.start(x).conditional.mean
    monkeypatch.setattr(bayesian_law, "_BLOCK", 800)
    for got, want in zip(model.log_prob_terms(x), whole, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-9)
    torch.testing.assert_close(model.start(x).conditional.mean, state)


# ---- forecasts ----------------------------------------------------------------------------------


def test_forecasts_carry_the_parameters_uncertainty():
    x = series(25)
    for order in (1, 3):
        model, plain = BayesianAR(order).fit(x), AR(order, initial="given").fit(x)
        wide, narrow = (m.forecast(x, 6, seed=0, n_paths=20_000) for m in (model, plain))
        assert (wide[0.95] - wide[0.05] > narrow[0.95] - narrow[0.05]).all()


def test_one_step_ahead_is_exact():
    x = series(30)
    model = BayesianAR(2).fit(x)
    law, table = model.conditional(x), model.forecast(x, 1)
    freedom, loc, scale = float(law.df), float(law.loc), float(law.scale)
    assert table["mean"].iloc[0] == pytest.approx(loc)
    assert table[0.95].iloc[0] == pytest.approx(student.ppf(0.95, freedom, loc, scale))
    far = model.forecast(x, 2, seed=1, n_paths=40_000)
    assert far[0.95].iloc[0] == pytest.approx(table[0.95].iloc[0], abs=0.05)


def test_forecasts_are_calibrated_under_the_prior():
    """Parameters from the prior, data from the parameters: transforms are uniform, for few data.

    Those of least squares, its estimates taken for the truth, are not.
    """
    rng, transforms, plugged = np.random.default_rng(0), [], []
    prior = {"tightness": 0.5, "shape": 2.0} | UNIT
    for _ in range(900):
        sigma2 = 2.0 * 0.8**2 / rng.gamma(2.0)
        phi = rng.normal(0, 0.5 * math.sqrt(sigma2) / 0.8)
        x = [rng.normal()]
        for _ in range(5):
            x.append(phi * x[-1] + rng.normal(0, math.sqrt(sigma2)))
        model = BayesianAR(1, "n", **prior).fit(np.array(x[:-1]))
        law = model.conditional(np.array(x[:-1]))
        transforms.append(float(cdf(law, torch.tensor(x[-1]).double())))
        plain = AR(1, "n", method="ols", initial="given").fit(np.array(x[:-1]))
        plugged.append(norm.cdf(x[-1], plain.coef_[0] * x[-2], math.sqrt(plain.sigma2_)))
    assert kstest(transforms, "uniform").pvalue > 0.01
    assert kstest(plugged, "uniform").pvalue < 1e-3


# ---- orders, units, tables ----------------------------------------------------------------------


def test_the_true_order_wins_in_the_long_run():
    model = BayesianAR(range(6)).fit(series(3000))
    assert model.order_probabilities_.argmax() == 2
    assert model.order_probabilities_[:2].max() < 1e-6
    np.testing.assert_allclose(model.coef_[:2], [0.7, -0.3], atol=0.05)
    assert model.sigma2_ == pytest.approx(1.0, abs=0.08)
    mean = model.intercept_ / (1 - model.coef_.sum())
    assert mean == pytest.approx(2.0, abs=0.1)


@pytest.mark.parametrize("unit", [1e-12, 1e12])
def test_units_do_not_matter(unit):
    x, new = series(40), series(15, seed=1)
    one, other = (BayesianAR((1, 2), "ct").fit(x * u) for u in (1.0, unit))
    jacobian = (len(new) - 2) * math.log(unit)
    assert other.log_prob(new * unit) + jacobian == pytest.approx(one.log_prob(new), rel=1e-8)
    np.testing.assert_allclose(other.order_probabilities_, one.order_probabilities_, rtol=1e-7)
    tables = [m.parameter_table().to_numpy() for m in (one, other)]
    scale = np.array([unit, unit, *[1.0] * (len(tables[0]) - 3), unit**2])
    np.testing.assert_allclose(tables[1], tables[0] * scale[:, None], rtol=1e-7)


def test_the_table_is_the_posterior():
    x = series(50)
    model = BayesianAR(2, "ct", tightness=0.9).fit(x)
    z, y, variances, noise2 = regression(x, 2, 2, "ct", model)
    precision = z.T @ z + np.diag(1 / variances)
    mean = np.linalg.solve(precision, z.T @ y)
    a, b = 1 + len(y) / 2, noise2 + 0.5 * (y @ y - mean @ precision @ mean)
    draws = np.random.default_rng(1)
    sigma2 = b / draws.gamma(a, size=200_000)
    root = np.linalg.cholesky(np.linalg.inv(precision))
    theta = mean + np.sqrt(sigma2)[:, None] * draws.normal(size=(200_000, 4)) @ root.T
    intercept = model.location_ * (1 - theta[:, 2:].sum(1)) + model.scale_ * theta[:, 0]
    drift = model.scale_ * theta[:, 1] / model.span_
    wanted = np.stack([intercept, drift, theta[:, 2], theta[:, 3], sigma2 * model.scale_**2])
    table = model.parameter_table()
    assert list(table.index) == ["intercept", "drift", "ar.L1", "ar.L2", "sigma2"]
    size = wanted.std(axis=1)
    assert np.abs((table["mean"] - wanted.mean(axis=1)) / size).max() < 0.02
    np.testing.assert_allclose(table["std"], size, rtol=0.02)
    for column, level in (("lower", 0.025), ("upper", 0.975)):
        assert np.abs((table[column] - np.quantile(wanted, level, axis=1)) / size).max() < 0.05
    np.testing.assert_allclose(table.loc["ar.L1":"ar.L2", "mean"], model.coef_, rtol=1e-9)
    assert table.loc["sigma2", "mean"] == pytest.approx(model.sigma2_)
    assert "P(order)" in BayesianAR((1, 2)).fit(x).summary()


def test_what_has_no_answer_is_refused():
    x = series(30)
    with pytest.raises(DataError, match="constant"):
        BayesianAR(1).fit(np.ones(20))
    with pytest.raises(ParameterError, match="distinct"):
        BayesianAR((1, 1)).fit(x)
    for bad in ({"tightness": 0.0}, {"shape": -1}, {"noise": 0.0}, {"decay": math.nan},
                {"scale": "wide"}):  # fmt: skip
        with pytest.raises(ParameterError, match=next(iter(bad))):
            BayesianAR(1, **bad).fit(x)
    with pytest.raises(ParameterError, match="order must be one of"):
        BayesianAR((1, 2)).fit(x).parameter_table(3)
    with pytest.raises(DataError, match="at least 2"):
        BayesianAR(2).fit(x).log_prob(x[:1])
