"""MarkovSwitchingAR: an autoregression whose parameters follow a hidden Markov chain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self, cast

import numpy as np
import torch
from torch.distributions import Distribution

from arproc.contract.sequences import Sequences
from arproc.contract.state import State
from arproc.errors import DataError, ParameterError, check_choice, check_integer, check_numbers
from arproc.inference.estimated import Estimated
from arproc.models.regimes.chain import Regimes, stationary
from arproc.process import Process
from arproc.spaces import Real, Space

if TYPE_CHECKING:
    import pandas as pd

    from arproc.models.regimes.switching_state import SwitchingState

__all__ = ["MarkovSwitchingAR", "SwitchingTensors"]

_TRENDS = {"n": 0, "c": 1, "ct": 2}
_METHODS = {
    "mle": "maximum likelihood, given the first values",
    "em": "EM, given the first values",
}
_MOST = 4096  # joint states
_PATHS = 2048  # of regimes, that a forecast sums over; beyond that it is simulated


class MarkovSwitchingAR(Estimated, Process):
    r"""Autoregression with regimes that follow a hidden Markov chain (Hamilton 1989).

    With the regime :math:`s_t` and the level :math:`m_s(t) = \text{const}_s + \text{slope}_s t`,
    `form="mean"` is

    .. math::
        x_t - m_{s_t}(t) = \sum_{i=1}^p \phi_{i, s_t} (x_{t-i} - m_{s_{t-i}}(t - i)) + \epsilon_t,
        \quad \epsilon_t \sim N(0, \sigma^2_{s_t}),

    the form of Hamilton and of statsmodels' `MarkovAutoregression`, in which a change of regime
    moves the level at once; `form="intercept"` is
    :math:`x_t = m_{s_t}(t) + \sum_i \phi_{i, s_t} x_{t-i} + \epsilon_t`, in which the level
    drifts to its new place. The next element's law is a finite mixture of normal distributions,
    weighted by what the elements so far say of the regimes: that is the state. Forecasts are exact
    mixtures over all paths of regimes as long as these are no more than 2,048 (two regimes of
    order 1: ten steps), and simulated beyond.

    The first `order` values of a sequence are given (`n_given`): regimes that switch have no
    stationary law in closed form. The chain starts from its own stationary distribution.

    Args:
        order: how many past elements the next one depends on, 0 or more.
        regimes: how many regimes, 2 or more.
        trend: "n" (none), "c" (a constant) or "ct" (a line, t counted from 0 at a sequence's first
            element).
        switching_ar: whether each regime has coefficients of its own.
        switching_trend: whether each has a trend of its own.
        switching_variance: whether each has an innovation variance of its own.
        form: "mean" or "intercept".
        method: "mle" (EM from several starts, the best finished by a quasi-Newton method with the
            analytic score) or "em" (EM to the end, which is slow near the maximum).
        n_starts: from how many places the search begins; the likelihood has several maxima.
        min_variance: the least variance a regime may have, relative to the innovation variance
            without regimes. With `switching_variance` the likelihood has no maximum otherwise: a
            regime that explains a few elements exactly makes it infinite.
        tolerance: EM stops when a step gains less than this, in nats.
        seed: of the starts.

    The regimes are numbered by const; where they share it (or have none), by variance; where they
    share that too, by their coefficients.

    Attributes:
        transition_: p(to | from), rows sum to one, float64 [k, k].
        const_: the regimes' levels ("mean") or intercepts ("intercept"), [k].
        slope_: their slopes, [k].
        coef_: coefficients, lag 1 first, [k, p].
        sigma2_: innovation variances, [k].
        names_: the estimated parameters' names, which are statsmodels' ("p[0->0]" ...).
        covariance_: their covariance, the inverse observed information; nan for those that stand
            at a bound (a transition that never happens).
        log_likelihood_: `log_prob` of the data of `fit`, nats.
        converged_: whether the search stopped by itself.

    Example:
        >>> noise = np.random.default_rng(0).normal(size=300)
        >>> x = noise + np.where(np.arange(300) // 50 % 2, 4.0, 0.0)
        >>> model = MarkovSwitchingAR(1, switching_ar=False).fit(x)
        >>> model.const_.round(1).tolist()
        [0.0, 3.9]
        >>> model.smoothed(x).shape, model.conditional(x[:10]).batch_shape
        ((299, 2), torch.Size([]))
    """

    transition_: np.ndarray
    const_: np.ndarray
    slope_: np.ndarray
    coef_: np.ndarray
    sigma2_: np.ndarray
    converged_: bool

    def __init__(
        self,
        order: int,
        regimes: int = 2,
        trend: str = "c",
        switching_ar: bool = True,
        switching_trend: bool = True,
        switching_variance: bool = False,
        form: str = "mean",
        method: str = "mle",
        n_starts: int = 12,
        min_variance: float = 1e-3,
        tolerance: float = 1e-9,
        seed: int = 0,
    ) -> None:
        self.order = order
        self.regimes = regimes
        self.trend = trend
        self.switching_ar = switching_ar
        self.switching_trend = switching_trend
        self.switching_variance = switching_variance
        self.form = form
        self.method = method
        self.n_starts = n_starts
        self.min_variance = min_variance
        self.tolerance = tolerance
        self.seed = seed

    @classmethod
    def from_parameters(
        cls,
        transition: Any,
        coef: Any,
        const: Any = 0.0,
        sigma2: Any = 1.0,
        slope: Any = 0.0,
        form: str = "mean",
    ) -> Self:
        """The process with known parameters, which needs no fit.

        Args:
            transition: p(to | from), rows sum to one, [k, k].
            coef: coefficients, lag 1 first, [k, p] (or [p], the same in all regimes).
            const: the regimes' levels or intercepts, [k] or one for all.
            sigma2: innovation variances, [k] or one for all.
            slope: slopes of the trend per step, [k] or one for all.
            form: "mean" or "intercept".

        Example:
            >>> chain = [[0.9, 0.1], [0.2, 0.8]]
            >>> model = MarkovSwitchingAR.from_parameters(chain, [0.5], const=[0.0, 5.0])
            >>> model.sample(2, length=3, prefix=[0.0], seed=1).shape
            (2, 3)
        """
        chain = np.asarray(transition, dtype=float)
        k = len(chain) if chain.ndim else 0
        if chain.shape != (k, k) or k < 1 or not np.allclose(chain.sum(axis=1), 1):
            raise ParameterError(
                f"transition must be [k, k] with rows that sum to one; got {transition!r}."
            )
        if not (chain >= 0).all():
            raise ParameterError(f"transition must hold probabilities; got {transition!r}.")
        weights = np.asarray(coef, dtype=float)
        weights = np.tile(weights, (k, 1)) if weights.ndim == 1 else weights
        if weights.ndim != 2 or len(weights) != k or not np.isfinite(weights).all():
            raise ParameterError(f"coef must be [{k}, p] or [p] finite numbers; got {coef!r}.")
        given = {"const": const, "sigma2": sigma2, "slope": slope}
        numbers = {name: check_numbers(name, value, regimes=k) for name, value in given.items()}
        if not (numbers["sigma2"] > 0).all():
            raise ParameterError(f"sigma2 must be positive; got {sigma2!r}.")
        model = cls(
            weights.shape[1],
            k,
            "ct" if numbers["slope"].any() else "c",
            switching_variance=True,
            form=form,
        )
        check_choice("form", form, ("mean", "intercept"))
        model.transition_, model.coef_ = chain, weights
        model.const_, model.sigma2_, model.slope_ = numbers.values()
        model.space_ = Real()
        return model

    # ---- fitting --------------------------------------------------------------------------------

    def _infer_space(self, data: Any) -> Space:
        return Real()

    def _fit(
        self, sequences: Sequences, *, validation: Sequences | None, context: torch.Tensor | None
    ) -> None:
        from arproc.models.regimes.switching_fit import Design, fit

        self._check_parameters()
        sequences.require_length(self.order + 1)
        design = Design(
            sequences.values.detach().cpu().numpy().astype(np.float64),
            sequences.offsets.numpy(),
            self.regimes,
            self.order,
            _TRENDS[self.trend],
            self.form == "mean",
            (bool(self.switching_trend), bool(self.switching_ar), bool(self.switching_variance)),
            float(self.min_variance),
        )
        if design.n_terms <= len(design.names):
            raise DataError(
                f"data has {design.n_terms} element(s) beyond the first {self.order} given; "
                f"expected more than the {len(design.names)} parameters. Lower order or regimes, "
                "or let fewer parameters switch."
            )
        found = fit(design, self.method, self.n_starts, self.seed, self.tolerance)
        self._learn(found.regimes)
        self.names_, self.estimates_ = found.names, found.values
        self.covariance_ = found.covariance
        self.log_likelihood_ = found.log_likelihood
        self.n_observations_ = design.n_terms
        self.converged_ = found.converged

    def _learn(self, found: Regimes) -> None:
        trend = np.zeros((found.k, 2))
        trend[:, : found.trend.shape[1]] = found.trend
        self.transition_, self.coef_ = found.transition, found.coef
        self.const_, self.slope_ = trend[:, 0].copy(), trend[:, 1].copy()
        self.sigma2_ = found.sigma2

    def _check_parameters(self) -> None:
        check_integer("order", self.order, minimum=0)
        check_integer("regimes", self.regimes, minimum=2)
        check_integer("n_starts", self.n_starts, minimum=1)
        check_integer("seed", self.seed, minimum=0)
        check_choice("trend", self.trend, tuple(_TRENDS))
        check_choice("form", self.form, ("mean", "intercept"))
        check_choice("method", self.method, tuple(_METHODS))
        if not 0 <= self.min_variance < 1 or (self.switching_variance and not self.min_variance):
            raise ParameterError(
                "min_variance must lie in (0, 1), or be 0 where the variance does not switch; got "
                f"{self.min_variance!r}."
            )
        if not self.tolerance > 0:
            raise ParameterError(f"tolerance must be positive; got {self.tolerance!r}.")
        switches = (
            (self.switching_trend and self.trend != "n")
            or (self.switching_ar and self.order > 0)
            or self.switching_variance
        )
        if not switches:
            raise ParameterError(
                "nothing differs between the regimes: let the trend, the coefficients or the "
                "variance switch."
            )
        memory = max(self.order, 1) if self.form == "mean" else 1
        if self.regimes ** (memory + 1) > _MOST:
            raise ParameterError(
                f"regimes ** (order + 1) is {self.regimes ** (memory + 1)}, more than {_MOST} "
                "joint regimes; use form='intercept', whose number does not grow with the order."
            )

    # ---- the law --------------------------------------------------------------------------------

    @property
    def n_given(self) -> int:
        return self.order

    @property
    def parameters(self) -> Regimes:
        """The regimes' parameters together."""
        if "transition_" not in self.__dict__:
            _ = self.space  # says that the model is not fitted
        trend = np.stack([self.const_, self.slope_], axis=1)
        return Regimes(self.transition_, trend, self.coef_, self.sigma2_, self.form == "mean")

    @property
    def tensors(self) -> SwitchingTensors:
        """The parameters as the state reads them; built once for each."""
        arrays = (self.transition_, self.const_, self.slope_, self.coef_, self.sigma2_)
        key = (self.form, *(array.tobytes() for array in arrays))
        cached = self.__dict__.get("_cached")
        if cached is None or cached[0] != key:
            self._cached = cached = (key, SwitchingTensors.of(self.parameters))
        return cached[1]

    def locations(self, before: torch.Tensor, position: torch.Tensor) -> torch.Tensor:
        """The next element's mean in every joint state.

        Args:
            before: the last p elements, oldest first, [N, K, p].
            position: how many elements came before, int64 [N, K].

        Returns:
            [N, K, k, M].
        """
        law = self.tensors
        level = law.const + law.slope * position[..., None].double()  # [N, K, k]
        lags = before.flip(-1)
        if not law.centred:
            mean = level + lags @ law.coef.T
            return mean[..., None].expand(*mean.shape, law.joint_transition.shape[1])
        if not self.order:
            return level[..., None].expand(*level.shape, law.joint_transition.shape[1])
        times = (position[..., None] - torch.arange(1, self.order + 1)).double()
        past = law.const + law.slope * times[..., None]  # [N, K, p, k]
        deviation = lags[..., None] - past
        chosen = deviation[..., torch.arange(self.order), law.digits]  # [N, K, M, p]
        return level[..., None] + (chosen @ law.coef.T).transpose(-1, -2)

    def _start(self, n: int, context: torch.Tensor | None) -> State:
        from arproc.models.regimes.switching_state import SwitchingState

        return SwitchingState(self.tensors.log_initial.expand(n, -1))

    def _log_prob_terms(self, sequences: Sequences, context: torch.Tensor | None) -> torch.Tensor:
        if sequences.values.requires_grad:
            return self._derived_log_prob_terms(sequences, context)
        values, offsets = _numbers(sequences)
        return torch.from_numpy(self.parameters.filter(values, offsets)[0])

    def _predictive(self, state: State, horizon: int) -> Distribution | None:
        from arproc.models.regimes.ahead import mixtures_ahead

        law = self.tensors
        if len(law.digits) * len(law.const) ** horizon > _PATHS:
            return None
        _ = state.conditional  # refuses a history shorter than what must be given
        before = state.history.tail(self.order).detach()
        memory = cast("SwitchingState", state).memory.detach()
        return mixtures_ahead(law, memory, before, state.lengths, horizon)

    # ---- regimes --------------------------------------------------------------------------------

    def filtered(self, data: Any) -> pd.DataFrame | list[pd.DataFrame]:
        """p(regime of x_t | x_1 ... x_t) for every element but the given ones.

        Returns:
            A DataFrame with a column for each regime and the data's own index (a list of them for
            several sequences).
        """
        return self._probabilities(data, smoothed=False)

    def smoothed(self, data: Any) -> pd.DataFrame | list[pd.DataFrame]:
        """p(regime of x_t | all elements) (Kim 1994); as `filtered`."""
        return self._probabilities(data, smoothed=True)

    def _probabilities(self, data: Any, smoothed: bool) -> Any:
        import pandas as pd

        sequences = self.sequences(data)
        sequences.require_length(self.order)
        values, offsets = _numbers(sequences)
        law = self.parameters
        if smoothed:
            joint = law.smooth(values, offsets)[1]
        else:
            joint = law.filter(values, offsets, keep=True)[1]
        found = law.marginal(joint)
        starts = offsets - self.order * np.arange(len(offsets))
        indexes, tables = sequences.form.indexes, []
        for i in range(len(sequences)):
            if indexes:
                index = indexes[i] if len(indexes) > 1 else indexes[0]
            else:
                index = pd.RangeIndex(int(sequences.lengths[i]))
            columns = pd.RangeIndex(law.k, name="regime")
            part = found[starts[i] : starts[i + 1]]
            tables.append(pd.DataFrame(part, index=index[self.order :], columns=columns))
        return tables[0] if sequences.form.single else tables

    @property
    def stationary_regimes_(self) -> np.ndarray:
        """The share of time spent in each regime, [k]."""
        return stationary(self.parameters.transition)

    @property
    def expected_durations_(self) -> np.ndarray:
        """How many elements a regime lasts on average, [k]."""
        with np.errstate(divide="ignore"):
            return 1 / (1 - np.diag(self.parameters.transition))

    def _described(self) -> tuple[str, list[tuple[str, str]]]:
        name = f"MarkovSwitchingAR({self.order}, {self.regimes})"
        if "covariance_" not in self.__dict__:
            return name, [("transition", f"{self.transition_.tolist()}")]
        facts = [("Trend", self.trend), ("Form", self.form), ("Method", self.method)]
        return name, [*facts, ("Regimes", f"{self.regimes}")]


@dataclass(frozen=True)
class SwitchingTensors:
    """Parameters as tensors: see `Regimes`; `joint_transition` is log p(to | memory), [k, M]."""

    const: torch.Tensor
    slope: torch.Tensor
    coef: torch.Tensor
    scale: torch.Tensor
    log_transition: torch.Tensor
    joint_transition: torch.Tensor
    log_initial: torch.Tensor
    digits: torch.Tensor
    centred: bool

    @classmethod
    def of(cls, law: Regimes) -> SwitchingTensors:
        digits, log_p = law.digits, law.log_transition
        arrays = (
            law.trend[:, 0], law.trend[:, 1], law.coef, np.sqrt(law.sigma2), log_p,
            log_p[digits[:, 0]].T, law.log_initial, digits[:, : max(law.order, 1)],
        )  # fmt: skip
        tensors = [torch.from_numpy(np.ascontiguousarray(array)) for array in arrays]
        const, slope, coef, scale, transition, joint, initial, number = tensors
        return cls(const, slope, coef, scale, transition, joint, initial, number, law.centred)


def _numbers(sequences: Sequences) -> tuple[np.ndarray, np.ndarray]:
    values = sequences.values.detach().cpu().numpy().astype(np.float64)
    return np.ascontiguousarray(values), sequences.offsets.numpy()
