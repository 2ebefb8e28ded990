"""Uniforms: their addresses, and that they are uniform and independent along every axis.

The statistical tests run at fixed seeds; each bound has a false-alarm rate of 1e-6 or less.
"""

import warnings

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given
from scipy import stats

from arproc.contract.randomness import STREAMS, RowUniforms, Uniforms, resolve_seed
from arproc.errors import ParameterError

BIG = [0, 1, 2**31, 2**53, 2**62, 2**63 - 1]
ALARM = 1e-6


@given(
    seed=st.integers(0, 2**63 - 1),
    rows=st.lists(st.integers(0, 2**62), min_size=1, max_size=5),
    start=st.integers(0, 2**62),
    count=st.integers(0, 6),
    event=st.sampled_from([(), (3,), (2, 2)]),
    data=st.data(),
)
def test_a_uniform_is_a_function_of_its_address_alone(seed, rows, start, count, event, data):
    u = Uniforms(seed).block(rows, start, count, event)
    assert u.shape == (len(rows), count, *event)
    assert u.dtype == torch.float64
    i = data.draw(st.integers(0, len(rows) - 1))
    j = data.draw(st.integers(0, count))
    piece = Uniforms(seed).block([7, rows[i]], np.array([3, start + j]), count - j, event)
    assert torch.equal(piece[1], u[i, j:])


@pytest.mark.parametrize("seed", BIG)
@pytest.mark.parametrize("address", BIG)
def test_the_interval_is_open_and_no_size_overflows(seed, address):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for stream in STREAMS:
            u = Uniforms(seed, stream).block(torch.tensor([address, 0]), address, 50, (3,))
            assert 0 < float(u.min()) <= float(u.max()) < 1


def test_extreme_bits_stay_inside_the_interval(monkeypatch):
    from arproc.contract import randomness

    for bits, want in ((0, 2.0**-53), (2**64 - 1, 1 - 2.0**-53)):

        def constant(z, bits=bits):
            z[:] = np.uint64(bits)
            return z

        monkeypatch.setattr(randomness, "_finalise", constant)
        assert float(Uniforms(0).block([0], 0, 1)) == want


# a quarter of a million uniforms or so along each axis of the address
AXES = {
    "position": lambda: Uniforms(3).block([0], 0, 2**18),
    "row": lambda: Uniforms(3).block(torch.arange(2**18), 0, 1),
    "scalar": lambda: Uniforms(3).block([0], 0, 2**10, (2**8,)),
    "seed": lambda: torch.cat([Uniforms(s).block([0], 0, 32) for s in range(2**11)]),
    "far rows": lambda: Uniforms(3).block(2**40 + torch.arange(2**18), 2**50, 1),
    "stream": lambda: torch.cat([Uniforms(1, s).block([0], 0, 2**14) for s in STREAMS]),
}


@pytest.mark.parametrize("axis", sorted(AXES))
def test_uniform_and_serially_independent_along_every_axis(axis):
    u = AXES[axis]().numpy().ravel()
    assert stats.kstest(u, "uniform").pvalue > ALARM
    for bits in (8, 12):  # the leading bits, and bits far down that a weak mixer leaves regular
        counts = np.bincount((u * 2**bits).astype(int) % 256, minlength=256)
        assert stats.chisquare(counts).pvalue > ALARM
    for lag in (1, 2, 16, 256):
        pairs = (u[:-lag] * 16).astype(int) * 16 + (u[lag:] * 16).astype(int)
        assert stats.chisquare(np.bincount(pairs, minlength=256)).pvalue > ALARM


@pytest.mark.parametrize(
    "other",
    [Uniforms(5, "draft"), Uniforms(6), Uniforms(5 + 2**40)],
    ids=["stream", "next seed", "far seed"],
)
def test_other_seeds_and_streams_are_unrelated(other):
    rows = torch.arange(300)
    a, b = Uniforms(5).block(rows, 0, 100), other.block(rows, 0, 100)
    correlation = np.corrcoef(a.ravel(), b.ravel())[0, 1]
    assert abs(correlation) < 5 / np.sqrt(a.numel())
    # and no row of one is a shifted row of the other
    assert not np.intersect1d(a.numpy(), b.numpy()).size


def test_the_values_are_those_of_splitmix64():
    """By Python integers, which do not overflow (Steele, Lea and Flood 2014)."""
    mask, golden = 2**64 - 1, 0x9E3779B97F4A7C15

    def mix(z: int) -> int:
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
        return z ^ (z >> 31)

    # the first outputs of the reference generator with seed 1234567
    reference = [6457827717110365317, 3203168211198807973, 9817491932198370423]
    assert [mix((1234567 + (i + 1) * golden) & mask) for i in range(3)] == reference

    seed, row, position, k = 2**63 - 2, 2**60 + 5, 12345678901, 2
    stream = mix((mix((seed + golden) & mask) + golden) & mask)
    key = mix(stream ^ mix(((row + 1) * 0x94D049BB133111EB) & mask))
    bits = mix((key + (position * 3 + k + 1) * golden) & mask)
    want = ((bits >> 12) + 0.5) / 2**52
    assert float(Uniforms(seed).block([row], position, 1, (3,))[0, 0, k]) == want


def test_seeds_of_every_kind():
    assert resolve_seed(7) == resolve_seed(np.int64(7)) == 7
    assert resolve_seed(-1) == 2**63 - 1
    assert resolve_seed(10**30) == 10**30 % 2**63
    one, two = torch.Generator().manual_seed(1), torch.Generator().manual_seed(1)
    assert [resolve_seed(one), resolve_seed(one)] == [resolve_seed(two), resolve_seed(two)]
    torch.manual_seed(4)
    first = resolve_seed(None)
    torch.manual_seed(4)
    assert resolve_seed(None) == first != resolve_seed(None)


@pytest.mark.parametrize("seed", [1.0, True, "1", [1], np.float64(2), torch.tensor(3)])
def test_other_seeds_are_refused(seed):
    with pytest.raises(ParameterError, match=r"seed must be an int, a torch\.Generator or None"):
        resolve_seed(seed)


def test_an_unknown_stream_is_refused():
    with pytest.raises(ParameterError, match="stream must be one of"):
        Uniforms(1, "other")


@pytest.mark.parametrize("event_shape", [(), (2,), (2, 3)])
def test_rows_under_other_numbers_have_those_numbers_uniforms(event_shape):
    numbers = torch.tensor([7, 0, 4])
    own = RowUniforms(Uniforms(3), numbers)
    for rows, start, count in (([0, 1, 2], 0, 2), ([2, 0], 5, 3), ([], 0, 1)):
        want = Uniforms(3).block(numbers[rows], start, count, event_shape)
        assert want.shape == (len(rows), count, *event_shape)
        assert torch.equal(own.block(rows, start, count, event_shape), want)
