"""Generate a synthetic panel and judge it: is it like the real one, varied, new and useful?

Run it: python examples/judge_synthetic.py
"""

from __future__ import annotations

import numpy as np

import arproc

# A panel of 150 series that swing about a level; a third is held out.
truth = arproc.AR.from_parameters([1.2, -0.6], mean=10.0)
panel = np.asarray(truth.sample(150, length=60, seed=1))
train, holdout = panel[:100], panel[100:]

# Two models of it, and a panel of each: one knows the two steps before, the other only one.
for order in (2, 1):
    model = arproc.AR(order).fit(train)
    synthetic = model.sample(100, length=60, seed=2)
    result = arproc.fidelity(train, holdout, synthetic)
    print(f"AR({order}): {'passes' if result.passed else 'fails in ' + ', '.join(result.failed)}")

# What the last one has wrong, row by row; the worst statistic of each is shown.
table = result.to_frame()
print(table.loc[result.failed, ["statistic", "holdout", "synthetic", "adjusted"]].round(3))

# A generator that hands out its training data is found out, however real these look.
memory = np.concatenate([train[:30], np.asarray(model.sample(70, length=60, seed=3))])
novelty = arproc.fidelity(train, holdout, memory, rows=["novelty"])
print(novelty)
