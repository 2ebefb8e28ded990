"""The short way to the gains of whole series is the long one."""

import numpy as np
import pytest

from arproc.compiled.interpreted import interpreted
from arproc.gaussian.representation import represent, stationary_covariance
from arproc.gaussian.state_kernels import complete, gains


@pytest.mark.parametrize(
    ("ar", "ma", "seasonal_ar", "seasonal_ma"),
    [
        ([0.5], [0.4], [], []),
        ([], [0.999], [], []),  # settles late
        ([0.5, -0.3], [], [], []),
        ([0.3], [0.2], [0.4], [-0.5]),
        ([], [], [], []),
    ],
)
@pytest.mark.parametrize("steps", [0, 3, 90])
def test_gains_of_whole_series(ar, ma, seasonal_ar, seasonal_ma, steps):
    form = represent(*map(np.array, (ar, ma, seasonal_ar, seasonal_ma)), (0, 0), 6)
    start = stationary_covariance(form.phi, form.noise)
    spread, nothing = start[None].copy(), np.zeros((1, *start.shape))
    seen = np.ones((1, steps), dtype=bool)
    gain, variance, settled = gains(
        seen, np.array([steps]), spread, nothing, np.zeros(1, np.int64), np.zeros(0), form.phi,
        form.noise,
    )  # fmt: skip
    for loop in (complete, interpreted(complete)):
        covariance = start.copy()
        found = loop(steps, covariance, form.phi, form.noise)
        till = min(found[2] + 1, steps)  # what follows is the same
        np.testing.assert_allclose(found[0][:till], gain[0, :till], rtol=1e-12, atol=1e-13)
        np.testing.assert_allclose(found[1][:till], variance[0, :till], rtol=1e-12)
        np.testing.assert_allclose(covariance, spread[0], rtol=1e-12, atol=1e-13)
        assert found[2] == settled[0]
