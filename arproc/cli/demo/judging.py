"""The end of the demo: what its models drew is judged, and each part becomes a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rich.text import Text

from arproc.cli.demo.report import Report

if TYPE_CHECKING:
    from arproc.process import Process

__all__ = ["Drawn", "Subject", "run"]


@dataclass(frozen=True)
class Drawn:
    """What a model drew, and the real data that it is judged by.

    Attributes:
        name: what it is called.
        data: in the form of the real data.
        train: what the model was fitted on.
        holdout: what it has not seen; None where all was needed.
    """

    name: str
    data: Any
    train: Any
    holdout: Any


@dataclass(frozen=True)
class Subject:
    """A part of the demo, as `arproc.report` takes it.

    Attributes:
        name: of the page's file, without its ending.
        title: of the page.
        models: by name.
        data: what they are judged by.
        options: of `arproc.report`.
        drawn: what one of them drew; None where nothing is judged.
    """

    name: str
    title: str
    models: Mapping[str, Process]
    data: Any
    options: Mapping[str, Any] = field(default_factory=dict)
    drawn: Drawn | None = None


def run(report: Report, subjects: Sequence[Subject]) -> None:
    """Whether draws can stand in for real data, row by row, and a page for each subject."""
    import arproc

    report.heading("What the models drew, beside real data: fidelity, and a page for each part")
    for subject in subjects:
        found = {}
        if (drawn := subject.drawn) is not None:
            judged = arproc.fidelity(drawn.train, drawn.holdout, drawn.data)
            found = {drawn.name: judged}
            report.say(f"{drawn.name}:")
            report.console.print(Text(str(judged)), highlight=False)
        page = arproc.report(
            subject.models, subject.data, title=subject.title, fidelity=found, **subject.options
        )
        name = f"{subject.name}.html"
        page.save(report.folder / name)
        report.files.append((name, f"{subject.title}: all of it on one page"))
    report.took()
