"""Grammars and schemas: the same masks as an automaton's, whole values, and refusals."""

import json
import random
import re
import time

import numpy as np
import pytest
from symbol_processes import process

import arproc
from arproc.data.token_texts import TokenTexts
from arproc.errors import MissingDependencyError, ParameterError, UnsupportedError
from arproc.sampling import Constrain, Grammar, JSONSchema, Regex
from arproc.sampling.constraints import grammar as parsed
from arproc.sampling.constraints import texts as lifted
from arproc.sampling.constraints.regular_syntax import nondeterministic
from arproc.sampling.constraints.tables import Deadline, determined

pytest.importorskip("llguidance")
#: Many force the next bytes, of which llguidance itself would take one token alone.
PATTERNS = [
    "abc(abc)*", "abcab|abd", "(ab)+c?", "aaaaaaab|aaaaaaac", "abcabcab[abc]", "[ab]{2}cccccc",
    "é(abé)*", "c+(ab)*", '\\{"a": ?"[ab]+"\\}',
]  # fmt: skip


class Alphabet:
    """Symbols without a law."""

    length = vocabulary = None

    def __init__(self, size):
        self.size, self.end = size + 1, size


def random_texts(rng):
    """Symbols that spell the patterns in many ways; half the time other ones begin a text."""
    letters = 'abcé{":} '
    pieces = {"".join(rng.choices(letters, k=rng.choice([1, 1, 2, 3, 5, 9]))) for _ in range(25)}
    for pattern in PATTERNS:
        plain = re.sub("[()]", "", pattern)
        for _ in range(3):
            begin = rng.randint(0, 5)
            pieces.add(plain[begin : begin + rng.randint(1, 9)])
    later = [piece.encode() for piece in sorted(pieces) if piece]
    later = [*later, b"a", b"a", b"\xc3", b"\xa9", None]
    rng.shuffle(later)
    first = list(later)
    if rng.random() < 0.5:
        first = [(text and text.removeprefix(b" ")) or None for text in later]
    return TokenTexts(first, later)


@pytest.mark.parametrize("seed", range(3))
def test_masks_are_those_of_an_automaton_whatever_the_tokens(seed, monkeypatch):
    rng = random.Random(seed)
    texts = random_texts(rng)
    monkeypatch.setattr(lifted, "token_texts", lambda _: texts)
    alphabet, library, compared = Alphabet(len(texts.later)), parsed._library(), 0
    for pattern in PATTERNS:
        deadline = Deadline(30, "it")
        try:
            table = determined(nondeterministic(pattern), deadline)
            one = lifted.text_acceptor(table, alphabet, "it", deadline)
        except ParameterError:  # these symbols can not spell it
            continue
        grammar = library.LLMatcher.grammar_from_lark(f"start: /{pattern}/")
        matcher = parsed._matcher(library, grammar, texts, deadline)
        other = parsed._ParsedAcceptor(matcher, alphabet, "it", texts)
        for _ in range(5):
            a, b = one.start, other.start
            for _ in range(7):
                # an automaton also leaves out what leads nowhere with these symbols
                leads = one.targets(a) < one.none
                leads[alphabet.end] = one.accepts(a)
                np.testing.assert_array_equal(other.forbidden(b).numpy(), ~leads)
                compared += 1
                open_ = np.flatnonzero(~one.forbidden(a).numpy()[:-1])
                if not len(open_):
                    break
                symbol = int(rng.choice(open_.tolist()))
                a, b = one.step(a, symbol), other.step(b, symbol)
    assert compared > 50


@pytest.mark.parametrize("family", ["NGram", "PPM", "Transformer", "Mixture", "ContextTree"])
def test_the_law_under_a_grammar_is_that_under_the_same_expression(family):
    own = process(family)
    one = own.with_policy(Constrain(Grammar('start: part+ "c"?\npart: "ab" | "ba"')))
    other = own.with_policy(Constrain(Regex("(ab|ba)+c?")))
    texts = ["ab", "abbac", "babac", "abc", "bb", "abab"]
    np.testing.assert_allclose(one.log_prob(texts), other.log_prob(texts), rtol=1e-6)
    assert one.sample(8, 12, seed=0) == other.sample(8, 12, seed=0)


def test_what_no_automaton_can_count():
    text = arproc.PPM(order=2, tokens="char").fit(["((x))", "(x)", "x", "(((x)))", "(x"])
    nested = Constrain(Grammar('start: "(" start ")" | "x"'))
    draws = text.sample(40, 60, policy=nested, seed=0, return_log_prob=True)
    whole = [x for x, ended in zip(draws.x, draws.complete, strict=True) if ended]
    assert len(set(map(len, whole))) > 2
    assert all(x == "(" * (len(x) // 2) + "x" + ")" * (len(x) // 2) for x in whole)


SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"enum": ["ann", "bob"]},
        "age": {"type": "integer", "minimum": 0, "maximum": 120},
        "tags": {"type": "array", "items": {"type": "boolean"}, "maxItems": 2},
    },
    "required": ["name", "age"],
    "additionalProperties": False,
}
RECORDS = ['{"name": "ann", "age": 31}', '{"name": "bob", "age": 7, "tags": [true]}', "[1, 2]"] * 2


@pytest.mark.parametrize("tokens", ["char", "byte", "word"])
def test_values_of_a_schema(tokens):
    text = arproc.PPM(order=4, tokens=tokens).fit(RECORDS)
    policy = Constrain(JSONSchema(SCHEMA, blanks=tokens == "word"))
    draws = text.sample(12, 90, policy=policy, seed=0, return_log_prob=True)
    whole = [x for x, ended in zip(draws.x, draws.complete, strict=True) if ended]
    assert len(whole) > 6
    for value in map(json.loads, whole):
        assert set(value) <= set(SCHEMA["properties"])
        assert value["name"] in ("ann", "bob")
        assert 0 <= value["age"] <= 120


def test_a_masked_process_is_saved_and_read(tmp_path):
    text = process("NGram").with_policy(Constrain(Grammar('start: ("a" | "bc")+')))
    text.save(tmp_path / "masked.arproc")
    again = arproc.load(tmp_path / "masked.arproc")
    assert again.log_prob("abca") == text.log_prob("abca")
    assert np.isneginf(again.log_prob("b"))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: JSONSchema({"typo": 3}), "schema has the keyword 'typo'"),
        (lambda: JSONSchema({"items": {"uniqueItems": True}}), r"schema.items has the keyword"),
        (lambda: JSONSchema({"x-guidance": {"lenient": True}}), "has the keyword 'x-guidance'"),
        (lambda: JSONSchema({"oneOf": [{}, {}]}), "has the keyword 'oneOf'"),
        (lambda: JSONSchema("{"), "schema can not be read as JSON"),
        (lambda: JSONSchema(3), "schema must be a dict of keywords"),
        (lambda: Grammar(3), "grammar must be a string"),
        (lambda: Grammar("start: x\nx[max_tokens=3]: /.*/"), "is about tokens"),
        (lambda: Grammar('start[temperature=0.5]: "a"'), "is about tokens"),
        (lambda: Grammar("start: <|end|>"), "is about tokens"),
        (lambda: Grammar("start: /a/", seconds=-1), "seconds must be a number above 0"),
    ],
)
def test_what_is_refused_at_once(make, message):
    with pytest.raises(ParameterError, match=message):
        make()


@pytest.mark.parametrize(
    ("constraint", "message"),
    [
        (Grammar("start: foo"), "Grammar can not be kept"),
        (Grammar("start: ("), "Grammar can not be kept"),
        (Grammar("start: /(?=a)b/"), "Grammar can not be kept"),
        (JSONSchema({"type": "string", "format": "foo"}), "JSONSchema can not be kept"),
        (JSONSchema({"type": "string", "pattern": "(?!a)b"}), "JSONSchema can not be kept"),
        (JSONSchema({"type": "nothing"}), "JSONSchema can not be kept"),
    ],
)
def test_what_llguidance_refuses(constraint, message):
    with pytest.raises(ParameterError, match=message):
        process("NGram").with_policy(Constrain(constraint))


def test_compiling_has_a_time_limit(monkeypatch):
    own, begin = process("NGram"), time.monotonic()
    with pytest.raises(ParameterError, match=r"is not compiled within seconds=0\.2"):
        own.with_policy(Constrain(Regex("(.*a.{17}|.*b.{19}){9}", seconds=0.2)))
    assert time.monotonic() - begin < 20
    monkeypatch.setattr(parsed, "_matcher", lambda *_: time.sleep(5))
    with pytest.raises(ParameterError, match=r"Grammar is not compiled within seconds=0\.1"):
        process("NGram").with_policy(Constrain(Grammar('start: "a"', seconds=0.1)))


def test_grammars_need_texts_and_time():
    with pytest.raises(UnsupportedError, match="looks one step ahead"):
        process("MADE").with_policy(Constrain(Grammar('start: "a"')))
    with pytest.raises(UnsupportedError, match="needs a constraint of finitely many states"):
        process("NGram").with_policy(Constrain(Grammar('start: "a"'), mode="conditioning"))


def test_without_llguidance(monkeypatch):
    parsed._library.cache_clear()
    monkeypatch.setitem(__import__("sys").modules, "llguidance", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'arproc\[constraints\]'"):
        process("NGram").with_policy(Constrain(Grammar('start: "b"')))
    parsed._library.cache_clear()
