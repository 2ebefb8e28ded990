"""Averages of the weights along a training: exponential (EMA), or of the last steps (SWA)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from arproc.training.optimizers import local
from arproc.training.settings import Training

__all__ = ["Average"]


class Average:
    """A running average of a module's parameters.

    With `Training(ema=d)` each update moves it towards the weights by `1 - min(d, (1 + t) /
    (10 + t))`, t updates being made, so that early weights are soon forgotten. With
    `Training(swa=share)` it is the plain mean over that last share of the steps (Izmailov et al.
    2018), and before these there is none.

    Args:
        module: whose parameters.
        training: the settings; without `ema` and `swa` there never is an average.
    """

    def __init__(self, module: nn.Module, training: Training) -> None:
        self.training = training
        wanted = training.ema is not None or training.swa is not None
        self.params = {k: p for k, p in module.named_parameters() if p.requires_grad and wanted}
        self.values = {k: p.detach().clone() for k, p in self.params.items()}

    def rate(self, step: int) -> float:
        """How far update number `step` (1, 2, ...) moves it towards the weights; 0 is not yet.

        Example:
            >>> average = Average(nn.Linear(1, 1), Training(steps=10, swa=0.3))
            >>> [average.rate(step) for step in (7, 8, 9)]
            [0.0, 1.0, 0.5]
        """
        training = self.training
        if training.ema is not None:
            return 1 - min(training.ema, (1 + step) / (10 + step))
        if training.swa is None:
            return 0.0
        count = step - (training.steps - max(1, round(training.swa * training.steps)))
        return 1 / count if count > 0 else 0.0

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights after update number `step`."""
        rate = self.rate(step)
        if rate and self.values:
            held = [local(value) for value in self.values.values()]
            torch._foreach_lerp_(held, [local(p.detach()) for p in self.params.values()], rate)

    @contextmanager
    def in_place(self, step: int) -> Iterator[None]:
        """While inside, the average stands where the weights are, if there is one after `step`."""
        begun = bool(self.values) and step > 0 and self.rate(step) > 0
        if begun:
            self._swap()
        try:
            yield
        finally:
            if begun:
                self._swap()

    @torch.no_grad()
    def _swap(self) -> None:
        for name, p in self.params.items():
            held = p.detach().clone()
            p.copy_(self.values[name])
            self.values[name].copy_(held)

    def settle(self, step: int) -> None:
        """Put the average, if there is one after `step`, in the place of the weights for good."""
        if bool(self.values) and step > 0 and self.rate(step) > 0:
            self._swap()
