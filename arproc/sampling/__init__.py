"""Generation: one engine for every process, and the policies that change what it draws from."""

from arproc.sampling.biases import Ban, Bias, MinLength
from arproc.sampling.completing import Completion
from arproc.sampling.completion import complete
from arproc.sampling.conditioning import Conditioned, condition
from arproc.sampling.evidence import Evidence, Likelihood
from arproc.sampling.facts import Barrier, EndsAt, Known
from arproc.sampling.guidance import Contrast, Guidance
from arproc.sampling.in_parts import InParts
from arproc.sampling.narrowing import Greedy, MinP, Temperature, TopK, TopP, Typical, Within
from arproc.sampling.policies import Chain, Policy, Present
from arproc.sampling.repeats import (
    FrequencyPenalty,
    NoRepeatNGram,
    PresencePenalty,
    RepetitionPenalty,
)
from arproc.sampling.sums import Sum

__all__ = [
    "Ban",
    "Barrier",
    "Bias",
    "Chain",
    "Completion",
    "Conditioned",
    "Contrast",
    "EndsAt",
    "Evidence",
    "FrequencyPenalty",
    "Greedy",
    "Guidance",
    "Known",
    "Likelihood",
    "InParts",
    "MinLength",
    "MinP",
    "NoRepeatNGram",
    "Policy",
    "PresencePenalty",
    "Present",
    "RepetitionPenalty",
    "Sum",
    "Temperature",
    "TopK",
    "TopP",
    "Typical",
    "Within",
    "complete",
    "condition",
]
