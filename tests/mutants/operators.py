"""Small faults that one could write by mistake, found in a file's syntax tree.

Each is one change of one node. Left out is what no test should fix: docstrings, the text of errors
and warnings, annotations and other code for type checkers, decorators, `__repr__`.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from hashlib import sha256

COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE), ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE), ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,), ast.NotEq: (ast.Eq,), ast.Is: (ast.IsNot,), ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,), ast.NotIn: (ast.In,),
}  # fmt: skip
ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult, ast.Mod: ast.FloorDiv, ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd,
}  # fmt: skip
TWINS = [
    ("min", "max"), ("minimum", "maximum"), ("amin", "amax"), ("argmin", "argmax"),
    ("floor", "ceil"), ("any", "all"), ("zeros", "ones"), ("zeros_like", "ones_like"),
    ("sum", "mean"), ("log", "log1p"), ("exp", "expm1"), ("float64", "float32"),
]  # fmt: skip
NAMES = dict(TWINS) | {b: a for a, b in TWINS}
#: Calls without which the receiver has another type, place, or shares its memory.
CONVERSIONS = {"double", "float", "long", "bool", "to", "type", "detach", "clone", "copy",
               "astype", "clamp", "abs", "cpu", "contiguous"}  # fmt: skip
PROMOTIONS = {"promote_types", "result_type"}
SPEAKING = {"__repr__", "__str__", "_repr_html_", "_repr_pretty_"}
#: Without their last argument these are no calls, and any test says so.
ALL_NEEDED = {"isinstance", "issubclass", "hasattr", "setattr"}
TYPING_CALLS = {"cast", "TypeVar", "NewType"}


@dataclass(frozen=True)
class Mutant:
    """One fault in one file.

    Attributes:
        path: the file, from the root of the repository.
        function: the qualified name of the function it lies in; "" outside of all.
        operator: the kind of fault.
        change: what became what, for people.
        nth: which of equal changes in the same function, from 0.
        start, end: the bytes of the file that `text` takes the place of.
        text: the new code.
        line: where, from 1.
    """

    path: str
    function: str
    operator: str
    change: str
    nth: int
    start: int
    end: int
    text: str
    line: int

    @property
    def identity(self) -> str:
        """Its name, which stays when other code of the file changes."""
        again = f" #{self.nth + 1}" if self.nth else ""
        return f"{self.path}::{self.function}::{self.operator}: {self.change}{again}"

    def apply(self, source: bytes) -> bytes:
        """The file with the fault in it."""
        return source[: self.start] + self.text.encode() + source[self.end :]

    def rank(self, seed: int) -> bytes:
        """Its place in the seed's order of all mutants, which other mutants do not change."""
        return sha256(f"{seed} {self.identity}".encode()).digest()


@dataclass
class _Finder(ast.NodeVisitor):
    """Walks a tree and notes (node, replacement, operator, change) with the function around."""

    stack: list[str] = field(default_factory=list)
    found: list[tuple[str, ast.AST, ast.AST, str, str]] = field(default_factory=list)

    def note(self, old: ast.AST, new: ast.AST, operator: str, change: str = "") -> None:
        change = change or f"{_short(old)} -> {_short(new)}"
        self.found.append((".".join(self.stack), old, new, operator, change))

    def alter(self, old: ast.AST, operator: str, change: Callable, label: str = "") -> None:
        new = deepcopy(old)
        change(new)
        self.note(old, new, operator, label)

    # ---- where faults are not looked for ---------------------------------------------------

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        overload = any("overload" in ast.unparse(d) for d in node.decorator_list)
        if node.name in SPEAKING or overload:
            return
        self.stack.append(node.name)
        for part in [*node.args.defaults, *filter(None, node.args.kw_defaults), *node.body]:
            self.visit(part)
        self.stack.pop()

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        if any("Protocol" in ast.unparse(base) for base in node.bases):
            return
        self.stack.append(node.name)
        for part in node.body:
            self.visit(part)
        self.stack.pop()

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.visit(node.value)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        """Text is for people."""

    def visit_Assign(self, node: ast.Assign) -> None:
        if all(isinstance(t, ast.Name) and t.id == "__all__" for t in node.targets):
            return
        if all(isinstance(t, ast.Attribute | ast.Subscript) for t in node.targets):
            self.note(node, ast.Pass(), "statement deleted")
        for target in node.targets:
            self.visit(target)
        self.visit(node.value)

    def visit_Raise(self, node: ast.Raise) -> None:
        if node.exc is not None:
            self.note(node, ast.Pass(), "statement deleted", f"{_short(node, 40)} -> pass")

    # ---- statements ------------------------------------------------------------------------

    def visit_Expr(self, node: ast.Expr) -> None:
        if isinstance(node.value, ast.Call):
            self.note(node, ast.Pass(), "statement deleted")
            self.visit(node.value)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        self.note(node, ast.Pass(), "statement deleted")
        self._operator(node)
        self.visit(node.value)

    def visit_Return(self, node: ast.Return) -> None:
        if node.value is None:
            return
        if not (isinstance(node.value, ast.Constant) and node.value.value is None):
            self.note(node, ast.Return(ast.Constant(None)), "returns nothing")
        self.visit(node.value)

    def visit_If(self, node: ast.If) -> None:
        if isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            return
        self._negate(node.test)
        self.generic_visit(node)

    def visit_IfExp(self, node: ast.IfExp) -> None:
        self._negate(node.test)
        self.generic_visit(node)

    def _negate(self, test: ast.expr) -> None:
        if not isinstance(test, ast.Compare):  # those have faults of their own
            self.note(test, ast.UnaryOp(ast.Not(), test), "condition negated")

    # ---- expressions -----------------------------------------------------------------------

    def visit_Compare(self, node: ast.Compare) -> None:
        for i, kind in enumerate(node.ops):
            for other in COMPARISONS[type(kind)]:
                self.alter(node, "comparison", lambda n, i=i, o=other: n.ops.__setitem__(i, o()))
        self.generic_visit(node)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        other = ast.Or if isinstance(node.op, ast.And) else ast.And
        self.alter(node, "and/or", lambda n: setattr(n, "op", other()))
        self.generic_visit(node)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        if not any(map(_text, (node.left, node.right))):
            self._operator(node)
        self.generic_visit(node)

    def _operator(self, node: ast.BinOp | ast.AugAssign) -> None:
        other = ARITHMETIC.get(type(node.op))
        if other is not None:
            self.alter(node, "arithmetic", lambda n: setattr(n, "op", other()))

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        if not isinstance(node.op, ast.UAdd):
            self.note(node, node.operand, "sign or not removed")
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, bool):
            self.note(node, ast.Constant(not node.value), "constant")
        elif isinstance(node.value, int | float):
            for other in (node.value + 1, node.value - 1):
                self.note(node, ast.Constant(other), "constant")

    def visit_Attribute(self, node: ast.Attribute) -> None:
        if node.attr in NAMES:
            self.alter(node, "twin", lambda n: setattr(n, "attr", NAMES[n.attr]))
        self.generic_visit(node)

    def visit_Subscript(self, node: ast.Subscript) -> None:
        for at, bounds in _slices(node.slice):
            for name in ("lower", "upper"):
                if getattr(bounds, name) is not None:
                    self.alter(node, "slice bound dropped", lambda n, at=at, name=name: setattr(
                        dict(_slices(n.slice))[at], name, None))  # fmt: skip
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        name = node.func.attr if isinstance(node.func, ast.Attribute) else name
        if name in TYPING_CALLS or name == "warn":
            return
        if isinstance(node.func, ast.Name) and name in NAMES:
            self.alter(node.func, "twin", lambda n: setattr(n, "id", NAMES[n.id]))
        if isinstance(node.func, ast.Attribute) and name in CONVERSIONS:
            self.note(node, node.func.value, "conversion removed")
        if name in PROMOTIONS and node.args:
            self.note(node, node.args[0], "promotion removed")
        if (
            len(node.args) > 1
            and name not in ALL_NEEDED
            and not isinstance(node.args[-1], ast.Starred)
        ):
            label = f"{_short(node.func)}(..., {_short(node.args[-1])}) without it"
            self.alter(node, "argument dropped", lambda n: n.args.pop(), label)
        for i, keyword in enumerate(node.keywords):
            if keyword.arg is not None:
                label = f"{_short(node.func)}({keyword.arg}={_short(keyword.value)}) without it"
                self.alter(node, "keyword dropped", lambda n, i=i: n.keywords.pop(i), label)
        self.generic_visit(node)


def _slices(index: ast.expr) -> list[tuple[int, ast.Slice]]:
    parts = index.elts if isinstance(index, ast.Tuple) else [index]
    return [(i, part) for i, part in enumerate(parts) if isinstance(part, ast.Slice)]


def _text(node: ast.expr) -> bool:
    return isinstance(node, ast.JoinedStr) or (
        isinstance(node, ast.Constant) and isinstance(node.value, str)
    )


def _short(node: ast.AST, width: int = 60) -> str:
    line = " ".join(ast.unparse(node).split())
    return line if len(line) <= width else line[: width - 3] + "..."


def find(path: str, source: bytes) -> list[Mutant]:
    """All mutants of one file."""
    finder = _Finder()
    finder.visit(ast.parse(source))
    starts = [0]
    for line in source.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    counted: Counter[tuple[str, str, str]] = Counter()
    mutants = []
    for function, old, new, operator, change in finder.found:
        key = (function, operator, change)
        start = starts[old.lineno - 1] + old.col_offset
        end = starts[old.end_lineno - 1] + old.end_col_offset
        text = ast.unparse(ast.fix_missing_locations(new))
        text = f"({text})" if isinstance(new, ast.expr) else text
        mutants.append(
            Mutant(path, function, operator, change, counted[key], start, end, text, old.lineno)
        )
        counted[key] += 1
    return mutants


def functions(tree: ast.Module) -> Iterator[tuple[str, ast.FunctionDef]]:
    """Every function with the name by which `Mutant.function` calls it."""

    def walk(node: ast.AST, stack: tuple[str, ...]) -> Iterator[tuple[str, ast.FunctionDef]]:
        for child in ast.iter_child_nodes(node):
            named = isinstance(child, ast.FunctionDef | ast.ClassDef)
            inner = (*stack, child.name) if named else stack
            if isinstance(child, ast.FunctionDef):
                yield ".".join(inner), child
            yield from walk(child, inner)

    return walk(tree, ())
