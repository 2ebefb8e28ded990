"""Whether synthetic sequences can stand in for real ones: `fidelity`, and its rows."""

from __future__ import annotations

from arproc.evaluation.synthetic.examine import fidelity
from arproc.evaluation.synthetic.result import Fidelity, Judgement

__all__ = ["Fidelity", "Judgement", "fidelity"]
