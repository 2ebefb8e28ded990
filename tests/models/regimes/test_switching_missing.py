"""Hidden Markov models of normal laws, some elements of which were not observed."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.stats import norm

from arproc import MarkovSwitchingAR
from arproc.compiled.interpreted import nothing_interpreted
from arproc.errors import DataError

CHAIN = np.array([[0.9, 0.1], [0.25, 0.75]])
MODEL = MarkovSwitchingAR.from_parameters(CHAIN, np.zeros((2, 0)), [0.0, 3.0], [1.0, 0.5])
START = np.array([0.25, 0.1]) / 0.35


def drawn(n: int, seed: int = 0) -> np.ndarray:
    x = MODEL.sample(length=n, seed=seed)[0]
    x[np.random.default_rng(seed).random(n) < 0.2] = np.nan
    return x


def joint(x: np.ndarray) -> dict[tuple[int, ...], float]:
    """p(path of regimes, what was observed), path by path."""
    found = {}
    for path in itertools.product((0, 1), repeat=len(x)):
        p = START[path[0]]
        for before, after in itertools.pairwise(path):
            p *= CHAIN[before, after]
        for s, value in zip(path, x, strict=True):
            p *= 1.0 if np.isnan(value) else norm.pdf(value, [0.0, 3.0][s], [1.0, 0.5**0.5][s])
        found[path] = p
    return found


def test_likelihoods_and_regimes_are_sums_over_all_paths():
    x = np.array([0.3, np.nan, np.nan, 2.8, -0.5, np.nan, 3.3, np.nan])
    paths = joint(x)
    total = sum(paths.values())
    assert MODEL.log_prob(x) == pytest.approx(np.log(total), rel=1e-12)
    terms = MODEL.log_prob_terms(x)
    assert not terms[np.isnan(x)].any()
    share = [sum(p for s, p in paths.items() if s[t]) / total for t in range(len(x))]
    np.testing.assert_allclose(MODEL.smoothed(x)[1], share, rtol=1e-10)
    last = MODEL.filtered(x)[1].to_numpy()[-1]
    assert last == pytest.approx(share[-1])
    ahead = (1 - last) * CHAIN[0, 1] + last * CHAIN[1, 1]
    assert float(MODEL.conditional(x).mean) == pytest.approx(3 * ahead)
    assert MODEL.forecast(x, 1)["mean"].iloc[0] == pytest.approx(3 * ahead)


@pytest.mark.parametrize("variance", [False, True])
def test_the_fit_is_a_maximum_of_the_likelihood_of_what_was_observed(variance):
    x = [drawn(90), drawn(40, 1)]
    model = MarkovSwitchingAR(0, switching_variance=variance, n_starts=2).fit(x)
    seen = sum(int((~np.isnan(part)).sum()) for part in x)
    assert model.n_observations_ == seen
    assert model.log_likelihood_ == pytest.approx(model.log_prob(x).sum(), rel=1e-9)
    assert "left out of the filter exactly" in model.summary()
    parts = [model.transition_, model.coef_, model.mean_, model.sigma2_]
    for i, move in ((0, [[1, -1], [0, 0]]), (0, [[0, 0], [1, -1]]), (2, [1, 0]), (3, [1, 1])):
        ends = []
        for step in (1e-3, -1e-3):
            moved = list(parts)
            moved[i] = parts[i] + step * np.array(move)
            ends.append(MarkovSwitchingAR.from_parameters(*moved).log_prob(x).sum())
        assert max(ends) < model.log_likelihood_
        # level: the two sides fall alike
        assert abs(ends[0] - ends[1]) < 0.02 * (model.log_likelihood_ - min(ends))


def test_compiled_and_interpreted_fits_agree():
    x = drawn(50)
    plain = MarkovSwitchingAR(0, n_starts=2, method="em", tolerance=1e-3).fit(x)
    with nothing_interpreted():
        compiled = MarkovSwitchingAR(0, n_starts=2, method="em", tolerance=1e-3).fit(x)
    np.testing.assert_allclose(compiled.estimates_, plain.estimates_, rtol=1e-8)


def test_what_can_not_be_is_refused_in_words():
    with pytest.raises(DataError, match="so many regimes and lags"):
        MarkovSwitchingAR(9).fit(drawn(40))
    with pytest.raises(DataError):
        MarkovSwitchingAR(0).fit(np.full(40, np.nan))
