"""States outlive the fit that they came from: they hold the law, and the law holds its tables."""

from __future__ import annotations

import gc

import numpy as np
import pytest
import torch

import arproc
from arproc import Tokens

WORDS = np.array([f"w{i}" for i in range(3000)])


def lines(n):
    rng = np.random.default_rng(0)
    return [" ".join(row) for row in rng.choice(WORDS, (n, 12))]


MODELS = {
    "NGram": (lambda: arproc.NGram(4, smoothing="witten_bell"), 4000),
    "NGram, additive": (lambda: arproc.NGram(2, smoothing="additive"), 500),
    "InfiniGram": (arproc.InfiniGram, 1000),
    "ContextTree": (lambda: arproc.ContextTree(3, "word"), 200),
    "ContextTree, frozen": (lambda: arproc.ContextTree(3, "word", adaptive=False), 200),
    "PPM": (lambda: arproc.PPM(3, tokens="word"), 200),
    "Cache": (lambda: arproc.Cache(20), 500),
}


@pytest.mark.parametrize("name", MODELS)
def test_a_state_is_what_it_was_after_the_model_is_fitted_again(name):
    make, size = MODELS[name]
    text = lines(size)
    model = make().fit(text)
    prefixes = [" ".join(line.split()[: 1 + i % 7]) for i, line in enumerate(text[:50])]
    x = model.vocabulary.encode(" ".join(text[7].split()[:3]))
    uniforms = torch.linspace(0.01, 0.99, 150, dtype=torch.float64).view(50, 3)

    def asked(state):
        following = state.append(torch.full((50,), int(x[0])))
        columns, extended = state.extend(torch.from_numpy(np.tile(x, (50, 1))))
        return [
            state.conditional.probs,
            following.conditional.probs,
            columns.probs,
            extended.truncate(1).conditional.probs,
            state.select([3, 1]).conditional.probs,
            state.advance(uniforms)[0],
        ]

    expected = asked(model.start(prefixes))
    state, fresh = model.start(prefixes), model.start(prefixes)
    _ = state.conditional
    model.fit(["a b c", "a c b"] * 3)
    gc.collect()
    assert model.space.size < 10
    for one in (state, fresh):  # the one with its conditional at hand, the other without
        for got, want in zip(asked(one), expected, strict=True):
            np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("name", MODELS)
def test_nothing_is_computed_from_parameters_after_fitting(name):
    model = MODELS[name][0]().fit(["a b c", "a c b"] * 3)
    before, probs = model.log_prob("a b"), model.conditional("a").probs
    parameters = {"order": 1, "depth": 0, "alpha": 9.0, "size": 1, "decay": 0.1, "stop": 0.9,
                  "method": "C", "adaptive": not getattr(model, "adaptive", True),
                  "smoothing": "katz", "tokens": Tokens("char", end=False)}  # fmt: skip
    own = model.get_params(deep=False)
    model.set_params(**{key: value for key, value in parameters.items() if key in own})
    assert model.log_prob("a b") == before
    np.testing.assert_array_equal(model.conditional("a").probs, probs)
