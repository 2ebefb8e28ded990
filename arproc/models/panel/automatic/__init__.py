"""What `AutoPanel()` does where it is told nothing: seasons, scales, candidates, weights, laws."""
