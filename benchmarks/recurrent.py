"""An LSTM language model, 2 x 256, against a loop over `torch.nn.LSTM` with the same weights.

Draws of whole texts, one and sixteen at a time, and the likelihood of 16 texts of 256 symbols.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

import arproc
from benchmarks.timing import REDUCED, side_by_side

SYMBOLS, LENGTH = 65, 8 if REDUCED else 256


def our_model() -> arproc.RNN:
    """Of this size; how well it is trained does not change its speed."""
    plan = arproc.Training(steps=1, batch_size=2)
    model = arproc.RNN("lstm", 2, 16 if REDUCED else 256, tokens=SYMBOLS, training=plan)
    return model.fit(np.arange(200) % SYMBOLS)


class Peer(torch.nn.Module):
    """Embedding, `torch.nn.LSTM` and a linear map, with the weights of ours."""

    def __init__(self, ours: arproc.RNN) -> None:
        super().__init__()
        network = ours.network_
        self.lstm, self.out = network.core, network.element.out
        table = torch.cat([network.element.embedding.weight, network.start[None]])
        self.embedding = torch.nn.Embedding.from_pretrained(table)

    @torch.no_grad()
    def draw(self, n: int, length: int) -> Tensor:
        """Texts [n, length], a symbol after another."""
        x, state, drawn = torch.full((n, 1), SYMBOLS), None, []
        for _ in range(length):
            units, state = self.lstm(self.embedding(x), state)
            x = torch.multinomial(torch.softmax(self.out(units[:, -1]), -1), 1)
            drawn.append(x)
        return torch.cat(drawn, 1)

    @torch.no_grad()
    def log_prob(self, x: Tensor) -> Tensor:
        """Of texts x [n, length], nats."""
        inputs = F.pad(x[:, :-1], (1, 0), value=SYMBOLS)
        scores = self.out(self.lstm(self.embedding(inputs))[0])
        terms = F.cross_entropy(scores.flatten(0, 1), x.flatten(), reduction="none")
        return -terms.reshape(x.shape).double().sum(1)


def main() -> None:
    """Print a line for each job."""
    model = our_model()
    peer = Peer(model)
    for n in (1, 16):
        ratio = side_by_side(lambda n=n: model.sample(n, LENGTH, seed=0),  # type: ignore[misc]
                             lambda n=n: peer.draw(n, LENGTH), rounds=5)  # type: ignore[misc]  # fmt: skip
        print(f"draws of {n} x {LENGTH} symbols: {ratio}")
    x = torch.from_numpy(np.asarray(model.sample(16, LENGTH, seed=1)))
    torch.testing.assert_close(peer.log_prob(x), model.log_prob(x), rtol=1e-4, atol=1e-4)
    print(f"log_prob: {side_by_side(lambda: model.log_prob(x), lambda: peer.log_prob(x))}")
