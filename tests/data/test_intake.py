"""Every form in which data may come, that it is read as meant, and how results go back."""

import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from toys import Bits, Chain, Letters, Levels, Linear, Walk

import arproc
from arproc import Sequences
from arproc.data.form import Form
from arproc.data.vocabulary import Vocabulary
from arproc.spaces import Categorical, Real

WALK = Walk().fit([0.0])
X = [1.0, -2.0, 0.5]
WANT = WALK.log_prob(X)

INTEGERS = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]
FLOATS = ["float16", "float32", "float64", "longdouble"]


def backwards(x: np.ndarray) -> np.ndarray:
    return x[::-1].copy()[::-1]


def read_only(x: np.ndarray) -> np.ndarray:
    x = x.copy()
    x.flags.writeable = False
    return x


LAYOUTS = {
    "plain": lambda x: x,
    "negative strides": backwards,
    "every other": lambda x: np.repeat(x, 2)[::2],
    "Fortran": lambda x: np.asfortranarray(np.stack([x, x]))[0],
    "read-only": read_only,
    "big-endian": lambda x: x.astype(x.dtype.newbyteorder(">")),
    "little-endian": lambda x: x.astype(x.dtype.newbyteorder("<")),
}


# ---- numbers -----------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", sorted(LAYOUTS))
@pytest.mark.parametrize("dtype", [*INTEGERS, *FLOATS, "bool"])
def test_arrays_of_every_dtype_and_layout_in_memory(dtype, layout):
    x = np.array([1, 0, 1], dtype=dtype)
    given = LAYOUTS[layout](x)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert WALK.log_prob(given) == WALK.log_prob([1.0, 0.0, 1.0])
        chain = Chain(2).fit([0])
        assert chain.log_prob(given) == chain.log_prob([1, 0, 1])
        bits = Bits((3,)).fit([[0, 0, 1]])
        assert bits.log_prob(given) == bits.log_prob([1, 0, 1])
    np.testing.assert_array_equal(given.astype(float), [1, 0, 1])


@pytest.mark.parametrize("dtype", [*(getattr(torch, d) for d in INTEGERS), torch.float16,
                                   torch.bfloat16, torch.float32, torch.float64, torch.bool])  # fmt: skip # noqa: E501
def test_tensors_of_every_dtype(dtype):
    x = torch.tensor([1, 0, 1]).to(dtype)
    for process in (WALK, Chain(2).fit([0]), Bits((3,)).fit([[0, 0, 1]])):
        got = process.log_prob(x)
        assert isinstance(got, torch.Tensor)
        assert float(got) == process.log_prob([1, 0, 1])
    assert float(WALK.log_prob(x.repeat(2)[::2])) == WALK.log_prob([1, 1, 0])


@pytest.mark.parametrize(
    "one",
    [X, tuple(X), np.array(X), torch.tensor(X, dtype=torch.float64), pd.Series(X), pd.Index(X),
     [np.float64(x) for x in X], [torch.tensor(x, dtype=torch.float64) for x in X]],
    ids=lambda x: type(x).__name__,
)  # fmt: skip
def test_one_sequence_in_every_form(one):
    got = WALK.log_prob(one)
    assert float(got) == pytest.approx(WANT)
    assert isinstance(got, torch.Tensor if isinstance(one, torch.Tensor) else float)


def test_a_single_number_is_a_sequence_of_one():
    for one in (1.0, np.float32(1.0), np.array(1.0), torch.tensor(1.0)):
        assert float(WALK.log_prob(one)) == WALK.log_prob([1.0])


@pytest.mark.parametrize(
    "many",
    [[X, X[:1]], (X, tuple(X[:1])), [np.array(X), np.array(X[:1])], [np.array(X), X[:1]],
     [pd.Series(X), pd.Series(X[:1])], [torch.tensor(X, dtype=torch.float64), X[:1]]],
    ids=lambda x: type(x[0]).__name__,
)  # fmt: skip
def test_ragged_sequences_in_every_form(many):
    got = WALK.log_prob(many)
    assert isinstance(got, np.ndarray)
    assert got.dtype == np.float64
    np.testing.assert_allclose(got, [WANT, WALK.log_prob(X[:1])])
    terms = WALK.log_prob_terms(many)
    assert [len(t) for t in terms] == [3, 1]


def test_what_a_two_dimensional_array_means_is_settled_by_the_space():
    x = np.arange(6.0).reshape(3, 2)
    assert WALK.log_prob(x).shape == (3,)  # [N, T]
    linear = Linear().fit(x)
    assert isinstance(linear.log_prob(x), float)  # [T, d]
    assert linear.log_prob(x[None]).shape == (1,)
    assert linear.log_prob([x, x[:1]]).shape == (2,)
    assert linear.log_prob(x.tolist()) == linear.log_prob(x)
    bits = Bits((2, 3)).fit(np.zeros((1, 2, 3)))
    assert isinstance(bits.log_prob(np.zeros((2, 3))), float)
    images = Levels((3, 4)).fit(np.zeros((5, 3, 4), dtype=np.uint8))
    assert images.log_prob(np.zeros((5, 3, 4), dtype=np.uint8)).shape == (5,)
    assert images.log_prob(list(np.zeros((5, 3, 4), dtype=np.uint8))).shape == (5,)


def test_reading_copies_nothing_that_needs_no_copy():
    x = np.ones(1000)
    assert Sequences.of(x, Real()).values.data_ptr() == x.ctypes.data


# ---- pandas ------------------------------------------------------------------------------------

INDEXES = {
    "days": pd.date_range("2024-01-01", periods=3),
    "zoned": pd.date_range("2024-03-30", periods=3, tz="Europe/Paris"),
    "months": pd.period_range("2024-01", periods=3, freq="M"),
    "labels": pd.Index(["a", "b", "c"], name="place"),
    "spans": pd.to_timedelta([1, 2, 3], unit="h"),
}


@pytest.mark.parametrize("kind", sorted(INDEXES))
def test_a_series_keeps_its_index_and_name(kind):
    series = pd.Series(X, index=INDEXES[kind], name="level")
    terms = WALK.log_prob_terms(series)
    assert isinstance(terms, pd.Series)
    assert terms.name == "level"
    assert terms.index.equals(series.index)
    assert terms.sum() == pytest.approx(WANT)
    given = Walk(given=True).fit(X).log_prob_terms(series)
    assert given.index.equals(series.index[1:])
    both = WALK.log_prob_terms([series, series[:1]])
    assert [t.index.equals(series.index[: len(t)]) for t in both] == [True, True]


@pytest.mark.parametrize("dtype", ["Int64", "Int8", "UInt16", "Float64", "Float32", "boolean", "float32", "int16"])  # fmt: skip # noqa: E501
def test_nullable_dtypes(dtype):
    series = pd.Series([1, 0, 1]).astype(dtype)
    assert WALK.log_prob(series) == WALK.log_prob([1.0, 0.0, 1.0])
    table = pd.DataFrame({"a": series, "b": pd.Series([0.5, 1.0, 2.0])})
    np.testing.assert_allclose(
        WALK.log_prob(table), [WALK.log_prob([1, 0, 1]), WALK.log_prob([0.5, 1, 2])]
    )


def test_a_frame_is_a_panel_for_scalars_and_a_series_of_vectors_for_vectors():
    table = pd.DataFrame(
        {"a": X, "b": [0.0, 1.0, 2.0]}, index=pd.date_range("2024-01-01", periods=3)
    )
    np.testing.assert_allclose(WALK.log_prob(table), [WANT, WALK.log_prob([0.0, 1.0, 2.0])])
    terms = WALK.log_prob_terms(table)
    assert isinstance(terms, pd.DataFrame)
    assert terms.index.equals(table.index)
    assert list(terms.columns) == ["a", "b"]
    given = Walk(given=True).fit(X).log_prob_terms(table)
    assert given.index.equals(table.index[1:])

    linear = Linear().fit(table)
    assert isinstance(linear.log_prob(table), float)
    terms = linear.log_prob_terms(table)
    assert isinstance(terms, pd.Series)
    assert terms.index.equals(table.index)


def test_vectors_of_several_frames_keep_the_names_of_their_components():
    frames = [
        pd.DataFrame(np.arange(2.0 * n).reshape(n, 2), columns=["x", "y"]) for n in (3, 1, 2)
    ]
    batch = Linear().fit(frames).sequences(frames)
    assert batch.form.components == ("x", "y")
    back = batch.form.per_element(batch.values, batch.offsets)
    for came, went in zip(back, frames, strict=True):
        pd.testing.assert_frame_equal(came, went)


def test_text_goes_where_it_is_sent():
    space = Letters("abc").fit("abc").space
    for text in ("abba", ["ab", "c"]):
        batch = Sequences.of(text, space, device=torch.device("meta"))
        assert batch.values.device.type == "meta"
        assert Sequences.of(text, space).values.device.type == "cpu"


def test_columns_of_one_name_and_of_two_levels():
    twins = pd.DataFrame(np.arange(6.0).reshape(3, 2), columns=["x", "x"])
    assert WALK.log_prob_terms(twins).shape == (3, 2)
    levels = pd.DataFrame(np.arange(6.0).reshape(3, 2), columns=[["g", "g"], ["a", "b"]])
    assert list(WALK.log_prob_terms(levels).columns) == [("g", "a"), ("g", "b")]


def test_the_term_of_an_end_has_no_label_of_the_users():
    process = Chain(3, end=True).fit([0, 1])
    terms = process.log_prob_terms(pd.Series([0, 1], index=["p", "q"]))
    assert len(terms) == 3
    table = process.log_prob_terms(pd.DataFrame({"a": [0, 1], "b": [1, 1]}, index=["p", "q"]))
    assert table.shape == (3, 2)
    assert list(table.columns) == ["a", "b"]


# ---- text --------------------------------------------------------------------------------------


def test_text_as_a_string_strings_symbols_or_a_file(tmp_path):
    model = Letters("ab\n").fit("ab")
    one = model.log_prob("abba")
    assert isinstance(one, float)
    assert model.log_prob(["abba", "a"])[0] == one
    assert model.log_prob(("abba",)).shape == (1,)
    assert model.log_prob([["a", "b", "b", "a"], ["a"]])[0] == one
    assert model.log_prob([[0 + 1, 2, 2, 1]])[0] == one  # the numbers themselves: \n is 0
    file = tmp_path / "some.txt"
    file.write_text("abba", encoding="utf-8")
    assert model.log_prob(file) == one


def test_a_column_or_an_array_of_texts():
    model = Letters().fit("ab")
    want = model.log_prob(["abba", "", "b"])
    texts = pd.Series(["abba", "", "b"], index=[5, 6, 9])
    for given in (texts, texts.astype(object), texts.to_numpy(), np.array(["abba", "", "b"])):
        np.testing.assert_array_equal(model.log_prob(given), want)
        learnt = arproc.NGram(1, tokens="char", smoothing="additive").fit(given)
        assert learnt.space.vocabulary.symbols == ("a", "b")
    assert [len(t) for t in model.log_prob_terms(texts)] == [5, 1, 2]


def test_lines_are_the_sequences_of_a_file_of_words(tmp_path):
    vocabulary = Vocabulary.build(["a rose is a rose"], "word")
    space = Categorical(6, vocabulary, end_symbol=5)
    file = tmp_path / "lines.txt"
    file.write_text("a rose\n\nis a daisy\n", encoding="utf-8")
    batch = Sequences.of(file, space)
    assert batch.lengths.tolist() == [2, 0, 3]
    assert batch.restore() == ["a rose", "", "is a <unk>"]


def test_lists_of_symbols_that_are_no_text():
    vocabulary = Vocabulary(("left", "right"), "symbols")
    space = Categorical(2, vocabulary)
    single = Sequences.of(["left", "right", "left"], space)
    assert single.form.single
    assert single.values.tolist() == [0, 1, 0]
    several = Sequences.of([["left"], ["right", "left"]], space)
    assert several.lengths.tolist() == [1, 2]
    assert several.restore() == [["left"], ["right", "left"]]


def test_a_file_of_bytes_is_mapped_and_not_read(tmp_path):
    file = tmp_path / "big.bin"
    with file.open("wb") as f:
        f.truncate(2**40)  # a sparse file of a tebibyte: reading it would be noticed
    model = Letters(kind="byte", end=False).fit("ab")
    batch = model.sequences(file)
    assert batch.lengths.tolist() == [2**40]
    assert batch.values.dtype == torch.uint8
    assert batch.padded(columns=(2**39, 2**39 + 4))[0].tolist() == [[0, 0, 0, 0]]


def test_scoring_a_mapped_file_reads_it_by_blocks_and_writes_nothing_back(tmp_path):
    file = tmp_path / "some.bin"
    content = np.random.default_rng(0).integers(0, 256, 40_000).astype(np.uint8).tobytes()
    file.write_bytes(content)
    model = Letters(kind="byte", end=False).fit("ab")
    want = model.log_prob(np.frombuffer(content, np.uint8))
    assert model.log_prob(file) == pytest.approx(want)
    assert len(model.log_prob_terms(file)) == 40_000
    assert file.read_bytes() == content


def test_results_for_a_tensor_go_back_to_its_device():
    """The meta device stands for a second one: it holds shapes only, and every machine has it."""
    meta = torch.device("meta")
    form = Form("tensor", device=meta)
    offsets = torch.tensor([0, 2, 3])
    assert form.per_row(torch.ones(2)).device == meta
    assert [part.device for part in form.per_element(torch.ones(3), offsets)] == [meta, meta]
    batch = Sequences.of(torch.ones(2, 3), Real(), device="cpu")
    assert batch.form.device == batch.values.device == torch.device("cpu")
    batch.form = form
    assert batch.restore().device == meta
    assert batch.select(torch.tensor([1])).form.device == meta
