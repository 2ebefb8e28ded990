"""Every form of data is read alike in all three sets, or refused in words."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from evaluation.synthetic import laws

import arproc
from arproc.errors import DataError
from arproc.evaluation.synthetic.reading import read_sets

RNG = np.random.default_rng


def _dated(x):
    index = pd.date_range("2020-01-01", periods=x.shape[1])
    return pd.DataFrame(x.T, index=index)


@pytest.mark.parametrize(
    ("form", "kind"),
    [
        (lambda x: x, "series"),
        (torch.from_numpy, "series"),
        (lambda x: [row[: 20 + i % 3] for i, row in enumerate(x)], "series"),
        (lambda x: x.ravel(), "series"),
        (lambda x: pd.Series(x.ravel()), "series"),
        (_dated, "series"),
        (lambda x: np.stack([x, x], -1), "vectors"),
        (lambda x: [np.stack([row, row], 1) for row in x], "vectors"),
        (pd.DataFrame, "table"),
        (lambda x: x.reshape(-1, 5, 6), "vectors"),
        (lambda x: (x > 0).astype(np.uint8).reshape(-1, 5, 6), "images"),
        (lambda x: x.reshape(-1, 5, 3, 2), "images"),
        (lambda x: [["ab"[int(v > 0)] for v in row] for row in x], "symbols"),
        (lambda x: ["".join("ab"[int(v > 0)] for v in row) for row in x], "text"),
        (lambda x: "".join("ab"[int(v > 0)] for v in x.ravel()), "text"),
    ],
)
def test_what_data_are_read_as(form, kind):
    sets = [form(RNG(i).normal(size=(30, 30))) for i in range(3)]
    pool = read_sets(*sets, "auto")
    assert pool.kind == kind
    assert all(pool.has(group) for group in range(3))
    assert any(f"read as {kind}" in note for note in pool.notes)


def test_missing_values_are_left_out():
    rng = RNG(0)
    train, holdout, fresh = (laws.ar(rng, 40, 30) for _ in range(3))
    for x in (train, holdout, fresh):
        x[rng.random(x.shape) < 0.1] = np.nan
    result = arproc.fidelity(train, holdout, fresh, rows=["distribution", "dynamics"])
    assert result.passed
    whole = arproc.fidelity(train, holdout, np.nan_to_num(fresh), rows="level and spread")
    assert whole.failed == ["level and spread"]


def test_columns_are_found_by_their_names():
    rng = RNG(0)
    train, holdout, fresh = (laws.table(rng, 60) for _ in range(3))
    turned = fresh[["visits", "kind", "b", "a"]]
    one = arproc.fidelity(train, holdout, fresh, rows="distribution")
    assert arproc.fidelity(train, holdout, turned, rows="distribution") == one or (
        arproc.fidelity(train, holdout, turned, rows="distribution")
        .to_frame()
        .equals(one.to_frame())
    )


def _sets(kind):
    law = laws.LAWS[kind]
    return [law(RNG(i), 30) for i in range(3)]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.drop(columns="a"), r"synthetic lacks \['a'\]; expected train's columns"),
        (lambda d: d.assign(c=1), r"synthetic has \['c'\] besides"),
        (lambda d: d.rename(columns={"a": "A"}), r"lacks \['a'\] and has \['A'\] besides"),
        (lambda d: d.assign(kind=1.0), "column 'kind' of dtype float64, and train of"),
        (lambda d: d.assign(a="x"), "column 'a' of dtype .*, and train of float64"),
        (lambda d: d.head(5), "synthetic has 5 rows; expected at least 8"),
        (lambda d: d.a.to_numpy(), "synthetic looks like series, and train like table"),
        (lambda d: ["a text", "another"], "synthetic looks like text, and train like table"),
        (lambda d: None, "synthetic is None"),
    ],
)
def test_other_tables_are_refused(change, message):
    train, holdout, fresh = _sets("table")
    with pytest.raises(DataError, match=message):
        arproc.fidelity(train, holdout, change(fresh))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x: x[:, :25], "synthetic has sequences of 25 steps, and train of 40"),
        (lambda x: x[:5, :20], r"synthetic has 5 sequence\(s\) of 100 steps in all; expected"),
        (lambda x: x + 1j, "synthetic is complex"),
        (lambda x: np.full_like(x, np.inf), "synthetic .*infinit"),
    ],
)
def test_other_series_are_refused(change, message):
    train, holdout, fresh = _sets("series")
    with pytest.raises(DataError, match=message):
        arproc.fidelity(train, holdout, change(fresh))


def test_other_shapes_are_refused():
    train, holdout, fresh = _sets("vectors")
    with pytest.raises(DataError, match="synthetic has vectors of 2 components, and train of 3"):
        arproc.fidelity(train, holdout, fresh[..., :2])
    train, holdout, fresh = _sets("images")
    with pytest.raises(DataError, match=r"holdout has images of shape \(8, 7, 1\)"):
        arproc.fidelity(train, holdout[:, :, :7], fresh)
    frame = pd.DataFrame(RNG(0).normal(size=(400, 2)), columns=["x", "y"])
    other = frame.rename(columns={"y": "z"})
    with pytest.raises(DataError, match=r"synthetic lacks \['y'\] and has \['z'\] besides"):
        arproc.fidelity(frame, frame, other, kind="vectors")


def test_symbols_with_fractions_are_refused():
    x = RNG(0).normal(size=(30, 20))
    with pytest.raises(DataError, match="train has numbers with fractions"):
        arproc.fidelity(x, x, x, kind="symbols")


def test_text_that_names_a_file_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.txt").write_text("the cat sat")
    with pytest.raises(DataError, match="also the name of a file"):
        arproc.fidelity("train.txt", None, "the dog sat")
