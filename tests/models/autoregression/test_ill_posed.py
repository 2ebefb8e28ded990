"""Ill-posed input: a right answer or a clear error, never a NaN. One table says which is which."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from arproc import AR, ARIMA, SETAR, VAR, BayesianAR, MarkovSwitchingAR
from arproc.errors import ArprocError, DataError
from arproc.forecasting import future_index
from arproc.gaussian.levinson import is_stationary

METHODS: dict[str, Any] = {
    "mle": lambda order: AR(order),
    "ols": lambda order: AR(order, method="ols", initial="given"),
    "yule-walker": lambda order: AR(order, method="yule-walker"),
    "adjusted": lambda order: AR(order, method="yule-walker-adjusted"),
    "burg": lambda order: AR(order, method="burg"),
    "line": lambda order: AR(order, "ct"),
}
X = AR.from_parameters([0.6, -0.3], mean=5.0).sample(1, 200, seed=0)[0]
T = np.arange(200.0)
WALK = np.random.default_rng(0).normal(size=200).cumsum()
WORKS = "works"
EVERY = dict.fromkeys(METHODS, WORKS)

CONSTANT = dict.fromkeys(METHODS, "constant to double precision") | {
    "line": "exact straight line to double precision"
}
SHORT = dict.fromkeys(METHODS, "too short")
REFUSED = dict.fromkeys(METHODS, r"missing values \(NaN\)")
NO_GAPS = REFUSED | {"mle": WORKS, "line": WORKS}
#: these shrink towards the mean, or do not see the ends: something is left to chance
SHRUNK = dict.fromkeys(["yule-walker", "adjusted", "burg"], WORKS)
NO_CHANCE = "deterministic recursion"
DETERMINISTIC = SHRUNK | {
    "mle": "no maximum", "line": "no maximum", "ols": "deterministic|do not determine",
}  # fmt: skip

#: what is ill posed -> (the data, the order, for each method "works" or what the error says)
TABLE: dict[str, tuple[Any, int, dict[str, str]]] = {
    "a constant": (np.full(50, 3.0), 2, CONSTANT),
    "a large constant": (np.full(50, 1e15), 2, CONSTANT),
    "all zero": (np.zeros(50), 2, CONSTANT),
    "a constant of a panel": ([np.full(20, 3.0), np.full(9, 3.0)], 2, CONSTANT),
    "a constant but for rounding": (np.array([0.1 + 0.2, 0.3] * 25), 2, CONSTANT),
    "a constant series among others": ([X[:60], np.full(20, 5.0)], 2, EVERY),
    "a line": (T, 2, DETERMINISTIC | {"line": "exact straight line"}),
    "a sine": (np.sin(T), 2, DETERMINISTIC),
    "alternating signs": (
        (-1.0) ** T, 2, DETERMINISTIC | {"adjusted": NO_CHANCE, "burg": NO_CHANCE},
    ),
    "a period of three": (np.tile([1.0, 2.0, 4.0], 40), 2, DETERMINISTIC),
    "no elements": (np.zeros(0), 2, dict.fromkeys(METHODS, "no elements|empty")),
    "one element": (X[:1], 2, SHORT),
    "as many elements as lags": (X[:2], 2, SHORT),
    "all missing": (
        np.full(50, np.nan), 2,
        REFUSED | {"mle": "too short", "line": "too short"},
    ),
    "one observed": (
        np.where(T == 7, X, np.nan), 1,
        REFUSED | {"mle": "too short", "line": "too short"},
    ),
    "constant where observed": (
        np.where(T % 3 == 0, 2.0, np.nan), 1,
        REFUSED | {"mle": "constant to double", "line": "exact straight line"},
    ),
    "an infinite value": (np.append(X, np.inf), 2, dict.fromkeys(METHODS, "infinity")),
    "variances beyond double precision": (1e100 * X, 2, dict.fromkeys(METHODS, "another unit")),
    "variances below double precision": (1e-100 * X, 2, dict.fromkeys(METHODS, "another unit")),
    "text": (list("abcdef"), 2, dict.fromkeys(METHODS, "numbers")),
    # ---- what must work
    "scale 1e-12": (1e-12 * X, 2, EVERY),
    "scale 1e12": (1e12 * X, 2, EVERY),
    "small beside its mean": (1.0 + 1e-9 * X, 2, EVERY),
    "a mean of 1e12": (1e12 + X, 2, EVERY),
    "p close to n": (
        X[20:28], 5,
        {
            # with so few values some recursion passes through all of them: nothing is likeliest
            "mle": "no maximum", "line": "no maximum", "ols": "too short|do not determine",
            "yule-walker": WORKS, "adjusted": "are those of no process", "burg": WORKS,
        },
    ),
    "p close to n, order 5 of 14": (X[20:34], 5, EVERY),
    "p close to n, order 3 of 12": (X[:12], 3, EVERY | {"adjusted": "are those of no process"}),
    "a unit root": (WALK, 2, EVERY),
    "two unit roots": (WALK.cumsum(), 3, EVERY),
    "near a unit root": (AR.from_parameters([0.9999]).sample(1, 300, seed=1)[0], 1, EVERY),
    "near two unit roots": (
        AR.from_parameters([1.998, -0.99801]).sample(1, 300, seed=1)[0], 2, EVERY,
    ),
    "near a seasonal unit root": (
        np.tile(X[:12], 20) + 0.01 * np.resize(X, 240), 12,
        EVERY | {"adjusted": "are those of no process"},
    ),
    "an explosive root": (1.05**T + X, 2, EVERY),
    "an outlier of 1e8": (np.append(X, 1e8), 2, EVERY),
    "int8": (np.clip(10 * X, -127, 127).astype(np.int8), 2, EVERY),
    "uint8": (np.clip(10 * X + 50, 0, 255).astype(np.uint8), 2, EVERY),
    "int64 whose squares overflow": ((1e15 * X).astype(np.int64), 2, EVERY),
    "int64 whose differences overflow": (
        np.array([2**63 - 1, -(2**63), 2**63 - 1, 5, 7, -(2**62), 3, 2**60, 1, 9, 2**61, 4]),
        1, EVERY,
    ),
    "uint64 beyond int64": (
        np.array([2**64 - 1, 0, 2**64 - 1, 5, 7, 2**62, 3, 2**60, 1, 9, 2**61, 4], np.uint64), 1,
        EVERY,
    ),
    "booleans": (X > 5, 2, EVERY),
    "float16": (X.astype(np.float16), 2, EVERY),
    "gaps": (np.where(T % 7 == 3, np.nan, X), 2, NO_GAPS),
    "mostly gaps": (np.where(T % 10, np.nan, X), 2, NO_GAPS),
    "gaps at both ends": (np.where((T < 5) | (T > 190), np.nan, X), 2, NO_GAPS),
    "a panel of short series": ([X[:5], X[20:24], X[40:46], X[60:67]], 2, EVERY),
    "a panel with one missing series": ([X[:50], np.full(9, np.nan), X[60:99]], 2, NO_GAPS),
}  # fmt: skip


def assert_answers(model: Any, data: Any) -> None:
    """Every number that a fitted model gives is a number."""
    numbers = [model.estimates_, np.sqrt(np.diag(model.covariance_)), model.log_likelihood_]
    numbers += [model.information_criterion("bic"), model.log_prob(data), model.score(data)]
    numbers += [model.forecast(data, 4), model.sample(3, 5, prefix=last(data), seed=0)]
    for value in numbers:
        assert np.isfinite(np.asarray(value, dtype=float)).all()
    assert model.sigma2_ > 0
    assert "nan" not in model.summary()


def last(data: Any) -> Any:
    return data[0] if isinstance(data, list) else data


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("case", TABLE)
def test_a_right_answer_or_a_clear_error(case, method):
    data, order, outcomes = TABLE[case]
    outcome, model = outcomes[method], METHODS[method](order)
    if outcome == WORKS:
        assert_answers(model.fit(data), data)
        if method != "ols":
            assert is_stationary(model.coef_)
        return
    with pytest.raises(ArprocError, match=outcome):
        model.fit(data)


@pytest.mark.parametrize("order", [2, [1, 3]])
@pytest.mark.parametrize("initial", ["stationary", "given"])
@pytest.mark.parametrize(
    "x", [np.sin(T), T, (-1.0) ** T, np.tile([1.0, 2.0, 4.0], 67)[:200]],
    ids=["a sine", "a line", "alternating signs", "a period of three"],
)  # fmt: skip
def test_deterministic_data_with_gaps_are_refused(x, initial, order):
    gaps = np.where(T % 5 == 4, np.nan, x)
    with pytest.raises(DataError, match="no maximum"):
        AR(order, initial=initial).fit(gaps)


@pytest.mark.parametrize("settings", [{"order": 2}, {"order": 2, "initial": "given"}])
@pytest.mark.parametrize("case", ["a unit root", "two unit roots", "near two unit roots"])
def test_near_unit_roots_with_gaps(case, settings):
    x = TABLE[case][0]
    gaps = np.where(np.arange(len(x)) % 5 == 4, np.nan, x)
    model = AR(**settings).fit(gaps)
    assert_answers(model, gaps)
    whole = AR(**settings).fit(x)
    np.testing.assert_allclose(model.coef_, whole.coef_, atol=0.15)


def test_the_scale_changes_nothing_but_the_unit():
    for method, make in METHODS.items():
        one = make(2).fit(X)
        for scale in (1e-12, 1e12):
            other = make(2).fit(scale * X)
            np.testing.assert_allclose(other.coef_, one.coef_, rtol=1e-9, err_msg=method)
            assert other.sigma2_ == pytest.approx(one.sigma2_ * scale**2, rel=1e-9)
            np.testing.assert_allclose(
                other.forecast(scale * X, 5), scale * one.forecast(X, 5), rtol=1e-9
            )
            shift = len(X[one.n_given :]) * np.log(scale)
            assert other.log_prob(scale * X) == pytest.approx(one.log_prob(X) - shift, rel=1e-9)


def test_whole_numbers_are_the_floats_they_stand_for():
    whole = np.clip(10 * X, -127, 127).astype(np.int8)
    for make in METHODS.values():
        one, other = make(2).fit(whole), make(2).fit(whole.astype(float))
        np.testing.assert_array_equal(one.estimates_, other.estimates_)


def test_explosive_roots_are_fitted_given_the_first_values():
    """Against least squares by hand; a stationary start is refused in words."""
    x = 1.05**T + X
    model = AR(2, initial="given").fit(x)
    rows = np.column_stack([np.ones(198), x[1:-1], x[:-2]])
    want = np.linalg.lstsq(rows, x[2:], rcond=None)[0]
    np.testing.assert_allclose(model.coef_, want[1:], rtol=1e-6)
    assert np.abs(model.roots[0]) > 1
    with pytest.raises(ArprocError, match="initial='given'"):
        AR(2, method="ols").fit(x)


def test_collinear_columns_are_named():
    z = np.random.default_rng(0).normal(size=(200, 2))
    twice = np.column_stack([z, z[:, 0] + 2 * z[:, 1]])
    flat = np.column_stack([z, np.full(200, 7.0)])
    for meaning in ({"regressors": "mean"}, {"regressors": "recursion", "initial": "given"}):
        with pytest.raises(DataError, match="collinear: x3"):
            AR(1, **meaning).fit(X, context=twice)
        with pytest.raises(DataError, match="collinear: x3 is a combination of const"):
            AR(1, **meaning).fit(X, context=flat)
        with pytest.raises(DataError, match="0 at every element"):
            AR(1, **meaning).fit(X, context=0 * z)
    with pytest.raises(DataError, match="collinear"):
        AR(1, seasonal=4, fourier={4: 2}).fit(X)
    seen = np.where(T % 4 == 1, np.nan, X)
    with pytest.raises(DataError, match=r"collinear over .* observed"):
        AR(1, seasonal=4).fit(seen)


TWO = np.column_stack([X, WALK])
#: other classical models -> (how one is made, data that suit it)
OTHERS: dict[str, tuple[Any, np.ndarray]] = {
    "ARIMA": (lambda: ARIMA((1, 0, 1)), X),
    "VAR": (lambda: VAR(1), TWO[:150]),
    "BayesianAR": (lambda: BayesianAR(2), X),
    "SETAR": (lambda: SETAR(1), X),
    "MarkovSwitchingAR": (lambda: MarkovSwitchingAR(1, 2), X),
}


@pytest.mark.parametrize("scale", [1e-12, 1e12])
@pytest.mark.parametrize("name", OTHERS)
def test_other_classical_models_at_any_scale(name, scale):
    make, data = OTHERS[name]
    one, other = make().fit(data), make().fit(scale * data)
    counted = data[one.n_given :].size * np.log(scale)
    want = one.log_prob(data) - counted
    assert other.log_prob(scale * data) == pytest.approx(want, rel=1e-9)
    ahead = [m.forecast(x, 3, seed=0) for m, x in ((one, data), (other, scale * data))]
    np.testing.assert_allclose(ahead[1] / scale, ahead[0], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", OTHERS)
def test_other_classical_models_of_whole_numbers(name):
    make, data = OTHERS[name]
    whole = np.clip(10 * data, -127, 127).astype(np.int8)
    one, other = make().fit(whole), make().fit(whole.astype(float))
    assert one.log_prob(whole) == other.log_prob(whole.astype(float))


@pytest.mark.parametrize("case", ["constant", "one element", "all missing", "infinite", "text"])
@pytest.mark.parametrize("name", OTHERS)
def test_other_classical_models_refuse_in_words(name, case):
    make, data = OTHERS[name]
    wrong = {
        "constant": np.full_like(data, 3.0),
        "one element": data[:1],
        "all missing": np.full_like(data, np.nan),
        "infinite": np.where(np.arange(data.size).reshape(data.shape) == 7, np.inf, data),
        "text": list("abc"),
    }[case]
    with pytest.raises(ArprocError, match=r"data|components"):
        make().fit(wrong)


def test_collinear_components_are_refused():
    with pytest.raises(DataError, match="data"):
        VAR(1).fit(np.column_stack([X, 2 * X]))


# ---- dates --------------------------------------------------------------------------------------

BERLIN = "Europe/Berlin"
DATES: dict[str, tuple[pd.Index, list[str]]] = {
    "daily, into summer time": (
        pd.date_range("2024-03-27", periods=4, tz=BERLIN),
        ["2024-03-31 00:00+01:00", "2024-04-01 00:00+02:00", "2024-04-02 00:00+02:00"],
    ),
    "hourly, into summer time": (
        pd.date_range("2024-03-30 22:00", periods=4, freq="h", tz=BERLIN),
        ["2024-03-31 03:00+02:00", "2024-03-31 04:00+02:00", "2024-03-31 05:00+02:00"],
    ),
    "hourly, out of summer time": (
        pd.date_range("2024-10-26 23:00", periods=4, freq="h", tz=BERLIN),
        ["2024-10-27 02:00+01:00", "2024-10-27 03:00+01:00", "2024-10-27 04:00+01:00"],
    ),
    "daily at an hour that is left out": (
        pd.date_range("2024-03-26 02:30", periods=4, tz=BERLIN),
        ["2024-03-30 02:30+01:00", "2024-03-31 03:00+02:00", "2024-04-01 02:30+02:00"],
    ),
    "daily at an hour that comes twice": (
        pd.date_range("2024-10-22 02:30", periods=4, tz=BERLIN),
        ["2024-10-26 02:30+02:00", "2024-10-27 02:30+02:00", "2024-10-28 02:30+01:00"],
    ),
    "business days": (
        pd.bdate_range("2024-01-02", periods=8), ["2024-01-12", "2024-01-15", "2024-01-16"],
    ),
    "business days in a time zone": (
        pd.bdate_range("2024-03-19", periods=8, tz=BERLIN),
        ["2024-03-29 00:00+01:00", "2024-04-01 00:00+02:00", "2024-04-02 00:00+02:00"],
    ),
    "business days with holidays": (
        pd.bdate_range("2024-12-20", periods=6, freq="C", holidays=["2024-12-25", "2024-12-26"]),
        ["2025-01-01", "2025-01-02", "2025-01-03"],
    ),
    "months in a time zone": (
        pd.date_range("2024-01-01", periods=5, freq="MS", tz="America/New_York"),
        ["2024-06-01 00:00-04:00", "2024-07-01 00:00-04:00", "2024-08-01 00:00-04:00"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("known", [True, False], ids=["with its frequency", "without"])
@pytest.mark.parametrize("case", DATES)
def test_forecast_dates(case, known):
    index, want = DATES[case]
    if not known:
        index = pd.DatetimeIndex(list(index))
        if case == "business days with holidays":
            assert list(future_index(index, 3)) == [1, 2, 3]  # no rule tells a holiday
            return
    table = AR.from_parameters([0.5]).forecast(pd.Series(np.arange(len(index)), index), 3)
    assert list(table.index) == [pd.Timestamp(label).tz_convert(index.tz) if index.tz is not None
                                 else pd.Timestamp(label) for label in want]  # fmt: skip


def test_labels_that_are_no_time_give_steps():
    index = pd.Index(list("abcd"))
    table = AR.from_parameters([0.5]).forecast(pd.Series(np.arange(4.0), index), 3)
    assert table.index.tolist() == [1, 2, 3]
    assert table.index.name == "step"
    terms = AR.from_parameters([0.5]).log_prob_terms(pd.Series(np.arange(4.0), index))
    assert terms.index.equals(index)


@pytest.mark.parametrize(
    "index",
    [
        pd.Index([2**63 - 4, 2**63 - 3, 2**63 - 2, 2**63 - 1]),
        pd.DatetimeIndex(["2262-04-08", "2262-04-09", "2262-04-10", "2262-04-11"]).as_unit("ns"),
    ],
    ids=["numbers", "dates"],
)
def test_after_the_last_label_there_is_steps_are_counted(index):
    table = AR.from_parameters([0.5]).forecast(pd.Series(np.arange(4.0), index), 3)
    assert table.index.tolist() == [1, 2, 3]


def january(*days: int | None) -> pd.DatetimeIndex:
    return pd.DatetimeIndex([None if day is None else f"2024-01-{day:02}" for day in days])


@pytest.mark.parametrize(
    ("index", "message"),
    [
        (january(1, 1, 2, 3), "2024-01-01 .*twice"),
        (january(1, 1, 1, 1), "twice"),
        (january(1, 3, 4, 9), "regular step"),
        (january(1, 2, 3, None), "label is missing"),
        (january(4, 3, 2, 1), "out of order"),
        (pd.date_range("2024-01-04", periods=4, freq="-1D"), "out of order"),
        (january(1, 3, 2, 4), "out of order"),
        (pd.PeriodIndex(["2024-01", "2024-01", "2024-02", "2024-03"], freq="M"), "2024-01 twice"),
        (pd.Index([1, 1, 1, 1]), "twice"),
        (pd.Index([3, 2, 1, 0]), "out of order"),
        (pd.Index([0.0, np.nan, 1.0, 2.0]), "label is missing"),
        (pd.Index([1, 2, 3, pd.NA], dtype="Int64"), "label is missing"),
    ],
    ids=str,
)  # fmt: skip
def test_labels_that_are_not_consecutive_are_refused(index, message):
    series, model = pd.Series(np.arange(4.0), index), AR.from_parameters([0.5])
    for call in (
        model.log_prob,
        model.log_prob_terms,
        model.start,
        lambda x: model.forecast(x, 3),
    ):
        with pytest.raises(DataError, match=message):
            call(series)


@pytest.mark.parametrize(
    ("index", "after"),
    [
        (pd.PeriodIndex(["2024-01", "2024-02", "2024-04", "2024-05"], freq="M"), "2024-06"),
        (pd.Index([1, 2, 5, 6]), "7"),
        (pd.to_timedelta([0, 1, 5, 6], unit="D"), "7 days 00:00:00"),
        (january(1, 2, 4, 5), "2024-01-06 00:00:00"),
    ],
    ids=str,
)  # fmt: skip
def test_steps_that_labels_leave_out_are_missing_values(index, after):
    series, model = pd.Series([1.0, 2.0, 4.0, 5.0], index), AR.from_parameters([0.5])
    gaps = {"5": 2, "5 days 00:00:00": 3}.get(str(index[2]), 1)
    whole = [1.0, 2.0, *[np.nan] * gaps, 4.0, 5.0]
    assert model.log_prob(series) == pytest.approx(model.log_prob(whole), rel=1e-12)
    table = model.forecast(series, 1)
    assert str(table.index[0]) == after
    with pytest.raises(DataError, match=r"no row for .* takes no missing values.*freq= in fit"):
        SETAR(1).fit(pd.Series(np.arange(4.0), index))


def test_unsigned_numbers_count_down():
    index = pd.Index([252, 251, 250], dtype="uint8")
    assert future_index(index, 3).tolist() == [249, 248, 247]
    assert future_index(pd.Index([253, 254, 255], dtype="uint8"), 2).tolist() == [256, 257]
