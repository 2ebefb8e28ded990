"""Whole numbers in files that NumPy maps: read when they are used, and the same as in memory."""

from __future__ import annotations

import gzip
import subprocess
import sys

import numpy as np
import pytest

import arproc
from arproc.data.vocabulary import Vocabulary
from arproc.errors import DataError, ParameterError
from arproc.training import Training, write_tokens

PLAN = Training(steps=4, batch_size=4)


def mapped(path, values: np.ndarray) -> np.memmap:
    values.tofile(path)
    return np.memmap(path, values.dtype, "r", shape=values.shape)


@pytest.mark.parametrize("kind", ["uint8", "int16", "uint16", "int32", "uint32", "int64"])
def test_a_model_of_a_mapped_file_is_that_of_the_numbers(kind, tmp_path):
    x = np.random.default_rng(0).integers(0, 40, 300)
    file = mapped(tmp_path / "x.bin", x.astype(kind))
    plain, large = (arproc.Transformer(1, 2, 8, block=8, training=PLAN).fit(d) for d in (x, file))
    assert large.space == plain.space
    assert large.log_prob(x) == plain.log_prob(x)
    assert large.log_prob(file) == plain.log_prob(x)
    assert large.sample(1, length=4, seed=0).tolist() == plain.sample(1, length=4, seed=0).tolist()
    counts = [arproc.NGram(order=2, tokens=None).fit(d).log_prob(x) for d in (x, file)]
    assert counts[0] == counts[1]


def test_rows_of_a_mapped_file_are_sequences(tmp_path):
    x = np.random.default_rng(0).integers(0, 5, (30, 7)).astype(np.uint16)
    model = arproc.Transformer(1, 2, 8, block=8, training=PLAN).fit(mapped(tmp_path / "x", x))
    assert model.space.terminates
    assert model.log_prob(mapped(tmp_path / "y", x)).shape == (30,)


def test_numbers_that_are_no_symbols_are_refused(tmp_path):
    below = mapped(tmp_path / "x", np.array([0, -3, 5], np.int16))
    with pytest.raises(DataError, match="numbers from -3 to 5"):
        arproc.Transformer(1, 2, 8, training=PLAN).fit(below)
    above = mapped(tmp_path / "y", np.array([0, 3, 5] * 9, np.int16))
    with pytest.raises(DataError, match=r"from 0 to 3, got values from 0 to 5"):
        arproc.Transformer(1, 2, 8, tokens=4, training=PLAN).fit(above)
    model = arproc.Transformer(1, 2, 8, block=4, tokens=5, end=True, training=PLAN)
    ends = mapped(tmp_path / "z", np.array([1, 5]))
    with pytest.raises(DataError, match="end symbol 5 among"):
        model.fit(np.tile([0, 3, 4], 9)).log_prob(ends)


def test_a_file_of_tokens_trains_the_model_of_its_text(tmp_path):
    text = "a rose is a rose\nis a rose\n" * 30
    with gzip.open(tmp_path / "t.gz", "wt") as file:
        file.write(text)
    letters = Vocabulary.build(text, "char")
    numbers = write_tokens(tmp_path / "t.gz", letters, tmp_path / "t.bin")
    assert numbers.dtype == np.uint16
    assert not numbers.flags.writeable
    assert letters.decode(numbers) == text
    model = arproc.Transformer(1, 2, 8, block=8, tokens=letters, training=PLAN).fit(numbers)
    same = arproc.Transformer(1, 2, 8, block=8, tokens=letters, training=PLAN).fit(text)
    assert model.log_prob("a rose") == same.log_prob("a rose")
    assert model.sample(2, length=5, seed=0) == same.sample(2, length=5, seed=0)
    with pytest.raises(ParameterError, match="a Vocabulary or a tokenizer"):
        write_tokens(tmp_path / "t.gz", "char", tmp_path / "u.bin")
    (tmp_path / "empty").write_text("")
    with pytest.raises(DataError, match="no tokens"):
        write_tokens(tmp_path / "empty", letters, tmp_path / "u.bin")
    assert not (tmp_path / "u.bin").exists()


_PEAK = """
import resource, sys
import numpy as np, arproc
from arproc.training import Training

path, n = sys.argv[1], int(sys.argv[2])
plan = Training(steps=3, batch_size=4)
arproc.Transformer(1, 2, 8, block=32, training=plan).fit(np.arange(200) % 50)
used = int(next(l for l in open("/proc/self/status") if l.startswith("VmData")).split()[1]) << 10
limit = used + n // 2  # of what is not the file itself: half of its bytes, a quarter of a copy
resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
numbers = np.memmap(path, np.uint16, "r")
model = arproc.Transformer(1, 2, 8, block=32, training=plan)
model.fit(numbers, validation=numbers[-4096:])
print(model.space.size, len(model.history_))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="memory is limited as Linux does")
def test_a_file_larger_than_the_memory_is_trained_on(tmp_path):
    n = 400_000_000
    file = np.memmap(tmp_path / "x", np.uint16, "w+", shape=(n // 2,))
    file[:] = np.arange(n // 2, dtype=np.uint32) % 50
    file.flush()
    del file
    command = [sys.executable, "-c", _PEAK, str(tmp_path / "x"), str(n)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["50", "3"], done.stderr[-2000:]
