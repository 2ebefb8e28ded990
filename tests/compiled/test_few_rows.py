"""Products of a few rows with a matrix, and the instructions they are made of."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arproc.compiled.exponential import exp_in_place
from arproc.compiled.few_rows import PANEL, dots, fingerprint, pack, product, weighed
from arproc.compiled.interpreted import interpreted
from arproc.compiled.jit import jit
from arproc.compiled.vectors import LANES


def numbers(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


@given(st.integers(1, 19), st.integers(1, 70), st.integers(1, 70), st.integers(0, 9))
def test_a_product_is_that_of_the_matrix(rows, inputs, outputs, seed):
    x, weight = numbers(rows, inputs, seed=seed), numbers(outputs, inputs, seed=seed + 1)
    packed = pack(weight)
    assert packed.shape == (-(-outputs // PANEL), inputs, PANEL)
    found = np.full((rows, len(packed) * PANEL), np.nan, np.float32)
    product(x, packed, found)
    wanted = x.astype(float) @ weight.T
    size = np.abs(x).astype(float) @ np.abs(weight.T)
    assert (np.abs(found[:, :outputs] - wanted) <= 1e-7 * inputs * size + 1e-30).all()
    assert (found[:, outputs:] == 0).all()
    again = np.empty_like(found)
    interpreted(product)(x, packed, again)
    np.testing.assert_allclose(again, found, rtol=1e-4, atol=1e-5 * (1 + inputs**0.5))


@pytest.mark.parametrize("rows", [1, 5, 19])
def test_numbers_of_16_bits_are_held_as_such_and_say_the_same(rows):
    weight = numbers(3, 70, 50)
    weight.view(np.uint32)[...] &= np.uint32(0xFFFF0000)
    half = pack(weight)
    assert half.dtype == np.uint16
    weight[0, 0, 0] += 1e-3
    whole = pack(weight)
    assert whole.dtype == np.float32
    x = numbers(rows, 50)
    for part in (1, 2):
        found, wanted, plain = (np.empty((rows, 96), np.float32) for _ in range(3))
        product(x, half[part], found)
        product(x, whole[part], wanted)
        np.testing.assert_array_equal(found, wanted)
        interpreted(product)(x, half[part], plain)
        np.testing.assert_allclose(plain, wanted, atol=1e-5)


def test_a_row_says_the_same_whatever_stands_beside_it():
    x, packed = numbers(19, 50), pack(numbers(70, 50, seed=1))
    together = np.empty((19, len(packed) * PANEL), np.float32)
    product(x, packed, together)
    for r in range(19):
        alone = np.empty((1, len(packed) * PANEL), np.float32)
        product(x[r : r + 1], packed, alone)
        np.testing.assert_array_equal(alone[0], together[r])


@jit
def _attended(query, keys, values, first, count, scores, taken):
    dots(query, keys, scores, first, count)
    weighed(scores, values, taken, first, count)


@pytest.mark.parametrize("dim", [LANES, 2 * LANES, 5 * LANES])
@pytest.mark.parametrize(("first", "count"), [(0, 9), (3, 1), (2, 7)])
def test_dots_and_weighed_sums_are_those_of_the_slots(dim, first, count):
    query, keys, values = numbers(dim), numbers(9, dim, seed=1), numbers(9, dim, seed=2)
    for call in (_attended, interpreted(_attended)):
        scores, taken = np.full(9, 7.0, np.float32), np.empty(dim, np.float32)
        call(query, keys, values, first, count, scores, taken)
        wanted = keys[first : first + count].astype(float) @ query
        np.testing.assert_allclose(scores[:count], wanted, atol=1e-5)
        assert (scores[count:] == 7).all()
        np.testing.assert_allclose(taken, wanted @ values[first : first + count], atol=1e-4)


def test_exponentials_are_right_to_three_units_in_the_last_place():
    x = np.linspace(-87, 88, 100_001).astype(np.float32)
    y = x.copy()
    exp_in_place(y, len(y))
    assert np.abs(y / np.exp(x.astype(float)) - 1).max() < 3 * 2.0**-23
    odd = np.array([-np.inf, -1e9, 0, np.nan, np.inf, 5], np.float32)
    exp_in_place(odd, 5)
    assert odd[0] == odd[1] < 2e-38
    assert odd[2] == 1
    assert np.isnan(odd[3])
    assert odd[4] > 1e38
    assert odd[5] == 5  # one more than was asked for
    few = x[::5000].copy()
    again = few.copy()
    exp_in_place(few, len(few))
    interpreted(exp_in_place)(again, len(again))
    np.testing.assert_allclose(again, few, rtol=5e-7)


@given(st.integers(0, 199), st.integers(0, 31), st.integers(0, 199))
def test_a_fingerprint_is_of_every_bit_and_its_place(place, bit, other):
    bits = numbers(200).view(np.int32)
    changed = bits.copy()
    changed[place] ^= np.int32(1) << np.int32(bit)
    assert fingerprint(changed) != fingerprint(bits)
    swapped = bits.copy()
    swapped[[place, other]] = swapped[[other, place]]
    assert (fingerprint(swapped) == fingerprint(bits)) == (place == other)
