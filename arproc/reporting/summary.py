"""What the figures say, in plain words, and what they do not."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from arproc.evaluation import Fidelity
from arproc.reporting.calibration import Calibration
from arproc.reporting.case import Case
from arproc.reporting.page import Section, items, number
from arproc.reporting.ranking import unit_of

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["caveats", "findings", "section"]

#: With fewer elements, or sequences where errors are over these, figures are told to be of few.
_FEW_ELEMENTS, _FEW_SEQUENCES = 100, 30
_MOST_NAMED = 5


def section(found: list[str], beware: list[str]) -> Section:
    """The summary as a part of the page."""
    body = items(found) + "<h3>What to bear in mind</h3>" + items(beware)
    return Section("summary", "In short", body)


def findings(
    ranking: pd.DataFrame, calibrated: list[Calibration], fidelity: dict[str, Fidelity]
) -> list[str]:
    """What was found, a sentence or two each.

    Args:
        ranking: the leaderboard.
        calibrated: of every model.
        fidelity: results by what was judged.
    """
    lines = [_first(ranking), *_against(ranking), *_twins(ranking), *_calibration(calibrated)]
    return [*lines, *(_fidelity(name, result) for name, result in fidelity.items())]


def _first(ranking: pd.DataFrame) -> str:
    unit, facts = unit_of(ranking), ranking.attrs
    name, cost = ranking.index[0], float(ranking[unit].iloc[0])
    over = f"{facts['n_elements']:,} elements of {facts['n_sequences']:,} sequence(s)"
    words = unit.replace("_", " ")
    if math.isinf(cost):
        who = f"{name} gives" if len(ranking) == 1 else "All models give"
        return f"{who} some of the data probability zero ({over})."
    if len(ranking) == 1:
        return f"{name} costs {number(cost)} {words} (lower is better) over {over}."
    return (
        f"{name} gives the data the highest likelihood: {number(cost)} {words} (lower is better) "
        f"over {over}."
    )


def _against(ranking: pd.DataFrame) -> list[str]:
    """What the intervals say of the others, by verdict."""
    reference = ranking.attrs["reference"]
    unit = unit_of(ranking)
    lines = []
    told = {
        "worse": "{reference} is ahead of {names}: the 95% intervals exclude zero.",
        "better": "{names}: ahead of {reference}, with 95% intervals that exclude zero.",
        "no clear difference": "There is no clear difference between {reference} and {names}: "
        "the interval contains zero, so which is better stays open.",
        "no standard error": "There are too few data for a standard error of the difference "
        "between {reference} and {names}.",
    }
    for verdict, sentence in told.items():
        names = [str(name) for name in ranking.index[ranking["verdict"] == verdict]]
        if names:
            lines.append(sentence.format(reference=reference, names=_listed(names)))
    impossible = [str(n) for n, cost in ranking[unit].items() if math.isinf(cost)]
    if impossible and len(impossible) < len(ranking):
        lines.append(f"Some of the data have probability zero under {_listed(impossible)}.")
    return lines


def _twins(ranking: pd.DataFrame) -> list[str]:
    facts = ranking.attrs
    if "n_twins" not in facts:
        return []
    if not facts["n_twins"]:
        return ["None of the sequences stands in the training data too."]
    column = f"{unit_of(ranking)}_without_twins"
    lines = (
        f"{facts['n_twins']:,} of {facts['n_sequences']:,} sequences stand in the training data "
        "too, where a memory is enough."
    )
    left = ranking[column].dropna()
    if not len(left):
        return [f"{lines} No other sequences are left."]
    best = str(left.idxmin())
    return [
        f"{lines} Without them the lowest cost is that of {best}: {number(float(left[best]))}."
    ]


def _calibration(calibrated: list[Calibration]) -> list[str]:
    usable = [c for c in calibrated if c.problem is None]
    sound = [c.model for c in usable if not c.departs]
    lines = [f"The calibration of {c.model} is off: {c.verdict}." for c in usable if c.departs]
    if sound:
        lines.append(f"No fault was found in the calibration of {_listed(sound)}.")
    return lines


def _fidelity(name: str, result: Fidelity) -> str:
    tested = sum(row.passed is not None for row in result.rows)
    if result.passed:
        return f"{name}: all {tested} tests against real data pass."
    return (
        f"{name} can be told from real data: {len(result.failed)} of {tested} tests fail "
        f"({_listed(result.failed)})."
    )


def _listed(names: list[str]) -> str:
    shown = names[:_MOST_NAMED]
    if len(names) > len(shown):
        return f"{', '.join(shown)} and {len(names) - len(shown)} more"
    return " and ".join(filter(None, [", ".join(shown[:-1]), shown[-1]]))


def caveats(case: Case, ranking: pd.DataFrame, calibrated: list[Calibration]) -> list[str]:
    """What the figures do not say.

    Args:
        case: the subject.
        ranking: the leaderboard.
        calibrated: of every model.
    """
    facts = ranking.attrs
    measure = next(iter(case.models.values())).space.measure
    along = "along" in facts["errors"]
    lines = [
        "All of this holds only if no model was fitted or chosen on these data. The page can not "
        "see whether that is so."
    ]
    few = facts["n_elements"] < _FEW_ELEMENTS
    if few or (not along and facts["n_sequences"] < _FEW_SEQUENCES):
        lines.append("These are few data: intervals are wide, and themselves uncertain.")
    if along:
        lines.append(
            "Standard errors are taken along the sequences and allow for neighbouring elements "
            "being alike; they say nothing of how other series would do."
        )
    if len(case.models) > 1:
        lines.append(
            f"The best of {len(case.models)} models was found on the data it is judged by, which "
            "flatters it; and each interval is for one pair, so that among many some exclude zero "
            "by chance."
        )
    if measure != "mass":
        lines.append(
            "Likelihoods are of densities: they depend on the unit of the data, and a cost below "
            "zero is possible. Differences do not depend on the unit."
        )
    if "bound" in ranking:
        bounds = ", ".join(map(str, ranking.index[ranking["bound"] != "exact"]))
        lines.append(
            "Tokens can spell a text in many ways, of which one was scored, so the cost of "
            f"{bounds} is an upper bound of the text's own."
        )
    if facts["n_given"]:
        lines.append(f"The first {facts['n_given']:,} elements of each sequence are not scored.")
    if facts["n_missing"]:
        lines.append(f"{facts['n_missing']:,} elements are missing; they are not scored.")
    if "n_twins" not in facts and facts["n_sequences"] > 1:
        lines.append(
            "Whether some of these sequences stand in the training data too was not looked for, "
            "for these were not given."
        )
    if any(c.problem is None and not c.departs for c in calibrated):
        lines.append(
            "Where no fault of calibration was found, there may be one that so few elements do "
            "not show."
        )
    return lines
