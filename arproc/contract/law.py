"""Laws: fitted distributions over sequences, as immutable values.

A `Law` is numbers and arithmetic. It knows `Sequences` and `State`, and neither how it was
learnt nor the forms of a user's data: that is what a model (`arproc.process`) is for. What
refers to a law, a state, a wrapper, a file, therefore never sees it change.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Any, ClassVar, NamedTuple

import torch
from torch.distributions import Distribution, MultivariateNormal

from arproc.contract.checked import check_fields
from arproc.contract.context import ContextForm
from arproc.contract.machine import Machine, WindowMachine
from arproc.contract.randomness import Uniforms
from arproc.contract.sequences import Sequences
from arproc.contract.state import ReplayState, State, WindowState, begin
from arproc.data.form import Layout
from arproc.distributions import index, observed_log_prob, quantile, step_marginals
from arproc.distributions.finite import expects_beyond, parameter_without_number
from arproc.errors import DataError, UnsupportedError
from arproc.spaces import MOST_COUNT, Count, Space

__all__ = [
    "ChainLaw",
    "DerivedLaw",
    "Draws",
    "Law",
    "WholeLaw",
    "hold_apart",
    "numbers_in",
    "numbers_of",
    "observed_terms",
]

#: How many numbers a block of conditionals may hold while a likelihood is computed.
_BLOCK_NUMBERS = 2**22


class Draws(NamedTuple):
    """Samples with their probabilities, what `sample(..., return_log_prob=True)` returns.

    Attributes:
        x: the samples, as `sample` gives them.
        log_prob: their log-probability under the model, nats, [n].
        policy_log_prob: under the process that drew them (model and policy); the same without one.
        complete: whether each came to its end by itself rather than by a length or a stop, [n].
    """

    x: Any
    log_prob: Any
    policy_log_prob: Any
    complete: Any

    @property
    def policy_cost(self) -> Any:
        """What the policy cost each draw, [n] nats: `policy_log_prob` less `log_prob`.

        The mean over draws estimates the Kullback-Leibler divergence of the law under the policy
        from the model, which is 0 without a policy and never negative.
        """
        return self.policy_log_prob - self.log_prob


class Law(ABC):
    """A distribution over sequences with an exact likelihood; the base of all fitted laws.

    A subclass is a frozen dataclass (`@storable @dataclass(frozen=True, eq=False, repr=False)`)
    whose fields are all that it is. They are looked at when it is constructed: what an array must
    be is said in its annotation, and what no field says alone in `problems`; see
    `arproc.contract.checked`.

    Attributes:
        space: what one element is.
        context: what the law is conditioned on, or None.
        n_given: how many first elements of a sequence are given, not scored.
        takes_missing: whether NaN among real numbers is an element that was not observed:
            `log_prob` is then the marginal of what was.
        longest_gap: how many elements there may be, some of them missing, between enough observed
            in a row (`n_given`, or one) and the next such; None for any number. Data with longer
            gaps are refused by `UnsupportedError`.
        carries_parameter_uncertainty: whether it integrates over what is not known of parameters.
        clocked: whether it counts time (trends, seasons). Its context then has one more
            column, the last: t; it may be None where all sequences begin at t = 0 and there is no
            other. See `arproc.contract.context.split_clock`.
        counts_from_zero: whether it counts time (trends), t = 0 being the first element of every
            sequence: one that begins elsewhere is refused.
    """

    #: Why there are no tractable conditionals; shown when somebody asks for one.
    no_conditional: ClassVar[str] = "this law does not factor into tractable conditionals"

    space: Space
    context: ContextForm | None = None
    n_given: int = 0
    takes_missing: bool = False
    longest_gap: int | None = None
    carries_parameter_uncertainty: bool = False
    clocked: bool = False
    counts_from_zero: bool = False

    def __post_init__(self) -> None:
        check_fields(self)

    def problems(self) -> Iterator[str]:
        """What does not fit together in it, in sentences without their full stop."""
        yield from ()

    @property
    def layout(self) -> Layout | None:
        """For laws of fixed size, how the user's array is laid out in the order of generation."""
        return None if self.space.length is None else Layout((self.space.length,))

    @property
    def device(self) -> torch.device:
        """Where the law computes."""
        return torch.device("cpu")

    @property
    def numbers(self) -> int:
        """How many numbers describe one conditional, about."""
        return max(self.space.size or 1, math.prod(self.space.event_shape))

    @abstractmethod
    def log_prob(self, sequences: Sequences, context: torch.Tensor | None) -> torch.Tensor:
        """The log-probability of each sequence, nats, [N]."""

    def check(self, sequences: Sequences) -> None:
        """Raise `DataError` for elements of the space that the law can not take at all."""
        return

    def __getstate__(self) -> dict[str, Any]:
        """What copies and pickles are made of: no computed attribute, which may be a function."""
        kind, held = type(self), vars(self)
        computed = {k for k in held if isinstance(getattr(kind, k, None), cached_property)}
        return {name: value for name, value in held.items() if name not in computed}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.space.describe()})"


class WholeLaw(Law):
    """A law of fixed size that is drawn from as a whole; it says why in `no_conditional`."""

    @abstractmethod
    def draw(self, n: int, uniforms: Uniforms, context: torch.Tensor | None) -> torch.Tensor:
        """Elements [n, length, *event] in the order of the layout.

        Row i is a function of the uniforms of row i alone.
        """

    def iterate(
        self,
        n: int,
        uniforms: Uniforms,
        context: torch.Tensor | None,
        tolerance: float,
        passed: Callable[[int, int], None],
    ) -> torch.Tensor:
        """What `draw` gives, by iteration to a fixed point, where the law knows how.

        Args:
            n: how many examples.
            uniforms: theirs.
            context: what they are conditioned on.
            tolerance: by how much, as a share of 1 + its size, a settled number may change.
            passed: is told of each pass, over how many elements and rows it went.
        """
        raise UnsupportedError(
            f"{type(self).__name__} is drawn from as a whole, and knows no fixed point of draws."
        )


class NoWindowError(UnsupportedError, AttributeError):
    """There is no `window_length`, and `hasattr` says so."""


class ChainLaw(Law):
    """A law that factors into tractable conditionals, p(x) = prod_t p(x_t | x_<t, c).

    A subclass writes one of

    - `window(ctx, position)` with `window_length`: the conditionals from the last elements;
    - `start(n, context)` returning a `State` of its own;
    - `conditionals(x)`: all conditionals of given sequences (simple, and slow to sample);

    and the rest is derived: likelihood, states, draws, forecasts. Every conditional must accept
    any element of the space, the end symbol included, in what it is conditioned on (rows that
    have ended stay in a batch for a while and are ignored).

    Attributes:
        padding: what fills a window before the start of a sequence.
        takes_any_order: whether it was trained for every order of its sites.
        orders_agree: whether its joint law is then the same in every order.
        foresight: how many elements beyond the next one its states `foresee`.

    Example:
        >>> from dataclasses import dataclass
        >>> from arproc import Process, spaces
        >>> @dataclass(frozen=True, eq=False, repr=False)
        ... class Walk(ChainLaw):                       # x_t = a x_{t-1} + e_t, x_0 = e_0
        ...     a: float
        ...     space = spaces.Real()
        ...     window_length = 1
        ...     def window(self, ctx, position):        # ctx [N, K, 1], position [N, K]
        ...         return torch.distributions.Normal(self.a * ctx[..., 0], 1.0)
        >>> walk = Process.of(Walk(0.5))
        >>> float(walk.conditional([3.0, 4.0]).mean), walk.sample(2, length=3, seed=0).shape
        (2.0, (2, 3))
    """

    #: What fills a window before the start of a sequence.
    padding: float = 0
    #: Whether it was trained for every order of its sites; `in_order` then gives the law in any.
    takes_any_order: bool = False
    #: Whether the joint law is the same in all of them, as no network's is.
    orders_agree: bool = False

    @property
    def foresight(self) -> int:
        """How many elements beyond the next one its states can `foresee`."""
        return 0

    # ---- what a subclass writes ------------------------------------------------------------

    @property
    def window_length(self) -> int:
        """How many past elements `window` looks at."""
        raise NoWindowError(f"{type(self).__name__} has no finite order.")

    def window(self, ctx: torch.Tensor, position: torch.Tensor) -> Distribution:
        """The conditionals of elements given the elements before them.

        Args:
            ctx: the last elements, [N, K, window_length, *event]; `ctx[:, :, -1]` is the most
                recent. Where `position` is less than the window's length the first ones are
                missing and hold `padding`.
            position: how many elements came before, int64 [N, K].

        Returns:
            A distribution with batch shape [N, K]. A law with a context gets it as the keyword
            `context`, [N, c] or [N, K, c].
        """
        raise UnsupportedError(f"{type(self).__name__} has no window.")

    def conditionals(self, x: torch.Tensor) -> Distribution:
        """All conditionals of x [N, T, *event]: batch [N, T + 1], column j given x[:, :j]."""
        raise UnsupportedError(
            f"{type(self).__name__} writes none of window, start and conditionals."
        )

    def start(self, n: int, context: torch.Tensor | None) -> State:
        """A state of n rows without elements, before `fresh` tells it whose it is."""
        if type(self).window is not ChainLaw.window:
            return WindowState()
        return ReplayState()

    def log_prob_terms(self, sequences: Sequences, context: torch.Tensor | None) -> torch.Tensor:
        """The chain rule's terms of all sequences, flat, float64 [total]; see `term_offsets`.

        A law that knows a faster way overrides this; the conformance suite holds the two equal.
        """
        return self.derived_log_prob_terms(sequences, context)

    def log_prob(self, sequences: Sequences, context: torch.Tensor | None) -> torch.Tensor:
        terms = self.checked_terms(sequences, context)
        counts = sequences.n_terms - self.n_given
        if bool((counts == counts[:1]).all()):
            return terms.reshape(len(counts), -1).sum(1)
        rows = torch.repeat_interleave(torch.arange(len(counts)), counts).to(terms.device)
        return terms.new_zeros(len(counts)).index_add(0, rows, terms)

    def predictive(self, state: State, horizon: int) -> Distribution | None:
        """The marginal distributions of the next `horizon` elements, batch [N, horizon].

        None where there is no closed form: forecasts are then made by simulation. Derived from
        `joint` where the law writes that; one step ahead it is the state's conditional, if its
        kind has quantiles.
        """
        joint = self.joint(state, horizon)
        if joint is not None:
            return step_marginals(joint, horizon, self.space.event_shape)
        if horizon > 1 or self.space.event_shape:
            return None
        following = index(state.conditional, (slice(None), None))
        try:
            quantile(following, torch.full(following.batch_shape, 0.5, dtype=torch.float64))
        except NotImplementedError:
            return None
        return following

    def joint(self, state: State, horizon: int) -> Distribution | None:
        """The joint law of the next `horizon` elements of a linear-Gaussian law.

        A `MultivariateNormal` of batch [N] and event [horizon * d], the d components of one step
        after those of the step before; or that under maps of each number alone (a
        `TransformedDistribution`). None where the joint law is not normal.
        """
        return None

    def machine(self) -> Machine | None:
        """The law as a finite machine; None where its past does not count by finitely many states.

        Derived for laws of symbols that have a `window`. A law with a context has none: it is
        another law for each (`ConditionedLaw` fixes it).
        """
        space = self.space
        written = type(self).window is not ChainLaw.window and hasattr(self, "window_length")
        if not written or space.size is None or space.varies or not self._stands_alone:
            return None
        return WindowMachine(self)

    @property
    def _stands_alone(self) -> bool:
        return self.context is None and not self.clocked and not self.n_given

    def in_order(self, ordering: str | Sequence[int]) -> ChainLaw:
        """The law of the same model in another order of its sites, where that is known."""
        raise UnsupportedError(f"{type(self).__name__} has one order of sites.")

    def midway(self) -> ChainLaw:
        """The law of pieces that may begin anywhere in a sequence, where that is known."""
        raise UnsupportedError(
            f"{type(self).__name__} knows sequences from their beginning on alone: it has no law "
            "of pieces that begin anywhere. n-gram models (and mixtures of them) do."
        )

    def each_next(self, x: torch.Tensor, context: torch.Tensor | None) -> Distribution | None:
        """The conditionals of all sites behind x [N, a, *event], each as if it came next.

        For laws that know every order and a faster way than `in_order` for each site.

        Returns:
            A distribution of batch shape [N, length - a]; None where there is no such way.
        """
        return None

    def given_seen(
        self,
        x: torch.Tensor,
        seen: torch.Tensor,
        context: torch.Tensor | None,
        n: int,
        seed: int,
        numbers: torch.Tensor,
        *,
        given_present: bool = False,
    ) -> tuple[torch.Tensor, torch.Tensor] | None:
        """Draws of the sites that are not seen, given those that are, of each example its own.

        For laws that know every order and a faster way than `in_order` for each pattern.

        Args:
            x: examples [E, sites].
            seen: which sites are known, bool [E, sites].
            context: of each example.
            n: how many draws of each.
            seed: of the draws.
            numbers: of the examples, which address their uniforms.
            given_present: whether entries that may be missing are drawn given that they are not.

        Returns:
            Whole examples [E, n, sites], and log p(seen) [E] in nats; None where there is no such
            way.
        """
        return None

    # ---- states ----------------------------------------------------------------------------

    def fresh(self, n: int, context: torch.Tensor | None) -> State:
        """The state at the start, n rows."""
        return begin(self, self.start(n, context), n, context)

    def after(self, sequences: Sequences, context: torch.Tensor | None) -> State:
        """The state after sequences that go on, a row for each; their ends are not counted."""
        x, lengths = sequences.padded()
        state = self.fresh(len(sequences), context)
        if x.shape[1] == 0:
            return state
        return state.extend(x.to(self.device), lengths.to(self.device))[1]

    # ---- likelihood ------------------------------------------------------------------------

    def checked_terms(self, sequences: Sequences, context: torch.Tensor | None) -> torch.Tensor:
        """`log_prob_terms` of sequences that must have the given elements."""
        sequences.require_length(self.n_given)
        return self.log_prob_terms(sequences, context)

    def derived_log_prob_terms(
        self, sequences: Sequences, context: torch.Tensor | None
    ) -> torch.Tensor:
        """Teacher forcing: `fresh().extend(x)` in chunks, in batches of similar length."""
        counts = sequences.n_terms - self.n_given
        offsets = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
        indices, values = [], []
        for rows in sequences.batches(max_rows=max(1, _BLOCK_NUMBERS // self.numbers)):
            terms = self._batch_terms(sequences, rows, context)
            column = torch.arange(terms.shape[1])
            inside = column < counts[rows][:, None]
            indices.append((offsets[rows][:, None] + column)[inside])
            values.append(terms[inside.to(terms.device)])
        if len(sequences) == 1:
            return values[0]
        order = torch.cat(indices).argsort()
        return torch.cat(values)[order.to(values[0].device)]

    def _batch_terms(
        self, sequences: Sequences, rows: torch.Tensor, context: torch.Tensor | None
    ) -> torch.Tensor:
        """The terms of some rows, padded, float64 [n, T - n_given]; read in blocks of columns."""
        state = self.fresh(len(rows), None if context is None else context[rows])
        width, position = int(sequences.n_terms[rows].max()), self.n_given
        if position:
            given = sequences.padded(rows, columns=(0, position))[0].to(self.device)
            state = state.extend(given)[1]
        chunk = max(1, _BLOCK_NUMBERS // (len(rows) * self.numbers))
        parts = [torch.zeros((len(rows), 0), dtype=torch.float64, device=self.device)]
        while position < width:
            stop = min(position + chunk, width)
            block = sequences.padded(rows, ends=True, columns=(position, stop))[0].to(self.device)
            last = stop == width
            columns, state = state.extend(block[:, :-1] if last else block)
            columns = columns if last else index(columns, (slice(None), slice(0, -1)))
            parts.append(observed_terms(columns, block, sequences.missing))
            position = stop
        return torch.cat(parts, dim=1)


class DerivedLaw(ChainLaw):
    """A law made of another: of its space, context, layout, start and place."""

    @property
    @abstractmethod
    def base(self) -> Law:
        """The law it is made of, or the first of them."""

    @property
    def space(self) -> Space:  # type: ignore[override]
        return self.base.space

    @property
    def context(self) -> ContextForm | None:  # type: ignore[override]
        return self.base.context

    @property
    def layout(self) -> Layout | None:
        return self.base.layout

    @property
    def device(self) -> torch.device:
        return self.base.device

    @property
    def n_given(self) -> int:  # type: ignore[override]
        return self.base.n_given

    @property
    def clocked(self) -> bool:  # type: ignore[override]
        return self.base.clocked


def hold_apart(law: Law) -> None:
    """Put copies in the place of a law's tensors and normal laws, which the user may hold too.

    Tensors that record gradients stay: a likelihood is differentiable in the user's own.
    """
    for name, value in list(vars(law).items()):
        if isinstance(value, torch.Tensor) and not value.requires_grad:
            object.__setattr__(law, name, value.clone())
        elif isinstance(value, MultivariateNormal):
            loc, scale = value.loc.clone(), value.scale_tril.clone()
            own = MultivariateNormal(loc, scale_tril=scale, validate_args=False)
            object.__setattr__(law, name, own)


def numbers_of(scores: torch.Tensor, law: Law, name: str = "data") -> torch.Tensor:
    """Log-probabilities that are about to be given to the user, none of which may be NaN.

    Raises:
        DataError: one is NaN: a law is asked where it has none.
    """
    wrong = torch.isnan(scores.detach())
    if bool(wrong.any()):
        raise DataError(
            f"{name} has {int(wrong.sum())} of {wrong.numel()} log-probabilities that are NaN, "
            f"not numbers, under {law!r} (the first is number {int(wrong.nonzero()[0, 0])}): its "
            "elements, or the model's parameters, are too large for its arithmetic or lie where "
            "it has no law. Rescale the data, or give it a space that is as large as the law."
        )
    return scores


def numbers_in(found: Distribution, law: Law, diffuse: bool = False) -> Distribution:
    """A conditional that is about to be given to the user, none of whose parameters may be NaN.

    Args:
        found: the conditional.
        law: whose it is.
        diffuse: whether its scale may be infinite, as where a gap leaves nothing known.

    Raises:
        DataError: one is NaN, or a place or scale is infinite; or a count is expected to be larger
            than any number that can be drawn.
    """
    wrong = parameter_without_number(found, diffuse)
    if wrong is None and isinstance(law.space, Count) and expects_beyond(found, MOST_COUNT):
        wrong = "mean"
    if wrong is not None:
        raise DataError(
            f"the next element's distribution under {law!r} has a {wrong} that is no usable "
            "number: the elements before it, or the model's parameters, are too large for its "
            "arithmetic or lie where it has no law. Rescale the data, or look at the parameters."
        )
    return found


def observed_terms(columns: Distribution, x: torch.Tensor, missing: bool) -> torch.Tensor:
    """Log-probabilities of x, float64; of a missing element, which says nothing, 0."""
    if not missing:
        return columns.log_prob(x).double()
    gone = torch.isnan(x)
    if isinstance(columns, MultivariateNormal) and bool(gone.any()):
        return observed_log_prob(columns, x).double()
    filled = torch.where(gone, columns.mean.detach(), x)
    gone = gone.reshape(*columns.batch_shape, -1)
    whole = gone.all(-1)
    if bool((gone.any(-1) & ~whole).any()):
        raise UnsupportedError("an element is observed in part; this process scores whole ones.")
    return columns.log_prob(filled).double().masked_fill(whole, 0.0)
