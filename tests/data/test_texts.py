"""Text in every form that people hold it in is the same text."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import arproc
from arproc.data.texts import listed
from arproc.errors import DataError

TEXTS = ["a rose is a rose", "", "a daisy is none", "is a rose"]
FORMS = {
    "tuple": tuple,
    "Series": pd.Series,
    "labelled Series": lambda x: pd.Series(x, index=[5, 6, 9, 2]),
    "Series of objects": lambda x: pd.Series(x, dtype=object),
    "Series of strings": lambda x: pd.Series(x, dtype="string"),
    "categories": lambda x: pd.Series(pd.Categorical(x)),
    "Index": pd.Index,
    "array": np.array,
    "array of objects": lambda x: np.array(x, dtype=object),
    "StringDType": lambda x: np.array(x, dtype=np.dtypes.StringDType()),
    "generator": lambda x: (text for text in x),
    "map": lambda x: map(str, x),
    "iter": iter,
    "values": lambda x: dict(enumerate(x)).values(),
    "keys": lambda x: dict.fromkeys(x).keys(),
    "lines of a file": lambda x: io.StringIO("\n".join(x)),
}


class Pieces:
    """A tokenizer whose tokens are two letters each."""

    vocab_size = 128 * 129

    def encode(self, text):
        codes = [ord(letter) for letter in text]
        return [a + 128 * b for a, b in zip(codes[::2], [*codes[1::2], 128], strict=False)]

    def decode(self, ids):
        return "".join(chr(i % 128) + (chr(i // 128) if i < 128 * 128 else "") for i in ids)


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_the_list(form):
    make = FORMS[form]
    model = arproc.NGram(2, "witten_bell").fit(TEXTS[:2])
    assert arproc.NGram(2, "witten_bell").fit(make(TEXTS)).vocabulary.symbols == (
        "<unk>", "a", "rose", "is", "daisy", "none",
    )  # fmt: skip
    np.testing.assert_array_equal(model.log_prob(make(TEXTS)), model.log_prob(TEXTS))
    assert model.score(make(TEXTS)) == model.score(TEXTS)
    assert arproc.evaluate(model, make(TEXTS)) == arproc.evaluate(model, TEXTS)
    table = arproc.surprisal_table(model, make(TEXTS))
    assert table.equals(arproc.surprisal_table(model, TEXTS))
    assert table.word[table.unknown].tolist() == ["daisy", "none"]
    other = arproc.NGram(1, "witten_bell").fit(TEXTS[:2])
    both = {"model": model, "other": other}
    assert arproc.compare(both, make(TEXTS)).equals(arproc.compare(both, TEXTS))
    perplexity = arproc.evaluation.word_perplexity(model, make(TEXTS))
    assert perplexity.equals(arproc.evaluation.word_perplexity(model, TEXTS))


@pytest.mark.parametrize("form", [form for form in FORMS if form != "lines of a file"])
@pytest.mark.parametrize("tokens", ["char", "tokenizer"])
def test_bytes_are_counted_and_words_found_in_every_form(form, tokens):
    kind = Pieces() if tokens == "tokenizer" else tokens
    model = arproc.NGram(2, "additive", kind).fit(TEXTS)
    given = FORMS[form]
    one, other = arproc.evaluate(model, given(TEXTS)), arproc.evaluate(model, TEXTS)
    assert one.n_bytes == other.n_bytes == sum(map(len, TEXTS))
    if tokens == "char":
        found = arproc.surprisal_table(model, given(TEXTS))
        assert found.equals(arproc.surprisal_table(model, TEXTS))
        assert found.word.tolist() == " ".join(TEXTS).split()


@pytest.mark.parametrize("bad", [None, np.nan, pd.NA, 3, b"bytes"])
def test_a_column_with_something_else_is_refused_by_its_label(bad):
    column = pd.Series(["a rose", bad, "none"], index=["x", "y", "z"], dtype=object)
    model = arproc.NGram(1).fit(["a"])
    for call in (arproc.NGram(1).fit, model.log_prob, model.score):
        with pytest.raises(DataError, match=r"column of text, and its item 'y' is none"):
            call(column)
    with pytest.raises(DataError, match="its item 1 is none"):
        listed(column.to_numpy())


def test_columns_of_other_things_are_left_alone():
    for data in (pd.Series([1.0, 2.0]), np.array([1, 2]), np.array([None, 1.0], dtype=object)):
        assert listed(data) is data


def test_a_text_that_is_the_name_of_a_file_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("corpus.txt").write_text("a rose\nis a rose\n")
    Path("a-rose.txt").write_text("x")
    whole = str(tmp_path / "corpus.txt")
    word, char = arproc.NGram(1).fit(["a rose"]), arproc.NGram(1, tokens="char").fit("a rose, is")
    calls = [arproc.NGram(1, tokens="char").fit, arproc.Transformer().fit, arproc.PPM(1).fit]
    calls += [word.log_prob, char.log_prob, word.score, word.sequences]
    calls += [lambda data: arproc.evaluate(word, data), lambda d: arproc.surprisal_table(word, d)]
    for name in ("corpus.txt", whole, "a-rose.txt"):
        for call in calls:
            with pytest.raises(DataError, match=r"also the name of a file.*Path\(.*as one text"):
                call(name)
    assert len(word.log_prob(["corpus.txt"])) == 1
    assert len(word.log_prob(Path("corpus.txt"))) == 2
    Path("a").touch()
    assert char.sample(1, 2, prefix="a", seed=0)  # a prefix is text
    for text in ("is", "no such file", "x\0y", "\udc80", "a" * 5000):
        assert word.log_prob(text) < 0


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (["a rose", None], r"a list whose item 1 is None \(NoneType\)"),
        (["a rose", 3.0], r"a list whose item 1 is 3\.0 \(float\)"),
        ([b"a rose"], r"a list of bytes; give text, \[x\.decode\(\)"),
        (b"a rose", r"bytes; give text, data\.decode\(\)"),
        ({"a rose"}, r"a set, which has no order"),
        ({1: "a rose"}, r"a dict; give its texts, data\.values\(\)"),
        (
            pd.DataFrame({"n": [1], "text": ["a rose"]}),
            r"a DataFrame; give its column of texts, data\['te",
        ),
        (np.array([["a rose"]]), r"an array of text of shape \[1, 1\]; give a list"),
    ],
)
def test_what_is_nearly_text_is_told_for_what_it_is(data, told):
    model = arproc.NGram(2, "witten_bell").fit(["a rose", "a daisy"])
    with pytest.raises(DataError, match=rf"tokens='word' is for text, and the data are {told}"):
        model.clone().fit(data)
    with pytest.raises(DataError, match=rf"data is {told}.* Expected a string, or strings in a l"):
        model.log_prob(data)
