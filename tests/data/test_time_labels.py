"""Labels that are times, however they are kept: as text, as Python's objects, as categories."""

import datetime

import numpy as np
import pandas as pd
import pytest

import arproc
from arproc.errors import DataError

DAYS = pd.date_range("2024-01-01", periods=60)
RNG = np.random.default_rng(0)
VALUES = np.convolve(RNG.normal(size=62), [1.0, 0.6, 0.3], mode="valid")
PUSH = pd.DataFrame({"u": RNG.normal(size=63), "v": RNG.normal(size=63)})
PUSH.index = pd.date_range("2024-01-01", periods=63)

#: How the labels of days may be kept.
KEPT = {
    "text": lambda days: days.strftime("%Y-%m-%d"),
    "text with hours": lambda days: days.strftime("%Y-%m-%d %H:%M"),
    "text with slashes": lambda days: days.strftime("%Y/%m/%d"),
    "pandas' strings": lambda days: days.strftime("%Y-%m-%d").astype("string"),
    "categories of text": lambda days: pd.CategoricalIndex(days.strftime("%Y-%m-%d")),
    "categories": pd.CategoricalIndex,
    "Python's dates": lambda days: pd.Index(days.date),
    "Python's datetimes": lambda days: pd.Index(days.to_pydatetime(), dtype=object),
    "objects": lambda days: days.astype(object),
    "periods as objects": lambda days: days.to_period("D").astype(object),
}


def kept(how, data):
    return data.set_axis(KEPT[how](data.index), axis=0)


def without(data):
    return data.drop(DAYS[[20, 21]])


SERIES = pd.Series(VALUES, DAYS, name="y")
FRAME = pd.DataFrame({"a": SERIES, "b": SERIES.to_numpy()[::-1]})

MODELS = {
    "AR": (lambda: arproc.AR(2), SERIES),
    "AR with seasons": (lambda: arproc.AR(1, seasonal=7), SERIES),
    "ARIMA": (lambda: arproc.ARIMA((1, 0, 1)), SERIES),
    "VAR": (lambda: arproc.VAR(1), FRAME),
    "Panel": (lambda: arproc.Panel(arproc.AR(1)), FRAME),
    "AutoPanel": (lambda: arproc.AutoPanel(period=[]), FRAME),
}


@pytest.mark.parametrize("how", KEPT)
@pytest.mark.parametrize("name", MODELS)
def test_a_day_that_is_absent_is_a_missing_value_however_days_are_kept(name, how):
    make, data = MODELS[name]
    want = make().fit(without(data)).forecast(horizon=2, history=without(data))
    own = kept(how, without(data))
    made = make().fit(own).forecast(horizon=2, history=own)
    np.testing.assert_allclose(made, want)
    assert made.index.names == want.index.names
    first = made.index[0] if isinstance(made.index[0], tuple) else (made.index[0],)
    assert pd.Timestamp(str(first[-1])) == DAYS[-1] + pd.Timedelta(days=1)


@pytest.mark.parametrize("how", KEPT)
def test_contexts_known_values_and_origins_are_aligned_by_them(how):
    model = arproc.AR(1, regressors="mean").fit(SERIES, context=PUSH[:60])
    own = kept(how, SERIES)
    later, context = own[40:], kept(how, PUSH)[["v", "u"]]
    np.testing.assert_allclose(
        model.log_prob(later, context=context), model.log_prob(SERIES[40:], context=PUSH[40:])
    )
    known = pd.Series([1.5], DAYS[-1:] + pd.Timedelta(days=2))
    want = model.forecast(SERIES, 3, context=PUSH, known=known)
    made = model.forecast(own, 3, context=context, known=kept(how, known))
    np.testing.assert_allclose(made, want)
    with pytest.raises(DataError, match="context has no row for 2024-01-01"):
        model.log_prob(own, context=kept(how, PUSH[2:]))
    told = {"horizon": 2, "start": "2024-02-20", "step": 4, "refit": "once"}
    backtest = arproc.backtest(arproc.AR(1), own, **told)
    want = arproc.backtest(arproc.AR(1), SERIES, **told)
    np.testing.assert_allclose(backtest["mean"], want["mean"])
    vectors = [arproc.backtest(arproc.VAR(1), d, **told) for d in (kept(how, FRAME), FRAME)]
    np.testing.assert_allclose(vectors[0]["mean"], vectors[1]["mean"])


@pytest.mark.parametrize("how", KEPT)
def test_the_second_level_of_an_index_of_series_and_days(how):
    parts = {"x": without(SERIES), "z": without(SERIES) * 2}
    want = arproc.AR(1).fit(pd.concat(parts))
    model = arproc.AR(1).fit(pd.concat({name: kept(how, part) for name, part in parts.items()}))
    assert model.log_likelihood_ == pytest.approx(want.log_likelihood_)


def test_steps_told_by_freq():
    some = SERIES.drop(DAYS[RNG.permutation(58)[:30] + 1])
    want = arproc.AR(1).fit(some, freq="D").log_likelihood_
    model = arproc.AR(1).fit(kept("text", some), freq="D")
    assert model.log_likelihood_ == pytest.approx(want)


@pytest.mark.parametrize("make", [arproc.AR, lambda p: arproc.Panel(arproc.AR(p))])
@pytest.mark.parametrize("form", ["%d.%m.%Y", "%d/%m/%y", "%m-%d-%Y"])
def test_days_whose_order_is_not_known_are_refused(make, form):
    data = SERIES.set_axis(DAYS.strftime(form))
    with pytest.raises(DataError, match=r"are no ISO dates .*pd\.to_datetime"):
        make(1).fit(data.to_frame())


def test_times_of_several_zones_are_refused():
    hours = [
        datetime.datetime(2024, 1, 1, i, tzinfo=datetime.timezone(datetime.timedelta(hours=i % 2)))
        for i in range(20)
    ]
    data = pd.Series(VALUES[:20], pd.Index(hours, dtype=object))
    with pytest.raises(DataError, match="times of more than one zone"):
        arproc.AR(1).fit(data)


@pytest.mark.parametrize("first", ["r-1", "2024-01-01", 2024, "1900"])
def test_names_tell_no_time(first):
    names = pd.Index([first, *(f"r{i}" for i in range(59))], dtype=object)
    if first == "2024-01-01":
        with pytest.raises(DataError, match=r"such as 'r0' .*are no ISO dates"):
            arproc.AR(1).fit(SERIES.set_axis(names))
        return
    model = arproc.AR(1).fit(SERIES.set_axis(names))
    assert model.log_likelihood_ == pytest.approx(arproc.AR(1).fit(VALUES).log_likelihood_)


def test_labels_of_a_tables_rows_stay_what_they_are():
    table = pd.DataFrame({"a": VALUES, "b": VALUES[::-1]}, DAYS.strftime("%d.%m.%Y"))
    model = arproc.MADE((3,), training=arproc.Training(steps=1)).fit(table)
    assert model.log_prob_terms(table).index.tolist() == table.index.tolist()


@pytest.mark.parametrize("dtype", [np.int64, np.uint64])
def test_whole_numbers_of_many_digits_stay_what_they_are(dtype):
    """Nanoseconds since 1970 have more digits than a float64."""
    stamps = (1_700_000_000_000_000_123 + 1_000_000_000 * np.arange(61)).astype(dtype)
    series = pd.Series(VALUES, stamps[:60])
    model = arproc.AR(1).fit(series.drop(stamps[20]))
    terms = model.log_prob_terms(series.drop(stamps[20]))
    assert terms.index.tolist() == stamps[:60].tolist()
    assert model.forecast(series, 1).index.tolist() == [stamps[60]]
