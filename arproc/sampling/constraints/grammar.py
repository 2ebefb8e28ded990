"""Constraints of any context-free grammar and of JSON schemas, by llguidance.

llguidance (the engine of several servers) parses bytes and tells which tokens may follow. It is
given the law's own symbols as its tokens; those that read otherwise where a text begins are there
twice.
"""

from __future__ import annotations

import bisect
import functools
import json
import re
import threading
from collections.abc import Mapping
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch

from arproc.contract.law import ChainLaw
from arproc.data.token_texts import TokenTexts, token_texts
from arproc.errors import MissingDependencyError, ParameterError, UnsupportedError
from arproc.sampling.constraints.acceptor import DEAD, Acceptor, Alphabet
from arproc.sampling.constraints.constraint import Constraint, check_seconds
from arproc.sampling.constraints.schema import check_schema
from arproc.sampling.constraints.tables import Deadline

__all__ = ["Grammar", "JSONSchema"]

#: Steps of llguidance's own count that fit into a second of building its automata.
_FUEL = 50_000_000
#: The most that it may do at one step before it gives up: about a tenth of a second.
_STEP_FUEL, _STEP_ITEMS = 1_500_000, 500_000
#: So many tokens back llguidance looks for others that spell the same.
_LOOKBACK = 4
_STRINGS = re.compile(r'"(?:[^"\\\n]|\\.)*"|/(?:[^/\\\n]|\\.)*/|//[^\n]*')
_ATTRIBUTES = re.compile(r"^\s*\w+\s*\[[^\]]*\b(temperature|max_tokens|capture|stop_capture|lazy"
                         r"|suffix|stop)\b", re.MULTILINE)  # fmt: skip
_SPECIAL = re.compile(r"<\|?[^\s>]*>|<\[")


#: Of each byte of bits, lowest first, which are not set: eight bools as one number.
_SHUT = np.ascontiguousarray(
    np.unpackbits(~np.arange(256, dtype=np.uint8)[:, None], axis=1, bitorder="little")
).view(np.uint64)[:, 0]


class _Parsed(Constraint):
    """What llguidance parses."""

    seconds: float

    def _grammar(self, library: Any) -> str:
        """The grammar in llguidance's own form."""
        raise NotImplementedError

    def compiled(self, law: ChainLaw) -> Acceptor:
        name = type(self).__name__
        alphabet = Alphabet(law, name)
        if alphabet.length is not None:
            raise UnsupportedError(
                f"{name} looks one step ahead, and all sequences of this process have "
                f"{alphabet.length} elements: whether a text can be finished in these is known of "
                "Regex, Automaton and AllowedAt alone."
            )
        texts = token_texts(alphabet.vocabulary)
        library = _library()
        deadline = Deadline(self.seconds, name)
        grammar = self._grammar(library)
        matcher = _within(deadline, lambda: _matcher(library, grammar, texts, deadline))
        return _ParsedAcceptor(matcher, alphabet, name, texts)


class JSONSchema(_Parsed):
    """Texts that are JSON values of a schema.

    A keyword that can not be kept is an error and never passed over. White space between the parts
    is free unless `blanks` is False. See `Regex` for what a text is, and for symbols without one.

    Args:
        schema: a dict, a string of JSON, or True for any JSON value.
        blanks: whether white space may stand between the parts.
        seconds: how long it may be compiled.

    Raises:
        ParameterError: the schema is none, has a keyword that is not supported, or takes too long.
        MissingDependencyError: llguidance is not installed.

    Example:
        >>> import arproc, json
        >>> from arproc.sampling import Constrain, JSONSchema
        >>> text = arproc.PPM(order=2, tokens="char").fit(['{"a": 12}', '{"a": 7}', '[1, "a"]'])
        >>> schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
        >>> schema |= {"required": ["a"], "additionalProperties": False}
        >>> drawn = text.sample(5, policy=Constrain(JSONSchema(schema)), seed=0)
        >>> all(isinstance(json.loads(t)["a"], int) for t in drawn)
        True
    """

    def __init__(
        self, schema: Mapping[str, Any] | str | bool, blanks: bool = True, seconds: float = 10.0
    ) -> None:
        self.schema, self.blanks, self.seconds = schema, blanks, check_seconds(seconds)
        check_schema(self._read())

    def _read(self) -> Any:
        if not isinstance(self.schema, str):
            return self.schema
        try:
            return json.loads(self.schema)
        except ValueError as error:
            raise ParameterError(f"schema can not be read as JSON: {error}.") from None

    def _grammar(self, library: Any) -> str:
        schema = self._read()
        options = {"whitespace_flexible": bool(self.blanks), "lenient": False}
        schema = {} if schema is True else schema
        found: str = library.LLMatcher.grammar_from_json_schema(
            json.dumps(schema), overrides=options
        )
        return found


class Grammar(_Parsed):
    r"""Texts of a context-free grammar.

    See `Regex` for what a text is, and for symbols without one.

    Args:
        grammar: in Lark's syntax: rules in small letters, terminals in capitals, strings in
            quotes, regular expressions between slashes; it begins with the rule `start`. What is
            not about which texts are in the language (temperatures, captures, limits of tokens)
            is refused.
        seconds: how long it may be compiled.

    Raises:
        ParameterError: the grammar can not be read, or takes too long.
        MissingDependencyError: llguidance is not installed.

    Example:
        >>> import arproc
        >>> from arproc.sampling import Constrain
        >>> nested = Grammar('start: "(" start ")" | "x"')
        >>> text = arproc.PPM(order=2, tokens="char").fit(["((x))", "(x)", "x", "(x"])
        >>> drawn = text.sample(20, policy=Constrain(nested), seed=0)
        >>> all(t.count("(") == t.count(")") and "x" in t for t in drawn)
        True
    """

    def __init__(self, grammar: str, seconds: float = 10.0) -> None:
        if not isinstance(grammar, str):
            raise ParameterError(f"grammar must be a string; got {grammar!r}.")
        self.grammar, self.seconds = grammar, check_seconds(seconds)
        plain = _STRINGS.sub('""', grammar)
        for found in (_ATTRIBUTES.search(plain), _SPECIAL.search(plain)):
            if found is not None:
                raise ParameterError(
                    f"grammar has {found[0].strip()!r}, which is about tokens or how they are "
                    "drawn and not about texts; it is not supported, and nothing is dropped. "
                    "Leave it out, and use policies."
                )

    def _grammar(self, library: Any) -> str:
        found: str = library.LLMatcher.grammar_from_lark(self.grammar)
        return found


class _ParsedAcceptor(Acceptor):
    """States are llguidance's own matchers, each of which reads no further."""

    def __init__(self, matcher: Any, alphabet: Alphabet, name: str, texts: TokenTexts) -> None:
        super().__init__(alphabet, name)
        self.known = len(texts.later)
        self.changed_first = _other(texts)
        self.later, self.first = _Spelling(texts.later), _Spelling(texts.first)
        self.start = _Parse(matcher, True)
        # as many bytes as whole numbers of 32 bits have, and a bit for each symbol at least
        self._bits = np.zeros((_n_tokens(texts) + 31) // 32 * 4, np.uint8)
        self._address = self._bits.ctypes.data

    def forbidden_after(self, state: _Parse) -> torch.Tensor:
        if state.mask is None:
            state.mask = self._mask(state)
        return state.mask

    def _mask(self, state: _Parse) -> torch.Tensor:
        matcher, other = state.matcher, self.changed_first
        matcher.unsafe_compute_mask_ptr(self._address, self._bits.nbytes)
        _require_sound(matcher, self.name)
        shut = _SHUT.take(self._bits).view(bool)
        closed = shut[: self.alphabet.size]
        first = shut[self.known : self.known + len(other)].copy() if state.fresh else None
        closed[self.known :] = True
        if first is not None:
            closed[other] = first
        self._open_forced(state, closed)
        if self.alphabet.end is not None:
            closed[self.alphabet.end] = not self.accepts(state)
        return torch.from_numpy(closed)

    def _open_forced(self, state: _Parse, closed: np.ndarray) -> None:
        """Allow all symbols that begin what must come, not only llguidance's own choice of them.

        Where the next bytes are certain it allows one token alone, the one that a tokenizer would
        take. Others spell the same: those that are shorter, and those that go on after it.
        """
        forced: bytes = state.matcher.compute_ff_bytes()
        if not forced:
            return
        spelling = self.first if state.fresh else self.later
        for length in range(1, min(len(forced), spelling.longest) + 1):
            closed[spelling.of.get(forced[:length], [])] = False
        if len(forced) > _LOOKBACK:  # up to there it looks at what goes on after it by itself
            for symbol in spelling.beginning_with(forced):
                fits = state.matcher.validate_tokens([self._token(state, symbol)]) == 1
                closed[symbol] = not fits

    def after(self, state: _Parse, symbol: int) -> Any:
        if bool(self.forbidden_after(state)[symbol]):
            return DEAD
        matcher = state.matcher.deep_copy()
        matcher.consume_token(self._token(state, symbol))
        _require_sound(matcher, self.name)
        return _Parse(matcher, False)

    def _token(self, state: _Parse, symbol: int) -> int:
        """The number of a symbol among llguidance's tokens."""
        if state.fresh and len(self.changed_first):
            at = int(np.searchsorted(self.changed_first, symbol))
            if at < len(self.changed_first) and self.changed_first[at] == symbol:
                return self.known + at
        return symbol

    def accepts(self, state: _Parse) -> bool:
        return bool(state.matcher.is_accepting())


class _Spelling:
    """Symbols by their texts."""

    def __init__(self, texts: list[bytes | None]) -> None:
        self.of: dict[bytes, list[int]] = {}
        for number, text in enumerate(texts):
            if text:
                self.of.setdefault(text, []).append(number)
        self.sorted = sorted(self.of)
        self.longest = max(map(len, self.sorted), default=0)

    def beginning_with(self, text: bytes) -> list[int]:
        """The symbols whose texts begin with this one and are longer."""
        at = bisect.bisect_right(self.sorted, text)
        found = []
        while at < len(self.sorted) and self.sorted[at].startswith(text):
            found += self.of[self.sorted[at]]
            at += 1
        return found


class _Parse:
    """A matcher that reads no further, its mask once that was asked for."""

    __slots__ = ("fresh", "mask", "matcher")

    def __init__(self, matcher: Any, fresh: bool) -> None:
        self.matcher, self.fresh = matcher, fresh
        self.mask: torch.Tensor | None = None


def _require_sound(matcher: Any, name: str) -> None:
    if matcher.is_error():
        why = matcher.get_error().partition("\n")[0]
        raise UnsupportedError(
            f"{name} can not be followed any further: {why} Write it more simply, or as a Regex."
        )


@functools.cache
def _library() -> Any:
    try:
        import llguidance
    except ImportError:
        raise MissingDependencyError(
            "Grammar and JSONSchema need the package llguidance; bring it with "
            "pip install 'arproc[constraints]'."
        ) from None
    return llguidance


def _other(texts: TokenTexts) -> np.ndarray:
    """The symbols that read otherwise where a text begins, int64."""
    pairs = enumerate(zip(texts.first, texts.later, strict=True))
    return np.array([i for i, (first, later) in pairs if first != later], np.int64)


def _matcher(library: Any, grammar: str, texts: TokenTexts, deadline: Deadline) -> Any:
    """A compiled grammar over some symbols."""
    if texts not in _TOKENIZERS:
        listed = [*texts.later, *(texts.first[i] for i in _other(texts))]
        tokens = _Tokens([text or b"" for text in listed])
        _TOKENIZERS[texts] = library.LLTokenizer(
            library.TokenizerWrapper(tokens), n_vocab=_n_tokens(texts), slices=[]
        )
    tokenizer = _TOKENIZERS[texts]
    limits = library.LLParserLimits(
        initial_lexer_fuel=int(min(deadline.seconds, 1e4) * _FUEL),
        step_lexer_fuel=_STEP_FUEL, step_max_items=_STEP_ITEMS,
        precompute_large_lexemes=False,
    )  # fmt: skip
    wrong, notes = library.LLMatcher.validate_grammar_with_warnings(
        grammar, tokenizer, limits=limits
    )
    if wrong or notes:
        raise ParameterError(
            f"{deadline.name} can not be kept as it is: {' '.join(notes).strip()}"
        )
    matcher = library.LLMatcher(tokenizer, grammar, log_level=0, limits=limits)
    if matcher.is_error():
        raise ParameterError(f"{deadline.name} can not be compiled: {matcher.get_error()}")
    return matcher


_TOKENIZERS: WeakKeyDictionary[TokenTexts, Any] = WeakKeyDictionary()


def _n_tokens(texts: TokenTexts) -> int:
    """How many tokens llguidance gets: the symbols, some twice, the single bytes, the end."""
    return len(texts.later) + len(_other(texts)) + 256 + 1


class _Tokens:
    """The symbols as llguidance's tokens, then the single bytes into which it may cut, the end."""

    bos_token_id = None

    def __init__(self, tokens: list[bytes]) -> None:
        self.bytes_from = len(tokens)
        self.tokens = [*tokens, *(bytes([byte]) for byte in range(256)), b"<end>"]
        self.eos_token_id = len(self.tokens) - 1
        self.special_token_ids = [self.eos_token_id]

    def __call__(self, text: bytes) -> list[int]:
        return [self.bytes_from + byte for byte in text]


def _within(deadline: Deadline, work: Any) -> Any:
    """What work gives, in the time that there is; what takes longer is left to itself."""
    found: list[Any] = []
    wrong: list[BaseException] = []

    def run() -> None:
        try:
            found.append(work())
        except BaseException as error:
            wrong.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(deadline.seconds)
    if wrong:
        raise wrong[0]
    if not found:
        deadline.end = 0.0
        deadline.check()
    return found[0]
