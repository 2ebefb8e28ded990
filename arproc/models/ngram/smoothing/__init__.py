"""The smoothings: from counts to the probabilities of a back-off model."""
