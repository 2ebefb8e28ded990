"""Where files are written: a full disk is said with the place, and killed programs leave none."""

import errno
import os
import resource
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import arproc
from arproc.contract import places
from arproc.errors import ArprocError, ParameterError, StorageError


@pytest.fixture
def small_disk():
    """No file may be longer than 4096 bytes, as on a disk that is nearly full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


def large_model() -> arproc.AR:
    return arproc.AR.from_parameters([1e-3] * 900)


# ---- full disks --------------------------------------------------------------------------------


def test_a_full_disk_is_said_with_the_path_and_nothing_is_lost(tmp_path, small_disk):
    path = tmp_path / "m.arproc"
    arproc.AR.from_parameters([0.5]).save(path)
    before = path.read_bytes()
    with pytest.raises(StorageError, match=r"m\.arproc' can not be written: File too large. Make"):
        large_model().save(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_full_disks_of_text_and_arpa(tmp_path, small_disk):
    with pytest.raises(StorageError, match=r"a\.csv' can not be written"):
        places.write_text(tmp_path / "a.csv", "x" * 5000)
    text = [f"{i * i % 997} {i * i * i % 991} {i}" for i in range(900)]
    model = arproc.NGram(2, smoothing="witten_bell").fit(text)
    for name in ("m.arpa", "m.arpa.gz", "m.arpa.bz2", "m.arpa.xz", "m.arproc"):
        with pytest.raises(StorageError, match=rf"{name}' can not be written"):
            model.save(tmp_path / name) if name == "m.arproc" else model.to_arpa(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_devices_are_written_to_but_never_replaced():
    with pytest.raises(StorageError, match=r"'/dev/full' can not be written: No space left"):
        places.write_text("/dev/full", "text")
    with pytest.raises(ParameterError, match="'/dev/full' is a device, which nothing may replace"):
        arproc.AR.from_parameters([0.5]).save("/dev/full")
    places.write_text("/dev/null", "text")


@pytest.mark.parametrize("step", ["mkstemp", "fsync", "replace"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_each_step_may_find_the_disk_full(step, code, tmp_path, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(code, os.strerror(code))

    holder = {"mkstemp": places.tempfile, "fsync": os, "replace": Path}[step]
    monkeypatch.setattr(holder, step, full)
    with pytest.raises(StorageError, match=r"m\.arproc' can not be written"):
        arproc.AR.from_parameters([0.5]).save(tmp_path / "m.arproc")
    assert list(tmp_path.iterdir()) == []


def test_the_error_is_ours_and_the_systems():
    assert issubclass(StorageError, ArprocError)
    assert issubclass(StorageError, OSError)
    with pytest.raises(BrokenPipeError), places.storing("x"):  # the reader's going is no fault
        raise BrokenPipeError


# ---- what killed programs leave ----------------------------------------------------------------


@contextmanager
def killed_while(writing: Callable[[], object]) -> Iterator[Callable[[], None]]:
    """Another program that is in the middle of writing; it is killed when that is called."""
    ready, begun = os.pipe()
    child = os.fork()
    if child == 0:
        kept = writing()
        os.write(begun, b"begun" if kept else b"")
        signal.pause()
        os._exit(0)
    assert os.read(ready, 5) == b"begun"

    def kill() -> None:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)

    yield kill
    os.close(ready)
    os.close(begun)


def half_a_file(path: Path) -> object:
    place = places.replacing(path)
    place.__enter__().write_text("half of it")
    return place


def half_a_job() -> object:
    folder, handle = places.temporary_folder()
    (folder / "run-0").write_text("half of it")
    return folder, handle


@pytest.mark.skipif(places.fcntl is None, reason="no locks on files here")
def test_what_a_killed_save_left_is_removed_by_the_next_and_nothing_else_is(tmp_path):
    path, other = tmp_path / "m.arproc", tmp_path / ".m.arproc.mine"
    other.write_text("a file of the user's")
    elsewhere = tmp_path / ".n.arproc.abcdefgh.arproc-part"
    elsewhere.write_text("of another file, which its own next save removes")
    model = arproc.AR.from_parameters([0.5])
    with killed_while(lambda: half_a_file(path)) as kill:
        running = set(tmp_path.iterdir()) - {other, elsewhere}
        assert len(running) == 1
        model.save(path)  # while the other program is still at work
        assert running <= set(tmp_path.iterdir())
        kill()
        assert running <= set(tmp_path.iterdir())
        model.save(path)
    assert set(tmp_path.iterdir()) == {path, other, elsewhere}
    assert arproc.load(path).log_prob([1.0]) == model.log_prob([1.0])


@pytest.mark.skipif(places.fcntl is None, reason="no locks on files here")
def test_temporary_folders_of_killed_programs_are_removed(tmp_path, monkeypatch):
    monkeypatch.setattr(places.tempfile, "tempdir", str(tmp_path))
    (tmp_path / "arproc-scratch-notes").mkdir()
    with killed_while(half_a_job) as kill:
        (theirs,) = tmp_path.glob("arproc-scratch-????????")
        folder, handle = places.temporary_folder()
        assert theirs.is_dir()
        kill()
    second, again = places.temporary_folder()
    assert not theirs.exists()
    assert folder.is_dir()
    assert (tmp_path / "arproc-scratch-notes").is_dir()
    os.close(handle)
    os.close(again)
    assert second.is_dir()


def test_very_long_names(tmp_path):
    path = tmp_path / ("ä" * 120)
    arproc.AR.from_parameters([0.5]).save(path)
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(ParameterError, match="can not be written: File name too long"):
        arproc.AR.from_parameters([0.5]).save(tmp_path / ("x" * 300))
