"""Generation: one engine for every process, and the policies that change what it draws from."""

from arproc.sampling.ahead import Costs
from arproc.sampling.biases import Ban, Bias, MinLength
from arproc.sampling.completing import Completion
from arproc.sampling.completion import complete
from arproc.sampling.drafts import PromptLookup
from arproc.sampling.guessing import Report
from arproc.sampling.guidance import Contrast, Guidance
from arproc.sampling.narrowing import Greedy, MinP, Temperature, TopK, TopP, Typical, Within
from arproc.sampling.policies import Chain, Policy, Present
from arproc.sampling.repeats import (
    FrequencyPenalty,
    NoRepeatNGram,
    PresencePenalty,
    RepetitionPenalty,
)
from arproc.sampling.speculation import Guessed, parallel, speculative
from arproc.sampling.steps import StepCurve, step_curve

__all__ = [
    "Ban",
    "Bias",
    "Chain",
    "Completion",
    "Contrast",
    "Costs",
    "FrequencyPenalty",
    "Greedy",
    "Guessed",
    "Guidance",
    "MinLength",
    "MinP",
    "NoRepeatNGram",
    "Policy",
    "Present",
    "PresencePenalty",
    "PromptLookup",
    "RepetitionPenalty",
    "Report",
    "StepCurve",
    "Temperature",
    "TopK",
    "TopP",
    "Typical",
    "Within",
    "complete",
    "parallel",
    "speculative",
    "step_curve",
]
