"""Generation: one engine for every process, and the policies that change what it draws from."""

from arproc.sampling.ahead import Costs
from arproc.sampling.biases import Ban, Bias, MinLength
from arproc.sampling.completing import Completion
from arproc.sampling.completion import complete
from arproc.sampling.conditioned import Conditioned
from arproc.sampling.conditioning import condition
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
from arproc.sampling.drafts import PromptLookup
from arproc.sampling.evidence import Evidence, Likelihood
from arproc.sampling.facts import Barrier, EndsAt, Known
from arproc.sampling.guessing import Report
from arproc.sampling.guidance import Contrast, Guidance
from arproc.sampling.in_parts import InParts
from arproc.sampling.narrowing import Greedy, MinP, Temperature, TopK, TopP, Typical, Within
from arproc.sampling.own_heads import OwnHeads
from arproc.sampling.policies import Chain, Policy, Present
from arproc.sampling.repeats import (
    FrequencyPenalty,
    NoRepeatNGram,
    PresencePenalty,
    RepetitionPenalty,
)
from arproc.sampling.search import Hypotheses, beam_search, best_of, best_path
from arproc.sampling.speculation import Guessed, parallel, speculative
from arproc.sampling.steps import StepCurve, step_curve
from arproc.sampling.stopping import Budget
from arproc.sampling.streaming import Stream
from arproc.sampling.sums import Sum

__all__ = [
    "AllowedAt",
    "Automaton",
    "Ban",
    "Barrier",
    "Bias",
    "Budget",
    "Chain",
    "Completion",
    "Conditioned",
    "Constrain",
    "Constrained",
    "Constraint",
    "Contrast",
    "Costs",
    "EndsAt",
    "Evidence",
    "FrequencyPenalty",
    "Grammar",
    "Greedy",
    "Guessed",
    "Guidance",
    "Hypotheses",
    "InParts",
    "JSONSchema",
    "Known",
    "Likelihood",
    "MinLength",
    "MinP",
    "NoRepeatNGram",
    "OwnHeads",
    "Policy",
    "PresencePenalty",
    "Present",
    "PromptLookup",
    "Regex",
    "RepetitionPenalty",
    "Report",
    "StepCurve",
    "Stream",
    "Sum",
    "Temperature",
    "TopK",
    "TopP",
    "Typical",
    "Within",
    "beam_search",
    "best_of",
    "best_path",
    "complete",
    "condition",
    "constrained",
    "parallel",
    "speculative",
    "step_curve",
]
