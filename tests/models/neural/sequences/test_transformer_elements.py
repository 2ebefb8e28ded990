"""Transformer over real numbers, counts and frames: scales, windows, what it refuses."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from helpers import shake

import arproc
from arproc import RNN, Training, Transformer
from arproc.errors import DataError, ParameterError, UnsupportedError

QUICK = Training(steps=2, batch_size=4)
REALS = np.random.default_rng(0).normal(size=(3, 40)).cumsum(1)


def fitted(data=REALS, context=None, **parameters) -> Transformer:
    settings = {"head": "normal", "block": 8, "attention_window": 4, "training": QUICK}
    model = Transformer(2, 2, 8, **settings | parameters)
    return shake(model.fit(data, context=context))


def test_one_step_after_another_is_the_whole_pass_of_the_decoder():
    model, x = fitted(), torch.tensor(REALS[:1, :20])
    network = model.network_
    inputs = torch.cat([network.start[None, None], network.element.embed(x, None)], dim=1)
    with torch.no_grad():
        units = network.decoder(inputs)[:, :-1]
        want = network.element.log_prob(units, x, None)[0]
    np.testing.assert_allclose(model.log_prob_terms(REALS[0, :20]), want, atol=1e-4)
    state = model.start(1)
    for t in range(20):
        value = float(state.conditional.log_prob(x[0, t]))
        assert value == pytest.approx(float(want[t]), abs=1e-4)
        state = state.append(x[:, t])


def test_a_series_in_another_unit_has_the_same_law():
    model = fitted(scaling=5)
    want = model.log_prob(REALS) - 35 * np.log(25.0)
    np.testing.assert_allclose(model.log_prob(100.0 + 25.0 * REALS), want, rtol=1e-4)


def test_covariates_of_symbols_move_their_step_and_later_ones():
    symbols = np.arange(40)[None] % 4
    push = np.random.default_rng(1).normal(size=(1, 41, 2))  # the end is a term as well
    model = fitted(symbols, head="categorical", tokens=4, covariates=True, context=push)
    terms = model.log_prob_terms(symbols, context=push)[0]
    changed = push.copy()
    changed[:, 30] += 1.0
    off = np.abs(model.log_prob_terms(symbols, context=changed)[0] - terms)
    assert off[:30].max() < 1e-6
    assert off[30] > 1e-3
    with pytest.raises(DataError, match="expected at least 41"):
        fitted(symbols, head="categorical", tokens=4, covariates=True, context=push[:, :40])


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"positions": "learned"}, "are for symbols"),
        ({"tied": True}, "are for symbols"),
        ({"head": "categorical", "scaling": 3}, "scaling is for"),
        ({"head": "gaussian"}, "head must be"),
        ({"tokens": "char"}, "tokens is for symbols"),
    ],
)
def test_what_does_not_go_together_is_refused(parameters, message):
    with pytest.raises(ParameterError, match=message):
        fitted(**parameters)


def test_published_layouts_have_no_place_for_other_heads(tmp_path):
    with pytest.raises(UnsupportedError, match="models of symbols"):
        fitted(kv_heads=1).to_pretrained(tmp_path)


@pytest.mark.slow  # a fresh interpreter
def test_files_without_the_model_find_its_network(tmp_path):
    rnn = RNN(width=4, head="normal", training=QUICK).fit(REALS)
    arproc.Process.of(rnn.law_).save(tmp_path / "rnn")
    fitted().condition([0.5]).save(tmp_path / "transformer")
    code = "import arproc, sys; [arproc.load(path).sample(1, 2, seed=0) for path in sys.argv[1:]]"
    paths = [str(tmp_path / name) for name in ("rnn", "transformer")]
    subprocess.run([sys.executable, "-c", code, *paths], check=True)
