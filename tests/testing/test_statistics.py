"""The statistical tests: right draws pass at their stated rate, wrong ones are seen."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import binomtest
from torch import distributions as td

from arproc.distributions import Categorical
from arproc.testing import CheckFailed
from arproc.testing.statistics import berkowitz, g_test, kolmogorov_smirnov, pit, two_samples

RNG = np.random.default_rng(0)
KINDS = {
    "normal": td.Normal(torch.linspace(-1, 1, 2000).double(), torch.linspace(0.5, 3, 2000)),
    "symbols": Categorical(torch.randn(2000, 5, generator=torch.Generator().manual_seed(0))),
    "counts": td.Poisson(torch.linspace(0.2, 9, 2000).double()),
    "binary": td.Bernoulli(logits=torch.linspace(-3, 3, 2000)),
    "vectors": td.MultivariateNormal(
        torch.zeros(2000, 2), scale_tril=torch.tensor([[1.0, 0.0], [0.9, 0.3]])
    ),
    "several components": td.Independent(td.Normal(torch.zeros(2000, 3), torch.ones(3)), 1),
}


def draws(kind: str) -> torch.Tensor:
    torch.manual_seed(3)
    return KINDS[kind].sample()


@pytest.mark.parametrize("kind", KINDS)
def test_the_transform_of_draws_is_uniform(kind):
    u = pit(KINDS[kind], draws(kind), np.random.default_rng(1))
    assert kolmogorov_smirnov(u, "", "") > 1e-3
    assert ((u > 0) & (u < 1)).all()


def test_vectors_without_a_distribution_function_have_no_transform():
    mixed = td.MixtureSameFamily(
        td.Categorical(logits=torch.zeros(4, 2)),
        td.MultivariateNormal(torch.zeros(4, 2, 3), torch.eye(3)),
    )
    assert pit(mixed, torch.zeros(4, 3), RNG) is None


def p_values(n: int = 300) -> dict[str, list[float]]:
    probabilities = np.array([0.5, 0.25, 0.15, 0.1])
    found = {"g": [], "kolmogorov": [], "berkowitz": [], "two samples": []}
    for _ in range(n):
        u, v = torch.as_tensor(RNG.random((2, 250)))
        found["g"].append(g_test(RNG.multinomial(500, probabilities), probabilities, "", ""))
        found["kolmogorov"].append(kolmogorov_smirnov(u, "", ""))
        found["berkowitz"].append(berkowitz(u, torch.stack([u[:-1], u[1:]], 1), "", ""))
        found["two samples"].append(two_samples(u, v, "", ""))
    return found


def test_right_draws_are_refused_no_more_often_than_stated():
    """P(p < level) is at most the level, so one in a million means one in a million."""
    for name, values in p_values().items():
        for level in (0.01, 0.05, 0.25):
            refused = sum(p < level for p in values)
            assert binomtest(refused, len(values), level, "greater").pvalue > 1e-4, name


def test_without_pairs_berkowitz_looks_at_mean_and_variance():
    u = torch.as_tensor(RNG.random(300))
    assert berkowitz(u, torch.zeros(0, 2), "", "") > 1e-3


@pytest.mark.parametrize("wrong", ["scale", "mean", "copies"])
def test_wrong_draws_are_refused(wrong):
    z = torch.as_tensor(RNG.standard_normal(3000))
    if wrong == "copies":
        z = z[:1500].repeat_interleave(2)
    z = 0.88 * z if wrong == "scale" else z + 0.15 if wrong == "mean" else z
    u = torch.special.ndtr(z)
    with pytest.raises(CheckFailed, match="Berkowitz"):
        berkowitz(u, torch.stack([u[:-1], u[1:]], 1), "right draws", "none")


def test_counts_of_another_distribution_are_refused():
    counts = np.array([500, 600, 900])
    with pytest.raises(CheckFailed, match="G-test"):
        g_test(counts, np.array([0.3, 0.3, 0.4]), "right counts", "none")


def test_impossible_draws_are_refused_however_few():
    with pytest.raises(CheckFailed, match="1 draws have probability zero"):
        g_test(np.array([999, 1000, 1]), np.array([0.5, 0.5, 0.0]), "right counts", "none")
