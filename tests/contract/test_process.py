"""What `Process` derives from the conditionals: likelihood, terms, conditionals, conditioning."""

import numpy as np
import pytest
import torch
from torch import distributions as td
from toys import Bits, Chain, Letters, Levels, Linear, Walk, enumerate_columns, fitted
from toys import teacher_forcing as by_hand

from arproc.contract import law as core
from arproc.distributions import index
from arproc.errors import DataError, NotFittedError, ParameterError, UnsupportedError
from arproc.process import Process

TOYS = fitted()
every = pytest.mark.parametrize("name", sorted(TOYS))


def flat(terms) -> list[np.ndarray]:
    return [np.asarray(t) for t in (terms if isinstance(terms, list) else [terms])]


@every
def test_terms_are_those_of_single_steps_and_sum_to_log_prob(name):
    process, data = TOYS[name]
    terms, whole = flat(process.log_prob_terms(data)), np.atleast_1d(process.log_prob(data))
    want = by_hand(process, data)
    assert [len(t) for t in terms] == [len(t) for t in want]
    for got, expected, total in zip(terms, want, whole, strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose(got.sum(), total, rtol=1e-12)
    assert process.score(data) == pytest.approx(whole.sum() / sum(map(len, want)))


@every
def test_rows_do_not_depend_on_their_company(name):
    process, data = TOYS[name]
    sequences = process.sequences(data)
    together = process.log_prob(sequences)
    for i in range(len(sequences)):
        alone = process.log_prob(sequences.select(torch.tensor([i, i])))
        np.testing.assert_allclose(alone, together[i] if len(sequences) > 1 else together)


@every
def test_chunks_and_batches_do_not_change_a_likelihood(name, monkeypatch):
    process, data = TOYS[name]
    whole = process.log_prob(data)
    monkeypatch.setattr(core, "_BLOCK_NUMBERS", 1)  # one column a chunk, one row a batch
    np.testing.assert_allclose(process.log_prob(data), whole, rtol=1e-12)


@every
def test_conditionals_are_the_columns_of_single_steps(name):
    process, data = TOYS[name]
    x, lengths = process.sequences(data).padded()
    columns = process.conditionals(data)
    given = process.n_given
    assert columns.batch_shape == (len(x), int(lengths.max()) - given)
    want = enumerate_columns(process, x)
    for i, length in enumerate(lengths.tolist()):
        part = (i, slice(0, length - given))
        got = index(columns, part).log_prob(x[i, given:length])
        expected = index(want, part).log_prob(x[i, given:length])
        torch.testing.assert_close(got, expected)


@every
def test_start_with_ragged_prefixes_equals_appending(name):
    process, data = TOYS[name]
    sequences = process.sequences(data)
    state = process.start(sequences)
    assert state.lengths.tolist() == sequences.lengths.tolist()
    for i in range(len(sequences)):
        if process.space.length is not None:
            continue  # nothing comes after a whole sequence of fixed size
        alone = process.start(1)
        for element in sequences.row(i):
            alone = alone.append(element[None])
        probe = alone.conditional.sample()
        torch.testing.assert_close(
            index(state.conditional, slice(i, i + 1)).log_prob(probe),
            alone.conditional.log_prob(probe),
        )


def test_conditional_of_one_prefix_has_no_batch_and_of_several_has():
    process = Walk().fit([0.0])
    assert process.conditional().batch_shape == ()
    assert process.conditional([1.0, 2.0]).mean == 1.0
    assert process.conditional(3.0).mean == 1.5
    assert process.conditional([[2.0], [4.0, 6.0]]).mean.tolist() == [1.0, 3.0]
    assert process.conditional([]).mean == 0
    text = Letters().fit("ab")
    assert text.conditional("").batch_shape == ()
    assert text.conditional(["a", "ab"]).batch_shape == (2,)


def test_start_takes_any_whole_number_of_rows():
    process = Walk().fit([0.0])
    assert process.start().n == 1
    assert process.start(np.int64(3)).n == 3
    assert process.start(0).conditional.batch_shape == (0,)
    with pytest.raises(ParameterError, match="n must be at least 0; got -1"):
        process.start(-1)


def test_nothing_follows_a_sequence_of_fixed_size():
    process = Bits().fit([[0, 1, 1, 0]])
    for call in (lambda: process.conditional([0, 1, 1, 0]),
                 lambda: process.start([[0, 1, 1, 0]]).conditional):  # fmt: skip
        with pytest.raises(DataError, match=r"4 elements.* whole"):
            call()


# ---- tensors and gradients ---------------------------------------------------------------------


def test_numpy_in_numpy_out_without_gradients_and_tensors_in_tensors_out_with():
    a = torch.tensor(0.5, dtype=torch.float64, requires_grad=True)
    process = Walk(a).fit([0.0])
    assert isinstance(process.log_prob([1.0, 2.0]), float)
    assert isinstance(process.log_prob([[1.0, 2.0], [3.0]]), np.ndarray)
    assert not process.conditionals(np.ones(3)).mean.requires_grad
    assert not process.conditional([1.0]).mean.requires_grad

    x = torch.tensor([1.0, 3.0], requires_grad=True)  # float32, as users have it
    total = process.log_prob(x)
    total.backward()
    # log p = -x0^2/2 - (x1 - a x0)^2/2 + const
    assert a.grad == (3 - 0.5) * 1
    assert x.grad.tolist() == [-1 + 0.5 * 2.5, -2.5]
    assert process.log_prob(x[None]).shape == (1,)
    assert process.log_prob([x, x[:1]]).requires_grad
    assert [t.requires_grad for t in process.log_prob_terms([x, x[:1]])] == [True, True]
    assert process.conditionals(x).mean.requires_grad
    assert process.conditional(x).mean.requires_grad
    with torch.no_grad():
        assert not process.log_prob(x).requires_grad


def test_a_gradient_through_single_steps_is_that_of_the_whole():
    a = torch.tensor(0.3, dtype=torch.float64, requires_grad=True)
    process = Walk(a).fit([0.0])
    x = torch.tensor([0.5, -1.0, 2.0, 0.7], dtype=torch.float64)
    state, total = process.start(), torch.zeros((), dtype=torch.float64)
    for t in range(4):
        total = total + state.conditional.log_prob(x[t : t + 1]).sum()
        state = state.append(x[t : t + 1])
    stepwise = torch.autograd.grad(total, a)[0]
    torch.testing.assert_close(stepwise, torch.autograd.grad(process.log_prob(x), a)[0])


# ---- given values ------------------------------------------------------------------------------


def test_given_values_are_not_scored_and_must_be_there():
    process = Walk(given=True).fit([0.0, 1.0])
    assert process.log_prob([7.0, 3.5]) == pytest.approx(float(td.Normal(0, 1).log_prob(torch.zeros(()))))  # fmt: skip # noqa: E501
    assert process.log_prob([7.0]) == 0
    assert process.conditionals([7.0]).batch_shape == (1, 0)
    assert len(process.log_prob_terms([7.0])) == 0
    with pytest.raises(DataError, match="no element to score beyond the first 1 given"):
        process.score([7.0])
    for call in (lambda: process.conditional(), lambda: process.start(2).conditional):
        with pytest.raises(DataError, match="begins after its first 1 given values"):
            call()
    with pytest.raises(DataError, match="sample needs prefix= with at least the first 1"):
        process.sample(2, 3)
    assert process.start(0).conditional.batch_shape == (0,)


# ---- conditioning ------------------------------------------------------------------------------


@every
def test_conditioning_is_the_quotient_of_likelihoods(name):
    process, data = TOYS[name]
    sequences = process.sequences(data)
    row = sequences.select(torch.tensor([0]))
    x, cut = row.row(0), max(1, process.n_given)
    shape = process.space.event_shape
    prefix = process.sequences(x[:cut].reshape(cut, *shape), name="prefix")
    rest = process.condition(prefix)
    following = rest.sequences(x[cut:])
    terms = flat(process.log_prob_terms(row))[0]
    got = flat(rest.log_prob_terms(following))[0]
    np.testing.assert_allclose(got, terms[cut - process.n_given :], rtol=1e-6)
    if len(x) > cut + 1:
        nested = rest.condition(rest.sequences(x[cut : cut + 1], name="prefix"))
        got = flat(nested.log_prob_terms(nested.sequences(x[cut + 1 :])))[0]
        np.testing.assert_allclose(got, terms[cut + 1 - process.n_given :], rtol=1e-6)


@every
def test_draws_after_conditioning_are_draws_with_the_prefix(name):
    process, data = TOYS[name]
    first = process.sequences(data).row(0)
    prefix = process.sequences(first[: max(1, process.n_given)], name="prefix")
    length = None if process.space.length else 4
    one = process.condition(prefix).sample(5, length, seed=3)
    two = process.sample(5, length, prefix=prefix, seed=3)
    for a, b in zip(one, two, strict=True):
        assert a == b if isinstance(a, str) else np.array_equal(a, b)


def test_a_wrong_prefix_is_refused_when_conditioning():
    process = Walk(given=True).fit([0.0, 1.0])
    with pytest.raises(DataError, match="its first 1 given values"):
        process.condition([])
    with pytest.raises(DataError, match="one prefix; got 2 sequences"):
        process.condition([[1.0], [2.0]])
    with pytest.raises(UnsupportedError, match="is not fitted; fit the process it is made of"):
        process.condition([1.0]).fit([1.0])
    with pytest.raises(NotFittedError, match="not fitted yet"):
        Walk().condition([1.0])


# ---- memory ------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(60_000,), (30_000, 2)], ids=str)
def test_no_array_of_all_tokens_by_all_symbols_is_ever_made(shape, monkeypatch):
    """Whether one long sequence or very many short ones: blocks stay below their bound."""
    data = np.zeros(shape, dtype=int)
    process = Chain(500).fit(data[:1])
    sizes = []
    window = Chain.window

    def watched(self, ctx, position):
        columns = window(self, ctx, position)
        sizes.append(columns.scores.numel())
        return columns

    monkeypatch.setattr(Chain, "window", watched)
    monkeypatch.setattr(core, "_BLOCK_NUMBERS", 2**20)
    process.log_prob(data)
    assert sum(sizes) >= data.size * 500
    # a block's columns, and the one more that `extend` gives
    assert max(sizes) <= 2 * 2**20


def test_a_process_that_writes_nothing_says_what_to_write():
    class Empty(Process):
        def _fit(self, sequences, *, validation, context): ...

        def _infer_space(self, data):
            return Walk()._infer_space(data)

    with pytest.raises(UnsupportedError, match="writes none of window, _start and _conditionals"):
        Empty().fit([1.0]).log_prob([1.0])


@pytest.mark.parametrize("extra", [-1, 1])
def test_conditionals_of_a_wrong_number_are_told(extra):
    class Miscounted(Process):
        def _fit(self, sequences, *, validation, context): ...

        def _infer_space(self, data):
            return Walk()._infer_space(data)

        def _conditionals(self, x):
            before = torch.nn.functional.pad(x, (1, 1))[:, : x.shape[1] + 1 + extra]
            return td.Normal(before, 1.0)

    model = Miscounted().fit([1.0, 2.0])
    for call in (
        lambda: model.log_prob([1.0, 2.0]),
        lambda: model.sample(2, length=3, seed=0),
        lambda: model.conditional([1.0]),
    ):
        with pytest.raises(DataError, match="one before each element, and one after the last"):
            call()


def test_images_and_vectors():
    assert Levels().fit(np.zeros((3, 2, 2), int)).log_prob(np.ones((2, 2), int)) < 0
    assert Linear().fit(np.zeros((5, 2))).log_prob_terms(np.zeros((5, 2))).shape == (5,)


def test_what_was_not_estimated_is_no_attribute():
    class Two(Walk):
        slope_: float
        level_: float

        def _fit(self, sequences, *, validation, context):
            self.level_ = 2.0

    model = Two().fit([0.0])
    assert model.level_ == 2.0
    assert not hasattr(model, "other_")
    with pytest.raises(AttributeError, match="Two has no slope_: it was not estimated"):
        _ = model.slope_
