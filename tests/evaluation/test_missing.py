"""Scores of data with missing values: of what was observed alone, by brute force."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats

import arproc
from arproc.errors import DataError, NotComparableError
from arproc.evaluation import (
    crps,
    crps_of,
    evaluate,
    mase,
    msis,
    pit,
    seasonal_scale,
    smape,
    uniformity,
)

N = 60
GAPS = [0, 7, 8, 9, 30, 59]


@pytest.fixture(scope="module")
def model():
    return arproc.AR.from_parameters([0.6, -0.3], mean=2.0, sigma2=0.5)


@pytest.fixture(scope="module")
def gappy(model):
    x = model.sample(1, length=N, seed=0)[0]
    x[GAPS] = np.nan
    return x


def autocovariances(count):
    """Of x_t = 0.6 x_{t-1} - 0.3 x_{t-2} + e_t, var(e) = 0.5, by its moving-average form."""
    psi = [1.0, 0.6]
    while len(psi) < 300:
        psi.append(0.6 * psi[-1] - 0.3 * psi[-2])
    psi = np.array(psi)
    return np.array([0.5 * psi[: 300 - k] @ psi[k:] for k in range(count)])


def conditionals(x):
    """Mean and variance of each element given those observed before, by normal theory."""
    gamma = autocovariances(len(x))
    sigma = gamma[np.abs(np.subtract.outer(np.arange(len(x)), np.arange(len(x))))]
    found = []
    for t in range(len(x)):
        past = np.flatnonzero(~np.isnan(x[:t]))
        w = np.linalg.solve(sigma[np.ix_(past, past)], sigma[past, t])
        found.append((2 + w @ (x[past] - 2), sigma[t, t] - w @ sigma[past, t]))
    return np.array(found).T


def test_figures_are_means_over_what_was_observed(model, gappy):
    mean, variance = conditionals(gappy)
    terms = stats.norm.logpdf(gappy, mean, np.sqrt(variance))
    seen = ~np.isnan(gappy)
    result = evaluate(model, gappy)
    assert result.n_elements == N - len(GAPS)
    assert result.log_prob_nats == pytest.approx(terms[seen].sum(), rel=1e-9)
    assert result.nats_per_element == pytest.approx(-terms[seen].mean(), rel=1e-9)
    assert model.score(gappy) == pytest.approx(terms[seen].mean(), rel=1e-9)
    assert "6 element(s) are missing" in str(result)
    later = evaluate(model, gappy, given=8)  # of the gaps 7 lies before, 8 and 9 after
    assert later.n_elements == N - 8 - 4
    assert later.log_prob_nats == pytest.approx(terms[8:][seen[8:]].sum(), rel=1e-9)


def test_standard_errors_are_those_of_the_terms_observed(model, gappy):
    white = arproc.AR.from_parameters([], mean=2.0)  # terms of gaps would be zeros among them
    whole = gappy[~np.isnan(gappy)]
    for by in ("element", "auto"):
        mine, want = evaluate(white, gappy, by=by), evaluate(white, whole, by=by)
        assert mine.nats_per_element_se == pytest.approx(want.nats_per_element_se, rel=1e-12)
    rows = np.stack([np.roll(gappy, k) for k in range(12)])
    parts = [row[~np.isnan(row)] for row in rows]
    mine, want = evaluate(white, rows), evaluate(white, parts)
    assert mine.nats_per_element_se == pytest.approx(want.nats_per_element_se, rel=1e-12)


def test_crps_and_pit_of_what_was_observed_are_those_of_normal_theory(model, gappy):
    mean, variance = conditionals(gappy)
    law = torch.distributions.Normal(torch.tensor(mean), torch.tensor(variance).sqrt())
    seen = ~np.isnan(gappy)
    series = pd.Series(gappy, pd.date_range("2020-01-01", periods=N))
    found, u = crps(model, series), pit(model, series)
    assert found.index.equals(series.index)
    assert u.index.equals(series.index)
    want = crps_of(law, np.where(seen, gappy, 0.0)).numpy()
    np.testing.assert_allclose(found[seen], want[seen], rtol=1e-8)
    assert found[~seen].isna().all()
    np.testing.assert_allclose(
        u[seen], stats.norm.cdf(gappy, mean, np.sqrt(variance))[seen], rtol=1e-8
    )
    assert u[~seen].isna().all()
    assert uniformity(u) == uniformity(u.dropna())
    assert uniformity(u).n == N - len(GAPS)


def test_integrals_of_other_conditionals_leave_gaps_out_too(gappy):
    """Of a logarithm's autoregression, whose CRPS is integrated and whose data are above 0."""
    y = np.exp(gappy / 3)
    model = arproc.Transformed(arproc.AR(1), arproc.transforms.Log()).fit(y)
    values, errors = crps(model, y, return_error=True)
    assert (np.isnan(values) == np.isnan(y)).all()
    assert errors[~np.isnan(y)].max() < 1e-6
    assert (np.isnan(pit(model, y)) == np.isnan(y)).all()


def test_data_without_anything_observed(model):
    nothing = np.full(4, np.nan)
    for score in (lambda: evaluate(model, nothing), lambda: model.score(nothing)):
        with pytest.raises(DataError, match=r"no element to score.*all others are missing"):
            score()
    assert np.isnan(crps(model, nothing)).all()
    assert np.isnan(pit(model, nothing)).all()


def test_models_are_compared_on_what_was_observed(model, gappy):
    other = arproc.ARIMA((1, 0, 0)).fit(gappy)
    table = arproc.compare({"ar": model, "arima": other}, gappy)
    assert table.attrs["n_elements"] == N - len(GAPS)
    assert table.attrs["n_missing"] == len(GAPS)
    terms = [m.log_prob_terms(gappy)[~np.isnan(gappy)] for m in (model, other)]
    gap = (terms[0] - terms[1]).mean()
    worst = table["difference_nats_per_element"].max()
    assert worst == pytest.approx(abs(gap), rel=1e-9)


def test_a_prefix_with_gaps_is_the_same_prefix(model, gappy):
    other = arproc.AR.from_parameters([0.5], mean=2.0)
    prefix, rest = gappy[:20], gappy[20:]
    models = {"a": model.condition(prefix), "b": other.condition(list(prefix))}
    table = arproc.compare(models, rest)
    want = model.log_prob(gappy) - model.log_prob(prefix)
    assert table.loc["a", "log_prob_nats"] == pytest.approx(want, rel=1e-9)
    filled = np.where(np.isnan(prefix), 0.0, prefix)
    for another in (filled, gappy[:19]):
        with pytest.raises(NotComparableError, match="different starts"):
            arproc.compare({"a": model.condition(prefix), "b": other.condition(another)}, rest)
    twice = {k: m.condition(prefix).condition(rest[:11]) for k, m in (("a", model), ("b", other))}
    assert len(arproc.compare(twice, rest[11:])) == 2


def test_a_tensor_distribution_takes_gaps(model, gappy):
    value = torch.tensor(gappy)
    assert float(model.distribution(N).log_prob(value)) == pytest.approx(model.log_prob(gappy))


def test_scores_of_point_forecasts_leave_out_the_steps_without_a_value():
    f, y, nan = [1.0, 2.0, 5.0], [2.0, np.nan, 4.0], np.nan
    history = [1.0, nan, 4.0, 5.0, 3.0]
    assert seasonal_scale(history, 1) == pytest.approx(1.5)  # of 1 and 2
    assert mase(f, y, history) == pytest.approx(1 / 1.5)
    assert smape(f, y) == pytest.approx(smape([1.0, 5.0], [2.0, 4.0]))
    whole = msis([0.0, 3.0], [1.0, 6.0], [2.0, 4.0], history)
    assert msis([0.0, 9.0, 3.0], [1.0, 9.0, 6.0], y, history) == pytest.approx(whole)
    assert smape([f, f], [y, [1.0, 2.0, 5.0]])[1] == 0
    with pytest.raises(DataError, match=r"missing \(NaN\) at every step"):
        smape([f, f], [y, [nan] * 3])
    with pytest.raises(DataError, match="forecast has values that are not finite"):
        smape([1.0, nan], [1.0, 1.0])
    with pytest.raises(DataError, match="infinite"):
        smape([1.0], [np.inf])
    with pytest.raises(DataError, match=r"no two values that are 3 step"):
        seasonal_scale([1.0, 2.0, nan, nan, nan], 3)


def test_searches_and_splits_of_scikit_learn_take_gaps(gappy):
    from sklearn.model_selection import GridSearchCV, TimeSeriesSplit, cross_val_score

    series = pd.Series(gappy, pd.date_range("2020-01-01", periods=N))
    scores = cross_val_score(arproc.AR(1), series, cv=TimeSeriesSplit(2))
    first = arproc.AR(1).fit(series[:20])
    assert scores[0] == pytest.approx(first.score(series[20:40]))
    search = GridSearchCV(arproc.AR(1), {"order": [1, 2]}, cv=TimeSeriesSplit(2)).fit(series)
    assert search.best_params_["order"] in (1, 2)


@pytest.mark.parametrize(
    ("model", "why"),
    [
        (arproc.SETAR(1), "side of the threshold"),
        (arproc.MarkovSwitchingAR(order=9, regimes=2), "path of regimes"),
        (arproc.ARGARCH(1), "missing innovation"),
        (arproc.CountAR(1), "missing count"),
    ],
)
def test_models_without_a_likelihood_of_gaps_say_why(model, why):
    x = np.random.default_rng(0).poisson(3.0, 80).astype(float)
    x[4] = np.nan
    with pytest.raises(DataError, match=rf"{why}.*[Pp]ass the pieces between the gaps as a list"):
        model.fit(x)
