"""NGram: the classical n-gram model of words, characters, bytes or any symbols."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.distributions import Distribution

from arproc.distributions import Categorical
from arproc.errors import DataError, ParameterError, check_choice, check_integer
from arproc.law import require_fitted
from arproc.ngram import smoothing as estimation
from arproc.ngram.arpa_read import read_arpa
from arproc.ngram.arpa_write import write_arpa
from arproc.ngram.counts import Alphabet, count_ngrams, lay_out
from arproc.ngram.state import NGramState
from arproc.ngram.trie import Trie
from arproc.process import Process
from arproc.sequences import Sequences
from arproc.spaces import Categorical as CategoricalSpace
from arproc.spaces import Space
from arproc.states import State
from arproc.tokens import categorical_space

__all__ = ["NGram"]

SMOOTHINGS = ("modified_kneser_ney", "additive")


class NGram(Process):
    """p(x_t | x_<t) = p(x_t | x_{t-N+1} ... x_{t-1}): the last N-1 symbols say all.

    Interpolated modified Kneser-Ney (Chen and Goodman 1998) is estimated exactly as KenLM's
    `lmplz` does, n-gram by n-gram; where `lmplz` stops because its closed-form discounts do not
    exist (little data, or few symbols), they are chosen by leave-one-out likelihood, with a
    `DiscountWarning`. Additive smoothing is (c(hw) + alpha) / (c(h) + alpha V).

    Every context, seen or not, has probabilities that sum to one over the symbols, `<unk>` (in
    an open vocabulary) and the end (where sequences end) included. Sequences that end begin
    after `<s>`; a stream begins with the empty context.

    Args:
        order: N, one more than the number of symbols looked back at.
        smoothing: "modified_kneser_ney" or "additive".
        tokens: "word" (text cut at white space), "char", "byte", an `arproc.text.Vocabulary`, a
            tokenizer with `encode` and `decode`, None for data that are symbols already (numbers
            0, 1, 2 ..., or lists of strings), or an int, how many numbers there are.
        alpha: what additive smoothing adds to each count.
        min_count: words (characters, symbols) that appear less often become `<unk>`.
        unknown: True for an open vocabulary (with `<unk>`), False for a closed one, in which an
            unknown symbol is an error; None opens that of words.
        end: whether sequences end, by a symbol of their own. None takes one text for a stream,
            and several (a list, the lines of a file of words) for sequences that end.

    Attributes:
        trie_: the n-grams with their log-probabilities and back-off weights.
        n_ngrams_: how many n-grams of each order there are.
        discounts_: Kneser-Ney's discounts, float64 [N, 3], for counts of 1, 2, 3 and more.
        discount_source_: for each order "closed form" or "leave-one-out".

    Example:
        >>> import arproc
        >>> model = arproc.NGram(2, smoothing="additive").fit(["a b", "a b b", "a c"])
        >>> round(model.conditional("a").probs[model.vocabulary.encode("b")].item(), 3)
        0.375
        >>> round(model.log_prob("a b"), 3)
        -2.655
    """

    trie_: Trie
    n_ngrams_: list[int]
    discounts_: np.ndarray | None
    discount_source_: tuple[str, ...]

    def __init__(
        self,
        order: int,
        smoothing: str = "modified_kneser_ney",
        tokens: Any = "word",
        *,
        alpha: float = 1.0,
        min_count: int = 1,
        unknown: bool | None = None,
        end: bool | None = None,
    ) -> None:
        self.order = order
        self.smoothing = smoothing
        self.tokens = tokens
        self.alpha = alpha
        self.min_count = min_count
        self.unknown = unknown
        self.end = end

    # ---- fitting -----------------------------------------------------------------------------

    def _infer_space(self, data: Any) -> Space:
        check_integer("order", self.order, minimum=1)
        check_choice("smoothing", self.smoothing, SMOOTHINGS)
        check_integer("min_count", self.min_count, minimum=1)
        alpha = self.alpha
        if not isinstance(alpha, (int, float)) or not 0 < alpha < math.inf:
            raise ParameterError(f"alpha must be a positive number; got {alpha!r}.")
        return categorical_space(
            data, self.tokens, min_count=self.min_count, unknown=self.unknown, end=self.end
        )

    def _fit(
        self,
        sequences: Sequences,
        *,
        validation: Sequences | None,
        context: torch.Tensor | None,
    ) -> None:
        text = lay_out(
            sequences.values.cpu().numpy(),
            sequences.offsets.numpy(),
            sequences.complete.numpy(),
            alphabet := _alphabet(sequences.space),
        )
        counts = count_ngrams(text, self.order, alphabet)
        if self.smoothing == "additive":
            self.trie_ = estimation.additive(counts, self.alpha)
            self.discounts_, self.discount_source_ = None, ()
        else:
            self.trie_, discounts = estimation.modified_kneser_ney(counts)
            self.discounts_, self.discount_source_ = discounts.values, discounts.source
        self.n_ngrams_ = np.diff(self.trie_.levels)[1:].tolist()

    # ---- the law -----------------------------------------------------------------------------

    @property
    def vocabulary(self) -> Any:
        """The vocabulary, or None where the data are numbers."""
        return self.space.vocabulary  # type: ignore[attr-defined]

    @property
    def window_length(self) -> int:
        return self.trie_.order - 1

    def window(self, ctx: torch.Tensor, position: torch.Tensor) -> Distribution:
        n, k, p = ctx.shape
        flat = position.reshape(-1).cpu().numpy()
        states = self.trie_.states(ctx.reshape(n * k, p).cpu().numpy(), flat)
        rows = torch.from_numpy(self.trie_.rows(states, flat))
        return Categorical(rows.view(n, k, -1).to(ctx.device))

    def _start(self, n: int, context: torch.Tensor | None) -> State:
        require_fitted(self)
        block = 16 if self.trie_.alphabet.terminates else 256
        return NGramState(np.full(n, self.trie_.start), block)

    def _log_prob_terms(self, sequences: Sequences, context: torch.Tensor | None) -> torch.Tensor:
        terms = self.trie_.terms(
            sequences.values.cpu().numpy(),
            sequences.offsets.numpy(),
            sequences.complete.numpy(),
            threads=torch.get_num_threads(),
        )
        return torch.from_numpy(terms).to(sequences.values.device)

    # ---- files -------------------------------------------------------------------------------

    @classmethod
    def from_arpa(cls, path: str | Path, tokens: str = "word") -> NGram:
        """The model of an ARPA file (KenLM, SRILM ...), plain or gzip.

        Args:
            path: the file.
            tokens: what the file's words are: "word", "char" or "byte".

        Raises:
            FileFormatError: the file is malformed; the message names the line.
        """
        check_choice("tokens", tokens, ("word", "char", "byte"))
        trie, vocabulary = read_arpa(path, tokens)
        alphabet = trie.alphabet
        model = cls(
            trie.order,
            tokens=tokens,
            unknown=alphabet.unknown is not None,
            end=alphabet.terminates,
        )
        model.trie_, model.discounts_, model.discount_source_ = trie, None, ()
        model.n_ngrams_ = np.diff(trie.levels)[1:].tolist()
        end = alphabet.end if alphabet.terminates else None
        model.space_ = CategoricalSpace(alphabet.symbols, vocabulary, end)
        model.form_ = "text"
        return model

    def to_arpa(self, path: str | Path) -> None:
        """Write the model as an ARPA file; gzip if the name ends in `.gz`.

        Raises:
            UnsupportedError: additive smoothing beyond order 1, which the format can not express.
        """
        require_fitted(self)
        write_arpa(self.trie_, self.vocabulary, path)


def _alphabet(space: Space) -> Alphabet:
    if not isinstance(space, CategoricalSpace):
        raise DataError(f"An n-gram model is one of symbols; got {space.describe()} elements.")
    if space.end is not None and space.end != space.size - 1:
        raise DataError(f"Expected the end as the last of {space.size} symbols; got {space.end}.")
    unknown = None if space.vocabulary is None else space.vocabulary.unknown
    return Alphabet(space.size, space.end is not None, unknown)
