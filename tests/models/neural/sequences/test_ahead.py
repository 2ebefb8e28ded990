"""Heads for the symbols after the next: what they learn, and what depends on them."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from helpers import shake

import arproc
from arproc.errors import ParameterError, UnsupportedError
from arproc.models.neural.sequences.ahead import ahead_loss
from arproc.models.neural.sequences.crops import IGNORED
from arproc.sampling import OwnHeads, speculative
from arproc.training import Training

QUICK = Training(steps=2, batch_size=2)
KINDS = {"own": {}, "standard": {"kv_heads": 1}, "learned": {"positions": "learned"},
         "tied": {"tied": True}}  # fmt: skip


def model_of(kind: str = "own", ahead: int = 2, end: bool = False) -> arproc.Transformer:
    data = np.arange(30) % 4
    model = arproc.Transformer(
        1, 2, 8, block=6, tokens=4, end=end, ahead=ahead, training=QUICK, **KINDS[kind]
    )
    return shake(model.fit([data, data[:7]] if end else data))


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_foreseen_looks_at_the_past_and_at_what_lies_between(kind):
    model = model_of(kind)
    state = model.start([[0, 3, 1], [2, 2, 0]])
    x = torch.tensor([[1, 2], [3, 0]])
    assert model.law_.foresight == 2
    torch.testing.assert_close(state.foresee(x[:, :0]).scores, state.conditional.scores)
    for k in (1, 2):
        found = state.foresee(x[:, :k]).scores
        again = state.append(x[:, 0]).truncate([3, 3]).foresee(x[:, :k]).scores
        extended = model.start([[0], [2]]).extend([[3, 1], [2, 0]])[1]
        torch.testing.assert_close(again, found, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(extended.foresee(x[:, :k]).scores, found, atol=1e-5, rtol=1e-5)
        other = x[:, :k].clone()
        other[0, -1] = 0
        changed = (state.foresee(other).scores - found).abs().amax(-1)
        assert changed[0] > 1e-3
        assert changed[1] == 0
    with pytest.raises(UnsupportedError, match="foresees 2 elements"):
        state.foresee(torch.zeros((2, 3), dtype=torch.int64))


def by_hand(network, inputs, targets):
    """The loss of the heads, term by term."""
    total, weights = 0.0, network.weights()
    hidden = network.whole(inputs, weights)
    for k, row in itertools.product(range(1, len(network.ahead) + 1), range(len(inputs))):
        for t in range(inputs.shape[1] - k):
            if targets[row, t + k] == IGNORED:
                continue
            made = network.further(hidden[row, t], targets[row, t : t + k])
            scores = network.scores(made[None], weights)[0].log_softmax(-1)
            total -= float(scores[targets[row, t + k]])
    return total / (len(network.ahead) * int((targets != IGNORED).sum()))


@pytest.mark.parametrize("kind", KINDS)
def test_the_loss_is_the_sum_of_its_terms(kind):
    network = model_of(kind, end=True).network_
    targets = torch.tensor([[0, 1, 3, 2, 4], [1, 4, IGNORED, IGNORED, IGNORED]])
    inputs = torch.tensor([[5, 0, 1, 3, 2], [5, 1, 0, 0, 0]])
    found = ahead_loss(network, network.whole(inputs, None if kind != "own" else
                       network.weights()), targets, network.weights())  # fmt: skip
    assert float(found) == pytest.approx(by_hand(network, inputs, targets), rel=1e-5)
    one = ahead_loss(network, network.whole(inputs[:, :1], network.weights()), targets[:, :1],
                     network.weights())  # fmt: skip
    assert float(one) == 0


def test_heads_learn_and_bring_several_elements_a_pass():
    rng = np.random.default_rng(0)
    data = (np.arange(600) // 3 + (rng.random(600) < 0.02)) % 5
    settings = Training(steps=60, batch_size=8, lr=0.01)
    model = arproc.Transformer(
        1, 2, 16, block=16, tokens=5, end=False, ahead=2, training=settings
    ).fit(data)
    losses = model.history_["loss"].to_numpy()
    assert losses[-10:].mean() < 0.5 * losses[0]
    network, x = model.network_, torch.as_tensor(data[None, :40])
    hidden = network.whole(x[:, :-1], network.weights())
    assert float(ahead_loss(network, hidden, x[:, 1:], network.weights())) < 0.6 * np.log(5)
    report = speculative(model, OwnHeads(), 10, length=30, seed=0, ahead=2).report
    assert report.elements_per_pass > 2
    assert report.acceptance[1] > 0.7


def test_validation_scores_the_next_symbol_alone():
    data = np.arange(40) % 4
    model = arproc.Transformer(1, 2, 8, block=8, tokens=4, end=False, ahead=1, training=QUICK)
    model.fit(data, validation=data)
    # all scores begin equal: the own loss is log 4, and the head adds three tenths of 7 / 8 of it
    assert model.history_["loss"][0] == pytest.approx(np.log(4) * (1 + 0.3 * 7 / 8), rel=1e-4)
    assert model.history_["validation"].min() < np.log(4) * 1.05


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_keeps_them_and_the_likelihood_knows_nothing_of_them(kind, tmp_path):
    model = model_of(kind)
    model.save(tmp_path / "model.arproc")
    again = arproc.load(tmp_path / "model.arproc")
    assert again.ahead == 2
    options = {"length": 12, "seed": 3, "ahead": 2}
    ours, theirs = (speculative(m, OwnHeads(), 3, **options) for m in (model, again))
    assert (ours.draws == theirs.draws).all()
    assert (ours.report.kept == theirs.report.kept).all()
    before = model.log_prob([0, 3, 2, 2])
    for p in again.network_.ahead.parameters():
        p.mul_(-3)
    assert again.log_prob([0, 3, 2, 2]) == before
    other = speculative(again, OwnHeads(), 3, **options)
    assert (other.report.kept != ours.report.kept).any()


def test_published_layouts_leave_them_out(tmp_path):
    model = model_of("standard")
    model.to_pretrained(tmp_path)
    again = arproc.Transformer.from_pretrained(tmp_path)
    assert again.law_.foresight == 0
    assert again.log_prob([0, 3, 2]) == pytest.approx(model.log_prob([0, 3, 2]), abs=1e-5)


def test_what_can_not_be_is_refused():
    for wrong in (-1, 1.5, True, 17):
        with pytest.raises(ParameterError, match="ahead"):
            arproc.Transformer(1, 2, 8, ahead=wrong).fit([0, 1, 0, 1])
    with pytest.raises(ParameterError, match="ahead is for symbols"):
        arproc.Transformer(1, 2, 8, ahead=1, head="normal").fit(np.zeros(20))
