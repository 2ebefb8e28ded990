"""Estimated: what statisticians ask of every model whose parameters were estimated.

A model whose `_fit` gives these in its `Fit` (as `arproc.inference.maximum` does of itself), and
that derives from `Estimated` beside `Process`, has standard errors, information criteria and a
`summary()`, laid out alike in every family.
"""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from arproc.contract.law import Law
from arproc.errors import ParameterError, UnsupportedError, check_array, check_choice, warn
from arproc.inference.criteria import information_criterion
from arproc.inference.hypothesis import HypothesisTest, robust_covariance, wald
from arproc.process import Fit, Model
from arproc.process.fit import Learnt

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Estimated", "likelihood_ratio_test"]

_WIDTH = 78
_QUANTILE = 1.959963984540054  # of the standard normal distribution at 0.975


class Estimated(Model):
    """A law whose parameters were estimated, with their covariance.

    Attributes:
        names_: the estimated parameters' names [k].
        estimates_: their values, in the data's own unit [k].
        covariance_: the covariance of the estimates [k, k]; nan where it is not known.
        log_likelihood_: `log_prob` of the data of `fit`, nats.
        n_observations_: of how many elements that is.
        converged_: whether the search for the estimates stopped by itself, where there was one.
    """

    names_: list[str]
    estimates_: np.ndarray
    covariance_: np.ndarray
    log_likelihood_: float
    n_observations_: int
    converged_: bool

    def _read_and_learn(self, *given: Any) -> Learnt:
        held = super()._read_and_learn(*given)
        _warn_of_unknown(held.fit)
        return held

    @property
    def parameters_are_given(self) -> bool:
        return self.fit_.log_likelihood is None

    def information_criterion(self, name: str = "aic") -> float:
        """An information criterion of the fit: "aic", "aicc", "bic" or "hqic"; smaller is better.

        It charges for every estimated parameter, a variance included. Compare only fits with the
        same start to the same data.
        """
        fit = self.fit_
        if fit.log_likelihood is None or fit.n_observations is None:
            raise ParameterError("there is no criterion for parameters that were not estimated.")
        return information_criterion(
            name, fit.log_likelihood, self._n_parameters, fit.n_observations
        )

    @property
    def _n_parameters(self) -> float:
        """What an information criterion charges for; the effective number where one shrinks."""
        return len(self.names_)

    def parameter_table(self, covariance: Any = None) -> pd.DataFrame:
        """Estimates, standard errors, z, p-values and 95% intervals, a row for each parameter.

        Args:
            covariance: of the estimates, [k, k]; `covariance_` by default. See `covariance` for
                those that are robust.
        """
        import pandas as pd

        if self.fit_.covariance is None:
            raise ParameterError("there are no standard errors of parameters not estimated.")
        spread = self._checked(covariance)
        estimate, error = self.estimates_, np.sqrt(np.diag(spread))
        with np.errstate(divide="ignore", invalid="ignore"):
            z = np.where(error > 0, estimate / error, math.nan)
        columns = {
            "estimate": estimate,
            "std_error": error,
            "z": z,
            "p_value": [math.erfc(abs(v) / math.sqrt(2)) for v in z],
            "lower": estimate - _QUANTILE * error,
            "upper": estimate + _QUANTILE * error,
        }
        return pd.DataFrame(columns, index=pd.Index(self.names_, name="parameter"))

    def summary(self) -> str:
        """A table of the fit: estimates, standard errors, z, p-values and 95% intervals."""
        title, facts = self._described()
        if self.fit_.covariance is None:
            facts = facts or _parameters(self.law_)
            given = ", ".join(f"{name} {value}" for name, value in facts)
            return f"{title} with given parameters: {given}"
        criteria = {c: self.information_criterion(c) for c in ("aic", "bic", "hqic")}
        left = [("Model", title), *facts, ("Parameters", f"{len(self.names_)}")]
        right = [
            ("Observations", f"{self.n_observations_}"),
            ("Log-likelihood", f"{self.log_likelihood_:.3f}"),
            *((name.upper(), f"{value:.3f}") for name, value in criteria.items()),
        ]
        blank = ("", "")
        rows = max(len(left), len(right))
        left, right = left + [blank] * (rows - len(left)), right + [blank] * (rows - len(right))
        room = max(12, 1 + max(map(len, self.names_), default=0))  # for names of regressors, too
        width = _WIDTH - 12 + room
        lines = [title.center(width).rstrip(), "=" * width]
        lines += [_head(*a, *b) for a, b in zip(left, right, strict=True)]
        columns = _row(room, "", "coef", "std err", "z", "P>|z|", "[0.025", "0.975]")
        lines += ["=" * width, columns, "-" * width]
        for name, values in zip(self.names_, self.parameter_table().to_numpy(), strict=True):
            estimate, error, z, p, lower, upper = (float(value) for value in values)
            cells = (_number(estimate), _number(error), f"{z:.3f}", f"{p:.3f}")
            lines.append(_row(room, name, *cells, _number(lower), _number(upper)))
        return "\n".join([*lines, "=" * width])

    def covariance(
        self,
        kind: str = "hessian",
        data: Any = None,
        *,
        lags: int | None = None,
        context: Any = None,
    ) -> pd.DataFrame:
        """The covariance of the estimates, in the order of `names_`.

        Args:
            kind: "hessian", `covariance_` as it is; "opg", the inverse of the sum of the scores'
                outer products; "robust", White's sandwich of these, right where the variance is
                not constant (for least squares it is HC0); "hac", Newey and West's sandwich, right
                where the scores are correlated as well.
            data: what the model was fitted to, for all but the first.
            lags: how many lags of the scores "hac" counts; 4 (n / 100)^(2/9) by default.
            context: as in `fit`.
        """
        import pandas as pd

        if self.fit_.covariance is None:
            raise ParameterError("there is no covariance of parameters not estimated.")
        check_choice("kind", kind, ("hessian", "opg", "robust", "hac"))
        if kind == "hessian":
            found = self.covariance_
        else:
            found = robust_covariance(self, kind, data, lags, context)
        return pd.DataFrame(found, index=self.names_, columns=self.names_)

    def wald_test(self, restrictions: Any, *, covariance: Any = None) -> HypothesisTest:
        """Whether linear restrictions of the parameters hold: Wald's test.

        Args:
            restrictions: as in "ar.L2 = 0" or "ar.L1 + ar.L2 = 1, mean = 0", a list of such, or
                the matrices (R, r) of R theta = r, a column of R for each of `names_`.
            covariance: of the estimates, [k, k]; `covariance_` by default (see `covariance`).
        """
        if self.fit_.covariance is None:
            raise ParameterError("there is no test of parameters that were not estimated.")
        return wald(self.estimates_, self._checked(covariance), self.names_, restrictions)

    def _checked(self, covariance: Any) -> np.ndarray:
        """A covariance that the user gave, or `covariance_`, [k, k]."""
        if covariance is None:
            return self.covariance_
        spread = check_array("covariance", covariance)
        if spread.shape != (len(self.names_),) * 2:
            raise ParameterError(
                f"covariance has shape {spread.shape}; expected a row and a column for each of "
                f"{', '.join(self.names_)}."
            )
        return spread

    @property
    def _maximises_likelihood(self) -> bool:
        """Whether the estimates are those of the greatest likelihood."""
        return True

    def _moved(self, estimates: np.ndarray) -> Self:
        """The same model with other parameters, in the order of `names_`; scores come from it."""
        return type(self).of(self._law_at(estimates), self.fit_, **self.get_params(deep=False))

    def _law_at(self, estimates: Any) -> Law:
        """The law with parameters [k] in the order of `names_`; see `maximum_likelihood`."""
        raise UnsupportedError(
            f"{type(self).__name__} has no scores by its parameters, so its covariance is of "
            "kind 'hessian' only."
        )

    def _described(self) -> tuple[str, list[tuple[str, str]]]:
        """What `summary` says of the model: its name, as in "AR(2)", and facts (name, value)."""
        return type(self).__name__, []


def _warn_of_unknown(fit: Fit) -> None:
    """Say which parameters have no standard errors, and why."""
    if fit.covariance is None or fit.names is None:
        return
    gone = np.isnan(np.diag(fit.covariance))
    if not gone.any():
        return
    names = [name for name, lost in zip(fit.names, gone, strict=True) if lost]
    if gone.all():
        why = (
            "the likelihood has no curvature at its maximum, which lies on a bound of what is "
            "allowed (a unit root, say), or along which parameters can not be told apart: a "
            "lower order may do"
        )
    else:
        why = "these estimates lie on a bound of what is allowed, or move only with those that do"
    warn(
        f"the standard errors of {', '.join(names)} are not known (nan): {why}. Estimates, "
        "likelihood and forecasts are not touched.",
        UserWarning,
    )


def _parameters(law: Law) -> list[tuple[str, str]]:
    """The numbers that a law holds, as facts of a summary."""
    fields: Any = dataclasses.fields(law) if dataclasses.is_dataclass(law) else ()
    held: list[tuple[str, Any]] = [(field.name, getattr(law, field.name)) for field in fields]
    numbers = (int, float, np.ndarray)
    return [(k, f"{np.asarray(v).tolist()}") for k, v in held if isinstance(v, numbers)]


def likelihood_ratio_test(restricted: Estimated, full: Estimated) -> HypothesisTest:
    """Whether a model that is a special case of another is enough: twice the log likelihood ratio.

    Args:
        restricted: the special case, fitted by maximum likelihood.
        full: the model it is a case of, fitted by maximum likelihood to the same data from the
            same start.

    Raises:
        ParameterError: the two can not be compared.

    Example:
        >>> import arproc
        >>> x = np.cos(np.arange(80.0) ** 2)
        >>> found = likelihood_ratio_test(arproc.AR(1).fit(x), arproc.AR(3).fit(x))
        >>> found.df, bool(0 < found.p_value < 1)
        (2, True)
    """
    from scipy.special import chdtrc

    for name, model in (("restricted", restricted), ("full", full)):
        _require_likelihood(name, model)
    regimes = [getattr(model.law_, "n_regimes", 1) for model in (restricted, full)]
    if regimes[0] != regimes[1]:
        raise ParameterError(
            "restricted and full have different numbers of regimes. With fewer of them some "
            "parameters of full mean nothing, so the statistic is not chi-squared (Davies 1987); "
            "compare information criteria or scores of other data."
        )
    starts = [model.law_.n_given for model in (restricted, full)]
    counts = [model.n_observations_ for model in (restricted, full)]
    if starts[0] != starts[1] or counts[0] != counts[1]:
        raise ParameterError(
            f"restricted has the likelihood of {counts[0]} elements after {starts[0]} given, full "
            f"of {counts[1]} after {starts[1]}; expected the same data from the same start. Fit "
            "both with initial='stationary', or leave as many first values out of the data that "
            "they have the same ones given."
        )
    df = len(full.names_) - len(restricted.names_)
    ratio = 2 * (full.log_likelihood_ - restricted.log_likelihood_)
    if df < 1 or ratio < -1e-6 * (1 + abs(full.log_likelihood_)):
        raise ParameterError(
            f"full has {len(full.names_)} parameters and a log-likelihood of "
            f"{full.log_likelihood_:.6g}, restricted {len(restricted.names_)} and "
            f"{restricted.log_likelihood_:.6g}; expected a model with more parameters that "
            "contains the restricted one, and so is at least as likely."
        )
    ratio = max(ratio, 0.0)
    return HypothesisTest(ratio, df, float(chdtrc(df, ratio)))


def _require_likelihood(name: str, model: Any) -> None:
    if getattr(model, "log_likelihood_", None) is None:
        raise ParameterError(f"{name} must be a model whose parameters were estimated by fit.")
    if not model._maximises_likelihood:
        raise ParameterError(
            f"{name} was not fitted by maximum likelihood (method "
            f"{getattr(model, 'method', '?')!r}), so its likelihood says nothing about "
            "restrictions. Use wald_test, or method='mle'."
        )


def _head(name: str, value: str, other: str, number: str) -> str:
    label, second = (f"{part}:" if part else "" for part in (name, other))
    return f"{label:<12}{value:<37} {second:<16}{number:>12}".rstrip()


def _number(value: float) -> str:
    return f"{value:.4f}" if 1e-3 <= abs(value) < 1e5 or value == 0 else f"{value:.3e}"


def _row(room: int, name: str, *cells: str) -> str:
    return f"{name:<{room}}" + "".join(f"{cell:>11}" for cell in cells)
