"""Changes to a model's file: each takes what a file holds and makes it something else."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from arproc.contract.model_file import read_file, write_file
from arproc.contract.storable import _KNOWN

__all__ = ["MUTATIONS", "Content", "Unchanged", "write_mutant"]

NUMBERS = [
    0, -1, 1, 2, 3, 7, 500, -500, 10**5, 10**9, -(10**9), 2**31, 2**63 - 1, 2**64, 10**18, 10**30,
    0.0, -0.0, 0.5, -0.5, 1.0, 1.5, 1e-300, 1e300, -1e300, 1e18, 1e-9,
]  # fmt: skip
SPECIAL = [{"!": "float", "value": name} for name in ("nan", "inf", "-inf")]
OTHERS: list[Any] = [
    None, True, False, 0, 3, 2.5, "", "word", "stationary", [], [1], ["a", "b"],
    {"!": "tuple", "items": []}, {"!": "tuple", "items": [1, 2]}, {"!": "dict", "items": []},
    {"!": "dict", "items": [["a", 1]]}, {"!": "path", "value": "/etc/passwd"},
    {"!": "strings", "items": ["a", "b"], "shape": [2]}, {"!": "law", "number": 0},
    {"!": "data", "class": "Real", "fields": {"length": None, "precision": "float64"}},
    {"!": "object", "class": "TopK", "params": {"k": 3}, "learnt": {}}, {}, {"!": "float"},
]  # fmt: skip
DTYPES = [
    torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.float16,
    torch.bfloat16, torch.float32, torch.float64,
]  # fmt: skip
REAL = [float("nan"), float("inf"), -float("inf"), 1e300, -1e300, 1e30, 0.0, -1.0, 1e-300, 2.0]
WHOLE = [-1, 0, 1, 2, 100, 10**6, 2**31 - 1, -(2**31), 2**40, 2**62, -(2**62)]


class Unchanged(Exception):
    """This mutation has nothing to change in this file."""


@dataclass
class Content:
    """What a file holds: its header, and its tensors by name."""

    header: dict[str, Any]
    tensors: dict[str, torch.Tensor]

    @classmethod
    def of(cls, path: Path) -> Content:
        return cls(*read_file(path))

    def copy(self) -> Content:
        return Content(copy.deepcopy(self.header), dict(self.tensors))

    def parts(self) -> Iterator[tuple[Any, Any, Any]]:
        """Every part of the description: what holds it, under which key, and the part."""
        waiting: list[Any] = [self.header["model"]]
        while waiting:
            holder = waiting.pop()
            pairs = list(holder.items() if isinstance(holder, dict) else enumerate(holder))
            for key, part in pairs:
                yield holder, key, part
                if isinstance(part, (dict, list)):
                    waiting.append(part)


Others = list[Content]
Mutation = Callable[[Content, random.Random, Others], None]
MUTATIONS: dict[str, Mutation] = {}


def mutation(name: str) -> Callable[[Mutation], Mutation]:
    def named(function: Mutation) -> Mutation:
        MUTATIONS[name] = function
        return function

    return named


def write_mutant(
    origin: Path, content: Content, path: Path, name: str, rng: random.Random, others: Others
) -> None:
    """Write the file of `content`, changed by one mutation, or by two.

    Args:
        origin: the file that `content` is of.
        content: what it holds; it stays as it is.
        path: where the changed file goes.
        name: of the mutation.
        rng: decides what is changed.
        others: what files of other models hold, to graft from.

    Raises:
        Unchanged: there was nothing to change.
    """
    if name == "raw bytes":
        path.write_bytes(_raw(bytearray(origin.read_bytes()), rng))
        return
    changed = content.copy()
    for _ in range(rng.choice([1, 1, 1, 2])):
        MUTATIONS[name](changed, rng, others)
    write_file(path, changed.header, changed.tensors)


def _raw(data: bytearray, rng: random.Random) -> bytes:
    """Bits flipped, bytes cut out or put in, the end cut off."""
    place = rng.randrange(len(data))
    how = rng.choice(["flip", "flip", "cut", "remove", "insert", "zero"])
    if how == "flip":
        data[place] ^= 1 << rng.randrange(8)
    elif how == "cut":
        del data[place:]
    elif how == "remove":
        del data[place : place + rng.choice([1, 8, 64])]
    elif how == "insert":
        data[place:place] = rng.randbytes(rng.choice([1, 8, 64]))
    else:
        data[place] ^= 0xFF
    return bytes(data)


def _pick(found: list[Any], rng: random.Random) -> Any:
    if not found:
        raise Unchanged
    return rng.choice(found)


def _fields(content: Content) -> list[tuple[Any, Any, Any]]:
    """The parts that are values: not tags, nor names of classes and tensors."""
    return [p for p in content.parts() if p[1] not in ("!", "class", "at")]


def _named(content: Content, rng: random.Random, *kinds: str) -> tuple[str, torch.Tensor]:
    """A tensor of the file, of floating point or whole numbers."""
    whole = [
        (name, tensor)
        for name, tensor in sorted(content.tensors.items())
        if not kinds or ("real" if tensor.is_floating_point() else "whole") in kinds
    ]
    name, tensor = _pick(whole, rng)
    return name, tensor.clone()


@mutation("numbers")
def numbers(content: Content, rng: random.Random, _: Others) -> None:
    """Another number where one stands."""
    found = [p for p in _fields(content) if type(p[2]) in (int, float, bool)]
    holder, key, old = _pick(found, rng)
    near = [old - 1, old + 1, -old, 2 * old, old * 1000] if type(old) is int else []
    holder[key] = copy.deepcopy(rng.choice([*NUMBERS, *SPECIAL, *near, *near]))


@mutation("types")
def types(content: Content, rng: random.Random, _: Others) -> None:
    """A value of another type."""
    holder, key, _old = _pick(_fields(content), rng)
    tensor = [{"!": rng.choice(["tensor", "array"]), "at": n} for n in sorted(content.tensors)]
    holder[key] = copy.deepcopy(rng.choice([*OTHERS, *tensor[:5]]))


@mutation("words")
def words(content: Content, rng: random.Random, _: Others) -> None:
    """A string in another's place, or a strange one."""
    found = [p for p in _fields(content) if type(p[2]) is str]
    holder, key, _old = _pick(found, rng)
    known = sorted({p[2] for p in found})
    strange = ["", "\0", "x" * 10000, "\ud800", "../../x", "__class__", "cuda", "float32", "int8"]
    holder[key] = rng.choice([*known, *strange])


@mutation("shapes")
def shapes(content: Content, rng: random.Random, _: Others) -> None:
    """A tensor's numbers in another shape."""
    name, tensor = _named(content, rng)
    forms: list[Callable[[torch.Tensor], torch.Tensor]] = [
        lambda t: t.flatten(),
        lambda t: t[None],
        lambda t: t[..., None],
        lambda t: t.T if t.ndim == 2 else t.flatten()[:0],
        lambda t: t.flatten()[0].reshape(()) if t.numel() else t,
        lambda t: t.flatten()[:1],
        lambda t: t[:0] if t.ndim else t,
        lambda t: t.flatten()[:0].reshape(0, 7),
    ]
    content.tensors[name] = rng.choice(forms)(tensor).contiguous()


@mutation("dtypes")
def dtypes(content: Content, rng: random.Random, _: Others) -> None:
    """A tensor of another type of number."""
    name, tensor = _named(content, rng)
    content.tensors[name] = tensor.to(rng.choice([d for d in DTYPES if d != tensor.dtype]))


@mutation("lengths")
def lengths(content: Content, rng: random.Random, _: Others) -> None:
    """A tensor cut short or made longer along an axis."""
    name, tensor = _named(content, rng)
    if tensor.ndim == 0:
        raise Unchanged
    axis = rng.randrange(tensor.ndim)
    size = tensor.shape[axis]
    if rng.random() < 0.5 and size:
        kept = rng.choice([0, 1, size // 2, size - 1])
        tensor = tensor.narrow(axis, 0, min(kept, size - 1))
    else:
        times = rng.choice([2, 3])
        more = tensor.narrow(axis, 0, min(1, size)) if rng.random() < 0.5 else tensor
        tensor = torch.cat([tensor, *([more] * times)], dim=axis)
    content.tensors[name] = tensor.contiguous()


@mutation("names")
def names(content: Content, rng: random.Random, _: Others) -> None:
    """Tensors exchanged, or one used twice; fields exchanged."""
    found = [p for p in content.parts() if p[1] == "at"]
    if len(found) > 1 and rng.random() < 0.7:
        (one, _, first), (two, _, second) = rng.sample(found, 2)
        one["at"] = second
        if rng.random() < 0.6:
            two["at"] = first
        else:
            content.tensors.pop(first, None)
        return
    groups = [p[2] for p in content.parts() if p[1] in ("fields", "params") and len(p[2]) > 1]
    group = _pick(groups, rng)
    a, b = rng.sample(sorted(group), 2)
    group[a], group[b] = group[b], group[a]


@mutation("grafts")
def grafts(content: Content, rng: random.Random, others: Others) -> None:
    """A part of another model's file: its law, its space, its vocabulary, an array."""
    donor = _pick([other for other in others if other.header != content.header], rng)
    kinds = ("data", "object", "module", "array", "tensor", "dict", "tuple")
    mine = [p for p in content.parts() if isinstance(p[2], dict) and p[2].get("!") in kinds]
    holder, key, old = _pick(mine, rng)
    given = [p for p in donor.parts() if isinstance(p[2], dict) and p[2].get("!") == old["!"]]
    same = [p for p in given if p[1] == key]
    _, _, new = _pick(same or given, rng)
    new = copy.deepcopy(new)
    whole = Content({"model": {"new": new}}, {})
    for part, _, at in [p for p in whole.parts() if p[1] == "at"]:
        part["at"] = f"graft.{at}"
        content.tensors[part["at"]] = donor.tensors[at]
    number = new.get("number") if new.get("!") == "data" else None
    if number is not None and rng.random() < 0.9:
        new["number"] = old.get("number", 1000)
    holder[key] = new
    _drop_unused(content)


def _drop_unused(content: Content) -> None:
    used = {p[2] for p in content.parts() if p[1] == "at" and isinstance(p[2], str)}
    for name in sorted(content.tensors.keys() - used):
        del content.tensors[name]


@mutation("fields")
def fields(content: Content, rng: random.Random, _: Others) -> None:
    """A field dropped, added, or under another name; an item of a list dropped or repeated."""
    holder, key, part = _pick(list(content.parts()), rng)
    if isinstance(holder, list):
        holder[key : key + 1] = rng.choice([[], [part, part], [part] * 50])
    elif rng.random() < 0.5:
        del holder[key]
    else:
        holder[rng.choice(["more", "_held", "__class__", "law_", "fit_", "space_"])] = part
    if rng.random() < 0.7:
        _drop_unused(content)


@mutation("classes")
def classes(content: Content, rng: random.Random, _: Others) -> None:
    """The name of another class that files may hold."""
    found = [p for p in content.parts() if p[1] == "class"]
    holder, key, _old = _pick(found, rng)
    holder[key] = rng.choice([*sorted(_KNOWN), "os.system", "builtins.eval", ""])


@mutation("values")
def values(content: Content, rng: random.Random, _: Others) -> None:
    """Other real numbers in an array: not a number, infinite, huge, nought, negative."""
    name, tensor = _named(content, rng, "real")
    flat, value = tensor.reshape(-1), rng.choice(REAL)
    if not len(flat):
        raise Unchanged
    count = rng.choice([1, 1, len(flat)])
    places = torch.tensor(rng.sample(range(len(flat)), min(count, len(flat))))
    flat[places] = torch.tensor(value, dtype=torch.float64).to(flat.dtype)
    content.tensors[name] = flat.reshape(tensor.shape)


@mutation("indices")
def indices(content: Content, rng: random.Random, _: Others) -> None:
    """Other whole numbers in an array: out of range, not in order, exchanged."""
    name, tensor = _named(content, rng, "whole")
    flat = tensor.reshape(-1).to(torch.int64)  # torch has little arithmetic for some of the others
    if not len(flat):
        raise Unchanged
    place = rng.randrange(len(flat))
    how = rng.choice(["one", "one", "all", "reverse", "near", "near", "shuffle"])
    value = rng.choice(WHOLE)
    if how == "one":
        flat[place] = value
    elif how == "all":
        flat[:] = value
    elif how == "reverse":
        flat = flat.flip(0)
    elif how == "shuffle":
        flat = flat[torch.tensor(rng.sample(range(len(flat)), len(flat)))]
    else:
        flat[place] += rng.choice([-2, -1, 1, 2])
    content.tensors[name] = flat.to(tensor.dtype).reshape(tensor.shape).contiguous()


@mutation("structure")
def structure(content: Content, rng: random.Random, _: Others) -> None:
    """Something very deep, very long, or that refers to itself; a path in a value's place."""
    holder, key, part = _pick(_fields(content), rng)
    how = rng.choice(["deep", "long", "self", "path", "wrapped", "strings"])
    if how == "deep":
        for _n in range(rng.choice([5, 100, 400])):
            part = rng.choice([[part], {"!": "tuple", "items": [part]}])
    elif how == "long":
        part = [part] * rng.choice([1000, 20000]) if len(json.dumps(part)) < 200 else [part, part]
    elif how == "self":
        part = {"!": "law", "number": rng.choice([0, 1, -1, 99])}
    elif how == "path":
        part = {"!": "path", "value": rng.choice(["/dev/full", "hostile.out", "/tmp/hostile"])}
    elif how == "wrapped":
        part = rng.choice([[part], {"!": "tuple", "items": [part, part]}, {"a": part}])
    else:
        part = {"!": "strings", "items": ["a"] * 4, "shape": rng.choice([[4], [2, 2], [10**9, 4]])}
    holder[key] = part


MUTATIONS["raw bytes"] = lambda *_: None
