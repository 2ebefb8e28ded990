"""Constraints of finitely many states: regular expressions, automata, allowed sets by position."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from arproc.contract.law import ChainLaw
from arproc.errors import ParameterError, check_choice, check_integer
from arproc.sampling.biases import symbol_number
from arproc.sampling.constraints.acceptor import Acceptor, Alphabet, FiniteAcceptor
from arproc.sampling.constraints.constraint import Constraint, check_seconds
from arproc.sampling.constraints.regular_syntax import Nondeterministic, nondeterministic
from arproc.sampling.constraints.tables import Deadline, determined
from arproc.sampling.constraints.texts import text_acceptor

__all__ = ["AllowedAt", "Automaton", "Regex"]


class Regex(Constraint):
    r"""Texts that a regular expression matches as a whole, as `re.fullmatch` does.

    It holds for the text as the model's vocabulary reads it, whatever its tokens: characters,
    bytes, words with the blanks between them, or a tokenizer's pieces, which may cut characters.
    Symbols without a text of their own (unknown ones, special tokens) do not come.

    Args:
        pattern: in Python's syntax. What is not regular is refused: looking around, references
            to groups, `\b`, atomic groups; `^` and `$` stand at the ends alone.
        seconds: how long it may be compiled.

    Raises:
        ParameterError: the pattern is none, is not regular, or takes too long; or nothing that
            it matches can be spelled with the model's symbols.

    Example:
        >>> import arproc
        >>> from arproc.sampling import Constrain
        >>> text = arproc.PPM(order=2, tokens="char").fit(["12 ab", "7 b", "31 ba"])
        >>> text.sample(3, policy=Constrain(Regex(r"\d{2} [ab]+")), seed=0)
        ['31 aa', '11 ba', '71 b']
    """

    def __init__(self, pattern: str, seconds: float = 10.0) -> None:
        if not isinstance(pattern, str):
            raise ParameterError(f"pattern must be a string; got {pattern!r}.")
        self.pattern, self.seconds = pattern, check_seconds(seconds)
        nondeterministic(pattern)  # what is wrong with it is said at once

    def compiled(self, law: ChainLaw) -> Acceptor:
        name = repr(self)
        deadline = Deadline(self.seconds, name)
        alphabet = Alphabet(law, "Regex")
        table = determined(nondeterministic(self.pattern), deadline)
        return text_acceptor(table, alphabet, name, deadline)


class Automaton(Constraint):
    """A deterministic finite automaton.

    Args:
        transitions: of each state a dict of what it reads and the state after it; a state is
            anything hashable. What a state does not name may not come there, but for the key
            None, which stands for everything else.
        accepting: the states in which a sequence may end.
        first: the state before anything.
        over: what is read: "symbol" (as the model's vocabulary names it, or its number),
            "character" or "byte" of the text.
        seconds: how long it may be compiled.

    Example:
        >>> import arproc
        >>> from arproc.sampling import Constrain
        >>> even = Automaton({0: {"a": 1, None: 0}, 1: {"a": 0, None: 1}}, [0])
        >>> text = arproc.PPM(order=2, tokens="char").fit(["abab", "aab", "ba"])
        >>> all(t.count("a") % 2 == 0 for t in text.sample(50, policy=Constrain(even), seed=0))
        True
    """

    def __init__(
        self,
        transitions: Mapping[Hashable, Mapping[Any, Hashable]],
        accepting: Iterable[Hashable],
        first: Hashable = 0,
        over: str = "symbol",
        seconds: float = 10.0,
    ) -> None:
        self.over = check_choice("over", over, ("symbol", "character", "byte"))
        self.seconds = check_seconds(seconds)
        if not isinstance(transitions, Mapping) or not all(
            isinstance(row, Mapping) for row in transitions.values()
        ):
            raise ParameterError(
                "transitions must be a dict of states, each with a dict of what it reads and the "
                f"state after it; got {transitions!r}."
            )
        if isinstance(accepting, str) or not isinstance(accepting, Iterable):
            raise ParameterError(f"accepting must be a list of states; got {accepting!r}.")
        self.transitions = {state: dict(row) for state, row in transitions.items()}
        self.accepting, self.first = list(accepting), first
        for state in (*self.accepting, first):
            if state not in self._states:
                raise ParameterError(
                    f"the state {state!r} is none of those of transitions: "
                    f"{list(self._states)[:8]}."
                )

    @property
    def _states(self) -> dict[Hashable, int]:
        """The states' numbers, those that only other states lead to among them."""
        named = [
            *self.transitions,
            *(t for row in self.transitions.values() for t in row.values()),
        ]
        return {state: number for number, state in enumerate(dict.fromkeys(named))}

    def compiled(self, law: ChainLaw) -> Acceptor:
        alphabet, deadline = Alphabet(law, "Automaton"), Deadline(self.seconds, "the Automaton")
        if self.over != "symbol":
            table = determined(self._over_bytes(), deadline)
            return text_acceptor(table, alphabet, "the Automaton", deadline)
        states = self._states
        rows = np.full((len(states), alphabet.size), -1, np.int32)
        for state, row in self.transitions.items():
            if None in row:
                rows[states[state]] = states[row[None]]
            for symbol, target in row.items():
                if symbol is not None:
                    number = symbol_number(symbol, law, "transitions")
                    rows[states[state], number] = states[target]
        if alphabet.end is not None:
            rows[:, alphabet.end] = -1
        accepting = np.zeros(len(states), bool)
        accepting[[states[state] for state in self.accepting]] = True
        return FiniteAcceptor(
            alphabet, "the Automaton", lambda s: rows[s], accepting, states[self.first], deadline
        )

    def _over_bytes(self) -> Nondeterministic:
        """The same automaton over the bytes of what it reads."""
        from arproc.sampling.constraints.regular_syntax import utf8_ranges

        made, states = Nondeterministic("the Automaton"), self._states
        begin = made.new()
        first = [made.new() for _ in states]
        made.last = made.new()
        made.silent[begin].append(first[states[self.first]])
        for state in self.accepting:
            made.silent[first[states[state]]].append(made.last)
        for state, row in self.transitions.items():
            for low, high, target in _ranges(row, self.over):
                paths = [[(low, high)]] if self.over == "byte" else list(utf8_ranges(low, high))
                for path in paths:
                    at = first[states[state]]
                    for i, (least, most) in enumerate(path):
                        after = first[states[target]] if i == len(path) - 1 else made.new()
                        made.reads[at].append((least, most, after))
                        at = after
        return made


def _ranges(row: Mapping[Any, Hashable], over: str) -> list[tuple[int, int, Hashable]]:
    """What a state reads, as ranges of numbers, and the state after it."""
    known: dict[int, Hashable] = {}
    for symbol, target in row.items():
        if symbol is None:
            continue
        if over == "character" and isinstance(symbol, str) and len(symbol) == 1:
            known[ord(symbol)] = target
        elif over == "byte" and isinstance(symbol, bytes) and len(symbol) == 1:
            known[symbol[0]] = target
        elif over == "byte" and isinstance(symbol, int) and 0 <= symbol < 256:
            known[int(symbol)] = target
        else:
            raise ParameterError(
                f"transitions reads {symbol!r}, which is not one {over}; expected "
                + ("a string of one character." if over == "character" else "a number below 256.")
            )
    found = [(number, number, target) for number, target in known.items()]
    if None not in row:
        return found
    last = 255 if over == "byte" else 0x10FFFF
    halves = [] if over == "byte" else range(0xD800, 0xE000)
    edge = 0
    for number in sorted({*known, *halves, last + 1}):
        if number > edge:
            found.append((edge, number - 1, row[None]))
        edge = number + 1
    return found


class AllowedAt(Constraint):
    """Which symbols may come at certain positions; at all others any may.

    Args:
        sets: a dict of positions, counted from 0 in the order of generation, and the symbols that
            may come there, as the model's vocabulary has them or by number; or a list with the
            symbols of each position, None for any.

    Example:
        >>> import arproc
        >>> from arproc.sampling import Constrain
        >>> text = arproc.PPM(order=2, tokens="char").fit("abab aab ba")
        >>> text.sample(2, length=4, policy=Constrain(AllowedAt({0: ["b"], 2: [" "]})), seed=1)
        ['bb a', 'bb  ']
    """

    def __init__(self, sets: Mapping[int, Iterable[Any]] | Sequence[Iterable[Any] | None]) -> None:
        if isinstance(sets, Mapping):
            pairs = dict(sets)
        elif isinstance(sets, (list, tuple)):
            pairs = {i: symbols for i, symbols in enumerate(sets) if symbols is not None}
        else:
            raise ParameterError(
                f"sets must be a dict of positions and symbols, or a list; got {sets!r}."
            )
        self.sets = {}
        for place, symbols in pairs.items():
            check_integer("a position", place, minimum=0)
            if isinstance(symbols, (str, bytes)) or not isinstance(symbols, Iterable):
                raise ParameterError(f"sets[{place}] must be a list of symbols; got {symbols!r}.")
            self.sets[int(place)] = list(symbols)

    def compiled(self, law: ChainLaw) -> Acceptor:
        alphabet = Alphabet(law, "AllowedAt")
        last = max(self.sets, default=-1) + 1
        rows = np.repeat(np.minimum(np.arange(1, last + 2), last)[:, None], alphabet.size, 1)
        rows = rows.astype(np.int32)
        for place, symbols in self.sets.items():
            numbers = [symbol_number(symbol, law, f"sets[{place}]") for symbol in symbols]
            outside = np.ones(alphabet.size, bool)
            outside[numbers] = False
            rows[place, outside] = -1
        if alphabet.end is not None:
            rows[:, alphabet.end] = -1
        accepting = np.ones(last + 1, bool)
        deadline = Deadline(60.0, "AllowedAt")
        return FiniteAcceptor(alphabet, "AllowedAt", lambda s: rows[s], accepting, 0, deadline)
