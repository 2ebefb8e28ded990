"""What other writers do in ARPA files, against a reader written for clarity alone; and damage."""

from __future__ import annotations

import math
import random
import tracemalloc

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from models.ngram.arpa.arpa_texts import arpa_texts, texts
from models.ngram.reference import as_written

import arproc
from arproc.compiled.interpreted import nothing_interpreted
from arproc.errors import FileFormatError
from arproc.models.ngram.arpa import source as arpa_source
from arproc.models.ngram.backoff.trie import Trie

SRILM = """\
any text may stand
before the beginning

\\data\\
ngram  1 = 6
ngram 2=4

ngram 3=2

\\1-grams:

-99 <s> -3.0103e-01
-1.2E0\t</s>

-.9 <unk>
-5.e-1\ta -0.2
-0.7 b\t-1e-1
-100 c
\\2-grams:
-0.3  a\t b
-inf a a -Infinity
-0.8 b </s>
-0.4 <s> a -0.25


\\3-grams:
-0.15 <s> b a
-0.1\t<s> a b\t0

\\end\\
what follows is not read"""


def section_of(text):
    """Each n-gram with its log10 p and back-off, from the text of a well-formed file."""
    p, weight, k = {}, {}, 0
    for line in text.split("\\data\\")[1].split("\\end\\")[0].splitlines():
        fields = line.split()
        if line.startswith("\\"):
            k = int(line[1 : line.index("-")])
        elif k and fields:
            gram = tuple(fields[1 : k + 1])
            p[gram] = float(fields[0]) if float(fields[0]) > -99 else -math.inf
            weight[gram] = float(fields[k + 1]) if len(fields) > k + 1 else 0.0
    return p, weight, k


def slow_terms(text, line):
    """The terms log10 p(w | h) of a line, by the definition of backing off."""
    p, weight, order = section_of(text)

    def term(h, w):
        if (*h, w) in p:
            return p[(*h, w)]
        return weight.get(h, 0.0) + term(h[1:], w)

    words = ["<s>", *[w if (w,) in p else "<unk>" for w in line.split()], "</s>"]
    return [term(tuple(words[max(i - order + 1, 0) : i]), words[i]) for i in range(1, len(words))]


def read(folder, text, name="model.arpa", **params):
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return as_written(path, **params)


def check(folder, text, lines):
    model = read(folder, text)
    assert not list(Trie.from_dict(model.trie_.to_dict()).problems())  # it is in order
    for line, terms in zip(lines, model.log_prob_terms(lines), strict=True):
        np.testing.assert_allclose(terms / math.log(10), slow_terms(text, line), atol=1e-9)
    return model


LINES = ["", "a b", "b a b", "a a", "a a b zoo", "b a zoo a", "c b"]


def test_the_habits_of_srilm(tmp_path):
    model = check(tmp_path, SRILM, LINES)
    assert model.n_ngrams_ == [6, 5, 2]  # <s> b, which begins <s> b a, was put in


def test_line_ends_and_blanks_do_not_matter(tmp_path):
    want = read(tmp_path, SRILM).log_prob(LINES)
    for text in (
        SRILM.replace("\n", "\r\n"),
        SRILM.replace(" ", "\t"),
        SRILM.replace("\n", " \t\n"),
        SRILM.replace("\n-", "\n  -"),
        "\ufeff\\data\\" + SRILM.split("\\data\\")[1],
        SRILM.removesuffix("\nwhat follows is not read"),
    ):
        np.testing.assert_array_equal(read(tmp_path, text).log_prob(LINES), want)


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(arpa_texts(), st.lists(texts, min_size=1, max_size=8))
def test_any_set_of_ngrams_is_read_as_defined(tmp_path, text, lines):
    check(tmp_path, text, lines)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(arpa_texts(), st.lists(texts, min_size=1, max_size=8))
def test_what_was_read_is_written_and_read_the_same(tmp_path, text, lines):
    # with a back-off above one, what is put in may be "more probable" than one, and is refused
    model = read(tmp_path, text.replace("0.125", "-0.125"))
    model.to_arpa(tmp_path / "again.arpa")
    again = as_written(tmp_path / "again.arpa")
    np.testing.assert_array_equal(again.trie_.symbol, model.trie_.symbol)
    np.testing.assert_allclose(again.log_prob(lines), model.log_prob(lines), rtol=1e-7)


def fitted_text(folder, **params):
    rng = random.Random(0)
    lines = [" ".join(rng.choices("abcdefghij", k=rng.randrange(12))) for _ in range(400)]
    model = arproc.NGram(4, "witten_bell", **params).fit(lines)
    model.to_arpa(folder / "fitted.arpa")
    return model, (folder / "fitted.arpa").read_text()


def test_ngrams_in_any_order(tmp_path):
    model, text = fitted_text(tmp_path)
    rng, out, section = random.Random(1), [], []
    for line in text.splitlines():
        if "\t" in line and "<unk>" not in line:  # the numbers of words stay as they are
            section.append(line)
            continue
        words = all(len(row.split("\t")[1].split()) == 1 for row in section)
        out += section if words else rng.sample(section, len(section))
        section = []
        out.append(line)
    again = read(tmp_path, "\n".join(out))
    straight = read(tmp_path, text)
    for name in ("levels", "symbol", "link", "first_child", "log_prob", "back_off"):
        np.testing.assert_array_equal(getattr(again.trie_, name), getattr(straight.trie_, name))
    np.testing.assert_allclose(straight.trie_.log_prob[1:], model.trie_.log_prob[1:], rtol=1e-7)
    np.testing.assert_allclose(straight.trie_.back_off, model.trie_.back_off, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("size", [32, 97, 1024])
def test_buffers_of_any_size(tmp_path, monkeypatch, size):
    _, text = fitted_text(tmp_path)
    want = read(tmp_path, text).log_prob(LINES)
    monkeypatch.setattr(arpa_source, "_CHUNK", size)
    monkeypatch.setattr("arproc.models.ngram.arpa.read._ROOM", 1)
    np.testing.assert_array_equal(read(tmp_path, text).log_prob(LINES), want)


def test_memory_is_that_of_the_numbers(tmp_path):
    rng = np.random.default_rng(0)
    lines = [" ".join(f"word{w}" for w in rng.zipf(1.3, 20) % 5000) for _ in range(3000)]
    arproc.NGram(4, "witten_bell").fit(lines).to_arpa(tmp_path / "model.arpa")
    with nothing_interpreted():  # neither the interpreter nor the compiler is measured
        arproc.NGram.from_arpa(tmp_path / "model.arpa")
    tracemalloc.start()
    model = arproc.NGram.from_arpa(tmp_path / "model.arpa")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # a number and a back-off in float64, 4 numbers of words, and again when they are sorted
    buffers = 2**22
    assert peak < 100 * sum(model.n_ngrams_) + buffers


@pytest.mark.parametrize("suffix", [".gz", ".bz2", ".xz"])
def test_compressed_files(tmp_path, suffix):
    model, text = fitted_text(tmp_path)
    path = tmp_path / f"model.arpa{suffix}"
    model.to_arpa(path)
    assert path.stat().st_size < len(text) / 2
    again = arproc.NGram.from_arpa(path)
    np.testing.assert_allclose(again.log_prob(LINES), model.log_prob(LINES), rtol=1e-7)
    raw = path.read_bytes()
    for damaged in (raw[:-20], raw[: len(raw) // 2], raw[:100] + b"x" * 50 + raw[150:]):
        with pytest.raises(FileFormatError, match=r"damaged|expected"):
            read(tmp_path, damaged)


def test_words_with_white_space_of_unicode(tmp_path):
    odd = ["a\u00a0b", "\u3000", "x\u2028y", "\x85", "é", "\\data\\", "-1.5", "ngram"]
    lines = [" ".join(odd), *[f"{word} {word}" for word in odd]]
    model = arproc.NGram(2, "witten_bell").fit(lines)
    model.to_arpa(tmp_path / "model.arpa")
    again = arproc.NGram.from_arpa(tmp_path / "model.arpa")
    assert again.vocabulary == model.vocabulary
    np.testing.assert_allclose(again.log_prob(lines), model.log_prob(lines), rtol=1e-7)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b"\ta -0.2", b"\t\xff\xfe -0.2", r"line 16: the word b'\\xff\\xfe' is not UTF-8"),
        (b"a\t b", b"a\t \xff", "line 20: the word .* is not among the 1-grams"),
        (b" c\n", b" c\x0bd\n", "line 18: the 1-gram 'c\\\\x0bd' is no word"),
        (b"-0.3  a", b"-0,3  a", "line 20: expected numbers"),
        (b"-0.3  a", b"-0x3  a", "line 20: expected numbers"),
        (b"-0.3  a", b"-1_0  a", "line 20: expected numbers"),
        (b"-0.3  a", b"-0.3e  a", "line 20: expected numbers"),
        (b"-0.3  a", b"--3  a", "line 20: expected numbers"),
        (b"-0.3  a", b"a", "line 20: expected log10 p and 2 word"),
        (b"-0.4 <s> a -0.25", b"-0.4 <s> a inf", "line 23: expected a finite back-off"),
        (b"-0.4 <s> a -0.25", b"-0.4 <s> a nan", "line 23: expected a finite back-off"),
        (b"-0.4 <s> a -0.25", b"-0.4 <s> a 1 2", "line 23: expected log10 p and 2 word"),
        (b"-0.4 <s> a", b"1e-9 <s> a", "line 23: expected log10 p of at most 0"),
        (b"-0.4 <s> a", b"-0.4 b </s>", "line 23: the 2-gram 'b </s>' appears twice"),
        (b"-0.4 <s> a -0.25\n", b"", "line 25: expected 4 2-grams .* got 3, then .*3-grams"),
        (b"ngram 2=4", b"ngram 2=1000000000000", "this reads up to"),
        (b"ngram 2=4", b"ngram 2=2000000000", "expected 2000000000 2-grams .* got 4"),
        (b"ngram 2=4", b"ngram 2=-4", "line 6: expected 'ngram 2=count'"),
        (b"ngram 2=4\n\nngram 3=2", b"ngram 3=2\n\nngram 2=4", "line 6: expected 'ngram 2"),
        (b"\\2-grams:", b"\\3-grams:", r"line 19: expected \\\\?2-grams"),
    ],
)
def test_damage_is_named_with_its_line(tmp_path, old, new, message):
    raw = SRILM.encode()
    assert old in raw
    with pytest.raises(FileFormatError, match=message):
        read(tmp_path, raw.replace(old, new))


@pytest.mark.parametrize(
    ("begin", "message"),
    [
        (b"mmap lm http://kheafield.com/code format version 5\n\0\0", "binary file of KenLM's"),
        (b"blmt 3 1 2 3\n", "binary file of IRSTLM's"),
        (b"iARPA\n\n", "IRSTLM's iARPA"),
        (b"qARPA 3\n", "quantised"),
    ],
)
def test_other_formats_are_named(tmp_path, begin, message):
    with pytest.raises(FileFormatError, match=message):
        read(tmp_path, begin + SRILM.encode())


def test_a_character_that_is_spelt_twice(tmp_path):
    text = SRILM.replace("-0.7 b\t-1e-1", "-0.7 <U+0061>\t-1e-1")
    with pytest.raises(FileFormatError, match="line 17: the char 'a' appears twice"):
        read(tmp_path, text, tokens="char")


def test_a_file_cut_anywhere_is_refused(tmp_path):
    raw = SRILM.removesuffix("\nwhat follows is not read").encode()
    for length in range(len(raw)):
        with pytest.raises(FileFormatError):
            read(tmp_path, raw[:length])


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_damage_is_read_or_refused(tmp_path, data):
    raw = bytearray(SRILM.encode())
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(raw) - 1))
        width = data.draw(st.integers(0, 4))
        raw[at : at + width] = data.draw(st.binary(max_size=4) | st.sampled_from([b"\n", b"-"]))
    try:
        model = read(tmp_path, bytes(raw))
    except FileFormatError:
        return
    assert not np.isnan(
        model.log_prob_terms(["a b"] if "b" in model.vocabulary else [""])[0]
    ).any()


# ---- numbers ---------------------------------------------------------------------------------


def parsed(text):
    from arproc.models.ngram.arpa.scan_kernels import number

    raw = np.frombuffer(text.encode() + b"\n", np.uint8)
    value, end = number(raw, 0)
    return None if end < 0 else (value, end)


@given(st.floats(allow_nan=False), st.sampled_from(["r", ".9g", ".3e", ".17g", "f"]))
def test_numbers_are_read_as_python_reads_them(value, form):
    text = repr(value) if form == "r" else format(value, form)
    found, end = parsed(text)
    assert end == len(text)
    assert found == pytest.approx(float(text), rel=1e-14, abs=1e-307)


@pytest.mark.parametrize("text", ["-inf", "+INF", "-Infinity", "nan", ".5", "5.", "-0", "1E+05"])
def test_spellings_of_numbers(text):
    np.testing.assert_equal(parsed(text)[0], float(text))


@given(st.text("+-.0123456789eEinftyaINF_x", max_size=9))
def test_what_is_no_number_is_refused(text):
    try:
        value = float(text) if "_" not in text else None
    except ValueError:
        value = None
    found = parsed(text)
    assert (found is None) == (value is None)
    if found is not None:
        np.testing.assert_allclose(found[0], value, rtol=1e-14)


@given(st.floats(allow_nan=False, allow_infinity=False, min_value=-1e300, max_value=1e300))
def test_numbers_are_written_to_nine_digits(value):
    from arproc.models.ngram.arpa.format_kernels import WIDEST, put_number

    out = np.zeros(WIDEST + 8, np.uint8)
    end = put_number(out, 0, value)
    assert end <= WIDEST
    assert float(out[:end].tobytes()) == pytest.approx(value, rel=6e-9, abs=1e-307)
