"""The compiled parts of `AutoPanel()`: the same interpreted, and as plainly as can be said."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from arproc.compiled.interpreted import interpreted
from arproc.models.panel.automatic import (
    season_kernels,
    smoothing,
    smoothing_kernels,
    weight_kernels,
    weights,
)
from arproc.models.panel.automatic.smoothing import ahead, scaled
from arproc.models.panel.data import read


@pytest.fixture(scope="module")
def rows() -> list[np.ndarray]:
    rng, t = np.random.default_rng(0), np.arange(60)
    rows = [10 + np.sin(t) + 0.2 * rng.normal(size=60) for _ in range(3)]
    rows[1][20:25] = np.nan
    rows[2][30] = 40.0  # a spike
    return [*rows, np.arange(5.0), np.full(20, 3.0)]


def both(kernel: Callable[..., object]) -> list[Callable[..., object]]:
    return [kernel, interpreted(kernel)]


def test_seasons_interpreted(rows):
    table, found = read(rows), []
    n = table.lengths
    sizes = np.where(n > 24, 12, np.where(n > 8, 4, 1))
    edges = np.concatenate([[0], np.cumsum(sizes)])
    for form in both(season_kernels.decompose):
        values, cycles = table.values.copy(), np.zeros(edges[-1])
        form(values, table.offsets, n, 0, len(n), np.array([4, 12]), cycles, edges)
        found.append((values, cycles))
    for compiled, plain in zip(*found, strict=True):
        np.testing.assert_allclose(plain, compiled, rtol=1e-12, atol=1e-14)
    assert np.isnan(found[0][0][table.offsets[2] + 30])


def test_autocorrelations_interpreted(rows):
    table, found = read(rows), []
    for form in both(season_kernels.correlate):
        total, weight = np.zeros((2, 31))
        form(table.values, table.offsets, np.arange(len(table)), 30, total, weight)
        found.append(np.stack([total, weight]))
    np.testing.assert_allclose(found[1], found[0], rtol=1e-12, atol=1e-12)
    x = np.diff(np.log(rows[0]))  # far from its bounds: nothing is clipped
    total, weight = np.zeros((2, 31))
    season_kernels.correlate(rows[0], np.array([0, 60]), np.arange(1), 30, total, weight)
    x -= x.mean()
    np.testing.assert_allclose(total[2], x[2:] @ x[:-2] / (x @ x) * 59)
    assert weight[2] == 57


@pytest.mark.parametrize("prepared", [0, 1000])
def test_smoothing_with_and_without_what_is_prepared(rows, prepared, monkeypatch):
    table = read(rows)
    log, none = np.ones(len(table), bool), np.zeros(len(table), np.int64)
    log[3] = False  # it begins with 0
    series, levels = (scaled(table, one, [4], none) for one in (log, np.zeros_like(log)))
    monkeypatch.setattr(smoothing, "_PREPARED", prepared)
    found = ahead(series, levels, 5)
    monkeypatch.setattr(smoothing_kernels, "smooth", interpreted(smoothing_kernels.smooth))
    for part, plain in zip(found, ahead(series, levels, 5), strict=True):
        np.testing.assert_allclose(plain, part, rtol=1e-9, atol=1e-12)
    monkeypatch.setattr(smoothing, "_PREPARED", 1000 - prepared)
    for part, other in zip(found, ahead(series, levels, 5), strict=True):
        np.testing.assert_allclose(other, part, rtol=1e-9, atol=1e-12)


def test_the_panel_s_weights_interpreted():
    columns = np.random.default_rng(0).normal(size=(4, 700))
    columns[:, 3] = 0.0
    share, found = np.array([0.1, 0.2, 0.3, 0.4]), []
    for form in both(weight_kernels.gradient):
        slope = np.empty(4)
        found.append((form(columns, share, slope), slope))
    rest = share @ columns
    np.testing.assert_allclose([one[0] for one in found], np.abs(rest).mean())
    for _, slope in found:
        np.testing.assert_allclose(slope, columns @ np.sign(rest) / 700, atol=1e-15)


def test_medians_do_not_depend_on_the_order_of_the_candidates():
    rng = np.random.default_rng(0)
    made = rng.integers(0, 4, (30, 6, 2)).astype(float)  # many equal ones
    share = rng.integers(0, 3, (30, 6)) + 1e-3
    share /= share.sum(axis=1, keepdims=True)
    found, turned = np.empty((2, 1, 30, 2))
    for form in both(weight_kernels.medians):
        form(made, share[None], 0, 30, found)
        form(made[:, ::-1].copy(), share[None, :, ::-1].copy(), 0, 30, turned)
        np.testing.assert_allclose(turned, found, rtol=1e-12)
    value, place = np.unique(made[0, :, 0], return_inverse=True)
    mass = np.bincount(place, share[0])
    assert found[0, 0, 0] == pytest.approx(np.interp(0.5, mass.cumsum() - mass / 2, value))
    np.testing.assert_array_equal(weights.combine(made, share), found[0])
