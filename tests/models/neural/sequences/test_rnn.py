"""RNN: its likelihood by hand, heads, scales, covariates, frames, forecasts of panels."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from helpers import shake
from torch import nn
from torch.distributions import NegativeBinomial, Normal

import arproc
from arproc import RNN, Training
from arproc.distributions import from_uniform
from arproc.errors import DataError, ParameterError, UnsupportedError
from arproc.sampling import Temperature
from arproc.training import Transpose

QUICK = Training(steps=3, batch_size=4)
RNG = np.random.default_rng(0)
REALS = RNG.normal(size=(3, 40)).cumsum(1)
COUNTS = RNG.poisson(4, (3, 40))
FRAMES = RNG.integers(0, 2, (5, 12, 4))


def fitted(data, cell="lstm", layers=2, context=None, **parameters) -> RNN:
    model = RNN(cell, layers, 6, training=QUICK, block=16, **parameters)
    return shake(model.fit(data, context=context))


# ---- the likelihood, by hand --------------------------------------------------------------------


@pytest.mark.parametrize(("cell", "kind"), [("elman", nn.RNN), ("gru", nn.GRU), ("lstm", nn.LSTM)])
def test_likelihood_is_that_of_torchs_layers(cell, kind):
    model = fitted(np.arange(60) % 4, cell, tokens=4)
    network, x = model.network_, torch.tensor([2, 3, 3, 0, 1])
    layers = kind(6, 6, 2, batch_first=True)
    layers.load_state_dict(network.core.state_dict())
    inputs = torch.cat([network.start[None], network.element.embedding.weight[x[:-1]]])
    with torch.no_grad():
        scores = network.element.out(layers(inputs[None])[0][0]).log_softmax(-1)
    want = scores[torch.arange(5), x].double()
    np.testing.assert_allclose(model.log_prob_terms(x.numpy()), want, atol=1e-5)
    state = model.start(1)
    for t, symbol in enumerate(x.tolist()):  # one step after another
        np.testing.assert_allclose(float(state.conditional.log_prob(x[t])), want[t], atol=1e-5)
        state = state.append([symbol])


def test_a_state_is_as_large_after_many_elements_as_after_few():
    model = fitted(np.arange(60) % 4, tokens=4)
    sizes = []
    for length in (3, 300):
        state = model.start(np.arange(length)[None] % 4)
        assert state.conditional.batch_shape == (1,)
        memory = state.memory
        sizes.append([part.shape for part in (memory.units, *memory.hidden)])
    assert sizes[0] == sizes[1] == [(1, 6), (2, 1, 6), (2, 1, 6)]


def test_heads_by_hand():
    model = fitted(COUNTS, head="negative_binomial")
    element, level = model.network_.element, COUNTS.mean() + 1
    conditional = model.conditional([])
    assert isinstance(conditional, NegativeBinomial)
    units = model.start(1).memory
    assert units is None  # found when it is asked for
    assert float(element.level) == pytest.approx(level, rel=0.05)
    normal = fitted(REALS, head="normal", min_scale=10.0)
    assert isinstance(normal.conditional([]), Normal)
    assert float(normal.conditionals(REALS[0]).scale.min()) > 10
    assert float(fitted(REALS, head="normal").conditionals(REALS[0]).scale.min()) < 10


# ---- scales -------------------------------------------------------------------------------------


@pytest.mark.parametrize("head", ["normal", "student_t", "normal_mixture", "logistic_mixture"])
def test_a_series_in_another_unit_has_the_same_law(head):
    model = fitted(REALS, "gru", head=head, scaling=5)
    moved = 1000.0 + 25.0 * REALS
    rest = REALS.shape[1] - 5
    want = model.log_prob(REALS) - rest * np.log(25.0)
    np.testing.assert_allclose(model.log_prob(moved), want, rtol=1e-4)
    draws = model.sample(2, 4, prefix=REALS[:2, :9], seed=1)
    np.testing.assert_allclose(
        model.sample(2, 4, prefix=moved[:2, :9], seed=1), 1000.0 + 25.0 * draws, rtol=1e-4
    )


def test_the_scale_is_read_off_the_given_values_alone():
    model = fitted(REALS, head="normal", scaling=5)
    assert model.n_given == 5
    x = REALS[:1].copy()
    terms = model.log_prob_terms(x)
    x[0, 20:] *= 1e3
    np.testing.assert_allclose(model.log_prob_terms(x)[0][:15], terms[0][:15], atol=1e-6)
    x[0, 2] += 1.0
    assert np.abs(model.log_prob_terms(x)[0][:15] - terms[0][:15]).max() > 1e-3
    with pytest.raises(DataError, match="too short"):
        model.log_prob(REALS[:, :4])
    with pytest.raises(DataError, match="at least the first 5 values"):
        model.sample(1, 3)


def test_a_scale_by_context_is_the_unit_of_the_series():
    scale = np.array([[1.0], [2.0], [5.0]])
    model = fitted(
        REALS * scale, head="normal", conditioned=True, scaling="context", context=scale
    )
    want = model.log_prob(REALS, context=np.ones((3, 1))) - REALS.shape[1] * np.log(scale[:, 0])
    np.testing.assert_allclose(model.log_prob(REALS * scale, context=scale), want, rtol=1e-4)
    with pytest.raises(DataError, match=r"context has 0 as a scale \(sequence 1\)"):
        model.log_prob(REALS, context=[[1.0], [0.0], [1.0]])
    counts = fitted(COUNTS, head="poisson", conditioned=True, scaling="context", context=scale)
    means = [float(counts.conditional([], context=[s]).mean) for s in ([1.0], [10.0])]
    assert means[1] == pytest.approx(10 * means[0])


# ---- covariates and panels ----------------------------------------------------------------------


def test_covariates_of_a_step_move_that_step_and_later_ones():
    push = RNG.normal(size=(3, 44, 2))
    model = fitted(REALS, head="normal", covariates=True, context=push)
    terms = model.log_prob_terms(REALS, context=push)
    changed = push.copy()
    changed[:, 30] += 1.0
    off = np.abs(np.stack(model.log_prob_terms(REALS, context=changed)) - np.stack(terms))
    assert off[:, :30].max() < 1e-6
    assert (off[:, 30] > 1e-3).all()
    with pytest.raises(DataError, match="at least 43"):
        model.forecast(REALS, 3, context=push[:, :41])
    assert len(model.forecast(REALS[0], 3, context=push[0], seed=0)) == 3


def test_a_panel_of_dates_is_learnt_by_one_model_and_forecast():
    index = pd.date_range("2024-01-01", periods=24 * 14, freq="h")
    wave = np.sin(np.arange(len(index)) * 2 * np.pi / 24)
    noise = RNG.normal(size=(len(index), 2)) * 0.1
    panel = pd.DataFrame(
        {"small": 5 + wave + noise[:, 0], "large": 900 + 100 * (wave + noise[:, 1])}, index
    )
    plan = Training(steps=60, batch_size=16, lr=0.02)
    model = RNN("gru", 1, 16, head="normal", scaling=24, block=48, training=plan)
    model.fit(panel[:-24])
    table = model.forecast(panel[-72:-24], 24, seed=0, n_paths=50)
    assert list(table.index.get_level_values(-1).unique()) == list(panel.index[-24:]) or list(
        table.index.unique()
    ) == list(panel.index[-24:])
    paths = model.sample_paths(panel[-72:-24], 24, n_paths=20, seed=0)
    assert np.isfinite(paths.to_numpy()).all()
    means = table["mean"].to_numpy().reshape(2, 24) if "mean" in table else None
    assert means is not None
    truth = panel[-24:].to_numpy().T
    error = np.abs(means - truth).mean(1)
    assert error[0] < 0.35
    assert error[1] < 35.0  # relative to its own wave, of size 100


# ---- frames -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("head", "expected"), [("nade", 1), ("made", 1), ("bernoulli", 2)])
def test_notes_that_sound_together_cost_once_where_the_head_sees_the_frame(head, expected):
    first = RNG.integers(0, 2, (40, 10, 1))
    pieces = np.concatenate([first, first], axis=2)  # the second note doubles the first
    plan = Training(steps=60, batch_size=10, lr=0.04)
    model = RNN("gru", 1, 8, head=head, hidden=8, training=plan).fit(pieces)
    nats = -model.log_prob(pieces).mean() / 10
    assert nats == pytest.approx(expected * np.log(2), abs=0.12)
    drawn = np.asarray(model.sample(50, 10, seed=0))
    assert ((drawn[..., 0] == drawn[..., 1]).mean() > 0.9) == (expected == 1)


def test_a_temperature_of_dependent_notes_is_refused():
    model = fitted(FRAMES, head="nade", hidden=5)
    with pytest.raises(UnsupportedError, match='RNN\\(head="bernoulli"\\)'):
        model.sample(1, 2, policy=Temperature(0.5), seed=0)
    fitted(FRAMES, head="bernoulli").sample(1, 2, policy=Temperature(0.5), seed=0)


def test_pieces_are_transposed_whole_and_keep_their_notes():
    piece = torch.zeros(3, 5, 12)
    piece[0, :, 3], piece[0, 2, 10], piece[1, :, 0], piece[1, 0, 11] = 1, 1, 1, 1
    generator, shifts = torch.Generator().manual_seed(0), set()
    for _ in range(40):
        moved = Transpose(3)(piece, torch.arange(3), generator)
        assert moved.sum((1, 2)).tolist() == piece.sum((1, 2)).tolist()
        assert torch.equal(moved[1], piece[1])  # it has no room
        shift = int(moved[0, 0].argmax()) - 3
        shifts.add(shift)
        assert torch.equal(moved[0], piece[0].roll(shift, -1))
    assert shifts == {-3, -2, -1, 0, 1}
    with pytest.raises(DataError, match="for pieces of frames"):
        RNN(tokens=4, training=Training(steps=1, augment=Transpose(2))).fit(np.arange(20) % 4)


def test_augmentation_is_of_the_training_alone_and_checked():
    plan = Training(steps=2, batch_size=4, augment=lambda x, rows, generator: x + 2)
    with pytest.raises(DataError, match="what augment gave"):
        RNN(width=4, head="bernoulli", training=plan).fit(FRAMES)
    plan = Training(steps=2, batch_size=4, augment=lambda x, rows, generator: x[:, 1:])
    with pytest.raises(DataError, match="for pieces of sequences of shape"):
        RNN(width=4, head="bernoulli", training=plan).fit(FRAMES)


# ---- what data say of themselves ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        ("abcabc", "categorical"),
        (["ab", "cd"], "categorical"),
        ([0, 1, 2, 1], "categorical"),
        ([[0, 1], [2, 1, 1]], "categorical"),
        ([0.5, 1.5], "real"),
        ([[0.5, 1.0], [2.0]], "real"),
        ([-1.0, 2.0, 3.0], "real"),
        (pd.Series([0.5, 2.0, 1.0]), "real"),
        (FRAMES, "binary vector"),
        (list(FRAMES), "binary vector"),
    ],
)
def test_auto_takes_the_head_of_the_data(data, kind):
    tokens = "char" if isinstance(data, str) else None
    model = RNN(width=4, tokens=tokens, training=Training(steps=1, batch_size=2)).fit(data)
    assert model.space.kind == kind


@pytest.mark.parametrize(
    ("make", "data", "error", "message"),
    [
        (lambda: RNN("rnn"), "ab", ParameterError, "cell must be"),
        (lambda: RNN(head="gaussian"), "ab", ParameterError, "head must be"),
        (
            lambda: RNN(head="normal", tokens="char"),
            [0.5],
            ParameterError,
            "tokens is for symbols",
        ),
        (lambda: RNN(end=True), [0.5], ParameterError, "end is for symbols"),
        (lambda: RNN(scaling=2), "ab", ParameterError, "scaling is for real numbers and counts"),
        (lambda: RNN(scaling="mean"), [0.5], ParameterError, "scaling must be"),
        (lambda: RNN(scaling="context"), [0.5], ParameterError, "needs a context"),
        (lambda: RNN(scaling=0), [0.5], ParameterError, "scaling must be"),
        (lambda: RNN(scaling=3), [0.5, 1.5, 2.0], DataError, "too short"),
        (lambda: RNN(hidden=()), FRAMES, ParameterError, "at least one size"),
        (lambda: RNN(covariates=True, classes=2), [0.5], ParameterError, "use one of them"),
        (lambda: RNN(head="nade"), [0.0, 1.0], DataError, "expected frames"),
        (lambda: RNN(head="nade"), FRAMES + 1, DataError, "expected zeros and ones"),
        (lambda: RNN(head="poisson"), [0.5, 1.0], DataError, "fractional"),
        (lambda: RNN(), [0.5, np.nan], DataError, "RNN takes none"),
    ],
)
def test_what_does_not_go_together_is_refused(make, data, error, message):
    tokens = {"tokens": "char"} if isinstance(data, str) else {}
    with pytest.raises(error, match=message):
        make().set_params(training=QUICK, **tokens).fit(data)


def test_dropout_acts_in_training_alone():
    plan = Training(steps=5, batch_size=4)
    data = np.arange(60) % 4
    with_it, without = (
        RNN(width=8, layers=2, tokens=4, dropout=p, training=plan).fit(data) for p in (0.5, 0.0)
    )
    assert with_it.log_prob(data) == with_it.log_prob(data)
    assert with_it.log_prob(data) != without.log_prob(data)


@pytest.mark.slow
def test_muon_and_validation_train_it(tmp_path):
    plan = Training(steps=40, batch_size=4, optimizer="muon", lr=0.03)
    model = RNN("gru", 1, 16, tokens=4, block=16, training=plan)
    model.fit(np.arange(200) % 4, validation=np.arange(60) % 4)
    score = model.score(np.arange(100) % 4)
    assert score > -0.7  # half of what chance has
    model.save(tmp_path / "model")
    assert arproc.load(tmp_path / "model").score(np.arange(100) % 4) == score


@pytest.mark.parametrize("symbols", [4, 500])
def test_draws_by_a_table_of_gates_are_those_of_single_steps(symbols):
    model = fitted(np.arange(60) % symbols, tokens=symbols)
    u = torch.rand((3, 20), dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    x, state = model.start(3).advance(u)
    other, drawn = model.start(3), []
    for column in u.unbind(1):
        drawn.append(from_uniform(other.conditional, column))
        other = other.append(drawn[-1])
    assert torch.equal(x, torch.stack(drawn, 1))
    assert (model.network_.symbol_gates(60) is None) == (symbols == 500)
    np.testing.assert_allclose(state.memory.units, other.memory.units, atol=1e-6)
