"""When a draw is cut: after strings, where a function says so, when a budget is spent."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch

from arproc.contract.law import ChainLaw
from arproc.contract.reading import require_reading_order
from arproc.data.vocabulary import Vocabulary
from arproc.errors import ParameterError, check_number
from arproc.sampling.constraints.acceptor import DEAD, ENDED, Acceptor
from arproc.sampling.constraints.constraint import Constraint
from arproc.spaces import Categorical

__all__ = ["Budget", "Stopper", "stopper"]


class Stopper(ABC):
    """Says which rows of a draw have enough.

    Attributes:
        window: how many of the last elements it looks at; None for all.
        counts_nats: whether it needs to know how surprising the elements were.
        looks_ahead: whether it has a cheap answer for whole blocks, `perhaps`.
    """

    window: int | None = None
    counts_nats: bool = False
    looks_ahead: bool = False

    @abstractmethod
    def met(
        self, seen: torch.Tensor, rows: torch.Tensor, nats: torch.Tensor | None
    ) -> torch.Tensor:
        """Which rows are to be cut here, bool [n]; asked once after every element of a row.

        Args:
            seen: the elements so far (the last ones, with a `window`) of the open rows, [n, t].
            rows: the numbers of these rows, int64 [n].
            nats: how surprising each row's elements were, [n], where that is counted.
        """

    def perhaps(self, seen: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
        """Which rows may be cut by an element of a block, bool [n]; `met` is asked of no other.

        Args:
            seen: the elements of the block, and before them as many as `window` says, [n, t].
            counts: how many of them each row has, int64 [n]; all after these mean nothing.
        """
        return torch.ones(len(seen), dtype=torch.bool)

    def begin(self) -> None:
        """Forget what came: called before the first element."""
        return


class Budget(Stopper):
    """Cuts draws when they have taken so long, or so many nats.

    Args:
        seconds: of the whole draw, all rows together; the result then depends on the machine.
        nats: of each row: it is cut by the element with which its surprise, the negative
            log-probability of its elements under the law that draws, reaches this.

    Example:
        >>> import arproc
        >>> text = arproc.PPM(order=2, tokens="char").fit("abracadabra abracadabra")
        >>> short, long = (text.sample(1, 99, stop=Budget(nats=k), seed=0)[0] for k in (2, 20))
        >>> long.startswith(short), len(short) < len(long) < 99
        (True, True)
    """

    def __init__(self, seconds: float | None = None, nats: float | None = None) -> None:
        if seconds is None and nats is None:
            raise ParameterError("Budget is of seconds=, of nats= or of both; got neither.")
        for name, value in (("seconds", seconds), ("nats", nats)):
            if value is not None:
                check_number(name, value, above=0)
        self.seconds, self.nats = seconds, nats
        self.counts_nats = nats is not None
        self.window = 1
        self._end = float("inf")

    def begin(self) -> None:
        self._end = float("inf") if self.seconds is None else time.monotonic() + self.seconds

    def met(
        self, seen: torch.Tensor, rows: torch.Tensor, nats: torch.Tensor | None
    ) -> torch.Tensor:
        if time.monotonic() >= self._end:
            return torch.ones(len(seen), dtype=torch.bool)
        if nats is None or self.nats is None:
            return torch.zeros(len(seen), dtype=torch.bool)
        return nats >= self.nats

    def __repr__(self) -> str:
        parts = {"seconds": self.seconds, "nats": self.nats}
        return f"Budget({', '.join(f'{k}={v:g}' for k, v in parts.items() if v is not None)})"


class _Function(Stopper):
    """A user's function of the elements so far."""

    def __init__(self, function: Callable[[torch.Tensor], Any]) -> None:
        self.function = function

    def met(
        self, seen: torch.Tensor, rows: torch.Tensor, nats: torch.Tensor | None
    ) -> torch.Tensor:
        found = self.function(seen)
        try:
            met = torch.as_tensor(found)
        except Exception:  # whatever a function may give
            raise ParameterError(
                f"stop must return one truth value a row, bool [{len(seen)}]; got {found!r}."
            ) from None
        if met.shape != rows.shape or met.dtype != torch.bool:
            raise ParameterError(
                f"stop must return one truth value a row, bool [{len(seen)}]; got {met.dtype} of "
                f"shape {list(met.shape)}."
            )
        return met.cpu()


class _Strings(Stopper):
    """Whether the text of the last symbols holds one of some strings.

    Each symbol is at least one byte of UTF-8, so as many as the longest string has bytes hold it
    wherever it ends; and one before them, since a blank may stand between symbols (of words), or
    be left out before the first (by tokenizers).
    """

    def __init__(self, strings: Sequence[str], vocabulary: Vocabulary) -> None:
        self.strings, self.vocabulary = tuple(strings), vocabulary
        self.window = max(len(s.encode()) for s in strings) + 1
        #: Whether the text of a block holds that of each of its parts. A part of a character is
        #: told as U+FFFD, which the whole has not; a tokenizer may decode as it likes.
        self.looks_ahead = type(vocabulary) is Vocabulary and "\ufffd" not in "".join(strings)

    def perhaps(self, seen: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
        return self._hold(row[:count] for row, count in zip(seen, counts.tolist(), strict=True))

    def met(
        self, seen: torch.Tensor, rows: torch.Tensor, nats: torch.Tensor | None
    ) -> torch.Tensor:
        return self._hold(seen)

    def _hold(self, seen: Iterable[torch.Tensor]) -> torch.Tensor:
        texts = [self.vocabulary.decode(row.cpu().numpy()) for row in seen]
        return torch.tensor([any(s in text for s in self.strings) for text in texts])


class Watched(Stopper):
    """Follows an automaton along each row.

    Args:
        acceptor: the automaton.
        cuts: of its state after an element, whether the row is cut there.
    """

    window = 1

    def __init__(self, acceptor: Acceptor, cuts: Callable[[Any], bool]) -> None:
        self.acceptor, self.cuts = acceptor, cuts
        self.states: dict[int, Any] = {}

    def begin(self) -> None:
        self.states = {}

    def met(
        self, seen: torch.Tensor, rows: torch.Tensor, nats: torch.Tensor | None
    ) -> torch.Tensor:
        found = []
        for row, last in zip(rows.tolist(), seen[:, -1].tolist(), strict=True):
            before = self.states.get(row, self.acceptor.start)
            state = self.states[row] = self.acceptor.step(before, int(last))
            found.append(bool(self.cuts(state)))
        return torch.tensor(found)


class _Any(Stopper):
    """What the first of several stops."""

    def __init__(self, parts: Sequence[Stopper]) -> None:
        self.parts = parts
        windows = [part.window for part in parts]
        known = [w for w in windows if w is not None]
        self.window = max(known) if len(known) == len(windows) else None
        self.counts_nats = any(part.counts_nats for part in parts)

    def begin(self) -> None:
        for part in self.parts:
            part.begin()

    def met(
        self, seen: torch.Tensor, rows: torch.Tensor, nats: torch.Tensor | None
    ) -> torch.Tensor:
        found = torch.zeros(len(seen), dtype=torch.bool)
        for part in self.parts:
            own = seen if part.window is None else seen[:, -part.window :]
            found |= part.met(own, rows, nats)
        return found


def stopper(stop: Any, law: ChainLaw) -> Stopper | None:
    """What a user's `stop` means for a law."""
    if stop is None or isinstance(stop, Stopper):
        return stop
    if isinstance(stop, Constraint):
        acceptor = stop.acceptor(law)
        return Watched(acceptor, lambda s: s not in (DEAD, ENDED) and acceptor.accepts(s))
    if callable(stop):
        return _Function(stop)
    vocabulary = law.space.vocabulary if isinstance(law.space, Categorical) else None
    listed = list(stop) if isinstance(stop, (list, tuple)) else [stop]
    strings = [item for item in listed if isinstance(item, str)]
    others = [item for item in listed if not isinstance(item, str)]
    wrong = any(item is None or isinstance(item, (list, tuple)) for item in others)
    fine = others == [] or all(isinstance(o, (Stopper, Constraint)) or callable(o) for o in others)
    if not listed or wrong or not fine or "" in strings or (strings and vocabulary is None):
        raise ParameterError(
            "stop must be a function of the elements so far [N, t] to a mask [N], a Budget, a "
            "constraint, or (for models of text) a string or a list of strings, none empty; got "
            f"{stop!r}."
        )
    parts = [part for part in (stopper(item, law) for item in others) if part is not None]
    if strings and vocabulary is not None:
        require_reading_order(law, "a stop string")
        parts.append(_Strings(strings, vocabulary))
    return parts[0] if len(parts) == 1 else _Any(parts)
