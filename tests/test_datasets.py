"""The data sets are what their docstrings say, wherever the suite runs."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from arproc import datasets


def test_sunspots_parts_follow_each_other_without_a_gap():
    train, valid, test = datasets.sunspots()
    whole = pd.concat([train, valid, test])
    assert list(whole.index.year) == list(range(1700, 2009))
    assert whole.notna().all()
    assert whole.loc["1957"] == pytest.approx(190.2)  # the highest peak on record


def test_co2_months_are_all_measured():
    train, valid, test = datasets.co2()
    whole = pd.concat([train, valid, test])
    assert whole.notna().all()
    assert (np.diff(whole.index.asi8) == 1).all()
    assert 315 < whole.iloc[0] < whole.iloc[-1] < 375


def test_digits_are_zeros_and_ones_in_three_disjoint_parts():
    parts = datasets.digits()
    assert sum(map(len, parts)) == 1797
    assert all(set(np.unique(part)) == {0, 1} for part in parts)
    assert 0.25 < parts.test.mean() < 0.4
    grey = datasets.digits(threshold=None)
    assert grey.train.max() == 16
    assert len(np.unique(grey.train)) == 17
    np.testing.assert_array_equal(grey.test >= 8, parts.test)
    assert datasets.digits(threshold=16).train.mean() < parts.train.mean()


def test_digits_without_a_threshold_are_the_grey_levels_of_the_same_images():
    for grey, dark in zip(datasets.digits(threshold=None), datasets.digits(), strict=True):
        assert set(np.unique(grey)) == set(range(17))
        assert np.array_equal(grey >= 8, dark)


def test_english_test_text_is_new():
    parts = datasets.english()
    paragraphs = [{p.strip() for text in part for p in text.split("\n\n")} for part in parts]
    assert not paragraphs[0] & paragraphs[1]
    assert not paragraphs[0] & paragraphs[2]
    assert not paragraphs[1] & paragraphs[2]


def test_english_is_ascii_and_its_training_part_has_every_character():
    train, valid, test = ("".join(part) for part in datasets.english())
    assert train.isascii()
    assert set(valid) | set(test) <= set(train)
    assert len(train) > 250_000
    assert min(len(valid), len(test)) > 25_000


def test_english_passages_keep_to_the_length_asked_for():
    short = datasets.english(length=300)
    assert len(short.train) > len(datasets.english().train)
    over = [text for text in short.train if len(text) > 300]
    assert all("\n\n" not in text for text in over)  # longer only where one paragraph is


def test_the_same_each_time():
    assert datasets.english() == datasets.english()


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(__import__("sys").modules, "statsmodels.datasets", None)
    monkeypatch.setitem(__import__("sys").modules, "statsmodels", None)
    with pytest.raises(ImportError, match=r'pip install "arproc\[data\]"'):
        datasets.sunspots()
