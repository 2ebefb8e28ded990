"""The sampling engine: what it gives back, when it stops, and what a draw's probability is."""

import numpy as np
import pytest
import torch
from torch import distributions as td
from toys import Bits, Chain, Counter, Letters, Levels, Linear, Walk, fitted

import arproc
from arproc import sampling
from arproc.contract.randomness import Uniforms
from arproc.distributions import Categorical
from arproc.errors import DataError, ParameterError
from arproc.sampling import Policy, Temperature, TopK, TopP, ancestral, drawers
from arproc.sampling.ancestral import draw
from arproc.sampling.rows import Store
from arproc.spaces import Real

TOYS = fitted()
every = pytest.mark.parametrize("name", sorted(TOYS))


def prefix_of(process):
    """A prefix, where the process needs one."""
    return [0.5] if process.n_given else None


def length_of(process, wanted=6):
    return None if process.space.length else wanted


def rows_of(draws) -> list:
    return [row if isinstance(row, str) else np.asarray(row).tolist() for row in draws]


@every
@pytest.mark.parametrize("seed", [0, 7])
def test_row_i_depends_on_the_seed_and_i_alone(name, seed):
    process, _ = TOYS[name]
    options = {"length": length_of(process), "prefix": prefix_of(process), "seed": seed}
    many = rows_of(process.sample(9, **options))
    assert rows_of(process.sample(3, **options)) == many[:3]
    assert rows_of(process.sample(9, **options | {"seed": seed + 1})) != many


@every
def test_a_shorter_draw_is_the_beginning_of_a_longer_one(name):
    process, _ = TOYS[name]
    state = process.start([0.5] if process.n_given else 4)
    longest = process.space.length or 7
    x, lengths, _ = draw(state, Uniforms(1), longest, None, process.space)
    short, some, _ = draw(state, Uniforms(1), 3, None, process.space)
    assert torch.equal(some, lengths.clamp(max=3))
    assert torch.equal(short, x[:, : short.shape[1]])


@every
def test_a_run_can_be_resumed(name):
    """Position counts from the process's start: the rest follows from a prefix and the seed."""
    process, _ = TOYS[name]
    longest = process.space.length or 7
    begin = [0.5] if process.n_given else 1
    x, lengths, _ = draw(process.start(begin), Uniforms(3), longest, None, process.space)
    if int(lengths[0]) < 3:
        pytest.skip("the draw ended before the place to resume at")
    known = process.start(begin).extend(x[:, :2])[1]
    rest, _, _ = draw(known, Uniforms(3), longest - 2, None, process.space)
    assert torch.equal(rest, x[:, 2:])


@every
def test_a_draw_knows_its_probability(name):
    process, _ = TOYS[name]
    prefix, length = prefix_of(process), length_of(process, 3)
    got = process.sample(4, length, prefix=prefix, seed=5, return_log_prob=True)
    assert got.log_prob.shape == got.complete.shape == (4,)
    np.testing.assert_array_equal(got.log_prob, got.policy_log_prob)
    if process.space.length:
        assert got.complete.all()
    elif not process.space.terminates:
        assert not got.complete.any()
    target = process if prefix is None else process.condition(prefix)
    for i, x in enumerate(got.x):
        if name == "Bytes":
            continue  # text shows bytes that are no UTF-8 by a replacement
        sequences = target.sequences(x, complete=bool(got.complete[i]))
        np.testing.assert_allclose(target.log_prob(sequences), got.log_prob[i], rtol=1e-6)


@every
def test_no_rows_and_no_length(name):
    process, _ = TOYS[name]
    prefix = prefix_of(process)
    none = process.sample(0, length_of(process), prefix=prefix, return_log_prob=True)
    assert len(none.x) == len(none.log_prob) == len(none.complete) == 0
    empty = process.sample(2, 0, prefix=prefix, seed=1, return_log_prob=True)
    assert len(empty.x) == 2
    assert all(len(row) == 0 for row in empty.x)
    np.testing.assert_array_equal(empty.log_prob, [0.0, 0.0])
    assert not empty.complete.any()


def test_shapes_and_kinds_of_what_comes_back():
    assert Walk().fit([0.0]).sample(2, 3, seed=0).dtype == np.float64
    assert Chain().fit([0]).sample(2, 3, seed=0).dtype == np.int64
    assert Counter().fit([1]).sample(2, 3, seed=0).dtype == np.int64
    assert Linear().fit(np.zeros((2, 2))).sample(2, 3, seed=0).shape == (2, 3, 2)
    assert Linear().fit(np.zeros((2, 2))).sample(0, 3).shape == (0, 3, 2)
    images = Levels().fit(np.zeros((1, 2, 2), int))
    assert images.sample(3, seed=0).shape == (3, 2, 2)
    assert images.sample(3, seed=0).dtype == np.uint8
    assert images.sample(0).shape == (0, 2, 2)
    tensors = Walk().fit(torch.zeros(3)).sample(2, 3, seed=0)
    assert isinstance(tensors, torch.Tensor)
    assert tensors.dtype == torch.float64
    assert Walk().fit([0.0]).sample(2, 3, prefix=torch.ones(1), seed=0).shape == (2, 3)
    assert isinstance(Letters().fit("ab").sample(2, 5, seed=0)[0], str)


# ---- prefixes ----------------------------------------------------------------------------------


def test_one_prefix_for_all_or_one_for_each():
    process = Chain().fit([0, 1, 2])
    alone = [process.sample(3, 4, prefix=p, seed=2) for p in ([1], [2, 0, 1], [])]
    each = process.sample(3, 4, prefix=[[1], [2, 0, 1], []], seed=2)
    for i in range(3):
        np.testing.assert_array_equal(each[i], alone[i][i])
    with pytest.raises(DataError, match="prefix has 2 sequences; expected one, or n = 3"):
        process.sample(3, 4, prefix=[[1], [2]])


def test_ragged_prefixes_of_a_process_of_fixed_size_are_completed_each_to_its_end():
    process = Bits((6,)).fit(np.zeros((2, 6)))
    prefixes = [[1, 0, 1, 1, 0], [], [1], [0, 0, 0, 0, 0, 1], [1, 1, 1]]
    got = process.sample(5, prefix=prefixes, seed=4, return_log_prob=True)
    assert [len(row) for row in got.x] == [1, 6, 5, 0, 3]
    assert got.complete.all()
    for i, prefix in enumerate(prefixes):
        alone = process.sample(5, prefix=prefix, seed=4)[i]
        np.testing.assert_array_equal(alone, got.x[i])
        whole = np.concatenate([prefix, got.x[i]])
        want = process.log_prob_terms(whole)[len(prefix) :].sum()
        np.testing.assert_allclose(got.log_prob[i], want, rtol=1e-6)
    cut = process.sample(5, 2, prefix=prefixes, seed=4, return_log_prob=True)
    assert [len(row) for row in cut.x] == [1, 2, 2, 0, 2]
    assert cut.complete.tolist() == [True, False, False, True, False]


def test_too_long():
    process = Bits().fit(np.zeros((2, 4)))
    with pytest.raises(
        ParameterError, match="length is 3; this process has 4 elements, of which 2"
    ):
        process.sample(1, 3, prefix=[1, 0])
    with pytest.raises(DataError, match="prefix is too long: sequence 0 has 5 elements"):
        process.sample(1, prefix=[1, 0, 1, 0, 1])
    with pytest.raises(ParameterError, match="length is needed: this process is a stream"):
        Walk().fit([0.0]).sample(1)


BAD = [
    {"n": -1}, {"n": 1.5}, {"n": True}, {"length": -1}, {"length": "a"}, {"seed": "a"},
    {"stop": 5}, {"stop": "x"}, {"policy": TopK}, {"policy": lambda c: c},
]  # fmt: skip


@pytest.mark.parametrize("bad", BAD)
def test_bad_arguments(bad):
    process = Walk().fit([0.0])
    (name,) = bad
    with pytest.raises(ParameterError, match=f"^{name} must be"):
        process.sample(**{"n": 1, "length": 2} | bad)


# ---- ends --------------------------------------------------------------------------------------


def test_ends_are_drawn_with_their_probability():
    """The share of draws that are complete at length 0, 1, 2 is the likelihood's, chi-square."""
    from scipy import stats

    process = Letters("ab").fit("ab")
    draws = process.sample(4000, seed=8)
    words = ["", "a", "b", "aa", "ab", "ba", "bb"]
    counts = [draws.count(word) for word in words]
    mass = np.exp(process.log_prob(words))
    others = [4000 - sum(counts), 1 - mass.sum()]
    p = stats.chisquare([*counts, others[0]], 4000 * np.array([*mass, others[1]])).pvalue
    assert p > 1e-6


def test_a_draw_cut_by_its_length_is_not_complete_and_has_no_end_term():
    process = Letters("ab").fit("ab")
    got = process.sample(50, 2, seed=1, return_log_prob=True)
    assert all(len(x) == 2 for x, done in zip(got.x, got.complete, strict=True) if not done)
    assert {len(x) for x, done in zip(got.x, got.complete, strict=True) if done} <= {0, 1}
    for x, done, log_prob in zip(got.x, got.complete, got.log_prob, strict=True):
        sequences = process.sequences(x, complete=bool(done))
        np.testing.assert_allclose(process.log_prob(sequences), log_prob)


# ---- stopping ----------------------------------------------------------------------------------


@pytest.mark.parametrize("end", [True, False])
@pytest.mark.parametrize("stop", ["ba", ["bb", "aab"], ("a",)])
def test_a_stop_string_cuts_where_it_first_appears(end, stop):
    process = Letters("ab", end=end).fit("ab")
    strings = [stop] if isinstance(stop, str) else stop
    free = process.sample(40, 12, seed=3)
    cut = process.sample(40, 12, seed=3, stop=stop)
    for long, short in zip(free, cut, strict=True):
        ends = [long.find(s) + len(s) for s in strings if s in long]
        assert short == (long[: min(ends)] if ends else long)
    assert any(len(a) > len(b) for a, b in zip(free, cut, strict=True))


def test_a_stop_string_of_several_bytes_is_found():
    class Euro(Letters):
        """Spells the euro sign's three bytes again and again."""

        def window(self, ctx, position):
            scores = torch.full((*position.shape, 256), -torch.inf, dtype=torch.float64)
            byte = torch.tensor(list("€".encode()))[position % 3]
            from arproc.distributions import Categorical

            return Categorical(scores.scatter(-1, byte[..., None], 0.0))

    process = Euro(kind="byte", end=False).fit("ab")
    assert process.sample(2, 9, seed=0, stop="€€") == ["€€", "€€"]


def test_a_stop_function_sees_the_elements_so_far_and_its_answer_is_checked():
    process = Walk().fit([0.0])
    seen = []

    def above(x):
        seen.append(x.shape)
        return x.cumsum(1)[:, -1] > 1.0

    cut = process.sample(20, 30, seed=2, stop=above, return_log_prob=True)
    free = process.sample(20, 30, seed=2)
    for short, long in zip(cut.x, free, strict=True):
        over = np.flatnonzero(long.cumsum() > 1.0)
        want = long[: over[0] + 1] if len(over) else long
        np.testing.assert_array_equal(short, want)
    assert [shape[1] for shape in seen] == list(range(1, len(seen) + 1))
    for bad in (lambda x: True, lambda x: x[:, -1], lambda x: torch.ones(len(x) + 1).bool()):
        with pytest.raises(ParameterError, match="stop must return one truth value a row"):
            process.sample(3, 5, stop=bad)
    for bad in ("", [], ["a", ""], [3]):
        with pytest.raises(ParameterError, match="a string or a list of strings, none empty"):
            Letters().fit("ab").sample(3, 5, stop=bad)


# ---- policies ----------------------------------------------------------------------------------


def test_a_policys_probability_is_another_number_than_the_models():
    process = Chain().fit([0, 1, 2])
    policy = Temperature(0.5) | TopK(2)
    got = process.sample(6, 5, policy=policy, seed=1, return_log_prob=True)
    np.testing.assert_allclose(got.log_prob, process.log_prob(got.x))
    np.testing.assert_allclose(got.policy_log_prob, process.with_policy(policy).log_prob(got.x))
    assert (got.log_prob < got.policy_log_prob).all()
    np.testing.assert_array_equal(process.with_policy(policy).sample(6, 5, seed=1), got.x)


def test_a_prefix_that_the_policy_forbids_costs_the_draw_nothing():
    process = Chain().fit([0, 1, 2])
    least = int(process.conditional().probs.argmin())
    got = process.sample(3, 2, prefix=[least], policy=TopK(1), seed=1, return_log_prob=True)
    np.testing.assert_allclose(got.policy_log_prob, 0.0, atol=1e-12)
    assert np.isfinite(got.log_prob).all()


def test_broken_conditionals_are_named_and_not_drawn_from():
    class Broken(Chain):
        def window(self, ctx, position):
            from arproc.distributions import Categorical

            return Categorical(super().window(ctx, position).scores * torch.nan)

    with pytest.raises(DataError, match="probabilities are not numbers"):
        Broken().fit([0, 1]).sample(2, 3, seed=0)


class Root(Walk):
    """Its conditional is NaN after an element above 1.3."""

    def window(self, ctx, position):
        return td.Normal((1.3 - ctx[:, :, -1]).sqrt(), 1e-3, validate_args=False)


def test_a_law_that_is_nan_in_part_of_its_space_is_named_and_not_drawn_from():
    process = Root().fit([0.0])
    assert np.isfinite(process.sample(3, 2, prefix=[1.29], seed=0)).all()
    message = r"Root.* drew NaN, not a number, for element {} of sequence {}: its parameters"
    with pytest.raises(DataError, match=message.format(1, 0)):
        process.sample(2, 3, prefix=[1.4], seed=0)
    with pytest.raises(DataError, match=message.format(2, 1)):
        process.sample(2, 3, prefix=[[0.0, 0.0], [0.0, 1.4]], seed=0)
    with pytest.raises(DataError, match=r"drew NaN"):
        process.with_policy(Temperature(0.5)).sample(2, 3, prefix=[1.4], seed=0)
    with pytest.raises(DataError, match=r"drew NaN"):
        process.condition([1.4]).distribution(2).sample()


def test_the_package_offers_its_policies():
    assert {"Policy", "Temperature", "TopK", "TopP"} <= set(sampling.__all__)
    assert issubclass(TopP, Policy)


@pytest.mark.parametrize("capacity", [0, 3, 40])
def test_the_store_of_draws_lies_where_it_is_asked_to(capacity):
    store = Store(2, Real(), torch.device("meta"), capacity)
    for _ in range(20):
        store.put(torch.arange(2), torch.zeros(2, 1, dtype=torch.float64, device="meta"))
        assert store.values.device.type == "meta"
        assert store.values.dtype == torch.float64
    assert store.values.shape == (2, 20)


# ---- draws that do not end ---------------------------------------------------------------------


@pytest.fixture
def endless():
    """Under `TopK(1)` its draws go round in a circle for ever."""
    process = Letters("ab").fit("ab")
    assert len(process.sample(1, 300, policy=TopK(1), seed=0)[0]) == 300
    return process


def test_a_policy_that_takes_the_end_away_is_found_out(endless, monkeypatch):
    assert ancestral.MOST_UNDER_POLICY == 10_000
    assert ancestral.MOST == 100_000
    monkeypatch.setattr(ancestral, "MOST_UNDER_POLICY", 200)
    for process, options in (
        (endless, {"policy": TopK(1)}),
        (endless, {"policy": Temperature(1e-3) | TopP(0.5), "n": 3}),
        (endless, {"policy": TopK(1), "prefix": "ab", "return_log_prob": True}),
        (endless, {"policy": TopK(1), "stop": "never"}),
        (endless.with_policy(TopK(1)), {}),
        (endless.with_policy(TopK(1)).condition("ab"), {}),
        (endless.condition("ab"), {"policy": TopK(1)}),
    ):
        with pytest.raises(ParameterError, match=r"length is needed.*under the policy.* 200 elem"):
            process.sample(**options)
    assert len(endless.sample(1, 250, policy=TopK(1))[0]) == 250


def test_a_law_that_does_not_end_by_itself_is_found_out(endless, monkeypatch):
    monkeypatch.setattr(ancestral, "MOST", 128)

    class Endless(Letters):
        def window(self, ctx, position):
            scores = super().window(ctx, position).logits.clone()
            scores[..., -1] = -torch.inf
            return Categorical(scores)

    with pytest.raises(ParameterError, match=r"length is needed: 2 of 2 draws.* 128 elements"):
        Endless("ab").fit("ab").sample(2)


def test_rows_that_ended_in_time_do_not_count(monkeypatch):
    process = Letters("ab").fit("ab")
    free = process.sample(12, 400, seed=5)
    longest = max(map(len, free))
    monkeypatch.setattr(ancestral, "MOST", longest + 1)
    assert process.sample(12, seed=5) == free
    monkeypatch.setattr(ancestral, "MOST", longest - 1)
    monkeypatch.setattr(drawers, "_BLOCK", 1)
    with pytest.raises(ParameterError, match=r"length is needed: 1 of 12 draws"):
        process.sample(12, seed=5)


def test_draws_that_all_end_at_once_have_their_probability():
    law = arproc.NGram(1, "additive", arproc.Tokens("char", end=True)).fit(["a", "aa", "a", "a"])
    policy = sampling.Bias({"a": -50.0})  # so that nothing but the end comes
    draws = law.sample(3, prefix="a", policy=policy, seed=0, return_log_prob=True)
    assert list(draws.x) == ["", "", ""]
    np.testing.assert_allclose(
        draws.log_prob, law.log_prob("a") - law.log_prob("a", complete=False)
    )
    np.testing.assert_allclose(draws.policy_log_prob, 0, atol=1e-12)
