"""Policies that remember: penalties and blocked n-grams, in states, likelihoods and draws."""

import itertools

import numpy as np
import pytest
import torch
from toys import Chain, Letters, Walk

from arproc.errors import NothingLeftError, ParameterError, UnsupportedError
from arproc.sampling import (
    FrequencyPenalty,
    NoRepeatNGram,
    PresencePenalty,
    RepetitionPenalty,
    Temperature,
    TopK,
)

PENALTIES = [RepetitionPenalty(1.4), PresencePenalty(0.6), FrequencyPenalty(0.3)]


@pytest.fixture(scope="module")
def chain():
    return Chain(6).fit([0, 1])


@pytest.mark.parametrize("policy", PENALTIES, ids=repr)
def test_penalties_by_their_formulas(chain, policy):
    known = [0, 4, 4, 2, 4]
    scores = chain.conditional(known).logits
    counts = torch.bincount(torch.tensor(known), minlength=6)
    if isinstance(policy, RepetitionPenalty):
        want = torch.where(counts > 0, scores * 1.4, scores)
    elif isinstance(policy, PresencePenalty):
        want = scores - 0.6 * (counts > 0)
    else:
        want = scores - 0.3 * counts
    got = chain.with_policy(policy).conditional(known)
    torch.testing.assert_close(got.probs, torch.softmax(want, -1))


@pytest.mark.slow  # importing the peer takes seconds
@pytest.mark.parametrize(
    ("policy", "name", "argument"),
    [
        (RepetitionPenalty(1.7), "RepetitionPenaltyLogitsProcessor", 1.7),
        (RepetitionPenalty(0.6), "RepetitionPenaltyLogitsProcessor", 0.6),
        (NoRepeatNGram(1), "NoRepeatNGramLogitsProcessor", 1),
        (NoRepeatNGram(2), "NoRepeatNGramLogitsProcessor", 2),
        (NoRepeatNGram(3), "NoRepeatNGramLogitsProcessor", 3),
    ],
    ids=repr,
)
def test_the_same_as_transformers(chain, policy, name, argument):
    peers = pytest.importorskip("transformers.generation.logits_process")
    peer = getattr(peers, name)(argument)
    x = torch.randint(3, (6, 7), generator=torch.Generator().manual_seed(2))  # of 6 symbols
    columns = chain.start(6).extend(x)[0]
    got = chain.with_policy(policy).start(6).extend(x)[0]
    for t in range(1, 8):
        want = peer(x[:, :t], columns.logits[:, t].clone())
        torch.testing.assert_close(got.probs[:, t], torch.softmax(want, -1))


@pytest.mark.parametrize(
    "policy",
    [*PENALTIES, NoRepeatNGram(2), RepetitionPenalty(1.2) | NoRepeatNGram(3) | TopK(4)],
    ids=repr,
)
def test_states_are_values_in_ragged_batches(chain, policy):
    under = chain.with_policy(policy)
    rows = torch.tensor(under.sample(5, 8, seed=3))
    lengths = torch.tensor([8, 0, 4, 1, 6])
    columns, state = under.start(5).extend(rows, lengths)
    for i, length in enumerate(lengths.tolist()):
        alone = under.start(1)
        for t in range(length):
            torch.testing.assert_close(columns.probs[i, t], alone.conditional.probs[0])
            alone = alone.append(rows[i : i + 1, t])
        torch.testing.assert_close(state.conditional.probs[i], alone.conditional.probs[0])
    cut = state.truncate(torch.minimum(lengths, torch.tensor(3)))
    again = under.start(5).extend(rows[:, :3], torch.minimum(lengths, torch.tensor(3)))[1]
    torch.testing.assert_close(cut.conditional.probs, again.conditional.probs)
    picked = state.select([4, 0, 4]).append(torch.tensor([1, 2, 3]))
    whole = torch.cat([rows[[4, 0, 4]], torch.zeros(3, 1, dtype=torch.int64)], 1)
    for i, (row, x) in enumerate(((4, 1), (0, 2), (4, 3))):
        length = int(lengths[row])
        one = under.start(1).extend(torch.cat([whole[i, :length], torch.tensor([x])])[None])[1]
        torch.testing.assert_close(picked.conditional.probs[i], one.conditional.probs[0])


def test_no_pair_comes_twice_and_such_sequences_are_impossible(chain):
    under = chain.with_policy(NoRepeatNGram(2))
    for row in under.sample(20, 12, seed=1):
        pairs = list(itertools.pairwise(row))
        assert len(set(pairs)) == len(pairs)
    assert under.log_prob([0, 1, 0, 1]) == -np.inf
    assert np.isfinite(under.log_prob([0, 1, 0, 2]))


def test_a_place_where_nothing_is_left_is_an_error_of_that_row():
    two = Letters("ab", end=False).fit("ab")
    # after "aabba" all pairs that begin with "a" have come
    under = two.with_policy(NoRepeatNGram(2))
    assert np.isfinite(under.log_prob("aabba"))
    assert under.log_prob("aabbaa") == -np.inf
    assert under.log_prob("aabbaab") == -np.inf
    message = r"policy NoRepeatNGram\(2\) leaves nothing that could come next in row 1, after 5"
    with pytest.raises(NothingLeftError, match=message):
        two.sample(2, 1, prefix=["aaabb", "aabba"], policy=NoRepeatNGram(2), seed=0)
    with pytest.raises(NothingLeftError, match="after 5 elements"):
        under.conditional("aabba")
    three = Letters("abc", end=False).fit("abc")
    with pytest.raises(NothingLeftError, match=r"\(from NoRepeatNGram\(1\) on\) .* after 3"):
        three.sample(3, 4, policy=Temperature(2.0) | NoRepeatNGram(1) | TopK(2), seed=0)


def test_rows_that_have_ended_may_have_nothing_left():
    """They stay in the batch for a while; the end alone comes again and again."""
    ending = Letters("abcdefgh").fit("abcdefgh")
    texts = ending.sample(64, 8, policy=NoRepeatNGram(1), seed=0)
    assert all(len(set(text)) == len(text) for text in texts)
    assert {len(text) for text in texts} > {0, 2}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: RepetitionPenalty(0), "penalty must be a number above 0"),
        (lambda: PresencePenalty("a"), "penalty must be a finite number"),
        (lambda: FrequencyPenalty(float("nan")), "penalty must be a finite number"),
        (lambda: NoRepeatNGram(0), "n must be at least 1"),
    ],
)
def test_bad_parameters(make, message):
    with pytest.raises(ParameterError, match=message):
        make()


@pytest.mark.parametrize("policy", [*PENALTIES, NoRepeatNGram(2)], ids=repr)
def test_densities_are_refused_at_once(policy):
    with pytest.raises(UnsupportedError, match="is for processes of finitely many symbols"):
        Walk().fit([0.0]).with_policy(policy)
