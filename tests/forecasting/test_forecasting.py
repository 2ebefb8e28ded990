"""Forecast tables: quantiles, dates carried on, simulation against closed forms."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats
from torch import distributions as td
from torch.distributions import Distribution
from toys import Counter, Linear, Walk

import arproc
from arproc.contract.state import State
from arproc.errors import DataError, ParameterError, UnsupportedError
from arproc.forecasting import future_index
from arproc.forecasting.marginals import Simulated, at_levels
from arproc.models.autoregression.law import ARLaw

SERIES = arproc.AR.from_parameters([0.8], mean=5.0, sigma2=2.0).sample(1, length=200, seed=0)[0]
MODEL = arproc.AR(1).fit(SERIES)


class BlindLaw(ARLaw):
    def predictive(self, state: State, horizon: int) -> Distribution | None:
        return None


class ParticleLaw(BlindLaw):
    def joint(self, state: State, horizon: int) -> Distribution | None:
        return None


class Blind(arproc.AR):
    """An AR that knows no closed form of the marginals."""

    kind = BlindLaw

    def _fit(self, sequences, *, validation, context):
        law, fit = super()._fit(sequences, validation=validation, context=context)
        return self.kind(*(getattr(law, part.name) for part in fields(law))), fit


class Particle(Blind):
    """One that knows no joint law either."""

    kind = ParticleLaw


INDEXES = {
    "months": (pd.date_range("2020-01", periods=200, freq="MS"), "2036-09-01"),
    "month ends": (pd.date_range("2020-01", periods=200, freq="ME"), "2036-09-30"),
    "business days": (pd.bdate_range("2024-01-05", periods=200), "2024-10-11"),
    "hours with a time zone": (
        pd.date_range("2024-03-30", periods=200, freq="h", tz="Europe/Berlin"),
        "2024-04-07 09:00:00+02:00",
    ),
    "periods": (pd.period_range("1990Q1", periods=200, freq="Q"), "2040Q1"),
    "years as numbers": (pd.Index(range(1700, 1900)), "1900"),
    "a step of five": (pd.RangeIndex(0, 1000, 5), "1000"),
}


@pytest.mark.parametrize("name", INDEXES)
def test_the_dates_are_carried_on(name: str) -> None:
    index, first = INDEXES[name]
    forecast = MODEL.forecast(pd.Series(SERIES, index=index), 3)
    assert str(forecast.index[0]) in (first, f"{first} 00:00:00")
    assert forecast.index.is_monotonic_increasing
    assert len(forecast) == 3


def test_an_irregular_index_is_counted_on() -> None:
    dates = pd.to_datetime(["2020-01-01", "2020-01-02", "2020-01-05", "2020-02-01"])
    assert list(future_index(dates, 2)) == [1, 2]


def test_columns_are_the_mean_and_the_quantiles_asked_for() -> None:
    forecast = MODEL.forecast(SERIES, 4, quantiles=(0.1, 0.5, 0.9))
    assert list(forecast.columns) == ["mean", 0.1, 0.5, 0.9]
    assert (forecast[0.1] < forecast[0.5]).all()
    assert (forecast[0.5] < forecast[0.9]).all()


def test_simulation_agrees_with_the_closed_form() -> None:
    simulated = Blind(1).fit(SERIES)
    exact = MODEL.forecast(SERIES, 8)
    drawn = simulated.forecast(SERIES, 8, seed=1, n_paths=20_000)
    scale = (exact[0.95] - exact[0.05]).to_numpy()[:, None]
    assert np.abs((drawn - exact).to_numpy() / scale).max() < 0.02
    pd.testing.assert_frame_equal(drawn, simulated.forecast(SERIES, 8, seed=1, n_paths=20_000))


def test_intervals_widen_to_the_stationary_law() -> None:
    far = MODEL.forecast(SERIES, 200).iloc[-1]
    deviation = (MODEL.sigma2_ / (1 - MODEL.coef_[0] ** 2)) ** 0.5
    assert far["mean"] == pytest.approx(MODEL.mean_, rel=1e-6)
    assert far[0.95] - far["mean"] == pytest.approx(1.6448536 * deviation, rel=1e-6)


def test_a_panel_is_indexed_by_series() -> None:
    frame = pd.DataFrame({"a": SERIES[:50], "b": SERIES[50:100]})
    forecast = MODEL.forecast(frame, 2)
    assert forecast.index.names == ["series", "step"]
    pd.testing.assert_frame_equal(
        forecast.loc["b"], MODEL.forecast(frame["b"], 2), check_names=False
    )


def test_a_series_forecast_does_not_depend_on_its_company() -> None:
    simulated = Blind(1).fit(SERIES)
    both = simulated.forecast([SERIES[:50], SERIES[:90]], 3, seed=4)
    assert both.loc[0].to_numpy() == pytest.approx(
        simulated.forecast(SERIES[:50], 3, seed=4).to_numpy()
    )


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ({"horizon": 0}, "horizon must be at least 1"),
        ({"horizon": 2.5}, "horizon must be an integer"),
        ({"horizon": 1, "quantiles": (0.5, 1.0)}, "quantiles must lie"),
        ({"horizon": 1, "n_paths": 1}, "n_paths must be at least 2"),
    ],
)
def test_wrong_calls_are_named(call: dict, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        MODEL.forecast(SERIES, **call)


def test_text_has_no_forecast() -> None:
    letters = arproc.NGram(1, tokens="char", smoothing="additive").fit("abab")
    with pytest.raises(UnsupportedError, match=r"sample\(prefix"):
        letters.forecast("ab", 2)


def test_a_forecast_beyond_what_numbers_hold_is_an_error() -> None:
    explosive = arproc.AR.from_parameters([1.5], initial="given")
    assert np.isfinite(explosive.forecast([1.0], 500)).all(axis=None)
    for call in (explosive.forecast, explosive.sample_paths):
        with pytest.raises(DataError, match=r"at step \d+ of 3000: .* the values explode"):
            call([1.0], 3000)


# ---- indexes that are not plain dates --------------------------------------------------------


@pytest.mark.parametrize(
    ("index", "future"),
    [
        (pd.date_range("2024-01-04", periods=4, freq="-1D"), ["2023-12-31", "2023-12-30"]),
        (pd.to_datetime(["2024-01-03", "2024-01-02", "2024-01-01"]), ["2023-12-31", "2023-12-30"]),
        (pd.to_timedelta([1, 2, 3], unit="h"), ["0 days 04:00:00", "0 days 05:00:00"]),
        (pd.to_timedelta([1, 2, 4], unit="h"), ["1", "2"]),
        (pd.DatetimeIndex([]), ["1", "2"]),
        (pd.PeriodIndex([], freq="M"), ["1", "2"]),
        (pd.RangeIndex(0), ["0", "1"]),
        (pd.RangeIndex(7, 8), ["8", "9"]),
        (pd.Index([5.5]), ["1", "2"]),
        (pd.Index([3, 2, 1]), ["0", "-1"]),
        (pd.Index([1.5, 2.0, 2.5]), ["3.0", "3.5"]),
        (pd.Index([1, 2, 4]), ["1", "2"]),
        (pd.Index([1.0, np.nan]), ["1", "2"]),
        (pd.Index([True, False]), ["1", "2"]),
        (pd.Index(["a", "b"]), ["1", "2"]),
        (pd.DatetimeIndex(["2024-01-01", None, "2024-01-03"]), ["1", "2"]),
        (pd.DatetimeIndex(["2024-01-01"] * 3), ["1", "2"]),
        (pd.MultiIndex.from_product([[1], [2, 3]]), ["1", "2"]),
    ],
    ids=lambda x: f"{type(x).__name__} {len(x)}",
)  # fmt: skip
def test_what_follows_any_index(index: pd.Index, future: list[str]) -> None:
    got = future_index(index, 2)
    assert [str(x).removesuffix(" 00:00:00") for x in got] == future


@pytest.mark.parametrize(
    "index",
    [
        pd.to_timedelta([1, 2, 3], unit="h"),
        pd.RangeIndex(7, 8),
        pd.Index([5.5]),
        pd.Index([1.5, 2.0, 2.5]),
        pd.Index([True, False]),
        pd.Index(["a", "b"]),
    ],
    ids=lambda x: f"{type(x).__name__} {len(x)}",
)
def test_forecasts_go_on_with_the_labels(index: pd.Index) -> None:
    series = pd.Series(SERIES[: len(index)], index=index)
    assert MODEL.forecast(series, 2).index.equals(future_index(index, 2))


def test_daylight_saving_is_carried_over() -> None:
    index = pd.date_range("2024-03-28", periods=3, freq="D", tz="Europe/Paris")
    future = future_index(index, 2)
    assert [str(x) for x in future] == ["2024-03-31 00:00:00+01:00", "2024-04-01 00:00:00+02:00"]


@pytest.mark.parametrize("freq", [True, False])
@pytest.mark.parametrize(
    ("index", "future"),
    [
        # a clock time that a change to daylight saving time leaves out, or shows twice
        (pd.date_range("2024-03-26 02:30", periods=5, freq="D", tz="Europe/Berlin"),
         ["2024-03-31 03:00:00+02:00", "2024-04-01 02:30:00+02:00"]),
        (pd.date_range("2024-10-22 02:30", periods=5, freq="D", tz="Europe/Berlin"),
         ["2024-10-27 02:30:00+02:00", "2024-10-28 02:30:00+01:00"]),
        (pd.date_range("2024-10-26 21:00", periods=5, freq="h", tz="Europe/Berlin"),
         ["2024-10-27 02:00:00+02:00", "2024-10-27 02:00:00+01:00"]),
        (pd.bdate_range("2024-03-18", periods=10, tz="America/New_York"),
         ["2024-04-01 00:00:00-04:00", "2024-04-02 00:00:00-04:00"]),
        (pd.date_range("2024-01-03", periods=4, freq="W-WED"), ["2024-01-31", "2024-02-07"]),
        (pd.date_range("2024-02-29", periods=4, freq="QE-NOV"), ["2025-02-28", "2025-05-31"]),
        (pd.date_range("2024-01-01", periods=3, freq="15min"),
         ["2024-01-01 00:45:00", "2024-01-01 01:00:00"]),
    ],
    ids=lambda x: str(x[0])[:16],
)  # fmt: skip
def test_dates_of_any_frequency(index: pd.DatetimeIndex, future: list[str], freq: bool) -> None:
    got = future_index(index if freq else pd.DatetimeIndex(list(index)), 2)
    assert [str(x).removesuffix(" 00:00:00") for x in got] == future


def test_holidays_that_the_frequency_knows_are_left_out() -> None:
    days = pd.offsets.CustomBusinessDay(holidays=["2024-07-04"])
    index = pd.date_range("2024-07-01", periods=3, freq=days)
    assert [str(x.date()) for x in future_index(index, 2)] == ["2024-07-05", "2024-07-08"]


@pytest.mark.parametrize(
    "index",
    [
        pd.PeriodIndex(["2024-01", "2024-01", "2024-02"], freq="M"),
        pd.PeriodIndex(["2024-01", "2024-03", "2024-04"], freq="M"),
        pd.PeriodIndex(["2024-01", None], freq="M"),
        pd.bdate_range("2024-06-27", periods=8).delete(5),
        pd.Index([1, 2, None], dtype="Int64"),
        pd.Index([2**63 - 3, 2**63 - 2]),
        pd.Index([4, 4]),
    ],
    ids=str,
)
def test_labels_without_a_step_are_counted_on(index: pd.Index) -> None:
    assert list(future_index(index, 3)) == [1, 2, 3]


def test_periods_and_numbers_go_on_by_their_step() -> None:
    assert [str(x) for x in future_index(pd.period_range("2024-01", periods=3, freq="2M"), 2)] == [
        "2024-07", "2024-09"
    ]  # fmt: skip
    assert list(future_index(pd.Index([3, 2, 1], dtype="uint8"), 2)) == [0, -1]
    assert list(future_index(pd.Index(np.array([125, 126, 127], dtype=np.int8)), 2)) == [128, 129]
    named = pd.date_range("2024-01-01", periods=4, freq="D", name="day", unit="s")
    future = future_index(named, 2)
    assert (future.name, future.unit, future.freqstr) == ("day", "s", "D")


def test_a_panel_whose_columns_have_levels() -> None:
    columns = pd.MultiIndex.from_tuples([("g", "a"), ("g", "b")])
    frame = pd.DataFrame(SERIES[:80].reshape(40, 2), columns=columns)
    forecast = MODEL.forecast(frame, 2)
    assert forecast.loc[("g", "b")].shape == (2, 4)


def test_nothing_known_is_forecast_from_the_start() -> None:
    assert MODEL.forecast([], 2)["mean"].to_numpy() == pytest.approx([MODEL.mean_] * 2)


# ---- what is simulated -----------------------------------------------------------------------


def test_quantiles_of_counts_are_counts() -> None:
    process = Counter().fit([1, 2])
    forecast = process.forecast([3, 0, 2], 6, quantiles=(0.01, 0.3, 0.5, 0.9), seed=0)
    quantiles = forecast[[0.01, 0.3, 0.5, 0.9]].to_numpy()
    np.testing.assert_array_equal(quantiles, quantiles.round())
    exact = stats.poisson(float(process.conditional([3, 0, 2]).mean)).ppf([0.01, 0.3, 0.5, 0.9])
    many = process.forecast([3, 0, 2], 1, (0.01, 0.3, 0.5, 0.9), seed=0, n_paths=40_000)
    np.testing.assert_array_equal(many.to_numpy()[0, 1:], exact)


def test_simulated_quantiles_are_numpys() -> None:
    paths = torch.randn(2, 11, 3, generator=torch.Generator().manual_seed(0)).double()
    levels = [0.001, 0.25, 0.5, 0.77, 0.999]
    for mass, method in ((False, "linear"), (True, "inverted_cdf")):
        want = np.quantile(paths.numpy(), levels, axis=1, method=method)
        np.testing.assert_allclose(at_levels(Simulated(paths, mass=mass), levels), want)


def test_a_conditioned_process_forecasts_in_closed_form() -> None:
    pd.testing.assert_frame_equal(
        MODEL.condition(SERIES[:60]).forecast(SERIES[60:90], 4),
        MODEL.forecast(SERIES[:90], 4).set_axis(range(30, 34)),
    )


def test_what_is_too_short_is_named() -> None:
    with pytest.raises(DataError, match="first 1 given values, and a row of the state has 0"):
        Walk(given=True).fit([0.0, 1.0]).forecast([], 2)


@pytest.mark.parametrize("quantiles", ["a", None, (0.5, "b"), {0.1, 0.9}, (0.5, float("nan"))])
def test_quantiles_that_are_no_numbers(quantiles: object) -> None:
    with pytest.raises(ParameterError, match=r"quantiles must lie in \(0, 1\); got"):
        MODEL.forecast(SERIES, 2, quantiles=quantiles)


# ---- vectors ---------------------------------------------------------------------------------


class JointLinear(Linear):
    """Vectors with the joint law of what follows the last one."""

    def _joint(self, state: State, horizon: int) -> Distribution:
        turn = 0.5 * torch.eye(2, dtype=torch.float64).flip(0)
        powers = [torch.linalg.matrix_power(turn, k) for k in range(horizon + 1)]
        last = state.history.tail(1)[:, 0]
        mean = torch.cat([last @ power.mT for power in powers[1:]], dim=1)
        none = torch.zeros(2, 2, dtype=torch.float64)
        rows = [
            torch.cat([powers[i - j] if i >= j else none for j in range(horizon)], dim=1)
            for i in range(horizon)
        ]
        factor = torch.cat(rows).expand(state.n, -1, -1)
        return td.MultivariateNormal(mean, scale_tril=factor, validate_args=False)


VECTORS = pd.DataFrame(
    np.random.default_rng(0).normal(size=(40, 2)),
    index=pd.period_range("2001-01", periods=40, freq="M"),
    columns=["rate", "gap"],
)


def test_vectors_have_a_column_for_each_component_and_quantile() -> None:
    forecast = JointLinear().fit(VECTORS).forecast(VECTORS, 3, quantiles=(0.1, 0.9))
    assert list(forecast.columns) == [
        (name, column) for name in ("rate", "gap") for column in ("mean", 0.1, 0.9)
    ]
    assert [str(step) for step in forecast.index] == ["2004-05", "2004-06", "2004-07"]
    mean, last = forecast.xs("mean", axis=1, level=1).to_numpy(), VECTORS.to_numpy()[-1]
    np.testing.assert_allclose(mean, [last[::-1] / 2, last / 4, last[::-1] / 8])
    deviation = np.sqrt([1, 1.25, 1.3125])
    width = forecast["gap"][0.9] - forecast["gap"]["mean"]
    np.testing.assert_allclose(width, stats.norm.ppf(0.9) * deviation)


@pytest.mark.parametrize("joint", [True, False])
def test_vectors_are_simulated_alike(joint: bool) -> None:
    exact = JointLinear().fit(VECTORS).forecast(VECTORS, 4)
    drawn = Linear(joint=joint).fit(VECTORS).forecast(VECTORS, 4, seed=0, n_paths=20_000)
    assert np.abs((drawn - exact).to_numpy()).max() < 0.05


def test_vectors_of_several_series_and_without_names() -> None:
    model = JointLinear().fit(VECTORS)
    forecast = model.forecast([VECTORS, VECTORS[:7]], 2)
    assert forecast.index.names == ["series", "step"]
    assert list(forecast.columns.levels[0]) == ["gap", "rate"]
    pd.testing.assert_frame_equal(
        forecast.loc[1], model.forecast(VECTORS[:7], 2), check_names=False
    )
    plain = model.forecast(VECTORS.to_numpy(), 2)
    assert list(plain.columns.get_level_values(0).unique()) == [0, 1]
    np.testing.assert_array_equal(plain, model.forecast(VECTORS, 2))


def test_the_joint_law_of_vectors_keeps_the_contract() -> None:
    from arproc.testing import check_process

    report = check_process(JointLinear().fit(VECTORS), only=["forecast", "joint"])
    assert report.passed == ["forecast", "joint"]


# ---- sample paths ----------------------------------------------------------------------------


def test_sample_paths_are_joint() -> None:
    paths = MODEL.sample_paths(SERIES, 6, n_paths=20_000, seed=0)
    assert paths.shape == (6, 20_000)
    assert paths.columns.name == "path"
    law = MODEL.law_.joint(MODEL.start(SERIES), 6)
    covariance = law.covariance_matrix[0].numpy()
    x = paths.to_numpy()
    error = np.sqrt((np.outer(*[np.diag(covariance)] * 2) + covariance**2) / 20_000)
    assert (np.abs(np.cov(x) - covariance) < 5 * error).all()
    np.testing.assert_allclose(x.mean(1), law.mean[0], atol=5 * covariance.max() ** 0.5 / 141)


def test_simulated_forecasts_are_the_quantiles_of_the_sample_paths() -> None:
    blind = Blind(1).fit(SERIES)
    forecast = blind.forecast(SERIES, 5, quantiles=(0.2, 0.7), seed=3, n_paths=200)
    paths = blind.sample_paths(SERIES, 5, n_paths=200, seed=3)
    np.testing.assert_allclose(forecast["mean"], paths.mean(axis=1))
    np.testing.assert_allclose(forecast[[0.2, 0.7]], paths.quantile([0.2, 0.7], axis=1).T)


def test_sample_paths_of_several_series_are_those_of_each() -> None:
    panel = pd.DataFrame({"a": SERIES[:50], "b": SERIES[50:100]})
    paths = MODEL.sample_paths(panel, 3, n_paths=4, seed=1)
    assert paths.index.names == ["series", "step"]
    pd.testing.assert_frame_equal(
        paths.loc["a"], MODEL.sample_paths(panel["a"], 3, n_paths=4, seed=1), check_names=False
    )


def test_sample_paths_of_vectors_and_of_counts() -> None:
    paths = Linear().fit(VECTORS).sample_paths(VECTORS, 2, n_paths=3, seed=0)
    assert list(paths.columns) == [(c, i) for c in ("rate", "gap") for i in range(3)]
    assert paths.columns.names == ["component", "path"]
    counts = Counter().fit([1, 2]).sample_paths([3, 0, 2], 6, n_paths=5, seed=0).to_numpy()
    np.testing.assert_array_equal(counts, counts.round())


def test_zeros_and_ones_are_forecast_by_their_chance() -> None:
    from toys import Bits

    forecast = Bits((6,)).fit(np.eye(6)).forecast([0, 1], 3, seed=0, n_paths=50)
    assert forecast["mean"].between(0, 1).all()
    assert set(forecast[0.5]) <= {0.0, 1.0}


def test_one_step_ahead_is_exact_where_the_conditional_has_quantiles(monkeypatch):
    model = arproc.SETAR.from_parameters([[0.8], [0.2]], 5.0, intercept=[1, 4], sigma2=[1, 2])
    exact, conditional = model.forecast(SERIES, 1), model.conditional(SERIES)
    want = stats.norm.ppf([0.05, 0.5, 0.95], conditional.mean, conditional.stddev)
    np.testing.assert_allclose(exact.iloc[0, 1:], want, rtol=1e-12)

    def unknown(distribution: Distribution, q: torch.Tensor) -> torch.Tensor:
        raise UnsupportedError("nobody wrote them")

    monkeypatch.setattr("arproc.contract.law.quantile", unknown)
    simulated = model.forecast(SERIES, 1, n_paths=20_000, seed=0)
    assert not np.array_equal(simulated, exact)
    np.testing.assert_allclose(simulated, exact, atol=0.1)
