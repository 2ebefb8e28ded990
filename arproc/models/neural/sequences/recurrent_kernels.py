"""Steps of recurrent layers, compiled; import inside functions (numba takes its time)."""

from __future__ import annotations

import numpy as np

from arproc.compiled.exponential import exp_in_place
from arproc.compiled.few_rows import PANEL, product
from arproc.models.neural.kernels import loose_jit

__all__ = ["step"]

_ONE, _TWO = np.float32(1), np.float32(2)


@loose_jit
def step(
    x: np.ndarray,
    units: np.ndarray,
    cells: np.ndarray,
    maps: np.ndarray,
    constants: np.ndarray,
    cell: int,
) -> None:
    """One step of all layers, in the place of what they remember.

    All float32. Of the gates of a cell its tanh is 2 / (1 + exp(-2 v)) - 1, off by a rounding of
    one where torch's is off by one of itself.

    Args:
        x: the inputs [N, width]; the last layer's units come in their place.
        units: of the layers, [layers, N, width].
        cells: an LSTM's, likewise.
        maps: of inputs and units side by side, [layers, panels, 2 width, PANEL].
        constants: [layers, outputs].
        cell: 0 of Elman, 1 a GRU, 2 an LSTM.
    """
    n, width = x.shape
    both = np.empty((n, 2 * width), np.float32)
    gates = np.empty((n, maps.shape[1] * PANEL), np.float32)
    room = np.empty(width, np.float32)
    for layer in range(len(units)):
        for r in range(n):
            both[r, :width] = x[r]
            both[r, width:] = units[layer, r]
        product(both, maps[layer], gates)
        for r in range(n):
            gate, before = gates[r], units[layer, r]
            for j in range(constants.shape[1]):
                gate[j] += constants[layer, j]
            if cell == 0:
                _tanh(gate, width)
                before[:] = gate[:width]
            elif cell == 1:
                _gru(gate, before, room)
            else:
                _lstm(gate, before, cells[layer, r])
            x[r] = before


@loose_jit
def _lstm(gate: np.ndarray, units: np.ndarray, cells: np.ndarray) -> None:
    """Gates of writing, keeping, value and reading, one after another (torch's order)."""
    width = len(units)
    _negated(gate, 0, 2 * width, _ONE)
    _negated(gate, 2 * width, 3 * width, _TWO)
    _negated(gate, 3 * width, 4 * width, _ONE)
    exp_in_place(gate, 4 * width)
    for j in range(width):
        value = _TWO / (_ONE + gate[2 * width + j]) - _ONE
        cells[j] = cells[j] / (_ONE + gate[width + j]) + value / (_ONE + gate[j])
        units[j] = cells[j]
    _tanh(units, width)
    for j in range(width):
        units[j] /= _ONE + gate[3 * width + j]


@loose_jit
def _gru(gate: np.ndarray, units: np.ndarray, room: np.ndarray) -> None:
    """Gates of resetting and keeping, and what inputs and units say of the value."""
    width = len(units)
    _negated(gate, 0, 2 * width, _ONE)
    exp_in_place(gate, 2 * width)
    for j in range(width):
        room[j] = gate[2 * width + j] + gate[3 * width + j] / (_ONE + gate[j])
    _tanh(room, width)
    for j in range(width):
        keep = _ONE / (_ONE + gate[width + j])
        units[j] = (_ONE - keep) * room[j] + keep * units[j]


@loose_jit
def _negated(x: np.ndarray, first: int, stop: int, times: np.float32) -> None:
    for j in range(first, stop):
        x[j] *= -times


@loose_jit
def _tanh(x: np.ndarray, count: int) -> None:
    """Tanh of the first `count` of x, in their place."""
    _negated(x, 0, count, _TWO)
    exp_in_place(x, count)
    for j in range(count):
        x[j] = _TWO / (_ONE + x[j]) - _ONE
