"""No check refuses a right process for its unusual law."""

from __future__ import annotations

import pytest

from arproc.testing import check_process

from .unusual import UNUSUAL, CauchyWalk, Clusters, EdgeShares, Incomes


@pytest.mark.slow
@pytest.mark.parametrize("kind", UNUSUAL)
def test_unusual_laws_pass_every_check(kind):
    report = check_process(kind.made(), on_fail="report")
    assert not report.failed


@pytest.mark.parametrize(
    ("kind", "check"),
    [
        (CauchyWalk, "forecast"),  # a mean that does not exist
        (EdgeShares, "normalisation"),  # mass at the ends of floats
        (Clusters, "scenarios"),  # vectors that are not conditioned on a part
    ],
)
def test_what_a_law_does_not_have_is_not_held_against_it(kind, check):
    assert check_process(kind.made(), only=[check]).passed


def test_masses_too_wide_to_be_summed_are_said_to_be():
    report = check_process(Incomes.made(), only=["normalisation", "samples"])
    assert [r.outcome for r in report.results] == ["not applicable", "passed"]
