"""MarkovSwitchingAR against statsmodels, against the sum over all regime paths, and itself."""

from __future__ import annotations

import itertools
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from helpers import assert_close
from models.regimes.gnp import GROWTH
from scipy.stats import norm

import arproc
from arproc import MarkovSwitchingAR
from arproc.distributions import cdf, index
from arproc.errors import DataError, ParameterError
from arproc.models.regimes.chain import stationary
from arproc.models.regimes.switching_fit import Design, _em, _score, _starts
from arproc.testing import check_process

CHAIN = np.array([[0.95, 0.05], [0.1, 0.9]])


def truth(**parameters) -> MarkovSwitchingAR:
    given = {"sigma2": 1.0} | parameters
    if not {"mean", "intercept"} & parameters.keys():
        given["mean"] = [0.0, 3.0]
    return MarkovSwitchingAR.from_parameters(CHAIN, [[0.3], [0.7]], **given)


def about(form: str, constant, rise) -> dict:
    """A trend as the arguments of a form."""
    names = {"mean": ("mean", "slope"), "intercept": ("intercept", "drift")}[form]
    return dict(zip(names, (constant, rise), strict=True))


def series(n: int = 300, seed: int = 0, **parameters) -> np.ndarray:
    return truth(**parameters).sample(1, length=n, prefix=[0.0], seed=seed)[0]


def peer(x, **options):
    from statsmodels.tsa.regime_switching.markov_autoregression import MarkovAutoregression

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return MarkovAutoregression(x, **options)


def from_peer(model, theta) -> MarkovSwitchingAR:
    """Our process with the parameters of statsmodels' (whose time starts at one)."""
    k, p = model.k_regimes, model.order
    named = dict(zip(model.param_names, theta, strict=True))

    def each(name):
        return np.array([named.get(f"{name}[{r}]", named.get(name, 0.0)) for r in range(k)])

    chain = np.zeros((k, k))
    for i in range(k):
        chain[i, :-1] = [named[f"p[{i}->{j}]"] for j in range(k - 1)]
        chain[i, -1] = 1 - chain[i].sum()
    coef = np.stack([each(f"ar.L{i + 1}") for i in range(p)], axis=1)
    slope = each("x1")
    return MarkovSwitchingAR.from_parameters(
        chain, coef, each("const") + slope, each("sigma2"), slope
    )


@pytest.mark.parametrize(
    "options",
    [
        {"k_regimes": 2, "order": 1},
        {"k_regimes": 2, "order": 2, "trend": "ct"},
        {"k_regimes": 2, "order": 4, "switching_ar": False},
        {"k_regimes": 3, "order": 1, "switching_variance": True},
        {"k_regimes": 2, "order": 1, "trend": "n", "switching_variance": True},
    ],
)
def test_likelihood_and_regimes_are_those_of_statsmodels(options):
    x = series()
    model = peer(x, **options)
    theta = model.start_params + 0.02 * np.random.default_rng(1).normal(
        size=len(model.start_params)
    )
    want, ours = model.smooth(theta), from_peer(model, theta)
    assert ours.log_prob(x) == pytest.approx(want.llf, rel=1e-10)
    terms = ours.log_prob_terms(x)
    np.testing.assert_allclose(terms, want.llf_obs, rtol=1e-9)
    np.testing.assert_allclose(ours.filtered(x), want.filtered_marginal_probabilities, atol=1e-10)
    np.testing.assert_allclose(ours.smoothed(x), want.smoothed_marginal_probabilities, atol=1e-10)


@pytest.mark.parametrize("form", ["mean", "intercept"])
@pytest.mark.parametrize("order", [0, 1, 2])
def test_likelihood_and_regimes_are_sums_over_all_paths(form, order):
    rng = np.random.default_rng(order)
    chain = np.array([[0.8, 0.2], [0.4, 0.6]])
    coef, const = rng.normal(size=(2, order)) * 0.4, np.array([-1.0, 2.0])
    sigma2, slope = np.array([0.5, 2.0]), np.array([0.1, -0.2])
    line = about(form, const, slope)
    model = MarkovSwitchingAR.from_parameters(chain, coef, sigma2=sigma2, **line)
    x, n = rng.normal(size=7), 7
    total, held = 0.0, np.zeros((n, 2))
    for path in itertools.product(range(2), repeat=n):
        weight = stationary(chain)[path[0]]
        for a, b in itertools.pairwise(path):
            weight *= chain[a, b]
        for t in range(order, n):
            s = path[t]
            mean = const[s] + slope[s] * t
            for i in range(1, order + 1):
                r = path[t - i]
                level = const[r] + slope[r] * (t - i) if form == "mean" else 0.0
                mean += coef[s, i - 1] * (x[t - i] - level)
            weight *= norm.pdf(x[t], mean, np.sqrt(sigma2[s]))
        total += weight
        for t in range(n):
            held[t, path[t]] += weight
    assert model.log_prob(x) == pytest.approx(np.log(total), rel=1e-12)
    np.testing.assert_allclose(model.smoothed(x), (held / total)[order:], atol=1e-12)


@pytest.mark.parametrize(
    "options",
    [{}, {"switching_variance": True}, {"switching_ar": False}, {"trend": "n"}],
)
def test_fit_is_no_worse_than_that_of_statsmodels(options):
    x = series(400, seed=2)
    model = MarkovSwitchingAR(1, **options).fit(x)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        want = peer(x, k_regimes=2, order=1, **options).fit(disp=False)
    assert model.converged_
    assert model.log_likelihood_ >= want.llf - 1e-6
    assert model.log_likelihood_ == pytest.approx(model.log_prob(x), rel=1e-12)


def test_estimates_and_standard_errors_are_those_of_statsmodels():
    x = series(400, seed=2)
    model = MarkovSwitchingAR(1).fit(x)
    other = peer(x, k_regimes=2, order=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        want = other.fit(start_params=model.estimates_, em_iter=0, disp=False)
    assert [name.replace("mean", "const") for name in model.names_] == other.param_names
    np.testing.assert_allclose(model.estimates_, want.params, atol=1e-4)
    errors = np.sqrt(np.diag(model.covariance_))
    np.testing.assert_allclose(errors, want.bse, rtol=2e-3)


def test_hamiltons_growth_of_output():
    """Hamilton (1989): estimates and log-likelihood as EViews gives them, errors as Stata."""
    model = MarkovSwitchingAR(4, switching_ar=False).fit(GROWTH)
    want = [0.754673, 0.095915, -0.358811, 1.163516, np.exp(-0.262658) ** 2]
    want += [0.013486, -0.057521, -0.246983, -0.212923]
    assert model.log_likelihood_ == pytest.approx(-181.26339, abs=1e-5)
    np.testing.assert_allclose(model.estimates_, want, atol=2e-5)
    errors = [0.0965189, 0.0377362, 0.2645396, 0.0745187, np.nan]
    errors += [0.1199942, 0.137663, 0.1069103, 0.1105311]
    found = np.sqrt(np.diag(model.covariance_))
    np.testing.assert_allclose(np.delete(found, 4), np.delete(errors, 4), atol=2e-5)


def test_known_parameters_give_published_likelihoods():
    """The fits of EViews (order 1) and Stata (order 2) with switching coefficients to GNP."""
    first = MarkovSwitchingAR.from_parameters(
        [[0.85472458, 1 - 0.85472458], [0.53662099, 1 - 0.53662099]],
        [[0.243128], [0.713029]], [1.041419, -0.479157], np.exp(-0.231404) ** 2,
    )  # fmt: skip
    assert first.log_prob(GROWTH) == pytest.approx(-186.7575, abs=1e-4)
    second = MarkovSwitchingAR.from_parameters(
        [[0.3812383, 1 - 0.3812383], [0.3564492, 1 - 0.3564492]],
        [[0.3710719, 0.7002937], [0.4621503, -0.3206652]], [-0.0055216, 1.195482], 0.6677098**2,
    )  # fmt: skip
    assert second.log_prob(GROWTH) == pytest.approx(-179.32354, abs=1e-4)


@pytest.mark.parametrize("order", [0, 2])
@pytest.mark.parametrize("centred", [True, False])
@pytest.mark.parametrize("switching", list(itertools.product([True, False], repeat=3))[:-1])
def test_score_is_the_derivative_of_the_likelihood(order, centred, switching):
    x = series(80)
    design = Design.of(
        np.concatenate([x, x[:30]]), np.array([0, 80, 110]), 2, order, 2, centred, switching, 1e-3
    )
    theta = _starts(design, 2, 0)[1]
    gradient = _score(design, theta)[1]
    for i in range(len(theta)):
        step = np.zeros(len(theta))
        step[i] = 1e-5
        slope = (_score(design, theta + step)[0] - _score(design, theta - step)[0]) / 2e-5
        assert gradient[i] == pytest.approx(slope, rel=1e-6, abs=1e-5)


@pytest.mark.parametrize("centred", [True, False])
def test_em_climbs(centred):
    x = series(200, seed=4)
    design = Design.of(x, np.array([0, 200]), 2, 1, 1, centred, (True, True, True), 1e-3)
    theta = _starts(design, 3, 0)[2]
    found = [_em(design, theta, 1e-6, steps, 1e-12)[1] for steps in range(1, 30)]
    assert np.diff(found).min() > -1e-8


def test_em_ends_near_the_maximum():
    x = series(400, seed=2)
    by_em, best = (MarkovSwitchingAR(1, method=m).fit(x) for m in ("em", "mle"))
    assert by_em.converged_
    assert best.log_likelihood_ - 0.05 < by_em.log_likelihood_ <= best.log_likelihood_ + 1e-9


def test_regimes_are_numbered_by_mean():
    for seed in range(3):
        model = MarkovSwitchingAR(1, seed=seed).fit(series(300, seed=5))
        assert model.mean_[0] < model.mean_[1]
    calm = MarkovSwitchingAR(0, trend="n", switching_variance=True).fit(
        series(300, mean=0.0, sigma2=[5.0, 0.2])
    )
    assert calm.sigma2_[0] < calm.sigma2_[1]


@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e12])
@pytest.mark.parametrize("form", ["mean", "intercept"])
def test_units_do_not_matter(scale, form):
    x = series(300, seed=6)
    one = MarkovSwitchingAR(1, form=form).fit(x)
    other = MarkovSwitchingAR(1, form=form).fit(scale * x)
    assert other.log_likelihood_ == pytest.approx(one.log_likelihood_ - 299 * np.log(scale))
    found = [getattr(model, f"{form}_") for model in (one, other)]
    np.testing.assert_allclose(found[1], scale * found[0], rtol=1e-3)
    np.testing.assert_allclose(other.coef_, one.coef_, atol=1e-3)


def test_several_sequences_are_pooled():
    x, y = series(150, seed=7), series(90, seed=8)
    model = MarkovSwitchingAR(1).fit([x, y])
    assert model.log_likelihood_ == pytest.approx(model.log_prob(x) + model.log_prob(y))
    assert model.n_observations_ == 238
    tables = model.smoothed([x, y])
    assert [len(table) for table in tables] == [149, 89]
    np.testing.assert_allclose(tables[0], model.smoothed(x), atol=1e-12)


@pytest.mark.filterwarnings("ignore:the standard errors of")
def test_regimes_keep_the_index():
    index = pd.date_range("2020-01-01", periods=100, freq="D", tz="Europe/Paris")
    x = pd.Series(series(100), index=index)
    model = MarkovSwitchingAR(1).fit(x)
    table = model.filtered(x)
    assert table.index.equals(index[1:])
    np.testing.assert_allclose(table.sum(axis=1), 1.0)
    state = model.start(x)
    np.testing.assert_allclose(state.regimes[0], table.iloc[-1], atol=1e-12)
    assert model.forecast(x, 3, seed=0).index[0] == index[-1] + pd.Timedelta(days=1)


def test_one_step_ahead_is_the_exact_mixture():
    x, model = series(50), truth(sigma2=[1.0, 4.0])
    conditional = model.conditional(x)
    assert_close(
        float(conditional.log_prob(torch.tensor(1.3))),
        model.log_prob(np.append(x, 1.3)) - model.log_prob(x),
    )
    draws = model.sample(20_000, length=1, prefix=x, seed=1)[:, 0]
    assert draws.mean() == pytest.approx(float(conditional.mean), abs=0.05)


def test_one_step_ahead_forecasts_have_the_mixtures_own_quantiles():
    x, model = series(50), truth(sigma2=[1.0, 4.0])
    table = model.forecast(x, 1, quantiles=(0.1, 0.9))
    conditional = model.conditional(x)
    assert table["mean"].iloc[0] == pytest.approx(float(conditional.mean), rel=1e-12)
    for level in (0.1, 0.9):
        found = torch.tensor(table[level].iloc[0], dtype=torch.float64)
        assert float(cdf(conditional, found)) == pytest.approx(level, abs=1e-10)


@pytest.mark.parametrize("form", ["mean", "intercept"])
@pytest.mark.parametrize("order", [0, 1, 2])
def test_forecasts_are_those_of_simulation(form, order):
    rng = np.random.default_rng(order)
    coef, line = rng.uniform(-0.4, 0.5, (2, order)), about(form, [0.0, 4.0], [0.1, -0.1])
    model = MarkovSwitchingAR.from_parameters(CHAIN, coef, sigma2=[1.0, 3.0], **line)
    x = rng.normal(size=12)
    state = model.start(x)
    exact = model.law_.predictive(state, 5)
    assert exact.batch_shape == (1, 5)
    paths = torch.as_tensor(model.sample(40_000, length=5, prefix=x, seed=1))
    error = 5 * exact.stddev[0] / 200
    assert bool(((paths.mean(0) - exact.mean[0]).abs() < error).all())
    values = torch.linspace(-4, 8, 25, dtype=torch.float64)
    for step in range(5):
        law = index(exact, (0, step))
        share = (paths[:, step, None] <= values).double().mean(0)
        assert float((cdf(law, values) - share).abs().max()) < 0.02


def test_forecasts_beyond_the_number_of_paths_are_simulated():
    x, model = series(50), truth()
    assert model.law_.predictive(model.start(x), 10) is not None
    assert model.law_.predictive(model.start(x), 11) is None
    short, long = model.forecast(x, 10), model.forecast(x, 11, n_paths=20_000, seed=0)
    np.testing.assert_allclose(short, long.iloc[:10], atol=0.15)


def test_two_steps_ahead_written_out():
    chain, model = CHAIN, truth(sigma2=[1.0, 4.0])
    x = series(30)
    weights = model.filtered(x).to_numpy()[-1]
    level, coef, mean = model.mean_, model.coef_[:, 0], 0.0
    for r, s, u in itertools.product(range(2), repeat=3):
        first = level[s] + coef[s] * (x[-1] - level[r])
        second = level[u] + coef[u] * (first - level[s])
        mean += weights[r] * chain[r, s] * chain[s, u] * second
    assert model.forecast(x, 2)["mean"].iloc[1] == pytest.approx(mean, rel=1e-10)


def test_compiled_and_stepwise_filters_agree():
    x = torch.as_tensor(series(700))[None]
    model = truth()
    state = model.start(x[:, :1])
    columns, after = state.extend(x[:, 1:])
    again, slow = state.extend(x[:, 1:].clone().requires_grad_())
    assert_close(columns.mean, again.mean.detach())
    assert_close(after.memory, slow.memory.detach())


def test_outliers_and_absorbing_regimes_stay_finite():
    model = MarkovSwitchingAR.from_parameters(
        [[0.9, 0.1], [0.0, 1.0]], [0.5], mean=[0.0, 1.0], sigma2=[1e-4, 1.0]
    )
    x = np.array([0.0, 1e6, -1e6, 0.0])
    assert np.isfinite(model.log_prob(x))
    assert np.isfinite(model.smoothed(x)).all().all()


def test_outliers_stay_finite_in_estimation():
    """The compiled smoother of the fit is the filter's likelihood, however far values lie."""
    x = series(60)
    x[[20, 21, 40]] = [1e3, -1e4, 5e4]
    design = Design.of(x, np.array([0, 60]), 2, 1, 1, True, (True, True, True), 1e-3)
    for theta in _starts(design, 5, 0):
        theta[-2:] = [-12.0, -30.0]
        value, gradient = _score(design, theta)
        terms, _ = design.unpack(theta).filter(design.values, design.offsets)
        assert value == pytest.approx(terms.sum(), rel=1e-10)
        assert np.isfinite(gradient).all()


@pytest.mark.parametrize("n_starts", [1, 4])
def test_few_starts_end_too(n_starts):
    x = np.random.default_rng(0).normal(size=150) + 5 * (np.arange(150) // 25 % 2)
    model = MarkovSwitchingAR(1, n_starts=n_starts).fit(x)
    assert model.log_likelihood_ == pytest.approx(model.log_prob(x))


def test_a_single_change_has_two_regimes():
    noise = np.random.default_rng(0).normal(size=200)
    model = MarkovSwitchingAR(1, switching_ar=False).fit(noise + 5 * (np.arange(200) >= 100))
    np.testing.assert_allclose(model.mean_, [0.0, 5.0], atol=0.4)
    smoothed = model.smoothed(noise + 5 * (np.arange(200) >= 100))
    np.testing.assert_allclose(smoothed[1], np.arange(1, 200) >= 100, atol=0.3)


def test_expected_durations():
    model = truth()
    np.testing.assert_allclose(model.expected_durations_, [20.0, 10.0])
    np.testing.assert_allclose(model.stationary_regimes_, [2 / 3, 1 / 3])


def test_the_trend_is_a_mean_or_an_intercept():
    levels, recursions = truth(slope=[0.1, 0.2]), truth(intercept=[0.0, 3.0], drift=[0.1, 0.2])
    np.testing.assert_array_equal([levels.mean_, levels.slope_], [[0.0, 3.0], [0.1, 0.2]])
    np.testing.assert_array_equal(
        [recursions.intercept_, recursions.drift_], [levels.mean_, levels.slope_]
    )
    with pytest.raises(AttributeError, match="no drift_ with form='mean'; see mean_ and slope_"):
        _ = levels.drift_
    with pytest.raises(AttributeError, match="no mean_ with form='intercept'; see intercept_"):
        _ = recursions.mean_
    with pytest.raises(ValueError, match="read-only"):
        levels.mean_[0] = 1.0
    x = series(120)
    named = {"mean": ("mean[0]", "slope[1]"), "intercept": ("intercept[0]", "drift[1]")}
    for form, names in named.items():
        fitted = MarkovSwitchingAR(1, trend="ct", form=form, n_starts=2).fit(x)
        found = [fitted.estimates_[fitted.names_.index(name)] for name in names]
        views = [getattr(fitted, f"{name[:-3]}_")[int(name[-2])] for name in names]
        np.testing.assert_array_equal(found, views)


def test_parameters_that_change_after_a_fit_wait_for_the_next_one():
    x = series(150)
    model = MarkovSwitchingAR(2, trend="ct", n_starts=2).fit(x)
    summary, terms = model.summary(), model.log_prob_terms(x)
    smoothed, ahead = model.smoothed(x), model.forecast(x, 3)
    model.set_params(order=1, regimes=3, form="intercept", trend="n", method="em")
    np.testing.assert_array_equal(model.log_prob_terms(x), terms)
    assert model.n_given == 2
    assert model.summary() == summary
    pd.testing.assert_frame_equal(model.smoothed(x), smoothed)
    pd.testing.assert_frame_equal(model.forecast(x, 3), ahead)
    with pytest.raises(DataError, match="one linear"):
        model.set_params(trend="c").fit(0.5 ** np.arange(20.0))
    np.testing.assert_array_equal(model.log_prob_terms(x), terms)


def test_a_saved_fit_is_the_same(tmp_path):
    x = series(120)
    model = MarkovSwitchingAR(2, trend="ct", form="intercept").fit(x)
    model.save(tmp_path / "model")
    again = arproc.load(tmp_path / "model")
    assert again.log_prob(x) == model.log_prob(x)
    assert again.summary() == model.summary()


@pytest.mark.parametrize(
    "model",
    [truth(), truth(intercept=[0.0, 3.0], drift=[0.01, -0.01]), truth(sigma2=[1.0, 9.0])],
    ids=["mean", "intercept", "variance"],
)
def test_known_parameters_keep_the_contract(model):
    assert not check_process(model).failed


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: MarkovSwitchingAR(1).fit(np.ones(50)), DataError, "does not vary"),
        (lambda: MarkovSwitchingAR(3).fit(np.arange(8.0) ** 2), DataError, "more than the"),
        (lambda: MarkovSwitchingAR(1).fit(0.5 ** np.arange(20.0)), DataError, "one linear"),
        (lambda: MarkovSwitchingAR(1, regimes=1).fit(series(50)), ParameterError, "regimes"),
        (lambda: MarkovSwitchingAR(12).fit(series(50)), ParameterError, "form='intercept'"),
        (
            lambda: MarkovSwitchingAR(0, trend="n").fit(series(50)),
            ParameterError,
            "nothing differs",
        ),
        (
            lambda: MarkovSwitchingAR(1, switching_variance=True, min_variance=0).fit(series(50)),
            ParameterError,
            "min_variance",
        ),
        (
            lambda: MarkovSwitchingAR.from_parameters([[0.5, 0.4], [0.1, 0.9]], [0.5]),
            ParameterError,
            "transition",
        ),
        (
            lambda: MarkovSwitchingAR.from_parameters(CHAIN, [0.5], mean=1.0, drift=0.1),
            ParameterError,
            "or as intercept and drift",
        ),
        (
            lambda: MarkovSwitchingAR.from_parameters(CHAIN, [0.5], sigma2=-1.0),
            ParameterError,
            "sigma2",
        ),
    ],
)
def test_bad_input_is_refused(make, error, words):
    with pytest.raises(error, match=words):
        make()
