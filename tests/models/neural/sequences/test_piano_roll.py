"""PianoRoll: what is learnt holds in every key, and what came before is expected again."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import arproc
from arproc.contract.sequences import Sequences
from arproc.errors import DataError, ParameterError
from arproc.models.neural.sequences.elements import RollElement
from arproc.models.neural.sequences.roll_network import RollNetwork
from arproc.models.neural.sequences.stretches import Stretches
from arproc.models.neural.vectors.tied import TiedFrames
from arproc.spaces import BinaryVector
from arproc.training import Training

KEYS = 30


def tied(**parameters) -> TiedFrames:
    torch.manual_seed(3)
    settings = {"window": 2, "reach": 3, "octave": 5, "width": 6} | parameters
    return TiedFrames(KEYS, **settings).eval().requires_grad_(False)


def network(memory: int = 8) -> RollNetwork:
    return RollNetwork(RollElement(tied(recalls=memory > 0)), memory=memory).eval()


def pieces(n: int, length: int, seed: int = 0) -> torch.Tensor:
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.integers(0, 2, (n, length, KEYS))).float()


def units_of(net: RollNetwork, x: torch.Tensor) -> torch.Tensor:
    return net.run(net.element.embed(x, None), net.begin(len(x)))[0]


@torch.no_grad()
def test_a_piece_is_as_likely_in_another_key():
    """What each key learns of itself is zero at first, and the notes are far from the edges."""
    net = network()
    x = torch.zeros(1, 12, KEYS)
    x[:, :, 12:16] = pieces(1, 12)[:, :, :4]
    higher = x.roll(3, dims=2)
    terms = []
    for part in (x, higher):
        shifted = torch.cat([0 * part[:, :1], part], dim=1)
        terms.append(net.element.network.terms(part[0], units_of(net, shifted)[0, :-1]))
    # far from the edges, where nothing is seen of what lies beyond
    np.testing.assert_allclose(terms[0][:, 8:20], terms[1][:, 11:23], atol=1e-5)


@torch.no_grad()
def test_classes_are_counted_modulo_the_octave():
    frames = tied()
    x = torch.zeros(1, KEYS)
    x[0, [1, 6, 29]] = 1
    assert frames.folded(x).tolist() == [[0, 2, 0, 0, 1]]
    assert TiedFrames(7, 1, 0, 5, 2).folded(torch.ones(2, 7)).tolist() == [[2, 2, 1, 1, 1]] * 2


@torch.no_grad()
def test_draws_are_those_of_the_terms():
    """Of uniforms just above and below the chance of silence."""
    frames = tied()
    context = torch.randn(4, frames.context)
    u = torch.rand(4, KEYS, dtype=torch.float64)
    x = frames.draw(u, context)
    silent = 1 - torch.where(x > 0, frames.terms(x.float(), context).exp(), 0).double()
    silent = torch.where(x > 0, silent, frames.terms(x.float(), context).exp().double())
    assert bool(((u > silent) == (x > 0)).all())
    assert 0 < float(x.mean()) < 1


def expected(x: np.ndarray, memory: int) -> tuple[np.ndarray, list[int]]:
    """What followed the longest earlier passage, the slow way: frames, and how long it was."""
    found, lengths = np.zeros_like(x), []
    for t in range(len(x)):
        best = 0
        for j in range(max(0, t - memory), t):
            run = 0
            while run <= j and (x[j - run] == x[t - run]).all():
                run += 1
            if run and run >= best:
                best, found[t] = run, x[j + 1]
        lengths.append(best)
    return found, lengths


@torch.no_grad()
@pytest.mark.parametrize("memory", [3, 8, 40])
def test_the_longest_passage_is_found(memory):
    net, rng = network(memory), np.random.default_rng(memory)
    x = np.eye(KEYS)[rng.integers(0, 3, 60)]
    units = units_of(net, torch.from_numpy(x).float()[None])[0]
    frames, _, faith, _ = units.split(net.element.network.parts, dim=1)
    follow, runs = expected(x, memory)
    np.testing.assert_array_equal(frames[:, :KEYS], follow)
    # a run that began before the memory is counted whole
    np.testing.assert_allclose(faith[:, 0], np.log1p(runs), atol=1e-6)


@torch.no_grad()
def test_a_silent_frame_is_not_the_time_before_the_piece():
    net = network(8)
    faith = units_of(net, torch.zeros(1, 1, KEYS))[0, 0].split(net.element.network.parts)[2]
    assert faith.tolist() == [0, 0]


def test_repeats_are_learnt():
    """Passages that nothing foretells but that they were heard before."""
    rng = np.random.default_rng(0)
    made = []
    for _ in range(40):
        theme = np.eye(8)[rng.integers(0, 8, 12)]
        made.append(np.concatenate([theme] * 3))
    nats = []
    for memory in (0, 24):
        training = Training(steps=80, batch_size=8, lr=0.02)
        model = arproc.PianoRoll(2, 7, 3, 16, memory, training=training).fit(made[:30])
        nats.append(-model.log_prob(made[30:]).mean() / 36)
    fresh = np.log(8) / 3  # a theme's own notes can not be foretold
    assert nats[1] < 0.75 * nats[0]
    assert nats[1] > fresh


def test_a_lead_is_heard_and_not_scored():
    """Every term of a piece is scored, after up to six frames that are heard alone."""
    x = np.random.default_rng(0).integers(0, 2, (9, 3))
    sequences = Sequences.of([x, x[:5]], BinaryVector(dimension=3))
    stretches = Stretches(sequences, None, block=2, given=0, settings=Training(), lead=6)
    places = stretches.draw(400, torch.Generator().manual_seed(0))
    drawn = stretches.read(places)
    begin = (places.first - 6).clamp(min=0)
    assert bool((drawn.counted.sum(1) == 2).all())
    assert bool((drawn.fresh == (begin == 0)).all())
    assert bool((drawn.counted.long().argmax(1) == places.first - begin).all())
    assert sorted(set(places.first[drawn.rows == 0].tolist())) == list(range(8))
    for row, start, heard in zip(drawn.rows.tolist(), begin.tolist(), drawn.x, strict=True):
        piece = torch.as_tensor(x[:5] if row else x)[start : start + 8]
        assert torch.equal(heard[1 : 1 + len(piece)].long(), piece)


def test_pieces_begin_where_they_begin():
    """A single one is taken for a part of a longer one."""
    x = np.random.default_rng(0).integers(0, 2, (50, 3))
    for many in (1, 2):
        sequences = Sequences.of([x] * many, BinaryVector(dimension=3))
        stretches = Stretches(sequences, None, block=4, given=0, settings=Training())
        places = stretches.draw(200, torch.Generator().manual_seed(0))
        within = stretches.read(places).fresh[places.first > 0]
        assert bool(within.any()) == (many == 1)


def test_wrong_settings_and_data():
    x = [np.eye(4)[[0, 1, 2, 3]]]
    for name, value in (("order", 0), ("reach", -1), ("octave", 0), ("memory", -1)):
        with pytest.raises(ParameterError, match=name):
            arproc.PianoRoll(**{name: value}).fit(x)
    with pytest.raises(DataError, match="frames over time"):
        arproc.PianoRoll().fit([0.0, 1.0, 1.0])
    with pytest.raises(DataError):
        arproc.PianoRoll().fit([np.full((5, 4), 2.0)])
