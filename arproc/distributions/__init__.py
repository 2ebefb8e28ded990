"""Conditionals: what `torch.distributions` lacks, and one registry of operations on all of them.

A conditional is a `torch.distributions.Distribution` with argument validation off. `Categorical`,
`Logistic`, `DiscretisedLogisticMixture`, `Mixture`, `Spiked` (single values have a mass of their
own), `Varied` (kinds that differ over the batch), `MaybeMissing`, `Truncated`, `Binned`, `Powered`
and `PoweredCount` are ours; `index`, `concatenate`, `from_uniform`, `cdf`, `atom`, `quantile`,
`mix` and `tempered` work on every kind that arproc's models return; `geometric_mixture` multiplies
powers of two; `step_marginals` and `component_marginals` take joint laws apart.
"""

from arproc.distributions.binned import Binned, log_mass_between
from arproc.distributions.calculus import atom, cdf, quantile
from arproc.distributions.categorical import Categorical, Restricted, as_categorical
from arproc.distributions.counted import PoweredCount, cut_counts, is_count
from arproc.distributions.draws import draw_into, from_uniform
from arproc.distributions.joint import component_marginals, step_marginals
from arproc.distributions.logistic import DiscretisedLogisticMixture, Logistic
from arproc.distributions.mixture import Mixture, mix
from arproc.distributions.partial import observed_log_prob, observed_scores
from arproc.distributions.powered import Powered
from arproc.distributions.product import geometric_mixture
from arproc.distributions.shape import concatenate, index, to
from arproc.distributions.spiked import Spiked
from arproc.distributions.tempered import tempered
from arproc.distributions.transformed import mean, transformed
from arproc.distributions.truncated import Truncated
from arproc.distributions.varied import MaybeMissing, Varied, present

__all__ = [
    "Binned",
    "Categorical",
    "DiscretisedLogisticMixture",
    "Logistic",
    "MaybeMissing",
    "Mixture",
    "Powered",
    "PoweredCount",
    "Restricted",
    "Spiked",
    "Truncated",
    "Varied",
    "as_categorical",
    "atom",
    "cdf",
    "component_marginals",
    "concatenate",
    "cut_counts",
    "draw_into",
    "from_uniform",
    "geometric_mixture",
    "index",
    "is_count",
    "log_mass_between",
    "mean",
    "mix",
    "observed_log_prob",
    "observed_scores",
    "present",
    "quantile",
    "step_marginals",
    "tempered",
    "to",
    "transformed",
]
