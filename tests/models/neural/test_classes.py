"""`classes=`: examples conditioned on their labels, the same in every model of examples."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import arproc
from arproc import (
    MADE,
    MAF,
    NADE,
    Mixture,
    OrderEnsemble,
    PixelCNN,
    Training,
    Transformed,
    Transformer,
)  # fmt: skip
from arproc.errors import DataError, ParameterError
from arproc.sampling import Temperature
from arproc.transforms import Standardize

PLAN = Training(steps=30, lr=0.02, batch_size=10)
LABEL = np.arange(30) % 3
BINARY = np.random.default_rng(0).integers(0, 2, (30, 4))
REAL = np.random.default_rng(0).normal(size=(30, 4))

MODELS = {
    "MADE": (MADE((6,), training=PLAN), BINARY),
    "MADE of all orders": (MADE((6,), order_agnostic=True, training=PLAN), BINARY),
    "MADE of reals": (MADE((6,), training=PLAN), REAL),
    "NADE": (NADE(6, training=PLAN), BINARY),
    "NADE of all orders": (NADE(6, order_agnostic=True, training=PLAN), BINARY),
    "MAF": (MAF((6,), layers=2, training=PLAN), REAL),
    "PixelCNN": (PixelCNN(1, 4, training=PLAN), BINARY.reshape(-1, 2, 2)),
    "Transformer of all orders": (
        Transformer(1, 2, 8, order_agnostic=True, training=PLAN),
        BINARY,
    ),
}


def fitted(name, **parameters):
    model, x = MODELS[name]
    context = LABEL if "classes" in parameters else np.eye(3)[LABEL]
    return model.clone().set_params(**parameters).fit(x, context=context)


@pytest.mark.parametrize("name", MODELS)
def test_a_label_is_its_row_of_the_identity(name, tmp_path):
    x = MODELS[name][1]
    labels, vectors = fitted(name, classes=3), fitted(name, conditioned=True)
    assert labels.n_context_ == 3
    hot, some = np.eye(3)[LABEL], np.array([2, 0, 1])
    want = vectors.log_prob(x, context=hot)
    for form in (LABEL, LABEL[:, None], LABEL.astype(float), LABEL.tolist(), torch.tensor(LABEL)):
        np.testing.assert_array_equal(labels.log_prob(x, context=form), want)
    assert labels.log_prob(x[1], context=1) == pytest.approx(want[1], abs=1e-5)
    draws = labels.sample(3, seed=0, context=some)
    np.testing.assert_array_equal(draws, vectors.sample(3, seed=0, context=np.eye(3)[some]))
    assert not np.array_equal(want, labels.log_prob(x, context=(LABEL + 1) % 3))
    labels.save(tmp_path / "model")
    loaded = arproc.load(tmp_path / "model")
    assert loaded.classes == 3
    np.testing.assert_array_equal(loaded.log_prob(x, context=LABEL), want)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize(("context", "words"), [
    (np.full(30, 3), r"the label 3 \(example 0\); expected whole numbers 0 ... 2"),
    (np.where(np.arange(30) == 7, -1, 0), r"the label -1 \(example 7\)"),
    (np.full(30, 0.5), r"the label 0.5"),
    (LABEL[1:], r"context has shape \(29,\) for 30 examples; expected whole numbers 0 ... 2"),
    (LABEL[1:, None], r"context has shape \(29, 1\).*N = 30"),
    (np.eye(3)[LABEL], r"context has shape \(30, 3\) for 30 examples"),
    (np.full(30, np.nan), "not finite"),
])  # fmt: skip
def test_what_is_no_label_is_refused(name, context, words):
    model, x = MODELS[name]
    with pytest.raises(DataError, match=words):
        model.clone().set_params(classes=3).fit(x, context=context)


@pytest.mark.parametrize("name", MODELS)
def test_parameters_and_missing_labels(name):
    model, x = MODELS[name]
    with pytest.raises(ParameterError, match="use one of them"):
        model.clone().set_params(classes=3, conditioned=True).fit(x, context=LABEL)
    with pytest.raises(ParameterError, match="classes must be"):
        model.clone().set_params(classes=1).fit(x, context=LABEL)
    with pytest.raises(ParameterError, match="needs a context"):
        model.clone().set_params(classes=3).fit(x)
    with pytest.raises(ParameterError, match="takes no context"):
        model.clone().fit(x, context=LABEL)


@pytest.mark.parametrize("name", MODELS)
def test_vectors_of_another_width_are_refused(name):
    x = MODELS[name][1]
    model = fitted(name, conditioned=True)
    with pytest.raises(DataError, match=r"context has 2 numbers .* model takes 3"):
        model.log_prob(x, context=np.ones((30, 2)))
    model.fit(x, context=np.ones((30, 2)))  # but may be learnt
    assert model.n_context_ == 2


@pytest.mark.parametrize("name", ["MADE of all orders", "NADE of all orders"])
def test_ensembles_over_orders_take_labels(name):
    model = fitted(name, classes=3)
    ensemble = OrderEnsemble(model, orderings=3)
    each = [model.in_order(o).log_prob(BINARY, context=LABEL) for o in ensemble.orders]
    want = np.log(np.mean(np.exp(each), axis=0))
    np.testing.assert_allclose(ensemble.log_prob(BINARY, context=LABEL), want, atol=1e-6)
    assert ensemble.sample(2, seed=0, context=[0, 2]).shape == (2, 4)


def test_wrappers_take_labels():
    made, nade = fitted("MADE", classes=3), fitted("NADE", classes=3)
    mixed = Mixture([made, nade], weights=[0.5, 0.5])
    terms = [part.log_prob_terms(BINARY, context=LABEL) for part in (made, nade)]
    each = np.log(np.mean(np.exp(terms), axis=0))  # the mean of the parts, element by element
    np.testing.assert_allclose(mixed.log_prob(BINARY, context=LABEL), each.sum(1), atol=1e-5)
    hot = made.with_policy(Temperature(1.0))
    np.testing.assert_allclose(hot.log_prob(BINARY, context=LABEL), np.sum(terms[0], 1), atol=1e-5)
    after = made.condition([1, 0], context=1)
    rest = after.log_prob([1, 1])
    whole = made.log_prob_terms([1, 0, 1, 1], context=1)
    assert rest == pytest.approx(whole[2:].sum(), abs=1e-5)
    inner = MADE((6,), classes=3, training=PLAN)
    outer = Transformed(inner, Standardize()).fit(REAL, context=LABEL)
    assert outer.log_prob(REAL, context=LABEL).shape == (30,)
    with pytest.raises(DataError, match="the label 3"):
        outer.log_prob(REAL, context=LABEL + 1)


def test_missing_values_given_a_label():
    labels, vectors = (
        fitted("NADE of all orders", classes=3), fitted("NADE of all orders", conditioned=True)
    )  # fmt: skip
    x = np.where(np.arange(4) < 2, BINARY, -1)
    hot = np.eye(3)[LABEL]
    np.testing.assert_array_equal(
        labels.impute(x, 2, seed=0, context=LABEL), vectors.impute(x, 2, seed=0, context=hot)
    )
    np.testing.assert_array_equal(
        labels.conditional_log_prob(x, context=LABEL),
        vectors.conditional_log_prob(x, context=hot),
    )
