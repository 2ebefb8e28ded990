"""The file itself: where it goes, and that what is damaged is refused before it costs."""

import json
import os
import re
import struct
import tracemalloc
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from helpers import edit
from hypothesis import given
from safetensors.torch import load_file, save_file
from toys import Net, Walk

import arproc
from arproc.contract import model_file as files
from arproc.contract import storable
from arproc.errors import ArprocError, FileFormatError, ParameterError

# ---- places ------------------------------------------------------------------------------------


def test_places_that_can_not_be_written_or_read(tmp_path):
    model = Walk().fit([0.0])
    with pytest.raises(ParameterError, match=r"the folder '.*missing' does not exist; create it"):
        model.save(tmp_path / "missing" / "m.arproc")
    with pytest.raises(ParameterError, match="is a folder; give the name of a file"):
        model.save(tmp_path)
    with pytest.raises(FileFormatError, match=r"there is no file '.*m.arproc'"):
        arproc.load(tmp_path / "m.arproc")
    with pytest.raises(FileFormatError, match="is a folder; give the name of a file"):
        arproc.load(tmp_path)
    model.save(str(tmp_path / "m.arproc"))
    assert arproc.load(str(tmp_path / "m.arproc")).log_prob([1.0]) == model.log_prob([1.0])


def test_a_folder_that_forbids_writing(tmp_path, monkeypatch):
    def refuse(**kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(files.tempfile, "mkstemp", refuse)
    with pytest.raises(ParameterError, match=r"m.arproc' can not be written: Permission denied"):
        Walk().fit([0.0]).save(tmp_path / "m.arproc")


@pytest.mark.parametrize("step", ["fsync", "replace", "interrupt"])
def test_a_crash_while_writing_leaves_the_old_file_and_nothing_else(step, tmp_path, monkeypatch):
    path = tmp_path / "m.arproc"
    Walk(0.25).fit([0.0]).save(path)
    before = path.read_bytes()

    def crash(*args, **kwargs):
        raise KeyboardInterrupt if step == "interrupt" else OSError(28, "No space left on device")

    if step == "replace":
        monkeypatch.setattr(Path, "replace", crash)
    else:
        monkeypatch.setattr(os, "fsync", crash)
    with pytest.raises((OSError, KeyboardInterrupt)):
        Walk(0.75).fit([0.0]).save(path)
    monkeypatch.undo()
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
    assert arproc.load(path).a == 0.25


# ---- damage ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> bytes:
    path = tmp_path_factory.mktemp("saved") / "m.arproc"
    Net().fit([0.0]).save(path)
    return path.read_bytes()


def test_a_file_cut_at_any_byte_is_refused(saved, tmp_path):
    path = tmp_path / "cut.arproc"
    for length in range(len(saved)):
        path.write_bytes(saved[:length])
        with pytest.raises(FileFormatError):
            arproc.load(path)
    path.write_bytes(saved + b"x")
    with pytest.raises(FileFormatError, match=r"its tensors need \d+ bytes, it has \d+"):
        arproc.load(path)


def test_a_bit_flipped_anywhere_in_the_header_is_refused_or_harmless(saved, tmp_path):
    """Harmless: in the blanks that fill the header up, or a tensor's place in the file."""
    path, want = tmp_path / "flip.arproc", Net().fit([0.0]).network_.state_dict()
    length = 8 + int.from_bytes(saved[:8], "little")
    loaded = 0
    for place in range(length):
        data = bytearray(saved)
        data[place] ^= 1 << (place % 8)
        path.write_bytes(data)
        try:
            again = arproc.load(path)
        except FileFormatError:
            continue
        loaded += 1
        assert all(torch.equal(v, want[k]) for k, v in again.network_.state_dict().items())
    assert loaded < 8


@given(noise=st.binary(max_size=300))
def test_noise_is_refused(noise, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "noise.arproc"
    path.write_bytes(noise)
    with pytest.raises(FileFormatError):
        arproc.load(path)


def raw(path: Path, header: dict, body: bytes = b"") -> Path:
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + body)
    return path


def described(model: object, **more) -> dict:
    whole = {"format": "arproc", "version": 1, "kind": "model", "model": model} | more
    return {"__metadata__": {"arproc": json.dumps(whole | {"crc32": files._checksum(whole)})}}


HUGE = [
    {"t": {"dtype": "F64", "shape": [2**60], "data_offsets": [0, 2**63]}},
    {"t": {"dtype": "F64", "shape": [2**40, 2**40], "data_offsets": [0, 0]}},
    {"t": {"dtype": "F64", "shape": [-1, -8], "data_offsets": [0, 64]}},
    {"t": {"dtype": "F64", "shape": [0, -8], "data_offsets": [0, 0]}},
    {"t": {"dtype": "F64", "shape": [1e400], "data_offsets": [0, 8]}},
    {"t": {"dtype": "F64", "shape": ["8"], "data_offsets": [0]}},
    {"t": {"dtype": "F64", "shape": None, "data_offsets": [0, 8]}},
    {"t": {"dtype": "X9", "shape": [], "data_offsets": [0, 0]}},
    {"t": {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]}},
    {"t": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]},
     "u": {"dtype": "F32", "shape": [1], "data_offsets": [2, 6]}},
    {"t": [], "u": 3},
]  # fmt: skip


@pytest.mark.parametrize("entries", HUGE, ids=str)
def test_sizes_that_do_not_fit_the_file_are_refused_before_anything_is_allocated(
    entries, tmp_path
):
    path = raw(tmp_path / "m.arproc", described({}) | entries, b"\0" * 64)
    tracemalloc.start()
    with pytest.raises(FileFormatError, match="damaged"):
        arproc.load(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**20
    path.write_bytes(struct.pack("<Q", 2**62) + b"{}")
    with pytest.raises(FileFormatError, match="its header would have 4611686018427387904 bytes"):
        arproc.load(path)


def test_a_network_that_claims_to_be_huge_is_not_built(tmp_path, saved):
    path = tmp_path / "m.arproc"
    path.write_bytes(saved)
    edit(path, '"width": 3', '"width": 1000000000000')
    with pytest.raises(FileFormatError, match=r"the tensors of Small do not fit the model"):
        arproc.load(path)


def deep(depth: int) -> list:
    tree: list = []
    for _ in range(depth):
        tree = [tree]
    return tree


OWN = {"!": "object", "own": True, "params": {}, "learnt": {}}
TREES = [
    None, 3, "Walk", [], {}, {"!": "exec", "value": "x"}, {"!": None}, {"!": ["a"]},
    {"!": "tensor", "at": "nowhere"}, {"!": "tensor", "at": ["a"]}, {"!": "float", "value": "x"},
    {"!": "tuple"}, {"!": "dict", "items": [[[1], 2]]}, {"!": "dict", "items": [1]}, deep(400),
    {"!": "strings", "items": [1, "a"], "shape": [3]}, {"!": "data", "class": "os", "fields": {}},
    {"!": "data", "class": "Vocabulary", "fields": {"kind": "exec"}},
    {"!": "data", "class": "Categorical", "fields": {"symbols": -4}},
    {"!": "data", "class": "Real", "fields": {"__class__": 3}},
    OWN | {"class": "Process"}, OWN | {"class": "load"}, OWN | {"class": "TopK"},
    OWN | {"class": "TopK", "params": {"k": -1}}, OWN | {"class": "TopK", "params": [1]},
    OWN | {"class": "subprocess.Popen", "own": False, "params": {"args": "true"}},
    OWN | {"class": ["AR"]}, OWN | {"class": "AR", "learnt": {"space": 1}},
    OWN | {"class": "AR", "params": {"order": 1}, "learnt": {"__dict___": 1, "_x_": 2}},
    OWN | {"class": "AR", "params": {"order": 1}, "learnt": {"m_": {"!": "module", "state": {}}}},
    {"!": "MultivariateNormal", "fields": {"!": "dict", "items": [["loc", 1.0]]}},
]  # fmt: skip


@pytest.mark.parametrize("tree", TREES, ids=lambda t: str(t)[:60])
def test_descriptions_of_no_model_are_refused(tree, tmp_path):
    path = raw(tmp_path / "m.arproc", described(tree))
    with pytest.raises(FileFormatError):
        arproc.load(path)


def test_other_files_and_versions(tmp_path):
    path = tmp_path / "m.arproc"
    save_file({"x": torch.ones(2)}, path)
    with pytest.raises(FileFormatError, match="is a safetensors file, but not of arproc's"):
        arproc.load(path)
    raw(path, described({}, version=2))
    with pytest.raises(
        FileFormatError, match=r"format version 2; this arproc reads up to 1\. Upgrade"
    ):
        arproc.load(path)
    for version in (0, -1, True, "1", None):
        with pytest.raises(FileFormatError, match="its version is"):
            arproc.load(raw(path, described({}, version=version)))
    raw(path, described({}, kind="checkpoint"))
    with pytest.raises(FileFormatError, match="holds a 'checkpoint', not a model"):
        arproc.load(path)


def test_no_code_is_loaded_and_every_class_a_file_may_hold_is_known():
    source = "".join(
        Path(module.__file__).read_text() for module in (files, arproc.process.persistence)
    )
    assert not re.search(
        r"pickle|marshal|(?<![.\w])(eval|exec|__import__)\(|import_module|torch\.load", source
    )
    assert all(isinstance(cls, type) for cls in storable._KNOWN.values())
    assert issubclass(FileFormatError, ArprocError)


@pytest.mark.parametrize("path", [5, None, b"model"])
def test_what_is_no_path_is_refused(path):
    with pytest.raises(ParameterError, match="path must be a str or a Path"):
        arproc.load(path)
    with pytest.raises(ParameterError, match="path must be a str or a Path"):
        arproc.AR.from_parameters([0.5]).save(path)


@pytest.mark.parametrize("piece", [None, 5, 64])
@pytest.mark.parametrize("dtype", ["u1", "i4", "f8"])
def test_arrays_on_disk_are_copied_whole_in_pieces_of_any_size(
    dtype, piece, tmp_path, monkeypatch
):
    if piece is not None:
        monkeypatch.setattr(files, "_PIECE", piece)
    there = np.memmap(tmp_path / "there", dtype=dtype, mode="w+", shape=(7, 3))
    there[:] = np.arange(21).reshape(7, 3)
    beside = torch.arange(4.0).reshape(2, 2).T  # not contiguous
    files.write_file(tmp_path / "m", {}, {"there": there, "beside": beside})
    found = load_file(tmp_path / "m")
    assert found["there"].numpy().dtype == there.dtype
    np.testing.assert_array_equal(found["there"], there)
    assert torch.equal(found["beside"], beside)
