"""What a constraint is over the symbols of a law: which may come next, and where one may end."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from enum import Enum
from typing import Any

import numpy as np
import torch

from arproc.contract.law import ChainLaw
from arproc.contract.reading import require_reading_order
from arproc.distributions import Categorical
from arproc.errors import ParameterError
from arproc.sampling.biases import symbols_of
from arproc.sampling.constraints.tables import Deadline, leading_to
from arproc.spaces import Categorical as Symbols

__all__ = ["DEAD", "ENDED", "Acceptor", "Alphabet", "FiniteAcceptor"]


class _Over(Enum):
    """States in which nothing is left to decide; no user's state is equal to one."""

    DEAD = "dead"
    ENDED = "ended"


#: The states of what was broken, and of what has come to its end.
DEAD, ENDED = _Over.DEAD, _Over.ENDED
#: How many entries of rows of targets are kept.
_KEPT = 2**26


class Alphabet:
    """The symbols of a law, for a constraint.

    Args:
        law: the law.
        name: the constraint, for errors.

    Attributes:
        size: how many symbols there are, the end among them.
        end: the end's number, or None.
        length: how many symbols all sequences have, or None.
        vocabulary: what the symbols are called, or None.
    """

    def __init__(self, law: ChainLaw, name: str) -> None:
        require_reading_order(law, name)
        self.size = symbols_of(law, name)
        self.end, self.length = law.space.end, law.space.length
        self.vocabulary = law.space.vocabulary if isinstance(law.space, Symbols) else None


class Acceptor(ABC):
    """An automaton over a law's symbols, whose states are immutable.

    Attributes:
        alphabet: the symbols.
        start: the first state.
        name: the constraint, for errors.
        finite: whether it is known to have finitely many states.
    """

    start: Any
    finite: bool = False

    def __init__(self, alphabet: Alphabet, name: str) -> None:
        self.alphabet, self.name = alphabet, name
        self._none = torch.ones(alphabet.size, dtype=torch.bool)
        self._all = torch.zeros(alphabet.size, dtype=torch.bool)

    @abstractmethod
    def forbidden_after(self, state: Any) -> torch.Tensor:
        """Which symbols may not come, the end among them, bool [size]; of a live state."""

    @abstractmethod
    def after(self, state: Any, symbol: int) -> Any:
        """The state after a symbol that is not the end; DEAD where it may not come."""

    @abstractmethod
    def accepts(self, state: Any) -> bool:
        """Whether a sequence may end in a live state."""

    def forbidden(self, state: Any) -> torch.Tensor:
        """The same for any state: nothing may follow what was broken, what has ended is free."""
        if state is DEAD:
            return self._none
        return self._all if state is ENDED else self.forbidden_after(state)

    def step(self, state: Any, symbol: int) -> Any:
        """The state after any symbol in any state."""
        if state is DEAD or state is ENDED:
            return state
        if symbol == self.alphabet.end:
            return ENDED if self.accepts(state) else DEAD
        found = self.after(state, symbol)
        return DEAD if found is None else found

    def changed(self, categorical: Categorical, states: Sequence[Any]) -> torch.Tensor:
        """The scores [n, size] of the symbols that may come next, by states."""
        scores = categorical.scores
        if not states:
            return scores
        closed = torch.stack([self.forbidden(state) for state in states])
        return scores.masked_fill(closed.to(scores.device), -torch.inf)


class FiniteAcceptor(Acceptor):
    """An automaton of finitely many states, in which every step can still lead to an end.

    States from which nothing accepted can be spelled with the law's symbols are dead; and where
    all sequences have one length, in the steps that are left.

    Args:
        alphabet: the symbols.
        name: the constraint.
        targets: of a state the state after each symbol, int32 [size], -1 for none.
        accepting: bool [states].
        start: the first state.
        deadline: when it must be done.
    """

    finite = True

    def __init__(
        self,
        alphabet: Alphabet,
        name: str,
        targets: Callable[[int], np.ndarray],
        accepting: np.ndarray,
        start: int,
        deadline: Deadline,
    ) -> None:
        super().__init__(alphabet, name)
        self._asked, self.accepting, self.none = targets, accepting, len(accepting)
        self._rows: dict[int, np.ndarray] = {}
        self._masks: dict[Any, torch.Tensor] = {}
        self._most = max(16, _KEPT // alphabet.size)
        self.alive = self._reachable(start, deadline)
        # with a last one for `none`
        self._dead = np.append(~self.alive, np.ones_like(self.alive[..., :1]), axis=-1)
        self.start = (start, 0) if alphabet.length is not None else start
        if not self._live(start, 0):
            raise ParameterError(
                f"{name} allows nothing that can be spelled with the {alphabet.size} symbols of "
                "this process"
                + (f" in the {alphabet.length} that it has." if alphabet.length else ".")
            )

        if alphabet.length is None and len(self._reached) <= self._most:
            for state in self._reached:  # so that no draw waits for a mask
                self.forbidden_after(state)

    def targets(self, state: int) -> np.ndarray:
        """The state after each symbol, dead ones too, `none` where there is none, int32 [size]."""
        found = self._rows.get(state)
        if found is None:
            asked = self._asked(state)
            found = np.where(asked < 0, self.none, asked)
            if self.alphabet.end is not None:
                found[self.alphabet.end] = self.none  # which may have a text, but adds none
            if len(self._rows) < self._most:
                self._rows[state] = found
        return found

    def forbidden_after(self, state: Any) -> torch.Tensor:
        found = self._masks.get(state)
        if found is None:
            if len(self._masks) >= self._most:
                self._masks.clear()
            found = self._masks[state] = torch.from_numpy(self._closed(state))
        return found

    def _closed(self, state: Any) -> np.ndarray:
        number, place = self._at(state)
        if place is not None and place == self.alphabet.length:
            return self._all.numpy()  # it is whole: nobody asks what comes next
        dead = self._dead if place is None else self._dead[place + 1]
        closed = dead.take(self.targets(number), mode="clip")
        if self.alphabet.end is not None:
            closed[self.alphabet.end] = not self.accepting[number]
        return closed

    def after(self, state: Any, symbol: int) -> Any:
        number, place = self._at(state)
        found = int(self.targets(number)[symbol])
        following = None if place is None else place + 1
        if found == self.none or not self._live(found, following):
            return DEAD
        return found if following is None else (found, following)

    def accepts(self, state: Any) -> bool:
        return bool(self.accepting[self._at(state)[0]])

    def _at(self, state: Any) -> tuple[int, int | None]:
        return (state, None) if self.alphabet.length is None else state

    def _live(self, number: int, place: int | None) -> bool:
        if self.alphabet.length is None:
            return bool(self.alive[number])
        return place is not None and place <= self.alphabet.length and self.alive[place, number]

    def _reachable(self, start: int, deadline: Deadline) -> np.ndarray:
        """Which states can still be accepted: bool [states]; at each place [T + 1, states]."""
        pairs, seen, waiting = [], {start}, [start]
        while waiting:
            state = waiting.pop()
            deadline.check()
            following = np.unique(self.targets(state))
            following = following[following < self.none]
            pairs.append((state, following))
            new = [s for s in following.tolist() if s not in seen]
            seen.update(new)
            waiting += new
        self._reached = sorted(seen)
        source = np.repeat([s for s, _ in pairs], [len(f) for _, f in pairs])
        target = np.concatenate([f for _, f in pairs])
        if self.alphabet.length is not None:
            return self._at_places(source, target)
        return leading_to(self.accepting, source, target)

    def _at_places(self, source: np.ndarray, target: np.ndarray) -> np.ndarray:
        length = self.alphabet.length or 0
        alive = np.zeros((length + 1, len(self.accepting)), bool)
        alive[length] = self.accepting
        for place in range(length - 1, -1, -1):
            alive[place, source[alive[place + 1, target]]] = True
        return alive
