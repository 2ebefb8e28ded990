"""Generation: one engine for every process, and the policies that change what it draws from."""

from arproc.sampling.completing import Completion
from arproc.sampling.completion import complete
from arproc.sampling.policies import Chain, Policy, Present, Temperature, TopK, TopP

__all__ = [
    "Chain",
    "Completion",
    "Policy",
    "Present",
    "Temperature",
    "TopK",
    "TopP",
    "complete",
]
