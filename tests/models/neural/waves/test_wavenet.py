"""WaveNet: its network by the formula, crops that are exact, queues, contexts, what it learns."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers import assert_close, shake
from torch import Tensor

import arproc
from arproc import Sequences, State, Training, WaveNet
from arproc.errors import DataError, ParameterError
from arproc.models.neural.waves.crops import WaveCrops
from arproc.models.neural.waves.network import SLACK, WaveNetwork
from arproc.spaces import Ordinal

QUICK = Training(steps=1, batch_size=2)
RNG = np.random.default_rng(0)
MIXTURE = {"head": "discretised_logistic", "components": 3, "kernel": 3, "skip": 5}


def wavenet(levels: int = 6, context: object = None, **parameters: object) -> WaveNet:
    settings = {"layers": 5, "width": 6, "cycle": 3, "block": 16, "training": QUICK} | parameters
    x = RNG.integers(0, levels, (4, 50))
    return shake(WaveNet(levels=levels, **settings).fit(x, context=context))


def by_the_formula(
    network: WaveNetwork, samples: list[int], offset: Tensor | None = None
) -> Tensor:
    """The sum over layers at the position behind the samples, one position after another."""
    inputs = network.table()
    h = [inputs[i] for i in (network.levels, *samples)]
    total = torch.zeros(network.skip)
    for number, layer in enumerate(network.stack):
        taps = layer.gate.weight.unflatten(1, (layer.kernel, layer.width))
        after = []
        for t in range(len(h)):
            z = layer.gate.bias + (0 if offset is None else offset[number])
            for i in range(layer.kernel):
                past = t - (layer.kernel - 1 - i) * layer.dilation
                z = z + (taps[:, i] @ h[past] if past >= 0 else 0)
            a, b = z.chunk(2)
            out = layer.out.weight @ (torch.tanh(a / 2) * torch.sigmoid(b))
            if t + 1 == len(h):
                total = total + out[: network.skip]
            after.append(h[t] + out[network.skip :] if len(out) > network.skip else h[t])
        h = after
    return total


@pytest.mark.parametrize("parameters", [{}, MIXTURE])
def test_the_network_is_that_of_the_paper(parameters):
    network = wavenet(**parameters).network_
    samples = [3, 0, 5, 5, 1, 2, 4, 0, 3]
    with torch.no_grad():
        want = network.values.distribution(network.described(by_the_formula(network, samples)))
        got = network.values.distribution(
            network(torch.tensor([[network.levels, *samples]]))[0, -1]
        )
        levels = torch.arange(6)
        for one in (want, got):
            assert_close(torch.stack([one.log_prob(v) for v in levels]).exp().sum(), 1.0)
        assert_close(*(torch.stack([d.log_prob(v) for v in levels]) for d in (got, want)))


def test_the_receptive_field_is_what_a_sample_depends_on():
    model = wavenet(layers=3, cycle=3)
    assert model.receptive_field_ == 8
    x = np.tile(np.arange(30) % 6, (2, 1))
    for place, seen in ((29 - 9, False), (29 - 8, True)):
        x[1, place] = 5 - x[1, place]
        a, b = (terms[-1] for terms in model.log_prob_terms(x))
        assert (abs(a - b) > 1e-6) == seen


# ---- training on stretches -------------------------------------------------------------------


def test_stretches_are_scored_as_the_law_scores_them():
    model = wavenet(classes=3, context=[0, 1, 2, 0])
    lengths, labels = (70, 9, 31), torch.tensor([2, 0, 1])
    rows = [RNG.integers(0, 6, n) for n in lengths]
    sequences = Sequences.of(rows, Ordinal(levels=6))
    terms = model.log_prob_terms(rows, context=labels)
    network = model.network_
    crops = WaveCrops(sequences, 8, network.receptive, network.levels)
    assert crops.pieces == sum(1 + -(-max(n - crops.width, 0) // 8) for n in lengths)
    crop = crops(400, torch.Generator().manual_seed(0))
    context = torch.nn.functional.one_hot(labels[crop.rows], 3).double()
    with torch.no_grad():
        got = network.values.log_prob(network(crop.inputs, context), crop.targets)
    seen = {row: set() for row in range(3)}
    for i in range(400):
        row, first = int(crop.rows[i]), int(crop.first[i])
        for j in crop.counted[i].nonzero()[:, 0].tolist():
            assert float(got[i, j]) == pytest.approx(terms[row][first + j], abs=1e-5)
            seen[row].add(first + j)
    assert {row: len(places) for row, places in seen.items()} == dict(enumerate(lengths))


def test_sequences_without_weight_are_not_seen():
    sequences = Sequences.of([[0, 1, 2], [3, 4], [5]], Ordinal(levels=6))
    weighted = sequences.weighted(torch.tensor([0.0, 2.0, 0.0]))
    crops = WaveCrops(weighted, 4, 3, 6)
    assert crops.pieces == 1
    assert set(crops(50, torch.Generator().manual_seed(0)).rows.tolist()) == {1}


def test_it_learns_and_validation_is_scored():
    wave = arproc.audio.encode(np.sin(2 * np.pi * np.arange(600) / 16), levels=32)
    plan = Training(steps=40, batch_size=2, lr=0.02, validate_every=20)
    model = WaveNet(4, 8, levels=32, cycle=4, block=64, training=plan)
    model.fit(wave[:400], validation=wave[400:])
    assert arproc.evaluate(model, wave[400:]).bits_per_element < 2.5  # of 5
    looks = model.history_["validation"].dropna()
    assert looks.iloc[-1] < looks.iloc[0] < np.log(32)


def test_a_class_is_recognised_by_bayes_rule():
    labels = np.arange(12) % 2
    x = np.where(labels[:, None] == 1, np.arange(40) // 4 % 2, np.arange(40) % 2)
    plan = Training(steps=40, batch_size=6, lr=0.02)
    model = WaveNet(3, 6, levels=2, cycle=3, classes=2, block=16, training=plan)
    model.fit(x, context=labels)
    scores = np.stack([model.log_prob(x, context=np.full(12, c)) for c in (0, 1)])
    assert (scores.argmax(0) == labels).all()


# ---- queues ----------------------------------------------------------------------------------


@pytest.mark.parametrize("parameters", [{}, MIXTURE])
@pytest.mark.parametrize("kind", [None, "static", "steps"])
def test_compiled_draws_are_those_of_the_parallel_pass(parameters, kind):
    conditioned = {None: False, "static": True, "steps": "steps"}[kind]
    context = {"static": RNG.normal(size=(4, 2)), "steps": RNG.normal(size=(4, 50, 2))}.get(kind)
    model = wavenet(context=context, conditioned=conditioned, **parameters)
    given = None if context is None else torch.from_numpy(context[:3])
    law, u = model.law_, torch.rand(3, 30, dtype=torch.float64)
    drawn, after = law.fresh(3, given).advance(u)
    want, state = State.advance(law.fresh(3, given), u)
    assert torch.equal(drawn, want)
    columns, fed = law.fresh(3, given).extend(drawn)
    for one in (after, fed):
        assert_close(*(s.conditional.log_prob(drawn[:, 0]) for s in (one, state)))
    with torch.no_grad():
        inputs = torch.cat([torch.full((3, 1), law.network.levels), drawn], dim=1)
        steps = None if given is None else given[:, :31] if kind == "steps" else given
        whole = law.network.values.distribution(law.network(inputs, steps))
    assert_close(whole.log_prob(inputs % 6), columns.log_prob(inputs % 6))


def test_a_state_has_one_size_and_goes_back_any_way():
    model = wavenet()
    x = torch.from_numpy(RNG.integers(0, 6, (2, 300)))
    columns, state = model.law_.fresh(2, None).extend(x)
    assert state.queue.shape == model.law_.fresh(2, None).queue.shape
    for lengths in ([299, 240], [300 - SLACK + 1, 300], [0, 300], [150, 2]):
        back = state.truncate(torch.tensor(lengths))
        again = back.truncate(torch.tensor([max(n - 1, 0) for n in lengths]))
        for one, less in ((back, 0), (again, 1)):
            for row, n in enumerate(max(n - less, 0) for n in lengths):
                want = columns.log_prob(torch.zeros_like(columns.scores[..., 0]))[row, n]
                assert_close(one.conditional.log_prob(torch.zeros(2))[row], want)


def test_gradients_reach_parameters_and_contexts_through_states():
    model = wavenet(context=RNG.normal(size=(4, 2)), conditioned=True)
    law, two = model.law_, torch.tensor([2])
    for of in ("a parameter", "a context"):
        context = torch.ones(1, 2, dtype=torch.float64, requires_grad=of == "a context")
        weight = law.network.layers[0].gate.weight.requires_grad_(of == "a parameter")
        state = law.fresh(1, context).append(torch.tensor([3]))
        state.conditional.log_prob(two).sum().backward()
        found = weight.grad if of == "a parameter" else context.grad
        assert float(found.abs().sum()) > 0


# ---- what is refused -------------------------------------------------------------------------


def test_waveforms_are_refused_for_codes():
    with pytest.raises(DataError, match=r"arproc\.audio\.encode"):
        WaveNet(training=QUICK).fit(np.sin(np.arange(50.0)))
    with pytest.raises(DataError, match="0 to 7"):
        WaveNet(levels=8, training=QUICK).fit(np.arange(9))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"conditioned": "steps", "classes": 2}, "use one of them"),
        ({"conditioned": "step"}, "conditioned must be True or False"),
        ({"kernel": 1}, "kernel must be at least 2"),
        ({"cycle": 60}, "cycle must be 20 at most"),
        ({"head": "normal"}, "head must be one of"),
        ({"training": Training(augment=lambda x, *_: x)}, "takes no Training"),
    ],
)
def test_parameters_are_checked(parameters, message):
    with pytest.raises(ParameterError, match=message):
        WaveNet(**{"training": QUICK} | parameters).fit([0, 1, 2, 3], context=None)


def test_features_end_where_they_end():
    features = RNG.normal(size=(4, 50, 2))
    model = wavenet(context=features, conditioned="steps")
    assert model.sample(1, length=50, context=features[0], seed=0).shape == (1, 50)
    with pytest.raises(DataError, match="50 steps"):
        model.sample(1, length=51, context=features[0], seed=0)
