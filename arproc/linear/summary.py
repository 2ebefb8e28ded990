"""The table of a fitted autoregression, as statisticians lay it out."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from arproc.linear.ar import AR

__all__ = ["summary"]

_WIDTH = 78
_METHODS = {
    "mle": "exact maximum likelihood",
    "ols": "least squares given the first values",
    "yule-walker": "Yule-Walker",
}


def summary(model: AR) -> str:
    """See `AR.summary`."""
    model._recursion()  # says so where the model is not fitted
    name = f"AR({model.order})"
    if "covariance_" not in model.__dict__:
        return f"{name} with given parameters: coef {np.asarray(model.coef_).tolist()}"
    conditional = model.method == "mle" and model.initial != "stationary"
    method = _METHODS["ols" if conditional else model.method]
    initial = model.initial if isinstance(model.initial, str) else "a normal distribution"
    n, k = model.n_observations_, len(model.names_)
    criteria = {c: model.information_criterion(c) for c in ("aic", "bic", "hqic")}
    head = [
        ("Model", name, "Observations", f"{n}"),
        ("Trend", model.trend, "Log-likelihood", f"{model.log_likelihood_:.3f}"),
        ("Method", method, "AIC", f"{criteria['aic']:.3f}"),
        ("Start", initial, "BIC", f"{criteria['bic']:.3f}"),
        ("Parameters", f"{k}", "HQIC", f"{criteria['hqic']:.3f}"),
    ]
    lines = ["Autoregression".center(_WIDTH).rstrip(), "=" * _WIDTH]
    lines += [f"{a + ':':<12}{b:<37} {c + ':':<16}{d:>12}" for a, b, c, d in head]
    lines += ["=" * _WIDTH, _row("", "coef", "std err", "z", "P>|z|", "[0.025", "0.975]")]
    lines += ["-" * _WIDTH, *_parameters(model), "=" * _WIDTH]
    return "\n".join(lines)


def _parameters(model: AR) -> list[str]:
    known = {
        "mean": model.mean_, "slope": model.slope_, "intercept": model.intercept_,
        "drift": model.drift_, "sigma2": model.sigma2_,
    }  # fmt: skip
    known |= {f"ar.L{i}": c for i, c in enumerate(model.coef_, start=1)}
    errors = np.sqrt(np.diag(model.covariance_))
    rows = []
    for name, error in zip(model.names_, errors, strict=True):
        value = float(known[name])
        z = value / error if error > 0 else math.nan
        p = math.erfc(abs(z) / math.sqrt(2))
        low, high = value - 1.959963984540054 * error, value + 1.959963984540054 * error
        cells = (_number(value), _number(error), f"{z:.3f}", f"{p:.3f}")
        rows.append(_row(name, *cells, _number(low), _number(high)))
    return rows


def _number(value: float) -> str:
    return f"{value:.4f}" if 1e-3 <= abs(value) < 1e5 or value == 0 else f"{value:.3e}"


def _row(name: str, *cells: str) -> str:
    return f"{name:<12}" + "".join(f"{cell:>11}" for cell in cells)
