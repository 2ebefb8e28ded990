"""Beams, the best of several draws and the most probable path, by brute force."""

import itertools
import re

import numpy as np
import pytest
from symbol_processes import TEXT_FAMILIES, process

import arproc
from arproc.errors import DataError, ParameterError, UnsupportedError
from arproc.sampling import Constrain, Regex, Temperature, beam_search, best_of, best_path


def texts(longest):
    for length in range(longest + 1):
        yield from map("".join, itertools.product("abc", repeat=length))


def ranked(own, listed, penalty=0.0):
    log_prob = own.log_prob(listed)
    score = log_prob / np.array([len(t) + 1 for t in listed]) ** penalty
    order = np.argsort(-score)
    return [listed[i] for i in order], log_prob[order], score[order]


@pytest.mark.parametrize("penalty", [0.0, 1.0])
@pytest.mark.parametrize("family", TEXT_FAMILIES)
def test_a_beam_that_drops_nothing_finds_the_best(family, penalty):
    own = process(family)
    found = beam_search(own, 12, 200, length=4, length_penalty=penalty)
    score = ranked(own, list(texts(4)), penalty)[2]
    whole = [i for i, ended in enumerate(found.complete) if ended]
    np.testing.assert_allclose(found.score[whole], score[: len(whole)], rtol=1e-5)
    for i in whole:
        assert found.log_prob[i] == pytest.approx(own.log_prob(found.x[i]), rel=1e-5)
    cut = [i for i, ended in enumerate(found.complete) if not ended]
    for i in cut:
        assert len(found.x[i]) == 4
        want = own.log_prob(own.sequences(found.x[i], complete=False))
        assert found.log_prob[i] == pytest.approx(float(want), rel=1e-5)
    assert (np.diff(found.score) <= 1e-12).all()


def test_a_beam_without_a_length_stops_when_nothing_better_can_come():
    own = process("NGram")
    found = beam_search(own, 3, 50)
    listed, log_prob, _ = ranked(own, list(texts(6)))
    assert found.x == listed[:3]
    np.testing.assert_allclose(found.log_prob, log_prob[:3])
    assert found.complete.all()


def test_beams_after_a_prefix_and_under_a_constraint():
    own = process("PPM")
    found = beam_search(own, 3, 100, length=3, prefix="ab")
    after = own.condition("ab")
    want = ranked(after, list(texts(3)))[0]
    whole = [x for x, ended in zip(found.x, found.complete, strict=True) if ended]
    assert whole == want[: len(whole)]
    kept = beam_search(own, 2, 50, policy=Constrain(Regex("c(ab)+")))
    assert all(re.fullmatch("c(ab)+", x) for x in kept.x)
    with pytest.raises(DataError, match="nothing can be found"):
        beam_search(own, 1, 5, prefix="b", policy=Constrain(Regex("c(ab)+")))


def test_beams_of_one_size_and_of_streams():
    made = process("MADE")
    every = np.array(list(itertools.product([0, 1], repeat=5)))
    p = made.log_prob(every)
    found = beam_search(made, 4, 32)
    np.testing.assert_array_equal(found.x, every[np.argsort(-p)[:4]])
    np.testing.assert_allclose(found.log_prob, np.sort(p)[::-1][:4], rtol=1e-5)
    stream = arproc.NGram(2, "witten_bell", tokens="char").fit("abcabbacab")
    with pytest.raises(ParameterError, match="length is needed: this process is a stream"):
        beam_search(stream)
    best = beam_search(stream, 1, 300, length=5)
    assert best.x == best_path(stream, 5).x
    with pytest.raises(UnsupportedError, match="not a distribution over finitely many symbols"):
        beam_search(arproc.AR.from_parameters([0.5]), length=2)


def finite(family):
    own = process("NGram")
    if family == "Mixture":
        other = arproc.NGram(3, "witten_bell", tokens="char").fit(["abcab", "bca", "cabb"])
        return arproc.Mixture([own, other]).fit(["abc"])
    return own.with_policy(Temperature(0.7)) if family == "Temperature" else own


@pytest.mark.parametrize("family", ["NGram", "Mixture", "Temperature"])
def test_the_most_probable_path(family):
    own = finite(family)
    listed, log_prob, _ = ranked(own, list(texts(7)))
    found = best_path(own)
    assert found.x == listed[:1]
    assert found.log_prob[0] == pytest.approx(log_prob[0], rel=1e-9)
    kept = best_path(own, constraint=Regex("[ab]{3}c*"))
    assert kept.x == [t for t in listed if re.fullmatch("[ab]{3}c*", t)][:1]
    short = best_path(own, 2, constraint=Regex("c.*"))
    assert short.x == [t for t in listed if len(t) <= 2 and t.startswith("c")][:1]
    masked = best_path(own, policy=Constrain(Regex("[ab]{3}c*")))
    under = own.with_policy(Constrain(Regex("[ab]{3}c*")))
    assert masked.x == ranked(under, listed)[0][:1]


def test_the_most_probable_path_of_a_stream_and_after_a_prefix():
    stream = arproc.NGram(3, "witten_bell", tokens="char").fit("abcabbacabccbaab")
    five = ["".join(t) for t in itertools.product("abc", repeat=5)]
    p = stream.log_prob(five)
    found = best_path(stream, 5)
    assert found.x == [five[int(p.argmax())]]
    assert not found.complete[0]
    after = stream.condition("cc")
    assert best_path(after, 5).x == [five[int(after.log_prob(five).argmax())]]


def test_what_has_no_most_probable_path():
    with pytest.raises(UnsupportedError, match="needs a process that remembers finitely many"):
        best_path(process("PPM"))
    with pytest.raises(UnsupportedError, match="sequences of this process have one size"):
        best_path(process("MADE"))
    with pytest.raises(DataError, match="no sequence that keeps the constraint"):
        best_path(process("NGram"), 2, constraint=Regex("abc"))


def test_the_best_of_several_draws():
    own = process("PPM")
    draws = own.sample(30, seed=4, return_log_prob=True)
    found = best_of(own, 30, seed=4)
    np.testing.assert_array_equal(found.log_prob, np.sort(draws.log_prob)[::-1])
    assert found.x[0] == draws.x[int(draws.log_prob.argmax())]
    longest = best_of(own, 30, seed=4, score=lambda x: [len(t) for t in x])
    assert len(longest.x[0]) == max(map(len, draws.x))
    series = best_of(arproc.AR.from_parameters([0.5]), 20, 3, seed=0)
    assert series.x.shape == (20, 3)
    with pytest.raises(ParameterError, match=r"score must give one number a draw, \[3\]"):
        best_of(own, 3, score=lambda x: 1.0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n": 3, "width": 2}, "n is 3, more than width"),
        ({"width": 0}, "width must be at least 1"),
        ({"length_penalty": -1}, "length_penalty must be a number at least 0"),
        ({"length_penalty": 1.0}, "length is needed with length_penalty"),
        ({"prefix": ["a", "b"]}, "a search is for one prefix; got 2"),
    ],
)
def test_bad_arguments(options, message):
    with pytest.raises(ParameterError, match=message):
        beam_search(process("NGram"), **options)
