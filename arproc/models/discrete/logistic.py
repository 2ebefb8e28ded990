"""LogisticAR: binary and multinomial logistic autoregression."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, Self

import numpy as np
import torch
from torch.distributions import Bernoulli, Distribution

from arproc.contract.checked import Array, Number, sentences
from arproc.contract.law import ChainLaw
from arproc.contract.sequences import Sequences
from arproc.contract.storable import storable
from arproc.data.tokenizers import categorical_space
from arproc.distributions import Categorical
from arproc.errors import ParameterError, check_array, check_choice, check_integer, check_number
from arproc.inference.estimated import Estimated
from arproc.models.discrete.logistic_fit import Contexts, fit
from arproc.process import Fit, Process
from arproc.spaces import Binary, Space
from arproc.spaces import Categorical as Symbols

if TYPE_CHECKING:
    from arproc.data.vocabulary import Vocabulary

__all__ = ["LogisticAR", "LogisticARLaw"]

_MOST = 2500  # parameters: their information matrix is held whole


class FineBernoulli(Bernoulli):
    """A Bernoulli distribution in the precision of its logits (torch's is in the data's)."""

    def log_prob(self, value: torch.Tensor) -> torch.Tensor:
        return super().log_prob(value.to(self.logits.dtype))


@storable
@dataclass(frozen=True, eq=False, repr=False)
class LogisticARLaw(ChainLaw):
    """A logistic autoregression; the formula is in `LogisticAR`.

    Attributes:
        intercept: the constants, symbol 0's being 0, float64 [k].
        coef: the weights w[c, i, s], [k, p, k].
        frequencies: what stands for a symbol before the first one, [k].
        space: `Binary`, or `Categorical` of k symbols.
        n_given: how many first symbols are given.
    """

    intercept: Annotated[np.ndarray, Array("space.size")]
    coef: Annotated[np.ndarray, Array("space.size", "p", "space.size")]
    frequencies: Annotated[np.ndarray, Array("space.size", low=0, high=1)]
    space: Space
    n_given: int = 0

    def problems(self) -> Iterator[str]:
        yield from sentences(
            (self.n_given not in (0, self.window_length), f"n_given is {self.n_given}"),
            (self.space.size is None or self.space.length is not None, "the space is of no "
             "symbols in sequences of free length"),
        )  # fmt: skip

    @property
    def window_length(self) -> int:
        return self.coef.shape[1]

    @cached_property
    def scores(self) -> tuple[torch.Tensor, torch.Tensor]:
        """The constants [k], and what each symbol adds at each lag, [p, k + 1, k].

        The last one is what stands for the elements before the first.
        """
        weights, shares = torch.tensor(self.coef), torch.tensor(self.frequencies)
        table = torch.cat([weights, (weights @ shares)[..., None]], dim=-1)
        return torch.tensor(self.intercept), table.permute(1, 2, 0).contiguous()

    def window(self, ctx: torch.Tensor, position: torch.Tensor) -> Distribution:
        intercept, table = self.scores
        lags = torch.arange(len(table))
        codes = torch.where(position[..., None] > lags, ctx.flip(-1).long(), len(intercept))
        scores = intercept + table[lags, codes].sum(-2)
        if isinstance(self.space, Binary):
            return FineBernoulli(logits=scores[..., 1] - scores[..., 0], validate_args=False)
        return Categorical(scores)


class LogisticAR(Estimated, Process):
    r"""Logistic autoregression of order p over k symbols (Fokianos and Kedem 2003).

    .. math::
        \log \frac{P(x_t = c \mid x_{<t})}{P(x_t = 0 \mid x_{<t})} =
        \text{intercept}_c + \sum_{i=1}^p w_{c, i, x_{t-i}}, \quad w_{c, i, 0} = 0,

    so a context counts lag by lag, where an n-gram has a parameter for each. Symbols 0 and 1 are
    of the `Binary` space, more of them (or text) of `Categorical`.

    Args:
        order: how many past symbols the next one depends on.
        symbols: how many symbols there are; None to count them in the data of `fit`; for text
            "char", "word", "byte" or a vocabulary (see `NGram`'s tokens).
        ridge: half of this times the sum of squared weights is taken off the log-likelihood (each
            symbol has a weight then, as outcome and at each lag, so that none is preferred;
            constants are free). It is needed where the data are separated, when maximum likelihood
            has infinite estimates.
        initial: "mean": all elements are scored, and a symbol before the first one weighs as the
            symbols do on average (`frequencies_`); "given": the first p symbols are given.

    Attributes:
        intercept_: the constants, symbol 0's being 0, float64 [k].
        coef_: the weights w[c, i, s], 0 for c = 0 and for s = 0, [k, p, k].
        frequencies_: the symbols' frequencies in the data of `fit`, [k].
        n_effective_: the number of parameters that an information criterion charges for: with a
            ridge the trace of the unshrunk information over the shrunk.
        names_: the estimated parameters' names, in the order of `covariance_`.
        covariance_: the inverse information (of the shrunk likelihood, with a ridge).
        log_likelihood_: `log_prob` of the data of `fit`, nats.

    Example:
        >>> rain = [0, 0, 1, 1, 1, 0, 0, 1, 0, 0, 0, 1, 1, 0, 1, 1, 0, 0, 0, 0]
        >>> model = LogisticAR(order=1, initial="given").fit(rain)
        >>> round(float(model.conditional([1]).probs), 3)  # 4 of 8 wet days were followed by one
        0.5
    """

    law_: LogisticARLaw
    intercept_: np.ndarray
    coef_: np.ndarray
    frequencies_: np.ndarray
    n_effective_: Annotated[float, Number(low=0)]
    _ridge_: Annotated[float, Number(low=0)]

    def __init__(
        self,
        order: int,
        symbols: int | str | Vocabulary | None = None,
        ridge: float = 0.0,
        initial: str = "mean",
    ) -> None:
        self.order = order
        self.symbols = symbols
        self.ridge = ridge
        self.initial = initial

    @classmethod
    def from_parameters(
        cls, intercept: Any, coef: Any, frequencies: Any = None, initial: str = "mean"
    ) -> Self:
        """The process with known parameters, which needs no fit.

        Args:
            intercept: the constants, [k], or one number for binary symbols.
            coef: the weights, [k, p, k], or [p] for binary symbols.
            frequencies: what stands for a symbol before the first one, [k]; None for 1 / k each.
            initial: see the class.

        Example:
            >>> model = LogisticAR.from_parameters(-1.0, [2.0])
            >>> model.sample(1, length=6, seed=0).shape
            (1, 6)
        """
        level, weights = check_array("intercept", intercept), check_array("coef", coef)
        if level.ndim == 0 and weights.ndim == 1:
            own = weights
            weights = np.zeros((2, len(own), 2))
            weights[1, :, 1] = own
            level = np.array([0.0, float(level)])
        k = len(level) if level.ndim == 1 else 0
        right = k >= 2 and weights.ndim == 3 and weights.shape[::2] == (k, k)
        if not right or not (np.isfinite(level).all() and np.isfinite(weights).all()):
            raise ParameterError(
                "intercept must be [k] and coef [k, p, k], finite (or a number and [p], for "
                f"binary symbols); got shapes {level.shape} and {weights.shape}."
            )
        given = np.full(k, 1 / k) if frequencies is None else frequencies
        shares = check_array("frequencies", given)
        if shares.shape != (k,) or not (shares >= 0).all() or abs(shares.sum() - 1) > 1e-9:
            raise ParameterError(
                f"frequencies must be {k} probabilities that sum to one; got {frequencies!r}."
            )
        check_choice("initial", initial, ("mean", "given"))
        order, space = weights.shape[1], Binary() if k == 2 else Symbols(k)
        law = LogisticARLaw(level, weights, shares, space, order if initial == "given" else 0)
        return cls.of(law, order=order, symbols=k, initial=initial)

    # ---- fitting --------------------------------------------------------------------------------

    def _infer_space(self, data: Any) -> Space:
        self._check_parameters()
        if isinstance(data, Sequences) and isinstance(data.space, Binary):
            return data.space
        found = categorical_space(data, self.symbols, end=False)
        return Binary() if found.vocabulary is None and found.size <= 2 else found

    def _fit(
        self, sequences: Sequences, *, validation: Sequences | None, context: torch.Tensor | None
    ) -> tuple[LogisticARLaw, Fit]:
        p, k = self.order, sequences.space.size or 0
        size = (k - 1) * (1 + p * (k - 1))
        if size > _MOST:
            raise ParameterError(
                f"{k} symbols and order {p} have {size} parameters, more than {_MOST}; lower "
                "order, or use NGram, which is made for large alphabets."
            )
        skip = p if self.initial == "given" else 0
        sequences.require_length(skip + 1)
        values = sequences.values.detach().cpu().numpy().astype(np.int64)
        table = Contexts.of(values, sequences.offsets.numpy(), k, p, skip)
        found = fit(table, float(self.ridge))
        intercept, coef = np.zeros(k), np.zeros((k, p, k))
        intercept[1:] = found.weights[:, 0]
        coef[1:, :, 1:] = found.weights[:, 1:].reshape(k - 1, p, k - 1)
        law = LogisticARLaw(intercept, coef, table.frequencies, sequences.space, skip)
        return law, Fit(
            names=_names(k, p),
            estimates=found.weights.reshape(-1),
            covariance=found.covariance,
            log_likelihood=found.log_likelihood,
            n_observations=int(table.counts.sum()),
            notes={"n_effective": found.n_effective, "ridge": float(self.ridge)},
        )

    def _check_parameters(self) -> None:
        check_integer("order", self.order, minimum=0)
        check_choice("initial", self.initial, ("mean", "given"))
        if isinstance(self.symbols, int):
            check_integer("symbols", self.symbols, minimum=2)
        check_number("ridge", self.ridge, low=0)

    # ---- what was fitted ------------------------------------------------------------------------

    @property
    def _n_parameters(self) -> float:
        return self.n_effective_

    def _described(self) -> tuple[str, list[tuple[str, str]]]:
        law, ridge = self.law_, self.fit_.notes.get("ridge", 0.0)
        facts = [
            ("Symbols", f"{len(law.intercept)}"),
            ("Start", "given" if law.n_given else "mean"),
        ]
        if ridge:
            facts.append(("Ridge", f"{ridge:g} ({self.n_effective_:.1f} effective)"))
        return f"LogisticAR({law.window_length})", facts


def _names(k: int, p: int) -> list[str]:
    """Names of the constants and weights against symbol 0, outcome by outcome."""
    if k == 2:
        return ["intercept", *(f"ar.L{i + 1}" for i in range(p))]
    found = []
    for c in range(1, k):
        found.append(f"intercept[{c}]")
        found += [f"ar.L{i + 1}={s}[{c}]" for i in range(p) for s in range(1, k)]
    return found
