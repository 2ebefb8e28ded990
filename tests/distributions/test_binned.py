"""Laws of real numbers through bins, beside scipy's differences."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from helpers import assert_close
from scipy import stats
from torch import distributions as td

from arproc.distributions import Binned, Logistic, cdf, concatenate, from_uniform, index, quantile

EDGES = torch.tensor([-1.5, -0.2, 0.0, 0.7, 3.0], dtype=torch.float64)
ENDS = np.concatenate([[-np.inf], EDGES.numpy(), [np.inf]])
LOC = torch.tensor([-1.0, 0.3], dtype=torch.float64)
SCALE = torch.tensor([0.5, 2.0], dtype=torch.float64)
MIX = td.MixtureSameFamily(
    td.Categorical(logits=torch.zeros(2, 2, dtype=torch.float64)),
    td.Normal(torch.stack([LOC, LOC + 1], -1), torch.stack([SCALE, SCALE], -1)),
)
KINDS = {
    "normal": (td.Normal(LOC, SCALE), stats.norm(LOC, SCALE).cdf),
    "Laplace": (td.Laplace(LOC, SCALE), stats.laplace(LOC, SCALE).cdf),
    "logistic": (Logistic(LOC, SCALE), stats.logistic(LOC, SCALE).cdf),
    "Student's t": (td.StudentT(3.0 + 0 * LOC, LOC, SCALE), stats.t(3.0, LOC, SCALE).cdf),
    "Gumbel": (td.Gumbel(LOC, SCALE), stats.gumbel_r(LOC, SCALE).cdf),
    "mixture": (
        MIX, lambda x: (stats.norm(LOC, SCALE).cdf(x) + stats.norm(LOC + 1, SCALE).cdf(x)) / 2
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_masses_are_differences(kind):
    base, below = KINDS[kind]
    binned = Binned(base, EDGES)
    want = np.stack([below(b) - below(a) for a, b in pairwise(ENDS)], -1)
    assert_close(binned.probs, want, 100)
    for k in range(6):
        level = torch.full((2,), k)
        assert_close(binned.log_prob(level).exp(), want[:, k], 100)
        assert_close(cdf(binned, level.double()), want[:, : k + 1].sum(-1), 100)
    assert_close(binned.mean, (want * np.arange(6)).sum(-1), 100)


@pytest.mark.parametrize("kind", KINDS)
def test_quantiles_and_draws_fall_into_the_right_bins(kind):
    binned = Binned(KINDS[kind][0], EDGES)
    cumulated = binned.probs.cumsum(-1)
    for q in (0.01, 0.3, 0.77, 0.999):
        got = quantile(binned, torch.full((2,), q, dtype=torch.float64)).long()
        assert torch.equal(got, (cumulated < q).sum(-1))
    u = torch.rand(4000, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    drawn = from_uniform(binned.expand((4000, 2)), u)
    shares = torch.stack([(drawn == k).double().mean(0) for k in range(6)], -1)
    assert float((shares - binned.probs).abs().max()) < 0.04


@pytest.mark.parametrize("law", [td.Normal, Logistic])
def test_tails_keep_their_digits(law):
    far = torch.tensor([30.0, 31.0], dtype=torch.float64)
    both = [
        Binned(law(torch.zeros(()).double(), torch.ones(()).double()), e)
        for e in (far, -far.flip(0))
    ]
    right, left = (one.log_prob(torch.tensor(1)) for one in both)
    assert_close(right, left)
    exact = {td.Normal: -454.3212439, Logistic: -30.4586751}[law]
    assert float(right) == pytest.approx(exact, abs=1e-5)


def test_batches_are_indexed_and_joined():
    binned = Binned(td.Normal(LOC, SCALE), EDGES)
    joined = concatenate([index(binned, slice(1, 2)), index(binned, slice(0, 1))], dim=0)
    assert_close(joined.probs, binned.probs.flip(0))
