"""Nothing of the future reaches a forecast; a leak that is planted is caught."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from arproc import AR, ARIMA, VAR, AutoPanel, Panel, Process, backtest
from arproc.evaluation.backtests import contexts, of_panel, timeline

CHANGED = (30, 38)  # of the origins 30, 34, 38 and 42


def leaks(run: Callable[[np.ndarray], pd.DataFrame], x: np.ndarray) -> list[int]:
    """The origins whose forecasts move with what comes after them."""
    base, found = run(x), []
    for origin in CHANGED:
        other = x.copy()
        other[origin:] += 100.0
        changed = run(other)
        part = base["origin"] == origin - 1
        if not np.array_equal(base["mean"][part], changed["mean"][part]):
            found.append(origin)
    return found


def _of(model: Any, **more: Any) -> Callable[[np.ndarray], pd.DataFrame]:
    return lambda x: backtest(model, x, horizon=3, step=4, start=30, **more)


def _panel(model: Any, **more: Any) -> Callable[[np.ndarray], pd.DataFrame]:
    def run(x: np.ndarray) -> pd.DataFrame:
        y = x * 2 + np.random.default_rng(5).normal(size=len(x))
        return _of(model, **more)({"a": x, "b": y})

    return run


def _vectors(x: np.ndarray) -> pd.DataFrame:
    y = x * 2 + np.random.default_rng(5).normal(size=len(x))
    return _of(VAR(1), refit=2)(np.stack([x, y], axis=1))


RUNS = {
    "one series": _of(AR(1)),
    "refit every 2": _of(AR(1), refit=2),
    "once": _of(AR(1), refit="once"),
    "window": _of(AR(1), window=20),
    "several": _panel(AR(1)),
    "panel": _panel(Panel(AR(1))),
    "panel, each": _panel(Panel(AR(1, seasonal=4)), refit="once"),
    "pooled": _panel(Panel(AR(1, method="ols", initial="given"), pooling="partial")),
    "auto": _panel(AutoPanel([AR(1), AR(2)], validation=4)),
    "vectors": _vectors,
}


MEAN = Panel(AR(1, regressors="mean"), covariates=["told"])
TOLD = {
    "panel": (MEAN, {}),
    "each": (Panel(ARIMA((1, 0, 0), regressors="mean"), covariates=["told"]), {}),
    "once": (MEAN, {"refit": "once"}),
    "window": (MEAN, {"window": 20}),
    "auto": (AutoPanel(period=[], covariates=["told"]), {}),
    "given": (
        AutoPanel([AR(1), AR(1, regressors="mean")], validation=4, covariates=["told"]), {},
    ),
}  # fmt: skip


def _told(model: Any, told: np.ndarray, more: dict[str, Any]) -> pd.DataFrame:
    """Two series of 46 values, the second begins two days later; a column of covariates."""
    y = _x()
    parts = []
    for name, ahead in (("a", 0), ("b", 2)):
        days = pd.date_range("2024-01-01", periods=46)[ahead:]
        values = (1 + ahead) * y[ahead:] + 2 * told[ahead:]
        parts.append(pd.DataFrame({"unique_id": name, "ds": days, "y": values}))
        parts[-1]["told"] = told[ahead:]
    return backtest(model, pd.concat(parts), horizon=3, step=20, start=30, **more)


@pytest.mark.parametrize("name", TOLD)
def test_covariates_are_cut_at_the_end_of_the_horizon(name: str):
    model, more = TOLD[name]
    told = np.random.default_rng(3).normal(size=46)
    base, other = _told(model, told, more), told.copy()
    other[31] += 50.0  # known: the forecast of the second step moves with it, and no other
    other[33:] += 70.0  # beyond the horizon, values and covariates
    changed = _told(model, other, more)
    assert base["origin"].nunique() == 1
    same = base["step"] != 2
    np.testing.assert_array_equal(base["mean"][same], changed["mean"][same])
    assert (changed["mean"][~same] - base["mean"][~same] > 20).all()


@pytest.mark.parametrize("name", ["panel", "each", "auto", "given"])
def test_a_planted_leak_of_covariates_is_caught(name: str, monkeypatch: pytest.MonkeyPatch):
    """Covariates one step ahead of their time move forecasts of the step before."""
    honest = of_panel.OfPanel._future

    def ahead(self: Any, rows: np.ndarray, reached: np.ndarray, horizon: int) -> Any:
        return honest(self, rows, reached + 1, horizon)

    monkeypatch.setattr(of_panel.OfPanel, "_future", ahead)
    with pytest.raises(AssertionError):
        test_covariates_are_cut_at_the_end_of_the_horizon(name)


def _x() -> np.ndarray:
    return np.random.default_rng(2).normal(size=46).cumsum()


@pytest.mark.parametrize("name", RUNS)
def test_forecasts_do_not_know_the_future(name: str):
    assert leaks(RUNS[name], _x()) == []


@pytest.mark.parametrize("name", ["one series", "refit every 2", "several", "panel", "vectors"])
def test_a_planted_leak_is_caught(name: str, monkeypatch: pytest.MonkeyPatch):
    honest = timeline.Timeline.bounds

    def one_too_many(self: Any, i: int, first: int, origin: int) -> tuple[int, int]:
        return honest(self, i, first, origin + 1)

    monkeypatch.setattr(timeline.Timeline, "bounds", one_too_many)
    if name == "panel":  # its forecasts go on from where its data end: from the step itself
        monkeypatch.setattr(of_panel.OfPanel, "_reached", lambda *args: np.full(2, args[-1]))
    assert leaks(RUNS[name], _x()) == list(CHANGED)


def test_a_fit_at_a_later_origin_is_caught(monkeypatch: pytest.MonkeyPatch):
    from arproc.evaluation.backtests.plan import Plan

    honest = Plan.fits_at
    monkeypatch.setattr(Plan, "fits_at", lambda self, k: min(honest(self, k) + 1, 3))
    assert leaks(_of(AR(1)), _x()) == list(CHANGED)


class Peeping(Process):
    """A process that looks behind the array it is given."""

    window_length = 1

    def _infer_space(self, data: Any) -> Any:
        return AR(0)._infer_space(data)

    def _fit(self, sequences: Any, *, validation: Any, context: Any) -> None:
        self.mean_ = float(sequences.values.mean())

    def fit(self, data: Any, y: None = None, **more: Any) -> Any:
        behind = data
        while getattr(behind, "base", None) is not None:
            behind = behind.base
        self.seen = len(behind)
        type(self).most = max(type(self).most, self.seen - len(data))
        return super().fit(data, **more)

    most = 0

    def window(self, ctx: Any, position: Any) -> Any:
        from torch.distributions import Normal

        return Normal(ctx[..., 0] * 0 + self.mean_, 1.0)


@pytest.mark.parametrize("form", [np.asarray, pd.Series])
def test_what_a_model_gets_has_no_future_behind_it(form: Callable[..., Any]):
    Peeping.most = 0
    backtest(Peeping(), form(_x()), start=30, step=4)
    assert Peeping.most == 0


def test_covariates_end_where_the_forecast_does(monkeypatch: pytest.MonkeyPatch):
    given = []
    honest = contexts.Covariates.cut

    def watched(self: Any, rows: Any, first: int, origin: int, more: int = 0) -> Any:
        found = honest(self, rows, first, origin, more)
        given.append((origin, more, len(found)))
        return found

    monkeypatch.setattr(contexts.Covariates, "cut", watched)
    z = np.arange(46.0) ** 0.5
    backtest(
        AR(1, regressors="mean"), _x(), context=z[:, None], horizon=3, step=4, start=30, refit=2
    )
    assert given == [(30, 0, 30), (30, 3, 33), (34, 3, 37), (38, 0, 38), (38, 3, 41), (42, 3, 45)]
