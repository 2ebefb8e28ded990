"""The command line end to end, in process: what it reads and writes."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from command_line import Run, fitted

import arproc

# texts of a few lines have too few n-grams for the closed-form discounts
pytestmark = pytest.mark.filterwarnings(
    "ignore::arproc.models.ngram.smoothing.discounts.DiscountWarning"
)


# ---- what it does ----------------------------------------------------------------------------


def test_fit_saves_the_model_that_python_would_fit(run: Run, series: Path):
    out = fitted(run, series)
    values = pd.read_csv(series)["value"]
    expected = arproc.AR(2).fit(values)
    np.testing.assert_array_equal(arproc.load(out).coef_, expected.coef_)


def test_options_reach_the_constructor(run: Run, series: Path):
    result = run(
        "fit", "ar", series, "-c", "value", "--order=1", "--method", "yule-walker", "--trend",
        "n", "-o", "m.arproc",
    )  # fmt: skip
    assert result.code == 0
    assert arproc.load("m.arproc").get_params() == arproc.AR(1, "n", "yule-walker").get_params()


def test_options_that_the_constructor_lacks_reach_training(run: Run, text: Path):
    result = run(
        "fit", "transformer", text, "--tokens", "char", "--layers", 1, "--heads", 1, "--width", 8,
        "--block", 8, "--steps", 3, "--batch-size", 2, "-o", "m.arproc",
    )  # fmt: skip
    assert result.code == 0, result.err
    model = arproc.load("m.arproc")
    assert (model.layers, model.training.steps, model.training.batch_size) == (1, 3, 2)


def test_score_prints_the_log_likelihood(run: Run, series: Path):
    model = fitted(run, series)
    result = run("score", model, series, "-c", "value")
    expected = arproc.load(model).log_prob(pd.read_csv(series)["value"])
    assert f"{expected:.4f}" in result.out


def test_terms_sum_to_what_each_says(run: Run, series: Path):
    model = fitted(run, series)
    terms = pd.read_csv(io.StringIO(run("score", model, series, "-c", "value", "--terms").out))
    each = pd.read_csv(io.StringIO(run("score", model, series, "-c", "value", "--each").out))
    assert terms["log_prob"].sum() == pytest.approx(each["log_prob"][0])
    assert each["elements"][0] == len(terms) == 60


def test_score_can_leave_the_beginning_out(run: Run, series: Path):
    model = fitted(run, series)
    result = run("score", model, series, "-c", "value", "--given", 50)
    assert "10 elements" in result.out


def test_a_column_with_gaps_is_fitted_scored_and_forecast(run: Run, series: Path):
    table = pd.read_csv(series)
    table.loc[[4, 5, 58], "value"] = np.nan
    table.to_csv(series, index=False)
    model = fitted(run, series)
    each = pd.read_csv(io.StringIO(run("score", model, series, "-c", "value", "--each").out))
    assert each["log_prob"][0] == pytest.approx(arproc.load(model).log_prob(table["value"]))
    result = run("forecast", model, series, "-c", "value", "-i", "month", "--horizon", 2)
    assert result.out.splitlines()[1].startswith("2005-01-01")
    scored = run("score", model, series, "-c", "value")
    assert f"{each['log_prob'][0]:.4f}" in scored.out
    assert "nor counted" in scored.out


def test_forecast_carries_the_dates_on(run: Run, series: Path):
    model = fitted(run, series)
    result = run(
        "forecast", model, series, "-c", "value", "-i", "month", "--horizon", 2, "-q", 0.1,
        "-q", 0.9,
    )  # fmt: skip
    assert result.code == 0, result.err
    table = pd.read_csv(io.StringIO(result.out), index_col=0)
    assert list(table.index) == ["2005-01-01", "2005-02-01"]
    assert list(table.columns) == ["mean", "0.1", "0.9"]
    assert (table["0.1"] < table["0.9"]).all()


def test_samples_of_numbers_are_rows_of_csv(run: Run, series: Path):
    model = fitted(run, series)
    result = run("sample", model, "-n", 3, "--length", 4, "--seed", 5)
    rows = np.loadtxt(io.StringIO(result.out), delimiter=",")
    np.testing.assert_allclose(rows, arproc.load(model).sample(3, 4, seed=5), rtol=1e-9)


def test_samples_continue_a_prefix_of_numbers(run: Run, series: Path):
    model = fitted(run, series)
    result = run("sample", model, "--length", 2, "--prefix", "30, 31", "--seed", 5)
    drawn = np.fromstring(result.out, sep=",")
    expected = arproc.load(model).sample(1, 2, prefix=[30.0, 31.0], seed=5)[0]
    np.testing.assert_allclose(drawn, expected, rtol=1e-9)


def test_text_goes_in_and_comes_out(run: Run, text: Path):
    assert run("fit", "ngram", text, "--order", 4, "--tokens", "char", "-o", "n.arproc").code == 0
    result = run("sample", "n.arproc", "--length", 30, "--prefix", "the ", "--seed", 1)
    assert len(result.out) == 31
    assert set(result.out) <= set(text.read_text())
    assert "bits_per_byte" in run("score", "n.arproc", text).out


def test_lines_are_sequences_of_their_own(run: Run, text: Path):
    run("fit", "ngram", text, "--order", 3, "--tokens", "char", "--lines", "-o", "n.arproc")
    assert arproc.load("n.arproc").space.terminates
    assert "40 sequence" in run("score", "n.arproc", text, "--lines").out
    result = run("sample", "n.arproc", "-n", 5, "--seed", 1)
    assert len(result.out.splitlines()) == 5


def test_settings_of_tokens_are_options(run: Run, text: Path):
    options = ("--order", 2, "--min-count", 21, "--end", "false", "--lines")
    assert run("fit", "ngram", text, *options, "-o", "n.arproc").code == 0
    model = arproc.load("n.arproc")
    assert model.tokens == arproc.Tokens("word", min_count=21, end=False)
    assert model.vocabulary.symbols == ("<unk>", "the", "sat", "on")
    assert run("fit", "ppm", text, "--order", 2, "--unknown", "true", "-o", "p.arproc").code == 0
    assert arproc.load("p.arproc").tokens == arproc.Tokens("char", unknown=True)
    refused = run("fit", "ngram", text, "--order", 2, "--min-cuont", 2, "-o", "n.arproc")
    assert refused.code == 2
    assert "did you mean '--min-count'?" in refused.err


def test_policies_and_json(run: Run, text: Path):
    run("fit", "ngram", text, "--order", 4, "--tokens", "char", "-o", "n.arproc")
    common = ("sample", "n.arproc", "--length", 40, "--seed", 3, "--json")
    greedy = json.loads(run(*common, "--top-k", 1).out)
    assert greedy == json.loads(run(*common[:-2], 4, "--json", "--top-k", 1).out)
    assert greedy != json.loads(run(*common, "--temperature", 2, "--top-p", 0.99).out)


def test_compare_ranks_the_models(run: Run, series: Path):
    models = [fitted(run, series, order) for order in (0, 2)]
    result = run("compare", series, *models, "-c", "value", "--given", 2, "-o", "table.csv")
    assert result.code == 0
    table = pd.read_csv("table.csv", index_col=0)
    assert list(table.index) == ["ar2", "ar0"]
    assert f"{table['nats_per_element']['ar2']:.4f}" in result.out


def test_arrays_are_read(run: Run, tmp_path: Path):
    np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(size=(3, 50)))
    assert run("fit", "ar", "x.npy", "--order", 1, "-o", "m.arproc").code == 0
    assert "150 elements of 3 sequence" in run("score", "m.arproc", "x.npy").out


def test_tables_of_mixed_columns_go_in_and_come_out(run: Run, tmp_path: Path):
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"city": rng.choice(["Oslo", "Rome"], 40), "size": rng.normal(size=40)})
    table.loc[:5, "size"] = None
    table.to_csv(tmp_path / "table.csv", index=False)
    columns = ["--column", "city", "--column", "size"]
    fit = ["fit", "made", "table.csv", *columns, "--hidden", 8, "--steps", 3, "--out", "m.arproc"]
    assert run(*fit).code == 0
    drawn = pd.read_csv(io.StringIO(run("sample", "m.arproc", "-n", 30, "--seed", 1).out))
    assert list(drawn.columns) == ["city", "size"]
    assert set(drawn.city) <= {"Oslo", "Rome"}
    assert drawn["size"].isna().any()
    lines = run("sample", "m.arproc", "-n", 30, "--seed", 1, "--json").out.splitlines()
    assert [json.loads(line)["city"] for line in lines] == drawn.city.to_list()
    terms = run("score", "m.arproc", "table.csv", *columns, "--terms").out
    assert list(pd.read_csv(io.StringIO(terms), index_col=0).columns) == ["city", "size"]


def test_tables_go_whole(run: Run, tmp_path: Path):
    rng = np.random.default_rng(0)
    days = pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 90, 40), unit="D")
    table = pd.DataFrame(
        {"city": rng.choice(["Oslo", "Rome"], 40), "size": rng.normal(size=40),
         "ok": rng.random(40) < 0.5, "day": days}
    )  # fmt: skip
    table.to_csv(tmp_path / "table.csv", index=False)
    options = ["--hidden", 8, "--steps", 3, "--order-agnostic", "true", "--out", "m.arproc"]
    result = run("fit", "made", "table.csv", *options)
    assert result.code == 0, result.err
    assert arproc.load("m.arproc").space.names == ("city", "size", "ok", "day")
    each = run("score", "m.arproc", "table.csv", "--each").out
    want = arproc.load("m.arproc").log_prob(arproc.tables.read_table("table.csv"))
    found = pd.read_csv(io.StringIO(each)).log_prob
    np.testing.assert_allclose(found, want, rtol=1e-6)
    drawn = run("sample", "m.arproc", "-n", 9, "--seed", 1, "--known", '{"city": "Oslo"}').out
    rows = pd.read_csv(io.StringIO(drawn), parse_dates=["day"])
    assert list(rows) == list(table)
    assert set(rows.city) == {"Oslo"}
    assert rows.ok.dtype == bool
    assert rows.day.dtype.kind == "M"
    run("fit", "ar", "table.csv", "--order", 1, "-o", "ar.arproc")
    assert (
        "left out, for they hold no numbers: 'city', 'ok', 'day'"
        in run("score", "ar.arproc", "table.csv").err
    )


@pytest.mark.parametrize("suffix", ["", ".gz", ".bz2", ".xz"])
def test_models_of_ngrams_go_to_arpa_files_and_back(run: Run, text: Path, suffix: str):
    options = ("--order", 3, "--lines", "--out", "words.arproc")
    assert run("fit", "ngram", text, *options).code == 0
    result = run("convert", "words.arproc", f"words.arpa{suffix}")
    assert f"saved to words.arpa{suffix} (ARPA)" in result.out, result.err
    result = run("convert", f"words.arpa{suffix}", "again.arproc")
    assert "saved to again.arproc (arproc)" in result.out, result.err
    first, again = arproc.load("words.arproc"), arproc.load("again.arproc")
    np.testing.assert_allclose(again.log_prob(["the cat"]), first.log_prob(["the cat"]), rtol=1e-7)
    assert run("convert", f"words.arpa{suffix}", "other.arpa").code == 0
    np.testing.assert_allclose(
        arproc.NGram.from_arpa("other.arpa").log_prob(["the cat"]), first.log_prob(["the cat"])
    )


def test_an_arpa_file_of_characters(run: Run, text: Path):
    run("fit", "ngram", text, "--order", 3, "--tokens", "char", "--out", "chars.arproc")
    run("convert", "chars.arproc", "chars.arpa")
    refused = run("score", "chars.arpa", text)
    assert "arproc convert chars.arpa chars.arproc" in refused.err
    assert run("convert", "chars.arpa", "again.arproc", "--tokens", "char").code == 0
    first, again = arproc.load("chars.arproc"), arproc.load("again.arproc")
    assert again.log_prob("the dog") == pytest.approx(first.log_prob("the dog"), rel=1e-7)


def test_an_arpa_file_that_does_not_add_up(run: Run, text: Path):
    run("fit", "ngram", text, "--order", 2, "--lines", "--out", "words.arproc")
    run("convert", "words.arproc", "words.arpa")
    lines = Path("words.arpa").read_text().splitlines()
    bare = "\n".join("\t".join(line.split("\t")[:2]) for line in lines)
    Path("bare.arpa").write_text(bare + "\n")  # without back-off weights
    refused = run("convert", "bare.arpa", "again.arproc")
    assert refused.code == 2
    assert "add up to" in refused.err
    assert run("convert", "bare.arpa", "again.arproc", "--renormalise").code == 0
    first, again = arproc.load("words.arproc"), arproc.load("again.arproc")
    np.testing.assert_allclose(again.log_prob(["the cat"]), first.log_prob(["the cat"]), rtol=1e-5)


@pytest.mark.parametrize(
    ("source", "out", "options", "message"),
    [
        ("ar2.arproc", "ar.arpa", (), "holds n-grams with back-offs, and AR is no such model"),
        ("additive.arproc", "a.arpa", (), "which backs off, can not express"),
        ("text.txt", "a.arproc", (), "is not an ARPA file"),
        ("none.arpa", "a.arproc", (), "there is no model file"),
        ("ar2.arproc", "ar.arproc.gz", (), "leave out .gz"),
        ("ar2.arproc", "none/ar.arproc", (), "in a folder that does not exist"),
        ("ar2.arproc", "a.arproc", ("--tokens", "char"), "say how to read an ARPA file"),
        ("ar2.arproc", "a.arproc", ("--renormalise",), "say how to read an ARPA file"),
    ],
)
def test_what_can_not_be_converted(
    run: Run, series: Path, text: Path, source: str, out: str, options: tuple, message: str
):
    fitted(run, series)
    additive = ("--order", 2, "--smoothing", "additive", "--lines", "--out", "additive.arproc")
    run("fit", "ngram", text, *additive)
    result = run("convert", source, out, *options)
    assert result.code == 2
    assert message in result.err
    assert not Path(out).exists()


def test_help_teaches(run: Run):
    assert "arproc demo" in run().out
    for command in ("fit", "score", "sample", "forecast", "compare"):
        result = run(command, "--help")
        assert result.code == 0
        assert f"arproc {command} " in result.out
    assert run("--version").out == f"arproc {arproc.__version__}\n"


#: Everything that some reader takes for an end of a line; a mark; an empty line; an unended one.
ODD = "\ufeffa rose\x0cis\r\n\n a\x0b \x1cb\x85c\u2028d\re \na\nlast"


@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress, lzma.compress])
@pytest.mark.parametrize("tokens", ["word", "char"])
def test_lines_are_those_of_python_in_files_and_from_standard_input(
    run: Run, monkeypatch: pytest.MonkeyPatch, pack: Callable[[bytes], bytes], tokens: str
):
    raw = pack(ODD.encode())
    Path("odd.txt").write_bytes(raw)
    lines = list(arproc.read_lines("odd.txt"))
    want = arproc.NGram(2, "witten_bell", tokens).fit(lines)
    options = ("--order", 2, "--smoothing", "witten_bell", "--tokens", tokens, "--lines")
    assert run("fit", "ngram", "odd.txt", *options, "-o", "f.arproc").code == 0
    each = run("score", "f.arproc", "odd.txt", "--lines", "--each").out
    np.testing.assert_allclose(pd.read_csv(io.StringIO(each)).log_prob, want.log_prob(lines))
    for arguments in (
        ["fit", "ngram", "-", *options, "-o", "s.arproc"],
        ["score", "f.arproc", "-"],
    ):
        piped = io.TextIOWrapper(io.BytesIO(raw), encoding="ascii", errors="strict")
        monkeypatch.setattr("sys.stdin", piped)
        result = run(*arguments, *(["--lines", "--each"] if arguments[0] == "score" else []))
        assert result.code == 0, result.err
    assert result.out == each
    assert Path("f.arproc").read_bytes() == Path("s.arproc").read_bytes()


def test_tables_may_be_compressed(run: Run, series: Path):
    raw = series.read_bytes()
    options = ("--column", "value", "--order", 2, "-o")
    run("fit", "ar", series, *options, "plain.arproc")
    for suffix, pack in ((".gz", gzip.compress), (".bz2", bz2.compress), (".xz", lzma.compress)):
        Path(f"series.csv{suffix}").write_bytes(pack(raw))
        assert run("fit", "ar", f"series.csv{suffix}", *options, "packed.arproc").code == 0
        assert Path("packed.arproc").read_bytes() == Path("plain.arproc").read_bytes()


# ---- report -------------------------------------------------------------------------------------


def test_report_writes_a_page_and_tells_its_summary(run: Run, tmp_path: Path):
    rng = np.random.default_rng(0)
    for name in ("train", "test", "drawn"):
        np.save(tmp_path / f"{name}.npy", rng.normal(size=(20, 8)))
    for order in (0, 1):
        run("fit", "ar", "train.npy", "--order", order, "--out", f"ar{order}.arproc")
    options = ["--train", "train.npy", "--synthetic", "drawn.npy", "--samples", 1]
    made = run("report", "test.npy", "ar0.arproc", "ar1.arproc", *options, "--out", "page.html")
    assert made.code == 0, made.err
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert page.startswith("<!DOCTYPE html>")
    assert "<h1>test.npy</h1>" in page
    assert all(f'<h2 id="{part}">' in page for part in ("leaderboard", "fidelity", "samples"))
    assert "gives the data the highest likelihood" in made.out
    assert "drawn.npy: all " in made.out
    assert made.out.endswith("saved to page.html\n")


@pytest.mark.parametrize("change", ["gap", "disorder", "twice", "none"])
def test_rows_that_are_counted_against_their_dates_are_told(run: Run, tmp_path: Path, change: str):
    days = pd.date_range("2024-01-01", periods=40)
    table = pd.DataFrame({"day": days, "value": np.sin(np.arange(40) ** 2)})
    changed = {
        "gap": table.drop([20, 21]),
        "disorder": table[::-1],
        "twice": pd.concat([table, table[39:]]),
        "none": table,
    }[change]
    changed.to_csv("days.csv", index=False)
    for asked in ([], ["--column", "value"]):
        result = run("fit", "ar", "days.csv", *asked, "--order", 1, "--out", "m.arproc")
        assert result.code == 0
        assert ("--index day goes by them" in result.err) == (change != "none")
    named = run("fit", "ar", "days.csv", "--index", "day", "--order", 1, "--out", "m.arproc")
    assert (named.code == 0) == (change in ("gap", "none"))
    assert "goes by them" not in named.err
