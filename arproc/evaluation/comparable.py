"""Whether log-probabilities under several laws are about the same thing; errors where not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch

from arproc.contract.conditioned import ConditionedLaw
from arproc.contract.law import Law
from arproc.contract.sequences import Sequences
from arproc.data.tables.space import Table
from arproc.errors import NotComparableError
from arproc.evaluation.tally import Tally
from arproc.evaluation.text_units import vocabulary_of
from arproc.process import Model
from arproc.spaces import Real, Space

__all__ = ["check_laws", "check_tallies", "same_elements"]


def check_laws(laws: dict[str, Model], given: int | None) -> None:
    """Raise `NotComparableError` unless all laws are over the same things and start alike."""
    (first, law), *rest = laws.items()
    for name, other in rest:
        _check_measure(first, law.space, name, other.space)
        _check_elements(first, law.space, name, other.space)
        _check_prefix(first, law, name, other)
    _check_given(laws, given)


def _check_measure(first: str, space: Space, name: str, other: Space) -> None:
    if space.measure == other.measure or "mixed" in (space.measure, other.measure):
        return  # tables differ in more than the measure: `_check_elements` says in what
    density, mass = (first, name) if space.measure == "density" else (name, first)
    raise NotComparableError(
        f"{density!r} gives densities and {mass!r} gives probabilities (masses): a density "
        "depends on the unit of the data, a mass does not, so neither is more or less than the "
        f"other. To share one, give both whole numbers: arproc.Coded({density!r}'s process, "
        "levels=K) is a process of the codes 0 ... K-1, arproc.audio.encode(data, levels=K) makes "
        f"these of numbers, and {mass!r} can be fitted to them as well, both in bits a code. Or "
        "give both densities: add uniform noise to whole numbers (dequantise), and fit both to "
        "that."
    )


def same_elements(space: Space, other: Space) -> bool:
    """Whether two laws assign probability to the same elements, term by term.

    A law of sequences of fixed length gives the same kind of number as one of free length; and the
    numbers 0 ... K-1 are the same elements, whether they are called symbols, levels or binary.
    """
    if _plain_numbers(space) is not None and _plain_numbers(space) == _plain_numbers(other):
        return True
    space, other = _plain_reals(space), _plain_reals(other)
    return replace(space, length=None) == replace(other, length=None)


def _plain_numbers(space: Space) -> int | None:
    """K where an element is one of the numbers 0 ... K-1, without an end; None elsewhere."""
    if space.measure != "mass" or space.terminates or vocabulary_of(space) is not None:
        return None
    return space.size


def _plain_reals(space: Space) -> Space:
    """Numbers of an interval as any reals; so a table of such columns alone, without gaps."""
    table = isinstance(space, Table) and space.measure == "density"
    if table or (isinstance(space, Real) and not space.event_shape):
        return Real(length=space.length)
    return space


def _check_elements(first: str, space: Space, name: str, other: Space) -> None:
    if same_elements(space, other):
        return
    if vocabulary_of(space) is not None and vocabulary_of(other) is not None:
        return  # the same text cut in two ways; `check_tallies` sees whether all of it is there
    detail = ""
    if space.describe() == other.describe():
        detail = " (their vocabularies, ends or shapes differ)"
    if isinstance(space, Table) or isinstance(other, Table):
        detail = f" ({_table_difference(space, other)})"
    raise NotComparableError(
        f"{first!r} is over {space.describe()} elements and {name!r} over {other.describe()} "
        f"ones{detail}: likelihoods of different things. {_remedy(space, other)}"
    )


def _remedy(space: Space, other: Space) -> str:
    """What to do for likelihoods of one thing."""
    if isinstance(space, Table) or isinstance(other, Table):
        return "Fit both on the same DataFrame, with the same columns=."
    if len(space.event_shape) != len(other.event_shape) or space.event_shape != other.event_shape:
        return (
            "Fit both on the same array: a model of vectors of the columns together, or one of "
            "scalars for each column of each."
        )
    texts = [vocabulary_of(each) is not None for each in (space, other)]
    if any(texts):
        return "Fit both on the strings themselves, with tokens='char', 'byte' or 'word'."
    if space.terminates != other.terminates:
        return (
            "Sequences end in one and not in the other: fit both with the same "
            "tokens=arproc.Tokens(..., end=True), or False."
        )
    if space.size is not None and other.size is not None:
        return "Tell both how many symbols there are, tokens=K (levels=K), or the same Vocabulary."
    return (
        "Fit both on the same elements: whole numbers as counts, by models of counts, or as K "
        "levels by both; and any text by its strings, whatever the tokens."
    )


def _table_difference(space: Space, other: Space) -> str:
    table, another = (space, other) if isinstance(space, Table) else (other, space)
    assert isinstance(table, Table)
    return table.difference(another)


def _check_prefix(first: str, law: Model, name: str, other: Model) -> None:
    mine, theirs = _prefix(law.law_), _prefix(other.law_)
    if _same(mine, theirs):
        return
    different = "" if mine is None or theirs is None else " other elements"
    raise NotComparableError(
        f"{first!r} {_after(mine)} and {name!r} {_after(theirs)}{different}: likelihoods after "
        "different starts. Condition both on the same prefix, model.condition(prefix)."
    )


def _prefix(law: Law) -> Any:
    """What a law is conditioned on, in the user's form; None where on nothing."""
    if isinstance(law, ConditionedLaw):
        offsets = torch.tensor([0, len(law.prefix)])
        known = Sequences(law.prefix, offsets, law.law.space, torch.tensor([False]))
        own, inner = known.restore(), _prefix(law.law)
        own = own[0] if isinstance(own, list) and len(own) == 1 else own
        return own if inner is None else (inner, own)
    inner = getattr(law, "law", None)
    return _prefix(inner) if isinstance(inner, Law) else None


def _same(mine: Any, theirs: Any) -> bool:
    """Whether two prefixes are alike; what is missing in both is."""
    if isinstance(mine, tuple) and isinstance(theirs, tuple):
        return len(mine) == len(theirs) and all(map(_same, mine, theirs))
    if mine is None or theirs is None or isinstance(mine, str) or isinstance(theirs, str):
        return type(mine) is type(theirs) and mine == theirs
    if isinstance(mine, tuple) or isinstance(theirs, tuple):
        return False
    one, other = (np.asarray(prefix, dtype=object).ravel() for prefix in (mine, theirs))
    return len(one) == len(other) and all(map(_same_element, one, other))


def _same_element(a: Any, b: Any) -> bool:
    return a is b or bool(a == b) or bool(a != a and b != b)  # NaN is not equal to itself


def _after(prefix: Any) -> str:
    return "has no prefix" if prefix is None else f"follows a prefix of {np.size(_flat(prefix))}"


def _flat(prefix: Any) -> Any:
    return list(prefix) if isinstance(prefix, str) else prefix


def _check_given(laws: dict[str, Model], given: int | None) -> None:
    own = {name: law.n_given for name, law in laws.items()}
    most = max(own.values())
    if given is not None or len(set(own.values())) == 1:
        return
    listed = ", ".join(f"{name!r} after {n}" for name, n in own.items())
    raise NotComparableError(
        f"the models start differently: {listed} given value(s), so their likelihoods are over "
        f"different elements. Pass given={most} to score each on what follows the first {most} "
        "elements, or fit all with the same initial=."
    )


def check_tallies(tallies: dict[str, Tally]) -> None:
    """Raise `NotComparableError` where the laws read the data as different things."""
    (first, tally), *rest = tallies.items()
    for name, other in rest:
        if len(tally.sequences) != len(other.sequences):
            raise NotComparableError(
                f"{first!r} reads the data as {len(tally.sequences)} sequence(s) and {name!r} as "
                f"{len(other.sequences)}. A file of words is a sequence a line: pass the lines as "
                "a list of strings to all."
            )
        if same_elements(tally.sequences.space, other.sequences.space):
            continue
        _check_texts(first, tally, name, other)


def _check_texts(first: str, tally: Tally, name: str, other: Tally) -> None:
    """Two tokenisations: each must hold the whole text, and both or neither its end."""
    if bool(tally.ends) != bool(other.ends):
        ending, endless = (first, name) if tally.ends else (name, first)
        raise NotComparableError(
            f"{ending!r} counts the probability that a text ends and {endless!r} is a stream "
            "without ends. Pass complete=False to leave the ends out."
        )
    if tally.given or other.given:
        raise NotComparableError(
            f"{first!r} and {name!r} have different tokens, so the first {tally.given} or "
            f"{other.given} given ones are different texts. Score whole texts (given=0), or "
            "condition both on the same text, model.condition(text)."
        )
    for label, each in ((first, tally), (name, other)):
        text = each.text
        if text is None or text.problem or text.sizes is None:
            problem = text.problem if text is not None else "its elements are no text"
            raise NotComparableError(
                f"{first!r} and {name!r} have different tokens, so only the probability of the "
                f"same whole text compares, and {label!r} does not give it: {problem}. Use "
                "tokens='char' or 'byte', or compare on texts that it holds in full (known words "
                "with one space between them; a choice that favours it)."
            )
    assert tally.text is not None
    assert other.text is not None
    if not np.array_equal(tally.text.sizes, other.text.sizes):  # type: ignore[arg-type]
        raise NotComparableError(
            f"{first!r} and {name!r} read texts of different sizes from the same file (line ends "
            "are read differently as bytes); pass the text as a string."
        )
