"""What the fields of a value must be, said beside them, and one function that looks.

Compiled code trusts the arrays that it is given, and a file can hold anything: so whatever a file
holds is looked at by `check_fields` before anything is computed with it, and so is every `Law`
when it is constructed. What is looked for stands in the annotations of the class:

- of arproc's own classes the types themselves, all the way down: `tuple[int, ...]`, `Vocabulary |
  None`, `Literal["mean"]`, another law;
- in any class what `Annotated` adds to a type: an `Array` with its shape, kind and range, a
  `Number` with its range;
- what no field can say alone: a method `problems()` that yields sentences about it.
"""

from __future__ import annotations

import re
import sys
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from operator import attrgetter
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import numpy as np
import torch
from torch.distributions import MultivariateNormal

from arproc.contract.storable import find
from arproc.errors import ParameterError

__all__ = [
    "Array",
    "Number",
    "annotation_of",
    "check_arguments",
    "check_attributes",
    "check_fields",
    "check_value",
    "positive_definite",
    "is_own",
    "normal_problems",
    "sentences",
]

_SIZE = re.compile(r"([\w.]+)(?: ([+-]) (\d+))?")
#: dtype kinds, as NumPy names them, of what an array may be said to hold.
_KINDS = {"real": "f", "whole": "iu", "bool": "b"}
#: No parameter is larger: the square of a larger one would soon be infinite, and then nan.
_EXTREME = 1e100
#: Compiled code and tensors have no whole numbers of this size.
_WHOLE = 2**63
#: Sizes that were met under their names.
Sizes = dict[str, int]


@dataclass(frozen=True)
class Number:
    """What a number (or an array of no axes) must be: within a range, and finite.

    Args:
        low: the least it may be.
        high: the greatest.
        above: what it must be above.
        below: what it must be below.
        nan: whether it may be nan, for "there is none".
        infinite: whether it may be infinite.

    Example:
        >>> Number(above=0).problem(-1.0), Number(above=0).problem(2.0)
        ('is -1; expected numbers above 0', None)
    """

    low: float | None = None
    high: float | None = None
    above: float | None = None
    below: float | None = None
    nan: bool = False
    infinite: bool = False

    def problem(self, value: Any) -> str | None:
        """What is wrong with a number or an array of any shape, or None."""
        if isinstance(value, torch.Tensor):
            if value.requires_grad:
                return None  # it is being estimated, and on its way
            value = value.detach().cpu()
            value = (value.float() if value.dtype == torch.bfloat16 else value).numpy()
        array = np.asarray(value)
        if array.dtype.kind == "f" and not (self.nan and self.infinite):
            wrong = self._not_finite(array)
            if wrong:
                return wrong
        if self._bounds and array.size:
            with np.errstate(invalid="ignore"):
                low, high = (np.nanmin(array), np.nanmax(array)) if self.nan else _ends(array)
            return self._out_of_range(float(low), float(high))
        return None

    def alone(self, value: Any) -> str | None:
        """What is wrong with one number, or None; what is no number is not looked at."""
        if isinstance(value, (torch.Tensor, np.ndarray)) and value.ndim:
            return f"has shape {list(value.shape)}; expected one number"
        known = isinstance(value, (int, float, torch.Tensor, np.ndarray, np.number))
        return self.problem(value) if known else None

    @property
    def _bounds(self) -> list[str]:
        """The range in words."""
        words = {"at least": self.low, "at most": self.high, "above": self.above,
                 "below": self.below}  # fmt: skip
        return [f"{word} {bound:g}" for word, bound in words.items() if bound is not None]

    def _not_finite(self, array: np.ndarray) -> str | None:
        # one pass: a sum of squares is moderate unless some number is not: then look closer
        with np.errstate(over="ignore", invalid="ignore"):
            if abs(np.dot(flat := array.reshape(-1), flat)) < _EXTREME:
                return None
        if not self.nan and np.isnan(array).any():
            return "is nan" if array.ndim == 0 else "has nan among its numbers"
        if not self.infinite and np.isinf(array).any():
            return "is infinite" if array.ndim == 0 else "has infinite numbers"
        return self._extreme(array)

    def _extreme(self, array: np.ndarray) -> str | None:
        """Numbers whose squares and products would be no numbers any more."""
        with np.errstate(invalid="ignore"):
            beyond = (np.abs(array) > _EXTREME) & ~np.isinf(array)
        return f"has numbers beyond {_EXTREME:g} in size" if beyond.any() else None

    def _out_of_range(self, low: float, high: float) -> str | None:
        outside = (
            (self.low is not None and low < self.low)
            or (self._least is not None and low <= self._least)
            or (self.high is not None and high > self.high)
            or (self.below is not None and high >= self.below)
        )
        if not outside:
            return None
        shown = f"is {low:g}" if low == high else f"has numbers from {low:g} to {high:g}"
        return f"{shown}; expected numbers {' and '.join(self._bounds)}"

    @property
    def _least(self) -> float | None:
        """The same; what is above 0 is squared and divided by, which must be possible."""
        return 1 / _EXTREME if self.above == 0 else self.above


@dataclass(frozen=True, init=False)
class Array(Number):
    """What an array or tensor must be: its shape, the kind of its numbers, and their range.

    Args:
        shape: a size for each axis: a number, or a name such as "k", which is the same size
            wherever it stands in a class ("k - 1" and "k + 1" follow from it). A name with a dot
            or of a property is an attribute of the whole: "space.size". A first "..." is any axes.
        kind: "real", "whole", "bool", or a dtype's name such as "float64" or "int32 uint16".
        range: see `Number`.

    Example:
        >>> sizes = {}
        >>> Array("k", "p").fit(np.zeros((2, 3)), None, sizes), sizes
        (None, {'k': 2, 'p': 3})
        >>> Array("k").fit(np.zeros(3), None, sizes)
        'has shape [3]; expected [k] with k = 2'
    """

    shape: tuple[str | int, ...] = ()
    kind: str = "float64"

    def __init__(self, *shape: str | int, kind: str = "float64", **range: Any) -> None:
        super().__init__(**range)
        object.__setattr__(self, "shape", shape)
        object.__setattr__(self, "kind", kind)

    def fit(self, value: Any, whole: Any, sizes: Sizes) -> str | None:
        """What is wrong with an array that belongs to `whole`, or None; notes the sizes it has."""
        if not isinstance(value, (np.ndarray, torch.Tensor)):
            return f"is a {type(value).__name__}; expected an array"
        wrong = self._wrong_kind(value) or self._wrong_shape(value, whole, sizes)
        return wrong or self.problem(value)

    def _wrong_kind(self, value: np.ndarray | torch.Tensor) -> str | None:
        name = str(value.dtype).removeprefix("torch.")
        wanted = _KINDS.get(self.kind)
        fine = name in self.kind.split() if wanted is None else _letter(value) in wanted
        return None if fine else f"has dtype {name}; expected {self.kind}"

    def _wrong_shape(
        self, value: np.ndarray | torch.Tensor, whole: Any, sizes: Sizes
    ) -> str | None:
        have, wanted = tuple(value.shape), self.shape
        if wanted[:1] == ("...",):
            wanted = wanted[1:]
            have = have[max(len(have) - len(wanted), 0) :]
        fine = len(have) == len(wanted)
        for size, name in zip(have, wanted, strict=False):
            fine = fine and _agrees(size, name, whole, sizes)
        if fine:
            return None
        named = [name for name in wanted if isinstance(name, str)]
        known = sorted({_SIZE.fullmatch(name)[1] for name in named} & set(sizes))  # type: ignore[index]
        told = f" with {', '.join(f'{k} = {sizes[k]}' for k in known)}" if known else ""
        return f"has shape {list(value.shape)}; expected [{', '.join(map(str, self.shape))}]{told}"


def _ends(array: np.ndarray) -> tuple[Any, Any]:
    return array.min(), array.max()


def _letter(value: np.ndarray | torch.Tensor) -> str:
    if isinstance(value, np.ndarray):
        return value.dtype.kind
    return "f" if value.is_floating_point() else "b" if value.dtype == torch.bool else "i"


def _agrees(size: int, wanted: str | int, whole: Any, sizes: Sizes) -> bool:
    """Whether an axis has the size that is asked for; a name that is new is noted."""
    if isinstance(wanted, int):
        return size == wanted
    match = _SIZE.fullmatch(wanted)
    assert match is not None
    name, sign, number = match.groups()
    more = int(number or 0) * (-1 if sign == "-" else 1)
    if name not in sizes:
        if "." in name or hasattr(type(whole), name):
            sizes[name] = int(attrgetter(name)(whole) or 0)
        else:
            sizes[name] = size - more
    return size == sizes[name] + more and sizes[name] >= 0


# ---- the annotations of classes -------------------------------------------------------------


def is_own(cls: type) -> bool:
    """Whether a class is one of the package's."""
    return cls.__module__.partition(".")[0] == "arproc"


class _Scope(dict[str, Any]):
    """The names that an annotation may use: a module's, and those of stored classes."""

    def __missing__(self, name: str) -> Any:
        found = find(name)
        if found is None:
            raise KeyError(name)
        return found


def annotation_of(cls: Any, name: str) -> Any:
    """The annotation of a class's attribute, resolved; None where there is none.

    Raises:
        NameError: one of a class of the package's can not be resolved.
    """
    return _annotation_of(cls, name)


@cache
def _annotation_of(cls: type, name: str) -> Any:
    for base in cls.__mro__:
        hint = vars(base).get("__annotations__", {}).get(name)
        told = vars(base).get(name)
        if hint is None and isinstance(told, property):
            hint = told.fget.__annotations__.get("return")
        if hint is not None:
            return _resolved(hint, base)
    return None


@cache
def _argument(cls: type, name: str) -> Any:
    """The annotation of an argument of a class's constructor, resolved; None without one."""
    for base in cls.__mro__:
        told = vars(base).get("__init__")
        if told is not None:
            hint = getattr(told, "__annotations__", {}).get(name)
            return None if hint is None else _resolved(hint, base)
    return None


def _resolved(hint: Any, base: type) -> Any:
    """An annotation of this class's as it is meant."""
    try:
        # the text of a class that is loaded already, never any that a file holds
        module = vars(sys.modules.get(base.__module__, types))
        return eval(hint, {}, _Scope(module)) if isinstance(hint, str) else hint
    except Exception:  # of a user's class: what is local to a function, say
        if is_own(base):
            raise
        return None


def _rules(hint: Any) -> tuple[Any, ...]:
    return hint.__metadata__ if get_origin(hint) is Annotated else ()


def _bare(hint: Any) -> Any:
    return hint.__origin__ if get_origin(hint) is Annotated else hint


# ---- looking --------------------------------------------------------------------------------


def check_fields(value: Any, *, deep: bool = False) -> None:
    """Raise `ParameterError` unless what a value holds is what its class's annotations say.

    Args:
        value: a dataclass, or any object: its attributes are then those that were annotated.
        deep: whether `inner_problems()` is asked too, where there is such a method: what can be
            said only when every number has been read.

    Raises:
        ParameterError: names the field, what it is, and what was expected.
    """
    check_attributes(value)
    for method in ("problems", "inner_problems") if deep else ("problems",):
        for problem in getattr(value, method, tuple)():
            raise ParameterError(f"{type(value).__name__}: {problem}.")


def check_attributes(value: Any) -> None:
    """The part of `check_fields` that looks at each by itself; of a module at its buffers too."""
    cls, sizes = type(value), Sizes()
    own, held = is_own(cls), vars(value)
    if isinstance(value, torch.nn.Module):
        held = held | held["_buffers"]
    for name in [f.name for f in fields(value)] if is_dataclass(value) else list(held):
        hint = annotation_of(cls, name) if name in held else None
        if hint is not None:
            check_value(f"{cls.__name__}.{name}", getattr(value, name), hint, value, sizes, own)


def check_arguments(cls: type, given: Mapping[str, Any]) -> None:
    """Raise `ParameterError` unless arguments are what the annotations of a constructor say."""
    own, sizes = is_own(cls), Sizes()
    for name, value in given.items():
        hint = _argument(cls, name)
        if hint is not None:
            check_value(f"{name} of {cls.__name__}", value, hint, None, sizes, own)


def check_value(
    where: str, value: Any, hint: Any, whole: Any = None, sizes: Sizes | None = None,
    own: bool = True,
) -> None:  # fmt: skip
    """Raise `ParameterError` unless a value is what an annotation says.

    Args:
        where: what the message calls the value.
        value: what came.
        hint: the annotation, resolved.
        whole: what the value belongs to, which the names of sizes are attributes of.
        sizes: those known so far.
        own: whether the types count too, or `Array` and `Number` alone.
    """
    bare = _bare(hint)
    if value is None and (not own or type(None) in get_args(bare)):
        return
    if own and not _is(value, bare):
        raise ParameterError(f"{where} is {_shown(value)}; expected {_named(bare)}.")
    if isinstance(value, MultivariateNormal):
        for wrong in normal_problems(value):
            raise ParameterError(f"{where} {wrong}.")
    for rule in _rules(hint):
        if isinstance(rule, Array):
            problem = rule.fit(value, whole, Sizes() if sizes is None else sizes)
        elif isinstance(rule, Number):
            problem = rule.alone(value)
        else:
            continue
        if problem is not None:
            raise ParameterError(f"{where} {problem}.")
    if _ruled_inside(bare):
        for name, item, inside in _items(value, bare):
            check_value(f"{where}[{name!r}]", item, inside, whole, Sizes(sizes or {}), own)


@cache
def _ruled_inside(hint: Any) -> bool:
    """Whether there are rules for the items of what an annotation speaks of."""
    if get_origin(_bare(hint)) is Callable:  # whose arguments are no items
        return False
    return any(bool(_rules(part)) or _ruled_inside(part) for part in get_args(_bare(hint)))


def _items(value: Any, hint: Any) -> Iterator[tuple[Any, Any, Any]]:
    """The items of a list, tuple or mapping with their names and annotations."""
    parts = get_args(hint)
    if get_origin(hint) in (Union, types.UnionType):
        for part in parts:
            if _ruled_inside(part) and _is(value, part):
                yield from _items(value, part)
    elif isinstance(value, Mapping):
        yield from ((key, item, parts[1]) for key, item in value.items())
    elif isinstance(value, Sequence):
        several = len(parts) == len(value) and parts[-1] is not Ellipsis
        inside = parts if several else parts[:1] * len(value)
        yield from zip(range(len(value)), value, inside, strict=True)


def _is(value: Any, hint: Any) -> bool:
    """Whether a value is of an annotated type, all the way down."""
    hint = _bare(hint)
    if hint is Any:
        return True
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        return any(_is(value, one) for one in get_args(hint))
    if origin is Literal:
        return any(value == one and type(value) is type(one) for one in get_args(hint))
    if origin is not None:
        return _is_generic(value, origin, get_args(hint))
    if hint is None or hint is type(None):
        return value is None
    if hint is bool:
        return isinstance(value, (bool, np.bool_))
    if hint is int or (hint is float and isinstance(value, int)):
        whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
        return whole and -_WHOLE <= value < _WHOLE
    if hint is float:
        return isinstance(value, (float, np.number))
    return isinstance(value, hint) if isinstance(hint, type) else True


def _is_generic(value: Any, origin: Any, inside: tuple[Any, ...]) -> bool:
    if origin is Callable or not isinstance(origin, type):
        return callable(value)
    kind: Any = origin  # a type checker would take the value for an object from here on
    if not isinstance(value, kind) or isinstance(value, str):
        return False
    if issubclass(origin, Mapping):
        return all(_is(k, inside[0]) and _is(v, inside[1]) for k, v in value.items())
    if origin is tuple and inside[-1] is not Ellipsis:
        return len(value) == len(inside) and all(map(_is, value, inside))
    if issubclass(origin, Sequence) and inside[0] is not Any:
        if inside[0] is str and set(map(type, value)) <= {str}:
            return True  # a vocabulary's thousands of words
        if inside[0] is int and set(map(type, value)) <= {int}:
            return not value or (min(value) >= -_WHOLE and max(value) < _WHOLE)
        return all(_is(one, inside[0]) for one in value)
    return True


def _named(hint: Any) -> str:
    """A type in words."""
    hint = _bare(hint)
    parts = get_args(hint)
    if get_origin(hint) in (Union, types.UnionType):
        return " or ".join(_named(part) for part in parts)
    if hint is type(None):
        return "None"
    return hint.__name__ if isinstance(hint, type) and not parts else str(hint)


def _shown(value: Any) -> str:
    """What came in a type's place."""
    if isinstance(value, int) and not -_WHOLE <= value < _WHOLE:
        return f"a whole number beyond 64 bits, {str(value)[:24]}"
    kind = f"a {type(value).__name__}"
    return f"{kind} ({value})" if isinstance(value, (int, float)) else kind  # others may be large


def normal_problems(law: MultivariateNormal) -> Iterator[str]:
    """What is wrong with a normal law's mean [..., p] or Cholesky factor [..., p, p], in words."""
    sizes, diagonal = Sizes(), law._unbroadcasted_scale_tril.diagonal(dim1=-2, dim2=-1)
    mean, factor = Array("...", "p", kind="real"), Array("...", "p", "p", kind="real")
    parts = (("mean", law.loc, mean), ("Cholesky factor", law.scale_tril, factor))
    for what, value, rule in parts:
        problem = rule.fit(value, law, sizes)
        if problem is not None:
            yield f"is a normal law whose {what} {problem}"
            return
    problem = Number(above=0).problem(diagonal)
    if problem is not None:
        yield f"is a normal law whose Cholesky factor's diagonal {problem}"


def positive_definite(matrix: np.ndarray | torch.Tensor) -> bool:
    """Whether a matrix is symmetric, to rounding, with positive eigenvalues.

    One that records gradients is on its way, and taken for one.
    """
    if isinstance(matrix, torch.Tensor) and matrix.requires_grad:
        return True
    x = np.asarray(matrix, dtype=np.float64)
    scale = np.abs(x).max(initial=0.0)
    return bool(
        np.allclose(x, x.T, rtol=1e-6, atol=1e-6 * scale) and (np.linalg.eigvalsh(x) > 0).all()
    )


def sentences(*claims: tuple[bool, str]) -> Iterator[str]:
    """The sentences of those claims that hold: what `problems` yields."""
    return (sentence for wrong, sentence in claims if wrong)
