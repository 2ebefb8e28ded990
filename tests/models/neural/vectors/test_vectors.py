"""Vectors as users have them: far values, gradients, bytes, contexts of the wrong length."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from helpers import edit
from models.neural.vectors.people import people

import arproc
from arproc import MADE, MAF, NADE, OrderEnsemble, Training
from arproc.errors import DataError, FileFormatError, ParameterError

QUICK = Training(steps=3, batch_size=8)
X = np.random.default_rng(0).normal(size=(30, 4))
MODELS = {
    "MADE": lambda **more: MADE((8,), training=QUICK, **more),
    "NADE": lambda **more: NADE(8, training=QUICK, **more),
    "MAF": lambda **more: MAF((8,), layers=2, training=QUICK, **more),
}
HEADS = ("normal", "normal_mixture", "logistic_mixture", "student_t")


@pytest.mark.parametrize("name", MODELS)
def test_learning_from_a_tensor_takes_no_notice_of_its_gradients(name):
    data = torch.as_tensor(X)
    plain = MODELS[name]().fit(data)
    traced = MODELS[name]().fit(data.clone().requires_grad_() * 1.0)
    assert torch.equal(traced.log_prob(data), plain.log_prob(data))


@pytest.mark.parametrize("name", MODELS)
def test_a_context_of_another_number_of_examples_is_not_one_for_all(name):
    model = MODELS[name](conditioned=True)
    with pytest.raises(DataError, match=r"context has 29 entries for 30 sequences; fit expects"):
        model.fit(X, context=np.arange(29))
    model.fit(X, context=np.ones((30, 2)))
    assert model.sample(3, seed=0, context=[1.0, 1.0]).shape == (3, 4)  # a draw may share one


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("kind", [MADE, NADE])
def test_values_beyond_float32_have_a_density(kind, head):
    model = kind(8, head=head, training=QUICK).fit(X)
    far = np.full((1, 4), 1e40)
    assert not np.isnan(model.log_prob(far)).any()
    assert model.log_prob(far)[0] < model.log_prob(X).min()
    # what follows a far value is a law as any other
    after = model.conditional(np.array([1e40]))
    assert bool(torch.isfinite(after.mean).all())
    assert np.isfinite(model.sample(3, prefix=[1e40], seed=0)).all()


def test_a_flow_refuses_what_float32_can_not_tell():
    model = MODELS["MAF"]().fit(X)
    assert model.log_prob(np.stack([X[0], np.full(4, 1e40)]))[1] == -np.inf
    for noise in (np.full(4, np.nan), np.full((2, 4), np.inf)):
        with pytest.raises(DataError, match="noise has values that are not finite"):
            model.from_noise(noise)
    with pytest.raises(DataError, match="noise has dtype"):
        model.from_noise(np.array(["a"] * 4))


def test_a_flow_refuses_a_single_vector():
    with pytest.raises(DataError, match=r"data has 1 vector, .* needs 2 or more"):
        MODELS["MAF"]().fit(X[:1])
    with pytest.raises(DataError, match=r"data is one vector of \d+ numbers"):
        MODELS["MAF"]().fit(X[0])
    model = MODELS["MAF"]().fit(X)
    assert isinstance(model.log_prob(X[0]), float)


def test_a_byte_of_255_is_a_value_and_not_a_gap():
    levels = np.random.default_rng(0).integers(0, 256, (30, 3)).astype(np.uint8)
    model = NADE(8, order_agnostic=True, levels=256, training=QUICK).fit(levels)
    x = np.array([[255, 3, 255]], dtype=np.uint8)
    np.testing.assert_array_equal(model.impute(x, seed=0), x[None])
    np.testing.assert_allclose(model.conditional_log_prob(x), model.log_prob(x), rtol=1e-6)


@pytest.mark.parametrize("kind", [MADE, NADE])
def test_numpy_s_whole_numbers_are_whole_numbers(kind):
    levels = np.random.default_rng(0).integers(0, 5, (30, 3))
    model = kind(np.int64(8), levels=np.int64(5), training=QUICK).fit(levels)
    same = kind(8, levels=5, training=QUICK).fit(levels)
    np.testing.assert_array_equal(model.log_prob(levels), same.log_prob(levels))


@pytest.mark.parametrize("name", ["MADE", "NADE"])
def test_parameters_and_data_that_make_no_model_are_refused(name):
    with pytest.raises(ParameterError, match="min_scale can not be read as numbers: got 'a'"):
        MODELS[name](min_scale="a").fit(X)
    with pytest.raises(ParameterError, match="min_scale must be 0 or more, one number or one for"):
        MODELS[name](min_scale=-1.0).fit(X)
    with pytest.raises(DataError, match=r"levels, 0, 1, 2 \.\.\. For real values"):
        MODELS[name]().fit(X.round() * 1e9)


def test_orderings_that_are_no_orders_are_refused():
    model = NADE(8, order_agnostic=True, training=QUICK).fit(X)
    for orderings in ("abc", [1, 2], 2.5):
        with pytest.raises(ParameterError, match="orderings must be how many orders"):
            OrderEnsemble(model, orderings=orderings).log_prob(X)


@pytest.mark.parametrize("kind", [MADE, NADE])
def test_a_site_of_one_level_is_never_drawn_at_another(kind):
    x = np.zeros((20, 3), dtype=int)
    model = kind(8, levels=(1, 1, 1), training=QUICK).fit(x)
    np.testing.assert_array_equal(model.sample(50, seed=0), 0)
    np.testing.assert_array_equal(model.log_prob(x), 0.0)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("ordering", [None, 3, (0.5, 1, 2, 3), ("a", "b", "c", "d"), (0, 1, 2)])
def test_orderings_that_are_no_permutations_are_refused(name, ordering):
    with pytest.raises(ParameterError, match="ordering must be"):
        MODELS[name](ordering=ordering).fit(X)


def test_numbers_of_the_wrong_type_are_refused():
    for kind in (MADE, NADE):
        with pytest.raises(ParameterError, match=r"levels must be an integer; got 5\.0"):
            kind(8, levels=5.0, training=QUICK).fit(np.zeros((8, 2), dtype=int))
    with pytest.raises(ParameterError, match="order_agnostic must be True or False; got 'a'"):
        MODELS["NADE"](order_agnostic="a").fit(X)


@pytest.mark.parametrize("name", MODELS)
def test_a_refusal_of_missing_values_names_the_models_that_take_them(name):
    gaps = np.where(X > 1, np.nan, X)
    with pytest.raises(DataError, match=r"NaN.*\(NADE\(order_agnostic=True\) takes NaN.*MADE\("):
        MODELS[name]().fit(gaps)


@pytest.mark.parametrize("name", [*MODELS, "table", "levels"])
def test_a_file_s_network_is_measured_before_it_is_built(name, tmp_path):
    """A bad file may speak of any size; nothing of it is ever allocated."""
    if name == "table":
        model = MADE((8,), training=QUICK).fit(people())
    elif name == "levels":
        model = NADE((8,), order_agnostic=True, training=QUICK).fit(
            np.arange(24).reshape(8, 3) % 4
        )
    else:
        model = MODELS[name]().fit(X)
    model.save(tmp_path / "model")
    edit(tmp_path / "model", '"items": [8]', '"items": [1000000000000]')
    with pytest.raises(FileFormatError, match="Network do not fit the model"):
        arproc.load(tmp_path / "model")


@pytest.mark.parametrize("name", MODELS)
def test_another_device_gets_a_law_of_its_own(name, monkeypatch):
    model = MODELS[name]().fit(X)
    law, want = model.law_, model.log_prob(X)
    network = law.network.requires_grad_()
    assert model.to("cpu") is model
    assert model.law_ is not law
    assert model.network_ is not network
    np.testing.assert_array_equal(model.log_prob(X), want)
    assert all(p.requires_grad for p in model.network_.parameters())
    monkeypatch.setattr("arproc.models.neural.base.check_device", lambda _, device: device)
    assert model.to("meta").device == torch.device("meta")  # another, wherever this runs
    assert law.device == torch.device("cpu")  # which states, and whoever else holds it, go on with


@pytest.mark.parametrize("name", MODELS)
def test_log_prob_is_differentiable_in_weights_that_ask_for_it(name):
    model = MODELS[name]().fit(X)
    assert not any(p.requires_grad for p in model.network_.parameters())
    assert not model.log_prob(torch.tensor(X)).requires_grad
    model.network_.requires_grad_()
    model.log_prob(torch.tensor(X)).sum().backward()
    assert all(p.grad is not None for p in model.network_.parameters())


@pytest.mark.parametrize("name", MODELS)
def test_what_is_fitted_does_not_follow_the_parameters(name):
    model = MODELS[name](ordering="random").fit(X.reshape(30, 2, 2))
    want, drawn = model.log_prob(X.reshape(30, 2, 2)), model.sample(3, seed=0)
    model.set_params(**dict.fromkeys(model.get_params(deep=False), object()))
    np.testing.assert_array_equal(model.log_prob(X.reshape(30, 2, 2)), want)
    np.testing.assert_array_equal(model.sample(3, seed=0), drawn)
    with pytest.raises(ParameterError):
        model.fit(X)
    np.testing.assert_array_equal(model.log_prob(X.reshape(30, 2, 2)), want)
    assert model.shape_ == (2, 2)


def test_orders_and_gaps_do_not_follow_the_parameters():
    model = NADE(8, order_agnostic=True, training=QUICK).fit(X)
    gaps = np.where(X > 1, np.nan, X)
    seen, random = model.conditional_log_prob(gaps), model.in_order("random").log_prob(X)
    model.set_params(order_agnostic=False, training=QUICK.set_params(seed=7), head="bernoulli")
    np.testing.assert_array_equal(model.conditional_log_prob(gaps), seen)
    np.testing.assert_array_equal(model.in_order("random").log_prob(X), random)
    assert np.isfinite(model.impute(gaps, seed=0)).all()


def test_a_law_is_loaded_where_its_model_s_module_was_not_imported(tmp_path):
    model = NADE(8, order_agnostic=True, training=QUICK).fit(X)
    model.condition(X[0, :2]).save(tmp_path / "model")
    code = f"import arproc; print(arproc.load({str(tmp_path / 'model')!r}).log_prob([0.5, 1.0]))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    want = model.condition(X[0, :2]).log_prob([0.5, 1.0])
    assert float(done.stdout) == pytest.approx(want)
