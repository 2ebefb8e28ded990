"""The contract: what a law is, what its states are, and the sequences that both speak of."""
