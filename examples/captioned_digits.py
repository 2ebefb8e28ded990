"""Two modalities in one sequence: a caption, then the pixels of the digit that it names.

One transformer, one exact likelihood of both together. It draws the image to a caption, and by
Bayes' rule the same model says which caption an image has. Some seconds of training.

Run it: python examples/captioned_digits.py
"""

from __future__ import annotations

import numpy as np
from sklearn.datasets import load_digits

import arproc
from arproc.parts import InParts, Levels, Parts, Text

NAMES = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
DIGITS = [0, 1, 7]  # so few that a taste of training tells them apart

images, labels = load_digits(return_X_y=True)
kept = np.isin(labels, DIGITS)
images = (images[kept].reshape(-1, 8, 8) >= 8).astype(int)
captions = [NAMES[label] for label in labels[kept]]
pairs = list(zip(captions, images, strict=True))
train, test = pairs[:-60], pairs[-60:]

parts = Parts({"caption": Text.of(captions), "image": Levels((8, 8), 2)})
model = arproc.Transformer(
    layers=2,
    heads=2,
    width=32,
    block=72,
    tokens=parts.tokens,
    training=arproc.Training(steps=80, batch_size=16, optimizer="muon"),
).fit(parts.encode(train))
law = model.with_policy(InParts(parts))  # whole items, with all of the probability

print(f"{law.log_prob(parts.encode(test)).mean():.2f} nats for a caption and its image")

# The image to a caption: what follows the caption as a prefix.
known = parts.prefix("seven", None)
for _, image in parts.decode(law.sample(2, prefix=known, seed=0), known):
    print("\n" + "\n".join("".join(".#"[pixel] for pixel in row) for row in image))

# The caption of an image: p(caption | image) is p(caption, image) over its sum.
choices = [NAMES[digit] for digit in DIGITS]
scores = np.stack(
    [law.log_prob(parts.encode([(caption, image) for _, image in test])) for caption in choices]
)
found = [choices[best] for best in scores.argmax(0)]
right = np.mean([mine == caption for mine, (caption, _) in zip(found, test, strict=True)])
print(f"\nthe caption is found for {right:.0%} of {len(test)} images")
