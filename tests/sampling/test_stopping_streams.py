"""Streams without an end that are left to a stop condition."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from toys import Chain, Counter

import arproc
from arproc.errors import ParameterError
from arproc.sampling import Budget, Temperature, ancestral

WALK = arproc.AR.from_parameters([0.9])


def far(x):
    return abs(x[:, -1]) > 3


@pytest.mark.parametrize("policy", [None, Temperature(1.5)])
def test_a_condition_alone_ends_a_stream(policy):
    """The draws are those that a length which is long enough gives."""
    found = WALK.sample(4, stop=far, seed=0, policy=policy)
    same = WALK.sample(4, length=400, stop=far, seed=0, policy=policy)
    for one, two in zip(found, same, strict=True):
        np.testing.assert_array_equal(one, two)
        assert abs(one[-1]) > 3
        assert (abs(one[:-1]) <= 3).all()
    coming = WALK.stream(stop=far, seed=0, policy=policy)
    np.testing.assert_allclose(list(coming), found[0])
    assert coming.reason == "stop"


def test_streams_of_symbols_and_counts_and_with_a_trend():
    chain = Chain(3).fit([0, 1, 2])
    assert all(x[-1] == 2 for x in chain.sample(3, stop=lambda x: x[:, -1] == 2, seed=0))
    counts = Counter().fit([1, 2]).sample(2, stop=lambda x: x[:, -1] > 3, prefix=[2, 1], seed=0)
    assert all(x[-1] > 3 for x in counts)
    rising = arproc.AR(1, trend="ct").fit(np.arange(40) + np.random.default_rng(0).normal(size=40))
    path = rising.sample(1, stop=lambda x: x[:, -1] > 60, seed=0)[0]
    same = rising.sample(1, length=200, stop=lambda x: x[:, -1] > 60, seed=0)[0]
    np.testing.assert_allclose(path, same)
    assert len(WALK.sample(2, stop=Budget(nats=9.0), seed=0)) == 2


def test_a_condition_that_never_comes_is_told(monkeypatch):
    assert (ancestral.MOST, ancestral.MOST_UNDER_POLICY) == (100_000, 10_000)
    monkeypatch.setattr(ancestral, "MOST", 200)
    with pytest.raises(ParameterError, match=r"after 200 elements, nor met stop=.*Pass length"):
        WALK.sample(2, stop=lambda x: x[:, -1] > 1e9, seed=0)
    with pytest.raises(ParameterError, match=r"or stop=\."):
        WALK.sample(2, seed=0)
    y, c = np.random.default_rng(0).normal(size=(2, 60))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = arproc.AR(1, regressors="mean").fit(y, context=c[:, None])
    with pytest.raises(ParameterError, match="context by steps"):
        model.sample(1, stop=far, context=c[:, None], seed=0)
    with pytest.raises(ParameterError, match="context by steps"):
        model.stream(stop=far, context=c[:, None], seed=0)
