"""Small healthy processes, one for each way to write one; the suite passes them all.

What they "learn" is drawn at random once, in `_fit`: their laws are wholly known, so nothing
about fitting is in the way.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from .healthy_states import (
    Attention,
    Averaged,
    Dots,
    Filtered,
    Foreseeing,
    Labelled,
    NoRepeat,
    Quantised,
    Recurrent,
    Rolling,
    Rows,
    Shuffled,
    Steered,
    Twins,
    Urn,
)
from .healthy_windows import (
    Chain,
    Coin,
    Driven,
    Durations,
    Events,
    Explosive,
    Gapped,
    Heavy,
    Letters,
    Levels,
    LinearWalk,
    Noise,
    Notes,
    Partial,
    Plane,
    Regressed,
    Sentences,
    Shares,
    Solid,
    Walk,
)

STATIC = np.random.default_rng(0).normal(size=(4, 2))
STEPS = np.random.default_rng(1).normal(size=(3, 9, 2))
LABELS = np.array([[0.0], [1.0], [-2.0]])

#: name -> (a function that makes the process, what check_process is given besides)
HEALTHY: dict[str, tuple[Any, dict[str, Any]]] = {
    **{
        cls.__name__: (cls.made, {})
        for cls in (
            Chain, Sentences, Letters, Coin, Walk, LinearWalk, Noise, Heavy, Explosive, Events,
            Levels, Plane, Solid, Notes, Attention, Dots, Urn, Recurrent, Foreseeing, Filtered,
            Shuffled, Rolling, Quantised, Shares, Durations, Gapped, Partial, Rows, Averaged,
        )
    },
    "Twins": (Twins.made, {}),
    "Regressed": (Regressed.made, {"context": STATIC}),
    "Driven": (Driven.made, {"context": STEPS}),
    "Labelled": (Labelled.made, {"context": LABELS}),
    "Steered": (Steered.made, {"context": STEPS}),
    "Chain with data": (Chain.made, {"data": [[0, 1, 2, 2, 1], [0, 0, 1]]}),
    "Explosive with data": (Explosive.made, {"data": np.arange(12.0).reshape(2, 6)}),
    "Urn under a policy with a state": (
        lambda: Urn.made().with_policy(NoRepeat()), {}
    ),
    "Sentences under a policy with a state": (
        lambda: Sentences.made().with_policy(NoRepeat()), {}
    ),
    "Driven under a policy": (
        lambda: Driven.made().with_policy(NoRepeat()), {"context": STEPS}
    ),
    "Rolling after a prefix": (lambda: Rolling.made().condition(np.array([0, 1, 2])), {}),
    "Dots after a prefix": (lambda: Dots.made().condition(np.array([0, 1])), {}),
    "Explosive after a prefix": (lambda: Explosive.made().condition(np.arange(3.0)), {}),
    "Walk fitted on a tensor": (lambda: Walk().fit(torch.zeros(5, dtype=torch.float64)), {}),
}  # fmt: skip
