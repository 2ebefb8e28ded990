"""The file itself: where it goes, and that what is damaged is refused before it costs."""

import json
import os
import re
import struct
import tracemalloc
import zlib
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
from arproc.contract import places, storable
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

    monkeypatch.setattr(places.tempfile, "mkstemp", refuse)
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


@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7), trust=st.booleans())
def test_a_bit_flipped_anywhere_is_refused(place, bit, trust, saved, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "flip.arproc"
    head = 8 + int.from_bytes(saved[:8], "little")
    data = bytearray(saved)
    data[int(place * (head if trust else len(data)))] ^= 1 << bit
    path.write_bytes(data)
    with pytest.raises(FileFormatError):
        arproc.load(path, trust=trust)


def test_bytes_of_every_part_of_a_file_count(saved, tmp_path):
    path = tmp_path / "flip.arproc"
    for place in range(0, len(saved), 5):
        data = bytearray(saved)
        data[place] ^= 1 << (place % 8)
        path.write_bytes(data)
        with pytest.raises(FileFormatError):
            files.read_file(path)


def test_each_piece_of_the_tensors_has_a_checksum(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "_PIECE", 64)
    path = tmp_path / "m.arproc"
    for size in (0, 1, 52, 53, 200):
        tensors = {"a": torch.arange(size, dtype=torch.uint8), "b": torch.ones(3)}
        files.write_file(path, {"kind": "x"}, tensors)
        assert torch.equal(files.read_file(path)[1]["a"], tensors["a"])
        whole = path.read_bytes()
        for place in range(len(whole) - size - 12 - 4 * (1 + (size + 75) // 64), len(whole)):
            path.write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
            with pytest.raises(FileFormatError, match="damaged"):
                files.read_file(path)


def test_the_message_says_where_the_damage_is_and_trust_does_not_look(saved, tmp_path):
    path = tmp_path / "m.arproc"
    head = 8 + int.from_bytes(saved[:8], "little")
    path.write_bytes(saved[:head] + bytes([saved[head] ^ 1]) + saved[head + 1 :])
    with pytest.raises(FileFormatError, match=rf"another checksum, between the bytes {head} and"):
        arproc.load(path)
    assert arproc.load(path, trust=True).network_ is not None
    path.write_bytes(saved)
    whole, sound = arproc.load(path, trust=True).network_, Net().fit([0.0]).network_
    assert all(map(torch.equal, whole.state_dict().values(), sound.state_dict().values()))


@given(noise=st.binary(max_size=300))
def test_noise_is_refused(noise, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "noise.arproc"
    path.write_bytes(noise)
    with pytest.raises(FileFormatError):
        arproc.load(path)


def raw(path: Path, header: dict, body: bytes = b"") -> Path:
    """A file of this header, with the checksums that belong to it."""
    sums = 4 * (1 + bool(body))
    place = {"dtype": "U8", "shape": [sums], "data_offsets": [len(body), len(body) + sums]}
    text = json.dumps(header | {files._CHECKSUMS: place}).encode()
    head = struct.pack("<Q", len(text)) + text
    found = [zlib.crc32(part) for part in (head, body) if part]
    path.write_bytes(head + body + struct.pack(f"<{len(found)}I", *found))
    return path


def described(model: object, **more) -> dict:
    whole = {"format": "arproc", "version": files.FORMAT_VERSION, "kind": "model", "model": model}
    return {"__metadata__": {"arproc": json.dumps(whole | more)}}


HUGE = [
    {"t": {"dtype": "F64", "shape": [2**60], "data_offsets": [0, 2**63]}},
    {"t": {"dtype": "F64", "shape": [2**40, 2**40], "data_offsets": [0, 0]}},
    {"t": {"dtype": "F64", "shape": [-1, -8], "data_offsets": [0, 64]}},
    {"t": {"dtype": "F64", "shape": [0, -8], "data_offsets": [0, 0]}},
    {"t": {"dtype": "F64", "shape": [0, 2**40], "data_offsets": [0, 0]}},
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
    {"!": "strings", "items": [1, "a"], "shape": [3]},
    {"!": "strings", "items": ["x" * 10**6, *(["a"] * 1000)], "shape": [1001]},
    {"!": "strings", "items": [], "shape": [0, -1]}, {"!": "law", "number": 0},
    {"!": "float", "value": "1e9"}, {"!": "dict", "items": [["a", 1], ["a", 2]]},
    {"!": "data", "class": "Real", "fields": {}, "number": 3},
    {"!": "data", "class": "Real", "fields": {}}, {"!": "data", "class": "AR", "fields": {}},
    {"!": "data", "class": "os", "fields": {}},
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
    raw(path, described({}, version=3))
    with pytest.raises(FileFormatError, match=r"version 3; this arproc reads 2\. Upgrade arproc"):
        arproc.load(path)
    raw(path, described({}, version=1))
    with pytest.raises(FileFormatError, match=r"version 1; this arproc reads 2\. Fit the model"):
        arproc.load(path)
    for version in (0, -1, True, "1", None):
        with pytest.raises(FileFormatError, match="its version is"):
            arproc.load(raw(path, described({}, version=version)))
    raw(path, described({}, kind="checkpoint"))
    with pytest.raises(FileFormatError, match="holds a 'checkpoint', not a model"):
        arproc.load(path)


def test_a_header_that_readers_understand_differently_is_refused(tmp_path):
    path = raw(tmp_path / "m.arproc", described(None))
    twice = path.read_bytes().replace(b'{"__metadata__"', b'{"x": 1, "x": 2, "__metadata__"')
    path.write_bytes(twice)
    with pytest.raises(FileFormatError, match="its header is not JSON"):
        arproc.load(path)
    model = {"!": "object", "class": "AR", "params": {"order": float("nan")}, "learnt": {}}
    with pytest.raises(FileFormatError, match="its header is not JSON"):
        arproc.load(raw(path, described(model)))


def test_names_that_are_missing_or_too_many_are_refused(tmp_path):
    path = tmp_path / "m.arproc"
    arproc.AR.from_parameters([0.5]).save(path)
    header, tensors = files.read_file(path)
    for change in (
        lambda model: model["params"].pop("trend"),
        lambda model: model["params"].update(more=1),
        lambda model: model["law"]["fields"].popitem(),
        lambda model: model["law"]["fields"].update(more=1),
        lambda model: model.update(more=1),
    ):
        again = json.loads(json.dumps(header))
        change(again["model"])
        files.write_file(path, again, tensors)
        with pytest.raises(FileFormatError, match=r"other names than|holds a 'object' of"):
            arproc.load(path)
    files.write_file(path, header, tensors | {"spare": torch.ones(2)})
    with pytest.raises(FileFormatError, match="a tensor that belongs to nothing: 'spare'"):
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
