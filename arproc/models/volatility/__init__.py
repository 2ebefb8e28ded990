"""Autoregressions with other innovations than normal ones, and conditional variances."""
