"""Are the residuals of a fitted model the independent normal noise that it says they are?

Residuals are those of the model, divided by their standard deviations; of a model that has none,
the normal quantiles of its PIT values (Dunn and Smyth 1996), which under the true model are
independent and standard normal whatever the family. The innovations of what was observed are
independent too, so elements that are missing leave no gap among them.
"""

from __future__ import annotations

import re
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from arproc.errors import DataError, MissingDependencyError, UnsupportedError, check_integer
from arproc.evaluation.calibration import pit
from arproc.process.process import Process, require_process

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["diagnose", "standardised_residuals"]

#: How the parameters are named that whiten residuals; a lag of several regimes counts once.
_LAGGED = re.compile(r"\b(ar|ma)\.(S\.)?L\d+")


def diagnose(
    model: Process,
    data: Any,
    *,
    lags: int | None = None,
    dof: int | None = None,
    context: Any = None,
    offset: Any = None,
) -> pd.DataFrame:
    """Ljung-Box, Jarque-Bera and ARCH-LM tests of the standardised residuals, by statsmodels.

    Small p-values speak against the model: Ljung-Box's against the residuals being uncorrelated,
    Jarque-Bera's against their being normal, ARCH-LM's against a variance that is constant.

    Args:
        model: a fitted process of real scalars.
        data: one sequence, or several, in any form the model takes.
        lags: of Ljung-Box; by default 10 (a fifth of the residuals, if that is less), and as many
            more as `dof`. ARCH-LM has `dof` less, so both have the same degrees of freedom.
        dof: how many estimated parameters lower the degrees of freedom; by default the number of
            autoregressive and moving-average coefficients of the model.
        context: as for `log_prob`.
        offset: as for `log_prob`.

    Returns:
        A row for each test (under its series, for several) with statistic, df and p_value.

    Raises:
        MissingDependencyError: statsmodels is not installed.

    Example:
        >>> import arproc
        >>> x = np.cos(np.arange(80.0) ** 2)
        >>> table = diagnose(arproc.AR(2).fit(x), x)
        >>> table.index.tolist()
        ['Ljung-Box', 'Jarque-Bera', 'ARCH-LM']
    """
    import pandas as pd

    residuals, keys = standardised_residuals(model, data, context, offset)
    if dof is None:
        names = getattr(model, "names_", [])
        dof = len({found.group() for name in names if (found := _LAGGED.search(name))})
    dof = check_integer("dof", dof, minimum=0)
    tables = [_tests(z, lags, dof) for z in residuals]
    return tables[0] if keys is None else pd.concat(tables, keys=keys, names=["series", "test"])


def standardised_residuals(
    model: Process, data: Any, context: Any = None, offset: Any = None
) -> tuple[list[np.ndarray], list[Any] | None]:
    """Residuals over their standard deviations, what is missing left out, of each series.

    Returns:
        Arrays [T], and the series' names; None instead of names for a single series.
    """
    process = require_process(model, "diagnose")
    space = process.space
    if space.measure != "density" or space.event_shape:
        raise UnsupportedError(
            f"diagnose is for real scalars; this process has {space.describe()} elements. "
            "arproc.evaluation.pit and uniformity serve any."
        )
    sequences = process.sequences(data, missing=process.law_.takes_missing)
    named = {"context": context, "offset": offset}
    given = {name: value for name, value in named.items() if value is not None}
    own: Any = getattr(process, "residuals", None)
    if own is not None:
        found = own(sequences, standardised=True, **given)
    else:
        u = pit(process, sequences, **given)
        smallest = np.finfo(float).tiny
        found = [_normal(np.asarray(part), smallest) for part in _parts(u, sequences.form.single)]
        found = found[0] if sequences.form.single else found
    parts = [np.asarray(part, dtype=float) for part in _parts(found, sequences.form.single)]
    kept = [part[np.isfinite(part)] for part in parts]
    if sequences.form.single:
        return kept, None
    from arproc.forecasting.tables import series_names

    return kept, series_names(sequences)


def _parts(values: Any, single: bool) -> list[Any]:
    if single:
        return [values.detach().cpu() if isinstance(values, torch.Tensor) else values]
    if hasattr(values, "columns"):
        return [values[name] for name in values.columns]
    return [part.detach().cpu() if isinstance(part, torch.Tensor) else part for part in values]


def _normal(u: np.ndarray, smallest: float) -> np.ndarray:
    from scipy.special import ndtri

    return ndtri(np.clip(u, smallest, 1 - 2.0**-53))


def _tests(z: np.ndarray, lags: int | None, dof: int) -> pd.DataFrame:
    import pandas as pd

    try:
        from statsmodels.stats.diagnostic import acorr_ljungbox, het_arch
        from statsmodels.stats.stattools import jarque_bera
    except ImportError:
        raise MissingDependencyError(
            'diagnose needs statsmodels, which is not installed: pip install "arproc[data]"'
        ) from None
    n = len(z)
    lags = min(10, n // 5) + dof if lags is None else check_integer("lags", lags, minimum=1)
    if lags <= dof:
        lags = check_integer("lags", lags, minimum=dof + 1)
    if n < 2 * lags + 2 or not z.std() > 0:
        raise DataError(
            f"data has {n} residual(s) that are observed; tests with {lags} lags need at least "
            f"{2 * lags + 2}, not all equal. Use fewer lags or more data."
        )
    box = acorr_ljungbox(z, lags=[lags], model_df=dof)
    normal = jarque_bera(z)
    with warnings.catch_warnings():  # its result is about to become a tuple with names
        warnings.simplefilter("ignore", FutureWarning)
        arch = het_arch(z, nlags=lags - dof, ddof=dof)
    rows = {
        "Ljung-Box": (float(box["lb_stat"].iloc[0]), lags - dof, float(box["lb_pvalue"].iloc[0])),
        "Jarque-Bera": (float(normal[0]), 2, float(normal[1])),
        "ARCH-LM": (float(arch[0]), lags - dof, float(arch[1])),
    }
    columns = ["statistic", "df", "p_value"]
    table = pd.DataFrame.from_dict(rows, orient="index", columns=columns)
    return table.rename_axis("test")
