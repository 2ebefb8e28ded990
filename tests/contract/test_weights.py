"""Weights of the sequences in `fit`: a weight of two is a sequence that is there twice."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import arproc
from arproc import MADE, MAF, NADE, Training
from arproc.errors import DataError, ParameterError
from arproc.training import Batches

PLAN = Training(steps=400, lr=0.02, weight_decay=0.0)
ROWS = np.array([[0, 0, 1], [1, 1, 0], [1, 0, 1], [0, 1, 1]])


@pytest.mark.parametrize("model", [MADE((16,), training=PLAN), NADE(16, training=PLAN)])
def test_a_weighted_fit_learns_the_weighted_law(model):
    x = np.repeat(ROWS, 10, axis=0)
    weight = np.repeat([6.0, 3.0, 1.0, 0.0], 10)
    model.fit(x, sample_weight=weight)
    p = np.exp(model.log_prob(ROWS))
    np.testing.assert_allclose(p, [0.6, 0.3, 0.1, 0.0], atol=0.05)


def test_a_weighted_flow_sees_the_weighted_place_and_size():
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(0, 1, (300, 2)), rng.normal(8, 1, (300, 2))])
    weight = np.repeat([1.0, 0.0], 300)
    model = MAF((8,), layers=2, training=PLAN.set_params(steps=150, batch_size=64))
    model.fit(x, sample_weight=weight)
    assert model.network_.shift.abs().max() < 0.3
    alone = x[:300]
    assert model.log_prob(alone).mean() == pytest.approx(-np.log(2 * np.pi * np.e), abs=0.15)


def test_rows_are_seen_in_proportion_to_their_weights():
    weights = torch.tensor([0.0, 1.0, 2.0, 0.5, 0.0, 2.5, 0.0])
    batches = Batches(7, 7, 0, weights)
    seen = torch.cat([batches(step) for step in range(2000)])
    share = torch.bincount(seen, minlength=7) / len(seen)
    torch.testing.assert_close(share, weights / weights.sum(), atol=0.01, rtol=0)
    each = torch.stack([torch.bincount(batches(step), minlength=7) for step in range(200)])
    wanted = weights * 7 / weights.sum()
    assert bool((each >= wanted.floor()).all())
    assert bool((each <= wanted.ceil()).all())


def test_equal_weights_change_nothing_but_the_shuffle():
    weights = torch.full((5,), 3.0)
    assert sorted(Batches(5, 5, 0, weights)(0).tolist()) == [0, 1, 2, 3, 4]
    assert Batches(5, 5, 0, weights).rows().tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1.0], r"must be 4 finite numbers, .* shape \[1\]"),
        ([1.0, -1.0, 1.0, 1.0], "none negative"),
        ([0.0] * 4, "not all zero"),
        ([1.0, np.nan, 1.0, 1.0], "finite"),
        ("abcd", "can not be read as numbers"),
    ],
)
def test_wrong_weights_are_refused(weights, message):
    with pytest.raises(DataError, match=message):
        MADE((4,), training=PLAN).fit(ROWS, sample_weight=weights)


def test_a_model_without_weights_says_so():
    with pytest.raises(ParameterError, match="AR takes no sample_weight"):
        arproc.AR(1).fit([[1.0, 2.0, 0.5]], sample_weight=[1.0])
