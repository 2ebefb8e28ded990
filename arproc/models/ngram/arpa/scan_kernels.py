"""Compiled loops over the bytes of an ARPA file: numbers, words, and the lines of n-grams.

A line is a number, words, and perhaps another number, with blanks or tabs between. Words are
looked up in an open-addressing hash table; whatever is odd about a line only stops the loop, and
the caller, who has the time, says what it is.
"""

from __future__ import annotations

import numpy as np

from arproc.compiled.jit import Int, jit

#: Why a loop stopped: the text is read, there is no more room, a line begins with a backslash,
#: a line is not what it should be, a word appears twice, two words have one hash.
MORE, FULL, TITLE, BAD, TWICE, COLLISION = range(6)

_TAB, _NEWLINE, _RETURN, _BLANK = 9, 10, 13, 32
_PLUS, _MINUS, _POINT, _ZERO, _BACKSLASH, _E = 43, 45, 46, 48, 92, 101
_BASIS, _PRIME = np.uint64(0xCBF29CE484222325), np.uint64(0x100000001B3)  # FNV-1a
_MIX = np.uint64(0x9E3779B97F4A7C15)
_HALF = np.uint64(32)
_POWERS = 10.0 ** np.arange(23)  # the exact ones
_DIGITS = 10**17  # a mantissa that takes one more digit is below 2**63


@jit
def _ends(byte: Int) -> bool:
    """Whether a byte separates fields."""
    return bool(byte <= _BLANK and byte in (_BLANK, _TAB, _NEWLINE, _RETURN))


@jit
def _past_blanks(text: np.ndarray, p: Int) -> Int:
    """The first byte from p on that is no blank; a newline is none."""
    while text[p] in (_BLANK, _TAB, _RETURN):
        p += 1
    return p


@jit
def _spelt(text: np.ndarray, p: Int) -> tuple[float, Int]:
    """inf, infinity or nan, in any case, and where it ends; -1 where it is none of them."""
    letters = np.zeros(8, np.int64)
    n = 0
    while not _ends(text[p + n]) and n < 8:
        letters[n] = text[p + n] | 32
        n += 1
    word = 0
    for i in range(n):
        word = word * 31 + letters[i]
    if not _ends(text[p + n]):
        return 0.0, np.int64(-1)
    if (n == 3 and word == 105 * 961 + 110 * 31 + 102) or n == 8:
        for i in range(n):
            if letters[i] != (105, 110, 102, 105, 110, 105, 116, 121)[i]:
                return 0.0, np.int64(-1)
        return np.inf, p + n
    if n == 3 and letters[0] == 110 and letters[1] == 97 and letters[2] == 110:
        return np.nan, p + n
    return 0.0, np.int64(-1)


@jit
def number(text: np.ndarray, p: Int) -> tuple[float, Int]:
    """The number that begins at p, and where its field ends; -1 where the field is no number.

    Up to 17 digits count, and the value is within two units in the last place.
    """
    negative = text[p] == _MINUS
    if negative or text[p] == _PLUS:
        p += 1
    mantissa, digits, exponent, point = np.int64(0), 0, 0, False
    while True:
        c = np.int64(text[p])
        if _ZERO <= c < _ZERO + 10:
            if mantissa < _DIGITS:
                mantissa = mantissa * 10 + (c - _ZERO)
                exponent -= point
            else:
                exponent += not point
            digits += 1
        elif c == _POINT and not point:
            point = True
        else:
            break
        p += 1
    if digits == 0:
        value, p = _spelt(text, p)
        return (-value if negative else value), p
    if c | 32 == _E:
        p += 1
        down = text[p] == _MINUS
        if down or text[p] == _PLUS:
            p += 1
        power, digits = 0, 0
        while _ZERO <= text[p] < _ZERO + 10:
            if power < 1000:
                power = power * 10 + int(text[p]) - _ZERO
            digits += 1
            p += 1
        if digits == 0:
            return 0.0, np.int64(-1)
        exponent += -power if down else power
    if not _ends(text[p]):
        return 0.0, np.int64(-1)
    value = np.float64(mantissa)
    if 0 <= exponent < len(_POWERS):
        value *= _POWERS[exponent]
    elif -len(_POWERS) < exponent < 0:
        value /= _POWERS[-exponent]
    elif mantissa > 0:
        value *= 10.0**exponent
    return (-value if negative else value), p


# ---- words -----------------------------------------------------------------------------------


@jit
def _seek(text: np.ndarray, p: Int, slots: np.ndarray) -> tuple[Int, np.uint64, Int]:
    """The slot of the word that begins at p, or the free one where it belongs; its hash; its end.

    Words are told apart by 64 bits, as in KenLM; those of one vocabulary are compared when they
    are put in.

    Args:
        text: bytes.
        p: where the word begins.
        slots: uint64 [a power of two, 2], a word's hash, and its number plus 1 or 0 for none.
    """
    h, q = _BASIS, p
    while not _ends(text[q]):
        h = (h ^ np.uint64(text[q])) * _PRIME
        q += 1
    mask = len(slots) - 1
    at = np.int64((h * _MIX) >> _HALF) & mask
    while slots[at, 1] != 0 and slots[at, 0] != h:
        at = (at + 1) & mask
    return at, h, q


@jit
def rehashed(slots: np.ndarray, size: Int) -> np.ndarray:
    """The same table with `size` slots, a power of two."""
    out = np.zeros((size, 2), np.uint64)
    for i in range(len(slots)):
        if slots[i, 1] != 0:
            at = np.int64((slots[i, 0] * _MIX) >> _HALF) & (size - 1)
            while out[at, 1] != 0:
                at = (at + 1) & (size - 1)
            out[at] = slots[i]
    return out


@jit
def _same(text: np.ndarray, p: Int, q: Int, letters: np.ndarray, begin: Int, end: Int) -> bool:
    """Whether text[p:q] and letters[begin:end] are the same bytes."""
    if q - p != end - begin:
        return False
    for i in range(q - p):  # noqa: SIM110  (numba's all() takes no generator)
        if text[p + i] != letters[begin + i]:
            return False
    return True


# ---- lines -----------------------------------------------------------------------------------


@jit
def _weight(text: np.ndarray, p: Int, last: bool) -> tuple[float, Int]:
    """The back-off at p, 0 where the line ends, and the line's end; -1 where it is none."""
    p = _past_blanks(text, p)
    if text[p] == _NEWLINE:
        return 0.0, p
    value, p = number(text, p)
    if p < 0 or not value < np.inf or (last and value != 0.0):
        return value, np.int64(-1)
    p = _past_blanks(text, p)
    return value, (p if text[p] == _NEWLINE else np.int64(-1))


@jit
def unigrams(
    text: np.ndarray,
    end: Int,
    last: bool,
    words: tuple,
    size: Int,
    log_prob: np.ndarray,
    back_off: np.ndarray,
    progress: np.ndarray,
) -> int:
    """Read lines of single words and number the words as they come.

    Args:
        text: uint8, whole lines.
        end: where they end.
        last: whether there are no longer n-grams, and so no back-offs other than 0.
        words: the slots of `_seek`; starts int64 [room + 1]; and the words' bytes, uint8, each
            with a newline behind, with room for the text.
        size: how many words there are to be.
        log_prob: float64 [room], gets log10 p.
        back_off: float64 [room], gets the log10 back-offs.
        progress: int64 [4], where the next line begins in the text, how many lines were read,
            how many words there are and how many bytes they take; kept up to date.

    Returns:
        Why it stopped.
    """
    slots, starts, letters = words
    while progress[0] < end:
        row, used = progress[2], progress[3]
        if row == size:
            return FULL
        p = _past_blanks(text, progress[0])
        if text[p] == _NEWLINE:
            progress[0], progress[1] = p + 1, progress[1] + 1
            continue
        if text[p] == _BACKSLASH:
            return TITLE
        if row == len(log_prob):
            return FULL
        value, p = number(text, p)
        if p < 0 or not value <= 0.0:
            return BAD
        p = _past_blanks(text, p)
        at, h, q = _seek(text, p, slots)
        weight, stop = _weight(text, q, last)
        if q == p or stop < 0:
            return BAD
        if slots[at, 1] != 0:
            w = np.int64(slots[at, 1]) - 1
            same = _same(text, p, q, letters, starts[w], starts[w + 1] - 1)
            return TWICE if same else COLLISION
        slots[at, 0], slots[at, 1] = h, np.uint64(row + 1)
        for i in range(q - p):
            letters[used + i] = text[p + i]
        letters[used + q - p] = _NEWLINE
        starts[row] = used
        starts[row + 1] = used + q - p + 1
        log_prob[row], back_off[row] = value, weight
        progress[0], progress[1] = stop + 1, progress[1] + 1
        progress[2], progress[3] = row + 1, starts[row + 1]
    return MORE


@jit
def ngrams(
    text: np.ndarray,
    end: Int,
    last: bool,
    slots: np.ndarray,
    renumber: np.ndarray,
    size: Int,
    ids: np.ndarray,
    log_prob: np.ndarray,
    back_off: np.ndarray,
    progress: np.ndarray,
) -> int:
    """Read lines of k-grams, k of at least 2.

    Args:
        text: uint8, whole lines.
        end: where they end.
        last: whether k is the highest order.
        slots: the words' table; see `_seek`.
        renumber: int32, the number to use for each word; n-grams with a number below 0 are left
            out.
        size: how many k-grams there are to be.
        ids: int32 [room, k], gets the words' numbers.
        log_prob: float64 [room].
        back_off: float64 [room], or [0] for the highest order.
        progress: int64 [4], where the next line begins, how many lines were read, how many
            k-grams came, and how many of them are kept.

    Returns:
        Why it stopped.
    """
    k = ids.shape[1]
    while progress[0] < end:
        row = progress[3]
        if progress[2] == size:
            return FULL
        p = _past_blanks(text, progress[0])
        if text[p] == _NEWLINE:
            progress[0], progress[1] = p + 1, progress[1] + 1
            continue
        if text[p] == _BACKSLASH:
            return TITLE
        if row == len(log_prob):
            return FULL
        value, p = number(text, p)
        if p < 0 or not value <= 0.0:
            return BAD
        inside = True
        for j in range(k):
            p = _past_blanks(text, p)
            at, _, q = _seek(text, p, slots)
            if q == p or slots[at, 1] == 0:
                return BAD
            w = renumber[np.int64(slots[at, 1]) - 1]
            ids[row, j] = w
            inside &= w >= 0
            p = q
        weight, stop = _weight(text, p, last)
        if stop < 0:
            return BAD
        log_prob[row] = value
        if not last:
            back_off[row] = weight
        progress[0], progress[1] = stop + 1, progress[1] + 1
        progress[2] += 1
        progress[3] += inside
    return MORE
