"""n-gram models: counts, smoothing, the trie that answers, ARPA files."""
