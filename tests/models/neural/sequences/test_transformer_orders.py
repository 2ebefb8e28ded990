"""Transformer trained for every order of its elements, by enumeration and by what it learns."""

import functools
import itertools

import numpy as np
import pytest
import torch
from helpers import shake

import arproc
from arproc.errors import DataError, ParameterError, UnsupportedError
from arproc.sampling import Constrain, Regex, complete, step_curve

QUICK = arproc.Training(steps=2, batch_size=8)
TEXTS = ["".join(symbols) for symbols in itertools.product("abc", repeat=3)]
GPT2 = {"positions": "learned", "norm": "layer", "activation": "gelu", "tied": True}
FORMS = {
    "own recipe": ({}, (4,)),
    "learned positions": (GPT2, (4,)),
    "linear biases in a window": ({"positions": "alibi", "attention_window": 2}, (4,)),
    "rotary positions of shared heads": ({"kv_heads": 1}, (4,)),
    "colours": ({"channel_axis": "first"}, (3, 1, 2)),
}


@functools.cache
def small(form="own recipe", levels=2, **more):
    choices, shape = FORMS[form]
    x = np.random.default_rng(0).integers(0, levels, (12, *shape))
    context = np.random.default_rng(1).normal(size=(12, 2)) if more else None
    model = arproc.Transformer(
        1, 2, 8, order_agnostic=True, tokens=levels, training=QUICK, **choices, **more
    )
    return shake(model.fit(x, context=context))


@functools.cache
def of_text():
    model = arproc.Transformer(1, 2, 8, order_agnostic=True, tokens="char", training=QUICK)
    return shake(model.fit(TEXTS))


def every(shape, levels=2):
    found = list(itertools.product(range(levels), repeat=int(np.prod(shape))))
    return np.array(found).reshape(-1, *shape)


@pytest.mark.parametrize("form", FORMS)
def test_each_order_is_a_law_of_its_own(form):
    model, shape = small(form), FORMS[form][1]
    x, sites = every(shape), int(np.prod(shape))
    order = tuple(int(k) for k in np.random.default_rng(2).permutation(sites))
    laws = [model, model.in_order(order)]
    masses = [np.exp(np.asarray(law.log_prob(x))) for law in laws]
    for mass in masses:
        assert mass.sum() == pytest.approx(1, abs=1e-4)
    assert np.abs(masses[0] - masses[1]).max() > 1e-4  # it is not trained, so they differ
    again = laws[1].in_order(tuple(model.layout.order or range(sites)))
    np.testing.assert_allclose(again.log_prob(x), model.log_prob(x), rtol=1e-5)
    assert model.sample(2, seed=0).shape == (2, *shape)


def test_positions_differ_and_see_both_sides():
    model = small()
    first, last = (model.in_order(order).conditional() for order in ((0, 1, 2, 3), (3, 0, 1, 2)))
    assert abs(first.logits - last.logits).max() > 1e-3  # of masks alone
    told = model.in_order((3, 0, 1, 2))
    after = [told.conditional([k]).logits for k in (0, 1)]  # the first given the last
    assert abs(after[0] - after[1]).max() > 1e-3
    seen = small("linear biases in a window").in_order((3, 0, 1, 2))  # by one on each side
    far = [seen.conditional([k]).logits for k in (0, 1)]
    torch.testing.assert_close(far[0], far[1])


def test_it_learns_that_half_of_a_text_follows_from_the_other():
    texts = [a + b + a + b for a in "xyz" for b in "xyz"]
    plan = arproc.Training(steps=120, lr=0.03, batch_size=18)
    model = arproc.Transformer(1, 2, 16, order_agnostic=True, tokens="char", training=plan)
    model.fit(texts * 4)
    for order in ("natural", (3, 0, 1, 2), (1, 0, 3, 2)):
        nats = -np.asarray(model.in_order(order).log_prob(texts)).mean()
        assert nats == pytest.approx(2 * np.log(3), abs=0.15)
    curve = step_curve(model, texts)
    assert -model.log_prob(texts).mean() == pytest.approx(curve.nats[-1], rel=1e-5)
    assert curve.sizes(2) == (2, 2)
    assert curve.nats[1] == pytest.approx(curve.nats[-1], abs=0.1)
    assert curve.nats[0] > curve.nats[1] + 1.5
    steps = model.in_steps(curve.sizes(2))
    assert -steps.log_prob(texts).mean() == pytest.approx(curve.nats[1], rel=1e-5)
    assert all(text[:2] == text[2:] for text in steps.sample(8, seed=1))
    assert model.sample(10, known=["x", None, None, "y"], seed=0).count("xyxy") >= 8
    assert complete(model, [[None, "z", "y", None]], n=10, seed=0)[0].count("yzyz") >= 8


def test_completions_of_texts_given_any_symbols_have_the_law():
    model, known = of_text(), np.array([False, True, False])
    first = model.in_order((1, 0, 2))
    fits = [text for text in TEXTS if text[1] == "b"]
    mass = np.exp(first.log_prob(fits))
    info = complete(model, "abc", known, 1000, seed=0, return_info=True)
    assert info.method == "reordered"
    assert info.log_prob_known == pytest.approx(np.log(mass.sum()), rel=1e-5)
    share = np.array([info.x.count(text) / 1000 for text in fits])
    want = mass / mass.sum()
    assert (np.abs(share - want) < 5 * np.sqrt(want / 1000)).all()
    gaps = complete(model, [None, "b", None], n=1000, seed=0)
    assert gaps == info.x
    assert sorted(set(model.sample(1000, known=[None, "b", None], seed=0))) == fits


def test_gaps_of_bytes_are_filled():
    model = arproc.Transformer(1, 2, 8, order_agnostic=True, tokens="byte", training=QUICK)
    model.fit(["ab", "ba", "aa"])
    for known in (["a", None], [b"a", None]):
        assert all(text[:1] == "a" for text in model.sample(3, known=known, seed=0))
    with pytest.raises(DataError, match="known, item 0 is 'é', which is 2 symbols"):
        model.sample(1, known=["é", None], seed=0)


def test_each_item_of_a_text_with_gaps_is_a_symbol():
    letters, words = of_text(), arproc.Transformer(1, 2, 8, order_agnostic=True, tokens="word")
    words.set_params(training=QUICK).fit(["a cat sat", "a dog ran"])
    with pytest.raises(DataError, match="known, item 0 is 'ab', which is 2 symbols"):
        letters.sample(1, known=["ab", None], seed=0)
    with pytest.raises(DataError, match="data, item 1 is 'cat sat', which is 2 symbols"):
        complete(words, [None, "cat sat", "on"], seed=0)
    with pytest.raises(DataError, match="known, item 1 is '', which is 0 symbols"):
        letters.sample(1, known=[None, "", None], seed=0)


def test_texts_are_read_and_written_in_every_order():
    model = of_text()
    turned = model.in_order((2, 0, 1))
    numbers = np.array([["abc".index(symbol) for symbol in text] for text in TEXTS])
    np.testing.assert_allclose(turned.log_prob(TEXTS), turned.log_prob(numbers), rtol=1e-6)
    np.testing.assert_allclose(turned.log_prob([list(t) for t in TEXTS]),
                               turned.log_prob(numbers), rtol=1e-6)  # fmt: skip
    assert np.exp(turned.log_prob(TEXTS)).sum() == pytest.approx(1, abs=1e-5)
    draws = turned.sample(200, seed=0, return_log_prob=True)
    np.testing.assert_allclose(turned.log_prob(draws.x), draws.log_prob, rtol=1e-4)
    last = np.log([sum(text[2] == k for text in draws.x) / 200 for k in "abc"])
    assert np.abs(np.exp(last) - turned.conditional().probs.numpy()).max() < 0.15
    assert arproc.evaluate(turned, TEXTS).bits_per_byte == pytest.approx(
        -np.mean(turned.log_prob(TEXTS)) / 3 / np.log(2)
    )


def test_what_reads_text_on_is_refused_in_another_order():
    turned = of_text().in_order((2, 0, 1))
    for call in (
        lambda: turned.sample(1, stop="ab", seed=0),
        lambda: turned.stream(seed=0),
        lambda: turned.with_policy(Constrain(Regex("a.*"))),
        lambda: arproc.evaluation.surprisal_table(turned, TEXTS, by="token"),
        lambda: arproc.plot.surprisal(turned, TEXTS[5]),
    ):
        with pytest.raises(UnsupportedError, match=r"in another order; use in_order\(\"natural"):
            call()
    assert of_text().sample(3, policy=Constrain(Regex("a.*")), seed=0)[0][0] == "a"


def test_a_context_reaches_it_and_files_keep_it(tmp_path):
    model, x = small(conditioned=True), every((4,))
    one, two = np.zeros((16, 2)), np.full((16, 2), 1.5)
    a, b = (np.asarray(model.log_prob(x, context=c)) for c in (one, two))
    assert np.abs(a - b).max() > 1e-3
    member = model.in_order("random")
    member.save(tmp_path / "model")
    again = arproc.load(tmp_path / "model")
    np.testing.assert_array_equal(again.log_prob(x, context=two), member.log_prob(x, context=two))
    model.save(tmp_path / "own")
    assert isinstance(arproc.load(tmp_path / "own"), arproc.Transformer)


@pytest.mark.parametrize(
    ("parameters", "data", "error", "match"),
    [({}, "abcabc", DataError, "one sequence.*Cut it into pieces"),
     ({}, ["abc", "ab"], DataError, "sequence 1 has 2 symbols and another 3"),
     ({}, [], DataError, "."),
     ({"order_agnostic": 1}, TEXTS, ParameterError, "order_agnostic must be True or False"),
     ({"block": 3}, TEXTS, ParameterError, "leave block=3 out"),
     ({"ahead": 1}, TEXTS, ParameterError, "leave ahead=1 out"),
     ({"ngrams": 2}, TEXTS, ParameterError, "leave ngrams=2 out"),
     ({"end": True}, TEXTS, ParameterError, "have no end"),
     ({"head": "normal", "tokens": None}, np.zeros((3, 4)), ParameterError, "is for symbols")],
)  # fmt: skip
def test_what_can_not_have_a_size_is_refused(parameters, data, error, match):
    given = {"order_agnostic": True, "tokens": "char", "training": QUICK} | parameters
    with pytest.raises(error, match=match):
        arproc.Transformer(1, 2, 8, **given).fit(data)


def test_what_a_fitted_one_can_not_be_asked(tmp_path):
    model = of_text()
    for data in ("ab", "abca", ["abc", "a"]):
        with pytest.raises(DataError, match="the model's examples have 3"):
            model.log_prob(data)
    with pytest.raises(DataError, match="known has a text of 2 symbols"):
        model.sample(1, known=["a", None])
    with pytest.raises(UnsupportedError, match="network of every order"):
        model.to_pretrained(tmp_path)
    assert not list(tmp_path.iterdir())
