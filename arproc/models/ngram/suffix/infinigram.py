"""InfiniGram: the n-gram model without a longest n, on a suffix array."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Any

import numpy as np
import torch

from arproc.contract.checked import Number
from arproc.contract.sequences import Sequences
from arproc.errors import warn
from arproc.models.ngram.counting.counts import lay_out
from arproc.models.ngram.law import alphabet_of
from arproc.models.ngram.smoothing.discounts import DiscountWarning
from arproc.models.ngram.smoothing.repeats import MUCH, share_of
from arproc.models.ngram.suffix.law import InfiniGramLaw
from arproc.models.ngram.suffix.suffixes import Suffixes
from arproc.models.ngram.symbols import SymbolModel, symbol_space, with_ends
from arproc.process import Fit

__all__ = ["InfiniGram", "Matches"]


def _is_repeated(sequences: Sequences) -> bool:
    """Whether much of the text is copies, which is said then."""
    alphabet = alphabet_of(sequences.space)
    values, offsets = sequences.values.cpu().numpy(), sequences.offsets.numpy()
    text = lay_out(values, offsets, sequences.complete.numpy(), alphabet)
    share = share_of(text, stream=not alphabet.terminates)
    if share >= MUCH:
        warn(
            f"{share:.0%} of the text stands in lines (or parts of a stream) that it has before: "
            "it was repeated, and of copies leaving one out tells nothing. The discounts are 0.5, "
            "1 and 1.5 (discount_source_). Fit each line once, as with dict.fromkeys(lines), or "
            "give validation=.",
            DiscountWarning,
        )
    return share >= MUCH


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


class InfiniGram(SymbolModel):
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
        tokens: how the data are cut into symbols: "word", "char", "byte", a `Vocabulary`, a
            tokenizer, None for data that are symbols already, or an int, how many numbers there
            are; or a `Tokens`, which also says which symbols are kept and whether sequences end.

    Attributes:
        suffixes_: the training data. A saved model holds the text alone, and sorts it again.
        discounts_: D_1, D_2, D_3, float64 [26, 3]: for each range of lengths where several
            symbols followed, then for each where one alone did.
        discount_source_: "leave-one-out" or "validation"; or "fallback", where a quarter of the
            text or more is copies of lines before, each of which tells what another one leaves
            out: then the discounts are 0.5, 1 and 1.5, and a `DiscountWarning` says so.
        discount_score_: the mean log-probability that the discounts were chosen for, in nats (None
            of the fallback).

    Example:
        >>> import arproc
        >>> model = arproc.InfiniGram("char").fit("to be or not to be that is the question " * 2)
        >>> model.matches("or not to be").length.tolist()
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]
        >>> float(model.conditional("or not to b").probs.sum().round(decimals=6))
        1.0
    """

    law_: InfiniGramLaw
    suffixes_: Suffixes
    discounts_: np.ndarray
    discount_source_: str
    discount_score_: Annotated[float | None, Number(high=0)]

    def __init__(self, tokens: Any = "word") -> None:
        self.tokens = tokens

    def _fit(
        self,
        sequences: Sequences,
        *,
        validation: Sequences | None,
        context: torch.Tensor | None,
    ) -> tuple[InfiniGramLaw, Fit]:
        from arproc.models.ngram.suffix.chain_kernels import ROWS
        from arproc.models.ngram.suffix.discounts import START, fit_discounts

        space = symbol_space(sequences.space)
        own = with_ends(sequences)
        suffixes = Suffixes.of(own[0], own[2], space.size)
        law = InfiniGramLaw(space, suffixes, np.tile(START, (ROWS, 1)))
        held_out = own if validation is None else with_ends(validation)
        if validation is None and _is_repeated(sequences):
            return law, Fit(notes={"discount_source": "fallback", "discount_score": None})
        found, score = fit_discounts(law.arrays, *held_out, space.terminates, validation is None)
        source = "leave-one-out" if validation is None else "validation"
        notes = {"discount_source": source, "discount_score": score}
        return replace(law, discounts=found), Fit(notes=notes)

    # ---- raw statistics ----------------------------------------------------------------------

    def matches(self, data: Any) -> Matches:
        """How long a suffix of the history each term finds in the training data, and its counts.

        Args:
            data: sequences; where they end, their ends are terms too.
        """
        found = self.law_.matches(self.sequences(data))
        return Matches(found[:, 0], found[:, 1], found[:, 2])

    def matched_orders(self, data: Any) -> np.ndarray:
        """How many symbols the longest n-gram of the training data has that ends with each term.

        Args:
            data: sequences; where they end, their ends are terms too.

        Returns:
            int64, flat; 0 for a symbol that is not in the training data.
        """
        return self.law_.matches(self.sequences(data))[:, 3]
