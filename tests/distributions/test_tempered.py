"""Temperature of every kind of density: p(x)^(1/T), renormalised."""

import itertools

import numpy as np
import pytest
import torch
from scipy import integrate
from torch import distributions as td

from arproc.distributions import (
    Categorical,
    Logistic,
    MaybeMissing,
    Mixture,
    Powered,
    Truncated,
    Varied,
    cdf,
    concatenate,
    from_uniform,
    index,
    quantile,
    tempered,
)
from arproc.errors import UnsupportedError

F64 = torch.float64


def t(*values):
    return torch.tensor(values, dtype=F64)


KINDS = {
    "normal": (td.Normal(t(1.0), t(2.0)), td.Normal),
    "laplace": (td.Laplace(t(1.0), t(2.0)), td.Laplace),
    "student": (td.StudentT(t(7.0), t(1.0), t(0.5)), td.StudentT),
    "gamma": (td.Gamma(t(2.5), t(0.7)), td.Gamma),
    "exponential": (td.Exponential(t(0.7)), td.Exponential),
    "beta": (td.Beta(t(2.5), t(1.7)), td.Beta),
    "lognormal": (td.LogNormal(t(0.3), t(0.6)), td.LogNormal),
    "logistic": (Logistic(t(1.0), t(0.5)), Powered),
    "gumbel": (td.Gumbel(t(1.0), t(0.5)), Powered),
    "mixture": (Mixture([td.Normal(t(-1.0), t(0.4)), td.Laplace(t(1.0), t(0.5))],
                        t(0.3, 0.7).log()), Powered),
    "same family": (td.MixtureSameFamily(td.Categorical(logits=t(0.0, 1.0)[None]),
                    td.StudentT(t(6.0, 9.0)[None], t(0.0, 4.0)[None], t(1.0, 0.2)[None])),
                    Powered),
    "affine": (td.TransformedDistribution(td.Laplace(t(1.0), t(1.0)),
                                          [td.AffineTransform(3.0, 2.0)]),
               td.TransformedDistribution),
    "logit": (td.TransformedDistribution(td.Normal(t(0.3), t(1.2)), [td.SigmoidTransform()]),
              Powered),
    "truncated": (Truncated(td.Normal(t(0.0), t(1.0)), -0.5, 1.5), Truncated),
}  # fmt: skip


@pytest.mark.parametrize("temperature", [0.5, 1.7])
@pytest.mark.parametrize("name", KINDS)
def test_a_power_of_the_density_that_integrates_to_one(name, temperature):
    law, kind = KINDS[name]
    hot = tempered(law, temperature)
    assert type(hot) is kind
    q = t(1e-6, 0.1, 0.5, 0.8, 0.999)[:, None]
    x = quantile(hot, q)
    gap = hot.log_prob(x) - law.log_prob(x) / temperature
    np.testing.assert_allclose(gap, gap[:1].expand_as(gap), rtol=0, atol=1e-9)
    np.testing.assert_allclose(cdf(hot, x), q, rtol=1e-6)
    # the mass between two quantiles, by an integration that knows neither table nor formula
    low, high = float(x[1]), float(x[3])

    def density(z):
        return float(hot.log_prob(t(z)).exp())

    mass = integrate.quad(density, low, high, points=[float(x[2])], limit=200)[0]
    assert mass == pytest.approx(0.7, abs=1e-8)
    np.testing.assert_allclose(from_uniform(hot, q), x)


def test_mixtures_of_wide_and_narrow_parts_at_many_temperatures():
    parts = td.Normal(t([0.0, 50.0, 1.0], [3.0, -3.0, 0.0]), t([1.0, 1e-3, 0.05], [0.1, 2.0, 9.0]))
    law = td.MixtureSameFamily(td.Categorical(logits=torch.zeros(2, 3, dtype=F64)), parts)
    for temperature in (0.02, 0.3, 4.0):
        hot = tempered(law, temperature)
        for row in range(2):
            centres = parts.loc[row].tolist()
            one = index(law, row)
            top = float(one.log_prob(parts.loc[row]).max()) / temperature

            def density(z, one=one, top=top, temperature=temperature):
                return (one.log_prob(torch.from_numpy(z)) / temperature - top).exp().numpy()

            total = 0.0
            ends = sorted(
                c + s * k * temperature**0.5
                for c, s in zip(centres, parts.scale[row].tolist(), strict=True)
                for k in (-40, -8, -3, -1, 0, 1, 3, 8, 40)
            )
            for low, high in itertools.pairwise(ends):
                total += integrate.fixed_quad(density, low, high, n=40)[0]
            assert float(hot.log_mass[row]) == pytest.approx(np.log(total) + top, abs=1e-6)


def test_tempering_twice_is_tempering_once_and_batches_can_be_taken_apart():
    law = KINDS["mixture"][0]
    twice = tempered(tempered(law, 2.0), 0.25)
    x = t(-1.0, 0.5)
    np.testing.assert_allclose(twice.log_prob(x), tempered(law, 0.5).log_prob(x))
    joined = concatenate([twice, tempered(law, 0.5)])
    assert joined.batch_shape == (2,)
    np.testing.assert_allclose(index(joined, 1).log_prob(x), twice.log_prob(x))
    draws = twice.sample((3,))
    assert draws.shape == (3, 1)
    assert twice.expand([4]).log_prob(x[:1]).shape == (4,)


def test_the_closed_form_of_logistic_laws():
    """The power of a logistic density is that of the logit of a beta variable."""
    hot = tempered(Logistic(t(0.0), t(1.0)), 2.5)
    x = t(-30.0, -2.0, 0.1, 7.0)
    a = 1 / 2.5
    log_beta = float(2 * torch.lgamma(t(a)) - torch.lgamma(t(2 * a)))
    exact = a * torch.nn.functional.logsigmoid(x) + a * torch.nn.functional.logsigmoid(-x)
    np.testing.assert_allclose(hot.log_prob(x), exact - log_beta, atol=1e-9)


def test_values_that_may_be_missing_and_kinds_that_vary():
    law = MaybeMissing(Mixture([td.Normal(t(0.0), t(1.0))] * 2, t(0.5, 0.5).log()), t(-0.4))
    hot = tempered(law, 2.0)
    there = td.Normal(0.0, 1.0)
    z = integrate.quad(lambda v: float((there.log_prob(torch.tensor(v)) / 2).exp()), -40, 40)[0]
    miss, rest = torch.sigmoid(t(-0.4)) ** 0.5, torch.sigmoid(t(0.4)) ** 0.5 * z
    np.testing.assert_allclose(hot.missing, miss / (miss + rest), atol=1e-6)
    parts = [td.Normal(torch.zeros(2, dtype=F64), torch.ones(2, dtype=F64)),
             Categorical(torch.tensor([[0.0, 1.0], [0.0, 2.0]], dtype=F64))]  # fmt: skip
    varied = tempered(Varied(parts, torch.tensor([0, 1])), 2.0)
    x = t(0.7, 1.0)
    want = [td.Normal(0.0, 2**0.5).log_prob(x[0]), torch.log_softmax(t(0.0, 1.0), -1)[1]]
    np.testing.assert_allclose(varied.log_prob(x), want, rtol=1e-6)
    both = tempered(td.Independent(td.Laplace(t(0.0, 1.0), t(1.0, 2.0)), 1), 3.0)
    np.testing.assert_allclose(both.base_dist.scale, t(3.0, 6.0))


@pytest.mark.parametrize("turned", [False, True])
def test_parts_with_different_supports(turned):
    """What one part does not reach another may."""
    parts = [Truncated(td.Normal(t(0.0), t(1.0)), 0.5, 2.0), td.Normal(t(-1.0), t(1.0))]
    law = Mixture(parts[::-1] if turned else parts, t(0.5, 0.5).log())
    hot = tempered(law, 2.0)

    def density(z):
        return float((law.log_prob(t(z)) / 2).exp())

    mass = integrate.quad(density, -30, 30, points=[-1.0, 0.5, 2.0], limit=200)[0]
    assert float(hot.log_mass) == pytest.approx(np.log(mass), abs=1e-8)
    positive = td.LogNormal(t(0.0, 1.0)[None], t(0.5, 0.3)[None])
    both = td.MixtureSameFamily(td.Categorical(logits=torch.zeros(1, 2, dtype=F64)), positive)
    x = quantile(tempered(both, 0.7), t(0.2, 0.8)[:, None])
    np.testing.assert_allclose(cdf(tempered(both, 0.7), x)[:, 0], [0.2, 0.8])
    counts = td.MixtureSameFamily(td.Categorical(logits=t(0.0, 0.0)), td.Poisson(t(1.0, 5.0)))
    k = torch.arange(200.0, dtype=F64)
    assert float(tempered(counts, 2.0).log_prob(k).exp().sum()) == pytest.approx(1, abs=1e-9)


def test_temperatures_without_a_law_are_refused():
    message = "temperature is 4, at which a StudentT has no law: its df would be 0"
    with pytest.raises(UnsupportedError, match=message):
        tempered(td.StudentT(t(3.0)), 4.0)
    with pytest.raises(UnsupportedError, match="a Gamma has no law"):
        tempered(td.Gamma(t(0.5), t(1.0)), 0.4)
    with pytest.raises(UnsupportedError, match="a Beta has no law"):
        tempered(td.Beta(t(0.5), t(2.0)), 0.4)
    heavy = Mixture([td.StudentT(t(3.0)), td.Normal(t(0.0), t(1.0))], t(0.5, 0.5).log())
    with pytest.raises(UnsupportedError, match="no integral that can be computed, in entry 0"):
        tempered(heavy, 4.0).log_prob(t(0.0))
    with pytest.raises(UnsupportedError, match=r"temperature of 0.001 is too low.*least 0.01"):
        tempered(heavy, 1e-3)
