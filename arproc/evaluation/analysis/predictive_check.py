"""Predictive checks: any statistic of the data against its distribution under the model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from arproc.contract.randomness import resolve_seed
from arproc.errors import (
    DataError,
    ParameterError,
    UnsupportedError,
    check_count,
    check_names,
    check_number,
)
from arproc.evaluation.analysis.replicates import as_drawn, replicates
from arproc.evaluation.analysis.statistics import STATISTICS, usual_for
from arproc.evaluation.several import holm
from arproc.process import Model
from arproc.process.model import require_fitted

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["PredictiveCheck", "predictive_check"]

Statistic = Callable[[Any], float]


@dataclass(frozen=True)
class PredictiveCheck:
    """What `predictive_check` found.

    Attributes:
        table: a row for each statistic: `observed`, in the data; the `mean` of the draws, and
            `low` to `high`, the central interval that holds `level` of them; `p_value`, how often
            the model gives something at least as far out on the same side, doubled; `p_holm`, the
            same allowing for the number of statistics.
        draws: the statistics of each data set that was drawn, a column for each.
        level: of the intervals.
    """

    table: pd.DataFrame
    draws: pd.DataFrame = field(repr=False)
    level: float


def predictive_check(
    model: Model,
    data: Any,
    statistics: Any = None,
    *,
    n_draws: int = 500,
    level: float = 0.9,
    context: Any = None,
    offset: Any = None,
    seed: int | torch.Generator | None = 0,
) -> PredictiveCheck:
    """Does the model give data like these, in whatever respect matters to you?

    Data sets of the shape of the data are drawn from the model, and a statistic of each is
    compared with that of the data (Box 1980; Rubin 1984; Gelman, Meng and Stern 1996). The
    draws allow for the uncertainty of parameters where the law does (`BayesianAR`); the p-values
    are those of a fixed law elsewhere. Where the model was fitted to these very data they are too
    large, so a small one says more than a large one; use data that were held out for a test.

    Args:
        model: a fitted model.
        data: sequences in any form the model takes.
        statistics: a function of a data set, which comes as `sample` gives it (an array [T] of
            one series, [N, T] or a list of arrays of several, text, a DataFrame of a table's rows)
            to one number; a name ("mean", "std", "skewness", "kurtosis", "min", "max", "zeros",
            "acf1", "acf1_squared", "steps", of numbers; "distinct", "repeats", "length", of any);
            a list of names; or a dict of functions and names. By default the usual ones.
        n_draws: how many data sets are drawn.
        level: of the intervals.
        context: what the sequences are conditioned on, for models that take it.
        offset: at which step they begin, as for `log_prob`.
        seed: of the draws.

    Returns:
        The table of statistics, and their draws.

    Example:
        >>> import arproc
        >>> x = np.random.default_rng(0).standard_t(3, size=300)
        >>> model = arproc.AR(1).fit(x)          # normal, which these data are not
        >>> found = predictive_check(model, x, ["mean", "kurtosis"])
        >>> (found.table["p_holm"] < 0.05).tolist()
        [False, True]
    """
    import pandas as pd

    require_fitted(model)
    n_draws = check_count("n_draws", n_draws, minimum=19)
    level = check_number("level", level, above=0, below=1)
    sequences = model.sequences(data, missing=model.law_.takes_missing)
    prepared = model.read_context(context, sequences, int(sequences.n_terms.max()), offset)
    asked = _asked(statistics, model)
    own = as_drawn(model, sequences)
    observed = {name: _value(name, function, own) for name, function in asked.items()}
    sets = replicates(model, sequences, prepared, n_draws, resolve_seed(seed))
    rows = [{name: _value(name, function, x) for name, function in asked.items()} for x in sets]
    draws = pd.DataFrame(rows, columns=list(asked))
    return PredictiveCheck(_table(observed, draws, level), draws, level)


def _asked(statistics: Any, model: Model) -> dict[str, Statistic]:
    """What the user asks for, by name."""
    if statistics is None:
        statistics = usual_for(model.space)
        if not statistics:
            raise UnsupportedError(
                f"{model.space.describe()} elements have no usual statistics; give statistics=, a "
                "dict of functions by name."
            )
    if callable(statistics):
        statistics = {getattr(statistics, "__name__", "statistic"): statistics}
    if isinstance(statistics, str):
        statistics = [statistics]
    if isinstance(statistics, Sequence):
        names = [str(getattr(one, "__name__", one)) for one in statistics]
        if len(set(names)) < len(names):
            raise ParameterError(
                f"statistics has two of one name; got {names}. Give a dict of them by name."
            )
        statistics = dict(zip(names, statistics, strict=True))
    if not isinstance(statistics, Mapping) or not statistics:
        raise ParameterError(
            "statistics must be a function, a name, a list of these, or a dict of them by name; "
            f"got {statistics!r}."
        )
    found = {}
    for name, one in check_names("statistics", statistics).items():
        function = STATISTICS.get(one) if isinstance(one, str) else one
        if not callable(function):
            raise ParameterError(
                f"statistics must be functions, or names among {', '.join(STATISTICS)}; got "
                f"{one!r}."
            )
        found[name] = function
    return found


def _value(name: str, function: Statistic, data: Any) -> float:
    found = function(data)
    try:
        return float(found)
    except (TypeError, ValueError):
        raise DataError(
            f"the statistic {name!r} gave {type(found).__name__}; expected one number for a data "
            "set."
        ) from None


def _table(observed: dict[str, float], draws: pd.DataFrame, level: float) -> pd.DataFrame:
    import pandas as pd

    rows = []
    for name, value in observed.items():
        x = draws[name].to_numpy(dtype=float)
        sound = np.isfinite(x).all() and np.isfinite(value)
        tail = 1 + min((x >= value).sum(), (x <= value).sum())
        low, high = np.quantile(x, [(1 - level) / 2, (1 + level) / 2])
        p = min(1.0, 2 * tail / (len(x) + 1)) if sound else np.nan
        rows.append((value, float(x.mean()), float(low), float(high), p))
    columns = ["observed", "mean", "low", "high", "p_value"]
    table = pd.DataFrame(rows, index=pd.Index(list(observed), name="statistic"), columns=columns)
    known = table["p_value"].notna().to_numpy()
    adjusted = np.full(len(table), np.nan)
    if known.any():
        adjusted[known] = holm(table["p_value"].to_numpy()[known])
    return table.assign(p_holm=adjusted)
