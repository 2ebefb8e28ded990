"""What `fidelity` found, as a part of the page."""

from __future__ import annotations

from arproc.evaluation import Fidelity
from arproc.plot import fidelity_overview
from arproc.reporting.page import Section, escaped, items, paragraph, table
from arproc.reporting.pictures import picture

__all__ = ["section"]

_MARKS = {True: "pass", False: "FAIL", None: "not asked"}


def section(found: dict[str, Fidelity]) -> Section:
    """Whether synthetic data are like real ones.

    Args:
        found: the results by what was judged.
    """
    body = paragraph(
        "Whether what was drawn can stand in for real data: like them, varied, new and useful. "
        "Each row tests that the synthetic data are fresh draws of the law of the real ones."
    )
    for name, result in found.items():
        body += f"<h3>{escaped(name)}</h3>" + _picture(result) + _table(result)
        body += items(result.notes) if result.notes else ""
    body += paragraph(
        "A pass says that no difference was found with so many units; it is no proof that there "
        "is none. A pass of “membership” is no proof of privacy."
    )
    return Section("fidelity", "Synthetic data", body)


def _picture(result: Fidelity) -> str:
    if all(row.passed is None for row in result.rows):
        return ""
    told = ", ".join(result.failed) or "none"
    return picture(
        lambda: fidelity_overview(result),
        f"The rows by their adjusted p-values; those that fail: {told}.",
        "Rows left of the dashed line fail. The table below has the figures.",
    )


def _table(result: Fidelity) -> str:
    columns = ["row", "result", "verdict", "statistic", "train", "hold-out", "synthetic"]
    rows = [
        [
            row.name, _MARKS[row.passed], row.verdict, row.statistic, float(row.train),
            float(row.holdout), float(row.synthetic), float(row.adjusted),
        ]
        for row in result.rows
    ]  # fmt: skip
    caption = (
        f"{result.n_train:,} train, {result.n_holdout:,} hold-out and {result.n_synthetic:,} "
        f"synthetic units ({result.kind}); fresh real data fail in any row with a chance of "
        f"{result.alpha:g}. P-values are adjusted for the number of rows."
    )
    return table([*columns, "adjusted p"], rows, caption)
