"""Panels with a trend: where each series of later data begins, by labels or by offset."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

from arproc import AR, ARIMA, AutoPanel, Panel
from arproc.errors import DataError, PlaceWarning

N, LATER = 90, 60
DATES = pd.date_range("2020-01-01", periods=N)
WIDE = pd.DataFrame(
    {
        "a": AR.from_parameters([0.5], slope=0.5).sample(length=N, seed=0)[0],
        "b": AR.from_parameters([0.3], slope=-1.0).sample(length=N, seed=1)[0],
    },
    DATES,
)
TOGETHER, EACH = AR(1, trend="ct"), AR(1, trend="ct", seasonal=3)


@pytest.mark.parametrize("index", ["dates", "months", "numbers"])
@pytest.mark.parametrize("process", [TOGETHER, EACH])
def test_later_data_go_on_by_their_labels(process, index):
    labels = {
        "dates": DATES,
        "months": pd.period_range("2001-01", periods=N, freq="M"),
        "numbers": pd.Index(np.arange(N) + 1900),
    }[index]
    wide = WIDE.set_axis(labels)
    panel = Panel(process).fit(wide)
    later = wide.iloc[LATER:][["b", "a"]]
    found, sums = panel.forecast(3, history=later), panel.log_prob(later)
    draws = panel.sample(4, 3, prefix=later, seed=0)
    for j, name in enumerate(("b", "a")):
        alone = process.clone().fit(wide[name])
        table = alone.forecast(later[name], 3)
        np.testing.assert_allclose(found.loc[name].to_numpy(), table.to_numpy(), rtol=1e-6)
        assert sums[name] == pytest.approx(alone.log_prob(later[name]), rel=1e-6)
        own = panel[name]
        np.testing.assert_allclose(own.forecast(later[name], 3).to_numpy(), table.to_numpy())
        assert np.abs(draws[j].mean(axis=0) - table["mean"].to_numpy()).max() < 5


@pytest.mark.parametrize("process", [TOGETHER, EACH])
def test_an_offset_says_what_labels_say(process):
    panel, later = Panel(process).fit(WIDE), WIDE.iloc[LATER:]
    bare = dict(zip("ab", later.to_numpy().T, strict=True))
    np.testing.assert_allclose(
        panel.forecast(3, offset=LATER, history=bare).to_numpy(),
        panel.forecast(3, history=later).to_numpy(),
    )
    np.testing.assert_allclose(panel.log_prob(bare, offset=LATER), panel.log_prob(later))
    assert panel.score(bare, offset=[LATER, LATER]) == pytest.approx(panel.score(later))
    ragged = {"a": bare["a"], "b": bare["b"][10:]}
    shifted = panel.log_prob(ragged, offset=[LATER, LATER + 10])
    np.testing.assert_allclose(shifted["a"], panel.log_prob(later)["a"])
    with pytest.warns(PlaceWarning, match="Say offset="):
        wrong = panel.forecast(3, history=bare)
    assert np.abs(wrong["mean"] - panel.forecast(3, history=later)["mean"].to_numpy()).max() > 5


def test_the_data_of_fit_without_labels_are_known_again():
    x = WIDE.to_numpy().T
    panel = Panel(TOGETHER).fit(x)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert panel.score(x) == pytest.approx(panel.score(x, offset=0))
        panel.forecast(horizon=2)


def test_labels_between_the_steps_of_fit_are_refused():
    panel = Panel(TOGETHER).fit(WIDE)
    off = WIDE.iloc[LATER:].set_axis(DATES[LATER:] + pd.Timedelta(hours=6))
    with pytest.raises(DataError, match="no step of the data of fit"):
        panel.forecast(2, history=off)


def test_combinations_go_on_by_labels_too():
    auto = AutoPanel([TOGETHER], validation=5).fit(WIDE)
    later = WIDE.iloc[LATER:]
    bare = dict(zip("ab", later.to_numpy().T, strict=True))
    found = auto.forecast(2, history=later)
    np.testing.assert_allclose(auto.forecast(2, history=bare, offset=LATER), found.to_numpy())
    assert found.loc["b", "mean"].iloc[0] == pytest.approx(-N, abs=8)


GIVEN = AR(1, trend="ct", method="ols", initial="given")


@pytest.mark.parametrize("process", [TOGETHER, GIVEN, EACH, ARIMA((1, 0, 0), trend="ct")])
def test_one_series_of_a_panel_warns_of_a_later_history_as_it_does_alone(process):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(3, 40)) + np.arange(40) * 0.5
    panel = Panel(process).fit(x)
    one = panel[1]
    assert np.isfinite(one.log_prob(x[1]))  # the data of fit are known again, whole or in part
    assert np.isfinite(one.log_prob(x[1, :30]))
    for call in (one.log_prob, one.conditional, one.condition, lambda y: one.forecast(y, 1)):
        with pytest.warns(PlaceWarning, match="nothing says at which step"):
            call(x[1, 20:])
    alone = process.clone().fit(x[1])
    assert one.log_prob(x[1, 20:], offset=20) == pytest.approx(
        alone.log_prob(x[1, 20:], offset=20), rel=1e-6
    )
