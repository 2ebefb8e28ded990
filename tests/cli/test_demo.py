"""The demo writes what it says; at full length the mixture beats both its parts."""

from __future__ import annotations

from pathlib import Path

import pytest

import arproc
from arproc.cli import main
from arproc.cli.demo import text
from arproc.cli.demo.report import Report

PICTURES = (
    "sunspots-forecast",
    "sunspots-pit",
    "co2-forecast",
    "text-surprisal",
    "digits-samples",
)
PAGES = tuple(f"{name}-report.html" for name in ("sunspots", "co2", "text", "digits"))


def test_the_quick_demo_writes_every_file_it_lists(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    out = tmp_path / "made" / "by it"
    with pytest.raises(SystemExit) as left:
        main(["demo", "--quick", "--out", str(out)])
    assert left.value.code == 0
    shown = capsys.readouterr().out
    listed = {line.split()[0] for line in shown.split("Written to")[1].splitlines()[1:] if line}
    assert listed == {path.name for path in out.iterdir()}
    assert {f"{name}.png" for name in PICTURES} < listed
    assert all((out / f"{name}.png").read_bytes().startswith(b"\x89PNG") for name in PICTURES)
    _check(out, listed, PAGES[:1])


@pytest.mark.slow
def test_the_demo_judges_every_part(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as left:
        main(["demo", "--out", str(tmp_path)])
    assert left.value.code == 0
    _check(tmp_path, {path.name for path in tmp_path.iterdir()}, PAGES)


def _check(out: Path, listed: set[str], pages: tuple[str, ...]) -> None:
    report = (out / "report.txt").read_text(encoding="utf-8")
    assert report.count("verdict") == 4  # a table for each data set
    assert "AR(9) by AIC" in report
    for unit in ("nats per element", "bits per byte", "bits per dim"):
        assert unit in report
    # of what was drawn: the series, the passages, the images
    judged = set(pages) - {"co2-report.html"}
    assert report.count("rows that were tested") == len(judged)
    found = {name: (out / name).read_text(encoding="utf-8") for name in pages}
    assert {name for name in listed if name.endswith(".html")} == set(found)
    assert {name for name, page in found.items() if '<h2 id="fidelity">' in page} == judged
    assert all('<h2 id="leaderboard">' in page for page in found.values())


def test_a_file_in_the_folders_place_is_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "taken").write_text("")
    with pytest.raises(SystemExit) as left:
        main(["demo", "--quick", "--out", str(tmp_path / "taken")])
    assert left.value.code == 2
    assert "which is a file" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::arproc.models.ngram.smoothing.discounts.DiscountWarning")
def test_the_mixture_beats_both_its_parts(tmp_path: Path):
    with Report(tmp_path) as report:
        subject = text.run(report, quick=False)
    table = arproc.compare(subject.models, subject.data)
    assert table.index[0] == "mixture"
    assert (table["low95_bits_per_byte"][1:] > 0).all()
