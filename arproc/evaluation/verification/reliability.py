"""Whether what is said to be probable happens as often as said: CORP reliability diagrams.

The recalibrated probabilities are the isotonic regression of outcomes on forecasts (by pooling
adjacent violators), so there are no bins to choose, and the Brier score is miscalibration -
discrimination + uncertainty, none of them negative (Dimitriadis, Gneiting and Jordan 2021, "Stable
reliability diagrams for probabilistic classifiers").
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from arproc.data.labels import require_same_labels
from arproc.distributions import as_categorical, cdf, to
from arproc.errors import (
    DataError,
    ParameterError,
    UnsupportedError,
    check_array,
    check_count,
    check_number,
)
from arproc.evaluation.terms import read_terms
from arproc.evaluation.walk import Block, per_term, stand_in
from arproc.process import Process
from arproc.spaces import Binary, Categorical

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Reliability", "event_forecasts", "reliability"]

#: Bands and the test look at no more than so many groups of like forecasts.
_MOST_GROUPS = 500


@dataclass(frozen=True)
class Reliability:
    """A reliability diagram, and what the Brier score is made of.

    `brier == miscalibration - discrimination + uncertainty`.

    Attributes:
        table: the diagram from the lowest forecast to the highest, with the columns `probability`
            (that was said), `rate` (how often it happened, recalibrated), `n` (forecasts that
            share this rate) and `low` to `high`, between which the rate would lie if the
            forecasts were right. Rates go on linearly between rows.
        brier: the mean squared difference of probabilities and outcomes.
        miscalibration: what recalibrated forecasts would score better; 0 is best.
        discrimination: what these score better than the overall rate; higher is better.
        uncertainty: what the overall rate scores: of the data, not of the forecasts.
        p_value: how often forecasts that are right are as miscalibrated as these.
        ece: the expected calibration error, the mean distance of probabilities and rates over bins
            of about as many forecasts each; equal ones are in one.
        ece_if_calibrated: what it would be on average if the forecasts were right: never 0.
        n: how many forecasts.
    """

    table: pd.DataFrame = field(repr=False)
    brier: float
    miscalibration: float
    discrimination: float
    uncertainty: float
    p_value: float
    ece: float
    ece_if_calibrated: float
    n: int


def reliability(
    probabilities: Any,
    outcomes: Any,
    *,
    bins: int = 15,
    level: float = 0.9,
    n_resamples: int = 500,
    seed: int = 0,
) -> Reliability:
    """How probabilities of events compare with how often these came.

    Args:
        probabilities: that were said, [n]; NaN, with what came, is left out.
        outcomes: whether it happened, 0 or 1, [n]; NaN where nobody knows.
        bins: of the expected calibration error, which alone needs some.
        level: of the band between `low` and `high`, at each forecast.
        n_resamples: how many sets of outcomes are drawn from the forecasts, for the band and the
            test; outcomes are taken for independent given their forecasts.
        seed: of these.

    Returns:
        The diagram and its figures.

    Example:
        >>> found = reliability([0.2, 0.2, 0.6, 0.6], [0, 0, 1, 1])
        >>> found.table["rate"].tolist(), round(found.brier, 4), round(found.miscalibration, 4)
        ([0.0, 1.0], 0.1, 0.1)
    """
    bins = check_count("bins", bins, minimum=1)
    check_number("level", level, above=0, below=1)
    n_resamples = check_count("n_resamples", n_resamples, minimum=50)
    p, y = binary_pairs(probabilities, outcomes)
    order = np.argsort(p, kind="stable")
    p, y = p[order], y[order]
    values, first, n = np.unique(p, return_index=True, return_counts=True)
    rates = _isotonic(np.add.reduceat(y, first) / n, n)
    base = float(y.mean())
    fitted = np.repeat(rates, n)
    brier, best = float(((p - y) ** 2).mean()), float(((fitted - y) ** 2).mean())
    uncertainty = base * (1 - base)
    bands = _Resampled(p, y, bins)
    low, high, p_value, expected = bands.summary(values, level, n_resamples, seed)
    return Reliability(
        table=_diagram(values, rates, n, low, high),
        brier=brier,
        miscalibration=brier - best,
        discrimination=uncertainty - best,
        uncertainty=uncertainty,
        p_value=p_value,
        ece=float(bands.ece(y[None])[0]),
        ece_if_calibrated=expected,
        n=len(p),
    )


def binary_pairs(probabilities: Any, outcomes: Any) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities and outcomes that are both known, [n] each; `DataError` for what is none."""
    require_same_labels(probabilities=probabilities, outcomes=outcomes)
    p = check_array("probabilities", probabilities, DataError)
    y = check_array("outcomes", outcomes, DataError)
    if p.ndim != 1 or p.shape != y.shape:
        raise DataError(
            f"probabilities have shape {p.shape} and outcomes {y.shape}; expected one outcome for "
            "each probability, [n]."
        )
    known = ~(np.isnan(p) | np.isnan(y))
    p, y = p[known], y[known]
    if not len(p):
        raise DataError("probabilities has no forecast whose outcome is known; expected some.")
    if not ((p >= 0) & (p <= 1)).all():
        raise DataError("probabilities must lie in [0, 1]; some do not.")
    if not np.isin(y, (0, 1)).all():
        raise DataError("outcomes must be 0 (it did not happen) or 1 (it did); some are not.")
    return p, y


def _isotonic(rates: np.ndarray, weights: np.ndarray) -> np.ndarray:
    from scipy.optimize import isotonic_regression

    return np.asarray(isotonic_regression(rates, weights=weights.astype(float)).x)


def _diagram(
    values: np.ndarray, rates: np.ndarray, n: np.ndarray, low: np.ndarray, high: np.ndarray
) -> pd.DataFrame:
    """The first and the last forecast of each run of one rate."""
    import pandas as pd

    new = np.append(True, np.diff(rates) > 0)
    block = new.cumsum() - 1
    kept = new | np.append(new[1:], True)
    columns = {"probability": values, "rate": rates, "n": np.bincount(block, n)[block].astype(int),
               "low": low, "high": high}  # fmt: skip
    return pd.DataFrame({name: column[kept] for name, column in columns.items()})


class _Resampled:
    """Outcomes drawn from sorted forecasts, which are therefore calibrated.

    Args:
        p: the forecasts, sorted, [n].
        y: what came, [n].
        bins: of the expected calibration error.
    """

    def __init__(self, p: np.ndarray, y: np.ndarray, bins: int) -> None:
        self.p, self.y = p, y
        at = np.linspace(0, len(p), min(_MOST_GROUPS, len(p)) + 1).astype(int)[:-1]
        at = np.unique(np.searchsorted(p, p[at]))  # equal forecasts stay together
        self.first, self.sizes = at, np.diff(np.append(at, len(p)))
        self.said = np.add.reduceat(p, at) / self.sizes
        edges = np.linspace(0, len(p), min(bins, len(p)) + 1).astype(int)[:-1]
        self.edges = np.unique(np.searchsorted(p, p[edges]))

    def ece(self, y: np.ndarray) -> np.ndarray:
        """The expected calibration error of each set of outcomes [m, n]."""
        return np.abs(np.add.reduceat(y - self.p, self.edges, axis=1)).sum(1) / len(self.p)

    def _miscalibration(self, rates: np.ndarray) -> tuple[float, np.ndarray]:
        """Of group means, and the isotonic rates."""
        fitted = _isotonic(rates, self.sizes)
        squares = (self.said - rates) ** 2 - (fitted - rates) ** 2
        return float((squares * self.sizes).sum()) / len(self.p), fitted

    def summary(
        self, values: np.ndarray, level: float, count: int, seed: int
    ) -> tuple[np.ndarray, np.ndarray, float, float]:
        """The band at `values`, the p-value of calibration, and the mean calibration error."""
        rng = np.random.default_rng(seed)
        own = self._miscalibration(np.add.reduceat(self.y, self.first) / self.sizes)[0]
        drawn, errors, worse = np.empty((count, len(self.said))), np.empty(count), 1
        for i in range(count):
            y = (rng.random(len(self.p)) < self.p).astype(float)
            rates = np.add.reduceat(y, self.first) / self.sizes
            value, drawn[i] = self._miscalibration(rates)
            worse += value >= own - 1e-15
            errors[i] = self.ece(y[None])[0]
        tails = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2], axis=0)
        low, high = (np.interp(values, self.said, tail) for tail in tails)
        return low, high, worse / (count + 1), float(errors.mean())


def event_forecasts(
    model: Process,
    data: Any,
    *,
    above: float | None = None,
    symbol: Any = None,
    context: Any = None,
    offset: Any = None,
) -> pd.DataFrame:
    """The probability that a process gave to an event at each step, and whether it happened.

    Args:
        model: a fitted process of scalars.
        data: sequences in any form the model takes.
        above: the event that the element is above this number.
        symbol: the event that this symbol comes. Where neither is told and elements are symbols,
            it is that the likeliest symbol comes: the model's confidence.
        context: what the sequences are conditioned on, for models that take it.
        offset: at which step the sequences begin, as for `log_prob`.

    Returns:
        A row for each element that is not given: `series`, `step` (and `time`, where the data have
        an index), `probability` and `outcome` (NaN where the element is missing), which
        `reliability` and `brier_score` take.

    Example:
        >>> import arproc
        >>> model = arproc.AR(0, trend="n").fit([1.0, -1.0, 1.0, -1.0])    # standard normal
        >>> event_forecasts(model, [0.3, -2.0], above=0.0)[["probability", "outcome"]].values
        array([[0.5, 1. ],
               [0.5, 0. ]])
    """
    if above is not None and symbol is not None:
        raise ParameterError("above and symbol are two events; give one of them.")
    reading = read_terms(model, data, context, offset, "event_forecasts")
    process, sequences, prepared = reading
    found = per_term(process, sequences, prepared, _event(process, above, symbol)).numpy()
    return reading.frame({"probability": found[:, 0].clip(0, 1), "outcome": found[:, 1]})


def _event(process: Process, above: Any, symbol: Any) -> Any:
    """The function of a block that gives the probability of the event and whether it came."""
    space = process.space
    if space.event_shape or space.measure == "mixed":
        raise UnsupportedError(
            f"event_forecasts is for scalars; this process has {space.describe()} elements."
        )
    if above is not None:
        if isinstance(space, Categorical):
            raise ParameterError(
                f"above={above!r} is for numbers; this process has {space.describe()} elements. "
                "Give symbol=."
            )
        limit = check_number("above", above)
        return lambda block: _exceedance(block, limit)
    if not isinstance(space, (Categorical, Binary)):
        raise ParameterError(
            f"above must be a number, since this process has {space.describe()} elements, which "
            "are no symbols; got None."
        )
    wanted = None if symbol is None else _number_of(symbol, space)
    return lambda block: _of_symbol(block, wanted)


def _exceedance(block: Block, limit: float) -> torch.Tensor:
    x, gone = stand_in(block.x.double())
    conditionals = to(block.conditionals, dtype=torch.float64)
    came = (x > limit).double().masked_fill(gone, torch.nan)
    return torch.stack([1 - cdf(conditionals, torch.full_like(x, limit)), came], dim=-1)


def _of_symbol(block: Block, symbol: int | None) -> torch.Tensor:
    probs = torch.softmax(as_categorical(block.conditionals).scores.double(), dim=-1)
    if symbol is None:
        top, which = probs.max(-1)
        return torch.stack([top, (block.x == which).double()], dim=-1)
    return torch.stack([probs[..., symbol], (block.x == symbol).double()], dim=-1)


def _number_of(symbol: Any, space: Categorical | Binary) -> int:
    """The number of a symbol that the user names."""
    vocabulary = space.vocabulary if isinstance(space, Categorical) else None
    symbols: Any = range(space.size or 2) if vocabulary is None else vocabulary.symbols
    plain = int(symbol) if isinstance(symbol, (bool, np.integer)) else symbol
    if isinstance(plain, (str, int)) and plain in symbols:
        return int(symbols.index(plain))
    raise ParameterError(
        f"symbol must be one of the model's {len(symbols)} symbols; got {symbol!r}."
    )
