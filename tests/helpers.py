"""What several tests use."""

from __future__ import annotations

import json

import torch

from arproc.contract import model_file as files


def shake(model, seed: int = 1):
    """A fitted neural model with large random weights in its network, so that every input counts.

    Training for a few steps leaves weights near zero, and a mistake in what reaches what unseen.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in model.network_.parameters():
            p.copy_(torch.randn(p.shape, generator=generator) / p.shape[-1] ** 0.5)
    return model


def assert_close(got, want, scale: float = 1.0):
    """Equal to rounding, by the dtype: 1e-10 in float64 and 1e-5 in float32, times `scale`."""
    got, want = torch.as_tensor(got), torch.as_tensor(want)
    tolerance = scale * (1e-10 if got.dtype == torch.float64 else 1e-5)
    torch.testing.assert_close(got, want, rtol=tolerance, atol=tolerance)


def edit(path, old: str, new: str) -> None:
    """Change the description in a model's file, and leave all else as it should be."""
    header, tensors = files.read_file(path)
    text = json.dumps(header)
    assert old in text
    files.write_file(path, json.loads(text.replace(old, new)), tensors)


def exact_log_prob(values, coef, mean=0.0, sigma2=1.0, slope=0.0):
    """The log-likelihood of stationary autoregressions [..., T], of one length, nats [...]."""
    from arproc.gaussian.terms import Terms
    from arproc.models.autoregression.likelihood import log_prob
    from arproc.models.autoregression.mean import Level
    from arproc.models.autoregression.recursion import recursion_from_mean

    noise, level, rise = (torch.as_tensor(v, dtype=coef.dtype) for v in (sigma2, mean, slope))
    line = Level(Terms("ct"), torch.stack([level, rise]))
    return log_prob(values, recursion_from_mean(coef, noise, line))
