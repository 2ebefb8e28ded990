"""maximum_likelihood: closed forms, constraints, and what it says where there is no maximum."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from torch import distributions as td

from arproc.contract.law import ChainLaw
from arproc.contract.sequences import Sequences
from arproc.errors import DataError
from arproc.inference.maximum import maximum_likelihood
from arproc.spaces import Real


@dataclass(frozen=True, eq=False, repr=False)
class Normals(ChainLaw):
    mean: Any
    variance: Any
    space = Real()
    window_length = 0

    def window(self, ctx: torch.Tensor, position: torch.Tensor) -> td.Normal:
        scale = torch.as_tensor(self.variance).sqrt().expand(position.shape)
        mean = torch.as_tensor(self.mean).expand(position.shape)
        return td.Normal(mean, scale, validate_args=False)


def test_the_normal_distribution_has_its_closed_form():
    x = np.random.default_rng(0).normal(3.0, 0.1, 50)
    law, fit = maximum_likelihood(
        lambda theta: Normals(theta[0], theta[1]),
        Sequences.of(x, Real()),
        ["mean", "variance"],
        [0.0, 9.0],
        positive=["variance"],
    )
    np.testing.assert_allclose(fit.estimates, [x.mean(), x.var()], rtol=1e-9)
    np.testing.assert_allclose(
        fit.covariance, np.diag([x.var() / 50, 2 * x.var() ** 2 / 50]), rtol=1e-6, atol=1e-12
    )
    assert (law.mean, law.variance) == tuple(fit.estimates)
    expected = -25 * (np.log(2 * np.pi * x.var()) + 1)
    assert fit.log_likelihood == pytest.approx(expected, rel=1e-12)
    assert fit.notes == {"converged": True}
    assert (fit.names, fit.n_observations) == (["mean", "variance"], 50)


def test_parameters_that_the_data_do_not_tell_apart_have_no_covariance():
    x = np.random.default_rng(0).normal(size=30)
    _, fit = maximum_likelihood(
        lambda theta: Normals(theta[0] + theta[1], 1.0),
        Sequences.of(x, Real()),
        ["one", "other"],
        [0.0, 0.0],
    )
    assert fit.estimates.sum() == pytest.approx(x.mean(), abs=1e-5)
    assert not fit.notes["converged"] or np.abs(fit.covariance).max() > 1e8
    with pytest.raises(DataError, match=r"1 element\(s\) to score; expected more than the 1 "):
        maximum_likelihood(
            lambda theta: Normals(theta[0], 1.0), Sequences.of([1.0], Real()), ["mean"], [0.0]
        )
