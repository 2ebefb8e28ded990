"""Backtests that were interrupted, and those of several processes, give the same table."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from arproc import AR, CountAR, Panel, backtest
from arproc.errors import DataError, ParameterError
from arproc.evaluation.backtests import parallel
from arproc.evaluation.backtests.forecaster import OfProcess
from arproc.evaluation.backtests.origins import Work

X = np.random.default_rng(0).normal(size=60).cumsum()
COUNTS = np.random.default_rng(0).poisson(4 + 3 * np.sin(np.arange(60) / 3))
CALL: dict[str, Any] = {"start": 40, "horizon": 2, "step": 3, "refit": 2}


def _killed(monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    """Forecasts end in an interrupt after so many."""
    whole, count = OfProcess.predict, [0]

    def predict(self: OfProcess, asked: Any) -> Any:
        count[0] += 1
        if count[0] > after:
            raise KeyboardInterrupt
        return whole(self, asked)

    monkeypatch.setattr(OfProcess, "predict", predict)


@pytest.mark.parametrize("model", [AR(1), CountAR(1)])
def test_a_killed_run_goes_on_to_the_same_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: Any
):
    data = X if isinstance(model, AR) else COUNTS
    options = {**CALL, "n_paths": 20}
    want = backtest(model, data, seed=7, **options)
    with monkeypatch.context() as patched:
        _killed(patched, 4)
        with pytest.raises(KeyboardInterrupt):
            backtest(model, data, seed=7, folder=tmp_path / "kept", **options)
    assert len(list((tmp_path / "kept").glob("origin-*.npz"))) == 4
    with monkeypatch.context() as patched:
        _killed(patched, 3)  # what is left
        found = backtest(model, data, seed=7, folder=tmp_path / "kept", **options)
    pd.testing.assert_frame_equal(found, want)
    assert found.attrs == want.attrs
    with monkeypatch.context() as patched:
        _killed(patched, 0)  # nothing is computed
        again = backtest(model, data, seed=7, folder=tmp_path / "kept", **options)
    pd.testing.assert_frame_equal(again, want)


def test_a_seed_of_chance_is_kept(tmp_path: Path):
    options = {**CALL, "n_paths": 20, "horizon": 3}
    first = backtest(CountAR(1), COUNTS, folder=tmp_path, **options)
    for path in tmp_path.glob("origin-*.npz"):
        path.unlink()
    pd.testing.assert_frame_equal(backtest(CountAR(1), COUNTS, folder=tmp_path, **options), first)


def test_a_broken_file_is_made_anew(tmp_path: Path):
    want = backtest(AR(1), X, folder=tmp_path, **CALL)
    files = sorted(tmp_path.glob("origin-*.npz"))
    files[0].write_bytes(files[0].read_bytes()[:100])
    np.savez(files[1], rows=np.array([5]), mean=np.ones((1, 2)), quantiles=np.ones((1, 2, 3)),
             log_score=np.ones((1, 2)))  # fmt: skip
    files[2].write_bytes(b"")
    pd.testing.assert_frame_equal(backtest(AR(1), X, folder=tmp_path, **CALL), want)


@pytest.mark.parametrize(
    ("name", "model", "data", "more"),
    [
        ("model", AR(2), X, {}),
        ("data", AR(1), X + 1, {}),
        ("horizon", AR(1), X, {"horizon": 3}),
        ("n_paths", AR(1), X, {"n_paths": 7}),
        ("seed", AR(1), X, {"seed": 5}),
        ("data", AR(1), X, {"step": 3, "start": 43}),
    ],
)
def test_another_call_is_refused(tmp_path: Path, name: str, model: Any, data: Any, more: Any):
    backtest(AR(1), X, folder=tmp_path, seed=1, **CALL)
    with pytest.raises(ParameterError, match=f"holds a backtest with another {name}"):
        backtest(model, data, folder=tmp_path, **{**CALL, "seed": 1, **more})


def test_another_law_is_refused_where_none_is_fitted(tmp_path: Path):
    call = {**CALL, "refit": "never"}
    backtest(AR(1).fit(X[:30]), X, folder=tmp_path, **call)
    backtest(AR(1).fit(X[:30]), X, folder=tmp_path, **call)
    with pytest.raises(ParameterError, match="another law"):
        backtest(AR(1).fit(X[:35]), X, folder=tmp_path, **call)


def test_a_folder_of_something_else_is_refused(tmp_path: Path):
    (tmp_path / "mine").write_text("")
    with pytest.raises(ParameterError, match="holds other files"):
        backtest(AR(1), X, folder=tmp_path, **CALL)
    with pytest.raises(ParameterError, match="which is a file"):
        backtest(AR(1), X, folder=tmp_path / "mine", **CALL)


# ---- several processes ---------------------------------------------------------------------


class _Here:
    """The pool in this process: each part gets a fresh copy of what was sent."""

    def __init__(self, jobs: int, _: Any, begin: Any, given: tuple[Any, ...]) -> None:
        self.jobs, self.begin, self.given = jobs, begin, given

    def submit(self, call: Any, part: list[int]) -> Any:
        parallel._received.clear()
        self.begin(*self.given)
        made = call(part)
        parallel._received.clear()
        return _Finished(made)

    def shutdown(self, **_: Any) -> None: ...


class _Finished:
    def __init__(self, made: Any) -> None:
        self.made = made

    def result(self) -> Any:
        return self.made


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "ProcessPoolExecutor", _Here)
    monkeypatch.setattr(parallel, "as_completed", lambda running: list(running)[::-1])
    monkeypatch.setattr(parallel.torch, "set_num_threads", lambda _: None)


@pytest.mark.parametrize("refit", [1, 2, "once", "never"])
def test_parts_give_the_same_table(here: None, refit: Any):
    model = AR(1).fit(X[:30])
    want = backtest(model, X, **{**CALL, "refit": refit})
    found = backtest(model, X, n_jobs=3, **{**CALL, "refit": refit})
    pd.testing.assert_frame_equal(found, want)


def test_panels_and_contexts_are_sent(here: None):
    wide = np.random.default_rng(1).normal(size=(60, 3)).cumsum(axis=0)
    pd.testing.assert_frame_equal(
        backtest(Panel(AR(1)), wide.T, n_jobs=2, **CALL), backtest(Panel(AR(1)), wide.T, **CALL)
    )
    model, hours = AR(1, regressors="mean"), np.arange(60.0)[:, None] % 7
    found = backtest(model, X, n_jobs=2, context=hours, **CALL)
    pd.testing.assert_frame_equal(found, backtest(model, X, context=hours, **CALL))


def test_one_fit_for_all_is_made_once(here: None, monkeypatch: pytest.MonkeyPatch):
    fits = []
    whole = Work.fit

    def fit(self: Work, k: int) -> None:
        before = self.fitted
        whole(self, k)
        if self.fitted != before:
            fits.append(k)

    monkeypatch.setattr(Work, "fit", fit)
    backtest(AR(1), X, n_jobs=3, **{**CALL, "refit": "once"})
    assert fits == [0]


class Warned(AR):
    def fit(self, data: Any, *rest: Any, **more: Any) -> Any:
        import warnings

        warnings.warn("a word", UserWarning, stacklevel=2)
        return super().fit(data, *rest, **more)


def test_warnings_and_errors_come_back(here: None):
    with pytest.warns(UserWarning, match="a word"):
        backtest(Warned(1), X, n_jobs=2, **CALL)
    flat = np.concatenate([np.full(50, 2.0), X[:10]])
    with pytest.raises(DataError, match="at origin 39: "):
        backtest(AR(1), flat, n_jobs=2, **CALL)


def test_what_can_not_be_sent_is_told():
    class Local(AR):
        pass

    with pytest.raises(ParameterError, match="n_jobs=2 needs a model and data that can be pickle"):
        backtest(Local(1), X, n_jobs=2, **CALL)
    with pytest.raises(ParameterError, match="n_jobs must be 1 or more, or -1"):
        backtest(AR(1), X, n_jobs=0, **CALL)


@pytest.mark.slow
def test_processes_give_the_same_table(tmp_path: Path):
    want = backtest(AR(2), X, **CALL)
    found = backtest(AR(2), X, n_jobs=2, folder=tmp_path, **CALL)
    pd.testing.assert_frame_equal(found, want, rtol=1e-9)
    assert len(list(tmp_path.glob("origin-*.npz"))) == want["origin"].nunique()
    assert pickle.loads(pickle.dumps(found)).equals(found)
