"""Panels: many series at once, each with parameters of its own, fitted as one computation."""

from arproc.panel.panel import Panel

__all__ = ["Panel"]
