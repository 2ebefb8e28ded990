"""A model written in one class: how it learns and what comes next, side by side.

The least that a model of one's own needs (see CONTRIBUTING): a class derived from `Process` whose
`_fit` sets attributes that end in an underscore, and that writes `window`, `_start` or
`_conditionals` itself. `fit` works on a copy of the model; that copy, which nobody changes any
more, becomes the law. States find it as `state.process`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch.distributions import Distribution

from arproc.contract.context import ContextForm
from arproc.contract.law import ChainLaw, Law, NoWindowError, WholeLaw
from arproc.contract.machine import Machine
from arproc.contract.randomness import Uniforms
from arproc.contract.sequences import Sequences
from arproc.contract.state import ReplayState, State, WindowState
from arproc.contract.storable import storable
from arproc.data.form import Layout
from arproc.errors import UnsupportedError
from arproc.process.fit import Fit, Learnt
from arproc.process.model import Model
from arproc.spaces import Space

__all__ = ["OneClass", "WholeModel", "WrittenLaw", "WrittenWholeLaw"]


class _Written(Model):
    """What the two kinds of models in one class share."""

    @property
    def law_(self) -> Law:
        # while it is being fitted, or put together by hand, it is its own law
        if "_held" not in vars(self) and "space_" in vars(self):
            return self._law_of_itself()
        return super().law_

    @property
    def fit_(self) -> Fit:
        if "_held" not in vars(self) and "space_" in vars(self):
            return Fit(form=vars(self).get("form_", "numpy"))
        return super().fit_

    def __sklearn_is_fitted__(self) -> bool:
        return "space_" in vars(self) or super().__sklearn_is_fitted__()

    def _law_of_itself(self) -> WrittenLaw | WrittenWholeLaw:
        kind = WrittenLaw if isinstance(self, OneClass) else WrittenWholeLaw
        given = self._own("n_given", 0)
        return kind(self, self.space_, self._context_form(), given, self.takes_missing)

    def _context_form(self) -> ContextForm | None:
        learnt: ContextForm | None = vars(self).get("context_form_")
        return super()._context_form() if learnt is None else learnt

    def _learnt_from(
        self,
        sequences: Sequences,
        validation: Sequences | None = None,
        context: torch.Tensor | None = None,
    ) -> Learnt:
        vars(self)["space_"] = sequences.space  # `_fit` may ask for it
        form = self._context_form()
        if form is not None:
            vars(self)["context_form_"] = form.learnt(context)
        return super()._learnt_from(sequences, validation, context)

    def _written(self, space: Space) -> Law:
        return self._law_of_itself()

    def read_context(
        self,
        context: Any,
        of: Sequences | int,
        length: int,
        offset: Any = None,
        name: str = "data",
    ) -> torch.Tensor | None:
        own = getattr(self.law_, "model", None)
        if isinstance(own, _Written):
            return own._context(context, of, length, self.fit_.labels)
        return super().read_context(context, of, length, offset, name)

    def _own(self, name: str, default: Any) -> Any:
        """An attribute of the contract that this class defines, or what a law has by default."""
        inherited = getattr(Model, name, None)
        return default if getattr(type(self), name) is inherited else getattr(self, name)


class WholeModel(_Written):
    """A law of fixed size that is drawn from as a whole, written in one class.

    It writes `_log_prob(sequences, context)` and `_draw(n, uniforms, context)`.
    """

    def _log_prob(self, sequences: Sequences, context: torch.Tensor | None) -> torch.Tensor:
        raise UnsupportedError(f"{type(self).__name__} does not write _log_prob.")

    def _draw(self, n: int, uniforms: Uniforms, context: torch.Tensor | None) -> torch.Tensor:
        raise UnsupportedError(f"{type(self).__name__} does not write _draw.")


class OneClass(_Written):
    """The hooks by which a process in one class says what comes next; one of the first three.

    They are those of `ChainLaw`; each is described there.
    """

    #: What fills a window before the start of a sequence.
    padding: float = 0
    #: Whether forecasts integrate over what is not known of the parameters (Bayesian models).
    carries_parameter_uncertainty: bool = False
    #: Whether it was trained for every order of its sites.
    takes_any_order: bool = False
    #: Whether the joint law is the same in all of them.
    orders_agree: bool = False
    #: How many elements beyond the next one its states `foresee`.
    foresight: int = 0

    @property
    def window_length(self) -> int:
        """How many past elements `window` looks at."""
        raise NoWindowError(f"{type(self).__name__} has no finite order.")

    def window(self, ctx: torch.Tensor, position: torch.Tensor) -> Distribution:
        """The conditionals of elements given the last `window_length` before them."""
        raise UnsupportedError(f"{type(self).__name__} has no window.")

    def _start(self, n: int, context: torch.Tensor | None) -> State:
        return WindowState() if type(self).window is not OneClass.window else ReplayState()

    def _conditionals(self, x: torch.Tensor) -> Distribution:
        raise UnsupportedError(
            f"{type(self).__name__} writes none of window, _start and _conditionals."
        )

    def _log_prob_terms(self, sequences: Sequences, context: torch.Tensor | None) -> torch.Tensor:
        return self._derived_log_prob_terms(sequences, context)

    def _derived_log_prob_terms(
        self, sequences: Sequences, context: torch.Tensor | None
    ) -> torch.Tensor:
        return self._chain.derived_log_prob_terms(sequences, context)

    def _log_prob(self, sequences: Sequences, context: torch.Tensor | None) -> torch.Tensor:
        return ChainLaw.log_prob(self._chain, sequences, context)

    def _predictive(self, state: State, horizon: int) -> Distribution | None:
        return ChainLaw.predictive(self._chain, state, horizon)

    def _joint(self, state: State, horizon: int) -> Distribution | None:
        return None

    def _given_seen(self, *known: Any, **how: Any) -> tuple[torch.Tensor, torch.Tensor] | None:
        return None

    def _in_order(self, ordering: str | Sequence[int]) -> ChainLaw:
        raise UnsupportedError(f"{type(self).__name__} has one order of sites.")

    @property
    def _chain(self) -> ChainLaw:
        law = self.law_
        assert isinstance(law, ChainLaw)
        return law

    def _written(self, space: Space) -> Law:
        hooks = ("window", "_start", "_conditionals")
        if all(getattr(type(self), hook) is getattr(OneClass, hook) for hook in hooks):
            raise UnsupportedError(
                f"_fit of {type(self).__name__} gave no law (return it), and it writes none of "
                "window, _start and _conditionals, which would make it one."
            )
        return super()._written(space)


@dataclass(frozen=True, eq=False, repr=False)
class _WrittenFields:
    """What both kinds of laws of models in one class hold.

    Attributes:
        model: the copy of the model that was fitted.
    """

    model: Any
    space: Space
    context: ContextForm | None
    n_given: int
    takes_missing: bool

    @property
    def layout(self) -> Layout | None:
        return self.model._layout_of(self.space)

    @property
    def device(self) -> torch.device:
        return self.model._own("device", torch.device("cpu"))

    def to_dict(self) -> dict[str, Any]:
        """What files hold: the copy, which says all else."""
        return {"model": self.model}

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> Self:
        """The law of a copy that was read from a file."""
        law = fields["model"]._law_of_itself()
        assert isinstance(law, cls)
        return law

    def __repr__(self) -> str:
        return f"WrittenLaw({self.model!r})"


@storable
class WrittenWholeLaw(_WrittenFields, WholeLaw):
    """The law of a `WholeModel`."""

    def log_prob(self, sequences: Sequences, context: torch.Tensor | None) -> torch.Tensor:
        return self.model._log_prob(sequences, context)

    def draw(self, n: int, uniforms: Uniforms, context: torch.Tensor | None) -> torch.Tensor:
        return self.model._draw(n, uniforms, context)


@storable
class WrittenLaw(_WrittenFields, ChainLaw):
    """The law of a process written in one class."""

    @property
    def padding(self) -> float:  # type: ignore[override]
        return self.model.padding

    @property
    def takes_any_order(self) -> bool:  # type: ignore[override]
        return bool(self.model.takes_any_order)

    @property
    def orders_agree(self) -> bool:  # type: ignore[override]
        return bool(self.model.orders_agree)

    @property
    def foresight(self) -> int:
        return int(self.model.foresight)

    @property
    def carries_parameter_uncertainty(self) -> bool:  # type: ignore[override]
        return bool(self.model.carries_parameter_uncertainty)

    @property
    def window_length(self) -> int:
        return int(self.model.window_length)

    def window(self, ctx: torch.Tensor, position: torch.Tensor, **context: Any) -> Distribution:
        return self.model.window(ctx, position, **context)

    def machine(self) -> Machine | None:
        writes = type(self.model).window is not OneClass.window
        return super().machine() if writes else None

    def start(self, n: int, context: torch.Tensor | None) -> State:
        return self.model._start(n, context)

    def conditionals(self, x: torch.Tensor, **context: Any) -> Distribution:
        return self.model._conditionals(x, **context)

    def log_prob_terms(self, sequences: Sequences, context: torch.Tensor | None) -> torch.Tensor:
        return self.model._log_prob_terms(sequences, context)

    def log_prob(self, sequences: Sequences, context: torch.Tensor | None) -> torch.Tensor:
        return self.model._log_prob(sequences, context)

    def predictive(self, state: State, horizon: int) -> Distribution | None:
        return self.model._predictive(state, horizon)

    def joint(self, state: State, horizon: int) -> Distribution | None:
        return self.model._joint(state, horizon)

    def in_order(self, ordering: str | Sequence[int]) -> ChainLaw:
        return self.model._in_order(ordering)

    def given_seen(self, *known: Any, **how: Any) -> tuple[torch.Tensor, torch.Tensor] | None:
        return self.model._given_seen(*known, **how)
