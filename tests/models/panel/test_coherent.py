"""Forecasts of hierarchies: they add up, and say how sure the sums are."""

import numpy as np
import pandas as pd
import pytest

from arproc import AR, AutoPanel, Panel, aggregate, reconcile
from arproc.errors import DataError, ParameterError, UnsupportedError
from arproc.models.panel.coherent import last_errors
from arproc.models.panel.data import read

PHI = 0.6
METHODS = ["bottom-up", "ols", "wls", "mint-shrink"]


def hierarchy(shared: float, length: int):
    """Six stores of two regions, the shocks of which are partly one."""
    rng = np.random.default_rng(1)
    common, rows = rng.normal(size=length), []
    for region in ("north", "south"):
        for store in "abc":
            shock = np.sqrt(shared) * common + np.sqrt(1 - shared) * rng.normal(size=length)
            x = np.zeros(length)
            for t in range(1, length):
                x[t] = PHI * x[t - 1] + shock[t]
            days = pd.date_range("2024-01-01", periods=length)
            rows.append(pd.DataFrame({"region": region, "store": store, "ds": days, "y": x + 30}))
    return aggregate(pd.concat(rows), ["region", "store"])


TABLE, SUMMING = hierarchy(0.5, 40)
MODEL = Panel(AR(1)).fit(TABLE)


@pytest.mark.parametrize("method", METHODS)
def test_forecasts_add_up_path_by_path(method):
    table = MODEL.reconcile(TABLE, SUMMING, 3, method, n_paths=100, seed=0)
    assert table.index.names == ["unique_id", "ds"]
    means = table["mean"].unstack()
    np.testing.assert_allclose(means.loc[SUMMING.index], SUMMING @ means.loc[SUMMING.columns])
    paths = dict(zip(MODEL.names_, MODEL.coherent_paths(TABLE, SUMMING, 3, 100, method, seed=0),
                     strict=True))  # fmt: skip
    for name, parts in SUMMING.iterrows():
        np.testing.assert_allclose(paths[name], sum(paths[x] for x in parts[parts == 1].index))
        quantiles = np.quantile(paths[name], [0.05, 0.5, 0.95], axis=0).T
        np.testing.assert_allclose(table.loc[name].iloc[:, 1:], quantiles)


def test_means_are_those_of_the_linear_map():
    made = MODEL.forecast(horizon=2)
    errors = pd.DataFrame(last_errors(MODEL, read(TABLE)), columns=MODEL.names_)
    for method in METHODS:
        want = reconcile(made, SUMMING, method, residuals=errors)
        found = MODEL.reconcile(TABLE, SUMMING, 2, method, n_paths=50, seed=0)
        np.testing.assert_allclose(found["mean"], want["mean"])
    parts = {"total": ["north", "south"], "north": ["north/a", "north/b", "north/c"],
             "south": ["south/a", "south/b", "south/c"]}  # fmt: skip
    by_parts = MODEL.reconcile(TABLE, parts, 2, "ols", n_paths=50, seed=0)
    np.testing.assert_allclose(
        by_parts, MODEL.reconcile(TABLE, SUMMING, 2, "ols", n_paths=50, seed=0)
    )


def test_errors_of_one_step_are_those_of_the_law():
    errors = last_errors(MODEL, read(TABLE))
    one = MODEL["total"]
    x = read(TABLE).row(MODEL.names_.index("total"))
    center = one.intercept_ + one.coef_[0] * x[-len(errors) - 1 : -1]
    np.testing.assert_allclose(errors[:, MODEL.names_.index("total")], x[-len(errors) :] - center)


@pytest.mark.parametrize("shared", [0.0, 0.5, 0.9])
def test_the_sums_are_as_uncertain_as_their_parts_go_together(shared):
    table, summing = hierarchy(shared, 150)
    model = Panel(AR(1)).fit(table)
    paths = model.coherent_paths(table, summing, 2, 1500, "mint-shrink", seed=0)
    total = paths[model.names_.index("total")]
    own = model["total"]  # what the sums themselves say of the next steps
    assert abs(total[:, 0].std() / np.sqrt(own.sigma2_) - 1) < 0.1
    phi = own.coef_[0]
    assert abs(np.corrcoef(total.T)[0, 1] - phi / np.sqrt(1 + phi**2)) < 0.1


def test_auto_panels_are_reconciled_too():
    model = AutoPanel().fit(TABLE)
    table = model.reconcile(TABLE, SUMMING, 2, n_paths=50, seed=0)
    means = table["mean"].unstack()
    np.testing.assert_allclose(means.loc["total"], means.loc[SUMMING.columns].sum())
    given = AutoPanel([AR(1)], validation=5).fit(TABLE)
    with pytest.raises(UnsupportedError, match="no joint law"):
        given.reconcile(TABLE, SUMMING, 2)


def test_what_is_wrong_is_said():
    with pytest.raises(ParameterError, match="method must be one of"):
        MODEL.reconcile(TABLE, SUMMING, 2, "best")
    with pytest.raises(DataError, match="do not name the same series"):
        MODEL.reconcile(TABLE[TABLE["unique_id"] != "north"], SUMMING, 2)
    with pytest.raises(DataError, match="do not name the same series"):
        MODEL.reconcile(TABLE, SUMMING.drop("north"), 2)
    early = TABLE[(TABLE["unique_id"] != "north") | (TABLE["ds"] < "2024-02-01")]
    with pytest.raises(DataError, match="must end together"):
        MODEL.reconcile(early, SUMMING, 2)
    flat = TABLE.assign(y=TABLE["y"].where(TABLE["unique_id"] != "north/a", 1.0))
    with pytest.raises(DataError, match="'north/a' has no fit, so nothing adds up"):
        Panel(AR(1), errors="keep").fit(flat).reconcile(flat, SUMMING, 2)
    with pytest.raises(DataError, match="history is needed"):
        MODEL.reconcile(None, SUMMING, 2)


@pytest.mark.parametrize("model", [Panel(AR(1)), AutoPanel()], ids=["Panel", "AutoPanel"])
def test_tables_of_polars_and_arrow_are_reconciled_in_kind(model):
    polars = pytest.importorskip("polars")
    pytest.importorskip("pyarrow")
    stores = TABLE[TABLE["unique_id"].str.contains("/")]
    parts = stores["unique_id"].str.split("/", expand=True)
    stores = stores.assign(region=parts[0], store=parts[1]).drop(columns="unique_id")
    want = model.fit(TABLE).reconcile(TABLE, SUMMING, 2, n_paths=20, seed=0)
    for data in (polars.from_pandas(stores), polars.from_pandas(stores).to_arrow()):
        table, summing = aggregate(data, ["region", "store"])
        assert type(table) is type(data)
        made = model.fit(table).reconcile(table, summing, 2, n_paths=20, seed=0)
        assert type(made) is type(data)
        order = want.index.get_level_values(0).unique().tolist()
        got = made.to_pandas().groupby("unique_id", sort=False)["mean"].apply(list)
        assert [got[name] for name in order] == [want["mean"][name].tolist() for name in order]
