"""Validation data of models that take a context: a pair of the data and their context."""

from __future__ import annotations

import numpy as np
import pytest
from toys import Driven, Walk

from arproc import MADE, MAF, NADE, PixelCNN, PixelCNNPP, PixelSNAIL, Training, Transformed
from arproc.errors import DataError, ParameterError
from arproc.transforms import Log

PLAN = Training(steps=40, lr=0.02, validate_every=5, batch_size=16)


def flipped(n: int, seed: int, *shape: int) -> tuple[np.ndarray, np.ndarray]:
    """Zeros and ones that are those of the label, some of them flipped."""
    rng = np.random.default_rng(seed)
    label = rng.integers(0, 2, n)
    noise = rng.random((n, *shape)) < 0.2
    return np.where(noise, 1 - label.reshape(-1, *[1] * len(shape)), label.reshape(
        -1, *[1] * len(shape))), label.astype(float)  # fmt: skip


MODELS = {
    "MADE": (MADE((8,), conditioned=True, training=PLAN), (4,)),
    "NADE": (NADE(8, conditioned=True, training=PLAN), (2, 2)),
    "MAF": (MAF((8,), layers=2, conditioned=True, training=PLAN), (3,)),
    "MAF by activation": (
        MAF((8,), layers=2, conditioned=True, normalisation="activation", training=PLAN), (3,)
    ),
    "PixelCNN": (PixelCNN(1, 4, conditioned=True, training=PLAN), (3, 2)),
    "PixelCNN of classes": (PixelCNN(1, 4, classes=2, training=PLAN), (3, 2)),
    "PixelCNN++": (
        PixelCNNPP(1, 4, resolutions=1, components=1, classes=2, training=PLAN), (3, 2)
    ),
    "PixelSNAIL": (PixelSNAIL(1, 4, keys=2, values=2, classes=2, training=PLAN), (3, 2)),
}  # fmt: skip


@pytest.mark.parametrize("name", MODELS)
def test_the_validation_loss_is_that_of_the_pair(name):
    model, shape = MODELS[name]
    x, c = flipped(60, 0, *shape)
    held, given = flipped(40, 1, *shape)
    if isinstance(model, MAF):
        x, held = x + 0.1 * np.random.default_rng(2).normal(size=x.shape), held + 0.05
    model = model.clone().fit(x, context=c, validation=(held, given))
    best = model.history_["validation"].min()
    assert best == pytest.approx(-model.score(held, context=given), abs=1e-5)
    # and not that under other labels
    assert abs(best + model.score(held, context=1 - given)) > 1e-3


@pytest.mark.parametrize("model", [
    MADE((8,), conditioned=True, order_agnostic=True, training=PLAN.set_params(steps=300)),
    NADE(8, conditioned=True, order_agnostic=True, training=PLAN.set_params(steps=300)),
], ids=["MADE", "NADE"])  # fmt: skip
def test_it_chooses_by_the_pair_in_every_order(model):
    x, c = flipped(60, 0, 4)
    held, given = flipped(200, 1, 4)
    right = model.clone().fit(x, context=c, validation=(held, given)).history_["validation"]
    right = right.dropna()
    with pytest.warns(UserWarning, match="lowest when it was first looked at, after 5 of 300"):
        wrong = model.clone().fit(x, context=c, validation=(held, 1 - given))
    wrong = wrong.history_["validation"].dropna()
    assert right.min() < 0.9 * np.log(2) < np.log(2) < wrong.iloc[-1]


@pytest.mark.parametrize(("pair", "error", "words"), [
    (lambda x, c: x, ParameterError, r"must be a pair \(data, context\).*got ndarray"),
    (lambda x, c: (x,), ParameterError, "got a tuple of 1"),
    (lambda x, c: (x, None), ParameterError, r"got \(data, None\)"),
    (lambda x, c: (x, c[1:]), DataError, "validation's context has 59 numbers"),
    (lambda x, c: (x, c[1:, None]), DataError, "validation's context has shape .*N = 60"),
    (lambda x, c: (x, np.stack([c, c], 1)), DataError, "validation's context has 2 numbers"),
    (lambda x, c: (x, np.full(60, np.inf)), DataError, "validation's context has values"),
    (lambda x, c: (x[:, :2], c), DataError, "validation"),
])  # fmt: skip
def test_pairs_that_are_none_are_refused(pair, error, words):
    x, c = flipped(60, 0, 4)
    with pytest.raises(error, match=words):
        MADE((8,), conditioned=True, training=PLAN).fit(x, context=c, validation=pair(x, c))


def test_labels_of_validation_data_are_checked():
    x, c = flipped(60, 0, 3, 2)
    model = PixelCNN(1, 4, classes=2, training=PLAN)
    with pytest.raises(DataError, match="validation's context has the label 2"):
        model.fit(x, context=c, validation=(x, c + 1))


class Recorder(Driven):
    """Remembers what it was validated on."""

    def _fit(self, sequences, *, validation, context):
        self.held_ = validation


@pytest.mark.parametrize("kind", ["static", "steps"])
def test_every_model_gets_it(kind):
    c = np.ones(2) if kind == "static" else np.arange(6.0).reshape(2, 3, 1)
    x, held = [[1.0, 2.0, 3.0]] * 2, [[1.0, 2.0, 3.0]] * 2
    model = Recorder(kind).fit(x, context=c, validation=(held, c))
    np.testing.assert_array_equal(model.held_.context.squeeze(-1), c.reshape(2, -1).squeeze())
    outer = Transformed(Recorder(kind), Log()).fit(x, context=c, validation=(held, c))
    got = outer.process_.held_
    np.testing.assert_array_equal(got.context.squeeze(-1), c.reshape(2, -1).squeeze())
    np.testing.assert_allclose(got.values, np.log(held).ravel())


def test_models_without_a_context_take_the_data_alone():
    assert Walk().fit([1.0, 2.0], validation=[0.5]) is not None
