"""Tokens: how data are cut into symbols, as one immutable value."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import arproc
from arproc import Tokens
from arproc.data.tokenizers import categorical_space
from arproc.data.vocabulary import Vocabulary
from arproc.errors import ParameterError

LINES = ["the cat sat on the mat", "the cat ate", "the rat sat"]
MODELS = {
    "NGram": lambda tokens: arproc.NGram(2, "witten_bell", tokens),
    "InfiniGram": lambda tokens: arproc.InfiniGram(tokens),
    "PPM": lambda tokens: arproc.PPM(2, tokens=tokens),
    "ContextTree": lambda tokens: arproc.ContextTree(1, tokens),
    "Cache": lambda tokens: arproc.Cache(tokens=tokens),
}


def test_it_is_a_value():
    tokens = Tokens("char", end=True)
    assert tokens == Tokens("char", end=True) != Tokens("char")
    assert hash(tokens) == hash(Tokens("char", end=True))
    assert repr(tokens) == "Tokens(kind='char', end=True)"
    assert repr(Tokens()) == "Tokens()"
    with pytest.raises(dataclasses.FrozenInstanceError):
        tokens.end = False
    changed = tokens.set_params(end=False, min_count=2)
    assert (changed.end, changed.min_count, tokens.end) == (False, 2, True)
    assert Tokens(**tokens.get_params()) == tokens
    with pytest.raises(ParameterError, match="no setting 'mincount'; it has kind, min_count"):
        tokens.set_params(mincount=2)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"kind": "words"}, "tokens must be 'word', 'char', 'byte', a Vocabulary"),
        ({"kind": Tokens()}, "tokens must be"),
        ({"min_count": 0}, "min_count must be at least 1"),
        ({"max_size": 0}, "max_size must be at least 1"),
        ({"max_size": 2.5}, "max_size must be an integer"),
        ({"special": "ignore"}, "special must be one of"),
    ],
)
def test_refusals(fields, message):
    with pytest.raises(ParameterError, match=message):
        Tokens(**fields)


@pytest.mark.parametrize("kind", ["word", "char", "byte", Vocabulary(("<unk>", "the"), "word", 0)])
def test_a_kind_alone_has_the_defaults(kind):
    assert categorical_space(LINES, kind) == categorical_space(LINES, Tokens(kind))
    assert categorical_space(LINES, Tokens(kind, end=False)).end is None
    assert categorical_space(LINES, Tokens(kind, end=False), end=True).end is not None


@pytest.mark.parametrize("name", MODELS)
def test_models_take_it_whole_or_a_kind_alone(name, tmp_path):
    make = MODELS[name]
    tokens = Tokens(max_size=3, end=False, special="escape")
    model = make(tokens).fit(LINES)
    assert model.vocabulary.symbols == ("<unk>", "the", "cat", "sat")
    assert not model.space.terminates
    assert model.tokens is tokens  # the constructor only stores
    model.save(tmp_path / "model")
    again = arproc.load(tmp_path / "model")
    assert again.tokens == tokens
    np.testing.assert_array_equal(again.log_prob(LINES), model.log_prob(LINES))
    other = model.clone().set_params(tokens__max_size=2).fit(LINES)
    assert len(other.vocabulary) == 3
    assert model.tokens.max_size == 3
    assert make("char").fit(LINES).space == make(Tokens("char")).fit(LINES).space
    assert make(None).fit([0, 1, 2, 1]).space.size == 3
    with pytest.raises(TypeError, match="min_count"):
        type(model)(**model.get_params(deep=False), min_count=2)
