"""What a law is conditioned on besides the past: one vector a sequence, or one a step."""

import numpy as np
import pytest
import torch
from torch import distributions as td
from toys import Driven, Walk

import arproc
from arproc.errors import DataError, ParameterError


def test_static_contexts():
    process = Driven("static").fit([0.0], context=0.0)
    x = [[1.0, 2.0], [0.5]]
    c = np.array([3.0, -1.0])
    normal = td.Normal(0.0, 1.0)
    want = [
        normal.log_prob(torch.tensor([1 - 3.0, 2 - 3.5])).sum(),
        normal.log_prob(torch.tensor(1.5)),
    ]
    for given in (
        c,
        c[:, None],
        torch.tensor(c),
        c.tolist(),
        c.astype(int),
        torch.tensor([3, -1]),
    ):
        np.testing.assert_allclose(process.log_prob(x, context=given), want, rtol=1e-6)
    assert process.log_prob(x[0], context=3.0) == pytest.approx(float(want[0]))
    both = process.sample(2, 3, seed=1, context=c)
    np.testing.assert_array_equal(both[0], process.sample(1, 3, seed=1, context=3.0)[0])
    rest = process.condition([1.0], context=3.0)
    assert rest.log_prob([2.0]) == pytest.approx(float(normal.log_prob(torch.tensor(-1.5))))
    assert process.forecast([1.0], 2, context=3.0, seed=0).shape == (2, 4)


def test_contexts_per_step():
    process = Driven("steps").fit([0.0], context=[[0.0]])
    c = np.array([1.0, -2.0, 0.5])
    normal = td.Normal(0.0, 1.0)
    want = float(normal.log_prob(torch.tensor([0.0, 1 - 0.5 + 2 - 0.5])).sum())  # x = 1, 1
    assert process.log_prob([1.0, 1.0], context=c[:, None]) == pytest.approx(want - float(
        normal.log_prob(torch.tensor(2.0)) - normal.log_prob(torch.tensor(2.5))))  # fmt: skip
    assert process.conditional([1.0, 1.0], context=c).mean == 1.0
    # every way to score agrees, with a context for each row
    x = [[0.3, 0.1, 0.2], [1.0]]
    many = np.stack([c, 2 * c])[..., None]
    one = [process.log_prob(x[i], context=many[i]) for i in range(2)]
    np.testing.assert_allclose(process.log_prob(x, context=many), one)
    draws = process.sample(2, 3, seed=1, context=many)
    np.testing.assert_array_equal(draws[1], process.sample(2, 3, seed=1, context=many[1])[1])
    with pytest.raises(DataError, match="context has 3 steps; expected at least 4"):
        process.sample(1, 4, context=c)
    with pytest.raises(DataError, match="context has 3 steps; expected at least 4"):
        process.forecast([1.0, 2.0], 2, context=c)


@pytest.mark.parametrize(
    ("context", "message"),
    [
        (None, r"Driven needs a context \(static\)"),
        ("south", "context can not be read as numbers"),
        ([1 + 2j], r"context can not be read as numbers: got a list \(its dtype is complex"),
        ([np.nan], "context has values that are not finite"),
        ([[np.inf]], "context has values that are not finite"),
        (np.ones((2, 1)), r"context has shape \(2, 1\); expected \[N, c\] with N = 1"),
        (np.ones((1, 1, 1)), r"context has shape \(1, 1, 1\)"),
        ([None], "context has values that are not finite"),
        ([[1.0], [2.0, 3.0]], r"items of unequal lengths \(1 to 2\); expected one array"),
    ],
)
def test_bad_contexts(context, message):
    process = Driven("static").fit([0.0], context=0.0)
    with pytest.raises((DataError, ParameterError), match=message):
        process.log_prob([1.0], context=context)


def test_a_process_without_a_context_refuses_one_in_every_call():
    process = Walk().fit([0.0])
    for call in (process.log_prob, process.log_prob_terms, process.score, process.conditional,
                 process.conditionals, process.start, process.fit):  # fmt: skip
        with pytest.raises(ParameterError, match="Walk takes no context"):
            call([1.0], context=[1.0])
    with pytest.raises(ParameterError, match="Walk takes no context"):
        process.sample(1, 2, context=[1.0])


def test_a_model_that_could_take_regressors_says_how():
    with pytest.raises(ParameterError, match="construct it with regressors="):
        arproc.AR(1).fit([1.0, 2.0, 1.5, 3.0, 2.0], context=[0, 1, 0, 1, 0])
