"""Tables as people have them: one exact law, and any columns given any others."""

import itertools

import numpy as np
import pandas as pd
import pytest
import torch
from helpers import shake
from models.neural.vectors.people import QUICK, model_of, people
from pandas.testing import assert_frame_equal

import arproc
from arproc import MADE, Training
from arproc.errors import DataError, ParameterError, UnsupportedError
from arproc.sampling import complete
from arproc.testing import check_process

RNG = np.random.default_rng(0)


def customers(n: int = 120, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "balance": np.where(rng.random(n) < 0.31, 0.0, rng.normal(100, 30, n)),
            "age": rng.integers(18, 80, n),
            "rate": rng.choice([0.1, 0.25, 0.5], n),
            "share": rng.random(n) * 5,
            "kids": rng.integers(0, 7, n),
            "city": rng.choice(["Oslo", "Rome", "Kyiv"], n),
            "since": pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 60, n), "D"),
        }
    )
    frame.loc[rng.random(n) < 0.2, "balance"] = np.nan
    frame.loc[rng.random(n) < 0.1, "since"] = pd.NaT
    return frame


KINDS = {"age": {"low": "data", "high": 90}, "share": {"low": 0}}


def of(frame: pd.DataFrame, **parameters) -> MADE:
    settings = {"columns": KINDS, "components": 2, "training": QUICK} | parameters
    return shake(MADE((9,), **settings).fit(frame))


@pytest.fixture(scope="module")
def any_order() -> MADE:
    return of(customers(), order_agnostic=True)


@pytest.mark.slow
@pytest.mark.parametrize("order_agnostic", [False, True])
def test_such_a_table_keeps_the_contract(order_agnostic):
    assert not check_process(of(customers(), order_agnostic=order_agnostic)).failed


def small() -> pd.DataFrame:
    return customers()[["kids", "city", "rate"]].assign(ok=lambda d: d.kids > 2)


@pytest.mark.parametrize("order", [None, ["ok", "rate", "city", "kids"]])
def test_probabilities_of_all_rows_sum_to_one_in_any_order(order):
    model = of(small(), columns={"rate": {"high": 0.6}}, order_agnostic=True)
    if order is not None:
        model = model.in_order([list(small()).index(name) for name in order])
    every = pd.DataFrame(
        itertools.product(range(60), ["Oslo", "Rome", "Kyiv"], np.arange(61)[:, None] / 100,
                          [True, False]), columns=list(small()),
    )  # fmt: skip
    every["rate"] = np.round([float(value[0]) for value in every.rate], 2)
    far = 1 - np.exp(model.log_prob(every)).sum()
    assert 0 <= far + 1e-9 < 2e-3


def test_what_is_drawn_is_a_table_like_the_data(any_order):
    frame, drawn = customers(), any_order.sample(2000, seed=0)
    assert drawn.dtypes.equals(frame.dtypes)
    assert drawn.age.between(frame.age.min(), 90).all()
    assert (drawn.share >= 0).all()
    assert (drawn.rate * 100 == (drawn.rate * 100).round()).mean() > 0.99
    assert drawn.since.isna().any()
    assert (drawn.since.dropna().dt.normalize() == drawn.since.dropna()).all()
    terms = any_order.log_prob_terms(drawn)
    np.testing.assert_allclose(terms.sum(axis=1), any_order.log_prob(drawn))


def test_atoms_come_back_at_their_share():
    frame = customers(1000).drop(columns="since")
    model = MADE((8,), columns=KINDS, training=Training(steps=60, batch_size=128)).fit(frame)
    drawn = model.sample(4000, seed=0)
    there = drawn.balance.dropna()
    assert (there == 0).mean() == pytest.approx(0.31, abs=0.05)
    assert model.log_prob(customers().assign(kids=7)[list(frame)]).notna().all()


# ---- any columns given any others ---------------------------------------------------------


def test_terms_in_any_order_are_conditional_log_probs(any_order):
    frame = customers().dropna(subset="since")[:20]
    given = ["city", "since"]
    rest = any_order.conditional_log_prob(frame, given=given)
    known = any_order.conditional_log_prob(frame[given])
    order = [list(frame).index(name) for name in given]
    order += [j for j in range(7) if j not in order]
    with pytest.raises(DataError, match="given names a value that is missing"):
        any_order.conditional_log_prob(customers(), given=given)
    turned = any_order.in_order(order)
    # an entry that is missing in data is integrated out; in log_prob it is an event
    whole = frame.notna().all(axis=1)
    assert whole.sum() > 3
    both = (rest + known)[whole]
    np.testing.assert_allclose(both, turned.log_prob(frame)[whole], rtol=1e-5)  # of float32 sums


def test_imputed_entries_are_there_and_the_others_as_they_were(any_order):
    frame = customers()[:30]
    frame.loc[:9, "kids"] = np.nan
    filled = any_order.impute(frame, n=2, seed=0)
    assert filled.index.names == ["draw", None]
    assert not filled.isna().any(axis=None)
    for k in range(2):
        for name in frame:
            there = frame[name].notna()
            assert (filled.loc[k][name][there] == frame[name][there]).all()
    assert_frame_equal(any_order.impute(frame[5:], n=1, seed=1).loc[0].index.to_frame(),
                       frame[5:].index.to_frame())  # fmt: skip
    row = any_order.impute(frame.iloc[0], n=3, seed=0)
    assert len(row) == 3
    assert any_order.impute({"city": "Oslo"}, seed=0).city.tolist() == ["Oslo"]


def test_draws_given_what_is_known_are_whole_rows(any_order):
    drawn = any_order.sample(200, known={"city": "Oslo", "kids": 7}, seed=0)
    assert list(drawn) == list(customers())
    assert set(drawn.city) == {"Oslo"}
    assert set(drawn.kids) == {7}
    assert drawn.balance.isna().any()
    each = any_order.sample(known=customers()[["age"]][:5], seed=0)
    assert each.age.tolist() == customers().age[:5].tolist()
    assert_frame_equal(any_order.sample(3, known={"city": "Oslo", "kids": 7}, seed=0), drawn[:3])
    with pytest.raises(ParameterError, match="known has 5 examples and n is 2"):
        any_order.sample(2, known=customers()[:5])
    with pytest.raises(ParameterError, match="length can not stand beside"):
        any_order.sample(2, known={"kids": 1}, length=3)
    with pytest.raises(DataError, match="'town'"):
        any_order.sample(2, known={"town": "Oslo"})


def test_draws_given_some_columns_have_their_conditional_law():
    frame = customers(400)[["kids", "city"]].assign(up=lambda d: d.kids > 3)
    plan = Training(steps=300, batch_size=128, lr=0.01)
    model = MADE((16,), order_agnostic=True, training=plan).fit(frame)
    drawn = model.sample(4000, known={"up": True}, seed=0)
    shares = drawn.kids.value_counts(normalize=True)
    for kids in range(7):
        row = pd.DataFrame({"up": [True], "kids": [kids]})
        want = np.exp(model.conditional_log_prob(row, given=["up"]))
        assert shares.get(kids, 0.0) == pytest.approx(float(want.iloc[0]), abs=0.03)
    assert (drawn.kids > 3).mean() > 0.9


@pytest.mark.parametrize("order_agnostic", [False, True])
def test_completion_takes_tables(order_agnostic):
    frame = people(40)
    model = model_of(frame, order_agnostic=order_agnostic)
    found = complete(model, frame[:3], n=2, n_particles=30, seed=0, return_info=True)
    assert found.x.shape == (6, 5)
    assert not found.x.isna().any(axis=None)
    assert found.x.dtypes.equals(frame.dtypes)
    law = complete(model, frame.iloc[0][["visits"]], n=200, n_particles=300, seed=0, present=False)
    assert set(law.visits) == {frame.visits.iloc[0]}
    assert law.height.isna().any()
    gone = frame[:1].assign(height=np.nan)
    known = pd.DataFrame(True, gone.index, gone.columns).assign(smokes=False)
    kept = complete(model, gone, known, n_particles=30, seed=0)
    assert kept.height.isna().all()


def test_a_model_of_one_order_says_what_knows_every_order():
    model = model_of(people(40))
    with pytest.raises(UnsupportedError, match="order_agnostic=True"):
        model.impute(people(3))
    x = RNG.integers(0, 2, (30, 3))
    masked = MADE((4,), order_agnostic=True, training=QUICK).fit(x)
    with pytest.raises(UnsupportedError, match=r"sampling\.complete"):
        masked.impute(x)


def test_files_hold_such_a_model(any_order, tmp_path):
    any_order.save(tmp_path / "t")
    loaded = arproc.load(tmp_path / "t")
    assert loaded.space == any_order.space
    assert_frame_equal(loaded.sample(5, seed=0), any_order.sample(5, seed=0))
    assert loaded.columns == any_order.columns


def test_a_context_and_weights_reach_every_column():
    frame = small()
    context = RNG.normal(size=(len(frame), 2))
    model = MADE((9, 9), order_agnostic=True, residual=True, direct=True, conditioned=True,
                 training=QUICK).fit(frame, context=context)  # fmt: skip
    shake(model)
    a, b = (model.log_prob_terms(frame, context=c) for c in (context, context + 1))
    assert (np.abs(a - b) > 1e-9).all(axis=None)
    moved = model.in_order([2, 0, 3, 1])
    assert np.isfinite(moved.log_prob(frame, context=context)).all()
    filled = model.impute(frame.assign(kids=np.nan), context=context, seed=0)
    assert filled.kids.notna().all()


# ---- wide categories ----------------------------------------------------------------------


@pytest.mark.parametrize("order_agnostic", [False, True])
def test_a_wide_category_widens_no_other_column(order_agnostic):
    frame = pd.DataFrame(RNG.normal(size=(60, 6)), columns=[*"abcdef"])
    frame["label"] = [f"label {k}" for k in range(60)]
    model = of(frame, columns=None, order_agnostic=order_agnostic)
    network = model.network_
    inputs, outputs = network.values.widths(7)
    assert inputs == [1] * 6 + [60]
    assert outputs == [6] * 6 + [60]
    raw = torch.randn(60, sum(outputs))
    x = model.sequences(frame).padded()[0]
    fast = network.values.terms(raw, x)
    head = network.values
    slow = head.distribution(head.finish(head.split(raw))).log_prob(x)
    torch.testing.assert_close(fast, slow)
