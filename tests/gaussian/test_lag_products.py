"""Regressions of all orders by lag products: the factor is that of the design's own products."""

from __future__ import annotations

import numpy as np
import pytest

from arproc.compiled.interpreted import interpreted
from arproc.gaussian.lag_products import nested_factor


@pytest.mark.parametrize("lags", [[1, 2, 3], [7, 1, 2], [4], []])
@pytest.mark.parametrize("lengths", [[40], [15, 25]])
def test_the_factor_is_that_of_the_design(lags, lengths):
    rng = np.random.default_rng(0)
    x, columns = rng.normal(size=40), np.stack([np.ones(40), rng.normal(size=40)])
    ends, deepest = np.cumsum(lengths), max(lags, default=0)
    t = np.concatenate([np.arange(b - n + deepest, b) for n, b in zip(lengths, ends, strict=True)])
    design = np.stack([*columns[:, t], *(x[t - k] for k in lags), x[t]], axis=1)
    arguments = (x, np.array(lengths), np.array(lags, np.int64), columns)
    found, good = interpreted(nested_factor)(*arguments, 1e-7)
    assert good
    np.testing.assert_allclose(np.tril(found), np.linalg.cholesky(design.T @ design), atol=1e-12)
    again = (x, np.array(lengths), np.array(lags, np.int64), np.stack([columns[0]] * 2))
    assert not interpreted(nested_factor)(*again, 1e-7)[1]  # collinear columns
