"""Autoregressions whose parameters change: by a threshold, or by a hidden Markov chain."""
