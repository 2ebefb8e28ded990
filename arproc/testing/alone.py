"""Calls leave alone what is not theirs: global settings, the user's arrays, their own results."""

from __future__ import annotations

import copy
import os
import random
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from arproc.errors import ArprocError
from arproc.testing.compare import agree
from arproc.testing.futures import room
from arproc.testing.material import Batch
from arproc.testing.report import NotApplicable, fail
from arproc.testing.subject import Subject

__all__ = ["globals_alone", "inputs_alone", "results_alone"]

Call = Callable[[], Any]


class _Given:
    """What the calls are given: arrays of the user's own."""

    def __init__(self, subject: Subject) -> None:
        self.subject, self.process = subject, subject.process
        # of more rows than a prefix has elements: together they are no small picture
        self.batch = subject.batch(5, subject.whole(8), "left alone")
        self.data = subject.user_data(self.batch)
        self.tensor = torch.tensor(self.data, device=self.process.device)
        self.context = None if self.batch.context is None else np.array(self.batch.context)
        known = max(subject.given, min(subject.given + 3, subject.short(4)))
        self.prefix = subject.as_user(self.batch.x[:, :known])
        self.elements = self.batch.x[:, subject.given :].clone()
        self.length = min(4, self.batch.length - known)
        try:
            self.horizon = room(subject, known, 4)
        except NotApplicable:
            self.horizon = 0

    def calls(self) -> dict[str, Call]:
        """The calls whose results depend on nothing but what they are given."""
        process, context = self.process, self.context
        seeded: dict[str, Any] = {"seed": 3, "context": context}
        calls: dict[str, Call] = {
            "log_prob": lambda: process.log_prob(self.data, context=context),
            "log_prob of a tensor": lambda: process.log_prob(self.tensor, context=context),
            "log_prob_terms": lambda: process.log_prob_terms(self.data, context=context),
            "score": lambda: process.score(self.data, context=context),
            "conditionals": lambda: self._table(process.conditionals(self.data, context=context)),
            "states": self._states,
        }
        if self.length > 0:
            calls["sample"] = lambda: process.sample(5, self.length, self._prefix(), **seeded)
            calls["condition"] = lambda: self._table(
                process.condition(self.prefix[0], context=None if context is None else context[0])
                .start()
                .conditional
            )
        if self.horizon:
            history = list(self.prefix)
            calls["forecast"] = lambda: process.forecast(
                history, self.horizon, n_paths=20, **seeded
            )
            calls["sample_paths"] = lambda: process.sample_paths(
                history, self.horizon, 5, **seeded
            )
        return calls

    def _prefix(self) -> Any:
        return self.prefix if self.prefix.shape[1] else None

    def _table(self, conditional: Any) -> torch.Tensor:
        return self.subject.table(conditional)

    def _states(self) -> torch.Tensor:
        state = self.subject.begin(self.batch)
        room = self.subject.short(3) - self.subject.given  # one is left to come
        state = state.extend(self.elements[:, : room - 1])[1]
        state = state.append(self.elements[:, room - 1]) if room else state
        back = state.truncate(state.lengths - 1).select([1, 0])
        return torch.cat([self._table(one.conditional) for one in (state, back)], dim=-1)

    def arrays(self) -> dict[str, Any]:
        """The arrays that calls get, by name."""
        found = {
            "data": self.data,
            "a tensor of data": self.tensor,
            "a prefix": self.prefix,
            "elements given to a state": self.elements,
        }
        return found if self.context is None else found | {"the context": self.context}


def _numbers(value: Any) -> torch.Tensor:
    """A result as a flat tensor; of text the codes of its characters."""
    if hasattr(value, "to_numpy"):
        value = value.to_numpy()
    if isinstance(value, torch.Tensor):
        return value.detach().double().cpu().reshape(-1)
    if isinstance(value, str):
        return torch.tensor([float(ord(c)) for c in value], dtype=torch.float64)
    if isinstance(value, (list, tuple)):
        return torch.cat([torch.zeros(0, dtype=torch.float64), *map(_numbers, value)])
    array = np.asarray(value)
    if array.dtype.kind in "OU":
        try:
            array = array.astype(np.float64)
        except (TypeError, ValueError):
            return _numbers("".join(map(str, array.ravel().tolist())))
    return torch.as_tensor(array.astype(np.float64)).reshape(-1)


def _marked(x: torch.Tensor) -> torch.Tensor:
    return torch.where(torch.isnan(x), torch.inf, x)


# ---- global settings ----------------------------------------------------------------------------


def _environment() -> dict[str, str]:
    """The variables of the environment; but torch's own folder, which it names as it loads."""
    return {k: v for k, v in os.environ.items() if not k.startswith("TORCHINDUCTOR_")}


def globals_alone(subject: Subject) -> str:
    """Every call leaves the world as it was.

    The random generators of torch, NumPy and Python, torch's default dtype, gradients and threads,
    the filters of warnings, NumPy's error state. And no call depends on it: with other global
    seeds the results are the same; without a seed draws are new each time.
    """
    with _kept_world(), torch.enable_grad():
        first = {}
        for name in _names(subject):
            _stir(5)
            before = _world()
            first[name] = _ask(subject, name)
            _require_world(before, name)
        for name in first:
            _stir(6)
            agree(
                _marked(_ask(subject, name)),
                _marked(first[name]),
                0.0 if subject.dtype == torch.float64 else 1e-6,
                f"{name} to be the same whatever the global generators' state",
                "a draw from a global generator where a seed is given, or dropout left on",
                ("number",),
            )
        _new_each_time(subject)
    return f"{len(first)} calls"


def _names(subject: Subject) -> list[str]:
    given = _Given(subject)
    return list(given.calls() | _more_calls(subject, given))


def _ask(subject: Subject, name: str) -> torch.Tensor:
    """What one call gives for arrays of its own."""
    given = _Given(subject)
    return _numbers((given.calls() | _more_calls(subject, given))[name]())


def _stir(seed: int) -> None:
    """Put the global generators where no seed of a call would."""
    torch.manual_seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    random.seed(seed)
    torch.rand(3)
    np.random.random(3)  # noqa: NPY002
    random.random()


def _more_calls(subject: Subject, given: _Given) -> dict[str, Call]:
    from arproc.process.persistence import load

    def stored() -> Any:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.arproc"
            subject.process.save(path)
            return load(path).log_prob(given.data, context=given.context)

    calls: dict[str, Call] = {"save and load": stored}
    if subject.process.law_.context is None and not subject.given and not subject.space.terminates:
        view = subject.process.distribution(given.batch.length)
        calls["distribution().log_prob"] = lambda: view.log_prob(given.tensor)
    return calls


def _world() -> dict[str, Any]:
    return {
        "torch's global generator": torch.get_rng_state().numpy().tobytes(),
        "NumPy's global generator": _numpy_state(),
        "Python's global generator": random.getstate(),
        "torch's default dtype": torch.get_default_dtype(),
        "torch's default device": torch.get_default_device(),
        "whether gradients are recorded": torch.is_grad_enabled(),
        "torch's number of threads": torch.get_num_threads(),
        "whether torch is deterministic": torch.are_deterministic_algorithms_enabled(),
        "the filters of warnings": list(warnings.filters),
        "NumPy's error state": np.geterr(),
        "NumPy's print options": repr(np.get_printoptions()),
        "the working directory": os.getcwd(),
        "the environment": _environment(),
    }


def _numpy_state() -> tuple[bytes, tuple[Any, ...]]:
    _, keys, *rest = np.random.get_state()  # noqa: NPY002
    return np.asarray(keys).tobytes(), tuple(rest)


def _require_world(before: dict[str, Any], name: str) -> None:
    for what, now in _world().items():
        if now != before[what]:
            fail(
                f"{name} to leave {what} alone",
                "it is another after the call",
                "a global setting or seed that is set, or used, and not put back",
            )


@contextmanager
def _kept_world() -> Iterator[None]:
    """Whatever happens inside, the world is put back."""
    numpy_state, python_state = np.random.get_state(), random.getstate()  # noqa: NPY002
    dtype, threads, errors = torch.get_default_dtype(), torch.get_num_threads(), np.geterr()
    deterministic, printing = torch.are_deterministic_algorithms_enabled(), np.get_printoptions()
    grad, folder, environment = torch.is_grad_enabled(), os.getcwd(), _environment()
    device = torch.get_default_device()
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        try:
            yield
        finally:
            np.random.set_state(numpy_state)  # noqa: NPY002
            random.setstate(python_state)
            torch.set_default_dtype(dtype)
            if torch.get_default_device() != device:
                torch.set_default_device(device)
            torch.set_num_threads(threads)
            torch.use_deterministic_algorithms(deterministic)
            torch.set_grad_enabled(grad)
            np.seterr(**errors)
            np.set_printoptions(**printing)
            os.chdir(folder)
            if _environment() != environment:
                os.environ.clear()
                os.environ.update(environment)


def _new_each_time(subject: Subject) -> None:
    """Without a seed, draws are new, whatever the seeds of NumPy and Python."""
    total = subject.short(20)
    length = total - subject.given
    prefix = subject.prefix(16, total, "without a seed")
    known = subject.user_prefix(prefix)

    def ask(**seed: Any) -> Any:
        return subject.process.sample(
            16, length, known, return_log_prob=True, context=prefix.context, **seed
        )

    one, two = ask(seed=None), ask()
    sure = subject.space.measure == "mass" and float(np.max(np.asarray(one.log_prob))) > -3
    if not length or sure:
        return  # next to nothing is random
    a, b = _numbers(one.x), _numbers(two.x)
    if a.shape == b.shape and torch.equal(_marked(a), _marked(b)):
        fail(
            "draws without a seed to be new each time",
            "two calls gave the same",
            "a seed that is fixed where none is given",
        )


# ---- the user's arrays --------------------------------------------------------------------------


def inputs_alone(subject: Subject) -> str:
    """No call writes into what it is given, and none goes on reading it afterwards.

    What the user then writes into data, a prefix or a context moves no state, no conditioned
    process and no fitted law.
    """
    given = _Given(subject)
    before = {name: copy.deepcopy(array) for name, array in given.arrays().items()}
    for name, call in given.calls().items():
        call()
        for what, array in given.arrays().items():
            if not torch.equal(_marked(_numbers(array)), _marked(_numbers(before[what]))):
                fail(
                    f"{name} to leave {what} as it was given",
                    "the user's own array was written into",
                    "an operation in place on what is shared with the user",
                )
    kept = _kept(subject, given)
    want = {name: _numbers(call()) for name, call in kept.items()}
    for array in given.arrays().values():
        _overwrite(array)
    for name, call in kept.items():
        agree(
            _marked(_numbers(call())),
            _marked(want[name]),
            0.0,
            f"{name} to stay as it is when the arrays it was made of are written into",
            "a view of the user's array that is kept instead of a copy",
        )
    return f"{len(before)} arrays, {len(kept)} objects made of them"


def _kept(subject: Subject, given: _Given) -> dict[str, Call]:
    """Objects made of the given arrays, and what they then say."""
    process, context = subject.process, given.context
    found: dict[str, Call] = {}
    known = torch.tensor(given.prefix) if given.prefix.shape[1] else None

    def said(make: Callable[[], Any]) -> Call:
        state = make()
        return lambda: subject.table(copy.copy(state).select(range(state.n)).conditional)

    if known is not None and given.length > 0:
        given.known = known  # type: ignore[attr-defined]
        found["start(prefix)"] = said(lambda: process.start(given.prefix, context=context))
        found["start(a tensor)"] = said(lambda: process.start(known, context=context))
        one = None if context is None else context[0]
        follows = process.condition(given.prefix[0], context=one)
        found["condition(prefix)"] = lambda: subject.table(follows.start().conditional)
    begun = subject.begin(Batch(given.batch.x.clone(), context))
    columns = 2 if given.batch.length - subject.given > 3 else 1
    if given.elements.shape[1] > columns:
        found["extend(x)"] = said(lambda: begun.extend(given.elements[:, :columns])[1])
        found["append(x)"] = said(lambda: begun.append(given.elements[:, 0]))
    learnt = _refitted(subject)
    if learnt is not None:
        found["what fit learnt"] = lambda: learnt.log_prob(_Given(subject).data)
    return found


def _refitted(subject: Subject) -> Any:
    """A copy fitted to an array that was then written into; None where it is not fitted so."""
    known, process = subject.examples, copy.copy(subject.process)
    if known is None or subject._context is not None or subject.is_text:
        return None
    if "training__steps" in process.get_params():
        return None  # too slow for what it shows: networks hold no data
    data = known.restore(process.layout)
    if not isinstance(data, np.ndarray):
        return None
    mine = np.array(data)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            process.fit(mine)
    except (ArprocError, np.linalg.LinAlgError):
        return None
    want = _numbers(process.log_prob(data))
    _overwrite(mine)
    agree(
        _marked(_numbers(process.log_prob(data))),
        _marked(want),
        0.0,
        "what fit learnt to stay as it is when the data are written into",
        "a view of the user's array that is kept instead of a copy",
    )
    return None


def _overwrite(array: Any) -> None:
    """Put other elements of the array in the place of each."""
    flat = array.reshape(-1)
    if isinstance(array, torch.Tensor):
        array.copy_(flat.roll(1).reshape(array.shape).clone())
        array[...] = array.flip(0) if len(array) else array
    else:
        array[...] = np.roll(flat, 1).reshape(array.shape)[::-1]


# ---- results ------------------------------------------------------------------------------------


def results_alone(subject: Subject) -> str:
    """What a call gave is the user's: writing into it changes no later result."""
    names = _names(subject)
    for name in names:
        given = _Given(subject)
        first = (given.calls() | _more_calls(subject, given))[name]()
        want = _numbers(first).clone()
        if not _spoil(first):
            continue
        agree(
            _marked(_ask(subject, name)),
            _marked(want),
            0.0 if subject.dtype == torch.float64 else 1e-6,
            f"{name} to be the same after what it gave was written into",
            "a result that is kept, or a view of what the model holds",
            ("number",),
        )
    return f"{len(names)} results written into"


def _spoil(value: Any) -> bool:
    """Write into a result; whether there was anything to write into."""
    if isinstance(value, list):
        return sum(map(_spoil, value)) > 0  # every part is
    if isinstance(value, torch.Tensor):
        value.fill_(1)
        return bool(value.numel())
    if isinstance(value, np.ndarray):
        if value.flags.writeable:
            value[...] = 1
        return bool(value.size and value.flags.writeable)
    if hasattr(value, "iloc"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            value.iloc[:, :] = 1
        return True
    return False
