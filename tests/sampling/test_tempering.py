"""Evidence much sharper than the process: closed forms, unbiasedness, a true error."""

from __future__ import annotations

import functools
import itertools
import math
import warnings

import numpy as np
import pytest
import torch
from helpers import shake
from scipy import stats

import arproc
from arproc.errors import DataError, ParameterError
from arproc.sampling import Barrier, Known, Likelihood, Sum, condition
from arproc.sampling.evidence import Setting
from arproc.sampling.noise import Noisy, fitted
from arproc.sampling.tempering import Level, Plan, _tried, planned, tempered
from arproc.sampling.weights import estimated

TEXT = ["abcab", "bca", "cabbac", "acb", "ab"]
STEPS = 8


@functools.cache
def process(name):
    if name == "AR":
        return arproc.AR.from_parameters([0.6, -0.2], mean=0.5)
    if name == "NGram":
        return arproc.NGram(3, "witten_bell", tokens="char").fit(TEXT)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        quick = arproc.Training(steps=2, batch_size=4)
        if name == "Transformer":
            return shake(
                arproc.Transformer(
                    tokens="char", layers=1, heads=1, width=4, block=8, training=quick
                ).fit(TEXT)
            )
        bits = (np.random.default_rng(0).random((30, 5)) > 0.4).astype(int)
        return shake(arproc.MADE(hidden=(6,), training=quick).fit(bits))


def count(texts):
    return np.array([x.count("a") for x in texts], dtype=float)


def joint(steps=STEPS):
    found = process("AR").law_.joint(process("AR").start(), steps)
    return found.mean[0].double().numpy(), found.covariance_matrix[0].double().numpy()


def masses(model, most):
    """All texts of at most so many characters, and their log-masses."""
    texts, ends = [], []
    for size in range(most + 1):
        texts += ["".join(x) for x in itertools.product("abc", repeat=size)]
        ends += [size < most] * 3**size
    x = model.sequences(texts)
    x.complete[:] = torch.tensor(ends)
    return texts, np.asarray(model.log_prob(x))


def near(found, want, most=0.15):
    """By Student's law of nine degrees, at one in ten thousand; and the error is small."""
    assert found.method == "tempered"
    assert 0 < found.log_evidence_error < most
    return abs(found.log_evidence - want) < 6.6 * found.log_evidence_error


# ---- closed forms at strong tilts --------------------------------------------------------------


@pytest.mark.parametrize("share", [1.0, 2.5])
def test_exponential_tilts_of_normal_laws(share):
    """Up to 60 nats, of which particles see nothing: E exp(share sum x) and the tilted mean."""
    mean, cov = joint()
    want = share * mean.sum() + share**2 * cov.sum() / 2
    found = condition(process("AR"), lambda x: share * x.sum(1), length=STEPS, seed=0)
    assert near(found, want)
    tilted, size = mean + share * cov.sum(1), found.effective_sample_size
    assert 100 < size <= 1000
    assert (abs(found.mean - tilted) < 5 * (np.diag(cov) / size) ** 0.5).all()
    spread = found.expectation(lambda x: (x - tilted) ** 2)
    assert (abs(spread / np.diag(cov) - 1) < 6 * (2 / size) ** 0.5).all()
    with pytest.warns(UserWarning, match="came to rest"):
        poor = condition(
            process("AR"), lambda x: share * x.sum(1), length=STEPS, seed=0, method="particles"
        )
    assert poor.log_evidence_error > 4 * found.log_evidence_error


@pytest.mark.parametrize("noise", [0.5, 0.002])
def test_a_measured_sum_far_away_and_thin(noise):
    """By the closed form of the same evidence: a thin plane at five standard deviations."""
    total = float(joint()[0].sum() + 5 * joint()[1].sum() ** 0.5)
    exact = condition(process("AR"), Sum(total, noise=noise), length=STEPS)

    def measured(x):
        return stats.norm(total, noise).logpdf(x.sum(1))

    found = condition(process("AR"), measured, length=STEPS, seed=0)
    assert near(found, exact.log_evidence)
    size = found.effective_sample_size
    assert (abs(found.mean - exact.mean) < 5 * (np.diag(joint()[1]) / size) ** 0.5).all()


def test_every_element_measured():
    mean, cov = joint()
    values, noise = mean + 3 * np.cos(np.arange(STEPS)), 0.2
    want = stats.multivariate_normal(mean, cov + noise**2 * np.eye(STEPS)).logpdf(values)
    found = condition(
        process("AR"), lambda x: stats.norm(values, noise).logpdf(x).sum(1), length=STEPS, seed=0
    )
    assert near(found, want)


@pytest.mark.parametrize("family", ["NGram", "Transformer"])
def test_tilted_texts(family):
    model = process(family)
    texts, log_mass = masses(model, 4)
    tilted = log_mass + 4 * count(texts)
    want = np.logaddexp.reduce(tilted)
    found = condition(model, lambda x: 4 * count(x), 300, length=4, seed=0)
    assert near(found, want, 0.3)
    share = np.exp(tilted - want)
    for place in (0, 2):
        exact = share @ [x[place : place + 1] == "a" for x in texts]
        got = found.weights @ [x[place : place + 1] == "a" for x in found.x]
        assert abs(got - exact) < 5 * (exact * (1 - exact) / found.effective_sample_size) ** 0.5


def test_texts_that_end_by_themselves():
    """Lengths are free, and noise is made as it is needed."""
    model, away = process("NGram"), {"n": 300, "method": "tempered", "seed": 0}
    found = condition(model, lambda x: 2 * count(x) - 3.0 * np.array([len(t) for t in x]), **away)
    texts, log_mass = masses(model, 6)  # longer ones have no weight that counts
    size = np.array([len(t) for t in texts])
    want = np.logaddexp.reduce(log_mass + 2 * count(texts) - 3.0 * size)
    assert abs(found.log_evidence - want) < 6.6 * found.log_evidence_error + 1e-3


def test_what_else_is_known_holds():
    """Forced values, barriers and a sharp likelihood together, of bits and of a series."""
    every = np.array(list(itertools.product((0, 1), repeat=5)))
    kept, log_mass = every[:, 3] == 1, np.asarray(process("MADE").log_prob(every))
    want = np.logaddexp.reduce((log_mass - 9 * every.sum(1))[kept])
    found = condition(
        process("MADE"), Known({3: 1}) & Likelihood(lambda x: -9.0 * x.sum(1)), seed=0
    )
    assert abs(found.log_evidence - want) < 6.6 * found.log_evidence_error
    assert (found.x[:, 3] == 1).all()
    both = Known({2: 1.0}) & Barrier(low=0.0) & Likelihood(lambda x: 3 * x.sum(1))
    known = condition(process("AR"), both, length=4, seed=0)
    assert known.method == "tempered"
    assert (known.x >= 0).all()
    mean, cov = joint(4)  # the tilted law is normal, and so is what is left of it
    tilted, rest = mean + 3 * cov.sum(1), [0, 1, 3]
    gain = cov[rest, 2] / cov[2, 2]
    left = cov[np.ix_(rest, rest)] - np.outer(gain, cov[2, rest])
    inside = stats.multivariate_normal(-(tilted[rest] + gain * (1.0 - tilted[2])), left).cdf(
        [0] * 3
    )
    want = 3 * mean.sum() + 4.5 * cov.sum() + np.log(inside)
    want += stats.norm(tilted[2], cov[2, 2] ** 0.5).logpdf(1.0)
    assert near(known, want)


# ---- unbiased, with a true error ---------------------------------------------------------------


def setting(family):
    """A law, evidence, its steps, and the exact log-probability."""
    law = process(family).law_
    if family == "AR":
        mean, cov = joint(4)
        likelihood = Likelihood(lambda x: x.sum(1))
        terms = likelihood.bound(Setting(law, 4, lambda x: x.numpy()))
        return law, terms, 4, mean.sum() + cov.sum() / 2
    texts, log_mass = masses(process(family), 4)
    decode = law.space.vocabulary.decode

    def show(x):
        return ["".join(decode([k]) for k in row if k != law.space.end) for row in x.tolist()]

    terms = Likelihood(lambda x: 2 * count(x)).bound(Setting(law, 4, show))
    return law, terms, 4, np.logaddexp.reduce(log_mass + 2 * count(texts))


@pytest.mark.parametrize(
    ("family", "learnt", "sets"), [("AR", False, 480), ("AR", True, 240), ("NGram", False, 160)]
)
def test_the_estimate_is_unbiased_and_its_error_true(family, learnt, sets):
    """Of many sets of 30 draws, by one plan, from the process or from what is learnt."""
    law, terms, steps, want = setting(family)
    with torch.no_grad():
        if learnt:
            plan = planned(law, terms, steps, 200, 1)
        else:
            plan, _ = _tried(Noisy(law, terms, steps, 5), 200)
        assert (plan.begin is not None) == learnt
        assert len(plan.levels) > 1 or learnt
        found = tempered(law, terms, steps, plan, sets, 30, 7).cloud
    ratios = (found.log_evidence - want).exp().numpy()
    error = ratios.std() / sets**0.5
    assert error < 0.06
    assert abs(ratios.mean() - 1) < 4 * error
    groups = [slice(k, k + 10) for k in range(0, sets, 10)]
    told = [
        estimated(found.log_weights[g], found.log_evidence[g], found.lineage[g]) for g in groups
    ]
    scores = np.array([(one.log_evidence - want) / one.error for one in told])
    assert 0.3 < (scores**2).mean() < 3  # Student's law of nine degrees has 1.3
    assert (abs(scores) < 6.6).all()


def test_moves_leave_the_tilted_law_as_it_is():
    """From exact draws of a tilted normal law, moves of each kind keep its mean and spread."""
    law, terms, steps, _ = setting("AR")
    mean, cov = joint(4)
    tilted = mean + cov.sum(1)
    with torch.no_grad():
        noisy = Noisy(law, terms, steps, 3)
        plan, near_ = _tried(Noisy(law, terms, steps, 5), 400)
        equal = torch.full((400,), 1 / 400, dtype=torch.float64)
        begin = fitted(near_.z.flatten(1), equal)
        # the noise of x is (x - mean) by the inverse Cholesky factor
        factor = np.linalg.cholesky(cov)
        x = np.random.default_rng(0).multivariate_normal(tilted, cov, 4000)
        z = torch.as_tensor(np.linalg.solve(factor, (x - mean).T).T)
        draws = noisy.drawn(z)
        np.testing.assert_allclose(draws.x.numpy(), x, atol=1e-6)
        for move in plan.levels[-1].moves[:2]:
            draws, taken = noisy.moved(draws, 1.0, move._replace(reference=begin))
            assert taken > 0.1
        got = draws.x.numpy()
    assert (abs(got.mean(0) - tilted) < 4 * (np.diag(cov) / 4000) ** 0.5).all()
    assert (abs(np.cov(got.T) - cov) < 5 * np.diag(cov).max() * (2 / 4000) ** 0.5).all()


# ---- what it says of itself --------------------------------------------------------------------


def test_mild_evidence_goes_by_particles():
    found = condition(process("AR"), lambda x: 0.2 * x.sum(1), length=4, seed=0)
    assert found.method == "particles"
    twisted = Likelihood(lambda x: 2 * x.sum(1), lambda x: 2 * x.sum(1))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert condition(process("AR"), twisted, length=4, seed=0).method == "particles"


def test_the_same_seed_gives_the_same_draws():
    one, two = (condition(process("AR"), lambda x: 2 * x.sum(1), 100, 6, seed=3) for _ in "ab")
    assert (one.x == two.x).all()
    assert one.log_evidence == two.log_evidence


def test_where_draws_are_too_coarse_it_is_told():
    with pytest.warns(UserWarning, match="standard deviations from what the process expects"):
        condition(arproc.AR.from_parameters([0.1]), lambda x: 9.5 * x.sum(1), 100, 3, seed=0)


def test_what_can_not_be_tempered_is_refused():
    with pytest.raises(DataError, match="impossible for nearly all of 200 draws"):
        condition(process("AR"), lambda x: np.where(x[:, 0] > 9, 0, -np.inf), 100, 3,
                  method="tempered", seed=0)  # fmt: skip
    with pytest.raises(ParameterError, match="leave one of them out"):
        condition(process("AR"), lambda x: x.sum(1), 100, 3, method="tempered",
                  proposal=process("AR"))  # fmt: skip


def test_a_plan_of_one_level_is_importance_sampling():
    law, terms, steps, want = setting("AR")
    with torch.no_grad():
        found = tempered(law, terms, steps, Plan(None, (Level(1.0, ()),)), 10, 2000, 0)
    # without resampling the worth of weights is Kong's
    shares = torch.softmax(found.cloud.log_weights.flatten(), 0)
    assert found.size == pytest.approx(float(1 / shares.square().sum()))
    assert math.isfinite(want)
