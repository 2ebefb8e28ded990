"""What the command line refuses, and how: one line and an exit code."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from command_line import Run, fitted

import arproc
from arproc.cli import main

# texts of a few lines have too few n-grams for the closed-form discounts
pytestmark = pytest.mark.filterwarnings(
    "ignore::arproc.models.ngram.smoothing.discounts.DiscountWarning"
)


# ---- what it refuses -------------------------------------------------------------------------

WRONG = {
    "no such command": (["fitt"], "No such command"),
    "no such model": (["fit", "arr", "series.csv", "-o", "m"], "did you mean 'ar'?"),
    "no such file": (["fit", "ar", "none.csv", "--order", "1", "-o", "m"], "no file 'none.csv'"),
    "no such column": (
        ["fit", "ar", "series.csv", "-c", "valu", "--order", "1", "-o", "m"],
        "has no column 'valu'; it has 'month', 'value', 'other'",
    ),
    "no such option": (["fit", "ar", "series.csv", "--ordr", "1", "-o", "m"], "'--order'?"),
    "no order": (["fit", "ar", "series.csv", "-c", "value", "-o", "m"], "AR needs --order"),
    "wrong value": (
        ["fit", "ar", "series.csv", "-c", "value", "--order", "x", "-o", "m"],
        "order must be an integer; got 'x'",
    ),
    "no value": (["fit", "ar", "series.csv", "-o", "m", "--order"], "--order needs a value"),
    "text in a column": (
        ["fit", "ar", "series.csv", "-c", "month", "--order", "1", "-o", "m"],
        "expected numbers",
    ),
    "nowhere to write": (
        ["fit", "ar", "series.csv", "-c", "value", "--order", "1", "-o", "none/m"],
        "a folder that does not exist",
    ),
    "no model file": (["score", "none.arproc", "series.csv"], "no model file 'none.arproc'"),
    "not a model": (["score", "series.csv", "series.csv"], "not a model of arproc's"),
    "missing argument": (["score"], "Missing argument"),
    "one model": (["compare", "series.csv", "series.csv"], "at least two models"),
    "lines of a table": (
        ["fit", "ar", "series.csv", "--lines", "--order", "1", "-o", "m"],
        "--lines is for text",
    ),
    "column of a text": (
        ["fit", "ngram", "text.txt", "-c", "a", "--order", "2", "-o", "m"],
        "--column",
    ),
    "words for numbers": (
        ["fit", "ar", "text.txt", "--order", "1", "-o", "m"],
        "is text; expected numbers: the model's elements are real",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_input_is_one_line_and_exit_code_2(run: Run, series: Path, text: Path, case: str):
    arguments, message = WRONG[case]
    result = run(*arguments)
    assert result.code == 2
    assert result.err.startswith("error: ")
    assert result.err.count("\n") == 1
    assert message in result.err
    assert result.out == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_full_disk_is_one_line_with_the_place(run: Run, series: Path, tmp_path: Path):
    model = fitted(run, series)
    for command in (
        ("forecast", model, series, "-c", "value", "--horizon", 3),
        ("score", model, series, "-c", "value"),
        ("score", model, series, "-c", "value", "--terms"),
        ("sample", model, "--length", 4),
    ):
        result = run(*command, "--out", "/dev/full")
        assert result.code == 2
        assert "'/dev/full' can not be written: No space left on device" in result.err
    assert {path.name for path in tmp_path.iterdir()} == {series.name, Path(model).name}


def test_an_endless_process_asks_for_a_length(run: Run, series: Path):
    result = run("sample", fitted(run, series))
    assert (result.code, "length is needed" in result.err) == (2, True)


def test_a_fault_of_its_own_is_exit_code_1(
    run: Run, series: Path, monkeypatch: pytest.MonkeyPatch
):
    def broken(path: Path) -> None:
        raise RuntimeError("wheels fell off")

    monkeypatch.setattr("arproc.cli.models.load", broken)
    result = run("score", "m", series)
    assert result.code == 1
    assert result.err.startswith("error: unexpected RuntimeError: wheels fell off (a fault")
    monkeypatch.setenv("ARPROC_TRACEBACK", "1")
    with pytest.raises(RuntimeError, match="wheels"):
        main(["score", "m", str(series)])


def test_an_interrupt_is_exit_code_130(run: Run, series: Path, monkeypatch: pytest.MonkeyPatch):
    def interrupted(path: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("arproc.cli.models.load", interrupted)
    assert run("score", "m", series) == (130, "", "error: interrupted\n")


def test_a_missing_extra_is_named(run: Run, monkeypatch: pytest.MonkeyPatch):
    import sys

    monkeypatch.setitem(sys.modules, "typer", None)
    monkeypatch.delitem(sys.modules, "arproc.cli.app", raising=False)
    result = run("--help")
    assert (result.code, result.err) == (
        2,
        'error: the command line needs typer: pip install "arproc[cli]"\n',
    )


def test_an_offset_says_where_data_without_an_index_begin(run: Run, tmp_path: Path):
    values = 0.5 * np.arange(80) + np.sin(np.arange(80.0) ** 2)
    whole, later = tmp_path / "whole.csv", tmp_path / "later.csv"
    pd.DataFrame({"value": values}).to_csv(whole, index=False)
    pd.DataFrame({"value": values[50:]}).to_csv(later, index=False)
    assert run("fit", "ar", whole, "--order", 1, "--trend", "ct", "-o", "ct.arproc").code == 0
    model = arproc.load("ct.arproc")
    place = {"offset": 50}
    terms = run("score", "ct.arproc", later, "--terms", "--offset", 50)
    found = pd.read_csv(io.StringIO(terms.out))["log_prob"]
    np.testing.assert_allclose(found, model.log_prob_terms(values[50:], **place))
    each = run("score", "ct.arproc", later, "--each", "--offset", 50)
    total = pd.read_csv(io.StringIO(each.out))["log_prob"].iloc[0]
    assert total == pytest.approx(model.log_prob(values[50:], **place))
    shown = run("score", "ct.arproc", later, "--offset", 50)
    assert f"{total:.4f}" in shown.out
    ahead = run("forecast", "ct.arproc", later, "--horizon", 2, "--offset", 50)
    means = pd.read_csv(io.StringIO(ahead.out))["mean"]
    np.testing.assert_allclose(means, model.forecast(values[50:], 2, **place)["mean"])
    drawn = run("sample", "ct.arproc", "--length", 2, "--prefix", "39.5", "--offset", 79)
    assert 35 < float(drawn.out.split(",")[0]) < 45
    assert run("fit", "ar", whole, "--order", 0, "-o", "flat.arproc").code == 0
    table = run("compare", later, "ct.arproc", "flat.arproc", "--offset", 50, "-o", "table.csv")
    assert table.code == 0
    assert pd.read_csv("table.csv", index_col=0).loc["ct", "log_prob_nats"] == pytest.approx(total)
    wrong = run("score", "ct.arproc", later, "--offset", "soon")
    assert wrong.code == 2
