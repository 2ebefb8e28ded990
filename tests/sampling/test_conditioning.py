"""Conditioning on anything: closed forms against enumeration, particles against closed forms."""

from __future__ import annotations

import functools
import itertools
import warnings

import numpy as np
import pytest
import torch
from helpers import shake
from scipy import stats
from toys import Chain, Counter, Levels

import arproc
from arproc.errors import DataError, ParameterError, UnsupportedError
from arproc.sampling import Barrier, EndsAt, Known, Likelihood, Sum, TopK, condition
from arproc.testing import check_process

QUICK = arproc.Training(steps=2, batch_size=4)
TEXT = ["abcab", "bca", "cabbac", "acb", "ab"]
NAN = float("nan")


@functools.cache
def process(name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if name == "AR":
            return arproc.AR.from_parameters([0.6, -0.2], mean=0.5)
        if name == "NGram":
            return arproc.NGram(3, "witten_bell", tokens="char").fit(TEXT)
        if name == "Transformer":
            model = arproc.Transformer(
                tokens="char", layers=1, heads=1, width=4, block=8, training=QUICK
            )
            return shake(model.fit(TEXT))
        if name == "Mixture":
            return arproc.Mixture([process("NGram"), process("Transformer")], weights=[0.6, 0.4])
        if name == "Bigrams":  # a mixture of finite machines
            other = arproc.NGram(2, "witten_bell", tokens="char").fit(TEXT[1:4])
            return arproc.Mixture([process("NGram"), other], weights=[0.5, 0.5])
        if name == "TopK":
            return process("NGram").with_policy(TopK(3))
        if name == "after":
            return process("NGram").condition("ab")
        bits = (np.random.default_rng(0).random((30, 5)) > 0.4).astype(int)
        return shake(arproc.MADE(hidden=(6,), training=QUICK).fit(bits))


def every_text(model, most):
    """All texts of at most so many characters, those as long as that cut, and their mass [K]."""
    letters = "abc"
    texts, ends = [], []
    for size in range(most + 1):
        texts += ["".join(x) for x in itertools.product(letters, repeat=size)]
        ends += [size < most] * len(letters) ** size
    x = model.sequences(texts)
    x.complete[:] = torch.tensor(ends)
    return texts, ends, np.exp(np.asarray(model.log_prob(x)))


# ---- finite machines ---------------------------------------------------------------------------

EVIDENCE = [
    (Known({2: "b"}), lambda x, ended: x[2:3] == "b"),
    (Known({1: "ca"}), lambda x, ended: x[1:3] == "ca"),
    (EndsAt(3), lambda x, ended: ended and len(x) == 3),
    (EndsAt(4) & Known({0: "c"}) & Known({3: "b"}),
     lambda x, ended: ended and len(x) == 4 and x[0] == "c" and x[3] == "b"),
]  # fmt: skip


@pytest.mark.parametrize("family", ["NGram", "Bigrams", "TopK", "after"])
@pytest.mark.parametrize(("evidence", "fits"), EVIDENCE, ids=lambda e: repr(e)[:20])
def test_finite_machines_are_exact(family, evidence, fits):
    model = process(family)
    texts, ends, mass = every_text(model, 5)
    kept = np.array([fits(x, ended) for x, ended in zip(texts, ends, strict=True)])
    found = condition(model, evidence, n=300, seed=0)
    assert (found.method, found.log_evidence_error) == ("exact", 0.0)
    assert found.log_evidence == pytest.approx(np.log(mass[kept].sum()))
    own = found.process.sequences(texts)
    own.complete[:] = torch.tensor(ends)
    law = np.exp(np.asarray(found.process.log_prob(own)))
    np.testing.assert_allclose(law, np.where(kept, mass, 0) / mass[kept].sum(), atol=1e-6)
    for x in found.x:
        assert fits(x, True)
    starts = np.array([x[:1] == "c" for x in found.x])
    want = (mass * [x[:1] == "c" for x in texts])[kept].sum() / mass[kept].sum()
    assert abs(starts.mean() - want) < 5 * (want * (1 - want) / 300) ** 0.5 + 1e-9


def test_a_law_given_evidence_keeps_the_contract():
    checks = ("parallel_equals_incremental", "ragged_extend", "select", "truncate")
    found = condition(process("NGram"), Known({2: "b"}), n=2)
    check_process(found.process, only=checks, length=12)


@pytest.mark.slow
@pytest.mark.parametrize("family", ["NGram", "Bigrams", "after"])
def test_a_law_given_evidence_keeps_the_whole_contract(family):
    check_process(condition(process(family), Known({2: "b"}), n=2).process)


def test_levels_sum_to_what_they_should():
    """A stream of three symbols, and vectors of levels, by messages and by enumeration."""
    law = Chain(3).fit([0, 1, 2])
    found = condition(law, {3: 1, 5: 0}, length=6, seed=0, n=50)
    every = np.array(list(itertools.product(range(3), repeat=6)))
    mass = np.exp(law.log_prob(every))
    kept = (every[:, 3] == 1) & (every[:, 5] == 0)
    assert found.log_evidence == pytest.approx(np.log(mass[kept].sum()))
    assert (found.x[:, [3, 5]] == [1, 0]).all()
    model = Levels((2, 2), 3).fit(np.zeros((2, 2, 2), dtype=int))
    every = np.array(list(itertools.product(range(3), repeat=4))).reshape(-1, 2, 2)
    mass = np.exp(model.log_prob(every))
    kept = every.reshape(-1, 4).sum(1) == 5
    drawn = condition(model, Sum(5), seed=0)
    assert (drawn.x.reshape(-1, 4).sum(1) == 5)[drawn.weights > 0].all()
    error = 4 * drawn.log_evidence_error
    assert abs(drawn.log_evidence - np.log(mass[kept].sum())) < error


# ---- normal laws -------------------------------------------------------------------------------


def given(joint, matrix, value, variance):
    """Bayes' rule for a normal law in plain NumPy: mean, covariance, log-density."""
    loc, cov = joint.loc[0].numpy(), (joint.scale_tril @ joint.scale_tril.mT)[0].numpy()
    within = matrix @ cov @ matrix.T + np.diag(variance)
    gain = cov @ matrix.T @ np.linalg.inv(within)
    density = stats.multivariate_normal(matrix @ loc, within).logpdf(value)
    return loc + gain @ (value - matrix @ loc), cov - gain @ matrix @ cov, density


def normal(name):
    y = np.cumsum(np.random.default_rng(3).normal(size=80)) / 4
    if name == "VAR":
        model = arproc.VAR(1).fit(np.random.default_rng(1).normal(size=(60, 2)).cumsum(0) / 9)
        return model, np.array([[0.2, -0.3]])
    if name == "ARIMA":
        return arproc.ARIMA((1, 1, 1)).fit(y), y
    return process("AR"), np.array([1.0, -0.5])


@pytest.mark.parametrize("name", ["AR", "VAR", "ARIMA"])
def test_bridges_of_normal_laws_are_exact(name):
    model, before = normal(name)
    event = (2,) if name == "VAR" else ()
    known = np.full((6, *event), NAN)
    known[3], known[5] = 0.4, -0.7
    if name == "VAR":
        known[5, 0] = NAN  # a component alone
    joint = model.law_.joint(model.start(before), 6)
    flat = known.reshape(-1)
    matrix = np.eye(len(flat))[~np.isnan(flat)]
    mean, cov, density = given(joint, matrix, flat[~np.isnan(flat)], np.zeros(len(matrix)))
    found = condition(model, known, n=4000, length=6, prefix=before, seed=0)
    assert (found.method, found.process) == ("exact", None)
    assert found.log_evidence == pytest.approx(density)
    np.testing.assert_allclose(found.mean.reshape(-1), mean, atol=1e-9)
    width = stats.norm.ppf(0.9) * np.sqrt(np.diag(cov).clip(0))
    got = found.quantiles([0.1, 0.9]).reshape(2, -1)
    np.testing.assert_allclose(got, [mean - width, mean + width], atol=1e-6)
    x = found.x.reshape(4000, -1)
    assert (x[:, ~np.isnan(flat)] == flat[~np.isnan(flat)]).all()
    error = np.sqrt((np.outer(np.diag(cov), np.diag(cov)) + cov**2).clip(0)) / 4000**0.5
    assert (np.abs(np.cov(x.T) - cov) <= 5 * error + 1e-9).all()
    table = model.forecast(before, 6, quantiles=(0.9,), known=known)  # the same fan
    np.testing.assert_allclose(table.to_numpy()[:, 1::2].reshape(-1), got[1], atol=1e-6)


@pytest.mark.parametrize("evidence", [Sum(4.0), Sum(2.0, noise=0.3), Sum(1.0, weights=[0, 2, -1])])
def test_sums_of_normal_laws_are_exact(evidence):
    model = process("AR")
    weights = np.ones(5) if evidence.weights is None else np.pad(evidence.weights, (0, 2))
    joint = model.law_.joint(model.start(), 5)
    mean, cov, density = given(
        joint, weights[None], np.array([evidence.total]), np.array([evidence.noise**2])
    )
    found = condition(model, evidence, n=3000, length=5, seed=0)
    assert found.log_evidence == pytest.approx(density)
    np.testing.assert_allclose(found.mean, mean, atol=1e-9)
    assert np.abs(np.cov(found.x.T) - cov).max() < 5 * np.diag(cov).max() * (2 / 3000) ** 0.5
    if not evidence.noise:
        np.testing.assert_allclose(found.x @ weights, evidence.total, atol=1e-9)


def test_a_bridge_of_logarithms_is_that_of_the_values():
    y = np.exp(np.random.default_rng(3).normal(size=60))
    model = arproc.Transformed(arproc.AR(1), arproc.transforms.Log()).fit(y)
    found = condition(model, {2: 1.5}, n=20, length=4, prefix=y, seed=0)
    inner = condition(
        arproc.AR(1).fit(np.log(y)), {2: np.log(1.5)}, 20, 4, prefix=np.log(y), seed=0
    )
    np.testing.assert_allclose(found.x, np.exp(inner.x))
    assert found.log_evidence == pytest.approx(inner.log_evidence - np.log(1.5))
    with pytest.raises(DataError, match="value -1, which is impossible"):
        condition(model, {2: -1.0}, length=4, prefix=y)


# ---- particles against what is exact -----------------------------------------------------------


def exact_of(family):
    """Evidence about a family, a function of its draws, and both exact: log p and the mean."""
    model = process(family)
    if family == "AR":
        evidence = Known({3: 2.0}) & Sum(3.0, noise=0.5)
        found = condition(model, evidence, length=5)
        return evidence, 5, lambda x: x[:, 1], found.log_evidence, found.mean[1]
    if family == "MADE":
        every = np.array(list(itertools.product((0, 1), repeat=5)))
        mass = np.exp(model.log_prob(every)) * np.exp(0.8 * every.sum(1))
        kept = every[:, 3] == 1
        evidence = Known({3: 1}) & Likelihood(lambda x: 0.8 * x.sum(1))
        mean = (every[kept, 1] * mass[kept]).sum() / mass[kept].sum()
        return evidence, None, lambda x: x[:, 1], np.log(mass[kept].sum()), mean
    texts, _, mass = every_text(model, 4)
    kept = np.array([x[2:3] == "b" for x in texts])
    evidence = Known({2: "b"}) & Likelihood(lambda x: 0.5 * count(x))
    mass = mass * np.exp(0.5 * count(texts))
    starts = (np.array([x[:1] == "c" for x in texts]) * mass)[kept].sum()
    return (
        evidence,
        4,
        lambda x: [t[:1] == "c" for t in x],
        np.log(mass[kept].sum()),
        starts / (mass[kept].sum()),
    )


def count(texts):
    return np.array([x.count("a") for x in texts], dtype=float)


@pytest.mark.parametrize("family", ["AR", "NGram", "MADE", "Transformer", "Mixture"])
def test_particles_come_to_what_is_exact(family):
    evidence, length, function, log_evidence, mean = exact_of(family)
    found = condition(process(family), evidence, n=3000, length=length, seed=1, method="particles")
    assert found.method == "particles"
    assert 0 < found.log_evidence_error < 0.1
    # the error is told by ten sets: Student's law of nine degrees, at one in ten thousand
    assert abs(found.log_evidence - log_evidence) < 6.6 * found.log_evidence_error
    assert found.weights.sum() == pytest.approx(1)
    values = np.array(function(found.x), dtype=float)
    spread = np.sqrt(found.expectation(lambda _: (values - mean) ** 2))
    away = abs(found.expectation(lambda _: values) - mean)
    assert found.effective_sample_size > 100
    assert away < 5 * spread / found.effective_sample_size**0.5


@pytest.mark.parametrize("family", ["AR", "NGram"])
def test_the_estimate_of_the_evidence_is_unbiased_and_its_error_true(family):
    """The mean of many rough estimates; and their spread is what each says of itself."""
    if family == "AR":  # two steps above zero: Sheppard's formula
        model, evidence, length = arproc.AR.from_parameters([0.8]), Barrier(low=0.0), 2
        want = 0.25 + np.arcsin(0.8) / (2 * np.pi)
    else:
        model, evidence, length = process("NGram"), Known({2: "b"}), 4
        want = np.exp(condition(model, evidence, n=1).log_evidence)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        runs = [
            condition(model, evidence, n=20, length=length, seed=k, method="particles")
            for k in range(120)
        ]
    estimates = np.exp([run.log_evidence for run in runs])
    error = estimates.std() / len(runs) ** 0.5
    assert abs(estimates.mean() - want) < 4 * error
    assert estimates.std() > 0.02 * want
    told = np.sqrt(
        np.mean(
            [(run.log_evidence_error * e) ** 2 for run, e in zip(runs, estimates, strict=True)]
        )
    )
    assert told == pytest.approx(estimates.std(), rel=0.3)


def test_a_part_that_has_a_closed_form_is_exact_and_the_rest_by_particles():
    model = process("AR")
    both = Known({5: 2.5}) & Barrier(low=0.0)
    mixed = condition(model, both, n=2000, length=6, seed=0)
    plain = condition(model, both, n=2000, length=6, seed=1, method="particles")
    assert mixed.log_evidence_error < plain.log_evidence_error / 1.5
    off = abs(mixed.log_evidence - plain.log_evidence)
    assert off < 5 * np.hypot(mixed.log_evidence_error, plain.log_evidence_error)
    assert (mixed.x >= 0).all()
    assert (mixed.x[:, 5] == 2.5).all()
    text = condition(process("NGram"), Known({2: "b"}) & Likelihood(count), n=2000, length=4)
    texts, _, mass = every_text(process("NGram"), 4)
    mass = mass * np.exp(count(texts)) * [x[2:3] == "b" for x in texts]
    assert abs(text.log_evidence - np.log(mass.sum())) < 6.6 * text.log_evidence_error


def test_twists_and_proposals_change_the_error_and_not_the_law():
    model, share = process("AR"), 0.6
    joint = model.law_.joint(model.start(), 5)
    spread = float(joint.covariance_matrix[0].sum())
    exact = share * float(joint.mean.sum()) + share**2 * spread / 2  # E exp(share sum x)
    tilt = Likelihood(lambda x: share * x.sum(1))
    guess = Likelihood(tilt.function, lambda x: 1.2 * share * x.sum(1))
    shifted = arproc.AR.from_parameters([0.6, -0.2], mean=0.5 + share / 0.6)
    plain = condition(model, tilt, n=2000, length=5, seed=0)
    twisted = condition(model, guess, n=2000, length=5, seed=0)
    guided = condition(model, tilt, n=2000, length=5, seed=0, proposal=shifted)
    for found in (plain, twisted, guided):
        assert abs(found.log_evidence - exact) < 6.6 * found.log_evidence_error
    assert twisted.log_evidence_error < plain.log_evidence_error / 1.2
    assert guided.log_evidence_error < plain.log_evidence_error / 1.2
    ngram, transformer = process("NGram"), process("Transformer")
    guide = condition(ngram, Known({2: "cab"}), n=1).process
    free = condition(transformer, Known({2: "cab"}), n=3000, length=6, seed=0)
    led = condition(transformer, Known({2: "cab"}), n=3000, length=6, seed=0, proposal=guide)
    off = abs(free.log_evidence - led.log_evidence)
    assert off < 5 * np.hypot(free.log_evidence_error, led.log_evidence_error)
    assert all(x[2:5] == "cab" for x, w in zip(led.x, led.weights, strict=True) if w > 0)


BAD = {
    "too narrow": arproc.AR.from_parameters([0.6, -0.2], mean=0.5, sigma2=0.2),
    "elsewhere": arproc.AR.from_parameters([0.6, -0.2], mean=-2.0),
}


@pytest.mark.filterwarnings("ignore:the weight came to rest")
@pytest.mark.parametrize("name", BAD)
def test_errors_cover_the_truth_under_bad_proposals(name):
    """An interval of 95% holds the truth so often (a true one 52 times in 60, but one in 200)."""
    model, share = process("AR"), 0.3
    joint = model.law_.joint(model.start(), 3)
    spread = float(joint.covariance_matrix[0].sum())
    exact = share * float(joint.mean.sum()) + share**2 * spread / 2
    tilt = Likelihood(lambda x: share * x.sum(1))
    runs = [condition(model, tilt, n=200, length=3, seed=k, proposal=BAD[name]) for k in range(60)]
    off = np.array([run.log_evidence - exact for run in runs])
    told = np.array([run.log_evidence_error for run in runs])
    assert (np.abs(off) < stats.t(9).ppf(0.975) * told).sum() >= 52
    estimates = np.exp(off)
    assert abs(estimates.mean() - 1) < 4 * estimates.std() / len(runs) ** 0.5
    assert max(run.weights.max() * 200 for run in runs) < 5 * np.exp(3.5)


def test_a_proposal_with_holes_is_no_harm():
    """One that draws a single text, whatever the model holds possible."""
    text, evidence = process("NGram"), Known({2: "b"}) & Likelihood(count)
    hole = text.with_policy(TopK(1))
    texts, _, mass = every_text(text, 4)
    mass = mass * np.exp(count(texts)) * [x[2:3] == "b" for x in texts]
    found = condition(text, evidence, n=2000, length=4, proposal=hole, seed=0)
    assert abs(found.log_evidence - np.log(mass.sum())) < 6.6 * found.log_evidence_error
    assert len({x for x, w in zip(found.x, found.weights, strict=True) if w}) > 10


def test_messages_of_a_cheaper_process_are_a_twist():
    """A word late in a text of a model that learns as it goes, by help of one that does not."""
    said = ["the cat sat on the mat", "a cat ate the rat", "the rat sat", "that hat"] * 3
    costly = arproc.PPM(order=3, tokens="char").fit(said)
    cheap = arproc.PPM(order=3, tokens="char", adaptive=False).fit(said)
    word = Known({8: "rat"})
    free = condition(costly, word, n=500, length=14, seed=0)
    led = condition(costly, word, n=500, length=14, seed=0, proposal=cheap)
    assert led.log_evidence_error < free.log_evidence_error / 3
    assert led.effective_sample_size > 5 * free.effective_sample_size
    off = abs(free.log_evidence - led.log_evidence)
    assert off < 6.6 * np.hypot(free.log_evidence_error, led.log_evidence_error)
    assert all(x[8:11] == "rat" for x, w in zip(led.x, led.weights, strict=True) if w)


def test_models_that_learn_as_they_go_are_no_machines():
    adaptive = arproc.PPM(order=2, tokens="char").fit(TEXT)
    assert adaptive.law_.machine() is None
    found = condition(adaptive, Known({1: "c"}), n=2000, length=3, seed=0)
    texts, _, mass = every_text(adaptive, 3)
    want = np.log(mass[[x[1:2] == "c" for x in texts]].sum())
    assert abs(found.log_evidence - want) < 6.6 * found.log_evidence_error
    frozen = arproc.PPM(order=2, tokens="char", adaptive=False).fit(TEXT)
    texts, _, mass = every_text(frozen, 3)
    found = condition(frozen, Known({1: "c"}), n=10, length=3)
    assert found.method == "exact"
    assert found.log_evidence == pytest.approx(
        np.log(mass[[x[1:2] == "c" for x in texts]].sum()), abs=1e-5
    )


def test_counts_and_levels_within_barriers():
    process_, later = Counter().fit([1, 2]), 9
    found = condition(process_, {1: later}, n=4000, length=2, prefix=[2, 1], seed=0)
    k = np.arange(30)
    mass = stats.poisson(1 + 3 / 12).pmf(k) * stats.poisson(1 + (3 + k) / 13).pmf(later)
    assert abs(found.log_evidence - np.log(mass.sum())) < 6.6 * found.log_evidence_error
    low = condition(process_, Barrier(low=[2, -np.inf]), n=4000, length=2, prefix=[2, 1], seed=0)
    want = np.log(stats.poisson(1 + 3 / 12).sf(1))
    assert low.log_evidence == pytest.approx(want)  # one step, which is drawn within it
    assert (low.x[low.weights > 0, 0] >= 2).all()
    total = condition(process_, Sum(4), n=4000, length=2, prefix=[2, 1], seed=0)
    k = np.arange(5)
    mass = stats.poisson(1.25).pmf(k) * stats.poisson(1 + (3 + k) / 13).pmf(4 - k)
    assert abs(total.log_evidence - np.log(mass.sum())) < 6.6 * total.log_evidence_error
    made = process("MADE")
    every = np.array(list(itertools.product((0, 1), repeat=5)))
    found = condition(made, Barrier(high=[1, 0, 1, 1, 0]), n=500, seed=0)
    kept = (every[:, [1, 4]] == 0).all(1)
    want = np.log(np.exp(made.log_prob(every))[kept].sum())
    assert abs(found.log_evidence - want) < 6.6 * found.log_evidence_error + 1e-6


# ---- forms, seeds, errors ----------------------------------------------------------------------


def test_the_same_seed_gives_the_same_draws():
    for evidence in (Known({2: "b"}), Likelihood(count)):
        one, two = (condition(process("NGram"), evidence, 40, 5, seed=3) for _ in range(2))
        assert one.x == two.x
        assert one.log_evidence == two.log_evidence
    found = condition(process("AR"), Barrier(low=0), n=100, length=4, seed=0)
    again = found.resample(50, seed=1)
    assert again.shape == (50, 4)
    assert (again >= 0).all()
    exact = condition(process("AR"), {1: 0.5}, n=100, length=4, seed=0)
    assert found.quantiles([0.5]).shape == exact.quantiles([0.5]).shape == (1, 4)
    assert found.mean.shape == (4,)
    assert "exact" in repr(exact)


def test_contexts_are_those_of_prefix_and_future():
    rng = np.random.default_rng(0)
    y, c = rng.normal(size=60), rng.normal(size=(60, 1))
    model = arproc.AR(1, regressors="mean").fit(y + c[:, 0], context=c)
    future = np.vstack([c, [[3.0], [-3.0], [0.0]]])
    found = condition(model, {2: 0.0}, n=5, length=3, prefix=y, context=future)
    table = model.forecast(y, 3, context=future, known=[NAN, NAN, 0.0])
    np.testing.assert_allclose(found.mean, table["mean"])


@pytest.mark.parametrize(
    ("family", "evidence", "kind", "words"),
    [
        ("AR", {9: 1.0}, ParameterError, "position 9; the 4 elements"),
        ("AR", {1: "b"}, DataError, "position 1 can not be read as numbers"),
        ("AR", {}, ParameterError, "holds no values"),
        ("AR", [NAN] * 4, ParameterError, "holds no values"),
        ("AR", [1.0] * 5, DataError, r"shape \[5\].*at most"),
        ("AR", "b", ParameterError, "evidence must be"),
        ("AR", EndsAt(3), UnsupportedError, "EndsAt is for processes whose sequences end"),
        ("AR", Likelihood(lambda x: x), DataError, "one log-likelihood for each"),
        ("AR", Likelihood(lambda x: x[:, 0] * np.nan), DataError, "none NaN"),
        ("AR", Known({1: 1.0}) & Sum(1.0, weights=[0, 1]), DataError, "determine one another"),
        ("NGram", {1: "z"}, DataError, "z"),
        ("NGram", {1: "ab", 2: "c"}, ParameterError, "two values for position 2"),
        ("NGram", Barrier(low=0), UnsupportedError, "Barrier is for processes of real numbers"),
        ("NGram", Sum(3), UnsupportedError, "Sum is for processes of numbers"),
        ("NGram", EndsAt(2) & Known({3: "a"}), DataError, "probability zero"),
    ],
)  # fmt: skip
def test_evidence_that_does_not_fit_is_refused(family, evidence, kind, words):
    with pytest.raises(kind, match=words):
        condition(process(family), evidence, n=20, length=None if family == "NGram" else 4)


def test_arguments_that_are_wrong_are_refused():
    ar, text = process("AR"), process("NGram")
    with pytest.raises(ParameterError, match="length is needed"):
        condition(ar, {1: 0.0})
    with pytest.raises(ParameterError, match="n is 25; expected a multiple of 10"):
        condition(ar, Barrier(low=0), n=25, length=3)
    with pytest.raises(UnsupportedError, match="no closed form"):
        condition(ar, Barrier(low=0), length=3, method="exact")
    with pytest.raises(ParameterError, match="method must be"):
        condition(ar, {1: 0.0}, length=3, method="gibbs")
    with pytest.raises(ParameterError, match="proposal must be a process of the same"):
        condition(ar, {1: 0.0}, length=3, proposal=text)
    with pytest.raises(ParameterError, match="leave it out"):
        condition(process("MADE"), {1: 0}, length=3)
    with pytest.raises(DataError, match="impossible under this model, or after what its 20"):
        condition(process("MADE"), Likelihood(lambda x: np.full(len(x), -np.inf)), n=20)
    with pytest.raises(ParameterError, match="joins with evidence"):
        Known({1: 0.0}) & {2: 1.0}
    with pytest.warns(UserWarning, match=r"came to rest on \d"):
        condition(ar, Sum(30.0, noise=0.1) & Barrier(low=-99), n=20, length=3, seed=0,
                  method="particles")  # fmt: skip
    for wrong in (
        {"total": 1.0, "low": 0.0},
        {},
        {"low": 2.0, "high": 1.0},
        {"low": 1, "noise": 1},
    ):
        with pytest.raises(ParameterError):
            Sum(**wrong)
    for wrong in ({}, {"low": [[1.0]]}, {"high": NAN}):
        with pytest.raises(ParameterError):
            Barrier(**wrong)
