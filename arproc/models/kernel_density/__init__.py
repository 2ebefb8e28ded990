"""Kernel density estimation: laws that remember their training data."""
