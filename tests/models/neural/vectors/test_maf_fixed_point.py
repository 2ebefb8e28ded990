"""MAF's draws by iteration to a fixed point: those of the sequential inversion."""

import functools

import numpy as np
import pytest
from helpers import shake

import arproc
from arproc.errors import UnsupportedError
from arproc.sampling import TopK, parallel

QUICK = arproc.Training(steps=2, batch_size=8)


@functools.cache
def flow(normalisation="batch", conditioned=False):
    rng = np.random.default_rng(0)
    x, context = rng.normal(size=(40, 6)), rng.normal(size=(40, 2))
    settings = {"normalisation": normalisation, "reordering": "random", "training": QUICK}
    model = arproc.MAF((8,), layers=3, conditioned=conditioned, **settings)
    return shake(model.fit(x, context=context if conditioned else None))


@pytest.mark.parametrize("normalisation", ["batch", "activation", "none"])
def test_the_fixed_point_is_what_sample_draws(normalisation):
    model = flow(normalisation)
    want = model.sample(50, seed=3)
    same, report = parallel(model, 50, seed=3)
    np.testing.assert_allclose(same, want, rtol=1e-3, atol=1e-3)
    assert 3 <= report.passes <= 3 * 6
    assert report.elements == 300
    few, _ = parallel(model, 4, seed=3)
    np.testing.assert_allclose(few, same[:4], rtol=1e-4, atol=1e-4)


def test_a_loose_tolerance_saves_passes_and_errs_by_it():
    model = flow()
    want = model.sample(50, seed=3)
    loose, quick = parallel(model, 50, seed=3, tolerance=0.03)
    _, slow = parallel(model, 50, seed=3)
    assert quick.rows < slow.rows
    assert 1e-6 < np.abs(loose - want).max() < 3


def test_it_takes_what_sample_takes():
    model, context = flow(conditioned=True), np.ones((5, 2))
    drawn, _ = parallel(model, 5, seed=1, context=context, return_log_prob=True)
    want = model.sample(5, seed=1, context=context)
    np.testing.assert_allclose(drawn.x, want, rtol=1e-3, atol=1e-3)
    scored = model.log_prob(drawn.x, context=context)
    np.testing.assert_allclose(drawn.log_prob, scored, rtol=1e-4)
    with pytest.raises(UnsupportedError, match="takes no policy"):
        parallel(model, 1, policy=TopK(1), context=context[:1])
