"""Two voices: what the harmony is worth, and one small network for every key.

Run it: python examples/compose_music.py
"""

from __future__ import annotations

import numpy as np

import arproc
from arproc.training import Transpose

KEYS = 40
SCALE = np.array([0, 2, 4, 5, 7, 9, 11, 12])


def piece(rng: np.random.Generator, length: int = 24) -> np.ndarray:
    """A melody that wanders along a scale, and a third below it, as frames [T, keys]."""
    step, frames = int(rng.integers(2, 8)), np.zeros((length, KEYS))
    for t in range(length):
        step = int(np.clip(step + rng.integers(-1, 2), 2, 7))
        frames[t, 12 + SCALE[step]] = frames[t, 12 + SCALE[step - 2]] = 1
    return frames


rng = np.random.default_rng(0)
train, test = ([piece(rng) for _ in range(n)] for n in (40, 10))
# each time a piece is used it is moved up or down by up to two keys
plan = arproc.Training(steps=60, batch_size=12, lr=0.02, augment=Transpose(2))
models = {
    "notes apart": arproc.RNN("gru", width=32, head="bernoulli", training=plan),
    "RNN-NADE": arproc.RNN("gru", width=32, head="nade", hidden=32, training=plan),
    "PianoRoll": arproc.PianoRoll(order=4, width=24, training=plan),
}
for name, model in models.items():
    nats = -model.fit(train).log_prob(test).mean() / len(test[0])
    print(f"{name:11} {nats:.2f} nats a frame")

drawn = np.asarray(models["PianoRoll"].sample(1, 16, prefix=[test[0][:4]], seed=0))[0]
for frame in drawn:  # keys from left to right
    print("".join("o" if note else "." for note in frame))
