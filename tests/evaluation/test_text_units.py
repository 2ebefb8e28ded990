"""Where the bytes of a text lie among its elements, against the text itself."""

import hypothesis.strategies as st
import numpy as np
import pytest
from evaluation.toys import Chain, unigram
from hypothesis import given, settings

from arproc.data.vocabulary import Vocabulary
from arproc.evaluation.text_units import byte_ends

WORDS = ["a", "née", "日本", "of", "x1"]
MODELS = {
    "word": unigram(Vocabulary.build([" ".join(WORDS)], "word"), end=True),
    "char": unigram(Vocabulary.build("".join(WORDS) + " ", "char"), end=True),
    "byte": unigram(Vocabulary.of_bytes(), end=True),
}
NUMBERS = Chain([[0.5, 0.5], [0.5, 0.5]])


@pytest.mark.parametrize("kind", sorted(MODELS))
@given(texts=st.lists(st.lists(st.sampled_from(WORDS), max_size=4), min_size=1, max_size=4))
@settings(max_examples=25)
def test_every_element_ends_where_its_bytes_do(kind, texts):
    lines = [" ".join(words) for words in texts]
    units = {
        # a word carries the space after it, where one follows
        "word": [w + " " * (i < len(words) - 1) for words in texts for i, w in enumerate(words)],
        "char": [letter for line in lines for letter in line],
        "byte": [chr(byte) for line in lines for byte in line.encode()],
    }[kind]
    sizes = [1 if kind == "byte" else len(unit.encode()) for unit in units]
    ends = byte_ends(MODELS[kind].sequences(lines))
    assert ends.dtype == np.int64
    assert ends.tolist() == np.cumsum(sizes).astype(int).tolist()
    assert not units or ends[-1] == sum(len(line.encode()) for line in lines)


def test_numbers_have_no_bytes():
    assert byte_ends(NUMBERS.sequences([[0, 1]])) is None
