"""The likelihood of discounts by NumPy is the compiled one."""

import numpy as np
import pytest

from arproc.compiled.interpreted import interpreted
from arproc.models.ngram.suffix.chain_kernels import FLOOR, ROWS
from arproc.models.ngram.suffix.fit_kernels import likelihood
from arproc.models.ngram.suffix.plain import FLOOR as OWN


@pytest.mark.parametrize("seed", range(3))
def test_equals_the_compiled_one(seed: int) -> None:
    rng = np.random.default_rng(seed)
    sizes = rng.integers(0, 90, 12) if seed else np.zeros(3, np.int64)  # long chains, and none
    begins = np.concatenate([[0], np.cumsum(sizes)])
    followed = rng.integers(0, 4, (begins[-1], 3))
    total = followed @ [1, 2, 5]
    count = rng.integers(0, 6, len(total)) * (total > 0)
    rows = np.column_stack([count, total, followed, rng.integers(0, ROWS, len(total))])
    discounts = rng.uniform(0.1, 0.9, (ROWS, 3)) * [1, 2, 3]
    found = []
    for form in (interpreted(likelihood), likelihood):
        slope = np.full((ROWS, 3), np.nan)
        value = form(begins, rows.astype(np.int32), 7, discounts, slope)
        found.append((value, slope))
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-12)
    assert OWN == FLOOR
