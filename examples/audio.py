"""Sound: a WAV file as codes, three models in bits a sample, and a drawn sound as a file.

Run it: python examples/audio.py
"""

from __future__ import annotations

import numpy as np

import arproc
from arproc import audio

# Plucked strings: a chord of decaying partials with a little noise, 8,000 samples a second.
rate, rng = 8000, np.random.default_rng(0)
time = np.arange(rate // 2) / rate


def pluck(pitch: float) -> np.ndarray:
    """Half a second of a string of this pitch, from -1 to 1."""
    partials = [np.sin(2 * np.pi * pitch * k * time + rng.uniform(0, 6)) / k for k in (1, 2, 3)]
    return 0.4 * np.sum(partials, 0) * np.exp(-6 * time) + 0.01 * rng.normal(size=len(time))


audio.write("strings.wav", np.concatenate([pluck(f) for f in (110, 147, 196, 110)]), rate)

# Files in: samples from -1 to 1 and their rate; codes are what models of sound are over.
sound = audio.read("strings.wav")
codes = audio.encode(sound.samples).reshape(4, -1)
train, test = codes[:3], codes[3:]

models = {
    "AR(16)": arproc.Coded(arproc.AR(16, method="ols", initial="given"), companded=True).fit(
        train
    ),
    "3-gram": arproc.NGram(3, "witten_bell", arproc.Tokens(256, end=False)).fit(train),
    "WaveNet": arproc.WaveNet(
        layers=7,
        width=16,
        cycle=7,
        head="discretised_logistic",
        block=256,
        training=arproc.Training(steps=60, batch_size=2, optimizer="muon"),
    ).fit(train),
}
table = arproc.compare(models, test, given=16, unit="bits_per_element")
print(table[["bits_per_element", "verdict"]], f"\n(of 8 bits; {len(test[0]):,} samples)")

# Half a second of sound goes on from the beginning of a recording; the file keeps the rate.
drawn = models["WaveNet"].sample(1, length=rate // 2, prefix=test[0, :400], seed=0)[0]
audio.write("drawn.wav", audio.decode(drawn), sound.rate)
print(
    "drawn.wav:", audio.read("drawn.wav").samples.shape, "samples at", audio.read("drawn.wav").rate
)
