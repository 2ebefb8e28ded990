"""NGram: the classical n-gram model of words, characters, bytes or any symbols."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Self

import numpy as np
import torch

from arproc.contract.checked import Array, check_fields
from arproc.contract.sequences import Sequences
from arproc.data.texts import require_no_file
from arproc.data.tokens import Tokens
from arproc.data.vocabulary import Vocabulary
from arproc.errors import (
    FileFormatError,
    ParameterError,
    UnsupportedError,
    check_choice,
    check_integer,
    check_number,
)
from arproc.models.ngram.arpa.read import read_arpa
from arproc.models.ngram.arpa.write import write_arpa
from arproc.models.ngram.backoff.filtering import filtered, with_unknown
from arproc.models.ngram.backoff.pruning import cut_offs, pruned
from arproc.models.ngram.backoff.sums import adding_up, made_to_add_up
from arproc.models.ngram.backoff.trie import Trie
from arproc.models.ngram.counting.counts import Alphabet, count_ngrams, lay_out
from arproc.models.ngram.law import NGramLaw, alphabet_of
from arproc.models.ngram.smoothing import smoothings
from arproc.models.ngram.smoothing.discounts import fallback
from arproc.models.ngram.smoothing.repeats import share_of
from arproc.models.ngram.symbols import SymbolModel, symbol_space
from arproc.process import Fit
from arproc.process.fit import Learnt

__all__ = ["NGram", "notes_of"]

#: A probability that changes no sum of probabilities in double precision.
_ROUNDING = 1e-17


class NGram(SymbolModel):
    """p(x_t | x_<t) = p(x_t | x_{t-N+1} ... x_{t-1}): the last N-1 symbols say all.

    The smoothings, which differ in how the longest context's counts and the shorter contexts
    share the probability (Chen and Goodman 1998 compare them):

    - "modified_kneser_ney": interpolated, three discounts an order, exactly as KenLM's `lmplz`
      estimates it, n-gram by n-gram; where `lmplz` stops because its closed-form discounts do not
      exist (little data, or few symbols), they are chosen by leave-one-out likelihood, with a
      `DiscountWarning` if that concerns more than the single symbols, or are `discount_fallback`
      (or those of one copy, with that warning, where a quarter of the text or more repeats earlier
      lines: there the copies would tell what is left out);
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
        tokens: how the data are cut into symbols: "word", "char", "byte", a `Vocabulary`, a
            tokenizer, None for data that are symbols already, or an int, how many numbers there
            are; or a `Tokens`, which also says which symbols are kept and whether sequences end.
        alpha: what additive smoothing adds to each count.
        prune: n-grams of order 2 and more that were seen at most so often are left out, as with
            `lmplz --prune`; one number, or one for each order from 1 on (the first is 0).
        largest_discounted: Katz's k, the largest count that "katz" discounts.
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
        discount_source_: for each order "closed form", "closed form of one copy" (of repeated
            text), "leave-one-out" or "fallback".
        interpolation_weights_: Jelinek-Mercer's weight of the relative frequency, float64 [N, B],
            for contexts of each length whose counts have 1, 2 ... B binary digits; else None.
        mixture_weights_: of a model that `arproc.ngram.interpolate` made, its parts' weights.

    Example:
        >>> import arproc
        >>> model = arproc.NGram(2, smoothing="additive").fit(["a b", "a b b", "a c"])
        >>> round(model.conditional("a").probs[model.vocabulary.encode("b")].item(), 3)
        0.375
        >>> round(model.log_prob("a b"), 3)
        -2.655
    """

    local = ("scratch",)

    law_: NGramLaw
    trie_: Trie
    n_ngrams_: list[int]
    discounts_: Annotated[np.ndarray | None, Array("n", "d", low=0)]
    discount_source_: tuple[str, ...]
    interpolation_weights_: Annotated[np.ndarray | None, Array("n", "bins", low=0, high=1)]
    mixture_weights_: Annotated[np.ndarray, Array("parts", low=0, high=1)]
    _smoothing_: str
    _cut_offs_: list[int]

    def __init__(
        self,
        order: int,
        smoothing: str = "modified_kneser_ney",
        tokens: Any = "word",
        *,
        alpha: float = 1.0,
        prune: int | Sequence[int] = 0,
        largest_discounted: int = 5,
        discount_fallback: str | float | Sequence[float] = "leave-one-out",
        interpolate_unigrams: bool = True,
        memory: int | str | None = None,
        scratch: str | Path | None = None,
    ) -> None:
        self.order = order
        self.smoothing = smoothing
        self.tokens = tokens
        self.alpha = alpha
        self.prune = prune
        self.largest_discounted = largest_discounted
        self.discount_fallback = discount_fallback
        self.interpolate_unigrams = interpolate_unigrams
        self.memory = memory
        self.scratch = scratch

    # ---- fitting -----------------------------------------------------------------------------

    def _check_parameters(self) -> None:
        check_integer("order", self.order, minimum=1)
        if self.smoothing == "stupid_backoff":
            raise ParameterError(
                "Stupid back-off does not add up to one, so it is a score and no likelihood: fit "
                'with smoothing="maximum_likelihood" and ask for stupid_backoff_score(data).'
            )
        check_choice("smoothing", self.smoothing, smoothings.SMOOTHINGS)
        check_integer("largest_discounted", self.largest_discounted, minimum=1)
        if any(cut_offs(self.prune, self.order)) and self.smoothing == "additive":
            raise ParameterError(
                "prune is for smoothings that back off; additive smoothing gives an n-gram that "
                "is left out the probability of one never seen. Use prune=0."
            )
        fallback(self.discount_fallback)
        if not self.interpolate_unigrams and self.smoothing not in smoothings.DISCOUNTED:
            raise ParameterError(
                f"interpolate_unigrams=False is for {', '.join(smoothings.DISCOUNTED)}; got "
                f"smoothing={self.smoothing!r}. Leave it True."
            )
        check_number("alpha", self.alpha, above=0)

    def _read_and_learn(
        self, data: Any, y: None, context: Any, validation: Any, sample_weight: Any
    ) -> Learnt:
        if self.memory is None:
            return super()._read_and_learn(data, y, context, validation, sample_weight)
        if any(value is not None for value in (y, context, validation, sample_weight)):
            raise ParameterError("With memory=, fit takes the data alone: a text file.")
        from arproc.models.ngram.streaming.fitting import Task, estimate

        self._check_parameters()
        task = Task(
            self.order, self.smoothing, Tokens.of(self.tokens), self.prune,
            self.discount_fallback, self.interpolate_unigrams, self.memory, self.scratch,
        )  # fmt: skip
        space, trie, found = estimate(task, data)
        return Learnt(NGramLaw(space, trie), self._fit_of(notes_of(found), "text"))

    def _fit(
        self,
        sequences: Sequences,
        *,
        validation: Sequences | None,
        context: torch.Tensor | None,
    ) -> tuple[NGramLaw, Fit]:
        alphabet = alphabet_of(sequences.space)
        if not self.interpolate_unigrams and alphabet.unknown is None:
            raise ParameterError(
                "interpolate_unigrams=False gives mass to <unk>, which a closed vocabulary does "
                "not have; use tokens=Tokens(unknown=True), or leave interpolate_unigrams True."
            )
        text = _laid_out(sequences, alphabet)
        counts = count_ngrams(text, self.order, alphabet)
        repeated = cache(lambda: share_of(text, stream=not alphabet.terminates))
        held_out = None if validation is None else _laid_out(validation, alphabet)
        cuts, otherwise = cut_offs(self.prune, self.order), fallback(self.discount_fallback)
        found, weights = None, None
        if self.smoothing == "additive":
            trie = smoothings.additive(counts, self.alpha)
        elif self.smoothing in smoothings.DISCOUNTED:
            trie, found = smoothings.discounted(
                counts, self.smoothing, cuts, None, otherwise, self.interpolate_unigrams, repeated
            )
        elif self.smoothing in smoothings.BACKED_OFF:
            trie, found = smoothings.backed_off(
                counts, self.smoothing, cuts, self.largest_discounted, otherwise, repeated
            )
        else:
            trie, weights = smoothings.mixed(counts, self.smoothing, cuts, held_out, repeated)
            if self.smoothing == "jelinek_mercer" and held_out is None:
                smoothings.warn_of_deletion(repeated())
        law = NGramLaw(symbol_space(sequences.space), trie)
        return law, self._fit_of(notes_of(found, weights))

    def _fit_of(self, notes: Mapping[str, Any], form: str = "numpy") -> Fit:
        """What is told of the fit: what was found, and how it was smoothed."""
        cuts = cut_offs(self.prune, self.order)
        return Fit(form=form, notes={**notes, "smoothing": self.smoothing, "cut_offs": cuts})

    # ---- smaller models ----------------------------------------------------------------------

    def _with_law(self, law: NGramLaw) -> NGram:
        """The model of another law that was made of this one's."""
        return type(self).of(law, self.fit_, **self.get_params(deep=False))

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
        law = self.law_
        return self._with_law(replace(law, trie=pruned(law.trie, threshold)))

    def filtered(self, words: Vocabulary | Iterable[str]) -> NGram:
        """The model of these words alone: all others become `<unk>`.

        As with KenLM's `filter` (single mode) the n-grams stay whose words are all in the list
        (besides `<unk>` and the beginning and end). Where KenLM leaves the rest of the probability
        lying about, here it goes to `<unk>`: after every context of kept words a kept word has
        exactly the probability that it had, and `<unk>` that of all other words together. So what
        is scored of kept words does not change, and every context adds up to one. After `<unk>`
        comes what the model says after its own `<unk>`.

        The vocabulary has the order of the list, with `<unk>` before the words (behind characters)
        unless the list has it elsewhere: models that know all words of one list have one
        vocabulary when they are filtered by it, so that they compare and mix.

        Args:
            words: the words to keep, as they stand in `vocabulary.symbols`; a list or another
                vocabulary (of a set the model's own order is taken). Those that the model does
                not know are passed over.

        Returns:
            A new model with an open vocabulary (a closed one, of which all words are kept, stays
            closed); this one stays as it is.

        Raises:
            ParameterError: the model knows none of the words.
            UnsupportedError: the model is of numbers, bytes or a tokenizer's tokens, or smoothed
                additively beyond order 1.
        """
        law = self.law_
        return self._with_law(NGramLaw.over(*filtered(law.trie, law.space.vocabulary, words)))

    # ---- what it says ------------------------------------------------------------------------

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
        law, notes = self.law_, self.fit_.notes
        smoothing, cuts = notes.get("smoothing"), notes.get("cut_offs", ())
        if smoothing != "maximum_likelihood" or any(cuts):
            raise UnsupportedError(
                "Stupid back-off scores by relative frequencies, which this model does not hold: "
                f"it has smoothing={smoothing!r}, cut-offs {list(cuts)}. Fit one with "
                'smoothing="maximum_likelihood" and without pruning.'
            )
        check_number("alpha", alpha, above=0, high=1)
        sequences = self.sequences(data)
        terms = law.stupid_backoff_terms(sequences, float(alpha))
        rows = torch.repeat_interleave(torch.arange(len(sequences)), sequences.n_terms)
        sums = torch.zeros(len(sequences), dtype=torch.float64).index_add(0, rows, terms)
        return sequences.form.per_row(sums)

    def matched_orders(self, data: Any) -> np.ndarray:
        """How many symbols the longest n-gram that predicts each term has, int64, flat.

        Args:
            data: sequences; where they end, their ends are terms too.
        """
        law = self.law_
        return law.trie.level(law.matches(self.sequences(data)))

    def midway(self) -> NGram:
        return self._with_law(self.law_.midway())

    def log_prob(
        self, data: Any, *, context: Any = None, offset: Any = None, complete: bool | None = None
    ) -> Any:
        if type(data) is str and data and context is None and complete is None:
            score = self.law_.text_scorer
            if score is not None:
                if (
                    " " not in data or "." in data or "/" in data
                ):  # looking costs more than scoring
                    require_no_file(data)
                found = score(data.encode("utf-8", "surrogatepass"))
                if found == found:  # else the text is to be refused: the general way says why
                    return found
        return super().log_prob(data, context=context, offset=offset, complete=complete)

    # ---- files -------------------------------------------------------------------------------

    def verify(self) -> Self:
        """Look at every number of a model, as loading does unless it is told to trust the file.

        Raises:
            FileFormatError: a number leads to where it may not, or probabilities do not add up.
        """
        self.law_.trie.verify()
        try:
            check_fields(self.law_, deep=True)
        except ParameterError as error:
            raise FileFormatError(f"The n-grams are damaged: {error}") from None
        return self

    @classmethod
    def from_arpa(
        cls,
        path: str | Path,
        tokens: str = "word",
        special: str = "error",
        *,
        renormalise: bool = False,
        floor: float | None = None,
    ) -> NGram:
        """The model of an ARPA file (KenLM, SRILM ...), plain or compressed.

        Compressed are files of gzip, bzip2, xz or zstd. N-grams may stand in any order, and
        back-offs, `<unk>`, and what begins or ends a longer n-gram may be missing; log10 p of at
        most -99 is that of zero.

        Args:
            path: the file.
            tokens: what the file's words are: "word", "char" or "byte".
            special: as for the constructor; "escape" reads what such a model wrote.
            renormalise: whether back-off weights are set anew where the probabilities after a
                context do not add up to one (and single words' are divided by their sum); as they
                are they would be no law, and are refused.
            floor: log10 p of an unknown word after any context, for a file without `<unk>`, whose
                vocabulary is closed otherwise, so that unknown words are refused; below 0. KenLM
                takes -100. What is more than rounding is taken from all other words in proportion,
                so that all adds up to one, and the back-off weights follow. The texts' unknown
                words are counted by `word_perplexity`, which also leaves them out.

        Raises:
            FileFormatError: the file is malformed; the message names the line. Or probabilities
                do not add up to one; it names the context where they do least.
        """
        check_choice("tokens", tokens, ("word", "char", "byte"))
        trie, vocabulary = read_arpa(path, tokens, special)
        trie = adding_up(trie, vocabulary, renormalise)
        if floor is not None:
            trie, vocabulary = _floored(trie, vocabulary, floor)
        alphabet = trie.alphabet
        known = Tokens(
            tokens,
            unknown=alphabet.unknown is not None,
            end=alphabet.terminates,
            special=special,
        )
        law = NGramLaw.over(vocabulary, trie)
        return cls.of(law, Fit("text", notes=notes_of()), order=trie.order, tokens=known)

    def to_arpa(self, path: str | Path) -> None:
        """Write the model as an ARPA file, compressed if the name ends in .gz, .bz2 or .xz.

        Raises:
            UnsupportedError: additive smoothing beyond order 1, which the format can not express.
        """
        law = self.law_
        write_arpa(law.trie, law.space.vocabulary, path)


def notes_of(
    found: smoothings.Discounts | None = None, weights: np.ndarray | None = None
) -> dict[str, Any]:
    """Discounts and interpolation weights, where there are any, as a fit notes them."""
    return {
        "discounts": None if found is None else found.values,
        "discount_source": () if found is None else found.source,
        "interpolation_weights": weights,
    }


def _floored(trie: Trie, vocabulary: Vocabulary, floor: float) -> tuple[Trie, Vocabulary]:
    """The model of a file without `<unk>`, in which it has log10 p = `floor`."""
    log_prob = check_number("floor", floor, below=0) * math.log(10)
    if vocabulary.unknown is not None or vocabulary.kind == "byte":
        what = "no byte is unknown" if vocabulary.kind == "byte" else "the file has <unk> already"
        raise ParameterError(f"floor is for files without <unk>: {what}. Leave it out.")
    p = math.exp(log_prob)
    trie, vocabulary = with_unknown(trie, vocabulary, log_prob - math.log1p(-p))
    return (trie if p < _ROUNDING else made_to_add_up(trie)), vocabulary


def _laid_out(sequences: Sequences, alphabet: Alphabet) -> np.ndarray:
    return lay_out(
        sequences.values.cpu().numpy(),
        sequences.offsets.numpy(),
        sequences.complete.numpy(),
        alphabet,
    )
