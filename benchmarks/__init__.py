"""Speed and memory against a named peer in the same run; `python -m benchmarks` runs all."""
