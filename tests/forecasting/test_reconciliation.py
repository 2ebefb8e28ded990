"""Reconciled forecasts add up, are what the formulas say, and gain accuracy."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arproc import AR
from arproc.errors import ArprocError
from arproc.forecasting.reconciliation import (
    reconcile,
    reconciliation_matrix,
    shrunk_covariance,
    summing_matrix,
)

TREE = {"all": ["north", "south"], "north": ["n1", "n2"], "south": ["s1", "s2", "s3"]}
NAMES = ["all", "north", "south", "n1", "n2", "s1", "s2", "s3"]
S = summing_matrix(TREE, NAMES)
METHODS = ["ols", "wls", "mint-shrink", "bottom-up"]


def errors(t: int = 40, seed: int = 0, m: int = 8) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(t, m)) @ rng.normal(size=(m, m))


def hierarchies():
    """Summing matrices with random sums above the bottom series."""
    return st.integers(2, 6).flatmap(
        lambda b: st.lists(
            st.lists(st.sampled_from([0.0, 1.0, 0.5, 2.0]), min_size=b, max_size=b).filter(any),
            min_size=1, max_size=5,
        ).map(lambda rows: np.vstack([rows, np.eye(b)]))
    )  # fmt: skip


@given(hierarchies(), st.sampled_from(METHODS), st.integers(0, 2**31))
def test_what_is_reconciled_adds_up_and_what_adds_up_stays(s, method, seed):
    rng, (m, b) = np.random.default_rng(seed), s.shape
    matrix = reconciliation_matrix(s, method, errors(30, seed % 1000, m))
    base = rng.normal(size=(5, m)) * 10
    found = base @ matrix.T
    np.testing.assert_allclose(found, found[:, m - b :] @ s.T, atol=1e-9)  # coherent
    np.testing.assert_allclose(matrix @ matrix, matrix, atol=1e-9)  # a projection
    # unbiased forecasts stay unbiased: S G S = S
    np.testing.assert_allclose(matrix @ s, s, atol=1e-9)


@given(hierarchies(), st.integers(0, 1000))
def test_the_projection_is_the_formula_of_the_paper(s, seed):
    m = len(s)
    e = errors(30, seed, m)
    for method, w in (
        ("ols", np.eye(m)),
        ("wls", np.diag((e**2).mean(0))),
        ("mint-shrink", shrunk_covariance(e)[0]),
    ):
        inverse = np.linalg.inv(w)
        want = s @ np.linalg.inv(s.T @ inverse @ s) @ s.T @ inverse
        np.testing.assert_allclose(reconciliation_matrix(s, method, e), want, atol=1e-7)


def test_the_true_covariance_gives_the_least_variance():
    """tr(M W M') over unbiased linear maps is least at the MinT map of W."""
    s, e = S.to_numpy(), errors(4000)
    w = e.T @ e / len(e)
    best = reconciliation_matrix(s, "mint-shrink", e)
    variance = np.trace(best @ w @ best.T)
    for method in ("ols", "wls", "bottom-up"):
        other = reconciliation_matrix(s, method, e)
        assert np.trace(other @ w @ other.T) > variance
        mixed = best + 0.05 * (other - best)
        assert np.trace(mixed @ w @ mixed.T) > variance * (1 - 1e-3)


def test_the_shrinkage_is_that_of_schaefer_and_strimmer():
    """By the definition: the estimated variances of correlations over their squares."""
    e = errors(25, seed=3, m=4)
    n = len(e)
    unit = e / np.sqrt((e**2).mean(0))
    variances, squares = 0.0, 0.0
    for i in range(4):
        for j in range(4):
            if i != j:
                product = unit[:, i] * unit[:, j]
                variances += ((product - product.mean()) ** 2).sum() / (n * (n - 1))
                squares += product.mean() ** 2
    covariance, share = shrunk_covariance(e)
    assert share == pytest.approx(variances / squares, rel=1e-12)
    plain = e.T @ e / n
    np.testing.assert_allclose(np.diag(covariance), np.diag(plain))
    off = ~np.eye(4, dtype=bool)
    np.testing.assert_allclose(covariance[off], (1 - share) * plain[off])


def test_more_series_than_residuals():
    rng = np.random.default_rng(0)
    s = np.vstack([np.ones(60), rng.integers(0, 2, (20, 60)), np.eye(60)])
    matrix = reconciliation_matrix(s, "mint-shrink", rng.normal(size=(10, 81)))
    np.testing.assert_allclose(matrix @ s, s, atol=1e-8)
    found = matrix @ rng.normal(size=81)
    np.testing.assert_allclose(found[:21], s[:21] @ found[21:], atol=1e-8)


def test_groups_that_cross():
    parts = {
        "all": ["ax", "ay", "bx", "by"], "a": ["ax", "ay"], "b": ["bx", "by"],
        "x": ["ax", "bx"], "y": ["ay", "by"],
    }  # fmt: skip
    s = summing_matrix(parts)
    assert s.shape == (9, 4)
    assert s.loc["x"].tolist() == [1, 0, 1, 0]
    base = pd.DataFrame(np.random.default_rng(0).normal(size=(3, 9)), columns=s.index)
    found = reconcile(base[sorted(base.columns)], parts)
    np.testing.assert_allclose(found["x"] + found["y"], found["all"])
    np.testing.assert_allclose(found["a"] + found["b"], found["all"])
    assert list(found.columns) == sorted(base.columns)


def test_every_form_gives_the_same_numbers():
    rng = np.random.default_rng(1)
    base, e = rng.normal(size=(5, 8)), errors()
    want = reconcile(base, S.to_numpy(), "mint-shrink", residuals=e)
    for i in range(5):
        np.testing.assert_allclose(
            reconcile(base[i], S.to_numpy(), "mint-shrink", residuals=e), want[i]
        )
    frame = pd.DataFrame(base, pd.date_range("2024", periods=5), NAMES)
    shuffled = [NAMES[i] for i in rng.permutation(8)]
    table = pd.DataFrame(e, columns=NAMES)
    for summing in (TREE, S, S.sample(frac=1, random_state=0)):
        found = reconcile(frame[shuffled], summing, "mint-shrink", residuals=table)
        np.testing.assert_allclose(found[NAMES], want)
        assert found.index.equals(frame.index)
    paths = rng.normal(size=(7, 5, 8))
    found = reconcile(paths, S.to_numpy(), "wls", residuals=e)
    np.testing.assert_allclose(found[3], reconcile(paths[3], S.to_numpy(), "wls", residuals=e))
    gappy = np.vstack([e, np.full(8, np.nan)])
    np.testing.assert_allclose(reconcile(base, S.to_numpy(), "mint-shrink", residuals=gappy), want)


def test_forecasts_and_paths_of_the_library():
    rng = np.random.default_rng(2)
    bottom = pd.DataFrame(rng.normal(size=(60, 5)).cumsum(0), columns=NAMES[3:])
    data = (bottom @ S.T)[NAMES].set_index(pd.date_range("2020", periods=60, freq="MS"))
    model = AR(1).fit(data)
    residuals = model.residuals(data)
    table = model.forecast(data, 4)
    found = reconcile(table, TREE, "mint-shrink", residuals=residuals)
    assert list(found.columns) == ["mean"]
    assert found.index.equals(table.index)
    total = found["mean"].unstack(0)
    np.testing.assert_allclose(total["all"], total[NAMES[3:]].sum(axis=1))
    paths = model.sample_paths(data, 4, n_paths=50, seed=0)
    coherent = reconcile(paths, TREE, "wls", residuals=residuals)
    assert coherent.shape == paths.shape
    assert coherent.columns.equals(paths.columns)
    parts = sum(coherent.loc[name].to_numpy() for name in NAMES[3:])
    np.testing.assert_allclose(coherent.loc["all"], parts)


def test_reconciling_gains_where_the_parts_say_more_than_the_total():
    rng = np.random.default_rng(0)
    s = S.to_numpy()
    truth = rng.normal(size=(400, 5)) @ s.T
    noise = rng.normal(size=(800, 8)) * [3, 2, 2, 1, 1, 1, 1, 1]
    found = reconcile(truth + noise[:400], s, "mint-shrink", residuals=noise[400:])
    assert ((found - truth) ** 2).mean() < 0.5 * (noise[:400] ** 2).mean()
    added = reconcile(truth + noise[:400], s, "bottom-up")
    assert ((found - truth) ** 2).mean() < ((added - truth) ** 2).mean()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: reconcile(np.ones(8), S.to_numpy(), "mint"), "method"),
        (lambda: reconcile(np.ones(8), S.to_numpy(), "wls"), "needs residuals"),
        (lambda: reconcile(np.ones(7), S.to_numpy()), "summing has shape"),
        (lambda: reconcile(np.ones((2, 2, 2, 8)), S.to_numpy()), "forecasts has shape"),
        (lambda: reconcile([np.nan] * 8, S.to_numpy()), "finite"),
        (lambda: reconcile(np.ones(3), np.ones((3, 2))), "no row for the bottom"),
        (lambda: reconcile(np.ones(3), {0: [1, 2], 1: [0]}), "part of itself"),
        (lambda: reconcile(np.ones(3), {0: "12"}), "list of parts"),
        (lambda: reconcile(np.ones(4), {0: [1, 2]}), "same series"),
        (lambda: reconcile(pd.DataFrame({"a": [1.0]}), {"b": ["a"]}), "same series"),
        (
            lambda: reconcile(np.ones(8), S.to_numpy(), "wls", residuals=np.ones((9, 3))),
            "residuals has shape",
        ),
        (
            lambda: reconcile(np.ones(8), S.to_numpy(), "wls", residuals=np.full((9, 8), np.nan)),
            "without a missing value",
        ),
        (
            lambda: reconcile(np.ones(8), S.to_numpy(), "wls", residuals=np.zeros((9, 8))),
            "all 0",
        ),
    ],
)
def test_wrong_input_is_named(call, message):
    with pytest.raises(ArprocError, match=message):
        call()


def test_the_order_of_the_columns_changes_nothing():
    """Where a total has one part, and so a row of the summing matrix like that part's."""
    parts = {"total": ["n", "s"], "n": ["n/a"], "s": ["s/b", "s/c"]}
    frame = pd.DataFrame([[10.0, 4, 5, 6, 1, 2]], columns=["total", "n", "s", "n/a", "s/b", "s/c"])
    names = list(frame)
    for order in (names, sorted(names), names[::-1]):
        for summing in (parts, summing_matrix(parts, names)):
            found = reconcile(frame[order], summing, "bottom-up")
            assert found[names].to_numpy().tolist() == [[9, 6, 3, 6, 1, 2]]
            of_series = reconcile(frame.iloc[0][order], summing, "ols")
            np.testing.assert_allclose(of_series[names], reconcile(frame, summing).iloc[0])


def test_residuals_by_name_of_forecasts_without():
    table, values = pd.DataFrame(errors(), columns=NAMES), np.arange(8.0)
    want = reconcile(values, S, "wls", residuals=table)
    np.testing.assert_allclose(reconcile(values, S, "wls", residuals=table[NAMES[::-1]]), want)
    np.testing.assert_allclose(want, reconcile(values, S.to_numpy(), "wls", residuals=errors()))
