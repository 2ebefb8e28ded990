"""Models that learn as they go: context trees, PPM, the cache."""
