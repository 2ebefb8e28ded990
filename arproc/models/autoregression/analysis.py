"""What one asks of an autoregression: its roots, moments, responses, spectrum, and gaps filled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import torch
from scipy.special import ndtri

from arproc.contract.checked import Array
from arproc.contract.randomness import Uniforms
from arproc.data.table_forms import in_kind
from arproc.errors import DataError, check_array, check_count, check_number
from arproc.forecasting.tables import of_elements
from arproc.gaussian.levinson import autocovariances, coef_to_pacf, is_stationary
from arproc.inference.estimated import Estimated
from arproc.models.autoregression import imputation
from arproc.models.autoregression.law import ARLaw, plain
from arproc.models.autoregression.simulation import psi_weights
from arproc.process import Process

if TYPE_CHECKING:
    import pandas as pd


__all__ = ["Analysis"]


class Analysis(Estimated, Process):
    """The analyses of a model whose law is an `ARLaw`."""

    law_: ARLaw
    lags_: Annotated[np.ndarray, Array("m", kind="whole", low=1)]

    # ---- the recursion --------------------------------------------------------------------------

    @property
    def roots(self) -> np.ndarray:
        """Roots of z^p - sum_i coef_i z^(p - i), largest modulus first; all inside 1: stationary.

        Their inverses are the roots of the lag polynomial 1 - sum_i coef_i z^i.
        """
        coef = plain(self.law_.coef)
        roots = np.roots(np.concatenate([[1.0], -coef])).astype(complex)
        # np.roots leaves out those at 0
        roots = np.concatenate([roots, np.zeros(len(coef) - len(roots))])
        return roots[np.argsort(-np.abs(roots), kind="stable")]

    @property
    def is_stationary(self) -> bool:
        """Whether the recursion has a stationary law."""
        return is_stationary(plain(self.law_.coef))

    def psi_weights(self, horizon: int = 10) -> np.ndarray:
        """Weights 0, 1, ... `horizon` of the moving average that the process is, [horizon + 1].

        That is the response to one unit of innovation; see `impulse_response`.
        """
        count = check_count("horizon", horizon, minimum=0) + 1
        return psi_weights(plain(self.law_.coef), count)

    def impulse_response(
        self, horizon: int = 10, *, cumulative: bool = False, level: float = 0.95
    ) -> pd.DataFrame:
        """The response to one unit of innovation after 0, 1, ... `horizon` steps.

        Args:
            horizon: how many steps.
            cumulative: the sum of the responses so far.
            level: what share of the probability lies between the bands.

        Returns:
            A row for each step, with the columns effect and (where parameters were estimated)
            std_error, lower and upper, by the delta method.
        """
        import pandas as pd

        wide = _normal_quantile(level)
        effect = self.psi_weights(horizon)
        # d psi_k / d coef_i is the weight k - i of the moving average squared
        squared = np.convolve(effect, effect)[: len(effect)]
        if cumulative:
            effect, squared = effect.cumsum(), squared.cumsum()
        columns = {"effect": effect}
        if self.fit_.covariance is not None:
            lags = self.lags_
            change = np.zeros((len(effect), len(lags)))
            for i, lag in enumerate(lags):
                change[lag:, i] = squared[: max(len(effect) - lag, 0)]
            error = _deviations(change, self._covariance_of(len(lags)))
            columns |= {
                "std_error": error,
                "lower": effect - wide * error,
                "upper": effect + wide * error,
            }
        return pd.DataFrame(columns, index=pd.RangeIndex(len(effect), name="step"))

    # ---- second moments -------------------------------------------------------------------------

    def autocovariance(self, max_lag: int = 20) -> pd.Series:
        """Autocovariances at lags 0 ... `max_lag` of the stationary process about its mean."""
        return self._by_lag(self._autocovariances(max_lag), "autocovariance")

    def autocorrelation(self, max_lag: int = 20) -> pd.Series:
        """Autocorrelations at lags 0 ... `max_lag` of the stationary process about its mean."""
        gamma = self._autocovariances(max_lag)
        return self._by_lag(gamma / gamma[0], "autocorrelation")

    def partial_autocorrelation(self, max_lag: int = 20) -> pd.Series:
        """Partial autocorrelations at lags 0 (which is 1) ... `max_lag`; 0 beyond the order."""
        gamma = self._autocovariances(max_lag)  # refuses what is not stationary
        pacf = np.zeros(len(gamma))
        own = coef_to_pacf(plain(self.law_.coef))[: len(gamma) - 1]
        pacf[0], pacf[1 : 1 + len(own)] = 1.0, own
        return self._by_lag(pacf, "partial_autocorrelation")

    def spectral_density(self, frequencies: Any = None, *, level: float = 0.95) -> pd.DataFrame:
        """How the variance is spread over frequencies, in cycles a step.

        Its integral from -1/2 to 1/2 is the variance of the process about its mean.

        Args:
            frequencies: where, [k]; 512 from 0 to 1/2 by default.
            level: what share of the probability lies between the bands.

        Returns:
            A row for each frequency, with the columns density and (where parameters were
            estimated) std_error, lower and upper; the bands by the delta method for the logarithm
            of the density, so they are positive. `arproc.plot.spectral_density` draws it.
        """
        import pandas as pd

        wide = _normal_quantile(level)
        at = np.linspace(0, 0.5, 512) if frequencies is None else _numbers(frequencies)
        self._autocovariances(0)  # refuses what is not stationary
        coef, sigma2 = plain(self.law_.coef), float(plain(self.law_.sigma2))
        density = spectrum(coef, sigma2, at)
        columns = {"density": density}
        if self.fit_.covariance is not None:
            lags = self.lags_
            change = log_spectrum_jacobian(coef, lags, sigma2, at)
            error = _deviations(change, self._covariance_of(len(lags) + 1))
            columns |= {
                "std_error": density * error,
                "lower": density * np.exp(-wide * error),
                "upper": density * np.exp(wide * error),
            }
        return pd.DataFrame(columns, index=pd.Index(at, name="frequency"))

    # ---- what was not observed ------------------------------------------------------------------

    def impute(
        self,
        data: Any,
        *,
        context: Any = None,
        offset: Any = None,
        n_draws: int | None = None,
        seed: int | torch.Generator | None = None,
    ) -> pd.DataFrame:
        """Missing elements (NaN) given all that was observed, before and after them.

        Args:
            data: sequences with missing elements, as for `log_prob`.
            context: the regressors, as for `log_prob`.
            offset: at which step the data begin, as for `log_prob`.
            n_draws: give as many joint draws instead of means.
            seed: of the draws.

        Returns:
            A row for each element (under its series, for several), with its mean and standard
            deviation (the smoothed ones) in the columns mean and std; or with a column for each
            draw. What was observed stays as it is, with a std of 0.

        Example:
            >>> from arproc import AR
            >>> AR.from_parameters([0.5]).impute([1.0, np.nan, 2.0]).round(3).to_numpy().tolist()
            [[1.0, 0.0], [1.2, 0.894], [2.0, 0.0]]
        """
        sequences = self.sequences(data, missing=True)
        longest = int(sequences.lengths.max())
        prepared = self.read_context(context, sequences, longest, offset)
        count = 0 if n_draws is None else check_count("n_draws", n_draws, minimum=1)
        uniforms = Uniforms(seed) if count else None
        law, tables = self.law_, []
        recursion = law.recursion.detach().to(torch.device("cpu"))
        for i in range(len(sequences)):
            x = sequences.row(i).detach().cpu().to(torch.float64)
            own = None if prepared is None else prepared[i].cpu()
            found = imputation.missing_given_observed(x, recursion, law.n_given, own)
            if uniforms is not None:
                # row r of the draws is the same however many are drawn
                rows = (i << 32) + np.arange(count)
                u = uniforms.block(rows, 0, len(found.places))
                columns = np.repeat(x.numpy()[:, None], count, axis=1)
                columns[found.places] = found.draws(torch.special.ndtri(u).numpy()).T
            else:
                columns = np.stack([x.numpy(), np.zeros(len(x))], axis=1)
                columns[found.places] = np.stack([found.mean, found.deviation], axis=1)
            tables.append(columns)
        return in_kind(data, of_elements(sequences, tables, count))

    # ---- inner parts ----------------------------------------------------------------------------

    def _covariance_of(self, last: int) -> np.ndarray:
        """The covariance of the coefficients, and of sigma2 where `last` counts it too."""
        begin = len(self.names_) - len(self.lags_) - 1
        return self.covariance_[begin : begin + last, begin : begin + last]

    def _autocovariances(self, max_lag: int) -> np.ndarray:
        count = check_count("max_lag", max_lag, minimum=0)
        law = self.law_
        return autocovariances(plain(law.coef), float(plain(law.sigma2)), count)

    def _by_lag(self, values: np.ndarray, name: str) -> pd.Series:
        import pandas as pd

        return pd.Series(values, index=pd.RangeIndex(len(values), name="lag"), name=name)


def spectrum(coef: np.ndarray, sigma2: float, frequencies: np.ndarray) -> np.ndarray:
    r"""The spectral density sigma^2 / |1 - sum_j phi_j e^(-2 pi i f j)|^2, f in cycles a step.

    Its integral over one period is the variance.

    Example:
        >>> spectrum(np.array([0.5]), 1.0, np.array([0.0, 0.5])).round(3).tolist()
        [4.0, 0.444]
    """
    return sigma2 / np.abs(_transfer(coef, frequencies)) ** 2


def log_spectrum_jacobian(
    coef: np.ndarray, lags: np.ndarray, sigma2: float, frequencies: np.ndarray
) -> np.ndarray:
    """Derivatives of the log density by the coefficients of the lags and sigma2: [k, lags + 1]."""
    turn = np.exp(-2j * np.pi * frequencies[:, None] * lags)
    by_coef = 2 * (turn / _transfer(coef, frequencies)[:, None]).real
    return np.column_stack([by_coef, np.full(len(frequencies), 1 / sigma2)])


def _transfer(coef: np.ndarray, frequencies: np.ndarray) -> np.ndarray:
    lags = np.arange(1, len(coef) + 1)
    return 1 - np.exp(-2j * np.pi * frequencies[:, None] * lags) @ coef


def _deviations(change: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """Standard deviations by the delta method: derivatives [k, n], a covariance [n, n]."""
    return np.sqrt(np.einsum("ki,ij,kj->k", change, covariance, change).clip(min=0))


def _normal_quantile(level: float) -> float:
    check_number("level", level, above=0, below=1)
    return float(ndtri(0.5 + level / 2))


def _numbers(frequencies: Any) -> np.ndarray:
    at = np.atleast_1d(check_array("frequencies", frequencies, DataError))
    if at.ndim != 1 or not np.isfinite(at).all():
        raise DataError(
            f"frequencies must be finite numbers [k], in cycles a step; got {frequencies!r}."
        )
    return at
