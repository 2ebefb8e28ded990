"""`check_process` as its users meet it: options, reports, messages."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from arproc.errors import ParameterError
from arproc.testing import CHECKS, EXCEPTIONS, CheckFailed, check_process
from arproc.testing.compare import agree, gap
from arproc.testing.suite import EXCEPTIONS as TABLE

from .healthy import STATIC
from .healthy_windows import Chain, Driven, Regressed, Walk
from .zoo import ZOO


def test_every_check_is_named_and_documented():
    for name, check in CHECKS.items():
        assert check.__doc__, name
        assert check.__doc__.strip().split("\n")[0].endswith((".", ":"))


def test_a_report_lists_every_check_in_order_with_a_reason_or_a_figure():
    report = check_process(Chain.made())
    assert [result.check for result in report.results] == list(CHECKS)
    assert all(result.detail for result in report.results)
    outcome = {result.check: result.outcome for result in report.results}
    assert outcome["forecast"] == outcome["gradient"] == "not applicable"
    text = str(report)
    assert text.startswith("Chain(")
    assert len(text.splitlines()) == 1 + len(CHECKS)


def test_the_same_seed_gives_the_same_report():
    chosen = ["samples", "seeds", "select"]
    reports = [check_process(Walk.made(), seed=4, only=chosen) for _ in range(2)]
    assert reports[0] == reports[1]


def test_only_and_skip_choose_checks():
    report = check_process(Chain.made(), only=["seeds", "select"], skip=["select"])
    assert report.passed == ["seeds"]
    assert [result.outcome for result in report.results] == ["skipped", "passed"]


@pytest.mark.parametrize("argument", ["only", "skip"])
def test_unknown_checks_are_refused(argument):
    with pytest.raises(ParameterError, match=f"{argument} has the unknown check 'speed'"):
        check_process(Chain.made(), **{argument: ["speed"]})


def test_what_is_no_process_is_refused():
    with pytest.raises(ParameterError, match="process must be an arproc Process"):
        check_process(np.zeros(3))


def test_contexts_are_asked_for_and_checked():
    with pytest.raises(ParameterError, match=r"pass examples of it .* \[M, c\]"):
        check_process(Regressed.made())
    with pytest.raises(ParameterError, match=r"expected examples \[M, T, c\]"):
        check_process(Driven.made(), context=STATIC)
    with pytest.raises(ParameterError, match="takes no context"):
        check_process(Chain.made(), context=STATIC)


def test_a_failure_says_what_was_expected_what_came_and_why():
    with pytest.raises(CheckFailed) as failure:
        check_process(ZOO["unnormalised head"].make())
    assert isinstance(failure.value, AssertionError)
    assert failure.value.check == "normalisation"
    for part in ("Expected the probabilities", "1.0512711 came instead of 1", "Usual cause: "):
        assert part in str(failure.value)


def test_an_exception_inside_a_process_is_a_failure_of_the_check():
    class Crashing(Chain):
        def _log_prob_terms(self, sequences, context):
            raise RuntimeError("a wire is loose")

    with pytest.raises(CheckFailed, match="it raised RuntimeError: a wire is loose"):
        check_process(Crashing.made())


def test_exceptions_are_skipped_with_their_reason(monkeypatch):
    monkeypatch.setitem(TABLE, "Chain", {"select": "its rows have no order"})
    assert EXCEPTIONS is TABLE
    results = check_process(Chain.made(), only=["select", "seeds"]).results
    assert [result.outcome for result in results] == ["skipped", "passed"]
    assert results[0].detail == "its rows have no order"


def test_equal_infinities_agree_and_nan_never_does():
    inf = torch.tensor([-torch.inf, 1.0])
    assert gap(inf, inf).tolist() == [0.0, 0.0]
    assert gap(inf, torch.tensor([0.0, 1.0]))[0] == torch.inf
    nan = torch.tensor([torch.nan])
    with pytest.raises(CheckFailed, match="came instead of"):
        agree(nan, nan, 1.0, "numbers", "none")
