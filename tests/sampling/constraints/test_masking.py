"""Masks: every draw keeps the constraint, and the law under it is exact, over families at once."""

import functools
import itertools
import re

import numpy as np
import pytest
import torch
from symbol_processes import TEXT_FAMILIES as FAMILIES
from symbol_processes import process

import arproc
from arproc import sampling
from arproc.distributions import index
from arproc.errors import NothingLeftError, ParameterError, UnsupportedError
from arproc.sampling import AllowedAt, Automaton, Constrain, Constraint, Regex
from arproc.sampling.constraints.acceptor import ENDED
from arproc.testing import check_process

NEVER_STUCK = Regex("(ab|b|c)+a?")
CHECKS = (
    "normalisation", "terms_sum", "fast_terms", "batch_invariance", "parallel_equals_incremental",
    "ragged_extend", "select", "truncate", "immutability", "draw_probability", "seeds", "samples",
    "save_and_load", "copies", "conditioning",
)  # fmt: skip


class Alternating(Constraint):
    """No letter twice in a row, written as a user would."""

    def __init__(self):
        pass

    def start(self):
        return ""

    def step(self, state, symbol):
        return None if symbol == state else symbol

    def accepts(self, state):
        return state != "c"


def accepted(constraint, text):
    if isinstance(constraint, Regex):
        return re.fullmatch(constraint.pattern, text) is not None
    return all(a != b for a, b in itertools.pairwise(text)) and not text.endswith("c")


def texts(longest):
    for length in range(longest + 1):
        yield from map("".join, itertools.product("abc", repeat=length))


@pytest.mark.parametrize("constraint", [NEVER_STUCK, Alternating()], ids=["Regex", "own"])
@pytest.mark.parametrize("family", FAMILIES)
def test_the_law_under_a_mask(family, constraint):
    """By enumeration: renormalised conditionals of what may come, and a mass of one in all."""
    own = process(family)
    masked = own.with_policy(Constrain(constraint))
    draws = own.sample(40, length=30, seed=0, policy=Constrain(constraint), return_log_prob=True)
    whole = [text for text, ended in zip(draws.x, draws.complete, strict=True) if ended]
    assert whole
    assert all(accepted(constraint, text) for text in whole)
    for one, scores in ((own, draws.log_prob), (masked, draws.policy_log_prob)):
        sequences = one.sequences(draws.x, complete=False)
        sequences.complete[:] = torch.as_tensor(np.asarray(draws.complete))
        np.testing.assert_allclose(scores, one.log_prob(sequences), rtol=1e-5)
    listed = [text for text in texts(4) if accepted(constraint, text)]
    open_ = [text for text in texts(5) if len(text) == 5]
    total = np.exp(masked.log_prob(listed)).sum()
    total += np.exp(masked.log_prob(masked.sequences(open_, complete=False))).sum()
    assert total == pytest.approx(1, abs=1e-5)
    assert np.isneginf(masked.log_prob("aa"))
    for text in ("abcb", "bab"):  # each conditional is the model's own over what may come
        for k in range(len(text) + 1):
            terms = own.conditional(text[:k]).logits.exp().double()
            symbols = [s for s in "abc" if any(accepted(constraint, text[:k] + s + t)
                                               for t in texts(3))]  # fmt: skip
            may = torch.zeros(4, dtype=torch.float64)
            for symbol in symbols:
                may["abc".index(symbol)] = 1
            may[3] = accepted(constraint, text[:k])
            want = terms * may / (terms * may).sum()
            torch.testing.assert_close(
                masked.conditional(text[:k]).probs.double(), want, rtol=1e-5, atol=1e-9
            )


@pytest.mark.parametrize(
    ("family", "only"),
    [("PPM", ("select", "draw_probability")),
     *[pytest.param(family, CHECKS, marks=pytest.mark.slow) for family in FAMILIES]],
)  # fmt: skip
def test_a_masked_process_keeps_the_contract(family, only):
    check_process(process(family).with_policy(Constrain(NEVER_STUCK)), only=only, length=24)


def test_processes_of_one_size_are_finished_in_it():
    made = process("MADE")
    odd = Automaton({0: {0: 0, 1: 1}, 1: {0: 1, 1: 0}}, accepting=[1])
    masked = made.with_policy(Constrain(odd))
    drawn = masked.sample(60, seed=0)
    assert (drawn.sum(1) % 2 == 1).all()
    every = np.array(list(itertools.product([0, 1], repeat=5)))
    mass = np.exp(masked.log_prob(every))
    assert mass.sum() == pytest.approx(1, abs=1e-5)
    assert (mass[every.sum(1) % 2 == 0] == 0).all()
    with pytest.raises(UnsupportedError, match="looks one step ahead, and all sequences"):
        made.with_policy(Constrain(Alternating()))
    with pytest.raises(ParameterError, match=r"allows nothing that can be spelled .* in the 5"):
        made.with_policy(Constrain(Automaton({0: {0: 1}, 1: {}}, accepting=[1])))


def test_a_mask_does_not_lead_where_the_symbols_have_no_way_on():
    """Bytes could go on to "é", which this vocabulary does not have."""
    text = process("NGram")
    drawn = text.sample(30, policy=Constrain(Regex("a(é|b)|aé*c|bé")), seed=0)
    assert set(drawn) == {"ab", "ac"}
    with pytest.raises(ParameterError, match="allows nothing that can be spelled with the 4"):
        text.with_policy(Constrain(Regex("é+")))


def test_what_breaks_a_constraint():
    text = process("PPM").with_policy(Constrain(Regex("ab*")))
    assert np.isneginf(text.log_prob("ba"))
    assert np.isneginf(text.log_prob(""))
    with pytest.raises(NothingLeftError, match=r"policy Constrain\(Regex\('ab\*'\)\) leaves"):
        text.sample(1, prefix="ba", length=3)
    stream = arproc.PPM(order=2, tokens="char").fit("abcabcab")
    assert stream.sample(1, length=3, policy=Constrain(Regex("abc|cba")), seed=0)[0] in (
        "abc", "cba",
    )  # fmt: skip
    with pytest.raises(NothingLeftError):
        stream.sample(1, length=4, policy=Constrain(Regex("abc")), seed=0)


def test_after_a_prefix_the_constraint_is_on_the_whole_or_on_what_follows():
    text = process("NGram")
    whole = text.sample(20, prefix="ab", policy=Constrain(Regex("ab(c|cb)")), seed=0)
    assert set(whole) == {"c", "cb"}
    after = text.condition("ca").with_policy(Constrain(Regex("ab(c|cb)")))
    assert set(after.sample(20, seed=0)) == {"abc", "abcb"}


def test_rows_that_have_ended_are_left_alone():
    acceptor = Regex("ab*").acceptor(process("NGram").law_)
    state = acceptor.step(acceptor.step(acceptor.start, 0), 3)
    assert state is ENDED
    assert not acceptor.forbidden(acceptor.step(state, 2)).any()


@pytest.mark.parametrize("tokens", ["char", "byte", "word"])
def test_texts_of_all_kinds_of_tokens(tokens):
    lines = ["red fish", "blue fish", "red blue", "é fish"]
    pattern = r"(red |blue )+fish|é( fish)*"
    text = arproc.PPM(order=3, tokens=tokens).fit(lines)
    drawn = text.sample(40, length=60, policy=Constrain(Regex(pattern)), seed=0,
                        return_log_prob=True)  # fmt: skip
    ended = [x for x, done in zip(drawn.x, drawn.complete, strict=True) if done]
    assert len(ended) > 20
    assert all(re.fullmatch(pattern, x) for x in ended)
    assert any(x.startswith("é") for x in ended)


def test_the_cost_of_a_constraint_comes_with_every_draw():
    draws = process("NGram").sample(5, policy=Constrain(Regex("ab|ca")), seed=0,
                                    return_log_prob=True)  # fmt: skip
    assert (draws.policy_cost > 0).all()
    assert set(draws.x) <= {"ab", "ca"}


class Listing(Alternating):
    """States that can not be looked up."""

    def start(self):
        return []


def test_states_are_hashable():
    with pytest.raises(ParameterError, match=r"the states of Listing must be hashable"):
        process("NGram").sample(1, policy=Constrain(Listing()), seed=0)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Constrain("a+"), "constraint must be a Constraint such as Regex"),
        (lambda: Constrain(Regex("a"), mode="soft"), "mode must be one of"),
        (lambda: Constrain(Regex("a"), length=3), "length is for mode="),
        (lambda: Regex(3), "pattern must be a string"),
        (lambda: Regex("a", seconds=0), "seconds must be a number above 0"),
        (lambda: AllowedAt("ab"), "sets must be a dict"),
        (lambda: AllowedAt({-1: ["a"]}), "a position must be at least 0"),
        (lambda: AllowedAt({0: "ab"}), r"sets\[0\] must be a list of symbols"),
        (lambda: Automaton([], [0]), "transitions must be a dict"),
        (lambda: Automaton({0: {}}, [1]), "the state 1 is none of those"),
        (lambda: Automaton({0: {}}, [0], over="word"), "over must be one of"),
    ],
)
def test_bad_parameters(make, message):
    with pytest.raises(ParameterError, match=message):
        make()


def test_constraints_that_do_not_fit_the_elements():
    with pytest.raises(UnsupportedError, match="Regex is for processes of finitely many symbols"):
        arproc.AR.from_parameters([0.5]).with_policy(Constrain(Regex("a")))
    numbers = arproc.PPM(order=1, tokens=None).fit([[0, 1, 2], [1, 2]])
    with pytest.raises(UnsupportedError, match="symbols without a text"):
        numbers.with_policy(Constrain(Regex("a")))
    ones = Constrain(Automaton({0: {1: 0, 0: 0}}, accepting=[0]))
    assert set(np.concatenate(numbers.sample(20, length=9, policy=ones, seed=0))) <= {0, 1}
    with pytest.raises(ParameterError, match="transitions names 'z', which is no symbol"):
        process("NGram").with_policy(Constrain(Automaton({0: {"z": 0}}, [0])))


def test_automata_over_characters_and_bytes_are_those_over_symbols():
    text = process("NGram")
    table = {0: {"a": 1, None: 0}, 1: {"a": 0, "b": 1}}
    by_symbol = text.with_policy(Constrain(Automaton(table, [0])))
    by_letter = text.with_policy(Constrain(Automaton(table, [0], over="character")))
    bytes_ = {s: {k if k is None else ord(k): t for k, t in r.items()} for s, r in table.items()}
    by_byte = text.with_policy(Constrain(Automaton(bytes_, [0], over="byte")))
    every = list(texts(4))
    want = by_symbol.log_prob(every)
    np.testing.assert_array_equal(by_letter.log_prob(every), want)
    np.testing.assert_array_equal(by_byte.log_prob(every), want)

    def read(state, letter):
        row = table.get(state, {})
        return row.get(letter, row.get(None))

    ends = [functools.reduce(read, text, 0) for text in every]
    np.testing.assert_array_equal(np.isfinite(want), [state == 0 for state in ends])


def test_masks_join_with_other_policies():
    text = process("PPM")
    policy = sampling.Temperature(0.5) | Constrain(NEVER_STUCK) | sampling.TopK(2)
    under = text.with_policy(policy)
    drawn = under.sample(20, 8, seed=0, return_log_prob=True)
    ended = [t for t, done in zip(drawn.x, drawn.complete, strict=True) if done]
    assert ended
    assert all(accepted(NEVER_STUCK, t) for t in ended)
    stepwise = sampling.TopK(2).apply(
        text.with_policy(sampling.Temperature(0.5) | Constrain(NEVER_STUCK)).conditional("ab")
    )
    torch.testing.assert_close(under.conditional("ab").probs, stepwise.probs)


def test_a_constrained_whole_is_read_to_its_end():
    """Of sequences of one size the state may be extended by all of them at once."""
    kept = process("MADE").with_policy(Constrain(Automaton({0: {0: 0, 1: 1}, 1: {0: 1}}, [1])))
    whole = torch.tensor([[0, 1, 0, 0, 0], [0, 0, 0, 0, 1], [1, 0, 1, 0, 0]])
    columns, state = kept.law_.fresh(3, None).extend(whole)
    want = torch.as_tensor(kept.log_prob(whole.numpy()))
    got = index(columns, (slice(None), slice(0, -1))).log_prob(whole).sum(1)
    torch.testing.assert_close(got, want, check_dtype=False)
    assert want[2] == -torch.inf
    assert state.lengths.tolist() == [5, 5, 5]
