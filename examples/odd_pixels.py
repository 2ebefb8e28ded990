"""A density of binary images: find the odd one out, and fill in what is missing.

Run it: python examples/odd_pixels.py
"""

from __future__ import annotations

import numpy as np

import arproc

train, valid, test = arproc.datasets.digits()
training = arproc.Training(steps=400, batch_size=64)
model = arproc.MADE(hidden=(256,), training=training).fit(train, validation=valid)

# Digits upside down are less probable, nearly every one of them.
upright, turned = model.log_prob(test), model.log_prob(test[:, ::-1].copy())
print(f"upright {upright.mean():.1f} nats, upside down {turned.mean():.1f} nats an image")
print(f"upright is the more probable of the two for {np.mean(upright > turned):.0%}")

# The upper half is a prefix in the order of generation, so the lower half can be drawn given it.
upper = test[:3, :32]
lower = model.sample(3, prefix=upper, seed=0)
for image in np.concatenate([upper, lower], axis=1).reshape(-1, 8, 8):
    print("\n" + "\n".join("".join(".#"[int(pixel)] for pixel in row) for row in image))

model.save("digits.arproc")
again = arproc.load("digits.arproc")
print("\nsaved, loaded, the same:", np.array_equal(again.log_prob(test), upright))
