"""What the algorithms ask of a model that a user holds."""

from __future__ import annotations

from typing import Any, Protocol

import torch

from arproc.contract.law import ChainLaw
from arproc.contract.sequences import Sequences
from arproc.errors import ParameterError

__all__ = ["Holder", "require_chain"]


class Holder(Protocol):
    """A law, and how the user's data are read for it; `arproc.process.Process` is one."""

    @property
    def law_(self) -> ChainLaw:
        """The law, whose arithmetic the algorithms use."""

    @property
    def fit_(self) -> Any:
        """The circumstances of its fit, see `arproc.process.Fit`."""

    def sequences(self, data: Any, *, name: str = "data", missing: bool = False) -> Sequences:
        """The user's data as `Sequences` of the law's space."""

    def known(self, prefix: Any, name: str = "prefix") -> Sequences:
        """What the user says is known of sequences that go on."""

    @property
    def parameters_are_given(self) -> bool:
        """Whether its parameters, which are estimated in other cases, were given."""

    def refitted(self, sequences: Sequences, context: torch.Tensor | None) -> ChainLaw:
        """The law that a clone learns from other sequences."""

    def condition(self, prefix: Any, *, context: Any = None, offset: Any = None) -> Holder:
        """The process of what follows one prefix."""

    def derived(self, law: ChainLaw) -> Holder:
        """A process of a law that was made of this one's."""

    def sample(self, n: int, *, seed: int | torch.Generator | None = None) -> Any:
        """Draws of whole sequences."""

    def read_context(
        self,
        context: Any,
        of: Sequences | int,
        length: int,
        offset: Any = None,
        name: str = "data",
    ) -> torch.Tensor | None:
        """The context of a call, as the law takes it."""


def require_chain(model: Any, call: str) -> ChainLaw:
    """The law of a model that has conditionals, or an error that says which call needs one."""
    law = getattr(model, "law_", None)
    if not isinstance(law, ChainLaw):
        raise ParameterError(f"{call} needs a Process; got {type(model).__name__}.")
    return law
