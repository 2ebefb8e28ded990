"""InfiniGram: the n-gram model without a longest n, on a suffix array."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch

from arproc.contract.sequences import Sequences
from arproc.contract.state import State
from arproc.data.tokenizers import space_under
from arproc.errors import DataError, FileFormatError, check_integer
from arproc.models.ngram.adaptive.adaptive import with_ends
from arproc.models.ngram.suffix.state import InfiniState
from arproc.models.ngram.suffix.suffixes import Suffixes
from arproc.process import Process
from arproc.process.model import require_fitted
from arproc.spaces import Categorical as CategoricalSpace
from arproc.spaces import Space

__all__ = ["InfiniGram", "Matches"]

#: Longer sequences are scored in parts of this many symbols, which threads share.
_PART = 2**15


@dataclass(frozen=True, eq=False)
class Matches:
    """The raw statistics of each term, flat int64 [total].

    Attributes:
        length: of the longest suffix of the history that is followed by anything in the training
            data; where sequences end, their beginning counts as a symbol.
        count: how often that suffix is followed by a symbol there.
        followed: how often by the term's own: `followed / count` is the infini-gram estimate of
            Liu et al. (2024), equation 1, which is no smoothed model (it has zeros).
    """

    length: np.ndarray
    count: np.ndarray
    followed: np.ndarray


class InfiniGram(Process):
    r"""The n-gram model of unbounded order: all suffixes of the history, however long, predict.

    It is interpolated modified Kneser-Ney smoothing without a longest n, counted on a suffix array
    of the training data, which is kept whole in memory (Shareghi et al. 2016, "Fast, small and
    exact: infinite-order language modelling with compressed suffix trees"; the raw statistic is
    that of Liu et al. 2024, "Infini-gram"; Wood et al. 2009, "A stochastic memoizer for sequence
    data", has it as the approximation of a Bayesian model). Let u_0 (the empty one), u_1 ... u_K
    be the suffixes of the history that occur in the training data, from the shortest to the
    longest; of suffixes that occur at the very same places only the longest. Then

        p_k(w) = max(c_k(w) - D(c_k(w)), 0) / n_k + D_k. / n_k * p_{k-1}(w),    p_{-1}(w) = 1 / V

    where c_k(w) = N1+(. u_k w) is the number of different symbols that stand before u_k w in the
    data (the beginning of a sequence is one; of contexts that begin a sequence it is the plain
    count), n_k their sum over w, and D_k. = D_1 N_1 + D_2 N_2 + D_3 N_3 what the discounts take
    from the N_j symbols with c_k = 1, 2, and 3 or more: so each p_k adds up to one, <unk> and the
    end included, and none is zero. The discounts, 0 < D_j < j, differ between contexts of 0, 1, 2
    ... 7, 8-9, 10-12, 13-17, 18-31 and more symbols, and between those that one symbol alone
    followed and others; they are those of the greatest leave-one-out likelihood of the training
    data (of up to 65,536 positions, evenly spread), or of the greatest likelihood of `validation`.

    Sequences that end begin after a mark, which a context may reach back to; a stream begins with
    the empty context. No context crosses from one sequence into another. Prediction costs the
    number of contexts times the logarithm of the data's length: about ten contexts in text, but
    as many as symbols inside a run of one repeated symbol. The tables take 32 bytes a symbol.

    Args:
        tokens: "word", "char", "byte", a `Vocabulary`, a tokenizer, None for data that are
            symbols already, or an int, how many numbers there are.
        min_count: symbols that appear less often become `<unk>`.
        max_size: only so many symbols are kept, the most frequent ones.
        unknown: True for an open vocabulary, False for a closed one; None opens that of words.
        end: whether sequences end; None takes one text for a stream.
        special: what `<unk>`, `<s>` and `</s>` in a text of words are: an "error", or words like
            others ("escape").

    Attributes:
        suffixes_: the training data. A saved model holds the text alone, and sorts it again.
        discounts_: D_1, D_2, D_3, float64 [26, 3]: for each range of lengths where several
            symbols followed, then for each where one alone did.
        discount_source_: "leave-one-out" or "validation".
        discount_score_: the mean log-probability that the discounts were chosen for, in nats.

    Example:
        >>> import arproc
        >>> model = arproc.InfiniGram("char").fit("to be or not to be that is the question " * 2)
        >>> model.matches("or not to be").length.tolist()
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]
        >>> float(model.conditional("or not to b").probs.sum().round(decimals=6))
        1.0
    """

    suffixes_: Suffixes
    discounts_: np.ndarray
    discount_source_: str
    discount_score_: float

    def __init__(
        self,
        tokens: Any = "word",
        *,
        min_count: int = 1,
        max_size: int | None = None,
        unknown: bool | None = None,
        end: bool | None = None,
        special: str = "error",
    ) -> None:
        self.tokens = tokens
        self.min_count = min_count
        self.max_size = max_size
        self.unknown = unknown
        self.end = end
        self.special = special

    # ---- fitting -----------------------------------------------------------------------------

    def _infer_space(self, data: Any) -> Space:
        check_integer("min_count", self.min_count, minimum=1)
        return space_under(self, data)

    def _fit(
        self,
        sequences: Sequences,
        *,
        validation: Sequences | None,
        context: torch.Tensor | None,
    ) -> None:
        from arproc.models.ngram.suffix import chain_kernels as kernels
        from arproc.models.ngram.suffix.discounts import START, fit_discounts

        space = sequences.space
        if not isinstance(space, CategoricalSpace):
            raise DataError(f"An n-gram model is one of symbols; got {space.describe()} elements.")
        own = with_ends(sequences)
        self.suffixes_ = Suffixes.of(own[0], own[2], space.size)
        self.discounts_ = np.tile(START, (kernels.ROWS, 1))
        self._forget()
        held_out = own if validation is None else with_ends(validation)
        self.discounts_, self.discount_score_ = fit_discounts(
            self.arrays, *held_out, space.terminates, validation is None
        )
        self.discount_source_ = "leave-one-out" if validation is None else "validation"
        self._forget()

    def _forget(self) -> None:
        self.__dict__.pop("arrays", None)

    def _after_load(self) -> None:
        from arproc.models.ngram.suffix.chain_kernels import ROWS

        discounts, space = self.discounts_, self.space
        if not isinstance(space, CategoricalSpace) or self.suffixes_.symbols != space.size:
            raise FileFormatError("The file's text and its space have different symbols.")
        fine = discounts.shape == (ROWS, 3) and discounts.dtype == np.float64
        if not fine or not ((discounts > 0) & (discounts < [1, 2, 3])).all():
            raise FileFormatError("The file's discounts are damaged.")

    @cached_property
    def arrays(self) -> tuple:
        """What the kernels take; see `infini_kernels`."""
        from arproc.models.ngram.suffix import chain_kernels as kernels

        symbols = self.suffixes_.symbols
        single = np.full(symbols, 1.0 / symbols)
        model = (*self.suffixes_.arrays, symbols, self.discounts_, single)
        kernels.singles(model, single)
        return model

    # ---- the law -----------------------------------------------------------------------------

    @property
    def vocabulary(self) -> Any:
        """The vocabulary, or None where the data are numbers."""
        return self.space.vocabulary  # type: ignore[attr-defined]

    def _start(self, n: int, context: torch.Tensor | None) -> State:
        require_fitted(self)
        chain = self.chain_after(np.zeros(0, np.int64))
        return InfiniState(np.repeat(chain[None], n, axis=0), np.full(n, len(chain)))

    def chain_after(self, past: np.ndarray) -> np.ndarray:
        """The contexts after the symbols `past` [T], a chain int64 [D, 3]; see `infini_kernels`.

        Only as much of the end of `past` is read as decides the longest match.
        """
        from arproc.models.ngram.suffix import walk_kernels as kernels

        marked, window = self.space.terminates, 64
        while True:
            whole = window >= len(past)
            near = np.ascontiguousarray(past[max(len(past) - window, 0) :], dtype=np.int64)
            chain = np.empty((len(near) + 2, 3), np.int64)
            size = kernels.locate(self.arrays, near, marked and whole, chain)
            if whole or chain[size - 1, 2] < window:
                return chain[:size].copy()
            window *= 4

    def _log_prob_terms(self, sequences: Sequences, context: torch.Tensor | None) -> torch.Tensor:
        values, begin, steps = with_ends(sequences)
        out = np.empty(len(values))
        parts = _parts(begin, steps)
        threads = torch.get_num_threads()
        if threads == 1 or len(values) <= _PART:
            self._score(values, parts, out)
            return torch.from_numpy(out).to(sequences.values.device)
        cuts = np.searchsorted(parts[0], len(values) * np.arange(1, 4 * threads) / (4 * threads))
        shares = zip(*[np.split(part, np.unique(cuts)) for part in parts], strict=True)
        self._score(values, [part[:0] for part in parts], out)  # compile before threads race
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(lambda share: self._score(values, share, out), shares))
        return torch.from_numpy(out).to(sequences.values.device)

    def _score(self, values: np.ndarray, parts: Sequence[np.ndarray], out: np.ndarray) -> None:
        """The terms of some parts; see `_parts`."""
        from arproc.models.ngram.suffix import walk_kernels as kernels

        first, last, begin = parts
        fresh = self.chain_after(values[:0])
        late = np.flatnonzero(first > begin)
        found = [self.chain_after(values[begin[i] : first[i]]) for i in late.tolist()]
        longest = max(map(len, [fresh, *found]))
        chains = np.zeros((len(found) + 1, longest, 3), np.int64)
        for row, chain in enumerate([fresh, *found]):
            chains[row, : len(chain)] = chain
        which = np.zeros_like(first)
        which[late] = np.arange(1, len(late) + 1)
        sizes = np.array([len(chain) for chain in [fresh, *found]])
        kernels.terms(self.arrays, values, first, last, chains, sizes, which, out)

    # ---- raw statistics ----------------------------------------------------------------------

    def matches(self, data: Any) -> Matches:
        """How long a suffix of the history each term finds in the training data, and its counts.

        Args:
            data: sequences; where they end, their ends are terms too.
        """
        found = self._matches(data)
        return Matches(found[:, 0], found[:, 1], found[:, 2])

    def matched_orders(self, data: Any) -> np.ndarray:
        """How many symbols the longest n-gram of the training data has that ends with each term.

        Args:
            data: sequences; where they end, their ends are terms too.

        Returns:
            int64, flat; 0 for a symbol that is not in the training data.
        """
        return self._matches(data)[:, 3]

    def _matches(self, data: Any) -> np.ndarray:
        from arproc.models.ngram.suffix import walk_kernels as kernels

        require_fitted(self)
        values, begin, steps = with_ends(self.sequences(data))
        out = np.zeros((len(values), 4), np.int64)
        marked = self.space.terminates
        kernels.matches(self.arrays, values, begin, begin + steps, marked, out)
        return out


def _parts(begin: np.ndarray, steps: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sequences cut into parts of at most `_PART` symbols.

    Returns:
        Where each part begins, where it ends, and where its sequence begins, int64.
    """
    pieces = np.maximum(-(-steps // _PART), 1)
    within = np.arange(int(pieces.sum())) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    own = np.repeat(begin, pieces)
    first = own + within * _PART
    return first, np.minimum(first + _PART, np.repeat(begin + steps, pieces)), own
