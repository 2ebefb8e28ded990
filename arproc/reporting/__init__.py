"""`report`: models and data as one page of HTML, for people who were not there."""

from arproc.reporting.compose import Report, report

__all__ = ["Report", "report"]
