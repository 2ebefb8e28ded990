"""Inference: what was estimated and how well, hypothesis tests, information criteria."""

from arproc.inference.hypothesis import HypothesisTest, likelihood_ratio_test

__all__ = ["HypothesisTest", "likelihood_ratio_test"]
