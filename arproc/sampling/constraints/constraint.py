"""Constraints: the base of all, and those written in Python, over symbols or a text."""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch

from arproc.contract.law import ChainLaw
from arproc.data.token_texts import token_texts
from arproc.errors import ParameterError, UnsupportedError, check_choice, check_number
from arproc.sampling.constraints.acceptor import DEAD, Acceptor, Alphabet
from arproc.sampling.constraints.terms import AcceptorTerms
from arproc.sampling.evidence import Evidence, Setting, Terms

__all__ = ["Constraint", "check_seconds"]

#: How many masks are kept.
_KEPT = 4096


class Constraint(Evidence):
    """Which sequences are allowed; written by a user for automata of any kind.

    A constraint is `Evidence` too: `condition` draws given that the whole sequence keeps it.

    A subclass writes `start`, `step` and `accepts`. States are immutable and hashable; a step to
    None is one that is not allowed, and a state from which nothing allowed can be reached should
    be None too, since a mask looks one step ahead. Every symbol is tried once for each state that
    is met, which takes a while where there are 50,000.

    Attributes:
        over: what a step reads: "symbol", a symbol as the model's vocabulary names it (a word,
            say; the number where there is no vocabulary, or a tokenizer); "character" or "byte",
            each of the text's.

    Example:
        >>> import arproc
        >>> from arproc.sampling import Constrain, Constraint
        >>> class Balanced(Constraint):
        ...     over = "character"
        ...     def __init__(self, most=3):
        ...         self.most = most
        ...     def start(self):
        ...         return 0
        ...     def step(self, state, symbol):
        ...         state += {"(": 1, ")": -1}.get(symbol, 0)
        ...         return state if 0 <= state <= self.most else None
        ...     def accepts(self, state):
        ...         return state == 0
        >>> text = arproc.PPM(order=1, tokens="char").fit(["(a)", "(", ")a", "a(a)"])
        >>> drawn = text.sample(9, 30, policy=Constrain(Balanced()), seed=0, return_log_prob=True)
        >>> all(t.count("(") == t.count(")") for t in drawn.x if drawn.complete[drawn.x.index(t)])
        True
    """

    over: str = "symbol"

    def start(self) -> Any:
        """The state before anything."""
        raise UnsupportedError(f"{type(self).__name__} does not write start.")

    def step(self, state: Any, symbol: Any) -> Any:
        """The state after one more symbol; None where it may not come."""
        raise UnsupportedError(f"{type(self).__name__} does not write step.")

    def accepts(self, state: Any) -> bool:
        """Whether a sequence may end here."""
        raise UnsupportedError(f"{type(self).__name__} does not write accepts.")

    def bound(self, setting: Setting) -> Terms:
        return AcceptorTerms(self.acceptor(setting.law), setting.law, setting.steps)

    def compiled(self, law: ChainLaw) -> Acceptor:
        """What it is over the symbols of a law; see `acceptor`, which keeps it."""
        return written(self, law)

    def acceptor(self, law: ChainLaw) -> Acceptor:
        """What the constraint is over the symbols of a law, compiled once."""
        known, params = _COMPILED.setdefault(self, []), self.get_params()
        for space, before, found in known:
            if space is law.space and before == params:
                return found
        found = self.compiled(law)
        known.append((law.space, params, found))
        return found


_COMPILED: WeakKeyDictionary[Constraint, list[tuple[Any, Any, Acceptor]]] = WeakKeyDictionary()


def check_seconds(seconds: Any) -> float:
    """How long a constraint may be compiled, or `ParameterError`."""
    return check_number("seconds", seconds, above=0)


def written(constraint: Constraint, law: ChainLaw) -> Acceptor:
    """A user's constraint over the symbols of a law."""
    name = type(constraint).__name__
    alphabet = Alphabet(law, name)
    if alphabet.length is not None:
        raise UnsupportedError(
            f"{name} looks one step ahead, and all sequences of this process have "
            f"{alphabet.length} elements: whether one can be finished in these is known of "
            "Automaton, Regex and AllowedAt alone."
        )
    over = check_choice(f"{name}.over", constraint.over, ("symbol", "character", "byte"))
    return WrittenAcceptor(constraint, alphabet, name, over)


class WrittenAcceptor(Acceptor):
    """Steps by the user's own function; masks by trying every symbol, once for each state."""

    def __init__(self, constraint: Constraint, alphabet: Alphabet, name: str, over: str) -> None:
        super().__init__(alphabet, name)
        self.constraint, self.over = constraint, over
        texts = None if over == "symbol" else token_texts(alphabet.vocabulary)
        self.texts = texts
        # of texts a state is the user's, the bytes of a character begun, and whether it began
        first = constraint.start()
        self.start = first if texts is None else (first, b"", True)
        self._known: dict[Any, tuple[torch.Tensor, list[Any]]] = {}
        if self.start is None:
            raise ParameterError(f"{name}.start() is None, which is no state.")
        vocabulary = alphabet.vocabulary
        named = vocabulary is not None and vocabulary.kind != "tokenizer"
        self.names = list(vocabulary.symbols) if vocabulary is not None and named else None

    def forbidden_after(self, state: Any) -> torch.Tensor:
        return self._row(state)[0]

    def after(self, state: Any, symbol: int) -> Any:
        return self._row(state)[1][symbol]

    def accepts(self, state: Any) -> bool:
        if self.texts is None:
            return bool(self.constraint.accepts(state))
        return not state[1] and bool(self.constraint.accepts(state[0]))

    def _row(self, state: Any) -> tuple[torch.Tensor, list[Any]]:
        try:
            found = self._known.get(state)
        except TypeError:
            raise ParameterError(
                f"the states of {self.name} must be hashable, such as numbers, strings and "
                f"tuples; got {state!r}."
            ) from None
        if found is None:
            if len(self._known) >= _KEPT:
                self._known.clear()
            after = [self._stepped(state, s) for s in range(self.alphabet.size)]
            allowed = np.array([s is not DEAD for s in after])
            if self.alphabet.end is not None:
                allowed[self.alphabet.end] = self.accepts(state)
            found = self._known[state] = torch.from_numpy(~allowed), after
        return found

    def _stepped(self, state: Any, symbol: int) -> Any:
        if symbol == self.alphabet.end:
            return DEAD
        if self.texts is None:
            named = self.names is not None and symbol < len(self.names)
            after = self.constraint.step(state, self.names[symbol] if named else symbol)  # type: ignore[index]
            return DEAD if after is None else after
        own, begun, fresh = state
        texts = self.texts.first if fresh else self.texts.later
        text = texts[symbol] if symbol < len(texts) else None
        return DEAD if not text else self._read(own, begun, text)

    def _read(self, own: Any, begun: bytes, text: bytes) -> Any:
        """The state after some more bytes of text."""
        if self.over == "byte":
            for byte in text:
                own = self.constraint.step(own, byte)
                if own is None:
                    return DEAD
            return own, b"", False
        whole, rest = _characters(begun + text)
        if whole is None:
            return DEAD
        for letter in whole:
            own = self.constraint.step(own, letter)
            if own is None:
                return DEAD
        return own, rest, False


def _characters(raw: bytes) -> tuple[str | None, bytes]:
    """The whole characters of some bytes and the beginning of one; None where they are no text."""
    try:
        return raw.decode(), b""
    except UnicodeDecodeError as error:
        # only what is cut short by the end may still become a character
        if error.reason != "unexpected end of data":
            return None, b""
        return raw[: error.start].decode(), raw[error.start :]
