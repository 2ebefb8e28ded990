"""NADE and RNADE: the O(D H) recurrence is the plain sum over all sites before it."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from helpers import shake
from torch.nn import functional as F

import arproc
from arproc import NADE, Training
from arproc.errors import DataError, ParameterError, UnsupportedError
from arproc.models.neural.vectors import nade_network
from arproc.models.neural.vectors.nade_recurrence import Recurrence

QUICK = Training(steps=2, batch_size=4)
LEVELS = {"binary": 2, "categorical": 3, "mixed": (2, 4, 1, 3, 2)}
REALS = ("normal", "normal_mixture", "logistic_mixture", "student_t")
KINDS = (*LEVELS, *REALS, "discretised_logistic")


def data(kind: str, n: int = 20, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    if kind in REALS:
        return rng.normal(size=(n, 5)) * [1, 2, 0.5, 1, 3] + [0, 5, 1, -2, 0]
    return rng.integers(0, np.array(LEVELS.get(kind, 6)), (n, 5))


def model_of(kind: str, hidden=7, **parameters) -> NADE:
    """A fitted model whose weights are then random, so that every input counts."""
    settings = {"hidden": hidden, "training": QUICK} | parameters
    if kind in LEVELS:
        settings["levels"] = LEVELS[kind]
    else:
        settings |= {"head": kind, "components": 3, "min_scale": 0.1}
    return shake(NADE(**settings).fit(data(kind)))


def sites_of(model: NADE, x: np.ndarray) -> torch.Tensor:
    return model.sequences(x).padded()[0]


def naive(network, x: torch.Tensor) -> torch.Tensor:
    """The parameters of every site from scratch, O(D^2 H), in float64 (Larochelle and Murray)."""
    weight = {name: p.double() for name, p in network.named_parameters()}
    act = torch.relu if network.activation == "relu" else torch.sigmoid
    columns = []
    for d in range(network.sites):
        a = weight["bias"].expand(len(x), -1)
        for j in range(d):
            a = a + network.values.encode(x[:, j : j + 1], j).double() @ weight["weight"][j]
            if network.mask is not None:
                a = a + weight["mask"][j]
        h = act(weight["scale"][d] * a if "scale" in weight else a)
        for layer in range(len(network.layers)):
            h = act(F.linear(h, weight[f"layers.{layer}.weight"], weight[f"layers.{layer}.bias"]))
        columns.append(
            network.values.finish(F.linear(h, weight["out"][d], weight["out_bias"][d]), d)
        )
    return torch.stack(columns, dim=1)


@pytest.fixture(params=[2, 2**19], ids=["chunks of one site", "one chunk"])
def chunks(request, monkeypatch):
    monkeypatch.setattr(nade_network, "_CHUNK", request.param)


@pytest.mark.usefixtures("chunks")
@pytest.mark.parametrize("activation", ["relu", "sigmoid"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_recurrence_is_the_sum_over_all_sites_before(kind, activation):
    model = model_of(kind, activation=activation, ordering=(3, 0, 4, 1, 2))
    x = sites_of(model, data(kind, 6, seed=2))
    network = model.network_
    want = naive(network, x)
    with torch.no_grad():  # the compiled loop, where there is one
        torch.testing.assert_close(network(x).double(), want, atol=1e-5, rtol=1e-5)
    network.requires_grad_()
    torch.testing.assert_close(network(x).double(), want, atol=1e-5, rtol=1e-5)
    network.requires_grad_(False)
    terms = network.values.log_prob(want, x).double()
    got = model.log_prob(data(kind, 6, seed=2))
    np.testing.assert_allclose(got, terms.sum(1), atol=1e-5, rtol=1e-5)


@pytest.mark.usefixtures("chunks")
@pytest.mark.parametrize("hidden", [7, (7, 6, 5)])
@pytest.mark.parametrize("masks", [False, True])
def test_several_layers_and_masks(masks, hidden):
    model = model_of("mixed", hidden=hidden, order_agnostic=masks)
    x = sites_of(model, data("mixed", 6))
    want = naive(model.network_, x)
    torch.testing.assert_close(model.network_(x).double(), want, atol=1e-5, rtol=1e-5)


@pytest.mark.usefixtures("chunks")
@pytest.mark.parametrize("hidden", [7, (7, 6)])
@pytest.mark.parametrize("kind", ["binary", "mixed", "normal_mixture"])
def test_the_gradient_is_that_of_the_naive_sum(kind, hidden):
    network = model_of(kind, hidden=hidden).network_.requires_grad_()
    x = torch.as_tensor(data(kind, 6))
    x = x.double() if kind in REALS else x.float() if kind == "binary" else x
    loss = network.values.log_prob(network(x), x).double().sum()
    got = torch.autograd.grad(loss, list(network.parameters()))
    plain = network.values.log_prob(naive(network, x), x).double().sum()
    want = torch.autograd.grad(plain, list(network.parameters()))
    for name, a, b in zip(dict(network.named_parameters()), got, want, strict=True):
        torch.testing.assert_close(a, b, atol=2e-4, rtol=2e-4, msg=name)


@pytest.mark.parametrize("order_agnostic", [False, True])
@pytest.mark.parametrize("kind", ["binary", "normal_mixture"])
def test_the_compiled_gradient_is_that_of_the_chunks(kind, order_agnostic):
    """From the middle of vectors on, in values that are not contiguous too."""
    network = model_of(kind, order_agnostic=order_agnostic).network_.requires_grad_()
    x = torch.as_tensor(data(kind, 5)[:, ::-1].copy().T.copy()).T.double()
    a = torch.randn(5, 7, generator=torch.manual_seed(0)).T.contiguous().T
    found = []
    for compiled in (True, False):
        values, inputs = x.clone().requires_grad_(), a.clone().requires_grad_()
        encoded = network.values.encode(values[:, 2:4], 2).unflatten(1, (2, -1))
        own = (network.weight, network.mask, network.out, network.out_bias)
        raw, last = (
            Recurrence.apply(inputs, encoded, 2, *own)
            if compiled
            else network._chunks(inputs, encoded, 2)
        )
        total = raw.square().sum() + (last * torch.arange(7)).sum()
        kept = [p for p in own if p is not None]
        found.append([raw, last, *torch.autograd.grad(total, [values, inputs, *kept])])
    for got, want in zip(*found, strict=True):
        torch.testing.assert_close(got, want, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("activation", ["relu", "sigmoid"])
def test_memory_does_not_grow_with_the_sites(monkeypatch, activation):
    """No tensor that a backward pass keeps is as large as all hidden units of all sites."""
    monkeypatch.setattr(nade_network, "_CHUNK", 64)
    head = arproc.models.neural.vectors.heads.BernoulliHead()
    network = nade_network.NADENetwork(200, head, (8,), activation=activation)
    kept = []

    def pack(x):
        kept.append(x.numel())
        return x

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
        network(torch.ones(20, 200)).sum()
    assert max(kept) < 20 * 200 * 8 / 2


@pytest.mark.parametrize("kind", ["binary", "categorical", "mixed"])
def test_probabilities_of_all_vectors_sum_to_one(kind):
    model = model_of(kind, ordering="random")
    levels = np.broadcast_to(np.array(LEVELS[kind]), 5)
    every = np.array(list(itertools.product(*[range(k) for k in levels])))
    assert np.exp(model.log_prob(every)).sum() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("activation", ["relu", "sigmoid"])
@pytest.mark.parametrize("kind", ["binary", "categorical", "mixed"])
@pytest.mark.parametrize("known", [0, 2])
def test_the_compiled_sampler_draws_what_the_states_draw(kind, known, activation):
    model = model_of(kind, activation=activation)
    x = sites_of(model, data(kind, 300))
    uniforms = torch.rand(300, 5 - known, dtype=torch.float64, generator=torch.manual_seed(0))
    state = model.start(300).extend(x[:, :known])[1]
    drawn, after = state.advance(uniforms)
    expected, _ = super(type(state), state).advance(uniforms)
    # a uniform within rounding of a boundary may fall on its other side
    assert (drawn != expected).any(1).double().mean() <= 0.01
    assert after.lengths.tolist() == [5] * 300
    half, middle = state.advance(uniforms[:, :2])
    assert torch.equal(torch.cat([half, middle.advance(uniforms[:, 2:])[0]], dim=1), drawn)


def test_rows_of_unequal_lengths_go_on_as_each_alone():
    model = model_of("mixed")
    x = sites_of(model, data("mixed", 4))
    want = model.network_(x)
    ragged = model.start(4).extend(x[:, :3], [3, 0, 2, 1])[1]
    rows = torch.arange(4)
    got = ragged.conditional.scores
    torch.testing.assert_close(got, want[rows, ragged.lengths], atol=1e-5, rtol=1e-5)
    after = ragged.append(x[rows, ragged.lengths])
    got = after.conditional.scores
    torch.testing.assert_close(got, want[rows, after.lengths], atol=1e-5, rtol=1e-5)
    with pytest.raises(DataError, match="has 5 sites"):
        after.extend(x[:, :3])


def test_learns_the_law_of_its_data():
    """Three bits with P = 0.4, 0.4, 0.2 and nothing else: the entropy is reached."""
    rows = np.array([[0, 0, 1], [1, 1, 0], [1, 0, 1]])
    x = rows[np.repeat([0, 1, 2], [40, 40, 20])]
    entropy = -(0.8 * np.log(0.4) + 0.2 * np.log(0.2))
    plan = Training(steps=400, lr=0.02, weight_decay=0.0)
    model = NADE(16, ordering=(2, 0, 1), training=plan).fit(x)
    assert -model.log_prob(x).mean() == pytest.approx(entropy, abs=0.03)
    drawn = model.sample(400, seed=0)
    share = [(drawn == row).all(1).mean() for row in rows]
    assert share == pytest.approx([0.4, 0.4, 0.2], abs=0.08)


def test_rnade_learns_a_skewed_pair():
    """x ~ N(0, 1), y = x^2 + 0.1 noise: the density of y given x is known."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=2000)
    pair = np.stack([x, x**2 + 0.1 * rng.normal(size=2000)], axis=1)
    plan = Training(steps=600, lr=0.02, batch_size=64)
    model = NADE(32, head="normal_mixture", components=4, training=plan).fit(pair)
    best = -0.5 * np.log(2 * np.pi * np.e) * 2 - np.log(0.1)  # minus the entropy
    assert model.log_prob(pair).mean() == pytest.approx(best, abs=0.2)


def test_a_saved_model_is_the_same_one(tmp_path):
    x = data("categorical").reshape(-1, 5, 1)
    label = np.eye(2)[np.arange(len(x)) % 2]
    model = NADE((6, 4), conditioned=True, training=QUICK).fit(x, context=label)
    assert model.sample(4, seed=0, context=label[0]).shape == (4, 5, 1)
    model.save(tmp_path / "model")
    again = arproc.load(tmp_path / "model")
    np.testing.assert_array_equal(
        model.log_prob(x, context=label), again.log_prob(x, context=label)
    )


@pytest.mark.parametrize(
    ("parameters", "values", "error", "message"),
    [
        ({"hidden": ()}, [[0, 1]], ParameterError, "at least one layer"),
        ({"hidden": 0}, [[0, 1]], ParameterError, r"hidden\[0\] must be at least 1"),
        ({"activation": "tanh"}, [[0, 1]], ParameterError, "activation must be one of"),
        ({"ordering": (0, 0)}, [[0, 1]], ParameterError, "ordering must be"),
        ({"head": "bernoulli"}, [[0, 0.5]], DataError, "zeros and ones"),
        ({}, [[0, np.nan]], DataError, "not finite"),
    ],
)
def test_wrong_input_is_refused(parameters, values, error, message):
    with pytest.raises(error, match=message):
        NADE(**{"hidden": 4, "training": QUICK} | parameters).fit(values)


@pytest.mark.parametrize("call", ["in_order", "conditional_log_prob", "impute"])
def test_a_model_of_one_order_says_that_it_knows_no_other(call):
    with pytest.raises(UnsupportedError, match=f"{call} asks for other orders"):
        getattr(model_of("binary"), call)("natural")
