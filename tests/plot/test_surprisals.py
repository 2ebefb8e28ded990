"""Pictures of the surprisal of texts and of numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from evaluation.toys import BYTES, CHARS, Chain, GaussianAR, PoissonAR, unigram
from plot.subjects import SERIES

from arproc import plot
from arproc.data.vocabulary import Vocabulary
from arproc.errors import DataError, ParameterError

# ---- surprisal ---------------------------------------------------------------------------


def written(ax):
    return "".join(text.get_text() for text in ax.texts)


def shown(ax):
    values = ax.collections[0].get_array()
    return values.compressed() if np.ma.isMaskedArray(values) else values[~np.isnan(values)]


def test_text_is_written_on_its_surprisal():
    weights = np.arange(1.0, len(CHARS) + 2)
    model = unigram(CHARS, end=True, weights=weights)
    ax = plot.surprisal(model, "ab é\ncc".replace("\n", "."))
    assert written(ax) == "abé.cc■"
    bits = -model.log_prob_terms("ab é.cc") / math.log(2)
    assert shown(ax) == pytest.approx(bits)
    assert ax.get_title(loc="left") == f"mean {bits.mean():.3g} bits per character"
    assert ax.figure.axes[-1].get_ylabel() == "surprisal [bits]"
    nats = plot.surprisal(model, "ab é.cc", unit="nats")
    assert shown(nats) == pytest.approx(bits * math.log(2))


def test_bytes_are_joined_to_characters():
    model = unigram(BYTES, weights=np.arange(1.0, 257.0))
    text = "é日\n日$_^"
    ax = plot.surprisal(model, text)
    terms = -model.log_prob_terms(text) / math.log(2)
    joined = [terms[0:2].sum(), terms[2:5].sum(), terms[5], terms[6:9].sum(), *terms[9:]]
    assert shown(ax) == pytest.approx(joined)
    assert written(ax) == "é□↵□$_^"  # the font has no Chinese signs
    assert "per byte" in ax.get_title(loc="left")
    ax.figure.canvas.draw()


def test_bytes_that_are_no_text_are_drawn():
    ax = plot.surprisal(unigram(BYTES), torch.tensor([65, 255, 66]))
    assert written(ax) == "A\ufffdB"


def test_words_have_one_value_and_unknown_ones_show():
    model = unigram(Vocabulary.build(["red fish"], "word"), weights=[1.0, 2.0, 5.0])
    ax = plot.surprisal(model, "red fish dog")
    assert written(ax) == "redfish<unk>"
    terms = -model.log_prob_terms("red fish dog") / math.log(2)
    assert shown(ax) == pytest.approx(np.repeat(terms, [3, 4, 5]))


def test_long_text_wraps_between_words_and_is_cut_at_the_limit():
    ax = plot.surprisal(unigram(CHARS), "abc " * 600, limit=1000)
    assert "the first 1,000 characters are shown" in ax.get_title(loc="left")
    rows = {}
    for text in ax.texts:
        rows.setdefault(text.get_position()[1], []).append(text.get_text())
    assert all(len(row) % 3 == 0 for row in rows.values())
    assert max(text.get_position()[0] for text in ax.texts) < 84


def test_impossible_symbols_are_the_darkest():
    model = unigram(CHARS, weights=[0.0] + [1.0] * (len(CHARS) - 1))
    ax = plot.surprisal(model, "b b  .")  # the space has probability zero
    assert shown(ax).max() == pytest.approx(math.log2(len(CHARS) - 1))
    assert "mean inf bits" in ax.get_title(loc="left")


def test_numbers_are_drawn_along_their_index():
    ax = plot.surprisal(GaussianAR(given=1), SERIES)
    terms = GaussianAR(given=1).log_prob_terms(SERIES)
    assert ax.lines[0].get_ydata() == pytest.approx(-terms.to_numpy())
    assert ax.get_ylabel() == "surprisal (of a density) [nats]"
    assert len(ax.lines[0].get_xdata()) == 3
    counts = plot.surprisal(PoissonAR(), [1, 2, 0])
    assert counts.get_ylabel() == "surprisal [bits]"
    sites = plot.surprisal(Chain([[0.5, 0.5]] * 2, length=3), [0, 1, 1])
    assert sites.get_xlabel() == "element, in order of generation"


def test_one_sequence_is_drawn():
    with pytest.raises(DataError, match=r"got 2\. Choose one"):
        plot.surprisal(unigram(CHARS), ["a", "b"])
    with pytest.raises(ParameterError, match="unit must be one of"):
        plot.surprisal(unigram(CHARS), "a", unit="bans")
