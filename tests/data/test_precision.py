"""Numbers from Python are float64, in every public call that takes any."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import distributions as td

import arproc
from arproc import AR, MADE, KernelDensity, Training
from arproc.evaluation import crps, crps_of, pit

FAR = [1_000_000.1, 1_000_000.3, 999_999.9, 1_000_000.2, 1_000_000.6]
SERIES = AR.from_parameters([0.5, 0.2], mean=1e6, sigma2=1e-2)
DRIVEN = AR.from_parameters([0.5], beta=[0.3], sigma2=1e-2, regressors="mean")
VECTORS = np.random.default_rng(0).normal(size=(40, 5)) * 0.1 + 1e6 + 0.1
DENSITY = KernelDensity().fit(VECTORS)
NETWORK = MADE((4,), training=Training(steps=3)).fit(VECTORS)


def of_state(state):
    return state.conditional.mean, state.conditional.variance


CALLS = {
    "log_prob": lambda x: SERIES.log_prob(x),
    "log_prob of several": lambda x: SERIES.log_prob([x, x]),
    "log_prob_terms": lambda x: SERIES.log_prob_terms(x),
    "score": lambda x: SERIES.score(x),
    "start": lambda x: of_state(SERIES.start(x)),
    "append": lambda x: of_state(SERIES.start(1).append(x[:1]).append(x[1:2])),
    "extend": lambda x: of_state(SERIES.start(1).extend([x])[1]),
    "extend, along": lambda x: SERIES.start(1).extend([x])[0].mean,
    "conditional": lambda x: SERIES.conditional(x).mean,
    "conditionals": lambda x: SERIES.conditionals(x).mean,
    "condition": lambda x: SERIES.condition(x[:2]).log_prob(x[2:]),
    "sample": lambda x: SERIES.sample(2, length=7, prefix=x, seed=0),
    "sample_paths": lambda x: SERIES.sample_paths(x, horizon=2, n_paths=2, seed=0),
    "forecast": lambda x: SERIES.forecast(x, horizon=2),
    "distribution": lambda x: SERIES.distribution(5).log_prob(x),
    "fit": lambda x: AR(1).fit(x * 3).coef_,
    "a context": lambda x: DRIVEN.log_prob([0.1] * 5, context=[[v] for v in x]),
    "crps": lambda x: crps(SERIES, x),
    "pit": lambda x: pit(SERIES, x),
    "crps_of": lambda x: crps_of(td.Normal(torch.tensor(1e6).double(), 0.1), x),
    "crps_of one": lambda x: crps_of(td.Normal(torch.tensor(1e6).double(), 0.1), x[0]),
    "an affine law": lambda x: crps_of(
        td.TransformedDistribution(td.Gumbel(torch.zeros(()).double(), 1.0),
                                   [td.AffineTransform(x[0], 2.0)]), x[1]),
    "a logistic law": lambda x: arproc.distributions.Logistic(x[0], 1.0).mean,
    "vectors": lambda x: DENSITY.log_prob([x, x]),
    "vectors, part": lambda x: DENSITY.conditional(x[:2]).mean,
    "vectors, a state": lambda x: of_state(DENSITY.start(1).append(x[:1])),
    "a network": lambda x: NETWORK.log_prob([x]),
}  # fmt: skip


def numbers(found):
    if hasattr(found, "to_numpy"):
        found = found.to_numpy()
    parts = found if isinstance(found, tuple) else (found,)
    return [np.asarray(part, dtype=np.float64) for part in parts]


@pytest.mark.parametrize("name", CALLS)
def test_a_list_of_floats_is_the_array_of_float64(name):
    call = CALLS[name]
    exact = (
        numbers(call(np.array(FAR)))
        if name != "fit"
        else numbers(AR(1).fit(np.tile(FAR, 3)).coef_)
    )
    for ours, theirs in zip(numbers(call(FAR)), exact, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    rounded = np.array(FAR, dtype=np.float32).astype(np.float64)
    if name != "fit":  # and the last digits count
        changed = numbers(call(list(map(float, rounded))))
        assert any((a != b).any() for a, b in zip(changed, exact, strict=True))


def test_a_number_that_float32_lacks():
    law = td.Normal(torch.tensor(16777216.0, dtype=torch.float64), 1.0)
    assert float(crps_of(law, 16777217.0)) == pytest.approx(0.6024413576276165)
    state = AR.from_parameters([0.5, 0.2], mean=1e6).start(1).append([1_000_000.1])
    mean = 1e6 + (0.5 / (1 - 0.2)) * 0.1  # the best predictor from one value: rho_1
    assert float(state.conditional.mean[0]) == pytest.approx(mean, abs=1e-8)
