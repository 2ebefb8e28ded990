"""Policies that look at the conditional alone: temperature, and what is kept of it."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch.distributions import Distribution

from arproc.contract.law import ChainLaw
from arproc.distributions import (
    Categorical,
    Truncated,
    as_categorical,
    cut_counts,
    is_count,
    tempered,
)
from arproc.errors import ParameterError, UnsupportedError, check_integer, check_number
from arproc.sampling.policies import Policy

__all__ = ["Greedy", "MinP", "Temperature", "TopK", "TopP", "Typical", "Within"]


class Temperature(Policy):
    """p(x)^(1/T), renormalised: T < 1 sharpens, T > 1 flattens, T = 0 is `Greedy`.

    One meaning for every conditional. For symbols the scores are divided by T. A density is raised
    to the power 1/T and divided by its integral: a normal law's standard deviation is multiplied
    by the square root of T, a Laplace law's scale by T, a Student-t law with v degrees of freedom
    becomes one with (v + 1) / T - 1, and mixtures are integrated numerically (see
    `arproc.distributions.tempered`). A vector of independent components has each of them tempered.

    Args:
        temperature: T >= 0; 0 for symbols only.

    Example:
        >>> import arproc
        >>> law = arproc.AR.from_parameters([0.5]).with_policy(Temperature(4.0))
        >>> float(law.conditional([1.0]).stddev)
        2.0
    """

    empties = False

    def __init__(self, temperature: float) -> None:
        check_number("temperature", temperature, low=0)
        self.temperature = temperature

    def apply(self, conditional: Distribution, state: Any = None) -> Distribution:
        if self.temperature == 0:
            return _most_probable(conditional)
        return tempered(conditional, self.temperature)


class Greedy(Policy):
    """Only the most probable symbol; of several, the one of the lowest number.

    Example:
        >>> import arproc
        >>> text = arproc.PPM(order=2, tokens="char").fit(["ab", "aab", "ab"])
        >>> text.sample(2, prefix="a", policy=Greedy(), seed=0)
        ['b', 'b']
    """

    empties = False

    def __init__(self) -> None:
        pass

    def apply(self, conditional: Distribution, state: Any = None) -> Distribution:
        return _most_probable(conditional)


def _most_probable(conditional: Distribution) -> Categorical:
    try:
        scores = as_categorical(conditional).scores
    except UnsupportedError:
        raise UnsupportedError(
            f"Temperature(0) and Greedy() take the most probable symbol, and a "
            f"{type(conditional).__name__} is not over finitely many symbols; take a temperature "
            "above 0."
        ) from None
    best = scores.argmax(-1, keepdim=True)
    kept = torch.zeros_like(scores, dtype=torch.bool).scatter(-1, best, True)
    return Categorical(scores.masked_fill(~kept, -torch.inf))


class TopK(Policy):
    """Only the k most probable symbols, renormalised; ties go to the lower number.

    Args:
        k: how many symbols are kept, at least 1.
    """

    empties = False

    def __init__(self, k: int) -> None:
        self.k = check_integer("k", k, minimum=1)

    def apply(self, conditional: Distribution, state: Any = None) -> Distribution:
        scores = as_categorical(conditional).scores
        if self.k >= scores.shape[-1]:
            return conditional
        ranked = torch.argsort(scores, dim=-1, descending=True, stable=True)
        dropped = torch.ones_like(scores, dtype=torch.bool)
        dropped.scatter_(-1, ranked[..., : self.k], False)
        return Categorical(scores.masked_fill(dropped, -torch.inf))


class TopP(Policy):
    """The fewest most probable symbols that hold at least p of the mass (Holtzman et al. 2020).

    Args:
        p: in (0, 1]. The most probable symbol is always kept.
    """

    empties = False

    def __init__(self, p: float) -> None:
        check_number("p", p, above=0, high=1)
        self.p = p

    def apply(self, conditional: Distribution, state: Any = None) -> Distribution:
        if self.p == 1:
            return conditional
        scores = as_categorical(conditional).scores
        return _fewest(scores, scores, self.p)


def _fewest(scores: torch.Tensor, merits: torch.Tensor, p: float) -> Categorical:
    """The fewest symbols of the greatest merits that hold at least p of the mass."""
    ranked = torch.argsort(merits, dim=-1, descending=True, stable=True)
    probs = torch.softmax(scores.double(), dim=-1).gather(-1, ranked)
    # kept while the mass of those before is still below p
    before = probs.cumsum(-1) - probs
    dropped = torch.zeros_like(scores, dtype=torch.bool).scatter(-1, ranked, before >= p)
    return Categorical(scores.masked_fill(dropped, -torch.inf))


class MinP(Policy):
    """Only symbols at least p times as probable as the most probable (Nguyen et al. 2024).

    Args:
        p: in (0, 1].
    """

    empties = False

    def __init__(self, p: float) -> None:
        check_number("p", p, above=0, high=1)
        self.p = p

    def apply(self, conditional: Distribution, state: Any = None) -> Distribution:
        scores = as_categorical(conditional).scores
        least = scores.amax(-1, keepdim=True) + math.log(self.p)
        return Categorical(scores.masked_fill(scores < least, -torch.inf))


class Typical(Policy):
    """The fewest symbols of typical surprise that hold p of the mass (Meister et al. 2023).

    Symbols are ranked by how far their surprise -log p(x) is from the conditional's entropy; ties
    go to the lower number. The most probable symbol may be left out.

    Args:
        p: in (0, 1].
    """

    empties = False

    def __init__(self, p: float) -> None:
        check_number("p", p, above=0, high=1)
        self.p = p

    def apply(self, conditional: Distribution, state: Any = None) -> Distribution:
        if self.p == 1:
            return conditional
        symbols = as_categorical(conditional)
        away = (symbols.logits + symbols.entropy()[..., None]).abs()
        return _fewest(symbols.scores, -away, self.p)


class Within(Policy):
    """Only values in an interval, renormalised: low < x < high for real numbers.

    Of counts and ordered levels, those whose numbers are in it, both ends included. An
    interval that a row's law has no mass in is an error when that row is drawn from.

    Args:
        low: the lower end; None for none.
        high: the upper end; None for none.

    Example:
        >>> import arproc
        >>> model = arproc.AR.from_parameters([0.9])
        >>> bool(model.sample(5, 20, policy=Within(low=0.0), seed=0).min() > 0)
        True
    """

    def __init__(self, low: float | None = None, high: float | None = None) -> None:
        for name, value in (("low", low), ("high", high)):
            if value is not None:
                check_number(name, value)
        if low is None and high is None:
            raise ParameterError("low and high are both None; expected one end at least.")
        if low is not None and high is not None and low > high:
            raise ParameterError(f"low is {low}, above high, which is {high}.")
        self.low, self.high = low, high

    def bound(self, law: ChainLaw) -> Policy:
        space = law.space
        ordered = space.measure == "density" or space.kind in ("ordinal", "binary", "count")
        if space.event_shape or space.varies or not ordered:
            raise UnsupportedError(
                f"Within is for real numbers, counts and ordered levels; this process is of "
                f"{space.describe()}."
            )
        return self

    def apply(self, conditional: Distribution, state: Any = None) -> Distribution:
        low = -math.inf if self.low is None else float(self.low)
        high = math.inf if self.high is None else float(self.high)
        if is_count(conditional):
            return cut_counts(conditional, low, high)
        support = conditional.support
        if support is None or conditional.event_shape or not support.is_discrete:
            return _cut(conditional, low, high)
        scores = as_categorical(conditional).scores
        values = torch.arange(scores.shape[-1], device=scores.device)
        return Categorical(scores.masked_fill((values < low) | (values > high), -torch.inf))


def _cut(conditional: Any, low: float, high: float) -> Truncated:
    """A density cut to an interval; one that is cut already, to both."""
    if isinstance(conditional, Truncated):
        return _cut(conditional.base, max(low, conditional.low), min(high, conditional.high))
    if conditional.support is None or conditional.event_shape:
        raise UnsupportedError(
            f"{type(conditional).__name__} is not a density of scalars, as Within needs."
        )
    return Truncated(conditional, low, high)
