"""What the tests of the command line share."""

from pathlib import Path

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
