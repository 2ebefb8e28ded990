from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import torch
from evaluation.toys import (
    CHARS,
    Chain,
    CorrelatedPairs,
    GaussianAR,
    MeanShift,
    PoissonAR,
    Ready,
    unigram,
)
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from torch import distributions as td

from arproc.distributions import MaybeMissing, Varied, cdf
from arproc.errors import DataError, ParameterError
from arproc.evaluation import pit, uniformity, walk
from arproc.evaluation.calibration import _ljung_box, _transform
from arproc.spaces import BinaryVector

CHAIN = Chain([[0.2, 0.5, 0.3], [0.6, 0.1, 0.3], [0.1, 0.1, 0.8]], end=True)


def test_real_elements_against_scipy():
    x = GaussianAR(0.6).sample(1, 50, seed=1)[0]
    loc = np.concatenate([[0.0], 0.6 * x[:-1]])
    scale = np.array([1 / 0.8] + [1.0] * 49)
    assert pit(GaussianAR(0.6), x) == pytest.approx(stats.norm.cdf(x, loc, scale), abs=1e-14)
    assert pit(GaussianAR(0.6, given=1), x) == pytest.approx(
        stats.norm.cdf(x[1:], loc[1:]), abs=1e-14
    )


def test_the_form_of_the_data_comes_back():
    series = pd.Series([0.1, 0.2, 0.3], index=[5, 6, 7], name="x")
    values = pit(GaussianAR(0.6, given=1), series)
    assert values.index.tolist() == [6, 7]
    several = pit(GaussianAR(), [[0.1, 0.2], [0.3]])
    assert [len(row) for row in several] == [2, 1]
    assert several[1][0] == pit(GaussianAR(), [0.3])[0]
    frame = pit(GaussianAR(), pd.DataFrame({"a": [0.1, 0.2], "b": [1.0, 2.0]}))
    assert frame["b"].iloc[0] == pit(GaussianAR(), [1.0])[0]


@given(st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=9), min_size=1, max_size=9))
def test_counts_lie_between_their_cdfs(rows):
    values = pit(PoissonAR(), rows, seed=4)
    for x, u in zip(rows, values, strict=True):
        rate = 1.0 + 0.5 * np.concatenate([[0.0], x[:-1]])
        assert (u >= stats.poisson.cdf(np.array(x) - 1, rate) - 1e-14).all()
        assert (u <= stats.poisson.cdf(x, rate) + 1e-14).all()


def test_an_element_has_its_own_uniform():
    rows = [[0, 1, 1, 0], [1], [0, 0, 1]]
    values = pit(CHAIN, rows, seed=4)
    assert [len(row) for row in values] == [5, 2, 4]  # the ends have values too
    assert pit(CHAIN, rows[:1], seed=4)[0] == pytest.approx(values[0], abs=1e-15)
    again = pit(CHAIN, rows, seed=4)
    assert all((a == b).all() for a, b in zip(values, again, strict=True))
    assert not np.allclose(pit(CHAIN, rows, seed=5)[0], values[0])
    # after a prefix the positions go on, so the uniforms are those of the whole sequence
    rest = pit(CHAIN.condition([0, 1]), [[1, 0]], seed=4)[0]
    assert rest == pytest.approx(values[0][2:], abs=1e-15)


@pytest.mark.parametrize("numbers", [1, 7, 64])
def test_blocks_do_not_matter(monkeypatch, numbers):
    rows = [r[: 1 + 7 * i % 30] for i, r in enumerate(GaussianAR(0.6).sample(8, 40, seed=1))]
    ends = CHAIN.sample(8, seed=3)
    whole = pit(GaussianAR(0.6), rows), pit(CHAIN, ends, seed=2)
    monkeypatch.setattr(walk, "_BLOCK_NUMBERS", numbers)
    parts = pit(GaussianAR(0.6), rows), pit(CHAIN, ends, seed=2)
    for a, b in zip(whole, parts, strict=True):
        assert np.concatenate(a) == pytest.approx(np.concatenate(b), abs=1e-14)


def sampled(model, n, length=None, seed=1):
    return model.sample(n, length, seed=seed)


@pytest.mark.parametrize(
    ("model", "n", "length"),
    [
        (GaussianAR(0.8), 40, 100),
        (PoissonAR(), 40, 100),
        (CHAIN, 1500, None),
        (unigram(CHARS, end=True), 200, None),
        (CorrelatedPairs(), 20, 100),
    ],
    ids=["normal", "count", "chain", "text", "vector"],
)
def test_the_right_model_is_uniform_and_independent(model, n, length):
    """At fixed seeds; a false alarm has probability 2e-3 for each."""
    result = uniformity(pit(model, sampled(model, n, length), seed=7))
    assert result.ks_p_value > 1e-3
    assert result.ljung_box_p_value > 1e-3
    assert result.n >= 2000


@pytest.mark.parametrize(
    ("wrong", "test"),
    [(GaussianAR(0.8, 1.2), "ks_p_value"), (GaussianAR(0.7), "ljung_box_p_value")],
)
def test_a_wrong_model_is_found(wrong, test):
    x = GaussianAR(0.8).sample(40, 100, seed=1)
    assert getattr(uniformity(pit(wrong, x)), test) < 1e-6


def test_uniformity_by_definition():
    rng = np.random.default_rng(0)
    rows = [rng.uniform(size=60), rng.uniform(size=25)]
    result = uniformity(rows, lags=3)
    test = stats.kstest(np.concatenate(rows), "uniform")
    assert (result.ks, result.ks_p_value) == (test.statistic, test.pvalue)
    z = [stats.norm.ppf(row) for row in rows]
    total = sum((row**2).sum() for row in z)
    q = 0.0
    for k in (1, 2, 3):
        product = sum(sum(row[t] * row[t - k] for t in range(k, len(row))) for row in z)
        q += 85 * 87 * (product / total) ** 2 / (85 - 2 * k)
    assert result.ljung_box == pytest.approx(q)
    assert result.ljung_box_p_value == pytest.approx(stats.chi2.sf(q, 3))


def test_ljung_box_holds_its_level():
    """Independent values: 5% of 1000 p-values below 0.05, within 4 deviations (0.028)."""
    rng = np.random.default_rng(1)
    q = [_ljung_box([rng.normal(size=100)], 10) for _ in range(1000)]
    assert np.mean(stats.chi2.sf(q, 10) < 0.05) == pytest.approx(0.05, abs=0.028)


def test_vectors_have_a_value_a_component():
    x = CorrelatedPairs().sample(1, 30, seed=1)[0]
    values = pit(CorrelatedPairs(), x)
    assert values.shape == (30, 2)
    assert values[:, 0] == pytest.approx(stats.norm.cdf(x[:, 0], 1.0, np.sqrt(2.0)))
    loc = -1.0 + 0.9 / 2.0 * (x[:, 0] - 1.0)
    scale = np.sqrt(1.0 - 0.9**2 / 2.0)
    assert values[:, 1] == pytest.approx(stats.norm.cdf(x[:, 1], loc, scale))
    frame = pd.DataFrame(x, columns=["a", "b"])
    assert pit(CorrelatedPairs(), frame) == pytest.approx(values)


class Notes(Ready):
    """Two notes, each sounding with its own probability."""

    window_length = 0

    def __init__(self):
        self.space_ = BinaryVector(dimension=2)

    def window(self, ctx, position):
        probs = torch.tensor([0.2, 0.7]).expand(*position.shape, 2)
        return td.Independent(td.Bernoulli(probs, validate_args=False), 1, validate_args=False)


def test_binary_vectors_are_randomised():
    x = Notes().sample(20, 100, seed=1)
    values = np.concatenate(pit(Notes(), x, seed=3))
    x = x.reshape(-1, 2)
    assert ((values[:, 0] > 0.8) == (x[:, 0] == 1)).all()
    assert ((values[:, 1] > 0.3) == (x[:, 1] == 1)).all()
    assert uniformity(values).ks_p_value > 1e-3


def test_what_is_wrong_is_told():
    with pytest.raises(ParameterError, match="pit needs a Process"):
        pit(MeanShift(), np.zeros(3))
    with pytest.raises(DataError, match="PIT values in"):
        uniformity([0.5, 1.5])
    with pytest.raises(DataError, match="at least 2"):
        uniformity([0.5])
    with pytest.raises(ParameterError, match="takes no context"):
        pit(GaussianAR(), [0.1], context=[1.0])


def test_a_value_that_may_be_missing_has_its_place_between_its_masses():
    """F(x-) + u P(x): for counts, for numbers, and for what is not there."""
    kinds = [td.Normal(torch.zeros(6), 1.0), td.Poisson(torch.full((6,), 2.0))]
    which = torch.tensor([0, 1, 1, 0, 1, 1])
    law = MaybeMissing(Varied(kinds, which), torch.full((6,), -1.0))
    x = torch.tensor([0.3, 0.0, 3.0, torch.nan, torch.nan, 1.0], dtype=torch.float64)
    gone = 1 / (1 + math.e)
    mass = [0.0, *stats.poisson.pmf([0, 3], 2), None, None, stats.poisson.pmf(1, 2)]
    below = [stats.norm.cdf(0.3), *stats.poisson.cdf([-1, 2], 2), 0, 0, stats.poisson.cdf(0, 2)]
    for u in (0.0, 0.25, 1.0):
        inside = [b + u * (m or 0.0) for b, m in zip(below, mass, strict=True)]
        want = [u * gone if m is None else gone + (1 - gone) * v
                for m, v in zip(mass, inside, strict=True)]  # fmt: skip
        found = _transform(law, x, torch.full((6,), u, dtype=torch.float64))
        assert found.tolist() == pytest.approx(want, abs=1e-6)
    assert _transform(law, x, None).tolist() == pytest.approx(cdf(law, x).tolist())
