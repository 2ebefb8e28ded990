"""Mixtures: the weights EM finds, and what may be mixed."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar

import arproc
from arproc.errors import DataError, NotComparableError, NotFittedError, ParameterError
from arproc.inference.weights import fit_weights

RNG = np.random.default_rng(0)
SERIES = np.convolve(RNG.normal(size=400), [1.0, 0.8, 0.4], mode="valid")


@pytest.fixture(scope="module")
def parts() -> list[arproc.Process]:
    return [arproc.AR(1).fit(SERIES[:200]), arproc.AR(0).fit(3 * SERIES[:100])]


def test_em_finds_the_maximum_of_the_likelihood(parts: list[arproc.Process]) -> None:
    held_out = SERIES[200:]
    mixture = arproc.Mixture(parts).fit(held_out)
    terms = np.stack([part.log_prob_terms(held_out) for part in parts])

    def cost(w: float) -> float:
        return -np.logaddexp(np.log(w) + terms[0], np.log1p(-w) + terms[1]).sum()

    best = minimize_scalar(
        cost, bounds=(1e-9, 1 - 1e-9), method="bounded", options={"xatol": 1e-10}
    )
    assert mixture.log_prob(held_out) == pytest.approx(-best.fun, rel=1e-9)
    assert float(mixture.weights_[0]) == pytest.approx(best.x, abs=1e-3)


def test_em_never_loses(parts: list[arproc.Process]) -> None:
    terms = torch.randn(3, 50, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    weights, last = torch.full((3,), 1 / 3, dtype=torch.float64), -torch.inf
    for _ in range(30):
        weights, _ = fit_weights(terms, weights, tolerance=-1.0, limit=1)
        now = float((terms.exp() * weights[:, None]).sum(0).log().sum())
        assert now >= last - 1e-12
        last = now


def test_terms_are_the_weighted_sum_of_the_parts(parts: list[arproc.Process]) -> None:
    mixture = arproc.Mixture(parts, weights=[0.25, 0.75])
    each = np.stack([part.log_prob_terms(SERIES) for part in parts])
    expected = np.log(0.25 * np.exp(each[0]) + 0.75 * np.exp(each[1]))
    np.testing.assert_allclose(mixture.log_prob_terms(SERIES), expected, rtol=1e-12)


def test_text_of_two_families_mixes_symbol_by_symbol() -> None:
    text = "the cat sat on the mat and the rat sat on the cat. " * 4
    parts = [arproc.NGram(n, tokens="char", smoothing="additive").fit(text) for n in (1, 3)]
    mixture = arproc.Mixture(parts).fit("the rat sat on the mat.")
    probs = mixture.conditional("the c").probs
    assert float(probs.sum()) == pytest.approx(1, abs=1e-12)
    assert mixture.sample(2, length=5, seed=0) == mixture.sample(3, length=5, seed=0)[:2]


def test_a_part_that_is_sure_and_wrong_gets_no_weight() -> None:
    terms = torch.tensor([[-1.0, -1.0], [-torch.inf, -0.1]], dtype=torch.float64)
    weights, _ = fit_weights(terms, torch.full((2,), 0.5, dtype=torch.float64), 1e-12)
    assert float(weights[1]) < 1
    assert bool(torch.isfinite(weights).all())


def test_what_no_part_can_explain_is_refused() -> None:
    terms = torch.full((2, 3), -torch.inf, dtype=torch.float64)
    with pytest.raises(DataError, match="probability zero"):
        fit_weights(terms, torch.full((2,), 0.5, dtype=torch.float64), 1e-9)


def test_mass_and_density_do_not_mix(parts: list[arproc.Process]) -> None:
    letters = arproc.NGram(1, tokens="char", smoothing="additive").fit("abab")
    with pytest.raises(NotComparableError, match="one space"):
        arproc.Mixture([parts[0], letters]).fit(SERIES)


def test_vocabularies_must_agree() -> None:
    a = arproc.NGram(1, tokens="char", smoothing="additive").fit("abab")
    b = arproc.NGram(1, tokens="char", smoothing="additive").fit("bcbc")
    with pytest.raises(NotComparableError, match="vocabulary"):
        arproc.Mixture([a, b]).fit("bb")


def test_starts_must_agree(parts: list[arproc.Process]) -> None:
    given = arproc.AR(1, initial="given", method="ols").fit(SERIES)
    with pytest.raises(NotComparableError, match="start"):
        arproc.Mixture([parts[0], given]).fit(SERIES)


@pytest.mark.parametrize(
    ("weights", "message"),
    [([0.5], "2 numbers"), ([0.9, 0.9], "sum to 1"), ([-1.0, 2.0], "none neg")],
)
def test_wrong_weights_are_refused(
    parts: list[arproc.Process], weights: list[float], message: str
) -> None:
    with pytest.raises(ParameterError, match=message):
        arproc.Mixture(parts, weights=weights).log_prob(SERIES)


def test_weights_and_parts_must_be_there(parts: list[arproc.Process]) -> None:
    with pytest.raises(NotFittedError, match="no weights yet"):
        arproc.Mixture(parts).log_prob(SERIES)
    with pytest.raises(NotFittedError, match="not fitted"):
        arproc.Mixture([arproc.AR(1)]).fit(SERIES)
    with pytest.raises(ParameterError, match="list of processes"):
        arproc.Mixture([]).fit(SERIES)


def test_save_and_load(parts: list[arproc.Process], tmp_path) -> None:
    mixture = arproc.Mixture(parts).fit(SERIES[200:])
    mixture.save(tmp_path / "mixture.arproc")
    again = arproc.load(tmp_path / "mixture.arproc")
    assert again.log_prob(SERIES) == mixture.log_prob(SERIES)
