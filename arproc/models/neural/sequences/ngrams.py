"""Embeddings of n-grams: what the last symbols together say, looked up instead of computed."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["NGramEmbedding"]

#: A table has a row for each n-gram where there are no more of them than this; else they share.
_ROWS = 20_000
#: The vectors of a table have so many times fewer numbers than the network is wide.
_NARROWER = 4
#: By what the vectors are multiplied, which begin at zero: so many times as fast do they learn.
_PACE = 4.0
_FACTOR, _PRIME = 2_654_435_761, 2_147_483_647  # Knuth's multiplier; products stay below 2^63


class NGramEmbedding(nn.Module):
    """A learned vector for each n-gram that ends at an input, added to that of the input.

    A table for each length from 2 on, the last two symbols, the last three ...: small ones have a
    row for every n-gram, in others n-grams that a hash takes to one row share it (Pagnoni et al.
    2024, Byte Latent Transformer, section 3.2). A linear map takes what the tables say together to
    the network's width; so they can be narrow, of which few rows change in a step but all are
    updated. Before the first input stands the start symbol, however often. All tables begin at
    zero.

    Args:
        symbols: how many symbols there are, the start symbol included.
        order: of how many symbols the longest n-grams are, 2 or more.
        width: of the network.

    Example:
        >>> table = NGramEmbedding(4, order=2, width=8)
        >>> table(torch.tensor([[3, 0, 2]]), torch.tensor([[3]])).shape
        torch.Size([1, 3, 8])
    """

    def __init__(self, symbols: int, order: int, width: int) -> None:
        super().__init__()
        self.symbols = symbols
        sizes, size = [], symbols
        for _ in range(2, order + 1):
            size = min(size * symbols, _ROWS)
            sizes.append(size)
        narrow = -(-width // _NARROWER)
        self.tables = nn.ModuleList(nn.Embedding(size, narrow) for size in sizes)
        self.map = nn.Linear(len(sizes) * narrow, width, bias=False)
        for table in self.tables:
            nn.init.zeros_(table.weight)  # type: ignore[arg-type]
        nn.init.normal_(self.map.weight, std=narrow**-0.5)

    @property
    def reach(self) -> int:
        """How many symbols before an input count."""
        return len(self.tables)

    def forward(self, inputs: Tensor, before: Tensor) -> Tensor:
        """What all n-grams that end at each input add to it.

        Args:
            inputs: symbols, int64 [N, T].
            before: the `reach` symbols before them, int64 [N, reach].

        Returns:
            [N, T, width].
        """
        count, reach = inputs.shape[1], self.reach
        symbols, code = torch.cat([before, inputs], dim=1), inputs
        found = []
        for k, table in enumerate(self.tables, start=1):
            assert isinstance(table, nn.Embedding)
            code = self._longer(symbols[:, reach - k : reach - k + count], code, k)
            found.append(F.embedding(code % table.num_embeddings, table.weight))
        return _PACE * F.linear(torch.cat(found, dim=-1), self.map.weight)

    def _longer(self, symbol: Tensor, code: Tensor, k: int) -> Tensor:
        """The codes of n-grams with one more symbol, the k-th before the last, in front."""
        if self.symbols ** (k + 1) <= _ROWS:  # the number of the n-gram itself
            return symbol * self.symbols**k + code
        return (code * _FACTOR + symbol + 1) % _PRIME
