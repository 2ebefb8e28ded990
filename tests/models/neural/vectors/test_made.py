"""MADE: masks of any ordering, states that only append, and the compiled sampler."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from torch.nn import functional as F

import arproc
from arproc.errors import DataError, ParameterError
from arproc.models.neural.vectors.heads import BernoulliHead
from arproc.models.neural.vectors.made import MADE
from arproc.models.neural.vectors.masks import MaskedNetwork
from arproc.training import Training

QUICK = Training(steps=2, batch_size=4)
SHAPES = {
    "binary": {"levels": 2, "hidden": (13,)},
    "deep": {"levels": 2, "hidden": (9, 20, 5)},
    "shallow": {"levels": 2, "hidden": ()},
    "categorical": {"levels": 3, "hidden": (11, 8)},
    "mixed": {"levels": (2, 4, 1, 3, 2), "hidden": (12, 10)},
}


def vectors(n: int, levels, seed: int = 0, sites: int = 5) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.integers(
        0, levels if not isinstance(levels, tuple) else np.array(levels), (n, sites)
    )


def random_model(kind: str = "binary", ordering="natural", seed: int = 1) -> MADE:
    """A fitted model whose weights are then random, so that every input counts."""
    x = vectors(20, SHAPES[kind]["levels"])
    model = MADE(**SHAPES[kind], ordering=ordering, training=QUICK).fit(x)
    generator = torch.Generator().manual_seed(seed)
    for p in model.network_.parameters():
        p.copy_(torch.randn(p.shape, generator=generator))
    return model


def sites(model: MADE, n: int, seed: int = 2) -> torch.Tensor:
    """Vectors in the order of generation, as states take them."""
    x = vectors(n, SHAPES["mixed"]["levels"] if model.space.size == 4 else model.space.size, seed)
    return model.sequences(x).padded()[0]


@pytest.mark.parametrize("kind", SHAPES)
def test_an_output_depends_on_all_inputs_before_it_and_no_other_by_gradient(kind):
    model = random_model(kind)
    network = model.network_
    inputs = network.values.encode(sites(model, 1)).requires_grad_()
    units = inputs
    for layer in network.layers:
        units = torch.tanh(layer(units))  # a rectifier may hide a dependence
    scores = network.head(units).unflatten(-1, (5, network.channels))
    for j in range(5):
        gradient = torch.autograd.grad(scores[0, j].square().sum(), inputs, retain_graph=True)[0]
        by_site = gradient.reshape(5, network.channels).abs().sum(1)
        assert (by_site[:j] > 0).all()
        assert (by_site[j:] == 0).all()


@pytest.mark.parametrize("ordering", [(3, 0, 4, 1, 2), "random", "natural"])
@pytest.mark.parametrize("kind", ["binary", "mixed"])
def test_any_ordering_is_causal_in_the_users_layout(kind, ordering):
    model = random_model(kind, ordering)
    order = model.layout.order or tuple(range(5))
    levels = SHAPES[kind]["levels"]
    x = vectors(1, levels)
    before = model.log_prob_terms(x[0])
    assert before.sum() == pytest.approx(model.log_prob(x[0]))
    for j, position in enumerate(order):
        changed = x.copy()
        limit = levels[position] if isinstance(levels, tuple) else levels
        changed[0, position] = (x[0, position] + 1) % limit
        after = model.log_prob_terms(changed[0])
        np.testing.assert_allclose(after[:j], before[:j], atol=1e-6)
        if limit > 1:
            assert after[j] != before[j]


def test_random_orderings_come_from_the_seed():
    x = vectors(20, 2, sites=30)
    orders = [
        MADE((4,), ordering="random", training=QUICK.set_params(seed=s)).fit(x).layout.order
        for s in (0, 0, 1)
    ]
    assert orders[0] == orders[1] != orders[2]
    assert sorted(orders[0]) == list(range(30))


@pytest.mark.parametrize("kind", SHAPES)
def test_probabilities_of_all_vectors_sum_to_one(kind):
    model = random_model(kind, (3, 0, 4, 1, 2))
    levels = SHAPES[kind]["levels"]
    levels = levels if isinstance(levels, tuple) else (levels,) * 5
    every = np.array(list(itertools.product(*[range(k) for k in levels])))
    assert np.exp(model.log_prob(every)).sum() == pytest.approx(1, abs=1e-5)


def test_a_level_that_a_site_does_not_have_has_probability_zero():
    model = random_model("mixed")
    assert model.log_prob(np.array([2, 0, 0, 0, 0])) == -np.inf
    assert model.log_prob(np.array([1, 3, 0, 2, 1])) > -np.inf


@pytest.mark.parametrize("kind", SHAPES)
def test_appending_site_by_site_is_the_full_pass(kind):
    model = random_model(kind)
    x = sites(model, 6)
    expected = model.network_(x)
    state = model.start(6)
    for j in range(5):
        scores = parameter(state.conditional)
        torch.testing.assert_close(scores, expected[:, j].squeeze(-1), atol=1e-4, rtol=1e-4)
        state = state.append(x[:, j])
    with pytest.raises(DataError, match="nothing comes after"):
        _ = state.conditional
    with pytest.raises(DataError, match="has 5 sites"):
        state.append(x[:, 0])


@pytest.mark.parametrize("kind", ["deep", "mixed"])
def test_states_extend_truncate_and_select(kind):
    model = random_model(kind)
    x = sites(model, 4)
    expected = model.network_(x).squeeze(-1)
    columns, state = model.start(4).extend(x[:, :3])
    torch.testing.assert_close(parameter(columns), expected[:, :4], atol=1e-4, rtol=1e-4)
    lengths = torch.tensor([3, 0, 2, 1])
    ragged = state.truncate(lengths)
    rows = torch.arange(4)
    close(ragged.conditional, expected[rows, lengths])
    close(ragged.select([2, 0]).conditional, expected[[2, 0], [2, 3]])
    back = state.truncate(1)
    close(back.conditional, expected[:, 1])
    fork = back.append(1 - x[:, 1] if kind == "deep" else (x[:, 1] + 1) % 4)
    close(back.append(x[:, 1]).append(x[:, 2]).conditional, expected[:, 3])
    close(state.conditional, expected[:, 3])  # unharmed by the fork
    changed = x.clone()
    changed[:, 1] = fork.history.slots[:, 1]
    close(fork.conditional, model.network_(changed).squeeze(-1)[:, 2])
    columns, onward = ragged.extend(x[:, 3:], [2, 2, 1, 0])
    assert onward.lengths.tolist() == [5, 2, 3, 1]
    third = torch.cat([x[1:2, 3:], x[1:2, :3]], dim=1)
    close(onward.select([1]).conditional, model.network_(third).squeeze(-1)[:, 2])
    with pytest.raises(DataError, match="has 5 sites"):
        state.extend(x[:, :3])


@pytest.mark.parametrize("kind", ["binary", "categorical", "mixed", "shallow"])
@pytest.mark.parametrize("known", [0, 2])
def test_the_compiled_sampler_draws_what_the_states_draw(kind, known):
    model = random_model(kind)
    x = sites(model, 300)
    uniforms = torch.rand(300, 5 - known, dtype=torch.float64, generator=torch.manual_seed(0))
    state = model.start(300).extend(x[:, :known])[1]
    drawn, after = state.advance(uniforms)
    expected, same = super(type(state), state).advance(uniforms)
    assert drawn.dtype == expected.dtype
    # a uniform within rounding of a boundary may fall on its other side
    assert (drawn != expected).any(1).double().mean() <= 0.01
    assert after.lengths.tolist() == same.lengths.tolist() == [5] * 300
    half, middle = state.advance(uniforms[:, :2])
    rest, _ = middle.advance(uniforms[:, 2:])
    assert torch.equal(torch.cat([half, rest], dim=1), drawn)


def parameter(conditional) -> torch.Tensor:
    return conditional.scores if hasattr(conditional, "scores") else conditional.logits


def close(conditional, expected: torch.Tensor) -> None:
    torch.testing.assert_close(parameter(conditional), expected, atol=1e-4, rtol=1e-4)


def test_learns_the_law_of_its_data():
    """Three bits with P = 0.4, 0.4, 0.2 and nothing else: the entropy is reached."""
    rows = np.array([[0, 0, 1], [1, 1, 0], [1, 0, 1]])
    x = rows[np.repeat([0, 1, 2], [40, 40, 20])]
    entropy = -(0.8 * np.log(0.4) + 0.2 * np.log(0.2))
    for ordering in ("natural", (2, 0, 1)):
        plan = Training(steps=400, lr=0.02, weight_decay=0.0)
        model = MADE((16,), ordering=ordering, training=plan).fit(x)
        assert -model.log_prob(x).mean() == pytest.approx(entropy, abs=0.03)
        drawn = model.sample(400, seed=0)
        assert drawn.shape == (400, 3)
        share = [(drawn == row).all(1).mean() for row in rows]
        assert share == pytest.approx([0.4, 0.4, 0.2], abs=0.08)


def test_images_keep_their_shape_and_levels_are_inferred(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.integers(0, 4, (30, 2, 3))
    model = MADE((10,), ordering="random", training=QUICK).fit(x, validation=x[:5])
    assert model.log_prob(x).shape == (30,)
    assert model.sample(4, seed=0).shape == (4, 2, 3)
    assert model.space == arproc.spaces.Categorical(4, length=6)
    model.save(tmp_path / "model")
    again = arproc.load(tmp_path / "model")
    np.testing.assert_array_equal(model.log_prob(x), again.log_prob(x))
    np.testing.assert_array_equal(model.sample(4, seed=0), again.sample(4, seed=0))
    assert MADE((4,), training=QUICK).fit(x > 1).space == arproc.spaces.Binary(length=6)


@pytest.mark.filterwarnings("ignore:the validation loss was lowest when it was first looked at")
def test_early_stopping_on_validation_data():
    rng = np.random.default_rng(0)
    train, valid = rng.integers(0, 2, (30, 12)), rng.integers(0, 2, (200, 12))
    plan = Training(steps=2000, lr=0.01, weight_decay=0.0, validate_every=20, patience=3)
    model = MADE((64,), training=plan).fit(train, validation=valid)
    losses = model.history_["validation"].dropna().tolist()
    assert len(losses) < 50
    assert -model.score(valid) == pytest.approx(min(losses), abs=1e-5)  # the best are kept
    assert losses[-1] > min(losses)


def test_the_mask_is_never_written_into_the_weights():
    torch.manual_seed(0)
    network = MaskedNetwork(4, BernoulliHead(), (6, 6))
    before = [p.detach().clone() for p in network.parameters()]
    assert all((layer.weight[layer.mask == 0] != 0).any() for layer in network.layers)
    F.softplus(network(torch.ones(2, 4))).sum().backward()
    for layer in [*network.layers, network.head]:
        assert (layer.weight.grad[layer.mask == 0] == 0).all()
    assert all(torch.equal(a, b) for a, b in zip(before, network.parameters(), strict=True))


@pytest.mark.parametrize(
    ("parameters", "data", "error", "message"),
    [
        ({"hidden": (0,)}, [[0, 1]], ParameterError, r"hidden\[0\] must be at least 1"),
        ({"ordering": (0, 0)}, [[0, 1]], ParameterError, "ordering must be"),
        ({"ordering": "best"}, [[0, 1]], ParameterError, "ordering must be"),
        ({"levels": (2, 2, 2)}, [[0, 1]], ParameterError, "levels has 3 entries; .* 2 sites"),
        ({"levels": 1}, [[0, 1]], ParameterError, "levels must be at least 2"),
        ({"levels": (2, 3)}, [[2, 1]], DataError, r"value 2 where the levels are 0 \.\.\. 1"),
        ({"head": "bernoulli"}, [[0, 0.5]], DataError, "zeros and ones"),
        ({}, [[0, np.nan]], DataError, "not finite"),
        ({}, [[0, -1]], DataError, "zeros and ones"),
        ({}, [[0, 1e9]], DataError, "values up to 1e"),
        ({}, [[0, 1], [1]], DataError, "can not be read as numbers"),
        ({}, [], DataError, "learnt from several"),
    ],
)
def test_wrong_input_is_refused(parameters, data, error, message):
    with pytest.raises(error, match=message):
        MADE(**parameters, training=QUICK).fit(data)
