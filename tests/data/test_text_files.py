"""Text on disk: one rule for lines, whatever the file is compressed by and wherever it is read."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import sys

import numpy as np
import pytest
import zstd_stand_in

import arproc
from arproc import read_lines
from arproc.data import text_files
from arproc.data.text_files import text_bytes, text_of
from arproc.errors import DataError, MissingDependencyError

#: Everything that some reader takes for an end of a line, and a mark that is no part of the text.
RAW = "\ufeffa rose\x0cis\r\n\n a\x0b \x1cb\x85c\u2028d\re \nlast".encode()
LINES = ["a rose\x0cis", "", " a\x0b \x1cb\x85c\u2028d\re ", "last"]
PACK = {
    "plain": bytes,
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd": lambda raw: _zstandard().compress(raw),
}


def _zstandard():
    try:
        import zstandard
    except ImportError:
        return zstd_stand_in
    return zstandard


packed = pytest.mark.parametrize("kind", PACK)


@pytest.fixture(autouse=True)
def _zstd(monkeypatch):
    """The package where it is there, or what stands in for it."""
    try:
        text_files.zstd()
    except MissingDependencyError:
        if zstd_stand_in.library is None:
            pytest.skip("neither zstandard nor the C library is here")
        monkeypatch.setitem(sys.modules, "zstandard", zstd_stand_in)
        monkeypatch.setattr(zstd_stand_in, "__name__", "zstandard")


@packed
def test_one_rule_for_lines(tmp_path, kind):
    path = tmp_path / "named as it likes"
    path.write_bytes(PACK[kind](RAW))
    assert list(read_lines(path)) == LINES
    assert list(read_lines(str(path))) == LINES
    with path.open("rb") as file:
        assert list(read_lines(file)) == LINES
    assert text_of(path) == "\n".join(LINES)
    assert text_bytes(path).tobytes().replace(b"\r\n", b"\n").decode() == "\n".join(LINES)


@packed
@pytest.mark.parametrize("tokens", ["word", "char", "byte"])
def test_models_read_every_file_alike(tmp_path, kind, tokens):
    path = tmp_path / "text"
    path.write_bytes(PACK[kind](RAW))
    model = arproc.NGram(2, "witten_bell", tokens).fit(path)
    want = LINES if tokens == "word" else "\n".join(LINES)
    if tokens == "byte":  # the bytes as they are
        want = np.frombuffer(RAW, np.uint8)
        assert model.log_prob(path) == model.log_prob(want)
        return
    twin = arproc.NGram(2, "witten_bell", tokens).fit(want)
    assert model.vocabulary == twin.vocabulary
    assert "\ufeff" not in "".join(model.vocabulary.symbols)
    np.testing.assert_array_equal(model.log_prob(path), twin.log_prob(want))
    one, other = arproc.evaluate(model, path), arproc.evaluate(twin, want)
    assert (one.n_bytes, one.log_prob_nats) == (other.n_bytes, other.log_prob_nats)
    assert arproc.surprisal_table(model, path).equals(arproc.surprisal_table(twin, want))


@pytest.mark.parametrize("mode", ["rb", "r"])
@pytest.mark.parametrize("tokens", ["word", "char"])
def test_an_open_file_is_read_like_its_path(tmp_path, mode, tokens):
    path = tmp_path / "text"
    path.write_bytes(RAW)
    encoding = None if mode == "rb" else "utf-8"
    model = arproc.NGram(2, "witten_bell", tokens).fit(path)
    with path.open(mode, encoding=encoding) as file:
        twin = arproc.NGram(2, "witten_bell", tokens).fit(file)
    assert model.vocabulary == twin.vocabulary
    with path.open(mode, encoding=encoding) as file:
        np.testing.assert_array_equal(twin.log_prob(file), model.log_prob(path))
    with path.open(mode, encoding=encoding) as file:
        assert arproc.evaluate(twin, file) == arproc.evaluate(model, path)


def test_an_open_file_is_read_from_where_it_stands_in_its_own_encoding(tmp_path):
    path = tmp_path / "text"
    path.write_bytes("title\ncafé\n".encode("latin-1"))
    with path.open(encoding="latin-1") as file:
        next(file)
        assert list(read_lines(file)) == ["café"]
    with path.open(encoding="ascii") as file, pytest.raises(DataError, match="in its encoding"):
        list(read_lines(file))


@pytest.mark.parametrize("cut", [1, 2, 3, 5, 1 << 10])
@pytest.mark.parametrize("kind", ["plain", "gzip", "zstd"])
def test_lines_do_not_depend_on_how_much_is_read_at_a_time(monkeypatch, kind, cut):
    monkeypatch.setattr(text_files, "_CHUNK", cut)
    text = RAW + "\r\né🙂\r\n".encode()
    raw = PACK[kind](text[:11]) + PACK[kind](text[11:])  # of two members or frames
    assert list(read_lines(io.BytesIO(raw))) == [*LINES, "é🙂"]


@pytest.mark.parametrize("at", [0, 5, (1 << 20) - 1, 1 << 20])
@pytest.mark.parametrize("kind", ["plain", "gzip"])
def test_a_file_that_is_not_utf8_is_refused_with_its_place(tmp_path, at, kind):
    path = tmp_path / "text.txt"
    path.write_bytes(PACK[kind](b"a" * at + b"\xff" + b"b" * 10))
    for read in (text_bytes, text_of, lambda source: list(read_lines(source))):
        with pytest.raises(DataError, match=rf"text.txt' is not UTF-8 text \(byte {at}\)"):
            read(path)
    path.write_bytes(b"a" * at + "é".encode()[:1])
    with pytest.raises(DataError, match=rf"not UTF-8 text \(byte {at}\)"):
        text_bytes(path)


def test_letters_across_pieces_of_a_file_are_read(tmp_path):
    path = tmp_path / "text.txt"
    path.write_bytes(b"a" * ((1 << 20) - 1) + "é b\n".encode())
    assert len(text_bytes(path)) == (1 << 20) + 3


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
def test_text_in_another_encoding_is_named(tmp_path, encoding):
    path = tmp_path / "text"
    path.write_bytes("a rose".encode(encoding))
    with pytest.raises(DataError, match=f"is {encoding.upper()} text by its byte order mark"):
        arproc.NGram(1).fit(path)


@pytest.mark.parametrize("kind", ["gzip", "bzip2", "xz", "zstd"])
def test_a_file_that_is_cut_off_or_damaged_is_refused(tmp_path, kind):
    path = tmp_path / "text"
    whole = PACK[kind](np.random.default_rng(0).integers(97, 123, 5000, np.uint8).tobytes())
    for damaged in (
        whole[:-3],
        whole[: len(whole) // 2],
        whole[:2000] + bytes(900) + whole[2900:],
    ):
        path.write_bytes(damaged)
        with pytest.raises(DataError, match=f"text' is a damaged {kind} file"):
            list(read_lines(path))
        with pytest.raises(DataError, match=f"damaged {kind}"):
            list(read_lines(io.BytesIO(damaged)))


def test_without_a_package_for_zstd(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "zstandard", None)
    monkeypatch.setitem(sys.modules, "compression.zstd", None)
    path = tmp_path / "text"
    path.write_bytes(PACK["zstd"](b"a rose"))
    with pytest.raises(MissingDependencyError, match="pip install zstandard"):
        arproc.NGram(1).fit(path)


def test_the_package_zstandard_itself(tmp_path):
    zstandard = pytest.importorskip("zstandard")
    if zstandard is zstd_stand_in:
        pytest.skip("zstandard is not here")
    path = tmp_path / "text"
    one = zstandard.ZstdCompressor().compress(RAW)
    path.write_bytes(one + zstandard.ZstdCompressor().compress(b"\nmore"))
    assert list(read_lines(path)) == [*LINES, "more"]


def test_python_s_own_zstd(tmp_path):
    own = pytest.importorskip("compression.zstd")
    path = tmp_path / "text"
    path.write_bytes(own.compress(RAW) + own.compress(b"\nmore"))
    assert list(read_lines(path)) == [*LINES, "more"]


def test_what_is_no_file(tmp_path):
    for path, told in ((tmp_path / "none", "there is no file"), (tmp_path, "it is a folder")):
        with pytest.raises(DataError, match=told):
            list(read_lines(path))
        with pytest.raises(DataError, match=told):
            arproc.NGram(1).fit(path)
    with pytest.raises(DataError, match="gives int on reading"):
        list(read_lines(type("Odd", (), {"read": lambda self, n=-1: 5})()))
    (tmp_path / "empty").touch()
    for tokens in ("word", "char"):
        with pytest.raises(DataError, match="empty"):
            arproc.NGram(1, tokens=tokens).fit(tmp_path / "empty")
