"""Autoregressions of counts and of symbols."""
