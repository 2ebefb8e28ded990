"""Panels: many series at once, each with parameters of its own, fitted as one computation."""

from arproc.models.panel.auto import AutoPanel
from arproc.models.panel.combination import seasonal_candidates
from arproc.models.panel.panel import Panel

__all__ = ["AutoPanel", "Panel", "seasonal_candidates"]
