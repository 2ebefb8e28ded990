"""SETAR: an autoregression whose parameters depend on where the series stood some steps ago."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from torch.distributions import Distribution, Normal

from arproc.contract.sequences import Sequences
from arproc.errors import DataError, ParameterError, check_choice, check_integer, check_numbers
from arproc.inference.estimated import Estimated
from arproc.models.regimes.threshold_fit import Rows, Split, critical_value, search
from arproc.process import Process
from arproc.spaces import Real, Space

__all__ = ["SETAR"]

_TRENDS = {"n": 0, "c": 1, "ct": 2}


class Found(NamedTuple):
    """A search's result; regressors and target are (values - shift) / scale, time in units."""

    delay: int
    rows: Rows
    split: Split
    shift: float
    scale: float
    unit: float


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
        x_t = \text{const}_r + \text{slope}_r t + \sum_{i=1}^{p_r} \phi_{i, r} x_{t-i}
        + \epsilon_t, \quad \epsilon_t \sim N(0, \sigma^2_r).

    There is no stationary start in closed form: the first `max(order, delay)` values of a sequence
    are given.

    Args:
        order: how many past elements the next one depends on; one for all regimes, or one each.
        regimes: how many regimes.
        delay: which past element decides (1 is the last); None to choose the delay from 1 to the
            largest order by least squares.
        threshold: the threshold (a list of them for more than two regimes); None to search them.
        trend: "n" (none), "c" (a constant in each regime) or "ct" (a line, t counted from 0).
        trim: the share of the elements that each regime must keep in the search.

    Attributes:
        threshold_: the thresholds, ascending, [k - 1].
        delay_: the delay.
        coef_: coefficients, lag 1 first, [k, p]; zero beyond a regime's own order.
        const_: the regimes' constants, [k].
        slope_: their slopes per step, [k].
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

    threshold_: np.ndarray
    delay_: int
    coef_: np.ndarray
    const_: np.ndarray
    slope_: np.ndarray
    sigma2_: np.ndarray
    counts_: np.ndarray
    profiles_: list[np.ndarray]

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
        const: Any = 0.0,
        sigma2: Any = 1.0,
        slope: Any = 0.0,
    ) -> Self:
        """The process with known parameters, which needs no fit.

        Args:
            coef: coefficients, lag 1 first, [k, p].
            threshold: k - 1 thresholds, ascending (a number for one).
            delay: which past element decides.
            const: the regimes' constants, [k] or one for all.
            sigma2: innovation variances, [k] or one for all.
            slope: slopes of the trend per step, [k] or one for all.

        Example:
            >>> model = SETAR.from_parameters([[0.5], [-0.5]], threshold=0.0, const=[1.0, 0.0])
            >>> float(model.conditional([2.0]).mean)
            -1.0
        """
        weights = np.asarray(coef, dtype=float)
        if weights.ndim != 2 or not np.isfinite(weights).all():
            raise ParameterError(f"coef must be [k, p] finite numbers; got {coef!r}.")
        k = len(weights)
        given = {"const": const, "sigma2": sigma2, "slope": slope}
        parts = {name: check_numbers(name, value, regimes=k) for name, value in given.items()}
        if not (parts["sigma2"] > 0).all():
            raise ParameterError(f"sigma2 must be positive; got {sigma2!r}.")
        model = cls(weights.shape[1], k, delay, threshold, "ct" if parts["slope"].any() else "c")
        model._check_parameters()
        limits = model._given_thresholds()
        model.threshold_ = np.empty(0) if limits is None else limits
        model.delay_, model.coef_ = delay, weights
        model.const_, model.sigma2_, model.slope_ = parts.values()
        model.space_ = Real()
        return model

    # ---- fitting --------------------------------------------------------------------------------

    def _infer_space(self, data: Any) -> Space:
        return Real()

    def _fit(
        self, sequences: Sequences, *, validation: Sequences | None, context: torch.Tensor | None
    ) -> None:
        values = sequences.values.detach().cpu().numpy().astype(np.float64)
        sequences.require_length(self._longest_lag() + 1)
        found = self._search(values, sequences.offsets.numpy())
        self.delay_, rows = found.delay, found.rows
        self._learn(found)
        each = self.counts_ * (np.log(2 * np.pi * self.sigma2_) + 1)
        self.log_likelihood_ = -0.5 * float(each.sum())
        self.n_observations_ = len(rows.target)

    def _longest_lag(self) -> int:
        """How many first values the search needs, whatever delay it chooses."""
        p = max(self._check_parameters())
        return max(p, p if self.delay is None else self.delay, 1)

    def _search(self, values: np.ndarray, offsets: np.ndarray) -> Found:
        """Thresholds and delay by least squares."""
        orders, q, skip = self._check_parameters(), _TRENDS[self.trend], self._longest_lag()
        p = max(orders)
        shift = float(values.mean()) if q else 0.0
        scale = float(np.sqrt(np.mean((values - shift) ** 2)))
        if not 1e-150 < scale < 1e150 or scale <= 1e-13 * float(np.abs(values).max()):
            raise DataError(
                "data does not vary (or by less than float64 can tell, or by more than it can "
                f"hold: standard deviation {scale:.3g}), so no threshold can be found."
            )
        unit = 1.0 / int(np.diff(offsets).max())
        own, times = _lagged(values, offsets, skip)
        lags = (own - shift) / scale
        trend = np.stack([np.ones(len(times)), times * unit], axis=1)[:, :q]
        regressors = np.hstack([trend, lags[:, 1 : p + 1]])
        columns = [np.append(np.arange(q), q + np.arange(n)).astype(int) for n in orders]
        delays = range(1, max(p, 1) + 1) if self.delay is None else [self.delay]
        found, given = [], self._given_thresholds()
        for delay in delays:
            rows = Rows.sorted(regressors, lags[:, 0], own[:, delay], columns, self.trim)
            split = search(rows) if given is None else _cut(rows, given)
            found.append(Found(delay, rows, split, shift, scale, unit))
        return min(found, key=lambda one: one.split.squares)

    def _learn(self, found: Found) -> None:
        _, rows, split, shift, scale, unit = found
        k, p, q = len(rows.columns), max(self._check_parameters()), _TRENDS[self.trend]
        self.coef_, trend = np.zeros((k, p)), np.zeros((k, 2))
        self.sigma2_ = np.empty(k)
        self.counts_ = np.diff(split.bounds)
        given = self._given_thresholds()
        at = rows.variable[split.bounds[1:-1] - 1]
        self.threshold_ = at if given is None else given
        self.profiles_ = [part * [1, scale**2] for part in split.profiles]
        names: list[str] = []
        values: list[float] = []
        blocks = []
        for r, own in enumerate(rows.columns):
            inside = slice(split.bounds[r], split.bounds[r + 1])
            x, y = rows.regressors[inside][:, own], rows.target[inside]
            beta, _, rank, _ = np.linalg.lstsq(x, y, rcond=None)
            if rank < len(own):
                raise DataError(
                    f"regime {r} has collinear lags ({len(y)} elements, rank {rank} of "
                    f"{len(own)}), so its coefficients are not determined. Lower order or trim."
                )
            variance = float(np.mean((y - x @ beta) ** 2))
            if not variance > 1e-24:
                raise DataError(
                    f"regime {r} follows its recursion without any innovation, so it has no "
                    "density."
                )
            # from units of the search to the data's own, which is linear
            change = np.diag([scale, scale * unit][:q] + [1.0] * (len(own) - q))
            if q:
                change[0, q:] = -shift
            beta = change @ beta
            if q:
                beta[0] += shift
            cov = change @ (variance * np.linalg.inv(x.T @ x)) @ change.T
            self.coef_[r, : len(own) - q], trend[r, :q] = beta[q:], beta[:q]
            self.sigma2_[r] = variance * scale**2
            labels = ["const", "slope"][:q] + [f"ar.L{i + 1}" for i in range(len(own) - q)]
            names += [f"{label}[{r}]" for label in labels]
            names.append(f"sigma2[{r}]")
            values += [*beta.tolist(), float(self.sigma2_[r])]
            blocks += [cov, np.array([[2 * self.sigma2_[r] ** 2 / len(y)]])]
        self.const_, self.slope_ = trend[:, 0].copy(), trend[:, 1].copy()
        self.names_, self.estimates_ = names, np.array(values)
        self.covariance_ = _block_diagonal(blocks)

    def _check_parameters(self) -> list[int]:
        """The regimes' orders, everything checked."""
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
        if isinstance(self.trim, str) or not 0 <= self.trim * k < 1:
            raise ParameterError(f"trim must lie in [0, 1 / regimes); got {self.trim!r}.")
        self._given_thresholds()
        return orders

    def _given_thresholds(self) -> np.ndarray | None:
        if self.threshold is None:
            return None
        found = np.atleast_1d(np.asarray(self.threshold, dtype=float))
        right = found.shape == (self.regimes - 1,) and bool(np.isfinite(found).all())
        if not right or (np.diff(found) <= 0).any():
            raise ParameterError(
                f"threshold must be {self.regimes - 1} ascending finite number(s); got "
                f"{self.threshold!r}."
            )
        return found

    # ---- the law --------------------------------------------------------------------------------

    @property
    def n_given(self) -> int:
        return self.window_length

    @property
    def window_length(self) -> int:
        _ = self.space if "coef_" not in self.__dict__ else None
        return max(self.coef_.shape[1], self.delay_)

    def window(self, ctx: torch.Tensor, position: torch.Tensor) -> Distribution:
        arrays = (self.threshold_, self.const_, self.slope_, self.coef_, self.sigma2_)
        threshold, const, slope, coef, sigma2 = (torch.from_numpy(a) for a in arrays)
        lags = ctx.flip(-1)
        # x <= threshold belongs to the lower regime
        regime = torch.bucketize(lags[..., self.delay_ - 1].contiguous(), threshold)
        loc = const[regime] + slope[regime] * position
        loc = loc + (coef[regime] * lags[..., : coef.shape[1]]).sum(-1)
        return Normal(loc, sigma2.sqrt()[regime], validate_args=False)

    # ---- what was fitted ------------------------------------------------------------------------

    def regime_of(self, data: Any) -> Any:
        """The regime 0 ... k - 1 of every element but the given ones, in the form of the data."""
        sequences = self.sequences(data)
        sequences.require_length(self.n_given)
        values, offsets = sequences.values.detach(), sequences.offsets
        parts = []
        for a, b in zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True):
            parts.append(values[a + self.n_given - self.delay_ : b - self.delay_])
        regime = torch.bucketize(torch.cat(parts), torch.from_numpy(self.threshold_))
        counts = sequences.lengths - self.n_given
        starts = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
        return sequences.form.per_element(regime, starts, skip=self.n_given)

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
        _ = self.space
        if isinstance(level, str) or not 0 < level < 1:
            raise ParameterError(f"level must lie in (0, 1); got {level!r}.")
        if len(self.__dict__.get("profiles_", [])) != len(self.threshold_):
            raise ParameterError("there is no interval for thresholds that were not searched.")
        found, n = [], int(self.counts_.sum())
        for part in self.profiles_:
            ratio = n * (part[:, 1] / part[:, 1].min() - 1)
            inside = part[ratio <= critical_value(level), 0]
            found.append([inside.min(), inside.max()])
        return np.array(found).reshape(-1, 2)

    def linearity_test(
        self, data: Any, n_bootstrap: int = 499, seed: int | torch.Generator | None = None
    ) -> LinearityTest:
        """Whether one linear autoregression would do (Hansen 1999, F_1k), by the bootstrap.

        Under the null there is no threshold, so no table holds: the linear fit is drawn again from
        its resampled residuals, and thresholds and delay are searched anew in every draw.

        Args:
            data: sequences, as for `fit`.
            n_bootstrap: how many samples.
            seed: an int or a `torch.Generator`.
        """
        from arproc.models.regimes.linearity import bootstrap

        check_integer("n_bootstrap", n_bootstrap, minimum=1)
        sequences = Sequences.of(data, Real(), name="data")
        sequences.require_length(self._longest_lag() + 1)
        values = sequences.values.detach().cpu().numpy().astype(np.float64)
        offsets, skip = sequences.offsets.numpy(), self._longest_lag()
        found, drawn = bootstrap(
            lambda x: self._search(x, offsets), values, offsets, skip, _TRENDS[self.trend],
            max(self._check_parameters()), n_bootstrap, seed,
        )  # fmt: skip
        above = int((drawn >= found).sum())
        return LinearityTest(found, (1 + above) / (1 + n_bootstrap), n_bootstrap)

    @property
    def _n_parameters(self) -> int:
        searched = len(self.threshold_) if self.threshold is None else 0
        return len(self.names_) + searched + (self.delay is None and len(self.threshold_) > 0)

    def _described(self) -> tuple[str, list[tuple[str, str]]]:
        order = self.order if isinstance(self.order, int) else list(self.order)
        values = ", ".join(f"{value:.4g}" for value in self.threshold_)
        facts = [("Threshold", values), ("Delay", f"{self.delay_}"), ("Trend", self.trend)]
        if "counts_" in self.__dict__:
            facts.append(("In regimes", ", ".join(str(n) for n in self.counts_)))
        return f"SETAR({order}, {self.regimes})", facts


def _lagged(values: np.ndarray, offsets: np.ndarray, skip: int) -> tuple[np.ndarray, np.ndarray]:
    """Each scored value with its `skip` lags, [n, skip + 1], and its time in its sequence, [n]."""
    starts = np.repeat(offsets[:-1], np.diff(offsets))
    times = np.arange(len(values)) - starts
    at = np.flatnonzero(times >= skip)
    return values[at[:, None] - np.arange(skip + 1)], times[at].astype(float)


def _cut(rows: Rows, thresholds: np.ndarray) -> Split:
    """The rows at given thresholds."""
    k, n = len(rows.columns), len(rows.target)
    inner = np.searchsorted(rows.variable, thresholds, side="right")
    bounds = np.concatenate([[0], inner, [n]])
    for r, own in enumerate(rows.columns):
        if bounds[r + 1] - bounds[r] <= len(own):
            raise DataError(
                f"regime {r} has {bounds[r + 1] - bounds[r]} element(s) at the given threshold; "
                f"expected more than its {len(own)} coefficients."
            )
    total = sum(rows.squares(r, int(bounds[r]), int(bounds[r + 1])) for r in range(k))
    return Split(bounds, total, [])


def _block_diagonal(blocks: list[np.ndarray]) -> np.ndarray:
    size = sum(len(block) for block in blocks)
    found, at = np.zeros((size, size)), 0
    for block in blocks:
        found[at : at + len(block), at : at + len(block)] = block
        at += len(block)
    return found
