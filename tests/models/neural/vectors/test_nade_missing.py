"""An order-agnostic NADE is fitted to what was observed: against enumeration, and to learn."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pandas as pd
import pytest
import torch
from helpers import shake

from arproc import MADE, NADE, Training
from arproc.errors import DataError
from arproc.training import Binarise

QUICK = Training(steps=3, batch_size=8)
PLAN = Training(steps=800, lr=0.01, batch_size=100, weight_decay=0.0)


def over_orders(model: NADE, x: np.ndarray, observed: np.ndarray) -> float:
    """The mean over all orders of the observed sites of log p(observed), one order at a time."""
    sites, rest = np.flatnonzero(observed), np.flatnonzero(~observed)
    filled = np.where(observed, x, 0)
    totals = [
        np.sum(model.in_order([*order, *rest]).log_prob_terms(filled)[: len(sites)])
        for order in itertools.permutations(sites)
    ]
    return float(np.mean(totals))


@pytest.mark.parametrize("kind", ["binary", "levels", "real"])
@pytest.mark.parametrize("gone", [[], [1], [0, 2], [0, 1, 2]])
def test_the_loss_is_that_of_the_observed_over_their_orders(kind, gone):
    rng = np.random.default_rng(0)
    data = {
        "binary": rng.integers(0, 2, (30, 4)),
        "levels": rng.integers(0, 3, (30, 4)),
        "real": rng.normal(size=(30, 4)),
    }[kind]
    model = shake(NADE((6, 5), components=2, order_agnostic=True, training=QUICK).fit(data))
    observed = ~np.isin(np.arange(4), gone)
    x = torch.as_tensor(data[0]).to(model.space.dtype)
    mark = float("nan") if x.is_floating_point() else -1
    rows = torch.where(torch.tensor(observed), x, mark).repeat(20_000, 1)
    with torch.no_grad():
        loss = model.network_.loss(rows, None, torch.Generator().manual_seed(0))
    assert float(loss) == pytest.approx(-over_orders(model, data[0], observed) / 4, rel=0.01)


def test_nothing_observed_says_nothing():
    model = NADE(4, order_agnostic=True, training=QUICK).fit(np.eye(4, dtype=int))
    rows = torch.full((3, 4), float("nan"))
    loss = model.network_.loss(rows, None, torch.Generator())
    assert float(loss) == 0


def test_the_law_is_learnt_from_vectors_with_gaps():
    """Three sites, of which three in ten are missing: one vector in three is whole."""
    rng = np.random.default_rng(0)
    every = np.array(list(itertools.product((0, 1), repeat=3)))
    law = np.array([0.3, 0.05, 0.02, 0.13, 0.05, 0.2, 0.15, 0.1])
    x = every[rng.choice(8, 8000, p=law)]
    x = np.where(rng.random(x.shape) < 0.3, -1, x)
    plan = PLAN.set_params(steps=1000, batch_size=400)
    model = NADE(32, order_agnostic=True, training=plan).fit(x)
    for order in itertools.permutations(range(3)):
        np.testing.assert_allclose(np.exp(model.in_order(order).log_prob(every)), law, atol=0.03)


def test_reals_with_gaps():
    rng = np.random.default_rng(0)
    a = rng.normal(5, 2, 4000)
    b = 0.5 * a + rng.normal(0, 0.5, 4000)
    x = np.where(rng.random((4000, 2)) < 0.4, np.nan, np.stack([a, b], axis=1))
    model = NADE(16, head="normal", order_agnostic=True, training=PLAN).fit(x)
    values = model.network_.values
    np.testing.assert_allclose(values.shift, np.nanmean(x, 0), atol=1e-9)
    np.testing.assert_allclose(values.size, np.nanstd(x, 0), atol=1e-9)
    after = model.conditional(np.array([7.0]))
    assert float(after.mean) == pytest.approx(3.5, abs=0.15)
    assert float(after.stddev) == pytest.approx(0.5, abs=0.1)
    draws = model.sample(4000, seed=0)
    np.testing.assert_allclose(draws.mean(0), [5, 2.5], atol=0.2)
    np.testing.assert_allclose(np.cov(draws.T), [[4, 2], [2, 1.25]], atol=0.4)


def same(one: NADE, other: NADE) -> bool:
    pairs = zip(
        one.network_.state_dict().values(), other.network_.state_dict().values(), strict=True
    )
    return all(torch.equal(a, b) for a, b in pairs)


def test_every_form_of_missing_is_one():
    rng = np.random.default_rng(0)
    x = rng.integers(0, 3, (30, 4))
    gone = rng.random(x.shape) < 0.3

    def fit(data) -> NADE:
        return NADE(5, order_agnostic=True, ordering=(2, 0, 3, 1), training=QUICK).fit(data)

    model = fit(np.where(gone, -1, x))
    frame = pd.DataFrame(x).astype("Int64").mask(gone)
    for data in (
        np.where(gone, np.nan, x),
        np.ma.masked_array(x, gone),
        torch.tensor(np.where(gone, -1, x)),
        frame,
    ):
        assert same(model, fit(data))
    assert not same(model, fit(x))
    assert model.space == fit(x).space
    # and what is there is what is learnt from: the values under the gaps do not matter
    other = np.where(gone, (x + 1) % 3, x)
    assert same(model, fit(np.ma.masked_array(other, gone)))


def test_the_highest_byte_is_not_missing():
    x = np.array([[255, 0], [0, 255], [255, 255]] * 5)
    model = NADE(4, order_agnostic=True, training=QUICK).fit(x.astype(np.uint8))
    assert same(model, NADE(4, order_agnostic=True, training=QUICK).fit(x))
    byte = x[:3].astype(np.uint8)
    np.testing.assert_array_equal(model.impute(byte, seed=0)[0], byte)
    want = model.conditional_log_prob(x[:3])
    np.testing.assert_array_equal(model.conditional_log_prob(byte), want)
    np.testing.assert_array_equal(model.impute(torch.tensor(byte), seed=0)[0], byte)


def test_pictures_weights_labels_and_validation():
    rng = np.random.default_rng(0)
    x = rng.integers(0, 2, (40, 2, 3))
    x[rng.random(x.shape) < 0.3] = -1
    label = np.arange(40) % 2
    model = NADE(5, order_agnostic=True, classes=2, training=QUICK.set_params(validate_every=1))
    model.fit(x, context=label, validation=(x[:20], label[:20]), sample_weight=np.ones(40))
    assert all(math.isfinite(loss) for loss in model.history_["validation"].dropna())
    assert model.sample(2, seed=0, context=[0, 1]).shape == (2, 2, 3)
    filled = model.impute(x, seed=0, context=label)[0]
    assert (filled[x >= 0] == x[x >= 0]).all()


def test_a_checkpoint_knows_what_was_missing(tmp_path):
    x = np.random.default_rng(0).integers(0, 2, (20, 4))
    plan = QUICK.set_params(checkpoint=str(tmp_path / "run"))
    gaps = np.where(np.eye(20, 4) == 1, -1, x)
    zero = np.where(np.eye(20, 4) == 1, 0, x)
    NADE(4, order_agnostic=True, training=plan).fit(gaps)
    with pytest.raises(Exception, match="other data"):
        NADE(4, order_agnostic=True, training=plan.set_params(resume=True)).fit(zero)


def test_what_can_not_be_learnt_from_is_refused():
    x = np.random.default_rng(0).integers(0, 2, (20, 2, 2)).astype(float)
    gaps = x.copy()
    gaps[:, 1, 0] = np.nan
    with pytest.raises(DataError, match=r"data has no observed value at \(1, 0\)"):
        NADE(4, order_agnostic=True, training=QUICK).fit(gaps)
    gaps[0] = 1
    for model in (NADE(4, training=QUICK), MADE((4,), order_agnostic=True, training=QUICK)):
        with pytest.raises(DataError, match="not finite"):
            model.fit(gaps)
    plan = QUICK.set_params(augment=Binarise(np.full(x.shape, 0.5)))
    with pytest.raises(DataError, match="missing values, which augment can not change"):
        NADE(4, order_agnostic=True, training=plan).fit(gaps)
    with pytest.raises(DataError, match="does not fit"):
        NADE(4, order_agnostic=True, training=QUICK).fit(x.astype(int) * 3 - 2)
