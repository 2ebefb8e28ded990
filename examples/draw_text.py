"""Text from an n-gram under several policies, each draw with its exact probabilities.

Run it: python examples/draw_text.py
"""

from __future__ import annotations

import arproc
from arproc.sampling import Temperature, TopK, TopP

train, _, test = arproc.datasets.english()
model = arproc.NGram(order=8, tokens="byte").fit(train)
print(arproc.evaluate(model, test))

# A policy makes another distribution; a draw's probability is exact under both.
for policy in (None, Temperature(0.5), TopK(3), Temperature(0.8) | TopP(0.9)):
    draws = model.sample(1, 120, prefix="The ", policy=policy, seed=7, return_log_prob=True)
    print(f"\n{policy}: {draws.log_prob[0]:.1f} nats under the model, ", end="")
    print(f"{draws.policy_log_prob[0]:.1f} under the policy\nThe {draws.x[0]}")

# A process under a policy is a process: it has a likelihood of its own.
sharper = model.with_policy(Temperature(0.8))
plain, sharp = (arproc.evaluate(law, test).bits_per_byte for law in (model, sharper))
print(f"\nheld-out text costs {plain:.3f} bits a byte, {sharp:.3f} at temperature 0.8")

# Up to the end of the first sentence.
print(model.sample(1, 300, prefix="An ", stop=".", seed=11)[0])
