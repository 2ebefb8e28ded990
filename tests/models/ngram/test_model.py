"""NGram: the model on the contract, over every kind of tokens."""

from __future__ import annotations

import copy
import gzip
import math
import pickle
import warnings

import numpy as np
import pytest
import torch

import arproc
from arproc import Tokens
from arproc.contract.state import WindowState
from arproc.data.vocabulary import Vocabulary
from arproc.errors import DataError, NotFittedError, ParameterError, UnsupportedError
from arproc.models.ngram.law import NGramState
from arproc.models.ngram.smoothing.smoothings import DiscountWarning
from arproc.testing import check_process

LINES = ["the cat sat", "the cat ate the rat", "a rat sat", "the rat ate", "a cat"]
NUMBERS = [[0, 1, 2, 1], [2, 1, 0], [1], [0, 0, 1, 2]]


def fit(data, order=3, **params):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DiscountWarning)
        return arproc.NGram(order, **params).fit(data)


@pytest.mark.parametrize(
    "model",
    [
        fit(LINES),
        fit(LINES, 2, tokens=Tokens(unknown=False), smoothing="additive", alpha=0.3),
        fit(LINES, 1),
        fit("abracadabra, abracadabra", tokens="char"),
        fit("abracadabra", 2, tokens=Tokens("char", end=True, unknown=True)),
        fit(np.array([0, 1, 2, 1, 0, 1, 1, 2, 0]), tokens=None),
        fit(NUMBERS, 4, tokens=4),
        fit(NUMBERS, tokens=Tokens(None, end=False), smoothing="additive"),
        fit([["x", "y y"], ["x", "x", "z"]], 2, tokens=None),
    ],
    ids=lambda model: f"{model.tokens}-{model.order}-{model.smoothing}-{model.space.symbols}",
)
def test_conformance(model):
    check_process(model)


def test_conformance_of_bytes():
    # a draw of bytes need not be UTF-8, and the view of tensors turns draws' text back into bytes
    check_process(fit("hello, help", 2, tokens="byte"), skip=["distribution_view"])


def test_the_state_of_nodes_equals_the_windows():
    model = fit(LINES, 3)
    x = torch.tensor([[1, 2, 3, 1], [4, 4, 1, 2]])
    state = model.start(2)
    assert isinstance(state, NGramState)
    ours, _ = state.extend(x)
    plain = WindowState()
    plain.law, plain.history, plain.context = model.law_, state.history, None
    theirs, _ = plain.extend(x)
    torch.testing.assert_close(ours.logits, theirs.logits, rtol=0, atol=0)


# ---- what the data are -----------------------------------------------------------------------


def test_words_of_lines_end_and_a_text_is_a_stream(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("\n".join(LINES) + "\n", encoding="utf-8")
    from_list, from_file = fit(LINES), fit(path)
    assert from_list.space == from_file.space
    assert from_list.space.terminates
    assert from_list.score(LINES) == from_file.score(path)
    stream = fit(" ".join(LINES))
    assert not stream.space.terminates
    assert isinstance(stream.log_prob("the cat"), float)
    assert fit(" ".join(LINES), tokens=Tokens(end=True)).space.terminates
    assert not fit(LINES, tokens=Tokens(end=False)).space.terminates


def test_characters_and_bytes_of_a_file_are_one_stream(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("añb añb aña", encoding="utf-8")
    chars, data = fit(path, tokens="char"), fit(path, tokens="byte")
    assert (chars.space.symbols, data.space.symbols) == (4, 256)
    assert not chars.space.terminates
    assert not data.space.terminates
    assert len(data.log_prob_terms(path)) == 14
    assert data.log_prob(path) == pytest.approx(data.log_prob("añb añb aña"))


def test_numbers_lists_of_symbols_and_frames():
    pandas = pytest.importorskip("pandas")
    assert not fit([0, 1, 1, 2], tokens=None).space.terminates
    assert fit([[0, 1], [1, 2, 2]], tokens=None).space.terminates
    assert fit(np.zeros((3, 4), int), tokens=None).space.symbols == 2  # 0 and the end
    frame = pandas.DataFrame({"a": [0, 1, 2], "b": [2, 2, 1]})
    assert fit(frame, tokens=None).space.symbols == 4
    symbols = fit([["la", "la land"], ["la"]], 2, tokens=None)
    assert symbols.vocabulary.symbols == ("la", "la land")
    assert symbols.sample(3, seed=0) == symbols.sample(3, seed=0)
    series = fit(pandas.Series([0, 1, 1, 0, 1]), tokens=None)
    assert not series.space.terminates


def test_a_vocabulary_of_ones_own():
    vocabulary = Vocabulary(("<unk>", "cat", "the"), "word", 0)
    model = fit(LINES, tokens=vocabulary)
    assert model.vocabulary is vocabulary
    assert model.log_prob("the dog") == model.log_prob("the zebra")


def test_a_tokenizer_of_ones_own():
    class Pairs:
        """Two characters at a time."""

        vocab_size = 26 * 26

        def encode(self, text):
            return [
                (ord(a) - 97) * 26 + ord(b) - 97
                for a, b in zip(text[::2], text[1::2], strict=True)
            ]

        def decode(self, ids):
            return "".join(chr(97 + i // 26) + chr(97 + i % 26) for i in ids)

    model = fit("abcdabcdabefabcd", 2, tokens=Pairs(), smoothing="additive")
    assert model.space.symbols == 676
    assert model.conditional("ab").mode == 2 * 26 + 3
    assert len(model.sample(1, length=3, seed=0)[0]) == 6


def test_unknown_words():
    open_model = fit(LINES)
    unk = open_model.vocabulary.unknown
    assert open_model.log_prob("a dog sat") == open_model.log_prob("a zebra sat")
    p = open_model.conditional("a").probs
    assert 0 < p[unk] < p.sum() - p[unk]
    with pytest.raises(DataError, match="'dog' at position 1"):
        fit(LINES, tokens=Tokens(unknown=False)).log_prob("a dog")
    rare = fit(LINES, tokens=Tokens(min_count=2))
    assert "ate" in rare.vocabulary
    assert "a" in rare.vocabulary
    assert fit([*LINES, "one two"], tokens=Tokens(min_count=2)).space == rare.space


def test_fresh_n_grams_of_a_stream_begin_without_context():
    model = fit([0, 1, 0, 1, 1, 0, 2], 3, tokens=None)
    terms = model.log_prob_terms([1, 0])
    unigram = model.conditional().logits
    assert terms[0] == pytest.approx(float(unigram[1]))
    assert terms[1] == pytest.approx(float(model.conditional([1]).logits[0]))


def test_additive_by_hand():
    model = arproc.NGram(2, "additive", None, alpha=0.5).fit([0, 1, 0, 1, 1, 0, 2])
    # after 1: twice 0, once 1; three symbols
    np.testing.assert_allclose(model.conditional([1]).probs, np.array([2.5, 1.5, 0.5]) / 4.5)
    # nothing ever follows 2, so all three are equal
    np.testing.assert_allclose(model.conditional([2]).probs, np.full(3, 1 / 3))


# ---- refusals --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("params", "data", "error", "message"),
    [
        ({"order": 0}, LINES, ParameterError, "order must be at least 1"),
        ({"order": 2.0}, LINES, ParameterError, "order must be an integer"),
        ({"smoothing": "kats"}, LINES, ParameterError, "smoothing must be one of"),
        ({"alpha": 0}, LINES, ParameterError, "alpha must be a number above 0"),
        ({"prune": [1]}, LINES, ParameterError, "prune begins with 1"),
        ({"prune": [0, 3, 1], "order": 3}, LINES, ParameterError, "must not decrease"),
        ({"prune": -1}, LINES, ParameterError, "prune must be a whole number"),
        ({"prune": [0, 0, 0, 1]}, LINES, ParameterError, "prune has 4 numbers"),
        ({"prune": 1, "smoothing": "additive"}, LINES, ParameterError, "prune=0"),
        ({"largest_discounted": 0}, LINES, ParameterError, "largest_discounted"),
        (
            {"tokens": Tokens(min_count=2, unknown=False)},
            LINES,
            ParameterError,
            "closed vocabulary",
        ),
        ({"tokens": "words"}, LINES, ParameterError, "tokens must be"),
        ({"tokens": 3.5}, LINES, ParameterError, "float has no encode"),
        ({"tokens": "char"}, [0, 1, 2], DataError, "use tokens=None"),
        ({"tokens": None}, "text", DataError, 'use tokens="word"'),
        ({"tokens": 5}, LINES, DataError, "goes with numbers"),
        ({"tokens": 2}, [0, 1, 2], DataError, "symbols from 0 to 1"),
        ({"tokens": None}, [0.5, 1.0], DataError, "fractional part"),
        ({"tokens": None}, [-1, 1], DataError, "counts 0, 1, 2"),
        ({}, ["a <s> b"], DataError, "special symbol '<s>'"),
        ({}, "", DataError, "no word"),
        ({}, [""], DataError, "."),
        ({"tokens": None}, [], DataError, "empty"),
    ],
)
def test_refusals(params, data, error, message):
    with pytest.raises(error, match=message):
        arproc.NGram(**{"order": 2, **params}).fit(data)


def test_an_unfitted_model_says_so(tmp_path):
    for call in (lambda m: m.log_prob("a"), lambda m: m.start(1), lambda m: m.sample(1)):
        with pytest.raises(NotFittedError, match="not fitted"):
            call(arproc.NGram(2))
    with pytest.raises(NotFittedError):
        arproc.NGram(2).to_arpa(tmp_path / "x.arpa")


def test_missing_files(tmp_path):
    with pytest.raises(DataError, match="no file"):
        fit(tmp_path / "none.txt")
    (tmp_path / "latin.txt").write_bytes("é".encode("latin-1"))
    with pytest.raises(DataError, match="not UTF-8"):
        fit(tmp_path / "latin.txt", tokens="char")


# ---- keeping and choosing --------------------------------------------------------------------


@pytest.mark.parametrize("params", [{}, {"tokens": "char"}, {"smoothing": "additive"}])
def test_save_and_load(tmp_path, params):
    model = fit(LINES, **params)
    model.save(tmp_path / "model")
    again = arproc.load(tmp_path / "model")
    assert again.space == model.space
    assert again.n_ngrams_ == model.n_ngrams_
    assert again.discount_source_ == model.discount_source_
    np.testing.assert_array_equal(again.log_prob(LINES), model.log_prob(LINES))
    assert again.sample(5, seed=1) == model.sample(5, seed=1)


def test_scikit_learn_clones_and_searches():
    sklearn = pytest.importorskip("sklearn.model_selection")
    base = pytest.importorskip("sklearn.base")
    rng = np.random.default_rng(0)
    data = [0]
    for _ in range(600):
        data.append((data[-1] + (rng.random() < 0.9)) % 3)  # order 2 says nearly all
    model = arproc.NGram(1, "additive", 3)
    assert base.clone(model).get_params() == model.get_params()
    folds = sklearn.TimeSeriesSplit(3)
    search = sklearn.GridSearchCV(model, {"order": [1, 2, 5]}, cv=folds).fit(np.array(data))
    assert search.best_params_ == {"order": 2}


# ---- known figures ---------------------------------------------------------------------------


def test_tiny_shakespeare_by_characters(shared_data):
    text = gzip.decompress((shared_data / "tinyshakespeare.txt.gz").read_bytes()).decode()
    cut = int(0.9 * len(text))
    model = fit(text[:cut], 6, tokens=Tokens(Vocabulary.build(text, "char"), end=False))
    assert model.discount_source_ == ("leave-one-out", *["closed form"] * 5)
    bits = -model.score(text[cut:]) / math.log(2)
    assert bits == pytest.approx(2.1967, abs=5e-4)


# ---- pieces of sequences -----------------------------------------------------------------------


@pytest.mark.parametrize("smoothing", ["witten_bell", "additive"])
@pytest.mark.parametrize("order", [1, 3])
def test_pieces_without_beginning_and_end(smoothing, order, tmp_path):
    model = arproc.NGram(order, smoothing).fit(["the cat sat", "the cat ate the rat", "a rat sat"])
    mid = model.midway()
    text, words = "cat ate the", ["cat", "ate", "the"]
    terms = model.log_prob_terms(text)
    assert model.log_prob(text, complete=False) == pytest.approx(terms[:-1].sum())
    assert model.score(text, complete=False) == pytest.approx(terms[:-1].mean())
    np.testing.assert_allclose(model.log_prob_terms(text, complete=False), terms[:-1])
    assert model.log_prob(model.sequences(text), complete=False) == pytest.approx(terms[:-1].sum())
    # the empty context first, then what the words before say; by the n-grams themselves
    first = np.exp(model.trie_.log_prob[1:])
    numbers = model.vocabulary.encode(text)
    if smoothing == "witten_bell":
        assert mid.log_prob("cat", complete=False) == pytest.approx(np.log(first[numbers[0]]))
    state = mid.start(1)
    total = 0.0
    for number in numbers:
        assert state.conditional.probs.sum() == pytest.approx(1)
        total += float(state.conditional.log_prob(torch.tensor([number])))
        state = state.append(torch.tensor([number]))
    assert mid.log_prob(text, complete=False) == pytest.approx(total)
    assert mid.log_prob_terms(text, complete=False).sum() == pytest.approx(total)
    assert mid.log_prob(words and text) == pytest.approx(mid.log_prob_terms(text).sum())
    assert (mid.log_prob(text) == pytest.approx(model.log_prob(text))) == (order == 1)
    assert mid.matched_orders(text).tolist()[0] == 1
    mid.save(tmp_path / "m")
    assert arproc.load(tmp_path / "m").log_prob(text) == mid.log_prob(text)
    both = arproc.Mixture([model, model]).fit(["a rat"])
    assert both.midway().log_prob(text) == pytest.approx(mid.log_prob(text))
    with pytest.raises(UnsupportedError, match="from their beginning on alone"):
        arproc.PPM(2).fit(["a b"]).midway()


@pytest.mark.parametrize("compiled", [True, False])
def test_a_model_in_use_can_be_copied(monkeypatch, compiled):
    """What scores one text is a function that it keeps; interpreted, it has no name of its own."""
    monkeypatch.setattr("arproc.compiled.interpreted._compiled", lambda kernels: compiled)
    model = fit(["a b", "b a"], 2, smoothing="witten_bell")
    found = model.log_prob("a b")
    assert "text_scorer" in vars(model.law_)
    for other in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        assert other.log_prob("a b") == found
