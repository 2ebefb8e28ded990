"""What the tests of the command line share."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from command_line import Result, Run

from arproc.cli import main


@pytest.fixture
def run(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Run:
    """Runs a command in a temporary folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ARPROC_TRACEBACK", raising=False)

    def call(*arguments: object) -> Result:
        with pytest.raises(SystemExit) as left:
            main([str(a) for a in arguments])
        captured = capsys.readouterr()
        assert isinstance(left.value.code, int)
        return Result(left.value.code, captured.out, captured.err)

    return call


@pytest.fixture
def series(tmp_path: Path) -> Path:
    """A CSV of monthly values with another column beside them."""
    rng = np.random.default_rng(0)
    index = pd.date_range("2000-01-01", periods=60, freq="MS", name="month")
    values = 10 + np.convolve(rng.normal(size=63), [1, 0.6, 0.3, 0.1], mode="valid")
    path = tmp_path / "series.csv"
    pd.DataFrame({"value": values, "other": 1.5}, index=index).to_csv(path)
    return path


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "text.txt"
    path.write_text("the cat sat on the mat.\nthe dog sat on the log.\n" * 20, encoding="utf-8")
    return path
