"""A fitted law is a value: the faults that followed from anything else, one by one.

`check_process` asks the same of every model (`outlives_refit`, `refused_refit`,
`parameters_set_later`, `copies`); here are the cases that were met.
"""

from __future__ import annotations

import copy
import pickle
import warnings

import numpy as np
import pytest
import torch

import arproc
from arproc import (
    AR,
    ARIMA,
    MADE,
    SETAR,
    VAR,
    BayesianAR,
    CountAR,
    InfiniGram,
    MarkovSwitchingAR,
    NGram,
    Training,
)
from arproc.errors import ArprocError


def series(n: int = 120, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(size=n)
    x = np.zeros(n)
    for t in range(2, n):
        x[t] = 0.9 * x[t - 1] - 0.4 * x[t - 2] + noise[t]
    return x


def counts(n: int = 120, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).poisson(4 + 3 * np.sin(np.arange(n) / 4))


REAL = {
    "AR": lambda: AR(2),
    "ARIMA": lambda: ARIMA((1, 1, 1)),
    "SETAR": lambda: SETAR(1),
    "BayesianAR": lambda: BayesianAR(2),
    "MarkovSwitchingAR": lambda: MarkovSwitchingAR(1),
    "CountAR": lambda: CountAR(1),
}


def example(name: str, seed: int = 0) -> np.ndarray:
    return counts(seed=seed) if name == "CountAR" else series(seed=seed)


@pytest.mark.filterwarnings("ignore:the standard errors of")
@pytest.mark.parametrize("name", REAL)
def test_a_state_speaks_its_own_law_after_a_refit(name):
    x, other = example(name), 3 * example(name, seed=5)
    model = REAL[name]().fit(x)
    state, want = model.start(x[:30]), model.conditional(x[:30])
    later = model.conditional(x[:31])
    value = torch.tensor(float(x[30]), dtype=torch.float64)
    model.fit(other)
    assert state.conditional.log_prob(value).item() == want.log_prob(value).item()
    after = state.append([x[30]]).conditional
    assert after.log_prob(value).item() == pytest.approx(later.log_prob(value).item(), rel=1e-12)
    assert model.conditional(x[:30]).log_prob(value).item() != want.log_prob(value).item()


@pytest.mark.parametrize(
    "make", [lambda: NGram(4, smoothing="witten_bell"), InfiniGram], ids=["NGram", "InfiniGram"]
)
def test_a_state_of_a_trie_that_is_gone_lives_on(make):
    rng = np.random.default_rng(0)
    lines = [" ".join(f"w{k}" for k in rng.integers(0, 3000, 12)) for _ in range(4000)]
    model = make().fit(lines)
    prefixes = [line.rsplit(" ", 6)[0] for line in lines[:50]]
    state = model.start(prefixes)
    want = model.start(prefixes).conditional.probs.clone()
    model.fit(["a b c", "a c b"] * 3)
    torch.testing.assert_close(state.conditional.probs, want, rtol=0, atol=0)


REFUSED = {
    "SETAR": (lambda: SETAR(1), series(), np.arange(60.0)),
    "BayesianAR": (lambda: BayesianAR(2), series(), np.ones(50)),
    "CountAR": (lambda: CountAR(1), counts(), np.array([1, 2])),
    "AR": (lambda: AR(3), series(), np.array([1.0, 2.0])),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_refused_refit_changes_nothing(name):
    make, good, bad = REFUSED[name]
    model = make().fit(good)
    law, want = model.law_, model.log_prob(good)
    with pytest.raises(ArprocError):
        model.fit(bad)
    assert model.law_ is law
    assert model.log_prob(good) == want
    fresh = make()
    with pytest.raises(ArprocError):
        fresh.fit(bad)
    with pytest.raises(arproc.errors.NotFittedError):
        fresh.log_prob(good)


CHANGES = {
    "AR": (lambda: AR(2), {"order": 5, "initial": "given", "trend": "ct"}),
    "ARIMA": (lambda: ARIMA((1, 1, 1)), {"order": (2, 0, 0), "trend": "ct"}),
    "MarkovSwitchingAR": (lambda: MarkovSwitchingAR(1), {"order": 3, "regimes": 3}),
    "SETAR": (lambda: SETAR(1), {"order": 3}),
    "BayesianAR": (lambda: BayesianAR(2), {"orders": 4}),
}


@pytest.mark.filterwarnings("ignore:the standard errors of")
@pytest.mark.parametrize("name", CHANGES)
def test_parameters_set_after_the_fit_wait_for_the_next(name, tmp_path):
    make, change = CHANGES[name]
    x = series()
    model = make().fit(x)
    want, ahead = model.log_prob(x), model.forecast(x, 3, seed=0)
    known = set(model.get_params(deep=False))
    model.set_params(**{k: v for k, v in change.items() if k in known})
    assert model.log_prob(x) == want
    np.testing.assert_array_equal(model.forecast(x, 3, seed=0), ahead)
    model.save(tmp_path / "model.arproc")
    assert arproc.load(tmp_path / "model.arproc").log_prob(x) == want


def test_parameters_of_vectors_and_networks_wait_too(tmp_path):
    x = np.stack([series(), series(seed=1)], axis=1)
    model = VAR(2).fit(x)
    want = model.forecast(x, 4)
    model.set_params(order=4, trend="ct")
    np.testing.assert_array_equal(model.forecast(x, 4), want)
    bits = np.random.default_rng(0).integers(0, 2, (40, 5))
    made = MADE((7,), training=Training(steps=3)).fit(bits)
    scores, drawn = made.log_prob(bits), made.sample(5, seed=1)
    made.set_params(hidden=(3, 3), ordering="random", levels=3)
    np.testing.assert_array_equal(made.log_prob(bits), scores)
    np.testing.assert_array_equal(made.sample(5, seed=1), drawn)


def test_views_are_read_only_and_copies_equal():
    x = series()
    model = AR(2).fit(x)
    with pytest.raises(ValueError, match="read-only"):
        model.coef_[0] = 1.0
    with pytest.raises(AttributeError, match="read-only"):
        model.coef_ = np.zeros(2)
    with pytest.raises(AttributeError):
        model.law_ = None
    for again in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert again.log_prob(x) == model.log_prob(x)
        assert again.fit_.covariance.tolist() == model.fit_.covariance.tolist()
    with pytest.raises(arproc.errors.NotFittedError, match="not fitted yet"):
        _ = AR(2).coef_
    assert not hasattr(AR(2), "coef_")


def test_what_is_made_of_a_model_keeps_the_law_it_was_made_of():
    x = series()
    model = AR(1).fit(x)
    after, mixed = model.condition(x[:50]), arproc.Mixture([model, AR(2).fit(x)]).fit(x)
    want = after.log_prob(x[50:60]), mixed.log_prob(x)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(100 * x)
    assert (after.log_prob(x[50:60]), mixed.log_prob(x)) == want


def test_laws_hold_their_own_copies_of_what_the_user_holds():
    x = series()
    prefix, push = x[:20].copy(), torch.randn(60, 1, dtype=torch.float64)
    model = AR(2).fit(x)
    after = model.condition(prefix)
    driven = AR(1, regressors="mean").fit(x[:60], context=push)
    state = driven.start(x[:20], context=push)
    start = torch.distributions.MultivariateNormal(torch.zeros(2).double(), torch.eye(2).double())
    begun = AR(2, initial=start, method="ols").fit(x)
    coef = torch.tensor([0.5, 0.1], dtype=torch.float64)
    given = AR.from_parameters(coef)
    bounded = np.array([0.3])
    shares = arproc.BetaAR.from_parameters(0.1, bounded, 5.0)
    first, second, weights = AR(1).fit(x), AR(2).fit(x), [0.5, 0.5]
    mixed = arproc.Mixture([first, second], weights=weights)

    def now() -> list[float]:
        return [
            after.log_prob(x[20:40]),
            float(state.append([1.0]).conditional.mean),
            begun.log_prob(x),
            given.log_prob(x),
            shares.log_prob(np.linspace(0.2, 0.8, 20)),
            mixed.log_prob(x),
        ]

    before = now()
    prefix[:], bounded[:], weights[0] = 9.0, 0.9, 0.1
    push.zero_(), start.loc.fill_(5.0), coef.mul_(0.1)
    first.fit(9 * x)
    assert now() == before


def test_what_a_file_would_lose_is_refused_by_save(tmp_path):
    class Careless(arproc.Process):
        window_length = 0

        def _infer_space(self, data):
            return arproc.spaces.Real()

        def _fit(self, sequences, *, validation, context):
            self.level = float(sequences.values.mean())

        def window(self, ctx, position):
            mean = torch.full(position.shape, self.level, dtype=torch.float64)
            return torch.distributions.Normal(mean, 1.0, validate_args=False)

    with pytest.raises(arproc.errors.ParameterError, match=r"level was set by _fit.*level_"):
        Careless().fit([1.0, 2.0]).save(tmp_path / "model.arproc")
    with pytest.raises(arproc.errors.NotFittedError):
        arproc.Mixture([AR(1), AR(2)], weights=[0.5, 0.5]).save(tmp_path / "model.arproc")
    assert not list(tmp_path.iterdir())


def test_of_says_what_it_takes():
    with pytest.raises(arproc.errors.ParameterError, match="law must be a Law"):
        arproc.Process.of(AR(1))
