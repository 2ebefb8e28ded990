"""Scores of a million forecasts: `python -m benchmarks scores`.

scoringrules is compared where it is installed, on NumPy.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import distributions as td

import arproc
from arproc.evaluation import crps, crps_of, murphy, reliability
from benchmarks.timing import REDUCED, side_by_side

N = 200 if REDUCED else 1_000_000


def laws() -> tuple[dict[str, td.Distribution], torch.Tensor, torch.Tensor]:
    """Forecasts of some families, real numbers that came, and whole ones."""
    rng = torch.Generator().manual_seed(0)
    loc, x = torch.randn(2, N, generator=rng, dtype=torch.float64)
    one, three = torch.ones(N, dtype=torch.float64), torch.ones(N, 3, dtype=torch.float64)
    parts = td.Normal(torch.stack([loc - 1, loc, loc + 1], -1), three)
    found: dict[str, td.Distribution] = {
        "normal": td.Normal(loc, one),
        "Student": td.StudentT(5 * one, loc, one),
        "mixture of 3 normals": td.MixtureSameFamily(td.Categorical(three), parts),
        "Poisson": td.Poisson(loc.abs() + 1),
        "negative binomial": td.NegativeBinomial(5 * one, probs=0.3 * one),
    }
    return found, x, (3 * x).abs().round()


def seconds(call: Callable[[], Any], rounds: int = 3) -> float:
    """The least CPU time of some calls."""
    spent = []
    for _ in range(1 if REDUCED else rounds):
        begin = time.process_time()
        call()
        spent.append(time.process_time() - begin)
    return min(spent)


def main() -> None:
    found, x, counts = laws()
    for name, law in found.items():
        came = counts if name in ("Poisson", "negative binomial") else x
        print(f"CRPS of {N:,} forecasts, {name}: {seconds(lambda: crps_of(law, came)):.2f} s CPU")  # noqa: B023
    model, y = arproc.AR.from_parameters([0.5]), x.numpy()
    print(f"CRPS along a series of {N:,}, AR(1): {seconds(lambda: crps(model, y)):.2f} s CPU")
    p, happened = torch.sigmoid(x).numpy(), counts.numpy() > 2
    curves = seconds(lambda: murphy({"p": p}, happened))
    diagram = seconds(lambda: reliability(p, happened, n_resamples=50), 1)
    print(f"Murphy diagram {curves:.2f} s, reliability with 50 resamples {diagram:.2f} s CPU")
    peer = _peer()
    if peer is None:
        print("  scoringrules is not installed, so there is nothing to compare with")
        return
    normal: Any = found["normal"]
    loc, scale = normal.loc.numpy(), normal.scale.numpy()
    ratio = side_by_side(lambda: crps_of(normal, x), lambda: peer.crps_normal(y, loc, scale))
    print(f"  normal, against scoringrules: {ratio}")


def _peer() -> Any:
    """scoringrules without numba, for which it compiles for ten seconds."""
    held = sys.modules.get("numba")
    sys.modules["numba"] = None  # type: ignore[assignment]
    try:
        import scoringrules
    except ImportError:
        return None
    finally:
        if held is not None:
            sys.modules["numba"] = held
        else:
            del sys.modules["numba"]
    return scoringrules
