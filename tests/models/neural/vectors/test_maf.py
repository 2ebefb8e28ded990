"""MAF: an exact density by quadrature, by autograd's Jacobian and by a MADE; its inverse."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers import shake

import arproc
from arproc import MAF, Training
from arproc.contract.randomness import Uniforms
from arproc.errors import DataError, ParameterError, UnsupportedError

QUICK = Training(steps=3, batch_size=8)
MIX = np.array([[1.0, 0.5, 0.0, -0.3], [0, 2, 0.3, 0], [0, 0, 0.5, 1], [0, 0, 0, 1]])
FORMS = {
    "batch": {},
    "activation, random orders": {"normalisation": "activation", "reordering": "random"},
    "none, residual": {"normalisation": "none", "residual": True, "hidden": (7, 7)},
    "another first order": {"ordering": (3, 0, 2, 1), "hidden": ()},
}


def data(n: int = 60, sites: int = 4, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, sites)) @ MIX[:sites, :sites] + 3


def random_model(sites: int = 4, gain: float = 0.7, **parameters) -> MAF:
    """A fitted model whose weights are then random, and its batch normalisations measured."""
    settings = {"hidden": (7, 6), "layers": 3, "training": QUICK} | parameters
    model = MAF(**settings).fit(data(sites=sites))
    shake(model)
    for p in model.network_.parameters():
        p.mul_(gain)
    model.network_.measure(torch.as_tensor(data(sites=sites)))
    return model


@pytest.mark.parametrize("form", FORMS)
def test_the_density_is_that_of_the_noise_times_the_jacobian(form):
    model = random_model(**FORMS[form])
    x = torch.as_tensor(data(5, seed=1))
    for row in x:
        jacobian = torch.autograd.functional.jacobian(model.to_noise, row)
        noise = model.to_noise(row)
        want = torch.distributions.Normal(0.0, 1.0).log_prob(noise).sum()
        want = want + torch.linalg.slogdet(jacobian).logabsdet
        assert float(model.log_prob(row)) == pytest.approx(float(want), abs=1e-4)


@pytest.mark.parametrize("form", FORMS)
def test_the_inverse_undoes_the_map(form):
    model = random_model(**FORMS[form])
    x = data(150, seed=1)
    noise = model.to_noise(x)
    np.testing.assert_allclose(model.from_noise(noise), x, atol=2e-3)
    single = model.from_noise(torch.as_tensor(noise[0]))
    torch.testing.assert_close(single, torch.as_tensor(x[0]), atol=2e-3, rtol=0)
    again = model.to_noise(model.sample(40, seed=0))
    u = Uniforms(0).block(range(40), 0, 4)
    np.testing.assert_allclose(again, torch.special.ndtri(u), atol=2e-3)


def test_the_density_of_one_value_integrates_to_one():
    model = random_model(sites=1)
    grid = np.linspace(-60, 60, 20001)
    assert np.trapezoid(np.exp(model.log_prob(grid[:, None])), grid) == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("normalisation", ["batch", "activation", "none"])
def test_the_density_of_a_pair_integrates_to_one(normalisation):
    model = random_model(sites=2, normalisation=normalisation, gain=0.4)
    drawn = model.sample(4000, seed=0)
    low, high = drawn.min(0) - 3 * drawn.std(0), drawn.max(0) + 3 * drawn.std(0)
    a, b = (np.linspace(low[i], high[i], 501) for i in range(2))
    table = np.stack(np.meshgrid(a, b, indexing="ij"), -1).reshape(-1, 2)
    density = np.exp(model.log_prob(table)).reshape(501, 501)
    total = np.trapezoid(np.trapezoid(density, b), a)
    assert total == pytest.approx(1, abs=5e-3)


def test_draws_follow_the_density():
    """Shares of draws in boxes against the density's integral over them."""
    model = random_model(sites=2, gain=0.5)
    drawn = model.sample(20000, seed=1)
    edges = [np.quantile(drawn[:, i], [0.02, 0.25, 0.5, 0.75, 0.98]) for i in range(2)]
    for i in range(4):
        for j in range(4):
            box = [(edges[0][i], edges[0][i + 1]), (edges[1][j], edges[1][j + 1])]
            inside = np.all([(drawn[:, k] > lo) & (drawn[:, k] < hi) for k, (lo, hi)
                             in enumerate(box)], axis=0).mean()  # fmt: skip
            a, b = (np.linspace(*side, 41) for side in box)
            table = np.stack(np.meshgrid(a, b, indexing="ij"), -1).reshape(-1, 2)
            density = np.exp(model.log_prob(table)).reshape(41, 41)
            mass = np.trapezoid(np.trapezoid(density, b), a)
            assert inside == pytest.approx(mass, abs=0.015)


def test_one_layer_is_a_made_of_normals():
    """Against each conditional by itself, from the sites before it alone, and drawn one by one."""
    order = [2, 0, 3, 1]
    model = random_model(layers=1, normalisation="none", ordering=order)
    network, x = model.network_, data(20)
    layer = network.layers[0]
    standard = ((torch.as_tensor(x)[:, order] - network.shift) / network.size).float()
    noise = torch.special.ndtri(Uniforms(5).block(range(20), 0, 4)).float()
    total, drawn = torch.zeros(20, dtype=torch.float64), torch.zeros(20, 4)
    for j in range(4):
        seen = torch.where(torch.arange(4) < j, standard, torch.randn(20, 4))
        conditional = layer.values.distribution(layer(seen)[:, j])
        total += conditional.log_prob(standard[:, j]).double() - network.size[j].log()
        conditional = layer.values.distribution(layer(drawn)[:, j])
        drawn[:, j] = conditional.mean + conditional.stddev * noise[:, j]
    np.testing.assert_allclose(model.log_prob(x), total, atol=1e-4)
    want = (network.shift + network.size * drawn.double())[:, np.argsort(order)]
    np.testing.assert_allclose(model.sample(20, seed=5), want, atol=1e-4)


def test_one_layer_without_hidden_units_is_a_normal_law():
    """Linear conditionals with constant scales: a multivariate normal, in closed form."""
    model = random_model(layers=1, normalisation="none", hidden=())
    network = model.network_
    head = network.layers[0].head
    head.weight[1::2] = 0  # constant widths
    lower = head.masked_weight()[0::2].double()
    scale = (head.bias[1::2] / (1 + head.bias[1::2].abs() / np.log(1e4))).exp().double()
    # z = L z + b + scale noise, x = shift + size z
    inverse = torch.linalg.inv(torch.eye(4, dtype=torch.float64) - lower)
    mean = network.shift + network.size * (inverse @ head.bias[0::2].double())
    root = network.size[:, None] * inverse * scale
    want = torch.distributions.MultivariateNormal(mean, root @ root.T)
    x = data(20)
    np.testing.assert_allclose(model.log_prob(x), want.log_prob(torch.as_tensor(x)), atol=1e-3)


def test_batch_normalisation_takes_the_training_data_s_statistics():
    x = data(40)
    model = MAF((5,), layers=2, training=QUICK).fit(x, validation=x[:9])
    norms = list(model.network_.norms)
    u, _ = model.network_._pass(model.network_.layers[0], model.network_._standardised(
        torch.as_tensor(x)), None)  # fmt: skip
    torch.testing.assert_close(norms[0].mean, u.mean(0), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(norms[0].variance, u.var(0, correction=0), atol=1e-5, rtol=1e-4)
    # and so a vector's density depends on no other vector
    np.testing.assert_allclose(model.log_prob(x)[:1], model.log_prob(x[:1]), atol=1e-6)


def test_the_validation_loss_is_that_of_the_kept_weights():
    x, held = data(50), data(50, seed=1)
    plan = Training(steps=60, lr=0.02, validate_every=5, batch_size=16)
    for normalisation in ("batch", "activation"):
        model = MAF((16,), layers=2, normalisation=normalisation, training=plan)
        model.fit(x, validation=held)
        assert -model.score(held) == pytest.approx(model.history_["validation"].min(), abs=1e-5)


def test_learns_a_curved_pair():
    """x ~ N(0, 1), y = x^2 + 0.3 noise, which is a change of variables of noise."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=3000)
    pair = np.stack([x, x**2 + 0.3 * rng.normal(size=3000)], axis=1)
    plan = Training(steps=600, lr=0.01, batch_size=128)
    model = MAF((32,), layers=2, training=plan).fit(pair)
    best = -np.log(2 * np.pi * np.e) - np.log(0.3)  # minus the entropy
    assert model.log_prob(pair).mean() == pytest.approx(best, abs=0.1)


def test_a_context_moves_the_law():
    label = np.arange(400) % 2
    x = np.random.default_rng(0).normal(size=(400, 2)) + 6 * label[:, None]
    plan = Training(steps=200, lr=0.01, batch_size=64)
    model = MAF((8,), layers=2, conditioned=True, training=plan).fit(x, context=label[:, None])
    low, high = (model.sample(200, seed=0, context=[[c]]).mean() for c in (0.0, 1.0))
    assert low == pytest.approx(0, abs=0.7)
    assert high == pytest.approx(6, abs=0.7)
    right = model.log_prob(x, context=label[:, None])
    assert right.mean() > model.log_prob(x, context=1 - label[:, None]).mean() + 5
    noise = model.to_noise(x, context=label[:, None])
    back = model.from_noise(noise, context=label[:, None])
    np.testing.assert_allclose(back, x, atol=1e-3)


def test_shapes_files_and_batches(tmp_path):
    x = data().reshape(-1, 2, 2)
    model = MAF((6,), layers=2, reordering="random", training=QUICK).fit(x)
    drawn = model.sample(9, seed=2, return_log_prob=True)
    assert drawn.x.shape == (9, 2, 2)
    np.testing.assert_allclose(drawn.log_prob, model.log_prob(drawn.x), atol=1e-4)
    np.testing.assert_array_equal(drawn.x[:4], model.sample(4, seed=2))
    assert model.sample(0).shape == (0, 2, 2)
    model.save(tmp_path / "model")
    again = arproc.load(tmp_path / "model")
    np.testing.assert_array_equal(model.log_prob(x), again.log_prob(x))
    np.testing.assert_array_equal(again.sample(4, seed=2), drawn.x[:4])
    assert model.distribution().sample((3,)).shape == (3, 2, 2)
    many = np.repeat(data(150), 40, axis=0)
    one = MAF((6,), training=QUICK).fit(data())
    assert one.log_prob(many).shape == (6000,)


def test_it_says_what_it_has_not():
    model = random_model()
    for call in ("conditional", "conditionals", "condition"):
        with pytest.raises(UnsupportedError, match="different orders"):
            getattr(model, call)([0.0])
    with pytest.raises(UnsupportedError, match="takes no prefix"):
        model.sample(1, prefix=[0.0])


@pytest.mark.parametrize(
    ("parameters", "values", "error", "message"),
    [
        ({"layers": 0}, data(), ParameterError, "layers must be at least 1"),
        ({"hidden": (0,)}, data(), ParameterError, r"hidden\[0\] must be at least 1"),
        ({"reordering": "same"}, data(), ParameterError, "reordering must be one of"),
        ({"normalisation": "layer"}, data(), ParameterError, "normalisation must be one of"),
        ({"residual": True, "hidden": (3, 4)}, data(), ParameterError, "equal sizes"),
        ({"training": Training(batch_size=1)}, data(), ParameterError, "at least 2 vectors"),
        ({}, [[0.0, np.nan], [0.0, 0.0]], DataError, "not finite"),
        ({}, np.zeros((3, 0)), DataError, "expected vectors"),
    ],
)
def test_wrong_input_is_refused(parameters, values, error, message):
    with pytest.raises(error, match=message):
        MAF(**{"training": QUICK} | parameters).fit(values)


def test_noise_of_another_shape_is_refused():
    with pytest.raises(DataError, match=r"noise has shape \[2, 3\]; expected \[N, 4\]"):
        random_model().from_noise(np.zeros((2, 3)))
