"""The import graph of the package, drawn from its source: its direction, and no circles.

Imports inside functions and those for type checkers alone count like all others.
"""

import ast
import functools
from pathlib import Path

import pytest

import arproc

#: On which families another one stands, beside the contract.
STANDS_ON = {"panel": {"autoregression", "statespace", "transformed"}}
#: Folders, and single modules, from the ground up; what stands in one line may know each other.
LAYERS = (
    {"errors", "compiled", "contract.storable", "contract.checked", "contract.randomness"},
    {"gaussian"},  # filters and likelihoods in numbers alone, on which several families stand
    {"spaces", "data", "distributions"},
    {"contract"},
    {"sampling", "forecasting", "training"},
    {"process"},
    {"inference"},
    {"models"},
    {"scale", "audio", "parts", "datasets", "tables", "transforms", "ngram", "evaluation"},
    {"plot", "testing", "kit", "warming"},
    {"reporting"},
    {"arproc"},
    {"cli"},
    {"__main__"},
)
#: Public names of parts of the models, which are no layer of their own.
FACADES = {"arproc.transforms": "arproc.models.transformed", "arproc.ngram": "arproc.models.ngram"}


@functools.cache
def _graph() -> dict[str, set[str]]:
    root = Path(arproc.__file__).parent
    files = {}
    for path in root.rglob("*.py"):
        parts = path.relative_to(root.parent).with_suffix("").parts
        files[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    graph = {}
    for module, path in files.items():
        found = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {name.name for name in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                assert node.level == 0, f"{module} has a relative import"
                names = {f"{node.module}.{name.name}" for name in node.names}
                found |= {name if name in files else node.module for name in names}
        graph[module] = {FACADES.get(name, name) for name in found & set(files)} - {module}
    return graph


def _edges() -> list[tuple[str, str]]:
    return [(module, other) for module, others in _graph().items() for other in others]


def _circles() -> list[set[str]]:
    graph = _graph()
    reached = {module: set(others) for module, others in graph.items()}
    for middle in graph:  # Warshall's closure
        for others in reached.values():
            if middle in others:
                others |= reached[middle]
    circles = {frozenset(m for m in reached[a] if a in reached[m]) for a in graph}
    return [set(circle) for circle in circles if circle]


def _layer(module: str) -> int:
    name = module.removeprefix("arproc.")
    return next(i for i, layer in enumerate(LAYERS) if {name, name.partition(".")[0]} & layer)


def _family(module: str) -> str | None:
    parts = module.split(".")
    return parts[2] if parts[:2] == ["arproc", "models"] and len(parts) > 2 else None


def test_there_are_no_circles():
    assert [sorted(circle) for circle in _circles()] == []


def test_imports_go_down():
    assert [f"{a} -> {b}" for a, b in _edges() if _layer(a) < _layer(b)] == []


def test_families_of_models_do_not_know_each_other():
    pairs = [(a, b) for a, b in _edges() if _family(a) and _family(b) and _family(a) != _family(b)]
    wrong = [(a, b) for a, b in pairs if _family(b) not in STANDS_ON.get(_family(a) or "", ())]
    assert wrong == []


@pytest.mark.parametrize("algorithm", ["sampling", "forecasting"])
def test_algorithms_know_the_contract_alone(algorithm):
    theirs = [b for a, b in _edges() if a.startswith(f"arproc.{algorithm}")]
    assert theirs
    assert [b for b in theirs if b.startswith(("arproc.models", "arproc.process"))] == []


def test_nothing_imports_the_command_line():
    users = {
        a for a, b in _edges() if b.startswith("arproc.cli") and not a.startswith("arproc.cli")
    }
    assert users == {"arproc.__main__"}
