"""Draws by guesses have the law of the process, whatever the draft; wrong verifiers have not."""

from fractions import Fraction
from functools import partial

import numpy as np
import pytest
import torch
from laws import FAMILIES, LENGTH, LEVEL, ROWS, TEXT, family, length_of, p_value
from toys import Chain, Letters, Walk

import arproc
from arproc import Tokens
from arproc.contract.law import ChainLaw
from arproc.distributions import Categorical, as_categorical, from_uniform
from arproc.errors import (
    ArprocError,
    NotComparableError,
    NothingLeftError,
    ParameterError,
    UnsupportedError,
)
from arproc.sampling import (
    Automaton,
    Ban,
    Constrain,
    Constraint,
    Costs,
    FrequencyPenalty,
    NoRepeatNGram,
    OwnHeads,
    PromptLookup,
    Regex,
    Temperature,
    TopK,
    Within,
    parallel,
    speculative,
    verification,
)
from arproc.sampling.ahead import Ahead
from arproc.sampling.verification import RULES, Verdict

every = pytest.mark.parametrize("name", sorted(FAMILIES))
rules = pytest.mark.parametrize("verify", sorted(RULES))


def drawn(target, draft, n=ROWS, length=LENGTH, seed=0, **options):
    options = {"ahead": 2} | options
    return speculative(target, draft, n, length_of(target, length), seed=seed, **options)


# ---- the law -----------------------------------------------------------------------------------


@every
@rules
def test_what_is_drawn_has_the_law_of_the_target(name, verify):
    target, draft = family(name)
    draws, report = drawn(target, draft, verify=verify)
    assert p_value(target, draws) > LEVEL
    assert 1.3 < report.elements_per_pass <= 3


@rules
def test_it_has_with_lengths_that_adapt(verify):
    target, draft = family("MADE")
    draws, report = drawn(target, draft, verify=verify, ahead=None)
    assert p_value(target, draws) > LEVEL
    assert len(report.kept) > 2


class Lasting(ChainLaw):
    """Symbols that come each with the same probabilities."""

    def __init__(self, scores, symbols=3):
        from arproc.spaces import Categorical as Symbols

        self.scores, self.space = torch.tensor(scores, dtype=torch.float64), Symbols(symbols)

    window_length = 0

    def window(self, ctx, position):
        return Categorical(self.scores.expand(*position.shape, -1))


def process(*probabilities):
    return arproc.Process.of(Lasting([np.log(p) if p else -np.inf for p in probabilities]))


ADVERSARIAL = {
    "one that gives next to nothing to what the target holds likely": (
        process(0.6, 0.3, 0.1), process(1e-30, 1 - 1e-14, 1e-14)
    ),
    "one with holes where the target has mass": (process(0.6, 0.3, 0.1), process(0, 0, 1.0)),
    "one with mass where the target has holes": (process(0.9, 0.1, 0), process(0.2, 0.2, 0.6)),
    "the target itself": (process(0.6, 0.3, 0.1), process(0.6, 0.3, 0.1)),
    "the target but for rounding": (
        process(0.6, 0.3, 0.1), process(0.6 + 1e-15, 0.3 - 1e-15, 0.1)
    ),
    "the target of another temperature": (
        Chain(3).fit([[0, 1, 2]]), Chain(3).fit([[0, 1, 2]]).with_policy(Temperature(3.0))
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", sorted(ADVERSARIAL))
@rules
def test_the_draft_may_be_as_bad_as_it_likes(kind, verify):
    target, draft = ADVERSARIAL[kind]
    draws, report = drawn(target, draft, verify=verify)
    assert p_value(target, draws) > LEVEL
    if kind.startswith("the target itself"):
        assert (report.acceptance == 1).all()


@rules
@pytest.mark.parametrize("a", [0.5, 0.5 + 1e-9, -0.9])
def test_numbers_may_be_drafted_as_badly(verify, a):
    target, draft = Walk(0.5).fit([0.0]), Walk(a).fit([0.0])
    draws, report = drawn(target, draft, verify=verify, ahead=3)
    assert p_value(target, draws) > LEVEL
    assert (report.acceptance.min() == 1) == (a > 0)


@rules
def test_counts_that_have_no_end_are_drafted(verify):
    rates = arproc.CountAR.from_parameters(0.4, [0.3])
    target, draft = rates, arproc.CountAR.from_parameters(1.0)
    draws, _ = drawn(target, draft, verify=verify, prefix=[1])
    expected = target.condition([1]).log_prob(np.array([[0.0], [1.0], [2.0]]))
    share = [(np.asarray(draws)[:, 0] == k).mean() for k in range(3)]
    np.testing.assert_allclose(share, np.exp(expected), atol=5 * 0.5 / ROWS**0.5)


# ---- under policies, with constraints, in batches ----------------------------------------------


POLICIES = {
    "without a symbol": Ban(["c"]),
    "with a memory": FrequencyPenalty(0.7),
    "a chain of both": TopK(3) | Temperature(0.7) | FrequencyPenalty(0.3),
}


@pytest.mark.parametrize("kind", sorted(POLICIES))
@rules
def test_a_policy_speculation_and_a_batch_go_together(kind, verify):
    target, draft = family("n-gram")
    draws, _ = drawn(target, draft, policy=POLICIES[kind], verify=verify)
    assert p_value(target.with_policy(POLICIES[kind]), draws) > LEVEL
    if kind == "without a symbol":
        assert not any("c" in text for text in draws)


class Even(Constraint):
    """An even number of symbols "a"; a rule of the user's own."""

    over = "character"

    def start(self):
        return 0

    def step(self, state, symbol):
        return (state + (symbol == "a")) % 2

    def accepts(self, state):
        return state == 0


ODD = Automaton({0: {0: 1, 1: 0, 2: 0}, 1: {0: 0, 1: 1}}, accepting=[1])
TEXTS = Regex("(a|bc?|ca)*c?")
#: What is drawn from, and the constraint on it.
CONSTRAINED = {
    "masks of a Regex": ("n-gram", Constrain(TEXTS)),
    "given a Regex": ("n-gram", Constrain(TEXTS, mode="conditioning", length=LENGTH)),
    "a rule of one's own, under a temperature": ("Mixture", Temperature(1.3) | Constrain(Even())),
    "masks of an Automaton": ("Transformer", Constrain(ODD)),
    "one that must be done in time": ("MADE", Constrain(ODD)),
}


@pytest.mark.parametrize("kind", sorted(CONSTRAINED))
@pytest.mark.parametrize(("verify", "kept"), [("token", False), ("block", True)])
def test_a_constraint_speculation_and_a_batch_go_together(kind, verify, kept):
    """Chi-square against the exact law of the constrained process, at the power of `laws`.

    The draft keeps the constraint as well, or knows nothing of it.
    """
    name, policy = CONSTRAINED[kind]
    target, draft = family(name)
    guided = draft.with_policy(policy) if kept else draft
    draws, report = drawn(target, guided, policy=policy, verify=verify)
    assert p_value(target.with_policy(policy), draws) > LEVEL
    assert report.elements_per_pass > 1.2


@pytest.mark.parametrize("policy", [TopK(2) | FrequencyPenalty(0.7), Constrain(ODD)], ids=repr)
@rules
def test_a_policy_of_the_target_is_laid_on_what_it_foresees(policy, verify):
    target, draft = family("Transformer, by its own heads")
    draws, report = drawn(target, draft, policy=policy, verify=verify)
    assert p_value(target.with_policy(policy), draws) > LEVEL
    assert report.elements_per_pass > 1.5


@pytest.mark.parametrize("kind", sorted(CONSTRAINED))
def test_constrained_rows_of_a_batch_are_their_own(kind):
    name, policy = CONSTRAINED[kind]
    target, draft = family(name)
    length = length_of(target)
    options = {"length": length, "policy": policy, "seed": 4}
    many, few = (list(speculative(target, draft, n, **options).draws) for n in (7, 2))
    assert all(same(a, b) for a, b in zip(few, many[:2], strict=True))
    shared, _ = speculative(target, draft, 7, coupled=True, **options)
    assert same(shared, target.sample(7, **options))
    fixed, _ = parallel(target, 7, **options)
    assert same(fixed, target.sample(7, **options))


@pytest.mark.parametrize("coupled", [False, True])
def test_a_policy_that_leaves_nothing_is_refused_with_its_row(coupled):
    target = Letters("ab", end=False).fit("ab")
    with pytest.raises(NothingLeftError, match=r"NoRepeatNGram\(1\).*after 2 elements"):
        drawn(target, target, 3, length=4, policy=NoRepeatNGram(1), coupled=coupled)
    assert all(len(set(text)) == 2 for text in drawn(
        target, target, 3, length=2, policy=NoRepeatNGram(1), coupled=coupled).draws)  # fmt: skip


def test_an_interval_keeps_numbers_inside():
    target, draft = family("AR")
    draws, _ = drawn(target, draft.with_policy(Within(low=0.0)), policy=Within(low=0.0))
    assert p_value(target.with_policy(Within(low=0.0)), draws) > LEVEL


# ---- the same draws ----------------------------------------------------------------------------


def same(one, other) -> bool:
    if isinstance(other, (list, str)):
        return one == other
    np.testing.assert_allclose(np.asarray(one), np.asarray(other), rtol=1e-4, atol=1e-4)
    return True


@every
@pytest.mark.parametrize("ahead", [1, None])
def test_coupled_draws_are_the_sequential_ones(name, ahead):
    target, draft = family(name)
    length = length_of(target, 15)
    draws, _ = speculative(target, draft, 12, length, seed=3, coupled=True, ahead=ahead)
    assert same(draws, target.sample(12, length, seed=3))


@every
@pytest.mark.parametrize("window", [1, 7])
def test_the_fixed_point_is_the_sequential_draw(name, window):
    target, _ = family(name)
    length = length_of(target, 15)
    draws, report = parallel(target, 12, length, seed=3, window=window)
    assert same(draws, target.sample(12, length, seed=3))
    assert report.passes <= (length or LENGTH) + 1
    if window > 1:
        assert report.elements_per_pass > 1


def test_a_fixed_point_of_numbers_is_one_to_its_tolerance():
    model = arproc.AR.from_parameters([0.5])
    want = model.sample(3, length=60, seed=1)
    loose, quick = parallel(model, 3, length=60, seed=1, tolerance=1e-3)
    tight, slow = parallel(model, 3, length=60, seed=1, tolerance=1e-12)
    assert 1e-9 < np.abs(loose - want).max() < 1e-2
    assert np.abs(tight - want).max() < 1e-10
    assert quick.passes < slow.passes < 60


@every
@pytest.mark.parametrize("verify", ["block", "coupled"])
def test_row_i_depends_on_the_seed_and_i_alone(name, verify):
    target, draft = family(name)
    options = {"coupled": True} if verify == "coupled" else {"verify": verify}
    options |= {"length": length_of(target, 9), "ahead": None, "seed": 5}
    many = list(speculative(target, draft, 9, **options).draws)
    few = list(speculative(target, draft, 3, **options).draws)
    assert all(same(a, b) for a, b in zip(few, many[:3], strict=True))


@pytest.mark.parametrize("coupled", [False, True])
def test_prefixes_may_be_of_unequal_lengths(coupled):
    target, draft = family("n-gram")
    prefixes = ["", "abc", "ca"]
    options = {"length": 6, "seed": 1, "coupled": coupled}
    draws = speculative(target, draft, 3, prefix=prefixes, **options).draws
    for i, prefix in enumerate(prefixes):
        alone = speculative(target, draft, 3, prefix=prefix, **options).draws
        assert alone[i] == draws[i]
    if coupled:
        assert draws == target.sample(3, 6, prefix=prefixes, seed=1)


@pytest.mark.parametrize("stop", ["b", lambda x: (x == 1).any(1)], ids=["text", "function"])
def test_a_stop_cuts_what_was_guessed_beyond_it(stop):
    target, draft = family("n-gram")
    options = {"length": 8, "seed": 2, "stop": stop}
    draws = speculative(target, draft, 40, coupled=True, **options).draws
    assert draws == target.sample(40, **options)
    assert any(len(text) < 8 and text.endswith("b") for text in draws)
    assert all("b" not in text[:-1] for text in draws)


def test_a_draw_knows_its_probability():
    target, draft = family("Mixture")
    draws, _ = drawn(target, draft, 5, policy=Temperature(0.5), return_log_prob=True)
    under = target.with_policy(Temperature(0.5))
    for x, complete, a, b in zip(
        draws.x, draws.complete, draws.log_prob, draws.policy_log_prob, strict=True
    ):
        assert a == pytest.approx(target.log_prob(x, complete=bool(complete)))
        assert b == pytest.approx(under.log_prob(x, complete=bool(complete)))


@pytest.mark.parametrize("n", [0, 1])
def test_few_rows_are_drawn_too(n):
    target, draft = family("Transformer")
    draws, report = drawn(target, draft, n)
    assert np.asarray(draws).shape == (n, LENGTH)
    assert report.elements == n * LENGTH


# ---- drafts ------------------------------------------------------------------------------------


@rules
@pytest.mark.parametrize("several", [False, True])
def test_a_look_up_drafts(verify, several):
    target, draft = family("n-gram")
    lookup = PromptLookup(shortest=1, corpus=TEXT)
    given = [lookup, draft] if several else lookup
    draws, report = drawn(target, given, verify=verify)
    assert p_value(target, draws) > LEVEL
    made, kept = report.sources["look-up"]
    assert made > ROWS / 4
    assert 0 < kept < made
    assert ("NGram" in report.sources) == several
    assert sum(made for made, _ in report.sources.values()) >= report.kept.sum()


def test_heads_stand_beside_other_drafts_and_rest_where_they_do_not_pay():
    target, heads = family("Transformer, by its own heads")
    draws, report = drawn(target, [PromptLookup(1, corpus=[0, 1, 2, 0]), heads])
    assert p_value(target, draws) > LEVEL
    assert min(made for made, _ in report.sources.values()) > ROWS / 10
    after = target.condition([0, 1])
    draws, report = drawn(after, heads)
    assert p_value(after, draws) > LEVEL
    assert report.elements_per_pass > 1.3
    # guesses that never pay: rows rest at times of their own, and are drawn the same in any batch
    dear = {"length": 60, "seed": 2, "ahead": None, "costs": Costs(0.5, 0.5)}
    many, few = (drawn(target, heads, n, **dear) for n in (6, 1))
    assert (many.draws[:1] == few.draws).all()
    assert 1 in few.report.widths


def test_a_look_up_finds_the_longest_and_latest_place():
    target = arproc.NGram(2, "witten_bell", tokens="char").fit(["abcd"] * 3)
    chain = drawn(target, PromptLookup(2), 1, length=3, prefix="abcdbcabc", coupled=True, ahead=3)
    made, kept = chain.report.sources["look-up"]
    assert made == 2
    assert kept >= 1


def test_copies_are_drafted_by_what_was_drawn_before():
    parrot = arproc.PPM(order=5, tokens=Tokens("char", end=False)).fit("abcdefghij" * 60)
    draws, report = speculative(
        parrot, PromptLookup(), 1, 200, "abcdefghij" * 3, Temperature(0.3), seed=0
    )
    assert len(draws[0]) == 200
    assert report.elements_per_pass > 4


def test_a_draft_that_never_fits_is_let_go():
    target, draft = process(0.5, 0.5, 0), process(0, 0, 1.0)
    _, report = speculative(target, draft, 1, length=100, seed=0)
    made, kept = report.sources["Process"]
    assert kept == 0
    assert made < 20
    _, stubborn = speculative(target, draft, 1, length=60, seed=0, ahead=1)
    assert stubborn.sources["Process"][0] > 45


def test_the_pace_follows_what_was_kept():
    pace = Ahead(2, None, 8, Costs(0.0, 0.1))
    assert (pace.wanted() > 0).all()
    for _ in range(30):
        pace.learn(pace.wanted(), torch.tensor([1, 0]) * pace.wanted(), pace.wanted() + 1)
    assert pace.wanted()[0] == 8
    assert pace.resting[1] > 0
    assert pace.wanted()[1] == 0
    assert pace.idle == 0
    pace.select(torch.tensor([1]))
    assert pace.idle == int(pace.resting[0]) > 0


def test_block_never_keeps_fewer():
    target, draft = family("MADE")
    kept = {v: drawn(target, draft, verify=v, ahead=3).report.kept.sum() for v in RULES}
    assert kept["block"] > kept["token"]
    target, draft = Walk(0.9).fit([0.0]), Walk(0.0).fit([0.0])
    kept = {v: drawn(target, draft, verify=v, ahead=4, length=8).report.kept.sum() for v in RULES}
    assert kept["block"] > kept["token"]


# ---- wrong verifiers are refused ---------------------------------------------------------------


def token_like(columns, guess, noise, *, passes=None, residual=None, behind=None, reuse=False):
    """The token rule on finitely many values, with one of its parts changed."""
    p, q = verification._tables(columns, guess)
    width = guess.x.shape[1]
    u = noise.accept.take(noise.rows, width, guess.counts)
    ratio = verification._at(p[:, :-1], guess.x) - verification._at(q, guess.x)
    passed = u.log() < ratio if passes is None else passes(u, p, guess)
    kept = verification._leading(passed, guess.counts)
    if not width:
        return Verdict(kept, from_uniform(Categorical(p[:, 0]), noise.own[:, 0]))
    every = torch.arange(len(kept))
    whole = kept == guess.counts
    last = kept.clamp(max=width - 1)
    own = p[every, kept]
    if behind is not None:
        own = torch.where(whole[:, None], behind(p, q, kept), own)
    rest = (residual or verification._residual)(own, q[every, last], torch.zeros(len(own)))
    rest = torch.where((rest > -torch.inf).any(-1)[:, None], rest, own)
    u_rest = noise.residual.take(noise.rows, 1)[:, 0]
    if reuse:
        u_rest = u[every, last]
    scores = torch.where(whole[:, None], own, rest)
    return Verdict(kept, from_uniform(
        Categorical(scores), torch.where(whole, noise.own[every, kept], u_rest)))  # fmt: skip


def block_with_the_residual_of_token(columns, guess, noise):
    def listed(p, q, kept, log_weight, guess, noise):
        return verification._listed(p, q, kept, torch.zeros_like(log_weight), guess, noise)

    changed = dict(vars(verification), _listed=listed)
    block = type(verification.block)(verification.block.__code__, changed)
    return block(columns, guess, noise)


WRONG = {
    "exact match with the residual of another rule": partial(
        token_like,
        passes=lambda u, p, guess: u < verification._at(p[:, :-1], guess.x).exp(),
    ),
    "the residual is the target itself": partial(token_like, residual=lambda p, q, w: p),
    "the element behind a whole guess is the draft's": partial(
        token_like, behind=lambda p, q, kept: q[:, -1]
    ),
    "uniforms are used for the test and for the residual": partial(token_like, reuse=True),
    "block with the residual of token": block_with_the_residual_of_token,
}
TARGETS = {"exact": token_like, "block": verification.block}


def p_value_of_rule(rule, monkeypatch) -> float:
    monkeypatch.setitem(RULES, "token", rule)
    target, draft = process(0.4, 0.3, 0.3), process(0.8, 0.15, 0.05)
    return p_value(target, drawn(target, draft, ahead=3).draws)


@pytest.mark.parametrize("kind", sorted(WRONG))
def test_a_wrong_verifier_is_refused(kind, monkeypatch):
    assert p_value_of_rule(WRONG[kind], monkeypatch) < LEVEL


@pytest.mark.parametrize("kind", sorted(TARGETS))
def test_what_they_were_made_of_is_not(kind, monkeypatch):
    assert p_value_of_rule(TARGETS[kind], monkeypatch) > LEVEL


def exact_residual(p, q):
    return [float(max(Fraction(a) - Fraction(b), 0)) for a, b in zip(p, q, strict=True)]


def error_of_residual(residual) -> float:
    """The greatest relative error where q/p is next to 1, and where it is tiny."""
    worst = 0.0
    for near in (1e-3, 1e-8, 1e-12, 1e-14):
        log_p, log_q = -1e-4, -1e-4 - near
        want = log_p + np.log(-np.expm1(log_q - log_p))
        pair = [torch.tensor([v], dtype=torch.float64) for v in (log_p, log_q)]
        got = residual(*pair, torch.zeros((), dtype=torch.float64))
        worst = max(worst, abs(float(torch.expm1(got - want))))
    return worst


def naive(p, q, w):
    """log(p - q) as p + log(1 - q/p), the ratio subtracted from one."""
    return p + torch.log(1 - torch.exp(q - p))


def test_the_residual_keeps_its_digits_and_a_plain_logarithm_does_not():
    assert error_of_residual(verification._residual) < 1e-15 < 1e-6 < error_of_residual(naive)
    p, q = [0.7, 0.2, 0.1], [0.1, 0.3, 0.6]
    tables = [torch.tensor(v, dtype=torch.float64).log() for v in (p, q)]
    got = verification._residual(*tables, torch.zeros((), dtype=torch.float64)).exp()
    np.testing.assert_allclose(got, exact_residual(p, q), rtol=1e-14)
    holes = torch.tensor([0.0, -torch.inf]), torch.tensor([-torch.inf, -torch.inf])
    got = verification._residual(*holes, torch.zeros(()))
    assert got.tolist() == [0.0, -np.inf]


# ---- errors ------------------------------------------------------------------------------------


def test_what_can_not_be_is_refused():
    target, draft = family("n-gram")
    call = partial(speculative, target, draft, 1, 4)
    with pytest.raises(ParameterError, match="verify must be one of 'token', 'block'"):
        call(verify="exact")
    with pytest.raises(ParameterError, match="ahead"):
        call(ahead=-1)
    with pytest.raises(ParameterError, match="costs must be"):
        call(costs=0.1)
    with pytest.raises(ParameterError, match="tolerance"):
        call(coupled=True, tolerance=-1.0)
    with pytest.raises(ParameterError, match="at least one draft"):
        speculative(target, [], 1, 4)
    with pytest.raises(NotComparableError, match="same tokens="):
        speculative(target, family("Transformer")[0], 1, 4)
    with pytest.raises(UnsupportedError, match=r"Fit a Transformer\(ahead=1\)"):
        speculative(target, OwnHeads(), 1, 4)
    with pytest.raises(ParameterError, match="draft needs a Process"):
        speculative(target, 3, 1, 4)
    with pytest.raises(UnsupportedError, match="processes of symbols"):
        speculative(family("AR")[0], PromptLookup(), 1, 4)
    with pytest.raises(ParameterError, match="window"):
        parallel(target, 1, 4, window=0)
    with pytest.raises(ParameterError, match="longest"):
        PromptLookup(5, 4)
    with pytest.raises(ParameterError, match="draft begins after 1 given"):
        speculative(Walk().fit([0.0]), Walk(given=True).fit([0.0]), 1, 4)
    for wrong in (None, "model", arproc.MAF()):
        with pytest.raises(ArprocError):
            speculative(wrong, draft, 1, 4)


def test_as_categorical_is_what_makes_values_finite():
    assert verification.is_finite(Categorical(torch.zeros(2)))
    assert not verification.is_finite(torch.distributions.Poisson(1.0))
    assert as_categorical(Categorical(torch.zeros(2))).scores.shape == (2,)
