"""LogisticAR against statsmodels and scikit-learn, closed forms, and itself."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

import arproc
from arproc import LogisticAR
from arproc.errors import DataError, ParameterError
from arproc.spaces import Binary, Categorical


def bits(n: int = 400, seed: int = 0) -> np.ndarray:
    truth = LogisticAR.from_parameters(-0.5, [1.0, -0.7])
    return truth.sample(1, length=n, seed=seed)[0].astype(int)


def symbols(n: int = 600, k: int = 3, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    coef = np.zeros((k, 2, k))
    coef[1:, :, 1:] = rng.normal(size=(k - 1, 2, k - 1))
    truth = LogisticAR.from_parameters(np.r_[0.0, rng.normal(size=k - 1)], coef)
    return truth.sample(1, length=n, seed=seed)[0]


def one_hot(x, p, k, first):
    hot = np.eye(k)[:, first:]
    return np.hstack([hot[x[p - i : len(x) - i]] for i in range(1, p + 1)]), x[p:]


def test_binary_is_the_logit_of_statsmodels():
    import statsmodels.api as sm

    x = bits()
    model = LogisticAR(2, initial="given").fit(x)
    lags, target = one_hot(x, 2, 2, 1)
    peer = sm.Logit(target, sm.add_constant(lags)).fit(disp=0, tol=1e-12)
    np.testing.assert_allclose(model.estimates_, peer.params, rtol=1e-8)
    np.testing.assert_allclose(np.sqrt(np.diag(model.covariance_)), peer.bse, rtol=1e-6)
    assert model.log_likelihood_ == pytest.approx(peer.llf, rel=1e-12)
    assert model.log_prob(x) == pytest.approx(peer.llf, rel=1e-12)


def test_multinomial_is_that_of_statsmodels():
    import statsmodels.api as sm

    x = symbols()
    model = LogisticAR(2, initial="given").fit(x)
    lags, target = one_hot(x, 2, 3, 1)
    peer = sm.MNLogit(target, sm.add_constant(lags)).fit(disp=0, method="newton", tol=1e-12)
    np.testing.assert_allclose(model.estimates_, peer.params.T.reshape(-1), rtol=1e-7)
    errors = np.sqrt(np.diag(model.covariance_))
    np.testing.assert_allclose(errors, peer.bse.T.reshape(-1), rtol=1e-5)
    assert model.log_prob(x) == pytest.approx(peer.llf, rel=1e-12)
    chances = peer.predict(sm.add_constant(lags))
    np.testing.assert_allclose(model.conditionals(x).probs[0], chances, atol=1e-9)


@pytest.mark.parametrize("k", [2, 3])
def test_ridge_is_that_of_scikit_learn(k):
    from sklearn.linear_model import LogisticRegression

    x, ridge = (bits() if k == 2 else symbols()), 5.0
    model = LogisticAR(2, ridge=ridge, initial="given").fit(x)
    lags, target = one_hot(x, 2, k, 0)
    # two outcomes share one vector there, the difference of ours: half of its squared norm
    strength = (2 if k == 2 else 1) / ridge
    peer = LogisticRegression(C=strength, tol=1e-12, solver="newton-cholesky", max_iter=500)
    peer.fit(lags, target)
    found = model.conditionals(x)
    chances = found.probs[0] if k > 2 else torch.stack([1 - found.probs[0], found.probs[0]], -1)
    np.testing.assert_allclose(chances, peer.predict_proba(lags), atol=1e-7)
    assert 1 < model.n_effective_ < len(model.names_)


def test_order_one_has_the_empirical_transitions():
    x = symbols(seed=1)
    model = LogisticAR(1, initial="given").fit(x)
    for s in range(3):
        after = x[1:][x[:-1] == s]
        want = np.bincount(after, minlength=3) / len(after)
        np.testing.assert_allclose(model.conditional([s]).probs, want, atol=1e-9)


def test_order_zero_has_the_frequencies():
    x = symbols()
    model = LogisticAR(0).fit(x)
    np.testing.assert_allclose(model.conditional().probs, model.frequencies_, atol=1e-10)


def test_elements_before_the_first_weigh_as_the_average():
    model = LogisticAR(2).fit(bits())
    share = model.frequencies_[1]
    first = model.intercept_[1] + share * model.coef_[1, :, 1].sum()
    assert float(model.conditional().logits) == pytest.approx(first)
    second = model.intercept_[1] + model.coef_[1, 0, 1] + share * model.coef_[1, 1, 1]
    assert float(model.conditional([1]).logits) == pytest.approx(second)
    x = bits()
    assert model.log_likelihood_ == pytest.approx(model.log_prob(x), rel=1e-12)


def test_without_a_ridge_no_neighbour_is_better():
    x = symbols(seed=2)
    model = LogisticAR(2).fit(x)
    rng = np.random.default_rng(0)
    for _ in range(10):
        intercept, coef = model.intercept_.copy(), model.coef_.copy()
        intercept[1:] += 0.02 * rng.normal(size=2)
        coef[1:, :, 1:] += 0.02 * rng.normal(size=(2, 2, 2))
        near = LogisticAR.from_parameters(intercept, coef, model.frequencies_)
        assert near.log_prob(x) < model.log_likelihood_


def test_spaces():
    assert isinstance(LogisticAR(1).fit(bits()).space, Binary)
    assert LogisticAR(1).fit(symbols()).space == Categorical(3)
    assert LogisticAR(1, symbols=5, ridge=1.0).fit(symbols()).space == Categorical(5)


def test_text_comes_back_as_text():
    model = LogisticAR(2, symbols="char", ridge=0.5).fit("abcabcabdabc" * 8)
    assert set(model.sample(1, length=20, seed=0)[0]) <= set("abcd")
    assert float(model.conditional("ab").probs.max()) > 0.6


def test_several_sequences_are_pooled():
    x, y = symbols(150), symbols(90, seed=0)
    model = LogisticAR(1).fit([x, y])
    assert model.log_likelihood_ == pytest.approx(model.log_prob(x) + model.log_prob(y))
    assert model.n_observations_ == 240
    table = model.log_prob_terms(pd.Series(x, index=pd.RangeIndex(10, 160)))
    assert table.index[0] == 10


def test_a_saved_fit_is_the_same(tmp_path):
    x = symbols(200)
    model = LogisticAR(2, ridge=0.1).fit(x)
    model.save(tmp_path / "model")
    again = arproc.load(tmp_path / "model")
    assert again.log_prob(x) == model.log_prob(x)
    assert again.summary() == model.summary()


def test_separated_data_are_refused_until_there_is_a_ridge():
    x = np.tile([0, 0, 1], 30)
    with pytest.raises(DataError, match=r"separated.*ridge"):
        LogisticAR(2, initial="given").fit(x)
    model = LogisticAR(2, ridge=0.1).fit(x)
    assert np.isfinite(model.estimates_).all()
    assert float(model.conditional([0, 0]).probs) > 0.95


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: LogisticAR(1, symbols=4).fit(symbols()), DataError, "symbol 3.*ridge"),
        (lambda: LogisticAR(1).fit(np.zeros(20, dtype=int)), DataError, "symbol 1.*ridge"),
        (lambda: LogisticAR(1).fit([0.5, 1.0, 0.0]), DataError, "fraction"),
        (lambda: LogisticAR(1, symbols=2).fit(symbols()), DataError, "zeros and ones"),
        (lambda: LogisticAR(1, ridge=-1.0).fit(bits()), ParameterError, "ridge"),
        (lambda: LogisticAR(1, initial="zero").fit(bits()), ParameterError, "initial"),
        (
            lambda: LogisticAR(3, symbols=40, ridge=1.0).fit(symbols()),
            ParameterError,
            "NGram",
        ),
        (lambda: LogisticAR(5, initial="given").fit([0, 1, 1]), DataError, "too short"),
        (lambda: LogisticAR.from_parameters([0.0, 1.0], [0.5]), ParameterError, "coef"),
        (
            lambda: LogisticAR.from_parameters(0.0, [0.5], frequencies=[0.5, 0.6]),
            ParameterError,
            "frequencies",
        ),
    ],
)
def test_bad_input_is_refused(make, error, words):
    with pytest.raises(error, match=words):
        make()
