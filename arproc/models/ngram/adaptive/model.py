"""What context-tree weighting and PPM share as models."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import replace
from typing import Any, ClassVar, Self

import torch

from arproc.contract.sequences import Sequences
from arproc.data.tokens import Tokens
from arproc.errors import check_integer
from arproc.models.ngram.adaptive.contexts import Contexts
from arproc.models.ngram.adaptive.law import ContextLaw
from arproc.models.ngram.symbols import SymbolModel, symbol_space
from arproc.process import Fit
from arproc.spaces import Categorical as CategoricalSpace

__all__ = ["ContextModel"]


class ContextModel(SymbolModel):
    """A model of symbols that counts what followed each context, and may go on doing so."""

    law_: ContextLaw
    contexts_: Contexts
    n_contexts_: int

    #: What the sequential log-likelihood of the data of `fit` is called.
    _evidence: ClassVar[str]

    @abstractmethod
    def _law(self, space: CategoricalSpace) -> ContextLaw:
        """The law that has seen nothing."""

    @classmethod
    def untrained(cls, *arguments: Any, **parameters: Any) -> Self:
        """A model that has seen nothing, of `tokens=` so many symbols, 0, 1, 2 ...

        Its `log_prob` is the universal code length of a sequence, in nats. The arguments are
        those of the constructor.
        """
        model = cls(*arguments, **parameters)
        model._check_parameters()
        tokens = Tokens.of(model.tokens)
        symbols, ends = check_integer("tokens", tokens.kind, minimum=1), bool(tokens.end)
        space = CategoricalSpace(symbols + int(ends), None, symbols if ends else None)
        return cls.of(model._law(space), **model.get_params(deep=False))

    def _fit(
        self,
        sequences: Sequences,
        *,
        validation: Sequences | None,
        context: torch.Tensor | None,
    ) -> tuple[ContextLaw, Fit]:
        law = self._law(symbol_space(sequences.space))
        contexts, evidence = law.taught(sequences)
        return replace(law, contexts=contexts), Fit(notes={self._evidence: evidence})
