"""Order-agnostic NADE: any order, any sites given any others, by enumeration and by integrals."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from helpers import shake

import arproc
from arproc import NADE, Training
from arproc.errors import DataError

QUICK = Training(steps=2, batch_size=4)
LEVELS = (2, 3, 1, 2)
EVERY = np.array(list(itertools.product(*[range(k) for k in LEVELS])))
REALS = np.random.default_rng(4).normal(size=(40, 3)) * [1, 2, 0.5] + [0, 5, 1]


def discrete(**parameters) -> NADE:
    settings = {"hidden": (7, 6), "levels": LEVELS, "training": QUICK} | parameters
    return shake(NADE(order_agnostic=True, **settings).fit(EVERY))


def real(**parameters) -> NADE:
    settings = {"hidden": 7, "components": 2, "min_scale": 0.1, "training": QUICK} | parameters
    return shake(NADE(order_agnostic=True, **settings).fit(REALS))


def test_every_order_is_a_law_and_its_process_is_in_that_order():
    model = discrete(ordering=(3, 1, 0, 2))
    for order in itertools.permutations(range(4)):
        other = model.in_order(order)
        assert other.layout.order == order
        assert np.exp(other.log_prob(EVERY)).sum() == pytest.approx(1, abs=1e-5)
        back = other.in_order((3, 1, 0, 2))
        np.testing.assert_allclose(back.log_prob(EVERY), model.log_prob(EVERY), atol=1e-5)
    assert not np.allclose(model.in_order("natural").log_prob(EVERY), model.log_prob(EVERY))


def test_an_order_keeps_what_belongs_to_each_site():
    """Real sites have sizes of their own, and a context's weights are of each site too."""
    label = np.eye(2)[np.arange(40) % 2]
    settings = {"hidden": 7, "components": 2, "conditioned": True, "training": QUICK}
    model = shake(NADE(order_agnostic=True, **settings).fit(REALS, context=label))
    order = (2, 0, 1)
    other = model.in_order(order)
    given = np.array([[True, False, True], [False, False, False]])
    asked = {0: [0, 2], 1: []}
    x = REALS[:2].copy()
    got = model.conditional_log_prob(x, given=given, context=label[:2])
    for row, before in asked.items():
        terms = other.log_prob_terms(x[row], context=label[row])
        if before:  # the order begins with what is given: positions 2 and 0, then 1
            assert got[row] == pytest.approx(terms[2], abs=1e-4)
        else:
            assert got[row] == pytest.approx(model.log_prob(x[row], context=label[row]), abs=1e-4)


def test_any_sites_given_any_others_are_the_terms_in_the_order_that_fits():
    model = discrete(ordering=(3, 1, 0, 2))
    for given in itertools.product([False, True], repeat=4):
        given = np.array(given)
        order = [j for j in (3, 1, 0, 2) if given[j]] + [j for j in (3, 1, 0, 2) if not given[j]]
        terms = np.array(model.in_order(order).log_prob_terms(EVERY))
        want = terms[:, given.sum() :].sum(1)
        np.testing.assert_allclose(model.conditional_log_prob(EVERY, given=given), want, atol=1e-5)


def test_what_is_missing_is_summed_over():
    model = discrete()
    gaps = np.array([[1, -1, 0, 1], [-1, -1, 0, 1], [0, 2, -1, -1]])
    given = np.array([[True, False, False, False], [False, False, False, True], [False] * 4])
    got = model.conditional_log_prob(gaps, given=given)
    for row in range(3):
        seen = gaps[row] >= 0
        order = [*np.flatnonzero(given[row]), *np.flatnonzero(seen & ~given[row])]
        order += [j for j in range(4) if j not in order]
        p = np.exp(model.in_order(order).log_prob(EVERY))
        top = p[(EVERY[:, seen] == gaps[row][seen]).all(1)].sum()
        below = p[(EVERY[:, given[row]] == gaps[row][given[row]]).all(1)].sum()
        assert got[row] == pytest.approx(np.log(top / below), abs=1e-5)
    # NaN says the same
    same = np.where(gaps < 0, np.nan, gaps)
    np.testing.assert_array_equal(model.conditional_log_prob(same, given=given), got)


def test_conditional_densities_integrate_to_one():
    model = real()
    grid = np.linspace(-40, 50, 20001)
    x = np.tile([0.3, 4.0, 1.2], (len(grid), 1))
    for site in range(3):
        x_site = x.copy()
        x_site[:, site] = grid
        given = np.arange(3) != site
        density = np.exp(model.conditional_log_prob(x_site, given=given))
        assert np.trapezoid(density, grid) == pytest.approx(1, abs=1e-3)


def test_a_tensors_conditional_log_prob_has_a_gradient():
    model = real()
    x = torch.tensor(REALS[:3], requires_grad=True)
    given = torch.tensor([True, False, False])
    model.conditional_log_prob(x, given=given).sum().backward()
    step = torch.zeros_like(x)
    step[1, 0] = 1e-2
    with torch.no_grad():
        ends = [model.conditional_log_prob(x + s * step, given=given).sum() for s in (1, -1)]
    assert x.grad[1, 0] == pytest.approx(float((ends[0] - ends[1]) / 2e-2), rel=0.03, abs=0.01)


def test_imputed_values_follow_the_conditional():
    model = discrete()
    gaps = np.array([1, -1, 0, -1])
    drawn = model.impute(gaps, 4000, seed=0)
    assert drawn.shape == (4000, 4)
    assert (drawn[:, [0, 2]] == [1, 0]).all()
    fits = EVERY[(EVERY[:, [0, 2]] == [1, 0]).all(1)]
    p = np.exp(model.conditional_log_prob(fits, given=gaps >= 0))
    assert p.sum() == pytest.approx(1, abs=1e-5)
    share = np.array([(drawn == row).all(1).mean() for row in fits])
    assert np.abs(share - p).max() < 0.04


def test_imputed_real_values_follow_the_conditional():
    model = real()
    drawn = model.impute(np.array([0.3, np.nan, 1.2]), 3000, seed=1)[:, 1]
    level = model.in_order((0, 2, 1)).conditional([0.3, 1.2]).cdf(torch.as_tensor(drawn))
    assert np.abs(np.sort(level) - (np.arange(3000) + 0.5) / 3000).max() < 0.04


def test_a_vectors_draws_do_not_depend_on_the_others():
    model = discrete()
    gaps = np.array([[1, -1, 0, -1], [-1, -1, -1, -1], [0, 1, 0, 1]])
    both = model.impute(gaps, 5, seed=3)
    assert both.shape == (5, 3, 4)
    np.testing.assert_array_equal(both[:2], model.impute(gaps, 2, seed=3))
    np.testing.assert_array_equal(both[:, :1], model.impute(gaps[:1], 5, seed=3))
    assert (both[:, 2] == gaps[2]).all()
    assert model.impute(gaps, 0, seed=3).shape == (0, 3, 4)


def test_the_loss_is_the_mean_over_all_orders():
    model = discrete(hidden=5)
    x = model.sequences(EVERY).padded()[0]
    orders = list(itertools.permutations(range(4)))
    want = -np.mean([model.in_order(o).log_prob(EVERY).mean() for o in orders]) / 4
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        losses = [float(model.network_.loss(x, None, generator)) for _ in range(3000)]
    error = np.std(losses) / len(losses) ** 0.5
    assert np.mean(losses) == pytest.approx(want, abs=4 * error)


def test_learns_the_law_of_its_data_in_every_order():
    rows = np.array([[0, 0, 1], [1, 1, 0], [1, 0, 1]])
    x = rows[np.repeat([0, 1, 2], [40, 40, 20])]
    entropy = -(0.8 * np.log(0.4) + 0.2 * np.log(0.2))
    plan = Training(steps=800, lr=0.02, weight_decay=0.0, batch_size=64)
    model = NADE(24, order_agnostic=True, training=plan).fit(x, validation=x)
    for order in itertools.permutations(range(3)):
        assert -model.in_order(order).log_prob(x).mean() == pytest.approx(entropy, abs=0.05)


def test_pictures_and_tables_with_gaps(tmp_path):
    import pandas as pd

    x = np.random.default_rng(0).integers(0, 2, (12, 2, 3))
    model = NADE(6, order_agnostic=True, training=QUICK).fit(x)
    half = np.where(np.arange(3) > 0, x.astype(float), np.nan)
    assert model.conditional_log_prob(half).shape == (12,)
    filled = model.impute(half, 2, seed=0)
    assert filled.shape == (2, 12, 2, 3)
    assert (filled[..., 1:] == x[..., 1:]).all()
    masked = np.ma.masked_invalid(half)
    np.testing.assert_array_equal(model.impute(masked, 2, seed=0), filled)
    model.in_order("random").save(tmp_path / "model")
    again = arproc.load(tmp_path / "model")
    np.testing.assert_array_equal(again.log_prob(x), model.in_order("random").log_prob(x))
    table = pd.DataFrame(REALS, columns=list("abc")).where(REALS < 5)
    assert real().conditional_log_prob(table).shape == (40,)


def test_what_does_not_fit_is_refused():
    model = discrete()
    with pytest.raises(DataError, match=r"given must be a mask, bool \[4\]"):
        model.conditional_log_prob(EVERY, given=[0, 1, 0, 0])
    with pytest.raises(DataError, match="a value that is missing in data"):
        model.conditional_log_prob([0, -1, 0, 0], given=[False, True, False, False])
    with pytest.raises(DataError, match="expected symbols from 0 to 2"):
        model.impute([0, 7, -1, 0])
    with pytest.raises(DataError, match="has shape"):
        model.impute([0, 7])
    with pytest.raises(DataError, match="not finite"):
        real().impute([np.inf, np.nan, 0.0])
