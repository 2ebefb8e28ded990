"""The ragged container: padding, blocks, batches, selection, ends and layouts."""

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given

from arproc import Layout, Sequences
from arproc.errors import DataError
from arproc.spaces import Binary, Categorical, Count, Ordinal, Real, RealVector

ragged = st.lists(st.lists(st.integers(0, 4), max_size=6), min_size=1, max_size=8)
ENDING, STREAM = Categorical(6, end_symbol=5), Categorical(5)


def build(rows: list[list[int]], space=ENDING, complete=None) -> Sequences:
    values = torch.tensor([x for row in rows for x in row], dtype=torch.int64)
    offsets = torch.tensor([0, *np.cumsum([len(row) for row in rows])])
    return Sequences(values, offsets, space, complete)


@given(rows=ragged, data=st.data())
def test_padding_with_ends_and_by_blocks_of_columns(rows, data):
    complete = torch.tensor(data.draw(st.lists(st.booleans(), min_size=len(rows), max_size=len(rows))))  # fmt: skip # noqa: E501
    batch = build(rows, ENDING, complete)
    ended = [row + [5] * int(done) for row, done in zip(rows, complete.tolist(), strict=True)]
    assert batch.n_terms.tolist() == [len(row) for row in ended]
    for ends, want in ((False, rows), (True, ended)):
        width = max(map(len, want))
        full = [row + [0] * (width - len(row)) for row in want]
        x, lengths = batch.padded(ends=ends)
        assert x.tolist() == full
        assert lengths.tolist() == [len(row) for row in want]
        chosen = data.draw(st.lists(st.sampled_from(range(len(rows))), min_size=1, max_size=4))
        some = batch.padded(torch.tensor(chosen), ends=ends)[0]
        assert some.tolist() == [full[i][: some.shape[1]] for i in chosen]
        begin = data.draw(st.integers(0, width))
        stop = data.draw(st.integers(begin, width))
        block = batch.padded(ends=ends, columns=(begin, stop))[0]
        assert block.tolist() == [row[begin:stop] for row in full]


@given(complete=st.lists(st.booleans(), min_size=1, max_size=5), length=st.integers(0, 3))
def test_some_of_equal_lengths_have_an_end(complete, length):
    rows = [[i % 5] * length for i in range(len(complete))]
    x, lengths = build(rows, ENDING, torch.tensor(complete)).padded(ends=True)
    wide = length + any(complete)
    assert x.tolist() == [
        (row + [5] * done + [0])[:wide] for row, done in zip(rows, complete, strict=True)
    ]
    assert lengths.tolist() == [length + done for done in complete]


@pytest.mark.parametrize("event", [(), (2,)])
@given(gaps=st.lists(st.lists(st.sampled_from(["see", "part", "none"]), max_size=5), min_size=1))
def test_elements_that_were_not_observed_at_all_are_counted(event, gaps):
    """An element of which a part was seen is none of them."""
    shape = (sum(map(len, gaps)), *event)
    kinds = [kind for row in gaps for kind in row]
    values = torch.ones(shape, dtype=torch.float64)
    for i, kind in enumerate(kinds):
        if kind == "none":
            values[i] = torch.nan
        elif kind == "part" and event:
            values[i, 1] = torch.nan
    offsets = torch.tensor([0, *np.cumsum([len(row) for row in gaps])])
    space = RealVector(dimension=2) if event else Real()
    batch = Sequences(values, offsets, space, missing=True)
    least = min(len(row) for row in gaps)
    for first in {0, least}:
        want = [len(row[first:]) - row[first:].count("none") for row in gaps]
        assert batch.n_scored(first).tolist() == want
        flat = [kind != "none" for row in gaps for kind in row[first:]]
        assert batch.scored(first).tolist() == flat
    whole = Sequences(values, offsets, space)
    assert whole.n_scored(0).tolist() == [len(row) for row in gaps]


@given(rows=ragged, elements=st.integers(1, 20), most=st.integers(1, 5))
def test_batches_hold_every_row_once_and_keep_their_bounds(rows, elements, most):
    batch = build(rows, STREAM)
    batches = list(batch.batches(elements, most))
    assert sorted(torch.cat(batches).tolist()) == list(range(len(rows)))
    for part in batches:
        longest = max(len(rows[i]) for i in part.tolist())
        assert 1 <= len(part) <= most
        assert len(part) == 1 or len(part) * longest <= elements


@given(rows=ragged, data=st.data())
def test_select_and_rows(rows, data):
    batch = build(rows)
    for i, row in enumerate(rows):
        assert batch.row(i).tolist() == row
    chosen = data.draw(st.lists(st.sampled_from(range(len(rows))), max_size=4))
    part = batch.select(torch.tensor(chosen, dtype=torch.int64))
    assert len(part) == len(chosen)
    assert [part.row(i).tolist() for i in range(len(part))] == [rows[i] for i in chosen]


@given(rows=ragged, count=st.integers(0, 3))
def test_splitting_off_given_values(rows, count):
    batch = build(rows, STREAM)
    shortest = min(range(len(rows)), key=lambda i: len(rows[i]))
    if len(rows[shortest]) < count:
        with pytest.raises(DataError, match=f"sequence {shortest} has {len(rows[shortest])} el"):
            batch.split_prefix(count)
        return
    head, rest = batch.split_prefix(count)
    assert head.tolist() == [row[:count] for row in rows]
    assert [rest.row(i).tolist() for i in range(len(rows))] == [row[count:] for row in rows]


def test_events_of_vectors_are_padded_with_zeros():
    batch = Sequences.of([np.ones((2, 3)), np.ones((1, 3))], RealVector(dimension=3))
    x, lengths = batch.padded()
    assert x.shape == (2, 2, 3)
    assert lengths.tolist() == [2, 1]
    assert x[1, 1].tolist() == [0.0, 0.0, 0.0]
    assert x.dtype == torch.float64


@pytest.mark.parametrize("columns", [None, (0, 2), (1, 3)])
def test_padding_behind_missing_values_is_zero(columns):
    """Also where the first value of all, which fills the padding before, is missing."""
    rows = [[torch.nan], [1.0, torch.nan, 2.0]]
    batch = Sequences.of(rows, Real(), missing=True)
    assert batch.missing
    want = np.array([[np.nan, 0.0, 0.0], [1.0, np.nan, 2.0]])
    x, lengths = batch.padded(columns=columns)
    np.testing.assert_array_equal(x, want if columns is None else want[:, slice(*columns)])
    assert lengths.tolist() == [1, 3]


@pytest.mark.parametrize("seen", [[1, 1, 1, 1], [1, 0, 1, 1], [0, 0, 0, 0]], ids=str)
def test_examples_note_which_sites_were_observed_where_some_were_not(seen):
    batch = Sequences.of(np.ones((2, 2)), Binary(length=2), layout=Layout((2,)))
    sites = torch.tensor(seen).bool().reshape(2, 2)
    noted = batch.observed(sites)
    assert batch.seen is None
    assert noted.seen is None if all(seen) else torch.equal(noted.seen, sites)
    assert torch.equal(noted.values, batch.values)


def test_terms_of_a_stream_are_its_elements():
    batch = build([[1, 2], []], STREAM)
    assert batch.n_terms.tolist() == batch.lengths.tolist() == [2, 0]
    assert batch.term_offsets.tolist() == [0, 2, 2]
    assert build([[1, 2], []]).term_offsets.tolist() == [0, 3, 4]


def test_gradients_flow_through_padding():
    x = [torch.tensor([1.0, 2.0], requires_grad=True), torch.tensor([3.0], requires_grad=True)]
    padded, _ = Sequences.of(x, Real()).padded()
    (padded * torch.tensor([[1.0, 10.0], [100.0, 1000.0]])).sum().backward()
    assert [part.grad.tolist() for part in x] == [[1.0, 10.0], [100.0]]


# ---- layouts -----------------------------------------------------------------------------------


@given(data=st.data(), shape=st.lists(st.integers(1, 3), min_size=1, max_size=3))
def test_a_layout_is_a_bijection(data, shape):
    size = int(np.prod(shape))
    order = data.draw(st.permutations(range(size)) | st.none())
    layout = Layout(tuple(shape), None if order is None else tuple(order))
    x = torch.randn(2, *shape, 2, generator=torch.Generator().manual_seed(0))
    sites = layout.to_sites(x)
    assert sites.shape == (2, size, 2)
    assert torch.equal(layout.from_sites(sites), x)
    flat = x.reshape(2, size, 2)
    assert torch.equal(sites, flat if order is None else flat[:, list(order)])
    for n in (0, 1):
        assert layout.from_sites(layout.to_sites(x[:n])).shape == (n, *shape, 2)


@pytest.mark.parametrize("order", [(0, 0, 1), (0, 1), (0, 1, 3), (1, 2, 3)])
def test_an_order_that_is_no_permutation_is_refused(order):
    with pytest.raises(ValueError, match=r"order must be a permutation of 0 \.\.\. 2"):
        Layout((3,), order)


def test_a_layout_goes_out_and_back_through_sequences():
    layout = Layout((2, 2), (3, 0, 1, 2))
    x = np.array([[[1, 0], [1, 1]], [[0, 0], [0, 1]]], dtype=np.uint8)
    batch = Sequences.of(x, Binary(length=4), layout=layout)
    assert batch.row(0).tolist() == [1, 1, 0, 1]
    np.testing.assert_array_equal(batch.restore(layout), x)


def test_what_a_sequence_says_of_itself():
    assert repr(build([[1, 2], []])) == ("Sequences(n=2, elements=2, categorical with 6 symbols)")


# ---- and back ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "space"),
    [
        (np.array([[1.0, 2.0], [3.0, 4.0]]), Real()),
        (torch.tensor([[1.0, 2.0], [3.0, 4.0]], dtype=torch.float64), Real()),
        (np.array([1, 2, 0]), Categorical(3)),
        (np.arange(12.0).reshape(2, 3, 2), RealVector(dimension=2)),
        (np.array([[0, 1], [1, 1]], dtype=np.uint8), Binary()),
        (np.array([3, 0]), Count()),
        (np.array([[255, 0]], dtype=np.uint8), Ordinal()),
    ],
    ids=lambda x: getattr(x, "kind", ""),
)
def test_restoring_gives_back_what_came(data, space):
    back = Sequences.of(data, space).restore()
    assert type(back) is type(data)
    assert back.dtype == data.dtype
    np.testing.assert_array_equal(back, data)


def test_restoring_ragged_data_gives_a_list():
    back = Sequences.of([[1.0, 2.0], [3.0]], Real()).restore()
    assert [x.tolist() for x in back] == [[1.0, 2.0], [3.0]]
    tensors = Sequences.of([torch.tensor([1.0, 2.0]), torch.tensor([3.0])], Real()).restore()
    assert all(isinstance(x, torch.Tensor) for x in tensors)
