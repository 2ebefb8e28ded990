"""Entropy rates: against closed forms, exactly where they are exact."""

import numpy as np
import pytest
import torch
from evaluation.toys import Chain, CorrelatedPairs, GaussianAR, PoissonAR
from scipy import stats

import arproc
from arproc.errors import DataError, ParameterError
from arproc.evaluation import entropy_rate

MATRIX = np.array([[0.1, 0.6, 0.3], [0.5, 0.2, 0.3], [0.2, 0.2, 0.6]])


def rows_entropy(p):
    return -(p * np.log(np.where(p > 0, p, 1))).sum(-1)


def stationary(matrix):
    values, vectors = np.linalg.eig(matrix.T)
    v = np.real(vectors[:, np.argmax(np.real(values))])
    return v / v.sum()


def test_a_markov_chain_is_exact():
    found = entropy_rate(Chain(MATRIX, start=[0.5, 0.25, 0.25]))
    assert found.method == "exact"
    assert found.se == 0
    assert found.nats == pytest.approx(stationary(MATRIX) @ rows_entropy(MATRIX), rel=1e-12)
    assert found.bits == pytest.approx(found.nats / np.log(2))


def test_periods_and_classes():
    turn = Chain([[0.0, 1.0, 0.0], [0.5, 0.0, 0.5], [0.0, 1.0, 0.0]])
    assert entropy_rate(turn).nats == pytest.approx(np.log(2) / 2)
    # from the start one of two classes is entered, for ever
    split = Chain([[1.0, 0.0, 0.0], [0.0, 0.5, 0.5], [0.0, 0.5, 0.5]], start=[0.25, 0.75, 0.0])
    assert entropy_rate(split).nats == pytest.approx(0.75 * np.log(2))


def test_sequences_that_end_are_whole_ones():
    """p(end) = q at each step: the entropy of a sequence is that of a step over q."""
    chain = Chain([[0.5, 0.3, 0.2]] * 3, end=True)
    step = rows_entropy(np.array([0.5, 0.3, 0.2]))
    assert entropy_rate(chain).nats == pytest.approx(step)  # 1 / q terms, the end among them
    start = Chain([[0.1, 0.1, 0.8], [0.5, 0.3, 0.2]], start=[1.0, 0.0, 0.0], end=True)
    # first a certain 0; then each 0 is followed by 0, 1, end with 0.1, 0.1, 0.8 ...
    steps = np.array([[0.1, 0.1], [0.5, 0.3]])
    visits = np.linalg.inv(np.eye(2) - steps)[0]
    rows = rows_entropy(np.array([[0.1, 0.1, 0.8], [0.5, 0.3, 0.2]]))
    want = visits @ rows / (1 + visits.sum())
    assert entropy_rate(start).nats == pytest.approx(want)


def test_n_grams_are_machines_too():
    model = arproc.NGram(2, "witten_bell", tokens=arproc.Tokens("char", end=False)).fit(
        ["abcabdabc" * 5]
    )
    found = entropy_rate(model)
    assert found.method == "exact"
    long = model.sample(1, length=20_000, seed=0)
    simulated = -model.log_prob_terms(long[0] if isinstance(long, list) else long)
    error = simulated.std() / np.sqrt(len(simulated))
    assert found.nats == pytest.approx(simulated.mean(), abs=5 * error)


@pytest.mark.parametrize("coef", [[], [0.9], [0.5, -0.3]])
def test_autoregressions_are_exact(coef):
    model = arproc.AR.from_parameters(coef, sigma2=2.5)
    found = entropy_rate(model, n=2, length=5)
    assert found.nats == pytest.approx(0.5 * np.log(2 * np.pi * np.e * 2.5), rel=1e-9)
    assert (found.se, found.method) == (0, "conditionals")


def test_vectors_and_counts():
    covariance = np.array([[2.0, 0.9], [0.9, 1.0]])
    want = stats.multivariate_normal(cov=covariance).entropy()
    assert entropy_rate(CorrelatedPairs(), n=2).nats == pytest.approx(want)
    found = entropy_rate(PoissonAR(2.0, 0.0), n=40, length=25, burn_in=0)
    assert found.method == "surprisals"  # torch has no entropy of Poisson's law
    assert found.nats == pytest.approx(stats.poisson(2.0).entropy(), abs=4 * found.se)
    assert 0 < found.se < 0.05


def test_examples_of_a_fixed_size():
    rng = np.random.default_rng(0)
    law = Chain(torch.tensor(MATRIX), start=[0.5, 0.25, 0.25], length=4)
    p, total = np.array([0.5, 0.25, 0.25]), rows_entropy(np.array([0.5, 0.25, 0.25]))
    for _ in range(3):
        total += p @ rows_entropy(MATRIX)
        p = p @ MATRIX
    found = entropy_rate(law, n=600, seed=int(rng.integers(9)))
    assert found.nats == pytest.approx(total / 4, abs=4 * found.se)


def test_what_has_no_rate_is_told():
    with pytest.raises(DataError, match="begins after its first 1 given values"):
        entropy_rate(GaussianAR(0.5, given=1))
    with pytest.raises(ParameterError, match="n must be at least 2"):
        entropy_rate(GaussianAR(0.5), n=1)
