"""The list of checks, what a model of the package may skip, and `check_process`."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from typing import Any, Literal

import torch

from arproc.errors import ArprocError, ParameterError, PlaceWarning
from arproc.process import Process
from arproc.testing import (
    alone,
    boundary,
    causality,
    distribution_functions,
    forecasts,
    forms,
    generation,
    horizons,
    likelihood,
    seeding,
    states,
    values,
)
from arproc.testing.advancing import fast_advance
from arproc.testing.bad_input import clear_errors
from arproc.testing.conditions import every_context
from arproc.testing.crowds import many_draws
from arproc.testing.endings import ends
from arproc.testing.far_values import defined
from arproc.testing.files import save_and_load
from arproc.testing.foreseeing import foresight
from arproc.testing.joining import join
from arproc.testing.missing import missing_values
from arproc.testing.normalisation import normalisation
from arproc.testing.orders import any_order
from arproc.testing.paths import paths
from arproc.testing.repeats import repeated_calls
from arproc.testing.report import CheckFailed, NotApplicable, Report, Result
from arproc.testing.scenarios import scenarios
from arproc.testing.several import several_sequences
from arproc.testing.sizes import any_width
from arproc.testing.slopes import parameter_gradient
from arproc.testing.stopping import stops
from arproc.testing.subject import Subject
from arproc.testing.under_policies import every_policy

__all__ = ["CHECKS", "EXCEPTIONS", "check_process"]

Check = Callable[[Subject], str]

#: The checks in the order in which they are made: what a law is, then what its states do, then
#: what is drawn from it, then how it meets its user. Each takes the subject, and returns the
#: figure it found or raises `CheckFailed` or `NotApplicable`.
CHECKS: dict[str, Check] = {
    "normalisation": normalisation,
    "ends": ends,
    "distribution_function": distribution_functions.distribution_function,
    "quantiles": distribution_functions.quantiles,
    "draws_of_conditionals": distribution_functions.draws_of_conditionals,
    "moments": distribution_functions.moments,
    "defined": defined,
    "terms_sum": likelihood.terms_sum,
    "fast_terms": likelihood.fast_terms,
    "batch_invariance": likelihood.batch_invariance,
    "several_sequences": several_sequences,
    "every_context": every_context,
    "gradient": likelihood.gradient,
    "parameter_gradient": parameter_gradient,
    "causality_by_perturbation": causality.causality_by_perturbation,
    "causality_by_gradient": causality.causality_by_gradient,
    "parallel_equals_incremental": states.parallel_equals_incremental,
    "any_length": states.any_length,
    "any_width": any_width,
    "start_from_prefix": states.start_from_prefix,
    "ragged_extend": states.ragged_extend,
    "select": states.select,
    "join": join,
    "truncate": states.truncate,
    "immutability": states.immutability,
    "repeated_calls": repeated_calls,
    "fast_advance": fast_advance,
    "foresight": foresight,
    "samples": generation.samples,
    "policy": generation.policy,
    "every_policy": every_policy,
    "stops": stops,
    "any_order": any_order,
    "draw_probability": seeding.draw_probability,
    "seeds": seeding.seeds,
    "many_draws": many_draws,
    "conditioning": seeding.conditioning,
    "forecast": forecasts.forecast,
    "horizons": horizons.horizons,
    "histories": horizons.histories,
    "paths": paths,
    "scenarios": scenarios,
    "joint": forecasts.joint,
    "conditionals": boundary.conditionals,
    "distribution_view": boundary.distribution_view,
    "in_kind": boundary.in_kind,
    "input_forms": forms.input_forms,
    "no_rows": forms.no_rows,
    "globals_alone": alone.globals_alone,
    "inputs_alone": alone.inputs_alone,
    "results_alone": alone.results_alone,
    "save_and_load": save_and_load,
    "missing_values": missing_values,
    "outlives_refit": values.outlives_refit,
    "refused_refit": values.refused_refit,
    "parameters_set_later": values.parameters_set_later,
    "copies": values.copies,
    "clear_errors": clear_errors,
}

#: All that is skipped or loosened for a class of the package: {class: {check: reason}}.
EXCEPTIONS: dict[str, dict[str, str]] = {}


def check_process(
    process: Process,
    data: Any = None,
    *,
    context: Any = None,
    seed: int = 0,
    skip: Iterable[str] = (),
    only: Iterable[str] | None = None,
    length: int = 256,
    thorough: bool = False,
    on_fail: Literal["raise", "report"] = "raise",
) -> Report:
    """Check that a fitted process keeps the contract: that it is one proper distribution.

    The checks are listed in `CHECKS`, each a function whose docstring says what it holds. The
    statistical ones refuse a right process with probability 1e-6 each, at a seed drawn at random;
    the seed is fixed here, so a process that passes once passes always.

    Args:
        process: a fitted process.
        data: example sequences, in any form the process takes; draws of its own by default.
            Random elements of the space are added, so that unlikely contexts are visited.
        context: for a process that takes one, examples [M, c] (static) or [M, T, c] (per step).
        seed: everything random in the checks follows from it.
        skip: names of checks to leave out.
        only: names of the only checks to make.
        length: how long the sequences are that states are appended to one by one; well beyond any
            window of training.
        thorough: try more sizes and larger ones, however long it takes. By default lengths are
            drawn from beyond 2,100 and batches from some hundred rows where a pass over them is
            cheap (a count of the numbers touched says so, so it is the same on every machine);
            thorough goes to 5,000 elements and 2,000 rows, looks at every row, and repeats what
            is drawn at random (sizes, trees of states, gaps) several times; and a file is read in
            a fresh interpreter.
        on_fail: "raise" at the first failure, or "report" all.

    Returns:
        A `Report`: for each check its outcome, with the figure found or the reason why it does
        not apply. `print` shows it as a table.

    Raises:
        CheckFailed: a check failed; its `check` is the check's name, its message says what was
            expected, what came and what usually causes it.
        ParameterError: not a fitted process, or a check's name is unknown.

    Example:
        >>> import numpy as np
        >>> from arproc import AR
        >>> model = AR(order=1).fit(np.sin(np.arange(50.0)))
        >>> report = check_process(model, only=["normalisation", "seeds"])
        >>> report.passed
        ['normalisation', 'seeds']
    """
    if not isinstance(process, Process):
        raise ParameterError(f"process must be an arproc Process; got {process!r}.")
    chosen = _names("only", CHECKS if only is None else only)
    left_out = _names("skip", skip)
    subject = Subject(process, data, context, seed, length, thorough)
    excepted = EXCEPTIONS.get(type(process).__name__, {})
    results = []
    for name, check in CHECKS.items():
        if name not in chosen:
            continue
        if name in left_out or name in excepted:
            results.append(Result(name, "skipped", excepted.get(name, "left out by the caller")))
            continue
        try:
            with warnings.catch_warnings():  # sequences of every kind begin at t = 0 here
                warnings.simplefilter("ignore", PlaceWarning)
                results.append(_made(name, check, subject))
        except CheckFailed as failure:
            if on_fail == "raise":
                raise
            results.append(Result(name, "failed", str(failure)))
    return Report(repr(process), tuple(results))


def _names(argument: str, names: Iterable[str]) -> set[str]:
    given = set(names)
    unknown = sorted(given - set(CHECKS))
    if unknown:
        raise ParameterError(
            f"{argument} has the unknown check {unknown[0]!r}; the checks are {', '.join(CHECKS)}."
        )
    return given


def _made(name: str, check: Check, subject: Subject) -> Result:
    """One check's result; whatever else a process raises inside is a failure of that check."""
    title = f"{name}: {type(subject.process).__name__}"
    try:
        with torch.no_grad():
            return Result(name, "passed", check(subject))
    except NotApplicable as reason:
        return Result(name, "not applicable", str(reason))
    except CheckFailed as failure:
        raise CheckFailed(f"{title}: {failure}", name) from None
    except Exception as error:
        cause = (
            "a hook that does not take what the contract hands it (an empty batch, rows of "
            "unequal length, a context, the end symbol)"
        )
        if isinstance(error, ArprocError):
            cause = "elements of the space that the process refuses, or draws that are none of it"
        raise CheckFailed(
            f"{title}: Expected the check to run; it raised {type(error).__name__}: {error} "
            f"Usual cause: {cause}.",
            name,
        ) from error
