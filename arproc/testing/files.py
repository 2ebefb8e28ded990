"""Files: everything that a call can reach is the same after save and load, in any process."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from arproc.contract.law import Law
from arproc.contract.parameters import Parameters, is_learnt
from arproc.contract.sequences import Sequences
from arproc.errors import ArprocError
from arproc.process import Process
from arproc.sampling import Policy
from arproc.testing.compare import gap
from arproc.testing.conditions import scored_in_contexts
from arproc.testing.drawing import drawn
from arproc.testing.futures import continued, numbers, room
from arproc.testing.gaps import within_reach
from arproc.testing.generation import policies
from arproc.testing.material import Batch, marked
from arproc.testing.report import NotApplicable, fail
from arproc.testing.subject import Subject
from arproc.testing.work import late

__all__ = ["save_and_load"]

_CAUSE = (
    "something learnt in an attribute without a trailing underscore, in the class or in a module, "
    "which is not saved"
)
#: How long a fresh interpreter may take, in seconds.
_PATIENCE = 300


def save_and_load(subject: Subject) -> str:
    """Everything that a call can reach is the same after save and load.

    Likelihoods, long sequences and gaps, the conditionals of states, draws and draws under
    policies, forecasts and paths, what was learnt and how. Saving changes nothing: a second file
    and that of the loaded model have the same bytes. With `thorough` the file is read in a fresh
    interpreter too.
    """
    from arproc.process.persistence import load

    process, want = subject.process, reached(subject)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = [folder / f"{k}.arproc" for k in range(3)]
        process.save(files[0])
        loaded = load(files[0])
        _require_kind(process, loaded)
        _require(reached(subject.with_process(loaded)), want, "the loaded model")
        process.save(str(files[1]))  # a path as text is as good
        loaded.save(files[2])
        _require_bytes(files)
        again = {name: find() for name, find in _calls(subject).items() if name in _FEW}
        _require(again, {name: want[name] for name in again}, "the model, once it was saved,")
        detail = f"{len(want)} calls the same, {files[0].stat().st_size} bytes"
        if subject.thorough:
            detail += "; " + _elsewhere(subject, folder, files[0], want)
    return detail


def _require_kind(process: Process, loaded: Any) -> None:
    if type(loaded) is not type(process) or loaded.space != process.space:
        fail(
            f"a {type(process).__name__} over {process.space.describe()}",
            f"a {type(loaded).__name__} over {loaded.space.describe()} was loaded",
            _CAUSE,
        )


def _require_bytes(files: list[Path]) -> None:
    first = files[0].read_bytes()
    for path, what in ((files[1], "a second file"), (files[2], "the file of the loaded model")):
        if path.read_bytes() != first:
            fail(
                f"{what} to have the bytes of the first",
                f"{path.stat().st_size} bytes came instead of the {len(first)}, or others",
                "saving, loading or a call that changes what the model holds",
            )


# ---- what a call can reach ----------------------------------------------------------------------

#: What is asked once more after saving.
_FEW = ("log_prob of long sequences", "samples")


def reached(subject: Subject) -> dict[str, Any]:
    """What the calls of a process give, by name: numbers, text, or the error that came."""
    found = {}
    for name, find in _calls(subject).items():
        try:
            found[name] = find()
        except (NotApplicable, ArprocError) as error:
            found[name] = f"{type(error).__name__}"
    return found | _attributes(subject.process)


def _calls(subject: Subject) -> dict[str, Callable[[], Any]]:
    calls: dict[str, Callable[[], Any]] = {
        "log_prob of long sequences": lambda: _long(subject),
        "log_prob of sequences with gaps": lambda: _gaps(subject),
        "log_prob_terms": lambda: _terms(subject),
        "conditionals": lambda: subject.reference(_batch(subject, subject.short(6))),
        "the state after a long prefix": lambda: _states(subject),
        "samples": lambda: _samples(subject, subject.short(6)),
        "long samples": lambda: _samples(subject, subject.short(90)),
        "samples of the user's form": lambda: _in_form(subject),
        "condition(prefix)": lambda: _conditioned(subject),
        "forecast": lambda: _forecast(subject),
        "joint law": lambda: _joint(subject),
        "log_prob in every context": lambda: scored_in_contexts(subject),
        "distribution().log_prob": lambda: _view(subject),
    }
    for policy in policies(subject):
        calls[f"samples under {policy!r}"] = partial(_under, subject, policy)
    return calls


def _batch(subject: Subject, length: int) -> Batch:
    return subject.batch(3, length, "file")


def _prefix(subject: Subject, length: int) -> Batch:
    return subject.prefix(4, subject.short(length), "file")


def _long(subject: Subject) -> Any:
    budget = subject.budget
    slow = budget.stepwise or budget.replays
    far = subject.length if slow else max(subject.length, late(subject, "file", rows=3))
    batch = _batch(subject, far)
    sequences = subject.ragged(batch, [batch.length] * batch.n)
    return np.asarray(subject.process.log_prob(sequences, context=batch.context))


def _gaps(subject: Subject) -> Any:
    if not subject.process.law_.takes_missing:
        return None
    batch = _batch(subject, subject.whole(12))
    x = batch.x.clone()
    x[:, subject.given + 2 :: 3] = torch.nan
    x = within_reach(subject, x, batch.x)
    whole = subject.ragged(Batch(x, batch.context), [batch.length] * batch.n)
    gaps = Sequences(whole.values, whole.offsets, whole.space, whole.complete, missing=True)
    return np.asarray(subject.process.log_prob(gaps, context=batch.context))


def _terms(subject: Subject) -> Any:
    batch = _batch(subject, subject.whole(8))
    sequences = subject.ragged(batch, [batch.length] * batch.n)
    return [np.asarray(part) for part in
            subject.process.log_prob_terms(sequences, context=batch.context)]  # fmt: skip


def _states(subject: Subject) -> Any:
    known = subject.length if subject.space.length is None else subject.space.length - 1
    batch = _batch(subject, known)
    state = subject.start(batch, known)
    cut = state.truncate(max(subject.given, known - 2)).select([2, 0])
    return [subject.table(one.conditional) for one in (state, cut)]


def _samples(subject: Subject, length: int) -> Any:
    found = drawn(subject, _prefix(subject, length), length - subject.given, 9)
    return [marked(row) for row in found.new]


def _in_form(subject: Subject) -> Any:
    prefix = _prefix(subject, 6)
    length = subject.short(6) - subject.given
    return subject.process.sample(
        prefix.n, length, subject.user_prefix(prefix), seed=2, context=prefix.context
    )


def _under(subject: Subject, policy: Policy) -> Any:
    if subject.short(6) - subject.given < 5:
        return None
    return [marked(row) for row in drawn(subject, _prefix(subject, 6), 5, 9, policy).new]


def _conditioned(subject: Subject) -> Any:
    length = subject.short(6)
    batch = _batch(subject, length)
    context = None if batch.context is None else batch.context[0]
    follows = subject.process.condition(subject.as_user(batch.x[0]), context=context)
    return subject.table(follows.start().conditional)


def _forecast(subject: Subject) -> Any:
    known = max(subject.given, subject.short(9) - 5)
    horizon = room(subject, known, 40)
    batch = _batch(subject, known + horizon)
    history = [subject.as_user(row) for row in batch.x[:, :known]]
    process = subject.process
    settings: dict[str, Any] = {"seed": 5, "context": batch.context}
    table = process.forecast(history, horizon, (0.01, 0.5, 0.99), n_paths=30, **settings)
    paths = process.sample_paths(history, horizon, 6, **settings)
    return [table.to_numpy(dtype=float), paths.to_numpy(dtype=float)]


def _joint(subject: Subject) -> Any:
    """The joint law's likelihood of what follows, and the moments that it has."""
    known, horizon = subject.short(4), 6 if subject.space.length is None else 1
    batch = numbers(subject, 2, known, known + horizon, "joint law")
    batch = continued(subject, batch, known + horizon)
    found: Any = subject.process.law_.joint(subject.start(batch, known), horizon)
    if found is None:
        return None
    moments = []
    with suppress(NotImplementedError):  # of logarithms it has none
        moments = [found.mean, found.covariance_matrix]
    return [found.log_prob(batch.x[:, known:].double().reshape(2, -1)), *moments]


def _view(subject: Subject) -> Any:
    batch = _batch(subject, subject.whole(5))
    return subject.process.distribution(batch.length).log_prob(
        torch.as_tensor(subject.user_data(batch))
    )


# ---- what a model shows -------------------------------------------------------------------------


def _attributes(process: Process) -> dict[str, Any]:
    """What a model shows of what it learnt, its parameters and its circumstances."""
    found: dict[str, Any] = {}
    for name, value in process.get_params(deep=False).items():
        found[f"the parameter {name}"] = value
    for name in sorted({*dir(type(process)), *vars(process)}):
        if is_learnt(name) and not name.startswith("_") and name not in ("law_", "fit_"):
            with suppress(Exception):  # what it has not learnt it may refuse to show
                found[name] = getattr(process, name)
    for name, value in vars(process.fit_).items():
        found[f"fit_.{name}"] = value
    law = process.law_
    for name in ("n_given", "takes_missing", "layout", "context", "space"):
        found[f"law_.{name}"] = repr(getattr(law, name))
    if hasattr(process, "summary"):
        with suppress(ArprocError):
            found["summary()"] = str(process.summary())
    return found


def _require(got: Mapping[str, Any], want: Mapping[str, Any], who: str) -> None:
    for name, value in want.items():
        problem = "it is gone" if name not in got else _difference(got[name], value)
        if problem:
            fail(f"{who} to give the same {name}", problem, _CAUSE)


def _difference(got: Any, want: Any) -> str:
    """How two results differ, in words; empty where they are the same or can not be compared."""
    got, want = _plain(got), _plain(want)
    if isinstance(want, torch.Tensor):
        if not isinstance(got, torch.Tensor) or got.shape != want.shape:
            return f"{_short(got)} came instead of {_short(want)}"
        same = (got == want) | (torch.isnan(got) & torch.isnan(want))
        gaps = torch.where(same, 0.0, gap(got, want))
        if not gaps.numel() or float(gaps.max()) <= 1e-12:
            return ""
        at = int(gaps.argmax())
        return (
            f"{float(got.reshape(-1)[at]):.9g} came instead of {float(want.reshape(-1)[at]):.9g}"
        )
    if isinstance(want, (list, tuple)):
        if not isinstance(got, (list, tuple)) or len(got) != len(want):
            return f"{_short(got)} came instead of {_short(want)}"
        return next(filter(None, map(_difference, got, want)), "")
    if isinstance(want, Mapping):
        if not isinstance(got, Mapping) or list(map(str, got)) != list(map(str, want)):
            return f"{_short(got)} came instead of {_short(want)}"
        return next(filter(None, map(_difference, got.values(), want.values())), "")
    if isinstance(want, (str, bool, type(None))):
        return "" if got == want else f"{_short(got)} came instead of {_short(want)}"
    return ""  # an object: what it does is asked by the calls


def _plain(value: Any) -> Any:
    if hasattr(value, "to_numpy"):
        value = value.to_numpy()
    if isinstance(value, torch.Tensor):
        return value.detach().double().cpu()
    if isinstance(value, (int, float, np.number)) and not isinstance(value, bool):
        return torch.tensor(float(value), dtype=torch.float64)
    if isinstance(value, np.ndarray):
        if value.dtype.kind in "biuf":
            return torch.as_tensor(value.astype(np.float64))
        return value.tolist()
    return value


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


# ---- a fresh interpreter ------------------------------------------------------------------------


def _elsewhere(subject: Subject, folder: Path, file: Path, want: dict[str, Any]) -> str:
    """The file read by another interpreter, which knows nothing but the file and the classes."""
    modules = sorted({cls.__module__ for cls in _classes(subject.process)})
    local = [cls.__name__ for cls in _classes(subject.process) if "<locals>" in cls.__qualname__]
    if "__main__" in modules or local:
        return "no fresh interpreter, since a class of it can not be imported"
    with (folder / "given").open("wb") as given:
        pickle.dump((subject._data, subject._context, subject.seed, subject.length), given)
    code = "from arproc.testing import files; files.read_elsewhere()"
    paths = os.pathsep.join(path for path in sys.path if path)
    done = subprocess.run(
        [sys.executable, "-c", code, str(file), str(folder), *modules],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        timeout=_PATIENCE,
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["nothing"])[-1]
        fail("the file to be read in a fresh interpreter", f"it ended with: {last}", _CAUSE)
    with (folder / "found").open("rb") as found:
        # written by the process just started, from this folder of our own
        _require(pickle.load(found), want, "the model loaded in a fresh interpreter")
    return "the same in a fresh interpreter"


def read_elsewhere() -> None:
    """What the fresh interpreter does: read the file and ask it everything."""
    import importlib

    from arproc.process.persistence import load

    file, folder, *modules = sys.argv[1:]
    for module in modules:
        importlib.import_module(module)
    with (Path(folder) / "given").open("rb") as given:
        data, context, seed, length = pickle.load(given)
    torch.set_num_threads(1)
    with torch.no_grad():
        # as thorough as who asks: lengths depend on it
        found = reached(Subject(load(file), data, context, seed, length, thorough=True))
    kept = {name: _plain(value) for name, value in found.items()}
    kinds = (torch.Tensor, list, tuple, str, bool, type(None), dict)
    with (Path(folder) / "found").open("wb") as out:
        pickle.dump({k: v if isinstance(v, kinds) else None for k, v in kept.items()}, out)


def _classes(value: Any, depth: int = 4) -> Iterator[type]:
    """The classes of a model, its law and what these hold."""
    if isinstance(value, (Parameters, Law, torch.nn.Module)):
        yield type(value)
        if depth:
            for part in [*vars(value).values(), getattr(value, "law_", None)]:
                yield from _classes(part, depth - 1)
    elif isinstance(value, (list, tuple)) and depth:
        for part in value:
            yield from _classes(part, depth - 1)
