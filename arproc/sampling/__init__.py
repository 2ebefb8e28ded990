"""Generation: one engine for every process, and the policies that change what it draws from."""

from arproc.sampling.biases import Ban, Bias, MinLength
from arproc.sampling.completing import Completion
from arproc.sampling.completion import complete
from arproc.sampling.constraints import (
    AllowedAt,
    Automaton,
    Constrain,
    Constraint,
    Grammar,
    JSONSchema,
    Regex,
)
from arproc.sampling.guidance import Contrast, Guidance
from arproc.sampling.narrowing import Greedy, MinP, Temperature, TopK, TopP, Typical, Within
from arproc.sampling.policies import Chain, Policy, Present
from arproc.sampling.repeats import (
    FrequencyPenalty,
    NoRepeatNGram,
    PresencePenalty,
    RepetitionPenalty,
)

__all__ = [
    "AllowedAt",
    "Automaton",
    "Ban",
    "Bias",
    "Chain",
    "Completion",
    "Constrain",
    "Constraint",
    "Contrast",
    "FrequencyPenalty",
    "Grammar",
    "Greedy",
    "Guidance",
    "JSONSchema",
    "MinLength",
    "MinP",
    "NoRepeatNGram",
    "Policy",
    "Present",
    "PresencePenalty",
    "Regex",
    "RepetitionPenalty",
    "Temperature",
    "TopK",
    "TopP",
    "Typical",
    "Within",
    "complete",
]
