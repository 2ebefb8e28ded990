"""What shares a unit, what does not and how it could, and what a bound is."""

import math

import numpy as np
import pytest
from evaluation.toys import BYTES, CHARS, Chain, CorrelatedPairs, GaussianAR, PoissonAR, unigram

import arproc
from arproc import compare, evaluate
from arproc.data.tokenizers import TokenizerVocabulary
from arproc.data.vocabulary import Vocabulary
from arproc.errors import NotComparableError, ParameterError


def advice(models, data):
    """What `compare` says to do."""
    with pytest.raises(NotComparableError) as refusal:
        compare(models, data)
    return str(refusal.value)


def test_densities_and_masses_meet_as_codes():
    """What the refusal says to do is done: both in bits a code."""
    told = advice({"g": GaussianAR(), "p": PoissonAR()}, [1, 2, 3])
    for step in ("arproc.Coded('g'", "arproc.audio.encode", "dequantise"):
        assert step in told
    wave = 0.5 * np.sin(np.arange(300.0) / 5) + 0.02 * np.random.default_rng(0).normal(size=300)
    codes = arproc.audio.encode(wave, levels=32)
    models = {
        "coded": arproc.Coded(arproc.AR(2), levels=32).fit(codes[:200]),
        "symbols": arproc.NGram(2, "witten_bell", tokens=32).fit(codes[:200]),
    }
    table = compare(models, codes[200:], unit="bits_per_element")
    assert table.index[0] == "coded"
    assert 0 < table["bits_per_element"].min() < 5


@pytest.mark.parametrize(
    ("models", "data", "step"),
    [
        ({"a": GaussianAR(), "b": CorrelatedPairs()}, [[1.0, 2.0]], "scalars for each column"),
        ({"a": Chain([[0.5, 0.5]] * 2), "b": PoissonAR()}, [0, 1], "models of counts, or as K"),
        (
            {"a": Chain([[0.5, 0.5]] * 2), "b": Chain([[1 / 3] * 3] * 3)},
            [0, 1],
            "how many symbols there are, tokens=K",
        ),
        (
            {"a": Chain([[0.5, 0.5]] * 2), "b": Chain([[0.5, 0.5]] * 2, end=True)},
            [0, 0],
            "tokens=arproc.Tokens(..., end=True)",
        ),
        ({"a": Chain([[0.5, 0.5]] * 2), "b": unigram(CHARS)}, [0, 1], "strings themselves"),
    ],
    ids=["vectors", "counts", "symbols", "ends", "text"],
)
def test_every_refusal_says_how(models, data, step):
    assert step in advice(models, data)


def test_a_unit_that_is_not_there_says_why():
    chains = {"a": Chain([[0.5, 0.5]] * 2), "b": Chain([[0.4, 0.6]] * 2)}
    with pytest.raises(ParameterError, match=r"elements of 'a' are no text; fit it to strings"):
        compare(chains, [0, 1], unit="bits_per_byte")
    with pytest.raises(ParameterError, match="bits_per_dim: their sequences have no fixed size"):
        compare(chains, [0, 1], unit="bits_per_dim")
    words = {k: unigram(Vocabulary.build(["a b"], "word")) for k in "xy"}
    with pytest.raises(ParameterError, match="of 'x', 1 of 2 words are unknown"):
        compare(words, "a dog", unit="bits_per_byte")
    texts = {"c": unigram(CHARS), "b": unigram(BYTES)}
    with pytest.raises(ParameterError, match="bits_per_byte is what these share"):
        compare(texts, "ab", unit="nats_per_element")


# ---- bounds --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pieces():
    """A tokenizer that spells "ab" as one piece, though "a" and "b" would do."""
    tokenizers = pytest.importorskip("tokenizers")
    names = ["a", "b", "ab", "c"]
    model = tokenizers.models.BPE({name: i for i, name in enumerate(names)}, [("a", "b")])
    tokenizer = tokenizers.Tokenizer(model)
    tokenizer.decoder = tokenizers.decoders.Fuse()
    return TokenizerVocabulary.of(tokenizer)


def all_spellings(text, sizes):
    """The probability of a text over all its spellings, by the recursion on its end."""
    p = [1.0] + [0.0] * len(text)
    for i in range(1, len(text) + 1):
        p[i] = sum(p[i - len(s)] * q for s, q in sizes.items() if text[:i].endswith(s))
    return p[-1]


def test_one_spelling_of_many_is_a_bound(pieces):
    text, weights = "abcab", {"a": 0.3, "b": 0.3, "ab": 0.2, "c": 0.2}
    model = unigram(pieces, weights=list(weights.values()))
    found = evaluate(model, text)
    assert found.bits_per_byte_is_bound
    assert found.bits_per_byte == pytest.approx(-math.log2(0.2**3) / 5)
    # the text itself costs less than the bound
    assert -math.log2(all_spellings(text, weights)) / 5 < found.bits_per_byte
    assert "(an upper bound)" in str(found)
    assert any("many ways" in note for note in found.notes)
    exact = evaluate(unigram(CHARS), text)
    assert not exact.bits_per_byte_is_bound
    assert "upper bound" not in str(exact)


def test_compare_says_which_are_bounds(pieces):
    models = {"pieces": unigram(pieces), "char": unigram(CHARS)}
    table = compare(models, ["abcab", "ab"])
    assert table["bound"].to_dict() == {"pieces": "upper bound", "char": "exact"}
    assert "bound" not in compare({"c": unigram(CHARS), "b": unigram(BYTES)}, ["ab", "b"])


def test_what_the_tokens_do_not_give_back_has_no_bits_per_byte(pieces):
    found = evaluate(unigram(pieces), "ab d")  # neither the blank nor d is a piece
    assert found.bits_per_byte is None
    assert not found.bits_per_byte_is_bound
    assert any("do not give text 0 back" in note for note in found.notes)
