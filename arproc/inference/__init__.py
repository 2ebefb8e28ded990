"""Inference: what was estimated and how well, hypothesis tests, information criteria."""

from arproc.inference.estimated import likelihood_ratio_test
from arproc.inference.hypothesis import HypothesisTest

__all__ = ["HypothesisTest", "likelihood_ratio_test"]
