"""NGram: the classical n-gram model of words, characters, bytes or any symbols."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from copy import copy
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch.distributions import Distribution

from arproc.contract.sequences import Sequences
from arproc.contract.state import State
from arproc.data.tokenizers import space_under
from arproc.data.vocabulary import Vocabulary
from arproc.distributions import Categorical
from arproc.errors import DataError, ParameterError, UnsupportedError, check_choice, check_integer
from arproc.models.ngram.arpa.read import read_arpa
from arproc.models.ngram.arpa.write import write_arpa
from arproc.models.ngram.backoff import smoothing as estimation
from arproc.models.ngram.backoff.counts import Alphabet, Counts, count_ngrams, lay_out
from arproc.models.ngram.backoff.discounts import fallback
from arproc.models.ngram.backoff.filtering import filtered
from arproc.models.ngram.backoff.pruning import cut_offs, kept_by_entropy, renormalised, without
from arproc.models.ngram.backoff.state import NGramState
from arproc.models.ngram.backoff.trie import Trie
from arproc.process import Process
from arproc.process.model import require_fitted
from arproc.spaces import Categorical as CategoricalSpace
from arproc.spaces import Space

__all__ = ["NGram"]


class NGram(Process):
    """p(x_t | x_<t) = p(x_t | x_{t-N+1} ... x_{t-1}): the last N-1 symbols say all.

    The smoothings, which differ in how the longest context's counts and the shorter contexts
    share the probability (Chen and Goodman 1998 compare them):

    - "modified_kneser_ney": interpolated, three discounts an order, exactly as KenLM's `lmplz`
      estimates it, n-gram by n-gram; where `lmplz` stops because its closed-form discounts do not
      exist (little data, or few symbols), they are chosen by leave-one-out likelihood, with a
      `DiscountWarning` if that concerns more than the single symbols, or are `discount_fallback`;
    - "kneser_ney": interpolated, one discount an order;
    - "backoff_kneser_ney": one discount an order, and only what was not seen looks further back;
    - "absolute_discounting": interpolated, one discount an order, from plain counts;
    - "katz": discounts after Good and Turing for counts up to `largest_discounted`, with back-off;
    - "witten_bell": interpolated by how many different symbols followed a context;
    - "jelinek_mercer": interpolated with weights by EM on `validation` (an argument of `fit`), or
      by deleted interpolation where there is none;
    - "maximum_likelihood": relative frequencies; what was never seen after a context that was has
      probability zero;
    - "additive": (c(hw) + alpha) / (c(h) + alpha V).

    Every context, seen or not, has probabilities that sum to one over the symbols, `<unk>` (in
    an open vocabulary) and the end (where sequences end) included. Sequences that end begin
    after `<s>`; a stream begins with the empty context. Models of up to a million n-grams hold
    log-probabilities in double precision, larger ones in single (relative error 6e-8, as KenLM).

    Args:
        order: N, one more than the number of symbols looked back at.
        smoothing: one of the names above.
        tokens: "word" (text cut at white space), "char", "byte", a `Vocabulary`, a
            tokenizer with `encode` and `decode`, None for data that are symbols already (numbers
            0, 1, 2 ..., or lists of strings), or an int, how many numbers there are.
        alpha: what additive smoothing adds to each count.
        min_count: words (characters, symbols) that appear less often become `<unk>`.
        max_size: only so many symbols are kept, the most frequent ones.
        unknown: True for an open vocabulary (with `<unk>`), False for a closed one, in which an
            unknown symbol is an error; None opens that of words.
        end: whether sequences end, by a symbol of their own. None takes one text for a stream,
            and several (a list, the lines of a file of words) for sequences that end.
        prune: n-grams of order 2 and more that were seen at most so often are left out, as with
            `lmplz --prune`; one number, or one for each order from 1 on (the first is 0).
        largest_discounted: Katz's k, the largest count that "katz" discounts.
        special: what `<unk>`, `<s>` and `</s>` in a text of words are: an "error", or words like
            others ("escape"; their symbols have a backslash in front).
        discount_fallback: the discounts of orders for which no closed form exists:
            "leave-one-out", or one to three numbers for the counts 1, 2, 3 and more; (0.5, 1,
            1.5) is what `lmplz --discount_fallback` takes.
        interpolate_unigrams: whether what is discounted from single symbols is shared by all
            symbols; if not, `<unk>` has all of it (`lmplz --interpolate_unigrams 0`, SRILM). For
            the interpolated smoothings with discounts.

        memory: how much memory fitting may take beyond what is loaded anyway: bytes, or e.g.
            "2GB". The data are then a text file, which may be larger than that: sorted counts
            are written to disk and merged. None reads the text into memory, which is faster.
        scratch: with `memory`, the folder for what is on disk meanwhile, and for the fitted
            model until it is saved. A fit that was stopped goes on where it was when it is called
            again with the same folder, which may be deleted afterwards. None takes a temporary
            one, deleted with the model.

    Attributes:
        trie_: the n-grams with their log-probabilities and back-off weights.
        n_ngrams_: how many n-grams of each order there are.
        discounts_: what is taken from counts of 1, 2 ... (the last: and more), float64 [N, m];
            None for smoothings without discounts.
        discount_source_: for each order "closed form", "leave-one-out" or "fallback".
        interpolation_weights_: Jelinek-Mercer's weight of the relative frequency, float64 [N, B],
            for contexts of each length whose counts have 1, 2 ... B binary digits; else None.

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
    interpolation_weights_: np.ndarray | None

    def __init__(
        self,
        order: int,
        smoothing: str = "modified_kneser_ney",
        tokens: Any = "word",
        *,
        alpha: float = 1.0,
        min_count: int = 1,
        max_size: int | None = None,
        unknown: bool | None = None,
        end: bool | None = None,
        prune: int | Sequence[int] = 0,
        largest_discounted: int = 5,
        special: str = "error",
        discount_fallback: str | float | Sequence[float] = "leave-one-out",
        interpolate_unigrams: bool = True,
        memory: int | str | None = None,
        scratch: str | Path | None = None,
    ) -> None:
        self.order = order
        self.smoothing = smoothing
        self.tokens = tokens
        self.alpha = alpha
        self.min_count = min_count
        self.max_size = max_size
        self.unknown = unknown
        self.end = end
        self.prune = prune
        self.largest_discounted = largest_discounted
        self.special = special
        self.discount_fallback = discount_fallback
        self.interpolate_unigrams = interpolate_unigrams
        self.memory = memory
        self.scratch = scratch

    # ---- fitting -----------------------------------------------------------------------------

    def fit(self, data: Any, y: None = None, **more: Any) -> Self:
        if self.memory is None:
            return super().fit(data, y, **more)
        if y is not None or any(value is not None for value in more.values()):
            raise ParameterError("With memory=, fit takes the data alone: a text file.")
        from arproc.models.ngram.streaming.fitting import estimate

        self._check_parameters()
        self.space_, self.trie_, found, self._work = estimate(self, data)
        self.discounts_, self.discount_source_ = found.values, found.source
        self.interpolation_weights_ = None
        self.n_ngrams_ = np.diff(self.trie_.levels)[1:].tolist()
        self.form_ = "text"
        return self

    def _check_parameters(self) -> None:
        check_integer("order", self.order, minimum=1)
        if self.smoothing == "stupid_backoff":
            raise ParameterError(
                "Stupid back-off does not add up to one, so it is a score and no likelihood: fit "
                'with smoothing="maximum_likelihood" and ask for stupid_backoff_score(data).'
            )
        check_choice("smoothing", self.smoothing, estimation.SMOOTHINGS)
        check_integer("largest_discounted", self.largest_discounted, minimum=1)
        if any(cut_offs(self.prune, self.order)) and self.smoothing == "additive":
            raise ParameterError(
                "prune is for smoothings that back off; additive smoothing gives an n-gram that "
                "is left out the probability of one never seen. Use prune=0."
            )
        check_integer("min_count", self.min_count, minimum=1)
        fallback(self.discount_fallback)
        if not self.interpolate_unigrams and self.smoothing not in estimation.DISCOUNTED:
            raise ParameterError(
                f"interpolate_unigrams=False is for {', '.join(estimation.DISCOUNTED)}; got "
                f"smoothing={self.smoothing!r}. Leave it True."
            )
        alpha = self.alpha
        if not isinstance(alpha, (int, float)) or not 0 < alpha < math.inf:
            raise ParameterError(f"alpha must be a positive number; got {alpha!r}.")

    def _infer_space(self, data: Any) -> Space:
        self._check_parameters()
        return space_under(self, data)

    def _fit(
        self,
        sequences: Sequences,
        *,
        validation: Sequences | None,
        context: torch.Tensor | None,
    ) -> None:
        alphabet = _alphabet(sequences.space)
        if not self.interpolate_unigrams and alphabet.unknown is None:
            raise ParameterError(
                "interpolate_unigrams=False gives mass to <unk>, which a closed vocabulary does "
                "not have; use unknown=True, or leave interpolate_unigrams True."
            )
        counts = count_ngrams(_laid_out(sequences, alphabet), self.order, alphabet)
        held_out = None if validation is None else _laid_out(validation, alphabet)
        self._estimate(counts, held_out)
        self.n_ngrams_ = np.diff(self.trie_.levels)[1:].tolist()

    def _estimate(self, counts: Counts, held_out: np.ndarray | None) -> None:
        cuts, otherwise = cut_offs(self.prune, self.order), fallback(self.discount_fallback)
        found, self.interpolation_weights_ = None, None
        if self.smoothing == "additive":
            self.trie_ = estimation.additive(counts, self.alpha)
        elif self.smoothing in estimation.DISCOUNTED:
            self.trie_, found = estimation.discounted(
                counts, self.smoothing, cuts, None, otherwise, self.interpolate_unigrams
            )
        elif self.smoothing in estimation.BACKED_OFF:
            self.trie_, found = estimation.backed_off(
                counts, self.smoothing, cuts, self.largest_discounted, otherwise
            )
        else:
            self.trie_, self.interpolation_weights_ = estimation.mixed(
                counts, self.smoothing, cuts, held_out
            )
        self.discounts_ = None if found is None else found.values
        self.discount_source_ = () if found is None else found.source

    def pruned(self, threshold: float) -> NGram:
        """The model without the n-grams that matter least, by relative entropy.

        An n-gram goes if its removal alone, what follows its context made to add up to one
        again, raises the model's perplexity by less than this share (Stolcke 1998,
        "Entropy-based pruning of backoff language models"; SRILM's `ngram -prune`).

        Args:
            threshold: e.g. 1e-8; 0 removes only what changes nothing.

        Returns:
            A new model; this one stays as it is.

        Raises:
            UnsupportedError: additive smoothing beyond order 1.
        """
        require_fitted(self)
        if not isinstance(threshold, (int, float)) or not 0 <= threshold < math.inf:
            raise ParameterError(f"threshold must be a number of at least 0; got {threshold!r}.")
        if not self.trie_.interpolated and self.trie_.order > 1:
            raise UnsupportedError(
                "Additive smoothing does not back off, so what an n-gram leaves out is not given "
                "by shorter ones; fit with another smoothing to prune."
            )
        model = copy(self)
        model.trie_ = renormalised(without(self.trie_, kept_by_entropy(self.trie_, threshold)))
        model.n_ngrams_ = np.diff(model.trie_.levels)[1:].tolist()
        return model

    def filtered(self, words: Vocabulary | Iterable[str]) -> NGram:
        """The model of these words alone: all others become `<unk>`.

        As with KenLM's `filter` (single mode) the n-grams stay whose words are all in the list
        (besides `<unk>` and the beginning and end). Where KenLM leaves the rest of the probability
        lying about, here it goes to `<unk>`: after every context of kept words a kept word has
        exactly the probability that it had, and `<unk>` that of all other words together. So what
        is scored of kept words does not change, and every context adds up to one. After `<unk>`
        comes what the model says after its own `<unk>`.

        Args:
            words: the words to keep, as they stand in `vocabulary.symbols`; a list or another
                vocabulary. Those that the model does not know are passed over.

        Returns:
            A new model with an open vocabulary; this one stays as it is.

        Raises:
            ParameterError: the model knows none of the words.
            UnsupportedError: the model is of numbers, bytes or a tokenizer's tokens, or smoothed
                additively beyond order 1.
        """
        return filtered(self, words)

    def stupid_backoff_score(self, data: Any, alpha: float = 0.4) -> Any:
        """The score of Brants et al. (2007), "Large language models in machine translation".

        S(w | h) = c(hw) / c(h) where hw was seen, else alpha S(w | h'). These do not add up to
        one, so this is no likelihood and not comparable with one. The model has to be fitted with
        smoothing="maximum_likelihood".

        Args:
            data: sequences.
            alpha: the factor of each step back.

        Returns:
            The sums of log S over each sequence, in the form that `log_prob` gives; minus
            infinity where a symbol was never seen.

        Raises:
            UnsupportedError: another smoothing, or pruned n-grams: the frequencies are not here.
        """
        require_fitted(self)
        if self.smoothing != "maximum_likelihood" or any(cut_offs(self.prune, self.order)):
            raise UnsupportedError(
                "Stupid back-off scores by relative frequencies, which this model does not hold: "
                f"it has smoothing={self.smoothing!r}, prune={self.prune!r}. Fit one with "
                'smoothing="maximum_likelihood" and without pruning.'
            )
        if not isinstance(alpha, (int, float)) or not 0 < alpha <= 1:
            raise ParameterError(f"alpha must be a number above 0, at most 1; got {alpha!r}.")
        sequences = self.sequences(data)
        terms = self._stupid_backoff_terms(sequences, float(alpha))
        rows = torch.repeat_interleave(torch.arange(len(sequences)), sequences.n_terms)
        sums = torch.zeros(len(sequences), dtype=torch.float64).index_add(0, rows, terms)
        return sequences.form.per_row(sums)

    def _stupid_backoff_terms(self, sequences: Sequences, alpha: float) -> torch.Tensor:
        trie = self.trie_
        found = self._matches(sequences)
        matched = trie.level(found)
        first = sequences.n_terms.cumsum(0) - sequences.n_terms
        position = np.arange(len(found)) - np.repeat(first.numpy(), sequences.n_terms.numpy())
        possible = np.minimum(position + int(trie.alphabet.terminates), trie.order - 1) + 1
        return torch.from_numpy(trie.log_prob[found] + (possible - matched) * math.log(alpha))

    def matched_orders(self, data: Any) -> np.ndarray:
        """How many symbols the longest n-gram that predicts each term has, int64, flat.

        Args:
            data: sequences; where they end, their ends are terms too.
        """
        require_fitted(self)
        return self.trie_.level(self._matches(self.sequences(data)))

    def _matches(self, sequences: Sequences) -> np.ndarray:
        """The longest n-gram found at each term, flat."""
        return self.trie_.matches(
            sequences.values.cpu().numpy(),
            sequences.offsets.numpy(),
            sequences.complete.numpy(),
        )

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

    def log_prob(self, data: Any, *, context: Any = None) -> Any:
        if type(data) is str and data and context is None:
            trie, score = self.__dict__.get("_scorer", (None, None))
            if trie is not self.__dict__.get("trie_"):
                score = self._text_scorer()
            if score is not None:
                found = score(data.encode("utf-8", "surrogatepass"))
                if found == found:  # else the text is to be refused: the general way says why
                    return found
        return super().log_prob(data, context=context)

    def _text_scorer(self) -> Callable[[bytes], float] | None:
        """What scores one text of words in a single compiled call; None for another model."""
        require_fitted(self)
        trie, vocabulary = self.trie_, self.vocabulary
        score = None
        if trie.interpolated and vocabulary is not None and vocabulary.kind == "word":
            from arproc.models.ngram.backoff.sentence import text_scorer

            words, missing = vocabulary.word_table
            score = text_scorer(trie.arrays, words, missing, trie.start, trie.alphabet.end)
        self._scorer = (trie, score)
        return score

    def _log_prob_terms(self, sequences: Sequences, context: torch.Tensor | None) -> torch.Tensor:
        terms = self.trie_.terms(
            sequences.values.cpu().numpy(),
            sequences.offsets.numpy(),
            sequences.complete.numpy(),
            threads=torch.get_num_threads(),
        )
        return torch.from_numpy(terms).to(sequences.values.device)

    # ---- files -------------------------------------------------------------------------------

    def verify(self) -> Self:
        """Look at every number of a model from a file that is not trusted; reads all of it.

        Models of up to a million n-grams are looked through when they are loaded; larger ones are
        opened as they are.

        Raises:
            FileFormatError: a number leads to where it may not.
        """
        require_fitted(self)
        self.trie_.verify()
        return self

    @classmethod
    def from_arpa(cls, path: str | Path, tokens: str = "word", special: str = "error") -> NGram:
        """The model of an ARPA file (KenLM, SRILM ...), plain or compressed (gzip, bzip2, xz).

        N-grams may stand in any order, and back-offs, `<unk>`, and what begins or ends a longer
        n-gram may be missing; log10 p of at most -99 is that of zero.

        Args:
            path: the file.
            tokens: what the file's words are: "word", "char" or "byte".
            special: as for the constructor; "escape" reads what such a model wrote.

        Raises:
            FileFormatError: the file is malformed; the message names the line.
        """
        check_choice("tokens", tokens, ("word", "char", "byte"))
        trie, vocabulary = read_arpa(path, tokens, special)
        alphabet = trie.alphabet
        model = cls(
            trie.order,
            tokens=tokens,
            unknown=alphabet.unknown is not None,
            end=alphabet.terminates,
            special=special,
        )
        model.trie_, model.discounts_, model.discount_source_ = trie, None, ()
        model.interpolation_weights_ = None
        model.n_ngrams_ = np.diff(trie.levels)[1:].tolist()
        end = alphabet.end if alphabet.terminates else None
        model.space_ = CategoricalSpace(alphabet.symbols, vocabulary, end)
        model.form_ = "text"
        return model

    def to_arpa(self, path: str | Path) -> None:
        """Write the model as an ARPA file, compressed if the name ends in .gz, .bz2 or .xz.

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


def _laid_out(sequences: Sequences, alphabet: Alphabet) -> np.ndarray:
    return lay_out(
        sequences.values.cpu().numpy(),
        sequences.offsets.numpy(),
        sequences.complete.numpy(),
        alphabet,
    )
