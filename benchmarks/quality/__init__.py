"""How well density models fit real data: recipes, and what runs them."""

from benchmarks.quality.run import main

__all__ = ["main"]
