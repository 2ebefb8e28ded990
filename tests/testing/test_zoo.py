"""The suite refuses every broken process, for the right reason, and passes every healthy one."""

from __future__ import annotations

import re

import pytest

from arproc.testing import CHECKS, CheckFailed, check_process

from .healthy import HEALTHY
from .zoo import ZOO

#: One of each space and each form, but those that models of the package have as well; the others
#: are among the slow tests.
QUICK = {
    "Sentences", "Urn", "Walk", "Noise", "Twins", "Dots", "Plane", "Driven",
    "Rolling", "Durations", "Partial",
}  # fmt: skip


@pytest.mark.parametrize(
    "name", [pytest.param(k, marks=[pytest.mark.slow] * (k not in QUICK)) for k in HEALTHY]
)
def test_healthy_processes_pass_every_check(name):
    make, given = HEALTHY[name]
    report = check_process(make(), **given)
    assert not report.failed
    assert {result.outcome for result in report.results} <= {"passed", "not applicable"}


@pytest.mark.parametrize("check", CHECKS)
def test_each_check_applies_to_a_healthy_process(check):
    """No check is empty: it passes somewhere, and finds a figure."""
    for name in (
        "Sentences",
        "Walk",
        "LinearWalk",
        "Urn",
        "Dots",
        "Noise",
        "Twins",
        "Regressed",
        "Foreseeing",
    ):
        make, given = HEALTHY[name]
        report = check_process(make(), only=[check], **given)
        if report.passed:
            assert report.results[0].detail
            return
    pytest.fail(f"{check} passed nowhere")


@pytest.mark.slow
@pytest.mark.parametrize("name", ZOO)
def test_broken_processes_fail_for_the_right_reason(name):
    broken = ZOO[name]
    report = check_process(broken.make(), on_fail="report", context=broken.context)
    if broken.alone:
        assert report.failed == [broken.check]
    else:
        assert broken.check in report.failed
    failure = next(r.detail for r in report.results if r.check == broken.check)
    assert "Usual cause" in failure
    # found by comparing, not by stumbling over an exception
    assert "Expected the check to run" not in failure


@pytest.mark.parametrize("name", ZOO)
def test_broken_processes_are_refused(name):
    """What a user sees: an AssertionError whose text names the check and the class."""
    broken = ZOO[name]
    process = broken.make()
    with pytest.raises(CheckFailed, match=f"^{broken.check}: ") as failure:
        check_process(process, only=[broken.check], context=broken.context)
    assert failure.value.check == broken.check
    assert type(process).__name__ in str(failure.value)
    assert "Usual cause" in str(failure.value)
    # found by comparing, not by stumbling over an exception
    assert "Expected the check to run" not in str(failure.value)


def test_draws_that_are_no_elements_are_named():
    for name, words in (
        ("draws of NaN", r"WrittenLaw\(TornDraws\(\)\) drew NaN.* for element \d+ of sequence"),
        ("draws outside the space", r"numbers above 0 and below 1, got values from"),
    ):
        report = check_process(ZOO[name].make(), on_fail="report")
        details = [r.detail for r in report.results if r.outcome == "failed"]
        assert "samples" in report.failed
        assert any(re.search(words, detail) for detail in details)
        assert not any("empty batch" in detail for detail in details)


def test_no_check_can_be_left_out():
    """For every check there is a broken process that it alone refuses (proved test by test)."""
    assert {broken.check for broken in ZOO.values() if broken.alone} == set(CHECKS)


def test_skipping_the_one_check_lets_a_broken_process_through():
    broken = ZOO["stale cache"]
    report = check_process(broken.make(), skip=[broken.check, "several_sequences", "many_draws"])
    assert not report.failed
    outcome = {result.check: result.outcome for result in report.results}
    assert outcome[broken.check] == "skipped"
