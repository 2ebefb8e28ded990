"""The parts of `fidelity` against slow and plain computations."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from evaluation.synthetic import laws
from scipy import stats

import arproc
from arproc.compiled.interpreted import nothing_interpreted
from arproc.evaluation import holm
from arproc.evaluation.synthetic.copies import longest_copies
from arproc.evaluation.synthetic.dynamics import levinson
from arproc.evaluation.synthetic.neighbours import Points
from arproc.evaluation.synthetic.reading import read_sets
from arproc.evaluation.synthetic.relabelling import Moments, Relabelling, p_of, ranks
from arproc.evaluation.synthetic.symbols import distinct, gone
from arproc.evaluation.synthetic.two_sample import area, mean_discrepancy
from arproc.evaluation.synthetic.usefulness import usefulness

RNG = np.random.default_rng


def _texts(rng, n, letters="ab"):
    return ["".join(rng.choice(list(letters), rng.integers(1, 9))) for _ in range(n)]


def _longest(text, others):
    """The length of the longest piece of a text that stands in one of the others."""
    return max(
        (
            j - i
            for i in range(len(text))
            for j in range(i + 1, len(text) + 1)
            if any(text[i:j] in other for other in others)
        ),
        default=0,
    )


@pytest.mark.parametrize("letters", ["ab", "abcdefghijklmnopqrstuvwxyz" * 4])
@pytest.mark.parametrize("seed", range(2))
def test_longest_copies_are_those_of_a_plain_search(seed, letters):
    rng = RNG(seed)
    train, holdout, synthetic = (_texts(rng, n, letters) for n in (12, 9, 11))
    pool = read_sets(train, holdout, synthetic, "text")
    texts = train + holdout + synthetic
    of_train, of_any = longest_copies(pool)
    for i, text in enumerate(texts):
        if i >= len(train):
            assert of_train.length[i] == _longest(text, train), text
        assert of_any.length[i] == _longest(text, texts[:i] + texts[i + 1 :])
    flat = "".join(texts)
    for copies in (of_train, of_any):
        for size, begin, source in zip(*copies, strict=True):
            if size:
                assert flat[begin : begin + size] == flat[source : source + size]
    assert (
        pool.group[pool.unit[of_train.source[len(train) :][of_train.length[12:] > 0]]] == 0
    ).all()


def test_longest_copies_of_numbers_compiled():
    rng = RNG(0)
    train, holdout, synthetic = (rng.normal(size=(20, 30)) for _ in range(3))
    synthetic[3, 4:21] = train[7, 10:27]
    with nothing_interpreted():
        found, _ = longest_copies(read_sets(train, holdout, synthetic, "series"))
    assert found.length[43] == 17
    assert found.length[40:].sum() == 17
    assert (found.begin[43], found.source[43]) == (43 * 30 + 4, 7 * 30 + 10)


def test_copies_go_on_beyond_blocks_of_one_text():
    rng = RNG(0)
    train, holdout, fresh = ("".join(rng.choice(list("abcdefgh"), 4000)) for _ in range(3))
    synthetic = fresh[:1000] + train[500:900] + fresh[1000:]
    pool = read_sets(train, holdout, synthetic, "text")
    assert pool.blocks
    found, _ = longest_copies(pool)
    assert 400 <= found.length.max() <= 403
    rows = pool.of(2)
    assert (found.length[rows] > 100).sum() >= 300 // pool.blocks


@pytest.mark.parametrize("compiled", [False, True])
def test_nearest_neighbours_are_those_of_all_distances(compiled):
    rng = RNG(0)
    pool = read_sets(*(rng.normal(size=(n, 3)) for n in (30, 20, 25)), "table")
    points = Points(pool, torch.from_numpy(rng.normal(size=(75, 3))).float(), RNG(1))
    x = points.x.double().numpy()
    every = np.arange(75)
    square = ((x[:, None] - x) ** 2).sum(-1)
    np.fill_diagonal(square, np.inf)
    if compiled:
        with nothing_interpreted():
            distance, place = points.nearest(every, every, 3, itself=True)
    else:
        distance, place = points.nearest(every, every, 3, itself=True)
    assert (place == square.argsort(1)[:, :3]).all()
    assert distance == pytest.approx(np.sqrt(np.sort(square, 1)[:, :3]), rel=1e-5)
    some = rng.permutation(75)[:40]
    _, other = points.nearest(every, some, 1)
    np.fill_diagonal(square, 0)
    assert (some[other[:, 0]] == some[square[:, some].argmin(1)]).all()


def test_partial_autocorrelations_solve_yule_walker():
    rng = RNG(0)
    x = laws.ar(rng, 1, 500)[0]
    r = np.array([(x[k:] * x[: 500 - k]).sum() for k in range(8)])
    r = r / r[0]
    found = levinson(r[None])[0]
    for p in range(1, 8):
        toeplitz = r[np.abs(np.subtract.outer(np.arange(p), np.arange(p)))]
        assert found[p - 1] == pytest.approx(np.linalg.solve(toeplitz, r[1 : p + 1])[-1])


def test_a_relabelling_counts_what_it_says():
    rng = RNG(0)
    values = rng.normal(size=(50, 4))
    dealt = Relabelling(np.arange(10, 30), np.arange(30, 50), 99, rng)
    assert (dealt.dealt.sum(1) == 20).all()
    assert dealt.dealt[0].tolist() == [True] * 20 + [False] * 20
    mine, theirs = dealt.sums(values)
    assert mine[0] == pytest.approx(values[10:30].sum(0))
    assert mine + theirs == pytest.approx(np.broadcast_to(values[10:].sum(0), mine.shape))
    moments = Moments(list("abcd"), values, np.ones((50, 1)))
    shown = dealt.statistics(moments)[0]
    assert shown[5] == pytest.approx(values[dealt.units[dealt.dealt[5]]].mean(0), abs=1e-6)


def test_its_p_values_are_uniform_for_one_law_whatever_that_is():
    rng = RNG(1)
    p = []
    for _ in range(80):
        values = np.exp(3 * rng.normal(size=(24, 1))) * np.ones((1, 3))  # far from normal
        values[:, 1] **= 2
        dealt = Relabelling(np.arange(8), np.arange(8, 24), 99, rng)
        p.append(dealt.largest(Moments(list("abc"), values, np.ones((24, 1)))).p_value)
    assert stats.kstest(p, "uniform").pvalue > 0.01


def test_ranks_are_scipys():
    x = RNG(0).integers(0, 5, 40).astype(float)
    assert ranks(x).tolist() == stats.rankdata(x).tolist()


def test_the_area_is_that_of_all_pairs():
    rng = RNG(0)
    a, b = rng.integers(0, 6, 30) + 1.0, rng.integers(0, 6, 40).astype(float)
    found = area(a, b, rng, 999)
    pairs = np.subtract.outer(a, b)
    assert found.value == pytest.approx((pairs > 0).mean() + 0.5 * (pairs == 0).mean())
    exact = stats.mannwhitneyu(a, b, alternative="greater").pvalue
    assert found.p_value == pytest.approx(exact, abs=0.02)
    assert found.low95 < found.value < found.high95
    spread = (found.high95 - found.low95) / 3.92
    boot = [
        area(rng.choice(a, 30), rng.choice(b, 40), rng, 1).value for _ in range(300)
    ]  # the interval is about that of resampling
    assert np.std(boot) == pytest.approx(spread, rel=0.2)


def test_the_mean_discrepancy_is_that_of_its_definition():
    rng = RNG(0)
    x = torch.from_numpy(rng.normal(size=(24, 2)))
    found, p = mean_discrepancy(x, np.arange(10), np.arange(10, 24), rng, 199)
    square = torch.cdist(x, x) ** 2
    middle = square[square > 0].median()
    kernel = sum(torch.exp(-square * s / middle) for s in (0.25, 1, 4)).numpy()
    np.fill_diagonal(kernel, 0)
    a, b = kernel[:10, :10].sum() / 90, kernel[10:, 10:].sum() / (14 * 13)
    assert found == pytest.approx(a + b - 2 * kernel[:10, 10:].mean(), rel=1e-6)
    assert 0 < p <= 1


def test_distinct_runs_are_those_of_a_set():
    rng = RNG(0)
    sets = [_texts(rng, 20, "abc") for _ in range(3)]
    pool = read_sets(*sets, "text")
    dealt = Relabelling(pool.of(2), pool.of(0), 3, rng)
    mine, theirs = distinct(pool, 2, dealt)
    for found, texts in ((mine, sets[2]), (theirs, sets[0])):
        assert found[0] == len({t[i : i + 2] for t in texts for i in range(len(t) - 1)})


def test_a_category_that_is_gone_has_the_hypergeometric_chance():
    import pandas as pd

    real = pd.DataFrame({"k": ["a"] * 30 + ["b"] * 10})
    pool = read_sets(real, None, pd.DataFrame({"k": ["a"] * 25}), "table")
    name, units, p = gone(pool, pool.of(0), pool.of(2))
    assert (name, units) == ("'b'", 10)
    assert p == pytest.approx(2 * stats.hypergeom.pmf(0, 65, 10, 25))


def test_holm_steps_down():
    p = np.array([0.03, 0.005, np.nan, 0.9, 0.01])
    assert holm(p)[[0, 1, 3, 4]] == pytest.approx([0.06, 0.02, 0.9, 0.03])
    assert np.isnan(holm(p)[2])


def test_usefulness_is_the_loss_of_a_regression():
    rng = RNG(0)
    sets = [laws.ar(rng, n, 30) for n in (30, 20, 30)]
    pool = read_sets(*sets, "series")
    found = usefulness(pool, Relabelling(pool.of(2), pool.of(0), 19, rng))

    def lagged(x):
        x = (x - np.concatenate(sets).mean()) / np.concatenate(sets).std()
        past = np.stack([x[:, 4 - k : 29 - k].ravel() for k in range(5)], 1)
        return np.concatenate([past, np.ones((len(past), 1))], 1), x[:, 5:].ravel()

    for shown, data in ((found.real, sets[0]), (found.synthetic, sets[2])):
        past, now = lagged(data)
        gram = past.T @ past / len(now) + 1e-3 * np.eye(6)
        line = np.linalg.solve(gram, past.T @ now / len(now))
        past, now = lagged(sets[1])
        loss = ((now - past @ line) ** 2).mean() / (now**2).mean()
        assert shown == pytest.approx(loss, rel=1e-6)


def test_usefulness_of_columns_is_the_loss_of_a_regression():
    rng = RNG(0)
    sets = [rng.normal(size=(n, 3)) @ np.array([[1, 0.5, 0], [0, 1, 0.5], [0, 0, 1]])
            for n in (60, 40, 60)]  # fmt: skip
    pool = read_sets(*sets, "table")
    found = usefulness(pool, Relabelling(pool.of(2), pool.of(0), 19, rng))
    z = np.concatenate([pool.scores, np.ones((160, 1))], axis=1)
    loss = []
    for j in range(3):
        past = np.delete(z, j, 1)
        own, held = pool.of(0), pool.of(1)
        gram = past[own].T @ past[own] / 60 + 1e-3 * np.eye(3)
        line = np.linalg.solve(gram, past[own].T @ z[own, j] / 60)
        error = z[held, j] - past[held] @ line
        loss.append((error**2).mean() / (z[held, j] ** 2).mean())
    assert found.real == pytest.approx(np.mean(loss), rel=2e-3)


def test_p_counts_the_way_that_came():
    assert p_of(np.array([3.0, 1.0, 2.0, 3.0])) == 0.5


def test_equally_near_units_favour_no_set():
    same = np.ones((60, 2))
    rows = ["diversity", "distance to train"]
    result = arproc.fidelity(same, same[:40], same, kind="table", rows=rows)
    assert result.passed
    assert result["self-similarity"].synthetic == pytest.approx(1, abs=0.35)
    assert result["coverage"].synthetic == pytest.approx(1, abs=0.35)
    rng = RNG(0)
    p = []
    for seed in range(40):
        sets = [rng.integers(0, 2, (n, 4)) for n in (40, 30, 40)]
        found = arproc.fidelity(*sets, kind="table", rows="self-similarity", seed=seed)
        p.append(found.rows[0].p_value)
    assert stats.kstest(p, "uniform").pvalue > 0.001
