"""Inputs in their own units: contexts of any place and size, and wild values, in every model."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import arproc
from arproc import (
    MADE,
    MAF,
    NADE,
    RNN,
    KernelDensity,
    PixelCNN,
    PixelCNNPP,
    PixelSNAIL,
    Training,
    Transformer,
)
from arproc.errors import DataError

RNG = np.random.default_rng(0)
PLAN = Training(steps=40, lr=0.02, batch_size=50)
SEEN = RNG.normal(size=(150, 2))
RAW = SEEN * [15_000.0, 12.0] + [40_000.0, 45.0]  # an income and an age
REAL = SEEN @ [[0.8, -0.8, 0.3], [0.4, 0.4, 0.8]] + 0.4 * RNG.normal(size=(150, 3))
BINARY = (REAL[:, [0, 1, 2, 0]] + 0.3 * RNG.normal(size=(150, 4)) > 0).astype(int)
IMAGES = BINARY.reshape(-1, 2, 2)

CONDITIONED = {
    "MADE": (MADE((8,)), REAL),
    "MADE of levels": (MADE((8,)), BINARY),
    "MADE of all orders": (MADE((8,), order_agnostic=True), REAL),
    "MADE of a table": (MADE((8,)), pd.DataFrame(REAL, columns=list("abc"))),
    "NADE": (NADE(8), REAL),
    "NADE of levels": (NADE(8), BINARY),
    "NADE of all orders": (NADE(8, order_agnostic=True), REAL),
    "MAF": (MAF((8,), layers=2), REAL),
    "PixelCNN": (PixelCNN(1, 4), IMAGES),
    "PixelCNN++": (PixelCNNPP(1, 4, resolutions=1), IMAGES),
    "PixelSNAIL": (PixelSNAIL(1, 4, keys=2, values=2), IMAGES),
    "Transformer": (Transformer(layers=1, heads=2, width=8), BINARY),
    "Transformer of all orders": (Transformer(1, 2, 8, order_agnostic=True), BINARY),
    "RNN": (RNN(width=8), BINARY),
}


@pytest.mark.parametrize("name", CONDITIONED)
def test_a_context_in_its_own_units_is_as_good_as_a_standardised_one(name, tmp_path):
    model, x = CONDITIONED[name]
    model = model.clone().set_params(conditioned=True, training=PLAN)
    scores = []
    for context in (SEEN, RAW):
        fitted = model.clone().fit(x[:100], context=context[:100])
        scores.append(np.asarray(fitted.log_prob(x[100:], context=context[100:])))
    np.testing.assert_allclose(scores[1], scores[0], rtol=1e-4, atol=1e-4)
    fitted.save(tmp_path / "model")
    again = arproc.load(tmp_path / "model").log_prob(x[100:], context=RAW[100:])
    np.testing.assert_array_equal(np.asarray(again), scores[1])
    other = np.asarray(fitted.log_prob(x[100:], context=RAW[:50]))
    assert np.abs(other - scores[1]).max() > 1e-3
    assert len(fitted.sample(2, seed=0, context=RAW[:2])) == 2


def test_dummies_enter_as_they_are_and_far_contexts_end():
    rare = np.c_[SEEN, (np.arange(150) == 3)]
    model = MADE((8,), conditioned=True, training=PLAN).fit(REAL, context=rare)
    layer = model.network_.given[0]
    assert (float(layer.place[2]), float(layer.size[2])) == (0.0, 1.0)
    far = model.log_prob(REAL[:1], context=[[1e30, 0.0, 0.0]])
    assert np.isfinite(far).all()


WILD = {
    "MADE": MADE((8,)),
    "MADE of normals": MADE((8,), head="normal"),
    "MADE of a table": MADE((8,), columns=["real"] * 3),
    "NADE": NADE(8),
    "MAF": MAF((8,), layers=2),
    "MAF by activation": MAF((8,), layers=2, normalisation="activation"),
    "kernel density": KernelDensity(),
}


@pytest.mark.parametrize("name", WILD)
@pytest.mark.parametrize("value", [1e6, -1e8])
def test_one_wild_value_does_not_spoil_the_others(name, value):
    model = WILD[name].clone()
    if name != "kernel density":
        model.set_params(training=PLAN)
    x = np.random.default_rng(1).normal(size=(600, 3)) @ [[1, 0.8, 0], [0, 0.6, 0.5], [0, 0, 0.8]]
    spoilt = x.copy()
    spoilt[77, 1] = value
    clean = model.clone().fit(x[:500]).log_prob(x[500:]).mean()
    with pytest.warns(UserWarning, match="data has values far .*: column 1, row 77: "):
        found = model.clone().fit(spoilt[:500])
    # a single normal has no part of its own for what lies far, so its spread gives way a little
    assert found.log_prob(x[500:]).mean() > clean - (0.3 if name == "MADE of normals" else 0.1)
    draws = np.abs(found.sample(200, seed=0)).max(1)
    assert np.median(draws) < 3
    assert (draws > 30).sum() < 5


@pytest.mark.parametrize(
    "model", [MADE(), NADE(), NADE(order_agnostic=True), MAF(), KernelDensity()]
)
def test_one_vector_is_no_sample(model):
    for data in (np.arange(500) / 7, pd.Series(np.arange(500) / 7), [0.5, 1.5, 2.0]):
        with pytest.raises(DataError, match=r"one vector of \d+ numbers.*data\[:, None\]"):
            model.fit(data)


@pytest.mark.parametrize("model", [
    MADE((4,), training=PLAN), NADE(4, training=PLAN), MAF((4,), 1, training=PLAN), KernelDensity()
])  # fmt: skip
def test_few_different_fractions_are_told(model):
    x = np.c_[RNG.normal(size=120), RNG.integers(0, 3, 120) / 2]
    with pytest.warns(UserWarning, match=r"column 1 has only 3 different values \(0, 0.5, 1\)"):
        model.clone().fit(x)
