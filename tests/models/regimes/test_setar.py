"""SETAR against brute force, published fits, and itself."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

import arproc
from arproc import SETAR
from arproc.errors import DataError, ParameterError
from arproc.models.regimes.threshold_fit import critical_value


def truth() -> SETAR:
    return SETAR.from_parameters(
        [[0.6, 0.0], [-0.4, 0.2]], 0.5, delay=2, intercept=[1.0, -0.5], sigma2=[1.0, 0.25]
    )


def series(n: int = 300, seed: int = 0) -> np.ndarray:
    return truth().sample(1, length=n, prefix=[0.0, 0.0], seed=seed)[0]


def design(x, p, start):
    t = np.arange(start, len(x))
    return np.column_stack([np.ones(len(t)), *(x[t - i] for i in range(1, p + 1))]), x[t], t


def squares(x, y):
    return float(np.sum((y - x @ np.linalg.lstsq(x, y, rcond=None)[0]) ** 2))


def lynx(shared_data) -> np.ndarray:
    table = pd.read_csv(shared_data / "rdatasets" / "lynx.csv")
    return np.log10(table["value"].to_numpy(dtype=float))


def test_search_is_brute_force():
    x = series(150, seed=3)
    model = SETAR(2, trim=0.1).fit(x)
    regressors, target, t = design(x, 2, 2)
    least, best = int(np.ceil(0.1 * len(t))), (np.inf, 0, 0.0)
    for delay in (1, 2):
        for threshold in x[t - delay]:
            low = x[t - delay] <= threshold
            if min(low.sum(), (~low).sum()) < least:
                continue
            total = squares(regressors[low], target[low]) + squares(regressors[~low], target[~low])
            best = min(best, (total, delay, threshold))
    assert (model.delay_, model.threshold_[0]) == best[1:]
    assert float(model.sigma2_ @ model.counts_) == pytest.approx(best[0], rel=1e-10)
    profile = model.profiles_[0]
    assert profile[:, 1].min() == pytest.approx(best[0], rel=1e-8)


def test_two_thresholds_are_those_of_brute_force():
    rng = np.random.default_rng(0)
    x = np.zeros(90)
    for t in range(1, 90):
        level = -3.0 if x[t - 1] > 1.5 else (3.0 if x[t - 1] < -1.5 else 1.0)
        x[t] = level + 0.2 * x[t - 1] + 0.5 * rng.normal()
    model = SETAR(1, 3, delay=1, trim=0.1).fit(x)
    regressors, target, t = design(x, 1, 1)
    least, best = int(np.ceil(0.1 * len(t))), np.inf
    for a, b in itertools.combinations(np.unique(x[t - 1]), 2):
        regime = np.digitize(x[t - 1], [a, b], right=True)
        if np.bincount(regime, minlength=3).min() >= least:
            total = sum(squares(regressors[regime == r], target[regime == r]) for r in range(3))
            best = min(best, total)
    assert float(model.sigma2_ @ model.counts_) == pytest.approx(best, rel=1e-9)


def test_published_fit_of_lynx(shared_data):
    """R's tsDyn, setar(log10(lynx), m=2, thDelay=1)."""
    model = SETAR(2, delay=2).fit(lynx(shared_data))
    assert model.threshold_[0] == pytest.approx(3.31, abs=5e-3)
    np.testing.assert_allclose(model.intercept_, [0.588, 1.166], atol=6e-4)
    np.testing.assert_allclose(model.coef_, [[1.264, -0.428], [1.599, -1.012]], atol=6e-4)
    assert model.counts_[0] / model.counts_.sum() == pytest.approx(0.6964, abs=1e-4)
    assert SETAR(2).fit(lynx(shared_data)).delay_ == 2


def test_estimates_are_least_squares_in_each_regime():
    import statsmodels.api as sm

    x = series(200, seed=1)
    model = SETAR((2, 1), trend="ct", delay=1, threshold=0.4).fit(x)
    full, target, t = design(x, 2, 2)
    low = x[t - 1] <= 0.4
    for r, (inside, p) in enumerate([(low, 2), (~low, 1)]):
        regressors = np.column_stack([full[:, 0], t, full[:, 1 : p + 1]])[inside]
        want = sm.OLS(target[inside], regressors).fit()
        found = [model.intercept_[r], model.drift_[r], *model.coef_[r, :p]]
        np.testing.assert_allclose(found, want.params, rtol=1e-8)
        assert model.sigma2_[r] == pytest.approx(want.ssr / inside.sum(), rel=1e-10)
        names = [f"{n}[{r}]" for n in ["intercept", "drift", "ar.L1", "ar.L2"][: 2 + p]]
        errors = model.parameter_table().loc[names, "std_error"]
        shrink = np.sqrt(want.df_resid / inside.sum())
        np.testing.assert_allclose(errors, want.bse * shrink, rtol=1e-6)
    assert model.coef_[1, 1] == 0.0


def test_likelihood_is_the_sum_of_normal_terms():
    x, model = series(60), truth()
    total = 0.0
    for t in range(2, 60):
        r = int(x[t - 2] > 0.5)
        mean = model.intercept_[r] + model.coef_[r] @ x[[t - 1, t - 2]]
        total += norm.logpdf(x[t], mean, np.sqrt(model.sigma2_[r]))
    assert model.log_prob(x) == pytest.approx(total, rel=1e-12)
    fitted = SETAR(2).fit(x)
    assert fitted.log_likelihood_ == pytest.approx(fitted.log_prob(x), rel=1e-10)


def test_search_finds_the_truth():
    model = SETAR(2).fit(series(3000))
    assert model.delay_ == 2
    assert model.threshold_[0] == pytest.approx(0.5, abs=0.05)
    np.testing.assert_allclose(model.coef_, truth().coef_, atol=0.1)
    low, high = model.threshold_interval(0.95)[0]
    assert low <= 0.5 <= high + 0.02
    inner = model.threshold_interval(0.5)[0]
    assert low <= inner[0] <= model.threshold_[0] <= inner[1] <= high


def test_linearity_test():
    x = series(150)
    model = SETAR(2, delay=2).fit(x)
    found = model.linearity_test(x, 99, seed=0)
    regressors, target, _ = design(x, 2, 2)
    split = float(model.sigma2_ @ model.counts_)
    assert found.statistic == pytest.approx(148 * (squares(regressors, target) / split - 1))
    assert found.p_value == 0.01
    assert model.linearity_test(x, 99, seed=0) == found
    linear = arproc.AR.from_parameters([0.5, 0.2]).sample(1, length=150, seed=3)[0]
    assert SETAR(2).linearity_test(linear, 99, seed=0).p_value > 0.1


@pytest.mark.slow
def test_linearity_test_has_its_size():
    """Under linearity the p-values are about uniform."""
    truth = arproc.AR.from_parameters([0.5])
    values = [
        SETAR(1).linearity_test(truth.sample(1, length=80, seed=s)[0], 99, seed=s).p_value
        for s in range(100)
    ]
    assert np.mean(np.array(values) <= 0.2) == pytest.approx(0.2, abs=0.12)
    assert np.mean(values) == pytest.approx(0.5, abs=0.1)


def test_critical_values_of_hansen():
    """Hansen (2000), table I."""
    found = [critical_value(level) for level in (0.80, 0.85, 0.90, 0.95, 0.99)]
    np.testing.assert_allclose(found, [4.50, 5.10, 5.94, 7.35, 10.59], atol=6e-3)


@pytest.mark.parametrize("scale", [1e-12, 1e12])
def test_units_do_not_matter(scale):
    x = series(200) + 5
    one, other = SETAR(2).fit(x), SETAR(2).fit(scale * x)
    np.testing.assert_allclose(other.threshold_, scale * one.threshold_)
    np.testing.assert_allclose(other.intercept_, scale * one.intercept_, rtol=1e-7)
    np.testing.assert_allclose(other.coef_, one.coef_, rtol=1e-7)


def test_regimes_keep_the_index_and_forecasts_the_dates():
    x = pd.Series(series(80), index=pd.period_range("2000-01", periods=80, freq="M"))
    model = SETAR(2).fit(x)
    regime = model.regime_of(x)
    assert regime.index.equals(x.index[model.n_given :])
    want = np.bincount(regime, minlength=2)
    np.testing.assert_array_equal(want, model.counts_)
    assert str(model.forecast(x, 2, seed=0).index[0]) == "2006-09"


def test_several_sequences_are_pooled():
    x, y = series(150, seed=7), series(90, seed=8)
    model = SETAR(2, delay=2).fit([x, y])
    assert model.log_likelihood_ == pytest.approx(model.log_prob(x) + model.log_prob(y))
    assert model.counts_.sum() == 236


def test_parameters_that_change_after_a_fit_wait_for_the_next_one():
    x = series(120)
    model = SETAR((2, 1), trend="ct").fit(x)
    summary, aic, terms = model.summary(), model.information_criterion(), model.log_prob_terms(x)
    model.set_params(order=3, regimes=3, delay=5, threshold=[0.0, 1.0], trend="n", trim=0.0)
    np.testing.assert_array_equal(model.log_prob_terms(x), terms)
    assert model.n_given == 2
    assert model.summary() == summary
    assert model.information_criterion() == aic
    assert model.threshold_interval().shape == (1, 2)


def test_a_fit_that_is_refused_leaves_the_model_as_it_was():
    x = series(120)
    model = SETAR(2, trend="ct").fit(x)
    summary, terms = model.summary(), model.log_prob_terms(x)
    with pytest.raises(DataError, match=r"collinear lags|without any innovation"):
        model.fit(np.arange(60.0))
    np.testing.assert_array_equal(model.log_prob_terms(x), terms)
    assert model.summary() == summary
    np.testing.assert_array_equal(model.regime_of(x), SETAR(2, trend="ct").fit(x).regime_of(x))


def test_a_saved_fit_is_the_same(tmp_path):
    x = series(120)
    model = SETAR(2, 3).fit(x)
    model.save(tmp_path / "model")
    again = arproc.load(tmp_path / "model")
    assert again.log_prob(x) == model.log_prob(x)
    assert again.summary() == model.summary()
    np.testing.assert_array_equal(again.threshold_interval(), model.threshold_interval())


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: SETAR(1).fit(np.ones(50)), DataError, "does not vary"),
        (lambda: SETAR(3).fit(series(9)), DataError, "for each of the 2 regimes"),
        (lambda: SETAR(1).fit(np.tile([0.0, 1.0], 30)), DataError, "innovation|collinear"),
        (lambda: SETAR(1, threshold=99.0).fit(series(50)), DataError, "at the given threshold"),
        (lambda: SETAR(1, 3, threshold=0.0).fit(series(50)), ParameterError, "2 ascending"),
        (lambda: SETAR((1, 2, 3)).fit(series(50)), ParameterError, "one for each regime"),
        (lambda: SETAR(1, delay=0).fit(series(50)), ParameterError, "delay"),
        (lambda: SETAR(1, trim=0.6).fit(series(50)), ParameterError, "trim"),
        (lambda: truth().threshold_interval(), ParameterError, "not searched"),
        (lambda: SETAR.from_parameters([[0.5], [0.1]], 0.0, sigma2=0), ParameterError, "sigma2"),
    ],
)
def test_bad_input_is_refused(make, error, words):
    with pytest.raises(error, match=words):
        make()
