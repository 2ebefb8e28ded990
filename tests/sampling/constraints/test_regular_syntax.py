"""Regular expressions: the automaton matches what `re` matches, and the rest is refused."""

import random
import re

import pytest

from arproc.errors import ParameterError
from arproc.sampling.constraints.regular_syntax import nondeterministic, utf8_ranges
from arproc.sampling.constraints.tables import Deadline, determined

PATTERNS = [
    "a*b", "(ab|ba)+c?", r"\d{1,2}-\w?", "[^a-c]x", "a.c", "(?s)a.c", "^ab$", "",
    "a{0,3}b{2}", "(a|b)*a(a|b){3}", "é+|[à-ü]{2}|\u4e2d", "(?:a|(?i:b))c", "(a*)*", "(a?){3}",
    "(?i)straße|é", "a+?b*?", r"\Aab\Z", "[^\\W\\d]a",
]  # fmt: skip


def matches(table, raw):
    state = table.start
    for byte in raw:
        state = table.targets[state, byte]
        if state < 0:
            return False
    return bool(table.accepting[state])


@pytest.mark.parametrize("pattern", PATTERNS)
def test_the_automaton_matches_what_re_matches(pattern):
    table = determined(nondeterministic(pattern), Deadline(60, "it"))
    rng = random.Random(0)
    found = 0
    for _ in range(700):
        text = "".join(rng.choices("abcABC x01-é\nßSſ中àü", k=rng.randint(0, 5)))
        want = re.fullmatch(pattern, text) is not None
        found += want
        assert matches(table, text.encode()) == want, text
    short = ["ab", "abc", "0-x", "dx", "aéc", "abb", "é", "AC", "aaab", "", "ba", "ac", "aab"]
    assert any(matches(table, text.encode()) for text in ["straße", "中", "ca", "àà", *short])
    for text in short:
        assert matches(table, text.encode()) == (re.fullmatch(pattern, text) is not None)


def test_ranges_of_code_points_are_ranges_of_bytes():
    rng = random.Random(1)
    for _ in range(100):
        low, high = sorted(rng.sample(range(0x110000), 2))
        paths = list(utf8_ranges(low, high))
        for point in (low, high, (low + high) // 2, low - 1, high + 1, rng.randrange(0x110000)):
            if 0 <= point < 0x110000:
                raw = chr(point).encode("utf-8", "surrogatepass")
                inside = [
                    len(path) == len(raw)
                    and all(a <= b <= c for b, (a, c) in zip(raw, path, strict=True))
                    for path in paths
                ]
                assert sum(inside) == (low <= point <= high)


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("a(?=b)", "looks around itself"),
        ("(?<!a)b", "looks around itself"),
        (r"(a)\1", "refers back to a group"),
        (r"(a)?(?(1)b|c)", "refers back to a group"),
        ("(?>a)b", "has an atomic group"),
        ("a*+b", "repeats possessively"),
        (r"\bfoo", "asks where it is"),
        ("a^b", "asks where it is"),
        ("(", "is no regular expression"),
        ("a{2,1}", "is no regular expression"),
        ("(a{500}){500}", "unrolls to more than"),
    ],
)
def test_what_is_not_regular_is_refused(pattern, message):
    with pytest.raises(ParameterError, match=message):
        nondeterministic(pattern)


def test_what_matches_nothing_is_refused():
    with pytest.raises(ParameterError, match="matches no text at all"):
        determined(nondeterministic(r"a[^\s\S]"), Deadline(60, "it"))
