"""The conformance suite: `check_process` proves that a process is one proper distribution.

Every model of the package passes it, and every model a user writes should::

    from arproc.testing import check_process

    print(check_process(my_fitted_process))

It asks of any process: that its probabilities add up to one, and are numbers all over its space;
that distribution functions, quantiles, draws and moments are of the same law as log-probabilities;
that the chain rule's terms sum to `log_prob`; that no later element moves an earlier conditional;
that the parallel and the incremental side are one distribution at any length and in any batch,
however a state came about and whatever grew from it; that a call keeps nothing for the next; that
samples follow the likelihood, also under a policy; that results depend on neither batch nor
padding, and samples on nothing but the seed; that forecasts, paths and scenarios are of the same
law; that every policy and every form of input is what it says; that a file gives the same numbers;
that nothing but its own is touched; and that bad input is refused in words. Sizes are drawn at
random, from beyond every block and window; `check_process(process, thorough=True)` draws more and
larger ones.
"""

from arproc.testing.report import CheckFailed, Report, Result
from arproc.testing.suite import CHECKS, EXCEPTIONS, check_process

__all__ = ["CHECKS", "EXCEPTIONS", "CheckFailed", "Report", "Result", "check_process"]
