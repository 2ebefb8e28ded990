"""What conditioning gives: weighted draws, and how probable the evidence was."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from arproc.contract.law import ChainLaw
from arproc.contract.randomness import Uniforms
from arproc.distributions import component_marginals, mean, quantile
from arproc.errors import DataError, ParameterError, check_array, check_count
from arproc.sampling.normal import BridgeLaw

__all__ = ["Conditioned"]


@dataclass(frozen=True, eq=False, repr=False)
class Conditioned:
    """Weighted draws of a process given evidence, what `condition` returns.

    Attributes:
        x: the draws, in the form that `sample` gives: what comes after the prefix.
        log_weights: the logarithms of their weights, which sum to one, nats, float64 [n].
        log_evidence: the log-probability (of real numbers the log-density) of the evidence, nats;
            exact, or the logarithm of an unbiased estimate.
        log_evidence_error: the standard error of that logarithm, 0 where it is exact.
        effective_sample_size: how many independent draws the weighted ones are worth, counted at
            their first element.
        method: "exact", independent draws of the process given the evidence; "reordered",
            independent draws of the same model in another order of its sites, see `in_order`; or
            "particles" or "tempered", weighted draws of the process (of `in_order`, where there is
            one).
        process: the law given the evidence as a process, with a likelihood and draws of its own,
            where backward messages give that; else None.
        in_order: where `condition` was asked for "reordered", the process in the order that has
            the known elements first: of its law are the draws and `log_evidence`. Else None.
    """

    x: Any
    log_weights: np.ndarray
    log_evidence: float
    log_evidence_error: float
    effective_sample_size: float
    method: str
    process: Any = None
    in_order: Any = None
    _law: ChainLaw | None = field(default=None)

    @property
    def weights(self) -> np.ndarray:
        """The draws' weights, which sum to one, [n]."""
        return np.exp(self.log_weights)

    @property
    def mean(self) -> Any:
        """The mean of each element, [T] or [T, d]; in closed form for a normal law."""
        if isinstance(self._law, BridgeLaw):
            return mean(self._law.marginals()).numpy()
        return self.expectation()

    def expectation(self, function: Callable[[Any], Any] | None = None) -> Any:
        """The weighted mean of a function of the draws.

        Args:
            function: gets all draws and returns an array [n, ...]; None is the draws themselves.
        """
        values = self.x if function is None else function(self.x)
        array = check_array("the value of function" if function else "x", values, DataError)
        if array.shape[:1] != self.log_weights.shape:
            raise DataError(
                f"function must return an array with a row for each of {len(self.log_weights)} "
                f"draws; got shape {list(array.shape)}."
            )
        return np.tensordot(self.weights, array, axes=1)

    def quantiles(self, levels: Any) -> np.ndarray:
        """Quantiles of each element, [L, T] or [L, T, d]; in closed form for a normal law.

        Args:
            levels: each in (0, 1).
        """
        wanted = np.atleast_1d(check_array("levels", levels))
        if wanted.ndim != 1 or not ((wanted > 0) & (wanted < 1)).all():
            raise ParameterError(f"levels must lie in (0, 1); got {levels!r}.")
        if isinstance(self._law, BridgeLaw):
            each = component_marginals(self._law.marginals())
            shape = each.batch_shape
            found = [quantile(each, torch.full(shape, q, dtype=torch.float64)) for q in wanted]
            return torch.stack(found).numpy()
        x = check_array("x", self.x, DataError)
        order = x.argsort(axis=0)
        shares = np.cumsum(self.weights[order], axis=0)
        at = (shares[None] < wanted.reshape(-1, *[1] * x.ndim)).sum(axis=1, keepdims=True)
        ranked = np.take_along_axis(x, order, axis=0)
        return np.take_along_axis(ranked[None], at.clip(max=len(x) - 1), axis=1)[:, 0]

    def resample(self, n: int, seed: int | torch.Generator | None = None) -> Any:
        """So many draws of equal weight, chosen from these by their weights.

        Args:
            n: how many; beyond the effective sample size they repeat one another.
            seed: an int or a `torch.Generator`.
        """
        n = check_count("n", n)
        u = Uniforms(seed, "resample").block([0], 0, n)[0].numpy()
        at = np.searchsorted(np.cumsum(self.weights), u).clip(max=len(self.weights) - 1)
        return [self.x[i] for i in at] if isinstance(self.x, list) else self.x[at]

    def __repr__(self) -> str:
        error = f" +- {self.log_evidence_error:.2g}" if self.log_evidence_error else ""
        return (
            f"Conditioned({len(self.log_weights)} draws, method={self.method!r}, log_evidence="
            f"{self.log_evidence:.6g}{error}, effective_sample_size="
            f"{self.effective_sample_size:.0f})"
        )
