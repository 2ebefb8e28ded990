"""Whether the parameters of a conditional are numbers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch.distributions import Distribution

__all__ = ["expects_beyond", "parameter_without_number"]

#: Parameters that must be finite; of others an infinity may be meant, as a bound of inf is.
_FINITE = ("loc", "scale", "rate", "log_scale", "total_count", "_unbroadcasted_scale_tril")


def parameter_without_number(distribution: Distribution, diffuse: bool = False) -> str | None:
    """The name of a parameter that is NaN somewhere, or infinite where none may be; or None.

    Args:
        distribution: what is looked at.
        diffuse: whether scales may be infinite: nothing is known yet.

    Example:
        >>> from torch.distributions import Normal
        >>> wrong = Normal(torch.tensor(0.0), torch.tensor(torch.nan), validate_args=False)
        >>> parameter_without_number(wrong), parameter_without_number(Normal(0.0, 1.0))
        ('scale', None)
    """
    for name, value in _parameters(distribution):
        finite = name in _FINITE and not (diffuse and name == "scale")
        bad = ~torch.isfinite(value) if finite else torch.isnan(value)
        if name == "logits":  # one of -inf is an impossible value, one of inf is nothing
            bad |= value == torch.inf
        if bool(bad.any()):
            return name.strip("_")
    return None


def expects_beyond(distribution: Distribution, most: float) -> bool:
    """Whether a mean is larger than this; False where the means are not known.

    Example:
        >>> expects_beyond(torch.distributions.Poisson(torch.tensor([1.0, 1e20])), 2**53)
        True
    """
    try:
        return bool((distribution.mean > most).any())
    except NotImplementedError:
        return False


def _parameters(part: Any) -> Iterator[tuple[str, torch.Tensor]]:
    """The real tensors that a distribution holds, and those that its parts hold."""
    for name, value in vars(part).items():
        if isinstance(value, torch.Tensor) and value.is_floating_point():
            yield name, value.detach()
        for inner in value if isinstance(value, (list, tuple)) else (value,):
            if isinstance(inner, Distribution):
                yield from _parameters(inner)
