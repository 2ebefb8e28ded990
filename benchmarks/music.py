"""Polyphonic music, nats a frame: `python -m benchmarks music [JSB_Chorales] [Nottingham]`.

`PianoRoll`, trained on pieces that are moved by up to six keys each time. How long it is trained,
and its dropout, were chosen on the validation part; the test part is scored once, all frames
pooled.
The published rows are of Boulanger-Lewandowski, Bengio and Vincent 2012, on the same frames.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import arproc
from arproc.training import Transpose
from benchmarks.timing import REDUCED

DATA = Path(os.environ.get("ARPROC_DATA", Path(__file__).parents[2] / "shared" / "data"))
PUBLISHED = {
    "JSB_Chorales": {"RNN": 8.71, "RNN-RBM": 6.27, "RNN-NADE": 5.56},
    "Nottingham": {"RNN": 4.46, "RNN-RBM": 2.39, "RNN-NADE": 2.31},
}
RECIPES = {
    "JSB_Chorales": {"order": 8, "dropout": 0.4},
    "Nottingham": {"order": 12, "dropout": 0.2},
}


def pieces(name: str, part: str) -> list[np.ndarray]:
    """The pieces [T, 88] of the part "train", "valid" or "test"."""
    with np.load(DATA / f"{name}.npz") as stored:
        ends = np.cumsum(stored[f"{part}_lengths"])[:-1]
        return np.split(stored[part], ends)


def model_of(name: str) -> arproc.PianoRoll:
    """The recipe."""
    steps, batch = (2, 2) if REDUCED else (800, 16)
    training = arproc.Training(
        steps=steps, batch_size=batch, lr=0.004, ema=0.99, weight_decay=0.1, augment=Transpose(6)
    )
    return arproc.PianoRoll(training=training, **RECIPES[name])  # type: ignore[arg-type]


def nats_a_frame(model: arproc.PianoRoll, data: Sequence[np.ndarray]) -> float:
    """Of all frames together."""
    return -float(np.sum(model.log_prob(list(data)))) / sum(map(len, data))


def main(arguments: Sequence[str] = ()) -> None:
    """Print a row for each data set."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks music", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(RECIPES)}")
    names = parser.parse_args(arguments).names or list(RECIPES)
    for name in names:
        if name not in RECIPES:
            parser.error(f"there is no recipe {name!r}; there are {', '.join(RECIPES)}")
        if not (DATA / f"{name}.npz").exists():
            print(f"no {name}.npz in {DATA} (ARPROC_DATA names another folder)")
            continue
        most = 4 if REDUCED else None
        train, valid, test = (pieces(name, part)[:most] for part in ("train", "valid", "test"))
        begin = time.process_time()
        model = model_of(name).fit(train)
        seconds = time.process_time() - begin
        found = f"valid {nats_a_frame(model, valid):.3f}, test {nats_a_frame(model, test):.3f}"
        others = ", ".join(f"{k} {v:.2f}" for k, v in PUBLISHED[name].items())
        print(f"{name}: {found} nats a frame, {seconds:.0f} s of one core; published: {others}")
