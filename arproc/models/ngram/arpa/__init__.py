"""ARPA files: reading and writing them."""
