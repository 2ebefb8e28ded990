"""MADE of tables: the user's forms in and out, files, and what other calls make of tables."""

from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import pytest
import torch
from data.tables.strategies import frames
from hypothesis import given, settings
from models.neural.vectors.people import KINDS, QUICK, model_of, people
from pandas.testing import assert_frame_equal

import arproc
from arproc import MADE, MAF, NADE, KernelDensity, Training
from arproc.errors import DataError, NotComparableError, ParameterError

# ---- in kind ------------------------------------------------------------------------------


def test_a_dataframe_comes_out_as_it_went_in():
    frame = people()
    model = model_of(frame)
    drawn = model.sample(200, seed=0)
    assert list(drawn.columns) == list(frame.columns)
    assert drawn.dtypes.equals(frame.dtypes)
    assert set(drawn.city.dropna()) <= {"Oslo", "Rome", "Kyiv"}
    assert drawn.height.isna().any()
    assert not drawn[["visits", "smokes", "grade"]].isna().any(axis=None)
    assert list(drawn.grade.cat.categories) == [*"cab"]
    assert_frame_equal(model.sample(7, seed=0), drawn[:7])
    model.log_prob(drawn)


def test_terms_are_a_dataframe_of_the_rows_and_columns():
    frame = people()
    model = model_of(frame, ordering=["grade", "visits", "height", "smokes", "city"])
    terms = model.log_prob_terms(frame)
    assert terms.index.equals(frame.index)
    assert list(terms.columns) == ["grade", "visits", "height", "smokes", "city"]
    np.testing.assert_allclose(terms.sum(axis=1), model.log_prob(frame))
    row = frame.iloc[3]
    assert model.log_prob(row) == pytest.approx(model.log_prob(frame).iloc[3])
    np.testing.assert_allclose(model.log_prob_terms(row), terms.iloc[3])
    shuffled = frame[["smokes", "city", "grade", "height", "visits"]]
    np.testing.assert_array_equal(model.log_prob(shuffled), model.log_prob(frame))


def test_draws_continue_the_first_columns():
    frame = people()
    model = model_of(frame, ordering=["smokes", "visits", "height", "city", "grade"])
    known = pd.DataFrame({"visits": [4, 0], "smokes": [True, False]})
    drawn, log_prob, _, complete = model.sample(2, prefix=known, seed=1, return_log_prob=True)
    assert list(drawn.columns) == ["height", "city", "grade"]
    assert complete.all()
    terms = model.log_prob_terms(pd.concat([known, drawn], axis=1))
    np.testing.assert_allclose(terms[drawn.columns].sum(axis=1), log_prob)
    after = model.condition(known.iloc[[0]])
    assert after.space.names == ("height", "city", "grade")
    assert after.log_prob(drawn)[0] == pytest.approx(log_prob[0])
    assert list(after.sample(3, seed=0).columns) == ["height", "city", "grade"]


def test_names_give_an_order_as_positions_do():
    frame = people()
    by_name = model_of(frame, ordering=["city", "grade", "height", "smokes", "visits"])
    by_place = model_of(frame, ordering=(2, 4, 0, 3, 1))
    np.testing.assert_array_equal(by_name.log_prob(frame), by_place.log_prob(frame))
    assert model_of(frame, ordering="random").layout.order is not None


def test_arrays_hold_the_numbers_of_the_categories():
    frame = people()
    model = model_of(frame)
    x = model.sequences(frame).padded()[0]
    np.testing.assert_allclose(model.log_prob(x.numpy()), model.log_prob(frame))
    moving = x.clone().requires_grad_()
    slopes = torch.autograd.grad(model.log_prob(moving).sum(), moving)[0]
    assert bool(torch.isfinite(slopes).all())
    assert bool((slopes[:, 0][~torch.isnan(x[:, 0])] != 0).all())
    of_array = MADE((5,), columns={1: "count"}, training=QUICK).fit(x.numpy())
    drawn = of_array.sample(5, seed=0)
    assert isinstance(drawn, np.ndarray)
    assert drawn.shape == (5, 5)


def test_labels_of_any_kind_are_kept_in_files(tmp_path):
    frame = people().assign(
        whole=np.arange(80) % 3 - 1, halves=pd.Categorical(np.arange(80) % 2 / 2),
        maybe=pd.array([None, True, False, True] * 20, dtype="boolean"),
    )  # fmt: skip
    model = model_of(frame)
    model.save(tmp_path / "table")
    loaded = arproc.load(tmp_path / "table")
    assert loaded.space == model.space
    assert [c.dtype for c in loaded.space.columns] == [c.dtype for c in model.space.columns]
    assert_frame_equal(loaded.sample(20, seed=3), model.sample(20, seed=3))
    np.testing.assert_array_equal(loaded.log_prob(frame), model.log_prob(frame))


def test_a_weight_of_zero_is_a_row_that_is_not_there():
    frame = people(400)
    weight = (frame.city == "Rome").astype(float)
    training = Training(steps=100, batch_size=64, lr=0.02)
    model = MADE((), columns=KINDS, training=training).fit(frame, sample_weight=weight)
    assert (model.sample(200, seed=0).city == "Rome").mean() > 0.95


@settings(max_examples=20, deadline=None)
@given(frames())
def test_any_table_is_fitted_scored_drawn_and_kept(frame):
    frame = pd.concat([frame] * 3, ignore_index=True)
    model = MADE((4,), components=2, training=Training(steps=2, batch_size=4)).fit(frame)
    assert np.isfinite(model.log_prob(frame)).all()
    drawn, log_prob, _, _ = model.sample(4, seed=0, return_log_prob=True)
    assert drawn.dtypes.equals(frame.dtypes)
    assert np.isfinite(log_prob).all()
    gaps = {column.name for column in model.space.columns if column.missing}
    assert set(drawn.columns[drawn.isna().any()]) <= gaps
    with TemporaryDirectory() as folder:
        model.save(f"{folder}/table")
        loaded = arproc.load(f"{folder}/table")
    assert loaded.space == model.space
    assert_frame_equal(loaded.sample(4, seed=0), drawn)


# ---- together with the rest ---------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:data are taken for real numbers")
def test_tables_are_evaluated_and_only_like_is_compared():
    frame = people()
    model, other = model_of(frame), model_of(frame, ordering="random")
    result = arproc.evaluate(model, frame)
    assert result.measure == "mixed"
    assert result.nats_per_element == pytest.approx(-model.score(frame))
    assert result.perplexity is None
    table = arproc.compare({"a": model, "b": other}, frame)
    assert set(table.index) == {"a", "b"}
    ensemble = arproc.OrderEnsemble([model, other])
    want = np.logaddexp(model.log_prob(frame), other.log_prob(frame)) - np.log(2)
    np.testing.assert_allclose(ensemble.log_prob(frame), want)
    assert ensemble.sample(3, seed=0).dtypes.equals(frame.dtypes)
    real = model_of(frame, columns={"visits": "real"})
    with pytest.raises(NotComparableError, match="'visits' is count in one and real"):
        arproc.compare({"a": model, "b": real}, frame)
    vectors = MADE((4,), training=QUICK).fit(np.random.default_rng(0).normal(size=(30, 5)))
    with pytest.raises(NotComparableError, match="a table of 5 columns"):
        arproc.compare({"a": model, "b": vectors}, frame)


def test_scikit_learn_searches_over_tables():
    from sklearn.model_selection import GridSearchCV

    search = GridSearchCV(MADE(columns=KINDS, training=QUICK), {"hidden": [(4,), ()]}, cv=2)
    assert search.fit(people()).best_score_ < 0


WRONG = {
    "some orders": ({"order_agnostic": 3}, ParameterError, "order_agnostic=3"),
    "levels": ({"levels": 3}, ParameterError, "levels=3"),
    "a head of levels": ({"head": "categorical"}, ParameterError, "head='categorical'"),
    "an unknown column": ({"columns": {"age": "count"}}, ParameterError, "'age'"),
    "an unknown kind": ({"columns": {"visits": "number"}}, ParameterError, "'visits'"),
    "an order of other names": ({"ordering": ["height", "age"]}, ParameterError, "ordering"),
    "not a count": ({"columns": {"height": "count"}}, DataError, "'height': expected counts"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_does_not_go_together_is_refused(what):
    parameters, error, words = WRONG[what]
    with pytest.raises(error, match=words):
        model_of(people(), **parameters)


def test_a_numeric_dataframe_with_a_head_is_an_array_as_before():
    x = pd.DataFrame(np.random.default_rng(0).integers(0, 2, (20, 3)))
    model = MADE((4,), head="bernoulli", training=QUICK).fit(x)
    assert model.space.kind == "binary"
    assert isinstance(model.sample(2, seed=0), np.ndarray)


# ---- tables where arrays are expected ------------------------------------------------------


def test_what_is_known_of_a_table_is_checked_by_its_own_column():
    x = np.column_stack([np.linspace(-1.5, 1.5, 40), np.arange(40) % 17])
    model = MADE((4,), columns=["real", "count"], ordering=[1, 0], training=QUICK).fit(x)
    found = arproc.sampling.complete(
        model, x[:3], np.array([True, False]), n_particles=50, seed=0, return_info=True
    )
    assert (found.x[:, 0, 0] == x[:3, 0]).all()
    assert (found.x[..., 1] == np.floor(found.x[..., 1])).all()
    with pytest.raises(DataError, match="column 1: expected counts"):
        arproc.sampling.complete(model, x - 0.5, np.array([False, True]))


@pytest.mark.parametrize("model", [NADE(4), MAF((4,)), KernelDensity()])
def test_models_of_plain_vectors_name_what_takes_mixed_columns(model):
    with pytest.raises(DataError, match=r"columns of dtype .*MADE takes tables of mixed columns"):
        model.fit(people())


def test_nullable_columns_of_numbers_are_plain_vectors():
    x = np.random.default_rng(0).normal(size=(30, 2))
    plain = KernelDensity(0.5).fit(x)
    nullable = KernelDensity(0.5).fit(pd.DataFrame(x, columns=["a", "b"]).astype("Float64"))
    assert np.array_equal(nullable.log_prob(x), plain.log_prob(x))
