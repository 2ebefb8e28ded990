"""Switching autoregressions of which elements are missing, against the sum over all paths."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from arproc import MarkovSwitchingAR
from arproc.errors import DataError, UnsupportedError

CHAIN = np.array([[0.9, 0.1], [0.25, 0.75]])
START = np.array([0.25, 0.1]) / 0.35
COEF = np.array([[0.5, -0.2], [-0.3, 0.4]])
LINE = np.array([[0.0, 0.1], [3.0, -0.05]])
SIGMA2 = np.array([1.0, 0.5])
LENGTH = 9


def made(form: str, p: int) -> MarkovSwitchingAR:
    names = ("mean", "slope") if form == "mean" else ("intercept", "drift")
    line = dict(zip(names, LINE.T, strict=True))
    return MarkovSwitchingAR.from_parameters(CHAIN, COEF[:, :p], sigma2=SIGMA2, **line)


def drawn(model: MarkovSwitchingAR, gone: list[int], n: int = LENGTH) -> np.ndarray:
    rng = np.random.default_rng(1)
    x = 3.0 * (np.arange(n) // 6 % 2) + rng.normal(size=n)
    x[: model.law_.n_given] = 0.5
    x[gone] = np.nan
    return x


def by_path(x: np.ndarray, form: str, p: int) -> list[tuple]:
    """(regimes of all elements, p(path, observed), means and covariance of what is missing)."""
    gone, found = np.flatnonzero(np.isnan(x)).tolist(), []
    early = p if form == "mean" else 1  # regimes before the first scored element that count
    for path in itertools.product((0, 1), repeat=len(x) - p + early):
        regime = dict(zip(range(p - early, len(x)), path, strict=True))
        weight = START[path[0]] * np.prod([CHAIN[step] for step in itertools.pairwise(path)])
        constants, effects = [], []
        for t in range(p, len(x)):
            weights = [1.0, *-COEF[regime[t], :p]]
            constant, effect = -LINE[regime[t]] @ [1, t], np.zeros(len(gone))
            for i, w in enumerate(weights):
                if i and form == "mean":
                    constant -= w * LINE[regime[t - i]] @ [1, t - i]
                if t - i in gone:
                    effect[gone.index(t - i)] = w
                else:
                    constant += w * x[t - i]
            deviation = SIGMA2[regime[t]] ** 0.5
            constants.append(constant / deviation)
            effects.append(effect / deviation)
            weight /= deviation * (2 * np.pi) ** 0.5
        a, b = np.array(constants), np.array(effects)
        covariance = np.linalg.inv(b.T @ b)
        mean = -covariance @ b.T @ a
        weight *= np.exp(-0.5 * ((a + b @ mean) ** 2).sum())
        weight *= (2 * np.pi) ** (len(gone) / 2) * np.linalg.det(covariance) ** 0.5
        found.append((path[early:], weight, mean, covariance))
    return found


@pytest.mark.parametrize("form", ["mean", "intercept"])
@pytest.mark.parametrize(
    ("p", "gone"), [(1, [3, 4, 6]), (1, [2, 8]), (2, [3, 5, 8]), (2, [2, 3, 7])]
)
def test_all_is_the_sum_over_all_paths(form, p, gone):
    model = made(form, p)
    x = drawn(model, gone)
    paths = by_path(x, form, p)
    total = sum(weight for _, weight, _, _ in paths)
    assert model.log_prob(x) == pytest.approx(np.log(total), abs=1e-12)
    terms = model.log_prob_terms([x, x[:5]])[0]  # rows of other gaps beside it
    assert not terms[np.array(gone) - p].any()
    assert terms.sum() == pytest.approx(np.log(total), abs=1e-12)
    share = [sum(w for path, w, _, _ in paths if path[t]) / total for t in range(LENGTH - p)]
    np.testing.assert_allclose(model.smoothed(x)[1], share, rtol=1e-10)
    assert model.filtered(x)[1].iloc[-1] == pytest.approx(share[-1], rel=1e-10)
    weights = np.array([w for _, w, _, _ in paths]) / total
    means = np.array([m for _, _, m, _ in paths])
    squares = np.array([m**2 + np.diag(c) for _, _, m, c in paths])
    table = model.impute(x)
    mean = weights @ means
    np.testing.assert_allclose(table["mean"].iloc[gone], mean, rtol=1e-10)
    deviation = np.sqrt(weights @ squares - mean**2)
    np.testing.assert_allclose(table["std"].iloc[gone], deviation, rtol=1e-9)


@pytest.mark.parametrize("p", [1, 2])
def test_a_forecast_after_a_gap_is_what_missing_elements_at_the_end_were(p):
    model = made("mean", p)
    x = drawn(model, [3, 4, 7])
    longer = np.append(x, [np.nan, np.nan])
    ends = model.impute(longer).iloc[-2:]
    ahead = model.law_.predictive(model.start([x]), 2)
    np.testing.assert_allclose(model.forecast(x, 2)["mean"], ends["mean"], rtol=1e-12)
    np.testing.assert_allclose(ahead.variance[0].sqrt(), ends["std"], rtol=1e-10)


def test_of_no_lags_what_is_missing_follows_the_regimes():
    model = MarkovSwitchingAR.from_parameters(CHAIN, np.zeros((2, 0)), [0.0, 3.0], [1.0, 0.5])
    x = np.array([0.1, np.nan, 3.1, 2.9])
    second = model.smoothed(x)[1].iloc[1]
    row = model.impute(x).iloc[1]
    assert row["mean"] == pytest.approx(3 * second)
    variance = (1 - second) + 0.5 * second + 9 * second * (1 - second)
    assert row["std"] == pytest.approx(variance**0.5)


@pytest.mark.parametrize(
    "options", [{"switching_variance": True}, {"form": "intercept", "order": 2}]
)
def test_the_fit_is_a_maximum_of_the_likelihood_of_what_was_observed(options):
    x = drawn(made("mean", 1), [7, 20, 21, 40, 59], 60)
    x = [x, x[1:45]]
    model = MarkovSwitchingAR(**{"order": 1, "n_starts": 2, **options}).fit(x)
    seen = sum(int((~np.isnan(part)).sum()) - model.order for part in x)
    assert model.n_observations_ == seen
    assert model.log_likelihood_ == pytest.approx(model.log_prob(x).sum(), rel=1e-9)
    assert "summed out exactly" in model.summary()
    law = model.law_
    trend = "mean" if law.centred else "intercept"
    parts = [law.transition, law.coef, law.line[:, 0], law.sigma2]
    common = [1, 0] if options.get("switching_variance") else [1, 1]
    for i, move in (
        (0, [[1, -1], [0, 0]]),
        (1, np.eye(2)[:, : law.n_given]),
        (2, [1, 0]),
        (3, common),
    ):
        ends = []
        for step in (3e-4, -3e-4):
            moved = list(parts)
            moved[i] = parts[i] + step * np.array(move)
            chain, coef, line, sigma2 = moved
            other = MarkovSwitchingAR.from_parameters(chain, coef, sigma2=sigma2, **{trend: line})
            ends.append(other.log_prob(x).sum())
        assert max(ends) < model.log_likelihood_
        # level: the two sides fall alike
        assert abs(ends[0] - ends[1]) < 0.05 * (model.log_likelihood_ - min(ends))


def test_long_series_with_gaps_are_scored_by_pieces():
    model = made("intercept", 1)
    x = drawn(model, [5, 6, 120, 240], 300)
    state = model.start([x])
    halves = model.start([x[:110]]).extend(torch.as_tensor(x[None, 110:]))[1]
    torch.testing.assert_close(state.regimes, halves.regimes)
    pieces = [model.log_prob(x[:5]), model.condition(x[:8]).log_prob(x[8:])]
    middle = model.log_prob_terms(x)[4:7].sum()
    assert sum(pieces) + middle == pytest.approx(model.log_prob(x), rel=1e-12)


@pytest.mark.parametrize(("order", "most"), [(1, 10), (2, 8)])
def test_a_gap_that_is_too_long_is_refused_in_words(order, most):
    model = made("mean", order)
    assert model.law_.longest_gap == most
    fits = drawn(model, [*range(4, 4 + most)], 30)
    assert np.isfinite(model.log_prob(fits))
    long = drawn(model, [*range(4, 5 + most)], 30)
    for call in (model.log_prob, model.smoothed, model.impute, model.conditional):
        with pytest.raises(UnsupportedError, match=rf"2,?048 paths.* at most {most} element"):
            call(long)
    with pytest.raises(UnsupportedError, match="pieces between the longer gaps"):
        MarkovSwitchingAR(order, n_starts=1).fit(np.concatenate([fits, long]))
    given = drawn(model, [order - 1], 30)
    for call in (model.log_prob, model.smoothed, model.impute, MarkovSwitchingAR(order).fit):
        with pytest.raises(DataError, match=f"first {order} of a sequence, which are given"):
            call(given)
