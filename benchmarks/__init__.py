"""Speed and memory, each against the named peer in the same run; `python -m benchmarks` runs all."""
