"""Images through the transformer: a sequence of a fixed size, in raster order."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from helpers import assert_close, shake

import arproc
from arproc.errors import DataError, ParameterError
from arproc.models.neural.sequences.crops import Crops
from arproc.training import Training

QUICK = Training(steps=2, batch_size=4)


def model_of(x: np.ndarray, **parameters) -> arproc.Transformer:
    return shake(arproc.Transformer(1, 2, 8, training=QUICK, **parameters).fit(x))


def images(levels: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, levels, shape)


def test_images_come_back_in_their_shape():
    grey = model_of(images(3, 20, 4, 5))
    assert grey.sample(2, seed=0).shape == (2, 4, 5)
    colour = model_of(images(3, 20, 3, 6, 5))
    assert colour.sample(2, seed=0).shape == (2, 3, 6, 5)
    tensors = arproc.Transformer(1, 2, 8, training=QUICK).fit(torch.from_numpy(images(3, 9, 4, 5)))
    assert isinstance(tensors.sample(2, seed=0), torch.Tensor)


def test_the_order_is_by_rows_and_within_a_pixel_by_channels():
    x = images(3, 20, 2, 5, 3)
    last = model_of(x)
    flat = last.sequences(x.reshape(20, 2, 5, 3)).padded()[0]
    assert (flat.numpy() == x.reshape(20, -1)).all()
    first = model_of(x.transpose(0, 3, 1, 2), channel_axis="first")
    assert_close(first.log_prob(x.transpose(0, 3, 1, 2)), last.log_prob(x))


def test_training_crops_are_whole_images_from_the_start_symbol_on():
    model = model_of(images(3, 20, 4, 5))
    assert model.network_.window == 20
    crops = Crops(model.sequences(images(3, 20, 4, 5)), 20)
    inputs, targets, _ = crops(16, torch.Generator().manual_seed(0))
    assert inputs.shape == targets.shape == (16, 20)
    assert (inputs[:, 0] == 3).all()
    assert (inputs[:, 1:] == targets[:, :-1]).all()


def test_images_are_augmented_whole_and_in_their_shape():
    x, seen = images(2, 20, 2, 5, 4), []

    def negative(batch, rows, generator):
        assert (batch.numpy() == x[rows]).all()
        seen.extend(rows.tolist())
        return 1 - batch

    def fit(data, **settings):
        plan = Training(steps=5, batch_size=4, **settings)
        return arproc.Transformer(1, 2, 8, channel_axis="first", training=plan).fit(data)

    model, same = fit(x, augment=negative), fit(1 - x)
    assert sorted(seen) == list(range(20))  # an epoch has every image once
    assert_close(model.log_prob(x), same.log_prob(x))
    plan = Training(steps=1, augment=negative)
    with pytest.raises(ParameterError, match="needs whole images; block=7"):
        arproc.Transformer(1, 2, 8, block=7, channel_axis="first", training=plan).fit(x)
    with pytest.raises(ParameterError, match="takes no Training"):
        arproc.Transformer(1, 2, 8, training=plan).fit(["abc", "abd"])


def test_what_is_learnt_of_copies_is_their_entropy():
    x = images(2, 500, 3, 4)
    x[:, :, 2:] = x[:, :, :2]
    training = Training(steps=200, batch_size=32, optimizer="muon")
    model = arproc.Transformer(2, 2, 32, training=training).fit(x[:400])
    assert -model.log_prob(x[400:]).mean() == pytest.approx(6 * math.log(2), rel=0.15)


def test_it_is_compared_with_other_models_of_the_same_levels():
    x = images(2, 20, 3, 4)
    table = arproc.compare(
        {"transformer": model_of(x), "PixelCNN": arproc.PixelCNN(0, 4, training=QUICK).fit(x)}, x
    )
    assert set(table.index) == {"transformer", "PixelCNN"}


def test_a_saved_model_of_images_knows_their_shape(tmp_path):
    x = images(3, 20, 4, 5)
    model = model_of(x)
    model.save(tmp_path / "model")
    loaded = arproc.load(tmp_path / "model")
    assert loaded.sample(1, seed=0).shape == (1, 4, 5)
    assert_close(loaded.log_prob(x), model.log_prob(x))


def test_bad_images_are_refused():
    with pytest.raises(ParameterError, match="fixed size"):
        model_of(images(3, 20, 4, 5), end=True)
    with pytest.raises(DataError, match="expected at least one image"):
        arproc.Transformer().fit(np.zeros((0, 4, 5), dtype=int))
    with pytest.raises(DataError, match="channel_axis"):
        model_of(images(3, 20, 3, 5, 3))
    with pytest.raises(DataError, match="expected \\[4, 5\\]"):
        model_of(images(3, 20, 4, 5)).log_prob(images(3, 20, 5, 4))


@pytest.mark.parametrize("labels", [True, False])
def test_images_and_texts_follow_what_they_are_conditioned_on(labels):
    which = np.arange(60) % 2
    context = which if labels else np.eye(2)[which] * [1.0, -0.5]
    plan = Training(steps=150, batch_size=20, optimizer="muon")
    settings = {"classes": 2} if labels else {"conditioned": True}
    x = images(2, 60, 3, 4) * 0 + which[:, None, None]
    model = arproc.Transformer(1, 2, 8, training=plan, **settings).fit(
        x, context=context, validation=(x[:10], context[:10])
    )
    assert model.log_prob(x[:2], context=context[:2]).min() > -1  # of 12 pixels
    assert model.log_prob(x[:2], context=context[1::-1]).max() < -3
    assert (model.sample(2, seed=0, context=context[:2]).mean((1, 2)) == which[:2]).mean() > 0.4
    text = ["ababab" if k else "bbbbbb" for k in which]
    told = arproc.Transformer(1, 2, 8, tokens="char", training=plan, **settings)
    told.fit(text, context=context)
    first = told.conditional(context=context[1])
    assert float(first.probs[told.space.vocabulary.encode("a")[0]]) > 0.8


def test_wrong_contexts_are_refused():
    x = images(2, 6, 3, 4)
    with pytest.raises(ParameterError, match="use one of them"):
        arproc.Transformer(1, 2, 8, conditioned=True, classes=2, training=QUICK).fit(x)
    model = arproc.Transformer(1, 2, 8, classes=2, training=QUICK)
    with pytest.raises(DataError, match="label 2"):
        model.fit(x, context=[0, 1, 2, 0, 1, 0])
    model.fit(x, context=[0, 1, 1, 0, 1, 0])
    with pytest.raises(ParameterError, match="needs a context"):
        model.log_prob(x)
