"""Rows that wait for a place: the draws are the same, whatever their number at a time."""

import numpy as np
import pytest
import torch
from laws import FAMILIES, family, length_of
from toys import fitted

import arproc
from arproc.errors import DataError, ParameterError
from arproc.sampling import FrequencyPenalty

TOYS = fitted()


def rows_of(draws):
    return [row if isinstance(row, str) else np.asarray(row) for row in draws]


def assert_same(one, other):
    assert len(one) == len(other)
    for a, b in zip(rows_of(one), rows_of(other), strict=True):
        if isinstance(a, str):
            assert a == b
        else:
            np.testing.assert_allclose(a, b, atol=1e-4)


@pytest.mark.parametrize("at_once", [1, 3])
@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_the_draws_are_the_same(name, at_once):
    model, _ = family(name)
    options = {"length": length_of(model, 9), "seed": 4}
    assert_same(model.sample(17, **options, at_once=at_once), model.sample(17, **options))


@pytest.mark.parametrize("name", sorted(TOYS))
def test_they_are_of_every_way_to_write_a_process(name):
    model, _ = TOYS[name]
    options = {"length": None if model.space.length else 5, "seed": 4}
    options["prefix"] = [0.5] if model.n_given else None
    assert_same(model.sample(9, **options, at_once=4), model.sample(9, **options))


def test_they_are_under_policies_with_prefixes_and_stops():
    model, _ = family("n-gram")
    options = {"length": 8, "seed": 1, "policy": FrequencyPenalty(0.5), "stop": "bb"}
    options["prefix"] = ["a", "", "cab", "b", "bca", "c"]
    want = model.sample(6, **options, return_log_prob=True)
    got = model.sample(6, **options, return_log_prob=True, at_once=2)
    assert got.x == want.x
    np.testing.assert_allclose(got.policy_log_prob, want.policy_log_prob)


def test_no_more_rows_than_asked_are_in_a_pass(monkeypatch):
    model, _ = family("Transformer")
    seen = []
    advance = type(model.start(1)).advance

    def counted(self, uniforms):
        seen.append(self.n)
        return advance(self, uniforms)

    monkeypatch.setattr(type(model.start(1)), "advance", counted)
    model.sample(20, length=6, seed=0, at_once=4)
    assert max(seen) == 4
    assert seen.count(4) == 5


def test_what_can_not_be_is_refused():
    model, _ = family("n-gram")
    with pytest.raises(ParameterError, match="at_once"):
        model.sample(3, length=2, at_once=0)
    with pytest.raises(ParameterError, match="at_once can not stand beside"):
        family("MADE")[0].sample(1, known=[0, np.nan, 1, 2], at_once=2)
    with pytest.raises(DataError, match="states of one law"):
        model.start(1).join(family("Mixture")[0].start(1))


@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_joined_states_are_those_that_were_joined(name):
    model, _ = family(name)
    x = torch.as_tensor(model.start(3).advance(torch.rand(3, 3, dtype=torch.float64))[0])
    one, two = model.start(2).extend(x[:2, :2])[1], model.start(1).extend(x[2:])[1]
    if name == "MADE":
        two = two.truncate(2)
    both = one.join(two)
    assert both.lengths.tolist() == [*one.lengths.tolist(), *two.lengths.tolist()]
    extra = torch.as_tensor(x[:, :1])
    columns = both.extend(extra)[0]
    for state, rows in ((one, slice(0, 2)), (two, slice(2, 3))):
        want = state.extend(extra[rows])[0].log_prob(x[rows, :2])
        got = arproc.distributions.index(columns, (rows,)).log_prob(x[rows, :2])
        torch.testing.assert_close(got, want, atol=1e-5, rtol=1e-5)
