"""Streams without an end that are left to a stop condition."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from toys import Chain, Counter

import arproc
from arproc.errors import ParameterError
from arproc.sampling import Budget, Temperature, ancestral, stopping

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


TEXTS = ["the cat sat on the mat", "a cat ate the rat", "die Grüße, köstlich", "that hat"] * 3
STREAMS = {
    "n-gram": lambda: arproc.NGram(3, "witten_bell", "char").fit(" ".join(TEXTS)),
    "n-gram of bytes": lambda: arproc.NGram(2, "witten_bell", "byte").fit(" ".join(TEXTS)),
    "n-gram of lines": lambda: arproc.NGram(2, "witten_bell", "char").fit(TEXTS),
    "PPM": lambda: arproc.PPM(3).fit(" ".join(TEXTS)),
    "PPM at a temperature": lambda: arproc.PPM(3).fit(" ".join(TEXTS)).with_policy(Temperature(2)),
    "PPM of lines": lambda: arproc.PPM(2).fit(TEXTS),
}


@pytest.mark.parametrize("name", STREAMS)
@pytest.mark.parametrize("at_once", [None, 5])
@pytest.mark.parametrize("stop", ["the ra", "ü", ["öst", "t ", "xyz"]])
def test_draws_are_cut_where_a_string_comes_first(name, at_once, stop):
    """However many elements are drawn before they are looked at."""
    process = STREAMS[name]()
    free = process.sample(30, length=300, seed=1)
    cut = process.sample(30, length=300, seed=1, stop=stop, at_once=at_once)
    strings = [stop] if isinstance(stop, str) else stop
    for long, short in zip(free, cut, strict=True):
        ends = [long.find(s) + len(s) for s in strings if s in long]
        assert short == (long[: min(ends)] if ends else long)


def test_a_row_that_ends_in_the_block_in_which_it_was_cut_is_not_complete():
    process = STREAMS["n-gram of lines"]()
    draws = process.sample(200, seed=0, stop="t", return_log_prob=True)
    assert [not x.endswith("t") for x in draws.x] == draws.complete.tolist()
    want = [
        process.log_prob(x, complete=bool(c)) for x, c in zip(draws.x, draws.complete, strict=True)
    ]
    np.testing.assert_allclose(draws.log_prob, want)


@pytest.mark.parametrize("stop", [" ", " the", "the "])
def test_blanks_between_words_are_found(stop):
    words = arproc.NGram(2, "witten_bell").fit(["the cat and the rat and the dog"] * 3)
    for seed in range(8):
        (free,) = words.sample(1, length=20, seed=seed)
        (cut,) = words.sample(1, length=20, seed=seed, stop=stop)
        k = next((k for k in range(1, 21) if stop in " ".join(free.split()[:k])), 20)
        assert cut == " ".join(free.split()[:k])


def test_a_string_that_never_comes_costs_a_question_a_block(monkeypatch):
    monkeypatch.setattr(ancestral, "MOST", 6400)
    asked, perhaps = [], stopping._Strings.perhaps

    def counted(self, seen, counts):
        asked.append(seen.shape[1])
        return perhaps(self, seen, counts)

    monkeypatch.setattr(stopping._Strings, "perhaps", counted)
    monkeypatch.setattr(stopping._Strings, "met", None)
    with pytest.raises(ParameterError, match="after 6,400 elements, nor met stop="):
        STREAMS["n-gram"]().sample(1, stop="xyz", seed=0)
    assert len(asked) == 6 + 100  # of 1, 2, 4 ... 32 elements, then of 64
    assert max(asked) == 64 + len("xyz")


def test_few_elements_are_drawn_beyond_a_cut():
    """They would grow out of all bounds, with a warning."""
    wild = arproc.AR.from_parameters([1e50], initial="given")
    draws = wild.sample(3, prefix=[1.0], stop=lambda x: abs(x[:, -1]) > 1e120, seed=0)
    assert draws.shape == (3, 3)
    assert (abs(draws[:, -1]) < 1e151).all()
