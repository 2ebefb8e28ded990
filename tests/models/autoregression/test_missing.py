"""AR where elements are missing: the marginal law of what was observed, however it is asked."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import multivariate_normal
from statsmodels.tsa.arima.model import ARIMA

import arproc
from arproc import AR
from arproc.errors import DataError
from arproc.gaussian.levinson import autocovariances
from arproc.testing import check_process

COEF = [0.5, -0.3, 0.2]


def gappy(n: int = 300, share: float = 0.2, seed: int = 0, coef=COEF, mean: float = 3.0):
    rng = np.random.default_rng(seed)
    x = AR.from_parameters(coef, mean=mean, sigma2=2.0).sample(1, n, seed=seed)[0]
    x[rng.random(n) < share] = np.nan
    x[n // 2 : n // 2 + 7] = np.nan
    return x


def covariance(model, n: int):
    gamma = autocovariances(model.coef_, model.sigma2_, n - 1)
    return gamma[np.abs(np.subtract.outer(np.arange(n), np.arange(n)))]


# ---- the law ------------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.05, 0.5, 0.95])
def test_the_likelihood_is_the_normal_marginal_of_what_was_observed(share):
    model = AR.from_parameters(COEF, mean=1.0, sigma2=2.0, slope=0.1)
    rows = [gappy(n, share, seed) for seed, n in enumerate((40, 25, 60))]
    got = model.log_prob(rows)
    for row, value in zip(rows, got, strict=True):
        seen, n = ~np.isnan(row), len(row)
        law = multivariate_normal(
            (1 + 0.1 * np.arange(n))[seen], covariance(model, n)[np.ix_(seen, seen)]
        )
        assert value == pytest.approx(law.logpdf(row[seen]), rel=1e-11)
        assert model.log_prob(row) == pytest.approx(value, rel=1e-13)
    terms = model.log_prob_terms(rows)
    for row, part, value in zip(rows, terms, got, strict=True):
        assert not part[np.isnan(row)].any()
        assert part.sum() == pytest.approx(value, rel=1e-13)
    assert model.score(rows) == pytest.approx(got.sum() / sum((~np.isnan(r)).sum() for r in rows))


def test_nothing_observed_says_nothing():
    model = AR.from_parameters(COEF)
    assert model.log_prob([np.nan] * 5) == 0.0
    with pytest.raises(DataError, match="no element to score"):
        model.score([np.nan] * 5)
    with pytest.raises(DataError, match="too short"):
        AR(1).fit([np.nan] * 50)


@pytest.mark.parametrize("trend", ["n", "c", "ct"])
def test_the_fit_is_the_maximum_that_statsmodels_knows(trend):
    x = gappy(400)
    model = AR(3, trend=trend).fit(x)
    reference = ARIMA(x, order=(3, 0, 0), trend=trend)
    theirs = model.estimates_.copy()
    if trend == "ct":
        theirs[0] -= theirs[1]  # their t begins at 1
    assert reference.loglike(theirs) == pytest.approx(model.log_likelihood_, rel=1e-10)
    assert model.log_prob(x) == pytest.approx(model.log_likelihood_, rel=1e-12)
    assert model.n_observations_ == (~np.isnan(x)).sum()
    # a maximum: the score is flat in every direction, and the errors are the observed information
    steps = 1e-4 * np.sqrt(np.diag(model.covariance_))
    score = [
        (reference.loglike(theirs + step) - reference.loglike(theirs - step)) / 2e-4
        for step in np.diag(steps)
    ]
    np.testing.assert_allclose(score, 0, atol=2e-5)
    fitted = reference.fit(start_params=theirs, method_kwargs={"disp": 0})
    assert fitted.llf <= model.log_likelihood_ + 1e-7
    hessian = reference.hessian(theirs)
    np.testing.assert_allclose(
        np.linalg.inv(-400 * hessian), model.covariance_, rtol=2e-2, atol=1e-6
    )


#: quarterly approval of presidents of the United States, 1945 to 1974, with six quarters missing
PRESIDENTS = """
    NA 87 82 75 63 50 43 32 35 60 54 55 36 39 NA NA 69 57 57 51 45 37 46 39 36 24 32 23 25 32 NA 32
    59 74 75 60 71 61 71 57 71 68 79 73 76 71 67 75 79 62 63 57 60 49 48 52 57 62 61 66 71 62 61 57
    72 83 71 78 79 71 62 74 76 64 62 57 80 73 69 69 71 64 69 62 63 46 56 44 44 52 38 46 36 49 35 44
    59 65 65 56 66 53 61 52 51 48 54 49 49 61 NA NA 68 44 40 27 28 25 24 24
"""


@pytest.mark.parametrize(
    ("coef", "errors", "mean", "sigma2", "log_likelihood", "aic"),
    [
        ([0.8242], [0.0555, 4.6434], 56.1505, 85.47, -416.89, 839.78),
        (
            [0.7496, 0.2523, -0.1890], [0.0936, 0.1140, 0.0946, 4.2845],
            56.2236, 81.12, -414.08, 838.16,
        ),
    ],
)  # fmt: skip
def test_the_fits_that_r_prints(coef, errors, mean, sigma2, log_likelihood, aic):
    """The examples of R's `arima`, whose optimiser stops a little before the maximum."""
    x = np.array([float(v.replace("NA", "nan")) for v in PRESIDENTS.split()])
    model = AR(len(coef)).fit(x)
    np.testing.assert_allclose(model.coef_, coef, atol=2e-4)
    assert model.mean_ == pytest.approx(mean, abs=0.01)
    assert model.sigma2_ == pytest.approx(sigma2, abs=0.006)
    assert model.log_likelihood_ == pytest.approx(log_likelihood, abs=0.006)
    assert model.information_criterion() == pytest.approx(aic, abs=0.006)
    table = model.parameter_table()["std_error"]
    np.testing.assert_allclose([*table.iloc[1:-1], table.iloc[0]], errors, rtol=1e-3)


def test_without_gaps_the_two_ways_to_the_maximum_agree():
    from arproc.gaussian.terms import Terms
    from arproc.models.autoregression.missing import estimate_observed

    x = gappy(200, share=0.0)
    x = np.where(np.isnan(x), 3.0, x)
    one, other = AR(3).fit(x), estimate_observed(x, np.array([200]), np.arange(1, 4), Terms("c"))
    np.testing.assert_allclose(other.values, one.estimates_, rtol=1e-7)
    np.testing.assert_allclose(other.covariance, one.covariance_, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("scale", [1e-12, 1e12])
def test_the_scale_of_the_data_does_not_matter(scale):
    x = gappy(150)
    one, other = AR(2).fit(x), AR(2).fit(scale * x)
    np.testing.assert_allclose(other.coef_, one.coef_, rtol=1e-7)
    assert other.mean_ == pytest.approx(one.mean_ * scale, rel=1e-7)
    assert other.sigma2_ == pytest.approx(one.sigma2_ * scale**2, rel=1e-7)


@pytest.mark.parametrize(
    ("lags", "given", "in_mean"),
    [([1, 2, 3], 0, True), ([1, 3], 0, True), ([1], 0, True), ([1, 2, 3], 3, True),
     ([1, 2], 2, False), ([2], 2, False)],
)  # fmt: skip
def test_the_score_by_fishers_identity_is_the_derivative_of_the_filter(lags, given, in_mean):
    """Two ways to one gradient: smoothing, and the filter with a complex step."""
    from arproc.gaussian.terms import Terms
    from arproc.models.autoregression.exact import STEP
    from arproc.models.autoregression.missing import _Problem, _scaled

    x = np.concatenate([gappy(60, seed=1), gappy(90, 0.6, seed=2)])
    x[[0, 1, 2, 60, 61, 62]] = [1.0, 2.0, 3.0, 2.0, 2.5, 4.0]
    observed, lengths = ~np.isnan(x), np.array([60, 90])
    data = _scaled(x, observed, lengths, Terms("ct"), None, True)
    problem = _Problem(data, observed, np.array(lags), given, in_mean)
    rng = np.random.default_rng(0)
    for _ in range(3):
        z = 0.3 * rng.normal(size=len(lags))
        want = [point.objective.imag / STEP for point in problem.around(z)]
        np.testing.assert_allclose(problem.gradient(z), want, rtol=1e-9, atol=1e-9)


def test_other_methods_refuse_gaps():
    x = gappy(100)
    normal = torch.distributions.MultivariateNormal(torch.zeros(2), torch.eye(2))
    for settings in ({"method": "ols"}, {"method": "yule-walker"}, {"initial": normal}):
        with pytest.raises(DataError, match=r"missing values .*(method='mle'|initial=)"):
            AR(2, **settings).fit(x)


def test_a_panel_of_unequal_lengths_pools_what_was_observed():
    rows = [gappy(n, 0.3, seed) for seed, n in enumerate((100, 40, 70))]
    rows[1][:] = np.nan
    model = AR(2).fit(rows)
    parts = [ARIMA(r, order=(2, 0, 0), trend="c").loglike(model.estimates_) for r in rows[::2]]
    assert model.log_likelihood_ == pytest.approx(sum(parts), rel=1e-10)


@pytest.mark.parametrize(
    "settings",
    [
        {"order": [1, 4]},
        {"order": 2, "trend": "n", "initial": "given"},
        {"order": 2, "trend": "ct", "initial": "given"},
        {"order": [1, 3], "initial": "given"},
        {"order": 1, "fourier": {7: 1}},
        {"order": 1, "seasonal": 2, "initial": "given"},
    ],
)
def test_no_other_parameters_are_likelier_in_any_model(settings):
    """No reference fits these with gaps: nothing nearby is better."""
    x = gappy(120, seed=3)
    x[:4] = [2.0, 3.0, 4.0, 3.0]
    model = AR(**settings).fit(x)
    assert model.log_prob(x) == pytest.approx(model.log_likelihood_, rel=1e-12)

    def negative(move):
        law, lags = model.law_, model.lags_ - 1
        coef = model.coef_.copy()
        coef[lags] += move[: len(lags)]
        further = move[len(lags) : -1]
        line = np.append(further[len(model.beta_) :], [0.0, 0.0])
        drive = law.in_recursion.copy()
        drive[: law.line] += line[: law.line]
        drive[law.line :] += further[: len(model.beta_)]
        other = AR.of(
            replace(
                law,
                coef=coef,
                sigma2=model.sigma2_ * np.exp(move[-1]),
                mean=model.mean_ + line[0],
                slope=model.slope_ + line[1],
                beta=model.beta_ + further[: len(model.beta_)],
                drive=drive,
            ),
            **settings,
        )
        try:
            return -other.log_prob(x)
        except arproc.errors.ParameterError:
            return np.inf

    count = len(model.estimates_)
    errors = np.sqrt(np.diag(model.covariance_))
    assert negative(np.zeros(count)) == pytest.approx(-model.log_likelihood_, rel=1e-10)
    rng = np.random.default_rng(0)
    for _ in range(60):
        move = rng.normal(size=count) * 0.02 * errors.min()
        assert negative(move) > -model.log_likelihood_


# ---- states, forecasts, samples -----------------------------------------------------------------


def test_forecasts_from_a_history_with_gaps():
    x = gappy(80)
    x[-2] = x[-5] = np.nan
    model = AR(3).fit(gappy())
    series = pd.Series(x, pd.date_range("2020-01-31", periods=80, freq="ME"))
    table = model.forecast(series, 12, quantiles=(0.1, 0.9))
    assert table.index[0] == pd.Timestamp("2026-09-30")
    reference = ARIMA(x, order=(3, 0, 0), trend="c").filter(model.estimates_).get_forecast(12)
    np.testing.assert_allclose(table["mean"], reference.predicted_mean, rtol=1e-9)
    np.testing.assert_allclose(table[[0.1, 0.9]], reference.conf_int(alpha=0.2), rtol=1e-9)
    first = model.conditional(x)
    assert float(first.mean) == pytest.approx(table["mean"].iloc[0])
    np.testing.assert_allclose(
        model.conditionals(x).mean[0].numpy()[5:],
        ARIMA(x, order=(3, 0, 0), trend="c").filter(model.estimates_).fittedvalues[5:],
        rtol=1e-9,
    )


def test_the_joint_law_of_what_follows_a_history_with_gaps():
    model = AR.from_parameters(COEF, mean=1.0, sigma2=2.0)
    for history in ([0.3, np.nan, 2.0, 1.0, np.nan], [np.nan], [1.0, np.nan]):
        n = len(history)
        x, seen = np.array(history + [0.0] * 5), np.append(~np.isnan(history), [False] * 5)
        ahead, sigma = np.arange(n, n + 5), covariance(model, n + 5)
        weight = sigma[np.ix_(ahead, seen)] @ np.linalg.pinv(sigma[np.ix_(seen, seen)])
        joint = model.law_.joint(model.start(np.array(history)), 5)
        np.testing.assert_allclose(joint.mean[0], 1 + weight @ (x[seen] - 1), rtol=1e-10)
        want = sigma[np.ix_(ahead, ahead)] - weight @ sigma[np.ix_(seen, ahead)]
        np.testing.assert_allclose(joint.covariance_matrix[0], want, rtol=1e-10, atol=1e-12)


def test_samples_continue_a_prefix_with_gaps():
    model = AR.from_parameters(COEF, mean=1.0)
    prefix = np.array([0.3, np.nan, 2.0, np.nan, np.nan])
    draws = model.sample(20_000, 6, prefix=prefix, seed=1, return_log_prob=True)
    table = model.forecast(prefix, 6, quantiles=(0.25, 0.75))
    np.testing.assert_allclose(draws.x.mean(0), table["mean"], atol=0.05)
    np.testing.assert_allclose(np.quantile(draws.x, 0.25, axis=0), table[0.25], atol=0.05)
    whole = np.column_stack([np.tile(prefix, (5, 1)), draws.x[:5]])
    want = model.log_prob(whole) - model.log_prob(prefix)
    np.testing.assert_allclose(draws.log_prob[:5], want, rtol=1e-10)
    again = model.sample(3, 6, prefix=prefix, seed=1)
    np.testing.assert_array_equal(again, draws.x[:3])
    conditioned = model.condition(prefix)
    np.testing.assert_allclose(conditioned.log_prob(draws.x[:5]), draws.log_prob[:5], rtol=1e-10)
    check_process(conditioned)


def test_after_given_values_that_must_be_observed():
    model = AR.from_parameters([1.5, -0.5], initial="given")
    x = np.array([1.0, 2.0, np.nan, np.nan, 4.0, 3.0])
    # x_3, x_4 are integrated out by hand: the law of (x_5, x_6) given (x_1, x_2)
    psi = np.array([1.0, 1.5, 1.75, 1.875])
    mean = [2.0 + 0.5 + 0.25 + 0.125, 2.0 + 0.5 + 0.25 + 0.125 + 0.0625]
    rows = np.array([[psi[2], psi[1], psi[0], 0.0], [psi[3], psi[2], psi[1], psi[0]]])
    want = multivariate_normal(mean, rows @ rows.T).logpdf([4.0, 3.0])
    assert model.log_prob(x) == pytest.approx(want, rel=1e-12)
    for call in (model.log_prob, model.conditional, lambda z: model.sample(1, 1, prefix=z)):
        with pytest.raises(DataError, match="first 2 of a sequence"):
            call([1.0, np.nan, 3.0, 2.0])


def test_gradients_go_through_the_filter():
    x = torch.tensor(gappy(30), requires_grad=True)

    def log_prob(coef, mean, sigma2):
        return AR.from_parameters(coef, mean, sigma2).log_prob(x)

    numbers = [torch.tensor(v, dtype=torch.float64) for v in (COEF, 1.0, 2.0)]
    assert torch.autograd.gradcheck(log_prob, [v.requires_grad_() for v in numbers])
    log_prob(*numbers).backward()
    seen = ~torch.isnan(x.detach())
    assert (x.grad[seen] != 0).all()
    assert (x.grad[~seen] == 0).all()
    with torch.no_grad():
        plain = AR.from_parameters(COEF, 1.0, 2.0).log_prob(x.detach())
    torch.testing.assert_close(log_prob(*numbers).detach(), plain, rtol=1e-12, atol=0)


@pytest.mark.parametrize("length", [0, 1, 2, 5])
def test_draws_go_on_after_a_gap_however_few_they_are(length):
    model = AR.from_parameters(COEF, 1.0, 2.0)
    prefix = np.array([1.0, 2.0, 0.5, np.nan])
    draws = model.sample(3, length, prefix, seed=1, return_log_prob=True)
    assert draws.x.shape == (3, length)
    longer = model.sample(3, 8, prefix, seed=1)
    np.testing.assert_allclose(draws.x, longer[:, :length], rtol=1e-9)


def test_residuals_of_missing_elements_are_missing():
    x = gappy(60)
    series = pd.Series(x, pd.date_range("2021", periods=60, freq="D"))
    model = AR.from_parameters(COEF, mean=1.0)
    rest = model.residuals(series, standardised=True)
    assert (rest.isna() == series.isna()).all()
    terms = model.log_prob_terms(series)
    variance = (model.residuals(series) / rest) ** 2
    want = -0.5 * (rest**2 + np.log(variance) + np.log(2 * np.pi))
    np.testing.assert_allclose(terms[~rest.isna()], want.dropna(), rtol=1e-9)


def test_laws_of_any_start_keep_the_contract_with_gaps():
    normal = torch.distributions.MultivariateNormal(
        torch.ones(2, dtype=torch.float64), 3 * torch.eye(2, dtype=torch.float64)
    )
    for model in (
        AR.from_parameters([0.4, 0.2], slope=0.1),
        AR.from_parameters([1.2, -0.2], initial="given"),
        AR.from_parameters([0.4, 0.3], initial=normal),
        AR.from_parameters([]),
    ):
        report = check_process(model, only=["missing_values"])
        assert report.passed == ["missing_values"]


# ---- what stands for a missing value ------------------------------------------------------------


def test_every_form_of_a_missing_value_is_the_same():
    model, x = AR.from_parameters(COEF), [1.0, None, 3.0, 2.0, None, 1.0]
    plain = np.array([np.nan if v is None else v for v in x])
    want = model.log_prob(plain)
    gone = np.isnan(plain)
    whole = np.where(gone, 99, plain)
    forms = [
        torch.tensor(plain),
        pd.Series(x, dtype="Float64"),
        pd.Series(x, dtype="Int64"),
        np.ma.MaskedArray(whole, gone),
        np.ma.MaskedArray(whole.astype(int), gone),
        plain.astype(np.float32),
    ]
    for form in forms:
        assert float(model.log_prob(form)) == pytest.approx(want, rel=1e-12)
    several = model.log_prob([np.ma.MaskedArray(whole, gone), plain[:3]])
    assert several[0] == pytest.approx(want, rel=1e-12)
    frame = pd.DataFrame({"a": pd.Series(x, dtype="Int64"), "b": range(6)})
    assert model.log_prob(frame)[0] == pytest.approx(want, rel=1e-12)


def test_everywhere_else_nan_stays_refused():
    x = gappy(60)
    model = AR(1).fit(x)
    with pytest.raises(DataError, match=r"NaN.*takes_missing"):
        arproc.Mixture([model]).fit(x)
    with pytest.raises(DataError, match="infinity"):
        model.log_prob([1.0, np.nan, np.inf])
    gaps = model.sequences(x, missing=True)
    with pytest.raises(DataError, match="NaN"):
        arproc.Mixture([model]).fit(np.arange(9.0)).log_prob(gaps)
