"""Interpreted and compiled, every call gives the same: fits to rounding, and the same draws."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from arproc.compiled import interpreted as module
from arproc.compiled.interpreted import nothing_interpreted
from arproc.warming import CALLS

#: What ends where an optimiser does, which magnifies rounding.
LOOSE = {"ARIMA.fit", "MarkovSwitchingAR.fit", "ARGARCH.fit", "CountAR.fit", "InfiniGram.fit"}
QUICK = {"CountAR.fit", "MADE.sample", "NGram.log_prob", "NGram.sample", "Panel.forecast"}


@pytest.mark.filterwarnings("ignore")  # the data say nothing
@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[] if n in QUICK else [pytest.mark.slow]) for n in CALLS]
)
def test_interpreted_and_compiled_are_the_same(name: str, monkeypatch: Any) -> None:
    prepare, run = CALLS[name]
    with nothing_interpreted():
        compiled = list(numbers(run(prepare())))
    monkeypatch.setattr(module, "FEW", np.inf)
    monkeypatch.setattr(module, "ALL", np.inf)
    monkeypatch.setattr(module, "_compiled", lambda _: False)
    interpreted = list(numbers(run(prepare())))
    assert len(compiled) == len(interpreted) > 0
    rtol = 1e-4 if name in LOOSE else 1e-5 if "MA" in name[:2] else 1e-9
    for one, other in zip(interpreted, compiled, strict=True):
        assert one.shape == other.shape
        np.testing.assert_allclose(one, other, rtol=rtol, atol=rtol)


def numbers(found: Any) -> Iterator[np.ndarray]:
    """All numbers that a result holds, in one order."""
    if isinstance(found, torch.Tensor):
        found = found.detach().numpy()
    if isinstance(found, np.ndarray) and found.dtype.kind in "fiub":
        yield np.nan_to_num(found.astype(float), nan=-1e9, posinf=1e9, neginf=-1e8)
    elif isinstance(found, (bool, int, float)):
        yield np.array(float(found))
    elif isinstance(found, str):
        yield np.array([float(ord(letter)) for letter in found])
    elif isinstance(found, pd.DataFrame):
        yield from numbers(found.select_dtypes("number").to_numpy())
    elif isinstance(found, torch.nn.Module):
        yield from numbers(found.state_dict())
    elif isinstance(found, dict):
        for part in found.values():
            yield from numbers(part)
    elif isinstance(found, (list, tuple)):
        for part in found:
            yield from numbers(part)
    elif type(found).__module__.startswith("arproc"):
        yield from numbers(getattr(found, "law_", None) or vars(found))
