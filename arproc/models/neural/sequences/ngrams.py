"""Embeddings of n-grams: what the last symbols together say, looked up instead of computed."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["NGramEmbedding"]

#: A table has a row for each n-gram where there are no more of them than this; else they share.
_ROWS = 20_000
#: By what the vectors are multiplied, which begin at zero: so many times as fast do they learn.
_PACE = 4.0
_FACTOR, _PRIME = 2_654_435_761, 2_147_483_647  # Knuth's multiplier; products stay below 2^63


class NGramEmbedding(nn.Module):
    """A learned vector for each n-gram that ends at an input, added to that of the input.

    A table for each length from 2 on, the last two symbols, the last three ...: small ones have a
    row for every n-gram, in others n-grams that a hash takes to one row share it (Pagnoni et al.
    2024, Byte Latent Transformer, section 3.2). Before the first input stands the start symbol,
    however often. All vectors begin at zero.

    Args:
        symbols: how many symbols there are, the start symbol included.
        order: of how many symbols the longest n-grams are, 2 or more.
        width: of the vectors.

    Example:
        >>> table = NGramEmbedding(4, order=2, width=8)
        >>> table(torch.tensor([[3, 0, 2]]), torch.tensor([[3]])).shape
        torch.Size([1, 3, 8])
    """

    def __init__(self, symbols: int, order: int, width: int) -> None:
        super().__init__()
        self.symbols = symbols
        sizes = [min(symbols**k, _ROWS) for k in range(2, order + 1)]
        self.tables = nn.ModuleList(nn.Embedding(size, width) for size in sizes)
        for table in self.tables:
            nn.init.zeros_(table.weight)  # type: ignore[arg-type]

    @property
    def reach(self) -> int:
        """How many symbols before an input count."""
        return len(self.tables)

    def forward(self, inputs: Tensor, before: Tensor) -> Tensor:
        """The sums of the vectors of all n-grams that end at each input.

        Args:
            inputs: symbols, int64 [N, T].
            before: the `reach` symbols before them, int64 [N, reach].

        Returns:
            [N, T, width].
        """
        count, reach = inputs.shape[1], self.reach
        symbols, code = torch.cat([before, inputs], dim=1), inputs
        found: Tensor | None = None
        for k, table in enumerate(self.tables, start=1):
            assert isinstance(table, nn.Embedding)
            code = self._longer(symbols[:, reach - k : reach - k + count], code, k)
            added = F.embedding(code % table.num_embeddings, table.weight)
            found = added if found is None else found + added
        assert found is not None
        return _PACE * found

    def _longer(self, symbol: Tensor, code: Tensor, k: int) -> Tensor:
        """The codes of n-grams with one more symbol, the k-th before the last, in front."""
        if self.symbols ** (k + 1) <= _ROWS:  # the number of the n-gram itself
            return symbol * self.symbols**k + code
        return (code * _FACTOR + symbol + 1) % _PRIME
