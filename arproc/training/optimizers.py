"""The optimizers: AdamW, and Muon for the hidden matrices.

They are small and our own, since building any of `torch.optim` imports torch's compiler, which
takes longer than many a small model takes to train. The tests hold them equal to torch's.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from arproc.training.settings import Training

__all__ = ["AdamW", "Muon", "Optimizer", "build_optimizers", "local", "orthogonalise"]

# Jordan et al. 2024: a quintic that lifts small singular values fast; it ends near one, not at it.
_QUINTIC = (3.4445, -4.7750, 2.0315)


class Optimizer(ABC):
    """What turns gradients into updates of some parameters.

    Args:
        params: the parameters.
        lr: the peak learning rate.
        decay: decoupled weight decay of each parameter.

    Attributes:
        state: per parameter, its running averages by name.
    """

    def __init__(self, params: Sequence[nn.Parameter], lr: float, decay: Sequence[float]) -> None:
        self.params, self.lr, self.decay = list(params), lr, list(decay)
        self.state: list[dict[str, Tensor]] = [
            {name: torch.zeros_like(p) for name in self.averages} for p in self.params
        ]

    #: The names of a parameter's running averages.
    averages: tuple[str, ...]

    @abstractmethod
    def step(self, count: int, scale: float) -> None:
        """Make update number `count` (1, 2, ...) at `scale` times the peak learning rate."""


class AdamW(Optimizer):
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019, algorithm 2).

    Args:
        params: the parameters.
        lr: the peak learning rate.
        decay: weight decay of each parameter.
        betas: decay rates of the mean of the gradients and of the mean of their squares.
    """

    averages = ("mean", "square")

    def __init__(
        self,
        params: Sequence[nn.Parameter],
        lr: float,
        decay: Sequence[float],
        betas: tuple[float, float] = (0.9, 0.99),
    ) -> None:
        super().__init__(params, lr, decay)
        self.betas = betas

    @torch.no_grad()
    def step(self, count: int, scale: float) -> None:
        for decay in sorted(set(self.decay)):
            chosen = [
                (p, state)
                for p, state, own in zip(self.params, self.state, self.decay, strict=True)
                if own == decay and p.grad is not None
            ]
            for kind in {(p.device, p.dtype) for p, _ in chosen}:
                alike = [(p, s) for p, s in chosen if (p.device, p.dtype) == kind]
                self._update(alike, decay, count, scale)

    def _update(
        self, chosen: list[tuple[nn.Parameter, dict[str, Tensor]]], decay: float, count: int,
        scale: float,
    ) -> None:  # fmt: skip
        """Update parameters of one decay and one kind by the one kernel that torch has for it.

        It is four times as fast as the formula written out, and one pass over memory.
        """
        counts = [torch.tensor(float(count), device=chosen[0][0].device)] * len(chosen)
        torch._fused_adamw_(
            [local(p) for p, _ in chosen],
            [local(p.grad) for p, _ in chosen if p.grad is not None],
            [local(state["mean"]) for _, state in chosen],
            [local(state["square"]) for _, state in chosen],
            [],
            counts,
            lr=scale * self.lr,
            beta1=self.betas[0],
            beta2=self.betas[1],
            weight_decay=decay,
            eps=1e-8,
            amsgrad=False,
            maximize=False,
        )


def local(tensor: Tensor) -> Tensor:
    """What this process holds of a tensor that may be sharded."""
    shard: Any = getattr(tensor, "to_local", None)
    return tensor if shard is None else shard()


class Muon(Optimizer):
    r"""Momentum whose matrix updates are orthogonalised (Jordan et al. 2024).

    The update :math:`U \Sigma V^T` of each matrix becomes about :math:`U V^T` by five steps of a
    Newton-Schulz iteration. Matrices of one shape go through it together, and it runs in float32
    on processors, of which many have no fast bfloat16.

    Args:
        params: matrices.
        lr: the peak learning rate; the root mean square of an update is about `lr / sqrt(inputs)`.
        decay: weight decay of each matrix.
        momentum: of Nesterov's kind.
    """

    averages = ("momentum",)

    def __init__(
        self,
        params: Sequence[nn.Parameter],
        lr: float,
        decay: Sequence[float],
        momentum: float = 0.95,
    ) -> None:
        super().__init__(params, lr, decay)
        self.momentum = momentum

    @torch.no_grad()
    def step(self, count: int, scale: float) -> None:
        lr = scale * self.lr
        by_shape: dict[torch.Size, list[int]] = {}
        for i, p in enumerate(self.params):
            if p.grad is not None:
                by_shape.setdefault(p.shape, []).append(i)
        for shape, members in by_shape.items():
            updates = orthogonalise(torch.stack([self._direction(i) for i in members]))
            rate = lr * max(1.0, shape[0] / shape[1]) ** 0.5
            for i, update in zip(members, updates, strict=True):
                p = self.params[i]
                p.mul_(1 - lr * self.decay[i]).add_(update.to(p.dtype), alpha=-rate)

    def _direction(self, i: int) -> Tensor:
        grad, momentum = self.params[i].grad, self.state[i]["momentum"]
        assert grad is not None
        momentum.lerp_(grad, 1 - self.momentum)
        return grad.lerp(momentum, self.momentum)


def orthogonalise(updates: Tensor, steps: int = 5) -> Tensor:
    """Bring the singular values of each matrix `[B, m, n]` near one, by Newton-Schulz."""
    x = updates.bfloat16() if updates.is_cuda else updates
    tall = x.shape[-2] > x.shape[-1]
    x = x.mT if tall else x
    x = x / x.norm(dim=(-2, -1), keepdim=True).clamp(min=1e-7)
    a, b, c = _QUINTIC
    for _ in range(steps):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.mT if tall else x


def build_optimizers(module: nn.Module, training: Training) -> list[Optimizer]:
    """The optimizers of a module's parameters.

    Muon takes the weights of `module.hidden_weights()` if it has that method, else every matrix
    that is not an embedding. Weight decay applies to matrices that are not embeddings.
    """
    params = [p for p in module.parameters() if p.requires_grad]
    embeddings = {id(m.weight) for m in module.modules() if isinstance(m, nn.Embedding)}
    decay = {
        id(p): training.weight_decay if p.ndim >= 2 and id(p) not in embeddings else 0.0
        for p in params
    }
    hidden: list[nn.Parameter] = []
    if training.optimizer == "muon":
        matrices = [p for p in params if p.ndim == 2 and id(p) not in embeddings]
        hidden = list(getattr(module, "hidden_weights", lambda: matrices)())
    orthogonal = {id(p) for p in hidden}
    others = [p for p in params if id(p) not in orthogonal]
    optimizers: list[Optimizer] = []
    if hidden:
        optimizers.append(Muon(hidden, training.matrix_lr, [decay[id(p)] for p in hidden]))
    if others:
        lr, betas = training.peak_lr, training.betas
        optimizers.append(AdamW(others, lr, [decay[id(p)] for p in others], betas))
    return optimizers
