"""What every neural law and process shares: how its network is trained, placed and saved."""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Callable
from typing import ClassVar, Self

import numpy as np
import torch
from torch import nn

from arproc.contract.sequences import Sequences
from arproc.errors import FileFormatError, ParameterError
from arproc.process import Model, Process
from arproc.spaces import Space
from arproc.training import History, Loss, Training, seed_of, train

__all__ = ["NeuralLaw", "NeuralProcess"]

_STREAM = 2


class NeuralLaw(Model):
    """Base of the laws that a network gives.

    Attributes:
        network_: the network, in evaluation mode; its parameters ask for no gradients
            (`network_.requires_grad_()` makes `log_prob` of a tensor differentiable in them).
        history_: the losses along the training, see `arproc.training.train`.
    """

    #: Whether `Training(augment=)` is taken; it is for examples of one size.
    takes_augment: ClassVar[bool] = False

    training: Training | None
    network_: nn.Module
    history_: History

    @abstractmethod
    def _network(self, space: Space) -> nn.Module:
        """A new network for elements of this space."""

    @property
    def _fitting(self) -> bool:
        """Whether the model has yet to learn the data that are being read."""
        return "network_" not in vars(self)

    @property
    def device(self) -> torch.device:
        network = self.__dict__.get("network_")
        return torch.device("cpu") if network is None else next(network.parameters()).device

    def to(self, device: torch.device | str) -> Self:
        """Move the fitted network; data that are no tensors follow it."""
        self.network_.to(device)
        return self

    def _fitted(self) -> nn.Module:
        """The network, or `NotFittedError`."""
        _ = self.space
        return self.network_

    @property
    def _settings(self) -> Training:
        if self.training is None:
            return Training()
        if not isinstance(self.training, Training):
            raise ParameterError(
                f"training must be an arproc.Training or None; got {self.training!r}."
            )
        return self.training

    def _train(
        self,
        sequences: Sequences,
        objective: Callable[[nn.Module], tuple[Loss, Callable[[], float] | None]],
    ) -> None:
        """Build a network, train it and keep it.

        Args:
            sequences: the training data, whose fingerprint a checkpoint carries.
            objective: gives, for the network, the loss of a step and the validation loss.
        """
        settings, space = self._settings, sequences.space
        if settings.augment is not None and not self.takes_augment:
            raise ParameterError(
                f"{type(self).__name__} takes no Training(augment=...): it is for models of "
                "examples of a fixed size (images, vectors); leave it out."
            )
        with torch.random.fork_rng([]):
            torch.manual_seed(seed_of(settings.seed, _STREAM))
            network = self._network(space).to(settings.device)
        loss, validation = objective(network)
        fingerprint = "" if settings.checkpoint is None else self._fingerprint(sequences)
        history = train(network, loss, settings, validation=validation, fingerprint=fingerprint)
        self.space_ = space  # before the network: a file is read in this order
        self.network_ = network.requires_grad_(False)
        self.history_ = history

    def _fingerprint(self, sequences: Sequences) -> str:
        params = {k: v for k, v in self.get_params(deep=False).items() if k != "training"}
        digest = hashlib.blake2b(repr((type(self).__name__, params)).encode(), digest_size=16)
        parts = (sequences.values, sequences.offsets)
        optional = (sequences.weights, sequences.context, sequences.seen)
        for tensor in (*parts, *(part for part in optional if part is not None)):
            digest.update(np.ascontiguousarray(tensor.detach().cpu().numpy()).data)
        return digest.hexdigest()

    # ---- files --------------------------------------------------------------------------------

    def _build_module(self, name: str) -> nn.Module:
        if name != "network_":
            raise FileFormatError(f"a {type(self).__name__} has no network {name!r}.")
        return self._network(self.space_).requires_grad_(False)


class NeuralProcess(NeuralLaw, Process):
    """Base of the processes whose conditionals a network gives."""
