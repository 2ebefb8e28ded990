r"""Innovations of mean 0 and variance 1: normal, Student-t, Laplace, and mixtures of normals.

Each kind knows its log-density with its derivatives, for the estimation, and the torch
distribution of an element. Its parameters are a vector psi, inside of `bounds`.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, ClassVar, NamedTuple

import numpy as np
import torch
from torch import distributions as td

from arproc.contract.checked import Number
from arproc.contract.storable import storable

__all__ = ["KINDS", "Density", "Innovations", "make"]

_STEP = 1e-6


class Density(NamedTuple):
    """A log-density at z [n] and its derivatives.

    Attributes:
        value: log f(z), [n].
        slope: its derivative in z, [n].
        moved: its derivatives in psi, [n, len(psi)].
    """

    value: np.ndarray
    slope: np.ndarray
    moved: np.ndarray


class Innovations(ABC):
    """Innovations of mean 0 and variance 1."""

    #: What users call it.
    kind: ClassVar[str]
    #: The parameters' names, a starting point and bounds.
    names: tuple[str, ...] = ()
    start: tuple[float, ...] = ()
    bounds: tuple[tuple[float, float], ...] = ()

    @abstractmethod
    def density(self, z: np.ndarray, psi: np.ndarray, blur: float = 0.0) -> Density:
        """The log-density and its derivatives; `blur` rounds off a kink to that width."""

    @abstractmethod
    def distribution(
        self, loc: torch.Tensor, scale: torch.Tensor, psi: np.ndarray
    ) -> td.Distribution:
        """The law of loc + scale z, loc being its mean and scale its standard deviation."""

    @property
    def size(self) -> int:
        """How many parameters there are; told without naming any."""
        return len(self.names)

    def problems_of(self, psi: np.ndarray) -> Iterator[tuple[bool, str]]:
        """Whether parameters are none that this law may have; see `sentences`."""
        yield False, ""

    def reported(self, psi: np.ndarray) -> np.ndarray:
        """The parameters that are shown, [len(names)]; psi itself by default."""
        return psi


@storable
@dataclass(frozen=True)
class NormalInnovations(Innovations):
    """Standard normal."""

    kind = "normal"

    def density(self, z: np.ndarray, psi: np.ndarray, blur: float = 0.0) -> Density:
        value = -0.5 * (math.log(2 * math.pi) + z**2)
        return Density(value, -z, np.zeros((len(z), 0)))

    def distribution(
        self, loc: torch.Tensor, scale: torch.Tensor, psi: np.ndarray
    ) -> td.Distribution:
        return td.Normal(loc, scale, validate_args=False)


@storable
@dataclass(frozen=True)
class StudentInnovations(Innovations):
    """Student's t with nu > 2 degrees of freedom, divided by its standard deviation."""

    kind = "student_t"
    names = ("nu",)
    start = (8.0,)
    bounds = ((2.05, 500.0),)

    def problems_of(self, psi: np.ndarray) -> Iterator[tuple[bool, str]]:
        yield (
            float(psi[0]) <= 2,
            f"nu is {psi[0]:g}; expected more than 2, so that a variance exists",
        )

    def density(self, z: np.ndarray, psi: np.ndarray, blur: float = 0.0) -> Density:
        from scipy.special import digamma

        nu = float(psi[0])
        square, room = z**2, nu - 2.0
        log = np.log1p(square / room)
        constant = math.lgamma((nu + 1) / 2) - math.lgamma(nu / 2) - 0.5 * math.log(math.pi * room)
        rate = 0.5 * float(digamma((nu + 1) / 2) - digamma(nu / 2)) - 0.5 / room
        moved = rate - 0.5 * log + 0.5 * (nu + 1) * square / (room * (room + square))
        slope = -(nu + 1) * z / (room + square)
        return Density(constant - 0.5 * (nu + 1) * log, slope, moved[:, None])

    def distribution(
        self, loc: torch.Tensor, scale: torch.Tensor, psi: np.ndarray
    ) -> td.Distribution:
        nu = float(psi[0])
        width = scale * math.sqrt((nu - 2.0) / nu)
        return td.StudentT(torch.full_like(loc, nu), loc, width, validate_args=False)


@storable
@dataclass(frozen=True)
class LaplaceInnovations(Innovations):
    """Laplace's double exponential."""

    kind = "laplace"

    def density(self, z: np.ndarray, psi: np.ndarray, blur: float = 0.0) -> Density:
        size = np.sqrt(z**2 + blur**2) if blur else np.abs(z)
        slope = -math.sqrt(2) * (z / size if blur else np.sign(z))
        value = -0.5 * math.log(2) - math.sqrt(2) * size
        return Density(value, slope, np.zeros((len(z), 0)))

    def distribution(
        self, loc: torch.Tensor, scale: torch.Tensor, psi: np.ndarray
    ) -> td.Distribution:
        return td.Laplace(loc, scale / math.sqrt(2), validate_args=False)


@storable
@dataclass(frozen=True)
class MixtureInnovations(Innovations):
    """A mixture of K normals, standardised.

    Psi holds, for all components but the first, the logarithm of the weight over the first's, the
    mean less the first's, and the logarithm of the standard deviation over the first's; shown are
    weights, means and standard deviations of those components, once standardised.

    Attributes:
        components: K, 2 or more.
    """

    components: Annotated[int, Number(low=2)]

    kind = "mixture"

    @property
    def size(self) -> int:
        return 3 * (self.components - 1)

    @cached_property
    def names(self) -> tuple[str, ...]:  # type: ignore[override]
        others = range(2, self.components + 1)
        return tuple(f"{part}.{k}" for part in ("weight", "mean", "scale") for k in others)

    @cached_property
    def start(self) -> tuple[float, ...]:  # type: ignore[override]
        count = self.components - 1
        wider = tuple(math.log(2.0) * (k + 1) for k in range(count))
        return (-1.0,) * count + (0.1,) * count + wider

    @cached_property
    def bounds(self) -> tuple[tuple[float, float], ...]:  # type: ignore[override]
        count = self.components - 1
        return ((-8.0, 8.0),) * count + ((-20.0, 20.0),) * count + ((-4.0, 4.0),) * count

    @staticmethod
    def psi_of(weights: np.ndarray, means: np.ndarray, scales: np.ndarray) -> np.ndarray:
        """Psi of components of any location and scale, each [K]."""
        logits, shifts = np.log(weights[1:] / weights[0]), (means[1:] - means[0]) / scales[0]
        return np.concatenate([logits, shifts, np.log(scales[1:] / scales[0])])

    def parts(self, psi: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Weights, means and standard deviations of all components, each [K]."""
        logits, means, scales = np.asarray(psi).reshape(3, -1)
        weight = np.exp(np.r_[0.0, logits])
        weight /= weight.sum()
        mean, scale = np.r_[0.0, means], np.exp(np.r_[0.0, scales])
        mean = mean - weight @ mean
        size = math.sqrt(weight @ (mean**2 + scale**2))
        return weight, mean / size, scale / size

    def reported(self, psi: np.ndarray) -> np.ndarray:
        return np.concatenate([part[1:] for part in self.parts(psi)])

    def density(self, z: np.ndarray, psi: np.ndarray, blur: float = 0.0) -> Density:
        weight, mean, scale = self.parts(psi)
        u = (z[:, None] - mean) / scale
        terms = np.log(weight / scale) - 0.5 * (math.log(2 * math.pi) + u**2)
        top = terms.max(axis=1, keepdims=True)
        shares = np.exp(terms - top)
        total = shares.sum(axis=1, keepdims=True)
        shares /= total  # the components' posterior probabilities
        moved = np.concatenate([shares / weight, shares * u / scale,
                                shares * (u**2 - 1) / scale], axis=1)  # fmt: skip
        steps = _STEP * np.eye(len(psi))
        jacobian = np.stack([
            np.concatenate(self.parts(psi + h)) - np.concatenate(self.parts(psi - h))
            for h in steps
        ]) / (2 * _STEP)  # fmt: skip
        value = top[:, 0] + np.log(total[:, 0])
        return Density(value, -(shares * u / scale).sum(axis=1), moved @ jacobian.T)

    def distribution(
        self, loc: torch.Tensor, scale: torch.Tensor, psi: np.ndarray
    ) -> td.Distribution:
        weight, mean, width = (torch.from_numpy(part) for part in self.parts(psi))
        shape = (*loc.shape, self.components)
        which = td.Categorical(logits=weight.log().expand(shape), validate_args=False)
        places = loc[..., None] + scale[..., None] * mean
        parts = td.Normal(places, (scale[..., None] * width).expand(shape), validate_args=False)
        return td.MixtureSameFamily(which, parts, validate_args=False)


KINDS = ("normal", "student_t", "laplace", "mixture")


def make(kind: str, components: int) -> Innovations:
    """The innovations of this name."""
    if kind == "mixture":
        return MixtureInnovations(components)
    if kind == "student_t":
        return StudentInnovations()
    return LaplaceInnovations() if kind == "laplace" else NormalInnovations()
