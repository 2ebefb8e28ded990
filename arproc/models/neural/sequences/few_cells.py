"""Steps of recurrent layers for few rows at a time, as generation makes them."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from arproc.models.neural.panels import fits, kept_panels, numbers

__all__ = ["FewCells", "few_cells"]

#: The cells by their numbers in `recurrent_kernels`.
_CELLS = {"RNN_TANH": 0, "GRU": 1, "LSTM": 2}
#: About how many microseconds a step of a layer takes.
_STEP = 30


class FewCells:
    """Recurrent layers in panels (`compiled.few_rows`), for products with few rows.

    Args:
        core: the layers, all of one width.
    """

    def __init__(self, core: nn.RNNBase) -> None:
        from arproc.compiled.few_rows import pack

        self.cell = _CELLS[core.mode]
        maps, constants = [], []
        for layer in core.all_weights:
            weight, constant = _as_one(self.cell, *(numbers(p) for p in layer))
            maps.append(weight)
            constants.append(constant)
        self._maps, self._constants = pack(np.stack(maps)), np.stack(constants)

    def step(self, inputs: Tensor, memory: list[np.ndarray]) -> Tensor:
        """The last layer's units [N, width] after inputs [N, width].

        Args:
            inputs: one for each row.
            memory: the layers' units, and an LSTM's cells, [layers, N, width]: they go on in
                their place.
        """
        from arproc.models.neural.sequences.recurrent_kernels import step

        x = np.array(inputs.detach().numpy(), np.float32, order="C")
        step(x, memory[0], memory[-1], self._maps, self._constants, self.cell)
        return torch.from_numpy(x)


def _as_one(
    cell: int, of_input: np.ndarray, of_units: np.ndarray, first: np.ndarray, second: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """One map of inputs and units side by side, [outputs, 2 width], and its constant.

    A GRU's third gate takes the inputs and the units apart: they are its third and fourth part.
    """
    if _CELLS["GRU"] != cell:
        return np.concatenate([of_input, of_units], axis=1), first + second
    width = of_units.shape[1]
    two, none = slice(0, 2 * width), np.zeros((width, width), np.float32)
    weight = np.block(
        [
            [of_input[two], of_units[two]],
            [of_input[2 * width :], none],
            [none, of_units[2 * width :]],
        ]
    )
    joined = [first[two] + second[two], first[2 * width :], second[2 * width :]]
    return weight, np.concatenate(joined)


def few_cells(core: nn.RNNBase, draws: int) -> FewCells | None:
    """The panels of recurrent layers, for so many draws; None where torch makes the steps."""
    from arproc.compiled.interpreted import suited
    from arproc.models.neural.sequences import recurrent_kernels as kernels

    if type(core) not in (nn.RNN, nn.GRU, nn.LSTM) or not fits(core):
        return None
    if suited(kernels, _STEP * draws * core.num_layers) is not kernels:
        return None
    return kept_panels(core, lambda: FewCells(core))
