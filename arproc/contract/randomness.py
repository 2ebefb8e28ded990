"""Randomness as data: uniforms that are a function of (seed, stream, row, position, k) alone.

So row i of a draw is the same in any batch, a run can be resumed, and parallel decoding gives
the sample that sequential decoding gives. The generator is splitmix64 (Steele, Lea and Flood
2014): each row has a key hashed from (seed, stream, row), and the uniform at counter c is the
finaliser of `key + c * golden`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch

from arproc.errors import ParameterError

__all__ = ["STREAMS", "RowUniforms", "Uniforms", "derived_seed", "resolve_seed", "seed_of"]

# Draws of different purpose must not share uniforms: a draft and its accept test, for example.
STREAMS = (
    "sample", "draft", "accept", "residual", "policy", "pit", "bootstrap", "resample", "component",
)  # fmt: skip

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)


#: From this many uniforms on, compiled code saves more than the loading of it costs.
_COMPILE_FROM = 2**18


def _compiled(key: np.ndarray, count: int) -> torch.Tensor:
    """The uniforms [N, count] of rows with these keys, see `Uniforms.block`."""
    from arproc.compiled.splitmix import uniforms

    out = np.empty((len(key), count))
    uniforms(key, out)
    return torch.from_numpy(out)


def _finalise(z: np.ndarray) -> np.ndarray:
    """The finaliser of splitmix64, element by element on uint64, in place."""
    shifted = z >> np.uint64(30)
    z ^= shifted
    z *= _MIX_1
    np.right_shift(z, np.uint64(27), out=shifted)
    z ^= shifted
    z *= _MIX_2
    np.right_shift(z, np.uint64(31), out=shifted)
    z ^= shifted
    return z


def resolve_seed(seed: int | torch.Generator | None) -> int:
    """A non-negative 63-bit integer from what the user gave as `seed`.

    `None` takes one from torch's global generator (so `torch.manual_seed` makes it repeatable);
    a `torch.Generator` gives its next number.
    """
    if isinstance(seed, torch.Generator) or seed is None:
        device = seed.device if seed is not None else "cpu"
        return int(torch.randint(2**63 - 1, (), generator=seed, device=device))
    if isinstance(seed, (bool, float)) or not isinstance(seed, (int, np.integer)):
        raise ParameterError(
            "seed must be an int, a torch.Generator or None; got "
            f"{seed!r} ({type(seed).__name__})."
        )
    return int(seed) % 2**63


def derived_seed(seed: int, number: int) -> int:
    """The seed of part `number` of something random: another for every part, and repeatable.

    Example:
        >>> derived_seed(1, 0) == derived_seed(1, 0), derived_seed(1, 0) == derived_seed(1, 1)
        (True, False)
    """
    with np.errstate(over="ignore"):
        key = _finalise(np.array([seed], dtype=np.uint64) + _GOLDEN)
        key = _finalise(key ^ (np.array([number], dtype=np.uint64) + np.uint64(1)) * _MIX_2)
    return int(key[0] >> np.uint64(1))


def seed_of(*words: int) -> int:
    """A 63-bit seed hashed from some non-negative integers, such as (seed, stream, step)."""
    state = np.random.SeedSequence(words).generate_state(2, np.uint32)
    return int(state[0]) | (int(state[1]) & 0x7FFFFFFF) << 32


class Uniforms:
    """Uniforms in the open interval (0, 1), float64, addressed by row and position.

    Args:
        seed: an int, a `torch.Generator` or None.
        stream: what they are for, one of `STREAMS`.

    Example:
        >>> u = Uniforms(seed=1)
        >>> u.block([0, 1], 5, 2).shape            # rows 0 and 1, positions 5 and 6
        torch.Size([2, 2])
        >>> bool((u.block([1], 6, 1) == u.block([0, 1], 5, 2)[1, 1]).all())
        True
    """

    def __init__(self, seed: int | torch.Generator | None, stream: str = "sample") -> None:
        if stream not in STREAMS:
            raise ParameterError(f"stream must be one of {STREAMS}; got {stream!r}.")
        self.seed = resolve_seed(seed)
        with np.errstate(over="ignore"):
            base = np.array([self.seed], dtype=np.uint64)
            tag = np.uint64(STREAMS.index(stream) + 1)
            self._key = _finalise(_finalise(base + _GOLDEN) + tag * _GOLDEN)

    def block(
        self,
        rows: torch.Tensor | np.ndarray | Sequence[int],
        start: torch.Tensor | np.ndarray | int,
        count: int,
        event_shape: tuple[int, ...] = (),
    ) -> torch.Tensor:
        """Uniforms `[N, count, *event_shape]` for `rows` [N] at positions start ... start+count-1.

        Args:
            rows: the rows' numbers, [N].
            start: the first position, counted from the process's start: one for all, or [N].
            count: how many positions.
            event_shape: the shape of one element; each scalar has a uniform of its own.
        """
        size = math.prod(event_shape)
        row = np.asarray(rows).astype(np.uint64)
        first = np.asarray(start).astype(np.uint64)
        with np.errstate(over="ignore"):
            key = _finalise(self._key ^ _finalise((row + np.uint64(1)) * _MIX_2))
            key = key + first * np.uint64(size) * _GOLDEN  # [N]
            if len(row) * count * size >= _COMPILE_FROM:
                return _compiled(key, count * size).reshape(len(row), count, *event_shape)
            # counter + 1 times the golden ratio, from the key: the splitmix64 sequence of the row
            bits = np.arange(1, count * size + 1, dtype=np.uint64)[None] * _GOLDEN
            bits = bits + key[:, None]
            _finalise(bits)
        # 52 bits and a half: exactly representable, never 0 and never 1
        bits >>= np.uint64(12)
        values = bits.astype(np.float64)
        values += 0.5
        values *= 2.0**-52
        return torch.from_numpy(values).reshape(len(row), count, *event_shape)


class RowUniforms(Uniforms):
    """The uniforms of some rows, which keep their own in whatever batch they are drawn.

    Args:
        uniforms: of all rows.
        rows: which of these are rows 0, 1, ... here, int64 [n].

    Example:
        >>> u = Uniforms(seed=1)
        >>> bool((RowUniforms(u, torch.tensor([5])).block([0], 0, 3) == u.block([5], 0, 3)).all())
        True
    """

    def __init__(self, uniforms: Uniforms, rows: torch.Tensor) -> None:
        self.seed, self._key, self.rows = uniforms.seed, uniforms._key, rows

    def block(
        self,
        rows: torch.Tensor | np.ndarray | Sequence[int],
        start: torch.Tensor | np.ndarray | int,
        count: int,
        event_shape: tuple[int, ...] = (),
    ) -> torch.Tensor:
        return super().block(
            self.rows[torch.as_tensor(rows, dtype=torch.int64)], start, count, event_shape
        )
