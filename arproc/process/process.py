"""Process: a model that factors into tractable conditionals, p(x) = prod_t p(x_t | x_<t, c)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, Self, cast

import numpy as np
import torch
from torch.distributions import Distribution

from arproc.contract.conditioned import ConditionedLaw
from arproc.contract.law import ChainLaw, Law, numbers_in, numbers_of
from arproc.contract.sequences import Sequences
from arproc.contract.state import State
from arproc.distributions import index
from arproc.errors import ParameterError, UnsupportedError, check_count
from arproc.process.fit import Fit
from arproc.process.written import OneClass
from arproc.spaces import Space

if TYPE_CHECKING:
    import pandas as pd

    from arproc.sampling.policies import Policy
    from arproc.sampling.streaming import Stream

__all__ = ["Process", "require_process"]


class Process(OneClass):
    """A model with tractable conditionals in its declared order of sites.

    A subclass writes `_infer_space` and `_fit`, which gives a `ChainLaw`; or, all in one class,
    what `arproc.process.written` tells. `Process.of(law)` holds a law that needs no fit: one of
    your own, or a law made of others (under a policy, after a prefix).
    """

    @property
    def law_(self) -> ChainLaw:
        held = vars(self).get("_held")  # first, since some are asked a million times
        return cast(ChainLaw, super().law_ if held is None else held.law)

    @classmethod
    def of(cls, law: Law, fit: Fit | None = None, **parameters: Any) -> Self:
        if isinstance(law, Law) and not isinstance(law, ChainLaw):
            raise ParameterError(
                f"law must be a ChainLaw, which has conditionals; {law!r} has none: "
                f"{law.no_conditional}. Model.of(law) holds it."
            )
        return super().of(law, fit, **parameters)

    def clone(self) -> Self:
        """A copy with the same parameters that has learnt nothing; of a bare law, the law."""
        return Process.of(self.law_, self.fit_) if type(self) is Process else super().clone()  # type: ignore[return-value]

    def __repr__(self) -> str:
        if type(self) is Process and self.__sklearn_is_fitted__():
            return f"Process.of({self.law_!r})"
        return super().__repr__()

    def _infer_space(self, data: Any) -> Space:
        self._require_own_fit()
        return super()._infer_space(data)

    def _require_own_fit(self) -> None:
        if type(self) is Process:
            raise UnsupportedError(
                "this process was made of a law and is not fitted; fit the process it is made of."
            )

    # ---- states ----------------------------------------------------------------------------

    def start(self, prefix: Any = 1, *, context: Any = None, offset: Any = None) -> State:
        """The state at the start, or after a prefix.

        Args:
            prefix: the number of rows of a fresh state, or sequences to begin with (one row for
                each; their ends are not counted).
            context: what the model is conditioned on, if it takes a context.
            offset: at which step the sequences begin, as for `log_prob`.
        """
        law = self.law_
        if isinstance(prefix, (int, np.integer)) and not isinstance(prefix, bool):
            n = check_count("n", prefix, minimum=0)
            return law.fresh(n, self.read_context(context, n, 0, offset))
        sequences = self.known(prefix)
        longest = int(sequences.lengths.max())
        prepared = self.read_context(context, sequences, longest, offset, "prefix")
        return law.after(sequences, prepared)

    def known(self, prefix: Any, name: str = "prefix") -> Sequences:
        """What the user says is known of sequences that go on, as `Sequences`."""
        return self.sequences(prefix, name=name, complete=False, missing=self.law_.takes_missing)

    def refitted(self, sequences: Sequences, context: torch.Tensor | None) -> ChainLaw:
        """The law that a clone learns from other sequences."""
        self._require_own_fit()
        return self.fitted_to(sequences, None, context).law_

    # ---- likelihood ------------------------------------------------------------------------

    def log_prob_terms(
        self, data: Any, *, context: Any = None, offset: Any = None, complete: bool | None = None
    ) -> Any:
        """The chain rule's terms log p(x_t | x_<t), in nats, which sum to `log_prob`.

        Args:
            data: sequences in any form that `fit` takes.
            context: what they are conditioned on, for models that take it.
            offset: at which step they begin, as for `log_prob`.
            complete: False for pieces that have no end of their own, as for `log_prob`.

        Returns:
            For one sequence an array [T] (a Series keeps its index, a tensor stays one); for
            several a list of them. In the order of generation; where sequences end, the last term
            is the end's; elements that are given have none.
        """
        law, sequences = self.law_, self._scored(data, complete)
        prepared = self.read_context(context, sequences, int(sequences.n_terms.max()), offset)
        with torch.set_grad_enabled(torch.is_grad_enabled() and sequences.form.kind == "tensor"):
            terms = numbers_of(law.checked_terms(sequences, prepared), law)
        counts = sequences.n_terms - law.n_given
        offsets = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
        return sequences.form.per_element(terms, offsets, skip=law.n_given)

    # ---- conditionals ----------------------------------------------------------------------

    def conditional(
        self, prefix: Any = None, *, context: Any = None, offset: Any = None
    ) -> Distribution:
        """The next element's distribution after `prefix` (the first element's without one).

        Args:
            prefix: the first elements of one sequence, or of several, in any form `fit` takes.
            context: what they are conditioned on, for models that take it.
            offset: at which step they begin, as for `log_prob`.

        Returns:
            A `torch.distributions.Distribution` of batch shape [] for one prefix and [N] for
            several, of event shape [] or, where an element is a vector, [d]; its `log_prob` is in
            nats. The end of a sequence, where there is one, is its last symbol.

        Raises:
            NotFittedError: there is no law yet.
            DataError: the prefix is not of the model's space, is too short for a law whose first
                values are given, or is a whole example already.
            ParameterError: a context is lacking, or there should be none.

        Example:
            >>> import arproc
            >>> model = arproc.AR.from_parameters([0.5], mean=2.0)
            >>> float(model.conditional([4.0]).mean)
            3.0
            >>> model.conditional([[4.0], [0.0]]).batch_shape
            torch.Size([2])
            >>> arproc.PPM(order=2, tokens="char").fit("abab").conditional("a").probs.shape
            torch.Size([2])
        """
        if prefix is None:
            with torch.no_grad():
                found = self.start(1, context=context, offset=offset).conditional
                return index(numbers_in(found, self.law_), 0)
        known = self.known(prefix)
        with torch.set_grad_enabled(torch.is_grad_enabled() and known.form.kind == "tensor"):
            conditional = self.start(known, context=context, offset=offset).conditional
            numbers_in(conditional, self.law_)
            return index(conditional, 0) if known.form.single else conditional

    def conditionals(self, data: Any, *, context: Any = None, offset: Any = None) -> Distribution:
        """The distributions of every element given those before it, teacher forcing.

        Args:
            data: sequences in any form that `fit` takes.
            context: what they are conditioned on, for models that take it.
            offset: at which step they begin, as for `log_prob`.

        Returns:
            A distribution of batch shape [N, T], T the longest length (columns beyond a shorter
            row's length have no meaning); given values have no column.
        """
        law, sequences = self.law_, self._scored(data)
        prepared = self.read_context(context, sequences, int(sequences.lengths.max()), offset)
        sequences.require_length(law.n_given)
        x = sequences.padded()[0].to(law.device)
        with torch.set_grad_enabled(torch.is_grad_enabled() and sequences.form.kind == "tensor"):
            state = law.fresh(len(x), prepared)
            if law.n_given:
                state = state.extend(x[:, : law.n_given])[1]
            columns = state.extend(x[:, law.n_given : -1])[0]
            if x.shape[1] > law.n_given:
                shared = int(sequences.lengths.min()) - law.n_given
                shown = index(columns, (slice(None), slice(0, shared)))
                numbers_in(shown, law, diffuse=law.takes_missing)
                return columns
            return index(columns, (slice(None), slice(0, 0)))  # there is no element to come

    def condition(self, prefix: Any, *, context: Any = None, offset: Any = None) -> Process:
        """The process of what follows `prefix`, with its own `log_prob` and `sample`.

        Args:
            prefix: one sequence, in any form the process takes.
            context: what the whole sequence is conditioned on, for processes that take it; its
                later steps are those of what follows.
            offset: at which step the prefix begins, as for `log_prob`. Labelled data of the
                conditioned process must begin with the label that follows the prefix.
        """
        law, known = self.law_, self.known(prefix)
        longest = int(known.lengths.max())
        prepared = self.read_context(context, known, longest, offset, "prefix")
        labels = self.fit_.labels.after(known.form, longest)
        fit = replace(self._drawn_fit(), labels=labels)
        return Process.of(ConditionedLaw.after_prefix(law, known, prepared), fit)

    def with_policy(self, policy: Policy) -> Process:
        """This process under a policy: again a process, with an exact likelihood of its own."""
        from arproc.sampling.policies import PolicyLaw

        return self.derived(PolicyLaw.under(self.law_, policy))

    def in_order(self, ordering: str | Sequence[int]) -> Process:
        """The law of the same model in another order of its sites, for models that know it."""
        return self.derived(self.law_.in_order(ordering))

    def in_steps(self, sizes: Sequence[int]) -> Process:
        """The law of the same model whose sites are drawn in steps, independently within each.

        For models of a fixed size that know every order. It is another law than the model's, whose
        likelihood is exact as well: what the steps cost is the difference.
        `arproc.sampling.step_curve` finds the best sizes.

        Args:
            sizes: how many sites each step has, in the order of generation.

        Example:
            >>> import arproc, numpy as np
            >>> x = np.random.default_rng(0).integers(0, 2, (50, 6))
            >>> quick = arproc.Training(steps=20)
            >>> model = arproc.NADE(8, order_agnostic=True, training=quick).fit(x)
            >>> model.in_steps([3, 3]).sample(2, seed=0).shape
            (2, 6)
        """
        from arproc.sampling.steps import StepLaw

        return Process.of(StepLaw.of(self.law_, sizes), self._drawn_fit())

    def midway(self) -> Process:
        """This process for pieces that may begin anywhere in a sequence, for models that know it.

        Of an n-gram model these begin with the empty context and not after `<s>` (as KenLM scores
        with `bos=False`). That a piece does not end is said by `complete=False`, everywhere.

        Example:
            >>> import arproc
            >>> model = arproc.NGram(2, "witten_bell").fit(["a rose", "a rose is a rose"])
            >>> round(model.log_prob("rose", complete=False), 3)  # at the beginning of a sentence
            -2.329
            >>> round(model.midway().log_prob("rose", complete=False), 3)  # anywhere
            -1.23
        """
        return self.derived(self.law_.midway())

    def derived(self, law: ChainLaw) -> Process:
        """A process of a law that was made of this one's; its draws go back in the same form."""
        return Process.of(law, self._drawn_fit())

    def _drawn_fit(self) -> Fit:
        """For what is made of this process: draws go back in the same form."""
        return Fit(form=self.fit_.form, labels=self.fit_.labels)

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
        offset: Any = None,
        known: Any = None,
        at_once: int | None = None,
    ) -> Any:
        """Draw n sequences by ancestral sampling, with no hidden truncation.

        Row i depends on the seed and on i alone: the same in any batch.

        Args:
            n: how many sequences.
            length: how many new elements at most; this or `stop` is needed where the process is an
                endless stream, or where a policy takes its end away: a draw without length that
                has not ended after 100,000 elements (10,000 under a policy) is refused. A process
                of fixed size takes what is left of it.
            prefix: what the draws continue, one for all or one for each (n of them); not repeated
                in the draws.
            policy: a policy to draw under (temperature, top-k ...).
            stop: a string, a function of the elements so far [N, t] to a mask [N], a
                `sampling.Budget` of time or nats, a constraint (`sampling.Regex` ...), which cuts
                a draw as soon as it is whole, or a list of these; a draw that meets one is cut
                there, what met it included.
            seed: an int or a `torch.Generator`.
            return_log_prob: give `Draws(x, log_prob, policy_log_prob, complete)`.
            context: what the draws are conditioned on, for every step of them.
            offset: at which step the draws (or their prefix) begin, as for `log_prob`.
            known: what is known of examples of a fixed size, in any places: an example for all
                draws or one for each, NaN where it is not known (None in a list of a text's
                symbols); rows of a table as a DataFrame, a Series or a dict, in which columns may
                be left out. The draws are whole examples,
                given this: exact where `arproc.sampling.complete` is, by particles elsewhere.
            at_once: how many sequences are drawn at a time, which bounds the memory: where one is
                finished another begins. All by default.

        Returns:
            Draws in the form `fit` got: a list of `str` for text, else an array [n, length] or
            [n, length, d] (a list of arrays where lengths differ; [n, *shape] where examples have
            one size). With `return_log_prob` a `Draws`, whose log-probabilities are in nats, [n].

        Raises:
            NotFittedError: there is no law yet.
            ParameterError: an argument has a wrong value, or a stream has no length, or a draw
                without one does not end.
            DataError: the prefix is not of the model's space, or too short; or the law itself
                gives a number that is none (NaN).

        Example:
            >>> import arproc
            >>> model = arproc.AR.from_parameters([0.5])
            >>> model.sample(3, length=4, seed=1).shape
            (3, 4)
            >>> text = arproc.PPM(order=2, tokens="char").fit(["ab", "aab", "ab"])
            >>> text.sample(2, prefix="a", policy=arproc.sampling.TopK(1), seed=0)
            ['b', 'b']
            >>> draws = model.sample(2, length=4, seed=1, return_log_prob=True)
            >>> bool(abs(draws.log_prob - model.log_prob(draws.x)).max() < 1e-9)
            True
        """
        if known is not None:
            refused = (length, prefix, stop, offset, return_log_prob or None, at_once)
            return self._sample_known(n, known, policy, seed, context, refused)
        from arproc.sampling.ancestral import sample

        law = self.law_ if policy is None else self.with_policy(policy).law_
        return sample(
            self, law, n, length, prefix, stop, seed, return_log_prob, context, offset,
            at_once=at_once,
        )  # fmt: skip

    def stream(
        self,
        length: int | None = None,
        prefix: Any = None,
        policy: Policy | None = None,
        stop: Any = None,
        seed: int | torch.Generator | None = None,
        *,
        context: Any = None,
        offset: Any = None,
        state: State | None = None,
    ) -> Stream:
        """Draw one sequence, and give its elements as they come.

        Together they are the first draw of `sample` with the same arguments and seed.

        Args:
            length: how many new elements at most, as for `sample`.
            prefix: what the draw continues; one sequence.
            policy: a policy to draw under.
            stop: what cuts the draw, as for `sample`.
            seed: an int or a `torch.Generator`.
            context: what the draw is conditioned on.
            offset: at which step it begins, as for `log_prob`.
            state: the state of another stream, to go on from; with an int as seed the same one
                gives what the other would have given. It holds a policy, a context and all that
                came before, so there can be no other beside it.

        Returns:
            A `sampling.Stream`, an iterator of elements (of pieces of text); its `cancel()` ends
            it, its `state` is where it is, its `reason` why there is no more.

        Example:
            >>> import arproc
            >>> text = arproc.PPM(order=2, tokens="char").fit("abracadabra abracadabra")
            >>> coming = text.stream(length=8, seed=0)
            >>> first = next(coming) + next(coming)
            >>> rest = "".join(text.stream(length=6, seed=0, state=coming.state))
            >>> [first + rest] == text.sample(1, length=8, seed=0)
            True
        """
        from arproc.sampling.streaming import stream

        if state is not None and policy is not None:
            raise ParameterError("state holds a policy already; leave policy out.")
        law = self.law_ if policy is None else self.with_policy(policy).law_
        return stream(self, law, length, prefix, stop, seed, context, offset, state)

    def _sample_known(
        self, n: int, known: Any, policy: Policy | None, seed: Any, context: Any, refused: Any
    ) -> Any:
        """Draws given what is known in any places."""
        from arproc.sampling.completion import sample_known

        names = ("length", "prefix", "stop", "offset", "return_log_prob", "at_once")
        for name, value in zip(names, refused, strict=True):
            if value is not None:
                raise ParameterError(
                    f"known says what is known of whole examples, and {name} can not stand beside "
                    f"it; leave {name} out."
                )
        process = self if policy is None else self.with_policy(policy)
        return sample_known(process, n, known, seed, context)

    def forecast(
        self,
        history: Any,
        horizon: int,
        quantiles: tuple[float, ...] = (0.05, 0.5, 0.95),
        seed: int | torch.Generator | None = None,
        *,
        context: Any = None,
        offset: Any = None,
        n_paths: int = 1000,
        known: Any = None,
        parameter_uncertainty: Literal["bootstrap"] | None = None,
        n_bootstrap: int = 100,
    ) -> pd.DataFrame:
        """Forecast the next `horizon` elements of each series of `history`.

        Analytic where the model has closed forms, from `n_paths` sample paths otherwise.

        Args:
            history: what is known, e.g. a Series, whose dates are carried on.
            horizon: how many steps, 1 or more.
            quantiles: which quantiles, each in (0, 1).
            seed: of the simulation.
            context: of the history and of the future.
            offset: at which step the history begins, as for `log_prob`.
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
            columns "mean" and one for each quantile, in the data's own unit; for vectors the
            columns have two levels, the component (named as the DataFrame's columns) and these.

        Raises:
            NotFittedError: there is no law yet.
            DataError: the history or what is known is not of the model's space.
            ParameterError: an argument has a wrong value.
            UnsupportedError: the process is one of symbols, or its sequences end.

        Example:
            >>> import arproc
            >>> model = arproc.AR.from_parameters([0.5])
            >>> model.forecast([8.0], 3, quantiles=(0.5,))
               mean  0.5
            1   4.0  4.0
            2   2.0  2.0
            3   1.0  1.0
            >>> model.forecast([8.0], 3, quantiles=(), known=[None, None, 3.0])["mean"].tolist()
            [4.38, 2.95, 3.0]
        """
        from arproc.forecasting import forecast

        return forecast(
            self,
            history,
            horizon,
            quantiles,
            seed,
            context,
            offset,
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
        offset: Any = None,
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
            offset: at which step the history begins, as for `log_prob`.
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

        return sample_paths(self, history, horizon, n_paths, seed, context, offset, known)


def require_process(model: Any, call: str) -> Process:
    """`model` as a Process, or an error that says which call needs one."""
    if not isinstance(model, Process):
        raise ParameterError(f"{call} needs a Process; got {type(model).__name__}.")
    return model
