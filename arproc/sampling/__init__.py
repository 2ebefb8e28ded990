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
from arproc.sampling.constraints.conditioning import Constrained, constrained
from arproc.sampling.guidance import Contrast, Guidance
from arproc.sampling.narrowing import Greedy, MinP, Temperature, TopK, TopP, Typical, Within
from arproc.sampling.policies import Chain, Policy, Present
from arproc.sampling.repeats import (
    FrequencyPenalty,
    NoRepeatNGram,
    PresencePenalty,
    RepetitionPenalty,
)
from arproc.sampling.search import Hypotheses, beam_search, best_of, best_path
from arproc.sampling.stopping import Budget
from arproc.sampling.streaming import Stream

__all__ = [
    "AllowedAt",
    "Automaton",
    "Ban",
    "Bias",
    "Budget",
    "Chain",
    "Completion",
    "Constrain",
    "Constrained",
    "Constraint",
    "Contrast",
    "FrequencyPenalty",
    "Grammar",
    "Greedy",
    "Guidance",
    "Hypotheses",
    "JSONSchema",
    "MinLength",
    "MinP",
    "NoRepeatNGram",
    "Policy",
    "Present",
    "PresencePenalty",
    "Regex",
    "RepetitionPenalty",
    "Stream",
    "Temperature",
    "TopK",
    "TopP",
    "Typical",
    "Within",
    "beam_search",
    "best_of",
    "best_path",
    "complete",
    "constrained",
]
