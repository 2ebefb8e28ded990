"""Whether one model's forecasts are better than another's: Diebold-Mariano, Holm, a comparison."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from arproc.errors import DataError, ParameterError, check_array, check_count, check_number
from arproc.evaluation.backtests.losses import per_origin
from arproc.evaluation.several import holm

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["DieboldMariano", "compare_backtests", "diebold_mariano", "overlap"]


@dataclass(frozen=True)
class DieboldMariano:
    """What the test found.

    Attributes:
        difference: the mean loss of the first less that of the second: above 0, the second is
            better.
        se: its standard error, the small-sample correction included.
        statistic: difference / se, a Student t with n - 1 degrees of freedom if both are as good.
        p_value: two-sided.
        n: how many origins.
        overlap: how many successive origins' forecasts share steps, h.
        kernel: "rectangular", as Diebold and Mariano have it, or "bartlett" where that gave no
            positive variance.
    """

    difference: float
    se: float
    statistic: float
    p_value: float
    n: int
    overlap: int
    kernel: str


def diebold_mariano(differences: Any, overlap: int = 1) -> DieboldMariano:
    """Test whether two series of losses have the same mean.

    The long-run variance of the mean difference d is (g_0 + 2 sum_(k<h) g_k) / n, g_k its
    autocovariances with divisor n, for errors of h-step forecasts depend over h - 1 steps (Diebold
    and Mariano 1995). It is corrected by (n + 1 - 2 h + h (h - 1) / n) / n and referred to a
    Student t with n - 1 degrees of freedom (Harvey, Leybourne and Newbold 1997, eqs. 8 and 9).
    Where the sum is not positive, Bartlett weights 1 - k / h, which keep it so, take its place;
    `kernel` says that.

    Args:
        differences: the first one's loss less the second's, in the order of the origins, [n].
        overlap: h, in origins: the horizon where there is an origin at every step.

    Raises:
        DataError: there are too few of them for this overlap, or they are not finite.

    Example:
        >>> diebold_mariano([1.0, 2.0, 1.0, 3.0]).statistic
        3.656
    """
    d = check_array("differences", differences, DataError)
    h = check_count("overlap", overlap, minimum=1)
    n = len(d) if d.ndim == 1 else 0
    correction = 0.0 if not n else (n + 1 - 2 * h + h * (h - 1) / n) / n
    if n < 2 or h >= n or correction <= 0:
        raise DataError(
            f"differences has shape {d.shape}; expected [n] with n of 2 or more, and well above "
            f"the {h} successive origins whose forecasts overlap. Use more origins."
        )
    if not np.isfinite(d).all():
        raise DataError("differences has values that are not finite; a loss is infinite where a "
                        "model holds what came impossible. Use another loss.")  # fmt: skip
    mean, kernel = float(d.mean()), "rectangular"
    centred = d - mean
    autocovariances = np.array([centred[k:] @ centred[: n - k] / n for k in range(h)])
    variance = autocovariances[0] + 2 * autocovariances[1:].sum()
    tiny = 1e-24 * float((d**2).mean())  # what rounding leaves of equal differences
    if variance <= tiny:
        kernel = "bartlett"
        weights = 1 - np.arange(h) / h
        variance = weights @ (autocovariances * np.where(np.arange(h) == 0, 1, 2))
    se = math.sqrt(max(float(variance), 0.0) / n / correction)
    if variance <= tiny:
        same = mean == 0
        statistic = 0.0 if same else math.copysign(math.inf, mean)
        return DieboldMariano(mean, 0.0, statistic, float(same), n, h, kernel)
    from scipy.special import stdtr

    statistic = mean / se
    p_value = float(2 * stdtr(n - 1, -abs(statistic)))
    return DieboldMariano(mean, se, statistic, p_value, n, h, kernel)


def overlap(tables: Mapping[Any, pd.DataFrame], step: int | None) -> int:
    """How many successive origins' forecasts share steps: horizon / step between origins, up."""
    reach = max(int(table["step"].max()) for table in tables.values()) if step is None else step
    noted = [table.attrs.get("step") for table in tables.values()]
    between = {int(step) for step in noted if step is not None}
    if len(between) > 1:
        raise DataError(f"the backtests have unlike steps between origins: {sorted(between)}.")
    return -(-reach // between.pop()) if between else reach


def compare_backtests(
    tables: Mapping[str, pd.DataFrame],
    *,
    loss: str = "squared",
    step: int | None = None,
    reference: str | None = None,
    level: float = 0.05,
) -> pd.DataFrame:
    """Compare the forecasts of several models from the same origins.

    The loss of an origin is the mean over its series and steps; differences are tested over
    origins by `diebold_mariano`, and the p-values adjusted by `holm` for the number of models. A
    reference that was chosen because it is best here makes the tests too severe on the others;
    `model_confidence_set` chooses none.

    Args:
        tables: what `backtest` gives, by name, of the same data, origins and horizon.
        loss: "squared", "absolute", "crps" or "log" (the negative log score).
        step: compare this step of the horizon alone.
        reference: which the others are compared with; the first by default.
        level: for the verdict, of the adjusted p-values.

    Returns:
        A row for each model, best first: its mean loss; `difference`, this less the reference's
        (above 0 is worse), `se`, `statistic`, `p_value`, `p_holm`, and a `verdict`.

    Example:
        >>> import arproc
        >>> x = arproc.AR.from_parameters([0.9]).sample(1, length=300, seed=0)[0]
        >>> options = {"start": 100, "refit": "once"}
        >>> tables = {f"AR({p})": arproc.backtest(arproc.AR(p), x, **options) for p in (0, 1)}
        >>> compare_backtests(tables, reference="AR(0)")["verdict"].tolist()
        ['better', 'reference']
    """
    check_number("level", level, above=0, below=1)
    wide = per_origin(tables, loss, step)
    base = next(iter(tables)) if reference is None else reference
    if not any(base is name or (isinstance(base, str) and base == name) for name in tables):
        raise ParameterError(f"reference must be one of {list(tables)}; got {reference!r}.")
    h = overlap(tables, step)
    tests = {
        name: diebold_mariano(wide[name] - wide[base], h) for name in wide.columns if name != base
    }
    return _table(wide, tests, base, loss, level, h)


def _table(
    wide: pd.DataFrame,
    tests: dict[Any, DieboldMariano],
    base: Any,
    loss: str,
    level: float,
    h: int,
) -> pd.DataFrame:
    import pandas as pd

    adjusted = dict(zip(tests, holm([one.p_value for one in tests.values()]), strict=True))
    means = wide.mean().sort_values(kind="stable")
    rows: list[dict[str, Any]] = []
    for name in means.index:
        row = {f"{loss}_loss": float(means[name]), "difference": 0.0, "se": 0.0}
        if name == base:
            blank = {"statistic": np.nan, "p_value": np.nan, "p_holm": np.nan}
            rows.append(row | blank | {"verdict": "reference"})
            continue
        one, p = tests[name], float(adjusted[name])
        found = {"difference": one.difference, "se": one.se, "statistic": one.statistic}
        verdict = _verdict(one.difference, p, level)
        rows.append(row | found | {"p_value": one.p_value, "p_holm": p, "verdict": verdict})
    table = pd.DataFrame(rows, index=pd.Index(list(means.index), name="model"))
    kernels: Sequence[str] = sorted({one.kernel for one in tests.values()})
    table.attrs = {"n_origins": len(wide), "overlap": h, "level": level, "kernels": kernels}
    return table


def _verdict(difference: float, p: float, level: float) -> str:
    if p >= level:
        return "no clear difference"
    return "worse" if difference > 0 else "better"
