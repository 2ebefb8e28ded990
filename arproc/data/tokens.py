"""How data are cut into symbols, as one immutable value."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from arproc.contract.storable import storable
from arproc.data.vocabulary import CHOICES
from arproc.errors import ParameterError, check_choice, check_integer

__all__ = ["TEXT", "Tokens"]

#: What text can be cut into.
TEXT = ("word", "char", "byte")


@storable
@dataclass(frozen=True, repr=False)
class Tokens:
    """How the data of a model of symbols are cut into symbols, and which of them it knows.

    Models take it as `tokens=`; they take a `kind` alone as well, with the defaults for the rest.

    Args:
        kind: "word" (text cut at white space), "char" or "byte"; a `Vocabulary`; a tokenizer, an
            object with `encode` and `decode`; None for data that are symbols already (numbers 0,
            1, 2 ..., or lists of strings); or an int, how many numbers there are.
        min_count: words (characters, symbols) that appear less often become `<unk>`.
        max_size: only so many symbols are kept, the most frequent ones; the others become `<unk>`.
        unknown: True for an open vocabulary (with `<unk>`), False for a closed one, in which an
            unknown symbol is an error; None opens that of words.
        end: whether sequences end, by a symbol of their own. None takes one text for a stream, and
            several (a list, the lines of a file of words) for sequences that end.
        special: what `<unk>`, `<s>` and `</s>` in a text of words are: an "error"; or words like
            others ("escape"; their symbols have a backslash in front); or, "unknown", `<unk>` is
            an unknown word, as in the Penn Treebank and in samples, and the others are an error.

    Example:
        >>> rare = Tokens(min_count=2)
        >>> rare.set_params(end=False), rare.end
        (Tokens(min_count=2, end=False), None)
        >>> import arproc
        >>> arproc.NGram(2, "witten_bell", rare).fit(["a b", "a c"]).vocabulary.symbols
        ('<unk>', 'a')
    """

    kind: Any = "word"
    min_count: int = 1
    max_size: int | None = None
    unknown: bool | None = None
    end: bool | None = None
    special: str = "error"

    def __post_init__(self) -> None:
        if isinstance(self.kind, Tokens) or (isinstance(self.kind, str) and self.kind not in TEXT):
            listed = ", ".join(repr(name) for name in TEXT)
            raise ParameterError(
                f"tokens must be {listed}, a Vocabulary, a tokenizer, None or an int; got "
                f"{self.kind!r}."
            )
        check_integer("min_count", self.min_count, minimum=1)
        if self.max_size is not None:
            check_integer("max_size", self.max_size, minimum=1)
        check_choice("special", self.special, CHOICES)

    @classmethod
    def of(cls, tokens: Any) -> Tokens:
        """What a user gave as `tokens`: such a value, or a kind alone."""
        return tokens if isinstance(tokens, Tokens) else cls(tokens)

    @property
    def limits(self) -> dict[str, Any]:
        """The arguments of `Vocabulary.build` that say which symbols are kept."""
        return {"min_count": self.min_count, "max_size": self.max_size, "unknown": self.unknown}

    def __repr__(self) -> str:
        fields = dataclasses.fields(self)
        values = {field.name: getattr(self, field.name) for field in fields}
        changed = [f"{f.name}={values[f.name]!r}" for f in fields if values[f.name] != f.default]
        return f"Tokens({', '.join(changed)})"

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The settings by name (scikit-learn's protocol)."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}

    def set_params(self, **params: Any) -> Tokens:
        """A copy with these settings changed; this one stays as it is."""
        names = [field.name for field in dataclasses.fields(self)]
        for name in params:
            if name not in names:
                raise ParameterError(f"Tokens has no setting {name!r}; it has {', '.join(names)}.")
        return dataclasses.replace(self, **params)
