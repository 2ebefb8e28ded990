"""What one asks of a fitted vector autoregression: responses, variance shares, causality."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from scipy.special import chdtrc, fdtrc, ndtri

from arproc.contract.context import split_clock
from arproc.errors import (
    DataError,
    ParameterError,
    check_choice,
    check_count,
    check_list,
    check_number,
)
from arproc.gaussian.companion import companion
from arproc.inference.estimated import Estimated
from arproc.models.autoregression.ar import flat_regressors
from arproc.models.autoregression.vector import impulse, resampling
from arproc.models.autoregression.vector.estimation import spread_names
from arproc.models.autoregression.vector.inputs import plain
from arproc.models.autoregression.vector.law import VARLaw
from arproc.models.autoregression.vector.regression import N_COLUMNS

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["VectorAnalysis"]

_BANDS = ("asymptotic", "monte-carlo", "bootstrap")


class VectorAnalysis(Estimated):
    """The analyses of a VAR."""

    law_: VARLaw
    coef_: np.ndarray
    sigma_: np.ndarray
    mean_: np.ndarray
    slope_: np.ndarray
    intercept_: np.ndarray
    drift_: np.ndarray
    components_: list[str]

    @property
    def roots(self) -> np.ndarray:
        """The companion matrix's eigenvalues, largest modulus first; all inside 1: stationary."""
        roots = np.linalg.eigvals(companion(plain(self.law_.coef)))
        return roots[np.argsort(-np.abs(roots))]

    def impulse_response(
        self,
        horizon: int = 10,
        *,
        orthogonal: bool = False,
        cumulative: bool = False,
        bands: str | None = "asymptotic",
        level: float = 0.95,
        draws: int = 1000,
        data: Any = None,
        context: Any = None,
        seed: int | torch.Generator | None = None,
    ) -> pd.DataFrame:
        """How each component responds to an innovation in each, after 0, 1, ... `horizon` steps.

        Args:
            horizon: how many steps.
            orthogonal: innovations made uncorrelated by the Cholesky factor of `sigma_`, one
                standard deviation each: a component then moves at once only by its own innovation
                and those of components before it, so their order matters. By default one unit in
                one component alone.
            cumulative: the sum of the responses so far.
            bands: "asymptotic", by the delta method from `covariance_`; "monte-carlo", quantiles
                over parameters drawn from their asymptotic law; "bootstrap", quantiles over refits
                (least squares) to series of resampled residuals of `data`; or None.
            level: what share of the probability lies between the bands.
            draws: how many draws or refits.
            data: what the model was fitted to, for the bootstrap.
            context: its regressors.
            seed: of the draws.

        Returns:
            A row for each impulse, response and step, with the columns effect and (with bands)
            std_error, lower and upper. `arproc.plot.impulse_response` draws it.
        """
        import pandas as pd

        law = self.law_
        horizon = check_count("horizon", horizon, minimum=0)
        if bands is not None:
            check_choice("bands", bands, _BANDS)
        check_number("level", level, above=0, below=1)
        coef, sigma = plain(law.coef), plain(law.sigma)
        kind = (horizon, orthogonal, cumulative)
        effect = impulse.effects(coef, sigma, *kind)
        columns = {"effect": effect}
        if bands == "asymptotic":
            change = impulse.jacobian(coef, sigma, *kind)
            covariance = self._covariance_of(self._coefficients + self._spread)
            variance = np.einsum("...j,...j->...", change @ covariance, change)
            error = np.sqrt(variance.clip(min=0))
            wide = float(ndtri(0.5 + level / 2)) * error
            columns |= {"std_error": error, "lower": effect - wide, "upper": effect + wide}
        elif bands is not None:
            many = self._drawn(bands, check_count("draws", draws, minimum=2), data, context, seed)
            paths = np.stack([impulse.effects(a, s, *kind) for a, s in zip(*many, strict=True)])
            tail = (1 - level) / 2
            lower, upper = np.quantile(paths, [tail, 1 - tail], axis=0)
            columns |= {"std_error": paths.std(axis=0), "lower": lower, "upper": upper}
        labels = [self.components_, self.components_, range(horizon + 1)]
        index = pd.MultiIndex.from_product(labels, names=["impulse", "response", "step"])
        # [step, response, impulse] to rows by impulse, response, step
        flat = {name: value.transpose(2, 1, 0).ravel() for name, value in columns.items()}
        return pd.DataFrame(flat, index=index)

    def variance_decomposition(self, horizon: int = 10) -> pd.DataFrame:
        """The share of each component's innovations in the variance of forecast errors.

        The innovations are made orthogonal by the Cholesky factor of `sigma_`, so the order of the
        components matters.

        Returns:
            A row for each component and each number of steps ahead, a column for each component
            whose innovations are counted; rows sum to one.
        """
        import pandas as pd

        law = self.law_
        horizon = check_count("horizon", horizon, minimum=1)
        shares = impulse.decomposition(plain(law.coef), plain(law.sigma), horizon)
        labels = [self.components_, range(1, horizon + 1)]
        index = pd.MultiIndex.from_product(labels, names=["component", "step"])
        columns = pd.Index(self.components_, name="innovation")
        table = shares.transpose(1, 0, 2).reshape(len(index), len(columns))
        return pd.DataFrame(table, index, columns)

    def granger_causality(
        self,
        caused: str | list[str] | None = None,
        causing: str | list[str] | None = None,
        test: str = "f",
    ) -> pd.DataFrame:
        """Whether the past of some components helps to predict others.

        The hypothesis of each row is that it does not: all coefficients of `causing` in the
        equations of `caused` are zero.

        Args:
            caused: a component or several together; by default each in turn.
            causing: likewise; by default each other component in turn.
            test: "f" (the covariance made larger for the coefficients estimated) or "wald"
                (chi-squared).

        Returns:
            A row for each pair: statistic, df, df_residual and p_value.
        """
        self._require_estimates()
        check_choice("test", test, ("f", "wald"))
        order = self.law_.order
        if order == 0:
            raise ParameterError("a model of order 0 has no past to test.")
        pairs = self._pairs(caused, causing)
        each = [_granger_names(order, a, b) for a, b in pairs]
        return self._tested(pairs, each, test)

    def instantaneous_causality(
        self, causing: str | list[str] | None = None, test: str = "wald"
    ) -> pd.DataFrame:
        """Whether innovations of some components are correlated with those of all others.

        Args:
            causing: a component or several together; by default each in turn.
            test: "wald" or "f".

        Returns:
            A row for each: statistic, df, df_residual and p_value.
        """
        self._require_estimates()
        check_choice("test", test, ("f", "wald"))
        groups = (
            [[c] for c in self.components_] if causing is None else [_list(causing, "causing")]
        )
        pairs = []
        for group in groups:
            self._check_names(group)
            pairs.append(([c for c in self.components_ if c not in group], group))
        each = [_instantaneous_names(self.components_, *pair) for pair in pairs]
        return self._tested(pairs, each, test)

    # ---- inner parts ----------------------------------------------------------------------------

    def _tested(
        self, pairs: list[tuple[list[str], list[str]]], each: list[list[str]], test: str
    ) -> pd.DataFrame:
        import pandas as pd

        d = len(self.components_)
        columns = N_COLUMNS[self.fit_.notes["trend"]] + len(self.law_.terms)
        per_equation = columns + self.law_.order * d
        left = self.n_observations_ - per_equation
        correction = self.n_observations_ / left if test == "f" and left > 0 else 1.0
        freedom = d * left if test == "f" else None
        if test == "f" and left <= 0:
            raise ParameterError("there are too few observations for an F test; use test='wald'.")
        rows = []
        for names in each:
            if not names:
                raise ParameterError("there is nothing to test: no other component is left.")
            covariance = self._covariance_of(names)
            estimates = self.estimates_[[self.names_.index(name) for name in names]]
            rows.append(_zero_test(estimates, covariance, freedom, correction))
        labels = [(", ".join(a), ", ".join(b)) for a, b in pairs]
        index = pd.MultiIndex.from_tuples(labels, names=["caused", "causing"])
        return pd.DataFrame(rows, index)

    def _pairs(self, caused: Any, causing: Any) -> list[tuple[list[str], list[str]]]:
        """The groups of components to test: (caused, causing)."""
        every = [[c] for c in self.components_]
        left = every if caused is None else [_list(caused, "caused")]
        right = every if causing is None else [_list(causing, "causing")]
        for group in (*left, *right):
            self._check_names(group)
        return [(a, b) for a in left for b in right if a != b]

    def _check_names(self, names: list[str]) -> None:
        known = self.components_
        unknown = [one for one in names if not isinstance(one, str) or one not in known]
        if unknown or not names:
            raise ParameterError(
                f"there is no component {unknown[0] if unknown else names!r}; the components are "
                f"{', '.join(self.components_)}."
            )

    @property
    def _coefficients(self) -> list[str]:
        """The coefficients' names by (equation, lag, component)."""
        names = self.components_
        lags = range(1, self.law_.order + 1)
        return [f"L{i}.{b}.{a}" for a in names for i in lags for b in names]

    @property
    def _spread(self) -> list[str]:
        """The names of sigma's lower triangle."""
        return spread_names(self.components_)

    def _require_estimates(self) -> None:
        if self.fit_.covariance is None:
            raise ParameterError(
                "these parameters were given, not estimated, so they have no errors; use "
                "bands=None, or fit the model."
            )

    def _covariance_of(self, names: list[str]) -> np.ndarray:
        self._require_estimates()
        place = {name: i for i, name in enumerate(self.names_)}
        rows = [place[name] for name in names]
        return self.covariance_[np.ix_(rows, rows)]

    def _drawn(
        self, kind: str, draws: int, data: Any, context: Any, seed: int | torch.Generator | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Draws of (coef, sigma)."""
        law = self.law_
        coef = plain(law.coef)
        if kind == "monte-carlo":
            covariance = self._covariance_of(self._coefficients)
            used = self.n_observations_
            return resampling.normal_draws(coef, covariance, plain(law.sigma), used, draws, seed)
        if data is None:
            raise ParameterError("bands='bootstrap' needs data=, what the model was fitted to.")
        sequences = self.sequences(data)
        prepared = self.read_context(context, sequences, int(sequences.lengths.max()))
        with torch.no_grad():
            x, lengths, *_, driven = law.flat(sequences, prepared)
        stops = lengths.cumsum(0)[:-1].tolist()
        parts = np.split(x.numpy(), stops)
        lines = [
            plain(law.intercept) + np.arange(len(part))[:, None] * plain(law.drift)
            for part in parts
        ]
        columns = [part[:, :0] for part in parts]
        if driven is not None:
            added = np.split(driven.numpy(), stops)
            lines = [line + more for line, more in zip(lines, added, strict=True)]
            given, _ = split_clock(prepared, len(law.terms))
            assert given is not None
            columns = np.split(flat_regressors(given, lengths), stops)
        trend = self.fit_.notes["trend"]
        return resampling.bootstrap(parts, coef, lines, columns, trend, draws, seed)


def _list(names: str | list[str], argument: str) -> list[str]:
    return [names] if isinstance(names, str) else check_list(argument, names)


def _granger_names(order: int, caused: Sequence[str], causing: Sequence[str]) -> list[str]:
    """The coefficients that are zero where `causing` do not help to predict `caused`."""
    return [f"L{i}.{b}.{a}" for i in range(1, order + 1) for a in caused for b in causing]


def _instantaneous_names(
    components: Sequence[str], caused: Sequence[str], causing: Sequence[str]
) -> list[str]:
    """The covariances that are zero where innovations of the two groups are uncorrelated."""
    place = {name: i for i, name in enumerate(components)}
    pairs = [sorted((a, b), key=place.__getitem__) for a in caused for b in causing]
    return [f"cov.{first}.{second}" for first, second in pairs]


def _zero_test(
    estimates: np.ndarray, covariance: np.ndarray, freedom: int | None, correction: float
) -> dict[str, float]:
    """Whether all of these parameters are zero.

    Args:
        estimates: [r].
        covariance: theirs, [r, r].
        freedom: the denominator's degrees of freedom for an F test; None for Wald's.
        correction: by how much an F test multiplies the covariance.

    Returns:
        statistic, df, df_residual (inf for Wald's test) and p_value.
    """
    try:
        wald = float(estimates @ np.linalg.solve(covariance, estimates))
    except np.linalg.LinAlgError:
        raise DataError("the estimates' covariance is singular, so nothing is tested.") from None
    r = len(estimates)
    if freedom is None:
        p_value = float(chdtrc(r, wald))
        return {"statistic": wald, "df": r, "df_residual": np.inf, "p_value": p_value}
    f = wald / correction / r
    p_value = float(fdtrc(r, freedom, f))
    return {"statistic": f, "df": r, "df_residual": freedom, "p_value": p_value}
