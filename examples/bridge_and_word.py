"""Draws given what is known of later: a bridge between two values, a word in the middle of a text.

Run it: python examples/bridge_and_word.py
"""

from __future__ import annotations

import arproc
from arproc.sampling import Barrier, EndsAt, Known, condition

# A series that is known today and in ten years: an exact fan between, and the chance of a peak.
train, _, _ = arproc.datasets.sunspots()
model = arproc.AR(order=9).fit(train)
bridge = condition(model, {10: 150.0}, length=11, prefix=train, seed=0)
low, middle, high = bridge.quantiles([0.05, 0.5, 0.95])
for year in range(11):
    print(f"{year + 1:3} years on: {middle[year]:6.0f}  ({low[year]:.0f} to {high[year]:.0f})")
print(bridge)

# No sunspot number is negative: a barrier has no closed form, so the rest is by particles.
above = condition(model, Known({10: 150.0}) & Barrier(low=0.0), length=11, prefix=train, seed=0)
print(above)
print(f"a peak above 160 on the way: {above.expectation(lambda x: x.max(1) > 160):.2f}")

# Texts of 40 characters that hold a word at the twentieth, drawn exactly.
texts, _, _ = arproc.datasets.english()
ngram = arproc.NGram(order=4, smoothing="witten_bell", tokens="char").fit(
    "\n".join(texts)[:40_000].splitlines()
)
found = condition(ngram, Known({20: " people "}) & EndsAt(40), n=3, seed=1)
print(found)
for text in found.x:
    print(repr(text), f"{found.process.log_prob(text):.1f} nats")
