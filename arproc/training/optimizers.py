"""The optimizers: AdamW, and Muon for the hidden matrices."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from arproc.training.settings import Training

__all__ = ["Muon", "build_optimizers", "set_lr"]

# Jordan et al. 2024: a quintic that lifts small singular values fast; it ends near one, not at it.
_QUINTIC = (3.4445, -4.7750, 2.0315)


class Muon(torch.optim.Optimizer):
    r"""Momentum whose matrix updates are orthogonalised (Jordan et al. 2024).

    The update :math:`U \Sigma V^T` of each matrix becomes about :math:`U V^T` by five steps of a
    Newton-Schulz iteration. It is `torch.optim.Muon` with two differences, both for speed:
    matrices of one shape go through the iteration together, and it runs in float32 on processors,
    of which many have no fast bfloat16 (torch's is forty times slower on those).

    Args:
        params: matrices.
        lr: learning rate; an update's root mean square is about `lr / sqrt(inputs)`.
        momentum: Nesterov momentum.
        weight_decay: decoupled weight decay.
    """

    def __init__(
        self, params: Any, lr: float = 0.02, momentum: float = 0.95, weight_decay: float = 0.0
    ) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Update every matrix that has a gradient."""
        for group in self.param_groups:
            by_shape: dict[torch.Size, list[tuple[Tensor, Tensor]]] = {}
            for p in group["params"]:
                if p.grad is not None:
                    update = self._momentum(p, p.grad, group["momentum"])
                    by_shape.setdefault(p.shape, []).append((p, update))
            for shape, pairs in by_shape.items():
                updates = orthogonalise(torch.stack([update for _, update in pairs]))
                rate = group["lr"] * max(1.0, shape[0] / shape[1]) ** 0.5
                for (p, _), update in zip(pairs, updates, strict=True):
                    p.mul_(1 - group["lr"] * group["weight_decay"])
                    p.add_(update.to(p.dtype), alpha=-rate)

    def _momentum(self, p: Tensor, grad: Tensor, momentum: float) -> Tensor:
        state = self.state[p]
        if not state:
            state["momentum"] = torch.zeros_like(p)
        state["momentum"].lerp_(grad, 1 - momentum)
        return grad.lerp(state["momentum"], momentum)


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


def build_optimizers(module: nn.Module, training: Training) -> list[torch.optim.Optimizer]:
    """The optimizers of a module's parameters, each group with its peak rate as `"peak"`.

    Muon takes the weights of `module.hidden_weights()` if it has that method, else every matrix
    that is not an embedding. Weight decay applies to matrices that are not embeddings.
    """
    parameters = [p for p in module.parameters() if p.requires_grad]
    embeddings = {id(m.weight) for m in module.modules() if isinstance(m, nn.Embedding)}
    matrices = [p for p in parameters if p.ndim >= 2 and id(p) not in embeddings]
    optimizers: list[torch.optim.Optimizer] = []
    hidden: set[int] = set()
    if training.optimizer == "muon":
        chosen = getattr(module, "hidden_weights", lambda: [p for p in matrices if p.ndim == 2])()
        hidden = {id(p) for p in chosen}
        if chosen:
            optimizers.append(
                Muon(chosen, lr=training.matrix_lr, weight_decay=training.weight_decay)
            )
    decayed = [p for p in matrices if id(p) not in hidden]
    other = [p for p in parameters if not any(p is q for q in matrices)]
    groups = [
        {"params": decayed, "weight_decay": training.weight_decay},
        {"params": other, "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    if groups:
        adamw = torch.optim.AdamW(groups, lr=training.lr, betas=training.betas, fused=True)
        optimizers.append(adamw)
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["peak"] = group["lr"]
    return optimizers


def set_lr(optimizers: list[torch.optim.Optimizer], scale: float) -> None:
    """Set every learning rate to this share of its peak."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = group["peak"] * scale
