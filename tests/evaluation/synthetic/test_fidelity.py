"""`fidelity` passes fresh data of the true law, and each planted fault fails in its own row."""

from __future__ import annotations

import numpy as np
import pytest
from evaluation.synthetic import laws
from evaluation.synthetic.laws import LAWS, ar, picked, together

import arproc
from arproc.evaluation.synthetic.rows import ROWS


def _three(law, rng, n=60):
    return law(rng, n), law(rng, 2 * n // 3), law(rng, n)


# ---- fresh data pass ------------------------------------------------------------------------


@pytest.mark.parametrize("name", LAWS)
def test_fresh_data_pass(name):
    result = arproc.fidelity(*_three(LAWS[name], np.random.default_rng([3, 0])))
    assert result.passed, result.failed
    assert sum(row.passed is not None for row in result.rows) >= 9


@pytest.mark.slow
@pytest.mark.parametrize("name", LAWS)
def test_fresh_data_fail_at_the_stated_rate(name):
    results = [
        arproc.fidelity(*_three(LAWS[name], np.random.default_rng([seed, 11])), seed=seed)
        for seed in range(120)
    ]
    # of 120 at 5%, more than 12 come once in a hundred times
    assert sum(not result.passed for result in results) <= 12
    for row in results[0].rows:
        p = np.array([result[row.name].p_value for result in results])
        p = p[~np.isnan(p)]
        if len(p) > 60:
            assert (p <= 0.05).mean() <= 0.05 + 3.5 * np.sqrt(0.05 * 0.95 / len(p)), row.name


# ---- planted faults -------------------------------------------------------------------------


def _memorised(law, share):
    def make(rng, train):
        n = len(train)
        rows = rng.choice(n, int(n * share), replace=False)
        return together(picked(train, rows), law(rng, n - len(rows)))

    return make


def _collapsed(law):
    return lambda rng, train: picked(law(rng, 6), rng.integers(0, 6, len(train)))


def _noisy_copies(rng, train):
    rows = rng.choice(len(train), len(train) // 3, replace=False)
    return together(
        train[rows] + 0.1 * rng.normal(size=train[rows].shape), ar(rng, len(train) - len(rows))
    )


def _uncrossed(rng, train):
    parts = [laws.vectors(rng, len(train))[..., j] for j in range(3)]
    return np.stack(parts, axis=-1)


def _lacking(rng, train):
    drawn = laws.table(rng, 3 * len(train))
    return drawn[drawn.kind != "e"].head(len(train)).reset_index(drop=True)


def _unpaired(rng, train):
    return laws.table(rng, len(train)).assign(b=laws.table(rng, len(train)).b)


def _heavy(rng, train):
    return ar(rng, len(train)) * np.exp(0.5 * rng.normal(size=train.shape))


def _restless(rng, train):
    scale = np.repeat(rng.choice([0.3, 1.38], (len(train), 4)), 10, axis=1)
    return rng.normal(size=train.shape) * scale


def _lost_mode(rng, train):
    drawn = laws.images(rng, 4 * len(train))
    return drawn[drawn[:, 3, 3] > 0][: len(train)]


def _permuted(rng, train):
    return [list(rng.permutation(row)) for row in laws.symbols(rng, len(train))]


def _copied_passage(rng, train):
    return np.concatenate([train[300:800], laws.single(rng, 80)[500:]])


def _white(rng, n):
    return rng.normal(size=(n, 40))


FAULTS = {
    "variance too high": (ar, lambda r, t: 1.2 * ar(r, len(t)), {"level and spread", "marginal"}),
    "variance too low": (ar, lambda r, t: 0.8 * ar(r, len(t)), {"level and spread", "marginal"}),
    "level off": (ar, lambda r, t: ar(r, len(t)) + 0.4, {"level and spread"}),
    "tails too heavy": (ar, _heavy, {"extremes"}),
    "too little memory": (ar, lambda r, t: ar(r, len(t), coef=0.4), {
        "autocorrelation", "partial autocorrelation", "spectrum", "transitions", "usefulness"}),
    "season missing": (laws.seasonal, lambda r, t: ar(r, len(t), 48), {
        "season", "spectrum", "autocorrelation", "profile"}),
    "time shuffled": (ar, lambda r, t: r.permuted(ar(r, len(t)), axis=1), {
        "autocorrelation", "runs", "transitions", "spectrum"}),
    "calm and restless times": (_white, _restless, {"autocorrelation of squares"}),
    "series memorised": (ar, _memorised(ar, 0.2), {"longest copy", "distance to train"}),
    "half of train memorised": (ar, _memorised(ar, 0.8), {"longest copy", "membership"}),
    "near copies": (ar, _noisy_copies, {"distance to train"}),
    "series collapsed": (ar, _collapsed(ar), {"self-similarity", "coverage"}),
    "one passage copied": (laws.single, _copied_passage, {"longest copy"}),
    "cross-correlation broken": (laws.vectors, _uncrossed, {"cross-correlation"}),
    "rare category gone": (laws.table, _lacking, {"categories gone"}),
    "columns independent": (laws.table, _unpaired, {"cross-correlation"}),
    "rows memorised": (laws.table, _memorised(laws.table, 0.3), {"longest copy"}),
    "images lost": (laws.images, _lost_mode, {"pixels", "coverage", "classifier", "kernel"}),
    "symbols shuffled": (laws.symbols, _permuted, {"pairs", "4-grams"}),
    "symbols collapsed": (laws.symbols, _collapsed(laws.symbols), {"distinct 4-grams"}),
    "texts memorised": (laws.text, _memorised(laws.text, 0.3), {"longest copy"}),
    "texts collapsed": (laws.text, _collapsed(laws.text), {"distinct pairs of words", "words"}),
    "texts too long": (laws.text, lambda r, t: [a + " " + b for a, b in zip(
        laws.text(r, len(t)), laws.text(r, len(t)), strict=True)], {"lengths"}),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_fails_in_its_row(name):
    law, make, rows = FAULTS[name]
    rng = np.random.default_rng([4, 1])
    train, holdout = law(rng, 150), law(rng, 100)
    result = arproc.fidelity(train, holdout, make(rng, train), rows=rows)
    assert set(result.failed) == rows
    assert not result.passed
    # they would fail among all rows of any kind too
    assert all(row.p_value * 22 < 0.05 for row in result.rows)
    assert all(row.verdict != "no difference found" for row in result.rows)


def test_most_rows_see_a_gross_fault():
    train, holdout, fresh = _three(ar, np.random.default_rng(0))
    assert len(arproc.fidelity(train, holdout, fresh.cumsum(1)).failed) > 10


def test_every_row_has_a_fault_that_it_refuses():
    caught = {row for _, _, rows in FAULTS.values() for row in rows}
    # tested on their own below: the judge, and what only some kinds of text and images show
    others = {"frequencies", "likelihood", "runs of symbols", "neighbouring pixels"}
    assert {row.name for row in ROWS} == caught | others


def test_pixels_beside_each_other():
    rng = np.random.default_rng(0)
    train, holdout, fresh = _three(laws.images, rng, 100)
    order = rng.permutation(64)
    shuffled = fresh.reshape(-1, 64)[:, order].reshape(fresh.shape)
    result = arproc.fidelity(train, holdout, shuffled, rows=["neighbouring pixels"])
    row = result["neighbouring pixels"]
    assert row.passed is False
    assert row.holdout > row.synthetic + 0.1


def test_repeated_symbols_and_rare_ones():
    rng = np.random.default_rng(0)
    train, holdout, fresh = _three(laws.symbols, rng, 100)
    doubled = [[s for s in row[:20] for _ in range(2)] for row in fresh]
    rows = ["runs of symbols", "frequencies"]
    assert "runs of symbols" in arproc.fidelity(train, holdout, doubled, rows=rows).failed
    renamed = [["a" if s == "b" and rng.random() < 0.5 else s for s in row] for row in fresh]
    assert "frequencies" in arproc.fidelity(train, holdout, renamed, rows=rows).failed


def test_the_judge_is_a_third_model():
    rng = np.random.default_rng(0)
    judge = arproc.AR(1, trend="n").fit(ar(rng, 30))
    train, holdout, fresh = _three(ar, rng)
    same = arproc.fidelity(train, holdout, fresh, judge=judge, rows="likelihood")["likelihood"]
    assert same.passed
    wrong = arproc.fidelity(train, holdout, 1.5 * fresh, judge=judge, rows="likelihood")[
        "likelihood"
    ]
    assert wrong.passed is False
    assert wrong.synthetic < wrong.holdout or "share" in wrong.statistic
    mean = judge.log_prob(holdout).sum() / holdout.size
    shown = same.holdout if "mean" in same.statistic else mean
    assert shown == pytest.approx(mean)


def test_the_judge_scores_blocks_of_one_series():
    rng = np.random.default_rng(0)
    judge = arproc.AR(1, trend="n").fit(ar(rng, 30))
    train, holdout, fresh = (laws.single(rng, 40) for _ in range(3))
    assert arproc.fidelity(train, holdout, fresh, judge=judge, rows="likelihood")[
        "likelihood"
    ].passed
    found = arproc.fidelity(train, holdout, 1.5 * fresh, judge=judge, rows="likelihood")
    assert found["likelihood"].passed is False


# ---- what it says ---------------------------------------------------------------------------


def test_without_a_holdout_the_rows_that_need_it_say_so():
    train, _, fresh = _three(ar, np.random.default_rng(0))
    result = arproc.fidelity(train, None, fresh, rows=["novelty", "usefulness", "diversity"])
    need = [row for row in result.rows if "needs a hold-out" in row.verdict]
    names = {row.name for row in need}
    assert names == {"longest copy", "distance to train", "membership", "usefulness"}
    assert all(row.passed is None and np.isnan(row.p_value) for row in need)
    assert result.passed
    assert result.n_holdout == 0
    assert any("no hold-out" in note for note in result.notes)


def test_the_same_data_give_the_same_result():
    sets = _three(ar, np.random.default_rng(0))
    first, second = (arproc.fidelity(*sets, rows=["together", "diversity"]) for _ in range(2))
    assert first.to_frame().equals(second.to_frame())


def test_the_table_and_what_is_printed():
    train, holdout, fresh = _three(ar, np.random.default_rng(0))
    result = arproc.fidelity(train, holdout, 2 * fresh, rows="distribution")
    frame = result.to_frame()
    assert list(frame.index) == [row.name for row in result.rows]
    assert frame.loc["level and spread", "statistic"] == "standard deviation"
    pooled = np.concatenate([train, holdout]).std()
    assert frame.loc["level and spread", "synthetic"] == pytest.approx((2 * fresh).std(), rel=0.01)
    assert frame.loc["level and spread", "train"] == pytest.approx(pooled, rel=0.1)
    tested = frame.p_value.notna()
    assert (frame.adjusted[tested] >= frame.p_value[tested]).all()
    assert "FAIL  level and spread" in str(result)
    assert "standard deviation is too high" in str(result)
    assert result["level and spread"].passed is False
    with pytest.raises(KeyError, match="there are"):
        result["no such row"]


def test_a_lost_holdout_shows_in_its_own_column():
    rng = np.random.default_rng(0)
    sets = ar(rng, 60), 2 * ar(rng, 60), ar(rng, 60)
    result = arproc.fidelity(*sets, rows="distribution")
    assert result["level and spread"].p_holdout < 0.01


def test_a_random_walk_is_told():
    rng = np.random.default_rng(0)
    walks = [rng.normal(size=2000).cumsum() for _ in range(3)]
    result = arproc.fidelity(*walks, rows="autocorrelation")
    assert any("blocks are alike" in note for note in result.notes)


def test_too_few_permutations_to_fail_are_refused():
    sets = _three(ar, np.random.default_rng(0))
    with pytest.raises(arproc.errors.ParameterError, match=r"permutations=99 .*at least 840"):
        arproc.fidelity(*sets, permutations=99)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"alpha": 0}, "alpha must be a number above 0"),
        ({"season": 1}, "season must be at least 2"),
        ({"judge": "AR"}, "judge must be a fitted arproc model"),
        ({"kind": "audio"}, "kind must be one of"),
        ({"seed": -1}, "seed must be at least 0"),
        ({"rows": "colour"}, "no row or family of series; expected some of 'distribution'"),
        ({"rows": []}, "rows is empty"),
    ],
)
def test_wrong_arguments(wrong, message):
    sets = _three(ar, np.random.default_rng(0), 12)
    with pytest.raises(arproc.errors.ParameterError, match=message):
        arproc.fidelity(*sets, **wrong)
