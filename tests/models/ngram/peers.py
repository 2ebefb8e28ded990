"""KenLM as an independent reference, where it is installed: its programs and its Python module.

KENLM_BIN names the folder with `lmplz` and the other programs; ARPROC_PEERS a folder of Python
packages that is searched for `kenlm` too.
"""

from __future__ import annotations

import gzip
import importlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest


def program(name) -> Path:
    """One of KenLM's programs; without it the test skips."""
    folder = os.environ.get("KENLM_BIN")
    if not folder or not (Path(folder) / name).is_file():
        pytest.skip(f"set KENLM_BIN to the folder that holds KenLM's {name}")
    return Path(folder) / name


def kenlm():
    """The Python module `kenlm`; without it the test skips."""
    folder = os.environ.get("ARPROC_PEERS")
    if folder and folder not in sys.path:
        sys.path.append(folder)
    try:
        return importlib.import_module("kenlm")
    except ImportError:
        pytest.skip("install kenlm, or set ARPROC_PEERS to a folder that holds it")


def lmplz(text: Path, order, out: Path, *options) -> Path:
    """The ARPA file that KenLM estimates from a text."""
    command = [program("lmplz"), "-o", order, "-S", "256M", "-T", f"{out.parent}/"]
    command += ["--vocab_estimate", 1000, "--text", text, "--arpa", out, *options]
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return out


def entries(path: Path) -> dict[bytes, tuple[float, float]]:
    """Each n-gram of a well-formed ARPA file with its log10 probability and back-off."""
    raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    rows = [line.split(b"\t") for line in raw.split(b"\n") if b"\t" in line]
    return {row[1]: (float(row[0]), float(row[2]) if len(row) > 2 else 0.0) for row in rows}


def assert_same_ngrams(ours: Path, theirs: Path, atol=1e-5) -> None:
    """The same n-grams with the same numbers; what ARPA files call minus infinity is -99."""
    left, right = entries(ours), entries(theirs)
    assert left.keys() == right.keys()
    a = np.array([left[gram] for gram in right])
    b = np.array(list(right.values()))
    np.testing.assert_allclose(np.maximum(a, -99), np.maximum(b, -99), rtol=0, atol=atol)
