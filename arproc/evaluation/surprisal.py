"""Surprisal word by word as a table, for any process over symbols: the psycholinguist's table."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from arproc.contract.reading import require_reading_order
from arproc.contract.sequences import Sequences
from arproc.data.texts import listed
from arproc.data.tokenizers import TokenizerVocabulary
from arproc.data.vocabulary import Vocabulary
from arproc.errors import (
    DataError,
    ParameterError,
    UnsupportedError,
    check_choice,
    check_integer,
    check_list,
    check_table,
)
from arproc.evaluation.text_units import texts_of
from arproc.evaluation.unit_surprisal import unit_rows
from arproc.evaluation.units import segmenter_of
from arproc.evaluation.walk import Block, per_term
from arproc.process.process import Process, require_process
from arproc.spaces import Categorical

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["join_times", "next_table", "surprisal_table", "word_perplexity"]

END = "</s>"
UNITS = {"bits": math.log(2), "nats": 1.0}
#: Kinds of vocabulary whose symbols are less than words.
PIECES = ("char", "byte", "tokenizer")


def surprisal_table(
    model: Process,
    data: Any,
    *,
    by: str = "word",
    units: Any = None,
    unit: str = "bits",
    entropy: bool = True,
    ends: bool = False,
    regions: Sequence[Sequence[Any]] | None = None,
    sentences: Sequence[Any] | None = None,
) -> pd.DataFrame:
    """-log p(word | what came before), a row for each word of each sentence.

    A model of smaller pieces (characters, bytes, a tokenizer's) gives a word the sum over its
    pieces, the white space before it included, so that a sentence's words sum to its
    surprisal (white space at the end is the last word's). That counts words by the beginnings
    alone: after "car" of "carpet" the word may go on. With `units` a unit's probability is exact:
    it counts what closes the unit, the blank, the punctuation mark or the text's end, so that
    over all units that can come next the probabilities add up to one (Pimentel and Meister 2024;
    see `arproc.evaluation.units`).

    Args:
        model: a fitted process over symbols.
        data: sentences (or one), in any form the model takes.
        by: "word", or "token" for the model's own elements (characters, say).
        units: "word" (words, and punctuation marks apart), "character", a regular expression that
            covers the texts, or for each text a list of spans (begin, end); instead of `by`, for
            models of characters, bytes or a tokenizer's tokens.
        unit: "bits" or "nats".
        entropy: whether to look at the whole distribution at each word, which takes longer.
        ends: whether the ends of sentences have a row, as the word `</s>`.
        regions: a label for each word of each sentence; gives a column "region", to group by.
        sentences: what the sentences are called; 1, 2, 3 ... by default.

    Returns:
        A DataFrame with the columns

        - sentence, position (the word's number in it, from 1), word, and region where given;
        - surprisal, in the unit;
        - where the rows are the model's own elements: unknown (whether the model reads it as
          `<unk>`), matched_order (for n-gram models: how many words the longest n-gram that
          predicted it has), and, with `entropy`, entropy (of the distribution that the word was
          drawn from), next_entropy (after the word; 0 after the end) and entropy_reduction
          (entropy - next_entropy; Hale 2006 takes its positive part);
        - where they are words of several elements: tokens, how many.

        Its `.attrs` say what the numbers are: the unit, the units, and, of a `Transformer`, the
        symbol before the first one and how far it looks.

    Raises:
        UnsupportedError: the elements are no symbols, or tokens can not be put together to words.
        DataError: regions or sentences do not go with the data.

    Example:
        >>> import arproc
        >>> model = arproc.NGram(2, "witten_bell").fit(["the cat sat", "the rat sat"])
        >>> table = arproc.evaluation.surprisal_table(model, ["the dog sat"])
        >>> table[["word", "unknown", "matched_order"]].values.tolist()
        [['the', False, 2], ['dog', True, 1], ['sat', False, 1]]
    """
    import pandas as pd

    process = require_process(model, "surprisal_table")
    check_choice("by", by, ("word", "token"))
    check_choice("unit", unit, tuple(UNITS))
    require_reading_order(process.law_, "surprisal_table")
    data = listed(data)
    sequences = process.sequences(data)
    vocabulary = _symbols(sequences).vocabulary
    attrs = {"unit": unit, "units": by} | getattr(process.law_, "reading", {})
    if units is not None:
        if by != "word":
            raise ParameterError(f"by={by!r} and units={units!r} exclude each other; give one.")
        found = _unit_table(process, data, sequences, units, UNITS[unit], regions, sentences, ends)
        found.attrs = attrs | {"units": found.attrs["units"]}
        return found
    joined = by == "word" and vocabulary is not None and vocabulary.kind in PIECES
    columns = _columns(process, sequences, entropy and not joined, UNITS[unit])
    texts = texts_of(data, sequences) if vocabulary is not None else None
    words: list[list[Any]] = []
    groups: list[np.ndarray] = []  # which word of its sentence each element belongs to
    for row in range(len(sequences)):
        own, group = _words_and_groups(texts, sequences, row, joined)
        words.append(own)
        groups.append(group)
    ended = (sequences.n_terms > sequences.lengths).numpy()
    sizes = np.array([len(own) for own in words])
    rows = sizes + ended
    first = np.cumsum(rows) - rows
    within = np.arange(int(rows.sum())) - np.repeat(first, rows)
    is_end = within == np.repeat(sizes, rows)
    table: dict[str, Any] = {
        "sentence": np.repeat(_sentence_names(sentences, len(words)), rows),
        "position": within + 1,
        "word": [w for own, e in zip(words, ended, strict=True) for w in [*own, *[END] * int(e)]],
    }
    if regions is not None:
        table["region"] = _labels(regions, words, ended)
    if joined:
        flat = [np.append(g, n) if e else g for g, n, e in zip(groups, sizes, ended, strict=True)]
        at = np.concatenate([g + f for g, f in zip(flat, first, strict=True)])
        table["surprisal"] = np.bincount(at, columns["surprisal"], len(within))
        table["unknown"] = np.bincount(at, columns["unknown"], len(within)) > 0
        table["tokens"] = np.bincount(at, minlength=len(within))
    else:
        table |= columns
    found = pd.DataFrame(table)
    found = found if ends else found[~is_end].reset_index(drop=True)
    found.attrs = attrs
    return found


def _unit_table(
    process: Process,
    data: Any,
    sequences: Sequences,
    units: Any,
    scale: float,
    regions: Any,
    sentences: Any,
    ends: bool,
) -> pd.DataFrame:
    """The table of units whose ends are counted."""
    import pandas as pd

    if process.n_given or _symbols(sequences).vocabulary is None:
        raise UnsupportedError(
            "units= is for texts that a model gives a probability from the first element on; "
            "this model's elements are plain numbers, or the first are given."
        )
    texts = texts_of(data, sequences)
    if texts is None:
        raise DataError("units= needs the texts themselves; got them cut into symbols.")
    segmenter = segmenter_of(units, texts)
    found = unit_rows(process, sequences, texts, segmenter)
    shown = ends and process.space.terminates
    ended = np.full(len(found), shown)
    words = [row.words for row in found]
    kept = [len(row.words) + int(shown) for row in found]
    table: dict[str, Any] = {
        "sentence": np.repeat(_sentence_names(sentences, len(found)), kept),
        "position": np.concatenate([np.arange(1, k + 1) for k in kept]),
        "word": [w for own in words for w in [*own, *[END] * int(shown)]],
    }
    if regions is not None:
        table["region"] = _labels(regions, words, ended)
    pairs = list(zip(found, kept, strict=True))
    table["surprisal"] = np.concatenate([row.surprisal[:k] for row, k in pairs]) / scale
    table["tokens"] = np.concatenate([row.tokens[:k] for row, k in pairs])
    result = pd.DataFrame(table)
    result.attrs = {"units": segmenter.name}
    return result


def join_times(
    table: pd.DataFrame,
    times: pd.DataFrame,
    *,
    sentence: str = "sentence",
    position: str = "position",
    word: str | None = None,
) -> pd.DataFrame:
    """Reading times (several readers, perhaps) with the surprisal of the word that was read.

    Args:
        table: what `surprisal_table` gave.
        times: a row for each reading of a word.
        sentence: the column of `times` that names the sentence.
        position: the column of `times` with the word's number in it, from 1.
        word: a column of `times` with the word itself, to be compared.

    Returns:
        `times` in its own order and with its index, and the columns of `table` beside it.

    Raises:
        DataError: a word was read that the table does not have, or another one.
    """
    import pandas as pd

    check_table("table", table, ("sentence", "position"))
    check_table("times", times)
    for name in (sentence, position, *([] if word is None else [word])):
        if not isinstance(name, str):
            raise ParameterError(f"a column of times must be named by a string; got {name!r}.")
        if name not in times.columns:
            raise DataError(f"times has no column {name!r}; it has {list(times.columns)}.")
    keys = ["sentence", "position"]
    values = (
        table.drop(columns=keys)
        .add_suffix("_model")
        .rename(
            columns=lambda name: (
                name.removesuffix("_model")
                if name.removesuffix("_model") not in times.columns
                else name
            )
        )
    )
    index = table.set_index(keys).index
    if index.has_duplicates:
        raise DataError("table has two rows for one word; expected one a sentence and position.")
    at = index.get_indexer(pd.MultiIndex.from_arrays([times[sentence], times[position]]))
    if (at < 0).any():
        row = int(np.argmax(at < 0))
        raise DataError(
            f"times has word {times[position].iloc[row]} of sentence {times[sentence].iloc[row]} "
            f"(row {times.index[row]}), and table has not; are both counted from 1?"
        )
    if word is not None:
        read, modelled = times[word].astype(str).to_numpy(), table["word"].to_numpy()[at]
        if (read != modelled).any():
            first = int(np.argmax(read != modelled))
            raise DataError(
                f"row {times.index[first]} of times has the word {read[first]!r}, and table has "
                f"{modelled[first]!r} there; the two are not aligned."
            )
    found = values.iloc[at].set_axis(times.index)
    return times.join(found)


def word_perplexity(model: Process, data: Any) -> pd.Series:
    """Perplexity with and without unknown words, as KenLM's `query` counts them.

    Args:
        model: a fitted process over symbols.
        data: sentences in any form the model takes; their ends are terms too.

    Returns:
        A Series of perplexity, perplexity_without_unknown (of the terms that are not `<unk>`,
        each still given all words before it), terms, and unknown, how many of the terms.
    """
    import pandas as pd

    process = require_process(model, "word_perplexity")
    sequences = process.sequences(data)
    _symbols(sequences)
    columns = _columns(process, sequences, False, 1.0)
    surprisal, unknown = columns["surprisal"], columns["unknown"]
    known = surprisal[~unknown]
    return pd.Series(
        {
            "perplexity": math.exp(surprisal.mean()),
            "perplexity_without_unknown": math.exp(known.mean()) if len(known) else math.nan,
            "terms": len(surprisal),
            "unknown": int(unknown.sum()),
        }
    )


def next_table(model: Process, prefix: Any = None, top: int | None = None) -> pd.DataFrame:
    """The distribution of the next symbol, labelled, the most probable first.

    Args:
        model: a fitted process over symbols.
        prefix: what came before, one sequence; nothing by default.
        top: how many symbols; all by default.

    Returns:
        A DataFrame indexed by the symbols (`</s>` is the end) with the columns probability,
        surprisal_bits and cumulative.

    Example:
        >>> import arproc
        >>> model = arproc.NGram(2, "witten_bell").fit(["the cat sat", "the rat sat"])
        >>> arproc.evaluation.next_table(model, "the", top=2).round(3).probability.to_dict()
        {'cat': 0.321, 'rat': 0.321}
    """
    import pandas as pd

    process = require_process(model, "next_table")
    conditional = process.conditional(prefix)
    if conditional.batch_shape:
        raise DataError(
            f"next_table takes one prefix; got {conditional.batch_shape[0]}. Ask for each in turn."
        )
    space = process.space
    if not isinstance(space, Categorical) or not isinstance(
        conditional, torch.distributions.Categorical
    ):
        raise UnsupportedError(f"next_table is for symbols; got {space.describe()} elements.")
    if top is not None:
        check_integer("top", top, minimum=1)
    p = conditional.probs.double().cpu().numpy()
    order = np.argsort(-p, kind="stable")[: len(p) if top is None else top]
    names = _names(space)
    with np.errstate(divide="ignore"):
        columns = {
            "probability": p[order],
            "surprisal_bits": -np.log2(p[order]),
            "cumulative": p[order].cumsum(),
        }
    return pd.DataFrame(columns, index=pd.Index([names[i] for i in order], name="symbol"))


# ---- parts ----------------------------------------------------------------------------------


def _symbols(sequences: Sequences) -> Categorical:
    if not isinstance(sequences.space, Categorical):
        raise UnsupportedError(
            f"Words are symbols, and this model's elements are {sequences.space.describe()}."
        )
    return sequences.space


def _names(space: Categorical) -> list[Any]:
    """What each number is called."""
    names: list[Any] = list(range(space.size))
    vocabulary = space.vocabulary
    if vocabulary is not None:
        if vocabulary.kind == "tokenizer":
            names[: len(vocabulary)] = [vocabulary.decode([i]) for i in range(len(vocabulary))]
        else:
            names[: len(vocabulary)] = vocabulary.symbols
    if space.end is not None:
        names[space.end] = END
    return names


def _columns(
    process: Process, sequences: Sequences, entropy: bool, unit: float
) -> dict[str, np.ndarray]:
    """What is known of each term, flat."""
    if process.n_given:
        raise UnsupportedError(
            f"This process gives its first {process.n_given} elements no probability, so they "
            "have no surprisal."
        )
    columns: dict[str, np.ndarray] = {}
    if entropy:
        found = per_term(process, sequences, None, _term_and_entropy).numpy() / unit
        columns["surprisal"] = 0.0 - found[:, 0]
        columns["entropy"] = found[:, 1]
        columns["next_entropy"] = _after(process, sequences, found[:, 1], unit)
        columns["entropy_reduction"] = columns["entropy"] - columns["next_entropy"]
    else:
        with torch.no_grad():
            terms = process.law_.checked_terms(sequences, None)
        columns["surprisal"] = 0.0 - terms.cpu().numpy() / unit
    matched = getattr(process, "matched_orders", None)
    if callable(matched):
        columns["matched_order"] = matched(sequences)
    columns["unknown"] = _unknown(sequences)
    return columns


def _term_and_entropy(block: Block) -> torch.Tensor:
    return torch.stack(
        [block.conditionals.log_prob(block.x), block.conditionals.entropy()], dim=-1
    )


def _after(process: Process, sequences: Sequences, entropy: np.ndarray, unit: float) -> np.ndarray:
    """The entropy after each term: the next term's, 0 after the end."""
    after = np.append(entropy[1:], 0.0)
    last = sequences.term_offsets.numpy()[1:] - 1
    ended = sequences.n_terms.numpy() > sequences.lengths.numpy()
    after[last] = 0.0
    for row in np.flatnonzero(~ended & (sequences.n_terms.numpy() > 0)):
        with torch.no_grad():
            state = process.law_.after(sequences.select(torch.tensor([row])), None)
            after[last[row]] = float(state.conditional.entropy()[0]) / unit
    return after


def _unknown(sequences: Sequences) -> np.ndarray:
    vocabulary = _symbols(sequences).vocabulary
    out = np.zeros(int(sequences.n_terms.sum()), bool)
    if vocabulary is not None and vocabulary.unknown is not None:
        values = sequences.values.cpu().numpy()
        lengths = sequences.lengths
        before = (sequences.n_terms - lengths).cumsum(0) - (sequences.n_terms - lengths)
        shift = np.repeat(before.numpy(), lengths.numpy())
        out[np.arange(len(values)) + shift] = values == vocabulary.unknown
    return out


def _words_and_groups(
    texts: list[str] | None, sequences: Sequences, row: int, joined: bool
) -> tuple[list[Any], np.ndarray]:
    """The words of one sentence (or its elements), and to which of them each element belongs."""
    vocabulary = _symbols(sequences).vocabulary
    if joined and texts is not None and isinstance(vocabulary, TokenizerVocabulary):
        try:
            return vocabulary.words_in(texts[row], sequences.row(row).long().cpu().numpy())
        except DataError as error:
            raise UnsupportedError(
                f"{error}, so they can not be put together to words (of sentence {row}); use "
                'by="token".'
            ) from None
    pieces = _pieces(texts, sequences, row)
    if not joined:
        return pieces, np.arange(len(pieces))
    group = _words_of(pieces)
    return _put_together(pieces, group, vocabulary), group


def _pieces(texts: list[str] | None, sequences: Sequences, row: int) -> list[Any]:
    """The elements of one sentence as they stand in the text."""
    vocabulary = _symbols(sequences).vocabulary
    numbers = sequences.row(row).long().cpu().numpy()
    if vocabulary is None:
        return numbers.tolist()
    if vocabulary.kind == "word" and texts is not None:
        raw = texts[row].encode("utf-8", "surrogatepass").split()
        return [word.decode("utf-8", "surrogatepass") for word in raw]
    if vocabulary.kind == "char" and texts is not None:
        return list(texts[row])
    if vocabulary.kind == "tokenizer":
        return [vocabulary.decode([number]) for number in numbers.tolist()]
    return [vocabulary.symbols[number] for number in numbers.tolist()]


def _words_of(pieces: list[str]) -> np.ndarray:
    """Which word each piece belongs to: white space begins the next word, but at the end."""
    group = np.zeros(len(pieces), np.int64)
    last = max((i for i, piece in enumerate(pieces) if not piece.isspace()), default=-1)
    number, begun = 0, False
    for i, piece in enumerate(pieces):
        letters = piece.strip()
        if begun and i <= last and piece[:1].isspace():
            number, begun = number + 1, False
        if len(letters.split()) > 1 or (letters and i < last and piece[-1:].isspace()):
            raise UnsupportedError(f'The piece {piece!r} belongs to two words; use by="token".')
        begun = begun or bool(letters)
        group[i] = number
    return group


def _put_together(
    pieces: list[str], group: np.ndarray, vocabulary: Vocabulary | None
) -> list[str]:
    cuts = [0, *(np.flatnonzero(np.diff(group)) + 1).tolist(), len(pieces)]
    words = ["".join(pieces[a:b]).strip() for a, b in pairwise(cuts) if a < b]
    if vocabulary is not None and vocabulary.kind == "byte":
        return [word.encode("latin-1").decode("utf-8", "replace") for word in words]
    return words


def _sentence_names(sentences: Sequence[Any] | None, n: int) -> np.ndarray:
    if sentences is None:
        return np.arange(1, n + 1)
    if len(sentences) != n:
        raise DataError(f"sentences has {len(sentences)} names; the data are {n} sentences.")
    return np.asarray(sentences)


def _labels(
    regions: Sequence[Sequence[Any]], words: list[list[Any]], ended: np.ndarray
) -> list[Any]:
    """One label a row, None for ends."""
    if isinstance(regions, str) or len(check_list("regions", regions)) != len(words):
        raise DataError(f"regions must have a list for each of {len(words)} sentences.")
    labels: list[Any] = []
    for row, (own, given) in enumerate(zip(words, regions, strict=True)):
        if len(check_list(f"regions[{row}]", given)) != len(own):
            raise DataError(
                f"regions[{row}] has {len(given)} labels; sentence {row} has {len(own)} words: "
                f"{' '.join(map(str, own))!r}."
            )
        labels += [*given, *[None] * int(ended[row])]
    return labels
