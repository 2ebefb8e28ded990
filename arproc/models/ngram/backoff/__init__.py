"""Back-off models: counting, smoothing, the trie that answers, pruning and mixing."""
