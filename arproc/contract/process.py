"""Process: a law that factors into tractable conditionals, p(x) = prod_t p(x_t | x_<t, c).

A model's author writes how it is fitted and one of three things: `window` (finite order), a
`State` of its own (`_start`), or `_conditionals` of given sequences. Likelihood, sampling,
forecasts and everything else are derived here, once.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from torch.distributions import Distribution

from arproc.contract.law import Law, require_fitted
from arproc.contract.sequences import Sequences
from arproc.contract.state import ReplayState, State, WindowState, begin
from arproc.distributions import index, quantile, step_marginals
from arproc.errors import ParameterError, UnsupportedError, check_integer

if TYPE_CHECKING:
    import pandas as pd

    from arproc.contract.conditioned import ConditionedProcess
    from arproc.sampling.policies import Policy, PolicyProcess

__all__ = ["Process", "State", "check_length", "require_process"]

#: How many numbers a block of conditionals may hold while a likelihood is computed.
_BLOCK_NUMBERS = 2**22


class Process(Law):
    """A law with tractable conditionals in its declared order of sites.

    A subclass writes `_infer_space`, `_fit`, and one of

    - `window(ctx, position)` with `window_length`: the conditionals from the last elements;
    - `_start(n, context)` returning a `State` of its own;
    - `_conditionals(x)`: all conditionals of given sequences (simple, and slow to sample).

    Every conditional must accept any element of the space, the end symbol included, in what it
    is conditioned on (rows that have ended stay in a batch for a while and are ignored).
    """

    #: What fills a window before the start of a sequence.
    padding: float = 0
    #: Whether forecasts integrate over what is not known of the parameters (Bayesian models).
    carries_parameter_uncertainty: bool = False
    #: Whether it was trained for every order of its sites; `in_order` then gives the law in any.
    takes_any_order: bool = False

    # ---- what a subclass writes ------------------------------------------------------------

    @property
    def window_length(self) -> int:
        """How many past elements `window` looks at."""
        raise UnsupportedError(f"{type(self).__name__} has no finite order.")

    def window(self, ctx: torch.Tensor, position: torch.Tensor) -> Distribution:
        """The conditionals of elements given the elements before them.

        Args:
            ctx: the last elements, [N, K, window_length, *event]; `ctx[:, :, -1]` is the most
                recent. Where `position` is less than the window's length the first ones are
                missing and hold `padding`.
            position: how many elements came before, int64 [N, K].

        Returns:
            A distribution with batch shape [N, K].
        """
        raise UnsupportedError(f"{type(self).__name__} has no window.")

    def _conditionals(self, x: torch.Tensor) -> Distribution:
        """All conditionals of x [N, T, *event]: batch [N, T + 1], column j given x[:, :j]."""
        raise UnsupportedError(
            f"{type(self).__name__} writes none of window, _start and _conditionals."
        )

    def _start(self, n: int, context: torch.Tensor | None) -> State:
        """A fresh state of n rows without elements."""
        if type(self).window is not Process.window:
            return WindowState()
        return ReplayState()

    def _log_prob_terms(self, sequences: Sequences, context: torch.Tensor | None) -> torch.Tensor:
        """The chain rule's terms of all sequences, flat, float64 [total]; see `term_offsets`.

        A model that knows a faster way overrides this; the conformance suite holds the two equal.
        """
        return self._derived_log_prob_terms(sequences, context)

    def _log_prob(self, sequences: Sequences, context: torch.Tensor | None) -> torch.Tensor:
        terms = self._checked_terms(sequences, context)
        counts = sequences.n_terms - self.n_given
        if bool((counts == counts[:1]).all()):
            return terms.reshape(len(counts), -1).sum(1)
        rows = torch.repeat_interleave(torch.arange(len(counts)), counts).to(terms.device)
        return terms.new_zeros(len(counts)).index_add(0, rows, terms)

    def _predictive(self, state: State, horizon: int) -> Distribution | None:
        """The marginal distributions of the next `horizon` elements, batch [N, horizon].

        None where there is no closed form: forecasts are then made by simulation. Derived from
        `_joint` where the model writes that; one step ahead it is the state's conditional, if its
        kind has quantiles.
        """
        joint = self._joint(state, horizon)
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

    def _joint(self, state: State, horizon: int) -> Distribution | None:
        """The joint law of the next `horizon` elements of a linear-Gaussian model.

        A `MultivariateNormal` of batch [N] and event [horizon * d], the d components of one step
        after those of the step before; or that under maps of each number alone (a
        `TransformedDistribution`). None where the joint law is not normal.
        """
        return None

    def in_order(self, ordering: str | Sequence[int]) -> Process:
        """The law of the same model in another order of its sites, for models that know it."""
        raise UnsupportedError(f"{type(self).__name__} has one order of sites.")

    def _given_seen(
        self,
        x: torch.Tensor,
        seen: torch.Tensor,
        context: torch.Tensor | None,
        n: int,
        seed: int,
        numbers: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor] | None:
        """Draws of the sites that are not seen, given those that are, of each example its own.

        For models that know every order and a faster way than `in_order` for each pattern.

        Args:
            x: examples [E, sites].
            seen: which sites are known, bool [E, sites].
            context: of each example.
            n: how many draws of each.
            seed: of the draws.
            numbers: of the examples, which address their uniforms.

        Returns:
            Whole examples [E, n, sites], and log p(seen) [E] in nats; None where there is no such
            way.
        """
        return None

    # ---- states ----------------------------------------------------------------------------

    def start(self, prefix: Any = 1, *, context: Any = None) -> State:
        """The state at the start, or after a prefix.

        Args:
            prefix: the number of rows of a fresh state, or sequences to begin with (one row for
                each; their ends are not counted).
            context: what the model is conditioned on, if it takes a context.
        """
        require_fitted(self)
        if isinstance(prefix, (int, np.integer)) and not isinstance(prefix, bool):
            n = check_integer("n", prefix, minimum=0)
            return self._fresh(n, self._context(context, n, 0))
        sequences = self._known(prefix)
        longest = int(sequences.lengths.max())
        return self._after(sequences, self._context(context, len(sequences), longest))

    def _known(self, prefix: Any, name: str = "prefix") -> Sequences:
        """What the user says is known of sequences that go on."""
        return self.sequences(prefix, name=name, complete=False, missing=self.takes_missing)

    def _fresh(self, n: int, context: torch.Tensor | None) -> State:
        return begin(self, self._start(n, context), n, context)

    def _after(self, sequences: Sequences, context: torch.Tensor | None) -> State:
        x, lengths = sequences.padded()
        state = self._fresh(len(sequences), context)
        if x.shape[1] == 0:
            return state
        return state.extend(x.to(self.device), lengths.to(self.device))[1]

    # ---- likelihood ------------------------------------------------------------------------

    def log_prob_terms(self, data: Any, *, context: Any = None) -> Any:
        """The chain rule's terms log p(x_t | x_<t), in nats, which sum to `log_prob`.

        Returns:
            For one sequence an array [T] (a Series keeps its index, a tensor stays one); for
            several a list of them. In the order of generation; where sequences end, the last term
            is the end's; elements that are given have none.
        """
        sequences = self.sequences(data, missing=self.takes_missing)
        prepared = self._context(context, len(sequences), int(sequences.n_terms.max()))
        with torch.set_grad_enabled(torch.is_grad_enabled() and sequences.form.kind == "tensor"):
            terms = self._checked_terms(sequences, prepared)
        counts = sequences.n_terms - self.n_given
        offsets = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
        return sequences.form.per_element(terms, offsets, skip=self.n_given)

    def _checked_terms(self, sequences: Sequences, context: torch.Tensor | None) -> torch.Tensor:
        sequences.require_length(self.n_given)
        return self._log_prob_terms(sequences, context)

    def _derived_log_prob_terms(
        self, sequences: Sequences, context: torch.Tensor | None
    ) -> torch.Tensor:
        """Teacher forcing: `start().extend(x)` in chunks, in batches of similar length."""
        counts = sequences.n_terms - self.n_given
        offsets = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
        indices, values = [], []
        for rows in sequences.batches(max_rows=max(1, _BLOCK_NUMBERS // self._numbers)):
            terms = self._batch_terms(sequences, rows, context)
            column = torch.arange(terms.shape[1])
            inside = column < counts[rows][:, None]
            indices.append((offsets[rows][:, None] + column)[inside])
            values.append(terms[inside.to(terms.device)])
        if len(sequences) == 1:
            return values[0]
        order = torch.cat(indices).argsort()
        return torch.cat(values)[order.to(values[0].device)]

    @property
    def _numbers(self) -> int:
        """How many numbers describe one conditional, about."""
        return max(self.space.size or 1, math.prod(self.space.event_shape))

    def _batch_terms(
        self, sequences: Sequences, rows: torch.Tensor, context: torch.Tensor | None
    ) -> torch.Tensor:
        """The terms of some rows, padded, float64 [n, T - n_given]; read in blocks of columns."""
        state = self._fresh(len(rows), None if context is None else context[rows])
        width, position = int(sequences.n_terms[rows].max()), self.n_given
        if position:
            given = sequences.padded(rows, columns=(0, position))[0].to(self.device)
            state = state.extend(given)[1]
        chunk = max(1, _BLOCK_NUMBERS // (len(rows) * self._numbers))
        parts = [torch.zeros((len(rows), 0), dtype=torch.float64, device=self.device)]
        while position < width:
            stop = min(position + chunk, width)
            block = sequences.padded(rows, ends=True, columns=(position, stop))[0].to(self.device)
            last = stop == width
            columns, state = state.extend(block[:, :-1] if last else block)
            columns = columns if last else index(columns, (slice(None), slice(0, -1)))
            parts.append(_scores(columns, block, sequences.missing))
            position = stop
        return torch.cat(parts, dim=1)

    # ---- conditionals ----------------------------------------------------------------------

    def conditional(self, prefix: Any = None, *, context: Any = None) -> Distribution:
        """The next element's distribution after `prefix` (the first element's without one).

        Returns:
            A distribution of batch shape [] for one prefix and [N] for several.
        """
        if prefix is None:
            with torch.no_grad():
                return index(self.start(1, context=context).conditional, 0)
        known = self._known(prefix)
        with torch.set_grad_enabled(torch.is_grad_enabled() and known.form.kind == "tensor"):
            conditional = self.start(known, context=context).conditional
            return index(conditional, 0) if known.form.single else conditional

    def conditionals(self, data: Any, *, context: Any = None) -> Distribution:
        """The distributions of every element given those before it, teacher forcing.

        Returns:
            A distribution of batch shape [N, T], T the longest length (columns beyond a shorter
            row's length have no meaning); given values have no column.
        """
        sequences = self.sequences(data, missing=self.takes_missing)
        prepared = self._context(context, len(sequences), int(sequences.lengths.max()))
        sequences.require_length(self.n_given)
        x = sequences.padded()[0].to(self.device)
        with torch.set_grad_enabled(torch.is_grad_enabled() and sequences.form.kind == "tensor"):
            state = self._fresh(len(x), prepared)
            if self.n_given:
                state = state.extend(x[:, : self.n_given])[1]
            columns = state.extend(x[:, self.n_given : -1])[0]
            if x.shape[1] > self.n_given:
                return columns
            return index(columns, (slice(None), slice(0, 0)))  # there is no element to come

    def condition(self, prefix: Any, *, context: Any = None) -> ConditionedProcess:
        """The process of what follows `prefix`, with its own `log_prob` and `sample`."""
        from arproc.contract.conditioned import ConditionedProcess

        process = ConditionedProcess(self, prefix, context)
        process.check()
        return process

    def with_policy(self, policy: Policy) -> PolicyProcess:
        """This process under a policy: again a process, with an exact likelihood of its own."""
        from arproc.sampling.policies import PolicyProcess

        return PolicyProcess(self, policy)

    # ---- generation ------------------------------------------------------------------------

    def sample(
        self,
        n: int = 1,
        length: int | None = None,
        prefix: Any = None,
        policy: Policy | None = None,
        stop: Any = None,
        seed: int | torch.Generator | None = None,
        return_log_prob: bool = False,
        *,
        context: Any = None,
    ) -> Any:
        """Draw n sequences by ancestral sampling, with no hidden truncation.

        Row i depends on the seed and on i alone: the same in any batch.

        Args:
            n: how many sequences.
            length: how many new elements at most; needed where the process is an endless stream.
                A process of fixed size takes what is left of it.
            prefix: what the draws continue, one for all or one for each; not repeated in them.
            policy: a policy to draw under (temperature, top-k ...).
            stop: a string, a list of strings, or a function of the elements so far [N, t] to a
                mask [N]; a draw that meets it is cut there, what met it included.
            seed: an int or a `torch.Generator`.
            return_log_prob: give `Draws(x, log_prob, policy_log_prob, complete)`.
            context: what the draws are conditioned on, for every step of them.

        Returns:
            Draws in the form `fit` got: a list of `str` for text, else an array [n, length] (a
            list of arrays where lengths differ).
        """
        from arproc.sampling.ancestral import sample

        return sample(self, n, length, prefix, policy, stop, seed, return_log_prob, context)

    def forecast(
        self,
        history: Any,
        horizon: int,
        quantiles: tuple[float, ...] = (0.05, 0.5, 0.95),
        seed: int | torch.Generator | None = None,
        *,
        context: Any = None,
        n_paths: int = 1000,
        known: Any = None,
        parameter_uncertainty: Literal["bootstrap"] | None = None,
        n_bootstrap: int = 100,
    ) -> pd.DataFrame:
        """Forecast the next `horizon` elements of each series of `history`.

        Analytic where the model has closed forms, from `n_paths` sample paths otherwise.

        Args:
            history: what is known, e.g. a Series, whose dates are carried on.
            horizon: how many steps.
            quantiles: which quantiles, each in (0, 1).
            seed: of the simulation.
            context: of the history and of the future.
            n_paths: how many paths are simulated where that is needed.
            known: future values that are taken for known, NaN where they are not: the forecast is
                then of the others given these (a scenario). An array [horizon] ([N, horizon] for
                several series; [horizon, d] for vectors, of which some components may be known),
                or a Series or DataFrame labelled by future steps, and by series or components; a
                list with an item for each series. Exact where the model is linear-Gaussian;
                elsewhere paths are weighted by the probability of what is known and resampled,
                and `.attrs["effective_sample_size"]` tells how many paths that leaves.
            parameter_uncertainty: "bootstrap" widens the quantiles by the uncertainty of the
                parameters: the model is refitted to series simulated from it, and a quantile's
                level is set to what such refits really cover (see `arproc.forecasting.bootstrap`).
                The history must be what the model was fitted to, or one series like it. The means
                stay the fitted model's.
            n_bootstrap: how many times it is refitted.

        Returns:
            A DataFrame indexed by the future steps (by series and step, for several series) with
            columns "mean" and one for each quantile; for vectors the columns have two levels, the
            component (named as the DataFrame's columns) and these.
        """
        from arproc.forecasting import forecast

        return forecast(
            self,
            history,
            horizon,
            quantiles,
            seed,
            context,
            n_paths,
            known,
            parameter_uncertainty,
            n_bootstrap,
        )

    def sample_paths(
        self,
        history: Any,
        horizon: int,
        n_paths: int = 1000,
        seed: int | torch.Generator | None = None,
        *,
        context: Any = None,
        known: Any = None,
    ) -> pd.DataFrame:
        """Draw joint sample paths of what follows each series of `history`.

        A forecast's marginals do not say how the steps hang together; a path does: sums over the
        horizon, the chance of staying above a level, of a peak in some week.

        Args:
            history: what is known, as for `forecast`.
            horizon: how many steps.
            n_paths: how many paths.
            seed: the same seed gives the same paths, whatever other series are drawn with them;
                simulated forecasts are the quantiles of these paths.
            context: of the history and of the future.
            known: future values that are taken for known, as for `forecast`.

        Returns:
            A DataFrame indexed by the future steps (by series and step, for several series) with a
            column for each path; for vectors the columns have two levels, the component and the
            path. `.to_numpy().T` is an array [n_paths, horizon].

        Example:
            >>> import arproc
            >>> paths = arproc.AR.from_parameters([0.9]).sample_paths([1.0, 2.0], 5, 300, seed=0)
            >>> paths.shape, float((paths.min() > 0).mean().round(2))   # no step below 0
            ((5, 300), 0.58)
        """
        from arproc.forecasting import sample_paths

        return sample_paths(self, history, horizon, n_paths, seed, context, known)


def _scores(columns: Distribution, x: torch.Tensor, missing: bool) -> torch.Tensor:
    """Log-probabilities of x, float64; of a missing element, which says nothing, 0."""
    if not missing:
        return columns.log_prob(x).double()
    gone = torch.isnan(x)
    filled = torch.where(gone, columns.mean.detach(), x)
    gone = gone.reshape(*columns.batch_shape, -1)
    whole = gone.all(-1)
    if bool((gone.any(-1) & ~whole).any()):
        raise UnsupportedError("an element is observed in part; this process scores whole ones.")
    return columns.log_prob(filled).double().masked_fill(whole, 0.0)


def require_process(law: Any, call: str) -> Process:
    """`law` as a Process, or an error that says which call needs one."""
    if not isinstance(law, Process):
        raise ParameterError(f"{call} needs a Process; got {type(law).__name__}.")
    return law


def check_length(process: Process, length: int | None, known: torch.Tensor) -> torch.Tensor | None:
    """How many elements may still come in each row, given what the user asked and the size.

    Args:
        process: the process.
        length: what the user asked for.
        known: how many elements each row has already, int64 [N].

    Returns:
        int64 [N], or None where sequences end by themselves.
    """
    fixed = process.space.length
    if length is not None:
        length = check_integer("length", length, minimum=0)
    if fixed is not None:
        left = fixed - known
        most = int(left.max()) if len(left) else fixed
        if length is not None and length > most:
            raise ParameterError(
                f"length is {length}; this process has {fixed} elements, of which {most} are left."
            )
        return left if length is None else left.clamp(max=length)
    if length is None and not process.space.terminates:
        raise ParameterError(
            "length is needed: this process is a stream without an end. Pass length=, the number "
            "of elements to draw."
        )
    return None if length is None else torch.full_like(known, length)
