"""Training on a network's own draws: what it sees in their place, and what it learns."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import arproc
from arproc.contract.sequences import Sequences
from arproc.errors import ParameterError
from arproc.models.neural.sequences.scaling import prefix_scale
from arproc.models.neural.sequences.stretch_losses import scored, with_own_draws
from arproc.models.neural.sequences.stretches import Stretches
from arproc.training import Training

QUICK = Training(steps=2, batch_size=4)


def fitted(head="normal", data=None, **parameters):
    data = np.random.default_rng(0).normal(size=(6, 40)).cumsum(1) if data is None else data
    model = arproc.NeuralAR(3, 1, 8, head=head, block=10, training=QUICK, **parameters)
    return model.fit(list(data))


def drawn_of(model, given=0, n=16):
    data = [np.random.default_rng(i).normal(size=40).cumsum() for i in range(6)]
    stretches = Stretches(Sequences.of(data, model.space), None, 10, given, QUICK, 3)
    return stretches(n, torch.Generator().manual_seed(0))


def test_only_scored_terms_of_the_chosen_stretches_are_drawn():
    model, drawn = fitted(), drawn_of(fitted())
    torch.manual_seed(0)
    found = with_own_draws(model.network_, drawn, None, 0.5)
    changed = found != drawn.x
    rows = changed.any(1)
    assert 0 < int(rows.sum()) < len(rows)
    assert bool((changed[:, 1:] == (drawn.counted & rows[:, None])).all())
    assert not bool(changed[:, 0].any())
    every = with_own_draws(model.network_, drawn, None, 1.0)
    assert bool(((every != drawn.x)[:, 1:] == drawn.counted).all())


@pytest.mark.parametrize("scaling", [None, 4])
def test_draws_are_of_the_law_given_the_true_past(scaling):
    model = fitted(scaling=scaling)
    given = scaling or 0
    drawn = drawn_of(model, given)
    scale = prefix_scale(drawn.x[:, 1 : 1 + given], counts=False) if given else None
    torch.manual_seed(0)
    many = torch.stack([with_own_draws(model.network_, drawn, scale, 1.0) for _ in range(2000)])[
        :, 0
    ]  # the first stretch
    row, counted = drawn.x[0], drawn.counted[0]
    first = 0 if bool(drawn.fresh[0]) else 1  # nothing stands before one that begins a series
    # the window of three lies in the stretch from its third element on
    for t in (counted.nonzero()[5:, 0] + 1).tolist():
        want = model.conditional(row[(1 - first) : t].numpy())
        if given:
            assert bool(drawn.fresh[0])
        standard = float(want.stddev)
        assert abs(float(many[:, t].mean() - want.mean)) < 5 * standard / 2000**0.5
        assert abs(float(many[:, t].std()) / standard - 1) < 0.15


def test_draws_do_not_run_away():
    model = fitted("student_t")
    with torch.no_grad():
        for p in model.network_.element.parameters():
            p.mul_(50.0)
    drawn = drawn_of(model)
    found = with_own_draws(model.network_, drawn, None, 1.0)
    low, high = drawn.x.amin(1, keepdim=True), drawn.x.amax(1, keepdim=True)
    assert bool((found <= 2 * high - low).all())
    assert bool((found >= 2 * low - high).all())
    assert bool((found > high).any() or (found < low).any())


def test_counts_stay_counts():
    x = np.random.default_rng(0).poisson(3.0, (6, 40))
    model = fitted("auto", x)
    drawn = Stretches(Sequences.of(list(x), model.space), None, 10, 0, QUICK, 3)(
        16, torch.Generator().manual_seed(0)
    )
    found = with_own_draws(model.network_, drawn, None, 1.0)
    assert bool((found >= 0).all())
    assert bool((found == found.round()).all())
    assert found.dtype == drawn.x.dtype


def test_what_is_learnt_is_the_truth():
    model, drawn = fitted(), drawn_of(fitted())
    torch.manual_seed(3)
    seen = with_own_draws(model.network_, drawn, None, 1.0)
    torch.manual_seed(3)
    total, terms = scored(model.network_, drawn, 0, 1.0)
    element, network = model.network_.element, model.network_
    entered = element.embed(seen[:, :-1], None)
    entered = torch.cat(
        [torch.where(drawn.fresh[:, None], network.start, entered[:, 0])[:, None], entered[:, 1:]],
        dim=1,
    )
    units = network.run(entered, network.begin(len(seen)))[0][drawn.counted]
    by_hand = element.log_prob(units, drawn.x[:, 1:][drawn.counted], None).sum()
    torch.testing.assert_close(total, by_hand)
    assert terms == int(drawn.counted.sum())
    plain, _ = scored(model.network_, drawn, 0)
    assert abs(float(plain - total)) > 1e-3


@pytest.mark.parametrize(
    ("kind", "parameters", "data"),
    [(arproc.RNN, {"cell": "gru", "tokens": 4}, np.arange(60) % 4),
     (arproc.RNN, {"cell": "gru", "head": "nade", "hidden": 4},
      np.random.default_rng(0).integers(0, 2, (60, 3))),
     (arproc.NeuralAR, {"order": 3, "scaling": "context", "conditioned": True}, None),
     (arproc.Transformer, {"layers": 1, "heads": 2, "head": "student_t", "scaling": 4}, None)],
)  # fmt: skip
def test_every_kind_of_element_and_the_same_seed_the_same_weights(kind, parameters, data):
    context = None
    if data is None:
        data = np.random.default_rng(0).normal(size=(5, 30))
        if parameters.get("conditioned"):
            context = np.full((5, 1), 2.0)
    found = [
        kind(width=8, block=8, own_draws=share, training=QUICK, **parameters)
        .fit(data, context=context)
        .network_.state_dict()
        for share in (0.7, 0.7, 0.0)
    ]
    for name, value in found[0].items():
        torch.testing.assert_close(value, found[1][name], atol=0, rtol=0)
    assert any(bool((value != found[2][name]).any()) for name, value in found[0].items())


@pytest.mark.parametrize("share", [-0.1, 1.5, "half"])
def test_a_share_is_a_share(share):
    with pytest.raises(ParameterError, match="own_draws"):
        arproc.NeuralAR(2, own_draws=share).fit(np.arange(20.0))


def test_a_transformer_of_symbols_takes_none():
    with pytest.raises(ParameterError, match="own_draws is for other heads"):
        arproc.Transformer(1, 2, 8, tokens=4, own_draws=0.5).fit(np.arange(20) % 4)
