"""PixelCNN++ and PixelSNAIL as models: what they learn, colours, settings."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from helpers import assert_close, shake

import arproc
from arproc.distributions import as_categorical
from arproc.errors import DataError, ParameterError
from arproc.models.neural.images.pixelcnnpp import PixelCNNPP
from arproc.models.neural.images.pixelsnail import PixelSNAIL
from arproc.training import Training

QUICK = Training(steps=2, batch_size=4)
SMALL = {
    PixelCNNPP: {"blocks": 1, "width": 8, "resolutions": 2, "components": 4},
    PixelSNAIL: {"blocks": 1, "width": 8, "residuals": 1, "keys": 4, "values": 8},
}


@pytest.mark.parametrize("kind", SMALL)
def test_what_is_learnt_of_copies_is_their_entropy(kind):
    rng = np.random.default_rng(0)
    x = rng.integers(0, 2, (500, 3, 4))
    x[:, :, 2:] = x[:, :, :2]
    training = Training(steps=100, batch_size=32, lr=0.02)
    model = kind(**SMALL[kind], training=training).fit(x[:400])
    assert -model.log_prob(x[400:]).mean() == pytest.approx(6 * math.log(2), rel=0.1)


@pytest.mark.parametrize("kind", SMALL)
def test_draws_of_colours_are_those_of_the_derived_loop(kind):
    x = np.random.default_rng(2).integers(0, 20, (12, 3, 5, 6), dtype=np.uint8)
    model = shake(kind(**SMALL[kind], head="discretised_logistic", training=QUICK).fit(x))
    drawn, log_prob, *_ = model.sample(3, seed=0, return_log_prob=True)
    assert drawn.shape == (3, 3, 5, 6)
    assert_close(model.log_prob(drawn), log_prob, scale=10)
    half = model.layout.to_sites(torch.from_numpy(drawn))[:, :41]
    rest = model.sample(3, prefix=half.numpy(), seed=0)
    assert (rest == model.layout.to_sites(torch.from_numpy(drawn))[:, 41:].numpy()).all()


@pytest.mark.parametrize("kind", SMALL)
def test_models_of_images_over_the_same_levels_are_compared(kind):
    x = np.random.default_rng(3).integers(0, 9, (12, 4, 4))
    one = kind(**SMALL[kind], training=QUICK).fit(x)
    other = arproc.PixelCNN(0, 4, training=QUICK).fit(x)
    table = arproc.compare({"one": one, "other": other}, x)
    assert set(table.index) == {"one", "other"}
    assert table.attrs.get("unit", "bits_per_dim") == "bits_per_dim"


@pytest.mark.parametrize("kind", SMALL)
def test_dropout_is_for_training_only(kind):
    x = np.random.default_rng(4).integers(0, 2, (12, 4, 4))
    model = shake(kind(**SMALL[kind], dropout=0.5, training=QUICK).fit(x))
    assert_close(model.log_prob(x), model.log_prob(x))
    sites = model.sequences(x).padded()[0]
    trained = model.network_.train().log_prob(sites)
    model.network_.eval()
    assert float((trained - model.network_.log_prob(sites)).abs().max()) > 1e-3


@pytest.mark.parametrize(
    ("kind", "parameters", "words"),
    [
        (PixelCNNPP, {"resolutions": 0}, "resolutions"),
        (PixelCNNPP, {"dropout": 1.0}, "dropout"),
        (PixelSNAIL, {"keys": 0}, "keys"),
        (PixelSNAIL, {"residuals": -1}, "residuals"),
    ],
)
def test_parameters_that_make_no_model_are_refused(kind, parameters, words):
    x = np.random.default_rng(5).integers(0, 2, (6, 3, 3))
    with pytest.raises(ParameterError, match=words):
        kind(**SMALL[kind] | parameters, training=QUICK).fit(x)


@pytest.mark.parametrize("kind", SMALL)
def test_levels_from_zero_to_one_are_refused_with_the_way_out(kind):
    with pytest.raises(DataError, match=r"fractional part; .* pass \(255 \* data\)\.round\(\)"):
        kind(**SMALL[kind], training=QUICK).fit(np.random.default_rng(0).random((6, 4, 5)))


@pytest.mark.parametrize("kind", SMALL)
def test_images_with_gaps_are_refused_as_such(kind):
    x = np.random.default_rng(0).integers(0, 2, (6, 4, 5)).astype(float)
    x[0, 0, 0] = np.nan
    with pytest.raises(DataError, match="data has NaN; expected whole numbers"):
        kind(**SMALL[kind], training=QUICK).fit(x)


@pytest.mark.parametrize("kind", SMALL)
def test_parameters_that_are_set_after_a_fit_wait_for_the_next(kind):
    x = np.random.default_rng(6).integers(0, 2, (6, 3, 4, 5))
    model = kind(**SMALL[kind], channel_axis="first", training=QUICK).fit(x)
    want, drawn = model.log_prob(x), model.sample(2, seed=0)
    model.set_params(width=3, blocks=3, channel_axis="last", classes=4, head="categorical")
    np.testing.assert_array_equal(model.log_prob(x), want)
    np.testing.assert_array_equal(model.sample(2, seed=0), drawn)
    assert (model.channel_axis_, model.shape_, model.n_context_) == (0, (3, 4, 5), 0)


def test_a_law_under_a_policy_is_loaded_where_its_model_was_never_imported(tmp_path):
    x = np.random.default_rng(6).integers(0, 2, (6, 4, 5))
    model = PixelSNAIL(**SMALL[PixelSNAIL], training=QUICK).fit(x)
    hot = model.with_policy(arproc.sampling.Temperature(2.0))
    hot.save(tmp_path / "hot")
    code = (
        f"import arproc; print(arproc.load({str(tmp_path / 'hot')!r}).log_prob({x[0].tolist()}))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert float(found.stdout) == pytest.approx(hot.log_prob(x[0]), abs=1e-5), found.stderr


def test_policies_work_on_mixtures_of_logistics():
    x = np.random.default_rng(0).integers(0, 9, (8, 2, 2, 3))
    model = PixelCNNPP(**SMALL[PixelCNNPP], channel_axis="last", training=QUICK).fit(x)
    shake(model)
    policy = arproc.sampling.TopK(2) | arproc.sampling.Temperature(0.5)
    draws = model.sample(5, policy=policy, seed=0, return_log_prob=True)
    assert_close(model.log_prob(draws.x), draws.log_prob)
    assert_close(model.with_policy(policy).log_prob(draws.x), draws.policy_log_prob)
    # of each element one of the two most probable levels was drawn
    masses = as_categorical(model.conditionals(draws.x)).logits
    chosen = masses.gather(-1, torch.as_tensor(draws.x.reshape(5, 12, 1)).long())
    assert bool((chosen[..., 0] >= masses.topk(2).values[..., 1] - 1e-5).all())
