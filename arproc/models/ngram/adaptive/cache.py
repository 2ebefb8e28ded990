"""Cache: what was said lately is said again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any

import numpy as np
import torch
from torch.distributions import Distribution

from arproc.contract.checked import Array, Number, sentences
from arproc.contract.law import ChainLaw
from arproc.contract.sequences import Sequences
from arproc.contract.state import State
from arproc.contract.storable import storable
from arproc.errors import check_choice, check_integer, check_number
from arproc.models.ngram.symbols import (
    NO_TABLE,
    NO_UNIFORMS,
    SymbolModel,
    categorical,
    symbol_problems,
    symbol_space,
    with_ends,
)
from arproc.spaces import Categorical as CategoricalSpace

__all__ = ["Cache", "CacheLaw"]

BASES = ("unigram", "uniform")


class Cache(SymbolModel):
    r"""The distribution of the recent history (Kuhn and De Mori 1990), smoothed.

    With the symbols so far x_1 ... x_t, the last m = min(t, `size`) of them and a decay d,

        p(w | x) = (sum_{i < m} d^i [x_{t-i} = w] + alpha b(w)) / (sum_{i < m} d^i + alpha)

    which adds up to one for every history: b is the distribution of single symbols in the data of
    `fit` (with one added to each count), or the uniform one. With d < 1 the weight of a symbol
    decays exponentially with its distance (Clarkson and Robinson 1997). Where sequences end, the
    end, which is in no history, has probability b(end) at each step, and the rest is shared out
    as above. The likelihood is exact and sequential; nothing is learnt from one sequence for
    another.

    Alone it is a poor model; its place is in a mixture, the classical cache language model:

        arproc.Mixture([ngram, cache]).fit(held_out_documents)   # weights by EM

    Each sequence begins with an empty cache. So the cache reaches over the sentences of a document
    only if the document is one sequence: give texts as whole documents (a list of documents, or
    one stream, with a symbol of your own where sentences end), and fit the n-gram model on the
    same form. To go on after something that was read before, use the mixture's
    `condition(text)`.

    Args:
        size: how many of the last symbols count; None for all.
        decay: the factor from one symbol to the one before, in (0, 1].
        alpha: how many symbols the base distribution is worth.
        base: "unigram" or "uniform".
        tokens: how the data are cut into symbols: "word", "char", "byte", a `Vocabulary`, a
            tokenizer, None for data that are symbols already, or an int, how many numbers there
            are; or a `Tokens`, which also says which symbols are kept and whether sequences end.
            In a mixture give the vocabulary of the other part: `tokens=ngram.vocabulary`.

    Attributes:
        base_: the base distribution, the end included, float64 [V].

    Example:
        >>> import arproc
        >>> model = arproc.Cache(2, base="uniform", tokens=4).fit([0, 1, 2, 3])
        >>> probs = model.conditional([3, 1, 0, 1]).probs   # (1, 1, 0, 0) and 1/4 each, over 3
        >>> probs.numpy().round(3).tolist()
        [0.417, 0.417, 0.083, 0.083]
        >>> documents = ["a b a b c", "c a c b"]
        >>> ngram = arproc.NGram(2, "witten_bell").fit(documents)
        >>> cache = arproc.Cache(tokens=ngram.vocabulary).fit(documents)
        >>> cached = arproc.Mixture([ngram, cache]).fit(["a b b b b a"])   # held out
        >>> bool(cached.log_prob("c c c c") > ngram.log_prob("c c c c"))
        True
    """

    law_: CacheLaw
    base_: np.ndarray

    def __init__(
        self,
        size: int | None = 200,
        decay: float = 1.0,
        alpha: float = 1.0,
        base: str = "unigram",
        tokens: Any = "word",
    ) -> None:
        self.size = size
        self.decay = decay
        self.alpha = alpha
        self.base = base
        self.tokens = tokens

    def _check_parameters(self) -> None:
        _check(self.size, self.decay, self.alpha)
        check_choice("base", self.base, BASES)

    def _fit(
        self,
        sequences: Sequences,
        *,
        validation: Sequences | None,
        context: torch.Tensor | None,
    ) -> CacheLaw:
        space = symbol_space(sequences.space)
        counts = np.ones(space.size)
        if self.base == "unigram":
            counts += np.bincount(with_ends(sequences)[0], minlength=space.size)
        return CacheLaw(
            space, counts / counts.sum(), float(self.alpha), float(self.decay), self.size
        )


@storable
@dataclass(frozen=True, eq=False, repr=False)
class CacheLaw(ChainLaw):
    """The distribution of the recent history; see `Cache`.

    Attributes:
        space: the symbols.
        base: the base distribution, the end included, float64 [V].
        alpha: how many symbols it is worth.
        decay: the factor from one symbol to the one before.
        size: how many of the last symbols count; None for all.
    """

    space: CategoricalSpace
    base: Annotated[np.ndarray, Array("space.symbols", above=0, high=1)]
    alpha: Annotated[float, Number(above=0, high=1e12)]
    decay: Annotated[float, Number(above=0, high=1)]
    size: Annotated[int | None, Number(low=1)]

    def problems(self) -> Iterator[str]:
        yield from sentences(
            *symbol_problems(self.space, len(self.base)),
            (abs(self.base.sum() - 1) > 1e-6, "base does not sum to one"),
        )

    @cached_property
    def arrays(self) -> tuple:
        """What the kernels take; see `cache_kernels`."""
        end = -1 if self.space.end is None else self.space.end
        return self.base, self.alpha, self.decay, self.size or 0, end

    def start(self, n: int, context: torch.Tensor | None) -> State:
        return CacheState(np.zeros((n, len(self.base))))

    def log_prob_terms(self, sequences: Sequences, context: torch.Tensor | None) -> torch.Tensor:
        from arproc.compiled.interpreted import suited
        from arproc.models.ngram.adaptive import cache_kernels

        values, begin, steps = with_ends(sequences)
        out = np.empty(len(values))
        kernels = suited(cache_kernels, 10 * len(values) * (1 + (self.size or 0)))
        kernels.terms(self.arrays, values, begin, steps, out)
        return torch.from_numpy(out).to(sequences.values.device)


def _check(size: int | None, decay: float, alpha: float) -> None:
    """Raise `ParameterError` for numbers that no cache has."""
    if size is not None:
        check_integer("size", size, minimum=1)
    check_number("decay", decay, above=0, high=1)
    check_number("alpha", alpha, above=0)


class CacheState(State):
    """The decayed counts of each row.

    Args:
        weights: float64 [N, V], the newest symbol's being 1; None where they are still to be made
            from the history.
    """

    law: CacheLaw
    block = 16

    def __init__(self, weights: np.ndarray | None) -> None:
        self._found = weights

    @property
    def weights(self) -> np.ndarray:
        """The decayed counts, float64 [N, V]."""
        if self._found is None:
            from arproc.compiled.interpreted import suited
            from arproc.models.ngram.adaptive import cache_kernels

            law = self.law
            x, lengths = self.history.padded()
            values, known = np.ascontiguousarray(x.cpu().numpy()), lengths.cpu().numpy()
            steps = known if law.size is None else np.minimum(known, law.size)
            begin = np.arange(self.n) * values.shape[1] + known - steps
            self._found = np.zeros((self.n, len(law.base)))
            kernels = suited(cache_kernels, int(steps.sum()) * len(law.base))
            kernels.run(
                law.arrays, self._found, values.reshape(-1), begin, steps,
                np.zeros(self.n, np.int64), NO_UNIFORMS, NO_TABLE,
            )  # fmt: skip
        return self._found

    def _conditional(self) -> Distribution:
        table = np.empty((self.n, 1, len(self.law.base)))
        self._run(np.empty((self.n, 0), np.int64), table=table)
        return categorical(table[:, 0], self.history.slots.device)

    def _append(self, x: torch.Tensor) -> State:
        return self._run(x.cpu().numpy()[:, None])[1]

    def _extend(self, x: torch.Tensor, lengths: torch.Tensor | None) -> tuple[Distribution, State]:
        table = np.empty((self.n, x.shape[1] + 1, len(self.law.base)))
        state = self._run(x.cpu().numpy(), table=table)[1]
        return categorical(table, x.device), state if lengths is None else CacheState(None)

    def _select(self, rows: torch.Tensor) -> State:
        return CacheState(self.weights[rows.cpu().numpy()])

    def _truncate(self, lengths: torch.Tensor) -> State:
        return CacheState(None)

    def advance(self, uniforms: torch.Tensor) -> tuple[torch.Tensor, State]:
        given = np.ascontiguousarray(uniforms.cpu().numpy())
        drawn, state = self._run(np.zeros(given.shape, np.int64), given)
        x = torch.from_numpy(drawn).to(uniforms.device)
        return x, self._carry(state, self.history.extend(x), self.context)

    def _run(
        self,
        x: np.ndarray,
        uniforms: np.ndarray = NO_UNIFORMS,
        table: np.ndarray = NO_TABLE,
    ) -> tuple[np.ndarray, CacheState]:
        """The symbols x [N, K], drawn where there are uniforms, and the state after them."""
        from arproc.compiled.interpreted import suited
        from arproc.models.ngram.adaptive import cache_kernels

        reach = min(self.law.size or 0, self.history.stop)
        values = np.concatenate([self.history.tail(reach).cpu().numpy(), x], axis=1)
        weights = self.weights.copy()
        kernels = suited(cache_kernels, (x.size + self.n) * weights.shape[1])
        kernels.run(
            self.law.arrays, weights, values.reshape(-1),
            np.arange(self.n) * values.shape[1] + reach, np.full(self.n, x.shape[1]),
            np.ascontiguousarray(self.lengths.cpu().numpy()), uniforms, table,
        )  # fmt: skip
        return values[:, reach:].copy(), CacheState(weights)
