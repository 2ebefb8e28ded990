"""The interpreted regime filter is the compiled one."""

import numpy as np
import pytest

from arproc.compiled.interpreted import interpreted
from arproc.models.regimes.chain import memories
from arproc.models.regimes.hamilton import weigh


@pytest.mark.parametrize("centred", [False, True])
@pytest.mark.parametrize(("k", "p"), [(2, 1), (3, 2), (2, 0)])
def test_equals_the_compiled_one(centred: bool, k: int, p: int) -> None:
    rng = np.random.default_rng(k + p)
    digits = memories(k, max(p, 1) if centred else 1)
    offsets = np.array([0, 20, 20 + p, 50])  # a series without a scored element among them
    deviations = rng.normal(size=(50, k))
    deviations[30] = 1e3  # an outlier that leaves nothing but logarithms
    values = np.ascontiguousarray(deviations[:, :1])
    chain = rng.dirichlet(np.ones(k), size=k)
    initial = rng.dirichlet(np.ones(len(digits)))
    coef, sigma2 = rng.normal(size=(k, p)) * 0.3, rng.uniform(0.5, 2.0, k)
    lags = deviations if centred else values
    if p:  # a gap within a series, and one at an end
        gaps = np.array([3, 50 - 3 * p - 2]), np.array([4, 2])
    else:
        gaps = np.zeros(0, int), np.zeros(0, int)
    heights = rng.normal(size=(len(gaps[0]), len(digits)))
    over = rng.dirichlet(np.ones(len(digits)), size=heights.shape)
    found = []
    for form in (interpreted(weigh), weigh):
        joint, first = np.zeros((50 - 3 * p, k * len(digits))), np.zeros(len(digits))
        value = form(
            deviations, lags, offsets, centred, digits, coef, sigma2, chain, initial, joint, first,
            *gaps, heights, pairs := over.copy(),
        )  # fmt: skip
        for begin, size in zip(*gaps, strict=True):
            joint[begin : begin + size] = 0.0  # those of gaps are nobody's
        found.append((value, joint, first, pairs))
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-13)
