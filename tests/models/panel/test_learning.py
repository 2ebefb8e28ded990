"""Processes that are fitted at once are those of each series alone."""

import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import arproc
from arproc import AR, ARIMA, Panel, Transformed
from arproc.errors import DataError
from arproc.models.panel import learning
from arproc.models.panel.kept import FittedEach
from arproc.transforms import BoxCox, Difference, Log, Standardize

RNG = np.random.default_rng(0)


def positive(lengths=(60, 75, 90), seed=0) -> dict[str, np.ndarray]:
    """Series above zero, each of its own length and size."""
    rng, found = np.random.default_rng(seed), {}
    for i, n in enumerate(lengths):
        x = rng.normal(size=n)
        for t in range(1, n):
            x[t] += 0.6 * x[t - 1]
        found[f"s{i}"] = 10.0**i * np.exp(x / 8 + np.sin(np.arange(n) * np.pi / 6) / 9)
    return found


PROCESSES = [
    Transformed(AR(2), Difference()),
    Transformed(AR(1), Log() | Difference(12) | Difference()),
    Transformed(AR(2), BoxCox(0.3)),
    Transformed(AR(1, method="burg"), BoxCox(-0.2) | Difference(4)),
    Transformed(AR(1, method="ols"), Standardize()),
    Transformed(AR(1, trend="ct", seasonal=4), Difference()),
    Transformed(ARIMA((1, 0, 1)), Difference(12)),
    Transformed(ARIMA((0, 1, 1)), Standardize()),
    AR(2, seasonal=12),
    AR(1, trend="ctt", fourier={7: 2}),
    AR(0, trend="n", seasonal=4),
]


@pytest.fixture
def none_alone(monkeypatch):
    """Refuses the fit of a series alone."""
    whole = FittedEach.fit.__func__

    def fit(cls, process, data, ready=None):
        assert set(ready) == set(range(len(data)))
        return whole(cls, process, data, ready)

    monkeypatch.setattr(FittedEach, "fit", classmethod(fit))


TORN = [PROCESSES[7], *PROCESSES[8:10]]  # those that take gaps


@pytest.mark.usefixtures("none_alone")
@pytest.mark.parametrize(
    ("process", "gaps"), [*((p, []) for p in PROCESSES), *((p, [20, 21, 40]) for p in TORN)]
)
def test_each_series_is_as_it_is_alone(process, gaps):
    data = positive()
    for row in data.values():
        row[gaps] = np.nan
    panel = Panel(process).fit(data)
    offset = 0 if process._counts_time else None
    scored, made = panel.log_prob(data, offset=offset), panel.forecast(3, (0.1,), 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        for name, row in data.items():
            alone = process.clone().fit(row)
            assert scored[name] == pytest.approx(alone.log_prob(row), abs=1e-8)
            np.testing.assert_allclose(made.loc[name], alone.forecast(row, 3, (0.1,)), rtol=1e-5)
            if isinstance(process, AR):
                one = panel[name]
                error = np.sqrt(np.diag(alone.covariance_))
                assert one.names_ == alone.names_
                assert one.log_likelihood_ == pytest.approx(alone.log_likelihood_, abs=1e-8)
                assert one.n_observations_ == alone.n_observations_
                assert np.abs((one.estimates_ - alone.estimates_) / error).max() < 1e-4
                np.testing.assert_allclose(one.intercept_, alone.intercept_, rtol=1e-4, atol=1e-6)
                size = np.outer(error, error)
                np.testing.assert_allclose(
                    one.covariance_ / size, alone.covariance_ / size, atol=1e-3
                )


@pytest.mark.parametrize("process", [PROCESSES[0], PROCESSES[2], PROCESSES[8]], ids=repr)
def test_series_without_a_fit_say_why_as_they_do_alone(process):
    data = positive() | {"short": np.array([1.0, 2.0]), "still": np.full(60, 3.0)}
    panel = Panel(process, errors="keep").fit(data)
    assert panel.status_[:3] == ["ok"] * 3
    for name, status in list(zip(panel.names_, panel.status_, strict=True))[3:]:
        with pytest.raises(DataError) as refused:
            process.clone().fit(data[name])
        assert str(refused.value) in status
    with pytest.raises(DataError, match="'short'"):
        Panel(process).fit(data)


def test_values_that_have_no_transform_are_named():
    data = positive() | {"low": -np.ones(60)}
    panel = Panel(PROCESSES[2], errors="keep").fit(data)
    assert panel.status_[:3] == ["ok"] * 3
    assert "above 0" in panel.status_[3]


def test_what_lambda_is_estimated_for_is_fitted_alone():
    process = Transformed(AR(1), BoxCox() | Difference())
    assert not learning._at_once(process)
    assert learning._at_once(Transformed(AR(1), Difference() | BoxCox(0.5)))
    data = {"a": positive((60,))["s0"]}
    panel = Panel(process).fit(data)
    alone = process.clone().fit(data["a"])
    assert panel["a"].transform_.lambda_ == alone.transform_.lambda_


@pytest.mark.usefixtures("none_alone")
@pytest.mark.parametrize(
    "process",
    [
        Transformed(AR(1, regressors="mean"), BoxCox(0.3)),
        Transformed(AR(1, trend="ct", regressors="mean"), Difference()),
        AR(1, seasonal=4, regressors="mean"),
    ],
    ids=repr,
)
def test_regressors_and_dates_are_kept_beside_their_values(process):
    days = pd.date_range("2024-01-01", periods=63)
    frames = []
    for name, row in positive((60, 60)).items():
        price = RNG.normal(size=63)
        y = np.append(row * np.exp(price[:60] / 9), [np.nan] * 3)
        frames.append(pd.DataFrame({"unique_id": name, "ds": days, "y": y, "price": price}))
    table = pd.concat(frames)
    past, later = table[table["ds"] < days[60]], table[table["ds"] >= days[60]]
    panel = Panel(process, covariates=["price"]).fit(past)
    made = panel.forecast(3, future=later.drop(columns="y"))
    scored = panel.log_prob(past)
    for name, rows in table.groupby("unique_id"):
        rows = rows.set_index("ds").asfreq("D")
        y, x = rows["y"][:60], rows[["price"]]
        alone = process.clone().fit(y, context=x[:60])
        assert scored[name] == pytest.approx(alone.log_prob(y, context=x[:60]), abs=1e-8)
        np.testing.assert_allclose(made.loc[name], alone.forecast(y, 3, context=x), rtol=1e-5)
        part = panel[name].log_prob(y[10:], context=x[10:60])  # where it begins the dates tell
        # of other data than those of which it is the maximum, estimates' last digits count
        assert part == pytest.approx(alone.log_prob(y[10:], context=x[10:60]), abs=1e-6)


def test_files_and_what_comes_later(tmp_path: Path):
    data = positive()
    panel = Panel(PROCESSES[1]).fit({name: row[:-2] for name, row in data.items()})
    panel.save(tmp_path / "panel.arproc")
    again = arproc.load(tmp_path / "panel.arproc")
    np.testing.assert_array_equal(again.forecast(3), panel.forecast(3))
    np.testing.assert_allclose(panel.update(data).forecast(3), panel.forecast(3, history=data))
