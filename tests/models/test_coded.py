"""Coded: masses of codes from a process of real numbers."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import assert_close
from scipy import stats

import arproc
from arproc import AR, Coded, NGram, Tokens
from arproc.audio import MuLaw
from arproc.errors import DataError, ParameterError

RNG = np.random.default_rng(1)
WAVE = np.convolve(RNG.normal(size=400), [0.05, 0.04, 0.03])
CODES = arproc.audio.encode(WAVE, levels=32)


@pytest.mark.parametrize("companded", [False, True])
def test_a_code_has_the_difference_of_the_distribution_function(companded):
    code = MuLaw(32)
    values = code.companded if companded else code.values
    edges = (code.companded[1:] + code.companded[:-1]) / 2
    edges = edges if companded else code.expanded(edges)
    model = Coded(AR(2), 32, companded=companded).fit(CODES)
    inner = AR(2).fit(values[CODES])
    np.testing.assert_allclose(model.process_.coef_, inner.coef_)
    x = CODES[:40]
    steps = inner.conditionals(values[x])
    loc, scale = (getattr(steps, k).numpy()[0, :40] for k in ("loc", "scale"))
    ends = np.concatenate([[-np.inf], edges, [np.inf]])
    mass = np.diff(stats.norm.cdf(ends, loc[:, None], scale[:, None]), axis=1)
    assert_close(model.log_prob_terms(x), np.log(mass[np.arange(40), x]), 1e3)
    assert float(model.conditional(x[:5]).probs.sum()) == pytest.approx(1)


def test_it_is_compared_with_models_of_codes():
    models = {
        "AR": Coded(AR(2), 32).fit(CODES[:300]),
        "n-gram": NGram(2, "witten_bell", Tokens(32, end=False)).fit(CODES[:300]),
    }
    table = arproc.compare(models, CODES[300:], unit="bits_per_element")
    assert table.loc["AR", "bits_per_element"] < table.loc["n-gram", "bits_per_element"] < 5


def test_context_and_given_values_are_those_of_the_process():
    push = RNG.normal(size=(len(CODES), 1))
    model = Coded(AR(1, initial="given", regressors="recursion"), 32).fit(CODES, context=push)
    assert model.n_given == 1
    assert len(model.log_prob_terms(CODES[:9], context=push[:9])) == 8
    assert model.sample(2, 5, prefix=CODES[:3], context=push[:8], seed=0).shape == (2, 5)


def test_what_it_does_not_take():
    with pytest.raises(ParameterError, match="takes a process"):
        Coded(3).fit(CODES)
    with pytest.raises(ParameterError, match="real scalars"):
        Coded(NGram(2, tokens=4)).fit(CODES)
    with pytest.raises(DataError, match="0 to 7"):
        Coded(AR(1), 8).fit(CODES)
