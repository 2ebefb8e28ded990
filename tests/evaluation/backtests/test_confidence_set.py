"""The model confidence set, beside that of arch, and its coverage."""

import numpy as np
import pandas as pd
import pytest

from arproc.errors import DataError, ParameterError
from arproc.evaluation import model_confidence_set
from arproc.evaluation.backtests.confidence_set import _bootstrap_means


def _backtests(losses: np.ndarray) -> dict[str, pd.DataFrame]:
    """Tables of one step whose squared losses are these, [origins, models]."""
    n = np.arange(len(losses))
    base = {"series": 0, "origin": n, "step": 1, "time": n + 1, "actual": 0.0, "log_score": 0.0}
    tables = {str(i): pd.DataFrame(base | {"mean": x**0.5}) for i, x in enumerate(losses.T)}
    for table in tables.values():
        table.attrs["step"] = 1
    return tables


def _losses(n: int, worse: list[float], seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    shared, own = rng.normal(size=(n, 1)), rng.normal(size=(n, len(worse)))
    return 20 + shared + own + np.array(worse)


def test_it_is_as_that_of_arch():
    arch = pytest.importorskip("arch.bootstrap")
    losses = _losses(150, [0.0, 0.1, 0.15, 0.3, 0.8], seed=1)
    theirs = arch.MCS(
        losses, size=0.1, reps=2000, block_size=5, method="max", bootstrap="circular", seed=1
    )
    theirs.compute()
    found = model_confidence_set(_backtests(losses), n_bootstrap=2000, block=5, seed=0)
    wanted = theirs.pvalues["Pvalue"].sort_index().to_numpy()
    assert 0.02 < np.sort(wanted)[1] < 0.9  # there is something to compare
    np.testing.assert_allclose(found["p_value"].sort_index(), wanted, atol=0.04)


def test_the_best_is_in_it_as_often_as_stated_and_the_bad_are_not():
    sets = [
        model_confidence_set(
            _backtests(_losses(80, [0.0, 0.05, 1.0], seed)), n_bootstrap=200, seed=seed
        )["in_set"]
        for seed in range(16)
    ]
    assert np.mean([one["0"] for one in sets]) >= 0.85
    assert np.mean([one["2"] for one in sets]) <= 0.05


def test_equal_models_stay_and_certain_differences_do_not():
    losses = np.tile(np.random.default_rng(0).uniform(1, 2, size=(40, 1)), 3)
    assert model_confidence_set(_backtests(losses), seed=0)["in_set"].all()
    losses[:, 2] += 0.5
    found = model_confidence_set(_backtests(losses), seed=0)
    assert found["p_value"].sort_index().tolist() == [1.0, 1.0, 0.0]


def test_blocks_are_circular_and_of_their_length():
    values = np.eye(7)
    drawn = _bootstrap_means(values, 3, 500, seed=0) * 7
    assert np.allclose(drawn.sum(axis=1), 7)
    np.testing.assert_allclose(drawn.mean(axis=0), 1.0, atol=0.2)
    whole = _bootstrap_means(values, 7, 5, seed=0)
    np.testing.assert_allclose(whole, 1 / 7)


def test_bad_arguments_are_named():
    tables = _backtests(_losses(20, [0.0, 1.0], 0))
    with pytest.raises(DataError, match="there are 20 origins; expected at least 30"):
        model_confidence_set(tables, block=15)
    with pytest.raises(ParameterError, match="n_bootstrap must be at least 100"):
        model_confidence_set(tables, n_bootstrap=5)
    with pytest.raises(ParameterError, match="level must be"):
        model_confidence_set(tables, level=0.0)
    for table in tables.values():
        table["log_score"] = -np.inf
    with pytest.raises(DataError, match="a loss is infinite"):
        model_confidence_set(tables, loss="log")
