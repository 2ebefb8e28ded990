"""Bad input: every kind gets an error of ours: what came, what was expected, what to do."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from toys import Bits, Chain, Counter, Letters, Levels, Linear, Walk, fitted

from arproc.data.vocabulary import Vocabulary
from arproc.errors import ArprocError, DataError

WALK, CHAIN, COUNTER = Walk().fit([0.0]), Chain(3).fit([0]), Counter().fit([1])
LINEAR, BITS, LETTERS = Linear().fit(np.zeros((1, 2))), Bits().fit([[0, 1, 0, 1]]), Letters().fit("ab")  # fmt: skip # noqa: E501
LEVELS, ENDS = Levels().fit(np.zeros((1, 2, 2), int)), Chain(3, end=True).fit([0])
BYTES = Letters(kind="byte", end=False).fit("ab")
NAN, INF = float("nan"), float("inf")

CASES = [
    # process, data, what the message says
    (WALK, [], "data has no elements"),
    (WALK, [[]], r"data has no elements \(sequence 0 is empty\)"),
    (WALK, [[1.0], []], r"data has no elements \(sequence 1 is empty\)"),
    (WALK, np.zeros((0, 3)), "data is empty; expected at least one sequence"),
    (WALK, np.zeros((3, 0)), "data has no elements"),
    (WALK, pd.DataFrame(), "data is empty|data has no elements"),
    (WALK, pd.Series([], dtype=float), "data has no elements"),
    (WALK, [1.0, NAN, 2.0], r"1 value\(s\) that are not finite \(NaN; the first at element 1\)"),
    (WALK, [1.0, INF, -INF], r"2 value\(s\) that are not finite \(infinity; .* element 1\)"),
    (WALK, torch.tensor([NAN]), "not finite"),
    (WALK, pd.Series([1.0, None]), "not finite"),
    (WALK, pd.Series([1, None], dtype="Int64"), "not finite"),
    (WALK, pd.DataFrame({"a": [1.0, NAN]}), "not finite"),
    (WALK, np.array([NAN], dtype=np.float16), "not finite"),
    (WALK, [1e308, 1e308, INF], "not finite"),
    (LINEAR, np.array([[0.0, NAN]]), "not finite"),
    (WALK, "some text", "data is text; expected numbers: the model's elements are real"),
    (WALK, ["1.0", "2.0"], "data is text; expected numbers: the model's elements are real"),
    (WALK, Path("no/such/file"), "data is text; expected numbers: the model's elements are real"),
    (WALK, np.array(["1", "2"]), r"data is text; expected numbers.*astype\(float\)"),
    (WALK, b"bytes", "data has dtype .*; expected numbers"),
    (WALK, pd.Series(["a", "b"]), r"data is text; expected numbers.*astype\(float\)"),
    (WALK, pd.DataFrame({"a": [1.0], "b": ["x"]}), "columns of dtype .*; expected numbers"),
    (WALK, pd.Series(pd.date_range("2024", periods=2)), "dtype datetime64.*; expected numbers"),
    (WALK, pd.Series(["a", "b"], dtype="category"), "data is text; expected numbers"),
    (WALK, np.array(["2024-01-01"], dtype="datetime64[D]"), "dtype datetime64"),
    (WALK, [1.0, 2 + 1j], "complex"),
    (WALK, np.array([1j]), "data is complex .*; expected real numbers"),
    (WALK, torch.tensor([1j]), "data is complex .*; expected real numbers"),
    (WALK, np.array([1.0, None], dtype=object), "object array .of NoneType, float.*astype"),
    (WALK, [1.0, None], "object array"),
    (WALK, [10**30], "object array"),
    (WALK, {"a": 1.0}, "object array .of dict"),
    (WALK, {1.0, 2.0}, "object array .of set"),
    (WALK, None, "object array .of NoneType"),
    (WALK, (x for x in [NAN]), "not finite"),
    (WALK, lambda: 1.0, "object array .of function"),
    (WALK, np.zeros(2, dtype=[("a", float)]), "expected numbers"),
    (WALK, np.zeros((2, 2, 2)), r"shape \(2, 2, 2\), 3 axes .*; expected \[T\]"),
    (WALK, [np.zeros((2, 2))], r"data\[0\] holds 2 sequences; expected each item"),
    (WALK, torch.eye(2).to_sparse(), "sparse.*to_dense"),
    (WALK, [[1.0], ["a"]], r"data\[1\]"),
    (CHAIN, [0, 3], r"with 3 symbols\): expected symbols from 0 to 2, got values from 0 to 3"),
    (CHAIN, [-1, 0], "got values from -1 to 0"),
    (CHAIN, np.array([255], dtype=np.uint8), "got values from 255 to 255"),
    (CHAIN, np.array([2**63], dtype=np.uint64), "expected symbols from 0 to 2"),
    (CHAIN, torch.tensor([2**63], dtype=torch.uint64), r"2\^63 or more"),
    (CHAIN, np.array([2**62]), "expected symbols from 0 to 2"),
    (CHAIN, [0.5], "fractional part"),
    (CHAIN, [1e300], "expected symbols from 0 to 2"),
    (CHAIN, "ab", "expected numbers: the model's elements are categorical with 3 symbols"),
    (ENDS, [0, 2], "the end symbol 2 stands among the elements; .* leave it out"),
    (COUNTER, [1, -1], "expected counts 0, 1, 2 .*, got values from -1"),
    (COUNTER, [1.5], "expected counts .*fractional part"),
    (COUNTER, [1e20], "expected counts"),
    (BITS, [0, 1, 2, 0], "expected zeros and ones, got values from 0 to 2"),
    (BITS, [0, 1, 0.5, 0], "fractional part"),
    (BITS, [0, 1, 0], r"data has shape \(3,\); expected \[4\] for one example or \[N, 4\]"),
    (BITS, [[0, 1, 0]], r"data has shape \(1, 3\); expected \[4\]"),
    (BITS, [[0, 1, 0, 1], [0, 1]], r"data\[1\] has shape \(2,\); expected \[4\]"),
    (BITS, [[[0, 1], [1]]], "data"),
    (BITS, 1, r"data has shape .*expected \[4\]"),
    (LEVELS, np.zeros((3, 2), int), r"data has shape \(3, 2\); expected \[2, 2\]"),
    (LEVELS, np.full((2, 2), 5), "expected levels from 0 to 4"),
    (LINEAR, [1.0, 2.0], r"shape \(2,\); expected \[T, 2\] for one sequence or \[N, T, 2\]"),
    (LINEAR, np.zeros((4, 3)), r"data has shape \(4, 3\); expected \[T, 2\]"),
    (LINEAR, np.zeros((1, 1, 1, 2)), "4|3 axes before the element's own"),
    (LINEAR, pd.Series([1.0, 2.0]), r"expected \[T, 2\]"),
    (LINEAR, 3.0, r"expected \[T, 2\]"),
    (WALK, np.ma.array([1.0, 2.0], mask=[False, True]), r"1 masked value\(s\); fill or drop"),
    (LETTERS, [], "data is empty; expected at least one text"),
    (LETTERS, pd.Series(["ab", None]), r"its item 1 is none: nan .*dropna\(\)"),
    (LETTERS, pd.Series(["ab", "ax"]), "character 'x' at position 1 is not in the vocabulary"),
    (LETTERS, "abc", "data: .*character 'c' at position 2 is not in the vocabulary"),
    (LETTERS, ["ab", "x"], "data: .*character 'x' at position 0 is not in the vocabulary"),
    (LETTERS, [["a", "z"]], "'z' at position 1 is not in the vocabulary"),
    (LETTERS, ["ab", 3], "data"),
    (LETTERS, [["a"], ["b", 3]], "data"),
    (LETTERS, Path("no/such/file"), "data: there is no file 'no/such/file'"),
    (BYTES, "", "data has no elements"),
    (BYTES, Path("."), "data: there is no file '.'"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("process", "data", "message"),
    CASES,
    ids=[f"{type(p).__name__}-{i}" for i, (p, _, _) in enumerate(CASES)],
)
def test_bad_data_are_refused_in_words(process, data, message):
    with pytest.raises(DataError, match=message) as error:
        process.log_prob(data)
    assert isinstance(error.value, (ArprocError, ValueError))
    assert error.value.__cause__ is None


@pytest.mark.parametrize("call", ["fit", "score", "log_prob_terms", "conditionals", "sequences"])
def test_every_call_that_takes_data_checks_them(call):
    for process, data in ((WALK, [NAN]), (CHAIN, [0, 9]), (BITS, [1, 0])):
        fresh = process.clone() if call == "fit" else process
        with pytest.raises(DataError, match="data"):
            getattr(fresh, call)(data)


@pytest.mark.parametrize("call", ["conditional", "condition", "start"])
def test_prefixes_are_checked_and_named(call):
    for process, prefix in ((WALK, [NAN]), (CHAIN, [9]), (BITS, [[0] * 5]), (LETTERS, "q")):
        with pytest.raises(DataError, match="prefix"):
            getattr(process, call)(prefix)
    with pytest.raises(DataError, match="prefix"):
        WALK.sample(1, 2, prefix=[NAN])
    with pytest.raises(DataError, match="history has 1 value"):
        WALK.forecast([INF], 2)


def test_files(tmp_path):
    empty, latin = tmp_path / "empty.txt", tmp_path / "latin.txt"
    empty.touch()
    latin.write_bytes("café".encode("latin-1"))
    with pytest.raises(DataError, match=r"the file '.*empty.txt' is empty"):
        LETTERS.log_prob(empty)
    with pytest.raises(DataError, match=r"is not UTF-8 text \(byte 3\); re-encode it"):
        LETTERS.log_prob(latin)
    latin.write_text("c")
    with pytest.raises(DataError, match="'c' at position 0 is not in the vocabulary"):
        LETTERS.log_prob(latin)


def test_words_that_are_reserved():
    from arproc import Sequences
    from arproc.spaces import Categorical

    space = Categorical(3, Vocabulary.build(["a b"], "word"))
    with pytest.raises(DataError, match=r"data: .*special symbol '</s>'"):
        Sequences.of("a </s> b", space)


# ---- states ------------------------------------------------------------------------------------

TOYS = fitted()


@pytest.mark.parametrize("name", sorted(TOYS))
def test_states_check_shapes_rows_and_lengths(name):
    process, _ = TOYS[name]
    event = process.space.event_shape
    state = process.start(2)
    for x in (torch.zeros(3, *event), torch.zeros(2, *event, 4), torch.zeros(()), 1, [0.0]):
        with pytest.raises(DataError, match=r"x has shape .*; expected \[2"):
            state.append(x)
    for x in (torch.zeros(1, 2, *event), torch.zeros(2, 1, *event, 4), torch.zeros(2), 3):
        with pytest.raises(DataError, match=r"x has shape .*; expected \[2, K"):
            state.extend(x)
    x = torch.zeros(2, 2, *event)
    for lengths, message in (
        ([0, 3], r"lengths\[1\] is 3; expected 0 to 2"),
        ([-1, 0], r"lengths\[0\] is -1; expected 0 to 2"),
        ([1], "lengths has 1 entries; the state has 2 rows"),
    ):
        with pytest.raises(DataError, match=message):
            state.extend(x, lengths)
    longer = state.extend(x)[1]
    with pytest.raises(DataError, match=r"lengths\[0\] is 3; expected 0 to 2"):
        longer.truncate([3, 0])
    with pytest.raises(DataError, match="lengths has 3 entries"):
        longer.truncate([1, 1, 1])
    for rows in ([2], [-1], [0, 5]):
        with pytest.raises(DataError, match=r"rows go from .*; the state has rows 0 to 1"):
            longer.select(rows)
    with pytest.raises(DataError, match=r"rows is a mask of 3; the state has 2 rows"):
        longer.select([True, False, True])


def test_states_check_kinds():
    with pytest.raises(DataError, match="x has values with a fractional part"):
        CHAIN.start().append(torch.tensor([0.5]))
    with pytest.raises(DataError, match="x can not be read as numbers"):
        CHAIN.start().append("a")
    with pytest.raises(DataError, match="x can not be read as numbers"):
        WALK.start().extend([[None]])
    with pytest.raises(DataError, match="rows can not be read as numbers"):
        WALK.start().select(["a"])
    with pytest.raises(DataError, match="lengths can not be read as whole numbers"):
        WALK.start().append([1.0]).truncate(0.5)
    assert WALK.start(2).append([1, 2]).append(np.array([1.0, 2.0])).lengths.tolist() == [2, 2]
    assert CHAIN.start(2).append(torch.tensor([1.0, 2.0])).history.slots.tolist() == [[1], [2]]
