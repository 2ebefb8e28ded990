"""A table of mixed columns that several tests look at, and a model of it."""

import numpy as np
import pandas as pd
from helpers import shake

from arproc import MADE, Training

QUICK = Training(steps=3, batch_size=16)


def people(n: int = 80, gaps: float = 0.2, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "height": rng.normal(170, 10, n),
            "visits": rng.poisson(3, n),
            "city": rng.choice(["Oslo", "Rome", "Kyiv"], n).astype(object),
            "smokes": rng.random(n) < 0.3,
        },
        index=pd.RangeIndex(100, 100 + n),
    )
    frame["grade"] = pd.Categorical(rng.choice([*"ab"], n), categories=[*"cab"], ordered=True)
    for name in ("height", "city"):
        frame.loc[rng.random(n) < gaps, name] = None
    return frame


KINDS = {"visits": "count"}


def model_of(frame: pd.DataFrame, hidden: tuple[int, ...] = (9,), **parameters) -> MADE:
    settings = {"columns": KINDS, "components": 2, "training": QUICK} | parameters
    return shake(MADE(hidden, **settings).fit(frame))
