"""The process under test, and the sequences, contexts and draws that the checks look at."""

from __future__ import annotations

import copy
import zlib
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch.distributions import Distribution, Transform

from arproc.contract.randomness import Uniforms
from arproc.contract.sequences import Sequences
from arproc.contract.state import State
from arproc.data.tables import Column, Table
from arproc.distributions import as_categorical
from arproc.process import Process
from arproc.sampling import Policy
from arproc.sampling.ancestral import draw
from arproc.spaces import Categorical, Space
from arproc.testing.budget import Budget
from arproc.testing.compare import tolerance_of
from arproc.testing.material import Batch, examples_of_context, line_of, precisions
from arproc.testing.report import NotApplicable
from arproc.testing.support import possible
from arproc.testing.tables import entries, sizes_of

__all__ = ["Batch", "Subject"]

_PROBES = 48  # values at which two conditionals over many symbols are compared


def _copied(process: Process) -> Process | None:
    """A deep copy, where it is a fitted process; whether copies are equal, `copies` asks."""
    try:
        copied = copy.deepcopy(process)
        copied.law_  # noqa: B018 - a copy that has lost it raises here
    except Exception:
        return None
    return copied


class Subject:
    """A process and what the checks need of it.

    Args:
        process: the process under test.
        data: example sequences in any form it takes; draws of its own by default.
        context: for processes that take one: examples [M, c] (static) or [M, T, c] (steps),
            given to the rows of the checks in turn.
        seed: everything random in the checks follows from it.
        length: how long the long sequences are.
        thorough: whether more is tried and larger sizes, however long it takes.
        kept: whether a copy is kept untouched.
    """

    def __init__(
        self,
        process: Process,
        data: Any = None,
        context: Any = None,
        seed: int = 0,
        length: int = 256,
        thorough: bool = False,
        kept: bool = True,
    ) -> None:
        self.process = process
        self.seed = seed
        self.thorough = thorough
        self.space: Space = process.space
        self.given = process.n_given
        fixed = self.space.length
        #: How many elements the long sequences have; what is left of a fixed length.
        self.length = length if fixed is None else fixed
        self._context = examples_of_context(process, context)
        self._data = None if data is None else process.sequences(data)
        #: A copy that no check asks for anything but the first one; None where it has none.
        self.untouched = _copied(process) if kept else None

    def under(self, policy: Policy) -> Subject:
        """The process under a policy, tried with the same data and contexts."""
        process = self.process.with_policy(policy)
        return self.with_process(process)

    def with_process(self, process: Process) -> Subject:
        """Another process, tried with the same data and contexts."""
        other = Subject(
            process, self._data, self._context, self.seed, self.length, self.thorough, kept=False
        )
        if process.space == self.space and process.n_given == self.given:
            vars(other)["examples"] = self.examples  # the same is asked of it, and drawn once
        return other

    @cached_property
    def budget(self) -> Budget:
        """What one pass over the process may cost."""
        state = self.begin(self.batch(1, self.given, "budget"))
        return Budget(self.process.law_, state, self.thorough)

    # ---- elements -------------------------------------------------------------------------------

    def short(self, length: int) -> int:
        """`length` elements, or as many as leave one more to come where the size is fixed."""
        room = self.length if self.space.length is None else self.length - 1
        short = min(length + self.given, room)
        if short < 1:
            raise NotApplicable("a sequence has a single element")
        return short

    def whole(self, length: int) -> int:
        """`length` elements, or all where the size is fixed."""
        return length + self.given if self.space.length is None else self.length

    def rng(self, purpose: str) -> np.random.Generator:
        """A generator of its own for each purpose, so that no check depends on another."""
        return np.random.default_rng([self.seed, zlib.crc32(purpose.encode())])

    def random_elements(
        self, shape: tuple[int, ...], purpose: str, sites: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Any elements of the space (no end), [*shape, *event]: unlikely contexts included.

        Args:
            shape: how many.
            purpose: names the generator.
            sites: their places in the order of generation, [shape[-1]], where the space varies;
                the first ones by default.
        """
        rng, space = self.rng(purpose), self.space
        full = (*shape, *space.event_shape)
        if isinstance(space, Table):
            sites = torch.arange(shape[-1]) if sites is None else sites
            x = entries(self.columns_of_table, sites, shape, self._observed, rng)
            return torch.as_tensor(x, device=self.process.device)
        if space.kind in ("binary", "binary vector"):
            x = rng.integers(0, 2, full).astype(np.float64)
        elif space.size is not None:
            x = rng.choice(self.symbols, full)
        elif space.kind == "count":
            x = rng.poisson(self.centre[0] + 1, full).astype(np.float64)
        else:
            centre, scale = self.centre
            x = self._supported(
                self._placed(centre + 1.5 * scale * rng.standard_normal(full)), rng
            )
        return torch.as_tensor(x, device=self.process.device).to(space.dtype)

    def anywhere(self, purpose: str) -> torch.Tensor:
        """Rows of elements from all of the space, its far ends too: [24, given + 3, *event]."""
        shape = (24, self.whole(3))
        if self.space.measure != "density" or isinstance(self.space, Table):
            return self.random_elements(shape, purpose)
        rng, (centre, scale) = self.rng(purpose), self.centre
        full = (*shape, *self.space.event_shape)
        reach = rng.choice([-1.0, 1.0], full) * rng.choice([0.1, 1.3, 5.0, 30.0], full)
        unit = rng.choice([0.0, 1.0], (shape[0], 1, *[1] * len(self.space.event_shape)))
        x = self._placed(unit * centre + np.where(unit, scale, 1.0) * reach)
        return torch.as_tensor(x, device=self.process.device).to(self.space.dtype)

    @cached_property
    def line(self) -> Transform:
        """The map of the whole real line onto the numbers of real elements."""
        return line_of(self.space)

    def _placed(self, z: np.ndarray) -> np.ndarray:
        x: np.ndarray = self.line(torch.as_tensor(z)).numpy()
        return x

    def slope(self, x: torch.Tensor) -> torch.Tensor:
        """How far elements move at x where they move by 1 on the line, of x's shape."""
        z = self.line.inv(x)
        return self.line.log_abs_det_jacobian(z, x).exp()

    def _supported(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Real values, with examples in the place of those that can not be (a log's negatives)."""
        known = self.examples if self._data is not None or not self.given else None
        if known is None or not len(known.values) or self.space.event_shape or not x.size:
            return x
        with torch.no_grad():
            support = self.begin(self.prefix(1, self.given, "support")).conditional.support
        if support is None:
            return x
        inside = support.check(torch.as_tensor(x)).numpy()
        return np.where(inside, x, rng.choice(known.values.double().cpu().numpy(), x.shape))

    @cached_property
    def columns_of_table(self) -> tuple[Column, ...]:
        """The columns of a table, in the order of generation."""
        assert isinstance(self.space, Table)
        layout = self.process.layout
        return self.space.ordered(None if layout is None else layout.order)

    @cached_property
    def symbols(self) -> np.ndarray:
        """The symbols of a finite space, the end left out."""
        every = np.arange(self.space.size or 0)
        return every if self.space.end is None else every[every != self.space.end]

    @cached_property
    def examples(self) -> Sequences | None:
        """The user's data, or draws of the process; None where it can not be drawn from."""
        if self._data is not None:
            return self._data
        try:
            short = self.length if self.space.varies else min(self.length, 24 + self.given)
            return self._draws(12, short)
        except Exception:  # a broken sampler: the checks of sampling say so
            return None

    @property
    def sizes(self) -> torch.Tensor:
        """How far real elements lie apart on the line, [length, *event]; of a table's others 0."""
        if not isinstance(self.space, Table):
            return torch.full((self.whole(10), *self.space.event_shape), self.centre[1])
        return torch.tensor(sizes_of(self.columns_of_table, self._observed))

    @cached_property
    def _observed(self) -> torch.Tensor | None:
        """Examples of whole rows of a table [M, T]."""
        known = self.examples
        return None if known is None else known.padded()[0]

    @cached_property
    def centre(self) -> tuple[float, float]:
        """Mean and standard deviation of the examples' values, on the line."""
        values = None
        if self._data is not None:
            values = self._data.values.double()
        elif not self.given and self.examples is not None:
            values = self.examples.values.double()
        if values is None or values.numel() < 2:
            return 0.0, 1.0
        values = self.line.inv(values)
        return float(values.mean()), max(float(values.std()), 1e-6)

    def batch(self, n: int, length: int, purpose: str) -> Batch:
        """Rows of `length` elements: examples in the even rows, random elements in the odd."""
        x = self.random_elements((n, length), purpose)
        examples = self.examples
        if examples is not None:
            for i in range(0, n, 2):
                row = examples.row((i // 2) % len(examples))[:length].to(x)
                x[i, : len(row)] = row
        return self.possible(Batch(x, self.context(range(n), length)), purpose)

    def possible(self, batch: Batch, purpose: str) -> Batch:
        """The batch, in whose rows nothing is impossible where the process leaves symbols out."""
        if not self._leaves_out:
            return batch
        start = self.process.start(batch.n, context=batch.context)
        return Batch(self.possible_after(start, batch.x, purpose), batch.context)

    def possible_after(self, state: State, x: torch.Tensor, purpose: str) -> torch.Tensor:
        """The same of elements [N, K] that go on from a state."""
        if not self._leaves_out:
            return x
        with torch.no_grad():
            return possible(state, x, self.rng(f"possible {purpose}"))

    @cached_property
    def _leaves_out(self) -> bool:
        """Whether some symbols have probability zero, as under a constraint."""
        space = self.space
        if space.size is None or space.varies or space.event_shape or self.given:
            return False
        if space.kind not in ("categorical", "ordinal", "binary") or self.process.layout:
            return False
        x = self.random_elements((8, 6), "left out")
        with torch.no_grad():
            columns = self.process.start(8, context=self.context(range(8), 6)).extend(x)[0]
            return bool(torch.isinf(as_categorical(columns).logits).any())

    def ragged(self, batch: Batch, lengths: Any, complete: Any = True) -> Sequences:
        """The first `lengths[i]` elements of each row as Sequences."""
        lengths = torch.as_tensor(lengths)
        offsets = torch.cat([lengths.new_zeros(1), lengths.cumsum(0)])
        values = torch.cat([batch.x[i, :k] for i, k in enumerate(lengths.tolist())])
        complete = torch.as_tensor(complete).expand(len(lengths)).clone()
        if self.space.length is not None:
            complete = complete & (lengths == self.space.length)
        return Sequences(values, offsets, self.space, complete)

    # ---- contexts -------------------------------------------------------------------------------

    def context(self, rows: Any, length: int) -> np.ndarray | None:
        """The contexts of the rows with these numbers, with `length` + 1 steps where per step."""
        if self._context is None:
            return None
        chosen = self._context[np.asarray(list(rows)) % len(self._context)]
        if chosen.ndim == 2:
            return chosen
        return np.stack([np.resize(row, (length + 1, row.shape[1])) for row in chosen])

    # ---- states ---------------------------------------------------------------------------------

    def start(self, batch: Batch, upto: int = 0) -> State:
        """The state after the first `upto` elements of a batch, by `process.start`."""
        if upto == 0:
            return self.process.start(batch.n, context=batch.context)
        return self.process.start(
            self.ragged(batch, [upto] * batch.n, False), context=batch.context
        )

    def begin(self, batch: Batch) -> State:
        """The state where the law begins: after the given elements."""
        return self.start(batch, self.given)

    def columns(self, batch: Batch) -> Distribution:
        """All conditionals of a batch by one parallel pass, batch [n, T - given + 1]."""
        return self.begin(batch).extend(batch.x[:, self.given :])[0]

    def reference(self, batch: Batch) -> torch.Tensor:
        """The parallel side's log-probabilities of the probes, [probes, n, T - given + 1]."""
        return self.table(self.columns(batch))

    def table(self, conditional: Distribution) -> torch.Tensor:
        """A conditional's log-probabilities of the probes, [probes, *batch], nats."""
        probes, batch = self.probes, conditional.batch_shape
        event = probes.shape[1:]
        value = probes.reshape(len(probes), *[1] * len(batch), *event)
        return conditional.log_prob(value.expand(len(probes), *batch, *event))

    @cached_property
    def probes(self) -> torch.Tensor:
        """Values at which conditionals are compared, [probes, *event]; the end is among them."""
        space = self.space
        if space.kind == "table":
            rows = self.random_elements((3, space.length or 0), "probes").flatten()
            few = torch.tensor([0.0, torch.nan][: 1 + space.holds_missing]).to(rows)
            return torch.cat([few, rows[:_PROBES]])
        if space.kind == "binary":
            return torch.tensor([0.0, 1.0], device=self.process.device).to(space.dtype)
        if space.size is None:
            return self.random_elements((9,), "probes")
        every = np.arange(space.size)
        if space.size > _PROBES:
            every = self.rng("probes").choice(every, _PROBES, replace=False)
            if space.end is not None:
                every[0] = space.end
        return torch.as_tensor(every, device=self.process.device).to(space.dtype)

    @cached_property
    def dtype(self) -> torch.dtype:
        """The precision in which the model computes: the coarsest that it or its parts hold."""
        batch = self.batch(1, self.given, "dtype")
        with torch.no_grad():
            shown = self.table(self.begin(batch).conditional).dtype
        held = set(precisions(self.process.law_))
        return torch.float32 if torch.float32 in {shown, *held} else shown

    @property
    def tolerance(self) -> float:
        """How far two ways to the same log-probability may differ."""
        return tolerance_of(self.dtype)

    # ---- draws ----------------------------------------------------------------------------------

    def prefix(self, n: int, length: int, purpose: str, same: bool = False) -> Batch:
        """What draws continue: the given elements, with contexts for `length` more.

        Args:
            n: how many rows.
            length: how many elements in all the contexts are for.
            purpose: names the generator.
            same: whether all rows are the same one.
        """
        if same:
            one = self.prefix(1, length, purpose)
            return one.rows([0] * n)
        if not self.given:
            shape = (n, 0, *self.space.event_shape)
            x = torch.zeros(shape, dtype=self.space.dtype, device=self.process.device)
        elif self._data is not None:
            rows = [i % len(self._data) for i in range(n)]
            x = torch.stack([self._data.row(i)[: self.given] for i in rows])
        else:
            x = self.random_elements((n, self.given), purpose)
        return Batch(x, self.context(range(n), length))

    def _draws(self, n: int, length: int) -> Sequences:
        """Sequences of the process, given elements included, by the engine of `sample`."""
        prefix = self.prefix(n, length, "examples")
        with torch.no_grad():
            state = self.start(prefix, self.given)
            x, lengths, complete = draw(
                state, Uniforms(self.seed), length - self.given, None, self.space
            )
        parts = [torch.cat([prefix.x[i], x[i, :k]]) for i, k in enumerate(lengths.tolist())]
        offsets = torch.zeros(n + 1, dtype=torch.int64)
        offsets[1:] = (lengths + prefix.length).cumsum(0)
        return Sequences(torch.cat(parts), offsets, self.space, complete)

    def user_prefix(self, batch: Batch) -> Any:
        """A batch's elements as a user would give them as a prefix; None where there are none."""
        return None if batch.length == 0 else self.as_user(batch.x)

    def user_data(self, batch: Batch) -> np.ndarray:
        """A batch of whole sequences as a user would give it: an array in the user's layout."""
        layout = self.process.layout
        return self.as_user(batch.x if layout is None else layout.from_sites(batch.x))

    def as_user(self, x: torch.Tensor) -> np.ndarray:
        """Elements as a user's array of numbers."""
        return x.detach().cpu().numpy().astype(self.space.user_dtype)

    @property
    def takes_dates(self) -> bool:
        """Whether any dates may stand by data; not where t is counted from the labels of fit."""
        return self.process.fit_.labels.calendar is None

    @property
    def is_text(self) -> bool:
        """Whether `sample` gives text back."""
        return isinstance(self.space, Categorical) and self.space.vocabulary is not None
