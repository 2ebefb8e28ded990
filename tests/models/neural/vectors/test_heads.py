"""Heads: proper distributions, on the data's own scale, that say the same by either path."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats

import arproc
from arproc import MADE, NADE, Training
from arproc.distributions import cdf, quantile
from arproc.errors import ParameterError
from arproc.models.neural.vectors.heads import DiscretisedLogisticHead, MixtureHead

QUICK = Training(steps=2, batch_size=8)


@pytest.mark.parametrize("kind", ["normal", "logistic", "student_t"])
@pytest.mark.parametrize("components", [1, 4])
def test_the_fast_log_prob_is_that_of_the_distribution(kind, components):
    head = MixtureHead(5, kind, components, min_scale=0.05)
    x = torch.randn(40, 5, dtype=torch.float64, generator=torch.manual_seed(0)) * 3 + 2
    head.learn(x)
    raw = torch.randn(40, 5, head.outputs, generator=torch.manual_seed(1))
    parameters = head.finish(raw)
    conditional = head.distribution(parameters)
    assert conditional.batch_shape == (40, 5)
    torch.testing.assert_close(conditional.log_prob(x), head.log_prob(parameters, x))
    alone = torch.stack([head.finish(raw[:, j], j) for j in range(5)], dim=1)
    torch.testing.assert_close(alone, parameters)
    u = torch.rand(40, 5, dtype=torch.float64, generator=torch.manual_seed(2))
    torch.testing.assert_close(cdf(conditional, quantile(conditional, u)), u, atol=1e-9, rtol=0)


@pytest.mark.parametrize("levels", [1, 2, 7, 256])
def test_discretised_logistics_are_masses_that_sum_to_one(levels):
    head = DiscretisedLogisticHead(levels, 3)
    raw = 4 * torch.randn(50, head.outputs, dtype=torch.float64, generator=torch.manual_seed(0))
    conditional = head.distribution(head.finish(raw))
    assert conditional.probs.sum(-1).tolist() == pytest.approx([1.0] * 50)
    below = cdf(conditional, torch.arange(levels).double()[:, None])
    torch.testing.assert_close(below, conditional.probs.T.cumsum(0))
    u = torch.rand(50, dtype=torch.float64, generator=torch.manual_seed(1))
    x = quantile(conditional, u)
    assert bool((cdf(conditional, x) >= u).all())
    assert bool((cdf(conditional, x - 1) < u).all())


def test_far_tails_of_a_discretised_logistic_keep_their_digits():
    one = torch.zeros(1, dtype=torch.float64)
    conditional = arproc.distributions.DiscretisedLogisticMixture(one, one, one - 2, 300)
    scale = math.exp(-2)
    exact = -(np.arange(40, 250) - 0.5) / scale + math.log1p(-math.exp(-1 / scale))
    found = conditional.log_prob(torch.arange(40, 250).double())
    np.testing.assert_allclose(found, exact, rtol=1e-12)


def test_the_logistic_distribution_is_scipys():
    x = np.linspace(-60, 60, 41)
    ours = arproc.distributions.Logistic(torch.tensor(1.0).double(), torch.tensor(2.5).double())
    theirs = stats.logistic(1.0, 2.5)
    np.testing.assert_allclose(ours.log_prob(torch.as_tensor(x)), theirs.logpdf(x), rtol=1e-12)
    np.testing.assert_allclose(ours.cdf(torch.as_tensor(x)), theirs.cdf(x), rtol=1e-10)
    assert float(ours.variance) == pytest.approx(theirs.var())
    drawn = ours.sample((20_000,)).numpy()
    assert stats.kstest(drawn, theirs.cdf).pvalue > 1e-6


@pytest.mark.parametrize("head", ["normal", "normal_mixture", "logistic_mixture", "student_t"])
def test_a_change_of_unit_changes_the_likelihood_by_its_jacobian(head):
    x = np.random.default_rng(0).normal(size=(60, 3))
    unit = np.array([1e-3, 1.0, 1e6])
    plan = Training(steps=20, batch_size=16)
    plain = MADE((8,), head=head, components=2, training=plan).fit(x)
    other = MADE((8,), head=head, components=2, training=plan).fit(x * unit + 7 * unit)
    expected = plain.log_prob(x) - np.log(unit).sum()
    np.testing.assert_allclose(other.log_prob(x * unit + 7 * unit), expected, rtol=1e-3)


def test_a_correlated_normal_is_learnt():
    covariance = np.array([[1.0, 0.8, 0.3], [0.8, 1.0, 0.5], [0.3, 0.5, 1.0]])
    rng = np.random.default_rng(0)
    x = rng.multivariate_normal([1, 2, 3], covariance, 4000)
    plan = Training(steps=600, batch_size=128, lr=0.01, weight_decay=0.0)
    model = MADE((), head="normal", direct=True, training=plan).fit(x[:3000])
    truth = stats.multivariate_normal([1, 2, 3], covariance).logpdf(x[3000:]).mean()
    assert model.log_prob(x[3000:]).mean() == pytest.approx(truth, abs=0.02)


def test_no_scale_is_below_the_floor():
    x = np.zeros((50, 2)) + np.random.default_rng(0).integers(0, 2, (50, 1))
    plan = Training(steps=300, batch_size=50, lr=0.05, weight_decay=0.0)
    model = MADE((8,), head="normal", min_scale=0.25, training=plan).fit(x)
    assert float(model.conditionals(x).scale.min()) >= 0.25


def test_heads_are_chosen_by_the_data():
    integers, reals = np.arange(12).reshape(4, 3), np.linspace(0, 1, 12).reshape(4, 3)
    kinds = {
        "binary": integers % 2, "categorical": integers % 4, "real": reals,
    }  # fmt: skip
    for kind, data in kinds.items():
        assert MADE((4,), training=QUICK).fit(data).space.kind == kind
    ordered = MADE((4,), head="discretised_logistic", levels=256, training=QUICK).fit(integers)
    assert ordered.space == arproc.spaces.Ordinal(256, length=3)


def test_each_position_has_a_floor_of_its_own_in_any_order():
    x = np.random.default_rng(0).normal(size=(60, 3)).round(1) * [1, 10, 0.1]
    floors = [0.05, 0.5, 0.005]
    plan = Training(steps=3, batch_size=20)
    settings = {"head": "normal", "min_scale": floors, "training": plan}
    turned = NADE(5, ordering=(2, 0, 1), order_agnostic=True, **settings).fit(x)
    for model in (turned, turned.in_order((1, 2, 0)), MADE((5,), ordering=(2, 0, 1), **settings)):
        model = model if hasattr(model, "network_") else model.fit(x)
        # a network that would have no width at all is left with the floors
        raw = torch.full((1, 3, 3), -100.0)[..., : model.network_.values.outputs]
        finished = model.network_.values.finish(raw)
        scale = finished[0, :, -1].double() - 1e-4 * model.network_.values.size
        expected = np.array(floors)[list(model.layout.order)]
        np.testing.assert_allclose(scale, expected, rtol=1e-6)
    table = pd.DataFrame(x, columns=list("abc"))
    model = MADE((5,), ordering=["c", "a", "b"], min_scale=floors, training=plan).fit(table)
    np.testing.assert_allclose(model.network_.values.reals.floor, [0.005, 0.05, 0.5])
    with pytest.raises(ParameterError, match="min_scale has 2 numbers; expected one, or 3"):
        MADE((5,), head="normal", min_scale=[0.1, 0.2], training=plan).fit(x)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"head": "gauss"}, "head must be one of"),
        ({"components": 0}, "components must be at least 1"),
        ({"min_scale": -1.0}, "min_scale must be 0 or more"),
        ({"hidden": (3, 4), "residual": True}, "equal sizes"),
        ({"head": "discretised_logistic", "levels": (2, 3)}, "one number of levels"),
    ],
)
def test_wrong_parameters_are_refused(parameters, message):
    with pytest.raises(ParameterError, match=message):
        MADE(**{"hidden": (4,), "training": QUICK} | parameters).fit([[0, 1], [1, 1]])
