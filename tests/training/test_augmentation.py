"""`Training(augment=)`: what it is given, what it may give back, and what a saved model keeps."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone

import arproc
from arproc import MADE, MAF, NADE, PixelCNN, Training, Transformer
from arproc.errors import DataError, ParameterError, TrainingError
from arproc.training import Augmentation, Binarise, Dequantise

QUICK = Training(steps=8, batch_size=6, lr=0.01)


def binary(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 2, shape)


def weights(model) -> list[torch.Tensor]:
    return list(model.network_.state_dict().values())


def same(one, other) -> bool:
    return all(torch.equal(a, b) for a, b in zip(weights(one), weights(other), strict=True))


MODELS = {
    "MADE": (lambda plan: MADE((5,), ordering="random", training=plan), binary(20, 3, 2)),
    "MADE of all orders": (
        lambda plan: MADE((5,), order_agnostic=True, training=plan), binary(20, 6)
    ),
    "NADE": (lambda plan: NADE(5, ordering="random", training=plan), binary(20, 6)),
    "MAF": (
        lambda plan: MAF((5,), layers=2, ordering="random", training=plan),
        np.random.default_rng(0).normal(size=(20, 2, 2)),
    ),
    "PixelCNN": (lambda plan: PixelCNN(1, 4, training=plan), binary(20, 3, 2)),
    "PixelCNN of colours": (lambda plan: PixelCNN(1, 4, training=plan), binary(20, 3, 4, 5)),
}  # fmt: skip


@pytest.mark.parametrize("name", MODELS)
def test_it_is_given_the_rows_of_the_users_array(name):
    make, data = MODELS[name]
    seen = []

    def look(x, rows, generator):
        seen.append((x.clone(), rows, torch.rand((), generator=generator)))
        return x

    model = make(QUICK.set_params(augment=look)).fit(data)
    for x, rows, _ in seen:
        assert x.dtype == model.space.dtype
        assert rows.dtype == torch.int64
        np.testing.assert_array_equal(x.numpy(), data[rows.numpy()])
    steps = [draw for x, _, draw in seen if len(x) == QUICK.batch_size]
    assert len(steps) == len({float(draw) for draw in steps}) == QUICK.steps
    # and one that changes nothing changes nothing
    assert same(model, make(QUICK).fit(data))


@pytest.mark.parametrize("name", MODELS)
def test_what_is_learnt_is_what_it_gives(name):
    make, data = MODELS[name]
    flipped = np.ascontiguousarray(data[:, ::-1])
    plan = QUICK.set_params(augment=lambda x, rows, generator: x.flip(1))
    assert same(make(plan).fit(data), make(QUICK).fit(flipped))


@pytest.mark.parametrize("make", [
    lambda plan: MADE((5,), order_agnostic=True, training=plan),
    lambda plan: NADE(5, order_agnostic=True, training=plan),
    lambda plan: PixelCNN(1, 4, training=plan),
])  # fmt: skip
def test_runs_are_reproducible_and_resume_to_the_bit(make, tmp_path):
    grey = np.random.default_rng(1).random((20, 3, 2))
    plan = Training(steps=12, batch_size=6, validate_every=4, augment=Binarise(grey))
    data = grey > 0.5
    whole = make(plan).fit(data, validation=data[:8])
    assert same(whole, make(plan).fit(data, validation=data[:8]))
    assert not same(whole, make(plan.set_params(augment=None)).fit(data, validation=data[:8]))

    class Breaking(Binarise):
        calls = 0

        def __call__(self, x, rows, generator):
            self.calls += 1
            if self.calls == 9:
                raise InterruptedError
            return super().__call__(x, rows, generator)

    kept = plan.set_params(checkpoint=str(tmp_path / "run"), checkpoint_every=3, resume=True)
    with pytest.raises(InterruptedError):
        make(kept.set_params(augment=Breaking(grey))).fit(data, validation=data[:8])
    resumed = make(kept).fit(data, validation=data[:8])
    assert same(whole, resumed)
    timeless = [model.history_.drop(columns="seconds") for model in (whole, resumed)]
    pd.testing.assert_frame_equal(*timeless)
    with pytest.raises(TrainingError, match="other settings: augment="):
        make(kept.set_params(augment=Binarise(grey / 2))).fit(data, validation=data[:8])
    with pytest.raises(TrainingError, match=r"augment='Binarise.* \(now None"):
        make(kept.set_params(augment=None)).fit(data, validation=data[:8])


def test_binarise_draws_each_pixel_by_its_intensity():
    grey = torch.tensor([[0.0, 0.2, 1.0], [0.7, 0.5, 0.0]])
    rows = torch.tensor([1, 0]).repeat(10_000)
    x = Binarise(grey)(torch.zeros(len(rows), 3), rows, torch.Generator().manual_seed(0))
    mean = x.double().unflatten(0, (-1, 2)).mean(0)
    torch.testing.assert_close(mean, grey[[1, 0]].double(), atol=0.015, rtol=0)
    assert bool((mean[grey[[1, 0]] == 0] == 0).all())
    assert bool((mean[grey[[1, 0]] == 1] == 1).all())


def test_dynamic_binarisation_learns_the_law_of_the_intensities():
    """Two kinds of image: the law of a binary one is the mean of two products of Bernoullis."""
    kinds = np.array([[0.1, 0.8, 0.9, 0.3], [0.7, 0.2, 0.1, 0.6]])
    grey = kinds[np.arange(60) % 2]
    plan = Training(steps=600, lr=0.01, batch_size=60, weight_decay=0.0, augment=Binarise(grey))
    model = MADE((32,), training=plan).fit(grey > 0.5)
    every = np.array(np.meshgrid(*[[0, 1]] * 4, indexing="ij")).reshape(4, -1).T
    each = np.where(every[:, None] == 1, kinds, 1 - kinds).prod(2)
    np.testing.assert_allclose(np.exp(model.log_prob(every)), each.mean(1), atol=0.02)


def test_noise_belongs_to_what_a_flow_standardises_by():
    """Whole numbers made continuous by noise: where a flow stands is that of their sum."""
    x = np.random.default_rng(0).integers(0, 6, (300, 2))

    def dequantise(x, rows, generator):
        return x + torch.rand(x.shape, generator=generator)

    plan = Training(steps=150, lr=0.01, batch_size=100, augment=dequantise)
    model = MAF((8,), layers=2, training=plan).fit(x)
    draws = model.sample(4000, seed=0)
    np.testing.assert_allclose(draws.mean(0), x.mean(0) + 0.5, atol=0.2)
    np.testing.assert_allclose(draws.std(0), np.sqrt(x.var(0) + 1 / 12), atol=0.2)


@pytest.mark.parametrize(("give", "words"), [
    (lambda x: x[:, :1], r"augment gave shape \[12, 1, 2\] for examples of shape \[12, 3, 2\]"),
    (lambda x: None, "augment gave a NoneType"),
    (lambda x: x * 2, "what augment gave does not fit the model's space"),
    (lambda x: x * 0.5, "what augment gave does not fit the model's space"),
    (lambda x: x * float("nan"), "what augment gave has .* not finite"),
])  # fmt: skip
def test_what_it_gives_is_checked(give, words):
    data = np.ones((12, 3, 2), dtype=int)
    data[0] = 0
    model = MADE((4,), training=QUICK).fit(data)
    before = model.log_prob(data)
    model.set_params(training__augment=lambda x, rows, generator: give(x))
    with pytest.raises(DataError, match=words):
        model.fit(data)
    np.testing.assert_array_equal(model.log_prob(data), before)  # it stays as it was


def test_levels_that_a_site_does_not_have_are_refused():
    data = np.stack([np.arange(12) % 2, np.arange(12) % 4], axis=1)
    model = MADE((4,), levels=(2, 4), training=QUICK.set_params(augment=lambda x, r, g: x.flip(1)))
    with pytest.raises(DataError, match="what augment gave has the value 3 where the levels are"):
        model.fit(data)


@pytest.mark.parametrize(("intensities", "words"), [
    (np.full((4, 2), 255), "goes from 255 to 255; expected probabilities.* Divide grey values"),
    ([[0.5, np.nan]], "expected probabilities"),
    ([[0.5, -0.1]], "expected probabilities"),
    ([0.5, 0.1], r"shape \[2\]"),
    ([["a", "b"]], "can not be read"),
    (np.zeros((0, 3)), r"shape \[0, 3\]"),
])  # fmt: skip
def test_wrong_intensities_are_refused(intensities, words):
    with pytest.raises(DataError, match=words):
        Binarise(intensities)


def test_intensities_of_other_data_are_refused():
    plan = QUICK.set_params(augment=Binarise(np.full((5, 6), 0.5)))
    with pytest.raises(
        DataError, match=r"intensities \[5, 6\].*training data have shape \[6, 6\]"
    ):
        NADE(4, training=plan).fit(binary(6, 6))


def test_only_functions_and_only_models_of_one_size_take_it():
    with pytest.raises(ParameterError, match="augment must be a function"):
        Training(augment="flip")
    plan = QUICK.set_params(augment=lambda x, rows, generator: x)
    with pytest.raises(ParameterError, match="Transformer takes no Training"):
        Transformer(1, 1, 8, tokens=2, block=4, training=plan).fit(binary(30))


def test_settings_are_parameters_and_a_saved_model_has_the_others(tmp_path):
    augment = Binarise(np.full((20, 6), 0.5))
    model = MADE((4,), training=QUICK.set_params(augment=augment)).fit(binary(20, 6))
    assert model.get_params()["training__augment"] is augment
    assert clone(model).training.augment is augment
    assert model.clone().set_params(training__augment=None).training == QUICK
    assert "augment=Binarise([20, 6])" in repr(model)
    assert repr(Training(augment=binary)) == "Training(augment=binary)"
    assert arproc.training.Binarise is Binarise
    model.save(tmp_path / "model")
    loaded = arproc.load(tmp_path / "model")
    assert loaded.training == QUICK
    np.testing.assert_array_equal(loaded.log_prob(binary(20, 6)), model.log_prob(binary(20, 6)))
    assert isinstance(augment, Augmentation)


def test_models_of_images_take_weights():
    x = np.repeat([[[0, 1], [0, 1]], [[1, 0], [0, 0]], [[1, 1], [1, 1]]], 20, axis=0)
    plan = Training(steps=200, lr=0.02, weight_decay=0.0)
    model = PixelCNN(1, 8, training=plan).fit(x, sample_weight=np.repeat([3.0, 1.0, 0.0], 20))
    np.testing.assert_allclose(np.exp(model.log_prob(x[::20])), [0.75, 0.25, 0.0], atol=0.05)


def test_dequantised_levels_are_bounded_by_their_law():
    levels = np.random.default_rng(0).integers(0, 4, (600, 1))
    plan = Training(steps=300, batch_size=64, lr=0.02, augment=Dequantise())
    model = MADE((), head="logistic_mixture", components=8, training=plan).fit(levels + 0.5)
    noise = np.random.default_rng(1).random((200, 600, 1))
    bound = np.mean([model.log_prob(levels + u).mean() for u in noise])
    assert -0.3 < bound + np.log(4) <= 0.02  # the law of the levels is uniform
    # the noise is drawn afresh: all of the interval is covered, not the halves alone
    assert model.log_prob(levels + 0.1).mean() > -3
    assert repr(Dequantise()) in repr(plan)
