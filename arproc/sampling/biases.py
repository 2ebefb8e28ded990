"""Policies about certain symbols: biases, bans, and ends that come too early."""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch.distributions import Distribution

from arproc.contract.law import ChainLaw
from arproc.distributions import Categorical, as_categorical
from arproc.errors import DataError, ParameterError, UnsupportedError, check_count, check_flag
from arproc.sampling.policies import Policy
from arproc.spaces import Categorical as Symbols

__all__ = ["Ban", "Bias", "MinLength", "symbol_number", "symbols_of"]


def symbols_of(law: ChainLaw, policy: str) -> int:
    """How many symbols a law has, or the error that a policy of symbols does not fit it."""
    space = law.space
    size = 2 if space.kind == "binary" else space.size
    if space.event_shape or space.varies or space.measure == "density" or not size:
        raise UnsupportedError(
            f"{policy} is for processes of finitely many symbols; this one is of "
            f"{space.describe()}."
        )
    return int(size)


def symbol_number(symbol: Any, law: ChainLaw, name: str) -> int:
    """The number of a symbol, which may be named as the law's vocabulary has it."""
    size = symbols_of(law, name)
    space = law.space
    vocabulary = space.vocabulary if isinstance(space, Symbols) else None
    counted = isinstance(symbol, numbers.Integral) and not isinstance(symbol, bool)
    if vocabulary is not None and (vocabulary.kind == "symbols" or not counted):
        number = _looked_up(symbol, vocabulary)
        if number is not None:
            return number
    if not counted or not 0 <= int(symbol) < size:
        raise ParameterError(
            f"{name} names {symbol!r}, which is no symbol of this process; expected one symbol of "
            f"its vocabulary, or a number from 0 to {size - 1}."
        )
    return int(symbol)


def _looked_up(symbol: Any, vocabulary: Any) -> int | None:
    """Where a vocabulary has a symbol; None where it has not."""
    whole = [symbol] if vocabulary.kind == "symbols" else symbol
    if vocabulary.kind != "symbols" and not isinstance(symbol, (str, bytes)):
        return None
    try:
        found = vocabulary.encode(whole)
    except (DataError, TypeError):
        return None
    # words that are not known are encoded as one that stands for all
    back = vocabulary.decode(found)
    same = back == whole or (isinstance(symbol, bytes) and vocabulary.kind == "byte")
    return int(found[0]) if len(found) == 1 and same else None


class Bias(Policy):
    """Adds nats to the scores of some symbols: p(x) exp(bias), renormalised.

    Args:
        biases: nats by symbol, as the model's vocabulary has it, or by number; minus infinity
            bans a symbol.
        end: nats for the end of the sequence.

    Example:
        >>> import arproc
        >>> text = arproc.PPM(order=1, tokens="char").fit(["ab", "ba"])
        >>> more = text.with_policy(Bias({"a": 1.0}))
        >>> def odds(process):
        ...     p = process.conditional().probs
        ...     return float((p[0] / p[1]).log())
        >>> round(odds(more) - odds(text), 6)
        1.0
    """

    def __init__(self, biases: Mapping[Any, float], end: float = 0.0) -> None:
        if not isinstance(biases, Mapping):
            raise ParameterError(f"biases must be nats by symbol, a dict; got {biases!r}.")
        for symbol, value in (*biases.items(), ("end", end)):
            _check_bias(symbol, value)
        self.biases, self.end = dict(biases), end

    @property
    def empties(self) -> bool:  # type: ignore[override]
        return -math.inf in (*self.biases.values(), self.end)

    def bound(self, law: ChainLaw) -> Policy:
        symbols_of(law, "Bias")
        _require_end(law, "Bias", self.end != 0)
        values: dict[Any, float] = {}
        for symbol, value in self.biases.items():
            number = symbol_number(symbol, law, "biases")
            if number in values:
                raise ParameterError(f"biases names the symbol {symbol!r} twice.")
            values[number] = value
        return _Numbered(tuple(values), tuple(values.values()), self.end, law.space.end)

    def apply(self, conditional: Distribution, state: Any = None) -> Distribution:
        _require_numbers(self.biases)
        return _Numbered(tuple(self.biases), tuple(self.biases.values())).apply(conditional)


class Ban(Policy):
    """Forbids some symbols.

    Args:
        symbols: as the model's vocabulary has them, or by number.
        end: whether the end of a sequence is forbidden, so that draws need a length.

    Example:
        >>> import arproc
        >>> text = arproc.PPM(order=2, tokens="char").fit(["ab", "ba"])
        >>> text.sample(1, length=4, policy=Ban(["b"], end=True), seed=0)
        ['aaaa']
    """

    def __init__(self, symbols: Iterable[Any] = (), end: bool = False) -> None:
        if isinstance(symbols, str):
            raise ParameterError(
                f"symbols must be a list of symbols, such as [{symbols!r}]; got {symbols!r}."
            )
        try:
            self.symbols = list(symbols)
        except TypeError:
            raise ParameterError(f"symbols must be a list of symbols; got {symbols!r}.") from None
        self.end = check_flag("end", end)

    def bound(self, law: ChainLaw) -> Policy:
        symbols_of(law, "Ban")
        _require_end(law, "Ban", self.end)
        found = sorted({symbol_number(symbol, law, "symbols") for symbol in self.symbols})
        end = -math.inf if self.end else 0.0
        return _Numbered(tuple(found), (-math.inf,) * len(found), end, law.space.end)

    def apply(self, conditional: Distribution, state: Any = None) -> Distribution:
        _require_numbers(self.symbols)
        banned = tuple(self.symbols)
        return _Numbered(banned, (-math.inf,) * len(banned)).apply(conditional)


class _Numbered(Policy):
    """Nats to add to the scores of symbols by number; what `Bias` and `Ban` are for a law."""

    def __init__(
        self,
        numbers: tuple[int, ...],
        values: tuple[float, ...],
        end: float = 0.0,
        end_symbol: int | None = None,
    ) -> None:
        self.numbers, self.values = numbers, values
        self.end, self.end_symbol = end, end_symbol

    @property
    def empties(self) -> bool:  # type: ignore[override]
        return -math.inf in (*self.values, self.end)

    def forbids_end(self, law: ChainLaw) -> bool:
        biases = dict(zip(self.numbers, self.values, strict=True))
        own = 0.0 if self.end_symbol is None else biases.get(self.end_symbol, 0.0)
        return -math.inf in (self.end, own)

    def apply(self, conditional: Distribution, state: Any = None) -> Distribution:
        scores = as_categorical(conditional).scores
        added = torch.zeros(scores.shape[-1], dtype=scores.dtype, device=scores.device)
        if self.numbers:
            added[list(self.numbers)] = torch.tensor(self.values).to(added)
        if self.end_symbol is not None:
            added[self.end_symbol] += self.end
        return Categorical(scores + added)

    def __repr__(self) -> str:
        banned = [n for n, v in zip(self.numbers, self.values, strict=True) if v == -math.inf]
        if len(banned) == len(self.numbers) and self.end in (0.0, -math.inf):
            return f"Ban({banned}{', end=True' if self.end else ''})"
        pairs = dict(zip(self.numbers, self.values, strict=True))
        return f"Bias({pairs}{f', end={self.end}' if self.end else ''})"


def _check_bias(symbol: Any, value: Any) -> None:
    plain = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not plain or math.isnan(value) or value == math.inf:
        raise ParameterError(
            f"the bias of {symbol!r} must be a number of nats, or minus infinity; got {value!r}."
        )


def _require_end(law: ChainLaw, policy: str, asked: bool) -> None:
    if asked and law.space.end is None:
        raise ParameterError(f"{policy} has end=, and sequences of this process have no end.")


def _require_numbers(symbols: Iterable[Any]) -> None:
    for symbol in symbols:
        if not isinstance(symbol, numbers.Integral) or isinstance(symbol, bool):
            raise ParameterError(
                f"{symbol!r} is not the number of a symbol; names are for policies of a process "
                "(with_policy, sample), which has a vocabulary."
            )


class MinLength(Policy):
    """Sequences do not end before they have so many elements, a prefix counted.

    Args:
        length: the least number of elements.
    """

    stateful = True

    def __init__(self, length: int) -> None:
        self.length = check_count("length", length, minimum=0)

    def bound(self, law: ChainLaw) -> Policy:
        _require_end(law, "MinLength", True)
        return _UntilLength(self.length, law.space.end)


class _UntilLength(Policy):
    """Forbids a symbol until a row has so many elements; the state is how many it has, [N]."""

    stateful = True

    def __init__(self, length: int, symbol: int | None) -> None:
        self.length, self.symbol = length, symbol

    def start(self, n: int, law: ChainLaw) -> torch.Tensor:
        return torch.zeros(n, dtype=torch.int64, device=law.device)

    def append(self, state: Any, x: torch.Tensor, active: torch.Tensor | None = None) -> Any:
        return state + 1 if active is None else state + active

    def select(self, state: Any, rows: torch.Tensor) -> Any:
        return state[rows]

    def apply(self, conditional: Distribution, state: Any = None) -> Distribution:
        scores = as_categorical(conditional).scores
        early = torch.zeros_like(scores, dtype=torch.bool)
        early[..., self.symbol] = state < self.length
        return Categorical(scores.masked_fill(early, -torch.inf))

    def __repr__(self) -> str:
        return f"MinLength({self.length})"
