"""Streams give what `sample` gives, element by element; budgets; prefixes read once for all."""

import time

import numpy as np
import pytest
import tokenizer_stand_ins as stand_ins
import torch
from symbol_processes import TEXT_FAMILIES, process

import arproc
from arproc import sampling
from arproc.contract.law import ChainLaw
from arproc.data.tokenizers import TokenizerVocabulary
from arproc.errors import DataError, ParameterError
from arproc.process import Process
from arproc.sampling import Budget, Constrain, Regex, Temperature
from arproc.sampling.streaming import _Text
from arproc.spaces import Real

QUICK = arproc.Training(steps=2, batch_size=4)


def real():
    return arproc.AR.from_parameters([0.6, -0.2])


@pytest.mark.parametrize("family", TEXT_FAMILIES)
def test_a_stream_of_text_is_the_draw_of_its_seed(family):
    own = process(family)
    for seed in range(4):
        coming = own.stream(12, seed=seed)
        pieces = list(coming)
        draws = own.sample(1, 12, seed=seed, return_log_prob=True)
        assert "".join(pieces) == draws.x[0]
        assert all(pieces)
        assert coming.reason == ("end" if draws.complete[0] else "length")
        assert coming.log_prob == pytest.approx(draws.log_prob[0], rel=1e-5)
        assert coming.policy_log_prob == pytest.approx(draws.policy_log_prob[0], rel=1e-5)


def test_streams_of_numbers_vectors_and_examples_of_one_size():
    series = real()
    assert list(series.stream(5, seed=1)) == pytest.approx(series.sample(1, 5, seed=1)[0])
    np.testing.assert_array_equal(list(process("MADE").stream(seed=2)),
                                  process("MADE").sample(1, seed=2)[0])  # fmt: skip
    several = arproc.VAR(1).fit(np.random.default_rng(0).normal(size=(40, 2)))
    np.testing.assert_allclose(list(several.stream(3, seed=0)), several.sample(1, 3, seed=0)[0])
    named = arproc.PPM(order=1, tokens=None).fit([["up", "down"], ["up"]])
    assert list(named.stream(4, seed=3)) == list(named.sample(1, 4, seed=3)[0])


@pytest.mark.parametrize("policy", [None, Temperature(0.7) | Constrain(Regex("(ab|b|c)+a?"))])
@pytest.mark.parametrize("family", ["NGram", "PPM", "Transformer"])
def test_a_stream_is_left_and_gone_on_with(family, policy):
    own = process(family)
    whole = own.sample(1, 9, prefix="ab", policy=policy, seed=6)[0]
    coming = own.stream(9, prefix="ab", policy=policy, seed=6)
    begun = next(coming)
    coming.cancel()
    assert coming.reason == "cancelled"
    assert list(coming) == []
    again = own.stream(9 - len(begun), seed=6, state=coming.state)
    assert begun + "".join(again) == whole


def test_what_begins_a_character_waits_for_the_rest():
    halves = TokenizerVocabulary.of(stand_ins.Tokenizer())
    text, raw = _Text(halves), "é a🙂 ".encode() + b"\xc3"
    pieces = [text.add(byte) for byte in raw]
    assert pieces == [None, "é", " ", "a", None, None, None, "🙂", " ", None]
    assert text.rest() == "\ufffd"
    assert text.rest() is None
    model = arproc.PPM(order=3, tokens=stand_ins.Tokenizer()).fit(stand_ins.TEXT)
    for seed in range(6):
        assert "".join(model.stream(25, seed=seed)) == model.sample(1, 25, seed=seed)[0]
    words = arproc.PPM(order=1, tokens="word").fit(["a rose is a rose", "a daisy is no rose"])
    assert "".join(words.stream(9, seed=1)) == words.sample(1, 9, seed=1)[0]


def test_a_process_under_a_policy_streams_like_any_other():
    own = process("PPM").with_policy(Temperature(0.5))
    coming = own.stream(8, seed=1)
    first = next(coming)
    assert (
        first + "".join(own.stream(7, seed=1, state=coming.state)) == own.sample(1, 8, seed=1)[0]
    )
    assert own.law_ is coming.state.law
    draws = own.sample(1, 1, seed=1, return_log_prob=True)
    assert coming.log_prob == pytest.approx(draws.log_prob[0])


def test_stops_of_streams():
    own = process("PPM")
    cut = own.stream(40, stop="b", seed=2)
    assert "".join(cut) == own.sample(1, 40, stop="b", seed=2)[0]
    assert cut.reason == "stop"
    assert own.stream(0, seed=0).reason == "length"


def test_budgets():
    own = real()
    rows = own.sample(6, 60, stop=Budget(nats=12.0), seed=0)
    for row in rows:
        terms = -own.log_prob_terms(row)
        assert terms.sum() >= 12 or len(row) == 60
        assert terms[:-1].sum() < 12
    begin = time.monotonic()
    slow = own.sample(1, 10_000_000, stop=Budget(seconds=0.05), seed=0)
    assert 0 < slow.shape[1] < 10_000_000
    assert time.monotonic() - begin < 20
    both = process("PPM").sample(5, 30, stop=["b", Budget(nats=3.0)], seed=0)
    assert all("b" not in x[:-1] for x in both)
    assert repr(Budget(nats=3.0, seconds=1)) == "Budget(seconds=1, nats=3)"


def test_a_constraint_stops_where_it_is_whole():
    stream = arproc.PPM(order=2, tokens="char").fit("ab abb abbb ab ")
    found = stream.sample(20, 30, policy=Constrain(Regex("ab+ ")), stop=Regex("ab+ "), seed=0)
    assert all(x.endswith(" ") and x.count(" ") == 1 for x in found)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Budget(), "got neither"),
        (lambda: Budget(seconds=0), "seconds must be a number above 0"),
        (lambda: Budget(nats=float("nan")), "nats must be a number above 0"),
        (lambda: process("PPM").sample(1, stop=[Budget(nats=1.0), 3]), "stop must be a function"),
        (lambda: process("PPM").sample(1, stop=[]), "stop must be a function"),
        (lambda: real().stream(), "length is needed"),
        (lambda: process("PPM").stream(prefix=["a", "b"]), "a stream is of one draw"),
        (lambda: process("PPM").stream(state=3), "state must be a State of one row"),
        (lambda: real().stream(3, state=process("PPM").start()), "state is of another law"),
        (lambda: real().stream(3, state=real().start(), policy=Temperature(2.0)), "leave policy"),
    ],
)
def test_bad_arguments(make, message):
    with pytest.raises(ParameterError, match=message):
        make()


def test_one_prefix_for_all_is_read_once(monkeypatch):
    own = process("Transformer")
    sizes = []
    after = ChainLaw.after
    monkeypatch.setattr(
        ChainLaw, "after", lambda self, s, c: (sizes.append(len(s)), after(self, s, c))[1]
    )
    policy = sampling.TopK(3)
    many = own.sample(20, 6, prefix="abcab", policy=policy, seed=1, return_log_prob=True)
    assert set(sizes) == {1}
    each = own.sample(20, 6, prefix=["abcab"] * 20, policy=policy, seed=1, return_log_prob=True)
    assert many.x == each.x
    np.testing.assert_allclose(many.log_prob, each.log_prob, rtol=1e-5)
    np.testing.assert_allclose(many.policy_log_prob, each.policy_log_prob, rtol=1e-5)
    series = real()
    shared = series.sample(3, 4, prefix=[1.0, 2.0], seed=0, return_log_prob=True)
    apart = series.sample(3, 4, prefix=[[1.0, 2.0]] * 3, seed=0, return_log_prob=True)
    np.testing.assert_allclose(shared.x, apart.x)
    np.testing.assert_allclose(shared.log_prob, apart.log_prob)


class Broken(Process):
    """Draws no numbers."""

    window_length = 0

    def __init__(self):
        pass

    def _infer_space(self, data):
        return Real()

    def _fit(self, sequences, *, validation, context):
        self.mean_ = float("nan")

    def window(self, ctx, position):
        mean = torch.full(position.shape, self.mean_, dtype=torch.float64)
        return torch.distributions.Normal(mean, 1.0, validate_args=False)


def test_a_law_that_draws_nan_is_refused_in_a_stream():
    with pytest.raises(DataError, match="drew NaN"):
        next(Broken().fit([0.0]).stream(3, seed=0))
