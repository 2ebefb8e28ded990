"""Place and size that wild values do not move, and the warnings about columns."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch

from arproc.data.robust import quantiles, standard_of, warn_of_few, warn_of_wild


def columns(*parts):
    return torch.tensor(np.stack(parts, axis=1), dtype=torch.float64)


def test_without_wild_values_they_are_mean_and_deviation():
    rng = np.random.default_rng(0)
    x = columns(
        rng.normal(size=500), rng.lognormal(size=500), rng.random(500) < 0.01,
        rng.standard_t(3, 500), np.where(rng.random(500) < 0.8, 0.0, rng.normal(4e4, 1e4, 500)),
    )  # fmt: skip
    place, size, wild = standard_of(x)
    assert not wild.any()
    torch.testing.assert_close(place, x.mean(0))
    torch.testing.assert_close(size, x.std(0, correction=0))


def test_wild_values_do_not_count():
    x = columns(np.random.default_rng(0).normal(size=500), np.arange(500.0), np.full(500, 3.5))
    spoilt = x.clone()
    spoilt[7, 0], spoilt[9, 1], spoilt[11, 0] = 1e6, -1e9, torch.nan
    place, size, wild = standard_of(spoilt)
    assert wild.nonzero().tolist() == [[7, 0], [9, 1]]
    others = np.delete(x[:, 0].numpy(), [7, 11])
    assert float(place[0]) == pytest.approx(others.mean())
    assert float(size[0]) == pytest.approx(others.std())
    assert float(place[1]) == pytest.approx(np.delete(np.arange(500.0), 9).mean())
    assert (float(place[2]), float(size[2])) == (3.5, 1.0)


def test_what_is_frequent_is_not_wild():
    rng = np.random.default_rng(0)
    x = columns(np.where(rng.random(500) < 0.1, 1e6, rng.normal(size=500)))
    assert not standard_of(x).wild.any()


def test_quantiles_leave_missing_values_out():
    x = columns(np.r_[np.arange(101.0), np.full(100, np.nan)], np.full(201, np.nan))
    found = quantiles(x, [0.0, 0.25, 1.0])
    assert found[:, 0].tolist() == [0.0, 25.0, 100.0]
    assert found[:, 1].isnan().all()


def test_the_warning_names_columns_and_rows():
    x = columns(np.random.default_rng(0).normal(size=300), np.arange(300.0))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_wild(x, ["a", "b"], "data")
        warn_of_few(x, ["a", "b"])
    x[17, 0] = x[200, 0] = 1e6
    with pytest.warns(UserWarning, match=r"column 'a', 2 rows \(17, 200\): 1e\+06, where"):
        warn_of_wild(x, ["a", "b"], "data")
    few = columns(np.arange(300) % 3 / 2, np.full(300, 3.5))
    with pytest.warns(UserWarning, match=r"'a' has only 3 different values \(0, 0.5, 1\); column "
                      r"'b' has the constant 3.5"):  # fmt: skip
        warn_of_few(few, ["a", "b"])
