"""Model: what a user holds. Parameters, the law that `fit` learns from data, and the calls.

The law is a value (`arproc.contract.law`): `fit` replaces it whole on its last line, and nothing
else changes it. How it is held is told in `arproc.process.holding`, how it is learnt in
`arproc.process.learning`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

import torch

from arproc.contract.law import Draws, Law, WholeLaw, numbers_of
from arproc.contract.randomness import Uniforms
from arproc.contract.sequences import Sequences
from arproc.data.form import Form, restore
from arproc.errors import DataError, ParameterError, UnsupportedError, check_count
from arproc.process.learning import Learner
from arproc.sampling.ancestral import check_drawn

if TYPE_CHECKING:
    from arproc.process.torch_view import SequenceDistribution

__all__ = ["Model", "require_fitted"]


class Model(Learner):
    """A distribution over sequences that is learnt from data: exact `log_prob` and `sample`.

    A subclass's constructor stores its arguments and nothing else. It writes `_infer_space` and
    `_fit`, which gives the fitted `Law`; and it declares as class annotations what users may read
    of the law and the fit (`coef_: np.ndarray` is the law's `coef`, or the fit's).

    Every call but `fit` reads the law alone: parameters that are changed after a fit, as by
    `set_params`, count from the next fit on.

    Attributes:
        law_: the fitted law, an immutable value.
        fit_: the circumstances of the fit, see `Fit`.
        space_: the law's space.
        form_: the form of the data of `fit`.

    Example:
        >>> import arproc
        >>> model = arproc.AR(order=1).fit([0.0, 1.0, 0.0, 2.0, 1.0, 0.0])
        >>> model.law_.space, model.fit_.form, model.coef_.shape
        (Real(length=None, precision='float64'), 'numpy', (1,))
        >>> held = model.law_
        >>> model.fit([3.0, 2.0, 3.0, 1.0]).law_ is held      # a fit makes a law of its own
        False
    """

    #: Why there are no tractable conditionals; shown when somebody asks for one.
    no_conditional: ClassVar[str] = Law.no_conditional

    # ---- the public calls ------------------------------------------------------------------

    def log_prob(
        self, data: Any, *, context: Any = None, offset: Any = None, complete: bool | None = None
    ) -> Any:
        """The exact log-probability (mass) or log-density of each sequence, in nats.

        That of the whole sequence, with its end where sequences end; of a model whose first
        `n_given` values are given, that of the others given these; of missing values (NaN, where
        the law takes them), the marginal of what was observed.

        Args:
            data: sequences in any form that `fit` takes.
            context: what they are conditioned on, for models that take it, as in `fit`.
            offset: for models with a trend or seasons, how many steps after the first of the data
                of `fit` the sequences begin, one for all or [N]; where their labels do not tell.
            complete: False for pieces cut out of longer sequences: their ends have no terms.

        Returns:
            A float for one sequence, a float64 array [N] for several; a tensor for a tensor,
            differentiable in the data and the parameters where they ask for gradients. A density
            has the unit of the data: nats may be above 0.

        Raises:
            NotFittedError: there is no law yet.
            DataError: the data are not elements of the model's space, or shorter than what is
                given, or so far out that the law's arithmetic gives no number; or the context is
                not what the law takes.
            ParameterError: a context is lacking, or there should be none.

        Example:
            >>> import arproc
            >>> model = arproc.AR.from_parameters([0.5])       # x_t = 0.5 x_{t-1} + e_t
            >>> model.log_prob([[0.0, 0.0], [0.0, 1.0]])
            array([-1.981718, -2.481718])
            >>> model.log_prob([0.0, 1.0])
            -2.481718
        """
        law, sequences = self.law_, self._scored(data, complete)
        prepared = self.read_context(context, sequences, _longest(sequences), offset)
        with torch.set_grad_enabled(torch.is_grad_enabled() and sequences.form.kind == "tensor"):
            scores = numbers_of(law.log_prob(sequences, prepared), law)
            return sequences.form.per_row(scores)

    def score(
        self,
        data: Any,
        y: None = None,
        *,
        context: Any = None,
        offset: Any = None,
        complete: bool | None = None,
    ) -> float:
        """Mean log-probability per element in nats, higher is better (scikit-learn's rule).

        A term of ending counts as an element; values that are given or missing do not.
        """
        law, sequences = self.law_, self._scored(data, complete)
        prepared = self.read_context(context, sequences, _longest(sequences), offset)
        with torch.no_grad():
            total = numbers_of(law.log_prob(sequences, prepared), law).sum()
        # where a given value is missing, a later one stands in for it
        terms = int((sequences.n_scored(0) - law.n_given).clamp(min=0).sum())
        if terms == 0:
            rest = " (all others are missing)" if sequences.missing else ""
            raise DataError(
                f"data has no element to score beyond the first {law.n_given} given{rest}."
            )
        return float(total) / terms

    def sample(
        self,
        n: int = 1,
        length: int | None = None,
        prefix: Any = None,
        policy: Any = None,
        stop: Any = None,
        seed: int | torch.Generator | None = None,
        return_log_prob: bool = False,
        *,
        context: Any = None,
        offset: Any = None,
        known: Any = None,
    ) -> Any:
        """Draw n examples of a law that is drawn from as a whole.

        Row i depends on the seed and on i alone: the same in any batch.

        Args:
            n: how many examples.
            length: the examples' length, if anything.
            prefix: not taken: there are no conditionals to go on from.
            policy: not taken, for the same reason.
            stop: not taken, since a draw is whole.
            seed: an int or a `torch.Generator`.
            return_log_prob: give `Draws(x, log_prob, policy_log_prob, complete)`.
            context: what the draws are conditioned on.
            offset: of no meaning for examples.
            known: not taken, as prefix is not.

        Returns:
            Draws [n, *shape] in the form `fit` got.

        Raises:
            NotFittedError: there is no law yet.
            ParameterError: n or length has a wrong value.
            UnsupportedError: something is asked for that needs conditionals.
        """
        whole = (n, length, prefix, policy, stop, seed, return_log_prob, context, known)
        return self.draw_whole(lambda law, *how: law.draw(*how), *whole)

    def draw_whole(
        self,
        draw: Callable[[WholeLaw, int, Uniforms, torch.Tensor | None], torch.Tensor],
        n: int,
        length: int | None,
        prefix: Any,
        policy: Any,
        stop: Any,
        seed: int | torch.Generator | None,
        return_log_prob: bool,
        context: Any,
        known: Any = None,
    ) -> Any:
        """`sample` by some way to draw from the law; what algorithms over laws call."""
        law = self.law_
        if not isinstance(law, WholeLaw):
            raise UnsupportedError(f"{law!r} is not drawn from as a whole; ask a Process of it.")
        n = check_count("n", n, minimum=0)
        size = law.space.length
        if length is not None and check_count("length", length) != size:
            raise ParameterError(f"length is {length}; this law has {size} elements.")
        for name, value in (
            ("prefix", prefix), ("policy", policy), ("stop", stop), ("known", known),
        ):  # fmt: skip
            if value is not None:
                raise UnsupportedError(
                    f"sample of {type(self).__name__} takes no {name}: {self.no_conditional}."
                )
        prepared = self.read_context(context, n, 0)
        with torch.no_grad():
            x = draw(law, n, Uniforms(seed), prepared).to(law.space.dtype)
        check_drawn(x, law, law.space)
        kind = self.fit_.form
        form = Form(kind if kind in ("tensor", "table") else "numpy")
        if kind == "rows" and self.fit_.labels.features:
            order = None if law.layout is None else law.layout.order
            form = Form("rows", names=self.fit_.labels.in_order(order))
        lengths = torch.full((n,), x.shape[1])
        result = restore(x, lengths, law.space, form, law.layout)
        if not return_log_prob:
            return result
        offsets = torch.arange(n + 1) * x.shape[1]
        with torch.no_grad():
            whole = Sequences(x.flatten(0, 1), offsets, law.space)
            score = form.per_row(law.log_prob(whole, prepared))
        return Draws(result, score, score, form.per_row(torch.ones(n, dtype=torch.bool)))

    def distribution(self, length: int | None = None) -> SequenceDistribution:
        """The law of a sequence as a `torch.distributions.Distribution`.

        Args:
            length: the number of elements; may be left out where the space fixes it.

        Returns:
            A distribution with `event_shape` (length, *element) whose `log_prob` and `sample`
            are this law's.
        """
        from arproc.process.torch_view import SequenceDistribution

        return SequenceDistribution(self.law_, length)

    def save(self, path: str | Path) -> None:
        """Write the model to one file (safetensors with a JSON header), atomically."""
        from arproc.process.persistence import save

        save(self, path)

    # ---- what a law without conditionals says ----------------------------------------------

    def _refuse(self, call: str) -> NoReturn:
        raise UnsupportedError(
            f"{type(self).__name__} has no {call}: {self.no_conditional}. It has log_prob and "
            "sample."
        )

    def conditional(self, prefix: Any = None, *, context: Any = None) -> Any:
        """The next element's distribution; a law without conditionals says why it has none."""
        self._refuse("conditional")

    def conditionals(self, data: Any, *, context: Any = None) -> Any:
        """All next-element distributions; a law without conditionals says why it has none."""
        self._refuse("conditionals")

    def condition(self, prefix: Any, *, context: Any = None) -> Any:
        """The law of what follows; a law without conditionals says why it has none."""
        self._refuse("condition")

    def log_prob_terms(self, data: Any, *, context: Any = None) -> Any:
        """The chain rule's terms; a law without conditionals says why it has none."""
        self._refuse("log_prob_terms")

    def start(self, prefix: Any = 1, *, context: Any = None) -> Any:
        """The state at the start; a law without conditionals says why it has none."""
        self._refuse("start")

    def with_policy(self, policy: Any) -> Any:
        """This law under a policy; a law without conditionals says why it has none."""
        self._refuse("with_policy")

    def forecast(self, *data: Any, **more: Any) -> Any:
        """What follows a history; a law without conditionals says why it has none."""
        self._refuse("forecast")

    def sample_paths(self, *data: Any, **more: Any) -> Any:
        """Paths of what follows a history; a law without conditionals says why it has none."""
        self._refuse("sample_paths")

    def in_order(self, ordering: Any) -> Any:
        """The law in another order; a law without conditionals says why it has none."""
        self._refuse("in_order")


def require_fitted(model: Model) -> None:
    """Raise `NotFittedError` unless the model has a law."""
    _ = model.law_


def _longest(sequences: Sequences) -> int:
    return int(sequences.n_terms.max())
