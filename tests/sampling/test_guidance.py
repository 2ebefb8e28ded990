"""One process set against another: guidance and contrast."""

import numpy as np
import pytest
import torch
from toys import Chain, Letters, Toy, Walk

import arproc
from arproc.distributions import Categorical
from arproc.errors import ParameterError, UnsupportedError
from arproc.sampling import Contrast, Guidance, TopK
from arproc.spaces import Categorical as Symbols


@pytest.fixture(scope="module")
def two():
    return Chain(5).fit([0, 1]), Chain(5, order=1).fit([0, 1])


@pytest.mark.slow  # importing the peer takes seconds
def test_guidance_is_that_of_transformers(two):
    peers = pytest.importorskip("transformers.generation.logits_process")
    main, other = two
    x = torch.randint(5, (4, 6), generator=torch.Generator().manual_seed(0))
    p, q = (m.start(4).extend(x)[0].logits for m in two)
    for scale in (0.0, 0.4, 1.0, 2.5):
        peer = peers.UnbatchedClassifierFreeGuidanceLogitsProcessor(scale, model=None)
        peer.get_unconditional_logits = lambda *_, q=q: q[:, -1:]
        want = peer(x, p[:, -1].clone())
        got, state = main.with_policy(Guidance(other, scale)).start(4).extend(x)
        torch.testing.assert_close(got.probs[:, -1], torch.softmax(want, -1))
        torch.testing.assert_close(state.conditional.probs, got.probs[:, -1])


def test_contrast_is_guidance_among_the_plausible(two):
    main, other = two
    x = [0, 3, 1]
    p, q = (m.conditional(x).logits for m in two)
    mixed = (1.7 * p - 0.7 * q).masked_fill(p < p.max() + np.log(0.2), -torch.inf)
    got = main.with_policy(Contrast(other, 0.7, plausible=0.2)).conditional(x)
    torch.testing.assert_close(got.probs, torch.softmax(mixed, -1))


def test_the_other_sees_the_prefix_and_every_change_of_rows(two):
    main, other = two
    policy = Guidance(other, 1.8) | TopK(4)
    under = main.with_policy(policy)
    rows, lengths = torch.tensor(under.sample(4, 6, seed=2)), torch.tensor([6, 0, 2, 5])
    columns, state = under.start(4).extend(rows, lengths)
    for i, length in enumerate(lengths.tolist()):
        alone = under.start(1)
        for t in range(length):
            torch.testing.assert_close(columns.probs[i, t], alone.conditional.probs[0])
            alone = alone.append(rows[i : i + 1, t])
        torch.testing.assert_close(state.conditional.probs[i], alone.conditional.probs[0])
    picked = state.select([3, 3, 0]).truncate(1)
    again = under.start(3).extend(rows[[3, 3, 0], :1])[1]
    torch.testing.assert_close(picked.conditional.probs, again.conditional.probs)
    got = main.sample(3, 5, prefix=[1, 4], policy=policy, seed=1, return_log_prob=True)
    whole = np.concatenate([np.tile([1, 4], (3, 1)), got.x], axis=1)
    np.testing.assert_allclose(
        got.policy_log_prob, under.log_prob(whole) - under.log_prob([1, 4]), rtol=1e-9
    )


def test_what_the_other_holds_impossible():
    class Fixed(Chain):
        def __init__(self, scores):
            self.scores = scores
            self.symbols, self.end, self.order = len(scores), False, 1

        def window(self, ctx, position):
            return Categorical(torch.tensor(self.scores).expand(*position.shape, -1))

    ninf = -float("inf")
    main = Fixed([0.0, 1.0, 2.0, ninf]).fit([0])
    other = Fixed([0.0, ninf, 1.0, 0.0]).fit([0])
    p = [main.with_policy(Guidance(other, s)).conditional([0]).probs for s in (2.0, 1.0, 0.5)]
    assert p[0].tolist() == [0, 1, 0, 0]
    torch.testing.assert_close(p[1], main.conditional([0]).probs)
    assert (p[2] > 0).tolist() == [True, False, True, False]


def test_the_other_is_taken_as_it_is(two):
    main, _ = two
    other = Chain(5, order=1).fit([0, 1])
    under = main.with_policy(Guidance(other, 2.0))
    before = under.log_prob([0, 1, 2])
    other.order = 3
    other.fit([0, 1])
    assert under.log_prob([0, 1, 2]) == before


class Pushed(Toy):
    """Symbols whose scores are pushed by a context of one number."""

    window_length = 1
    context_kind = "static"

    def __init__(self, slope):
        self.slope = slope

    def _infer_space(self, data):
        return Symbols(4)

    def window(self, ctx, position, context):
        push = self.slope * context[:, None].double() * torch.arange(4.0)
        return Categorical(torch.sin(ctx + torch.arange(4.0)).double() + push)


def test_a_context_goes_to_both():
    one, two = (Pushed(slope).fit([[0, 1]], context=[[1.0]]) for slope in (0.3, -0.2))
    under = one.with_policy(Guidance(two, 1.5))
    for number in (-1.0, 2.0):
        p, q, g = (m.conditional([1, 3], context=[number]).logits for m in (one, two, under))
        torch.testing.assert_close(g, torch.log_softmax(1.5 * p - 0.5 * q, -1))
    with pytest.raises(ParameterError, match="takes a context that this process does not take"):
        Chain(4).fit([0, 1]).with_policy(Guidance(two, 1.5))


def test_a_process_under_guidance_is_saved_and_read(tmp_path):
    one = arproc.PPM(order=1, tokens="char").fit(["abc", "ba"])
    two = arproc.PPM(order=2, tokens="char").fit(["abc", "ba"])
    under = two.with_policy(Guidance(one, 1.5))
    under.save(tmp_path / "m.arproc")
    assert arproc.load(tmp_path / "m.arproc").log_prob("abca") == under.log_prob("abca")


def test_what_does_not_fit_is_refused(two):
    main, other = two
    with pytest.raises(ParameterError, match="scale must be a number at least 0"):
        Guidance(other, -1.0)
    with pytest.raises(ParameterError, match="strength must be a number at least 0"):
        Contrast(other, -1.0)
    with pytest.raises(ParameterError, match="plausible must be a number above 0 and at most 1"):
        Contrast(other, 1.0, 0.0)
    with pytest.raises(ParameterError, match="Guidance needs another process over the same elem"):
        main.with_policy(Guidance(Chain(4).fit([0, 1]), 2.0))
    with pytest.raises(ParameterError, match="Contrast needs another process over the same elem"):
        main.with_policy(Contrast(Letters().fit("ab"), 2.0))
    with pytest.raises(ParameterError, match="Guidance needs a Process; got int"):
        main.with_policy(Guidance(3, 2.0))
    walk = Walk().fit([0.0])
    with pytest.raises(UnsupportedError, match="Contrast is for processes of finitely many"):
        walk.with_policy(Contrast(walk, 2.0))


def test_numbers_are_guided_by_the_product_of_powers():
    walk, other = Walk(0.5).fit([0.0]), Walk(-0.5).fit([0.0])
    loud = walk.with_policy(Guidance(other, 2.0))  # both of variance 1: 2 mean - other mean
    assert float(loud.conditional([1.0]).mean) == pytest.approx(1.5)
    assert loud.log_prob([1.0, 1.5]) == pytest.approx(
        float(walk.log_prob([1.0])) - 0.5 * np.log(2 * np.pi)
    )
    draws = walk.sample(3, 4, policy=Guidance(other, 2.0), seed=0, return_log_prob=True)
    np.testing.assert_allclose(draws.policy_log_prob, loud.log_prob(draws.x))
