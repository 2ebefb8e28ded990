"""The n-gram model of unbounded order, on a suffix array."""
