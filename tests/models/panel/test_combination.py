"""Averages of candidates: weights, intervals, what is left out, one file."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import arproc
from arproc import AR, AutoPanel, Panel
from arproc.errors import DataError, NotFittedError, ParameterError
from arproc.models.panel import seasonal_candidates
from arproc.transforms import Log, Transformed

GIVEN = {"method": "ols", "initial": "given"}


def seasonal(n: int = 12, length: int = 240, seed: int = 0) -> np.ndarray:
    """Positive series with a season of 12 and one of 4, and errors that carry on."""
    rng = np.random.default_rng(seed)
    t = np.arange(length)
    shape = rng.normal(size=(n, 12))[:, t % 12] + rng.normal(size=(n, 4))[:, t % 4]
    noise = rng.normal(size=(n, length))
    for i in range(1, length):
        noise[:, i] += 0.7 * noise[:, i - 1]
    return np.exp(3 + 0.3 * shape + 0.1 * noise)


X = seasonal()


def test_better_candidates_weigh_more_and_the_average_beats_them():
    candidates = seasonal_candidates([4, 12], log=True)
    model = AutoPanel([*candidates, Transformed(AR(1, **GIVEN), Log())], 24).fit(X[:, :-24])
    np.testing.assert_allclose(model.weights_.sum(axis=1), 1)
    assert (model.weights_[:, -1] < model.weights_[:, 3]).all()
    ours = model.forecast(24)[0.5].to_numpy().reshape(12, 24)
    error = np.abs(np.log(ours / X[:, -24:])).mean()
    for one in (candidates[0], Transformed(AR(1, **GIVEN), Log())):
        other = Panel(one).fit(X[:, :-24]).forecast(horizon=24)[0.5].to_numpy().reshape(12, 24)
        assert error < np.abs(np.log(other / X[:, -24:])).mean()


def test_one_candidate_is_itself_but_for_the_width():
    model = AutoPanel([AR(2)], 20).fit(X)
    got, want = model.forecast(5), Panel(AR(2)).fit(X).forecast(horizon=5)
    assert (model.weights_ == 1).all()
    np.testing.assert_allclose(got["mean"], want["mean"])
    np.testing.assert_allclose(got[0.5], want[0.5])
    width = (got[0.95] - got[0.05]) / (want[0.95] - want[0.05])
    np.testing.assert_allclose(width, np.repeat(model.stretch_, 5))


def test_intervals_hold_what_they_say():
    # overfitted on purpose: without the stretch the intervals are far too narrow
    x = np.random.default_rng(1).normal(size=(300, 160)).cumsum(axis=1)
    model = AutoPanel([AR(40, **GIVEN)], 10).fit(x[:, :-10])
    table = model.forecast(10, (0.025, 0.975)).to_numpy().reshape(300, 10, 3)
    inside = (x[:, -10:] > table[..., 1]) & (x[:, -10:] < table[..., 2])
    plain = Panel(AR(40, **GIVEN)).fit(x[:, :-10])
    table = plain.forecast(10, (0.025, 0.975)).to_numpy().reshape(300, 10, 3)
    before = (x[:, -10:] > table[..., 1]) & (x[:, -10:] < table[..., 2])
    assert before.mean() < 0.87
    assert 0.91 < inside.mean() < 0.98


def test_explosive_candidates_are_left_out():
    t = np.arange(80.0)
    x = np.array([np.exp(0.08 * t) + np.random.default_rng(i).normal(size=80) for i in range(3)])
    x[:, 60:] = x[:, 59:60] + np.random.default_rng(9).normal(size=(3, 20))
    model = AutoPanel([AR(1, **GIVEN), AR(0)], 40).fit(x)
    assert (model.weights_[:, 0] == 0).all()
    assert np.isfinite(model.forecast(40).to_numpy()).all()


def test_a_candidate_without_a_fit_has_no_weight():
    data = {"long": X[0], "short": X[1][:40]}
    model = AutoPanel([AR(1), AR(30, **GIVEN)], 12).fit(data)
    assert model.weights_[1].tolist() == [1, 0]
    assert model.forecast(3).loc["short"].notna().all(axis=None)
    model = AutoPanel([AR(1), AR(30, **GIVEN)], 12).fit(list(data.values()))
    assert model.weights_[1].tolist() == [1, 0]
    assert model.forecast(3).loc[1].notna().all(axis=None)
    with pytest.raises(DataError, match="no candidate has a fit for series 'flat'"):
        AutoPanel([AR(1)], 12).fit(data | {"flat": np.ones(60)})


def test_dates_and_one_file(tmp_path):
    index = pd.date_range("2024-01-01", periods=X.shape[1], freq="h", tz="UTC")
    frame = pd.DataFrame(X[:3].T, index, columns=list("abc"))
    model = AutoPanel(seasonal_candidates([12]), 12).fit(frame)
    table = model.forecast(2)
    assert table.loc["b"].index[0] == index[-1] + pd.Timedelta(hours=1)
    model.save(tmp_path / "model")
    pd.testing.assert_frame_equal(arproc.load(tmp_path / "model").forecast(2), table)
    pd.testing.assert_frame_equal(model.forecast(2, history=frame), table)


def test_what_was_learnt_is_replaced_whole_or_not_at_all():
    model = AutoPanel([AR(1), AR(2)], 12).fit(X)
    learnt, table = model.learnt_, model.forecast(3)
    with pytest.raises(DataError, match="no candidate has a fit"):
        model.fit(np.ones((2, 60)))
    assert model.learnt_ is learnt
    model.set_params(candidates=[AR(5)], validation=3, power=0.0)
    pd.testing.assert_frame_equal(model.forecast(3), table)
    assert [panel.process.order for panel in model.panels_] == [1, 2]
    np.testing.assert_array_equal(model.panels_[1].coefficients_.index, model.names_)
    with pytest.raises(ValueError, match="read-only"):
        model.weights_[:] = 0.5


def test_bad_input():
    with pytest.raises(NotFittedError):
        AutoPanel([AR(1)], 5).forecast(1)
    with pytest.raises(ParameterError, match="candidates must be processes"):
        AutoPanel([], 5).fit(X)
    with pytest.raises(ParameterError, match="power must be"):
        AutoPanel([AR(1)], 5, power=-1).fit(X)
    with pytest.raises(ParameterError, match="validation must be at least 1"):
        AutoPanel([AR(1)], 0).fit(X)
    with pytest.raises(DataError, match="expected more than 300"):
        AutoPanel([AR(1)], 300).fit(X)
    with pytest.raises(ParameterError, match="periods is empty"):
        seasonal_candidates([])


def test_the_automatic_recipe_is_a_candidate_beside_others(tmp_path):
    data = {f"s{i}": row for i, row in enumerate(X[:3])} | {"short": np.array([3.0, 4.0])}
    model = AutoPanel(["auto", AR(1), AR(3)], 6, period=[]).fit(data)
    automatic = AutoPanel(period=[]).fit(data).forecast(3)
    assert model.summary().columns.tolist() == ["auto", "AR(1)", "AR(3)", "status"]
    np.testing.assert_allclose(model.weights_.sum(axis=1), 1)
    assert model.weights_[-1].tolist() == [1, 0, 0]  # what is too short for a validation
    table = model.forecast(3)
    np.testing.assert_allclose(table.loc["short"], automatic.loc["short"])
    parts = [automatic, *[Panel(AR(p)).fit(X[:3]).forecast(horizon=3) for p in (1, 3)]]
    means = [part.iloc[:9, 0].to_numpy().reshape(3, 3) for part in parts]
    mixed = np.einsum("knh,nk->nh", np.stack(means), model.weights_[:3])
    np.testing.assert_allclose(table["mean"].iloc[:9], mixed.ravel())
    assert len(model.panels_) == 2
    model.save(tmp_path / "m.arproc")
    pd.testing.assert_frame_equal(arproc.load(tmp_path / "m.arproc").forecast(3), table)
    later = model.update({"s0": X[0, -2:] + 1}).forecast(1)
    whole = data | {"s0": np.concatenate([X[0], X[0, -2:] + 1])}
    pd.testing.assert_frame_equal(later, model.forecast(1, history=whole))
    alone = AutoPanel(["auto"], 6, period=[]).fit(data).forecast(3)
    np.testing.assert_allclose(alone["mean"], automatic["mean"])


@pytest.mark.parametrize("candidates", [["auto", "auto"], ["best"], ["auto", 3], "auto", []])
def test_other_names_are_no_candidates(candidates):
    with pytest.raises(ParameterError, match='processes, and "auto", once'):
        AutoPanel(candidates, 6).fit(X)
