"""What a check says: that it failed, that it does not apply, or the figure it found."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NoReturn

__all__ = ["CheckFailed", "NotApplicable", "Report", "Result", "fail"]


class CheckFailed(AssertionError):
    """A process does not keep the contract.

    Attributes:
        check: the name of the check it failed.
    """

    def __init__(self, message: str, check: str = "") -> None:
        super().__init__(message)
        self.check = check


class NotApplicable(Exception):
    """A check has nothing to look at in this process; the message says why."""


def fail(expected: str, came: str, cause: str) -> NoReturn:
    """Raise `CheckFailed` with what was expected, what came and what usually causes it."""
    raise CheckFailed(f"Expected {expected}; {came}. Usual cause: {cause}.")


@dataclass(frozen=True)
class Result:
    """One check's outcome.

    Attributes:
        check: the check's name.
        outcome: "passed", "failed", "not applicable" or "skipped".
        detail: the figure found, what failed, or why the check was not made.
    """

    check: str
    outcome: str
    detail: str


@dataclass(frozen=True)
class Report:
    """The outcomes of all checks of one process, in order; `print` shows them as a table.

    Attributes:
        subject: the process.
        results: one `Result` a check.
    """

    subject: str
    results: tuple[Result, ...] = field(default=())

    @property
    def failed(self) -> list[str]:
        """The names of the checks that failed."""
        return self._names("failed")

    @property
    def passed(self) -> list[str]:
        """The names of the checks that passed."""
        return self._names("passed")

    def _names(self, outcome: str) -> list[str]:
        return [result.check for result in self.results if result.outcome == outcome]

    def __str__(self) -> str:
        wide = max((len(result.check) for result in self.results), default=0)
        lines = [
            f"  {result.check:<{wide}}  {result.outcome:<14}  {result.detail}"
            for result in self.results
        ]
        return "\n".join([self.subject, *lines])
