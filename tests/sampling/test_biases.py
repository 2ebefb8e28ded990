"""Biases, bans, and the least length."""

import math

import numpy as np
import pytest
import torch
from toys import Bits, Chain, Letters, Walk

import arproc
from arproc.data.vocabulary import Vocabulary
from arproc.distributions import Categorical
from arproc.errors import NothingLeftError, ParameterError, UnsupportedError
from arproc.sampling import Ban, Bias, Greedy, MinLength, Temperature, TopK
from arproc.spaces import Categorical as Symbols


@pytest.fixture(scope="module")
def letters():
    return Letters("abc").fit("abc")


def test_a_bias_adds_to_the_scores(letters):
    before = letters.conditional("a").logits
    after = letters.with_policy(Bias({"b": 1.5, "c": -math.inf}, end=-0.5)).conditional("a").logits
    change = after - before
    assert float(change[1] - change[0]) == pytest.approx(1.5)
    assert float(change[3] - change[0]) == pytest.approx(-0.5)
    assert float(after[2]) == -math.inf
    by_number = letters.with_policy(Bias({1: 1.5, 2: -math.inf, 3: -0.5})).conditional("a").logits
    torch.testing.assert_close(after, by_number)


@pytest.mark.slow
def test_bans_as_transformers_suppresses(letters):
    peers = pytest.importorskip("transformers.generation.logits_process")
    scores = torch.randn(5, 4, generator=torch.Generator().manual_seed(0))
    want = peers.SuppressTokensLogitsProcessor([1, 2], device="cpu")(None, scores)
    got = Ban([1, 2]).apply(Categorical(scores))
    torch.testing.assert_close(got.probs, torch.softmax(want, -1))


def test_what_is_banned_does_not_come(letters):
    assert "b" not in "".join(letters.sample(50, 8, policy=Ban(["b"]), seed=0))


class Words(Letters):
    """The chain over three words, the one that stands for all others, and the end."""

    symbols = 5

    def __init__(self):
        super().__init__("a rose is", kind="word")

    def _infer_space(self, data):
        return Symbols(5, Vocabulary.build([self.letters], "word"), end_symbol=4)


def test_symbols_of_every_kind_of_vocabulary_are_found():
    words = Words().fit("a rose is")
    assert "rose" not in " ".join(words.sample(20, 8, policy=Ban(["rose"]), seed=0)).split()
    for unknown in ("tulip", "a rose", 99, 1.5, None, True):
        with pytest.raises(ParameterError, match="which is no symbol of this process"):
            words.with_policy(Ban([unknown]))
    of_bytes = Letters("ab", kind="byte").fit("ab")
    assert "a" not in "".join(of_bytes.sample(5, 40, policy=Ban(["a", b"\n", 200]), seed=0))
    assert (Bits().fit([[0, 1, 0, 1]]).sample(4, policy=Ban([1]), seed=0) == 0).all()


def test_a_ban_of_the_end_needs_a_length(letters):
    forever = Ban(end=True)
    assert {len(x) for x in letters.sample(9, length=30, policy=forever, seed=0)} == {30}
    got = letters.sample(4, policy=forever, stop="b", seed=0)
    assert all(text.endswith("b") for text in got)
    for call in (
        lambda: letters.sample(policy=forever),
        lambda: letters.sample(policy=Ban([3]) | Temperature(2.0)),
        lambda: letters.with_policy(forever).sample(),
        lambda: letters.with_policy(Bias({}, end=-math.inf)).with_policy(TopK(2)).sample(),
    ):
        with pytest.raises(ParameterError, match=r"length is needed: under .* no sequence ends"):
            call()


def test_the_least_length_counts_the_prefix(letters):
    policy = MinLength(6)
    texts = letters.sample(60, policy=policy, seed=0)
    assert min(map(len, texts)) == 6
    assert max(map(len, texts)) > 6
    assert min(map(len, letters.sample(60, prefix="abca", policy=policy, seed=0))) == 2
    narrow = letters.with_policy(MinLength(3))
    columns = narrow.start(2).extend([[0, 1, 2], [0, 0, 0]])[0].probs[..., 3]
    assert (columns[:, :3] == 0).all()
    assert (columns[:, 3] > 0).all()
    with pytest.raises(ParameterError, match="sequences of this process have no end"):
        Chain(3).fit([0, 1]).with_policy(policy)


@pytest.mark.slow
def test_the_least_length_is_that_of_transformers(letters):
    peers = pytest.importorskip("transformers.generation.logits_process")
    peer = peers.MinLengthLogitsProcessor(3, 3, device="cpu")
    narrow = letters.with_policy(MinLength(3))
    for known in ("a", "ab", "abc", "abca"):
        want = peer(letters.sequences(known).values[None], letters.conditional([known]).scores)
        torch.testing.assert_close(narrow.conditional([known]).probs, torch.softmax(want, -1))


def test_what_nothing_is_left_of_names_the_row_and_the_policy(letters):
    everything = Temperature(0.5) | Ban(["a", "b", "c"], end=True) | TopK(2)
    message = r"policy .*Ban\(\[0, 1, 2\], end=True\) \| TopK\(2\) \(from Ban.* in row 0, after 0"
    with pytest.raises(NothingLeftError, match=message):
        letters.sample(2, 3, policy=everything)
    assert letters.with_policy(everything).log_prob("a") == -np.inf
    # the second draw is the one that comes to "b", where only the end and "a" are impossible
    tight = letters.with_policy(Ban(["c"]))
    assert np.isfinite(tight.log_prob("abab"))
    assert tight.log_prob("acab") == -np.inf


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Ban("ab"), r"symbols must be a list of symbols, such as \['ab'\]"),
        (lambda: Ban(3), "symbols must be a list of symbols; got 3"),
        (lambda: Ban([], end=2), "end must be True or False"),
        (lambda: Bias([1]), "biases must be nats by symbol, a dict"),
        (lambda: Bias({"a": "b"}), "the bias of 'a' must be a number of nats"),
        (lambda: Bias({"a": math.inf}), "the bias of 'a' must be a number of nats"),
        (lambda: Bias({}, end=math.nan), "the bias of 'end' must be a number of nats"),
        (lambda: Ban(["a"]).apply(Categorical(torch.zeros(3))), "is not the number of a symbol"),
        (lambda: MinLength(-1), "length must be at least 0"),
    ],
)
def test_bad_parameters(make, message):
    with pytest.raises(ParameterError, match=message):
        make()


def test_what_does_not_fit_is_refused_before_anything_is_drawn(letters):
    with pytest.raises(UnsupportedError, match="Ban is for processes of finitely many symbols"):
        Walk().fit([0.0]).with_policy(Ban([1]))
    with pytest.raises(ParameterError, match="biases names the symbol 'b' twice"):
        letters.with_policy(Bias({1: 1.0, "b": 2.0}))
    with pytest.raises(ParameterError, match="Ban has end=, and sequences of this process"):
        Chain(3).fit([0, 1]).with_policy(Ban(end=True))


def test_a_process_under_bans_is_saved_and_read(letters, tmp_path):
    model = arproc.PPM(order=1, tokens="char").fit(["abc", "ba"])
    under = model.with_policy(Ban(["c"]) | MinLength(2) | Greedy())
    under.save(tmp_path / "m.arproc")
    again = arproc.load(tmp_path / "m.arproc")
    assert again.sample(3, 5, seed=0) == under.sample(3, 5, seed=0)
    assert repr(again.law_.policy) == repr(under.law_.policy)
