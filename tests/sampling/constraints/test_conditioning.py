"""Conditioning on a constraint, by each method, against enumeration and against one another."""

import itertools
import re
from collections import Counter

import numpy as np
import pytest
import torch
from symbol_processes import process

import arproc
from arproc.errors import DataError, ParameterError, UnsupportedError
from arproc.sampling import (
    AllowedAt,
    Automaton,
    Constrain,
    Constraint,
    Known,
    Likelihood,
    Regex,
    Temperature,
    best_path,
    condition,
    constrained,
)
from arproc.sampling.evidence import Setting
from arproc.sampling.finite import explored
from arproc.sampling.messages import messages
from arproc.testing import check_process

PATTERN = "a?(bc|cb)*(a|b)"


def texts(longest):
    for length in range(longest + 1):
        yield from map("".join, itertools.product("abc", repeat=length))


def accepted(longest, pattern=PATTERN):
    return [text for text in texts(longest) if re.fullmatch(pattern, text)]


@pytest.mark.parametrize("family", ["NGram", "Mixture of n-grams", "Temperature"])
def test_the_conditioned_process_is_the_law_given_the_constraint(family):
    own = finite(family)
    given = own.with_policy(Constrain(Regex(PATTERN), mode="conditioning"))
    listed = accepted(8)
    gap = own.log_prob(listed) - given.log_prob(listed)
    np.testing.assert_allclose(gap, gap[0], rtol=0, atol=1e-9)  # log of the evidence
    mass = np.exp(own.log_prob(accepted(9))).sum()  # what is longer is missing
    assert mass < np.exp(gap[0]) < mass + 0.02
    assert np.isneginf(given.log_prob("c"))
    found = constrained(own, Regex(PATTERN), 300, seed=1)
    assert found.method == "backward"
    assert found.log_evidence == pytest.approx(gap[0], abs=1e-9)
    assert all(re.fullmatch(PATTERN, text) for text in found.x)


def finite(family):
    if family == "NGram":
        return process("NGram")
    if family == "Temperature":
        return process("NGram").with_policy(Temperature(1.5))
    other = arproc.NGram(3, "witten_bell", tokens="char").fit(["abcab", "bca", "cabbac", "acb"])
    return arproc.Mixture([process("NGram"), other]).fit(["abc"])


def test_within_a_length_and_in_streams():
    own = process("NGram")
    given = own.with_policy(Constrain(Regex(PATTERN), mode="conditioning", length=4))
    listed = accepted(4)
    want = own.log_prob(listed) - np.log(np.exp(own.log_prob(listed)).sum())
    np.testing.assert_allclose(given.log_prob(listed), want, rtol=0, atol=1e-9)
    stream = arproc.NGram(2, "witten_bell", tokens="char").fit("abcabbacabccab")
    five = [text for text in texts(5) if len(text) == 5 and re.fullmatch("(ab|c)+", text)]
    weights = np.exp(stream.log_prob(five))
    for policy_length, tail in ((5, ""), (5, "bb")):
        policy = Constrain(Regex("(ab|c)+"), mode="conditioning", length=policy_length)
        longer = [text + tail for text in five]
        got = np.exp(stream.with_policy(policy).log_prob(longer))
        want = np.exp(stream.log_prob(longer)) / weights.sum()  # beyond the length all is free
        np.testing.assert_allclose(got, want, rtol=1e-9)
    with pytest.raises(ParameterError, match="length is needed: this process is a stream"):
        stream.with_policy(Constrain(Regex("c+"), mode="conditioning"))


@pytest.mark.slow
def test_conditioning_keeps_the_contract():
    given = process("NGram").with_policy(Constrain(Regex("(ab|b|c)+a?"), mode="conditioning"))
    check_process(given, length=24, only=(
        "normalisation", "terms_sum", "parallel_equals_incremental", "ragged_extend", "select",
        "truncate", "draw_probability", "seeds", "samples", "save_and_load", "copies",
    ))  # fmt: skip


def test_policies_before_are_conditioned_and_those_after_change_the_result():
    own = process("NGram")
    cool = Temperature(0.5) | Constrain(Regex(PATTERN), mode="conditioning")
    listed = accepted(6)
    gap = own.with_policy(Temperature(0.5)).log_prob(listed) - own.with_policy(cool).log_prob(
        listed
    )
    np.testing.assert_allclose(gap, gap[0], rtol=0, atol=1e-9)


@pytest.mark.parametrize("method", ["rejection", "particles"])
@pytest.mark.parametrize("family", ["NGram", "PPM", "Transformer", "Mixture", "MADE"])
def test_methods_agree_with_enumeration(family, method):
    own, kept = process(family), Regex("(a|b)[abc]{0,2}")
    every = [np.array(x) for x in itertools.product([0, 1], repeat=5)]
    if family == "MADE":
        kept = Automaton({0: {0: 0, 1: 1}, 1: {0: 1, 1: 0}}, accepting=[1])
        listed = [x for x in every if x.sum() % 2]
        keys = ["".join(map(str, x)) for x in listed]
        p = np.exp(own.log_prob(np.array(listed)))
    else:
        keys = [text for text in texts(3) if text and text[0] != "c"]
        p = np.exp(own.log_prob(keys))
    n, length = 400, None if family == "MADE" else 3
    found = constrained(own, kept, n, length, method=method, seed=3, n_particles=2000)
    assert found.method == method
    evidence = np.exp(found.log_evidence)
    assert abs(evidence - p.sum()) < 5 * found.evidence_error * evidence + 1e-6
    drawn = [x if isinstance(x, str) else "".join(map(str, x)) for x in found.x]
    counts = Counter(drawn)
    assert set(counts) <= set(keys)
    share = np.array([counts[key] for key in keys]) / n
    want = p / p.sum()
    worth = n if method == "rejection" else min(n, found.effective_sample_size)
    assert (np.abs(share - want) < 5 * np.sqrt(want * (1 - want) / worth) + 2 / n).all()


def test_evidence_of_particles_is_unbiased():
    own = process("NGram")
    want = np.exp(own.log_prob(accepted(3))).sum()
    estimates = [
        np.exp(constrained(own, Regex(PATTERN), 1, 3, method="particles", seed=s,
                           n_particles=40).log_evidence)
        for s in range(40)
    ]  # fmt: skip
    assert abs(np.mean(estimates) - want) < 4 * np.std(estimates) / 40**0.5


def test_row_i_of_rejection_depends_on_the_seed_and_i_alone():
    one = constrained(process("PPM"), Regex("a.*"), 3, method="rejection", seed=5)
    more = constrained(process("PPM"), Regex("a.*"), 8, method="rejection", seed=5)
    assert more.x[:3] == one.x


def test_what_can_not_be_conditioned_on():
    text = process("NGram")
    with pytest.raises(UnsupportedError, match="needs a process that remembers finitely many"):
        process("PPM").with_policy(Constrain(Regex("a"), mode="conditioning"))
    with pytest.raises(ParameterError, match=r"kept with probability zero .* within 3 elements"):
        text.with_policy(Constrain(Regex("abcabc"), mode="conditioning", length=3))
    with pytest.raises(DataError, match="of 50 attempts 0 of the 1 draws kept"):
        constrained(text, Regex("a{30}"), method="rejection", most_attempts=50)
    with pytest.raises(ParameterError, match="method must be one of"):
        constrained(text, Regex("a"), method="magic")
    auto = constrained(process("PPM"), Regex("a{12}"), 5, most_attempts=50, seed=0)
    assert auto.method == "particles"
    assert set(auto.x) == {"a" * 12}
    want = process("PPM").log_prob("a" * 12)
    assert auto.log_evidence == pytest.approx(want, abs=4 * auto.evidence_error + 1e-9)


def test_messages_that_no_float_holds():
    """A text of 300 symbols that is required has a probability that floats take for zero."""
    text = process("NGram")
    need = "a" * 300
    assert np.exp(text.log_prob(need)) == 0
    given = text.with_policy(Constrain(Regex(f"({need})+", seconds=60), mode="conditioning"))
    assert given.log_prob(need) == pytest.approx(0.0, abs=1e-6)
    policy = Constrain(Regex(f"({need})+", seconds=60), mode="conditioning", length=300)
    assert text.with_policy(policy).log_prob(need) == pytest.approx(0.0, abs=1e-9)


def test_messages_of_graphs_agree_with_sums_over_many_steps():
    law = finite("Mixture of n-grams").law_
    constraint = Regex("((ab)*c|b+)*")
    endless, within = (
        messages(
            explored(law, constraint.bound(Setting(law, steps, lambda x: x)), steps, "a test")
        )
        for steps in (None, 2000)
    )
    assert (len(endless), len(within)) == (1, 2001)
    np.testing.assert_allclose(within[0], endless[0], atol=1e-9)


def test_stalls_are_solved_by_conditioning():
    """A grammar that lets a finished text go on with blanks holds a masked process there."""
    answers = ["yes  it  is", "no  it  is  not", "yes  of  course", "no  way", "yes"] * 3
    text = arproc.NGram(2, "witten_bell", tokens="char").fit(answers)
    kept = Regex("(yes|no) *")
    masked = text.sample(200, length=200, policy=Constrain(kept), seed=0)
    given = text.sample(200, length=200, policy=Constrain(kept, mode="conditioning"), seed=0)
    blanks = [np.mean([t.count(" ") for t in drawn]) for drawn in (masked, given)]
    assert blanks[0] > 5 * blanks[1]


def test_sets_by_position_are_conditioned_on_too():
    text = process("NGram")
    policy = Constrain(AllowedAt({1: ["c"]}), mode="conditioning")
    listed = [t for t in texts(5) if len(t) < 2 or t[1] == "c"]
    gap = text.log_prob(listed) - text.with_policy(policy).log_prob(listed)
    np.testing.assert_allclose(gap, gap[0], atol=1e-9)
    torch.testing.assert_close(torch.tensor(gap[0]).exp() > 0.2, torch.tensor(True))


def test_a_constraint_is_evidence_beside_other_evidence():
    own = process("NGram")
    both = Regex("(a|b)[abc]*") & Known({2: "b"}) & Likelihood(lambda x: [0.3 * len(t) for t in x])
    listed = [t for t in texts(4) if t and t[0] != "c" and t[2:3] == "b"]
    p = np.exp(own.log_prob(listed) + 0.3 * np.array([len(t) for t in listed]))
    led = condition(own, both, n=2000, length=5, seed=0)
    assert abs(led.log_evidence - np.log(p.sum())) < 6.6 * led.log_evidence_error
    assert {x for x, w in zip(led.x, led.weights, strict=True) if w} <= set(listed)
    exact = condition(own, Regex("(a|b)[abc]*") & Known({2: "b"}), n=10, length=5)
    assert exact.method == "exact"
    assert exact.log_evidence == pytest.approx(np.log(np.exp(own.log_prob(listed)).sum()))
    free = condition(process("Transformer"), Regex("(a|b)[abc]{0,2}"), n=2000, length=4, seed=1)
    listed = [t for t in texts(3) if t and t[0] != "c"]
    want = np.log(np.exp(process("Transformer").log_prob(listed)).sum())
    assert abs(free.log_evidence - want) < 6.6 * free.log_evidence_error


class Level(Constraint):
    """As many "a" as "b" in the end; its states are all whole numbers from -3 to 3."""

    over = "character"

    def start(self):
        return 0

    def step(self, state, symbol):
        state += {"a": 1, "b": -1}.get(symbol, 0)
        return state if abs(state) <= 3 else None

    def accepts(self, state):
        return state == 0


@pytest.mark.parametrize("method", ["rejection", "particles"])
def test_states_of_a_users_constraint_may_be_any_numbers(method):
    own = process("PPM")
    found = constrained(own, Level(), 200, 4, method=method, seed=0)
    assert all(t.count("a") == t.count("b") for t in found.x)
    assert any(t.startswith("b") for t in found.x)
    p = np.exp(own.log_prob([t for t in texts(4) if t.count("a") == t.count("b")]))
    assert abs(np.exp(found.log_evidence) / p.sum() - 1) < 5 * found.evidence_error


def test_a_constrained_process_is_a_machine_again():
    """Masks, and messages, below another constraint: each beside enumeration."""
    own, second = process("NGram"), Regex("[ab]*c[abc]*")
    for mode in ("masking", "conditioning"):
        before = own.with_policy(Constrain(Regex(PATTERN), mode=mode))
        given = before.with_policy(Constrain(second, mode="conditioning", length=6))
        listed = [t for t in accepted(6) if "c" in t]
        mass = np.exp(before.log_prob(listed))
        np.testing.assert_allclose(np.exp(given.log_prob(listed)), mass / mass.sum(), rtol=1e-9)
        best = best_path(before, 6, constraint=second)
        assert best.x == [listed[int(mass.argmax())]]
        assert best.log_prob[0] == pytest.approx(np.log(mass.max()))


@pytest.mark.parametrize("smoothing", ["witten_bell", "additive"])
def test_laws_that_look_at_the_step(smoothing):
    """N-grams that are not interpolated begin otherwise, and windows may at any step."""
    ngram = arproc.NGram(3, smoothing, tokens="char").fit(["abcab", "bca", "cabbac", "acb"] * 2)
    frozen = arproc.PPM(order=2, tokens="char", adaptive=False).fit(["abcab", "bca", "cabb"])
    for own in (ngram, ngram.condition("a"), frozen):
        listed = list(texts(5))
        best = best_path(own, 5)
        p = np.asarray(own.log_prob(listed))
        assert best.log_prob[0] == pytest.approx(p.max(), rel=1e-6)
        given = own.with_policy(Constrain(Regex("a?(bc|cb|a)*"), mode="conditioning", length=5))
        kept = [t for t in listed if re.fullmatch("a?(bc|cb|a)*", t)]
        mass = np.exp(own.log_prob(kept))
        np.testing.assert_allclose(np.exp(given.log_prob(kept)), mass / mass.sum(), rtol=1e-6)
    with pytest.raises(UnsupportedError, match=r"needs a most length here \(length=\)"):
        best_path(frozen)
