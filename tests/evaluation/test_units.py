"""Units of text: their probabilities are exact, add up to one, and to the text's own."""

from __future__ import annotations

import functools
import io
import re
from dataclasses import dataclass
from itertools import product

import numpy as np
import pytest
import torch

import arproc
from arproc import ChainLaw, storable, surprisal_table
from arproc.data.token_texts import token_texts
from arproc.data.tokenizers import TokenizerVocabulary
from arproc.data.vocabulary import Vocabulary
from arproc.errors import DataError, ParameterError, UnsupportedError
from arproc.evaluation.unit_surprisal import _first
from arproc.process import Fit
from arproc.spaces import Categorical

LETTERS, BLANK, MARKS = "ab", " ", ",."


@storable
@dataclass(frozen=True, eq=False, repr=False)
class PairLaw(ChainLaw):
    """Scores [K + 1, K + 1, K] by the last two symbols; number K stands before the first."""

    scores: torch.Tensor
    space: Categorical
    window_length = 2

    def window(self, ctx, position):
        ctx = ctx.long().clone()
        ctx[..., 0] = torch.where(position < 2, self.space.symbols, ctx[..., 0])
        ctx[..., 1] = torch.where(position < 1, self.space.symbols, ctx[..., 1])
        return torch.distributions.Categorical(logits=self.scores[ctx[..., 0], ctx[..., 1]])


def kind(symbol: str) -> str:
    return "L" if symbol in LETTERS else "M" if symbol in MARKS else "S"


def random_scores(size: int) -> torch.Tensor:
    return torch.randn(size + 1, size + 1, size, generator=torch.Generator().manual_seed(2)) * 2


def letters_of(end: bool) -> arproc.Process:
    """Words of one or two letters, single blanks and marks; anything else has no mass."""
    vocabulary = Vocabulary.build([LETTERS + BLANK + MARKS], "char")
    n = len(vocabulary)
    scores = random_scores(n + end)
    kinds = [kind(symbol) for symbol in vocabulary.symbols]
    for i, j, k in product(range(n + end + 1), range(n), range(n)):
        repeated = kinds[j] == kinds[k]
        if repeated and (kinds[j] != "L" or (i < n and kinds[i] == "L")):
            scores[i, j, k] = -torch.inf
    space = Categorical(n + end, vocabulary, n if end else None)
    return arproc.Process.of(PairLaw(scores, space), Fit(form="text"))


WORDS = [*LETTERS, *map("".join, product(LETTERS, repeat=2))]
NEXT = [blank + unit for blank in ("", BLANK) for unit in [*WORDS, *MARKS]]


def last(model, text: str, units="word") -> float:
    """The probability of a text's last unit."""
    table = surprisal_table(model, [text], units=units, unit="nats")
    return float(np.exp(-table.surprisal.iloc[-1]))


def table_of(model, text: str, **settings):
    return surprisal_table(model, [text], units="word", unit="nats", **settings)


def following(model, before: str, candidates: list[str]) -> list[float]:
    """The probabilities of those candidates that are one more unit after a text."""
    own = table_of(model, before).word.tolist() if before else []
    table = surprisal_table(model, [before + u for u in candidates], units="word", unit="nats")
    found = []
    for _, rows in table.groupby("sentence"):
        words = rows.word.tolist()
        if len(words) == len(own) + 1 and words[:-1] == own:
            found.append(float(np.exp(-rows.surprisal.iloc[-1])))
    return found


@pytest.mark.parametrize("before", ["", "a", "ab", "a,", "ba .", "a, b"])
def test_over_all_units_that_can_come_the_probabilities_add_up_to_one(before):
    model = letters_of(end=True)
    p = following(model, before, [*NEXT, BLANK])
    assert len(p) >= 9
    ended = np.exp(-table_of(model, before, ends=True).surprisal.iloc[-1])
    assert sum(p) + ended == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize("before", ["", "a", "ab,"])
def test_in_a_stream_they_add_up_to_one_without_an_end(before):
    p = following(letters_of(end=False), before, NEXT)
    assert sum(p) == pytest.approx(1.0, abs=1e-5)


def test_without_the_closing_a_word_would_be_taken_for_its_beginning():
    model = letters_of(end=True)
    p = torch.distributions.Categorical(logits=model.law_.scores[-1, -1]).probs
    a = model.space.vocabulary.symbols.index("a")
    after = torch.distributions.Categorical(logits=model.law_.scores[-1, a]).probs
    letters = [model.space.vocabulary.symbols.index(s) for s in LETTERS]
    by_hand = float(p[a] * (1 - after[letters].sum()))
    assert last(model, "a") == pytest.approx(by_hand, rel=1e-5)
    assert last(model, "ab") + last(model, "aa") == pytest.approx(float(p[a]) - by_hand, rel=1e-5)


@pytest.mark.parametrize("units", ["word", "character", re.compile(r"\s*\w+|\s*\W"),
                                   [[(0, 2), (3, 5), (5, 6)], [(0, 1)], []]])  # fmt: skip
def test_a_texts_units_and_its_end_add_up_to_its_own(units):
    model, texts = letters_of(end=True), ["ab ba.", "a", ""]
    table = surprisal_table(model, texts, units=units, ends=True, unit="nats")
    sums = table.groupby("sentence").surprisal.sum()
    np.testing.assert_allclose(sums, -model.log_prob(texts), rtol=1e-6)
    assert (table.surprisal > -1e-9).all()
    words = table.word[table.word != "</s>"]
    assert "".join(words).replace(" ", "") == "".join(texts).replace(" ", "")
    tokens = table.groupby("sentence").tokens.sum().tolist()
    assert tokens == [len(text) + 1 for text in texts]


def untrained(text: str, tokens: str) -> arproc.Process:
    """Any law of texts of these symbols that end."""
    vocabulary = Vocabulary.build([text], tokens)
    n = len(vocabulary)
    scores = torch.randn(1, 1, n + 1, generator=torch.Generator().manual_seed(0))
    scores = scores.expand(n + 2, n + 2, n + 1).clone()
    return arproc.Process.of(PairLaw(scores, Categorical(n + 1, vocabulary, n)), Fit(form="text"))


def test_words_marks_and_apostrophes():
    text = "Don't stop -- it's 3rd, é!  "
    model = untrained(text, "char")
    table = surprisal_table(model, [text], units="word")
    words = ["Don't", "stop", "--", "it's", "3rd", ",", "é", "!", "  "]
    assert table.word.tolist() == words
    assert table.tokens.tolist() == [5, 5, 3, 5, 4, 1, 2, 1, 2]


def test_spans_are_closed_where_words_end_and_open_within_one():
    model = letters_of(end=True)
    whole = table_of(model, "ab ba.").surprisal.to_numpy()
    spans = surprisal_table(model, ["ab ba."], units=[[(0, 5), (5, 6)]], unit="nats").surprisal
    np.testing.assert_allclose(spans, [whole[0] + whole[1], whole[2]], rtol=1e-6)
    open_ = surprisal_table(model, ["ab"], units=[[(0, 1), (1, 2)]], unit="nats").surprisal
    p = torch.distributions.Categorical(logits=model.law_.scores[-1, -1]).log_prob(
        torch.tensor(model.space.vocabulary.symbols.index("a"))
    )
    assert open_[0] == pytest.approx(-float(p), rel=1e-5)


def test_long_texts_come_in_blocks_and_batches(monkeypatch):
    model, texts = letters_of(end=True), ["ab ba. " * 9 + "a", "a", "ba, " * 5 + "b"]
    whole = surprisal_table(model, texts, units="word", ends=True)
    monkeypatch.setattr("arproc.evaluation.unit_surprisal._BLOCK_NUMBERS", 40)
    cut = surprisal_table(model, texts, units="word", ends=True)
    np.testing.assert_allclose(cut.surprisal, whole.surprisal, rtol=1e-6)
    stream = letters_of(end=False)
    for text in texts:
        alone = surprisal_table(stream, [text], units="word").surprisal
        together = surprisal_table(stream, texts, units="word")
        own = together[together.sentence == texts.index(text) + 1].surprisal
        np.testing.assert_allclose(own, alone, rtol=1e-6)


def test_bytes_of_a_character_are_one():
    model = untrained("né à “la”", "byte")
    table = surprisal_table(model, ["né à “la”"], units="character", ends=True, unit="nats")
    assert table.tokens.tolist() == [1, 2, 1, 2, 1, 3, 1, 1, 3, 1]
    assert table.surprisal.sum() == pytest.approx(-model.log_prob(["né à “la”"])[0])
    words = surprisal_table(model, ["né à “la”"], units="word").word.tolist()
    assert words == ["né", "à", "“", "la", "”"]
    assert [_first(b) for b in (b"a", b"\xa9", b"", "é".encode(), b"\xe2\x80")] == [
        "a", "", "", "é", "\u203f",
    ]  # fmt: skip


@pytest.fixture(scope="module")
def tokens():
    """Tokens of bytes, some with their blank, that spell a word in one way."""
    tokenizers = pytest.importorskip("tokenizers")
    names = ["a", "b", "Ġ", ",", "Ġa", "ab", "Ġab", "<end>"]
    model = tokenizers.models.BPE(
        {name: i for i, name in enumerate(names)}, [("Ġ", "a"), ("a", "b"), ("Ġa", "b")]
    )
    tokenizer = tokenizers.Tokenizer(model)
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    tokenizer.add_special_tokens(["<end>"])
    vocabulary = TokenizerVocabulary.of(tokenizer)
    scores = random_scores(len(names))
    opens = {"a", "ab", ",", "b"}
    for (j, before), (k, after) in product(enumerate(names), repeat=2):
        word = before != ","
        continued = (before, after) in (("b", "a"), ("Ġ", "b"))
        impossible = ((word and after in opens - {","}) or before == "Ġ") and not continued
        if impossible or before == after == ",":
            scores[:, j, k] = -torch.inf
    return arproc.Process.of(PairLaw(scores, Categorical(8, vocabulary, 7)), Fit(form="text"))


@pytest.mark.parametrize("before", ["", "a", "b", "ab,", "b ba"])
def test_a_tokenizers_words_add_up_to_one(tokens, before):
    units = [blank + w for blank in ("", " ") for w in ("a", "ab", "b", "ba", ",")]
    p = following(tokens, before, [u for u in units if u != " ,"])
    ended = np.exp(-table_of(tokens, before, ends=True).surprisal.iloc[-1])
    assert sum(p) + ended == pytest.approx(1.0, abs=1e-5)
    assert 0 < min(p) < max(p) < 1


def sentencepiece_letters():
    """Pieces of single characters; each text begins with the piece of a blank."""
    sentencepiece = pytest.importorskip("sentencepiece")
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["ab, ba", "a b ,", "bb, a"] * 20), model_writer=model,
        model_type="char", vocab_size=7, hard_vocab_limit=False, minloglevel=2,
    )  # fmt: skip
    return sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())


def tiktoken_letters():
    """All bytes, and "ab" as one token."""
    tiktoken = pytest.importorskip("tiktoken")
    ranks = {bytes([i]): i for i in range(256)} | {b"ab": 256}
    return tiktoken.Encoding(
        "small", pat_str=r"[ab]+|[^ab]", mergeable_ranks=ranks, special_tokens={"<end>": 257}
    )


@functools.cache
def of_tokens(make) -> arproc.Process:
    """Words of one or two tokens, single blanks and marks, each text spelt in one way."""
    vocabulary = TokenizerVocabulary.of(make())
    size = len(vocabulary)
    later = token_texts(vocabulary).later
    kinds = [None if text is None else _kind_of(text.decode("latin1")) for text in later]
    scores = random_scores(size + 1)
    scores[..., [k for k, kind in enumerate(kinds) if kind is None]] = -torch.inf
    known = [k for k, kind in enumerate(kinds) if kind is not None]
    for j, k in product(known, known):
        merged = b"ab" in later and (later[j], later[k]) == (b"a", b"b")
        if merged or kinds[j] == kinds[k] != "L":
            scores[:, j, k] = -torch.inf
        if kinds[j] == kinds[k] == "L":
            scores[[i for i in known if kinds[i] == "L"], j, k] = -torch.inf
    scores[:, [k for k in known if kinds[k] == "S"], size] = -torch.inf  # no text ends in a blank
    if token_texts(vocabulary).first[known[0]] is None:  # a text begins with a blank's piece
        scores[-1, -1, [*known[1:], size]] = -torch.inf
    return arproc.Process.of(
        PairLaw(scores, Categorical(size + 1, vocabulary, size)), Fit(form="text")
    )


def _kind_of(text: str) -> str | None:
    return {"a": "L", "b": "L", "ab": "L", " ": "S", ",": "M"}.get(text)


@pytest.mark.parametrize("before", ["", "a", "ab,", "b ba"])
@pytest.mark.parametrize("make", [sentencepiece_letters, tiktoken_letters])
def test_words_of_other_tokenizers_add_up_to_one(make, before):
    model = of_tokens(make)
    letters = ["a", "b", "ab"]
    words = {*letters, *map("".join, product(letters, repeat=2)), ","}
    units = [blank + word for blank in ("", " ") for word in sorted(words)]
    units = [unit for unit in units if before or unit[0] != " "]  # which would be read as none
    p = following(model, before, units)
    ended = np.exp(-table_of(model, before, ends=True).surprisal.iloc[-1]) if before else 0.0
    if make is tiktoken_letters and not before:  # whose texts may begin with a blank, or be empty
        p += following(model, before, [" " + word for word in sorted(words)])
        ended = np.exp(model.log_prob([""])[0])
    assert len(p) > 3
    assert sum(p) + ended == pytest.approx(1.0, abs=1e-5)
    whole = surprisal_table(model, ["ab, a b"], units="word", unit="nats", ends=True)
    assert whole.surprisal.sum() == pytest.approx(-model.log_prob(["ab, a b"])[0])


def test_what_a_tokenizer_changes_is_refused():
    with pytest.raises(UnsupportedError, match=r"do not add up to it.*they read 'a b'"):
        table_of(of_tokens(sentencepiece_letters), "a  b")


def test_units_that_no_tokens_make_are_refused(tokens):
    with pytest.raises(UnsupportedError, match="'a' ends within it"):
        surprisal_table(tokens, ["ab"], units="character")


def test_attrs_say_what_the_numbers_are():
    model = arproc.Transformer(
        1, 2, 8, block=8, tokens="char", positions="learned",
        training=arproc.Training(steps=2, batch_size=2),
    ).fit("ab ba. " * 5)  # fmt: skip
    table = surprisal_table(model, ["ab ba."], units="word", unit="nats")
    start = model.network_.start
    assert table.attrs == {"unit": "nats", "units": "word", "start": start, "window": 8,
                           "positions": 8, "carried": 4}  # fmt: skip
    assert surprisal_table(model, ["ab"]).attrs["units"] == "word"
    assert surprisal_table(letters_of(True), ["ab"]).attrs == {"unit": "bits", "units": "word"}


@pytest.mark.parametrize(
    ("units", "error", "message"),
    [
        ("words", ParameterError, 'units must be "word", "character", a regular expression'),
        (3, ParameterError, "units must be"),
        (re.compile(b"a"), ParameterError, "units must be"),
        ("(", ParameterError, "is no regular expression"),
        (r"\w+", DataError, r"matches nothing at character 2 of text 0, ' ba'"),
        (r"\w+(?= ba)|[\s\S]", UnsupportedError, "needs more than one character after 'ab'"),
        ([], DataError, "units has spans for 0 texts; the data are 1"),
        ([[(0, 9)]], DataError, r"span \(0, 9\)"),
        ([[(2, 2)]], DataError, r"span \(2, 2\)"),
        ([[(1, 2)]], DataError, r"span \(1, 2\)"),
        ([[(0, 2), (1, 3)]], DataError, r"span \(1, 3\)"),
        ([[(0, 1, 2)]], ParameterError, r"units\[0\] must hold pairs"),
        ([["ab"]], ParameterError, r"units\[0\] must be a list"),
        ([[(0.5, 1)]], ParameterError, r"units\[0\] must be an integer"),
    ],
)
def test_wrong_units_are_refused(units, error, message):
    with pytest.raises(error, match=message):
        surprisal_table(letters_of(True), ["ab ba"], units=units)


def test_units_are_for_models_of_pieces():
    words = arproc.NGram(2, "witten_bell").fit(["a b"])
    with pytest.raises(UnsupportedError, match="whole already"):
        surprisal_table(words, ["a b"], units="word")
    numbers = arproc.NGram(2, "witten_bell", tokens=3).fit(np.array([0, 1, 2]))
    with pytest.raises(UnsupportedError, match="plain numbers"):
        surprisal_table(numbers, np.array([0, 1]), units="word")
    model = letters_of(True)
    with pytest.raises(ParameterError, match="exclude each other"):
        surprisal_table(model, ["ab"], by="token", units="word")
    with pytest.raises(DataError, match="the texts themselves"):
        surprisal_table(model, model.sequences(["ab"]), units="word")
    labelled = surprisal_table(model, ["ab a"], units="word", regions=[["x", "y"]])
    assert labelled.region.tolist() == ["x", "y"]
