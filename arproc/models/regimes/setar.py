"""SETAR: an autoregression whose parameters depend on where the series stood some steps ago."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Annotated, Any, Literal, NamedTuple, Self

import numpy as np
import torch

from arproc.contract.checked import Array, Number
from arproc.contract.sequences import Sequences
from arproc.errors import (
    ParameterError,
    check_array,
    check_choice,
    check_integer,
    check_number,
    check_numbers,
)
from arproc.inference.estimated import Estimated
from arproc.models.regimes.setar_fit import ThresholdSearch, bootstrap
from arproc.models.regimes.setar_law import SETARLaw
from arproc.models.regimes.threshold_fit import critical_value
from arproc.process import Fit, Process
from arproc.spaces import Real, Space

__all__ = ["LinearityTest", "SETAR"]

_TRENDS = {"n": 0, "c": 1, "ct": 2}


class LinearityTest(NamedTuple):
    """What `SETAR.linearity_test` found.

    Attributes:
        statistic: n (S_1 - S_k) / S_k, the sums of squares of one regime and of k.
        p_value: the share of bootstrap samples with a statistic as large, this one included.
        n_bootstrap: how many samples there were.
    """

    statistic: float
    p_value: float
    n_bootstrap: int


class SETAR(Estimated, Process):
    r"""Self-exciting threshold autoregression (Tong and Lim 1980).

    With thresholds :math:`\gamma_1 < \dots < \gamma_{k-1}` and the delay d, the regime of
    :math:`x_t` is r where :math:`\gamma_r < x_{t-d} \le \gamma_{r+1}`, and

    .. math::
        x_t = \text{intercept}_r + \text{drift}_r t + \sum_{i=1}^{p_r} \phi_{i, r} x_{t-i}
        + \epsilon_t, \quad \epsilon_t \sim N(0, \sigma^2_r).

    There is no stationary start in closed form: the first `max(order, delay)` values of a sequence
    are given.

    Args:
        order: how many past elements the next one depends on; one for all regimes, or one each.
        regimes: how many regimes.
        delay: which past element decides (1 is the last); None to choose the delay from 1 to the
            largest order by least squares.
        threshold: the threshold (a list of them for more than two regimes); None to search them.
        trend: "n" (none), "c" (an intercept in each regime) or "ct" (and a drift; t is counted
            from 0).
        trim: the share of the elements that each regime must keep in the search.

    Attributes:
        threshold_: the thresholds, ascending, [k - 1].
        delay_: the delay.
        coef_: coefficients, lag 1 first, [k, p]; zero beyond a regime's own order.
        intercept_: the recursions' constants, [k].
        drift_: their coefficients of t, [k].
        sigma2_: their innovation variances (sums of squares over numbers), [k].
        counts_: how many elements of the data of `fit` are in each regime, [k].
        log_likelihood_: `log_prob` of the data of `fit`, nats.
        covariance_: of the estimates given thresholds and delay, which are estimated at a faster
            rate (Chan 1993).

    Example:
        >>> noise = np.random.default_rng(0).normal(size=400)
        >>> x = np.zeros(400)
        >>> for t in range(1, 400):
        ...     x[t] = (2 + 0.5 * x[t - 1] if x[t - 1] <= 1 else -1 + 0.2 * x[t - 1]) + noise[t]
        >>> model = SETAR(order=1).fit(x)
        >>> model.threshold_.round(1).tolist(), model.coef_[:, 0].round(1).tolist()
        ([1.0], [0.6, 0.2])
    """

    law_: SETARLaw
    threshold_: np.ndarray
    delay_: int
    coef_: np.ndarray
    intercept_: np.ndarray
    drift_: np.ndarray
    sigma2_: np.ndarray
    counts_: Annotated[np.ndarray, Array("law.n_regimes", kind="whole", low=0)]
    profiles_: list[np.ndarray]
    _n_searched_: Annotated[int, Number(low=0)]
    _order_: int | list[int]
    _trend_: Literal["n", "c", "ct"]

    no_missing = (
        "SETAR takes none: a missing value may lie on either side of the threshold, so that "
        "what follows has no likelihood in closed form. "
        "Pass the pieces between the gaps as a list, or use AR, which is exact with them."
    )

    def __init__(
        self,
        order: int | Sequence[int],
        regimes: int = 2,
        delay: int | None = None,
        threshold: float | Sequence[float] | None = None,
        trend: str = "c",
        trim: float = 0.15,
    ) -> None:
        self.order = order
        self.regimes = regimes
        self.delay = delay
        self.threshold = threshold
        self.trend = trend
        self.trim = trim

    @classmethod
    def from_parameters(
        cls,
        coef: Any,
        threshold: Any,
        delay: int = 1,
        intercept: Any = 0.0,
        sigma2: Any = 1.0,
        drift: Any = 0.0,
    ) -> Self:
        """The process with known parameters, which needs no fit.

        Args:
            coef: coefficients, lag 1 first, [k, p].
            threshold: k - 1 thresholds, ascending (a number for one).
            delay: which past element decides.
            intercept: the recursions' constants, [k] or one for all.
            sigma2: innovation variances, [k] or one for all.
            drift: the recursions' coefficients of t, [k] or one for all.

        Example:
            >>> model = SETAR.from_parameters([[0.5], [-0.5]], threshold=0.0, intercept=[1.0, 0.0])
            >>> float(model.conditional([2.0]).mean)
            -1.0
        """
        weights = check_array("coef", coef)
        if weights.ndim != 2 or not len(weights) or not np.isfinite(weights).all():
            raise ParameterError(f"coef must be [k, p] finite numbers; got {coef!r}.")
        k, p = weights.shape
        given = {"intercept": intercept, "sigma2": sigma2, "drift": drift}
        parts = {name: check_numbers(name, value, regimes=k) for name, value in given.items()}
        if not (parts["sigma2"] > 0).all():
            raise ParameterError(f"sigma2 must be positive; got {sigma2!r}.")
        delay = check_integer("delay", delay, minimum=1)
        limits = _thresholds([] if threshold is None else threshold, k)
        trend = "ct" if parts["drift"].any() else "c"
        return cls.of(
            SETARLaw(limits, delay, weights, **parts),
            Fit(notes={"order": p, "trend": trend}),
            order=p,
            regimes=k,
            delay=delay,
            threshold=threshold,
            trend=trend,
        )

    # ---- fitting --------------------------------------------------------------------------------

    @property
    def _counts_from_zero(self) -> bool:
        return self.trend == "ct"

    def _infer_space(self, data: Any) -> Space:
        return Real()

    def _fit(
        self, sequences: Sequences, *, validation: Sequences | None, context: torch.Tensor | None
    ) -> tuple[SETARLaw, Fit]:
        search = self._search()
        law, fit = search.fit(*_training(sequences, search))
        order = list(self.order) if isinstance(self.order, Sequence) else search.orders[0]
        return law, replace(fit, notes={**fit.notes, "order": order, "trend": self.trend})

    def _search(self) -> ThresholdSearch:
        """What `fit` searches, everything checked."""
        k = check_integer("regimes", self.regimes, minimum=1)
        if isinstance(self.order, Sequence):
            orders = [check_integer("order", own, minimum=0) for own in self.order]
            if len(orders) != k:
                raise ParameterError(
                    f"order must be one number or {k}, one for each regime; got {self.order!r}."
                )
        else:
            orders = [check_integer("order", self.order, minimum=0)] * k
        if self.delay is not None:
            check_integer("delay", self.delay, minimum=1)
        check_choice("trend", self.trend, tuple(_TRENDS))
        check_number("trim", self.trim, low=0, below=1 / k)
        given = None if self.threshold is None else _thresholds(self.threshold, k)
        return ThresholdSearch(orders, self.delay, given, _TRENDS[self.trend], self.trim)

    def linearity_test(
        self, data: Any, n_bootstrap: int = 499, seed: int | torch.Generator | None = None
    ) -> LinearityTest:
        """Whether one linear autoregression would do (Hansen 1999, F_1k), by the bootstrap.

        Under the null there is no threshold, so no table holds: the linear fit is drawn again from
        its resampled residuals, and thresholds and delay are searched anew in every draw, as `fit`
        would. It needs no fit.

        Args:
            data: sequences, as for `fit`.
            n_bootstrap: how many samples.
            seed: an int or a `torch.Generator`.
        """
        check_integer("n_bootstrap", n_bootstrap, minimum=1)
        search = self._search()
        training = _training(Sequences.of(data, Real(), name="data"), search)
        found, drawn = bootstrap(search, *training, n_bootstrap, seed)
        above = int((drawn >= found).sum())
        return LinearityTest(found, (1 + above) / (1 + n_bootstrap), n_bootstrap)

    # ---- what was fitted ------------------------------------------------------------------------

    def regime_of(self, data: Any) -> Any:
        """The regime 0 ... k - 1 of every element but the given ones, in the form of the data."""
        sequences, law = self.sequences(data), self.law_
        given = law.n_given
        sequences.require_length(given)
        values = sequences.values.detach()
        bounds = pairwise(sequences.offsets.tolist())
        parts = [values[a + given - law.delay : b - law.delay] for a, b in bounds]
        counts = sequences.lengths - given
        starts = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
        return sequences.form.per_element(law.regime(torch.cat(parts)), starts, skip=given)

    def threshold_interval(self, level: float = 0.95) -> np.ndarray:
        """Confidence intervals of the thresholds, by inverting the likelihood ratio (Hansen 2000).

        The values at which n (S(gamma) - S) / S stays below the critical value, S the sum of
        squares, other thresholds and the delay held; innovations of one variance are assumed. The
        set may have gaps: the interval is from its least value to its largest.

        Args:
            level: the confidence level, in (0, 1).

        Returns:
            [k - 1, 2].
        """
        thresholds, profiles = self.law_.threshold, self.fit_.notes.get("profiles", [])
        check_number("level", level, above=0, below=1)
        if len(profiles) != len(thresholds):
            raise ParameterError("there is no interval for thresholds that were not searched.")
        found = []
        for part in profiles:
            ratio = self.n_observations_ * (part[:, 1] / part[:, 1].min() - 1)
            inside = part[ratio <= critical_value(level), 0]
            found.append([inside.min(), inside.max()])
        return np.array(found).reshape(-1, 2)

    @property
    def _n_parameters(self) -> int:
        return len(self.names_) + int(self.fit_.notes["n_searched"])

    def _described(self) -> tuple[str, list[tuple[str, str]]]:
        law, notes = self.law_, self.fit_.notes
        values = ", ".join(f"{value:.4g}" for value in law.threshold)
        facts = [("Threshold", values), ("Delay", f"{law.delay}"), ("Trend", notes["trend"])]
        if "counts" in notes:
            facts.append(("In regimes", ", ".join(str(n) for n in notes["counts"])))
        return f"SETAR({notes['order']}, {law.n_regimes})", facts


def _thresholds(threshold: Any, regimes: int) -> np.ndarray:
    """The thresholds that a user gave, checked, [regimes - 1]."""
    found = np.atleast_1d(check_array("threshold", threshold))
    right = found.shape == (regimes - 1,) and bool(np.isfinite(found).all())
    if not right or (np.diff(found) <= 0).any():
        raise ParameterError(
            f"threshold must be {regimes - 1} ascending finite number(s); got {threshold!r}."
        )
    return found


def _training(sequences: Sequences, search: ThresholdSearch) -> tuple[np.ndarray, np.ndarray]:
    """Values and offsets of sequences long enough to be searched."""
    sequences.require_length(search.skip + 1)
    values = sequences.values.detach().cpu().numpy().astype(np.float64)
    return values, sequences.offsets.numpy()
