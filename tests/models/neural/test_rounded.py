"""Networks whose weights are rounded to bfloat16 are laws of their own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import arproc

TRAINING = arproc.Training(steps=3)
BITS = np.random.default_rng(0).integers(0, 2, (30, 6))
REALS = np.random.default_rng(1).normal(size=(40, 4))
MODELS: dict[str, tuple[Any, Any]] = {
    "MADE": (arproc.MADE((8,), training=TRAINING), BITS),
    "NADE": (arproc.NADE(8, training=TRAINING), BITS),
    "MAF": (arproc.MAF(hidden=8, training=TRAINING), REALS),
    "PixelCNN": (arproc.PixelCNN(1, 6, training=TRAINING), BITS.reshape(30, 2, 3)),
    "RNN": (arproc.RNN("gru", 1, 8, training=TRAINING), REALS[:, 0]),
    "NeuralAR": (arproc.NeuralAR(3, 8, training=TRAINING), REALS[:, 0]),
    "WaveNet": (arproc.WaveNet(2, 4, levels=4, block=8, training=TRAINING), np.arange(60) % 4),
}


@pytest.mark.parametrize("name", MODELS)
def test_the_law_is_that_of_the_rounded_weights_and_the_model_stays(name, tmp_path):
    model, data = MODELS[name]
    model.fit(data)
    before = [p.clone() for p in model.network_.parameters()]
    score = model.score(data)
    half = model.rounded()
    assert type(half) is type(model)
    for p, old, new in zip(
        model.network_.parameters(), before, half.network_.parameters(), strict=True
    ):
        torch.testing.assert_close(p, old, rtol=0, atol=0)
        torch.testing.assert_close(new, old.bfloat16().float(), rtol=0, atol=0)
    assert model.score(data) == score
    assert half.score(data) != score
    assert half.score(data) == pytest.approx(score, abs=0.02)
    half.save(tmp_path / "half.arproc")
    assert arproc.load(tmp_path / "half.arproc").score(data) == pytest.approx(half.score(data))
