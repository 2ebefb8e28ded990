"""The folder of a job: whole columns or none, after a crash and on a full disk too."""

from pathlib import Path

import numpy as np
import pytest

from arproc.errors import ParameterError, StorageError
from arproc.models.ngram.streaming.workspace import Workspace


def job(**more):
    return {"file": "a", "order": 2} | more


def test_a_folder_whose_job_was_being_written_can_be_used_again(tmp_path):
    (tmp_path / "job.json.part").write_text('{"file": ')
    with Workspace(tmp_path, job()) as work:
        assert work.noted("job.json") == job()
    assert [path.name for path in tmp_path.iterdir()] == ["job.json"]
    with Workspace(tmp_path, job()):
        pass


@pytest.mark.parametrize("text", ["", "{", "[1]", "\udcff"])
def test_a_folder_whose_job_is_damaged_is_refused(text, tmp_path):
    (tmp_path / "job.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(ParameterError, match=r"scratch: '.*job\.json' is damaged"):
        Workspace(tmp_path, job())


def test_a_folder_in_which_another_fit_is_at_work_is_refused(tmp_path):
    with (
        Workspace(tmp_path, job()),
        pytest.raises(ParameterError, match="another fit is at work in the folder"),
    ):
        Workspace(tmp_path, job())
    with pytest.raises(ParameterError, match="another job"):
        Workspace(tmp_path, job(order=3))
    with Workspace(tmp_path, job()):  # a job that was refused does not hold it
        pass


def write_on_a_full_disk(work: Workspace) -> None:
    with work.writer("run-0", np.int64) as file:
        file.append(np.arange(10))
        raise OSError(28, "No space left on device")


def test_a_full_disk_is_said_with_the_path_and_no_half_column_stays(tmp_path):
    with Workspace(tmp_path, job()) as work:
        with pytest.raises(StorageError, match=r"run-0' can not be written: No space left"):
            write_on_a_full_disk(work)
        assert not work.has("run-0")
    assert [path.name for path in tmp_path.iterdir()] == ["job.json"]


def test_a_folder_that_can_not_be_made(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    with pytest.raises(ParameterError, match=r"scratch: the folder '.*file' can not be written"):
        Workspace(tmp_path / "file", job())

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "mkdir", full)
    with pytest.raises(StorageError, match=r"new' can not be written: No space left"):
        Workspace(tmp_path / "new", job())
