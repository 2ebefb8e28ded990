"""Small processes of every shape that the contract allows, to test its derived calls with.

Each is proper, and simple enough that a test can compute its numbers by hand.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import distributions as td

from arproc import Process, State
from arproc.contract.sequences import Layout, Sequences
from arproc.contract.storable import StorableModule
from arproc.data.vocabulary import Vocabulary
from arproc.distributions import Categorical, concatenate, index
from arproc.process.written import WholeModel
from arproc.spaces import Binary, Count, Ordinal, Real, RealVector, Space
from arproc.spaces import Categorical as Symbols

F64 = torch.float64


class Toy(Process):
    """A process whose `fit` only learns its space; its numbers are fixed."""

    def _fit(self, sequences: Sequences, *, validation: Any, context: Any) -> None:
        self.total_ = len(sequences.values)


class Walk(Toy):
    """x_t ~ N(a x_{t-1}, 1): a window of one; begins at 0, or after a given value."""

    window_length = 1

    def __init__(self, a: float | torch.Tensor = 0.5, given: bool = False) -> None:
        self.a = a
        self.given = given

    @property
    def n_given(self) -> int:
        return int(self.given)

    def _infer_space(self, data: Any) -> Space:
        return Real()

    def window(self, ctx: torch.Tensor, position: torch.Tensor) -> td.Distribution:
        mean = self.a * ctx[:, :, -1]
        return td.Normal(mean, torch.ones_like(mean), validate_args=False)


class Chain(Toy):
    """A Markov chain of order two over symbols; the last may be the end."""

    padding = 0

    def __init__(self, symbols: int = 3, end: bool = False, order: int = 2) -> None:
        self.symbols = symbols
        self.end = end
        self.order = order

    @property
    def window_length(self) -> int:
        return self.order

    def _infer_space(self, data: Any) -> Space:
        return Symbols(self.symbols, end_symbol=self.symbols - 1 if self.end else None)

    def window(self, ctx: torch.Tensor, position: torch.Tensor) -> td.Distribution:
        weight = torch.arange(1.0, self.order + 1, dtype=F64)
        at = (ctx.double() * weight).sum(-1) + torch.where(position == 0, 0.5, 0.0)
        return Categorical(torch.sin(at[..., None] + 1.7 * torch.arange(self.symbols)) * 2)


class Letters(Chain):
    """The chain over characters, with a vocabulary; text ends by an end symbol, or not."""

    def __init__(self, letters: str = "ab", end: bool = True, kind: str = "char") -> None:
        self.letters = letters
        self.end = end
        self.kind = kind
        self.order = 1

    @property
    def symbols(self) -> int:  # type: ignore[override]
        known = 256 if self.kind == "byte" else len(set(self.letters))
        return known + int(self.end)

    def _infer_space(self, data: Any) -> Space:
        vocabulary = Vocabulary.build(self.letters, self.kind)
        return Symbols(self.symbols, vocabulary, end_symbol=len(vocabulary) if self.end else None)


class Counter(Toy):
    """Counts with rate 1 + (sum of all counts so far) / (10 + number): its own state."""

    def __init__(self, base: float = 1.0) -> None:
        self.base = base

    def _infer_space(self, data: Any) -> Space:
        return Count()

    def _start(self, n: int, context: Any) -> State:
        return _CounterState(self.base, torch.zeros(n, dtype=F64), torch.zeros(n, dtype=F64))


class _CounterState(State):
    """Writes only what it must: `_conditional` and `_append`."""

    def __init__(self, base: float, total: torch.Tensor, number: torch.Tensor) -> None:
        self.base, self.total, self.number = base, total, number

    def _conditional(self) -> td.Distribution:
        return td.Poisson(self.base + self.total / (10 + self.number), validate_args=False)

    def _append(self, x: torch.Tensor) -> State:
        return _CounterState(self.base, self.total + x, self.number + 1)


class Bits(Toy):
    """A fixed number of bits, each leaning to the parity of those before: `_conditionals` only."""

    def __init__(
        self, shape: tuple[int, ...] = (4,), order: tuple[int, ...] | None = None
    ) -> None:
        self.shape = shape
        self.order = order

    def _layout_of(self, space: Space) -> Layout:
        return Layout(tuple(self.shape), self.order)

    def _infer_space(self, data: Any) -> Space:
        return Binary(length=int(np.prod(self.shape)))

    def _conditionals(self, x: torch.Tensor) -> td.Distribution:
        before = torch.cat([x.new_zeros(len(x), 1), x.cumsum(1)], dim=1)
        bias = 0.1 * torch.arange(before.shape[1])
        return td.Bernoulli(logits=2 * (before % 2) - 1 + bias, validate_args=False)


class Levels(Bits):
    """Images of ordered levels, each pixel near the last."""

    def __init__(self, shape: tuple[int, ...] = (2, 2), levels: int = 5) -> None:
        super().__init__(shape)
        self.levels = levels

    def _infer_space(self, data: Any) -> Space:
        return Ordinal(length=int(np.prod(self.shape)), levels=self.levels)

    def _conditionals(self, x: torch.Tensor) -> td.Distribution:
        before = torch.cat([x.new_full((len(x), 1), 2), x], dim=1)
        level = torch.arange(self.levels)
        return Categorical(-((level - before[..., None]).double() ** 2) / 4)


class Linear(Toy):
    """Vectors: x_t ~ N(A x_{t-1}, I), jointly or independent over the components."""

    window_length = 1

    def __init__(self, dimension: int = 2, joint: bool = True) -> None:
        self.dimension = dimension
        self.joint = joint

    def _infer_space(self, data: Any) -> Space:
        return RealVector(dimension=self.dimension)

    def window(self, ctx: torch.Tensor, position: torch.Tensor) -> td.Distribution:
        mean = 0.5 * ctx[:, :, -1].flip(-1)
        if not self.joint:
            return td.Independent(td.Normal(mean, 1.0, validate_args=False), 1)
        eye = torch.eye(self.dimension, dtype=mean.dtype)
        return td.MultivariateNormal(mean, scale_tril=eye, validate_args=False)


class Driven(Toy):
    """x_t ~ N(0.5 x_{t-1} + c_t, 1) with a context of one number, static or per step."""

    window_length = 1

    def __init__(self, kind: str = "static") -> None:
        self.kind = kind

    @property
    def context_kind(self) -> Any:  # type: ignore[override]
        return self.kind

    def _infer_space(self, data: Any) -> Space:
        return Real()

    def window(self, ctx, position, context=None):
        push = context[:, None, 0] if self.kind == "static" else context[..., 0]
        mean = 0.5 * ctx[:, :, -1] + push
        return td.Normal(mean, torch.ones_like(mean), validate_args=False)


class Small(StorableModule):
    """A network with parameters and running averages."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layer, self.norm = torch.nn.Linear(2, width), torch.nn.BatchNorm1d(width)

    def forward(self, x):
        return self.norm(self.layer(x))


class Net(Walk):
    """The walk again, with a network that nothing uses: for what is saved of networks."""

    def __init__(self, width: int = 3) -> None:
        self.width = width
        self.a, self.given = 0.5, False

    def _fit(self, sequences, *, validation, context):
        torch.manual_seed(0)
        self.network_ = Small(self.width).eval()


class Orders(WholeModel):
    """A law without conditionals: pairs (a, b), b near a or a near b with equal chance."""

    no_conditional = "it is a mixture over two orders of generation"

    def _infer_space(self, data: Any) -> Space:
        return Real(length=2)

    def _fit(self, sequences: Sequences, *, validation: Any, context: Any) -> None:
        self.total_ = len(sequences)

    def _log_prob(self, sequences: Sequences, context: Any) -> torch.Tensor:
        x = sequences.padded()[0]
        one = td.Normal(0.0, 1.0).log_prob(x[:, 0]) + td.Normal(x[:, 0], 1.0).log_prob(x[:, 1])
        two = td.Normal(0.0, 1.0).log_prob(x[:, 1]) + td.Normal(x[:, 1], 1.0).log_prob(x[:, 0])
        return torch.logsumexp(torch.stack([one, two]), 0) - np.log(2)

    def _draw(self, n: int, uniforms: Any, context: Any) -> torch.Tensor:
        u = uniforms.block(torch.arange(n), 0, 3)
        first, step = torch.special.ndtri(u[:, 0]), torch.special.ndtri(u[:, 1])
        x = torch.stack([first, first + step], -1)
        return torch.where(u[:, 2:] < 0.5, x, x.flip(1))


def fitted() -> dict[str, tuple[Process, Any]]:
    """Every toy process, fitted, with some sequences of its own."""
    rng = np.random.default_rng(0)
    symbols = [rng.integers(0, 3, size=t).tolist() for t in (4, 1, 7)]
    counts = [rng.poisson(2.0, size=t) for t in (5, 3)]
    examples = {
        "Walk": (Walk(), [rng.normal(size=t) for t in (5, 2, 3)]),
        "Walk given": (Walk(given=True), [rng.normal(size=t) for t in (5, 2, 3)]),
        "Chain": (Chain(), symbols),
        "Chain with an end": (Chain(4, end=True), [*symbols, []]),
        "Letters": (Letters(), ["ab", "", "babba"]),
        "Letters without an end": (Letters(end=False), ["ab", "a", "babba"]),
        "Bytes": (Letters(kind="byte", end=False), ["aé", "€"]),
        "Counter": (Counter(), counts),
        "Bits": (Bits(), rng.integers(0, 2, size=(6, 4))),
        "Bits in another order": (Bits((2, 3), (5, 3, 1, 0, 2, 4)), rng.integers(0, 2, (4, 2, 3))),
        "Levels": (Levels(), rng.integers(0, 5, size=(3, 2, 2))),
        "Linear": (Linear(), rng.normal(size=(3, 4, 2))),
        "Linear, independent": (Linear(joint=False), rng.normal(size=(4, 2))),
    }
    return {name: (process.fit(data), data) for name, (process, data) in examples.items()}


def teacher_forcing(process: Process, data: Any) -> list[torch.Tensor]:
    """The chain rule's terms one element at a time, the slow way, straight from the states."""
    sequences = process.sequences(data)
    result = []
    for i in range(len(sequences)):
        x = sequences.row(i)
        if process.space.terminates and bool(sequences.complete[i]):
            x = torch.cat([x, x.new_tensor([process.space.end])])
        state, terms = process.start(), []
        for t in range(len(x)):
            if t >= process.n_given:
                terms.append(state.conditional.log_prob(x[t : t + 1]))
            state = state.append(x[t : t + 1])
        result.append(torch.cat(terms).double() if terms else torch.zeros(0, dtype=F64))
    return result


def enumerate_columns(process: Process, x: torch.Tensor) -> td.Distribution:
    """The conditionals of x [N, T, ...] by appending, batch [N, T], given values left out."""
    state, columns = process.start(len(x)), []
    for t in range(x.shape[1]):
        if t >= process.n_given:
            columns.append(index(state.conditional, (slice(None), None)))
        state = state.append(x[:, t])
    return concatenate(columns, dim=1)
