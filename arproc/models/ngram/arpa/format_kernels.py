"""Compiled loops that spell the lines of an ARPA file."""

from __future__ import annotations

import numpy as np

from arproc.compiled.jit import Int, jit

#: No number takes more bytes.
WIDEST = 24

_DIGITS = 9
_TAB, _NEWLINE, _BLANK, _MINUS, _POINT, _ZERO, _E = 9, 10, 32, 45, 46, 48, 101
_POWERS = 10.0 ** np.arange(23)
_LN10 = np.log(10.0)


@jit
def _scaled(value: float, power: Int) -> float:
    """The value times a power of ten."""
    if 0 <= power < len(_POWERS):
        return value * _POWERS[power]
    if -len(_POWERS) < power < 0:
        return value / _POWERS[-power]
    return value * 10.0**power


@jit
def put_number(out: np.ndarray, at: Int, value: float) -> Int:
    """Spell a finite number with nine significant digits, without zeros behind; where it ends.

    Plain decimals from 1e-5 to 1e9, else with an exponent.
    """
    if value < 0.0:
        out[at] = _MINUS
        at += 1
        value = -value
    if value == 0.0:
        out[at] = _ZERO
        return at + 1
    exponent = 0  # of the first digit
    while value >= _scaled(1.0, exponent + 1):
        exponent += 1
    while value < _scaled(1.0, exponent):
        exponent -= 1
    mantissa = np.int64(np.rint(_scaled(value, _DIGITS - 1 - exponent)))
    if mantissa >= 10**_DIGITS:
        mantissa, exponent = mantissa // 10, exponent + 1
    digits = _DIGITS
    while mantissa % 10 == 0:
        mantissa //= 10
        digits -= 1
    if exponent < -5 or exponent >= _DIGITS:
        at = _put_digits(out, at, mantissa, digits, 1)
        out[at], out[at + 1] = _E, _MINUS if exponent < 0 else _ZERO
        return _put_digits(out, at + 2, np.int64(abs(exponent)), 3, 3)
    if exponent < 0:
        out[at], out[at + 1] = _ZERO, _POINT
        for i in range(-exponent - 1):
            out[at + 2 + i] = _ZERO
        return _put_digits(out, at + 1 - exponent, mantissa, digits, digits)
    while digits <= exponent:
        mantissa *= 10
        digits += 1
    return _put_digits(out, at, mantissa, digits, exponent + 1)


@jit
def _put_digits(out: np.ndarray, at: Int, number: Int, digits: Int, before: Int) -> Int:
    """So many digits of a whole number, with a point after the first `before` if more follow."""
    end = at + digits + (1 if before < digits else 0)
    p = end
    for i in range(digits - 1, -1, -1):
        p -= 1
        out[p] = _ZERO + number % 10
        number //= 10
        if i == before:
            p -= 1
            out[p] = _POINT
    return end


@jit
def _put_word(out: np.ndarray, at: Int, word: Int, letters: np.ndarray, starts: np.ndarray) -> Int:
    for i in range(starts[word], starts[word + 1]):
        out[at] = letters[i]
        at += 1
    return at


@jit
def lines(
    model: tuple,
    history: np.ndarray,
    letters: np.ndarray,
    starts: np.ndarray,
    never: float,
    certain: Int,
    place: np.ndarray,
    out: np.ndarray,
) -> Int:
    """Spell n-grams of one order until they end or `out` has no room for the longest line.

    Args:
        model: `Trie.arrays`.
        history: int32 [contexts of this order, k - 1], the symbols of each.
        letters: uint8, the symbols' names one behind the other.
        starts: int64 [size + 1], where each begins.
        never: the log10 to write where it is this or less.
        certain: the n-gram whose probability is written as one, or -1.
        place: int64 [3], the context's number in `history`, its node, and the next n-gram; kept
            up to date.
        out: uint8, gets the lines.

    Returns:
        How many bytes were written.
    """
    symbol, first_child, log_prob, back_off = model[1], model[3], model[4], model[5]
    widest = 0
    for w in range(len(starts) - 1):
        widest = max(widest, starts[w + 1] - starts[w])
    room = len(out) - 2 * WIDEST - 4 - (history.shape[1] + 1) * (widest + 1)
    at = np.int64(0)
    while place[0] < len(history):
        row, h = place[0], place[1]
        for i in range(max(place[2], np.int64(first_child[h])), first_child[h + 1]):
            if at > room:
                place[2] = i
                return at
            value = 0.0 if i == certain else max(log_prob[i] / _LN10, never)
            at = put_number(out, at, value)
            out[at] = _TAB
            at += 1
            for j in range(history.shape[1]):
                at = _put_word(out, at, history[row, j], letters, starts)
                out[at] = _BLANK
                at += 1
            at = _put_word(out, at, symbol[i], letters, starts)
            if i < len(back_off):
                out[at] = _TAB
                at = put_number(out, at + 1, max(back_off[i] / _LN10, never))
            out[at] = _NEWLINE
            at += 1
        place[0], place[1] = row + 1, h + 1
    return at
