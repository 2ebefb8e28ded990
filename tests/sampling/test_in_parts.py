"""Sequences of several parts: one alphabet, one law of whole items."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import arproc
from arproc import NGram, Training, Transformer
from arproc.errors import DataError, ParameterError
from arproc.parts import InParts, Levels, Parts, Text

PAIRS = [("ab", [0, 1]), ("b", [1, 1]), ("aab", [0, 0]), ("", [1, 0])] * 5
PARTS = Parts({"name": Text.of(["ab"]), "code": Levels((2,), 2)})


def plain(item: tuple) -> tuple:
    return tuple(part.tolist() if isinstance(part, np.ndarray) else part for part in item)


THREE = Parts({"image": Levels((2, 2), 3), "label": Levels((), 4), "text": Text.of(["uv"])})
ITEM = ([[0, 2], [1, 1]], 3, "vu")


@pytest.mark.parametrize(("parts", "items"), [(PARTS, PAIRS), (THREE, [ITEM])])
def test_items_come_back(parts, items):
    rows = parts.encode(items)
    assert [plain(item) for item in parts.decode(rows)] == [plain(item) for item in items]
    allowed, leads = parts.states
    for row in rows:
        state = 0
        for symbol in (*row, parts.size):
            assert allowed[state, symbol]
            state = leads[state, symbol]


def test_prefixes_and_draws_end_anywhere():
    for parts, item in ((PARTS, PAIRS[0]), (THREE, ITEM)):
        row = parts.encode([item])[0]
        for length in range(len(row) + 1):
            cut = parts.decode([row[:length]])[0]
            assert np.array_equal(parts.prefix(*cut), row[:length])
    assert np.array_equal(PARTS.prefix("ab", None), PARTS.encode([PAIRS[0]])[0][:3])


def ngram() -> arproc.Process:
    return NGram(3, "witten_bell", PARTS.tokens).fit(PARTS.encode(PAIRS))


def transformer() -> arproc.Process:
    plan = Training(steps=10, batch_size=8, lr=0.01)
    model = Transformer(1, 2, 16, block=12, tokens=PARTS.tokens, training=plan)
    return model.fit(PARTS.encode(PAIRS))


def other() -> arproc.Process:
    return NGram(2, "witten_bell", 4).fit([0, 1, 2])


@pytest.mark.parametrize("make", [ngram, transformer])
def test_whole_items_have_all_of_the_probability(make):
    model = make()
    law = model.with_policy(InParts(PARTS))
    names = ["".join(c) for n in range(7) for c in itertools.product("ab", repeat=n)]
    items = [(name, list(code)) for name in names for code in itertools.product((0, 1), repeat=2)]
    mass = np.exp(law.log_prob(PARTS.encode(items)))
    # what is left are longer names: all names of seven letters and more, told by their beginnings
    longer = [PARTS.prefix("".join(c)) for c in itertools.product("ab", repeat=7)]
    rest = np.exp(law.log_prob(longer, complete=False)).sum()
    assert mass.sum() + rest == pytest.approx(1, abs=1e-5)
    assert (mass >= np.exp(model.log_prob(PARTS.encode(items))) - 1e-12).all()
    drawn = law.sample(20, seed=0)
    assert all(len(item) == 2 and len(item[1]) == 2 for item in PARTS.decode(drawn))


def test_what_stands_in_the_wrong_place_has_no_probability():
    law = ngram().with_policy(InParts(PARTS))
    row = PARTS.encode([("ab", [0, 1])])[0]
    for wrong in (row[:-1], row[::-1], np.r_[row, row[-1]], row[[0, 1, 3, 4]], row[:0]):
        assert law.log_prob(wrong.tolist()) == -np.inf
        assert not len(wrong) or len(wrong) == 4 or _refused(wrong)


def _refused(row: np.ndarray) -> bool:
    try:
        return len(PARTS.decode([row])[0]) < 2 or len(row) == 4
    except DataError:
        return True


def test_the_second_part_given_the_first_and_back():
    sums = Parts({"source": Text.of(["one two"], "word"), "target": Text.of(["un deux"], "word")})
    pairs = [("one two", "un deux"), ("two", "deux"), ("one", "un"), ("two one", "deux un")] * 6
    model = NGram(6, "witten_bell", sums.tokens).fit(sums.encode(pairs))
    law = model.with_policy(InParts(sums))
    known = sums.prefix("two one", None)
    draws = sums.decode(law.sample(20, prefix=known, seed=0), known)
    assert np.mean([draw == ("two one", "deux un") for draw in draws]) > 0.5
    # p(target | source) is the likelihood after the prefix, and the joint law over its marginal
    after = law.condition(known).log_prob(sums.encode([("two one", "deux un")])[0][len(known) :])
    joint = law.log_prob(sums.encode([("two one", "deux un")])[0])
    assert after == pytest.approx(joint - law.log_prob(known, complete=False))
    sources = ["one two", "two", "one", "two one"]
    scores = law.log_prob(sums.encode([(source, "deux") for source in sources]))
    assert sources[int(np.argmax(scores))] == "two"


def test_it_is_saved(tmp_path):
    law = ngram().with_policy(InParts(PARTS))
    law.save(tmp_path / "law")
    rows = PARTS.encode(PAIRS[:4])
    assert np.array_equal(arproc.load(tmp_path / "law").log_prob(rows), law.log_prob(rows))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: PARTS.encode([("ab",)]), DataError, r"items\[0\] has 1 parts; expected 2"),
        (lambda: PARTS.encode(["ab"]), DataError, r"items\[0\] is a str"),
        (lambda: PARTS.encode([("ac", [0, 1])]), DataError, r"items\[0\], name: .*'c'"),
        (lambda: PARTS.encode([("ab", [0, 2])]), DataError, r"code: .* has 2|have 2"),
        (lambda: PARTS.encode([("ab", [0])]), DataError, "expected \\(2,\\)"),
        (lambda: PARTS.prefix("ab", [0], 3), DataError, "known has 3 parts"),
        (lambda: PARTS.decode([[3, 3]]), DataError, r"rows\[0\]"),
        (lambda: Parts({}), ParameterError, "dict of parts"),
        (lambda: Parts({"a": "char"}), ParameterError, "the part 'a'"),
        (lambda: other().with_policy(InParts(PARTS)), ParameterError, r"tokens=parts\.tokens"),
        (lambda: ngram().with_policy(InParts(3)), ParameterError, "parts must be"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()
